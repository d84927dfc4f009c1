//! The lane of those who read: the feed of events, the movements of the ledger, and balances as they were.

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use jaego_domain::{
    Account, Code, Event, LotId, Memory, Movement, MovementId, Refusal, Sequence, SiteId, SkuId, Tables,
    Timestamp,
};
use jaego_store::{
    Answer, BalanceFilter, BalancePage, EventPage, MovementFilter, MovementPage, PastStock, ReplyTo,
    StatementFilter, StatementPage, StockAsOf, codec, render,
};

use super::{PAGE_MAX, Past, ToShow};
use crate::{
    disk::Disk,
    index::{Error, Indexes, Key, Sites, Stretch, Tail},
    journal::{Position, Segment},
};

/// Events that one page of the ledger may look at to find those that match, where it reads one after the other.
const SCAN_MAX: usize = 200_000;
/// Events that it may look at where an index leads to them, each perhaps in a frame of its own.
pub(super) const LED_MAX: usize = 10_000;
/// Events that an index is asked for at a time.
const LED_AT_ONCE: usize = 256;
/// How long what was gathered of the last segment is kept when nobody asks: up to 100 MB.
const TAIL_KEPT: Duration = Duration::from_secs(60);
/// How often one question makes damaged indexes anew, or asks for locations that it does not know yet.
const TRIES_MAX: usize = 64;

/// What the lane is asked.
pub(crate) enum Ask {
    Events {
        after: Sequence,
        limit: usize,
        reply: ReplyTo<EventPage>,
    },
    Movements {
        filter: MovementFilter,
        reply: ReplyTo<MovementPage>,
    },
    StockAsOf {
        filter: StockAsOf,
        reply: ReplyTo<Answer<Result<PastStock, Refusal>>>,
    },
    Balances {
        filter: BalanceFilter,
        reply: ReplyTo<Answer<Result<BalancePage, Refusal>>>,
    },
    Statement {
        filter: StatementFilter,
        reply: ReplyTo<Answer<Result<StatementPage, Refusal>>>,
    },
    /// Nobody will ask any more.
    Stop,
}

/// Tells the time.
pub(crate) type Now = Box<dyn Fn() -> Timestamp + Send>;

pub(crate) struct Ledger<D: Disk> {
    pub(super) past: Past<D>,
    pub(super) indexes: Arc<Indexes<D>>,
    tail: Tail<D>,
    /// What time it is, as far as nothing can happen before it any more.
    pub(super) now: Now,
}

impl<D: Disk> Ledger<D> {
    pub(crate) fn new(past: Past<D>, indexes: Arc<Indexes<D>>, now: Now) -> Self {
        Self { past, indexes, tail: Tail::new(), now }
    }

    /// Answers until nobody can ask any more.
    pub(crate) fn run(&mut self, asks: &mpsc::Receiver<Ask>) {
        loop {
            let ask = match asks.recv_timeout(TAIL_KEPT) {
                Ok(ask) => ask,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    self.tail = Tail::new();
                    continue;
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => return,
            };
            if !matches!(ask, Ask::Stop) {
                self.past.inbox.lock().asking -= 1;
            }
            match ask {
                Ask::Events { after, limit, reply } => self.events(after, limit, reply),
                Ask::Movements { filter, reply } => self.movements(filter, reply),
                Ask::StockAsOf { filter, reply } => self.stock_as_of(filter, reply),
                Ask::Balances { filter, reply } => self.balances(filter, reply),
                Ask::Statement { filter, reply } => self.statement(filter, reply),
                Ask::Stop => return,
            }
        }
    }

