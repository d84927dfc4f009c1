//! What a program leaves behind that ends without `shutdown`, or with it.

use std::time::Duration;

use jaego_lock::{BootTime, Outcome};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::redis_faults::{PATIENCE, ms, process, server};

const LEASE: Duration = Duration::from_millis(1_500);

/// The tasks that would release it are gone. Nothing hangs and nothing panics, and the lock ends with its lease.
#[test]
fn guards_that_outlive_their_runtime_leave_the_lock_to_its_lease() {
    let server = server();
    let [ended, other] = [(); 2].map(|()| Runtime::new().unwrap());
    let (locks, dropped, released, kept) = ended.block_on(async {
        let locks = process(server.addr(), Duration::ZERO).await;
        let dropped = locks.lock("dropped").lease(LEASE).acquire().await.unwrap();
        let released = locks.lock("released").lease(LEASE).acquire().await.unwrap();
        // This one has a keeper, which is gone as well.
        let kept = locks.lock("kept").acquire().await.unwrap();
        (locks, dropped, released, kept)
    });
    drop(ended);
    let valid_until = [&dropped, &released, &kept].map(|guard| guard.valid_until());
    let inner = dropped.reenter().unwrap();
    drop(dropped);
    assert!(inner.is_valid(), "it tells it by its own clock");
    drop(inner);
    drop(kept);
    other.block_on(async {
        let outcome = timeout(PATIENCE * 5, released.release()).await.expect("it ends");
        assert!(matches!(outcome, Outcome::Unknown(_)), "{outcome:?}");
        drop(locks);
        let there = process(server.addr(), Duration::ZERO).await;
        for (key, valid_until) in ["dropped", "released", "kept"].into_iter().zip(valid_until) {
            let next = there.lock(key).lease(LEASE).wait(LEASE * 2 + PATIENCE * 2).acquire().await.unwrap();
            assert!(BootTime::now() >= valid_until, "two held {key}");
            assert!(next.release().await.was_held());
        }
    });
}

/// With a shutdown they are free when it comes back, and a guard may be dropped whenever.
#[test]
fn a_shutdown_before_the_end_frees_at_once() {
    let server = server();
    let [ended, other] = [(); 2].map(|()| Runtime::new().unwrap());
    let guard = ended.block_on(async {
        let locks = process(server.addr(), Duration::ZERO).await;
        let guard = locks.lock("a").lease(ms(20_000)).acquire().await.unwrap();
        locks.shutdown().await;
        guard
    });
    drop(ended);
    assert!(!guard.is_valid());
    drop(guard);
    other.block_on(async {
        let there = process(server.addr(), Duration::ZERO).await;
        drop(there.lock("a").wait(PATIENCE * 5).acquire().await.expect("nobody holds it"));
    });
}
