//! `jaego import`: files into a service.
//!
//! A file is read and checked whole before anything is sent, and every command of it has an id that follows from
//! what it says, so that a load which was repeated or interrupted loads nothing twice.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher, Hasher, RandomState},
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use jaego_api::{
    Problem,
    batch::BatchItem,
    limits::{BATCH_COMMANDS_MAX, BATCH_LINES_MAX, DOCUMENT_BYTES_MAX},
    read_ndjson,
};
use jaego_client::Client;
use jaego_domain::Code;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::{
    allocate::{self, Allocated},
    exit::{FAILURE, REFUSED, Told},
    remote::{Remote, Service, print},
    rows::{self, Column, Errors, Format, Kind, Row, needed, optional},
};

/// Bytes of a batch's commands: well below what a request may have.
const BATCH_BYTES_MAX: usize = DOCUMENT_BYTES_MAX / 2;

/// How often a bar shows that it is alive.
const TICK: Duration = Duration::from_millis(120);

/// The name of a load of stock that nobody names.
pub(crate) const LOAD_DEFAULT: &str = "opening";

/// What is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Noun {
    Sites,
    Locations,
    Skus,
    Lots,
    Stock,
    Transfers,
    Wallets,
    Orders,
    Tiers,
    Cards,
}

impl Noun {
    /// The columns of its CSV files.
    pub(crate) fn columns(self) -> &'static [Column] {
        const SITES: &[Column] = &[
            needed("site", Kind::Text),
            optional("name", Kind::Name),
            optional("time_zone", Kind::Text),
            optional("strategy", Kind::Text),
            optional("order_allocation", Kind::Text),
        ];
        const LOCATIONS: &[Column] = &[
            needed("site", Kind::Text),
            needed("location", Kind::Text),
            optional("zone", Kind::Name),
            optional("pick_order", Kind::Whole),
            needed("kind", Kind::Text),
        ];
        const SKUS: &[Column] = &[
            needed("sku", Kind::Text),
            optional("name", Kind::Name),
            optional("tracking", Kind::Text),
            optional("safety_stock.", Kind::Whole),
            optional("prices.", Kind::Whole),
        ];
        const LOTS: &[Column] = &[
            needed("sku", Kind::Text),
            needed("lot", Kind::Text),
            optional("received_on", Kind::Text),
            optional("expires_on", Kind::Text),
            optional("blocked", Kind::Flag),
        ];
        const STOCK: &[Column] = &[
            needed("site", Kind::Text),
            needed("location", Kind::Text),
            needed("sku", Kind::Text),
            optional("lot", Kind::Text),
            needed("quantity", Kind::Whole),
        ];
        const TRANSFERS: &[Column] = &[
            needed("id", Kind::Text),
            needed("from", Kind::Text),
            needed("to", Kind::Text),
            optional("priority", Kind::Whole),
            needed("line", Kind::Text),
            needed("sku", Kind::Text),
            optional("lot", Kind::Text),
            needed("quantity", Kind::Whole),
        ];
        const WALLETS: &[Column] = &[
            needed("owner", Kind::Text),
            needed("currency", Kind::Text),
            needed("balance", Kind::Whole),
            optional("limit", Kind::Whole),
        ];
        const ORDERS: &[Column] = &[
            needed("id", Kind::Text),
            needed("site", Kind::Text),
            optional("customer", Kind::Text),
            optional("priority", Kind::Whole),
            optional("backorder", Kind::Flag),
            needed("sku", Kind::Text),
            optional("lot", Kind::Text),
            needed("quantity", Kind::Whole),
        ];
        const CARDS: &[Column] =
            &[needed("card", Kind::Text), needed("owner", Kind::Text), needed("price", Kind::Whole)];
        const TIERS: &[Column] = &[needed("from", Kind::Whole)];
        match self {
            Self::Tiers => TIERS,
            Self::Cards => CARDS,
            Self::Wallets => WALLETS,
            Self::Sites => SITES,
            Self::Locations => LOCATIONS,
            Self::Skus => SKUS,
            Self::Lots => LOTS,
            Self::Stock => STOCK,
            Self::Transfers => TRANSFERS,
            Self::Orders => ORDERS,
        }
    }

    /// The fields that an object of its JSON lines may have. A document is one object, with its lines.
    fn fields(self) -> Vec<&'static str> {
        match self.head() {
            Some(head) => ["id"].into_iter().chain(head.iter().copied()).chain(["lines"]).collect(),
            None => self.columns().iter().map(Column::field).collect(),
        }
    }

    /// What is wrong with a command, by the names of the file. The command is a batch of one, whose columns nobody wrote,
    /// and a row of stock is a line of an adjustment.
    fn in_its_words(self, what: &str) -> String {
        let what =
            what.strip_prefix("commands[0]").map_or(what, |rest| rest.trim_start_matches(['.', ':', ' ']));
        let what = what.split_once(", at line 1 column ").map_or(what, |(what, _)| what);
        match self {
            Self::Sites => renamed(what, "allocation", "order_allocation"),
            Self::Wallets => renamed(what, "amount", "balance"),
            Self::Stock => match what.strip_prefix("lines[0].") {
                Some(what) => renamed(what, "change", "quantity"),
                None => what.to_owned(),
            },
            _ => what.to_owned(),
        }
    }

    fn op(self) -> &'static str {
        match self {
            Self::Sites => "set_site",
            Self::Locations => "set_location",
            Self::Skus => "set_sku",
            Self::Lots => "set_lot",
            Self::Stock => "adjust",
            Self::Transfers => "request_transfer",
            Self::Wallets => "charge",
            Self::Orders => "place_order",
            Self::Tiers => "set_price_tiers",
            Self::Cards => "set_card",
        }
    }

    /// The fields that tell one row from another.
    fn key(self) -> &'static [&'static str] {
        match self {
            Self::Sites => &["site"],
            Self::Locations => &["site", "location"],
            Self::Skus => &["sku"],
            Self::Lots => &["sku", "lot"],
            Self::Stock => &["site", "location", "sku", "lot"],
            Self::Transfers | Self::Orders => &["id"],
            Self::Wallets => &["owner", "currency"],
            Self::Tiers => &["from"],
            Self::Cards => &["card"],
        }
    }

    /// Beside the id, what all rows of a document say alike, where a document has a row for each of its lines.
    fn head(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Transfers => Some(&["from", "to", "priority"]),
            Self::Orders => Some(&["site", "customer", "priority", "backorder"]),
            _ => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sites => "sites",
            Self::Locations => "locations",
            Self::Skus => "skus",
            Self::Lots => "lots",
            Self::Stock => "stock",
            Self::Transfers => "transfers",
            Self::Wallets => "wallets",
            Self::Orders => "orders",
            Self::Tiers => "tiers",
            Self::Cards => "cards",
        }
    }
}

