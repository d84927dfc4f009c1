//! The time between grant and release: what guards see of it, the keeper, and the end.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::{sleep, sleep_until, timeout};

use crate::acquisition::{Plan, jitter};
use crate::backend::{self, Ended, Owner, Release, Renew, Renewed};
use crate::clock::BootTime;
use crate::guard::{Known, Outcome};
use crate::inner::{Inner, Signals};
use crate::{Error, LockKey, Lost, Mode, limits};

/// What is known of a hold.
#[derive(Debug)]
pub(crate) struct Tenure {
    pub(crate) inner: Arc<Inner>,
    pub(crate) keys: Arc<[LockKey]>,
    pub(crate) owner: Owner,
    pub(crate) fence: u64,
    lease: Duration,
    keeper: AtomicBool,
    acquired_at: BootTime,
    kept_until: BootTime,
    /// In microseconds of [`BootTime`]. Only grows.
    valid_until: AtomicU64,
    guards: AtomicU32,
    state: Mutex<State>,
    /// For the task: somebody asks for the release.
    wake: Notify,
    /// For those who wait for the loss.
    lost: Notify,
}

#[derive(Debug)]
struct State {
    mode: Mode,
    lost: Option<Lost>,
    released: Option<Known>,
    let_go: bool,
    asked: Option<oneshot::Sender<Outcome>>,
}

/// Until when a lease may be relied on that was asked for at `sent_at`. The backend counts from later on,
/// and the rest is for clocks that run apart.
pub(crate) fn valid_until(sent_at: BootTime, lease: Duration) -> BootTime {
    sent_at + lease.saturating_sub(lease / limits::LEASE_MARGIN_DIVISOR).saturating_sub(limits::LEASE_MARGIN)
}

impl Tenure {
    pub(crate) fn new(
        inner: &Arc<Inner>,
        plan: &Plan,
        owner: Owner,
        fence: u64,
        valid_until: BootTime,
    ) -> Self {
        let acquired_at = BootTime::now();
        let mode = plan.mode.clone();
        Self {
            inner: Arc::clone(inner),
            keys: Arc::clone(&plan.keys),
            owner,
            fence,
            lease: plan.lease,
            keeper: AtomicBool::new(plan.keeper),
            acquired_at,
            kept_until: acquired_at + plan.max_hold,
            valid_until: AtomicU64::new(valid_until.as_micros()),
            guards: AtomicU32::new(1),
            state: Mutex::new(State { mode, lost: None, released: None, let_go: false, asked: None }),
            wake: Notify::new(),
            lost: Notify::new(),
        }
    }

    pub(crate) fn key(&self) -> &LockKey {
        &self.keys[0]
    }

    pub(crate) fn mode(&self) -> Mode {
        self.state().mode.clone()
    }

    pub(crate) fn valid_until(&self) -> BootTime {
        BootTime::from_micros(self.valid_until.load(Ordering::Acquire))
    }

    /// How it was lost, if it was. Looks at the clock itself, so that nobody has to have been told.
    pub(crate) fn how_lost(&self) -> Option<Lost> {
        let mut state = self.state();
        if state.lost.is_none() && !state.let_go && BootTime::now() >= self.valid_until() {
            let kept_out = self.keeper.load(Ordering::Acquire) && BootTime::now() >= self.kept_until;
            let how = if kept_out { Lost::MaxHold } else { Lost::Expired };
            self.lose(&mut state, how);
        }
        state.lost
    }

    fn lose(&self, state: &mut State, how: Lost) {
        if state.lost.is_some() {
            return;
        }
        state.lost = Some(how);
        self.lost.notify_waiters();
        if how != Lost::Released {
            self.inner.counters.lost(self.key());
            let held_ms = BootTime::now().since(self.acquired_at).as_millis();
            tracing::warn!(key = %self.key(), fence = self.fence, held_ms, "lock lost: {how}");
        }
    }

    /// Comes back when the lock is lost, at the end of its validity at the latest.
    pub(crate) async fn until_lost(&self) -> Lost {
        let mut signals = self.inner.signals();
        loop {
            let told = self.lost.notified();
            tokio::pin!(told);
            // Listening before looking.
            told.as_mut().enable();
            if let Some(how) = self.how_lost() {
                return how;
            }
            tokio::select! {
                () = told => {}
                () = signals.changed() => {}
                () = sleep_until(self.valid_until().timer()) => {}
            }
        }
    }

    /// Asks the backend for more time, and perhaps for another mode. Returns until when it is valid.
    pub(crate) async fn renew(
        &self,
        lease: Duration,
        mode: Option<Mode>,
        limit: Duration,
    ) -> Result<Renewed, backend::Error> {
        let claim = limits::CLAIM.min(self.inner.settings.waiter_ttl);
        let request =
            Renew { keys: Arc::clone(&self.keys), owner: self.owner, lease, mode: mode.clone(), claim };
        let sent_at = BootTime::now();
        let answer = timeout(limit, self.inner.backend.renew(&request)).await;
        let answer =
            answer.unwrap_or(Err(backend::Error::NoAnswer { doing: "renew a lock", timeout: limit }));
        self.inner.counters.renewed(answer.is_ok());
        match answer? {
            Renewed::Held => {
                self.valid_until.fetch_max(valid_until(sent_at, lease).as_micros(), Ordering::AcqRel);
                if let Some(mode) = mode {
                    self.state().mode = mode;
                }
                Ok(Renewed::Held)
            }
            Renewed::NotHeld { holder } => {
                let mut state = self.state();
                // A companion in a shared mode has taken nothing away.
                let rival = holder.filter(|_| !state.mode.is_shared());
                self.lose(&mut state, rival.map_or(Lost::Expired, |fence| Lost::Stolen { fence }));
                Ok(Renewed::NotHeld { holder })
            }
        }
    }

