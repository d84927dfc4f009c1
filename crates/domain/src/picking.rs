//! Pick work: what a transfer has allocated in one zone of its site, and nobody has picked yet.

use crate::{Code, Name, row::Claim};

/// Names a piece of pick work.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PickWorkId {
    /// The transfer.
    pub transfer: Code,
    /// The zone of its site; may be empty, as that of a location may.
    pub zone: Name,
}

/// What a transfer has to pick in a zone, and who does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PickWork {
    /// The zone.
    pub zone: Name,
    /// How many lines have something to pick there.
    pub lines: u32,
    /// Who claimed it. Without one it waits.
    pub claim: Option<Claim>,
}
