//! Why not. A refusal is an ordinary answer with a name and the numbers behind it; it changes nothing.

mod sentence;

use crate::{Amount, Code, Currency, Date, Name, Quantity, Sequence, Timestamp, row::HolderKind};

/// What a line lacked: all of a request's shortages come at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// The line: its name in a transfer, its SKU in a cart, its number from 1 elsewhere.
    pub line: Code,
    /// Where.
    pub site: Code,
    /// What.
    pub sku: Code,
    /// How much the line asked for.
    pub requested: Quantity,
    /// How much of it was available to this line.
    pub available: Quantity,
}

/// What a wallet lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingFunds {
    /// Whose wallet.
    pub owner: Code,
    /// In which currency.
    pub currency: Currency,
    /// How much is to be paid.
    pub requested: Amount,
    /// How much there is: the balance down to the limit, less what is held.
    pub available: i64,
}

/// Who holds how much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// Which kind of document.
    pub kind: HolderKind,
    /// Its id.
    pub id: Code,
    /// Its line: the name in a transfer, the SKU in a cart, the number from 1 elsewhere.
    pub line: Code,
    /// How much.
    pub quantity: Quantity,
}

/// From where on somebody asked for the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// What was at this time, or since.
    At(Timestamp),
    /// What came after this event, with which another page ended.
    After(Sequence),
}

/// Why a request was refused. [`Refusal::code`] is the name that callers program against.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are the things and the numbers that the message shows")]
pub enum Refusal {
    /// A value is not of its form; `field` says which one.
    InvalidValue {
        field: String,
        reason: String,
    },
    /// A document with more lines than one may have.
    TooManyLines {
        lines: usize,
        max: usize,
    },
    /// A batch whose commands have touched as many lines of documents as one may.
    TooManyLinesTouched {
        lines: usize,
        max: usize,
    },
    /// A decision that would touch more picks and holds than one may.
    TooManyParts {
        parts: usize,
        max: usize,
    },
    /// Two lines of the same name.
    DuplicateLine {
        line: Code,
    },

    SiteNotFound {
        site: Code,
    },
    LocationNotFound {
        site: Code,
        location: Code,
    },
    SkuNotFound {
        sku: Code,
    },
    LotNotFound {
        sku: Code,
        lot: Code,
    },
    HoldNotFound {
        hold: Code,
    },
    TransferNotFound {
        transfer: Code,
    },
    LineNotFound {
        document: Code,
        line: Code,
    },
    MovementNotFound {
        movement: String,
    },
    /// The past that was asked for lies before the first event that is kept.
    HistoryArchived {
        asked: Asked,
        since: Timestamp,
        first: Sequence,
    },
    /// It was done by an event that is archived, and with it what was answered then.
    OutcomeArchived {
        event: Sequence,
        first: Sequence,
    },

    /// The document's id was used for another request.
    IdTaken {
        id: Code,
    },
    /// The request key was used for another request.
    IdempotencyConflict {
        key: Code,
    },
    /// The request key is older than answers are kept.
    RequestKeyExpired {
        key: Code,
        window_ms: u64,
    },

    /// Too little is available.
    InsufficientStock {
        shortages: Vec<Shortage>,
    },
    /// The SKU is known, but this site never had any. The first one is named; `shortages` has all that the request
    /// asks for in vain, line by line.
    NotStockedHere {
        site: Code,
        sku: Code,
        shortages: Vec<Shortage>,
    },
    /// The stock is held, and the request would take it from its holders.
    StockHeld {
        site: Code,
        location: Code,
        sku: Code,
        held: Quantity,
        remaining: Quantity,
        holders: Vec<Holding>,
    },
    /// A sum would be past the largest quantity.
    QuantityTooLarge {
        sku: Code,
        quantity: Quantity,
        max: u64,
    },

    /// The SKU is tracked, and the line names no lot.
    LotRequired {
        sku: Code,
    },
    /// The SKU is not tracked, and the line names a lot.
    LotNotTracked {
        sku: Code,
    },
    /// The lot is blocked: its goods stay where they are.
    LotBlocked {
        sku: Code,
        lot: Code,
        /// The line of the document that has them, where it is that of one.
        line: Option<Code>,
    },
    /// The lot's last day is over where its goods lie: they do not leave the site.
    LotExpired {
        sku: Code,
        lot: Code,
        /// Its last day.
        expires_on: Date,
        /// As of a blocked one.
        line: Option<Code>,
    },
    /// A serial number is a lot of one.
    SerialTaken {
        sku: Code,
        serial: Code,
    },
    /// The tracking of a SKU is fixed once it was stocked.
    TrackingFixed {
        sku: Code,
    },

