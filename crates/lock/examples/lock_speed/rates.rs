//! Acquire and release of locks that nobody else wants.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jaego_lock::Locks;
use redis::aio::MultiplexedConnection;
use redis::{RedisError, cmd};
use tokio::process::Command;
use tokio::time::sleep;

use crate::{Trouble, at};

const COMMON: &str = include_str!("../../src/redis/common.lua");
const ACQUIRE: &str = include_str!("../../src/redis/acquire.lua");
const RELEASE: &str = include_str!("../../src/redis/release.lua");
const TAKE: &str = "return redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2])";
const GIVE: &str =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) else return 0 end";

/// What was measured.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rate {
    /// Pairs of acquire and release.
    pub(crate) pairs_per_s: f64,
    /// How long one pair took.
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

impl Rate {
    /// The middle one of several runs.
    pub(crate) fn median(mut rates: Vec<Self>) -> Self {
        rates.sort_by(|one, other| one.pairs_per_s.total_cmp(&other.pairs_per_s));
        rates[rates.len() / 2]
    }
}

/// Tells a task when it is over, and keeps how long each of its pairs took.
#[derive(Clone, Default)]
pub(crate) struct Clock {
    over: Arc<AtomicBool>,
    times: Arc<Mutex<Vec<Duration>>>,
}

impl Clock {
    async fn pairs<F: Future<Output = Result<(), Trouble>>>(
        &self,
        mut pair: impl FnMut() -> F,
    ) -> Result<(), Trouble> {
        let mut times = Vec::new();
        while !self.over.load(Ordering::Relaxed) {
            let started = Instant::now();
            pair().await?;
            times.push(started.elapsed());
        }
        self.times.lock().expect("nobody panicked").append(&mut times);
        Ok(())
    }
}

/// How many pairs a second so many tasks make.
pub(crate) async fn rate<F>(
    tasks: u64,
    time: Duration,
    work: impl Fn(u64, Clock) -> F,
) -> Result<Rate, Trouble>
where
    F: Future<Output = Result<(), Trouble>> + Send + 'static,
{
    let clock = Clock::default();
    let started = Instant::now();
    let running: Vec<_> = (0..tasks).map(|task| tokio::spawn(work(task, clock.clone()))).collect();
    sleep(time).await;
    clock.over.store(true, Ordering::Relaxed);
    for task in running {
        task.await??;
    }
    let took = started.elapsed();
    let mut times = std::mem::take(&mut *clock.times.lock().expect("nobody panicked"));
    times.sort_unstable();
    #[expect(clippy::cast_precision_loss, reason = "a few million at the most")]
    let pairs_per_s = times.len() as f64 / took.as_secs_f64();
    Ok(Rate { pairs_per_s, p50: at(&times, 50), p99: at(&times, 99) })
}

pub(crate) async fn with_locks(locks: Locks, task: u64, clock: Clock) -> Result<(), Trouble> {
    let key = format!("task:{task}");
    let pair = || async {
        let guard = locks.lock(&key).lease(Duration::from_secs(10)).acquire().await?;
        assert!(guard.release().await.was_held());
        Ok(())
    };
    clock.pairs(pair).await
}

/// Another library, driven by a program of its own. Nothing if there is none on this machine.
pub(crate) async fn with_program(
    program: Option<Command>,
    port: u16,
    tasks: u64,
    time: Duration,
) -> Result<Option<Rate>, Trouble> {
    let Some(mut command) = program else { return Ok(None) };
    command.args(["rate", &port.to_string(), &tasks.to_string(), &time.as_secs_f64().to_string()]);
    let output = command.output().await?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let text = String::from_utf8(output.stdout)?;
    let numbers: Vec<u32> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    let [pairs, p50, p99] = numbers[..] else { return Err(text.into()) };
    let [p50, p99] = [p50, p99].map(|us| Duration::from_micros(us.into()));
    Ok(Some(Rate { pairs_per_s: pairs.into(), p50, p99 }))
}

/// Scripts on the same kind of connection, without a library around them, and without timeouts.
#[derive(Clone)]
pub(crate) struct Bare {
    connection: MultiplexedConnection,
    take: String,
    give: String,
    acquire: String,
    release: String,
}

impl Bare {
    pub(crate) async fn connect(url: &str) -> Result<Self, RedisError> {
        let mut connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
        let mut hashes = Vec::new();
        for text in [TAKE, GIVE, &ACQUIRE.replace("--COMMON", COMMON), &RELEASE.replace("--COMMON", COMMON)] {
            hashes.push(cmd("SCRIPT").arg("LOAD").arg(text).query_async(&mut connection).await?);
        }
        let [take, give, acquire, release] = hashes.try_into().expect("four scripts");
        Ok(Self { connection, take, give, acquire, release })
    }

    /// The two scripts of the locks.
    pub(crate) async fn with_own_scripts(self, task: u64, clock: Clock) -> Result<(), Trouble> {
        let base = "own:{1}:";
        let (boot, fence, key) =
            (format!("{base}boot"), format!("{base}fence"), format!("{base}lock:task:{task}"));
        let pair = || async {
            let mut connection = self.connection.clone();
            let owner = format!("{:032x}", fastrand::u128(..));
            // As the locks do: one key for the ends of a few seconds.
            let seconds = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
            let ended = format!("{base}ended:{}", seconds / 4);
            let mut acquire = cmd("EVALSHA");
            acquire.arg(&self.acquire).arg(4).arg(&boot).arg(&fence).arg(&ended).arg(&key);
            acquire.arg(&owner).arg(10_001_000).arg(11_000).arg("exclusive").arg(0).arg(u64::MAX);
            acquire.arg("calm:run:0:").arg(0).arg(base).arg("0:1:15000000:1:0:1000000:4096").arg("");
            let (granted, _, _, _): (u64, u64, u64, u64) = acquire.query_async(&mut connection).await?;
            let mut release = cmd("EVALSHA");
            release.arg(&self.release).arg(2).arg(&ended).arg(&key);
            release.arg(&owner).arg(4_000).arg(1_000_000).arg(0).arg(base);
            let (released, _): (u64, u64) = release.query_async(&mut connection).await?;
            assert_eq!((granted, released), (1, 1));
            Ok(())
        };
        clock.pairs(pair).await
    }

    /// `SET … NX PX` and compare-and-delete: no fence, no queue, no tombstone, no quarantine, and nobody who waits.
    pub(crate) async fn with_simple_scripts(self, task: u64, clock: Clock) -> Result<(), Trouble> {
        let key = format!("bare:{task}");
        let pair = || async {
            let mut connection = self.connection.clone();
            let owner = fastrand::u128(..).to_string();
            let mut take = cmd("EVALSHA");
            take.arg(&self.take).arg(1).arg(&key).arg(&owner).arg(10_000);
            let () = take.query_async(&mut connection).await?;
            let mut give = cmd("EVALSHA");
            give.arg(&self.give).arg(1).arg(&key).arg(&owner);
            let given: u64 = give.query_async(&mut connection).await?;
            assert_eq!(given, 1);
            Ok(())
        };
        clock.pairs(pair).await
    }
}
