//! What is left after many locks: nothing that grows. A program of its own, because it counts its open files.
//!
//! `JAEGO_SOAK=n` runs n times as many rounds.

use std::time::{Duration, Instant};

use jaego_lock::{Locks, Redis, RedisOptions, Settings};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// A release is remembered for less than a second, a lease ends after two, and the server gives back what it has no use for.
const PATIENCE: Duration = Duration::from_secs(20);

const LOCKS: u64 = 10_000;
const TASKS: u64 = 50;

/// Over the second half of the rounds, memory grows by this part of it (2 %) at the most …
const GROWTH_DIVISOR: u64 = 50;
/// … or ours by this, in bytes, where that is more: an allocator takes pages at a time, for each thread. It is less than 30
/// bytes a lock of two rounds.
const OWN_GROWTH_BYTES: u64 = 512 * 1_024;

/// The first half opens connections and fills allocators.
fn rounds() -> u64 {
    2 + 2 * jaego_testkit::soak()
}

/// What the locks cost at rest.
#[derive(Clone, Copy, Debug)]
struct Footprint {
    keys: usize,
    clients: u64,
    files: usize,
    server_bytes: u64,
    own_bytes: u64,
}

impl Footprint {
    async fn of(observer: &mut redis::aio::MultiplexedConnection) -> Self {
        // Not DBSIZE, which counts what has ended and is not swept up yet.
        let keys = all(observer).await.len();
        let files = std::fs::read_dir("/proc/self/fd").unwrap().count();
        let info: String = redis::cmd("INFO").query_async(observer).await.unwrap();
        let number = |name| info.lines().find_map(|line| line.strip_prefix(name)?.parse().ok()).unwrap();
        let (clients, server_bytes) = (number("connected_clients:"), number("used_memory:"));
        Self { keys, clients, files, server_bytes, own_bytes: resident_bytes() }
    }

    fn is_no_more_than(&self, earlier: &Self) -> bool {
        let flat = |now: u64, then: u64, slack| now <= then + (then / GROWTH_DIVISOR).max(slack);
        self.keys <= earlier.keys
            && self.clients <= earlier.clients
            && self.files <= earlier.files
            && flat(self.server_bytes, earlier.server_bytes, 0)
            && flat(self.own_bytes, earlier.own_bytes, OWN_GROWTH_BYTES)
    }
}

async fn take_and_release(locks: Locks, task: u64) {
    for round in 0..LOCKS / TASKS {
        let request = locks.lock(format!("order:{}", round * TASKS + task)).lease(Duration::from_secs(2));
        // A busy machine may keep the server for longer than its time to answer.
        let Ok(guard) = request.acquire().await else { continue };
        drop(guard.release().await);
    }
}

/// Ten thousand locks, again and again: the server's keys go back to what they were, and neither it nor this process opens
/// or keeps anything that it does not give back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_locks_leave_nothing_that_grows() {
    let server = jaego_testkit::Redis::start(&jaego_testkit::RedisOptions::default()).unwrap();
    let client = redis::Client::open(server.url()).unwrap();
    let mut observer = client.get_multiplexed_async_connection().await.unwrap();
    let settings = Settings { response_timeout: Duration::from_millis(100), ..Settings::default() };
    let options = RedisOptions::new(&server.url()).unwrap().quarantine(Duration::ZERO);
    let locks = Locks::with_settings(Redis::start(options), settings).unwrap();
    let (mut footprints, mut half) = (Vec::new(), None);
    for round in 0..rounds() {
        (0..TASKS).map(|task| take_and_release(locks.clone(), task)).collect::<JoinSet<_>>().join_all().await;
        let started = Instant::now();
        while left(&mut observer).await > 0 {
            assert!(started.elapsed() < PATIENCE, "{} keys are left", left(&mut observer).await);
            sleep(Duration::from_millis(20)).await;
        }
        let mut footprint = Footprint::of(&mut observer).await;
        if let Some(half) = &half {
            // What is only slow to go comes back to it, and what grows does not.
            while !footprint.is_no_more_than(half) {
                assert!(started.elapsed() < PATIENCE, "round {round}: {footprint:?} after {footprints:?}");
                sleep(Duration::from_millis(100)).await;
                footprint = Footprint::of(&mut observer).await;
            }
        }
        if round + 1 == rounds() / 2 {
            footprint = at_rest(&mut observer, footprint).await;
            half = Some(footprint);
        }
        footprints.push(footprint);
    }
    println!("{footprints:#?}");
    let granted = locks.stats().granted;
    assert!(granted > LOCKS * rounds() / 2, "{granted} were granted");
}

/// What the locks cost once two looks in a row agree: what is only passing would hide what grows.
async fn at_rest(observer: &mut redis::aio::MultiplexedConnection, mut last: Footprint) -> Footprint {
    let started = Instant::now();
    loop {
        sleep(Duration::from_millis(100)).await;
        let next = Footprint::of(observer).await;
        if next.is_no_more_than(&last) && last.is_no_more_than(&next) {
            return next;
        }
        assert!(started.elapsed() < PATIENCE, "{next:?} after {last:?}");
        last = next;
    }
}

/// How many keys there are of locks, queues and releases.
async fn left(observer: &mut redis::aio::MultiplexedConnection) -> usize {
    let keys = all(observer).await;
    let passing = ["lock:", "places:", "lives:", "wishes:", "ended:"];
    keys.iter().filter(|key| passing.iter().any(|part| key.contains(part))).count()
}

async fn all(observer: &mut redis::aio::MultiplexedConnection) -> Vec<String> {
    redis::cmd("KEYS").arg("*").query_async(observer).await.unwrap()
}

/// What this process has in memory.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
}
