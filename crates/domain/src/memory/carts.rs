//! Carts in memory: an open one of three items, with short ids, takes about 250 bytes beyond what it holds.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::BuildHasher,
};

use smallvec::SmallVec;

use super::{
    Memory,
    packed_lines::{PackedLines, Wanted},
    slab::{Index, Recent, Slab},
};
use crate::{
    Amount, Code, Currency, LocationId, LotId, Place, Quantity, Row, Sequence, SiteId, SkuId, Timestamp,
    row::{Cart, CartLine, CartState, CartStatus, HolderKind, Pick},
};

#[derive(Default)]
pub(super) struct Carts {
    pub(super) rows: Slab<CartRow>,
    index: Index,
    /// The row that was found last.
    recent: Recent,
    /// Open ones, in the order in which they were opened: how they are listed.
    pub(super) open: BTreeMap<Sequence, u32>,
    /// When what they hold lapses, and which event opened them.
    due: BTreeSet<(Timestamp, Sequence)>,
    /// Of the SKUs that have some, in the order of the currencies.
    pub(super) prices: BTreeMap<SkuId, Vec<(Currency, Amount)>>,
}

pub(super) struct CartRow {
    pub(super) id: Code,
    pub(super) owner: Code,
    lines: PackedLines,
    picks: Box<[HeldPick]>,
    order: Option<Box<Code>>,
    pub(super) opened: Sequence,
    opened_at: Timestamp,
    set: Sequence,
    changed: Sequence,
    /// Zero where it holds nothing: no time is that early.
    expires_at: Timestamp,
    pub(super) site: SiteId,
    /// Zero where it never holds anything.
    hold_s: u32,
    pub(super) status: CartStatus,
}

/// What is held for a line, by the line's index, and the node that it is entered under.
struct HeldPick {
    pick: Pick,
    line: u32,
    node: u32,
}

impl CartRow {
    /// Packs a cart with its lines, which `lines` are where it has them already; `node` enters it as a holder of a place and
    /// gives the node.
    fn pack(
        id: Code,
        cart: Cart,
        lines: Option<PackedLines>,
        node: &mut impl FnMut(Place, u32) -> u32,
    ) -> Self {
        let wanted = |line: &CartLine| Wanted { sku: line.sku, lot: None, quantity: line.quantity };
        let mut picks = Vec::new();
        for (line, number) in cart.lines.iter().zip(0..) {
            for pick in &line.picks {
                let place = Place { location: pick.location, sku: line.sku, lot: pick.lot };
                picks.push(HeldPick { pick: *pick, line: number, node: node(place, line.sku.0) });
            }
        }
        Self {
            id,
            owner: cart.owner,
            lines: lines.unwrap_or_else(|| PackedLines::pack(cart.lines.iter().map(wanted))),
            picks: picks.into_boxed_slice(),
            order: cart.order.map(Box::new),
            opened: cart.opened,
            opened_at: cart.opened_at,
            set: cart.set,
            changed: cart.changed,
            expires_at: cart.expires_at.unwrap_or(Timestamp(0)),
            site: cart.site,
            hold_s: cart.hold_s.unwrap_or_default(),
            status: cart.status,
        }
    }

    /// The cart again.
    pub(super) fn unpack(&self) -> Cart {
        let mut lines: SmallVec<[CartLine; 1]> = SmallVec::with_capacity(self.lines.len());
        for Wanted { sku, quantity, .. } in self.lines.iter() {
            lines.push(CartLine { sku, quantity, picks: SmallVec::new() });
        }
        for held in &self.picks {
            lines[held.line as usize].picks.push(held.pick);
        }
        Cart { lines, ..self.unpack_header() }
    }

    /// The cart without its items.
    pub(super) fn unpack_header(&self) -> Cart {
        Cart {
            site: self.site,
            owner: self.owner.clone(),
            hold_s: self.hold_s(),
            opened: self.opened,
            opened_at: self.opened_at,
            set: self.set,
            changed: self.changed,
            expires_at: self.expires_at(),
            status: self.status,
            order: self.order.as_deref().cloned(),
            lines: SmallVec::new(),
        }
    }

