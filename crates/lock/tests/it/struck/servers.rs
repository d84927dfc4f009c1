//! The server stopped, killed and restarted while fifty are in the middle of each step, on their way there or back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jaego_lock::limits::{TRIES_RESPONSE_TIMEOUTS, TRY_PAUSE_MAX};
use jaego_lock::{BootTime, Error, Guard, Locks, Settings};
use jaego_testkit::{Direction, Fault, FaultProxy};
use tokio::task::{JoinHandle, JoinSet, block_in_place};
use tokio::time::{sleep, timeout};

use super::{End, Ground};
use crate::ms;

/// Of each step, in each strike.
const HOLDERS: usize = 50;
const QUARANTINE: Duration = Duration::from_millis(2_500);
const LEASE: Duration = Duration::from_millis(1_400);
const RESPONSE: Duration = Duration::from_millis(250);
/// Keepers renew after a third of the lease and a tenth of that, at the latest.
const KEEPERS_ASK_WITHIN: Duration = Duration::from_millis(1_400 * 11 / 30);
/// How long a caller waits for a lock that is free.
const WAIT: Duration = Duration::from_secs(1);
/// A step that is sent again until it is given up takes so long: until no more are begun, a last pause, and a last try.
const TRIES: Duration =
    RESPONSE.saturating_mul(TRIES_RESPONSE_TIMEOUTS).saturating_add(TRY_PAUSE_MAX).saturating_add(RESPONSE);
/// What has come through is counted when nothing more was for so long.
const STILL: Duration = Duration::from_millis(100);
/// How long a server that has ended is away, at the least.
const AWAY: Duration = Duration::from_millis(100);
/// Longer than any strike, and all that comes after it.
const LONG: Duration = Duration::from_secs(150);
/// How late an expectation may come true on a busy machine: a loss is told at the end of validity and this at the latest …
const PATIENCE: Duration = Duration::from_secs(1);
/// … and half of them so soon after a plain timer that was set for it: where that was late, the machine was.
const HALF_TOLD_WITHIN: Duration = Duration::from_millis(20);

/// What somebody is in the middle of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Acquiring,
    Renewing,
    Extending,
    Releasing,
    /// For somebody who holds it.
    Waiting,
    /// The one who was waited for has let go, and the notice of that is on its way, or the attempt that it led to.
    Called,
}

use Step::{Acquiring, Called, Extending, Releasing, Renewing, Waiting};

/// What happens to the server.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Blow {
    /// It is stopped for so long.
    Stop(Duration),
    /// It ends, and is back after a while.
    End(End),
}

/// Somebody relied on a key from … to, by its own clock.
#[derive(Debug)]
struct Relied {
    key: String,
    from: BootTime,
    to: BootTime,
}

#[derive(Clone, Debug, Default)]
struct Book {
    relied: Arc<Mutex<Vec<Relied>>>,
    /// How long after a plain timer for the end of validity each loss was told.
    told: Arc<Mutex<BTreeMap<Step, Vec<Duration>>>>,
}

impl Book {
    fn note(&self, guard: &Guard, from: BootTime) {
        let to = BootTime::now().min(guard.valid_until());
        self.relied.lock().unwrap().push(Relied { key: guard.key().to_string(), from, to });
    }

    /// Relies on a lock for so long, or until its loss is told, which is in time.
    async fn hold(self, step: Step, guard: Guard, from: BootTime, time: Duration) {
        let guard = Arc::new(guard);
        let timer = tokio::spawn(until_over(Arc::clone(&guard)));
        let lost = timeout(time, guard.lost()).await;
        let told_at = BootTime::now();
        if lost.is_err() {
            let late = told_at.since(guard.valid_until());
            assert!(late < PATIENCE, "{step:?}: it is over since {late:?}, and its loss was not told");
            timer.abort();
        }
        if let Ok(timer_at) = timer.await {
            let late = told_at.since(timer_at);
            assert!(late < PATIENCE, "{step:?}: {lost:?} was told late, {late:?} after a plain timer");
            self.told.lock().unwrap().entry(step).or_default().push(late);
        }
        let guard = Arc::into_inner(guard).expect("the timer is over");
        self.note(&guard, from);
        drop(guard.release().await);
    }

