//! Orders, and the claims of those who work on them.

use jaego_domain::{
    ClaimView, Command, Refusal, Sequence, command,
    command::ClaimPolicy,
    query,
    row::{OrderAllocation, OrderStatus},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    picking::Work,
    stock::HeldAt,
    time::Time,
    value::{Choice, Label, Lines, Text, Whole, Word, code_if_any, name_if_any, name_or_empty},
    wallet::amount,
};

/// Says when the orders of a site are allocated. Those that were placed before keep what they hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct SetOrderAllocation<'a> {
    /// The site.
    pub site: Text<'a>,
    /// As they are placed, when somebody asks for it, or when they are completed.
    pub allocation: Choice<OrderAllocation>,
}

impl SetOrderAllocation<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        Ok(Command::SetOrderAllocation(command::SetOrderAllocation {
            site: self.site.code("site")?,
            allocation: self.allocation.get("allocation")?,
        }))
    }
}

/// Places an order. The id is the order's key, for ever.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct PlaceOrder<'a> {
    /// The order's id.
    pub id: Text<'a>,
    /// The site that fulfils it.
    pub site: Text<'a>,
    /// What is ordered.
    pub lines: Lines<OrderLine<'a>>,
    /// Who ordered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer: Option<Text<'a>>,
    /// Higher is sooner; 0 if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 4_294_967_295_u32))]
    pub priority: Option<Whole>,
    /// Whether it waits for what there is too little of, instead of being refused.
    #[serde(default)]
    pub backorder: bool,
}

/// A line of an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct OrderLine<'a> {
    /// What.
    pub sku: Text<'a>,
    /// How much.
    #[schemars(range(min = 1))]
    pub quantity: Whole,
    /// Of this lot only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lot: Option<Text<'a>>,
}

impl PlaceOrder<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        Ok(Command::PlaceOrder(command::PlaceOrder {
            id: self.id.code("id")?,
            site: self.site.code("site")?,
            lines: self.lines.map(|line| {
                Ok(command::OrderLine {
                    sku: line.sku.code("sku")?,
                    quantity: line.quantity.quantity("quantity")?,
                    lot: code_if_any(line.lot.as_ref(), "lot")?,
                })
            })?,
            customer: code_if_any(self.customer.as_ref(), "customer")?,
            priority: self.priority.map_or(Ok(0), |priority| priority.small("priority"))?,
            backorder: self.backorder,
        }))
    }
}

/// Allocates what an order still lacks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct AllocateOrder<'a> {
    /// The order.
    pub order: Text<'a>,
}

impl AllocateOrder<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        Ok(Command::AllocateOrder(command::AllocateOrder { id: self.order.code("order")? }))
    }
}

/// Cancels an order: what it holds is released, a claim on it is void, and what was paid for it is refunded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct CancelOrder<'a> {
    /// The order.
    pub order: Text<'a>,
}

impl CancelOrder<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        Ok(Command::CancelOrder(command::CancelOrder { id: self.order.code("order")? }))
    }
}

/// Refunds what was paid for an order, or a part of it. The order stays as it is; cancelling it gives back the rest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct RefundOrder<'a> {
    /// The order.
    pub order: Text<'a>,
    /// How much, in the currency's minor unit; all that was not refunded yet if not said.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<Whole>,
    /// Why; empty if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Label<'a>>,
}

impl RefundOrder<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        Ok(Command::RefundOrder(command::RefundOrder {
            id: self.order.code("order")?,
            amount: self.amount.map(amount).transpose()?,
            reason: name_or_empty(self.reason.as_ref(), "reason")?,
        }))
    }
}

/// Claims an order for a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct ClaimOrder<'a> {
    /// The order.
    pub order: Text<'a>,
    /// For whom.
    pub worker: Text<'a>,
    /// How long the claim stands if nobody extends it, in seconds; 15 minutes if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86_400))]
    pub lease_s: Option<Whole>,
}

impl ClaimOrder<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        Ok(Command::ClaimOrder(command::ClaimOrder {
            id: self.order.code("order")?,
            worker: self.worker.code("worker")?,
            lease_ms: lease_if_any(self.lease_s)?,
        }))
    }
}

