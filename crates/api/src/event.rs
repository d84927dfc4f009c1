//! The feed of events.

use jaego_domain::row::ProposalKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    movement::{Document, Movement},
    outcome::Pick,
    picking::{Claimed, Picks},
    stock::{Holding, Shortage},
    time::Time,
    trade::ClosedProposal,
    value::{Choice, Word},
};

/// Something that happened. Lists that are empty are left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// Its number, from 1 without gaps; also the cursor to go on from.
    pub sequence: u64,
    /// When.
    pub at: Time,
    /// What kind: `held`, `transfer_allocated`, …
    pub kind: Word,
    /// Who asked for it: a token's name, or `system`.
    pub by: Word,
    /// The document that it is about.
    pub document: Option<Document>,
    /// What was allocated by it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub picks: Vec<Pick>,
    /// What was short.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shortages: Vec<Shortage>,
    /// Until when a hold stands, or what a cart holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
    /// Whose holds were cut or moved by it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holders: Vec<Holding>,
    /// What went where.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub movements: Vec<Movement>,
    /// What crossed its safety level.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub watched: Vec<Watched>,
    /// The holds that lapsed, the orders whose claims did, or the carts whose items are held no longer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lapsed: Vec<Word>,
    /// What money went into a wallet or out of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub money: Option<MoneyMovement>,
    /// The claims that a worker got or extended by it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<Claimed>,
    /// What a new proposal is: an offer within a price tier, or a poke across tiers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposal_kind: Option<Choice<ProposalKind>>,
    /// The open proposals that nobody answered and that ended by it, oldest first, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub closed: Vec<ClosedProposal>,
    /// The orders that got stock that they had waited for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filled: Vec<Word>,
    /// The pick work that waits again: claims on it lapsed, or were given up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub returned: Vec<Picks>,
}

/// Money that went into a wallet or out of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MoneyMovement {
    /// Whose wallet.
    pub owner: Word,
    /// The currency.
    pub currency: Word,
    /// By how much the balance changed, in the currency's minor unit.
    pub change: i64,
    /// The balance from then on.
    pub balance: i64,
    /// The account on the other side: `payment_provider` or `sales`.
    pub outside: Word,
}

/// Stock that crossed its safety level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Watched {
    /// The site.
    pub site: Word,
    /// What.
    pub sku: Word,
    /// How much was available then.
    pub available: u64,
    /// The safety level.
    pub level: u64,
    /// Whether it fell below the level; otherwise it recovered.
    pub low: bool,
}
