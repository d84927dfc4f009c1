//! The table of reads, and how their URLs become queries.

use std::collections::BTreeMap;

use jaego_domain::{
    Code, Currency, EVENT_KINDS, MovementId, Place, Query, Refusal, Sequence, Timestamp,
    query::{Page, Period},
    row::{OrderStatus, ProposalStatus, TransferStatus},
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::{
    cart::{Cart, CartSummary},
    event::Event,
    fence::Fence,
    hold::{Hold, HoldSummary},
    limits::{PAGE_DEFAULT, PAGE_MAX, QUERY_BYTES_MAX},
    list::{self, List},
    location::Location,
    lot::{Lot, LotHolder, Trace},
    movement::Movement,
    order::{Order, OrderSummary},
    problem::Problem,
    site::Site,
    sku::Sku,
    status::Status,
    stock::{BalancePoint, SiteStock, StockList},
    table::{Role, path_parameters},
    time::Time,
    trade::{Card, PriceTiers, Proposal},
    transfer::{ExplainedLine, Transfer, TransferSummary},
    value::{Choice, Text, identifier},
    wallet::{Account, Authorization, StatementLine, Wallet},
};

/// A read, as callers reach it: always a `GET`.
#[derive(Clone, Copy)]
pub struct ReadRow {
    /// Its name.
    pub name: &'static str,
    /// Its route.
    pub path: &'static str,
    /// The least role that may read it.
    pub role: Role,
    /// What its URL's query may have.
    pub parameters: &'static [Parameter],
    /// What it answers, in a few words.
    pub summary: &'static str,
    /// The shape of its answer.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
    read: fn(&Values) -> Result<Read, Refusal>,
}

impl ReadRow {
    /// The names of the parameters in its path.
    pub fn path_parameters(&self) -> impl Iterator<Item = &'static str> {
        path_parameters(self.path)
    }
}

/// A parameter of a URL's query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What it must look like.
    pub form: Form,
    /// What it does.
    pub summary: &'static str,
}

/// What a parameter must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// An identifier.
    Code,
    /// A cursor that an answer gave.
    Cursor,
    /// An instant of RFC 3339.
    Time,
    /// From 1 to [`PAGE_MAX`].
    Limit,
    /// A transfer's status.
    Status,
    /// An order's status.
    OrderStatus,
    /// The kinds of events, with commas between them.
    Kinds,
    /// Three capital letters.
    Currency,
    /// A proposal's status.
    ProposalStatus,
    /// `true` or `false`.
    Flag,
}

impl Form {
    /// Its JSON schema.
    pub fn schema(self, generator: &mut SchemaGenerator) -> Schema {
        match self {
            Self::Code => Text::json_schema(generator),
            Self::Cursor | Self::Kinds => json_schema!({ "type": "string" }),
            Self::Time => Time::json_schema(generator),
            Self::Limit => {
                json_schema!({ "type": "integer", "minimum": 1, "maximum": PAGE_MAX, "default": PAGE_DEFAULT })
            }
            Self::Currency => json_schema!({ "type": "string", "pattern": "^[A-Z]{3}$" }),
            Self::Status => Choice::<TransferStatus>::json_schema(generator),
            Self::OrderStatus => Choice::<OrderStatus>::json_schema(generator),
            Self::ProposalStatus => Choice::<ProposalStatus>::json_schema(generator),
            Self::Flag => bool::json_schema(generator),
        }
    }
}

/// What to read.
#[derive(Clone, Debug, PartialEq)]
pub enum Read {
    /// The present.
    Query(Query),
    /// The feed of events.
    Events(EventFilter),
    /// The ledger.
    Movements(MovementFilter),
    /// Stock as it was.
    StockAsOf(StockAsOf),
    /// A balance over time.
    Balances(BalanceFilter),
    /// What money went into a wallet and out of it.
    Statement(StatementFilter),
    /// How the store is doing.
    Status,
}

