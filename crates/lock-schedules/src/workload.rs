//! A few clients of two processes who want the same locks, and what must hold for them.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use shuttle::rand::{Rng as _, thread_rng};
use shuttle::sync::Mutex;

use crate::backend::{self, Acquire, Backend as _, Owner};
use crate::explore::Mood;
use crate::wire::{Failing, Faults, Server, Wire};
use crate::{
    BootTime, Error, Guard, LockKey, Locks, Lost, Mode, MultiGuard, Outcome, Request, Settings, limits, rt,
};

const PROCESSES: usize = 2;
/// The one that shuts down, where one does.
const CLOSED: usize = 0;
const EXCLUSIVE: &str = "exclusive";
const SHARED: &str = "shared";
/// The greatest number that anybody who names one lets hold a mode.
const LIMIT_MAX: u32 = 3;
const CLIENTS: usize = 4;
const ROUNDS_MAX: u32 = 2;
/// How long somebody holds a lock or leaves a request alone who is in no hurry. All of them together are less than a lease,
/// a pause between two looks, and the time in which the first of a queue has to take its turn.
const WHILE_MAX_MS: u32 = 30;
const A_WHILE_MAX: Duration = Duration::from_millis(WHILE_MAX_MS as u64);
const KEYS: [&str; 2] = ["product:1", "product:2"];
/// The longest pause between the end of a lease and the look at it.
const LOOK_LATE: Duration = Duration::from_millis(12);
/// How long nobody hears anything, when all is silent.
const SILENCE_MAX_MS: u64 = 6_000;
/// When steps begin to fail, and for how long they do: less than a release is tried for, and than any lease.
const FAILS_FROM_MAX_MS: u32 = 60;
const FAILS_MAX_MS: u32 = 1_200;
/// For so long that whoever is failed is answered while its turn is kept for it, be it the last one to ask.
const FAILS_BRIEFLY: Duration = Duration::from_millis(150);
/// How long those wait who are not patient.
const SHORT_WAIT_MAX_MS: u32 = 1_500;
/// How often others go on before the first quarantine begins, at the most.
const QUARANTINE_YIELDS_MAX: u32 = 120;
/// Longer than any lease.
const QUARANTINE: Duration = Duration::from_secs(12);
/// For those who must be served.
const PATIENT: Duration = Duration::from_secs(600);
const CRASHED_LEASE: Duration = Duration::from_secs(3);
/// By how much a holder counts its lease shorter than the other side does, at the most.
const LEASE_SHORTER: Duration = Duration::from_millis(103);
/// How often others go on before a process shuts down, at the most.
const CLOSING_YIELDS_MAX: u32 = 120;
/// How often the machine falls asleep in one run, if it does.
const SLEEPS_MAX: u32 = 6;
/// The longest that it sleeps, which is longer than any lease and any place in a queue.
const SLEEP_MAX_MS: u64 = 40_000;
/// Yields until what goes on in the background must be done, if nothing is lost.
const BACKGROUND_YIELDS_MAX: u32 = 5_000;
/// More than any lease and any memory of a release.
const ALL_OVER: Duration = Duration::from_secs(60);

/// One run.
pub(crate) fn run(mood: Mood) {
    shuttle::future::block_on(async move {
        rt::start();
        let world = Arc::new(World::new(mood));
        if matches!(mood, Mood::Crashed | Mood::Drowsy) {
            world.crash().await;
        }
        if mood.is_unhurried() {
            let world = Arc::downgrade(&world);
            rt::before_move(move |to| {
                world.upgrade().iter().for_each(|world| world.nobody_sleeps_in_vain(to));
            });
        }
        let server = (mood == Mood::Quarantined)
            .then(|| shuttle::future::spawn(begin_quarantines(world.server.clone())));
        let machine = (mood == Mood::Drowsy).then(|| shuttle::future::spawn(doze()));
        let closing = (mood == Mood::Closing).then(|| shuttle::future::spawn(Arc::clone(&world).close_one()));
        let clients: Vec<_> =
            (0..CLIENTS).map(|client| shuttle::future::spawn(Arc::clone(&world).client(client))).collect();
        for client in clients {
            client.await.expect("nobody stops a client");
        }
        if let Some(closing) = closing {
            closing.await.expect("it comes to its end");
        }
        if let Some(server) = server {
            server.await.expect("it comes to its end");
        }
        if let Some(machine) = machine {
            machine.await.expect("it wakes again");
        }
        world.end().await;
        rt::stop();
    });
}

