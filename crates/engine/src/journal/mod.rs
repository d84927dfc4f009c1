//! The journal: batches of opaque bytes in one order, durable before anybody is told.
//!
//! One frame holds one batch. Frames lie in *segments*: files of one length, filled with zeros before use. A
//! frame names the hash of the frame before it, its place, its sequence and the *watermark*: the highest sequence
//! known to be durable when it was written. Only one frame is in flight at a time, so the watermark is always
//! the sequence just before the frame; that is what lets recovery tell a torn last frame, which nobody was
//! promised, from damage to one that somebody was. The bytes are drawn in `docs/JOURNAL.md`.
//!
//! ```
//! use jaego_engine::disk::RealDisk;
//! use jaego_engine::journal::{Config, Journal, StoreId};
//!
//! let folder = tempfile::tempdir()?;
//! let config = Config { segment_len: 1 << 20, ..Config::default() };
//! let mut journal = Journal::create(RealDisk::open(folder.path())?, config, StoreId(7), 1)?;
//! journal.append(1, 2, b"two records")?;
//! journal.sync()?; // Now it may be acknowledged.
//! journal.close()?;
//!
//! let mut recovery = Journal::open(RealDisk::open(folder.path())?, config, 1)?;
//! while let Some(frame) = recovery.next()? {
//!     assert_eq!((frame.first_sequence, frame.payload), (1, &b"two records"[..]));
//! }
//! let (journal, report) = recovery.finish()?;
//! assert_eq!(report.next_sequence, 3);
//! # drop(journal);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod format;
#[cfg(feature = "fuzz")]
mod mend;
mod reader;
mod recovery;
mod signposts;
mod spare;
mod standing;
mod walker;

use std::sync::Arc;
use std::time::Duration;

use crate::disk::{Disk, DiskFile, is_full};
use crate::journal::format::{FrameHeader, Kind, SegmentHeader, frame_hash, segment_name};
use crate::journal::reader::Shared;
use crate::journal::signposts::Signposts;
use crate::journal::spare::{SPARE_NAME, Spares};

pub use crate::journal::error::Error;
pub use crate::journal::format::{FORMAT_VERSION, FRAME_HEADER_LEN, SECTOR_LEN, StoreId, frame_len};
#[cfg(feature = "fuzz")]
pub(crate) use crate::journal::mend::{first_sequence, segments_of};
pub use crate::journal::reader::{Frames, Reader, Segment};
pub use crate::journal::recovery::{Cut, Recovery, Report};
pub use crate::journal::spare::{Preparation, SPARE_RETRY_AFTER};
pub(crate) use crate::journal::standing::{Standing, standing};
pub use crate::journal::walker::{Frame, Position};

/// The length of a segment unless configured otherwise.
pub const SEGMENT_LEN_DEFAULT: u64 = 64 << 20;

/// The shortest segment: small ones are for tests.
pub const SEGMENT_LEN_MIN: u64 = 4096;

/// The longest segment.
pub const SEGMENT_LEN_MAX: u64 = 1 << 30;

/// The longest payload of a frame, in segments that are long enough; see [`Config::payload_len_max`].
pub const PAYLOAD_LEN_MAX: usize = 48 << 20;

/// After how long without a frame the owner should call [`Journal::write_watermark`].
pub const IDLE_BEFORE_WATERMARK: Duration = Duration::from_millis(10);

// Room that frames of records leave in a segment: one sector for a watermark, one for the seal.
const RESERVED_LEN: u64 = 2 * SECTOR_LEN as u64;

// Larger buffers are given back after use; ordinary batches never come near.
const BUFFER_LEN_KEPT: usize = 4 << 20;

/// How a journal is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// The length of new segments in bytes, a multiple of [`SECTOR_LEN`]. Existing ones keep theirs.
    pub segment_len: u64,
    /// Who makes the next segment's file.
    pub preparation: Preparation,
}

impl Default for Config {
    fn default() -> Config {
        Config { segment_len: SEGMENT_LEN_DEFAULT, preparation: Preparation::Background }
    }
}

