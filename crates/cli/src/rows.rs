//! Rows of files: CSV with its columns in any order, or one JSON object a line. Everything that is wrong with a
//! file is found before anything else happens, and told by line.

use std::{
    fmt::{self, Write as _},
    fs,
    io::{self, IsTerminal, Read},
    path::Path,
};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};
use serde_json::{Map, Value, json};

use crate::exit::{FAILURE, Told, Usage};

/// Bytes of a file: it is read whole, so that it is known whole before anything is sent.
pub(crate) const FILE_BYTES_MAX: u64 = 1 << 30;
/// Errors of a file that are told; the rest is counted.
const ERRORS_MAX: usize = 100_000;
/// Those that are told on a terminal.
const ERRORS_SHOWN_MAX: usize = 100;

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Comma-separated values under a header.
    Csv,
    /// One JSON object a line.
    Jsonl,
}

impl Format {
    /// What is said, or what the name's end tells.
    pub(crate) fn of(file: &Path, said: Option<Format>) -> Result<Format> {
        let end = file.extension().and_then(|end| end.to_str()).unwrap_or_default();
        match (said, end) {
            (Some(format), _) => Ok(format),
            (None, "csv") => Ok(Self::Csv),
            (None, "jsonl" | "ndjson") => Ok(Self::Jsonl),
            _ => Err(Usage(format!(
                "is {} CSV or JSON lines? Its name tells neither (.csv, .jsonl): say --format",
                file.display()
            ))
            .into()),
        }
    }
}

/// What a column's cells are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A code, or another word without spaces at its ends: they are taken off.
    Text,
    /// A name for people, which may begin and end with spaces, or be nothing else.
    Name,
    Whole,
    Flag,
}

/// A column that a file may have.
pub(crate) struct Column {
    /// Its name; with a dot at its end, what begins so is a level for the site that is named behind it, or a price in
    /// the currency.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Whether it has to be there, and every row has to fill it.
    pub(crate) is_needed: bool,
}

impl Column {
    /// The field that it fills.
    pub(crate) fn field(&self) -> &'static str {
        self.name.strip_suffix('.').unwrap_or(self.name)
    }
}

pub(crate) const fn needed(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, is_needed: true }
}

pub(crate) const fn optional(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, is_needed: false }
}

/// A row of a file.
#[derive(Debug, PartialEq)]
pub(crate) struct Row {
    /// Where it begins, from 1.
    pub(crate) line: u64,
    pub(crate) fields: Map<String, Value>,
}

/// What is wrong with a file, by line.
#[derive(Default)]
pub(crate) struct Errors {
    told: Vec<(u64, String)>,
    count: usize,
    /// The rows of a CSV file that are wrong.
    pub(crate) rows: Vec<WrongRow>,
}

/// A row that is wrong.
pub(crate) struct WrongRow {
    pub(crate) line: u64,
    /// Its `id`, if it has one that can be read.
    pub(crate) id: Option<String>,
}

impl Errors {
    pub(crate) fn add(&mut self, line: u64, what: impl Into<String>) {
        self.count += 1;
        if self.told.len() < ERRORS_MAX {
            self.told.push((line, what.into()));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// The errors in the order of their lines, each with its line and its reason.
    pub(crate) fn json(&self) -> Vec<Value> {
        let told = self.in_order();
        told.into_iter().map(|(line, what)| json!({ "line": line, "reason": what })).collect()
    }

    fn in_order(&self) -> Vec<&(u64, String)> {
        let mut told: Vec<_> = self.told.iter().collect();
        told.sort_by_key(|(line, _)| *line);
        told
    }

    /// The errors in the order of their lines.
    pub(crate) fn text(&self, file: &str) -> String {
        self.first(file, ERRORS_MAX)
    }

    /// So many errors in the order of their lines, and how many more there are.
    fn first(&self, file: &str, max: usize) -> String {
        let told = self.in_order();
        let mut text = String::new();
        for (line, what) in told.iter().take(max) {
            let _ = writeln!(text, "{file}:{line}: {what}");
        }
        let more = self.count - told.len().min(max);
        if more > 0 {
            let _ =
                writeln!(text, "{file}: and {more} errors more; 2>FILE has the first {ERRORS_MAX} of all");
        }
        text
    }

    /// Tells the errors on standard error.
    pub(crate) fn tell(&self, file: &str) {
        let max = if io::stderr().is_terminal() { ERRORS_SHOWN_MAX } else { ERRORS_MAX };
        eprint!("{}", self.first(file, max));
    }

    /// Tells the errors, if there are any, and ends the program with them.
    pub(crate) fn into_result(self, file: &Path) -> Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        self.tell(&file.display().to_string());
        Err(Told(FAILURE).into())
    }
}

/// Reads a file whole; `-` is standard input.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>> {
    let cannot = || format!("cannot read {}", path.display());
    let mut bytes = Vec::new();
    let read = match path.to_str() {
        Some("-") => io::stdin().lock().take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes),
        _ => fs::File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)),
    };
    read.with_context(cannot)?;
    ensure!(
        bytes.len() as u64 <= FILE_BYTES_MAX,
        "{} has more than the {FILE_BYTES_MAX} bytes that one file may have: split it",
        path.display()
    );
    Ok(bytes)
}

