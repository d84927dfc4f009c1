//! The law of every store, told as scenarios: rows of facts, requests and expected answers.
//!
//! A store proves itself by playing all of them:
//!
//! ```
//! # use std::sync::{Arc, atomic::{AtomicU64, Ordering}};
//! # use jaego_domain::Timestamp;
//! use jaego_store::{Reference, conformance::{self, StoreSubject}};
//!
//! let tally = conformance::run_all(|| {
//!     let clock = Arc::new(AtomicU64::new(0));
//!     let hand = Arc::clone(&clock);
//!     let store = Reference::new(move || Timestamp(clock.load(Ordering::SeqCst)));
//!     Box::new(StoreSubject::new(Arc::new(store), move |now| hand.store(now.0, Ordering::SeqCst)))
//! })?;
//! assert!(tally.rows > 0);
//! # Ok::<(), conformance::Failures>(())
//! ```
//!
//! Every scenario begins with an empty subject at [`START`]. It is played twice: once as written, and once with
//! an echo, where each accepted request that has a key of any kind is sent again at once and must be answered
//! as a repeat, with the outcome that it had.

mod row;
mod run;
mod subject;
mod told;
mod words;

use std::fmt;

use jaego_domain::Timestamp;

use run::{Echo, play};

pub use row::{Expected, Row, Scenario, parse};
pub use subject::{BareSubject, Call, LookBack, StoreSubject, Subject};
pub use told::Told;

/// When every scenario begins: 2026-03-01T00:00:00Z, nine in the morning in Seoul.
pub const START: Timestamp = Timestamp(1_772_323_200_000);

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        /// The scenarios by file, as they are played.
        pub const FILES: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../tests/scenarios/", $name)))),*];
    };
}

files!(
    "wallets.rows",
    "sites.rows",
    "skus.rows",
    "expired_lots.rows",
    "adjustments.rows",
    "moves.rows",
    "reversals.rows",
    "history.rows",
    "holds.rows",
    "expiry.rows",
    "strategies.rows",
    "transfers.rows",
    "picking.rows",
    "receiving.rows",
    "keys.rows",
    "batches.rows",
    "safety_stock.rows",
    "limits.rows",
    "orders.rows",
    "claims.rows",
    "fences.rows",
    "trades.rows",
    "pick_claims.rows",
    "carts.rows",
    "checkouts.rows",
);

/// How much was played.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Scenarios, each counted once.
    pub scenarios: usize,
    /// Rows, each counted once.
    pub rows: usize,
}

/// What was answered otherwise than expected: file, line, expected and got.
pub struct Failures(pub Vec<String>);

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} scenarios went otherwise than told", self.0.len())?;
        self.0.iter().try_for_each(|failure| writeln!(f, "{failure}"))
    }
}

impl fmt::Debug for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Failures {}

/// Plays every scenario, each on a new subject.
///
/// # Errors
/// The first unexpected answer of each scenario.
pub fn run_all(make_subject: impl FnMut() -> Box<dyn Subject>) -> Result<Tally, Failures> {
    run(FILES, make_subject)
}

/// Plays the scenarios of one text, each on a new subject.
///
/// # Errors
/// The first unexpected answer of each scenario, or the first line that cannot be read.
pub fn run_text(
    file: &str,
    text: &str,
    make_subject: impl FnMut() -> Box<dyn Subject>,
) -> Result<Tally, Failures> {
    run(&[(file, text)], make_subject)
}

fn run(
    files: &[(&str, &str)],
    mut make_subject: impl FnMut() -> Box<dyn Subject>,
) -> Result<Tally, Failures> {
    let mut tally = Tally::default();
    let mut failures = Vec::new();
    for (file, text) in files {
        let scenarios = match parse(file, text) {
            Ok(scenarios) => scenarios,
            Err(failure) => {
                failures.push(failure);
                continue;
            }
        };
        for scenario in &scenarios {
            tally.scenarios += 1;
            tally.rows += scenario.rows.len();
            let mut played =
                [Echo::Off, Echo::On].into_iter().map(|echo| play(scenario, echo, &mut *make_subject()));
            failures.extend(played.find_map(Result::err));
        }
    }
    if failures.is_empty() { Ok(tally) } else { Err(Failures(failures)) }
}
