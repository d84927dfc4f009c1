//! Where chance comes from, and what to type to see a failure again.

/// A seed that nobody knew before, or the one in `JAEGO_SEED`. It is printed.
pub(crate) fn seed() -> u64 {
    let seed = jaego_testkit::seed().unwrap_or_else(|| fastrand::u64(..));
    println!("again: JAEGO_SEED={seed}");
    seed
}

/// How many times its everyday size a test has: `JAEGO_SOAK`, or 1.
pub(crate) fn soak() -> usize {
    usize::try_from(jaego_testkit::soak()).expect("a soak is a small number")
}
