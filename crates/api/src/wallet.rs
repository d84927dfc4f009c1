//! Wallets: money in and out, authorizations, and statements.

use jaego_domain::{
    Amount, Command, Currency, Refusal, command, query,
    row::{self, AuthorizationStatus},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    movement::Document,
    time::Time,
    value::{Choice, Label, Text, Whole, Word, code_if_any, name_or_empty},
};

/// Money into a wallet or out of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
// Three commands have these fields, and each of them has others in its path, and in a batch.
#[schemars(inline)]
pub struct Payment<'a> {
    /// Whose wallet.
    pub owner: Text<'a>,
    /// The currency: three capital letters, as ISO 4217 has them.
    #[schemars(regex(pattern = r"^[A-Z]{3}$"))]
    pub currency: Text<'a>,
    /// How much, in the currency's minor unit.
    #[schemars(range(min = 1))]
    pub amount: Whole,
    /// Why; empty if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Label<'a>>,
    /// The caller's own document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<Text<'a>>,
}

impl Payment<'_> {
    fn checked(&self) -> Result<command::Payment, Refusal> {
        Ok(command::Payment {
            owner: self.owner.code("owner")?,
            currency: currency(&self.currency)?,
            amount: amount(self.amount)?,
            reason: name_or_empty(self.reason.as_ref(), "reason")?,
            reference: code_if_any(self.reference.as_ref(), "reference")?,
        })
    }
}

/// Charges a wallet: money from the payment provider.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent, bound(deserialize = "'de: 'a"))]
pub struct Charge<'a>(pub Payment<'a>);

/// Pays from a wallet: money to sales, at most what is available.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent, bound(deserialize = "'de: 'a"))]
pub struct Pay<'a>(pub Payment<'a>);

/// Refunds to a wallet: money back from sales, at most what was paid and not refunded yet, without what was paid for orders.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent, bound(deserialize = "'de: 'a"))]
pub struct Refund<'a>(pub Payment<'a>);

impl Charge<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        Ok(Command::Charge(self.0.checked()?))
    }
}

impl Pay<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        Ok(Command::Pay(self.0.checked()?))
    }
}

impl Refund<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        Ok(Command::Refund(self.0.checked()?))
    }
}

pub(crate) fn currency(text: &Text<'_>) -> Result<Currency, Refusal> {
    Currency::new("currency", text.as_str())
}

pub(crate) fn amount(number: Whole) -> Result<Amount, Refusal> {
    let signed = number.signed("amount")?;
    let Ok(units) = u64::try_from(signed) else { return Err(Refusal::invalid("amount", "is negative")) };
    Amount::new("amount", units)
}

/// Sets what a wallet's balance, less what is held of it, never falls below.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct SetWalletLimit<'a> {
    /// Whose wallet.
    pub owner: Text<'a>,
    /// The currency.
    #[schemars(regex(pattern = r"^[A-Z]{3}$"))]
    pub currency: Text<'a>,
    /// The limit in the currency's minor unit: below zero to give credit, above to keep a reserve.
    pub limit: Whole,
}

impl SetWalletLimit<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        Ok(Command::SetWalletLimit(command::SetWalletLimit {
            owner: self.owner.code("owner")?,
            currency: currency(&self.currency)?,
            limit: self.limit.signed("limit")?,
        }))
    }
}

/// Holds money of a wallet for a later capture. The id is the authorization's key, for ever.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct Authorize<'a> {
    /// The authorization's id.
    pub id: Text<'a>,
    /// Whose wallet.
    pub owner: Text<'a>,
    /// The currency.
    #[schemars(regex(pattern = r"^[A-Z]{3}$"))]
    pub currency: Text<'a>,
    /// How much, in the currency's minor unit.
    #[schemars(range(min = 1))]
    pub amount: Whole,
    /// Why; empty if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Label<'a>>,
    /// The caller's own document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<Text<'a>>,
}

impl Authorize<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        Ok(Command::Authorize(command::Authorize {
            id: self.id.code("id")?,
            payment: command::Payment {
                owner: self.owner.code("owner")?,
                currency: currency(&self.currency)?,
                amount: amount(self.amount)?,
                reason: name_or_empty(self.reason.as_ref(), "reason")?,
                reference: code_if_any(self.reference.as_ref(), "reference")?,
            },
        }))
    }
}

/// Pays from an authorization, once or in parts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct Capture<'a> {
    /// Whose wallet.
    pub owner: Text<'a>,
    /// The authorization.
    pub authorization: Text<'a>,
    /// How much; all that is held if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub amount: Option<Whole>,
    /// Whether what is not captured goes back to the wallet.
    #[serde(default)]
    pub release_rest: bool,
}

