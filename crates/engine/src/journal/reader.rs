//! Reads durable frames while the journal is being written, from any thread.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::{Disk, DiskFile};
use crate::journal::error::Error;
use crate::journal::format::{
    FRAME_HEADER_LEN, FrameHeader, Kind, SECTOR_LEN, SegmentHeader, StoreId, segment_name,
};
use crate::journal::signposts::{Signposts, stretch_of};
use crate::journal::walker::{Frame, Position, Step, Walker, usize_of};

/// What the journal has told its readers.
#[derive(Debug)]
pub(crate) struct Published {
    /// Oldest first; the last one is active, the others are sealed.
    pub(crate) segments: Vec<Segment>,
    /// Where the durable frames of the active segment end.
    pub(crate) durable_offset: u64,
}

/// What the journal and its readers share.
#[derive(Debug)]
pub(crate) struct Shared {
    published: Mutex<Published>,
    signposts: Mutex<Signposts>,
}

impl Shared {
    pub(crate) fn new(segments: Vec<Segment>, durable_offset: u64, signposts: Signposts) -> Shared {
        let published = Mutex::new(Published { segments, durable_offset });
        Shared { published, signposts: Mutex::new(signposts) }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Published> {
        // Every change is one assignment or one push, so a panic elsewhere leaves nothing half done.
        self.published.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signposts(&self) -> MutexGuard<'_, Signposts> {
        // A place that was not entered is only a longer way.
        self.signposts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One file of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Its number: 1 for the first one ever, each next one 1 more.
    pub segment: u64,
    /// The sequence of its first record.
    pub first_sequence: u64,
    /// The sequence after its last durable record.
    pub next_sequence: u64,
    /// The length of its file in bytes.
    pub len: u64,
}

impl Segment {
    /// The name of its file in the journal's folder.
    pub fn name(&self) -> String {
        segment_name(self.first_sequence, self.segment)
    }
}

/// Reads frames up to the durable sequence. Cheap to clone; every clone may live on its own thread.
#[derive(Debug)]
pub struct Reader<D: Disk> {
    pub(crate) disk: Arc<D>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) store: StoreId,
}

impl<D: Disk> Clone for Reader<D> {
    fn clone(&self) -> Reader<D> {
        Reader { disk: self.disk.clone(), shared: self.shared.clone(), store: self.store }
    }
}

impl<D: Disk> Reader<D> {
    /// The sequence of the last durable record; one less than the first sequence while there is none.
    pub fn durable_sequence(&self) -> u64 {
        let published = self.shared.lock();
        published.segments.last().expect("there is always an active segment").next_sequence - 1
    }

    /// The store that the journal belongs to.
    pub fn store(&self) -> StoreId {
        self.store
    }

    /// The sequence of the first record that is kept.
    pub fn first_sequence(&self) -> u64 {
        self.shared.lock().segments[0].first_sequence
    }

    /// All segments, oldest first; the last one is active.
    pub fn segments(&self) -> Vec<Segment> {
        self.shared.lock().segments.clone()
    }

    /// The segments that will never change again, oldest first: for hard links and indexes.
    pub fn sealed_segments(&self) -> Vec<Segment> {
        let mut segments = self.segments();
        segments.pop();
        segments
    }

    /// The active segment, and how many bytes of its file are durable frames. A copy of these bytes, filled up
    /// with zeros to the segment's length, opens as a journal that ends here.
    pub fn active_segment(&self) -> (Segment, u64) {
        let published = self.shared.lock();
        let segment = published.segments.last().expect("there is always an active segment");
        (segment.clone(), published.durable_offset)
    }

    /// The hash of a sealed segment's last frame before the seal, which stands for all of its bytes: the next segment's
    /// header names it.
    pub(crate) fn sealed_hash(&self, segment: &Segment) -> Result<u64, Error> {
        let (next, _) = self.segment_and_limit(segment.segment + 1)?;
        Ok(self.walk(&next)?.header.previous)
    }

    /// The sealed segment that holds `sequence`, if one does.
    pub(crate) fn sealed_segment_of(&self, sequence: u64) -> Option<Segment> {
        let published = self.shared.lock();
        let (_, sealed) = published.segments.split_last().expect("there is always an active segment");
        let at = sealed.partition_point(|segment| segment.next_sequence <= sequence);
        sealed.get(at).filter(|segment| segment.first_sequence <= sequence).cloned()
    }

    /// The frames from the one that holds `sequence` on. The first one may begin before it.
    ///
    /// Finding it walks through one segment at most, and where somebody walked before, through a part of it. A sequence
    /// that is not durable yet is fine: its frame comes once it is.
    pub fn frames_from(&self, sequence: u64) -> Result<Frames<D>, Error> {
        let (segment, known) = self.way_to(sequence)?;
        let walker = self.walk_by(&segment, known)?;
        Ok(Frames { reader: self.clone(), walker, from: sequence, entered: None })
    }

