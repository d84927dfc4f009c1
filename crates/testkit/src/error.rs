use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use crate::limits::LOG_TAIL_LINES;

/// Why a server of the test kit could not do what the test asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A program that the tests need is not on this machine.
    #[error("{program} is not installed; `scripts/needs.sh test` installs it")]
    ProgramMissing {
        /// Its name.
        program: String,
    },

    /// The operating system refused something.
    #[error("cannot {doing} {}", .path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On which file, folder or program.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },

    /// A socket call failed.
    #[error("cannot {doing}")]
    Net {
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },

    /// A signal could not be sent.
    #[error("cannot signal {name}")]
    Signal {
        /// The process.
        name: String,
        /// What the system said.
        source: io::Error,
    },

    /// Something was asked of a process that has ended already, or was killed before.
    #[error("{name} is not running")]
    NotRunning {
        /// The process.
        name: String,
    },

    /// A process ended before it was ready, or a tool failed.
    #[error("{name} ended with {status}; the end of its log:\n{log}")]
    Ended {
        /// The process.
        name: String,
        /// How it ended.
        status: ExitStatus,
        /// The last lines that it wrote.
        log: String,
    },

    /// A state that was waited for did not come.
    #[error("{what} did not happen within {} ms{}", .waited.as_millis(), quoted(.log))]
    TimedOut {
        /// The state.
        what: String,
        /// How long it was waited for.
        waited: Duration,
        /// The last lines of a log, or nothing.
        log: String,
    },

    /// No port was free.
    #[error("no free port on 127.0.0.1 after {tries} tries")]
    NoFreePort {
        /// How many ports were tried.
        tries: u32,
    },
}

impl Error {
    /// Wraps what the system said about a path, for `map_err`.
    pub(crate) fn io(doing: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::Io { doing, path, source }
    }
}

fn quoted(log: &str) -> String {
    if log.is_empty() { String::new() } else { format!("; the end of the log:\n{log}") }
}

/// The last lines of a log file; of one that cannot be read, that fact.
pub(crate) fn log_tail(path: &Path) -> String {
    let text = match std::fs::read(path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => return format!("(no log at {}: {error})", path.display()),
    };
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
}
