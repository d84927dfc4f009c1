//! How large a random test is and where it begins, as whoever runs it says.

/// How many times its everyday size a test has: `JAEGO_SOAK`, or 1.
///
/// # Panics
/// When the variable is no whole number.
#[must_use]
pub fn soak() -> u64 {
    number("JAEGO_SOAK").unwrap_or(1)
}

/// The one seed to play again: `JAEGO_SEED`. Nothing if nobody said it.
///
/// # Panics
/// When the variable is no whole number.
#[must_use]
pub fn seed() -> Option<u64> {
    number("JAEGO_SEED")
}

/// The number in a variable of the environment, if it is set.
///
/// # Panics
/// When the variable is no whole number.
#[must_use]
pub fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a whole number, not {text:?}")))
}
