//! Locks that live as long as a session.

use std::time::{Duration, Instant};

use jaego_lock::{Error, Lost, Outcome, PostgresOptions, PostgresOptionsError};
use jaego_testkit::{Direction, Fault, FaultProxy};
use tokio::time::{sleep, timeout};
use tokio_postgres::Client;

use super::{PATIENCE, connect, ms, options, server};

/// One holds it at a time, others wait or are told that it is busy, and fences grow.
#[tokio::test]
async fn a_session_holds_a_lock_until_it_ends() {
    let server = server();
    let (options, looker) = (options(&server), connect(&server).await);
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
    until_waiting(&looker, 1).await;
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
    let (options, looker) = (options(&server), connect(&server).await);
    options.migrate().await.unwrap();
    let holder = options.session_lock("job", Duration::ZERO).await.unwrap();
    let given_up = {
        let options = options.clone();
        tokio::spawn(async move { options.session_lock("job", ms(60_000)).await.map(drop) })
    };
    until_waiting(&looker, 1).await;
    given_up.abort();
    until_waiting(&looker, 0).await;

    let end = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted";
    server.execute("postgres", end).unwrap();
    assert_eq!(timeout(PATIENCE, holder.lost()).await.expect("it is told"), Lost::SessionEnded);
    assert_eq!(holder.check(), Err(Lost::SessionEnded));
    let next = options.session_lock("job", PATIENCE).await.unwrap();
    assert!(next.fence() > holder.fence());
    assert!(matches!(holder.release().await, Outcome::Expired));
    assert!(next.release().await.was_held());
}

/// Who has the lock waits for its fence, if others draw one just then, however short its wait for the lock was to be.
#[tokio::test]
async fn a_lock_that_was_not_waited_for_gets_its_fence_though_that_takes_a_while() {
    let server = server();
    let (options, looker) = (options(&server), connect(&server).await);
    options.migrate().await.unwrap();
    for wait in [Duration::ZERO, ms(20)] {
        // The sequence is behind the clock, and somebody is about to move it.
        server.execute("postgres", "SELECT setval('jaego_lock.fence', 1)").unwrap();
        let mut other = connect(&server).await;
        let transaction = other.transaction().await.unwrap();
        let moving = "SELECT pg_advisory_xact_lock(hashtextextended('jaego_lock', 1))";
        transaction.batch_execute(moving).await.unwrap();
        let taking = tokio::spawn({
            let options = options.clone();
            async move { options.session_lock("job", wait).await }
        });
        until_waiting(&looker, 1).await;
        sleep(ms(100)).await;
        transaction.commit().await.unwrap();
        let lock = timeout(PATIENCE, taking).await.expect("in time").unwrap().expect("nobody else has it");
        assert!(lock.release().await.was_held());
    }
}

/// Each of the answers comes in the time that one may take, and all of them together take longer than that.
#[tokio::test]
async fn a_slow_server_does_not_make_a_lock_of_a_session_late() {
    let server = server();
    options(&server).migrate().await.unwrap();
    let proxy = FaultProxy::start(server.addr()).unwrap();
    let through = PostgresOptions::new(&server.url_through(proxy.addr(), "postgres")).unwrap();
    let through = through.response_timeout(ms(300));
    let limit = ms(4 * 300);
    let patient = PostgresOptions::new(&server.url_through(proxy.addr(), "postgres")).unwrap();
    let free = patient.session_lock("job", Duration::ZERO).await.expect("nothing is in the way");
    assert!(free.release().await.was_held());
    // Connecting, taking the lock and drawing the fence are two answers each.
    proxy.set(Direction::ToClient, Fault::Delay(limit * 7 / 20));
    let started = Instant::now();
    let error = through.session_lock("job", Duration::ZERO).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    assert!(started.elapsed() < limit + PATIENCE / 2, "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_server_that_is_stopped_is_not_waited_for_for_ever() {
    let mut server = server();
    let options = options(&server).response_timeout(ms(25));
    server.stop().unwrap();
    let limit = ms(25) * 80;
    let started = Instant::now();
    let done = timeout(limit + PATIENCE * 2, options.migrate()).await.expect("it has an end");
    let error = done.unwrap_err();
    assert!(
        matches!(&error, PostgresOptionsError::MigrateTimeout { timeout, .. } if *timeout == limit),
        "{error}"
    );
    assert!(started.elapsed() >= limit, "{:?}", started.elapsed());
    let taken = timeout(PATIENCE, options.session_lock("job", Duration::ZERO)).await.expect("it has an end");
    assert!(matches!(taken, Err(Error::Unavailable { .. })), "{taken:?}");
    server.cont().unwrap();
}

/// Another process is in the middle of it, and does not go on.
#[tokio::test]
async fn a_migration_does_not_wait_for_another_one_for_ever() {
    let server = server();
    let options = options(&server).response_timeout(ms(50));
    let mut other = connect(&server).await;
    let transaction = other.transaction().await.unwrap();
    transaction
        .batch_execute("SELECT pg_advisory_xact_lock(hashtextextended('jaego_lock', 2))")
        .await
        .unwrap();
    let done = timeout(ms(50) * 80 + PATIENCE, options.migrate()).await.expect("it has an end");
    let error = done.unwrap_err();
    let PostgresOptionsError::Migrate { source, .. } = &error else { panic!("{error}") };
    assert_eq!(source.code(), Some(&tokio_postgres::error::SqlState::LOCK_NOT_AVAILABLE), "{source}");
    transaction.commit().await.unwrap();
    options.migrate().await.expect("the other one has gone");
}

/// Waits until so many sessions wait for an advisory lock.
async fn until_waiting(looker: &Client, count: i64) {
    let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
    let started = Instant::now();
    while looker.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) != count {
        assert!(started.elapsed() < PATIENCE * 3, "{count} never waited");
        sleep(ms(10)).await;
    }
}
