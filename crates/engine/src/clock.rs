//! Where time comes from.
//!
//! A machine has two clocks. The one on its wall can be set: by a person, by NTP, by a hypervisor. The one that counts
//! since the machine was started cannot, but does not know the date. [`Steady`] takes the date from the first and goes on
//! by the second, so that what was promised for a minute stands for a minute, whatever the wall shows meanwhile.

use std::{
    sync::{Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use jaego_domain::Timestamp;
use rustix::time::{ClockId, Timespec, clock_gettime};

/// How fast a difference from the wall clock is made up for, in millionths of the time that passes: what NTP's
/// `adjtime` allows itself. A hold of ten minutes ends 300 ms early or late at the most, a second is gone after 34 minutes.
pub const SLEW_PPM: u64 = 500;
/// How far the wall clock has to be set, in microseconds, for the log to say so.
pub const STEP_TOLD_US: u64 = 1_000_000;
/// How often the log says so at the most, in microseconds. The metric always shows where it stands.
const STEPS_TOLD_EVERY_US: u64 = 10_000_000;

const MILLION: u64 = 1_000_000;
const US_PER_MS: u64 = 1_000;

/// What a machine's two clocks show at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The date, in microseconds since 1970. It may jump, run back or stand still.
    pub wall_us: u64,
    /// Microseconds since some moment. It goes on by itself, also while the machine sleeps, and cannot be set.
    pub boot_us: u64,
}

/// A machine's clocks.
pub trait Clock: Send + Sync + 'static {
    /// Looks at both.
    fn read(&self) -> Reading;
}

/// This machine's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[cfg(any(target_os = "linux", target_os = "android"))]
const BOOT: ClockId = ClockId::Boottime;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const BOOT: ClockId = ClockId::Monotonic;

impl Clock for SystemClock {
    fn read(&self) -> Reading {
        let Timespec { tv_sec, tv_nsec } = clock_gettime(BOOT);
        let seconds = u64::try_from(tv_sec).unwrap_or_default();
        let boot_us = seconds * MILLION + u64::try_from(tv_nsec).unwrap_or_default() / 1_000;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Reading { wall_us: u64::try_from(since.as_micros()).unwrap_or(u64::MAX), boot_us }
    }
}

/// One hand for both clocks: time passes when it is moved forward.
impl<F: Fn() -> Timestamp + Send + Sync + 'static> Clock for F {
    fn read(&self) -> Reading {
        let us = self().0.saturating_mul(US_PER_MS);
        Reading { wall_us: us, boot_us: us }
    }
}

/// The store's clock. It never runs back and never stands still.
///
/// It begins at the wall clock or at the last event, whichever is later, and goes on with the time since the machine was
/// started. The wall clock is followed by [`SLEW_PPM`] and no faster. A wall clock that was set while the store was closed
/// cannot be told from a store that was closed for long: it is believed where it shows a later time than the last event.
pub struct Steady<C> {
    clock: C,
    state: Mutex<State>,
}

struct State {
    now_us: u64,
    boot_us: u64,
    /// How far the clock is ahead of the wall's.
    offset_us: i64,
    /// Millionths of microseconds by which it may yet be slewed.
    slew: u64,
    /// The last time since the start that a step was told.
    told_us: Option<u64>,
}

impl<C: Clock> Steady<C> {
    /// A clock that goes on from the last event's time.
    pub fn new(clock: C, last: Timestamp) -> Self {
        let Reading { wall_us, boot_us } = clock.read();
        let last_us = last.0.saturating_mul(US_PER_MS);
        let ahead_us = last_us.saturating_sub(wall_us);
        if ahead_us > STEP_TOLD_US {
            tracing::warn!(
                ahead_s = ahead_us as f64 / MILLION as f64,
                "the machine's clock is before the last event: time goes on from that event"
            );
        }
        let now_us = wall_us.max(last_us);
        let offset_us = now_us.saturating_sub(wall_us).cast_signed();
        Self { clock, state: Mutex::new(State { now_us, boot_us, offset_us, slew: 0, told_us: None }) }
    }

    /// Now.
    pub fn now(&self) -> Timestamp {
        Timestamp(self.look().0 / US_PER_MS)
    }

