//! The shell over real sockets: slow, greedy and hostile peers, roles, logs and shutdown.

#[path = "shell/support.rs"]
mod support;

#[path = "shell/access.rs"]
mod access;
#[path = "shell/http2.rs"]
mod http2;
#[path = "shell/shutdown.rs"]
mod shutdown;
#[path = "shell/sizes.rs"]
mod sizes;
#[path = "shell/slow_peers.rs"]
mod slow_peers;
