//! The audit log: who asked for what and did not get it, who read what is worth reading, and who made tokens.
//!
//! What was done stands in the journal, with who did it, when, and under which request key. This is the rest: refusals
//! and denials, reads of money and of the feed, and what is done to the data folder beside the service. Lines are a
//! chain of hashes in files of their own (`file`), written by one thread behind a bounded queue. Nobody waits for
//! them: a flood is written up to [`LINES_A_SECOND_MAX`] and counted beyond it, and the counts are written.

mod file;

use std::{
    io,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use tracing::{error, info};

pub use file::{Line, Lines, Verified, append, lines, verify};

use crate::Metrics;
use file::Writer;

/// Lines that one service writes in a second; what comes beyond is counted by its kind.
pub const LINES_A_SECOND_MAX: u64 = 500;
/// Lines that wait to be written.
pub const QUEUE_LEN: usize = 4_096;
/// Bytes of a file after which the next one begins.
pub const FILE_BYTES_MAX: u64 = 16 << 20;
/// Files that are kept, the newest ones: with [`FILE_BYTES_MAX`] it makes 1 GiB.
pub const FILES_MAX: usize = 64;
/// Bytes of one line: longer ones are no lines of ours.
pub const LINE_BYTES_MAX: usize = 4_096;
/// Bytes that are kept of a path, a key or a fence.
pub const TEXT_BYTES_MAX: usize = 256;
/// How often lines are made durable and counts are written.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A new file begins: `previous` has the hash of the last line of the one before.
    Opened,
    /// A crash left a part of a line, which was cut off.
    Cut,
    /// Lines that were not written because there were too many, by their kind.
    Suppressed,
    /// No valid token, too many tries, or a role or a site that does not allow it: 401, 403, 429.
    Denied,
    /// A command was refused: the rest of 4xx, and 5xx.
    Refused,
    /// Money, movements or the feed were read.
    Read,
    /// A token was made.
    TokenCreated,
    /// A token was revoked.
    TokenRevoked,
    /// The data folder was backed up.
    BackedUp,
    /// The data folder was made from a backup.
    Restored,
    /// The service began.
    Started,
    /// The service ended in order.
    Stopped,
}

/// The kinds that may come in floods.
const FLOODS: [Kind; 3] = [Kind::Denied, Kind::Refused, Kind::Read];

impl Kind {
    /// As it stands in a line.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Opened => "opened",
            Kind::Cut => "cut",
            Kind::Suppressed => "suppressed",
            Kind::Denied => "denied",
            Kind::Refused => "refused",
            Kind::Read => "read",
            Kind::TokenCreated => "token_created",
            Kind::TokenRevoked => "token_revoked",
            Kind::BackedUp => "backed_up",
            Kind::Restored => "restored",
            Kind::Started => "started",
            Kind::Stopped => "stopped",
        }
    }
}

/// Something that happened. What is `None` or zero is left out of the line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What happened.
    pub kind: Kind,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// The name of the token it was done with, or the user of the machine, as `uid 1000`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Where the request came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<IpAddr>,
    /// What it was about: method and path of a request, the id and name of a token, a folder. Without a valid token
    /// it is the route and not the path, which may hold anything.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub what: String,
    /// The request's name, as the answer and the logs have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The request key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The fence of a lock that came with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fenced: Option<String>,
    /// The status of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The code of the problem that was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Commands of a batch that were refused; lines that were not written; bytes that were cut.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub count: u64,
    /// The hash of the last line of the file before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Entry {
    /// Something that happened now.
    pub fn now(kind: Kind, what: impl Into<String>) -> Entry {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Entry {
            kind,
            at_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            by: None,
            peer: None,
            what: what.into(),
            request_id: None,
            key: None,
            fenced: None,
            status: None,
            code: None,
            count: 0,
            previous: None,
        }
    }

    /// The same, done by this user of the machine.
    pub fn by_local_user(mut self) -> Entry {
        use std::os::unix::fs::MetadataExt as _;
        self.by = std::fs::metadata("/proc/self").ok().map(|me| format!("uid {}", me.uid()));
        self
    }
}

/// Why the audit log cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file operation failed.
    #[error("cannot {doing} {}", .path.display())]
    File {
        /// The operation.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A line is not the one that was written, or one is missing before it.
    #[error("the chain is broken at line {line} of {}: {reason}", .path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// The line in it, from 1.
        line: u64,
        /// What is wrong.
        reason: String,
    },
}