struct World {
    mood: Mood,
    server: Server,
    failing: Failing,
    processes: Vec<(Wire, Locks)>,
    /// Whether anybody asks for a place in a queue, for being fair or in a mode that can be shared.
    queues: bool,
    started: BootTime,
    /// When somebody let go last, in microseconds of [`BootTime`]. No point where another task may go on.
    free_since: AtomicU64,
    /// Who relies on what.
    holders: Mutex<Holders>,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Holders {
    present: Vec<(u64, Weak<Held>)>,
    next: u64,
    /// The greatest fence of a lock that was held alone, by key.
    fences: [u64; KEYS.len()],
}

#[derive(Default)]
struct Counts {
    requests: u64,
    granted: u64,
}

enum Held {
    One(Guard),
    All(MultiGuard),
}

/// How a client wants its lock.
struct Wish {
    keys: &'static [&'static str],
    mode: &'static str,
    /// How many it lets hold that mode, itself included.
    holders_max: Option<u32>,
    fair: bool,
    wait: Duration,
    lease: Option<Duration>,
}

impl Held {
    fn valid_until(&self) -> BootTime {
        match self {
            Self::One(guard) => guard.valid_until(),
            Self::All(guard) => guard.valid_until(),
        }
    }

    fn fence(&self, key: &str) -> Option<u64> {
        match self {
            Self::One(guard) => (guard.key().as_str() == key).then(|| guard.fence()),
            Self::All(guard) => guard.fence(&LockKey::new(key).expect("a key")),
        }
    }

    fn is_lost(&self) -> bool {
        match self {
            Self::One(guard) => guard.check().is_err(),
            Self::All(guard) => guard.check().is_err(),
        }
    }

    fn mode(&self) -> Mode {
        match self {
            Self::One(guard) => guard.mode(),
            Self::All(_) => Mode::exclusive(),
        }
    }

    async fn lost(&self) -> Lost {
        match self {
            Self::One(guard) => guard.lost().await,
            Self::All(guard) => guard.lost().await,
        }
    }

    async fn release(self) -> Outcome {
        match self {
            Self::One(guard) => guard.release().await,
            Self::All(guard) => guard.release().await,
        }
    }
}

impl World {
    fn new(mood: Mood) -> Self {
        let server = Server::new();
        let started = BootTime::now();
        let sound = Faults { deaf: mood == Mood::Unhurried, ..Faults::none() };
        let faults = match mood {
            Mood::Calm
            | Mood::Unhurried
            | Mood::Closing
            | Mood::Crashed
            | Mood::Drowsy
            | Mood::Quarantined => sound,
            Mood::Failing => Faults { failing: failing(started), deaf: true, ..sound },
            Mood::Silence => {
                let from = started + Duration::from_millis(any(2_000).into());
                let until = from + Duration::from_millis(thread_rng().gen_range(0..SILENCE_MAX_MS));
                Faults { loses_one_of: 12, dead: [from, until], ..sound }
            }
            Mood::Restless => Faults { loses_one_of: 8, ..sound },
        };
        let failing = faults.failing;
        let settings = Settings { lease_max: Duration::from_secs(10), ..Settings::default() };
        let process = |number| {
            let wire = Wire::new(number, &server, faults);
            let locks = Locks::with_settings(wire.clone(), settings).expect("these settings are in range");
            (wire, locks)
        };
        let processes = (0..PROCESSES).map(process).collect();
        let free_since = AtomicU64::new(started.as_micros());
        let (holders, counts) = (Mutex::default(), Mutex::default());
        // The first of a queue may not be answered before it has lost its turn, and nobody is told of that.
        let for_long = failing.during[1].since(failing.during[0]) > FAILS_BRIEFLY;
        let queues = !for_long && (mood != Mood::Drowsy || any(1) == 0);
        Self { mood, server, failing, processes, queues, started, free_since, holders, counts }
    }

