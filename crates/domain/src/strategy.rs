//! How positions are chosen. One way a file.

mod explicit;
mod fefo;
mod fewest_locations;
mod fifo;
mod pick_order;
mod smallest_first;

use std::cmp::Ordering;

use crate::{Code, Date, LocationId, LotId, Place, Quantity, Tables, Timestamp, refusal::Refusal};

/// A way to choose positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Strategy {
    /// First expired, first out.
    Fefo,
    /// First received, first out.
    Fifo,
    /// In the order of the walk.
    PickOrder,
    /// As few stops as possible.
    FewestLocations,
    /// Small rests first: empties bins.
    SmallestFirst,
    /// As the caller says.
    Explicit,
}

impl Strategy {
    /// All of them, in the order of their tags.
    pub const ALL: [Self; 6] =
        [Self::Fefo, Self::Fifo, Self::PickOrder, Self::FewestLocations, Self::SmallestFirst, Self::Explicit];

    /// The name in requests, answers and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fefo => "fefo",
            Self::Fifo => "fifo",
            Self::PickOrder => "pick_order",
            Self::FewestLocations => "fewest_locations",
            Self::SmallestFirst => "smallest_first",
            Self::Explicit => "explicit",
        }
    }

    /// Reads a name. Refuses with `invalid_value`.
    pub fn parse(field: &'static str, name: &str) -> Result<Self, Refusal> {
        Self::ALL.into_iter().find(|strategy| strategy.name() == name).ok_or_else(|| {
            Refusal::invalid(
                field,
                "is not fefo, fifo, pick_order, fewest_locations, smallest_first or explicit",
            )
        })
    }

    /// Puts candidates into the order in which they are taken, each until it is empty or nothing more is wanted.
    ///
    /// Its law: the order depends on nothing but the candidates' quantities, dates and codes, so that two stores
    /// that number their rows differently come to the same answer.
    pub(crate) fn order(self, candidates: &mut [Candidate<'_>], wanted: Quantity) {
        // A single position needs no choice, and most lines have a single position.
        if candidates.len() < 2 {
            return;
        }
        match self.comparison() {
            Some(compare) => candidates.sort_by(compare),
            None => fewest_locations::order(candidates, wanted),
        }
    }

    /// How many of these candidates are enough to take from `count`: those are first then, in any order. All of them are
    /// needed where the order depends on what they have together.
    pub(crate) fn part_first(self, candidates: &mut [Candidate<'_>], count: usize) -> usize {
        let Some(compare) = self.comparison() else { return candidates.len() };
        if count == 0 || count >= candidates.len() {
            return count.min(candidates.len());
        }
        candidates.select_nth_unstable_by(count - 1, compare);
        count
    }

    /// Which of two candidates is likely to be taken sooner; where that depends on the others, the one that has more.
    pub(crate) fn compare(self, a: &Candidate<'_>, b: &Candidate<'_>) -> Ordering {
        match self.comparison() {
            Some(compare) => compare(a, b),
            None => b.available.cmp(&a.available).then_with(|| by_walk(a, b)),
        }
    }

    /// Which of two candidates comes first, unless that depends on the others.
    fn comparison(self) -> Option<Compare> {
        match self {
            Self::Fefo => Some(fefo::compare),
            Self::Fifo => Some(fifo::compare),
            Self::PickOrder => Some(pick_order::compare),
            Self::FewestLocations => None,
            Self::SmallestFirst => Some(smallest_first::compare),
            Self::Explicit => Some(explicit::compare),
        }
    }
}

/// Which of two candidates is taken first. No two places are equal.
type Compare = fn(&Candidate<'_>, &Candidate<'_>) -> Ordering;

/// A position with something available.
#[derive(Clone, Debug)]
pub(crate) struct Candidate<'a> {
    pub(crate) location: LocationId,
    pub(crate) lot: LotId,
    pub(crate) available: Quantity,
    pub(crate) pick_order: u32,
    pub(crate) location_code: &'a Code,
    pub(crate) lot_code: Option<&'a Code>,
    pub(crate) received_on: Option<Date>,
    pub(crate) expires_on: Option<Date>,
    pub(crate) since: Timestamp,
}

impl<'a> Candidate<'a> {
    /// What a strategy looks at of a position that has `available`, since when something lies there.
    pub(crate) fn at(tables: &'a impl Tables, place: Place, available: Quantity, since: Timestamp) -> Self {
        let location = tables.location(place.location);
        let lot = (place.lot != LotId::NONE).then(|| tables.lot(place.lot));
        Self {
            location: place.location,
            lot: place.lot,
            available,
            pick_order: location.pick_order,
            location_code: &location.code,
            lot_code: lot.map(|lot| &lot.code),
            received_on: lot.and_then(|lot| lot.received_on),
            expires_on: lot.and_then(|lot| lot.expires_on),
            since,
        }
    }
}

/// The walk through the site; ties end on the codes' text.
fn by_walk(a: &Candidate<'_>, b: &Candidate<'_>) -> Ordering {
    (a.pick_order, a.location_code, a.lot_code).cmp(&(b.pick_order, b.location_code, b.lot_code))
}

