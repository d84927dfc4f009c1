//! What can be read, and how it is shown: codes instead of numbers, and everything derived already derived.

mod account;
mod cart;
mod explain;
mod order;
mod trade;

use crate::{
    Amount, Code, Currency, Name, Place, Quantity, Sequence, SiteId, SkuId, Tables, Timestamp,
    limits::HOLDERS_SHOWN_MAX,
    outcome::{holding, lot_code},
    refusal::{Holding, Refusal},
    row::{self, HoldStatus, HolderKind, LocationKind, OrderStatus, ProposalStatus, TransferStatus},
};

pub use account::{AccountView, account};
pub use cart::{CartItemView, CartSummary, CartView, cart, cart_summary};
pub use explain::{ExplainedLine, explain};
pub(crate) use order::summary_of;
pub use order::{OrderLineView, OrderSummary, OrderView, explain_order, order, order_summary};
pub use trade::{
    CardView, PriceTiersView, ProposalView, card, known_card, known_proposal, price_tiers, proposal,
};

/// What to read.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are keys and filters")]
pub enum Query {
    Site(Code),
    Sites(Page),
    Location {
        site: Code,
        location: Code,
    },
    Locations {
        site: Code,
        page: Page,
    },
    Sku(Code),
    Skus(Page),
    Lot {
        sku: Code,
        lot: Code,
    },
    Lots {
        sku: Code,
        page: Page,
    },
    /// Positions, by any of these.
    Stock {
        sku: Option<Code>,
        site: Option<Code>,
        location: Option<Code>,
        lot: Option<Code>,
        /// In the order of the numbers of location, SKU and lot, which are the same after every restart.
        page: Page<Place>,
    },
    /// What every site has of a SKU.
    SkuStock(Code),
    Hold(Code),
    Transfer(Code),
    Transfers {
        status: Option<TransferStatus>,
        from: Option<Code>,
        to: Option<Code>,
        /// Who has claimed something that it has to pick.
        worker: Option<Code>,
        /// When it was requested.
        requested: Period,
        page: Page,
    },
    /// Why lines of a transfer are not allocated: all that lack something, or the one that is named.
    Explain {
        transfer: Code,
        line: Option<Code>,
    },
    /// Where a lot lies and who holds it.
    Trace {
        sku: Code,
        lot: Code,
    },
    Wallet(Code),
    /// All wallets, in the order in which they were opened.
    Wallets(Page),
    Authorization(Code),
    Order(Code),
    /// Orders, by any of these, in the order in which they were placed.
    Orders {
        site: Option<Code>,
        status: Option<OrderStatus>,
        customer: Option<Code>,
        worker: Option<Code>,
        /// Whether all that was ordered is held.
        allocated: Option<bool>,
        /// When they were placed.
        placed: Period,
        page: Page,
    },
    Fence(Code),
    PriceTiers,
    Card(Code),
    /// Cards, of an owner or of all, in the order in which they were made.
    Cards {
        owner: Option<Code>,
        page: Page,
    },
    Proposal(Code),
    /// Proposals, by any of these, in the order in which they were made. A card is either one, and an owner too.
    Proposals {
        card: Option<Code>,
        owner: Option<Code>,
        status: Option<ProposalStatus>,
        page: Page,
    },
    Cart(Code),
    /// Open carts, by any of these, in the order in which they were opened.
    Carts {
        site: Option<Code>,
        owner: Option<Code>,
        page: Page,
    },
    /// The open authorizations of a wallet, in the order of their ids.
    Authorizations {
        owner: Code,
        page: Page<Code>,
    },
    /// The outside accounts of money, by currency.
    Accounts(Page),
    /// Why lines of an order are not allocated: all that lack something, or the one of this number.
    ExplainOrder {
        order: Code,
        line: Option<Code>,
    },
    /// Open holds, by any of these, in the order in which they were placed. The SKU, the lot and the site are those
    /// of one quantity that a hold has: what it held once does not count.
    Holds {
        sku: Option<Code>,
        /// Needs a SKU.
        lot: Option<Code>,
        site: Option<Code>,
        owner: Option<Code>,
        page: Page,
    },
    /// The documents that hold something of a lot, of every kind, in the order in which they were made.
    LotHolders {
        sku: Code,
        lot: Code,
        site: Option<Code>,
        page: Page,
    },
}

