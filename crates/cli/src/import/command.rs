//! The commands of a file, each checked by itself as the service will.

use std::collections::HashMap;

use jaego_api::{Problem, read_ndjson};
use jaego_domain::{
    Code,
    limits::{AMOUNT_MAX, QUANTITY_MAX},
};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{
    document::{Document, gather},
    noun::Noun,
    random_name,
    refused::{in_row, line_index, of_row},
};
use crate::rows::{self, Errors, Format, Row};

/// A command of a file. A line may have two.
pub(crate) struct Command {
    /// The line where it begins.
    pub(crate) line: u64,
    /// The id of its document, for transfers.
    pub(crate) id: String,
    pub(crate) lines: usize,
    /// How many rows of the file it says, where they are counted by themselves: 1 for a document.
    pub(super) rows: usize,
    /// Where each line of the document stands in the file, if it has a row for each.
    pub(super) line_rows: Vec<u64>,
    /// The SKU and the lot of a row of stock that names a lot.
    pub(super) lot: Option<String>,
    pub(super) json: String,
}

/// Makes the commands of a file and checks each by itself, as the service will.
pub(crate) fn prepare(
    noun: Noun,
    format: Format,
    bytes: &[u8],
    load: &str,
    errors: &mut Errors,
) -> Vec<Command> {
    let bad = errors.len();
    let mut rows = match format {
        Format::Csv => rows::read(bytes, format, noun.columns(), errors),
        Format::Jsonl => rows::read_jsonl(bytes, &noun.fields(), errors),
    };
    let mut tier_count = 1;
    if noun == Noun::Tiers {
        tier_count = rows.len();
        rows = one_setting(rows, errors);
        if errors.len() > bad {
            // The tiers without a wrong one would be other tiers.
            return Vec::new();
        }
    }
    let documents = match noun.head().filter(|_| format == Format::Csv) {
        Some(head) => gather(rows, head, errors),
        None => rows.into_iter().map(Document::of_row).collect(),
    };
    let by = Code::new("by", "import").expect("it is a code");
    let run = random_name();
    let mut first_lines: HashMap<String, u64> = HashMap::with_capacity(documents.len());
    let mut commands = Vec::with_capacity(documents.len());
    let mut sums: HashMap<String, u64> = HashMap::new();
    for Document { row: Row { line, mut fields }, line_rows, mut is_whole } in documents {
        let key: Vec<_> =
            noun.key().iter().map(|name| fields.get(*name).map_or(String::new(), text)).collect();
        let key = key.join(" ");
        // A row that is left out is looked at all the same: all that is wrong with a file is told at once.
        match first_lines.get(&key) {
            Some(first) if is_whole => {
                errors.add(line, format!("{} {key} is in line {first} already", noun.key().join(", ")));
                is_whole = false;
            }
            Some(_) => {}
            None => {
                first_lines.insert(key.clone(), line);
            }
        }
        if noun == Noun::Cards {
            // A load that is given again sets the prices again. Within one, a batch that is sent again because the
            // connection broke must not fail over a swap that came in between.
            fields.insert("key".to_owned(), format!("import-{run}-{line}").into());
        }
        let second = second(noun, &mut fields, &key, load);
        let lot = lot(noun, &fields);
        if is_whole && let Err(what) = add_up(noun, &fields, &mut sums) {
            errors.add(line, what);
            continue;
        }
        if matches!(noun, Noun::Stock | Noun::Wallets) {
            let opened = match noun {
                Noun::Stock => opening(fields, &key, load),
                _ => opening_charge(fields, &key, load),
            };
            match opened {
                Ok(command) => fields = command,
                Err(what) => {
                    errors.add(line, what);
                    continue;
                }
            }
        }
        let id = fields.get("id").map_or(String::new(), text);
        // A row of stock is the one line of its adjustment.
        let line_rows = if noun == Noun::Stock { vec![line] } else { line_rows };
        let lines = fields.get("lines").and_then(Value::as_array).map_or(0, Vec::len);
        fields.insert("op".to_owned(), noun.op().into());
        let json = Value::Object(fields).to_string();
        let first = Command { line, id, lines, rows: tier_count, line_rows, lot, json };
        let second = second.map(|json| Command {
            line,
            id: first.id.clone(),
            lines: 0,
            rows: 1,
            line_rows: Vec::new(),
            lot: None,
            json,
        });
        let wrong = wrong(&first.json, &by).or_else(|| wrong(&second.as_ref()?.json, &by));
        match wrong {
            Some(problem) if noun.head().is_none() || first.line_rows.is_empty() => {
                errors.add(line, noun.in_its_words(&problem.detail));
            }
            Some(problem) => tell_document(noun, &first, &problem, &by, errors),
            None if is_whole => commands.extend([Some(first), second].into_iter().flatten()),
            None => {}
        }
    }
    lots_together(&mut commands);
    commands
}

