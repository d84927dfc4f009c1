//! The journal alone: rows E2 to E7 and E9.

mod crash;
mod damage;
mod failure;
mod format;
mod real;
mod run;
