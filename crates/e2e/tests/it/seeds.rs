//! Where chance comes from, and what to type to see a failure again.

/// A seed that nobody knew before, or the one in `JAEGO_SEED`. It is printed.
pub(crate) fn seed() -> u64 {
    let seed = match std::env::var("JAEGO_SEED") {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("JAEGO_SEED is a number, not {text:?}")),
        Err(_) => fastrand::u64(..),
    };
    println!("again: JAEGO_SEED={seed}");
    seed
}

/// How many times its everyday size a test has: `JAEGO_SOAK`, or 1.
pub(crate) fn soak() -> usize {
    std::env::var("JAEGO_SOAK").map_or(1, |text| text.parse().expect("JAEGO_SOAK is a number"))
}
