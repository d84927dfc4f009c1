//! Every limit of the test kit, side by side.

use std::time::Duration;

/// How long a database may take from its start until it accepts connections, recovery included.
pub const START_WAIT_MAX: Duration = Duration::from_secs(60);

/// How long a process may take to end after a polite signal, before it is killed.
pub const END_WAIT_MAX: Duration = Duration::from_secs(20);

/// The pause between two looks at a state that is waited for.
pub const POLL_PAUSE: Duration = Duration::from_millis(5);

/// How often a first start is tried again on another port, when somebody else took the first one.
pub const START_TRIES_MAX: usize = 3;

/// How many ports are tried before [`free_port`](crate::free_port) gives up.
pub const PORT_TRIES_MAX: u32 = 1_000;

/// How much of a log an error message quotes, in lines from its end.
pub const LOG_TAIL_LINES: usize = 20;

/// Connections that a [`FaultProxy`](crate::FaultProxy) carries at once; one more is closed at once.
pub const PROXY_CONNECTIONS_MAX: usize = 1_024;

/// The most that one direction of a connection through the proxy holds in its hand, in bytes.
pub const PROXY_CHUNK_LEN: usize = 16 * 1_024;

/// How long the proxy waits for its upstream to accept a connection.
pub const PROXY_CONNECT_WAIT_MAX: Duration = Duration::from_secs(5);
