//! The time between grant and release: what guards see of it, its keeper, and its end.

use std::future::poll_fn;
use std::sync::{Arc, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::Notify;
use tracing::{Instrument as _, Span};

use crate::acquisition::{Plan, jitter};
use crate::backend::{self, Ended, Owner, Release, Renew, Renewed};
use crate::clock::BootTime;
use crate::counters::PatternCounters;
use crate::guard::{Known, Outcome};
use crate::inner::Inner;
use crate::rt::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use crate::rt::{Mutex, MutexGuard, sleep, sleep_until, timeout};
use crate::{Error, LockKey, Lost, Mode, limits};

/// What is known of a hold.
#[derive(Debug)]
pub(crate) struct Tenure {
    pub(crate) inner: Arc<Inner>,
    pub(crate) keys: Arc<[LockKey]>,
    pub(crate) owner: Owner,
    pub(crate) fence: u64,
    /// Whether it took more than the first attempt to get it.
    pub(crate) waited: bool,
    pub(crate) turn: u64,
    /// Where its key is counted.
    pattern: Arc<PatternCounters>,
    /// The keeper's renewals, the loss and the end are in it, whoever comes upon them.
    span: Span,
    lease: Duration,
    keeper: AtomicBool,
    acquired_at: BootTime,
    /// Until when the keeper renews, in microseconds of [`BootTime`].
    kept_until: AtomicU64,
    /// It is renewed up to then, and the keeper has nothing more to do.
    kept_out: AtomicBool,
    /// In microseconds of [`BootTime`]. Only grows.
    valid_until: AtomicU64,
    /// When the backend gives it to others at the latest, whatever of our renewals it has answered. In the same way.
    over_at: AtomicU64,
    guards: AtomicU32,
    /// A transaction that was run under it is known to be committed.
    #[cfg(any(feature = "macros", feature = "postgres"))]
    pub(crate) committed: AtomicBool,
    state: Mutex<State>,
    /// Held while a renewal is polled, which is when it is sent.
    gate: Mutex<Gate>,
    /// For the keeper: it is over.
    wake: Notify,
    /// For those who wait for the loss.
    lost: Notify,
}

/// Whether renewals may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    Open,
    /// The release is sent, or about to be.
    Closed,
}

#[derive(Debug)]
struct State {
    mode: Mode,
    /// Whether the mode is new, and the backend has not said yet that it knows it.
    mode_asked: bool,
    lost: Option<Lost>,
    /// The loss was counted and told.
    loss_told: bool,
    /// It does not count as held any more.
    counted_out: bool,
    let_go: bool,
    /// How it ended, for those who ask again.
    ended: Option<Known>,
}

impl State {
    fn of(mode: Mode) -> Self {
        let (mode_asked, loss_told, counted_out, let_go) = (false, false, false, false);
        Self { mode, mode_asked, lost: None, loss_told, counted_out, let_go, ended: None }
    }

    /// Whether others may hold it beside us. While the backend has not said that it lets others in, whoever holds a
    /// lock that is ours no more has taken it.
    fn has_companions(&self) -> bool {
        self.mode.is_shared() && !self.mode_asked
    }
}

/// What the backend has granted.
pub(crate) struct Granted {
    pub(crate) owner: Owner,
    pub(crate) fence: u64,
    pub(crate) turn: u64,
    pub(crate) valid_until: BootTime,
    /// Whether it took more than the first attempt.
    pub(crate) waited: bool,
}

/// Until when a lease may be relied on that was asked for at `sent_at`. The backend counts from later on,
/// and the rest is for clocks that run apart.
pub(crate) fn valid_until(sent_at: BootTime, lease: Duration) -> BootTime {
    sent_at + lease.saturating_sub(margin(lease))
}

/// When the backend may give a lock to others whose lease may be relied on until then.
pub(crate) fn over_at(valid_until: BootTime, lease: Duration) -> BootTime {
    valid_until + margin(lease) + limits::LEASE_EXTRA
}

fn margin(lease: Duration) -> Duration {
    lease / limits::LEASE_MARGIN_DIVISOR + limits::LEASE_MARGIN
}

