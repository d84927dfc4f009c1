//! The obvious version of who comes first: what a new order and a checkout come to, and which orders a claim gives out.

use std::collections::BTreeSet;

use jaego_domain::{
    Code, LotId, Memory, Tables, Timestamp,
    command::{Checkout, ClaimOrders, ClaimPolicy, PlaceOrder},
    limits::AMOUNT_MAX,
    row::{CartStatus, HolderKind, OrderAllocation, Tracking},
};

use super::{Naive, Prediction, Want, cart, orders::HeldLines};

/// An order that waits for a worker, and whether it holds goods that may not leave the site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InLine {
    order: Code,
    is_stuck: bool,
}

/// The orders that wait for a worker, as a claim asks for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// In the order of the policy.
    waiting: Vec<InLine>,
    count: usize,
    by_chance: bool,
}

impl Line {
    /// Whether a claim that gave these took the first ones. What is stuck it may pass by, and nothing else.
    pub(crate) fn gives(&self, ids: &[Code]) -> bool {
        if self.by_chance {
            let is_given = |one: &&InLine| ids.contains(&one.order);
            let given = self.waiting.iter().filter(is_given).count();
            let has_all = self.waiting.iter().all(|one| one.is_stuck || is_given(&one));
            return given == ids.len() && (given == self.count || given < self.count && has_all);
        }
        let mut rest = ids.iter().peekable();
        let mut given = 0;
        for one in &self.waiting {
            if given == self.count {
                break;
            }
            match rest.next_if(|id| **id == one.order) {
                Some(_) => given += 1,
                None if one.is_stuck => {}
                None => return false,
            }
        }
        rest.next().is_none()
    }
}

impl Naive {
    /// What a new order gets. `None` where a line narrows what another one leaves: there the strategy decides.
    pub(crate) fn order_gets(
        &self,
        command: &PlaceOrder,
        memory: &Memory,
        now: Timestamp,
    ) -> Option<Prediction> {
        let site = memory.site_id(&command.site)?;
        let mut wants = Vec::new();
        for (line, number) in command.lines.iter().zip(0..) {
            let sku = memory.sku_id(&line.sku)?;
            let lot = match &line.lot {
                Some(_) if memory.sku(sku).tracking == Tracking::None => return None,
                Some(lot) => Some(memory.lot_id(sku, lot)?),
                None => None,
            };
            let quantity = line.quantity.get();
            wants.push(Want { line: number, site, sku, quantity, location: None, lot });
        }
        if self.orders.allocation(site) != OrderAllocation::OnArrival {
            return Some(Prediction::Gets(Vec::new()));
        }
        if command.backorder {
            return self.shares(&wants, now).map(Prediction::Gets);
        }
        self.gets(&wants, false, now)
    }

    /// What a checkout comes to, where nothing but stock and money can stand in its way.
    pub(crate) fn checkout(&self, command: &Checkout, memory: &Memory, now: Timestamp) -> Option<Prediction> {
        let Checkout { id, currency, expected_total, .. } = command;
        let bought = memory.cart(id).filter(|cart| cart.status == CartStatus::Open)?;
        if bought.lines.is_empty() || memory.order(command.order_id()).is_some() {
            return None;
        }
        let mut total = 0;
        let mut lacks = Vec::new();
        for line in &bought.lines {
            let mut prices = memory.prices(line.sku).iter();
            let (_, price) = prices.find(|(other, _)| other == currency)?;
            total += u128::from(line.quantity.get()) * u128::from(price.get());
            let own = cart(id, line.sku.0);
            let here = self
                .on_hand
                .keys()
                .filter(|place| place.sku == line.sku && self.locations[&place.location].0 == bought.site);
            let there: u64 = here
                .map(|place| {
                    let held = self.held.get(&(own.clone(), *place)).copied().unwrap_or_default();
                    self.available_beside(*place, held, now)
                })
                .sum();
            if there < line.quantity.get() {
                lacks.push((memory.sku(line.sku).code.clone(), there));
            }
        }
        if total > u128::from(AMOUNT_MAX) || expected_total.is_some_and(|it| u128::from(it.get()) != total) {
            return None;
        }
        let total = i128::try_from(total).expect("it is AMOUNT_MAX at most");
        let there = self.spendable(&bought.owner, *currency);
        let funds = (there < total).then_some(there);
        if lacks.is_empty() && funds.is_none() {
            return Some(Prediction::Buys(total));
        }
        Some(Prediction::Blocked { lacks, funds })
    }

    /// Who a claim of the next orders asks for.
    pub(crate) fn in_line(
        &self,
        command: &ClaimOrders,
        memory: &Memory,
        now: Timestamp,
    ) -> Option<Prediction> {
        let site = memory.site_id(&command.site)?;
        let waiting = self.orders.in_line(site, command.policy == ClaimPolicy::Priority, &self.held_lines());
        let today = self.zones[&site].day(now);
        let may_not_leave = |lot: &LotId| {
            let state = self.lots.get(lot);
            state.is_some_and(|(last, blocked)| *blocked || last.is_some_and(|day| day < today))
        };
        let stuck = self.held.iter().filter(|((holder, place), units)| {
            **units > 0 && holder.kind == HolderKind::Order && may_not_leave(&place.lot)
        });
        let stuck: BTreeSet<&Code> = stuck.map(|((holder, _), _)| &holder.id).collect();
        let waiting =
            waiting.into_iter().map(|order| InLine { is_stuck: stuck.contains(&order), order }).collect();
        let by_chance = command.policy == ClaimPolicy::Random;
        Some(Prediction::Gives(Line { waiting, count: command.count, by_chance }))
    }

    /// By order and line, what it holds.
    pub(super) fn held_lines(&self) -> HeldLines {
        let mut lines = HeldLines::new();
        for ((holder, _), held) in
            self.held.iter().filter(|((holder, _), _)| holder.kind == HolderKind::Order)
        {
            *lines.entry((holder.id.clone(), holder.line)).or_default() += held;
        }
        lines
    }
}
