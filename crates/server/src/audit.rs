//! The audit log: who asked for what and did not get it, who read what is worth reading, and who made tokens.
//!
//! What was done stands in the journal, with who did it, when, and under which request key. This is the rest: refusals
//! and denials, reads of money and of the feed, and what is done to the data folder beside the service. Lines are a
//! chain of hashes in files of their own (`file`), written by one thread behind a bounded queue. Nobody waits for
//! them: a flood is written up to [`LINES_A_SECOND_MAX`] and counted beyond it, and the counts are written. Those
//! without a token have a budget of their own, so that they neither hide the others nor drive their lines out.

mod file;

use std::{
    io,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use tracing::{error, info};

pub use file::{Line, Lines, Verified, append, lines, verify};

use crate::{Metrics, metrics::Gauge};
use file::{Unwritten, Writer};

/// Lines that one service writes in a second about those who have a token; what comes beyond is counted by its kind.
pub const LINES_A_SECOND_MAX: u64 = 500;
/// The same for all others together: anybody can cause these.
pub const ANONYMOUS_LINES_A_SECOND_MAX: u64 = 20;
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
/// Rare lines that wait until the log can be written again; more are counted.
const KEPT_LEN_MAX: usize = 16;

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A new file begins: `previous` has the hash of the last line of the one before. Where that one is broken, it is all
    /// zeros, `what` says why, and the numbers begin again.
    Opened,
    /// A crash or a full disk left a part of a line, which was cut off.
    Cut,
    /// Lines that were not written because there were too many, by their kind.
    Suppressed,
    /// No valid token, too many tries, or a role or a site that does not allow it: 401, 403, 429.
    Denied,
    /// A command was refused: the rest of 4xx, and 5xx but 503, which refuses nobody: it is counted where load is.
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
    /// Old pieces of the journal went to another folder.
    Archived,
}

/// The kinds that may come in floods.
const FLOODS: [Kind; 3] = [Kind::Denied, Kind::Refused, Kind::Read];
/// Where refusals stand among them.
const REFUSED: usize = 1;

impl Kind {
    /// All of them, in the order above.
    pub const ALL: [Kind; 13] = [
        Kind::Opened,
        Kind::Cut,
        Kind::Suppressed,
        Kind::Denied,
        Kind::Refused,
        Kind::Read,
        Kind::TokenCreated,
        Kind::TokenRevoked,
        Kind::BackedUp,
        Kind::Restored,
        Kind::Started,
        Kind::Stopped,
        Kind::Archived,
    ];

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
            Kind::Archived => "archived",
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
    callers: Budget,
    anonymous: Budget,
    suppressed: [AtomicU64; FLOODS.len()],
    suppressed_total: AtomicU64,
    begun: Instant,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// So many lines a second.
#[derive(Debug)]
struct Budget {
    lines_max: u64,
    second: AtomicU64,
    in_second: AtomicU64,
}

impl Budget {
    fn new(lines_max: u64) -> Budget {
        Budget { lines_max, second: AtomicU64::new(0), in_second: AtomicU64::new(0) }
    }

