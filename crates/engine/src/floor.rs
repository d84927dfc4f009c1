//! Moves the oldest sealed segments of a journal to another folder, so that the disk does not fill up with history.
//!
//! ```text
//!   prove      every frame that is to go is read, and every checkpoint that stays
//!   copy       into NAME.part, sync, read back, compare, rename to NAME, sync the folder; one segment after the other
//!   remove     oldest first, one at a time, each made durable before the next
//! ```
//!
//! Wherever that is cut off, each segment is whole in one of the two folders at least, and doing it again goes on. What was
//! moved can be put back: the segments with their old names, into the store's folder, while nobody has it open.

use std::{io, sync::Arc};

use jaego_domain::{Sequence, Timestamp};
use jaego_store::codec;

use crate::{
    checkpoint,
    disk::{Disk, DiskFile, WriteError},
    journal::{self, Reader, Segment},
    recovery::{self, MARKER, Recovered},
};

/// Bytes that are copied at a time.
const CHUNK_LEN: usize = 1 << 20;
/// Ends the name of a copy that is not whole yet.
const PART: &str = ".part";

/// Which history may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// Events before this one.
    Sequence(Sequence),
    /// Events that happened before this time.
    Time(Timestamp),
}

/// What was moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raised {
    /// The segments that went, oldest first.
    pub segments: Vec<Segment>,
    /// Those of them that an earlier try had copied already.
    pub were_there: usize,
    /// The first event that is kept.
    pub first: Sequence,
    /// The oldest checkpoint that is kept: nothing after it can go. Without one, nothing can.
    pub checkpoint: Option<Sequence>,
}

