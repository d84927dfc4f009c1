//! Closed-loop load on Jaego over real HTTP, and the same work on Redis and PostgreSQL beside it.
//!
//! [`run`] loads a server that is already there; [`compare`] starts private ones, lets them take turns, and writes
//! a report. Both hold every server to its books afterwards: a number without them is worth nothing.
//!
//! ```no_run
//! use jaego_bench::{Options, Sizes, Target, Workload};
//!
//! let report = jaego_bench::run(&Options {
//!     target: Target { addr: "127.0.0.1:7878".parse()?, token: std::env::var("JAEGO_TOKEN")? },
//!     data: ".".into(),
//!     sizes: Sizes { workloads: vec![Workload::Holds], ..Sizes::default() },
//! })?;
//! print!("{}", report.to_table());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod basket;
mod chart;
mod compare;
mod draw;
mod error;
mod http;
mod jaego;
pub mod limits;
pub mod load;
mod machine;
mod options;
mod page;
mod peers;
mod pgwire;
mod progress;
pub mod report;
mod resp;
mod run;
mod subject;
mod template;

pub use compare::compare;
pub use draw::Skew;
pub use error::Error;
pub use http::{Target, repeating};
pub use machine::Machine;
pub use options::{CompareOptions, Options, Sizes, Workload};
pub use report::Report;
pub use run::run;
