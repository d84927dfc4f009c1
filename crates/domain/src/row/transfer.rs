//! Rows of transfers and their lines.

use super::Pick;
use crate::{Code, LocationId, LotId, Quantity, Sequence, SiteId, SkuId, Timestamp};

/// How a transfer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// 취소.
    Cancelled,
    /// Its remainder was given up.
    Closed,
}

/// A transfer request (이관요청서), without its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// The site that gives.
    pub from: SiteId,
    /// The site that gets.
    pub to: SiteId,
    /// Higher is sooner; for whoever lists them.
    pub priority: u32,
    /// The fingerprint of the request.
    pub body: u64,
    /// The event that requested it.
    pub requested: Sequence,
    /// When it was requested.
    pub requested_at: Timestamp,
    /// The event that last allocated something.
    pub allocated: Sequence,
    /// The event that ended it, and how.
    pub end: Option<(End, Sequence)>,
    /// How many lines it has.
    pub lines: u32,
    /// The sums over its lines.
    pub totals: Totals,
}

/// Quantities of a line, or summed over lines of any SKU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Asked for.
    pub requested: Quantity,
    /// Held and not yet picked.
    pub allocated: Quantity,
    /// Held, in staging.
    pub picked: Quantity,
    /// Left the site.
    pub shipped: Quantity,
    /// Between the sites now.
    pub in_transit: Quantity,
    /// Arrived in good order, surplus included.
    pub received: Quantity,
    /// Arrived damaged.
    pub damaged: Quantity,
    /// Never arrived.
    pub lost: Quantity,
    /// Given up before it was shipped.
    pub closed_short: Quantity,
}

impl Totals {
    /// What is still to be found: not allocated, picked, shipped or given up.
    pub fn open(&self) -> Quantity {
        self.requested - self.allocated - self.picked - self.shipped - self.closed_short
    }
}

/// How a transfer stands: always derived, never set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TransferStatus {
    /// 미할당.
    Requested,
    /// 부분할당.
    PartiallyAllocated,
    /// 할당.
    Allocated,
    /// Something was picked or a part was shipped.
    Picking,
    /// All of it left.
    Shipped,
    /// All of it arrived.
    Received,
    /// Its remainder was given up.
    Closed,
    /// 취소.
    Cancelled,
}

impl TransferStatus {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Requested,
        Self::PartiallyAllocated,
        Self::Allocated,
        Self::Picking,
        Self::Shipped,
        Self::Received,
        Self::Closed,
        Self::Cancelled,
    ];

    /// The name in answers and filters.
    pub fn name(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::PartiallyAllocated => "partially_allocated",
            Self::Allocated => "allocated",
            Self::Picking => "picking",
            Self::Shipped => "shipped",
            Self::Received => "received",
            Self::Closed => "closed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl Transfer {
    /// How it stands.
    pub fn status(&self) -> TransferStatus {
        let totals = &self.totals;
        match self.end {
            Some((End::Cancelled, _)) => return TransferStatus::Cancelled,
            Some((End::Closed, _)) => return TransferStatus::Closed,
            None => {}
        }
        if totals.shipped == totals.requested {
            let arrived = totals.in_transit.is_zero();
            return if arrived { TransferStatus::Received } else { TransferStatus::Shipped };
        }
        if !totals.picked.is_zero() || !totals.shipped.is_zero() {
            return TransferStatus::Picking;
        }
        if totals.allocated == totals.requested {
            return TransferStatus::Allocated;
        }
        if !totals.allocated.is_zero() {
            return TransferStatus::PartiallyAllocated;
        }
        TransferStatus::Requested
    }
}

/// Picked goods in staging, and the bin that they came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Staged {
    /// The staging location.
    pub staging: LocationId,
    /// The lot.
    pub lot: LotId,
    /// Where they came from, and go back to.
    pub origin: LocationId,
    /// Never zero.
    pub quantity: Quantity,
}

/// One line of a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The caller's name for it.
    pub name: Code,
    /// What.
    pub sku: SkuId,
    /// Of this lot only, if the request named one.
    pub lot: Option<LotId>,
    /// Its quantities; `allocated`, `picked` and `in_transit` are the sums of the three lists.
    pub totals: Totals,
    /// Held, not yet picked.
    pub picks: Vec<Pick>,
    /// Held, in staging.
    pub staged: Vec<Staged>,
    /// Between the sites, by lot.
    pub transit: Vec<(LotId, Quantity)>,
}
