//! Closed-loop load on Jaego over real HTTP, and the same work on Redis and PostgreSQL beside it.
//!
//! [`run`] loads a server that is already there; [`compare`] starts private ones, lets them take turns, and writes
//! a report. Both hold every server to its books afterwards: a number without them is worth nothing.

mod draw;
mod error;
mod http;
pub mod limits;
pub mod load;
pub mod peers;
mod pgwire;
mod resp;
mod subject;
mod template;

pub use draw::Skew;
pub use error::Error;
pub use http::Target;
pub use subject::Subject;
