//! Transfers, from the request until they are closed.

use super::{Claimant, distinct_lines, line_count, positive};
use crate::{Code, Digest, Quantity, Refusal, Strategy, refusal::OfLine};

/// A line of a transfer.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields name what is wanted")]
pub struct TransferLine {
    pub line: Code,
    pub sku: Code,
    pub quantity: Quantity,
    /// Of this lot only.
    pub lot: Option<Code>,
}

/// Requests a transfer.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestTransfer {
    /// The transfer's id: its key, for ever.
    pub id: Code,
    /// The site that gives.
    pub from: Code,
    /// The site that gets.
    pub to: Code,
    /// Higher is sooner.
    pub priority: u32,
    /// At least one.
    pub lines: Vec<TransferLine>,
}

impl RequestTransfer {
    pub(super) fn validate(&self) -> Result<(), Refusal> {
        line_count(self.lines.len())?;
        if self.from == self.to {
            return Err(Refusal::SameSite { site: self.from.clone() });
        }
        let mut lines = self.lines.iter().enumerate();
        lines.try_for_each(|(index, line)| positive(index, "quantity", line.quantity))?;
        distinct_lines(self.lines.iter().map(|line| &line.line))
    }

    pub(super) fn digest(&self, d: &mut Digest) {
        d.number(13).text(self.id.as_str()).text(self.from.as_str());
        d.text(self.to.as_str()).number(self.priority.into());
        for line in &self.lines {
            d.text(line.line.as_str()).text(line.sku.as_str()).number(line.quantity.get());
            d.maybe_text(line.lot.as_ref().map(Code::as_str));
        }
    }
}

/// Allocates what a transfer still lacks.
#[derive(Clone, Debug, PartialEq)]
pub struct AllocateTransfer {
    /// The transfer.
    pub id: Code,
    /// How positions are chosen; the site's own way if not said. `explicit` needs `lines`.
    pub strategy: Option<Strategy>,
    /// Whether a part is better than nothing, per unit.
    pub partial: bool,
    /// Which lines; all if not said.
    pub lines: Option<Vec<AllocateLine>>,
    /// Whether only the answer is wanted.
    pub dry_run: bool,
}

impl AllocateTransfer {
    pub(super) fn validate(&self) -> Result<(), Refusal> {
        let Some(lines) = &self.lines else {
            if self.strategy == Some(Strategy::Explicit) {
                return Err(Refusal::invalid("lines", "are missing, which the strategy explicit needs"));
            }
            return Ok(());
        };
        line_count(lines.len())?;
        lines.iter().enumerate().try_for_each(|(index, line)| {
            if self.strategy == Some(Strategy::Explicit) && line.location.is_none() {
                let refusal = Refusal::LocationRequired { line: line.line.clone() };
                return Err(refusal.of_line(index, "location"));
            }
            line.quantity.map_or(Ok(()), |quantity| positive(index, "quantity", quantity))
        })?;
        if self.strategy == Some(Strategy::Explicit) {
            return Ok(());
        }
        distinct_lines(lines.iter().map(|line| &line.line))
    }

    pub(super) fn digest(&self, d: &mut Digest) {
        d.number(14).text(self.id.as_str()).maybe_text(self.strategy.map(Strategy::name));
        d.flag(self.partial).flag(self.dry_run).flag(self.lines.is_some());
        for line in self.lines.iter().flatten() {
            d.text(line.line.as_str()).maybe_number(line.quantity.map(Quantity::get));
            d.maybe_text(line.location.as_ref().map(Code::as_str));
            d.maybe_text(line.lot.as_ref().map(Code::as_str));
        }
    }
}

/// A line to allocate.
#[derive(Clone, Debug, PartialEq)]
pub struct AllocateLine {
    /// Which one; under `explicit` it may be there once for each location.
    pub line: Code,
    /// At most this much; all that it lacks if not said.
    pub quantity: Option<Quantity>,
    /// From this location only.
    pub location: Option<Code>,
    /// Of this lot only.
    pub lot: Option<Code>,
}

