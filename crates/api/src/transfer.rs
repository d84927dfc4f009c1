//! Transfers.

use jaego_domain::{
    Command, Quantity, Refusal, Strategy, command,
    command::ShortReason,
    query,
    row::{Totals, TransferStatus},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    hold::{is_partial, strategy_if_any},
    order::claimant_if_any,
    picking::Picking,
    stock::{Candidate, HeldAt},
    time::Time,
    value::{Choice, Lines, Partial, Text, Whole, Word, code_if_any, lines_if_any, quantity_if_any},
};

/// Requests a transfer between two sites. The id is the transfer's key, for ever.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct RequestTransfer<'a> {
    /// The transfer's id.
    pub id: Text<'a>,
    /// The site that gives.
    pub from: Text<'a>,
    /// The site that gets.
    pub to: Text<'a>,
    /// Higher is sooner; 0 if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 4_294_967_295_u32))]
    pub priority: Option<Whole>,
    /// What is wanted.
    pub lines: Lines<TransferLine<'a>>,
}

/// A line of a transfer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct TransferLine<'a> {
    /// The line's name, unique in the transfer.
    pub line: Text<'a>,
    /// What.
    pub sku: Text<'a>,
    /// How much.
    #[schemars(range(min = 1))]
    pub quantity: Whole,
    /// Of this lot only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lot: Option<Text<'a>>,
}

impl RequestTransfer<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        Ok(Command::RequestTransfer(command::RequestTransfer {
            id: self.id.code("id")?,
            from: self.from.code("from")?,
            to: self.to.code("to")?,
            priority: self.priority.map_or(Ok(0), |priority| priority.small("priority"))?,
            lines: self.lines.map(|line| {
                Ok(command::TransferLine {
                    line: line.line.code("line")?,
                    sku: line.sku.code("sku")?,
                    quantity: line.quantity.quantity("quantity")?,
                    lot: code_if_any(line.lot.as_ref(), "lot")?,
                })
            })?,
        }))
    }
}

/// Allocates what a transfer still lacks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct AllocateTransfer<'a> {
    /// The transfer.
    pub transfer: Text<'a>,
    /// How positions are chosen; the site's own way if not said. `explicit` needs `lines` with locations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Choice<Strategy>>,
    /// Whether a part is better than nothing; `allow` if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partial: Option<Choice<Partial>>,
    /// Which lines; all if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lines: Option<Lines<AllocateLine<'a>>>,
    /// Whether only the answer is wanted.
    #[serde(default)]
    pub dry_run: bool,
}

/// A line to allocate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct AllocateLine<'a> {
    /// The line's name.
    pub line: Text<'a>,
    /// At most this much; all that it lacks if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub quantity: Option<Whole>,
    /// From this location only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Text<'a>>,
    /// Of this lot only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lot: Option<Text<'a>>,
}

impl AllocateTransfer<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        Ok(Command::AllocateTransfer(command::AllocateTransfer {
            id: self.transfer.code("transfer")?,
            strategy: strategy_if_any(self.strategy.as_ref())?,
            partial: is_partial(self.partial.as_ref(), Partial::Allow)?,
            lines: lines_if_any(self.lines.as_ref(), |line| {
                Ok(command::AllocateLine {
                    line: line.line.code("line")?,
                    quantity: quantity_if_any(line.quantity, "quantity")?,
                    location: code_if_any(line.location.as_ref(), "location")?,
                    lot: code_if_any(line.lot.as_ref(), "lot")?,
                })
            })?,
            dry_run: self.dry_run,
        }))
    }
}

/// A part of a transfer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct TransferPart<'a> {
    /// The line's name.
    pub line: Text<'a>,
    /// How much of it; all of it if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub quantity: Option<Whole>,
}

impl TransferPart<'_> {
    fn part(&self) -> Result<command::TransferPart, Refusal> {
        Ok(command::TransferPart {
            line: self.line.code("line")?,
            quantity: quantity_if_any(self.quantity, "quantity")?,
        })
    }
}

/// Releases what is allocated and not picked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct ReleaseTransfer<'a> {
    /// The transfer.
    pub transfer: Text<'a>,
    /// Which parts; everything if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lines: Option<Lines<TransferPart<'a>>>,
}

impl ReleaseTransfer<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        Ok(Command::ReleaseTransfer(command::ReleaseTransfer {
            id: self.transfer.code("transfer")?,
            lines: lines_if_any(self.lines.as_ref(), TransferPart::part)?,
        }))
    }
}

/// Cancels a transfer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct CancelTransfer<'a> {
    /// The transfer.
    pub transfer: Text<'a>,
    /// Whether what it holds is released in the same decision. Otherwise holding something refuses it.
    #[serde(default)]
    pub release: bool,
}

impl CancelTransfer<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        let id = self.transfer.code("transfer")?;
        Ok(Command::CancelTransfer(command::CancelTransfer { id, release: self.release }))
    }
}