    /// From now on nobody renews.
    pub(crate) fn dismiss_keeper(&self) {
        self.keeper.store(false, Ordering::Release);
        self.wake.notify_one();
    }

    /// One guard more, if there still is something to guard.
    pub(crate) fn add_guard(&self) -> Result<(), Error> {
        if let Some(how) = self.how_lost() {
            return Err(Error::Lost { key: self.key().clone(), how });
        }
        self.guards.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    /// One guard less. With the last one the lock goes. Returns how many are left.
    pub(crate) fn remove_guard(&self, asked: Option<oneshot::Sender<Outcome>>) -> u32 {
        let left = self.guards.fetch_sub(1, Ordering::AcqRel) - 1;
        if left > 0 {
            return left;
        }
        let mut state = self.state();
        state.let_go = true;
        match (state.released, asked) {
            // It was released before, because the locks were shut down.
            (Some(known), Some(asked)) => drop(asked.send(known.into())),
            (_, asked) => state.asked = asked,
        }
        drop(state);
        self.wake.notify_one();
        0
    }

    fn let_go(&self) -> bool {
        self.state().let_go
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the lock until its guards are gone or it is lost, and then releases it.
pub(crate) async fn keep(tenure: &Arc<Tenure>, signals: &mut Signals) {
    let mut renew_at = tenure.acquired_at + renew_pause(tenure.lease);
    while !tenure.let_go() && !signals.closing() {
        let now = BootTime::now();
        let lost = tenure.how_lost().is_some();
        let keeping = !lost && tenure.keeper.load(Ordering::Acquire) && now < tenure.kept_until;
        if keeping && now >= renew_at {
            let limit =
                (tenure.lease / limits::RENEW_TIMEOUT_DIVISOR).min(tenure.inner.settings.response_timeout);
            let answer = tokio::select! {
                biased;
                // A release does not wait for a renewal. One that arrives after it finds nothing to renew.
                () = tenure.wake.notified() => continue,
                answer = tenure.renew(tenure.lease, None, limit) => answer,
            };
            renew_at = BootTime::now()
                + match answer {
                    Ok(_) => renew_pause(tenure.lease),
                    Err(error) => {
                        tracing::debug!(key = %tenure.key(), %error, "renewal failed, trying again");
                        tenure.lease / limits::RENEW_RETRY_DIVISOR
                    }
                };
            continue;
        }
        // Once it is lost there is nothing to do but to wait for the guards.
        let timer = if keeping { renew_at.min(tenure.valid_until()) } else { tenure.valid_until() };
        tokio::select! {
            biased;
            () = tenure.wake.notified() => {}
            () = signals.changed() => {}
            () = sleep_until(timer.timer()), if !lost => {}
        }
    }
    end(tenure).await;
}

async fn end(tenure: &Tenure) {
    let lost = {
        let mut state = tenure.state();
        let lost = state.lost;
        // Whoever still looks at it is told, whether or not the answer comes.
        tenure.lose(&mut state, Lost::Released);
        lost
    };
    let outcome = match lost {
        Some(Lost::Stolen { fence }) => Outcome::Stolen { fence },
        _ => match release(&tenure.inner, &tenure.keys, tenure.owner).await {
            Outcome::Stolen { .. } if tenure.mode().is_shared() => Outcome::Expired,
            outcome => outcome,
        },
    };
    tenure.inner.counters.ended(tenure.acquired_at);
    let mut state = tenure.state();
    match state.asked.take() {
        Some(asked) => drop(asked.send(outcome)),
        None => state.released = outcome.known(),
    }
}

/// Sends a release until it is answered, a few times.
pub(crate) async fn release(inner: &Inner, keys: &Arc<[LockKey]>, owner: Owner) -> Outcome {
    let limit = inner.settings.response_timeout;
    let request = Release {
        keys: Arc::clone(keys),
        owner,
        remember: limit * limits::RELEASE_MEMORY_RESPONSE_TIMEOUTS,
        claim: limits::CLAIM.min(inner.settings.waiter_ttl),
        wanted: inner.lines.wanted(keys),
    };
    let mut tries = 1;
    loop {
        let answer = timeout(limit, inner.backend.release(&request)).await;
        let error = match answer {
            Ok(Ok(Ended::Released)) => return Outcome::Released,
            Ok(Ok(Ended::NotHeld { holder: Some(fence) })) => return Outcome::Stolen { fence },
            Ok(Ok(Ended::NotHeld { holder: None })) => return Outcome::Expired,
            Ok(Err(error)) => error,
            Err(_) => backend::Error::NoAnswer { doing: "release a lock", timeout: limit },
        };
        if tries == limits::RELEASE_TRIES_MAX || matches!(error, backend::Error::Refused { .. }) {
            tracing::warn!(key = %keys[0], %error, "release not answered; the lock ends with its lease");
            return Outcome::Unknown(error);
        }
        tries += 1;
        sleep(limits::RELEASE_PAUSE).await;
    }
}

fn renew_pause(lease: Duration) -> Duration {
    let pause = lease / limits::RENEW_DIVISOR;
    pause - pause / 10 + jitter(pause / 5)
}
