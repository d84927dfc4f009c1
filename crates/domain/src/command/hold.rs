//! Holds: placed, changed, extended, confirmed and released.

use hashbrown::HashSet;

use super::{in_line, line_count, numbered, positive};
use crate::{Code, Digest, Quantity, Refusal, Strategy, limits::EXPIRY_MS_MAX, refusal::OfLine};

/// A line of a hold.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields name what is wanted")]
pub struct HoldLine {
    pub site: Code,
    pub sku: Code,
    pub quantity: Quantity,
    /// From this location only.
    pub location: Option<Code>,
    /// Of this lot only.
    pub lot: Option<Code>,
}

/// Places a hold.
#[derive(Clone, Debug, PartialEq)]
pub struct PlaceHold {
    /// The hold's id: its key, for ever.
    pub id: Code,
    /// Whom the caller holds for.
    pub owner: Option<Code>,
    /// At least one.
    pub lines: Lines,
    /// The hold's life; without one it stays until somebody ends it.
    pub expires_in_ms: Option<u64>,
    /// Whether a part is better than nothing, per unit.
    pub partial: bool,
    /// How positions are chosen; the site's own way if not said.
    pub strategy: Option<Strategy>,
}

impl PlaceHold {
    pub(super) fn validate(&self) -> Result<(), Refusal> {
        if let Some(ms) = self.expires_in_ms {
            life(ms)?;
        }
        hold_lines(&self.lines, self.strategy)
    }

    pub(super) fn digest(&self, d: &mut Digest) {
        d.number(8).text(self.id.as_str()).maybe_text(self.owner.as_ref().map(Code::as_str));
        d.maybe_number(self.expires_in_ms).flag(self.partial);
        d.maybe_text(self.strategy.map(Strategy::name));
        digest_hold_lines(d, &self.lines);
    }
}

/// The lines of a hold: mostly one.
pub type Lines = smallvec::SmallVec<[HoldLine; 1]>;

/// A part of a hold: a line by its number from 1, and how much of it; all of it if not said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "said above")]
pub struct HoldPart {
    pub line: u32,
    pub quantity: Option<Quantity>,
}

/// Confirms a hold: takes the goods out. What is not named stays held.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfirmHold {
    /// The hold.
    pub id: Code,
    /// Which parts; all that is held if not said.
    pub lines: Option<Vec<HoldPart>>,
    /// Where the goods go: a location of the same site, or the customer.
    pub to: Option<Code>,
    /// Whether what is not named is released.
    pub release_rest: bool,
}

impl ConfirmHold {
    pub(super) fn validate(&self) -> Result<(), Refusal> {
        hold_parts(self.lines.as_deref())
    }

    pub(super) fn digest(&self, d: &mut Digest) {
        d.number(9).text(self.id.as_str()).maybe_text(self.to.as_ref().map(Code::as_str));
        d.flag(self.release_rest);
        digest_hold_parts(d, self.lines.as_deref());
    }
}

/// Releases a hold, or parts of it.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "as in ConfirmHold")]
pub struct ReleaseHold {
    pub id: Code,
    pub lines: Option<Vec<HoldPart>>,
}

impl ReleaseHold {
    pub(super) fn validate(&self) -> Result<(), Refusal> {
        hold_parts(self.lines.as_deref())
    }

    pub(super) fn digest(&self, d: &mut Digest) {
        d.number(10).text(self.id.as_str());
        digest_hold_parts(d, self.lines.as_deref());
    }
}

/// Gives a hold a new life, counted from now.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "as in PlaceHold")]
pub struct ExtendHold {
    pub id: Code,
    pub expires_in_ms: u64,
}

impl ExtendHold {
    pub(super) fn validate(&self) -> Result<(), Refusal> {
        life(self.expires_in_ms)
    }

    pub(super) fn digest(&self, d: &mut Digest) {
        d.number(11).text(self.id.as_str()).number(self.expires_in_ms);
    }
}

/// Changes a hold to these lines; what it held before does not count against it.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "as in PlaceHold")]
pub struct ChangeHold {
    pub id: Code,
    pub lines: Lines,
    pub partial: bool,
    pub strategy: Option<Strategy>,
}

impl ChangeHold {
    pub(super) fn validate(&self) -> Result<(), Refusal> {
        hold_lines(&self.lines, self.strategy)
    }

    pub(super) fn digest(&self, d: &mut Digest) {
        d.number(12).text(self.id.as_str()).flag(self.partial);
        d.maybe_text(self.strategy.map(Strategy::name));
        digest_hold_lines(d, &self.lines);
    }
}

fn life(ms: u64) -> Result<(), Refusal> {
    if ms == 0 {
        return Err(Refusal::invalid("expires_in_s", "is zero"));
    }
    if ms > EXPIRY_MS_MAX {
        return Err(Refusal::invalid("expires_in_s", "is more than 366 days"));
    }
    Ok(())
}

fn hold_lines(lines: &[HoldLine], strategy: Option<Strategy>) -> Result<(), Refusal> {
    line_count(lines.len())?;
    for (index, line) in lines.iter().enumerate() {
        positive(index, "quantity", line.quantity)?;
        if strategy == Some(Strategy::Explicit) && line.location.is_none() {
            return Err(Refusal::LocationRequired { line: numbered(index) }.of_line(index, "location"));
        }
    }
    Ok(())
}

fn hold_parts(parts: Option<&[HoldPart]>) -> Result<(), Refusal> {
    let Some(parts) = parts else { return Ok(()) };
    line_count(parts.len())?;
    let mut seen = HashSet::new();
    for (index, part) in parts.iter().enumerate() {
        if part.line == 0 {
            return Err(in_line(index, "line", "is zero: lines are counted from 1"));
        }
        if !seen.insert(part.line) {
            let refusal = Refusal::DuplicateLine { line: numbered(part.line as usize - 1) };
            return Err(refusal.of_line(index, "line"));
        }
        if let Some(quantity) = part.quantity {
            positive(index, "quantity", quantity)?;
        }
    }
    Ok(())
}

fn digest_hold_lines(digest: &mut Digest, lines: &[HoldLine]) {
    for line in lines {
        digest.text(line.site.as_str()).text(line.sku.as_str()).number(line.quantity.get());
        digest.maybe_text(line.location.as_ref().map(Code::as_str));
        digest.maybe_text(line.lot.as_ref().map(Code::as_str));
    }
}

fn digest_hold_parts(digest: &mut Digest, parts: Option<&[HoldPart]>) {
    digest.flag(parts.is_some());
    for part in parts.into_iter().flatten() {
        digest.number(part.line.into()).maybe_number(part.quantity.map(Quantity::get));
    }
}