/// Which events to read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventFilter {
    /// After this one.
    pub after: Sequence,
    /// Only of these kinds; all if empty.
    pub kinds: Vec<String>,
    /// How many at the most.
    pub limit: usize,
}

/// Which movements to read. Every condition that is named must hold.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are those of the table of reads")]
pub struct MovementFilter {
    pub sku: Option<Code>,
    pub lot: Option<Code>,
    pub site: Option<Code>,
    pub document: Option<Code>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    pub after: Option<MovementId>,
    pub limit: usize,
}

/// Which positions to read as they were. Every condition that is named must hold.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are those of the table of reads")]
pub struct StockAsOf {
    pub sku: Option<Code>,
    pub site: Option<Code>,
    pub location: Option<Code>,
    pub lot: Option<Code>,
    pub as_of: Timestamp,
    pub after: Option<Place>,
    pub limit: usize,
}

/// Which balance to read.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are those of the table of reads")]
pub struct BalanceFilter {
    pub sku: Code,
    pub site: Option<Code>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    pub after: Option<Sequence>,
    pub limit: usize,
}

/// Which part of a wallet's statement to read.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are those of the table of reads")]
pub struct StatementFilter {
    pub owner: Code,
    pub currency: Option<Currency>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    pub after: Option<Sequence>,
    pub limit: usize,
}

const fn parameter(name: &'static str, form: Form, summary: &'static str) -> Parameter {
    Parameter { name, form, summary }
}

const AFTER: Parameter = parameter("after", Form::Cursor, "The `next` of the page before");
const LIMIT: Parameter = parameter("limit", Form::Limit, "How many items at the most");
const SKU: Parameter = parameter("sku", Form::Code, "Of this SKU");
const LOT: Parameter = parameter("lot", Form::Code, "Of this lot; needs a SKU");
const SITE: Parameter = parameter("site", Form::Code, "At this site");
const SINCE: Parameter = parameter("since", Form::Time, "At this time or later");
const UNTIL: Parameter = parameter("until", Form::Time, "Before this time");

macro_rules! reads {
    ($($name:literal $path:literal $answer:ty [$($parameter:expr),*] $read:expr, $summary:literal)*) => {
        /// Every read.
        pub const READS: &[ReadRow] = &[$(ReadRow {
            name: $name,
            path: $path,
            role: Role::Reader,
            parameters: &[$($parameter),*],
            summary: $summary,
            schema: |generator| generator.subschema_for::<$answer>(),
            read: $read,
        },)*];
    };
}