    /// The segment that holds a sequence, and the offset of the last frame before it that is known.
    fn way_to(&self, sequence: u64) -> Result<(Segment, Option<u64>), Error> {
        let segments = self.segments();
        let floor = segments[0].first_sequence;
        if sequence < floor {
            return Err(Error::BelowFloor { sequence, floor });
        }
        let segment = segments.iter().rev().find(|segment| segment.first_sequence <= sequence);
        let segment = segment.expect("the floor is the first segment's");
        let known = self.shared.signposts().before(segment.segment, sequence);
        Ok((segment.clone(), known))
    }

    fn walk_by(&self, segment: &Segment, known: Option<u64>) -> Result<Walker<D::File>, Error> {
        match known {
            Some(offset) => self.walk_from(segment, offset),
            None => self.walk(segment),
        }
    }

    /// The same, where an index tells the position of the frame that holds `sequence`.
    pub(crate) fn frames_at(&self, position: Position, sequence: u64) -> Result<Frames<D>, Error> {
        let (segment, _) = self.segment_and_limit(position.segment)?;
        let walker = self.walk_from(&segment, position.offset)?;
        Ok(Frames { reader: self.clone(), walker, from: sequence, entered: None })
    }

    /// The one frame at a position that [`crate::journal::Journal::append`] or an earlier read told, read into
    /// `bytes`.
    pub fn frame_at<'a>(&self, position: Position, bytes: &'a mut Vec<u8>) -> Result<Frame<'a>, Error> {
        self.open_segment(position.segment)?.frame_at(position, bytes)
    }

    /// Opens a segment for frames whose positions are known.
    pub(crate) fn open_segment(&self, segment: u64) -> Result<OpenSegment<D::File>, Error> {
        let (segment, limit) = self.segment_and_limit(segment)?;
        let name = segment.name();
        let file = self.disk.open(&name).map_err(|source| Error::io("open", &name, source))?;
        Ok(OpenSegment { file, name, segment: segment.segment, limit, seed: self.store.seed() })
    }

    fn walk(&self, segment: &Segment) -> Result<Walker<D::File>, Error> {
        let name = segment.name();
        let opened = self.disk.open(&name);
        let file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(self.removed(segment, error));
            }
            Err(source) => return Err(Error::io("open", &name, source)),
        };
        let mut bytes = [0; SECTOR_LEN];
        file.read_exact_at(&mut bytes, 0).map_err(|source| Error::io("read", &name, source))?;
        let header = SegmentHeader::decode(&bytes).ok().filter(|header| {
            header.store == self.store
                && header.segment == segment.segment
                && header.first_sequence == segment.first_sequence
                && header.len == segment.len
        });
        let Some(header) = header else {
            return Err(Error::damaged(&name, 0, "the segment's header is not the one that was written"));
        };
        Ok(Walker::new(file, name, header))
    }

    /// A walk that begins with the frame at an offset. What that one says of those before it is believed: its checksum,
    /// which the store's id is part of, vouches for it.
    fn walk_from(&self, segment: &Segment, offset: u64) -> Result<Walker<D::File>, Error> {
        let mut walker = self.walk(segment)?;
        let mut bytes = [0; FRAME_HEADER_LEN];
        let read = walker.file.read_exact_at(&mut bytes, offset);
        read.map_err(|source| Error::io("read", &walker.name, source))?;
        let header = FrameHeader::decode(&bytes, self.store.seed())
            .filter(|header| header.segment == segment.segment && header.offset == offset);
        let Some(header) = header else {
            return Err(Error::damaged(&walker.name, offset, "no frame is here"));
        };
        walker.go_to(&header);
        Ok(walker)
    }

    // The floor may have been raised between looking the segment up and opening it.
    fn removed(&self, segment: &Segment, error: std::io::Error) -> Error {
        let floor = self.first_sequence();
        if floor > segment.first_sequence {
            return Error::BelowFloor { sequence: segment.first_sequence, floor };
        }
        Error::io("open", segment.name(), error)
    }

    fn segment_and_limit(&self, segment: u64) -> Result<(Segment, u64), Error> {
        let published = self.shared.lock();
        let first = &published.segments[0];
        let index = segment.checked_sub(first.segment).map(usize_of);
        let Some(found) = index.and_then(|index| published.segments.get(index)) else {
            let what = format!("segment {segment} is not part of the journal");
            return Err(Error::Missing { sequence: first.first_sequence, what });
        };
        let active = published.segments.last().is_some_and(|last| last.segment == segment);
        let limit = if active { published.durable_offset } else { found.len };
        Ok((found.clone(), limit))
    }
}

/// A segment's file, up to what was durable of it when it was opened.
pub(crate) struct OpenSegment<F> {
    file: F,
    name: String,
    segment: u64,
    limit: u64,
    seed: u32,
}

