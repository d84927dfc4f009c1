//! Where jobs wait for the writer and a flight for the journal: one lock, three people who are woken.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jaego_store::Failure;

use crate::core::{Core, Flight, Job};

/// What the threads of an engine hand to each other.
#[derive(Default)]
pub(crate) struct Inbox {
    state: Mutex<State>,
    /// The writer waits here for jobs, for the journal to be free, and for the next lapse.
    writer: Condvar,
    /// The journal waits here for a flight.
    journal: Condvar,
}

/// Hands an archive and what came to rest in it to the writer.
pub(crate) type Archived = Box<dyn FnOnce(&mut Core) + Send>;

#[derive(Default)]
pub(crate) struct State {
    pub(crate) jobs: VecDeque<Job>,
    /// Requests in `jobs`, in what the writer has taken and not yet decided, and in what the history finishes.
    pub(crate) waiting: usize,
    /// Questions that wait for the ledger.
    pub(crate) asking: usize,
    /// Batches with reversals that wait for what they take back.
    pub(crate) lending: usize,
    /// Batches whose repeats the history looks up: decided and durable, so that they must be answered.
    pub(crate) unfinished: usize,
    /// Whether answers of a frame are on their way, some of which may turn out to be unfinished.
    pub(crate) delivering: bool,
    pub(crate) flight: Option<Flight>,
    /// Whether a frame is being written; there is one at a time.
    pub(crate) journal_busy: bool,
    /// Whether the journal has room for the frame in flight and the one being decided.
    pub(crate) admitted: bool,
    /// Why there is no room.
    pub(crate) full: String,
    pub(crate) failed: Option<String>,
    /// What the archive's latest checkpoint hands to the writer, until it takes it.
    pub(crate) archived: Option<Archived>,
    /// Nothing new is taken; what is there is finished.
    pub(crate) closing: bool,
    /// The writer sleeps: waking it costs a system call, and most of the time it does not.
    writer_sleeps: bool,
    /// The writer has nothing left to do, ever.
    pub(crate) writer_done: bool,
}

impl State {
    /// Why nothing can be taken, if so.
    pub(crate) fn refusal(&self) -> Option<Failure> {
        if let Some(detail) = &self.failed {
            return Some(Failure::Failed { detail: detail.clone() });
        }
        self.closing.then_some(Failure::Closed)
    }

    /// Whether something is still to come back to the writer.
    pub(crate) fn owes(&self) -> bool {
        self.journal_busy || self.delivering || self.unfinished > 0
    }
}

impl Inbox {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // A thread that panics takes the process down; until then the state is whole, each change being one step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a job at the end of the line. A job from outside may be refused; those of the engine's own threads
    /// finish what was begun and always get in.
    pub(crate) fn push(
        &self,
        job: Job,
        requests: usize,
        waiting_max: usize,
    ) -> Result<(), Box<(Job, Failure)>> {
        let mut state = self.lock();
        let refusal = match &job {
            // Closing finishes what was taken, and some of that still wants a look at the tables.
            Job::Look { .. } if state.failed.is_none() && !state.writer_done => None,
            _ => state.refusal(),
        };
        if let Some(failure) = refusal {
            return Err(Box::new((job, failure)));
        }
        if requests > 0 && state.waiting + requests > waiting_max {
            let queue_len = state.waiting;
            return Err(Box::new((job, Failure::Busy { queue_len })));
        }
        state.waiting += requests;
        state.jobs.push_back(job);
        let sleeps = state.writer_sleeps;
        drop(state);
        if sleeps {
            self.writer.notify_one();
        }
        Ok(())
    }

    /// A decided batch goes to the history for the outcomes of its repeats.
    pub(crate) fn begin_finish(&self, requests: usize) {
        let mut state = self.lock();
        state.unfinished += 1;
        state.waiting += requests;
    }

    /// The history has answered it, or handed it to the writer for a last look at the tables.
    pub(crate) fn end_finish(&self, requests: usize) {
        let mut state = self.lock();
        state.unfinished -= 1;
        state.waiting -= requests;
        if state.closing {
            self.wake_writer();
        }
    }

    /// A job left the line because it names something that left memory. Its requests still wait.
    pub(crate) fn begin_fetch(&self, requests: usize) {
        self.begin_finish(requests);
    }

    /// It is back, and goes on.
    pub(crate) fn end_fetch(&self, job: Job) {
        let mut state = self.lock();
        state.unfinished -= 1;
        if let Some(failure) = state.failed.as_ref().map(|detail| Failure::Failed { detail: detail.clone() })
        {
            state.waiting -= job.waiting();
            drop(state);
            return job.refuse(failure);
        }
        state.jobs.push_back(job);
        drop(state);
        self.wake_writer();
    }

    pub(crate) fn wake_writer(&self) {
        self.writer.notify_one();
    }

    pub(crate) fn wake_journal(&self) {
        self.journal.notify_one();
    }

    pub(crate) fn wait_as_writer<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        at_most: Duration,
    ) -> MutexGuard<'a, State> {
        state.writer_sleeps = true;
        let mut state = self.writer.wait_timeout(state, at_most).unwrap_or_else(PoisonError::into_inner).0;
        state.writer_sleeps = false;
        state
    }

    pub(crate) fn wait_as_journal<'a>(
        &self,
        state: MutexGuard<'a, State>,
        at_most: Duration,
    ) -> MutexGuard<'a, State> {
        self.journal.wait_timeout(state, at_most).unwrap_or_else(PoisonError::into_inner).0
    }
}
