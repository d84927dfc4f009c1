//! A simulated disk whose syncs wait until the test lets them go.
//!
//! A gate may stand elsewhere too: in a clock, it stops the writer in the middle of a turn.

use std::{
    io,
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use jaego_engine::{
    disk::{Disk, DiskFile},
    sim_disk::{SimDisk, SimFile},
};

/// How long a test waits for a sync to begin before it says that none does.
const SYNC_WITHIN: Duration = Duration::from_secs(20);

/// Lets syncs of files through while it is open.
#[derive(Default)]
pub(crate) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    closed: bool,
    waiting: usize,
}

impl Gate {
    /// From now on every sync waits.
    pub(crate) fn close(&self) {
        self.state.lock().unwrap().closed = true;
    }

    /// Lets all syncs go on.
    pub(crate) fn open(&self) {
        self.state.lock().unwrap().closed = false;
        self.changed.notify_all();
    }

    /// Waits until a sync waits here.
    pub(crate) fn wait_for_a_sync(&self) {
        let state = self.state.lock().unwrap();
        let (_state, timeout) =
            self.changed.wait_timeout_while(state, SYNC_WITHIN, |state| state.waiting == 0).unwrap();
        assert!(!timeout.timed_out(), "no sync began");
    }

    /// Waits here while it is closed.
    pub(crate) fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.waiting += 1;
        self.changed.notify_all();
        state = self.changed.wait_while(state, |state| state.closed).unwrap();
        state.waiting -= 1;
    }
}

/// The disk with the gate.
#[derive(Clone)]
pub(crate) struct GatedDisk {
    pub(crate) disk: SimDisk,
    pub(crate) gate: Arc<Gate>,
}

impl GatedDisk {
    pub(crate) fn new(seed: u64) -> Self {
        Self { disk: SimDisk::new(seed), gate: Arc::default() }
    }

    fn file(&self, file: SimFile) -> GatedFile {
        GatedFile { file, gate: self.gate.clone() }
    }
}

pub(crate) struct GatedFile {
    file: SimFile,
    gate: Arc<Gate>,
}

impl Disk for GatedDisk {
    type File = GatedFile;

    fn create(&self, name: &str, len: u64) -> io::Result<GatedFile> {
        self.disk.create(name, len).map(|file| self.file(file))
    }

    fn open(&self, name: &str) -> io::Result<GatedFile> {
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

impl DiskFile for GatedFile {
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
        self.gate.pass();
        self.file.sync_data()
    }

    fn settle(&self) -> io::Result<()> {
        self.file.settle()
    }
}
