//! What is read of old events for one answer: what lies near them, and not the segment from its start.

use std::{sync::Arc, thread};

use jaego_domain::{
    Command, MovementId, Name, Request, Sequence,
    command::{Reverse, SetSku},
    row::Tracking,
};
use jaego_engine::{Config, Engine, SystemClock, disk::Disk, open};
use jaego_store::{Batch, Failure, Results, Store};

use super::{
    gate::GatedDisk,
    promises::until,
    world::{code, found, one, request, roomy_config, stock, submit},
};

const SEED: u64 = 71;
/// Adjustments in frames of their own, in each of two segments.
const ADJUSTED: u64 = 40;
const MIB: u64 = 1 << 20;

/// No checkpoint: what is read is read for an answer.
fn config() -> Config {
    Config { checkpoint_segments: 1_000, ..roomy_config() }
}

fn start(disk: &GatedDisk) -> Arc<Engine> {
    let recovered = open(disk.clone(), config().journal, |_| {}).unwrap();
    Engine::start(recovered, config(), SystemClock)
}

/// About so many MiB of events.
fn fill(engine: &Engine, name: &str, mib: u64) {
    let sku = |number: u64| SetSku {
        sku: code(&format!("{name}-{number}")),
        name: Name::new("name", &"x".repeat(256)).unwrap(),
        tracking: Tracking::None,
        safety_stock: Vec::new(),
        prices: Vec::new(),
    };
    for round in 0..mib {
        let numbers = round * 3_600..(round + 1) * 3_600;
        submit(engine, numbers.map(|number| request(Command::SetSku(sku(number)))).collect());
    }
}

fn adjust(engine: &Engine, name: &str) -> Vec<MovementId> {
    let one = |number| {
        let done = one(engine, request(found(&format!("{name}-{number}"), "mug", 1))).unwrap();
        MovementId { sequence: done.outcome.sequence, index: 0 }
    };
    (0..ADJUSTED).map(one).collect()
}

fn segments(disk: &GatedDisk) -> usize {
    disk.list().unwrap().iter().filter(|name| name.ends_with(".journal")).count()
}

/// A store that was started anew, and the movements of a sealed segment and of the one behind it, each far from the
/// segment's start.
fn old(disk: &GatedDisk) -> (Arc<Engine>, Vec<MovementId>, Vec<MovementId>) {
    let engine = start(disk);
    stock(&engine, &["mug"], 10);
    fill(&engine, "first", 6);
    let sealed = adjust(&engine, "S");
    fill(&engine, "second", 7);
    let active = adjust(&engine, "A");
    until("the first segment has an index", || {
        disk.list().unwrap().iter().any(|name| name.ends_with(".index"))
    });
    assert_eq!(segments(disk), 2);
    engine.close().unwrap();
    drop(engine);
    let engine = start(disk);
    (engine, sealed, active)
}

fn reverse(movement: &MovementId) -> Request {
    request(Command::Reverse(Reverse { movement: *movement, original: None }))
}

#[test]
fn what_is_read_for_an_old_event_lies_near_it() {
    let disk = GatedDisk::new(SEED);
    let (engine, sealed, active) = old(&disk);
    let read_for = |ask: &dyn Fn()| {
        let before = disk.read_by_history();
        ask();
        disk.read_by_history() - before
    };
    let repeat = |id: &str| assert!(one(&engine, request(found(id, "mug", 1))).unwrap().repeat);
    let in_sealed = read_for(&|| repeat("S-3"));
    assert!((1..MIB).contains(&in_sealed), "{in_sealed} bytes for one repeat");
    let in_active = read_for(&|| repeat("A-3"));
    assert!((1..3 * MIB).contains(&in_active), "{in_active} bytes for one repeat");
    let page = read_for(&|| {
        let first = Sequence(sealed[0].sequence.0 - 1);
        let page = engine.events(first, 10).wait().unwrap();
        assert_eq!((page.events.len(), page.events[0].outcome.sequence), (10, sealed[0].sequence));
    });
    assert!((1..3 * MIB).contains(&page), "{page} bytes for a page");
    let both = || sealed.iter().chain(&active);
    let reversals = read_for(&|| {
        let thrice = both().chain(both()).chain(both());
        let done = submit(&engine, thrice.map(reverse).collect());
        let reversed = done.iter().filter(|done| done.is_ok()).count() as u64;
        assert_eq!(reversed, 2 * ADJUSTED);
        let refused = done.into_iter().filter_map(Result::err);
        assert!(refused.map(|refusal| refusal.code()).all(|code| code == "already_reversed"));
    });
    assert!((1..16 * MIB).contains(&reversals), "{reversals} bytes for {} reversals", 6 * ADJUSTED);
    engine.close().unwrap();
}

