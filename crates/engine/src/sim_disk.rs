//! A disk in memory that misbehaves on purpose, the same way for the same seed.
//!
//! What was written is seen by every reader at once, as in a page cache, and is durable only after a sync.
//! [`SimDisk::crash`] gives what a machine would find after the power went: of everything not synced, any part,
//! in any order, torn at any byte, zeroed, or spoiled. [`SimDisk::kill`] gives what the next process would find
//! when only the process went. [`Faults`] says which calls fail and how.
//!
//! A sector in flight may be spoiled as a whole, as real ones are; one that is not being written never is.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::disk::{Disk, DiskFile};

/// The unit in which writes land, are lost or are spoiled.
pub const SECTOR_LEN: usize = 512;

/// A small generator of numbers that look random: splitmix64.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// The same seed always throws the same numbers.
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    /// Any number.
    pub fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, which is at least 1.
    pub fn below(&mut self, limit: usize) -> usize {
        let thrown = self.throw() % (limit as u64);
        usize::try_from(thrown).expect("it is below a usize")
    }

    /// Whether the one chance in `odds` came up.
    pub fn one_in(&mut self, odds: usize) -> bool {
        self.below(odds) == 0
    }

    /// Fills `bytes`.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let thrown = self.throw().to_le_bytes();
            chunk.copy_from_slice(&thrown[..chunk.len()]);
        }
    }
}

/// Which calls fail. Calls are counted from 1, over all files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    /// The machine stops in the middle of this changing operation; it and every later call fail.
    pub stop_at: Option<u64>,
    /// This write fails with EIO, after a part of it was taken.
    pub fail_write: Option<u64>,
    /// This sync, of a file or of the folder, fails with EIO. What it should have made durable is marked as
    /// clean all the same, as on Linux: a second sync would succeed without writing it.
    pub fail_sync: Option<u64>,
    /// This read fails with EIO.
    pub fail_read: Option<u64>,
    /// This write finds no room although its place is allocated, as on file systems that never write in place.
    pub full_write: Option<u64>,
    /// This write is reported as done and lands nowhere.
    pub lose_write: Option<u64>,
    /// This write is reported as done and lands on another sector of the same file.
    pub misdirect_write: Option<u64>,
    /// The bytes that all files together may take.
    pub space: Option<u64>,
    /// Reads and writes stop short now and then.
    pub short: bool,
    /// Reads and writes are interrupted now and then.
    pub interrupt: bool,
}

/// The simulated folder. A clone is the same folder.
#[derive(Debug, Clone)]
pub struct SimDisk {
    machine: Arc<Mutex<Machine>>,
}

/// An open file of a [`SimDisk`].
#[derive(Debug)]
pub struct SimFile {
    machine: Arc<Mutex<Machine>>,
    inode: usize,
    handle: u64,
}

#[derive(Debug, Clone)]
struct Machine {
    dice: Dice,
    faults: Faults,
    stopped: bool,
    operations: u64,
    writes: u64,
    syncs: u64,
    reads: u64,
    handles: u64,
    inodes: Vec<Inode>,
    names: BTreeMap<String, usize>,
    names_durable: BTreeMap<String, usize>,
    names_pending: Vec<NameChange>,
    /// Handles whose sync or write failed: using them again is against the rules.
    failed_handles: BTreeSet<u64>,
    violations: Vec<String>,
}

#[derive(Debug, Clone, Default)]
struct Inode {
    cached: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<(usize, Vec<u8>)>,
}

/// One change of the folder, which lands whole or not at all.
#[derive(Debug, Clone)]
struct NameChange {
    remove: Option<String>,
    insert: Option<(String, usize)>,
}

/// How much of what was in flight a crash lets through.
#[derive(Debug, Clone, Copy)]
enum Mood {
    Nothing,
    Everything,
    Prefix,
    AnySector,
    AnythingAtAll,
}

impl SimDisk {
    /// An empty folder.
    pub fn new(seed: u64) -> SimDisk {
        SimDisk::of(Machine {
            dice: Dice::new(seed),
            faults: Faults::default(),
            stopped: false,
            operations: 0,
            writes: 0,
            syncs: 0,
            reads: 0,
            handles: 0,
            inodes: Vec::new(),
            names: BTreeMap::new(),
            names_durable: BTreeMap::new(),
            names_pending: Vec::new(),
            failed_handles: BTreeSet::new(),
            violations: Vec::new(),
        })
    }

