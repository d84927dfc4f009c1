//! What many locks cost, held at the same time and let go: nothing that grows. A program of its own, because it counts its
//! open files.
//!
//! `JAEGO_SOAK=n` runs n times as many rounds.

use std::time::{Duration, Instant};

use jaego_lock::{Guard, Locks, Redis, RedisOptions, Settings};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// A release is remembered for less than a second, and the server gives back what it has no use for.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long it may take on a busy machine until the keepers have renewed.
const RENEWED_WITHIN: Duration = Duration::from_secs(120);

/// Held at the same time, each by a keeper.
const LOCKS: u64 = 10_000;
/// So many tasks take and let go of them.
const TASKS: u64 = 50;
/// While they are held, each is renewed so often, about.
const RENEWALS: u64 = 2;
/// Renewed every third of it: a thousand a second, which a busy machine can do.
const KEEPER_LEASE: Duration = Duration::from_secs(30);

/// Over the second half of the rounds, memory grows by this part of it (2 %) at the most …
const GROWTH_DIVISOR: u64 = 50;
/// … or ours by this, in bytes, where that is more: an allocator fills what it has of the system in another way each time (2.2 MB
/// more were seen from one round to the next, and 0.01 MB). It is 210 bytes a lock of two rounds, and 12 of the 34 of a soak.
const OWN_GROWTH_BYTES: u64 = 4 * 1_024 * 1_024;

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

    /// What is only slow to go comes back to it, and what grows does not.
    async fn until_no_more_than(&mut self, earlier: &Self, observer: &mut redis::aio::MultiplexedConnection) {
        let started = Instant::now();
        while !self.is_no_more_than(earlier) {
            assert!(started.elapsed() < PATIENCE, "{self:?} after {earlier:?}");
            sleep(Duration::from_millis(100)).await;
            *self = Self::of(observer).await;
        }
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

/// Takes its part of the locks, with a keeper each.
async fn take(locks: Locks, task: u64) -> Vec<Guard> {
    let mut guards = Vec::new();
    for number in 0..LOCKS / TASKS {
        let request = locks.lock(format!("order:{}", number * TASKS + task)).wait(RENEWED_WITHIN);
        guards.push(request.acquire().await.unwrap());
    }
    guards
}

async fn let_go(guards: Vec<Guard>) {
    for guard in guards {
        drop(guard.release().await);
    }
}

/// Waits until those who are held have been renewed so often, all together.
async fn until_renewed(locks: &Locks, count: u64) {
    let (before, started) = (locks.stats().renewals, Instant::now());
    while locks.stats().renewals < before + count {
        assert!(started.elapsed() < RENEWED_WITHIN, "{:?}", locks.stats());
        sleep(Duration::from_millis(20)).await;
    }
}

/// Ten thousand locks, held and renewed at the same time, again and again: the server's keys go back to what they were, and
/// neither it nor this process opens or keeps anything that it does not give back, nor needs more from round to round while
/// they are held.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_locks_leave_nothing_that_grows() {
    let server = jaego_testkit::Redis::start(&jaego_testkit::RedisOptions::default()).unwrap();
    let client = redis::Client::open(server.url()).unwrap();
    let mut observer = client.get_multiplexed_async_connection().await.unwrap();
    let settings = Settings { keeper_lease: KEEPER_LEASE, ..Settings::default() };
    let options = RedisOptions::new(&server.url()).unwrap().quarantine(Duration::ZERO);
    let locks = Locks::with_settings(Redis::start(options), settings).unwrap();
    let mut half = None;
    for round in 0..rounds() {
        let taking = (0..TASKS).map(|task| take(locks.clone(), task)).collect::<JoinSet<_>>();
        let guards = taking.join_all().await;
        until_renewed(&locks, RENEWALS * LOCKS).await;
        let mut held = Footprint::of(&mut observer).await;
        assert!(guards.iter().flatten().all(Guard::is_valid), "{:?}", locks.stats());
        assert!(held.keys as u64 >= LOCKS, "{held:?}");
        if let Some((half, _)) = &half {
            held.until_no_more_than(half, &mut observer).await;
        }
        guards.into_iter().map(let_go).collect::<JoinSet<_>>().join_all().await;
        let started = Instant::now();
        while left(&mut observer).await > 0 {
            assert!(started.elapsed() < PATIENCE, "{} keys are left", left(&mut observer).await);
            sleep(Duration::from_millis(20)).await;
        }
        let mut free = Footprint::of(&mut observer).await;
        if let Some((_, half)) = &half {
            free.until_no_more_than(half, &mut observer).await;
        }
        if round + 1 == rounds() / 2 {
            free = at_rest(&mut observer, free).await;
            half = Some((held, free));
        }
        println!("round {round}: held {held:?}, let go {free:?}");
    }
    assert_eq!((locks.stats().granted, locks.stats().losses), (LOCKS * rounds(), 0));
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
