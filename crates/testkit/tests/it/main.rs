//! The servers that tests start, and the house that the project keeps.

mod house;
mod postgres;
mod proxy;
mod readme;
mod redis;
mod server;
mod support;
