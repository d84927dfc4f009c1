use jaego_lock::{Locks, Memory, conformance};
use tokio::time::{sleep, timeout};

use super::{PATIENCE, ms};

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
