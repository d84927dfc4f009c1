//! Problems: why a request was not carried out, as RFC 9457 has it.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use jaego_domain::{Asked, Code, Quantity, Refusal, Sequence};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    stock::{Holding, Shortage},
    time::Time,
};

/// The media type of a problem.
pub const PROBLEM_TYPE: &str = "application/problem+json";

/// A problem document. Beside the fields here it has the things and numbers that the problem is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// A reference that names the kind of problem: `/problems/` and the code.
    pub r#type: Cow<'static, str>,
    /// The kind of problem in a few words.
    pub title: Cow<'static, str>,
    /// The HTTP status.
    pub status: u16,
    /// The name that callers program against.
    pub code: Cow<'static, str>,
    /// What happened this time, to which thing.
    pub detail: String,
    /// What each line lacked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shortages: Vec<Shortage>,
    /// Who holds what the request would have taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holders: Vec<Holding>,
    /// The things and numbers that the problem is about.
    #[serde(flatten)]
    pub facts: BTreeMap<Cow<'static, str>, Value>,
    /// How long to wait before trying again, in seconds: the `Retry-After` of the answer.
    #[serde(skip)]
    pub retry_after_s: Option<u32>,
}

/// What is the same in every problem of a code. All of them are in [`PROBLEMS`] and [`SHELL_PROBLEMS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProblemKind {
    /// The name.
    pub code: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// The title.
    pub title: &'static str,
}

const fn kind(code: &'static str, status: u16, title: &'static str) -> ProblemKind {
    ProblemKind { code, status, title }
}

impl ProblemKind {
    /// The kind of a code that is known as the program is built: in a `const` block, a code that there is not does not
    /// compile.
    ///
    /// # Panics
    /// If there is no such kind: that is a bug of the caller.
    pub const fn of(code: &str) -> &'static Self {
        match (find(PROBLEMS, code), find(SHELL_PROBLEMS, code)) {
            (Some(kind), _) | (None, Some(kind)) => kind,
            (None, None) => panic!("there is no kind of problem of this code"),
        }
    }

    /// Every kind that there is.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        PROBLEMS.iter().chain(SHELL_PROBLEMS)
    }
}

