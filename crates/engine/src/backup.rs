//! Copies of a store's folder, taken while another process writes to it.
//!
//! Nothing of the source is locked or changed. Checkpoints and sealed segments change no more, so that they are
//! linked, or copied where a link is not possible; of the segment that is being written the whole frames are
//! copied, and zeros up to its length. The copy has every event that was acknowledged before it was begun. It is
//! a folder that [`crate::open`] opens, and it is worth something only after it was opened and verified.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use jaego_domain::Sequence;

use crate::{
    archive::Archive,
    checkpoint::{self, Manifest},
    disk::{Disk, DiskFile},
    journal::{self, Standing, standing},
    recovery,
};

/// How often a copy is begun anew because the store moved on under it: a checkpoint was pruned, or segments.
pub const TRIES_MAX: u32 = 5;

/// Whether files that change no more may be linked: quick and without cost, but damage to the disk then hits both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// Linked where the file system can.
    Allowed,
    /// Always copied.
    Never,
}

/// What was copied.
#[derive(Clone, Debug, Default)]
pub struct Copied {
    /// Files that are linked.
    pub linked: usize,
    /// Files that are copied.
    pub copied: usize,
    /// Bytes that were written for them.
    pub bytes: u64,
    /// Newer checkpoints than the one that came along, newest first, each by what is wrong with it or with its archive.
    pub passed_over: Vec<recovery::Error>,
    /// How often the copy was begun: 1 to [`TRIES_MAX`].
    pub tries: u32,
}

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file operation failed.
    #[error("cannot {doing} {}", .path.display())]
    Io {
        /// The verb: what was being done.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The journal is not as it should be.
    #[error("cannot read the journal in {}", .path.display())]
    Journal {
        /// The store's folder.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: journal::Error,
    },
    /// The checkpoints cannot be listed, or one of them is gone.
    #[error("cannot read the checkpoints in {}", .path.display())]
    Checkpoint {
        /// The store's folder.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: recovery::Error,
    },
    /// The folder has something in it.
    #[error("{} is not empty: a copy is made in a folder of its own", .path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
}

impl Error {
    fn io<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Error + 'a {
        move |source| Error::Io { doing, path: path.to_owned(), source }
    }

    /// Whether the store may just have moved on: a file was there when it was listed, and is gone.
    fn may_pass(&self) -> bool {
        fn is_gone(source: &io::Error) -> bool {
            source.kind() == io::ErrorKind::NotFound
        }
        match self {
            Self::Io { source, .. } => is_gone(source),
            Self::Journal { source: journal::Error::Io { source, .. }, .. } => is_gone(source),
            Self::Journal { source: journal::Error::Missing { .. }, .. } => true,
            Self::Checkpoint { source, .. } => source.is_gone(),
            _ => false,
        }
    }
}

/// Copies the store in `from` to `to`, which must be empty or not there. A process may be writing to `from`.
///
/// # Errors
/// If a file cannot be read or written. What was copied so far stays, without its journal's last segment, so that
/// it opens as no store.
pub fn copy(from: &Path, to: &Path, links: Links) -> Result<Copied, Error> {
    if !from.is_dir() {
        return Err(Error::io("find", from)(io::ErrorKind::NotFound.into()));
    }
    DirBuilder::new().recursive(true).mode(0o700).create(to).map_err(Error::io("make", to))?;
    let is_empty = fs::read_dir(to).map_err(Error::io("list", to))?.next().is_none();
    if !is_empty {
        return Err(Error::NotEmpty { path: to.to_owned() });
    }
    let mut gone = Vec::new();
    for tries in 1..=TRIES_MAX {
        // A checkpoint of which a file is gone was pruned meanwhile, in all likelihood: there are newer ones now. Where it is
        // still listed at the next try, it was not.
        let is_for_good = |sequence, error: &recovery::Error| {
            if !error.is_gone() || gone.contains(&sequence) || tries == TRIES_MAX {
                return true;
            }
            gone.push(sequence);
            false
        };
        match once(from, to, links, is_for_good) {
            Err(error) if error.may_pass() && tries < TRIES_MAX => clear(to)?,
            ended => return ended.map(|copied| Copied { tries, ..copied }),
        }
    }
    unreachable!("the last try ends it")
}

fn clear(to: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(to).map_err(Error::io("list", to))? {
        let path = entry.map_err(Error::io("list", to))?.path();
        fs::remove_file(&path).map_err(Error::io("remove", &path))?;
    }
    Ok(())
}

