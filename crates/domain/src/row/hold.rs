//! Rows of holds.

use smallvec::SmallVec;

use super::Pick;
use crate::{Code, Quantity, Sequence, SiteId, SkuId, Timestamp};

/// How a hold stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HoldStatus {
    /// Something is still held.
    Held,
    /// Ended, and at least a part was confirmed.
    Confirmed,
    /// Ended by its owner.
    Released,
    /// Ended by the clock.
    Expired,
}

impl HoldStatus {
    /// All of them, in the order of their tags.
    pub const ALL: [Self; 4] = [Self::Held, Self::Confirmed, Self::Released, Self::Expired];

    /// The name in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Confirmed => "confirmed",
            Self::Released => "released",
            Self::Expired => "expired",
        }
    }
}

/// A claim on quantities at named positions (선점).
#[derive(Clone, Debug, PartialEq)]
pub struct Hold {
    /// Whom the caller holds for.
    pub owner: Option<Code>,
    /// The fingerprint of the request that placed it.
    pub body: u64,
    /// The event that placed it.
    pub placed: Sequence,
    /// From when on it no longer counts.
    pub expires_at: Option<Timestamp>,
    /// How it stands.
    pub status: HoldStatus,
    /// Whether any part was ever confirmed.
    pub confirmed: bool,
    /// Its lines, as placed or last changed.
    pub lines: SmallVec<[HoldLine; 1]>,
}

/// One line of a hold.
#[derive(Clone, Debug, PartialEq)]
pub struct HoldLine {
    /// Where.
    pub site: SiteId,
    /// What.
    pub sku: SkuId,
    /// How much was asked for.
    pub quantity: Quantity,
    /// What is held now.
    pub picks: SmallVec<[Pick; 1]>,
}
