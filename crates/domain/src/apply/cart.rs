//! Writes what was decided about carts, and what was sold from them.

use smallvec::SmallVec;

use super::{book::Book, order::order_line};
use crate::{
    Amount, Code, Fact, LocationId, LotId, Place, Quantity, Row, Sequence, SkuId, Tables, Timestamp,
    event::Take,
    row::{Cart, CartLine, CartState, CartStatus, Order, OrderStatus, Pick, Sale},
};

impl<T: Tables> Book<'_, T> {
    /// Applies a fact about carts; others are none of its business.
    pub(super) fn apply_cart(&mut self, fact: &Fact, sequence: Sequence, at: Timestamp) {
        match fact {
            Fact::CartSet { id, site, owner, hold_s, expires_at, takes } => {
                let found = self.tables.cart(id);
                let mut cart = found.unwrap_or_else(|| Cart {
                    site: *site,
                    owner: owner.clone(),
                    hold_s: None,
                    opened: sequence,
                    opened_at: at,
                    set: sequence,
                    changed: sequence,
                    expires_at: None,
                    status: CartStatus::Open,
                    order: None,
                    lines: Default::default(),
                });
                self.let_go(&mut cart);
                self.hold_all(takes);
                keep(&mut cart, takes);
                cart.hold_s = *hold_s;
                cart.expires_at = *expires_at;
                cart.set = sequence;
                cart.changed = sequence;
                self.put(Row::Cart(id.clone(), Some(Box::new(cart))));
            }
            Fact::CartItemSet { id, sku, quantity, expires_at, takes } => {
                self.change_cart(id, |book, cart| {
                    let at = cart.lines.iter().position(|line| line.sku == *sku);
                    if let Some(at) = at {
                        book.unhold_line(&mut cart.lines[at]);
                    }
                    match at {
                        Some(at) if quantity.is_zero() => drop(cart.lines.remove(at)),
                        Some(at) => cart.lines[at].quantity = *quantity,
                        None if quantity.is_zero() => {}
                        None => {
                            let (sku, quantity) = (*sku, *quantity);
                            cart.lines.push(CartLine { sku, quantity, picks: Default::default() });
                        }
                    }
                    book.hold_all(takes);
                    keep(cart, takes);
                    cart.expires_at = *expires_at;
                    cart.changed = sequence;
                });
            }
            Fact::CartsLapsed { ids } => {
                for id in ids {
                    self.change_cart(id, |book, cart| book.let_go(cart));
                }
            }
            Fact::CartDiscarded { id } => self.end_cart(id, CartStatus::Discarded, None),
            Fact::CartOrdered {
                cart,
                order,
                body,
                site,
                owner,
                currency,
                total,
                prices,
                lines,
                takes,
                ..
            } => {
                self.end_cart(cart, CartStatus::Ordered, Some(order));
                let placed = Order {
                    site: *site,
                    customer: Some(owner.clone()),
                    priority: 0,
                    body: *body,
                    placed: sequence,
                    placed_at: at,
                    answer: sequence,
                    backorder: false,
                    awaits_stock: false,
                    status: OrderStatus::Waiting,
                    claim: None,
                    lines: lines.iter().map(order_line).collect(),
                };
                self.enter_order(order, placed, takes);
                let sale = Sale {
                    owner: owner.clone(),
                    currency: *currency,
                    prices: prices.clone(),
                    total: *total,
                    refunded: Amount::ZERO,
                };
                self.put(Row::Sale(order.clone(), Some(Box::new(sale))));
                if let Some(money) = fact.money() {
                    self.move_sold(&money, Amount::ZERO, *total);
                }
            }
            Fact::SaleCancelled { id, released, amount, .. } => {
                let before = self.left_of(id);
                self.cancel_order(id, released, sequence);
                self.give_back(id, *amount);
                self.move_sold(&fact.money().expect("it moves money"), before, Amount::ZERO);
            }
            Fact::SaleRefunded { id, amount, .. } => {
                let before = self.left_of(id);
                self.give_back(id, *amount);
                let after = self.left_of(id);
                self.move_sold(&fact.money().expect("it moves money"), before, after);
            }
            _ => {}
        }
    }

    /// An order is cancelled, and what was paid for it is not given back, because it was before.
    pub(super) fn cancel_without_refund(&mut self, id: &Code, released: &[Take], sequence: Sequence) {
        let left = self.left_of(id);
        self.cancel_order(id, released, sequence);
        if !left.is_zero() {
            let Sale { owner, currency, .. } = self.tables.sale(id).expect("something is left of it");
            self.forgo(&owner, currency, left);
        }
    }

    /// What can still be given back for an order: nothing where nobody paid.
    fn left_of(&self, order: &Code) -> Amount {
        let Some(sale) = self.tables.sale(order) else { return Amount::ZERO };
        let work = self.tables.order_work(order).expect("the order of a sale is there");
        sale.left(work.status)
    }

    /// Notes in a sale how much of it was given back.
    fn give_back(&mut self, order: &Code, amount: Amount) {
        let mut sale = self.tables.sale(order).expect("the sale of a paid order is there");
        sale.refunded += amount;
        assert!(sale.refunded <= sale.total, "no more is given back than was paid for {order}");
        self.put(Row::Sale(order.clone(), Some(Box::new(sale))));
    }

    pub(super) fn change_cart(&mut self, id: &Code, change: impl FnOnce(&mut Self, &mut Cart)) {
        let mut cart = self.tables.cart(id).expect("the event's cart is there");
        change(self, &mut cart);
        self.put(Row::Cart(id.clone(), Some(Box::new(cart))));
    }

    /// A cart ends, and holds nothing any more.
    fn end_cart(&mut self, id: &Code, status: CartStatus, order: Option<&Code>) {
        if self.tables.cart_holds(id) {
            self.change_cart(id, |book, cart| book.let_go(cart));
        }
        let state = CartState { status, order: order.cloned(), changed: self.event.sequence };
        self.put(Row::CartState(id.clone(), state));
    }

    /// A cart holds nothing any more.
    fn let_go(&mut self, cart: &mut Cart) {
        for line in &mut cart.lines {
            self.unhold_line(line);
        }
        cart.expires_at = None;
    }

    fn unhold_line(&mut self, line: &mut CartLine) {
        for pick in line.picks.drain(..) {
            self.unhold(Place { location: pick.location, sku: line.sku, lot: pick.lot }, pick.quantity);
        }
    }
}

