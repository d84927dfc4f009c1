//! Moves between the bins of a site.

use jaego_domain::{Command, Refusal, command};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::value::{Label, Lines, Text, Whole, code_if_any, name_or_empty};

/// Moves stock between the bins of a site. The id is the move's key, for ever.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct Move<'a> {
    /// The move's id.
    pub id: Text<'a>,
    /// The site.
    pub site: Text<'a>,
    /// Why; empty if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Label<'a>>,
    /// What moves.
    pub lines: Lines<MoveLine<'a>>,
    /// Whether held stock may move too, its holds following. Never into quarantine.
    #[serde(default)]
    pub with_holds: bool,
}

/// A line of a bin move.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct MoveLine<'a> {
    /// What.
    pub sku: Text<'a>,
    /// Of which lot: where the SKU is tracked, and only there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lot: Option<Text<'a>>,
    /// How much.
    #[schemars(range(min = 1))]
    pub quantity: Whole,
    /// From this bin.
    pub from: Text<'a>,
    /// To this bin.
    pub to: Text<'a>,
}

impl Move<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        Ok(Command::Move(command::Move {
            id: self.id.code("id")?,
            site: self.site.code("site")?,
            reason: name_or_empty(self.reason.as_ref(), "reason")?,
            lines: self.lines.map(|line| {
                Ok(command::MoveLine {
                    sku: line.sku.code("sku")?,
                    lot: code_if_any(line.lot.as_ref(), "lot")?,
                    quantity: line.quantity.quantity("quantity")?,
                    from: line.from.code("from")?,
                    to: line.to.code("to")?,
                })
            })?,
            with_holds: self.with_holds,
        }))
    }
}
