//! What is available of a SKU at a site, for a command of which many lines want it: looked at once, and kept in the order
//! in which each strategy takes it.

use std::collections::BTreeSet;

use hashbrown::HashMap;

use super::allocate::Want;
use crate::{LocationId, LotId, Quantity, Strategy, strategy::Candidate};

/// Where a line looks: in one location or all of them, for one lot or any.
type Filter = (Option<LocationId>, Option<LotId>);

/// A line takes in the time of what it takes (and of the logarithm of what there is), where sorting all candidates again
/// would take that of what there is. It takes exactly what [`Strategy::order`] would have had it take.
pub(super) struct Shelf<'a> {
    strategy: Strategy,
    /// In the order of the strategy, or of the walk where that depends on what is left.
    candidates: Vec<Candidate<'a>>,
    lanes: HashMap<Filter, Lane>,
    /// Which filters have lanes: whether they name a location, and whether a lot.
    kinds: Vec<(bool, bool)>,
}

/// The candidates that pass a filter, by their index.
enum Lane {
    /// In their own order; those before `next` are empty.
    Fixed {
        at: Vec<u32>,
        next: usize,
    },
    /// The smallest first. None is empty.
    BySize(BTreeSet<(Quantity, u32)>),
    ByStop(Stops),
}

/// Locations by what they have in all their lots, and by the index of their first candidate. None is empty.
#[derive(Default)]
struct Stops {
    sizes: BTreeSet<(Quantity, u32)>,
    stops: HashMap<LocationId, Stop>,
}

#[derive(Default)]
struct Stop {
    size: Quantity,
    candidates: Vec<u32>,
    /// Those before it are empty.
    next: usize,
}

impl<'a> Shelf<'a> {
    /// A shelf of these candidates, none of which is empty.
    pub(super) fn new(strategy: Strategy, mut candidates: Vec<Candidate<'a>>) -> Self {
        let order = match strategy {
            Strategy::SmallestFirst | Strategy::FewestLocations => Strategy::Explicit,
            Strategy::Fefo | Strategy::Fifo | Strategy::PickOrder | Strategy::Explicit => strategy,
        };
        order.order(&mut candidates, Quantity::ZERO);
        Self { strategy, candidates, lanes: HashMap::new(), kinds: Vec::new() }
    }

    pub(super) fn strategy(&self) -> Strategy {
        self.strategy
    }

    /// Takes at most what a line wants, from `picks_max` positions at the most, and says how much that was.
    pub(super) fn take(
        &mut self,
        want: &Want,
        picks_max: usize,
        mut take: impl FnMut(&Candidate<'a>, Quantity),
    ) -> Quantity {
        let filter = (want.location, want.lot);
        self.open_lanes((filter.0.is_some(), filter.1.is_some()));
        let mut rest = want.quantity;
        let mut stop = None;
        for _ in 0..picks_max {
            if rest.is_zero() {
                break;
            }
            let Some(lane) = self.lanes.get_mut(&filter) else { break };
            let Some(at) = lane.next(&self.candidates, rest, &mut stop) else { break };
            let candidate = &self.candidates[at as usize];
            let quantity = rest.min(candidate.available);
            take(candidate, quantity);
            rest -= quantity;
            self.shrink(at, quantity);
        }
        want.quantity - rest
    }

    /// Makes the lanes of all filters of a kind, unless they are there.
    fn open_lanes(&mut self, kind: (bool, bool)) {
        if self.kinds.contains(&kind) {
            return;
        }
        self.kinds.push(kind);
        for (candidate, at) in self.candidates.iter().zip(0..) {
            if candidate.available.is_zero() {
                continue;
            }
            let lane = self.lanes.entry(filter_of(candidate, kind));
            lane.or_insert_with(|| Lane::new(self.strategy)).push(candidate, at);
        }
    }

    /// Notes in every lane that a candidate has less.
    fn shrink(&mut self, at: u32, quantity: Quantity) {
        let candidate = &mut self.candidates[at as usize];
        let before = candidate.available;
        candidate.available -= quantity;
        for kind in &self.kinds {
            let lane = self.lanes.get_mut(&filter_of(candidate, *kind));
            lane.expect("a candidate has a lane of each kind").shrink(candidate, at, before);
        }
    }
}

fn filter_of(candidate: &Candidate<'_>, (location, lot): (bool, bool)) -> Filter {
    (location.then_some(candidate.location), lot.then_some(candidate.lot))
}

impl Lane {
    fn new(strategy: Strategy) -> Self {
        match strategy {
            Strategy::SmallestFirst => Self::BySize(BTreeSet::new()),
            Strategy::FewestLocations => Self::ByStop(Stops::default()),
            Strategy::Fefo | Strategy::Fifo | Strategy::PickOrder | Strategy::Explicit => {
                Self::Fixed { at: Vec::new(), next: 0 }
            }
        }
    }

