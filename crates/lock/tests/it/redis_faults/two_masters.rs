//! A master that was cut off from its replicas and lives on, beside the replica that was promoted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jaego_lock::conformance::Size;
use jaego_lock::{BootTime, Error, Guard, Locks, Redis, RedisOptions};
use jaego_testkit::{Fault, FaultProxy};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::failover::{until_in_step, with_settings};
use crate::redis_faults::{Observer, ms};

/// What a master that was cut off goes on for is named in whole seconds, and looked at once a second.
const LAG: Duration = Duration::from_secs(2);
const LEASE_MAX: Duration = Duration::from_millis(600);
/// The longest lease, the lag with the second in which it is looked at and the one in which it is counted, and two
/// to spare.
const QUARANTINE: Duration = Duration::from_secs(7);
/// A bound on what only a bug makes late.
const PATIENCE: Duration = Duration::from_secs(60);
/// Pairs of clients, each on a key of its own, one client on each side.
const KEYS: u64 = 20;
const SPLITS: Size = Size { everyday: 5, soak: 200 };

/// Somebody held from … to, by one clock, or relied on it.
#[derive(Clone, Debug)]
struct Held {
    key: String,
    from: BootTime,
    to: BootTime,
    fence: u64,
}

fn locks(addr: SocketAddr, prefix: &str, quarantine: Duration) -> Locks {
    let settings = jaego_lock::conformance::settings();
    let options = RedisOptions::new(&format!("redis://{addr}/")).unwrap().prefix(prefix).unwrap();
    let options = options.quarantine(quarantine).replica_lag(LAG).response_timeout(settings.response_timeout);
    Locks::with_settings(Redis::start(options), settings).unwrap()
}

/// Takes a lock again and again, and holds it: sometimes lets it go, sometimes relies on it to its very end.
async fn take(locks: Locks, key: String, stop: Arc<AtomicBool>) -> Vec<Held> {
    let mut history = Vec::new();
    while !stop.load(Ordering::Acquire) {
        let lease = LEASE_MAX - ms(fastrand::u64(..200));
        let Ok(guard) = locks.lock(&key).lease(lease).wait(ms(300)).acquire().await else {
            // In a quarantine that is said at once.
            sleep(ms(20)).await;
            continue;
        };
        let (from, fence) = (BootTime::now(), guard.fence());
        if fastrand::bool() {
            sleep(ms(fastrand::u64(..100))).await;
            history.push(Held {
                key: key.clone(),
                from,
                to: BootTime::now().min(guard.valid_until()),
                fence,
            });
            drop(guard.release().await);
        } else {
            guard.lost().await;
            // It is let go at once, a little before the end of its validity.
            let to = BootTime::now().min(guard.valid_until());
            history.push(Held { key: key.clone(), from, to, fence });
        }
    }
    history
}

/// What one split has shown.
#[derive(Debug, Default)]
struct Split {
    /// Whether two held a lock that no quarantine guarded.
    bare: bool,
    /// Grants of the old master after it was cut off.
    of_old: usize,
    /// Grants of the new one.
    of_new: usize,
}

async fn split() -> Split {
    let lag = LAG.as_secs().to_string();
    let strict =
        [("min-replicas-to-write", "1"), ("min-replicas-max-lag", &lag), ("repl-ping-replica-period", "1")];
    let master = with_settings(&strict);
    let line = FaultProxy::start(master.addr()).unwrap();
    let of_master = format!("127.0.0.1 {}", line.addr().port());
    // Two, so that the promoted one has somebody who confirms its writes.
    let follow = [&strict[..], &[("replicaof", of_master.as_str())]].concat();
    let replicas = [with_settings(&follow), with_settings(&follow)];
    for replica in &replicas {
        until_in_step(replica).await;
    }
    let moving = FaultProxy::start(master.addr()).unwrap();
    let [here, there] = [master.addr(), moving.addr()].map(|addr| locks(addr, "jaego", QUARANTINE));
    // The same without a quarantine, to see that the split is one.
    let [bare_here, bare_there] =
        [master.addr(), moving.addr()].map(|addr| locks(addr, "bare", Duration::ZERO));

    // The master is known for long.
    let first = locks(master.addr(), "jaego", Duration::ZERO);
    for key in 0..KEYS {
        drop(first.lock(format!("key:{key}")).acquire().await.unwrap().release().await);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let (mut old, mut new) = (JoinSet::new(), JoinSet::new());
    for key in 0..KEYS {
        for (side, locks) in [(&mut old, &here), (&mut new, &there)] {
            side.spawn(take(locks.clone(), format!("key:{key}"), Arc::clone(&stop)));
        }
    }
    let granted = async |locks: &Locks, count| {
        let granted = timeout(PATIENCE, async {
            while locks.stats().granted < count {
                sleep(ms(10)).await;
            }
        });
        assert!(granted.await.is_ok(), "{count} grants: {:?}", locks.stats());
    };
    granted(&here, KEYS).await;
    granted(&there, KEYS).await;

    // The line between the master and its replicas is cut; the master's clients notice nothing.
    line.set_both(Fault::Blackhole);
    let cut = BootTime::now();
    // A machine that is very slow cuts it off before that.
    let bare_old = bare_here.lock("bare").lease(Duration::from_secs(20)).acquire().await;
    let () = Observer::of(&replicas[0]).await.command("REPLICAOF NO ONE").await;
    let promoted = BootTime::now();
    moving.set_upstream(replicas[0].addr());
    moving.reset_connections();
    let of_new = format!("REPLICAOF 127.0.0.1 {}", replicas[0].addr().port());
    let () = Observer::of(&replicas[1]).await.command(&of_new).await;
    let bare_new = bare_there.lock("bare").lease(ms(500)).acquire().await;
    let bare = [bare_old, bare_new].iter().all(|got| got.as_ref().is_ok_and(Guard::is_valid));
    granted(&there, there.stats().granted + KEYS).await;
    stop.store(true, Ordering::Release);

    let old: Vec<Held> = old.join_all().await.concat();
    let new: Vec<Held> = new.join_all().await.concat();
    let of_old = old.iter().filter(|held| held.from > cut).count();
    let of_new = new.iter().filter(|held| held.from > promoted).count();
    let mut history = [old, new].concat();
    history.sort_by(|one, other| (&one.key, one.from).cmp(&(&other.key, other.from)));
    for pair in history.windows(2).filter(|pair| pair[0].key == pair[1].key) {
        assert!(pair[0].to <= pair[1].from, "two held it, cut off at {cut:?}: {pair:?}");
        assert!(pair[0].fence < pair[1].fence, "fences grow: {pair:?}");
    }
    let error = here.lock("other").lease(ms(500)).wait(ms(200)).acquire().await.expect_err("it was cut off");
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    Split { bare, of_old, of_new }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_masters_only_one_grants() {
    // As many at once as every day.
    for _ in 0..SPLITS.parts() {
        let mut splits = JoinSet::new();
        for _ in 0..SPLITS.everyday {
            splits.spawn_blocking(|| Handle::current().block_on(split()));
        }
        let splits = splits.join_all().await;
        println!("{splits:?}");
        assert!(splits.iter().any(|split| split.bare), "a split was never seen: {splits:?}");
        assert!(splits.iter().any(|split| split.of_old > 0), "the old master lived on: {splits:?}");
        assert!(splits.iter().all(|split| split.of_new > 0), "{splits:?}");
    }
}
