//! Answers as the scenarios tell them: a word, and named facts.

use std::{collections::BTreeMap, fmt};

use jaego_domain::{
    Amount, Asked, ClaimView, Code, Currency, Holding, Name, PickClaimView, PickView, PickWork, Quantity,
    Refusal, Shortage, Timestamp, View,
    event::ClosedProposal,
    query::{
        AccountView, AuthorizationView, Candidate, CardView, CartView, HeldAt, HoldSummary, InTransit,
        LotHolder, OrderSummary, OrderView, PositionView, ProposalView, TransferSummary,
    },
    row::{CloseReason, HolderKind, ProposalKind, Totals},
};

use super::START;
use crate::{BalancePage, Done, EventView, PastStock, StatementPage};

/// An answer: what it is, and what it says.
///
/// A subject behind a wire fills it from what it reads there; the names of the facts are those of the
/// refusals' and views' fields, and lists are written as the functions here write them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// `accepted`, `repeat`, a refusal's code, or the status of what was looked at; empty for what has none.
    pub word: String,
    /// What it says, by name.
    pub facts: BTreeMap<String, String>,
}

impl Told {
    /// An answer of this word.
    pub fn new(word: impl Into<String>) -> Self {
        Self { word: word.into(), facts: BTreeMap::new() }
    }

