//! Holding, losing and letting go.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::{PATIENCE, Stage, busy, granted, patient, process, refused};
use crate::limits::{FENCE_MAX, LEASE_EXTRA, LOSS_MARGIN, MIN_FENCE_MAX};
use crate::{BootTime, Error, Locks, Lost, Outcome};

const LEASE: Duration = Duration::from_millis(500);
const LONG: Duration = Duration::from_secs(15);

/// While one holds, no other does, in the same process or in another.
pub async fn one_holder_at_a_time(stage: &impl Stage) {
    let (here, there) = (process(stage).await, process(stage).await);
    let guard = here.lock("a").acquire().await.unwrap();
    for locks in [&here, &there] {
        busy(|| locks.lock("a").try_acquire()).await;
    }
    let other = granted(|| there.lock("b").try_acquire()).await;
    assert!(guard.is_valid() && other.is_valid());
    assert!(matches!(guard.release().await, Outcome::Released));
    let guard = granted(|| there.lock("a").try_acquire()).await;
    assert!(matches!(guard.release().await, Outcome::Released));
    assert_eq!((here.stats().held, here.stats().busy), (0, 1));
}

/// Whoever waits has the lock soon after its release, long before any look by the clock.
pub async fn a_waiter_is_handed_the_lock(stage: &impl Stage) {
    let (here, there) = (process(stage).await, process(stage).await);
    for waiting in [&here, &there] {
        let guard = here.lock("a").lease(Duration::from_secs(15)).acquire().await.unwrap();
        let request = waiting.lock("a").lease(Duration::from_secs(15));
        let waiter = tokio::spawn(async move { (request.acquire().await, BootTime::now()) });
        sleep(Duration::from_millis(100)).await;
        assert!(!waiter.is_finished());
        let released_at = BootTime::now();
        assert!(guard.release().await.was_held());
        let (got, got_at) = timeout(PATIENCE, waiter).await.expect("the waiter is woken").unwrap();
        assert!(got_at.since(released_at) < super::settings().recheck / 2, "a notice, not a look");
        assert!(got.unwrap().release().await.was_held());
    }
}

/// A wait ends when it should, with the rest of the holder's lease.
pub async fn a_wait_ends_in_time(stage: &impl Stage) {
    let locks = process(stage).await;
    let _guard = locks.lock("a").lease(LONG).acquire().await.unwrap();
    for wait in [Duration::from_micros(1), Duration::from_millis(150)] {
        let in_time = async || {
            let started = BootTime::now();
            let answer = locks.lock("a").wait(wait).acquire().await;
            let took = BootTime::now().since(started);
            assert!(took >= wait && took < wait + PATIENCE, "{took:?}");
            answer
        };
        let error = refused(in_time).await;
        let Error::Timeout { key, waited, holder_remaining } = error else { panic!("{error}") };
        assert_eq!(key.as_str(), "a");
        assert!(waited >= wait);
        let most = LONG + LEASE_EXTRA;
        assert!(
            holder_remaining > Duration::from_secs(8) && holder_remaining <= most,
            "{holder_remaining:?}"
        );
    }
    assert_eq!(locks.stats().timeouts, 2);
}

/// Without a wait, the answer is there at once, with the rest of the holder's lease.
pub async fn a_busy_lock_is_not_waited_for(stage: &impl Stage) {
    let locks = process(stage).await;
    let _guard = locks.lock("a").lease(Duration::from_secs(10)).acquire().await.unwrap();
    let at_once = async || timeout(PATIENCE, locks.lock("a").try_acquire()).await.expect("it does not wait");
    let error = refused(at_once).await;
    let Error::Busy { holder_remaining, .. } = error else { panic!("{error}") };
    assert!(holder_remaining > Duration::from_secs(8), "{holder_remaining:?}");
}

/// A lease without a keeper runs out; the next one gets the lock after that, and not before.
pub async fn a_lease_runs_out(stage: &impl Stage) {
    let (here, there) = (process(stage).await, process(stage).await);
    let started = BootTime::now();
    let guard = here.lock("a").lease(LEASE).acquire().await.unwrap();
    let valid_until = guard.valid_until();
    assert!(valid_until.since(started) < LEASE);
    let next = there.lock("a").lease(LEASE).acquire().await.unwrap();
    let got_at = BootTime::now();
    assert!(got_at >= valid_until, "two held it");
    assert!(got_at.since(started) < LEASE + PATIENCE, "{:?}", got_at.since(started));
    assert!(!guard.is_valid());
    assert!(next.fence() > guard.fence());
    assert_eq!(here.stats().losses, 1);
}

