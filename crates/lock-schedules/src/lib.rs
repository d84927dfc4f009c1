//! Explores in which order the tasks of the locks can run.
//!
//! The sources of `jaego-lock` are compiled here once more, on [shuttle](https://docs.rs/shuttle)'s scheduler instead of
//! Tokio's and on a clock that only a task of ours moves. Every look at something shared, every await and every step of
//! the backend is a point where another task may go on, and a seed decides which one does. So thousands of orders are
//! tried in seconds, each can be had again, and what is found does not depend on how fast this machine is.
//!
//! Between the locks and the table that decides stands a [wire](wire::Wire) that delays, overtakes and loses. The
//! [moods](Mood) say what else happens, and what must hold then. That the explorer can find what it looks for is shown by
//! the [faults](planted::FAULTS) that are planted into the copy, one at a time.

#![allow(clippy::missing_errors_doc, reason = "what is copied says what it has to say where it comes from")]

include!(concat!(env!("OUT_DIR"), "/locks_root.rs"));

mod explore;
pub mod planted;
mod rt;
mod wire;
mod workload;

pub use clock::BootTime;
pub use counters::{Pattern, Stats};
pub use error::{Crowd, Error, Lost};
pub use explore::{Explored, Mood, explore, soak};
pub use guard::{Guard, Outcome};
pub use held::Held;
pub use key::{IntoKey, KeyError, LockKey};
pub use locks::Locks;
pub use look::{Broken, HolderState, LockList, LockState, WaiterState};
pub use memory::Memory;
pub use mode::{Mode, ModeError};
pub use multi::{MultiGuard, MultiRequest};
pub use request::Request;
pub use settings::{Settings, SettingsError};