    /// And it says this.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.facts.insert(name.to_owned(), value.to_string());
        self
    }

    fn with_some(self, name: &str, value: String) -> Self {
        if value.is_empty() { self } else { self.with(name, value) }
    }

    /// All shortages, and a single one by its parts.
    fn lacking(self, shortages: &[Shortage]) -> Self {
        let told = self.with("short", list(shortages, short));
        match shortages {
            [one] => told
                .with("line", &one.line)
                .with("site", &one.site)
                .with("sku", &one.sku)
                .with("requested", one.requested)
                .with("available", one.available),
            _ => told,
        }
    }

    fn with_line(self, line: Option<&Code>) -> Self {
        match line {
            Some(line) => self.with("line", line),
            None => self,
        }
    }

    fn with_zone(self, zone: Option<&Name>) -> Self {
        match zone {
            Some(zone) => self.with("zone", zone),
            None => self,
        }
    }

    /// The answer to an accepted request.
    pub fn done(done: &Done) -> Self {
        let outcome = &done.outcome;
        let told = Self::new(if done.repeat { "repeat" } else { "accepted" })
            .with("sequence", outcome.sequence)
            .with("at", time(outcome.at))
            .with_some("picks", list(&outcome.picks, pick))
            .with_some("short", list(&outcome.shortages, short))
            .with_some("holders", list(&outcome.holders, holding))
            .with_some("claims", list(&outcome.claims, claimed) + &list(&outcome.pick_claims, picks_claimed))
            .with_some("fences", list(&outcome.claims, fence) + &list(&outcome.pick_claims, pick_fence))
            .with_some("kind", outcome.proposal_kind().map_or("", ProposalKind::name).to_owned())
            .with_some("closed", list(outcome.closed(), closed));
        let told = match &outcome.id {
            Some(id) => told.with("id", id),
            None => told,
        };
        let told = match outcome.balance {
            Some(balance) => told.with("balance", balance),
            None => told,
        };
        match outcome.expires_at {
            Some(at) => told.with("expires", time(at)),
            None => told,
        }
    }

    /// A refusal.
    pub fn refusal(refusal: &Refusal) -> Self {
        let told = Self::new(refusal.code());
        match refusal {
            Refusal::InvalidValue { field, reason } => {
                told.with("field", field).with("reason", reason.replace(' ', "_"))
            }
            Refusal::TooManyLines { lines, max } | Refusal::TooManyLinesTouched { lines, max } => {
                told.with("lines", lines).with("max", max)
            }
            Refusal::TooManyParts { parts, max } => told.with("parts", parts).with("max", max),
            Refusal::DuplicateLine { line } | Refusal::LocationRequired { line } => told.with("line", line),
            Refusal::SiteNotFound { site } | Refusal::SameSite { site } => told.with("site", site),
            Refusal::LocationNotFound { site, location } | Refusal::LocationOccupied { site, location } => {
                told.with("site", site).with("location", location)
            }
            Refusal::SkuNotFound { sku }
            | Refusal::LotRequired { sku }
            | Refusal::LotNotTracked { sku }
            | Refusal::TrackingFixed { sku } => told.with("sku", sku),
            Refusal::LotNotFound { sku, lot } => told.with("sku", sku).with("lot", lot),
            Refusal::LotBlocked { sku, lot, line } => {
                told.with("sku", sku).with("lot", lot).with_line(line.as_ref())
            }
            Refusal::LotExpired { sku, lot, expires_on, line } => {
                let told = told.with("sku", sku).with("lot", lot).with("expires_on", expires_on);
                told.with_line(line.as_ref())
            }
            Refusal::OfLine { index, field, refusal } => {
                Self::refusal(refusal).with("field", format_args!("lines[{index}].{field}"))
            }
            Refusal::SerialTaken { sku, serial } => told.with("sku", sku).with("serial", serial),
            Refusal::HoldNotFound { hold } => told.with("hold", hold),
            Refusal::NothingLacking { transfer, line } => told.with("transfer", transfer).with("line", line),
            Refusal::LineNotFound { document, line } => told.with("document", document).with("line", line),
            Refusal::MovementNotFound { movement } | Refusal::AlreadyReversed { movement } => {
                told.with("movement", movement)
            }
            Refusal::NotReversible { movement, document } => {
                told.with("movement", movement).with("document", document)
            }
            Refusal::OutcomeArchived { event, first } => told.with("event", event).with("first", first),
            Refusal::HistoryArchived { asked, since, first } => {
                let told = match asked {
                    Asked::At(at) => told.with("asked", time(*at)),
                    Asked::After(event) => told.with("after", event),
                };
                told.with("since", time(*since)).with("first", first)
            }
            Refusal::IdTaken { id } => told.with("id", id),
            Refusal::IdempotencyConflict { key } => told.with("key", key),
            Refusal::RequestKeyExpired { key, window_ms } => {
                told.with("key", key).with("window_ms", window_ms)
            }
            Refusal::InsufficientStock { shortages } => told.lacking(shortages),
            Refusal::NotStockedHere { site, sku, shortages } => {
                told.with("site", site).with("sku", sku).lacking(shortages)
            }
            Refusal::StockHeld { site, location, sku, held, remaining, holders } => told
                .with("site", site)
                .with("location", location)
                .with("sku", sku)
                .with("held", held)
                .with("remaining", remaining)
                .with("holders", list(holders, holding)),
            Refusal::QuantityTooLarge { sku, quantity, max } => {
                told.with("sku", sku).with("quantity", quantity).with("max", max)
            }
            Refusal::WrongLocationKind { site, location, kind, needed } => {
                told.with("site", site).with("location", location).with("kind", kind).with("needed", needed)
            }
            Refusal::NoLocation { site, kind } => told.with("site", site).with("kind", kind),
            Refusal::HoldEnded { hold, status } => told.with("hold", hold).with("status", status),
            Refusal::NotHeld { document, line, requested, held } => told
                .with("document", document)
                .with("line", line)
                .with("requested", requested)
                .with("held", held),
            Refusal::TransferNotFound { transfer }
            | Refusal::TransferCancelled { transfer }
            | Refusal::TransferClosed { transfer }
            | Refusal::NothingAllocated { transfer }
            | Refusal::NothingPicked { transfer }
            | Refusal::NothingInTransit { transfer } => told.with("transfer", transfer),
            Refusal::TransferAllocated { transfer, allocated, picked } => {
                told.with("transfer", transfer).with("allocated", allocated).with("picked", picked)
            }
            Refusal::TransferShipped { transfer, shipped } => {
                told.with("transfer", transfer).with("shipped", shipped)
            }
            Refusal::TransferPicked { transfer, picked } => {
                told.with("transfer", transfer).with("picked", picked)
            }
            Refusal::WalletNotFound { owner } => told.with("owner", owner),
            Refusal::AuthorizationNotFound { authorization } => told.with("authorization", authorization),
            Refusal::InsufficientFunds { owner, currency, requested, available } => told
                .with("owner", owner)
                .with("currency", currency)
                .with("requested", requested)
                .with("available", available),
            Refusal::AmountTooLarge { currency, amount, max } => {
                told.with("currency", currency).with("amount", amount).with("max", max)
            }
            Refusal::OrderNotPaid { order } => told.with("order", order),
            Refusal::RefundExceedsOrder { order, currency, requested, refundable } => told
                .with("order", order)
                .with("currency", currency)
                .with("requested", requested)
                .with("refundable", refundable),
            Refusal::RefundExceedsPaid { owner, currency, requested, paid, sold } => told
                .with("owner", owner)
                .with("currency", currency)
                .with("requested", requested)
                .with("paid", paid)
                .with("sold", sold),
            Refusal::LimitAboveBalance { owner, currency, limit, unheld } => told
                .with("owner", owner)
                .with("currency", currency)
                .with("limit", limit)
                .with("unheld", unheld),
            Refusal::TooManyCurrencies { owner, max } => told.with("owner", owner).with("max", max),
            Refusal::AuthorizationEnded { authorization, status } => {
                told.with("authorization", authorization).with("status", status)
            }
            Refusal::NotAuthorized { authorization, requested, held } => {
                told.with("authorization", authorization).with("requested", requested).with("held", held)
            }
            Refusal::OrderNotFound { order }
            | Refusal::OrderCompleted { order }
            | Refusal::OrderCancelled { order } => told.with("order", order),
            Refusal::OrderShort { order, shortages } => {
                told.with("order", order).with("short", list(shortages, short))
            }
            Refusal::OrderClaimed { order, worker, expires_at } => {
                told.with("order", order).with("worker", worker).with("expires", time(*expires_at))
            }
            Refusal::ClaimLost { order, worker, fence, current_fence } => told
                .with("order", order)
                .with("worker", worker)
                .with("fence", fence)
                .with("current_fence", current_fence.map_or("none".to_owned(), |fence| fence.to_string())),
            Refusal::NothingToClaim { site, passed_by } => {
                told.with("site", site).with("passed_by", passed_by)
            }
            Refusal::FenceNotFound { resource } => told.with("resource", resource),
            Refusal::StaleFence { resource, fence, current_fence } => {
                told.with("resource", resource).with("fence", fence).with("current_fence", current_fence)
            }
            Refusal::TooManyFences { resource, max } => told.with("resource", resource).with("max", max),
            Refusal::CardNotFound { card } => told.with("card", card),
            Refusal::ProposalNotFound { proposal } => told.with("proposal", proposal),
            Refusal::CardNotOwned { card, owner, owned_by } => {
                told.with("card", card).with("owner", owner).with("owned_by", owned_by)
            }
            Refusal::SameOwner { owner, from_card, to_card } => {
                told.with("owner", owner).with("from_card", from_card).with("to_card", to_card)
            }
            Refusal::PairProposed { proposal, from_card, to_card } => {
                told.with("proposal", proposal).with("from_card", from_card).with("to_card", to_card)
            }
            Refusal::TooManyProposals { card, proposals, max } => {
                told.with("card", card).with("proposals", proposals).with("max", max)
            }
            Refusal::ProposalEnded { proposal, status, reason } => told
                .with("proposal", proposal)
                .with("status", status)
                .with_some("reason", reason.unwrap_or_default().to_owned()),
            Refusal::NoPicksToClaim { site, zone, passed_by } => {
                told.with("site", site).with("passed_by", passed_by).with_zone(zone.as_ref())
            }
            Refusal::NothingAllocatedIn { transfer, zone } => {
                told.with("transfer", transfer).with_zone(Some(zone))
            }
            Refusal::TransferClaimed { transfer, zone, worker, expires_at } => told
                .with("transfer", transfer)
                .with("worker", worker)
                .with("expires", time(*expires_at))
                .with_zone(Some(zone)),
            Refusal::PickClaimLost { transfer, zone, worker, fence, current_fence } => told
                .with("transfer", transfer)
                .with("worker", worker)
                .with("fence", fence)
                .with("current_fence", current_fence.map_or("none".to_owned(), |fence| fence.to_string()))
                .with_zone(zone.as_ref()),
            Refusal::LocationClaimed { site, location, transfer, worker } => told
                .with("site", site)
                .with("location", location)
                .with("transfer", transfer)
                .with("worker", worker),
            Refusal::CartNotFound { cart }
            | Refusal::CartDiscarded { cart }
            | Refusal::CartEmpty { cart } => told.with("cart", cart),
            Refusal::CartOrdered { cart, order } => told.with("cart", cart).with("order", order),
            Refusal::PriceNotSet { currency, skus } => {
                told.with("currency", currency).with("skus", list(skus, Code::to_string))
            }
            Refusal::PriceChanged { currency, expected_total, total } => {
                told.with("currency", currency).with("expected_total", expected_total).with("total", total)
            }
            Refusal::HeldByOthers { site, location, sku, to_release, releasable, holders } => told
                .with("site", site)
                .with("location", location)
                .with("sku", sku)
                .with("to_release", to_release)
                .with("releasable", releasable)
                .with("holders", list(holders, holding)),
            Refusal::CheckoutBlocked { cart, shortages, funds } => {
                let told = told.with("cart", cart).with("short", or_none(list(shortages, short)));
                let funds = funds.as_ref().map(|funds| {
                    format!("{}:{}:{}/{}", funds.owner, funds.currency, funds.requested, funds.available)
                });
                told.with("funds", or_none(funds.unwrap_or_default()))
            }
        }
    }

    /// Something that was looked at. Lists of documents are not told: scenarios look at one thing at a time.
    pub fn view(view: &View) -> Self {
        match view {
            View::Stock(list) => match list.items.as_slice() {
                [] => Self::new("none"),
                [one] => Self::position(one),
                many => panic!("a scenario looks at one position, and there are {}", many.len()),
            },
            View::Site(site) => Self::new("")
                .with("time_zone", &site.time_zone)
                .with("strategy", site.strategy.name())
                .with("order_allocation", site.order_allocation.name()),
            View::Location(location) => Self::new(location.kind.name())
                .with("order", location.pick_order)
                .with("zone", &location.zone),
            View::Sku(sku) => Self::new(sku.tracking.name())
                .with("name", &sku.name)
                .with("safety", list(&sku.safety_stock, |(site, level)| format!("{site}:{level}")))
                .with("prices", or_none(list(&sku.prices, money))),
            View::Lot(lot) => {
                Self::new(if lot.blocked { "blocked" } else { "open" }).with("inside", lot.inside)
            }
            View::Hold(hold) => {
                let picks = hold.lines.iter().flat_map(|line| {
                    let name = Code::new("line", &line.line.to_string()).expect("a number is a code");
                    line.picks.iter().map(move |held| held_at(&name, held)).collect::<Vec<_>>()
                });
                let told = Self::new(hold.status.name())
                    .with("picks", or_none(picks.collect::<Vec<_>>().join(",")))
                    .with("owner", hold.owner.as_ref().map_or("none", Code::as_str))
                    .with("lines", list(&hold.lines, |line| format!("{}:{}", line.sku, line.quantity)));
                told.with("expires", hold.expires_at.map_or("never".to_owned(), time))
            }
            View::Transfer(transfer) => {
                let picks = transfer.lines.iter().flat_map(|line| {
                    line.picks.iter().map(|held| held_at(&line.line, held)).collect::<Vec<_>>()
                });
                let staged = transfer.lines.iter().flat_map(|line| {
                    line.staged.iter().map(|held| held_at(&line.line, held)).collect::<Vec<_>>()
                });
                Self::new(transfer.summary.status.name())
                    .with("picks", or_none(picks.collect::<Vec<_>>().join(",")))
                    .with("staged", or_none(staged.collect::<Vec<_>>().join(",")))
                    .with("priority", transfer.summary.priority)
                    .with("work", or_none(list(&transfer.picking, pick_work)))
                    .totals(&transfer.summary.totals)
            }
            View::Explain(lines) | View::ExplainOrder(lines) => match lines.as_slice() {
                [] => Self::new("none"),
                [line] => Self::new("")
                    .with("requested", line.requested)
                    .with("open", line.open)
                    .with("available", line.available)
                    .with("candidates", list(&line.candidates, candidate)),
                many => {
                    Self::new("").with("lines", list(many, |line| format!("{}:{}", line.line, line.open)))
                }
            },
            View::Trace(trace) => Self::new("")
                .with("inside", trace.lot.inside)
                .with("positions", or_none(list(&trace.positions, candidate)))
                .with("in_transit", or_none(list(&trace.in_transit, in_transit)))
                .with("in_transit_total", trace.in_transit_total),
            View::SkuStock(sites) => match sites.as_slice() {
                [] => Self::new("none"),
                sites => sites.iter().fold(Self::new(""), |told, at| {
                    let name = |what: &str| format!("{}.{what}", at.site);
                    told.with(&name("on_hand"), at.on_hand)
                        .with(&name("held"), at.held)
                        .with(&name("unavailable"), at.unavailable)
                        .with(&name("available"), at.available)
                        .with(&name("safety_level"), at.safety_level)
                        .with(&name("low"), at.low)
                }),
            },
            View::Wallet(wallet) => {
                let balances = list(&wallet.balances, |one| {
                    format!("{}:{}/{}/{}/{}", one.currency, one.balance, one.held, one.limit, one.available())
                });
                let open = list(&wallet.authorizations, Code::to_string);
                Self::new("").with("balances", or_none(balances)).with("authorizations", or_none(open))
            }
            View::Authorization(view) => Self::new(view.status.name())
                .with("owner", &view.row.owner)
                .with("currency", view.row.currency)
                .with("amount", view.row.amount)
                .with("captured", view.row.captured)
                .with("held", view.row.held),
            View::Wallets(_) => panic!("scenarios look at one thing at a time"),
            View::Fence(fence) => Self::new("").with("fence", fence.row.fence),
            View::Order(order) => Self::order(order),
            View::Orders(orders) => {
                let shown = |order: &OrderSummary| format!("{}:{}", order.id, order.status.name());
                Self::new("").with("orders", or_none(list(&orders.items, shown)))
            }
            View::PriceTiers(tiers) => Self::new("").with("from", list(&tiers.from, Amount::to_string)),
            View::Card(card) => Self::new("")
                .with("owner", &card.owner)
                .with("price", card.price)
                .with("open_proposals", card.open_proposals),
            View::Cards(cards) => {
                let shown = |card: &CardView| format!("{}:{}:{}", card.card, card.owner, card.price);
                Self::new("").with("cards", or_none(list(&cards.items, shown)))
            }
            View::Proposal(proposal) => Self::proposal(proposal),
            View::Proposals(proposals) => {
                let shown = |one: &ProposalView| format!("{}:{}", one.id, one.status.name());
                Self::new("").with("proposals", or_none(list(&proposals.items, shown)))
            }
            View::Cart(cart) => Self::cart(cart),
            View::Carts(carts) => {
                let ids = list(&carts.items, |cart| cart.id.to_string());
                Self::new("").with("carts", or_none(ids))
            }
            View::Transfers(transfers) => {
                let shown = |one: &TransferSummary| format!("{}:{}", one.id, one.status.name());
                Self::new("").with("transfers", or_none(list(&transfers.items, shown)))
            }
            View::Authorizations(open) => {
                let shown = |one: &AuthorizationView| format!("{}:{}", one.id, one.row.held);
                let next = open.next.as_ref().map_or("none", Code::as_str);
                Self::new("").with("open", or_none(list(&open.items, shown))).with("next", next)
            }
            View::Holds(holds) => {
                let shown = |one: &HoldSummary| match one.held {
                    Some(held) => format!("{}:{held}", one.id),
                    None => one.id.to_string(),
                };
                let next = if holds.next.is_some() { "more" } else { "none" };
                Self::new("").with("holds", or_none(list(&holds.items, shown))).with("next", next)
            }
            View::LotHolders(holders) => {
                let shown = |one: &LotHolder| format!("{}:{}:{}", kind(one.kind), one.id, one.held);
                let next = if holders.next.is_some() { "more" } else { "none" };
                Self::new("").with("holders", or_none(list(&holders.items, shown))).with("next", next)
            }
            View::Accounts(accounts) => {
                let shown =
                    |one: &AccountView| format!("{}/{}:{}", one.currency, one.account.name(), one.balance);
                Self::new("").with("accounts", or_none(list(&accounts.items, shown)))
            }
            View::Sites(_) | View::Locations(_) | View::Skus(_) | View::Lots(_) => {
                panic!("scenarios look at one thing at a time")
            }
        }
    }

    /// What lay where.
    pub fn past_stock(answer: Result<PastStock, Refusal>) -> Self {
        match answer.map(|page| page.positions).as_deref() {
            Err(refusal) => Self::refusal(refusal),
            Ok([]) => Self::new("none"),
            Ok([one]) => Self::new("").with("on_hand", one.on_hand),
            Ok(many) => panic!("a scenario looks at one position, and there were {}", many.len()),
        }
    }

    /// How a balance came to be: the changes, and what there was from then on.
    pub fn balance(answer: Result<BalancePage, Refusal>) -> Self {
        match answer {
            Err(refusal) => Self::refusal(&refusal),
            Ok(page) => {
                let points = list(&page.points, |point| format!("{:+}:{}", point.change, point.on_hand));
                let reasons = list(&page.points, |point| point.reason.as_str().replace(' ', "_"));
                Self::new("").with("points", or_none(points)).with("reasons", or_none(reasons))
            }
        }
    }

    /// A wallet's statement: by how much it changed, and what there was from then on.
    pub fn statement(answer: Result<StatementPage, Refusal>) -> Self {
        match answer {
            Err(refusal) => Self::refusal(&refusal),
            Ok(page) => {
                let lines = list(&page.lines, |line| format!("{:+}:{}", line.change, line.balance));
                let reasons = list(&page.lines, |line| line.reason.as_str().replace(' ', "_"));
                Self::new("").with("lines", or_none(lines)).with("reasons", or_none(reasons))
            }
        }
    }

    /// The crossings of a SKU's safety levels that these events tell.
    pub fn watched(sku: &Code, events: impl IntoIterator<Item = EventView>) -> Self {
        let items = events.into_iter().flat_map(|event| event.watched);
        let crossings = items.filter(|(_, of, ..)| of == sku).map(|(site, _, available, _, low)| {
            format!("{site}:{available}:{}", if low { "low" } else { "enough" })
        });
        Self::new("").with("told", or_none(crossings.collect::<Vec<_>>().join(",")))
    }

    fn order(order: &OrderView) -> Self {
        let OrderView { summary, lines, sale } = order;
        let picks = lines.iter().flat_map(|line| {
            let name = Code::new("line", &line.line.to_string()).expect("a number is a code");
            line.picks.iter().map(move |held| held_at(&name, held)).collect::<Vec<_>>()
        });
        let told = Self::new(summary.status.name())
            .with("picks", or_none(picks.collect::<Vec<_>>().join(",")))
            .with("customer", summary.customer.as_ref().map_or("none", Code::as_str))
            .with("priority", summary.priority)
            .with("allocated", summary.allocated)
            .with("lines", list(lines, |line| format!("{}:{}", line.sku, line.quantity)))
            .with("completed_by", summary.completed_by.as_ref().map_or("nobody", Code::as_str));
        let told = match sale {
            None => told.with("sold", "no"),
            Some(sale) => told
                .with("sold", format!("{}:{}", sale.currency, sale.total))
                .with("prices", list(&sale.prices, ToString::to_string))
                .with("refunded", sale.refunded),
        };
        match &summary.claim {
            None => told.with("worker", "none"),
            Some((worker, claim)) => {
                told.with("worker", worker).with("fence", claim.fence).with("expires", time(claim.expires_at))
            }
        }
    }

    fn proposal(view: &ProposalView) -> Self {
        Self::new(view.status.name())
            .with("kind", view.kind.name())
            .with("from_card", &view.from_card)
            .with("to_card", &view.to_card)
            .with("from_owner", &view.from_owner)
            .with("to_owner", &view.to_owner)
            .with("from_price", view.from_price)
            .with("to_price", view.to_price)
            .with("proposed", time(view.proposed_at))
            .with("reason", view.reason.map_or("none", CloseReason::name))
    }

    fn cart(cart: &CartView) -> Self {
        let CartView { summary, items, totals } = cart;
        let picks = items
            .iter()
            .flat_map(|item| item.picks.iter().map(|held| held_at(&item.sku, held)).collect::<Vec<_>>());
        let picks = picks.collect::<Vec<_>>().join(",");
        Self::new(summary.status.name())
            .with("owner", &summary.owner)
            .with("hold", summary.hold_s.map_or("none".to_owned(), |seconds| format!("{seconds}s")))
            .with("expires", summary.expires_at.map_or("never".to_owned(), time))
            .with("order", summary.order.as_ref().map_or("none", Code::as_str))
            .with(
                "items",
                or_none(list(items, |item| format!("{}:{}/{}", item.sku, item.quantity, item.held))),
            )
            .with("picks", or_none(picks))
            .with("totals", or_none(list(totals, money)))
    }

    fn position(view: &PositionView) -> Self {
        Self::new("")
            .with("on_hand", view.on_hand)
            .with("held", view.held)
            .with("unavailable", view.unavailable)
            .with("available", view.available)
    }

    fn totals(self, totals: &Totals) -> Self {
        [
            ("requested", totals.requested),
            ("allocated", totals.allocated),
            ("picked", totals.picked),
            ("shipped", totals.shipped),
            ("in_transit", totals.in_transit),
            ("received", totals.received),
            ("damaged", totals.damaged),
            ("lost", totals.lost),
            ("closed_short", totals.closed_short),
            ("open", totals.open()),
        ]
        .into_iter()
        .fold(self, |told, (name, quantity)| told.with(name, quantity))
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.word)?;
        let mut gap = if self.word.is_empty() { "" } else { " " };
        for (name, value) in &self.facts {
            write!(f, "{gap}{name}={value}")?;
            gap = " ";
        }
        Ok(())
    }
}

