//! Sentinels that disagree, and one that is silent.

use std::time::Duration;

use jaego_lock::{BootTime, Locks, Redis, RedisOptions};
use jaego_testkit as testkit;
use jaego_testkit::RedisSentinel;

use crate::redis_faults::{Observer, PATIENCE, rounds};

/// The name under which all of them know a master.
const MASTER: &str = "stock";
/// Long enough to tell whether the sentinels are asked one after the other.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);

fn locks(sentinels: &[&RedisSentinel]) -> Locks {
    let asked: Vec<_> = sentinels.iter().map(|sentinel| format!("redis://{}/", sentinel.addr())).collect();
    let asked: Vec<_> = asked.iter().map(String::as_str).collect();
    let options = RedisOptions::sentinel(&asked, MASTER, "redis://127.0.0.1:1/").unwrap();
    Locks::new(Redis::start(options.quarantine(Duration::ZERO).response_timeout(RESPONSE_TIMEOUT)))
}

/// Takes a lock, and returns whether that server keeps it.
async fn is_kept_on(server: &testkit::Redis, locks: &Locks) -> bool {
    let guard = locks.lock("a").wait(RESPONSE_TIMEOUT * 4).acquire().await.unwrap();
    let kept = !Observer::of(server).await.leftovers().await.is_empty();
    assert!(guard.release().await.was_held());
    kept
}

/// One sentinel has not heard of the failover: its master lives on, and so it has no reason to doubt.
#[tokio::test(flavor = "multi_thread")]
async fn a_sentinel_that_was_cut_off_is_not_believed() {
    let [old, new] = [(); 2].map(|()| crate::redis_faults::server());
    let stale = RedisSentinel::start(old.addr(), MASTER).unwrap();
    let fresh = RedisSentinel::start_at(new.addr(), MASTER, 1).unwrap();
    for _ in 0..rounds(3) {
        for order in [[&stale, &fresh], [&fresh, &stale]] {
            let locks = locks(&order);
            assert!(is_kept_on(&new, &locks).await, "it believes the stale one");
            locks.shutdown().await;
        }
        let alone = locks(&[&stale]);
        assert!(is_kept_on(&old, &alone).await, "nobody told it better");
        alone.shutdown().await;
    }
}

/// Two sentinels are stopped: they accept connections and answer nothing. All are asked at once, so both together cost one
/// response timeout, and the one that answers is believed, stale others or not.
#[tokio::test(flavor = "multi_thread")]
async fn sentinels_that_are_silent_cost_one_response_timeout_together() {
    let [old, new] = [(); 2].map(|()| crate::redis_faults::server());
    let mut silent = [(); 2].map(|()| RedisSentinel::start_at(old.addr(), MASTER, 2).unwrap());
    for sentinel in &mut silent {
        sentinel.stop().unwrap();
    }
    let fresh = RedisSentinel::start_at(new.addr(), MASTER, 1).unwrap();
    let stale = RedisSentinel::start(old.addr(), MASTER).unwrap();
    let started = BootTime::now();
    let asking = locks(&[&silent[0], &silent[1], &stale, &fresh]);
    assert!(is_kept_on(&new, &asking).await);
    let took = BootTime::now().since(started);
    assert!(took < RESPONSE_TIMEOUT + PATIENCE, "{took:?}");
    asking.shutdown().await;

    // Those that were silent have seen a later failover, and tell it when they are asked again.
    for sentinel in &mut silent {
        sentinel.cont().unwrap();
    }
    let asking = locks(&[&stale, &fresh, &silent[0], &silent[1]]);
    assert!(is_kept_on(&old, &asking).await);
    asking.shutdown().await;
}
