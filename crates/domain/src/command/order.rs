//! Orders, and the claims of those who work on them.

use super::{digest_maybe, line_count, positive};
use crate::{
    Amount, Code, Digest, Name, Quantity, Refusal, Sequence,
    limits::{CLAIMS_MAX, LEASE_MS_MAX},
    row::OrderAllocation,
};

/// Says when the orders of a site are allocated. Those that were placed before keep what they hold.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are those of the row")]
pub struct SetOrderAllocation {
    pub site: Code,
    pub allocation: OrderAllocation,
}

impl SetOrderAllocation {
    pub(super) fn digest(&self, d: &mut Digest) {
        d.number(40).text(self.site.as_str()).text(self.allocation.name());
    }
}

/// A line of an order.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields name what is wanted")]
pub struct OrderLine {
    pub sku: Code,
    pub quantity: Quantity,
    /// Of this lot only.
    pub lot: Option<Code>,
}

/// Places an order.
#[derive(Clone, Debug, PartialEq)]
pub struct PlaceOrder {
    /// The order's id: its key, for ever.
    pub id: Code,
    /// The site that fulfils it.
    pub site: Code,
    /// At least one.
    pub lines: Vec<OrderLine>,
    /// Who ordered.
    pub customer: Option<Code>,
    /// Higher is sooner.
    pub priority: u32,
    /// Whether it waits for what there is too little of, instead of being refused.
    pub backorder: bool,
}

/// Allocates what an order still lacks.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the order")]
pub struct AllocateOrder {
    pub id: Code,
}

impl AllocateOrder {
    pub(super) fn digest(&self, d: &mut Digest) {
        d.number(42).text(self.id.as_str());
    }
}

/// Cancels an order: what it holds is released, and a claim on it is void.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the order")]
pub struct CancelOrder {
    pub id: Code,
}

impl CancelOrder {
    pub(super) fn digest(&self, d: &mut Digest) {
        d.number(43).text(self.id.as_str());
    }
}

/// Gives back what was paid for an order, or a part of it. The order stays as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct RefundOrder {
    /// The order.
    pub id: Code,
    /// How much; all that was not refunded yet if not said.
    pub amount: Option<Amount>,
    /// Why; may be empty.
    pub reason: Name,
}

impl RefundOrder {
    pub(super) fn validate(&self) -> Result<(), Refusal> {
        if self.amount.is_some_and(Amount::is_zero) {
            return Err(Refusal::invalid("amount", "is zero"));
        }
        Ok(())
    }

    pub(super) fn digest(&self, d: &mut Digest) {
        d.number(56).text(self.id.as_str()).maybe_number(self.amount.map(Amount::get));
        d.text(self.reason.as_str());
    }
}

/// Claims an order for a worker.
#[derive(Clone, Debug, PartialEq)]
pub struct ClaimOrder {
    /// The order.
    pub id: Code,
    /// For whom.
    pub worker: Code,
    /// How long the claim stands if nobody extends it; 15 minutes if not said.
    pub lease_ms: Option<u64>,
}

/// Which orders a worker gets who does not name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClaimPolicy {
    /// Those that were placed first.
    Oldest,
    /// Those of the highest priority, and of these the ones that were placed first.
    Priority,
    /// Any.
    Random,
}

impl ClaimPolicy {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Oldest, Self::Priority, Self::Random];

    /// The name in requests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Oldest => "oldest",
            Self::Priority => "priority",
            Self::Random => "random",
        }
    }

    /// Reads a name. Refuses with `invalid_value`.
    pub fn parse(field: &'static str, name: &str) -> Result<Self, Refusal> {
        Self::ALL
            .into_iter()
            .find(|policy| policy.name() == name)
            .ok_or_else(|| Refusal::invalid(field, "is not oldest, priority or random"))
    }
}

/// Claims the next orders of a site for a worker.
#[derive(Clone, Debug, PartialEq)]
pub struct ClaimOrders {
    /// The site.
    pub site: Code,
    /// For whom.
    pub worker: Code,
    /// Which ones.
    pub policy: ClaimPolicy,
    /// At most so many: 1 to [`CLAIMS_MAX`].
    pub count: usize,
    /// As in [`ClaimOrder`].
    pub lease_ms: Option<u64>,
}