/// A part of a transfer: a line, and how much of it; all of it if not said.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "said above")]
pub struct TransferPart {
    pub line: Code,
    pub quantity: Option<Quantity>,
}

/// Releases what is allocated and not picked.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "as in AllocateTransfer")]
pub struct ReleaseTransfer {
    pub id: Code,
    pub lines: Option<Vec<TransferPart>>,
}

impl ReleaseTransfer {
    pub(super) fn validate(&self) -> Result<(), Refusal> {
        transfer_parts(self.lines.as_deref())
    }

    pub(super) fn digest(&self, d: &mut Digest) {
        d.number(15).text(self.id.as_str());
        digest_transfer_parts(d, self.lines.as_deref());
    }
}

/// Cancels a transfer.
#[derive(Clone, Debug, PartialEq)]
pub struct CancelTransfer {
    /// The transfer.
    pub id: Code,
    /// Whether what it holds is released in the same decision.
    pub release: bool,
}

impl CancelTransfer {
    pub(super) fn digest(&self, d: &mut Digest) {
        d.number(16).text(self.id.as_str()).flag(self.release);
    }
}

/// Picks allocated goods: from their bins to staging.
#[derive(Clone, Debug, PartialEq)]
pub struct PickTransfer {
    /// The transfer.
    pub id: Code,
    /// What was picked and what was not; everything as allocated if not said, under a claim in its zones only.
    pub lines: Option<Vec<PickLine>>,
    /// Under whose claim; without one only what nobody has claimed is picked.
    pub claimant: Option<Claimant>,
    /// Where it was put; the site's first staging location if not said.
    pub staging: Option<Code>,
}

impl PickTransfer {
    pub(super) fn validate(&self) -> Result<(), Refusal> {
        let Some(lines) = &self.lines else { return Ok(()) };
        line_count(lines.len())?;
        lines.iter().enumerate().try_for_each(|(index, line)| match line.short {
            Some((short, _)) => positive(index, "short.quantity", short),
            None => positive(index, "quantity", line.quantity),
        })
    }

    pub(super) fn digest(&self, d: &mut Digest) {
        // Requests that name no claim have the fingerprint that they had before there were any.
        match &self.claimant {
            None => drop(d.number(17)),
            Some(claimant) => claimant.digest(d.number(74)),
        }
        d.text(self.id.as_str());
        d.maybe_text(self.staging.as_ref().map(Code::as_str)).flag(self.lines.is_some());
        for line in self.lines.iter().flatten() {
            d.text(line.line.as_str()).maybe_text(line.location.as_ref().map(Code::as_str));
            d.maybe_text(line.lot.as_ref().map(Code::as_str)).number(line.quantity.get());
            d.maybe_number(line.short.map(|(quantity, _)| quantity.get()));
            d.flag(matches!(line.short, Some((_, ShortReason::Damaged))));
        }
    }
}

/// A line that was picked.
#[derive(Clone, Debug, PartialEq)]
pub struct PickLine {
    /// Which one.
    pub line: Code,
    /// From which location; in the order of the walk if not said.
    pub location: Option<Code>,
    /// Of which lot; any that is allocated there if not said.
    pub lot: Option<Code>,
    /// How much was taken; may be zero where something was short.
    pub quantity: Quantity,
    /// How much could not be taken, and why.
    pub short: Option<(Quantity, ShortReason)>,
}

/// Why a picker could not take goods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShortReason {
    /// They were not there: unavailable until counted.
    NotFound,
    /// They were damaged: off to quarantine.
    Damaged,
}

/// Takes staged goods back to a bin, where they are allocated again.
#[derive(Clone, Debug, PartialEq)]
pub struct UnpickTransfer {
    /// The transfer.
    pub id: Code,
    /// What goes back; everything if not said.
    pub lines: Option<Vec<TransferPart>>,
    /// To which bin; to where it came from if not said.
    pub to: Option<Code>,
}

