//! Commands that come through Redis while the service and Redis are killed, and events that leave through it.

use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
    time::Duration,
};

use jaego_testkit::{Durability, Redis, RedisOptions, wait_until};
use redis::{Connection, FromRedisValue, cmd, pipe};
use serde_json::{Value, json};

use crate::{
    jaego::{Jaego, ok, stock},
    seeds::seed,
};

const PATIENCE: Duration = Duration::from_secs(60);
const SKUS: usize = 20;
const OWNERS: usize = 10;
/// What one piece of everything costs.
const PRICE: u64 = 3;
/// What whoever checks out has at first.
const PURSE: u64 = 1_000_000;

/// A service with an intake and an outbox, and their Redis.
struct Shop {
    jaego: Jaego,
    redis: Redis,
    /// What was sent, by message.
    sent: BTreeMap<String, Command>,
    next: usize,
}

#[derive(Clone, Debug, PartialEq)]
enum Command {
    /// Its id.
    Hold(String),
    /// The owner of the wallet.
    Charge(String),
    /// The cart, which gives the order its id.
    Checkout(String),
    /// The next order, whichever that is.
    Claim,
}

fn connect(redis: &Redis) -> Connection {
    redis::Client::open(redis.url()).unwrap().get_connection().unwrap()
}

fn ask<T: FromRedisValue>(connection: &mut Connection, words: &[&str]) -> T {
    let mut command = cmd(words[0]);
    for word in &words[1..] {
        command.arg(word);
    }
    command.query(connection).unwrap()
}

impl Shop {
    fn start() -> Self {
        let durability = Durability::Always;
        let redis = Redis::start(&RedisOptions { durability, ..RedisOptions::default() }).unwrap();
        let url = redis.url();
        let jaego = Jaego::start_with(&[
            "--intake",
            &url,
            "--stream",
            "orders",
            "--intake-token",
            "admin",
            "--replies-max",
            "1000000",
            "--outbox",
            &url,
        ]);
        let skus: Vec<_> = (0..SKUS).map(|number| format!("sku-{number}")).collect();
        let mut http = jaego.connect();
        stock(&mut http, &skus, 1_000_000);
        let priced = skus.iter().map(|sku| json!({"op": "set_sku", "sku": sku, "prices": {"KRW": PRICE}}));
        let mut commands: Vec<_> = priced.collect();
        commands.push(json!({"op": "charge", "owner": "buyer", "currency": "KRW", "amount": PURSE}));
        ok(http.post("/v1/batch", &json!({"commands": commands})).unwrap());
        Self { jaego, redis, sent: BTreeMap::new(), next: 0 }
    }

    /// Sends commands, as many at a time as a busy shop would.
    fn send(&mut self, count: usize) {
        self.fill_carts(count);
        let mut connection = connect(&self.redis);
        for _ in 0..count / 100 {
            let mut commands = Vec::new();
            let mut add = pipe();
            for _ in 0..100 {
                let number = self.next;
                self.next += 1;
                // What makes a document has its own id; a charge and a claim have nothing but the message's. Each claim
                // comes behind a checkout, which makes an order to be claimed.
                let (command, text) = match number % 4 {
                    0 => {
                        let (id, sku) = (format!("H{number}"), format!("sku-{}", number % SKUS));
                        let lines = json!([{"site": "ICN", "sku": sku, "quantity": 1}]);
                        (Command::Hold(id.clone()), json!({"op": "hold", "id": id, "lines": lines}))
                    }
                    1 => {
                        let owner = format!("owner-{}", number % OWNERS);
                        let charge = json!({"op": "charge", "owner": owner, "currency": "KRW", "amount": 7});
                        (Command::Charge(owner), charge)
                    }
                    2 => {
                        let cart = format!("C{number}");
                        let checkout = json!({"op": "checkout", "cart": cart, "currency": "KRW"});
                        (Command::Checkout(cart), checkout)
                    }
                    _ => {
                        let claim =
                            json!({"op": "claim_orders", "site": "ICN", "worker": "ann", "lease_s": 86_400});
                        (Command::Claim, claim)
                    }
                };
                commands.push(command);
                add.cmd("XADD").arg("orders").arg("*").arg("command").arg(text.to_string());
            }
            let ids: Vec<String> = add.query(&mut connection).unwrap();
            self.sent.extend(ids.into_iter().zip(commands));
        }
    }

