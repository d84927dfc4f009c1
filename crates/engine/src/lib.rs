//! The embedded store: one writer thread, one journal, and what is built from it.
//!
//! This crate is written from the bottom up. [`disk`] is all that it knows of the machine, [`journal`] keeps
//! batches of opaque bytes in order and never loses one that it called durable.

pub mod disk;
pub mod journal;
#[cfg(feature = "sim")]
pub mod sim_disk;