reads! {
    "sites" "/v1/sites" List<Site> [AFTER, LIMIT]
        |values| Ok(Read::Query(Query::Sites(values.page()?))), "List the sites"
    "site" "/v1/sites/{site}" Site []
        |values| Ok(Read::Query(Query::Site(values.code("site")?))), "Show a site"
    "locations" "/v1/sites/{site}/locations" List<Location> [AFTER, LIMIT]
        |values| Ok(Read::Query(Query::Locations { site: values.code("site")?, page: values.page()? })), "List the locations of a site"
    "location" "/v1/sites/{site}/locations/{location}" Location []
        |values| Ok(Read::Query(Query::Location { site: values.code("site")?, location: values.code("location")? })), "Show a location"
    "skus" "/v1/skus" List<Sku> [AFTER, LIMIT]
        |values| Ok(Read::Query(Query::Skus(values.page()?))), "List the SKUs"
    "sku" "/v1/skus/{sku}" Sku []
        |values| Ok(Read::Query(Query::Sku(values.code("sku")?))), "Show a SKU"
    "sku_stock" "/v1/skus/{sku}/stock" List<SiteStock> []
        |values| Ok(Read::Query(Query::SkuStock(values.code("sku")?))), "Show what every site has of a SKU"
    "sku_history" "/v1/skus/{sku}/history" List<BalancePoint> [
            parameter("site", Form::Code, "At this site; without it, at all sites together"), SINCE, UNTIL, AFTER, LIMIT]
        Values::balances, "Show how the balance of a SKU came to be what it is, oldest first"
    "lots" "/v1/skus/{sku}/lots" List<Lot> [AFTER, LIMIT]
        |values| Ok(Read::Query(Query::Lots { sku: values.code("sku")?, page: values.page()? })), "List the lots of a SKU"
    "lot" "/v1/skus/{sku}/lots/{lot}" Lot []
        |values| Ok(Read::Query(Query::Lot { sku: values.code("sku")?, lot: values.code("lot")? })), "Show a lot"
    "trace" "/v1/skus/{sku}/lots/{lot}/trace" Trace []
        |values| Ok(Read::Query(Query::Trace { sku: values.code("sku")?, lot: values.code("lot")? })), "Show where a lot lies and who holds it"
    "lot_holders" "/v1/skus/{sku}/lots/{lot}/holders" List<LotHolder> [SITE, AFTER, LIMIT]
        Values::lot_holders, "List the holds, carts, transfers and orders that hold something of a lot, as they were made, oldest first"
    "stock" "/v1/stock" StockList [SKU, SITE, parameter("location", Form::Code, "At this location; needs a site"),
            LOT, parameter("as_of", Form::Time, "As it was after all that happened up to this time, which must be over"), AFTER, LIMIT]
        Values::stock, "List positions, as they are or as they were"
    "hold" "/v1/holds/{hold}" Hold []
        |values| Ok(Read::Query(Query::Hold(values.code("hold")?))), "Show a hold"
    "transfers" "/v1/transfers" List<TransferSummary> [
            parameter("status", Form::Status, "In this status"), parameter("from", Form::Code, "From this site"),
            parameter("to", Form::Code, "To this site"),
            parameter("worker", Form::Code, "Of which this worker has claimed picks"),
            parameter("since", Form::Time, "Requested at this time or later"),
            parameter("until", Form::Time, "Requested before this time"), AFTER, LIMIT]
        Values::transfers, "List transfers"
    "transfer" "/v1/transfers/{transfer}" Transfer []
        |values| Ok(Read::Query(Query::Transfer(values.code("transfer")?))), "Show a transfer with its lines"
    "explain" "/v1/transfers/{transfer}/explain" List<ExplainedLine> [parameter("line", Form::Code, "Only this line")]
        |values| Ok(Read::Query(Query::Explain { transfer: values.code("transfer")?, line: values.code_if_any("line")? })),
        "Explain why lines of a transfer are not allocated"
    "movements" "/v1/movements" List<Movement> [SKU, LOT, parameter("site", Form::Code, "From or to this site"),
            parameter("document", Form::Code, "Of the document of this id"),
            SINCE, UNTIL, AFTER, LIMIT]
        Values::movements, "List the movements of the ledger, oldest first"
    "wallets" "/v1/wallets" List<Wallet> [AFTER, LIMIT]
        |values| Ok(Read::Query(Query::Wallets(values.page()?))), "List the wallets, in the order in which they were opened"
    "wallet" "/v1/wallets/{owner}" Wallet []
        |values| Ok(Read::Query(Query::Wallet(values.code("owner")?))), "Show what somebody has"
    "statement" "/v1/wallets/{owner}/statement" List<StatementLine> [
            parameter("currency", Form::Currency, "Only in this currency"), SINCE, UNTIL, AFTER, LIMIT]
        Values::statement, "Show what money went into a wallet and out of it, oldest first, each line with the balance from then on"
    "authorization" "/v1/authorizations/{authorization}" Authorization []
        |values| Ok(Read::Query(Query::Authorization(values.code("authorization")?))), "Show an authorization"
    "events" "/v1/events" List<Event> [
            parameter("after", Form::Cursor, "The `next` of the page before, or the sequence of the last event seen"),
            parameter("kind", Form::Kinds, "Only of these kinds, with commas between them"), LIMIT]
        Values::events, "Read the feed of events: a page, or with `Accept: text/event-stream` for as long as you like"
    "orders" "/v1/orders" List<OrderSummary> [SITE,
            parameter("status", Form::OrderStatus, "In this status"),
            parameter("customer", Form::Code, "Of this customer"),
            parameter("worker", Form::Code, "Claimed or completed by this worker"),
            parameter("allocated", Form::Flag, "Whether all that was ordered is held, which is never so once it ended"),
            parameter("since", Form::Time, "Placed at this time or later"),
            parameter("until", Form::Time, "Placed before this time"), AFTER, LIMIT]
        Values::orders, "List orders as they were placed, oldest first"
    "fence" "/v1/fences/{resource}" Fence []
        |values| Ok(Read::Query(Query::Fence(values.code("resource")?))), "Show the highest fence that was seen for a resource"
    "order" "/v1/orders/{order}" Order []
        |values| Ok(Read::Query(Query::Order(values.code("order")?))), "Show an order with its lines"
    "carts" "/v1/carts" List<CartSummary> [SITE, parameter("owner", Form::Code, "Of this owner"), AFTER, LIMIT]
        |values| Ok(Read::Query(Query::Carts {
            site: values.code_if_any("site")?, owner: values.code_if_any("owner")?, page: values.page()?
        })), "List open carts as they were opened, oldest first"
    "cart" "/v1/carts/{cart}" Cart []
        |values| Ok(Read::Query(Query::Cart(values.code("cart")?))), "Show a cart with its items"
    "status" "/v1/status" Status []
        |_| Ok(Read::Status), "Show how the store is doing"
    "price_tiers" "/v1/price-tiers" PriceTiers []
        |_| Ok(Read::Query(Query::PriceTiers)), "Show where the tiers of prices begin"
    "cards" "/v1/cards" List<Card> [parameter("owner", Form::Code, "Of this owner"), AFTER, LIMIT]
        |values| Ok(Read::Query(Query::Cards { owner: values.code_if_any("owner")?, page: values.page()? })),
        "List cards as they were made, oldest first"
    "card" "/v1/cards/{card}" Card []
        |values| Ok(Read::Query(Query::Card(values.code("card")?))), "Show a card"
    "proposals" "/v1/proposals" List<Proposal> [
            parameter("card", Form::Code, "That give or want this card"),
            parameter("owner", Form::Code, "By or to this owner"),
            parameter("status", Form::ProposalStatus, "In this status"), AFTER, LIMIT]
        Values::proposals, "List proposals as they were made, oldest first"
    "proposal" "/v1/proposals/{proposal}" Proposal []
        |values| Ok(Read::Query(Query::Proposal(values.code("proposal")?))), "Show a proposal"
    "explain_order" "/v1/orders/{order}/explain" List<ExplainedLine> [parameter("line", Form::Code, "Only the line of this number")]
        |values| Ok(Read::Query(Query::ExplainOrder { order: values.code("order")?, line: values.code_if_any("line")? })),
        "Explain why lines of an order are not allocated"
    "authorizations" "/v1/wallets/{owner}/authorizations" List<Authorization> [AFTER, LIMIT]
        |values| Ok(Read::Query(Query::Authorizations {
            owner: values.code("owner")?,
            page: Page { after: values.code_if_any("after")?, limit: values.limit()? },
        })), "List the open authorizations of a wallet, in the order of their ids"
    "accounts" "/v1/accounts" List<Account> [AFTER, LIMIT]
        |values| Ok(Read::Query(Query::Accounts(values.page()?))), "List what the outside accounts of money have, by currency"
    "holds" "/v1/holds" List<HoldSummary> [SKU, LOT, SITE,
            parameter("owner", Form::Code, "For this owner"), AFTER, LIMIT]
        Values::holds, "List open holds as they were placed, oldest first, by what they hold"
}