    /// Has `read` look into the history as far as it is durable now. Where an index turns out to be damaged it is
    /// made anew, and `read` begins anew.
    pub(super) fn look_back<T>(
        &mut self,
        mut read: impl FnMut(&Chapters<'_, D>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut tries = 0;
        loop {
            tries += 1;
            let sites = self.past.sites()?;
            let caught_up = self.tail.catch_up(&self.past.reader, &sites).map(drop);
            let read = caught_up.and_then(|()| {
                let last = self.tail.draft();
                let mut sealed = self.past.reader.segments();
                sealed.retain(|segment| {
                    segment.segment < last.segment && segment.first_sequence < segment.next_sequence
                });
                let stretches = Chapters {
                    past: &self.past,
                    indexes: &self.indexes,
                    sealed,
                    last: Stretch::Last(last),
                    sites,
                };
                read(&stretches)
            });
            match read {
                // A location that was made a moment ago: the next look at the tables knows it.
                Err(Error::Location { .. }) if tries < TRIES_MAX => {}
                Err(Error::Index { segment, source }) if tries < TRIES_MAX => {
                    tracing::warn!(segment, error = %source, "an index is damaged and is made anew");
                    self.indexes.discard(segment);
                }
                ended => return ended,
            }
        }
    }

    fn movements(&mut self, filter: MovementFilter, reply: ReplyTo<MovementPage>) {
        // The codes' numbers are the writer's to know; the reading happens here.
        let resolved = match self.past.see(|memory| Resolved::of(memory, filter)) {
            Ok(resolved) => resolved,
            Err(failure) => return reply.send(Err(failure)),
        };
        let Some(resolved) = resolved else {
            let durable = Sequence(self.past.reader.durable_sequence());
            return reply.send(Ok(MovementPage { movements: Vec::new(), next: None, durable }));
        };
        let limit = resolved.filter.limit.clamp(1, PAGE_MAX);
        let found = match self.look_back(|chapters| resolved.find(chapters, limit)) {
            Ok(found) => found,
            Err(error) => return reply.send(Err(error.into())),
        };
        let Found { events, next: after_looked, durable } = found;
        self.past.show(events, move |shown| {
            let page = shown.map(|ToShow { memory, events, rest }| {
                let filter = &resolved.filter;
                let mut movements: Vec<_> =
                    events.iter().flat_map(|event| render::movement_views(memory, event, filter)).collect();
                let cut = movements.len() > limit;
                movements.truncate(limit);
                let after_shown = events.last().filter(|_| !rest.is_empty()).map(after_all_of);
                let next = match movements.last() {
                    Some(last) if cut => Some(last.id),
                    _ => after_shown.or(after_looked),
                };
                MovementPage { movements, next, durable }
            });
            Box::new(move |still| reply.send(still.and(page)))
        });
    }
}

/// Where to go on after all movements of an event.
fn after_all_of(event: &Event) -> MovementId {
    MovementId { sequence: event.sequence, index: u32::MAX }
}

/// A filter with its codes looked up.
struct Resolved {
    filter: MovementFilter,
    sku: Option<SkuId>,
    lot: Option<LotId>,
    site: Option<SiteId>,
}

/// Events with movements that match.
struct Found {
    events: Vec<Event>,
    /// Where to go on, if there may be more.
    next: Option<MovementId>,
    /// The last durable event.
    durable: Sequence,
}

impl Resolved {
    /// Looks the filter's codes up. A code that names nothing matches nothing.
    fn of(memory: &Memory, filter: MovementFilter) -> Option<Self> {
        let id = |code: &Option<Code>, find: &dyn Fn(&Code) -> Option<u32>| match code {
            Some(code) => find(code).map(Some),
            None => Some(None),
        };
        let sku = id(&filter.sku, &|code| memory.sku_id(code).map(|id| id.0))?.map(SkuId);
        let lot = id(&filter.lot, &|code| memory.lot_id(sku?, code).map(|id| id.0))?.map(LotId);
        let site = id(&filter.site, &|code| memory.site_id(code).map(|id| id.0))?.map(SiteId);
        Some(Self { filter, sku, lot, site })
    }