impl Tenure {
    /// Begins with the first guard, and with a keeper if there is to be one.
    pub(crate) fn start(
        inner: &Arc<Inner>,
        plan: &Plan,
        pattern: Arc<PatternCounters>,
        caller: &Span,
        granted: Granted,
    ) -> Arc<Self> {
        let Granted { owner, fence, turn, valid_until, waited } = granted;
        let acquired_at = BootTime::now();
        let mode = plan.mode.clone();
        let (key, keys) = (&plan.keys[0], plan.keys.len());
        let span = tracing::debug_span!(parent: caller, "hold", %key, keys, %mode, fence);
        // Which acquisition has led to it.
        span.follows_from(Span::current());
        let tenure = Arc::new(Self {
            inner: Arc::clone(inner),
            keys: Arc::clone(&plan.keys),
            owner,
            fence,
            waited,
            turn,
            pattern,
            span,
            lease: plan.lease,
            keeper: AtomicBool::new(plan.keeper),
            acquired_at,
            kept_until: AtomicU64::new((acquired_at + plan.max_hold).as_micros()),
            kept_out: AtomicBool::new(false),
            valid_until: AtomicU64::new(valid_until.as_micros()),
            over_at: AtomicU64::new(over_at(valid_until, plan.lease).as_micros()),
            guards: AtomicU32::new(1),
            #[cfg(any(feature = "macros", feature = "postgres"))]
            committed: AtomicBool::new(false),
            state: Mutex::new(State::of(mode)),
            gate: Mutex::new(Gate::Open),
            wake: Notify::new(),
            lost: Notify::new(),
        });
        inner.add_tenure(&tenure);
        if plan.keeper {
            inner.spawn(keep(Arc::clone(&tenure)).instrument(tenure.span.clone()));
        }
        tenure
    }

    pub(crate) fn key(&self) -> &LockKey {
        &self.keys[0]
    }

    pub(crate) fn mode(&self) -> Mode {
        self.state().mode.clone()
    }

    /// From now on the hold counts as one in this mode, before the backend is asked for it: it may let others in without
    /// us hearing its answer. The same mode may be asked for again until it is answered. A hold that is lost stays what
    /// it was: it is told as such, and whoever has it next is no companion of ours.
    pub(crate) fn enter_mode(&self, mode: &Mode) -> Result<(), Error> {
        let mut state = self.state();
        let key = || self.key().clone();
        if let Some(how) = self.look_for_loss(&mut state) {
            return Err(Error::Lost { key: key(), how });
        }
        if state.mode_asked && state.mode == *mode {
            return Ok(());
        }
        // By its name the backend tells whether there is anything to change.
        let same = state.mode.name() == mode.name();
        if same || state.mode.is_shared() || !mode.is_shared() || self.keys.len() > 1 {
            return Err(Error::Upgrade { key: key(), from: state.mode.clone(), to: mode.clone() });
        }
        (state.mode, state.mode_asked) = (mode.clone(), true);
        Ok(())
    }

    pub(crate) fn valid_until(&self) -> BootTime {
        BootTime::from_micros(self.valid_until.load(Ordering::Acquire))
    }

    /// When it counts as lost: a little early, so that those who sleep until then are told by the end of its validity.
    fn lost_at(&self) -> BootTime {
        self.valid_until() - limits::LOSS_MARGIN
    }

    fn kept_until(&self) -> BootTime {
        BootTime::from_micros(self.kept_until.load(Ordering::Acquire))
    }

    /// The keeper renews for so long from now.
    pub(crate) fn keep_for(&self, max_hold: Duration) {
        self.kept_until.store((BootTime::now() + max_hold).as_micros(), Ordering::Release);
    }

    /// How it was lost, if it was. Looks at the clock itself, so that nobody has to have been told.
    pub(crate) fn how_lost(&self) -> Option<Lost> {
        self.look_for_loss(&mut self.state())
    }

