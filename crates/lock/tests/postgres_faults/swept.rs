//! What has ended is swept up.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::{PATIENCE, ms, process, server};

/// Between two looks of a process, and for what there is to sweep up in one. The same again would take it too long.
const LOOK_PAUSE: Duration = Duration::from_secs(5);
/// Rows that one sweep takes at the most.
const SWEEP_MAX: u32 = 10_000;

/// More than one sweep takes is removed at one look, not at as many looks as it takes sweeps.
#[tokio::test]
async fn more_than_one_sweep_takes_is_swept_up_at_once() {
    let server = server();
    let locks = process(&server).await;
    assert!(locks.lock("a").acquire().await.unwrap().release().await.was_held());
    let rows = 5 * SWEEP_MAX;
    let (over, gone) = ("jaego_lock.now_us() - 1", "jaego_lock.now_us() - 61000000");
    for sql in [
        format!(
            "INSERT INTO jaego_lock.ends SELECT decode(lpad(to_hex(n), 32, '0'), 'hex'), true, {over}
             FROM generate_series(1, {rows}) AS n"
        ),
        format!(
            "INSERT INTO jaego_lock.entries (key, owner, mode, until_us, fence, holders_max)
             SELECT 'b' || n, '\\x17', 'exclusive', {gone}, n, 1 FROM generate_series(1, {rows}) AS n"
        ),
    ] {
        server.execute("postgres", &sql).unwrap();
    }
    let left = "SELECT (SELECT count(*) FROM jaego_lock.ends) + (SELECT count(*) FROM jaego_lock.entries)";
    let left = || server.execute("postgres", left).unwrap().trim().parse::<u32>().unwrap();
    let started = Instant::now();
    while left() > SWEEP_MAX {
        assert!(started.elapsed() < LOOK_PAUSE * 2 + PATIENCE, "{} are left", left());
        sleep(ms(50)).await;
    }
}
