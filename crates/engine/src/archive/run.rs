//! A run: documents in the order of their keys, written once and never changed.
//!
//! ```text
//!   block*       crc32c u32   rows, as checkpoints encode them, of whole documents: by key, about 16 KiB a block
//!   block*       crc32c u32   transfers without their lines, in the order in which they were requested
//!   block*       crc32c u32   orders, in the order in which they were placed
//!   block*       crc32c u32   proposals, in the order in which they were made
//!   directory    where each block begins, how long it is, and the first key in it; then the filter
//!   trailer      magic  version  counts and lengths  crc32c of the directory  crc32c of the trailer
//! ```
//!
//! All numbers are little-endian. The directory and the filter are kept in memory: about two bytes a document and
//! one entry for each block.

use std::io;

use jaego_domain::{
    Code, DocumentKey, Row, Timestamp,
    row::{Order, Proposal, Transfer},
};
use jaego_store::codec::row;

use super::{
    Error,
    key::{Filter, ORDER, bytes_of, document_of},
};
use crate::{
    disk::{Disk, DiskFile, WriteError},
    state::Sum,
};

const MAGIC: &[u8; 8] = b"jaegoarc";
const VERSION: u32 = 1;
/// Magic, version, blocks by key, blocks by request, documents, directory's offset and length, filter's length, two
/// checksums.
const TRAILER_LEN: usize = 8 + 4 + 4 + 4 + 8 + 8 + 8 + 8 + 4 + 4;
const CHECKSUM_LEN: usize = 4;
/// Bytes of rows after which a block is full. A document that is larger has a block of its own.
const BLOCK_LEN: usize = 16 << 10;
/// The largest block and directory that are read, so that damaged lengths cannot ask for all memory.
const BLOCK_LEN_MAX: u64 = 256 << 20;
const DIRECTORY_LEN_MAX: u64 = 4 << 30;

/// What stands before the sequence in the key of a block of orders: no sequence begins with it, so that these blocks
/// follow those of transfers.
const ORDERS: u8 = 0xff;

/// The same for blocks of proposals: the sequence of an order does not begin with it either.
const PROPOSALS: [u8; 2] = [ORDERS, 0xff];

fn order_key(placed: u64) -> Vec<u8> {
    [&[ORDERS], &placed.to_be_bytes()[..]].concat()
}

fn proposal_key(proposed: u64) -> Vec<u8> {
    [&PROPOSALS, &proposed.to_be_bytes()[..]].concat()
}

/// Where the reader of a list begins: at this event, and not before this time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Start {
    pub(super) event: u64,
    pub(super) since: Option<Timestamp>,
}

impl Start {
    fn has(self, event: u64, at: Timestamp) -> bool {
        event >= self.event && self.since.is_none_or(|since| at >= since)
    }
}

/// A document and its rows.
pub(super) type Document = (Vec<u8>, Vec<Row>);

/// The keys of a block that cannot be read, and why.
pub(super) struct Gap {
    from: Vec<u8>,
    /// The first key of the block behind it, if there is one.
    upto: Option<Vec<u8>>,
    pub(super) error: Error,
}

impl Gap {
    pub(super) fn has(&self, key: &[u8]) -> bool {
        *self.from <= *key && !self.is_before(key)
    }

    pub(super) fn is_before(&self, key: &[u8]) -> bool {
        self.upto.as_ref().is_some_and(|upto| **upto <= *key)
    }
}

/// A block: where it is, and the first key in it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Block {
    offset: u64,
    len: u32,
    first: Vec<u8>,
}

/// A run that can be read.
pub(super) struct Run<F> {
    pub(super) number: u64,
    pub(super) documents: u64,
    /// Bytes of its file.
    pub(super) len: u64,
    file: F,
    by_key: Vec<Block>,
    /// Their first keys are sequences, big-endian: those of transfers, behind [`ORDERS`] those of orders, and behind
    /// [`PROPOSALS`] those of proposals.
    by_request: Vec<Block>,
    filter: Filter,
}

/// The name of a run's file.
pub(crate) fn name(number: u64) -> String {
    format!("archive-{number:020}.run")
}

/// The number in a file's name, if it is a run's.
pub(super) fn number_of(name: &str) -> Option<u64> {
    name.strip_prefix("archive-")?.strip_suffix(".run")?.parse().ok()
}

