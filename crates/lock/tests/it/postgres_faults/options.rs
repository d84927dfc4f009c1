//! Options that cannot be.

use std::time::Duration;

use jaego_lock::{Error, Locks, Postgres};

use crate::postgres_faults::{PATIENCE, ms, options, server};

#[tokio::test]
async fn a_response_timeout_that_cannot_be_is_refused() {
    let server = server();
    options(&server).response_timeout(ms(60_000)).migrate().await.expect("long, but not too long");
    for (timeout, said) in [
        (Duration::ZERO, "response_timeout is 0ns"),
        (ms(60_001), "response_timeout is 60.001s"),
        (Duration::MAX, "response_timeout is 18446744073709551615"),
    ] {
        let options = options(&server).response_timeout(timeout);
        let told = options.migrate().await.unwrap_err().to_string();
        assert!(told.starts_with(said), "{told}");
        let of_session = options.session_lock("a", Duration::ZERO).await.unwrap_err();
        let locks = Locks::new(Postgres::start(options));
        let asked = tokio::time::timeout(PATIENCE, locks.lock("a").acquire()).await;
        for error in [asked.expect("it is no use to wait").unwrap_err(), of_session] {
            let Error::Refused { source, .. } = &error else { panic!("{error:?}") };
            let told = std::error::Error::source(source).expect("it says why").to_string();
            assert!(told.starts_with(said), "{told}");
        }
    }
}
