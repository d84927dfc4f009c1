//! The rows of trades: cards with an owner and a price, proposals to swap two of them, and price tiers.

use crate::{Amount, Code, Refusal, Sequence, Timestamp};

/// A thing that somebody owns and may swap for somebody else's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// Whose it is.
    pub owner: Code,
    /// What it is worth, in the trade's own unit: a whole number that says which tier the card is in. No money
    /// moves by it.
    pub price: Amount,
    /// The event that made it.
    pub made: Sequence,
    /// The event that last set it.
    pub set: Sequence,
    /// The event that last gave it another owner or price.
    pub changed: Sequence,
}

/// Which tier a price is in: tiers begin at ascending lower bounds, the first at zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceTiers {
    /// Where each tier begins; it ends before the next one does.
    pub from: Vec<Amount>,
    /// The event that last set them.
    pub set: Sequence,
}

impl PriceTiers {
    /// The number of the tier that a price is in, from 0.
    pub fn tier(&self, price: Amount) -> usize {
        self.from.partition_point(|from| *from <= price) - 1
    }
}

/// What a proposal is called by the tiers of its two cards as it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProposalKind {
    /// 오퍼: both cards are in one tier.
    Offer,
    /// 찔러보기: they are in different ones.
    Poke,
}

impl ProposalKind {
    /// Both of them, in the order of their tags.
    pub const ALL: [Self; 2] = [Self::Offer, Self::Poke];

    /// The name in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Offer => "offer",
            Self::Poke => "poke",
        }
    }
}

/// How a proposal stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProposalStatus {
    /// It waits for an answer.
    Open,
    /// The cards were swapped.
    Accepted,
    /// The other owner said no.
    Rejected,
    /// Who made it took it back.
    Withdrawn,
    /// It ended because one of its cards is not what it was: see [`CloseReason`].
    Closed,
}

impl ProposalStatus {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Open, Self::Accepted, Self::Rejected, Self::Withdrawn, Self::Closed];

    /// The name in answers and filters.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Withdrawn => "withdrawn",
            Self::Closed => "closed",
        }
    }

    /// Reads a name. Refuses with `invalid_value`.
    pub fn parse(field: &'static str, name: &str) -> Result<Self, Refusal> {
        let found = Self::ALL.into_iter().find(|status| status.name() == name);
        found.ok_or_else(|| Refusal::invalid(field, "is not open, accepted, rejected, withdrawn or closed"))
    }
}

/// Why a proposal was closed that nobody answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CloseReason {
    /// One of its cards was swapped by another proposal.
    CardTraded,
    /// One of its cards was given another owner.
    OwnerChanged,
    /// One of its cards was given another price.
    PriceChanged,
}

impl CloseReason {
    /// All of them, in the order of their tags.
    pub const ALL: [Self; 3] = [Self::CardTraded, Self::OwnerChanged, Self::PriceChanged];

    /// The name in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::CardTraded => "card_traded",
            Self::OwnerChanged => "owner_changed",
            Self::PriceChanged => "price_changed",
        }
    }
}

/// How a proposal ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProposalEnd {
    /// The cards were swapped.
    Accepted,
    /// The other owner said no.
    Rejected,
    /// Who made it took it back.
    Withdrawn,
    /// One of its cards changed.
    Closed(CloseReason),
}

/// A proposal to swap two cards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The card that is given.
    pub from_card: Code,
    /// The card that is wanted.
    pub to_card: Code,
    /// Whose the given card was: who proposes, and may withdraw.
    pub from_owner: Code,
    /// Whose the wanted card was: who may accept or reject.
    pub to_owner: Code,
    /// What the given card was worth.
    pub from_price: Amount,
    /// What the wanted card was worth.
    pub to_price: Amount,
    /// By the tiers of then; later tiers do not change it.
    pub kind: ProposalKind,
    /// The fingerprint of the request.
    pub body: u64,
    /// The event that made it.
    pub proposed: Sequence,
    /// When it was made.
    pub proposed_at: Timestamp,
    /// How it ended, and by which event.
    pub end: Option<(ProposalEnd, Sequence)>,
}

impl Proposal {
    /// How it stands.
    pub fn status(&self) -> ProposalStatus {
        match self.end {
            None => ProposalStatus::Open,
            Some((ProposalEnd::Accepted, _)) => ProposalStatus::Accepted,
            Some((ProposalEnd::Rejected, _)) => ProposalStatus::Rejected,
            Some((ProposalEnd::Withdrawn, _)) => ProposalStatus::Withdrawn,
            Some((ProposalEnd::Closed(_), _)) => ProposalStatus::Closed,
        }
    }

    /// Why it was closed, if it was.
    pub fn close_reason(&self) -> Option<CloseReason> {
        match self.end {
            Some((ProposalEnd::Closed(reason), _)) => Some(reason),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tier_begins_at_its_bound_and_ends_before_the_next() {
        let amount = |units| Amount::new("price", units).unwrap();
        let from = [0, 10_000, 50_000].map(amount).to_vec();
        let tiers = PriceTiers { from, set: Sequence(1) };
        let tier = |units| tiers.tier(amount(units));
        assert_eq!([0, 9_999, 10_000, 49_999, 50_000, u64::from(u32::MAX)].map(tier), [0, 0, 1, 1, 2, 2]);
    }
}
