//! Many callers want the same thing at the same time.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Barrier,
    thread,
};

use serde_json::{Value, json};

use crate::jaego::{Jaego, hold, ok, stock};

fn skus(count: usize) -> Vec<String> {
    (0..count).map(|sku| format!("sku-{sku}")).collect()
}

/// Two people work on one transfer request: one allocates it, the other cancels it.
#[test]
fn of_allocate_and_cancel_one_wins_and_the_state_agrees() {
    const ROUNDS: usize = 1_000;
    let jaego = Jaego::start();
    let mut admin = jaego.connect();
    stock(&mut admin, &skus(3), 1_000_000);
    let lines: Vec<_> = (0..3)
        .map(|sku| json!({"line": sku.to_string(), "sku": format!("sku-{sku}"), "quantity": 2}))
        .collect();
    let requests: Vec<_> = (0..ROUNDS)
        .map(|round| json!({"op": "request_transfer", "id": format!("T{round}"), "from": "ICN", "to": "PUS", "lines": lines}))
        .collect();
    ok(admin.post("/v1/batch", &json!({"atomic": true, "commands": requests})).unwrap());

    let start = Barrier::new(2);
    let act = |action: &str, body: &dyn Fn(usize) -> Value| -> Vec<(u16, Value)> {
        let mut connection = jaego.connect();
        let round = |round| {
            start.wait();
            connection.post(&format!("/v1/transfers/T{round}/{action}"), &body(round)).unwrap()
        };
        (0..ROUNDS).map(round).collect()
    };
    // In two of four rounds the cancelling one takes back what is allocated: who comes first may well alternate.
    let releases = |round: usize| round / 2 % 2 == 1;
    let (allocated, cancelled) = thread::scope(|scope| {
        let allocating = scope.spawn(|| act("allocate", &|_| json!({})));
        let cancelling = scope.spawn(|| act("cancel", &|round| json!({"release": releases(round)})));
        (allocating.join().unwrap(), cancelling.join().unwrap())
    });

    let (mut held, mut seen) = (0, BTreeMap::new());
    for (round, ((allocate, allocation), (cancel, cancellation))) in
        allocated.iter().zip(&cancelled).enumerate()
    {
        let answers = (*allocate, allocation["code"].as_str(), *cancel, cancellation["code"].as_str());
        let (status, units) = match answers {
            (200, _, 409, Some("transfer_allocated")) if !releases(round) => ("allocated", 6),
            (200, _, 200, _) if releases(round) => {
                assert!(allocation["sequence"].as_u64() < cancellation["sequence"].as_u64(), "round {round}");
                ("cancelled", 0)
            }
            (409, Some("transfer_cancelled"), 200, _) => ("cancelled", 0),
            other => panic!("round {round}: {other:?}"),
        };
        let transfer = ok(admin.get(&format!("/v1/transfers/T{round}")).unwrap());
        assert_eq!(
            (&transfer["status"], &transfer["totals"]["allocated"]),
            (&json!(status), &json!(units)),
            "round {round}"
        );
        held += units;
        *seen.entry((releases(round), allocate, cancel)).or_insert(0) += 1;
    }
    println!("(with release, allocate, cancel): rounds {seen:?}");
    let was_race = |release: bool| seen.keys().filter(|(of, ..)| *of == release).count() == 2;
    assert!(was_race(false) && was_race(true), "it was no race: one side always came first, {seen:?}");
    let positions = ok(admin.get("/v1/stock").unwrap());
    let on_books: u64 =
        positions["items"].as_array().unwrap().iter().map(|at| at["held"].as_u64().unwrap()).sum();
    assert_eq!(on_books, held);
    jaego.end();
}

/// Sixty-four clients want what is left, all of them twice, and two and two under the same id.
#[test]
fn the_last_units_are_held_once() {
    const CLIENTS: usize = 64;
    const ROUNDS: usize = 24;
    let jaego = Jaego::start();
    let mut admin = jaego.connect();
    let units = |round: usize| [1, 3, 10, 1_000][round % 4];
    for round in 0..ROUNDS {
        let sku = format!("sku-{round}");
        if round == 0 {
            stock(&mut admin, std::slice::from_ref(&sku), units(round));
            continue;
        }
        ok(admin.put(&format!("/v1/skus/{sku}"), &json!({})).unwrap());
        let line = json!({"site": "ICN", "location": "A-01", "sku": sku, "change": units(round)});
        ok(admin.post("/v1/adjustments", &json!({"id": sku, "lines": [line]})).unwrap());
    }
    let start = Barrier::new(CLIENTS);
    let want = |client: usize| -> Vec<[(u16, Value); 2]> {
        let mut connection = jaego.connect();
        let round = |round| {
            let body = hold(&format!("R{round}-{}", client / 2), &format!("sku-{round}"), 1);
            start.wait();
            [(); 2].map(|()| connection.post("/v1/holds", &body).unwrap())
        };
        (0..ROUNDS).map(round).collect()
    };
    let answers: Vec<_> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|client| scope.spawn(move || want(client))).collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    for round in 0..ROUNDS {
        let (mut won, mut firsts) = (BTreeSet::new(), 0);
        for (client, rounds) in answers.iter().enumerate() {
            for (status, answer) in &rounds[round] {
                match status {
                    200 => {
                        won.insert(client / 2);
                        firsts += usize::from(answer["repeat"] == false);
                    }
                    _ => assert_eq!(
                        (*status, &answer["code"]),
                        (409, &json!("insufficient_stock")),
                        "{answer}"
                    ),
                }
            }
            let [first, second] = &rounds[round];
            assert!(first.0 != 200 || second.1["repeat"] == true, "{first:?} {second:?}");
        }
        let expected = usize::try_from(units(round)).unwrap().min(CLIENTS / 2);
        assert_eq!(
            (won.len(), firsts),
            (expected, expected),
            "round {round}: each id once, and no more than there is"
        );
        let stock = ok(admin.get(&format!("/v1/stock?sku=sku-{round}")).unwrap());
        assert_eq!(stock["items"][0]["held"], expected, "{stock}");
    }
    jaego.end();
}

