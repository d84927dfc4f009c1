//! Adjustments: what came from outside, what went there, what a count found.

use jaego_domain::{
    Command, Outside, Quantity, Refusal, command,
    command::{Change, Release},
    row::HolderKind,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    limits::RELEASED_HOLDERS_MAX,
    value::{Choice, Label, Lines, Text, Whole, code_if_any, name_or_empty},
};

/// Adjusts stock. The id is the adjustment's key, for ever.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct Adjust<'a> {
    /// The adjustment's id.
    pub id: Text<'a>,
    /// Why; empty if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Label<'a>>,
    /// What changes.
    pub lines: Lines<AdjustLine<'a>>,
    /// Whether holds are cut where too little would be left for them. Otherwise that is refused.
    #[serde(default)]
    pub release_holds: bool,
    /// Whose holds may be cut there, and nobody else's: what the others hold stays. Excludes `release_holds`. Who is
    /// named and holds nothing does no harm.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = RELEASED_HOLDERS_MAX))]
    pub release: Option<Lines<HolderName<'a>>>,
}

/// A document that holds stock, with all of its lines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct HolderName<'a> {
    /// Which kind of document.
    pub kind: Choice<HolderKind>,
    /// Its id.
    pub id: Text<'a>,
}

/// A line of an adjustment: either `change` or `counted`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct AdjustLine<'a> {
    /// The site.
    pub site: Text<'a>,
    /// The bin.
    pub location: Text<'a>,
    /// What.
    pub sku: Text<'a>,
    /// Of which lot: where the SKU is tracked, and only there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lot: Option<Text<'a>>,
    /// So much more, or so much less where it is negative.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<Whole>,
    /// So much is there, whatever the books say; the difference is `found` or `loss`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub counted: Option<Whole>,
    /// The account on the other side of `change`; if not said, `found` for more and `loss` for less.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<Choice<Outside>>,
}

impl Adjust<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        Ok(Command::Adjust(command::Adjust {
            id: self.id.code("id")?,
            reason: name_or_empty(self.reason.as_ref(), "reason")?,
            lines: self.lines.map(AdjustLine::line)?,
            release: self.release()?,
        }))
    }

    fn release(&self) -> Result<Option<Release>, Refusal> {
        let Some(named) = &self.release else { return Ok(self.release_holds.then_some(Release::All)) };
        if self.release_holds {
            return Err(Refusal::invalid("release", "excludes release_holds"));
        }
        Release::fits(named.count())?;
        Ok(Some(Release::Of(named.map_in("release", HolderName::name)?)))
    }
}

impl HolderName<'_> {
    fn name(&self) -> Result<command::HolderName, Refusal> {
        Ok(command::HolderName { kind: self.kind.get("kind")?, id: self.id.code("id")? })
    }
}

impl AdjustLine<'_> {
    fn line(&self) -> Result<command::AdjustLine, Refusal> {
        Ok(command::AdjustLine {
            site: self.site.code("site")?,
            location: self.location.code("location")?,
            sku: self.sku.code("sku")?,
            lot: code_if_any(self.lot.as_ref(), "lot")?,
            change: self.change()?,
        })
    }

    fn change(&self) -> Result<Change, Refusal> {
        let account = self.account.as_ref().map(|account| account.get("account")).transpose()?;
        let change = match (self.change, self.counted) {
            (Some(change), None) => change.signed("change")?,
            (None, Some(_)) if account.is_some() => {
                return Err(Refusal::invalid("account", "goes with change, and not with counted"));
            }
            (None, Some(counted)) => return Ok(Change::Counted(counted.quantity("counted")?)),
            (Some(_), Some(_)) => return Err(Refusal::invalid("counted", "excludes change")),
            (None, None) => return Err(Refusal::invalid("change", "is missing, and counted is too")),
        };
        let quantity = Quantity::new("change", change.unsigned_abs())?;
        if quantity.is_zero() {
            return Err(Refusal::invalid("change", "is zero"));
        }
        Ok(match change > 0 {
            true => Change::Add(quantity, account.unwrap_or(Outside::Found)),
            false => Change::Remove(quantity, account.unwrap_or(Outside::Loss)),
        })
    }
}
