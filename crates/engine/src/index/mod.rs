//! Indexes over sealed segments: which events moved a SKU, at a site, for a document, and what they did to each place.
//!
//! An index only shortens the way to what the journal says. It is made from a sealed segment, which changes no more,
//! and says which one by the hash of its last frame; one that is missing, damaged or of another segment is made anew.
//! Recovery never looks at one.
//!
//! Keys are the numbers that the events themselves have: they are handed out by the decisions in the order of the
//! journal and stand in its events, so that they mean the same after every restart and in every copy. Only documents
//! have no number; their key is a hash of the id's text, and whoever follows it looks at the event.

mod draft;
mod format;
#[cfg(feature = "fuzz")]
mod mend;
mod read;
mod stretch;
mod tail;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use jaego_domain::{Sequence, SiteId};
use jaego_store::{Failure, codec};

use crate::{
    disk::{Disk, DiskFile},
    history::Past,
    journal::{self, Position, Segment},
};

pub(crate) use draft::{Draft, document_key};
use format::Origin;
pub(crate) use format::Table;
#[cfg(feature = "fuzz")]
pub(crate) use mend::{mend, read_all};
use read::{Damage, Index};
pub(crate) use stretch::{Key, Stretch, begin_of};
pub(crate) use tail::Tail;

/// How long the thread sleeps between two looks for a segment without an index.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(500);
/// How long it waits after an index that could not be written.
const WRITE_AGAIN_AFTER: Duration = Duration::from_secs(10);
/// How soon a sleeping thread notices that the store closes.
const NAP: Duration = Duration::from_millis(20);

/// Why the past cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Journal(#[from] journal::Error),
    #[error("an event cannot be decoded: {0}")]
    Decode(#[from] codec::Error),
    #[error("event {sequence} names location {location}, which is not known yet")]
    Location { location: u32, sequence: Sequence },
    #[error("event {sequence} is not where its frame should be")]
    Event { sequence: u64 },
    #[error("the movements since event {sequence} do not add up to what lies there now")]
    Balance { sequence: u64 },
    #[error("the index of segment {segment} is damaged")]
    Index {
        segment: u64,
        #[source]
        source: Damage,
    },
    #[error("{0}")]
    Failure(Failure),
    #[error("the store is shutting down")]
    Stopped,
}

impl From<Error> for Failure {
    /// The store goes on deciding: what it decides on is in memory.
    fn from(error: Error) -> Self {
        match error {
            Error::Failure(failure) => failure,
            Error::Stopped => Self::Closed,
            error => Self::HistoryUnreadable { detail: crate::engine::error_chain(&error) },
        }
    }
}

/// An index that is there and cannot be used.
struct Unusable;

/// The indexes of a store.
pub(crate) struct Indexes<D: Disk> {
    disk: Arc<D>,
    past: Past<D>,
    /// The hashes that tell which segment an index is of.
    hashes: Mutex<BTreeMap<u64, u64>>,
    /// One index is made at a time.
    making: Mutex<()>,
    /// Whether an index that was there before has to be made anew.
    look_through: AtomicBool,
}

impl<D: Disk> Indexes<D> {
    pub(crate) fn new(disk: Arc<D>, past: Past<D>) -> Self {
        Self {
            disk,
            past,
            hashes: Mutex::default(),
            making: Mutex::default(),
            look_through: AtomicBool::default(),
        }
    }

    /// The name of a segment's index, in the journal's folder.
    fn name(segment: &Segment) -> String {
        format!("{:020}-{:010}.index", segment.first_sequence, segment.segment)
    }

    /// The index of a sealed segment: made now if there is none that can be used.
    pub(crate) fn get(&self, segment: &Segment) -> Result<Index<D::File>, Error> {
        let origin = self.origin(segment)?;
        if let Some(index) = self.open(segment, origin) {
            return Ok(index);
        }
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        // Somebody else may have made it meanwhile.
        match self.open(segment, origin) {
            Some(index) => Ok(index),
            None => self.make(segment, origin).map(|(index, _)| index),
        }
    }