/// A time as the distance from the start: `+60s`, or `+500ms` where seconds are not enough.
pub(super) fn time(at: Timestamp) -> String {
    let (sign, ms) = match at.0.checked_sub(START.0) {
        Some(ms) => ('+', ms),
        None => ('-', START.0 - at.0),
    };
    if ms % 1_000 == 0 { format!("{sign}{}s", ms / 1_000) } else { format!("{sign}{ms}ms") }
}

fn list<T>(items: &[T], show: impl Fn(&T) -> String) -> String {
    items.iter().map(show).collect::<Vec<_>>().join(",")
}

fn or_none(text: String) -> String {
    if text.is_empty() { "none".to_owned() } else { text }
}

/// `A-01:4` for line 1, `2/A-01:4` for others, `A-01#L1:4` for a lot.
fn at(line: &Code, location: &Code, lot: Option<&Code>, quantity: Quantity) -> String {
    let line = if line.as_str() == "1" { String::new() } else { format!("{line}/") };
    let lot = lot.map(|lot| format!("#{lot}")).unwrap_or_default();
    format!("{line}{location}{lot}:{quantity}")
}

fn pick(pick: &PickView) -> String {
    at(&pick.line, &pick.location, pick.lot.as_ref(), pick.quantity)
}

fn held_at(line: &Code, held: &HeldAt) -> String {
    at(line, &held.location, held.lot.as_ref(), held.quantity)
}

