//! What clients ask about orders, by two workers.

use jaego_domain::{
    Code, Command, Query, Sequence,
    command::{
        AllocateOrder, CancelOrder, ClaimOrder, ClaimOrders, ClaimPolicy, Claimant, CompleteOrder,
        ExtendClaim, OrderLine, PlaceOrder, SetOrderAllocation, UnclaimOrder,
    },
    query::{Page, Period},
    row::{OrderAllocation, OrderStatus},
};
use jaego_engine::sim_disk::Dice;

use super::{Client, REMEMBERED, SKUS, code, quantity};

const WORKERS: [&str; 2] = ["ann", "bob"];
/// Fences that a client guesses: those of the latest events.
const FENCES: usize = 8;

impl Client {
    pub(super) fn order_command(&mut self, dice: &mut Dice) -> Command {
        match dice.below(16) {
            0 => Command::SetOrderAllocation(SetOrderAllocation {
                site: self.site(dice),
                allocation: OrderAllocation::ALL[dice.below(3)],
            }),
            1..=4 => self.place_order(dice),
            5 | 6 => Command::ClaimOrder(ClaimOrder {
                id: self.order(dice),
                worker: worker(dice),
                lease_ms: lease(dice),
            }),
            7..=9 => Command::ClaimOrders(ClaimOrders {
                site: code("ICN"),
                worker: worker(dice),
                policy: ClaimPolicy::ALL[dice.below(3)],
                count: 1 + dice.below(3),
                lease_ms: lease(dice),
            }),
            10 => Command::ExtendClaim(ExtendClaim {
                id: self.order(dice),
                claimant: self.claimant(dice),
                lease_ms: lease(dice),
            }),
            11 => Command::UnclaimOrder(UnclaimOrder { id: self.order(dice), claimant: self.claimant(dice) }),
            12 => Command::CancelOrder(CancelOrder { id: self.order(dice) }),
            13 => Command::AllocateOrder(AllocateOrder { id: self.order(dice) }),
            _ => Command::CompleteOrder(CompleteOrder {
                id: self.order(dice),
                claimant: dice.one_in(2).then(|| self.claimant(dice)),
            }),
        }
    }

    /// A page of orders.
    pub(super) fn orders_query(&self, dice: &mut Dice) -> Query {
        let page = Page { after: None, limit: 1_000 };
        let status = dice.one_in(3).then(|| OrderStatus::ALL[dice.below(4)]);
        Query::Orders {
            site: None,
            status,
            customer: None,
            worker: None,
            allocated: None,
            placed: Period::default(),
            page,
        }
    }

    fn place_order(&mut self, dice: &mut Dice) -> Command {
        if !dice.one_in(10) {
            self.orders += 1;
        }
        let lines = (0..1 + dice.below(2)).map(|_| OrderLine {
            sku: code(SKUS[dice.below(SKUS.len())].0),
            quantity: quantity(1 + dice.throw() % 3),
            lot: None,
        });
        let lines = lines.collect();
        Command::PlaceOrder(PlaceOrder {
            id: code(&format!("O{}", self.orders)),
            site: code("ICN"),
            lines,
            customer: None,
            priority: u32::from(dice.one_in(3)),
            backorder: dice.one_in(3),
        })
    }

    /// One of the latest orders.
    pub(super) fn order(&self, dice: &mut Dice) -> Code {
        let back = dice.throw() % REMEMBERED;
        code(&format!("O{}", self.orders.saturating_sub(back)))
    }

    pub(super) fn claimant(&self, dice: &mut Dice) -> Claimant {
        let back = dice.below(FENCES) as u64;
        Claimant { worker: worker(dice), fence: Sequence(self.events.saturating_sub(back)) }
    }
}

pub(super) fn worker(dice: &mut Dice) -> Code {
    code(WORKERS[dice.below(WORKERS.len())])
}

pub(super) fn lease(dice: &mut Dice) -> Option<u64> {
    dice.one_in(2).then(|| 1 + dice.throw() % 20_000)
}
