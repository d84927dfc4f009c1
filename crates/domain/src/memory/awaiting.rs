//! Lines of orders that wait for stock, by what they wait for, the first to be filled first.
//!
//! A tree of single lines takes 52 bytes of each. Here chunks of lines stand in a tree, and what a line ranks by is told by
//! its order's row: 8 bytes of each where many wait for the same.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    ops::{
        Bound::{Excluded, Unbounded},
        RangeBounds,
    },
};

use smallvec::SmallVec;

use crate::{LotId, Sequence, SiteId, SkuId};

/// Lines of a chunk. What comes into the middle moves half of them, 1 KiB.
const CHUNK_LEN: usize = 256;

/// What a line waits for. No lot stands for any, and comes before all lots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Awaited {
    pub(super) site: SiteId,
    pub(super) sku: SkuId,
    pub(super) lot: LotId,
}

/// Who comes before whom: by priority, then by age, then by the place in the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    pub(super) priority: Reverse<u32>,
    pub(super) placed: Sequence,
    pub(super) line: u32,
}

/// A line, by the slot of its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Waiter {
    pub(super) slot: u32,
    pub(super) line: u32,
}

/// Lines by what they wait for and by their ranks, which are all different.
#[derive(Default)]
pub(super) struct AwaitingLines {
    /// By the least rank that may stand in a chunk.
    chunks: BTreeMap<(Awaited, Rank), Chunk>,
    len: usize,
}

/// A chunk of two, of which there are many where few wait for the same, needs no memory of its own.
type Chunk = SmallVec<[Waiter; 2]>;

impl Rank {
    const FIRST: Self = Self { priority: Reverse(u32::MAX), placed: Sequence(0), line: 0 };
}

impl AwaitingLines {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The first that is waited for, from one on: by site, then by SKU, then by lot.
    pub(super) fn first_awaited(&self, from: Awaited) -> Option<Awaited> {
        self.chunks.range((from, Rank::FIRST)..).next().map(|((awaited, _), _)| *awaited)
    }

    /// Those who wait for this, in the order in which they are filled.
    pub(super) fn waiters(&self, awaited: Awaited) -> impl Iterator<Item = Waiter> + '_ {
        let chunks =
            self.chunks.range((awaited, Rank::FIRST)..).take_while(move |((of, _), _)| *of == awaited);
        chunks.flat_map(|(_, chunk)| chunk.iter().copied())
    }

    /// Enters a line, which is not there. `rank_of` tells the rank of each that waits for the same, and of this one.
    pub(super) fn insert(&mut self, awaited: Awaited, waiter: Waiter, rank_of: impl Fn(Waiter) -> Rank) {
        self.len += 1;
        let rank = rank_of(waiter);
        let Some(mut key) = self.chunk_of(awaited, rank) else {
            self.chunks.insert((awaited, rank), Chunk::from_slice(&[waiter]));
            return;
        };
        if rank < key.1 {
            // It comes before all who wait for the same.
            let first = self.chunks.remove(&key).expect("the chunk was found");
            key = (awaited, rank);
            self.chunks.insert(key, first);
        }
        let chunk = self.chunks.get_mut(&key).expect("the chunk was found");
        let at = find(chunk, rank, &rank_of).expect_err("a line is entered once");
        if chunk.len() < CHUNK_LEN {
            chunk.insert(at, waiter);
            return;
        }
        // What comes at the end leaves a full chunk behind it: the youngest order mostly comes last.
        let mut rest: Chunk = chunk.drain(at.max(CHUNK_LEN / 2)..).collect();
        if at == CHUNK_LEN {
            rest.push(waiter);
        } else {
            chunk.insert(at, waiter);
        }
        self.chunks.insert((awaited, rank_of(rest[0])), rest);
    }

    /// Takes a line out, which is there.
    pub(super) fn remove(&mut self, awaited: Awaited, waiter: Waiter, rank_of: impl Fn(Waiter) -> Rank) {
        self.len -= 1;
        let rank = rank_of(waiter);
        let key = self.chunk_of(awaited, rank).expect("a line that is taken out was entered");
        let chunk = self.chunks.get_mut(&key).expect("the chunk was found");
        chunk.remove(find(chunk, rank, &rank_of).expect("a line that is taken out was entered"));
        if chunk.is_empty() {
            self.chunks.remove(&key);
        } else if chunk.len() <= CHUNK_LEN / 4 && chunk.len().is_power_of_two() {
            chunk.shrink_to_fit();
            self.join(key);
        }
    }

    /// The chunk in which a rank stands or would stand, if anybody waits for the same.
    fn chunk_of(&self, awaited: Awaited, rank: Rank) -> Option<(Awaited, Rank)> {
        let before = self.last_key(..=(awaited, rank)).filter(|(of, _)| *of == awaited);
        before.or_else(|| self.first_key((awaited, rank)..).filter(|(of, _)| *of == awaited))
    }

    /// Makes one chunk of a small one and the one behind or before it, where that is at most half full then.
    fn join(&mut self, key: (Awaited, Rank)) {
        let (before, after) = (self.last_key(..key), self.first_key((Excluded(key), Unbounded)));
        for (one, next) in [(Some(key), after), (before, Some(key))] {
            if let (Some(one), Some(next)) = (one, next)
                && one.0 == next.0
                && self.chunks[&one].len() + self.chunks[&next].len() <= CHUNK_LEN / 2
            {
                let rest = self.chunks.remove(&next).expect("the chunk was found");
                self.chunks.get_mut(&one).expect("the chunk was found").extend(rest);
                return;
            }
        }
    }

    fn first_key(&self, range: impl RangeBounds<(Awaited, Rank)>) -> Option<(Awaited, Rank)> {
        self.chunks.range(range).next().map(|(key, _)| *key)
    }

    fn last_key(&self, range: impl RangeBounds<(Awaited, Rank)>) -> Option<(Awaited, Rank)> {
        self.chunks.range(range).next_back().map(|(key, _)| *key)
    }
}