    /// The index of a sealed segment, if there is one that can be used.
    pub(crate) fn ready(&self, segment: &Segment) -> Result<Option<Index<D::File>>, Error> {
        let origin = self.origin(segment)?;
        let opened = self.try_open(segment, origin);
        if opened.is_err() {
            self.look_through.store(true, Ordering::SeqCst);
        }
        Ok(opened.unwrap_or_default())
    }

    /// Where the frame lies that holds an event of a sealed segment, if its index is there and tells.
    pub(crate) fn frame_of(&self, sequence: u64) -> Result<Option<Position>, Error> {
        let Some(segment) = self.past.reader.sealed_segment_of(sequence) else { return Ok(None) };
        let Some(index) = self.ready(&segment)? else { return Ok(None) };
        self.if_whole(index.frames().frame_of(sequence))
    }

    /// What was found; nothing where the index turned out to be damaged, which is then made anew.
    pub(crate) fn if_whole<T>(&self, found: Result<Option<T>, Error>) -> Result<Option<T>, Error> {
        let Err(Error::Index { segment, source }) = found else { return found };
        tracing::warn!(segment, error = %source, "an index is damaged and is made anew");
        self.discard(segment);
        Ok(None)
    }

    /// Throws away an index that turned out to be damaged: the next one who wants it makes it anew, or the thread that
    /// keeps them.
    pub(crate) fn discard(&self, segment: u64) {
        let segments = self.past.reader.segments();
        let Some(segment) = segments.iter().find(|one| one.segment == segment) else { return };
        let name = Self::name(segment);
        if let Err(error) = self.disk.remove(&name) {
            tracing::warn!(%name, %error, "a damaged index cannot be removed");
        }
        self.look_through.store(true, Ordering::SeqCst);
    }

    fn origin(&self, segment: &Segment) -> Result<Origin, Error> {
        let known = self.hashes.lock().unwrap_or_else(PoisonError::into_inner).get(&segment.segment).copied();
        let hash = match known {
            Some(hash) => hash,
            None => {
                let hash = self.past.reader.sealed_hash(segment)?;
                self.hashes.lock().unwrap_or_else(PoisonError::into_inner).insert(segment.segment, hash);
                hash
            }
        };
        let Segment { segment, first_sequence, next_sequence, .. } = *segment;
        Ok(Origin { store: self.past.reader.store(), segment, first_sequence, next_sequence, hash })
    }

    fn open(&self, segment: &Segment, origin: Origin) -> Option<Index<D::File>> {
        self.try_open(segment, origin).unwrap_or_default()
    }

    /// The index, if there is one; [`Unusable`] where it is one that cannot be used, which is told.
    fn try_open(&self, segment: &Segment, origin: Origin) -> Result<Option<Index<D::File>>, Unusable> {
        let name = Self::name(segment);
        let opened = match self.disk.open(&name) {
            Ok(file) => Index::open(file, origin),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => Err(Damage::Io(error)),
        };
        opened.map(Some).map_err(|error| {
            let detail = crate::engine::error_chain(&error);
            tracing::warn!(%name, %detail, "an index cannot be used and is made anew");
            Unusable
        })
    }

