//! Many clients at random, and a look at all that was granted.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::{Stage, process, process_with, settings, soak};
use crate::{BootTime, Guard, LockKey, Locks, Outcome, Request, Settings};

/// Processes.
const PROCESSES: usize = 4;
/// Who wants something at the same time, for each key.
const CLIENTS_PER_KEY: usize = 4;
/// Grants of one key, at the least, about.
const GRANTS_PER_KEY: usize = 200;
/// A grant on Redis takes a quarter of a millisecond of the processor, and some 11 ms of pauses and leases that must run out, if
/// nobody stands in the way: with so many keys the processor is as busy as it can be. With more of them the answers would only
/// take longer.
const KEYS_MAX: usize = 100;
/// How long a history may take. Only a bug makes it so long.
const HISTORY_MAX: Duration = Duration::from_secs(240);

/// Somebody held from … to, as it knew itself: from having it to letting it go, or to the end of validity, as also
/// of a crash.
#[derive(Clone, Debug)]
struct Held {
    key: LockKey,
    from: BootTime,
    to: BootTime,
    mode: String,
    fence: u64,
}

#[derive(Debug, Default)]
struct History {
    held: Mutex<Vec<Held>>,
    crashed: AtomicUsize,
    overstayed: AtomicUsize,
    extended: AtomicUsize,
}

impl History {
    fn len(&self) -> usize {
        self.held.lock().unwrap().len()
    }

    /// Holds for a random while, sometimes for longer than the lease, and notes it. Crashes one time in so many.
    async fn hold(&self, guard: Guard, crash_in: u16) {
        let (key, mode) = (guard.key().clone(), guard.mode().name().to_owned());
        let (from, fence) = (BootTime::now(), guard.fence());
        let pause = match fastrand::u16(..200) {
            // Longer than the lease.
            0 => 450,
            // Long, but within it.
            1 | 2 => fastrand::u64(40..300),
            // Not at all, as whoever has little to do.
            3..120 => 0,
            _ => fastrand::u64(..4),
        };
        tokio::task::yield_now().await;
        if pause > 0 {
            sleep(Duration::from_millis(pause)).await;
        }
        // A renewal that comes too late is refused, and one that is not answered in time may count or not.
        if fastrand::u8(..8) == 0 && guard.extend(settings().lease_min()).await.is_ok() {
            self.extended.fetch_add(1, Ordering::Relaxed);
        }
        let (now, valid_until) = (BootTime::now(), guard.valid_until());
        if valid_until < now {
            self.overstayed.fetch_add(1, Ordering::Relaxed);
        }
        let dice = fastrand::u16(..crash_in);
        // Nobody may have the lock before the lease of one that crashed has run out.
        let to = if dice == 0 { valid_until } else { now.min(valid_until) };
        if from < to {
            self.held.lock().unwrap().push(Held { key, from, to, mode, fence });
        }
        match dice {
            // As a crash: nothing is released, and the lease has to run out.
            0 => {
                self.crashed.fetch_add(1, Ordering::Relaxed);
                std::mem::forget(guard);
            }
            _ if dice < crash_in / 4 => drop(guard),
            _ => {
                let valid_until = guard.valid_until();
                let outcome = guard.release().await;
                // The request itself may have taken longer than what was left.
                let was_valid = BootTime::now() < valid_until;
                assert!(!was_valid || !matches!(outcome, Outcome::Stolen { .. }), "{outcome:?}");
            }
        }
    }