/// Picks allocated goods: from their bins to staging.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct PickTransfer<'a> {
    /// The transfer.
    pub transfer: Text<'a>,
    /// What was picked and what was not; everything as allocated if not said, under a claim in its zones only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lines: Option<Lines<PickLine<'a>>>,
    /// Under whose claim; without one only what nobody has claimed can be picked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<Text<'a>>,
    /// The fence that came with the claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub fence: Option<Whole>,
    /// Where it was put; the site's first staging location if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub staging: Option<Text<'a>>,
}

/// A line that was picked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct PickLine<'a> {
    /// The line's name.
    pub line: Text<'a>,
    /// From which location; in the order of the walk if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Text<'a>>,
    /// Of which lot; any that is allocated there if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lot: Option<Text<'a>>,
    /// How much was taken; may be zero where something was short.
    #[schemars(range(min = 0))]
    pub quantity: Whole,
    /// What could not be taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub short: Option<Short>,
}

/// What a picker could not take, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Short {
    /// How much.
    #[schemars(range(min = 1))]
    pub quantity: Whole,
    /// Why: goods that were not found are unavailable until counted, damaged ones go to quarantine.
    pub reason: Choice<ShortReason>,
}

impl PickTransfer<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        Ok(Command::PickTransfer(command::PickTransfer {
            id: self.transfer.code("transfer")?,
            lines: lines_if_any(self.lines.as_ref(), PickLine::line)?,
            claimant: claimant_if_any(self.worker.as_ref(), self.fence)?,
            staging: code_if_any(self.staging.as_ref(), "staging")?,
        }))
    }
}

impl PickLine<'_> {
    fn line(&self) -> Result<command::PickLine, Refusal> {
        let short = self
            .short
            .as_ref()
            .map(|short| Ok((short.quantity.quantity("short.quantity")?, short.reason.get("short.reason")?)));
        Ok(command::PickLine {
            line: self.line.code("line")?,
            location: code_if_any(self.location.as_ref(), "location")?,
            lot: code_if_any(self.lot.as_ref(), "lot")?,
            quantity: self.quantity.quantity("quantity")?,
            short: short.transpose()?,
        })
    }
}

/// Takes staged goods back to a bin, where they are allocated again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct UnpickTransfer<'a> {
    /// The transfer.
    pub transfer: Text<'a>,
    /// What goes back; everything if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lines: Option<Lines<TransferPart<'a>>>,
    /// To which bin; to where it came from if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Text<'a>>,
}

impl UnpickTransfer<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        Ok(Command::UnpickTransfer(command::UnpickTransfer {
            id: self.transfer.code("transfer")?,
            lines: lines_if_any(self.lines.as_ref(), TransferPart::part)?,
            to: code_if_any(self.to.as_ref(), "to")?,
        }))
    }
}

/// Ships staged goods. The shipment's id is its key within the transfer, for ever.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct ShipTransfer<'a> {
    /// The transfer.
    pub transfer: Text<'a>,
    /// The shipment's id.
    pub shipment: Text<'a>,
    /// What is shipped; everything that is staged if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lines: Option<Lines<TransferPart<'a>>>,
}

impl ShipTransfer<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        Ok(Command::ShipTransfer(command::ShipTransfer {
            id: self.transfer.code("transfer")?,
            shipment: self.shipment.code("shipment")?,
            lines: lines_if_any(self.lines.as_ref(), TransferPart::part)?,
        }))
    }
}

/// Receives shipped goods.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct ReceiveTransfer<'a> {
    /// The transfer.
    pub transfer: Text<'a>,
    /// What arrived; everything that is on the way, in good order, if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lines: Option<Lines<ReceiveLine<'a>>>,
    /// Where good goods were put; the site's first receiving location if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Text<'a>>,
    /// Where damaged goods were put; the site's first quarantine location if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<Text<'a>>,
}

/// A line that arrived.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct ReceiveLine<'a> {
    /// The line's name.
    pub line: Text<'a>,
    /// Of which lot; what is on the way, first shipped first, if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lot: Option<Text<'a>>,
    /// How much in good order; may be zero where something came damaged.
    #[schemars(range(min = 0))]
    pub quantity: Whole,
    /// How much damaged; 0 if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub damaged: Option<Whole>,
}

impl ReceiveTransfer<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        Ok(Command::ReceiveTransfer(command::ReceiveTransfer {
            id: self.transfer.code("transfer")?,
            lines: lines_if_any(self.lines.as_ref(), |line| {
                Ok(command::ReceiveLine {
                    line: line.line.code("line")?,
                    lot: code_if_any(line.lot.as_ref(), "lot")?,
                    quantity: line.quantity.quantity("quantity")?,
                    damaged: line
                        .damaged
                        .map_or(Ok(Quantity::ZERO), |damaged| damaged.quantity("damaged"))?,
                })
            })?,
            location: code_if_any(self.location.as_ref(), "location")?,
            quarantine: code_if_any(self.quarantine.as_ref(), "quarantine")?,
        }))
    }
}

/// Ends a transfer: gives up what was not shipped, and writes off what did not arrive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct CloseTransfer<'a> {
    /// The transfer.
    pub transfer: Text<'a>,
}