/// Why nothing, or not all, was moved.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store cannot be read or changed.
    #[error(transparent)]
    Store(#[from] recovery::Error),
    /// The store opens only because a checkpoint was passed over: it may need all of its journal.
    #[error("a checkpoint cannot be used, and the journal may be needed in its place")]
    PassedOver {
        /// What is wrong with it.
        #[source]
        source: recovery::Error,
    },
    /// The other folder cannot be read or written.
    #[error("cannot {doing} {file} in the folder of the archive")]
    Io {
        /// The verb: what was being done.
        doing: &'static str,
        /// The file.
        file: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The other folder has a file of this name with other content.
    #[error("the folder of the archive has another {file}: name a folder of its own for each store")]
    Taken {
        /// The file.
        file: String,
    },
    /// What was read back is not what was written.
    #[error("the copy of {file} does not read back as it was written, from byte {offset} on")]
    Differs {
        /// The file.
        file: String,
        /// Where the first difference is, to the megabyte.
        offset: u64,
    },
}

impl From<journal::Error> for Error {
    fn from(error: journal::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Error {
    fn io<'a>(doing: &'static str, file: &'a str) -> impl FnOnce(io::Error) -> Error + 'a {
        move |source| Error::Io { doing, file: file.to_owned(), source }
    }
}

/// Moves the sealed segments of an opened store that hold nothing but history `before` that, and nothing that any of its
/// checkpoints needs, to the folder `to`, and closes the store. `progress` is told how many events were read.
///
/// # Errors
/// If a segment or a checkpoint cannot be read, the copy cannot be written, or the folder has other files of these names.
/// Nothing was removed then, unless removing is what failed.
pub fn raise<D: Disk, T: Disk>(
    recovered: Recovered<D>,
    to: &T,
    before: Before,
    progress: impl FnMut(u64),
) -> Result<Raised, Error> {
    let Recovered { mut journal, disk, passed_over, memory, archive, .. } = recovered;
    // Checkpoints are loaded below: one set of rows at a time is enough.
    drop((memory, archive));
    if let Some(source) = passed_over.into_iter().next() {
        return Err(Error::PassedOver { source });
    }
    let reader = journal.reader();
    let checkpoints = checkpoint::list(&*disk).map_err(recovery::Error::from)?;
    for sequence in &checkpoints {
        checkpoint::load(&*disk, *sequence).map_err(recovery::Error::from)?;
    }
    // With one alone there would be nothing to fall back to, if it turned out to be damaged, but all of the journal.
    let oldest = checkpoints.last().copied().filter(|_| checkpoints.len() > 1);
    let mut raised = Raised {
        segments: Vec::new(),
        were_there: 0,
        first: Sequence(reader.first_sequence()),
        checkpoint: oldest,
    };
    if let Some(oldest) = oldest {
        let floor = floor(&reader, oldest, before, progress)?;
        let sealed = reader.sealed_segments();
        let going: Vec<_> = sealed.into_iter().filter(|segment| segment.next_sequence <= floor.0).collect();
        if !going.is_empty() {
            belongs(to, &reader)?;
        }
        for segment in &going {
            raised.were_there += usize::from(!copy(&*disk, to, segment)?);
        }
        // Durable there, so it may go here.
        raised.segments = journal.raise_floor(floor.0)?;
        assert_eq!(raised.segments, going, "exactly what was copied is removed");
        raised.first = Sequence(reader.first_sequence());
    }
    journal.close()?;
    Ok(raised)
}

/// Reads what may go, and says with which event that ends at the latest.
fn floor<D: Disk>(
    reader: &Reader<Arc<D>>,
    oldest: Sequence,
    before: Before,
    mut progress: impl FnMut(u64),
) -> Result<Sequence, Error> {
    let mut floor = oldest.next();
    if let Before::Sequence(sequence) = before {
        floor = floor.min(sequence);
    }
    let first = reader.first_sequence();
    let mut frames = reader.frames_from(first)?;
    while let Some(frame) = frames.next()? {
        let sequence = frame.first_sequence;
        if sequence >= floor.0 {
            break;
        }
        let decode = |source| recovery::Error::Decode { sequence, source };
        for event in codec::decode(frame.payload, Sequence(sequence)).map_err(decode)? {
            let event = event.map_err(decode)?;
            if matches!(before, Before::Time(time) if event.at >= time) {
                return Ok(floor.min(event.sequence));
            }
        }
        progress(sequence + u64::from(frame.count) - first);
    }
    Ok(floor)
}

/// Makes sure that the folder is this store's, or nobody's yet.
fn belongs<D: Disk>(to: &impl Disk, reader: &Reader<Arc<D>>) -> Result<(), Error> {
    let expected = format!("{:032x}\n", reader.store().0);
    let names = to.list().map_err(Error::io("list", "the files"))?;
    if names.iter().any(|name| name == MARKER) {
        let file = to.open(MARKER).map_err(Error::io("open", MARKER))?;
        return match holds(&file, MARKER, expected.as_bytes())? {
            true => Ok(()),
            false => Err(Error::Taken { file: MARKER.to_owned() }),
        };
    }
    let part = format!("{MARKER}{PART}");
    let target = make(to, &names, &part, expected.len() as u64)?;
    let written = target.write_all_at(expected.as_bytes(), 0);
    written.map_err(|WriteError { source, .. }| Error::io("write", &part)(source))?;
    harden(&target, &part)?;
    if !holds(&target, &part, expected.as_bytes())? {
        return Err(Error::Differs { file: part, offset: 0 });
    }
    name(to, &part, MARKER)
}

/// Whether a file holds these bytes and no others.
fn holds(file: &impl DiskFile, name: &str, expected: &[u8]) -> Result<bool, Error> {
    if file.len().map_err(Error::io("read", name))? != expected.len() as u64 {
        return Ok(false);
    }
    let mut found = vec![0; expected.len()];
    file.read_exact_at(&mut found, 0).map_err(Error::io("read", name))?;
    Ok(found == expected)
}

/// Makes a file that is not whole yet, in the place of one that an earlier try left.
fn make<T: Disk>(to: &T, names: &[String], part: &str, len: u64) -> Result<T::File, Error> {
    if names.iter().any(|name| name == part) {
        to.remove(part).map_err(Error::io("remove", part))?;
    }
    to.create(part, len).map_err(Error::io("make", part))
}

/// Makes what was written durable, and has it read from the device afterwards and not from the cache.
fn harden(target: &impl DiskFile, part: &str) -> Result<(), Error> {
    target.sync_data().map_err(Error::io("sync", part))?;
    target.settle().map_err(Error::io("read", part))
}

/// Gives a file that is whole its name.
fn name(to: &impl Disk, part: &str, name: &str) -> Result<(), Error> {
    to.rename(part, name).map_err(Error::io("rename", part))?;
    to.sync().map_err(Error::io("sync", "the folder"))
}

/// Copies a segment, and says whether it had to: an earlier try may have.
fn copy<D: Disk, T: Disk>(from: &D, to: &T, segment: &Segment) -> Result<bool, Error> {
    let name = segment.name();
    let part = format!("{name}{PART}");
    let read = |source| recovery::Error::Journal(journal::Error::io("read", &name, source));
    let source = from.open(&name).map_err(read)?;
    let names = to.list().map_err(Error::io("list", "the files"))?;
    if names.contains(&name) {
        let there = to.open(&name).map_err(Error::io("open", &name))?;
        let len = there.len().map_err(Error::io("read", &name))?;
        if len != segment.len || differs(&source, &there, segment, &name)?.is_some() {
            return Err(Error::Taken { file: name });
        }
        return Ok(false);
    }
    let target = make(to, &names, &part, segment.len)?;
    if let Err(error) = fill(&source, &target, segment, &name, &part) {
        // It would keep the room that the rest of the archive wants. Why it cannot be removed as well does not matter.
        drop(target);
        drop(to.remove(&part));
        return Err(error);
    }
    self::name(to, &part, &name)?;
    Ok(true)
}

/// Writes a segment's bytes, and reads them back.
fn fill(
    source: &impl DiskFile,
    target: &impl DiskFile,
    segment: &Segment,
    name: &str,
    part: &str,
) -> Result<(), Error> {
    let mut offset = 0;
    let mut chunk = vec![0; CHUNK_LEN];
    while offset < segment.len {
        let bytes = piece(&mut chunk, segment.len - offset);
        let read = |source| recovery::Error::Journal(journal::Error::io("read", name, source));
        source.read_exact_at(bytes, offset).map_err(read)?;
        let written = target.write_all_at(bytes, offset);
        written.map_err(|WriteError { source, .. }| Error::io("write", part)(source))?;
        offset += bytes.len() as u64;
    }
    harden(target, part)?;
    match differs(source, target, segment, part)? {
        Some(offset) => Err(Error::Differs { file: part.to_owned(), offset }),
        None => Ok(()),
    }
}

/// Where two files of a segment's length begin to differ, to the chunk.
fn differs(
    source: &impl DiskFile,
    copy: &impl DiskFile,
    segment: &Segment,
    copy_name: &str,
) -> Result<Option<u64>, Error> {
    let name = segment.name();
    let (mut one, mut other) = (vec![0; CHUNK_LEN], vec![0; CHUNK_LEN]);
    let mut offset = 0;
    while offset < segment.len {
        let (one, other) = (piece(&mut one, segment.len - offset), piece(&mut other, segment.len - offset));
        let read = |source| recovery::Error::Journal(journal::Error::io("read", &name, source));
        source.read_exact_at(one, offset).map_err(read)?;
        copy.read_exact_at(other, offset).map_err(Error::io("read", copy_name))?;
        if one != other {
            return Ok(Some(offset));
        }
        offset += one.len() as u64;
    }
    Ok(None)
}

/// As much of a chunk as is left.
fn piece(chunk: &mut [u8], left: u64) -> &mut [u8] {
    let len = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.len());
    &mut chunk[..len]
}