/// What is wrong with a field, by the name that the file has for it.
fn renamed(what: &str, field: &str, column: &str) -> String {
    match what.strip_prefix(field) {
        Some(rest) => format!("{column}{rest}"),
        None => what.to_owned(),
    }
}

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    remote: Remote,
    /// What the file has.
    noun: Noun,
    /// The file, CSV or JSON lines; - is standard input.
    file: PathBuf,
    /// How it is written, where its name does not tell.
    #[arg(long)]
    format: Option<Format>,
    /// Load what is right and leave out the rest. Otherwise one wrong line keeps the whole file out.
    #[arg(long)]
    skip_bad: bool,
    /// Allocate each transfer after it is requested, and sum up what was short.
    #[arg(long)]
    allocate: bool,
    /// A name for this load of stock or wallets: under another name the same positions are loaded once more. What
    /// was loaded is remembered for ever for stock, and as long as request keys are (7 days) for wallets.
    #[arg(long, value_name = "NAME", default_value = LOAD_DEFAULT)]
    load: String,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if options.allocate && options.noun != Noun::Transfers {
        return Err(crate::exit::Usage("--allocate goes with transfers only".to_owned()).into());
    }
    let format = Format::of(&options.file, options.format)?;
    let bytes = rows::read_file(&options.file)?;
    let name = options.file.display().to_string();
    let mut errors = Errors::default();
    let commands = prepare(options.noun, format, &bytes, &options.load, &mut errors);
    errors.tell(&name);
    let bad = &errors;
    if !bad.is_empty() && !options.skip_bad {
        return only_tell(options, &name, &commands, bad);
    }
    options.remote.run(async |service: Service| {
        let bar = progress(commands.len(), options.noun.name());
        let mut loaded = Loaded::new(options.skip_bad);
        let sent = load(&service.client, &commands, &bar, &mut loaded).await;
        bar.finish_and_clear();
        if loaded.is_nothing() {
            sent?;
            return end(&service, options.noun, &loaded, commands.len(), bad, None);
        }
        if !service.json {
            loaded.tell_refused(&name);
        }
        let allocated = match options.allocate && sent.is_ok() && loaded.done > 0 {
            true => allocate::all(&service.client, &loaded.accepted(&commands)).await.map(Some),
            false => Ok(None),
        };
        let told = allocated.as_ref().ok().and_then(Option::as_ref);
        let ended = end(&service, options.noun, &loaded, commands.len(), bad, told);
        // What broke off is told behind what came of it.
        sent?;
        allocated?;
        ended
    })
}

