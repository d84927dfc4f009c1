//! Crashes between any two steps: of the intake, of another consumer, of Redis.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, atomic::Ordering},
    thread,
    time::Duration,
};

use jaego_queue::{IntakeOptions, Server, StreamName, limits::READ_MESSAGES};
use jaego_testkit::{Direction, Durability, Fault, FaultProxy, wait_until};

use crate::world::{PATIENCE, STREAM, World, hold};

/// Reads as a consumer of the group that never answers.
fn read_as(client: &mut crate::world::Client, consumer: &str) {
    let read: redis::Value =
        client.run(&["XREADGROUP", "GROUP", "jaego", consumer, "COUNT", "100", "STREAMS", STREAM, ">"]);
    assert_ne!(read, redis::Value::Nil);
}

#[test]
fn what_was_read_and_not_answered_comes_first() {
    let world = World::new(Durability::None);
    let mut client = world.client();
    let running = world.intake();
    world.stock(&mut client, &["mug"], 100);
    world.end(running);
    let ids: Vec<_> = (0..3).map(|number| client.send(&hold(&format!("H{number}"), "mug", 1))).collect();
    read_as(&mut client, "jaego");
    let later = client.send(&hold("H3", "mug", 1));
    // One of them is deleted meanwhile: there is nothing left to answer.
    let _: u64 = client.run(&["XDEL", STREAM, &ids[1]]);
    let running = world.intake();
    assert_eq!(client.told(&later), "done");
    assert_eq!(world.store.documents("held"), ["H0", "H2", "H3"]);
    assert_eq!(client.told(&ids[0]), "done");
    assert_eq!(client.pending(), 0);
    assert!(!client.replies().contains_key(&ids[1]));
    assert_eq!(world.metric("jaego_intake_vanished_total"), 1);
    world.end(running);
}

#[test]
fn what_a_dead_consumer_left_is_taken_over() {
    let world = World::new(Durability::None);
    let mut client = world.client();
    let running = world.intake();
    world.stock(&mut client, &["mug"], 100);
    world.end(running);
    let id = client.send(&hold("H1", "mug", 1));
    read_as(&mut client, "gone");
    // Somebody who may still be at work is left alone …
    let options = || IntakeOptions { consumer: StreamName::new("next").unwrap(), ..world.options() };
    let running = world.intake_with(options());
    let other = client.send(&hold("H2", "mug", 1));
    assert_eq!(client.told(&other), "done");
    assert!(!client.replies().contains_key(&id));
    world.end(running);
    // … until it was idle for long enough.
    let running = world.intake_with(IntakeOptions { claim_idle: Duration::from_millis(1), ..options() });
    assert_eq!(client.told(&id), "done");
    assert_eq!(world.metric("jaego_intake_claimed_total"), 1);
    assert_eq!(client.pending(), 0);
    world.end(running);
}

