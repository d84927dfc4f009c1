//! From the wish for a lock to its end: one task a lock. It acquires, hands the guard over, keeps the lock
//! while the guard lives, and releases it, whoever has stopped listening meanwhile.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::backend::{self, Acquire, Acquired, Owner, Waiting};
use crate::clock::BootTime;
use crate::inner::{Inner, Signals};
use crate::limits;
use crate::line::{InLine, Wake};
use crate::tenure::{self, Tenure};
use crate::{Error, Guard, LockKey, Mode};

/// What to take, how, and for how long.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Of one group, sorted, each once.
    pub(crate) keys: Arc<[LockKey]>,
    pub(crate) mode: Mode,
    pub(crate) wait: Duration,
    pub(crate) lease: Duration,
    /// Renew until the guard goes.
    pub(crate) keeper: bool,
    pub(crate) max_hold: Duration,
    pub(crate) fair: bool,
    pub(crate) fence_min: u64,
}

type Reply = oneshot::Sender<Result<Guard, Error>>;

/// Starts the task. The guard or the refusal comes by the channel; dropping that cancels.
pub(crate) fn start(inner: &Arc<Inner>, plan: Plan) -> oneshot::Receiver<Result<Guard, Error>> {
    let (reply, answer) = oneshot::channel();
    inner.spawn(live(Arc::clone(inner), plan, reply));
    answer
}

async fn live(inner: Arc<Inner>, plan: Plan, reply: Reply) {
    let mut signals = inner.signals();
    let mut acquisition = Acquisition::new(&inner, &plan, reply);
    let granted = acquisition.run(&mut signals).await;
    let Acquisition { reply, request, doubt, .. } = acquisition;
    let Some(Granted { fence, valid_until }) = granted else {
        // Whether it has a place, or perhaps the lock: it is given up before anybody misses it.
        if doubt {
            let _ = tenure::release(&inner, &request.keys, request.owner).await;
        }
        return;
    };
    let Some(reply) = reply else {
        let _ = tenure::release(&inner, &request.keys, request.owner).await;
        return;
    };
    let tenure = Arc::new(Tenure::new(&inner, &plan, request.owner, fence, valid_until));
    inner.counters.granted(&plan.mode);
    // If nobody wants the guard any more, it comes back and is dropped, which lets the lock go.
    drop(reply.send(Ok(Guard::new(Arc::clone(&tenure)))));
    tenure::keep(&tenure, &mut signals).await;
}

struct Granted {
    fence: u64,
    valid_until: BootTime,
}

struct Acquisition<'a> {
    inner: &'a Arc<Inner>,
    plan: &'a Plan,
    reply: Option<Reply>,
    request: Acquire,
    started: BootTime,
    deadline: BootTime,
    /// The backend may know of us: we have a place in a queue, or an attempt was not answered.
    doubt: bool,
    /// The key that stood in the way last, by its index.
    key: usize,
    last: Last,
}

/// What the last attempt said.
enum Last {
    Nothing,
    Conflict { free_at: BootTime },
    Failed(backend::Error),
}

impl<'a> Acquisition<'a> {
    fn new(inner: &'a Arc<Inner>, plan: &'a Plan, reply: Reply) -> Self {
        let settings = &inner.settings;
        let waits = !plan.wait.is_zero();
        let queue = plan.keys.len() == 1;
        let request = Acquire {
            keys: Arc::clone(&plan.keys),
            owner: Owner::random(),
            mode: plan.mode.clone(),
            lease: plan.lease,
            fence_min: plan.fence_min,
            fair: plan.fair,
            waiting: waits.then_some(Waiting { place: 0, ttl: settings.waiter_ttl, queue }),
            claim: limits::CLAIM.min(settings.waiter_ttl),
            timeout: settings.response_timeout,
        };
        let started = BootTime::now();
        let deadline = started + if waits { plan.wait } else { settings.response_timeout };
        let last = Last::Nothing;
        Self { inner, plan, reply: Some(reply), request, started, deadline, doubt: false, key: 0, last }
    }

