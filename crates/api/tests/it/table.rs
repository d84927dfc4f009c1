//! The tables are complete, and every request survives the way through JSON.

use std::collections::BTreeSet;

use jaego_api::{
    COMMANDS, Marks, Method, READS, Repeat, Role,
    limits::{BODY_BYTES_MAX, DOCUMENT_BYTES_MAX},
    read_batch, read_request, table,
};
use jaego_domain::{Code, Command};
use serde_json::{Value, json};

/// A body for every command, as a batch has it.
fn samples() -> Vec<Value> {
    vec![
        json!({"op": "set_site", "site": "ICN", "name": "인천", "time_zone": "Asia/Seoul", "strategy": "fifo"}),
        json!({"op": "set_location", "site": "ICN", "location": "A-01", "zone": "A", "pick_order": 7, "kind": "storage"}),
        json!({"op": "set_sku", "sku": "milk", "name": "우유", "tracking": "lot", "safety_stock": {"ICN": 20}, "prices": {"KRW": 3000}}),
        json!({"op": "set_lot", "sku": "milk", "lot": "L1", "received_on": "2026-01-02", "expires_on": "2026-02-03", "blocked": true}),
        json!({"op": "adjust", "id": "A1", "reason": "first count", "release_holds": false,
            "release": [{"kind": "hold", "id": "H1"}, {"kind": "order", "id": "O2"}], "lines": [
            {"site": "ICN", "location": "A-01", "sku": "milk", "lot": "L1", "change": 5, "account": "opening"},
            {"site": "ICN", "location": "A-01", "sku": "mug", "change": -3},
            {"site": "ICN", "location": "A-01", "sku": "cup", "counted": 12}]}),
        json!({"op": "move", "id": "M1", "site": "ICN", "reason": "tidy", "with_holds": true, "lines": [
            {"sku": "milk", "lot": "L1", "quantity": 2, "from": "A-01", "to": "A-02"}]}),
        json!({"op": "reverse", "movement": "1042.0"}),
        json!({"op": "hold", "id": "H1", "owner": "cart-7", "expires_in_s": 600, "partial": "allow", "strategy": "explicit",
            "lines": [{"site": "ICN", "sku": "milk", "quantity": 4, "location": "A-01", "lot": "L1"}]}),
        json!({"op": "confirm_hold", "hold": "H1", "key": "K1", "lines": [{"line": 1, "quantity": 2}], "to": {"location": "S-01"}, "release_rest": true}),
        json!({"op": "release_hold", "hold": "H1", "fenced": "product:42=7", "lines": [{"line": 1}]}),
        json!({"op": "extend_hold", "hold": "H1", "expires_in_s": 60}),
        json!({"op": "change_hold", "hold": "H1", "partial": "forbid", "strategy": "fefo", "lines": [{"site": "ICN", "sku": "mug", "quantity": 9}]}),
        json!({"op": "request_transfer", "id": "T1", "from": "ICN", "to": "PUS", "priority": 3, "lines": [
            {"line": "1", "sku": "milk", "quantity": 6, "lot": "L1"}, {"line": "2", "sku": "mug", "quantity": 1}]}),
        json!({"op": "allocate_transfer", "transfer": "T1", "strategy": "explicit", "partial": "forbid", "dry_run": true, "lines": [
            {"line": "1", "quantity": 2, "location": "A-01", "lot": "L1"}]}),
        json!({"op": "release_transfer", "transfer": "T1", "lines": [{"line": "1", "quantity": 1}]}),
        json!({"op": "cancel_transfer", "transfer": "T1", "release": true}),
        json!({"op": "pick_transfer", "transfer": "T1", "staging": "S-01", "worker": "ann", "fence": 7, "lines": [
            {"line": "1", "location": "A-01", "lot": "L1", "quantity": 1, "short": {"quantity": 1, "reason": "damaged"}}]}),
        json!({"op": "unpick_transfer", "transfer": "T1", "to": "A-02", "lines": [{"line": "1"}]}),
        json!({"op": "ship_transfer", "transfer": "T1", "shipment": "S1", "lines": [{"line": "1"}]}),
        json!({"op": "receive_transfer", "transfer": "T1", "location": "R-01", "quarantine": "Q-01", "lines": [
            {"line": "1", "lot": "L1", "quantity": 1, "damaged": 1}]}),
        json!({"op": "close_transfer", "transfer": "T1"}),
        json!({"op": "charge", "owner": "kim", "currency": "KRW", "amount": 5000, "reason": "카드", "reference": "R-1", "key": "K2"}),
        json!({"op": "pay", "owner": "kim", "currency": "KRW", "amount": 1}),
        json!({"op": "refund", "owner": "kim", "currency": "KRW", "amount": 1}),
        json!({"op": "set_wallet_limit", "owner": "kim", "currency": "KRW", "limit": -5000}),
        json!({"op": "authorize", "id": "AU1", "owner": "kim", "currency": "KRW", "amount": 3, "reference": "R-1"}),
        json!({"op": "capture", "owner": "kim", "authorization": "AU1", "amount": 2, "release_rest": true}),
        json!({"op": "void", "owner": "kim", "authorization": "AU1"}),
        json!({"op": "set_order_allocation", "site": "ICN", "allocation": "at_completion"}),
        json!({"op": "place_order", "id": "O1", "site": "ICN", "customer": "kim", "priority": 3, "backorder": true, "lines": [
            {"sku": "milk", "quantity": 6, "lot": "L1"}, {"sku": "mug", "quantity": 1}]}),
        json!({"op": "allocate_order", "order": "O1", "key": "K2"}),
        json!({"op": "cancel_order", "order": "O1"}),
        json!({"op": "claim_order", "order": "O1", "worker": "ann", "lease_s": 60}),
        json!({"op": "claim_orders", "site": "ICN", "worker": "ann", "policy": "random", "count": 9, "lease_s": 60}),
        json!({"op": "extend_claim", "order": "O1", "worker": "ann", "fence": 1042, "lease_s": 60}),
        json!({"op": "unclaim_order", "order": "O1", "worker": "ann", "fence": 1042}),
        json!({"op": "complete_order", "order": "O1", "worker": "ann", "fence": 1042}),
        json!({"op": "raise_fence", "resource": "product:42", "fence": 1042}),
        json!({"op": "set_price_tiers", "from": [0, 10000, 50000]}),
        json!({"op": "set_card", "card": "sword", "owner": "kim", "price": 9000, "key": "K3"}),
        json!({"op": "propose", "id": "P1", "owner": "kim", "from_card": "sword", "to_card": "shield"}),
        json!({"op": "accept_proposal", "proposal": "P1", "owner": "lee"}),
        json!({"op": "reject_proposal", "proposal": "P1", "owner": "lee"}),
        json!({"op": "withdraw_proposal", "proposal": "P1", "owner": "kim"}),
        json!({"op": "claim_transfer", "transfer": "T1", "worker": "ann", "zone": "A", "lease_s": 60}),
        json!({"op": "claim_orders", "site": "ICN", "worker": "ann", "work": "picks", "zone": "", "policy": "random", "count": 3}),
        json!({"op": "extend_transfer_claim", "transfer": "T1", "worker": "ann", "fence": 1042, "lease_s": 60}),
        json!({"op": "unclaim_transfer", "transfer": "T1", "worker": "ann", "fence": 1042, "zone": "A"}),
        json!({"op": "set_cart", "cart": "C1", "site": "ICN", "owner": "kim", "hold_s": 600}),
        json!({"op": "set_cart_item", "cart": "C1", "sku": "milk", "quantity": 2}),
        json!({"op": "discard_cart", "cart": "C1", "key": "K3"}),
        json!({"op": "checkout", "cart": "C1", "currency": "KRW", "expected_total": 6000, "order": "O1"}),
        json!({"op": "refund_order", "order": "O1", "amount": 3000, "reason": "broken"}),
    ]
}

