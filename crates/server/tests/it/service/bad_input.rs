//! What bad input gets: for every field of every command each way to get it wrong is a problem document of its own,
//! and changes nothing.

use std::collections::BTreeSet;

use jaego_api::{COMMANDS, CommandRow, openapi::openapi_json, table::BATCH_PATH};
use jaego_domain::check;
use jaego_server::Role;
use jaego_store::Reference;
use serde_json::{Value, json};

use super::support::{Service, of, reference, route, sample};
use crate::shell::support::Answer;

/// Fields that people read, in any script.
const LABELS: [&str; 3] = ["name", "zone", "reason"];
/// Fields with a word out of a list.
const CHOICES: [&str; 8] =
    ["strategy", "partial", "kind", "tracking", "account", "time_zone", "allocation", "policy"];
/// Fields with a list of objects.
const LISTS: [&str; 2] = ["lines", "release"];
/// Fields with a day of the calendar.
const DAYS: [&str; 2] = ["received_on", "expires_on"];

/// Numbers that may be zero.
const MAY_BE_ZERO: [&str; 9] =
    ["pick_order", "priority", "ICN", "KRW", "limit", "price", "expected_total", "damaged", "0"];

/// One byte more than an identifier may have.
pub(super) const TOO_LONG: &str = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

/// A body that is wrong, and what it gets.
struct Wrong {
    what: String,
    body: Vec<u8>,
    status: u16,
    code: &'static str,
    field: Option<String>,
}

fn malformed(what: impl Into<String>, body: impl Into<Vec<u8>>, field: Option<&str>) -> Wrong {
    Wrong {
        what: what.into(),
        body: body.into(),
        status: 400,
        code: "malformed",
        field: field.map(str::to_owned),
    }
}

/// Puts `value`, as JSON has it, where `pointer` points.
fn with(body: &Value, pointer: &str, value: &str) -> String {
    const MARK: &str = "\u{1}here\u{1}";
    let mut body = body.clone();
    *body.pointer_mut(pointer).expect("the sample has it") = MARK.into();
    body.to_string().replace(&json!(MARK).to_string(), value)
}

/// `/lines/0/quantity` as the problems say it.
fn field(pointer: &str) -> String {
    pointer[1..].split('/').fold(String::new(), |field, part| match part.parse::<usize>() {
        Ok(index) => format!("{field}[{index}]"),
        Err(_) if field.is_empty() => part.to_owned(),
        Err(_) => format!("{field}.{part}"),
    })
}

/// Every leaf of a body, by its pointer.
fn leaves(body: &Value, pointer: &str, found: &mut Vec<(String, Value)>) {
    match body {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| leaves(value, &format!("{pointer}/{name}"), found));
        }
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(index, item)| leaves(item, &format!("{pointer}/{index}"), found));
        }
        leaf => found.push((pointer.to_owned(), leaf.clone())),
    }
}

/// What is wrong with a body whatever it is for.
fn shapes(body: &Value) -> Vec<Wrong> {
    let text = body.to_string();
    let mut rows = vec![
        malformed("a word", "\"nonsense\"", None),
        malformed("a number", "7", None),
        malformed("null", "null", None),
        malformed("no JSON", "nonsense", None),
        malformed("an array", format!("[{text}]"), None),
        malformed("two bodies", format!("{text}{text}"), None),
        malformed("half a body", &text.as_bytes()[..text.len() - 1], None),
        malformed("not UTF-8", [&text.as_bytes()[..text.len() - 1], b",\"\xff\":1}"].concat(), None),
    ];
    // What lies deep is refused before it is followed down.
    rows.push(malformed(
        "a deep hole",
        format!("{}\"deep\":{}", &text[..text.len() - 1], "[".repeat(60_000)),
        None,
    ));
    let comma = if text == "{}" { "" } else { "," };
    let unknown = format!("{}{comma}\"nobody\":1}}", &text[..text.len() - 1]);
    rows.push(malformed("an unknown field", unknown, Some("nobody")));
    if let Some((name, value)) = body.as_object().unwrap().iter().next() {
        let twice = format!("{},{}:{value}}}", &text[..text.len() - 1], json!(name));
        rows.push(malformed(format!("{name} twice"), twice, Some(name)));
    }
    for name in LISTS.into_iter().filter(|name| body[*name].is_array()) {
        let item = body[name][0].to_string();
        for (items, code, status, at) in [
            ("{}".to_owned(), "malformed", 400, name.to_owned()),
            ("7".to_owned(), "malformed", 400, name.to_owned()),
            ("[7]".to_owned(), "malformed", 400, format!("{name}[0]")),
            ("[[]]".to_owned(), "malformed", 400, format!("{name}[0]")),
            ("[]".to_owned(), "invalid_value", 422, name.to_owned()),
            (
                format!("[{},\"nobody\":1}}]", &item[..item.len() - 1]),
                "malformed",
                400,
                format!("{name}[0].nobody"),
            ),
        ] {
            let body = with(body, &format!("/{name}"), &items);
            rows.push(Wrong {
                what: format!("{name}: {items}"),
                body: body.into(),
                status,
                code,
                field: Some(at),
            });
        }
    }
    rows
}

