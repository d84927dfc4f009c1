//! Plausible things to ask about orders, by three workers.

use jaego_domain::{
    Code, Command, Memory, Sequence, Tables,
    command::{
        AllocateOrder, CancelOrder, ClaimOrder, ClaimOrders, ClaimPolicy, Claimant, CompleteOrder,
        ExtendClaim, OrderLine, PlaceOrder, SetOrderAllocation, UnclaimOrder,
    },
    row::{Order, OrderAllocation, OrderStatus},
};

use super::{SITES, World, code};

const WORKERS: [&str; 3] = ["ann", "bob", "cho"];

impl World {
    /// Something about orders.
    pub(super) fn order_command(&mut self, memory: &Memory) -> Command {
        match self.dice.below(20) {
            0 => Command::SetOrderAllocation(SetOrderAllocation {
                site: code(self.dice.one_of(&SITES).0),
                allocation: *self.dice.one_of(&OrderAllocation::ALL),
            }),
            1..7 => self.place_order(),
            7..10 => Command::ClaimOrders(ClaimOrders {
                site: code(self.dice.one_of(&SITES).0),
                worker: self.worker(),
                policy: *self.dice.one_of(&ClaimPolicy::ALL),
                count: usize::try_from(1 + self.dice.below(3)).unwrap(),
                lease_ms: self.lease(),
            }),
            _ => self.work_on_order(memory),
        }
    }

    fn place_order(&mut self) -> Command {
        let count = if self.dice.chance(60) { 1 } else { 1 + self.dice.below(3) };
        let lines = (0..count)
            .map(|_| {
                let (sku, lot, quantity) = self.goods(15);
                OrderLine { sku, quantity, lot }
            })
            .collect();
        Command::PlaceOrder(PlaceOrder {
            id: Self::id(&mut self.dice, 'O', &mut self.orders, 90),
            site: code(self.dice.one_of(&SITES).0),
            lines,
            customer: if self.dice.chance(30) { Some(code("kim")) } else { None },
            priority: u32::try_from(self.dice.below(3)).unwrap(),
            backorder: self.dice.chance(70),
        })
    }

    pub(super) fn worker(&mut self) -> Code {
        code(self.dice.word(&WORKERS))
    }

    pub(super) fn lease(&mut self) -> Option<u64> {
        if self.dice.chance(70) { Some(1 + self.dice.below(60_000)) } else { None }
    }

    /// Mostly the worker who has the claim, and its fence.
    fn claimant(&mut self, order: Option<&Order>) -> Claimant {
        match order.and_then(|order| order.claim.clone()) {
            Some(claim) if self.dice.chance(90) => Claimant { worker: claim.worker, fence: claim.fence },
            _ => Claimant { worker: self.worker(), fence: Sequence(self.dice.below(60)) },
        }
    }

    /// What comes next in an order's life, or something that does not.
    fn work_on_order(&mut self, memory: &Memory) -> Command {
        let is_open = |id: &Code| memory.order(id).is_some_and(|order| !order.status.may_rest());
        let Some(id) = self.open_id('O', self.orders, is_open) else { return self.place_order() };
        let order = memory.order(&id);
        let is_claimed = order.as_ref().is_some_and(|order| order.status == OrderStatus::Processing);
        match self.dice.below(10) {
            0 => Command::CancelOrder(CancelOrder { id }),
            1..3 => Command::AllocateOrder(AllocateOrder { id }),
            3 if is_claimed => {
                let claimant = self.claimant(order.as_ref());
                Command::UnclaimOrder(UnclaimOrder { id, claimant })
            }
            4..6 if is_claimed => {
                let claimant = self.claimant(order.as_ref());
                Command::ExtendClaim(ExtendClaim { id, claimant, lease_ms: self.lease() })
            }
            3..7 => {
                let worker = self.worker();
                Command::ClaimOrder(ClaimOrder { id, worker, lease_ms: self.lease() })
            }
            _ => {
                let named = is_claimed || self.dice.chance(10);
                let claimant = if named { Some(self.claimant(order.as_ref())) } else { None };
                Command::CompleteOrder(CompleteOrder { id, claimant })
            }
        }
    }
}
