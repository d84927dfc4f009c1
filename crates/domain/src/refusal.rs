//! Why not. A refusal is an ordinary answer with a name and the numbers behind it; it changes nothing.

use std::fmt;

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
    /// The claim of this worker and fence does not stand, any more; `current_fence` is that of the one that does.
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

impl fmt::Display for Refusal {
    /// A sentence for the person at the terminal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidValue { field, reason } => write!(f, "{field} {reason}"),
            Self::TooManyLines { lines, max } => {
                write!(f, "{lines} lines are more than the {max} that one document may have")
            }
            Self::TooManyLinesTouched { lines, max } => write!(
                f,
                "with this command the batch would touch {lines} lines of documents, more than {max}: send the rest in another batch"
            ),
            Self::TooManyParts { parts, max } => {
                write!(
                    f,
                    "{parts} picks and holds are more than the {max} that one decision may touch: ask for fewer lines at once"
                )
            }
            Self::DuplicateLine { line } => write!(f, "line {line} is there twice"),
            Self::SiteNotFound { site } => write!(f, "there is no site {site}"),
            Self::LocationNotFound { site, location } => write!(f, "site {site} has no location {location}"),
            Self::SkuNotFound { sku } => write!(f, "there is no SKU {sku}"),
            Self::LotNotFound { sku, lot } => write!(f, "SKU {sku} has no lot {lot}"),
            Self::HoldNotFound { hold } => write!(f, "there is no hold {hold}"),
            Self::TransferNotFound { transfer } => write!(f, "there is no transfer {transfer}"),
            Self::LineNotFound { document, line } => write!(f, "{document} has no line {line}"),
            Self::MovementNotFound { movement } => write!(f, "there is no movement {movement}"),
            Self::HistoryArchived { asked, since, first } => write!(
                f,
                "what was at {asked} is archived: the history that is kept begins at {since} with event {first}"
            ),
            Self::IdTaken { id } => write!(f, "the id {id} was used for another request"),
            Self::IdempotencyConflict { key } => {
                write!(f, "the request key {key} was used for another request")
            }
            Self::RequestKeyExpired { key, window_ms } => {
                write!(
                    f,
                    "the request key {key} is older than the {} days that answers are kept",
                    window_ms / 86_400_000
                )
            }
            Self::InsufficientStock { shortages } => match shortages.as_slice() {
                [one] => write!(
                    f,
                    "line {} asks for {} of {} at {}, and {} are available",
                    one.line, one.requested, one.sku, one.site, one.available
                ),
                many => write!(f, "{} lines ask for more than is available", many.len()),
            },
            Self::NotStockedHere { site, sku } => write!(f, "site {site} never had SKU {sku} in stock"),
            Self::StockHeld { site, location, sku, held, remaining, holders } => write!(
                f,
                "{remaining} of {sku} would be left at {site} {location} while {held} are held, by {} holders",
                holders.len()
            ),
            Self::QuantityTooLarge { sku, quantity, max } => {
                write!(f, "{quantity} more of {sku} would be past the largest quantity, {max}")
            }
            Self::LotRequired { sku } => write!(f, "SKU {sku} is tracked: name the lot or serial number"),
            Self::LotNotTracked { sku } => write!(f, "SKU {sku} is not tracked by lot"),
            Self::LotBlocked { sku, lot } => write!(f, "lot {lot} of {sku} is blocked"),
            Self::SerialTaken { sku, serial } => {
                write!(f, "serial number {serial} of {sku} exists once and is already there")
            }
            Self::TrackingFixed { sku } => write!(f, "SKU {sku} was stocked, its tracking stays as it is"),
            Self::WrongLocationKind { site, location, kind, needed } => {
                write!(f, "location {location} at {site} is for {kind}, and this needs {needed}")
            }
            Self::NoLocation { site, kind } => write!(f, "site {site} has no location for {kind}"),
            Self::LocationOccupied { site, location } => {
                write!(f, "something lies at {location} at {site}: its kind stays as it is")
            }
            Self::LocationRequired { line } => {
                write!(f, "line {line} names no location, which the strategy explicit needs")
            }
            Self::HoldEnded { hold, status } => write!(f, "hold {hold} has ended: {status}"),
            Self::NotHeld { document, line, requested, held } => {
                write!(f, "line {line} of {document} holds {held} there, not {requested}")
            }
            Self::SameSite { site } => write!(f, "a transfer from {site} to itself is a bin move"),
            Self::TransferCancelled { transfer } => write!(f, "transfer {transfer} is cancelled"),
            Self::TransferClosed { transfer } => write!(f, "transfer {transfer} is closed"),
            Self::TransferAllocated { transfer, allocated, picked } => write!(
                f,
                "transfer {transfer} has {allocated} allocated and {picked} picked: release it first, or cancel with release"
            ),
            Self::TransferShipped { transfer, shipped } => {
                write!(f, "transfer {transfer} has {shipped} shipped and can only be closed")
            }
            Self::TransferPicked { transfer, picked } => {
                write!(f, "transfer {transfer} has {picked} picked: ship or unpick them first")
            }
            Self::NothingLacking { transfer, line } => {
                write!(f, "line {line} of transfer {transfer} lacks nothing that could be allocated")
            }
            Self::NothingAllocated { transfer } => {
                write!(f, "transfer {transfer} has nothing allocated there")
            }
            Self::NothingPicked { transfer } => write!(f, "transfer {transfer} has nothing picked there"),
            Self::NothingInTransit { transfer } => write!(f, "transfer {transfer} has nothing on the way"),
            Self::NotReversible { movement, document } => {
                write!(f, "movement {movement} belongs to a {document}, whose own commands take it back")
            }
            Self::AlreadyReversed { movement } => write!(f, "movement {movement} was reversed before"),
            Self::WalletNotFound { owner } => write!(f, "{owner} has no wallet"),
            Self::AuthorizationNotFound { authorization } => {
                write!(f, "there is no authorization {authorization} of this wallet")
            }
            Self::InsufficientFunds { owner, currency, requested, available } => {
                write!(f, "{owner} has {available} {currency} available, not {requested}")
            }
            Self::AmountTooLarge { currency, amount, max } => {
                write!(f, "{amount} {currency} more would be past the largest balance, {max}")
            }
            Self::RefundExceedsPaid { owner, currency, requested, paid } => {
                write!(f, "{owner} paid {paid} {currency} that were not refunded yet, not {requested}")
            }
            Self::LimitAboveBalance { owner, currency, limit, unheld } => {
                write!(
                    f,
                    "{owner} has {unheld} {currency} that nothing holds, less than the limit of {limit}"
                )
            }
            Self::TooManyCurrencies { owner, max } => {
                write!(f, "the wallet of {owner} has {max} currencies, and no more may be in one")
            }
            Self::AuthorizationEnded { authorization, status } => {
                write!(f, "authorization {authorization} has ended: {status}")
            }
            Self::NotAuthorized { authorization, requested, held } => {
                write!(f, "authorization {authorization} holds {held}, not {requested}")
            }
            Self::OrderNotFound { order } => write!(f, "there is no order {order}"),
            Self::OrderCompleted { order } => write!(f, "order {order} is completed"),
            Self::OrderCancelled { order } => write!(f, "order {order} is cancelled"),
            Self::OrderShort { order, shortages } => match shortages.as_slice() {
                [one] => write!(
                    f,
                    "line {} of order {order} asks for {} of {}, and {} are allocated",
                    one.line, one.requested, one.sku, one.available
                ),
                many => write!(f, "{} lines of order {order} are not wholly allocated", many.len()),
            },
            Self::OrderClaimed { order, worker, expires_at } => {
                write!(f, "order {order} is claimed by {worker} until {expires_at}")
            }
            Self::ClaimLost { order, worker, fence, current_fence } => {
                if *current_fence == Some(*fence) {
                    return write!(f, "claim {fence} on order {order} is another worker's, not {worker}'s");
                }
                write!(f, "claim {fence} of {worker} on order {order} is lost: ")?;
                match current_fence {
                    Some(current) => write!(f, "claim {current} stands"),
                    None => write!(f, "nobody has claimed it now"),
                }
            }
            Self::NothingToClaim { site } => {
                write!(f, "no order waits at {site} that could be claimed")
            }
            Self::FenceNotFound { resource } => write!(f, "no fence was ever seen for {resource}"),
            Self::StaleFence { resource, fence, current_fence } => {
                write!(f, "fence {fence} of {resource} is stale: {current_fence} was seen")
            }
            Self::TooManyFences { resource, max } => {
                write!(f, "the fence of {resource} cannot be kept: there are those of {max} resources")
            }
            Self::CardNotFound { card } => write!(f, "there is no card {card}"),
            Self::ProposalNotFound { proposal } => write!(f, "there is no proposal {proposal}"),
            Self::CardNotOwned { card, owner, owned_by } => {
                write!(f, "card {card} is {owned_by}'s, not {owner}'s")
            }
            Self::SameOwner { owner, from_card, to_card } => {
                write!(f, "cards {from_card} and {to_card} are both {owner}'s")
            }
            Self::PairProposed { proposal, from_card, to_card } => {
                write!(f, "proposal {proposal} to swap {from_card} for {to_card} is open already")
            }
            Self::TooManyProposals { card, proposals, max } => {
                write!(
                    f,
                    "card {card} has {proposals} open proposals, and {max} are the most that one may have"
                )
            }
            Self::ProposalEnded { proposal, status, reason } => {
                write!(f, "proposal {proposal} has ended: {status}")?;
                reason.map_or(Ok(()), |reason| write!(f, " ({reason})"))
            }
            Self::NoPicksToClaim { site, zone } => {
                write!(f, "nothing waits to be picked at {site}{} that could be claimed", In(zone.as_ref()))
            }
            Self::NothingAllocatedIn { transfer, zone } => {
                write!(f, "nothing is allocated to transfer {transfer}{}", In(Some(zone)))
            }
            Self::TransferClaimed { transfer, zone, worker, expires_at } => write!(
                f,
                "what transfer {transfer} has to pick{} is claimed by {worker} until {expires_at}",
                In(Some(zone))
            ),
            Self::PickClaimLost { transfer, zone, worker, fence, current_fence } => {
                let zone = In(zone.as_ref());
                if *current_fence == Some(*fence) {
                    return write!(
                        f,
                        "claim {fence} on transfer {transfer}{zone} is another worker's, not {worker}'s"
                    );
                }
                write!(f, "claim {fence} of {worker} on transfer {transfer}{zone} is lost")?;
                match current_fence {
                    Some(current) => write!(f, ": claim {current} stands"),
                    None => Ok(()),
                }
            }
            Self::LocationClaimed { site, location, transfer, worker } => write!(
                f,
                "{worker} has claimed what transfer {transfer} has to pick at location {location} of {site}, \
                 which keeps its zone until then"
            ),
            Self::CartNotFound { cart } => write!(f, "there is no cart {cart}"),
            Self::CartOrdered { cart, order } => {
                write!(f, "cart {cart} was checked out: it is order {order}")
            }
            Self::CartDiscarded { cart } => write!(f, "cart {cart} was discarded"),
            Self::CartEmpty { cart } => write!(f, "nothing is in cart {cart}"),
            Self::PriceNotSet { currency, skus } => match skus.as_slice() {
                [one] => write!(f, "{one} has no price in {currency}"),
                many => write!(f, "{} SKUs have no price in {currency}", many.len()),
            },
            Self::PriceChanged { currency, expected_total, total } => {
                write!(f, "the total is {total} {currency} now, not {expected_total}")
            }
            Self::CheckoutBlocked { cart, shortages, funds } => {
                write!(f, "cart {cart} cannot be checked out: ")?;
                match shortages.as_slice() {
                    [] => {}
                    [one] => {
                        write!(f, "{} of {} are available, not {}", one.available, one.sku, one.requested)?;
                    }
                    many => write!(f, "{} items ask for more than is available", many.len())?,
                }
                if let Some(MissingFunds { owner, currency, requested, available }) = funds {
                    let and = if shortages.is_empty() { "" } else { ", and " };
                    write!(f, "{and}{owner} has {available} {currency} available, not {requested}")?;
                }
                Ok(())
            }
        }
    }
}

/// A zone in a sentence, if one is meant. The zone of locations that are in none has no name.
struct In<'a>(Option<&'a Name>);

impl fmt::Display for In<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => Ok(()),
            Some(zone) if zone.as_str().is_empty() => write!(f, " outside all zones"),
            Some(zone) => write!(f, " in zone {zone}"),
        }
    }
}

impl std::error::Error for Refusal {}