/// Who says that some work is theirs: the worker, and the fence that came with the claim.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "said above")]
pub struct Claimant {
    pub worker: Code,
    pub fence: Sequence,
}

/// Gives a claim a new life, counted from now.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "as in ClaimOrder")]
pub struct ExtendClaim {
    pub id: Code,
    pub claimant: Claimant,
    pub lease_ms: Option<u64>,
}

/// Gives a claim up: the order waits for others.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the order, and who gives it up")]
pub struct UnclaimOrder {
    pub id: Code,
    pub claimant: Claimant,
}

/// Completes an order: its goods go to the customer.
#[derive(Clone, Debug, PartialEq)]
pub struct CompleteOrder {
    /// The order.
    pub id: Code,
    /// Who completes it; may be missing for an order that nobody has claimed.
    pub claimant: Option<Claimant>,
}

impl PlaceOrder {
    pub(super) fn validate(&self) -> Result<(), Refusal> {
        line_count(self.lines.len())?;
        let mut lines = self.lines.iter().enumerate();
        lines.try_for_each(|(index, line)| positive(index, "quantity", line.quantity))
    }

    pub(super) fn digest(&self, d: &mut Digest) {
        d.number(41).text(self.id.as_str()).text(self.site.as_str());
        digest_maybe(d, self.customer.as_ref());
        d.number(self.priority.into()).flag(self.backorder);
        for line in &self.lines {
            d.text(line.sku.as_str()).number(line.quantity.get());
            digest_maybe(d, line.lot.as_ref());
        }
    }
}

impl ClaimOrder {
    pub(super) fn validate(&self) -> Result<(), Refusal> {
        lease(self.lease_ms)
    }

    pub(super) fn digest(&self, d: &mut Digest) {
        d.number(44).text(self.id.as_str()).text(self.worker.as_str()).maybe_number(self.lease_ms);
    }
}

impl ClaimOrders {
    pub(super) fn validate(&self) -> Result<(), Refusal> {
        claim_count(self.count)?;
        lease(self.lease_ms)
    }

    pub(super) fn digest(&self, d: &mut Digest) {
        d.number(45).text(self.site.as_str()).text(self.worker.as_str()).text(self.policy.name());
        d.number(self.count as u64).maybe_number(self.lease_ms);
    }
}

impl Claimant {
    pub(super) fn digest(&self, d: &mut Digest) {
        d.text(self.worker.as_str()).number(self.fence.0);
    }
}

impl ExtendClaim {
    pub(super) fn validate(&self) -> Result<(), Refusal> {
        lease(self.lease_ms)
    }

    pub(super) fn digest(&self, d: &mut Digest) {
        d.number(46).text(self.id.as_str()).maybe_number(self.lease_ms);
        self.claimant.digest(d);
    }
}

impl UnclaimOrder {
    pub(super) fn digest(&self, d: &mut Digest) {
        d.number(47).text(self.id.as_str());
        self.claimant.digest(d);
    }
}

impl CompleteOrder {
    pub(super) fn digest(&self, d: &mut Digest) {
        d.number(48).text(self.id.as_str()).flag(self.claimant.is_some());
        if let Some(claimant) = &self.claimant {
            claimant.digest(d);
        }
    }
}

pub(super) fn claim_count(count: usize) -> Result<(), Refusal> {
    if count == 0 || count > CLAIMS_MAX {
        return Err(Refusal::invalid("count", format!("is not from 1 to {CLAIMS_MAX}")));
    }
    Ok(())
}

pub(super) fn lease(ms: Option<u64>) -> Result<(), Refusal> {
    match ms {
        Some(0) => Err(Refusal::invalid("lease_s", "is zero")),
        Some(ms) if ms > LEASE_MS_MAX => Err(Refusal::invalid("lease_s", "is more than 24 hours")),
        _ => Ok(()),
    }
}