    fn expires_at(&self) -> Option<Timestamp> {
        (self.expires_at.0 != 0).then_some(self.expires_at)
    }

    /// How many lines and picks it has: what it takes to end what it holds.
    pub(super) fn part_count(&self) -> usize {
        self.lines.len() + self.picks.len()
    }

    /// The SKU of its first line, or the first SKU of all where it is empty.
    pub(super) fn first_sku(&self) -> SkuId {
        self.lines.iter().next().map_or(SkuId(0), |line| line.sku)
    }

    /// Whether it holds something.
    pub(super) fn holds(&self) -> bool {
        !self.picks.is_empty()
    }

    /// For how many seconds it holds its items, if it does.
    pub(super) fn hold_s(&self) -> Option<u32> {
        (self.hold_s != 0).then_some(self.hold_s)
    }

    /// The SKUs of its items.
    pub(super) fn skus(&self) -> impl Iterator<Item = SkuId> + '_ {
        self.lines.iter().map(|line| line.sku)
    }

    /// The SKUs of which it holds less than was put into it.
    pub(super) fn lacking(&self) -> impl Iterator<Item = SkuId> + '_ {
        // Picks stand in the order of their lines.
        let mut picks = self.picks.iter().peekable();
        self.lines.iter().zip(0..).filter_map(move |(line, number)| {
            let mut held = Quantity::ZERO;
            while let Some(pick) = picks.next_if(|held| held.line == number) {
                held += pick.pick.quantity;
            }
            (held < line.quantity).then_some(line.sku)
        })
    }

    /// How many lines it has.
    pub(super) fn line_count(&self) -> usize {
        self.lines.len()
    }

    /// Takes its lines, if a cart has the same ones.
    fn take_same_lines(&mut self, cart: &Cart) -> Option<PackedLines> {
        let new = cart.lines.iter().map(|line| (line.sku, line.quantity));
        let is_same = self.lines.iter().map(|line| (line.sku, line.quantity)).eq(new);
        is_same.then(|| std::mem::take(&mut self.lines))
    }

    /// Everything that it holds.
    pub(super) fn each_pick(&self, visit: impl FnMut(&Pick)) {
        self.picks.iter().map(|held| &held.pick).for_each(visit);
    }

    /// How much it holds of a SKU at a place.
    pub(super) fn held_at(&self, sku: SkuId, location: LocationId, lot: LotId) -> Quantity {
        let here = self.picks.iter().filter(|held| {
            (held.pick.location, held.pick.lot) == (location, lot)
                && self.lines.get(held.line as usize).sku == sku
        });
        here.map(|held| held.pick.quantity).sum()
    }
}

impl Carts {
    /// A row that an id of this hash may have: nearly always the right one.
    pub(super) fn row_near(&self, hash: u64) -> Option<&CartRow> {
        self.index.find(hash, |_| true).map(|slot| self.rows.get(slot))
    }

    pub(super) fn open_count(&self) -> u64 {
        self.open.len() as u64
    }

    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    pub(super) fn due(&self, now: Timestamp, limit: usize) -> Vec<(Timestamp, Code)> {
        let due = self.due.iter().take_while(|(at, _)| *at <= now).take(limit);
        due.map(|(at, opened)| (*at, self.rows.get(self.open[opened]).id.clone())).collect()
    }

    /// Puts what a SKU costs and gives back what stood there.
    pub(super) fn put_prices(
        &mut self,
        sku: SkuId,
        prices: Vec<(Currency, Amount)>,
    ) -> Vec<(Currency, Amount)> {
        let before =
            if prices.is_empty() { self.prices.remove(&sku) } else { self.prices.insert(sku, prices) };
        before.unwrap_or_default()
    }

    fn enter(&mut self, slot: u32) {
        let row = self.rows.get(slot);
        if row.status == CartStatus::Open {
            self.open.insert(row.opened, slot);
            self.due.extend(row.expires_at().map(|at| (at, row.opened)));
        }
    }

