//! What is kept of documents without a row, and of requests that were answered.

use crate::{Code, MovementId, Sequence, Timestamp};

/// The ids of documents that keep no row of their own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Filing {
    /// An adjustment.
    Adjustment(Code),
    /// A bin move.
    Move(Code),
    /// A shipment of a transfer.
    Shipment {
        /// The transfer.
        transfer: Code,
        /// The shipment.
        shipment: Code,
    },
    /// The reversal of a movement.
    Reversal(MovementId),
}

/// What a filed document was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filed {
    /// The fingerprint of its request.
    pub body: u64,
    /// The event that it became.
    pub sequence: Sequence,
}

/// What was answered to a request key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The fingerprint of the request.
    pub body: u64,
    /// The event whose outcome was the answer.
    pub sequence: Sequence,
    /// The event that noted the key: the same one, or a later one where the answer was a repeat.
    pub noted: Sequence,
    /// When.
    pub at: Timestamp,
}
