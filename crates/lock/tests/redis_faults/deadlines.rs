//! A crowd whose server does not answer any more is told so by its deadlines.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use jaego_lock::Error;
use tokio::task::JoinSet;

use crate::untold::watch_timers;
use crate::{PATIENCE, ms, process, rounds, server};

const CALLERS: u64 = 500;
/// So much later than its deadline is nobody answered …
const LATE: Duration = Duration::from_millis(50);
/// … but one of a hundred, who are a busy machine's.
const PERCENT: usize = 99;

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_is_answered_by_its_deadlines_though_the_server_is_stopped() {
    let mut server = server();
    let here = process(server.addr(), Duration::ZERO);
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
                let error = request.acquire().await.unwrap_err();
                let late = deadline.elapsed();
                assert!(matches!(error, Error::Unavailable { .. }), "{error}");
                late
            });
        }
        let mut late = callers.join_all().await;
        stop.store(true, Ordering::Relaxed);
        let timers_late = timers.await.unwrap();
        late.sort_unstable();
        let [half, most, all] = [50, PERCENT, 100].map(|percent| late[(late.len() - 1) * percent / 100]);
        println!(
            "half were late by {half:?}, 99 of 100 by {most:?}, all by {all:?}, timers by {timers_late:?}"
        );
        assert!(half <= LATE, "half were late by {half:?}");
        assert!(most <= LATE + timers_late, "99 of 100 were late by {most:?}, timers by {timers_late:?}");
        assert!(all <= LATE + PATIENCE, "all were late by {all:?}");
        server.cont().unwrap();
        assert!(here.lock("warm").acquire().await.expect("it goes on").release().await.was_held());
    }
}