/// Lines of a cart hold more. A take says its line by its SKU.
fn keep(cart: &mut Cart, takes: &[Take]) {
    // The takes of an event are at different places for each line, so that only what a line held before is looked
    // through: an item of 100,000 serial numbers has as many picks.
    let mut takes = takes;
    while let Some(first) = takes.first() {
        let (of_line, rest) = takes.split_at(takes.iter().take_while(|take| take.sku == first.sku).count());
        takes = rest;
        let line = line_of(cart, first.sku);
        let before = line.picks.len();
        for Take { location, lot, quantity, .. } in of_line.iter().copied() {
            match line.picks[..before].iter_mut().find(|pick| (pick.location, pick.lot) == (location, lot)) {
                Some(pick) => pick.quantity += quantity,
                None => line.picks.push(Pick { location, lot, quantity }),
            }
        }
        assert!(line.held() <= line.quantity, "a line of a cart holds no more than is in it");
    }
}

/// The line of a SKU, which is in the cart.
pub(super) fn line_of(cart: &mut Cart, sku: SkuId) -> &mut CartLine {
    cart.lines.iter_mut().find(|line| line.sku == sku).expect("what is held for a cart is in it")
}

/// More is held at a place.
pub(super) fn grow_pick(
    picks: &mut SmallVec<[Pick; 1]>,
    location: LocationId,
    lot: LotId,
    quantity: Quantity,
) {
    match picks.iter_mut().find(|pick| (pick.location, pick.lot) == (location, lot)) {
        Some(pick) => pick.quantity += quantity,
        None => picks.push(Pick { location, lot, quantity }),
    }
}
