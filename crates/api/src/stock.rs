//! Stock: positions, totals, and what stands in the way of taking it.

use jaego_domain::{
    query::{self, Verdict},
    refusal,
    row::HolderKind,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    list::List,
    movement::Document,
    time::Time,
    value::{Choice, Word},
};

/// What lies at one place. `available` is `on_hand` − `held` − `unavailable`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Position {
    /// The site.
    pub site: Word,
    /// The bin.
    pub location: Word,
    /// What lies there.
    pub sku: Word,
    /// Of which lot, where it is tracked.
    pub lot: Option<Word>,
    /// How much lies there.
    pub on_hand: u64,
    /// How much of it is held.
    pub held: u64,
    /// How much of the rest cannot be taken now.
    pub unavailable: u64,
    /// How much can be taken now.
    pub available: u64,
}

impl From<&query::PositionView> for Position {
    fn from(view: &query::PositionView) -> Self {
        Self {
            site: (&view.site).into(),
            location: (&view.location).into(),
            sku: (&view.sku).into(),
            lot: view.lot.as_ref().map(Word::from),
            on_hand: view.on_hand.get(),
            held: view.held.get(),
            unavailable: view.unavailable.get(),
            available: view.available.get(),
        }
    }
}

/// What lay at one place at a time that is over. What was held of it then is not known any more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PastPosition {
    /// The site.
    pub site: Word,
    /// The bin.
    pub location: Word,
    /// What lay there.
    pub sku: Word,
    /// Of which lot, where it is tracked.
    pub lot: Option<Word>,
    /// How much lay there.
    pub on_hand: u64,
}

/// Positions as they are, or, where `as_of` is named, as they were.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum StockList {
    /// As they are.
    Present(List<Position>),
    /// As they were.
    Past(List<PastPosition>),
}

/// An event that changed how much there is of a SKU, at a site or at all sites together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BalancePoint {
    /// When.
    pub at: Time,
    /// The event.
    pub sequence: u64,
    /// By how much: never zero.
    pub change: i64,
    /// How much there was from then on.
    pub on_hand: u64,
    /// Who asked for it.
    pub by: Word,
    /// Why: in the caller's words, or what was done to the document, such as `shipped`. Never empty.
    pub reason: Word,
    /// For which document.
    pub document: Option<Document>,
}

/// What a site has of a SKU, summed over its positions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SiteStock {
    /// The site.
    pub site: Word,
    /// How much lies there.
    pub on_hand: u64,
    /// How much of it is held.
    pub held: u64,
    /// How much of the rest cannot be taken now.
    pub unavailable: u64,
    /// How much can be taken now.
    pub available: u64,
    /// Below this, available stock is low.
    pub safety_level: u64,
    /// Whether it is.
    pub low: bool,
}

impl From<&query::SiteStockView> for SiteStock {
    fn from(view: &query::SiteStockView) -> Self {
        Self {
            site: (&view.site).into(),
            on_hand: view.on_hand.get(),
            held: view.held.get(),
            unavailable: view.unavailable.get(),
            available: view.available.get(),
            safety_level: view.safety_level.get(),
            low: view.low,
        }
    }
}

/// A quantity at a place that a line holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HeldAt {
    /// The site.
    pub site: Word,
    /// The bin.
    pub location: Word,
    /// Of which lot, where it is tracked.
    pub lot: Option<Word>,
    /// How much.
    pub quantity: u64,
}

impl From<&query::HeldAt> for HeldAt {
    fn from(view: &query::HeldAt) -> Self {
        Self {
            site: (&view.site).into(),
            location: (&view.location).into(),
            lot: view.lot.as_ref().map(Word::from),
            quantity: view.quantity.get(),
        }
    }
}

/// Who holds how much.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Holding {
    /// Which kind of document.
    pub kind: Choice<HolderKind>,
    /// Its id.
    pub id: Word,
    /// Its line: the name in a transfer, the SKU in a cart, the number from 1 elsewhere.
    pub line: Word,
    /// How much.
    pub quantity: u64,
}

impl From<&refusal::Holding> for Holding {
    fn from(holding: &refusal::Holding) -> Self {
        Self {
            kind: holding.kind.into(),
            id: (&holding.id).into(),
            line: (&holding.line).into(),
            quantity: holding.quantity.get(),
        }
    }
}

/// What a line lacked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Shortage {
    /// The line: its name in a transfer, its number from 1 elsewhere.
    pub line: Word,
    /// What.
    pub sku: Word,
    /// Where.
    pub site: Word,
    /// How much the line asked for.
    pub requested: u64,
    /// How much of it was available to this line.
    pub available: u64,
}

impl From<&refusal::Shortage> for Shortage {
    fn from(shortage: &refusal::Shortage) -> Self {
        Self {
            line: (&shortage.line).into(),
            sku: (&shortage.sku).into(),
            site: (&shortage.site).into(),
            requested: shortage.requested.get(),
            available: shortage.available.get(),
        }
    }
}

/// A position that a line could take from, or why it could not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Candidate {
    /// The position.
    pub position: Position,
    /// `available`, or what stands in the way.
    pub verdict: Choice<Verdict>,
    /// The first holders, in order of their text.
    pub holders: Vec<Holding>,
    /// How many holders there are.
    pub holder_count: usize,
}

impl From<&query::Candidate> for Candidate {
    fn from(view: &query::Candidate) -> Self {
        Self {
            position: (&view.position).into(),
            verdict: view.verdict.into(),
            holders: view.holders.iter().map(Holding::from).collect(),
            holder_count: view.holder_count,
        }
    }
}
