//! The lane of those who read: the feed of events, and the movements of the ledger.

use std::{collections::BTreeSet, sync::mpsc};

use jaego_domain::{
    Account, Event, LocationId, LotId, Memory, Movement, MovementId, Sequence, SkuId, Tables,
};
use jaego_store::{EventPage, MovementFilter, MovementPage, ReplyTo, render};

use super::{PAGE_MAX, Past};
use crate::disk::Disk;

/// Events that one page of the ledger may look at to find those that match.
const SCAN_MAX: usize = 200_000;

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

pub(crate) struct Ledger<D: Disk> {
    pub(super) past: Past<D>,
}

impl<D: Disk> Ledger<D> {
    pub(crate) fn new(past: Past<D>) -> Self {
        Self { past }
    }

    /// Answers until nobody can ask any more.
    pub(crate) fn run(&self, asks: &mpsc::Receiver<Ask>) {
        while let Ok(ask) = asks.recv() {
            if !matches!(ask, Ask::Stop) {
                self.past.inbox.lock().asking -= 1;
            }
            match ask {
                Ask::Events { after, limit, reply } => self.events(after, limit, reply),
                Ask::Movements { filter, reply } => self.movements(filter, reply),
                Ask::Stop => return,
            }
        }
    }

    fn movements(&self, filter: MovementFilter, reply: ReplyTo<MovementPage>) {
        // The codes' numbers are the writer's to know; the reading happens here.
        let resolved = match self.past.see(|memory| resolve(memory, filter)) {
            Ok(resolved) => resolved,
            Err(failure) => return reply.send(Err(failure)),
        };
        let durable = Sequence(self.past.reader.durable_sequence());
        let Some(resolved) = resolved else {
            return reply.send(Ok(MovementPage { movements: Vec::new(), next: None, durable }));
        };
        let limit = resolved.filter.limit.clamp(1, PAGE_MAX);
        let first = Sequence(self.past.reader.first_sequence());
        let start = resolved.filter.after.map_or(first, |after| after.sequence);
        let mut events = Vec::new();
        let mut matches = 0;
        let mut last_looked = None;
        let mut looked = 0;
        let read = self.past.each_event(start, |event| {
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
            Err(error) => return reply.send(Err(error.into())),
        };
        // A page that ended early because of `until` has nothing after it.
        let more = more && (matches >= limit || looked >= SCAN_MAX);
        self.past.look(move |memory| {
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
