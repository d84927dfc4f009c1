//! A disk that says that it synced, and did not.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use jaego_engine::{
    disk::{Disk, DiskFile},
    sim_disk::{SimDisk, SimFile},
};

#[derive(Clone)]
pub(crate) struct LyingDisk {
    pub(crate) disk: SimDisk,
    lies: Arc<AtomicBool>,
}

impl LyingDisk {
    pub(crate) fn new(seed: u64) -> Self {
        Self { disk: SimDisk::new(seed), lies: Arc::default() }
    }

    /// From now on no sync does anything.
    pub(crate) fn lie(&self) {
        self.lies.store(true, Ordering::SeqCst);
    }

    fn file(&self, file: SimFile) -> LyingFile {
        LyingFile { file, lies: self.lies.clone() }
    }
}

pub(crate) struct LyingFile {
    file: SimFile,
    lies: Arc<AtomicBool>,
}

impl Disk for LyingDisk {
    type File = LyingFile;

    fn create(&self, name: &str, len: u64) -> io::Result<LyingFile> {
        self.disk.create(name, len).map(|file| self.file(file))
    }

    fn open(&self, name: &str) -> io::Result<LyingFile> {
        self.disk.open(name).map(|file| self.file(file))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.sync()
    }
}

impl DiskFile for LyingFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(bytes, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.file.write_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.lies.load(Ordering::SeqCst) { Ok(()) } else { self.file.sync_data() }
    }

    fn settle(&self) -> io::Result<()> {
        self.file.settle()
    }
}
