//! Master data in memory: sites, locations, SKUs and lots.

use hashbrown::HashMap;
use std::hash::BuildHasher;

use smallvec::SmallVec;

use super::{Memory, SkuRow, places::Balances};
use crate::{
    Code, LocationId, LotId, SiteId, SkuId,
    row::{Location, Lot, Site, Sku},
};

impl Memory {
    pub(super) fn sku_slot(&self, code: &Code) -> Option<u32> {
        self.sku_codes.find(self.hash(code), |slot| self.skus[slot as usize].row.code == *code)
    }

    pub(super) fn put_site(&mut self, id: SiteId, row: Option<Box<Site>>) -> Option<Box<Site>> {
        let Some(row) = row else {
            // Only the last site can be taken back: numbers are handed out in order.
            let row = self.sites.pop().expect("there was a site");
            self.site_codes.remove(&row.code);
            self.site_locations.pop();
            self.location_codes.pop();
            return Some(Box::new(row));
        };
        if id.index() < self.sites.len() {
            return Some(Box::new(std::mem::replace(&mut self.sites[id.index()], *row)));
        }
        assert_eq!(id.index(), self.sites.len(), "numbers are handed out in order");
        self.site_codes.insert(row.code.clone(), id);
        self.sites.push(*row);
        self.site_locations.push(Vec::new());
        self.location_codes.push(HashMap::new());
        None
    }

    pub(super) fn put_location(
        &mut self,
        id: LocationId,
        row: Option<Box<Location>>,
    ) -> Option<Box<Location>> {
        let Some(row) = row else {
            let row = self.locations.pop().expect("there was a location");
            self.site_locations[row.site.index()].pop();
            self.location_codes[row.site.index()].remove(&row.code);
            self.strike_bin();
            return Some(Box::new(row));
        };
        if id.index() < self.locations.len() {
            let before = std::mem::replace(&mut self.locations[id.index()], *row);
            self.enter_bin(id);
            return Some(Box::new(before));
        }
        assert_eq!(id.index(), self.locations.len(), "numbers are handed out in order");
        self.site_locations[row.site.index()].push(id);
        self.location_codes[row.site.index()].insert(row.code.clone(), id);
        self.locations.push(*row);
        self.enter_bin(id);
        None
    }

    pub(super) fn put_sku(&mut self, id: SkuId, row: Option<Box<Sku>>) -> Option<Box<Sku>> {
        let Some(row) = row else {
            let row = self.skus.pop().expect("there was a SKU").row;
            let hash = self.hash(&row.code);
            self.sku_codes.remove(hash, id.0);
            return Some(Box::new(row));
        };
        if id.index() < self.skus.len() {
            return Some(Box::new(std::mem::replace(&mut self.skus[id.index()].row, *row)));
        }
        assert_eq!(id.index(), self.skus.len(), "numbers are handed out in order");
        self.skus.push(SkuRow { row: *row, gates: SmallVec::new(), outside: Balances::default() });
        let (skus, hasher) = (&self.skus, &self.hasher);
        self.sku_codes.insert(hasher.hash_one(&skus[id.index()].row.code), id.0, |slot| {
            hasher.hash_one(&skus[slot as usize].row.code)
        });
        None
    }

    pub(super) fn find_lot(&self, sku: SkuId, code: &Code) -> Option<LotId> {
        let found = self.lot_codes.find(self.hasher.hash_one((sku, code)), |id| {
            let lot = &self.lots[LotId(id).index() - 1];
            lot.sku == sku && lot.code == *code
        });
        found.map(LotId)
    }

    pub(super) fn put_lot(&mut self, id: LotId, row: Option<Box<Lot>>) -> Option<Box<Lot>> {
        let at = id.index() - 1;
        let Some(row) = row else {
            let row = self.lots.pop().expect("there was a lot");
            self.lot_codes.remove(self.hasher.hash_one((row.sku, &row.code)), id.0);
            let lots = self.sku_lots.get_mut(&row.sku).expect("the lot's SKU has lots");
            lots.pop();
            if lots.is_empty() {
                self.sku_lots.remove(&row.sku);
            }
            return Some(Box::new(row));
        };
        if at < self.lots.len() {
            let before = std::mem::replace(&mut self.lots[at], *row);
            self.recount_watched_lot(id, &before);
            return Some(Box::new(before));
        }
        assert_eq!(at, self.lots.len(), "numbers are handed out in order");
        self.sku_lots.get_or_default(row.sku).push(id);
        self.lots.push(*row);
        let (lots, hasher) = (&self.lots, &self.hasher);
        let hash_of = |id: u32| {
            let Lot { sku, code, .. } = &lots[LotId(id).index() - 1];
            hasher.hash_one((*sku, code))
        };
        self.lot_codes.insert(hash_of(id.0), id.0, hash_of);
        None
    }
}
