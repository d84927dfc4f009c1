//! Why bytes are no events.

use std::fmt;

use jaego_domain::Refusal;

pub(super) type Result<T> = std::result::Result<T, Error>;

/// Says what was being read, at which byte of the payload it begins, and what is wrong with it.
///
/// It is small, because it is in the way of every number that is read.
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<Report>);

#[derive(Clone, PartialEq, Eq)]
struct Report {
    what: &'static str,
    at: usize,
    problem: Problem,
}

/// What is wrong with the bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// There should be more of them.
    #[error("the bytes end before it does")]
    Truncated,
    /// There should be fewer of them.
    #[error("{0} bytes are left over")]
    LeftOver(usize),
    /// A payload of a version that this program does not know.
    #[error(
        "version {version} is unknown, this program reads version {known}: was it written by a later one?"
    )]
    Version {
        /// What the payload says.
        version: u8,
        /// What is known.
        known: u8,
    },
    /// A tag that this program does not know.
    #[error("tag {0} is unknown: was it written by a later version?")]
    Tag(u8),
    /// A number past the largest of its type.
    #[error("the number is too large")]
    TooLarge,
    /// Nothing, where there is always something.
    #[error("it is zero")]
    Zero,
    /// The same could be said in fewer bytes, and then it always is.
    #[error("it is not written the shortest way")]
    NotShortest,
    /// A flag that is neither 0 nor 1, or a set of flags with one that nobody knows.
    #[error("{0:#04x} is no flag")]
    Flag(u8),
    /// More of something than the bytes that follow could hold.
    #[error("{count} cannot fit into the {room} bytes that follow")]
    Count {
        /// How many there should be.
        count: u64,
        /// How many bytes follow.
        room: usize,
    },
    /// A line that the document does not have.
    #[error("there is no line {line} among {lines}")]
    Line {
        /// Which line, from 0.
        line: u32,
        /// How many there are.
        lines: usize,
    },
    /// An author who was not named before.
    #[error("author {index} is not among the {known} named before")]
    Author {
        /// Who, from 0.
        index: u64,
        /// How many were named.
        known: usize,
    },
    /// Bytes that are no text.
    #[error("it is not UTF-8")]
    NotText,
    /// A value that the domain does not allow.
    #[error("it {0}")]
    Value(String),
}

impl Error {
    #[cold]
    pub(super) fn new(what: &'static str, at: usize, problem: Problem) -> Self {
        Self(Box::new(Report { what, at, problem }))
    }

    #[cold]
    pub(super) fn refused(what: &'static str, at: usize, refusal: Refusal) -> Self {
        let reason = match refusal {
            Refusal::InvalidValue { reason, .. } => reason,
            other => format!("is refused: {other}"),
        };
        Self::new(what, at, Problem::Value(reason))
    }

    /// What was being read: a fact and its field, such as `Moved.lines`.
    pub fn what(&self) -> &'static str {
        self.0.what
    }

    /// The first byte of it, counted from the start of the payload.
    pub fn at(&self) -> usize {
        self.0.at
    }

    /// What is wrong.
    pub fn problem(&self) -> &Problem {
        &self.0.problem
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot read {} at byte {}: {}", self.0.what, self.0.at, self.0.problem)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {}