/// From a time on and up to another, either of which may be open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Period {
    /// At this time or later.
    pub since: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
}

impl Period {
    /// Whether it has begun at `at`.
    pub fn has_begun(&self, at: Timestamp) -> bool {
        self.since.is_none_or(|since| at >= since)
    }

    /// Whether it is over at `at`.
    pub fn is_over(&self, at: Timestamp) -> bool {
        self.until.is_some_and(|until| at >= until)
    }
}

/// A part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page<C = u64> {
    /// Where the last page ended.
    pub after: Option<C>,
    /// How many items at the most.
    pub limit: usize,
}

/// Some items, and where to go on if there may be more. A filtered page may have fewer items than asked for,
/// none even, while there is more: each page looks at a bounded number of rows.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "said above")]
pub struct Listed<T, C = u64> {
    pub items: Vec<T>,
    pub next: Option<C>,
}

/// Documents that left memory, for a list to show among those that did not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Elsewhere {
    /// Transfers from where the page begins, oldest request first and without a gap; none for a list of orders.
    pub transfers: Vec<(Code, row::Transfer)>,
    /// Orders, in the same way; none for a list of transfers.
    pub orders: Vec<(Code, row::Order)>,
    /// Proposals, in the same way, for a list of those.
    pub proposals: Vec<(Code, row::Proposal)>,
    /// The request up to which all of them are here, where there are more; `None` where there are not.
    pub upto: Option<Sequence>,
}

/// What was read.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "each variant answers the query of its name")]
pub enum View {
    Site(SiteView),
    Sites(Listed<SiteView>),
    Location(LocationView),
    Locations(Listed<LocationView>),
    Sku(SkuView),
    Skus(Listed<SkuView>),
    Lot(LotView),
    Lots(Listed<LotView>),
    Stock(Listed<PositionView, Place>),
    SkuStock(Vec<SiteStockView>),
    Hold(HoldView),
    Transfer(Box<TransferView>),
    Transfers(Listed<TransferSummary>),
    Explain(Vec<ExplainedLine>),
    Trace(TraceView),
    Wallet(WalletView),
    Wallets(Listed<WalletView>),
    Authorization(AuthorizationView),
    Order(Box<OrderView>),
    Orders(Listed<OrderSummary>),
    Fence(FenceView),
    PriceTiers(PriceTiersView),
    Card(CardView),
    Cards(Listed<CardView>),
    Proposal(ProposalView),
    Proposals(Listed<ProposalView>),
    Cart(Box<CartView>),
    Carts(Listed<CartSummary>),
    Authorizations(Listed<AuthorizationView, Code>),
    Accounts(Listed<AccountView>),
    ExplainOrder(Vec<ExplainedLine>),
    Holds(Listed<HoldSummary>),
    LotHolders(Listed<LotHolder>),
}

/// What was read, and what it cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// The answer.
    pub view: View,
    /// What it cost to find and to show it, in lines and picks of a document; a position that was looked at is one.
    pub cost: usize,
}

/// What it costs to look for a page of a list, in lines and picks of a document: it passes over more rows than it shows.
const PAGE_COST: usize = 1_024;

impl View {
    /// What it cost to show this, in lines and picks of a document, but for the positions that were looked at for it.
    pub(crate) fn cost(&self) -> usize {
        match self {
            Self::Hold(hold) => hold.lines.iter().map(|line| 1 + line.picks.len()).sum(),
            Self::Transfer(transfer) => {
                let lines = transfer.lines.iter();
                lines.map(|line| 1 + line.picks.len() + line.staged.len() + line.in_transit.len()).sum()
            }
            Self::Order(order) => order.lines.iter().map(|line| 1 + line.picks.len()).sum(),
            Self::Cart(cart) => cart.items.iter().map(|item| 1 + item.picks.len()).sum(),
            Self::Explain(lines) | Self::ExplainOrder(lines) => {
                lines.iter().map(|line| 1 + line.candidates.len()).sum()
            }
            Self::Trace(trace) => PAGE_COST + trace.positions.len(),
            Self::SkuStock(sites) => sites.len(),
            Self::Site(_)
            | Self::Location(_)
            | Self::Sku(_)
            | Self::Lot(_)
            | Self::Wallet(_)
            | Self::Authorization(_)
            | Self::Fence(_)
            | Self::PriceTiers(_)
            | Self::Card(_)
            | Self::Proposal(_) => 1,
            Self::Sites(_)
            | Self::Locations(_)
            | Self::Skus(_)
            | Self::Lots(_)
            | Self::Stock(_)
            | Self::Transfers(_)
            | Self::Wallets(_)
            | Self::Orders(_)
            | Self::Cards(_)
            | Self::Proposals(_)
            | Self::Carts(_)
            | Self::Authorizations(_)
            | Self::Accounts(_)
            | Self::Holds(_)
            | Self::LotHolders(_) => PAGE_COST,
        }
    }
}

