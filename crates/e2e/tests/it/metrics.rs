//! What `/metrics` says of a store whose story is known.

use serde_json::{Value, json};

use crate::jaego::{Jaego, ok, stock};

/// No two of these are the same, so that no gauge can stand in another one's place.
const CLAIMED_ORDERS: usize = 1;
const HOLDS: usize = 2;
const WAITING_ORDERS: usize = 3;
const WAITING_LINES: usize = 4;
const CLAIMED_PICKS: usize = 5;
const WAITING_PICKS: usize = 6;
const CARTS: usize = 7;
const WALLETS: usize = 8;
const AUTHORIZATIONS: usize = 9;
const CARDS: usize = 10;
const PROPOSALS: usize = 11;
const KEYS: usize = 12;
const POSITIONS: usize = 13;

fn some<'a>(
    count: usize,
    op: &'a str,
    body: impl Fn(usize) -> Value + 'a,
) -> impl Iterator<Item = Value> + 'a {
    (0..count).map(move |number| {
        let mut command = body(number);
        command["op"] = json!(op);
        command
    })
}

/// Commands that make as many of each as the names say.
fn story() -> Vec<Value> {
    let line = |number| json!([{"site": "ICN", "sku": format!("S{number}"), "quantity": 1}]);
    let ordered = |number| json!([{"sku": format!("S{number}"), "quantity": 1}]);
    let mut commands: Vec<Value> = Vec::new();
    commands.extend(some(HOLDS, "hold", |n| json!({"id": format!("H{n}"), "lines": line(n)})));
    // One more waits for stock.
    let orders = CLAIMED_ORDERS + WAITING_ORDERS - 1;
    commands.extend(some(
        orders,
        "place_order",
        |n| json!({"id": format!("O{n}"), "site": "ICN", "lines": ordered(n)}),
    ));
    commands.extend(some(
        CLAIMED_ORDERS,
        "claim_order",
        |n| json!({"order": format!("O{n}"), "worker": "ann"}),
    ));
    let waits = json!({"sku": "S0", "quantity": 1_000_000});
    commands.extend(some(
        1,
        "place_order",
        |_| json!({"id": "W", "site": "ICN", "backorder": true, "lines": vec![waits.clone(); WAITING_LINES]}),
    ));
    let transfers = CLAIMED_PICKS + WAITING_PICKS;
    commands.extend(some(transfers, "request_transfer", |n| {
        let lines = json!([{"line": "1", "sku": "S1", "quantity": 1}]);
        json!({"id": format!("T{n}"), "from": "ICN", "to": "PUS", "lines": lines})
    }));
    commands.extend(some(transfers, "allocate_transfer", |n| json!({"transfer": format!("T{n}")})));
    commands.extend(some(
        CLAIMED_PICKS,
        "claim_transfer",
        |n| json!({"transfer": format!("T{n}"), "worker": "ann", "zone": ""}),
    ));
    commands.extend(some(
        CARTS,
        "set_cart",
        |n| json!({"cart": format!("C{n}"), "site": "ICN", "owner": "kim"}),
    ));
    commands.extend(some(
        WALLETS,
        "charge",
        |n| json!({"owner": format!("W{n}"), "currency": "KRW", "amount": 100, "reason": "card"}),
    ));
    commands.extend(some(
        AUTHORIZATIONS,
        "authorize",
        |n| json!({"id": format!("A{n}"), "owner": "W0", "currency": "KRW", "amount": 1, "reason": "dinner"}),
    ));
    commands.extend(some(
        CARDS,
        "set_card",
        |n| json!({"card": format!("D{n}"), "owner": if n % 2 == 0 { "kim" } else { "lee" }, "price": 5}),
    ));
    commands.extend(some(PROPOSALS, "propose", |n| {
        let (from, to) = (format!("D{}", n / 5 * 2), format!("D{}", n % 5 * 2 + 1));
        json!({"id": format!("P{n}"), "owner": "kim", "from_card": from, "to_card": to})
    }));
    for (number, command) in commands.iter_mut().take(KEYS).enumerate() {
        command["key"] = json!(format!("K{number}"));
    }
    commands
}

#[test]
fn every_gauge_tells_what_its_name_says() {
    let jaego = Jaego::start();
    let mut connection = jaego.connect();
    let skus: Vec<_> = (0..POSITIONS).map(|number| format!("S{number}")).collect();
    stock(&mut connection, &skus, 100);
    let commands = story();
    ok(connection.post("/v1/batch", &json!({"atomic": true, "commands": commands})).unwrap());
    let metrics = String::from_utf8(connection.send("GET", "/metrics", None, "").unwrap().body).unwrap();
    let number = |name: &str| -> f64 {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in {metrics}")).parse().unwrap()
    };
    let status = ok(connection.get("/v1/status").unwrap());
    let sequence = status["sequence"].as_f64().unwrap();
    let setup = (3 + POSITIONS + 1) as f64;
    let rows = [
        ("jaego_claimed_orders", CLAIMED_ORDERS as f64),
        ("jaego_open_holds", HOLDS as f64),
        ("jaego_waiting_orders", WAITING_ORDERS as f64),
        ("jaego_waiting_lines", WAITING_LINES as f64),
        ("jaego_claimed_picks", CLAIMED_PICKS as f64),
        ("jaego_waiting_picks", WAITING_PICKS as f64),
        ("jaego_open_carts", CARTS as f64),
        ("jaego_wallets", WALLETS as f64),
        ("jaego_open_authorizations", AUTHORIZATIONS as f64),
        ("jaego_cards", CARDS as f64),
        ("jaego_open_proposals", PROPOSALS as f64),
        ("jaego_request_keys", KEYS as f64),
        ("jaego_positions", POSITIONS as f64),
        ("jaego_archived_documents", 0.0),
        ("jaego_leaving_documents", 0.0),
        ("jaego_queue_depth", 0.0),
        ("jaego_expiry_lag_milliseconds", 0.0),
        ("jaego_store_full", 0.0),
        ("jaego_sequence", sequence),
        ("jaego_durable_sequence", sequence),
        ("jaego_batch_requests_count", 2.0),
        ("jaego_batch_requests_sum", setup + commands.len() as f64),
        ("jaego_frame_events_sum", sequence),
    ];
    for (name, expected) in rows {
        assert_eq!(number(name), expected, "{name}");
    }
    let frames = number("jaego_frame_events_count");
    assert!(frames >= 2.0, "{frames} frames for two batches");
    assert_eq!(number("jaego_sync_duration_seconds_count"), frames, "each frame is synced once");
    let synced_s = number("jaego_sync_duration_seconds_sum");
    assert!(synced_s > 0.0 && synced_s < 60.0, "{synced_s} s");
    let window_ms = number("jaego_request_key_window_milliseconds");
    assert!(window_ms > 0.0 && window_ms < 60_000.0, "{window_ms} ms");
    jaego.end();
}
