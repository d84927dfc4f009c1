//! What the compiler says of uses of the attribute, good and bad.
//!
//! After a change that is meant: `TRYBUILD=overwrite cargo test -p jaego-lock-macros --test compile`, then read
//! the difference.

#[test]
fn good_uses_compile_and_bad_ones_are_pointed_at() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/good/*.rs");
    cases.compile_fail("tests/bad/*.rs");
}
