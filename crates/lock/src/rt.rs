//! What the locks need of the machine that they run on: tasks, timers, clocks, dice, and what threads share.
//!
//! They take it from here and from nowhere else, but for Tokio's channels and notices, which run on any executor. The
//! crate `jaego-lock-schedules` compiles the same sources with another module in the place of this one, whose
//! scheduler, clocks and dice are decided by a test.

pub(crate) use std::sync::{Mutex, MutexGuard, atomic};
#[cfg(feature = "memory")]
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, Timespec, clock_gettime};
pub(crate) use tokio::runtime::Handle;
pub(crate) use tokio::time::{Instant, sleep, sleep_until, timeout};

#[cfg(any(target_os = "linux", target_os = "android"))]
const CLOCK: ClockId = ClockId::Boottime;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const CLOCK: ClockId = ClockId::Monotonic;

/// Microseconds since the machine was started, its sleep included.
pub(crate) fn boot_us() -> u64 {
    microseconds(clock_gettime(CLOCK))
}

/// Microseconds since the machine was started that it was not asleep.
pub(crate) fn awake_us() -> u64 {
    microseconds(clock_gettime(ClockId::Monotonic))
}

/// Microseconds since 1970, by a clock that may be set.
#[cfg(feature = "memory")]
pub(crate) fn wall_us() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_micros()).unwrap_or_default()
}

/// A random number from zero up to one.
pub(crate) fn random() -> f64 {
    fastrand::f64()
}

fn microseconds(time: Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or_default();
    seconds * 1_000_000 + nanoseconds / 1_000
}
