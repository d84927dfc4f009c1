//! The shell around any routes: slow, greedy and hostile peers, roles, logs and shutdown.

pub(crate) mod support;

mod access;
mod http2;
mod shutdown;
mod sizes;
mod slow_peers;
mod tls;
