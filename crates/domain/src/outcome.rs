//! What the caller gets for an accepted command: a function of the event alone.
//!
//! The tables here only give numbers their names, which never change; so the outcome of an event read back
//! from the journal years later is the one that was first given.

use smallvec::SmallVec;

use crate::{
    Code, Event, Fact, LocationId, LotId, Name, PickWorkId, Quantity, Sequence, SiteId, SkuId, Tables,
    Timestamp,
    command::numbered,
    event::{ClosedProposal, Short, Take},
    refusal::{Holding, Shortage},
    row::{Holder, HolderKind, ProposalKind},
};

/// The answer to an accepted command.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The event's number.
    pub sequence: Sequence,
    /// Its time.
    pub at: Timestamp,
    /// What it is about, if that has a name.
    pub id: Option<Code>,
    /// What was allocated by it.
    pub picks: SmallVec<[PickView; 1]>,
    /// What was short, where a part was good enough.
    pub shortages: Vec<Shortage>,
    /// Until when a hold stands, or what a cart holds.
    pub expires_at: Option<Timestamp>,
    /// Whose holds were cut or moved by it.
    pub holders: Vec<Holding>,
    /// The wallet's balance after it, in the currency that it was about, where it moved money.
    pub balance: Option<i64>,
    /// The claims on orders that a worker got or extended by it.
    pub claims: Vec<ClaimView>,
    /// What it made or ended of proposals. Few outcomes have any: it stands apart to keep the others small.
    pub trade: Option<Box<TradeView>>,
    /// The claims on picks that a worker got or extended by it.
    pub pick_claims: Box<[PickClaimView]>,
}

impl Outcome {
    /// What every outcome says, and all that one of a setting does.
    pub fn plain(id: Option<Code>, sequence: Sequence, at: Timestamp) -> Self {
        Self {
            sequence,
            at,
            id,
            picks: SmallVec::new(),
            shortages: Vec::new(),
            expires_at: None,
            holders: Vec::new(),
            balance: None,
            claims: Vec::new(),
            trade: None,
            pick_claims: Box::default(),
        }
    }
}

/// What an event made or ended of proposals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TradeView {
    /// What a new proposal is.
    pub kind: Option<ProposalKind>,
    /// The open proposals that nobody answered and that ended by it, oldest first, and why.
    pub closed: Vec<ClosedProposal>,
}

impl Outcome {
    /// What a new proposal is.
    pub fn proposal_kind(&self) -> Option<ProposalKind> {
        self.trade.as_ref().and_then(|trade| trade.kind)
    }

    /// The open proposals that nobody answered and that ended by it, oldest first, and why.
    pub fn closed(&self) -> &[ClosedProposal] {
        self.trade.as_ref().map_or(&[], |trade| &trade.closed)
    }
}

/// A worker's claim on what a transfer has to pick in a zone, in the caller's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PickClaimView {
    /// The transfer and the zone.
    pub work: PickWorkId,
    /// What the worker names to pick, extend or give it up.
    pub fence: Sequence,
    /// From when on it no longer counts.
    pub expires_at: Timestamp,
}

/// A worker's claim on an order, in the caller's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimView {
    /// The order.
    pub order: Code,
    /// What the worker names to complete, extend or give it up.
    pub fence: Sequence,
    /// From when on it no longer counts.
    pub expires_at: Timestamp,
}

/// A quantity at a place, in the caller's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PickView {
    /// The line: its name in a transfer, its SKU in a cart, its number from 1 elsewhere.
    pub line: Code,
    /// Where.
    pub site: Code,
    /// The bin.
    pub location: Code,
    /// What.
    pub sku: Code,
    /// Of which lot, where it is tracked.
    pub lot: Option<Code>,
    /// How much.
    pub quantity: Quantity,
}

