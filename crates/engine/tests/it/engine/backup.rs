//! Copies of a store that is at work: segments are sealed, checkpoints written and documents archived meanwhile.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use jaego_domain::{Command, Memory, Sequence, Tables, apply_for_good, command::ReleaseHold};
use jaego_engine::{
    Config, Engine, Recovered, SystemClock,
    backup::{Links, copy},
    disk::RealDisk,
    journal::{self, Journal, Preparation},
    open, state_hash, verify,
};
use jaego_store::{Store, codec};

use super::world::{code, config, hold, request, stock, submit};

const COPIES: usize = 5;
/// Who works meanwhile.
const CLIENTS: usize = 3;
/// How long a checkpoint may take before the test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

fn busy_config() -> Config {
    let journal = journal::Config { segment_len: 512 << 10, preparation: Preparation::Inline };
    Config { journal, ..config() }
}

fn opened(folder: &Path) -> Recovered<RealDisk> {
    open(RealDisk::open(folder).unwrap(), busy_config().journal, |_| {}).unwrap()
}

/// Places and releases holds, so that most of them are archived by the next checkpoint.
fn work(engine: &Engine, client: usize, is_over: &AtomicBool) {
    for round in 0.. {
        if is_over.load(Ordering::SeqCst) {
            return;
        }
        let id = |n: usize| format!("H{client}-{round}-{n}");
        let placed = (0..100).map(|n| request(hold(&id(n), "mug", 1)));
        let released =
            (0..99).map(|n| request(Command::ReleaseHold(ReleaseHold { id: code(&id(n)), lines: None })));
        for result in submit(engine, placed.chain(released).collect()) {
            result.unwrap();
        }
    }
}

fn names(folder: &Path, ending: &str) -> usize {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().ends_with(ending)).count()
}

/// The hash of the rows after each of these events, by a plain replay of the whole journal.
fn hashes(folder: &Path, at: &[Sequence]) -> Vec<u128> {
    let disk = RealDisk::open(folder).unwrap();
    let mut recovery = Journal::open(disk, busy_config().journal, 1).unwrap();
    let (mut memory, mut hashes) = (Memory::new(), Vec::new());
    while let Some(frame) = recovery.next().unwrap() {
        for event in codec::decode(frame.payload, Sequence(frame.first_sequence)).unwrap() {
            let event = event.unwrap();
            drop(apply_for_good(&mut memory, &event));
            if at.get(hashes.len()) == Some(&event.sequence) {
                hashes.push(state_hash(&memory));
            }
        }
    }
    hashes
}

#[test]
fn copies_of_a_store_at_work_are_what_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("store");
    let engine = Engine::start(opened(&from), busy_config(), SystemClock);
    stock(&engine, &["mug"], 1_000_000_000);
    let is_over = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (engine, is_over) = (Arc::clone(&engine), Arc::clone(&is_over));
            thread::spawn(move || work(&engine, client, &is_over))
        })
        .collect();
    let mut answered = Vec::new();
    for number in 0..COPIES {
        let (checkpoint, begun) = (engine.checkpoint(), Instant::now());
        while engine.checkpoint() == checkpoint {
            assert!(begun.elapsed() < PATIENCE, "no checkpoint after {checkpoint}");
            thread::sleep(Duration::from_millis(1));
        }
        answered.push(engine.status().durable);
        let to = folder.path().join(format!("copy-{number}"));
        let copied = copy(&from, &to, Links::Allowed).unwrap();
        assert!(copied.linked > 0, "{copied:?}");
    }
    is_over.store(true, Ordering::SeqCst);
    clients.into_iter().for_each(|client| client.join().unwrap());
    engine.close().unwrap();
    drop(engine);

    let (mut upto, mut told) = (Vec::new(), Vec::new());
    for (number, answered) in answered.iter().enumerate() {
        let to = folder.path().join(format!("copy-{number}"));
        assert!(names(&to, ".run") > 0 && names(&to, ".journal") > 1, "copy {number} has no archive");
        let recovered = opened(&to);
        let head = recovered.memory.head().sequence;
        assert!(head >= *answered, "copy {number} ends with {head}, and {answered} was durable before it");
        assert!(recovered.checkpoint.is_some() && recovered.archive.document_count() > 0, "copy {number}");
        upto.push(head);
        told.push(recovered.state_hash().unwrap());
        drop(recovered);
        verify(RealDisk::open(&to).unwrap(), busy_config().journal, |_| {}).unwrap();
    }
    assert_eq!(hashes(&from, &upto), told);
}