/// The case of many transfer requests over the same products at once, in small.
#[test]
fn overlapping_transfers_never_take_more_than_there_is() {
    const TRANSFERS: usize = 100;
    const LINES: usize = 100;
    const SKUS: usize = 50;
    const UNITS: u64 = 1_000;
    let jaego = Jaego::start();
    let mut admin = jaego.connect();
    stock(&mut admin, &skus(SKUS), UNITS);
    for transfer in 0..TRANSFERS {
        let lines: Vec<_> = (0..LINES)
            .map(|line| json!({"line": line.to_string(), "sku": format!("sku-{}", (line * 7 + transfer) % SKUS), "quantity": 7}))
            .collect();
        let body = json!({"id": format!("T{transfer}"), "from": "ICN", "to": "PUS", "lines": lines});
        ok(admin.post("/v1/transfers", &body).unwrap());
    }
    let start = Barrier::new(TRANSFERS);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..TRANSFERS)
            .map(|transfer| {
                let (jaego, start) = (&jaego, &start);
                scope.spawn(move || {
                    let mut connection = jaego.connect();
                    start.wait();
                    connection.post(&format!("/v1/transfers/T{transfer}/allocate"), &json!({})).unwrap()
                })
            })
            .collect();
        for client in clients {
            // Who comes when nothing is left gets nothing at all, which is refused.
            match client.join().unwrap() {
                (200, _) => {}
                (409, answer) => assert_eq!(answer["code"], "insufficient_stock"),
                other => panic!("{other:?}"),
            }
        }
    });
    let mut allocated: BTreeMap<String, u64> = BTreeMap::new();
    for transfer in 0..TRANSFERS {
        let transfer = ok(admin.get(&format!("/v1/transfers/T{transfer}")).unwrap());
        for line in transfer["lines"].as_array().unwrap() {
            *allocated.entry(line["sku"].as_str().unwrap().to_owned()).or_default() +=
                line["allocated"].as_u64().unwrap();
        }
    }
    // They want 1,400 of each, so that everything there is goes, and not one more.
    assert_eq!(allocated.len(), SKUS);
    for (sku, units) in &allocated {
        assert_eq!(*units, UNITS, "{sku}");
        let stock = ok(admin.get(&format!("/v1/stock?sku={sku}")).unwrap());
        let position = &stock["items"][0];
        assert_eq!((&position["held"], &position["available"]), (&json!(UNITS), &json!(0)), "{position}");
    }
    jaego.end();
}

/// Two clicks on "pay", with the same key and with two, by many people whose wallets can afford only some.
#[test]
fn a_wallet_pays_no_more_than_it_has_however_often_one_clicks() {
    const OWNERS: usize = 8;
    const CLICKS: usize = 40;
    const PRICE: u64 = 7;
    let jaego = Jaego::start();
    let mut admin = jaego.connect();
    // The n-th owner can pay n times, and has a little more.
    let charged = |owner: usize| owner as u64 * PRICE + 3;
    for owner in 0..OWNERS {
        let body = json!({"currency": "KRW", "amount": charged(owner)});
        ok(admin.post(&format!("/v1/wallets/W{owner}/charge"), &body).unwrap());
    }
    let start = Barrier::new(OWNERS * 2);
    let click = |owner: usize, hand: usize| -> Vec<(u16, Value)> {
        let mut connection = jaego.connect();
        let path = format!("/v1/wallets/W{owner}/pay");
        let body = json!({"currency": "KRW", "amount": PRICE});
        let click = |click: usize| {
            start.wait();
            // Every other click is a double click: both hands send the same key.
            let key = if click.is_multiple_of(2) {
                format!("{owner}-{click}")
            } else {
                format!("{owner}-{click}-{hand}")
            };
            connection.send("POST", &path, Some(&key), &body.to_string()).unwrap().json()
        };
        (0..CLICKS).map(click).collect()
    };
    let answers: Vec<_> = thread::scope(|scope| {
        let hands: Vec<_> =
            (0..OWNERS * 2).map(|hand| scope.spawn(move || (hand / 2, click(hand / 2, hand % 2)))).collect();
        hands.into_iter().map(|hand| hand.join().unwrap()).collect()
    });
    let mut paid = BTreeMap::new();
    for (owner, clicks) in &answers {
        for (status, answer) in clicks {
            match status {
                200 => *paid.entry(*owner).or_insert(0) += usize::from(answer["repeat"] == false),
                _ => assert_eq!((*status, &answer["code"]), (409, &json!("insufficient_funds")), "{answer}"),
            }
        }
    }
    for owner in 0..OWNERS {
        let wallet = ok(admin.get(&format!("/v1/wallets/W{owner}")).unwrap());
        let left = charged(owner) % PRICE;
        assert_eq!(wallet["balances"][0]["balance"], left, "{wallet}");
        assert_eq!(paid.get(&owner).copied().unwrap_or_default(), owner, "each payment is made once");
        let statement = ok(admin.get(&format!("/v1/wallets/W{owner}/statement?limit=1000")).unwrap());
        let lines = statement["items"].as_array().unwrap();
        let sum: i64 = lines.iter().map(|line| line["change"].as_i64().unwrap()).sum();
        assert_eq!((lines.len(), sum), (owner + 1, i64::try_from(left).unwrap()), "{statement}");
    }
    jaego.end();
}
