use jaego_lock::backend::Backend;
use jaego_lock::{Error, Guard, Locks, Lost, Memory, Outcome, attribute, conformance};
use tokio::time::{sleep, timeout};

use super::{PATIENCE, ms, on_each_backend, process, there};

on_each_backend! {
    a_loss_that_only_the_release_finds_is_counted_once,
    a_lock_that_is_lost_does_not_count_as_held,
    a_release_that_is_answered_after_the_lease_loses_nothing,
}

/// Nobody looks at the guards before they are let go.
async fn a_loss_that_only_the_release_finds_is_counted_once(here: impl Backend, other: impl Backend) {
    let ((here, faults), there) = (process(here), there(other));
    let lease = here.settings().lease_min();
    let guard = here.lock("order:1").lease(lease).acquire().await.unwrap();
    sleep(lease + ms(100)).await;
    drop(guard);
    let counted = async {
        while here.stats().held > 0 {
            sleep(ms(1)).await;
        }
    };
    timeout(PATIENCE, counted).await.unwrap();
    assert_eq!(here.stats().losses, 1);

    let [stolen, expired] = ["order:2", "order:3"].map(|key| here.lock(key).lease(ms(10_000)).acquire());
    let [stolen, expired] = [stolen.await.unwrap(), expired.await.unwrap()];
    for guard in [&stolen, &expired] {
        faults.take_away(guard.key()).await;
    }
    let thief = there.lock("order:2").lease(ms(10_000)).acquire().await.unwrap();
    // The server takes it for a release that is sent again for a second.
    sleep(ms(1_200)).await;
    let outcome = stolen.release().await;
    assert!(matches!(outcome, Outcome::Stolen { fence } if fence == thief.fence()), "{outcome:?}");
    assert_eq!(here.stats().losses, 2);
    let outcome = expired.release().await;
    assert!(matches!(outcome, Outcome::Expired), "{outcome:?}");
    let stats = here.stats();
    assert_eq!((stats.losses, stats.patterns["order:*"].losses, stats.held), (3, 3, 0));
    assert!(thief.release().await.was_held());
}

async fn a_lock_that_is_lost_does_not_count_as_held(here: impl Backend, _: impl Backend) {
    let (here, _) = process(here);
    let lost = here.lock("order:1").lease(here.settings().lease_min()).acquire().await.unwrap();
    let held = here.lock("order:2").lease(ms(10_000)).acquire().await.unwrap();
    let counted = || (here.stats().held, here.stats().patterns["order:*"].held);
    assert_eq!(counted(), (2, 2));
    assert_eq!(lost.lost().await, Lost::Expired);
    assert_eq!(counted(), (1, 1));
    let hold = here.stats().hold;
    drop(lost.release().await);
    assert_eq!((counted(), here.stats().hold), ((1, 1), hold), "once");
    assert!(held.release().await.was_held());
    assert_eq!(counted(), (0, 0));
}

/// Sleeps until the fourth try of a release that is sent now, and three times not answered, is made after the lease.
async fn until_almost_over(guard: &Guard) {
    sleep(guard.valid_until().remaining() - ms(300)).await;
    assert!(guard.is_valid(), "the machine is busy");
}

