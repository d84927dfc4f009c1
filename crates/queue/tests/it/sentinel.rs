//! A master that is lost and a replica that sentinels promote: what was decided took effect once, and what the replica
//! has not seen is the sender's to send again.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use jaego_domain::{Amount, Code, Command, Currency, Name, Request, command::Payment};
use jaego_queue::{IntakeOptions, OutboxOptions, Server, StreamName, limits};
use jaego_store::{Batch, Store};
use jaego_testkit::{Durability, Fault, FaultProxy, Redis, RedisOptions, RedisSentinel, wait_until};

use crate::world::{Client, EVENTS, PATIENCE, STREAM, World, hold};

const MASTER: &str = "stock";
/// Between two events that are always there to be published: far less than the pause of an outbox that has none.
const EVENT_PAUSE: Duration = Duration::from_millis(100);

fn replica_of(addr: SocketAddr) -> Redis {
    let settings = vec![("replicaof".to_owned(), format!("{} {}", addr.ip(), addr.port()))];
    Redis::start(&RedisOptions { settings, ..RedisOptions::default() }).unwrap()
}

fn client_of(redis: &Redis) -> Client {
    Client(redis::Client::open(redis.url()).unwrap().get_connection().unwrap())
}

/// A fact of `INFO replication`.
fn fact(client: &mut Client, name: &str) -> String {
    let info: String = client.run(&["INFO", "replication"]);
    let fact = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    fact.unwrap_or_else(|| panic!("no {name} in {info}")).trim().to_owned()
}

/// A command of which every one that is given is an event of its own.
fn charge() -> Request {
    let payment = Payment {
        owner: Code::new("owner", "ann").unwrap(),
        currency: Currency::new("currency", "KRW").unwrap(),
        amount: Amount::new("amount", 1).unwrap(),
        reason: Name::default(),
        reference: None,
    };
    Request::new(Command::Charge(payment), None, Code::new("by", "shop").unwrap()).unwrap()
}

fn until_in_step(replica: &Redis) {
    let mut client = client_of(replica);
    let in_step = || (fact(&mut client, "master_link_status") == "up").then_some(());
    wait_until("a replica in step", PATIENCE, in_step).unwrap();
}

/// Waits until a replica is the master. It ends the connections of those who knew it before.
fn until_promoted(replica: &Redis) -> Client {
    let promoted = || {
        let mut client = Client(redis::Client::open(replica.url()).unwrap().get_connection().ok()?);
        let info: String = redis::cmd("INFO").arg("replication").query(&mut client.0).ok()?;
        info.contains("role:master").then_some(client)
    };
    wait_until("a new master", PATIENCE, promoted).unwrap()
}

/// Waits until sentinels have met the replica and each other: before, they promote nothing.
fn until_watched(sentinels: &[RedisSentinel]) {
    for sentinel in sentinels {
        let url = format!("redis://{}/", sentinel.addr());
        let mut client = Client(redis::Client::open(url).unwrap().get_connection().unwrap());
        let met = || {
            let facts: BTreeMap<String, String> = client.run(&["SENTINEL", "MASTER", MASTER]);
            let is_met = facts["num-slaves"] == "1"
                && facts["num-other-sentinels"] == (sentinels.len() - 1).to_string();
            is_met.then_some(())
        };
        wait_until("sentinels that have met everybody", PATIENCE, met).unwrap();
    }
}

/// The address of a master that these sentinels know; the first of them is nobody.
fn by_sentinels(sentinels: &[RedisSentinel]) -> Server {
    let hosts: Vec<_> = sentinels.iter().map(|sentinel| sentinel.addr().to_string()).collect();
    let server =
        Server::parse(&format!("redis+sentinel://127.0.0.1:1,{}/{MASTER}", hosts.join(","))).unwrap();
    assert!(server.to_string().ends_with("/stock/0"), "{server}");
    server
}

