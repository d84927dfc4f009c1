//! What a backend does: small steps, each of which may be sent again.
//!
//! A backend keeps the state of the locks and decides, in one atomic step, who gets one. Everything else
//! (waiting, herd control, keeping, cancelling, sending again) is done above it, once, for all backends.
//! Its law is the `conformance` module (feature `conformance`), and [`table`](crate::table) is the
//! reference that every backend answers like.
//!
//! **Sending again.** An owner belongs to one acquisition and to no other. A step names its owner, so a step
//! whose answer was lost is sent again as it is, and the second answer is the first one's.
//!
//! **Time.** A backend uses one clock, its server's, and counts leases longer by
//! [`LEASE_EXTRA`](crate::limits::LEASE_EXTRA). A hold is over at its end, not after it.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use tokio::sync::broadcast;

use crate::look::{Broken, LockList, LockState};
use crate::{LockKey, Mode};

/// One step of a backend, on its way. The caller drops it when it takes longer than the response timeout.
pub type Step<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// Keeps the state of locks, for many processes.
pub trait Backend: Send + Sync + 'static {
    /// What it is called in logs: `redis`.
    fn name(&self) -> &'static str;

    /// Keys of the same group can be taken by one [`Acquire`], all or none. The same for all processes.
    fn group(&self, key: &LockKey) -> u32;

    /// Takes a lock if it is free, or else takes a place in its queue if the request wants one. A grant that leaves room
    /// for the next of the queue tells that one ([`Notice::Freed`], with room for itself alone) if either of the two is
    /// fair: it may have been woken with the one before it, and have asked too early.
    fn acquire<'a>(&'a self, request: &'a Acquire) -> Step<'a, Acquired>;

    /// Makes a hold end no sooner than `lease` from now, and perhaps gives it another mode. Never brings
    /// back a hold that has ended.
    fn renew<'a>(&'a self, request: &'a Renew) -> Step<'a, Renewed>;

    /// Ends a hold, or gives up a place in the queue, or both; whatever the owner has. Remembers the owner
    /// for [`remember`](Release::remember): an acquire of the same owner that comes later takes nothing.
    fn release<'a>(&'a self, request: &'a Release) -> Step<'a, Ended>;

    /// Who holds a lock, and who waits for it.
    fn look<'a>(&'a self, key: &'a LockKey) -> Step<'a, LockState>;

    /// The locks that are held or waited for, whose keys begin with `prefix`: `max` at the most. Any of them if
    /// there are more.
    fn list<'a>(&'a self, prefix: &'a str, max: usize) -> Step<'a, LockList>;

    /// Ends holds that are not the caller's, tells their processes ([`Notice::Broken`]), and takes a fence for
    /// nobody. Those that have ended before are passed over. The owners are not remembered: an acquire that is
    /// sent again is a new grant, with a new fence.
    fn break_holds<'a>(&'a self, request: &'a Break) -> Step<'a, Broken>;

    /// A new owner for an acquisition of this process.
    fn new_owner(&self) -> Owner {
        Owner::random()
    }

    /// From now on, what this process should know.
    fn notices(&self) -> broadcast::Receiver<Notice>;

    /// Lets go of connections and tasks. Later steps fail.
    fn close(&self) -> Step<'_, ()> {
        Box::pin(async { Ok(()) })
    }
}

/// Who holds or waits: 128 bits, new for every acquisition. No two are alike, by chance or by construction.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner([u8; 16]);

impl Owner {
    /// A new one.
    ///
    /// # Panics
    /// When the operating system has no random numbers.
    #[must_use]
    pub fn random() -> Self {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("the operating system gives random numbers");
        Self(bytes)
    }

    /// A new one that shows which process it belongs to: 64 bits that are the same for all owners of a process,
    /// and 64 new ones.
    ///
    /// # Panics
    /// As [`random`](Self::random).
    #[must_use]
    pub fn of_process(process: [u8; 8]) -> Self {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&process);
        getrandom::fill(&mut bytes[8..]).expect("the operating system gives random numbers");
        Self(bytes)
    }

    /// The process that it belongs to, if its backend makes owners [so](Self::of_process).
    #[must_use]
    pub fn process(&self) -> [u8; 8] {
        let [process @ .., _, _, _, _, _, _, _, _] = self.0;
        process
    }

    /// As bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// From its bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// A wish for a lock.
#[derive(Clone, Debug)]
pub struct Acquire {
    /// What to take, all or none. They are of one group, sorted, each named once, and at least one.
    pub keys: Arc<[LockKey]>,
    /// For whom.
    pub owner: Owner,
    /// How. More than one key is taken [exclusively](Mode::exclusive).
    pub mode: Mode,
    /// For how long, from the moment that the backend decides.
    pub lease: Duration,
    /// The fence will be greater than this.
    pub fence_min: u64,
    /// Whether nobody who comes later may be served before.
    pub fair: bool,
    /// Whether this owner waits if it gets nothing now, and how.
    pub waiting: Option<Waiting>,
    /// How long the first of a queue has to take a lock that has fallen free.
    pub claim: Duration,
    /// The backend may drop the request instead of deciding it later than this after it was sent.
    pub timeout: Duration,
}

