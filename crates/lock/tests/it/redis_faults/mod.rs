//! Locks on a Redis that stops, dies, forgets, is replaced, and whose answers are lost.
//!
//! `JAEGO_SOAK=n` runs n times as many rounds.

mod acl;
mod advice;
mod away;
mod cancel;
mod clock;
mod cluster;
mod crowd;
mod deadlines;
mod displaced;
mod exit;
mod failover;
mod full;
mod ground;
mod half_told;
mod herd;
mod holders;
mod late;
mod layout;
mod listed;
mod lossy;
mod lost_answers;
mod memory;
mod options;
mod outage;
mod quarantine;
mod sentinels;
mod strikes;
mod two_masters;
mod untold;

use std::collections::BTreeMap;
use std::time::Duration;

use jaego_lock::conformance::connected;
use jaego_lock::{Locks, Redis, RedisOptions, Settings};
use jaego_testkit as testkit;

use crate::{ms, rounds};

/// How late an expectation may come true on a busy machine.
const PATIENCE: Duration = Duration::from_secs(1);

/// The processor time of this process, which has this test alone under nextest.
fn own_cpu_s() -> f64 {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let of_threads =
        threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok());
    let ns = of_threads.filter_map(|stat| stat.split(' ').next()?.parse::<f64>().ok()).sum::<f64>();
    ns / 1e9
}

fn server() -> testkit::Redis {
    testkit::Redis::start(&testkit::RedisOptions::default()).unwrap()
}

/// A process whose commands go to `addr`, with a quarantine that a test can wait for. It has connected.
async fn process(addr: std::net::SocketAddr, quarantine: Duration) -> Locks {
    Locks::with_settings(connected(backend(addr, quarantine)).await, settings()).unwrap()
}

/// The same where nothing connects, or nothing may have yet.
fn unconnected(addr: std::net::SocketAddr, quarantine: Duration) -> Locks {
    Locks::with_settings(backend(addr, quarantine), settings()).unwrap()
}

fn settings() -> Settings {
    Settings { recheck: ms(2_000), ..jaego_lock::conformance::settings() }
}

fn backend(addr: std::net::SocketAddr, quarantine: Duration) -> Redis {
    let options = RedisOptions::new(&format!("redis://{addr}/")).unwrap();
    let options = options.quarantine(quarantine).replica_lag(Duration::ZERO);
    Redis::start(options.response_timeout(settings().response_timeout))
}

/// Somebody who looks at the server itself.
struct Observer(redis::aio::MultiplexedConnection);

impl Observer {
    async fn of(server: &testkit::Redis) -> Self {
        let client = redis::Client::open(server.url()).unwrap();
        // A long answer takes its time on a busy machine.
        let patient =
            redis::AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(None);
        Self(client.get_multiplexed_async_connection_with_config(&patient).await.unwrap())
    }

    async fn command<T: redis::FromRedisValue>(&mut self, command: &str) -> T {
        let mut words = command.split(' ');
        let mut command = redis::cmd(words.next().unwrap());
        for word in words {
            command.arg(word);
        }
        command.query_async(&mut self.0).await.unwrap()
    }

    /// How many the server has taken since it was started.
    async fn connections(&mut self) -> u64 {
        let stats: String = self.command("INFO stats").await;
        let count = stats.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
        count.expect("it says so").parse().unwrap()
    }

    /// What is left of locks and queues.
    async fn leftovers(&mut self) -> Vec<String> {
        let keys: Vec<String> = self.command("KEYS *").await;
        let state = ["lock:", "places:", "lives:", "wishes:"];
        keys.into_iter().filter(|key| state.iter().any(|part| key.contains(part))).collect()
    }

    /// Waits until nothing is left.
    async fn until_clean(&mut self, patience: Duration) {
        let started = std::time::Instant::now();
        loop {
            let leftovers = self.leftovers().await;
            if leftovers.is_empty() {
                return;
            }
            assert!(started.elapsed() < patience, "left behind: {leftovers:?}");
            tokio::time::sleep(ms(2)).await;
        }
    }

    /// How often each command was called.
    async fn calls(&mut self) -> BTreeMap<String, u64> {
        let info: String = self.command("INFO commandstats").await;
        let line = |line: &str| {
            let (name, stats) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            Some((name.to_owned(), stats.split(',').next()?.parse().ok()?))
        };
        info.lines().filter_map(line).collect()
    }

    /// The processor time of the server so far.
    async fn cpu_s(&mut self) -> f64 {
        let info: String = self.command("INFO cpu").await;
        let used = |name| info.lines().find_map(|line| line.strip_prefix(name)?.parse::<f64>().ok());
        ["used_cpu_sys:", "used_cpu_user:"].into_iter().filter_map(used).sum()
    }

    async fn scripts(&mut self) -> u64 {
        self.calls().await.get("evalsha").copied().unwrap_or_default()
    }
}