/// Claims the next orders of a site for a worker, or the next picks of its transfers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct ClaimOrders<'a> {
    /// The site.
    pub site: Text<'a>,
    /// For whom.
    pub worker: Text<'a>,
    /// Orders, or what transfers have to pick: each zone of each transfer for itself. Orders if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub work: Option<Choice<Work>>,
    /// Picks of this zone only; of any if not said. An empty text is the zone of locations in none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<Label<'a>>,
    /// Which ones: the oldest if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Choice<ClaimPolicy>>,
    /// How many at the most; 1 if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000))]
    pub count: Option<Whole>,
    /// How long the claims stand if nobody extends them, in seconds; 15 minutes if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86_400))]
    pub lease_s: Option<Whole>,
}

impl ClaimOrders<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        let policy = self.policy.as_ref().map_or(Ok(ClaimPolicy::Oldest), |policy| policy.get("policy"))?;
        let work = self.work.as_ref().map_or(Ok(Work::Orders), |work| work.get("work"))?;
        let (site, worker) = (self.site.code("site")?, self.worker.code("worker")?);
        let zone = name_if_any(self.zone.as_ref(), "zone")?;
        let count = self.count.map_or(Ok(1), |count| count.small("count"))? as usize;
        let lease_ms = lease_if_any(self.lease_s)?;
        match work {
            Work::Picks => {
                Ok(Command::ClaimPicks(command::ClaimPicks { site, zone, worker, policy, count, lease_ms }))
            }
            Work::Orders if zone.is_some() => {
                Err(Refusal::invalid("zone", "is named, and orders are of no zone: only picks are"))
            }
            Work::Orders => {
                Ok(Command::ClaimOrders(command::ClaimOrders { site, worker, policy, count, lease_ms }))
            }
        }
    }
}

/// Gives a claim a new life, counted from now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct ExtendClaim<'a> {
    /// The order.
    pub order: Text<'a>,
    /// Whose claim it is.
    pub worker: Text<'a>,
    /// The fence that came with it.
    #[schemars(range(min = 0))]
    pub fence: Whole,
    /// Its life from now, in seconds; 15 minutes if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86_400))]
    pub lease_s: Option<Whole>,
}

impl ExtendClaim<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        Ok(Command::ExtendClaim(command::ExtendClaim {
            id: self.order.code("order")?,
            claimant: claimant(&self.worker, self.fence)?,
            lease_ms: lease_if_any(self.lease_s)?,
        }))
    }
}

/// Gives a claim up: the order waits for others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct UnclaimOrder<'a> {
    /// The order.
    pub order: Text<'a>,
    /// Whose claim it is.
    pub worker: Text<'a>,
    /// The fence that came with it.
    #[schemars(range(min = 0))]
    pub fence: Whole,
}

impl UnclaimOrder<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        Ok(Command::UnclaimOrder(command::UnclaimOrder {
            id: self.order.code("order")?,
            claimant: claimant(&self.worker, self.fence)?,
        }))
    }
}

/// Completes an order: its goods go to the customer. Whoever claimed it names the worker and the fence; an order that
/// nobody has claimed is completed without.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct CompleteOrder<'a> {
    /// The order.
    pub order: Text<'a>,
    /// Whose claim it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<Text<'a>>,
    /// The fence that came with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub fence: Option<Whole>,
}

impl CompleteOrder<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        let id = self.order.code("order")?;
        let claimant = claimant_if_any(self.worker.as_ref(), self.fence)?;
        Ok(Command::CompleteOrder(command::CompleteOrder { id, claimant }))
    }
}

pub(crate) fn lease_if_any(seconds: Option<Whole>) -> Result<Option<u64>, Refusal> {
    seconds.map(|seconds| seconds.seconds_as_ms("lease_s")).transpose()
}

/// Both a worker and a fence, or neither. Refuses with `invalid_value`.
pub(crate) fn claimant_if_any(
    worker: Option<&Text<'_>>,
    fence: Option<Whole>,
) -> Result<Option<command::Claimant>, Refusal> {
    match (worker, fence) {
        (Some(worker), Some(fence)) => claimant(worker, fence).map(Some),
        (None, None) => Ok(None),
        (Some(_), None) => Err(Refusal::invalid("fence", "is missing, and a worker is named")),
        (None, Some(_)) => Err(Refusal::invalid("worker", "is missing, and a fence is named")),
    }
}

pub(crate) fn claimant(worker: &Text<'_>, fence: Whole) -> Result<command::Claimant, Refusal> {
    let worker = worker.code("worker")?;
    Ok(command::Claimant { worker, fence: Sequence(fence.quantity("fence")?.get()) })
}

