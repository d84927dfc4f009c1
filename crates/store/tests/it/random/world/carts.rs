//! Plausible things to ask about carts, by owners with little money.

use jaego_domain::{
    Amount, Code, Command, Currency, Memory, Name, Quantity, Tables,
    command::{CancelOrder, Checkout, CompleteOrder, DiscardCart, RefundOrder, SetCart, SetCartItem},
    limits::AMOUNT_MAX,
    row::CartStatus,
};

use super::{SITES, World, code};

impl World {
    /// What a SKU costs: mostly little in the one currency that most have.
    pub(super) fn prices(&mut self, sku: &str) -> Vec<(Currency, Amount)> {
        let mut prices = Vec::new();
        for (currency, often) in [("KRW", 85), ("USD", 40), ("EUR", 30)] {
            if self.dice.chance(often) {
                let units = match self.dice.below(40) {
                    0 if sku == "much" => AMOUNT_MAX - self.dice.below(2),
                    _ => self.dice.below(4),
                };
                prices.push((
                    Currency::new("currency", currency).unwrap(),
                    Amount::new("price", units).unwrap(),
                ));
            }
        }
        prices
    }

    /// Something about carts.
    pub(super) fn cart_command(&mut self, memory: &Memory) -> Command {
        let is_open = |id: &Code| memory.cart(id).is_some_and(|cart| cart.status == CartStatus::Open);
        let step = self.dice.below(20);
        // What was paid for is mostly called off, so that it is refunded.
        let mut latest = (self.carts.saturating_sub(3)..=self.carts).rev();
        let sold = latest.find_map(|number| memory.cart(&code(&format!("C{number}")))?.order);
        if let Some(id) = sold.filter(|_| step >= 17) {
            return match step {
                _ if self.dice.chance(25) => {
                    let amount = self.dice.chance(60).then(|| Amount::new("amount", 1 + self.dice.below(9)));
                    let amount = amount.map(|amount| amount.expect("it is small"));
                    Command::RefundOrder(RefundOrder { id, amount, reason: Name::default() })
                }
                17 => Command::CompleteOrder(CompleteOrder { id, claimant: None }),
                _ => Command::CancelOrder(CancelOrder { id }),
            };
        }
        let Some(id) = self.open_id('C', self.carts, is_open).filter(|_| step >= 4) else {
            return self.set_cart();
        };
        let cart = memory.cart(&id);
        match step {
            4 => match cart {
                Some(cart) => {
                    let (site, owner) = (memory.site(cart.site).code.clone(), cart.owner);
                    Command::SetCart(SetCart { id, site, owner, hold_s: self.hold_s() })
                }
                None => self.set_cart(),
            },
            5 => Command::DiscardCart(DiscardCart { id }),
            6..15 => {
                let (sku, _, quantity) = self.goods(0);
                let quantity = if self.dice.chance(12) { Quantity::ZERO } else { quantity };
                Command::SetCartItem(SetCartItem { id, sku, quantity })
            }
            _ => {
                let currency = self.dice.word(&["KRW", "KRW", "KRW", "USD", "EUR"]);
                let expected = self.dice.chance(20);
                let order = if self.dice.chance(15) {
                    Some(Self::id(&mut self.dice, 'O', &mut self.orders, 80))
                } else {
                    None
                };
                Command::Checkout(Checkout {
                    id,
                    currency: Currency::new("currency", currency).unwrap(),
                    expected_total: expected.then(|| Amount::new("total", self.dice.below(9)).unwrap()),
                    order,
                })
            }
        }
    }

    fn set_cart(&mut self) -> Command {
        Command::SetCart(SetCart {
            id: Self::id(&mut self.dice, 'C', &mut self.carts, 85),
            site: code(self.dice.one_of(&SITES).0),
            owner: code(self.dice.word(&["kim", "lee", "rich"])),
            hold_s: self.hold_s(),
        })
    }

    fn hold_s(&mut self) -> Option<u32> {
        self.dice.chance(65).then(|| u32::try_from(1 + self.dice.below(60)).unwrap())
    }
}
