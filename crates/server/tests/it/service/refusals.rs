//! What is well formed and wrong: it is refused by name, with the thing or the number that it is about, and changes
//! nothing.

use std::collections::BTreeSet;

use jaego_api::{COMMANDS, table::BATCH_PATH};
use jaego_domain::check;
use jaego_server::Role;
use serde_json::{Value, json};

use super::{
    bad_input::{Before, world},
    support::of,
};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_well_formed_and_wrong_is_told_by_name() {
    let (store, service) = world().await;
    let caller = service.caller(Role::Admin);
    let before = Before::of(&store);
    let line = |site: &str, sku: &str, quantity: u64| json!({"site": site, "sku": sku, "quantity": quantity});
    let holds = |lines: Value| ("hold", json!({"id": "H9", "lines": lines}));
    let asks =
        |lines: Value| ("request_transfer", json!({"id": "T9", "from": "ICN", "to": "PUS", "lines": lines}));
    let wanted = |name: &str, quantity: u64| json!({"line": name, "sku": "mug", "quantity": quantity});
    let adjusts = |line: Value| ("adjust", json!({"id": "J9", "lines": [line]}));
    let at = |field: &str, value: Value| {
        let mut line = json!({"site": "ICN", "location": "A-01", "sku": "mug"});
        line[field] = value;
        line
    };
    // One of the two mugs that are held would have to be released.
    let releases = |all: Value, named: Value| {
        let line = json!({"site": "ICN", "location": "A-01", "sku": "mug", "counted": 1});
        ("adjust", json!({"id": "J9", "lines": [line], "release_holds": all, "release": named}))
    };
    let named = |kind: &str, id: &str| json!([{"kind": kind, "id": id}]);
    let moves = |from: &str, to: &str, quantity: u64| {
        (
            "move",
            json!({"id": "M9", "site": "ICN", "lines": [{"sku": "mug", "quantity": quantity, "from": from, "to": to}]}),
        )
    };
    let orders = |lines: Value| ("place_order", json!({"id": "O9", "site": "ICN", "lines": lines}));
    let wants = |sku: &str, quantity: u64| json!({"sku": sku, "quantity": quantity});
    let claims = |order: &str, lease_s: u64| {
        ("claim_order", json!({"order": order, "worker": "ann", "lease_s": lease_s}))
    };
    let claims_at = |site: &str, count: u64| {
        ("claim_orders", json!({"site": site, "worker": "ann", "policy": "oldest", "count": count}))
    };
    let proposes = |id: &str, owner: &str, to_card: &str| {
        ("propose", json!({"id": id, "owner": owner, "from_card": "sword", "to_card": to_card}))
    };
    const MOST: u64 = 9_007_199_254_740_991;
    let (mut told_of, mut wrong) = (BTreeSet::new(), Vec::new());
    for ((op, fields), status, code, fact) in [
        (
            holds(json!([line("ICN", "mug", 1), line("ICN", "mug", 0)])),
            422,
            "invalid_value",
            ("field", json!("lines[1].quantity")),
        ),
        (holds(json!([line("NOW", "mug", 1)])), 404, "site_not_found", ("site", json!("NOW"))),
        (holds(json!([line("ICN", "cap", 1)])), 404, "sku_not_found", ("sku", json!("cap"))),
        // The line that is refused is named, by its place in the request.
        (
            holds(json!([line("ICN", "mug", 1), line("NOW", "mug", 1)])),
            404,
            "site_not_found",
            ("field", json!("lines[1].site")),
        ),
        (
            asks(json!([wanted("1", 1), wanted("1", 1)])),
            422,
            "duplicate_line",
            ("field", json!("lines[1].line")),
        ),
        (
            asks(json!([wanted("1", 1), {"line": "2", "sku": "mug", "lot": "L1", "quantity": 1}])),
            422,
            "lot_not_tracked",
            ("field", json!("lines[1].lot")),
        ),
        (
            orders(json!([wants("mug", 1), wants("mug", 1), wants("cap", 1)])),
            404,
            "sku_not_found",
            ("field", json!("lines[2].sku")),
        ),
        (adjusts(at("counted", json!(1))), 409, "stock_held", ("field", json!("lines[0].counted"))),
        (
            adjusts(json!({"site": "ICN", "location": "Z-99", "sku": "mug", "change": 1})),
            404,
            "location_not_found",
            ("field", json!("lines[0].location")),
        ),
        (moves("A-01", "Z-99", 1), 404, "location_not_found", ("field", json!("lines[0].to"))),
        (holds(json!([line("PUS", "mug", 1)])), 409, "not_stocked_here", ("site", json!("PUS"))),
        (
            holds(json!([line("ICN", "mug", 9)])),
            409,
            "insufficient_stock",
            (
                "shortages",
                json!([{"line": "1", "sku": "mug", "site": "ICN", "requested": 9, "available": 8}]),
            ),
        ),
        (
            holds(json!([line("ICN", "mug", MOST)])),
            409,
            "insufficient_stock",
            (
                "shortages",
                json!([{"line": "1", "sku": "mug", "site": "ICN", "requested": MOST, "available": 8}]),
            ),
        ),
        (
            ("hold", json!({"id": "H1", "lines": [line("ICN", "mug", 1)]})),
            409,
            "id_taken",
            ("id", json!("H1")),
        ),
        (
            ("pay", json!({"owner": "kim", "currency": "KRW", "amount": 1000})),
            409,
            "insufficient_funds",
            ("available", json!(7)),
        ),
        (
            ("charge", json!({"owner": "kim", "currency": "KRW", "amount": MOST})),
            422,
            "amount_too_large",
            ("max", json!(MOST)),
        ),
        (
            ("refund", json!({"owner": "kim", "currency": "KRW", "amount": 1})),
            409,
            "refund_exceeds_paid",
            ("paid", json!(0)),
        ),
        (
            ("capture", json!({"owner": "lee", "authorization": "AU1"})),
            404,
            "authorization_not_found",
            ("authorization", json!("AU1")),
        ),
        (
            ("capture", json!({"owner": "kim", "authorization": "AU1", "amount": 4})),
            409,
            "not_authorized",
            ("held", json!(3)),
        ),
        (("release_hold", json!({"hold": "H9"})), 404, "hold_not_found", ("hold", json!("H9"))),
        (
            ("release_hold", json!({"hold": "H1", "lines": [{"line": 2}]})),
            404,
            "line_not_found",
            ("line", json!("2")),
        ),
        (
            ("release_hold", json!({"hold": "H1", "lines": [{"line": 1}, {"line": 1}]})),
            422,
            "duplicate_line",
            ("line", json!("1")),
        ),
        (
            ("release_hold", json!({"hold": "H1", "lines": [{"line": 1, "quantity": 3}]})),
            409,
            "not_held",
            ("held", json!(2)),
        ),
        (asks(json!([wanted("1", 1), wanted("1", 1)])), 422, "duplicate_line", ("line", json!("1"))),
        (
            asks(json!([wanted("1", 1), wanted("2", 0)])),
            422,
            "invalid_value",
            ("field", json!("lines[1].quantity")),
        ),
        (
            asks(json!([wanted("1", MOST), wanted("2", 1)])),
            422,
            "invalid_value",
            ("field", json!("quantity")),
        ),
        (
            ("request_transfer", json!({"id": "T9", "from": "ICN", "to": "ICN", "lines": [wanted("1", 1)]})),
            422,
            "same_site",
            ("site", json!("ICN")),
        ),
        (
            ("allocate_transfer", json!({"transfer": "T9"})),
            404,
            "transfer_not_found",
            ("transfer", json!("T9")),
        ),
        (
            ("ship_transfer", json!({"transfer": "T1", "shipment": "S9"})),
            409,
            "nothing_picked",
            ("transfer", json!("T1")),
        ),
        (
            ("receive_transfer", json!({"transfer": "T1"})),
            409,
            "nothing_in_transit",
            ("transfer", json!("T1")),
        ),
        (("pick_transfer", json!({"transfer": "T1"})), 409, "nothing_allocated", ("transfer", json!("T1"))),
        (adjusts(at("change", json!(0))), 422, "invalid_value", ("field", json!("lines[0].change"))),
        (adjusts(at("lot", json!("L1"))), 422, "invalid_value", ("field", json!("lines[0].change"))),
        (adjusts(at("change", json!(-9))), 409, "stock_held", ("held", json!(2))),
        (adjusts(at("change", json!(-11))), 409, "insufficient_stock", ("code", json!("insufficient_stock"))),
        (adjusts(at("counted", json!(1))), 409, "stock_held", ("remaining", json!(1))),
        (releases(json!(false), named("hold", "H9")), 409, "held_by_others", ("to_release", json!(1))),
        (releases(json!(false), named("order", "H1")), 409, "held_by_others", ("releasable", json!(0))),
        (releases(json!(true), named("hold", "H1")), 422, "invalid_value", ("field", json!("release"))),
        (releases(json!(true), json!([])), 422, "invalid_value", ("field", json!("release"))),
        (
            releases(json!(false), vec![named("hold", "H1")[0].clone(); 1_001].into()),
            422,
            "invalid_value",
            ("field", json!("release")),
        ),
        (
            releases(json!(false), json!([{"kind": "hold", "id": "H1"}, {"kind": "wallet", "id": "H1"}])),
            422,
            "invalid_value",
            ("field", json!("release[1].kind")),
        ),
        (adjusts(at("change", json!(MOST))), 422, "quantity_too_large", ("max", json!(MOST))),
        (
            (
                "adjust",
                json!({"id": "J9", "lines": [{"site": "ICN", "location": "A-01", "sku": "mug", "change": 1, "counted": 1}]}),
            ),
            422,
            "invalid_value",
            ("field", json!("lines[0].counted")),
        ),
        (
            (
                "adjust",
                json!({"id": "J9", "lines": [{"site": "ICN", "location": "A-01", "sku": "mug", "lot": "L1", "change": 1}]}),
            ),
            422,
            "lot_not_tracked",
            ("sku", json!("mug")),
        ),
        (
            (
                "adjust",
                json!({"id": "J9", "lines": [{"site": "ICN", "location": "A-01", "sku": "milk", "change": 1}]}),
            ),
            422,
            "lot_required",
            ("sku", json!("milk")),
        ),
        (moves("A-01", "A-01", 1), 422, "invalid_value", ("field", json!("lines[0].to"))),
        (moves("A-01", "B-01", 1), 404, "location_not_found", ("location", json!("B-01"))),
        (moves("A-01", "A-02", 9), 409, "stock_held", ("held", json!(2))),
        (("reverse", json!({"movement": "99.0"})), 404, "movement_not_found", ("movement", json!("99.0"))),
        (("reverse", json!({"movement": "99"})), 422, "invalid_value", ("field", json!("movement"))),
        (("set_sku", json!({"sku": "mug", "tracking": "lot"})), 409, "tracking_fixed", ("sku", json!("mug"))),
        (
            ("set_location", json!({"site": "ICN", "location": "A-01", "kind": "staging"})),
            409,
            "location_occupied",
            ("location", json!("A-01")),
        ),
        (("set_lot", json!({"sku": "mug", "lot": "L1"})), 422, "lot_not_tracked", ("sku", json!("mug"))),
        (
            ("set_sku", json!({"sku": "cup", "prices": {"won": 5}})),
            422,
            "invalid_value",
            ("field", json!("prices")),
        ),
        (
            ("set_cart", json!({"cart": "C1", "site": "PUS", "owner": "kim"})),
            409,
            "id_taken",
            ("id", json!("C1")),
        ),
        (
            ("set_cart_item", json!({"cart": "C9", "sku": "mug", "quantity": 1})),
            404,
            "cart_not_found",
            ("cart", json!("C9")),
        ),
        (
            ("set_cart_item", json!({"cart": "C1", "sku": "cap", "quantity": 1})),
            404,
            "sku_not_found",
            ("sku", json!("cap")),
        ),
        (("refund_order", json!({"order": "O9"})), 404, "order_not_found", ("order", json!("O9"))),
        (
            ("refund_order", json!({"order": "O9", "amount": 0})),
            422,
            "invalid_value",
            ("field", json!("amount")),
        ),
        (("discard_cart", json!({"cart": "C9"})), 404, "cart_not_found", ("cart", json!("C9"))),
        (("checkout", json!({"cart": "C1", "currency": "KRW"})), 409, "cart_empty", ("cart", json!("C1"))),
        (
            ("checkout", json!({"cart": "C9", "currency": "KRW"})),
            404,
            "cart_not_found",
            ("cart", json!("C9")),
        ),
        // Documents with holds.
        (("confirm_hold", json!({"hold": "H9"})), 404, "hold_not_found", ("hold", json!("H9"))),
        (
            ("confirm_hold", json!({"hold": "H1", "lines": [{"line": 1}, {"line": 1}]})),
            422,
            "duplicate_line",
            ("line", json!("1")),
        ),
        (
            ("confirm_hold", json!({"hold": "H1", "lines": [{"line": 1, "quantity": 3}]})),
            409,
            "not_held",
            ("held", json!(2)),
        ),
        (
            ("extend_hold", json!({"hold": "H9", "expires_in_s": 60})),
            404,
            "hold_not_found",
            ("hold", json!("H9")),
        ),
        (
            ("extend_hold", json!({"hold": "H1", "expires_in_s": 366 * 86_400 + 1})),
            422,
            "invalid_value",
            ("field", json!("expires_in_s")),
        ),
        (
            ("change_hold", json!({"hold": "H9", "lines": [line("ICN", "mug", 1)]})),
            404,
            "hold_not_found",
            ("hold", json!("H9")),
        ),
        (
            ("change_hold", json!({"hold": "H1", "lines": [line("ICN", "cap", 1)]})),
            404,
            "sku_not_found",
            ("sku", json!("cap")),
        ),
        (
            ("cancel_transfer", json!({"transfer": "T9"})),
            404,
            "transfer_not_found",
            ("transfer", json!("T9")),
        ),
        (("close_transfer", json!({"transfer": "T9"})), 404, "transfer_not_found", ("transfer", json!("T9"))),
        (
            ("release_transfer", json!({"transfer": "T1", "lines": [{"line": "9", "quantity": 1}]})),
            404,
            "line_not_found",
            ("line", json!("9")),
        ),
        (
            ("unpick_transfer", json!({"transfer": "T1", "lines": [{"line": "9", "quantity": 1}]})),
            409,
            "nothing_picked",
            ("transfer", json!("T1")),
        ),
        (
            ("set_site", json!({"site": "ICN", "time_zone": "Asia/Nowhere"})),
            422,
            "invalid_value",
            ("field", json!("time_zone")),
        ),
        // Orders and the work on them.
        (
            orders(json!([wants("mug", 1), wants("mug", 0)])),
            422,
            "invalid_value",
            ("field", json!("lines[1].quantity")),
        ),
        (orders(json!([wants("cap", 1)])), 404, "sku_not_found", ("sku", json!("cap"))),
        (
            ("place_order", json!({"id": "O9", "site": "NOW", "lines": [wants("mug", 1)]})),
            404,
            "site_not_found",
            ("site", json!("NOW")),
        ),
        (
            ("place_order", json!({"id": "O1", "site": "ICN", "lines": [wants("mug", 1)]})),
            409,
            "id_taken",
            ("id", json!("O1")),
        ),
        (
            orders(json!([wants("mug", 8), wants("mug", 1)])),
            409,
            "insufficient_stock",
            ("code", json!("insufficient_stock")),
        ),
        (
            (
                "place_order",
                json!({"id": "O9", "site": "ICN", "lines": [{"sku": "mug", "quantity": 1, "lot": "L1"}]}),
            ),
            422,
            "lot_not_tracked",
            ("sku", json!("mug")),
        ),
        (("allocate_order", json!({"order": "O9"})), 404, "order_not_found", ("order", json!("O9"))),
        (("cancel_order", json!({"order": "O9"})), 404, "order_not_found", ("order", json!("O9"))),
        (
            ("set_order_allocation", json!({"site": "NOW", "allocation": "on_demand"})),
            404,
            "site_not_found",
            ("site", json!("NOW")),
        ),
        (claims("O9", 60), 404, "order_not_found", ("order", json!("O9"))),
        (claims("O1", 86_401), 422, "invalid_value", ("field", json!("lease_s"))),
        (claims_at("NOW", 1), 404, "site_not_found", ("site", json!("NOW"))),
        (claims_at("ICN", 1_001), 422, "invalid_value", ("field", json!("count"))),
        (
            ("extend_claim", json!({"order": "O1", "worker": "ann", "fence": 7, "lease_s": 60})),
            409,
            "claim_lost",
            ("order", json!("O1")),
        ),
        (
            ("unclaim_order", json!({"order": "O1", "worker": "ann", "fence": 7})),
            409,
            "claim_lost",
            ("order", json!("O1")),
        ),
        (
            ("complete_order", json!({"order": "O9", "worker": "ann", "fence": 7})),
            404,
            "order_not_found",
            ("order", json!("O9")),
        ),
        (
            ("claim_transfer", json!({"transfer": "T9", "worker": "ann", "zone": ""})),
            404,
            "transfer_not_found",
            ("transfer", json!("T9")),
        ),
        (
            ("extend_transfer_claim", json!({"transfer": "T1", "worker": "ann", "fence": 7, "zone": ""})),
            409,
            "claim_lost",
            ("transfer", json!("T1")),
        ),
        (
            ("unclaim_transfer", json!({"transfer": "T1", "worker": "ann", "fence": 7, "zone": ""})),
            409,
            "claim_lost",
            ("transfer", json!("T1")),
        ),
        (
            ("raise_fence", json!({"resource": "product:42", "fence": 0})),
            422,
            "invalid_value",
            ("field", json!("fence")),
        ),
        // Money.
        (
            ("authorize", json!({"id": "AU9", "owner": "kim", "currency": "KRW", "amount": 1_000})),
            409,
            "insufficient_funds",
            ("available", json!(7)),
        ),
        (
            ("authorize", json!({"id": "AU1", "owner": "lee", "currency": "KRW", "amount": 1})),
            409,
            "id_taken",
            ("id", json!("AU1")),
        ),
        (
            ("void", json!({"owner": "kim", "authorization": "AU9"})),
            404,
            "authorization_not_found",
            ("authorization", json!("AU9")),
        ),
        (
            ("set_wallet_limit", json!({"owner": "kim", "currency": "KRW", "limit": 11})),
            409,
            "limit_above_balance",
            ("code", json!("limit_above_balance")),
        ),
        (
            ("pay", json!({"owner": "kim", "currency": "won", "amount": 1})),
            422,
            "invalid_value",
            ("field", json!("currency")),
        ),
        // Trades.
        (
            ("set_card", json!({"card": "sword", "owner": "kim", "price": -1})),
            422,
            "invalid_value",
            ("field", json!("price")),
        ),
        (
            ("set_card", json!({"card": "sword", "owner": "lee", "price": 9_000})),
            409,
            "card_not_owned",
            ("owned_by", json!("kim")),
        ),
        (
            ("set_card", json!({"card": "axe", "owner": "lee", "price": 9_000, "from_owner": "kim"})),
            404,
            "card_not_found",
            ("card", json!("axe")),
        ),
        (("set_price_tiers", json!({"from": [0, 5, 5]})), 422, "invalid_value", ("field", json!("from"))),
        (("set_price_tiers", json!({"from": [1, 5]})), 422, "invalid_value", ("field", json!("from"))),
        (proposes("P9", "kim", "axe"), 404, "card_not_found", ("card", json!("axe"))),
        (proposes("P9", "lee", "crown"), 409, "card_not_owned", ("card", json!("sword"))),
        (proposes("P9", "kim", "shield"), 409, "pair_proposed", ("proposal", json!("P1"))),
        (proposes("P1", "kim", "crown"), 409, "id_taken", ("id", json!("P1"))),
        (
            ("accept_proposal", json!({"proposal": "P9", "owner": "lee"})),
            404,
            "proposal_not_found",
            ("proposal", json!("P9")),
        ),
        (
            ("accept_proposal", json!({"proposal": "P1", "owner": "kim"})),
            409,
            "card_not_owned",
            ("card", json!("shield")),
        ),
        (
            ("reject_proposal", json!({"proposal": "P1", "owner": "kim"})),
            409,
            "card_not_owned",
            ("card", json!("shield")),
        ),
        (
            ("withdraw_proposal", json!({"proposal": "P1", "owner": "lee"})),
            409,
            "card_not_owned",
            ("card", json!("sword")),
        ),
        // Carts.
        (
            ("set_cart", json!({"cart": "C9", "site": "NOW", "owner": "kim"})),
            404,
            "site_not_found",
            ("site", json!("NOW")),
        ),
    ] {
        told_of.insert(op);
        let (got, problem) = of(&caller.command(op, &fields).await);
        if (got, &problem["code"], &problem[fact.0]) != (status, &json!(code), &fact.1) {
            wrong.push(format!("{op} {fields}: {problem} and not {status} {code} {fact:?}"));
        }
        // What a creation says wrong it says wrong in a batch too.
        let mut command = json!({"op": op});
        command.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let (got, answer) = caller.post(BATCH_PATH, &json!({"commands": [command]})).await;
        if (got, &answer["items"][0]["problem"]["code"]) != (200, &json!(code)) {
            wrong.push(format!("{op} {fields} in a batch: {answer} and not {code}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    before.is_unchanged(&store);
    let unnamed: Vec<_> = COMMANDS.iter().map(|row| row.op).filter(|op| !told_of.contains(op)).collect();
    assert!(unnamed.is_empty(), "these have no row: {unnamed:?}");
}

/// Large numbers are no bad input, and nobody adds them up into what does not fit.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_more_than_there_can_be_is_placed_read_and_cancelled() {
    let (store, service) = world().await;
    let caller = service.caller(Role::Admin);
    let most = json!({"sku": "mug", "quantity": 9_007_199_254_740_991_u64});
    // More than 64 bits have, all lines together.
    let lines = vec![most; 2_100];
    let order = json!({"id": "O9", "site": "ICN", "backorder": true, "lines": lines});
    let transfer_lines: Vec<_> = (1..=2)
        .map(|line| json!({"line": line.to_string(), "sku": "mug", "quantity": 9_007_199_254_740_991_u64}))
        .collect();
    let transfer = json!({"id": "T9", "from": "ICN", "to": "PUS", "lines": transfer_lines});
    for (method, path, body, status) in [
        ("POST", "/v1/orders", order.to_string(), 200),
        ("GET", "/v1/orders/O9", String::new(), 200),
        ("GET", "/v1/orders/O9/explain", String::new(), 200),
        ("GET", "/v1/orders", String::new(), 200),
        ("POST", "/v1/orders/O9/allocate", "{}".to_owned(), 409),
        ("POST", "/v1/transfers", transfer.to_string(), 422),
        ("GET", "/v1/skus/mug/stock", String::new(), 200),
        ("POST", "/v1/orders/O9/cancel", "{}".to_owned(), 200),
    ] {
        let answer = caller.send(method, path, &[], &body).await;
        let shown = String::from_utf8_lossy(&answer.body[..answer.body.len().min(300)]).into_owned();
        assert_eq!(answer.status, status, "{method} {path}: {shown}");
    }
    store.inspect(|tables, _| check::check(tables).unwrap());
}
