use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

use jaego_lock::{BootTime, Error, Locks, Lost, Outcome, Postgres};
use tokio::time::{sleep, timeout};

use super::{PATIENCE, connect, ms, options, process, rounds, server, settings, until_clean};

#[tokio::test(flavor = "multi_thread")]
async fn killed_connections_lose_no_lock_and_no_waiter() {
    let turns = rounds(40);
    let server = server();
    let inside = Arc::new(AtomicU32::new(0));
    let last_fence = Arc::new(AtomicU64::new(0));
    let mut workers = Vec::new();
    for worker in 0..4 {
        let locks = process(&server).await;
        let (inside, last_fence) = (Arc::clone(&inside), Arc::clone(&last_fence));
        workers.push(tokio::spawn(async move {
            for turn in 0..turns {
                let request = locks.lock("a").wait(ms(30_000)).lease(ms(15_000));
                let request = if (worker + turn) % 2 == 0 { request } else { request.fair() };
                let guard = request.acquire().await.unwrap();
                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two hold it");
                let before = last_fence.swap(guard.fence(), Ordering::SeqCst);
                assert!(before < guard.fence(), "fences grow");
                sleep(ms(5)).await;
                inside.fetch_sub(1, Ordering::SeqCst);
                let outcome = guard.release().await;
                assert!(outcome.was_held(), "{outcome:?}");
            }
        }));
    }
    // All of them, those that hear the notices as well, again and again.
    let admin = connect(&server).await;
    let mut killed = 0;
    while !workers.iter().all(tokio::task::JoinHandle::is_finished) {
        sleep(ms(250)).await;
        let kill =
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'jaego_lock'";
        killed += admin.query(kill, &[]).await.unwrap().len();
    }
    for worker in workers {
        worker.await.unwrap();
    }
    assert!(killed > 10, "{killed} connections were killed");
    until_clean(&server, PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_server_is_told_in_time_and_does_nothing_late() {
    let mut server = server();
    let here = process(&server).await;
    assert!(here.lock("warm").acquire().await.unwrap().release().await.was_held());
    for round in 0..rounds(2) {
        let request = here.lock("held");
        let guard =
            if round.is_multiple_of(2) { request } else { request.lease(ms(1_000)) }.acquire().await.unwrap();
        server.stop().unwrap();
        for wait in [ms(0), ms(100), ms(700)] {
            let started = Instant::now();
            let error = here.lock("other").wait(wait).acquire().await.unwrap_err();
            assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
            let took = started.elapsed();
            assert!(took < wait.max(settings().response_timeout) + PATIENCE / 4, "{took:?} for {wait:?}");
        }
        let how = timeout(ms(1_000) + PATIENCE, guard.lost()).await.expect("the clock tells");
        assert_eq!(how, Lost::Expired);
        let late = BootTime::now().since(guard.valid_until());
        assert!(late < PATIENCE / 4, "{late:?}");
        let outcome = guard.release().await;
        assert!(matches!(outcome, Outcome::Expired), "{outcome:?}");
        server.cont().unwrap();
        // What was in its sockets is not done now: the acquires are too late, or ended already.
        until_clean(&server, PATIENCE).await;
        let guard = here.lock("other").wait(PATIENCE).acquire().await.expect("it goes on");
        assert!(guard.release().await.was_held());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_forgets_no_lock() {
    let mut server = server();
    let (here, there) = (process(&server).await, process(&server).await);
    for _ in 0..rounds(2) {
        let kept = here.lock("kept").max_hold(ms(60_000)).acquire().await.unwrap();
        let leased = here.lock("leased").lease(ms(15_000)).acquire().await.unwrap();
        let waiter = {
            let request = there.lock("leased").wait(ms(30_000));
            tokio::spawn(async move { request.acquire().await.unwrap() })
        };
        sleep(ms(50)).await;
        server.kill_9().unwrap();
        server.restart().unwrap();
        let error = loop {
            match there.lock("leased").try_acquire().await.unwrap_err() {
                Error::Unavailable { .. } => sleep(ms(10)).await,
                error => break error,
            }
        };
        assert!(matches!(error, Error::Busy { .. }), "{error:?}");
        assert!(leased.is_valid());
        // Until this process has its connections back as well, a release is not answered.
        while here.look("leased").await.is_err() {
            sleep(ms(10)).await;
        }
        assert!(leased.release().await.was_held());
        // The listener is back as well, or the waiter looks again: it gets the lock either way.
        let next = timeout(settings().recheck + PATIENCE, waiter).await.expect("it is told").unwrap();
        assert!(next.release().await.was_held());
        // Whether a keeper bridges the crash depends on how long that takes; what it says is true either way.
        let valid = kept.is_valid();
        let outcome = kept.release().await;
        assert_eq!(outcome.was_held(), valid, "{outcome:?}");
    }
    until_clean(&server, PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fences_grow_though_the_sequence_was_lost() {
    let server = server();
    let locks = process(&server).await;
    let first = locks.lock("a").acquire().await.unwrap();
    let fence = first.fence();
    assert!(first.release().await.was_held());
    // Restored from a backup, with a sequence of long ago. The clock has gone on by more than its lead since.
    let lead_us = 100_000;
    server.execute("postgres", "SELECT setval('jaego_lock.fence', 1)").unwrap();
    sleep(ms(lead_us / 1_000 + 1)).await;
    let second = locks.lock("a").acquire().await.unwrap();
    assert!(second.fence() > fence);
    // Told that it is stale, a holder asks for a greater one.
    assert!(second.release().await.was_held());
    let third = locks.lock("a").min_fence(fence + 2 * lead_us).acquire().await.unwrap();
    assert!(third.fence() > fence + 2 * lead_us);
    assert!(third.release().await.was_held());
    let fourth = locks.lock("b").acquire().await.unwrap();
    assert!(fourth.fence() > fence + 2 * lead_us, "for all that come later");
    assert!(fourth.release().await.was_held());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_is_prepared_once_and_may_be_again() {
    let server = server();
    let unprepared = Locks::new(Postgres::start(options(&server)));
    let started = Instant::now();
    let error = unprepared.lock("a").acquire().await.unwrap_err();
    let Error::Refused { source, .. } = error else { panic!("{error:?}") };
    let why = std::error::Error::source(&source).unwrap().to_string();
    assert!(why.contains("migrate"), "{why}");
    assert!(started.elapsed() < PATIENCE, "it is not tried again and again");

    let several: Vec<_> = (0..4)
        .map(|_| {
            let options = options(&server);
            tokio::spawn(async move { options.migrate().await })
        })
        .collect();
    for one in several {
        one.await.unwrap().unwrap();
    }
    // Other defaults of the database change nothing.
    let isolation = "ALTER DATABASE postgres SET default_transaction_isolation = 'serializable'; \
                     ALTER DATABASE postgres SET synchronous_commit = 'off'";
    server.execute("postgres", isolation).unwrap();
    let locks = process(&server).await;
    let guard = locks.lock("a").acquire().await.unwrap();
    options(&server).migrate().await.unwrap();
    assert!(matches!(locks.lock("a").try_acquire().await, Err(Error::Busy { .. })));
    assert!(guard.release().await.was_held());

    // Two schemas are two worlds.
    let other = options(&server).schema("other_locks").unwrap();
    other.migrate().await.unwrap();
    let other = Locks::new(Postgres::start(other));
    let (one, two) = tokio::join!(locks.lock("a").acquire(), other.lock("a").acquire());
    assert!(one.unwrap().release().await.was_held());
    assert!(two.unwrap().release().await.was_held());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_crashed_processes_left_is_swept_up() {
    let server = server();
    let locks = process(&server).await;
    assert!(locks.lock("warm").acquire().await.unwrap().release().await.was_held());
    let leave = "INSERT INTO jaego_lock.entries (key, owner, mode, until_us, fence)
                     SELECT 'order:' || n, '\\x00', 'exclusive', jaego_lock.now_us() - 61000000 + n * 100000, 1
                     FROM generate_series(1, 1000) n";
    server.execute("postgres", leave).unwrap();
    server.execute("postgres", "SELECT jaego_lock.sweep('\\x00', '')").unwrap();
    let left: u32 =
        server.execute("postgres", "SELECT count(*) FROM jaego_lock.entries").unwrap().parse().unwrap();
    assert!((900..1_000).contains(&left), "{left}");
}
