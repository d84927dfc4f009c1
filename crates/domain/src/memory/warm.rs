//! Brings rows near before they are needed.
//!
//! A decision follows a chain: the SKU's code to its row, the row to its gate, the gate to its places, each link a
//! wait for memory once the tables are larger than the caches. Decisions of a batch come one after the other and
//! would wait for every link in turn. Walking the chains of many requests side by side, a link at a time, lets the
//! processor wait for all of them at once; what was brought near is still near when the decision comes.

use std::hint::black_box;

use smallvec::SmallVec;

use super::{Memory, NOWHERE, carts::CartRow};
use crate::{
    Code, Command, Request,
    command::{Checkout, PlaceHold},
};

/// Requests whose rows are brought near together: enough to overlap, few enough to stay in the first caches.
pub const WARM_MAX: usize = 32;

impl Memory {
    /// Touches the rows that these requests will need, at most [`WARM_MAX`] of them. It changes nothing and
    /// promises nothing: requests of other kinds, and further lines, are simply not touched.
    pub fn warm<'a>(&self, requests: impl Iterator<Item = &'a Request>) {
        let mut holds: SmallVec<[&PlaceHold; WARM_MAX]> = SmallVec::new();
        let mut checkouts: SmallVec<[&Checkout; WARM_MAX]> = SmallVec::new();
        for request in requests.take(WARM_MAX) {
            match request.command() {
                Command::PlaceHold(hold) => holds.push(hold),
                Command::Checkout(checkout) => checkouts.push(checkout),
                _ => {}
            }
        }
        self.warm_holds(&holds);
        self.warm_checkouts(&checkouts);
    }

    fn warm_holds(&self, holds: &[&PlaceHold]) {
        let mut hashes: SmallVec<[(u64, u64, &Code, &Code); WARM_MAX]> = SmallVec::new();
        for hold in holds {
            if let Some(line) = hold.lines.first() {
                hashes.push((self.hash(&line.sku), self.hash(&hold.id), &line.sku, &line.site));
            }
        }
        // Each loop touches one link of every chain, and no turn of it waits for another.
        let mut ids = 0;
        for (_, id, ..) in &hashes {
            ids += u32::from(self.hold_index.find(*id, |_| true).is_some());
        }
        let skus: SmallVec<[Option<u32>; WARM_MAX]> = hashes
            .iter()
            .map(|(hash, _, sku, _)| {
                self.sku_codes.find(*hash, |slot| self.skus[slot as usize].row.code == **sku)
            })
            .collect();
        let gates: SmallVec<[u32; WARM_MAX]> = skus
            .iter()
            .zip(&hashes)
            .map(|(sku, (.., site))| {
                let gate = sku.zip(self.site_codes.get(*site)).and_then(|(sku, site)| {
                    self.skus[sku as usize].gates.iter().find(|(other, _)| other == site)
                });
                gate.map_or(NOWHERE, |(_, slot)| *slot)
            })
            .collect();
        let holders: SmallVec<[u32; WARM_MAX]> = gates
            .iter()
            .filter(|slot| **slot != NOWHERE)
            .filter_map(|slot| self.places(self.gates.get(*slot)).first())
            .map(|entry| entry.holder)
            .collect();
        let mut nodes = 0;
        for holder in &holders {
            if *holder != NOWHERE {
                nodes ^= self.links(*holder).previous;
            }
        }
        black_box((ids, nodes));
    }

    fn warm_checkouts(&self, checkouts: &[&Checkout]) {
        let hashes =
            checkouts.iter().map(|checkout| (self.hash(&checkout.id), self.hash(checkout.order_id())));
        let hashes: SmallVec<[(u64, u64); WARM_MAX]> = hashes.collect();
        black_box(hashes.iter().filter(|(_, order)| self.orders.slot_near(*order).is_some()).count());
        black_box(hashes.iter().filter(|(_, order)| self.carts.sale_near(*order)).count());
        let carts: SmallVec<[&CartRow; WARM_MAX]> =
            hashes.iter().filter_map(|(cart, _)| self.carts.row_near(*cart)).collect();
        let wallets: SmallVec<[u32; WARM_MAX]> =
            carts.iter().filter_map(|cart| self.wallets.slot_near(&cart.owner)).collect();
        black_box(carts.iter().map(|cart| cart.first_sku().0).fold(0, u32::wrapping_add));
        black_box(wallets.iter().filter(|slot| self.wallets.has_first_balance(**slot)).count());
    }

    /// Touches these orders, at most [`WARM_MAX`] of them, and where they wait for a worker.
    pub(super) fn warm_orders(&self, ids: &[Code]) {
        let ids = &ids[..ids.len().min(WARM_MAX)];
        let hashes: SmallVec<[u64; WARM_MAX]> = ids.iter().map(|id| self.hash(id)).collect();
        let slots: SmallVec<[u32; WARM_MAX]> =
            hashes.iter().filter_map(|hash| self.orders.slot_near(*hash)).collect();
        black_box(slots.iter().map(|slot| self.orders.rows.get(*slot).placed.0).fold(0, u64::wrapping_add));
        black_box(slots.iter().filter(|slot| self.orders.is_waiting(**slot)).count());
    }
}
