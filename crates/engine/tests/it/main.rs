//! The embedded store against disks that tear, lose, fail and fill: rows E1 to E7, E9, E11, E12 and E17 of the
//! scorecard.
//!
//! Every random test prints its seed when it fails. `JAEGO_SEED=n` runs that one seed alone, `JAEGO_SOAK=n` runs
//! n times as many as usual.

mod engine;
mod journal;
mod seeds;
