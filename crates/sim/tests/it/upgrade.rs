//! Row E17: a store that version 1 left behind opens, and comes to the same rows.
//!
//! The folder is never written again: what does not open any more is a broken promise. `JAEGO_WRITE_FIXTURES=1`
//! writes it where it is missing, and leaves it where it is there.

use std::{
    collections::VecDeque,
    fs,
    path::{Path, PathBuf},
};

use jaego_domain::{Sequence, Tables, Timestamp};
use jaego_engine::{
    Core, Job, Limits, Submission,
    disk::{Disk, RealDisk},
    journal::{self, Preparation},
    open,
    sim_disk::{Dice, SimDisk},
    state_hash, verify, write_checkpoint,
};
use jaego_sim::{Client, setup};
use jaego_store::Batch;

const JOURNAL: journal::Config = journal::Config { segment_len: 8_192, preparation: Preparation::Inline };
const REQUESTS: usize = 900;
/// Requests of one frame.
const FRAME: usize = 8;
/// Frames after which a checkpoint is written: the events behind it are replayed.
const CHECKPOINT_AFTER: usize = 60;
/// The file that tells what the rows have to come to; it is no part of the store.
const HASH: &str = "hash";

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1")
}

/// Makes a store with a bit of everything, and writes its files down.
fn write(folder: &Path) {
    let disk = SimDisk::new(1);
    let recovered = open(disk.clone(), JOURNAL, |_| {}).expect("a well disk");
    let mut journal = recovered.journal;
    let limits = Limits { frame_bytes: 4_096, atomic_bytes: 4_096, lines_before_yield: usize::MAX };
    let mut core = Core::new(recovered.memory, limits);
    let (mut dice, mut client) = (Dice::new(17), Client::default());
    let mut requests = setup();
    while requests.len() < REQUESTS {
        let request = client.request(&mut dice);
        requests.extend(request.wanted_movement().is_none().then_some(request));
    }
    for (frame, requests) in requests.chunks(FRAME).enumerate() {
        let now = Timestamp(1_772_323_200_000 + frame as u64 * 1_500);
        let batch = Batch { requests: requests.to_vec(), atomic: false };
        let job = Job::Submit(Submission::new(batch, Box::new(|_| ())));
        let mut jobs = VecDeque::from([job]);
        while !jobs.is_empty() {
            core.turn(&mut jobs, now, Ok(()));
            let flight = core.take_flight();
            if flight.count > 0 {
                journal.append(flight.first.0, flight.count, &flight.payload).expect("a well disk");
                journal.sync().expect("a well disk");
            }
        }
        if frame == CHECKPOINT_AFTER {
            journal.rotate().expect("a well disk");
            let upto = Sequence(journal.next_sequence() - 1);
            write_checkpoint(&*recovered.disk, &journal.reader(), &recovered.archive, upto)
                .expect("a well disk");
        }
    }
    journal.close().expect("a well disk");
    fs::create_dir_all(folder).expect("the folder of fixtures can be written to");
    for name in disk.list().expect("a well disk") {
        // The next segment's blank file is made anew by whoever opens the store.
        if name != "spare" {
            let bytes = disk.contents(&name).expect("it is listed");
            fs::write(folder.join(name), bytes).expect("the folder of fixtures can be written to");
        }
    }
    let hash = format!("{} {:032x}\n", core.memory().head().sequence, state_hash(core.memory()));
    fs::write(folder.join(HASH), hash).expect("the folder of fixtures can be written to");
}

#[test]
fn a_store_of_version_1_opens_and_comes_to_the_same_rows() {
    let fixture = fixture();
    if !fixture.exists() && std::env::var_os("JAEGO_WRITE_FIXTURES").is_some() {
        write(&fixture);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut segments = 0;
    for entry in fs::read_dir(&fixture).expect("the fixture is there") {
        let entry = entry.expect("the fixture can be read");
        let name = entry.file_name();
        segments += usize::from(name.to_string_lossy().ends_with(".journal"));
        if name != HASH {
            fs::copy(entry.path(), folder.path().join(name)).expect("it can be copied");
        }
    }
    assert!(segments > 2, "{segments} segments");
    let told = fs::read_to_string(fixture.join(HASH)).expect("the fixture has a hash");
    let opened = || RealDisk::open(folder.path()).expect("a folder");
    let recovered = open(opened(), JOURNAL, |_| {}).expect("a store of version 1 opens");
    let checkpoint = recovered.checkpoint.expect("it begins with its checkpoint");
    let head = recovered.memory.head().sequence;
    assert!(checkpoint > Sequence(50) && checkpoint < head, "{checkpoint} of {head}");
    drop(recovered);
    let verified = verify(opened(), JOURNAL, |_| {}).expect("its books are right");
    assert_eq!(told, format!("{} {:032x}\n", verified.sequence, verified.hash));
    assert_eq!(verified.checkpoint, Some(checkpoint), "the whole journal was held against the checkpoint");
    assert_eq!(verified.events, verified.sequence.0);
}