    fn look_for_loss(&self, state: &mut State) -> Option<Lost> {
        if state.lost.is_none() && !state.let_go && BootTime::now() >= self.lost_at() {
            let kept_out = self.kept_out.load(Ordering::Acquire) || BootTime::now() >= self.kept_until();
            let keeper = self.keeper.load(Ordering::Acquire);
            let how = if keeper && kept_out { Lost::MaxHold } else { Lost::Expired };
            self.lose(state, how);
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
            self.tell_loss(state, how);
        }
    }

    /// Once, whoever finds out first: a look, a renewal, a notice or the release.
    fn tell_loss(&self, state: &mut State, how: Lost) {
        if std::mem::replace(&mut state.loss_told, true) {
            return;
        }
        self.inner.counters.lost(&self.pattern);
        self.count_out(state);
        let held_ms = BootTime::now().since(self.acquired_at).as_millis();
        self.span.in_scope(|| {
            tracing::warn!(key = %self.key(), fence = self.fence, held_ms, "lock lost: {how}");
        });
    }

    fn count_out(&self, state: &mut State) {
        if !std::mem::replace(&mut state.counted_out, true) {
            self.inner.counters.ended(&self.pattern, self.acquired_at);
        }
    }

    /// Somebody has ended the hold for us.
    pub(crate) fn broken(&self) {
        let mut state = self.state();
        if !state.let_go {
            self.lose(&mut state, Lost::Broken);
        }
        drop(state);
        self.wake.notify_one();
    }

