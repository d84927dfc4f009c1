//! Gives indexes that nobody wrote the checksums of ones that were written, so that tests come behind them.

use super::{
    format::{BLOCK_LEN, Block, Entry, FrameEntry, Leg, Origin, Posting, Span, Table, Total},
    read::{Damage, Index, Rows},
};
use crate::{disk::DiskFile, journal::StoreId};

/// Bytes whose blocks all have the checksums of the index that the first one says to be.
pub(crate) fn mend(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let origin = origin_of(&bytes);
    for (number, block) in bytes.chunks_exact_mut(BLOCK_LEN).enumerate() {
        let block: &mut Block = block.try_into().expect("a chunk is a block");
        origin.close(number as u64, block);
    }
    bytes
}

/// Opens an index of whatever segment it says that it is of, reads all of its tables, and looks for what is not there.
pub(crate) fn read_all(file: impl DiskFile, bytes: &[u8]) -> Result<(), Damage> {
    let index = Index::open(file, origin_of(bytes))?;
    assert_eq!(index.len(), bytes.len() as u64);
    read(index.table::<FrameEntry>(Table::Frames), |entry| entry.at < 1_000)?;
    for table in [Table::Documents, Table::Skus, Table::Sites] {
        read(index.table::<Posting>(table), |entry| entry.key() < 7 && entry.sequence() < 7)?;
    }
    read(index.table::<Span>(Table::Places), |entry| entry.end < 7)?;
    read(index.table::<Leg>(Table::Legs), |entry| entry.sum < 7)?;
    read(index.table::<Total>(Table::Totals), |entry| entry.sum < 7)
}

fn read<F: DiskFile, E: Entry>(mut rows: Rows<'_, F, E>, before: impl Fn(&E) -> bool) -> Result<(), Damage> {
    for at in 0..rows.len() {
        assert!(rows.get(at)?.is_some(), "a table has as many entries as it says");
    }
    for from in [0, 1, rows.len() / 2, rows.len()] {
        assert!(rows.find(from, &before)? <= rows.len().max(from));
    }
    Ok(())
}

fn origin_of(bytes: &[u8]) -> Origin {
    let wide = |at: usize| bytes.get(at..).and_then(|rest| rest.first_chunk().copied());
    let long = |at: usize| {
        u64::from_le_bytes(bytes.get(at..).and_then(|rest| rest.first_chunk().copied()).unwrap_or_default())
    };
    Origin {
        store: StoreId(u128::from_le_bytes(wide(16).unwrap_or_default())),
        segment: long(32),
        first_sequence: long(40),
        next_sequence: long(48),
        hash: long(56),
    }
}