/// Commands and events go on over a failover, with senders in the middle of it.
#[test]
fn the_queues_follow_to_the_promoted_replica() {
    const ROUNDS: usize = 300;
    let mut world = World::new(Durability::None);
    let replica = replica_of(world.redis.addr());
    until_in_step(&replica);
    let sentinels: Vec<_> =
        (0..3).map(|_| RedisSentinel::start(world.redis.addr(), MASTER).unwrap()).collect();
    until_watched(&sentinels);
    let server = by_sentinels(&sentinels);
    let intake = world.intake_with(IntakeOptions { server: server.clone(), ..world.options() });
    let outbox = world.outbox_with(OutboxOptions::new(server, StreamName::new(EVENTS).unwrap()));
    let mut client = world.client();
    world.stock(&mut client, &["mug"], 1_000_000);

    // The sender knows its messages by the ids of their commands: ids of messages may be lost with the master.
    for number in 0..ROUNDS {
        client.send(&hold(&format!("H{number}"), "mug", 1));
    }
    world.redis.kill_9().unwrap();
    let mut client = until_promoted(&replica);

    // What the replica had not seen is never delivered; whoever got no reply sends it again, and nothing is held twice.
    let again: Vec<_> =
        (0..ROUNDS).map(|number| client.send(&hold(&format!("H{number}"), "mug", 1))).collect();
    for id in &again {
        let told = client.told(id);
        assert!(["done", "repeat"].contains(&told.as_str()), "{told}");
    }
    assert_eq!(world.store.open_holds(), ROUNDS as u64);
    assert_eq!(world.store.documents("held").len(), ROUNDS, "each took effect once");
    wait_until("nothing pending", PATIENCE, || (client.pending() == 0).then_some(())).unwrap();
    assert!(world.metric("jaego_intake_reconnects_total") >= 1);

    // The stream of events has no gap, whatever of it the replica lacked.
    let durable = Store::status(&*world.store).durable.0;
    wait_until("all events", PATIENCE, || (client.entries(EVENTS).len() as u64 == durable).then_some(()))
        .unwrap();
    let ids: Vec<_> = client.entries(EVENTS).into_iter().map(|(id, _)| id).collect();
    let expected: Vec<_> = (1..=durable).map(|sequence| format!("{sequence}-0")).collect();
    assert_eq!(ids, expected);
    world.end(intake);
    world.end(outbox);
}

