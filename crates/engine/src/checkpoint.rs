//! A checkpoint is a recovery that writes down where it got to: all rows, flat, beside the journal.
//!
//! ```text
//!   checkpoint-<sequence>.<part>   magic  crc32c of the rows  the rows, encoded      16 + len bytes
//!   checkpoint-<sequence>.done     the manifest: which store, the parts, how many rows, their hash, and the archive's
//!                                  runs that belong to it
//! ```
//!
//! The manifest comes last and under another name until it is durable, so that a checkpoint is there whole or
//! not at all. All numbers are little-endian.

use std::{io, sync::Arc};

use jaego_domain::{Memory, Row, Sequence, Tables};
use jaego_store::codec::{self, row};

use crate::{
    ahead::{self, Hands},
    disk::{Disk, DiskFile, WriteError},
    journal::StoreId,
    state::Sum,
};

const PART_MAGIC: &[u8; 8] = b"jaegocpp";
const DONE_MAGIC: &[u8; 8] = b"jaegocpd";
/// The version that this code writes. The first had no archive, and in the first two wallets did not say how much of what
/// they paid was for orders.
const VERSION: u32 = 3;
/// The version before it.
const WITHOUT_SOLD: u32 = 2;
const PART_HEADER_LEN: usize = 16;
const PART_LEN_ENTRY: usize = 8;
/// Magic, version, parts, store, sequence, rows, hash. The parts' lengths follow, and the archive's runs.
const DONE_HEADER_LEN: usize = 8 + 4 + 4 + 16 + 8 + 8 + 16;
/// Bytes of rows after which a part is full.
const PART_LEN: usize = 8 << 20;
/// The largest manifest and part that are read, so that damaged lengths cannot ask for all memory.
const PARTS_MAX: usize = 1 << 20;
/// Runs of the archive that one checkpoint lists at the most; merging keeps them to a few dozen.
const RUNS_MAX: usize = 4_096;
const PART_LEN_MAX: u64 = 256 << 20;
/// Rows that are put at a time: few enough to stay in the caches between being decoded and being put.
const ROWS_LEN: usize = 1_024;

/// How many good checkpoints are kept: the newest, and one to fall back to.
pub const KEPT: usize = 2;

/// Why there is no checkpoint.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The disk failed or is full.
    #[error("cannot {doing} checkpoint file {file}")]
    Io {
        /// The verb: what was being done.
        doing: &'static str,
        /// The file's name in the store's folder.
        file: String,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// The bytes are not those that were written.
    #[error("checkpoint file {file} is damaged: {what}")]
    Damaged {
        /// The file's name in the store's folder.
        file: String,
        /// What is wrong.
        what: String,
    },
    /// The rows cannot be read.
    #[error("checkpoint file {file} cannot be decoded")]
    Rows {
        /// The file's name in the store's folder.
        file: String,
        /// Where and why.
        #[source]
        source: codec::Error,
    },
}

impl Error {
    fn io(doing: &'static str, file: &str, source: io::Error) -> Self {
        Self::Io { doing, file: file.to_owned(), source: Arc::new(source) }
    }

    /// Whether a file is not there.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    fn damaged(file: &str, what: impl Into<String>) -> Self {
        Self::Damaged { file: file.to_owned(), what: what.into() }
    }
}

/// What a manifest says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The store.
    pub store: StoreId,
    /// The last event in it.
    pub sequence: Sequence,
    /// How many rows there are.
    pub rows: u64,
    /// Their hash, as [`crate::state_hash`] makes it.
    pub hash: u128,
    /// The numbers of the archive's runs, newest first.
    pub archive: Vec<u64>,
    /// Whether its wallets say how much of what they paid was for orders.
    pub counts_sold: bool,
    parts: Vec<u64>,
}

impl Manifest {
    /// Bytes of all rows: what it takes to load them, and to write them again.
    pub fn rows_len(&self) -> u64 {
        self.parts.iter().sum()
    }

    /// The names of the files that belong to it, the archive's runs among them, and the manifest's own last.
    pub fn files(&self) -> Vec<String> {
        let mut files: Vec<_> = (0..self.parts.len()).map(|part| part_name(self.sequence, part)).collect();
        files.extend(crate::archive::files(&self.archive));
        files.push(done_name(self.sequence));
        files
    }
}

fn part_name(sequence: Sequence, part: usize) -> String {
    format!("checkpoint-{:020}.{part:06}", sequence.0)
}

