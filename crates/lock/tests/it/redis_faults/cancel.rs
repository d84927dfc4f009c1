//! Requests, holds and releases that are dropped on their way, and what is heard of them afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, poll_fn};
use std::task::Poll;
use std::time::{Duration, Instant};

use jaego_lock::conformance::Size;
use jaego_lock::{Error, Guard, Locks, MultiGuard, Redis, RedisOptions, Settings};
use jaego_testkit::{Fault, FaultProxy, wait_until};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::redis_faults::{Observer, ms, rounds, server};

/// Two round trips, on a machine with ten times more to do than it can; far less than [`LONG`].
const CLEAN_WITHIN: Duration = Duration::from_secs(2);

/// The leases of what must not be left behind: longer than a part of a test, so that nothing is gone before it is looked for.
const LONG: Duration = Duration::from_secs(15);

const FUTURES: Size = Size { everyday: 20_000, soak: 1_000_000 };
const TASKS: u64 = 8;

fn process(addr: std::net::SocketAddr) -> Locks {
    let response_timeout = Duration::from_secs(1);
    let settings = Settings {
        keeper_lease: LONG,
        waiter_ttl: LONG,
        response_timeout,
        ..jaego_lock::conformance::settings()
    };
    with_settings(addr, settings)
}

fn with_settings(addr: std::net::SocketAddr, settings: Settings) -> Locks {
    let options = RedisOptions::new(&format!("redis://{addr}/")).unwrap().quarantine(Duration::ZERO);
    let options = options.response_timeout(settings.response_timeout);
    Locks::with_settings(Redis::start(options), settings).unwrap()
}

fn up_to(us: u64) -> Duration {
    Duration::from_micros(fastrand::u64(..us))
}

/// Returns how many of its requests were granted before they were dropped.
async fn drop_at_any_time(locks: Locks, task: u64) -> u64 {
    let mut got = 0;
    for round in 0..FUTURES.everyday / TASKS {
        let key = format!("a{}", (task + round) % 5);
        let request = match fastrand::u8(..4) {
            0 => locks.lock(&key).fair(),
            1 => locks.mode(&key, "allocate"),
            2 => locks.lock(&key).lease(LONG),
            _ => locks.lock(&key),
        };
        // From before the first step to long after the last one.
        let Ok(guard) = timeout(up_to(1_500), request.acquire()).await else { continue };
        let guard = guard.unwrap();
        got += 1;
        match fastrand::u8(..4) {
            0 => drop(guard),
            1 => drop(timeout(up_to(200), guard.release()).await),
            2 => drop(timeout(up_to(200), guard.extend(LONG)).await),
            _ => assert!(guard.release().await.was_held()),
        }
    }
    got
}

#[tokio::test(flavor = "multi_thread")]
async fn futures_that_are_dropped_leave_no_key() {
    let server = server();
    let locks = process(server.addr());
    let mut observer = Observer::of(&server).await;
    let mut got = 0;
    for _ in 0..FUTURES.parts() {
        let tasks = (0..TASKS).map(|task| drop_at_any_time(locks.clone(), task));
        got += tasks.collect::<JoinSet<_>>().join_all().await.iter().sum::<u64>();
        observer.until_clean(CLEAN_WITHIN).await;
    }
    // The server is done before its last answers are read.
    let counted = || (locks.stats().held == 0).then(|| locks.stats());
    let stats = wait_until("what is held is counted out", CLEAN_WITHIN, counted).unwrap();
    println!("{got} got, {} given up", stats.cancelled);
    assert!(got > 100 && stats.cancelled > 100, "{got} got, {stats:?}");
}

/// Each way, so that a step can be dropped on its way.
const FAR: Duration = Duration::from_millis(5);
/// Two round trips on that way, and as long again for the machine. Far less than the response timeout.
const SOON: Duration = Duration::from_millis(40);
/// The server is seen empty for so long when nothing is on its way to it any more.
const SETTLED: Duration = Duration::from_millis(100);

const DROPPED_ROUNDS: u64 = 10;
/// So many of each are dropped at the same time.
const DROPPED_AT_ONCE: u64 = 10;

