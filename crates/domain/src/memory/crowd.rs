//! The places of a gate that has several, sorted: in one list, or where they are many in several, so that what comes and
//! goes in the middle moves a bounded number of the others.

use super::places::Entry;
use crate::{LocationId, LotId};

/// Entries of one list. What comes into the middle moves half of them: 20 KiB.
const LIST_MAX: usize = 1_024;
/// Entries that are looked at one after the other before the rest is searched.
const LOOKS_MAX: usize = 8;

/// Where an entry stands, or where it would.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At {
    list: usize,
    index: usize,
}

impl At {
    pub(super) const FIRST: Self = Self { list: 0, index: 0 };
}

/// Sorted entries.
#[derive(Default)]
pub(super) struct Crowd {
    /// Never empty, unless there are none at all.
    first: Vec<Entry>,
    /// The lists behind it, none of which is empty.
    others: Vec<Vec<Entry>>,
}

/// The entries of a gate, for reading.
#[derive(Clone, Copy)]
pub(super) struct Entries<'a> {
    first: &'a [Entry],
    others: &'a [Vec<Entry>],
}

type Key = (LocationId, LotId);

fn key(entry: &Entry) -> Key {
    (entry.location, entry.lot)
}

impl<'a> Entries<'a> {
    pub(super) const NONE: Self = Self { first: &[], others: &[] };

    pub(super) fn one(entry: &'a Entry) -> Self {
        Self { first: std::slice::from_ref(entry), others: &[] }
    }

    fn list(self, list: usize) -> &'a [Entry] {
        if list == 0 { self.first } else { &self.others[list - 1] }
    }

    /// The list in which a key is or would be.
    fn list_of(self, of: Key) -> usize {
        self.others.partition_point(|list| key(&list[0]) <= of)
    }

    pub(super) fn len(self) -> usize {
        self.first.len() + self.others.iter().map(Vec::len).sum::<usize>()
    }

    pub(super) fn get(self, at: At) -> &'a Entry {
        &self.list(at.list)[at.index]
    }

    /// Where the entry of a place is, or where it would be.
    pub(super) fn find(self, location: LocationId, lot: LotId) -> Result<At, At> {
        let list = self.list_of((location, lot));
        let at = |index| At { list, index };
        self.list(list).binary_search_by_key(&(location, lot), key).map(at).map_err(at)
    }

    pub(super) fn iter(self) -> impl Iterator<Item = &'a Entry> {
        self.first.iter().chain(self.others.iter().flatten())
    }

    /// Those of a lot. It costs what [`Entries::on_the_way`] gives.
    pub(super) fn of_lot(self, lot: LotId) -> impl Iterator<Item = &'a Entry> {
        self.on_the_way(lot, LocationId(0), LotId::NONE).filter(move |entry| entry.lot == lot)
    }

    /// Those of a lot, and those that a search for them comes upon, from a lot at a location on: each entry where few lie
    /// at a location, and else two for each location, each by a search.
    pub(super) fn on_the_way(
        self,
        lot: LotId,
        location: LocationId,
        from: LotId,
    ) -> impl Iterator<Item = &'a Entry> {
        let mut next = self.find(location, from).unwrap_or_else(|at| self.first_from(at));
        std::iter::from_fn(move || {
            let entry = self.look(next)?;
            let to = match entry.lot < lot {
                true => (entry.location, lot),
                false => (LocationId(entry.location.0 + 1), LotId::NONE),
            };
            next = self.seek(next, to);
            Some(entry)
        })
    }

    /// The entry that stands somewhere, if one does.
    fn look(self, at: At) -> Option<&'a Entry> {
        let list = match at.list {
            0 => self.first,
            list => self.others.get(list - 1)?,
        };
        list.get(at.index)
    }

    /// Where the first entry from a key on stands, which is behind this one; it mostly is one of the next.
    fn seek(self, from: At, to: Key) -> At {
        let mut at = from;
        for _ in 0..LOOKS_MAX {
            at = self.first_from(At { index: at.index + 1, ..at });
            if self.look(at).is_none_or(|entry| key(entry) >= to) {
                return at;
            }
        }
        self.find(to.0, to.1).unwrap_or_else(|at| self.first_from(at))
    }

    /// This, or the beginning of the next list where it is the end of one.
    fn first_from(self, at: At) -> At {
        if at.index < self.list(at.list).len() { at } else { At { list: at.list + 1, index: 0 } }
    }

    /// Those from a lot at a location on: it costs a search, and what is taken.
    pub(super) fn from(self, location: LocationId, lot: LotId) -> impl Iterator<Item = &'a Entry> {
        let from = (location, lot);
        let list = self.list_of(from);
        let start = self.list(list).partition_point(|entry| key(entry) < from);
        self.list(list)[start..].iter().chain(self.others[list..].iter().flatten())
    }
}

impl Crowd {
    /// A crowd with room for entries that are to follow.
    pub(super) fn with_room(room: usize) -> Self {
        Self { first: Vec::with_capacity(room.min(LIST_MAX)), others: Vec::new() }
    }

