//! Wallets: money in and out, and money that is authorized first and captured later.

use crate::{Amount, Code, Currency, Digest, Name, Refusal, limits::AMOUNT_MAX};

/// Money into a wallet or out of it: charged from the payment provider, paid to sales, or refunded from there.
#[derive(Clone, Debug, PartialEq)]
pub struct Payment {
    /// Whose wallet.
    pub owner: Code,
    /// In which currency.
    pub currency: Currency,
    /// How much.
    pub amount: Amount,
    /// Why; may be empty.
    pub reason: Name,
    /// The caller's own document.
    pub reference: Option<Code>,
}

/// Sets what a wallet's balance, less what is held of it, never falls below.
#[derive(Clone, Debug, PartialEq)]
pub struct SetWalletLimit {
    /// Whose wallet.
    pub owner: Code,
    /// In which currency.
    pub currency: Currency,
    /// The limit: below zero to give credit, above to keep a reserve.
    pub limit: i64,
}

/// Holds money of a wallet for a later capture.
#[derive(Clone, Debug, PartialEq)]
pub struct Authorize {
    /// The authorization's id: its key, for ever.
    pub id: Code,
    /// What, from whom and for what.
    pub payment: Payment,
}

/// Pays from an authorization, once or in parts.
#[derive(Clone, Debug, PartialEq)]
pub struct Capture {
    /// Whose wallet.
    pub owner: Code,
    /// The authorization.
    pub authorization: Code,
    /// How much; all that is held if not said.
    pub amount: Option<Amount>,
    /// Whether what is not captured is given back to the wallet.
    pub release_rest: bool,
}

/// Gives an authorization's held money back to the wallet.
#[derive(Clone, Debug, PartialEq)]
pub struct Void {
    /// Whose wallet.
    pub owner: Code,
    /// The authorization.
    pub authorization: Code,
}

impl Payment {
    pub(super) fn validate(&self) -> Result<(), Refusal> {
        some(self.amount)
    }

    pub(super) fn digest(&self, digest: &mut Digest) {
        digest.text(self.owner.as_str()).text(self.currency.as_str()).number(self.amount.get());
        digest.text(self.reason.as_str()).maybe_text(self.reference.as_ref().map(Code::as_str));
    }
}

impl SetWalletLimit {
    pub(super) fn validate(&self) -> Result<(), Refusal> {
        if self.limit.unsigned_abs() > AMOUNT_MAX {
            return Err(Refusal::invalid("limit", "is further from zero than 9007199254740991"));
        }
        Ok(())
    }

    pub(super) fn digest(&self, digest: &mut Digest) {
        digest.number(33).text(self.owner.as_str()).text(self.currency.as_str());
        digest.number(self.limit.cast_unsigned());
    }
}

impl Authorize {
    pub(super) fn digest(&self, digest: &mut Digest) {
        self.payment.digest(digest.number(34).text(self.id.as_str()));
    }
}

impl Capture {
    pub(super) fn validate(&self) -> Result<(), Refusal> {
        self.amount.map_or(Ok(()), some)
    }

    pub(super) fn digest(&self, digest: &mut Digest) {
        digest.number(35).text(self.owner.as_str()).text(self.authorization.as_str());
        digest.maybe_number(self.amount.map(Amount::get)).flag(self.release_rest);
    }
}

impl Void {
    pub(super) fn digest(&self, digest: &mut Digest) {
        digest.number(36).text(self.owner.as_str()).text(self.authorization.as_str());
    }
}

fn some(amount: Amount) -> Result<(), Refusal> {
    if amount.is_zero() {
        return Err(Refusal::invalid("amount", "is zero"));
    }
    Ok(())
}
