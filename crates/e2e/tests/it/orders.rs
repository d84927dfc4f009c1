//! Many workers and one pile of orders: no two of them ever hold the same work, and what one drops another finishes.

use serde_json::{Value, json};

use crate::{
    jaego::{Jaego, ok, stock},
    workers::{Job, nothing_is_left, race},
};

/// Orders of one line, completed one by one.
struct Orders;

impl Job for Orders {
    type Work = String;

    const WORKERS: usize = 32;
    const PIECES: usize = 5_000;

    fn armful(_: usize) -> Value {
        json!({"count": 8})
    }

    fn work(claim: &Value) -> String {
        claim["order"].as_str().unwrap().to_owned()
    }

    fn path(order: &String) -> String {
        format!("/v1/orders/{order}/complete")
    }
}

#[test]
fn workers_that_die_leave_their_orders_to_others_and_every_order_is_completed_once() {
    let jaego = Jaego::start();
    let mut admin = jaego.connect();
    let skus: Vec<_> = (0..4).map(|sku| format!("sku-{sku}")).collect();
    stock(&mut admin, &skus, (Orders::PIECES / skus.len()) as u64);
    let orders: Vec<_> = (0..Orders::PIECES)
        .map(|order| {
            json!({"op": "place_order", "id": format!("O{order}"), "site": "ICN", "priority": order % 3,
                "lines": [{"sku": skus[order % skus.len()], "quantity": 1}]})
        })
        .collect();
    ok(admin.post("/v1/batch", &json!({"atomic": true, "commands": orders})).unwrap());

    let told = race::<Orders>(&jaego);

    let expected = ["claim_lost", "order_completed"];
    assert!(told.keys().all(|code| expected.contains(&&**code)), "{told:?}");
    nothing_is_left(&mut admin, &["waiting_orders", "claimed_orders"]);
    let positions = ok(admin.get("/v1/stock").unwrap());
    assert_eq!(positions["items"], json!([]), "every unit went to a customer");
    jaego.end();
}
