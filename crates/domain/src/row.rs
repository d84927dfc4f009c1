//! The rows themselves: what a store keeps.

mod filing;
mod hold;
mod master;
mod stock;
mod transfer;
mod wallet;

use crate::{Sequence, Timestamp};
pub use crate::{
    cart::{Cart, CartLine, CartState, CartStatus, Sale},
    order::{Claim, LinePicks, Order, OrderAllocation, OrderLine, OrderSetting, OrderStatus, OrderWork},
    trade::{Card, CloseReason, PriceTiers, Proposal, ProposalEnd, ProposalKind, ProposalStatus},
};
pub use filing::{Answered, Filed, Filing};
pub use hold::{Hold, HoldLine, HoldStatus};
pub use master::{Location, LocationKind, Lot, Site, Sku, Tracking};
pub use stock::{Gate, Holder, HolderKind, Pick, Position};
pub use transfer::{End, Line, Staged, Totals, Transfer, TransferStatus};
pub use wallet::{Authorization, AuthorizationStatus, Balance, Wallet};

/// Where the books stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The last event's number; 0 before the first.
    pub sequence: Sequence,
    /// The last event's time. Logical time never runs backwards.
    pub at: Timestamp,
    /// How many sites there are: the next one's number.
    pub sites: u32,
    /// How many locations there are.
    pub locations: u32,
    /// How many SKUs there are.
    pub skus: u32,
    /// How many lots there are; the next one's number is one more, since 0 is no lot.
    pub lots: u32,
}

/// The highest fence that was seen for a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fence {
    /// Lower ones are stale. Never zero.
    pub fence: u64,
    /// The event that raised it.
    pub raised: Sequence,
}
