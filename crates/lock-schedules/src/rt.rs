//! What the locks run on here: shuttle's tasks, mutexes and dice, and a clock that a task of ours moves.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use shuttle::rand::{Rng as _, thread_rng};
use shuttle::scheduler::TaskId;
pub(crate) use shuttle::sync::{Mutex, MutexGuard, atomic};

use crate::BootTime;

/// The environment variable that switches a planted fault on.
pub(crate) const PLANTED: &str = "JAEGO_PLANTED";

#[derive(Default)]
struct Clock {
    /// On which timers run.
    awake_us: u64,
    /// How long the machine has slept, which only leases count.
    slept_us: u64,
    woke_us: u64,
    timers: BTreeMap<(u64, u64), Waker>,
    timers_made: u64,
    /// Who waits for a timer to be set.
    mover: Option<Waker>,
    mover_task: Option<TaskId>,
    waits_for_others: bool,
    stopped: bool,
    /// Asked before each move.
    before_move: Option<Arc<dyn Fn(BootTime) + Send + Sync>>,
    planted: Option<String>,
}

thread_local! {
    static CLOCK: RefCell<Clock> = RefCell::default();
}

fn clock<T>(with: impl FnOnce(&mut Clock) -> T) -> T {
    CLOCK.with(|clock| with(&mut clock.borrow_mut()))
}

/// Begins an execution: an hour after the machine was started, and no timer is set.
pub(crate) fn start() {
    let planted = std::env::var(PLANTED).ok();
    let awake_us = 3_600_000_000;
    // What is left of the last execution is dropped outside of the borrow.
    drop(CLOCK.with(|clock| clock.replace(Clock { awake_us, planted, ..Clock::default() })));
    let mover = shuttle::future::spawn(async {
        clock(|clock| clock.mover_task = Some(shuttle::current::me()));
        // Only from here on is it known who can wait.
        shuttle::future::yield_now().await;
        move_on().await;
    });
    drop(mover);
}

/// No more timers fire.
pub(crate) fn stop() {
    let mover = clock(|clock| {
        clock.stopped = true;
        clock.mover.take()
    });
    mover.into_iter().for_each(Waker::wake);
}

/// From now on the clock stands still while anybody has something to do.
pub(crate) fn wait_for_others() {
    clock(|clock| clock.waits_for_others = true);
}

pub(crate) fn waits_for_others() -> bool {
    clock(|clock| clock.waits_for_others)
}

/// From now on this is looked at whenever the clock is about to move, and is told how far.
pub(crate) fn before_move(look: impl Fn(BootTime) + Send + Sync + 'static) {
    clock(|clock| clock.before_move = Some(Arc::new(look)));
}

/// The task that moves the clock.
pub(crate) fn mover() -> Option<TaskId> {
    clock(|clock| clock.mover_task)
}

/// Fires one timer after the other.
async fn move_on() {
    loop {
        let timer = poll_fn(|context| {
            clock(|clock| {
                if clock.stopped {
                    return Poll::Ready(None);
                }
                let Some((at, _)) = clock.timers.keys().next().copied() else {
                    clock.mover = Some(context.waker().clone());
                    return Poll::Pending;
                };
                let moves_to = BootTime::from_micros(at + clock.slept_us);
                let look = clock.before_move.clone().filter(|_| at > clock.awake_us);
                Poll::Ready(Some(look.map(|look| (look, moves_to))))
            })
        });
        let Some(look) = timer.await else { return };
        if let Some((look, moves_to)) = look {
            look(moves_to);
        }
        let waker = clock(|clock| {
            let ((at, _), waker) = clock.timers.pop_first()?;
            clock.awake_us = clock.awake_us.max(at);
            Some(waker)
        });
        waker.into_iter().for_each(Waker::wake);
        shuttle::future::yield_now().await;
    }
}

/// Whether this fault is switched on.
pub(crate) fn planted(name: &str) -> bool {
    clock(|clock| clock.planted.as_deref() == Some(name))
}

pub(crate) fn boot_us() -> u64 {
    clock(|clock| clock.awake_us + clock.slept_us)
}

pub(crate) fn awake_us() -> u64 {
    clock(|clock| clock.awake_us)
}

/// The machine was started in 1970.
pub(crate) fn wall_us() -> u64 {
    boot_us()
}

/// From the dice of the schedule, which one thread throws for all tasks.
pub(crate) fn random() -> f64 {
    thread_rng().gen_range(0.0..1.0)
}

/// The machine sleeps and wakes again: leases go on, timers do not.
pub(crate) fn fall_asleep(slept: Duration) {
    clock(|clock| {
        clock.slept_us += u64::try_from(slept.as_micros()).expect("nobody sleeps for ever");
        clock.woke_us = clock.awake_us + clock.slept_us;
    });
}

/// When the machine last woke, if it has slept.
pub(crate) fn woke() -> BootTime {
    BootTime::from_micros(clock(|clock| clock.woke_us))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant(u64);

impl Instant {
    pub(crate) fn now() -> Self {
        Self(awake_us())
    }
}

impl std::ops::Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self((BootTime::from_micros(self.0) + duration).as_micros())
    }
}

pub(crate) struct Sleep {
    until: Instant,
    timer: Option<(u64, u64)>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let until = self.until.0;
        let timer = self.timer.take();
        let (poll, timer, mover, old) = clock(|clock| {
            let old = timer.and_then(|timer| clock.timers.remove(&timer));
            if clock.awake_us >= until {
                return (Poll::Ready(()), None, None, old);
            }
            clock.timers_made += 1;
            let timer = (until, clock.timers_made);
            clock.timers.insert(timer, context.waker().clone());
            (Poll::Pending, Some(timer), clock.mover.take(), old)
        });
        self.timer = timer;
        drop(old);
        mover.into_iter().for_each(Waker::wake);
        poll
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        let waker = self.timer.and_then(|timer| clock(|clock| clock.timers.remove(&timer)));
        drop(waker);
    }
}

pub(crate) fn sleep_until(until: Instant) -> Sleep {
    Sleep { until, timer: None }
}

pub(crate) fn sleep(duration: Duration) -> Sleep {
    sleep_until(Instant::now() + duration)
}

pub(crate) struct Elapsed;

pub(crate) async fn timeout<T>(limit: Duration, work: impl Future<Output = T>) -> Result<T, Elapsed> {
    let (mut work, mut timer) = (pin!(work), pin!(sleep(limit)));
    poll_fn(|context| {
        if let Poll::Ready(done) = work.as_mut().poll(context) {
            return Poll::Ready(Ok(done));
        }
        timer.as_mut().poll(context).map(|()| Err(Elapsed))
    })
    .await
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Handle;

impl Handle {
    pub(crate) fn current() -> Self {
        Self
    }

    #[expect(clippy::unused_self, reason = "as the handle that it stands for")]
    pub(crate) fn spawn(self, task: impl Future<Output = ()> + Send + 'static) {
        // A task goes on without its handle.
        drop(shuttle::future::spawn(task));
    }
}