/// A site.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are those of the row")]
pub struct SiteView {
    pub site: Code,
    pub name: Name,
    pub time_zone: String,
    pub strategy: crate::Strategy,
    pub order_allocation: row::OrderAllocation,
}

/// A location.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are those of the row")]
pub struct LocationView {
    pub site: Code,
    pub location: Code,
    pub zone: Name,
    pub pick_order: u32,
    pub kind: LocationKind,
}

/// A SKU.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are those of the row")]
pub struct SkuView {
    pub sku: Code,
    pub name: Name,
    pub tracking: row::Tracking,
    pub safety_stock: Vec<(Code, Quantity)>,
    pub prices: Vec<(Currency, Amount)>,
}

/// A lot.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are those of the row")]
pub struct LotView {
    pub sku: Code,
    pub lot: Code,
    pub received_on: Option<crate::Date>,
    pub expires_on: Option<crate::Date>,
    pub blocked: bool,
    pub inside: Quantity,
}

/// A position: `available` is `on_hand` − `held` − `unavailable`.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "said above and in the row")]
pub struct PositionView {
    pub site: Code,
    pub location: Code,
    pub sku: Code,
    pub lot: Option<Code>,
    pub on_hand: Quantity,
    pub held: Quantity,
    pub unavailable: Quantity,
    pub available: Quantity,
}

/// What a site has of a SKU, summed over its positions.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "as in PositionView")]
pub struct SiteStockView {
    pub site: Code,
    pub on_hand: Quantity,
    pub held: Quantity,
    pub unavailable: Quantity,
    pub available: Quantity,
    pub safety_level: Quantity,
    pub low: bool,
}

/// A quantity at a place that a line holds.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields name the place")]
pub struct HeldAt {
    pub site: Code,
    pub location: Code,
    pub lot: Option<Code>,
    pub quantity: Quantity,
}

/// A hold.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are those of the row")]
pub struct HoldView {
    pub id: Code,
    pub status: HoldStatus,
    pub owner: Option<Code>,
    pub expires_at: Option<Timestamp>,
    pub lines: Vec<HoldLineView>,
}

/// An open hold without its lines.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are those of the row")]
pub struct HoldSummary {
    pub id: Code,
    pub owner: Option<Code>,
    pub expires_at: Option<Timestamp>,
    pub line_count: u32,
    /// How much it holds of the SKU that the list was asked for, and of the lot and at the site.
    pub held: Option<Quantity>,
}

/// A document that holds something of a lot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LotHolder {
    /// Which kind of document.
    pub kind: HolderKind,
    /// Its id.
    pub id: Code,
    /// How much it holds of the lot, at the site where one was named, all its lines together.
    pub held: Quantity,
}

/// A line of a hold, by its number from 1.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are those of the row")]
pub struct HoldLineView {
    pub line: u32,
    pub site: Code,
    pub sku: Code,
    pub quantity: Quantity,
    pub picks: Vec<HeldAt>,
}

/// A transfer without its lines.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are those of the row")]
pub struct TransferSummary {
    pub id: Code,
    pub from: Code,
    pub to: Code,
    pub status: TransferStatus,
    pub priority: u32,
    pub requested_at: Timestamp,
    pub line_count: u32,
    pub totals: row::Totals,
}

