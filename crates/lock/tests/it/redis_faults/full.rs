//! A server that has as many clients as it will have.

use std::time::Instant;

use jaego_lock::Error;
use jaego_testkit as testkit;

use crate::redis_faults::{Observer, PATIENCE, ms, unconnected};

/// One for the steps of a process and one for its notices.
const CLIENTS_MAX: usize = 2;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_too_many_clients_is_an_outage_that_passes() {
    let settings = vec![("maxclients".to_owned(), CLIENTS_MAX.to_string())];
    let server = testkit::Redis::start(&testkit::RedisOptions { settings, ..Default::default() }).unwrap();
    let (first, second) = (Observer::of(&server).await, Observer::of(&server).await);
    let locks = unconnected(server.addr(), ms(0));
    for wait in [ms(0), ms(300)] {
        let started = Instant::now();
        let error = locks.lock("a").wait(wait).acquire().await.unwrap_err();
        let took = started.elapsed();
        assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
        let limit = wait.max(locks.settings().response_timeout);
        assert!(took >= wait && took < limit + PATIENCE / 4, "{took:?} for {wait:?}");
    }
    let request = locks.lock("a");
    let waiter = tokio::spawn(async move { request.wait(PATIENCE * 10).acquire().await });
    tokio::time::sleep(ms(100)).await;
    assert!(!waiter.is_finished(), "it waits for the server");
    drop((first, second));
    let guard = waiter.await.unwrap().expect("there is room for it by now");
    assert!(guard.release().await.was_held());
}
