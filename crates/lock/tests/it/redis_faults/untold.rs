//! A lock that falls free and nobody tells, while the connection that would hear it is alive.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jaego_lock::{BootTime, Locks, Redis, RedisOptions, Settings};
use jaego_testkit::{Direction, Fault, FaultProxy};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::redis_faults::{Observer, ms, own_cpu_s, rounds, server};

pub(crate) const RECHECK: Duration = Duration::from_millis(1_500);
/// What may come on top of it …
pub(crate) const LATE: Duration = Duration::from_millis(50);
/// … for most of them, and for each of them on a machine that has other things to do.
pub(crate) const LATE_MAX: Duration = Duration::from_secs(10);
/// Keys that fall free at the same time and of which nobody tells.
pub(crate) const KEYS: usize = 1_280;
/// More keys, which are let go of as usual at the same time.
const TOLD: usize = 128;
/// So many set out at a time, so that they do not all come back at the same time either.
pub(crate) const GROUP: usize = 25;
/// The pause between two groups.
pub(crate) const GROUP_PAUSE: Duration = Duration::from_millis(15);

pub(crate) fn locks(addr: std::net::SocketAddr) -> Locks {
    let settings =
        Settings { recheck: RECHECK, waiter_ttl: ms(15_000), ..jaego_lock::conformance::settings() };
    let settings = Settings { response_timeout: ms(500), keeper_lease: ms(10_000), ..settings };
    let options = RedisOptions::new(&format!("redis://{addr}/")).unwrap().quarantine(Duration::ZERO);
    Locks::with_settings(Redis::start(options), settings).unwrap()
}

/// How late this machine's timers are meanwhile, at the most.
pub(crate) fn watch_timers() -> (Arc<AtomicBool>, tokio::task::JoinHandle<Duration>) {
    let stop = Arc::new(AtomicBool::new(false));
    let watch = tokio::spawn({
        let stop = Arc::clone(&stop);
        async move {
            let mut latest = Duration::ZERO;
            while !stop.load(Ordering::Relaxed) {
                let started = BootTime::now();
                sleep(ms(5)).await;
                latest = latest.max(BootTime::now().since(started).saturating_sub(ms(5)));
            }
            latest
        }
    });
    (stop, watch)
}

/// Waiters look again after a while, though their ears are open and nothing comes.
#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_is_free_and_nobody_told_is_found_at_the_next_look() {
    let server = server();
    let (here, there) = (locks(server.addr()), locks(server.addr()));
    let mut observer = Observer::of(&server).await;
    for round in 0..rounds(4) {
        let fair = round % 2 == 1;
        let mut holders = JoinSet::new();
        for key in 0..KEYS + TOLD {
            let request = here.lock(format!("{round}:{key}")).lease(ms(20_000));
            holders.spawn(async move { (key, request.acquire().await.unwrap()) });
        }
        let holders = holders.join_all().await;
        let mut waiters = JoinSet::new();
        for key in 0..KEYS + TOLD {
            let request = there.lock(format!("{round}:{key}")).lease(ms(5_000));
            let request = if fair { request.fair() } else { request };
            waiters.spawn(async move {
                let guard = request.acquire().await.unwrap();
                (key, BootTime::now(), guard)
            });
            if key % GROUP == 0 {
                sleep(GROUP_PAUSE).await;
            }
        }
        // All of them have asked, and now sleep until the next look.
        let waiting = (round + 1) * (KEYS + TOLD) as u64;
        while there.stats().patterns.values().map(|pattern| pattern.contended).sum::<u64>() < waiting {
            sleep(ms(2)).await;
        }
        let (stop, timers) = watch_timers();
        let keys: Vec<String> = observer.command("KEYS jaego:*:lock:*").await;
        assert_eq!(keys.len(), KEYS + TOLD);
        let number = |key: &str| key.rsplit(':').next().unwrap().parse::<usize>().unwrap();
        let untold: Vec<String> = keys.into_iter().filter(|key| number(key) < KEYS).collect();
        let freed_at = BootTime::now();
        let gone: usize = observer.command(&format!("DEL {}", untold.join(" "))).await;
        assert_eq!(gone, KEYS);
        let (holders, told): (Vec<_>, Vec<_>) = holders.into_iter().partition(|(key, _)| *key < KEYS);
        // Dropped, they are let go of side by side.
        drop(told);
        let all = timeout(RECHECK + LATE_MAX, waiters.join_all()).await.expect("nobody hangs");
        stop.store(true, Ordering::Relaxed);
        let timers_late = timers.await.unwrap();
        let waits = |told: bool| {
            let some = all.iter().filter(|(key, ..)| (*key >= KEYS) == told);
            let mut waits: Vec<Duration> = some.map(|(_, got_at, _)| got_at.since(freed_at)).collect();
            waits.sort_unstable();
            [50, 99, 100].map(|percent| waits[(waits.len() - 1) * percent / 100])
        };
        let ([median, most, longest], [median_told, _, longest_told]) = (waits(false), waits(true));
        println!(
            "{KEYS} found after {median:?}, 99 of 100 after {most:?}, at the latest after {longest:?}; {TOLD} told after {median_told:?}, \
             {longest_told:?}; timers were late by {timers_late:?}"
        );
        assert!(most <= RECHECK + LATE + timers_late, "{most:?}, timers were late by {timers_late:?}");
        // They did sleep, and were not told by something else; those who were told did not.
        assert!(longest > RECHECK / 4, "{longest:?}");
        assert!(median_told < median, "{median_told:?}");
        let mut ends = JoinSet::new();
        for guard in
            all.into_iter().map(|(.., guard)| guard).chain(holders.into_iter().map(|(_, guard)| guard))
        {
            ends.spawn(async move { drop(guard.release().await) });
        }
        ends.join_all().await;
    }
    // What is left of the queues that lost their locks ends with the waiters' time to live.
}