/// The SKU and the lot of a row of stock, if it names a lot.
fn lot(noun: Noun, row: &Map<String, Value>) -> Option<String> {
    let lot = row.get("lot").filter(|_| noun == Noun::Stock)?;
    Some(format!("{} {}", text(row.get("sku")?), text(lot)))
}

/// Brings the rows of a lot behind its first, so that one batch may have them all: a serial number that is there
/// twice is refused within a batch only.
fn lots_together(commands: &mut [Command]) {
    let mut first_lines: HashMap<String, u64> = HashMap::new();
    for command in commands.iter() {
        if let Some(lot) = &command.lot {
            first_lines.entry(lot.clone()).or_insert(command.line);
        }
    }
    if !first_lines.is_empty() {
        let place = |command: &Command| command.lot.as_ref().map_or(command.line, |lot| first_lines[lot]);
        commands.sort_by_cached_key(place);
    }
}

/// Adds a row to what the file has of its SKU or its currency. Refuses what the service would take of no store: of rows
/// in different batches it would see that too late.
fn add_up(noun: Noun, row: &Map<String, Value>, sums: &mut HashMap<String, u64>) -> Result<(), String> {
    let (of, number, max) = match noun {
        Noun::Stock => ("sku", "quantity", QUANTITY_MAX),
        Noun::Wallets => ("currency", "balance", AMOUNT_MAX),
        _ => return Ok(()),
    };
    // A number that is none, or too large by itself, is told as such.
    let value = row.get(number).and_then(Value::as_u64).filter(|value| *value <= max);
    let (Some(name), Some(value)) = (row.get(of).map(text), value) else { return Ok(()) };
    let sum = sums.get(&name).copied().unwrap_or(0) + value;
    if sum > max {
        return Err(format!(
            "{number}: with the rows before it, {name} comes to {sum}, which is above {max}"
        ));
    }
    sums.insert(name, sum);
    Ok(())
}

/// What is wrong with the values of a command, if there is something.
fn wrong(json: &str, by: &Code) -> Option<Problem> {
    match read_ndjson(json.as_bytes(), false, by) {
        Err(problem) => Some(*problem),
        Ok(batch) => batch.refused.first().map(|(_, refusal)| Problem::from(refusal)),
    }
}

/// Tells each wrong row of a document for which `problem` was found: the service's own reader ends at the first.
fn tell_document(noun: Noun, command: &Command, problem: &Problem, by: &Code, errors: &mut Errors) {
    let before = errors.len();
    let mut document: Map<String, Value> = serde_json::from_str(&command.json).expect("it was written here");
    let lines = match document.remove("lines") {
        Some(Value::Array(lines)) => lines,
        _ => Vec::new(),
    };
    let mut of_head = None;
    for (line, at) in lines.into_iter().zip(&command.line_rows) {
        document.insert("lines".to_owned(), Value::Array(vec![line]));
        let Some(problem) = wrong(&Value::Object(document.clone()).to_string(), by) else { continue };
        let what = noun.in_its_words(&problem.detail);
        let in_row = of_row(&what);
        if in_row.len() < what.len() {
            errors.add(*at, in_row);
        } else if of_head.is_none() {
            // What all rows say alike is told once.
            of_head = Some(what);
        }
    }
    if let Some(what) = of_head {
        errors.add(command.line, what);
    }
    if errors.len() == before {
        let row = line_index(problem).and_then(|index| command.line_rows.get(index));
        errors.add(*row.unwrap_or(&command.line), of_row(&noun.in_its_words(in_row(problem))));
    }
}

