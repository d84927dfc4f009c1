//! First received, first out.

use std::cmp::Ordering;

use super::{Candidate, by_age, by_walk};

pub(super) fn compare(a: &Candidate<'_>, b: &Candidate<'_>) -> Ordering {
    by_age(a, b).then_with(|| by_walk(a, b))
}