/// Reads what a `GET` asks for.
///
/// `path` has the names and values of the path's parameters, decoded; `query` what stands behind the `?`.
///
/// # Errors
/// `malformed` (400) for a parameter that there is not, or that is there twice; `invalid_value` (422) for a value.
pub fn read_query(
    row: &'static ReadRow,
    path: &[(&str, &str)],
    query: Option<&str>,
) -> Result<Read, Box<Problem>> {
    let query = query.unwrap_or_default();
    if query.len() > QUERY_BYTES_MAX {
        return Err(Problem::too_large("bytes in the URL's query", query.len(), QUERY_BYTES_MAX).into());
    }
    let mut values =
        Values(path.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect());
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let Some(parameter) = row.parameters.iter().find(|parameter| parameter.name == name) else {
            let known: Vec<_> = row.parameters.iter().map(|parameter| parameter.name).collect();
            let detail = format!("there is no parameter {name:?} here, only {known:?}");
            return Err(Problem::new("malformed", detail).with("field", &*name).into());
        };
        if values.0.insert(parameter.name.to_owned(), value.into_owned()).is_some() {
            let detail = format!("the parameter {name} is there twice");
            return Err(Problem::new("malformed", detail).with("field", &*name).into());
        }
    }
    Ok((row.read)(&values)?)
}

