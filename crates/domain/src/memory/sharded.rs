//! A map that grows a piece at a time, and rows by number that do the same.

use std::{
    hash::{BuildHasher, Hash},
    ops::{Index, IndexMut},
};

use hashbrown::{DefaultHashBuilder, HashTable, hash_table::Entry};

use super::slab::{CHUNK_LEN, SHARDS, shard};

/// Values by key, in no order.
pub(super) struct Sharded<K, V> {
    hasher: DefaultHashBuilder,
    shards: Vec<HashTable<(K, V)>>,
    len: usize,
}

impl<K, V> Default for Sharded<K, V> {
    fn default() -> Self {
        let shards = (0..SHARDS).map(|_| HashTable::new()).collect();
        Self { hasher: DefaultHashBuilder::default(), shards, len: 0 }
    }
}

impl<K: Hash + Eq, V> Sharded<K, V> {
    /// The hash of a key, and its shard.
    fn place(&self, key: &K) -> (u64, usize) {
        let hash = self.hasher.hash_one(key);
        (hash, shard(hash))
    }

    /// Where the value of a key is, or would be, and the count of all values.
    fn entry(&mut self, key: &K) -> (Entry<'_, (K, V)>, &mut usize) {
        let (hash, shard) = self.place(key);
        let Self { hasher, shards, len } = self;
        (shards[shard].entry(hash, |(other, _)| other == key, |(other, _)| hasher.hash_one(other)), len)
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        let (hash, shard) = self.place(key);
        self.shards[shard].find(hash, |(other, _)| other == key).map(|(_, value)| value)
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let (hash, shard) = self.place(key);
        self.shards[shard].find_mut(hash, |(other, _)| other == key).map(|(_, value)| value)
    }

    pub(super) fn contains_key(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    /// The value of a key, made where there is none.
    pub(super) fn get_or_default(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        match self.entry(&key) {
            (Entry::Occupied(entry), _) => &mut entry.into_mut().1,
            (Entry::Vacant(entry), len) => {
                *len += 1;
                &mut entry.insert((key, V::default())).into_mut().1
            }
        }
    }

    /// Puts a value, and gives back the one that was there.
    pub(super) fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.entry(&key) {
            (Entry::Occupied(mut entry), _) => Some(std::mem::replace(&mut entry.get_mut().1, value)),
            (Entry::Vacant(entry), len) => {
                *len += 1;
                entry.insert((key, value));
                None
            }
        }
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let (hash, shard) = self.place(key);
        let entry = self.shards[shard].find_entry(hash, |(other, _)| other == key).ok()?;
        self.len -= 1;
        Some(entry.remove().0.1)
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.shards.iter().flatten().map(|(key, value)| (key, value))
    }
}

impl<K: Hash + Eq, V> Index<&K> for Sharded<K, V> {
    type Output = V;

    fn index(&self, key: &K) -> &V {
        self.get(key).expect("the key has a value")
    }
}

/// Rows by their number, which are never moved: a vector of them would be copied whole when it grows.
pub(super) struct Numbered<T> {
    chunks: Vec<Vec<T>>,
    len: usize,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), len: 0 }
    }
}

impl<T> Numbered<T> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn push(&mut self, row: T) {
        if self.len.is_multiple_of(CHUNK_LEN) {
            // The first one grows by itself: most tables are small.
            let capacity = if self.len == 0 { 0 } else { CHUNK_LEN };
            self.chunks.push(Vec::with_capacity(capacity));
        }
        self.chunks.last_mut().expect("there is a chunk with room").push(row);
        self.len += 1;
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        let row = self.chunks.last_mut()?.pop()?;
        self.len -= 1;
        if self.len.is_multiple_of(CHUNK_LEN) {
            self.chunks.pop();
        }
        Some(row)
    }

    pub(super) fn get(&self, number: usize) -> Option<&T> {
        self.chunks.get(number / CHUNK_LEN)?.get(number % CHUNK_LEN)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flatten()
    }

    /// Bytes that it has of the allocator, without what its rows have there.
    pub(super) fn bytes(&self) -> usize {
        let rows: usize = self.chunks.iter().map(Vec::capacity).sum();
        rows * size_of::<T>() + self.chunks.capacity() * size_of::<Vec<T>>()
    }
}

impl<T> Index<usize> for Numbered<T> {
    type Output = T;

    fn index(&self, number: usize) -> &T {
        &self.chunks[number / CHUNK_LEN][number % CHUNK_LEN]
    }
}

impl<T> IndexMut<usize> for Numbered<T> {
    fn index_mut(&mut self, number: usize) -> &mut T {
        &mut self.chunks[number / CHUNK_LEN][number % CHUNK_LEN]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sharded_map_is_a_map() {
        let mut map = Sharded::default();
        let mut plain = std::collections::BTreeMap::new();
        for step in 0_u64..10_000 {
            let key = step.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 512;
            match step % 3 {
                0 | 1 => assert_eq!(map.insert(key, step), plain.insert(key, step)),
                _ => assert_eq!(map.remove(&key), plain.remove(&key)),
            }
            assert_eq!((map.len(), map.get(&key)), (plain.len(), plain.get(&key)));
        }
        *map.get_or_default(1_000) += 7;
        plain.insert(1_000, 7);
        let mut all: Vec<_> = map.iter().map(|(key, value)| (*key, *value)).collect();
        all.sort_unstable();
        assert_eq!(all, plain.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn numbered_rows_are_those_of_a_vector() {
        let (mut rows, mut plain) = (Numbered::default(), Vec::new());
        let count = CHUNK_LEN * 2 + 1;
        for row in 0..count {
            rows.push(row);
            plain.push(row);
        }
        rows[CHUNK_LEN] = 7;
        plain[CHUNK_LEN] = 7;
        assert!(rows.iter().eq(&plain));
        assert_eq!((rows.get(count - 1), rows.get(count)), (Some(&(count - 1)), None));
        for left in (0..count).rev() {
            assert_eq!((rows.pop(), rows.len()), (plain.pop(), left));
        }
        assert_eq!(rows.pop(), None);
        rows.push(1);
        assert_eq!(rows[0], 1);
    }
}
