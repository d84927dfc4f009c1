//! The files of the audit log: one JSON object a line, each with its number and a hash over itself and the line before.
//!
//! ```text
//!   audit-0000000001.log   {"n":1,"kind":"opened",…,"hash":"…"}     begins a file and names the hash before it
//!                          {"n":2,"kind":"denied",…,"hash":"…"}     hash = SHA-256(hash before, line up to ,"hash")
//! ```
//!
//! Several programs may append: a service, and commands on its folder. Each takes the lock, goes to the end, and goes on
//! from the line that it finds there. What a crash or a full disk left of a line, or of a file that has none yet, is cut
//! off and told; a file whose last line is none of ours stays as it is, and a new chain begins behind it.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Seek as _, SeekFrom, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Entry, Error, FILE_BYTES_MAX, FILES_MAX, Kind, LINE_BYTES_MAX, shortened};

/// What stands before a line's hash, at its end.
const HASH: &str = ",\"hash\":\"";
/// Hexadecimal digits of a hash.
const DIGITS: usize = 64;
/// What comes behind them.
const END: &str = "\"}";
/// The file that whoever appends holds locked.
const LOCK: &str = "lock";
/// What the first line of all follows.
const NOTHING: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A line as it is written, without its hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Its number, from 1 and without gaps over all files.
    pub n: u64,
    /// What happened.
    #[serde(flatten)]
    pub entry: Entry,
}

/// The last line: what the next one follows.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Last {
    n: u64,
    hash: String,
}

impl Last {
    /// What the first line of a chain follows.
    fn none() -> Last {
        Last { n: 0, hash: NOTHING.to_owned() }
    }
}

/// Appends lines, under the lock, one after the other.
#[derive(Debug)]
pub(super) struct Writer {
    folder: PathBuf,
}

/// Why not all lines were appended.
#[derive(Debug)]
pub(super) struct Unwritten {
    /// How many of them were, from the first.
    pub(super) written: usize,
    pub(super) error: Error,
}

/// Appends one line to the log in a folder, for what is done beside a service, and makes it durable.
///
/// # Errors
/// If it cannot be written.
pub fn append(folder: &Path, entry: Entry) -> Result<(), Error> {
    Writer::new(folder).append(&[entry]).map_err(|unwritten| unwritten.error)
}

impl Writer {
    pub(super) fn new(folder: &Path) -> Writer {
        Writer { folder: folder.to_owned() }
    }

    /// Appends lines and makes them durable.
    pub(super) fn append(&mut self, entries: &[Entry]) -> Result<(), Unwritten> {
        let mut written = 0;
        self.append_counted(entries, &mut written).map_err(|error| Unwritten { written, error })
    }

    fn append_counted(&mut self, entries: &[Entry], written: &mut usize) -> Result<(), Error> {
        let folder = &self.folder;
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed("create", folder))?;
        let lock_path = folder.join(LOCK);
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&lock_path)
            .map_err(failed("open", &lock_path))?;
        lock.lock().map_err(failed("lock", &lock_path))?;

        let mut files = files(folder)?;
        let (mut file, mut last) = self.go_on(&mut files)?;
        for entry in entries {
            let path = last_of(&files);
            let len = file.metadata().map_err(failed("look at", path))?.len();
            if len >= FILE_BYTES_MAX {
                file.sync_data().map_err(failed("sync", path))?;
                (file, last) = self.begin(&mut files, &last, "")?;
            }
            last = push(&mut file, &last, entry).map_err(failed("write", last_of(&files)))?;
            *written += 1;
        }
        file.sync_data().map_err(failed("sync", last_of(&files)))
    }

    /// Finds the line to go on from, and makes a place for the next one behind it.
    fn go_on(&self, files: &mut Vec<(u64, PathBuf)>) -> Result<(File, Last), Error> {
        let mut cut = 0;
        let (mut file, mut last) = loop {
            let Some((_, path)) = files.last() else { break self.begin(files, &Last::none(), "")? };
            match open(path) {
                Ok(End::Line { file, last, torn }) => {
                    cut += torn;
                    break (file, last);
                }
                // A file that was begun when the disk was full or the power went: nothing of it was ever whole.
                Ok(End::NoLine { torn }) => {
                    cut += torn;
                    fs::remove_file(path).map_err(failed("remove", path))?;
                    files.pop();
                }
                // It is left for whoever asks what happened. A new chain does not follow it, and says so.
                Err(Error::Broken { reason, .. }) => {
                    let name = path.file_name().unwrap_or_default().display();
                    let why = format!("{name} is broken: {reason}");
                    break self.begin(files, &Last::none(), &shortened(&why))?;
                }
                Err(error) => return Err(error),
            }
        };
        if cut > 0 {
            let mut entry = Entry::now(Kind::Cut, "");
            entry.count = cut;
            last = push(&mut file, &last, &entry).map_err(failed("write", last_of(files)))?;
        }
        Ok((file, last))
    }

    /// Begins the next file with the line that ties it to the one before, and lets the oldest ones leave.
    fn begin(&self, files: &mut Vec<(u64, PathBuf)>, last: &Last, what: &str) -> Result<(File, Last), Error> {
        let number = files.last().map_or(0, |(number, _)| *number) + 1;
        let path = self.folder.join(format!("audit-{number:010}.log"));
        let mut file = OpenOptions::new()
            .create_new(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed("create", &path))?;
        let mut entry = Entry::now(Kind::Opened, what);
        entry.previous = Some(last.hash.clone());
        let last = push(&mut file, last, &entry).map_err(failed("write", &path))?;
        file.sync_data().map_err(failed("sync", &path))?;
        File::open(&self.folder)
            .and_then(|folder| folder.sync_all())
            .map_err(failed("sync the folder of", &path))?;
        files.push((number, path));
        while files.len() > FILES_MAX {
            let (_, oldest) = files.remove(0);
            fs::remove_file(&oldest).map_err(failed("remove", &oldest))?;
        }
        Ok((file, last))
    }
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::File { doing, path, source }
}

