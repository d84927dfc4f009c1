//! Answers have the shapes that the document promises, and are read back as they were written.

use jaego_api::{
    BatchFormat,
    batch::Batch,
    list,
    outcome::Outcome,
    read_batch, read_ndjson,
    transfer::{Transfer, TransferSummary},
    wallet::Wallet,
};
use jaego_domain::{
    Code, Name, PickWork, Quantity, Refusal, Sequence, Timestamp, View,
    query::{HeldAt, Listed, TransferLineView, TransferView},
    row::{Claim, Totals, TransferStatus},
};
use serde_json::{Value, json};

fn code(text: &str) -> Code {
    Code::new("code", text).unwrap()
}

fn transfer() -> TransferView {
    let totals =
        Totals { requested: Quantity::stored(6), allocated: Quantity::stored(4), ..Totals::default() };
    let pick = HeldAt {
        site: code("ICN"),
        location: code("A-01"),
        lot: Some(code("L1")),
        quantity: Quantity::stored(4),
    };
    TransferView {
        summary: jaego_domain::query::TransferSummary {
            id: code("T1"),
            from: code("ICN"),
            to: code("PUS"),
            status: TransferStatus::PartiallyAllocated,
            priority: 3,
            requested_at: Timestamp(1_772_377_199_999),
            line_count: 1,
            totals,
        },
        lines: vec![TransferLineView {
            line: code("1"),
            sku: code("milk"),
            lot: None,
            totals,
            picks: vec![pick],
            staged: vec![],
            in_transit: vec![(None, Quantity::stored(1))],
        }],
        picking: vec![
            PickWork { zone: Name::default(), lines: 1, claim: None },
            PickWork {
                zone: Name::new("zone", "A").unwrap(),
                lines: 2,
                claim: Some(Claim { worker: code("ann"), fence: Sequence(9), expires_at: Timestamp(0) }),
            },
        ],
    }
}

#[test]
fn a_transfer() {
    let bytes = list::to_json(&View::Transfer(Box::new(transfer())));
    let json: Value = serde_json::from_slice(&bytes).unwrap();
    let totals = json!({"requested": 6, "allocated": 4, "picked": 0, "shipped": 0, "in_transit": 0, "received": 0,
        "damaged": 0, "lost": 0, "closed_short": 0});
    let mut line = json!({"line": "1", "sku": "milk", "lot": null, "quantity": 6, "staged": [],
        "picks": [{"site": "ICN", "location": "A-01", "lot": "L1", "quantity": 4}], "transit": [{"lot": null, "quantity": 1}]});
    line.as_object_mut().unwrap().extend(totals.as_object().unwrap().clone());
    let expected = json!({"id": "T1", "from": "ICN", "to": "PUS", "status": "partially_allocated", "priority": 3,
        "requested_at": "2026-03-01T14:59:59.999Z", "line_count": 1, "totals": totals, "lines": [line],
        "picking": [{"zone": "", "line_count": 1, "claim": null},
            {"zone": "A", "line_count": 2, "claim": {"worker": "ann", "fence": 9, "expires_at": "1970-01-01T00:00:00.000Z"}}]});
    assert_eq!(json, expected);
    let back: Transfer = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(serde_json::to_vec(&back).unwrap(), bytes);
}

#[test]
fn a_wallet_of_an_earlier_server_is_read() {
    let balance =
        json!({ "currency": "KRW", "balance": 3, "held": 0, "available": 3, "limit": 0, "paid": 4 });
    let wallet: Wallet = serde_json::from_value(json!({ "owner": "kim", "balances": [balance] })).unwrap();
    assert_eq!((wallet.balances[0].paid, wallet.balances[0].sold), (4, 0));
}

#[test]
fn a_page_leads_to_the_next() {
    let page = Listed { items: vec![transfer().summary], next: Some(26) };
    let bytes = list::to_json(&View::Transfers(page));
    let read: list::List<TransferSummary> = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(read.items[0].id, "T1");
    assert_eq!(list::place(&read.next.unwrap()), Ok(26));
}

#[test]
fn a_batch_is_answered_in_order() {
    let body = r#"{"commands":[
        {"op":"close_transfer","transfer":"T1"},
        {"op":"close_transfer","transfer":"T 2"},
        {"op":"close_transfer","transfer":"T3"}]}"#;
    let batch = read_batch(body.as_bytes(), &code("tester")).unwrap();
    let outcome = jaego_domain::Outcome {
        sequence: Sequence(7),
        at: Timestamp(0),
        id: Some(code("T1")),
        picks: Default::default(),
        shortages: vec![],
        expires_at: None,
        holders: vec![],
        balance: None,
        claims: vec![],
        trade: None,
        pick_claims: Box::default(),
    };
    let refusal = Refusal::TransferNotFound { transfer: code("T3") };
    let said = || [Ok((&outcome, true)), Err(&refusal)];
    let answers: Batch = serde_json::from_slice(&batch.answer(BatchFormat::Json, said())).unwrap();
    let told: Vec<_> = answers
        .items
        .iter()
        .map(|item| {
            (item.index, &*item.id, item.status.as_str(), item.problem.as_ref().map(|problem| &*problem.code))
        })
        .collect();
    assert_eq!(
        told,
        [
            (0, "T1", "done", None),
            (1, "", "refused", Some("invalid_value")),
            (2, "T3", "refused", Some("transfer_not_found"))
        ]
    );
    assert_eq!(answers.items[0].outcome, Some(Outcome::new(&outcome, true)));
    let lines = String::from_utf8(batch.answer(BatchFormat::Ndjson, said())).unwrap();
    assert_eq!(lines.lines().count(), 3);
    assert!(lines.ends_with('\n') && lines.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
    let nothing = read_ndjson(b"\n\n", false, &code("tester")).unwrap();
    assert_eq!(nothing.answer(BatchFormat::Ndjson, []), b"");
    assert_eq!(nothing.answer(BatchFormat::Json, []), br#"{"items":[]}"#);
}