fn done_name(sequence: Sequence) -> String {
    format!("checkpoint-{:020}.done", sequence.0)
}

/// The sequence in a checkpoint file's name.
fn sequence_of(name: &str) -> Option<Sequence> {
    name.strip_prefix("checkpoint-")?.split_once('.')?.0.parse().ok().map(Sequence)
}

/// The sequences of the checkpoints that are there whole, newest first.
pub fn list(disk: &impl Disk) -> Result<Vec<Sequence>, Error> {
    let names = disk.list().map_err(|source| Error::io("list", "of the folder", source))?;
    let mut found: Vec<_> =
        names.iter().filter(|name| name.ends_with(".done")).filter_map(|name| sequence_of(name)).collect();
    found.sort_unstable_by(|a, b| b.cmp(a));
    Ok(found)
}

/// Writes a checkpoint of these tables, and of the archive of these runs. When this returns it is durable.
///
/// # Errors
/// If the disk fails or is full. What was written so far is removed again: the journal may need the room.
pub fn write(disk: &impl Disk, store: StoreId, memory: &Memory, archive: &[u64]) -> Result<Manifest, Error> {
    let sequence = memory.head().sequence;
    clear(disk, |other| other == sequence)?;
    write_files(disk, store, memory, archive).inspect_err(|_| {
        // The first error is the one to tell; a disk that fails again leaves the rest to the next pruning.
        let _ = clear(disk, |other| other == sequence);
    })
}

fn write_files(
    disk: &impl Disk,
    store: StoreId,
    memory: &Memory,
    archive: &[u64],
) -> Result<Manifest, Error> {
    let sequence = memory.head().sequence;
    let mut parts = Vec::new();
    let mut sum = Sum::default();
    let mut encoder = row::Encoder::new();
    for row in memory.rows() {
        sum.push(&mut encoder, &row);
        if encoder.payload().len() >= PART_LEN {
            parts.push(write_part(disk, sequence, parts.len(), encoder.payload())?);
            encoder.clear();
        }
    }
    if !encoder.is_empty() {
        parts.push(write_part(disk, sequence, parts.len(), encoder.payload())?);
    }
    let archive = archive.to_vec();
    let manifest =
        Manifest { store, sequence, rows: sum.rows, hash: sum.hash, archive, counts_sold: true, parts };
    let name = done_name(sequence);
    let temporary = format!("{name}.tmp");
    write_file(disk, &temporary, &[&encode(&manifest)])?;
    // The names of the parts and of the runs must be there before the manifest says that they are.
    let sync = || disk.sync().map_err(|source| Error::io("sync the folder of", &name, source));
    sync()?;
    disk.rename(&temporary, &name).map_err(|source| Error::io("rename", &temporary, source))?;
    sync()?;
    Ok(manifest)
}

/// Removes all that are older than the newest checkpoints, and what a crash left of unfinished ones. Those that are
/// known to be `useless` do not count among the newest: there must be a good one to fall back to.
pub fn prune(disk: &impl Disk, useless: &[Sequence]) -> Result<(), Error> {
    let mut good = 0;
    let mut kept = list(disk)?;
    kept.retain(|sequence| {
        let is_kept = good < KEPT;
        good += usize::from(!useless.contains(sequence));
        is_kept
    });
    clear(disk, |sequence| !kept.contains(&sequence))
}