/// A claim on an order that a worker got or extended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClaimedOrder {
    /// The order.
    pub order: Word,
    /// What the worker names to complete, extend or give up: larger than that of every claim before it.
    pub fence: u64,
    /// From when on it no longer counts.
    pub expires_at: Time,
}

impl From<&ClaimView> for ClaimedOrder {
    fn from(view: &ClaimView) -> Self {
        Self { order: (&view.order).into(), fence: view.fence.0, expires_at: view.expires_at.into() }
    }
}

/// A worker's claim on an order, or on what a transfer has to pick.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkClaim {
    /// Whose it is.
    pub worker: Word,
    /// The fence that came with it.
    pub fence: u64,
    /// From when on it no longer counts.
    pub expires_at: Time,
}

/// An order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Order {
    /// All but its lines.
    #[serde(flatten)]
    pub summary: OrderSummary,
    /// What it was sold for, where it came of a cart.
    #[serde(flatten)]
    pub sale: Option<OrderSale>,
    /// Its lines.
    pub lines: Vec<OrderLineState>,
}

/// What an order was sold for, in the currency's minor unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderSale {
    /// The currency.
    pub currency: Word,
    /// What its lines cost together.
    pub total: u64,
    /// What was paid for it, less what was refunded.
    pub paid: u64,
    /// What was given back, in parts or when it was cancelled.
    pub refunded: u64,
}

/// An order without its lines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OrderSummary {
    /// Its id.
    pub id: Word,
    /// The site that fulfils it.
    pub site: Word,
    /// How it stands.
    pub status: Choice<OrderStatus>,
    /// Who ordered.
    pub customer: Option<Word>,
    /// Higher is sooner.
    pub priority: u32,
    /// Whether it may wait for stock.
    pub backorder: bool,
    /// When it was placed.
    pub placed_at: Time,
    /// Whether all that was ordered is held for it.
    pub allocated: bool,
    /// How many lines it has.
    pub line_count: u32,
    /// Who works on it, while somebody does.
    pub claim: Option<WorkClaim>,
    /// Who completed it, if a worker did who had claimed it.
    pub completed_by: Option<Word>,
}

/// A line of an order, as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OrderLineState {
    /// Its number, from 1.
    pub line: u32,
    /// What.
    pub sku: Word,
    /// Of this lot only.
    pub lot: Option<Word>,
    /// How much was ordered.
    pub quantity: u64,
    /// How much of it is held.
    pub allocated: u64,
    /// What one unit was sold for, where the order came of a cart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<u64>,
    /// What it holds.
    pub picks: Vec<HeldAt>,
}

impl From<&query::OrderSummary> for OrderSummary {
    fn from(view: &query::OrderSummary) -> Self {
        let claim = view.claim.as_ref().map(|(worker, claim)| WorkClaim {
            worker: worker.into(),
            fence: claim.fence.0,
            expires_at: claim.expires_at.into(),
        });
        Self {
            id: (&view.id).into(),
            site: (&view.site).into(),
            status: view.status.into(),
            customer: view.customer.as_ref().map(Word::from),
            priority: view.priority,
            backorder: view.backorder,
            placed_at: view.placed_at.into(),
            allocated: view.allocated,
            line_count: view.line_count,
            claim,
            completed_by: view.completed_by.as_ref().map(Word::from),
        }
    }
}

impl From<&query::OrderView> for Order {
    fn from(view: &query::OrderView) -> Self {
        let prices = view.sale.as_ref().map_or(&[][..], |sale| &sale.prices);
        let prices = prices.iter().map(|price| Some(price.get())).chain(std::iter::repeat(None));
        let lines = view.lines.iter().zip(prices).map(|(line, price)| OrderLineState {
            price,
            line: line.line,
            sku: (&line.sku).into(),
            lot: line.lot.as_ref().map(Word::from),
            quantity: line.quantity.get(),
            allocated: line.allocated.get(),
            picks: line.picks.iter().map(HeldAt::from).collect(),
        });
        let sale = view.sale.as_ref().map(|sale| OrderSale {
            currency: sale.currency.as_str().into(),
            total: sale.total.get(),
            paid: (sale.total - sale.refunded).get(),
            refunded: sale.refunded.get(),
        });
        Self { lines: lines.collect(), sale, summary: (&view.summary).into() }
    }
}
