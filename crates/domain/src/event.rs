//! What was decided. Events are stored; everything else follows from them.

mod about;
mod parts;
mod reason;

use smallvec::SmallVec;

use crate::{
    Amount, Code, Currency, Date, LocationId, LotId, Movement, MovementId, Name, PickWorkId, Quantity,
    Sequence, SiteId, SkuId, Strategy, TimeZone, Timestamp,
    row::{LocationKind, OrderAllocation, ProposalKind, Tracking},
};

pub use about::EVENT_KINDS;
pub use parts::{
    AdjustedLine, ClosedProposal, FilledOrder, Freed, HeldLine, LostLine, MissedLine, MovedLine, OrderShort,
    OrderedLine, PickedLine, ReceivedLine, RequestedLine, ShippedLine, Short, Take, Takes, UnpickedLine,
    Watched,
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
    /// `released` could not leave the site any more and is held no longer; `takes` are held for what the order lacks then.
    OrderReallocated {
        id: Code,
        site: SiteId,
        released: Takes,
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
    /// `amount` of what was paid for an order given back.
    SaleRefunded {
        id: Code,
        owner: Code,
        currency: Currency,
        amount: Amount,
        balance: i64,
        reason: Name,
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
