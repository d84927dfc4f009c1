use std::sync::{Arc, PoisonError};

use tokio::sync::broadcast;

use crate::LockKey;
use crate::backend::{Acquire, Acquired, Backend, Break, Ended, Notice, Release, Renew, Renewed, Step};
use crate::clock::BootTime;
use crate::limits::NOTICES_MAX;
use crate::look::{Broken, LockList, LockState};
use crate::rt::{self, Mutex, MutexGuard};
use crate::table::{Freed, Micros, Table};

/// Locks within one process: for programs that run alone, and for tests. Clones share the locks.
#[derive(Clone, Debug)]
pub struct Memory {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    table: Mutex<Table>,
    notices: broadcast::Sender<Notice>,
    /// From the machine's start to the wall clock, taken once: fences of a later process are greater, and
    /// a wall clock that is set does not matter.
    epoch_us: u64,
}

impl Memory {
    /// No lock is held.
    #[must_use]
    pub fn new() -> Self {
        let shared = Shared {
            table: Mutex::default(),
            notices: broadcast::Sender::new(NOTICES_MAX),
            epoch_us: rt::wall_us().saturating_sub(BootTime::now().as_micros()),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Whether nothing is held and nobody is queued.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.table().is_idle()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.shared.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Micros {
        self.shared.epoch_us + BootTime::now().as_micros()
    }

    fn tell(&self, freed: Vec<Freed>) {
        for (key, next) in freed {
            // Without a listener there is nobody to tell.
            let _ = self.shared.notices.send(Notice::Freed { key, next });
        }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Backend for Memory {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn group(&self, _: &LockKey) -> u32 {
        0
    }

    fn acquire<'a>(&'a self, request: &'a Acquire) -> Step<'a, Acquired> {
        Box::pin(async move {
            let (acquired, next) = self.table().acquire_and_tell(self.now(), request);
            self.tell(next.into_iter().collect());
            Ok(acquired)
        })
    }

    fn renew<'a>(&'a self, request: &'a Renew) -> Step<'a, Renewed> {
        Box::pin(async move {
            let (renewed, freed) = self.table().renew(self.now(), request);
            self.tell(freed);
            Ok(renewed)
        })
    }

    fn release<'a>(&'a self, request: &'a Release) -> Step<'a, Ended> {
        Box::pin(async move {
            let (ended, freed) = self.table().release(self.now(), request);
            self.tell(freed);
            Ok(ended)
        })
    }

    fn look<'a>(&'a self, key: &'a LockKey) -> Step<'a, LockState> {
        Box::pin(async move { Ok(self.table().look(self.now(), key)) })
    }

    fn list<'a>(&'a self, prefix: &'a str, max: usize) -> Step<'a, LockList> {
        Box::pin(async move { Ok(self.table().list(self.now(), prefix, max)) })
    }

    fn break_holds<'a>(&'a self, request: &'a Break) -> Step<'a, Broken> {
        Box::pin(async move {
            let (broken, freed) = self.table().break_holds(self.now(), request);
            for (owner, _) in &broken.ended {
                let _ = self.shared.notices.send(Notice::Broken { owner: *owner, key: request.key.clone() });
            }
            self.tell(freed.into_iter().collect());
            Ok(broken)
        })
    }

    fn notices(&self) -> broadcast::Receiver<Notice> {
        self.shared.notices.subscribe()
    }
}