    /// Somebody takes all locks and is never heard of again.
    async fn crash(&self) {
        let keys = KEYS.map(|key| LockKey::new(key).expect("a key"));
        let request = Acquire {
            keys: keys.into(),
            owner: Owner::from_bytes([0xff; 16]),
            mode: Mode::exclusive(),
            lease: CRASHED_LEASE,
            fence_min: 0,
            fair: false,
            waiting: None,
            claim: limits::CLAIM,
            timeout: limits::RESPONSE_TIMEOUT,
        };
        self.server.memory.acquire(&request).await.expect("memory answers");
        self.free_from(self.started + CRASHED_LEASE + limits::LEASE_EXTRA);
    }

    /// One process shuts down, and must leave nothing behind.
    async fn close_one(self: Arc<Self>) {
        yields(any(CLOSING_YIELDS_MAX)).await;
        let (wire, locks) = &self.processes[CLOSED];
        locks.shutdown().await;
        for key in KEYS {
            let state =
                self.server.memory.look(&LockKey::new(key).expect("a key")).await.expect("memory answers");
            let held = state.holders.iter().any(|holder| wire.made(&holder.owner));
            assert!(!held, "{key} is left to a process that was shut down");
            let waits = state.waiters.iter().any(|waiter| wire.made(&waiter.owner));
            assert!(!waits, "a place in the queue of {key} is left to a process that was shut down");
        }
    }

    async fn client(self: Arc<Self>, client: usize) {
        let process = client % PROCESSES;
        let locks = &self.processes[process].1;
        for _ in 0..=any(ROUNDS_MAX - 1) {
            let wish = self.wish();
            self.counts(|counts| counts.requests += 1);
            let asked = BootTime::now();
            let patience = if any(3) == 0 { Some(any(40)) } else { None };
            let taken = async {
                let leaves_it_alone = self.mood.is_unhurried() && any(3) == 0;
                if leaves_it_alone { left_alone(take(locks, &wish)).await } else { take(locks, &wish).await }
            };
            let answer = before(taken, patience).await;
            match answer {
                None => self.free_from(BootTime::now()),
                Some(Err(error)) => self.not_got(process, &wish, asked, &error),
                Some(Ok(held)) => self.got(&wish, asked, held).await,
            }
        }
    }

    fn wish(&self) -> Wish {
        let keys: &[&str] = match any(5) {
            0 | 1 => &KEYS,
            2 => &KEYS[1..],
            _ => &KEYS[..1],
        };
        let mode = match any(4) {
            _ if keys.len() > 1 || !self.queues => EXCLUSIVE,
            0 => SHARED,
            1 => "allocate",
            _ => EXCLUSIVE,
        };
        let holders_max = (mode != EXCLUSIVE && any(3) > 0).then(|| 1 + any(LIMIT_MAX - 1));
        let wait = match self.mood {
            Mood::Calm | Mood::Unhurried | Mood::Closing | Mood::Crashed => PATIENT,
            Mood::Failing | Mood::Quarantined | Mood::Drowsy if any(2) > 0 => PATIENT,
            Mood::Failing => Duration::from_millis(any(SHORT_WAIT_MAX_MS).into()),
            // Some outlast a quarantine, and another one not.
            Mood::Quarantined if any(1) == 0 => QUARANTINE + Duration::from_millis(any(8_000).into()),
            Mood::Quarantined => Duration::from_millis(any(8_000).into()),
            Mood::Drowsy => Duration::from_millis((1 + any(8_000)).into()),
            Mood::Silence | Mood::Restless => Duration::from_millis(match any(4) {
                0 => 0,
                1 => 5,
                _ => any(8_000).into(),
            }),
        };
        let lease = (any(3) > 0).then(|| Duration::from_millis(2_000 + u64::from(any(2_000))));
        Wish { keys, mode, holders_max, fair: self.queues && any(3) == 0, wait, lease }
    }

