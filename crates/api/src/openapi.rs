//! The OpenAPI 3.1 document, made from the tables and the types, and the page that shows it.

use std::sync::LazyLock;

use schemars::{Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::{
    batch::Batch,
    body::{FENCED_HEADER, KEY_HEADER, NDJSON_TYPE, SEQUENCE_HEADER},
    limits::{BATCH_COMMANDS_MAX, BATCH_LINES_MAX, DOCUMENT_BYTES_MAX},
    outcome::Outcome,
    problem::{PROBLEM_TYPE, Problem, ProblemKind},
    read::{READS, ReadRow},
    table::{BATCH_PATH, BATCH_ROLE, COMMANDS, CommandRow, HEALTHZ_PATH, METRICS_PATH, READYZ_PATH, Role},
    value::Text,
};

/// The page to read the document and to try it: one file, which loads nothing but `/openapi.json`.
pub const DOCS_HTML: &str = include_str!("docs.html");

/// The document as JSON.
pub fn openapi_json() -> &'static str {
    static JSON: LazyLock<String> = LazyLock::new(|| document().to_string());
    &JSON
}

/// The document.
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut requests = settings.clone().for_deserialize().into_generator();
    let mut answers = settings.for_serialize().into_generator();
    let mut paths = Map::new();
    let mut schemas = Map::new();

    for row in COMMANDS {
        let name = definition_name(&(row.schema)(&mut requests));
        operation(
            &mut paths,
            row.path,
            row.method.as_str(),
            command(row, &name, &mut requests, &mut answers),
        );
        let full = requests.definitions()[&name].clone();
        schemas.insert(format!("{name}Command"), in_batch(row, full));
    }
    for row in READS {
        operation(&mut paths, row.path, "GET", read(row, &mut answers));
    }
    operation(&mut paths, BATCH_PATH, "POST", batch(&mut answers));
    operation(&mut paths, HEALTHZ_PATH, "GET", of_the_shell("healthz", "Whether the process lives", None));
    operation(
        &mut paths,
        READYZ_PATH,
        "GET",
        of_the_shell("readyz", "Whether the service takes requests", None),
    );
    operation(
        &mut paths,
        METRICS_PATH,
        "GET",
        of_the_shell("metrics", "The metrics, as Prometheus reads them", Some(Role::Reader)),
    );
    let problem = answers.subschema_for::<Problem>();

    schemas.extend(requests.take_definitions(true));
    schemas.extend(answers.take_definitions(true));
    for row in COMMANDS {
        let name = definition_name(&(row.schema)(&mut requests));
        let alone = on_its_route(row, schemas[&name].clone());
        schemas.insert(name, alone);
    }
    schemas.insert("BatchRequest".into(), batch_request(&schemas));

    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Jaego",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
            "description": description(),
        },
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": "A token: `jaego_<id>_<secret>`." },
            },
            "responses": {
                "Problem": {
                    "description": "Why the request was not carried out. Nothing was changed, unless the problem \
                        says that this is not known.",
                    "content": { PROBLEM_TYPE: { "schema": problem } },
                },
            },
        },
    })
}

fn description() -> String {
    let mut text = String::from(
        "Stock that is never oversold. Quantities are whole numbers of a SKU's smallest unit. Instants are \
         RFC 3339 in UTC. Unknown fields are refused.\n\nA creation may be sent again with the same `id` and body, \
         and an action with the same `Idempotency-Key`: the first outcome comes again. Do so after `request_timeout`, \
         `store_failed` and `internal`, of a batch after `history_unreadable`, and where no answer came: whether the request took \
         effect is not known.\n\n| code | status | title |\n\
         |---|---|---|\n",
    );
    for kind in ProblemKind::all() {
        text.push_str(&format!("| `{}` | {} | {} |\n", kind.code, kind.status, kind.title));
    }
    text
}

fn operation(paths: &mut Map<String, Value>, path: &str, method: &str, operation: Value) {
    let item = paths.entry(path).or_insert_with(|| json!({}));
    item[method.to_ascii_lowercase()] = operation;
}

fn tag(path: &str) -> &str {
    path.split('/').nth(2).unwrap_or("service")
}

