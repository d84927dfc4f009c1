//! Looks into an index, a block at a time. What a block says is believed only when its checksum is right.

use std::{io, marker::PhantomData};

use super::format::{BLOCK_LEN, Block, Entry, Layout, Origin, Table, entries_a_block};
use crate::disk::DiskFile;

/// Why an index cannot be used, so that it is made anew.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Damage {
    #[error("it cannot be read")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Bytes(&'static str),
}

/// An index of a sealed segment.
pub(crate) struct Index<F> {
    source: Source<F>,
    pub(crate) origin: Origin,
    layout: Layout,
}

enum Source<F> {
    File(F),
    /// One that found no room on the disk.
    Memory(Vec<u8>),
}

impl<F: DiskFile> Index<F> {
    /// Opens the index of this origin.
    pub(crate) fn open(file: F, origin: Origin) -> Result<Self, Damage> {
        let mut first = [0; BLOCK_LEN];
        let len = file.len()?;
        if len < BLOCK_LEN as u64 {
            return Err(Damage::Bytes("it is shorter than a block"));
        }
        file.read_exact_at(&mut first, 0)?;
        let Some(layout) = Layout::decode(&first, &origin) else {
            return Err(Damage::Bytes("its first block is not the one of this segment"));
        };
        if layout.file_len() != len {
            return Err(Damage::Bytes("its length is another"));
        }
        Ok(Self { source: Source::File(file), origin, layout })
    }

    /// An index that is kept in memory only.
    pub(crate) fn in_memory(bytes: Vec<u8>, origin: Origin, layout: Layout) -> Self {
        Self { source: Source::Memory(bytes), origin, layout }
    }

    /// The bytes that it takes.
    pub(crate) fn len(&self) -> u64 {
        self.layout.file_len()
    }

    fn block(&self, number: u64, into: &mut Block) -> Result<(), Damage> {
        let offset = number * BLOCK_LEN as u64;
        match &self.source {
            Source::File(file) => file.read_exact_at(into, offset)?,
            Source::Memory(bytes) => {
                let offset = usize::try_from(offset).expect("what is in memory has addresses");
                into.copy_from_slice(&bytes[offset..offset + BLOCK_LEN]);
            }
        }
        if self.origin.is_whole(number, into) {
            Ok(())
        } else {
            Err(Damage::Bytes("the checksum of a block is wrong"))
        }
    }

    /// Looks into a table.
    pub(crate) fn table<E: Entry>(&self, table: Table) -> Rows<'_, F, E> {
        Rows {
            index: self,
            first_block: self.layout.first_block(table),
            len: self.layout.count(table),
            block: Box::new([0; BLOCK_LEN]),
            number: 0,
            entry: PhantomData,
        }
    }
}

/// A look into a table: it keeps the block that it read last.
pub(crate) struct Rows<'a, F, E> {
    index: &'a Index<F>,
    first_block: u64,
    len: u64,
    block: Box<Block>,
    /// The block's number; 0, which is no table's, before the first.
    number: u64,
    entry: PhantomData<E>,
}

impl<F: DiskFile, E: Entry> Rows<'_, F, E> {
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The entry of this number; `None` behind the last.
    pub(crate) fn get(&mut self, at: u64) -> Result<Option<E>, Damage> {
        if at >= self.len {
            return Ok(None);
        }
        let in_a_block = entries_a_block(E::LEN);
        let number = self.first_block + at / in_a_block;
        if number != self.number {
            // Forgotten first: after an error the block holds nothing that may be believed.
            self.number = 0;
            self.index.block(number, &mut self.block)?;
            self.number = number;
        }
        let offset = usize::try_from(at % in_a_block).expect("a block has few entries") * E::LEN;
        Ok(Some(E::get(&self.block[offset..offset + E::LEN])))
    }

    /// The first entry from `from` on that is not `before` what is looked for. Steps that grow come first: what is
    /// looked for is mostly close by, often in the same block.
    pub(crate) fn find(&mut self, from: u64, before: impl Fn(&E) -> bool) -> Result<u64, Damage> {
        let (mut low, mut step) = (from, 1);
        loop {
            let at = low.saturating_add(step - 1);
            match self.get(at)? {
                Some(entry) if before(&entry) => {
                    low = at + 1;
                    step *= 2;
                }
                Some(_) => return self.find_between(low, at, before),
                None => return self.find_between(low, self.len.max(low), before),
            }
        }
    }

    /// The first of the entries `low .. high` that is not `before` what is looked for; `high` if all are.
    pub(crate) fn find_between(
        &mut self,
        mut low: u64,
        mut high: u64,
        before: impl Fn(&E) -> bool,
    ) -> Result<u64, Damage> {
        while low < high {
            let middle = low + (high - low) / 2;
            match self.get(middle)? {
                Some(entry) if before(&entry) => low = middle + 1,
                _ => high = middle,
            }
        }
        Ok(low)
    }
}