    fn not_got(&self, process: usize, wish: &Wish, asked: BootTime, error: &Error) {
        let waited = BootTime::now().since(asked);
        match self.mood {
            Mood::Closing if process == CLOSED && matches!(error, Error::ShutDown) => {}
            Mood::Calm | Mood::Unhurried | Mood::Closing | Mood::Crashed => {
                panic!("not served after {waited:?}: {error}")
            }
            Mood::Silence => {
                let limit = if wish.wait.is_zero() { limits::RESPONSE_TIMEOUT } else { wish.wait };
                // Several keys may be asked for one after the other, but here they are of one group.
                let limit = limit.max(limits::ATTEMPT_MIN);
                assert!(
                    waited <= limit,
                    "a caller who waits {limit:?} was answered late, after {waited:?}: {error}"
                );
            }
            Mood::Drowsy => {
                assert!(wish.wait < PATIENT, "not served after {waited:?}: {error}");
                // The machine may have slept before the wait began; or for so long that a grant was over before it was heard of.
                let began = match error {
                    Error::Timeout { waited, .. } => BootTime::now() - *waited,
                    _ => asked.max(rt::woke()),
                };
                let limit = began + wish.wait.max(limits::ATTEMPT_MIN);
                let late = late_for(limit, Duration::ZERO);
                assert!(
                    late.is_zero(),
                    "a caller who waits {:?} was answered late, by {late:?}: {error}",
                    wish.wait
                );
            }
            Mood::Failing | Mood::Quarantined => {
                assert!(wish.wait < PATIENT, "not served after {waited:?}: {error}");
                let limit = if wish.wait.is_zero() { limits::RESPONSE_TIMEOUT } else { wish.wait };
                // It may be left alone when the answer is there.
                let limit = limit.max(limits::ATTEMPT_MIN) + A_WHILE_MAX;
                assert!(
                    waited <= limit,
                    "a caller who waits {:?} was answered late, after {waited:?}: {error}",
                    wish.wait
                );
                self.told_truly(process, wish, asked, error);
            }
            Mood::Restless => {}
        }
    }

    /// Why it was not got is what was in the way.
    fn told_truly(&self, process: usize, wish: &Wish, asked: BootTime, error: &Error) {
        let now = BootTime::now();
        let quarantines = self.server.quarantines();
        let covered = self.failing.covers(asked, now) || covered(&quarantines, asked, now);
        let truly = match error {
            Error::Busy { .. } | Error::Timeout { .. } => !covered,
            Error::Unavailable { source: backend::Error::Unavailable { .. }, .. } => {
                self.processes[process].0.failed_at().is_some_and(|failed_at| failed_at >= asked)
            }
            Error::Quarantined { remaining, .. } => quarantines.iter().any(|[_, until]| {
                let told = now + *remaining;
                *until <= told && told <= *until + A_WHILE_MAX
            }),
            _ => false,
        };
        assert!(
            truly,
            "who asked at {asked:?} is told at {now:?}: {error:?}; {:?}, quarantines {quarantines:?}",
            self.failing
        );
        let outlasted = |[begun, over]: &[BootTime; 2]| *begun < asked && asked + wish.wait < *over;
        let waited = now.since(asked);
        assert!(
            waited <= A_WHILE_MAX || !quarantines.last().is_some_and(outlasted),
            "who cannot outlast a quarantine was told so after {waited:?}"
        );
    }

    async fn got(&self, wish: &Wish, asked: BootTime, held: Held) {
        let waited = BootTime::now().since(asked);
        self.counts(|counts| counts.granted += 1);
        match self.mood {
            Mood::Calm | Mood::Closing => {
                assert!(waited.is_zero(), "{:?} had to wait for the clock, for {waited:?}", wish.keys);
            }
            Mood::Crashed => {
                let limit = CRASHED_LEASE + limits::LEASE_EXTRA + LOOK_LATE;
                let since = BootTime::now().since(self.started);
                assert!(since <= limit, "{:?} was served late, after {since:?}", wish.keys);
            }
            Mood::Drowsy => {
                // Who waits behind a queue knows nothing of those that were served from it by another process and are gone
                // without a word, and looks again some time later.
                let late_max = LOOK_LATE + if self.queues { limits::RECHECK } else { Duration::ZERO };
                let late = late_for(self.free_since().max(asked), late_max);
                assert!(late.is_zero(), "{:?} was served late, by {late:?}", wish.keys);
            }
            Mood::Unhurried | Mood::Failing | Mood::Quarantined | Mood::Silence | Mood::Restless => {}
        }
        let held = Arc::new(held);
        let number = self.enter(&held);
        yields(any(6)).await;
        if self.mood.is_unhurried() {
            a_while().await;
            if self.mood == Mood::Quarantined {
                // It may be lost by now.
            } else if !self.queues {
                // Who waits for a lock of another mode is queued.
            } else if let (Held::One(guard), 0) = (&*held, any(2))
                && !guard.mode().is_shared()
                && guard.mode().name() != SHARED
            {
                guard.downgrade(Mode::shared()).await.expect("nothing is lost");
                a_while().await;
            }
        } else if matches!(self.mood, Mood::Silence | Mood::Drowsy) && any(3) == 0 {
            let lost = before(held.lost(), (any(3) == 0).then(|| any(40))).await;
            let valid_until = held.valid_until();
            let late = match self.mood {
                Mood::Drowsy => late_for(valid_until, Duration::ZERO),
                _ => BootTime::now().since(valid_until),
            };
            assert!(
                lost.is_none() || late.is_zero(),
                "{:?} was told of its loss late, by {late:?}",
                wish.keys
            );
        } else if matches!(self.mood, Mood::Silence | Mood::Restless) && any(2) == 0 {
            rt::sleep(Duration::from_millis(any(6_000).into())).await;
        }
        // It is free as soon as the other side knows, which may be before we do.
        self.free_from(BootTime::now());
        self.leave(number);
        let held = Arc::into_inner(held).expect("others look at it in `enter` only");
        self.let_go(held).await;
        self.free_from(BootTime::now());
    }