const fn find(kinds: &'static [ProblemKind], code: &str) -> Option<&'static ProblemKind> {
    let mut at = 0;
    while at < kinds.len() {
        if is_same(kinds[at].code.as_bytes(), code.as_bytes()) {
            return Some(&kinds[at]);
        }
        at += 1;
    }
    None
}

const fn is_same(one: &[u8], other: &[u8]) -> bool {
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}

/// The problems of the connection and of the shell around the routes: what is said before a request reaches its route, or
/// in its place.
pub const SHELL_PROBLEMS: &[ProblemKind] = &[
    // The connection says no.
    kind("tls_required", 400, "This port speaks TLS"),
    kind("head_too_large", 431, "The headers are too large"),
    // The caller is nobody.
    kind("unauthorized", 401, "A valid token is needed"),
    kind("too_many_failures", 429, "Too many failures"),
    // There is no such route.
    kind("route_not_found", 404, "There is no such route"),
    kind("method_not_allowed", 405, "The method is not allowed here"),
    kind("route_without_role", 403, "The route has no role"),
    // The body cannot be read.
    kind("encoding_unsupported", 415, "Bodies are taken as they are"),
    kind("body_too_large", 413, "The body is too large"),
    kind("body_too_slow", 408, "The body came too slowly"),
    kind("body_broken", 400, "The body could not be read"),
    // The service did not come to an answer: what became of the request is not known.
    kind("request_timeout", 503, "The request took too long"),
    kind("internal", 500, "The server failed"),
    // What `/readyz` says.
    kind("not_ready", 503, "Not ready"),
];

/// Every problem of requests, refusals and stores.
pub const PROBLEMS: &[ProblemKind] = &[
    // The request cannot be read.
    kind("malformed", 400, "The request is malformed"),
    kind("forbidden", 403, "The token may not do this"),
    kind("too_large", 413, "There is too much in one request"),
    // A value or a rule that needs no stock to be known.
    kind("invalid_value", 422, "A value is not of its form"),
    kind("too_many_lines", 413, "The document has too many lines"),
    kind("too_many_lines_touched", 413, "The batch would touch too much in all"),
    kind("too_many_parts", 413, "The decision would touch too much at once"),
    kind("duplicate_line", 422, "Two lines have the same name"),
    kind("location_required", 422, "A line names no location"),
    kind("same_site", 422, "A transfer needs two sites"),
    kind("quantity_too_large", 422, "A sum is past the largest quantity"),
    kind("amount_too_large", 422, "A balance is past the largest amount"),
    kind("lot_required", 422, "A line names no lot"),
    kind("lot_not_tracked", 422, "A line names a lot of a SKU without lots"),
    // There is no such thing.
    kind("site_not_found", 404, "There is no such site"),
    kind("location_not_found", 404, "There is no such location"),
    kind("sku_not_found", 404, "There is no such SKU"),
    kind("lot_not_found", 404, "There is no such lot"),
    kind("hold_not_found", 404, "There is no such hold"),
    kind("transfer_not_found", 404, "There is no such transfer"),
    kind("order_not_found", 404, "There is no such order"),
    kind("cart_not_found", 404, "There is no such cart"),
    kind("line_not_found", 404, "There is no such line"),
    kind("movement_not_found", 404, "There is no such movement"),
    kind("wallet_not_found", 404, "There is no such wallet"),
    kind("authorization_not_found", 404, "There is no such authorization"),
    kind("fence_not_found", 404, "No fence was seen for the resource"),
    kind("history_archived", 410, "The history of that time is archived"),
    kind("outcome_archived", 410, "It was done, and what was answered then is archived"),
    // The request was known before.
    kind("id_taken", 409, "The id was used for another request"),
    kind("idempotency_conflict", 409, "The request key was used for another request"),
    kind("request_key_expired", 409, "The request key is too old"),
    // The stock says no.
    kind("insufficient_stock", 409, "Too little is available"),
    kind("not_stocked_here", 409, "The site never stocked the SKU"),
    kind("stock_held", 409, "The stock is held"),
    kind("held_by_others", 409, "The stock is held by others"),
    kind("lot_blocked", 409, "The lot is blocked"),
    kind("lot_expired", 409, "The lot's last day is over"),
    kind("serial_taken", 409, "The serial number is already there"),
    kind("tracking_fixed", 409, "The tracking of the SKU is fixed"),
    kind("wrong_location_kind", 409, "The location is of another kind"),
    kind("no_location", 409, "The site has no such location"),
    kind("location_occupied", 409, "Something lies at the location"),
    // The document says no.
    kind("hold_ended", 409, "The hold has ended"),
    kind("not_held", 409, "The line holds less"),
    kind("transfer_cancelled", 409, "The transfer is cancelled"),
    kind("transfer_closed", 409, "The transfer is closed"),
    kind("transfer_allocated", 409, "The transfer has stock allocated"),
    kind("transfer_shipped", 409, "The transfer was shipped"),
    kind("transfer_picked", 409, "The transfer has goods picked"),
    kind("nothing_lacking", 409, "The line lacks nothing"),
    kind("nothing_allocated", 409, "Nothing is allocated"),
    kind("nothing_picked", 409, "Nothing is picked"),
    kind("nothing_in_transit", 409, "Nothing is on the way"),
    kind("not_reversible", 409, "The movement belongs to a document"),
    kind("already_reversed", 409, "The movement was reversed before"),
    // The wallet says no.
    kind("insufficient_funds", 409, "Too little money is available"),
    kind("order_not_paid", 409, "Nobody paid for the order"),
    kind("refund_exceeds_order", 409, "Less was paid for the order than is to be refunded"),
    kind("refund_exceeds_paid", 409, "Less was paid than is to be refunded"),
    kind("limit_above_balance", 409, "The wallet has less than the limit"),
    kind("too_many_currencies", 409, "The wallet has too many currencies"),
    kind("authorization_ended", 409, "The authorization has ended"),
    kind("not_authorized", 409, "The authorization holds less"),
    kind("order_completed", 409, "The order is completed"),
    kind("order_cancelled", 409, "The order is cancelled"),
    kind("order_short", 409, "The order is not wholly allocated"),
    kind("order_claimed", 409, "The order is claimed"),
    kind("claim_lost", 409, "The claim is lost"),
    kind("nothing_to_claim", 409, "No work waits to be claimed"),
    kind("transfer_claimed", 409, "The picks of the transfer are claimed"),
    kind("location_claimed", 409, "A worker has claimed what is to be picked at the location"),
    // The lock says no.
    kind("stale_fence", 412, "The lock is another's by now"),
    kind("too_many_fences", 409, "The fences of too many resources are kept"),
    // The trade says no.
    kind("card_not_found", 404, "There is no such card"),
    kind("proposal_not_found", 404, "There is no such proposal"),
    kind("card_not_owned", 409, "The card is somebody else's"),
    kind("same_owner", 409, "Both cards have one owner"),
    kind("pair_proposed", 409, "The two cards have an open proposal"),
    kind("too_many_proposals", 409, "The card has too many open proposals"),
    kind("proposal_ended", 409, "The proposal has ended"),
    kind("cart_ordered", 409, "The cart was checked out"),
    kind("cart_discarded", 409, "The cart was discarded"),
    kind("cart_empty", 409, "Nothing is in the cart"),
    kind("price_not_set", 409, "A price is missing"),
    kind("price_changed", 409, "The total is another"),
    kind("checkout_blocked", 409, "The cart cannot be checked out"),
    // The feed says no.
    kind("cursor_ahead", 409, "The cursor is ahead of the store"),
    // The service says no.
    kind("too_many_feeds", 429, "The token has too many feeds open"),
    kind("rate_limited", 429, "The token has used up its rate"),
    // The store says no.
    kind("busy", 503, "Too much at once"),
    kind("store_full", 507, "The store is full"),
    kind("store_failed", 503, "The store has failed"),
    kind("history_unreadable", 500, "The history cannot be read"),
    kind("closed", 503, "The service is shutting down"),
    kind("starting", 503, "The service is starting"),
    // The queue says no.
    kind("delivered_too_often", 500, "The service ended each time that it was tried"),
];

impl Problem {
    /// A problem of a kind that there is.
    ///
    /// # Panics
    /// If there is no such kind: that is a bug of the caller.
    pub fn new(code: &str, detail: impl Into<String>) -> Self {
        let Some(kind) = ProblemKind::all().find(|kind| kind.code == code) else {
            panic!("there is no kind of problem called {code}");
        };
        Self {
            r#type: format!("/problems/{code}").into(),
            title: kind.title.into(),
            status: kind.status,
            code: kind.code.into(),
            detail: detail.into(),
            shortages: Vec::new(),
            holders: Vec::new(),
            facts: BTreeMap::new(),
            retry_after_s: None,
        }
    }

    /// The same with one more fact.
    pub fn with(mut self, name: &'static str, fact: impl Into<Value>) -> Self {
        self.facts.insert(name.into(), fact.into());
        self
    }

    /// A request that is not allowed to this token.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new("forbidden", detail)
    }

    /// More of something than one request may have.
    pub fn too_large(what: &str, count: usize, max: usize) -> Self {
        Self::new("too_large", format!("{count} {what} are more than the {max} that one request may have"))
            .with("count", count)
            .with("max", max)
    }

    /// A full queue: nothing was decided.
    pub fn busy(queue_len: usize, retry_after_s: u32) -> Self {
        let detail =
            format!("{queue_len} requests are waiting and no more may; nothing was changed, try again");
        let mut problem = Self::new("busy", detail).with("queue_len", queue_len);
        problem.retry_after_s = Some(retry_after_s);
        problem
    }

    /// A token that listens to as many feeds as it may.
    pub fn too_many_feeds(open: usize, max: usize, retry_after_s: u32) -> Self {
        let detail =
            format!("the token has {open} feeds open and may have {max}; close one, or wait for its end");
        let mut problem = Self::new("too_many_feeds", detail).with("open", open).with("max", max);
        problem.retry_after_s = Some(retry_after_s);
        problem
    }

    /// A reader of the feed who has read further than the store goes: no cursor that the store gave is beyond `durable`, its last
    /// durable event.
    pub fn cursor_ahead(after: Sequence, durable: Sequence) -> Self {
        let detail = format!(
            "the feed is to go on after event {after}, and the store ends with event {durable}: it was restored from a \
             backup, or the cursor is another store's; what was read beyond the backup did not stay, so begin again from \
             the last event that is known to be in it"
        );
        Self::new("cursor_ahead", detail).with("after", after.0).with("durable", durable.0)
    }

    /// A token that sent more commands and reads than it is good for: nothing was decided.
    pub fn rate_limited(cost: usize, per_s: u32, burst: u32, retry_after_s: u32) -> Self {
        let detail = format!(
            "the token is good for {per_s} commands a second, {burst} at once, and this counts as {cost}; nothing \
             was changed"
        );
        let mut problem =
            Self::new("rate_limited", detail).with("cost", cost).with("per_s", per_s).with("burst", burst);
        problem.retry_after_s = Some(retry_after_s);
        problem
    }

    /// As many feeds as the service keeps open.
    pub fn feeds_busy(open: usize, max: usize, retry_after_s: u32) -> Self {
        let detail = format!("{open} feeds are open and {max} may be; read pages of events, or try again");
        let mut problem = Self::new("busy", detail).with("open", open).with("max", max);
        problem.retry_after_s = Some(retry_after_s);
        problem
    }

    /// No room for more events: nothing was decided, and reads go on.
    pub fn store_full(detail: &str) -> Self {
        Self::new("store_full", format!("{detail}; nothing was changed, and reads go on"))
    }

    /// A store that stopped: whether the request took effect is not known.
    pub fn store_failed(detail: &str) -> Self {
        let detail = format!("{detail}; whether the request took effect is told by sending it again later");
        Self::new("store_failed", detail)
    }

    /// Events that cannot be read any more: requests are decided as before.
    pub fn history_unreadable(detail: &str) -> Self {
        let detail = format!(
            "{detail}; the store goes on deciding, and what needs no older events is answered as before"
        );
        Self::new("history_unreadable", detail)
    }

    /// A service that is shutting down: nothing was decided.
    pub fn closed(retry_after_s: u32) -> Self {
        let mut problem = Self::new("closed", "the service is shutting down; nothing was changed");
        problem.retry_after_s = Some(retry_after_s);
        problem
    }

    /// A refusal that rests on events up to this one.
    pub fn at_sequence(self, sequence: Sequence) -> Self {
        self.with("sequence", sequence.0)
    }

    /// The document as JSON.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a problem has text for keys")
    }
}

