//! Events in a stream: each once, in order, none left out, and none of another store.

use std::{
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use jaego_domain::Sequence;
use jaego_queue::{OutboxOptions, Server, limits::PUBLISH_EVENTS};
use jaego_server::{Metrics, service::event_json};
use jaego_store::Store;
use jaego_testkit::{Durability, wait_until};

use crate::world::{Client, EVENTS, PATIENCE, Shop, World, hold};

/// A store with this many events, made by an intake that has ended again.
fn with_events(world: &World, client: &mut Client, count: usize) {
    let running = world.intake();
    let before = world.store.status().durable.0;
    if before == 0 {
        world.stock(client, &["mug"], 1_000_000);
    }
    let ids = client.send_all((0..count).map(|number| hold(&format!("H{before}-{number}"), "mug", 1)));
    if let Some(id) = ids.last() {
        client.reply(id);
    }
    world.end(running);
}

/// Waits until the stream ends with the store's last event, and proves that it has all of them after the first ones.
fn prove(world: &World, client: &mut Client, without: u64) {
    let durable = world.store.status().durable.0;
    let last = format!("{durable}-0");
    let ends = || client.entries(EVENTS).last().is_some_and(|(id, _)| *id == last).then_some(());
    wait_until(format!("event {durable} in the stream"), PATIENCE, ends).unwrap();
    let entries = client.entries(EVENTS);
    assert_eq!(entries.len() as u64, durable - without);
    let mut after = Sequence(without);
    for entries in entries.chunks(1_000) {
        let page = world.store.events(after, entries.len()).wait().unwrap();
        assert_eq!(page.events.len(), entries.len());
        for (event, (id, fields)) in page.events.iter().zip(entries) {
            after = event.outcome.sequence;
            assert_eq!(*id, format!("{after}-0"));
            let json = String::from_utf8(event_json(event)).unwrap();
            assert_eq!(*fields, [("kind".to_owned(), event.kind.to_owned()), ("event".to_owned(), json)]);
        }
    }
}

#[test]
fn every_event_is_published_once_and_in_order() {
    let world = World::new(Durability::None);
    let mut client = world.client();
    with_events(&world, &mut client, 1_500);
    let running = world.outbox_with(world.outbox_options());
    prove(&world, &mut client, 0);
    // While it runs …
    with_events(&world, &mut client, 300);
    prove(&world, &mut client, 0);
    assert_eq!(world.metric("jaego_outbox_published_total"), world.store.status().durable.0);
    world.end(running);
    // … and what happened while it did not. A second one at the same time adds nothing of its own.
    with_events(&world, &mut client, 300);
    let first = world.outbox_with(world.outbox_options());
    let second = world.outbox_with(world.outbox_options());
    with_events(&world, &mut client, 600);
    prove(&world, &mut client, 0);
    world.end(first);
    world.end(second);
    assert_eq!(world.metric("jaego_outbox_halted"), 0);
}

#[test]
fn kinds_can_be_chosen_and_old_events_left_out() {
    let world = World::new(Durability::None);
    let mut client = world.client();
    with_events(&world, &mut client, 20);
    let kinds = vec!["sku_set".to_owned(), "held".to_owned()];
    let options = OutboxOptions { kinds, after: Sequence(7), ..world.outbox_options() };
    let running = world.outbox_with(options.clone());
    let ids = |client: &mut Client, count: usize| {
        let entries = || Some(client.entries(EVENTS)).filter(|entries| entries.len() >= count);
        let entries = wait_until("events", PATIENCE, entries).unwrap();
        entries.into_iter().map(|(id, _)| id).collect::<Vec<_>>()
    };
    let held = |count: u64| (8..8 + count).map(|sequence| format!("{sequence}-0")).collect::<Vec<_>>();
    let first = client.entries(EVENTS);
    assert!(first.len() <= 20);
    let of_stock = world.store.status().durable.0 - 20;
    let skipped = usize::try_from(7 - of_stock).unwrap();
    assert_eq!(ids(&mut client, 20 - skipped), held(20 - skipped as u64));
    world.end(running);
    with_events(&world, &mut client, 5);
    let running = world.outbox_with(options);
    assert_eq!(ids(&mut client, 25 - skipped).len(), 25 - skipped);
    world.end(running);
}

/// What an outbox of chosen kinds has noted.
fn position(client: &mut Client) -> String {
    client.run(&["GET", &format!("{EVENTS}:position")])
}

#[test]
fn what_nobody_wants_is_looked_at_once() {
    let world = World::new(Durability::None);
    let mut client = world.client();
    with_events(&world, &mut client, 20);
    let options = |kind: &str| OutboxOptions { kinds: vec![kind.to_owned()], ..world.outbox_options() };
    let running = world.outbox_with(options("sku_set"));
    let end = world.store.status().durable.0;
    world.wait_for("jaego_outbox_sequence", end);
    world.end(running);
    let published = client.entries(EVENTS);
    assert_ne!(published.last().unwrap().0, format!("{end}-0"), "what came last is not wanted");
    let last = world.store.events(Sequence(end - 1), 1).wait().unwrap().events.remove(0);
    let at = last.outcome.at.0;
    assert_eq!(position(&mut client), format!("{} {end} sku_set {at} held", published.last().unwrap().0));
    // It goes on behind what it has looked at, though the stream ends long before, and the journal begins later.
    world.store.archived.store(usize::try_from(end).unwrap(), Ordering::SeqCst);
    with_events(&world, &mut client, 5);
    let running = world.outbox_with(options("sku_set"));
    world.wait_for("jaego_outbox_sequence", end + 5);
    assert_eq!(world.metric("jaego_outbox_halted"), 0);
    world.end(running);
    assert_eq!(client.entries(EVENTS), published);
    // Who wants others has to look at them.
    let running = world.outbox_with(options("held"));
    world.wait_for("jaego_outbox_halted", 1);
    world.end(running);
}

#[test]
fn what_nobody_wants_costs_redis_a_note_a_second() {
    let world = World::new(Durability::None);
    let mut client = world.client();
    with_events(&world, &mut client, 1);
    let options = OutboxOptions { kinds: vec!["sku_set".to_owned()], ..world.outbox_options() };
    let running = world.outbox_with(options);
    world.wait_for("jaego_outbox_sequence", world.store.status().durable.0);
    let scripts = |client: &mut Client| {
        let text: String = client.run(&["INFO", "commandstats"]);
        let line = text.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls=")).unwrap();
        line.split(',').next().unwrap().parse::<u64>().unwrap()
    };
    let before = scripts(&mut client);
    let started = Instant::now();
    let commits = 200;
    for _ in 0..commits {
        // One after the other, each seen by the outbox.
        world.commit();
        world.wait_for("jaego_outbox_sequence", world.store.status().durable.0);
    }
    let noted = scripts(&mut client) - before;
    let seconds = started.elapsed().as_secs();
    assert!(noted <= seconds + 1, "{noted} notes of {commits} commits in {seconds} s");
    // What is not noted yet is noted soon, though nothing more comes.
    let end = format!(" {} ", world.store.status().durable.0);
    wait_until("the note", PATIENCE, || position(&mut client).contains(&end).then_some(())).unwrap();
    world.commit();
    world.wait_for("jaego_outbox_sequence", world.store.status().durable.0);
    world.end(running);
    let end = format!(" {} ", world.store.status().durable.0);
    assert!(position(&mut client).contains(&end), "and at the end of the process");
}

#[test]
fn an_outbox_may_do_with_the_rights_that_it_is_said_to_need() {
    let world = World::new(Durability::None);
    let mut client = world.client();
    with_events(&world, &mut client, 20);
    let mut allow = |user: &str, keys: &str, commands: &str| {
        let rights = format!("ACL SETUSER {user} on >secret {keys} {commands}");
        let _: () = client.run(&rights.split(' ').collect::<Vec<_>>());
    };
    let stream = "+evalsha +script|load +exists +xadd +xinfo +xrevrange";
    let both = format!("{stream} +get +set");
    allow("both", "~events ~events:position", &both);
    allow("unknowing", "~events", &both);
    allow("earlier", "~events", stream);
    allow("reading", "~events ~events:position", &format!("{stream} +get"));
    let as_user = |user: &str, kinds: &[&str]| {
        let url = world.redis.url().replacen("redis://", &format!("redis://{user}:secret@"), 1);
        let server = Server::parse(&url).unwrap();
        let kinds = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        world.outbox_with(OutboxOptions { server, kinds, ..world.outbox_options() })
    };
    let durable = world.store.status().durable.0;
    let running = as_user("both", &["sku_set"]);
    world.wait_for("jaego_outbox_sequence", durable);
    world.end(running);
    assert!(position(&mut client).contains(&format!(" {durable} sku_set ")));
    // Without the key of the position nothing is published, and that is told by the connection that is made again and again.
    let reconnects = world.metric("jaego_outbox_reconnects_total");
    let running = as_user("unknowing", &["sku_set"]);
    world.wait_for("jaego_outbox_reconnects_total", reconnects + 2);
    world.end(running);
    let _: u64 = client.run(&["DEL", EVENTS]);
    let running = as_user("both", &[]);
    prove(&world, &mut client, 0);
    world.end(running);
    assert!(position(&mut client).starts_with(&format!("{durable}-0 {durable} * ")));
    // Who publishes all events did not need that key in earlier versions, and goes on without it.
    for user in ["earlier", "reading"] {
        let _: u64 = client.run(&["DEL", EVENTS, &format!("{EVENTS}:position")]);
        let running = as_user(user, &[]);
        prove(&world, &mut client, 0);
        world.end(running);
        assert!(!client.run::<bool>(&["EXISTS", &format!("{EVENTS}:position")]));
    }
}

#[test]
fn the_stream_is_bounded() {
    let world = World::new(Durability::None);
    let mut client = world.client();
    with_events(&world, &mut client, 1_000);
    let running = world.outbox_with(OutboxOptions { events_max: Some(200), ..world.outbox_options() });
    world.wait_for("jaego_outbox_sequence", world.store.status().durable.0);
    let kept = client.entries(EVENTS).len();
    assert!((200..=300).contains(&kept), "{kept} events were kept");
    world.end(running);
    // Trimmed to nothing, it still knows where it was; also a stream of an earlier version, which noted nothing beside it.
    for is_noted in [true, false] {
        let _: u64 = client.run(&["XTRIM", EVENTS, "MAXLEN", "0"]);
        if !is_noted {
            let _: u64 = client.run(&["DEL", &format!("{EVENTS}:position")]);
        }
        with_events(&world, &mut client, 10);
        let before = world.store.status().durable.0 - 10;
        let running = world.outbox_with(world.outbox_options());
        prove(&world, &mut client, before);
        world.end(running);
    }
}

#[test]
fn redis_may_be_killed_in_the_middle() {
    const ROUNDS: usize = 4;
    const EVENTS_A_ROUND: usize = 3_000;
    /// What is in the hands of the outbox at the most: it may be there without the outbox being told.
    const IN_HAND: u64 = PUBLISH_EVENTS as u64;
    let mut world = World::new(Durability::Always);
    let mut client = world.client();
    let mut in_the_middle = 0;
    for round in 0..ROUNDS {
        // Nobody publishes while they come to be, so that many wait.
        with_events(&world, &mut client, EVENTS_A_ROUND);
        let running = world.outbox_with(world.outbox_options());
        let published = |world: &World| world.metric("jaego_outbox_published_total");
        let before = published(&world);
        while published(&world) == before {
            thread::sleep(Duration::from_micros(200));
        }
        world.redis.kill_9().unwrap();
        let done = published(&world) - before;
        println!("round {round}: {done} of {EVENTS_A_ROUND} were published when Redis was killed");
        in_the_middle += usize::from(done + IN_HAND < EVENTS_A_ROUND as u64);
        world.redis.restart().unwrap();
        client = world.client();
        prove(&world, &mut client, 0);
        world.end(running);
    }
    assert!(in_the_middle >= ROUNDS / 2, "Redis was killed in the middle {in_the_middle} times of {ROUNDS}");
}

#[test]
fn a_stream_that_is_lost_is_published_again() {
    let mut world = World::new(Durability::None);
    let mut client = world.client();
    with_events(&world, &mut client, 300);
    let running = world.outbox_with(world.outbox_options());
    prove(&world, &mut client, 0);
    // Deleted under the outbox: it does not go on behind a gap.
    let _: u64 = client.run(&["DEL", EVENTS]);
    with_events(&world, &mut client, 1);
    prove(&world, &mut client, 0);
    // Lost with its server.
    world.redis.restart_empty().unwrap();
    client = world.client();
    prove(&world, &mut client, 0);
    // Its last events lost, as by a crash that an append-only file of every second allows.
    let durable = world.store.status().durable.0;
    world.end(running);
    let _: u64 = client.run(&["DEL", EVENTS]);
    let running =
        world.outbox_with(OutboxOptions { kinds: vec!["none".to_owned()], ..world.outbox_options() });
    world.wait_for("jaego_outbox_sequence", durable);
    world.end(running);
    assert!(client.entries(EVENTS).is_empty());
    let running = world.outbox_with(world.outbox_options());
    prove(&world, &mut client, 0);
    world.end(running);
}

/// What an outbox says when it refuses to publish.
fn halted(world: &World, options: OutboxOptions, entries: usize) {
    let running = world.outbox_with(options);
    world.wait_for("jaego_outbox_halted", 1);
    let mut client = world.client();
    assert_eq!(client.entries(EVENTS).len(), entries);
    world.end(running);
}

#[test]
fn another_history_is_not_mixed_in() {
    let mut world = World::new(Durability::None);
    let mut client = world.client();
    with_events(&world, &mut client, 50);
    let running = world.outbox_with(world.outbox_options());
    prove(&world, &mut client, 0);
    world.end(running);
    let published = client.entries(EVENTS).len();
    // A store that is behind the stream, as after a restore …
    world.store = Arc::new(Shop::new());
    halted(&world, world.outbox_options(), published);
    // … and one that went on from there, and is past it by now.
    let _: u64 = client.run(&["DEL", "orders:replies"]);
    with_events(&world, &mut client, 100);
    halted(&world, world.outbox_options(), published);
    let kinds = vec!["held".to_owned()];
    halted(&world, OutboxOptions { kinds, ..world.outbox_options() }, published);
    // A stream with entries of other programs is none of ours.
    let _: u64 = client.run(&["DEL", EVENTS]);
    let _: String = client.run(&["XADD", EVENTS, "*", "any", "thing"]);
    halted(&world, world.outbox_options(), 1);
    let _: u64 = client.run(&["DEL", EVENTS]);
    let _: String = client.run(&["XADD", EVENTS, "5-0", "any", "thing"]);
    halted(&world, world.outbox_options(), 1);
}

#[test]
fn another_history_is_told_though_readers_delete_what_they_read() {
    for kinds in [&[][..], &["held"], &["sku_set"]] {
        let mut world = World::new(Durability::None);
        let mut client = world.client();
        let kinds = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        let options = OutboxOptions { kinds, ..world.outbox_options() };
        with_events(&world, &mut client, 20);
        let running = world.outbox_with(options.clone());
        world.wait_for("jaego_outbox_sequence", world.store.status().durable.0);
        world.end(running);
        let end = world.store.status().durable.0;
        let _: u64 = client.run(&["XTRIM", EVENTS, "MAXLEN", "0"]);
        // Another store, before its end comes to where the other one's was, and after it.
        world.store = Arc::new(Shop::new());
        for events in [1, 40] {
            let _: u64 = client.run(&["DEL", "orders:replies"]);
            with_events(&world, &mut client, events);
            assert_eq!(world.store.status().durable.0 > end, events == 40);
            world.metrics = Metrics::new();
            halted(&world, options.clone(), 0);
        }
    }
}

#[test]
fn a_position_of_another_history_leaves_no_event_out() {
    let mut world = World::new(Durability::None);
    let mut client = world.client();
    let options = |kind: &str| OutboxOptions { kinds: vec![kind.to_owned()], ..world.outbox_options() };
    let (none, held, skus) = (options("hold_released"), options("held"), options("sku_set"));
    with_events(&world, &mut client, 50);
    // The position of who found nothing to publish: there is no stream.
    let running = world.outbox_with(none);
    let end = world.store.status().durable.0;
    world.wait_for("jaego_outbox_sequence", end);
    world.end(running);
    let noted = position(&mut client);
    assert!(noted.starts_with(&format!("0-0 {end} hold_released ")), "{noted}");
    let ids =
        |client: &mut Client| -> Vec<_> { client.entries(EVENTS).into_iter().map(|(id, _)| id).collect() };
    let held_ids = |store: &Shop| -> Vec<_> {
        let events = store.events(Sequence(0), 1_000).wait().unwrap().events;
        let held = events.iter().filter(|event| event.kind == "held");
        held.map(|event| format!("{}-0", event.outcome.sequence)).collect()
    };

    // A store that is behind it, and one that went on past it with another event of that number.
    for (events, kind, is_same_time) in [(10, "held", false), (100, "held", false), (100, "sku_set", true)] {
        let _: u64 = client.run(&["DEL", EVENTS]);
        let _: u64 = client.run(&["DEL", "orders:replies"]);
        world.store = Arc::new(Shop::new());
        with_events(&world, &mut client, events);
        let of_event = world.store.events(Sequence(end - 1), 1).wait().unwrap().events;
        let at = of_event.first().filter(|_| is_same_time).map_or(1, |event| event.outcome.at.0);
        let _: String =
            client.run(&["SET", &format!("{EVENTS}:position"), &format!("0-0 {end} held {at} {kind}")]);
        let running = world.outbox_with(held.clone());
        let expected = held_ids(&world.store);
        assert_eq!(expected.len(), events);
        let published = || (ids(&mut client) == expected).then_some(());
        wait_until(format!("all {events} of {end} {at} {kind}"), PATIENCE, published).unwrap();
        world.end(running);
    }

    // A stream that is of both histories, and a position that is of one.
    let _: u64 = client.run(&["DEL", EVENTS]);
    let running = world.outbox_with(skus);
    let last = wait_until("a SKU", PATIENCE, || ids(&mut client).pop()).unwrap();
    world.end(running);
    let stale = format!("{last} {end} held 1 held");
    let _: String = client.run(&["SET", &format!("{EVENTS}:position"), &stale]);
    let running = world.outbox_with(held);
    let all = || (ids(&mut client).len() == 101).then_some(());
    wait_until(format!("one SKU and all holds behind {last}"), PATIENCE, all).unwrap();
    world.end(running);
}

#[test]
fn no_event_is_left_out_because_another_program_took_its_number() {
    let world = World::new(Durability::None);
    let mut client = world.client();
    with_events(&world, &mut client, 50);
    let running = world.outbox_with(world.outbox_options());
    prove(&world, &mut client, 0);
    world.end(running);
    let published = client.entries(EVENTS).len();
    let last = world.store.status().durable.0;
    let next = format!("{}-0", last + 1);
    let _: String = client.run(&["XADD", EVENTS, &next, "any", "thing"]);
    let _: u64 = client.run(&["XDEL", EVENTS, &next]);
    with_events(&world, &mut client, 10);
    halted(&world, world.outbox_options(), published);
    let after = way_on(&mut client, last);
    let running = world.outbox_with(OutboxOptions { after, ..world.outbox_options() });
    prove(&world, &mut client, after.0);
    world.end(running);
}

#[test]
fn a_reader_may_delete_the_newest_event() {
    let mut world = World::new(Durability::None);
    let mut client = world.client();
    with_events(&world, &mut client, 10);
    let running = world.outbox_with(world.outbox_options());
    prove(&world, &mut client, 0);
    let next = |world: &World| format!("{}-0", world.store.status().durable.0 + 1);
    let comes = |client: &mut Client, id: &str| {
        let ends = || client.entries(EVENTS).last().is_some_and(|(last, _)| last == id).then_some(());
        wait_until(format!("{id} behind what was deleted"), PATIENCE, ends).unwrap();
    };
    let delete_newest = |world: &World, client: &mut Client| {
        let newest = format!("{}-0", world.store.status().durable.0);
        assert_eq!(client.run::<u64>(&["XDEL", EVENTS, &newest]), 1);
    };
    // The outbox connects again …
    delete_newest(&world, &mut client);
    let _: u64 = client.run(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    world.wait_for("jaego_outbox_reconnects_total", 1);
    let id = next(&world);
    with_events(&world, &mut client, 1);
    comes(&mut client, &id);
    // … or is started again.
    delete_newest(&world, &mut client);
    world.end(running);
    let id = next(&world);
    with_events(&world, &mut client, 1);
    let running = world.outbox_with(world.outbox_options());
    comes(&mut client, &id);
    world.end(running);
    assert_eq!(world.metric("jaego_outbox_halted"), 0);
    // Another store's event of that number is not it.
    delete_newest(&world, &mut client);
    let entries = client.entries(EVENTS).len();
    let key = format!("{EVENTS}:position");
    let noted = position(&mut client);
    let other = noted.replace(" held", " sku_set");
    let _: () = client.run(&["SET", &key, &other]);
    halted(&world, world.outbox_options(), entries);
    // Where nothing was noted, as by an earlier version, nobody knows whose event was deleted.
    let _: u64 = client.run(&["DEL", &key]);
    world.metrics = Metrics::new();
    halted(&world, world.outbox_options(), entries);
    let _: () = client.run(&["SET", &key, &noted]);
    let running = world.outbox_with(world.outbox_options());
    world.wait_for("jaego_outbox_connected", 1);
    world.end(running);
    assert_eq!(world.metric("jaego_outbox_halted"), 0);
}

/// What the reason of a halt names as the way on: set back, the stream goes on where its last event stands. A server that
/// refuses to go behind what was deleted (Valkey) leaves the other way, a new stream. Returns the event that it begins after.
fn way_on(client: &mut Client, last: u64) -> Sequence {
    let set_back = client.try_run::<String>(&["XSETID", EVENTS, &format!("{last}-0")]);
    let Err(refused) = set_back else { return Sequence(0) };
    assert!(refused.to_string().contains("max_deleted_entry_id"), "{refused}");
    let _: u64 = client.run(&["DEL", EVENTS]);
    Sequence(last)
}

/// Waits until an outbox that runs refuses to publish.
fn halts(world: &World) {
    let halted = || (world.metric("jaego_outbox_halted") == 1).then_some(());
    wait_until("a halt", PATIENCE, halted).unwrap();
}

#[test]
fn nothing_is_published_behind_an_entry_that_came_in_between() {
    let world = World::new(Durability::None);
    let mut client = world.client();
    with_events(&world, &mut client, 50);
    let running = world.outbox_with(world.outbox_options());
    prove(&world, &mut client, 0);
    // An id between the last event and the next one, while the outbox is connected.
    let last = world.store.status().durable.0;
    let between = format!("{last}-1");
    let _: String = client.run(&["XADD", EVENTS, &between, "any", "thing"]);
    with_events(&world, &mut client, 5);
    halts(&world);
    assert_eq!(client.entries(EVENTS).last().unwrap().0, between);
    world.end(running);
    // Once the entry is gone there is a way on. Then it notices by itself too, with no event to publish, and an entry that
    // was deleted again leaves its mark.
    let _: u64 = client.run(&["XDEL", EVENTS, &between]);
    let after = way_on(&mut client, last);
    let running = world.outbox_with(OutboxOptions { after, ..world.outbox_options() });
    prove(&world, &mut client, after.0);
    assert_eq!(world.metric("jaego_outbox_halted"), 0);
    let between = format!("{}-1", world.store.status().durable);
    let _: String = client.run(&["XADD", EVENTS, &between, "any", "thing"]);
    let _: u64 = client.run(&["XDEL", EVENTS, &between]);
    halts(&world);
    world.end(running);
}

#[test]
fn archived_events_are_not_left_out_silently() {
    let world = World::new(Durability::None);
    let mut client = world.client();
    with_events(&world, &mut client, 50);
    world.store.archived.store(20, Ordering::SeqCst);
    halted(&world, world.outbox_options(), 0);
    // Whoever begins after them says so.
    let running = world.outbox_with(OutboxOptions { after: Sequence(20), ..world.outbox_options() });
    prove(&world, &mut client, 20);
    assert_eq!(world.metric("jaego_outbox_halted"), 0);
    world.end(running);
}
