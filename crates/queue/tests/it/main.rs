//! The queues on a real Redis: every message is answered once and takes effect once, every event is published once.

mod dead;
mod faults;
mod intake;
mod large;
mod outbox;
mod poison;
mod rights;
mod sentinel;
mod slow;
mod tls;
mod world;
