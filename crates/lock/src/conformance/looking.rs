//! Looking at locks from outside, and breaking them.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::modes::attentive;
use super::{PATIENCE, Stage, answered, busy, patient, process};
use crate::backend::Owner;
use crate::{LockState, Locks, Lost, Outcome};

/// Whoever holds a lock and whoever waits in its queue are told, with mode, fence and what is left.
pub async fn holders_and_waiters_are_told(stage: &impl Stage) {
    let (here, there) = (process(stage).await, process(stage).await);
    let nobody = answered(|| there.look("a")).await.unwrap();
    assert_eq!((nobody.mode, nobody.holders.len(), nobody.waiters_count, nobody.wanted), (None, 0, 0, false));

    let lease = Duration::from_secs(10);
    let first = here.mode("a", "allocate").lease(lease).acquire().await.unwrap();
    let second = there.mode("a", "allocate").lease(lease).acquire().await.unwrap();
    let waiting = [here.lock("a").fair(), there.mode("a", "allocate").fair()];
    let mut waiters = Vec::new();
    for (count, request) in (1..).zip(waiting) {
        waiters.push(tokio::spawn(request.acquire()));
        until(&there, "a", |state| state.waiters_count == count).await;
    }
    let state = answered(|| there.look("a")).await.unwrap();
    assert_eq!((state.key.as_str(), state.mode.as_deref()), ("a", Some("allocate")));
    let fences: Vec<u64> = state.holders.iter().map(|holder| holder.fence).collect();
    assert_eq!(fences, [first.fence(), second.fence()]);
    for holder in &state.holders {
        assert!(holder.remaining <= lease + Duration::from_millis(1), "{holder:?}");
        assert!(holder.remaining > lease - PATIENCE * 4, "{holder:?}");
    }
    let wanted: Vec<_> = state.waiters.iter().map(|waiter| (waiter.mode.as_str(), waiter.fair)).collect();
    assert_eq!(wanted, [("exclusive", true), ("allocate", true)]);
    assert!(state.waiters[0].place < state.waiters[1].place);
    for waiter in waiters {
        waiter.abort();
    }
    drop((first, second));
    until(&there, "a", |state| state.holders.is_empty() && state.waiters_count == 0).await;
}

/// A list has the locks whose keys begin so, by key, and says whether these are all.
pub async fn locks_are_listed(stage: &impl Stage) {
    let locks = process(stage).await;
    let keys = ["product:1", "product:2", "product:3", "product*", "order:1", "상품:1"];
    let mut guards = Vec::new();
    for key in keys {
        guards.push(locks.lock(key).acquire().await.unwrap());
    }
    let listed = async |prefix: &str, max| {
        let list = locks.list(prefix, max).await.unwrap();
        let names: Vec<String> = list.locks.iter().map(|state| state.key.as_str().to_owned()).collect();
        assert!(list.locks.iter().all(|state| state.holders.len() == 1), "{list:?}");
        (names, list.complete)
    };
    let names = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
    let products = ["product*", "product:1", "product:2", "product:3"];
    assert_eq!(listed("product", 4).await, (names(&products), true));
    assert_eq!(listed("product*", 100).await, (names(&products[..1]), true));
    assert_eq!(listed("상", 100).await, (names(&["상품:1"]), true));
    assert_eq!(listed("cart", 100).await, (Vec::new(), true));
    assert_eq!(listed("", 100).await.0.len(), keys.len());
    let (some, complete) = listed("product:", 2).await;
    assert_eq!((some.len(), complete), (2, false));
    for guard in guards {
        assert!(guard.release().await.was_held());
    }
    assert_eq!(listed("", 100).await, (Vec::new(), true));
}

/// A hold that is broken is over: its holder is told, the next one gets a greater fence, and nobody else's hold is
/// touched.
pub async fn a_hold_is_broken(stage: &impl Stage) {
    let (here, there) = (process(stage).await, process(stage).await);
    // One whose lease nobody renews, and who therefore hears of nothing but the breaking itself.
    let guard = here.lock("a").lease(Duration::from_secs(20)).acquire().await.unwrap();
    let waiter = tokio::spawn(there.lock("a").acquire());
    until(&there, "a", |state| state.wanted).await;
    let breaker = patient(stage).await;
    let seen = breaker.look("a").await.unwrap();
    let owner = seen.holders[0].owner;

    let stranger = breaker.break_holds("a", &[Owner::random()]).await.unwrap();
    assert_eq!(stranger.ended, []);
    assert!(stranger.fence > guard.fence(), "a fence is taken all the same");
    assert!(guard.is_valid());

    let broken = breaker.break_holds("a", &[owner, Owner::random()]).await.unwrap();
    assert_eq!(broken.ended, [(owner, guard.fence())]);
    assert!(broken.fence > guard.fence());
    assert_eq!(timeout(PATIENCE, guard.lost()).await.expect("it is told"), Lost::Broken);
    let next = timeout(PATIENCE, waiter).await.expect("the next one is told").unwrap().unwrap();
    assert!(next.fence() > broken.fence);
    assert!(matches!(guard.release().await, Outcome::Broken));

    // What was seen is out of date: the next one is not meant.
    assert_eq!(breaker.break_holds("a", &[owner]).await.unwrap().ended, []);
    assert!(next.is_valid());
    assert!(matches!(next.release().await, Outcome::Released));
}

/// One of several who share a lock is broken, and the others hold on.
pub async fn one_of_many_is_broken(stage: &impl Stage) {
    let (here, there) = (process(stage).await, attentive(stage).await);
    until_it_hears(&there, &here).await;
    let kept = here.shared("a").acquire().await.unwrap();
    // Its lease does not run out before the breaking is told.
    let broken = there.shared("a").lease(Duration::from_secs(20)).acquire().await.unwrap();
    let breaker = patient(stage).await;
    let state = breaker.look("a").await.unwrap();
    let holder = state.holders.iter().find(|holder| holder.fence == broken.fence()).unwrap();
    let ended = breaker.break_holds("a", &[holder.owner]).await.unwrap().ended;
    assert_eq!(ended, [(holder.owner, broken.fence())]);
    assert_eq!(timeout(PATIENCE, broken.lost()).await.expect("it is told"), Lost::Broken);
    // Longer than its lease: it is renewed as ever.
    sleep(super::settings().keeper_lease).await;
    assert!(kept.is_valid());
    assert_eq!(breaker.look("a").await.unwrap().holders.len(), 1);
    busy(|| there.lock("a").try_acquire()).await;
}

/// Until somebody who hardly looks has been told something: what it hears with connects by itself.
async fn until_it_hears(attentive: &Locks, other: &Locks) {
    let lease = Duration::from_secs(20);
    let held = other.lock("heard").lease(lease).acquire().await.unwrap();
    let waiting = tokio::spawn(attentive.lock("heard").lease(lease).acquire());
    until(attentive, "heard", |state| state.wanted || state.waiters_count > 0).await;
    drop(held);
    drop(waiting.await.unwrap().expect("it is served"));
}

/// Waits for a state of a lock.
async fn until(locks: &Locks, key: &str, there: impl Fn(&LockState) -> bool) {
    let looked = timeout(PATIENCE * 4, async {
        while !there(&answered(|| locks.look(key)).await.unwrap()) {
            sleep(Duration::from_millis(2)).await;
        }
    });
    looked.await.expect("it comes to be");
}