    /// What is found after the power went: a new folder, without faults and with its counts at 0.
    pub fn crash(&self, seed: u64) -> SimDisk {
        let mut machine = self.restarted(seed);
        let dice = &mut machine.dice;
        let mood = match dice.below(8) {
            0 => Mood::Nothing,
            1 => Mood::Everything,
            2 | 3 => Mood::Prefix,
            4 | 5 => Mood::AnySector,
            _ => Mood::AnythingAtAll,
        };
        for inode in &mut machine.inodes {
            for (offset, bytes) in std::mem::take(&mut inode.pending) {
                land(dice, mood, &mut inode.durable, offset, &bytes);
            }
            inode.cached.clone_from(&inode.durable);
        }
        for change in std::mem::take(&mut machine.names_pending) {
            let lands = match mood {
                Mood::Nothing => false,
                Mood::Everything => true,
                _ => dice.one_in(2),
            };
            if lands {
                change.apply(&mut machine.names_durable);
            }
        }
        machine.names.clone_from(&machine.names_durable);
        SimDisk::of(machine)
    }

    /// What the next process finds when only this one was killed: all that was written, synced or not.
    pub fn kill(&self, seed: u64) -> SimDisk {
        SimDisk::of(self.restarted(seed))
    }

    /// From now on these calls fail. Their counts go on.
    pub fn set_faults(&self, faults: Faults) {
        self.lock().faults = faults;
    }

    /// The calls that fail.
    pub fn faults(&self) -> Faults {
        self.lock().faults.clone()
    }

    /// Changing operations so far: creations, writes, syncs, renames and removals.
    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// Writes so far.
    pub fn writes(&self) -> u64 {
        self.lock().writes
    }

    /// Syncs so far, of files and of the folder.
    pub fn syncs(&self) -> u64 {
        self.lock().syncs
    }

    /// Bytes that all files take.
    pub fn used(&self) -> u64 {
        self.lock().used()
    }

    /// What the user of this disk did and must not do: writing to or syncing a file again whose write or sync
    /// had failed.
    pub fn violations(&self) -> Vec<String> {
        self.lock().violations.clone()
    }

    /// What a file holds, or `None` if there is none.
    pub fn contents(&self, name: &str) -> Option<Vec<u8>> {
        let machine = self.lock();
        let inode = *machine.names.get(name)?;
        Some(machine.inodes[inode].cached.clone())
    }

    /// Damages a file at rest, or makes one: it now holds `bytes`, durably.
    pub fn replace(&self, name: &str, bytes: &[u8]) {
        let mut machine = self.lock();
        let inode = match machine.names.get(name) {
            Some(inode) => *inode,
            None => machine.new_inode(),
        };
        machine.names.insert(name.to_owned(), inode);
        machine.names_durable.insert(name.to_owned(), inode);
        machine.inodes[inode] =
            Inode { cached: bytes.to_vec(), durable: bytes.to_vec(), pending: Vec::new() };
    }

    /// Flips one bit of a file at rest, durably.
    ///
    /// # Panics
    /// If there is no such file or bit.
    pub fn flip_bit(&self, name: &str, bit: usize) {
        let mut machine = self.lock();
        let inode = machine.names[name];
        let Inode { cached, durable, .. } = &mut machine.inodes[inode];
        cached[bit / 8] ^= 1 << (bit % 8);
        durable[bit / 8] ^= 1 << (bit % 8);
    }

    /// Takes a file away, durably.
    pub fn lose(&self, name: &str) {
        let mut machine = self.lock();
        machine.names.remove(name);
        machine.names_durable.remove(name);
    }

    fn of(machine: Machine) -> SimDisk {
        SimDisk { machine: Arc::new(Mutex::new(machine)) }
    }

    fn lock(&self) -> MutexGuard<'_, Machine> {
        lock(&self.machine)
    }

    fn restarted(&self, seed: u64) -> Machine {
        let mut machine = self.lock().clone();
        machine.dice = Dice::new(seed);
        machine.faults = Faults::default();
        machine.stopped = false;
        (machine.operations, machine.writes, machine.syncs, machine.reads) = (0, 0, 0, 0);
        machine.failed_handles.clear();
        machine
    }

    fn file(&self, machine: &mut Machine, inode: usize) -> SimFile {
        machine.handles += 1;
        SimFile { machine: self.machine.clone(), inode, handle: machine.handles }
    }
}

