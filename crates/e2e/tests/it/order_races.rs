//! Two hands on one order or one cart at the same time: whatever comes first, the answers, the stock and the money agree.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    http::Connection,
    jaego::{Jaego, ok, stock},
    race::{Answer, Hand, race},
};

const ROUNDS: usize = 500;
/// What an order asks for.
const UNITS: u64 = 2;
const PRICE: u64 = 5_000;

/// Places an order a round, all of which are allocated.
fn place_orders(admin: &mut Connection) {
    stock(admin, &["mug".to_owned()], ROUNDS as u64 * UNITS);
    let order = |round: usize| {
        json!({"op": "place_order", "id": format!("O{round}"), "site": "ICN",
            "lines": [{"sku": "mug", "quantity": UNITS}]})
    };
    all(admin, &(0..ROUNDS).map(order).collect::<Vec<_>>());
}

fn all(admin: &mut Connection, commands: &[Value]) -> Value {
    ok(admin.post("/v1/batch", &json!({"atomic": true, "commands": commands})).unwrap())
}

/// What there is of the mugs, and what is held of them.
fn mugs(admin: &mut Connection) -> (u64, u64) {
    let stock = ok(admin.get("/v1/stock?sku=mug").unwrap());
    let sum =
        |field: &str| stock["items"].as_array().unwrap().iter().map(|at| at[field].as_u64().unwrap()).sum();
    (sum("on_hand"), sum("held"))
}

fn cancel(connection: &mut Connection, round: usize) -> Answer {
    connection.post(&format!("/v1/orders/O{round}/cancel"), &json!({})).unwrap()
}

fn complete(connection: &mut Connection, order: &str, fence: u64) -> Answer {
    let body = json!({"worker": "ann", "fence": fence});
    connection.post(&format!("/v1/orders/{order}/complete"), &body).unwrap()
}

/// The fence of the only claim in an answer.
fn fence(answer: &Value) -> u64 {
    answer["claims"][0]["fence"].as_u64().unwrap_or_else(|| panic!("no claim: {answer}"))
}

/// The status and the problem's code.
fn said(answer: &Answer) -> (u16, &str) {
    (answer.0, answer.1["code"].as_str().unwrap_or_default())
}

#[test]
fn of_claim_and_cancel_the_order_ends_cancelled_and_a_claim_is_void() {
    let jaego = Jaego::start();
    let mut admin = jaego.connect();
    place_orders(&mut admin);
    let claim = |connection: &mut Connection, round: usize| {
        connection.post(&format!("/v1/orders/O{round}/claim"), &json!({"worker": "ann"})).unwrap()
    };
    let answers = race(&jaego, ROUNDS, [&claim, &cancel]);
    let mut seen = BTreeMap::new();
    for (round, [claimed, cancelled]) in answers.iter().enumerate() {
        match (said(claimed), said(cancelled)) {
            ((200, _), (200, _)) => {
                let order = (claimed.1["sequence"].as_u64(), cancelled.1["sequence"].as_u64());
                assert!(order.0 < order.1, "round {round}: a cancelled order was claimed: {order:?}");
                let late = complete(&mut admin, &format!("O{round}"), fence(&claimed.1));
                assert_eq!(said(&late), (409, "order_cancelled"), "round {round}");
            }
            ((409, "order_cancelled"), (200, _)) => {}
            other => panic!("round {round}: {other:?}"),
        }
        let order = ok(admin.get(&format!("/v1/orders/O{round}")).unwrap());
        assert_eq!((&order["status"], &order["claim"]), (&json!("cancelled"), &Value::Null), "{order}");
        *seen.entry(said(claimed)).or_insert(0) += 1;
    }
    println!("claims: {seen:?}");
    assert_eq!(seen.len(), 2, "one of them was always first: that was no race");
    assert_eq!(mugs(&mut admin), (ROUNDS as u64 * UNITS, 0));
    jaego.end();
}

