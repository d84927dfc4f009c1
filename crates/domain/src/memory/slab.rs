//! Rows that never move, and the indexes that find them.

use std::sync::atomic::{AtomicU32, Ordering};

use hashbrown::HashTable;

/// Rows a chunk: a chunk is allocated whole, so that a table grows without copying what it has.
pub(super) const CHUNK_LEN: usize = 4_096;

/// The slot that was found last. Who asks for a row mostly asks for it again: to decide on it, then to write it.
#[derive(Default)]
pub(super) struct Recent(AtomicU32);

impl Recent {
    /// The slot that was found last, if it `is_it`, or the one that is looked for.
    pub(super) fn find(
        &self,
        is_it: impl Fn(u32) -> bool,
        look: impl FnOnce() -> Option<u32>,
    ) -> Option<u32> {
        let recent = self.0.load(Ordering::Relaxed);
        if is_it(recent) {
            return Some(recent);
        }
        let found = look()?;
        self.0.store(found, Ordering::Relaxed);
        Some(found)
    }
}

/// Rows by slot. A slot stays with its row until the row is removed.
pub(super) struct Slab<T> {
    chunks: Vec<Vec<Option<T>>>,
    free: Vec<u32>,
    len: usize,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), free: Vec::new(), len: 0 }
    }
}

impl<T> Slab<T> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, slot: u32) -> &T {
        let slot = slot as usize;
        self.chunks[slot / CHUNK_LEN][slot % CHUNK_LEN].as_ref().expect("the slot has a row")
    }

    /// The row of a slot, if there is one.
    pub(super) fn find(&self, slot: u32) -> Option<&T> {
        let slot = slot as usize;
        self.chunks.get(slot / CHUNK_LEN)?.get(slot % CHUNK_LEN)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> &mut T {
        let slot = slot as usize;
        self.chunks[slot / CHUNK_LEN][slot % CHUNK_LEN].as_mut().expect("the slot has a row")
    }

    /// The slot that the next row gets.
    pub(super) fn next_slot(&self) -> u32 {
        let Some(last) = self.chunks.last() else { return 0 };
        let end = (self.chunks.len() - 1) * CHUNK_LEN + last.len();
        self.free
            .last()
            .copied()
            .unwrap_or_else(|| u32::try_from(end).expect("a table has at most 2^32 rows"))
    }

    pub(super) fn insert(&mut self, row: T) -> u32 {
        self.len += 1;
        if let Some(slot) = self.free.pop() {
            self.chunks[slot as usize / CHUNK_LEN][slot as usize % CHUNK_LEN] = Some(row);
            return slot;
        }
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK_LEN) {
            self.chunks.push(Vec::with_capacity(CHUNK_LEN));
        }
        let before = (self.chunks.len() - 1) * CHUNK_LEN;
        let chunk = self.chunks.last_mut().expect("there is a chunk with room");
        chunk.push(Some(row));
        u32::try_from(before + chunk.len() - 1).expect("a table has at most 2^32 rows")
    }

    pub(super) fn remove(&mut self, slot: u32) -> T {
        let row = self.chunks[slot as usize / CHUNK_LEN][slot as usize % CHUNK_LEN].take();
        self.free.push(slot);
        self.len -= 1;
        row.expect("the slot has a row")
    }

    /// Bytes that it has of the allocator, without what its rows have there.
    pub(super) fn bytes(&self) -> usize {
        let chunks: usize = self.chunks.iter().map(Vec::capacity).sum();
        chunks * size_of::<Option<T>>()
            + self.chunks.capacity() * size_of::<Vec<Option<T>>>()
            + self.free.capacity() * size_of::<u32>()
    }

    /// All rows with their slots, in the order of the slots.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.iter_from(0)
    }

    /// The rows from a slot on.
    pub(super) fn iter_from(&self, slot: u32) -> impl Iterator<Item = (u32, &T)> {
        let (chunk, rest) = (slot as usize / CHUNK_LEN, slot as usize % CHUNK_LEN);
        let rows = self.chunks.iter().skip(chunk).flatten().skip(rest);
        (slot..).zip(rows).filter_map(|(slot, row)| row.as_ref().map(|row| (slot, row)))
    }
}

/// Shards of what is found by a hash. Growing rehashes one of them, a 256th of the table, and never all of it at once.
pub(super) const SHARDS: usize = 256;

/// The shard of a hash. The tables themselves use the lowest and the highest bits: this takes others.
pub(super) fn shard(hash: u64) -> usize {
    (hash >> 40) as usize % SHARDS
}

/// Slots by the hash of their row's key.
pub(super) struct Index {
    shards: Vec<HashTable<u32>>,
}

impl Default for Index {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| HashTable::new()).collect() }
    }
}

impl Index {
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        self.shards[shard(hash)].find(hash, |slot| is_it(*slot)).copied()
    }

    pub(super) fn insert(&mut self, hash: u64, slot: u32, hash_of: impl Fn(u32) -> u64) {
        self.shards[shard(hash)].insert_unique(hash, slot, |slot| hash_of(*slot));
    }

    pub(super) fn remove(&mut self, hash: u64, slot: u32) {
        let entry = self.shards[shard(hash)].find_entry(hash, |other| *other == slot);
        let Ok(entry) = entry else { panic!("an indexed slot is in its shard") };
        entry.remove();
    }

    /// Bytes that it has of the allocator.
    pub(super) fn bytes(&self) -> usize {
        let tables: usize = self.shards.iter().map(HashTable::allocation_size).sum();
        tables + self.shards.capacity() * size_of::<HashTable<u32>>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_used_again_and_rows_stay_where_they_are() {
        let mut slab = Slab::default();
        let slots: Vec<_> = (0..10_000u64).map(|row| slab.insert(row)).collect();
        assert_eq!(slab.remove(slots[5_000]), 5_000);
        assert_eq!((slab.len(), *slab.get(slots[9_999])), (9_999, 9_999));
        assert_eq!(slab.next_slot(), slots[5_000]);
        assert_eq!(slab.insert(7), slots[5_000]);
        assert_eq!(slab.next_slot(), 10_000);
        assert_eq!(
            slab.iter_from(4_095).take(3).map(|(_, row)| *row).collect::<Vec<_>>(),
            [4_095, 4_096, 4_097]
        );
    }
}
