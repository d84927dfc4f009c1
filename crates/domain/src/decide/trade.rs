//! Trades: whose a card is, and who may swap it for what.

use super::{Verdict, desk::Desk};
use crate::{
    Code, Fact, Refusal, Sequence, Tables,
    command::{AnswerProposal, Propose, SetCard, SetPriceTiers},
    event::ClosedProposal,
    limits::PROPOSALS_PER_CARD_MAX,
    row::{Card, CloseReason, Proposal, ProposalKind, ProposalStatus},
};

impl<T: Tables> Desk<'_, T> {
    pub(super) fn set_price_tiers(&self, command: &SetPriceTiers) -> Result<Verdict, Refusal> {
        match self.tables.price_tiers() {
            Some(known) if known.from == command.from => Ok(Verdict::Repeat(known.set)),
            _ => Ok(Verdict::New(Fact::PriceTiersSet { from: command.from.clone() })),
        }
    }

    pub(super) fn set_card(&self, command: &SetCard) -> Result<Verdict, Refusal> {
        let SetCard { card, owner, price, from_owner } = command.clone();
        let reason = match self.tables.card(&card) {
            None if from_owner.is_some() => return Err(Refusal::CardNotFound { card }),
            None => None,
            Some(known) if known.owner != owner => {
                owns(&card, &known.owner, from_owner.as_ref().unwrap_or(&owner))?;
                Some(CloseReason::OwnerChanged)
            }
            Some(known) if known.price != price => Some(CloseReason::PriceChanged),
            // A swap may have brought it to what is asked for: then the swap is not this request's outcome.
            Some(known) if known.set >= known.changed => return Ok(Verdict::Repeat(known.set)),
            Some(_) => None,
        };
        let closed = reason.map_or_else(Vec::new, |reason| self.closed(&[&card], None, reason));
        Ok(Verdict::New(Fact::CardSet { card, owner, price, closed }))
    }

    pub(super) fn propose(&self, command: &Propose, body: u64) -> Result<Verdict, Refusal> {
        let Propose { id, owner, from_card, to_card } = command.clone();
        if let Some(known) = self.tables.proposal(&id) {
            if known.body == body {
                return Ok(Verdict::Repeat(known.proposed));
            }
            return Err(Refusal::IdTaken { id });
        }
        let (from, to) = (self.card(&from_card)?, self.card(&to_card)?);
        if from.owner != owner {
            return Err(Refusal::CardNotOwned { card: from_card, owner, owned_by: from.owner });
        }
        if to.owner == owner {
            return Err(Refusal::SameOwner { owner, from_card, to_card });
        }
        if let Some(proposal) = self.tables.open_proposal_between(&from_card, &to_card) {
            let open = self.tables.proposal(&proposal).expect("an open proposal is there");
            let Proposal { from_card, to_card, .. } = open;
            return Err(Refusal::PairProposed { proposal, from_card, to_card });
        }
        for card in [&from_card, &to_card] {
            let proposals = self.tables.open_proposal_count(card);
            if proposals >= PROPOSALS_PER_CARD_MAX {
                let (card, max) = (card.clone(), PROPOSALS_PER_CARD_MAX);
                return Err(Refusal::TooManyProposals { card, proposals, max });
            }
        }
        let same_tier =
            self.tables.price_tiers().is_none_or(|tiers| tiers.tier(from.price) == tiers.tier(to.price));
        Ok(Verdict::New(Fact::Proposed {
            id,
            body,
            from_card,
            to_card,
            from_owner: from.owner,
            to_owner: to.owner,
            from_price: from.price,
            to_price: to.price,
            kind: if same_tier { ProposalKind::Offer } else { ProposalKind::Poke },
        }))
    }

    pub(super) fn accept_proposal(&self, command: &AnswerProposal) -> Result<Verdict, Refusal> {
        let AnswerProposal { id, owner } = command.clone();
        let known = self.known_proposal(&id)?;
        if let Some(repeated) = repeat(&known, ProposalStatus::Accepted, &known.to_owner, &owner) {
            return Ok(Verdict::Repeat(repeated));
        }
        still_open(&id, &known)?;
        owns(&known.to_card, &known.to_owner, &owner)?;
        let Proposal { from_card, to_card, from_owner, to_owner, .. } = known;
        let closed = self.closed(&[&from_card, &to_card], Some(&id), CloseReason::CardTraded);
        Ok(Verdict::New(Fact::ProposalAccepted { id, from_card, to_card, from_owner, to_owner, closed }))
    }

    pub(super) fn reject_proposal(&self, command: &AnswerProposal) -> Result<Verdict, Refusal> {
        let AnswerProposal { id, owner } = command.clone();
        let known = self.known_proposal(&id)?;
        if let Some(repeated) = repeat(&known, ProposalStatus::Rejected, &known.to_owner, &owner) {
            return Ok(Verdict::Repeat(repeated));
        }
        still_open(&id, &known)?;
        owns(&known.to_card, &known.to_owner, &owner)?;
        Ok(Verdict::New(Fact::ProposalRejected { id }))
    }

    pub(super) fn withdraw_proposal(&self, command: &AnswerProposal) -> Result<Verdict, Refusal> {
        let AnswerProposal { id, owner } = command.clone();
        let known = self.known_proposal(&id)?;
        if let Some(repeated) = repeat(&known, ProposalStatus::Withdrawn, &known.from_owner, &owner) {
            return Ok(Verdict::Repeat(repeated));
        }
        still_open(&id, &known)?;
        owns(&known.from_card, &known.from_owner, &owner)?;
        Ok(Verdict::New(Fact::ProposalWithdrawn { id }))
    }

    fn card(&self, card: &Code) -> Result<Card, Refusal> {
        self.tables.card(card).ok_or_else(|| Refusal::CardNotFound { card: card.clone() })
    }

    fn known_proposal(&self, id: &Code) -> Result<Proposal, Refusal> {
        self.tables.proposal(id).ok_or_else(|| Refusal::ProposalNotFound { proposal: id.clone() })
    }

    /// All other open proposals on these cards, oldest first. The only one that two cards share is the one between
    /// them, so that none is there twice.
    fn closed(&self, cards: &[&Code], but: Option<&Code>, reason: CloseReason) -> Vec<ClosedProposal> {
        let mut open: Vec<_> = cards.iter().flat_map(|card| self.tables.open_proposals(card)).collect();
        open.retain(|(_, id)| Some(id) != but);
        open.sort_unstable();
        open.into_iter().map(|(_, proposal)| ClosedProposal { proposal, reason }).collect()
    }
}

/// The event that gave a proposal this answer, if the same owner gave it.
fn repeat(known: &Proposal, answer: ProposalStatus, answers: &Code, owner: &Code) -> Option<Sequence> {
    let (_, sequence) = known.end?;
    (known.status() == answer && answers == owner).then_some(sequence)
}

fn still_open(id: &Code, known: &Proposal) -> Result<(), Refusal> {
    let status = known.status();
    if status == ProposalStatus::Open {
        return Ok(());
    }
    let reason = known.close_reason().map(CloseReason::name);
    Err(Refusal::ProposalEnded { proposal: id.clone(), status: status.name(), reason })
}

/// While a proposal is open, its cards are whose they were when it was made.
fn owns(card: &Code, owned_by: &Code, owner: &Code) -> Result<(), Refusal> {
    if owned_by == owner {
        return Ok(());
    }
    let (card, owner, owned_by) = (card.clone(), owner.clone(), owned_by.clone());
    Err(Refusal::CardNotOwned { card, owner, owned_by })
}
