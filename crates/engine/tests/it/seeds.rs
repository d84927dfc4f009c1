//! One seed after the other, and what to type to see a failure again.

use jaego_testkit::{seed, size};

/// Runs the test for many seeds, or for the one in `JAEGO_SEED`.
pub(crate) fn each_seed(test: &'static str, seeds: u64, run: impl Fn(u64)) {
    if let Some(seed) = seed() {
        return run(seed);
    }
    for seed in 0..size(seeds, seeds * 50) {
        let _told = Told { test, seed };
        run(seed);
    }
}

/// Tells how to see a failure again.
struct Told {
    test: &'static str,
    seed: u64,
}

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Told { test, seed } = self;
            eprintln!("seed {seed}; again: JAEGO_SEED={seed} cargo test -p jaego-engine --test it {test}");
        }
    }
}
