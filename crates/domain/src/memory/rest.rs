//! Documents that came to rest leave memory, and come back when somebody names them.

use super::Memory;
use crate::{
    Code, DocumentKey, Row, Tables,
    row::{AuthorizationStatus, HoldStatus, Transfer, TransferStatus},
};

impl Memory {
    /// Whether the document has rows here.
    pub fn has(&self, key: &DocumentKey) -> bool {
        match key {
            DocumentKey::Hold(id) => self.hold_slot(id).is_some(),
            DocumentKey::Transfer(id) => self.transfer_slot(id).is_some(),
            DocumentKey::Filed(filing) => self.filed.contains_key(filing),
            DocumentKey::Authorization(id) => self.wallets.authorization(id).is_some(),
            DocumentKey::Order(id) => self.order_slot(id).is_some(),
            DocumentKey::Proposal(id) => self.trades.proposal(id).is_some(),
            DocumentKey::Cart(id) => self.cart_slot(id).is_some(),
        }
    }

    /// Whether the document is here and its story is over: it holds nothing, and nothing is on the way for it. What
    /// was received may still be closed, or a surplus be found; whoever names it brings it back.
    pub fn is_at_rest(&self, key: &DocumentKey) -> bool {
        match key {
            DocumentKey::Hold(id) => {
                self.hold_slot(id).is_some_and(|slot| self.holds.get(slot).status() != HoldStatus::Held)
            }
            DocumentKey::Transfer(id) => {
                self.transfer_slot(id).is_some_and(|slot| rests(&self.transfers.get(slot).transfer))
            }
            DocumentKey::Filed(filing) => self.filed.contains_key(filing),
            DocumentKey::Authorization(id) => {
                self.wallets.authorization(id).is_some_and(|row| row.status() != AuthorizationStatus::Open)
            }
            DocumentKey::Order(id) => {
                self.order_slot(id).is_some_and(|slot| self.orders.rows.get(slot).status.may_rest())
            }
            DocumentKey::Proposal(id) => self.trades.proposal(id).is_some_and(|row| row.end.is_some()),
            DocumentKey::Cart(id) => {
                self.cart_slot(id).is_some_and(|slot| self.carts.rows.get(slot).status.may_rest())
            }
        }
    }

