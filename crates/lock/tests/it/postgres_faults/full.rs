//! A server that has as many connections as it will have.

use std::time::Instant;

use jaego_lock::{Error, Locks, Postgres};
use jaego_testkit as testkit;

use super::{PATIENCE, connect, ms, options, settings};

/// As many as the locks have: two for the steps, and one for the notices.
const CONNECTIONS_MAX: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_too_many_connections_is_an_outage_that_passes() {
    let settings_of_server = [
        ("max_connections", CONNECTIONS_MAX.to_string()),
        ("superuser_reserved_connections", "0".to_owned()),
        ("max_wal_senders", "0".to_owned()),
    ];
    let settings_of_server = settings_of_server.map(|(name, value)| (name.to_owned(), value)).to_vec();
    let server =
        testkit::Postgres::start(&testkit::PostgresOptions { settings: settings_of_server }).unwrap();
    let options = options(&server).response_timeout(settings().response_timeout);
    options.migrate().await.unwrap();
    let mut others = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        others.push(connect(&server).await);
    }
    let locks = Locks::with_settings(Postgres::start(options.clone()), settings()).unwrap();
    for wait in [ms(0), ms(300)] {
        let started = Instant::now();
        let error = locks.lock("a").wait(wait).acquire().await.unwrap_err();
        let took = started.elapsed();
        assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
        let limit = wait.max(locks.settings().response_timeout);
        assert!(took >= wait && took < limit + PATIENCE / 2, "{took:?} for {wait:?}");
    }
    let error = options.session_lock("job", ms(0)).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    let request = locks.lock("a");
    let waiter = tokio::spawn(async move { request.wait(PATIENCE * 5).acquire().await });
    tokio::time::sleep(ms(100)).await;
    assert!(!waiter.is_finished(), "it waits for the server");
    drop(others);
    let guard = waiter.await.unwrap().expect("there is room for it by now");
    assert!(guard.release().await.was_held());
}