/// Tells of a file that is wrong what the service would refuse as well, so that all of it can be mended at once. Nothing is
/// loaded.
fn only_tell(options: &Options, name: &str, commands: &[Command], bad: &Errors) -> Result<()> {
    let mut loaded = Loaded::new(false);
    if !commands.is_empty() {
        let asked = options.remote.talk(async |service: Service| {
            let bar = progress(commands.len(), "checking");
            let asked = rehearse_all(&service.client, &chunks(commands), &bar, &mut loaded.refused).await;
            bar.finish_and_clear();
            asked
        });
        loaded.tell_refused(name);
        if let Err(error) = asked {
            eprintln!("jaego: what the service would refuse is not known: {error:#}");
        }
    }
    // Where a header or a setting is wrong, no line of it is right.
    let hint = if commands.is_empty() { "" } else { "; with --skip-bad the lines that are right are" };
    eprintln!("jaego: nothing was loaded{hint}");
    if options.remote.is_json() {
        print(&format!("{}\n", loaded.json(commands.len(), bad)))?;
    }
    Err(Told(FAILURE).into())
}

/// Tells what came of a file, and ends with 1 where a row of it was wrong and with 3 where the service refused something.
fn end(
    service: &Service,
    noun: Noun,
    loaded: &Loaded,
    commands: usize,
    bad: &Errors,
    allocated: Option<&Allocated>,
) -> Result<()> {
    if service.json {
        let mut answer = loaded.json(commands, bad);
        if let Some(allocated) = allocated {
            answer["allocated"] = allocated.json();
        }
        print(&format!("{answer}\n"))?;
    } else {
        print(&loaded.text(noun))?;
        if let Some(allocated) = allocated {
            print(&allocated.text())?;
        }
    }
    if !bad.is_empty() {
        return Err(Told(FAILURE).into());
    }
    match loaded.refused.is_empty() && !allocated.is_some_and(Allocated::has_refusals) {
        true => Ok(()),
        false => Err(Told(REFUSED).into()),
    }
}