    /// When the last one let go, or reached the end of its lease, be it told of it or not.
    fn free_since(&self) -> BootTime {
        let holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
        let present = holders.present.iter().filter_map(|(_, held)| held.upgrade());
        let ends = present.map(|held| held.valid_until() + LEASE_SHORTER);
        ends.chain([BootTime::from_micros(self.free_since.load(Ordering::Relaxed))])
            .max()
            .expect("one at least")
    }

    fn free_from(&self, time: BootTime) {
        self.free_since.fetch_max(time.as_micros(), Ordering::Relaxed);
    }

    async fn let_go(&self, held: Held) {
        let outcome = match any(5) {
            0 => {
                drop(held);
                None
            }
            1 => before(held.release(), Some(any(20))).await,
            2 => match held {
                Held::One(guard) => match guard.reenter() {
                    Ok(inner) => {
                        drop(guard);
                        Some(inner.release().await)
                    }
                    Err(_) => None,
                },
                Held::All(guard) => Some(guard.release().await),
            },
            _ => Some(held.release().await),
        };
        if matches!(self.mood, Mood::Calm | Mood::Unhurried | Mood::Failing | Mood::Crashed) {
            let released = outcome.is_none_or(|outcome| matches!(outcome, Outcome::Released));
            assert!(released, "a lock that was held until now was not released");
        }
    }

    /// From now on this one relies on its lock. Nobody may who would be in its way.
    fn enter(&self, held: &Arc<Held>) -> u64 {
        let mut holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
        let mode = held.mode();
        // What a shutdown has let go of is relied on by nobody.
        let let_go = |held: &Held| self.mood == Mood::Closing && held.is_lost();
        let mut present: Vec<Arc<Held>> =
            holders.present.iter().filter_map(|(_, other)| other.upgrade()).collect();
        present.retain(|other| !let_go(other));
        let ours = !let_go(held);
        for key in KEYS.into_iter().filter(|key| ours && held.fence(key).is_some()) {
            // It and those of its own mode, as far as they still rely on it.
            let mut company = vec![held];
            for other in present.iter().filter(|other| other.fence(key).is_some()) {
                if mode.name() != EXCLUSIVE && other.mode().name() == mode.name() {
                    company.extend((!other.valid_until().remaining().is_zero()).then_some(other));
                    continue;
                }
                let relied_on = held.valid_until().min(other.valid_until());
                // The clock last: validity only grows.
                let overlap = relied_on.remaining();
                assert!(overlap.is_zero(), "two rely on the same lock, {key}, for another {overlap:?}");
            }
            let limits = company.iter().map(|held| held.mode().holders_max());
            let fewest = limits.min().expect("it is in its own company");
            if company.len() > usize::try_from(fewest).unwrap_or(usize::MAX) {
                let relied_on = company.iter().map(|held| held.valid_until()).min();
                let overlap = relied_on.expect("it is in its own company").remaining();
                let size = company.len();
                assert!(
                    overlap.is_zero(),
                    "one who lets {fewest} hold {key} is one of {size} for another {overlap:?}"
                );
            }
        }
        let valid = ours && !held.valid_until().remaining().is_zero();
        for (key, greatest) in KEYS.into_iter().zip(&mut holders.fences) {
            let Some(fence) = held.fence(key).filter(|_| !mode.is_shared() && valid) else { continue };
            assert!(fence > *greatest, "{key} was granted with the fence {fence} after {greatest}");
            *greatest = fence;
        }
        holders.next += 1;
        let number = holders.next;
        holders.present.push((number, Arc::downgrade(held)));
        number
    }