/// Where a rank is in a chunk, or where it would be.
fn find(chunk: &[Waiter], rank: Rank, rank_of: &impl Fn(Waiter) -> Rank) -> Result<usize, usize> {
    // What comes last mostly comes at the end.
    if chunk.last().is_some_and(|last| rank_of(*last) < rank) {
        return Err(chunk.len());
    }
    chunk.binary_search_by(|other| rank_of(*other).cmp(&rank))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::chance;

    fn awaited(sku: u64) -> Awaited {
        let sku = SkuId(u32::try_from(sku).unwrap());
        Awaited { site: SiteId(0), sku, lot: LotId::NONE }
    }

    /// Lines beside the plain map of them. An order's slot is where its priority and its age stand.
    #[derive(Default)]
    struct Both {
        lines: AwaitingLines,
        plain: BTreeMap<(Awaited, Rank), Waiter>,
        orders: Vec<(u32, Sequence)>,
    }

    impl Both {
        fn rank_of(orders: &[(u32, Sequence)]) -> impl Fn(Waiter) -> Rank {
            |waiter| {
                let (priority, placed) = orders[waiter.slot as usize];
                Rank { priority: Reverse(priority), placed, line: waiter.line }
            }
        }

        fn insert(&mut self, awaited: Awaited, waiter: Waiter) {
            let rank_of = Self::rank_of(&self.orders);
            if self.plain.insert((awaited, rank_of(waiter)), waiter).is_none() {
                self.lines.insert(awaited, waiter, rank_of);
            }
        }

        fn remove(&mut self, at: usize) {
            let ((awaited, rank), waiter) =
                self.plain.iter().nth(at).map(|(key, waiter)| (*key, *waiter)).unwrap();
            self.plain.remove(&(awaited, rank));
            self.lines.remove(awaited, waiter, Self::rank_of(&self.orders));
        }

        fn compare(&self) {
            assert_eq!(self.lines.len(), self.plain.len());
            for sku in 0..6 {
                let ours = self.plain.range((awaited(sku), Rank::FIRST)..(awaited(sku + 1), Rank::FIRST));
                assert!(self.lines.waiters(awaited(sku)).eq(ours.map(|(_, waiter)| *waiter)), "of {sku}");
                let next = self.plain.range((awaited(sku), Rank::FIRST)..).next().map(|((of, _), _)| *of);
                assert_eq!(self.lines.first_awaited(awaited(sku)), next);
            }
        }
    }

    #[test]
    fn the_order_is_that_of_a_plain_map() {
        for seed in 0..8_u64 {
            let mut at = seed << 40;
            let mut chance = |below: u64| {
                at += 1;
                chance(Sequence(at)) % below
            };
            let mut both = Both::default();
            // Orders of one priority that grow older, or of many; and all waiting for the same, or not.
            let (priorities, skus) = (1 + seed % 2 * 7, 1 + seed % 4);
            both.orders = (0..2_000)
                .map(|placed| (u32::try_from(chance(priorities)).unwrap(), Sequence(placed)))
                .collect();
            for step in 0..6_000_u64 {
                let coming = if step < 3_000 { 3 } else { 1 };
                if both.plain.is_empty() || chance(4) < coming {
                    let slot = if seed < 4 { step / 3 } else { chance(2_000) };
                    let line = u32::try_from(chance(3)).unwrap();
                    let waiter = Waiter { slot: u32::try_from(slot).unwrap(), line };
                    both.insert(awaited(1 + chance(skus)), waiter);
                } else {
                    both.remove(usize::try_from(chance(both.plain.len() as u64)).unwrap());
                }
                if step % 200 == 199 {
                    both.compare();
                }
            }
            while !both.plain.is_empty() {
                both.remove(0);
            }
            assert!(both.lines.chunks.is_empty());
        }
    }

    #[test]
    fn lines_of_orders_that_come_one_after_the_other_take_eight_bytes_and_what_stays_of_them_little_more() {
        let mut lines = AwaitingLines::default();
        let rank_of = |waiter: Waiter| Rank { placed: Sequence(u64::from(waiter.slot)), ..Rank::FIRST };
        let bytes =
            |lines: &AwaitingLines| lines.chunks.values().map(|chunk| chunk.capacity() * 8).sum::<usize>();
        for slot in 0..256_000 {
            lines.insert(awaited(1), Waiter { slot, line: 0 }, rank_of);
        }
        assert_eq!((lines.chunks.len(), bytes(&lines)), (1_000, 256_000 * 8));
        for slot in (0..256_000).filter(|slot| slot % 256 != 255) {
            lines.remove(awaited(1), Waiter { slot, line: 0 }, rank_of);
        }
        assert_eq!(lines.len(), 1_000);
        assert!(lines.chunks.len() < 50 && bytes(&lines) < 40_000, "{} chunks", lines.chunks.len());
    }
}
