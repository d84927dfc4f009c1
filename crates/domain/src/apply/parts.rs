//! Lists of what a line has where, while an event takes from them and adds to them.

use std::hash::Hash;

use hashbrown::HashMap;
use smallvec::SmallVec;

use super::book::shrink_pick;
use crate::{
    LocationId, LotId, Quantity,
    event::Take,
    row::{Pick, Staged},
};

/// Looks through a list before its parts are entered in a map: most events look once, and one takes 150,000.
const LOOKS_MAX: usize = 8;

/// A part of such a list.
pub(super) trait Part {
    type Key: Copy + Eq + Hash;

    fn key(&self) -> Self::Key;
    fn quantity(&mut self) -> &mut Quantity;
    fn is_empty(&self) -> bool;
}

impl Part for Pick {
    type Key = (LocationId, LotId);

    fn key(&self) -> Self::Key {
        (self.location, self.lot)
    }

    fn quantity(&mut self) -> &mut Quantity {
        &mut self.quantity
    }

    fn is_empty(&self) -> bool {
        self.quantity.is_zero()
    }
}

impl Part for Staged {
    type Key = (LocationId, LotId, LocationId);

    fn key(&self) -> Self::Key {
        (self.staging, self.lot, self.origin)
    }

    fn quantity(&mut self) -> &mut Quantity {
        &mut self.quantity
    }

    fn is_empty(&self) -> bool {
        self.quantity.is_zero()
    }
}

impl Part for (LotId, Quantity) {
    type Key = LotId;

    fn key(&self) -> LotId {
        self.0
    }

    fn quantity(&mut self) -> &mut Quantity {
        &mut self.1
    }

    fn is_empty(&self) -> bool {
        self.1.is_zero()
    }
}

/// Finds the parts of one list by their keys, each of which is there once at the most. Until the list is swept, parts
/// come at its end and none goes.
pub(super) struct Finder<K> {
    looks: usize,
    at: Option<HashMap<K, usize>>,
}

impl<K> Default for Finder<K> {
    fn default() -> Self {
        Self { looks: 0, at: None }
    }
}

impl<K: Copy + Eq + Hash> Finder<K> {
    fn find<P: Part<Key = K>>(&mut self, list: &[P], key: K) -> Option<usize> {
        if self.looks < LOOKS_MAX {
            self.looks += 1;
            return list.iter().position(|part| part.key() == key && !part.is_empty());
        }
        let at = self.at.get_or_insert_with(|| {
            let parts = list.iter().enumerate().filter(|(_, part)| !part.is_empty());
            parts.map(|(at, part)| (part.key(), at)).collect()
        });
        at.get(&key).copied().filter(|at| !list[*at].is_empty())
    }

    /// Adds to a part, or puts it last. What was emptied is gone: it comes again behind the others.
    pub(super) fn grow<P: Part<Key = K>>(&mut self, list: &mut Vec<P>, mut part: P) {
        let key = part.key();
        if let Some(at) = self.find(list, key) {
            *list[at].quantity() += *part.quantity();
            return;
        }
        if let Some(at) = &mut self.at {
            at.insert(key, list.len());
        }
        list.push(part);
    }

    /// Takes from a part, which stays until it is swept out.
    pub(super) fn shrink<P: Part<Key = K>>(&mut self, list: &mut [P], key: K, quantity: Quantity) {
        let at = self.find(list, key).expect("what is given up was there");
        *list[at].quantity() -= quantity;
    }
}

/// Takes out what was emptied.
pub(super) fn sweep<P: Part>(list: &mut Vec<P>) {
    list.retain(|part| !part.is_empty());
}

/// Takes from picks what was given up, each take from the first picks of its place, and leaves out what is empty then.
/// Work: the picks and the takes.
pub(super) fn give_up(picks: &mut SmallVec<[Pick; 1]>, takes: &[Take]) {
    if takes.len() <= LOOKS_MAX {
        takes.iter().for_each(|take| shrink_pick(picks, take.location, take.lot, take.quantity));
        picks.retain(|pick| !pick.is_empty());
        return;
    }
    let mut given_up: HashMap<(LocationId, LotId), Quantity> = HashMap::with_capacity(takes.len());
    for take in takes {
        *given_up.entry((take.location, take.lot)).or_default() += take.quantity;
    }
    picks.retain(|pick| {
        if let Some(rest) = given_up.get_mut(&pick.key()) {
            let less = pick.quantity.min(*rest);
            pick.quantity -= less;
            *rest -= less;
        }
        !pick.is_empty()
    });
    assert!(given_up.values().all(|rest| rest.is_zero()), "what is given up was held");
}
