//! The HTTP service of Jaego: connections, callers, limits and logs.
//!
//! The [`Shell`] owns everything between a socket and a handler. It accepts connections, guards them against slow and
//! greedy peers, names the caller, holds each route against its table of roles, sheds load, counts and logs. What it
//! serves is an [`axum::Router`] that somebody else writes; the shell itself knows nothing of stock.

mod answers;
pub mod audit;
pub mod auth;
pub mod body;
mod connection;
mod gather;
mod handshake;
pub mod limiter;
pub mod limits;
pub mod listen;
pub mod logs;
pub mod metrics;
mod opening;
mod pace;
pub mod problem;
mod rates;
pub mod request_id;
pub mod routes;
pub mod service;
pub mod shell;
pub mod tokens;

pub use audit::Audit;
pub use body::Content;
pub use limits::Limits;
pub use listen::Drained;
pub use metrics::Metrics;
pub use opening::Opening;
pub use problem::Problem;
pub use request_id::RequestId;
pub use routes::{Access, RouteRoles, RouteRow};
pub use shell::{Readiness, Shell};
pub use tokens::{Caller, Role, Tokens};
