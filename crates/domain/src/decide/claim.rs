//! Claims: who works on which order, and until when.

use super::{
    Verdict,
    desk::Desk,
    doable::{Look, Sight},
};
use crate::{
    Code, Digest, Fact, Refusal, SiteId, Tables, Timestamp, Waiting, WaitingBy, chance,
    command::{ClaimOrder, ClaimOrders, ClaimPolicy, Claimant, ExtendClaim, UnclaimOrder},
    limits::LEASE_MS,
    row::{Claim, OrderAllocation},
};

impl<T: Tables> Desk<'_, T> {
    pub(super) fn claim_order(&self, command: &ClaimOrder) -> Result<Verdict, Refusal> {
        let id = &command.id;
        let work = self.live_work(id)?;
        match &work.claim {
            // The worker who was not told is told again.
            Some(claim) if claim.worker == command.worker => return Ok(Verdict::Repeat(claim.fence)),
            Some(claim) => return Err(Self::order_claimed(id, claim)),
            None => {}
        }
        if !work.is_allocated && self.order_allocation(work.site) != OrderAllocation::AtCompletion {
            return Err(self.order_short(id, &self.order(id)?));
        }
        let mut look = Look::default();
        let sight = self.sight_of_order(id, &mut look);
        self.note(&look);
        if let Sight::Stuck(refusal) = sight {
            return Err(refusal);
        }
        let expires_at = self.lease(command.lease_ms);
        Ok(Verdict::New(Fact::OrderClaimed { id: id.clone(), worker: command.worker.clone(), expires_at }))
    }

    pub(super) fn claim_orders(&self, command: &ClaimOrders, body: u64) -> Result<Verdict, Refusal> {
        let site = self.site(&command.site)?;
        let found = self.next_doable(
            self.waiting_by(command.policy, body),
            command.count,
            |by| self.in_line(site, by),
            |order, look| match order.holds_lots {
                false => Sight::Doable,
                true => self.sight_of_order(&order.order, look),
            },
        );
        let found =
            found.map_err(|passed_by| Refusal::NothingToClaim { site: command.site.clone(), passed_by })?;
        let ids = found.into_iter().map(|order| order.order).collect();
        let expires_at = self.lease(command.lease_ms);
        Ok(Verdict::New(Fact::OrdersClaimed { worker: command.worker.clone(), expires_at, ids }))
    }

    pub(super) fn extend_claim(&self, command: &ExtendClaim) -> Result<Verdict, Refusal> {
        let id = &command.id;
        Self::holds_claim(id, self.live_work(id)?.claim.as_ref(), &command.claimant)?;
        let (fence, expires_at) = (command.claimant.fence, self.lease(command.lease_ms));
        Ok(Verdict::New(Fact::ClaimExtended { id: id.clone(), fence, expires_at }))
    }

    pub(super) fn unclaim_order(&self, command: &UnclaimOrder) -> Result<Verdict, Refusal> {
        let id = &command.id;
        Self::holds_claim(id, self.live_work(id)?.claim.as_ref(), &command.claimant)?;
        let worker = command.claimant.worker.clone();
        Ok(Verdict::New(Fact::OrderUnclaimed { id: id.clone(), worker }))
    }

    /// Refuses with `claim_lost` whoever does not have the claim that `stands`, or of a completed order the one that
    /// completed it.
    pub(super) fn holds_claim(id: &Code, stands: Option<&Claim>, claimant: &Claimant) -> Result<(), Refusal> {
        if stands.is_some_and(|claim| claim.worker == claimant.worker && claim.fence == claimant.fence) {
            return Ok(());
        }
        Err(Refusal::ClaimLost {
            order: id.clone(),
            worker: claimant.worker.clone(),
            fence: claimant.fence,
            current_fence: stands.map(|claim| claim.fence),
        })
    }

    pub(super) fn order_claimed(id: &Code, claim: &Claim) -> Refusal {
        let Claim { worker, expires_at, .. } = claim.clone();
        Refusal::OrderClaimed { order: id.clone(), worker, expires_at }
    }

    /// The order in which a policy gives work, and the one by chance, to the request of this fingerprint.
    pub(super) fn waiting_by(&self, policy: ClaimPolicy, body: u64) -> (WaitingBy, WaitingBy) {
        // Another place for each request and each time, also while nothing happens; the same one for whoever decides this
        // again.
        let next = self.tables.head().sequence.next();
        let place = Digest::default().number(body).number(next.0).number(self.now.0).finish();
        let chance = WaitingBy::Neighbour(place);
        let by = match policy {
            ClaimPolicy::Oldest => WaitingBy::Age,
            ClaimPolicy::Priority => WaitingBy::Priority,
            ClaimPolicy::Random => chance,
        };
        (by, chance)
    }

    pub(super) fn lease(&self, ms: Option<u64>) -> Timestamp {
        self.now.after_ms(ms.unwrap_or(LEASE_MS))
    }

    /// The orders that wait for a worker: those that are wholly allocated, and at sites that allocate at completion the
    /// others as well.
    fn in_line(&self, site: SiteId, by: WaitingBy) -> impl Iterator<Item = Waiting> {
        let takes_others = self.order_allocation(site) == OrderAllocation::AtCompletion;
        let by = match by {
            WaitingBy::Neighbour(from) if takes_others => {
                WaitingBy::Chance(self.behind_a_neighbour(site, from))
            }
            by => by,
        };
        let mut allocated = self.tables.waiting(site, true, by).peekable();
        let others = takes_others.then(|| self.tables.waiting(site, false, by));
        let mut others = others.into_iter().flatten().peekable();
        std::iter::from_fn(move || match (allocated.peek(), others.peek()) {
            (Some(a), Some(b)) if rank(by, b) < rank(by, a) => others.next(),
            (Some(_), _) => allocated.next(),
            (None, _) => others.next(),
        })
    }

    /// The one place from which both lines of a site go on that has two: behind a neighbour in one of them.
    fn behind_a_neighbour(&self, site: SiteId, from: u64) -> u64 {
        let first = |allocated| self.tables.waiting(site, allocated, WaitingBy::Neighbour(from)).next();
        let neighbour = first(false).or_else(|| first(true));
        neighbour.map_or(from, |order| chance(order.placed).wrapping_add(1))
    }
}

/// Where an order stands among others: smaller is sooner. No two have the same rank.
fn rank(by: WaitingBy, order: &Waiting) -> (u64, u64) {
    match by {
        WaitingBy::Age => (0, order.placed.0),
        WaitingBy::Priority => (u64::from(u32::MAX - order.priority), order.placed.0),
        WaitingBy::Chance(from) | WaitingBy::Neighbour(from) => (chance(order.placed).wrapping_sub(from), 0),
    }
}
