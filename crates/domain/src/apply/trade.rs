//! Cards and proposals: what the facts of trades write.

use super::book::Book;
use crate::{
    Code, Fact, Row, Tables,
    event::ClosedProposal,
    row::{Card, PriceTiers, Proposal, ProposalEnd},
};

impl<T: Tables> Book<'_, T> {
    pub(super) fn apply_trade(&mut self, fact: &Fact) {
        let set = self.event.sequence;
        match fact {
            Fact::PriceTiersSet { from } => {
                self.put(Row::PriceTiers(Some(Box::new(PriceTiers { from: from.clone(), set }))));
            }
            Fact::CardSet { card, owner, price, closed } => {
                self.close(closed);
                let known = self.tables.card(card);
                let (made, changed) = match &known {
                    None => (set, set),
                    Some(known) if known.owner == *owner && known.price == *price => {
                        (known.made, known.changed)
                    }
                    Some(known) => (known.made, set),
                };
                let row = Card { owner: owner.clone(), price: *price, made, set, changed };
                self.put(Row::Card(card.clone(), Some(row)));
            }
            Fact::Proposed {
                id,
                body,
                from_card,
                to_card,
                from_owner,
                to_owner,
                from_price,
                to_price,
                kind,
            } => {
                let proposal = Proposal {
                    from_card: from_card.clone(),
                    to_card: to_card.clone(),
                    from_owner: from_owner.clone(),
                    to_owner: to_owner.clone(),
                    from_price: *from_price,
                    to_price: *to_price,
                    kind: *kind,
                    body: *body,
                    proposed: set,
                    proposed_at: self.event.at,
                    end: None,
                };
                self.put(Row::Proposal(id.clone(), Some(Box::new(proposal))));
            }
            Fact::ProposalAccepted { id, from_card, to_card, from_owner, to_owner, closed } => {
                self.end_proposal(id, ProposalEnd::Accepted);
                self.close(closed);
                self.hand_over(from_card, from_owner, to_owner);
                self.hand_over(to_card, to_owner, from_owner);
            }
            Fact::ProposalRejected { id } => self.end_proposal(id, ProposalEnd::Rejected),
            Fact::ProposalWithdrawn { id } => self.end_proposal(id, ProposalEnd::Withdrawn),
            other => panic!("{} is no fact of trades", other.kind()),
        }
    }

    fn close(&mut self, closed: &[ClosedProposal]) {
        for closed in closed {
            self.end_proposal(&closed.proposal, ProposalEnd::Closed(closed.reason));
        }
    }

    fn end_proposal(&mut self, id: &Code, end: ProposalEnd) {
        let mut proposal = self.tables.proposal(id).expect("a proposal that ends is there");
        assert!(proposal.end.is_none(), "proposal {id} ends once");
        proposal.end = Some((end, self.event.sequence));
        self.put(Row::Proposal(id.clone(), Some(Box::new(proposal))));
    }

    /// Gives a card from one owner to another.
    fn hand_over(&mut self, id: &Code, from: &Code, to: &Code) {
        let mut card = self.tables.card(id).expect("a swapped card is there");
        assert!(card.owner == *from, "card {id} is given by who owns it");
        assert!(
            self.tables.open_proposal_count(id) == 0,
            "card {id} is swapped with nothing left open on it"
        );
        card.owner = to.clone();
        card.changed = self.event.sequence;
        self.put(Row::Card(id.clone(), Some(card)));
    }
}
