//! Trades: cards, price tiers, and proposals to swap two cards.

use crate::{Amount, Code, Digest, Refusal, limits::PRICE_TIERS_MAX};

/// Sets where the tiers of prices begin. Open proposals keep the kind that they were made with.
#[derive(Clone, Debug, PartialEq)]
pub struct SetPriceTiers {
    /// Ascending lower bounds, the first of them zero.
    pub from: Vec<Amount>,
}

/// Sets a card: makes it, or gives it another owner or price, which closes its open proposals. Whose it is now is said
/// and compared, so that a change that was sent before a swap was seen takes nothing back.
#[derive(Clone, Debug, PartialEq)]
pub struct SetCard {
    /// Which one.
    pub card: Code,
    /// Whose it is from now on.
    pub owner: Code,
    /// What it is worth, in the trade's own unit.
    pub price: Amount,
    /// Whose it is now, to give it to another owner. Without it the card has to be `owner`'s already, or be new.
    pub from_owner: Option<Code>,
}

/// Proposes to swap a card for somebody else's.
#[derive(Clone, Debug, PartialEq)]
pub struct Propose {
    /// The proposal's id: its key, for ever.
    pub id: Code,
    /// Who proposes, and owns the card that is given.
    pub owner: Code,
    /// The card that is given.
    pub from_card: Code,
    /// The card that is wanted.
    pub to_card: Code,
}

/// Answers a proposal, or takes it back.
#[derive(Clone, Debug, PartialEq)]
pub struct AnswerProposal {
    /// Which one.
    pub id: Code,
    /// Who answers: the owner of the wanted card to accept or reject, that of the given card to withdraw.
    pub owner: Code,
}

impl SetPriceTiers {
    pub(super) fn validate(&self) -> Result<(), Refusal> {
        if self.from.len() > PRICE_TIERS_MAX {
            return Err(Refusal::invalid("from", format!("has more than {PRICE_TIERS_MAX} bounds")));
        }
        if self.from.first() != Some(&Amount::ZERO) {
            return Err(Refusal::invalid("from", "does not begin with 0: every price is in a tier"));
        }
        if !self.from.is_sorted_by(|a, b| a < b) {
            return Err(Refusal::invalid("from", "does not ascend"));
        }
        Ok(())
    }

    pub(super) fn digest(&self, digest: &mut Digest) {
        digest.number(60);
        for bound in &self.from {
            digest.number(bound.get());
        }
    }
}

impl SetCard {
    pub(super) fn digest(&self, digest: &mut Digest) {
        digest.number(61).text(self.card.as_str()).text(self.owner.as_str()).number(self.price.get());
        if let Some(from) = &self.from_owner {
            digest.text(from.as_str());
        }
    }
}

impl Propose {
    pub(super) fn validate(&self) -> Result<(), Refusal> {
        if self.from_card == self.to_card {
            return Err(Refusal::invalid("to_card", "is the card that is given"));
        }
        Ok(())
    }

    pub(super) fn digest(&self, digest: &mut Digest) {
        digest.number(62).text(self.id.as_str()).text(self.owner.as_str());
        digest.text(self.from_card.as_str()).text(self.to_card.as_str());
    }
}

impl AnswerProposal {
    /// `answer` tells accepting, rejecting and withdrawing apart.
    pub(super) fn digest(&self, digest: &mut Digest, answer: u64) {
        digest.number(answer).text(self.id.as_str()).text(self.owner.as_str());
    }
}
