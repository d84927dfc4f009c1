//! Work that waits for a worker, in each of the orders in which somebody may want it.

use std::{cmp::Reverse, collections::BTreeMap};

use crate::{Sequence, WaitingBy, chance};

/// Slots of what waits, each known by the event that made it: no two have the same.
#[derive(Default)]
pub(super) struct Queue {
    by_age: BTreeMap<Sequence, u32>,
    by_priority: BTreeMap<(Reverse<u32>, Sequence), u32>,
    by_chance: BTreeMap<u64, u32>,
}

impl Queue {
    pub(super) fn insert(&mut self, made: Sequence, priority: u32, slot: u32) {
        self.by_age.insert(made, slot);
        self.by_priority.insert((Reverse(priority), made), slot);
        self.by_chance.insert(chance(made), slot);
    }

    pub(super) fn remove(&mut self, made: Sequence, priority: u32) {
        self.by_age.remove(&made);
        self.by_priority.remove(&(Reverse(priority), made));
        self.by_chance.remove(&chance(made));
    }

    pub(super) fn len(&self) -> usize {
        self.by_age.len()
    }

    /// The slots, the one that is given first, first.
    pub(super) fn slots(&self, by: WaitingBy) -> Box<dyn Iterator<Item = u32> + '_> {
        match by {
            WaitingBy::Age => Box::new(self.by_age.values().copied()),
            WaitingBy::Priority => Box::new(self.by_priority.values().copied()),
            WaitingBy::Chance(from) => {
                let around = self.by_chance.range(..from);
                Box::new(self.by_chance.range(from..).chain(around).map(|(_, slot)| *slot))
            }
        }
    }
}
