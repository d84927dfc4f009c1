//! Orders: place, allocate, complete, cancel, and when a site allocates them.

use std::iter::Peekable;

use smallvec::SmallVec;

use super::{
    Verdict,
    allocate::{Partial, Want},
    desk::Desk,
};
use crate::{
    Amount, Code, Fact, LotId, MoneyOutside, Quantity, Refusal, Shortage, SiteId, Tables,
    command::{
        AllocateOrder, CancelOrder, CompleteOrder, PlaceOrder, RefundOrder, SetOrderAllocation, numbered,
    },
    event::{OrderShort, OrderedLine, Short, Take, Takes},
    limits::PARTS_MAX,
    refusal::OfLine,
    row::{Balance, Order, OrderAllocation, OrderLine, OrderStatus, OrderWork, Sale},
};

impl<T: Tables> Desk<'_, T> {
    pub(super) fn set_order_allocation(&self, command: &SetOrderAllocation) -> Result<Verdict, Refusal> {
        let site = self.site(&command.site)?;
        if let Some(setting) = self.tables.order_setting(site)
            && setting.allocation == command.allocation
        {
            return Ok(Verdict::Repeat(setting.set));
        }
        let (code, allocation) = (command.site.clone(), command.allocation);
        Ok(Verdict::New(Fact::OrderAllocationSet { site, code, allocation }))
    }

    pub(super) fn place_order(&mut self, command: &PlaceOrder, body: u64) -> Result<Verdict, Refusal> {
        if let Some(order) = self.tables.order(&command.id) {
            if order.body == body {
                return Ok(Verdict::Repeat(order.placed));
            }
            return Err(Refusal::IdTaken { id: command.id.clone() });
        }
        let site = self.site(&command.site)?;
        let mut wants: SmallVec<[Want; 1]> = SmallVec::with_capacity(command.lines.len());
        for (line, number) in command.lines.iter().zip(0..) {
            let sku = self.sku(&line.sku).of_line(number as usize, "sku")?;
            let lot = self.wanted_lot(sku, line.lot.as_ref()).of_line(number as usize, "lot")?;
            wants.push(Want { line: number, site, sku, quantity: line.quantity, location: None, lot });
        }
        let on_arrival = self.order_allocation(site) == OrderAllocation::OnArrival;
        let (mut takes, mut short) = (Takes::new(), Vec::new());
        if on_arrival {
            let partial = if command.backorder { Partial::Await } else { Partial::Forbid };
            short = self.allocate_for_order(&wants, partial, &mut takes)?;
        }
        let line = |want: &Want| OrderedLine { sku: want.sku, lot: want.lot, quantity: want.quantity };
        Ok(Verdict::New(Fact::OrderPlaced {
            id: command.id.clone(),
            body,
            site,
            customer: command.customer.clone(),
            priority: command.priority,
            backorder: command.backorder,
            awaits_stock: on_arrival && command.backorder,
            lines: wants.iter().map(line).collect(),
            takes,
            short,
        }))
    }

    pub(super) fn allocate_order(&mut self, command: &AllocateOrder) -> Result<Verdict, Refusal> {
        let id = &command.id;
        let order = self.live_order(id)?;
        let released = self.stuck_picks(&order);
        let wants = lacking_without(&order, &released);
        if wants.is_empty() {
            // Allocating what is allocated changes nothing: the answer is that of the last allocation.
            return Ok(Verdict::Repeat(order.answer));
        }
        let partial = match (order.backorder, order.awaits_stock) {
            (false, _) => Partial::Forbid,
            // Who works on it is not left with a part of it.
            (true, _) if !released.is_empty() && order.claim.is_some() => Partial::Forbid,
            // It waits already: to get nothing would change nothing.
            (true, true) if released.is_empty() => Partial::Allow,
            (true, _) => Partial::Await,
        };
        let mut takes = Takes::new();
        let short = self.allocate_for_order(&wants, partial, &mut takes)?;
        let parts = self.tables.order_pick_count(id) - released.len() + takes.len();
        if !takes.is_empty() && parts > PARTS_MAX {
            // More could be held, and not given up again in one decision.
            return Err(Refusal::TooManyParts { parts, max: PARTS_MAX });
        }
        let (id, site) = (id.clone(), order.site);
        if released.is_empty() {
            return Ok(Verdict::New(Fact::OrderAllocated { id, site, takes, short }));
        }
        Ok(Verdict::New(Fact::OrderReallocated { id, site, released, takes, short }))
    }

    pub(super) fn complete_order(&mut self, command: &CompleteOrder) -> Result<Verdict, Refusal> {
        let id = &command.id;
        let order = self.order(id)?;
        let worker = command.claimant.as_ref().map(|claimant| &claimant.worker);
        match order.status {
            OrderStatus::Completed if order.completed_by() == worker => {
                // The same worker with the fence of another claim completed nothing.
                if let Some(claimant) = &command.claimant {
                    Self::holds_claim(id, order.claim.as_ref(), claimant)?;
                }
                return Ok(Verdict::Repeat(order.answer));
            }
            OrderStatus::Completed => return Err(Refusal::OrderCompleted { order: id.clone() }),
            OrderStatus::Cancelled => return Err(Refusal::OrderCancelled { order: id.clone() }),
            OrderStatus::Waiting | OrderStatus::Processing => {}
        }
        match (&command.claimant, &order.claim) {
            (Some(claimant), claim) => Self::holds_claim(id, claim.as_ref(), claimant)?,
            (None, Some(claim)) => return Err(Self::order_claimed(id, claim)),
            (None, None) => {}
        }
        let wants = lacking(&order);
        let mut allocated = Takes::new();
        if !wants.is_empty() {
            if self.order_allocation(order.site) != OrderAllocation::AtCompletion {
                return Err(self.order_short(id, &order));
            }
            self.allocate_for_order(&wants, Partial::Forbid, &mut allocated)?;
        }
        let takes = all_picks(&order);
        let mut moved = Default::default();
        for take in takes.iter().chain(&allocated) {
            let may = self.may_leave(take.place());
            may.map_err(|refusal| refusal.had_by(numbered(take.line as usize)))?;
            self.fits(take.sku, crate::Outside::Customer, take.quantity, false, &mut moved)?;
        }
        Ok(Verdict::New(Fact::OrderCompleted { id: id.clone(), worker: worker.cloned(), takes, allocated }))
    }

    pub(super) fn cancel_order(&self, command: &CancelOrder) -> Result<Verdict, Refusal> {
        let id = &command.id;
        let order = self.order(id)?;
        match order.status {
            OrderStatus::Cancelled => return Ok(Verdict::Repeat(order.answer)),
            OrderStatus::Completed => return Err(Refusal::OrderCompleted { order: id.clone() }),
            OrderStatus::Waiting | OrderStatus::Processing => {}
        }
        let (id, released) = (id.clone(), all_picks(&order));
        let Some(sale) = self.tables.sale(&id) else {
            return Ok(Verdict::New(Fact::OrderCancelled { id, released }));
        };
        let (purse, amount) = self.refundable(&sale, order.status);
        if amount.is_zero() {
            return Ok(Verdict::New(Fact::OrderCancelled { id, released }));
        }
        let Sale { owner, currency, .. } = sale;
        let balance = self.paid_in(purse, MoneyOutside::Sales, amount)?;
        Ok(Verdict::New(Fact::SaleCancelled { id, released, owner, currency, amount, balance }))
    }

    pub(super) fn refund_order(&self, command: &RefundOrder) -> Result<Verdict, Refusal> {
        let RefundOrder { id, amount, reason } = command.clone();
        let order = self.order(&id)?;
        let Some(sale) = self.tables.sale(&id) else { return Err(Refusal::OrderNotPaid { order: id }) };
        let (purse, refundable) = self.refundable(&sale, order.status);
        let left = sale.total.saturating_sub(sale.refunded);
        let Sale { owner, currency, .. } = sale;
        let amount = amount.unwrap_or(if refundable.is_zero() { left } else { refundable });
        if amount > refundable || amount.is_zero() {
            return Err(Refusal::RefundExceedsOrder { order: id, currency, requested: amount, refundable });
        }
        let balance = self.paid_in(purse, MoneyOutside::Sales, amount)?;
        Ok(Verdict::New(Fact::SaleRefunded { id, owner, currency, amount, balance, reason }))
    }

    /// What the owner of a sale has, and how much of the sale can be given back: what was paid for it and not refunded.
    /// No more than the owner has paid at all, where refunds to the wallet once took what was paid for orders.
    fn refundable(&self, sale: &Sale, status: OrderStatus) -> (Balance, Amount) {
        let wallet = self.tables.wallet(&sale.owner);
        let purse =
            wallet.map_or_else(|| Balance::empty(sale.currency), |wallet| wallet.balance(sale.currency));
        (purse, sale.left(status).min(purse.paid))
    }

    /// What is held for an order that may not leave the site any more: goods of blocked and of expired lots.
    fn stuck_picks(&self, order: &Order) -> Takes {
        let has_lots = |line: &OrderLine| line.picks.iter().any(|pick| pick.lot != LotId::NONE);
        if !order.lines.iter().any(has_lots) {
            return Takes::new();
        }
        all_picks(order).into_iter().filter(|take| self.may_leave(take.place()).is_err()).collect()
    }

    pub(super) fn order(&self, id: &Code) -> Result<Order, Refusal> {
        self.tables.order(id).ok_or_else(|| Refusal::OrderNotFound { order: id.clone() })
    }

    /// An order that has not ended.
    fn live_order(&self, id: &Code) -> Result<Order, Refusal> {
        let order = self.order(id)?;
        Self::is_live(id, order.status)?;
        Ok(order)
    }

    /// How the work on an order stands that has not ended.
    pub(super) fn live_work(&self, id: &Code) -> Result<OrderWork, Refusal> {
        let work = self.tables.order_work(id).ok_or_else(|| Refusal::OrderNotFound { order: id.clone() })?;
        Self::is_live(id, work.status)?;
        Ok(work)
    }

    fn is_live(id: &Code, status: OrderStatus) -> Result<(), Refusal> {
        match status {
            OrderStatus::Completed => Err(Refusal::OrderCompleted { order: id.clone() }),
            OrderStatus::Cancelled => Err(Refusal::OrderCancelled { order: id.clone() }),
            OrderStatus::Waiting | OrderStatus::Processing => Ok(()),
        }
    }

    pub(super) fn order_allocation(&self, site: SiteId) -> OrderAllocation {
        self.tables.order_setting(site).map_or(OrderAllocation::default(), |setting| setting.allocation)
    }

    /// The refusal for an order that has to be wholly allocated first: what each line asks for, and what it holds.
    pub(super) fn order_short(&self, id: &Code, order: &Order) -> Refusal {
        let short = order.lines.iter().zip(0..).filter(|(line, _)| !line.lacks().is_zero());
        let site = &self.tables.site(order.site).code;
        let shortages = short.map(|(line, number)| Shortage {
            line: numbered(number),
            site: site.clone(),
            sku: self.tables.sku(line.sku).code.clone(),
            requested: line.quantity,
            available: line.held(),
        });
        Refusal::OrderShort { order: id.clone(), shortages: shortages.collect() }
    }

    pub(super) fn allocate_for_order(
        &mut self,
        wants: &[Want],
        partial: Partial,
        takes: &mut Takes,
    ) -> Result<Vec<OrderShort>, Refusal> {
        let name = |line: u32| numbered(line as usize);
        let short = self.allocate(wants, None, partial, name, |take| takes.push(take))?;
        // Both are in the order of the wants.
        let mut wants = wants.iter();
        let with_sku = |short: Short| {
            let want = wants.find(|want| want.line == short.line).expect("what is short was wanted");
            let Short { line, requested, available } = short;
            OrderShort { line, sku: want.sku, requested, available }
        };
        Ok(short.into_iter().map(with_sku).collect())
    }
}