    /// Acquires, or has answered why not.
    async fn run(&mut self, signals: &mut Signals) -> Option<Granted> {
        // In line before the first look, so that no notice can fall between the two.
        let line = self
            .request
            .waiting
            .map(|_| self.inner.lines.join(&self.plan.keys, self.request.owner, &self.plan.mode));
        let mut wake = Some(Wake::Told);
        let mut waited = false;
        loop {
            if signals.closing() {
                self.answer(Error::ShutDown);
            }
            if self.given_up() {
                return None;
            }
            let sent_at = BootTime::now();
            let outcome = self.attempt().await;
            let mut pause = None;
            match outcome {
                Ok(Acquired::Granted { fence }) => {
                    let valid_until = tenure::valid_until(sent_at, self.plan.lease);
                    if valid_until > BootTime::now() {
                        if let Some(line) = line {
                            line.served(self.plan.lease, wake == Some(Wake::Chained));
                        }
                        self.inner.counters.waited(self.started, waited);
                        return Some(Granted { fence, valid_until });
                    }
                    // The answer took longer than the lease. The next attempt makes it new.
                    self.doubt = true;
                }
                Ok(Acquired::Conflict(conflict)) => {
                    let key = &self.plan.keys[conflict.key];
                    if !waited {
                        waited = true;
                        self.inner.counters.contended(key);
                    }
                    self.last = Last::Conflict { free_at: BootTime::now() + conflict.holder_remaining };
                    self.key = conflict.key;
                    let (Some(waiting), Some(line)) = (&mut self.request.waiting, &line) else {
                        self.answer(Error::Busy {
                            key: key.clone(),
                            holder_remaining: conflict.holder_remaining,
                        });
                        return None;
                    };
                    waiting.place = conflict.place;
                    self.doubt |= conflict.place > 0;
                    line.looked(conflict.key, conflict.retry_after);
                    if let Some(head) = conflict
                        .head
                        .filter(|head| conflict.holder_remaining.is_zero() && *head != self.request.owner)
                    {
                        self.inner.lines.turn(key, head);
                    }
                }
                Ok(Acquired::Quarantined { remaining }) => {
                    self.doubt = true;
                    // Sooner said than waited for in vain.
                    if self.request.waiting.is_none() || BootTime::now() + remaining > self.deadline {
                        self.answer(Error::Quarantined { key: self.plan.keys[0].clone(), remaining });
                        return None;
                    }
                    pause = Some(remaining + jitter(limits::WAKE_JITTER));
                }
                Ok(Acquired::Ended) => unreachable!("nothing is acquired after its release"),
                Err(source @ backend::Error::Refused { .. }) => {
                    self.answer(Error::Refused { key: self.plan.keys[0].clone(), source });
                    return None;
                }
                Err(source) => {
                    self.doubt = true;
                    self.last = Last::Failed(source);
                    pause = Some(limits::ATTEMPT_PAUSE - jitter(limits::ATTEMPT_PAUSE / 2));
                }
            }
            let Some(line) = &line else {
                // One attempt was all that was asked for.
                self.answer_late();
                return None;
            };
            wake = match pause {
                Some(pause) => self.rest(pause, signals).await,
                None => self.sleep(line, signals).await,
            };
        }
    }

    /// One attempt. It is waited for even when the caller has gone: only then is it known what to undo.
    async fn attempt(&mut self) -> Result<Acquired, backend::Error> {
        let timeout = self.inner.settings.response_timeout;
        let limit = BootTime::now() + timeout;
        let request = self.request.clone();
        let inner = self.inner;
        let mut step = inner.backend.acquire(&request);
        loop {
            let timer = if self.given_up() { limit } else { limit.min(self.deadline) };
            let asked = self.reply.is_some();
            tokio::select! {
                biased;
                answer = &mut step => return answer,
                () = closed(&mut self.reply), if asked => self.cancel(),
                () = tokio::time::sleep_until(timer.timer()) => {
                    let now = BootTime::now();
                    if now >= limit {
                        return Err(backend::Error::NoAnswer { doing: "acquire a lock", timeout });
                    }
                    if now >= self.deadline && asked {
                        if matches!(self.last, Last::Nothing) {
                            let timeout = now.since(self.started);
                            let error = backend::Error::NoAnswer { doing: "acquire a lock", timeout };
                            self.last = Last::Failed(error);
                        }
                        self.answer_late();
                    }
                }
            }
        }
    }