    /// How far this is ahead of the wall clock, in microseconds; negative where it is behind.
    pub fn offset_us(&self) -> i64 {
        self.look().1
    }

    fn look(&self) -> (u64, i64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // Read under the lock, so that nobody who comes later sees less.
        let reading = self.clock.read();
        if let Some(by_us) = state.advance(reading) {
            tracing::warn!(
                by_s = by_us as f64 / MILLION as f64,
                ahead_s = state.offset_us as f64 / MILLION as f64,
                "the machine's clock was set; time goes on as it did, and follows slowly"
            );
        }
        (state.now_us, state.offset_us)
    }
}

impl State {
    /// Goes on to a reading, and says by how much the wall clock was set since the last one, if that should be told.
    fn advance(&mut self, Reading { wall_us, boot_us }: Reading) -> Option<i64> {
        let elapsed_us = boot_us.saturating_sub(self.boot_us);
        // A process that was moved to another machine goes on with that machine's.
        self.boot_us = boot_us;
        self.now_us = self.now_us.saturating_add(elapsed_us);
        let offset = |now_us: u64| match i64::try_from(now_us.abs_diff(wall_us)).unwrap_or(i64::MAX) {
            ahead if now_us >= wall_us => ahead,
            behind => -behind,
        };
        let free = offset(self.now_us);
        let set_us = self.offset_us.saturating_sub(free);
        // What is left of a microsecond counts the next time; what there was no use for does not.
        let slew = self.slew.saturating_add(elapsed_us.saturating_mul(SLEW_PPM));
        let may_us = slew / MILLION;
        let step_us = may_us.min(free.unsigned_abs());
        self.slew = if step_us < may_us { 0 } else { slew % MILLION };
        // Slower than time passes, never back: `SLEW_PPM` is less than a million.
        self.now_us = if free > 0 { self.now_us - step_us } else { self.now_us + step_us };
        self.offset_us = offset(self.now_us);
        let is_silent =
            self.told_us.is_some_and(|told| self.boot_us.saturating_sub(told) < STEPS_TOLD_EVERY_US);
        if set_us.unsigned_abs() < STEP_TOLD_US || is_silent {
            return None;
        }
        self.told_us = Some(self.boot_us);
        Some(set_us)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    };

    use super::*;

    const BEGIN: u64 = 1_772_323_200_000_000;
    const SECOND: u64 = MILLION;
    const HOUR: u64 = 3_600 * SECOND;
    const YEAR: u64 = 366 * 24 * HOUR;

    /// Two hands that a test moves.
    #[derive(Clone, Default)]
    struct Hands {
        wall: Arc<AtomicU64>,
        boot: Arc<AtomicU64>,
    }

    impl Clock for Hands {
        fn read(&self) -> Reading {
            Reading { wall_us: self.wall.load(SeqCst), boot_us: self.boot.load(SeqCst) }
        }
    }

    impl Hands {
        fn at(wall: u64) -> Self {
            let hands = Self::default();
            hands.wall.store(wall, SeqCst);
            hands.boot.store(77 * SECOND, SeqCst);
            hands
        }

        /// Lets time pass on both clocks, looked at every `every`.
        fn pass(&self, steady: &Steady<Self>, time: u64, every: u64) {
            let mut left = time;
            while left > 0 {
                let part = left.min(every);
                self.boot.fetch_add(part, SeqCst);
                self.wall.fetch_add(part, SeqCst);
                left -= part;
                let _ = steady.now();
            }
        }
    }

    fn ms(us: u64) -> Timestamp {
        Timestamp(us / US_PER_MS)
    }

