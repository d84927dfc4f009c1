//! Balances as they were: what lies there now, less what happened since.
//!
//! The present is read on the writer's thread and says which event it rests on; the sums of what happened since come
//! from the indexes, one for each place and sealed segment. So the work is bounded by the places of a page and the
//! segments since, and a journal whose old segments were archived answers all that lies behind its first event.

use std::{collections::BTreeMap, sync::Arc};

use jaego_domain::{
    Asked, Event, LocationId, LotId, Memory, Place, Quantity, Refusal, Sequence, SiteId, SkuId, Tables,
    Timestamp, row::Position,
};
use jaego_store::{
    Answer, BalanceFilter, BalancePage, PastStock, ReplyTo, StockAsOf,
    past::{self, Scope},
};

use super::{Ledger, PAGE_MAX, ledger::Chapters, ledger::LED_MAX};
use crate::{
    disk::Disk,
    index::{Error, Key, Sites, begin_of},
};

/// Locations that the writer looks at for one page.
const LOCATIONS_MAX: usize = 4_096;

/// What was asked, or why it cannot be answered.
type Told<T> = ReplyTo<Answer<Result<T, Refusal>>>;

/// What lies at some places now, in order, up to a place from which on nothing is said.
struct Present {
    sequence: Sequence,
    on_hand: BTreeMap<Place, u64>,
    bound: Option<Place>,
}

/// What lay at some places then, in order.
struct Then {
    places: Vec<(Place, u64)>,
    /// The place to go on after.
    next: Option<Place>,
}

/// The place that comes next.
fn after(place: Place) -> Place {
    Place { lot: LotId(place.lot.0.saturating_add(1)), ..place }
}

impl<D: Disk> Ledger<D> {
    pub(super) fn stock_as_of(&mut self, filter: StockAsOf, reply: Told<PastStock>) {
        match self.past_stock(filter) {
            Ok(answer) => reply.send(Ok(answer)),
            Err(error) => reply.send(Err(error.into())),
        }
    }

    fn past_stock(&mut self, filter: StockAsOf) -> Result<Answer<Result<PastStock, Refusal>>, Error> {
        let clock = (self.now)();
        let limit = filter.limit.clamp(1, PAGE_MAX);
        let asked = filter.clone();
        let resolved = self.see(move |memory| {
            let now = clock.max(memory.head().at);
            (memory.head().sequence, now, Scope::of_stock(memory, &asked, now))
        })?;
        let (at, scope) = match resolved {
            (_, at, Ok(scope)) => (at, scope),
            (sequence, at, Err(refusal)) => return Ok(Answer { sequence, at, value: Err(refusal) }),
        };
        let from = filter.after.map_or(begin_of(LocationId(0)), after);
        let locations = self.locations(&scope)?;
        let there = locations.clone();
        let present = self.see(move |memory| match scope.sku {
            Some(sku) => of_sku(memory, &scope, sku, from, limit),
            None => at_locations(memory, there.as_deref(), from, limit),
        })?;
        let sequence = present.sequence;
        let looked = self.look_back(|chapters| {
            let since = match chapters.begin(filter.as_of, Some(filter.as_of.0), at)? {
                Ok(since) => since,
                Err(refusal) => return Ok(Err(refusal)),
            };
            chapters.stock_at(since, &present, &scope, locations.as_deref(), from, limit).map(Ok)
        })?;
        let Then { places, next } = match looked {
            Ok(then) => then,
            Err(refusal) => return Ok(Answer { sequence, at, value: Err(refusal) }),
        };
        let positions = self.see(move |memory| {
            let view = |(place, on_hand)| past::position_view(memory, place, Quantity::stored(on_hand));
            places.into_iter().map(view).collect()
        })?;
        Ok(Answer { sequence, at, value: Ok(PastStock { positions, next }) })
    }

    /// The locations that a question is about, sorted; `None` where it is about all of them.
    fn locations(&self, scope: &Scope) -> Result<Option<Arc<[LocationId]>>, Error> {
        match (scope.location, scope.site) {
            (Some(location), _) => Ok(Some(Arc::from([location]))),
            (None, Some(site)) => {
                let sites = self.past.sites()?;
                let here = sites.iter().zip(0..).filter(|(other, _)| **other == site);
                Ok(Some(here.map(|(_, id)| LocationId(id)).collect()))
            }
            (None, None) => Ok(None),
        }
    }

    pub(super) fn balances(&mut self, filter: BalanceFilter, reply: Told<BalancePage>) {
        match self.past_balance(&filter) {
            Ok(answer) => reply.send(Ok(answer)),
            Err(error) => reply.send(Err(error.into())),
        }
    }

