//! Cards and proposals in memory. What is open is found by its card and by its pair.

use std::{collections::BTreeMap, hash::BuildHasher};

use hashbrown::DefaultHashBuilder;

use super::slab::{Index, Slab};
use crate::{
    Code, Row, Sequence,
    row::{Card, PriceTiers, Proposal},
};

#[derive(Default)]
pub(super) struct Trades {
    hasher: DefaultHashBuilder,
    tiers: Option<Box<PriceTiers>>,
    cards: Slab<(Code, Card)>,
    by_code: Index,
    /// In the order in which they were made: how they are listed.
    by_making: BTreeMap<Sequence, u32>,
    /// The same, owner by owner.
    by_owner: BTreeMap<(Code, Sequence), u32>,
    proposals: Slab<(Code, Box<Proposal>)>,
    by_id: Index,
    /// In the order in which they were made: how they are listed.
    by_proposing: BTreeMap<Sequence, u32>,
    /// Those that are open: twice, under the slot of either card.
    open: BTreeMap<(u32, Sequence), u32>,
    /// Those that are open, by the unordered pair of their cards.
    by_pair: Index,
    open_count: u64,
}

impl Trades {
    pub(super) fn open_count(&self) -> u64 {
        self.open_count
    }

    pub(super) fn card_count(&self) -> usize {
        self.cards.len()
    }

    pub(super) fn tiers(&self) -> Option<&PriceTiers> {
        self.tiers.as_deref()
    }

    pub(super) fn card(&self, code: &Code) -> Option<&Card> {
        self.card_slot(code).map(|slot| &self.cards.get(slot).1)
    }

