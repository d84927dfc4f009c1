//! What bad input gets: for every field of every command each way to get it wrong is a problem document of its own,
//! and changes nothing.

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

/// A claim on orders; the sample of the command is one on picks.
fn next_orders() -> Value {
    json!({"site": "ICN", "worker": "ann", "policy": "oldest", "count": 2, "lease_s": 60})
}
