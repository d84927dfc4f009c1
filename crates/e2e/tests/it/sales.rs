//! Many want to buy the same at the same time: the money is taken once, the goods go to those who paid, and what is
//! cancelled is given back once.

use std::{collections::BTreeMap, sync::Barrier, thread};

use serde_json::{Value, json};

use crate::{
    http::Connection,
    jaego::{Jaego, ok, stock},
};

const PRICE: u64 = 5_000;

/// A SKU with a price, and `units` of it.
fn priced(admin: &mut Connection, sku: &str, units: u64) {
    ok(admin.put(&format!("/v1/skus/{sku}"), &json!({"prices": {"KRW": PRICE}})).unwrap());
    let line = json!({"site": "ICN", "location": "A-01", "sku": sku, "change": units});
    ok(admin.post("/v1/adjustments", &json!({"id": sku, "lines": [line]})).unwrap());
}

fn charge(owner: &str, amount: u64) -> Value {
    json!({"op": "charge", "owner": owner, "currency": "KRW", "amount": amount})
}

/// A cart with one of a SKU.
fn cart(id: &str, owner: &str, sku: &str, hold_s: Option<u64>) -> [Value; 2] {
    let mut open = json!({"op": "set_cart", "cart": id, "site": "ICN", "owner": owner});
    if let Some(seconds) = hold_s {
        open["hold_s"] = seconds.into();
    }
    [open, json!({"op": "set_cart_item", "cart": id, "sku": sku, "quantity": 1})]
}

fn all(admin: &mut Connection, commands: &[Value]) {
    ok(admin.post("/v1/batch", &json!({"atomic": true, "commands": commands})).unwrap());
}

fn balance(admin: &mut Connection, owner: &str) -> i64 {
    let wallet = ok(admin.get(&format!("/v1/wallets/{owner}")).unwrap());
    wallet["balances"][0]["balance"].as_i64().unwrap()
}

/// All lines of a wallet's statement.
fn statement(admin: &mut Connection, owner: &str) -> Vec<Value> {
    let (mut lines, mut after) = (Vec::new(), String::new());
    loop {
        let page = ok(admin.get(&format!("/v1/wallets/{owner}/statement?limit=1000{after}")).unwrap());
        lines.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return lines,
        }
    }
}

/// Somebody clicks on "pay" twice: 500 times with the same request key, and 500 times with another one.
#[test]
fn two_clicks_are_one_order_and_the_money_is_taken_once() {
    const ROUNDS: usize = 1_000;
    let jaego = Jaego::start();
    let mut admin = jaego.connect();
    stock(&mut admin, &["other".to_owned()], 1);
    priced(&mut admin, "mug", ROUNDS as u64);
    let money = PRICE * ROUNDS as u64;
    let mut commands = vec![charge("kim", money)];
    // Every third cart holds what is in it.
    commands.extend(
        (0..ROUNDS)
            .flat_map(|round| cart(&format!("C{round}"), "kim", "mug", (round % 3 == 0).then_some(3_600))),
    );
    all(&mut admin, &commands);

    let start = Barrier::new(2);
    let same_key = |round: usize| round.is_multiple_of(2);
    let click = |finger: usize| -> Vec<(u16, Value)> {
        let mut connection = jaego.connect();
        let body = json!({"currency": "KRW", "expected_total": PRICE}).to_string();
        let round = |round| {
            let key = if same_key(round) { format!("K{round}") } else { format!("K{round}-{finger}") };
            start.wait();
            connection
                .send("POST", &format!("/v1/carts/C{round}/checkout"), Some(&key), &body)
                .unwrap()
                .json()
        };
        (0..ROUNDS).map(round).collect()
    };
    let (first, second) = thread::scope(|scope| {
        let click = &click;
        let fingers = [0, 1].map(|finger| scope.spawn(move || click(finger)));
        let [first, second] = fingers.map(|finger| finger.join().unwrap());
        (first, second)
    });

    let (mut seen, mut first_won): (BTreeMap<&str, usize>, _) = (BTreeMap::new(), 0);
    for (round, clicks) in first.iter().zip(&second).enumerate() {
        let (done, other) = match (clicks.0.0, clicks.1.0) {
            (200, _) if clicks.0.1["repeat"] == false => {
                first_won += 1;
                (&clicks.0, &clicks.1)
            }
            _ => (&clicks.1, &clicks.0),
        };
        assert_eq!(
            (done.0, &done.1["repeat"], &done.1["id"]),
            (200, &json!(false), &json!(format!("C{round}")))
        );
        if same_key(round) {
            assert_eq!((other.0, &other.1["repeat"]), (200, &json!(true)), "round {round}: {other:?}");
            assert_eq!(other.1["sequence"], done.1["sequence"], "round {round}");
            *seen.entry("repeat").or_default() += 1;
        } else {
            assert_eq!(
                (other.0, &other.1["code"]),
                (409, &json!("cart_ordered")),
                "round {round}: {other:?}"
            );
            assert_eq!(other.1["order"], format!("C{round}"), "round {round}");
            *seen.entry("cart_ordered").or_default() += 1;
        }
    }
    println!("the second of {ROUNDS} pairs of clicks: {seen:?}");
    assert!(first_won > 0 && first_won < ROUNDS, "it was no race: one finger won {first_won} times");
    assert_eq!(balance(&mut admin, "kim"), 0, "each order was paid once");
    let position = ok(admin.get("/v1/stock?sku=mug").unwrap());
    assert_eq!(position["items"][0]["held"], ROUNDS, "{position}");
    let paid = statement(&mut admin, "kim").split_off(1);
    assert_eq!(paid.len(), ROUNDS);
    let is_of_order =
        |line: &Value| line["change"] == -PRICE.cast_signed() && line["document"]["kind"] == "order";
    assert!(paid.iter().all(is_of_order));
    let status = ok(admin.get("/v1/status").unwrap());
    assert_eq!((&status["open_carts"], &status["waiting_orders"]), (&json!(0), &json!(ROUNDS)));
    jaego.end();
}