#[test]
fn of_complete_and_cancel_exactly_one_wins() {
    let jaego = Jaego::start();
    let mut admin = jaego.connect();
    place_orders(&mut admin);
    let claim = json!({"worker": "ann", "policy": "oldest", "count": ROUNDS});
    let claimed = ok(admin.post("/v1/sites/ICN/claims", &claim).unwrap());
    let fences: Vec<_> =
        claimed["claims"].as_array().unwrap().iter().map(|one| one["fence"].as_u64().unwrap()).collect();
    assert_eq!(fences.len(), ROUNDS, "the oldest come in their order");
    let completing =
        |connection: &mut Connection, round: usize| complete(connection, &format!("O{round}"), fences[round]);
    let mut seen = BTreeMap::new();
    let answers = race(&jaego, ROUNDS, [&completing, &cancel]);
    for (round, [completed, cancelled]) in answers.iter().enumerate() {
        let status = match (said(completed), said(cancelled)) {
            ((200, _), (409, "order_completed")) => "completed",
            ((409, "order_cancelled"), (200, _)) => "cancelled",
            other => panic!("round {round}: {other:?}"),
        };
        let order = ok(admin.get(&format!("/v1/orders/O{round}")).unwrap());
        assert_eq!(order["status"], status, "round {round}");
        *seen.entry(status).or_insert(0) += 1;
    }
    println!("orders: {seen:?}");
    assert_eq!(seen.len(), 2, "one of them was always first: that was no race");
    let left = seen.get("cancelled").copied().unwrap_or(0) * UNITS;
    assert_eq!(mugs(&mut admin), (left, 0), "what was completed has left, and nothing else");
    jaego.end();
}

/// A buyer pays in one window and changes the cart in another one.
#[test]
fn a_checkout_takes_the_cart_as_it_was_before_a_change_or_after_it() {
    let jaego = Jaego::start();
    let mut admin = jaego.connect();
    let units = ROUNDS as u64 * 2;
    stock(&mut admin, &["mug".to_owned()], units);
    ok(admin.put("/v1/skus/mug", &json!({"prices": {"KRW": PRICE}})).unwrap());
    let money = PRICE * units;
    let mut commands = vec![json!({"op": "charge", "owner": "kim", "currency": "KRW", "amount": money})];
    commands.extend((0..ROUNDS).flat_map(|round| {
        // Every third cart holds what is in it.
        let mut cart = json!({"op": "set_cart", "cart": format!("C{round}"), "site": "ICN", "owner": "kim"});
        if round.is_multiple_of(3) {
            cart["hold_s"] = 3_600.into();
        }
        [cart, json!({"op": "set_cart_item", "cart": format!("C{round}"), "sku": "mug", "quantity": 1})]
    }));
    all(&mut admin, &commands);

    // In every other round the buyer says which total was on the screen.
    let is_told = |round: usize| round.is_multiple_of(2);
    let pay = |connection: &mut Connection, round: usize| {
        let body = if is_told(round) {
            json!({"currency": "KRW", "expected_total": PRICE})
        } else {
            json!({"currency": "KRW"})
        };
        connection.post(&format!("/v1/carts/C{round}/checkout"), &body).unwrap()
    };
    let change = |connection: &mut Connection, round: usize| {
        connection.put(&format!("/v1/carts/C{round}/items/mug"), &json!({"quantity": 2})).unwrap()
    };
    let (mut sold, mut open, mut seen) = (0, 0, BTreeMap::new());
    let answers = race(&jaego, ROUNDS, [&pay, &change]);
    for (round, [paid, changed]) in answers.iter().enumerate() {
        let quantity = match (said(paid), said(changed)) {
            ((200, _), (409, "cart_ordered")) => 1,
            ((200, _), (200, _)) if !is_told(round) => {
                assert!(changed.1["sequence"].as_u64() < paid.1["sequence"].as_u64(), "round {round}");
                2
            }
            ((409, "price_changed"), (200, _)) if is_told(round) => 0,
            other => panic!("round {round}: {other:?}"),
        };
        if quantity == 0 {
            let cart = ok(admin.get(&format!("/v1/carts/C{round}")).unwrap());
            assert_eq!(
                (&cart["status"], &cart["items"][0]["quantity"]),
                (&json!("open"), &json!(2)),
                "{cart}"
            );
            // Every third cart holds, and every other one was told a total.
            open += if round.is_multiple_of(3) { 2 } else { 0 };
        } else {
            let order = ok(admin.get(&format!("/v1/orders/C{round}")).unwrap());
            assert_eq!(order["lines"][0]["quantity"], quantity, "{order}");
            assert_eq!(order["total"], quantity * PRICE, "{order}");
        }
        sold += quantity;
        *seen.entry((is_told(round), quantity)).or_insert(0) += 1;
    }
    println!("(told, bought): {seen:?}");
    assert_eq!(seen.len(), 4, "one of them was always first: that was no race");
    let wallet = ok(admin.get("/v1/wallets/kim").unwrap());
    assert_eq!(wallet["balances"][0]["balance"], money - sold * PRICE, "{wallet}");
    assert_eq!(mugs(&mut admin), (units, sold + open), "an order holds what was paid for");
    jaego.end();
}

