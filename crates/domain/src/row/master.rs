//! Rows of master data.

use crate::{Code, Date, Name, Quantity, Sequence, SiteId, SkuId, Strategy, TimeZone};

/// A logistics or picking-packing centre (센터).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Its code.
    pub code: Code,
    /// For people.
    pub name: Name,
    /// Whose midnight ends a lot's last day.
    pub time_zone: TimeZone,
    /// How positions are chosen when a request does not say.
    pub strategy: Strategy,
    /// The event that last set it.
    pub set: Sequence,
}

/// What a location is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LocationKind {
    /// Where goods arrive.
    Receiving,
    /// Where goods wait to be picked: the only kind whose stock is available.
    Storage,
    /// Where damaged goods are kept apart.
    Quarantine,
    /// Where picked goods wait to be shipped.
    Staging,
}

impl LocationKind {
    /// All kinds, in the order of their tags.
    pub const ALL: [Self; 4] = [Self::Receiving, Self::Storage, Self::Quarantine, Self::Staging];

    /// The name in requests, answers and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Receiving => "receiving",
            Self::Storage => "storage",
            Self::Quarantine => "quarantine",
            Self::Staging => "staging",
        }
    }
}

/// A bin in a site (로케이션).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// Its site.
    pub site: SiteId,
    /// Its code, unique at the site.
    pub code: Code,
    /// The part of the site that it is in; may be empty.
    pub zone: Name,
    /// Its place on the walk through the site.
    pub pick_order: u32,
    /// What it is for.
    pub kind: LocationKind,
    /// The event that last set it.
    pub set: Sequence,
}

/// How finely a SKU's stock is told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tracking {
    /// Not at all.
    None,
    /// By lot.
    Lot,
    /// By serial number: lots of one.
    Serial,
}

impl Tracking {
    /// All of them, in the order of their tags.
    pub const ALL: [Self; 3] = [Self::None, Self::Lot, Self::Serial];

    /// The name in requests, answers and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Lot => "lot",
            Self::Serial => "serial",
        }
    }
}

/// A product (상품).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sku {
    /// Its code.
    pub code: Code,
    /// For people.
    pub name: Name,
    /// How its stock is told apart; fixed once it was stocked.
    pub tracking: Tracking,
    /// Safety levels by site, in order of the site's number.
    pub safety_stock: Vec<(SiteId, Quantity)>,
    /// Whether it was ever stocked anywhere.
    pub stocked: bool,
    /// The event that last set it.
    pub set: Sequence,
}

/// A lot, or a serial number (로트).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lot {
    /// Its SKU.
    pub sku: SkuId,
    /// Its code, unique for the SKU.
    pub code: Code,
    /// The day it was received, if known.
    pub received_on: Option<Date>,
    /// Its last good day.
    pub expires_on: Option<Date>,
    /// Recalled: unavailable at once.
    pub blocked: bool,
    /// How much of it is in our sites and between them.
    pub inside: Quantity,
    /// The event that last set it.
    pub set: Sequence,
}
