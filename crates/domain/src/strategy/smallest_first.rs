//! Small rests first, so that bins become empty.

use super::{Candidate, Order, by_walk};
use crate::Quantity;

pub(super) struct SmallestFirst;

impl Order for SmallestFirst {
    fn order(&self, candidates: &mut [Candidate<'_>], _wanted: Quantity) {
        candidates.sort_by(|a, b| a.available.cmp(&b.available).then_with(|| by_walk(a, b)));
    }
}
