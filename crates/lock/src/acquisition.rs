//! From the wish for a lock to its guard.
//!
//! The first attempt is made where the caller waits for it, since mostly it is all that is needed. Nobody relies on it
//! being polled: a wake-up call goes to somebody else as well meanwhile. Who has to wait longer does so in a task of its
//! own: a waiter that was woken acts on it even if nobody polls its caller just then. Dropping an acquisition, at whatever
//! point, gives back what it may have got.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tracing::{Instrument as _, Span};

use crate::backend::{self, Acquire, Acquired, Owner, Waiting};
use crate::clock::BootTime;
use crate::inner::{Inner, Signals};
use crate::limits;
use crate::line::{InLine, Wake};
use crate::rt::{random, sleep_until, timeout};
use crate::tenure::{self, Granted, Tenure, Tries};
use crate::{Crowd, Error, Guard, LockKey, Mode};

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
    /// Of a request for more. Whoever asks for them counts those that are given up.
    pub(crate) part: bool,
}

type Reply = oneshot::Sender<Result<Guard, Error>>;

const DOING: &str = "acquire a lock";

/// Takes the lock, or says why not.
pub(crate) async fn acquire(inner: &Arc<Inner>, plan: Plan) -> Result<Guard, Error> {
    let caller = Span::current();
    let span =
        tracing::debug_span!("acquire", key = %plan.keys[0], keys = plan.keys.len(), mode = %plan.mode);
    try_and_wait(inner, plan, caller).instrument(span).await
}

async fn try_and_wait(inner: &Arc<Inner>, plan: Plan, caller: Span) -> Result<Guard, Error> {
    // Counted before the look, so that whoever shuts down either is seen here or waits: what the attempt brings can still be
    // given back then. Dropped after all that has to be given back.
    let running = inner.running();
    if inner.closing() {
        return Err(Error::ShutDown);
    }
    let mut acquisition = Acquisition::new(inner, plan, caller)?;
    let wait = acquisition.deadline.since(acquisition.started);
    let limit = inner.settings.response_timeout.min(wait.max(limits::ATTEMPT_MIN));
    let (mut sent_at, mut answer) = acquisition.first_attempt(limit).await;
    if matches!(answer, Ok(Acquired::Ended)) {
        if let Err(error) = acquisition.begin_anew() {
            return Err(acquisition.refuse(error));
        }
        (sent_at, answer) = acquisition.first_attempt(limit).await;
    }
    match acquisition.digest(sent_at, answer) {
        Next::Granted(granted) => {
            let guard = acquisition.grant(granted, None);
            // Whoever shuts down either sees the new tenure or is seen here.
            if inner.closing() { Err(Error::ShutDown) } else { Ok(guard) }
        }
        Next::Refused(error) => Err(acquisition.refuse(error)),
        Next::Again(_) if acquisition.line.is_none() || BootTime::now() >= acquisition.deadline => {
            let error = acquisition.late();
            Err(acquisition.refuse(error))
        }
        Next::Again(pause) => {
            let (reply, answer) = oneshot::channel();
            acquisition.line.iter().for_each(InLine::act);
            inner.spawn(acquisition.wait(reply, pause).in_current_span());
            // That task counts for itself.
            drop(running);
            answer.await.unwrap_or(Err(Error::ShutDown))
        }
    }
}

struct Acquisition {
    inner: Arc<Inner>,
    plan: Plan,
    /// In which span the lock was asked for. The hold is in it as well: it outlives the span of the acquisition.
    caller: Span,
    request: Acquire,
    /// In line before the first look, so that no notice can fall between the two.
    line: Option<InLine>,
    started: BootTime,
    deadline: BootTime,
    /// The backend may know of us: we have a place in a queue, or an attempt was not answered.
    doubt: bool,
    /// An attempt was not answered. It may arrive yet, whatever a later one is told, and take the lock for nobody.
    unanswered: bool,
    /// The backend has failed the last attempt.
    failed: bool,
    /// The key that stood in the way first, by its index: under its pattern the wait is counted.
    waited_for: Option<usize>,
    /// Somebody woke us, and it is not known yet what came of it.
    woken: bool,
    /// The caller has its answer.
    answered: bool,
    /// The key that stood in the way last, by its index.
    key: usize,
    last: Last,
}

