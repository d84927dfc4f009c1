//! A crowd in ten processes.

use std::time::{Duration, Instant};

use jaego_lock::{Locks, Redis, RedisOptions, Settings, limits};
use jaego_testkit::{Twin, tell};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::redis_faults::{Observer, ms, own_cpu_s, rounds, server};

/// Tells this test that it is one of the processes, where the server is, the key, whether they are fair, how long their
/// places outlive them, and how many wait in it.
const MEMBER: &str = "JAEGO_LOCK_MEMBER";
const TEST: &str = "redis_faults::crowd::a_release_wakes_one_of_each_of_ten_processes";

const PROCESSES: u64 = 10;
/// How long nothing happens: a look each five seconds, and a renewal each three or so.
const WINDOW: Duration = Duration::from_secs(6);
/// How long what one release sets off is counted.
const FIRST_RELEASE: Duration = Duration::from_millis(500);
/// How long it takes them to have nothing to do, at the most.
const CALM_WITHIN: Duration = Duration::from_secs(10);
/// A bound on what only a bug makes late.
const PATIENCE: Duration = Duration::from_secs(60);
const WAIT: Duration = Duration::from_secs(300);

/// A crowd, and how long the places of its waiters outlive them.
struct Crowd {
    key: &'static str,
    fair: bool,
    waiter_ttl: Duration,
}

const CROWDS: [Crowd; 3] = [
    Crowd { key: "plain", fair: false, waiter_ttl: limits::WAITER_TTL },
    // On a machine with little else to do, nobody has to say that it is alive before the test is over.
    Crowd { key: "fair", fair: true, waiter_ttl: Duration::from_secs(120) },
    Crowd { key: "fair-by-default", fair: true, waiter_ttl: limits::WAITER_TTL },
];

impl Crowd {
    /// How often each of the fair says that it is alive.
    fn refresh(&self) -> Duration {
        limits::WAITER_REFRESH_MAX.min(self.waiter_ttl / limits::WAITER_REFRESH_DIVISOR)
    }

    /// How often each may have said that it is alive in the `window` that ends now. They have come since `began`.
    fn signs_of_life_each(&self, began: Instant, window: Duration) -> u64 {
        if !self.fair {
            return 0;
        }
        let times = |span: Duration| u64::try_from(span.as_nanos() / self.refresh().as_nanos()).unwrap();
        // The first one comes after a whole pause.
        times(began.elapsed()).min(times(window) + 1)
    }
}

/// With the times of everyday, so that a busy machine does not make them ask twice.
fn locks(url: &str, waiter_ttl: Duration) -> Locks {
    let settings = Settings { waiter_ttl, ..Settings::default() };
    let redis = Redis::start(RedisOptions::new(url).unwrap().quarantine(Duration::ZERO));
    Locks::with_settings(redis, settings).unwrap()
}

/// Waits with so many tasks, and says so; then how many of them were served, when they were.
async fn wait_with_the_others(what: &str) {
    let [url, key, fair, waiter_ttl_ms, count] = what.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{what}")
    };
    let (fair, count): (bool, u64) = (fair.parse().unwrap(), count.parse().unwrap());
    let locks = locks(url, ms(waiter_ttl_ms.parse().unwrap()));
    let mut waiters = JoinSet::new();
    let (go, _) = tokio::sync::watch::channel(false);
    for _ in 0..count {
        let request = locks.lock(key).lease(ms(30_000)).wait(WAIT);
        let request = if fair { request.fair() } else { request };
        let mut counted = go.subscribe();
        waiters.spawn(async move {
            let guard = request.acquire().await.unwrap();
            // Whoever is served first holds it until the first release was counted.
            counted.wait_for(|counted| *counted).await.unwrap();
            guard.release().await.was_held()
        });
    }
    while locks.stats().patterns.values().map(|pattern| pattern.contended).sum::<u64>() < count {
        sleep(ms(2)).await;
    }
    tell("waiting");
    let (sender, mut orders) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            drop(sender.send(line.unwrap()));
        }
    });
    for _ in 0..2 {
        assert_eq!(orders.recv().await.unwrap(), "cpu");
        tell(&format!("used {}", own_cpu_s()));
    }
    assert_eq!(orders.recv().await.unwrap(), "go");
    go.send_replace(true);
    assert!(waiters.join_all().await.into_iter().all(|held| held));
    tell(&format!("served {}", locks.stats().granted));
    // Whoever asks ends it.
    drop(orders.recv().await);
}

/// The processor time of all of them so far.
fn used(members: &mut [Twin]) -> f64 {
    for member in &mut *members {
        member.say("cpu").unwrap();
    }
    let used = members.iter_mut().map(|member| member.hear_of("used ", PATIENCE).unwrap());
    used.map(|used| used.parse::<f64>().unwrap()).sum()
}

