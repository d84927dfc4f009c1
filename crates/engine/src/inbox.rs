//! Where jobs wait for the writer and a flight for the journal: one lock, three people who are woken.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jaego_store::Failure;

use crate::core::{Core, Flight, Job};

/// So many jobs, or requests in one job, wake a writer that sleeps while a frame is being written and that was quick the
/// last time. Fewer wait for the end of that frame, which wakes it as well: nothing decided now would be written before, and
/// to wake it for each small request costs two switches of a thread where deciding it costs less.
const GATHERED: usize = 8;
/// A turn is quick that took no longer for each request. Whoever is slower decides while the frame is written, so that what
/// takes long to decide does not come after what takes long to write.
const QUICK: Duration = Duration::from_micros(50);

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
    /// Whether the writer's last turn was short for what it decided.
    quick: bool,
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
        let enough = state.jobs.len().max(requests) >= GATHERED;
        let worth_it = enough || !state.journal_busy || !state.quick;
        let wake = state.writer_sleeps && worth_it;
        // Whoever comes before it has risen need not wake it again.
        state.writer_sleeps &= !wake;
        drop(state);
        if wake {
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

    /// The writer has decided so many requests.
    pub(crate) fn end_turn(&self, decided: usize, took: Duration) {
        let mut state = self.lock();
        state.waiting -= decided;
        let each = u32::try_from(decided.max(1)).map_or(Duration::ZERO, |decided| took / decided);
        state.quick = each <= QUICK;
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

#[cfg(test)]
mod tests {
    use jaego_domain::{Code, Query};
    use jaego_store::reply;

    use super::*;

    /// Which of so many jobs wakes the writer, which sleeps, if one does.
    fn who_wakes(journal_busy: bool, turn: Duration, jobs: usize, requests: usize) -> Option<usize> {
        let inbox = Inbox::default();
        inbox.lock().waiting = 10;
        inbox.end_turn(10, turn * 10);
        assert_eq!(inbox.lock().waiting, 0);
        inbox.lock().journal_busy = journal_busy;
        inbox.lock().writer_sleeps = true;
        (1..=jobs).find(|_| {
            let (to, _) = reply();
            let pushed = inbox.push(
                Job::query(Query::Site(Code::new("site", "ICN").unwrap()), to),
                requests,
                usize::MAX,
            );
            assert!(pushed.is_ok());
            !inbox.lock().writer_sleeps
        })
    }

    #[test]
    fn a_quick_writer_is_woken_for_several_while_a_frame_is_written() {
        let slow = QUICK + Duration::from_nanos(1);
        for (what, woken_by, expected) in [
            ("the journal waits", who_wakes(false, QUICK, 1, 1), Some(1)),
            ("a frame is written", who_wakes(true, QUICK, GATHERED - 1, 1), None),
            ("many have come", who_wakes(true, QUICK, GATHERED, 1), Some(GATHERED)),
            ("one has many requests", who_wakes(true, QUICK, 1, GATHERED), Some(1)),
            ("deciding takes long", who_wakes(true, slow, 1, 1), Some(1)),
        ] {
            assert_eq!(woken_by, expected, "{what}");
        }
    }
}
