//! Brings rows near before they are needed.
//!
//! A decision follows a chain: the SKU's code to its row, the row to its gate, the gate to its places, each link a
//! wait for memory once the tables are larger than the caches. Decisions of a batch come one after the other and
//! would wait for every link in turn. Walking the chains of many requests side by side, a link at a time, lets the
//! processor wait for all of them at once; what was brought near is still near when the decision comes.

use std::hint::black_box;

use smallvec::SmallVec;

use super::{Memory, NOWHERE, carts::CartRow, crowd::Entries};
use crate::{
    Code, Command, Event, Fact, Place, Request, Row, SiteId, SkuId,
    command::{Checkout, PlaceHold},
    event::Take,
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
                let both = sku.zip(self.site_codes.get(*site));
                both.and_then(|(sku, site)| self.skus[sku as usize].gate(*site)).unwrap_or(NOWHERE)
            })
            .collect();
        let holders: SmallVec<[u32; WARM_MAX]> = gates
            .iter()
            .filter(|slot| **slot != NOWHERE)
            .filter_map(|slot| self.places(self.gates.get(*slot)).iter().next())
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

    /// Touches the rows that these events will change, at most [`WARM_MAX`] of them: for replay, which applies one
    /// after the other. Of each event it is the first place: where many are held, the others follow when it is applied.
    pub fn warm_events(&self, events: &[Event]) {
        let mut ids: SmallVec<[u64; WARM_MAX]> = SmallVec::new();
        let mut known: SmallVec<[u64; WARM_MAX]> = SmallVec::new();
        let mut places: SmallVec<[Place; WARM_MAX]> = SmallVec::new();
        for Event { fact, .. } in events.iter().take(WARM_MAX) {
            let takes: &[Take] = match fact {
                Fact::Held { id, takes, .. } => {
                    ids.push(self.hash(id));
                    takes
                }
                Fact::HoldConfirmed { id, takes, .. }
                | Fact::HoldReleased { id, takes }
                | Fact::HoldChanged { id, takes, .. } => {
                    known.push(self.hash(id));
                    takes
                }
                Fact::HoldExtended { id, .. } => {
                    known.push(self.hash(id));
                    &[]
                }
                Fact::OrderPlaced { takes, .. }
                | Fact::OrderAllocated { takes, .. }
                | Fact::OrderReallocated { takes, .. }
                | Fact::OrderCompleted { takes, .. }
                | Fact::OrderCancelled { released: takes, .. }
                | Fact::CartOrdered { takes, .. }
                | Fact::CartItemSet { takes, .. } => takes,
                Fact::Adjusted { lines, .. } => {
                    places.extend(lines.iter().take(1).map(|line| line.place));
                    &[]
                }
                _ => &[],
            };
            places.extend(takes.iter().take(1).map(Take::place));
        }
        black_box(ids.iter().filter(|id| self.hold_index.find(**id, |_| true).is_some()).count());
        let slots: SmallVec<[u32; WARM_MAX]> =
            known.iter().filter_map(|id| self.hold_index.find(*id, |_| true)).collect();
        black_box(slots.iter().map(|slot| self.holds.get(*slot).placed.0).fold(0, u64::wrapping_add));
        self.warm_places(places.into_iter());
    }

    /// Touches what putting these rows into growing tables will need, at most [`WARM_MAX`] of them: the location of each
    /// position, and the end of its list.
    pub(super) fn warm_rows(&self, rows: &[Row]) {
        let mut sum = 0;
        for row in rows.iter().take(WARM_MAX) {
            if let Row::Position(Place { location, .. }, _) = row {
                let site = self.locations.get(location.index()).map_or(0, |row| row.site.0);
                sum ^= u64::from(site) ^ self.by_location.last(*location).map_or(0, |sku| u64::from(sku.0));
            }
        }
        black_box(sum);
    }

    /// Touches the gates of these SKUs at these sites and what lies there, at most [`WARM_MAX`] of them.
    pub(super) fn warm_gates(&self, skus: impl Iterator<Item = (SiteId, SkuId)>) {
        let gates: SmallVec<[u32; WARM_MAX]> =
            skus.take(WARM_MAX).filter_map(|(site, sku)| self.gate_near(site, sku)).collect();
        let crowds: SmallVec<[Entries<'_>; WARM_MAX]> =
            gates.iter().map(|slot| self.places(self.gates.get(*slot))).collect();
        let first = crowds.iter().filter_map(|entries| entries.iter().next());
        black_box(first.map(|entry| entry.holder).fold(0, u32::wrapping_add));
    }

    /// The slot of a gate, if there is one. The SKU and the site may be of an event that is applied with this one, and not
    /// be there yet.
    fn gate_near(&self, site: SiteId, sku: SkuId) -> Option<u32> {
        self.skus.get(sku.index())?.gate(site)
    }

    /// Touches places, at most [`WARM_MAX`] of them, and the first holder of each.
    pub(super) fn warm_places(&self, places: impl Iterator<Item = Place>) {
        let gates: SmallVec<[(Place, u32); WARM_MAX]> = places
            .take(WARM_MAX)
            .filter_map(|place| {
                let site = self.locations.get(place.location.index())?.site;
                Some((place, self.gate_near(site, place.sku)?))
            })
            .collect();
        // Where a gate's places are, and then what stands there: a gate with one place has it in its row.
        let crowds: SmallVec<[(Place, Entries<'_>); WARM_MAX]> =
            gates.iter().map(|(place, slot)| (*place, self.places(self.gates.get(*slot)))).collect();
        let holders: SmallVec<[u32; WARM_MAX]> = crowds
            .iter()
            .filter_map(|(place, entries)| {
                entries.find(place.location, place.lot).ok().map(|at| entries.get(at).holder)
            })
            .collect();
        let held = holders.iter().filter(|holder| **holder != NOWHERE);
        black_box(held.map(|holder| self.links(*holder).previous).fold(0, u32::wrapping_add));
    }

    fn warm_checkouts(&self, checkouts: &[&Checkout]) {
        let hashes =
            checkouts.iter().map(|checkout| (self.hash(&checkout.id), self.hash(checkout.order_id())));
        let hashes: SmallVec<[(u64, u64); WARM_MAX]> = hashes.collect();
        black_box(hashes.iter().filter(|(_, order)| self.orders.slot_near(*order).is_some()).count());
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
