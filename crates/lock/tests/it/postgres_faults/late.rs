//! Requests that arrive when they and their releases are long forgotten.

use jaego_lock::{Locks, Postgres, PostgresOptions, limits};
use tokio::time::sleep;

use crate::late_way::LateWay;
use crate::postgres_faults::{PATIENCE, ms, options, server, settings};

/// A process has not seen the server's clock before its first connection, and its first request says all the same until when it
/// may be granted.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_request_of_a_process_takes_nothing_when_it_arrives_late() {
    let server = server();
    options(&server).migrate().await.unwrap();
    let way = LateWay::start(server.addr(), b"exclusive").await;
    let url = server.url_through(way.addr(), "postgres");
    let through = PostgresOptions::new(&url).unwrap().connections(1).unwrap();
    let through = through.response_timeout(settings().response_timeout);
    let here = Locks::with_settings(Postgres::start(through), settings()).unwrap();
    let request = here.lock("a").lease(ms(10_000));
    let asking = tokio::spawn(async move { request.acquire().await });
    way.until_held().await;
    asking.abort();
    // It is given up, and after this the server does not know of that any more.
    sleep(settings().response_timeout * (limits::RELEASE_MEMORY_RESPONSE_TIMEOUTS + 4) + PATIENCE).await;
    let ends = "SELECT count(*) FROM jaego_lock.ends WHERE until_us > jaego_lock.now_us()";
    assert_eq!(server.execute("postgres", ends).unwrap().trim(), "0", "forgotten");
    way.deliver().await;
    let held = "SELECT count(*) FROM jaego_lock.entries";
    assert_eq!(server.execute("postgres", held).unwrap().trim(), "0", "taken for nobody");
}