    /// Waits until it is time for the next attempt, or for giving up.
    async fn sleep(&mut self, line: &InLine, signals: &mut Signals) -> Option<Wake> {
        let settings = &self.inner.settings;
        let refresh = settings.waiter_ttl / limits::WAITER_REFRESH_DIVISOR;
        let queued = self.request.waiting.is_some_and(|waiting| waiting.place > 0);
        let refresh_at = queued.then(|| BootTime::now() + refresh);
        // Fixed for this sleep, so that the waiters of many processes come back one by one.
        let late = Duration::from_millis(1) + jitter(limits::WAKE_JITTER);
        loop {
            if let Some(wake) = line.take_wake() {
                return Some(wake);
            }
            let look_at = line.next_look(self.key, settings.recheck).map(|at| at + late);
            let attempt_at = [look_at, refresh_at].into_iter().flatten().min();
            let now = BootTime::now();
            if now >= self.deadline {
                self.answer_late();
                return None;
            }
            if attempt_at.is_some_and(|at| now >= at) {
                return Some(Wake::Chained);
            }
            let timer = attempt_at.map_or(self.deadline, |at| at.min(self.deadline));
            tokio::select! {
                biased;
                () = closed(&mut self.reply) => {
                    self.cancel();
                    return None;
                }
                () = line.changed() => {}
                () = signals.changed() => {
                    if signals.closing() {
                        return None;
                    }
                }
                () = tokio::time::sleep_until(timer.timer()) => {}
            }
        }
    }

    /// Waits a fixed while.
    async fn rest(&mut self, pause: Duration, signals: &mut Signals) -> Option<Wake> {
        let until = BootTime::now() + pause;
        loop {
            let now = BootTime::now();
            if now >= self.deadline {
                self.answer_late();
                return None;
            }
            if now >= until {
                return Some(Wake::Chained);
            }
            tokio::select! {
                biased;
                () = closed(&mut self.reply) => {
                    self.cancel();
                    return None;
                }
                () = signals.changed() => {
                    if signals.closing() {
                        return None;
                    }
                }
                () = tokio::time::sleep_until(until.min(self.deadline).timer()) => {}
            }
        }
    }

    fn given_up(&self) -> bool {
        self.reply.is_none()
    }

    fn cancel(&mut self) {
        self.reply = None;
        self.inner.counters.cancelled();
    }

    fn answer(&mut self, error: Error) {
        if let Some(reply) = self.reply.take() {
            self.inner.counters.refused(&error);
            // Whether somebody still listens makes no difference now.
            drop(reply.send(Err(error)));
        }
    }

    /// The time to wait is over.
    fn answer_late(&mut self) {
        let key = self.plan.keys[self.key].clone();
        let waited = BootTime::now().since(self.started);
        let error = match std::mem::replace(&mut self.last, Last::Nothing) {
            Last::Failed(source) => Error::Unavailable { key, source },
            Last::Conflict { free_at } => {
                Error::Timeout { key, waited, holder_remaining: free_at.remaining() }
            }
            Last::Nothing => Error::Timeout { key, waited, holder_remaining: Duration::ZERO },
        };
        self.answer(error);
    }
}

async fn closed(reply: &mut Option<Reply>) {
    match reply {
        Some(reply) => reply.closed().await,
        None => std::future::pending().await,
    }
}

/// A random duration from zero up to `max`.
pub(crate) fn jitter(max: Duration) -> Duration {
    max.mul_f64(fastrand::f64())
}
