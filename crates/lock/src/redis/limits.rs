//! Every limit of the backend, side by side.

use std::time::Duration;

/// The oldest major version of Redis that holds scripts to `min-replicas-to-write`.
pub(super) const VERSION_MIN: u32 = 7;
/// How a server begins, in cluster mode or not, what it says to whom it has no connection for, under the code of all that
/// has none of its own.
pub(super) const FULL: &str = "max number of clients";
/// The code of what it says when its memory is full.
pub(super) const OUT_OF_MEMORY: &str = "OOM";
/// Servers that were left, of which a link knows that it comes back to them.
pub(super) const SERVERS_LEFT_MAX: usize = 16;
/// Default of the prefix of all keys.
pub(super) const PREFIX: &str = "jaego";
/// Bytes of that prefix.
pub(super) const PREFIX_BYTES_MAX: usize = 64;
/// Version of the layout; the number of shards stands behind it.
pub(super) const LAYOUT: &str = "3:";
/// Default of the number of shards.
pub(super) const SHARDS: u16 = 64;
/// Shards at the most.
pub(super) const SHARDS_MAX: u16 = 1_024;
/// Default of the quarantine.
pub(super) const QUARANTINE: Duration = Duration::from_secs(41);
/// The longest that it can be: the longest lease, and time to spare.
pub(super) const QUARANTINE_MAX: Duration = Duration::from_secs(3 * 24 * 60 * 60);
/// Default of how long a master that was cut off may go on granting, which is part of the quarantine …
pub(super) const REPLICA_LAG: Duration = Duration::from_secs(10);
/// … and what is to spare in it, for the second in which the server looks at its replicas.
pub(super) const QUARANTINE_MARGIN: Duration = Duration::from_secs(1);

/// How often an idle connection is tried, and the server's clock looked at.
pub(super) const LOOK_PAUSE: Duration = Duration::from_secs(5);
/// The pause before connecting again; it doubles from try to try …
pub(super) const CONNECT_PAUSE_MIN: Duration = Duration::from_millis(10);
/// … up to this, and a random half of it is left out.
pub(super) const CONNECT_PAUSE_MAX: Duration = Duration::from_millis(500);
/// How often the sentinels are asked for another master while the one that they named refuses to write.
pub(super) const SENTINELS_PAUSE: Duration = Duration::from_millis(500);
/// Sentinels that have not answered so long after the first one are not waited for.
pub(super) const SENTINELS_LATE_MAX: Duration = Duration::from_millis(500);
/// Connecting takes a few answers.
pub(super) const CONNECT_RESPONSE_TIMEOUTS: u32 = 2;
/// An acquire that arrives this many of its timeouts after it was sent is refused: nobody waits for it.
pub(super) const LATE_TIMEOUTS: u32 = 4;
/// How long the name of a process is remembered after it was written last …
pub(super) const NAME_TTL: Duration = Duration::from_secs(24 * 60 * 60);
/// … and how often it is written.
pub(super) const NAME_PAUSE: Duration = Duration::from_secs(60 * 60);
/// Keys that one step of a list looks at.
pub(super) const SCAN_COUNT: usize = 1_000;
/// A list ends after this part of its time, complete or not.
pub(super) const SCAN_TIMEOUT_DIVISOR: u32 = 2;
/// Keys are swept up by the server this long after what is in them has ended.
pub(super) const SWEEP_PAUSE: Duration = Duration::from_secs(1);
/// The owners that are made in so long share one key for their ends.
pub(super) const OWNER_TIME: Duration = Duration::from_secs(4);
/// The digits of an owner that say its process and its time. The scripts take what comes behind them.
pub(super) const TIME_DIGITS: usize = 20;