/// The outcome of an event that the tables have seen.
pub fn outcome(tables: &impl Tables, event: &Event) -> Outcome {
    let id = event.fact.document().map(|(_, id)| id.clone());
    let mut outcome = Outcome::plain(id, event.sequence, event.at);
    outcome.balance = event.fact.money().map(|money| money.balance);
    match &event.fact {
        Fact::Held { lines, takes, short, expires_at, .. } => {
            outcome.expires_at = *expires_at;
            outcome.picks =
                takes.iter().map(|take| pick(tables, numbered(take.line as usize), take)).collect();
            outcome.shortages = short
                .iter()
                .map(|short| {
                    let line = lines[short.line as usize];
                    shortage(tables, numbered(short.line as usize), line.site, line.sku, short)
                })
                .collect();
        }
        Fact::HoldChanged { lines, takes, short, .. } => {
            outcome.picks =
                takes.iter().map(|take| pick(tables, numbered(take.line as usize), take)).collect();
            outcome.shortages = short
                .iter()
                .map(|short| {
                    let line = lines[short.line as usize];
                    shortage(tables, numbered(short.line as usize), line.site, line.sku, short)
                })
                .collect();
        }
        Fact::HoldExtended { expires_at, .. } => outcome.expires_at = Some(*expires_at),
        Fact::TransferAllocated { id, takes, short } | Fact::TransferPicked { id, takes, short, .. } => {
            let from = tables.transfer(id).expect("the event's transfer is there").from;
            outcome.picks =
                takes.iter().map(|take| pick(tables, tables.line(id, take.line).name, take)).collect();
            outcome.shortages = short
                .iter()
                .map(|short| {
                    let line = tables.line(id, short.line);
                    shortage(tables, line.name, from, line.sku, short)
                })
                .collect();
        }
        Fact::Adjusted { lines, .. } => {
            for freed in lines.iter().flat_map(|line| &line.freed) {
                outcome.holders.push(holding(tables, &freed.holder, freed.quantity));
            }
        }
        Fact::Moved { lines, .. } => {
            for freed in lines.iter().flat_map(|line| &line.follow) {
                outcome.holders.push(holding(tables, &freed.holder, freed.quantity));
            }
        }
        Fact::OrderPlaced { site, takes, short, .. }
        | Fact::OrderAllocated { site, takes, short, .. }
        | Fact::OrderReallocated { site, takes, short, .. } => {
            outcome.picks.extend(picks(tables, takes));
            let shortages = short.iter().map(|short| Shortage {
                line: numbered(short.line as usize),
                site: tables.site(*site).code.clone(),
                sku: tables.sku(short.sku).code.clone(),
                requested: short.requested,
                available: short.available,
            });
            outcome.shortages = shortages.collect();
        }
        Fact::OrderCompleted { takes, allocated, .. } => {
            outcome.picks.extend(picks(tables, takes).chain(picks(tables, allocated)));
        }
        Fact::OrderClaimed { id, expires_at, .. } => {
            let (order, fence) = (id.clone(), event.sequence);
            outcome.claims.push(ClaimView { order, fence, expires_at: *expires_at });
        }
        Fact::OrdersClaimed { ids, expires_at, .. } => {
            let (fence, expires_at) = (event.sequence, *expires_at);
            outcome.claims =
                ids.iter().map(|id| ClaimView { order: id.clone(), fence, expires_at }).collect();
        }
        Fact::ClaimExtended { id, fence, expires_at } => {
            outcome.claims.push(ClaimView { order: id.clone(), fence: *fence, expires_at: *expires_at });
        }
        Fact::Proposed { kind, .. } => {
            outcome.trade = Some(Box::new(TradeView { kind: Some(*kind), closed: Vec::new() }));
        }
        Fact::CardSet { closed, .. } | Fact::ProposalAccepted { closed, .. } if !closed.is_empty() => {
            outcome.trade = Some(Box::new(TradeView { kind: None, closed: closed.clone() }));
        }
        Fact::TransferClaimed { id, expires_at, zones, .. } => {
            outcome.pick_claims = pick_claims(id, zones, event.sequence, *expires_at);
        }
        Fact::TransferClaimExtended { id, fence, expires_at, zones } => {
            outcome.pick_claims = pick_claims(id, zones, *fence, *expires_at);
        }
        Fact::PicksClaimed { expires_at, works, .. } => {
            let (fence, expires_at) = (event.sequence, *expires_at);
            let view = |work: &PickWorkId| PickClaimView { work: work.clone(), fence, expires_at };
            outcome.pick_claims = works.iter().map(view).collect();
        }
        Fact::CartSet { takes, expires_at, .. } | Fact::CartItemSet { takes, expires_at, .. } => {
            outcome.expires_at = *expires_at;
            let item = |take: &Take| pick(tables, tables.sku(take.sku).code.clone(), take);
            outcome.picks = takes.iter().map(item).collect();
        }
        Fact::CartOrdered { takes, .. } => outcome.picks.extend(picks(tables, takes)),
        _ => {}
    }
    outcome
}

fn pick_claims(
    transfer: &Code,
    zones: &[Name],
    fence: Sequence,
    expires_at: Timestamp,
) -> Box<[PickClaimView]> {
    let work = |zone: &Name| PickWorkId { transfer: transfer.clone(), zone: zone.clone() };
    zones.iter().map(|zone| PickClaimView { work: work(zone), fence, expires_at }).collect()
}

/// Picks of a document whose lines have only numbers.
fn picks(tables: &impl Tables, takes: &[Take]) -> impl Iterator<Item = PickView> {
    takes.iter().map(|take| pick(tables, numbered(take.line as usize), take))
}

/// A holder and its share, in the caller's words.
pub(crate) fn holding(tables: &impl Tables, holder: &Holder, quantity: Quantity) -> Holding {
    let line = match holder.kind {
        HolderKind::Hold | HolderKind::Order => numbered(holder.line as usize),
        HolderKind::Transfer => tables.line(&holder.id, holder.line).name,
        HolderKind::Cart => tables.sku(SkuId(holder.line)).code.clone(),
    };
    Holding { kind: holder.kind, id: holder.id.clone(), line, quantity }
}

/// The code of a lot, where there is one.
pub(crate) fn lot_code(tables: &impl Tables, lot: LotId) -> Option<Code> {
    (lot != LotId::NONE).then(|| tables.lot(lot).code.clone())
}

/// A shortage in the caller's words.
pub(crate) fn shortage(
    tables: &impl Tables,
    line: Code,
    site: SiteId,
    sku: SkuId,
    short: &Short,
) -> Shortage {
    Shortage {
        line,
        site: tables.site(site).code.clone(),
        sku: tables.sku(sku).code.clone(),
        requested: short.requested,
        available: short.available,
    }
}

fn pick(tables: &impl Tables, line: Code, take: &Take) -> PickView {
    let location = location(tables, take.location);
    PickView {
        line,
        site: location.0,
        location: location.1,
        sku: tables.sku(take.sku).code.clone(),
        lot: lot_code(tables, take.lot),
        quantity: take.quantity,
    }
}

fn location(tables: &impl Tables, location: LocationId) -> (Code, Code) {
    let row = tables.location(location);
    (tables.site(row.site).code.clone(), row.code.clone())
}