    /// The location is not of the kind that the request needs.
    WrongLocationKind {
        site: Code,
        location: Code,
        kind: &'static str,
        needed: &'static str,
    },
    /// The site has no location of the kind that the request needs.
    NoLocation {
        site: Code,
        kind: &'static str,
    },
    /// The kind of a location is fixed while something lies there.
    LocationOccupied {
        site: Code,
        location: Code,
    },
    /// Every line must name its location under the strategy `explicit`.
    LocationRequired {
        line: Code,
    },

    /// The hold has ended.
    HoldEnded {
        hold: Code,
        status: &'static str,
    },
    /// More than the line holds there.
    NotHeld {
        document: Code,
        line: Code,
        requested: Quantity,
        held: Quantity,
    },

    SameSite {
        site: Code,
    },
    TransferCancelled {
        transfer: Code,
    },
    TransferClosed {
        transfer: Code,
    },
    /// Cancelling needs `release` while something is allocated or picked.
    TransferAllocated {
        transfer: Code,
        allocated: Quantity,
        picked: Quantity,
    },
    /// What was shipped cannot be cancelled.
    TransferShipped {
        transfer: Code,
        shipped: Quantity,
    },
    /// Picked goods have to be shipped or unpicked first.
    TransferPicked {
        transfer: Code,
        picked: Quantity,
    },
    /// The line that was named to be allocated is allocated, picked, shipped or closed to its end.
    NothingLacking {
        transfer: Code,
        line: Code,
    },
    NothingAllocated {
        transfer: Code,
    },
    NothingPicked {
        transfer: Code,
    },
    NothingInTransit {
        transfer: Code,
    },

    /// The movement belongs to a document whose own commands take it back.
    NotReversible {
        movement: String,
        document: &'static str,
    },
    AlreadyReversed {
        movement: String,
    },

    WalletNotFound {
        owner: Code,
    },
    AuthorizationNotFound {
        authorization: Code,
    },
    /// Less is available in the wallet: its balance down to its limit, less what is held.
    InsufficientFunds {
        owner: Code,
        currency: Currency,
        requested: Amount,
        available: i64,
    },
    /// A balance would be further from zero than one may be.
    AmountTooLarge {
        currency: Currency,
        amount: Amount,
        max: u64,
    },
    /// Nobody paid for the order: it was not made of a cart.
    OrderNotPaid {
        order: Code,
    },
    /// More than was paid for the order and not refunded yet.
    RefundExceedsOrder {
        order: Code,
        currency: Currency,
        requested: Amount,
        refundable: Amount,
    },
    /// More than was paid from the wallet and not refunded yet, less what was paid for orders, `sold`.
    RefundExceedsPaid {
        owner: Code,
        currency: Currency,
        requested: Amount,
        paid: Amount,
        sold: u64,
    },
    /// The wallet has less than the new limit already.
    LimitAboveBalance {
        owner: Code,
        currency: Currency,
        limit: i64,
        unheld: i64,
    },
    TooManyCurrencies {
        owner: Code,
        max: usize,
    },
    /// The authorization was captured or voided as a whole.
    AuthorizationEnded {
        authorization: Code,
        status: &'static str,
    },
    /// More than is held for the authorization.
    NotAuthorized {
        authorization: Code,
        requested: Amount,
        held: Amount,
    },

    OrderNotFound {
        order: Code,
    },
    OrderCompleted {
        order: Code,
    },
    OrderCancelled {
        order: Code,
    },
    /// Only an order that is wholly allocated can be claimed or completed: `available` is what a line holds.
    OrderShort {
        order: Code,
        shortages: Vec<Shortage>,
    },
    /// Somebody works on the order.
    OrderClaimed {
        order: Code,
        worker: Code,
        expires_at: Timestamp,
    },
    /// The claim of this worker and fence does not stand, any more; `current_fence` is that of the one that does, or
    /// that completed the order.
    ClaimLost {
        order: Code,
        worker: Code,
        fence: Sequence,
        current_fence: Option<Sequence>,
    },
    /// No order waits at the site that could be claimed. Those that were passed by cannot be completed as they are.
    NothingToClaim {
        site: Code,
        passed_by: usize,
    },

    FenceNotFound {
        resource: Code,
    },
    /// Somebody with a higher fence was here: whoever comes with this one has lost the lock.
    StaleFence {
        resource: Code,
        fence: u64,
        current_fence: u64,
    },
    /// Fences of that many resources are kept already.
    TooManyFences {
        resource: Code,
        max: usize,
    },

