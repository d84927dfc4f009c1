//! What the store asks of a disk, and the real one.
//!
//! The traits are small on purpose: the simulated disk implements them too, and everything above is tested on
//! both. Reading and writing may be short or interrupted, as the operating system's calls may; the provided
//! methods finish the job and are the ones to call.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Advice, FallocateFlags};

/// How often one call is started again after a signal interrupted it, before the interruption is given back.
pub const INTERRUPTIONS_MAX: u32 = 128;

/// The name of the file that keeps a second process out of a folder.
pub const LOCK_NAME: &str = "lock";

/// Bytes written per call when a new file is filled with zeros.
const ZERO_FILL_LEN: usize = 1 << 20;

/// Bytes after which a new file is synced while it is filled.
const ZERO_SYNC_LEN: u64 = 4 << 20;

/// One flat folder of files.
pub trait Disk: Send + Sync + 'static {
    /// An open file of this disk.
    type File: DiskFile;

    /// Creates a file of `len` zero bytes, allocated and durable when this returns. Its *name* is durable only
    /// after [`Disk::sync`]. Refuses a name that exists. After an error a part of the file may be there.
    fn create(&self, name: &str, len: u64) -> io::Result<Self::File>;

    /// Opens an existing file for reading and writing.
    fn open(&self, name: &str) -> io::Result<Self::File>;

    /// The names of all files, in no particular order.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Gives a file another name, replacing what had that name. Durable after [`Disk::sync`].
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a name. Durable after [`Disk::sync`].
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes creations, renames and removals durable.
    fn sync(&self) -> io::Result<()>;
}

impl<D: Disk> Disk for Arc<D> {
    type File = D::File;

    fn create(&self, name: &str, len: u64) -> io::Result<Self::File> {
        (**self).create(name, len)
    }

    fn open(&self, name: &str) -> io::Result<Self::File> {
        (**self).open(name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        (**self).list()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        (**self).rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        (**self).remove(name)
    }

    fn sync(&self) -> io::Result<()> {
        (**self).sync()
    }
}

/// An open file. All methods take a shared reference: positions are arguments, there is no cursor.
pub trait DiskFile: Send + Sync + 'static {
    /// The length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Reads at most `bytes.len()` bytes; 0 means the end of the file.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes at most `bytes.len()` bytes and says how many.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Makes everything written so far durable. After an error nothing is known about any of it: the caller
    /// must not write or sync this file again, but reopen and read what the device holds.
    fn sync_data(&self) -> io::Result<()>;

    /// Makes later reads see what the device holds.
    ///
    /// An earlier process may have left written bytes in the cache that a failed sync marked as clean although
    /// they never reached the device. This syncs what is still dirty, then drops the cache.
    fn settle(&self) -> io::Result<()>;

    /// Whether the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Fills `bytes`, or fails with `UnexpectedEof` when the file ends before.
    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        let mut done = 0;
        let mut interruptions = 0;
        while done < bytes.len() {
            match self.read_at(&mut bytes[done..], offset + done as u64) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(len) => done += len,
                Err(error) => again_if_interrupted(error, &mut interruptions)?,
            }
        }
        Ok(())
    }

    /// Writes all of `bytes`, or says how many were written before it failed.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> Result<(), WriteError> {
        let mut written = 0;
        let mut interruptions = 0;
        while written < bytes.len() {
            let source = match self.write_at(&bytes[written..], offset + written as u64) {
                Ok(0) => io::ErrorKind::WriteZero.into(),
                Ok(len) => {
                    written += len;
                    continue;
                }
                Err(error) => match again_if_interrupted(error, &mut interruptions) {
                    Ok(()) => continue,
                    Err(error) => error,
                },
            };
            return Err(WriteError { written, source });
        }
        Ok(())
    }
}

/// A write that did not finish.
#[derive(Debug, thiserror::Error)]
#[error("only {written} bytes were written")]
pub struct WriteError {
    /// Bytes handed to the system before the failure.
    pub written: usize,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

/// Whether the error says that there is no room: a full disk or a used-up quota.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn again_if_interrupted(error: io::Error, interruptions: &mut u32) -> io::Result<()> {
    if error.kind() != io::ErrorKind::Interrupted || *interruptions == INTERRUPTIONS_MAX {
        return Err(error);
    }
    *interruptions += 1;
    Ok(())
}

/// A folder of the machine's file system, held by this process alone until dropped.
#[derive(Debug)]
pub struct RealDisk {
    path: PathBuf,
    folder: File,
    // Held for its lock, which the system lets go when the process ends, however it ends.
    _lock: File,
}

impl RealDisk {
    /// Opens the folder, creating it if needed (readable by its owner only), and locks it. Fails with
    /// `WouldBlock` while another process holds it.
    pub fn open(path: impl Into<PathBuf>) -> io::Result<RealDisk> {
        let path = path.into();
        // Its own parent at least: who made the folder may not have seen to that.
        let made = path.ancestors().take_while(|folder| !folder.exists()).count().max(1);
        DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join(LOCK_NAME))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => io::Error::new(
                io::ErrorKind::WouldBlock,
                format!("{} is in use by another process; stop that one first", path.display()),
            ),
            TryLockError::Error(error) => error,
        })?;
        let folder = File::open(&path)?;
        // The folder itself may be new, and a crash must not take it away with all that is in it.
        for parent in path.canonicalize()?.ancestors().skip(1).take(made) {
            File::open(parent)?.sync_all()?;
        }
        Ok(RealDisk { path, folder, _lock: lock })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.path
    }

    /// The path of one of its files, for hard links and messages.
    pub fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Disk for RealDisk {
    type File = RealFile;

    fn create(&self, name: &str, len: u64) -> io::Result<RealFile> {
        let file =
            OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(self.path(name))?;
        let file = RealFile { file };
        if len == 0 {
            return Ok(file);
        }
        // Allocating first finds a full disk at once and keeps the file in one piece. Writing the zeros as well
        // turns the allocated extents into written ones, so that later syncs carry no metadata.
        match rustix::fs::fallocate(&file.file, FallocateFlags::empty(), 0, len) {
            Ok(()) | Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {}
            Err(error) => return Err(error.into()),
        }
        let zeros = vec![0; ZERO_FILL_LEN.min(usize::try_from(len).unwrap_or(ZERO_FILL_LEN))];
        let mut offset = 0;
        while offset < len {
            let chunk = (len - offset).min(zeros.len() as u64);
            let chunk = usize::try_from(chunk).expect("a chunk is at most the buffer");
            file.write_all_at(&zeros[..chunk], offset).map_err(|error| error.source)?;
            offset += chunk as u64;
            // Little by little: one large sync would hold up those of the file that is being written.
            if offset.is_multiple_of(ZERO_SYNC_LEN) {
                file.sync_data()?;
            }
        }
        file.file.sync_all()?;
        Ok(file)
    }

    fn open(&self, name: &str) -> io::Result<RealFile> {
        let file = OpenOptions::new().read(true).write(true).open(self.path(name))?;
        Ok(RealFile { file })
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            // Names that are no text are none of ours.
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path(name))
    }

    fn sync(&self) -> io::Result<()> {
        self.folder.sync_all()
    }
}

/// A file of a [`RealDisk`].
#[derive(Debug)]
pub struct RealFile {
    file: File,
}

impl DiskFile for RealFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(bytes, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.file.write_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn settle(&self) -> io::Result<()> {
        self.file.sync_data()?;
        // Advice only: a file system without a page cache to drop has nothing stale to show either.
        let _ = rustix::fs::fadvise(&self.file, 0, None, Advice::DontNeed);
        Ok(())
    }
}