/// A transfer.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "said above")]
pub struct TransferView {
    pub summary: TransferSummary,
    pub lines: Vec<TransferLineView>,
    /// What is to be picked, zone by zone, and who does.
    pub picking: Vec<crate::PickWork>,
}

/// A line of a transfer.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are those of the row")]
pub struct TransferLineView {
    pub line: Code,
    pub sku: Code,
    pub lot: Option<Code>,
    pub totals: row::Totals,
    pub picks: Vec<HeldAt>,
    pub staged: Vec<HeldAt>,
    /// Between the sites, by lot.
    pub in_transit: Vec<(Option<Code>, Quantity)>,
}

/// A position that a line could take from, or why it could not.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields say it")]
pub struct Candidate {
    pub position: PositionView,
    pub verdict: Verdict,
    /// The first holders, in order of their text.
    pub holders: Vec<Holding>,
    pub holder_count: usize,
}

/// Why a position was passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was not: there is something available here.
    Available,
    /// All of it is held.
    Held,
    /// All that nobody holds is missing until counted.
    Missing,
    /// Goods here were only just received.
    Receiving,
    /// Goods here are damaged.
    Quarantine,
    /// Goods here are on their way out.
    Staging,
    /// The lot is recalled.
    LotBlocked,
    /// The lot's last day is over.
    LotExpired,
    /// The line asks for another lot.
    OtherLot,
}

impl Verdict {
    /// The name in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Held => "held",
            Self::Missing => "missing",
            Self::Receiving => "receiving",
            Self::Quarantine => "quarantine",
            Self::Staging => "staging",
            Self::LotBlocked => "lot_blocked",
            Self::LotExpired => "lot_expired",
            Self::OtherLot => "other_lot",
        }
    }
}

/// Where a lot is.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields say it")]
pub struct TraceView {
    pub lot: LotView,
    pub positions: Vec<Candidate>,
    /// What of it is on the way between sites, oldest request first: at most
    /// [`TRANSIT_SHOWN_MAX`](crate::limits::TRANSIT_SHOWN_MAX) lines.
    pub in_transit: Vec<InTransit>,
    /// All of it that is on the way.
    pub in_transit_total: Quantity,
}

/// What a line of a transfer has on the way between its sites.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are those of the row")]
pub struct InTransit {
    pub transfer: Code,
    pub line: Code,
    pub quantity: Quantity,
    pub from: Code,
    pub to: Code,
}

/// A wallet.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are those of the row")]
pub struct WalletView {
    pub owner: Code,
    pub balances: Vec<row::Balance>,
    /// The ids of its open authorizations, at most
    /// [`AUTHORIZATIONS_SHOWN_MAX`](crate::limits::AUTHORIZATIONS_SHOWN_MAX); none of them in a list.
    pub authorizations: Vec<Code>,
}

/// An authorization.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are those of the row")]
pub struct AuthorizationView {
    pub id: Code,
    pub status: row::AuthorizationStatus,
    pub row: row::Authorization,
}

/// The highest fence that was seen for a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are those of the row")]
pub struct FenceView {
    pub resource: Code,
    pub row: row::Fence,
}

/// A site as it is shown.
pub fn site(tables: &impl Tables, row: &row::Site) -> SiteView {
    let id = tables.site_id(&row.code).expect("a site is found by its code");
    SiteView {
        order_allocation: tables.order_setting(id).map_or_else(Default::default, |set| set.allocation),
        site: row.code.clone(),
        name: row.name.clone(),
        time_zone: row.time_zone.name().to_owned(),
        strategy: row.strategy,
    }
}

/// A location as it is shown.
pub fn location(tables: &impl Tables, row: &row::Location) -> LocationView {
    LocationView {
        site: tables.site(row.site).code.clone(),
        location: row.code.clone(),
        zone: row.zone.clone(),
        pick_order: row.pick_order,
        kind: row.kind,
    }
}

/// A SKU as it is shown.
pub fn sku(tables: &impl Tables, row: &row::Sku) -> SkuView {
    let id = tables.sku_id(&row.code).expect("a SKU is found by its code");
    SkuView {
        prices: tables.prices(id).to_vec(),
        sku: row.code.clone(),
        name: row.name.clone(),
        tracking: row.tracking,
        safety_stock: row
            .safety_stock
            .iter()
            .map(|(site, level)| (tables.site(*site).code.clone(), *level))
            .collect(),
    }
}