impl<F: DiskFile> Run<F> {
    pub(super) fn open(disk: &impl Disk<File = F>, number: u64) -> Result<Self, Error> {
        let name = name(number);
        let io = |source| Error::io("read", &name, source);
        let file = disk.open(&name).map_err(|source| Error::io("open", &name, source))?;
        let len = file.len().map_err(io)?;
        let damaged = |what| Error::damaged(&name, what);
        let trailer_at = len.checked_sub(TRAILER_LEN as u64).ok_or(damaged("it is too short"))?;
        let mut trailer = [0; TRAILER_LEN];
        file.read_exact_at(&mut trailer, trailer_at).map_err(io)?;
        let long = |at: usize| u64::from_le_bytes(*trailer[at..].first_chunk().expect("within the trailer"));
        let short = |at: usize| u32::from_le_bytes(*trailer[at..].first_chunk().expect("within the trailer"));
        if !trailer.starts_with(MAGIC)
            || short(TRAILER_LEN - 4) != crc32c::crc32c(&trailer[..TRAILER_LEN - 4])
        {
            return Err(damaged("its trailer is another"));
        }
        if short(8) != VERSION {
            return Err(damaged("it was written by another version"));
        }
        let (keys, requests, documents) = (short(12), short(16), long(20));
        let (offset, directory_len, filter_len) = (long(28), long(36), long(44));
        if offset.checked_add(directory_len) != Some(trailer_at) || directory_len > DIRECTORY_LEN_MAX {
            return Err(damaged("its directory does not fit"));
        }
        let mut directory = vec![0; usize::try_from(directory_len).expect("DIRECTORY_LEN_MAX fits a usize")];
        file.read_exact_at(&mut directory, offset).map_err(io)?;
        if short(TRAILER_LEN - 8) != crc32c::crc32c(&directory) {
            return Err(damaged("the checksum of its directory is another"));
        }
        let filter_at = directory_len.checked_sub(filter_len).ok_or(damaged("its filter does not fit"))?;
        let (mut entries, filter) =
            directory.split_at(usize::try_from(filter_at).expect("it is below a length"));
        let by_key = take_blocks(&mut entries, keys).ok_or(damaged("its directory ends early"))?;
        let by_request = take_blocks(&mut entries, requests).ok_or(damaged("its directory ends early"))?;
        let filter = Filter::of_bytes(filter).ok_or(damaged("its filter has another length"))?;
        Ok(Self { number, documents, len, file, by_key, by_request, filter })
    }

    /// Whether a document may be in it; `false` is sure.
    pub(super) fn may_have(&self, hash: u64) -> bool {
        self.filter.may_have(hash)
    }

    /// The rows of a document; none if it is not in it.
    pub(super) fn get(&self, key: &DocumentKey, bytes: &[u8]) -> Result<Vec<Row>, Error> {
        let at = self.by_key.partition_point(|block| *block.first <= *bytes);
        let Some(block) = at.checked_sub(1).map(|at| &self.by_key[at]) else { return Ok(Vec::new()) };
        let mut rows = Vec::new();
        self.each_row(block, |row| {
            if document_of(&row).as_ref() == Some(key) {
                rows.push(row);
            }
        })?;
        Ok(rows)
    }