/// One buyer with eight windows and money for three of the eight carts.
#[test]
fn a_wallet_pays_for_as_many_carts_as_its_money_covers() {
    const BUYS: usize = 100;
    const CARTS: usize = 8;
    const PAID: usize = 3;
    let jaego = Jaego::start();
    let mut admin = jaego.connect();
    let units = (BUYS * CARTS) as u64;
    stock(&mut admin, &["mug".to_owned()], units);
    ok(admin.put("/v1/skus/mug", &json!({"prices": {"KRW": PRICE}})).unwrap());
    let cart = |round: usize, hand: usize| format!("C{round}-{hand}");
    for round in 0..BUYS {
        let owner = format!("kim-{round}");
        // A little more than three cost; every other round the wallet may go below zero, and begins there.
        let limit = if round.is_multiple_of(2) { 0 } else { -(PRICE as i64) };
        let money = (PAID as u64 * PRICE + PRICE - 1).saturating_add_signed(limit);
        let mut commands = vec![
            json!({"op": "charge", "owner": owner, "currency": "KRW", "amount": money}),
            json!({"op": "set_wallet_limit", "owner": owner, "currency": "KRW", "limit": limit}),
        ];
        commands.extend((0..CARTS).flat_map(|hand| {
            let cart = cart(round, hand);
            [
                json!({"op": "set_cart", "cart": cart, "site": "ICN", "owner": owner}),
                json!({"op": "set_cart_item", "cart": cart, "sku": "mug", "quantity": 1}),
            ]
        }));
        all(&mut admin, &commands);
    }
    let hands: [_; CARTS] = std::array::from_fn(|hand| {
        move |connection: &mut Connection, round: usize| {
            let path = format!("/v1/carts/{}/checkout", cart(round, hand));
            connection.post(&path, &json!({"currency": "KRW"})).unwrap()
        }
    });
    let answers = race(&jaego, BUYS, hands.each_ref().map(|hand| hand as Hand<'_>));
    let mut winners = BTreeMap::new();
    for (round, answers) in answers.iter().enumerate() {
        let mut paid = 0;
        for (hand, answer) in answers.iter().enumerate() {
            match said(answer) {
                (200, _) => {
                    paid += 1;
                    *winners.entry(hand).or_insert(0) += 1;
                    let order = ok(admin.get(&format!("/v1/orders/{}", cart(round, hand))).unwrap());
                    assert_eq!((&order["total"], &order["refunded"]), (&json!(PRICE), &json!(0)), "{order}");
                }
                (409, "checkout_blocked") => {
                    let funds = &answer.1["funds"];
                    assert_eq!(
                        (&funds["available"], &funds["requested"]),
                        (&json!(PRICE - 1), &json!(PRICE)),
                        "round {round}: {}",
                        answer.1
                    );
                    let cart = ok(admin.get(&format!("/v1/carts/{}", cart(round, hand))).unwrap());
                    assert_eq!(cart["status"], "open", "{cart}");
                }
                other => panic!("round {round}: {other:?}"),
            }
        }
        assert_eq!(paid, PAID, "round {round}: {answers:?}");
        let wallet = ok(admin.get(&format!("/v1/wallets/kim-{round}")).unwrap());
        let balance = &wallet["balances"][0];
        let limit = balance["limit"].as_i64().unwrap();
        assert_eq!(balance["balance"], limit + PRICE as i64 - 1, "{wallet}");
        assert_eq!(balance["held"], 0, "{wallet}");
        let statement = ok(admin.get(&format!("/v1/wallets/kim-{round}/statement")).unwrap());
        assert_eq!(statement["items"].as_array().unwrap().len(), 1 + PAID, "{statement}");
    }
    println!("paid by hand: {winners:?}");
    assert!(winners.len() > PAID, "the same hands were always first: that was no race");
    assert_eq!(mugs(&mut admin), (units, (BUYS * PAID) as u64), "an order holds what was paid for");
    jaego.end();
}

/// A worker goes away, its claims lapse, and it comes back under the same name with what it remembers.
#[test]
fn a_worker_who_comes_back_under_its_name_cannot_complete_with_the_fence_of_before() {
    const LEASE: Duration = Duration::from_secs(1);
    let jaego = Jaego::start();
    let mut admin = jaego.connect();
    place_orders(&mut admin);
    let claim = |connection: &mut Connection, lease: u64| -> Vec<u64> {
        let body = json!({"worker": "ann", "policy": "oldest", "count": ROUNDS, "lease_s": lease});
        let answer = ok(connection.post("/v1/sites/ICN/claims", &body).unwrap());
        let claims = answer["claims"].as_array().unwrap();
        assert_eq!(claims.len(), ROUNDS, "all of them wait");
        claims.iter().map(|claim| claim["fence"].as_u64().unwrap()).collect()
    };
    let before = claim(&mut admin, LEASE.as_secs());
    thread::sleep(LEASE + Duration::from_millis(50));
    let after = claim(&mut admin, 300);
    let with = |fences: &[u64], connection: &mut Connection, round: usize| {
        complete(connection, &format!("O{round}"), fences[round])
    };
    let answers = race(
        &jaego,
        ROUNDS,
        [&|one, round| with(&before, one, round), &|one, round| with(&after, one, round)],
    );
    for (round, [late, timely]) in answers.iter().enumerate() {
        assert_eq!(said(late), (409, "claim_lost"), "round {round}");
        assert_eq!(late.1["current_fence"], after[round], "round {round}: {}", late.1);
        assert_eq!(timely.0, 200, "round {round}: {}", timely.1);
    }
    assert_eq!(mugs(&mut admin), (0, 0));
    jaego.end();
}

/// It is back at the very moment at which its claim lapses: it finishes what it had, or what it claims again, once.
#[test]
fn at_the_moment_of_the_lapse_a_name_has_one_claim() {
    let jaego = Jaego::start();
    let mut admin = jaego.connect();
    place_orders(&mut admin);
    let begin = |order: usize| {
        let body = json!({"worker": "ann", "lease_s": 1});
        fence(&ok(admin.post(&format!("/v1/orders/O{order}/claim"), &body).unwrap()))
    };
    let completing =
        |connection: &mut Connection, order: usize, old: u64| complete(connection, &format!("O{order}"), old);
    let claiming = |connection: &mut Connection, order: usize, _| {
        let body = json!({"worker": "ann", "lease_s": 300});
        connection.post(&format!("/v1/orders/O{order}/claim"), &body).unwrap()
    };
    let mut after = jaego.connect();
    let look =
        |order: usize, old: u64, [completed, claimed]: &[Answer; 2]| match (said(completed), said(claimed)) {
            // Before the lapse the same name has the same claim.
            ((200, _), (200, _)) => {
                assert_eq!((fence(&claimed.1), &claimed.1["repeat"]), (old, &json!(true)), "order {order}");
                "told of its claim, which it completed"
            }
            ((200, _), (409, "order_completed")) => "completed",
            ((409, "claim_lost"), (200, _)) => {
                let new = fence(&claimed.1);
                // Where the claim was asked for before the lapse, the completion came after it.
                if new != old {
                    let again = complete(&mut after, &format!("O{order}"), old);
                    assert_eq!(said(&again), (409, "claim_lost"), "order {order}");
                    ok(complete(&mut after, &format!("O{order}"), new));
                }
                "lost"
            }
            other => panic!("order {order}: {other:?}"),
        };
    at_lapses(&jaego, begin, [&completing, &claiming], look, "lost");
    jaego.end();
}

/// Kim's cart holds the last unit, and lee has one that waits for it.
#[test]
fn at_the_moment_of_the_lapse_the_last_unit_is_sold_once() {
    let jaego = Jaego::start();
    let mut admin = jaego.connect();
    let skus: Vec<_> = (0..ROUNDS).map(|round| format!("S{round}")).collect();
    stock(&mut admin, &skus, 1);
    let mut commands: Vec<_> = ["kim", "lee"]
        .map(|owner| json!({"op": "charge", "owner": owner, "currency": "KRW", "amount": PRICE * ROUNDS as u64}))
        .into();
    commands.extend(skus.iter().map(|sku| json!({"op": "set_sku", "sku": sku, "prices": {"KRW": PRICE}})));
    for (round, sku) in skus.iter().enumerate() {
        let cart = |cart: &str, owner: &str, hold_s: Option<u32>| {
            json!({"op": "set_cart", "cart": format!("{cart}{round}"), "site": "ICN", "owner": owner,
                "hold_s": hold_s})
        };
        commands.extend([cart("K", "kim", Some(1)), cart("L", "lee", None)]);
        let item = json!({"op": "set_cart_item", "cart": format!("L{round}"), "sku": sku, "quantity": 1});
        commands.push(item);
    }
    all(&mut admin, &commands);
    let begin = |round: usize| {
        let held =
            ok(admin.put(&format!("/v1/carts/K{round}/items/S{round}"), &json!({"quantity": 1})).unwrap());
        assert!(held["expires_at"].is_string(), "{held}");
    };
    let kim = |connection: &mut Connection, round: usize, ()| checkout(connection, &format!("K{round}"));
    let lee = |connection: &mut Connection, round: usize, ()| checkout(connection, &format!("L{round}"));
    let (mut rounds, mut of_lee) = (0, 0);
    let look = |round: usize, (), answers: &[Answer; 2]| {
        rounds += 1;
        match answers.each_ref().map(said) {
            [(200, _), (409, "checkout_blocked")] => "kim's",
            [(409, "checkout_blocked"), (200, _)] => {
                of_lee += 1;
                "lee's"
            }
            other => panic!("round {round}: {other:?}"),
        }
    };
    at_lapses(&jaego, begin, [&kim, &lee], look, "lee's");
    let mut admin = jaego.connect();
    for (owner, bought) in [("kim", rounds - of_lee), ("lee", of_lee)] {
        let wallet = ok(admin.get(&format!("/v1/wallets/{owner}")).unwrap());
        let left = PRICE * (ROUNDS as u64 - bought);
        assert_eq!(wallet["balances"][0]["balance"], left, "{wallet}");
    }
    jaego.end();
}

fn checkout(connection: &mut Connection, cart: &str) -> Answer {
    connection.post(&format!("/v1/carts/{cart}/checkout"), &json!({"currency": "KRW"})).unwrap()
}

/// What a hand does in a round that began with this.
type HandAt<'a, T> = &'a (dyn Fn(&mut Connection, usize, T) -> Answer + Sync);

/// Lets two hands act at the moment at which something lapses that `begin` begins in each round, and that stands for a
/// second. `look` names what came of a round; it is over when `late`, which only comes after the lapse, and something else
/// were seen.
fn at_lapses<T: Copy + Sync>(
    jaego: &Jaego,
    mut begin: impl FnMut(usize) -> T,
    hands: [HandAt<'_, T>; 2],
    mut look: impl FnMut(usize, T, &[Answer; 2]) -> &'static str,
    late: &str,
) {
    const LIFE: Duration = Duration::from_secs(1);
    /// Rounds that begin one after the other, so that they lapse one after the other.
    const LAPSES: usize = 100;
    /// Between one and the next.
    const STEP: Duration = Duration::from_millis(10);
    /// How long before the lapse the first try begins, and how long after it it ends …
    const WINDOW: Duration = Duration::from_millis(4);
    /// … and how much wider the next try is, until both outcomes were seen or the rounds are used up.
    const WIDER: u32 = 3;
    let sleep_until = |at: Instant| thread::sleep(at.saturating_duration_since(Instant::now()));
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut window = WINDOW;
    for first in (0..ROUNDS).step_by(LAPSES) {
        let start = Instant::now();
        let mut begun = Vec::new();
        for index in 0..LAPSES {
            sleep_until(start + STEP * u32::try_from(index).unwrap());
            let what = begin(first + index);
            begun.push((Instant::now(), what));
        }
        let act = |hand: HandAt<'_, T>, connection: &mut Connection, index: usize| {
            let offset = window * 2 * u32::try_from(index).unwrap() / u32::try_from(LAPSES).unwrap();
            sleep_until(begun[index].0 + LIFE + offset - window);
            hand(connection, first + index, begun[index].1)
        };
        let [one, other] = hands;
        let answers = race(
            jaego,
            LAPSES,
            [&|connection, index| act(one, connection, index), &|connection, index| {
                act(other, connection, index)
            }],
        );
        for (index, answers) in answers.iter().enumerate() {
            *seen.entry(look(first + index, begun[index].1, answers)).or_default() += 1;
        }
        println!("{window:?} around the lapse: {seen:?}");
        if seen.contains_key(late) && seen.len() > 1 {
            return;
        }
        window *= WIDER;
    }
    panic!("the moment of the lapse was never met: {seen:?}");
}
