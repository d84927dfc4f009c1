//! What a lock looks like from outside: for people and tools that want to know who holds it.

use std::time::Duration;

use crate::LockKey;
use crate::backend::Owner;

/// A lock at one moment, as its backend saw it. It may have changed since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockState {
    /// Its key.
    pub key: LockKey,
    /// The name of the mode that it is held in; nothing while nobody holds it.
    pub mode: Option<String>,
    /// Who holds it, by fence.
    pub holders: Vec<HolderState>,
    /// The first of those who wait in the queue, in its order; [`LOOK_WAITERS_MAX`] at the most.
    ///
    /// Who waits without a place in the queue (for a plain lock, as long as nobody is fair) is known to its
    /// own process only, and not to be seen here but for [`wanted`](Self::wanted).
    ///
    /// [`LOOK_WAITERS_MAX`]: crate::limits::LOOK_WAITERS_MAX
    pub waiters: Vec<WaiterState>,
    /// How many wait in the queue.
    pub waiters_count: u64,
    /// Whether somebody outside the queue may be waiting: it is noted when one begins to wait, and forgotten when
    /// the lock falls free.
    pub wanted: bool,
}

impl LockState {
    /// Nobody holds it and nobody waits.
    #[cfg(feature = "postgres")]
    pub(crate) fn free(key: LockKey) -> Self {
        let (holders, waiters) = (Vec::new(), Vec::new());
        Self { key, mode: None, holders, waiters, waiters_count: 0, wanted: false }
    }
}

/// One who holds a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HolderState {
    /// Which acquisition.
    pub owner: Owner,
    /// What its process calls itself, if the backend was told.
    pub process: Option<String>,
    /// Its fence.
    pub fence: u64,
    /// When its hold ends unless it is renewed: microseconds since 1970 by the backend's clock.
    pub until_us: u64,
    /// How long that is from now.
    pub remaining: Duration,
}

/// One who waits in a lock's queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaiterState {
    /// Which acquisition.
    pub owner: Owner,
    /// What its process calls itself, if the backend was told.
    pub process: Option<String>,
    /// The name of the mode that it wants.
    pub mode: String,
    /// Whether it wants to be served in the order of arrival.
    pub fair: bool,
    /// Its place: it grows with the time of arrival.
    pub place: u64,
    /// How long the place lasts without another sign of life.
    pub remaining: Duration,
}

/// Locks that are held or waited for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LockList {
    /// They, by key.
    pub locks: Vec<LockState>,
    /// Whether these are all. A list is not taken in one moment: a lock that was taken or let go meanwhile may be
    /// in it or not.
    pub complete: bool,
}

/// What came of [`Locks::break_holds`](crate::Locks::break_holds).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The holds that were ended, with their fences.
    pub ended: Vec<(Owner, u64)>,
    /// A fence that nobody holds: greater than those of the ended holds, and smaller than all to come. Raise the
    /// guarded thing to it, and it refuses what the broken holders still write, before the next holder has come.
    pub fence: u64,
}
