//! Interned numbers. Events and rows carry these instead of codes; no answer depends on their order.

use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl $name {
            /// The number as an index into a table.
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}

number!(
    /// A site's number, from 0 in the order in which sites were first set.
    SiteId
);
number!(
    /// A location's number, over all sites.
    LocationId
);
number!(
    /// A SKU's number.
    SkuId
);
number!(
    /// A lot's number, over all SKUs, from 1. [`LotId::NONE`] stands where a SKU is not tracked.
    LotId
);

impl LotId {
    /// Stock that is not tracked by lot or serial.
    pub const NONE: Self = Self(0);
}

/// Where a position lies. The location names the site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The bin.
    pub location: LocationId,
    /// What lies there.
    pub sku: SkuId,
    /// Of which lot, or [`LotId::NONE`].
    pub lot: LotId,
}

/// An event's number, from 1 without gaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(pub u64);

impl Sequence {
    /// The number of the event after this one. No store gets to the last number, but callers may name it: it is
    /// followed by itself.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