/// Sixty-four buyers want ten units, and every other one of them can pay. Then all who got one call it off, twice.
#[test]
fn the_last_units_go_to_those_who_paid_and_come_back_with_the_money() {
    const BUYERS: usize = 64;
    const UNITS: u64 = 10;
    const ROUNDS: usize = 8;
    let jaego = Jaego::start();
    let mut admin = jaego.connect();
    stock(&mut admin, &["other".to_owned()], 1);
    let name = |round: usize, buyer: usize| format!("R{round}-{buyer}");
    let can_pay = |buyer: usize| buyer.is_multiple_of(2);
    let money = |buyer: usize| if can_pay(buyer) { PRICE } else { PRICE - 1 };
    for round in 0..ROUNDS {
        priced(&mut admin, &format!("sku-{round}"), UNITS);
        let commands: Vec<_> = (0..BUYERS)
            .flat_map(|buyer| {
                let id = name(round, buyer);
                let [open, fill] = cart(&id, &id, &format!("sku-{round}"), None);
                [charge(&id, money(buyer)), open, fill]
            })
            .collect();
        all(&mut admin, &commands);
    }

    let start = Barrier::new(BUYERS);
    let buy = |buyer: usize| -> Vec<(u16, Value)> {
        let mut connection = jaego.connect();
        let round = |round| {
            let path = format!("/v1/carts/{}/checkout", name(round, buyer));
            start.wait();
            connection.post(&path, &json!({"currency": "KRW"})).unwrap()
        };
        (0..ROUNDS).map(round).collect()
    };
    let answers: Vec<_> = thread::scope(|scope| {
        let buy = &buy;
        let buyers: Vec<_> = (0..BUYERS).map(|buyer| scope.spawn(move || buy(buyer))).collect();
        buyers.into_iter().map(|buyer| buyer.join().unwrap()).collect()
    });

    let (mut sold, mut too_poor, mut too_late) = (Vec::new(), 0, 0);
    for (buyer, rounds) in answers.iter().enumerate() {
        for (round, (status, answer)) in rounds.iter().enumerate() {
            let id = name(round, buyer);
            let order = admin.get(&format!("/v1/orders/{id}")).unwrap();
            if *status == 200 {
                assert!(can_pay(buyer), "{id} could not pay");
                assert_eq!((&order.1["paid"], &order.1["allocated"]), (&json!(PRICE), &json!(true)), "{id}");
                assert_eq!(balance(&mut admin, &id), 0, "{id} paid");
                sold.push(id);
                continue;
            }
            assert_eq!((*status, &answer["code"]), (409, &json!("checkout_blocked")), "{id}: {answer}");
            assert_eq!(answer["funds"].is_null(), can_pay(buyer), "{id}: {answer}");
            assert!(!can_pay(buyer) || answer["shortages"][0]["available"] == 0, "{id}: {answer}");
            assert_eq!(
                (order.0, balance(&mut admin, &id)),
                (404, money(buyer).cast_signed()),
                "{id} got nothing"
            );
            if can_pay(buyer) { too_late += 1 } else { too_poor += 1 }
        }
    }
    println!("{} bought, {too_late} were too late, {too_poor} could not pay", sold.len());
    assert_eq!(sold.len() as u64, UNITS * ROUNDS as u64, "all units were sold, and no more");
    let held = |admin: &mut Connection| -> u64 {
        let positions = ok(admin.get("/v1/stock").unwrap());
        positions["items"].as_array().unwrap().iter().map(|at| at["held"].as_u64().unwrap()).sum()
    };
    assert_eq!(held(&mut admin), UNITS * ROUNDS as u64);

    let start = Barrier::new(2);
    let cancel = || -> usize {
        let mut connection = jaego.connect();
        let one = |id: &String| {
            start.wait();
            ok(connection.post(&format!("/v1/orders/{id}/cancel"), &json!({})).unwrap())
        };
        sold.iter().map(one).filter(|answer| answer["repeat"] == false).count()
    };
    let cancelled: usize = thread::scope(|scope| {
        let clerks = [(); 2].map(|()| scope.spawn(cancel));
        clerks.into_iter().map(|clerk| clerk.join().unwrap()).sum()
    });
    assert_eq!(cancelled, sold.len(), "each order was cancelled once");
    for id in &sold {
        assert_eq!(balance(&mut admin, id), PRICE.cast_signed(), "{id} was refunded once");
    }
    assert_eq!(held(&mut admin), 0);
    jaego.end();
}
