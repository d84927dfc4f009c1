//! Everything that can go wrong with a journal.

use std::io;
use std::sync::Arc;

/// Why the journal did not do what it was asked.
///
/// It can be cloned, because a failed journal gives the same answer to every later call.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The disk failed. After this the journal is poisoned: every later call returns the same error, and
    /// only opening the store again tells what is durable.
    #[error("cannot {doing} journal file {file}")]
    Io {
        /// The verb: what was being done.
        doing: &'static str,
        /// The file's name in the journal's folder, or the folder.
        file: String,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// There is no room for the frame and nothing of it was written. The journal is well: the same call
    /// succeeds once there is space again.
    #[error("the disk is full: no room for {needed} more journal bytes; free some space and writing resumes")]
    Full {
        /// The bytes that the frame would take.
        needed: u64,
    },
    /// The payload is larger than a segment can hold.
    #[error("a batch of {len} bytes is over the journal's limit of {limit}")]
    TooLarge {
        /// The payload's length.
        len: usize,
        /// The longest one that is taken.
        limit: usize,
    },
    /// The files are not what was written, in a place that a crash cannot explain. Nothing was changed.
    #[error(
        "journal file {file} is damaged at byte {offset}: {what}. Nothing was changed; \
         try `jaego restore` with the newest backup"
    )]
    Damaged {
        /// The file's name in the journal's folder.
        file: String,
        /// Where in it, in bytes from its start.
        offset: u64,
        /// What is wrong there.
        what: String,
    },
    /// Frames that must exist are not there. Nothing was changed.
    #[error(
        "the journal has no frame for sequence {sequence}: {what}. Nothing was changed; \
         try `jaego restore` with the newest backup"
    )]
    Missing {
        /// The first sequence that is missing.
        sequence: u64,
        /// What was found instead.
        what: String,
    },
    /// The file was written by another version of the program.
    #[error("journal file {file} has format version {version}, this program reads version {supported}")]
    Version {
        /// The file's name in the journal's folder.
        file: String,
        /// The version that it names.
        version: u32,
        /// The version that this program reads.
        supported: u32,
    },
    /// There is no journal to open.
    #[error("there is no journal in this folder")]
    NotFound,
    /// There is a journal already, so none is created.
    #[error("there is a journal in this folder already: {file}")]
    Exists {
        /// One of its files.
        file: String,
    },
    /// The reader asked for frames that were removed when the floor was raised.
    #[error("the journal keeps nothing before sequence {floor}, and {sequence} was asked for")]
    BelowFloor {
        /// What was asked for.
        sequence: u64,
        /// The first sequence that is kept.
        floor: u64,
    },
    /// The configured segment length is out of range.
    #[error("a journal segment of {len} bytes: must be a multiple of {sector} from {min} to {max}")]
    SegmentLen {
        /// What was configured.
        len: u64,
        /// The granularity.
        sector: usize,
        /// The smallest.
        min: u64,
        /// The largest.
        max: u64,
    },
}

impl Error {
    pub(crate) fn io(doing: &'static str, file: impl Into<String>, source: io::Error) -> Error {
        Error::Io { doing, file: file.into(), source: Arc::new(source) }
    }

    pub(crate) fn damaged(file: &str, offset: u64, what: impl Into<String>) -> Error {
        Error::Damaged { file: file.to_owned(), offset, what: what.into() }
    }
}
