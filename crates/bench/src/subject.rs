//! One server doing one kind of work, as often as it is asked to.

use crate::Error;
use crate::load::{Bound, Round};

/// What is measured: set up once, run in rounds, and held to its books at the end.
pub(crate) trait Subject {
    /// Who does it, and how: one line of a table.
    fn name(&self) -> String;

    /// Runs one load.
    ///
    /// # Errors
    /// If the load could not be run. Unexpected answers are in the [`Round`].
    fn round(&mut self) -> Result<Round, Error>;

    /// Compares what the server keeps with what it answered, in all rounds together. The sentence says what
    /// was found to hold.
    ///
    /// # Errors
    /// [`Error::Books`] if it does not.
    fn check(&mut self) -> Result<String, Error>;
}

/// How large a load is, for every subject alike.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) connections: usize,
    pub(crate) threads: usize,
    pub(crate) bound: Bound,
}

/// Deals `count` out to `shares`, as evenly as it goes; gives the part of one of them.
pub(crate) fn share(count: u64, index: usize, shares: usize) -> u64 {
    let (index, shares) = (index as u64, shares as u64);
    count / shares + u64::from(index < count % shares)
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn shares_add_up() {
        for (count, shares) in [(0, 3), (1, 3), (10, 3), (1_000, 64)] {
            let parts: Vec<u64> = (0..shares).map(|index| share(count, index, shares)).collect();
            assert_eq!(parts.iter().sum::<u64>(), count);
            assert!(parts.iter().max().unwrap() - parts.iter().min().unwrap() <= 1);
        }
    }
}
