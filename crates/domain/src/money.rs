//! Money: whole minor units of a currency, and the accounts that it moves between.

use std::{
    fmt,
    ops::{Add, AddAssign, Sub, SubAssign},
};

use crate::{Code, limits::AMOUNT_MAX, refusal::Refusal};

/// A currency by its alphabetic code of ISO 4217: three capital letters. Which codes are in use is for the caller
/// to know; loyalty points fit as well.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    /// Reads a code such as `KRW`. Refuses with `invalid_value`, naming `field`.
    pub fn new(field: &'static str, text: &str) -> Result<Self, Refusal> {
        let letters = <[u8; 3]>::try_from(text.as_bytes()).ok();
        let letters = letters.filter(|letters| letters.iter().all(u8::is_ascii_uppercase));
        letters.map(Self).ok_or_else(|| Refusal::invalid(field, "is not three capital letters such as KRW"))
    }

    /// The code.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("capital letters are text")
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A whole number of a currency's minor unit (won, cents): 0 to 9,007,199,254,740,991.
///
/// Adding and subtracting panic past these borders: by the time an amount is computed with, a decision has made
/// sure that it fits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(u64);

impl Amount {
    /// No money.
    pub const ZERO: Self = Self(0);

    /// Checks `units`. Refuses with `invalid_value`, naming `field`.
    pub fn new(field: &'static str, units: u64) -> Result<Self, Refusal> {
        if units > AMOUNT_MAX {
            return Err(Refusal::invalid(field, "is more than 9007199254740991"));
        }
        Ok(Self(units))
    }

    /// The number of minor units.
    pub fn get(self) -> u64 {
        self.0
    }

    /// The number of minor units as a signed number, for balances that may be below zero.
    pub fn signed(self) -> i64 {
        i64::try_from(self.0).expect("AMOUNT_MAX fits an i64")
    }

    /// Whether it is none.
    pub fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The difference, or nothing where it would be less.
    #[must_use]
    pub fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Add for Amount {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        let sum = self.0.checked_add(other.0).filter(|sum| *sum <= AMOUNT_MAX);
        Self(sum.expect("a decision made sure that the sum fits"))
    }
}

impl AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Amount {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.checked_sub(other.0).expect("a decision made sure that there is enough"))
    }
}

impl SubAssign for Amount {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The world outside the wallets, by name. For every currency the sum over all accounts, these included, is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MoneyOutside {
    /// Who collects from cards and banks: where charged money comes from.
    PaymentProvider,
    /// What was earned: where paid money goes, and refunds come from.
    Sales,
}

impl MoneyOutside {
    /// All of them, in the order of their tags.
    pub const ALL: [Self; 2] = [Self::PaymentProvider, Self::Sales];

    /// The name in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::PaymentProvider => "payment_provider",
            Self::Sales => "sales",
        }
    }
}

/// Money that went between a wallet and an outside account: both sides of the double entry. The event says when, by
/// whom and for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MoneyMovement<'a> {
    /// Whose wallet.
    pub owner: &'a Code,
    /// In which currency.
    pub currency: Currency,
    /// How much: never zero.
    pub amount: Amount,
    /// The account on the other side.
    pub outside: MoneyOutside,
    /// Whether the wallet got it; otherwise it gave it.
    pub incoming: bool,
    /// The wallet's balance from then on.
    pub balance: i64,
}

impl MoneyMovement<'_> {
    /// By how much the wallet's balance changed.
    pub fn change(&self) -> i64 {
        if self.incoming { self.amount.signed() } else { -self.amount.signed() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_currency_is_three_capital_letters() {
        assert_eq!(Currency::new("currency", "KRW").unwrap().to_string(), "KRW");
        for bad in ["", "KR", "KRWX", "krw", "K W", "원", "K\0W", "ÄÖÜ"] {
            assert!(matches!(Currency::new("currency", bad), Err(Refusal::InvalidValue { .. })), "{bad:?}");
        }
    }

    #[test]
    fn an_amount_ends_where_json_does() {
        assert!(Amount::new("amount", AMOUNT_MAX).is_ok());
        assert!(Amount::new("amount", AMOUNT_MAX + 1).is_err());
    }
}
