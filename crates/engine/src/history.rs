//! Reads what was: events from memory while they are recent, and from the journal's segments for ever.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, PoisonError, mpsc},
};

use jaego_domain::{
    Account, Event, LocationId, LotId, Memory, Movement, MovementId, Sequence, SkuId, Tables, outcome,
};
use jaego_store::{Batch, Done, EventPage, Failure, MovementFilter, MovementPage, ReplyTo, codec, render};

use crate::{
    core::{Decided, Job, Slot},
    disk::Disk,
    inbox::Inbox,
    journal::{self, Reader},
};

/// Bytes of recent frames that are kept in memory, for repeats and for readers of the feed.
const RECENT_BYTES: usize = 64 << 20;
/// Events that one page of the ledger may look at to find those that match.
const SCAN_MAX: usize = 200_000;
/// Events that are read over on the way from one wanted event to the next; where there are more, reading begins
/// anew.
const READ_OVER_MAX: u64 = 10_000;
/// Rows of one page of the feed or the ledger.
pub(crate) const PAGE_MAX: usize = 1_000;
/// Parts of events (lines, picks, cut holds) after which a page of the feed ends.
const PAGE_PARTS_MAX: usize = 10_000;

/// The last frames that became durable.
#[derive(Default)]
pub struct Recent {
    frames: Mutex<Frames>,
}

#[derive(Default)]
struct Frames {
    frames: VecDeque<(u64, u32, Arc<[u8]>)>,
    bytes: usize,
}

impl Recent {
    /// Adds a frame that just became durable.
    pub fn push(&self, first: Sequence, count: u32, payload: Arc<[u8]>) {
        let mut recent = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        recent.bytes += payload.len();
        recent.frames.push_back((first.0, count, payload));
        while recent.bytes > RECENT_BYTES && recent.frames.len() > 1 {
            let (_, _, oldest) = recent.frames.pop_front().expect("there is more than one");
            recent.bytes -= oldest.len();
        }
    }

    /// The frame that holds an event.
    fn holding(&self, sequence: u64) -> Option<(u64, Arc<[u8]>)> {
        let recent = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        let at = recent.frames.partition_point(|(first, count, _)| first + u64::from(*count) <= sequence);
        let (first, _, payload) = recent.frames.get(at)?;
        (*first <= sequence).then(|| (*first, payload.clone()))
    }
}

/// What the history thread is asked.
pub(crate) enum Ask {
    /// Finish a batch whose repeats want the outcomes of earlier events.
    Finish {
        sequence: Sequence,
        slots: Vec<Slot>,
        reply: ReplyTo<jaego_store::Answers>,
    },
    /// Look up the movements that reversals want, and submit the batch.
    Lend {
        batch: Batch,
        reply: ReplyTo<jaego_store::Answers>,
    },
    Events {
        after: Sequence,
        limit: usize,
        reply: ReplyTo<EventPage>,
    },
    Movements {
        filter: MovementFilter,
        reply: ReplyTo<MovementPage>,
    },
    /// Nobody will ask any more.
    Stop,
}

/// A filter with its codes looked up; `None` where a code names nothing, so that nothing matches.
struct Resolved {
    filter: MovementFilter,
    sku: Option<SkuId>,
    lot: Option<LotId>,
    /// The locations of the site.
    locations: Option<BTreeSet<LocationId>>,
}

pub(crate) struct History<D: Disk> {
    reader: Reader<Arc<D>>,
    recent: Arc<Recent>,
    inbox: Arc<Inbox>,
}

impl<D: Disk> History<D> {
    pub(crate) fn new(reader: Reader<Arc<D>>, recent: Arc<Recent>, inbox: Arc<Inbox>) -> Self {
        Self { reader, recent, inbox }
    }

    /// Answers until nobody can ask any more. `submit` puts a prepared batch into the writer's line.
    pub(crate) fn run(
        &self,
        asks: &mpsc::Receiver<Ask>,
        submit: impl Fn(Batch, ReplyTo<jaego_store::Answers>),
    ) {
        while let Ok(ask) = asks.recv() {
            if !matches!(ask, Ask::Finish { .. } | Ask::Stop) {
                self.inbox.lock().asking -= 1;
            }
            match ask {
                Ask::Finish { sequence, slots, reply } => {
                    let requests = slots.len();
                    self.finish(sequence, slots, reply);
                    self.inbox.end_finish(requests);
                }
                Ask::Lend { mut batch, reply } => match self.lend(&mut batch) {
                    Ok(()) => submit(batch, reply),
                    Err(error) => reply.send(Err(unreadable(&error))),
                },
                Ask::Events { after, limit, reply } => self.events(after, limit, reply),
                Ask::Movements { filter, reply } => self.movements(filter, reply),
                Ask::Stop => return,
            }
        }
    }

