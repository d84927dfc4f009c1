//! A message that ends the service each time that it is decided: it is counted out, and it alone.
//!
//! The service is a process of its own here, so that it can really end: this test's binary once more, with an intake on a
//! store that aborts the process at one SKU.

use std::{
    env,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, atomic::Ordering},
};

use jaego_queue::{Intake, IntakeOptions, Server, StreamName, limits};
use jaego_server::{Metrics, Role, Tokens, tokens::TokenGrant};
use jaego_testkit::{Durability, wait_until};
use serde_json::Value;
use tokio::sync::watch;

use crate::world::{Client, PATIENCE, STREAM, Shop, World, hold};

/// The variables that the service is told with where Redis is, and where its tokens may lie.
const REDIS: &str = "JAEGO_TEST_REDIS";
const FOLDER: &str = "JAEGO_TEST_FOLDER";
/// The SKU that ends it.
const DEADLY: &str = "NITROGLYCERIN";

#[test]
#[ignore = "a process that the other tests start, which runs until it is ended"]
fn service() {
    // Whoever runs all ignored tests starts no service.
    let (Ok(redis), Ok(folder)) = (env::var(REDIS), env::var(FOLDER)) else { return };
    let tokens = Tokens::open(Path::new(&folder).join("tokens.json")).unwrap();
    let grant = TokenGrant { name: "shop".to_owned(), role: Role::Admin, sites: None, rate: None };
    let (admin, _) = tokens.create(grant).unwrap();
    let stream = StreamName::new(STREAM).unwrap();
    let options = IntakeOptions::new(Server::parse(&redis).unwrap(), stream, admin).unwrap();
    let store = Arc::new(Shop::deadly(DEADLY));
    let (_stop, stopping) = watch::channel(false);
    let intake = Intake::new(options, store, Arc::new(tokens), &Metrics::new(), stopping);
    tokio::runtime::Runtime::new().unwrap().block_on(intake.run());
}

/// A service that is killed when it is dropped.
struct Service(Child);

impl Service {
    fn start(world: &World) -> Self {
        let folder = world.redis.folder().join(format!("tokens-{}", fastrand::u64(..)));
        std::fs::create_dir(&folder).unwrap();
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--ignored", "--exact", "poison::service"]).env(REDIS, world.redis.url());
        command.env(FOLDER, folder).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }

    fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn sku(name: &str) -> String {
    format!(r#"{{"op":"set_sku","sku":"{name}"}}"#)
}

/// How often the group has delivered a message that is pending.
fn deliveries(client: &mut Client, message: &str) -> Option<u64> {
    let entries: Vec<(String, String, u64, u64)> =
        client.run(&["XPENDING", STREAM, "jaego", message, message, "1"]);
    entries.first().map(|(.., deliveries)| *deliveries)
}

#[test]
fn it_goes_to_the_dead_letters_and_holds_up_nobody_else() {
    let world = World::new(Durability::None);
    let mut client = world.client();
    let mut send = |from: usize, to: usize| -> Vec<String> {
        (from..to).map(|number| client.send(&sku(&format!("S{number}")))).collect()
    };
    let mut good = send(0, 20);
    let deadly = world.client().send(&sku(DEADLY));
    good.extend(send(20, 40));
    let mut ended = 0;
    loop {
        let mut service = Service::start(&world);
        let has_ended = wait_until("an end, or an answer to all", PATIENCE, || {
            let is_done = client.run::<u64>(&["XLEN", STREAM]) == 0;
            (service.has_ended() || is_done).then_some(!is_done)
        });
        if !has_ended.unwrap() {
            break;
        }
        ended += 1;
        assert!(ended <= limits::DELIVERIES_MAX, "it was tried {ended} times");
    }
    assert_eq!(ended, limits::DELIVERIES_MAX);
    for id in &good {
        assert_eq!(client.told(id), "done");
    }
    assert_eq!(client.told(&deadly), "500 delivered_too_often");
    let letters = client.entries("orders:dead");
    assert_eq!(letters.len(), 1, "{letters:?}");
    let fields = &letters[0].1;
    assert_eq!(fields[0].1, deadly);
    let problem: Value = serde_json::from_str(&fields[1].1).unwrap();
    assert_eq!((&problem["code"], &problem["deliveries"]), (&"delivered_too_often".into(), &5.into()));
    assert_eq!(fields[2], ("original:command".to_owned(), sku(DEADLY)));
}

#[test]
fn a_process_that_lives_on_takes_its_deliveries_back() {
    let world = World::new(Durability::None);
    let mut client = world.client();
    let running = world.intake();
    world.stock(&mut client, &["mug"], 100);
    world.end(running);
    // It was delivered twice, by whomever: from here on it is tried alone.
    let id = client.send(&hold("H1", "mug", 1));
    let _: redis::Value =
        client.run(&["XREADGROUP", "GROUP", "jaego", "jaego", "COUNT", "1", "STREAMS", STREAM, ">"]);
    let _: redis::Value = client.run(&["XCLAIM", STREAM, "jaego", "jaego", "0", &id, "RETRYCOUNT", "4"]);

    // A store that has too much to do, over more starts than a culprit is given …
    world.store.busy.store(usize::MAX, Ordering::SeqCst);
    for round in 1..=2 * limits::DELIVERIES_MAX {
        let running = world.intake();
        world.wait_for("jaego_intake_retries_total", round);
        world.end(running);
        assert_eq!(deliveries(&mut client, &id), Some(limits::DELIVERIES_TOGETHER_MAX));
    }
    world.store.busy.store(0, Ordering::SeqCst);
    // … and replies that cannot be written, over more connections than that.
    let _: u64 = client.run(&["DEL", "orders:replies"]);
    let _: () = client.run(&["SET", "orders:replies", "in the way"]);
    let running = world.intake();
    world.wait_for("jaego_intake_reconnects_total", 2 * limits::DELIVERIES_MAX);
    assert!(deliveries(&mut client, &id).unwrap() <= limits::DELIVERIES_TOGETHER_MAX + 1);
    let _: u64 = client.run(&["DEL", "orders:replies"]);
    assert_eq!(client.told(&id), "repeat");
    world.end(running);
    assert!(client.entries("orders:dead").is_empty());
    assert_eq!(world.metric("jaego_intake_delivered_too_often_total"), 0);
}
