//! Requests that arrive when they and their releases are long forgotten.

use std::time::Duration;

use jaego_lock::limits;
use tokio::time::sleep;

use crate::late_way::LateWay;
use crate::redis_faults::{Observer, PATIENCE, ms, server, unconnected};

/// A process has not seen the server's clock before its first connection, and its first request says all the same until when it
/// may be granted.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_request_of_a_process_takes_nothing_when_it_arrives_late() {
    let server = server();
    let way = LateWay::start(server.addr(), b"exclusive").await;
    let here = unconnected(way.addr(), Duration::ZERO);
    let request = here.lock("a").lease(ms(10_000));
    let asking = tokio::spawn(async move { request.acquire().await });
    way.until_held().await;
    asking.abort();
    // It is given up, and after this the server does not know of that any more.
    sleep(here.settings().response_timeout * (limits::RELEASE_MEMORY_RESPONSE_TIMEOUTS + 4) + PATIENCE).await;
    let mut observer = Observer::of(&server).await;
    let tombstones: Vec<String> = observer.command("KEYS jaego:*:ended:*").await;
    assert_eq!(tombstones, Vec::<String>::new(), "forgotten");
    way.deliver().await;
    assert_eq!(observer.leftovers().await, Vec::<String>::new(), "taken for nobody");
}