fn text(code: &Code) -> Value {
    code.as_str().into()
}

fn number(quantity: &Quantity) -> Value {
    quantity.get().into()
}

impl From<&Refusal> for Problem {
    fn from(refusal: &Refusal) -> Self {
        let mut problem = Self::new(refusal.code(), refusal.to_string());
        let mut fact = |name: &'static str, value: Value| {
            problem.facts.insert(name.into(), value);
        };
        match refusal {
            Refusal::InvalidValue { field, reason } => {
                fact("field", field.as_str().into());
                fact("reason", reason.as_str().into());
            }
            Refusal::TooManyLines { lines, max } | Refusal::TooManyLinesTouched { lines, max } => {
                fact("lines", (*lines).into());
                fact("max", (*max).into());
            }
            Refusal::TooManyParts { parts, max } => {
                fact("parts", (*parts).into());
                fact("max", (*max).into());
            }
            Refusal::DuplicateLine { line } | Refusal::LocationRequired { line } => fact("line", text(line)),
            Refusal::SiteNotFound { site } | Refusal::SameSite { site } => fact("site", text(site)),
            Refusal::LocationNotFound { site, location } | Refusal::LocationOccupied { site, location } => {
                fact("site", text(site));
                fact("location", text(location));
            }
            Refusal::SkuNotFound { sku }
            | Refusal::LotRequired { sku }
            | Refusal::LotNotTracked { sku }
            | Refusal::TrackingFixed { sku } => fact("sku", text(sku)),
            Refusal::LotNotFound { sku, lot } => {
                fact("sku", text(sku));
                fact("lot", text(lot));
            }
            Refusal::LotBlocked { sku, lot, line } => {
                fact("sku", text(sku));
                fact("lot", text(lot));
                line.iter().for_each(|line| fact("line", text(line)));
            }
            Refusal::LotExpired { sku, lot, expires_on, line } => {
                fact("sku", text(sku));
                fact("lot", text(lot));
                fact("expires_on", expires_on.to_string().into());
                line.iter().for_each(|line| fact("line", text(line)));
            }
            Refusal::HoldNotFound { hold } => fact("hold", text(hold)),
            Refusal::TransferNotFound { transfer }
            | Refusal::TransferCancelled { transfer }
            | Refusal::TransferClosed { transfer }
            | Refusal::NothingAllocated { transfer }
            | Refusal::NothingPicked { transfer }
            | Refusal::NothingInTransit { transfer } => fact("transfer", text(transfer)),
            Refusal::NothingLacking { transfer, line } => {
                fact("transfer", text(transfer));
                fact("line", text(line));
            }
            Refusal::LineNotFound { document, line } => {
                fact("document", text(document));
                fact("line", text(line));
            }
            Refusal::MovementNotFound { movement } | Refusal::AlreadyReversed { movement } => {
                fact("movement", movement.as_str().into());
            }
            Refusal::HistoryArchived { asked, since, first } => {
                match asked {
                    Asked::At(time) => fact("asked", Time::from(*time).to_string().into()),
                    Asked::After(event) => fact("after", event.0.into()),
                }
                fact("since", Time::from(*since).to_string().into());
                fact("first", first.0.into());
            }
            Refusal::OutcomeArchived { event, first } => {
                fact("event", event.0.into());
                fact("first", first.0.into());
            }
            Refusal::IdTaken { id } => fact("id", text(id)),
            Refusal::IdempotencyConflict { key } => fact("key", text(key)),
            Refusal::RequestKeyExpired { key, window_ms } => {
                fact("key", text(key));
                fact("window_ms", (*window_ms).into());
            }
            Refusal::InsufficientStock { shortages } => {
                problem.shortages = shortages.iter().map(Shortage::from).collect();
            }
            Refusal::NotStockedHere { site, sku, shortages } => {
                fact("site", text(site));
                fact("sku", text(sku));
                problem.shortages = shortages.iter().map(Shortage::from).collect();
            }
            Refusal::StockHeld { site, location, sku, held, remaining, holders } => {
                fact("site", text(site));
                fact("location", text(location));
                fact("sku", text(sku));
                fact("held", number(held));
                fact("remaining", number(remaining));
                problem.holders = holders.iter().map(Holding::from).collect();
            }
            Refusal::QuantityTooLarge { sku, quantity, max } => {
                fact("sku", text(sku));
                fact("quantity", number(quantity));
                fact("max", (*max).into());
            }
            Refusal::SerialTaken { sku, serial } => {
                fact("sku", text(sku));
                fact("serial", text(serial));
            }
            Refusal::WrongLocationKind { site, location, kind, needed } => {
                fact("site", text(site));
                fact("location", text(location));
                fact("kind", (*kind).into());
                fact("needed", (*needed).into());
            }
            Refusal::NoLocation { site, kind } => {
                fact("site", text(site));
                fact("kind", (*kind).into());
            }
            Refusal::HoldEnded { hold, status } => {
                fact("hold", text(hold));
                // Not `status`, which is the HTTP status here.
                fact("hold_status", (*status).into());
            }
            Refusal::NotHeld { document, line, requested, held } => {
                fact("document", text(document));
                fact("line", text(line));
                fact("requested", number(requested));
                fact("held", number(held));
            }
            Refusal::TransferAllocated { transfer, allocated, picked } => {
                fact("transfer", text(transfer));
                fact("allocated", number(allocated));
                fact("picked", number(picked));
            }
            Refusal::TransferShipped { transfer, shipped } => {
                fact("transfer", text(transfer));
                fact("shipped", number(shipped));
            }
            Refusal::TransferPicked { transfer, picked } => {
                fact("transfer", text(transfer));
                fact("picked", number(picked));
            }
            Refusal::NotReversible { movement, document } => {
                fact("movement", movement.as_str().into());
                fact("document", (*document).into());
            }
            Refusal::WalletNotFound { owner } => fact("owner", text(owner)),
            Refusal::AuthorizationNotFound { authorization } => fact("authorization", text(authorization)),
            Refusal::InsufficientFunds { owner, currency, requested, available } => {
                fact("owner", text(owner));
                fact("currency", currency.as_str().into());
                fact("requested", requested.get().into());
                fact("available", (*available).into());
            }
            Refusal::AmountTooLarge { currency, amount, max } => {
                fact("currency", currency.as_str().into());
                fact("amount", amount.get().into());
                fact("max", (*max).into());
            }
            Refusal::OrderNotPaid { order } => fact("order", text(order)),
            Refusal::RefundExceedsOrder { order, currency, requested, refundable } => {
                fact("order", text(order));
                fact("currency", currency.as_str().into());
                fact("requested", requested.get().into());
                fact("refundable", refundable.get().into());
            }
            Refusal::RefundExceedsPaid { owner, currency, requested, paid, sold } => {
                fact("owner", text(owner));
                fact("currency", currency.as_str().into());
                fact("requested", requested.get().into());
                fact("paid", paid.get().into());
                fact("sold", (*sold).into());
            }
            Refusal::LimitAboveBalance { owner, currency, limit, unheld } => {
                fact("owner", text(owner));
                fact("currency", currency.as_str().into());
                fact("limit", (*limit).into());
                fact("unheld", (*unheld).into());
            }
            Refusal::TooManyCurrencies { owner, max } => {
                fact("owner", text(owner));
                fact("max", (*max).into());
            }
            Refusal::AuthorizationEnded { authorization, status } => {
                fact("authorization", text(authorization));
                fact("authorization_status", (*status).into());
            }
            Refusal::NotAuthorized { authorization, requested, held } => {
                fact("authorization", text(authorization));
                fact("requested", requested.get().into());
                fact("held", held.get().into());
            }
            Refusal::OrderNotFound { order }
            | Refusal::OrderCompleted { order }
            | Refusal::OrderCancelled { order } => fact("order", text(order)),
            Refusal::OrderShort { order, shortages } => {
                fact("order", text(order));
                problem.shortages = shortages.iter().map(Shortage::from).collect();
            }
            Refusal::OrderClaimed { order, worker, expires_at } => {
                fact("order", text(order));
                fact("worker", text(worker));
                fact("expires_at", Time::from(*expires_at).to_string().into());
            }
            Refusal::ClaimLost { order, worker, fence, current_fence } => {
                fact("order", text(order));
                fact("worker", text(worker));
                fact("fence", fence.0.into());
                fact("current_fence", current_fence.map_or(Value::Null, |fence| fence.0.into()));
            }
            Refusal::NothingToClaim { site, passed_by } => {
                fact("site", text(site));
                fact("passed_by", (*passed_by).into());
            }
            Refusal::FenceNotFound { resource } => fact("resource", text(resource)),
            Refusal::StaleFence { resource, fence, current_fence } => {
                fact("resource", text(resource));
                fact("fence", (*fence).into());
                fact("current_fence", (*current_fence).into());
            }
            Refusal::TooManyFences { resource, max } => {
                fact("resource", text(resource));
                fact("max", (*max).into());
            }
            Refusal::CardNotFound { card } => fact("card", text(card)),
            Refusal::ProposalNotFound { proposal } => fact("proposal", text(proposal)),
            Refusal::CardNotOwned { card, owner, owned_by } => {
                fact("card", text(card));
                fact("owner", text(owner));
                fact("owned_by", text(owned_by));
            }
            Refusal::SameOwner { owner, from_card, to_card } => {
                fact("owner", text(owner));
                fact("from_card", text(from_card));
                fact("to_card", text(to_card));
            }
            Refusal::PairProposed { proposal, from_card, to_card } => {
                fact("proposal", text(proposal));
                fact("from_card", text(from_card));
                fact("to_card", text(to_card));
            }
            Refusal::TooManyProposals { card, proposals, max } => {
                fact("card", text(card));
                fact("proposals", (*proposals).into());
                fact("max", (*max).into());
            }
            Refusal::ProposalEnded { proposal, status, reason } => {
                fact("proposal", text(proposal));
                fact("proposal_status", (*status).into());
                if let Some(reason) = reason {
                    fact("reason", (*reason).into());
                }
            }
            Refusal::NoPicksToClaim { site, zone, passed_by } => {
                fact("site", text(site));
                fact("passed_by", (*passed_by).into());
                if let Some(zone) = zone {
                    fact("zone", zone.as_str().into());
                }
            }
            Refusal::NothingAllocatedIn { transfer, zone } => {
                fact("transfer", text(transfer));
                fact("zone", zone.as_str().into());
            }
            Refusal::TransferClaimed { transfer, zone, worker, expires_at } => {
                fact("transfer", text(transfer));
                fact("zone", zone.as_str().into());
                fact("worker", text(worker));
                fact("expires_at", Time::from(*expires_at).to_string().into());
            }
            Refusal::PickClaimLost { transfer, zone, worker, fence, current_fence } => {
                fact("transfer", text(transfer));
                if let Some(zone) = zone {
                    fact("zone", zone.as_str().into());
                }
                fact("worker", text(worker));
                fact("fence", fence.0.into());
                fact("current_fence", current_fence.map_or(Value::Null, |fence| fence.0.into()));
            }
            Refusal::LocationClaimed { site, location, transfer, worker } => {
                fact("site", text(site));
                fact("location", text(location));
                fact("transfer", text(transfer));
                fact("worker", text(worker));
            }
            Refusal::CartNotFound { cart }
            | Refusal::CartDiscarded { cart }
            | Refusal::CartEmpty { cart } => {
                fact("cart", text(cart));
            }
            Refusal::CartOrdered { cart, order } => {
                fact("cart", text(cart));
                fact("order", text(order));
            }
            Refusal::PriceNotSet { currency, skus } => {
                fact("currency", currency.as_str().into());
                fact("skus", skus.iter().map(text).collect());
            }
            Refusal::PriceChanged { currency, expected_total, total } => {
                fact("currency", currency.as_str().into());
                fact("expected_total", expected_total.get().into());
                fact("total", total.get().into());
            }
            Refusal::HeldByOthers { site, location, sku, to_release, releasable, holders } => {
                fact("site", text(site));
                fact("location", text(location));
                fact("sku", text(sku));
                fact("to_release", number(to_release));
                fact("releasable", number(releasable));
                problem.holders = holders.iter().map(Holding::from).collect();
            }
            Refusal::OfLine { index, field, refusal } => {
                let Self { shortages, holders, facts, .. } = Self::from(&**refusal);
                problem = Self { shortages, holders, facts, ..problem }
                    .with("field", format!("lines[{index}].{field}"));
            }
            Refusal::CheckoutBlocked { cart, shortages, funds } => {
                fact("cart", text(cart));
                // Always there, beside the shortages: null where there is enough.
                let funds = funds.as_ref().map_or(Value::Null, |funds| {
                    serde_json::json!({
                        "owner": funds.owner.as_str(), "currency": funds.currency.as_str(),
                        "requested": funds.requested.get(), "available": funds.available,
                    })
                });
                fact("funds", funds);
                problem.shortages = shortages.iter().map(Shortage::from).collect();
            }
        }
        problem
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::from(&refusal)
    }
}