impl UnpickTransfer {
    pub(super) fn validate(&self) -> Result<(), Refusal> {
        transfer_parts(self.lines.as_deref())
    }

    pub(super) fn digest(&self, d: &mut Digest) {
        d.number(18).text(self.id.as_str());
        d.maybe_text(self.to.as_ref().map(Code::as_str));
        digest_transfer_parts(d, self.lines.as_deref());
    }
}

/// Ships staged goods.
#[derive(Clone, Debug, PartialEq)]
pub struct ShipTransfer {
    /// The transfer.
    pub id: Code,
    /// The shipment's id: its key within the transfer, for ever.
    pub shipment: Code,
    /// What is shipped; everything that is staged if not said.
    pub lines: Option<Vec<TransferPart>>,
}

impl ShipTransfer {
    pub(super) fn validate(&self) -> Result<(), Refusal> {
        transfer_parts(self.lines.as_deref())
    }

    pub(super) fn digest(&self, d: &mut Digest) {
        d.number(19).text(self.id.as_str()).text(self.shipment.as_str());
        digest_transfer_parts(d, self.lines.as_deref());
    }
}

/// Receives shipped goods.
#[derive(Clone, Debug, PartialEq)]
pub struct ReceiveTransfer {
    /// The transfer.
    pub id: Code,
    /// What arrived; everything that is on the way, in good order, if not said.
    pub lines: Option<Vec<ReceiveLine>>,
    /// Where good goods were put; the site's first receiving location if not said.
    pub location: Option<Code>,
    /// Where damaged goods were put; the site's first quarantine location if not said.
    pub quarantine: Option<Code>,
}

impl ReceiveTransfer {
    pub(super) fn validate(&self) -> Result<(), Refusal> {
        let Some(lines) = &self.lines else { return Ok(()) };
        line_count(lines.len())?;
        lines.iter().enumerate().try_for_each(|(index, line)| match line.damaged.is_zero() {
            true => positive(index, "quantity", line.quantity),
            false => Ok(()),
        })
    }

    pub(super) fn digest(&self, d: &mut Digest) {
        d.number(20).text(self.id.as_str());
        d.maybe_text(self.location.as_ref().map(Code::as_str));
        d.maybe_text(self.quarantine.as_ref().map(Code::as_str)).flag(self.lines.is_some());
        for line in self.lines.iter().flatten() {
            d.text(line.line.as_str()).maybe_text(line.lot.as_ref().map(Code::as_str));
            d.number(line.quantity.get()).number(line.damaged.get());
        }
    }
}

/// A line that arrived.
#[derive(Clone, Debug, PartialEq)]
pub struct ReceiveLine {
    /// Which one.
    pub line: Code,
    /// Of which lot; what is on the way, first shipped first, if not said.
    pub lot: Option<Code>,
    /// How much in good order.
    pub quantity: Quantity,
    /// How much damaged.
    pub damaged: Quantity,
}

/// Ends a transfer: gives up what was not shipped, and writes off what did not arrive.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the transfer")]
pub struct CloseTransfer {
    pub id: Code,
}

impl CloseTransfer {
    pub(super) fn digest(&self, d: &mut Digest) {
        d.number(21).text(self.id.as_str());
    }
}

fn transfer_parts(parts: Option<&[TransferPart]>) -> Result<(), Refusal> {
    let Some(parts) = parts else { return Ok(()) };
    line_count(parts.len())?;
    parts.iter().enumerate().try_for_each(|(index, part)| match part.quantity {
        Some(quantity) => positive(index, "quantity", quantity),
        None => Ok(()),
    })?;
    distinct_lines(parts.iter().map(|part| &part.line))
}

fn digest_transfer_parts(digest: &mut Digest, parts: Option<&[TransferPart]>) {
    digest.flag(parts.is_some());
    for part in parts.into_iter().flatten() {
        digest.text(part.line.as_str()).maybe_number(part.quantity.map(Quantity::get));
    }
}