    async fn acquire(self, locks: Locks, key: String) {
        let started = Instant::now();
        let result = locks.lock(key).lease(LEASE).wait(WAIT).acquire().await;
        let took = started.elapsed();
        assert!(took < WAIT + PATIENCE, "{took:?}: {result:?}");
        match result {
            Ok(guard) => self.hold(Acquiring, guard, BootTime::now(), LONG).await,
            Err(Error::Unavailable { .. } | Error::Timeout { .. } | Error::Quarantined { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }

    async fn extend(self, guard: Guard, from: BootTime) {
        let started = Instant::now();
        let result = guard.extend(LEASE).await;
        assert!(started.elapsed() < TRIES + PATIENCE, "{:?}: {result:?}", started.elapsed());
        self.hold(Extending, guard, from, LONG).await;
    }

    async fn release(self, guard: Guard, from: BootTime) {
        self.note(&guard, from);
        let started = Instant::now();
        let outcome = guard.release().await;
        assert!(started.elapsed() < TRIES + PATIENCE, "{:?}: {outcome:?}", started.elapsed());
    }

    /// Whoever has so much patience gets the lock.
    async fn get(self, locks: Locks, step: Step, number: usize, time: Duration) {
        let request = locks.lock(format!("{step:?}:{number}")).lease(LEASE).wait(LONG);
        let request = if number.is_multiple_of(2) { request.fair() } else { request };
        let guard = request.acquire().await.unwrap();
        self.hold(step, guard, BootTime::now(), time).await;
    }

    /// Nobody relied on a lock beside somebody else.
    fn check(&self) -> usize {
        let mut relied = self.relied.lock().unwrap();
        relied.sort_by(|one, other| (&one.key, one.from).cmp(&(&other.key, other.from)));
        for pair in relied.windows(2) {
            let apart = pair[0].key != pair[1].key || pair[0].to <= pair[1].from;
            assert!(apart, "two relied on the same lock: {pair:?}");
        }
        relied.len()
    }

    /// Losses were told in time. Returns how many.
    fn check_told(&self) -> usize {
        let told = self.told.lock().unwrap();
        let mut all: Vec<Duration> = told.values().flatten().copied().collect();
        all.sort_unstable();
        let by_step: Vec<_> = told.iter().map(|(step, late)| (step, late.len(), late.iter().max())).collect();
        let half = all[all.len() / 2];
        println!("losses at each step, and the latest: {by_step:?}; half were told within {half:?}");
        assert!(half < HALF_TOLD_WITHIN, "{half:?}");
        all.len()
    }
}

/// A plain timer for the end of validity, which may move meanwhile. Returns when it went off.
async fn until_over(guard: Arc<Guard>) -> BootTime {
    while !guard.valid_until().remaining().is_zero() {
        sleep(guard.valid_until().remaining()).await;
    }
    BootTime::now()
}

/// What a count comes to that stands still for [`STILL`].
async fn until_still(count: impl Fn() -> u64) -> u64 {
    let (mut last, mut since) = (count(), Instant::now());
    while since.elapsed() < STILL {
        sleep(ms(5)).await;
        let now = count();
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
    last
}

async fn locks<G: Ground>(addr: std::net::SocketAddr) -> Locks {
    let settings = jaego_lock::conformance::settings();
    let settings =
        Settings { response_timeout: RESPONSE, keeper_lease: LEASE, waiter_ttl: ms(2_000), ..settings };
    G::locks(addr, settings, QUARANTINE).await
}

/// Locks of a step, all at once, and when each was got.
async fn take(locks: &Locks, step: Step) -> Vec<(Guard, BootTime)> {
    let mut taken = JoinSet::new();
    for number in 0..HOLDERS {
        let request = locks.lock(format!("{step:?}:{number}")).max_hold(LONG);
        let request = if step == Renewing { request } else { request.lease(LEASE) };
        taken.spawn(async move { (request.acquire().await.unwrap(), BootTime::now()) });
    }
    taken.join_all().await
}

/// Brings fifty into the middle of each step, strikes the server, and sees what they make of it. `heard`: the server has
/// done what it was asked, and its answers are on their way; otherwise the requests are.
async fn strike<G: Ground>(mut server: G, blow: Blow, heard: bool) {
    let proxy = FaultProxy::start(server.addr()).unwrap();
    let (here, there) = (locks::<G>(proxy.addr()).await, locks::<G>(server.addr()).await);
    for locks in [&here, &there] {
        drop(locks.lock("warm").lease(LEASE).acquire().await.unwrap());
    }

    let book = Book::default();
    let mut waiters = JoinSet::new();
    let kept = take(&here, Renewing).await;
    let held_there = take(&there, Waiting).await;
    let let_go_there = take(&there, Called).await;
    for step in [Waiting, Called] {
        for number in 0..HOLDERS {
            waiters.spawn(book.clone().get(here.clone(), step, number, LONG));
        }
        let pattern = format!("{step:?}:*");
        while here.stats().patterns.get(&pattern).is_none_or(|pattern| pattern.contended < HOLDERS as u64) {
            sleep(ms(1)).await;
        }
    }
    // Last, so that they last.
    let (extended, released) = (take(&here, Extending).await, take(&here, Releasing).await);
    let way = if heard { Direction::ToClient } else { Direction::ToServer };
    proxy.set(way, Fault::Blackhole);
    let cut_at = Instant::now();
    // Answers that had come through before are counted by then.
    let renewed = until_still(|| here.stats().renewals).await;
    // Whenever each was renewed last, it has asked again by now.
    sleep((KEEPERS_ASK_WITHIN + ms(20)).saturating_sub(cut_at.elapsed())).await;
    assert_eq!(here.stats().renewals, renewed, "a renewal was answered");
    let mut steps: BTreeMap<Step, Vec<JoinHandle<()>>> = BTreeMap::new();
    let mut spawn = |step, work| steps.entry(step).or_default().push(work);
    for (guard, from) in kept {
        spawn(Renewing, tokio::spawn(book.clone().hold(Renewing, guard, from, LEASE * 2)));
    }
    for (guard, from) in extended {
        spawn(Extending, tokio::spawn(book.clone().extend(guard, from)));
    }
    for (guard, from) in released {
        spawn(Releasing, tokio::spawn(book.clone().release(guard, from)));
    }
    for number in 0..HOLDERS {
        spawn(Acquiring, tokio::spawn(book.clone().acquire(here.clone(), format!("{Acquiring:?}:{number}"))));
    }
    let mut called = JoinSet::new();
    for (guard, from) in let_go_there {
        called.spawn(book.clone().release(guard, from));
    }
    called.join_all().await;
    sleep(ms(60)).await;
    // Nobody has had an answer.
    for (step, tasks) in &steps {
        let pending = tasks.iter().filter(|task| !task.is_finished()).count();
        assert_eq!(pending, HOLDERS, "{step:?} at the blow");
    }
    assert!(waiters.try_join_next().is_none(), "one who waits was served before the blow");

    block_in_place(|| match blow {
        Blow::Stop(_) => server.stop(),
        Blow::End(how) => server.end(how),
    });
    // Somebody else wants all of them meanwhile.
    let mut rivals = JoinSet::new();
    for step in steps.keys() {
        for number in 0..HOLDERS {
            rivals.spawn(book.clone().get(there.clone(), *step, number, ms(5)));
        }
    }
    for (guard, from) in held_there {
        rivals.spawn(book.clone().hold(Waiting, guard, from, LEASE * 2));
    }
    proxy.heal();
    match blow {
        Blow::Stop(time) => {
            sleep(time).await;
            block_in_place(|| server.cont());
        }
        Blow::End(how) => {
            sleep(AWAY).await;
            block_in_place(|| server.restart(how));
        }
    }
    let all = timeout(LONG, async {
        for task in steps.into_values().flatten() {
            task.await.unwrap();
        }
        waiters.join_all().await;
        rivals.join_all().await;
    });
    all.await.expect("nobody hangs");
    let (relied, lost) = (book.check(), book.check_told());
    // Those who waited, and those who extended, if the server knew of them still.
    assert!(lost >= 2 * HOLDERS, "{lost} losses");
    println!("{blow:?}, heard: {heard}: {HOLDERS} in each step, {relied} relied on a lock");
    server.until_clean(PATIENCE * 5).await;
}

/// Each blow on both ways, side by side, on servers of their own.
pub(crate) async fn strikes<G: Ground>(rounds: u64, server: impl Fn() -> G, blows: &[Blow]) {
    for _ in 0..rounds {
        let mut strikes = JoinSet::new();
        for blow in blows {
            for heard in [false, true] {
                strikes.spawn(strike(block_in_place(&server), *blow, heard));
            }
        }
        strikes.join_all().await;
    }
}
