use jaego_lock::{Error, Locks, Postgres};
use jaego_testkit as testkit;

use crate::full::an_outage_that_passes;
use crate::postgres_faults::{PATIENCE, connect, ms, options, settings};

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
    let error = options.session_lock("job", ms(0)).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    an_outage_that_passes(&locks, others, PATIENCE / 2).await;
}