impl Config {
    /// The longest payload that [`Journal::append`] takes: what an empty segment can hold, at most
    /// [`PAYLOAD_LEN_MAX`].
    pub fn payload_len_max(&self) -> usize {
        let used = SECTOR_LEN as u64 + RESERVED_LEN + FRAME_HEADER_LEN as u64;
        usize::try_from(self.segment_len.saturating_sub(used)).unwrap_or(usize::MAX).min(PAYLOAD_LEN_MAX)
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let len = self.segment_len;
        let fits =
            (SEGMENT_LEN_MIN..=SEGMENT_LEN_MAX).contains(&len) && len.is_multiple_of(SECTOR_LEN as u64);
        let refusal =
            Error::SegmentLen { len, sector: SECTOR_LEN, min: SEGMENT_LEN_MIN, max: SEGMENT_LEN_MAX };
        if fits { Ok(()) } else { Err(refusal) }
    }
}

/// A journal that is open for writing. It has one owner; readers get a [`Reader`].
#[derive(Debug)]
pub struct Journal<D: Disk> {
    disk: Arc<D>,
    config: Config,
    active: Active<D::File>,
    shared: Arc<Shared>,
    spares: Spares<D>,
    buffer: Vec<u8>,
    failure: Option<Error>,
}

/// The segment that is being written.
#[derive(Debug)]
pub(crate) struct Active<F> {
    file: F,
    name: String,
    header: SegmentHeader,
    /// Where the next frame begins.
    offset: u64,
    /// The hash of the last frame.
    hash: u64,
    /// The sequence of the next record.
    next_sequence: u64,
    /// The last frame's kind; `None` in a segment without frames.
    last: Option<Kind>,
    /// Whether all frames are durable.
    synced: bool,
}

/// A frame that was written and is not durable yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Where it lies, for indexes.
    pub position: Position,
    /// The bytes that it takes, padding included.
    pub len: u64,
}

impl<D: Disk> Journal<D> {
    /// Creates a journal in a folder that has none. The first record will have `first_sequence`, at least 1.
    ///
    /// Whoever calls this must know that the store is new: a folder that lost its journal looks the same.
    ///
    /// # Panics
    /// If `first_sequence` is 0.
    pub fn create(disk: D, config: Config, store: StoreId, first_sequence: u64) -> Result<Journal<D>, Error> {
        config.check()?;
        assert!(first_sequence > 0, "sequences begin with 1");
        let disk = Arc::new(disk);
        if let Some(segment) = recovery::segment_names(&*disk)?.into_iter().next() {
            return Err(Error::Exists { file: segment.name });
        }
        let mut spares = Spares::new(disk.clone(), config.segment_len, config.preparation)?;
        spares.wait()?;
        let Some(file) = spares.take() else { return Err(Error::Full { needed: config.segment_len }) };
        let header =
            SegmentHeader { store, segment: 1, first_sequence, len: config.segment_len, previous: 0 };
        let active = begin_segment(&*disk, file, header)?;
        drop(spares);
        let segment = active.published();
        Journal::assemble(disk, config, active, vec![segment], Signposts::default())
    }

    /// Opens the journal of a folder, to be read from the frame that holds sequence `from` on: 1, or the one
    /// after a checkpoint's.
    pub fn open(disk: D, config: Config, from: u64) -> Result<Recovery<D>, Error> {
        Recovery::start(disk, config, from)
    }

    pub(crate) fn assemble(
        disk: Arc<D>,
        config: Config,
        active: Active<D::File>,
        segments: Vec<Segment>,
        signposts: Signposts,
    ) -> Result<Journal<D>, Error> {
        let mut spares = Spares::new(disk.clone(), config.segment_len, config.preparation)?;
        spares.prepare()?;
        let shared = Arc::new(Shared::new(segments, active.offset, signposts));
        Ok(Journal { disk, config, active, shared, spares, buffer: Vec::new(), failure: None })
    }

    /// The store that the journal belongs to.
    pub fn store(&self) -> StoreId {
        self.active.header.store
    }

    /// The sequence that the next record gets.
    pub fn next_sequence(&self) -> u64 {
        self.active.next_sequence
    }

    /// A reader of what is durable.
    pub fn reader(&self) -> Reader<D> {
        Reader { disk: self.disk.clone(), shared: self.shared.clone(), store: self.store() }
    }

    /// Makes sure that the next frame, with a payload of up to `payload_len` bytes, will not be refused with
    /// [`Error::Full`]: to be called *before* the commands in it are decided. Waits for a spare that is being
    /// made. (A file system that moves blocks when they are written again can still run full.)
    pub fn reserve(&mut self, payload_len: usize) -> Result<(), Error> {
        self.check(payload_len)?;
        if self.active.has_room(frame_len(payload_len)) {
            return Ok(());
        }
        let ready = self.spares.wait().map_err(|error| self.poison(error))?;
        if ready { Ok(()) } else { Err(Error::Full { needed: frame_len(payload_len) }) }
    }