/// Reads rows, in JSON lines objects with fields of the columns' names. What is wrong goes to `errors`, and the rows that
/// are right are given.
pub(crate) fn read(bytes: &[u8], format: Format, columns: &[Column], errors: &mut Errors) -> Vec<Row> {
    match format {
        Format::Csv => read_csv(bytes, columns, errors),
        Format::Jsonl => {
            let names: Vec<_> = columns.iter().map(Column::field).collect();
            read_jsonl(bytes, &names, errors)
        }
    }
}

/// A file without the mark of the byte order that spreadsheets begin theirs with.
fn unmarked(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

fn read_csv(bytes: &[u8], columns: &[Column], errors: &mut Errors) -> Vec<Row> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        // Every row would be told otherwise.
        errors.add(1, NOT_UTF8);
        return Vec::new();
    }
    let bytes = unmarked(bytes);
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(bytes);
    let header = match reader.headers() {
        Ok(header) => header.clone(),
        Err(error) => {
            errors.add(1, csv_error(&error));
            return Vec::new();
        }
    };
    let names: Vec<&str> = header.iter().map(|name| named(name.trim(), columns)).collect();
    if let [one] = &*names
        && one.contains(';')
    {
        errors.add(1, "the columns are separated by `;`; commas are wanted");
        return Vec::new();
    }
    let before = errors.len();
    let mut places: Vec<Option<(&Column, &str)>> = Vec::with_capacity(names.len());
    for (index, name) in names.iter().enumerate() {
        let found = columns.iter().find_map(|column| match column.name.strip_suffix('.') {
            Some(_) => Some((column, name.strip_prefix(column.name).filter(|site| !site.is_empty())?)),
            None => (column.name == *name).then_some((column, "")),
        });
        if found.is_none() {
            let known: Vec<_> = columns.iter().map(|column| shown(column.name)).collect();
            errors.add(1, format!("there is no column {name:?} here, only {}", known.join(", ")));
        } else if names[..index].contains(name) {
            errors.add(1, format!("the column {name} is there twice"));
        }
        places.push(found);
    }
    for column in columns.iter().filter(|column| column.is_needed && !names.contains(&column.name)) {
        errors.add(1, format!("the column {} is missing", column.name));
    }
    if errors.len() > before {
        // Every row would be wrong for the same reason.
        return Vec::new();
    }
    let mut rows = Vec::new();
    let mut place = LineCount { bytes, offset: 0, line: 1 };
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let line = place.line_at(error.position());
                errors.add(line, csv_error(&error));
                errors.rows.push(WrongRow { line, id: None });
                continue;
            }
        };
        let line = place.line_at(record.position());
        if record.len() != names.len() {
            errors.add(line, format!("it has {} fields, and the header has {}", record.len(), names.len()));
            errors.rows.push(WrongRow { line, id: None });
            continue;
        }
        let before = errors.len();
        let mut fields = Map::new();
        for (cell, column) in record.iter().zip(&places) {
            let Some((column, site)) = column else { continue };
            let cell = if column.kind == Kind::Name { cell } else { cell.trim() };
            if cell.is_empty() {
                if column.is_needed {
                    errors.add(line, format!("{} is empty", column.name));
                }
                continue;
            }
            match value(cell, column.kind) {
                Err(what) => errors.add(line, format!("{}{site}: {what}", column.name)),
                Ok(value) => match column.name.strip_suffix('.') {
                    Some(name) => {
                        let levels = fields.entry(name).or_insert_with(|| Value::Object(Map::new()));
                        if let Value::Object(levels) = levels {
                            levels.insert((*site).to_owned(), value);
                        }
                    }
                    None => {
                        fields.insert(column.name.to_owned(), value);
                    }
                },
            }
        }
        if errors.len() == before {
            rows.push(Row { line, fields });
        } else {
            let id = fields.get("id").and_then(Value::as_str).map(str::to_owned);
            errors.rows.push(WrongRow { line, id });
        }
    }
    rows
}

