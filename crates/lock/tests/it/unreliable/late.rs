use std::time::Duration;

use jaego_lock::backend::{Acquired, Backend};
use jaego_lock::conformance::{answered, granted};
use jaego_lock::{Error, Guard, Locks};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::wire::Faults;
use super::{PATIENCE, ms, on_each_backend, process, there};

on_each_backend! {
    an_acquire_that_arrives_after_its_waiter_has_gone_takes_nothing,
    an_acquire_that_arrives_after_its_waiter_has_left_takes_nothing,
    an_acquire_whose_answer_comes_in_a_shutdown_is_given_back,
    a_waiter_whose_grant_comes_in_a_shutdown_gives_it_back,
    an_acquire_whose_owner_was_released_already_is_asked_again_for_another,
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
        // Nobody holds it.
        let next = granted(|| there.multi(keys.iter().copied()).try_acquire()).await;
        assert!(next.release().await.was_held());
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
    // Nobody holds it.
    drop(granted(|| there.lock("a").try_acquire()).await);
}

/// The lock is granted, and the process shuts down before it hears of that. When the shutdown is over, so is the hold.
async fn an_acquire_whose_answer_comes_in_a_shutdown_is_given_back(here: impl Backend, other: impl Backend) {
    let ((here, faults), there) = (process(here), there(other));
    drop(here.lock("a").acquire().await.unwrap().release().await);
    let acquired = faults.acquired();
    faults.delay_acquires(1);
    let acquiring = tokio::spawn(here.lock("a").lease(ms(10_000)).acquire());
    until(|| faults.acquired() > acquired).await;
    shut_down_before_the_answer(&here, &faults, acquiring).await;
    // Nobody holds it.
    drop(granted(|| there.lock("a").try_acquire()).await);
}

/// The same of an attempt that was not the first, made in a task of its own.
async fn a_waiter_whose_grant_comes_in_a_shutdown_gives_it_back(here: impl Backend, other: impl Backend) {
    let ((here, faults), there) = (process(here), there(other));
    let holder = there.lock("a").lease(ms(10_000)).acquire().await.unwrap();
    let acquired = faults.acquired();
    let acquiring = tokio::spawn(here.lock("a").lease(ms(10_000)).wait(PATIENCE * 5).acquire());
    until(|| faults.acquired() > acquired).await;
    faults.delay_acquires(1);
    assert!(holder.release().await.was_held());
    until(|| faults.acquired() > acquired + 1).await;
    shut_down_before_the_answer(&here, &faults, acquiring).await;
    // Nobody holds it.
    drop(granted(|| there.lock("a").try_acquire()).await);
}

/// Lets the answer of an acquire that was granted through when the shutdown has begun. It is not handed out any more.
async fn shut_down_before_the_answer(
    here: &Locks,
    faults: &Faults,
    acquiring: JoinHandle<Result<Guard, Error>>,
) {
    let closing = tokio::spawn({
        let here = here.clone();
        async move { here.shutdown().await }
    });
    while !matches!(here.lock("b").try_acquire().await, Err(Error::ShutDown)) {
        sleep(ms(1)).await;
    }
    faults.let_through();
    let answer = timeout(PATIENCE, acquiring).await.expect("it ends").unwrap();
    assert!(matches!(answer, Err(Error::ShutDown)), "{answer:?}");
    timeout(PATIENCE, closing).await.expect("it ends").unwrap();
}

/// Two owners were alike by chance, and the other one was released. Nothing is wrong with the request.
async fn an_acquire_whose_owner_was_released_already_is_asked_again_for_another(
    here: impl Backend,
    other: impl Backend,
) {
    let ((here, faults), there) = (process(here), there(other));
    faults.end_acquires(1);
    // Asked again at once.
    let guard = granted(|| here.lock("a").try_acquire()).await;
    assert!(guard.release().await.was_held());
    for fair in [false, true] {
        // At the first attempt, at both that come first, and while it waits.
        for ended in [1, 2] {
            let holder = there.lock("a").lease(ms(10_000)).acquire().await.unwrap();
            faults.end_acquires(ended);
            let request = here.lock("a").wait(PATIENCE * 5);
            let request = if fair { request.fair() } else { request };
            let sent = faults.acquires();
            let acquiring = tokio::spawn(request.acquire());
            until(|| faults.acquires() > sent + ended).await;
            faults.end_acquires(1);
            assert!(holder.release().await.was_held());
            let guard = timeout(PATIENCE * 5, acquiring).await.expect("in time").unwrap().unwrap();
            assert_eq!(here.stats().waiting, 0);
            assert_eq!(
                answered(|| here.look("a")).await.unwrap().waiters,
                [],
                "nothing is left of its other name"
            );
            assert!(guard.release().await.was_held());
            faults.end_acquires(0);
        }
    }
    // A backend that never knows better is no reason to wait for ever.
    faults.end_acquires(u32::MAX);
    let error = timeout(PATIENCE, here.lock("a").try_acquire()).await.expect("it ends").unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    let error = timeout(WAIT + PATIENCE, here.lock("a").wait(ms(300)).acquire()).await.expect("it ends");
    assert!(matches!(error.unwrap_err(), Error::Unavailable { .. }));
    faults.end_acquires(0);
    // Nobody holds it.
    drop(granted(|| there.lock("a").try_acquire()).await);
}