    /// What leads to the events that match: the narrowest first.
    fn key(&self) -> Option<Key> {
        let document = self.filter.document.clone().map(Key::Document);
        document.or(self.sku.map(Key::Sku)).or(self.site.map(Key::Site))
    }

    fn find<D: Disk>(&self, chapters: &Chapters<'_, D>, limit: usize) -> Result<Found, Error> {
        let mut start = self.filter.after.map_or(0, |after| after.sequence.0);
        if let Some(before) = self.filter.since.and_then(|since| since.0.checked_sub(1)) {
            start = start.max(chapters.last_at(before)?.map_or(0, |last| last + 1));
        }
        let start = start.max(chapters.first_sequence());
        let (mut events, mut matches, mut looked, mut last_looked) = (Vec::new(), 0, 0, None);
        let key = self.key();
        let looked_max = if key.is_some() { LED_MAX } else { SCAN_MAX };
        let visit = |event: Event| {
            if self.filter.until.is_some_and(|until| event.at >= until) {
                return false;
            }
            looked += 1;
            last_looked = Some(after_all_of(&event));
            let before = matches;
            let mut index = 0;
            event.fact.movements(|movement| {
                let id = MovementId { sequence: event.sequence, index };
                index += 1;
                matches += usize::from(self.matches(&event, id, &movement, &chapters.sites));
            });
            if matches > before {
                events.push(event);
            }
            matches < limit && looked < looked_max
        };
        let more = match &key {
            Some(key) => chapters.each_event_of(key, start, visit)?,
            None => chapters.past.each_event(chapters.indexes, Sequence(start), visit)?,
        };
        // A page that ended early because of `until` has nothing after it.
        let more = more && (matches >= limit || looked >= looked_max);
        Ok(Found { events, next: last_looked.filter(|_| more), durable: chapters.durable() })
    }

    fn matches(&self, event: &Event, id: MovementId, movement: &Movement, sites: &Sites) -> bool {
        let filter = &self.filter;
        let here = |account: &Account| match (account, self.site) {
            (_, None) => true,
            (Account::Position(place), Some(site)) => sites.get(place.location.index()) == Some(&site),
            (_, Some(_)) => false,
        };
        filter.after.is_none_or(|after| id > after)
            && filter.since.is_none_or(|since| event.at >= since)
            && self.sku.is_none_or(|sku| sku == movement.sku)
            && self.lot.is_none_or(|lot| lot == movement.lot)
            && filter
                .document
                .as_ref()
                .is_none_or(|id| event.fact.document().is_some_and(|(_, document)| document == id))
            && (here(&movement.from) || here(&movement.to))
    }
}

/// The durable history as one question sees it.
pub(super) struct Chapters<'a, D: Disk> {
    pub(super) past: &'a Past<D>,
    indexes: &'a Indexes<D>,
    /// The sealed segments that hold events, oldest first.
    sealed: Vec<Segment>,
    last: Stretch<'a, D::File>,
    pub(super) sites: Sites,
}

