use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jaego_lock::backend::{Acquire, Acquired, Backend, Owner};
use jaego_lock::conformance::{connected, granted};
use jaego_lock::{LockKey, Locks, Mode, Outcome, Redis, RedisOptions, Settings};
use jaego_testkit::{Direction, Fault, FaultProxy};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::redis_faults::{Observer, PATIENCE, ms, process, rounds, server, settings};

/// The server acts and the connection goes away with the answer.
const LOSE_ANSWER: Fault = Fault::CutAfter(0);

/// Lines to the server that lose answers side by side, each for a key of its own.
const LINES: u64 = 8;

/// Lines with a keeper each, which has nothing to do between two renewals. Each connects anew for each answer that it loses.
const KEEPERS: u64 = 50;

/// Plays rounds on each line, so many in all.
async fn on_lines<Rounds: Future<Output = ()> + Send + 'static>(
    count: u64,
    lines_count: u64,
    play: impl Fn(SocketAddr, String, u64) -> Rounds,
) {
    let server = server();
    let mut lines = JoinSet::new();
    for line in 0..lines_count {
        lines.spawn(play(server.addr(), format!("a{line}"), rounds(count / lines_count)));
    }
    lines.join_all().await;
    Observer::of(&server).await.until_clean(PATIENCE * 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acquire_without_an_answer_is_sent_again_and_counts_once() {
    on_lines(1_000, LINES, acquire_without_answers).await;
}

async fn acquire_without_answers(server: SocketAddr, key: String, rounds: u64) {
    let proxy = FaultProxy::start(server).unwrap();
    let (here, there) = (process(proxy.addr(), Duration::ZERO).await, process(server, Duration::ZERO).await);
    let mut fence = 0;
    for round in 0..rounds {
        drop(here.lock(format!("warm:{key}")).acquire().await.unwrap());
        proxy.set(Direction::ToClient, LOSE_ANSWER);
        let request = here.lock(&key).lease(ms(5_000));
        let guard = if round % 2 == 0 { request } else { request.fair() }.acquire().await.unwrap();
        assert_eq!(proxy.fault(Direction::ToClient), Fault::Pass, "no answer was lost");
        assert!(guard.fence() > fence);
        fence = guard.fence();
        assert!(matches!(guard.release().await, Outcome::Released));
        // One release frees it.
        drop(granted(|| there.lock(&key).try_acquire()).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_without_an_answer_is_told_as_released() {
    on_lines(1_000, LINES, release_without_answers).await;
}

async fn release_without_answers(server: SocketAddr, key: String, rounds: u64) {
    let proxy = FaultProxy::start(server).unwrap();
    let (here, there) = (patient(proxy.addr()).await, process(server, Duration::ZERO).await);
    for _ in 0..rounds {
        let guard = here.lock(&key).lease(ms(5_000)).acquire().await.unwrap();
        proxy.set(Direction::ToClient, LOSE_ANSWER);
        // By the time the release is sent again somebody else may have had the lock, and lost it again.
        let other = tokio::spawn({
            let request = there.lock(&key);
            async move { drop(request.acquire().await.unwrap()) }
        });
        let outcome = guard.release().await;
        assert!(matches!(outcome, Outcome::Released), "{outcome:?}");
        assert_eq!(proxy.fault(Direction::ToClient), Fault::Pass, "no answer was lost");
        other.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keeper_outlives_renewals_without_an_answer() {
    on_lines(1_000, KEEPERS, renewals_without_answers).await;
}

/// A process that gives a busy machine the time for another connection before it gives up.
async fn patient(addr: SocketAddr) -> Locks {
    let settings = Settings { response_timeout: ms(500), waiter_ttl: ms(2_400), ..settings() };
    let settings = Settings { keeper_lease: ms(2_400), ..settings };
    let options = RedisOptions::new(&format!("redis://{addr}/")).unwrap().quarantine(Duration::ZERO);
    Locks::with_settings(connected(Redis::start(options)).await, settings).unwrap()
}

async fn renewals_without_answers(server: SocketAddr, key: String, rounds: u64) {
    let proxy = FaultProxy::start(server).unwrap();
    let settings = Settings { keeper_lease: ms(2_400), ..settings() };
    let options =
        RedisOptions::new(&format!("redis://{}/", proxy.addr())).unwrap().quarantine(Duration::ZERO);
    let here = Locks::with_settings(connected(Redis::start(options)).await, settings).unwrap();
    let guard = here.lock(&key).max_hold(Duration::from_secs(60 * 60)).acquire().await.unwrap();
    let (fence, lost) = (guard.fence(), guard.lost());
    let renewals = async {
        for _ in 0..rounds {
            let failed = here.stats().renewals_failed;
            while here.stats().renewals_failed == failed {
                // Something else may come first, such as the answer to a ping of the ear.
                if proxy.fault(Direction::ToClient) == Fault::Pass {
                    proxy.set(Direction::ToClient, LOSE_ANSWER);
                }
                sleep(ms(10)).await;
            }
            proxy.heal();
            let renewed = here.stats().renewals;
            while here.stats().renewals == renewed {
                sleep(ms(10)).await;
            }
        }
    };
    tokio::select! {
        how = lost => panic!("{key} was lost: {how:?}, {:?}", here.stats()),
        () = renewals => {}
    }
    assert!(here.stats().renewals_failed >= rounds, "an answer was lost in each round");
    assert_eq!((guard.is_valid(), guard.fence()), (true, fence));
    assert!(matches!(guard.release().await, Outcome::Released));
}

#[tokio::test(flavor = "multi_thread")]
async fn waiters_are_served_though_their_ears_are_cut_off() {
    let server = server();
    let (here, there) =
        (process(server.addr(), Duration::ZERO).await, process(server.addr(), Duration::ZERO).await);
    drop(here.lock("a").acquire().await.unwrap());
    let stop = Arc::new(AtomicBool::new(false));
    let killer = tokio::spawn({
        let (mut observer, stop) = (Observer::of(&server).await, Arc::clone(&stop));
        async move {
            let mut killed = 0;
            while !stop.load(Ordering::Relaxed) {
                killed += observer.command::<u64>("CLIENT KILL TYPE pubsub").await;
                sleep(ms(3)).await;
            }
            killed
        }
    });
    let mut longest = Duration::ZERO;
    for round in 0..rounds(20) {
        let (holder, waiter) = if round % 2 == 0 { (&here, &there) } else { (&there, &here) };
        let guard = holder.lock("a").acquire().await.unwrap();
        let request = waiter.lock("a");
        let waiting = tokio::spawn(async move { drop(request.acquire().await.unwrap()) });
        sleep(ms(10)).await;
        let released = Instant::now();
        assert!(guard.release().await.was_held());
        timeout(waiter.settings().recheck + PATIENCE, waiting).await.expect("nobody hangs").unwrap();
        longest = longest.max(released.elapsed());
    }
    stop.store(true, Ordering::Relaxed);
    assert!(killer.await.unwrap() > 10, "the subscribers were hardly cut off");
    assert!(there.stats().gaps > 10);
    println!("the longest wait after a release was {longest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_while_nobody_listens_is_noticed_at_once() {
    let server = server();
    let (here, there) =
        (process(server.addr(), Duration::ZERO).await, process(server.addr(), Duration::ZERO).await);
    let mut observer = Observer::of(&server).await;
    let mut slow = 0;
    for _ in 0..rounds(10) {
        let guard = here.lock("a").lease(ms(15_000)).acquire().await.unwrap();
        let request = there.lock("a");
        let waiting = tokio::spawn(async move { drop(request.acquire().await.unwrap()) });
        sleep(ms(20)).await;
        let _: u64 = observer.command("CLIENT KILL TYPE pubsub").await;
        sleep(ms(2)).await;
        let released = Instant::now();
        assert!(guard.release().await.was_held());
        timeout(PATIENCE * 5, waiting).await.expect("nobody hangs").unwrap();
        // Sooner than by the next look at the clock.
        slow += u64::from(released.elapsed() > here.settings().recheck / 4);
    }
    assert!(slow <= rounds(10) / 5, "{slow} of {} releases were only found by chance", rounds(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_swallows_everything_is_replaced() {
    let server = server();
    let proxy = FaultProxy::start(server.addr()).unwrap();
    let here = process(proxy.addr(), Duration::ZERO).await;
    drop(here.lock("a").acquire().await.unwrap());
    for _ in 0..rounds(3) {
        // Nothing arrives any more, and TCP says nothing.
        proxy.set_both(Fault::Blackhole);
        let started = Instant::now();
        let error = here.lock("a").wait(ms(300)).acquire().await.unwrap_err();
        assert!(matches!(error, jaego_lock::Error::Unavailable { .. }), "{error}");
        assert!(started.elapsed() < ms(300) + PATIENCE / 2, "{:?}", started.elapsed());
        sleep(ms(300)).await;
        proxy.heal();
        let guard = here.lock("a").wait(ms(5_000)).acquire().await.expect("a new connection is made");
        assert!(guard.release().await.was_held());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_arrives_late_does_nothing() {
    let server = server();
    let proxy = FaultProxy::start(server.addr()).unwrap();
    let options = RedisOptions::new(&format!("redis://{}/", proxy.addr())).unwrap();
    let backend = Redis::start(options.quarantine(Duration::ZERO));
    let request = Acquire {
        keys: [LockKey::new("a").unwrap()].into(),
        owner: Owner::random(),
        mode: Mode::exclusive(),
        lease: ms(5_000),
        fence_min: 0,
        fair: false,
        waiting: None,
        claim: ms(100),
        timeout: ms(100),
    };
    let other =
        Acquire { owner: Owner::random(), keys: [LockKey::new("b").unwrap()].into(), ..request.clone() };
    assert!(matches!(backend.acquire(&other).await.unwrap(), Acquired::Granted { .. }));
    proxy.set(Direction::ToServer, Fault::Delay(ms(900)));
    let error = backend.acquire(&request).await.unwrap_err();
    assert!(matches!(error, jaego_lock::backend::Error::Unavailable { .. }), "{error}");
    proxy.heal();
    let left = Observer::of(&server).await.leftovers().await;
    assert!(left.iter().all(|key| !key.ends_with(":a")), "{left:?}");
    // In time, the same request is granted: it was never released.
    let in_time = Acquire { timeout: ms(2_000), ..request };
    assert!(matches!(backend.acquire(&in_time).await.unwrap(), Acquired::Granted { .. }));
}
