//! Documents' keys as bytes, which sort the same on every machine, and the filter that knows most keys that are not
//! there.

use jaego_domain::{DocumentKey, Row, row::Filing};
use xxhash_rust::xxh3::xxh3_64;

/// The kind of document that orders are.
pub(super) const ORDER: u8 = 7;

/// The key's bytes: what kind of document, and its id.
pub(super) fn bytes_of(key: &DocumentKey) -> Vec<u8> {
    let text = |kind: u8, id: &str| [&[kind], id.as_bytes()].concat();
    match key {
        DocumentKey::Hold(id) => text(1, id.as_str()),
        DocumentKey::Transfer(id) => text(2, id.as_str()),
        DocumentKey::Filed(Filing::Adjustment(id)) => text(3, id.as_str()),
        DocumentKey::Filed(Filing::Move(id)) => text(4, id.as_str()),
        // No code has a zero byte in it, so that no two pairs look alike.
        DocumentKey::Filed(Filing::Shipment { transfer, shipment }) => {
            [&[5], transfer.as_str().as_bytes(), &[0], shipment.as_str().as_bytes()].concat()
        }
        DocumentKey::Filed(Filing::Reversal(movement)) => {
            [&[6], &movement.sequence.0.to_be_bytes()[..], &movement.index.to_be_bytes()[..]].concat()
        }
        DocumentKey::Authorization(id) => text(8, id.as_str()),
        DocumentKey::Order(id) => text(ORDER, id.as_str()),
        DocumentKey::Proposal(id) => text(11, id.as_str()),
        DocumentKey::Cart(id) => text(9, id.as_str()),
    }
}

/// The document that a row belongs to, if it is one that can be archived.
pub(crate) fn document_of(row: &Row) -> Option<DocumentKey> {
    match row {
        Row::Hold(id, Some(_)) => Some(DocumentKey::Hold(id.clone())),
        Row::Transfer(id, Some(_)) | Row::Lines(id, Some(_)) => Some(DocumentKey::Transfer(id.clone())),
        Row::Filed(filing, Some(_)) => Some(DocumentKey::Filed(filing.clone())),
        Row::Authorization(id, Some(_)) => Some(DocumentKey::Authorization(id.clone())),
        Row::Order(id, Some(_)) | Row::Sale(id, Some(_)) => Some(DocumentKey::Order(id.clone())),
        Row::Cart(id, Some(_)) => Some(DocumentKey::Cart(id.clone())),
        Row::Proposal(id, Some(_)) => Some(DocumentKey::Proposal(id.clone())),
        _ => None,
    }
}

/// Bytes of a filter for each document: about one key in 300 that is not there passes.
const BYTES_A_KEY: usize = 2;
/// All bits of a key lie in one block: one wait for memory.
const BLOCK_LEN: usize = 64;
/// Bits set for each key.
const PROBES: u32 = 6;

/// A blocked Bloom filter: says "no" only to keys that are not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Filter(Vec<u8>);

impl Filter {
    /// An empty filter with room for so many keys.
    pub(super) fn for_keys(count: usize) -> Self {
        Self(vec![0; (count * BYTES_A_KEY).next_multiple_of(BLOCK_LEN).max(BLOCK_LEN)])
    }

    /// The filter of these bytes, if they can be one.
    pub(super) fn of_bytes(bytes: &[u8]) -> Option<Self> {
        (!bytes.is_empty() && bytes.len().is_multiple_of(BLOCK_LEN)).then(|| Self(bytes.to_vec()))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn insert(&mut self, key: &[u8]) {
        for (byte, bit) in self.probes(key) {
            self.0[byte] |= bit;
        }
    }

    pub(super) fn may_have(&self, hash: u64) -> bool {
        self.probes_of(hash).all(|(byte, bit)| self.0[byte] & bit != 0)
    }

    fn probes(&self, key: &[u8]) -> impl Iterator<Item = (usize, u8)> + use<> {
        self.probes_of(hash(key))
    }

    fn probes_of(&self, hash: u64) -> impl Iterator<Item = (usize, u8)> + use<> {
        let blocks = (self.0.len() / BLOCK_LEN) as u64;
        // The upper half of the hash chooses the block, nine bits each of the product below the bits in it.
        let block = (((hash >> 32) * blocks) >> 32) as usize * BLOCK_LEN;
        let bits = hash.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (0..PROBES).map(move |probe| {
            let bit = (bits >> (64 - 9 * (probe + 1)) & 0x1FF) as u16;
            (block + usize::from(bit / 8), 1 << (bit % 8))
        })
    }
}

/// The hash that a filter goes by.
pub(super) fn hash(key: &[u8]) -> u64 {
    xxh3_64(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_has_what_was_put_in_and_little_else() {
        let mut filter = Filter::for_keys(10_000);
        let key = |number: u32| format!("hold-{number}").into_bytes();
        (0..10_000).for_each(|number| filter.insert(&key(number)));
        assert!((0..10_000).all(|number| filter.may_have(hash(&key(number)))));
        let wrong = (10_000..110_000).filter(|number| filter.may_have(hash(&key(*number)))).count();
        assert!(wrong < 1_000, "{wrong} of 100,000 that are not there pass");
        assert_eq!(Filter::of_bytes(filter.bytes()), Some(filter));
    }
}
