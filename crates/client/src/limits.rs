//! Every limit and timeout of the client, side by side.

use std::time::Duration;

/// From sending a request to the end of its answer, one try.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// To open a connection, and once more for its TLS handshake.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an idle connection is kept for the next request.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Between two pieces of the feed of events; the service sends a sign of life more often than this.
pub const EVENT_TIMEOUT: Duration = Duration::from_secs(60);
/// How often a request is sent at the most, where sending it again is safe.
pub const TRIES_MAX: u32 = 5;
/// The pause before the second try. It doubles from try to try, and a random half of it is left out.
pub const PAUSE_MIN: Duration = Duration::from_millis(50);
/// The longest pause between two tries: what `Retry-After` puts off for longer is not tried again.
pub const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Bytes of an answer.
pub const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Bytes of one event in the feed.
pub const EVENT_BYTES_MAX: usize = 64 * 1024 * 1024;
