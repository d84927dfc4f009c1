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

mod feed;
mod ledger;
mod recent;
mod repeats;

use std::sync::Arc;

use jaego_domain::{Event, Memory, Sequence};
use jaego_store::{Failure, codec};

use crate::{
    core::Job,
    disk::Disk,
    inbox::Inbox,
    journal::{self, Reader},
};

pub(crate) use ledger::{Ask, Ledger};
pub use recent::Recent;
pub(crate) use repeats::{Owed, Repeats, conclude};

/// Questions that may wait for the ledger, and reversals that may wait for what they take back.
pub(crate) const ASKS_MAX: usize = 1_024;
/// Rows of one page of the feed or the ledger.
const PAGE_MAX: usize = 1_000;

/// What both lanes read from, and how they reach the tables.
pub(crate) struct Past<D: Disk> {
    reader: Reader<Arc<D>>,
    recent: Arc<Recent>,
    inbox: Arc<Inbox>,
}

impl<D: Disk> Clone for Past<D> {
    fn clone(&self) -> Self {
        Self { reader: self.reader.clone(), recent: self.recent.clone(), inbox: self.inbox.clone() }
    }
}

impl<D: Disk> Past<D> {
    pub(crate) fn new(reader: Reader<Arc<D>>, recent: Arc<Recent>, inbox: Arc<Inbox>) -> Self {
        Self { reader, recent, inbox }
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

    /// Has the writer call `look` between two requests, and delivers what it gives when that is durable.
    fn look(&self, look: impl FnOnce(Result<&Memory, Failure>) -> crate::Deliver + Send + 'static) {
        if let Err(refused) = self.inbox.push(Job::Look(Box::new(look)), 0, usize::MAX) {
            let (job, failure) = *refused;
            job.refuse(failure);
        }
    }

    /// Reads the tables and waits until all that was seen is durable.
    fn see<T: Send + 'static>(&self, look: impl FnOnce(&Memory) -> T + Send + 'static) -> Result<T, Failure> {
        let (to, from) = std::sync::mpsc::sync_channel(1);
        self.look(move |memory| {
            let seen = memory.map(look);
            Box::new(move |durable| {
                let _ = to.send(durable.and(seen));
            })
        });
        from.recv().unwrap_or(Err(Failure::Closed))
    }
}

/// Why the past cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0}")]
    Journal(#[from] journal::Error),
    #[error("an event cannot be decoded: {0}")]
    Decode(#[from] codec::Error),
}

impl From<Error> for Failure {
    /// The store goes on deciding: what it decides on is in memory.
    fn from(error: Error) -> Self {
        Self::HistoryUnreadable { detail: crate::engine::error_chain(&error) }
    }
}