    fn finish(&self, sequence: Sequence, slots: Vec<Slot>, reply: ReplyTo<jaego_store::Answers>) {
        let repeats = slots.iter().filter_map(|slot| match slot {
            Slot::Repeat(sequence) => Some(*sequence),
            _ => None,
        });
        let events = match self.events_of(repeats.collect()) {
            Ok(Ok(events)) => events,
            // Archived away by the operator: the outcome is gone, the promise that it happened once is not.
            Ok(Err(missing)) => {
                let detail =
                    format!("event {missing}, whose outcome was asked for again, is below the floor");
                return reply.send(Err(Failure::Failed { detail }));
            }
            Err(error) => return reply.send(Err(unreadable(&error))),
        };
        self.look(move |memory| {
            let answers = memory.map(|memory| {
                let each = slots.into_iter().map(|slot| match slot {
                    Slot::Done(done) => Ok(done),
                    Slot::Refused(refusal) => Err(refusal),
                    Slot::Repeat(sequence) => {
                        Ok(Done { outcome: outcome(memory, &events[&sequence]), repeat: true })
                    }
                });
                let results = jaego_store::Results::Each(each.collect());
                jaego_store::Answers { sequence, results }
            });
            Box::new(move |durable| reply.send(durable.and(answers)))
        });
    }

    fn lend(&self, batch: &mut Batch) -> Result<(), Error> {
        for request in &mut batch.requests {
            let Some(MovementId { sequence, index }) = request.wanted_movement() else { continue };
            let Some(event) = self.event(sequence)? else { continue };
            let document = event.fact.document().map_or("reversal", |(kind, _)| kind);
            let mut number = 0;
            let mut found = None;
            event.fact.movements(|movement| {
                if number == index {
                    found = Some(movement);
                }
                number += 1;
            });
            if let Some(movement) = found {
                request.lend_movement(movement, document);
            }
        }
        Ok(())
    }

    fn events(&self, after: Sequence, limit: usize, reply: ReplyTo<EventPage>) {
        let mut events = Vec::new();
        let mut parts = 0;
        let limit = limit.clamp(1, PAGE_MAX);
        let read = self.each_event(after.next(), |event| {
            parts += event.fact.part_count();
            events.push(event);
            events.len() < limit && parts < PAGE_PARTS_MAX
        });
        if let Err(error) = read {
            return reply.send(Err(unreadable(&error)));
        }
        let durable = Sequence(self.reader.durable_sequence());
        self.look(move |memory| {
            let page = memory.map(|memory| {
                let events = events.iter().map(|event| render::event_view(memory, event)).collect();
                EventPage { events, durable }
            });
            Box::new(move |still| reply.send(still.and(page)))
        });
    }

    fn movements(&self, filter: MovementFilter, reply: ReplyTo<MovementPage>) {
        // The codes' numbers are the writer's to know; the reading happens here.
        let (to, from) = mpsc::sync_channel(1);
        self.look(move |memory| {
            let resolved = memory.map(|memory| resolve(memory, filter));
            Box::new(move |durable| {
                let _ = to.send(durable.and(resolved));
            })
        });
        let resolved = match from.recv() {
            Ok(Ok(resolved)) => resolved,
            Ok(Err(failure)) => return reply.send(Err(failure)),
            Err(_) => return reply.send(Err(Failure::Closed)),
        };
        let durable = Sequence(self.reader.durable_sequence());
        let Some(resolved) = resolved else {
            return reply.send(Ok(MovementPage { movements: Vec::new(), next: None, durable }));
        };
        let limit = resolved.filter.limit.clamp(1, PAGE_MAX);
        let start =
            resolved.filter.after.map_or(Sequence(self.reader.first_sequence()), |after| after.sequence);
        let mut events = Vec::new();
        let mut matches = 0;
        let mut last_looked = None;
        let mut looked = 0;
        let read = self.each_event(start, |event| {
            if resolved.filter.until.is_some_and(|until| event.at >= until) {
                return false;
            }
            looked += 1;
            last_looked = Some(MovementId { sequence: event.sequence, index: u32::MAX });
            let before = matches;
            let mut index = 0;
            event.fact.movements(|movement| {
                let id = MovementId { sequence: event.sequence, index };
                index += 1;
                matches += usize::from(resolved.matches(&event, id, &movement));
            });
            if matches > before {
                events.push(event);
            }
            matches < limit && looked < SCAN_MAX
        });
        let more = match read {
            Ok(more) => more,
            Err(error) => return reply.send(Err(unreadable(&error))),
        };
        // A page that ended early because of `until` has nothing after it.
        let more = more && (matches >= limit || looked >= SCAN_MAX);
        self.look(move |memory| {
            let page = memory.map(|memory| {
                let filter = &resolved.filter;
                let mut movements: Vec<_> =
                    events.iter().flat_map(|event| render::movement_views(memory, event, filter)).collect();
                let cut = movements.len() > limit;
                movements.truncate(limit);
                let next = match movements.last() {
                    Some(last) if cut => Some(last.id),
                    _ => last_looked.filter(|_| more),
                };
                MovementPage { movements, next, durable }
            });
            Box::new(move |still| reply.send(still.and(page)))
        });
    }

