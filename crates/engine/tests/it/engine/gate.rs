//! A simulated disk whose syncs wait until the test lets them go.
//!
//! A second gate stops reads. A gate may stand elsewhere too: in a clock, it stops the writer in the middle of a turn.

use std::{
    io,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use jaego_engine::{
    disk::{Disk, DiskFile},
    sim_disk::{SimDisk, SimFile},
};

/// How long a test waits for a call to come before it says that none does.
const CALL_WITHIN: Duration = Duration::from_secs(20);

/// Lets calls through while it is open.
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
    /// From now on every call waits.
    pub(crate) fn close(&self) {
        self.state.lock().unwrap().closed = true;
    }

    /// Lets all calls go on.
    pub(crate) fn open(&self) {
        self.state.lock().unwrap().closed = false;
        self.changed.notify_all();
    }

    /// Waits until a call waits here.
    pub(crate) fn wait_for_a_call(&self) {
        let state = self.state.lock().unwrap();
        let (_state, timeout) =
            self.changed.wait_timeout_while(state, CALL_WITHIN, |state| state.waiting == 0).unwrap();
        assert!(!timeout.timed_out(), "no call came");
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
    /// Stops syncs.
    pub(crate) gate: Arc<Gate>,
    /// Stops reads.
    pub(crate) reads: Arc<Gate>,
    read_by_history: Arc<AtomicU64>,
    opened_by_history: Arc<AtomicU64>,
}

impl GatedDisk {
    pub(crate) fn new(seed: u64) -> Self {
        let (gate, reads, read_by_history, opened_by_history) = Default::default();
        Self { disk: SimDisk::new(seed), gate, reads, read_by_history, opened_by_history }
    }

    /// Bytes that the two threads read which answer about the past.
    pub(crate) fn read_by_history(&self) -> u64 {
        self.read_by_history.load(Ordering::SeqCst)
    }

    /// Files that they opened.
    pub(crate) fn opened_by_history(&self) -> u64 {
        self.opened_by_history.load(Ordering::SeqCst)
    }

    fn file(&self, file: SimFile) -> GatedFile {
        let read_by_history = self.read_by_history.clone();
        GatedFile { file, gate: self.gate.clone(), reads: self.reads.clone(), read_by_history }
    }
}

pub(crate) struct GatedFile {
    file: SimFile,
    gate: Arc<Gate>,
    reads: Arc<Gate>,
    read_by_history: Arc<AtomicU64>,
}

impl Disk for GatedDisk {
    type File = GatedFile;

    fn create(&self, name: &str, len: u64) -> io::Result<GatedFile> {
        self.disk.create(name, len).map(|file| self.file(file))
    }

    fn open(&self, name: &str) -> io::Result<GatedFile> {
        if is_of_history() {
            self.opened_by_history.fetch_add(1, Ordering::SeqCst);
        }
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
        self.reads.pass();
        if is_of_history() {
            self.read_by_history.fetch_add(bytes.len() as u64, Ordering::SeqCst);
        }
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

fn is_of_history() -> bool {
    matches!(thread::current().name(), Some("jaego-repeats" | "jaego-ledger"))
}
