//! Many clients at random, and a look at all that was granted.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::sleep;

use super::{Stage, process, settings};
use crate::{BootTime, Guard, Locks, Outcome};

/// Somebody held from … to, as it knew itself: from having it to letting it go, or to the end of validity.
#[derive(Clone, Debug)]
struct Held {
    key: String,
    from: BootTime,
    to: BootTime,
    mode: String,
    fence: u64,
}

type History = Arc<Mutex<Vec<Held>>>;

fn soak() -> usize {
    std::env::var("JAEGO_SOAK").ok().and_then(|factor| factor.parse().ok()).unwrap_or(1)
}

/// Holds for a random while, sometimes for longer than the lease, and notes it. Crashes one time in so many.
async fn hold(guard: Guard, history: &History, pause: Duration, crash_in: u8) {
    let (key, mode) = (guard.key().to_string(), guard.mode().name().to_owned());
    let (from, fence) = (BootTime::now(), guard.fence());
    sleep(pause).await;
    let to = BootTime::now().min(guard.valid_until());
    let was_valid = guard.is_valid();
    if from < to {
        history.lock().unwrap().push(Held { key, from, to, mode, fence });
    }
    match fastrand::u8(..crash_in) {
        // As a crash: nothing is released, and the lease has to run out.
        0 => std::mem::forget(guard),
        1..6 => drop(guard),
        _ => {
            let outcome = guard.release().await;
            assert!(!was_valid || !matches!(outcome, Outcome::Stolen { .. }), "{outcome:?}");
        }
    }
}

/// By key and time, with no two side by side that may not be. Returns how often two were.
fn side_by_side(history: &History) -> usize {
    let mut history = history.lock().unwrap().clone();
    history.sort_by(|one, other| (&one.key, one.from).cmp(&(&other.key, other.from)));
    let mut shared = 0;
    for (index, held) in history.iter().enumerate() {
        let of_key = history[index + 1..].iter().take_while(|later| later.key == held.key);
        for later in of_key.take_while(|later| later.from < held.to) {
            assert_eq!(later.mode, held.mode, "two modes at once: {held:?} and {later:?}");
            assert_ne!(held.mode, "exclusive", "two holders of one lock: {held:?} and {later:?}");
            assert_ne!(held.fence, later.fence, "{held:?} and {later:?}");
            shared += 1;
        }
    }
    for pair in history.windows(2).filter(|pair| pair[0].key == pair[1].key) {
        if pair.iter().all(|held| held.mode == "exclusive") {
            assert!(pair[0].fence < pair[1].fence, "fences grow with time: {pair:?}");
        }
    }
    shared
}

/// Short leases, random holds, crashes: no two are valid at the same time, and fences grow with time.
pub async fn exclusion_under_random_leases(stage: &impl Stage) {
    let mut processes = Vec::new();
    for _ in 0..4 {
        processes.push(process(stage).await);
    }
    let history = History::default();
    let mut clients = Vec::new();
    for turn in 0..12 {
        let (locks, history): (Locks, _) = (processes[turn % 4].clone(), Arc::clone(&history));
        clients.push(tokio::spawn(async move {
            for _ in 0..30 * soak() {
                let lease = settings().lease_min() + Duration::from_millis(fastrand::u64(..60));
                let request = locks.lock(["a", "b", "c"][turn % 3]).lease(lease);
                let request = if fastrand::bool() { request.fair() } else { request };
                let Ok(guard) = request.wait(Duration::from_secs(10)).acquire().await else { continue };
                // One in thirty overstays.
                let pause = if fastrand::u8(..40) == 0 { 450 } else { fastrand::u64(..4) };
                hold(guard, &history, Duration::from_millis(pause), 20).await;
                if fastrand::u8(..3) > 0 {
                    continue;
                }
                // Somebody who loses patience now and then.
                let wait = Duration::from_millis(fastrand::u64(1..30));
                drop(locks.lock(["a", "b", "c"][turn % 3]).fair().wait(wait).acquire().await);
            }
        }));
    }
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(side_by_side(&history), 0);
    let grants = history.lock().unwrap().len();
    assert!(grants > 100, "only {grants} grants");
}

/// Who is inside, by key: holders of `exclusive` count a thousand.
const EXCLUSIVE: usize = 1_000;

/// As many grants as the backend can make, without a pause: exclusive ones alone, shared ones side by side.
pub async fn exclusion_under_load(stage: &impl Stage) {
    let processes = [process(stage).await, process(stage).await, process(stage).await];
    let inside: Arc<[AtomicUsize; 3]> = Arc::default();
    let mut clients = Vec::new();
    for turn in 0..12_usize {
        let (locks, inside) = (processes[turn % 3].clone(), Arc::clone(&inside));
        clients.push(tokio::spawn(async move {
            for round in 0..1_500 * soak() {
                let at = (turn + round) % 3;
                let key = ["a", "b", "c"][at];
                let exclusive = fastrand::u8(..4) > 0;
                let request = if exclusive { locks.lock(key) } else { locks.shared(key) };
                let request = if fastrand::u8(..4) == 0 { request.fair() } else { request };
                let guard = request.lease(Duration::from_secs(15)).acquire().await.unwrap();
                let weight = if exclusive { EXCLUSIVE } else { 1 };
                let others = inside[at].fetch_add(weight, Ordering::SeqCst);
                let allowed = if exclusive { others == 0 } else { others < EXCLUSIVE };
                assert!(allowed, "{guard:?} beside {others}");
                tokio::task::yield_now().await;
                inside[at].fetch_sub(weight, Ordering::SeqCst);
                assert!(guard.release().await.was_held());
            }
        }));
    }
    for client in clients {
        client.await.unwrap();
    }
    assert!(processes.iter().all(|locks| locks.stats().granted_after_wait > 0));
}

/// Three modes at random: no two modes are valid at the same time, and one mode is shared.
pub async fn modes_never_overlap(stage: &impl Stage) {
    let processes = [process(stage).await, process(stage).await, process(stage).await];
    let history = History::default();
    let mut clients = Vec::new();
    for turn in 0..12_usize {
        let (locks, history) = (processes[turn % 3].clone(), Arc::clone(&history));
        clients.push(tokio::spawn(async move {
            for _ in 0..30 * soak() {
                let lease = settings().lease_min() + Duration::from_millis(fastrand::u64(..60));
                let request = match fastrand::u8(..10) {
                    0 => locks.lock("a"),
                    1..=3 => locks.mode("a", "cancel"),
                    _ => locks.mode("a", "allocate"),
                };
                let Ok(guard) = request.lease(lease).wait(Duration::from_secs(10)).acquire().await else {
                    continue;
                };
                let pause = if fastrand::u8(..120) == 0 { 450 } else { fastrand::u64(..6) };
                hold(guard, &history, Duration::from_millis(pause), 80).await;
            }
        }));
    }
    for client in clients {
        client.await.unwrap();
    }
    let shared = side_by_side(&history);
    let grants = history.lock().unwrap().len();
    assert!(grants > 100, "only {grants} grants");
    assert!(shared > 10, "holders of one mode were side by side only {shared} times");
}
