//! Random sequences of plausible requests, held against the laws and against an obvious model of the books.
//!
//! Beside the tables that remember everything go tables that forget every document at rest after every command, and
//! must answer alike.
//!
//! A case is a seed and a number of steps. A case that fails is cut to the fewest steps that still fail, and
//! told with everything that happened in it. To play one again:
//!
//! ```text
//! JAEGO_SEED=42 JAEGO_STEPS=17 cargo nextest run -p jaego-store --test random
//! ```
//!
//! `JAEGO_SOAK=n` plays more cases, a million with 33, and longer ones, from a seed that it prints.

mod case;
mod dice;
mod forgetful;
mod listed;
mod naive;
mod periods;
mod world;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

use case::Case;
use jaego_testkit::{number, seed};

struct Size {
    first_seed: u64,
    cases: u64,
    steps: usize,
}

fn size() -> Size {
    let steps = number("JAEGO_STEPS").map(|steps| usize::try_from(steps).unwrap());
    if let Some(first_seed) = seed() {
        return Size { first_seed, cases: 1, steps: steps.unwrap_or(60) };
    }
    if number("JAEGO_SOAK").is_some() {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let first_seed = since.as_secs() << 20;
        return Size {
            first_seed,
            cases: jaego_testkit::size(10_000, 1_000_000),
            steps: steps.unwrap_or(250),
        };
    }
    Size { first_seed: 0, cases: 10_000, steps: steps.unwrap_or(40) }
}

/// Plays a case; a panic is a failure like any other.
fn play(mut case: Case, steps: usize) -> Result<case::Tally, String> {
    let played = catch_unwind(AssertUnwindSafe(|| case.play(steps)));
    let result = match played {
        Ok(result) => result,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            Err(text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_owned())
        }
    };
    match result {
        Ok(()) => Ok(case.tally),
        Err(wrong) => Err(format!("{wrong}\n\nwhat happened:\n{}", case.story())),
    }
}

fn fewest_steps(seed: u64, steps: usize) -> (usize, String) {
    (0..=steps)
        .find_map(|steps| play(Case::telling(seed), steps).err().map(|wrong| (steps, wrong)))
        .expect("the case failed with all its steps")
}

#[test]
fn whatever_is_asked_the_books_balance() {
    let Size { first_seed, cases, steps } = size();
    println!("{cases} cases of {steps} steps from seed {first_seed}");
    let next = AtomicU64::new(0);
    let failed = AtomicBool::new(false);
    let work = || {
        let mut tally = case::Tally::default();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= cases || failed.load(Ordering::Relaxed) {
                return Ok(tally);
            }
            let seed = first_seed + index;
            match play(Case::new(seed), steps) {
                Ok(played) => tally.add(&played),
                Err(_) if failed.swap(true, Ordering::Relaxed) => return Ok(tally),
                Err(_) => {
                    let (steps, wrong) = fewest_steps(seed, steps);
                    return Err(format!(
                        "seed {seed} fails after {steps} steps: {wrong}\nplay it again with JAEGO_SEED={seed} JAEGO_STEPS={steps}"
                    ));
                }
            }
        }
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let results: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().expect("panics are caught")).collect()
    });
    let mut tally = case::Tally::default();
    for result in results {
        match result {
            Ok(played) => tally.add(&played),
            Err(wrong) => panic!("{wrong}"),
        }
    }
    println!("{tally}");
    if cases >= 1_000 {
        tally.prove_that_everything_happened();
    }
}
