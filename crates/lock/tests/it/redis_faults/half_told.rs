//! Locks that fall free while half of the notices of that are lost.

use jaego_lock::BootTime;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::lossy::LossyWay;
use super::untold::{GROUP, GROUP_PAUSE, KEYS, LATE, LATE_MAX, RECHECK, locks, watch_timers};
use crate::redis_faults::{ms, rounds, server};

/// Whoever is not told finds it at the next look, and whoever is told does not wait for that.
#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_found_at_the_next_look_when_every_other_notice_is_lost() {
    let server = server();
    let way = LossyWay::start(server.addr(), 0.5).await;
    let (here, there) = (locks(server.addr()), locks(way.addr()));
    for round in 0..rounds(4) {
        let fair = round % 2 == 1;
        let mut holders = JoinSet::new();
        for key in 0..KEYS {
            let request = here.lock(format!("{round}:{key}")).lease(ms(20_000));
            holders.spawn(async move { request.acquire().await.unwrap() });
        }
        let holders = holders.join_all().await;
        let mut waiters = JoinSet::new();
        for (index, holder) in holders.iter().enumerate() {
            let request = there.lock(holder.key().as_str()).lease(ms(5_000));
            let request = if fair { request.fair() } else { request };
            waiters.spawn(async move {
                let guard = request.acquire().await.unwrap();
                (guard.key().clone(), BootTime::now(), guard)
            });
            if index % GROUP == 0 {
                sleep(GROUP_PAUSE).await;
            }
        }
        // All of them have asked, and now sleep until the next look.
        let waiting = (round + 1) * KEYS as u64;
        while there.stats().patterns.values().map(|pattern| pattern.contended).sum::<u64>() < waiting {
            sleep(ms(2)).await;
        }
        let (stop, timers) = watch_timers();
        let [passed, lost] = way.notices();
        let mut releases = JoinSet::new();
        for guard in holders {
            releases.spawn(async move {
                let key = guard.key().clone();
                assert!(guard.release().await.was_held());
                (key, BootTime::now())
            });
        }
        let freed: std::collections::BTreeMap<_, _> = releases.join_all().await.into_iter().collect();
        let all = timeout(RECHECK + LATE_MAX, waiters.join_all()).await.expect("nobody hangs");
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        let timers_late = timers.await.unwrap();
        let [passed, lost] = {
            let [passed_now, lost_now] = way.notices();
            [passed_now - passed, lost_now - lost]
        };
        let mut waits: Vec<_> = all.iter().map(|(key, got_at, _)| got_at.since(freed[key])).collect();
        waits.sort_unstable();
        let at = |percent: usize| waits[(waits.len() - 1) * percent / 100];
        println!(
            "fair: {fair}: {passed} told, {lost} lost: half within {:?}, three of four {:?}, 99 of 100 {:?}, all {:?}; timers \
             were late by {timers_late:?}",
            at(50),
            at(75),
            at(99),
            at(100)
        );
        let share = lost as f64 / (passed + lost) as f64;
        assert!((0.4..0.6).contains(&share), "{passed} told, {lost} lost");
        assert!(at(99) <= RECHECK + LATE + timers_late, "{:?}, timers were late by {timers_late:?}", at(99));
        // Those who were not told did sleep, since they asked, and the others did not. On a busy machine most of the sleep lies
        // before the release.
        assert!(at(99) > RECHECK / 4, "{:?}", at(99));
        assert!(at(35) < RECHECK / 4, "{:?}", at(35));
        let mut ends = JoinSet::new();
        for (.., guard) in all {
            ends.spawn(async move { drop(guard.release().await) });
        }
        ends.join_all().await;
    }
}