    /// Fills the carts of the checkouts that are sent next.
    fn fill_carts(&mut self, count: usize) {
        let carts = (self.next..self.next + count).filter(|number| number % 4 == 2);
        let commands: Vec<_> = carts
            .flat_map(|number| {
                let (cart, sku) = (format!("C{number}"), format!("sku-{}", number % SKUS));
                [
                    json!({"op": "set_cart", "cart": cart, "site": "ICN", "owner": "buyer"}),
                    json!({"op": "set_cart_item", "cart": cart, "sku": sku, "quantity": 1}),
                ]
            })
            .collect();
        ok(self.jaego.connect().post("/v1/batch", &json!({"commands": commands})).unwrap());
    }

    fn count(&self, is_such: impl Fn(&Command) -> bool) -> usize {
        self.sent.values().filter(|command| is_such(command)).count()
    }

    fn answered(&self) -> usize {
        ask(&mut connect(&self.redis), &["XLEN", "orders:replies"])
    }

    fn wait_for_answers(&self, count: usize) {
        let what = format!("{count} of {} replies", self.sent.len());
        wait_until(what, PATIENCE, || (self.answered() >= count).then_some(())).unwrap();
    }

    /// Messages whose replies the service knows to be there, since it was started.
    fn told(&self) -> usize {
        let metrics = self.jaego.connect().send("GET", "/metrics", None, "").unwrap();
        let metrics = String::from_utf8(metrics.body).unwrap();
        let replies = metrics.lines().filter_map(|line| line.strip_prefix("jaego_intake_replies_total{"));
        replies.map(|line| line.rsplit(' ').next().unwrap().parse::<usize>().unwrap()).sum()
    }

    /// The last event that the service has decided.
    fn decided(&self) -> u64 {
        ok(self.jaego.connect().get("/v1/status").unwrap())["sequence"].as_u64().unwrap()
    }

