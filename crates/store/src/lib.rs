//! The contract of every store: [`Store`], and what comes with it.
//!
//! A store takes [`Batch`]es, runs the decisions of [`jaego_domain`], keeps the events, and answers. Its law,
//! which `conformance` tells as tests that every store runs:
//!
//! 1. The answers are those of the decisions, one request after the other, in the order of the sequence.
//! 2. No answer leaves before everything that it rests on is durable: refusals, repeats and reads too.
//! 3. An acknowledged event is there after every crash, and nothing is there that was not asked for.
//! 4. After a failed write or sync the store trusts nothing in memory: it answers [`Failure::Failed`] for good.

pub mod codec;
pub mod conformance;
mod contract;
pub mod past;
mod reference;
pub mod render;

pub use contract::{
    AccountView, Answer, Answers, BalanceFilter, BalancePage, BalancePoint, Batch, Done, EventPage,
    EventView, Failure, MoneyView, MovementFilter, MovementPage, MovementView, PastPosition, PastStock,
    Reply, ReplyTo, Results, StatementFilter, StatementLine, StatementPage, Status, StockAsOf, Store, reply,
};
pub use reference::Reference;