/// A connection that hears nothing any more is found out by its ping and made anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_deaf_subscriber_is_found_out() {
    let server = server();
    let proxy = FaultProxy::start(server.addr()).unwrap();
    let (here, there) = (locks(server.addr()), locks(proxy.addr()));
    drop(there.lock("warm").acquire().await.unwrap());
    let mut observer = Observer::of(&server).await;
    let mut subscribers = async || -> usize {
        let clients: String = observer.command("CLIENT LIST TYPE pubsub").await;
        clients.lines().filter(|line| line.contains(" sub=64 ")).count()
    };
    while subscribers().await < 2 {
        sleep(ms(5)).await;
    }
    let (gaps, connections) = (there.stats().gaps, proxy.connections());
    assert!(connections >= 2, "one to ask and one to hear");
    let holder = here.lock("a").lease(ms(20_000)).acquire().await.unwrap();
    let request = there.lock("a");
    let waiter = tokio::spawn(async move { request.acquire().await.unwrap() });
    while there.stats().patterns.get("a").is_none_or(|pattern| pattern.contended == 0) {
        sleep(ms(2)).await;
    }
    // From now on nothing comes back, and nobody says so. Steps find out at once, the ear within its pause of 5 s.
    proxy.set(Direction::ToClient, Fault::Swallow);
    assert!(holder.release().await.was_held());
    let told = timeout(Duration::from_secs(60), async {
        while there.stats().gaps == gaps {
            sleep(ms(10)).await;
        }
    });
    assert!(told.await.is_ok(), "nobody noticed");
    proxy.heal();
    let guard = timeout(Duration::from_secs(60), waiter).await.expect("nobody hangs").unwrap();
    assert!(guard.release().await.was_held());
}

/// One who holds, and a crowd who waits: the server is asked for renewals and looks, and nothing else; neither side works.
#[tokio::test(flavor = "multi_thread")]
async fn waiting_costs_nothing() {
    const WINDOW: Duration = Duration::from_secs(6);
    let server = server();
    let options = RedisOptions::new(&server.url()).unwrap().quarantine(Duration::ZERO);
    let processes: Vec<Locks> = (0..4).map(|_| Locks::new(Redis::start(options.clone()))).collect();
    let mut observer = Observer::of(&server).await;
    // It is renewed every 3.3 s.
    let holder = processes[0].lock("a").acquire().await.unwrap();
    let mut waiters = JoinSet::new();
    for turn in 0..200 {
        let request = processes[turn % 4].lock("a").wait(Duration::from_secs(120)).lease(ms(10_000));
        waiters.spawn(async move { request.acquire().await.unwrap().release().await.was_held() });
    }
    let contended =
        || processes.iter().flat_map(|locks| locks.stats().patterns).map(|(_, one)| one.contended);
    while contended().sum::<u64>() < 200 {
        sleep(ms(2)).await;
    }
    // The first looks of processes that have just begun to listen are over.
    let mut last = 0;
    for _ in 0..20 {
        let scripts = observer.scripts().await;
        if scripts == last {
            break;
        }
        last = scripts;
        sleep(ms(300)).await;
    }
    let (scripts, server_cpu, own_cpu) = (observer.scripts().await, observer.cpu_s().await, own_cpu_s());
    let started = BootTime::now();
    sleep(WINDOW).await;
    let seconds = BootTime::now().since(started).as_secs_f64();
    let scripts = observer.scripts().await - scripts;
    let (server_cpu, own_cpu) = (observer.cpu_s().await - server_cpu, own_cpu_s() - own_cpu);
    println!(
        "{seconds:.1} s: {scripts} scripts, the server used {server_cpu:.3} s, 200 waiters {own_cpu:.3} s"
    );
    // Each process looks every 5 s, the keeper renews every 3 s; both may just have been about to.
    let looks = processes.len() as f64 * (seconds / 5.0 + 1.0) + seconds / 3.0 + 1.0;
    assert!((scripts as f64) <= looks, "{scripts} scripts in {seconds} s");
    // A twentieth of a core would be a loop somewhere; it is a hundredth of that.
    assert!(server_cpu < seconds / 20.0, "the server used {server_cpu} s in {seconds} s");
    // Where other tests run in this process at the same time, its time says nothing of these waiters.
    if std::env::var_os("NEXTEST").is_some() {
        assert!(own_cpu < seconds / 20.0, "this process used {own_cpu} s in {seconds} s");
    }
    assert!(holder.release().await.was_held());
    assert!(waiters.join_all().await.into_iter().all(|held| held));
}
