//! What has ended is swept up.

use std::time::{Duration, Instant};

use jaego_lock::{Locks, Postgres, Settings};
use jaego_testkit as testkit;
use tokio::time::{sleep, timeout};

use super::{PATIENCE, ms, options, process, server, settings};

/// Between two looks of a process, and for what there is to sweep up in one. The same again would take it too long.
const LOOK_PAUSE: Duration = Duration::from_secs(5);
/// Rows that one sweep takes at the most.
const SWEEP_MAX: u32 = 10_000;

const ROWS: u32 = 5 * SWEEP_MAX;

/// Puts rows into both tables that ended long ago.
fn litter(server: &testkit::Postgres) {
    let (over, gone) = ("jaego_lock.now_us() - 1", "jaego_lock.now_us() - 61000000");
    for sql in [
        format!(
            "INSERT INTO jaego_lock.ends SELECT decode(lpad(to_hex(n), 32, '0'), 'hex'), true, {over}
             FROM generate_series(1, {ROWS}) AS n"
        ),
        format!(
            "INSERT INTO jaego_lock.entries (key, owner, mode, until_us, fence, holders_max)
             SELECT 'b' || n, '\\x17', 'exclusive', {gone}, n, 1 FROM generate_series(1, {ROWS}) AS n"
        ),
    ] {
        server.execute("postgres", &sql).unwrap();
    }
}

/// Waits until what is counted is no more than one sweep takes.
async fn until_few(server: &testkit::Postgres, count: &str, patience: Duration) {
    let left = || server.execute("postgres", count).unwrap().trim().parse::<u32>().unwrap();
    let started = Instant::now();
    while left() > SWEEP_MAX {
        assert!(started.elapsed() < patience, "{} are left", left());
        sleep(ms(50)).await;
    }
}

const LEFT: &str =
    "SELECT (SELECT count(*) FROM jaego_lock.ends) + (SELECT count(*) FROM jaego_lock.entries)";
/// Rows that last longer than the longest lease: were given before the clock was set back.
const LASTING: &str =
    "SELECT count(*) FROM jaego_lock.entries WHERE until_us > jaego_lock.now_us() + 66000000";

/// More than one sweep takes is removed at one look, not at as many looks as it takes sweeps.
#[tokio::test]
async fn more_than_one_sweep_takes_is_swept_up_at_once() {
    let server = server();
    let locks = process(&server).await;
    assert!(locks.lock("a").acquire().await.unwrap().release().await.was_held());
    litter(&server);
    until_few(&server, LEFT, LOOK_PAUSE * 2 + PATIENCE).await;
}

/// The first sweep, when a process connects, goes on as well.
#[tokio::test]
async fn more_than_one_sweep_takes_is_swept_up_by_who_comes() {
    let server = server();
    options(&server).migrate().await.unwrap();
    litter(&server);
    let _locks = process(&server).await;
    until_few(&server, LEFT, LOOK_PAUSE - ms(500)).await;
}

/// More rows than one sweep shortens, after the clock was set back by an hour.
#[tokio::test]
async fn more_than_one_sweep_takes_is_cut_short_at_once() {
    let server = server();
    let locks = process(&server).await;
    assert!(locks.lock("a").acquire().await.unwrap().release().await.was_held());
    let waiters = format!(
        "INSERT INTO jaego_lock.entries (key, owner, mode, until_us, place, holders_max, fair)
         SELECT 'b' || n, '\\x17', 'exclusive', jaego_lock.now_us() + 3600000000, n, 1, false
         FROM generate_series(1, {ROWS}) AS n"
    );
    server.execute("postgres", &waiters).unwrap();
    until_few(&server, LASTING, LOOK_PAUSE * 2 + PATIENCE).await;
}

/// A sweep that takes longer than all that connecting may take.
const SLOW_SWEEP: &str = "
    CREATE TABLE jaego_lock.swept (at timestamptz);
    CREATE OR REPLACE FUNCTION jaego_lock.sweep_some(p_process bytea, p_name text) RETURNS boolean LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_sleep(1.5);
        INSERT INTO jaego_lock.swept VALUES (now());
        RETURN false;
    END $$";

/// Whoever comes hears what falls free while there is much to sweep up, and that is swept up all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_sweep_keeps_nobody_from_hearing_what_falls_free() {
    let server = server();
    options(&server).migrate().await.unwrap();
    server.execute("postgres", SLOW_SWEEP).unwrap();
    let never = Duration::from_secs(600);
    let settings = Settings { recheck: never, wait: never, ..settings() };
    let process = || {
        let options = options(&server).response_timeout(settings.response_timeout);
        Locks::with_settings(Postgres::start(options), settings).unwrap()
    };
    let (here, there) = (process(), process());
    // Not the one that asks, which names it as well.
    let listening = "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid()
        AND state = 'active' AND query ~ 'FROM jaego_lock.sweep_some'";
    let started = Instant::now();
    while server.execute("postgres", listening).unwrap().trim() != "2" {
        assert!(started.elapsed() < PATIENCE * 5, "nobody sweeps");
        sleep(ms(10)).await;
    }
    let guard = here.lock("a").lease(settings.lease_max).acquire().await.unwrap();
    let request = there.lock("a");
    let waiter = tokio::spawn(async move { request.acquire().await.unwrap() });
    while there.stats().patterns.get("a").is_none_or(|pattern| pattern.contended == 0) {
        sleep(ms(5)).await;
    }
    assert!(guard.release().await.was_held());
    let next = timeout(PATIENCE, waiter).await.expect("it hears that it is free").unwrap();
    assert!(next.release().await.was_held());
    let swept = "SELECT count(*) FROM jaego_lock.swept";
    let started = Instant::now();
    while server.execute("postgres", swept).unwrap().trim() == "0" {
        assert!(started.elapsed() < PATIENCE * 5, "no sweep is finished");
        sleep(ms(50)).await;
    }
}
