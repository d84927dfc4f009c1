//! Messages and their replies, as long as nothing breaks.

use std::sync::atomic::Ordering;

use jaego_queue::{IntakeOptions, OutboxOptions, limits};
use jaego_store::Store;
use jaego_testkit::Durability;
use serde_json::json;

use crate::world::{STREAM, World, hold};

#[test]
fn commands_are_answered_in_the_order_of_the_stream() {
    const COUNT: usize = 2_000;
    let world = World::new(Durability::None);
    let mut client = world.client();
    // Sent before there is a group: they are taken all the same.
    let ids: Vec<_> = [
        r#"{"op":"set_site","site":"ICN"}"#.to_owned(),
        r#"{"op":"set_location","site":"ICN","location":"A-01","kind":"storage"}"#.to_owned(),
        r#"{"op":"set_sku","sku":"mug"}"#.to_owned(),
        r#"{"op":"adjust","id":"A1","lines":[{"site":"ICN","location":"A-01","sku":"mug","change":1999,"account":"opening"}]}"#.to_owned(),
    ]
    .into_iter()
    .chain((0..COUNT).map(|number| hold(&format!("H{number}"), "mug", 1)))
    .map(|command| client.send(&command))
    .collect();
    let running = world.intake();
    client.reply(ids.last().unwrap());
    let replies = client.entries("orders:replies");
    let answered: Vec<_> = replies.iter().map(|(_, fields)| fields[0].1.clone()).collect();
    assert_eq!(answered, ids);
    // The last one found nothing left, and every other one was done.
    let refused: Vec<_> = replies.iter().filter(|(_, fields)| fields[1].1 != "200").collect();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!(client.told(ids.last().unwrap()), "409 insufficient_stock");
    let reply = client.reply(&ids[4]);
    assert_eq!(reply.said["id"], "H0");
    assert_eq!(
        reply.said["picks"],
        json!([{"line": "1", "site": "ICN", "location": "A-01", "sku": "mug", "lot": null, "quantity": 1}])
    );
    let expected: Vec<_> = (0..COUNT - 1).map(|number| format!("H{number}")).collect();
    assert_eq!(world.store.documents("held"), expected);
    // What was answered is not pending, and is deleted.
    assert_eq!(client.pending(), 0);
    assert_eq!(client.run::<u64>(&["XLEN", STREAM]), 0);
    assert_eq!(world.metric(r#"jaego_intake_replies_total{outcome="done"}"#), 2_003);
    assert_eq!(world.metric(r#"jaego_intake_replies_total{outcome="refused"}"#), 1);
    assert_eq!(world.metric(r#"jaego_commands_total{command="hold",outcome="done"}"#), 1_999);
    world.end(running);
}

#[test]
fn a_command_takes_effect_once() {
    let world = World::new(Durability::None);
    let mut client = world.client();
    let running = world.intake();
    world.stock(&mut client, &["mug"], 100);
    let charge = |key: &str, amount: u64| {
        format!(r#"{{"op":"charge","owner":"ann","currency":"KRW","amount":{amount},"key":"{key}"}}"#)
    };
    let rows = [
        // A document's id is its key.
        (hold("H1", "mug", 1), "done"),
        (hold("H1", "mug", 1), "repeat"),
        (hold("H1", "mug", 2), "409 id_taken"),
        // So is the caller's own request key …
        (charge("K1", 500), "done"),
        (charge("K1", 500), "repeat"),
        (charge("K1", 600), "409 idempotency_conflict"),
        // … and without one, each message is a request of its own.
        (r#"{"op":"charge","owner":"bob","currency":"KRW","amount":5}"#.to_owned(), "done"),
        (r#"{"op":"charge","owner":"bob","currency":"KRW","amount":5}"#.to_owned(), "done"),
    ];
    for (command, expected) in rows {
        let id = client.send(&command);
        assert_eq!(client.told(&id), expected, "{command}");
    }
    let id = client.send(r#"{"op":"charge","owner":"bob","currency":"KRW","amount":5}"#);
    assert_eq!(client.reply(&id).said["balance"], 15);
    world.end(running);
}

#[test]
fn answered_messages_stay_where_that_is_asked_for() {
    let world = World::new(Durability::None);
    let mut client = world.client();
    let running = world.intake_with(IntakeOptions { keep: true, ..world.options() });
    world.stock(&mut client, &["mug"], 100);
    let sent = client.entries(STREAM).len();
    assert_eq!(sent, 5);
    assert_eq!(client.pending(), 0);
    world.end(running);
    // Another group may read them; this one does not read them again.
    let running = world.intake();
    let id = client.send(&hold("H1", "mug", 1));
    assert_eq!(client.told(&id), "done");
    assert_eq!(client.entries("orders:replies").len(), 6);
    world.end(running);
}

#[test]
fn replies_are_bounded() {
    let world = World::new(Durability::None);
    let mut client = world.client();
    // Redis trims whole nodes, of 100 entries each.
    let options = IntakeOptions { replies_max: 200, ..world.options() };
    let running = world.intake_with(options);
    let mut last = String::new();
    for number in 0..1_000 {
        last = client.send(&format!(r#"{{"op":"set_sku","sku":"S{number}"}}"#));
    }
    client.reply(&last);
    let kept = client.entries("orders:replies").len();
    assert!((200..=300).contains(&kept), "{kept} replies were kept");
    world.end(running);
}

#[test]
fn a_busy_store_is_asked_again() {
    let world = World::new(Durability::None);
    let mut client = world.client();
    let running = world.intake();
    world.stock(&mut client, &["mug"], 100);
    world.store.busy.store(5, Ordering::SeqCst);
    let id = client.send(&hold("H1", "mug", 1));
    assert_eq!(client.told(&id), "done");
    assert_eq!(world.metric("jaego_intake_retries_total"), 5);
    // One that stays busy does not hold up the end, and loses nothing.
    world.store.busy.store(usize::MAX, Ordering::SeqCst);
    let id = client.send(&hold("H2", "mug", 1));
    world.wait_for("jaego_intake_retries_total", 8);
    world.end(running);
    assert_eq!((client.pending(), client.replies().contains_key(&id)), (1, false));
    world.store.busy.store(0, Ordering::SeqCst);
    let running = world.intake();
    assert_eq!(client.told(&id), "done");
    world.end(running);
}

#[test]
fn redis_takes_the_largest_numbers_that_are_accepted() {
    let world = World::new(Durability::None);
    let mut client = world.client();
    let options = IntakeOptions {
        replies_max: limits::KEPT_MAX,
        dead_letters_max: limits::KEPT_MAX,
        claim_idle: limits::CLAIM_IDLE_MAX,
        ..world.options()
    };
    options.check().unwrap();
    let running = world.intake_with(options);
    world.stock(&mut client, &["mug"], 100);
    let id = client.send("nonsense");
    assert_eq!(client.told(&id), "400 malformed");
    world.end(running);
    assert_eq!(client.entries("orders:dead").len(), 1);
    let options = OutboxOptions { events_max: Some(limits::KEPT_MAX), ..world.outbox_options() };
    options.check().unwrap();
    let running = world.outbox_with(options);
    world.wait_for("jaego_outbox_sequence", world.store.status().durable.0);
    world.end(running);
    assert_eq!(
        world.metric("jaego_intake_reconnects_total") + world.metric("jaego_outbox_reconnects_total"),
        0
    );
}
