use std::{sync::Arc, time::Duration};

use crate::acquisition::{self, Plan};
use crate::inner::Inner;
use crate::{Error, Guard, LockKey, Mode, limits};

/// The wish for one lock. Made by [`Locks::lock`](crate::Locks::lock) and its sisters.
#[derive(Debug)]
#[must_use = "a request does nothing until it is acquired"]
pub struct Request {
    inner: Arc<Inner>,
    key: Result<LockKey, Error>,
    mode: Result<Mode, Error>,
    fair: bool,
    pub(crate) terms: Terms,
}

/// What a request for one key and a request for several have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) wait: Duration,
    pub(crate) lease: Option<Duration>,
    pub(crate) max_hold: Option<Duration>,
    pub(crate) fence_min: u64,
}

impl Terms {
    pub(crate) fn of(inner: &Inner) -> Self {
        Self { wait: inner.settings.wait, lease: None, max_hold: None, fence_min: 0 }
    }

    pub(crate) fn plan(&self, inner: &Inner, keys: Arc<[LockKey]>, mode: Mode) -> Result<Plan, Error> {
        let lease = self.lease.unwrap_or(inner.settings.keeper_lease);
        inner.check_lease(lease)?;
        Error::check_min_fence(self.fence_min)?;
        if self.wait > limits::WAIT_MAX {
            return Err(Error::out_of_range("wait", self.wait, Duration::ZERO, limits::WAIT_MAX));
        }
        let max_hold = self.max_hold.unwrap_or(lease * limits::MAX_HOLD_LEASES);
        if max_hold < lease || max_hold > limits::MAX_HOLD_MAX {
            return Err(Error::out_of_range("max_hold", max_hold, lease, limits::MAX_HOLD_MAX));
        }
        Ok(Plan {
            keys,
            mode,
            wait: self.wait,
            lease,
            keeper: self.lease.is_none(),
            max_hold,
            fair: false,
            fence_min: self.fence_min,
            part: false,
        })
    }
}

impl Request {
    pub(crate) fn new(inner: &Arc<Inner>, key: Result<LockKey, Error>, mode: Result<Mode, Error>) -> Self {
        Self { inner: Arc::clone(inner), key, mode, fair: false, terms: Terms::of(inner) }
    }

    /// How long to wait at the most. Zero: not at all. Default [`Settings::wait`](crate::Settings::wait).
    pub fn wait(mut self, wait: Duration) -> Self {
        self.terms.wait = wait;
        self
    }

    /// Hold for this long and no longer, unless [extended](Guard::extend). Without it, a keeper renews the
    /// lock until its guard goes.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.terms.lease = Some(lease);
        self
    }

    /// How long the keeper renews at the most, so that a guard that was forgotten somewhere does not shut
    /// the others out for ever. Default ten leases. An [extension](Guard::extend) is asked for, and outlasts it.
    pub fn max_hold(mut self, max_hold: Duration) -> Self {
        self.terms.max_hold = Some(max_hold);
        self
    }

    /// First come, first served: nobody who asks later gets it earlier, in any process. Costs an answer of
    /// the backend per waiter and now and then a sign of life.
    ///
    /// Without it, whoever asks at the right moment gets it, which gives the greater throughput.
    pub fn fair(mut self) -> Self {
        self.fair = true;
        self
    }

    /// Let at most so many hold it in this mode; of different numbers the smallest counts. See [`Mode::max_holders`].
    pub fn max_holders(mut self, holders_max: u32) -> Self {
        self.mode = self.mode.and_then(|mode| Ok(mode.max_holders(holders_max)?));
        self
    }

    /// The fence will be greater than this. For a caller whose fence was refused as stale although it
    /// holds the lock: what is guarded has seen greater ones, from an earlier lock server perhaps.
    /// [`MIN_FENCE_MAX`](limits::MIN_FENCE_MAX) at the most.
    pub fn min_fence(mut self, fence: u64) -> Self {
        self.terms.fence_min = fence;
        self
    }

    /// Counts it under this pattern, whatever its key: [`LockKey::with_pattern`].
    pub fn pattern(mut self, pattern: impl AsRef<str>) -> Self {
        self.key = self.key.and_then(|key| Ok(key.with_pattern(pattern)?));
        self
    }

    /// Takes the lock, or says why not. Dropping the future at any point leaves nothing behind: what has
    /// been got by then, or is got by a step that is still on its way, is given back.
    ///
    /// # Errors
    /// [`Timeout`](Error::Timeout) (or [`Busy`](Error::Busy) without a wait) when somebody else holds it,
    /// [`Unavailable`](Error::Unavailable) when the backend does not answer,
    /// [`Quarantined`](Error::Quarantined) after a failover, [`TooManyWaiters`](Error::TooManyWaiters) when
    /// [`WAITERS_MAX`](limits::WAITERS_MAX) of this process wait already, or [`QUEUE_MAX`](limits::QUEUE_MAX) in the lock's
    /// queue, and what is wrong with the request itself.
    pub async fn acquire(self) -> Result<Guard, Error> {
        let Self { inner, key, mode, fair, terms } = self;
        let plan = terms.plan(&inner, Arc::new([key?]), mode?)?;
        acquisition::acquire(&inner, Plan { fair, ..plan }).await
    }

    /// Takes the lock if it is free: [`acquire`](Self::acquire) without a wait.
    pub async fn try_acquire(self) -> Result<Guard, Error> {
        self.wait(Duration::ZERO).acquire().await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::{Error, KeyError, Locks, Memory};

    #[tokio::test]
    async fn a_wait_in_vain_is_counted_under_the_key_that_was_in_the_way() {
        let locks = Locks::new(Memory::new());
        let held = locks.lock("shelf:1").acquire().await.unwrap();
        let wait = Duration::from_millis(30);
        for _ in 0..2 {
            let error = locks.multi(["box:1", "shelf:1"]).wait(wait).acquire().await.unwrap_err();
            assert!(matches!(error, Error::Timeout { .. }), "{error}");
        }
        let error = locks.lock("shelf:1").try_acquire().await.unwrap_err();
        assert!(matches!(error, Error::Busy { .. }), "{error}");
        assert!(held.release().await.was_held());
        let stats = locks.stats();
        let shelf = stats.patterns["shelf:*"];
        assert_eq!((shelf.timeouts, shelf.busy, shelf.contended, shelf.granted_after_wait), (2, 1, 3, 0));
        assert!(shelf.timeout_wait >= wait * 2 && shelf.wait.is_zero(), "{shelf:?}");
        assert_eq!((stats.timeouts, stats.busy, stats.timeout_wait), (2, 1, shelf.timeout_wait));
        assert!(!stats.patterns.contains_key("box:*"), "{stats:?}");
    }

    #[tokio::test]
    async fn a_request_is_counted_under_the_pattern_that_it_names() {
        let locks = Locks::new(Memory::new());
        for key in ["order:blue-whale", "order:red-fox"] {
            let guard = locks.lock(key).pattern("order:*").acquire().await.unwrap();
            assert_eq!(guard.key().as_str(), key);
            assert!(guard.release().await.was_held());
        }
        let patterns = locks.stats().patterns;
        assert_eq!((patterns.len(), patterns["order:*"].granted), (1, 2));
        let error = locks.lock("order:red-fox").pattern("").acquire().await.unwrap_err();
        assert!(matches!(error, Error::Key(KeyError::Pattern { len: 0 })), "{error}");
    }
}
