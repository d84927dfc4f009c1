use jaego_testkit as testkit;

use crate::full::an_outage_that_passes;
use crate::redis_faults::{Observer, PATIENCE, ms, unconnected};

/// One for the steps of a process and one for its notices.
const CLIENTS_MAX: usize = 2;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_too_many_clients_is_an_outage_that_passes() {
    let settings = vec![("maxclients".to_owned(), CLIENTS_MAX.to_string())];
    let server = testkit::Redis::start(&testkit::RedisOptions { settings, ..Default::default() }).unwrap();
    let (first, second) = (Observer::of(&server).await, Observer::of(&server).await);
    let locks = unconnected(server.addr(), ms(0));
    an_outage_that_passes(&locks, (first, second), PATIENCE / 4).await;
}
