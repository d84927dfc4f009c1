//! Writes what was decided about orders and claims.

use std::collections::BTreeMap;

use hashbrown::HashMap;
use smallvec::SmallVec;

use super::book::{Book, shrink_pick};
use crate::{
    Code, Fact, LocationId, LotId, Outside, Place, Quantity, Row, Sequence, Tables, Timestamp, WARM_MAX,
    event::{AdjustedLine, Freed, OrderedLine, Take},
    row::{Claim, HolderKind, Order, OrderLine, OrderSetting, OrderStatus, Pick},
};

impl<T: Tables> Book<'_, T> {
    /// Applies a fact about orders; others are none of its business.
    pub(super) fn apply_order(&mut self, fact: &Fact, sequence: Sequence, at: Timestamp) {
        match fact {
            Fact::OrderAllocationSet { site, allocation, .. } => {
                let setting = OrderSetting { allocation: *allocation, set: sequence };
                self.put(Row::OrderSetting(*site, Some(setting)));
            }
            Fact::OrderPlaced {
                id,
                body,
                site,
                customer,
                priority,
                backorder,
                awaits_stock,
                lines,
                takes,
                ..
            } => {
                let order = Order {
                    site: *site,
                    customer: customer.clone(),
                    priority: *priority,
                    body: *body,
                    placed: sequence,
                    placed_at: at,
                    // Nobody asked for another allocation yet: the placing was it, if there was one.
                    answer: sequence,
                    backorder: *backorder,
                    awaits_stock: *awaits_stock,
                    status: OrderStatus::Waiting,
                    claim: None,
                    lines: lines.iter().map(order_line).collect(),
                };
                self.enter_order(id, order, takes);
            }
            Fact::OrderAllocated { id, takes, .. } => {
                self.hold_all(takes);
                self.change_order(id, |order| {
                    grow(order, takes);
                    order.answer = sequence;
                    order.awaits_stock = order.backorder;
                });
            }
            Fact::OrderReallocated { id, released, takes, .. } => {
                for take in released {
                    self.unhold(take.place(), take.quantity);
                }
                self.hold_all(takes);
                self.change_order(id, |order| {
                    shed(order, released);
                    grow(order, takes);
                    order.answer = sequence;
                    order.awaits_stock = order.backorder;
                });
            }
            Fact::OrdersFilled { orders, left, done } => {
                for filled in orders {
                    self.hold_all(&filled.takes);
                    self.fill_lines(&filled.order, &filled.takes);
                }
                for (pairs, unfilled) in [(left, true), (done, false)] {
                    for (site, sku) in pairs {
                        self.put(Row::Unfilled(*site, *sku, unfilled));
                    }
                }
            }
            Fact::OrderCompleted { id, takes, allocated, .. } => {
                for take in takes {
                    self.unhold(take.place(), take.quantity);
                }
                for take in takes.iter().chain(allocated) {
                    self.take(take.place(), take.quantity);
                    self.outside(take.sku, take.lot, Outside::Customer, take.quantity, true);
                }
                self.change_order(id, |order| end(order, OrderStatus::Completed, sequence));
            }
            Fact::OrderCancelled { id, released } => self.cancel_without_refund(id, released, sequence),
            Fact::OrderClaimed { id, worker, expires_at } => self.claim(id, worker, sequence, *expires_at),
            Fact::OrdersClaimed { worker, expires_at, ids } => {
                for ids in ids.chunks(WARM_MAX) {
                    self.tables.warm_orders(ids);
                    for id in ids {
                        self.claim(id, worker, sequence, *expires_at);
                    }
                }
            }
            Fact::ClaimExtended { id, expires_at, .. } => {
                let claim = self.tables.order_work(id).and_then(|work| work.claim);
                let claim = claim.expect("an extended claim is there");
                let extended = Claim { expires_at: *expires_at, ..claim };
                self.put(Row::OrderClaim(id.clone(), Some(Box::new(extended))));
            }
            Fact::OrderUnclaimed { id, .. } => self.unclaim(id),
            Fact::ClaimsLapsed { ids } => ids.iter().for_each(|id| self.unclaim(id)),
            _ => {}
        }
    }

    /// Enters a new order, which holds nothing yet, and what is held for it.
    pub(super) fn enter_order(&mut self, id: &Code, mut order: Order, takes: &[Take]) {
        self.hold_all(takes);
        grow(&mut order, takes);
        self.put(Row::Order(id.clone(), Some(Box::new(order))));
    }

    pub(super) fn cancel_order(&mut self, id: &Code, released: &[Take], sequence: Sequence) {
        for take in released {
            self.unhold(take.place(), take.quantity);
        }
        self.change_order(id, |order| {
            end(order, OrderStatus::Cancelled, sequence);
            order.claim = None;
        });
    }

    fn claim(&mut self, id: &Code, worker: &Code, fence: Sequence, expires_at: Timestamp) {
        let claim = Claim { worker: worker.clone(), fence, expires_at };
        let before = self.claim_of(id, Some(Box::new(claim)));
        assert!(before.is_none(), "no two workers ever hold the same work: {id}");
    }

    fn unclaim(&mut self, id: &Code) {
        let before = self.claim_of(id, None);
        assert!(before.is_some(), "a claim that ends was there: {id}");
    }

    /// Puts the claim on an order, and gives back the one that stood there.
    fn claim_of(&mut self, id: &Code, claim: Option<Box<Claim>>) -> Option<Box<Claim>> {
        match self.swap(Row::OrderClaim(id.clone(), claim)) {
            Row::OrderClaim(_, before) => before,
            other => panic!("a row gives back what stood there, not {other:?}"),
        }
    }

    /// Lines of an order hold more. It takes the time of what they hold, and a move of the order's other picks where these are
    /// more than before.
    fn fill_lines(&mut self, id: &Code, takes: &[Take]) {
        let mut takes: Vec<&Take> = takes.iter().collect();
        takes.sort_by_key(|take| take.line);
        let lines = takes.chunk_by(|a, b| a.line == b.line).map(|takes| {
            let mut line = self.tables.order_line(id, takes[0].line);
            grow_by(&mut line, takes);
            (takes[0].line, line.picks)
        });
        let lines = lines.collect();
        self.put(Row::OrderPicks(id.clone(), lines));
    }

    /// Changes what lines of an order hold: each part is a line's index and what changes there.
    pub(super) fn change_lines<C>(
        &mut self,
        id: &Code,
        parts: impl IntoIterator<Item = (u32, C)>,
        mut change: impl FnMut(&mut OrderLine, C),
    ) {
        let mut lines: BTreeMap<u32, OrderLine> = BTreeMap::new();
        for (line, part) in parts {
            change(lines.entry(line).or_insert_with(|| self.tables.order_line(id, line)), part);
        }
        let lines = lines.into_iter().map(|(number, line)| (number, line.picks)).collect();
        self.put(Row::OrderPicks(id.clone(), lines));
    }

    /// Takes from orders what an adjustment takes away from them. Each is written once, at however many places it is cut.
    pub(super) fn cut_orders(&mut self, lines: &[AdjustedLine]) {
        let mut cuts: BTreeMap<&Code, Vec<(Place, &Freed)>> = BTreeMap::new();
        for line in lines {
            for part in line.freed.iter().filter(|part| part.holder.kind == HolderKind::Order) {
                cuts.entry(&part.holder.id).or_default().push((line.place, part));
            }
        }
        for (id, parts) in cuts {
            let parts = parts.into_iter().map(|(place, part)| (part.holder.line, (place, part.quantity)));
            self.change_lines(id, parts, |line, (place, quantity)| {
                shrink_line(line, place.location, place.lot, quantity);
            });
        }
    }

    pub(super) fn change_order(&mut self, id: &Code, change: impl FnOnce(&mut Order)) {
        let mut order = self.tables.order(id).expect("the event's order is there");
        change(&mut order);
        self.put(Row::Order(id.clone(), Some(Box::new(order))));
    }
}

