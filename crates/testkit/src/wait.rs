use std::thread;
use std::time::{Duration, Instant};

use crate::Error;
use crate::limits::POLL_PAUSE;

/// Looks again and again, with a short pause, until `look` returns something.
///
/// Refuses with [`Error::TimedOut`], which names `what`, once `wait_max` has passed.
///
/// ```
/// use std::time::Duration;
/// let mut looks = 0;
/// let third = jaego_testkit::wait_until("the third look", Duration::from_secs(1), || {
///     looks += 1;
///     (looks == 3).then_some("seen")
/// })?;
/// assert_eq!(third, "seen");
/// # Ok::<(), jaego_testkit::Error>(())
/// ```
pub fn wait_until<T>(
    what: impl Into<String>,
    wait_max: Duration,
    mut look: impl FnMut() -> Option<T>,
) -> Result<T, Error> {
    let started = Instant::now();
    loop {
        if let Some(seen) = look() {
            return Ok(seen);
        }
        if started.elapsed() >= wait_max {
            return Err(Error::TimedOut { what: what.into(), waited: wait_max, log: String::new() });
        }
        thread::sleep(POLL_PAUSE);
    }
}