/// The log of a running service. A clone writes to the same files.
#[derive(Clone, Debug)]
pub struct Audit {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    lines: SyncSender<Entry>,
    stopping: AtomicBool,
    second: AtomicU64,
    in_second: AtomicU64,
    suppressed: [AtomicU64; FLOODS.len()],
    suppressed_total: AtomicU64,
    begun: Instant,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Audit {
    /// Opens the log in a folder, which is made if it is not there, readable by its owner only, and begins with the line
    /// that the service started.
    ///
    /// # Errors
    /// If the folder cannot be written to, or its last file is none of ours.
    pub fn open(folder: &Path, metrics: &Metrics) -> Result<Audit, Error> {
        let mut writer = Writer::new(folder);
        writer.append(&[Entry::now(Kind::Started, "").by_local_user()])?;
        let (lines, queue) = sync_channel(QUEUE_LEN);
        let shared = Arc::new(Shared {
            lines,
            stopping: AtomicBool::new(false),
            second: AtomicU64::new(0),
            in_second: AtomicU64::new(0),
            suppressed: Default::default(),
            suppressed_total: AtomicU64::new(0),
            begun: Instant::now(),
            thread: Mutex::default(),
        });
        let reading = Arc::clone(&shared);
        let help = "Lines of the audit log that were counted only, because there were too many.";
        metrics.gauge_reading("jaego_audit_lines_suppressed", help, &[], move || {
            reading.suppressed_total.load(Ordering::Relaxed) as f64
        });
        let failing = metrics.gauge("jaego_audit_failing", "1 while the audit log cannot be written.", &[]);
        let counts = Arc::clone(&shared);
        let write = move || {
            let mut is_failing = false;
            write(&queue, &counts, |entries| {
                let written = writer.append(entries);
                if let (Err(error), false) = (&written, is_failing) {
                    let cause = std::error::Error::source(error).map(ToString::to_string);
                    error!(%error, cause, "the audit log cannot be written; what happens is counted");
                } else if is_failing && written.is_ok() {
                    info!("the audit log is written again");
                }
                if is_failing != written.is_err() {
                    is_failing = written.is_err();
                    failing.add(if is_failing { 1 } else { -1 });
                }
                written.is_ok()
            });
        };
        let thread = thread::Builder::new().name("audit".to_owned()).spawn(write).map_err(|source| {
            Error::File { doing: "start the thread that writes", path: folder.to_owned(), source }
        })?;
        *shared.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(Audit { shared })
    }

    /// Writes something down, or counts it where too much happens. Never waits.
    pub fn record(&self, entry: Entry) {
        let shared = &*self.shared;
        if let Some(flood) = FLOODS.iter().position(|kind| *kind == entry.kind) {
            // Two threads at the turn of a second may let a few lines more through.
            let second = shared.begun.elapsed().as_secs();
            if shared.second.swap(second, Ordering::Relaxed) != second {
                shared.in_second.store(0, Ordering::Relaxed);
            }
            let is_over = shared.in_second.fetch_add(1, Ordering::Relaxed) >= LINES_A_SECOND_MAX;
            if is_over || shared.lines.try_send(entry).is_err() {
                shared.suppress(flood, 1);
            }
            return;
        }
        // Rare ones are never suppressed for the sake of others; a queue that is full counts them as refusals.
        if shared.lines.try_send(entry).is_err() {
            shared.suppress(1, 1);
        }
    }

    /// Writes what waits, and that the service stopped. What is recorded later is lost.
    pub fn close(&self) {
        // The last line wakes the thread, which then finds that it is the last.
        self.shared.stopping.store(true, Ordering::Release);
        // It waits for room: the thread makes some, and then ends.
        let _ = self.shared.lines.send(Entry::now(Kind::Stopped, "").by_local_user());
        let thread = self.shared.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            error!("the thread that wrote the audit log had stopped");
        }
    }
}

impl Shared {
    fn suppress(&self, flood: usize, count: u64) {
        self.suppressed[flood].fetch_add(count, Ordering::Relaxed);
        self.suppressed_total.fetch_add(count, Ordering::Relaxed);
    }
}

/// Takes lines from the queue to `append` until the service stops; what that cannot write is counted.
fn write(queue: &Receiver<Entry>, shared: &Shared, mut append: impl FnMut(&[Entry]) -> bool) {
    loop {
        let is_stopping = shared.stopping.load(Ordering::Acquire);
        let (mut entries, since) = (Vec::new(), Instant::now());
        while entries.len() < QUEUE_LEN && !shared.stopping.load(Ordering::Acquire) {
            match queue.recv_timeout(SYNC_INTERVAL.saturating_sub(since.elapsed())) {
                Ok(entry) => entries.push(entry),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        entries.extend(queue.try_iter().take(QUEUE_LEN));
        for (kind, count) in FLOODS.iter().zip(&shared.suppressed) {
            let count = count.swap(0, Ordering::Relaxed);
            if count > 0 {
                let mut entry = Entry::now(Kind::Suppressed, kind.as_str());
                entry.count = count;
                // Before the last line of all, if it is among them.
                let stops = entries.last().is_some_and(|last| last.kind == Kind::Stopped);
                entries.insert(entries.len() - usize::from(stops), entry);
            }
        }
        if !entries.is_empty() && !append(&entries) {
            for entry in &entries {
                let kind =
                    if entry.kind == Kind::Suppressed { entry.what.as_str() } else { entry.kind.as_str() };
                let flood = FLOODS.iter().position(|flood| flood.as_str() == kind).unwrap_or(1);
                shared.suppressed[flood].fetch_add(entry.count.max(1), Ordering::Relaxed);
            }
        }
        if is_stopping && (entries.iter().any(|entry| entry.kind == Kind::Stopped) || entries.is_empty()) {
            return;
        }
    }
}

/// The first bytes of a text that somebody else chose, without control characters.
pub(crate) fn shortened(text: &str) -> String {
    let mut short = String::new();
    for letter in text.chars().filter(|letter| !letter.is_control()) {
        if short.len() + letter.len_utf8() > TEXT_BYTES_MAX {
            break;
        }
        short.push(letter);
    }
    short
}

#[cfg(test)]
mod tests;
