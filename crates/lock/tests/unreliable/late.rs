use jaego_lock::Error;
use jaego_lock::backend::{Acquired, Backend};
use tokio::time::{sleep, timeout};

use super::{PATIENCE, ms, on_each_backend, process, there};

on_each_backend! {
    an_acquire_that_arrives_after_its_waiter_has_gone_takes_nothing,
    an_acquire_that_arrives_after_its_waiter_has_left_takes_nothing,
}

/// The first attempt is not answered, the second one is told that somebody holds the lock, the wait ends, the lock
/// falls free, and then the first one arrives.
async fn an_acquire_that_arrives_after_its_waiter_has_gone_takes_nothing(
    here: impl Backend,
    other: impl Backend,
) {
    let ((here, faults), there) = (process(here), there(other));
    for keys in [&["a"][..], &["a", "b"]] {
        let holder = there.lock("a").lease(ms(10_000)).acquire().await.unwrap();
        let sent = faults.acquires();
        faults.hold_back_acquires(1);
        let error = here.multi(keys.iter().copied()).wait(ms(260)).acquire().await.unwrap_err();
        assert!(matches!(error, Error::Timeout { .. }), "{error}");
        assert!(faults.acquires() >= sent + 2, "it was sent again, and answered");
        assert!(holder.release().await.was_held());
        // What goes on in the background has had time to be sent.
        sleep(ms(40)).await;
        assert_eq!(faults.deliver().await, [Acquired::Ended]);
        let next = timeout(PATIENCE, there.multi(keys.iter().copied()).try_acquire()).await.unwrap();
        assert!(next.expect("nobody holds it").release().await.was_held());
    }
}

/// The same, if the caller drops its wait.
async fn an_acquire_that_arrives_after_its_waiter_has_left_takes_nothing(
    here: impl Backend,
    other: impl Backend,
) {
    let ((here, faults), there) = (process(here), there(other));
    let holder = there.lock("a").lease(ms(10_000)).acquire().await.unwrap();
    faults.hold_back_acquires(1);
    let waiting = timeout(ms(260), here.lock("a").acquire()).await;
    assert!(waiting.is_err(), "somebody else holds it");
    assert!(holder.release().await.was_held());
    sleep(ms(40)).await;
    assert_eq!(faults.deliver().await, [Acquired::Ended]);
    assert!(there.lock("a").try_acquire().await.is_ok(), "nobody holds it");
}