    CardNotFound {
        card: Code,
    },
    ProposalNotFound {
        proposal: Code,
    },
    /// Only the owner of the given card proposes and withdraws, only the owner of the wanted card accepts and rejects,
    /// and a card is set by who knows whose it is.
    CardNotOwned {
        card: Code,
        owner: Code,
        owned_by: Code,
    },
    /// Both cards are the proposer's own.
    SameOwner {
        owner: Code,
        from_card: Code,
        to_card: Code,
    },
    /// A proposal to swap the two cards is open already: this one, in the direction that its cards say.
    PairProposed {
        proposal: Code,
        from_card: Code,
        to_card: Code,
    },
    TooManyProposals {
        card: Code,
        proposals: usize,
        max: usize,
    },
    /// The proposal has ended; `reason` says why, where nobody answered it.
    ProposalEnded {
        proposal: Code,
        status: &'static str,
        reason: Option<&'static str>,
    },
    /// Nothing waits to be picked at the site, in this zone or in any, that could be claimed. Of what was passed by nothing
    /// may leave.
    NoPicksToClaim {
        site: Code,
        zone: Option<Name>,
        passed_by: usize,
    },
    /// Nothing is allocated to the transfer in this zone.
    NothingAllocatedIn {
        transfer: Code,
        zone: Name,
    },
    /// Somebody works on what the transfer has to pick in this zone.
    TransferClaimed {
        transfer: Code,
        zone: Name,
        worker: Code,
        expires_at: Timestamp,
    },
    /// The claim of this worker and fence on picks does not stand, any more; `current_fence` is that of the one that
    /// does.
    PickClaimLost {
        transfer: Code,
        zone: Option<Name>,
        worker: Code,
        fence: Sequence,
        current_fence: Option<Sequence>,
    },
    /// A worker has claimed what is to be picked at the location: it stays in its zone.
    LocationClaimed {
        site: Code,
        location: Code,
        transfer: Code,
        worker: Code,
    },

    CartNotFound {
        cart: Code,
    },
    /// The cart was checked out: the order is there.
    CartOrdered {
        cart: Code,
        order: Code,
    },
    CartDiscarded {
        cart: Code,
    },
    /// Nothing is in the cart that could be ordered.
    CartEmpty {
        cart: Code,
    },
    /// These SKUs have no price in the currency.
    PriceNotSet {
        currency: Currency,
        skus: Vec<Code>,
    },
    /// The cart costs something else than the caller believes.
    PriceChanged {
        currency: Currency,
        expected_total: Amount,
        total: Amount,
    },
    /// Stock, money or both are missing: all that stands in the way.
    CheckoutBlocked {
        cart: Code,
        shortages: Vec<Shortage>,
        funds: Option<MissingFunds>,
    },
    /// What would be left is held, and the holders that were named to give theirs up have too little of it there.
    HeldByOthers {
        site: Code,
        location: Code,
        sku: Code,
        /// How much has to be released.
        to_release: Quantity,
        /// How much of it the named ones hold.
        releasable: Quantity,
        /// The first [`HOLDERS_SHOWN_MAX`](crate::limits::HOLDERS_SHOWN_MAX) of the others. Boxed: as a second
        /// refusal of the size of `StockHeld` it would make every refusal larger.
        holders: Box<[Holding]>,
    },

    /// A line of the request is refused: that at `index`, from 0, for what `field` of it says. Its code is that of the
    /// refusal within.
    OfLine {
        index: usize,
        field: &'static str,
        refusal: Box<Refusal>,
    },
}

/// Tells of which line of a request a refusal is.
pub(crate) trait OfLine {
    /// The same, and a refusal says that it is for `field` of the line at `index`, from 0.
    fn of_line(self, index: usize, field: &'static str) -> Self;
}

impl OfLine for Refusal {
    #[cold]
    fn of_line(self, index: usize, field: &'static str) -> Self {
        Self::OfLine { index, field, refusal: Box::new(self) }
    }
}

impl<V> OfLine for Result<V, Refusal> {
    fn of_line(self, index: usize, field: &'static str) -> Self {
        self.map_err(|refusal| refusal.of_line(index, field))
    }
}

impl Refusal {
    /// A value that is not of its form: `field` `reason`, such as `quantity` `is zero`.
    pub fn invalid(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::InvalidValue { field: field.into(), reason: reason.into() }
    }