    /// Writes one frame with the records `first_sequence ..` `first_sequence + count`. They are durable, and
    /// may be acknowledged, after the next [`Journal::sync`].
    ///
    /// Only one frame is in flight: if the one before is not synced yet, this syncs it first. A frame that does
    /// not fit goes into the next segment.
    ///
    /// # Panics
    /// If `first_sequence` is not [`Journal::next_sequence`], or `count` is 0.
    pub fn append(&mut self, first_sequence: u64, count: u32, payload: &[u8]) -> Result<Written, Error> {
        self.check(payload.len())?;
        assert_eq!(first_sequence, self.active.next_sequence, "records are numbered without gaps");
        assert!(count > 0, "a frame holds at least one record");
        self.sync()?;
        if !self.active.has_room(frame_len(payload.len())) {
            self.reserve(payload.len())?;
            self.rotate()?;
        }
        self.write(Kind::Records, count, payload)
    }

    /// Makes everything appended durable. After an error nothing is known about the last frame: the journal
    /// is poisoned and the process should end.
    pub fn sync(&mut self) -> Result<(), Error> {
        self.check(0)?;
        if self.active.synced {
            return Ok(());
        }
        let synced = self.active.file.sync_data();
        synced.map_err(|source| self.poison(Error::io("sync", &self.active.name, source)))?;
        self.active.synced = true;
        self.publish();
        Ok(())
    }

    /// Whether the last frame's durability is written nowhere yet.
    pub fn needs_watermark(&self) -> bool {
        self.failure.is_none() && self.active.last == Some(Kind::Records)
    }

