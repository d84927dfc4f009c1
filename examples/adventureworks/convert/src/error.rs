use std::path::PathBuf;
use std::{fmt, io};

/// Why the sample could not be made.
#[derive(Debug)]
pub enum Error {
    /// A table or a file of the sample could not be read or written.
    Io {
        /// What was tried.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A table is not tab-separated text.
    Csv {
        /// The table's file.
        path: PathBuf,
        /// What is wrong with it.
        source: csv::Error,
    },
    /// A field is missing or is not what its column holds.
    Field {
        /// The table's file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The column, by the name that AdventureWorks gives it.
        column: &'static str,
    },
    /// A row speaks of a product or a place that its own table does not have.
    Unknown {
        /// What is spoken of.
        noun: &'static str,
        /// Its number.
        id: u32,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { doing, path, .. } => write!(f, "cannot {doing} {}", path.display()),
            Self::Csv { path, .. } => write!(f, "{} is not tab-separated text", path.display()),
            Self::Field { path, line, column } => {
                write!(f, "{} line {line}: {column} is missing or wrong", path.display())
            }
            Self::Unknown { noun, id } => write!(f, "there is no {noun} {id}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Csv { source, .. } => Some(source),
            Self::Field { .. } | Self::Unknown { .. } => None,
        }
    }
}