impl Disk for SimDisk {
    type File = SimFile;

    fn create(&self, name: &str, len: u64) -> io::Result<SimFile> {
        let mut machine = self.lock();
        machine.running()?;
        if machine.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = machine.new_inode();
        machine.change_names(NameChange { remove: None, insert: Some((name.to_owned(), inode)) });
        machine.operate()?;
        let file = self.file(&mut machine, inode);
        drop(machine);
        if len > 0 {
            let zeros = vec![0; usize::try_from(len).map_err(io::Error::other)?];
            file.write_all_at(&zeros, 0).map_err(|error| error.source)?;
            file.sync_data()?;
        }
        Ok(file)
    }

    fn open(&self, name: &str) -> io::Result<SimFile> {
        let mut machine = self.lock();
        machine.running()?;
        let inode = machine.names.get(name).copied().ok_or(io::ErrorKind::NotFound)?;
        Ok(self.file(&mut machine, inode))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let machine = self.lock();
        machine.running()?;
        Ok(machine.names.keys().cloned().collect())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut machine = self.lock();
        machine.running()?;
        let inode = machine.names.get(from).copied().ok_or(io::ErrorKind::NotFound)?;
        let insert = Some((to.to_owned(), inode));
        machine.change_names(NameChange { remove: Some(from.to_owned()), insert });
        machine.operate()
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut machine = self.lock();
        machine.running()?;
        if !machine.names.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        machine.change_names(NameChange { remove: Some(name.to_owned()), insert: None });
        machine.operate()
    }

    fn sync(&self) -> io::Result<()> {
        let mut machine = self.lock();
        machine.running()?;
        machine.syncs += 1;
        machine.operate()?;
        if machine.faults.fail_sync == Some(machine.syncs) {
            return Err(io::Error::from_raw_os_error(EIO));
        }
        machine.names_durable = machine.names.clone();
        machine.names_pending.clear();
        Ok(())
    }
}

