use std::time::Duration;

use jaego_lock::Error;
use jaego_lock::backend::{Acquired, Backend};
use tokio::time::{sleep, timeout};

use super::{PATIENCE, ms, on_each_backend, process, there};

on_each_backend! {
    an_acquire_that_arrives_after_its_waiter_has_gone_takes_nothing,
    an_acquire_that_arrives_after_its_waiter_has_left_takes_nothing,
}

/// Long enough for a second attempt on a machine that has other things to do.
const WAIT: Duration = Duration::from_secs(2);

async fn until(reached: impl Fn() -> bool) {
    let reached = async {
        while !reached() {
            sleep(ms(1)).await;
        }
    };
    timeout(PATIENCE * 5, reached).await.expect("what goes on in the background is done");
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
        let (sent, answered, released) = (faults.acquires(), faults.acquired(), faults.released());
        faults.hold_back_acquires(1);
        let error = here.multi(keys.iter().copied()).wait(WAIT).acquire().await.unwrap_err();
        assert!(matches!(error, Error::Timeout { .. }), "{error}");
        assert!(
            faults.acquires() >= sent + 2 && faults.acquired() > answered,
            "it was sent again, and answered"
        );
        assert!(holder.release().await.was_held());
        until(|| faults.released() > released).await;
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
    let (answered, released) = (faults.acquired(), faults.released());
    faults.hold_back_acquires(1);
    tokio::select! {
        waited = here.lock("a").acquire() => panic!("somebody else holds it: {waited:?}"),
        () = until(|| faults.acquired() > answered) => {}
    }
    assert!(holder.release().await.was_held());
    until(|| faults.released() > released).await;
    assert_eq!(faults.deliver().await, [Acquired::Ended]);
    assert!(there.lock("a").try_acquire().await.is_ok(), "nobody holds it");
}
