//! One seed after the other, and what to type to see a failure again.

/// Runs the test for many seeds, or for the one in `JAEGO_SEED`.
pub(crate) fn each_seed(test: &'static str, seeds: u64, run: impl Fn(u64)) {
    if let Some(seed) = number("JAEGO_SEED") {
        return run(seed);
    }
    for seed in 0..seeds * number("JAEGO_SOAK").unwrap_or(1) {
        let _told = Told { test, seed };
        run(seed);
    }
}

pub(crate) fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {text:?}")))
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
            eprintln!("seed {seed}; again: JAEGO_SEED={seed} cargo test -p jaego-sim --test it {test}");
        }
    }
}
