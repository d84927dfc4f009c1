//! Trades: cards, proposals to swap two of them, and price tiers.

use std::borrow::Cow;

use jaego_domain::{
    Amount, Command, Refusal, command,
    event::ClosedProposal as Closed,
    query,
    row::{CloseReason, ProposalKind, ProposalStatus},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    time::Time,
    value::{Choice, Text, Whole, Word},
};

/// Sets where the tiers of prices begin. Open proposals keep the kind that they were made with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct SetPriceTiers<'a> {
    /// Ascending lower bounds, the first of them 0: a tier ends before the next one begins.
    #[schemars(length(min = 1, max = 64))]
    pub from: Cow<'a, [Whole]>,
}

impl SetPriceTiers<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        let bound = |(index, bound): (usize, &Whole)| {
            price(*bound, "from").map_err(|refusal| match refusal {
                Refusal::InvalidValue { reason, .. } => Refusal::invalid(format!("from[{index}]"), reason),
                other => other,
            })
        };
        let from = self.from.iter().enumerate().map(bound).collect::<Result<_, _>>()?;
        Ok(Command::SetPriceTiers(command::SetPriceTiers { from }))
    }
}

/// Sets a card: makes it, or gives it another price, or another owner where `from_owner` says whose it is now. What is
/// open on a card that changes is closed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct SetCard<'a> {
    /// The card.
    pub card: Text<'a>,
    /// Whose it is from now on.
    pub owner: Text<'a>,
    /// What it is worth, in the trade's own unit: it says which tier the card is in, and moves no money.
    #[schemars(range(min = 0))]
    pub price: Whole,
    /// Whose it is now, to give it to another owner. Without it the card has to be `owner`'s already, or be new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_owner: Option<Text<'a>>,
}

impl SetCard<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        Ok(Command::SetCard(command::SetCard {
            card: self.card.code("card")?,
            owner: self.owner.code("owner")?,
            price: price(self.price, "price")?,
            from_owner: self.from_owner.as_ref().map(|from| from.code("from_owner")).transpose()?,
        }))
    }
}

fn price(number: Whole, field: &'static str) -> Result<Amount, Refusal> {
    Amount::new(field, number.quantity(field)?.get())
}

/// Proposes to swap a card for somebody else's. The id is the proposal's key, for ever.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct Propose<'a> {
    /// The proposal's id.
    pub id: Text<'a>,
    /// Who proposes, and owns the card that is given.
    pub owner: Text<'a>,
    /// The card that is given.
    pub from_card: Text<'a>,
    /// The card that is wanted.
    pub to_card: Text<'a>,
}

impl Propose<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        Ok(Command::Propose(command::Propose {
            id: self.id.code("id")?,
            owner: self.owner.code("owner")?,
            from_card: self.from_card.code("from_card")?,
            to_card: self.to_card.code("to_card")?,
        }))
    }
}

/// Accepts a proposal: both cards change hands, and every other open proposal on either of them is closed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct AcceptProposal<'a> {
    /// The proposal.
    pub proposal: Text<'a>,
    /// Who accepts: the owner of the card that is wanted.
    pub owner: Text<'a>,
}

/// Rejects a proposal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct RejectProposal<'a> {
    /// The proposal.
    pub proposal: Text<'a>,
    /// Who rejects: the owner of the card that is wanted.
    pub owner: Text<'a>,
}

/// Takes a proposal back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct WithdrawProposal<'a> {
    /// The proposal.
    pub proposal: Text<'a>,
    /// Who withdraws: the owner of the card that is given.
    pub owner: Text<'a>,
}

fn answer(proposal: &Text<'_>, owner: &Text<'_>) -> Result<command::AnswerProposal, Refusal> {
    Ok(command::AnswerProposal { id: proposal.code("proposal")?, owner: owner.code("owner")? })
}

impl AcceptProposal<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        answer(&self.proposal, &self.owner).map(Command::AcceptProposal)
    }
}

impl RejectProposal<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        answer(&self.proposal, &self.owner).map(Command::RejectProposal)
    }
}

impl WithdrawProposal<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        answer(&self.proposal, &self.owner).map(Command::WithdrawProposal)
    }
}

/// A proposal that ended without an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClosedProposal {
    /// The proposal.
    pub proposal: Word,
    /// Why: one of its cards was swapped by another proposal, or given another owner or price.
    pub reason: Choice<CloseReason>,
}

impl From<&Closed> for ClosedProposal {
    fn from(closed: &Closed) -> Self {
        Self { proposal: (&closed.proposal).into(), reason: closed.reason.into() }
    }
}

/// Where the tiers of prices begin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PriceTiers {
    /// Ascending lower bounds, the first of them 0; only 0 where nobody set any.
    pub from: Vec<u64>,
}

impl From<&query::PriceTiersView> for PriceTiers {
    fn from(view: &query::PriceTiersView) -> Self {
        Self { from: view.from.iter().map(|bound| bound.get()).collect() }
    }
}

/// A card.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Card {
    /// The card.
    pub card: Word,
    /// Whose it is.
    pub owner: Word,
    /// What it is worth, in the trade's own unit.
    pub price: u64,
    /// How many proposals are open that give it or want it: at most 1,000.
    pub open_proposals: usize,
}

impl From<&query::CardView> for Card {
    fn from(view: &query::CardView) -> Self {
        Self {
            card: (&view.card).into(),
            owner: (&view.owner).into(),
            price: view.price.get(),
            open_proposals: view.open_proposals,
        }
    }
}

/// A proposal to swap two cards. Owners and prices are those of the time when it was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Proposal {
    /// Its id.
    pub id: Word,
    /// How it stands.
    pub status: Choice<ProposalStatus>,
    /// What it is: an offer within a price tier, or a poke across tiers.
    pub kind: Choice<ProposalKind>,
    /// The card that is given.
    pub from_card: Word,
    /// The card that is wanted.
    pub to_card: Word,
    /// Who proposes.
    pub from_owner: Word,
    /// Who may accept.
    pub to_owner: Word,
    /// What the given card was worth.
    pub from_price: u64,
    /// What the wanted card was worth.
    pub to_price: u64,
    /// When it was made.
    pub proposed_at: Time,
    /// Why it was closed, if it was.
    pub reason: Option<Choice<CloseReason>>,
}

impl From<&query::ProposalView> for Proposal {
    fn from(view: &query::ProposalView) -> Self {
        Self {
            id: (&view.id).into(),
            status: view.status.into(),
            kind: view.kind.into(),
            from_card: (&view.from_card).into(),
            to_card: (&view.to_card).into(),
            from_owner: (&view.from_owner).into(),
            to_owner: (&view.to_owner).into(),
            from_price: view.from_price.get(),
            to_price: view.to_price.get(),
            proposed_at: view.proposed_at.into(),
            reason: view.reason.map(Choice::from),
        }
    }
}
