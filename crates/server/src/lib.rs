//! The HTTP service of Jaego: connections, callers, limits and logs.
//!
//! The [`Shell`] owns everything between a socket and a handler. It accepts connections, guards them against slow and
//! greedy peers, names the caller, holds each route against its table of roles, sheds load, counts and logs. What it
//! serves is an [`axum::Router`] that somebody else writes; the shell itself knows nothing of stock.

pub mod auth;
pub mod limits;
pub mod metrics;
pub mod problem;
pub mod request_id;
pub mod routes;
pub mod tokens;

pub use limits::Limits;
pub use metrics::Metrics;
pub use problem::Problem;
pub use request_id::RequestId;
pub use routes::{Access, RouteRoles, RouteRow};
pub use tokens::{Caller, Role, Tokens};