/// The numbers of the archive's runs that some checkpoint lists; `None` where a checkpoint cannot be read and may
/// list others.
pub fn listed_runs(disk: &impl Disk) -> Result<Option<Vec<u64>>, Error> {
    let mut listed = Vec::new();
    for sequence in list(disk)? {
        match read_manifest(disk, sequence) {
            Ok(manifest) => listed.extend(manifest.archive),
            Err(Error::Damaged { .. }) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Ok(Some(listed))
}

fn clear(disk: &impl Disk, is_old: impl Fn(Sequence) -> bool) -> Result<(), Error> {
    let mut names = disk.list().map_err(|source| Error::io("list", "of the folder", source))?;
    // Manifests first: a checkpoint must not be there without its parts.
    names.sort_unstable_by_key(|name| !name.ends_with(".done"));
    for name in names {
        if sequence_of(&name).is_some_and(&is_old) {
            disk.remove(&name).map_err(|source| Error::io("remove", &name, source))?;
        }
    }
    Ok(())
}

/// Loads the checkpoint of this sequence into empty tables, on two threads: one decodes what the other puts.
///
/// # Errors
/// If a file cannot be read or is damaged, or the rows are not those whose hash the manifest has.
pub fn load(disk: &impl Disk, sequence: Sequence) -> Result<(Manifest, Memory), Error> {
    load_with(disk, sequence, Hands::Two)
}

/// As [`load`], by so many hands.
pub(crate) fn load_with(
    disk: &impl Disk,
    sequence: Sequence,
    hands: Hands,
) -> Result<(Manifest, Memory), Error> {
    let manifest = read_manifest(disk, sequence)?;
    let mut memory = Memory::new();
    let mut sum = Sum::default();
    let mut parts = manifest.parts.iter().enumerate();
    let next = || {
        let Some((part, len)) = parts.next() else { return Ok(None) };
        let name = part_name(sequence, part);
        let bytes = read_file(disk, &name, *len)?;
        Ok(Some((name, bytes)))
    };
    let take = |rows: Result<Rows, Error>| {
        let rows = rows?;
        sum.add(&rows.sum);
        memory.load(rows.rows);
        Ok(())
    };
    ahead::in_order(hands, next, |(name, bytes), result| read_part(&name, &bytes, result), take)?;
    if (sum.rows, sum.hash) != (manifest.rows, manifest.hash) || memory.head().sequence != sequence {
        let what = format!("{} rows up to event {} are not those it names", sum.rows, memory.head().sequence);
        return Err(Error::damaged(&done_name(sequence), what));
    }
    Ok((manifest, memory))
}

/// Some rows of a part.
struct Rows {
    rows: Vec<Row>,
    sum: Sum,
}

/// Checks and decodes a part, and gives its rows in some pieces or says what is wrong.
fn read_part(name: &str, bytes: &[u8], give: &mut dyn FnMut(Result<Rows, Error>)) {
    if let Err(error) = decode_part(name, bytes, &mut |rows| give(Ok(rows))) {
        give(Err(error));
    }
}

fn decode_part(name: &str, bytes: &[u8], give: &mut dyn FnMut(Rows)) -> Result<(), Error> {
    let payload = payload_of(name, bytes)?;
    let decode = |source| Error::Rows { file: name.to_owned(), source };
    let mut decoded = row::decode(payload).map_err(decode)?;
    let mut start = decoded.at();
    loop {
        let mut rows = Vec::with_capacity(ROWS_LEN);
        let mut sum = Sum::default();
        while rows.len() < ROWS_LEN
            && let Some(row) = decoded.next()
        {
            rows.push(row.map_err(decode)?);
            // The bytes as they stand: a newer version may encode the same row in another way.
            sum.push_encoded(&payload[start..decoded.at()]);
            start = decoded.at();
        }
        if rows.is_empty() {
            return Ok(());
        }
        give(Rows { rows, sum });
    }
}

/// The rows of a part, encoded, once its checksum says that they are those that were written.
fn payload_of<'b>(name: &str, bytes: &'b [u8]) -> Result<&'b [u8], Error> {
    let (header, payload) = bytes.split_at_checked(PART_HEADER_LEN).unwrap_or_default();
    if !header.starts_with(PART_MAGIC) {
        return Err(Error::damaged(name, "it does not begin like a part"));
    }
    if header[8..12] != crc32c::crc32c(payload).to_le_bytes() {
        return Err(Error::damaged(name, "its checksum is another"));
    }
    Ok(payload)
}

/// The manifest of a checkpoint whose files are as they were written: its parts by their checksums, while no row is decoded,
/// and the archive's runs by being there.
///
/// # Errors
/// If a file cannot be read, is gone or is damaged.
pub(crate) fn check(disk: &impl Disk, sequence: Sequence) -> Result<Manifest, Error> {
    let manifest = read_manifest(disk, sequence)?;
    for (part, len) in manifest.parts.iter().enumerate() {
        let name = part_name(sequence, part);
        payload_of(&name, &read_file(disk, &name, *len)?)?;
    }
    Ok(manifest)
}