    /// The same, and of goods that may not leave it says which line of the document has them.
    #[cold]
    pub(crate) fn had_by(mut self, name: Code) -> Self {
        if let Self::LotBlocked { line, .. } | Self::LotExpired { line, .. } = &mut self {
            *line = Some(name);
        }
        self
    }
}

/// One row for each code, with the refusals that bear it. The match names every refusal, so that none can be without a
/// code, nor a code without its place in the list.
macro_rules! codes {
    ($($code:literal $($refusal:ident)+)*) => {
        impl Refusal {
            /// The name that callers program against.
            pub fn code(&self) -> &'static str {
                match self {
                    $($(Self::$refusal { .. })|+ => $code,)*
                    Self::OfLine { refusal, .. } => refusal.code(),
                }
            }

            /// Every code, for tables and documents.
            pub const CODES: &'static [&'static str] = &[$($code),*];
        }
    };
}

codes! {
    "invalid_value" InvalidValue
    "too_many_lines" TooManyLines
    "too_many_lines_touched" TooManyLinesTouched
    "too_many_parts" TooManyParts
    "duplicate_line" DuplicateLine
    "site_not_found" SiteNotFound
    "location_not_found" LocationNotFound
    "sku_not_found" SkuNotFound
    "lot_not_found" LotNotFound
    "hold_not_found" HoldNotFound
    "transfer_not_found" TransferNotFound
    "line_not_found" LineNotFound
    "movement_not_found" MovementNotFound
    "history_archived" HistoryArchived
    "outcome_archived" OutcomeArchived
    "id_taken" IdTaken
    "idempotency_conflict" IdempotencyConflict
    "request_key_expired" RequestKeyExpired
    "insufficient_stock" InsufficientStock
    "not_stocked_here" NotStockedHere
    "stock_held" StockHeld
    "quantity_too_large" QuantityTooLarge
    "lot_required" LotRequired
    "lot_not_tracked" LotNotTracked
    "lot_blocked" LotBlocked
    "lot_expired" LotExpired
    "serial_taken" SerialTaken
    "tracking_fixed" TrackingFixed
    "wrong_location_kind" WrongLocationKind
    "no_location" NoLocation
    "location_occupied" LocationOccupied
    "location_required" LocationRequired
    "hold_ended" HoldEnded
    "not_held" NotHeld
    "same_site" SameSite
    "transfer_cancelled" TransferCancelled
    "transfer_closed" TransferClosed
    "transfer_allocated" TransferAllocated
    "transfer_shipped" TransferShipped
    "transfer_picked" TransferPicked
    "nothing_lacking" NothingLacking
    "nothing_allocated" NothingAllocated NothingAllocatedIn
    "nothing_picked" NothingPicked
    "nothing_in_transit" NothingInTransit
    "not_reversible" NotReversible
    "already_reversed" AlreadyReversed
    "wallet_not_found" WalletNotFound
    "authorization_not_found" AuthorizationNotFound
    "insufficient_funds" InsufficientFunds
    "amount_too_large" AmountTooLarge
    "order_not_paid" OrderNotPaid
    "refund_exceeds_order" RefundExceedsOrder
    "refund_exceeds_paid" RefundExceedsPaid
    "limit_above_balance" LimitAboveBalance
    "too_many_currencies" TooManyCurrencies
    "authorization_ended" AuthorizationEnded
    "not_authorized" NotAuthorized
    "order_not_found" OrderNotFound
    "order_completed" OrderCompleted
    "order_cancelled" OrderCancelled
    "order_short" OrderShort
    "order_claimed" OrderClaimed
    "claim_lost" ClaimLost PickClaimLost
    "nothing_to_claim" NothingToClaim NoPicksToClaim
    "transfer_claimed" TransferClaimed
    "location_claimed" LocationClaimed
    "fence_not_found" FenceNotFound
    "stale_fence" StaleFence
    "too_many_fences" TooManyFences
    "card_not_found" CardNotFound
    "proposal_not_found" ProposalNotFound
    "card_not_owned" CardNotOwned
    "same_owner" SameOwner
    "pair_proposed" PairProposed
    "too_many_proposals" TooManyProposals
    "proposal_ended" ProposalEnded
    "cart_not_found" CartNotFound
    "cart_ordered" CartOrdered
    "cart_discarded" CartDiscarded
    "cart_empty" CartEmpty
    "price_not_set" PriceNotSet
    "price_changed" PriceChanged
    "checkout_blocked" CheckoutBlocked
    "held_by_others" HeldByOthers
}

impl std::error::Error for Refusal {}