    /// Makes an index from its segment, and says whether it could be written.
    fn make(&self, segment: &Segment, origin: Origin) -> Result<(Index<D::File>, bool), Error> {
        let sites = self.past.sites()?;
        let mut draft = Draft::new(segment.segment, segment.first_sequence);
        let mut frames = self.past.reader.frames_from(segment.first_sequence)?;
        while draft.next_sequence < segment.next_sequence {
            if self.is_stopping() {
                return Err(Error::Stopped);
            }
            let Some(frame) = frames.next()?.filter(|frame| frame.position.segment == segment.segment) else {
                return Err(Error::Event { sequence: draft.next_sequence });
            };
            draft.take(&frame, &sites)?;
        }
        drop(frames);
        let sorting = std::time::Instant::now();
        let sorted = draft.sort();
        let sorted_in_us = sorting.elapsed().as_micros();
        let layout = sorted.layout();
        let name = Self::name(segment);
        let written = self.write(&name, layout.file_len(), |file| {
            let mut offset = 0;
            sorted.encode(&origin, |bytes| {
                let written = file.write_all_at(bytes, offset);
                offset += bytes.len() as u64;
                written.map_err(|error| error.source)
            })
        });
        match written.map(|()| self.open(segment, origin)) {
            Ok(Some(index)) => {
                tracing::debug!(%name, bytes = index.len(), sorted_in_us, "index written");
                return Ok((index, true));
            }
            Ok(None) => {}
            // The journal has everything: an index only shortens the way.
            Err(error) => tracing::warn!(%name, %error, "an index cannot be written; trying again later"),
        }
        let mut bytes = Vec::new();
        let encoded: Result<(), std::convert::Infallible> = sorted.encode(&origin, |piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        });
        let Ok(()) = encoded;
        Ok((Index::in_memory(bytes, origin, layout), false))
    }

    /// Writes a file under another name first, so that its own name never stands for a part of it.
    fn write(&self, name: &str, len: u64, fill: impl FnOnce(&D::File) -> io::Result<()>) -> io::Result<()> {
        if self.is_stopping() {
            return Err(io::Error::other("the store is shutting down"));
        }
        let temporary = format!("{name}.tmp");
        match self.disk.remove(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let written = self.disk.create(&temporary, len).and_then(|file| {
            fill(&file)?;
            file.sync_data()
        });
        let named = written.and_then(|()| self.disk.rename(&temporary, name));
        if let Err(error) = named {
            // The first error is the one to tell; what is left is removed by the next who tries.
            let _ = self.disk.remove(&temporary);
            return Err(error);
        }
        self.disk.sync()
    }

    fn is_stopping(&self) -> bool {
        let state = self.past.inbox.lock();
        state.closing || state.failed.is_some()
    }

    /// Makes the indexes of segments as they are sealed, until the store closes.
    pub(crate) fn keep(&self) {
        if let Err(error) = self.tidy() {
            tracing::warn!(%error, "what is left of old indexes cannot be removed");
        }
        let mut done = 0;
        while !self.is_stopping() {
            if self.look_through.swap(false, Ordering::SeqCst) {
                done = 0;
            }
            let sealed = self.past.reader.sealed_segments();
            let Some(segment) = sealed.iter().find(|segment| segment.segment > done) else {
                self.nap(LOOK_AGAIN_AFTER);
                continue;
            };
            match self.ensure(segment) {
                Ok(true) => done = segment.segment,
                // It could not be written, which `make` told.
                Ok(false) => self.nap(WRITE_AGAIN_AFTER),
                Err(Error::Stopped) => return,
                Err(error) => {
                    let detail = crate::engine::error_chain(&error);
                    tracing::warn!(segment = segment.segment, %detail, "no index can be made; trying again later");
                    self.nap(WRITE_AGAIN_AFTER);
                }
            }
        }
    }

    /// Makes the index of a segment if there is none, and says whether there is one now.
    fn ensure(&self, segment: &Segment) -> Result<bool, Error> {
        let origin = self.origin(segment)?;
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if self.open(segment, origin).is_some() {
            return Ok(true);
        }
        self.make(segment, origin).map(|(_, is_written)| is_written)
    }

    /// Removes indexes of segments that are no longer there, and what a crash left.
    fn tidy(&self) -> io::Result<()> {
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        let kept: BTreeSet<_> = self.past.reader.segments().iter().map(Self::name).collect();
        for name in self.disk.list()? {
            if name.ends_with(".index.tmp") || (name.ends_with(".index") && !kept.contains(&name)) {
                self.disk.remove(&name)?;
            }
        }
        Ok(())
    }

    /// Sleeps, and wakes early when the store closes.
    fn nap(&self, time: Duration) {
        let end = std::time::Instant::now() + time;
        while std::time::Instant::now() < end && !self.is_stopping() {
            thread::sleep(NAP);
        }
    }
}

/// The site of every location, by the location's number: a location never changes its site.
pub(crate) type Sites = Arc<Vec<SiteId>>;
