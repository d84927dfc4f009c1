//! Stock that is adjusted, moved between bins, and movements that are reversed.

use super::{line_count, positive};
use crate::{Code, Digest, Movement, MovementId, Name, Outside, Quantity, Refusal};

/// Adjusts stock: what came from outside, what went there, what a count found.
#[derive(Clone, Debug, PartialEq)]
pub struct Adjust {
    /// The adjustment's id: its key, for ever.
    pub id: Code,
    /// Why.
    pub reason: Name,
    /// At least one.
    pub lines: Vec<AdjustLine>,
    /// Whether holds may be cut where too little would be left for them.
    pub release_holds: bool,
}

impl Adjust {
    pub(super) fn validate(&self) -> Result<(), Refusal> {
        line_count(self.lines.len())?;
        self.lines.iter().try_for_each(|line| match line.change {
            Change::Add(quantity, _) | Change::Remove(quantity, _) => positive("quantity", quantity),
            Change::Counted(_) => Ok(()),
        })
    }

    pub(super) fn digest(&self, d: &mut Digest) {
        d.number(5).text(self.id.as_str()).text(self.reason.as_str()).flag(self.release_holds);
        for line in &self.lines {
            d.text(line.site.as_str()).text(line.location.as_str()).text(line.sku.as_str());
            d.maybe_text(line.lot.as_ref().map(Code::as_str));
            match line.change {
                Change::Add(quantity, from) => d.number(1).number(quantity.get()).text(from.name()),
                Change::Remove(quantity, to) => d.number(2).number(quantity.get()).text(to.name()),
                Change::Counted(quantity) => d.number(3).number(quantity.get()),
            };
        }
    }
}

/// A line of an adjustment.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields name the position")]
pub struct AdjustLine {
    pub site: Code,
    pub location: Code,
    pub sku: Code,
    pub lot: Option<Code>,
    pub change: Change,
}

/// How a line changes what is on hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// So much came from there.
    Add(Quantity, Outside),
    /// So much went there.
    Remove(Quantity, Outside),
    /// So much is there, whatever the books say; the rest is `loss` or `found`.
    Counted(Quantity),
}

/// Moves stock between the bins of a site.
#[derive(Clone, Debug, PartialEq)]
pub struct Move {
    /// The move's id: its key, for ever.
    pub id: Code,
    /// The site.
    pub site: Code,
    /// Why.
    pub reason: Name,
    /// At least one.
    pub lines: Vec<MoveLine>,
    /// Whether held stock may move too, its holds following.
    pub with_holds: bool,
}

impl Move {
    pub(super) fn validate(&self) -> Result<(), Refusal> {
        line_count(self.lines.len())?;
        self.lines.iter().try_for_each(|line| {
            if line.from == line.to {
                return Err(Refusal::invalid("to", "is where the goods already are"));
            }
            positive("quantity", line.quantity)
        })
    }

    pub(super) fn digest(&self, d: &mut Digest) {
        d.number(6).text(self.id.as_str()).text(self.site.as_str()).text(self.reason.as_str());
        d.flag(self.with_holds);
        for line in &self.lines {
            d.text(line.sku.as_str()).maybe_text(line.lot.as_ref().map(Code::as_str));
            d.number(line.quantity.get()).text(line.from.as_str()).text(line.to.as_str());
        }
    }
}

/// A line of a bin move.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields name the positions")]
pub struct MoveLine {
    pub sku: Code,
    pub lot: Option<Code>,
    pub quantity: Quantity,
    pub from: Code,
    pub to: Code,
}

/// Takes a movement back by one that goes the other way.
#[derive(Clone, Debug, PartialEq)]
pub struct Reverse {
    /// Which one.
    pub movement: MovementId,
    /// Its content and its document's kind, which the store looks up; `None` where there is no such movement.
    pub original: Option<Box<(Movement, &'static str)>>,
}

impl Reverse {
    pub(super) fn digest(&self, d: &mut Digest) {
        d.number(7).number(self.movement.sequence.0).number(self.movement.index.into());
    }
}