/// What is dropped when the server has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum OnItsWay {
    /// The first attempt.
    Request,
    /// One that waits in the queue, about when the lock falls free for it.
    Waiter,
    Hold,
}

impl OnItsWay {
    /// Returns when it was dropped.
    async fn dropped(self, here: Locks, there: Locks, key: String) -> Instant {
        match self {
            Self::Request => {
                let request = tokio::spawn(here.lock(&key).acquire());
                // The answer is on its way then.
                while there.look(&key).await.unwrap().holders.is_empty() {
                    sleep(ms(1)).await;
                }
                request.abort();
                drop(request.await);
            }
            Self::Waiter => {
                let rival = there.lock(&key).acquire().await.unwrap();
                let waiter = tokio::spawn(here.lock(&key).fair().acquire());
                while there.look(&key).await.unwrap().waiters.is_empty() {
                    sleep(ms(1)).await;
                }
                assert!(rival.release().await.was_held());
                sleep(up_to(4 * us(FAR))).await;
                waiter.abort();
                // Dropped by then, if it was not served before.
                drop(waiter.await);
            }
            Self::Hold => drop(here.lock(&key).acquire().await.unwrap()),
        }
        Instant::now()
    }
}

fn us(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap()
}

/// Were a release sent only when the server has not answered in time, the key would stay for a second more.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_dropped_is_gone_after_two_round_trips() {
    let server = server();
    let proxy = FaultProxy::start(server.addr()).unwrap();
    let (here, there) = (process(proxy.addr()), process(server.addr()));
    for locks in [&here, &there] {
        drop(locks.lock("warm").acquire().await.unwrap());
    }
    proxy.set_both(Fault::Delay(FAR));
    let mut observer = Observer::of(&server).await;
    observer.until_clean(CLEAN_WITHIN).await;
    let mut stayed: BTreeMap<OnItsWay, Vec<Duration>> = BTreeMap::new();
    for round in 0..rounds(DROPPED_ROUNDS) {
        let mut tasks = JoinSet::new();
        for number in 0..DROPPED_AT_ONCE {
            for what in [OnItsWay::Request, OnItsWay::Waiter, OnItsWay::Hold] {
                let (here, there, key) = (here.clone(), there.clone(), format!("{what:?}-{round}-{number}"));
                tasks.spawn(async move {
                    let dropped_at = what.dropped(here, there, key.clone()).await;
                    (what, key, dropped_at)
                });
            }
        }
        let dropped = tokio::spawn(tasks.join_all());
        let mut seen: BTreeMap<String, Instant> = BTreeMap::new();
        let mut seen_at = Instant::now();
        while !dropped.is_finished() || seen_at.elapsed() < SETTLED {
            for left in observer.leftovers().await {
                seen_at = Instant::now();
                let (_, key) = left.rsplit_once(':').unwrap();
                seen.insert(key.to_owned(), seen_at);
            }
            sleep(ms(1)).await;
        }
        for (what, key, dropped_at) in dropped.await.unwrap() {
            let seen = seen.get(&key).map(|seen| seen.saturating_duration_since(dropped_at));
            stayed.entry(what).or_default().push(seen.unwrap_or_default());
        }
    }
    for (what, mut stayed) in stayed {
        stayed.sort_unstable();
        let (half, last) = (stayed[stayed.len() / 2], stayed[stayed.len() - 1]);
        println!("{what:?}: half of {} are gone after {half:?}, the last after {last:?}", stayed.len());
        assert!(half < SOON, "{what:?}: half of {} are gone after {half:?}", stayed.len());
        assert!(last < CLEAN_WITHIN, "{what:?}: the last is gone after {last:?}");
    }
}

/// What is asked for, and dropped.
#[derive(Clone, Copy, Debug)]
enum Wish {
    One,
    /// Of several shards, so that it takes several steps.
    Several,
    SeveralKept,
}

const WISHES: [Wish; 3] = [Wish::One, Wish::Several, Wish::SeveralKept];
/// Of a wish for several.
const KEYS: usize = 4;
/// More than any wish takes.
const POLLS_MAX: u32 = 20;

