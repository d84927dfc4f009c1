//! All rows, as a checkpoint writes them.

use super::Memory;
use crate::{LocationId, LotId, Row, SiteId, SkuId};

impl Memory {
    /// Every row, so that putting them one after the other into empty tables rebuilds these. The order among
    /// rows of a kind is not said.
    pub fn rows(&self) -> impl Iterator<Item = Row> + '_ {
        let sites =
            self.sites.iter().zip(0..).map(|(row, id)| Row::Site(SiteId(id), Some(Box::new(row.clone()))));
        let locations = self
            .locations
            .iter()
            .zip(0..)
            .map(|(row, id)| Row::Location(LocationId(id), Some(Box::new(row.clone()))));
        let skus =
            self.skus.iter().zip(0..).map(|(sku, id)| Row::Sku(SkuId(id), Some(Box::new(sku.row.clone()))));
        let lots =
            self.lots.iter().zip(1..).map(|(row, id)| Row::Lot(LotId(id), Some(Box::new(row.clone()))));
        let gates = self.gates.iter().map(|(_, row)| Row::Gate(row.site, row.sku, self.unpack_gate(row)));
        let positions = self.gates.iter().flat_map(|(_, gate)| {
            let positions =
                self.places(gate).iter().filter_map(|entry| self.unpack_position(gate.sku, entry));
            positions.map(|(place, position)| Row::Position(place, Some(position)))
        });
        let outside = self.skus.iter().zip(0..).flat_map(|(sku, id)| {
            sku.outside.iter().map(move |(outside, balance)| Row::Outside(SkuId(id), outside, balance))
        });
        let holds = self.holds.iter().map(|(_, row)| Row::Hold(row.id.code(), Some(self.unpack_hold(row))));
        let transfers = self.transfers.iter().flat_map(|(_, row)| {
            [
                Row::Transfer(row.id.clone(), Some(Box::new(row.transfer.clone()))),
                Row::Lines(row.id.clone(), Some(row.lines.iter().map(|row| row.line.clone()).collect())),
            ]
        });
        let filed = self.filed.iter().map(|(filing, filed)| Row::Filed(filing.clone(), Some(*filed)));
        let answered =
            self.answered_order.values().map(|key| Row::Answered(key.clone(), Some(self.answered[key])));
        std::iter::once(Row::Head(self.head))
            .chain(sites)
            .chain(locations)
            .chain(skus)
            .chain(lots)
            .chain(gates)
            .chain(positions)
            .chain(outside)
            .chain(holds)
            .chain(transfers)
            .chain(filed)
            .chain(answered)
            .chain(self.wallets.rows())
            .chain(self.order_rows())
            .chain(self.fences.iter().map(|(resource, row)| Row::Fence(resource.clone(), Some(*row))))
            .chain(self.trades.rows())
            .chain(self.pick_claim_rows())
            .chain(self.cart_rows())
    }
}
