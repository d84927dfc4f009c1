//! Where some frames of the last segment lie, so that who looks for one there need not begin at the segment's start.
//! Sealed segments have an index for that.

use std::collections::BTreeMap;

use crate::journal::format::FrameHeader;
use crate::journal::walker::Position;

/// Bytes of a segment of which one frame's place is remembered.
const SIGNPOST_EVERY: u64 = 1 << 20;

/// Frames of the newest segment that somebody walked through: one for each stretch of it.
#[derive(Debug, Default)]
pub(crate) struct Signposts {
    segment: u64,
    /// First sequence and offset of a frame, by its stretch.
    frames: BTreeMap<u64, (u64, u64)>,
}

/// The begin of the stretch that a frame lies in.
pub(crate) fn stretch_of(frame: &FrameHeader) -> Position {
    Position { segment: frame.segment, offset: frame.offset / SIGNPOST_EVERY * SIGNPOST_EVERY }
}

impl Signposts {
    /// Remembers where a frame of records lies.
    pub(crate) fn enter(&mut self, frame: &FrameHeader) {
        if frame.segment > self.segment {
            *self = Signposts { segment: frame.segment, frames: BTreeMap::new() };
        }
        if frame.segment == self.segment {
            let stretch = stretch_of(frame).offset;
            self.frames.entry(stretch).or_insert((frame.first_sequence, frame.offset));
        }
    }

    /// The offset of the last known frame of a segment that does not begin after a sequence.
    pub(crate) fn before(&self, segment: u64, sequence: u64) -> Option<u64> {
        if segment != self.segment {
            return None;
        }
        let before = self.frames.values().take_while(|(first, _)| *first <= sequence);
        before.last().map(|(_, offset)| *offset)
    }
}