impl From<Refusal> for Box<Problem> {
    fn from(refusal: Refusal) -> Self {
        Self::new(Problem::from(&refusal))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_refusal_has_a_kind_of_problem() {
        for code in Refusal::CODES {
            let problem = Problem::new(code, "detail");
            let expected = match *code {
                code if code.ends_with("_not_found") => 404,
                "history_archived" | "outcome_archived" => 410,
                "stale_fence" => 412,
                "too_many_lines" | "too_many_lines_touched" | "too_many_parts" => 413,
                "invalid_value" | "duplicate_line" | "location_required" | "same_site"
                | "quantity_too_large" | "amount_too_large" | "lot_required" | "lot_not_tracked" => 422,
                _ => 409,
            };
            assert_eq!(problem.status, expected, "{code}");
        }
    }

    #[test]
    fn codes_and_titles_are_told_apart() {
        let codes: BTreeSet<_> = ProblemKind::all().map(|kind| kind.code).collect();
        let titles: BTreeSet<_> = ProblemKind::all().map(|kind| kind.title).collect();
        let count = PROBLEMS.len() + SHELL_PROBLEMS.len();
        assert_eq!((codes.len(), titles.len()), (count, count));
        for kind in ProblemKind::all() {
            assert_eq!(ProblemKind::of(kind.code), kind);
            assert!((400..600).contains(&kind.status), "{kind:?}");
        }
        let refusals: BTreeSet<_> = Refusal::CODES.iter().collect();
        assert_eq!(refusals.len(), Refusal::CODES.len(), "each code stands once");
    }

    /// What a program has to tell apart, where no request has brought it about: it cannot be guessed from the refusals.
    #[test]
    fn the_guide_has_the_problems_of_the_shell_and_of_the_store() {
        let guide = include_str!("../../../docs/API.md");
        let of_the_service =
            ["busy", "closed", "starting", "store_failed", "store_full", "rate_limited", "cursor_ahead"];
        let kinds = of_the_service.map(ProblemKind::of);
        for kind in kinds.into_iter().chain(SHELL_PROBLEMS) {
            let (status, code) = (kind.status.to_string(), format!("`{}`", kind.code));
            let is_row =
                |line: &str| line.starts_with("| ") && line.contains(&status) && line.contains(&code);
            assert!(guide.lines().any(is_row), "docs/API.md has no row for {status} {code}");
        }
    }

    #[test]
    fn a_problem_shows_the_numbers_behind_it() {
        let code = |text| Code::new("code", text).unwrap();
        let shortage = jaego_domain::Shortage {
            line: code("1"),
            site: code("ICN"),
            sku: code("mug"),
            requested: Quantity::stored(7),
            available: Quantity::stored(6),
        };
        let problem = Problem::from(Refusal::InsufficientStock { shortages: vec![shortage] });
        let json: Value = serde_json::from_slice(&problem.to_json()).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "type": "/problems/insufficient_stock",
                "title": "Too little is available",
                "status": 409,
                "code": "insufficient_stock",
                "detail": "line 1 asks for 7 of mug at ICN, and 6 are available",
                "shortages": [{"line": "1", "sku": "mug", "site": "ICN", "requested": 7, "available": 6}],
            })
        );
        let ended = Problem::from(Refusal::HoldEnded { hold: code("H1"), status: "expired" });
        let json: Value = serde_json::from_slice(&ended.to_json()).unwrap();
        assert_eq!(
            (&json["status"], &json["hold"], &json["hold_status"]),
            (&409.into(), &"H1".into(), &"expired".into())
        );
        let back: Problem = serde_json::from_value(json).unwrap();
        assert_eq!(back, ended);
    }
}