pub(crate) fn progress(len: usize, what: &'static str) -> ProgressBar {
    // It shows itself on a terminal only, and on standard error.
    let bar = ProgressBar::new(len as u64).with_message(what);
    let style =
        ProgressStyle::with_template("{spinner} {msg:<10} {wide_bar} {pos}/{len} {per_sec} {elapsed}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    // A batch of 10,000 takes a moment, in which the bar does not move.
    bar.enable_steady_tick(TICK);
    bar
}

/// A command of a file. A line may have two.
pub(crate) struct Command {
    /// The line where it begins.
    pub(crate) line: u64,
    /// The id of its document, for transfers.
    pub(crate) id: String,
    pub(crate) lines: usize,
    /// How many rows of the file it says, where they are counted by themselves: 1 for a document.
    rows: usize,
    /// Where each line of the document stands in the file, if it has a row for each.
    line_rows: Vec<u64>,
    json: String,
}

impl Command {
    /// Where in the file that stands which a problem is about: where the command begins if no row of its own does.
    fn line_of(&self, problem: &Problem) -> u64 {
        let index = || match self.line_rows.as_slice() {
            [] => None,
            _ => line_index(&serde_json::from_str(&self.json).ok()?, problem),
        };
        index().and_then(|index| self.line_rows.get(index)).copied().unwrap_or(self.line)
    }
}

/// Which line of a document a problem is about, from 0: the one that it names, or the first that names the same.
fn line_index(document: &Value, problem: &Problem) -> Option<usize> {
    let fact = |name| problem.facts.get(name).and_then(Value::as_str);
    if let Some(index) = fact("field").and_then(|field| field.split_once("lines[")?.1.split_once(']')) {
        return index.0.parse().ok();
    }
    let lines = document["lines"].as_array()?;
    let of_sku = |sku: &str, is_at_fault: fn(&Value) -> bool| {
        lines.iter().position(|line| line["sku"] == sku && is_at_fault(line))
    };
    match (fact("line"), fact("sku"), fact("lot")) {
        // The first of two lines of one name is right.
        (Some(name), _, _) => lines.iter().rposition(|line| line["line"] == name),
        // The other lines of the SKU may be right.
        (None, Some(sku), None) => match &*problem.code {
            "lot_not_tracked" => of_sku(sku, |line| !line["lot"].is_null()),
            "lot_required" => of_sku(sku, |line| line["lot"].is_null()),
            _ => of_sku(sku, |_| true),
        },
        (None, Some(sku), Some(lot)) => {
            lines.iter().position(|line| line["sku"] == sku && line["lot"] == lot)
        }
        (None, None, _) => None,
    }
}

/// What is wrong with a line of a document, by the names of the row that it is.
fn of_row(what: &str) -> &str {
    let field = what.strip_prefix("lines[").and_then(|rest| rest.split_once("]."));
    field.map_or(what, |(_, field)| field)
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
            // A load that is given again sets the cards again. Within one, a batch that is sent again because the
            // connection broke must not take back a swap that came in between.
            fields.insert("key".to_owned(), format!("import-{run}-{line}").into());
        }
        let second = second(noun, &mut fields, &key, load);
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
        let lines = fields.get("lines").and_then(Value::as_array).map_or(0, Vec::len);
        fields.insert("op".to_owned(), noun.op().into());
        let first =
            Command { line, id, lines, rows: tier_count, line_rows, json: Value::Object(fields).to_string() };
        let second = second.map(|json| Command {
            line,
            id: first.id.clone(),
            lines: 0,
            rows: 1,
            line_rows: Vec::new(),
            json,
        });
        let wrong = wrong(&first.json, &by).or_else(|| wrong(&second.as_ref()?.json, &by));
        match wrong {
            Some(problem) if first.line_rows.is_empty() => {
                errors.add(line, noun.in_its_words(&problem.detail));
            }
            Some(problem) => tell_document(noun, &first, &problem, &by, errors),
            None if is_whole => commands.extend([Some(first), second].into_iter().flatten()),
            None => {}
        }
    }
    commands
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
        errors.add(command.line_of(problem), of_row(&noun.in_its_words(&problem.detail)));
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