/// Every way to get one value wrong.
fn values(body: &Value) -> Vec<Wrong> {
    let mut found = Vec::new();
    leaves(body, "", &mut found);
    let mut rows = Vec::new();
    for (pointer, leaf) in found {
        let at = field(&pointer);
        let name = pointer.rsplit('/').next().unwrap_or_default();
        let mut row = |value: &str, status, code, field: &str| {
            let what = format!("{at}: {}", value.chars().take(80).collect::<String>());
            rows.push(Wrong {
                what,
                body: with(body, &pointer, value).into(),
                status,
                code,
                field: Some(field.into()),
            });
        };
        let wrong_types: &[&str] = match leaf {
            // The line of a hold is a number or the text of one.
            Value::Number(_) if name == "line" => &["true", "[1]", "{}", "1e400"],
            Value::Number(_) => &["\"1\"", "true", "[1]", "{}", "1e400"],
            Value::Bool(_) => &["1", "\"true\"", "null", "[]"],
            _ if leaf == "customer" => &["1", "true", "[]"],
            _ => &["1", "true", "[]", "{}"],
        };
        for value in wrong_types {
            row(value, 400, "malformed", &at);
        }
        match leaf {
            Value::Number(_) => {
                let signed = matches!(name, "change" | "limit");
                // The reader of levels and prices says which object it is in.
                let within = ["safety_stock", "prices"];
                let within = within.into_iter().find(|name| pointer.starts_with(&format!("/{name}/")));
                let at = within.unwrap_or(&at);
                for value in
                    ["0.5", "1.0", "1e3", "9007199254740992", "18446744073709551616", "-9007199254740992"]
                {
                    row(value, 422, "invalid_value", at);
                }
                if !signed {
                    row("-1", 422, "invalid_value", at);
                }
                if name == "line" {
                    for value in ["\"\"", "\"0\"", "\"01\"", "\"one\"", "\"1.0\"", "\"4294967296\""] {
                        row(value, 422, "invalid_value", at);
                    }
                }
            }
            Value::Bool(_) => {}
            _ if DAYS.contains(&name) => {
                for value in
                    ["\"2026-02-30\"", "\"2026-1-1\"", "\"tomorrow\"", "\"\"", "\"2026-01-01T00:00:00Z\""]
                {
                    row(value, 422, "invalid_value", &at);
                }
            }
            _ if CHOICES.contains(&name) || at == "lines[0].short.reason" || leaf == "customer" => {
                for value in ["\"nonsense\"", "\"\"", "\"FEFO\"", "\"\\u0000\""] {
                    row(value, 422, "invalid_value", &at);
                }
            }
            _ if LABELS.contains(&name) => {
                row(&json!("재".repeat(100)).to_string(), 422, "invalid_value", &at);
                row(r#""a\u0000b""#, 422, "invalid_value", &at);
                row(r#""a\nb""#, 422, "invalid_value", &at);
            }
            _ => {
                for value in [
                    json!("x".repeat(65)).to_string().as_str(),
                    r#""""#,
                    r#""..""#,
                    r#""a b""#,
                    r#""a/b""#,
                    r#""a\u0000""#,
                    r#""a\n""#,
                    r#""\u202e""#,
                    r#""재고""#,
                ] {
                    row(value, 422, "invalid_value", &at);
                }
                row("\"a\nb\"", 400, "malformed", &at);
                row(r#""\ud800""#, 400, "malformed", &at);
            }
        }
    }
    rows
}

/// Zero in each number that may not be zero.
fn zeros(op: &str, body: &Value) -> Vec<Wrong> {
    let mut found = Vec::new();
    leaves(body, "", &mut found);
    found.retain(|(_, leaf)| leaf.is_number());
    let mut rows = Vec::new();
    for (pointer, _) in found {
        let at = field(&pointer);
        let name = pointer.rsplit('/').next().unwrap_or_default();
        let (status, code, field) = match (op, at.as_str()) {
            // That takes it out.
            ("set_cart_item", "quantity") => continue,
            // What it is about is asked first, and no claim has the fence zero.
            ("pick_transfer", "fence" | "lines[0].quantity") => (409, "claim_lost", None),
            ("receive_transfer", "lines[0].quantity") => (409, "nothing_in_transit", None),
            (_, "fence") if op != "raise_fence" => (409, "claim_lost", None),
            ("set_price_tiers", "from[1]") => (422, "invalid_value", Some("from")),
            _ if MAY_BE_ZERO.contains(&name) => continue,
            (_, at) => (422, "invalid_value", Some(at)),
        };
        let (what, body) = (format!("{at}: 0"), with(body, &pointer, "0").into());
        rows.push(Wrong { what, body, status, code, field: field.map(str::to_owned) });
    }
    rows
}

/// The document of the API.
struct Document(Value);

impl Document {
    fn read() -> Self {
        Self(serde_json::from_slice(openapi_json().as_ref()).unwrap())
    }

    /// The schema of a command's body.
    fn body(&self, row: &CommandRow) -> &Value {
        let method = row.method.as_str().to_lowercase();
        self.resolve(
            &self.0["paths"][row.path][method]["requestBody"]["content"]["application/json"]["schema"],
        )
    }

    /// The schema itself, where this is the name of one.
    fn resolve<'d>(&'d self, schema: &'d Value) -> &'d Value {
        match schema["$ref"].as_str() {
            Some(name) => self.resolve(self.0.pointer(&name[1..]).expect("the document has what it names")),
            None => schema,
        }
    }

    /// The pointers of the fields that a body has and cannot be without.
    fn required(&self, schema: &Value, body: &Value, at: &str, found: &mut Vec<String>) {
        let schema = self.resolve(schema);
        match body {
            Value::Object(fields) => {
                let required = schema["required"].as_array().cloned().unwrap_or_default();
                for (name, value) in fields {
                    let at = format!("{at}/{name}");
                    self.required(&schema["properties"][name], value, &at, found);
                    if required.contains(&json!(name)) {
                        found.push(at);
                    }
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.required(&schema["items"], item, &format!("{at}/{index}"), found);
                }
            }
            _ => {}
        }
    }
}

/// The body without each of the fields that it cannot be without.
fn missing(body: &Value, required: &[String]) -> Vec<Wrong> {
    let without = |pointer: &String| {
        let (parent, name) = pointer.rsplit_once('/').expect("a pointer begins with a slash");
        let mut body = body.clone();
        body.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name);
        malformed(format!("without {}", field(pointer)), body.to_string(), None)
    };
    required.iter().map(without).collect()
}

/// What other routes take and this one does not.
fn of_other_routes(op: &str, schema: &Value) -> Vec<Wrong> {
    let mut rows = Vec::new();
    for other in COMMANDS.iter().filter(|other| other.op != op) {
        let (_, _, body) = route(other.op, &sample(other.op));
        let is_known = |name: &String| schema["properties"].get(name).is_some();
        if !body.as_object().unwrap().keys().all(is_known) {
            rows.push(malformed(format!("what {} takes", other.op), body.to_string(), None));
        }
    }
    rows
}

/// The code and the field of a problem that is whole.
pub(super) fn told(answer: &Answer) -> (u16, String, Option<String>) {
    let code = answer.code();
    let (_, problem) = of(answer);
    assert!(problem["detail"].as_str().unwrap().len() < 2_000, "{problem}");
    (answer.status, code, problem["field"].as_str().map(str::to_owned))
}

/// What the books were before, to be held against what they are afterwards.
pub(super) struct Before(usize);

impl Before {
    pub(super) fn of(store: &Reference) -> Self {
        Self(store.inspect(|_, events| events.len()))
    }

    pub(super) fn is_unchanged(&self, store: &Reference) {
        store.inspect(|tables, events| {
            assert_eq!(events.len(), self.0, "{:?}", events.last());
            check::check(tables).unwrap();
        });
    }
}

pub(super) async fn world() -> (std::sync::Arc<Reference>, Service) {
    let (store, _) = reference();
    let service = Service::over(store.clone()).await;
    let admin = service.caller(Role::Admin);
    admin.stock(10).await;
    admin.world().await;
    drop(admin);
    (store, service)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_get_a_body_wrong_has_its_own_problem() {
    let (store, service) = world().await;
    let caller = service.caller(Role::Admin);
    let before = Before::of(&store);
    let (mut rows, mut wrong) = (0, Vec::new());
    let mut client = service.connect().await;
    let document = Document::read();
    for command in COMMANDS {
        let samples = [Some(sample(command.op)), (command.op == "claim_orders").then(next_orders)];
        for (method, path, body) in samples.iter().flatten().map(|sample| route(command.op, sample)) {
            let schema = document.body(command);
            let mut required = Vec::new();
            document.required(schema, &body, "", &mut required);
            let of_fields = missing(&body, &required).into_iter().chain(of_other_routes(command.op, schema));
            for row in shapes(&body)
                .into_iter()
                .chain(values(&body))
                .chain(zeros(command.op, &body))
                .chain(of_fields)
            {
                rows += 1;
                let headers = [("Authorization", caller.token.as_str())];
                let answer = client.request(method, &path, &headers, &row.body).await;
                let (status, code, field) = if answer.status < 400 {
                    (answer.status, answer.text().to_owned(), None)
                } else {
                    told(&answer)
                };
                let fits = (status, code.as_str()) == (row.status, row.code)
                    && row.field.as_ref().is_none_or(|expected| field.as_ref() == Some(expected));
                if !fits {
                    let expected = (row.status, row.code, row.field);
                    wrong.push(format!(
                        "{} {}: {:?} and not {expected:?}",
                        command.op,
                        row.what,
                        (status, code, field)
                    ));
                }
            }
        }
    }
    println!("{rows} bodies");
    assert!(wrong.is_empty(), "{} of {rows}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(rows > 1_000);
    before.is_unchanged(&store);
}

/// A sample's fields as a schema has them; whoever follows the schema sends nothing that it does not name, and all
/// that it asks for.
fn documented(schema: &Value, sample: &Value) -> Value {
    let fields = sample.as_object().unwrap().iter();
    let body: Value = match schema["properties"].as_object() {
        Some(properties) => {
            Value::Object(fields.filter(|(name, _)| properties.contains_key(*name)).map(owned).collect())
        }
        None => json!({}),
    };
    for name in schema["required"].as_array().into_iter().flatten() {
        assert!(body.get(name.as_str().unwrap()).is_some(), "{name} is in no sample: {schema}");
    }
    body
}

fn owned((name, value): (&String, &Value)) -> (String, Value) {
    (name.clone(), value.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_body_that_is_documented_is_read() {
    let (_store, service) = world().await;
    let caller = service.caller(Role::Admin);
    let document = Document::read();
    let commands =
        &document.0["paths"][BATCH_PATH]["post"]["requestBody"]["content"]["application/json"]["schema"];
    let mapping = &document.resolve(commands)["properties"]["commands"]["items"]["discriminator"]["mapping"];
    for row in COMMANDS {
        let sample = sample(row.op);
        let (method, path, own) = route(row.op, &sample);
        let body = documented(document.body(row), &sample);
        assert_eq!(body, own, "{} has a field that is not documented", row.op);
        let answer = caller.send(method, &path, &[], body.to_string()).await;
        assert!(!matches!(answer.status, 400 | 422), "{}: {}", row.op, answer.text());
        let in_batch = json!({ "$ref": mapping[row.op] });
        let mut command = documented(document.resolve(&in_batch), &with_op(row.op, &sample));
        command["key"] = format!("again-{}", row.op).into();
        let (_, answer) = caller.post(BATCH_PATH, &json!({ "commands": [command] })).await;
        let problem = &answer["items"][0]["problem"];
        assert!(answer["items"].is_array() && problem["status"] != 422, "{}: {answer}", row.op);
    }
}

fn with_op(op: &str, sample: &Value) -> Value {
    let mut command = sample.clone();
    command["op"] = op.into();
    command
}

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

/// A claim on orders; the sample of the command is one on picks.
fn next_orders() -> Value {
    json!({"site": "ICN", "worker": "ann", "policy": "oldest", "count": 2, "lease_s": 60})
}