    /// Adds the next candidate.
    fn push(&mut self, candidate: &Candidate<'_>, index: u32) {
        match self {
            Self::Fixed { at, .. } => at.push(index),
            Self::BySize(sizes) => drop(sizes.insert((candidate.available, index))),
            Self::ByStop(stops) => {
                stops.stops.entry(candidate.location).or_default().candidates.push(index);
                stops.resize(candidate.location, |size| size + candidate.available);
            }
        }
    }

    /// The candidate that a line takes from next which still wants `rest`. It takes all of a stop before it goes to another.
    fn next(
        &mut self,
        candidates: &[Candidate<'_>],
        rest: Quantity,
        stop: &mut Option<LocationId>,
    ) -> Option<u32> {
        let is_empty = |at: &u32| candidates[*at as usize].available.is_zero();
        match self {
            Self::Fixed { at, next } => {
                *next += at[*next..].iter().take_while(|at| is_empty(at)).count();
                at.get(*next).copied()
            }
            Self::BySize(sizes) => sizes.first().map(|(_, at)| *at),
            Self::ByStop(stops) => {
                let here = match stop.filter(|here| !stops.stops[here].size.is_zero()) {
                    Some(here) => here,
                    None => candidates[stops.best(rest)? as usize].location,
                };
                *stop = Some(here);
                let Stop { candidates, next, .. } = stops.stops.get_mut(&here)?;
                *next += candidates[*next..].iter().take_while(|at| is_empty(at)).count();
                candidates.get(*next).copied()
            }
        }
    }

    /// Notes that a candidate had `before` and has less now.
    fn shrink(&mut self, candidate: &Candidate<'_>, at: u32, before: Quantity) {
        match self {
            Self::Fixed { .. } => {}
            Self::BySize(sizes) => {
                sizes.remove(&(before, at));
                if !candidate.available.is_zero() {
                    sizes.insert((candidate.available, at));
                }
            }
            Self::ByStop(stops) => {
                stops.resize(candidate.location, |size| size - (before - candidate.available));
            }
        }
    }
}

impl Stops {
    /// The first candidate of the stop to go to: the largest while none has all that is wanted, and then the smallest that
    /// has it. Among equals the walk decides.
    fn best(&self, rest: Quantity) -> Option<u32> {
        let (largest, _) = *self.sizes.last()?;
        self.sizes.range((rest.min(largest), 0)..).next().map(|(_, first)| *first)
    }

