//! The engine with its real threads, on real and simulated disks.

mod archive;
mod backup;
mod checkpoints;
mod clocks;
mod conformance;
mod fetching;
mod fills;
mod floor;
mod gate;
mod kill;
mod lanes;
mod large;
mod life;
mod near;
mod past;
mod promises;
mod proofs;
mod rest;
mod rivals;
mod world;