    /// All documents, in the order of their keys.
    pub(super) fn documents(&self) -> impl Iterator<Item = Result<Document, Error>> + '_ {
        self.by_key.iter().flat_map(|block| {
            let (documents, error) = self.documents_of(block);
            documents.into_iter().map(Ok).chain(error.map(Err))
        })
    }

    /// The documents of the blocks that have orders, in the order of their keys. Of a block that cannot be read there is
    /// none.
    pub(super) fn orders_by_key(&self) -> impl Iterator<Item = Result<Document, Gap>> + '_ {
        let begin = self.by_key.partition_point(|block| block.first[..] <= [ORDER][..]).saturating_sub(1);
        let end = self.by_key.partition_point(|block| block.first[..] < [ORDER + 1][..]);
        (begin..end).flat_map(|at| {
            let block = &self.by_key[at];
            let (documents, error) = self.documents_of(block);
            let upto = || self.by_key.get(at + 1).map(|next| next.first.clone());
            let gap = error.map(|error| Gap { from: block.first.clone(), upto: upto(), error });
            let read = if gap.is_none() { documents } else { Vec::new() };
            read.into_iter().map(Ok).chain(gap.map(Err))
        })
    }

    /// The documents of a block, and why it has no more of them.
    fn documents_of(&self, block: &Block) -> (Vec<Document>, Option<Error>) {
        let mut documents: Vec<Document> = Vec::new();
        let read = self.each_row(block, |row| {
            let Some(key) = document_of(&row).map(|key| bytes_of(&key)) else { return };
            match documents.last_mut() {
                Some((last, rows)) if *last == key => rows.push(row),
                _ => documents.push((key, vec![row])),
            }
        });
        (documents, read.err())
    }

    /// The transfers that were requested at `from` or later, oldest first.
    pub(super) fn transfers(
        &self,
        from: Start,
    ) -> Result<impl Iterator<Item = Result<(Code, Transfer), Error>> + '_, Error> {
        let blocks = &self.by_request[..self.blocks_before(&[ORDERS])];
        let blocks = self.blocks_from(blocks, &from.event.to_be_bytes(), from.since, |row| match row {
            Row::Transfer(_, Some(transfer)) => Some(transfer.requested_at),
            _ => None,
        })?;
        Ok(blocks.iter().flat_map(move |block| {
            let mut transfers = Vec::new();
            let read = self.each_row(block, |row| {
                if let Row::Transfer(id, Some(transfer)) = row
                    && from.has(transfer.requested.0, transfer.requested_at)
                {
                    transfers.push((id, *transfer));
                }
            });
            let error = read.err().map(Err);
            transfers.into_iter().map(Ok).chain(error)
        }))
    }

    /// The orders that were placed at `from` or later, oldest first.
    pub(super) fn orders(
        &self,
        from: Start,
    ) -> Result<impl Iterator<Item = Result<(Code, Order), Error>> + '_, Error> {
        let blocks = &self.by_request[self.blocks_before(&[ORDERS])..self.blocks_before(&PROPOSALS)];
        let blocks = self.blocks_from(blocks, &order_key(from.event), from.since, |row| match row {
            Row::Order(_, Some(order)) => Some(order.placed_at),
            _ => None,
        })?;
        Ok(blocks.iter().flat_map(move |block| {
            let mut orders = Vec::new();
            let read = self.each_row(block, |row| {
                if let Row::Order(id, Some(order)) = row
                    && from.has(order.placed.0, order.placed_at)
                {
                    orders.push((id, *order));
                }
            });
            let error = read.err().map(Err);
            orders.into_iter().map(Ok).chain(error)
        }))
    }

    /// The proposals that were made at `from` or later, oldest first.
    pub(super) fn proposals(&self, from: u64) -> impl Iterator<Item = Result<(Code, Proposal), Error>> + '_ {
        let blocks = &self.by_request[self.blocks_before(&PROPOSALS)..];
        let at = blocks.partition_point(|block| block.first <= proposal_key(from));
        blocks[at.saturating_sub(1)..].iter().flat_map(move |block| {
            let mut proposals = Vec::new();
            let read = self.each_row(block, |row| {
                if let Row::Proposal(id, Some(proposal)) = row
                    && proposal.proposed.0 >= from
                {
                    proposals.push((id, *proposal));
                }
            });
            let error = read.err().map(Err);
            proposals.into_iter().map(Ok).chain(error)
        })
    }

    /// The blocks of a list from the one on in which the key lies, and the time: it passes in the order of the events, so
    /// that a few blocks' first rows tell where.
    fn blocks_from<'a>(
        &self,
        blocks: &'a [Block],
        key: &[u8],
        since: Option<Timestamp>,
        at: impl Fn(&Row) -> Option<Timestamp>,
    ) -> Result<&'a [Block], Error> {
        let begin = blocks.partition_point(|block| *block.first <= *key).saturating_sub(1);
        let blocks = &blocks[begin..];
        let Some(since) = since else { return Ok(blocks) };
        let (mut before, mut end) = (0, blocks.len());
        while end - before > 1 {
            let middle = before.midpoint(end);
            let mut first = None;
            self.each_row(&blocks[middle], |row| first = first.or_else(|| at(&row)))?;
            if first.is_some_and(|first| first < since) { before = middle } else { end = middle }
        }
        Ok(&blocks[before..])
    }

    /// How many of the blocks of lists come before those whose keys begin so.
    fn blocks_before(&self, beginning: &[u8]) -> usize {
        self.by_request.partition_point(|block| *block.first < *beginning)
    }

    /// Reads all of it, and proves that both orders have the same transfers, orders and proposals.
    pub(super) fn check(&self) -> Result<(), Error> {
        let mut encoder = row::Encoder::new();
        let (mut by_key, mut by_request) = (Sum::default(), Sum::default());
        let mut add = |sum: &mut Sum, row: &Row| {
            sum.push(&mut encoder, row);
            encoder.clear();
        };
        for document in self.documents() {
            let listed = document?.1.into_iter();
            let listed =
                listed.filter(|row| matches!(row, Row::Transfer(..) | Row::Order(..) | Row::Proposal(..)));
            listed.for_each(|row| add(&mut by_key, &row));
        }
        for transfer in self.transfers(Start::default())? {
            let (id, transfer) = transfer?;
            add(&mut by_request, &Row::Transfer(id, Some(Box::new(transfer))));
        }
        for order in self.orders(Start::default())? {
            let (id, order) = order?;
            add(&mut by_request, &Row::Order(id, Some(Box::new(order))));
        }
        for proposal in self.proposals(0) {
            let (id, proposal) = proposal?;
            add(&mut by_request, &Row::Proposal(id, Some(Box::new(proposal))));
        }
        if (by_key.rows, by_key.hash) != (by_request.rows, by_request.hash) {
            return Err(Error::damaged(
                &name(self.number),
                "its two orders have different transfers, orders or proposals",
            ));
        }
        Ok(())
    }

    fn each_row(&self, block: &Block, mut visit: impl FnMut(Row)) -> Result<(), Error> {
        let name = name(self.number);
        if u64::from(block.len) > BLOCK_LEN_MAX || (block.len as usize) < CHECKSUM_LEN {
            return Err(Error::damaged(&name, "a block's length cannot be"));
        }
        let mut bytes = vec![0; block.len as usize];
        let read = self.file.read_exact_at(&mut bytes, block.offset);
        read.map_err(|source| Error::io("read", &name, source))?;
        let (crc, rows) = bytes.split_at(CHECKSUM_LEN);
        if crc != crc32c::crc32c(rows).to_le_bytes() {
            return Err(Error::damaged(&name, "a block's checksum is another"));
        }
        let decode = |source| Error::Rows { file: name.clone(), source };
        for row in row::decode(rows).map_err(decode)? {
            visit(row.map_err(decode)?);
        }
        Ok(())
    }
}