pub(super) fn order_line(line: &OrderedLine) -> OrderLine {
    OrderLine { sku: line.sku, lot: line.lot, quantity: line.quantity, picks: Default::default() }
}

/// Takes of an event up to which each looks through what its line held before; of more, that is entered in a map first.
const GROW_PLAINLY_MAX: usize = 8;

/// Lines of an order hold more. The takes of an event are at different places for each line, so that they are looked for
/// only among what the line held before: an order of 100,000 serial numbers has as many picks.
fn grow(order: &mut Order, takes: &[Take]) {
    let before: SmallVec<[usize; 8]> = order.lines.iter().map(|line| line.picks.len()).collect();
    let held = (takes.len() > GROW_PLAINLY_MAX).then(|| held_at(&order.lines));
    for take in takes {
        let Take { line, location, lot, quantity, .. } = *take;
        let picks = &mut order.lines[line as usize].picks;
        let known = &picks[..before[line as usize]];
        let at = match &held {
            None => known.iter().position(|pick| (pick.location, pick.lot) == (location, lot)),
            Some(held) => held.get(&(line, location, lot)).copied(),
        };
        match at {
            Some(at) => picks[at].quantity += quantity,
            None => picks.push(Pick { location, lot, quantity }),
        }
    }
    let fits = order.lines.iter().all(|line| line.held() <= line.quantity);
    assert!(fits, "a line of an order holds no more than it asked for");
}

