//! Gives segments that nobody wrote the checksums, the places and the chain of hashes of ones that were written, so
//! that tests come behind them.

use crate::disk::Disk;
use crate::journal::error::Error;
use crate::journal::format::{
    FRAME_HEADER_LEN, Kind, SECTOR_LEN, SegmentHeader, StoreId, frame_hash, frame_len, segment_name,
};
use crate::journal::recovery::segment_headers;

/// The sequence that the first segment in the folder begins with.
pub(crate) fn first_sequence(disk: &impl Disk) -> Result<u64, Error> {
    let segments = segment_headers(disk)?;
    segments.first().map(|(_, header)| header.first_sequence).ok_or(Error::NotFound)
}

/// Takes bytes apart into the files of segments: each is as long as its header says, the last one as long as what is
/// left, and has the name that its header tells. Where `mends`, what is derived is made right.
pub(crate) fn segments_of(mut bytes: &[u8], mends: bool) -> Vec<(String, Vec<u8>)> {
    let mut segments = Vec::new();
    let mut chain = None;
    while bytes.len() >= SECTOR_LEN {
        let said = usize::try_from(long(bytes, 48)).unwrap_or(usize::MAX);
        let (segment, rest) = bytes.split_at(said.clamp(SECTOR_LEN, bytes.len()));
        bytes = rest;
        let mut segment = segment.to_vec();
        if mends {
            chain = Some(mend(&mut segment, chain));
        }
        segments.push((segment_name(long(&segment, 40), long(&segment, 32)), segment));
    }
    segments
}

/// What the next segment has to name.
#[derive(Clone, Copy)]
struct Chain {
    segment: u64,
    sequence: u64,
    hash: u64,
}

fn mend(bytes: &mut [u8], before: Option<Chain>) -> Chain {
    let len = bytes.len() as u64;
    put(bytes, 48, len);
    if let Some(before) = before {
        put(bytes, 32, before.segment.wrapping_add(1));
        put(bytes, 40, before.sequence);
        put(bytes, 56, before.hash);
    }
    let crc = crc32c::crc32c(&bytes[..508]);
    bytes[508..SECTOR_LEN].copy_from_slice(&crc.to_le_bytes());
    let header = SegmentHeader::decode(bytes.first_chunk().expect("it has a sector"));
    let (seed, mut hash) = match &header {
        Ok(header) => (header.store.seed(), header.hash()),
        Err(_) => (StoreId(0).seed(), 0),
    };
    let (segment, mut sequence) = (long(bytes, 32), long(bytes, 40));
    let mut offset = SECTOR_LEN;
    while let Some(frame) = bytes.get_mut(offset..) {
        if !frame.starts_with(b"JFRM") || frame.len() < FRAME_HEADER_LEN {
            break;
        }
        let payload_len = word(frame, 8) as usize;
        put(frame, 16, sequence);
        put(frame, 24, sequence.wrapping_sub(1));
        put(frame, 32, offset as u64);
        put(frame, 40, hash);
        put(frame, 48, segment);
        if let Some(payload) = frame.get(FRAME_HEADER_LEN..FRAME_HEADER_LEN.saturating_add(payload_len)) {
            let crc = crc32c::crc32c(payload);
            frame[56..60].copy_from_slice(&crc.to_le_bytes());
        }
        let crc = crc32c::crc32c_append(seed, &frame[..60]);
        frame[60..FRAME_HEADER_LEN].copy_from_slice(&crc.to_le_bytes());
        sequence = sequence.wrapping_add(word(frame, 12).into());
        if frame[4] != Kind::Seal as u8 {
            hash = frame_hash(&frame[..FRAME_HEADER_LEN]);
        }
        offset = offset.saturating_add(usize::try_from(frame_len(payload_len)).unwrap_or(usize::MAX));
    }
    Chain { segment, sequence, hash }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(*bytes[at..].first_chunk().expect("there are four bytes"))
}

fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(*bytes[at..].first_chunk().expect("there are eight bytes"))
}

fn put(bytes: &mut [u8], at: usize, number: u64) {
    bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
}
