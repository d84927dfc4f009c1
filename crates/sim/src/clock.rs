//! The clock on the wall, which stands, jumps and runs back, and the one that counts since the machine was started.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jaego_engine::{Clock, Reading, sim_disk::Dice};

/// 2026-03-01T00:00:00Z, in microseconds.
const BEGIN_US: u64 = 1_772_323_200_000_000;
const MINUTE_US: u64 = 60_000_000;
const DAY_US: u64 = 24 * 60 * MINUTE_US;
const YEAR_US: u64 = 366 * DAY_US;

/// The simulated machine's clocks. Copies show the same.
#[derive(Debug, Clone)]
pub struct SimClock(Arc<Mutex<Hands>>);

#[derive(Debug)]
struct Hands {
    shown: Reading,
    /// Moves during which the wall clock stands still.
    stopped: usize,
}

impl Default for SimClock {
    fn default() -> Self {
        let shown = Reading { wall_us: BEGIN_US, boot_us: MINUTE_US };
        Self(Arc::new(Mutex::new(Hands { shown, stopped: 0 })))
    }
}

impl SimClock {
    /// Lets some time pass: mostly milliseconds or seconds, now and then a minute, a day or a year. The wall clock goes
    /// along, if it does not stand still for a while; now and then it is set back by an hour, or ahead by a day or a year.
    pub fn move_on(&self, dice: &mut Dice) {
        let mut hands = self.hands();
        let passed_us = match dice.below(800) {
            0 => YEAR_US,
            1..=4 => DAY_US,
            5..=34 => MINUTE_US,
            35..=220 => 1 + dice.throw() % 5_000_000,
            _ => dice.throw() % 20_000,
        };
        hands.shown.boot_us += passed_us;
        if hands.stopped > 0 {
            hands.stopped -= 1;
        } else {
            hands.shown.wall_us += passed_us;
        }
        let wall_us = &mut hands.shown.wall_us;
        match dice.below(400) {
            0 | 1 => *wall_us -= (60 * MINUTE_US).min(*wall_us),
            2 => *wall_us += YEAR_US,
            3..=5 => *wall_us += DAY_US,
            6..=8 => *wall_us -= DAY_US.min(*wall_us),
            9 => *wall_us -= YEAR_US.min(*wall_us),
            10..=13 => hands.stopped = 1 + dice.below(30),
            _ => {}
        }
    }

    fn hands(&self) -> MutexGuard<'_, Hands> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for SimClock {
    fn read(&self) -> Reading {
        self.hands().shown
    }
}
