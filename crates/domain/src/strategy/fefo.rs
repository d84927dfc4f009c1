//! First expired, first out: goods that expire never come last.

use std::cmp::Ordering;

use super::{Candidate, by_age, by_walk};

pub(super) fn compare(a: &Candidate<'_>, b: &Candidate<'_>) -> Ordering {
    let key = |c: &Candidate<'_>| (c.expires_on.is_none(), c.expires_on);
    key(a).cmp(&key(b)).then_with(|| by_age(a, b)).then_with(|| by_walk(a, b))
}
