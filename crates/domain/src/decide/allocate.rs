//! Finds positions for a line: the one place where stock is promised.

use smallvec::SmallVec;

use super::{desk::Desk, shelf::Shelf};
use crate::{
    Code, LocationId, LotId, Place, Quantity, Refusal, SiteId, SkuId, Strategy, Tables, Timestamp, WARM_MAX,
    event::{Short, Take},
    outcome, query,
    refusal::Shortage,
    row,
    strategy::Candidate,
};

/// Positions of a SKU that each line of a command looks at again. Of more, a second line of the SKU makes a [`Shelf`].
const SHELF_POSITIONS_MIN: usize = 32;

/// Candidates that are kept at the least until those that come too late are left out: each is compared a few times, and
/// none is sorted that is not taken.
const SORTED_MIN: usize = 1_024;

/// What a line wants.
#[derive(Clone, Copy)]
pub(super) struct Want {
    pub(super) line: u32,
    pub(super) site: SiteId,
    pub(super) sku: SkuId,
    pub(super) quantity: Quantity,
    pub(super) location: Option<LocationId>,
    pub(super) lot: Option<LotId>,
}

/// How far a shortage is acceptable.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Partial {
    Allow,
    Forbid,
    /// Nothing at all is acceptable as well: the rest is waited for.
    Await,
}

impl Partial {
    pub(super) fn of(allowed: bool) -> Self {
        if allowed { Self::Allow } else { Self::Forbid }
    }
}

impl<'a, T: Tables> Desk<'a, T> {
    /// Takes what each line wants, in turn, and says what was short.
    ///
    /// Refuses with `not_stocked_here` or `insufficient_stock`, all shortages at once, where a part is not good
    /// enough or where there is nothing at all. `name` tells a line's name.
    pub(super) fn allocate(
        &mut self,
        wants: &[Want],
        strategy: Option<Strategy>,
        partial: Partial,
        name: impl Fn(u32) -> Code,
        mut take: impl FnMut(Take),
    ) -> Result<Vec<Short>, Refusal> {
        let mut short = Vec::new();
        let mut short_wants = Vec::new();
        let mut obtained = false;
        for (want, at) in wants.iter().zip(0..) {
            if wants.len() > 1 && at % WARM_MAX == 0 {
                self.tables.warm_gates(wants[at..].iter().map(|want| (want.site, want.sku)));
            }
            let got = self.allocate_line(want, strategy, wants.len() > 1, &mut take);
            obtained |= !got.is_zero();
            if got < want.quantity {
                short.push(Short { line: want.line, requested: want.quantity, available: got });
                short_wants.push(want);
            }
        }
        if partial == Partial::Await || obtained && (short.is_empty() || partial == Partial::Allow) {
            return Ok(short);
        }
        let stocked = short_wants.iter().any(|want| self.is_stocked(want.site, want.sku));
        let shortages: Vec<Shortage> = short
            .iter()
            .zip(short_wants)
            .map(|(short, want)| outcome::shortage(self.tables, name(short.line), want.site, want.sku, short))
            .collect();
        // A SKU that was never here is another matter than one that ran out, unless both stand in the way.
        if partial == Partial::Forbid
            && !stocked
            && let Some(first) = shortages.first()
        {
            let (site, sku) = (first.site.clone(), first.sku.clone());
            return Err(Refusal::NotStockedHere { site, sku, shortages });
        }
        Err(Refusal::InsufficientStock { shortages })
    }

    fn is_stocked(&self, site: SiteId, sku: SkuId) -> bool {
        self.tables.gate(site, sku).is_some_and(|gate| gate.stocked)
    }

