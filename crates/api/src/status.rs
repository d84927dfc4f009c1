//! How the store behind the service is doing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::value::Word;

/// How the store is doing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// The version of the service.
    pub version: Word,
    /// Whether it takes requests.
    pub ready: bool,
    /// Whether it refuses writes for want of room.
    pub full: bool,
    /// Why it stopped, if it did.
    pub failed: Option<String>,
    /// The last event that was decided: it may not be durable yet, and is no cursor of the feed until it is.
    pub sequence: u64,
    /// The last event that is durable: a reader of the feed who wants what comes from now on begins after it.
    pub durable: u64,
    /// Requests that wait to be decided.
    pub queue_len: usize,
    /// How many may.
    pub queue_len_max: usize,
    /// Open holds.
    pub open_holds: u64,
    /// Orders that wait for a worker.
    #[serde(default)]
    pub waiting_orders: u64,
    /// Orders that a worker has claimed.
    #[serde(default)]
    pub claimed_orders: u64,
    /// Lines of orders that wait for stock.
    #[serde(default)]
    pub waiting_lines: u64,
    /// Pick work that waits for a worker: zones of transfers with something to pick.
    #[serde(default)]
    pub waiting_picks: u64,
    /// Pick work that a worker has claimed.
    #[serde(default)]
    pub claimed_picks: u64,
    /// Open carts.
    #[serde(default)]
    pub open_carts: u64,
    /// Finished documents that are in the archive, and no longer in memory but for those that are leaving it.
    pub archived: u64,
    /// Documents that were archived and have yet to leave memory.
    #[serde(default)]
    pub leaving: u64,
    /// Positions with a row.
    pub positions: u64,
    /// Wallets.
    #[serde(default)]
    pub wallets: u64,
    /// Authorizations that hold money.
    #[serde(default)]
    pub open_authorizations: u64,
    /// Cards.
    #[serde(default)]
    pub cards: u64,
    /// Proposals to swap two of them that are open.
    #[serde(default)]
    pub open_proposals: u64,
    /// How far expiry lags behind the clock, in milliseconds.
    pub expiry_lag_ms: u64,
    /// Request keys that are kept.
    pub keys: u64,
    /// The age of the oldest of them, in milliseconds.
    pub key_window_ms: u64,
}