fn text(value: &Value) -> String {
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

/// What becomes a command: a row, or the rows of a document.
struct Document {
    row: Row,
    /// Where its lines stand in the file, if they are rows of their own.
    line_rows: Vec<u64>,
    /// Whether it may be loaded. One with a wrong row is only looked at.
    is_whole: bool,
}

impl Document {
    fn of_row(row: Row) -> Self {
        Self { row, line_rows: Vec::new(), is_whole: true }
    }
}

/// Rows of lines become documents: rows of the same id one after the other. A document with a wrong row is not whole:
/// without it, it would be another document under the same id.
fn gather(rows: Vec<Row>, head: &[&str], errors: &mut Errors) -> Vec<Document> {
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

/// What came of a load.
#[derive(Default)]
pub(crate) struct Loaded {
    /// Rows that are in effect, those that were before included.
    pub(crate) done: usize,
    /// How many of them were in effect before, with all they say.
    pub(crate) repeats: usize,
    /// The last line that was answered, and whether it was in effect before: another command of it may follow.
    last: Option<(u64, bool)>,
    /// What the service refused.
    pub(crate) refused: Vec<Refused>,
    /// Whether one refusal keeps all the others from being loaded.
    all_or_none: bool,
}

/// A row or a document that the service refused.
pub(crate) struct Refused {
    /// The line where its commands begin.
    begin: u64,
    /// The line that the problem is about.
    pub(crate) line: u64,
    pub(crate) problem: Problem,
    /// Whether the line is one of a document.
    is_of_document: bool,
}

impl Refused {
    fn new(command: &Command, problem: Problem) -> Self {
        let is_of_document = !command.line_rows.is_empty();
        Self { begin: command.line, line: command.line_of(&problem), problem, is_of_document }
    }
}

impl Loaded {
    /// Nothing so far.
    pub(crate) fn new(skip_bad: bool) -> Self {
        Self { all_or_none: !skip_bad, ..Self::default() }
    }

    /// Whether no line was answered.
    fn is_nothing(&self) -> bool {
        self.done == 0 && self.refused.is_empty()
    }

    fn count(&mut self, chunk: &[&Command], items: Vec<BatchItem>) {
        for (command, item) in chunk.iter().zip(items) {
            let line = command.line;
            let repeat = item.outcome.is_some_and(|outcome| outcome.repeat);
            match (item.problem, self.last) {
                (Some(problem), _) => {
                    self.refused.push(Refused::new(command, problem));
                    self.last = Some((line, false));
                }
                (None, Some((last, before))) if last == line => {
                    self.repeats -= if before && !repeat { command.rows } else { 0 };
                    self.last = Some((line, before && repeat));
                }
                (None, _) => {
                    self.done += command.rows;
                    self.repeats += if repeat { command.rows } else { 0 };
                    self.last = Some((line, repeat));
                }
            }
        }
    }

    /// The commands but those of refused lines.
    fn accepted<'a>(&self, commands: &'a [Command]) -> Vec<&'a Command> {
        let refused: HashSet<u64> = self.refused.iter().map(|refused| refused.begin).collect();
        commands.iter().filter(|command| !refused.contains(&command.line)).collect()
    }

    /// Tells on standard error what the service refused, by the lines of the file.
    fn tell_refused(&self, file: &str) {
        let mut errors = Errors::default();
        for Refused { line, problem, is_of_document, .. } in &self.refused {
            let detail = if *is_of_document { of_row(&problem.detail) } else { &problem.detail };
            errors.add(*line, format!("{detail} ({})", problem.code));
        }
        errors.tell(file);
    }

    fn json(&self, commands: usize, bad: &Errors) -> Value {
        let refused =
            self.refused.iter().map(|refused| json!({ "line": refused.line, "problem": refused.problem }));
        let refused: Vec<_> = refused.collect();
        json!({
            "commands": commands, "loaded": self.done - self.repeats, "repeated": self.repeats,
            "bad_lines": bad.len(), "bad": bad.json(), "refused": refused,
        })
    }

    pub(crate) fn text(&self, noun: Noun) -> String {
        let mut text = format!("{}: {} loaded", noun.name(), self.done - self.repeats);
        if self.repeats > 0 {
            text += &format!(", {} were there before", self.repeats);
        }
        if !self.refused.is_empty() {
            text += &format!(", {} refused", self.refused.len());
            if self.all_or_none {
                text += "; nothing was changed";
                // All tiers are one setting.
                if noun != Noun::Tiers {
                    text += ", and with --skip-bad the other lines are loaded";
                }
            }
        }
        text + "\n"
    }
}

