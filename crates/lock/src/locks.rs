use std::{sync::Arc, time::Duration};

use tokio::time::timeout;

use crate::backend::Backend;
use crate::counters::Stats;
use crate::inner::Inner;
use crate::{Error, IntoKey, Mode, MultiRequest, Request, Settings, SettingsError, limits};

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
    /// starves.
    pub fn mode(&self, key: impl IntoKey, mode: impl AsRef<str>) -> Request {
        self.in_mode(key, Mode::new(mode).map_err(Error::from))
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

    /// What it does unless a request says otherwise.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// What has happened so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.inner.counters.stats()
    }

    /// Ends all waits with [`Error::ShutDown`], lets all locks go, and waits for the answers, for some
    /// response timeouts at the most. Guards that are still around count as lost. For the end of a process:
    /// without it, others wait for the leases to run out.
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
