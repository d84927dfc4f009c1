//! Which SKUs lie at each location, in the order of locations and SKUs.
//!
//! One tree for all of them would wait for memory at every entry: positions come SKU by SKU, and a SKU's bins are
//! anywhere. A list for each location is reached at once, grows at its end where SKUs come in order, and takes 4 to 8
//! bytes of each entry, and 32 of each location, where the tree takes 18 of each entry.

use std::collections::BTreeSet;

use smallvec::SmallVec;

use crate::{LocationId, SkuId};

/// SKUs of one location that stand in a plain list. More of them stand in a tree, because what comes into the middle
/// of a list moves what is behind it: 4 KiB at the most.
const FEW_MAX: usize = 1_024;

/// The SKUs at all locations.
#[derive(Default)]
pub(super) struct Occupants {
    /// By location, as far as something ever lay there.
    locations: Vec<Skus>,
}

/// The SKUs at one location.
enum Skus {
    /// Sorted. A bin with up to four takes no allocation.
    Few(SmallVec<[SkuId; 4]>),
    Many(BTreeSet<SkuId>),
}

impl Occupants {
    /// Enters a SKU, which may be there already.
    pub(super) fn insert(&mut self, location: LocationId, sku: SkuId) {
        if self.locations.len() <= location.index() {
            self.locations.resize_with(location.index() + 1, || Skus::Few(SmallVec::new()));
        }
        self.locations[location.index()].insert(sku);
    }

    /// Takes a SKU out.
    pub(super) fn remove(&mut self, location: LocationId, sku: SkuId) {
        if let Some(skus) = self.locations.get_mut(location.index()) {
            skus.remove(sku);
        }
    }

    /// The end of the list of a location, where the next SKU mostly goes: reading it brings it near.
    pub(super) fn last(&self, location: LocationId) -> Option<SkuId> {
        match self.locations.get(location.index())? {
            Skus::Few(few) => few.last().copied(),
            Skus::Many(many) => many.last().copied(),
        }
    }

    /// The SKUs at a location, from one on.
    pub(super) fn at(&self, location: LocationId, first: SkuId) -> impl Iterator<Item = SkuId> {
        self.locations.get(location.index()).into_iter().flat_map(move |skus| skus.from(first))
    }

    /// What lies somewhere, from a SKU at a location on.
    pub(super) fn from(&self, first: LocationId, sku: SkuId) -> impl Iterator<Item = (LocationId, SkuId)> {
        // The locations first: they end, where numbers behind the largest do not.
        let locations = self.locations.iter().zip(0..).skip(first.index());
        locations.flat_map(move |(skus, location)| {
            let start = if location == first.0 { sku } else { SkuId(0) };
            skus.from(start).map(move |sku| (LocationId(location), sku))
        })
    }
}

impl Skus {
    fn insert(&mut self, sku: SkuId) {
        match self {
            // SKUs mostly come in the order of their numbers.
            Self::Few(few) if few.len() < FEW_MAX && few.last().is_none_or(|last| *last < sku) => {
                few.push(sku);
            }
            Self::Few(few) => {
                let Err(at) = few.binary_search(&sku) else { return };
                if few.len() < FEW_MAX {
                    few.insert(at, sku);
                } else {
                    let mut many: BTreeSet<SkuId> = few.iter().copied().collect();
                    many.insert(sku);
                    *self = Self::Many(many);
                }
            }
            Self::Many(many) => drop(many.insert(sku)),
        }
    }

    fn remove(&mut self, sku: SkuId) {
        match self {
            Self::Few(few) => {
                if let Ok(at) = few.binary_search(&sku) {
                    few.remove(at);
                }
                if few.is_empty() {
                    few.shrink_to_fit();
                }
            }
            Self::Many(many) => {
                many.remove(&sku);
                // Half a list, so that what comes and goes at the border does not make it anew each time.
                if many.len() <= FEW_MAX / 2 {
                    *self = Self::Few(many.iter().copied().collect());
                }
            }
        }
    }

    fn from(&self, sku: SkuId) -> impl Iterator<Item = SkuId> {
        let (few, many) = match self {
            Self::Few(few) => (&few[few.partition_point(|other| *other < sku)..], None),
            Self::Many(many) => (&[][..], Some(many.range(sku..))),
        };
        few.iter().chain(many.into_iter().flatten()).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Sequence, chance};

    #[test]
    fn an_empty_location_takes_as_little_as_a_list() {
        assert!(size_of::<Skus>() <= 32, "{} bytes", size_of::<Skus>());
    }

    #[test]
    fn the_order_is_that_of_a_plain_set() {
        let mut plain: BTreeSet<(LocationId, SkuId)> = BTreeSet::new();
        let mut occupants = Occupants::default();
        for step in 0..60_000_u64 {
            let thrown = chance(Sequence(step));
            let number =
                |shift: u32, below: u64| u32::try_from((thrown >> shift) % below).expect("it is small");
            // The first location holds hundreds, the second as many as the border, the others few; more come than go,
            // and then more go than come.
            let location = LocationId(number(0, 4) * number(4, 3));
            let sku = SkuId(number(8, [9_000, 2_100, 12][location.index().min(2)]));
            let coming = if step < 30_000 { 3 } else { 1 };
            if number(32, 4) < coming {
                plain.insert((location, sku));
                occupants.insert(location, sku);
            } else {
                plain.remove(&(location, sku));
                occupants.remove(location, sku);
            }
            if step % 2_000 == 1_999 {
                for (first, sku) in
                    [(0, 0), (0, 4_500), (1, 0), (1, 1_045), (2, 11), (5, 3), (40, 0), (u32::MAX, 7)]
                {
                    let (first, sku) = (LocationId(first), SkuId(sku));
                    assert!(occupants.from(first, sku).eq(plain.range((first, sku)..).copied()), "{step}");
                    let here = plain.iter().filter(|(location, _)| *location == first).map(|(_, here)| *here);
                    let here = here.filter(|other| *other >= sku);
                    assert!(occupants.at(first, sku).eq(here), "step {step}");
                }
            }
        }
        while let Some((location, sku)) = plain.pop_last() {
            occupants.remove(location, sku);
        }
        assert_eq!(occupants.from(LocationId(0), SkuId(0)).next(), None);
    }
}
