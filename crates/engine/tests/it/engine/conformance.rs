//! The law of every store, played on the engine.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use jaego_domain::Timestamp;
use jaego_engine::{
    Config, Engine, Limits,
    disk::{Disk, RealDisk},
    journal::{self, Preparation},
    open,
    sim_disk::SimDisk,
};
use jaego_store::conformance::{START, StoreSubject, Subject, run_all};

/// Long enough for the largest documents of the scenarios, short enough to make hundreds of.
fn config() -> Config {
    let journal = journal::Config { segment_len: 1 << 20, preparation: Preparation::Inline };
    let limits = Limits { frame_bytes: 64 << 10, atomic_bytes: 384 << 10, lines_before_yield: 8_192 };
    Config { journal, limits, ..Config::default() }
}

fn subject(disk: impl Disk) -> Box<dyn Subject> {
    let clock = Arc::new(AtomicU64::new(START.0));
    let hand = Arc::clone(&clock);
    let recovered = open(disk, config().journal, |_| {}).unwrap();
    let engine = Engine::start(recovered, config(), move || Timestamp(clock.load(Ordering::SeqCst)));
    Box::new(StoreSubject::new(engine, move |now| hand.store(now.0, Ordering::SeqCst)))
}

#[test]
fn the_engine_on_a_simulated_disk_keeps_the_law() {
    let tally = run_all(|| subject(SimDisk::new(1))).unwrap();
    assert!(tally.scenarios > 20, "{tally:?}");
}

#[test]
fn the_engine_on_a_real_disk_keeps_the_law() {
    let folder = tempfile::tempdir().unwrap();
    let mut number = 0;
    let tally = run_all(|| {
        number += 1;
        subject(RealDisk::open(folder.path().join(number.to_string())).unwrap())
    });
    assert!(tally.unwrap().scenarios > 20);
}
