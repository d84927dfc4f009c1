//! Slots in the order of a number that mostly grows, as those of events and of times do.
//!
//! A tree of single entries would leave its leaves half empty behind numbers that grow, and repeat what ties end on: 24
//! to 28 bytes of each entry, and 60 where that is a text. Here chunks of entries stand in a tree, which are left full,
//! and ties are told by looking at the rows: 8 bytes of each.

use std::{
    collections::BTreeMap,
    ops::Bound::{Excluded, Unbounded},
};

/// Entries of a chunk. What comes into the middle moves half of them, 1 KiB.
const CHUNK_LEN: usize = 256;

/// Slots by number. Of the same number, they stand in the order of their ties, which are all different.
pub(super) struct Sorted<T> {
    /// By the least number and tie that may stand in a chunk. All its numbers have the upper half of this one. A number
    /// without a tie comes before all ties.
    chunks: BTreeMap<Key<T>, Vec<Entry>>,
    len: usize,
}

type Key<T> = (u64, Option<T>);

/// The lower half of the number, and the slot.
#[derive(Clone, Copy)]
struct Entry {
    low: u32,
    slot: u32,
}

impl<T> Default for Sorted<T> {
    fn default() -> Self {
        Self { chunks: BTreeMap::new(), len: 0 }
    }
}

fn high(number: u64) -> u64 {
    number >> 32
}

#[expect(clippy::cast_possible_truncation, reason = "the upper half stands in the chunk's key")]
fn low(number: u64) -> u32 {
    number as u32
}

impl<T: Ord + Clone> Sorted<T> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Bytes that its chunks have of the allocator.
    pub(super) fn bytes(&self) -> usize {
        self.chunks.values().map(|entries| entries.capacity() * size_of::<Entry>()).sum()
    }

    /// The first number.
    pub(super) fn first(&self) -> Option<u64> {
        let (key, entries) = self.chunks.first_key_value()?;
        Some(high(key.0) << 32 | u64::from(entries[0].low))
    }

    /// The last number.
    pub(super) fn last(&self) -> Option<u64> {
        let (key, entries) = self.chunks.last_key_value()?;
        Some(high(key.0) << 32 | u64::from(entries[entries.len() - 1].low))
    }

    /// The entries from a number on, in their order.
    pub(super) fn from(&self, number: u64) -> impl Iterator<Item = (u64, u32)> {
        let start = (number, None);
        let before = self.chunks.range(..&start).next_back().into_iter();
        let chunks = before.chain(self.chunks.range(start..));
        let entries = chunks.flat_map(|((least, _), entries)| {
            entries.iter().map(move |entry| (high(*least) << 32 | u64::from(entry.low), entry.slot))
        });
        entries.skip_while(move |(other, _)| *other < number)
    }

    /// Enters a slot, which is not there. `tie_of` tells the tie of each slot of the same number, and of this one.
    pub(super) fn insert<'a>(&mut self, number: u64, slot: u32, tie_of: impl Fn(u32) -> &'a T)
    where
        T: 'a,
    {
        self.len += 1;
        let entry = Entry { low: low(number), slot };
        let key = (number, Some(tie_of(slot).clone()));
        let chunk = self.chunks.range_mut(..=&key).next_back();
        let Some((_, entries)) = chunk.filter(|((least, _), _)| high(*least) == high(number)) else {
            self.chunks.insert((high(number) << 32, None), vec![entry]);
            return;
        };
        let at = find(entries, entry, &tie_of).expect_err("a slot is entered once");
        if entries.len() < CHUNK_LEN {
            entries.insert(at, entry);
            return;
        }
        // What comes at the end leaves a full chunk behind it, and what comes into the upper half parts the chunk
        // there: the next number will come behind it, too.
        let mut rest = entries.split_off(at.max(CHUNK_LEN / 2));
        if at == CHUNK_LEN {
            rest.push(entry);
        } else {
            entries.insert(at, entry);
        }
        let least = high(number) << 32 | u64::from(rest[0].low);
        self.chunks.insert((least, Some(tie_of(rest[0].slot).clone())), rest);
    }

    /// Takes a slot out, which is there.
    pub(super) fn remove<'a>(&mut self, number: u64, slot: u32, tie_of: impl Fn(u32) -> &'a T)
    where
        T: 'a,
    {
        self.len -= 1;
        let entry = Entry { low: low(number), slot };
        let key = (number, Some(tie_of(slot).clone()));
        let chunk = self.chunks.range_mut(..=&key).next_back();
        let (key, entries) = chunk.expect("a slot that is taken out was entered");
        let at = find(entries, entry, &tie_of).expect("a slot that is taken out was entered");
        entries.remove(at);
        if entries.is_empty() {
            let key = key.clone();
            self.chunks.remove(&key);
        } else if entries.len() <= CHUNK_LEN / 4 && entries.len().is_power_of_two() {
            // Few entries that stay for long, each in a chunk of its own, would take more than trees do.
            entries.shrink_to(2 * entries.len());
            let key = key.clone();
            let next = self.chunks.range((Excluded(&key), Unbounded)).next().map(|(next, _)| next.clone());
            let previous = self.chunks.range(..&key).next_back().map(|(previous, _)| previous.clone());
            if let Some(next) = next {
                self.join(&key, &next);
            }
            if let Some(previous) = previous {
                self.join(&previous, &key);
            }
        }
    }

    /// Makes two chunks, one behind the other, one, if it is at most half full then.
    fn join(&mut self, one: &Key<T>, next: &Key<T>) {
        if high(one.0) != high(next.0) || self.chunks[one].len() + self.chunks[next].len() > CHUNK_LEN / 2 {
            return;
        }
        let rest = self.chunks.remove(next).expect("the chunk is there");
        self.chunks.get_mut(one).expect("the chunk is there").extend(rest);
    }
}

