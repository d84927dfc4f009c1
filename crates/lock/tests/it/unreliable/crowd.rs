use jaego_lock::limits::WAITERS_MAX;
use jaego_lock::{Crowd, Error, Locks, Memory, conformance};
use tokio::time::timeout;

use super::{PATIENCE, ms};

/// What waits is bounded, on both sides of the border, and what is refused is said and counted.
#[tokio::test(flavor = "multi_thread")]
async fn too_many_waiters_are_refused_at_once() {
    let locks = Locks::with_settings(Memory::new(), conformance::settings()).unwrap();
    let holder = locks.lock("a").lease(ms(20_000)).acquire().await.unwrap();
    let waiters: Vec<_> =
        (0..WAITERS_MAX).map(|_| tokio::spawn(locks.lock("a").wait(ms(60_000)).acquire())).collect();
    let all_wait = async {
        while locks.stats().waiting < WAITERS_MAX as u64 {
            tokio::time::sleep(ms(5)).await;
        }
    };
    timeout(PATIENCE * 10, all_wait).await.expect("there is room for all of these");
    let refused = timeout(PATIENCE, locks.lock("b").acquire()).await.expect("at once").unwrap_err();
    assert!(
        matches!(&refused, Error::TooManyWaiters { key, crowd: Crowd::Process } if key.as_str() == "b"),
        "{refused}"
    );
    assert_eq!(
        refused.to_string(),
        "b was not waited for: 16384 requests of this process wait for locks already"
    );
    assert_eq!(locks.stats().too_many_waiters, 1);
    let free = locks.lock("b").try_acquire().await.expect("whoever does not wait needs no room");
    assert!(free.release().await.was_held());
    waiters[0].abort();
    let left = async {
        while locks.stats().waiting == WAITERS_MAX as u64 {
            tokio::time::sleep(ms(5)).await;
        }
    };
    timeout(PATIENCE, left).await.expect("one has left");
    assert!(locks.lock("b").acquire().await.unwrap().release().await.was_held());
    waiters.iter().for_each(tokio::task::JoinHandle::abort);
    assert!(holder.release().await.was_held());
}
