//! How large a random test is and where it begins, as whoever runs it says.

/// The factor of a long run, which `make soak` sets.
pub const SOAK: u64 = 33;

/// How many of something a test tries: as many as on every day, or as many as a long run wants. In between, and beyond, it
/// grows evenly with `JAEGO_SOAK`.
///
/// # Panics
/// When the variable is no whole number, or a long run should try less.
#[must_use]
pub fn size(everyday: u64, soak_size: u64) -> u64 {
    size_at(everyday, soak_size, soak())
}

fn size_at(everyday: u64, soak_size: u64, factor: u64) -> u64 {
    assert!(soak_size >= everyday, "a long run tries {everyday} at least");
    everyday + ((soak_size - everyday) * factor.saturating_sub(1)).div_ceil(SOAK - 1)
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_that_of_every_day_and_that_of_a_soak_and_grows_in_between() {
        let sizes = [0, 1, 2, 17, SOAK, 65].map(|factor| size_at(300, 10_000, factor));
        assert_eq!(sizes, [300, 300, 604, 5_150, 10_000, 19_700]);
    }
}
