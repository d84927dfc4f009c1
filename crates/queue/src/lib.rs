//! Commands in and events out, over Redis Streams (Redis 6.2 and later, or Valkey).
//!
//! The [`Intake`] takes commands from a stream through a consumer group, has them decided as those of a batch are, and
//! answers each on a stream of replies, together with its acknowledgement in one step of the server. The [`Outbox`]
//! publishes events in order; the id of an entry is the event's sequence, so that the stream itself knows where to go
//! on. Both connect again by themselves, and neither knows which store it works for.

mod dead;
#[cfg(feature = "fuzz")]
pub mod fuzz;
mod intake;
mod key;
pub mod limits;
mod link;
mod message;
mod meters;
mod options;
mod outbox;
mod pause;
mod pulse;
mod reply;
mod sentinel;

pub use intake::Intake;
pub use link::{AddressError, Server};
pub use options::{IntakeOptions, OptionsError, OutboxOptions, StreamName};
pub use outbox::Outbox;