fn by() -> Code {
    Code::new("by", "tester").unwrap()
}

fn in_batch(sample: &Value) -> Command {
    let body = json!({ "commands": [sample] }).to_string();
    let batch = read_batch(body.as_bytes(), &by()).unwrap_or_else(|problem| panic!("{sample}: {problem}"));
    assert_eq!(batch.refused, [], "{sample}");
    batch.requests[0].command().clone()
}

/// Every variant of the commands: one added to the decisions does not compile here until it has its place.
fn number(command: &Command) -> usize {
    match command {
        Command::SetSite(_) => 0,
        Command::SetLocation(_) => 1,
        Command::SetSku(_) => 2,
        Command::SetLot(_) => 3,
        Command::Adjust(_) => 4,
        Command::Move(_) => 5,
        Command::Reverse(_) => 6,
        Command::PlaceHold(_) => 7,
        Command::ConfirmHold(_) => 8,
        Command::ReleaseHold(_) => 9,
        Command::ExtendHold(_) => 10,
        Command::ChangeHold(_) => 11,
        Command::RequestTransfer(_) => 12,
        Command::AllocateTransfer(_) => 13,
        Command::ReleaseTransfer(_) => 14,
        Command::CancelTransfer(_) => 15,
        Command::PickTransfer(_) => 16,
        Command::UnpickTransfer(_) => 17,
        Command::ShipTransfer(_) => 18,
        Command::ReceiveTransfer(_) => 19,
        Command::CloseTransfer(_) => 20,
        Command::Charge(_) => 21,
        Command::Pay(_) => 22,
        Command::Refund(_) => 23,
        Command::SetWalletLimit(_) => 24,
        Command::Authorize(_) => 25,
        Command::Capture(_) => 26,
        Command::Void(_) => 27,
        Command::SetOrderAllocation(_) => 28,
        Command::PlaceOrder(_) => 29,
        Command::AllocateOrder(_) => 30,
        Command::CancelOrder(_) => 31,
        Command::ClaimOrder(_) => 32,
        Command::ClaimOrders(_) => 33,
        Command::ExtendClaim(_) => 34,
        Command::UnclaimOrder(_) => 35,
        Command::CompleteOrder(_) => 36,
        Command::RaiseFence(_) => 37,
        Command::SetPriceTiers(_) => 38,
        Command::SetCard(_) => 39,
        Command::Propose(_) => 40,
        Command::AcceptProposal(_) => 41,
        Command::RejectProposal(_) => 42,
        Command::WithdrawProposal(_) => 43,
        Command::ClaimTransfer(_) => 44,
        Command::ClaimPicks(_) => 45,
        Command::ExtendTransferClaim(_) => 46,
        Command::UnclaimTransfer(_) => 47,
        Command::SetCart(_) => 48,
        Command::SetCartItem(_) => 49,
        Command::DiscardCart(_) => 50,
        Command::Checkout(_) => 51,
        Command::RefundOrder(_) => 52,
    }
}

