//! Rows of what lies where, and who holds it.

use crate::{Code, LocationId, LotId, Quantity, Timestamp};

/// What is known of a SKU at a site, over all its positions, present and future.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gate {
    /// Whether stock ever lay here.
    pub stocked: bool,
    /// Below this much available, the stock is low; zero watches nothing.
    pub safety_level: Quantity,
    /// Whether it was told to be low, and not since to have recovered.
    pub low: bool,
}

/// What lies at a place (재고).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// 실재고: how much there is.
    pub on_hand: Quantity,
    /// 할당: how much of it is held.
    pub held: Quantity,
    /// How much of the rest could not be found and waits for a count.
    pub missing: Quantity,
    /// When stock came to lie here; `fifo` goes by it where there is no lot.
    pub since: Timestamp,
}

impl Position {
    /// What nobody holds.
    pub fn unheld(&self) -> Quantity {
        self.on_hand - self.held
    }

    /// What nobody holds and is where it should be.
    pub fn movable(&self) -> Quantity {
        self.unheld() - self.missing
    }
}

/// Who holds something: a line (by index from 0) of a hold, a transfer or an order, or an item of a cart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Holder {
    /// Which kind of document.
    pub kind: HolderKind,
    /// The document.
    pub id: Code,
    /// The line's index.
    pub line: u32,
}

/// The kinds of documents that hold stock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HolderKind {
    /// A cart, whose lines are told apart by their SKUs: the line is the SKU's number. The first to give up what
    /// it holds where holders have to.
    Cart,
    /// A hold of its own.
    Hold,
    /// An allocation of a transfer.
    Transfer,
    /// An allocation of an order.
    Order,
}

/// A quantity held at a place; the SKU is the line's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pick {
    /// The bin.
    pub location: LocationId,
    /// The lot.
    pub lot: LotId,
    /// Never zero.
    pub quantity: Quantity,
}
