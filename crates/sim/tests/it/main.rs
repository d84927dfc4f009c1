//! Thousands of seeds: machines that stop at any disk operation, and stores that are held to every answer.
//!
//! Every random test prints its seed when it fails. `JAEGO_SEED=n` runs that one seed alone, `JAEGO_SOAK=n` runs
//! n times as many as usual.

mod auditor;
mod crashes;
mod histories;
mod lying_disk;
mod order;
mod seeds;
mod upgrade;
