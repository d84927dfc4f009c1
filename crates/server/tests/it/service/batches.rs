//! Batches, request keys and dry runs through HTTP.

use jaego_api::{
    limits::{BATCH_COMMANDS_MAX, BATCH_LINES_MAX, LINES_MAX},
    table::BATCH_PATH,
};
use jaego_server::Role;
use serde_json::{Value, json};

use super::support::{Service, hold, of, reference};

const NDJSON: (&str, &str) = ("content-type", "application/x-ndjson; charset=utf-8");

fn op(op: &str, mut fields: Value) -> Value {
    fields["op"] = op.into();
    fields
}

#[tokio::test(flavor = "multi_thread")]
async fn ndjson_is_answered_line_by_line_in_order() {
    let (store, _) = reference();
    let service = Service::over(store.clone()).await;
    let caller = service.caller(Role::Admin);
    caller.stock(10).await;
    let lines = [
        op("hold", hold("H1", 4)).to_string(),
        String::new(),
        op("hold", hold("H2", 7)).to_string(),
        op("hold", hold("H3", 0)).to_string(),
        op("release_hold", json!({"hold": "H1"})).to_string(),
        op("hold", hold("H2", 7)).to_string(),
    ];
    let answer = caller.send("POST", BATCH_PATH, &[NDJSON], lines.join("\r\n")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    let items: Vec<Value> = answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told = items.iter().enumerate().map(|(index, item)| {
        assert_eq!(item["index"], index, "{item}");
        item["problem"]["code"].as_str().or(item["status"].as_str()).unwrap()
    });
    assert_eq!(told.collect::<Vec<_>>(), ["done", "insufficient_stock", "invalid_value", "done", "done"]);

    // One bad line refuses all, and says where it is.
    let before = store.inspect(|_, events| events.len());
    let lines = [op("hold", hold("H4", 1)).to_string(), "{\"op\":\"hold\",".to_owned()];
    let answer = caller.send("POST", BATCH_PATH, &[NDJSON], lines.join("\n")).await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "malformed"));
    assert_eq!(of(&answer).1["line"], 2);
    assert_eq!(store.inspect(|_, events| events.len()), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_atomic_batch_is_done_as_one_or_refused_as_one() {
    let (store, _) = reference();
    let service = Service::over(store.clone()).await;
    let caller = service.caller(Role::Admin);
    caller.stock(10).await;
    let good = |id: &str, quantity| op("hold", hold(id, quantity));
    let before = store.inspect(|_, events| events.len());
    for (commands, index, code, status) in [
        (vec![good("A1", 4), good("A2", 7)], 1, "insufficient_stock", 409),
        (vec![good("A1", 4), good("A2", 0), good("A3", 9)], 1, "invalid_value", 422),
        (vec![good("A1", 4), op("release_hold", json!({"hold": "nobody"}))], 1, "hold_not_found", 404),
        (vec![good("A1", 11)], 0, "insufficient_stock", 409),
    ] {
        let (got, problem) = caller.post(BATCH_PATH, &json!({"atomic": true, "commands": commands})).await;
        assert_eq!(
            (got, &problem["code"], &problem["index"]),
            (status, &json!(code), &json!(index)),
            "{problem}"
        );
        let lines: Vec<_> = commands.iter().map(Value::to_string).collect();
        let url = format!("{BATCH_PATH}?atomic=true");
        let (got, problem) = of(&caller.send("POST", &url, &[NDJSON], lines.join("\n")).await);
        assert_eq!(
            (got, &problem["code"], &problem["index"]),
            (status, &json!(code), &json!(index)),
            "{problem}"
        );
        assert_eq!(store.inspect(|_, events| events.len()), before, "nothing of it is there");
    }
    let (status, answer) =
        caller.post(BATCH_PATH, &json!({"atomic": true, "commands": [good("A1", 4), good("A2", 6)]})).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["items"].as_array().unwrap().len(), 2);
    let (status, answer) = caller.post(BATCH_PATH, &json!({"commands": []})).await;
    assert_eq!((status, answer), (200, json!({"items": []})));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_key_makes_a_repeat_of_the_same_and_a_conflict_of_another() {
    let (store, _) = reference();
    let service = Service::over(store.clone()).await;
    let caller = service.caller(Role::Admin);
    caller.stock(10).await;
    assert_eq!(caller.post("/v1/holds", &hold("H1", 4)).await.0, 200);
    let release = async |quantity: u64, key: &str| {
        let body = json!({"lines": [{"line": 1, "quantity": quantity}]}).to_string();
        of(&caller.send("POST", "/v1/holds/H1/release", &[("Idempotency-Key", key)], body).await)
    };
    let (status, first) = release(1, "K1").await;
    assert_eq!((status, &first["repeat"]), (200, &json!(false)));
    let (status, again) = release(1, "K1").await;
    assert_eq!((status, &again["repeat"], &again["sequence"]), (200, &json!(true), &first["sequence"]));
    let (status, problem) = release(2, "K1").await;
    assert_eq!(
        (status, &problem["code"], &problem["key"]),
        (409, &json!("idempotency_conflict"), &json!("K1"))
    );
    let (status, second) = release(1, "K2").await;
    assert_eq!((status, &second["repeat"]), (200, &json!(false)));
    // In a batch the same key is the same key.
    let command =
        op("release_hold", json!({"hold": "H1", "lines": [{"line": 1, "quantity": 1}], "key": "K2"}));
    let (_, answer) = caller.post(BATCH_PATH, &json!({"commands": [command]})).await;
    assert_eq!(answer["items"][0]["outcome"]["repeat"], true, "{answer}");
    // A creation's own id is its key.
    let (status, answer) = caller.post("/v1/holds", &hold("H1", 4)).await;
    assert_eq!((status, &answer["repeat"]), (200, &json!(true)));
    let (status, problem) = caller.post("/v1/holds", &hold("H1", 5)).await;
    assert_eq!((status, &problem["code"]), (409, &json!("id_taken")));
    let (_, position) = caller.get("/v1/stock?sku=mug").await;
    assert_eq!(position["items"][0]["held"], 2, "{position}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_changes_nothing() {
    let (store, _) = reference();
    let service = Service::over(store.clone()).await;
    let caller = service.caller(Role::Admin);
    caller.stock(10).await;
    let line = json!({"line": "1", "sku": "mug", "quantity": 4});
    let transfer = json!({"id": "T1", "from": "ICN", "to": "PUS", "lines": [line]});
    assert_eq!(caller.post("/v1/transfers", &transfer).await.0, 200);
    let before = store.inspect(|_, events| events.len());
    let (_, shown) = caller.get("/v1/transfers/T1").await;
    let allocate = async |dry_run: bool, key: &str| {
        let body = json!({"dry_run": dry_run}).to_string();
        of(&caller.send("POST", "/v1/transfers/T1/allocate", &[("idempotency-key", key)], body).await)
    };
    let (status, dry) = allocate(true, "K1").await;
    assert_eq!((status, dry["picks"][0]["quantity"].as_u64()), (200, Some(4)), "{dry}");
    assert_eq!(store.inspect(|_, events| events.len()), before);
    assert_eq!(caller.get("/v1/transfers/T1").await.1, shown);
    let (status, real) = allocate(false, "K2").await;
    assert_eq!((status, &real["picks"], &real["sequence"]), (200, &dry["picks"], &dry["sequence"]), "{real}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_past_a_limit_is_refused_at_once_and_what_is_at_it_is_not() {
    let (store, _) = reference();
    let service = Service::over(store.clone()).await;
    let caller = service.caller(Role::Admin);
    caller.stock(1_000_000).await;
    let line = json!({"site": "ICN", "sku": "mug", "quantity": 1}).to_string();
    let lines = |count: usize| vec![line.as_str(); count].join(",");
    let one = |id: usize, count: usize| format!(r#"{{"op":"hold","id":"B{id}","lines":[{}]}}"#, lines(count));
    let batch = |commands: Vec<String>| format!(r#"{{"commands":[{}]}}"#, commands.join(","));
    let count = |lines: usize| (0..lines / 16).map(|id| one(id, 16)).collect::<Vec<_>>();
    let mut at_the_limit = count(BATCH_LINES_MAX);
    let past = [at_the_limit.clone(), vec![one(99_999, 1)]].concat();
    for (what, path, body, code, max) in [
        (
            "lines of a hold",
            "/v1/holds",
            format!(r#"{{"id":"H1","lines":[{}]}}"#, lines(LINES_MAX + 1)),
            "too_many_lines",
            LINES_MAX,
        ),
        (
            "commands of a batch",
            BATCH_PATH,
            batch((0..=BATCH_COMMANDS_MAX).map(|id| one(id, 1)).collect()),
            "too_large",
            BATCH_COMMANDS_MAX,
        ),
        ("lines of a batch", BATCH_PATH, batch(past), "too_large", BATCH_LINES_MAX),
    ] {
        let before = store.inspect(|_, events| events.len());
        let answer = caller.send("POST", path, &[], body).await;
        assert_eq!((answer.status, answer.code().as_str()), (413, code), "{what}: {}", answer.text());
        assert_eq!(of(&answer).1["max"], max, "{what}");
        assert_eq!(store.inspect(|_, events| events.len()), before, "{what}");
    }
    let body: Vec<_> = (0..=BATCH_COMMANDS_MAX).map(|id| one(id, 1)).collect();
    let answer = caller.send("POST", BATCH_PATH, &[NDJSON], body.join("\n")).await;
    assert_eq!((answer.status, answer.code().as_str()), (413, "too_large"));
    for (what, commands) in [
        ("commands", (0..BATCH_COMMANDS_MAX).map(|id| one(200_000 + id, 1)).collect()),
        ("lines", std::mem::take(&mut at_the_limit)),
    ] {
        let (status, answer) = of(&caller.send("POST", BATCH_PATH, &[], batch(commands)).await);
        let done = answer["items"].as_array().map(|items| items.iter().all(|item| item["status"] == "done"));
        assert_eq!((status, done), (200, Some(true)), "{what}");
    }
}
