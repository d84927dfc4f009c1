//! What clients ask about carts, for two owners of whom one has little money.

use jaego_domain::{
    Amount, Code, Command, Currency, Name, Query,
    command::{Checkout, DiscardCart, Payment, RefundOrder, SetCart, SetCartItem},
    query::Page,
};
use jaego_engine::sim_disk::Dice;

use super::{Client, REMEMBERED, SKUS, code, quantity};

pub(super) const OWNERS: [&str; 2] = ["kim", "lee"];

/// The one currency.
pub(super) fn won() -> Currency {
    Currency::new("currency", "KRW").expect("it is a currency")
}

pub(super) fn amount(units: u64) -> Amount {
    Amount::new("amount", units).expect("it is small")
}

/// Money for the owners.
pub(super) fn charge(owner: usize, units: u64) -> Command {
    let (owner, currency, amount) = (code(OWNERS[owner]), won(), amount(units));
    Command::Charge(Payment { owner, currency, amount, reason: Name::default(), reference: None })
}

impl Client {
    pub(super) fn cart_command(&mut self, dice: &mut Dice) -> Command {
        match dice.below(10) {
            0 | 1 => {
                if !dice.one_in(6) {
                    self.carts += 1;
                }
                let (id, owner) = (code(&format!("C{}", self.carts)), code(OWNERS[dice.below(2)]));
                let hold_s = (!dice.one_in(3)).then(|| 1 + u32::try_from(dice.below(20)).expect("small"));
                Command::SetCart(SetCart { id, site: code("ICN"), owner, hold_s })
            }
            2..=5 => Command::SetCartItem(SetCartItem {
                id: self.cart(dice),
                sku: code(SKUS[dice.below(SKUS.len())].0),
                quantity: quantity(dice.throw() % 4),
            }),
            6 if dice.one_in(2) => Command::DiscardCart(DiscardCart { id: self.cart(dice) }),
            7 if dice.one_in(3) => Command::RefundOrder(RefundOrder {
                id: self.cart(dice),
                amount: dice.one_in(2).then(|| amount(1 + dice.throw() % 9)),
                reason: Name::default(),
            }),
            6 => charge(dice.below(2), 1 + dice.throw() % 20),
            _ => Command::Checkout(Checkout {
                id: self.cart(dice),
                currency: won(),
                expected_total: dice.one_in(6).then(|| amount(dice.throw() % 9)),
                order: None,
            }),
        }
    }

    /// One cart, or a page of those that are open.
    pub(super) fn carts_query(&self, dice: &mut Dice) -> Query {
        if dice.one_in(2) {
            return Query::Cart(self.cart(dice));
        }
        let owner = dice.one_in(2).then(|| code(OWNERS[0]));
        Query::Carts { site: None, owner, page: Page { after: None, limit: 1_000 } }
    }

    /// One of the latest carts.
    pub(super) fn cart(&self, dice: &mut Dice) -> Code {
        let back = dice.throw() % (REMEMBERED / 2);
        code(&format!("C{}", self.carts.saturating_sub(back)))
    }
}
