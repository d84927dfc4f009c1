//! Several locks at once.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::waiting::wish;
use super::{PATIENCE, Stage, busy, connected, granted, patient, process, refused};
use crate::backend::{Acquire, Acquired, Backend as _, Owner};
use crate::{BootTime, Error, LockKey, Lost, Mode, MultiRequest, Outcome};

const KEYS: [&str; 6] = ["a:1", "a:2", "a:3", "b:1", "b:2", "b:3"];

/// All or none, each with a fence of its own.
pub async fn several_locks_or_none(stage: &impl Stage) {
    let (here, there) = (process(stage).await, process(stage).await);
    let one = there.lock(KEYS[3]).acquire().await.unwrap();
    let error = refused(|| here.multi(KEYS).wait(Duration::from_millis(100)).acquire()).await;
    assert!(matches!(&error, Error::Timeout { key, .. } if key.as_str() == KEYS[3]), "{error}");
    busy(|| here.multi(KEYS).try_acquire()).await;
    for key in KEYS.iter().filter(|key| **key != KEYS[3]) {
        let free = there.lock(*key).wait(PATIENCE).acquire().await;
        assert!(free.is_ok(), "{key} was kept: {free:?}");
    }
    let fence = one.fence();
    drop(one);
    // Twice the same key is the same lock.
    let all = here.multi(KEYS.iter().chain(&KEYS).copied()).acquire().await.unwrap();
    assert_eq!(all.keys().count(), KEYS.len());
    assert!(all.fence(&LockKey::new(KEYS[3]).unwrap()).unwrap() > fence);
    assert!(all.fence(&LockKey::new("c").unwrap()).is_none());
    for key in KEYS {
        busy(|| there.lock(key).try_acquire()).await;
    }
    assert!(matches!(all.release().await, Outcome::Released));
    drop(granted(|| there.multi(KEYS).try_acquire()).await);
    let none: [&str; 0] = [];
    assert!(matches!(here.multi(none).acquire().await, Err(Error::OutOfRange { .. })));
}

/// Requests that name the same keys in every order do not wait for each other in a circle.
pub async fn several_locks_in_any_order(stage: &impl Stage) {
    let processes = [process(stage).await, process(stage).await];
    let mut tasks = Vec::new();
    for turn in 0..8_usize {
        let locks = processes[turn % 2].clone();
        tasks.push(tokio::spawn(async move {
            for round in 0..5 {
                let mut keys = KEYS.to_vec();
                keys.rotate_left((turn + round) % KEYS.len());
                if turn % 2 == 0 {
                    keys.reverse();
                }
                keys.truncate(2 + (turn + round) % 4);
                let all = locks.multi(keys).acquire().await.unwrap();
                tokio::task::yield_now().await;
                assert!(all.release().await.was_held());
            }
        }));
    }
    for task in tasks {
        timeout(PATIENCE * 15, task).await.expect("no circle").unwrap();
    }
}

/// A lease runs out that nobody tells of, and the first in line for it waits for another key: then the next one looks.
pub async fn a_waiter_for_several_keys_keeps_nobody_asleep(stage: &impl Stage) {
    let (here, there) = (process(stage).await, process(stage).await);
    let forgotten = connected(stage.backend().await).await;
    // Two keys that are taken in one step.
    let first = LockKey::new("a").unwrap();
    let second = (0..).map(|number| LockKey::new(format!("b:{number}")).unwrap());
    let second = { second }.find(|key| forgotten.group(key) == forgotten.group(&first)).unwrap();
    let waiting = async |count: u64| {
        let contended = || here.stats().patterns.values().map(|pattern| pattern.contended).sum::<u64>();
        while contended() < count {
            sleep(Duration::from_millis(1)).await;
        }
    };
    let holder = there.lock(&second).lease(Duration::from_secs(15)).acquire().await.unwrap();
    let request = here.lock(&second);
    let one = tokio::spawn(async { request.acquire().await.unwrap().release().await });
    timeout(PATIENCE, waiting(1)).await.expect("it waits for the second key");
    let request = here.multi([&first, &second]);
    let both = tokio::spawn(async { request.acquire().await.unwrap().release().await });
    timeout(PATIENCE, waiting(2)).await.expect("it waits for the second key, too");
    let lease = Duration::from_millis(500);
    let wish = Acquire { lease, ..wish(first.as_str(), Mode::exclusive(), false) };
    let taken = forgotten.acquire(&wish).await.unwrap();
    assert!(matches!(taken, Acquired::Granted { .. }), "{taken:?}");
    let free_at = BootTime::now() + lease;

    let got = timeout(lease + PATIENCE / 2, here.lock(&first).acquire()).await.expect("it is free").unwrap();
    let late = BootTime::now().since(free_at);
    assert!(late <= PATIENCE / 2, "{late:?} after the end of the lease");
    assert!(got.release().await.was_held());
    assert!(!both.is_finished() && !one.is_finished());
    assert!(holder.release().await.was_held());
    for waiter in [one, both] {
        assert!(timeout(PATIENCE, waiter).await.expect("both keys are free").unwrap().was_held());
    }
}

