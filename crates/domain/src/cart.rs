//! The rows of carts and of what was sold from them.

use smallvec::SmallVec;

use crate::{
    Amount, Code, Currency, Quantity, Sequence, SiteId, SkuId, Timestamp,
    row::{OrderStatus, Pick},
};

/// How a cart stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CartStatus {
    /// It can be changed.
    Open,
    /// It was checked out.
    Ordered,
    /// It was given up.
    Discarded,
}

impl CartStatus {
    /// All of them, in the order of their tags.
    pub const ALL: [Self; 3] = [Self::Open, Self::Ordered, Self::Discarded];

    /// The name in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Ordered => "ordered",
            Self::Discarded => "discarded",
        }
    }

    /// Whether its story is over: it holds nothing, and nothing will happen to it.
    pub fn may_rest(self) -> bool {
        self != Self::Open
    }
}

/// A cart (장바구니).
#[derive(Clone, Debug, PartialEq)]
pub struct Cart {
    /// The site that its items come from.
    pub site: SiteId,
    /// Whose it is, and whose wallet pays.
    pub owner: Code,
    /// For how many seconds each change holds its items; without it nothing is held.
    pub hold_s: Option<u32>,
    /// The event that opened it.
    pub opened: Sequence,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// The event that last set its hold.
    pub set: Sequence,
    /// The event that last changed or that ended it.
    pub changed: Sequence,
    /// From when on what it holds no longer counts; `None` where it holds nothing.
    pub expires_at: Option<Timestamp>,
    /// How it stands.
    pub status: CartStatus,
    /// The order that it became.
    pub order: Option<Code>,
    /// Its items, in the order in which they were put in. No SKU is there twice.
    pub lines: SmallVec<[CartLine; 1]>,
}

/// How a cart stands, without what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CartState {
    /// How it stands.
    pub status: CartStatus,
    /// The order that it became.
    pub order: Option<Code>,
    /// The event that last changed or that ended it.
    pub changed: Sequence,
}

/// An item of a cart.
#[derive(Clone, Debug, PartialEq)]
pub struct CartLine {
    /// What.
    pub sku: SkuId,
    /// How much: never zero.
    pub quantity: Quantity,
    /// What is held for it.
    pub picks: SmallVec<[Pick; 1]>,
}

impl CartLine {
    /// How much is held for it.
    pub fn held(&self) -> Quantity {
        self.picks.iter().map(|pick| pick.quantity).sum()
    }
}

/// What an order was sold for: fixed when its cart was checked out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sale {
    /// Whose wallet paid.
    pub owner: Code,
    /// In which currency.
    pub currency: Currency,
    /// The price of one unit, for each line of the order.
    pub prices: Vec<Amount>,
    /// What was paid in all.
    pub total: Amount,
    /// What was given back through the order, in parts or when it was cancelled.
    pub refunded: Amount,
}

impl Sale {
    /// What can still be given back for an order in this status: nothing once it is cancelled, and nothing where more was
    /// given back than was paid, which `check` reports.
    pub fn left(&self, status: OrderStatus) -> Amount {
        match status {
            OrderStatus::Cancelled => Amount::ZERO,
            OrderStatus::Waiting | OrderStatus::Processing | OrderStatus::Completed => {
                self.total.saturating_sub(self.refunded)
            }
        }
    }
}
