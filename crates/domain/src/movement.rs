//! Movements: the truth about stock. Every event that changes what lies somewhere says what went where.

use std::fmt;

use crate::{Code, LotId, Place, Quantity, Sequence, SkuId, refusal::Refusal};

/// The world outside the sites, by name. For every SKU the sum over all accounts, these included, is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outside {
    /// What was there when the books were opened.
    Opening,
    /// Who delivers to us.
    Supplier,
    /// Who gets it.
    Customer,
    /// Where missing goods went.
    Loss,
    /// Where surplus goods came from.
    Found,
}

impl Outside {
    /// All of them, in the order of their tags.
    pub const ALL: [Self; 5] = [Self::Opening, Self::Supplier, Self::Customer, Self::Loss, Self::Found];

    /// The name in requests, answers and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Supplier => "supplier",
            Self::Customer => "customer",
            Self::Loss => "loss",
            Self::Found => "found",
        }
    }

    /// Reads a name. Refuses with `invalid_value`.
    pub fn parse(field: &'static str, name: &str) -> Result<Self, Refusal> {
        Self::ALL
            .into_iter()
            .find(|outside| outside.name() == name)
            .ok_or_else(|| Refusal::invalid(field, "is not opening, supplier, customer, loss or found"))
    }
}

/// One side of a movement.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    /// A position.
    Position(Place),
    /// Somewhere outside.
    Outside(Outside),
    /// On the way between two sites, for one line of a transfer (counted from 0).
    InTransit {
        /// The transfer.
        transfer: Code,
        /// The line's index.
        line: u32,
    },
}

/// A quantity that went from one account to another. The event says when, why, by whom and for which document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Movement {
    /// What moved.
    pub sku: SkuId,
    /// Of which lot.
    pub lot: LotId,
    /// How much: never zero.
    pub quantity: Quantity,
    /// Where it was.
    pub from: Account,
    /// Where it is now.
    pub to: Account,
}

/// Names a movement: the event's sequence and the movement's place in it, written `1042.0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MovementId {
    /// The event.
    pub sequence: Sequence,
    /// Which of the event's movements, from 0.
    pub index: u32,
}

impl MovementId {
    /// Reads `1042.0`. Refuses with `invalid_value`.
    pub fn parse(field: &'static str, text: &str) -> Result<Self, Refusal> {
        let parts = text.split_once('.').and_then(|(sequence, index)| {
            let plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            (plain(sequence) && plain(index)).then_some(())?;
            Some(Self { sequence: Sequence(sequence.parse().ok()?), index: index.parse().ok()? })
        });
        parts.ok_or_else(|| Refusal::invalid(field, "is not a movement written as sequence.index"))
    }
}

impl fmt::Display for MovementId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.sequence, self.index)
    }
}