fn definition_name(schema: &Schema) -> String {
    let reference = schema.get("$ref").and_then(Value::as_str).unwrap_or_default();
    reference.rsplit('/').next().unwrap_or_default().to_owned()
}

fn path_parameters(names: impl Iterator<Item = &'static str>, generator: &mut SchemaGenerator) -> Vec<Value> {
    let code = generator.subschema_for::<Text<'static>>();
    names.map(|name| json!({ "name": name, "in": "path", "required": true, "schema": code })).collect()
}

fn answered(schema: Schema) -> Value {
    json!({
        "200": {
            "description": "Done, and durable.",
            "headers": {
                SEQUENCE_HEADER: {
                    "description": "The last event that the answer rests on.",
                    "schema": { "type": "integer" },
                },
            },
            "content": { "application/json": { "schema": schema } },
        },
        "default": { "$ref": "#/components/responses/Problem" },
    })
}

fn command(
    row: &CommandRow,
    name: &str,
    requests: &mut SchemaGenerator,
    answers: &mut SchemaGenerator,
) -> Value {
    let mut parameters = path_parameters(row.path_parameters(), requests);
    parameters.push(json!({
        "name": KEY_HEADER,
        "in": "header",
        "description": "The request key: the same key and body give the first outcome again.",
        "schema": requests.subschema_for::<Text<'static>>(),
    }));
    parameters.push(json!({
        "name": FENCED_HEADER,
        "in": "header",
        "description": "A lock's fence, as `RESOURCE=FENCE`: refused with `stale_fence` once a higher one was seen.",
        "schema": { "type": "string" },
    }));
    let full = &requests.definitions()[name];
    let is_field_required = |field: &Value| !row.path_parameters().any(|parameter| field == parameter);
    let required = full["required"].as_array().is_some_and(|fields| fields.iter().any(is_field_required));
    json!({
        "operationId": row.op,
        "tags": [tag(row.path)],
        "summary": row.summary,
        "description": full["description"],
        "x-role": row.role.as_str(),
        "x-body-bytes-max": row.body_bytes_max,
        "parameters": parameters,
        "requestBody": {
            "required": required,
            "content": { "application/json": { "schema": reference(name) } },
        },
        "responses": answered(answers.subschema_for::<Outcome>()),
    })
}

fn read(row: &ReadRow, answers: &mut SchemaGenerator) -> Value {
    let mut parameters = path_parameters(row.path_parameters(), answers);
    for parameter in row.parameters {
        parameters.push(json!({
            "name": parameter.name,
            "in": "query",
            "description": parameter.summary,
            "schema": parameter.form.schema(answers),
        }));
    }
    let mut responses = answered((row.schema)(answers));
    if row.name == "events" {
        responses["200"]["content"]["text/event-stream"] = json!({
            "schema": {
                "type": "string",
                "description": "One event a message; the message's id is the cursor. A message of the event `problem` has a \
                    problem document, and is the last one.",
            },
        });
    }
    json!({
        "operationId": format!("get_{}", row.name),
        "tags": [tag(row.path)],
        "summary": row.summary,
        "x-role": row.role.as_str(),
        "parameters": parameters,
        "responses": responses,
    })
}

/// A route that answers in plain text: for everybody, unless it asks for a role.
fn of_the_shell(name: &str, summary: &str, role: Option<Role>) -> Value {
    let mut operation = json!({
        "operationId": name,
        "tags": ["service"],
        "summary": summary,
        "responses": {
            "200": { "description": "So it is.", "content": { "text/plain": { "schema": { "type": "string" } } } },
            "default": { "$ref": "#/components/responses/Problem" },
        },
    });
    match role {
        Some(role) => operation["x-role"] = role.as_str().into(),
        None => operation["security"] = json!([]),
    }
    operation
}