/// What comes after an attempt.
enum Next {
    Granted(Granted),
    Refused(Error),
    /// Another attempt: after a pause, or when there is a reason.
    Again(Option<Duration>),
}

/// What the last attempt said.
enum Last {
    Nothing,
    Conflict { free_at: BootTime },
    Quarantined { until: BootTime },
    Failed(backend::Error),
}

impl Acquisition {
    fn new(inner: &Arc<Inner>, plan: Plan, caller: Span) -> Result<Self, Error> {
        let settings = &inner.settings;
        let waits = !plan.wait.is_zero();
        let queue = plan.keys.len() == 1;
        let request = Acquire {
            keys: Arc::clone(&plan.keys),
            owner: inner.backend.new_owner(),
            mode: plan.mode.clone(),
            lease: plan.lease,
            fence_min: plan.fence_min,
            fair: plan.fair,
            waiting: waits.then_some(Waiting { place: 0, ttl: settings.waiter_ttl, queue }),
            claim: limits::CLAIM.min(settings.waiter_ttl),
            timeout: settings.response_timeout,
        };
        let mut line = None;
        if waits {
            line = inner.lines.join(&plan.keys, request.owner, &plan.mode);
            if line.is_none() {
                let error = Error::TooManyWaiters { key: plan.keys[0].clone(), crowd: Crowd::Process };
                inner.counters.refused(&error);
                return Err(error);
            }
        }
        let started = BootTime::now();
        let deadline = started + if waits { plan.wait } else { settings.response_timeout };
        let inner = Arc::clone(inner);
        let (doubt, unanswered, failed, woken, answered) = (false, false, false, false, false);
        Ok(Self {
            inner,
            plan,
            caller,
            request,
            line,
            started,
            deadline,
            doubt,
            unanswered,
            failed,
            waited_for: None,
            woken,
            answered,
            key: 0,
            last: Last::Nothing,
        })
    }

    /// The attempt that is made where the caller waits for it, and when it was sent.
    async fn first_attempt(&mut self, limit: Duration) -> (BootTime, Result<Acquired, backend::Error>) {
        let sent_at = BootTime::now();
        self.doubt = true;
        let answer = timeout(limit, self.inner.backend.acquire(&self.request)).await;
        (sent_at, answer.unwrap_or(Err(backend::Error::NoAnswer { doing: DOING, timeout: limit })))
    }

    /// The backend takes our owner for one that was released: somebody else's random numbers were the same. Nothing
    /// that was asked for in that name can be granted any more. With another name, and at the end of the line.
    fn begin_anew(&mut self) -> Result<(), Error> {
        tracing::debug!(owner = %self.request.owner, "released before it was acquired, taking another owner");
        self.request.owner = self.inner.backend.new_owner();
        (self.doubt, self.unanswered) = (false, false);
        let source = "its owner was released already".into();
        self.last = Last::Failed(backend::Error::Unavailable { doing: DOING, source });
        if let Some(waiting) = &mut self.request.waiting {
            waiting.place = 0;
            let acts = self.line.take().is_some_and(|line| line.acts());
            self.line = self.inner.lines.join(&self.plan.keys, self.request.owner, &self.plan.mode);
            let Some(line) = &self.line else {
                let key = self.plan.keys[0].clone();
                return Err(Error::TooManyWaiters { key, crowd: Crowd::Process });
            };
            if acts {
                line.act();
            }
        }
        Ok(())
    }

