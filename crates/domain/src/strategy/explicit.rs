//! As the caller says: each line names its location, and what is left to choose is the lot, by the walk.

use super::{Candidate, Order, by_walk};
use crate::Quantity;

pub(super) struct Explicit;

impl Order for Explicit {
    fn order(&self, candidates: &mut [Candidate<'_>], _wanted: Quantity) {
        candidates.sort_by(by_walk);
    }
}
