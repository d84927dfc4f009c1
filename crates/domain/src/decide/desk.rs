//! One decision at its desk: the tables, the time, and what earlier lines of the same command took.

use hashbrown::HashMap;

use super::shelf::Shelf;
use crate::{
    Code, LocationId, LotId, Outside, Place, Quantity, Refusal, SiteId, SkuId, Tables, Timestamp,
    limits::QUANTITY_MAX,
    query,
    refusal::OfLine,
    row::{self, LocationKind, Tracking},
};

pub(super) struct Desk<'a, T> {
    pub(super) tables: &'a T,
    pub(super) now: Timestamp,
    /// What earlier lines of this command took, by place.
    pub(super) taken: HashMap<Place, Quantity>,
    /// What this command gives back before it takes: a hold does not count against itself.
    pub(super) credit: HashMap<Place, Quantity>,
    /// SKUs at sites of which there are many positions, once a line has looked at them, and from the second line on what
    /// is left there.
    pub(super) shelves: HashMap<(SiteId, SkuId), Option<Shelf<'a>>>,
    /// How many positions the next line may take from.
    pub(super) picks_max: usize,
}

impl<'a, T: Tables> Desk<'a, T> {
    pub(super) fn new(tables: &'a T, now: Timestamp) -> Self {
        Self {
            tables,
            now,
            taken: HashMap::new(),
            credit: HashMap::new(),
            shelves: HashMap::new(),
            picks_max: usize::MAX,
        }
    }

    pub(super) fn site(&self, code: &Code) -> Result<SiteId, Refusal> {
        self.tables.site_id(code).ok_or_else(|| Refusal::SiteNotFound { site: code.clone() })
    }

    pub(super) fn sku(&self, code: &Code) -> Result<SkuId, Refusal> {
        self.tables.sku_id(code).ok_or_else(|| Refusal::SkuNotFound { sku: code.clone() })
    }

    pub(super) fn location(&self, site: SiteId, code: &Code) -> Result<LocationId, Refusal> {
        self.tables.location_id(site, code).ok_or_else(|| Refusal::LocationNotFound {
            site: self.tables.site(site).code.clone(),
            location: code.clone(),
        })
    }

    /// A location of the kind that is needed: the one that is named, or else the site's first.
    pub(super) fn location_of_kind(
        &self,
        site: SiteId,
        code: Option<&Code>,
        needed: LocationKind,
    ) -> Result<LocationId, Refusal> {
        let Some(code) = code else {
            return self.tables.first_location(site, needed).ok_or_else(|| Refusal::NoLocation {
                site: self.tables.site(site).code.clone(),
                kind: needed.name(),
            });
        };
        let location = self.location(site, code)?;
        self.need_kind(location, needed)?;
        Ok(location)
    }

    pub(super) fn need_kind(&self, location: LocationId, needed: LocationKind) -> Result<(), Refusal> {
        let row = self.tables.location(location);
        if row.kind == needed {
            return Ok(());
        }
        Err(Refusal::WrongLocationKind {
            site: self.tables.site(row.site).code.clone(),
            location: row.code.clone(),
            kind: row.kind.name(),
            needed: needed.name(),
        })
    }

    /// The lot that a line restricts itself to, if it names one.
    pub(super) fn wanted_lot(&self, sku: SkuId, lot: Option<&Code>) -> Result<Option<LotId>, Refusal> {
        let Some(lot) = lot else { return Ok(None) };
        let row = self.tables.sku(sku);
        if row.tracking == Tracking::None {
            return Err(Refusal::LotNotTracked { sku: row.code.clone() });
        }
        match self.tables.lot_id(sku, lot) {
            Some(lot) => Ok(Some(lot)),
            None => Err(Refusal::LotNotFound { sku: row.code.clone(), lot: lot.clone() }),
        }
    }

    /// The lot of stock that is named exactly: tracked stock has one, other stock has none.
    pub(super) fn exact_lot(&self, sku: SkuId, lot: Option<&Code>) -> Result<LotId, Refusal> {
        let found = self.wanted_lot(sku, lot)?;
        let row = self.tables.sku(sku);
        match found {
            Some(lot) => Ok(lot),
            None if row.tracking == Tracking::None => Ok(LotId::NONE),
            None => Err(Refusal::LotRequired { sku: row.code.clone() }),
        }
    }

    /// Goods of a blocked lot stay where they are.
    pub(super) fn not_blocked(&self, lot: LotId) -> Result<(), Refusal> {
        if lot == LotId::NONE {
            return Ok(());
        }
        let row = self.tables.lot(lot);
        if !row.blocked {
            return Ok(());
        }
        let (sku, lot) = (self.tables.sku(row.sku).code.clone(), row.code.clone());
        Err(Refusal::LotBlocked { sku, lot, line: None })
    }

    /// Goods of a blocked lot stay where they are, and those of an expired lot stay at their site: they may be moved
    /// there, put back or thrown away, and nobody gets them.
    pub(super) fn may_leave(&self, place: Place) -> Result<(), Refusal> {
        self.not_blocked(place.lot)?;
        let Some(expires_on) = query::expired(self.tables, place, self.now) else { return Ok(()) };
        let row = self.tables.lot(place.lot);
        let sku = self.tables.sku(row.sku).code.clone();
        Err(Refusal::LotExpired { sku, lot: row.code.clone(), expires_on, line: None })
    }

    /// How much of a SKU is inside: the negative of what is outside.
    pub(super) fn inside(&self, sku: SkuId) -> i64 {
        -Outside::ALL.iter().map(|outside| self.tables.outside(sku, *outside)).sum::<i64>()
    }

    /// Whether `quantity` may come in from `outside` (or go there, where it is negative), given what earlier
    /// lines already moved.
    pub(super) fn fits(
        &self,
        sku: SkuId,
        outside: Outside,
        quantity: Quantity,
        incoming: bool,
        moved: &mut HashMap<(SkuId, Option<Outside>), i64>,
    ) -> Result<(), Refusal> {
        let max = i64::try_from(QUANTITY_MAX).expect("QUANTITY_MAX fits an i64");
        let change = if incoming { quantity.signed() } else { -quantity.signed() };
        let inside = moved.entry((sku, None)).or_insert_with(|| self.inside(sku));
        *inside += change;
        let too_much_inside = *inside > max;
        let account = moved.entry((sku, Some(outside))).or_insert_with(|| self.tables.outside(sku, outside));
        *account -= change;
        if too_much_inside || account.abs() > max {
            let sku = self.tables.sku(sku).code.clone();
            return Err(Refusal::QuantityTooLarge { sku, quantity, max: QUANTITY_MAX });
        }
        Ok(())
    }

    pub(super) fn position(&self, place: Place) -> row::Position {
        self.tables.position(place).unwrap_or(row::Position {
            on_hand: Quantity::ZERO,
            held: Quantity::ZERO,
            missing: Quantity::ZERO,
            since: self.now,
        })
    }
}

/// The refusal of goods that may not leave, with the line of the document that has them, and the place where the request
/// names that line, if it does.
pub(super) fn stuck_in(refusal: Refusal, line: Code, named: Option<usize>) -> Refusal {
    let refusal = refusal.had_by(line);
    match named {
        Some(at) => refusal.of_line(at, "line"),
        None => refusal,
    }
}
