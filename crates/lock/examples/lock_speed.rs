//! Measures the locks on a private Redis, beside bare scripts on the same kind of connection.
//!
//! ```text
//! cargo run --release -p jaego-lock --example lock_speed [seconds for each measurement]
//! ```
//!
//! *Own scripts*: the two scripts of the locks, sent without the library around them. *Simple scripts*:
//! `SET … NX PX` and compare-and-delete, without fences, queues, tombstones, quarantine or anybody who waits.
//! Both without timeouts. What is measured takes turns, three times, and the median is shown.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jaego_lock::{Locks, Redis, RedisOptions};
use redis::aio::MultiplexedConnection;
use redis::{RedisError, cmd};
use tokio::time::sleep;

type Trouble = Box<dyn std::error::Error + Send + Sync>;

const ROUNDS: usize = 3;
const TASKS: [u64; 2] = [1, 64];
const WAITERS: [u64; 4] = [2, 10, 100, 1_000];

const COMMON: &str = include_str!("../src/redis/common.lua");
const ACQUIRE: &str = include_str!("../src/redis/acquire.lua");
const RELEASE: &str = include_str!("../src/redis/release.lua");
const TAKE: &str = "return redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2])";
const GIVE: &str =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) else return 0 end";

#[tokio::main]
async fn main() -> Result<(), Trouble> {
    let seconds: f64 = std::env::args().nth(1).map_or(Ok(2.0), |seconds| seconds.parse())?;
    let time = Duration::from_secs_f64(seconds);
    let server = jaego_testkit::Redis::start(&jaego_testkit::RedisOptions::default())?;
    let options = RedisOptions::new(&server.url())?.quarantine(Duration::ZERO);
    let locks = Locks::new(Redis::start(options.clone()));
    let bare = Bare::connect(&server.url()).await?;

    println!("acquire and release, uncontended, pairs a second (median of {ROUNDS}, {seconds} s each):");
    for tasks in TASKS {
        let [mut with_locks, mut with_own, mut with_simple] = [const { Vec::new() }; 3];
        for _ in 0..ROUNDS {
            with_simple.push(rate(tasks, time, |task| pair_of_simple_scripts(bare.clone(), task)).await?);
            with_own.push(rate(tasks, time, |task| pair_of_own_scripts(bare.clone(), task)).await?);
            with_locks.push(rate(tasks, time, |task| pair_of_locks(locks.clone(), task)).await?);
        }
        let [locked, own, simple] =
            [&mut with_locks, &mut with_own, &mut with_simple].map(|rates| median(rates));
        println!("  {tasks:>2} tasks: locks          {locked:>7.0}   of {with_locks:.0?}");
        println!("            own scripts    {own:>7.0}   of {with_own:.0?}, locks at {:.2}", locked / own);
        println!(
            "            simple scripts {simple:>7.0}   of {with_simple:.0?}, locks at {:.2}",
            locked / simple
        );
    }

    println!("hand-over from a release to the next holder, by its own clock:");
    for waiters in WAITERS {
        for fair in [false, true] {
            let mut gaps = hand_over(&options, waiters, fair).await?;
            gaps.sort_unstable();
            let at = |part: usize| gaps[(gaps.len() - 1) * part / 100];
            println!(
                "  {waiters:>4} waiters{}: p50 {:>4} µs, p99 {:>5} µs, max {:>5} µs",
                if fair { ", fair" } else { "      " },
                at(50).as_micros(),
                at(99).as_micros(),
                at(100).as_micros()
            );
        }
    }
    Ok(())
}

/// How many pairs a second so many tasks make.
async fn rate<F>(tasks: u64, time: Duration, work: impl Fn(u64) -> F) -> Result<f64, Trouble>
where
    F: Future<Output = Result<(), Trouble>> + Send + 'static,
{
    STOP.store(false, Ordering::Relaxed);
    let running: Vec<_> = (0..tasks).map(|task| tokio::spawn(work(task))).collect();
    sleep(time / 10).await;
    let (from, started) = (PAIRS.load(Ordering::Relaxed), Instant::now());
    sleep(time).await;
    let (to, took) = (PAIRS.load(Ordering::Relaxed), started.elapsed());
    STOP.store(true, Ordering::Relaxed);
    for task in running {
        task.await??;
    }
    #[expect(clippy::cast_precision_loss, reason = "a few million at the most")]
    Ok((to - from) as f64 / took.as_secs_f64())
}

static STOP: AtomicBool = AtomicBool::new(false);
static PAIRS: AtomicU64 = AtomicU64::new(0);