/// Waits until the first looks of processes that have just begun to listen are over. Where they never are, the count says so.
async fn until_calm(observer: &mut Observer) {
    let started = Instant::now();
    while started.elapsed() < CALM_WITHIN {
        let before = observer.scripts().await;
        sleep(ms(300)).await;
        // A renewal may fall into it.
        if observer.scripts().await <= before + 1 {
            return;
        }
    }
}

/// One who holds, and a thousand who wait in ten processes: nothing is asked but renewals, looks, and in a queue the signs of
/// life that are due; and nobody works. Then one after the other is served, and each release wakes one of each process at the
/// most; the fair by name.
#[tokio::test(flavor = "multi_thread")]
async fn a_release_wakes_one_of_each_of_ten_processes() {
    if let Ok(what) = std::env::var(MEMBER) {
        return wait_with_the_others(&what).await;
    }
    let waiters = rounds(1_000).min(2_000);
    let server = server();
    let mut observer = Observer::of(&server).await;
    let here = locks(&server.url(), limits::WAITER_TTL);
    for crowd in CROWDS {
        let Crowd { key, fair, waiter_ttl } = crowd;
        // It is renewed by its keeper.
        let holder = here.lock(key).max_hold(WAIT).acquire().await.unwrap();
        let (url, ttl_ms) = (server.url(), waiter_ttl.as_millis());
        let what = format!("{url} {key} {fair} {ttl_ms} {}", waiters / PROCESSES);
        let began = Instant::now();
        let mut members: Vec<Twin> =
            (0..PROCESSES).map(|_| Twin::start(TEST, &[(MEMBER, what.clone())]).unwrap()).collect();
        for member in &mut members {
            member.hear_of("waiting", PATIENCE).unwrap();
        }
        // Those who say so all the time are never calm.
        if !fair || crowd.refresh() > WINDOW {
            until_calm(&mut observer).await;
        }
        let started = Instant::now();
        let (scripts, server_cpu, own_cpu) =
            (observer.scripts().await, observer.cpu_s().await, used(&mut members));
        sleep(WINDOW).await;
        let (scripts, server_cpu) = (observer.scripts().await - scripts, observer.cpu_s().await - server_cpu);
        let own_cpu = used(&mut members) - own_cpu;
        let window = started.elapsed();
        let seconds = window.as_secs_f64();
        println!(
            "{key}: {seconds:.1} s: {scripts} scripts, the server used {server_cpu:.3} s, the processes {own_cpu:.3} s"
        );
        // The front of each process looks every five seconds. A renewal comes every
        // three seconds. Each may just have been about to.
        let looks = PROCESSES as f64 * (seconds / 5.0 + 1.0) + seconds / 3.0 + 1.0;
        let alive = (waiters * crowd.signs_of_life_each(began, window)) as f64;
        let scripts = scripts as f64;
        assert!(scripts <= looks + alive, "{key}: {scripts} scripts in {seconds} s, {alive} signs of life");
        // A twentieth of a core would be a loop somewhere.
        assert!(server_cpu < seconds / 20.0, "{key}: the server used {server_cpu} s in {seconds} s");
        assert!(own_cpu < seconds / 20.0, "{key}: the processes used {own_cpu} s in {seconds} s");

        let before = observer.scripts().await;
        let started = Instant::now();
        assert!(holder.release().await.was_held());
        sleep(FIRST_RELEASE).await;
        let first = observer.scripts().await - before - 1;
        let alive = waiters * crowd.signs_of_life_each(began, started.elapsed());
        println!("{key}: {first} acquires for the first release in {:?}", started.elapsed());
        let most = PROCESSES + 1 + alive;
        assert!(
            (1..=most).contains(&first),
            "{key}: {first} acquires for one release, {alive} signs of life"
        );
        for member in &mut members {
            member.say("go").unwrap();
        }
        let mut served = 0;
        for member in &mut members {
            served += member.hear_of("served ", WAIT).unwrap().parse::<u64>().unwrap();
        }
        assert_eq!(served, waiters);
        let took = started.elapsed();
        let releases = waiters + 1;
        let acquires = observer.scripts().await - before - releases;
        println!("{key}: {acquires} acquires for {releases} releases in {took:?}");
        // The fair are called by name.
        let each = if fair { 1 } else { PROCESSES };
        let alive = waiters * crowd.signs_of_life_each(began, took);
        let most = releases * (each + 1) + alive;
        assert!(acquires <= most, "{key}: {acquires} acquires, {most} at the most");
    }
}
