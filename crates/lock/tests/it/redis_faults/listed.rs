//! The list of the locks, over a slow line.

use std::time::{Duration, Instant};

use jaego_lock::limits::LIST_TIMEOUT;
use jaego_lock::{Locks, Redis, RedisOptions};
use jaego_testkit::{Direction, Fault, FaultProxy};

use crate::redis_faults::{ms, server};

/// Looks at all of the locks would take twice as long as a list may.
const LOCKS: u32 = 600;
const ANSWER: Duration = Duration::from_millis(100);

#[tokio::test(flavor = "multi_thread")]
async fn a_list_over_a_slow_line_is_incomplete_and_no_error() {
    let server = server();
    let proxy = FaultProxy::start(server.addr()).unwrap();
    let [near, far] = [server.addr(), proxy.addr()].map(|addr| {
        let options = RedisOptions::new(&format!("redis://{addr}/")).unwrap();
        Locks::new(Redis::start(options.quarantine(Duration::ZERO)))
    });
    let mut guards = Vec::new();
    for number in 0..LOCKS {
        guards.push(near.lock(format!("order:{number}")).acquire().await.unwrap());
    }
    assert!(far.list("order:1", 1_000).await.expect("the line is quick").complete);
    proxy.set(Direction::ToClient, Fault::Delay(ANSWER));
    let started = Instant::now();
    let list = far.list("", 1_000).await.expect("what was seen in time");
    assert!(!list.complete && list.locks.len() >= 10, "{} locks", list.locks.len());
    assert!(started.elapsed() < LIST_TIMEOUT - ms(5_000), "{:?}", started.elapsed());
}