    #[test]
    fn time_goes_on_whatever_the_wall_is_set_to() {
        for (what, walls) in [
            ("back an hour", vec![BEGIN - HOUR]),
            ("forward a year", vec![BEGIN + YEAR]),
            ("forward a year and back", vec![BEGIN + YEAR, BEGIN]),
            ("back an hour and forward", vec![BEGIN - HOUR, BEGIN]),
            ("before 1970", vec![0]),
            ("as far as it goes", vec![u64::MAX]),
        ] {
            let hands = Hands::at(BEGIN);
            let steady = Steady::new(hands.clone(), ms(BEGIN - HOUR));
            let (mut passed, mut last) = (0, steady.now());
            for wall in walls {
                hands.wall.store(wall, SeqCst);
                assert_eq!(steady.now(), last, "{what}: no time has passed");
                for _ in 0..100 {
                    // The wall clock stands still meanwhile, which is one more thing that it may do.
                    hands.boot.fetch_add(SECOND / 2, SeqCst);
                    passed += SECOND / 2;
                    assert!(steady.now() > last, "{what}: it stands still or runs back");
                    last = steady.now();
                    let now = last.0 * US_PER_MS;
                    let slewed = passed * SLEW_PPM / MILLION + US_PER_MS;
                    assert!(now.abs_diff(BEGIN + passed) <= slewed, "{what}: {now} after {passed}");
                }
            }
        }
    }

    #[test]
    fn a_difference_is_made_up_for_slowly_and_then_gone() {
        for (by, every) in [(SECOND, SECOND / 4), (SECOND, 37), (SECOND, 10 * HOUR)] {
            for forward in [true, false] {
                let hands = Hands::at(BEGIN);
                let steady = Steady::new(hands.clone(), Timestamp(0));
                let wall = if forward { BEGIN + by } else { BEGIN - by };
                hands.wall.store(wall, SeqCst);
                // Half of the time that it takes, half of the difference; the shortest pause has few of them.
                let whole = by / SLEW_PPM * MILLION;
                let half = if every < 1_000 { whole / 200 } else { whole / 2 };
                hands.pass(&steady, half, every);
                let offset = steady.offset_us().unsigned_abs();
                assert_eq!(offset, by - half * SLEW_PPM / MILLION, "{by} {every} {forward}");
                assert_eq!(steady.offset_us() < 0, forward);
                if every >= 1_000 {
                    hands.pass(&steady, half + SECOND, every);
                    assert_eq!(steady.offset_us(), 0);
                }
            }
        }
    }

    #[test]
    fn it_begins_at_the_later_one_of_wall_and_last_event() {
        let hands = Hands::at(BEGIN);
        assert_eq!(Steady::new(hands.clone(), ms(BEGIN - YEAR)).now(), ms(BEGIN));
        // After a year that was wrong: it goes on from there and does not wait for the wall clock.
        let steady = Steady::new(hands.clone(), ms(BEGIN + YEAR));
        assert_eq!((steady.now(), steady.offset_us()), (ms(BEGIN + YEAR), YEAR.cast_signed()));
        hands.pass(&steady, HOUR, SECOND);
        let slewed = HOUR * SLEW_PPM / MILLION;
        assert_eq!(steady.now(), ms(BEGIN + YEAR + HOUR - slewed));
    }

    #[test]
    fn a_step_is_told_once_and_small_ones_are_not() {
        let mut state = State { now_us: BEGIN, boot_us: 0, offset_us: 0, slew: 0, told_us: None };
        let mut at = |wall_us, boot_us| state.advance(Reading { wall_us, boot_us });
        assert_eq!(at(BEGIN + 10, 10), None);
        assert_eq!(at(BEGIN + 10 + SECOND / 2, 10), None, "half a second");
        assert_eq!(at(BEGIN + HOUR, 10), Some((HOUR - SECOND / 2 - 10).cast_signed()));
        assert_eq!(at(BEGIN, 20), None, "the log has said so just now");
        let later = 10 + STEPS_TOLD_EVERY_US;
        assert!(at(BEGIN + YEAR, later).is_some_and(|by| by > 0));
        assert_eq!(at(BEGIN + YEAR + 5, later + 5), None, "it stays where it was set to");
    }

    #[test]
    fn the_machines_clocks_go_on() {
        let first = SystemClock.read();
        std::thread::sleep(std::time::Duration::from_millis(2));
        assert!(SystemClock.read().boot_us >= first.boot_us + 2_000);
        let steady = Steady::new(SystemClock, Timestamp(0));
        let (now, wall) = (steady.now(), ms(SystemClock.read().wall_us));
        assert!(now.0.abs_diff(wall.0) < 60_000, "{now} and {wall}");
    }
}
