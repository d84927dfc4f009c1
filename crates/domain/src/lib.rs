//! The decisions of Jaego: what may happen to stock, and what it then is.
//!
//! This crate is pure. It owns no clock, no file, no socket and no dice, and it imports nothing of ours.
//! A [`Request`] and a time go in; an [`Event`] or a [`Refusal`] comes out:
//!
//! ```text
//!   Request ──▶ decide(&tables, &request, now) ──▶ Refusal      reads, may say no, touches nothing
//!                        │
//!                        ▼
//!                      Event ──▶ apply(&mut tables, &event) ──▶ Changes     already agreed, so it just happens
//! ```
//!
//! Stores hand in their rows through the one seam, [`Tables`]. Events are what a store keeps; replaying them
//! rebuilds every row and decides nothing again. [`turn`] strings the two functions together the way every
//! store needs them: lapses first, then each request, then what the stock watch has to say.
//!
//! The laws hold after every event, and [`check`] proves them: what was moved is conserved, nothing available
//! is below zero, what is held is the sum of the open holds, and no cancelled document holds stock.

mod apply;
mod cart;
pub mod check;
mod code;
pub mod command;
mod decide;
mod digest;
mod document;
pub mod event;
mod id;
pub mod limits;
mod memory;
mod money;
mod movement;
mod order;
pub mod outcome;
mod picking;
mod quantity;
pub mod query;
pub mod refusal;
mod repeat;
pub mod row;
mod strategy;
mod tables;
mod time;
mod trade;
pub mod turn;

pub use apply::{apply, apply_for_good};
pub use code::{Code, Name};
pub use command::{Command, Request};
pub use decide::{Decision, decide};
pub use digest::Digest;
pub use document::DocumentKey;
pub use event::{EVENT_KINDS, Event, Fact, Keyed};
pub use id::{LocationId, LotId, Place, Sequence, SiteId, SkuId};
pub use memory::{Counts, Memory, Sold, WARM_MAX, add_left};
pub use money::{Amount, Currency, MoneyMovement, MoneyOutside};
pub use movement::{Account, Movement, MovementId, Outside};
pub use order::{Awaiting, Waiting, WaitingBy, chance};
pub use outcome::{ClaimView, Outcome, PickClaimView, PickView, outcome};
pub use picking::{PickWork, PickWorkId};
pub use quantity::Quantity;
pub use query::{Query, View};
pub use refusal::{Asked, Holding, Refusal, Shortage};
pub use repeat::Repeat;
pub use strategy::Strategy;
pub use tables::{Changes, Row, Tables};
pub use time::{Date, TimeZone, Timestamp};
