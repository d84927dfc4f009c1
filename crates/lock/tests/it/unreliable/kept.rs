//! Holds whose first lease is over and whose last one is not, let go of while nobody can connect: for longer than a release is
//! tried of what is over.

use std::time::Duration;

use jaego_lock::backend::Backend;
use jaego_lock::limits::TRIES_MIN;
use jaego_lock::{Locks, Lost, Outcome, Settings, conformance};
use tokio::time::sleep;

use super::wire::{Faults, Wire};
use super::{ms, on_each_backend, there};

on_each_backend! {
    a_release_is_tried_for_as_long_as_the_server_may_hold_what_was_renewed,
    a_release_is_tried_for_as_long_as_a_renewal_may_have_arrived,
}

const LEASE: Duration = Duration::from_secs(2);

/// With leases that leave room for more than the least number of tries.
fn process(backend: impl Backend) -> (Locks, Faults) {
    let (wire, faults) = Wire::to(backend);
    let base = conformance::settings();
    let settings = Settings { response_timeout: LEASE / 5, keeper_lease: LEASE, waiter_ttl: LEASE, ..base };
    (Locks::with_settings(wire, settings).unwrap(), faults)
}

async fn a_release_is_tried_for_as_long_as_the_server_may_hold_what_was_renewed(
    here: impl Backend,
    other: impl Backend,
) {
    let ((here, faults), there) = (process(here), there(other));
    let guard = here.lock("a").acquire().await.unwrap();
    sleep(LEASE + ms(100)).await;
    faults.fail_releases(TRIES_MIN);
    let outcome = guard.release().await;
    assert!(matches!(outcome, Outcome::Released), "{outcome:?}");
    assert!(there.lock("a").try_acquire().await.expect("it is free").release().await.was_held());
}

/// Its own clock says that it is lost. The server has heard that it goes on.
async fn a_release_is_tried_for_as_long_as_a_renewal_may_have_arrived(
    here: impl Backend,
    other: impl Backend,
) {
    let ((here, faults), there) = (process(here), there(other));
    let guard = here.lock("a").acquire().await.unwrap();
    faults.lose_renewals(u32::MAX);
    assert_eq!(guard.lost().await, Lost::Expired);
    faults.fail_releases(TRIES_MIN);
    let outcome = guard.release().await;
    assert!(matches!(outcome, Outcome::Released), "{outcome:?}");
    assert!(there.lock("a").try_acquire().await.expect("it is free").release().await.was_held());
}