fn batch(answers: &mut SchemaGenerator) -> Value {
    let mut responses = answered(answers.subschema_for::<Batch>());
    let item = json!({ "type": "string", "description": "One item of the answer a line." });
    responses["200"]["content"][NDJSON_TYPE] = json!({ "schema": item });
    let line = json!({ "type": "string", "description": "One command a line." });
    json!({
        "operationId": "batch",
        "tags": ["batch"],
        "summary": "Give many commands at once",
        "description": format!(
            "Commands are decided one after the other, and answered in order. At most {BATCH_COMMANDS_MAX} commands \
             and {BATCH_LINES_MAX} lines. They are read fastest where `op` comes first. As NDJSON, one command a \
             line, `?atomic=true` makes it all or nothing. A request key and a fence are each command's own, `key` \
             and `fenced`: the headers for them are refused."
        ),
        "x-role": BATCH_ROLE.as_str(),
        "x-body-bytes-max": DOCUMENT_BYTES_MAX,
        "parameters": [{
            "name": "atomic",
            "in": "query",
            "description": "For NDJSON only: all or nothing.",
            "schema": { "type": "boolean" },
        }],
        "requestBody": {
            "required": true,
            "content": {
                "application/json": { "schema": reference("BatchRequest") },
                NDJSON_TYPE: { "schema": line },
            },
        },
        "responses": responses,
    })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// A command's fields as its own route has them: without those of the path.
fn on_its_route(row: &CommandRow, mut schema: Value) -> Value {
    for parameter in row.path_parameters() {
        if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            properties.remove(parameter);
        }
        if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
            required.retain(|field| field != parameter);
        }
    }
    schema
}

/// A command's fields as a batch has them: with its name, its key and its fence.
fn in_batch(row: &CommandRow, mut schema: Value) -> Value {
    schema["properties"]["op"] = json!({ "const": row.op });
    schema["properties"]["key"] = json!({ "type": "string", "description": "The request key." });
    schema["properties"]["fenced"] =
        json!({ "type": "string", "description": "A lock's fence, as `RESOURCE=FENCE`." });
    let mut required = vec![json!("op")];
    required.extend(schema["required"].as_array().into_iter().flatten().cloned());
    schema["required"] = required.into();
    schema
}