fn last_of(files: &[(u64, PathBuf)]) -> &Path {
    &files.last().expect("a file is open").1
}

/// Writes one line whole.
fn push(file: &mut File, last: &Last, entry: &Entry) -> io::Result<Last> {
    let line = Line { n: last.n + 1, entry: entry.clone() };
    let json = serde_json::to_string(&line).expect("a line has text for keys");
    let body = json.strip_suffix('}').expect("a line is an object");
    let hash = hash(&last.hash, body);
    file.write_all(format!("{body}{HASH}{hash}{END}\n").as_bytes())?;
    Ok(Last { n: line.n, hash })
}

fn hash(before: &str, body: &str) -> String {
    let mut digest = Sha256::new();
    digest.update(before.as_bytes());
    digest.update(body.as_bytes());
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What stands at the end of the last file.
enum End {
    /// A line to go on from. So many bytes of another one behind it were cut off.
    Line { file: File, last: Last, torn: u64 },
    /// Not one whole line, in so many bytes.
    NoLine { torn: u64 },
}

/// Opens the last file at its end, cuts off what a crash left of a line, and finds the line to go on from.
fn open(path: &Path) -> Result<End, Error> {
    let broken = |reason: &str| Error::Broken { path: path.to_owned(), line: 0, reason: reason.to_owned() };
    let mut file = OpenOptions::new().read(true).append(true).open(path).map_err(failed("open", path))?;
    let len = file.metadata().map_err(failed("look at", path))?.len();
    if len > 2 * FILE_BYTES_MAX {
        return Err(broken("it is longer than a file of ours becomes"));
    }
    // Two lines at the least fit, so that the last whole one is mostly among them. After a power cut any number of zeros
    // may stand behind it.
    let (mut tail, mut tail_len) = (Vec::new(), 2 * LINE_BYTES_MAX as u64);
    let (begin, end) = loop {
        let from = len.saturating_sub(tail_len);
        tail.clear();
        file.seek(SeekFrom::Start(from)).map_err(failed("read", path))?;
        Read::by_ref(&mut file).take(len - from).read_to_end(&mut tail).map_err(failed("read", path))?;
        let mut ends =
            tail.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
        match (ends.next(), ends.next()) {
            (Some(end), Some(begin)) => break (begin, end),
            (Some(end), None) if from == 0 => break (0, end),
            (None, _) if from == 0 => return Ok(End::NoLine { torn: len }),
            _ => tail_len *= 4,
        }
    };
    let text = std::str::from_utf8(&tail[begin..end]).map_err(|_| broken("its last line is no text"))?;
    let (line, _, hash) = parse(text).map_err(|reason| broken(&reason))?;
    let torn = (tail.len() - end) as u64;
    if torn > 0 {
        file.set_len(len - torn).map_err(failed("cut a torn line off", path))?;
    }
    Ok(End::Line { file, last: Last { n: line.n, hash }, torn })
}

/// A line, what of it is hashed, and its hash.
fn parse(text: &str) -> Result<(Line, &str, String), String> {
    let text = text.trim_end_matches('\n');
    let at = text.len().checked_sub(HASH.len() + DIGITS + END.len()).filter(|at| text.is_char_boundary(*at));
    let (body, end) = text.split_at(at.ok_or("it is too short")?);
    let digits = end.strip_prefix(HASH).and_then(|end| end.strip_suffix(END)).ok_or("it has no hash")?;
    let line = serde_json::from_str(&format!("{body}}}")).map_err(|error| error.to_string())?;
    Ok((line, body, digits.to_owned()))
}

/// The files of a log, oldest first, with their numbers.
fn files(folder: &Path) -> Result<Vec<(u64, PathBuf)>, Error> {
    let failed = |source| Error::File { doing: "list", path: folder.to_owned(), source };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let number = name.strip_prefix("audit-").and_then(|name| name.strip_suffix(".log"));
        if let Some(number) = number.and_then(|number| number.parse().ok()) {
            files.push((number, path));
        }
    }
    files.sort();
    Ok(files)
}

