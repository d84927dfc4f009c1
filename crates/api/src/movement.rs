//! The ledger: movements, and taking one back.

use jaego_domain::{Command, MovementId, Refusal, command};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    time::Time,
    value::{Text, Word},
};

/// Takes a movement back by one that goes the other way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct Reverse<'a> {
    /// The movement's id, such as `1042.0`.
    pub movement: Text<'a>,
}

impl Reverse<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        let movement = MovementId::parse("movement", self.movement.as_str())?;
        Ok(Command::Reverse(command::Reverse { movement, original: None }))
    }
}

/// A quantity that went from one account to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Movement {
    /// Its name: the event's sequence and the movement's place in it.
    pub id: Word,
    /// When.
    pub at: Time,
    /// Who asked for it.
    pub by: Word,
    /// Why: in the caller's words, or what was done to the document, such as `shipped`. Never empty.
    pub reason: Word,
    /// For which document.
    pub document: Option<Document>,
    /// What.
    pub sku: Word,
    /// Of which lot, where it is tracked.
    pub lot: Option<Word>,
    /// How much.
    pub quantity: u64,
    /// Where it was.
    pub from: Account,
    /// Where it is now.
    pub to: Account,
}

/// A document that something is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Document {
    /// Its kind: `hold`, `transfer`, `adjustment`, …
    pub kind: Word,
    /// Its id.
    pub id: Word,
}

/// One side of a movement: exactly one of the three shapes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Account {
    /// A bin.
    Position {
        /// Its site.
        site: Word,
        /// The bin.
        location: Word,
    },
    /// On the way between two sites.
    InTransit {
        /// The transfer.
        transfer: Word,
        /// Its line.
        line: Word,
    },
    /// The world outside: `opening`, `supplier`, `customer`, `loss` or `found`.
    Outside {
        /// Which part of it.
        outside: Word,
    },
}