/// The loss is told at the end of the validity, by the holder's own clock.
pub async fn a_loss_is_told_by_valid_until(stage: &impl Stage) {
    let locks = process(stage).await;
    let guard = locks.lock("a").lease(LEASE).acquire().await.unwrap();
    assert!(guard.check().is_ok());
    let how = guard.lost().await;
    let told_at = BootTime::now();
    assert_eq!(how, Lost::Expired);
    assert!(guard.valid_until().since(told_at) <= LOSS_MARGIN, "while there was time left");
    assert!(told_at.since(guard.valid_until()) < PATIENCE);
    assert_eq!(guard.check(), Err(Lost::Expired));
    assert_eq!(guard.while_held(std::future::pending::<()>()).await, Err(Lost::Expired));
    let error = guard.extend(LEASE).await.unwrap_err();
    assert!(matches!(error, Error::Lost { how: Lost::Expired, .. }), "{error}");
}

/// Told in time means before others can have the lock: of many holders who sleep until they lose it, most are told by the end
/// of their validity, and the machine has to be busy for the others.
pub async fn most_losses_are_told_in_time(stage: &impl Stage) {
    const LEASES: u32 = 200;
    let locks = process(stage).await;
    let holders = (0..LEASES).map(|holder| {
        let request = locks.lock(format!("a{holder}")).lease(LEASE);
        // One after the other, so that they do not wake all at once.
        let start = Duration::from_millis(7) * holder;
        tokio::spawn(async move {
            sleep(start).await;
            let guard = request.acquire().await.unwrap();
            guard.lost().await;
            BootTime::now().since(guard.valid_until())
        })
    });
    let holders: Vec<_> = holders.collect();
    let mut late = Vec::new();
    for holder in holders {
        late.push(holder.await.unwrap());
    }
    late.sort_unstable();
    let (half, most) = (late[late.len() / 2], late[late.len() * 9 / 10]);
    println!(
        "of {LEASES} losses half were told at most {half:?} late, 9 of 10 {most:?}, all {:?}",
        late[late.len() - 1]
    );
    assert!(late[late.len() - 1] < PATIENCE, "{late:?}");
    // Timers are late on a busy machine, and none comes early: if losses were told at the end of the validity, each of
    // them would be told after it.
    assert_eq!(late[late.len() / 10], Duration::ZERO, "{late:?}");
}

/// A keeper holds on for as long as the guard lives, and no longer.
pub async fn a_keeper_renews(stage: &impl Stage) {
    let (here, there) = (process(stage).await, process(stage).await);
    let guard = here.lock("a").acquire().await.unwrap();
    let lease = here.settings().keeper_lease;
    let busy = refused(|| there.lock("a").wait(lease * 3).acquire()).await;
    assert!(matches!(busy, Error::Timeout { .. }), "{busy}");
    assert!(guard.is_valid());
    assert!(here.stats().renewals >= 6, "{:?}", here.stats());
    let fence = guard.fence();
    assert!(guard.release().await.was_held());
    let renewals = here.stats().renewals;
    let next = granted(|| there.lock("a").try_acquire()).await;
    assert!(next.fence() > fence);
    sleep(lease).await;
    assert_eq!(here.stats().renewals, renewals, "the keeper went with the guard");
}

/// A keeper stops at the longest hold, which nothing outlasts; a forgotten guard shuts nobody out for ever.
pub async fn a_hold_has_an_end(stage: &impl Stage) {
    let (here, there) = (process(stage).await, process(stage).await);
    let lease = here.settings().keeper_lease;
    // A whole number of leases, a part of one more, and no more than one.
    for max_hold in [lease * 2, lease * 9 / 4, lease] {
        let guard = here.lock("a").max_hold(max_hold).wait(PATIENCE).acquire().await.unwrap();
        let started = BootTime::now();
        let next = there.lock("a").acquire().await.unwrap();
        let took = BootTime::now().since(started);
        assert!(took >= max_hold * 3 / 4 && took < max_hold + PATIENCE, "{took:?} of {max_hold:?}");
        assert_eq!(guard.check(), Err(Lost::MaxHold));
        let held = guard.valid_until().since(started);
        assert!(held <= max_hold && held > max_hold * 3 / 4, "{held:?} of {max_hold:?}");
        assert!(next.is_valid());
        assert!(next.release().await.was_held());
    }
}

/// An extension makes a hold longer, never shorter.
pub async fn a_lease_is_extended_and_never_shortened(stage: &impl Stage) {
    let (here, there) = (process(stage).await, process(stage).await);
    let guard = here.lock("a").lease(LEASE).acquire().await.unwrap();
    let fence = guard.fence();
    let valid_until = guard.extend(LONG).await.unwrap();
    assert!(valid_until.remaining() > LONG / 2);
    assert_eq!(guard.extend(LEASE).await.unwrap(), valid_until);
    let busy = refused(|| there.lock("a").wait(LEASE * 2).acquire()).await;
    let Error::Timeout { holder_remaining, .. } = busy else { panic!("{busy}") };
    assert!(holder_remaining > LEASE, "{holder_remaining:?}");
    assert!(guard.is_valid());
    assert_eq!(guard.fence(), fence);
    let error = guard.extend(Duration::from_millis(1)).await.unwrap_err();
    assert!(matches!(error, Error::OutOfRange { what: "lease", .. }), "{error}");
    assert!(guard.release().await.was_held());
}

