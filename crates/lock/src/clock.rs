//! The clock that leases are counted on: time since the machine was started, its sleep included.
//!
//! Rust's `Instant` stops while a virtual machine is suspended; leases do not.

use std::{
    ops::{Add, Sub},
    time::Duration,
};

use crate::rt::{self, Instant};

/// A point on `CLOCK_BOOTTIME`, in whole microseconds since the machine was started. Of use on the machine
/// that made it, until that is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BootTime {
    us: u64,
}

impl BootTime {
    /// Now.
    #[must_use]
    pub fn now() -> Self {
        Self { us: rt::boot_us() }
    }

    /// How long it is until then; zero if it is past.
    #[must_use]
    pub fn remaining(self) -> Duration {
        self.since(Self::now())
    }

    /// How long it is from `earlier` to this; zero if that is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.us.saturating_sub(earlier.us))
    }

    /// Microseconds since the machine was started.
    #[must_use]
    pub fn as_micros(self) -> u64 {
        self.us
    }

    pub(crate) fn from_micros(us: u64) -> Self {
        Self { us }
    }

    /// Then, on the clock of the timers. True until the machine sleeps.
    pub(crate) fn timer(self) -> Instant {
        Instant::now() + self.remaining()
    }
}

impl Add<Duration> for BootTime {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self { us: self.us.saturating_add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)) }
    }
}

impl Sub<Duration> for BootTime {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self { us: self.us.saturating_sub(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)) }
    }
}

/// How long the machine has slept since it was started.
pub(crate) fn slept() -> Duration {
    // Awake first: what passes between the two looks is then counted as sleep, and never negative.
    let awake = rt::awake_us();
    Duration::from_micros(BootTime::now().us.saturating_sub(awake))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes_and_never_underflows() {
        let early = BootTime::now();
        std::thread::sleep(Duration::from_millis(2));
        assert!(BootTime::now().since(early) >= Duration::from_millis(2));
        assert_eq!(early.since(BootTime::now()), Duration::ZERO);
        assert_eq!((BootTime { us: 5 } - Duration::from_secs(1)).us, 0);
        assert_eq!((BootTime { us: u64::MAX - 5 } + Duration::from_secs(1)).us, u64::MAX);
        assert_eq!(early.remaining(), Duration::ZERO);
    }
}
