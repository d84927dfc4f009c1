//! Wallets: charge, pay, refund, and money that is authorized first and captured later.

use super::{Verdict, desk::Desk};
use crate::{
    Amount, Code, Currency, Fact, MoneyOutside, Refusal, Tables,
    command::{Authorize, Capture, Payment, SetWalletLimit, Void},
    limits::{AMOUNT_MAX, WALLET_CURRENCIES_MAX},
    row::{Authorization, AuthorizationStatus, Balance},
};

impl<T: Tables> Desk<'_, T> {
    pub(super) fn charge(&self, command: &Payment) -> Result<Verdict, Refusal> {
        let Payment { owner, currency, amount, reason, reference } = command.clone();
        let before = self.balance(&owner, currency)?;
        let balance = self.paid_in(before, MoneyOutside::PaymentProvider, amount)?;
        Ok(Verdict::New(Fact::WalletCharged { owner, currency, amount, balance, reason, reference }))
    }

    pub(super) fn pay(&self, command: &Payment) -> Result<Verdict, Refusal> {
        let Payment { owner, currency, amount, reason, reference } = command.clone();
        let before = self.balance(&owner, currency)?;
        has(&owner, &before, amount)?;
        let balance = self.paid_out(before, amount)?;
        Ok(Verdict::New(Fact::WalletPaid { owner, currency, amount, balance, reason, reference }))
    }

    pub(super) fn refund(&self, command: &Payment) -> Result<Verdict, Refusal> {
        let Payment { owner, currency, amount, reason, reference } = command.clone();
        let before = self.balance(&owner, currency)?;
        if amount > before.refundable() {
            let Balance { paid, sold, .. } = before;
            return Err(Refusal::RefundExceedsPaid { owner, currency, requested: amount, paid, sold });
        }
        let balance = self.paid_in(before, MoneyOutside::Sales, amount)?;
        Ok(Verdict::New(Fact::WalletRefunded { owner, currency, amount, balance, reason, reference }))
    }

    pub(super) fn set_wallet_limit(&self, command: &SetWalletLimit) -> Result<Verdict, Refusal> {
        let SetWalletLimit { owner, currency, limit } = command.clone();
        let before = self.balance(&owner, currency)?;
        let unheld = before.balance - before.held.signed();
        if unheld < limit {
            return Err(Refusal::LimitAboveBalance { owner, currency, limit, unheld });
        }
        Ok(Verdict::New(Fact::WalletLimitSet { owner, currency, limit }))
    }

    pub(super) fn authorize(&self, command: &Authorize, body: u64) -> Result<Verdict, Refusal> {
        let id = command.id.clone();
        if let Some(known) = self.tables.authorization(&id) {
            if known.body == body {
                return Ok(Verdict::Repeat(known.authorized));
            }
            return Err(Refusal::IdTaken { id });
        }
        let Payment { owner, currency, amount, reason, reference } = command.payment.clone();
        let before = self.balance(&owner, currency)?;
        has(&owner, &before, amount)?;
        // On credit, more may be available than one balance can say to be held.
        if before.held.get() + amount.get() > AMOUNT_MAX {
            return Err(Refusal::AmountTooLarge { currency, amount, max: AMOUNT_MAX });
        }
        Ok(Verdict::New(Fact::PaymentAuthorized { id, body, owner, currency, amount, reason, reference }))
    }

    pub(super) fn capture(&self, command: &Capture) -> Result<Verdict, Refusal> {
        let id = &command.authorization;
        let Authorization { owner, currency, held, .. } = self.open_authorization(&command.owner, id)?;
        let amount = command.amount.unwrap_or(held);
        if amount > held {
            return Err(Refusal::NotAuthorized { authorization: id.clone(), requested: amount, held });
        }
        let released = if command.release_rest { held - amount } else { Amount::ZERO };
        let balance = self.paid_out(self.balance(&owner, currency)?, amount)?;
        Ok(Verdict::New(Fact::PaymentCaptured { id: id.clone(), owner, currency, amount, released, balance }))
    }

    pub(super) fn void(&self, command: &Void) -> Result<Verdict, Refusal> {
        let id = &command.authorization;
        let Authorization { owner, currency, held, .. } = self.open_authorization(&command.owner, id)?;
        Ok(Verdict::New(Fact::PaymentVoided { id: id.clone(), owner, currency, released: held }))
    }

    /// What an owner has in a currency: nothing where there is no wallet yet. Refuses with `too_many_currencies`.
    fn balance(&self, owner: &Code, currency: Currency) -> Result<Balance, Refusal> {
        let Some(wallet) = self.tables.wallet(owner) else { return Ok(Balance::empty(currency)) };
        let is_new = wallet.balances.iter().all(|balance| balance.currency != currency);
        if is_new && wallet.balances.len() == WALLET_CURRENCIES_MAX {
            return Err(Refusal::TooManyCurrencies { owner: owner.clone(), max: WALLET_CURRENCIES_MAX });
        }
        Ok(wallet.balance(currency))
    }

    /// An owner's authorization that has not ended. Somebody else's is none.
    fn open_authorization(&self, owner: &Code, id: &Code) -> Result<Authorization, Refusal> {
        let found = self.tables.authorization(id).filter(|found| found.owner == *owner);
        let Some(found) = found else {
            return Err(Refusal::AuthorizationNotFound { authorization: id.clone() });
        };
        match found.status() {
            AuthorizationStatus::Open => Ok(found),
            ended => Err(Refusal::AuthorizationEnded { authorization: id.clone(), status: ended.name() }),
        }
    }

    /// The balance after money came from outside. Refuses with `amount_too_large`.
    pub(super) fn paid_in(
        &self,
        before: Balance,
        outside: MoneyOutside,
        amount: Amount,
    ) -> Result<i64, Refusal> {
        let account = self.tables.money_outside(before.currency, outside);
        let fits = |sum: i64| sum.unsigned_abs() <= AMOUNT_MAX;
        let after = before.balance + amount.signed();
        if !fits(after) || !fits(account - amount.signed()) {
            return Err(Refusal::AmountTooLarge { currency: before.currency, amount, max: AMOUNT_MAX });
        }
        Ok(after)
    }

    /// The balance after money went to sales. Refuses with `amount_too_large`.
    pub(super) fn paid_out(&self, before: Balance, amount: Amount) -> Result<i64, Refusal> {
        let account = self.tables.money_outside(before.currency, MoneyOutside::Sales);
        let fits = |sum: i64| sum.unsigned_abs() <= AMOUNT_MAX;
        let after = before.balance - amount.signed();
        // What one owner paid is a part of what was sold in all.
        if !fits(after) || !fits(account + amount.signed()) {
            return Err(Refusal::AmountTooLarge { currency: before.currency, amount, max: AMOUNT_MAX });
        }
        Ok(after)
    }
}

/// Refuses with `insufficient_funds` where less than `amount` is available.
fn has(owner: &Code, balance: &Balance, amount: Amount) -> Result<(), Refusal> {
    let available = balance.available();
    if available < amount.signed() {
        let (owner, currency) = (owner.clone(), balance.currency);
        return Err(Refusal::InsufficientFunds { owner, currency, requested: amount, available });
    }
    Ok(())
}