    /// Holds every reply, every wallet, every hold and every published event against what was sent. Returns how many
    /// messages were answered as repeats.
    fn prove(self) -> usize {
        self.wait_for_answers(self.sent.len());
        let mut redis = connect(&self.redis);
        let mut repeats = 0;
        let mut claimed = BTreeSet::new();
        let mut open = self.sent.clone();
        let replies: Vec<(String, BTreeMap<String, String>)> =
            ask(&mut redis, &["XRANGE", "orders:replies", "-", "+"]);
        for (_, reply) in replies {
            let command = open.remove(&reply["message"]);
            let command = command.unwrap_or_else(|| panic!("a second reply, or one to nobody: {reply:?}"));
            assert_eq!(reply["status"], "200", "{reply:?}");
            let outcome: Value = serde_json::from_str(&reply["outcome"]).unwrap();
            repeats += usize::from(outcome["repeat"] == true);
            match command {
                Command::Hold(id) | Command::Charge(id) | Command::Checkout(id) => {
                    assert_eq!(outcome["id"], json!(id), "{reply:?}");
                }
                Command::Claim => {
                    let order = outcome["claims"][0]["order"].as_str().unwrap().to_owned();
                    assert!(claimed.insert(order), "an order is claimed by one message: {reply:?}");
                }
            }
        }
        assert!(open.is_empty(), "{} messages have no reply", open.len());
        let left: u64 = ask(&mut redis, &["XLEN", "orders"]);
        assert_eq!(left, 0, "what was answered is deleted");

        let mut http = self.jaego.connect();
        let holds = self.count(|command| matches!(command, Command::Hold(_)));
        let checkouts = self.count(|command| matches!(command, Command::Checkout(_)));
        assert_eq!(ok(http.get("/v1/status").unwrap())["open_holds"], json!(holds));
        // Each cart was paid once, and each claim is there.
        let buyer = ok(http.get("/v1/wallets/buyer").unwrap());
        assert_eq!(buyer["balances"][0]["balance"], json!(PURSE - PRICE * checkouts as u64), "{buyer}");
        assert_eq!(claimed.len(), self.count(|command| *command == Command::Claim));
        for order in &claimed {
            let order = ok(http.get(&format!("/v1/orders/{order}")).unwrap());
            assert_eq!((&order["status"], &order["claim"]["worker"]), (&json!("processing"), &json!("ann")));
        }
        let mut charged = 0;
        for owner in (0..OWNERS).map(|number| format!("owner-{number}")) {
            let charges = self.count(|one| *one == Command::Charge(owner.clone()));
            charged += charges;
            if charges > 0 {
                let wallet = ok(http.get(&format!("/v1/wallets/{owner}")).unwrap());
                assert_eq!(wallet["balances"][0]["balance"], json!(7 * charges), "{wallet}");
            }
        }
        assert_eq!(holds + charged + checkouts + claimed.len(), self.sent.len());
        println!("{} messages, {repeats} of them answered after they had been decided", self.sent.len());

        // The stream of events is the feed: the same events in the same order, each once.
        let durable = ok(http.get("/v1/status").unwrap())["durable"].as_u64().unwrap();
        let mut published = Vec::new();
        wait_until("the last event in the stream", PATIENCE, || {
            let entries: Vec<(String, BTreeMap<String, String>)> =
                ask(&mut redis, &["XRANGE", "jaego:events", "-", "+"]);
            published = entries;
            (published.last().is_some_and(|(id, _)| *id == format!("{durable}-0"))).then_some(())
        })
        .unwrap();
        assert_eq!(published.len() as u64, durable);
        let mut published = published.into_iter();
        let mut after = "0".to_owned();
        loop {
            let page = ok(http.get(&format!("/v1/events?limit=1000&after={after}")).unwrap());
            for event in page["items"].as_array().unwrap() {
                let (id, fields) = published.next().unwrap();
                assert_eq!(id, format!("{}-0", event["sequence"]));
                assert_eq!(serde_json::from_str::<Value>(&fields["event"]).unwrap(), *event);
            }
            match page["next"].as_str() {
                Some(next) => after = next.to_owned(),
                None => break,
            }
        }
        assert!(published.next().is_none());
        self.jaego.end();
        repeats
    }
}

#[test]
fn commands_from_a_queue_take_effect_once_while_the_service_is_killed() {
    const ROUNDS: usize = 8;
    let seed = seed();
    let mut dice = fastrand::Rng::with_seed(seed);
    let mut shop = Shop::start();
    for round in 0..ROUNDS {
        let before = shop.answered();
        // Every other time it is killed between a decision and its answer, which finds no stream of replies.
        let in_between = round % 2 == 1;
        if in_between {
            shop.wait_for_answers(shop.sent.len());
            let mut redis = connect(&shop.redis);
            let _: () = ask(&mut redis, &["RENAME", "orders:replies", "aside"]);
            let _: () = ask(&mut redis, &["SET", "orders:replies", "in the way"]);
            let decided = shop.decided();
            shop.send(1_000);
            let more = || (shop.decided() > decided).then_some(());
            wait_until("a decision", PATIENCE, more).unwrap();
        } else {
            shop.send(1_000);
            shop.wait_for_answers(before + 1);
            thread::sleep(Duration::from_micros(dice.u64(0..30_000)));
        }
        shop.jaego.server.kill_9().unwrap();
        if in_between {
            let mut redis = connect(&shop.redis);
            let _: u64 = ask(&mut redis, &["DEL", "orders:replies"]);
            let _: () = ask(&mut redis, &["RENAME", "aside", "orders:replies"]);
        }
        if round % 4 == 3 {
            shop.jaego.verify();
        }
        shop.jaego.server.restart().unwrap();
    }
    assert!(shop.prove() > 0, "some were decided before the service was killed, and answered after it");
}

