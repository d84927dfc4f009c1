//! A server whose clock is set. The schema takes the time from one function, which these tests replace by one that is
//! ahead or behind.

use std::time::Duration;

use jaego_lock::fence::{self, POSTGRES_TABLE};
use jaego_lock::{Error, Locks, Postgres};
use jaego_testkit as testkit;
use tokio::time::{sleep, timeout};

use super::{PATIENCE, connect, ms, options, process, server, settings};

const LEASE: Duration = Duration::from_secs(3);
/// The smallest jump tried: what the delays of two answers on a busy machine do not explain. Shorter than a lease.
const JUMP: Duration = Duration::from_millis(2_500);
/// Longer than the pause between two looks at the server.
const NEXT_LOOK: Duration = Duration::from_secs(8);

/// From now on the server's clock is ahead by so much.
fn set_clock(server: &testkit::Postgres, ahead: Duration, behind: Duration) {
    let by_us = i128::try_from(ahead.as_micros()).unwrap() - i128::try_from(behind.as_micros()).unwrap();
    let now_us = format!(
        "CREATE OR REPLACE FUNCTION jaego_lock.now_us() RETURNS bigint LANGUAGE sql VOLATILE AS
         $$ SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint + ({by_us}) $$"
    );
    server.execute("postgres", &now_us).unwrap();
}

/// Like [`process`], on a schema that is there already: to make it again would set the clock right.
fn join(server: &testkit::Postgres) -> Locks {
    let options = options(server).response_timeout(settings().response_timeout);
    Locks::with_settings(Postgres::start(options), settings()).unwrap()
}

async fn is_quarantined(locks: &Locks, key: &str) -> Duration {
    let asked = async {
        loop {
            match locks.lock(key).lease(LEASE).try_acquire().await {
                Err(Error::Quarantined { remaining, .. }) => return remaining,
                // A busy machine.
                Err(Error::Unavailable { .. }) => {}
                other => panic!("{other:?}"),
            }
        }
    };
    timeout(PATIENCE, asked).await.expect("the server answers")
}

async fn takes(locks: &Locks, key: &str) {
    let guard = locks.lock(key).lease(LEASE).wait(PATIENCE).acquire().await.unwrap();
    assert!(guard.release().await.was_held());
}

/// Another task counts them.
async fn has_counted(locks: &Locks, jumps: u64) {
    let counted = async {
        while locks.stats().clock_jumps < jumps {
            sleep(ms(5)).await;
        }
    };
    timeout(PATIENCE, counted).await.expect("it counts what it saw");
    assert_eq!(locks.stats().clock_jumps, jumps);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_forward_is_told_and_starts_a_quarantine() {
    let server = server();
    let (here, there) = (process(&server).await, join(&server));
    takes(&there, "b").await;
    let mut jumps = 0;
    for ahead in [JUMP, ms(40_000)] {
        let guard = here.lock("a").lease(LEASE).acquire().await.unwrap();
        set_clock(&server, ahead, ms(0));
        // By the server's clock it is free, or will be too soon. Whoever asks first finds out by its own answer.
        let told = is_quarantined(&there, "a").await;
        assert!(told <= LEASE + ms(1) && told > LEASE / 2, "{told:?}");
        assert!(guard.is_valid(), "our own clock goes on");
        // The others are told by the server, those as well who have just come.
        let late = join(&server);
        for locks in [&here, &late] {
            is_quarantined(locks, "c").await;
        }
        // A wait that is long enough goes on, and is served when nobody can hold it any more.
        let valid_until = guard.valid_until();
        let next = late.lock("a").lease(LEASE).wait(LEASE * 4).acquire().await.unwrap();
        assert!(valid_until.remaining().is_zero(), "two held it");
        assert!(next.release().await.was_held());
        drop(guard);
        for locks in [&here, &there] {
            drop(locks.lock("b").lease(LEASE).wait(LEASE * 2).acquire().await.unwrap());
        }
        // Each of them saw it once, on one of its connections.
        assert_eq!(late.stats().clock_jumps, 0);
        late.shutdown().await;
        jumps += 1;
        for locks in [&here, &there] {
            has_counted(locks, jumps).await;
        }
    }
}

/// An idle process sees it at its next look, and tells the others.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_while_nobody_asks_is_seen() {
    let server = server();
    let here = process(&server).await;
    let guard = here.lock("a").lease(settings().lease_max).acquire().await.unwrap();
    set_clock(&server, settings().lease_max * 2, ms(0));
    let seen = timeout(NEXT_LOOK, async {
        while here.stats().clock_jumps == 0 {
            sleep(ms(20)).await;
        }
    });
    seen.await.expect("it looks at the clock");
    let fresh = join(&server);
    is_quarantined(&fresh, "a").await;
    assert!(guard.is_valid());
    // Who knows better ends it, as docs/LOCKS.md says.
    let end = "UPDATE jaego_lock.clock SET calm_at_us = 0, lease_us = 30000000";
    server.execute("postgres", end).unwrap();
    takes(&fresh, "b").await;
}