/// A line of an order holds more, as [`grow`] says.
fn grow_by(line: &mut OrderLine, takes: &[&Take]) {
    let before = line.picks.len();
    let places = line.picks.iter().enumerate().map(|(at, pick)| ((pick.location, pick.lot), at));
    let held: Option<HashMap<_, _>> = (takes.len() > GROW_PLAINLY_MAX).then(|| places.collect());
    for Take { location, lot, quantity, .. } in takes {
        let place = (*location, *lot);
        let at = match &held {
            None => line.picks[..before].iter().position(|pick| (pick.location, pick.lot) == place),
            Some(held) => held.get(&place).copied(),
        };
        match at {
            Some(at) => line.picks[at].quantity += *quantity,
            None => line.picks.push(Pick { location: *location, lot: *lot, quantity: *quantity }),
        }
    }
    assert!(line.held() <= line.quantity, "a line of an order holds no more than it asked for");
}

/// Lines of an order lose whole picks, which are told in the order in which it has them.
fn shed(order: &mut Order, released: &[Take]) {
    let mut released = released.iter().peekable();
    for (line, number) in order.lines.iter_mut().zip(0..) {
        line.picks.retain(|pick| {
            let is_next = |take: &&Take| {
                (take.line, take.location, take.lot, take.quantity)
                    == (number, pick.location, pick.lot, pick.quantity)
            };
            released.next_if(is_next).is_none()
        });
    }
    assert!(released.next().is_none(), "an order gives back only what it holds");
}

/// Where each line has which of its picks.
fn held_at(lines: &[OrderLine]) -> HashMap<(u32, LocationId, LotId), usize> {
    let held = lines.iter().zip(0..).flat_map(|(line, number)| {
        let picks = line.picks.iter().enumerate();
        picks.map(move |(at, pick)| ((number, pick.location, pick.lot), at))
    });
    held.collect()
}

/// A line of an order holds more at a place.
pub(super) fn grow_line(line: &mut OrderLine, location: LocationId, lot: LotId, quantity: Quantity) {
    match line.picks.iter_mut().find(|pick| (pick.location, pick.lot) == (location, lot)) {
        Some(pick) => pick.quantity += quantity,
        None => line.picks.push(Pick { location, lot, quantity }),
    }
    assert!(line.held() <= line.quantity, "a line of an order holds no more than it asked for");
}

/// A line of an order holds less at a place.
pub(super) fn shrink_line(line: &mut OrderLine, location: LocationId, lot: LotId, quantity: Quantity) {
    shrink_pick(&mut line.picks, location, lot, quantity);
    line.picks.retain(|pick| !pick.quantity.is_zero());
}

/// Ends an order: it holds nothing any more.
fn end(order: &mut Order, status: OrderStatus, sequence: Sequence) {
    for line in &mut order.lines {
        line.picks.clear();
    }
    order.status = status;
    order.answer = sequence;
    order.awaits_stock = false;
}
