//! Documents out of rows: a transfer or an order has a row for each of its lines.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::command::text;
use crate::rows::{Errors, Row};

/// What becomes a command: a row, or the rows of a document.
pub(super) struct Document {
    pub(super) row: Row,
    /// Where its lines stand in the file, if they are rows of their own.
    pub(super) line_rows: Vec<u64>,
    /// Whether it may be loaded. One with a wrong row is only looked at.
    pub(super) is_whole: bool,
}

impl Document {
    pub(super) fn of_row(row: Row) -> Self {
        Self { row, line_rows: Vec::new(), is_whole: true }
    }
}

/// Rows of lines become documents: rows of the same id one after the other. A document with a wrong row is not whole:
/// without it, it would be another document under the same id.
pub(super) fn gather(rows: Vec<Row>, head: &[&str], errors: &mut Errors) -> Vec<Document> {
    let mut incomplete = incomplete(&rows, errors);
    let mut documents: Vec<Document> = Vec::new();
    let mut first_lines: HashMap<String, u64> = HashMap::new();
    for mut row in rows {
        let mut line = Map::new();
        for name in ["line", "sku", "lot", "quantity"] {
            if let Some(value) = row.fields.remove(name) {
                line.insert(name.to_owned(), value);
            }
        }
        match documents.last_mut().filter(|last| last.row.fields.get("id") == row.fields.get("id")) {
            Some(Document { row: first, line_rows, .. }) => {
                let differs = head.iter().find(|name| first.fields.get(**name) != row.fields.get(**name));
                if let Some(name) = differs {
                    errors.add(row.line, format!("{name} is another than in line {}", first.line));
                    incomplete.insert(id_of(&row));
                }
                if let Some(Value::Array(lines)) = first.fields.get_mut("lines") {
                    lines.push(Value::Object(line));
                    line_rows.push(row.line);
                }
            }
            None => {
                let id = id_of(&row);
                if let Some(first) = first_lines.get(&id) {
                    errors.add(row.line, format!("id {id} is in line {first} already"));
                    incomplete.insert(id);
                } else {
                    first_lines.insert(id, row.line);
                }
                row.fields.insert("lines".to_owned(), Value::Array(vec![Value::Object(line)]));
                documents.push(Document { line_rows: vec![row.line], row, is_whole: true });
            }
        }
    }
    for document in &mut documents {
        document.is_whole = !incomplete.contains(&id_of(&document.row));
    }
    documents
}

/// The documents that wrong rows belong to: where such a row has no id that can be read, those of the rows around it.
fn incomplete(rows: &[Row], errors: &mut Errors) -> HashSet<String> {
    let mut ids: HashSet<String> = errors.rows.iter().filter_map(|row| row.id.clone()).collect();
    if errors.rows.iter().all(|row| row.id.is_some()) {
        return ids;
    }
    let wrong = errors.rows.iter().map(|row| (row.line, row.id.clone()));
    let mut all: Vec<(u64, Option<String>)> =
        rows.iter().map(|row| (row.line, Some(id_of(row)))).chain(wrong).collect();
    all.sort_by_key(|(line, _)| *line);
    for (at, (line, _)) in all.iter().enumerate().filter(|(_, (_, id))| id.is_none()) {
        let before = all[..at].iter().rev().find_map(|(_, id)| id.as_ref());
        let behind = all[at + 1..].iter().find_map(|(_, id)| id.as_ref());
        for id in before.into_iter().chain(behind) {
            if ids.insert(id.clone()) {
                errors.add(*line, format!("{id} is left out: this row, which says no id, may be part of it"));
            }
        }
    }
    ids
}

fn id_of(row: &Row) -> String {
    row.fields.get("id").map_or(String::new(), text)
}
