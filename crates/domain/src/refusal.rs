//! Why not. A refusal is an ordinary answer with a name and the numbers behind it; it changes nothing.

mod sentence;

use crate::{Amount, Code, Currency, Name, Quantity, Sequence, Timestamp, row::HolderKind};

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
        asked: Timestamp,
        since: Timestamp,
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
    /// The SKU is known, but this site never had any.
    NotStockedHere {
        site: Code,
        sku: Code,
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
    /// More than was paid from the wallet and not refunded yet.
    RefundExceedsPaid {
        owner: Code,
        currency: Currency,
        requested: Amount,
        paid: Amount,
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
    /// No order waits at the site that could be claimed.
    NothingToClaim {
        site: Code,
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
    /// Only the owner of the given card proposes and withdraws, only the owner of the wanted card accepts and rejects.
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
    /// Nothing waits to be picked at the site, in this zone or in any, that could be claimed.
    NoPicksToClaim {
        site: Code,
        zone: Option<Name>,
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
}

impl Refusal {
    /// A value that is not of its form: `field` `reason`, such as `quantity` `is zero`.
    pub fn invalid(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::InvalidValue { field: field.into(), reason: reason.into() }
    }

    /// The name that callers program against.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidValue { .. } => "invalid_value",
            Self::TooManyLines { .. } => "too_many_lines",
            Self::TooManyLinesTouched { .. } => "too_many_lines_touched",
            Self::TooManyParts { .. } => "too_many_parts",
            Self::DuplicateLine { .. } => "duplicate_line",
            Self::SiteNotFound { .. } => "site_not_found",
            Self::LocationNotFound { .. } => "location_not_found",
            Self::SkuNotFound { .. } => "sku_not_found",
            Self::LotNotFound { .. } => "lot_not_found",
            Self::HoldNotFound { .. } => "hold_not_found",
            Self::TransferNotFound { .. } => "transfer_not_found",
            Self::LineNotFound { .. } => "line_not_found",
            Self::MovementNotFound { .. } => "movement_not_found",
            Self::HistoryArchived { .. } => "history_archived",
            Self::IdTaken { .. } => "id_taken",
            Self::IdempotencyConflict { .. } => "idempotency_conflict",
            Self::RequestKeyExpired { .. } => "request_key_expired",
            Self::InsufficientStock { .. } => "insufficient_stock",
            Self::NotStockedHere { .. } => "not_stocked_here",
            Self::StockHeld { .. } => "stock_held",
            Self::QuantityTooLarge { .. } => "quantity_too_large",
            Self::LotRequired { .. } => "lot_required",
            Self::LotNotTracked { .. } => "lot_not_tracked",
            Self::LotBlocked { .. } => "lot_blocked",
            Self::SerialTaken { .. } => "serial_taken",
            Self::TrackingFixed { .. } => "tracking_fixed",
            Self::WrongLocationKind { .. } => "wrong_location_kind",
            Self::NoLocation { .. } => "no_location",
            Self::LocationOccupied { .. } => "location_occupied",
            Self::LocationRequired { .. } => "location_required",
            Self::HoldEnded { .. } => "hold_ended",
            Self::NotHeld { .. } => "not_held",
            Self::SameSite { .. } => "same_site",
            Self::TransferCancelled { .. } => "transfer_cancelled",
            Self::TransferClosed { .. } => "transfer_closed",
            Self::TransferAllocated { .. } => "transfer_allocated",
            Self::TransferShipped { .. } => "transfer_shipped",
            Self::TransferPicked { .. } => "transfer_picked",
            Self::NothingLacking { .. } => "nothing_lacking",
            Self::NothingAllocated { .. } => "nothing_allocated",
            Self::NothingPicked { .. } => "nothing_picked",
            Self::NothingInTransit { .. } => "nothing_in_transit",
            Self::NotReversible { .. } => "not_reversible",
            Self::AlreadyReversed { .. } => "already_reversed",
            Self::WalletNotFound { .. } => "wallet_not_found",
            Self::AuthorizationNotFound { .. } => "authorization_not_found",
            Self::InsufficientFunds { .. } => "insufficient_funds",
            Self::AmountTooLarge { .. } => "amount_too_large",
            Self::OrderNotPaid { .. } => "order_not_paid",
            Self::RefundExceedsOrder { .. } => "refund_exceeds_order",
            Self::RefundExceedsPaid { .. } => "refund_exceeds_paid",
            Self::LimitAboveBalance { .. } => "limit_above_balance",
            Self::TooManyCurrencies { .. } => "too_many_currencies",
            Self::AuthorizationEnded { .. } => "authorization_ended",
            Self::NotAuthorized { .. } => "not_authorized",
            Self::OrderNotFound { .. } => "order_not_found",
            Self::OrderCompleted { .. } => "order_completed",
            Self::OrderCancelled { .. } => "order_cancelled",
            Self::OrderShort { .. } => "order_short",
            Self::OrderClaimed { .. } => "order_claimed",
            Self::ClaimLost { .. } => "claim_lost",
            Self::NothingToClaim { .. } | Self::NoPicksToClaim { .. } => "nothing_to_claim",
            Self::NothingAllocatedIn { .. } => "nothing_allocated",
            Self::TransferClaimed { .. } => "transfer_claimed",
            Self::PickClaimLost { .. } => "claim_lost",
            Self::LocationClaimed { .. } => "location_claimed",
            Self::FenceNotFound { .. } => "fence_not_found",
            Self::StaleFence { .. } => "stale_fence",
            Self::TooManyFences { .. } => "too_many_fences",
            Self::CardNotFound { .. } => "card_not_found",
            Self::ProposalNotFound { .. } => "proposal_not_found",
            Self::CardNotOwned { .. } => "card_not_owned",
            Self::SameOwner { .. } => "same_owner",
            Self::PairProposed { .. } => "pair_proposed",
            Self::TooManyProposals { .. } => "too_many_proposals",
            Self::ProposalEnded { .. } => "proposal_ended",
            Self::CartNotFound { .. } => "cart_not_found",
            Self::CartOrdered { .. } => "cart_ordered",
            Self::CartDiscarded { .. } => "cart_discarded",
            Self::CartEmpty { .. } => "cart_empty",
            Self::PriceNotSet { .. } => "price_not_set",
            Self::PriceChanged { .. } => "price_changed",
            Self::CheckoutBlocked { .. } => "checkout_blocked",
        }
    }

    /// Every code, for tables and documents.
    pub const CODES: &'static [&'static str] = &[
        "invalid_value",
        "too_many_lines",
        "too_many_lines_touched",
        "too_many_parts",
        "duplicate_line",
        "site_not_found",
        "location_not_found",
        "sku_not_found",
        "lot_not_found",
        "hold_not_found",
        "transfer_not_found",
        "line_not_found",
        "movement_not_found",
        "history_archived",
        "id_taken",
        "idempotency_conflict",
        "request_key_expired",
        "insufficient_stock",
        "not_stocked_here",
        "stock_held",
        "quantity_too_large",
        "lot_required",
        "lot_not_tracked",
        "lot_blocked",
        "serial_taken",
        "tracking_fixed",
        "wrong_location_kind",
        "no_location",
        "location_occupied",
        "location_required",
        "hold_ended",
        "not_held",
        "same_site",
        "transfer_cancelled",
        "transfer_closed",
        "transfer_allocated",
        "transfer_shipped",
        "transfer_picked",
        "nothing_lacking",
        "nothing_allocated",
        "nothing_picked",
        "nothing_in_transit",
        "not_reversible",
        "already_reversed",
        "wallet_not_found",
        "authorization_not_found",
        "insufficient_funds",
        "amount_too_large",
        "refund_exceeds_paid",
        "limit_above_balance",
        "too_many_currencies",
        "authorization_ended",
        "not_authorized",
        "order_not_found",
        "order_completed",
        "order_cancelled",
        "order_short",
        "order_claimed",
        "claim_lost",
        "nothing_to_claim",
        "fence_not_found",
        "stale_fence",
        "too_many_fences",
        "card_not_found",
        "proposal_not_found",
        "card_not_owned",
        "same_owner",
        "pair_proposed",
        "too_many_proposals",
        "proposal_ended",
        "transfer_claimed",
        "location_claimed",
        "cart_not_found",
        "cart_ordered",
        "cart_discarded",
        "cart_empty",
        "price_not_set",
        "price_changed",
        "checkout_blocked",
    ];
}

impl std::error::Error for Refusal {}
