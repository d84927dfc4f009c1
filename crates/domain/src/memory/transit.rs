//! What of a lot is on the way between two sites.

use super::Memory;
use crate::{
    LotId, Quantity, Tables,
    limits::{SCAN_MAX, TRANSIT_SHOWN_MAX},
    query::InTransit,
    row::Transfer,
};

impl Memory {
    /// Notes whether anything is on the way for a transfer.
    pub(super) fn note_transit(&mut self, slot: u32) {
        let Transfer { requested, totals, .. } = &self.transfers.get(slot).transfer;
        if totals.in_transit.is_zero() {
            self.by_transit.remove(requested);
        } else {
            self.by_transit.insert(*requested, slot);
        }
    }

    /// The lines that have of a lot on the way, oldest request first: at most [`TRANSIT_SHOWN_MAX`], of as many as a
    /// question may look at, and none after `total` is found.
    pub(super) fn transit_of(&self, lot: LotId, total: Quantity) -> Vec<InTransit> {
        let (mut found, mut left, mut looked) = (Vec::new(), total, 0);
        for slot in self.by_transit.values() {
            let row = self.transfers.get(*slot);
            for line in &row.lines {
                if left.is_zero() || found.len() == TRANSIT_SHOWN_MAX || looked == SCAN_MAX {
                    return found;
                }
                looked += 1;
                let on_way = line.line.transit.iter().filter(|(on_way, _)| *on_way == lot);
                let quantity: Quantity = on_way.map(|(_, quantity)| *quantity).sum();
                if !quantity.is_zero() {
                    left -= quantity;
                    found.push(InTransit {
                        transfer: row.id.clone(),
                        line: line.line.name.clone(),
                        quantity,
                        from: self.site(row.transfer.from).code.clone(),
                        to: self.site(row.transfer.to).code.clone(),
                    });
                }
            }
        }
        found
    }
}
