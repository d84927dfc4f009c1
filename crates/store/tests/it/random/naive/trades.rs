//! The obvious version of trades: who has which card, and which proposals nobody has ended.

use std::collections::{BTreeMap, BTreeSet};

use jaego_domain::{Amount, Code, Fact, Memory, Tables, event::ClosedProposal};

#[derive(Default)]
pub(super) struct Trades {
    cards: BTreeMap<Code, (Code, Amount)>,
    /// By id: the card that is given, and the one that is wanted.
    open: BTreeMap<Code, (Code, Code)>,
}

impl Trades {
    pub(super) fn apply(&mut self, fact: &Fact) {
        match fact {
            Fact::CardSet { card, owner, price, closed } => {
                let new = (owner.clone(), *price);
                let before = self.cards.insert(card.clone(), new.clone());
                let changes = before.is_some_and(|before| before != new);
                self.close(closed, |from, to| changes && (from == card || to == card));
            }
            Fact::Proposed { id, from_card, to_card, from_owner, to_owner, from_price, to_price, .. } => {
                for (card, owner, price) in
                    [(from_card, from_owner, from_price), (to_card, to_owner, to_price)]
                {
                    assert_eq!(
                        self.cards[card],
                        (owner.clone(), *price),
                        "a proposal says how its cards are"
                    );
                }
                assert_ne!(from_owner, to_owner, "nobody swaps with themselves");
                let pair = |from: &Code, to: &Code| BTreeSet::from([from.clone(), to.clone()]);
                let rivals = self.open.values().filter(|(a, b)| pair(a, b) == pair(from_card, to_card));
                assert_eq!(rivals.count(), 0, "a pair has one open proposal, in either direction");
                self.open.insert(id.clone(), (from_card.clone(), to_card.clone()));
            }
            Fact::ProposalAccepted { id, from_card, to_card, closed, .. } => {
                self.open.remove(id).expect("what is accepted was open");
                let gives = self.cards[from_card].0.clone();
                let takes = self.cards[to_card].0.clone();
                self.cards.get_mut(from_card).unwrap().0 = takes;
                self.cards.get_mut(to_card).unwrap().0 = gives;
                let is_swapped = |card: &Code| card == from_card || card == to_card;
                self.close(closed, |from, to| is_swapped(from) || is_swapped(to));
            }
            Fact::ProposalRejected { id } | Fact::ProposalWithdrawn { id } => {
                self.open.remove(id).expect("what is ended was open");
            }
            _ => {}
        }
    }

    /// Ends what an event says, which has to be all that it must.
    fn close(&mut self, closed: &[ClosedProposal], must: impl Fn(&Code, &Code) -> bool) {
        let said: BTreeSet<_> = closed.iter().map(|closed| closed.proposal.clone()).collect();
        let due = self.open.iter().filter(|(_, (from, to))| must(from, to)).map(|(id, _)| id.clone());
        assert_eq!(said, due.collect(), "an event ends what is open on its cards, and nothing else");
        self.open.retain(|id, _| !said.contains(id));
    }

    /// Compares every card and every open proposal with the tables.
    pub(super) fn agrees(&self, memory: &Memory) -> Result<(), String> {
        for (card, (owner, price)) in &self.cards {
            let row = memory.card(card).ok_or_else(|| format!("there is no card {card}"))?;
            if (&row.owner, &row.price) != (owner, price) {
                return Err(format!("card {card} is {owner}'s at {price}, the tables say {row:?}"));
            }
            let ours: BTreeSet<_> = self
                .open
                .iter()
                .filter(|(_, (from, to))| from == card || to == card)
                .map(|(id, _)| id)
                .collect();
            let theirs = memory.open_proposals(card);
            if !theirs.is_sorted() || ours != theirs.iter().map(|(_, id)| id).collect() {
                return Err(format!("{ours:?} are open on card {card}, the tables say {theirs:?}"));
            }
            for other in self.cards.keys() {
                let is_between = |(from, to): &(Code, Code)| {
                    (from == card && to == other) || (from == other && to == card)
                };
                let ours = self.open.iter().find(|(_, pair)| is_between(pair)).map(|(id, _)| id.clone());
                let theirs = memory.open_proposal_between(card, other);
                if ours != theirs {
                    return Err(format!("{card} and {other}: {ours:?} is open, the tables say {theirs:?}"));
                }
            }
        }
        Ok(())
    }
}