/// Copies once. A checkpoint that cannot be used is passed over for an older one, as when the store is opened, where
/// `is_for_good` says so of what is wrong with it.
fn once(
    from: &Path,
    to: &Path,
    links: Links,
    mut is_for_good: impl FnMut(Sequence, &recovery::Error) -> bool,
) -> Result<Copied, Error> {
    let disk = Arc::new(Beside { path: from.to_owned() });
    let mut copied = Copied::default();
    let failed = |source| Error::Checkpoint { path: from.to_owned(), source };
    // The checkpoint first: the journal, which is read later, reaches at least as far.
    for sequence in checkpoint::list(&*disk).map_err(|source| failed(source.into()))? {
        match usable(&disk, sequence) {
            Ok(manifest) => {
                // The manifest last, as it was written.
                for name in manifest.files() {
                    place(&from.join(&name), &to.join(&name), links, &mut copied)?;
                }
                break;
            }
            Err(error) if is_for_good(sequence, &error) => copied.passed_over.push(error),
            Err(error) => return Err(failed(error)),
        }
    }
    let segments = standing(&disk).map_err(|source| Error::Journal { path: from.to_owned(), source })?;
    for Standing { name, len, whole } in segments {
        match whole {
            None => place(&from.join(&name), &to.join(&name), links, &mut copied)?,
            Some(whole) => {
                part(&from.join(&name), &to.join(&name), whole, len)?;
                copied.copied += 1;
                copied.bytes += len;
            }
        }
    }
    // It says that a store lives here; a store without it gets it when it is opened.
    let marker = from.join(recovery::MARKER);
    if marker.exists() {
        place(&marker, &to.join(recovery::MARKER), Links::Never, &mut copied)?;
    }
    File::open(to).and_then(|folder| folder.sync_all()).map_err(Error::io("sync", to))?;
    Ok(copied)
}

/// Checks a checkpoint as opening the store would: its parts, and that its archive opens.
fn usable(disk: &Beside, sequence: Sequence) -> Result<Manifest, recovery::Error> {
    let manifest = checkpoint::check(disk, sequence)?;
    Archive::open(disk, &manifest.archive, &Archive::default())?;
    Ok(manifest)
}

/// Links or copies a file that changes no more.
fn place(from: &Path, to: &Path, links: Links, copied: &mut Copied) -> Result<(), Error> {
    if links == Links::Allowed {
        match fs::hard_link(from, to) {
            Ok(()) => {
                copied.linked += 1;
                return Ok(());
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::io("link", from)(error));
            }
            // Another file system, or one without links.
            Err(_) => {}
        }
    }
    let len = fs::metadata(from).map_err(Error::io("read", from))?.len();
    part(from, to, len, len)?;
    copied.copied += 1;
    copied.bytes += len;
    Ok(())
}

/// Copies the first `whole` bytes of a file, and zeros up to `len`.
fn part(from: &Path, to: &Path, whole: u64, len: u64) -> Result<(), Error> {
    let source = File::open(from).map_err(Error::io("open", from))?;
    let mut target = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)
        .map_err(Error::io("make", to))?;
    let taken = io::copy(&mut source.take(whole), &mut target).map_err(Error::io("copy", from))?;
    if taken < whole {
        return Err(Error::io("copy", from)(io::ErrorKind::UnexpectedEof.into()));
    }
    // Written, not left as a hole: the store never asks for room in a segment a second time.
    let zeros = io::repeat(0).take(len - whole);
    io::copy(&mut { zeros }, &mut target).map_err(Error::io("write", to))?;
    target.flush().and_then(|()| target.sync_all()).map_err(Error::io("sync", to))
}

/// A store's folder that belongs to another process: it is read, and neither locked nor changed.
#[derive(Debug)]
struct Beside {
    path: PathBuf,
}

#[derive(Debug)]
struct BesideFile(File);

fn not_ours<T>() -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::PermissionDenied, "the folder belongs to another process"))
}

impl Disk for Beside {
    type File = BesideFile;

    fn create(&self, _: &str, _: u64) -> io::Result<BesideFile> {
        not_ours()
    }

