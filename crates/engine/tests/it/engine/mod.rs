//! The engine with its real threads, on real and simulated disks.

mod gate;
mod life;
mod promises;
mod world;
