//! The bytes of a journal: segment headers and frame headers. `docs/JOURNAL.md` draws them.

use xxhash_rust::xxh3::xxh3_64;

/// The version that this code writes, and the only one that it reads.
pub const FORMAT_VERSION: u32 = 1;

/// Everything in a segment begins at a multiple of this, so that no two frames share a disk sector: a write
/// that is interrupted can spoil the sectors that it writes, and none of them holds an acknowledged byte.
pub const SECTOR_LEN: usize = 512;

/// Bytes of a frame's header; the payload follows at once.
pub const FRAME_HEADER_LEN: usize = 64;

const SEGMENT_MAGIC: [u8; 8] = *b"JAEGOSEG";
const FRAME_MAGIC: [u8; 4] = *b"JFRM";

/// Names one store for ever: 128 random bits, drawn when it is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreId(pub u128);

impl StoreId {
    /// Where the checksum of every frame header of this store starts. A frame of another store is no frame
    /// here, nor is one that somebody put into a payload without knowing the id.
    pub(crate) fn seed(self) -> u32 {
        crc32c::crc32c(&self.0.to_le_bytes())
    }
}

/// The first sector of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) store: StoreId,
    pub(crate) segment: u64,
    pub(crate) first_sequence: u64,
    pub(crate) len: u64,
    /// The hash of the last frame of the segment before, its seal aside; 0 in a journal's first segment.
    pub(crate) previous: u64,
}

/// Why a sector is no segment header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoSegment {
    Damaged,
    Version(u32),
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; SECTOR_LEN] {
        let mut bytes = [0; SECTOR_LEN];
        bytes[0..8].copy_from_slice(&SEGMENT_MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.store.0.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.segment.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.first_sequence.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.len.to_le_bytes());
        bytes[56..64].copy_from_slice(&self.previous.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..508]);
        bytes[508..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8; SECTOR_LEN]) -> Result<SegmentHeader, NoSegment> {
        // The checksum first: a version number is only believed when the sector around it is whole. Every
        // later version keeps the magic, the version's place and the checksum's.
        if bytes[0..8] != SEGMENT_MAGIC || crc32c::crc32c(&bytes[..508]) != u32_at(bytes, 508) {
            return Err(NoSegment::Damaged);
        }
        let version = u32_at(bytes, 8);
        if version != FORMAT_VERSION {
            return Err(NoSegment::Version(version));
        }
        let mut store = [0; 16];
        store.copy_from_slice(&bytes[16..32]);
        Ok(SegmentHeader {
            store: StoreId(u128::from_le_bytes(store)),
            segment: u64_at(bytes, 32),
            first_sequence: u64_at(bytes, 40),
            len: u64_at(bytes, 48),
            previous: u64_at(bytes, 56),
        })
    }

    /// What the first frame of the segment names as the one before it.
    pub(crate) fn hash(&self) -> u64 {
        xxh3_64(&self.encode())
    }
}

/// What a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// A batch of records.
    Records = 1,
    /// No records: tells that all frames before it are durable.
    Watermark = 2,
    /// No records: the segment is full and the next one exists.
    Seal = 3,
}

/// The first 64 bytes of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) kind: Kind,
    pub(crate) payload_len: u32,
    pub(crate) count: u32,
    pub(crate) first_sequence: u64,
    pub(crate) watermark: u64,
    pub(crate) offset: u64,
    pub(crate) previous: u64,
    pub(crate) segment: u64,
    pub(crate) payload_crc: u32,
}

impl FrameHeader {
    pub(crate) fn encode(&self, seed: u32) -> [u8; FRAME_HEADER_LEN] {
        let mut bytes = [0; FRAME_HEADER_LEN];
        bytes[0..4].copy_from_slice(&FRAME_MAGIC);
        bytes[4] = self.kind as u8;
        bytes[8..12].copy_from_slice(&self.payload_len.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.count.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.first_sequence.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.watermark.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.offset.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.previous.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.segment.to_le_bytes());
        bytes[56..60].copy_from_slice(&self.payload_crc.to_le_bytes());
        let crc = crc32c::crc32c_append(seed, &bytes[..60]);
        bytes[60..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The header, if these bytes are one of this store; whether it is the right one here is for the caller.
    pub(crate) fn decode(bytes: &[u8], seed: u32) -> Option<FrameHeader> {
        let bytes = bytes.get(..FRAME_HEADER_LEN)?;
        if bytes[0..4] != FRAME_MAGIC || crc32c::crc32c_append(seed, &bytes[..60]) != u32_at(bytes, 60) {
            return None;
        }
        let kind = match bytes[4] {
            1 => Kind::Records,
            2 => Kind::Watermark,
            3 => Kind::Seal,
            _ => return None,
        };
        Some(FrameHeader {
            kind,
            payload_len: u32_at(bytes, 8),
            count: u32_at(bytes, 12),
            first_sequence: u64_at(bytes, 16),
            watermark: u64_at(bytes, 24),
            offset: u64_at(bytes, 32),
            previous: u64_at(bytes, 40),
            segment: u64_at(bytes, 48),
            payload_crc: u32_at(bytes, 56),
        })
    }

    /// The bytes that the frame takes in the segment, padding included.
    pub(crate) fn frame_len(&self) -> u64 {
        frame_len(self.payload_len as usize)
    }
}

/// The hash of a frame, from its encoded header, which holds the payload's checksum.
pub(crate) fn frame_hash(header: &[u8]) -> u64 {
    xxh3_64(header)
}

/// The bytes that a frame with such a payload takes in a segment, padding included.
pub fn frame_len(payload_len: usize) -> u64 {
    (FRAME_HEADER_LEN + payload_len).next_multiple_of(SECTOR_LEN) as u64
}

/// `00000000000000000001-0000000001.journal`: the first sequence, so that names sort in order, and the segment,
/// so that no two are alike.
pub(crate) fn segment_name(first_sequence: u64, segment: u64) -> String {
    format!("{first_sequence:020}-{segment:010}.journal")
}

/// The first sequence and segment that a name tells; `None` if it is not a segment's name.
pub(crate) fn parse_segment_name(name: &str) -> Option<(u64, u64)> {
    let (first_sequence, segment) = name.strip_suffix(".journal")?.split_once('-')?;
    let parsed = (first_sequence.parse().ok()?, segment.parse().ok()?);
    (segment_name(parsed.0, parsed.1) == name).then_some(parsed)
}

/// Whether all bytes are zero.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    // Without a branch for each byte the compiler uses wide registers; opening scans tens of megabytes.
    bytes.chunks(4096).all(|chunk| chunk.iter().fold(0, |seen, byte| seen | byte) == 0)
}

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[offset..offset + 4]);
    u32::from_le_bytes(word)
}

fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[offset..offset + 8]);
    u64::from_le_bytes(word)
}