    fn resize(&mut self, location: LocationId, resized: impl FnOnce(Quantity) -> Quantity) {
        let stop = self.stops.get_mut(&location).expect("a candidate's stop is there");
        let first = stop.candidates[0];
        self.sizes.remove(&(stop.size, first));
        stop.size = resized(stop.size);
        if !stop.size.is_zero() {
            self.sizes.insert((stop.size, first));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Code, Date, Sequence, SiteId, SkuId, Timestamp, chance};

    /// Sorts all candidates again for each line.
    fn plainly(
        strategy: Strategy,
        candidates: &mut [Candidate<'_>],
        want: &Want,
    ) -> Vec<(LocationId, LotId, Quantity)> {
        let passes = |c: &&mut Candidate<'_>| {
            want.location.is_none_or(|location| location == c.location)
                && want.lot.is_none_or(|lot| lot == c.lot)
                && !c.available.is_zero()
        };
        let mut fitting: Vec<_> = candidates.iter_mut().filter(passes).map(|c| c.clone()).collect();
        strategy.order(&mut fitting, want.quantity);
        let mut rest = want.quantity;
        let mut taken = Vec::new();
        for candidate in fitting.into_iter().filter(|_| !want.quantity.is_zero()) {
            let quantity = rest.min(candidate.available);
            if quantity.is_zero() {
                break;
            }
            rest -= quantity;
            let mut same = candidates.iter_mut();
            let same = same.find(|c| (c.location, c.lot) == (candidate.location, candidate.lot));
            same.unwrap().available -= quantity;
            taken.push((candidate.location, candidate.lot, quantity));
        }
        taken
    }

    #[test]
    fn line_for_line_it_takes_what_sorting_again_would() {
        const LOCATIONS: u32 = 12;
        const LOTS: u32 = 4;
        let mut seed = 1;
        let mut random = |below: u32| {
            seed = chance(Sequence(seed));
            u32::try_from(seed % u64::from(below)).unwrap()
        };
        let codes: Vec<_> = (0..LOCATIONS.max(LOTS + 1))
            .map(|number| Code::new("code", &format!("C{:02}", (number * 7) % 13)).unwrap())
            .collect();
        let days: Vec<_> =
            (1..=3).map(|day| Date::parse("day", &format!("2026-01-0{day}")).unwrap()).collect();
        let (mut lines, mut takes) = (0, 0);
        for case in 0..300 {
            let strategy = Strategy::ALL[case % Strategy::ALL.len()];
            let lots: Vec<_> = (0..=LOTS).map(|_| (random(4), random(4))).collect();
            let walk: Vec<_> = (0..LOCATIONS).map(|_| random(4)).collect();
            let day = |number: u32| days.get(number as usize).copied();
            let mut candidates = Vec::new();
            for (location, lot) in
                (0..LOCATIONS).flat_map(|location| (1..=LOTS).map(move |lot| (location, lot)))
            {
                let available = u64::from(random(9));
                if available == 0 {
                    continue;
                }
                candidates.push(Candidate {
                    location: LocationId(location),
                    lot: LotId(lot),
                    available: Quantity::stored(available),
                    pick_order: walk[location as usize],
                    location_code: &codes[location as usize],
                    lot_code: Some(&codes[lot as usize]),
                    received_on: day(lots[lot as usize].0),
                    expires_on: day(lots[lot as usize].1),
                    since: Timestamp(u64::from(random(3))),
                });
            }
            let mut plain = candidates.clone();
            let mut shelf = Shelf::new(strategy, candidates);
            for line in 0..40 {
                let want = Want {
                    line,
                    site: SiteId(0),
                    sku: SkuId(0),
                    quantity: Quantity::stored(u64::from(random(20))),
                    location: (random(4) == 0).then(|| LocationId(random(LOCATIONS))),
                    lot: (random(4) == 0).then(|| LotId(1 + random(LOTS))),
                };
                let mut taken = Vec::new();
                let got = shelf.take(&want, usize::MAX, |candidate, quantity| {
                    taken.push((candidate.location, candidate.lot, quantity));
                });
                assert_eq!(got, taken.iter().map(|(.., quantity)| *quantity).sum());
                let name = strategy.name();
                assert_eq!(taken, plainly(strategy, &mut plain, &want), "{name}, case {case}, line {line}");
                lines += 1;
                takes += taken.len();
            }
        }
        println!("{lines} lines, {takes} takes");
        assert!(takes > lines / 2);
    }
}
