//! What nobody can decide.

use jaego_queue::limits;
use jaego_testkit::{Durability, wait_until};
use serde_json::Value;

use crate::world::{PATIENCE, STREAM, World, hold};

#[test]
fn what_cannot_be_read_goes_to_the_dead_letters_and_is_told() {
    let world = World::new(Durability::None);
    let mut client = world.client();
    let running = world.intake();
    world.stock(&mut client, &["mug"], 10);
    let good = hold("H1", "mug", 1);
    let long = "x".repeat(limits::COMMAND_BYTES_MAX + 1);
    let rows: [(&[(&str, &str)], &str); 12] = [
        (&[("order", &good)], "malformed order"),
        (&[("command", &good), ("trace", "7")], "malformed trace"),
        (&[("command", &good), ("command", &good)], "malformed command"),
        (&[("command", "")], "malformed"),
        (&[("command", "not JSON")], "malformed"),
        (&[("command", "[]")], "malformed"),
        (&[("command", "{}")], "malformed op"),
        (&[("command", r#"{"op":"sell"}"#)], "malformed"),
        (&[("command", r#"{"op":"hold","id":"H1","lines":[],"why":1}"#)], "malformed why"),
        (&[("command", r#"{"op":"hold","id":"H1"}"#)], "malformed lines"),
        (&[("command", r#"{"op":"release_hold","hold":"H1""#)], "malformed"),
        (&[("command", &long)], "too_large"),
    ];
    for (fields, expected) in rows {
        let mut words = vec!["XADD", STREAM, "*"];
        words.extend(fields.iter().flat_map(|(name, value)| [*name, *value]));
        let id: String = client.run(&words);
        let reply = client.reply(&id);
        let said = |problem: &Value| {
            let field = problem["field"].as_str().unwrap_or_default();
            format!("{} {field}", problem["code"].as_str().unwrap()).trim_end().to_owned()
        };
        let shown = fields[0].1.chars().take(80).collect::<String>();
        assert_eq!(said(&reply.said), expected, "{shown}");
        assert_eq!(reply.status, if expected == "too_large" { 413 } else { 400 });
        let (_, letter) = client.entries("orders:dead").pop().unwrap();
        assert_eq!(letter[0], ("message".to_owned(), id));
        assert_eq!(said(&serde_json::from_str(&letter[1].1).unwrap()), expected);
        let is_cut = expected == "too_large";
        assert_eq!(letter[2] == ("cut".to_owned(), "true".to_owned()), is_cut);
        let original = &letter[2 + usize::from(is_cut)..];
        assert_eq!(original.len(), fields.len());
        for ((name, value), (kept_name, kept)) in fields.iter().zip(original) {
            assert_eq!(kept_name, &format!("original:{name}"));
            assert!(if is_cut { value.starts_with(kept.as_str()) } else { value == kept }, "{name}");
        }
    }
    // A dead letter says what it would take to send it again.
    assert_eq!(client.entries("orders:dead").len(), rows.len());
    // What was answered is counted a moment later.
    let counted = || world.metric(r#"jaego_intake_replies_total{outcome="dead"}"#) == rows.len() as u64;
    wait_until("all are counted", PATIENCE, || counted().then_some(())).unwrap();
    assert_eq!((client.pending(), client.run::<u64>(&["XLEN", STREAM])), (0, 0));
    assert_eq!(world.store.open_holds(), 0);
    world.end(running);
}

#[test]
fn a_message_older_than_the_keys_is_not_decided_as_if_it_were_new() {
    let world = World::new(Durability::None);
    let mut client = world.client();
    let send = |client: &mut crate::world::Client, id: &str, command: &str| -> String {
        client.run(&["XADD", STREAM, id, "command", command])
    };
    let charge = r#"{"op":"charge","owner":"ann","currency":"KRW","amount":5}"#;
    let day_ms = 24 * 60 * 60 * 1_000;
    let now_ms = u64::try_from(
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis(),
    )
    .unwrap();
    let ids = [
        send(&mut client, "1-1", charge),
        // What makes a document is known by its id, however old it is; here it is refused for what it names.
        send(&mut client, "1-2", &hold("H1", "mug", 1)),
        send(&mut client, "1-3", r#"{"op":"charge","owner":"ann","currency":"KRW","amount":5,"key":"own"}"#),
        send(&mut client, &format!("{}-0", now_ms - 7 * day_ms - 60_000), charge),
        send(&mut client, &format!("{}-0", now_ms - 7 * day_ms + 600_000), charge),
    ];
    let running = world.intake();
    let told: Vec<_> = ids.iter().map(|id| client.told(id)).collect();
    let old = "409 request_key_expired";
    assert_eq!(told, [old, "404 site_not_found", "done", old, "done"]);
    let letters = client.entries("orders:dead");
    let dead: Vec<_> = letters.iter().map(|(_, fields)| fields[0].1.clone()).collect();
    assert_eq!(dead, [ids[0].clone(), ids[3].clone()]);
    world.end(running);
}

#[test]
fn refusals_are_replies_and_no_dead_letters() {
    let world = World::new(Durability::None);
    let mut client = world.client();
    let running = world.intake();
    world.stock(&mut client, &["mug"], 10);
    for (command, expected) in [
        (hold("H1", "mug", 11), "409 insufficient_stock"),
        (hold("H1", "cup", 1), "404 sku_not_found"),
        (hold("H 1", "mug", 1), "422 invalid_value"),
        (hold("H1", "mug", 0), "422 invalid_value"),
        (r#"{"op":"release_hold","hold":"H9"}"#.to_owned(), "404 hold_not_found"),
        (r#"{"op":"release_hold","hold":"H9","key":"a key"}"#.to_owned(), "422 invalid_value"),
    ] {
        let id = client.send(&command);
        assert_eq!(client.told(&id), expected, "{command}");
    }
    assert!(client.entries("orders:dead").is_empty());
    world.end(running);
}