/// Reads a checkpoint's manifest alone.
pub fn read_manifest(disk: &impl Disk, sequence: Sequence) -> Result<Manifest, Error> {
    let name = done_name(sequence);
    let file = disk.open(&name).map_err(|source| Error::io("open", &name, source))?;
    let len = file.len().map_err(|source| Error::io("read", &name, source))?;
    let max = (DONE_HEADER_LEN + (PARTS_MAX + RUNS_MAX) * PART_LEN_ENTRY + 4 + 4) as u64;
    if len > max {
        return Err(Error::damaged(&name, format!("{len} bytes are too long")));
    }
    let bytes = read_file(disk, &name, len)?;
    let manifest =
        decode(&bytes).ok_or_else(|| Error::damaged(&name, "its checksum or its length is another"))?;
    if manifest.sequence != sequence {
        return Err(Error::damaged(&name, format!("it is the manifest of {}", manifest.sequence)));
    }
    Ok(manifest)
}

fn write_part(disk: &impl Disk, sequence: Sequence, part: usize, payload: &[u8]) -> Result<u64, Error> {
    let mut header = [0; PART_HEADER_LEN];
    header[..8].copy_from_slice(PART_MAGIC);
    header[8..12].copy_from_slice(&crc32c::crc32c(payload).to_le_bytes());
    write_file(disk, &part_name(sequence, part), &[&header, payload])?;
    Ok((header.len() + payload.len()) as u64)
}

fn write_file(disk: &impl Disk, name: &str, chunks: &[&[u8]]) -> Result<(), Error> {
    let len: usize = chunks.iter().map(|chunk| chunk.len()).sum();
    let file = disk.create(name, len as u64).map_err(|source| Error::io("create", name, source))?;
    let mut offset = 0;
    for chunk in chunks {
        let written = file.write_all_at(chunk, offset);
        written.map_err(|WriteError { source, .. }| Error::io("write", name, source))?;
        offset += chunk.len() as u64;
    }
    file.sync_data().map_err(|source| Error::io("sync", name, source))
}

fn read_file(disk: &impl Disk, name: &str, len: u64) -> Result<Vec<u8>, Error> {
    let file = disk.open(name).map_err(|source| Error::io("open", name, source))?;
    let there = file.len().map_err(|source| Error::io("read", name, source))?;
    if there != len || len > PART_LEN_MAX {
        return Err(Error::damaged(name, format!("it has {there} bytes, not {len}")));
    }
    let mut bytes = vec![0; usize::try_from(len).expect("PART_LEN_MAX fits a usize")];
    file.read_exact_at(&mut bytes, 0).map_err(|source| Error::io("read", name, source))?;
    Ok(bytes)
}

