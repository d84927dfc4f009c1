//! What the caller gets for an accepted command.

use jaego_domain::{outcome, row::ProposalKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::{
    order::ClaimedOrder,
    picking::{Claimed, ClaimedPicks},
    stock::{Holding, Shortage},
    time::Time,
    trade::ClosedProposal,
    value::{Choice, Word},
};

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Outcome {
    /// What it is about: the id of the document, site, location, SKU or lot.
    pub id: Option<Word>,
    /// The event's number. For a dry run, the number that it would have had.
    pub sequence: u64,
    /// When.
    pub at: Time,
    /// Whether it had come of an earlier request already: nothing new happened.
    pub repeat: bool,
    /// What was allocated by it.
    #[schemars(with = "Vec<Pick>")]
    pub picks: SmallVec<[Pick; 1]>,
    /// What was short, where a part was good enough.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shortages: Vec<Shortage>,
    /// Until when a hold stands, or what a cart holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
    /// Whose holds were cut or moved by it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holders: Vec<Holding>,
    /// The wallet's balance after it, where it moved money.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance: Option<i64>,
    /// The claims that a worker got or extended by it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<Claimed>,
    /// What a new proposal is: an offer within a price tier, or a poke across tiers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposal_kind: Option<Choice<ProposalKind>>,
    /// The open proposals that nobody answered and that ended by it, oldest first, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub closed: Vec<ClosedProposal>,
}

/// A quantity at a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pick {
    /// The line: its name in a transfer, its SKU in a cart, its number from 1 in a hold or an order.
    pub line: Word,
    /// The site.
    pub site: Word,
    /// The bin.
    pub location: Word,
    /// What.
    pub sku: Word,
    /// Of which lot, where it is tracked.
    pub lot: Option<Word>,
    /// How much.
    pub quantity: u64,
}

impl Outcome {
    /// What came of a command; `repeat` where it had come of an earlier request already.
    pub fn new(outcome: &outcome::Outcome, repeat: bool) -> Self {
        Self {
            id: outcome.id.as_ref().map(Word::from),
            sequence: outcome.sequence.0,
            at: outcome.at.into(),
            repeat,
            picks: outcome.picks.iter().map(Pick::from).collect(),
            shortages: outcome.shortages.iter().map(Shortage::from).collect(),
            expires_at: outcome.expires_at.map(Time::from),
            holders: outcome.holders.iter().map(Holding::from).collect(),
            balance: outcome.balance,
            claims: claims(outcome).collect(),
            proposal_kind: outcome.proposal_kind().map(Choice::from),
            closed: outcome.closed().iter().map(ClosedProposal::from).collect(),
        }
    }
}

/// The claims that came of a command, on orders and on picks.
pub(crate) fn claims(outcome: &outcome::Outcome) -> impl Iterator<Item = Claimed> {
    let orders = outcome.claims.iter().map(|claim| Claimed::Order(ClaimedOrder::from(claim)));
    orders.chain(outcome.pick_claims.iter().map(|claim| Claimed::Picks(ClaimedPicks::from(claim))))
}

impl From<&outcome::PickView> for Pick {
    fn from(pick: &outcome::PickView) -> Self {
        Self {
            line: (&pick.line).into(),
            site: (&pick.site).into(),
            location: (&pick.location).into(),
            sku: (&pick.sku).into(),
            lot: pick.lot.as_ref().map(Word::from),
            quantity: pick.quantity.get(),
        }
    }
}
