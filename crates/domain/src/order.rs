//! The rows of orders: what was ordered, what is held for it, and who works on it.

use smallvec::SmallVec;

use crate::{Code, LotId, Quantity, Refusal, Sequence, SiteId, SkuId, Timestamp, row::Pick};

/// How an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OrderStatus {
    /// Nobody works on it.
    Waiting,
    /// A worker has claimed it.
    Processing,
    /// The goods went to the customer.
    Completed,
    /// Called off.
    Cancelled,
}

impl OrderStatus {
    /// All of them, in the order of their tags.
    pub const ALL: [Self; 4] = [Self::Waiting, Self::Processing, Self::Completed, Self::Cancelled];

    /// The name in requests and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether its story is over: it holds nothing, and nothing will happen to it.
    pub fn may_rest(self) -> bool {
        matches!(self, Self::Completed | Self::Cancelled)
    }
}

/// When the orders of a site are allocated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OrderAllocation {
    /// As they are placed.
    #[default]
    OnArrival,
    /// When somebody asks for it.
    OnDemand,
    /// When they are completed: until then others may take the stock.
    AtCompletion,
}

impl OrderAllocation {
    /// All of them, in the order of their tags.
    pub const ALL: [Self; 3] = [Self::OnArrival, Self::OnDemand, Self::AtCompletion];

    /// The name in requests and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::OnArrival => "on_arrival",
            Self::OnDemand => "on_demand",
            Self::AtCompletion => "at_completion",
        }
    }

    /// Reads a name. Refuses with `invalid_value`.
    pub fn parse(field: &'static str, name: &str) -> Result<Self, Refusal> {
        Self::ALL
            .into_iter()
            .find(|allocation| allocation.name() == name)
            .ok_or_else(|| Refusal::invalid(field, "is not on_arrival, on_demand or at_completion"))
    }
}

/// How a site treats its orders. A site without this row has the defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderSetting {
    /// When they are allocated.
    pub allocation: OrderAllocation,
    /// The event that last set it.
    pub set: Sequence,
}

/// A worker's lease on an order (배정).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Whose it is.
    pub worker: Code,
    /// The event that gave it: larger than that of every claim before it.
    pub fence: Sequence,
    /// From when on it no longer counts.
    pub expires_at: Timestamp,
}

/// How the work on an order stands: what claims look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderWork {
    /// The site that fulfils it.
    pub site: SiteId,
    /// How the order stands.
    pub status: OrderStatus,
    /// Whether all that was ordered is held.
    pub is_allocated: bool,
    /// The claim that it is processed under, or was completed under.
    pub claim: Option<Claim>,
}

/// An order (주문).
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// The site that fulfils it.
    pub site: SiteId,
    /// Who ordered.
    pub customer: Option<Code>,
    /// Higher is sooner.
    pub priority: u32,
    /// The fingerprint of the request.
    pub body: u64,
    /// The event that placed it.
    pub placed: Sequence,
    /// When it was placed.
    pub placed_at: Timestamp,
    /// The event that placed it, that last allocated it on request, or that ended it: what repeats are answered with.
    pub answer: Sequence,
    /// Whether it may wait for stock.
    pub backorder: bool,
    /// Whether what it lacks is given to it as soon as there is some.
    pub awaits_stock: bool,
    /// How it stands.
    pub status: OrderStatus,
    /// The claim that it is processed under, or was completed under.
    pub claim: Option<Claim>,
    /// Its lines.
    pub lines: SmallVec<[OrderLine; 1]>,
}

/// One line of an order.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderLine {
    /// What.
    pub sku: SkuId,
    /// Of this lot only.
    pub lot: Option<LotId>,
    /// How much.
    pub quantity: Quantity,
    /// What is held for it.
    pub picks: SmallVec<[Pick; 1]>,
}

/// A line of an order, by index from 0, and all that is held for it.
pub type LinePicks = (u32, SmallVec<[Pick; 1]>);

impl Order {
    /// Whether all that was ordered is held.
    pub fn is_allocated(&self) -> bool {
        self.lines.iter().all(|line| line.lacks().is_zero())
    }

    /// Whether each line that lacks something gets it as soon as there is some.
    pub fn is_awaiting(&self) -> bool {
        self.awaits_stock && !self.status.may_rest()
    }

    /// Who completed it, if it was completed by the worker who had claimed it.
    pub fn completed_by(&self) -> Option<&Code> {
        let claim = self.claim.as_ref().filter(|_| self.status == OrderStatus::Completed);
        claim.map(|claim| &claim.worker)
    }
}

impl OrderLine {
    /// How much is held for it.
    pub fn held(&self) -> Quantity {
        self.picks.iter().map(|pick| pick.quantity).sum()
    }

    /// How much is not held for it, of an order that has not ended.
    pub fn lacks(&self) -> Quantity {
        self.quantity - self.held()
    }
}

/// In which order waiting orders are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitingBy {
    /// Placed first, first.
    Age,
    /// Higher priority first, then as by age.
    Priority,
    /// By [`chance`], from this number on and around.
    Chance(u64),
    /// The same from one of the [`NEIGHBOURS`](crate::limits::NEIGHBOURS) behind this number, which the number decides.
    ///
    /// The first behind a number that somebody throws is found as often as the gap before it is wide, and gaps differ widely. The
    /// sums of so many gaps hardly do.
    Neighbour(u64),
}

/// A waiting order, and what it is sorted by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The order.
    pub order: Code,
    /// Higher is sooner.
    pub priority: u32,
    /// The event that placed it.
    pub placed: Sequence,
    /// Whether it holds goods of any lot.
    pub holds_lots: bool,
}

/// A line of an order that waits for stock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Awaiting {
    /// The order.
    pub order: Code,
    /// The line's index.
    pub line: u32,
    /// The order's priority: higher is sooner.
    pub priority: u32,
    /// The event that placed the order: earlier is sooner.
    pub placed: Sequence,
    /// How much it lacks.
    pub lacks: Quantity,
}

/// Where chance puts an order: the mixing function of SplitMix64 (Steele, Lea and Flood, 2014), which gives each
/// number another one, so that no two orders share a place.
pub fn chance(placed: Sequence) -> u64 {
    let mut mixed = placed.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
