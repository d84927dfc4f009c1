//! Locks that live as long as a session.

use std::time::{Duration, Instant};

use jaego_lock::{Error, Lost, Outcome};
use tokio::time::{sleep, timeout};

use super::{PATIENCE, ms, options, server};

/// One holds it at a time, others wait or are told that it is busy, and fences grow.
#[tokio::test]
async fn a_session_holds_a_lock_until_it_ends() {
    let server = server();
    let options = options(&server);
    options.migrate().await.unwrap();
    let first = options.session_lock("job", Duration::ZERO).await.unwrap();
    let other = options.session_lock("other", Duration::ZERO).await.unwrap();
    assert!(other.release().await.was_held());
    let busy = options.session_lock("job", Duration::ZERO).await.unwrap_err();
    assert!(matches!(busy, Error::Busy { .. }), "{busy}");
    let started = Instant::now();
    let late = options.session_lock("job", ms(150)).await.unwrap_err();
    assert!(matches!(late, Error::Timeout { .. }), "{late}");
    assert!((ms(150)..ms(150) + PATIENCE).contains(&started.elapsed()), "{:?}", started.elapsed());

    let waiter = {
        let options = options.clone();
        tokio::spawn(async move { options.session_lock("job", ms(20_000)).await.unwrap() })
    };
    until_waiting(&server, 1).await;
    assert_eq!(first.check(), Ok(()));
    let fence = first.fence();
    assert!(matches!(first.release().await, Outcome::Released));
    let second = timeout(PATIENCE, waiter).await.expect("it is handed over").unwrap();
    assert!(second.fence() > fence);
    drop(second);
    let third = options.session_lock("job", PATIENCE).await.expect("dropping it ends the session");
    assert!(third.release().await.was_held());
}

/// A holder whose session is ended by the server is told, and the lock goes on to the next one. Whoever gives up
/// waiting leaves the queue.
#[tokio::test]
async fn an_ended_session_is_told_and_a_dropped_wait_leaves_nothing() {
    let server = server();
    let options = options(&server);
    options.migrate().await.unwrap();
    let holder = options.session_lock("job", Duration::ZERO).await.unwrap();
    let given_up = {
        let options = options.clone();
        tokio::spawn(async move { options.session_lock("job", ms(60_000)).await.map(drop) })
    };
    until_waiting(&server, 1).await;
    given_up.abort();
    until_waiting(&server, 0).await;

    let end = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted";
    server.execute("postgres", end).unwrap();
    assert_eq!(timeout(PATIENCE, holder.lost()).await.expect("it is told"), Lost::SessionEnded);
    assert_eq!(holder.check(), Err(Lost::SessionEnded));
    let next = options.session_lock("job", PATIENCE).await.unwrap();
    assert!(next.fence() > holder.fence());
    assert!(matches!(holder.release().await, Outcome::Expired));
    assert!(next.release().await.was_held());
}

/// Waits until so many sessions wait for an advisory lock.
async fn until_waiting(server: &jaego_testkit::Postgres, count: u32) {
    let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
    let started = Instant::now();
    while server.execute("postgres", waiting).unwrap().parse() != Ok(count) {
        assert!(started.elapsed() < PATIENCE * 3, "{count} never waited");
        sleep(ms(10)).await;
    }
}