/// `line:requested/available`.
fn short(shortage: &Shortage) -> String {
    format!("{}:{}/{}", shortage.line, shortage.requested, shortage.available)
}

/// `O1:12`: what rows call `O1.claim`.
fn fence(claim: &ClaimView) -> String {
    format!("{}:{}", claim.order, claim.fence)
}

/// `O1:+900s`: the order, and when the claim lapses.
fn claimed(claim: &ClaimView) -> String {
    format!("{}:{}", claim.order, time(claim.expires_at))
}

/// `P1:price_changed`.
fn closed(closed: &ClosedProposal) -> String {
    format!("{}:{}", closed.proposal, closed.reason.name())
}

/// `T1:12`: what rows call `T1.claim`.
fn pick_fence(claim: &PickClaimView) -> String {
    format!("{}:{}", claim.work.transfer, claim.fence)
}

/// `T1/A:+900s`: the transfer, the zone, and when the claim lapses.
fn picks_claimed(claim: &PickClaimView) -> String {
    format!("{}/{}:{}", claim.work.transfer, claim.work.zone, time(claim.expires_at))
}

/// `A:2`: the zone, and how many lines have something to pick there; `A:2/ann+900s` if it is claimed.
fn pick_work(work: &PickWork) -> String {
    let claim = work.claim.as_ref().map(|claim| format!("/{}{}", claim.worker, time(claim.expires_at)));
    format!("{}:{}{}", work.zone, work.lines, claim.unwrap_or_default())
}

/// `KRW:5000`.
fn money((currency, amount): &(Currency, Amount)) -> String {
    format!("{currency}:{amount}")
}

/// `hold:H1/1:4`.
fn holding(holding: &Holding) -> String {
    format!("{}:{}/{}:{}", kind(holding.kind), holding.id, holding.line, holding.quantity)
}

fn kind(kind: HolderKind) -> &'static str {
    match kind {
        HolderKind::Hold => "hold",
        HolderKind::Transfer => "transfer",
        HolderKind::Order => "order",
        HolderKind::Cart => "cart",
    }
}

fn in_transit(one: &InTransit) -> String {
    format!("{}/{}:{}:{}-{}", one.transfer, one.line, one.quantity, one.from, one.to)
}

/// `A-01#L1:held`.
fn candidate(candidate: &Candidate) -> String {
    let lot = candidate.position.lot.as_ref().map(|lot| format!("#{lot}")).unwrap_or_default();
    format!("{}{lot}:{}", candidate.position.location, candidate.verdict.name())
}
