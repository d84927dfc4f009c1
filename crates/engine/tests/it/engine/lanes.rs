//! Who waits behind whom for the history, and what it means when it cannot be read.

use jaego_domain::{Command, MovementId, Sequence, command::Reverse};
use jaego_engine::{disk::Disk, sim_disk::SimDisk};
use jaego_store::{Batch, Failure, MovementFilter, Store};

use super::{
    gate::GatedDisk,
    world::{found, hold, one, request, start, stock, totals},
};

fn all() -> MovementFilter {
    MovementFilter { limit: 10, ..MovementFilter::default() }
}

#[test]
fn a_reader_of_the_ledger_holds_up_neither_a_repeat_nor_a_reversal() {
    let disk = GatedDisk::new(1);
    let engine = start(disk.clone());
    stock(&engine, &["mug"], 10);
    one(&engine, request(hold("old", "mug", 1))).unwrap();
    engine.close().unwrap();
    drop(engine);
    // After a restart what was is on the disk alone.
    let engine = start(disk.clone());
    let found = one(&engine, request(found("found", "mug", 2))).unwrap();
    disk.reads.close();
    let slow = engine.movements(all());
    disk.reads.wait_for_a_call();
    let behind = engine.movements(all());
    one(&engine, request(hold("H1", "mug", 1))).unwrap();
    assert!(one(&engine, request(hold("H1", "mug", 1))).unwrap().repeat);
    let movement = MovementId { sequence: found.outcome.sequence, index: 0 };
    one(&engine, request(Command::Reverse(Reverse { movement, original: None }))).unwrap();
    disk.reads.open();
    assert_eq!(slow.wait().unwrap().movements.len(), 4, "the slow one sees it all");
    assert_eq!(behind.wait().unwrap().movements.len(), 4);
    engine.close().unwrap();
}

#[test]
fn a_history_that_cannot_be_read_stops_nobody_who_needs_none_of_it() {
    let disk = SimDisk::new(2);
    let engine = start(disk.clone());
    stock(&engine, &["mug"], 10);
    one(&engine, request(hold("H1", "mug", 3))).unwrap();
    engine.close().unwrap();
    drop(engine);
    let engine = start(disk.clone());
    let name = disk.list().unwrap().into_iter().find(|name| name.ends_with(".journal")).unwrap();
    let mut bytes = disk.contents(&name).unwrap();
    // The first frame's payload begins behind the segment's header and its own.
    bytes[512 + 64 + 20] ^= 1;
    disk.replace(&name, &bytes);

    let unreadable = |failure: Failure| match failure {
        Failure::HistoryUnreadable { detail } => detail,
        other => panic!("{other}"),
    };
    let again = engine.submit(Batch { requests: vec![request(hold("H1", "mug", 3))], atomic: false });
    let detail = unreadable(again.wait().unwrap_err());
    assert!(detail.contains(&name) && detail.contains("checksum"), "{detail}");
    unreadable(engine.movements(all()).wait().unwrap_err());
    unreadable(engine.events(Sequence(0), 10).wait().unwrap_err());
    let movement = MovementId { sequence: Sequence(5), index: 0 };
    let reverse = request(Command::Reverse(Reverse { movement, original: None }));
    unreadable(engine.submit(Batch { requests: vec![reverse], atomic: false }).wait().unwrap_err());

    // The store goes on.
    assert!(engine.status().ready && engine.status().failed.is_none());
    assert!(!one(&engine, request(hold("H2", "mug", 4))).unwrap().repeat);
    assert!(one(&engine, request(hold("H2", "mug", 4))).unwrap().repeat);
    assert_eq!(totals(&engine, "mug"), (20, 7, 13));
    engine.close().unwrap();
}
