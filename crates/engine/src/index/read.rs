//! Looks into an index, a block at a time. What a block says is believed only when its checksum is right.

use std::{io, marker::PhantomData};

use super::{
    Error,
    format::{BLOCK_LEN, Block, Entry, FrameEntry, Layout, Origin, Table, entries_a_block},
};
use crate::{
    disk::DiskFile,
    journal::{Position, SECTOR_LEN},
};

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

    /// Looks for the frames of events, from the first one on.
    pub(crate) fn frames(&self) -> FrameSearch<'_, F> {
        FrameSearch { frames: self.table(Table::Frames), last: None }
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

/// Looks for frames, each not before the last one: what it read last it keeps.
pub(crate) struct FrameSearch<'a, F> {
    frames: Rows<'a, F, FrameEntry>,
    /// The frame that was found last; `None` before the first.
    last: Option<u64>,
}

impl<F: DiskFile> FrameSearch<'_, F> {
    /// Where the frame lies that holds an event of the segment.
    pub(crate) fn frame_of(&mut self, sequence: u64) -> Result<Option<Position>, Error> {
        let Origin { segment, first_sequence, .. } = self.frames.index.origin;
        let number = u32::try_from(sequence.saturating_sub(first_sequence)).unwrap_or(u32::MAX);
        let frame = self.search(number).map_err(|source| Error::Index { segment, source })?;
        let offset = |frame: FrameEntry| u64::from(frame.sector) * SECTOR_LEN as u64;
        Ok(frame.map(|frame| Position { segment, offset: offset(frame) }))
    }

    fn search(&mut self, number: u32) -> Result<Option<FrameEntry>, Damage> {
        let is_not_after = |frame: &FrameEntry| frame.sequence <= number;
        let behind = match self.last {
            Some(last) => self.frames.find(last, is_not_after)?,
            // By halves: any frame of the segment may be meant.
            None => self.frames.find_between(0, self.frames.len(), is_not_after)?,
        };
        self.last = behind.checked_sub(1);
        self.last.map_or(Ok(None), |at| self.frames.get(at))
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

#[cfg(test)]
mod tests {
    use jaego_domain::{
        Code, Event, Fact, LocationId, LotId, Name, Outside, Place, Quantity, Sequence, SiteId, SkuId,
        Timestamp, event::AdjustedLine,
    };
    use jaego_store::codec;

    use super::*;
    use crate::{
        disk::{Disk, RealDisk},
        index::{
            draft::Draft,
            format::{Leg, Posting, Span, Total},
        },
        journal::{Frame, StoreId},
    };

    const ORIGIN: Origin =
        Origin { store: StoreId(7), segment: 3, first_sequence: 11, next_sequence: 411, hash: 0x5eed };

    fn adjusted(sequence: u64) -> Event {
        let number = u32::try_from(sequence).unwrap();
        let place = Place { location: LocationId(number % 5), sku: SkuId(number % 7), lot: LotId::NONE };
        let line = AdjustedLine {
            place,
            outside: Outside::Supplier,
            increase: true,
            quantity: Quantity::stored(1 + sequence % 3),
            counted: false,
            freed: Vec::new(),
        };
        let id = Code::new("id", &format!("J{sequence}")).unwrap();
        let fact = Fact::Adjusted { id, body: 0, reason: Name::default(), lines: vec![line] };
        let by = Code::new("by", "tester").unwrap();
        Event { sequence: Sequence(sequence), at: Timestamp(sequence * 10), by, keyed: None, fact }
    }

    /// An index of four hundred adjustments, in frames of ten.
    fn bytes() -> Vec<u8> {
        let mut draft = Draft::new(ORIGIN.segment, ORIGIN.first_sequence);
        for first in (ORIGIN.first_sequence..ORIGIN.next_sequence).step_by(10) {
            let events: Vec<_> = (first..first + 10).map(adjusted).collect();
            let payload = codec::encode(&events);
            let position = Position { segment: ORIGIN.segment, offset: first * 512 };
            let frame = Frame { position, first_sequence: first, count: 10, payload: &payload };
            draft.take(&frame, &[SiteId(0), SiteId(1), SiteId(0), SiteId(1), SiteId(2)]).unwrap();
        }
        let mut bytes = Vec::new();
        let write = |piece: &[u8]| {
            bytes.extend_from_slice(piece);
            Ok::<(), Damage>(())
        };
        draft.sort().encode(&ORIGIN, write).unwrap();
        bytes
    }

    /// Everything that an index says, in words.
    fn read_all<F: DiskFile>(index: &Index<F>) -> Result<String, Damage> {
        fn rows<F: DiskFile, E: Entry + std::fmt::Debug>(
            index: &Index<F>,
            table: Table,
            text: &mut String,
        ) -> Result<(), Damage> {
            let mut rows: Rows<'_, F, E> = index.table(table);
            let mut at = 0;
            while let Some(entry) = rows.get(at)? {
                text.push_str(&format!("{entry:?}\n"));
                at += 1;
            }
            Ok(())
        }
        let mut text = String::new();
        rows::<F, FrameEntry>(index, Table::Frames, &mut text)?;
        for table in [Table::Documents, Table::Skus, Table::Sites] {
            rows::<F, Posting>(index, table, &mut text)?;
        }
        rows::<F, Span>(index, Table::Places, &mut text)?;
        rows::<F, Leg>(index, Table::Legs, &mut text)?;
        rows::<F, Total>(index, Table::Totals, &mut text)?;
        Ok(text)
    }

    #[test]
    fn an_index_reads_back_and_notices_what_was_changed_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let disk = RealDisk::open(folder.path()).unwrap();
        let bytes = bytes();
        assert_eq!(bytes.len() % BLOCK_LEN, 0);
        let file = disk.create("index", bytes.len() as u64).unwrap();
        file.write_all_at(&bytes, 0).unwrap();
        let open = || Index::open(disk.open("index").unwrap(), ORIGIN);
        let whole = read_all(&open().unwrap()).unwrap();
        assert_eq!(whole.lines().count(), 40 + 3 * 400 + 35 + 400 + 35);
        // Every byte is changed in one of its bits, another one each.
        for at in 0..bytes.len() {
            file.write_all_at(&[bytes[at] ^ (1 << (at % 8))], at as u64).unwrap();
            let read = open().and_then(|index| read_all(&index));
            assert!(read.is_err(), "byte {at} was changed, and nobody noticed");
            file.write_all_at(&bytes[at..=at], at as u64).unwrap();
        }
        assert_eq!(read_all(&open().unwrap()).unwrap(), whole);
        for other in [
            Origin { store: StoreId(8), ..ORIGIN },
            Origin { segment: 4, ..ORIGIN },
            Origin { hash: 0, ..ORIGIN },
            Origin { next_sequence: 412, ..ORIGIN },
        ] {
            assert!(Index::open(disk.open("index").unwrap(), other).is_err(), "{other:?}");
        }
    }
}