    /// Waits and tries until there is an answer, or nobody to hear it.
    async fn wait(mut self, reply: Reply, mut pause: Option<Duration>) {
        let mut signals = self.inner.signals();
        let mut reply = Some(reply);
        loop {
            let wake = self.rest(&mut reply, pause.take(), &mut signals).await;
            let Some(wake) = wake else { return };
            self.woken = true;
            let sent_at = BootTime::now();
            let answer = self.attempt(&mut reply).await;
            let next = self.digest(sent_at, answer);
            // Gone while the attempt was on its way. What it has brought is given back.
            let Some(caller) = reply.take() else {
                self.doubt = true;
                return;
            };
            match next {
                Next::Granted(granted) => {
                    let inner = Arc::clone(&self.inner);
                    let guard = self.grant(granted, Some(wake));
                    // Whoever shuts down either sees the new tenure or is seen here. If nobody wants the guard any more, it
                    // comes back and is dropped.
                    drop(caller.send(if inner.closing() { Err(Error::ShutDown) } else { Ok(guard) }));
                    return;
                }
                Next::Refused(error) => {
                    drop(caller.send(Err(self.refuse(error))));
                    return;
                }
                Next::Again(another_pause) => pause = another_pause,
            }
            reply = Some(caller);
        }
    }

    /// One attempt. The caller has its answer in time even if that of the backend takes longer.
    async fn attempt(&mut self, reply: &mut Option<Reply>) -> Result<Acquired, backend::Error> {
        let limit = self.inner.settings.response_timeout;
        let limit_at = BootTime::now() + limit;
        self.doubt = true;
        let (inner, request) = (Arc::clone(&self.inner), self.request.clone());
        let mut step = inner.backend.acquire(&request);
        loop {
            let asked = reply.is_some();
            let timer = if asked { limit_at.min(self.deadline) } else { limit_at };
            tokio::select! {
                biased;
                answer = &mut step => return answer,
                () = closed(reply), if asked => *reply = None,
                () = sleep_until(timer.timer()) => {
                    let now = BootTime::now();
                    if now >= limit_at {
                        return Err(backend::Error::NoAnswer { doing: DOING, timeout: limit });
                    }
                    if now >= self.deadline {
                        self.answer_late(reply);
                    }
                }
            }
        }
    }

    /// Takes an answer of the backend into account.
    fn digest(&mut self, sent_at: BootTime, answer: Result<Acquired, backend::Error>) -> Next {
        let key = self.plan.keys[0].clone();
        self.failed = answer.is_err();
        match &self.line {
            Some(line) if self.failed => line.failed(),
            Some(line) => line.answered(),
            None => {}
        }
        match answer {
            Ok(Acquired::Granted { fence, turn }) => {
                let valid_until = tenure::valid_until(sent_at, self.plan.lease);
                if valid_until > BootTime::now() + limits::LOSS_MARGIN {
                    let owner = self.request.owner;
                    // Whether it was waited for is known to whoever asked.
                    return Next::Granted(Granted { owner, fence, turn, valid_until, waited: false });
                }
                // The answer took longer than the lease. The next attempt makes it new.
                Next::Again(Some(Duration::ZERO))
            }
            Ok(Acquired::Conflict(conflict)) => {
                let key = &self.plan.keys[conflict.key];
                if self.waited_for.is_none() {
                    self.waited_for = Some(conflict.key);
                    self.inner.counters.contended(key);
                }
                self.key = conflict.key;
                self.doubt = conflict.place > 0 || self.unanswered;
                self.last = Last::Conflict { free_at: BootTime::now() + conflict.holder_remaining };
                let (Some(waiting), Some(line)) = (&mut self.request.waiting, &self.line) else {
                    let (key, holder_remaining) = (key.clone(), conflict.holder_remaining);
                    return Next::Refused(Error::Busy { key, holder_remaining });
                };
                waiting.place = conflict.place;
                // Counted from when it was asked: the machine may have slept since it was answered.
                line.looked(conflict.key, sent_at + conflict.retry_after);
                if std::mem::take(&mut self.woken) {
                    if self.plan.keys.len() > 1 {
                        // What we were woken for may be free, and another one of our keys is not.
                        line.pass_on(conflict.key);
                    }
                    if !self.plan.fair && !conflict.holder_remaining.is_zero() {
                        // It may be full only for who lets in so few. Nobody passes the fair.
                        line.pass_on_to_more(conflict.key);
                    }
                }
                let another = |head: &Owner| *head != self.request.owner;
                if let Some(head) = conflict.head.filter(another) {
                    self.inner.lines.turn(key, head);
                }
                Next::Again(None)
            }
            Ok(Acquired::Quarantined { remaining }) => {
                // Counted from when it was asked, as above.
                let until = sent_at + remaining;
                // Sooner said than waited for in vain.
                let asked_again = until + limits::WAKE_LATE + limits::WAKE_JITTER;
                if self.line.is_none() || asked_again > self.deadline {
                    let remaining = until.remaining();
                    return Next::Refused(Error::Quarantined { key, remaining });
                }
                self.last = Last::Quarantined { until };
                let sleeps = self.sleep_through(until);
                if let Some(line) = &self.line {
                    line.quarantined(until);
                }
                Next::Again((!sleeps).then(|| until.remaining() + jitter(limits::WAKE_JITTER)))
            }
            Ok(Acquired::TooManyWaiters) => Next::Refused(Error::TooManyWaiters { key, crowd: Crowd::Queue }),
            Ok(Acquired::Ended) => match self.begin_anew() {
                Ok(()) => Next::Again(Some(pause_after_failure())),
                Err(error) => Next::Refused(error),
            },
            Err(source @ backend::Error::Refused { .. }) => Next::Refused(Error::Refused { key, source }),
            Err(source) => {
                self.unanswered = true;
                self.last = Last::Failed(source);
                Next::Again(None)
            }
        }
    }

