//! What the requests and guards of one [`Locks`](crate::Locks) share.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};

use crate::backend::{Backend, Notice, Owner};
use crate::clock;
use crate::counters::Counters;
use crate::limits;
use crate::line::Lines;
use crate::rt::atomic::{AtomicUsize, Ordering};
use crate::rt::{Handle, Instant, Mutex, MutexGuard, sleep_until};
use crate::tenure::{self, Tenure};
use crate::{Error, Settings};

pub(crate) struct Inner {
    pub(crate) backend: Box<dyn Backend>,
    pub(crate) settings: Settings,
    pub(crate) lines: Arc<Lines>,
    pub(crate) counters: Counters,
    runtime: Handle,
    signal: watch::Sender<Signal>,
    /// Locks that are held, or were and are not ended yet. In an order, so that a schedule can be played again.
    tenures: Mutex<BTreeMap<Owner, Weak<Tenure>>>,
    /// First attempts on their way, and running waits, keepers and releases.
    tasks: AtomicUsize,
    idle: tokio::sync::Notify,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Locks").field("backend", &self.backend.name()).finish_non_exhaustive()
    }
}

/// What all tasks must hear of.
#[derive(Clone, Copy, Debug, Default)]
struct Signal {
    closing: bool,
    /// How often the machine has slept: timers are late, look at the clock.
    sleeps: u64,
}

/// A task's ear for them.
#[derive(Debug)]
pub(crate) struct Signals(watch::Receiver<Signal>);

impl Signals {
    pub(crate) fn closing(&self) -> bool {
        self.0.borrow().closing
    }

    /// Comes back when there is something new.
    pub(crate) async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Counts something that is under way until it ends, however it ends.
pub(crate) struct Running(Arc<Inner>);

impl Drop for Running {
    fn drop(&mut self) {
        if self.0.tasks.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.idle.notify_waiters();
        }
    }
}

impl Inner {
    /// Must be called on a Tokio runtime.
    pub(crate) fn start(backend: Box<dyn Backend>, settings: Settings) -> Arc<Self> {
        let notices = backend.notices();
        let inner = Arc::new(Self {
            backend,
            settings,
            lines: Arc::default(),
            counters: Counters::default(),
            runtime: Handle::current(),
            signal: watch::Sender::default(),
            tenures: Mutex::default(),
            tasks: AtomicUsize::new(0),
            idle: tokio::sync::Notify::new(),
        });
        let signals = inner.signals();
        inner.runtime.spawn(listen(Arc::downgrade(&inner), notices, signals));
        inner
    }

    pub(crate) fn signals(&self) -> Signals {
        Signals(self.signal.subscribe())
    }

    pub(crate) fn spawn(self: &Arc<Self>, task: impl Future<Output = ()> + Send + 'static) {
        let running = self.running();
        self.runtime.spawn(async move {
            task.await;
            drop(running);
        });
    }

    /// Whoever shuts down waits until this is dropped.
    pub(crate) fn running(self: &Arc<Self>) -> Running {
        self.tasks.fetch_add(1, Ordering::AcqRel);
        Running(Arc::clone(self))
    }

    pub(crate) fn closing(&self) -> bool {
        self.signal.borrow().closing
    }

    /// Ends all waits and tenures, in the background.
    pub(crate) fn close(self: &Arc<Self>) {
        self.signal.send_modify(|signal| signal.closing = true);
        for tenure in self.live_tenures() {
            self.spawn(async move { drop(tenure::end(tenure).await) });
        }
    }

    pub(crate) fn add_tenure(&self, tenure: &Arc<Tenure>) {
        self.tenures().insert(tenure.owner, Arc::downgrade(tenure));
    }

    pub(crate) fn remove_tenure(&self, owner: Owner) {
        self.tenures().remove(&owner);
    }

    fn live_tenures(&self) -> Vec<Arc<Tenure>> {
        self.tenures().values().filter_map(Weak::upgrade).collect()
    }

    fn tenures(&self) -> MutexGuard<'_, BTreeMap<Owner, Weak<Tenure>>> {
        self.tenures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) async fn until_idle(&self) {
        loop {
            let idle = self.idle.notified();
            tokio::pin!(idle);
            idle.as_mut().enable();
            if self.tasks.load(Ordering::Acquire) == 0 {
                return;
            }
            idle.await;
        }
    }

    pub(crate) fn check_lease(&self, lease: Duration) -> Result<(), Error> {
        let (min, max) = (self.settings.lease_min(), self.settings.lease_max);
        if lease < min || lease > max {
            return Err(Error::out_of_range("lease", lease, min, max));
        }
        Ok(())
    }

    fn hear(&self, notice: &Notice) {
        match notice {
            Notice::Freed { key, next } => self.lines.freed(key, next.as_ref()),
            Notice::Broken { owner, key } => {
                let tenure = self.tenures().get(owner).and_then(Weak::upgrade);
                if let Some(tenure) = tenure.filter(|tenure| tenure.keys.contains(key)) {
                    tenure.broken();
                }
            }
            Notice::Gap => {
                self.counters.gap();
                self.lines.missed();
            }
            Notice::ClockJumped { by_ms } => {
                self.counters.clock_jump();
                tracing::warn!(
                    backend = self.backend.name(),
                    by_ms,
                    "the lock server's clock was set: leases end early or late, only fences protect"
                );
            }
        }
    }
}

/// Hears the backend's notices and watches for sleep, until the locks are closed or nobody has them.
async fn listen(inner: Weak<Inner>, mut notices: broadcast::Receiver<Notice>, mut signals: Signals) {
    let mut slept = clock::slept();
    let mut look_at = Instant::now() + limits::SLEEP_LOOK_PAUSE;
    let mut deaf = false;
    while !signals.closing() {
        let notice = tokio::select! {
            notice = notices.recv(), if !deaf => Some(notice),
            () = signals.changed() => None,
            () = sleep_until(look_at) => None,
        };
        let Some(inner) = inner.upgrade() else { return };
        match notice {
            Some(Ok(notice)) => inner.hear(&notice),
            Some(Err(RecvError::Lagged(_))) => inner.hear(&Notice::Gap),
            // The backend tells nothing any more; the safety re-checks go on.
            Some(Err(RecvError::Closed)) => deaf = true,
            None => {
                look_at = Instant::now() + limits::SLEEP_LOOK_PAUSE;
                let now_slept = clock::slept();
                if now_slept.saturating_sub(slept) >= limits::SLEEP_MIN {
                    inner.signal.send_modify(|signal| signal.sleeps += 1);
                    slept = now_slept;
                }
                // Short naps add up. What seemed to be one, because we were held up between the two clocks, does not.
                slept = slept.min(now_slept);
                // A loss is noted soon, even if nobody looks at the guard.
                for tenure in inner.live_tenures() {
                    tenure.how_lost();
                }
            }
        }
    }
}
