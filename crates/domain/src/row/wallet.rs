//! Rows of money.

use smallvec::SmallVec;

use crate::{Amount, Code, Currency, Name, Sequence};

/// What somebody has, currency by currency (잔액).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wallet {
    /// The event that first named it.
    pub opened: Sequence,
    /// One for each currency, in the order of their codes.
    pub balances: SmallVec<[Balance; 1]>,
}

impl Wallet {
    /// The balance in a currency: an empty one where there is none yet.
    pub fn balance(&self, currency: Currency) -> Balance {
        let found = self.balances.iter().find(|balance| balance.currency == currency);
        found.copied().unwrap_or_else(|| Balance::empty(currency))
    }
}

/// What a wallet has in one currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance {
    /// The currency.
    pub currency: Currency,
    /// How much there is.
    pub balance: i64,
    /// How much of it is held for open authorizations.
    pub held: Amount,
    /// What the balance less what is held never falls below; below zero where credit is given.
    pub limit: i64,
    /// What was paid and captured, less what was refunded.
    pub paid: Amount,
    /// How much of `paid` was paid for orders and can still be given back through them, in minor units. It is more than
    /// `paid` only where refunds to the wallet took it before this was counted, and there perhaps more than an amount.
    pub sold: u64,
}

impl Balance {
    /// Nothing, and no credit.
    pub fn empty(currency: Currency) -> Self {
        Self { currency, balance: 0, held: Amount::ZERO, limit: 0, paid: Amount::ZERO, sold: 0 }
    }

    /// What can be paid or authorized: down to the limit, less what is held.
    pub fn available(&self) -> i64 {
        self.balance - self.held.signed() - self.limit
    }

    /// What a refund to the wallet can give back: what was paid, less what only a refund of its order gives back.
    pub fn refundable(&self) -> Amount {
        let rest = self.paid.get().saturating_sub(self.sold);
        Amount::new("refundable", rest).expect("it is no more than was paid")
    }
}

/// How an authorization stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AuthorizationStatus {
    /// Something is still held for it.
    Open,
    /// Ended, and at least a part was captured.
    Captured,
    /// Ended, and nothing was captured.
    Voided,
}

impl AuthorizationStatus {
    /// All of them, in the order of their tags.
    pub const ALL: [Self; 3] = [Self::Open, Self::Captured, Self::Voided];

    /// The name in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Captured => "captured",
            Self::Voided => "voided",
        }
    }
}

/// Money of a wallet that is held for somebody who may capture it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization {
    /// Whose wallet.
    pub owner: Code,
    /// In which currency.
    pub currency: Currency,
    /// How much was authorized.
    pub amount: Amount,
    /// How much of it was captured.
    pub captured: Amount,
    /// How much of it is still held.
    pub held: Amount,
    /// Why, in the caller's words.
    pub reason: Name,
    /// The caller's own document.
    pub reference: Option<Code>,
    /// The fingerprint of the request.
    pub body: u64,
    /// The event that made it.
    pub authorized: Sequence,
}

impl Authorization {
    /// How it stands.
    pub fn status(&self) -> AuthorizationStatus {
        match (self.held.is_zero(), self.captured.is_zero()) {
            (false, _) => AuthorizationStatus::Open,
            (true, false) => AuthorizationStatus::Captured,
            (true, true) => AuthorizationStatus::Voided,
        }
    }
}