/// Closes a store that stands at a read, which goes on when the closing has begun.
fn close_while_it_reads(engine: &Engine, disk: &GatedDisk) {
    disk.reads.wait_for_a_call();
    thread::scope(|scope| {
        scope.spawn(|| engine.close().unwrap());
        until("the store closes", || !engine.status().ready);
        disk.reads.open();
    });
}

#[test]
fn closing_ends_a_lookup_of_what_many_reversals_take_back() {
    let disk = GatedDisk::new(SEED + 1);
    let (engine, sealed, _) = old(&disk);
    disk.reads.close();
    let before = disk.read_by_history();
    let requests = sealed.iter().map(reverse).collect();
    let waiting = engine.submit(Batch { requests, atomic: false });
    close_while_it_reads(&engine, &disk);
    assert!(matches!(waiting.wait(), Err(Failure::Closed)));
    let read = disk.read_by_history() - before;
    assert!(read < MIB, "{read} bytes for what nobody waits for any more");
}

/// Asks for the answers to adjustments once more, in one batch, and says how many files that opened.
fn opened_for_repeats(disk: &GatedDisk, engine: &Engine, names: &[&str]) -> u64 {
    let repeat =
        |name| (0..ADJUSTED).map(move |number| request(found(&format!("{name}-{number}"), "mug", 1)));
    let before = disk.opened_by_history();
    let done = submit(engine, names.iter().flat_map(repeat).collect());
    assert!(done.iter().all(|done| done.as_ref().is_ok_and(|done| done.repeat)));
    disk.opened_by_history() - before
}

#[test]
fn what_is_read_for_a_batch_opens_each_file_once() {
    let disk = GatedDisk::new(SEED + 2);
    let (engine, ..) = old(&disk);
    let opened = opened_for_repeats(&disk, &engine, &["S", "A"]);
    println!("{opened} files opened for {} repeats", 2 * ADJUSTED);
    assert!(opened < 10, "{opened} files opened for {} repeats", 2 * ADJUSTED);
    engine.close().unwrap();
}

#[test]
fn an_index_that_turns_out_damaged_is_looked_into_once_and_made_anew() {
    const BLOCK_BITS: usize = 4_096 * 8;
    let disk = GatedDisk::new(SEED + 3);
    let (engine, ..) = old(&disk);
    let name = disk.list().unwrap().into_iter().find(|name| name.ends_with(".index")).unwrap();
    let whole = disk.disk.contents(&name).unwrap();
    let first_block = vec![100];
    let others = (1..whole.len() * 8 / BLOCK_BITS).map(|block| block * BLOCK_BITS + 100).collect();
    for bits in [first_block, others] {
        bits.iter().for_each(|bit| disk.disk.flip_bit(&name, *bit));
        let opened = opened_for_repeats(&disk, &engine, &["S"]);
        println!("{opened} files opened for {ADJUSTED} repeats");
        assert!(opened < 10, "{opened} files opened for {ADJUSTED} repeats");
        until("the index is made anew", || disk.disk.contents(&name).is_some_and(|bytes| bytes == whole));
    }
    engine.close().unwrap();
}

#[test]
fn closing_answers_those_who_wait_for_what_they_were_told_before() {
    let disk = GatedDisk::new(SEED + 4);
    let (engine, ..) = old(&disk);
    disk.reads.close();
    let requests = (0..ADJUSTED).map(|number| request(found(&format!("S-{number}"), "mug", 1))).collect();
    let waiting = engine.submit(Batch { requests, atomic: false });
    close_while_it_reads(&engine, &disk);
    let Results::Each(each) = waiting.wait().unwrap().results else { panic!("repeats are no refusals") };
    assert!(each.iter().all(|done| done.as_ref().unwrap().repeat));
}
