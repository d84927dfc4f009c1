use jaego_lock::limits::WAITERS_MAX;
use jaego_lock::{Crowd, Error, Locks, Memory, conformance};
use tokio::time::timeout;

use super::{PATIENCE, ms, process};

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

/// On one thread, which has something else to do until it is too late.
#[tokio::test]
async fn a_call_that_comes_too_late_is_not_followed() {
    let (locks, faults) = process(Memory::new());
    let holder = locks.lock("a").lease(ms(20_000)).acquire().await.unwrap();
    let [late, in_time] =
        [ms(100), ms(20_000)].map(|wait| tokio::spawn(locks.lock("a").wait(wait).acquire()));
    while faults.acquired() < 3 {
        tokio::task::yield_now().await;
    }
    let released = holder.release();
    std::thread::sleep(ms(150));
    assert!(released.await.was_held());
    let error = late.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    let guard = timeout(PATIENCE, in_time).await.expect("it is passed on").unwrap().unwrap();
    assert_eq!(faults.acquires(), 4, "each asked once, and who was in time once more");
    assert!(guard.release().await.was_held());
}
