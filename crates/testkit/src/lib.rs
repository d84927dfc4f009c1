//! What the tests of Jaego stand on: private Redis, PostgreSQL and MariaDB servers, the real `jaego` binary
//! under test, and a TCP proxy that misbehaves on request.
//!
//! Everything listens on 127.0.0.1, on a port of its own, in a temporary folder of its own. It ends
//! and is deleted when the value is dropped; the processes also end when the test itself is killed.
//! The calls block, for milliseconds as a rule, and wait for a state, never for a while.
//!
//! ```no_run
//! use jaego_testkit::{Direction, Fault, FaultProxy, Redis, RedisOptions};
//!
//! let mut redis = Redis::start(&RedisOptions::default())?;
//! let proxy = FaultProxy::start(redis.addr())?;
//! proxy.set(Direction::ToClient, Fault::Swallow); // the server acts, its answers are lost
//! redis.kill_9()?;
//! redis.restart()?;
//! # Ok::<(), jaego_testkit::Error>(())
//! ```

#[cfg(feature = "certificates")]
mod certificates;
mod cpu;
mod error;
pub mod limits;
mod mariadb;
mod open_files;
mod port;
mod postgres;
mod process;
mod proxy;
mod redis;
mod sentinel;
mod server;
mod size;
mod twin;
mod wait;

#[cfg(feature = "certificates")]
pub use certificates::{Ca, CertificateFiles, Validity};
pub use cpu::thread_time;
pub use error::Error;
pub use mariadb::MariaDb;
pub use open_files::raise_open_files;
pub use port::free_port;
pub use postgres::{Postgres, PostgresOptions};
pub use proxy::{Direction, Fault, FaultProxy};
pub use redis::{Durability, Redis, RedisOptions};
pub use sentinel::RedisSentinel;
pub use server::{Ready, Server, ServerOptions};
pub use size::{SOAK, number, seed, size, soak};
pub use twin::{Twin, tell};
pub use wait::wait_until;
