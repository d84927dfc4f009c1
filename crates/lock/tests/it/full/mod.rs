//! A server that has as many clients as it will have, whatever the server is.

use std::time::{Duration, Instant};

use jaego_lock::{Error, Locks};
use tokio::time::sleep;

use crate::ms;

/// How long somebody waits for room on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// There is no room for `locks` until the others go.
pub(crate) async fn an_outage_that_passes<Others>(locks: &Locks, others: Others, late_max: Duration) {
    for wait in [ms(0), ms(300)] {
        let started = Instant::now();
        let error = locks.lock("a").wait(wait).acquire().await.unwrap_err();
        let took = started.elapsed();
        assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
        let limit = wait.max(locks.settings().response_timeout);
        assert!(took >= wait && took < limit + late_max, "{took:?} for {wait:?}");
    }
    let request = locks.lock("a");
    let waiter = tokio::spawn(async move { request.wait(PATIENCE).acquire().await });
    sleep(ms(100)).await;
    assert!(!waiter.is_finished(), "it waits for the server");
    drop(others);
    let guard = waiter.await.unwrap().expect("there is room for it by now");
    assert!(guard.release().await.was_held());
}