#[test]
fn the_table_has_every_command_under_its_own_name() {
    let commands: Vec<_> = samples().iter().map(in_batch).collect();
    let numbers: Vec<_> = commands.iter().map(number).collect();
    assert_eq!(numbers, (0..=52).collect::<Vec<_>>());
    let named: BTreeSet<_> = commands.iter().map(Command::name).collect();
    let rows: BTreeSet<_> = COMMANDS.iter().map(|row| row.op).collect();
    assert_eq!(named, rows);
    assert_eq!(rows.len(), COMMANDS.len(), "two rows have one name");
}

#[test]
fn a_command_is_the_same_on_its_route_and_in_a_batch_wherever_op_stands() {
    for sample in samples() {
        let row = table::command(sample["op"].as_str().unwrap()).unwrap();
        let expected = in_batch(&sample);
        let Value::Object(mut fields) = sample.clone() else { panic!("{sample}") };
        fields.remove("op");
        let (key, fenced) = (fields.remove("key"), fields.remove("fenced"));
        // JSON maps are written in the order of their names here, so that `op` comes late for most commands.
        let values: Vec<_> = row
            .path_parameters()
            .map(|name| (name, fields.remove(name).unwrap().as_str().unwrap().to_owned()))
            .collect();
        let path: Vec<_> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let body = Value::Object(fields.clone()).to_string();
        let key = key.as_ref().and_then(Value::as_str);
        let fenced = fenced.as_ref().and_then(Value::as_str);
        let marks = Marks { key, fenced };
        let request = read_request(row, &path, marks, &by(), body.as_bytes()).unwrap();
        assert_eq!(*request.command(), expected, "{sample}");
        assert_eq!(request.key().map(Code::as_str), key, "{sample}");
        let told = request.fence().map(|fenced| format!("{}={}", fenced.resource(), fenced.fence()));
        assert_eq!(told.as_deref(), fenced, "{sample}");

        let rest = sample.to_string().replace(&format!(r#""op":"{}","#, row.op), "");
        let rest = rest.replace(&format!(r#","op":"{}""#, row.op), "");
        let first = format!(r#"{{"commands":[{{"op":"{}",{}]}}"#, row.op, &rest[1..]);
        let batch =
            read_batch(first.as_bytes(), &by()).unwrap_or_else(|problem| panic!("{first}: {problem}"));
        assert_eq!(*batch.requests[0].command(), expected, "{sample}");
        assert_eq!(batch.requests[0].fence(), request.fence(), "{sample}");
    }
}

#[test]
fn limits_and_roles_are_those_of_their_kind() {
    for row in COMMANDS {
        let documents =
            samples().iter().any(|sample| sample["op"] == row.op && sample.get("lines").is_some());
        assert_eq!(
            row.body_bytes_max,
            if documents { DOCUMENT_BYTES_MAX } else { BODY_BYTES_MAX },
            "{}",
            row.op
        );
        // A cart is set by whoever fills it, and is no setting of the service.
        let is_of_admins = row.repeat == Repeat::Setting && !row.path.starts_with("/v1/carts/");
        assert_eq!(row.role == Role::Admin, is_of_admins, "{}", row.op);
        // What is put twice by two callers is no setting: the late repeat of the first would undo the second.
        let is_put = row.repeat == Repeat::Setting || ["set_card", "set_cart_item"].contains(&row.op);
        assert_eq!(row.method == Method::Put, is_put, "{}", row.op);
        assert!(row.path.starts_with("/v1/"), "{}", row.op);
    }
    let names: BTreeSet<_> = READS.iter().map(|row| row.name).collect();
    assert_eq!(names.len(), READS.len());
}
