//! Sites, locations, SKUs and lots: set whole, as often as one likes.

use super::{Verdict, desk::Desk};
use crate::{
    Fact, LocationId, LotId, Refusal, SiteId, SkuId, Tables,
    command::{SetLocation, SetLot, SetSite, SetSku},
    row::Tracking,
};

impl<T: Tables> Desk<'_, T> {
    pub(super) fn set_site(&self, command: &SetSite) -> Result<Verdict, Refusal> {
        let found = self.tables.site_id(&command.site);
        if let Some(id) = found {
            let row = self.tables.site(id);
            if (&row.name, &row.time_zone, row.strategy)
                == (&command.name, &command.time_zone, command.strategy)
            {
                return Ok(Verdict::Repeat(row.set));
            }
        }
        Ok(Verdict::New(Fact::SiteSet {
            id: found.unwrap_or(SiteId(self.tables.head().sites)),
            code: command.site.clone(),
            name: command.name.clone(),
            time_zone: command.time_zone.clone(),
            strategy: command.strategy,
        }))
    }

    pub(super) fn set_location(&self, command: &SetLocation) -> Result<Verdict, Refusal> {
        let site = self.site(&command.site)?;
        let found = self.tables.location_id(site, &command.location);
        if let Some(id) = found {
            let row = self.tables.location(id);
            let same =
                (&row.zone, row.pick_order, row.kind) == (&command.zone, command.pick_order, command.kind);
            if same {
                return Ok(Verdict::Repeat(row.set));
            }
            // A kind decides what is available: it must not change under stock that lies there.
            if row.kind != command.kind && self.tables.is_occupied(id) {
                return Err(Refusal::LocationOccupied {
                    site: command.site.clone(),
                    location: command.location.clone(),
                });
            }
            if row.zone != command.zone {
                self.may_change_zone(command, id, &row.zone)?;
            }
        }
        Ok(Verdict::New(Fact::LocationSet {
            id: found.unwrap_or(LocationId(self.tables.head().locations)),
            site,
            code: command.location.clone(),
            zone: command.zone.clone(),
            pick_order: command.pick_order,
            kind: command.kind,
        }))
    }

    pub(super) fn set_sku(&self, command: &SetSku) -> Result<Verdict, Refusal> {
        let mut safety_stock = Vec::with_capacity(command.safety_stock.len());
        for (site, level) in &command.safety_stock {
            let site = self.site(site)?;
            if !level.is_zero() {
                safety_stock.push((site, *level));
            }
        }
        safety_stock.sort_unstable();
        let mut prices = command.prices.clone();
        prices.sort_unstable();
        let found = self.tables.sku_id(&command.sku);
        let same_prices = found.map_or(&[][..], |id| self.tables.prices(id)) == prices;
        if let Some(id) = found {
            let row = self.tables.sku(id);
            let same = (&row.name, row.tracking, &row.safety_stock)
                == (&command.name, command.tracking, &safety_stock);
            if same && same_prices {
                return Ok(Verdict::Repeat(row.set));
            }
            if row.tracking != command.tracking && row.stocked {
                return Err(Refusal::TrackingFixed { sku: command.sku.clone() });
            }
        }
        let id = found.unwrap_or(SkuId(self.tables.head().skus));
        let (code, name, tracking) = (command.sku.clone(), command.name.clone(), command.tracking);
        Ok(Verdict::New(match same_prices {
            true => Fact::SkuSet { id, code, name, tracking, safety_stock },
            false => Fact::SkuPriced { id, code, name, tracking, safety_stock, prices },
        }))
    }

    pub(super) fn set_lot(&self, command: &SetLot) -> Result<Verdict, Refusal> {
        let sku = self.sku(&command.sku)?;
        if self.tables.sku(sku).tracking == Tracking::None {
            return Err(Refusal::LotNotTracked { sku: command.sku.clone() });
        }
        let found = self.tables.lot_id(sku, &command.lot);
        if let Some(id) = found {
            let row = self.tables.lot(id);
            let same = (row.received_on, row.expires_on, row.blocked)
                == (command.received_on, command.expires_on, command.blocked);
            if same {
                return Ok(Verdict::Repeat(row.set));
            }
        }
        Ok(Verdict::New(Fact::LotSet {
            id: found.unwrap_or(LotId(self.tables.head().lots + 1)),
            sku,
            code: command.lot.clone(),
            received_on: command.received_on,
            expires_on: command.expires_on,
            blocked: command.blocked,
        }))
    }
}