/// It may be the tool's own machine that was stopped, while somebody thought about what to break.
#[tokio::test(flavor = "multi_thread")]
async fn a_tool_tells_nobody_of_a_clock_that_was_set() {
    let server = server();
    let here = process(&server).await;
    let long = here.lock("a").lease(settings().lease_max).acquire().await.unwrap();
    assert!(long.release().await.was_held());
    here.shutdown().await;
    let tool = options(&server).response_timeout(settings().response_timeout).tool();
    let refused = tool.session_lock("a", ms(0)).await.unwrap_err();
    assert!(matches!(refused, Error::Refused { .. }), "{refused}");
    let tool = Postgres::start(tool);
    let tool = Locks::with_settings(tool, settings()).unwrap();
    assert!(tool.look("a").await.unwrap().holders.is_empty());
    let refused = tool.lock("a").try_acquire().await.unwrap_err();
    assert!(matches!(refused, Error::Refused { .. }), "{refused}");
    set_clock(&server, settings().lease_max * 2, ms(0));
    sleep(NEXT_LOOK).await;
    let fresh = join(&server);
    let guard = fresh.lock("a").lease(LEASE).wait(LEASE).acquire().await.expect("nobody is told of a jump");
    // It breaks holds as ever.
    let owner = tool.look("a").await.unwrap().holders[0].owner;
    assert_eq!(tool.break_holds("a", &[owner]).await.unwrap().ended.len(), 1);
    assert!(!guard.release().await.was_held());
}

/// One of a fair queue whose process has crashed.
const DEAD_WAITER: &str = "
    INSERT INTO jaego_lock.entries (key, owner, mode, until_us, place, holders_max, fair)
        VALUES ('queue', '\\x17', 'exclusive', jaego_lock.now_us() + 900000, 1, 1, true)";

/// Set back, it makes leases last longer, and nobody gets a lock too early. What a crash has left behind is free after the
/// longest lease all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_keeps_nobody_out_for_longer_than_a_lease() {
    let server = server();
    let here = process(&server).await;
    let gone = join(&server);
    let guard = gone.lock("a").lease(LEASE).acquire().await.unwrap();
    let (valid_until, fence) = (guard.valid_until(), guard.fence());
    let client = connect(&server).await;
    client.batch_execute(POSTGRES_TABLE).await.unwrap();
    fence::raise(&client, guard.key(), fence).await.unwrap();
    // As if it had crashed: nothing is released.
    std::mem::forget(guard);
    server.execute("postgres", DEAD_WAITER).unwrap();
    set_clock(&server, ms(0), Duration::from_secs(3_600));
    takes(&here, "b").await;
    has_counted(&here, 1).await;
    let next = here.lock("a").lease(LEASE).wait(NEXT_LOOK + LEASE).acquire().await.expect("within an hour");
    assert!(valid_until.remaining().is_zero(), "two held it");
    fence::raise(&client, next.key(), fence).await.expect("nobody later has written yet");
    fence::raise(&client, next.key(), next.fence())
        .await
        .expect("it is the later one, though the clock is behind");
    let refused = fence::raise(&client, next.key(), fence).await.unwrap_err();
    assert!(matches!(refused, fence::Error::Stale { seen, .. } if seen == next.fence()), "{refused}");
    assert!(next.release().await.was_held());
    let left = "SELECT until_us - jaego_lock.now_us() FROM jaego_lock.entries WHERE key = 'queue'";
    let left: u64 = server.execute("postgres", left).unwrap().parse().unwrap();
    assert!(left <= 60_000_000, "a waiter that is dead stays for {left} us");
}

/// A process that has never seen the clock before cannot tell that it was set, and may get what another one still holds.
#[tokio::test(flavor = "multi_thread")]
async fn who_sees_the_clock_first_after_it_was_set_may_hold_it_beside_another_and_the_fence_decides() {
    let server = server();
    let client = connect(&server).await;
    client.batch_execute(POSTGRES_TABLE).await.unwrap();
    let here = process(&server).await;
    let lease = settings().lease_max;
    let old = here.lock("a").lease(lease).acquire().await.unwrap();
    fence::raise(&client, old.key(), old.fence()).await.unwrap();
    set_clock(&server, ms(40_000), ms(0));
    let fresh = join(&server);
    let new = fresh.lock("a").lease(lease).acquire().await.expect("nobody has told the server yet");
    assert!(old.is_valid() && new.is_valid() && new.fence() > old.fence());
    fence::raise(&client, old.key(), old.fence()).await.expect("nobody later has written yet");
    fence::raise(&client, new.key(), new.fence()).await.unwrap();
    let refused = fence::raise(&client, old.key(), old.fence()).await.unwrap_err();
    assert!(matches!(refused, fence::Error::Stale { seen, .. } if seen == new.fence()), "{refused}");
    fence::raise(&client, new.key(), new.fence()).await.unwrap();
    assert!(!old.release().await.was_held());
    assert!(new.release().await.was_held());
    timeout(PATIENCE, super::until_clean(&server, PATIENCE)).await.unwrap();
}
