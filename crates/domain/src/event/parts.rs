//! What events are made of: the lines of documents, and what changed with them.

use smallvec::SmallVec;

use crate::{
    Code, LocationId, LotId, Outside, Place, Quantity, SiteId, SkuId,
    row::{CloseReason, Holder},
};

/// A quantity of a line at a place. The line is an index from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Take {
    /// The line of the document.
    pub line: u32,
    /// Its SKU.
    pub sku: SkuId,
    /// The bin.
    pub location: LocationId,
    /// The lot.
    pub lot: LotId,
    /// Never zero.
    pub quantity: Quantity,
}

impl Take {
    /// Where it is taken.
    pub fn place(&self) -> Place {
        Place { location: self.location, sku: self.sku, lot: self.lot }
    }
}

/// Takes of one event: most holds have one line at one position.
pub type Takes = SmallVec<[Take; 1]>;

/// What a line lacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Short {
    /// The line of the document.
    pub line: u32,
    /// How much it asked for.
    pub requested: Quantity,
    /// How much there was.
    pub available: Quantity,
}

/// A line of a placed hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldLine {
    /// Where.
    pub site: SiteId,
    /// What.
    pub sku: SkuId,
    /// How much was asked for.
    pub quantity: Quantity,
}

/// A line of a requested transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestedLine {
    /// The caller's name for it.
    pub name: Code,
    /// What.
    pub sku: SkuId,
    /// Of this lot only.
    pub lot: Option<LotId>,
    /// How much.
    pub quantity: Quantity,
}

/// A hold that lost a part of what it held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Freed {
    /// Whose hold.
    pub holder: Holder,
    /// How much of it.
    pub quantity: Quantity,
}

/// A line of an adjustment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdjustedLine {
    /// Where.
    pub place: Place,
    /// The account on the other side.
    pub outside: Outside,
    /// Whether stock came in; otherwise it went out.
    pub increase: bool,
    /// How much; zero when a count found what the books said.
    pub quantity: Quantity,
    /// Whether the place was counted: nothing is missing there any more.
    pub counted: bool,
    /// The holds that were cut to make it possible.
    pub freed: Vec<Freed>,
}

/// A line of a bin move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovedLine {
    /// What.
    pub sku: SkuId,
    /// Of which lot.
    pub lot: LotId,
    /// From here.
    pub from: LocationId,
    /// To here.
    pub to: LocationId,
    /// How much, what follows included.
    pub quantity: Quantity,
    /// The holds that follow.
    pub follow: Vec<Freed>,
}

/// Picked goods: from the bin to staging.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PickedLine {
    /// What was taken, and where.
    pub take: Take,
    /// Where it was put.
    pub staging: LocationId,
}

/// Goods that a picker could not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MissedLine {
    /// What was to be taken, and where.
    pub take: Take,
    /// Where damaged goods were put; goods that were not found have no such place.
    pub quarantine: Option<LocationId>,
}

/// Picked goods on their way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnpickedLine {
    /// What, and in which staging location it was.
    pub take: Take,
    /// The bin that it had come from.
    pub origin: LocationId,
    /// The bin that it goes to, where it is allocated again.
    pub to: LocationId,
}

/// Shipped goods, out of staging.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShippedLine {
    /// What, and in which staging location it was.
    pub take: Take,
    /// The bin that it had come from.
    pub origin: LocationId,
}

/// Goods that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceivedLine {
    /// The line of the transfer.
    pub line: u32,
    /// What.
    pub sku: SkuId,
    /// Of which lot.
    pub lot: LotId,
    /// Where it was put.
    pub location: LocationId,
    /// Whether it came damaged.
    pub damaged: bool,
    /// How much of it was on the way.
    pub expected: Quantity,
    /// How much more than that arrived.
    pub excess: Quantity,
}

/// Goods that never arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LostLine {
    /// The line of the transfer.
    pub line: u32,
    /// What.
    pub sku: SkuId,
    /// Of which lot.
    pub lot: LotId,
    /// How much.
    pub quantity: Quantity,
}

/// Stock that crossed its safety level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watched {
    /// Where.
    pub site: SiteId,
    /// What.
    pub sku: SkuId,
    /// How much is available now.
    pub available: Quantity,
    /// The safety level.
    pub level: Quantity,
    /// Whether it fell below the level; otherwise it recovered.
    pub low: bool,
}

/// A line of a placed order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderedLine {
    /// What.
    pub sku: SkuId,
    /// Of this lot only.
    pub lot: Option<LotId>,
    /// How much.
    pub quantity: Quantity,
}

/// What a line of an order lacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderShort {
    /// The line's index.
    pub line: u32,
    /// Its SKU.
    pub sku: SkuId,
    /// How much it asked for.
    pub requested: Quantity,
    /// How much there was.
    pub available: Quantity,
}

/// An order that got stock it had waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilledOrder {
    /// The order.
    pub order: Code,
    /// What it got.
    pub takes: Takes,
}

/// A proposal that nobody answered, and why it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedProposal {
    /// Which one.
    pub proposal: Code,
    /// Why.
    pub reason: CloseReason,
}
