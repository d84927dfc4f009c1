//! Messages of many MiB, more of them than memory should hold at a time.

use std::sync::atomic::Ordering;

use jaego_queue::limits;
use jaego_testkit::Durability;

use crate::world::{Client, STREAM, World, hold};

const MIB: usize = 1024 * 1024;
/// Large messages that wait, and the bytes of each: 320 MiB.
const LARGE: usize = 40;
const LARGE_BYTES: usize = 8 * MIB;

/// A hold in a message of so many bytes.
fn large(id: &str) -> String {
    let mut command = hold(id, "mug", 1);
    // Between tokens, JSON may have any number of spaces.
    let end = command.pop().unwrap();
    command.extend(std::iter::repeat_n(' ', LARGE_BYTES - command.len() - 1));
    command.push(end);
    command
}

/// The most memory that this process has had so far, in bytes.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * 1024
}

#[test]
fn a_message_that_is_too_long_to_be_read_goes_to_the_dead_letters() {
    let world = World::new(Durability::None);
    let mut client = world.client();
    let running = world.intake();
    world.stock(&mut client, &["mug"], 100);
    world.end(running);
    // Made by Redis, so that this process does not have it before it is read.
    let spaces = |client: &mut Client, bytes: usize| -> String {
        let add = "return redis.call('XADD', KEYS[1], '*', 'command', string.rep(' ', ARGV[1]))";
        client.run(&["EVAL", add, "1", STREAM, &bytes.to_string()])
    };
    let readable = spaces(&mut client, limits::COMMAND_BYTES_MAX + 1);
    let first = client.send(&hold("H1", "mug", 1));
    let huge = [0, 1].map(|_| spaces(&mut client, 2 * limits::READ_BYTES_MAX));
    let last = client.send(&hold("H2", "mug", 1));
    // Three are delivered, one of them so often as if it had ended the service; the last one comes for the first time.
    let _: () = client.run(&["XGROUP", "SETID", STREAM, "jaego", &huge[0]]);
    for (id, deliveries) in [(&readable, 1), (&first, 1), (&huge[0], limits::DELIVERIES_MAX)] {
        let deliveries = deliveries.to_string();
        let claim =
            ["XCLAIM", STREAM, "jaego", "jaego", "0", id, "RETRYCOUNT", &deliveries, "FORCE", "JUSTID"];
        let _: redis::Value = client.run(&claim);
    }
    let before = peak();
    let running = world.intake();
    assert_eq!(client.told(&first), "done");
    assert_eq!(client.told(&last), "done");
    for id in [&readable, &huge[0], &huge[1]] {
        assert_eq!(client.told(id), "413 too_large");
    }
    let grown = peak() - before;
    println!("two messages of {} MiB took {} MiB of memory", 2 * limits::READ_BYTES_MAX / MIB, grown / MIB);
    assert!(grown < 2 * limits::READ_BYTES_MAX, "{} MiB", grown / MIB);
    let letters = client.entries("orders:dead");
    let names = |index: usize| -> Vec<_> { letters[index].1.iter().map(|(name, _)| name.as_str()).collect() };
    assert_eq!(names(0), ["message", "problem", "cut", "original:command"]);
    for (index, id) in huge.iter().enumerate() {
        assert_eq!(names(index + 1), ["message", "problem", "cut"]);
        assert_eq!(letters[index + 1].1[0].1, *id);
    }
    assert_eq!(client.run::<u64>(&["XLEN", STREAM]), 0);
    world.end(running);
}

#[test]
fn large_messages_that_wait_are_not_read_together() {
    let world = World::new(Durability::None);
    let mut client = world.client();
    let running = world.intake();
    world.stock(&mut client, &["mug"], 1_000_000);
    // Short ones, until a read asks for as many as it may.
    let short = client.send_all((0..5_000).map(|number| hold(&format!("S{number}"), "mug", 1)));
    client.reply(short.last().unwrap());
    // The intake waits for its store while the large ones come.
    world.store.busy.store(usize::MAX, Ordering::SeqCst);
    let waiting = client.send(&hold("waiting", "mug", 1));
    world.wait_for("jaego_intake_retries_total", 1);
    let ids: Vec<_> = (0..LARGE).map(|number| client.send(&large(&format!("L{number}")))).collect();
    let before = peak();
    world.store.busy.store(0, Ordering::SeqCst);
    assert_eq!(client.told(&waiting), "done");
    for id in &ids {
        assert_eq!(client.told(id), "done");
    }
    let grown = peak() - before;
    println!("{} MiB in {LARGE} messages took {} MiB of memory", LARGE * LARGE_BYTES / MIB, grown / MIB);
    // What came before it was broken off, and one message as it was understood. All together would be 320 MiB.
    assert!(grown < 2 * limits::READ_BYTES_MAX, "{} MiB", grown / MIB);
    // It was noticed once, and then they were read one by one.
    assert_eq!(world.metric("jaego_intake_reconnects_total"), 1);
    // Short ones are read together again, each once.
    let short = client.send_all((0..2_000).map(|number| hold(&format!("T{number}"), "mug", 1)));
    client.reply(short.last().unwrap());
    assert_eq!(world.store.open_holds(), 7_001 + LARGE as u64);
    world.end(running);
}