    fn past_balance(
        &mut self,
        filter: &BalanceFilter,
    ) -> Result<Answer<Result<BalancePage, Refusal>>, Error> {
        let clock = (self.now)();
        let limit = filter.limit.clamp(1, PAGE_MAX);
        let asked = filter.clone();
        let (sequence, at, resolved) = self.see(move |memory| {
            let now = clock.max(memory.head().at);
            let scope = Scope::of_balance(memory, &asked);
            let resolved = scope.map(|scope| {
                let sku = scope.sku.expect("a balance is a SKU's");
                (scope, sku, on_hand(memory, &scope, sku))
            });
            (memory.head().sequence, now, resolved)
        })?;
        let value = match resolved {
            Err(refusal) => Err(refusal),
            Ok((scope, sku, now)) => self.look_back(|chapters| {
                let start = match chapters.begin_page(filter.since, filter.after, at)? {
                    Ok(start) => start,
                    Err(refusal) => return Ok(Err(refusal)),
                };
                chapters.balance(filter, &scope, sku, start, (sequence, now), limit).map(Ok)
            })?,
        };
        Ok(Answer { sequence, at, value })
    }

    pub(super) fn see<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Memory) -> T + Send + 'static,
    ) -> Result<T, Error> {
        self.past.see(look).map_err(Error::Failure)
    }
}

/// What all positions of a scope hold of its SKU.
fn on_hand(memory: &Memory, scope: &Scope, sku: SkuId) -> i64 {
    let sum: u64 = sites(memory, scope)
        .flat_map(|site| memory.positions(site, sku))
        .map(|(_, position)| position.on_hand.get())
        .sum();
    sum.cast_signed()
}

/// The sites that a scope may have positions at.
fn sites(memory: &Memory, scope: &Scope) -> impl Iterator<Item = SiteId> + use<> {
    let site = scope.site;
    (0..memory.head().sites).map(SiteId).filter(move |one| site.is_none_or(|site| site == *one))
}

fn of_sku(memory: &Memory, scope: &Scope, sku: SkuId, from: Place, limit: usize) -> Present {
    let site_of = |location: LocationId| memory.location(location).site;
    let positions = sites(memory, scope).flat_map(|site| memory.positions(site, sku));
    let here = positions.filter(|(place, _)| *place >= from && scope.has(*place, site_of));
    let mut on_hand: BTreeMap<_, _> = here.map(|(place, row)| (place, row.on_hand.get())).collect();
    let bound = on_hand.keys().nth(limit).copied();
    if let Some(bound) = bound {
        on_hand.split_off(&bound);
    }
    Present { sequence: memory.head().sequence, on_hand, bound }
}

fn at_locations(memory: &Memory, locations: Option<&[LocationId]>, from: Place, limit: usize) -> Present {
    let mut present = Present { sequence: memory.head().sequence, on_hand: BTreeMap::new(), bound: None };
    let mut gather = |positions: &mut dyn Iterator<Item = (Place, Position)>| {
        for (place, row) in positions {
            if present.on_hand.len() == limit {
                present.bound = Some(place);
                return false;
            }
            present.on_hand.insert(place, row.on_hand.get());
        }
        true
    };
    let Some(sorted) = locations else {
        gather(&mut memory.positions_from(from));
        return present;
    };
    let start = sorted.partition_point(|location| *location < from.location);
    for (looked, location) in sorted[start..].iter().enumerate() {
        let begin = from.max(begin_of(*location));
        if looked == LOCATIONS_MAX {
            present.bound = Some(begin);
            break;
        }
        if begin.location == *location && !gather(&mut memory.positions_at(begin)) {
            break;
        }
    }
    present
}