#[test]
fn commands_from_a_queue_take_effect_once_while_redis_is_killed() {
    const ROUNDS: usize = 5;
    const MESSAGES: usize = 2_000;
    /// What is in the hands of the intake at the most: it may have been answered without the service being told.
    const IN_HAND: usize = 512;
    let seed = seed();
    let mut dice = fastrand::Rng::with_seed(seed);
    let mut shop = Shop::start();
    let mut in_the_middle = 0;
    for round in 0..ROUNDS {
        // All of the round before, so that what is answered is of this one.
        shop.wait_for_answers(shop.sent.len());
        let before = (shop.answered(), shop.told());
        shop.send(MESSAGES);
        shop.wait_for_answers(before.0 + 1);
        thread::sleep(Duration::from_micros(dice.u64(0..10_000)));
        shop.redis.kill_9().unwrap();
        let told = shop.told() - before.1;
        println!("round {round}: {told} of {MESSAGES} were answered when Redis was killed");
        in_the_middle += usize::from(told > 0 && told + IN_HAND < MESSAGES);
        if round == 2 {
            // Both of them, and the service first: it begins without a Redis.
            shop.jaego.server.kill_9().unwrap();
            shop.jaego.server.restart().unwrap();
        }
        shop.redis.restart().unwrap();
    }
    assert!(in_the_middle > 0, "Redis was never killed in the middle");
    shop.prove();
}

#[test]
fn asked_to_end_the_service_finishes_what_it_has_read() {
    let mut shop = Shop::start();
    for _ in 0..3 {
        let before = shop.answered();
        shop.send(1_000);
        shop.wait_for_answers(before + 1);
        shop.jaego.terminate();
        // Nothing is left half done: what was not answered was not read either.
        let (pending, ..): (u64, redis::Value, redis::Value, redis::Value) =
            ask(&mut connect(&shop.redis), &["XPENDING", "orders", "jaego"]);
        assert_eq!(pending, 0);
        shop.jaego.verify();
        shop.jaego.server.restart().unwrap();
    }
    shop.prove();
}

#[test]
fn ten_kills_in_a_row_make_no_message_a_culprit() {
    let seed = seed();
    let mut dice = fastrand::Rng::with_seed(seed);
    let mut shop = Shop::start();
    shop.send(500);
    for _ in 0..10 {
        shop.send(300);
        thread::sleep(Duration::from_micros(dice.u64(0..15_000)));
        shop.jaego.server.kill_9().unwrap();
        shop.jaego.server.restart().unwrap();
    }
    let redis = shop.redis.url();
    shop.wait_for_answers(shop.sent.len());
    let mut redis = redis::Client::open(redis).unwrap().get_connection().unwrap();
    let dead: u64 = ask(&mut redis, &["XLEN", "orders:dead"]);
    assert_eq!(dead, 0, "a good message went to the dead letters");
    shop.prove();
}

/// What a store refuses because of how much the others of its batch touch is no refusal of the message.
#[test]
fn what_is_too_much_in_company_is_decided_alone() {
    const LINES: usize = 50_000;
    const MESSAGES: usize = 60;
    let mut shop = Shop::start();
    let line = json!({"site": "ICN", "sku": "sku-0", "quantity": 1});
    let large = json!({"id": "LARGE", "lines": vec![line; LINES], "expires_in_s": 600});
    ok(shop.jaego.connect().post("/v1/holds", &large).unwrap());
    shop.jaego.terminate();
    // They wait when the service starts, so that they are read together: many times what one batch may touch.
    let mut add = pipe();
    for _ in 0..MESSAGES {
        let text = json!({"op": "extend_hold", "hold": "LARGE", "expires_in_s": 900}).to_string();
        add.cmd("XADD").arg("orders").arg("*").arg("command").arg(text);
    }
    let _: Vec<String> = add.query(&mut connect(&shop.redis)).unwrap();
    shop.jaego.server.restart().unwrap();
    wait_until("all replies", PATIENCE, || (shop.answered() >= MESSAGES).then_some(())).unwrap();
    let replies: Vec<(String, BTreeMap<String, String>)> =
        ask(&mut connect(&shop.redis), &["XRANGE", "orders:replies", "-", "+"]);
    assert_eq!(replies.len(), MESSAGES);
    for (_, reply) in replies {
        assert_eq!(reply["status"], "200", "{reply:?}");
    }
    shop.jaego.end();
}
