//! First expired, first out: goods that expire never come last.

use super::{Candidate, Order, by_age, by_walk};
use crate::Quantity;

pub(super) struct Fefo;

impl Order for Fefo {
    fn order(&self, candidates: &mut [Candidate<'_>], _wanted: Quantity) {
        let key = |c: &Candidate<'_>| (c.expires_on.is_none(), c.expires_on);
        candidates.sort_by(|a, b| key(a).cmp(&key(b)).then_with(|| by_age(a, b)).then_with(|| by_walk(a, b)));
    }
}