/// The parameters of a path and a query, by name.
struct Values(BTreeMap<String, String>);

impl Values {
    fn get(&self, name: &'static str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn code(&self, name: &'static str) -> Result<Code, Refusal> {
        identifier(name, self.get(name).unwrap_or_default())
    }

    fn code_if_any(&self, name: &'static str) -> Result<Option<Code>, Refusal> {
        self.get(name).map(|text| identifier(name, text)).transpose()
    }

    fn time_if_any(&self, name: &'static str) -> Result<Option<Timestamp>, Refusal> {
        self.get(name).map(|text| Time::parse(name, text).map(Timestamp::from)).transpose()
    }

    fn period(&self) -> Result<Period, Refusal> {
        Ok(Period { since: self.time_if_any("since")?, until: self.time_if_any("until")? })
    }

    fn flag_if_any(&self, name: &'static str) -> Result<Option<bool>, Refusal> {
        let flag = |text| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(Refusal::invalid(name, "is neither true nor false")),
        };
        self.get(name).map(flag).transpose()
    }

    fn limit(&self) -> Result<usize, Refusal> {
        let Some(text) = self.get("limit") else { return Ok(PAGE_DEFAULT) };
        let limit = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        limit
            .filter(|limit| (1..=PAGE_MAX).contains(limit))
            .ok_or_else(|| Refusal::invalid("limit", format!("is not from 1 to {PAGE_MAX}")))
    }

    fn page(&self) -> Result<Page, Refusal> {
        Ok(Page { after: self.get("after").map(list::place).transpose()?, limit: self.limit()? })
    }

    fn stock(&self) -> Result<Read, Refusal> {
        if let Some(as_of) = self.time_if_any("as_of")? {
            return Ok(Read::StockAsOf(StockAsOf {
                sku: self.code_if_any("sku")?,
                site: self.code_if_any("site")?,
                location: self.code_if_any("location")?,
                lot: self.code_if_any("lot")?,
                as_of,
                after: self.get("after").map(list::position).transpose()?,
                limit: self.limit()?,
            }));
        }
        Ok(Read::Query(Query::Stock {
            sku: self.code_if_any("sku")?,
            site: self.code_if_any("site")?,
            location: self.code_if_any("location")?,
            lot: self.code_if_any("lot")?,
            page: Page { after: self.get("after").map(list::position).transpose()?, limit: self.limit()? },
        }))
    }

    fn transfers(&self) -> Result<Read, Refusal> {
        let status = self.get("status").map(|name| Choice::<TransferStatus>::parse(name).get("status"));
        Ok(Read::Query(Query::Transfers {
            status: status.transpose()?,
            from: self.code_if_any("from")?,
            to: self.code_if_any("to")?,
            worker: self.code_if_any("worker")?,
            requested: self.period()?,
            page: self.page()?,
        }))
    }

    fn holds(&self) -> Result<Read, Refusal> {
        Ok(Read::Query(Query::Holds {
            sku: self.code_if_any("sku")?,
            lot: self.code_if_any("lot")?,
            site: self.code_if_any("site")?,
            owner: self.code_if_any("owner")?,
            page: self.page()?,
        }))
    }

    fn lot_holders(&self) -> Result<Read, Refusal> {
        Ok(Read::Query(Query::LotHolders {
            sku: self.code("sku")?,
            lot: self.code("lot")?,
            site: self.code_if_any("site")?,
            page: self.page()?,
        }))
    }

    fn orders(&self) -> Result<Read, Refusal> {
        let status = self.get("status").map(|name| Choice::<OrderStatus>::parse(name).get("status"));
        Ok(Read::Query(Query::Orders {
            site: self.code_if_any("site")?,
            status: status.transpose()?,
            customer: self.code_if_any("customer")?,
            worker: self.code_if_any("worker")?,
            allocated: self.flag_if_any("allocated")?,
            placed: self.period()?,
            page: self.page()?,
        }))
    }

    fn proposals(&self) -> Result<Read, Refusal> {
        let status = self.get("status").map(|name| Choice::<ProposalStatus>::parse(name).get("status"));
        Ok(Read::Query(Query::Proposals {
            card: self.code_if_any("card")?,
            owner: self.code_if_any("owner")?,
            status: status.transpose()?,
            page: self.page()?,
        }))
    }

    fn balances(&self) -> Result<Read, Refusal> {
        Ok(Read::Balances(BalanceFilter {
            sku: self.code("sku")?,
            site: self.code_if_any("site")?,
            since: self.time_if_any("since")?,
            until: self.time_if_any("until")?,
            after: self.get("after").map(event_cursor).transpose()?,
            limit: self.limit()?,
        }))
    }

    fn statement(&self) -> Result<Read, Refusal> {
        Ok(Read::Statement(StatementFilter {
            owner: self.code("owner")?,
            currency: self.get("currency").map(|text| Currency::new("currency", text)).transpose()?,
            since: self.time_if_any("since")?,
            until: self.time_if_any("until")?,
            after: self.get("after").map(event_cursor).transpose()?,
            limit: self.limit()?,
        }))
    }

    fn movements(&self) -> Result<Read, Refusal> {
        if self.get("lot").is_some() && self.get("sku").is_none() {
            return Err(Refusal::invalid("lot", "needs a sku"));
        }
        Ok(Read::Movements(MovementFilter {
            sku: self.code_if_any("sku")?,
            lot: self.code_if_any("lot")?,
            site: self.code_if_any("site")?,
            document: self.code_if_any("document")?,
            since: self.time_if_any("since")?,
            until: self.time_if_any("until")?,
            after: self.get("after").map(|text| MovementId::parse("after", text)).transpose()?,
            limit: self.limit()?,
        }))
    }

    fn events(&self) -> Result<Read, Refusal> {
        let after = self.get("after").unwrap_or("0");
        let kinds = self.get("kind").unwrap_or_default().split(',').filter(|kind| !kind.is_empty());
        Ok(Read::Events(EventFilter {
            after: event_cursor(after)?,
            kinds: kinds.map(event_kind).collect::<Result<_, _>>()?,
            limit: self.limit()?,
        }))
    }
}

/// Reads a kind of event. One that does not exist would never be seen, which looks like nothing happening.
/// Refuses with `invalid_value`.
pub fn event_kind(text: &str) -> Result<String, Refusal> {
    if EVENT_KINDS.contains(&text) {
        return Ok(text.to_owned());
    }
    let shown: String = text.chars().take(64).collect();
    let known = EVENT_KINDS.join(", ");
    Err(Refusal::invalid("kind", format!("{shown:?} is no kind of event; the kinds are {known}")))
}

/// Reads the cursor of the feed: the sequence of the last event seen. It is also what `Last-Event-ID` carries.
/// Refuses with `invalid_value`.
pub fn event_cursor(text: &str) -> Result<Sequence, Refusal> {
    let sequence = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    sequence.map(Sequence).ok_or_else(|| Refusal::invalid("after", "is not the sequence of an event"))
}
