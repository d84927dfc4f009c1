//! Small rests first, so that bins become empty.

use std::cmp::Ordering;

use super::{Candidate, by_walk};

pub(super) fn compare(a: &Candidate<'_>, b: &Candidate<'_>) -> Ordering {
    a.available.cmp(&b.available).then_with(|| by_walk(a, b))
}
