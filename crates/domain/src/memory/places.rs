//! Where stock lies, as it is kept: nearly every SKU has one place at a site, nothing missing, no safety level and one
//! outside account, and takes no more room than that needs. What is rare stands apart.

use super::{
    NOWHERE,
    crowd::{At, Crowd, Entries},
    slab::Slab,
};
use crate::{LocationId, LotId, Outside, Place, Quantity, SiteId, SkuId, Timestamp, row::Position};

/// A gate with its places.
pub(super) struct GateRow {
    pub(super) site: SiteId,
    pub(super) sku: SkuId,
    /// The places of this SKU at this site, sorted by location and lot.
    pub(super) places: Places,
    /// Missing where only positions are known: a state that lasts as long as one event.
    pub(super) marks: Option<Marks>,
}

/// A gate without its safety level, which stands apart where it is not zero.
#[derive(Clone, Copy)]
pub(super) struct Marks {
    pub(super) stocked: bool,
    pub(super) low: bool,
}

impl GateRow {
    pub(super) fn new(site: SiteId, sku: SkuId) -> Self {
        Self { site, sku, places: Places::None, marks: None }
    }
}

/// A place of a gate, and what lies there. It stays while there is a position or a holder: within one event either may
/// go first.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub(super) location: LocationId,
    pub(super) lot: LotId,
    /// The first holder, or [`NOWHERE`].
    pub(super) holder: u32,
    stock: Stock,
    on_hand: Quantity,
    held: Quantity,
    since: Timestamp,
}

/// Whether there is a position at a place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stock {
    None,
    Here,
    /// There is, and something is missing from it: how much stands apart.
    Missing,
}

impl Entry {
    /// A place where nothing is yet.
    pub(super) fn new(location: LocationId, lot: LotId) -> Self {
        let (on_hand, held, since) = (Quantity::ZERO, Quantity::ZERO, Timestamp(0));
        Self { location, lot, holder: NOWHERE, stock: Stock::None, on_hand, held, since }
    }

    /// The position of this SKU, if there is one; `missing` tells how much is missing at a place where something is.
    pub(super) fn position(
        &self,
        sku: SkuId,
        missing: impl FnOnce(Place) -> Quantity,
    ) -> Option<(Place, Position)> {
        let Self { location, lot, on_hand, held, since, .. } = *self;
        let place = Place { location, sku, lot };
        let missing = match self.stock {
            Stock::None => return None,
            Stock::Here => Quantity::ZERO,
            Stock::Missing => missing(place),
        };
        Some((place, Position { on_hand, held, missing, since }))
    }

    /// Puts a position, all but what is missing from it.
    pub(super) fn put(&mut self, position: Option<Position>) {
        let Some(Position { on_hand, held, missing, since }) = position else {
            *self = Self { holder: self.holder, ..Self::new(self.location, self.lot) };
            return;
        };
        let stock = if missing.is_zero() { Stock::Here } else { Stock::Missing };
        *self = Self { stock, on_hand, held, since, ..*self };
    }

    /// Whether there is neither a position nor a holder.
    pub(super) fn is_empty(&self) -> bool {
        self.stock == Stock::None && self.holder == NOWHERE
    }
}

/// The places of a gate.
pub(super) enum Places {
    None,
    One(Entry),
    /// A slot among the crowds.
    Many(u32),
}

impl Places {
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::None)
    }

    pub(super) fn get<'a>(&'a self, crowds: &'a Slab<Crowd>) -> Entries<'a> {
        match self {
            Self::None => Entries::NONE,
            Self::One(entry) => Entries::one(entry),
            Self::Many(slot) => crowds.get(*slot).entries(),
        }
    }

    pub(super) fn get_mut<'a>(&'a mut self, at: At, crowds: &'a mut Slab<Crowd>) -> &'a mut Entry {
        match self {
            Self::None => panic!("a gate has the entry that was found"),
            Self::One(entry) => entry,
            Self::Many(slot) => crowds.get_mut(*slot).get_mut(at),
        }
    }

    /// Inserts an entry where it would be, and gives back where it is.
    pub(super) fn insert(&mut self, at: At, entry: Entry, crowds: &mut Slab<Crowd>) -> At {
        match self {
            Self::None => {
                *self = Self::One(entry);
                at
            }
            Self::One(other) => {
                let mut crowd = Crowd::with_room(2);
                crowd.insert(At::FIRST, *other);
                *self = Self::Many(crowds.insert(crowd));
                self.insert(at, entry, crowds)
            }
            Self::Many(slot) => crowds.get_mut(*slot).insert(at, entry),
        }
    }

    /// Makes room for two or more further entries, which have to follow.
    pub(super) fn reserve(&mut self, more: usize, crowds: &mut Slab<Crowd>) {
        match self {
            Self::None => *self = Self::Many(crowds.insert(Crowd::with_room(more))),
            Self::One(one) => {
                let mut crowd = Crowd::with_room(1 + more);
                crowd.insert(At::FIRST, *one);
                *self = Self::Many(crowds.insert(crowd));
            }
            Self::Many(slot) => crowds.get_mut(*slot).reserve(more),
        }
    }

    pub(super) fn remove(&mut self, at: At, crowds: &mut Slab<Crowd>) {
        match self {
            Self::None => panic!("a gate has the entry that is removed"),
            Self::One(_) => *self = Self::None,
            Self::Many(slot) => {
                let slot = *slot;
                let crowd = crowds.get_mut(slot);
                crowd.remove(at);
                if let Some(last) = crowd.only() {
                    crowds.remove(slot);
                    *self = Self::One(last);
                }
            }
        }
    }
}

