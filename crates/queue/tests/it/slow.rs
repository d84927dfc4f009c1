//! A link that is slow: the largest message takes longer than any answer may keep one waiting.

use std::time::{Duration, Instant};

use jaego_queue::{IntakeOptions, Server, limits};
use jaego_testkit::{Direction, Durability, Fault, FaultProxy};

use crate::world::{Client, World, hold};

/// Bytes a second: the largest message takes eight seconds, where an answer has five to begin.
const RATE: u64 = 4 * 1024 * 1024;

/// What giving up may take beyond its time.
const SLACK: Duration = Duration::from_secs(2);

/// A command that fills a message to its limit.
fn large(id: &str) -> String {
    let mut command = hold(id, "mug", 1);
    // Between tokens, JSON may have any number of spaces.
    let end = command.pop().unwrap();
    command.extend(std::iter::repeat_n(' ', limits::COMMAND_BYTES_MAX - command.len() - 1));
    command.push(end);
    assert_eq!(command.len(), limits::COMMAND_BYTES_MAX);
    command
}

/// A world with a hundred mugs, and no intake.
fn stocked() -> (World, Client) {
    let world = World::new(Durability::None);
    let mut client = world.client();
    let running = world.intake();
    world.stock(&mut client, &["mug"], 100);
    world.end(running);
    (world, client)
}

fn behind(proxy: &FaultProxy) -> Server {
    Server::parse(&format!("redis://{}/", proxy.addr())).unwrap()
}

#[test]
fn the_largest_message_comes_over_a_slow_link() {
    let (world, mut client) = stocked();
    let proxy = FaultProxy::start(world.redis.addr()).unwrap();
    let through = IntakeOptions { server: behind(&proxy), ..world.options() };
    let ids = [
        client.send(&hold("before", "mug", 1)),
        client.send(&large("large")),
        client.send(&hold("behind", "mug", 1)),
    ];
    proxy.set(Direction::ToClient, Fault::Throttle(RATE));
    let begun = Instant::now();
    let running = world.intake_with(through);
    assert_eq!(ids.each_ref().map(|id| client.told(id)), ["done"; 3]);
    let took = begun.elapsed();
    assert!(took > limits::READ_WAIT + limits::ANSWER_WAIT, "the link was not slow: {took:?}");
    println!("32 MiB at 4 MiB/s were answered after {took:?}");
    assert_eq!(world.metric("jaego_intake_reconnects_total"), 0);

    // A link that breaks in the middle of one: it goes on with what was on the way, and with what is behind it.
    let ids = [client.send(&large("again")), client.send(&hold("last", "mug", 1))];
    proxy.set(Direction::ToClient, Fault::CutAfter(limits::COMMAND_BYTES_MAX as u64 / 2));
    assert_eq!(ids.each_ref().map(|id| client.told(id)), ["done"; 2]);
    assert_eq!(world.store.documents("held"), ["before", "large", "behind", "again", "last"]);
    assert!(world.metric("jaego_intake_reconnects_total") >= 1);
    world.end(running);
}

/// One that stands still is not waited for: the intake connects again, and finds its place.
#[test]
fn a_link_that_stands_still_is_given_up() {
    let (world, mut client) = stocked();
    let proxy = FaultProxy::start(world.redis.addr()).unwrap();
    let through = IntakeOptions { server: behind(&proxy), ..world.options() };
    let id = client.send(&large("large"));
    proxy.set(Direction::ToClient, Fault::Throttle(RATE));
    let running = world.intake_with(through);
    // In the middle of the message nothing comes any more.
    let middle = limits::COMMAND_BYTES_MAX as u64 / 4;
    jaego_testkit::wait_until("a part of the message", Duration::from_secs(30), || {
        (proxy.passed(Direction::ToClient) > middle).then_some(())
    })
    .unwrap();
    proxy.set(Direction::ToClient, Fault::Blackhole);
    let still = Instant::now();
    world.wait_for("jaego_intake_reconnects_total", 1);
    let took = still.elapsed();
    println!("it was given up {took:?} after the last byte");
    // What was sent when the wait began, and what came in the middle of it, does not count a second time.
    assert!(took < limits::READ_WAIT + limits::ANSWER_WAIT + SLACK, "{took:?}");
    proxy.heal();
    assert_eq!(client.told(&id), "done");
    assert_eq!(world.store.documents("held"), ["large"]);
    world.end(running);
}