/// A guard inside a guard is the same hold; the lock goes with the last of them.
pub async fn a_hold_is_entered_again(stage: &impl Stage) {
    let (here, there) = (process(stage).await, process(stage).await);
    let outer = here.lock("a").lease(LONG).acquire().await.unwrap();
    let valid_until = outer.valid_until();
    let inner = outer.reenter().unwrap();
    let innermost = inner.reenter().unwrap();
    assert_eq!((inner.fence(), inner.valid_until()), (outer.fence(), valid_until));
    assert!(matches!(inner.release().await, Outcome::StillHeld(2)));
    drop(innermost);
    // The outer one holds.
    busy(|| there.lock("a").try_acquire()).await;
    assert!(matches!(outer.release().await, Outcome::Released));
    let guard = granted(|| there.lock("a").lease(LEASE).try_acquire()).await;
    guard.lost().await;
    assert!(matches!(guard.reenter(), Err(Error::Lost { how: Lost::Expired, .. })));
}

/// A hold that is lost is kept by none of its guards, and each is told how it was lost.
pub async fn a_loss_is_told_to_each_guard(stage: &impl Stage) {
    let (here, there) = (process(stage).await, process(stage).await);
    let guards = async |lease| {
        let outer = here.lock("a").lease(lease).acquire().await.unwrap();
        let inner = outer.reenter().unwrap();
        (outer, inner)
    };
    let (outer, inner) = guards(LEASE).await;
    assert_eq!(inner.lost().await, Lost::Expired);
    let next = there.lock("a").lease(LONG).acquire().await.unwrap();
    for guard in [inner, outer] {
        let outcome = guard.release().await;
        assert!(matches!(outcome, Outcome::Stolen { fence } if fence == next.fence()), "{outcome:?}");
    }
    assert!(next.release().await.was_held());

    let (outer, inner) = guards(LONG).await;
    let breaker = patient(stage).await;
    let seen = breaker.look("a").await.unwrap();
    let owners: Vec<_> = seen.holders.iter().map(|holder| holder.owner).collect();
    assert_eq!(breaker.break_holds("a", &owners).await.unwrap().ended.len(), 1);
    assert_eq!(timeout(PATIENCE, inner.lost()).await.unwrap(), Lost::Broken);
    for guard in [outer, inner] {
        let outcome = guard.release().await;
        assert!(matches!(outcome, Outcome::Broken), "{outcome:?}");
    }

    let (outer, inner) = guards(LONG).await;
    here.shutdown().await;
    for guard in [inner, outer] {
        assert!(matches!(guard.reenter(), Err(Error::Lost { how: Lost::Released, .. })));
        let outcome = guard.release().await;
        assert!(matches!(outcome, Outcome::Released), "{outcome:?}");
    }
    drop(granted(|| there.lock("a").try_acquire()).await);
}

/// The fence grows from holder to holder, whatever the way of change, and above any number asked for.
pub async fn fences_grow(stage: &impl Stage) {
    let (here, there) = (process(stage).await, process(stage).await);
    let mut last = 0;
    for turn in 0..12 {
        let locks = if turn % 2 == 0 { &here } else { &there };
        let request = match turn % 4 {
            0 => locks.lock("a"),
            1 => locks.shared("a"),
            2 => locks.mode("a", "allocate"),
            _ => locks.lock("a").fair(),
        };
        let guard = request.lease(LEASE).acquire().await.unwrap();
        assert!(guard.fence() > last, "{} after {last}", guard.fence());
        last = guard.fence();
        if turn % 6 == 5 {
            guard.lost().await;
        }
        drop(guard);
    }
    let far = last + (1 << 40);
    let guard = here.lock("a").min_fence(far).acquire().await.unwrap();
    assert!(guard.fence() > far);
    last = guard.fence();
    drop(guard);
    assert!(there.lock("a").acquire().await.unwrap().fence() > last);
    // The greatest leaves others above it, and the next one is refused.
    last = MIN_FENCE_MAX;
    for turn in 0..6 {
        let request = if turn % 2 == 0 { here.lock("a") } else { there.lock("a").fair() };
        let guard = request.min_fence(MIN_FENCE_MAX).acquire().await.unwrap();
        assert!(guard.fence() > last && guard.fence() < FENCE_MAX, "{} after {last}", guard.fence());
        last = guard.fence();
        drop(guard);
    }
    let error = here.lock("a").min_fence(MIN_FENCE_MAX + 1).acquire().await.unwrap_err();
    assert!(
        matches!(&error, Error::OutOfRange { value, .. } if *value == (MIN_FENCE_MAX + 1).to_string()),
        "{error}"
    );
    let error = here.multi(["a", "b"]).min_fence(FENCE_MAX - 1).acquire().await.unwrap_err();
    assert!(matches!(error, Error::OutOfRange { .. }), "{error}");
}

