//! A Redis behind TLS: spoken with where its certificate fits, and with no word said where it does not.

use jaego_queue::{IntakeOptions, OutboxOptions, Server, StreamName};
use jaego_testkit::{
    Ca, CertificateFiles, Durability, Redis, RedisOptions, RedisSentinel, Validity, free_port, wait_until,
};
use jaego_tls::Trust;

use crate::world::{EVENTS, PATIENCE, STREAM, World, hold};

/// Puts a Redis that listens with a certificate in the place of the one without, and returns the port that has TLS.
fn behind_tls(world: &mut World, files: &CertificateFiles) -> u16 {
    let port = free_port().unwrap();
    let setting = |name: &str, value: String| (name.to_owned(), value);
    let settings = vec![
        setting("tls-port", port.to_string()),
        setting("tls-cert-file", files.certificate.display().to_string()),
        setting("tls-key-file", files.key.display().to_string()),
        setting("tls-auth-clients", "no".to_owned()),
        setting("requirepass", "secret".to_owned()),
    ];
    world.redis = Redis::start(&RedisOptions { durability: Durability::Always, settings }).unwrap();
    port
}

fn through(world: &World, url: &str, ca: &Ca) -> (IntakeOptions, OutboxOptions) {
    let server = Server::trusting(url, &Trust::with_ca(&ca.path())).unwrap();
    let intake = IntakeOptions::new(server.clone(), StreamName::new(STREAM).unwrap(), world.admin).unwrap();
    (intake, OutboxOptions::new(server, StreamName::new(EVENTS).unwrap()))
}

/// Somebody who sends commands past TLS: what is tested here is the other side.
fn client(world: &World) -> crate::world::Client {
    let url = format!("redis://:secret@{}/", world.redis.addr());
    crate::world::Client(redis::Client::open(url).unwrap().get_connection().unwrap())
}

#[test]
fn commands_and_events_pass_through_tls_over_a_crash() {
    let mut world = World::new(Durability::None);
    let ca = Ca::new().unwrap();
    let files = ca.issue("redis", &["127.0.0.1"], Validity::Now).unwrap();
    let port = behind_tls(&mut world, &files);
    let (intake, outbox) = through(&world, &format!("rediss://:secret@127.0.0.1:{port}/"), &ca);
    let intake = world.intake_with(intake);
    let outbox = world.outbox_with(outbox);
    let mut sender = client(&world);
    world.stock(&mut sender, &["mug"], 1_000);
    let ids: Vec<_> = (0..200).map(|number| sender.send(&hold(&format!("H{number}"), "mug", 1))).collect();
    world.redis.kill_9().unwrap();
    world.redis.restart().unwrap();
    let mut sender = client(&world);
    let last = sender.send(&hold("LAST", "mug", 1));
    assert_eq!(sender.told(&last), "done");
    for id in &ids {
        assert!(sender.reply(id).is_done);
    }
    let durable = jaego_store::Store::status(&*world.store).durable;
    let published = || (sender.entries(EVENTS).len() as u64 == durable.0).then_some(());
    wait_until("all events", PATIENCE, published).unwrap();
    assert!(world.metric("jaego_intake_reconnects_total") >= 1);
    world.end(intake);
    world.end(outbox);
}

#[test]
fn a_redis_whose_certificate_does_not_fit_gets_no_word() {
    let ours = Ca::new().unwrap();
    let others = Ca::new().unwrap();
    for (what, ca, name, validity) in [
        ("wrong CA", &others, "127.0.0.1", Validity::Now),
        ("wrong name", &ours, "redis.example", Validity::Now),
        ("expired", &ours, "127.0.0.1", Validity::Expired),
    ] {
        let files = ca.issue("redis", &[name], validity).unwrap();
        let mut world = World::new(Durability::None);
        let port = behind_tls(&mut world, &files);
        let (intake, outbox) = through(&world, &format!("rediss://:secret@127.0.0.1:{port}/"), &ours);
        let intake = world.intake_with(intake);
        let outbox = world.outbox_with(outbox);
        world.wait_for("jaego_intake_reconnects_total", 2);
        world.wait_for("jaego_outbox_reconnects_total", 2);
        assert_eq!(world.metric("jaego_intake_connected"), 0, "{what}");
        assert_eq!(world.metric("jaego_outbox_connected"), 0, "{what}");
        let keys: Vec<String> = client(&world).run(&["KEYS", "*"]);
        assert!(keys.is_empty(), "{what}: {keys:?}");
        world.end(intake);
        world.end(outbox);
    }
}

#[test]
fn a_redis_without_tls_is_not_spoken_with_in_the_clear() {
    let world = World::new(Durability::None);
    let ca = Ca::new().unwrap();
    let (intake, _) = through(&world, &format!("rediss://{}/", world.redis.addr()), &ca);
    let running = world.intake_with(intake);
    world.wait_for("jaego_intake_reconnects_total", 1);
    assert_eq!(world.metric("jaego_intake_connected"), 0);
    world.end(running);
    assert!(world.client().run::<Vec<String>>(&["KEYS", "*"]).is_empty());
}

/// The sentinel speaks TLS as well, to us and to the master.
#[test]
fn commands_and_events_pass_where_sentinels_speak_tls() {
    let mut world = World::new(Durability::None);
    let ca = Ca::new().unwrap();
    let others = Ca::new().unwrap();
    let files = ca.issue("redis", &["127.0.0.1"], Validity::Now).unwrap();
    let master = behind_tls(&mut world, &files);
    let port = free_port().unwrap();
    let settings = [
        ("tls-port", port.to_string()),
        ("tls-cert-file", files.certificate.display().to_string()),
        ("tls-key-file", files.key.display().to_string()),
        ("tls-ca-cert-file", ca.path().display().to_string()),
        ("tls-auth-clients", "no".to_owned()),
        ("tls-replication", "yes".to_owned()),
        ("sentinel auth-pass stock", "secret".to_owned()),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value));
    let _sentinel =
        RedisSentinel::start_with(([127, 0, 0, 1], master).into(), "stock", 0, &settings).unwrap();
    let url = format!("rediss+sentinel://:secret@127.0.0.1:{port}/stock");

    // Nobody that we trust has signed the certificate of the sentinel.
    let (intake, _) = through(&world, &url, &others);
    let intake = world.intake_with(intake);
    world.wait_for("jaego_intake_reconnects_total", 2);
    assert_eq!(world.metric("jaego_intake_connected"), 0);
    world.end(intake);

    let (intake, outbox) = through(&world, &url, &ca);
    let intake = world.intake_with(intake);
    let outbox = world.outbox_with(outbox);
    let mut sender = client(&world);
    world.stock(&mut sender, &["mug"], 10);
    let id = sender.send(&hold("H1", "mug", 1));
    assert_eq!(sender.told(&id), "done");
    let durable = jaego_store::Store::status(&*world.store).durable;
    let published = || (sender.entries(EVENTS).len() as u64 == durable.0).then_some(());
    wait_until("all events", PATIENCE, published).unwrap();
    world.end(intake);
    world.end(outbox);
}
