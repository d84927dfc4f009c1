//! A crowd whose server does not answer any more is told so by its deadlines.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use jaego_lock::Error;
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use crate::redis_faults::untold::watch_timers;
use crate::redis_faults::{PATIENCE, ms, process, rounds, server};

const CALLERS: u64 = 500;
/// So much later than a plain timer for its deadline is nobody answered …
const LATE: Duration = Duration::from_millis(50);
/// … but one of a hundred, who are a busy machine's.
const PERCENT: usize = 99;

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_is_answered_by_its_deadlines_though_the_server_is_stopped() {
    let mut server = server();
    let here = process(server.addr(), Duration::ZERO).await;
    drop(here.lock("warm").acquire().await.unwrap());
    for _ in 0..rounds(2) {
        server.stop().unwrap();
        let (stop, timers) = watch_timers();
        let mut callers = JoinSet::new();
        for number in 0..CALLERS {
            let wait = ms(50 + number % 10 * 40);
            let request = here.lock(format!("a:{}", number % 50)).wait(wait);
            let request = if number % 2 == 0 { request.fair() } else { request };
            callers.spawn(async move {
                let deadline = Instant::now() + wait;
                // Set beside it: where that is late, the machine is.
                let timer = tokio::spawn(async move {
                    sleep_until(deadline.into()).await;
                    Instant::now()
                });
                let error = request.acquire().await.unwrap_err();
                let answered_at = Instant::now();
                assert!(matches!(error, Error::Unavailable { .. }), "{error}");
                let late = answered_at.saturating_duration_since(deadline);
                (late, answered_at.saturating_duration_since(timer.await.unwrap()))
            });
        }
        let (mut late, mut after_timer): (Vec<_>, Vec<_>) = callers.join_all().await.into_iter().unzip();
        stop.store(true, Ordering::Relaxed);
        let timers_late = timers.await.unwrap();
        late.sort_unstable();
        after_timer.sort_unstable();
        let half = after_timer[(after_timer.len() - 1) / 2];
        let [most, all] = [PERCENT, 100].map(|percent| late[(late.len() - 1) * percent / 100]);
        println!(
            "half came {half:?} after plain timers, 99 of 100 were late by {most:?}, all by {all:?}, timers by {timers_late:?}"
        );
        assert!(half <= LATE, "half came {half:?} after plain timers");
        assert!(most <= LATE + timers_late, "99 of 100 were late by {most:?}, timers by {timers_late:?}");
        assert!(all <= LATE + PATIENCE, "all were late by {all:?}");
        server.cont().unwrap();
        assert!(here.lock("warm").acquire().await.expect("it goes on").release().await.was_held());
    }
}
