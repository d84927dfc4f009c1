//! Starting, answering, stopping and starting again.

use std::{sync::Arc, thread};

use jaego_domain::{Command, MovementId, Refusal, Sequence, command::Reverse};
use jaego_engine::{disk::RealDisk, sim_disk::SimDisk, verify};
use jaego_store::{MovementFilter, Store};

use super::world::{code, config, hold, keyed, one, release, request, start, stock, submit, totals};

#[test]
fn what_was_answered_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let engine = start(RealDisk::open(folder.path()).unwrap());
    stock(&engine, &["mug"], 10);
    let first = one(&engine, request(hold("H1", "mug", 14))).unwrap();
    assert_eq!(first.outcome.picks.len(), 2, "{first:?}");
    let short = one(&engine, request(hold("H2", "mug", 7))).unwrap_err();
    assert_eq!(short.code(), "insufficient_stock");
    engine.close().unwrap();
    drop(engine);

    let engine = start(RealDisk::open(folder.path()).unwrap());
    assert_eq!(totals(&engine, "mug"), (20, 14, 6));
    let again = one(&engine, request(hold("H1", "mug", 14))).unwrap();
    assert!(again.repeat, "the same id and body is a repeat for ever");
    assert_eq!(again.outcome, first.outcome);
    let other = one(&engine, request(hold("H1", "mug", 13))).unwrap_err();
    assert_eq!(other, Refusal::IdTaken { id: code("H1") });
    engine.close().unwrap();
    drop(engine);
    let verified = verify(RealDisk::open(folder.path()).unwrap(), config().journal, |_| {}).unwrap();
    assert_eq!(verified.proof.open_holds, 1);
}

#[test]
fn a_repeat_within_one_batch_and_across_batches_gives_the_first_outcome() {
    let engine = start(SimDisk::new(1));
    stock(&engine, &["mug"], 10);
    let results = submit(&engine, vec![request(hold("H1", "mug", 3)), request(hold("H1", "mug", 3))]);
    let (first, second) = (results[0].as_ref().unwrap(), results[1].as_ref().unwrap());
    assert!(!first.repeat && second.repeat);
    assert_eq!(first.outcome, second.outcome);
    let released = one(&engine, keyed(release("H1"), "key-1")).unwrap();
    let again = one(&engine, keyed(release("H1"), "key-1")).unwrap();
    assert!(again.repeat);
    assert_eq!(again.outcome, released.outcome);
    let other = one(&engine, keyed(release("H2"), "key-1")).unwrap_err();
    assert_eq!(other.code(), "idempotency_conflict");
}

#[test]
fn a_movement_is_reversed_once() {
    let engine = start(SimDisk::new(2));
    stock(&engine, &["mug"], 10);
    let page = engine.movements(MovementFilter { limit: 10, ..MovementFilter::default() }).wait().unwrap();
    assert_eq!(page.movements.len(), 2);
    let movement = page.movements[0].id;
    let reverse = || request(Command::Reverse(Reverse { movement, original: None }));
    one(&engine, reverse()).unwrap();
    assert_eq!(one(&engine, reverse()).unwrap_err().code(), "already_reversed");
    assert_eq!(totals(&engine, "mug").0, 10);
    let nowhere = MovementId { sequence: Sequence(9_999), index: 0 };
    let missing = request(Command::Reverse(Reverse { movement: nowhere, original: None }));
    assert_eq!(one(&engine, missing).unwrap_err().code(), "movement_not_found");
}

#[test]
fn the_last_two_units_go_to_two_of_64() {
    let engine = start(SimDisk::new(3));
    stock(&engine, &["mug"], 1);
    let takers: Vec<_> = (0..64)
        .map(|number| {
            let engine = Arc::clone(&engine);
            thread::spawn(move || one(&engine, request(hold(&format!("H{number}"), "mug", 1))).is_ok())
        })
        .collect();
    let won = takers.into_iter().map(|taker| taker.join().unwrap()).filter(|won| *won).count();
    assert_eq!(won, 2, "there were two units in all");
    assert_eq!(totals(&engine, "mug"), (2, 2, 0));
}

#[test]
fn many_batches_roll_over_segments_and_checkpoints() {
    let folder = tempfile::tempdir().unwrap();
    let engine = start(RealDisk::open(folder.path()).unwrap());
    stock(&engine, &["mug", "cup"], 1_000_000);
    for round in 0..60 {
        let requests =
            (0..1_000).map(|n| request(hold(&format!("R{round}-{n}-with-a-long-name"), "mug", 1))).collect();
        assert!(submit(&engine, requests).iter().all(Result::is_ok));
    }
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while engine.checkpoint() == Sequence(0) {
        assert!(std::time::Instant::now() < deadline, "a checkpoint is written within 20 s");
        thread::sleep(std::time::Duration::from_millis(20));
    }
    let page = engine.events(Sequence(50), 10).wait().unwrap();
    assert_eq!(page.events[0].outcome.sequence, Sequence(51));
    engine.close().unwrap();
    drop(engine);
    let verified = verify(RealDisk::open(folder.path()).unwrap(), config().journal, |_| {}).unwrap();
    assert_eq!(verified.proof.open_holds, 60_000);
    assert!(verified.checkpoint.is_some());
    let engine = start(RealDisk::open(folder.path()).unwrap());
    assert_eq!(totals(&engine, "mug"), (2_000_000, 60_000, 1_940_000));
}
