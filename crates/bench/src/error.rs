use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why a benchmark could not be run. Unexpected *answers* are no error: they make a run invalid and are
/// counted in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An option is out of its range.
    #[error("{option} is {value}, and must be {range}")]
    Option {
        /// Its name.
        option: &'static str,
        /// What it is.
        value: String,
        /// What it may be.
        range: String,
    },

    /// A socket call failed.
    #[error("cannot {doing} {addr}")]
    Net {
        /// What was tried.
        doing: &'static str,
        /// With whom.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },

    /// The event loop failed.
    #[error("cannot {doing} the event loop")]
    Loop {
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },

    /// An answer that is not of the protocol.
    #[error("{addr} answered what is not {protocol}: {detail}")]
    Protocol {
        /// Who.
        addr: SocketAddr,
        /// What was expected.
        protocol: &'static str,
        /// What is wrong.
        detail: String,
    },

    /// A request of the set-up or the check was not answered as it should be.
    #[error("{doing}: the server answered {answer}")]
    Setup {
        /// What was tried.
        doing: String,
        /// The beginning of the answer.
        answer: String,
    },

    /// Nothing was answered for too long.
    #[error("no answer from {addr} for {} s", .waited.as_secs())]
    Silent {
        /// Who.
        addr: SocketAddr,
        /// How long.
        waited: Duration,
    },

    /// What the server says afterwards is not what it answered before.
    #[error("{subject}: the books are wrong after the load: {detail}")]
    Books {
        /// Of which workload.
        subject: String,
        /// Expected and found.
        detail: String,
    },

    /// A private server could not be started or stopped.
    #[error("cannot run a private server")]
    Server(#[from] jaego_testkit::Error),

    /// A file could not be read or written.
    #[error("cannot {doing} {}", .path.display())]
    File {
        /// What was tried.
        doing: &'static str,
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn net(doing: &'static str, addr: SocketAddr) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Net { doing, addr, source }
    }

    pub(crate) fn file(doing: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::File { doing, path, source }
    }
}

/// The beginning of an answer, fit for an error message.
pub(crate) fn quoted(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(&answer[..answer.len().min(4 * crate::limits::QUOTE_CHARS_MAX)]);
    let mut short: String = text.chars().take(crate::limits::QUOTE_CHARS_MAX).collect();
    if short.len() < answer.len() {
        short.push('…');
    }
    short
}
