use std::{sync::Arc, time::Duration};

use crate::backend::{self, Backend, Break, Owner, Step};
use crate::counters::Stats;
use crate::inner::Inner;
use crate::look::{Broken, LockList, LockState};
use crate::rt::timeout;
use crate::{Error, IntoKey, Mode, ModeError, MultiRequest, Request, Settings, SettingsError, limits};

/// The entry: locks on one backend. Clones share everything. One for a process is enough, and best.
#[derive(Clone, Debug)]
pub struct Locks {
    inner: Arc<Inner>,
}

impl Locks {
    /// Locks with the default [`Settings`].
    ///
    /// # Panics
    /// When it is not called on a Tokio runtime with its timer enabled.
    #[must_use]
    pub fn new(backend: impl Backend) -> Self {
        Self { inner: Inner::start(Box::new(backend), Settings::default()) }
    }

    /// Locks with other settings.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    pub fn with_settings(backend: impl Backend, settings: Settings) -> Result<Self, SettingsError> {
        settings.check()?;
        Ok(Self { inner: Inner::start(Box::new(backend), settings) })
    }

    /// A lock for one holder.
    pub fn lock(&self, key: impl IntoKey) -> Request {
        self.in_mode(key, Ok(Mode::exclusive()))
    }

    /// The same lock for one of several that only read: they stand side by side and shut out the holder of
    /// [`lock`](Self::lock), who shuts out them. A writer that waits is let in before readers that come
    /// later.
    pub fn shared(&self, key: impl IntoKey) -> Request {
        self.in_mode(key, Ok(Mode::shared()))
    }

    /// A lock in a mode of your own. Holders of one mode stand side by side and shut out all other modes:
    /// many may `allocate` one transfer, or one may [`lock`](Self::lock) it to cancel, never both at once.
    /// Whoever waits in one mode is let in before those of other modes that come later, so that nobody
    /// starves. The name `exclusive` is taken: it is what [`lock`](Self::lock) asks for.
    pub fn mode(&self, key: impl IntoKey, mode: impl AsRef<str>) -> Request {
        let mode = Mode::new(mode).and_then(|mode| {
            // That one is asked for by `lock`; whoever names it here expects company.
            if mode == Mode::exclusive() { Err(ModeError::Exclusive) } else { Ok(mode) }
        });
        self.in_mode(key, mode.map_err(Error::from))
    }

    /// One of `permits` permits: a mode with so many holders.
    pub fn semaphore(&self, key: impl IntoKey, permits: u32) -> Request {
        self.mode(key, "permit").max_holders(permits)
    }

    /// Several exclusive locks, all or none.
    pub fn multi(&self, keys: impl IntoIterator<Item = impl IntoKey>) -> MultiRequest {
        MultiRequest::new(&self.inner, keys)
    }

    fn in_mode(&self, key: impl IntoKey, mode: Result<Mode, Error>) -> Request {
        Request::new(&self.inner, key.into_key().map_err(Error::from), mode)
    }

    /// Who holds a lock at this moment, and who waits for it.
    ///
    /// # Errors
    /// [`Key`](Error::Key) for a key that is none, [`Unavailable`](Error::Unavailable) and [`Refused`](Error::Refused) when the
    /// backend does not answer, or not this.
    pub async fn look(&self, key: impl IntoKey) -> Result<LockState, Error> {
        let key = key.into_key()?;
        let limit = self.inner.settings.response_timeout;
        let answer = within(limit, "look at a lock", self.inner.backend.look(&key)).await;
        answer.map_err(|source| Error::of_step(key, source))
    }

    /// The locks that are held or waited for, and whose keys begin with `prefix`: `max` at the most, and never
    /// more than [`LIST_MAX`](limits::LIST_MAX).
    ///
    /// On Redis it walks through all keys of the database, in steps that hold nobody up, for
    /// [`LIST_TIMEOUT`](limits::LIST_TIMEOUT) at the most. It is for people, not for programs to decide by.
    ///
    /// # Errors
    /// Those of the backend: it does not answer, or not this.
    pub async fn list(&self, prefix: &str, max: usize) -> Result<LockList, backend::Error> {
        let list = self.inner.backend.list(prefix, max.min(limits::LIST_MAX));
        within(limits::LIST_TIMEOUT, "list the locks", list).await
    }

    /// Ends holds whose holders do not: of those that a [look](Self::look) has shown, and no others. Their
    /// processes are told at once ([`Lost::Broken`](crate::Lost::Broken)), or when they renew the next time if they
    /// do not hear it; the first who waits is served.
    ///
    /// It does not stop what the holders are doing. The fence does: every later grant has a greater one, and so has
    /// [`Broken::fence`], to which whatever is guarded can be raised at once.
    ///
    /// # Errors
    /// As [`look`](Self::look). Whether the holds were ended is not known after [`Unavailable`](Error::Unavailable).
    pub async fn break_holds(&self, key: impl IntoKey, owners: &[Owner]) -> Result<Broken, Error> {
        let settings = &self.inner.settings;
        let claim = limits::CLAIM.min(settings.waiter_ttl);
        let request = Break { key: key.into_key()?, owners: owners.to_vec(), claim };
        let step = self.inner.backend.break_holds(&request);
        let answer = within(settings.response_timeout, "break a lock", step).await;
        let broken = answer.map_err(|source| Error::of_step(request.key.clone(), source))?;
        for (owner, fence) in &broken.ended {
            tracing::warn!(key = %request.key, %owner, fence, "broke a lock");
        }
        Ok(broken)
    }

    /// What it does unless a request says otherwise.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// What has happened so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats { waiting: self.inner.lines.waiters() as u64, ..self.inner.counters.stats() }
    }

    /// Ends all waits with [`Error::ShutDown`], lets all locks go, and waits for the answers, for some
    /// response timeouts at the most. Guards that are still around count as lost. For the end of a process:
    /// without it, others wait for the leases to run out.
    ///
    /// It waits for first attempts that are on their way as well, so that nothing of what they bring is left behind. A request
    /// whose future is kept and not polled meanwhile cannot end, and holds this up for all of that time
    /// ([`SHUTDOWN_RESPONSE_TIMEOUTS`](limits::SHUTDOWN_RESPONSE_TIMEOUTS), 4 s by default): drop such futures first. What
    /// one of them got is given back when it is polled or dropped, and otherwise ends with its lease.
    pub async fn shutdown(&self) {
        let inner = &self.inner;
        inner.close();
        let limit: Duration = inner.settings.response_timeout * limits::SHUTDOWN_RESPONSE_TIMEOUTS;
        if timeout(limit, inner.until_idle()).await.is_err() {
            tracing::warn!(?limit, "the lock server has not answered all releases; leases end them");
        }
        if let Err(error) = inner.backend.close().await {
            tracing::debug!(%error, "closing the lock server's connections failed");
        }
    }
}

async fn within<T>(limit: Duration, doing: &'static str, step: Step<'_, T>) -> Result<T, backend::Error> {
    timeout(limit, step).await.unwrap_or(Err(backend::Error::NoAnswer { doing, timeout: limit }))
}