/// The balances of a SKU's outside accounts: mostly one of them was ever used.
#[derive(Default)]
pub(super) enum Balances {
    #[default]
    None,
    One(Outside, i64),
    /// In the order of [`Outside::ALL`].
    Many(Box<[i64; Outside::ALL.len()]>),
}

impl Balances {
    pub(super) fn get(&self, outside: Outside) -> i64 {
        match self {
            Self::One(one, balance) if *one == outside => *balance,
            Self::None | Self::One(..) => 0,
            Self::Many(balances) => balances[outside as usize],
        }
    }

    /// Puts a balance and gives back what stood there.
    pub(super) fn put(&mut self, outside: Outside, balance: i64) -> i64 {
        match self {
            Self::One(one, before) if *one == outside && balance != 0 => std::mem::replace(before, balance),
            Self::One(one, before) if *one == outside => {
                let before = *before;
                *self = Self::None;
                before
            }
            Self::None | Self::One(..) if balance == 0 => 0,
            Self::None => {
                *self = Self::One(outside, balance);
                0
            }
            Self::One(one, first) => {
                let mut balances = Box::new([0; Outside::ALL.len()]);
                balances[*one as usize] = *first;
                balances[outside as usize] = balance;
                *self = Self::Many(balances);
                0
            }
            Self::Many(balances) => std::mem::replace(&mut balances[outside as usize], balance),
        }
    }

    /// The accounts that are not empty.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Outside, i64)> {
        Outside::ALL.iter().map(|outside| (*outside, self.get(*outside))).filter(|(_, balance)| *balance != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_place_stays_small() {
        assert_eq!(size_of::<Entry>(), 40);
        assert_eq!((size_of::<GateRow>(), size_of::<Option<GateRow>>()), (56, 56));
        assert_eq!(size_of::<Balances>(), 16);
    }

    #[test]
    fn places_stand_in_order_and_need_a_crowd_only_while_there_are_several() {
        let mut crowds = Slab::default();
        let mut places = Places::None;
        for (location, lot) in [(3, 0), (1, 2), (1, 1), (2, 0)] {
            let at = places.get(&crowds).find(LocationId(location), LotId(lot)).expect_err("it is new");
            let entry = Entry { holder: location, ..Entry::new(LocationId(location), LotId(lot)) };
            places.insert(at, entry, &mut crowds);
        }
        let order = |places: &Places, crowds: &Slab<Crowd>| -> Vec<(u32, u32)> {
            places.get(crowds).iter().map(|entry| (entry.location.0, entry.lot.0)).collect()
        };
        assert_eq!(order(&places, &crowds), [(1, 1), (1, 2), (2, 0), (3, 0)]);
        let at = places.get(&crowds).find(LocationId(2), LotId(0)).expect("it is there");
        assert_eq!(places.get_mut(at, &mut crowds).holder, 2);
        for left in [3, 2, 1, 0] {
            places.remove(At::FIRST, &mut crowds);
            assert_eq!((places.get(&crowds).len(), crowds.len() > 0), (left, left > 1));
        }
        assert!(places.is_empty());
    }

    #[test]
    fn balances_are_those_of_a_plain_map() {
        let mut balances = Balances::default();
        let mut model = [0; Outside::ALL.len()];
        for step in 0..200_usize {
            let outside = Outside::ALL[step * 7 / 3 % 5];
            let balance = [0, -3, 5, 0, 8][step * 11 / 4 % 5];
            let before = std::mem::replace(&mut model[outside as usize], balance);
            assert_eq!(balances.put(outside, balance), before, "step {step}");
            assert!(Outside::ALL.iter().all(|one| balances.get(*one) == model[*one as usize]), "step {step}");
            assert_eq!(balances.iter().count(), model.iter().filter(|balance| **balance != 0).count());
        }
        let mut one = Balances::default();
        assert_eq!(
            (one.put(Outside::Loss, 4), one.put(Outside::Loss, 0), one.put(Outside::Found, 0)),
            (0, 4, 0)
        );
        assert!(matches!(one, Balances::None));
    }
}
