//! The list of open holds, found by what they hold.

use super::{
    Memory,
    list::{limit, start},
};
use crate::{
    Code, LotId, Quantity, Sequence, SiteId, SkuId,
    limits::SCAN_MAX,
    query::{HoldSummary, Listed, Page},
    row::{Hold, HolderKind, Pick},
};

/// Which open holds to list.
pub(super) struct HoldFilter<'a> {
    pub(super) sku: Option<SkuId>,
    pub(super) lot: Option<LotId>,
    pub(super) site: Option<SiteId>,
    pub(super) owner: Option<&'a Code>,
}

impl Memory {
    /// A page of the open holds that fit, in the order in which they were placed.
    ///
    /// Where a SKU is named, its holders, or those of the lot, are the narrowest way in, as long as they and the places
    /// where they are looked for are not more than a page may look at. Otherwise, and with more of them, it looks at all
    /// open holds from where the page begins. Both ways have the one order in which a page can go on where another ended.
    ///
    /// The second part is how many places, holders, lines and picks it looked at.
    pub(super) fn holds_page(&self, filter: &HoldFilter<'_>, page: &Page) -> (Listed<HoldSummary>, usize) {
        let start = start(page);
        let mut searched = 0;
        let (listed, looked) = match self.holds_of(filter, &mut searched) {
            Some(near) => self.listed(near.into_iter().filter(|(placed, _)| *placed >= start), filter, page),
            None => self.listed(
                self.open_holds.from(start.0).map(|(at, slot)| (Sequence(at), slot)),
                filter,
                page,
            ),
        };
        (listed, searched + looked)
    }

    /// The holds that hold of a SKU, at the site and of the lot of the filter, in the order in which they were placed;
    /// `None` where there are more places and holders to look at than a page may.
    fn holds_of(&self, filter: &HoldFilter<'_>, looked: &mut usize) -> Option<Vec<(Sequence, u32)>> {
        let found = self.holders_of(filter.sku?, filter.lot, filter.site, looked)?;
        let holds = found.into_iter().filter(|document| document.kind == HolderKind::Hold);
        Some(holds.map(|document| (document.made, document.slot)).collect())
    }

    /// The holds that fit, of which it looks at a bounded number of lines and picks, and how many it looked at.
    fn listed(
        &self,
        holds: impl Iterator<Item = (Sequence, u32)>,
        filter: &HoldFilter<'_>,
        page: &Page,
    ) -> (Listed<HoldSummary>, usize) {
        let (limit, mut looked) = (limit(page), 0);
        let (mut items, mut last) = (Vec::new(), None);
        for (placed, slot) in holds {
            if items.len() == limit || looked >= SCAN_MAX {
                return (Listed { items, next: last }, looked);
            }
            let row = self.holds.get(slot);
            looked += row.line_count() + row.pick_count();
            last = Some(placed.0);
            if filter.owner.is_some_and(|owner| self.owner_of(row).is_none_or(|other| *other != *owner)) {
                continue;
            }
            let hold = self.unpack_hold(row);
            let held = self.held_within(&hold, filter);
            // An open hold holds something.
            if !held.is_zero() {
                let held = filter.sku.map(|_| held);
                let line_count = u32::try_from(hold.lines.len()).expect("a hold has few lines");
                let (id, Hold { owner, expires_at, .. }) = (row.id.code(), hold);
                items.push(HoldSummary { id, owner, expires_at, line_count, held });
            }
        }
        (Listed { items, next: None }, looked)
    }

    /// How much a hold holds of what the filter names. Of several SKUs it may be more than a quantity can be, and is
    /// told to nobody.
    fn held_within(&self, hold: &Hold, filter: &HoldFilter<'_>) -> Quantity {
        let lines = hold.lines.iter().filter(|line| {
            filter.sku.is_none_or(|sku| sku == line.sku) && filter.site.is_none_or(|site| site == line.site)
        });
        let of_lot = |pick: &&Pick| filter.lot.is_none_or(|lot| lot == pick.lot);
        lines
            .flat_map(|line| line.picks.iter().filter(of_lot))
            .fold(Quantity::ZERO, |sum, pick| sum.checked_add(pick.quantity).unwrap_or(sum))
    }
}
