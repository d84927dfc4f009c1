//! What clients ask about money beside carts: payments, limits, and money that is authorized first.

use jaego_domain::{
    Code, Command, Name, Query,
    command::{Authorize, Capture, Payment, SetWalletLimit, Void},
    query::Page,
};
use jaego_engine::sim_disk::Dice;

use super::{
    Client, REMEMBERED,
    carts::{OWNERS, amount, won},
    code,
};

impl Client {
    pub(super) fn wallet_command(&mut self, dice: &mut Dice) -> Command {
        let owner = code(OWNERS[dice.below(2)]);
        match dice.below(10) {
            0 | 1 => Command::Pay(payment(owner, dice)),
            2 => Command::Refund(payment(owner, dice)),
            3 => Command::Charge(payment(owner, dice)),
            4 => {
                // Credit, none, or a reserve.
                let limit = [-5, 0, 3][dice.below(3)];
                Command::SetWalletLimit(SetWalletLimit { owner, currency: won(), limit })
            }
            5 | 6 => {
                if !dice.one_in(6) {
                    self.authorizations += 1;
                }
                let id = code(&format!("A{}", self.authorizations));
                Command::Authorize(Authorize { id, payment: payment(owner, dice) })
            }
            7 | 8 => Command::Capture(Capture {
                owner,
                authorization: self.authorization(dice),
                amount: dice.one_in(2).then(|| amount(1 + dice.throw() % 4)),
                release_rest: dice.one_in(3),
            }),
            _ => Command::Void(Void { owner, authorization: self.authorization(dice) }),
        }
    }

    /// A wallet, what is open of it, an authorization, or the outside accounts.
    pub(super) fn wallet_query(&self, dice: &mut Dice) -> Query {
        let owner = code(OWNERS[dice.below(2)]);
        match dice.below(4) {
            0 => Query::Wallet(owner),
            1 => Query::Authorizations { owner, page: Page { after: None, limit: 1_000 } },
            2 => Query::Authorization(self.authorization(dice)),
            _ => Query::Accounts(Page { after: None, limit: 1_000 }),
        }
    }

    /// One of the latest authorizations.
    fn authorization(&self, dice: &mut Dice) -> Code {
        let back = dice.throw() % (REMEMBERED / 2);
        code(&format!("A{}", self.authorizations.saturating_sub(back)))
    }
}

fn payment(owner: Code, dice: &mut Dice) -> Payment {
    let amount = amount(1 + dice.throw() % 6);
    Payment { owner, currency: won(), amount, reason: Name::default(), reference: None }
}
