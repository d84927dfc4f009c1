//! Frames of the journal that are read, and then decoded, together.

use jaego_domain::{Event, Sequence, WARM_MAX};
use jaego_store::codec;

use crate::{journal::Frame, recovery::Error};

/// Bytes of frames that are read before they are decoded. A frame may be longer.
const BUNDLE_LEN: usize = 256 << 10;
/// Events that are applied at a time: few enough to stay in the caches between being decoded and being applied.
const EVENTS_LEN: usize = 8 * WARM_MAX;

/// Frames as the journal has them, to be decoded together.
#[derive(Default)]
pub(crate) struct Bundle {
    payloads: Vec<u8>,
    /// The first event of each frame, and where its payload ends.
    frames: Vec<(u64, usize)>,
}

impl Bundle {
    pub(crate) fn push(&mut self, frame: &Frame<'_>) {
        self.payloads.extend_from_slice(frame.payload);
        self.frames.push((frame.first_sequence, self.payloads.len()));
    }

    pub(crate) fn is_full(&self) -> bool {
        self.payloads.len() >= BUNDLE_LEN
    }

    pub(crate) fn not_empty(self) -> Option<Self> {
        (!self.frames.is_empty()).then_some(self)
    }

    /// Decodes the events and gives them in some pieces; what cannot be decoded ends it.
    pub(crate) fn decode(self, give: &mut dyn FnMut(Result<Vec<Event>, Error>)) {
        let mut events = Vec::with_capacity(EVENTS_LEN);
        let mut start = 0;
        for (first, end) in self.frames {
            let decode = |source| Error::Decode { sequence: first, source };
            let decoded = match codec::decode(&self.payloads[start..end], Sequence(first)) {
                Ok(decoded) => decoded,
                Err(source) => {
                    give(Ok(events));
                    return give(Err(decode(source)));
                }
            };
            for event in decoded {
                match event {
                    Ok(event) => events.push(event),
                    Err(source) => {
                        give(Ok(events));
                        return give(Err(decode(source)));
                    }
                }
                if events.len() == EVENTS_LEN {
                    give(Ok(std::mem::replace(&mut events, Vec::with_capacity(EVENTS_LEN))));
                }
            }
            start = end;
        }
        give(Ok(events));
    }
}
