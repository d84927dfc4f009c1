//! Random sequences of plausible requests, held against the laws and against an obvious model of the books.
//!
//! Beside the tables that remember everything go tables that forget every document at rest after every command, and
//! must answer alike.
//!
//! A case is a seed and a number of steps. A case that fails is cut to the fewest steps that still fail, at the end and in
//! between, and told with everything that happened in it. To play one again:
//!
//! ```text
//! JAEGO_SEED=42 JAEGO_STEPS=17 JAEGO_WITHOUT=3,8 cargo nextest run -p jaego-store random::
//! ```
//!
//! A seed means another case as soon as the dice fall otherwise, so what was found is kept as a row of the scenarios.
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
    collections::BTreeSet,
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

/// A case that fails, without the steps that it fails without.
struct Shrunk {
    steps: usize,
    left_out: BTreeSet<usize>,
    wrong: String,
}

fn shrunk(seed: u64, steps: usize, left_out: &BTreeSet<usize>) -> Shrunk {
    let play = |steps, left_out: &BTreeSet<usize>| play(Case::telling(seed, left_out), steps).err();
    let fewest = (0..=steps).find_map(|steps| play(steps, left_out).map(|wrong| (steps, wrong)));
    let (steps, wrong) = fewest.expect("the case failed with all its steps");
    let mut shrunk = Shrunk { steps, left_out: left_out.clone(), wrong };
    for step in (0..steps).rev() {
        let mut fewer = shrunk.left_out.clone();
        if fewer.insert(step)
            && let Some(wrong) = play(steps, &fewer)
        {
            (shrunk.left_out, shrunk.wrong) = (fewer, wrong);
        }
    }
    shrunk
}

/// The steps of `JAEGO_WITHOUT`.
fn left_out() -> BTreeSet<usize> {
    let text = std::env::var("JAEGO_WITHOUT").unwrap_or_default();
    let steps = text.split(',').filter(|step| !step.is_empty());
    steps.map(|step| step.parse().expect("JAEGO_WITHOUT has numbers of steps and commas")).collect()
}

#[test]
fn whatever_is_asked_the_books_balance() {
    let Size { first_seed, cases, steps } = size();
    println!("{cases} cases of {steps} steps from seed {first_seed}");
    let left_out = left_out();
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
            let case = if left_out.is_empty() { Case::new(seed) } else { Case::telling(seed, &left_out) };
            match play(case, steps) {
                Ok(played) => tally.add(&played),
                Err(_) if failed.swap(true, Ordering::Relaxed) => return Ok(tally),
                Err(_) => {
                    let Shrunk { steps, left_out, wrong } = shrunk(seed, steps, &left_out);
                    let without: Vec<_> = left_out.iter().map(usize::to_string).collect();
                    let without = without.join(",");
                    return Err(format!(
                        "seed {seed} fails after {steps} steps: {wrong}\n\
                         play it again with JAEGO_SEED={seed} JAEGO_STEPS={steps} JAEGO_WITHOUT={without}"
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