    fn leave(&self, number: u64) {
        let mut holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
        holders.present.retain(|(other, _)| *other != number);
    }

    /// Nobody has anything to do but to wait for the clock, which moves on to then.
    fn nobody_sleeps_in_vain(&self, to: BootTime) {
        let failed_at = self.processes.iter().filter_map(|(wire, _)| wire.failed_at()).max();
        let quarantined_until = self.server.quarantines().last().map(|[_, until]| *until);
        if failed_at.is_some_and(|at| to <= at + limits::ATTEMPT_PAUSE_MAX + A_WHILE_MAX)
            || quarantined_until.is_some_and(|until| to <= until + LOOK_LATE)
        {
            // Somebody may come for it then.
            return;
        }
        for (wire, locks) in &self.processes {
            let left = wire.failed().into_iter().find(|owner| locks.waits(*owner));
            assert!(left.is_none(), "{left:?} was failed and sleeps, and nobody asks for it any more");
        }
        let told: Vec<Vec<Acquire>> = self.processes.iter().map(|(wire, _)| wire.told_to_wait()).collect();
        let hears = |owner: &Owner| told.iter().flatten().any(|request| request.owner == *owner);
        for ((_, locks), requests) in self.processes.iter().zip(&told) {
            for request in requests {
                // A turn is kept for a while for one who has not heard yet of its place in the queue.
                if !request
                    .keys
                    .iter()
                    .flat_map(|key| self.server.memory.in_queue(key))
                    .all(|owner| hears(&owner))
                {
                    continue;
                }
                let waits = locks.waits(request.owner);
                assert!(
                    !waits || !self.server.memory.would_grant(request),
                    "{:?} sleeps and could have {:?}, {}",
                    request.owner,
                    request.keys,
                    request.mode
                );
            }
        }
    }

