//! What was decided. Events are stored; everything else follows from them.

use smallvec::SmallVec;

use crate::{
    Account, Amount, Code, Currency, Date, LocationId, LotId, MoneyMovement, MoneyOutside, Movement,
    MovementId, Name, Outside, PickWorkId, Place, Quantity, Sequence, SiteId, SkuId, Strategy, TimeZone,
    Timestamp,
    row::{CloseReason, Holder, LocationKind, OrderAllocation, ProposalKind, Tracking},
};

/// A fact with its number, its time and its author.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its number, from 1 without gaps.
    pub sequence: Sequence,
    /// Logical time: never before the event before it.
    pub at: Timestamp,
    /// Who asked for it: a token's name, or `system`.
    pub by: Code,
    /// The request key of an action, if it had one.
    pub keyed: Option<Keyed>,
    /// What happened.
    pub fact: Fact,
}

/// A request key and the fingerprint of the request it came with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyed {
    /// The key.
    pub key: Code,
    /// The fingerprint.
    pub body: u64,
}

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

/// Everything that can happen. The names are past tense; the tags that they are stored under live with the codec.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are those of the commands and rows of the same names")]
pub enum Fact {
    SiteSet {
        id: SiteId,
        code: Code,
        name: Name,
        time_zone: TimeZone,
        strategy: Strategy,
    },
    LocationSet {
        id: LocationId,
        site: SiteId,
        code: Code,
        zone: Name,
        pick_order: u32,
        kind: LocationKind,
    },
    SkuSet {
        id: SkuId,
        code: Code,
        name: Name,
        tracking: Tracking,
        safety_stock: Vec<(SiteId, Quantity)>,
    },
    LotSet {
        id: LotId,
        sku: SkuId,
        code: Code,
        received_on: Option<Date>,
        expires_on: Option<Date>,
        blocked: bool,
    },
    Adjusted {
        id: Code,
        body: u64,
        reason: Name,
        lines: Vec<AdjustedLine>,
    },
    Moved {
        id: Code,
        body: u64,
        reason: Name,
        lines: Vec<MovedLine>,
    },
    /// The movement here is the one that takes the original back.
    Reversed {
        original: MovementId,
        movement: Movement,
    },
    Held {
        id: Code,
        body: u64,
        owner: Option<Code>,
        expires_at: Option<Timestamp>,
        lines: SmallVec<[HeldLine; 1]>,
        takes: Takes,
        short: Vec<Short>,
    },
    /// `to` is a location of the same site; without one, the goods went to the customer.
    HoldConfirmed {
        id: Code,
        to: Option<LocationId>,
        takes: Takes,
        released: Takes,
    },
    HoldReleased {
        id: Code,
        takes: Takes,
    },
    HoldExtended {
        id: Code,
        expires_at: Timestamp,
    },
    /// The lines and takes here replace all that the hold had.
    HoldChanged {
        id: Code,
        lines: SmallVec<[HeldLine; 1]>,
        takes: Takes,
        short: Vec<Short>,
    },
    HoldsLapsed {
        ids: Vec<Code>,
    },
    TransferRequested {
        id: Code,
        body: u64,
        from: SiteId,
        to: SiteId,
        priority: u32,
        lines: Vec<RequestedLine>,
    },
    TransferAllocated {
        id: Code,
        takes: Vec<Take>,
        short: Vec<Short>,
    },
    TransferReleased {
        id: Code,
        takes: Vec<Take>,
    },
    /// `staged` stays where it is, held by nobody.
    TransferCancelled {
        id: Code,
        released: Vec<Take>,
        staged: Vec<ShippedLine>,
    },
    /// `takes` are what was allocated elsewhere for what was missed; `short` is what could not be.
    TransferPicked {
        id: Code,
        picked: Vec<PickedLine>,
        missed: Vec<MissedLine>,
        takes: Vec<Take>,
        short: Vec<Short>,
    },
    TransferUnpicked {
        id: Code,
        lines: Vec<UnpickedLine>,
    },
    TransferShipped {
        id: Code,
        shipment: Code,
        body: u64,
        lines: Vec<ShippedLine>,
    },
    TransferReceived {
        id: Code,
        lines: Vec<ReceivedLine>,
    },
    TransferClosed {
        id: Code,
        released: Vec<Take>,
        lost: Vec<LostLine>,
    },
    StockWatched {
        items: Vec<Watched>,
    },
    /// A keyed request asked for what had already come of an earlier event: the key stands for it from now on.
    RequestNoted {
        of: Sequence,
    },
    /// `balance` here and below is the wallet's in the currency, afterwards.
    WalletCharged {
        owner: Code,
        currency: Currency,
        amount: Amount,
        balance: i64,
        reason: Name,
        reference: Option<Code>,
    },
    WalletPaid {
        owner: Code,
        currency: Currency,
        amount: Amount,
        balance: i64,
        reason: Name,
        reference: Option<Code>,
    },
    WalletRefunded {
        owner: Code,
        currency: Currency,
        amount: Amount,
        balance: i64,
        reason: Name,
        reference: Option<Code>,
    },
    WalletLimitSet {
        owner: Code,
        currency: Currency,
        limit: i64,
    },
    PaymentAuthorized {
        id: Code,
        body: u64,
        owner: Code,
        currency: Currency,
        amount: Amount,
        reason: Name,
        reference: Option<Code>,
    },
    /// `released` went back to the wallet in the same decision.
    PaymentCaptured {
        id: Code,
        owner: Code,
        currency: Currency,
        amount: Amount,
        released: Amount,
        balance: i64,
    },
    PaymentVoided {
        id: Code,
        owner: Code,
        currency: Currency,
        released: Amount,
    },
    OrderAllocationSet {
        site: SiteId,
        code: Code,
        allocation: OrderAllocation,
    },
    /// `awaits_stock` where what is short is given to it as soon as there is some.
    OrderPlaced {
        id: Code,
        body: u64,
        site: SiteId,
        customer: Option<Code>,
        priority: u32,
        backorder: bool,
        awaits_stock: bool,
        lines: Vec<OrderedLine>,
        takes: Takes,
        short: Vec<OrderShort>,
    },
    OrderAllocated {
        id: Code,
        site: SiteId,
        takes: Takes,
        short: Vec<OrderShort>,
    },
    /// Stock went to lines that had waited for it. `left` are the SKUs of which there is more to give than one
    /// event does, `done` those of which there is no longer.
    OrdersFilled {
        orders: Vec<FilledOrder>,
        left: Vec<(SiteId, SkuId)>,
        done: Vec<(SiteId, SkuId)>,
    },
    /// `takes` had been held for it, `allocated` was taken as it was completed.
    OrderCompleted {
        id: Code,
        worker: Option<Code>,
        takes: Takes,
        allocated: Takes,
    },
    OrderCancelled {
        id: Code,
        released: Takes,
    },
    OrderClaimed {
        id: Code,
        worker: Code,
        expires_at: Timestamp,
    },
    OrdersClaimed {
        worker: Code,
        expires_at: Timestamp,
        ids: Vec<Code>,
    },
    ClaimExtended {
        id: Code,
        fence: Sequence,
        expires_at: Timestamp,
    },
    OrderUnclaimed {
        id: Code,
        worker: Code,
    },
    /// The claims on these orders: they wait again.
    ClaimsLapsed {
        ids: Vec<Code>,
    },
    /// From now on lower fences are stale. It follows the fact of a command that came with a fence, or stands alone.
    FenceRaised {
        resource: Code,
        fence: u64,
    },
    PriceTiersSet {
        from: Vec<Amount>,
    },
    /// `closed` are the proposals that ended by it.
    CardSet {
        card: Code,
        owner: Code,
        price: Amount,
        closed: Vec<ClosedProposal>,
    },
    Proposed {
        id: Code,
        body: u64,
        from_card: Code,
        to_card: Code,
        from_owner: Code,
        to_owner: Code,
        from_price: Amount,
        to_price: Amount,
        kind: ProposalKind,
    },
    /// The owners are those before the swap; `closed` are the other proposals on either card.
    ProposalAccepted {
        id: Code,
        from_card: Code,
        to_card: Code,
        from_owner: Code,
        to_owner: Code,
        closed: Vec<ClosedProposal>,
    },
    ProposalRejected {
        id: Code,
    },
    ProposalWithdrawn {
        id: Code,
    },
    /// What a transfer has to pick in these zones is this worker's.
    TransferClaimed {
        id: Code,
        worker: Code,
        expires_at: Timestamp,
        zones: Vec<Name>,
    },
    PicksClaimed {
        worker: Code,
        expires_at: Timestamp,
        works: Vec<PickWorkId>,
    },
    TransferClaimExtended {
        id: Code,
        fence: Sequence,
        expires_at: Timestamp,
        zones: Vec<Name>,
    },
    TransferUnclaimed {
        id: Code,
        worker: Code,
        zones: Vec<Name>,
    },
    /// The claims on this pick work: it waits again.
    PickClaimsLapsed {
        works: Vec<PickWorkId>,
    },
    /// A SKU set as by `SkuSet`, and with other prices than it had. They are in the order of the currencies.
    SkuPriced {
        id: SkuId,
        code: Code,
        name: Name,
        tracking: Tracking,
        safety_stock: Vec<(SiteId, Quantity)>,
        prices: Vec<(Currency, Amount)>,
    },
    /// `takes` replace all that the cart held. A take of a cart says its line by the number of its SKU.
    CartSet {
        id: Code,
        site: SiteId,
        owner: Code,
        hold_s: Option<u32>,
        expires_at: Option<Timestamp>,
        takes: Takes,
    },
    /// `takes` replace what the cart held of this SKU, and come to what it holds of others.
    CartItemSet {
        id: Code,
        sku: SkuId,
        quantity: Quantity,
        expires_at: Option<Timestamp>,
        takes: Takes,
    },
    /// What these carts held: their items stay.
    CartsLapsed {
        ids: Vec<Code>,
    },
    CartDiscarded {
        id: Code,
    },
    /// What the cart held is released, and `takes` are held for the order. `prices` are those of one unit, line by
    /// line; `balance` is the wallet's in the currency, afterwards.
    CartOrdered {
        cart: Code,
        order: Code,
        body: u64,
        site: SiteId,
        owner: Code,
        currency: Currency,
        total: Amount,
        balance: i64,
        prices: Vec<Amount>,
        lines: Vec<OrderedLine>,
        takes: Takes,
    },
    /// An order cancelled as by `OrderCancelled`, and `amount` of what was paid for it given back.
    SaleCancelled {
        id: Code,
        released: Takes,
        owner: Code,
        currency: Currency,
        amount: Amount,
        balance: i64,
    },
}