impl<F: DiskFile> OpenSegment<F> {
    /// The one frame at a position of this segment, read into `bytes`.
    pub(crate) fn frame_at<'a>(
        &self,
        position: Position,
        bytes: &'a mut Vec<u8>,
    ) -> Result<Frame<'a>, Error> {
        let damaged = |what| Error::damaged(&self.name, position.offset, what);
        let in_a_sector = position.offset.is_multiple_of(SECTOR_LEN as u64);
        let left = self.limit.checked_sub(position.offset).filter(|left| *left >= SECTOR_LEN as u64);
        let Some(left) = left.filter(|_| in_a_sector) else {
            return Err(damaged("no frame is here"));
        };
        bytes.resize(SECTOR_LEN, 0);
        self.read(bytes, position.offset)?;
        let header = FrameHeader::decode(bytes, self.seed).filter(|header| {
            header.kind == Kind::Records
                && header.count > 0
                && header.segment == self.segment
                && header.segment == position.segment
                && header.offset == position.offset
                && header.frame_len() <= left
        });
        let Some(header) = header else {
            return Err(damaged("no frame is here"));
        };
        let end = FRAME_HEADER_LEN + header.payload_len as usize;
        bytes.resize(end, 0);
        if end > SECTOR_LEN {
            self.read(&mut bytes[SECTOR_LEN..], position.offset + SECTOR_LEN as u64)?;
        }
        let payload = &bytes[FRAME_HEADER_LEN..];
        if crc32c::crc32c(payload) != header.payload_crc {
            return Err(damaged("the checksum of the frame's payload is wrong"));
        }
        Ok(Frame { position, first_sequence: header.first_sequence, count: header.count, payload })
    }

    fn read(&self, bytes: &mut [u8], offset: u64) -> Result<(), Error> {
        self.file.read_exact_at(bytes, offset).map_err(|source| Error::io("read", &self.name, source))
    }
}

/// A walk over durable frames that can go on for as long as the journal is written.
#[derive(Debug)]
pub struct Frames<D: Disk> {
    reader: Reader<D>,
    walker: Walker<D::File>,
    from: u64,
    /// The stretch of which a frame was last entered among the signposts.
    entered: Option<Position>,
}

impl<D: Disk> Frames<D> {
    /// Has the next frame be the one that holds `sequence`, which lies behind those that were read. It goes there the
    /// shorter way: on from here, or anew from the last place before it that is known.
    pub(crate) fn skip_to(&mut self, sequence: u64) -> Result<(), Error> {
        let (segment, known) = self.reader.way_to(sequence)?;
        let here = (self.walker.header.segment, self.walker.offset);
        if (segment.segment, known.unwrap_or(0)) > here {
            self.walker = self.reader.walk_by(&segment, known)?;
        }
        self.from = sequence;
        Ok(())
    }

    /// The next frame; `None` when all durable frames were read. Asking again later is fine.
    #[expect(clippy::should_implement_trait, reason = "a frame borrows the reader's buffer")]
    pub fn next(&mut self) -> Result<Option<Frame<'_>>, Error> {
        let header = loop {
            // The list first, the bytes second: whatever was published is on the disk by now.
            let segments_after = {
                let published = self.reader.shared.lock();
                let next = published.segments.iter().find(|s| s.segment > self.walker.header.segment);
                next.cloned().ok_or(published.durable_offset)
            };
            let limit = match &segments_after {
                Ok(_) => self.walker.header.len,
                Err(durable_offset) => *durable_offset,
            };
            match (self.walker.step(limit)?, segments_after) {
                (Step::Frame(header), _) if header.kind == Kind::Records => {
                    let stretch = Some(stretch_of(&header));
                    if self.entered != stretch {
                        self.reader.shared.signposts().enter(&header);
                        self.entered = stretch;
                    }
                    if header.first_sequence + u64::from(header.count) > self.from {
                        break header;
                    }
                }
                (Step::Frame(header), Ok(next)) if header.kind == Kind::Seal => {
                    let walker = self.reader.walk(&next)?;
                    if next.segment != self.walker.header.segment + 1 {
                        let floor = next.first_sequence;
                        return Err(Error::BelowFloor { sequence: self.walker.next_sequence, floor });
                    }
                    if walker.header.previous != self.walker.hash
                        || walker.next_sequence != self.walker.next_sequence
                    {
                        let what = "the segment does not follow the one before it";
                        return Err(Error::damaged(&walker.name, 0, what));
                    }
                    self.walker = walker;
                }
                (Step::Frame(_), _) => {}
                (Step::Blank, Err(_)) => return Ok(None),
                (Step::Blank, Ok(_)) => return Err(self.walker.damaged("the segment's seal is missing")),
                (Step::Broken(broken), _) => return Err(self.walker.damaged(broken.what)),
            }
        };
        Ok(Some(self.walker.frame(&header)))
    }
}
