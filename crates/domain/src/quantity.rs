//! How many of something.

use std::{
    fmt,
    iter::Sum,
    ops::{Add, AddAssign, Sub, SubAssign},
};

use crate::{limits::QUANTITY_MAX, refusal::Refusal};

/// A whole number of a SKU's smallest unit: 0 to 9,007,199,254,740,991.
///
/// Adding and subtracting panic past these borders: by the time a quantity is computed with, a decision has
/// made sure that it fits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity(u64);

impl Quantity {
    /// None of it.
    pub const ZERO: Self = Self(0);
    /// One unit.
    pub const ONE: Self = Self(1);

    /// Checks `units`. Refuses with `invalid_value`, naming `field`.
    pub fn new(field: &'static str, units: u64) -> Result<Self, Refusal> {
        if units > QUANTITY_MAX {
            return Err(Refusal::invalid(field, "is more than 9007199254740991"));
        }
        Ok(Self(units))
    }

    /// A quantity that was checked before it was stored. Panics past the limit: the bytes lie.
    pub fn stored(units: u64) -> Self {
        assert!(units <= QUANTITY_MAX, "a stored quantity is past its limit: {units}");
        Self(units)
    }

    /// The number of units.
    pub fn get(self) -> u64 {
        self.0
    }

    /// The number of units as a signed number, for accounts that may be below zero.
    pub fn signed(self) -> i64 {
        i64::try_from(self.0).expect("QUANTITY_MAX fits an i64")
    }

    /// Whether there is none.
    pub fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// What is left after taking `other`, or none.
    pub fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// The sum, unless it is past the limit.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).filter(|sum| *sum <= QUANTITY_MAX).map(Self)
    }
}

impl Add for Quantity {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        self.checked_add(other).expect("a decision made sure that the sum fits")
    }
}

impl AddAssign for Quantity {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Quantity {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.checked_sub(other.0).expect("a decision made sure that there is enough"))
    }
}

impl SubAssign for Quantity {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl Sum for Quantity {
    fn sum<I: Iterator<Item = Self>>(items: I) -> Self {
        items.fold(Self::ZERO, |sum, item| sum + item)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