fn batch_request(schemas: &Map<String, Value>) -> Value {
    let mut mapping = Map::new();
    let mut commands = Vec::new();
    for (name, schema) in schemas.iter().filter(|(name, _)| name.ends_with("Command")) {
        let reference = reference(name);
        if let Some(op) = schema["properties"]["op"]["const"].as_str() {
            mapping.insert(op.to_owned(), reference["$ref"].clone());
        }
        commands.push(reference);
    }
    json!({
        "type": "object",
        "description": "Commands to be decided one after the other.",
        "properties": {
            "atomic": { "type": "boolean", "default": false, "description": "All or nothing." },
            "commands": {
                "type": "array",
                "maxItems": BATCH_COMMANDS_MAX,
                "items": { "oneOf": commands, "discriminator": { "propertyName": "op", "mapping": mapping } },
            },
        },
        "required": ["commands"],
        "additionalProperties": false,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_document_has_every_route_of_the_tables_and_no_other() {
        let document = document();
        let paths = document["paths"].as_object().unwrap();
        let described: BTreeSet<_> = paths
            .iter()
            .flat_map(|(path, item)| {
                item.as_object()
                    .unwrap()
                    .keys()
                    .map(move |method| (method.to_ascii_uppercase(), path.clone()))
            })
            .collect();
        let mut routed: BTreeSet<_> =
            COMMANDS.iter().map(|row| (row.method.as_str().to_owned(), row.path.to_owned())).collect();
        routed.extend(READS.iter().map(|row| ("GET".to_owned(), row.path.to_owned())));
        routed.insert(("POST".to_owned(), BATCH_PATH.to_owned()));
        routed.extend(
            [HEALTHZ_PATH, READYZ_PATH, METRICS_PATH].map(|path| ("GET".to_owned(), path.to_owned())),
        );
        assert_eq!(described, routed);
        assert_eq!(routed.len(), COMMANDS.len() + READS.len() + 4, "two rows have one route");
    }

    #[test]
    fn the_document_has_every_code() {
        let document = document();
        let text = document["info"]["description"].as_str().unwrap();
        for code in ["request_timeout", "unauthorized", "insufficient_stock"] {
            let kind = ProblemKind::of(code);
            assert!(text.contains(&format!("\n| `{code}` | {} | {} |\n", kind.status, kind.title)), "{code}");
        }
        assert_eq!(text.matches("\n| `").count(), ProblemKind::all().count());
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
            match value {
                Value::Object(map) => {
                    found.extend(map.get("$ref").and_then(Value::as_str));
                    map.values().for_each(|value| references(value, found));
                }
                Value::Array(items) => items.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        let document = document();
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        assert!(found.len() > 40, "{found:?}");
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }

    #[test]
    fn every_schema_is_whole() {
        /// The pointers of nulls, beside those that are values.
        fn nulls(value: &Value, at: &str, found: &mut Vec<String>) {
            match value {
                Value::Null => found.push(at.to_owned()),
                Value::Object(map) => {
                    let values = ["default", "const", "enum", "examples"];
                    let schemas = map.iter().filter(|(name, _)| !values.contains(&name.as_str()));
                    schemas.for_each(|(name, value)| nulls(value, &format!("{at}/{name}"), found));
                }
                Value::Array(items) => {
                    items
                        .iter()
                        .enumerate()
                        .for_each(|(index, item)| nulls(item, &format!("{at}/{index}"), found));
                }
                _ => {}
            }
        }
        let document = document();
        let mut found = Vec::new();
        nulls(&document, "", &mut found);
        assert_eq!(found, [""; 0]);
        for row in COMMANDS {
            let operation = &document["paths"][row.path][row.method.as_str().to_ascii_lowercase()];
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"]["$ref"];
            let name = schema.as_str().unwrap();
            let schema = document.pointer(&name[1..]).unwrap();
            let in_batch = document.pointer(&format!("{}Command", &name[1..])).unwrap();
            assert_eq!((&schema["type"], schema.get("$ref")), (&json!("object"), None), "{}", row.op);
            let required = schema["required"].as_array().is_some_and(|fields| !fields.is_empty());
            assert_eq!(operation["requestBody"]["required"], required, "{}", row.op);
            for parameter in row.path_parameters() {
                assert_eq!(schema["properties"].get(parameter), None, "{}", row.op);
                assert!(in_batch["properties"].get(parameter).is_some(), "{}", row.op);
            }
            assert_eq!(in_batch["required"][0], "op", "{}", row.op);
        }
    }

    #[test]
    fn each_of_three_commands_with_the_same_fields_says_what_it_does() {
        let document = document();
        for (op, says) in
            [("charge", "Charges a wallet"), ("pay", "Pays from a wallet"), ("refund", "Refunds to")]
        {
            let path = format!("/v1/wallets/{{owner}}/{op}");
            let text = document["paths"][path]["post"]["description"].as_str().unwrap();
            assert!(text.starts_with(says), "{op}: {text}");
        }
    }

    #[test]
    fn requests_and_answers_share_no_name() {
        let settings = SchemaSettings::draft2020_12();
        let mut requests = settings.clone().for_deserialize().into_generator();
        let mut answers = settings.for_serialize().into_generator();
        for row in COMMANDS {
            (row.schema)(&mut requests);
        }
        for row in READS {
            (row.schema)(&mut answers);
        }
        answers.subschema_for::<Batch>();
        let both: Vec<_> =
            requests.definitions().keys().filter(|name| answers.definitions().contains_key(*name)).collect();
        assert_eq!(both, Vec::<&String>::new());
    }

    #[test]
    fn a_body_has_not_what_its_path_has() {
        let document = document();
        let schemas = &document["components"]["schemas"];
        assert!(schemas["ConfirmHold"]["properties"].get("hold").is_none());
        assert!(schemas["ConfirmHoldCommand"]["properties"].get("hold").is_some());
        assert_eq!(schemas["ConfirmHoldCommand"]["required"], json!(["op", "hold"]));
        assert_eq!(schemas["PlaceHold"]["additionalProperties"], json!(false));
        let commands =
            schemas["BatchRequest"]["properties"]["commands"]["items"]["oneOf"].as_array().unwrap();
        assert_eq!(commands.len(), COMMANDS.len());
    }
}