/// Gives the commands in batches, and says in `loaded` what came of them, also where it fails in the middle. Unless bad
/// lines are skipped, all of them or none: where the service would refuse one, it is told which, and nothing was loaded.
pub(crate) async fn load(
    client: &Client,
    commands: &[Command],
    bar: &ProgressBar,
    loaded: &mut Loaded,
) -> Result<()> {
    let chunks = chunks(commands);
    let skip_bad = !loaded.all_or_none;
    // A file of one batch needs no rehearsal: the batch itself is all or nothing.
    if !skip_bad && chunks.len() > 1 {
        let (start, what) = (Instant::now(), bar.message());
        bar.set_message("checking");
        rehearse_all(client, &chunks, bar, &mut loaded.refused).await?;
        if !loaded.refused.is_empty() {
            return Ok(());
        }
        bar.println(format!("checked in {:.1} s", start.elapsed().as_secs_f64()));
        bar.set_message(what);
        bar.reset();
    }
    for (index, chunk) in chunks.iter().enumerate() {
        let sent = if skip_bad && has_rows_of_two(chunk) {
            row_by_row(client, chunk, loaded).await
        } else {
            let sent = client.batch_of_json(body(chunk, !skip_bad, None)).await;
            sent.map(|batch| loaded.count(chunk, batch.items))
                .map_err(|error| Broken { line: chunk[0].line, error })
        };
        match sent {
            Ok(()) => {}
            // Nothing is loaded yet: it is as if it had been rehearsed.
            Err(Broken { error, .. }) if index == 0 && !refusals(&error).is_empty() => {
                loaded.refused.extend(lines_refused(chunk, refusals(&error)));
                return Ok(());
            }
            Err(Broken { error, .. }) if loaded.is_nothing() => return Err(error.into()),
            Err(Broken { line, error }) => {
                let before = match skip_bad {
                    true => "what is right before it is loaded",
                    false => "what is before it is loaded",
                };
                let what = format!(
                    "cannot load from line {line} on; {before}, and loading the file again goes on there"
                );
                return Err(error).context(what);
            }
        }
        bar.inc(chunk.len() as u64);
    }
    Ok(())
}

/// A load that broke off.
struct Broken {
    /// The first line that was not answered.
    line: u64,
    error: jaego_client::Error,
}

/// Which commands an atomic batch was refused for, in order, and why: none where it failed for another reason.
fn refusals(error: &jaego_client::Error) -> Vec<(usize, Problem)> {
    let Some(problem) = error.problem() else { return Vec::new() };
    let index = problem.facts.get("index").and_then(Value::as_u64);
    let Some(index) = index.and_then(|index| usize::try_from(index).ok()) else { return Vec::new() };
    let mut first = problem.clone();
    let others = first.facts.remove("also_refused").map(serde_json::from_value::<Vec<BatchItem>>);
    let others = others.and_then(Result::ok).unwrap_or_default();
    let others = others.into_iter().filter_map(|item| Some((item.index, item.problem?)));
    std::iter::once((index, first)).chain(others).collect()
}

/// The lines of refused commands, each once.
fn lines_refused(chunk: &[&Command], refusals: Vec<(usize, Problem)>) -> Vec<Refused> {
    let mut lines: Vec<Refused> = Vec::with_capacity(refusals.len());
    for (index, problem) in refusals {
        // The last is the rehearsal's own.
        let Some(command) = chunk.get(index) else { continue };
        if lines.last().is_none_or(|last| last.begin != command.line) {
            lines.push(Refused::new(command, problem));
        }
    }
    lines
}