/// A lot as it is shown.
pub fn lot(tables: &impl Tables, row: &row::Lot) -> LotView {
    LotView {
        sku: tables.sku(row.sku).code.clone(),
        lot: row.code.clone(),
        received_on: row.received_on,
        expires_on: row.expires_on,
        blocked: row.blocked,
        inside: row.inside,
    }
}

/// A position as it is shown at `now`.
pub fn position(tables: &impl Tables, place: Place, row: &row::Position, now: Timestamp) -> PositionView {
    let location = tables.location(place.location);
    let available = available(tables, place, row, now);
    PositionView {
        site: tables.site(location.site).code.clone(),
        location: location.code.clone(),
        sku: tables.sku(place.sku).code.clone(),
        lot: lot_code(tables, place.lot),
        on_hand: row.on_hand,
        held: row.held,
        unavailable: row.unheld() - available,
        available,
    }
}

/// What a strategy may take from a position at `now`: nothing, where [`verdict`] knows a reason.
pub fn available(tables: &impl Tables, place: Place, row: &row::Position, now: Timestamp) -> Quantity {
    let movable = row.movable();
    // Most of what is looked at in vain is held: that is told without a look at its lot.
    if movable.is_zero() || standing_in_the_way(tables, place, now).is_some() {
        return Quantity::ZERO;
    }
    movable
}

/// Why a strategy passes a position over, or that it does not.
pub fn verdict(tables: &impl Tables, place: Place, row: &row::Position, now: Timestamp) -> Verdict {
    if let Some(reason) = standing_in_the_way(tables, place, now) {
        return reason;
    }
    if !row.movable().is_zero() {
        return Verdict::Available;
    }
    if !row.missing.is_zero() { Verdict::Missing } else { Verdict::Held }
}

/// What makes all unheld stock of a place unavailable, whatever its quantity.
fn standing_in_the_way(tables: &impl Tables, place: Place, now: Timestamp) -> Option<Verdict> {
    let location = tables.location(place.location);
    match location.kind {
        LocationKind::Storage => {}
        LocationKind::Receiving => return Some(Verdict::Receiving),
        LocationKind::Quarantine => return Some(Verdict::Quarantine),
        LocationKind::Staging => return Some(Verdict::Staging),
    }
    if place.lot == crate::LotId::NONE {
        return None;
    }
    if tables.lot(place.lot).blocked {
        return Some(Verdict::LotBlocked);
    }
    expired(tables, place, now).map(|_| Verdict::LotExpired)
}

/// The last day of a lot, if it is over at `now`: it ends at midnight where the lot lies.
pub(crate) fn expired(tables: &impl Tables, place: Place, now: Timestamp) -> Option<crate::Date> {
    if place.lot == crate::LotId::NONE {
        return None;
    }
    let last = tables.lot(place.lot).expires_on?;
    let site = tables.location(place.location).site;
    (last < tables.site(site).time_zone.day(now)).then_some(last)
}

/// What a site has of a SKU at `now`.
pub fn site_stock(tables: &impl Tables, site: SiteId, sku: SkuId, now: Timestamp) -> SiteStockView {
    let gate = tables.gate(site, sku).unwrap_or_default();
    let mut view = SiteStockView {
        site: tables.site(site).code.clone(),
        on_hand: Quantity::ZERO,
        held: Quantity::ZERO,
        unavailable: Quantity::ZERO,
        available: Quantity::ZERO,
        safety_level: gate.safety_level,
        low: false,
    };
    for (place, row) in tables.positions(site, sku) {
        let available = available(tables, place, &row, now);
        view.on_hand += row.on_hand;
        view.held += row.held;
        view.available += available;
        view.unavailable += row.unheld() - available;
    }
    // Not what was told last: a lot whose last day is over is told with the next change of its stock.
    view.low = view.available < view.safety_level;
    view
}

