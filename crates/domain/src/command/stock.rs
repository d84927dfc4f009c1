//! Stock that is adjusted, moved between bins, and movements that are reversed.

use std::collections::BTreeSet;

use super::{in_line, line_count, positive};
use crate::{
    Code, Digest, Movement, MovementId, Name, Outside, Quantity, Refusal, limits::RELEASED_HOLDERS_MAX,
    row::HolderKind,
};

/// Adjusts stock: what came from outside, what went there, what a count found.
#[derive(Clone, Debug, PartialEq)]
pub struct Adjust {
    /// The adjustment's id: its key, for ever.
    pub id: Code,
    /// Why.
    pub reason: Name,
    /// At least one.
    pub lines: Vec<AdjustLine>,
    /// Whose holds may be cut where too little would be left for them; without it nobody's.
    pub release: Option<Release>,
}

/// Whose holds give up what an adjustment needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Release {
    /// Anybody's.
    All,
    /// Those of these documents alone, with all of their lines: at least one and at most [`RELEASED_HOLDERS_MAX`].
    /// One that holds nothing there is as good as not named: somebody else may have released it meanwhile.
    Of(BTreeSet<HolderName>),
}

/// Names a document that holds stock.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the fields are the name")]
pub struct HolderName {
    pub kind: HolderKind,
    pub id: Code,
}

impl Release {
    /// Whether so many documents can be named, before they are.
    pub fn fits(names: usize) -> Result<(), Refusal> {
        match names {
            0 => Err(Refusal::invalid("release", "names nobody")),
            names if names > RELEASED_HOLDERS_MAX => {
                Err(Refusal::invalid("release", format!("names more than {RELEASED_HOLDERS_MAX} holders")))
            }
            _ => Ok(()),
        }
    }

    /// The numbers are a promise, as all of a fingerprint is: the first two are the bytes of no and yes.
    fn digest(release: Option<&Self>, d: &mut Digest) {
        match release {
            None => d.flag(false),
            Some(Self::All) => d.flag(true),
            Some(Self::Of(names)) => {
                d.byte(2).number(names.len() as u64);
                for name in names {
                    let kind = match name.kind {
                        HolderKind::Hold => 1,
                        HolderKind::Transfer => 2,
                        HolderKind::Order => 3,
                        HolderKind::Cart => 4,
                    };
                    d.byte(kind).text(name.id.as_str());
                }
                d
            }
        };
    }
}

impl Adjust {
    pub(super) fn validate(&self) -> Result<(), Refusal> {
        line_count(self.lines.len())?;
        if let Some(Release::Of(names)) = &self.release {
            Release::fits(names.len())?;
        }
        self.lines.iter().enumerate().try_for_each(|(index, line)| match line.change {
            Change::Add(quantity, _) | Change::Remove(quantity, _) => positive(index, "change", quantity),
            Change::Counted(_) => Ok(()),
        })
    }

    pub(super) fn digest(&self, d: &mut Digest) {
        d.number(5).text(self.id.as_str()).text(self.reason.as_str());
        Release::digest(self.release.as_ref(), d);
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
        self.lines.iter().enumerate().try_for_each(|(index, line)| {
            if line.from == line.to {
                return Err(in_line(index, "to", "is where the goods already are"));
            }
            positive(index, "quantity", line.quantity)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::QUANTITY_MAX;

    /// Ids that stand in old journals are told from others by these bytes.
    #[test]
    fn an_adjustment_that_names_nobody_has_the_fingerprint_that_it_always_had() {
        let code = |text| Code::new("code", text).unwrap();
        let adjust = |release| {
            let mut digest = Digest::default();
            Adjust {
                id: code("J1"),
                reason: Name::default(),
                lines: vec![AdjustLine {
                    site: code("ICN"),
                    location: code("A-01"),
                    sku: code("mug"),
                    lot: None,
                    change: Change::Counted(Quantity::new("quantity", QUANTITY_MAX).unwrap()),
                }],
                release,
            }
            .digest(&mut digest);
            digest.finish()
        };
        let always = |release_holds| {
            let mut digest = Digest::default();
            digest.number(5).text("J1").text("").flag(release_holds);
            digest.text("ICN").text("A-01").text("mug").maybe_text(None).number(3).number(QUANTITY_MAX);
            digest.finish()
        };
        assert_eq!(adjust(None), always(false));
        assert_eq!(adjust(Some(Release::All)), always(true));
        let named = |kind| Release::Of([HolderName { kind, id: code("N1") }].into());
        let all = [HolderKind::Hold, HolderKind::Transfer, HolderKind::Order, HolderKind::Cart];
        let mut told: BTreeSet<u64> = all.map(|kind| adjust(Some(named(kind)))).into();
        told.extend([always(false), always(true)]);
        assert_eq!(told.len(), 6, "whose holds are released is a part of it");
    }
}
