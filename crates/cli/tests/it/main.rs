//! The command line against a real server.

mod backup;
mod cli;
mod lock;
mod queues;