    /// Reads events from `start` on until `visit` has had enough, and says whether there may be more.
    fn each_event(&self, start: Sequence, mut visit: impl FnMut(Event) -> bool) -> Result<bool, Error> {
        let mut next = start.0;
        while let Some((first, payload)) = self.recent.holding(next) {
            for event in codec::decode(&payload, Sequence(first))? {
                let event = event?;
                if event.sequence.0 < next {
                    continue;
                }
                next = event.sequence.0 + 1;
                if !visit(event) {
                    return Ok(true);
                }
            }
        }
        if next > self.reader.durable_sequence() {
            return Ok(false);
        }
        let mut frames = self.reader.frames_from(next.max(self.reader.first_sequence()))?;
        while let Some(frame) = frames.next()? {
            for event in codec::decode(frame.payload, Sequence(frame.first_sequence))? {
                let event = event?;
                if event.sequence.0 < next {
                    continue;
                }
                next = event.sequence.0 + 1;
                if !visit(event) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Durable events, or the first one that the journal does not have, or no longer. Reads each frame once,
    /// where what is wanted lies close together: a client that lost its connection asks for a whole batch again.
    fn events_of(
        &self,
        mut wanted: BTreeSet<Sequence>,
    ) -> Result<Result<BTreeMap<Sequence, Event>, Sequence>, Error> {
        let mut found = BTreeMap::new();
        while let Some(first) = wanted.pop_first() {
            if first.0 < self.reader.first_sequence() || first.0 > self.reader.durable_sequence() {
                return Ok(Err(first));
            }
            let mut next = Some(first);
            self.each_event(first, |event| {
                let sequence = event.sequence;
                if next == Some(sequence) {
                    found.insert(sequence, event);
                    next = wanted.pop_first();
                }
                next.is_some_and(|next| next.0 <= sequence.0.saturating_add(READ_OVER_MAX))
            })?;
            if !found.contains_key(&first) {
                return Ok(Err(first));
            }
            wanted.extend(next);
        }
        Ok(Ok(found))
    }

    /// One durable event; `None` where the journal has none of this number, or no longer.
    fn event(&self, sequence: Sequence) -> Result<Option<Event>, Error> {
        let found = self.events_of(BTreeSet::from([sequence]))?;
        Ok(found.ok().and_then(|mut found| found.remove(&sequence)))
    }

    fn look(&self, look: impl FnOnce(Result<&Memory, Failure>) -> crate::Deliver + Send + 'static) {
        if let Err(refused) = self.inbox.push(Job::Look(Box::new(look)), 0, usize::MAX) {
            let (job, failure) = *refused;
            job.refuse(failure);
        }
    }
}

/// Why the past cannot be read.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{0}")]
    Journal(#[from] journal::Error),
    #[error("an event cannot be decoded: {0}")]
    Decode(#[from] codec::Error),
}

fn unreadable(error: &Error) -> Failure {
    Failure::Failed { detail: format!("the journal cannot be read: {error}") }
}

/// Looks the filter's codes up. A code that names nothing matches nothing.
fn resolve(memory: &Memory, filter: MovementFilter) -> Option<Resolved> {
    let sku = match &filter.sku {
        Some(code) => Some(memory.sku_id(code)?),
        None => None,
    };
    let lot = match &filter.lot {
        Some(code) => Some(memory.lot_id(sku?, code)?),
        None => None,
    };
    let locations = match &filter.site {
        Some(code) => {
            let site = memory.site_id(code)?;
            let all = (0..memory.head().locations).map(LocationId);
            Some(all.filter(|id| memory.location(*id).site == site).collect())
        }
        None => None,
    };
    Some(Resolved { filter, sku, lot, locations })
}

impl Resolved {
    fn matches(&self, event: &Event, id: MovementId, movement: &Movement) -> bool {
        let filter = &self.filter;
        let here = |account: &Account| match (account, &self.locations) {
            (_, None) => true,
            (Account::Position(place), Some(locations)) => locations.contains(&place.location),
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

/// The answers of a decided batch: at once, or by way of the history where repeats want it.
pub(crate) fn conclude(
    decided: Result<Decided, Failure>,
    reply: ReplyTo<jaego_store::Answers>,
    inbox: &Inbox,
    asks: &mpsc::Sender<Ask>,
) {
    let decided = match decided {
        Ok(decided) => decided,
        Err(failure) => return reply.send(Err(failure)),
    };
    match crate::core::finished(decided) {
        Ok(answers) => reply.send(Ok(answers)),
        Err((sequence, slots)) => {
            // It was decided, so it has to be answered: it counts against the line instead of being refused.
            inbox.begin_finish(slots.len());
            let sent = asks.send(Ask::Finish { sequence, slots, reply });
            assert!(sent.is_ok(), "the history ends after the journal");
        }
    }
}

/// Questions that may wait for the history.
pub(crate) const ASKS_MAX: usize = 1_024;
