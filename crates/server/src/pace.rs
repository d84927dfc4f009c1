//! How long a slow peer may keep us waiting: a grace, plus what its bytes have earned.

use std::time::{Duration, Instant};

/// Counts the time that we wait for a peer against the bytes that the waiting brought.
///
/// Each moment of waiting adds to a debt, each byte pays some of it back at the slowest rate that is still welcome,
/// and a debt above the grace ends our patience. A stalled peer and one that dribbles a byte now and then are thus
/// one case, and a fast start buys no right to stall later: the debt never falls below zero.
#[derive(Debug)]
pub(crate) struct Pace {
    grace: Duration,
    rate_min: u32,
    debt: Duration,
    waiting_since: Option<Instant>,
}

impl Pace {
    /// `rate_min` in bytes per second; zero is taken as one.
    pub(crate) fn new(grace: Duration, rate_min: u32) -> Pace {
        Pace { grace, rate_min: rate_min.max(1), debt: Duration::ZERO, waiting_since: None }
    }

    /// We begin (or go on) to wait. Returns when patience ends if nothing comes.
    pub(crate) fn wait(&mut self, now: Instant) -> Instant {
        let since = *self.waiting_since.get_or_insert(now);
        since + self.grace.saturating_sub(self.debt)
    }

    /// True between a wait and the progress that ends it.
    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting_since.is_some()
    }

    /// Bytes moved. `now` is asked only if we had been waiting, for a clock costs more than this does.
    pub(crate) fn progress(&mut self, bytes: usize, now: impl FnOnce() -> Instant) {
        if let Some(since) = self.waiting_since.take() {
            self.debt += now().saturating_duration_since(since);
        }
        if !self.debt.is_zero() {
            let earned = Duration::from_secs_f64(bytes as f64 / f64::from(self.rate_min));
            self.debt = self.debt.saturating_sub(earned);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_stalled_peer_gets_the_grace_and_no_more() {
        let start = Instant::now();
        let mut pace = Pace::new(seconds(5), 1000);
        assert_eq!(pace.wait(start), start + seconds(5));
        assert_eq!(pace.wait(start + seconds(3)), start + seconds(5), "waiting on does not move the end");
    }

    #[test]
    fn a_dribbling_peer_runs_out_of_patience() {
        let mut now = Instant::now();
        let start = now;
        let mut pace = Pace::new(seconds(5), 1000);
        let mut rounds = 0;
        while pace.wait(now) > now + seconds(1) {
            now += seconds(1);
            pace.progress(1, || now);
            rounds += 1;
            assert!(rounds < 100, "one byte a second is never too slow");
        }
        assert!(now - start <= seconds(5), "{:?}", now - start);
    }

    #[test]
    fn a_peer_at_the_least_rate_may_go_on_for_ever() {
        let mut now = Instant::now();
        let mut pace = Pace::new(seconds(5), 1000);
        for _ in 0..1000 {
            assert!(pace.wait(now) > now + seconds(1));
            now += seconds(1);
            pace.progress(1000, || now);
        }
    }

    #[test]
    fn a_fast_start_does_not_buy_a_long_stall() {
        let start = Instant::now();
        let mut pace = Pace::new(seconds(5), 1000);
        pace.progress(1_000_000, || start);
        assert_eq!(pace.wait(start), start + seconds(5));
    }
}
