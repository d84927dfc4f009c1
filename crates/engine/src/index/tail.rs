//! The segment that is being written: what is durable of it, gathered as it is asked for.

use std::sync::Arc;

use super::{Draft, Error, Sites};
use crate::{
    disk::Disk,
    journal::{Frames, Reader},
};

/// What is not sealed yet.
pub(crate) struct Tail<D: Disk> {
    /// Where reading goes on; `None` where it has to begin anew.
    frames: Option<Frames<Arc<D>>>,
    draft: Draft,
}

impl<D: Disk> Tail<D> {
    /// Nothing, until somebody asks.
    pub(crate) fn new() -> Self {
        Self { frames: None, draft: Draft::new(0, 0) }
    }

    /// Reads what has become durable since the last time.
    ///
    /// # Errors
    /// Also where an event names a location that `sites` does not have yet.
    pub(crate) fn catch_up(&mut self, reader: &Reader<Arc<D>>, sites: &Sites) -> Result<&Draft, Error> {
        let (active, _) = reader.active_segment();
        let mut frames = match self.frames.take().filter(|_| active.segment <= self.draft.segment + 1) {
            Some(frames) => frames,
            None => {
                self.draft = Draft::new(active.segment, active.first_sequence);
                reader.frames_from(active.first_sequence)?
            }
        };
        while let Some(frame) = frames.next()? {
            if frame.position.segment != self.draft.segment {
                self.draft = Draft::new(frame.position.segment, frame.first_sequence);
            }
            self.draft.take(&frame, sites)?;
        }
        // Only now: after an error the draft may end in the middle of a frame.
        self.frames = Some(frames);
        Ok(&self.draft)
    }

    /// What was gathered so far.
    pub(crate) fn draft(&self) -> &Draft {
        &self.draft
    }
}