    /// Takes at most what one line wants, and says how much that was.
    pub(super) fn allocate_line(
        &mut self,
        want: &Want,
        strategy: Option<Strategy>,
        remember: bool,
        take: &mut impl FnMut(Take),
    ) -> Quantity {
        let strategy = strategy.unwrap_or_else(|| self.tables.site(want.site).strategy);
        if remember && self.shelves.contains_key(&(want.site, want.sku)) {
            return self.take_from_shelf(want, strategy, take);
        }
        // Each has something, so that no more of them are taken from than units are wanted.
        let count = usize::try_from(want.quantity.get()).unwrap_or(usize::MAX).min(self.picks_max);
        let (mut candidates, looked) =
            self.candidates(want.site, want.sku, Some((strategy, count)), |place| {
                want.lot.is_none_or(|lot| lot == place.lot)
                    && want.location.is_none_or(|location| location == place.location)
            });
        if remember && looked > SHELF_POSITIONS_MIN {
            self.shelves.insert((want.site, want.sku), None);
        }
        strategy.order(&mut candidates, want.quantity);

        let mut rest = want.quantity;
        for candidate in candidates.iter().take(self.picks_max) {
            if rest.is_zero() {
                break;
            }
            let quantity = rest.min(candidate.available);
            rest -= quantity;
            let found = found(want, candidate, quantity);
            if remember {
                *self.taken.entry(found.place()).or_default() += quantity;
            }
            take(found);
        }
        want.quantity - rest
    }

    /// Does what [`Desk::allocate_line`] does for a SKU of which there are many positions.
    fn take_from_shelf(&mut self, want: &Want, strategy: Strategy, take: &mut impl FnMut(Take)) -> Quantity {
        let key = (want.site, want.sku);
        let is_ready = matches!(&self.shelves[&key], Some(shelf) if shelf.strategy() == strategy);
        if !is_ready {
            let (candidates, _) = self.candidates(want.site, want.sku, None, |_| true);
            self.shelves.insert(key, Some(Shelf::new(strategy, candidates.into_vec())));
        }
        let shelf = self.shelves.get_mut(&key).and_then(Option::as_mut).expect("it was just made");
        shelf.take(want, self.picks_max, |candidate, quantity| {
            let found = found(want, candidate, quantity);
            *self.taken.entry(found.place()).or_default() += quantity;
            take(found);
        })
    }

    /// The positions of a SKU at a site that `fits` lets pass and that have something available, and how many positions
    /// were looked at. With `first`, others may be left out than the first so many by a strategy.
    fn candidates(
        &self,
        site: SiteId,
        sku: SkuId,
        first: Option<(Strategy, usize)>,
        fits: impl Fn(Place) -> bool,
    ) -> (SmallVec<[Candidate<'a>; 4]>, usize) {
        let tables = self.tables;
        let mut candidates: SmallVec<[Candidate<'a>; 4]> = SmallVec::new();
        let mut looked = 0;
        for (place, position) in tables.positions(site, sku) {
            looked += 1;
            if !fits(place) {
                continue;
            }
            let available = self.available(place, &position);
            if available.is_zero() {
                continue;
            }
            candidates.push(self.candidate(place, available, position.since));
            if let Some((strategy, count)) = first
                && candidates.len() >= count.saturating_mul(2).max(SORTED_MIN)
            {
                let enough = strategy.part_first(&mut candidates, count);
                candidates.truncate(enough);
            }
        }
        (candidates, looked)
    }

    pub(super) fn candidate(&self, place: Place, available: Quantity, since: Timestamp) -> Candidate<'a> {
        Candidate::at(self.tables, place, available, since)
    }

    /// What is available at a place to this command's next line.
    pub(super) fn available(&self, place: Place, position: &row::Position) -> Quantity {
        let mut position = *position;
        // Most commands have one line and give nothing back: two looks at empty maps cost nothing.
        if let Some(credit) = self.credit.get(&place) {
            position.held -= *credit;
        }
        let available = query::available(self.tables, place, &position, self.now);
        let taken = self.taken.get(&place).copied().unwrap_or_default();
        available.saturating_sub(taken)
    }
}

fn found(want: &Want, candidate: &Candidate<'_>, quantity: Quantity) -> Take {
    let Candidate { location, lot, .. } = *candidate;
    Take { line: want.line, sku: want.sku, location, lot, quantity }
}
