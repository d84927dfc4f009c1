//! First received, first out.

use super::{Candidate, Order, by_age, by_walk};
use crate::Quantity;

pub(super) struct Fifo;

impl Order for Fifo {
    fn order(&self, candidates: &mut [Candidate<'_>], _wanted: Quantity) {
        candidates.sort_by(|a, b| by_age(a, b).then_with(|| by_walk(a, b)));
    }
}