    fn counts(&self, count: impl FnOnce(&mut Counts)) {
        count(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Nobody wants anything any more, so nothing is held and nobody waits, and the books balance.
    async fn end(&self) {
        rt::wait_for_others();
        if self.mood == Mood::Calm {
            let mut left = BACKGROUND_YIELDS_MAX;
            while !self.server.memory.is_idle() {
                assert!(left > 0, "nobody wants it, and it is still held");
                left -= 1;
                shuttle::future::yield_now().await;
            }
        }
        for (wire, _) in &self.processes {
            wire.heal();
        }
        // What goes on in the background comes to its end, and what nobody could release is over.
        rt::sleep(ALL_OVER).await;
        for (_, locks) in &self.processes {
            locks.shutdown().await;
        }
        let (mut requests, mut granted) = (0, 0);
        for (_, locks) in &self.processes {
            let stats = locks.stats();
            assert_eq!(stats.held, 0, "a hold was not counted out");
            granted += stats.granted;
            requests += stats.granted + stats.busy + stats.timeouts + stats.unavailable + stats.quarantined;
            requests += stats.cancelled;
        }
        let counts = std::mem::take(&mut *self.counts.lock().unwrap_or_else(PoisonError::into_inner));
        if self.mood != Mood::Closing {
            assert_eq!(requests, counts.requests, "requests do not balance");
        }
        assert!(granted >= counts.granted, "{} grants were counted, and {} seen", granted, counts.granted);
        let locks = Locks::new(self.processes[0].0.clone());
        for key in KEYS {
            let taken = locks.lock(key).try_acquire().await;
            let guard = taken.unwrap_or_else(|error| panic!("{key} is still held: {error}"));
            assert!(guard.release().await.was_held(), "nobody else wants it");
        }
        locks.shutdown().await;
    }
}

/// When steps fail, which ones, and how many.
fn failing(started: BootTime) -> Failing {
    let from = started + Duration::from_millis(any(FAILS_FROM_MAX_MS).into());
    let briefly = u32::try_from(FAILS_BRIEFLY.as_millis()).expect("it is brief");
    let lasts_max = if any(1) == 0 { briefly } else { FAILS_MAX_MS };
    let until = from + Duration::from_millis(any(lasts_max).into());
    Failing { during: [from, until], one_of: 1 + any(2), only_acquires: any(1) == 0 }
}

/// The server is started anew at some point, and perhaps once more, in the middle of the quarantine or about when it is over.
async fn begin_quarantines(server: Server) {
    yields(any(QUARANTINE_YIELDS_MAX)).await;
    server.quarantine(QUARANTINE, any(1) == 0);
    if any(1) == 0 {
        let early = Duration::from_millis(any(if any(1) == 0 { 30 } else { 12_000 }).into());
        rt::sleep(QUARANTINE + LOOK_LATE - early).await;
        server.quarantine(QUARANTINE, any(1) == 0);
    }
}

/// Whether there was a quarantine all the time, and everybody who waits has been told so.
fn covered(quarantines: &[[BootTime; 2]], from: BootTime, until: BootTime) -> bool {
    let Some(([begun, over], before)) = quarantines.split_last() else { return false };
    let since = match before.last() {
        Some([first, first_over]) if *begun <= *first_over && until > *first_over + LOOK_LATE => first,
        _ => begun,
    };
    *since < from && until < *over
}

/// The machine sleeps now and then, at any point: for a nap that nobody has to notice, or for long.
async fn doze() {
    for _ in 0..any(SLEEPS_MAX) {
        if any(1) == 0 {
            yields(any(80)).await;
        } else {
            rt::sleep(Duration::from_millis(any(1_500).into())).await;
        }
        let nap_ms = u64::try_from(limits::SLEEP_MIN.as_millis()).expect("a nap is short");
        let ms = if any(1) == 0 { 1..nap_ms } else { nap_ms..SLEEP_MAX_MS };
        rt::fall_asleep(Duration::from_millis(thread_rng().gen_range(ms)));
    }
}

/// By how much it is too late for what was to happen then, and was allowed to be so late. Whoever is woken has until the
/// locks have looked whether the machine was asleep; short naps are nothing to them.
fn late_for(due: BootTime, late_max: Duration) -> Duration {
    let noticed = rt::woke() + limits::SLEEP_LOOK_PAUSE;
    BootTime::now().since(due.max(noticed) + late_max + limits::SLEEP_MIN)
}

async fn take(locks: &Locks, wish: &Wish) -> Result<Held, Error> {
    if let [key] = wish.keys {
        let request = match wish.mode {
            EXCLUSIVE => locks.lock(*key),
            SHARED => locks.shared(*key),
            mode => locks.mode(*key, mode),
        };
        let request = wish.holders_max.into_iter().fold(request, Request::max_holders);
        let request = request.wait(wish.wait);
        let request = if wish.fair { request.fair() } else { request };
        let request = if let Some(lease) = wish.lease { request.lease(lease) } else { request };
        return request.acquire().await.map(Held::One);
    }
    let request = locks.multi(wish.keys.iter().copied()).wait(wish.wait);
    let request = if let Some(lease) = wish.lease { request.lease(lease) } else { request };
    request.acquire().await.map(Held::All)
}

/// A number from zero up to `max`.
fn any(max: u32) -> u32 {
    thread_rng().gen_range(0..=max)
}

async fn a_while() {
    rt::sleep(Duration::from_millis(any(WHILE_MAX_MS).into())).await;
}

/// The work's answer, whose caller has something else to do for a while as soon as it has begun.
async fn left_alone<T>(work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    tokio::select! {
        biased;
        done = &mut work => return done,
        () = yields(any(8)) => {}
    }
    a_while().await;
    work.await
}

async fn yields(times: u32) {
    for _ in 0..times {
        shuttle::future::yield_now().await;
    }
}

/// The work's answer, unless others have gone on so many times before; then it is dropped where it stands.
async fn before<T>(work: impl Future<Output = T>, patience: Option<u32>) -> Option<T> {
    let Some(patience) = patience else { return Some(work.await) };
    tokio::select! {
        biased;
        done = work => Some(done),
        () = yields(patience) => None,
    }
}
