//! Lots and serial numbers, and where they are.

use jaego_domain::{Command, Date, Refusal, command, query, row::HolderKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    stock::Candidate,
    value::{Choice, Day, Text, Word},
};

/// Sets a lot or serial number: makes it, or replaces its days and whether it is blocked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct SetLot<'a> {
    /// The SKU.
    pub sku: Text<'a>,
    /// The lot.
    pub lot: Text<'a>,
    /// When it was received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received_on: Option<Day<'a>>,
    /// Its last day, which ends at midnight where the lot lies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_on: Option<Day<'a>>,
    /// Whether it is recalled: a blocked lot is unavailable at once.
    #[serde(default)]
    pub blocked: bool,
}

impl SetLot<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        Ok(Command::SetLot(command::SetLot {
            sku: self.sku.code("sku")?,
            lot: self.lot.code("lot")?,
            received_on: self.received_on.as_ref().map(|day| day.date("received_on")).transpose()?,
            expires_on: self.expires_on.as_ref().map(|day| day.date("expires_on")).transpose()?,
            blocked: self.blocked,
        }))
    }
}

/// A lot or serial number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Lot {
    /// The SKU.
    pub sku: Word,
    /// The lot.
    pub lot: Word,
    /// When it was received.
    pub received_on: Option<Word>,
    /// Its last day.
    pub expires_on: Option<Word>,
    /// Whether it is recalled.
    pub blocked: bool,
    /// How much of it is inside: at all sites and between them. A token that is bound to sites is not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inside: Option<u64>,
}

impl Lot {
    /// The lot as those see it who may not know what other sites have.
    pub(crate) fn of_some_sites(view: &query::LotView) -> Self {
        Self { inside: None, ..view.into() }
    }
}

impl From<&query::LotView> for Lot {
    fn from(view: &query::LotView) -> Self {
        let day = |day: &Date| Word::from(day.to_string());
        Self {
            sku: (&view.sku).into(),
            lot: (&view.lot).into(),
            received_on: view.received_on.as_ref().map(day),
            expires_on: view.expires_on.as_ref().map(day),
            blocked: view.blocked,
            inside: Some(view.inside.get()),
        }
    }
}

/// Where a lot is, and who holds it there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Trace {
    /// The lot.
    pub lot: Lot,
    /// Its positions.
    pub positions: Vec<Candidate>,
    /// What of it is on the way between sites, the oldest transfer first: at most 1000 lines.
    pub in_transit: Vec<InTransit>,
    /// All of it that is on the way, those lines that are not shown included.
    pub in_transit_total: u64,
}

/// A document that holds something of a lot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LotHolder {
    /// Which kind of document.
    pub kind: Choice<HolderKind>,
    /// Its id.
    pub id: Word,
    /// How much it holds of the lot, at the site where one was named, all its lines together.
    pub held: u64,
}

impl From<&query::LotHolder> for LotHolder {
    fn from(view: &query::LotHolder) -> Self {
        Self { kind: view.kind.into(), id: (&view.id).into(), held: view.held.get() }
    }
}

/// What a line of a transfer has on the way between its sites.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InTransit {
    /// The transfer.
    pub transfer: Word,
    /// The line's name.
    pub line: Word,
    /// How much.
    pub quantity: u64,
    /// Where it left.
    pub from: Word,
    /// Where it is expected.
    pub to: Word,
}

impl From<&query::InTransit> for InTransit {
    fn from(view: &query::InTransit) -> Self {
        Self {
            transfer: (&view.transfer).into(),
            line: (&view.line).into(),
            quantity: view.quantity.get(),
            from: (&view.from).into(),
            to: (&view.to).into(),
        }
    }
}

impl From<&query::TraceView> for Trace {
    fn from(view: &query::TraceView) -> Self {
        Self {
            lot: (&view.lot).into(),
            positions: view.positions.iter().map(Candidate::from).collect(),
            in_transit: view.in_transit.iter().map(InTransit::from).collect(),
            in_transit_total: view.in_transit_total.get(),
        }
    }
}
