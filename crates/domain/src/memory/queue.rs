//! Work that waits for a worker, in each of the orders in which somebody may want it.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, btree_map},
    iter::Peekable,
};

use crate::{Sequence, WaitingBy, chance, limits::NEIGHBOURS};

/// Slots of what waits, each known by the event that made it: no two have the same.
#[derive(Default)]
pub(super) struct Queue {
    by_priority: BTreeMap<(Reverse<u32>, Sequence), u32>,
    /// The oldest of each priority. With these, all can be told by age without an index of their own, which would be
    /// one more place to wait for memory at whenever something that is not the oldest comes or goes.
    oldest: BTreeMap<Sequence, Reverse<u32>>,
    /// The same, by priority.
    oldest_of: BTreeMap<Reverse<u32>, Sequence>,
    by_chance: BTreeMap<u64, u32>,
}

impl Queue {
    pub(super) fn insert(&mut self, made: Sequence, priority: u32, slot: u32) {
        let priority = Reverse(priority);
        let first = self.oldest_of.get(&priority).copied();
        if first.is_none_or(|first| made < first) {
            self.lead(priority, first, Some(made));
        }
        self.by_priority.insert((priority, made), slot);
        self.by_chance.insert(chance(made), slot);
    }

    pub(super) fn remove(&mut self, made: Sequence, priority: u32) {
        let priority = Reverse(priority);
        self.by_priority.remove(&(priority, made));
        if self.oldest_of.get(&priority) == Some(&made) {
            let next = self.of_priority(priority, made).next().map(|(made, _)| made);
            self.lead(priority, Some(made), next);
        }
        self.by_chance.remove(&chance(made));
    }

    /// Another one is the oldest of a priority, or none is any more.
    fn lead(&mut self, priority: Reverse<u32>, before: Option<Sequence>, now: Option<Sequence>) {
        if let Some(before) = before {
            self.oldest.remove(&before);
        }
        match now {
            Some(now) => {
                self.oldest.insert(now, priority);
                self.oldest_of.insert(priority, now);
            }
            None => {
                self.oldest_of.remove(&priority);
            }
        }
    }

    pub(super) fn contains(&self, made: Sequence, priority: u32) -> bool {
        self.by_priority.contains_key(&(Reverse(priority), made))
            && self.by_chance.contains_key(&chance(made))
    }

    pub(super) fn len(&self) -> usize {
        self.by_chance.len()
    }

    /// The slots, the one that is given first, first.
    pub(super) fn slots(&self, by: WaitingBy) -> Box<dyn Iterator<Item = u32> + '_> {
        match by {
            WaitingBy::Age => Box::new(self.by_age()),
            WaitingBy::Priority => Box::new(self.by_priority.values().copied()),
            WaitingBy::Chance(from) => Box::new(self.by_chance(from).map(|(_, slot)| slot)),
            WaitingBy::Neighbour(from) => {
                let from = self.neighbour(from).unwrap_or(from);
                Box::new(self.by_chance(from).map(|(_, slot)| slot))
            }
        }
    }

    fn by_chance(&self, from: u64) -> impl Iterator<Item = (u64, u32)> {
        let around = self.by_chance.range(..from);
        self.by_chance.range(from..).chain(around).map(|(place, slot)| (*place, *slot))
    }

    /// Where one of the neighbours behind a place stands. Their rows are not looked at.
    fn neighbour(&self, from: u64) -> Option<u64> {
        let count = self.len().min(NEIGHBOURS);
        let steps = chance(Sequence(from)).checked_rem(count as u64)?;
        self.by_chance(from).map(|(place, _)| place).nth(usize::try_from(steps).expect("they are few"))
    }

    fn by_age(&self) -> ByAge<'_> {
        ByAge {
            queue: self,
            others: self.oldest.iter().peekable(),
            begun: BinaryHeap::new(),
            rest: Vec::new(),
        }
    }

    /// What was made at `from` and later in a priority, the oldest first.
    fn of_priority(&self, priority: Reverse<u32>, from: Sequence) -> OfPriority<'_> {
        OfPriority(self.by_priority.range((priority, from)..=(priority, Sequence(u64::MAX))))
    }
}