/// Where an entry is, or where it would be.
fn find<'a, T: Ord + 'a>(
    entries: &[Entry],
    entry: Entry,
    tie_of: &impl Fn(u32) -> &'a T,
) -> Result<usize, usize> {
    // What comes last mostly comes at the end.
    if entries.last().is_some_and(|last| last.low < entry.low) {
        return Err(entries.len());
    }
    entries.binary_search_by(|other| {
        other.low.cmp(&entry.low).then_with(|| tie_of(other.slot).cmp(tie_of(entry.slot)))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{Sequence, chance};

    /// Numbers that somebody chose by chance, of which a seed makes the same every time.
    fn chances(seed: u64) -> impl FnMut(u64) -> u64 {
        let mut at = seed;
        move |below| {
            at += 1;
            chance(Sequence(at)) % below
        }
    }

    /// Slots with a number and a tie, beside the plain set of them.
    #[derive(Default)]
    struct Both {
        sorted: Sorted<u64>,
        plain: BTreeSet<(u64, u64, u32)>,
        rows: Vec<(u64, u64)>,
    }

    impl Both {
        fn insert(&mut self, number: u64, tie: u64) {
            if self.plain.iter().any(|(a, b, _)| (*a, *b) == (number, tie)) {
                return;
            }
            let slot = u32::try_from(self.rows.len()).expect("there are few");
            self.rows.push((number, tie));
            let rows = &self.rows;
            self.sorted.insert(number, slot, |slot| &rows[slot as usize].1);
            self.plain.insert((number, tie, slot));
        }

        fn remove(&mut self, at: usize) {
            let entry = *self.plain.iter().nth(at).expect("there are so many");
            self.plain.remove(&entry);
            let rows = &self.rows;
            self.sorted.remove(entry.0, entry.2, |slot| &rows[slot as usize].1);
        }

        fn compare(&self, from: u64) {
            let plain = self.plain.range((from, 0, 0)..).map(|(number, _, slot)| (*number, *slot));
            assert!(self.sorted.from(from).eq(plain), "from {from}");
            assert_eq!(self.sorted.len(), self.plain.len());
            assert_eq!(self.sorted.first(), self.plain.first().map(|(number, ..)| *number));
            assert_eq!(self.sorted.last(), self.plain.last().map(|(number, ..)| *number));
        }
    }

    #[test]
    fn the_order_is_that_of_a_plain_set() {
        let borders = [0, 5, (1 << 32) - 1, 1 << 32, (1 << 32) + 1, u64::MAX - 1, u64::MAX];
        for seed in 0..12_u64 {
            let mut chance = chances(seed << 40);
            let mut both = Both::default();
            // Few numbers, so that most are ties; or many; or such that grow; and more coming than going, or less.
            let (numbers, grow) = (1 << (4 * (seed % 4)), seed % 3 == 0);
            for step in 0..6_000_u64 {
                let coming = if step < 3_000 { 3 } else { 1 };
                if both.plain.is_empty() || chance(4) < coming {
                    let number = if grow { (1 << 32) - 2_000 + step / 2 } else { chance(numbers) << 20 };
                    both.insert(number, chance(1 << 20));
                } else {
                    let at = chance(both.plain.len() as u64);
                    both.remove(usize::try_from(at).expect("there are few"));
                }
                if step % 500 == 499 {
                    borders.iter().for_each(|from| both.compare(*from));
                    both.compare(chance(numbers) << 20);
                }
            }
            while !both.plain.is_empty() {
                both.remove(0);
            }
            both.compare(0);
            assert!(both.sorted.chunks.is_empty());
        }
    }

    #[test]
    fn numbers_that_grow_take_eight_bytes_each_and_what_stays_of_them_little_more() {
        let mut sorted = Sorted::<()>::default();
        for number in 0..256_000_u32 {
            sorted.insert(u64::from(number), number, |_| &());
        }
        assert_eq!(sorted.bytes(), 256_000 * 8);
        assert_eq!(sorted.chunks.len(), 1_000);
        for number in (0..256_000_u32).filter(|number| number % 256 != 255) {
            sorted.remove(u64::from(number), number, |_| &());
        }
        assert_eq!(sorted.len(), 1_000);
        assert!(sorted.chunks.len() < 50 && sorted.bytes() < 40_000, "{} chunks", sorted.chunks.len());
    }

    #[test]
    fn two_runs_of_numbers_do_not_leave_half_empty_chunks_behind() {
        let mut sorted = Sorted::<()>::default();
        for number in 0..100_000_u32 {
            sorted.insert(u64::from(number), 2 * number, |_| &());
            sorted.insert(1_000_000 + u64::from(number), 2 * number + 1, |_| &());
        }
        assert!(sorted.chunks.len() < 200_000 / CHUNK_LEN + 10, "{} chunks", sorted.chunks.len());
    }
}