    /// All documents here that are at rest, in no particular order.
    pub fn at_rest(&self) -> impl Iterator<Item = DocumentKey> + '_ {
        let holds = self.holds.iter().filter(|(_, row)| row.status() != HoldStatus::Held);
        let transfers = self.transfers.iter().filter(|(_, row)| rests(&row.transfer));
        let authorizations =
            self.wallets.authorizations().filter(|(_, row)| row.status() != AuthorizationStatus::Open);
        let orders = self.orders.rows.iter().filter(|(_, row)| row.status.may_rest());
        let proposals = self.trades.proposals().filter(|(_, row)| row.end.is_some());
        let carts = self.carts.rows.iter().filter(|(_, row)| row.status.may_rest());
        holds
            .map(|(_, row)| DocumentKey::Hold(row.id.code()))
            .chain(transfers.map(|(_, row)| DocumentKey::Transfer(row.id.clone())))
            .chain(self.filed.iter().map(|(filing, _)| DocumentKey::Filed(filing.clone())))
            .chain(authorizations.map(|(id, _)| DocumentKey::Authorization(id.clone())))
            .chain(orders.map(|(_, row)| DocumentKey::Order(row.id.clone())))
            .chain(proposals.map(|(id, _)| DocumentKey::Proposal(id.clone())))
            .chain(carts.map(|(_, row)| DocumentKey::Cart(row.id.clone())))
    }

    /// The document's rows, in the order in which they are put back; none if it is not here.
    pub fn rows_of(&self, key: &DocumentKey) -> Vec<Row> {
        match key {
            DocumentKey::Hold(id) => {
                self.hold(id).map(|hold| Row::Hold(id.clone(), Some(hold))).into_iter().collect()
            }
            DocumentKey::Transfer(id) => {
                let Some(slot) = self.transfer_slot(id) else { return Vec::new() };
                let row = self.transfers.get(slot);
                let lines = row.lines.iter().map(|row| row.line.clone()).collect();
                vec![
                    Row::Transfer(id.clone(), Some(Box::new(row.transfer.clone()))),
                    Row::Lines(id.clone(), Some(lines)),
                ]
            }
            DocumentKey::Filed(filing) => {
                self.filed(filing).map(|filed| Row::Filed(filing.clone(), Some(filed))).into_iter().collect()
            }
            DocumentKey::Authorization(id) => self
                .authorization(id)
                .map(|row| Row::Authorization(id.clone(), Some(Box::new(row))))
                .into_iter()
                .collect(),
            DocumentKey::Order(id) => {
                let order = self.order(id).map(|row| Row::Order(id.clone(), Some(Box::new(row))));
                let sale = self.sale(id).map(|row| Row::Sale(id.clone(), Some(Box::new(row))));
                order.into_iter().chain(sale).collect()
            }
            DocumentKey::Cart(id) => {
                self.cart(id).map(|row| Row::Cart(id.clone(), Some(Box::new(row)))).into_iter().collect()
            }
            DocumentKey::Proposal(id) => {
                let row = self.proposal(id).map(|row| Row::Proposal(id.clone(), Some(Box::new(row))));
                row.into_iter().collect()
            }
        }
    }

    /// Takes the rows of a document out, which must be here and at rest: nothing else refers to them.
    pub fn take_out(&mut self, key: &DocumentKey) {
        assert!(self.is_at_rest(key), "only what is at rest leaves memory: {key:?}");
        match key {
            DocumentKey::Hold(id) => drop(self.put_hold(id.clone(), None)),
            DocumentKey::Transfer(id) => drop(self.put_transfer(id, None)),
            DocumentKey::Filed(filing) => drop(self.filed.remove(filing)),
            DocumentKey::Authorization(id) => drop(self.wallets.put_authorization(id, None)),
            DocumentKey::Order(id) => {
                drop(self.put_sale(id, None));
                drop(self.put_order(id, None));
            }
            DocumentKey::Cart(id) => self.put_cart(id, None),
            DocumentKey::Proposal(id) => drop(self.trades.put_proposal(id, None)),
        }
    }

    /// How many lines a document has here: what work on all of it comes to.
    pub fn line_count(&self, key: &DocumentKey) -> usize {
        match key {
            DocumentKey::Hold(id) => self.hold_slot(id).map_or(0, |slot| self.holds.get(slot).line_count()),
            DocumentKey::Transfer(id) => {
                self.transfer_slot(id).map_or(0, |slot| self.transfers.get(slot).lines.len())
            }
            DocumentKey::Filed(_) | DocumentKey::Authorization(_) => 1,
            DocumentKey::Order(id) => {
                self.order_slot(id).map_or(0, |slot| self.orders.rows.get(slot).line_count())
            }
            // Accepting it ends the others on its cards.
            DocumentKey::Proposal(id) => match self.trades.proposal(id) {
                Some(row) if row.end.is_none() => {
                    self.trades.open_on(&row.from_card) + self.trades.open_on(&row.to_card)
                }
                _ => 1,
            },
            DocumentKey::Cart(id) => {
                self.cart_slot(id).map_or(0, |slot| self.carts.rows.get(slot).line_count())
            }
        }
    }

    /// The transfer's row without its lines.
    pub fn transfer_header(&self, id: &Code) -> Option<&Transfer> {
        self.transfer_slot(id).map(|slot| &self.transfers.get(slot).transfer)
    }
}

/// Whether nothing more will happen to a transfer by itself.
fn rests(transfer: &Transfer) -> bool {
    transfer.status().may_rest()
}

impl TransferStatus {
    /// Whether a transfer of this status holds nothing and has nothing on the way.
    pub fn may_rest(self) -> bool {
        matches!(self, Self::Received | Self::Closed | Self::Cancelled)
    }
}