    /// Whether one more may be written in this second. Two threads at its turn may let a few more through.
    fn take(&self, second: u64) -> bool {
        if self.second.swap(second, Ordering::Relaxed) != second {
            self.in_second.store(0, Ordering::Relaxed);
        }
        self.in_second.fetch_add(1, Ordering::Relaxed) < self.lines_max
    }
}

impl Audit {
    /// Opens the log in a folder, which is made if it is not there, readable by its owner only, and begins with the line
    /// that the service started. If that cannot be written, `jaego_audit_failing` is 1 and the line follows when it can.
    ///
    /// # Errors
    /// If the thread that writes cannot be started.
    pub fn open(folder: &Path, metrics: &Metrics) -> Result<Audit, Error> {
        let failing = metrics.gauge("jaego_audit_failing", "1 while the audit log cannot be written.", &[]);
        let mut writer = Watched { writer: Writer::new(folder), failing, is_failing: false };
        let mut kept = vec![Entry::now(Kind::Started, "").by_local_user()];
        if writer.append(&kept) == kept.len() {
            kept.clear();
        }
        let (lines, queue) = sync_channel(QUEUE_LEN);
        let shared = Arc::new(Shared {
            lines,
            callers: Budget::new(LINES_A_SECOND_MAX),
            anonymous: Budget::new(ANONYMOUS_LINES_A_SECOND_MAX),
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
        let counts = Arc::clone(&shared);
        let write = move || write(&queue, &counts, kept, |entries| writer.append(entries));
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
            let budget = if entry.by.is_some() { &shared.callers } else { &shared.anonymous };
            if !budget.take(shared.begun.elapsed().as_secs()) || shared.lines.try_send(entry).is_err() {
                shared.suppress(flood, 1);
            }
            return;
        }
        // Rare ones are never suppressed for the sake of others; a queue that is full counts them as refusals.
        if shared.lines.try_send(entry).is_err() {
            shared.suppress(REFUSED, 1);
        }
    }

    /// Writes what waits, and that the service stopped. What is recorded later is lost.
    pub fn close(&self) {
        // The thread ends with this line. It waits for room, and the thread makes some.
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

/// A writer that says when it begins to fail, and when it ends.
struct Watched {
    writer: Writer,
    failing: Gauge,
    is_failing: bool,
}

impl Watched {
    /// Appends lines, and returns how many were written.
    fn append(&mut self, entries: &[Entry]) -> usize {
        let unwritten = self.writer.append(entries).err();
        match &unwritten {
            Some(Unwritten { error, .. }) if !self.is_failing => {
                let cause = std::error::Error::source(error).map(ToString::to_string);
                error!(%error, cause, "the audit log cannot be written; what happens is counted");
            }
            None if self.is_failing => info!("the audit log is written again"),
            _ => {}
        }
        self.is_failing = unwritten.is_some();
        self.failing.set(i64::from(self.is_failing));
        unwritten.map_or(entries.len(), |unwritten| unwritten.written)
    }
}

/// Takes lines from the queue to `append`, which returns how many of them it wrote, until the line that the service
/// stopped. Of the others floods are counted, and rare ones are `kept` for the next time.
fn write(
    queue: &Receiver<Entry>,
    shared: &Shared,
    mut kept: Vec<Entry>,
    mut append: impl FnMut(&[Entry]) -> usize,
) {
    let mut is_last = false;
    while !is_last {
        let (mut entries, since) = (std::mem::take(&mut kept), Instant::now());
        while entries.len() < QUEUE_LEN && !is_last {
            match queue.recv_timeout(SYNC_INTERVAL.saturating_sub(since.elapsed())) {
                Ok(entry) => {
                    is_last = entry.kind == Kind::Stopped;
                    entries.push(entry);
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        for (kind, count) in FLOODS.iter().zip(&shared.suppressed) {
            let count = count.swap(0, Ordering::Relaxed);
            if count > 0 {
                let mut entry = Entry::now(Kind::Suppressed, kind.as_str());
                entry.count = count;
                entries.insert(entries.len() - usize::from(is_last), entry);
            }
        }
        if entries.is_empty() {
            continue;
        }
        let written = append(&entries);
        for entry in entries.drain(..).skip(written) {
            let flood_of = |name| FLOODS.iter().position(|flood| flood.as_str() == name);
            match flood_of(entry.kind.as_str()) {
                Some(flood) => shared.suppress(flood, 1),
                // These are in the total already.
                None if entry.kind == Kind::Suppressed => {
                    let flood = flood_of(&entry.what).unwrap_or(REFUSED);
                    shared.suppressed[flood].fetch_add(entry.count, Ordering::Relaxed);
                }
                None if kept.len() < KEPT_LEN_MAX => kept.push(entry),
                None => shared.suppress(REFUSED, 1),
            }
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
