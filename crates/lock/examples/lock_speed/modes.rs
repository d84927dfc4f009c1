//! A hundred who allocate side by side, and one who cancels again and again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jaego_lock::{Locks, Redis, RedisOptions};
use tokio::time::sleep;

use crate::{Trouble, at};

pub(crate) const ALLOCATORS: usize = 100;
const HOLD: Duration = Duration::from_millis(1);
const PAUSE: Duration = Duration::from_millis(20);

/// What was measured.
#[derive(Debug)]
pub(crate) struct Modes {
    pub(crate) allocations_per_s: f64,
    pub(crate) side_by_side_max: u64,
    pub(crate) cancels: usize,
    pub(crate) wait_p50: Duration,
    pub(crate) wait_p99: Duration,
    pub(crate) wait_max: Duration,
}

#[derive(Default)]
struct Board {
    over: AtomicBool,
    allocations: AtomicU64,
    inside: AtomicU64,
    inside_max: AtomicU64,
}

pub(crate) async fn measure(options: &RedisOptions, time: Duration) -> Result<Modes, Trouble> {
    let locks = || Locks::new(Redis::start(options.clone()));
    let processes = [locks(), locks(), locks(), locks()];
    let board = Arc::new(Board::default());
    let started = Instant::now();
    let mut tasks = Vec::new();
    for allocator in 0..ALLOCATORS {
        let (locks, board) = (processes[allocator % processes.len()].clone(), Arc::clone(&board));
        tasks.push(tokio::spawn(async move {
            while !board.over.load(Ordering::Relaxed) {
                let request = locks.mode("transfer:1", "allocate").lease(Duration::from_secs(10));
                let guard = request.wait(Duration::from_secs(30)).acquire().await?;
                let inside = board.inside.fetch_add(1, Ordering::AcqRel) + 1;
                board.inside_max.fetch_max(inside, Ordering::AcqRel);
                sleep(HOLD).await;
                board.inside.fetch_sub(1, Ordering::AcqRel);
                board.allocations.fetch_add(1, Ordering::Relaxed);
                assert!(guard.release().await.was_held());
            }
            Ok::<_, Trouble>(())
        }));
    }
    let canceller = locks();
    let mut waits = Vec::new();
    while started.elapsed() < time {
        let asked = Instant::now();
        let request = canceller.lock("transfer:1").lease(Duration::from_secs(10));
        let guard = request.wait(Duration::from_secs(30)).acquire().await?;
        waits.push(asked.elapsed());
        assert_eq!(board.inside.load(Ordering::Acquire), 0, "it is shut out, and shuts out");
        sleep(HOLD).await;
        assert!(guard.release().await.was_held());
        sleep(PAUSE).await;
    }
    board.over.store(true, Ordering::Relaxed);
    let took = started.elapsed();
    let allocations = board.allocations.load(Ordering::Relaxed);
    for task in tasks {
        task.await??;
    }
    waits.sort_unstable();
    #[expect(clippy::cast_precision_loss, reason = "a few million at the most")]
    let allocations_per_s = allocations as f64 / took.as_secs_f64();
    Ok(Modes {
        allocations_per_s,
        side_by_side_max: board.inside_max.load(Ordering::Relaxed),
        cancels: waits.len(),
        wait_p50: at(&waits, 50),
        wait_p99: at(&waits, 99),
        wait_max: at(&waits, 100),
    })
}
