//! What lies where: gates with their places, and positions.

use std::{cmp::Reverse, collections::BinaryHeap};

use smallvec::SmallVec;

use super::{
    Memory,
    carts::CartRow,
    crowd::Entries,
    places::{Entry, GateRow, Marks},
    transfers::{LineRow, TransferRow},
};
use crate::{
    Code, Command, LocationId, LotId, Place, Quantity, SiteId, SkuId, Tables,
    row::{CartStatus, Gate, OrderAllocation, Position},
};

impl Memory {
    /// What lies somewhere, from this place on, in the order of places.
    pub fn positions_from(&self, from: Place) -> impl Iterator<Item = (Place, Position)> + '_ {
        let skus = self.by_location.from(from.location, from.sku);
        skus.flat_map(move |(location, sku)| {
            self.lots_from(from.max(Place { location, sku, lot: LotId::NONE }))
        })
    }

    /// What lies at the location of a place, from this place on: it costs what it gives, however many locations are empty.
    pub fn positions_at(&self, from: Place) -> impl Iterator<Item = (Place, Position)> + '_ {
        let location = from.location;
        let skus = self.by_location.at(location, from.sku);
        skus.flat_map(move |sku| self.lots_from(from.max(Place { location, sku, lot: LotId::NONE })))
    }

    /// What lies of a SKU at a location, in the order of its lots.
    pub(super) fn lots_at(
        &self,
        location: LocationId,
        sku: SkuId,
    ) -> impl Iterator<Item = (Place, Position)> + '_ {
        self.lots_from(Place { location, sku, lot: LotId::NONE })
    }

    /// What lies of the SKU of a place at its location, from its lot on.
    pub(super) fn lots_from(&self, from: Place) -> impl Iterator<Item = (Place, Position)> + '_ {
        let Place { location, sku, lot } = from;
        let site = self.locations[location.index()].site;
        let places =
            self.gate_slot(site, sku).map_or(Entries::NONE, |slot| self.places(self.gates.get(slot)));
        let here = places.from(location, lot).take_while(move |entry| entry.location == location);
        here.filter_map(move |entry| self.unpack_position(sku, entry))
    }

    /// Where a SKU lies, at a site or at all of them, from a lot at a location on, in the order of places. It costs a search
    /// for each site that ever had some, and then what is taken.
    pub(super) fn places_of(
        &self,
        sku: SkuId,
        site: Option<SiteId>,
        location: LocationId,
        lot: LotId,
    ) -> impl Iterator<Item = Place> + '_ {
        let rests = self.entries_of(sku, site).map(move |entries| {
            let rest = entries.from(location, lot);
            rest.filter_map(move |entry| self.unpack_position(sku, entry)).map(|(place, _)| place)
        });
        in_order(rests.collect())
    }

    /// Where a lot lies, at a site or at all of them, and where a search for it comes by, from a lot at a location on, in
    /// the order of places. It ends where the last of the lot was found.
    pub(super) fn places_towards(
        &self,
        (sku, lot): (SkuId, LotId),
        site: Option<SiteId>,
        location: LocationId,
        from: LotId,
    ) -> impl Iterator<Item = Place> + '_ {
        let mut unfound = self.lot(lot).inside;
        let rests = self.entries_of(sku, site).map(move |entries| {
            let rest = entries.on_the_way(lot, location, from);
            rest.filter_map(move |entry| self.unpack_position(sku, entry)).map(move |(place, position)| {
                (place, if place.lot == lot { position.on_hand } else { Quantity::ZERO })
            })
        });
        in_order(rests.collect()).map_while(move |(place, found)| {
            let is_left = !unfound.is_zero();
            unfound -= found;
            is_left.then_some(place)
        })
    }

    /// The sites where a SKU ever was.
    pub(super) fn sites_of(&self, sku: SkuId) -> impl Iterator<Item = SiteId> {
        self.skus[sku.index()].gates.iter().map(|(site, _)| *site)
    }

    /// What a SKU has at each site where it ever had some, or at one.
    pub(super) fn entries_of(&self, sku: SkuId, site: Option<SiteId>) -> impl Iterator<Item = Entries<'_>> {
        let gates = self.skus[sku.index()].gates(site).iter();
        gates.map(|(_, slot)| self.places(self.gates.get(*slot)))
    }

    /// How many positions a SKU has, at all sites.
    pub(super) fn position_count_of(&self, sku: SkuId) -> usize {
        self.entries_of(sku, None).map(Entries::len).sum()
    }

    pub(super) fn places<'a>(&'a self, gate: &'a GateRow) -> Entries<'a> {
        gate.places.get(&self.crowds)
    }

    /// How many positions a command looks at to allocate its lines, or to give those who wait what an adjustment or a lot
    /// brings, in all; each SKU at a site counts once. A repeat looks at none; but
    /// an order that is allocated again counts its goods of lots with a last day as if that were over. Not counted are what is looked at for a cart or
    /// an order that is not there yet but to place it, and what others bring to those who wait: moves, receipts, releases,
    /// cancels, reversals and a site's time zone, and what an adjustment takes from them.
    pub fn positions_looked_at(&self, command: &Command) -> usize {
        let mut gates: SmallVec<[u32; 8]> = SmallVec::new();
        let mut note = |site: &Code, sku: &Code| {
            if let (Some(site), Some(sku)) = (self.site_id(site), self.sku_id(sku)) {
                gates.extend(self.gate_slot(site, sku));
            }
        };
        match command {
            Command::PlaceHold(place) if self.hold_slot(&place.id).is_some() => return 0,
            Command::PlaceHold(place) => place.lines.iter().for_each(|line| note(&line.site, &line.sku)),
            Command::ChangeHold(change) => change.lines.iter().for_each(|line| note(&line.site, &line.sku)),
            Command::PlaceOrder(place) if self.order_slot(&place.id).is_some() => return 0,
            Command::PlaceOrder(place) if !self.allocates_on_arrival(&place.site) => return 0,
            Command::PlaceOrder(place) => place.lines.iter().for_each(|line| note(&place.site, &line.sku)),
            Command::AllocateOrder(allocate) => {
                self.lacking_gates(&allocate.id, &mut gates);
                self.stuck_gates(&allocate.id, &mut gates);
            }
            Command::CompleteOrder(complete) => {
                let site = self.order_slot(&complete.id).map(|slot| self.orders.rows.get(slot).site);
                if site.is_some_and(|site| self.order_allocation(site) == OrderAllocation::AtCompletion) {
                    self.lacking_gates(&complete.id, &mut gates);
                }
            }
            Command::SetCart(set) => {
                let Some(cart) = self.open_cart(&set.id) else { return 0 };
                if set.hold_s.is_some() && set.hold_s != cart.hold_s() {
                    gates.extend(cart.skus().filter_map(|sku| self.gate_slot(cart.site, sku)));
                }
            }
            Command::SetCartItem(set) => {
                let Some(cart) = self.open_cart(&set.id).filter(|cart| cart.hold_s().is_some()) else {
                    return 0;
                };
                // What it lacks of other items is looked for as well.
                let item = self.sku_id(&set.sku).filter(|_| !set.quantity.is_zero());
                let lacking = cart.lacking().filter(|sku| Some(*sku) != item);
                gates
                    .extend(item.into_iter().chain(lacking).filter_map(|sku| self.gate_slot(cart.site, sku)));
            }
            Command::Checkout(checkout) => {
                let Some(cart) = self.open_cart(&checkout.id) else { return 0 };
                gates.extend(cart.skus().filter_map(|sku| self.gate_slot(cart.site, sku)));
            }
            Command::Adjust(_) | Command::SetLot(_) if !self.orders.is_any_awaited() => return 0,
            Command::Adjust(adjust) => {
                for line in &adjust.lines {
                    let (site, sku) = (self.site_id(&line.site), self.sku_id(&line.sku));
                    let Some((site, sku)) = site.zip(sku) else { continue };
                    // A lot that is not there yet comes with this batch, for those who want any.
                    let lot =
                        line.lot.as_ref().and_then(|lot| self.find_lot(sku, lot)).unwrap_or(LotId::NONE);
                    if self.orders.is_awaited(site, sku, lot) {
                        gates.extend(self.gate_slot(site, sku));
                    }
                }
            }
            Command::SetLot(set) => {
                let Some(sku) = self.sku_id(&set.sku) else { return 0 };
                let Some(lot) = self.find_lot(sku, &set.lot) else { return 0 };
                let gates_of_sku = self.skus[sku.index()].gates.iter();
                let awaited = gates_of_sku.filter(|(site, _)| self.orders.is_awaited(*site, sku, lot));
                gates.extend(awaited.map(|(_, slot)| *slot));
            }
            // What was missed is looked for elsewhere.
            Command::PickTransfer(pick) => {
                let Some(slot) = self.transfer_slot(&pick.id) else { return 0 };
                let TransferRow { transfer, lines, .. } = self.transfers.get(slot);
                let short = pick.lines.iter().flatten().filter(|line| line.short.is_some());
                let indexes = short.filter_map(|line| self.line_named(&pick.id, &line.line));
                gates.extend(
                    indexes.filter_map(|index| self.gate_slot(transfer.from, lines[index as usize].line.sku)),
                );
            }
            Command::AllocateTransfer(allocate) => {
                let Some(slot) = self.transfer_slot(&allocate.id) else { return 0 };
                let TransferRow { transfer, lines, .. } = self.transfers.get(slot);
                let mut note = |line: &LineRow| gates.extend(self.gate_slot(transfer.from, line.line.sku));
                match &allocate.lines {
                    None => lines.iter().for_each(note),
                    Some(named) => {
                        let indexes =
                            named.iter().filter_map(|line| self.line_named(&allocate.id, &line.line));
                        indexes.for_each(|index| note(&lines[index as usize]));
                    }
                }
            }
            _ => return 0,
        }
        gates.sort_unstable();
        gates.dedup();
        gates.iter().map(|slot| self.places(self.gates.get(*slot)).len()).sum()
    }

    fn allocates_on_arrival(&self, site: &Code) -> bool {
        let site = self.site_id(site);
        site.is_none_or(|site| self.order_allocation(site) == OrderAllocation::OnArrival)
    }

    fn order_allocation(&self, site: SiteId) -> OrderAllocation {
        self.order_setting(site).map_or_else(OrderAllocation::default, |setting| setting.allocation)
    }

    /// Enters the gates of what an order lacks that has not ended.
    fn lacking_gates(&self, order: &Code, gates: &mut SmallVec<[u32; 8]>) {
        let Some(slot) = self.order_slot(order) else { return };
        let row = self.orders.rows.get(slot);
        if !row.status.may_rest() {
            row.each_lacking(|_, sku, _, _| gates.extend(self.gate_slot(row.site, sku)));
        }
    }

    /// Enters the gates of what an order that has not ended may hold and not send: goods of lots that are blocked or have a
    /// last day, which are looked for elsewhere once that is over.
    fn stuck_gates(&self, order: &Code, gates: &mut SmallVec<[u32; 8]>) {
        let Some(slot) = self.order_slot(order) else { return };
        let row = self.orders.rows.get(slot);
        if row.status.may_rest() {
            return;
        }
        let may_be_stuck = |lot: LotId| {
            let row = (lot != LotId::NONE).then(|| self.lot(lot));
            row.is_some_and(|row| row.blocked || row.expires_on.is_some())
        };
        row.each_node(|place, _| {
            if may_be_stuck(place.lot) {
                gates.extend(self.gate_slot(row.site, place.sku));
            }
        });
    }

    fn open_cart(&self, id: &Code) -> Option<&CartRow> {
        let row = self.carts.rows.get(self.cart_slot(id)?);
        (row.status == CartStatus::Open).then_some(row)
    }

    pub(super) fn gate_slot(&self, site: SiteId, sku: SkuId) -> Option<u32> {
        self.skus[sku.index()].gate(site)
    }

    /// The gate's slot; a new row where there is none.
    pub(super) fn make_gate(&mut self, site: SiteId, sku: SkuId) -> u32 {
        if let Some(slot) = self.gate_slot(site, sku) {
            return slot;
        }
        let slot = self.gates.insert(GateRow::new(site, sku));
        let gates = &mut self.skus[sku.index()].gates;
        gates.insert(gates.partition_point(|(other, _)| *other < site), (site, slot));
        slot
    }

    pub(super) fn drop_gate_if_empty(&mut self, slot: u32) {
        let row = self.gates.get(slot);
        if row.marks.is_some() || !row.places.is_empty() {
            return;
        }
        self.skus[row.sku.index()].gates.retain(|(_, other)| *other != slot);
        self.gates.remove(slot);
    }

    pub(super) fn site_of(&self, place: Place) -> SiteId {
        self.locations[place.location.index()].site
    }

    pub(super) fn entry(&self, place: Place) -> Option<&Entry> {
        let gate = self.gates.get(self.gate_slot(self.site_of(place), place.sku)?);
        let places = self.places(gate);
        places.find(place.location, place.lot).ok().map(|at| places.get(at))
    }

    /// Changes the entry of a place, which begins and ends with what it names.
    pub(super) fn change_entry(&mut self, place: Place, change: impl FnOnce(&mut Entry)) {
        let slot = self.make_gate(self.site_of(place), place.sku);
        let (places, crowds) = (&mut self.gates.get_mut(slot).places, &mut self.crowds);
        let at = match places.get(crowds).find(place.location, place.lot) {
            Ok(at) => at,
            Err(at) => places.insert(at, Entry::new(place.location, place.lot), crowds),
        };
        let entry = places.get_mut(at, crowds);
        change(entry);
        if entry.is_empty() {
            places.remove(at, crowds);
            self.drop_gate_if_empty(slot);
        }
    }

    /// Makes room for places of a SKU of which this is the first, which have to follow; one needs none.
    pub(super) fn expect_places(&mut self, place: Place, more: usize) {
        if more < 2 {
            return;
        }
        let slot = self.make_gate(self.site_of(place), place.sku);
        self.gates.get_mut(slot).places.reserve(more, &mut self.crowds);
    }

    pub(super) fn put_gate(&mut self, site: SiteId, sku: SkuId, gate: Option<Gate>) -> Option<Gate> {
        let slot = self.make_gate(site, sku);
        let before = self.unpack_gate(self.gates.get(slot));
        self.gates.get_mut(slot).marks = gate.map(|gate| Marks { stocked: gate.stocked, low: gate.low });
        self.put_safety_level(site, sku, gate.map_or(Quantity::ZERO, |gate| gate.safety_level));
        self.drop_gate_if_empty(slot);
        before
    }

    pub(super) fn unpack_gate(&self, row: &GateRow) -> Option<Gate> {
        let Marks { stocked, low } = row.marks?;
        Some(Gate { stocked, safety_level: self.safety_level(row.site, row.sku), low })
    }

    pub(super) fn position_at(&self, place: Place) -> Option<Position> {
        self.unpack_position(place.sku, self.entry(place)?).map(|(_, position)| position)
    }

    pub(super) fn put_position(&mut self, place: Place, position: Option<Position>) -> Option<Position> {
        // What is missing there is read before it is written: it stands under the place, not in the entry.
        let before = self.position_at(place);
        if before.is_none() && position.is_none() {
            return None;
        }
        if before.is_some_and(|before| !before.missing.is_zero()) {
            self.missing.remove(&place);
        }
        if let Some(Position { missing, .. }) = position.filter(|position| !position.missing.is_zero()) {
            self.missing.insert(place, missing);
        }
        self.change_entry(place, |entry| entry.put(position));
        self.recount_watched(place, before, position);
        match (before, position) {
            (None, Some(_)) => {
                self.position_count += 1;
                self.by_location.insert(place.location, place.sku);
            }
            (Some(_), None) => {
                self.position_count -= 1;
                if self.lots_at(place.location, place.sku).next().is_none() {
                    self.by_location.remove(place.location, place.sku);
                }
            }
            _ => {}
        }
        before
    }

    pub(super) fn unpack_position(&self, sku: SkuId, entry: &Entry) -> Option<(Place, Position)> {
        entry.position(sku, |place| self.missing.get(&place).copied().unwrap_or_default())
    }
}

/// What each of several sites has, in one order: each gives its own in that order, and none gives what another does.
fn in_order<T: Ord>(mut sites: Vec<impl Iterator<Item = T>>) -> impl Iterator<Item = T> {
    let nexts = sites.iter_mut().enumerate();
    let mut nexts: BinaryHeap<_> = nexts.filter_map(|(at, rest)| Some(Reverse((rest.next()?, at)))).collect();
    std::iter::from_fn(move || {
        let Reverse((next, at)) = nexts.pop()?;
        nexts.extend(sites[at].next().map(|next| Reverse((next, at))));
        Some(next)
    })
}
