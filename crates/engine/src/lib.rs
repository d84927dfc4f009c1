//! The embedded store: one writer thread, one journal, and what is built from it.
//!
//! ```text
//!   submit, query ──▶ inbox ──▶ writer ──────────▶ flight ──────────▶ journal ──▶ answers
//!   (any thread)     bounded    decides, applies,   one frame          one write,
//!                               encodes             at a time          one sync
//!                                                                         │
//!   events, movements, ◀── history ◀── recent frames, segments ◀──────────┤
//!   stock as it was          ▲                                            │
//!                         indexes, checkpoints ◀── sealed segments ◀──────┘
//! ```
//!
//! The crate is written from the bottom up. [`disk`] is all that it knows of the machine, [`journal`] keeps
//! batches of opaque bytes in order and never loses one that it called durable, [`checkpoint`] writes down
//! where a recovery got to, and [`Engine`] decides on tables in memory and answers when it is safe to.
//! [`Core`] is the writer without its thread: what the simulator drives.

mod ahead;
pub mod archive;
pub mod backup;
mod bundle;
pub mod checkpoint;
mod clock;
mod core;
pub mod disk;
mod engine;
mod fetch;
pub mod floor;
#[cfg(feature = "fuzz")]
pub mod fuzz;
mod history;
mod inbox;
mod index;
pub mod journal;
mod ledger;
mod recovery;
#[cfg(feature = "sim")]
pub mod sim_disk;
mod state;

pub use clock::{Clock, Reading, SLEW_PPM, STEP_TOLD_US, Steady, SystemClock};
pub use core::{
    Core, Decided, Deliver, Finish, Flight, Job, LINES_TOUCHED_MAX, Limits, Look, Slot, Submission,
};
pub use engine::{Config, Engine};
pub use fetch::LINES_FETCHED_MAX;
pub use history::Recent;
pub use recovery::{Error, Recovered, Verified, Written, open, verify, write_checkpoint};
pub use state::state_hash;
