//! Options that cannot be.

use std::time::Duration;

use jaego_lock::{Error, Locks, Redis, RedisOptions};

use crate::redis_faults::{PATIENCE, ms, server};

#[tokio::test]
async fn durations_that_cannot_be_are_refused() {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let server = server();
    let options = || RedisOptions::new(&server.url()).unwrap().quarantine(Duration::ZERO);
    for (options, said) in [
        (options().response_timeout(Duration::ZERO), "response_timeout is 0ns"),
        (options().response_timeout(ms(60_001)), "response_timeout is 60.001s"),
        (options().response_timeout(Duration::MAX), "response_timeout is 18446744073709551615"),
        (options().quarantine(Duration::MAX), "quarantine is 18446744073709551615"),
        (options().quarantine(DAY * 3 + ms(1)), "quarantine is 259200.001s"),
    ] {
        let found = options.clone().found().await.unwrap_err().to_string();
        assert!(found.starts_with(said), "{found}");
        let locks = Locks::new(Redis::start(options));
        let asked = tokio::time::timeout(PATIENCE, locks.lock("a").acquire()).await;
        let error = asked.expect("it is no use to wait").unwrap_err();
        let Error::Refused { source, .. } = &error else { panic!("{error:?}") };
        let told = std::error::Error::source(source).expect("it says why").to_string();
        assert!(told.starts_with(said), "{told}");
    }
    for options in [options().response_timeout(ms(60_000)), options().quarantine(DAY * 3)] {
        let locks = Locks::new(Redis::start(options));
        locks.look("a").await.expect("it connects");
    }
}
