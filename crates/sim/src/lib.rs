//! Dev only. Seeds become clients, clocks, disks and faults; an auditor checks every answer.
//!
//! Two ways to look for what must not happen:
//!
//! * [`Simulation`] runs the writer, the journal and the checkpoints by hand on one thread, on a simulated disk
//!   and by a simulated clock, stops the machine at any disk operation, recovers, and goes on. The same seed
//!   does the same again. The [`Auditor`] keeps all requests and answers, decides everything again on tables of
//!   its own, and holds what was recovered against what was acknowledged.
//! * [`History`] is what clients of a running store saw: when they asked, when they were answered, and what.
//!   Its check replays the answers in the order of their sequences on a plain model and holds that order
//!   against real time; [`linearizable`] looks for an order by itself.

pub mod auditor;
mod client;
mod clock;
pub mod history;
pub mod linearizable;
mod model;
pub mod mutant;
mod simulation;

pub use auditor::Auditor;
pub use client::{Client, code, quantity, setup};
pub use clock::SimClock;
pub use history::History;
pub use simulation::{Report, Simulation};