impl DiskFile for SimFile {
    fn len(&self) -> io::Result<u64> {
        let machine = self.lock();
        machine.running()?;
        Ok(machine.inodes[self.inode].cached.len() as u64)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut machine = self.lock();
        machine.running()?;
        machine.reads += 1;
        if machine.faults.fail_read == Some(machine.reads) {
            return Err(io::Error::from_raw_os_error(EIO));
        }
        let wanted = machine.shortened(bytes.len())?;
        let cached = &machine.inodes[self.inode].cached;
        let start = usize::try_from(offset).map_or(cached.len(), |offset| offset.min(cached.len()));
        let len = wanted.min(cached.len() - start);
        bytes[..len].copy_from_slice(&cached[start..start + len]);
        Ok(len)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut machine = self.lock();
        machine.running()?;
        let mut len = machine.shortened(bytes.len())?;
        let mut start = usize::try_from(offset).map_err(io::Error::other)?;
        let end = machine.inodes[self.inode].cached.len();
        machine.writes += 1;
        let nth = Some(machine.writes);
        machine.check_handle(self.handle, "write");
        if machine.faults.full_write == nth {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if machine.faults.fail_write == nth {
            let taken = machine.dice.below(bytes.len() + 1);
            machine.write(self.inode, start, &bytes[..taken]);
            machine.failed_handles.insert(self.handle);
            machine.operate()?;
            return Err(io::Error::from_raw_os_error(EIO));
        }
        if let Some(space) = machine.faults.space {
            let left = usize::try_from(space.saturating_sub(machine.used())).unwrap_or(usize::MAX);
            let growth_max = end.saturating_add(left).saturating_sub(start);
            len = len.min(growth_max);
            if len == 0 && !bytes.is_empty() {
                machine.operate()?;
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        if machine.faults.misdirect_write == nth {
            let sectors = end / SECTOR_LEN;
            start = machine.dice.below(sectors.max(1)) * SECTOR_LEN;
            len = len.min(end - start);
        }
        if machine.faults.lose_write != nth {
            machine.write(self.inode, start, &bytes[..len]);
        }
        machine.operate()?;
        Ok(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut machine = self.lock();
        machine.running()?;
        machine.check_handle(self.handle, "sync");
        machine.syncs += 1;
        machine.operate()?;
        let failed = machine.faults.fail_sync == Some(machine.syncs);
        let Machine { dice, inodes, .. } = &mut *machine;
        let inode = &mut inodes[self.inode];
        let mood = if failed { Mood::AnySector } else { Mood::Everything };
        for (offset, bytes) in std::mem::take(&mut inode.pending) {
            land(dice, mood, &mut inode.durable, offset, &bytes);
        }
        if failed {
            machine.failed_handles.insert(self.handle);
            return Err(io::Error::from_raw_os_error(EIO));
        }
        Ok(())
    }

    fn settle(&self) -> io::Result<()> {
        self.sync_data()?;
        let mut machine = self.lock();
        let inode = &mut machine.inodes[self.inode];
        inode.cached.clone_from(&inode.durable);
        Ok(())
    }
}

impl SimFile {
    fn lock(&self) -> MutexGuard<'_, Machine> {
        lock(&self.machine)
    }
}

const EIO: i32 = 5;

impl Machine {
    fn running(&self) -> io::Result<()> {
        if self.stopped { Err(io::Error::other("the machine has stopped")) } else { Ok(()) }
    }

    /// Counts a changing operation, after it was begun and before it is known to be done.
    fn operate(&mut self) -> io::Result<()> {
        self.operations += 1;
        self.stopped = self.faults.stop_at == Some(self.operations);
        self.running()
    }

    fn check_handle(&mut self, handle: u64, doing: &str) {
        if self.failed_handles.contains(&handle) {
            self.violations.push(format!("{doing} on a file whose write or sync had failed"));
        }
    }

    fn shortened(&mut self, len: usize) -> io::Result<usize> {
        if self.faults.interrupt && self.dice.one_in(4) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        if self.faults.short && len > 1 && self.dice.one_in(2) {
            return Ok(1 + self.dice.below(len - 1));
        }
        Ok(len)
    }

    fn used(&self) -> u64 {
        let named: BTreeSet<usize> = self.names.values().copied().collect();
        named.iter().map(|inode| self.inodes[*inode].cached.len() as u64).sum()
    }

    fn new_inode(&mut self) -> usize {
        self.inodes.push(Inode::default());
        self.inodes.len() - 1
    }

    fn change_names(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.names_pending.push(change);
    }

    fn write(&mut self, inode: usize, offset: usize, bytes: &[u8]) {
        let inode = &mut self.inodes[inode];
        copy_to(&mut inode.cached, offset, bytes);
        inode.pending.push((offset, bytes.to_vec()));
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        if let Some(name) = &self.remove {
            names.remove(name);
        }
        if let Some((name, inode)) = &self.insert {
            names.insert(name.clone(), *inode);
        }
    }
}

/// Lets as much of one write reach the device as the mood allows.
fn land(dice: &mut Dice, mood: Mood, durable: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    match mood {
        Mood::Nothing => return,
        Mood::Everything => return copy_to(durable, offset, bytes),
        Mood::Prefix => return copy_to(durable, offset, &bytes[..dice.below(bytes.len() + 1)]),
        Mood::AnySector | Mood::AnythingAtAll => {}
    }
    let mut start = offset;
    while start < end {
        let sector = start / SECTOR_LEN * SECTOR_LEN;
        let stop = (sector + SECTOR_LEN).min(end);
        let new = &bytes[start - offset..stop - offset];
        let fate = if matches!(mood, Mood::AnySector) { dice.below(2) } else { dice.below(6) };
        match fate {
            0 => {}
            1 | 2 => copy_to(durable, start, new),
            3 => copy_to(durable, start, &new[..dice.below(new.len() + 1)]),
            spoiled => {
                // The device was in the middle of it: the sector as a whole is lost.
                let mut spoilt = [0; SECTOR_LEN];
                if spoiled == 4 {
                    dice.fill(&mut spoilt);
                }
                let sector_end = (sector + SECTOR_LEN).min(durable.len().max(stop));
                copy_to(durable, sector, &spoilt[..sector_end - sector]);
            }
        }
        start = stop;
    }
}

fn copy_to(to: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if to.len() < end {
        to.resize(end, 0);
    }
    to[offset..end].copy_from_slice(bytes);
}

fn lock(machine: &Mutex<Machine>) -> MutexGuard<'_, Machine> {
    machine.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