    /// Writes down, durably, that the last frame is durable; nothing if that is known already. The next frame
    /// would tell as well, so this is for idle times: call it [`IDLE_BEFORE_WATERMARK`] after the last frame.
    pub fn write_watermark(&mut self) -> Result<(), Error> {
        self.sync()?;
        if self.active.last != Some(Kind::Records) {
            return Ok(());
        }
        match self.write(Kind::Watermark, 0, &[]) {
            Ok(_) => self.sync(),
            // Nothing was written, nothing is lost: the next frame will tell.
            Err(Error::Full { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Seals the active segment and goes on in the next one, if there are records in it: for a backup, or a
    /// checkpoint that wants to begin at a segment's start.
    pub fn rotate(&mut self) -> Result<(), Error> {
        self.sync()?;
        if self.active.next_sequence == self.active.header.first_sequence && self.active.last.is_none() {
            // A segment made under another configuration may be too short even when empty.
            if self.active.header.len == self.config.segment_len {
                return Ok(());
            }
        }
        let ready = self.spares.wait().map_err(|error| self.poison(error))?;
        let Some(file) = self.spares.take().filter(|_| ready) else {
            return Err(Error::Full { needed: self.config.segment_len });
        };
        let header = SegmentHeader {
            store: self.store(),
            segment: self.active.header.segment + 1,
            first_sequence: self.active.next_sequence,
            len: self.config.segment_len,
            previous: self.active.hash,
        };
        // The order matters. A segment that is sealed has a successor, whose name is durable; a segment that
        // has frames has a sealed predecessor. So recovery misses either one if it is taken away.
        let next = begin_segment(&*self.disk, file, header).map_err(|error| self.poison(error))?;
        match self.write(Kind::Seal, 0, &[]) {
            Ok(_) => {}
            // There is a successor already, so going on without the seal is not possible.
            Err(error) => return Err(self.poison(error)),
        }
        let sealed = self.active.file.sync_data();
        sealed.map_err(|source| self.poison(Error::io("sync", &self.active.name, source)))?;
        self.shared.lock().segments.push(next.published());
        self.active = next;
        self.publish();
        self.spares.prepare().map_err(|error| self.poison(error))
    }

    /// Removes the sealed segments that hold nothing at or after `floor`, oldest first, and returns them. What
    /// should be kept elsewhere must have been copied or linked before.
    pub fn raise_floor(&mut self, floor: u64) -> Result<Vec<Segment>, Error> {
        self.check(0)?;
        let mut removed = Vec::new();
        loop {
            let oldest = {
                let published = self.shared.lock();
                let oldest = &published.segments[0];
                if published.segments.len() < 2 || oldest.next_sequence > floor {
                    break;
                }
                oldest.clone()
            };
            let name = oldest.name();
            self.disk.remove(&name).map_err(|source| self.poison(Error::io("remove", &name, source)))?;
            // One at a time, so that a crash never leaves a hole between two segments.
            self.disk.sync().map_err(|source| self.poison(Error::io("sync", "the folder", source)))?;
            self.shared.lock().segments.remove(0);
            removed.push(oldest);
        }
        Ok(removed)
    }

    /// Syncs, writes the watermark and closes. Dropping the journal instead is what a crash does: nothing that
    /// was synced is lost, but damage to the last frame could later be taken for a torn one.
    pub fn close(mut self) -> Result<(), Error> {
        self.write_watermark()
    }

    fn check(&self, payload_len: usize) -> Result<(), Error> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let limit = self.config.payload_len_max();
        if payload_len > limit {
            return Err(Error::TooLarge { len: payload_len, limit });
        }
        Ok(())
    }

    fn poison(&mut self, error: Error) -> Error {
        self.failure = Some(error.clone());
        error
    }

    fn publish(&mut self) {
        let mut published = self.shared.lock();
        published.durable_offset = self.active.offset;
        let segment = published.segments.last_mut().expect("there is always an active segment");
        segment.next_sequence = self.active.next_sequence;
    }

    fn write(&mut self, kind: Kind, count: u32, payload: &[u8]) -> Result<Written, Error> {
        assert!(self.active.synced, "one frame is in flight at a time");
        let active = &mut self.active;
        let header = FrameHeader {
            kind,
            payload_len: u32::try_from(payload.len()).expect("payloads are shorter than a segment"),
            count,
            first_sequence: active.next_sequence,
            watermark: active.next_sequence - 1,
            offset: active.offset,
            previous: active.hash,
            segment: active.header.segment,
            payload_crc: crc32c::crc32c(payload),
        };
        let encoded = header.encode(active.header.store.seed());
        let len = header.frame_len();
        assert!(active.offset + len <= active.header.len, "a frame stays inside its segment");
        self.buffer.clear();
        self.buffer.extend_from_slice(&encoded);
        self.buffer.extend_from_slice(payload);
        self.buffer.resize(walker::usize_of(len), 0);
        if let Err(error) = active.file.write_all_at(&self.buffer, active.offset) {
            if error.written == 0 && is_full(&error.source) {
                return Err(Error::Full { needed: len });
            }
            let error = Error::io("write to", &active.name, error.source);
            return Err(self.poison(error));
        }
        if self.buffer.capacity() > BUFFER_LEN_KEPT {
            self.buffer = Vec::new();
        }
        let position = Position { segment: active.header.segment, offset: active.offset };
        active.hash = frame_hash(&encoded);
        active.offset += len;
        active.next_sequence += u64::from(count);
        active.last = Some(kind);
        active.synced = false;
        Ok(Written { position, len })
    }
}

impl<F> Active<F> {
    fn has_room(&self, len: u64) -> bool {
        self.offset + len + RESERVED_LEN <= self.header.len
    }

    fn published(&self) -> Segment {
        Segment {
            segment: self.header.segment,
            first_sequence: self.header.first_sequence,
            next_sequence: self.next_sequence,
            len: self.header.len,
        }
    }
}

/// Turns the spare into a segment: the header first, then the name, each durable before the next.
fn begin_segment<D: Disk>(disk: &D, file: D::File, header: SegmentHeader) -> Result<Active<D::File>, Error> {
    let name = segment_name(header.first_sequence, header.segment);
    let written = file.write_all_at(&header.encode(), 0);
    written.map_err(|error| Error::io("write the header of", &name, error.source))?;
    file.sync_data().map_err(|source| Error::io("sync", &name, source))?;
    disk.rename(SPARE_NAME, &name).map_err(|source| Error::io("name", &name, source))?;
    disk.sync().map_err(|source| Error::io("sync", "the folder", source))?;
    Ok(Active {
        file,
        name,
        offset: SECTOR_LEN as u64,
        hash: header.hash(),
        next_sequence: header.first_sequence,
        header,
        last: None,
        synced: true,
    })
}
