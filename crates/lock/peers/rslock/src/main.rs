//! The locks of rslock at the same work as the others, started by `lock_speed` as a process of its own.
//!
//! ```text
//! rslock-speed rate PORT TASKS SECONDS  prints: pairs a second, p50 and p99 of a pair in microseconds
//! rslock-speed wait PORT WAITERS        at each line of input each of the waiters takes the lock once; prints for
//!                                       each when it got it and when it began to give it back, in microseconds of
//!                                       the clock CLOCK_BOOTTIME, and then `ready`
//! ```

use std::error::Error;
use std::time::{Duration, Instant};

use rslock::LockManager;
use tokio::time::sleep;

type Trouble = Box<dyn Error + Send + Sync>;

const HOLD: Duration = Duration::from_millis(1);
const LEASE: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> Result<(), Trouble> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["rate", port, tasks, seconds] => {
            rate(port, tasks.parse()?, Duration::from_secs_f64(seconds.parse()?)).await
        }
        ["wait", port, waiters] => wait(port, waiters.parse()?).await,
        _ => Err("say rate PORT TASKS SECONDS or wait PORT WAITERS".into()),
    }
}

fn manager(port: &str) -> Result<LockManager, Trouble> {
    Ok(LockManager::from_clients(vec![redis::Client::open(format!("redis://127.0.0.1:{port}/"))?]))
}

async fn rate(port: &str, tasks: u64, time: Duration) -> Result<(), Trouble> {
    let locks = manager(port)?;
    let started = Instant::now();
    let mut working = Vec::new();
    for task in 0..tasks {
        let locks = locks.clone();
        working.push(tokio::spawn(async move {
            let key = format!("rslock:{task}");
            let mut times = Vec::new();
            while started.elapsed() < time {
                let begun = Instant::now();
                let lock = locks.lock(key.as_str(), LEASE).await?;
                locks.unlock(&lock).await;
                times.push(begun.elapsed());
            }
            Ok::<_, rslock::LockError>(times)
        }));
    }
    let mut times = Vec::new();
    for task in working {
        times.append(&mut task.await??);
    }
    let took = started.elapsed();
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_micros();
    println!("{:.0} {} {}", times.len() as f64 / took.as_secs_f64(), at(50), at(99));
    Ok(())
}

async fn wait(port: &str, waiters: usize) -> Result<(), Trouble> {
    let locks = manager(port)?;
    // So that everything is connected.
    let lock = locks.lock("before", LEASE).await?;
    locks.unlock(&lock).await;
    println!("ready");
    while std::io::stdin().read_line(&mut String::new())? > 0 {
        let mut waiting = Vec::new();
        for _ in 0..waiters {
            let locks = locks.clone();
            waiting.push(tokio::spawn(async move {
                let guard = locks.acquire_no_guard("hand-over", LEASE).await?;
                let got = boot_us();
                sleep(HOLD).await;
                let gives = boot_us();
                locks.unlock(&guard).await;
                Ok::<_, rslock::LockError>((got, gives))
            }));
        }
        for waiter in waiting {
            let (got, gives) = waiter.await??;
            println!("{got} {gives}");
        }
        println!("ready");
    }
    Ok(())
}

/// Microseconds since the machine was started.
fn boot_us() -> i64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    time.tv_sec * 1_000_000 + time.tv_nsec / 1_000
}