    pub(super) fn entries(&self) -> Entries<'_> {
        Entries { first: &self.first, others: &self.others }
    }

    /// The entry, if there is one alone.
    pub(super) fn only(&self) -> Option<Entry> {
        match self.first[..] {
            [only] if self.others.is_empty() => Some(only),
            _ => None,
        }
    }

    fn list_mut(&mut self, list: usize) -> &mut Vec<Entry> {
        if list == 0 { &mut self.first } else { &mut self.others[list - 1] }
    }

    pub(super) fn get_mut(&mut self, at: At) -> &mut Entry {
        &mut self.list_mut(at.list)[at.index]
    }

    /// Makes room for further entries, which have to follow.
    pub(super) fn reserve(&mut self, more: usize) {
        let room = LIST_MAX.saturating_sub(self.first.len());
        self.first.reserve_exact(more.min(room));
    }

    /// Inserts an entry where [`Entries::find`] says that it would be, and gives back where it is.
    pub(super) fn insert(&mut self, at: At, entry: Entry) -> At {
        let is_last_list = at.list == self.others.len();
        let list = self.list_mut(at.list);
        if list.len() < LIST_MAX {
            if list.len() == list.capacity() {
                // Doubling would leave a quarter of all crowds' room free.
                list.reserve_exact((1 + list.len() / 4).min(LIST_MAX - list.len()));
            }
            list.insert(at.index, entry);
            return at;
        }
        if is_last_list && at.index == LIST_MAX {
            // Entries that come in order leave full lists behind.
            self.others.push(vec![entry]);
            return At { list: at.list + 1, index: 0 };
        }
        let behind = list.split_off(LIST_MAX / 2);
        self.others.insert(at.list, behind);
        let at = match at.index.checked_sub(LIST_MAX / 2) {
            Some(index) => At { list: at.list + 1, index },
            None => at,
        };
        self.list_mut(at.list).insert(at.index, entry);
        at
    }

    pub(super) fn remove(&mut self, at: At) {
        let list = self.list_mut(at.list);
        list.remove(at.index);
        let is_empty = list.is_empty();
        match at.list.checked_sub(1) {
            Some(other) if is_empty => drop(self.others.remove(other)),
            Some(other) => self.join(other),
            None if self.others.is_empty() => {}
            None if is_empty => self.first = self.others.remove(0),
            None => self.join(0),
        }
    }

    /// Makes one list of this one and the next where they have less than half of one, so that few stand nearly empty.
    fn join(&mut self, list: usize) {
        if self.list_mut(list).len() + self.others[list].len() > LIST_MAX / 2 {
            return;
        }
        let behind = self.others.remove(list);
        let list = self.list_mut(list);
        list.extend(behind);
        list.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{Sequence, chance};

    #[test]
    fn the_order_is_that_of_a_plain_set() {
        let (mut plain, mut crowd) = (BTreeSet::new(), Crowd::default());
        let mut lists_most = 0;
        for step in 0..80_000_u64 {
            let thrown = chance(Sequence(step));
            let number = |shift: u32, below: u64| u32::try_from((thrown >> shift) % below).unwrap();
            // Some come in order, as those of a checkpoint do, and the others anywhere; more come than go, and then more
            // go than come, until nearly all are gone.
            let of = match step {
                0..5_000 => (LocationId(9), LotId(u32::try_from(step).unwrap())),
                40_000.. if number(0, 2) == 0 => (LocationId(9), LotId(number(8, 5_000))),
                _ => (LocationId(number(4, 12)), LotId(number(8, 700))),
            };
            let comes = step < 5_000 || number(32, 8) < if step < 40_000 { 6 } else { 1 };
            match (crowd.entries().find(of.0, of.1), comes) {
                (Err(at), true) => {
                    let at = crowd.insert(at, Entry::new(of.0, of.1));
                    assert_eq!(key(crowd.entries().get(at)), of);
                    assert!(plain.insert(of));
                }
                (Ok(at), false) => {
                    crowd.remove(at);
                    assert!(plain.remove(&of));
                }
                (found, _) => assert_eq!(found.is_ok(), plain.contains(&of)),
            }
            let lists = crowd.entries().others.iter();
            lists_most = lists_most.max(lists.len());
            if step % 500 == 499 {
                assert!(lists.clone().all(|list| !list.is_empty() && list.len() <= LIST_MAX));
                assert!(crowd.entries().iter().map(key).eq(plain.iter().copied()), "step {step}");
                let from = (LocationId(number(40, 13)), LotId(number(52, 2) * number(20, 700)));
                let behind = crowd.entries().from(from.0, from.1).map(key);
                assert!(behind.eq(plain.range(from..).copied()), "step {step}, from {from:?}");
                let lot = LotId(number(20, 700));
                let of_lot = plain.iter().copied().filter(|(_, other)| *other == lot);
                assert!(crowd.entries().of_lot(lot).map(key).eq(of_lot), "step {step}, {lot:?}");
                let way = crowd.entries().on_the_way(lot, from.0, from.1).map(key);
                let behind = plain.range(from..).copied().filter(|(_, other)| *other == lot);
                assert!(
                    way.filter(|(_, other)| *other == lot).eq(behind),
                    "step {step}, {lot:?} from {from:?}"
                );
            }
        }
        let lists_left = crowd.entries().others.len();
        assert!(lists_most > 6 && lists_left < lists_most / 2, "{lists_most} lists, {lists_left} in the end");
        while let Some((location, lot)) = plain.pop_last() {
            crowd.remove(crowd.entries().find(location, lot).unwrap());
        }
        assert_eq!(crowd.entries().len(), 0);
    }
}