/// What came first: by the lot's day where both have one, and else by when stock came to lie there.
fn by_age(a: &Candidate<'_>, b: &Candidate<'_>) -> Ordering {
    // Lots without a day come after those with one: an order must not compare some pairs by one key and
    // others by another, or it is none.
    let key = |c: &Candidate<'_>| (c.received_on.is_none(), c.received_on, c.since);
    key(a).cmp(&key(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Sequence, chance};

    fn taken(strategy: Strategy, wanted: u64, rows: &str) -> String {
        let code = |text| Code::new("code", text).unwrap();
        let parsed: Vec<_> = rows
            .lines()
            .map(|row| {
                let cells: Vec<_> = row.split_whitespace().collect();
                let day = |cell: &str| (cell != "-").then(|| Date::parse("day", cell).unwrap());
                (
                    code(cells[0]),
                    code(cells[1]),
                    cells[2].parse().unwrap(),
                    cells[3].parse().unwrap(),
                    day(cells[4]),
                    day(cells[5]),
                )
            })
            .collect();
        let mut candidates: Vec<_> = parsed
            .iter()
            .enumerate()
            .map(|(at, (location, lot, available, pick_order, received_on, expires_on))| Candidate {
                location: LocationId(u32::try_from(at).unwrap()),
                lot: LotId(1),
                available: Quantity::stored(*available),
                pick_order: *pick_order,
                location_code: location,
                lot_code: Some(lot),
                received_on: *received_on,
                expires_on: *expires_on,
                since: Timestamp(0),
            })
            .collect();
        strategy.order(&mut candidates, Quantity::stored(wanted));
        let codes: Vec<_> = candidates.iter().map(|candidate| candidate.location_code.as_str()).collect();
        codes.join(" ")
    }

    //            location lot available pick_order received_on expires_on
    const ROWS: &str = "A-01 L1 5  3 2026-01-05 2026-09-01
                        A-02 L2 9  2 2026-01-03 2026-07-01
                        B-01 L3 2  1 -          -
                        B-02 L4 6  2 2026-01-04 2026-07-01";

    #[test]
    fn the_first_few_are_those_of_the_whole_order() {
        const CANDIDATES: u64 = 3_000;
        let code = |number| Code::new("code", &format!("L{number:04}")).unwrap();
        let codes: Vec<Code> = (0..CANDIDATES).map(code).collect();
        let candidate = |number: usize| {
            let thrown = chance(Sequence(number as u64));
            let day = |shift: u32| {
                let day = 1 + (thrown >> shift) % 28;
                (day < 25).then(|| Date::parse("day", &format!("2026-01-{day:02}")).unwrap())
            };
            // Few of each, so that many are equal but for their codes.
            Candidate {
                location: LocationId(u32::try_from(number).unwrap()),
                lot: LotId(1),
                available: Quantity::stored(1 + (thrown >> 8) % 3),
                pick_order: u32::try_from((thrown >> 16) % 40).unwrap(),
                location_code: &codes[(number * 7) % codes.len()],
                lot_code: None,
                received_on: day(24),
                expires_on: day(32),
                since: Timestamp((thrown >> 40) % 5),
            }
        };
        let all: Vec<_> = (0..codes.len()).map(candidate).collect();
        let codes =
            |some: &[Candidate<'_>]| some.iter().map(|one| one.location_code.clone()).collect::<Vec<_>>();
        for strategy in Strategy::ALL {
            for count in [0, 1, 2, 1_023, 1_024, 2_999, 3_000, 3_001] {
                let wanted = Quantity::stored(count as u64);
                let (mut whole, mut part) = (all.clone(), all.clone());
                strategy.order(&mut whole, wanted);
                let enough = strategy.part_first(&mut part, count);
                assert!(enough >= count.min(all.len()), "{} of {count}", strategy.name());
                strategy.order(&mut part[..enough], wanted);
                assert_eq!(codes(&part[..enough]), codes(&whole[..enough]), "{} of {count}", strategy.name());
            }
        }
    }

    #[test]
    fn each_strategy_has_its_own_order() {
        let rows = [
            (Strategy::Fefo, 10, "A-02 B-02 A-01 B-01"),
            (Strategy::Fifo, 10, "A-02 B-02 A-01 B-01"),
            (Strategy::PickOrder, 10, "B-01 A-02 B-02 A-01"),
            (Strategy::SmallestFirst, 10, "B-01 A-01 B-02 A-02"),
            // 10: the largest, 9, and then the smallest that has the last 1.
            (Strategy::FewestLocations, 10, "A-02 B-01 B-02 A-01"),
            // 6: one stop, and not at the largest.
            (Strategy::FewestLocations, 6, "B-02 A-02 A-01 B-01"),
            // 20: three stops at the least.
            (Strategy::FewestLocations, 20, "A-02 B-02 A-01 B-01"),
        ];
        for (strategy, wanted, expected) in rows {
            assert_eq!(taken(strategy, wanted, ROWS), expected, "{} of {wanted}", strategy.name());
        }
    }
}
