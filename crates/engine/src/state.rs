//! One number for all rows.

use jaego_domain::{Memory, Row};
use jaego_store::codec::row;
use xxhash_rust::xxh3::xxh3_128;

/// The sum of the XXH3-128 of every row: equal for equal tables, whatever the order of their rows.
pub fn state_hash(memory: &Memory) -> u128 {
    let mut sum = Sum::default();
    let mut encoder = row::Encoder::new();
    for row in memory.rows() {
        sum.push(&mut encoder, &row);
        encoder.clear();
    }
    sum.hash
}

/// The hash of these rows as programs made it whose wallets did not say how much of what they paid was for orders. `hash` is
/// that of rows of which these are a part, with every wallet.
pub(crate) fn hash_without_sold(hash: u128, memory: &Memory) -> u128 {
    let (mut with, mut without) = (Sum::default(), Sum::default());
    let mut encoder = row::Encoder::new();
    for (owner, wallet) in memory.wallets() {
        if wallet.balances.iter().all(|balance| balance.sold == 0) {
            continue;
        }
        // The row as it was written before it counted what it paid for orders.
        let mut before = wallet.clone();
        before.balances.iter_mut().for_each(|balance| balance.sold = 0);
        with.push(&mut encoder, &Row::Wallet(owner.clone(), Some(wallet.clone())));
        without.push(&mut encoder, &Row::Wallet(owner.clone(), Some(before)));
        encoder.clear();
    }
    hash.wrapping_sub(with.hash).wrapping_add(without.hash)
}

/// A hash that is made while rows are encoded.
#[derive(Default)]
pub(crate) struct Sum {
    pub(crate) hash: u128,
    pub(crate) rows: u64,
}

impl Sum {
    pub(crate) fn push(&mut self, encoder: &mut row::Encoder, row: &Row) {
        let start = encoder.payload().len();
        encoder.push(row);
        self.push_encoded(&encoder.payload()[start..]);
    }

    /// Adds the rows of another sum.
    pub(crate) fn add(&mut self, other: &Self) {
        self.hash = self.hash.wrapping_add(other.hash);
        self.rows += other.rows;
    }

    /// Adds a row that is encoded already.
    pub(crate) fn push_encoded(&mut self, row: &[u8]) {
        self.hash = self.hash.wrapping_add(xxh3_128(row));
        self.rows += 1;
    }
}