/// The replica lags: it has the messages, and not that they were answered.
#[test]
fn what_was_answered_at_a_master_that_is_lost_is_answered_again_as_a_repeat() {
    let mut world = World::new(Durability::None);
    let proxy = FaultProxy::start(world.redis.addr()).unwrap();
    let replica = replica_of(proxy.addr());
    until_in_step(&replica);
    let running = world.intake();
    let mut client = world.client();
    world.stock(&mut client, &["mug"], 100);
    world.end(running);
    let ids = [
        client.send(&hold("H1", "mug", 1)),
        client.send(r#"{"op":"charge","owner":"ann","currency":"KRW","amount":5}"#),
    ];
    let mut behind = client_of(&replica);
    wait_until("messages at the replica", PATIENCE, || {
        (behind.entries(STREAM).len() == client.entries(STREAM).len()).then_some(())
    })
    .unwrap();
    // From here on the replica hears nothing.
    proxy.set_both(Fault::Blackhole);
    let running = world.intake();
    assert_eq!([client.told(&ids[0]), client.told(&ids[1])], ["done", "done"]);
    let lost = client.send(&hold("H2", "mug", 1));
    assert_eq!(client.told(&lost), "done");
    world.end(running);
    world.redis.kill_9().unwrap();
    let _: () = behind.run(&["REPLICAOF", "NO", "ONE"]);
    let sentinel = RedisSentinel::start(replica.addr(), MASTER).unwrap();
    let server = by_sentinels(std::slice::from_ref(&sentinel));
    let running = world.intake_with(IntakeOptions { server, ..world.options() });
    // Both are delivered again and told that they were done before; what never reached the replica is never delivered.
    assert_eq!([behind.told(&ids[0]), behind.told(&ids[1])], ["repeat", "repeat"]);
    assert_eq!(behind.reply(&ids[1]).said["balance"], 5);
    assert!(!behind.replies().contains_key(&lost));
    assert_eq!(world.store.documents("held"), ["H1", "H2"]);
    // Its sender asks again, and is told so as well.
    let again = behind.send(&hold("H2", "mug", 1));
    assert_eq!(behind.told(&again), "repeat");
    world.end(running);
}

/// The first sentinel has not heard of the failover: the master that it names lives on, and so it has no reason to doubt.
/// Two more are stopped: they accept connections and answer nothing.
#[test]
fn the_sentinel_that_has_seen_the_last_failover_is_believed() {
    const TRIES: usize = 3;
    let world = World::new(Durability::None);
    let new = Redis::start(&RedisOptions::default()).unwrap();
    let mut sentinels =
        [(0, world.redis.addr()), (2, world.redis.addr()), (2, world.redis.addr()), (1, new.addr())]
            .map(|(epoch, master)| RedisSentinel::start_at(master, MASTER, epoch).unwrap());
    for silent in &mut sentinels[1..3] {
        silent.stop().unwrap();
    }
    let options = IntakeOptions { server: by_sentinels(&sentinels), ..world.options() };
    let mut client = client_of(&new);
    let running = world.intake_with(options.clone());
    world.stock(&mut client, &["mug"], 100);
    world.end(running);
    // Nobody waits out the time of those that are silent once another has answered.
    let connect = |number: usize| {
        let id = client.send(&hold(&format!("H{number}"), "mug", 1));
        let begun = Instant::now();
        let running = world.intake_with(options.clone());
        assert_eq!(client.told(&id), "done");
        let took = begun.elapsed();
        world.end(running);
        took
    };
    let took = (0..TRIES).map(connect).min().unwrap();
    println!("connected, with two silent sentinels, and answered after {took:?}");
    assert!(took < limits::SENTINEL_WAIT, "{took:?}");

    // Those that were silent have seen a later failover, and tell it when they are asked again.
    for silent in &mut sentinels[1..3] {
        silent.cont().unwrap();
    }
    let mut client = world.client();
    let id = client.send(&hold("last", "mug", 1));
    let running = world.intake_with(options);
    assert_eq!(client.told(&id), "done");
    world.end(running);
}

/// The old master is well, and answers; but the sentinels have named another one. All of them want a login, and the user
/// of the sentinels may do nothing but ask. There always is an event to publish.
#[test]
fn a_master_that_the_sentinels_have_replaced_is_left() {
    let world = World::new(Durability::None);
    let other = Redis::start(&RedisOptions::default()).unwrap();
    let watching = RedisSentinel::start(world.redis.addr(), MASTER).unwrap();
    let url = format!("redis://{}/", watching.addr());
    let mut sentinel = Client(redis::Client::open(url).unwrap().get_connection().unwrap());
    let login = |client: &mut Client, user: &str, password: &str| {
        let _: () = client.run(&["ACL", "SETUSER", user, "on", &format!(">{password}"), "~*", "&*", "+@all"]);
    };
    for redis in [&world.redis, &other] {
        login(&mut client_of(redis), "shop", "goods");
    }
    let asks = ["+sentinel|master", "+sentinel|get-master-addr-by-name"];
    let _: () = sentinel.run(&["ACL", "SETUSER", "ops", "on", ">watch", asks[0], asks[1]]);
    let _: () = sentinel.run(&["ACL", "SETUSER", "default", "off"]);
    let url = format!(
        "redis+sentinel://shop:goods@{}/{MASTER}?sentinel_user=ops&sentinel_password=watch",
        watching.addr()
    );
    let server = Server::parse(&url).unwrap();
    let intake = world.intake_with(IntakeOptions { server: server.clone(), ..world.options() });
    let outbox = world.outbox_with(OutboxOptions::new(server, StreamName::new(EVENTS).unwrap()));
    let mut client = world.client();
    world.stock(&mut client, &["mug"], 100);
    let clients: String = client.run(&["CLIENT", "LIST"]);
    assert!(clients.contains("user=shop"), "{clients}");
    let denied: redis::Value = sentinel.run(&["ACL", "LOG"]);
    assert_eq!(denied, redis::Value::Array(Vec::new()), "a sentinel was asked for something else");
    let (ending, ended) = mpsc::channel::<()>();
    let shop = world.store.clone();
    let events = thread::spawn(move || {
        while ended.recv_timeout(EVENT_PAUSE) == Err(RecvTimeoutError::Timeout) {
            shop.submit(Batch { requests: vec![charge()], atomic: false }).wait().unwrap();
        }
    });
    let (ip, port) = (other.addr().ip().to_string(), other.addr().port().to_string());
    // While they know no master at all, the connection that there is stays.
    let _: () = sentinel.run(&["SENTINEL", "REMOVE", MASTER]);
    let _: () = sentinel.run(&["SENTINEL", "MONITOR", MASTER, &ip, &port, "1"]);
    let mut client = client_of(&other);
    let id = client.send(&hold("H1", "mug", 1));
    assert_eq!(client.told(&id), "done");
    wait_until("all events", PATIENCE, || (client.entries(EVENTS).len() >= 6).then_some(())).unwrap();
    drop(ending);
    events.join().unwrap();
    world.end(intake);
    world.end(outbox);
}

#[test]
fn an_address_of_sentinels_is_read_and_shown_without_passwords() {
    let server = |text: &str| Server::parse(text).map(|server| server.to_string());
    assert_eq!(
        server("redis+sentinel://ops:secret@a,b:26380,[::1]/mymaster/2?sentinel_password=secret").unwrap(),
        "redis+sentinel://a:26379,b:26380,[::1]:26379/mymaster/2"
    );
    assert_eq!(server("valkey+sentinel://a/m").unwrap(), "redis+sentinel://a:26379/m/0");
    let many = format!("redis+sentinel://{}/m", vec!["a"; 17].join(","));
    for text in [
        "redis+sentinel://secret@a,b",
        "redis+sentinel://secret@a,,b/m",
        "redis+sentinel://secret@/m",
        "redis+sentinel://secret@a/",
        "redis+sentinel://secret@a/m m",
        "redis+sentinel://secret@a:port/m",
        "redis+sentinel://secret@a/m/db",
        "redis+sentinel://secret@a/m?password=secret",
        "http+sentinel://secret@a/m",
        "unix+sentinel://secret@a/m",
        &many,
    ] {
        let error = Server::parse(text).unwrap_err();
        let told = format!("{error} {error:?}");
        assert!(told.contains("not the address"), "{text}: {told}");
        assert!(!told.contains("secret"), "{told}");
    }
    assert!(Server::parse("rediss+sentinel://a/m#insecure").is_err());
}
