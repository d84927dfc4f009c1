//! As few stops as possible.
//!
//! Taking the largest first reaches any sum with the fewest stops; the last stop is then the smallest location
//! that has what is still wanted, so that large ones stay whole. Lots in one location are one stop.

use hashbrown::HashMap;

use super::{Candidate, by_walk};
use crate::{LocationId, Quantity};

pub(super) fn order(candidates: &mut [Candidate<'_>], wanted: Quantity) {
    let mut has: HashMap<LocationId, Quantity> = HashMap::new();
    for candidate in candidates.iter() {
        *has.entry(candidate.location).or_default() += candidate.available;
    }
    candidates.sort_by(|a, b| has[&b.location].cmp(&has[&a.location]).then_with(|| by_walk(a, b)));

    // The largest come first until one location alone has the rest: from there on the best fit leads.
    let mut rest = wanted;
    let mut start = 0;
    while start < candidates.len() {
        let here = candidates[start].location;
        if has[&here] >= rest {
            break;
        }
        rest -= has[&here];
        start += stop_len(candidates, start);
    }
    let Some(best) = (start..candidates.len()).rev().find(|at| has[&candidates[*at].location] >= rest) else {
        return;
    };
    // The last that fits is the smallest that fits; among equals the walk decides, so go to their first.
    let size = has[&candidates[best].location];
    let best = (start..=best).find(|at| has[&candidates[*at].location] == size).unwrap_or(best);
    let lots = stop_len(candidates, best);
    candidates[start..best + lots].rotate_right(lots);
}

/// How many candidates from `at` on lie in the same location: equal sizes are told apart by the walk, which
/// keeps a location's lots together.
fn stop_len(candidates: &[Candidate<'_>], at: usize) -> usize {
    let location = candidates[at].location;
    candidates[at..].iter().take_while(|candidate| candidate.location == location).count()
}