    /// Whether one of the line asks for all of it when the quarantine is over: as if somebody held the lock until then. Who
    /// shares it has nothing to wait for by then, who wants a place in the queue has to ask for it, and who wants several
    /// keys sleeps beside the others.
    fn sleep_through(&mut self, over_at: BootTime) -> bool {
        let queues = self.plan.fair || self.request.waiting.is_none_or(|waiting| waiting.place > 0);
        if queues || self.plan.mode.is_shared() || self.plan.keys.len() > 1 {
            return false;
        }
        let Some(line) = &self.line else { return false };
        // A call that was heard is not lost: what is told now is when to come for it.
        self.woken = false;
        line.looked(0, over_at);
        if self.waited_for.is_none() && !line.watches() {
            self.waited_for = Some(0);
            self.inner.counters.contended(&self.plan.keys[0]);
        }
        true
    }

    /// Waits until it is time for the next attempt: after the pause, or when there is a reason. Nothing if
    /// there will be none.
    async fn rest(
        &mut self,
        reply: &mut Option<Reply>,
        pause: Option<Duration>,
        signals: &mut Signals,
    ) -> Option<Wake> {
        let settings = self.inner.settings;
        let until = pause.map(|pause| BootTime::now() + pause);
        let queued = self.request.waiting.is_some_and(|waiting| waiting.place > 0);
        let refresh_at = BootTime::now() + settings.waiter_refresh();
        // Fixed for this rest, so that the waiters of many processes come back one by one.
        let late = limits::WAKE_LATE + jitter(limits::WAKE_JITTER);
        loop {
            if signals.closing() {
                self.answer(reply, Error::ShutDown);
                return None;
            }
            // Before a wake-up call, which whoever is in time may use.
            let now = BootTime::now();
            if now >= self.deadline {
                self.answer_late(reply);
                return None;
            }
            let line = self.line.as_ref()?;
            let attempt_at = if until.is_some() {
                until
            } else {
                if let Some(wake) = line.take_wake() {
                    return Some(wake);
                }
                if self.failed {
                    line.next_try()
                } else {
                    let look_at = line.next_look(settings.recheck).map(|at| at + late);
                    [look_at, queued.then_some(refresh_at)].into_iter().flatten().min()
                }
            };
            if attempt_at.is_some_and(|at| now >= at) {
                return Some(line.take_time());
            }
            let timer = attempt_at.map_or(self.deadline, |at| at.min(self.deadline));
            tokio::select! {
                biased;
                () = closed(reply) => return None,
                () = line.changed(), if until.is_none() => {}
                () = signals.changed() => {}
                () = sleep_until(timer.timer()) => {}
            }
        }
    }