impl<D: Disk> Chapters<'_, D> {
    /// The event after which the history of a time begins: the last one at `time`, and 0 where nothing had happened yet.
    /// Refuses an `asked` that is before the first event that is kept.
    pub(super) fn begin(
        &self,
        asked: Timestamp,
        time: Option<u64>,
        now: Timestamp,
    ) -> Result<Result<u64, Refusal>, Error> {
        if let Some(time) = time
            && let Some(found) = self.last_at(time)?
        {
            return Ok(Ok(found));
        }
        let first = self.first_sequence();
        if first == 1 {
            return Ok(Ok(0));
        }
        let since = self.first_at()?.map_or(now, Timestamp);
        if asked < since {
            let asked = Asked::At(asked);
            return Ok(Err(Refusal::HistoryArchived { asked, since, first: Sequence(first) }));
        }
        Ok(Ok(first - 1))
    }

    /// The event after which a page begins of what happened `since` a time, where the one before it ended with event
    /// `after`; without either, it is the last one that is not kept. Refuses a page that would leave out what is not kept.
    pub(super) fn begin_page(
        &self,
        since: Option<Timestamp>,
        after: Option<Sequence>,
        now: Timestamp,
    ) -> Result<Result<u64, Refusal>, Error> {
        let start = match since {
            Some(since) => self.begin(since, since.0.checked_sub(1), now)?,
            None => Ok(0),
        };
        let start = match start {
            Ok(start) => start.max(after.map_or(0, |after| after.0)),
            Err(refusal) => return Ok(Err(refusal)),
        };
        let first = self.first_sequence();
        match after {
            Some(after) if start < first - 1 => {
                let (asked, since) = (Asked::After(after), self.first_at()?.map_or(now, Timestamp));
                Ok(Err(Refusal::HistoryArchived { asked, since, first: Sequence(first) }))
            }
            _ => Ok(Ok(start.max(first - 1))),
        }
    }

    /// What lay at the places from `from` on after event `since`, at most `limit` places.
    fn stock_at(
        &self,
        since: u64,
        present: &Present,
        scope: &Scope,
        locations: Option<&[LocationId]>,
        from: Place,
        limit: usize,
    ) -> Result<Then, Error> {
        let upto = present.sequence.0;
        let site_of = |location: LocationId| site_of(&self.sites, location);
        let mut bound = present.bound;
        let mut on_hand: BTreeMap<Place, i64> =
            present.on_hand.iter().map(|(place, on_hand)| (*place, on_hand.cast_signed())).collect();
        self.each(since.saturating_add(1), |stretch| {
            if stretch.first() > upto {
                return Ok(false);
            }
            let mut less = |place: Place, sum: i64| *on_hand.entry(place).or_default() -= sum;
            if let Some(sku) = scope.sku {
                let is_wanted = |place: Place| place >= from && scope.has(place, site_of);
                for (place, sum) in stretch.sums_of_sku(sku, since, upto, is_wanted)? {
                    less(place, sum);
                }
                return Ok(true);
            }
            let (sums, more) = stretch.sums_from(from, locations, since, upto, limit)?;
            for (place, sum) in &sums {
                less(*place, *sum);
            }
            if let Some((last, _)) = sums.last().filter(|_| more) {
                let end = after(*last);
                bound = Some(bound.map_or(end, |bound| bound.min(end)));
            }
            Ok(true)
        })?;
        if let Some(bound) = bound {
            on_hand.split_off(&bound);
        }
        let mut found = Vec::new();
        let mut last = None;
        for (place, on_hand) in on_hand {
            if found.len() == limit {
                return Ok(Then { places: found, next: last });
            }
            last = Some(place);
            let on_hand = u64::try_from(on_hand).map_err(|_| Error::Balance { sequence: since })?;
            if on_hand > 0 {
                found.push((place, on_hand));
            }
        }
        // All that could be seen was looked at; the next page begins behind it.
        Ok(Then { places: found, next: bound.map(before) })
    }

    /// The changes of a balance after event `start`, which was `now` at event `upto`.
    fn balance(
        &self,
        filter: &BalanceFilter,
        scope: &Scope,
        sku: SkuId,
        start: u64,
        (upto, now): (Sequence, i64),
        limit: usize,
    ) -> Result<BalancePage, Error> {
        let site_of = |location: LocationId| site_of(&self.sites, location);
        let mut on_hand = now;
        self.each(start.saturating_add(1), |stretch| {
            if stretch.first() > upto.0 {
                return Ok(false);
            }
            let sums = stretch.sums_of_sku(sku, start, upto.0, |place| scope.has(place, site_of))?;
            on_hand -= sums.values().sum::<i64>();
            Ok(true)
        })?;
        let mut points = Vec::new();
        let (mut looked, mut last, mut wrong) = (0, None, None);
        let has_more = self.each_event_of(&Key::Sku(sku), start.saturating_add(1), |event: Event| {
            if event.sequence > upto || filter.until.is_some_and(|until| event.at >= until) {
                last = None;
                return false;
            }
            looked += 1;
            last = Some(event.sequence);
            let change = scope.change(&event, site_of);
            on_hand += change;
            if change != 0 {
                match u64::try_from(on_hand) {
                    Ok(on_hand) => points.push(past::point_view(&event, change, on_hand)),
                    Err(_) => wrong = Some(event.sequence.0),
                }
            }
            points.len() < limit && looked < LED_MAX && wrong.is_none()
        })?;
        if let Some(sequence) = wrong {
            return Err(Error::Balance { sequence });
        }
        Ok(BalancePage { points, next: last.filter(|_| has_more) })
    }
}

/// The site of a location, of which every event that is read has been set.
fn site_of(sites: &Sites, location: LocationId) -> SiteId {
    sites[location.index()]
}

/// The last place before another one, whose own may be any.
fn before(place: Place) -> Place {
    let Place { location, sku, lot } = place;
    match (lot.0.checked_sub(1), sku.0.checked_sub(1), location.0.checked_sub(1)) {
        (Some(lot), ..) => Place { lot: LotId(lot), ..place },
        (None, Some(sku), _) => Place { location, sku: SkuId(sku), lot: LotId(u32::MAX) },
        (None, None, Some(location)) => {
            Place { location: LocationId(location), sku: SkuId(u32::MAX), lot: LotId(u32::MAX) }
        }
        (None, None, None) => place,
    }
}
