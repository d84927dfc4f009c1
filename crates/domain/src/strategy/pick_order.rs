//! The walk: positions as a picker comes by them.

use super::{Candidate, Order, by_walk};
use crate::Quantity;

pub(super) struct PickOrder;

impl Order for PickOrder {
    fn order(&self, candidates: &mut [Candidate<'_>], _wanted: Quantity) {
        candidates.sort_by(by_walk);
    }
}
