//! A data folder: the store's files, and the tokens beside them.

use std::{
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use jaego_engine::{Config, Recovered, disk::RealDisk, open};

/// The store's own folder within the data folder.
pub(crate) fn store_folder(data: &Path) -> PathBuf {
    data.join("store")
}

/// The file of the tokens.
pub(crate) fn tokens_file(data: &Path) -> PathBuf {
    data.join("tokens.json")
}

/// The folder of the audit log.
pub(crate) fn audit_folder(data: &Path) -> PathBuf {
    data.join("audit")
}

/// Takes a data folder for this process alone, and makes it if it is not there.
pub(crate) fn take(data: &Path) -> Result<RealDisk> {
    RealDisk::open(store_folder(data)).with_context(|| {
        format!("cannot open the data folder {} (is another jaego running on it?)", data.display())
    })
}

/// Opens the store in a data folder that was taken, makes one in an empty folder, and tells the person at the terminal
/// when it takes longer. `replayed` is told how many events were replayed so far.
pub(crate) fn open_store(
    data: &Path,
    disk: RealDisk,
    config: Config,
    replayed: impl Fn(u64),
) -> Result<Recovered<RealDisk>> {
    let folder = store_folder(data);
    let mut progress = Progress::new("replayed");
    let recovered = open(disk, config.journal, |events| {
        replayed(events);
        progress.tell(events);
    });
    progress.end();
    recovered.with_context(|| format!("cannot open the store in {}", folder.display()))
}

/// Says on stderr how many events were worked through, not more often than is pleasant to read.
pub(crate) struct Progress {
    verb: &'static str,
    start: Instant,
    told: Instant,
    is_terminal: bool,
    has_told: bool,
}

impl Progress {
    pub(crate) fn new(verb: &'static str) -> Self {
        let now = Instant::now();
        let is_terminal = std::io::stderr().is_terminal();
        Self { verb, start: now, told: now, is_terminal, has_told: false }
    }

    pub(crate) fn tell(&mut self, events: u64) {
        let every = if self.is_terminal { Duration::from_millis(200) } else { Duration::from_secs(5) };
        if self.told.elapsed() < every {
            return;
        }
        self.told = Instant::now();
        self.has_told = true;
        let rate = events as f64 / self.start.elapsed().as_secs_f64();
        let (start, end) = if self.is_terminal { ("\r", "") } else { ("", "\n") };
        let mut stderr = std::io::stderr().lock();
        // Nobody is hurt if nobody reads it.
        let _ = write!(stderr, "{start}{} {events} events, {rate:.0}/s{end}", self.verb);
        let _ = stderr.flush();
    }

    pub(crate) fn end(&self) {
        if self.has_told && self.is_terminal {
            eprintln!();
        }
    }
}
