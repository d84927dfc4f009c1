//! All rows, as a checkpoint writes them, and as it is loaded again.

use super::{Memory, WARM_MAX};
use crate::{Code, LocationId, LotId, Row, SiteId, SkuId, Tables, row::Wallet};

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
            .chain(self.sale_rows())
    }

    /// Every wallet and its owner, in an order that is not said.
    pub fn wallets(&self) -> impl Iterator<Item = (&Code, &Wallet)> {
        self.wallets.wallets()
    }

    /// Puts rows as [`Memory::rows`] gives them, some at a time. It comes to the same as putting each, and takes less
    /// time where rows of the same SKU follow each other.
    pub fn load(&mut self, rows: Vec<Row>) {
        let mut rows = rows.into_iter();
        let (mut near, mut together) = (0, 0);
        while let Some(next) = rows.as_slice().first() {
            if near == 0 {
                near = rows.len().min(WARM_MAX);
                self.warm_rows(&rows.as_slice()[..near]);
            }
            if let Row::Position(place, _) = *next
                && together == 0
            {
                let site = self.site_of(place);
                let same = |row: &&Row| match row {
                    Row::Position(other, _) => other.sku == place.sku && self.site_of(*other) == site,
                    _ => false,
                };
                together = rows.as_slice().iter().take_while(same).count();
                self.expect_places(place, together);
            }
            near -= 1;
            together = together.saturating_sub(1);
            rows.by_ref().take(1).for_each(|row| self.set(row));
        }
    }
}
