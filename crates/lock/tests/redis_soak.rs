//! What is left after many locks: nothing that grows. A program of its own, because it counts its open files.
//!
//! `JAEGO_SOAK=n` runs n times as many rounds.

use std::time::{Duration, Instant};

use jaego_lock::{Locks, Redis, RedisOptions, Settings};
use tokio::time::sleep;

/// A release is remembered for less than a second, and a lease ends after two.
const PATIENCE: Duration = Duration::from_secs(20);

fn rounds() -> u64 {
    1 + 2 * jaego_testkit::soak()
}

/// Ten thousand locks, again and again: the server's keys go back to what they were, and this process opens nothing
/// and keeps nothing that it does not give back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_locks_leave_nothing_that_grows() {
    const LOCKS: u64 = 10_000;
    const TASKS: usize = 50;
    let server = jaego_testkit::Redis::start(&jaego_testkit::RedisOptions::default()).unwrap();
    let client = redis::Client::open(server.url()).unwrap();
    let mut observer = client.get_multiplexed_async_connection().await.unwrap();
    let settings = Settings { response_timeout: Duration::from_millis(100), ..Settings::default() };
    let options = RedisOptions::new(&server.url()).unwrap().quarantine(Duration::ZERO);
    let locks = Locks::with_settings(Redis::start(options), settings).unwrap();
    let mut after_rounds = Vec::new();
    for _ in 0..rounds() {
        let tasks: Vec<_> = (0..TASKS as u64)
            .map(|task| {
                let locks = locks.clone();
                tokio::spawn(async move {
                    for number in (task..LOCKS).step_by(TASKS) {
                        let request = locks.lock(format!("order:{number}")).lease(Duration::from_secs(2));
                        // A busy machine may keep the server for longer than its time to answer.
                        let Ok(guard) = request.acquire().await else { continue };
                        drop(guard.release().await);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let started = Instant::now();
        while left(&mut observer).await > 0 {
            assert!(started.elapsed() < PATIENCE, "{} keys are left", left(&mut observer).await);
            sleep(Duration::from_millis(20)).await;
        }
        // Not DBSIZE, which counts what has ended and is not swept up yet.
        let keys = all(&mut observer).await.len();
        let files = std::fs::read_dir("/proc/self/fd").unwrap().count();
        after_rounds.push((keys, files, resident_kib()));
    }
    // The first round opens connections and fills allocators.
    let [(first_keys, first_files, first_kib), .., (keys, files, kib)] = after_rounds[..] else {
        panic!("at least two rounds")
    };
    assert_eq!((keys, files), (first_keys, first_files), "{after_rounds:?}");
    assert!(kib <= first_kib + first_kib / 50 + 2_048, "{after_rounds:?}");
    let granted = locks.stats().granted;
    assert!(granted > LOCKS * rounds() / 2, "{granted} were granted");
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
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