const WISH_ROUNDS: u64 = 8;
/// So many of each wish are dropped, and are not, in each round at the least.
const EACH_ROUND_MIN: u64 = 5;

/// What a wish gives; dropping it lets go.
#[derive(Debug)]
enum Held {
    #[allow(dead_code, reason = "it is held")]
    One(Guard),
    #[allow(dead_code, reason = "it is held")]
    Several(MultiGuard),
}

impl Wish {
    async fn acquire(self, locks: Locks, keys: Vec<String>) -> Result<Held, Error> {
        match self {
            Self::One => locks.lock(&keys[0]).fair().acquire().await.map(Held::One),
            Self::Several => locks.multi(keys).lease(LONG).acquire().await.map(Held::Several),
            Self::SeveralKept => locks.multi(keys).acquire().await.map(Held::Several),
        }
    }
}

/// Drops a future at its `polls`th await, counted in wake-ups. Nothing if it was over before that.
async fn dropped_after<F: Future>(polls: u32, future: F) -> Option<F::Output> {
    let mut future = Box::pin(future);
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

async fn let_go_soon(rival: Option<Guard>) {
    if let Some(guard) = rival {
        sleep(up_to(20_000)).await;
        assert!(guard.release().await.was_held());
    }
}

/// Somebody else has one of the keys, or nobody has, and lets it go while the wish is in the middle of its steps.
#[tokio::test(flavor = "multi_thread")]
async fn each_await_can_be_the_last() {
    let server = server();
    let (here, there) = (process(server.addr()), process(server.addr()));
    let mut observer = Observer::of(&server).await;
    drop(here.lock("warm").acquire().await.unwrap());
    let (mut dropped, mut done) = ([0; 3], [0; 3]);
    for round in 0..rounds(WISH_ROUNDS) {
        let mut tasks = JoinSet::new();
        for (number, wish) in WISHES.into_iter().enumerate() {
            for polls in 0..POLLS_MAX {
                for rival in 0..=KEYS {
                    let name = |key| format!("{round}:{number}:{polls}:{rival}:{key}");
                    let keys: Vec<String> = (0..KEYS).map(name).collect();
                    let (here, there) = (here.clone(), there.clone());
                    tasks.spawn(async move {
                        let rival = match keys.get(rival) {
                            Some(key) => Some(there.lock(key).lease(LONG).acquire().await.unwrap()),
                            None => None,
                        };
                        let rival = tokio::spawn(let_go_soon(rival));
                        let held = dropped_after(polls, wish.acquire(here, keys)).await;
                        let is_done = held.map(Result::unwrap).is_some();
                        rival.await.unwrap();
                        (number, is_done)
                    });
                }
            }
        }
        for (number, is_done) in tasks.join_all().await {
            if is_done { done[number] += 1 } else { dropped[number] += 1 }
        }
        sleep(ms(20)).await;
        observer.until_clean(CLEAN_WITHIN).await;
    }
    println!("{WISHES:?}: {dropped:?} dropped, {done:?} got");
    // Each was dropped at all of its awaits, and at none.
    let enough = rounds(WISH_ROUNDS) * EACH_ROUND_MIN;
    assert!(dropped.into_iter().chain(done).all(|count| count >= enough), "{dropped:?} {done:?}");
    assert_eq!((here.stats().held, there.stats().held), (0, 0));
}

/// Holds that are let go about when their keeper renews.
const CYCLES: Size = Size { everyday: 20_000, soak: 1_000_000 };
/// So many at a time.
const HOLDERS: u64 = 1_000;
/// Renewed after a third of it, give or take a tenth of that, which is after 120 to 147 ms.
const LEASE: Duration = Duration::from_millis(400);
const HELD_AT_LEAST: Duration = Duration::from_millis(110);
const HELD_LONGER_US: u64 = 50_000;
/// Each way, so that many a renewal is on its way when its lock is let go.
const WIRE: Duration = Duration::from_millis(2);

/// Of the server's log of slow commands, which holds all of them, latest first: the owners that were renewed and released, in
/// the order in which that was done.
const DONE: &str = "
    local log, done = redis.call('SLOWLOG', 'GET', -1), {}
    for at = #log, 1, -1 do
        local words = log[at][4]
        if words[1] == 'EVALSHA' then
            local step = string.match(words[4], ':(%a+):')
            if step == 'lock' or step == 'ended' then
                done[#done + 1] = { step == 'ended' and 1 or 0, words[4 + words[3]] }
            end
        end
    end
    redis.call('SLOWLOG', 'RESET')
    return done";

#[derive(Debug, Default)]
struct Done {
    released: BTreeSet<String>,
    renewals: u64,
    /// Renewals of those who had let go before, by owner.
    late: BTreeMap<String, u64>,
}

impl Done {
    /// Takes what the server has done since the last time.
    async fn read(&mut self, observer: &mut Observer) {
        let done: Vec<(bool, String)> =
            redis::cmd("EVAL").arg(DONE).arg(0).query_async(&mut observer.0).await.unwrap();
        for (released, owner) in done {
            if released {
                self.released.insert(owner);
                continue;
            }
            self.renewals += 1;
            if self.released.contains(&owner) {
                *self.late.entry(owner).or_default() += 1;
            }
        }
    }
}

async fn hold_until_it_renews(locks: Locks, key: String) {
    let guard = locks.lock(key).acquire().await.unwrap();
    sleep(HELD_AT_LEAST + up_to(HELD_LONGER_US)).await;
    match fastrand::u8(..3) {
        0 => drop(guard),
        1 => drop(timeout(up_to(4_000), guard.release()).await),
        _ => drop(guard.release().await),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_keeper_goes_on_after_the_release() {
    let server = server();
    let proxy = FaultProxy::start(server.addr()).unwrap();
    let locks =
        with_settings(proxy.addr(), Settings { keeper_lease: LEASE, ..jaego_lock::conformance::settings() });
    drop(locks.lock("warm").acquire().await.unwrap());
    proxy.set_both(Fault::Delay(WIRE));
    let mut observer = Observer::of(&server).await;
    for setting in ["slowlog-max-len 100000000", "slowlog-log-slower-than 0"] {
        let () = observer.command(&format!("CONFIG SET {setting}")).await;
    }
    let connections = observer.connections().await;
    let mut done = Done::default();
    for _ in 0..CYCLES.parts() {
        let mut holders = JoinSet::new();
        for number in 0..CYCLES.everyday {
            if number >= HOLDERS {
                holders.join_next().await.unwrap().unwrap();
            }
            holders.spawn(hold_until_it_renews(locks.clone(), format!("order:{number}")));
        }
        holders.join_all().await;
        // Whoever goes on renewing does so within this.
        sleep(LEASE).await;
        done.read(&mut observer).await;
    }
    // Those that were on their way at the release arrived before it, as long as they went the same way: where a busy machine
    // does not answer in time another connection is made, and what is on its way on the old one may come later, once for each.
    let made = observer.connections().await - connections;
    let late_max = if made == 0 { 0 } else { CYCLES.now() / 200 };
    assert!(done.late.values().all(|times| *times == 1), "renewed after the release: {:?}", done.late);
    assert!(
        done.late.len() as u64 <= late_max,
        "{} renewed after the release, {made} connections",
        done.late.len()
    );
    let stats = locks.stats();
    let overtaken = done.renewals - stats.renewals - stats.renewals_failed;
    println!(
        "{} released, {} renewals, {overtaken} of them on their way at the release",
        done.released.len(),
        done.renewals
    );
    // A busy machine may lose a hold before it is let go.
    let (released, lost) = (done.released.len() as u64, stats.losses);
    assert!(released + lost >= CYCLES.now() / 100 * 99, "{released} were released, {lost} lost");
    assert!(released > CYCLES.now() / 2, "{released} were released, {lost} lost");
    // About half of them are.
    assert!(done.renewals > CYCLES.now() / 4, "{} renewals of {} holds", done.renewals, CYCLES.now());
    assert!(overtaken > CYCLES.now() / 200, "{overtaken} renewals were on their way at the release");
    assert_eq!(stats.held, 0);
    observer.until_clean(CLEAN_WITHIN).await;
}