/// A release after the lease tells so, and does not touch the next holder.
pub async fn a_late_release_touches_nobody(stage: &impl Stage) {
    let (here, there) = (process(stage).await, process(stage).await);
    let late = here.lock("a").lease(LEASE).acquire().await.unwrap();
    sleep(LEASE + Duration::from_millis(50)).await;
    assert!(matches!(late.release().await, Outcome::Expired));

    let late = here.lock("a").lease(LEASE).acquire().await.unwrap();
    let next = there.lock("a").acquire().await.unwrap();
    let outcome = late.release().await;
    assert!(matches!(outcome, Outcome::Stolen { fence } if fence == next.fence()), "{outcome:?}");
    assert!(!outcome.was_held());
    assert!(next.is_valid());
    // The next one still holds.
    busy(|| here.lock("a").try_acquire()).await;
    assert!(matches!(next.release().await, Outcome::Released));
}

/// A guard that is dropped lets the lock go at once.
pub async fn a_dropped_guard_lets_go(stage: &impl Stage) {
    let (here, there) = (process(stage).await, process(stage).await);
    for _ in 0..20 {
        drop(here.lock("a").acquire().await.unwrap());
        let next = timeout(PATIENCE, there.lock("a").acquire()).await.expect("soon free");
        // The future of a release that is dropped half way releases all the same.
        let mut release = Box::pin(next.unwrap().release());
        std::future::poll_fn(|context| {
            let _ = release.as_mut().poll(context);
            std::task::Poll::Ready(())
        })
        .await;
        drop(release);
        drop(timeout(PATIENCE, here.lock("a").acquire()).await.expect("soon free").unwrap());
    }
}

/// A panic unwinds through the guard.
pub async fn a_panic_lets_go(stage: &impl Stage) {
    let locks = process(stage).await;
    let guard = locks.lock("a").acquire().await.unwrap();
    let task = tokio::spawn(async move {
        let _guard = guard;
        std::panic::resume_unwind(Box::new("as if the work had panicked"));
    });
    assert!(task.await.unwrap_err().is_panic());
    drop(timeout(PATIENCE, locks.lock("a").acquire()).await.expect("soon free").unwrap());
}

/// Shutting down ends waits, lets go of everything, and tells the guards.
pub async fn shutdown_leaves_nothing(stage: &impl Stage) {
    let (here, there) = (process(stage).await, process(stage).await);
    let guard = here.lock("a").lease(LONG).acquire().await.unwrap();
    let foreign = there.lock("b").lease(LONG).acquire().await.unwrap();
    let request = here.lock("b");
    let waiter = tokio::spawn(async move { request.acquire().await });
    sleep(Duration::from_millis(50)).await;
    here.shutdown().await;
    let error = waiter.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::ShutDown), "{error}");
    assert_eq!(guard.check(), Err(Lost::Released));
    assert!(matches!(guard.release().await, Outcome::Released));
    let error = here.lock("a").acquire().await.unwrap_err();
    assert!(matches!(error, Error::ShutDown), "{error}");
    drop(granted(|| there.lock("a").try_acquire()).await);
    assert!(foreign.is_valid());
}

/// What cannot be is refused with a reason, before anything is asked of the backend.
pub async fn bad_requests_are_refused(stage: &impl Stage) {
    let locks = Locks::with_settings(stage.backend().await, super::settings()).unwrap();
    assert!(matches!(locks.lock("").acquire().await, Err(Error::Key(_))));
    assert!(matches!(locks.mode("a", "").acquire().await, Err(Error::Mode(_))));
    assert!(matches!(locks.semaphore("a", 0).acquire().await, Err(Error::Mode(_))));
    let short = locks.settings().lease_min() - Duration::from_millis(1);
    let long = locks.settings().lease_max + Duration::from_millis(1);
    for lease in [short, long] {
        let error = locks.lock("a").lease(lease).acquire().await.unwrap_err();
        assert!(matches!(error, Error::OutOfRange { what: "lease", .. }), "{error}");
    }
    let error = locks.lock("a").lease(LEASE).max_hold(LEASE / 2).acquire().await.unwrap_err();
    assert!(matches!(error, Error::OutOfRange { what: "max_hold", .. }), "{error}");
    let error = locks.lock("a").wait(Duration::MAX).acquire().await.unwrap_err();
    assert!(matches!(error, Error::OutOfRange { what: "wait", .. }), "{error}");
    assert_eq!(locks.stats(), crate::Stats::default());
}
