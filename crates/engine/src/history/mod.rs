//! Reads what was: events from memory while they are recent, and from the journal's segments for ever.
//!
//! Two threads read, so that nobody waits behind a reader of the whole ledger who has only to be told again what
//! was answered before:
//!
//! ```text
//!   repeats, reversals ──▶ "owed" lane ──┐
//!                                        ├──▶ recent frames, indexes, segments
//!   feed, ledger ────────▶ "asks" lane ──┘
//! ```

mod balance;
mod feed;
mod ledger;
mod recent;
mod repeats;
mod statement;

use std::{
    collections::HashSet,
    sync::{Arc, PoisonError, RwLock, mpsc},
};

use jaego_domain::{Code, DocumentKey, Event, LocationId, Memory, Sequence, SiteId, Tables};
use jaego_store::{Failure, codec};

use crate::{
    core::Job,
    disk::Disk,
    inbox::Inbox,
    index::{Error, Indexes, Sites},
    journal::Reader,
};

pub(crate) use ledger::{Ask, Ledger};
pub use recent::Recent;
pub(crate) use repeats::{Owed, Repeats, conclude};

/// Questions that may wait for the ledger, and reversals that may wait for what they take back.
pub(crate) const ASKS_MAX: usize = 1_024;
/// Rows of one page of the feed or the ledger.
const PAGE_MAX: usize = 1_000;
/// Locations whose sites the writer is asked for at once.
const SITES_AT_ONCE: usize = 65_536;

/// What both lanes read from, and how they reach the tables.
pub(crate) struct Past<D: Disk> {
    pub(crate) reader: Reader<Arc<D>>,
    recent: Arc<Recent>,
    pub(crate) inbox: Arc<Inbox>,
    /// The sites of the locations, as far as somebody asked.
    sites: Arc<RwLock<Sites>>,
}

impl<D: Disk> Clone for Past<D> {
    fn clone(&self) -> Self {
        let Self { reader, recent, inbox, sites } = self;
        Self { reader: reader.clone(), recent: recent.clone(), inbox: inbox.clone(), sites: sites.clone() }
    }
}

impl<D: Disk> Past<D> {
    /// Over the tables as they are before anybody changes them.
    pub(crate) fn new(
        reader: Reader<Arc<D>>,
        recent: Arc<Recent>,
        inbox: Arc<Inbox>,
        memory: &Memory,
    ) -> Self {
        let sites = (0..memory.head().locations).map(|id| memory.location(LocationId(id)).site).collect();
        let sites = Arc::new(RwLock::new(Arc::new(sites)));
        Self { reader, recent, inbox, sites }
    }

    /// The sites of all locations. Only those that are new since the last time are asked for: a location never
    /// changes its site.
    pub(crate) fn sites(&self) -> Result<Sites, Error> {
        loop {
            let known = self.sites.read().unwrap_or_else(PoisonError::into_inner).len();
            let new = self.see(move |memory| sites_from(memory, known)).map_err(Error::Failure)?;
            let mut sites = self.sites.write().unwrap_or_else(PoisonError::into_inner);
            // Somebody else may have been told meanwhile.
            let told = sites.len() - known;
            if told < new.len() {
                Arc::make_mut(&mut sites).extend_from_slice(&new[told..]);
            }
            if new.len() < SITES_AT_ONCE {
                return Ok(sites.clone());
            }
        }
    }

    /// Reads events from `start` on until `visit` has had enough, and says whether there may be more.
    fn each_event(
        &self,
        indexes: &Indexes<D>,
        start: Sequence,
        mut visit: impl FnMut(Event) -> bool,
    ) -> Result<bool, Error> {
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
        let start = next.max(self.reader.first_sequence());
        let mut frames = match indexes.frame_of(start)? {
            Some(position) => self.reader.frames_at(position, start)?,
            None => self.reader.frames_from(start)?,
        };
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

    /// Has the writer call `look` between two requests, and delivers what it gives when that is durable.
    fn look(&self, look: impl FnOnce(Result<&Memory, Failure>) -> crate::Deliver + Send + 'static) {
        self.look_at(Vec::new(), 0, look);
    }

    /// Has the writer call `show` with these events, and tables that have the transfers which showing them takes, wherever
    /// they are. Where that is more than one look at the archive brings, only the first events are to be shown, at least
    /// one, and the others are given back.
    fn show(
        &self,
        mut events: Vec<Event>,
        show: impl FnOnce(Result<ToShow<'_>, Failure>) -> crate::Deliver + Send + 'static,
    ) {
        let (transfers, needed) = transfers_of(&events);
        let look = move |memory: Result<&Memory, Failure>| {
            show(memory.map(|memory| {
                let lacks = |event: &Event| {
                    let mut lacks = false;
                    event.fact.each_transfer(|id| lacks |= !memory.has(&DocumentKey::Transfer(id.clone())));
                    lacks
                };
                let rest = match events.iter().skip(1).position(lacks) {
                    Some(after_first) => events.split_off(after_first + 1),
                    None => Vec::new(),
                };
                ToShow { memory, events, rest }
            }))
        };
        self.look_at(transfers, needed, look);
    }

    fn look_at(
        &self,
        transfers: Vec<Code>,
        needed: usize,
        look: impl FnOnce(Result<&Memory, Failure>) -> crate::Deliver + Send + 'static,
    ) {
        if let Err(refused) = self.inbox.push(Job::look(Box::new(look), transfers, needed), 0, usize::MAX) {
            let (job, failure) = *refused;
            job.refuse(failure);
        }
    }

    /// Reads the tables and waits until all that was seen is durable.
    fn see<T: Send + 'static>(&self, look: impl FnOnce(&Memory) -> T + Send + 'static) -> Result<T, Failure> {
        let (to, from) = mpsc::sync_channel(1);
        self.look(move |memory| {
            let seen = memory.map(look);
            Box::new(move |durable| {
                let _ = to.send(durable.and(seen));
            })
        });
        from.recv().unwrap_or(Err(Failure::Closed))
    }
}

/// Events that can be shown with these tables.
struct ToShow<'a> {
    memory: &'a Memory,
    events: Vec<Event>,
    /// The events after them, for another time.
    rest: Vec<Event>,
}

/// The transfers that it takes to show these events, in the order of the events, and how many the first one takes.
fn transfers_of(events: &[Event]) -> (Vec<Code>, usize) {
    let (mut seen, mut transfers, mut needed) = (HashSet::new(), Vec::new(), 0);
    for (number, event) in events.iter().enumerate() {
        event.fact.each_transfer(|id| {
            if seen.insert(id) {
                transfers.push(id.clone());
            }
        });
        if number == 0 {
            needed = transfers.len();
        }
    }
    (transfers, needed)
}

/// The sites of the next locations from number `from` on.
fn sites_from(memory: &Memory, from: usize) -> Vec<SiteId> {
    let from = u32::try_from(from).expect("locations have numbers of 32 bits");
    let new = (from..memory.head().locations).take(SITES_AT_ONCE);
    new.map(|id| memory.location(LocationId(id)).site).collect()
}
