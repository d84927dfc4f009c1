//! Cards and proposals as they are shown.

use crate::{
    Amount, Code, Tables, Timestamp,
    refusal::Refusal,
    row::{self, CloseReason, ProposalKind, ProposalStatus},
};

/// Where the tiers of prices begin.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "said above")]
pub struct PriceTiersView {
    pub from: Vec<Amount>,
}

/// A card.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are those of the row")]
pub struct CardView {
    pub card: Code,
    pub owner: Code,
    pub price: Amount,
    /// How many proposals are open that give it or want it.
    pub open_proposals: usize,
}

/// A proposal. Owners and prices are those of the time when it was made.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are those of the row")]
pub struct ProposalView {
    pub id: Code,
    pub status: ProposalStatus,
    pub kind: ProposalKind,
    pub from_card: Code,
    pub to_card: Code,
    pub from_owner: Code,
    pub to_owner: Code,
    pub from_price: Amount,
    pub to_price: Amount,
    pub proposed_at: Timestamp,
    /// Why it was closed, if it was.
    pub reason: Option<CloseReason>,
}

/// The price tiers: one that begins at zero where nobody ever set them.
pub fn price_tiers(tables: &impl Tables) -> PriceTiersView {
    PriceTiersView { from: tables.price_tiers().map_or_else(|| vec![Amount::ZERO], |tiers| tiers.from) }
}

/// A card as it is shown.
pub fn card(tables: &impl Tables, card: &Code, row: &row::Card) -> CardView {
    let open_proposals = tables.open_proposal_count(card);
    CardView { card: card.clone(), owner: row.owner.clone(), price: row.price, open_proposals }
}

/// A card as it is shown, by its code. Refuses with `card_not_found`.
pub fn known_card(tables: &impl Tables, code: &Code) -> Result<CardView, Refusal> {
    let Some(row) = tables.card(code) else {
        return Err(Refusal::CardNotFound { card: code.clone() });
    };
    Ok(card(tables, code, &row))
}

/// A proposal as it is shown.
pub fn proposal(id: &Code, row: &row::Proposal) -> ProposalView {
    let row::Proposal { from_card, to_card, from_owner, to_owner, from_price, to_price, .. } = row.clone();
    ProposalView {
        id: id.clone(),
        status: row.status(),
        kind: row.kind,
        from_card,
        to_card,
        from_owner,
        to_owner,
        from_price,
        to_price,
        proposed_at: row.proposed_at,
        reason: row.close_reason(),
    }
}

/// A proposal as it is shown, by its id. Refuses with `proposal_not_found`.
pub fn known_proposal(tables: &impl Tables, id: &Code) -> Result<ProposalView, Refusal> {
    let Some(row) = tables.proposal(id) else {
        return Err(Refusal::ProposalNotFound { proposal: id.clone() });
    };
    Ok(proposal(id, &row))
}