/// The validity is that of the first to end, and a lease counts from the moment when all are held.
pub async fn several_locks_share_one_lease(stage: &impl Stage) {
    let (here, there) = (process(stage).await, process(stage).await);
    let lease = Duration::from_millis(500);
    let last = there.lock(KEYS[5]).lease(Duration::from_secs(15)).acquire().await.unwrap();
    let request = here.multi(KEYS).lease(lease);
    let waiter = tokio::spawn(async move { request.acquire().await.unwrap() });
    // Longer than the lease: what was taken first must be kept meanwhile.
    sleep(lease * 2).await;
    drop(last);
    let all = timeout(PATIENCE, waiter).await.expect("they are free").unwrap();
    let got_at = BootTime::now();
    assert!(all.is_valid());
    let remaining = all.valid_until().remaining();
    assert!(remaining <= lease && remaining > lease / 2, "{remaining:?}");
    all.lost().await;
    let took = BootTime::now().since(got_at);
    assert!(took <= lease + PATIENCE / 2, "nobody renews any more: {took:?}");
    assert!(!all.is_valid() && all.check().is_err());
    assert!(timeout(PATIENCE, there.multi(KEYS).acquire()).await.is_ok());
}

/// What was taken first is held while the others are waited for, however short the longest hold is, which counts from the
/// moment when all are held. If it is lost meanwhile, that is told at once, and nothing is
/// kept.
pub async fn several_locks_are_all_held_when_they_are_got(stage: &impl Stage) {
    let (here, there) = (process(stage).await, process(stage).await);
    let lease = here.settings().lease_min();
    let request = |keeper: bool| -> MultiRequest {
        let request = here.multi(KEYS).max_hold(here.settings().keeper_lease);
        if keeper { request } else { request.lease(lease) }
    };
    for keeper in [false, true] {
        let max_hold = here.settings().keeper_lease;
        let last = there.lock(KEYS[5]).lease(Duration::from_secs(15)).acquire().await.unwrap();
        let waiter = tokio::spawn(request(keeper).acquire());
        // Longer than the longest hold.
        sleep(max_hold * 2).await;
        drop(last);
        let all = timeout(PATIENCE, waiter).await.expect("they are free").unwrap().unwrap();
        let got_at = BootTime::now();
        assert_eq!(all.check(), Ok(()));
        let how = all.lost().await;
        let (held, promised) = (BootTime::now().since(got_at), if keeper { max_hold } else { lease });
        assert!(held > promised / 2, "{held:?} of {promised:?}");
        assert!(all.valid_until() <= got_at + promised, "keeper: {keeper}");
        assert_eq!(how, if keeper { Lost::MaxHold } else { Lost::Expired });
    }

    let last = there.lock(KEYS[5]).lease(Duration::from_secs(15)).acquire().await.unwrap();
    let waiter = tokio::spawn(request(true).acquire());
    sleep(Duration::from_millis(100)).await;
    let (breaker, mut broken) = (patient(stage).await, false);
    for key in &KEYS[..5] {
        let holders = breaker.look(*key).await.unwrap().holders;
        let owners: Vec<Owner> = holders.iter().map(|holder| holder.owner).collect();
        broken |= !breaker.break_holds(*key, &owners).await.unwrap().ended.is_empty();
    }
    if broken {
        let lost = timeout(PATIENCE, waiter).await.expect("it does not wait for the last one any more");
        let error = lost.unwrap().unwrap_err();
        assert!(matches!(error, Error::Lost { how: Lost::Broken, .. }), "{error}");
        assert!(last.is_valid());
        drop(last);
    } else {
        // The backend takes all of them in one step, so none was held before.
        drop(last);
        let all = timeout(PATIENCE, waiter).await.expect("they are free").unwrap().unwrap();
        assert!(all.is_valid());
    }
    drop(timeout(PATIENCE, there.multi(KEYS).acquire()).await.expect("nothing is kept").unwrap());
}

/// Guards inside a guard of several locks are the same holds; all of them are entered again, or none.
pub async fn several_locks_are_entered_again(stage: &impl Stage) {
    let (here, there) = (process(stage).await, process(stage).await);
    let keys = ["a", "b", "c", "d"];
    let outer = here.multi(keys).acquire().await.unwrap();
    let inner = outer.reenter().unwrap();
    for key in outer.keys() {
        assert_eq!(inner.fence(key), outer.fence(key));
    }
    assert!(matches!(inner.release().await, Outcome::StillHeld(1)));
    for key in keys {
        // The outer one holds it.
        busy(|| there.lock(key).try_acquire()).await;
    }
    // One of them is ended by somebody else.
    let breaker = patient(stage).await;
    let owner = breaker.look("c").await.unwrap().holders[0].owner;
    assert_eq!(breaker.break_holds("c", &[owner]).await.unwrap().ended.len(), 1);
    assert_eq!(outer.lost().await, Lost::Broken);
    let error = outer.reenter().unwrap_err();
    assert!(matches!(error, Error::Lost { how: Lost::Broken, .. }), "{error}");
    assert!(matches!(outer.release().await, Outcome::Broken));
    // Nothing was entered half.
    let next = granted(|| there.multi(keys).try_acquire()).await;
    assert!(next.release().await.was_held());
}
