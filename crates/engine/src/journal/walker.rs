//! Walks the frames of one segment, one after the other, and believes nothing that it reads.

use crate::disk::DiskFile;
use crate::journal::error::Error;
use crate::journal::format::{
    FRAME_HEADER_LEN, FrameHeader, Kind, SECTOR_LEN, SegmentHeader, frame_hash, is_zero,
};

/// Bytes read from the disk at a time, unless a frame is longer.
const WINDOW_LEN: u64 = 1 << 20;

/// One frame of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Where it lies.
    pub position: Position,
    /// The sequence of its first record.
    pub first_sequence: u64,
    /// How many records it holds, at least one.
    pub count: u32,
    /// The opaque payload.
    pub payload: &'a [u8],
}

impl Frame<'_> {
    /// The sequence of its last record.
    pub fn last_sequence(&self) -> u64 {
        self.first_sequence + u64::from(self.count) - 1
    }
}

/// Where a frame lies: stable for as long as its segment is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The segment's number.
    pub segment: u64,
    /// Bytes from the start of the segment's file.
    pub offset: u64,
}

/// What lies at the walker's place.
#[derive(Debug)]
pub(crate) enum Step {
    /// A whole frame that follows the one before; the walker has moved behind it.
    Frame(FrameHeader),
    /// Zeros, or the end of what may be read.
    Blank,
    /// Something else.
    Broken(Broken),
}

/// What is wrong with the bytes at the walker's place.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) what: &'static str,
    /// Where the frame ends, if its header is whole.
    pub(crate) end: Option<u64>,
    /// Whether a crash cannot have left this: a whole header that belongs elsewhere.
    pub(crate) misplaced: bool,
}

/// A place in a segment, just behind the last good frame.
#[derive(Debug)]
pub(crate) struct Walker<F> {
    pub(crate) file: F,
    pub(crate) name: String,
    pub(crate) header: SegmentHeader,
    /// Where the next frame begins.
    pub(crate) offset: u64,
    /// The hash that the next frame must name; a seal does not change it.
    pub(crate) hash: u64,
    /// The sequence that the next frame must begin with.
    pub(crate) next_sequence: u64,
    /// The kind of the last frame passed.
    pub(crate) last: Option<Kind>,
    seed: u32,
    window: Vec<u8>,
    window_offset: u64,
}

impl<F: DiskFile> Walker<F> {
    /// Before the first frame of a segment whose header was found good.
    pub(crate) fn new(file: F, name: String, header: SegmentHeader) -> Walker<F> {
        Walker {
            file,
            name,
            offset: SECTOR_LEN as u64,
            hash: header.hash(),
            next_sequence: header.first_sequence,
            last: None,
            seed: header.store.seed(),
            header,
            window: Vec::new(),
            window_offset: 0,
        }
    }

    /// Goes to a frame of the segment, which vouches for what lies before it.
    pub(crate) fn go_to(&mut self, frame: &FrameHeader) {
        self.offset = frame.offset;
        self.hash = frame.previous;
        self.next_sequence = frame.first_sequence;
    }

    /// Reads what lies at the walker's place, looking at nothing from `limit` on.
    pub(crate) fn step(&mut self, limit: u64) -> Result<Step, Error> {
        let header_end = self.offset + SECTOR_LEN as u64;
        if header_end > limit {
            return Ok(Step::Blank);
        }
        let bytes = self.load(SECTOR_LEN as u64, limit)?;
        let encoded = &bytes[..FRAME_HEADER_LEN];
        let hash = frame_hash(encoded);
        if is_zero(encoded) {
            return Ok(Step::Blank);
        }
        let seed = self.seed;
        let Some(header) = FrameHeader::decode(self.slice(FRAME_HEADER_LEN), seed) else {
            return Ok(broken("no frame header, or its checksum is wrong"));
        };
        if let Some(what) = self.misplaced(&header, limit) {
            return Ok(Step::Broken(Broken { what, end: None, misplaced: true }));
        }
        let frame_end = self.offset + header.frame_len();
        self.load(header.frame_len(), limit)?;
        let payload_end = FRAME_HEADER_LEN + header.payload_len as usize;
        let frame = self.slice(usize_of(header.frame_len()));
        let (payload, padding) = frame[FRAME_HEADER_LEN..].split_at(payload_end - FRAME_HEADER_LEN);
        if crc32c::crc32c(payload) != header.payload_crc || !is_zero(padding) {
            let what = "the checksum of the frame's payload is wrong";
            return Ok(Step::Broken(Broken { what, end: Some(frame_end), misplaced: false }));
        }
        self.offset = frame_end;
        self.next_sequence += u64::from(header.count);
        self.last = Some(header.kind);
        // The next segment was made before this one was sealed, so it names the frame before the seal.
        if header.kind != Kind::Seal {
            self.hash = hash;
        }
        Ok(Step::Frame(header))
    }

