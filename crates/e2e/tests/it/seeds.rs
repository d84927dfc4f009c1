//! Where chance comes from, how much is tried, and what this machine does not allow to be tried.

/// A seed that nobody knew before, or the one in `JAEGO_SEED`. It is printed.
pub(crate) fn seed() -> u64 {
    let seed = jaego_testkit::seed().unwrap_or_else(|| fastrand::u64(..));
    println!("again: JAEGO_SEED={seed}");
    seed
}

/// How many of something are tried every day, or in a long run.
pub(crate) fn size(everyday: usize, soak: usize) -> usize {
    let size = jaego_testkit::size(everyday as u64, soak as u64);
    usize::try_from(size).expect("what is tried one after the other is counted in an usize")
}

/// Says that a test cannot be run on this machine, and why.
///
/// # Panics
/// Where `JAEGO_NO_SKIP` is set, as in a long run: a test that passes without having run proves nothing.
pub(crate) fn skipped(why: &str) {
    println!("skipped: {why}");
    assert!(std::env::var_os("JAEGO_NO_SKIP").is_none(), "not tried, and JAEGO_NO_SKIP asks for it: {why}");
}