async fn pair_of_locks(locks: Locks, task: u64) -> Result<(), Trouble> {
    let key = format!("task:{task}");
    while !STOP.load(Ordering::Relaxed) {
        let guard = locks.lock(&key).lease(Duration::from_secs(10)).acquire().await?;
        assert!(guard.release().await.was_held());
        PAIRS.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

#[derive(Clone)]
struct Bare {
    connection: MultiplexedConnection,
    take: String,
    give: String,
    acquire: String,
    release: String,
}

impl Bare {
    async fn connect(url: &str) -> Result<Self, RedisError> {
        let mut connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
        let mut hashes = Vec::new();
        for text in [TAKE, GIVE, &ACQUIRE.replace("--COMMON", COMMON), &RELEASE.replace("--COMMON", COMMON)] {
            hashes.push(cmd("SCRIPT").arg("LOAD").arg(text).query_async(&mut connection).await?);
        }
        let [take, give, acquire, release] = hashes.try_into().expect("four scripts");
        Ok(Self { connection, take, give, acquire, release })
    }
}

async fn pair_of_own_scripts(mut bare: Bare, task: u64) -> Result<(), Trouble> {
    let base = "own:{1}:";
    let (boot, fence, key) =
        (format!("{base}boot"), format!("{base}fence"), format!("{base}lock:task:{task}"));
    while !STOP.load(Ordering::Relaxed) {
        let owner = format!("{:032x}", fastrand::u128(..));
        let ended = format!("{base}ended:{owner}");
        let mut acquire = cmd("EVALSHA");
        acquire.arg(&bare.acquire).arg(4).arg(&boot).arg(&fence).arg(&ended).arg(&key);
        acquire.arg(&owner).arg(10_001_000).arg(11_000).arg("exclusive").arg(0).arg(u64::MAX);
        acquire.arg("run").arg(0).arg(base).arg("0:1:15000000:1:0");
        let (granted, _, _): (u64, u64, u64) = acquire.query_async(&mut bare.connection).await?;
        let mut release = cmd("EVALSHA");
        release.arg(&bare.release).arg(2).arg(&ended).arg(&key);
        release.arg(&owner).arg(4_000).arg(1_000_000).arg(0).arg(base);
        let (released, _): (u64, u64) = release.query_async(&mut bare.connection).await?;
        assert_eq!((granted, released), (1, 1));
        PAIRS.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

async fn pair_of_simple_scripts(mut bare: Bare, task: u64) -> Result<(), Trouble> {
    let key = format!("bare:{task}");
    while !STOP.load(Ordering::Relaxed) {
        let owner = fastrand::u128(..).to_string();
        let mut take = cmd("EVALSHA");
        take.arg(&bare.take).arg(1).arg(&key).arg(&owner).arg(10_000);
        let () = take.query_async(&mut bare.connection).await?;
        let mut give = cmd("EVALSHA");
        give.arg(&bare.give).arg(1).arg(&key).arg(&owner);
        let given: u64 = give.query_async(&mut bare.connection).await?;
        assert_eq!(given, 1);
        PAIRS.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// The times between one holder's release and the next one's grant, over two processes' worth of waiters.
async fn hand_over(options: &RedisOptions, waiters: u64, fair: bool) -> Result<Vec<Duration>, Trouble> {
    let processes = [Locks::new(Redis::start(options.clone())), Locks::new(Redis::start(options.clone()))];
    let gaps = Arc::new(Mutex::new(Vec::new()));
    let released = Arc::new(Mutex::new(Instant::now()));
    let lease = Duration::from_secs(30);
    let holder = processes[0].lock("hand-over").lease(lease).acquire().await?;
    let mut tasks = Vec::new();
    for waiter in 0..waiters {
        let request = processes[usize::try_from(waiter % 2)?].lock("hand-over").lease(lease).wait(lease);
        let (gaps, released) = (Arc::clone(&gaps), Arc::clone(&released));
        tasks.push(tokio::spawn(async move {
            let request = if fair { request.fair() } else { request };
            let guard = request.acquire().await?;
            let gap = released.lock().expect("nobody panicked").elapsed();
            gaps.lock().expect("nobody panicked").push(gap);
            sleep(Duration::from_millis(1)).await;
            *released.lock().expect("nobody panicked") = Instant::now();
            drop(guard.release().await);
            Ok::<_, Trouble>(())
        }));
    }
    sleep(Duration::from_millis(200 + waiters / 2)).await;
    *released.lock().expect("nobody panicked") = Instant::now();
    assert!(holder.release().await.was_held());
    for task in tasks {
        task.await??;
    }
    let gaps = std::mem::take(&mut *gaps.lock().expect("nobody panicked"));
    Ok(gaps)
}

fn median(rates: &mut [f64]) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}