    fn strike(&mut self, slot: u32) {
        let row = self.rows.get(slot);
        if row.status == CartStatus::Open {
            self.open.remove(&row.opened);
            if let Some(at) = row.expires_at() {
                self.due.remove(&(at, row.opened));
            }
        }
    }
}

impl Memory {
    pub(super) fn cart_slot(&self, id: &Code) -> Option<u32> {
        let Carts { rows, index, recent, .. } = &self.carts;
        recent.find(
            |slot| rows.find(slot).is_some_and(|row| row.id == *id),
            || index.find(self.hash(id), |slot| rows.get(slot).id == *id),
        )
    }

    /// Puts how a cart stands that is there and holds nothing, and gives back how it stood.
    pub(super) fn put_cart_state(&mut self, id: &Code, state: CartState) -> CartState {
        let slot = self.cart_slot(id).expect("a cart that ends is there");
        self.carts.strike(slot);
        let row = self.carts.rows.get_mut(slot);
        assert!(!row.holds(), "a cart ends when it holds nothing any more: {id}");
        let before = CartState {
            status: std::mem::replace(&mut row.status, state.status),
            order: std::mem::replace(&mut row.order, state.order.map(Box::new)).map(|order| *order),
            changed: std::mem::replace(&mut row.changed, state.changed),
        };
        self.carts.enter(slot);
        before
    }

    pub(super) fn put_cart(&mut self, id: &Code, cart: Option<Box<Cart>>) {
        let Some(slot) = self.cart_slot(id) else {
            if let Some(cart) = cart {
                let hash = self.hash(id);
                let slot = self.carts.rows.next_slot();
                let new = self.pack_cart(id.clone(), *cart, None, slot);
                let carts = &mut self.carts;
                assert_eq!(carts.rows.insert(new), slot, "a row goes where it was said to go");
                let (rows, hasher) = (&carts.rows, &self.hasher);
                carts.index.insert(hash, slot, |slot| hasher.hash_one(&rows.get(slot).id));
                carts.enter(slot);
            }
            return;
        };
        self.carts.strike(slot);
        self.strike_cart_holders(slot);
        if let Some(cart) = cart {
            // What is in it mostly stays: it is held, lapses, is checked out.
            let lines = self.carts.rows.get_mut(slot).take_same_lines(&cart);
            let new = self.pack_cart(id.clone(), *cart, lines, slot);
            *self.carts.rows.get_mut(slot) = new;
            self.carts.enter(slot);
        } else {
            self.carts.index.remove(self.hash(id), slot);
            self.carts.rows.remove(slot);
        }
    }

    /// Packs a cart, whose holders are entered under the slot that it will have.
    fn pack_cart(&mut self, id: Code, cart: Cart, lines: Option<PackedLines>, slot: u32) -> CartRow {
        let mut node = |place, line| self.enter_holder(place, HolderKind::Cart, slot, line);
        CartRow::pack(id, cart, lines, &mut node)
    }

    fn strike_cart_holders(&mut self, slot: u32) {
        let row = self.carts.rows.get(slot);
        let nodes: SmallVec<[(Place, u32); 4]> = row
            .picks
            .iter()
            .map(|held| {
                let sku = row.lines.get(held.line as usize).sku;
                (Place { location: held.pick.location, sku, lot: held.pick.lot }, held.node)
            })
            .collect();
        for (place, node) in nodes {
            self.strike_holder(place, node);
        }
    }

    /// The rows of carts and prices, as [`Memory::rows`] tells them.
    pub(super) fn cart_rows(&self) -> impl Iterator<Item = Row> + '_ {
        let prices = self.carts.prices.iter().map(|(sku, prices)| Row::Prices(*sku, prices.clone()));
        let carts = self.carts.rows.iter();
        let carts = carts.map(|(_, row)| Row::Cart(row.id.clone(), Some(Box::new(row.unpack()))));
        prices.chain(carts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cart_stays_small() {
        assert!(size_of::<CartRow>() <= 144, "{} bytes", size_of::<CartRow>());
        assert_eq!(size_of::<CartRow>(), size_of::<Option<CartRow>>(), "a free slot takes no more");
        assert_eq!(size_of::<HeldPick>(), 24);
    }
}
