//! Safety levels, and what is available where there is one: sums that are kept as positions and lots change, so that the
//! stock watch looks at no position.

use std::collections::BTreeMap;

use super::{Memory, crowd::Entries};
use crate::{
    Date, LotId, Place, Quantity, SiteId, SkuId, Tables, Timestamp,
    row::{LocationKind, Lot, Position},
};

/// A safety level, which is not zero, and the sums beside it.
pub(super) struct Level {
    pub(super) level: Quantity,
    pub(super) sums: Sums,
}

/// What of a SKU at a site is in storage, not held, not missing and of no blocked lot, by the last day of its lots.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    all: u64,
    /// Of lots that have a last day. None is zero.
    dated: BTreeMap<Date, u64>,
}

/// The last day of what counts; `None` for what does not.
type Counts = Option<Option<Date>>;

impl Sums {
    fn add(&mut self, day: Option<Date>, units: u64) {
        self.all += units;
        if let Some(day) = day.filter(|_| units > 0) {
            *self.dated.entry(day).or_default() += units;
        }
    }

    fn take(&mut self, day: Option<Date>, units: u64) {
        let enough = "a sum has what was added to it";
        self.all = self.all.checked_sub(units).expect(enough);
        if let Some(day) = day.filter(|_| units > 0) {
            let left = self.dated.get_mut(&day).expect(enough);
            *left = left.checked_sub(units).expect(enough);
            if *left == 0 {
                self.dated.remove(&day);
            }
        }
    }

    /// What is available on a day. It takes the time of the last days before it of which something is still there.
    fn available(&self, today: impl FnOnce() -> Date) -> Quantity {
        let expired: u64 = match self.dated.is_empty() {
            true => 0,
            false => self.dated.range(..today()).map(|(_, units)| units).sum(),
        };
        Quantity::stored(self.all - expired)
    }

    pub(super) fn has_last_days(&self) -> bool {
        !self.dated.is_empty()
    }
}

fn counts(lot: &Lot) -> Counts {
    (!lot.blocked).then_some(lot.expires_on)
}

impl Memory {
    pub(super) fn safety_level(&self, site: SiteId, sku: SkuId) -> Quantity {
        let level = (!self.safety_levels.is_empty()).then(|| self.safety_levels.get(&(site, sku)));
        level.flatten().map_or(Quantity::ZERO, |level| level.level)
    }

    /// Puts a safety level. Where there was none the positions are added up, once.
    pub(super) fn put_safety_level(&mut self, site: SiteId, sku: SkuId, level: Quantity) {
        if level.is_zero() {
            if !self.safety_levels.is_empty() {
                self.safety_levels.remove(&(site, sku));
            }
        } else if let Some(known) = self.safety_levels.get_mut(&(site, sku)) {
            known.level = level;
        } else {
            let sums = self.added_up(site, sku);
            self.safety_levels.insert((site, sku), Level { level, sums });
        }
    }

    fn added_up(&self, site: SiteId, sku: SkuId) -> Sums {
        let mut sums = Sums::default();
        for (place, position) in self.positions(site, sku) {
            if let Some(day) = self.counts_at(place) {
                sums.add(day, position.movable().get());
            }
        }
        sums
    }

    /// Whether what lies at a place counts, and its last day.
    fn counts_at(&self, place: Place) -> Counts {
        match self.location(place.location).kind {
            LocationKind::Storage if place.lot == LotId::NONE => Some(None),
            LocationKind::Storage => counts(self.lot(place.lot)),
            LocationKind::Receiving | LocationKind::Quarantine | LocationKind::Staging => None,
        }
    }

    /// Counts another position in the place of one.
    pub(super) fn recount_watched(
        &mut self,
        place: Place,
        before: Option<Position>,
        after: Option<Position>,
    ) {
        if self.safety_levels.is_empty() {
            return;
        }
        let key = (self.site_of(place), place.sku);
        if self.safety_levels.contains_key(&key)
            && let Some(day) = self.counts_at(place)
        {
            let units = |position: Option<Position>| position.map_or(0, |position| position.movable().get());
            let sums = &mut self.safety_levels.get_mut(&key).expect("it was just seen").sums;
            sums.take(day, units(before));
            sums.add(day, units(after));
        }
    }

    /// Counts what lies of a lot, whose row is there, as that says, and no longer as `before` said. It takes no more than a look
    /// at each place or a search for each location where the SKU lies at a site with a level, until all of the lot was found.
    pub(super) fn recount_watched_lot(&mut self, id: LotId, before: &Lot) {
        let row = self.lot(id);
        let (sku, was, is) = (row.sku, counts(before), counts(row));
        if was == is || self.safety_levels.is_empty() {
            return;
        }
        let mut unfound = row.inside;
        for at in 0..self.skus[sku.index()].gates.len() {
            if unfound.is_zero() {
                return;
            }
            let (site, slot) = self.skus[sku.index()].gates[at];
            if !self.safety_levels.contains_key(&(site, sku)) {
                continue;
            }
            let units = self.stored_of_lot(slot, sku, id, &mut unfound);
            let sums = &mut self.safety_levels.get_mut(&(site, sku)).expect("it was just seen").sums;
            if let Some(day) = was {
                sums.take(day, units);
            }
            if let Some(day) = is {
                sums.add(day, units);
            }
        }
    }

    /// How much of a lot is in storage at a gate, not held and not missing. What lies there was found then, and it ends where
    /// nothing is `unfound` any more.
    fn stored_of_lot(&self, gate: u32, sku: SkuId, lot: LotId, unfound: &mut Quantity) -> u64 {
        let entries: Entries<'_> = self.places(self.gates.get(gate));
        let mut units = 0;
        for (place, position) in entries.of_lot(lot).filter_map(|entry| self.unpack_position(sku, entry)) {
            if self.location(place.location).kind == LocationKind::Storage {
                units += position.movable().get();
            }
            *unfound -= position.on_hand;
            if unfound.is_zero() {
                break;
            }
        }
        units
    }

    /// What is available of a SKU at a site where it has a safety level; nothing where it has none.
    pub(super) fn watched_available(&self, site: SiteId, sku: SkuId, now: Timestamp) -> Quantity {
        let level = self.safety_levels.get(&(site, sku));
        level.map_or(Quantity::ZERO, |level| level.sums.available(|| self.site(site).time_zone.day(now)))
    }

    /// The SKUs that have a safety level at a site and lie there in lots that have a last day.
    pub(super) fn watched_with_last_days(&self, site: SiteId) -> Vec<SkuId> {
        let here = self.safety_levels.iter().filter(|((at, _), _)| *at == site);
        here.filter(|(_, level)| level.sums.has_last_days()).map(|((_, sku), _)| *sku).collect()
    }

    /// The SKUs at sites whose sums are not those of their positions: there are none.
    pub(crate) fn wrong_sums(&self) -> impl Iterator<Item = (SiteId, SkuId)> + '_ {
        let levels = self.safety_levels.iter();
        levels.filter(|((site, sku), level)| self.added_up(*site, *sku) != level.sums).map(|(key, _)| *key)
    }
}