/// What [`verify`] proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Files that were read.
    pub files: usize,
    /// The number of the first line that is kept.
    pub first: u64,
    /// The number of the last line.
    pub last: u64,
    /// The hash of the last line: kept elsewhere, it tells later whether lines were taken off the end or made anew.
    pub hash: String,
    /// Whether the line with the hash that was asked for is there.
    pub has_seen: bool,
}

/// Reads all files and proves that no line was changed, taken out or put in between. What was taken off the end shows
/// only against a hash that was `seen` before.
///
/// # Errors
/// [`Error::Broken`] at the first line that is not the one that was written.
pub fn verify(folder: &Path, seen: Option<&str>) -> Result<Verified, Error> {
    let mut verified = Verified {
        files: files(folder)?.len(),
        first: 0,
        last: 0,
        hash: NOTHING.to_owned(),
        has_seen: false,
    };
    for line in lines(folder)? {
        let (line, hash) = line?;
        if verified.first == 0 {
            verified.first = line.n;
        }
        verified.has_seen |= seen == Some(hash.as_str());
        (verified.last, verified.hash) = (line.n, hash);
    }
    Ok(verified)
}

/// The lines of a log with their hashes, oldest first, each held against the one before. After a line that is broken
/// comes the next file, and after any other error nothing more.
///
/// # Errors
/// If the folder cannot be read.
pub fn lines(folder: &Path) -> Result<Lines, Error> {
    Ok(Lines { files: files(folder)?.into_iter(), open: None, last: None, ended: false })
}

/// See [`lines`].
#[derive(Debug)]
pub struct Lines {
    files: std::vec::IntoIter<(u64, PathBuf)>,
    open: Option<(BufReader<File>, PathBuf, u64)>,
    last: Option<Last>,
    ended: bool,
}

impl Iterator for Lines {
    type Item = Result<(Line, String), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            if self.open.is_none() {
                let (_, path) = self.files.next()?;
                match File::open(&path) {
                    // It left for its age after the files were listed.
                    Err(gone) if gone.kind() == io::ErrorKind::NotFound && self.last.is_none() => continue,
                    Ok(file) => self.open = Some((BufReader::new(file), path, 0)),
                    Err(source) => {
                        self.ended = true;
                        return Some(Err(Error::File { doing: "open", path, source }));
                    }
                }
            }
            match self.read() {
                Ok(Some(line)) => return Some(Ok(line)),
                Ok(None) => self.open = None,
                Err(error) => {
                    (self.open, self.last) = (None, None);
                    self.ended = !matches!(error, Error::Broken { .. });
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

impl Lines {
    /// The next line of the open file.
    fn read(&mut self) -> Result<Option<(Line, String)>, Error> {
        let Some((file, path, number)) = &mut self.open else { return Ok(None) };
        let mut bytes = read_line(file).map_err(failed("read", path))?;
        if !bytes.is_empty() && !bytes.ends_with(b"\n") {
            // Somebody may be writing it. Whoever writes holds the lock, so that it is whole once we have that.
            let _lock = lock_shared(path);
            let back = i64::try_from(bytes.len()).expect("a line is short");
            file.seek(SeekFrom::Current(-back)).map_err(failed("read", path))?;
            bytes = read_line(file).map_err(failed("read", path))?;
        }
        if bytes.is_empty() {
            return Ok(None);
        }
        *number += 1;
        let broken =
            |reason: &str| Error::Broken { path: path.clone(), line: *number, reason: reason.to_owned() };
        if !bytes.ends_with(b"\n") {
            return Err(broken(
                "it does not end; a crash leaves such a line, which the next one who writes cuts off",
            ));
        }
        let text = std::str::from_utf8(&bytes).map_err(|_| broken("it is no text"))?;
        let (line, body, said) = parse(text).map_err(|reason| broken(&reason))?;
        if (*number == 1) != (line.entry.kind == Kind::Opened) {
            return Err(broken("a file begins with the line that says so, and has no other one"));
        }
        let before = match (&self.last, &line.entry.previous) {
            // What came before the first file was removed for its age.
            (None, Some(previous)) => Last { n: line.n.saturating_sub(1), hash: previous.clone() },
            (None, None) => return Err(broken("it does not say what it follows")),
            (Some(last), Some(previous)) if *previous != last.hash => {
                return Err(broken("the file does not follow the one before it"));
            }
            (Some(last), _) => last.clone(),
        };
        if line.n != before.n + 1 {
            return Err(broken(&format!("it has the number {} and follows {}", line.n, before.n)));
        }
        if hash(&before.hash, body) != said {
            return Err(broken("its hash is another"));
        }
        self.last = Some(Last { n: line.n, hash: said.clone() });
        Ok(Some((line, said)))
    }
}

/// A line with its end, as much of it as is there, or nothing at the end of the file.
fn read_line(file: &mut BufReader<File>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut bytes)?;
    Ok(bytes)
}

/// Keeps those who append to the log of this file waiting. A copy of a log has no lock, and nobody who appends.
fn lock_shared(path: &Path) -> Option<File> {
    let lock = File::open(path.with_file_name(LOCK)).ok()?;
    lock.lock_shared().ok()?;
    Some(lock)
}