fn has_rows_of_two(chunk: &[&Command]) -> bool {
    chunk.windows(2).any(|two| two[0].line == two[1].line)
}

/// Loads the rows that are accepted, each of them with all of its commands or not at all.
///
/// Batches are atomic. One that is refused is sent again without the rows at fault.
async fn row_by_row(client: &Client, chunk: &[&Command], loaded: &mut Loaded) -> Result<(), Broken> {
    let mut left = chunk.to_vec();
    while let Some(first) = left.first() {
        let error = match client.batch_of_json(body(&left, true, None)).await {
            Ok(answer) => {
                loaded.count(&left, answer.items);
                return Ok(());
            }
            Err(error) => error,
        };
        let refused = lines_refused(&left, refusals(&error));
        if refused.is_empty() {
            return Err(Broken { line: first.line, error });
        }
        let lines: HashSet<u64> = refused.iter().map(|refused| refused.begin).collect();
        left.retain(|command| !lines.contains(&command.line));
        loaded.refused.extend(refused);
    }
    Ok(())
}

/// Finds what the service would refuse, and changes nothing.
async fn rehearse_all(
    client: &Client,
    chunks: &[Vec<&Command>],
    bar: &ProgressBar,
    refused: &mut Vec<Refused>,
) -> Result<()> {
    for chunk in chunks {
        rehearse(client, chunk, refused).await?;
        bar.inc(chunk.len() as u64);
    }
    Ok(())
}

/// The same for one batch: an atomic one whose last command is refused in any case.
async fn rehearse(client: &Client, chunk: &[&Command], refused: &mut Vec<Refused>) -> Result<()> {
    let error = match client.batch_of_json(body(chunk, true, Some(&doomed()))).await {
        Ok(_) => bail!("the rehearsal of this load was carried out: it closed a transfer of a random name"),
        Err(error) => error,
    };
    let refusals = refusals(&error);
    if refusals.is_empty() {
        return Err(error).context("cannot check the file against the store");
    }
    refused.extend(lines_refused(chunk, refusals));
    Ok(())
}

/// A command that is refused: it closes a transfer that there is not.
fn doomed() -> String {
    let name = format!("rehearsal-{}", random_name());
    json!({ "op": "close_transfer", "transfer": name, "key": name }).to_string()
}

/// A name that nobody has used.
fn random_name() -> String {
    let random = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", random(), random())
}

fn chunks(commands: &[Command]) -> Vec<Vec<&Command>> {
    let mut chunks: Vec<Vec<&Command>> = Vec::new();
    let (mut lines, mut bytes) = (0, 0);
    for command in commands {
        // What a row says stays together; one place is left for its second command, and one for that of the rehearsal.
        let is_full = chunks.last().is_none_or(|chunk| {
            chunk.last().is_none_or(|last| last.line != command.line)
                && (chunk.len() + 2 >= BATCH_COMMANDS_MAX
                    || lines + command.lines > BATCH_LINES_MAX
                    || bytes + command.json.len() > BATCH_BYTES_MAX)
        });
        if is_full {
            chunks.push(Vec::new());
            (lines, bytes) = (0, 0);
        }
        (lines, bytes) = (lines + command.lines, bytes + command.json.len());
        if let Some(chunk) = chunks.last_mut() {
            chunk.push(command);
        }
    }
    chunks
}

fn body(chunk: &[&Command], atomic: bool, last: Option<&str>) -> Vec<u8> {
    let mut body = format!("{{\"atomic\":{atomic},\"commands\":[");
    let commands = chunk.iter().map(|command| &*command.json).chain(last);
    for (index, command) in commands.enumerate() {
        if index > 0 {
            body.push(',');
        }
        body.push_str(command);
    }
    body.push_str("]}");
    body.into_bytes()
}

#[cfg(test)]
mod tests;
