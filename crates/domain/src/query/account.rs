//! The outside accounts of money as they are shown.

use crate::{Currency, MoneyOutside};

/// What an outside account has in a currency: with all wallets of the currency it sums up to zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountView {
    /// The currency.
    pub currency: Currency,
    /// Which account.
    pub account: MoneyOutside,
    /// Its balance in the currency's minor unit: below zero where more came from it than went to it, as money that
    /// the payment provider collected.
    pub balance: i64,
}

/// An account as it is shown.
pub fn account(currency: Currency, account: MoneyOutside, balance: i64) -> AccountView {
    AccountView { currency, account, balance }
}