struct OfPriority<'a>(btree_map::Range<'a, (Reverse<u32>, Sequence), u32>);

impl Iterator for OfPriority<'_> {
    type Item = (Sequence, u32);

    fn next(&mut self) -> Option<(Sequence, u32)> {
        self.0.next().map(|((_, made), slot)| (*made, *slot))
    }
}

/// All priorities merged by age. A priority is looked at when its oldest is the next.
struct ByAge<'a> {
    queue: &'a Queue,
    /// Priorities of which none was told yet.
    others: Peekable<btree_map::Iter<'a, Sequence, Reverse<u32>>>,
    /// The next of each of the others, with its slot and where the rest of its priority is.
    begun: BinaryHeap<Reverse<(Sequence, u32, usize)>>,
    rest: Vec<OfPriority<'a>>,
}

impl Iterator for ByAge<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let begun = self.begun.peek().map(|Reverse((made, ..))| *made);
        if let Some((made, priority)) =
            self.others.next_if(|(made, _)| begun.is_none_or(|begun| **made < begun))
        {
            let mut all = self.queue.of_priority(*priority, *made);
            let (made, slot) = all.next().expect("the oldest of a priority is in it");
            self.begun.push(Reverse((made, slot, self.rest.len())));
            self.rest.push(all);
        }
        let Reverse((_, slot, priority)) = self.begun.pop()?;
        if let Some((made, slot)) = self.rest[priority].next() {
            self.begun.push(Reverse((made, slot, priority)));
        }
        Some(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_comes_and_goes_it_is_told_by_age_by_priority_and_by_chance() {
        let mut queue = Queue::default();
        let mut plain: Vec<(Sequence, u32)> = Vec::new();
        // The numbers of a small generator decide what comes and what goes.
        let mut state = 7;
        let mut random = move |below: u64| {
            state = chance(Sequence(state));
            state % below
        };
        for step in 0..4_000 {
            // It grows and shrinks again, and some come back that were made long ago.
            let grows = step % 400 < 250;
            if grows || plain.is_empty() {
                let made = Sequence(random(10_000));
                if plain.iter().all(|(other, _)| *other != made) {
                    let priority = u32::try_from(random(4)).unwrap();
                    queue.insert(made, priority, slot(made));
                    plain.push((made, priority));
                }
            } else {
                let (made, priority) =
                    plain.swap_remove(usize::try_from(random(plain.len() as u64)).unwrap());
                queue.remove(made, priority);
            }
            if step % 50 == 0 {
                let from = chance(Sequence(random(10_000)));
                let told = |by| queue.slots(by).collect::<Vec<_>>();
                plain.sort_by_key(|(made, _)| *made);
                assert_eq!(told(WaitingBy::Age), slots(&plain));
                plain.sort_by_key(|(made, priority)| (Reverse(*priority), *made));
                assert_eq!(told(WaitingBy::Priority), slots(&plain));
                plain.sort_by_key(|(made, _)| chance(*made).wrapping_sub(from));
                assert_eq!(told(WaitingBy::Chance(from)), slots(&plain));
                let count = plain.len().min(NEIGHBOURS) as u64;
                plain.rotate_left(chance(Sequence(from)).checked_rem(count).map_or(0, index));
                assert_eq!(told(WaitingBy::Neighbour(from)), slots(&plain));
                assert_eq!(queue.len(), plain.len());
            }
        }
    }

    fn index(place: u64) -> usize {
        usize::try_from(place).unwrap()
    }

    fn slot(made: Sequence) -> u32 {
        u32::try_from(made.0).unwrap()
    }

    fn slots(plain: &[(Sequence, u32)]) -> Vec<u32> {
        plain.iter().map(|(made, _)| slot(*made)).collect()
    }
}