impl Capture<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        Ok(Command::Capture(command::Capture {
            owner: self.owner.code("owner")?,
            authorization: self.authorization.code("authorization")?,
            amount: self.amount.map(amount).transpose()?,
            release_rest: self.release_rest,
        }))
    }
}

/// Gives an authorization's held money back to the wallet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct Void<'a> {
    /// Whose wallet.
    pub owner: Text<'a>,
    /// The authorization.
    pub authorization: Text<'a>,
}

impl Void<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        Ok(Command::Void(command::Void {
            owner: self.owner.code("owner")?,
            authorization: self.authorization.code("authorization")?,
        }))
    }
}

/// What somebody has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Wallet {
    /// Whose it is.
    pub owner: Word,
    /// One for each currency.
    pub balances: Vec<Balance>,
    /// The ids of its open authorizations, at most 100 of them; left out of lists. All of them are listed
    /// under `/v1/wallets/{owner}/authorizations`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authorizations: Vec<Word>,
}

/// What a wallet has in one currency, in its minor unit: `available` is `balance` − `held` − `limit`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Balance {
    /// The currency.
    pub currency: Word,
    /// How much there is; below zero on credit.
    pub balance: i64,
    /// How much of it is held for open authorizations.
    pub held: u64,
    /// What can be paid or authorized.
    pub available: i64,
    /// What the balance less what is held never falls below.
    pub limit: i64,
    /// What was paid and captured, less what was refunded.
    pub paid: u64,
    /// How much of it was paid for orders, and is refunded through them; the rest can be refunded to the wallet.
    /// 0 where an earlier server left it out.
    #[serde(default)]
    pub sold: u64,
}

impl From<&query::WalletView> for Wallet {
    fn from(view: &query::WalletView) -> Self {
        Self {
            owner: (&view.owner).into(),
            balances: view.balances.iter().map(Balance::from).collect(),
            authorizations: view.authorizations.iter().map(Word::from).collect(),
        }
    }
}

impl From<&row::Balance> for Balance {
    fn from(row: &row::Balance) -> Self {
        Self {
            currency: row.currency.as_str().into(),
            balance: row.balance,
            held: row.held.get(),
            available: row.available(),
            limit: row.limit,
            paid: row.paid.get(),
            sold: row.sold,
        }
    }
}

/// Money of a wallet that is held for a capture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Authorization {
    /// Its id.
    pub id: Word,
    /// How it stands.
    pub status: Choice<AuthorizationStatus>,
    /// Whose wallet.
    pub owner: Word,
    /// The currency.
    pub currency: Word,
    /// How much was authorized.
    pub amount: u64,
    /// How much of it was captured.
    pub captured: u64,
    /// How much of it is still held.
    pub held: u64,
    /// Why.
    pub reason: Word,
    /// The caller's own document.
    pub reference: Option<Word>,
}

impl From<&query::AuthorizationView> for Authorization {
    fn from(view: &query::AuthorizationView) -> Self {
        let row = &view.row;
        Self {
            id: (&view.id).into(),
            status: view.status.into(),
            owner: (&row.owner).into(),
            currency: row.currency.as_str().into(),
            amount: row.amount.get(),
            captured: row.captured.get(),
            held: row.held.get(),
            reason: (&row.reason).into(),
            reference: row.reference.as_ref().map(Word::from),
        }
    }
}

/// What an outside account of money has in a currency, in its minor unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Account {
    /// The currency.
    pub currency: Word,
    /// Which account: `payment_provider`, where charged money comes from, or `sales`, where paid money goes.
    pub account: Word,
    /// Its balance. With all wallets of the currency it sums up to zero, so that what was charged stands below zero.
    pub balance: i64,
}

impl From<&query::AccountView> for Account {
    fn from(view: &query::AccountView) -> Self {
        Self {
            currency: view.currency.as_str().into(),
            account: view.account.name().into(),
            balance: view.balance,
        }
    }
}

/// A line of a wallet's statement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StatementLine {
    /// When.
    pub at: Time,
    /// The event.
    pub sequence: u64,
    /// What happened: `wallet_charged`, `wallet_paid`, `wallet_refunded`, `payment_captured`, `cart_ordered`,
    /// `order_refunded` or `order_cancelled`.
    pub kind: Word,
    /// The currency.
    pub currency: Word,
    /// By how much the balance changed, in the currency's minor unit.
    pub change: i64,
    /// The balance from then on.
    pub balance: i64,
    /// The account on the other side: `payment_provider` or `sales`.
    pub outside: Word,
    /// Who asked for it: a token's name.
    pub by: Word,
    /// Why: in the caller's words, or what was done, such as `captured`. Never empty.
    pub reason: Word,
    /// The authorization that it was captured from, or the order that was paid or refunded.
    pub document: Option<Document>,
    /// The caller's own document.
    pub reference: Option<Word>,
}
