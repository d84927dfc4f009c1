//! `jaego export`: out of a service into files that `jaego import` reads.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fs::{self, File},
    io::{self, BufWriter, ErrorKind, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use clap::Args;
use indicatif::ProgressBar;
use jaego_api::{
    limits::PAGE_MAX,
    list::List,
    location::Location,
    lot::{Lot, Trace},
    order::{Order, OrderSummary},
    site::Site,
    sku::Sku,
    stock::{Candidate, Position},
    trade::Card,
    transfer::{Transfer, TransferSummary},
    value::Word,
    wallet::Wallet,
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::{
    exit::{DONE, Told},
    import::Noun,
    master::said,
    remote::{Remote, Service},
    rows::Format,
};

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    remote: Remote,
    /// What is wanted.
    noun: Noun,
    /// The file, CSV or JSON lines; standard output if none is named.
    file: Option<PathBuf>,
    /// How it is written, where its name does not tell [default: csv]
    #[arg(long)]
    format: Option<Format>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let format = match &options.file {
        Some(file) => Format::of(file, options.format)?,
        None => options.format.unwrap_or(Format::Csv),
    };
    options.remote.run(async |service: Service| {
        let target = options.file.as_deref().map(Target::begin).transpose()?;
        let to: Box<dyn Write> = match &target {
            Some(target) => Box::new(BufWriter::new(target.open()?)),
            None => Box::new(BufWriter::new(io::stdout())),
        };
        let mut export = Export::new(&service, options.noun, format, to).await?;
        let written = export.all().await;
        export.bar.finish_and_clear();
        let ended = written.and_then(|()| export.sink.end());
        let ended = ended.and_then(|rows| target.map_or(Ok(()), Target::end).map(|()| rows));
        match ended {
            // A reader who has seen enough.
            Err(error) if options.file.is_none() && is_broken_pipe(&error) => Err(Told(DONE).into()),
            Err(error) => {
                let to = options.file.as_deref().unwrap_or(Path::new("standard output"));
                Err(error.context(format!("cannot export to {}", to.display())))
            }
            Ok(rows) => {
                let count = match export.documents {
                    // An import counts documents, and not their rows.
                    documents if documents > 0 && documents != rows => {
                        format!("{documents} written, in {rows} rows")
                    }
                    _ => format!("{rows} written"),
                };
                eprintln!("{}: {count}", options.noun.name());
                for note in &export.notes {
                    eprintln!("{}: {note}", options.noun.name());
                }
                Ok(())
            }
        }
    })
}

/// A file that is written beside its name and takes it when it is whole: an export that breaks off leaves the one of
/// yesterday as it was, and none that looks whole and is not.
struct Target {
    file: PathBuf,
    /// Where it is written; the file itself where that is no file (`/dev/null`, a pipe) and cannot be replaced by one.
    part: PathBuf,
}

impl Target {
    fn begin(file: &Path) -> Result<Self> {
        // Of a link, what it leads to is replaced, and not the link.
        let file = &file.canonicalize().unwrap_or_else(|_| file.to_owned());
        let is_special = file.metadata().is_ok_and(|there| !there.is_file());
        let name = file.file_name().with_context(|| format!("{} names no file", file.display()))?;
        let mut part_name = name.to_owned();
        part_name.push(format!(".{}.part", std::process::id()));
        let part = if is_special { file.to_owned() } else { file.with_file_name(part_name) };
        Ok(Self { file: file.to_owned(), part })
    }

    fn open(&self) -> Result<File> {
        let cannot = || format!("cannot write {}", self.part.display());
        let made = File::create(&self.part).with_context(cannot)?;
        if self.part != self.file
            && let Ok(there) = self.file.metadata()
        {
            // Who may read it stays as it was.
            made.set_permissions(there.permissions()).with_context(cannot)?;
        }
        Ok(made)
    }

    fn end(self) -> Result<()> {
        if self.part == self.file {
            return Ok(());
        }
        let synced = File::open(&self.part).and_then(|part| part.sync_all());
        synced.with_context(|| format!("cannot sync {}", self.part.display()))?;
        let renamed = fs::rename(&self.part, &self.file);
        renamed.with_context(|| format!("cannot rename {} to {}", self.part.display(), self.file.display()))
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if self.part != self.file {
            // It is there only if the export broke off; whoever reads the error needs no second one.
            let _ = fs::remove_file(&self.part);
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let kind = |cause: &(dyn std::error::Error + 'static)| match cause.downcast_ref::<csv::Error>() {
        Some(error) => match error.kind() {
            csv::ErrorKind::Io(error) => Some(error.kind()),
            _ => None,
        },
        None => cause.downcast_ref::<io::Error>().map(io::Error::kind),
    };
    error.chain().any(|cause| kind(cause) == Some(ErrorKind::BrokenPipe))
}

/// Where rows go, one after the other.
struct Sink {
    out: Out,
    columns: Vec<String>,
    rows: usize,
}

enum Out {
    Csv(Box<csv::Writer<Box<dyn Write>>>),
    Jsonl(Box<dyn Write>),
}

/// What a row says that no column has. A field that is an object has a column for each of its names.
fn without_column(columns: &[String], fields: &Value) -> Option<String> {
    let has_column = |name: &String| columns.contains(name);
    let said = fields.as_object()?.iter().filter(|(_, value)| !value.is_null());
    let mut names = said.flat_map(|(field, value)| match value {
        Value::Object(inner) => inner.keys().map(|name| format!("{field}.{name}")).collect(),
        _ => vec![field.clone()],
    });
    names.find(|name| !has_column(name))
}

impl Sink {
    fn row(&mut self, fields: Value) -> Result<()> {
        self.rows += 1;
        match &mut self.out {
            Out::Jsonl(to) => writeln!(to, "{}", said(fields))?,
            Out::Csv(to) => {
                if let Some(field) = without_column(&self.columns, &fields) {
                    // Only what began after the header was written has none.
                    let row = &fields[self.columns[0].as_str()];
                    bail!("{field} of {row} was set while the export ran, and has no column: export again");
                }
                let cells = self.columns.iter().map(|column| {
                    let value = match column.split_once('.') {
                        Some((object, name)) => &fields[object][name],
                        None => &fields[column.as_str()],
                    };
                    match value {
                        Value::Null => String::new(),
                        Value::String(text) => text.clone(),
                        other => other.to_string(),
                    }
                });
                to.write_record(cells)?;
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Result<usize> {
        match &mut self.out {
            Out::Csv(to) => to.flush()?,
            Out::Jsonl(to) => to.flush()?,
        }
        Ok(self.rows)
    }
}

struct Export<'a> {
    service: &'a Service,
    noun: Noun,
    sites: Vec<Site>,
    sink: Sink,
    /// Transfers or orders that were written, of which a CSV file has a row for each line.
    documents: usize,
    /// What the reader should know of what was left out.
    notes: Vec<String>,
    bar: ProgressBar,
}

impl<'a> Export<'a> {
    async fn new(service: &'a Service, noun: Noun, format: Format, to: Box<dyn Write>) -> Result<Self> {
        let bar = ProgressBar::new_spinner().with_message(noun.name());
        let mut sites = Vec::new();
        if matches!(noun, Noun::Sites | Noun::Locations | Noun::Skus) {
            let mut pages = Pages::new("sites", &[]);
            while let Some(page) = pages.next(service).await? {
                sites.extend(page);
            }
        }
        let mut currencies: BTreeSet<String> = BTreeSet::new();
        if noun == Noun::Skus && format == Format::Csv {
            // The header comes first, and names each currency in which anything has a price.
            let mut pages: Pages<Sku> = Pages::new("skus", &[]);
            while let Some(page) = pages.next(service).await? {
                let named = page.iter().flat_map(|sku| sku.prices.keys());
                currencies.extend(named.map(|currency| currency.to_string()));
            }
        }
        let columns = noun.columns().iter().flat_map(|column| match column.name.strip_suffix('.') {
            Some("prices") => {
                currencies.iter().map(|currency| format!("{}{currency}", column.name)).collect()
            }
            Some(_) => sites.iter().map(|site: &Site| format!("{}{}", column.name, site.site)).collect(),
            None => vec![column.name.to_owned()],
        });
        let columns: Vec<String> = columns.collect();
        let out = match format {
            Format::Jsonl => Out::Jsonl(to),
            Format::Csv => {
                let mut writer = csv::Writer::from_writer(to);
                writer.write_record(&columns)?;
                Out::Csv(Box::new(writer))
            }
        };
        let sink = Sink { out, columns, rows: 0 };
        Ok(Self { service, noun, sites, sink, documents: 0, notes: Vec::new(), bar })
    }

    async fn all(&mut self) -> Result<()> {
        match self.noun {
            Noun::Sites => self.sites(),
            Noun::Locations => self.locations().await,
            Noun::Skus => self.skus().await,
            Noun::Lots => self.lots().await,
            Noun::Stock => self.stock().await,
            Noun::Transfers => self.transfers().await,
            Noun::Wallets => self.wallets().await,
            Noun::Orders => self.orders().await,
            Noun::Tiers => self.tiers().await,
            Noun::Cards => self.cards().await,
        }
    }

    fn row(&mut self, fields: Value) -> Result<()> {
        self.bar.inc(1);
        self.sink.row(fields)
    }

    fn sites(&mut self) -> Result<()> {
        for site in std::mem::take(&mut self.sites) {
            self.row(json!({
                "site": site.site, "name": site.name, "time_zone": site.time_zone, "strategy": site.strategy,
                "order_allocation": site.order_allocation,
            }))?;
        }
        Ok(())
    }

    async fn locations(&mut self) -> Result<()> {
        for site in std::mem::take(&mut self.sites) {
            let mut pages: Pages<Location> = Pages::new("locations", &[("site", &site.site)]);
            while let Some(page) = pages.next(self.service).await? {
                for location in page {
                    self.row(serde_json::to_value(location)?)?;
                }
            }
        }
        Ok(())
    }

    async fn skus(&mut self) -> Result<()> {
        let mut pages: Pages<Sku> = Pages::new("skus", &[]);
        while let Some(page) = pages.next(self.service).await? {
            for sku in page {
                self.row(serde_json::to_value(sku)?)?;
            }
        }
        Ok(())
    }

    async fn lots(&mut self) -> Result<()> {
        let mut skus: Pages<Sku> = Pages::new("skus", &[]);
        while let Some(page) = skus.next(self.service).await? {
            for sku in page.into_iter().filter(|sku| sku.tracking.as_str() != "none") {
                let mut lots: Pages<Lot> = Pages::new("lots", &[("sku", &sku.sku)]);
                while let Some(page) = lots.next(self.service).await? {
                    for lot in page {
                        self.row(json!({
                            "sku": lot.sku, "lot": lot.lot, "received_on": lot.received_on,
                            "expires_on": lot.expires_on, "blocked": lot.blocked,
                        }))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// What lies where, held or not. What is missing until somebody counts it is left out: an import would make it
    /// available.
    async fn stock(&mut self) -> Result<()> {
        let mut unavailable = Unavailable::default();
        let (mut missing_units, mut missing_places) = (0, 0);
        let mut pages: Pages<Position> = Pages::new("stock", &[]);
        while let Some(page) = pages.next(self.service).await? {
            for position in page.into_iter().filter(|position| position.on_hand > 0) {
                let (position, missing) = unavailable.missing(self.service, position).await?;
                missing_units += missing;
                missing_places += usize::from(missing > 0);
                if position.on_hand == missing {
                    continue;
                }
                self.row(json!({
                    "site": position.site, "location": position.location, "sku": position.sku,
                    "lot": position.lot, "quantity": position.on_hand - missing,
                }))?;
            }
        }
        if missing_places > 0 {
            self.notes.push(format!(
                "{missing_units} units in {missing_places} positions are missing until they are counted, and left out"
            ));
        }
        Ok(())
    }

    /// What can be loaded again: balances above zero, and their limits. What is left out is told.
    async fn wallets(&mut self) -> Result<()> {
        let (mut empty, mut held) = (0, 0);
        let mut pages: Pages<Wallet> = Pages::new("wallets", &[]);
        while let Some(page) = pages.next(self.service).await? {
            for wallet in page {
                for one in wallet.balances {
                    if one.balance <= 0 {
                        empty += 1;
                        continue;
                    }
                    held += usize::from(one.held > 0);
                    // No limit is what a new wallet has.
                    let limit = Some(one.limit).filter(|limit| *limit != 0);
                    self.row(json!({
                        "owner": wallet.owner, "currency": one.currency, "balance": one.balance,
                        "limit": limit,
                    }))?;
                }
            }
        }
        if empty > 0 {
            self.notes.push(format!("{empty} balances of zero or less are left out, with their limits"));
        }
        if held > 0 {
            self.notes.push(format!(
                "of {held} balances a part is held for open authorizations, which are left out"
            ));
        }
        Ok(())
    }

    async fn tiers(&mut self) -> Result<()> {
        for from in self.service.client.price_tiers().await?.from {
            self.row(json!({ "from": from }))?;
        }
        Ok(())
    }

    async fn cards(&mut self) -> Result<()> {
        let mut pages: Pages<Card> = Pages::new("cards", &[]);
        while let Some(page) = pages.next(self.service).await? {
            for card in page {
                self.row(json!({ "card": card.card, "owner": card.owner, "price": card.price }))?;
            }
        }
        Ok(())
    }

    /// What is still to be shipped: what has left, or was called off, would be asked for again where it is loaded.
    async fn transfers(&mut self) -> Result<()> {
        let (mut ended, mut begun, mut picked) = (0, 0, 0);
        let mut pages: Pages<TransferSummary> = Pages::new("transfers", &[]);
        while let Some(page) = pages.next(self.service).await? {
            let is_live = |transfer: &TransferSummary| {
                let ended = ["shipped", "received", "closed", "cancelled"];
                !ended.contains(&transfer.status.as_str())
            };
            for summary in page {
                // It may have ended since the page was read.
                let live = if is_live(&summary) {
                    Some(self.service.client.transfer(&summary.id).await?).filter(|now| is_live(&now.summary))
                } else {
                    None
                };
                let Some(transfer) = live else {
                    ended += 1;
                    continue;
                };
                begun += usize::from(transfer.summary.totals.shipped > 0);
                picked += usize::from(transfer.summary.totals.picked > 0);
                self.transfer(&transfer)?;
            }
        }
        if ended > 0 {
            self.notes.push(format!("{ended} that are shipped whole or have ended are left out"));
        }
        if begun > 0 {
            self.notes.push(format!("of {begun} a part is shipped, and only the rest is written"));
        }
        if picked > 0 {
            self.notes.push(format!(
                "of {picked} goods are picked, which is not written: in the file of stock they lie in staging, to be moved back where it is loaded"
            ));
        }
        Ok(())
    }

    /// Orders that have not ended: those that have would take stock again where they are loaded.
    async fn orders(&mut self) -> Result<()> {
        let (mut ended, mut sold) = (0, 0);
        let mut pages: Pages<OrderSummary> = Pages::new("orders", &[]);
        while let Some(page) = pages.next(self.service).await? {
            let is_live = |order: &OrderSummary| matches!(order.status.as_str(), "waiting" | "processing");
            for summary in page {
                let live = if is_live(&summary) {
                    // It may have ended since the page was read.
                    Some(self.service.client.order(&summary.id).await?).filter(|now| is_live(&now.summary))
                } else {
                    None
                };
                let Some(order) = live else {
                    ended += 1;
                    continue;
                };
                sold += usize::from(order.sale.is_some());
                self.order(&order)?;
            }
        }
        if ended > 0 {
            self.notes.push(format!("{ended} that are completed or cancelled are left out"));
        }
        if sold > 0 {
            self.notes.push(format!(
                "{sold} were paid for, which is not written: where they are loaded, cancelling them gives nothing back"
            ));
        }
        Ok(())
    }

    fn order(&mut self, order: &Order) -> Result<()> {
        let summary = &order.summary;
        let head = said(json!({
            "id": summary.id, "site": summary.site, "customer": summary.customer,
            "priority": summary.priority, "backorder": summary.backorder,
        }));
        let lines = order.lines.iter();
        let lines =
            lines.map(|line| said(json!({ "sku": line.sku, "lot": line.lot, "quantity": line.quantity })));
        self.document(head, lines.collect())
    }

    fn transfer(&mut self, transfer: &Transfer) -> Result<()> {
        let summary = &transfer.summary;
        let head = json!({
            "id": summary.id, "from": summary.from, "to": summary.to, "priority": summary.priority,
        });
        let lines = transfer.lines.iter().filter(|line| line.quantity > line.totals.shipped).map(|line| {
            let left = line.quantity - line.totals.shipped;
            said(json!({ "line": line.line, "sku": line.sku, "lot": line.lot, "quantity": left }))
        });
        self.document(head, lines.collect())
    }

    /// A document: one row with all its lines, or in CSV one for each of them.
    fn document(&mut self, head: Value, lines: Vec<Value>) -> Result<()> {
        let merged = |rest: Map<String, Value>| match &head {
            Value::Object(head) => Value::Object(head.clone().into_iter().chain(rest).collect()),
            other => other.clone(),
        };
        self.documents += 1;
        if matches!(self.sink.out, Out::Jsonl(_)) {
            let lines = Value::Array(lines);
            return self.row(merged([("lines".to_owned(), lines)].into_iter().collect()));
        }
        for line in lines {
            if let Value::Object(line) = line {
                self.row(merged(line))?;
            }
        }
        Ok(())
    }
}

/// Tells what is missing of a position from what is unavailable there for another reason.
#[derive(Default)]
struct Unavailable {
    /// By site and location: whether all that lies there is, because of the location's kind.
    places: HashMap<(Word, Word), bool>,
    /// SKU, lot and site: all of such a lot is unavailable there, because it is blocked or its last day is over.
    lots: HashSet<(Word, Word, Word)>,
}

impl Unavailable {
    /// A position and how much of it is missing until somebody counts it. It may have been read again. Where all that
    /// nobody holds is unavailable for another reason, nothing is known to be missing.
    async fn missing(&mut self, service: &Service, position: Position) -> Result<(Position, u64)> {
        if position.unavailable == 0 || self.is_place(service, &position).await? {
            return Ok((position, 0));
        }
        let Some(lot) = position.lot.clone() else {
            let missing = position.unavailable;
            return Ok((position, missing));
        };
        let of_site = (position.sku.clone(), lot.clone(), position.site.clone());
        // What has something available is neither blocked nor over by now.
        if position.available == 0 && self.lots.contains(&of_site) {
            return Ok((position, 0));
        }
        // A lot may be blocked at any time: what it is and what lies there is asked at one moment.
        let at = [("sku", &*position.sku), ("lot", &*lot)];
        let trace: Trace = service.client.read("trace", &at).await?;
        let is_it = |one: &Candidate| {
            one.position.site == position.site && one.position.location == position.location
        };
        let Some(now) = trace.positions.into_iter().find(is_it) else {
            // It has gone since it was listed.
            return Ok((Position { on_hand: 0, ..position }, 0));
        };
        if matches!(now.verdict.as_str(), "lot_blocked" | "lot_expired") {
            self.lots.insert(of_site);
            return Ok((now.position, 0));
        }
        let missing = now.position.unavailable;
        Ok((now.position, missing))
    }

    /// Whether what lies there is unavailable because of the location's kind, which is fixed for as long as it does.
    async fn is_place(&mut self, service: &Service, position: &Position) -> Result<bool> {
        let place = (position.site.clone(), position.location.clone());
        if let Some(is_unavailable) = self.places.get(&place) {
            return Ok(*is_unavailable);
        }
        let at = [("site", &*place.0), ("location", &*place.1)];
        let location: Location = service.client.read("location", &at).await?;
        let is_unavailable = location.kind.as_str() != "storage";
        self.places.insert(place, is_unavailable);
        Ok(is_unavailable)
    }
}

/// The pages of a list, one after the other.
struct Pages<T> {
    name: &'static str,
    parameters: Vec<(String, String)>,
    after: Option<String>,
    is_over: bool,
    items: std::marker::PhantomData<T>,
}

impl<T: DeserializeOwned> Pages<T> {
    fn new(name: &'static str, parameters: &[(&str, &str)]) -> Self {
        let limit = [("limit".to_owned(), PAGE_MAX.to_string())];
        let named = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self {
            name,
            parameters: named.chain(limit).collect(),
            after: None,
            is_over: false,
            items: std::marker::PhantomData,
        }
    }

    async fn next(&mut self, service: &Service) -> Result<Option<Vec<T>>> {
        if self.is_over {
            return Ok(None);
        }
        let mut parameters: Vec<_> =
            self.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        parameters.extend(self.after.as_deref().map(|after| ("after", after)));
        let page: List<T> = service.client.read(self.name, &parameters).await?;
        self.is_over = page.next.is_none();
        self.after = page.next;
        Ok(Some(page.items))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_column_breaks_the_export_off() {
        let columns = ["sku", "name", "safety_stock.ICN", "prices.KRW"].map(str::to_owned).to_vec();
        let sku = |safety_stock: Value, prices: Value| json!({ "sku": "mug", "name": "", "safety_stock": safety_stock, "prices": prices });
        for (row, told) in [
            (sku(json!({ "ICN": 5 }), json!({ "KRW": 900 })), None),
            (sku(json!({}), json!({})), None),
            (sku(json!({ "GMP": 5 }), json!({})), Some("safety_stock.GMP")),
            (sku(json!({ "ICN": 5 }), json!({ "KRW": 900, "USD": 4 })), Some("prices.USD")),
            (json!({ "sku": "mug", "colour": null }), None),
            (json!({ "sku": "mug", "colour": "red" }), Some("colour")),
        ] {
            let out = Out::Csv(Box::new(csv::Writer::from_writer(Box::new(io::sink()))));
            let mut sink = Sink { out, columns: columns.clone(), rows: 0 };
            let broken_off = sink.row(row.clone()).err().map(|error| error.to_string());
            let expected = told.map(|field| {
                format!("{field} of \"mug\" was set while the export ran, and has no column: export again")
            });
            assert_eq!(broken_off, expected, "{row}");
        }
    }
}
