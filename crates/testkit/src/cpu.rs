use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The processor time that this thread has had: what others do on the machine does not count.
#[must_use]
pub fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let positive = "processor time is never negative";
    Duration::new(time.tv_sec.try_into().expect(positive), time.tv_nsec.try_into().expect(positive))
}