impl<D: Disk> Chapters<'_, D> {
    /// The last event that is seen.
    pub(super) fn durable(&self) -> Sequence {
        Sequence(self.last.next() - 1)
    }

    /// The first event that is kept.
    pub(super) fn first_sequence(&self) -> u64 {
        self.sealed.first().map_or(self.last.first(), |segment| segment.first_sequence)
    }

    /// When the first event that is kept happened.
    pub(super) fn first_at(&self) -> Result<Option<u64>, Error> {
        let mut first = None;
        self.each(0, |stretch| {
            first = stretch.first_at()?;
            Ok(false)
        })?;
        Ok(first)
    }

    /// Visits the stretches that hold events from `from` on, oldest first, until `visit` has had enough; says whether
    /// it had.
    pub(super) fn each(
        &self,
        from: u64,
        mut visit: impl FnMut(&Stretch<'_, D::File>) -> Result<bool, Error>,
    ) -> Result<bool, Error> {
        for segment in self.sealed.iter().filter(|segment| segment.next_sequence > from) {
            if !visit(&Stretch::Sealed(self.indexes.get(segment)?))? {
                return Ok(true);
            }
        }
        Ok(self.last.next() > from && !visit(&self.last)?)
    }

    /// The last event that happened at a time or before; `None` where the first one that is kept came later.
    pub(super) fn last_at(&self, time: u64) -> Result<Option<u64>, Error> {
        if self.last.first_at()?.is_some_and(|at| at <= time) {
            return self.last_in(&self.last, time);
        }
        let (mut low, mut high) = (0, self.sealed.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let stretch = Stretch::Sealed(self.indexes.get(&self.sealed[middle])?);
            if stretch.first_at()?.is_some_and(|at| at <= time) { low = middle + 1 } else { high = middle }
        }
        let Some(found) = low.checked_sub(1) else { return Ok(None) };
        self.last_in(&Stretch::Sealed(self.indexes.get(&self.sealed[found])?), time)
    }

    fn last_in(&self, stretch: &Stretch<'_, D::File>, time: u64) -> Result<Option<u64>, Error> {
        let Some((first, position)) = stretch.frame_at(time)? else { return Ok(None) };
        let mut bytes = Vec::new();
        let mut last = None;
        self.in_frame(first, position, &mut bytes, |events| {
            for event in events {
                let event = event?;
                if event.at.0 > time {
                    break;
                }
                last = Some(event.sequence.0);
            }
            Ok(())
        })?;
        Ok(last)
    }

    /// Reads events from `start` on that a key leads to until `visit` has had enough, and says whether it had.
    pub(super) fn each_event_of(
        &self,
        key: &Key,
        start: u64,
        mut visit: impl FnMut(Event) -> bool,
    ) -> Result<bool, Error> {
        self.each(start, |stretch| {
            let mut from = start;
            loop {
                let wanted = stretch.events(key, from, LED_AT_ONCE)?;
                let Some(last) = wanted.last() else { return Ok(true) };
                from = last + 1;
                if !self.read(stretch, &wanted, &mut visit)? {
                    return Ok(false);
                }
            }
        })
    }

    /// Reads these events, each frame once, until `visit` has had enough.
    fn read(
        &self,
        stretch: &Stretch<'_, D::File>,
        wanted: &[u64],
        visit: &mut impl FnMut(Event) -> bool,
    ) -> Result<bool, Error> {
        let mut wanted = wanted.iter().copied().peekable();
        let mut bytes = Vec::new();
        let mut goes_on = true;
        while let Some(first) = wanted.peek().copied().filter(|_| goes_on) {
            let Some(position) = stretch.frame_of(first)? else {
                return Err(Error::Event { sequence: first });
            };
            self.in_frame(first, position, &mut bytes, |mut events| {
                while let Some(sequence) = wanted.peek().copied().filter(|_| goes_on) {
                    events.skip_to(Sequence(sequence))?;
                    let Some(event) = events.next().transpose()? else { break };
                    if event.sequence.0 != sequence {
                        return Err(Error::Event { sequence });
                    }
                    wanted.next();
                    goes_on = visit(event);
                }
                Ok(())
            })?;
            if wanted.peek() == Some(&first) {
                return Err(Error::Event { sequence: first });
            }
        }
        Ok(goes_on)
    }

    /// Reads the frame that holds an event: from memory while it is recent.
    fn in_frame<T>(
        &self,
        sequence: u64,
        position: Position,
        bytes: &mut Vec<u8>,
        read: impl FnOnce(codec::Events<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if let Some((first, payload)) = self.past.recent.holding(sequence) {
            return read(codec::decode(&payload, Sequence(first))?);
        }
        let frame = self.past.reader.frame_at(position, bytes)?;
        read(codec::decode(frame.payload, Sequence(frame.first_sequence))?)
    }
}