/// A hold as it is shown. Refuses with `hold_not_found`.
pub fn hold(tables: &impl Tables, id: &Code) -> Result<HoldView, Refusal> {
    let Some(hold) = tables.hold(id) else { return Err(Refusal::HoldNotFound { hold: id.clone() }) };
    let lines = hold.lines.iter().zip(1..).map(|(line, number)| HoldLineView {
        line: number,
        site: tables.site(line.site).code.clone(),
        sku: tables.sku(line.sku).code.clone(),
        quantity: line.quantity,
        picks: line
            .picks
            .iter()
            .map(|pick| held_at(tables, pick.location, pick.lot, pick.quantity))
            .collect(),
    });
    Ok(HoldView {
        id: id.clone(),
        status: hold.status,
        owner: hold.owner.clone(),
        expires_at: hold.expires_at,
        lines: lines.collect(),
    })
}

/// A resource's fence as it is shown. Refuses with `fence_not_found`.
pub fn fence(tables: &impl Tables, resource: &Code) -> Result<FenceView, Refusal> {
    let Some(row) = tables.fence(resource) else {
        return Err(Refusal::FenceNotFound { resource: resource.clone() });
    };
    Ok(FenceView { resource: resource.clone(), row })
}

/// A wallet as it is shown.
pub fn wallet(owner: &Code, row: &row::Wallet, authorizations: Vec<Code>) -> WalletView {
    WalletView { owner: owner.clone(), balances: row.balances.to_vec(), authorizations }
}

/// An authorization as it is shown. Refuses with `authorization_not_found`.
pub fn authorization(tables: &impl Tables, id: &Code) -> Result<AuthorizationView, Refusal> {
    let Some(row) = tables.authorization(id) else {
        return Err(Refusal::AuthorizationNotFound { authorization: id.clone() });
    };
    Ok(AuthorizationView { id: id.clone(), status: row.status(), row })
}

/// A transfer without its lines, as it is shown.
pub fn transfer_summary(tables: &impl Tables, id: &Code, row: &row::Transfer) -> TransferSummary {
    TransferSummary {
        id: id.clone(),
        from: tables.site(row.from).code.clone(),
        to: tables.site(row.to).code.clone(),
        status: row.status(),
        priority: row.priority,
        requested_at: row.requested_at,
        line_count: row.lines,
        totals: row.totals,
    }
}

/// A transfer as it is shown. Refuses with `transfer_not_found`.
pub fn transfer(tables: &impl Tables, id: &Code) -> Result<TransferView, Refusal> {
    let Some(row) = tables.transfer(id) else {
        return Err(Refusal::TransferNotFound { transfer: id.clone() });
    };
    let lines = (0..row.lines).map(|index| {
        let line = tables.line(id, index);
        TransferLineView {
            line: line.name.clone(),
            sku: tables.sku(line.sku).code.clone(),
            lot: line.lot.and_then(|lot| lot_code(tables, lot)),
            totals: line.totals,
            picks: line
                .picks
                .iter()
                .map(|pick| held_at(tables, pick.location, pick.lot, pick.quantity))
                .collect(),
            staged: line
                .staged
                .iter()
                .map(|staged| held_at(tables, staged.staging, staged.lot, staged.quantity))
                .collect(),
            in_transit: line
                .transit
                .iter()
                .map(|(lot, quantity)| (lot_code(tables, *lot), *quantity))
                .collect(),
        }
    });
    let lines = lines.collect();
    let (summary, picking) = (transfer_summary(tables, id, &row), tables.pick_works(id));
    Ok(TransferView { summary, lines, picking })
}

/// A position with its holders, and why a strategy would pass it over at `now`.
pub fn candidate(tables: &impl Tables, place: Place, row: &row::Position, now: Timestamp) -> Candidate {
    let (holders, holder_count) = tables.first_holders(place, HOLDERS_SHOWN_MAX);
    Candidate {
        position: position(tables, place, row, now),
        verdict: verdict(tables, place, row, now),
        holder_count,
        holders: holders.iter().map(|(holder, quantity)| holding(tables, holder, *quantity)).collect(),
    }
}

fn held_at(
    tables: &impl Tables,
    location: crate::LocationId,
    lot: crate::LotId,
    quantity: Quantity,
) -> HeldAt {
    let row = tables.location(location);
    HeldAt {
        site: tables.site(row.site).code.clone(),
        location: row.code.clone(),
        lot: lot_code(tables, lot),
        quantity,
    }
}