pub(crate) fn encode(manifest: &Manifest) -> Vec<u8> {
    let parts = u32::try_from(manifest.parts.len()).expect("a checkpoint has at most 2^32 parts");
    let mut bytes = Vec::with_capacity(DONE_HEADER_LEN + manifest.parts.len() * PART_LEN_ENTRY + 4);
    bytes.extend_from_slice(DONE_MAGIC);
    let version = if manifest.counts_sold { VERSION } else { WITHOUT_SOLD };
    bytes.extend_from_slice(&version.to_le_bytes());
    bytes.extend_from_slice(&parts.to_le_bytes());
    bytes.extend_from_slice(&manifest.store.0.to_le_bytes());
    bytes.extend_from_slice(&manifest.sequence.0.to_le_bytes());
    bytes.extend_from_slice(&manifest.rows.to_le_bytes());
    bytes.extend_from_slice(&manifest.hash.to_le_bytes());
    for len in &manifest.parts {
        bytes.extend_from_slice(&len.to_le_bytes());
    }
    let runs = u32::try_from(manifest.archive.len()).expect("RUNS_MAX fits a u32");
    bytes.extend_from_slice(&runs.to_le_bytes());
    for number in &manifest.archive {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    let crc = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<Manifest> {
    let (body, crc) = bytes.split_last_chunk::<4>()?;
    if crc32c::crc32c(body).to_le_bytes() != *crc || !body.starts_with(DONE_MAGIC) {
        return None;
    }
    let number = |at: usize| Some(u64::from_le_bytes(*body.get(at..)?.first_chunk()?));
    let wide = |at: usize| Some(u128::from_le_bytes(*body.get(at..)?.first_chunk()?));
    let short = |at: usize| Some(u32::from_le_bytes(*body.get(at..)?.first_chunk()?));
    let (parts, rest) =
        body.get(DONE_HEADER_LEN..)?.split_at_checked(short(12)? as usize * PART_LEN_ENTRY)?;
    let archive = match short(8)? {
        1 if rest.is_empty() => &[][..],
        WITHOUT_SOLD | VERSION => {
            let (count, runs) = rest.split_first_chunk::<4>()?;
            (runs.len() == u32::from_le_bytes(*count) as usize * PART_LEN_ENTRY).then_some(runs)?
        }
        _ => return None,
    };
    let numbers = |bytes: &[u8]| {
        let chunks = bytes.chunks_exact(PART_LEN_ENTRY);
        chunks.map(|number| u64::from_le_bytes(number.try_into().expect("a chunk of eight"))).collect()
    };
    Some(Manifest {
        store: StoreId(wide(16)?),
        sequence: Sequence(number(32)?),
        rows: number(40)?,
        hash: wide(48)?,
        archive: numbers(archive),
        counts_sold: short(8)? == VERSION,
        parts: numbers(parts),
    })
}

/// The event that a manifest which nobody wrote says that it is of.
#[cfg(feature = "fuzz")]
pub(crate) fn sequence_in(manifest: &[u8]) -> Sequence {
    let number = manifest.get(32..).and_then(|rest| rest.first_chunk().copied());
    Sequence(number.map_or(1, u64::from_le_bytes))
}

/// The names of a checkpoint's manifest and of its first part.
#[cfg(feature = "fuzz")]
pub(crate) fn names(sequence: Sequence) -> [String; 2] {
    [done_name(sequence), part_name(sequence, 0)]
}

/// A manifest that nobody wrote, with the checksum of one that was written.
#[cfg(feature = "fuzz")]
pub(crate) fn mend_manifest(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if let Some((body, checksum)) = bytes.split_last_chunk_mut::<4>() {
        *checksum = crc32c::crc32c(body).to_le_bytes();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "sim")]
    mod on_disk {
        use jaego_domain::{
            Code, Row, Timestamp,
            row::{Answered, Head},
        };

        use super::*;
        use crate::sim_disk::SimDisk;

        /// Tables up to an event, with one row that says something.
        fn tables(sequence: u64, body: u64) -> Memory {
            let mut memory = Memory::new();
            memory.put(Row::Head(Head { sequence: Sequence(sequence), ..Head::default() }));
            let key = Code::new("key", "K1").unwrap();
            let answered = Answered { body, sequence: Sequence(1), noted: Sequence(1), at: Timestamp(0) };
            memory.put(Row::Answered(key, Some(answered)));
            memory
        }

        #[test]
        fn rows_that_are_whole_and_not_those_of_the_manifest_are_damage() {
            let (disk, other) = (SimDisk::new(1), SimDisk::new(2));
            write(&disk, StoreId(7), &tables(9, 1), &[]).unwrap();
            write(&other, StoreId(7), &tables(9, 2), &[]).unwrap();
            assert_eq!(load(&disk, Sequence(9)).unwrap().0.rows, 2);
            // As many rows, as many bytes, a right checksum: only their hash tells.
            let part = part_name(Sequence(9), 0);
            assert_eq!(disk.contents(&part).unwrap().len(), other.contents(&part).unwrap().len());
            disk.replace(&part, &other.contents(&part).unwrap());
            let error = load(&disk, Sequence(9)).map(drop).unwrap_err();
            assert!(matches!(error, Error::Damaged { .. }), "{error}");
        }

        #[test]
        fn a_useless_checkpoint_does_not_push_out_a_good_one() {
            let disk = SimDisk::new(3);
            let kept = |useless: &[u64]| {
                let useless: Vec<_> = useless.iter().copied().map(Sequence).collect();
                prune(&disk, &useless).unwrap();
                let kept = list(&disk).unwrap().into_iter().map(|sequence| sequence.0);
                kept.collect::<Vec<_>>()
            };
            for sequence in 1..=5 {
                write(&disk, StoreId(7), &tables(sequence, 1), &[]).unwrap();
            }
            assert_eq!(kept(&[4, 3]), [5, 4, 3, 2]);
            assert_eq!(kept(&[4]), [5, 4, 3]);
            assert_eq!(kept(&[]), [5, 4]);
        }
    }

    #[test]
    fn a_manifest_reads_back_and_notices_every_flipped_bit() {
        let manifest = Manifest {
            store: StoreId(7),
            sequence: Sequence(42),
            rows: 3,
            hash: u128::MAX - 5,
            archive: vec![3, 1],
            counts_sold: true,
            parts: vec![100, 200],
        };
        let bytes = encode(&manifest);
        assert_eq!(decode(&bytes).as_ref(), Some(&manifest));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&flipped), None, "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert_eq!(decode(&bytes[..len]), None, "cut to {len}");
        }
    }
}