    fn open(&self, name: &str) -> io::Result<BesideFile> {
        File::open(self.path.join(name)).map(BesideFile)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        not_ours()
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        not_ours()
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

impl DiskFile for BesideFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(bytes, offset)
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<usize> {
        not_ours()
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    // The other process owns the cache and knows what of it is durable.
    fn settle(&self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use jaego_domain::{
        Code, Command, Event, Memory, Name, Request, Strategy, Tables, TimeZone, Timestamp, command::SetSite,
        turn,
    };

    use super::*;
    use crate::{
        archive,
        disk::RealDisk,
        journal::{Config, Journal, Preparation, StoreId},
    };

    const CONFIG: Config = Config { segment_len: 4096, preparation: Preparation::Inline };

    /// The payloads that a copy of the journal in `from` opens with.
    fn copied(from: &Path, to: &Path) -> Vec<String> {
        copy(from, to, Links::Allowed).unwrap();
        let mut recovery = Journal::open(RealDisk::open(to).unwrap(), CONFIG, 1).unwrap();
        let mut payloads = Vec::new();
        while let Some(frame) = recovery.next().unwrap() {
            payloads.push(String::from_utf8_lossy(frame.payload).into_owned());
        }
        recovery.finish().unwrap();
        payloads
    }

    #[test]
    fn a_copy_has_all_that_was_durable_wherever_the_writer_is() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("from");
        let mut journal = Journal::create(RealDisk::open(&from).unwrap(), CONFIG, StoreId(7), 1).unwrap();
        let mut written = Vec::new();
        for number in 1..=40_u64 {
            let payload = format!("event {number}");
            journal.append(number, 1, payload.as_bytes()).unwrap();
            journal.sync().unwrap();
            written.push(payload);
            if number % 9 == 0 {
                journal.rotate().unwrap();
            }
            assert_eq!(copied(&from, &folder.path().join(format!("to-{number}"))), written, "after {number}");
        }
    }

    #[test]
    fn the_newest_checkpoint_comes_along_and_no_other_file() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        let disk = Arc::new(RealDisk::open(&from).unwrap());
        let journal = Journal::create(Arc::clone(&disk), CONFIG, StoreId(7), 1).unwrap();
        let written = checkpoint::write(&*disk, StoreId(7), &Memory::new(), &[]).unwrap();
        let older = "checkpoint-00000000000000000000.000000.tmp";
        fs::write(from.join(older), "what a crash left").unwrap();
        let copied = copy(&from, &to, Links::Allowed).unwrap();
        assert_eq!((copied.linked, copied.copied), (written.files().len(), 1));
        let copy = RealDisk::open(&to).unwrap();
        let (loaded, _) = checkpoint::load(&copy, written.sequence).unwrap();
        assert_eq!(loaded, written);
        assert!(!to.join(older).exists());
        drop(journal);
    }

    #[test]
    fn a_checkpoint_that_is_damaged_is_passed_over_for_an_older_one() {
        let part = |sequence: u64| format!("checkpoint-{sequence:020}.000000");
        let done = |sequence: u64| format!("checkpoint-{sequence:020}.done");
        let turned = |path: &Path| {
            let mut bytes = fs::read(path).unwrap();
            *bytes.last_mut().unwrap() ^= 1;
            fs::write(path, bytes).unwrap();
        };
        let run = |from: &Path| from.join(archive::files(&[1]).next().unwrap());
        /// The runs that it lists, what is done to it, and how often the copy is begun: what is gone may have been pruned.
        type Damage<'a> = (&'a [u64], &'a dyn Fn(&Path), u32);
        let damages: [Damage<'_>; 6] = [
            (&[], &|from| turned(&from.join(done(1))), 1),
            (&[], &|from| turned(&from.join(part(1))), 1),
            (&[], &|from| fs::remove_file(from.join(part(1))).unwrap(), 2),
            (&[], &|from| fs::write(from.join(done(1)), "").unwrap(), 1),
            (&[1], &|from| fs::write(run(from), [0; 4_096]).unwrap(), 1),
            (&[1], &|_| {}, 2),
        ];
        for (number, (runs, damage, tries)) in damages.into_iter().enumerate() {
            let folder = tempfile::tempdir().unwrap();
            let (from, to) = (folder.path().join("from"), folder.path().join("to"));
            let disk = Arc::new(RealDisk::open(&from).unwrap());
            let mut journal = Journal::create(Arc::clone(&disk), CONFIG, StoreId(7), 1).unwrap();
            let mut memory = Memory::new();
            let older = checkpoint::write(&*disk, StoreId(7), &memory, &[]).unwrap();
            let event = site();
            journal.append(1, 1, &jaego_store::codec::encode(std::slice::from_ref(&event))).unwrap();
            journal.sync().unwrap();
            drop(jaego_domain::apply_for_good(&mut memory, &event));
            checkpoint::write(&*disk, StoreId(7), &memory, runs).unwrap();
            damage(&from);
            let copied = copy(&from, &to, Links::Allowed).unwrap();
            assert_eq!(copied.passed_over.len(), 1, "damage {number}: {copied:?}");
            assert_eq!(copied.tries, tries, "damage {number}");
            let copy = RealDisk::open(&to).unwrap();
            assert_eq!(checkpoint::list(&copy).unwrap(), [older.sequence], "damage {number}");
            drop(copy);
            let opened = crate::open(RealDisk::open(&to).unwrap(), CONFIG, |_| {}).unwrap();
            assert_eq!(opened.memory.head().sequence, Sequence(1), "damage {number}");
        }
    }

    /// An event that makes a site.
    fn site() -> Event {
        let code = |text| Code::new("code", text).unwrap();
        let set = Command::SetSite(SetSite {
            site: code("ICN"),
            name: Name::default(),
            time_zone: TimeZone::new("UTC").unwrap(),
            strategy: Strategy::Fifo,
        });
        let request = Request::new(set, None, code("tester")).unwrap();
        let mut events = Vec::new();
        turn::submit_for_good(&mut Memory::new(), &request, Timestamp(1), &mut events).unwrap();
        events.pop().unwrap()
    }

    #[test]
    fn a_copy_goes_into_an_empty_folder_only() {
        let folder = tempfile::tempdir().unwrap();
        let error = copy(folder.path(), folder.path(), Links::Allowed).unwrap_err();
        assert!(matches!(error, Error::Journal { source: journal::Error::NotFound, .. }), "{error}");
        fs::write(folder.path().join("something"), "").unwrap();
        let error = copy(folder.path(), folder.path(), Links::Allowed).unwrap_err();
        assert!(matches!(error, Error::NotEmpty { .. }), "{error}");
    }
}