fn take_blocks(entries: &mut &[u8], count: u32) -> Option<Vec<Block>> {
    let mut take = |len: usize| {
        let (taken, rest) = entries.split_at_checked(len)?;
        *entries = rest;
        Some(taken)
    };
    let mut blocks = Vec::new();
    for _ in 0..count {
        let offset = u64::from_le_bytes(take(8)?.try_into().ok()?);
        let len = u32::from_le_bytes(take(4)?.try_into().ok()?);
        let first_len = u16::from_le_bytes(take(2)?.try_into().ok()?);
        let first = take(first_len.into())?.to_vec();
        blocks.push(Block { offset, len, first });
    }
    Some(blocks)
}

/// Writes a run. When this returns, its content is durable, and its name is after the next sync of the folder.
///
/// `documents` come in the order of their keys, `transfers` in that of their requests, `orders` in that of their
/// placing, and `proposals` in that of their making; `count` says how many documents there are at the most.
pub(super) fn write<D: Disk>(
    disk: &D,
    number: u64,
    count: usize,
    documents: impl Iterator<Item = Result<Document, Error>>,
    transfers: impl Iterator<Item = Result<(Code, Transfer), Error>>,
    orders: impl Iterator<Item = Result<(Code, Order), Error>>,
    proposals: impl Iterator<Item = Result<(Code, Proposal), Error>>,
) -> Result<(), Error> {
    let name = name(number);
    let file = disk.create(&name, 0).map_err(|source| Error::io("create", &name, source))?;
    let mut draft = Draft { file, name, offset: 0, encoder: row::Encoder::new(), first: Vec::new() };
    let mut filter = Filter::for_keys(count);
    let (mut by_key, mut by_request, mut written) = (Vec::new(), Vec::new(), 0_u64);
    for document in documents {
        let (key, rows) = document?;
        filter.insert(&key);
        written += 1;
        draft.push(key, &rows, &mut by_key)?;
    }
    draft.end_block(&mut by_key)?;
    for transfer in transfers {
        let (id, transfer) = transfer?;
        let key = transfer.requested.0.to_be_bytes().to_vec();
        draft.push(key, &[Row::Transfer(id, Some(Box::new(transfer)))], &mut by_request)?;
    }
    draft.end_block(&mut by_request)?;
    for order in orders {
        let (id, order) = order?;
        let key = order_key(order.placed.0);
        draft.push(key, &[Row::Order(id, Some(Box::new(order)))], &mut by_request)?;
    }
    draft.end_block(&mut by_request)?;
    for proposal in proposals {
        let (id, proposal) = proposal?;
        let key = proposal_key(proposal.proposed.0);
        draft.push(key, &[Row::Proposal(id, Some(Box::new(proposal)))], &mut by_request)?;
    }
    draft.end_block(&mut by_request)?;
    draft.end(&by_key, &by_request, written, &filter)
}

struct Draft<F> {
    file: F,
    name: String,
    offset: u64,
    encoder: row::Encoder,
    /// The first key of the block that is being filled.
    first: Vec<u8>,
}

