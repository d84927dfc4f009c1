//! The engine on real and simulated disks, with its real threads.

mod engine {
    mod life;
    mod world;
}
