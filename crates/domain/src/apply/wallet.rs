//! Wallets and authorizations: what the facts of money write.

use super::book::Book;
use crate::{
    Amount, Code, Currency, MoneyMovement, MoneyOutside, Row, Tables,
    row::{Authorization, Balance, Wallet},
};

impl<T: Tables> Book<'_, T> {
    /// Moves money between a wallet and an outside account. What went to sales was paid, what came from there is not
    /// any more.
    pub(super) fn move_money(&mut self, money: &MoneyMovement<'_>) {
        self.move_money_of(money, |_| ());
    }

    /// Moves money of an order: what can be given back through it was `before`, and is `after`.
    pub(super) fn move_sold(&mut self, money: &MoneyMovement<'_>, before: Amount, after: Amount) {
        self.move_money_of(money, |balance| count_sold(balance, before, after));
    }

    /// Notes that no order of the owner's gives `left` back any more.
    pub(super) fn forgo(&mut self, owner: &Code, currency: Currency, left: Amount) {
        self.balance(owner, currency, |balance| count_sold(balance, left, Amount::ZERO));
    }

    fn move_money_of(&mut self, money: &MoneyMovement<'_>, also: impl FnOnce(&mut Balance)) {
        let change = money.change();
        self.balance(money.owner, money.currency, |balance| {
            balance.balance += change;
            assert_eq!(balance.balance, money.balance, "{} has what the event says", money.owner);
            match (money.outside, money.incoming) {
                (MoneyOutside::PaymentProvider, _) => {}
                (MoneyOutside::Sales, false) => balance.paid += money.amount,
                (MoneyOutside::Sales, true) => balance.paid -= money.amount,
            }
            also(balance);
        });
        let outside = self.tables.money_outside(money.currency, money.outside) - change;
        self.put(Row::MoneyOutside(money.currency, money.outside, outside));
    }

    /// Changes what a wallet has in a currency; both begin with the first change.
    pub(super) fn balance(&mut self, owner: &Code, currency: Currency, change: impl FnOnce(&mut Balance)) {
        let opened = self.event.sequence;
        let found = self.tables.wallet(owner).cloned();
        let mut wallet = found.unwrap_or_else(|| Wallet { opened, balances: Default::default() });
        let at = wallet.balances.binary_search_by_key(&currency, |balance| balance.currency);
        let at = at.unwrap_or_else(|at| {
            wallet.balances.insert(at, Balance::empty(currency));
            at
        });
        let balance = &mut wallet.balances[at];
        change(balance);
        assert!(balance.available() >= 0, "{owner} has less than the limit in {currency}: {balance:?}");
        self.put(Row::Wallet(owner.clone(), Some(wallet)));
    }

    /// Holds money for an authorization.
    pub(super) fn authorize(&mut self, id: &Code, authorization: Authorization) {
        let Authorization { owner, currency, held, .. } = &authorization;
        self.balance(owner, *currency, |balance| balance.held += *held);
        self.put(Row::Authorization(id.clone(), Some(Box::new(authorization))));
    }

    /// Takes money from an authorization: `captured` to be paid, `released` back to the wallet.
    pub(super) fn draw(&mut self, id: &Code, captured: Amount, released: Amount) {
        let mut authorization = self.tables.authorization(id).expect("the event's authorization is there");
        authorization.held -= captured + released;
        authorization.captured += captured;
        self.put(Row::Authorization(id.clone(), Some(Box::new(authorization))));
    }
}

/// It may be too low where an archive could not be read when it was counted.
fn count_sold(balance: &mut Balance, before: Amount, after: Amount) {
    balance.sold = balance.sold.saturating_add(after.get()).saturating_sub(before.get());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::AMOUNT_MAX;

    #[test]
    fn what_is_left_of_orders_does_not_depend_on_the_order_of_events() {
        let amount = |units| Amount::new("amount", units).unwrap();
        let (none, most) = (Amount::ZERO, amount(AMOUNT_MAX));
        let sold = |changes: &[(Amount, Amount)]| {
            let mut balance = Balance::empty(Currency::new("currency", "KRW").unwrap());
            changes.iter().for_each(|(before, after)| count_sold(&mut balance, *before, *after));
            balance.sold
        };
        let (one, two, back) = ((none, most), (none, amount(5)), (most, none));
        assert_eq!(sold(&[one, two, back]), 5);
        assert_eq!(sold(&[one, back, two]), 5);
    }
}