/// What a row says beside its command, as a second one that comes behind it.
fn second(noun: Noun, row: &mut Map<String, Value>, key: &str, load: &str) -> Option<String> {
    let command = match noun {
        Noun::Sites => {
            let allocation = row.remove("order_allocation")?;
            json!({ "op": "set_order_allocation", "site": row.get("site")?, "allocation": allocation })
        }
        Noun::Wallets => {
            let limit = row.remove("limit")?;
            json!({
                "op": "set_wallet_limit", "owner": row.get("owner")?, "currency": row.get("currency")?,
                "limit": limit, "key": load_id(&format!("{key} limit"), load),
            })
        }
        _ => return None,
    };
    Some(command.to_string())
}

pub(super) fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The adjustment that a row of stock is. A position is opened once under the name of a load: the same row again
/// is a repeat, and another quantity is refused, so that no file counts twice.
fn opening(mut row: Map<String, Value>, key: &str, load: &str) -> Result<Map<String, Value>, String> {
    let quantity = above_zero(&mut row, "quantity")?;
    row.insert("change".to_owned(), quantity);
    row.insert("account".to_owned(), "opening".into());
    let mut command = Map::new();
    command.insert("id".to_owned(), load_id(key, load).into());
    command.insert("reason".to_owned(), format!("import {load}").into());
    command.insert("lines".to_owned(), Value::Array(vec![Value::Object(row)]));
    Ok(command)
}

/// The charge that a row of wallets is, under a request key of its own.
fn opening_charge(mut row: Map<String, Value>, key: &str, load: &str) -> Result<Map<String, Value>, String> {
    let balance = above_zero(&mut row, "balance")?;
    row.insert("amount".to_owned(), balance);
    row.insert("reason".to_owned(), format!("import {load}").into());
    row.insert("key".to_owned(), load_id(key, load).into());
    Ok(row)
}

/// Takes out how much of something there is to load.
fn above_zero(row: &mut Map<String, Value>, name: &str) -> Result<Value, String> {
    let number = row.remove(name).ok_or_else(|| format!("{name} is missing"))?;
    match number.as_i64() {
        Some(1..) => Ok(number),
        Some(0) => Err(format!("{name}: 0 is nothing to load")),
        _ => Err(format!("{name}: {number} is not a whole number above 0")),
    }
}

/// A name that follows from what is loaded.
fn load_id(key: &str, load: &str) -> String {
    let digest = Sha256::digest(format!("{load}\n{key}"));
    let digest: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("import-{digest}")
}

/// The tiers of all rows, which are set as one, behind the line of the first.
fn one_setting(rows: Vec<Row>, errors: &mut Errors) -> Vec<Row> {
    let Some(line) = rows.first().map(|row| row.line) else { return Vec::new() };
    let mut from = Vec::with_capacity(rows.len());
    let mut highest: Option<(u64, u64)> = None;
    for Row { line, mut fields } in rows {
        let number = fields.remove("from");
        match number.as_ref().and_then(Value::as_u64).zip(highest) {
            Some((number, (last, last_line))) if number <= last => {
                errors.add(line, format!("from: {number} is not above {last}, which is in line {last_line}"));
                continue;
            }
            _ => {}
        }
        match number {
            Some(number) if number.as_u64().is_some() && fields.is_empty() => {
                highest = number.as_u64().map(|number| (number, line));
                from.push(number);
            }
            Some(number) if fields.is_empty() => {
                errors.add(line, format!("from: {number} is not a whole number of 0 or more"));
            }
            _ => errors.add(line, "a tier has from, and nothing else"),
        }
    }
    vec![Row { line, fields: Map::from_iter([("from".to_owned(), Value::Array(from))]) }]
}