/// What the lines of an order lack.
fn lacking(order: &Order) -> SmallVec<[Want; 1]> {
    lacking_without(order, &[])
}

/// What they lack once these picks of theirs, in order, are given back.
fn lacking_without(order: &Order, released: &[Take]) -> SmallVec<[Want; 1]> {
    let mut released = released.iter().peekable();
    let wants = order.lines.iter().zip(0..).map(|(line, number)| Want {
        line: number,
        site: order.site,
        sku: line.sku,
        quantity: line.lacks() + given_back(&mut released, number),
        location: None,
        lot: line.lot,
    });
    wants.filter(|want| want.quantity > Quantity::ZERO).collect()
}

/// How much a line gives back of what comes next.
fn given_back<'a>(released: &mut Peekable<impl Iterator<Item = &'a Take>>, line: u32) -> Quantity {
    std::iter::from_fn(|| released.next_if(|take| take.line == line)).map(|take| take.quantity).sum()
}

/// All that is held for an order.
fn all_picks(order: &Order) -> Takes {
    let lines = order.lines.iter().zip(0..);
    let takes = lines.flat_map(|(line, number)| {
        line.picks.iter().map(move |pick| Take {
            line: number,
            sku: line.sku,
            location: pick.location,
            lot: pick.lot,
            quantity: pick.quantity,
        })
    });
    takes.collect()
}