/// A column's name as the table of columns has it, however large its letters are; that of a site or a currency behind a
/// dot stays as it is.
fn named<'a>(name: &'a str, columns: &[Column]) -> &'a str {
    let is_it = |column: &&Column| column.name.eq_ignore_ascii_case(name);
    columns.iter().find(is_it).map_or(name, |column| column.name)
}

/// Counts lines. The reader's own count is one behind where lines end with a carriage return.
struct LineCount<'a> {
    bytes: &'a [u8],
    offset: usize,
    line: u64,
}

impl LineCount<'_> {
    /// The line of a record, which begins behind the ends of lines that are left at its position.
    fn line_at(&mut self, position: Option<&csv::Position>) -> u64 {
        let at = position.and_then(|position| usize::try_from(position.byte()).ok()).unwrap_or(self.offset);
        while let Some(byte) = self.bytes.get(self.offset) {
            if self.offset >= at && !matches!(byte, b'\r' | b'\n') {
                break;
            }
            // The reader takes a carriage return alone for the end of a row as well.
            let ends = *byte == b'\n' || (*byte == b'\r' && self.bytes.get(self.offset + 1) != Some(&b'\n'));
            self.line += u64::from(ends);
            self.offset += 1;
        }
        self.line
    }
}

fn shown(name: &str) -> String {
    match name.strip_suffix('.') {
        Some("prices") => format!("{name}CURRENCY"),
        Some(_) => format!("{name}SITE"),
        None => name.to_owned(),
    }
}

/// What to do with a file of another encoding.
const NOT_UTF8: &str = "it is not UTF-8: save it as CSV UTF-8";

fn csv_error(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Utf8 { .. } => NOT_UTF8.to_owned(),
        _ => error.to_string(),
    }
}

fn value(cell: &str, kind: Kind) -> Result<Value, String> {
    match kind {
        Kind::Text | Kind::Name => Ok(cell.into()),
        Kind::Whole => match cell.parse::<i64>() {
            Ok(number) => Ok(number.into()),
            Err(_) => Err(format!("{cell:?} is not a whole number")),
        },
        Kind::Flag => match cell {
            "true" | "yes" | "1" => Ok(true.into()),
            "false" | "no" | "0" => Ok(false.into()),
            _ => Err(format!("{cell:?} is neither true nor false")),
        },
    }
}

/// Reads JSON lines, whose objects may have fields of these names.
pub(crate) fn read_jsonl(bytes: &[u8], names: &[&str], errors: &mut Errors) -> Vec<Row> {
    let mut rows = Vec::new();
    for (index, line) in unmarked(bytes).split(|byte| *byte == b'\n').enumerate() {
        let number = index as u64 + 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        match serde_json::from_slice::<Fields>(line) {
            Ok(Fields(fields)) if fields.keys().any(|field| !names.contains(&field.as_str())) => {
                let known = names.join(", ");
                for field in fields.keys().filter(|field| !names.contains(&field.as_str())) {
                    errors.add(number, format!("there is no field {field:?} here, only {known}"));
                }
            }
            Ok(Fields(mut fields)) => {
                // As in a CSV file's empty cell, nothing is said: null must not be another name for the same row.
                fields.retain(|_, value| !value.is_null());
                rows.push(Row { line: number, fields });
            }
            Err(error) => errors.add(number, error.to_string().replace(" at line 1 column", " at column")),
        }
    }
    rows
}