#[test]
fn what_was_decided_and_not_answered_is_answered_once_as_a_repeat() {
    let world = World::new(Durability::None);
    let mut client = world.client();
    let running = world.intake();
    world.stock(&mut client, &["mug"], 100);
    world.end(running);
    // No reply can be added to this: the command is decided, and the message stays unanswered.
    let _: u64 = client.run(&["DEL", "orders:replies"]);
    let _: () = client.run(&["SET", "orders:replies", "in the way"]);
    let ids = [
        client.send(&hold("H1", "mug", 1)),
        client.send(r#"{"op":"charge","owner":"ann","currency":"KRW","amount":5}"#),
    ];
    let running = world.intake();
    world.wait_for(r#"jaego_commands_total{command="hold",outcome="repeat"}"#, 2);
    assert_eq!(client.pending(), 2);
    let _: u64 = client.run(&["DEL", "orders:replies"]);
    assert_eq!([client.told(&ids[0]), client.told(&ids[1])], ["repeat", "repeat"]);
    assert_eq!(client.reply(&ids[1]).said["balance"], 5);
    assert_eq!((client.pending(), world.store.open_holds()), (0, 1));
    assert!(world.metric("jaego_intake_reconnects_total") >= 2);
    world.end(running);
}

#[test]
fn an_answer_whose_receipt_was_lost_is_not_given_twice() {
    let world = World::new(Durability::None);
    let mut client = world.client();
    let running = world.intake();
    world.stock(&mut client, &["mug"], 1_000_000);
    world.end(running);
    let proxy = FaultProxy::start(world.redis.addr()).unwrap();
    let through = Server::parse(&format!("redis://{}/", proxy.addr())).unwrap();
    let running = world.intake_with(IntakeOptions { server: through, ..world.options() });
    let mut sent = Vec::new();
    for round in 0..10 {
        for number in 0..200 {
            sent.push(client.send(&hold(&format!("H{round}-{number}"), "mug", 1)));
        }
        // Redis does what it is asked, and somewhere in its answers the connection breaks.
        proxy.set(Direction::ToClient, Fault::CutAfter(fastrand::u64(0..20_000)));
        for number in 0..100 {
            sent.push(client.send(&hold(&format!("H{round}-late-{number}"), "mug", 1)));
        }
    }
    client.reply(sent.last().unwrap());
    wait_until("answers to all", PATIENCE, || (client.pending() == 0).then_some(())).unwrap();
    let replies = client.replies();
    for id in &sent {
        assert_eq!(replies[id].len(), 1, "{:?}", replies[id]);
        assert!(replies[id][0].is_done);
    }
    assert_eq!(world.store.open_holds(), sent.len() as u64);
    assert!(world.metric("jaego_intake_reconnects_total") >= 1);
    world.end(running);
}

#[test]
fn redis_may_be_killed_in_the_middle() {
    const ROUNDS: usize = 4;
    const MESSAGES: usize = 3_000;
    /// What is in the hands of the intake at the most: it may have been answered without the intake being told.
    const IN_HAND: u64 = READ_MESSAGES as u64;
    let mut world = World::new(Durability::Always);
    let mut client = world.client();
    let running = world.intake();
    world.stock(&mut client, &["mug"], 1_000_000);
    let mut sent = BTreeSet::new();
    let mut in_the_middle = 0;
    for round in 0..ROUNDS {
        let before = world.answered();
        let holds = (0..MESSAGES).map(|number| hold(&format!("H{round}-{number}"), "mug", 1));
        sent.extend(client.send_all(holds));
        while world.answered() == before {
            thread::sleep(Duration::from_micros(200));
        }
        world.redis.kill_9().unwrap();
        let answered = world.answered() - before;
        println!("round {round}: {answered} of {MESSAGES} were answered when Redis was killed");
        in_the_middle += usize::from(answered + IN_HAND < MESSAGES as u64);
        world.redis.restart().unwrap();
        client = world.client();
        let all = sent.len() + 5;
        let replies = || (client.run::<usize>(&["XLEN", "orders:replies"]) == all).then_some(());
        wait_until("all replies", PATIENCE, replies).unwrap();
    }
    assert!(in_the_middle >= ROUNDS / 2, "Redis was killed in the middle {in_the_middle} times of {ROUNDS}");
    let replies = client.replies();
    assert_eq!(replies.len(), sent.len() + 5);
    for id in &sent {
        assert_eq!(replies[id].len(), 1, "{id} was answered more than once");
        assert!(replies[id][0].is_done, "{:?}", replies[id]);
    }
    assert_eq!(world.store.open_holds(), sent.len() as u64);
    assert_eq!(world.store.documents("held").len(), sent.len());
    assert!(world.metric("jaego_intake_reconnects_total") >= ROUNDS as u64);
    world.end(running);
}

#[test]
fn a_group_that_is_destroyed_is_made_anew() {
    const ROUNDS: usize = 8;
    const MESSAGES: usize = 1_000;
    let world = World::new(Durability::None);
    let mut client = world.client();
    let running = world.intake();
    world.stock(&mut client, &["mug"], 1_000_000);
    let mut sent = Vec::new();
    let mut in_the_middle = 0;
    for round in 0..ROUNDS {
        let before = world.answered();
        sent.extend(
            client.send_all((0..MESSAGES).map(|number| hold(&format!("H{round}-{number}"), "mug", 1))),
        );
        wait_until("first answers", PATIENCE, || (world.answered() > before).then_some(())).unwrap();
        let _: u64 = client.run(&["XGROUP", "DESTROY", STREAM, "jaego"]);
        in_the_middle += usize::from(client.run::<u64>(&["XLEN", STREAM]) > 0);
    }
    assert!(in_the_middle > 0, "the group was destroyed when all was answered");
    let all = sent.len() + 5;
    let replies = || (client.run::<usize>(&["XLEN", "orders:replies"]) >= all).then_some(());
    wait_until("all replies", PATIENCE, replies).unwrap();
    let replies = client.replies();
    for id in &sent {
        assert_eq!(replies[id].len(), 1, "{id} was answered more than once");
        assert!(replies[id][0].is_done, "{:?}", replies[id]);
    }
    assert_eq!(world.store.open_holds(), sent.len() as u64);
    assert!(world.metric("jaego_intake_reconnects_total") >= 1);
    world.end(running);
}

#[test]
fn of_a_stream_that_is_deleted_only_the_replies_are_missing() {
    let world = World::new(Durability::None);
    let mut client = world.client();
    let running = world.intake();
    world.stock(&mut client, &["mug"], 100);
    // It is read, and waits for the store.
    world.store.busy.store(usize::MAX, Ordering::SeqCst);
    let gone = client.send(&hold("H1", "mug", 1));
    world.wait_for("jaego_intake_retries_total", 1);
    let _: u64 = client.run(&["DEL", STREAM]);
    world.store.busy.store(0, Ordering::SeqCst);
    // Its effect is there, its reply is not: nobody can tell any more whether it was given.
    wait_until("the hold", PATIENCE, || (world.store.open_holds() == 1).then_some(())).unwrap();
    world.wait_for("jaego_intake_reconnects_total", 1);
    let id = client.send(&hold("H2", "mug", 1));
    assert_eq!(client.told(&id), "done");
    assert!(!client.replies().contains_key(&gone));
    // Who sends it again is told.
    let id = client.send(&hold("H1", "mug", 1));
    assert_eq!(client.told(&id), "repeat");
    assert_eq!(world.store.open_holds(), 2);
    world.end(running);
}

#[test]
fn only_what_is_delivered_for_the_first_time_is_said_to_be() {
    let mut world = World::new(Durability::None);
    Arc::get_mut(&mut world.store).unwrap().noted = Some(Mutex::default());
    let mut client = world.client();
    let charge = |owner: &str, key: &str| {
        format!(r#"{{"op":"charge","owner":"{owner}","currency":"KRW","amount":5{key}}}"#)
    };
    let running = world.intake();
    let ids = [client.send(&charge("first", "")), client.send(&charge("keyed", r#","key":"mine""#))];
    assert_eq!(ids.map(|id| client.told(&id)), ["done", "done"]);
    world.end(running);
    // Delivered to this consumer before, and to another one.
    let ids = [client.send(&charge("again", "")), client.send(&charge("taken", ""))];
    for consumer in ["jaego", "gone"] {
        let words = ["XREADGROUP", "GROUP", "jaego", consumer, "COUNT", "1", "STREAMS", STREAM, ">"];
        assert_ne!(client.run::<redis::Value>(&words), redis::Value::Nil);
    }
    let options = || IntakeOptions { claim_idle: Duration::from_millis(1), ..world.options() };
    let running = world.intake_with(options());
    assert_eq!(ids.map(|id| client.told(&id)), ["done", "done"]);
    world.end(running);
    // A group that is made anew gets what is kept once more.
    let running = world.intake_with(IntakeOptions { keep: true, ..options() });
    let id = client.send(&charge("kept", ""));
    assert_eq!(client.told(&id), "done");
    world.end(running);
    let noted = world.store.noted.as_ref().unwrap().lock().unwrap().clone();
    let first = |owner: &str| {
        let of_owner: Vec<_> =
            noted.iter().filter(|text| text.contains(&format!("owner: {owner},"))).collect();
        assert!(!of_owner.is_empty(), "{owner} in {noted:?}");
        of_owner.iter().all(|text| text.contains("is_first: true"))
    };
    assert_eq!(["first", "keyed", "again", "taken", "kept"].map(first), [true, false, false, false, false]);
}

#[test]
fn what_a_broken_read_did_not_bring_comes_for_the_first_time() {
    let mut world = World::new(Durability::None);
    Arc::get_mut(&mut world.store).unwrap().noted = Some(Mutex::default());
    let mut client = world.client();
    let charge = |owner: &str| {
        // Between tokens, JSON may have any number of spaces.
        let spaces = " ".repeat(2_000);
        format!(r#"{{"op":"charge","owner":"{owner}",{spaces}"currency":"KRW","amount":5}}"#)
    };
    let proxy = FaultProxy::start(world.redis.addr()).unwrap();
    let through = Server::parse(&format!("redis://{}/", proxy.addr())).unwrap();
    // The intake waits for its store while the others come.
    world.store.busy.store(usize::MAX, Ordering::SeqCst);
    let running = world.intake_with(IntakeOptions { server: through, ..world.options() });
    let waiting = client.send(&charge("waiting"));
    world.wait_for("jaego_intake_retries_total", 1);
    let ids: Vec<_> = (0..40).map(|number| client.send(&charge(&format!("owner-{number}")))).collect();
    // The read of the others breaks in its middle, and then no reply can be given to the first of them for a while.
    proxy.set(Direction::ToClient, Fault::CutAfter(5_000));
    proxy.set_accepting(false);
    world.store.busy.store(0, Ordering::SeqCst);
    assert_eq!(client.told(&waiting), "done");
    let is_cut = || (proxy.fault(Direction::ToClient) == Fault::Pass).then_some(());
    wait_until("the read is cut", PATIENCE, is_cut).unwrap();
    let _: u64 = client.run(&["DEL", "orders:replies"]);
    let _: () = client.run(&["SET", "orders:replies", "in the way"]);
    proxy.set_accepting(true);
    world.wait_for(r#"jaego_commands_total{command="charge",outcome="repeat"}"#, 1);
    let _: u64 = client.run(&["DEL", "orders:replies"]);
    let told: Vec<String> = ids.iter().map(|id| client.told(id)).collect();
    world.end(running);
    assert!(told.iter().all(|told| ["done", "repeat"].contains(&told.as_str())), "{told:?}");
    // The first time that the store was asked is said to be the first, and no other one.
    let noted = world.store.noted.as_ref().unwrap().lock().unwrap().clone();
    let mut asked_twice = 0;
    for number in 0..40 {
        let of_owner = |text: &&String| text.contains(&format!("owner: owner-{number},"));
        let first: Vec<bool> =
            noted.iter().filter(of_owner).map(|text| text.contains("is_first: true")).collect();
        asked_twice += usize::from(first.len() > 1);
        let (one, more) = first.split_first().unwrap();
        assert!(*one && more.iter().all(|first| !first), "owner-{number}: {first:?}");
    }
    assert!(asked_twice > 0, "the first of them were decided, and not answered");
}

#[test]
fn a_redis_that_lost_everything_is_begun_anew() {
    let mut world = World::new(Durability::None);
    let mut client = world.client();
    let running = world.intake();
    world.stock(&mut client, &["mug"], 100);
    world.redis.restart_empty().unwrap();
    let mut client = world.client();
    let id = client.send(&hold("H1", "mug", 1));
    assert_eq!(client.told(&id), "done");
    // What is sent again by somebody who got no reply took effect once.
    let id = client.send(&hold("H1", "mug", 1));
    assert_eq!(client.told(&id), "repeat");
    world.end(running);
}