/// It was held when the work was done; only the release came late.
async fn a_release_that_is_answered_after_the_lease_loses_nothing(here: impl Backend, other: impl Backend) {
    let ((here, faults), there) = (process(here), there(other));
    let request = || here.lock("order:1").lease(ms(1_000));

    let expired = request().acquire().await.unwrap();
    until_almost_over(&expired).await;
    faults.lose_releases(3);
    let outcome = expired.release().await;
    assert!(matches!(outcome, Outcome::Unknown(_)), "{outcome:?}");

    let stolen = request().acquire().await.unwrap();
    let thief = there.lock("order:1").lease(ms(10_000));
    let thief = tokio::spawn(async move { thief.acquire().await.unwrap() });
    until_almost_over(&stolen).await;
    faults.lose_releases(3);
    let result = attribute::settle(stolen, Ok::<_, Error>(17)).await;
    assert_eq!(result.expect("the work is done"), 17);
    assert!(thief.await.unwrap().release().await.was_held());

    // Whoever waits for the release is dropped meanwhile, and it is finished in the background.
    let dropped = request().acquire().await.unwrap();
    until_almost_over(&dropped).await;
    faults.lose_releases(4);
    let released = faults.released();
    timeout(ms(10), dropped.release()).await.expect_err("not answered");
    let finished = async {
        while faults.released() == released || here.stats().held > 0 {
            sleep(ms(1)).await;
        }
    };
    timeout(PATIENCE, finished).await.unwrap();
    assert_eq!(here.stats().losses, 0);
}

/// What happened is found under the pattern of its key, and together it is what is told of all.
#[tokio::test]
async fn waits_holds_and_renewals_are_counted_by_pattern() {
    let locks = Locks::with_settings(Memory::new(), conformance::settings()).unwrap();
    let holder = locks.lock("product:17").acquire().await.unwrap();
    let waiter = tokio::spawn(locks.lock("product:17").lease(ms(5_000)).acquire());
    // Long enough for the keeper to renew.
    sleep(locks.settings().keeper_lease).await;
    assert_eq!(locks.stats().patterns["product:*"].held, 1);
    assert!(holder.release().await.was_held());
    let next = timeout(PATIENCE, waiter).await.unwrap().unwrap().unwrap();
    assert!(next.release().await.was_held());
    let order = locks.shared("order:1/line:2").lease(ms(400)).acquire().await.unwrap();
    order.lost().await;
    drop(order.release().await);
    // It is the second key that is waited for.
    let holder = locks.lock("shelf:1").lease(ms(5_000)).acquire().await.unwrap();
    let waiter = tokio::spawn(locks.multi(["box:1", "shelf:1"]).lease(ms(5_000)).acquire());
    while locks.stats().patterns["shelf:*"].contended == 0 {
        sleep(ms(1)).await;
    }
    assert!(holder.release().await.was_held());
    let both = timeout(PATIENCE, waiter).await.unwrap().unwrap().unwrap();
    assert!(both.release().await.was_held());

    let stats = locks.stats();
    assert_eq!(
        stats.patterns.keys().collect::<Vec<_>>(),
        ["box:*", "order:*/line:*", "product:*", "shelf:*"]
    );
    let (product, order) = (&stats.patterns["product:*"], &stats.patterns["order:*/line:*"]);
    assert_eq!((product.granted, product.contended, product.granted_after_wait, product.held), (2, 1, 1, 0));
    assert_eq!((order.granted, order.contended, order.granted_after_wait, order.losses), (1, 0, 0, 1));
    assert!(product.wait >= ms(400) && product.hold >= ms(500) && order.hold >= ms(390), "{stats:?}");
    assert!(product.renewals >= 2 && product.losses == 0 && order.renewals == 0, "{stats:?}");
    let (first, second) = (&stats.patterns["box:*"], &stats.patterns["shelf:*"]);
    assert_eq!((first.granted, first.contended, first.granted_after_wait), (1, 0, 0));
    assert_eq!((second.granted, second.contended, second.granted_after_wait), (1, 1, 1));
    assert!(first.wait.is_zero() && !second.wait.is_zero(), "{stats:?}");
    assert_eq!((stats.granted, stats.granted_after_wait, stats.losses), (5, 2, 1));
    assert_eq!(stats.wait, product.wait + second.wait);
    assert_eq!(stats.hold, product.hold + order.hold + first.hold + second.hold);
    assert_eq!((stats.renewals, stats.held), (product.renewals, 0));
    let text = stats.prometheus();
    let waits = "jaego_lock_pattern_waits_total{pattern=\"product:*\"} 1";
    assert!(text.lines().any(|line| line == waits), "{text}");
}