/// An object whose fields have different names.
struct Fields(Map<String, Value>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;

        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Map::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if fields.contains_key(&name) {
                        return Err(A::Error::custom(format_args!("{name} is there twice")));
                    }
                    fields.insert(name, value);
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(FieldsVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &[Column] = &[
        needed("sku", Kind::Text),
        needed("quantity", Kind::Whole),
        optional("blocked", Kind::Flag),
        optional("safety_stock.", Kind::Whole),
        optional("name", Kind::Name),
    ];

    fn told(format: Format, text: &str) -> (Vec<String>, String) {
        let mut errors = Errors::default();
        let rows = read(text.as_bytes(), format, COLUMNS, &mut errors);
        let rows = rows.iter().map(|row| format!("{} {}", row.line, Value::Object(row.fields.clone())));
        (rows.collect(), errors.text("f"))
    }

    #[test]
    fn null_says_nothing() {
        let (rows, errors) =
            told(Format::Jsonl, r#"{"sku":"mug","quantity":4,"blocked":null,"safety_stock":null}"#);
        assert_eq!((errors.as_str(), rows), ("", vec![r#"1 {"quantity":4,"sku":"mug"}"#.to_owned()]));
    }

    #[test]
    fn a_field_that_there_is_not_is_told_by_its_name() {
        let text =
            "{\"sku\":\"mug\",\"quantity\":4,\"change\":-3,\"key\":null}\n{\"sku\":\"cup\",\"quantity\":1}\n";
        let (rows, errors) = told(Format::Jsonl, text);
        assert_eq!(rows, [r#"2 {"quantity":1,"sku":"cup"}"#]);
        assert_eq!(
            errors,
            "f:1: there is no field \"change\" here, only sku, quantity, blocked, safety_stock, name\n\
             f:1: there is no field \"key\" here, only sku, quantity, blocked, safety_stock, name\n"
        );
    }

    #[test]
    fn a_name_keeps_its_spaces_and_a_code_has_none() {
        let (rows, errors) =
            told(Format::Csv, "sku,quantity,name\n mug\u{3000},\u{a0}4 ,\u{3000}큰 컵 \ncup,1,  \npot,1,\n");
        assert_eq!(errors, "");
        assert_eq!(
            rows,
            [
                "2 {\"name\":\"\u{3000}큰 컵 \",\"quantity\":4,\"sku\":\"mug\"}",
                r#"3 {"name":"  ","quantity":1,"sku":"cup"}"#,
                r#"4 {"quantity":1,"sku":"pot"}"#,
            ]
        );
    }

    #[test]
    fn columns_come_in_any_order_and_levels_by_site() {
        let (rows, errors) = told(
            Format::Csv,
            "\u{feff}quantity,safety_stock.ICN,sku,safety_stock.GMP\r\n4,20,mug,\r\n 5 ,,\"cup\",1\n",
        );
        assert_eq!(errors, "");
        assert_eq!(
            rows,
            [
                r#"2 {"quantity":4,"safety_stock":{"ICN":20},"sku":"mug"}"#,
                r#"3 {"quantity":5,"safety_stock":{"GMP":1},"sku":"cup"}"#
            ]
        );
    }

    #[test]
    fn everything_wrong_is_told_by_line() {
        let (rows, errors) =
            told(Format::Csv, "sku,quantity,blocked\nmug,four,\n,4,\nmug,4\ncup,4,maybe\ncup,4,true\n");
        assert_eq!(rows, [r#"6 {"blocked":true,"quantity":4,"sku":"cup"}"#]);
        assert_eq!(
            errors,
            "f:2: quantity: \"four\" is not a whole number\nf:3: sku is empty\n\
             f:4: it has 2 fields, and the header has 3\nf:5: blocked: \"maybe\" is neither true nor false\n"
        );
        let (_, errors) = told(Format::Csv, "sku,amount,sku\nmug,4,mug\n");
        assert_eq!(
            errors,
            "f:1: there is no column \"amount\" here, only sku, quantity, blocked, safety_stock.SITE, name\n\
             f:1: the column sku is there twice\nf:1: the column quantity is missing\n"
        );
        // Ends of lines as they were on old machines.
        let (rows, errors) = told(Format::Csv, "sku,quantity\rmug,4\rcup,x\r");
        assert_eq!(rows, [r#"2 {"quantity":4,"sku":"mug"}"#]);
        assert_eq!(errors, "f:3: quantity: \"x\" is not a whole number\n");
        let (rows, errors) =
            told(Format::Jsonl, "{\"sku\":\"mug\"}\n\n[1]\n{\"sku\":1,\"sku\":2}\n{\"sku\":\n");
        assert_eq!(rows, [r#"1 {"sku":"mug"}"#]);
        assert_eq!(
            errors,
            "f:3: invalid type: sequence, expected an object at column 0\n\
             f:4: sku is there twice at column 17\nf:5: EOF while parsing a value at column 7\n"
        );
    }

    #[test]
    fn all_errors_are_told_and_a_terminal_is_not_flooded() {
        let mut errors = Errors::default();
        let text = "sku,quantity\n".to_owned() + &"mug,x\n".repeat(ERRORS_SHOWN_MAX + 7);
        read(text.as_bytes(), Format::Csv, COLUMNS, &mut errors);
        assert_eq!(errors.text("f").lines().count(), ERRORS_SHOWN_MAX + 7);
        let shown = errors.first("f", ERRORS_SHOWN_MAX);
        assert_eq!(shown.lines().count(), ERRORS_SHOWN_MAX + 1);
        assert!(shown.ends_with("f: and 7 errors more; 2>FILE has the first 100000 of all\n"), "{shown}");
    }
}
