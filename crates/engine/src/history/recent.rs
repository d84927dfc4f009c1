//! The last frames that became durable, in memory: for repeats, and for readers of the feed.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use jaego_domain::Sequence;

/// Bytes of recent frames that are kept in memory.
const RECENT_BYTES: usize = 64 << 20;

/// The last frames that became durable.
#[derive(Default)]
pub struct Recent {
    frames: Mutex<Frames>,
}

#[derive(Default)]
struct Frames {
    frames: VecDeque<(u64, u32, Arc<[u8]>)>,
    bytes: usize,
}

impl Recent {
    /// Adds a frame that just became durable.
    pub fn push(&self, first: Sequence, count: u32, payload: Arc<[u8]>) {
        let mut recent = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        recent.bytes += payload.len();
        recent.frames.push_back((first.0, count, payload));
        while recent.bytes > RECENT_BYTES && recent.frames.len() > 1 {
            let (_, _, oldest) = recent.frames.pop_front().expect("there is more than one");
            recent.bytes -= oldest.len();
        }
    }

    /// The frame that holds an event, and the number of its first event.
    pub(super) fn holding(&self, sequence: u64) -> Option<(u64, Arc<[u8]>)> {
        let recent = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        let at = recent.frames.partition_point(|(first, count, _)| first + u64::from(*count) <= sequence);
        let (first, _, payload) = recent.frames.get(at)?;
        (*first <= sequence).then(|| (*first, payload.clone()))
    }
}
