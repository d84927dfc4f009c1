//! A clock that stands, jumps and runs back.

use jaego_domain::Timestamp;
use jaego_engine::sim_disk::Dice;

/// 2026-03-01T00:00:00Z.
const BEGIN: u64 = 1_772_323_200_000;
const HOUR_MS: u64 = 3_600_000;
const YEAR_MS: u64 = 366 * 24 * HOUR_MS;

/// The simulated machine's clock.
#[derive(Debug, Clone)]
pub struct SimClock {
    shown: u64,
    /// Readings during which it stands still.
    stopped: usize,
    latest: u64,
}

impl Default for SimClock {
    fn default() -> Self {
        Self { shown: BEGIN, stopped: 0, latest: BEGIN }
    }
}

impl SimClock {
    /// What it shows now. It mostly goes on by some milliseconds or seconds; now and then it jumps back by an
    /// hour or ahead by a minute, a day or a year, or stops for a while.
    pub fn read(&mut self, dice: &mut Dice) -> Timestamp {
        if self.stopped > 0 {
            self.stopped -= 1;
        } else {
            match dice.below(400) {
                0 => self.shown -= HOUR_MS.min(self.shown),
                1 => self.shown += YEAR_MS,
                2..=5 => self.shown += 24 * HOUR_MS,
                6..=20 => self.shown += 60_000,
                21..=24 => self.stopped = 1 + dice.below(30),
                25..=120 => self.shown += 1 + dice.throw() % 5_000,
                _ => self.shown += dice.throw() % 20,
            }
        }
        self.latest = self.latest.max(self.shown);
        Timestamp(self.shown)
    }

    /// The latest time that it ever showed: nothing may have lapsed that was due later.
    pub fn latest(&self) -> Timestamp {
        Timestamp(self.latest)
    }
}