impl Fact {
    /// The kind's name in event feeds and filters.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::SiteSet { .. } => "site_set",
            Self::LocationSet { .. } => "location_set",
            Self::SkuSet { .. } => "sku_set",
            Self::LotSet { .. } => "lot_set",
            Self::Adjusted { .. } => "adjusted",
            Self::Moved { .. } => "moved",
            Self::Reversed { .. } => "reversed",
            Self::Held { .. } => "held",
            Self::HoldConfirmed { .. } => "hold_confirmed",
            Self::HoldReleased { .. } => "hold_released",
            Self::HoldExtended { .. } => "hold_extended",
            Self::HoldChanged { .. } => "hold_changed",
            Self::HoldsLapsed { .. } => "holds_lapsed",
            Self::TransferRequested { .. } => "transfer_requested",
            Self::TransferAllocated { .. } => "transfer_allocated",
            Self::TransferReleased { .. } => "transfer_released",
            Self::TransferCancelled { .. } => "transfer_cancelled",
            Self::TransferPicked { .. } => "transfer_picked",
            Self::TransferUnpicked { .. } => "transfer_unpicked",
            Self::TransferShipped { .. } => "transfer_shipped",
            Self::TransferReceived { .. } => "transfer_received",
            Self::TransferClosed { .. } => "transfer_closed",
            Self::StockWatched { .. } => "stock_watched",
            Self::RequestNoted { .. } => "request_noted",
            Self::WalletCharged { .. } => "wallet_charged",
            Self::WalletPaid { .. } => "wallet_paid",
            Self::WalletRefunded { .. } => "wallet_refunded",
            Self::WalletLimitSet { .. } => "wallet_limit_set",
            Self::PaymentAuthorized { .. } => "payment_authorized",
            Self::PaymentCaptured { .. } => "payment_captured",
            Self::PaymentVoided { .. } => "payment_voided",
            Self::OrderAllocationSet { .. } => "order_allocation_set",
            Self::OrderPlaced { .. } => "order_placed",
            Self::OrderAllocated { .. } => "order_allocated",
            Self::OrdersFilled { .. } => "orders_filled",
            Self::OrderCompleted { .. } => "order_completed",
            Self::OrderCancelled { .. } => "order_cancelled",
            Self::OrderClaimed { .. } => "order_claimed",
            Self::OrdersClaimed { .. } => "orders_claimed",
            Self::ClaimExtended { .. } => "claim_extended",
            Self::OrderUnclaimed { .. } => "order_unclaimed",
            Self::ClaimsLapsed { .. } => "claims_lapsed",
            Self::FenceRaised { .. } => "fence_raised",
            Self::PriceTiersSet { .. } => "price_tiers_set",
            Self::CardSet { .. } => "card_set",
            Self::Proposed { .. } => "proposed",
            Self::ProposalAccepted { .. } => "proposal_accepted",
            Self::ProposalRejected { .. } => "proposal_rejected",
            Self::ProposalWithdrawn { .. } => "proposal_withdrawn",
            Self::TransferClaimed { .. } => "transfer_claimed",
            Self::PicksClaimed { .. } => "picks_claimed",
            Self::TransferClaimExtended { .. } => "transfer_claim_extended",
            Self::TransferUnclaimed { .. } => "transfer_unclaimed",
            Self::PickClaimsLapsed { .. } => "pick_claims_lapsed",
            // Whoever follows SKUs and orders need not know that some have prices.
            Self::SkuPriced { .. } => "sku_set",
            Self::SaleCancelled { .. } => "order_cancelled",
            Self::CartSet { .. } => "cart_set",
            Self::CartItemSet { .. } => "cart_item_set",
            Self::CartsLapsed { .. } => "carts_lapsed",
            Self::CartDiscarded { .. } => "cart_discarded",
            Self::CartOrdered { .. } => "cart_ordered",
        }
    }

    /// The document that it is about: its kind and its id.
    pub fn document(&self) -> Option<(&'static str, &Code)> {
        match self {
            Self::SiteSet { code, .. } => Some(("site", code)),
            Self::LocationSet { code, .. } => Some(("location", code)),
            Self::SkuSet { code, .. } => Some(("sku", code)),
            Self::LotSet { code, .. } => Some(("lot", code)),
            Self::Adjusted { id, .. } => Some(("adjustment", id)),
            Self::Moved { id, .. } => Some(("move", id)),
            Self::Held { id, .. }
            | Self::HoldConfirmed { id, .. }
            | Self::HoldReleased { id, .. }
            | Self::HoldExtended { id, .. }
            | Self::HoldChanged { id, .. } => Some(("hold", id)),
            Self::TransferRequested { id, .. }
            | Self::TransferAllocated { id, .. }
            | Self::TransferReleased { id, .. }
            | Self::TransferCancelled { id, .. }
            | Self::TransferPicked { id, .. }
            | Self::TransferUnpicked { id, .. }
            | Self::TransferShipped { id, .. }
            | Self::TransferReceived { id, .. }
            | Self::TransferClosed { id, .. } => Some(("transfer", id)),
            Self::WalletCharged { owner, .. }
            | Self::WalletPaid { owner, .. }
            | Self::WalletRefunded { owner, .. }
            | Self::WalletLimitSet { owner, .. } => Some(("wallet", owner)),
            Self::PaymentAuthorized { id, .. }
            | Self::PaymentCaptured { id, .. }
            | Self::PaymentVoided { id, .. } => Some(("authorization", id)),
            Self::Reversed { .. }
            | Self::HoldsLapsed { .. }
            | Self::StockWatched { .. }
            | Self::RequestNoted { .. } => None,
            Self::OrderAllocationSet { code, .. } => Some(("site", code)),
            Self::OrderPlaced { id, .. }
            | Self::OrderAllocated { id, .. }
            | Self::OrderCompleted { id, .. }
            | Self::OrderCancelled { id, .. }
            | Self::OrderClaimed { id, .. }
            | Self::ClaimExtended { id, .. }
            | Self::OrderUnclaimed { id, .. } => Some(("order", id)),
            Self::OrdersFilled { .. } | Self::OrdersClaimed { .. } | Self::ClaimsLapsed { .. } => None,
            Self::FenceRaised { resource, .. } => Some(("fence", resource)),
            Self::PriceTiersSet { .. } => None,
            Self::CardSet { card, .. } => Some(("card", card)),
            Self::Proposed { id, .. }
            | Self::ProposalAccepted { id, .. }
            | Self::ProposalRejected { id }
            | Self::ProposalWithdrawn { id } => Some(("proposal", id)),
            Self::TransferClaimed { id, .. }
            | Self::TransferClaimExtended { id, .. }
            | Self::TransferUnclaimed { id, .. } => Some(("transfer", id)),
            Self::PicksClaimed { .. } | Self::PickClaimsLapsed { .. } => None,
            Self::SkuPriced { code, .. } => Some(("sku", code)),
            Self::CartSet { id, .. } | Self::CartItemSet { id, .. } | Self::CartDiscarded { id } => {
                Some(("cart", id))
            }
            // The order is what it comes to, and what a statement names.
            Self::CartOrdered { order, .. } => Some(("order", order)),
            Self::SaleCancelled { id, .. } => Some(("order", id)),
            Self::CartsLapsed { .. } => None,
        }
    }

    /// How many parts it has: lines, picks, and holds that are cut or moved.
    pub fn part_count(&self) -> usize {
        match self {
            Self::Adjusted { lines, .. } => lines.iter().map(|line| 1 + line.freed.len()).sum(),
            Self::Moved { lines, .. } => lines.iter().map(|line| 1 + line.follow.len()).sum(),
            Self::Held { lines, takes, short, .. } | Self::HoldChanged { lines, takes, short, .. } => {
                lines.len() + takes.len() + short.len()
            }
            Self::HoldConfirmed { takes, released, .. } => takes.len() + released.len(),
            Self::HoldReleased { takes, .. } => takes.len(),
            Self::HoldsLapsed { ids } => ids.len(),
            Self::TransferRequested { lines, .. } => lines.len(),
            Self::TransferAllocated { takes, short, .. } => takes.len() + short.len(),
            Self::TransferReleased { takes, .. } => takes.len(),
            Self::TransferCancelled { released, staged, .. } => released.len() + staged.len(),
            Self::TransferPicked { picked, missed, takes, short, .. } => {
                picked.len() + missed.len() + takes.len() + short.len()
            }
            Self::TransferUnpicked { lines, .. } => lines.len(),
            Self::TransferShipped { lines, .. } => lines.len(),
            Self::TransferReceived { lines, .. } => lines.len(),
            Self::TransferClosed { released, lost, .. } => released.len() + lost.len(),
            Self::StockWatched { items } => items.len(),
            Self::SkuSet { safety_stock, .. } => 1 + safety_stock.len(),
            Self::SiteSet { .. }
            | Self::LocationSet { .. }
            | Self::LotSet { .. }
            | Self::Reversed { .. }
            | Self::HoldExtended { .. }
            | Self::RequestNoted { .. }
            | Self::WalletCharged { .. }
            | Self::WalletPaid { .. }
            | Self::WalletRefunded { .. }
            | Self::WalletLimitSet { .. }
            | Self::PaymentAuthorized { .. }
            | Self::PaymentCaptured { .. }
            | Self::PaymentVoided { .. } => 1,
            Self::OrderPlaced { lines, takes, short, .. } => lines.len() + takes.len() + short.len(),
            Self::OrderAllocated { takes, short, .. } => takes.len() + short.len(),
            Self::OrdersFilled { orders, left, done } => {
                let takes: usize = orders.iter().map(|order| order.takes.len()).sum();
                takes + left.len() + done.len()
            }
            Self::OrderCompleted { takes, allocated, .. } => takes.len() + allocated.len(),
            Self::OrderCancelled { released, .. } => released.len(),
            Self::OrdersClaimed { ids, .. } | Self::ClaimsLapsed { ids } | Self::CartsLapsed { ids } => {
                ids.len()
            }
            Self::SkuPriced { safety_stock, prices, .. } => 1 + safety_stock.len() + prices.len(),
            Self::CartSet { takes, .. } | Self::CartItemSet { takes, .. } => 1 + takes.len(),
            Self::CartDiscarded { .. } => 1,
            Self::CartOrdered { lines, takes, .. } => lines.len() + takes.len(),
            Self::SaleCancelled { released, .. } => released.len(),
            Self::OrderAllocationSet { .. }
            | Self::OrderClaimed { .. }
            | Self::ClaimExtended { .. }
            | Self::OrderUnclaimed { .. }
            | Self::FenceRaised { .. } => 1,
            Self::PriceTiersSet { from } => from.len(),
            Self::CardSet { closed, .. } | Self::ProposalAccepted { closed, .. } => 1 + closed.len(),
            Self::Proposed { .. } | Self::ProposalRejected { .. } | Self::ProposalWithdrawn { .. } => 1,
            Self::TransferClaimed { zones, .. }
            | Self::TransferClaimExtended { zones, .. }
            | Self::TransferUnclaimed { zones, .. } => zones.len(),
            Self::PicksClaimed { works, .. } | Self::PickClaimsLapsed { works } => works.len(),
        }
    }

    /// The money that it moved, if any.
    pub fn money(&self) -> Option<MoneyMovement<'_>> {
        let (owner, currency, amount, balance, outside, incoming) = match self {
            Self::WalletCharged { owner, currency, amount, balance, .. } => {
                (owner, currency, amount, balance, MoneyOutside::PaymentProvider, true)
            }
            Self::WalletRefunded { owner, currency, amount, balance, .. } => {
                (owner, currency, amount, balance, MoneyOutside::Sales, true)
            }
            Self::WalletPaid { owner, currency, amount, balance, .. }
            | Self::PaymentCaptured { owner, currency, amount, balance, .. } => {
                (owner, currency, amount, balance, MoneyOutside::Sales, false)
            }
            Self::CartOrdered { owner, currency, total, balance, .. } => {
                (owner, currency, total, balance, MoneyOutside::Sales, false)
            }
            Self::SaleCancelled { owner, currency, amount, balance, .. } => {
                (owner, currency, amount, balance, MoneyOutside::Sales, true)
            }
            _ => return None,
        };
        let (currency, amount, balance) = (*currency, *amount, *balance);
        if amount.is_zero() {
            // What costs nothing is ordered, and nothing is paid.
            return None;
        }
        Some(MoneyMovement { owner, currency, amount, outside, incoming, balance })
    }

    /// What goods went where, in the order of the event's lines. The index here is a movement's index.
    pub fn movements(&self, mut visit: impl FnMut(Movement)) {
        let mut go = |sku, lot, quantity: Quantity, from, to| {
            if !quantity.is_zero() {
                visit(Movement { sku, lot, quantity, from, to });
            }
        };
        let at = |location, sku, lot| Account::Position(Place { location, sku, lot });
        match self {
            Self::Adjusted { lines, .. } => {
                for line in lines {
                    let place = line.place;
                    let (inside, outside) = (Account::Position(place), Account::Outside(line.outside));
                    let (from, to) = if line.increase { (outside, inside) } else { (inside, outside) };
                    go(place.sku, place.lot, line.quantity, from, to);
                }
            }
            Self::Moved { lines, .. } => {
                for MovedLine { sku, lot, from, to, quantity, .. } in lines {
                    go(*sku, *lot, *quantity, at(*from, *sku, *lot), at(*to, *sku, *lot));
                }
            }
            Self::Reversed { movement, .. } => visit(movement.clone()),
            Self::HoldConfirmed { to, takes, .. } => {
                for take in takes {
                    let to = to.map_or(Account::Outside(Outside::Customer), |to| at(to, take.sku, take.lot));
                    go(take.sku, take.lot, take.quantity, Account::Position(take.place()), to);
                }
            }
            Self::TransferPicked { picked, missed, .. } => {
                for PickedLine { take, staging } in picked {
                    let to = at(*staging, take.sku, take.lot);
                    go(take.sku, take.lot, take.quantity, Account::Position(take.place()), to);
                }
                for MissedLine { take, quarantine } in missed {
                    let Some(quarantine) = quarantine else { continue };
                    let to = at(*quarantine, take.sku, take.lot);
                    go(take.sku, take.lot, take.quantity, Account::Position(take.place()), to);
                }
            }
            Self::TransferUnpicked { lines, .. } => {
                for UnpickedLine { take, to, .. } in lines {
                    let to = at(*to, take.sku, take.lot);
                    go(take.sku, take.lot, take.quantity, Account::Position(take.place()), to);
                }
            }
            Self::TransferShipped { id, lines, .. } => {
                for ShippedLine { take, .. } in lines {
                    let to = Account::InTransit { transfer: id.clone(), line: take.line };
                    go(take.sku, take.lot, take.quantity, Account::Position(take.place()), to);
                }
            }
            Self::TransferReceived { id, lines } => {
                for line in lines {
                    let to = at(line.location, line.sku, line.lot);
                    let transit = Account::InTransit { transfer: id.clone(), line: line.line };
                    go(line.sku, line.lot, line.expected, transit, to.clone());
                    go(line.sku, line.lot, line.excess, Account::Outside(Outside::Found), to);
                }
            }
            Self::TransferClosed { id, lost, .. } => {
                for LostLine { line, sku, lot, quantity } in lost {
                    let transit = Account::InTransit { transfer: id.clone(), line: *line };
                    go(*sku, *lot, *quantity, transit, Account::Outside(Outside::Loss));
                }
            }
            Self::SiteSet { .. }
            | Self::LocationSet { .. }
            | Self::SkuSet { .. }
            | Self::LotSet { .. }
            | Self::Held { .. }
            | Self::HoldReleased { .. }
            | Self::HoldExtended { .. }
            | Self::HoldChanged { .. }
            | Self::HoldsLapsed { .. }
            | Self::TransferRequested { .. }
            | Self::TransferAllocated { .. }
            | Self::TransferReleased { .. }
            | Self::TransferCancelled { .. }
            | Self::StockWatched { .. }
            | Self::RequestNoted { .. }
            | Self::WalletCharged { .. }
            | Self::WalletPaid { .. }
            | Self::WalletRefunded { .. }
            | Self::WalletLimitSet { .. }
            | Self::PaymentAuthorized { .. }
            | Self::PaymentCaptured { .. }
            | Self::PaymentVoided { .. } => {}
            Self::OrderCompleted { takes, allocated, .. } => {
                for take in takes.iter().chain(allocated) {
                    let to = Account::Outside(Outside::Customer);
                    go(take.sku, take.lot, take.quantity, Account::Position(take.place()), to);
                }
            }
            Self::OrderAllocationSet { .. }
            | Self::OrderPlaced { .. }
            | Self::OrderAllocated { .. }
            | Self::OrdersFilled { .. }
            | Self::OrderCancelled { .. }
            | Self::OrderClaimed { .. }
            | Self::OrdersClaimed { .. }
            | Self::ClaimExtended { .. }
            | Self::OrderUnclaimed { .. }
            | Self::ClaimsLapsed { .. }
            | Self::FenceRaised { .. } => {}
            Self::PriceTiersSet { .. }
            | Self::CardSet { .. }
            | Self::Proposed { .. }
            | Self::ProposalAccepted { .. }
            | Self::ProposalRejected { .. }
            | Self::ProposalWithdrawn { .. }
            | Self::TransferClaimed { .. }
            | Self::PicksClaimed { .. }
            | Self::TransferClaimExtended { .. }
            | Self::TransferUnclaimed { .. }
            | Self::PickClaimsLapsed { .. } => {}
            Self::SkuPriced { .. }
            | Self::CartSet { .. }
            | Self::CartItemSet { .. }
            | Self::CartsLapsed { .. }
            | Self::CartDiscarded { .. }
            | Self::CartOrdered { .. }
            | Self::SaleCancelled { .. } => {}
        }
    }
}
