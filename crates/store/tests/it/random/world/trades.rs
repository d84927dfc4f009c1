//! Plausible things to ask about cards and proposals, by three owners of six cards.

use jaego_domain::{
    Amount, Code, Command, Memory, Tables,
    command::{AnswerProposal, Propose, SetCard, SetPriceTiers},
};

use super::{World, code};

const OWNERS: [&str; 3] = ["kim", "lee", "rich"];
/// The last one is not there from the beginning.
const CARDS: [&str; 7] = ["c1", "c2", "c3", "c4", "c5", "c6", "c7"];
const PRICES: [u64; 4] = [0, 5, 10, 60];

fn amount(units: u64) -> Amount {
    Amount::new("price", units).unwrap()
}

/// Two cards for each owner.
pub(super) fn facts() -> impl Iterator<Item = Command> {
    CARDS[..6].iter().zip(OWNERS.into_iter().cycle()).zip(PRICES.into_iter().cycle()).map(
        |((card, owner), price)| {
            let (card, owner, price) = (code(card), code(owner), amount(price));
            Command::SetCard(SetCard { card, owner, price, from_owner: None })
        },
    )
}

impl World {
    /// Something about trades.
    pub(super) fn trade(&mut self, memory: &Memory) -> Command {
        match self.dice.below(20) {
            0 => {
                let bounds = [0, 10, 50].map(amount);
                let count = 1 + self.index(bounds.len());
                Command::SetPriceTiers(SetPriceTiers { from: bounds[..count].to_vec() })
            }
            1..4 => self.set_card(memory),
            4..12 => self.propose(memory),
            _ => self.answer(memory),
        }
    }

    fn set_card(&mut self, memory: &Memory) -> Command {
        let card = code(self.dice.word(&CARDS));
        let known = memory.card(&card);
        let keeps = self.dice.below(3);
        let owner = known.as_ref().filter(|_| keeps != 0).map(|row| row.owner.clone());
        let price = known.as_ref().filter(|_| keeps != 1).map(|row| row.price);
        let (owner, price) = (
            owner.unwrap_or_else(|| code(self.dice.word(&OWNERS))),
            price.unwrap_or_else(|| amount(*self.dice.one_of(&PRICES))),
        );
        // Mostly the owner.
        let known = known.filter(|_| self.dice.chance(90)).map(|row| row.owner);
        let from_owner = known.or_else(|| self.dice.chance(50).then(|| code(self.dice.word(&OWNERS))));
        Command::SetCard(SetCard { card, owner, price, from_owner })
    }

    fn propose(&mut self, memory: &Memory) -> Command {
        let from_card = code(self.dice.word(&CARDS));
        let to_card = code(self.dice.word(&CARDS));
        // Mostly the owner.
        let known = memory.card(&from_card).filter(|_| self.dice.chance(90));
        let owner = known.map_or_else(|| code(self.dice.word(&OWNERS)), |row| row.owner);
        let id = Self::id(&mut self.dice, 'P', &mut self.proposals, 90);
        Command::Propose(Propose { id, owner, from_card, to_card })
    }

    fn answer(&mut self, memory: &Memory) -> Command {
        let is_open = |id: &Code| memory.proposal(id).is_some_and(|row| row.end.is_none());
        let Some(id) = self.open_id('P', self.proposals, is_open) else { return self.propose(memory) };
        let answer = self.dice.below(4);
        // Mostly who may.
        let known = memory.proposal(&id).filter(|_| self.dice.chance(90));
        let owner = match known {
            Some(row) if answer == 0 => row.from_owner,
            Some(row) => row.to_owner,
            None => code(self.dice.word(&OWNERS)),
        };
        let command = AnswerProposal { id, owner };
        match answer {
            0 => Command::WithdrawProposal(command),
            1 => Command::RejectProposal(command),
            _ => Command::AcceptProposal(command),
        }
    }
}