    /// Comes back when the lock is lost, and just before the end of its validity at the latest.
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
                () = sleep_until(self.lost_at().timer()) => {}
            }
        }
    }

    /// Asks the backend once for more time, and perhaps for a mode that was [entered](Self::enter_mode). Once the release is
    /// about to be sent, the backend is not asked any more, and it counts as not held; the answer to a renewal that is on its
    /// way by then is not heard.
    pub(crate) async fn renew(
        &self,
        lease: Duration,
        mode: Option<Mode>,
        limit: Duration,
    ) -> Result<Renewed, backend::Error> {
        let claim = limits::CLAIM.min(self.inner.settings.waiter_ttl);
        let answers_mode = mode.is_some();
        let request = Renew { keys: Arc::clone(&self.keys), owner: self.owner, lease, mode, claim };
        let sent_at = BootTime::now();
        let asked_until = over_at(valid_until(sent_at, lease), lease);
        self.over_at.fetch_max(asked_until.as_micros(), Ordering::AcqRel);
        let mut step = self.inner.backend.renew(&request);
        let while_open = poll_fn(|context| {
            // Nobody closes it meanwhile: on a way that keeps the order, it arrives before the release.
            let gate = self.gate();
            if *gate == Gate::Closed {
                return Poll::Ready(None);
            }
            step.as_mut().poll(context).map(Some)
        });
        let answer = timeout(limit, while_open).instrument(self.span.clone()).await;
        let no_answer = backend::Error::NoAnswer { doing: "renew a lock", timeout: limit };
        let Some(answer) = answer.unwrap_or(Some(Err(no_answer))) else {
            return Ok(Renewed::NotHeld { holder: None });
        };
        self.inner.counters.renewed(&self.pattern, answer.is_ok());
        match answer? {
            Renewed::Held => {
                self.valid_until.fetch_max(valid_until(sent_at, lease).as_micros(), Ordering::AcqRel);
                if answers_mode {
                    self.state().mode_asked = false;
                }
                self.span.in_scope(|| tracing::debug!(?lease, "renewed"));
                Ok(Renewed::Held)
            }
            Renewed::NotHeld { holder } => {
                let mut state = self.state();
                // A companion in a shared mode has taken nothing away.
                let rival = holder.filter(|_| !state.has_companions());
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

    /// One guard less. Returns how many are left; after the last one it must be [ended](end).
    pub(crate) fn remove_guard(&self) -> u32 {
        self.guards.fetch_sub(1, Ordering::AcqRel) - 1
    }

    /// What is over needs no release: it is tried a few times, in case that something of ours is still on its way. What is lost
    /// by our clock may go on where a renewal arrived and its answer did not.
    fn release_tries(&self) -> Tries {
        let over_at = BootTime::from_micros(self.over_at.load(Ordering::Acquire));
        Tries::begin(self.inner.settings.response_timeout).no_later_than(over_at)
    }

    fn is_over(&self) -> bool {
        let state = self.state();
        state.let_go || state.lost.is_some()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Renews until it is over, or has been held for too long.
async fn keep(tenure: Arc<Tenure>) {
    let settings = tenure.inner.settings;
    let limit = (tenure.lease / limits::RENEW_TIMEOUT_DIVISOR).min(settings.response_timeout);
    let mut signals = tenure.inner.signals();
    let mut renew_at = tenure.acquired_at + renew_pause(tenure.lease);
    loop {
        let now = BootTime::now();
        let wanted = tenure.keeper.load(Ordering::Acquire) && now < tenure.kept_until();
        if !wanted || tenure.is_over() || tenure.how_lost().is_some() {
            return;
        }
        if now < renew_at {
            let timer = renew_at.min(tenure.lost_at());
            tokio::select! {
                biased;
                () = tenure.wake.notified() => {}
                () = signals.changed() => {}
                () = sleep_until(timer.timer()) => {}
            }
            continue;
        }
        // The last one ends with the longest hold.
        let lease = tenure.lease.min(tenure.kept_until().since(now));
        let answer = tokio::select! {
            biased;
            () = tenure.wake.notified() => continue,
            answer = tenure.renew(lease, None, limit) => answer,
        };
        let pause = match answer {
            Ok(Renewed::Held) if lease < tenure.lease => {
                tenure.kept_out.store(true, Ordering::Release);
                return;
            }
            Ok(_) => renew_pause(tenure.lease),
            Err(error) => {
                tracing::debug!(key = %tenure.key(), %error, "renewal failed, trying again");
                tenure.lease / limits::RENEW_RETRY_DIVISOR
            }
        };
        renew_at = BootTime::now() + pause;
    }
}

/// Ends a tenure in the background, should whoever ends it be stopped half way.
struct Unfinished<'a>(&'a Arc<Tenure>);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        let tenure = Arc::clone(self.0);
        self.0.inner.spawn(async move { drop(end(tenure).await) });
    }
}

/// Lets the lock go. Once more does no harm.
pub(crate) async fn end(tenure: Arc<Tenure>) -> Outcome {
    let span = tenure.span.clone();
    let_go(tenure).instrument(span).await
}

async fn let_go(tenure: Arc<Tenure>) -> Outcome {
    let lost = {
        let mut state = tenure.state();
        if let Some(known) = state.ended {
            return known.into();
        }
        // Nobody may have looked since the lease ran out. A release that was stopped half way begins again, and was of a
        // lock that was not lost.
        let lost = tenure.look_for_loss(&mut state).filter(|how| *how != Lost::Released);
        // Whoever still looks at it is told, and the keeper stops, before the release is sent.
        tenure.lose(&mut state, Lost::Released);
        state.let_go = true;
        lost
    };
    *tenure.gate() = Gate::Closed;
    tenure.wake.notify_one();
    // Sent even if it is known to be lost: an acquire of ours may still be on its way.
    let unfinished = Unfinished(&tenure);
    let left = tenure.valid_until().remaining();
    let outcome = release(&tenure.inner, &tenure.keys, tenure.owner, tenure.release_tries()).await;
    std::mem::forget(unfinished);
    let late = BootTime::now() >= tenure.valid_until();
    let outcome = match (lost, outcome) {
        (Some(Lost::Stolen { fence }), _) => Outcome::Stolen { fence },
        (Some(Lost::Broken), _) => Outcome::Broken,
        // It was ours when the release was sent, and may have run out on the way or while nobody answered.
        (None, Outcome::Expired | Outcome::Stolen { .. }) if late => {
            let doing = "release a lock before the end of its lease";
            Outcome::Unknown(backend::Error::NoAnswer { doing, timeout: left })
        }
        (Some(_), Outcome::Unknown(_)) => Outcome::Expired,
        (_, Outcome::Stolen { .. }) if tenure.state().has_companions() => Outcome::Expired,
        (_, outcome) => outcome,
    };
    tracing::debug!(key = %tenure.key(), fence = tenure.fence, ?outcome, "let go");
    tenure.inner.remove_tenure(tenure.owner);
    let mut state = tenure.state();
    if let Some(how) = outcome.loss() {
        tenure.tell_loss(&mut state, how);
    }
    tenure.count_out(&mut state);
    state.ended = outcome.known();
    drop(state);
    outcome
}

/// For how long and how often a step is tried that is not answered.
pub(crate) struct Tries {
    made: u32,
    until: BootTime,
    pause: Duration,
    pause_max: Duration,
}

impl Tries {
    pub(crate) fn begin(response_timeout: Duration) -> Self {
        let until = BootTime::now() + response_timeout * limits::TRIES_RESPONSE_TIMEOUTS;
        // What the tries have to fit into counts in response timeouts.
        let pause_max = limits::TRY_PAUSE_MAX.min(response_timeout);
        Self { made: 0, until, pause: limits::TRY_PAUSE_MIN.min(pause_max), pause_max }
    }

    /// The least number of tries is made all the same.
    fn no_later_than(self, until: BootTime) -> Self {
        Self { until: self.until.min(until), ..self }
    }

    /// After one that was not answered: the pause before the next one, or nothing if that was the last.
    pub(crate) fn next_pause(&mut self) -> Option<Duration> {
        self.made += 1;
        // By the time alone a machine that sleeps would try but once; by their number those that fail at once, because nobody
        // is connected, would be over before anybody can connect again.
        if self.made >= limits::TRIES_MIN && BootTime::now() >= self.until {
            return None;
        }
        let next = self.pause_max.min(self.pause * 2);
        Some(std::mem::replace(&mut self.pause, next))
    }
}

/// Sends a release until it is answered, or all tries are made.
pub(crate) async fn release(inner: &Inner, keys: &Arc<[LockKey]>, owner: Owner, mut tries: Tries) -> Outcome {
    let limit = inner.settings.response_timeout;
    let request = Release {
        keys: Arc::clone(keys),
        owner,
        remember: limit * limits::RELEASE_MEMORY_RESPONSE_TIMEOUTS,
        claim: limits::CLAIM.min(inner.settings.waiter_ttl),
        wanted: inner.lines.wanted(keys),
    };
    loop {
        let answer = timeout(limit, inner.backend.release(&request)).await;
        let error = match answer {
            Ok(Ok(Ended::Released)) => return Outcome::Released,
            Ok(Ok(Ended::NotHeld { holder: Some(fence) })) => return Outcome::Stolen { fence },
            Ok(Ok(Ended::NotHeld { holder: None })) => return Outcome::Expired,
            Ok(Err(error)) => error,
            Err(_) => backend::Error::NoAnswer { doing: "release a lock", timeout: limit },
        };
        let refused = matches!(error, backend::Error::Refused { .. });
        let Some(pause) = tries.next_pause().filter(|_| !refused) else {
            tracing::warn!(key = %keys[0], %error, "release not answered; the lock ends with its lease");
            return Outcome::Unknown(error);
        };
        sleep(pause).await;
    }
}

fn renew_pause(lease: Duration) -> Duration {
    let pause = lease / limits::RENEW_DIVISOR;
    pause - pause / 10 + jitter(pause / 5)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tries of a release fit into the time for which a backend remembers it, and into a shutdown.
    #[test]
    fn unanswered_tries_fit_into_what_counts_in_response_timeouts() {
        for timeout_ms in [1, 10, 19, 20, 35, 100, 500] {
            let response_timeout = Duration::from_millis(timeout_ms);
            let mut tries = Tries::begin(response_timeout);
            let pauses: Duration = (1..limits::TRIES_MIN).map(|_| tries.next_pause().unwrap()).sum();
            let taken = response_timeout * limits::TRIES_MIN + pauses;
            assert!(taken < response_timeout * limits::RELEASE_MEMORY_RESPONSE_TIMEOUTS, "{timeout_ms} ms");
            assert!(taken < response_timeout * limits::SHUTDOWN_RESPONSE_TIMEOUTS, "{timeout_ms} ms");
        }
    }
}