impl<F: DiskFile> Draft<F> {
    fn push(&mut self, key: Vec<u8>, rows: &[Row], blocks: &mut Vec<Block>) -> Result<(), Error> {
        if self.encoder.is_empty() {
            self.first = key;
        }
        rows.iter().for_each(|row| self.encoder.push(row));
        if self.encoder.payload().len() >= BLOCK_LEN { self.end_block(blocks) } else { Ok(()) }
    }

    fn end_block(&mut self, blocks: &mut Vec<Block>) -> Result<(), Error> {
        if self.encoder.is_empty() {
            return Ok(());
        }
        let crc = crc32c::crc32c(self.encoder.payload()).to_le_bytes();
        let bytes = [&crc, self.encoder.payload()].concat();
        let len = u32::try_from(bytes.len()).expect("a document is smaller than 4 GiB");
        blocks.push(Block { offset: self.offset, len, first: std::mem::take(&mut self.first) });
        self.encoder.clear();
        self.write(&bytes)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let written = self.file.write_all_at(bytes, self.offset);
        written.map_err(|WriteError { source, .. }| Error::io("write", &self.name, source))?;
        self.offset += bytes.len() as u64;
        Ok(())
    }

    fn end(
        mut self,
        by_key: &[Block],
        by_request: &[Block],
        documents: u64,
        filter: &Filter,
    ) -> Result<(), Error> {
        let mut directory = Vec::new();
        for block in by_key.iter().chain(by_request) {
            let first_len = u16::try_from(block.first.len()).expect("two codes and a kind fit a u16");
            directory.extend_from_slice(&block.offset.to_le_bytes());
            directory.extend_from_slice(&block.len.to_le_bytes());
            directory.extend_from_slice(&first_len.to_le_bytes());
            directory.extend_from_slice(&block.first);
        }
        directory.extend_from_slice(filter.bytes());
        let count = |blocks: &[Block]| u32::try_from(blocks.len()).expect("a run has fewer than 2^32 blocks");
        let mut trailer = Vec::with_capacity(TRAILER_LEN);
        trailer.extend_from_slice(MAGIC);
        trailer.extend_from_slice(&VERSION.to_le_bytes());
        trailer.extend_from_slice(&count(by_key).to_le_bytes());
        trailer.extend_from_slice(&count(by_request).to_le_bytes());
        trailer.extend_from_slice(&documents.to_le_bytes());
        trailer.extend_from_slice(&self.offset.to_le_bytes());
        trailer.extend_from_slice(&(directory.len() as u64).to_le_bytes());
        trailer.extend_from_slice(&(filter.bytes().len() as u64).to_le_bytes());
        trailer.extend_from_slice(&crc32c::crc32c(&directory).to_le_bytes());
        let crc = crc32c::crc32c(&trailer);
        trailer.extend_from_slice(&crc.to_le_bytes());
        self.write(&directory)?;
        self.write(&trailer)?;
        self.file.sync_data().map_err(|source: io::Error| Error::io("sync", &self.name, source))
    }
}

/// A run that nobody wrote, with the checksums of one that was written.
#[cfg(feature = "fuzz")]
pub(crate) fn mend(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let Some(trailer_at) = bytes.len().checked_sub(TRAILER_LEN) else { return bytes };
    let (body, trailer) = bytes.split_at_mut(trailer_at);
    let long =
        |bytes: &[u8], at: usize| u64::from_le_bytes(*bytes[at..].first_chunk().expect("within the trailer"));
    let offset = usize::try_from(long(trailer, 28)).unwrap_or(usize::MAX);
    if let Some((blocks, directory)) = body.split_at_mut_checked(offset) {
        let counts =
            [12, 16].map(|at| u32::from_le_bytes(*trailer[at..].first_chunk().expect("in the trailer")));
        let mut entries = &directory[..];
        for block in take_blocks(&mut entries, counts[0].saturating_add(counts[1])).unwrap_or_default() {
            let start = usize::try_from(block.offset).unwrap_or(usize::MAX);
            let Some(bytes) = blocks.get_mut(start..start.saturating_add(block.len as usize)) else {
                continue;
            };
            if let Some((checksum, rows)) = bytes.split_first_chunk_mut::<CHECKSUM_LEN>() {
                *checksum = crc32c::crc32c(rows).to_le_bytes();
            }
        }
        trailer[TRAILER_LEN - 8..TRAILER_LEN - 4].copy_from_slice(&crc32c::crc32c(directory).to_le_bytes());
    }
    let checksum = crc32c::crc32c(&trailer[..TRAILER_LEN - 4]);
    trailer[TRAILER_LEN - 4..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}
