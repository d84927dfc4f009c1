//! The files of the audit log: one JSON object a line, each with its number and a hash over itself and the line before.
//!
//! ```text
//!   audit-0000000001.log   {"n":1,"kind":"opened",…,"hash":"…"}     begins a file and names the hash before it
//!                          {"n":2,"kind":"denied",…,"hash":"…"}     hash = SHA-256(hash before, line up to ,"hash")
//! ```
//!
//! Several programs may append: a service, and commands on its folder. Each takes the lock, goes to the end, and goes on
//! from the line that it finds there.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, BufRead, BufReader, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Entry, Error, FILE_BYTES_MAX, FILES_MAX, Kind, LINE_BYTES_MAX};

/// What stands before a line's hash, at its end.
const HASH: &str = ",\"hash\":\"";
/// Hexadecimal digits of a hash.
const DIGITS: usize = 64;
/// What comes behind them.
const END: &str = "\"}";
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

/// Appends lines, under the lock, one after the other.
#[derive(Debug)]
pub(super) struct Writer {
    folder: PathBuf,
}

/// Appends one line to the log in a folder, for what is done beside a service, and makes it durable.
///
/// # Errors
/// If it cannot be written.
pub fn append(folder: &Path, entry: Entry) -> Result<(), Error> {
    Writer::new(folder).append(&[entry])
}

impl Writer {
    pub(super) fn new(folder: &Path) -> Writer {
        Writer { folder: folder.to_owned() }
    }

    /// Appends lines and makes them durable.
    pub(super) fn append(&mut self, entries: &[Entry]) -> Result<(), Error> {
        let failed = |doing, path: &Path| {
            let path = path.to_owned();
            move |source| Error::File { doing, path, source }
        };
        let folder = &self.folder;
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed("create", folder))?;
        let lock_path = folder.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&lock_path)
            .map_err(failed("open", &lock_path))?;
        lock.lock().map_err(failed("lock", &lock_path))?;

        let mut files = files(folder)?;
        let (mut file, mut path, mut last) = match files.last() {
            None => self.begin(1, &Last { n: 0, hash: NOTHING.to_owned() })?,
            Some((_, path)) => open(path)?,
        };
        for entry in entries {
            let len = file.metadata().map_err(failed("look at", &path))?.len();
            if len >= FILE_BYTES_MAX {
                file.sync_data().map_err(failed("sync", &path))?;
                let number = files.last().map_or(1, |(number, _)| *number) + 1;
                (file, path, last) = self.begin(number, &last)?;
                files.push((number, path.clone()));
                while files.len() > FILES_MAX {
                    let (_, oldest) = files.remove(0);
                    fs::remove_file(&oldest).map_err(failed("remove", &oldest))?;
                }
            }
            last = push(&mut file, &last, entry).map_err(failed("write", &path))?;
        }
        file.sync_data().map_err(failed("sync", &path))
    }

    /// Begins a file with the line that ties it to the one before.
    fn begin(&self, number: u64, last: &Last) -> Result<(File, PathBuf, Last), Error> {
        let path = self.folder.join(format!("audit-{number:010}.log"));
        let failed = |doing| {
            let path = path.clone();
            move |source| Error::File { doing, path, source }
        };
        let mut file = OpenOptions::new()
            .create_new(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed("create"))?;
        let mut entry = Entry::now(Kind::Opened, "");
        entry.previous = Some(last.hash.clone());
        let last = push(&mut file, last, &entry).map_err(failed("write"))?;
        file.sync_data().map_err(failed("sync"))?;
        File::open(&self.folder)
            .and_then(|folder| folder.sync_all())
            .map_err(failed("sync the folder of"))?;
        Ok((file, path, last))
    }
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

/// Opens the last file at its end, cuts off what a crash left of a line, and finds the line to go on from.
fn open(path: &Path) -> Result<(File, PathBuf, Last), Error> {
    let failed = |doing| move |source| Error::File { doing, path: path.to_owned(), source };
    let mut file = OpenOptions::new().read(true).append(true).open(path).map_err(failed("open"))?;
    let len = file.metadata().map_err(failed("look at"))?.len();
    // Two lines at the least fit, so that the last whole one is among them.
    let from = len.saturating_sub(2 * LINE_BYTES_MAX as u64);
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(from)).map_err(failed("read"))?;
    file.read_to_end(&mut tail).map_err(failed("read"))?;
    let end = tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let begin = tail[..end.saturating_sub(1)].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let broken = |reason: &str| Error::Broken { path: path.to_owned(), line: 0, reason: reason.to_owned() };
    let text = std::str::from_utf8(&tail[begin..end]).map_err(|_| broken("its last line is no text"))?;
    if text.is_empty() {
        return Err(broken("it has no whole line at its end"));
    }
    let (line, _, hash) = parse(text).map_err(|reason| broken(&reason))?;
    let mut last = Last { n: line.n, hash };
    let torn = (tail.len() - end) as u64;
    if torn > 0 {
        file.set_len(len - torn).map_err(failed("cut a torn line off"))?;
        let mut entry = Entry::now(Kind::Cut, "");
        entry.count = torn;
        last = push(&mut file, &last, &entry).map_err(failed("write"))?;
    }
    Ok((file, path.to_owned(), last))
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

/// The lines of a log with their hashes, oldest first, each held against the one before. After an error nothing more
/// comes.
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
                    self.ended = true;
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
        let mut bytes = Vec::new();
        let mut limited = file.take(LINE_BYTES_MAX as u64);
        let read = limited.read_until(b'\n', &mut bytes);
        read.map_err(|source| Error::File { doing: "read", path: path.clone(), source })?;
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
