use std::time::Duration;

use crate::{KeyError, LockKey, Mode, ModeError, backend, limits};

/// Why a lock was not got, or something could not be done with it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The key is no key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The mode is no mode.
    #[error(transparent)]
    Mode(#[from] ModeError),
    /// A number or duration of the request is outside its limits.
    #[error("{what} is {value}, but it must be between {min} and {max}")]
    OutOfRange {
        /// What.
        what: &'static str,
        /// What it was.
        value: String,
        /// The least that it can be.
        min: String,
        /// The most that it can be.
        max: String,
    },
    /// Somebody else holds it, and we were not to wait.
    #[error("{key} is held by somebody else{}", for_another(*.holder_remaining))]
    Busy {
        /// The key.
        key: LockKey,
        /// When it will be free, if its holder does not renew it.
        holder_remaining: Duration,
    },
    /// It did not become ours within the time that we were to wait.
    #[error("{key} did not become free within {waited:?}{}", for_another(*.holder_remaining))]
    Timeout {
        /// The key.
        key: LockKey,
        /// How long we waited.
        waited: Duration,
        /// When it will be free, as far as the last look told, if its holder does not renew it.
        holder_remaining: Duration,
    },
    /// Too many requests wait already, so this one does not.
    #[error("{key} was not waited for: {crowd}")]
    TooManyWaiters {
        /// The key.
        key: LockKey,
        /// Which ones.
        crowd: Crowd,
    },
    /// The backend is new to these locks or lost its memory, and lets earlier holds run out before it grants new ones.
    #[error(
        "{key} cannot be granted for another {remaining:?}: the lock server is new to these locks, or has been replaced or \
         restarted"
    )]
    Quarantined {
        /// The key.
        key: LockKey,
        /// For how long.
        remaining: Duration,
    },
    /// The backend did not answer, or could not serve it just then (its memory is full), until the time that we were to wait
    /// was over.
    #[error("{key}: the lock server is not available")]
    Unavailable {
        /// The key.
        key: LockKey,
        /// What was tried last, and what became of it.
        source: backend::Error,
    },
    /// The backend refused, for good.
    #[error("{key}: the lock server refuses")]
    Refused {
        /// The key.
        key: LockKey,
        /// What was tried, and what it said.
        source: backend::Error,
    },
    /// The lock is not held any more.
    #[error("{key} was lost")]
    Lost {
        /// The key.
        key: LockKey,
        /// How.
        #[source]
        how: Lost,
    },
    /// A hold for one can only be given a mode of another name, which more can share.
    #[error(
        "{key} is held as {from} (holders: {}) and cannot be turned into {to} (holders: {}); release it and acquire it anew",
        .from.holders_max(), .to.holders_max()
    )]
    Upgrade {
        /// The key.
        key: LockKey,
        /// The mode that it is held in.
        from: Mode,
        /// The mode that was asked for.
        to: Mode,
    },
    /// These [`Locks`](crate::Locks) were shut down, or the runtime that they live on was.
    #[error("the locks were shut down")]
    ShutDown,
}

/// Of whom there are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Crowd {
    /// Requests of this process that wait for whatever lock: [`WAITERS_MAX`](limits::WAITERS_MAX).
    Process,
    /// Requests of all processes in the queue of this lock: [`QUEUE_MAX`](limits::QUEUE_MAX).
    Queue,
}

impl std::fmt::Display for Crowd {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Process => {
                write!(out, "{} requests of this process wait for locks already", limits::WAITERS_MAX)
            }
            Self::Queue => write!(out, "{} requests wait in its queue already", limits::QUEUE_MAX),
        }
    }
}

/// How a lock was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Lost {
    /// Its lease ran out.
    #[error("its lease ran out")]
    Expired,
    /// It was held for [`max_hold`](crate::Request::max_hold), and its keeper stopped renewing it.
    #[error("it was held for too long, and is renewed no more")]
    MaxHold,
    /// Somebody else holds it.
    #[error("somebody else holds it, with the fence {fence}")]
    Stolen {
        /// The other one's fence.
        fence: u64,
    },
    /// Somebody has [broken](crate::Locks::break_holds) the hold.
    #[error("it was broken by somebody else")]
    Broken,
    /// The session that held it has ended, or does not answer.
    #[error("its session with the lock server has ended")]
    SessionEnded,
    /// It was released: by a guard of the same hold, or because the locks were shut down.
    #[error("it was released")]
    Released,
}

impl Error {
    /// What a single step said.
    pub(crate) fn of_step(key: LockKey, source: backend::Error) -> Self {
        match source {
            backend::Error::Refused { .. } => Self::Refused { key, source },
            _ => Self::Unavailable { key, source },
        }
    }

    pub(crate) fn out_of_range<T: std::fmt::Debug>(what: &'static str, value: T, min: T, max: T) -> Self {
        let [value, min, max] = [value, min, max].map(|value| format!("{value:?}"));
        Self::OutOfRange { what, value, min, max }
    }

    pub(crate) fn check_min_fence(fence: u64) -> Result<(), Self> {
        if fence > limits::MIN_FENCE_MAX {
            return Err(Self::out_of_range("min_fence", fence, 0, limits::MIN_FENCE_MAX));
        }
        Ok(())
    }
}

fn for_another(remaining: Duration) -> String {
    if remaining.is_zero() {
        String::new()
    } else {
        format!(", for another {remaining:?} if it does not renew")
    }
}
