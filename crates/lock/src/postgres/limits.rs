//! Every limit of the backend, side by side.

use std::time::Duration;

/// Default of the schema.
pub(super) const SCHEMA: &str = "jaego_lock";
/// Bytes of its name.
pub(super) const SCHEMA_BYTES_MAX: usize = 48;
/// Default of the number of connections for steps.
pub(super) const CONNECTIONS: usize = 4;
/// Connections for steps at the most.
pub(super) const CONNECTIONS_MAX: usize = 64;

/// How often an idle connection is tried, and what has ended is swept up.
pub(super) const LOOK_PAUSE: Duration = Duration::from_secs(5);
/// Whoever asks while another one tells of a clock that was set asks again after this.
pub(super) const TELLING_PAUSE: Duration = Duration::from_millis(100);
/// The pause before connecting again; it doubles from try to try …
pub(super) const CONNECT_PAUSE_MIN: Duration = Duration::from_millis(10);
/// … up to this, and a random half of it is left out.
pub(super) const CONNECT_PAUSE_MAX: Duration = Duration::from_millis(500);
/// A connection that lasted for so many pauses makes the next pause the shortest again.
pub(super) const CONNECT_PAUSE_FORGIVEN: u32 = 4;
/// Connecting takes a few answers.
pub(super) const CONNECT_RESPONSE_TIMEOUTS: u32 = 4;
/// A sweep may take so many. Meanwhile notices are heard.
pub(super) const SWEEP_RESPONSE_TIMEOUTS: u32 = 40;
/// An acquire that arrives this many of its timeouts after it was sent is refused, and a step that takes
/// this many is stopped by the server: nobody waits for them.
pub(super) const LATE_TIMEOUTS: u32 = 4;
/// Making the schema may take so many response timeouts, all in all …
pub(super) const MIGRATE_RESPONSE_TIMEOUTS: u32 = 80;
/// … and so many of them may it wait for one lock, such as that of another process that makes it.
pub(super) const MIGRATE_LOCK_RESPONSE_TIMEOUTS: u32 = 40;

/// The server looks this often whether the client of a session lock that waits is still there.
pub(super) const SESSION_CHECK_PAUSE: Duration = Duration::from_secs(1);
/// A session that nothing is heard of for this long is asked for a sign of life by the kernels of both sides …
pub(super) const SESSION_IDLE: Duration = Duration::from_secs(5);
/// … this often …
pub(super) const SESSION_PROBE_PAUSE: Duration = Duration::from_secs(2);
/// … and this many times before it is given up.
pub(super) const SESSION_PROBES: u32 = 3;
