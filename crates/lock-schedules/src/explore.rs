//! Runs one workload in many orders.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use shuttle::scheduler::{PctScheduler, RandomScheduler, Schedule, Scheduler, Task, TaskId};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};

use crate::{rt, workload};

/// Random orders for each order by priorities.
const RANDOM_SHARE: usize = 2;
/// How often the priorities of the tasks change in one run.
const PRIORITY_CHANGES: usize = 4;
/// Points of one run. More is a bug: somebody goes round in a circle.
const STEPS_MAX: usize = 200_000;
const STACK_BYTES: usize = 256 * 1_024;

/// What kind of a day it is for the locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Nothing is lost, and the clock stands still while anybody has something to do. So everybody must be served
    /// without its help: nobody may sleep through a wake-up call and be saved by a look at the clock later on.
    Calm,
    /// As calm, but some hold their lock for a while, some leave a request alone that they have just begun, and notices are
    /// missed, of which the processes are told. None of it takes as long as a lease or a pause between two looks, so that
    /// nothing but a wake-up call helps: whenever the clock moves, nobody may sleep who could have what it waits for.
    Unhurried,
    /// As unhurried, but for a while steps fail at once, all or some, and those that ask for a lock alone or any: a server
    /// whose memory is full, or to which nobody can connect. Who is failed asks again in its turn, and a second after the last
    /// failure nobody may sleep who could have what it waits for. Callers are answered in time, and told what was in their way.
    Failing,
    /// As unhurried, but nothing is missed, and at some point the server begins a quarantine, with what it knew or without, and
    /// perhaps another one in the middle of that or about when it is over. Never may two rely on the same lock, who cannot
    /// outlast it is told so, and when it is over nobody may sleep who could have what it waits for.
    Quarantined,
    /// As calm, but at some point one of the processes shuts down. Its callers are told so, nothing is left of it on the other
    /// side when that is done, and the other process' callers are served as if it had never been there.
    Closing,
    /// As calm, but somebody crashed and still holds the lock for a while. When its lease is over, all must be served.
    Crashed,
    /// As crashed, but some hold their lock for a while, and now and then the machine falls asleep at any point: the clock of
    /// the leases has jumped when it goes on, and that of the timers has not. Whoever waits for a lock, for its loss or for
    /// the end of its patience must find out as soon as the locks have looked whether the machine was asleep.
    Drowsy,
    /// The clock stands still in the same way, but requests and answers are lost, and for a while all of them. Callers
    /// must be answered in time, holders told of their loss in time, and nothing may be left when it is over.
    Silence,
    /// Requests and answers are lost, and the clock runs whenever it likes: every task may be stopped for longer than
    /// any lease. Never may two rely on the same lock.
    Restless,
}

impl Mood {
    /// Whether some take their time, so that whenever the clock moves nobody may sleep in vain.
    pub(crate) fn is_unhurried(self) -> bool {
        matches!(self, Self::Unhurried | Self::Failing | Self::Quarantined)
    }

    /// How probable it is at each point that the clock may move although others could go on.
    fn haste(self) -> f64 {
        if self == Self::Restless { 0.3 } else { 0.0 }
    }
}

impl fmt::Display for Mood {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, out)
    }
}

/// What was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explored {
    /// How many orders.
    pub orders: usize,
    /// Another one for any other task that went on at any point, and any other number that was thrown.
    pub trace: u64,
}

/// Tries so many orders from a seed: the same ones each time, whatever the machine does.
///
/// # Panics
/// When something did not hold, with the seed and, from shuttle, the schedule.
#[must_use]
pub fn explore(mood: Mood, seed: u64, orders: usize) -> Explored {
    eprintln!("{mood}: seed {seed}, {orders} orders");
    let by_priority = orders / (RANDOM_SHARE + 1);
    let random = orders - by_priority;
    let trace = Trace::default();
    let patient = |scheduler| {
        let random = fastrand::Rng::with_seed(seed);
        Patient { scheduler, haste: mood.haste(), random, trace: trace.clone() }
    };
    let scheduler: Box<dyn Scheduler + Send> = Box::new(RandomScheduler::new_from_seed(seed, random));
    let tried = Runner::new(patient(scheduler), config()).run(move || workload::run(mood));
    let scheduler: Box<dyn Scheduler + Send> =
        Box::new(PctScheduler::new_from_seed(seed, PRIORITY_CHANGES, by_priority));
    let tried = tried + Runner::new(patient(scheduler), config()).run(move || workload::run(mood));
    Explored { orders: tried, trace: trace.0.load(Ordering::Relaxed) }
}

/// A hash (FNV-1a) of what was decided so far, in the order in which it was.
#[derive(Clone, Debug)]
struct Trace(Arc<AtomicU64>);

impl Default for Trace {
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(0xcbf2_9ce4_8422_2325)))
    }
}

impl Trace {
    fn note(&self, decided: u64) {
        let so_far = self.0.load(Ordering::Relaxed);
        self.0.store((so_far ^ decided).wrapping_mul(0x0100_0000_01b3), Ordering::Relaxed);
    }
}

/// How many times its everyday size a test shall have: `JAEGO_SOAK`, or 1.
#[must_use]
pub fn soak() -> usize {
    std::env::var("JAEGO_SOAK").ok().and_then(|times| times.parse().ok()).unwrap_or(1)
}

fn config() -> Config {
    let mut config = Config::new();
    config.stack_size = STACK_BYTES;
    config.max_steps = MaxSteps::FailAfter(STEPS_MAX);
    config.failure_persistence = FailurePersistence::Print;
    config
}

/// Lets the clock wait for the others, mostly.
struct Patient {
    scheduler: Box<dyn Scheduler + Send>,
    haste: f64,
    random: fastrand::Rng,
    trace: Trace,
}

impl Scheduler for Patient {
    fn new_execution(&mut self) -> Option<Schedule> {
        self.scheduler.new_execution()
    }

    fn next_task(
        &mut self,
        runnable: &[&Task],
        current: Option<TaskId>,
        is_yielding: bool,
    ) -> Option<TaskId> {
        let clock = rt::mover();
        let others: Vec<&Task> = runnable.iter().filter(|task| Some(task.id()) != clock).copied().collect();
        let hurries = self.random.f64() < self.haste && !rt::waits_for_others();
        let tasks = if others.is_empty() || hurries { runnable } else { &others };
        let next = self.scheduler.next_task(tasks, current, is_yielding)?;
        self.trace.note(usize::from(next) as u64);
        Some(next)
    }

    fn next_u64(&mut self) -> u64 {
        let thrown = self.scheduler.next_u64();
        self.trace.note(thrown);
        thrown
    }
}