    /// The records of the frame that was just passed.
    pub(crate) fn frame(&self, header: &FrameHeader) -> Frame<'_> {
        let start = usize_of(header.offset - self.window_offset) + FRAME_HEADER_LEN;
        Frame {
            position: Position { segment: header.segment, offset: header.offset },
            first_sequence: header.first_sequence,
            count: header.count,
            payload: &self.window[start..start + header.payload_len as usize],
        }
    }

    /// What is not zero from the given place to the segment's end.
    pub(crate) fn remains(&self, from: u64) -> Result<Remains, Error> {
        let mut remains = Remains { end: None, frame: None };
        let mut bytes = vec![0; usize_of(WINDOW_LEN.min(self.header.len))];
        let mut offset = from;
        while offset < self.header.len {
            let len = (self.header.len - offset).min(bytes.len() as u64);
            let chunk = &mut bytes[..usize_of(len)];
            self.file.read_exact_at(chunk, offset).map_err(|source| Error::io("read", &self.name, source))?;
            if !is_zero(chunk) {
                for (index, sector) in chunk.chunks(SECTOR_LEN).enumerate() {
                    let at = offset + (index * SECTOR_LEN) as u64;
                    if let Some(last) = sector.iter().rposition(|byte| *byte != 0) {
                        remains.end = Some(at + last as u64 + 1);
                    }
                    if remains.frame.is_none() && FrameHeader::decode(sector, self.seed).is_some() {
                        remains.frame = Some(at);
                    }
                }
            }
            offset += len;
        }
        Ok(remains)
    }

    /// An error that names this place.
    pub(crate) fn damaged(&self, what: impl Into<String>) -> Error {
        Error::damaged(&self.name, self.offset, what)
    }

    // A whole header was written by us; if it does not belong here, something moved it.
    fn misplaced(&self, header: &FrameHeader, limit: u64) -> Option<&'static str> {
        if header.segment != self.header.segment {
            return Some("a frame of another segment lies here");
        }
        if header.offset != self.offset {
            return Some("a frame of another place lies here");
        }
        if header.first_sequence != self.next_sequence {
            return Some("the frame here does not have the next sequence");
        }
        if header.previous != self.hash {
            return Some("the frame here does not follow the one before it");
        }
        if header.watermark != self.next_sequence - 1 {
            return Some("the frame here names a watermark that is not the sequence before it");
        }
        if (header.kind == Kind::Records) != (header.count > 0) {
            return Some("the frame here has a record count that its kind cannot have");
        }
        if header.kind != Kind::Records && header.payload_len > 0 {
            return Some("the frame here has a payload that its kind cannot have");
        }
        if header.frame_len() > limit - self.offset {
            return Some("the frame here reaches beyond the segment's end");
        }
        if self.next_sequence.checked_add(u64::from(header.count)).is_none() {
            return Some("the frame here has sequences beyond the largest number");
        }
        None
    }

    /// Has at least `len` bytes from the walker's place in the window, and none from `limit` on: bytes there
    /// may still change.
    fn load(&mut self, len: u64, limit: u64) -> Result<&[u8], Error> {
        let window_end = self.window_offset + self.window.len() as u64;
        if self.offset < self.window_offset || self.offset + len > window_end {
            let wanted = len.max(WINDOW_LEN).min(limit - self.offset);
            self.window.resize(usize_of(wanted), 0);
            self.window_offset = self.offset;
            let read = self.file.read_exact_at(&mut self.window, self.offset);
            if let Err(source) = read {
                self.window.clear();
                return Err(Error::io("read", &self.name, source));
            }
        }
        Ok(self.slice(usize_of(len)))
    }

    fn slice(&self, len: usize) -> &[u8] {
        let start = usize_of(self.offset - self.window_offset);
        &self.window[start..start + len]
    }
}

/// What is not zero in the rest of a segment.
#[derive(Debug)]
pub(crate) struct Remains {
    /// Behind the last byte that is not zero.
    pub(crate) end: Option<u64>,
    /// The first sector that begins with a whole frame header of this store.
    pub(crate) frame: Option<u64>,
}

fn broken(what: &'static str) -> Step {
    Step::Broken(Broken { what, end: None, misplaced: false })
}

// Lengths inside a segment are at most `SEGMENT_LEN_MAX`, far below what any machine can address.
pub(crate) fn usize_of(len: u64) -> usize {
    usize::try_from(len).expect("a length inside a segment fits")
}