    /// Cards that were made at an event or later, in that order: all, or those of an owner.
    pub(super) fn cards_from<'a>(
        &'a self,
        owner: Option<&'a Code>,
        from: Sequence,
    ) -> Box<dyn Iterator<Item = &'a (Code, Card)> + 'a> {
        match owner {
            None => Box::new(self.by_making.range(from..).map(|(_, slot)| self.cards.get(*slot))),
            Some(owner) => {
                let range = self.by_owner.range((owner.clone(), from)..);
                let own = range.take_while(move |((other, _), _)| other == owner);
                Box::new(own.map(|(_, slot)| self.cards.get(*slot)))
            }
        }
    }

    pub(super) fn proposal(&self, id: &Code) -> Option<&Proposal> {
        self.proposal_slot(id).map(|slot| &*self.proposals.get(slot).1)
    }

    /// Proposals that were made at an event or later, in that order.
    pub(super) fn proposals_from(&self, from: Sequence) -> impl Iterator<Item = (&Code, &Proposal)> {
        self.by_proposing.range(from..).map(|(_, slot)| self.named(*slot))
    }

    /// All proposals, in no particular order.
    pub(super) fn proposals(&self) -> impl Iterator<Item = (&Code, &Proposal)> {
        self.proposals.iter().map(|(_, (id, row))| (id, &**row))
    }

    /// The open proposals on a card that were made at an event or later, in that order.
    pub(super) fn open_from(&self, card: &Code, from: Sequence) -> impl Iterator<Item = (&Code, &Proposal)> {
        self.open_slots(card, from).map(|slot| self.named(slot))
    }

    pub(super) fn open_on(&self, card: &Code) -> usize {
        self.open_slots(card, Sequence(0)).count()
    }

    pub(super) fn open_between(&self, a: &Code, b: &Code) -> Option<&Code> {
        let slot = self.by_pair.find(self.pair_hash(a, b), |slot| {
            let Proposal { from_card, to_card, .. } = &*self.proposals.get(slot).1;
            (from_card == a && to_card == b) || (from_card == b && to_card == a)
        });
        slot.map(|slot| &self.proposals.get(slot).0)
    }

    fn open_slots(&self, card: &Code, from: Sequence) -> impl Iterator<Item = u32> {
        let slots =
            self.card_slot(card).map(|card| self.open.range((card, from)..=(card, Sequence(u64::MAX))));
        slots.into_iter().flatten().map(|(_, slot)| *slot)
    }

    fn named(&self, slot: u32) -> (&Code, &Proposal) {
        let (id, row) = self.proposals.get(slot);
        (id, row)
    }

    fn card_slot(&self, code: &Code) -> Option<u32> {
        self.by_code.find(self.hasher.hash_one(code), |slot| self.cards.get(slot).0 == *code)
    }

    fn proposal_slot(&self, id: &Code) -> Option<u32> {
        self.by_id.find(self.hasher.hash_one(id), |slot| self.proposals.get(slot).0 == *id)
    }

    /// The same for both directions.
    fn pair_hash(&self, a: &Code, b: &Code) -> u64 {
        self.hasher.hash_one((a.min(b), a.max(b)))
    }

    pub(super) fn put_tiers(&mut self, tiers: Option<Box<PriceTiers>>) -> Option<Box<PriceTiers>> {
        std::mem::replace(&mut self.tiers, tiers)
    }

    pub(super) fn put_card(&mut self, code: &Code, card: Option<Card>) -> Option<Card> {
        let found = self.card_slot(code);
        let before = found.map(|slot| self.cards.get(slot).1.clone());
        if let Some(before) = &before {
            self.by_owner.remove(&(before.owner.clone(), before.made));
        }
        match (found, card) {
            (None, None) => {}
            (Some(slot), None) => {
                let (_, before) = self.cards.remove(slot);
                self.by_code.remove(self.hasher.hash_one(code), slot);
                self.by_making.remove(&before.made);
            }
            (Some(slot), Some(card)) => {
                self.by_owner.insert((card.owner.clone(), card.made), slot);
                self.cards.get_mut(slot).1 = card;
            }
            (None, Some(card)) => {
                let (owner, made) = (card.owner.clone(), card.made);
                let slot = self.cards.insert((code.clone(), card));
                self.by_making.insert(made, slot);
                self.by_owner.insert((owner, made), slot);
                let (cards, hasher) = (&self.cards, &self.hasher);
                self.by_code.insert(hasher.hash_one(code), slot, |slot| hasher.hash_one(&cards.get(slot).0));
            }
        }
        before
    }

    pub(super) fn put_proposal(&mut self, id: &Code, row: Option<Box<Proposal>>) -> Option<Box<Proposal>> {
        let found = self.proposal_slot(id);
        if let Some(slot) = found {
            self.strike(slot);
        }
        match (found, row) {
            (None, None) => None,
            (Some(slot), Some(row)) => {
                let before = std::mem::replace(&mut self.proposals.get_mut(slot).1, row);
                self.enter(slot);
                Some(before)
            }
            (None, Some(row)) => {
                let proposed = row.proposed;
                let slot = self.proposals.insert((id.clone(), row));
                self.by_proposing.insert(proposed, slot);
                let (rows, hasher) = (&self.proposals, &self.hasher);
                self.by_id.insert(hasher.hash_one(id), slot, |slot| hasher.hash_one(&rows.get(slot).0));
                self.enter(slot);
                None
            }
            (Some(slot), None) => {
                self.by_id.remove(self.hasher.hash_one(id), slot);
                let (_, before) = self.proposals.remove(slot);
                self.by_proposing.remove(&before.proposed);
                Some(before)
            }
        }
    }

    /// The slots of a proposal's two cards, where it is open.
    fn open_cards(&self, slot: u32) -> Option<[u32; 2]> {
        let row = &*self.proposals.get(slot).1;
        let card = |code| self.card_slot(code).expect("the cards of an open proposal are there");
        row.end.is_none().then(|| [card(&row.from_card), card(&row.to_card)])
    }

    /// Enters an open proposal in the indexes of those.
    fn enter(&mut self, slot: u32) {
        let Some(cards) = self.open_cards(slot) else { return };
        let row = &*self.proposals.get(slot).1;
        for card in cards {
            self.open.insert((card, row.proposed), slot);
        }
        let (hasher, rows) = (&self.hasher, &self.proposals);
        let hash_of = |slot| {
            let Proposal { from_card: a, to_card: b, .. } = &*rows.get(slot).1;
            hasher.hash_one((a.min(b), a.max(b)))
        };
        self.by_pair.insert(hash_of(slot), slot, hash_of);
        self.open_count += 1;
    }

    fn strike(&mut self, slot: u32) {
        let Some(cards) = self.open_cards(slot) else { return };
        let row = &*self.proposals.get(slot).1;
        for card in cards {
            self.open.remove(&(card, row.proposed));
        }
        self.by_pair.remove(self.pair_hash(&row.from_card, &row.to_card), slot);
        self.open_count -= 1;
    }

    /// Every row of trades: cards come before the proposals about them.
    pub(super) fn rows(&self) -> impl Iterator<Item = Row> + '_ {
        let tiers = self.tiers.iter().map(|tiers| Row::PriceTiers(Some(tiers.clone())));
        let cards = self.cards.iter().map(|(_, (code, row))| Row::Card(code.clone(), Some(row.clone())));
        let proposals =
            self.proposals().map(|(id, row)| Row::Proposal(id.clone(), Some(Box::new(row.clone()))));
        tiers.chain(cards).chain(proposals)
    }
}