/// How an owner waits.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    /// Its place in the queue, as the last [`Conflict`] said; 0 at first.
    pub place: u64,
    /// How long the place lasts from now on without a sign of life.
    pub ttl: Duration,
    /// Whether it may be put in the queue. Never for several keys.
    pub queue: bool,
}

/// The answer to [`Acquire`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acquired {
    /// The owner holds the lock; if it did before, with the same fence. Fences end at [`FENCE_MAX`](crate::limits::FENCE_MAX).
    Granted {
        /// Greater than all that were given out for these keys before, whatever the backend has lost.
        fence: u64,
        /// The same for all who hold a key side by side, and greater than that of every earlier period in which it was
        /// held: the fence of the one who began the period. It grows within a period, for those who come then, when its
        /// holds are [broken](Break) or a request wants a fence [greater than it](Acquire::fence_min).
        turn: u64,
    },
    /// Not now.
    Conflict(Conflict),
    /// The backend has lost its memory, and does not know yet who holds what. It refuses all new grants.
    Quarantined {
        /// For how long.
        remaining: Duration,
    },
    /// This owner was released already: the request was late, or somebody else has had the same owner. Whoever still
    /// wants the lock asks again with a new one.
    Ended,
    /// It would have to wait in the queue, which has no room for it: [`QUEUE_MAX`](crate::limits::QUEUE_MAX).
    TooManyWaiters,
}

/// Why a lock was not granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Which of the keys, by its index.
    pub key: usize,
    /// When the last of its holders will be gone, if none of them renews; zero if nobody holds it and the
    /// queue is in the way.
    pub holder_remaining: Duration,
    /// When the state can change without anybody telling.
    pub retry_after: Duration,
    /// The owner's place in the queue, greater than 0 and growing with the time of arrival; 0 without one.
    pub place: u64,
    /// Who of the queue can get in now, where those before the owner keep it out and no holder does.
    pub head: Option<Owner>,
}

/// A longer life for a hold.
#[derive(Clone, Debug)]
pub struct Renew {
    /// The same keys as in [`Acquire`].
    pub keys: Arc<[LockKey]>,
    /// The same owner.
    pub owner: Owner,
    /// The hold ends no sooner than this from now. Never makes it shorter.
    pub lease: Duration,
    /// Another mode, for an owner that is the only holder.
    pub mode: Option<Mode>,
    /// As in [`Acquire::claim`].
    pub claim: Duration,
}

/// The answer to [`Renew`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewed {
    /// It holds.
    Held,
    /// It does not hold.
    NotHeld {
        /// The fence of a present holder, if there is one.
        holder: Option<u64>,
    },
}

/// An end.
#[derive(Clone, Debug)]
pub struct Release {
    /// The same keys as in [`Acquire`].
    pub keys: Arc<[LockKey]>,
    /// The same owner.
    pub owner: Owner,
    /// How long to remember the owner.
    pub remember: Duration,
    /// As in [`Acquire::claim`].
    pub claim: Duration,
    /// Whether others in the sender's process wait for the lock, which must be told even if the backend
    /// knows of nobody.
    pub wanted: bool,
}

/// The answer to [`Release`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It held all of the keys, and holds none any more.
    Released,
    /// It did not hold all of them; it holds none any more.
    NotHeld {
        /// The fence of a present holder of one of them, if there is one.
        holder: Option<u64>,
    },
}

/// An end that somebody else puts to holds.
#[derive(Clone, Debug)]
pub struct Break {
    /// Of this lock.
    pub key: LockKey,
    /// The owners whose holds are ended. Those who wait are not touched.
    pub owners: Vec<Owner>,
    /// As in [`Acquire::claim`].
    pub claim: Duration,
}

/// What a process should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A lock, or a part of it, has fallen free.
    Freed {
        /// Its key.
        key: LockKey,
        /// Who of its queue can get in next: the first, or one behind those who let in too few and are not fair, which
        /// keep nobody back. Without one, anybody may try.
        next: Option<Next>,
    },
    /// Somebody else has ended a hold of this owner.
    Broken {
        /// Whose.
        owner: Owner,
        /// Of which lock.
        key: LockKey,
    },
    /// Notices may have been missed: the connection was made anew.
    Gap,
    /// The backend's clock was set by this much, in ms. Leases end early or late; fences hold.
    ClockJumped {
        /// Forward if positive.
        by_ms: i64,
    },
}

/// Whose turn it is in a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    /// Who.
    pub owner: Owner,
    /// How.
    pub mode: Mode,
    /// How many can join in that mode now, this one included.
    pub room: u32,
}

/// Why a step could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Perhaps it was done, perhaps not: no answer came. Trying again may help.
    #[error("cannot {doing}")]
    Unavailable {
        /// What was tried.
        doing: &'static str,
        /// Why it failed.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The answer did not come in time.
    #[error("cannot {doing}: no answer within {timeout:?}")]
    NoAnswer {
        /// What was tried.
        doing: &'static str,
        /// How long the answer was waited for.
        timeout: Duration,
    },
    /// It was not done, and trying again will not help.
    #[error("cannot {doing}")]
    Refused {
        /// What was tried.
        doing: &'static str,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