impl CloseTransfer<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        Ok(Command::CloseTransfer(command::CloseTransfer { id: self.transfer.code("transfer")? }))
    }
}

/// A transfer with its lines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Transfer {
    /// The transfer itself.
    #[serde(flatten)]
    pub summary: TransferSummary,
    /// Its lines.
    pub lines: Vec<TransferLineState>,
    /// What is to be picked, zone by zone, and who does.
    #[serde(default)]
    pub picking: Vec<Picking>,
}

/// A transfer without its lines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TransferSummary {
    /// Its id.
    pub id: Word,
    /// The site that gives.
    pub from: Word,
    /// The site that gets.
    pub to: Word,
    /// How far it is, derived from its lines.
    pub status: Choice<TransferStatus>,
    /// Higher is sooner.
    pub priority: u32,
    /// When it was requested.
    pub requested_at: Time,
    /// How many lines it has.
    pub line_count: u32,
    /// The sums over its lines.
    pub totals: TransferTotals,
}

/// How far quantities have come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TransferTotals {
    /// Asked for.
    pub requested: u64,
    /// Held in its bin, not yet picked.
    pub allocated: u64,
    /// Held in staging.
    pub picked: u64,
    /// Sent, whatever became of it.
    pub shipped: u64,
    /// Sent and not yet arrived.
    pub in_transit: u64,
    /// Arrived in good order.
    pub received: u64,
    /// Arrived damaged.
    pub damaged: u64,
    /// Sent, never arrived and written off.
    pub lost: u64,
    /// Given up before it was sent.
    pub closed_short: u64,
}

impl From<&Totals> for TransferTotals {
    fn from(totals: &Totals) -> Self {
        Self {
            requested: totals.requested.get(),
            allocated: totals.allocated.get(),
            picked: totals.picked.get(),
            shipped: totals.shipped.get(),
            in_transit: totals.in_transit.get(),
            received: totals.received.get(),
            damaged: totals.damaged.get(),
            lost: totals.lost.get(),
            closed_short: totals.closed_short.get(),
        }
    }
}

/// A line of a transfer, as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TransferLineState {
    /// The line's name.
    pub line: Word,
    /// What.
    pub sku: Word,
    /// Of this lot only.
    pub lot: Option<Word>,
    /// How much was asked for.
    pub quantity: u64,
    /// How far it has come.
    #[serde(flatten)]
    pub totals: TransferTotals,
    /// What it holds in the bins.
    pub picks: Vec<HeldAt>,
    /// What it holds in staging.
    pub staged: Vec<HeldAt>,
    /// What is between the sites, by lot.
    pub transit: Vec<TransitLot>,
}

/// A quantity between two sites.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TransitLot {
    /// Of which lot, where it is tracked.
    pub lot: Option<Word>,
    /// How much.
    pub quantity: u64,
}

impl From<&query::TransferSummary> for TransferSummary {
    fn from(view: &query::TransferSummary) -> Self {
        Self {
            id: (&view.id).into(),
            from: (&view.from).into(),
            to: (&view.to).into(),
            status: view.status.into(),
            priority: view.priority,
            requested_at: view.requested_at.into(),
            line_count: view.line_count,
            totals: (&view.totals).into(),
        }
    }
}

impl From<&query::TransferLineView> for TransferLineState {
    fn from(view: &query::TransferLineView) -> Self {
        let transit = view.in_transit.iter().map(|(lot, quantity)| TransitLot {
            lot: lot.as_ref().map(Word::from),
            quantity: quantity.get(),
        });
        Self {
            line: (&view.line).into(),
            sku: (&view.sku).into(),
            lot: view.lot.as_ref().map(Word::from),
            quantity: view.totals.requested.get(),
            totals: (&view.totals).into(),
            picks: view.picks.iter().map(HeldAt::from).collect(),
            staged: view.staged.iter().map(HeldAt::from).collect(),
            transit: transit.collect(),
        }
    }
}

impl From<&query::TransferView> for Transfer {
    fn from(view: &query::TransferView) -> Self {
        Self {
            summary: (&view.summary).into(),
            lines: view.lines.iter().map(TransferLineState::from).collect(),
            picking: view.picking.iter().map(Picking::from).collect(),
        }
    }
}

/// Why a line is not allocated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExplainedLine {
    /// The line's name, or in an order its number.
    pub line: Word,
    /// What.
    pub sku: Word,
    /// How much was asked for.
    pub requested: u64,
    /// What it still lacks.
    pub open: u64,
    /// What there is for it now, in all.
    pub available: u64,
    /// The positions that it could take from, or why it could not: at most 10,000 in all lines, those that it can take
    /// from first.
    pub candidates: Vec<Candidate>,
    /// How many positions there are.
    pub candidate_count: usize,
}

impl From<&query::ExplainedLine> for ExplainedLine {
    fn from(view: &query::ExplainedLine) -> Self {
        Self {
            line: (&view.line).into(),
            sku: (&view.sku).into(),
            requested: view.requested.get(),
            open: view.open.get(),
            available: view.available.get(),
            candidates: view.candidates.iter().map(Candidate::from).collect(),
            candidate_count: view.candidate_count,
        }
    }
}
