//! The laws of trades.

use std::collections::BTreeMap;

use super::Proof;
use crate::{Code, Memory, Tables, row::Proposal};

/// What was seen of trades on the way through the rows.
#[derive(Default)]
pub(super) struct Trades {
    cards: Vec<Code>,
    /// The open proposals, by the pair of their cards in the order of their codes.
    pairs: BTreeMap<(Code, Code), Code>,
}

impl Trades {
    pub(super) fn card(&mut self, card: Code) {
        self.cards.push(card);
    }

    pub(super) fn proposal(
        &mut self,
        memory: &Memory,
        id: Code,
        proposal: &Proposal,
        proof: &mut Proof,
        wrong: &mut Vec<String>,
    ) {
        if proposal.end.is_some() {
            return;
        }
        proof.open_proposals += 1;
        let Proposal { from_card, to_card, from_owner, to_owner, .. } = proposal;
        if from_owner == to_owner {
            wrong.push(format!("proposal {id} swaps two cards of {from_owner}"));
        }
        for (card, owner, price) in
            [(from_card, from_owner, proposal.from_price), (to_card, to_owner, proposal.to_price)]
        {
            let Some(row) = memory.card(card) else {
                wrong.push(format!("proposal {id} is open on {card}, which is no card"));
                continue;
            };
            if row.owner != *owner || row.price != price || row.changed > proposal.proposed {
                wrong.push(format!("proposal {id} is open, and its card {card} has changed since: {row:?}"));
            }
        }
        if memory.open_proposal_between(from_card, to_card).as_ref() != Some(&id) {
            wrong.push(format!("proposal {id} is open and not found by its pair"));
        }
        let (first, second) = (from_card.min(to_card).clone(), from_card.max(to_card).clone());
        if let Some(other) = self.pairs.insert((first, second), id.clone()) {
            wrong.push(format!("proposals {other} and {id} are open for one pair of cards"));
        }
    }

    /// Holds the indexes against the rows: what is open is there under both of its cards, and nothing else is.
    pub(super) fn close(self, memory: &Memory, wrong: &mut Vec<String>) {
        let mut indexed = 0;
        for card in &self.cards {
            for (_, id) in memory.open_proposals(card) {
                indexed += 1;
                let names_it = memory
                    .proposal(&id)
                    .is_some_and(|row| row.end.is_none() && (row.from_card == *card || row.to_card == *card));
                if !names_it {
                    wrong.push(format!("proposal {id} is found under card {card} and is not open there"));
                }
            }
        }
        let open = self.pairs.len();
        if indexed != 2 * open || memory.counts().open_proposals != open as u64 {
            wrong.push(format!("{open} proposals are open, and {indexed} are found under their two cards"));
        }
    }
}
