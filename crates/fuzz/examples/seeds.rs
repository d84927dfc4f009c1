//! Writes the first inputs of the targets that read files of the store: pieces of a small store with a bit of
//! everything, and the fixtures of the codec. Those of the wire and of texts are written by hand, or were sent by the
//! scenarios.
//!
//! `cargo run -p jaego-fuzz --example seeds -- FOLDER` makes a folder for each target below FOLDER.

use std::{
    collections::VecDeque,
    env, fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use jaego_domain::{Sequence, Timestamp};
use jaego_engine::{
    Config, Core, Engine, Job, Limits, Submission,
    disk::Disk as _,
    journal::{self, Preparation},
    open,
    sim_disk::{Dice, SimDisk},
    write_checkpoint,
};
use jaego_sim::{Client, setup};
use jaego_store::{Batch, codec};

const JOURNAL: journal::Config = journal::Config { segment_len: 8_192, preparation: Preparation::Inline };
const REQUESTS: usize = 700;
/// Requests of one frame.
const FRAME: usize = 8;
/// Frames after which a checkpoint is written.
const CHECKPOINT_AFTER: usize = 60;
/// How long the indexes may take.
const PATIENCE: Duration = Duration::from_secs(20);

fn main() {
    let folder = PathBuf::from(env::args().nth(1).expect("say the folder"));
    let disk = store();
    let put = |target: &str, name: &str, bytes: &[u8]| {
        let folder = folder.join(target);
        fs::create_dir_all(&folder).expect("the folder can be written to");
        fs::write(folder.join(name), bytes).expect("the folder can be written to");
    };
    let mut names = disk.list().expect("a well disk");
    names.sort();
    let file = |name: &String| disk.contents(name).expect("it is listed");
    let of = |end: &str| names.iter().filter(|name| name.ends_with(end)).cloned().collect::<Vec<_>>();
    let segments = of(".journal");
    for pair in segments.windows(2).step_by(3) {
        put("journal", &pair[0], &[file(&pair[0]), file(&pair[1])].concat());
    }
    put("journal", "last", &file(segments.last().expect("there is a journal")));
    for run in of(".run") {
        put("archive", &run, &file(&run));
    }
    for index in of(".index").iter().take(2) {
        put("index", index, &file(index));
    }
    for manifest in of(".done") {
        let part = names.iter().find(|name| name.ends_with(".000000")).expect("a checkpoint has a part");
        let (done, part) = (file(&manifest), file(part));
        let len = u16::try_from(done.len()).expect("it is a small manifest");
        put("checkpoint", &manifest, &[&len.to_le_bytes()[..], &done, &part].concat());
    }
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../store/tests/fixtures/v1");
    for entry in fs::read_dir(fixtures).expect("there are fixtures") {
        let path = entry.expect("the fixtures can be listed").path();
        let name = path.file_stem().expect("it has a name").to_string_lossy().into_owned();
        let bytes = fs::read(&path).expect("a fixture can be read");
        // One kind a file, so that each can be changed by itself.
        if name.ends_with("events") {
            for event in codec::decode(&bytes, Sequence(1)).expect("a fixture can be decoded") {
                let event = event.expect("a fixture can be decoded");
                put("events", &format!("{name}-{}", event.sequence), &codec::encode([&event]));
            }
        } else {
            for (at, row) in codec::row::decode(&bytes).expect("a fixture can be decoded").enumerate() {
                let row = row.expect("a fixture can be decoded");
                put("rows", &format!("{name}-{at}"), &codec::row::encode([&row]));
            }
        }
    }
}

/// A store with a checkpoint, an archive, and indexes.
fn store() -> SimDisk {
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
    let start = 1_772_323_200_000;
    let mut now = Timestamp(start);
    for (frame, requests) in requests.chunks(FRAME).enumerate() {
        now = Timestamp(start + frame as u64 * 1_500);
        let batch = Batch { requests: requests.to_vec(), atomic: false };
        let mut jobs = VecDeque::from([Job::Submit(Submission::new(batch, Box::new(|_| ())))]);
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
    // Its segments have room for two of its frames; those that are there keep their length.
    let journal = journal::Config { segment_len: 64 << 10, ..JOURNAL };
    let recovered = open(disk.clone(), journal, |_| {}).expect("a well disk");
    let config = Config { journal, limits, ..Config::default() };
    let engine = Engine::start(recovered, config, move || now);
    let since = Instant::now();
    let indexes = || disk.list().expect("a well disk").iter().filter(|name| name.ends_with(".index")).count();
    while indexes() < 3 {
        assert!(since.elapsed() < PATIENCE, "no index was made");
        thread::sleep(Duration::from_millis(50));
    }
    engine.close().expect("a well disk");
    disk
}