    /// The guard, got by the first attempt or by one that there was a reason for.
    fn grant(mut self, granted: Granted, wake: Option<Wake>) -> Guard {
        (self.doubt, self.answered) = (false, true);
        self.woken = false;
        if let Some(line) = self.line.take() {
            line.served(tenure::over_at(granted.valid_until, self.plan.lease), wake == Some(Wake::Chained));
        }
        tracing::debug!(fence = granted.fence, waited = self.waited_for.is_some(), "acquired");
        let pattern = self.inner.counters.pattern(&self.plan.keys[0]);
        if let Some(key) = self.waited_for {
            let in_the_way = self.inner.counters.pattern(&self.plan.keys[key]);
            self.inner.counters.waited(&in_the_way, self.started);
        }
        self.inner.counters.granted(&pattern, &self.plan.mode);
        let granted = Granted { waited: wake.is_some(), ..granted };
        Guard::new(Tenure::start(&self.inner, &self.plan, pattern, &self.caller, granted))
    }

    fn refuse(&mut self, error: Error) -> Error {
        self.answered = true;
        tracing::debug!(%error, "not acquired");
        self.inner.counters.refused(&error);
        error
    }

    fn answer(&mut self, reply: &mut Option<Reply>, error: Error) {
        if let Some(reply) = reply.take() {
            // Whether somebody still listens makes no difference now.
            drop(reply.send(Err(self.refuse(error))));
        }
    }

    fn answer_late(&mut self, reply: &mut Option<Reply>) {
        let error = self.late();
        self.answer(reply, error);
    }

    /// The time to wait is over.
    fn late(&mut self) -> Error {
        let key = self.plan.keys[self.key].clone();
        let waited = BootTime::now().since(self.started);
        match std::mem::replace(&mut self.last, Last::Nothing) {
            Last::Failed(source) => Error::Unavailable { key, source },
            Last::Conflict { free_at } => {
                Error::Timeout { key, waited, holder_remaining: free_at.remaining() }
            }
            Last::Quarantined { until } => {
                // Who asked for all of the line when it was to be over may have been told of another one.
                let until = self.line.as_ref().and_then(InLine::quarantined_until).unwrap_or(until);
                let remaining = until.remaining();
                if remaining.is_zero() {
                    return Error::Timeout { key, waited, holder_remaining: remaining };
                }
                Error::Quarantined { key, remaining }
            }
            Last::Nothing => {
                let source = backend::Error::NoAnswer { doing: DOING, timeout: waited };
                Error::Unavailable { key, source }
            }
        }
    }
}

impl Drop for Acquisition {
    fn drop(&mut self) {
        if !self.answered && !self.plan.part {
            self.inner.counters.cancelled();
        }
        if let (true, Some(line)) = (self.woken, &self.line) {
            // Our attempt was not answered, and perhaps never arrived.
            line.put_wake_back();
        }
        if self.doubt {
            // It is given up before anybody misses it. Should an attempt still be on its way, it arrives
            // after its own end and takes nothing.
            let (inner, keys, owner) =
                (Arc::clone(&self.inner), Arc::clone(&self.plan.keys), self.request.owner);
            self.inner.spawn(async move {
                let tries = Tries::begin(inner.settings.response_timeout);
                let _ = tenure::release(&inner, &keys, owner, tries).await;
            });
        }
    }
}

async fn closed(reply: &mut Option<Reply>) {
    match reply {
        Some(reply) => reply.closed().await,
        None => std::future::pending().await,
    }
}

fn pause_after_failure() -> Duration {
    limits::ATTEMPT_PAUSE - jitter(limits::ATTEMPT_PAUSE / 2)
}

/// A random duration from zero up to `max`.
pub(crate) fn jitter(max: Duration) -> Duration {
    max.mul_f64(random())
}