    /// By key and time, with no two side by side that may not be. Returns how often two were.
    fn side_by_side(&self) -> usize {
        let mut history = self.held.lock().unwrap().clone();
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
}

fn everyday(stage: &impl Stage) -> usize {
    usize::try_from(stage.grants().everyday).expect("a history fits into memory")
}

/// Clients of many keys at once, until so many grants are in the history as the stage wants every day. A soak plays several
/// such parts, one after the other, because each is kept in memory as a whole.
async fn play(
    stage: &impl Stage,
    crash_in: u16,
    wish: impl Fn(&Locks, &LockKey) -> Request + Clone + Send + Sync + 'static,
) -> Arc<History> {
    let mut processes = Vec::new();
    for _ in 0..PROCESSES {
        processes.push(process(stage).await);
    }
    let history = Arc::new(History::default());
    let grants_min = everyday(stage);
    let keys = (grants_min / GRANTS_PER_KEY).clamp(1, KEYS_MAX);
    let keys: Arc<[LockKey]> = (0..keys).map(|key| LockKey::new(format!("order:{key}")).unwrap()).collect();
    let mut clients = Vec::new();
    for turn in 0..CLIENTS_PER_KEY * keys.len() {
        let (locks, history) = (processes[turn % PROCESSES].clone(), Arc::clone(&history));
        let (keys, wish) = (Arc::clone(&keys), wish.clone());
        clients.push(tokio::spawn(async move {
            while history.len() < grants_min {
                let key = &keys[fastrand::usize(..keys.len())];
                let lease = settings().lease_min() + Duration::from_millis(fastrand::u64(..60));
                let request = wish(&locks, key).lease(lease).wait(Duration::from_secs(10));
                let Ok(guard) = request.acquire().await else { continue };
                history.hold(guard, crash_in).await;
                if fastrand::u8(..10) == 0 {
                    // Somebody who loses patience now and then.
                    let wait = Duration::from_millis(fastrand::u64(1..30));
                    drop(locks.lock(key).fair().wait(wait).acquire().await);
                }
            }
        }));
    }
    let all = timeout(HISTORY_MAX, async {
        for client in clients {
            client.await.unwrap();
        }
    });
    all.await.expect("nobody hangs");
    // These are what a history is about.
    let [crashed, overstayed, extended] =
        [&history.crashed, &history.overstayed, &history.extended].map(|count| count.load(Ordering::Relaxed));
    println!(
        "{} grants, of which {crashed} crashed, {overstayed} overstayed and {extended} were extended",
        history.len()
    );
    assert!(crashed > 0 && overstayed > 0 && extended > 0, "{crashed}, {overstayed}, {extended}");
    // What crashed was forgotten, and a process that forgot a guard would keep its connections through the parts that follow.
    for locks in processes {
        locks.shutdown().await;
    }
    history
}

/// Short leases, random holds, renewals, crashes: no two are valid at the same time, and fences grow with time.
pub async fn exclusion_under_random_leases(stage: &impl Stage) {
    for _ in 0..stage.grants().parts() {
        let history = play(stage, 64, |locks, key| {
            let request = locks.lock(key);
            if fastrand::bool() { request.fair() } else { request }
        });
        assert_eq!(history.await.side_by_side(), 0);
    }
}

/// Three modes at random: no two modes are valid at the same time, and one mode is shared.
pub async fn modes_never_overlap(stage: &impl Stage) {
    for _ in 0..stage.grants().parts() {
        let history = play(stage, 64, |locks, key| match fastrand::u8(..10) {
            0 => locks.lock(key),
            1..=3 => locks.mode(key, "cancel"),
            _ => locks.mode(key, "allocate"),
        });
        let history = history.await;
        let (shared, grants) = (history.side_by_side(), history.len());
        assert!(
            shared > grants / 100,
            "holders of one mode were side by side only {shared} times in {grants}"
        );
    }
}

/// Who is inside, by key: holders of `exclusive` count a thousand.
const EXCLUSIVE: usize = 1_000;

/// As many grants as the backend can make, without a pause: exclusive ones alone, shared ones side by side.
pub async fn exclusion_under_load(stage: &impl Stage) {
    // This load is all about who is inside: an answer that comes late on a machine with too much to do is no fault.
    let settings = Settings {
        response_timeout: Duration::from_secs(2),
        waiter_ttl: Duration::from_secs(8),
        keeper_lease: Duration::from_secs(8),
        wait: Duration::from_secs(60),
        ..settings()
    };
    let mut processes = Vec::new();
    for _ in 0..3 {
        processes.push(process_with(stage, settings).await);
    }
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
