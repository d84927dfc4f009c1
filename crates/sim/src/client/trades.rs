//! What clients ask about cards and proposals, for three owners.

use jaego_domain::{
    Amount, Code, Command, Query, Request,
    command::{AnswerProposal, Propose, SetCard, SetPriceTiers},
    query::Page,
    row::ProposalStatus,
};
use jaego_engine::sim_disk::Dice;

use super::{Client, REMEMBERED, asked, code};

const OWNERS: [&str; 3] = ["kim", "lee", "park"];
const CARDS: [&str; 4] = ["axe", "bow", "cap", "dag"];
const PRICES: [u64; 3] = [0, 10, 60];

/// The cards of the world.
pub(super) fn setup() -> impl Iterator<Item = Request> {
    let cards = CARDS.into_iter().zip(OWNERS.into_iter().cycle()).zip(PRICES.into_iter().cycle());
    cards.map(|((card, owner), price)| {
        let set = SetCard { card: code(card), owner: code(owner), price: amount(price), from_owner: None };
        asked(Command::SetCard(set), None).expect("the world is well formed")
    })
}

impl Client {
    pub(super) fn trade_command(&mut self, dice: &mut Dice) -> Command {
        match dice.below(12) {
            0 => {
                let bounds = [0, 10, 50].map(amount);
                Command::SetPriceTiers(SetPriceTiers { from: bounds[..1 + dice.below(3)].to_vec() })
            }
            1 => Command::SetCard(SetCard {
                card: card(dice),
                owner: owner(dice),
                price: amount(PRICES[dice.below(PRICES.len())]),
                from_owner: dice.one_in(2).then(|| owner(dice)),
            }),
            2..=6 => {
                if !dice.one_in(10) {
                    self.proposals += 1;
                }
                Command::Propose(Propose {
                    id: code(&format!("P{}", self.proposals)),
                    owner: owner(dice),
                    from_card: card(dice),
                    to_card: card(dice),
                })
            }
            7 => Command::WithdrawProposal(self.answer(dice)),
            8 => Command::RejectProposal(self.answer(dice)),
            _ => Command::AcceptProposal(self.answer(dice)),
        }
    }

    /// A card, a proposal or a page of either.
    pub(super) fn trade_query(&self, dice: &mut Dice) -> Query {
        let page = Page { after: None, limit: 1_000 };
        match dice.below(4) {
            0 => Query::Card(card(dice)),
            1 => Query::Cards { owner: dice.one_in(2).then(|| owner(dice)), page },
            2 => Query::Proposal(self.proposal(dice)),
            _ => {
                let status = dice.one_in(2).then(|| ProposalStatus::ALL[dice.below(5)]);
                Query::Proposals { card: dice.one_in(2).then(|| card(dice)), owner: None, status, page }
            }
        }
    }

    fn answer(&self, dice: &mut Dice) -> AnswerProposal {
        AnswerProposal { id: self.proposal(dice), owner: owner(dice) }
    }

    /// One of the latest proposals.
    fn proposal(&self, dice: &mut Dice) -> Code {
        let back = dice.throw() % REMEMBERED;
        code(&format!("P{}", self.proposals.saturating_sub(back)))
    }
}

fn card(dice: &mut Dice) -> Code {
    code(CARDS[dice.below(CARDS.len())])
}

fn owner(dice: &mut Dice) -> Code {
    code(OWNERS[dice.below(OWNERS.len())])
}

fn amount(units: u64) -> Amount {
    Amount::new("price", units).expect("it is small")
}
