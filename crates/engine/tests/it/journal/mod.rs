//! The journal against a disk that tears, loses, fails and fills: rows E2 to E7 and E9 of the scorecard.
//!
//! Every random test prints its seed when it fails. `JAEGO_SEED=n` runs that one seed alone, `JAEGO_SOAK=n` runs
//! n times as many as usual.

mod crash;
mod damage;
mod failure;
mod format;
mod real;
mod run;
