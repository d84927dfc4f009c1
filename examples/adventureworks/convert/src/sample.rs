use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use crate::{Error, Inventory, Tables};

/// An order's quantity is divided by this and rounded up, so that the stock meets about 80 % of it.
///
/// AdventureWorks' orders are four years of buying for mass production, 2.3 million pieces, and its
/// inventory is one evening's. A hundredth of the orders is about what that evening's stock can give:
/// enough that most lines are met and shortages are an everyday matter. The stock stays as it is.
pub const ORDER_DIVISOR: u64 = 100;

/// Orders due on this day or later become one transfer of several thousand lines.
pub const BULK_DUE_FROM: &str = "2014-04-01";
const BULK_ID: &str = "BULK-2014";

/// The logistics centre: where AdventureWorks stores things, places 1 to 7. Transfers leave from here.
const LOGISTICS: &str = "ICN";
/// The picking and packing centre: where AdventureWorks works on things, places 10 to 60. Transfers
/// arrive here.
const PICKING: &str = "GMP";
const FIRST_PICKING_PLACE: u32 = 10;

/// Gaps in the walk, so that a new bin fits between two old ones.
const PICK_ORDER_STEP: u32 = 10;

/// The places that each site has beside its bins, and their kinds. Nothing is picked there.
const SPECIAL: [(&str, &str); 3] =
    [("RECEIVING", "receiving"), ("QUARANTINE", "quarantine"), ("STAGING", "staging")];

/// What Jaego imports, as the contents of its five files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// `sites.csv`: site, name, time_zone.
    pub sites: String,
    /// `locations.csv`: site, location, zone, pick_order, kind.
    pub locations: String,
    /// `skus.csv`: sku, name, tracking, safety_stock.ICN.
    pub skus: String,
    /// `stock.csv`: site, location, sku, lot, quantity.
    pub stock: String,
    /// `transfers.jsonl`: a transfer a line.
    pub transfers: String,
}

/// What the transfers ask for, and how much of it the stock can give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Pieces asked for.
    pub requested: u64,
    /// Pieces that a plain first-come-first-served allocation gives.
    pub met: u64,
}

/// A bin of a site. Its order is that of the walk: by place, shelf and number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Bin {
    place: u32,
    shelf: Option<String>,
    number: u32,
}

impl Bin {
    fn of(row: &Inventory) -> Self {
        Self { place: row.place, shelf: row.shelf.clone(), number: row.bin }
    }

    fn site(&self) -> &'static str {
        if self.place < FIRST_PICKING_PLACE { LOGISTICS } else { PICKING }
    }

    fn code(&self) -> String {
        match &self.shelf {
            Some(shelf) => format!("{:02}-{shelf}-{:02}", self.place, self.number),
            None => format!("{:02}-FLOOR-{:02}", self.place, self.number),
        }
    }
}

impl Sample {
    /// The names of the files, with their contents.
    #[must_use]
    pub fn files(&self) -> [(&'static str, &str); 5] {
        [
            ("sites.csv", &self.sites),
            ("locations.csv", &self.locations),
            ("skus.csv", &self.skus),
            ("stock.csv", &self.stock),
            ("transfers.jsonl", &self.transfers),
        ]
    }

    /// Writes the files into a folder.
    pub fn write(&self, folder: &Path) -> Result<(), Error> {
        for (name, text) in self.files() {
            let path = folder.join(name);
            std::fs::write(&path, text).map_err(|source| Error::Io { doing: "write", path, source })?;
        }
        Ok(())
    }

    /// Makes the sample.
    pub fn of(tables: &Tables) -> Result<Self, Error> {
        let numbers: BTreeMap<u32, &str> =
            tables.products.iter().map(|product| (product.id, product.number.as_str())).collect();
        let sku = |id: u32| numbers.get(&id).copied().ok_or(Error::Unknown { noun: "product", id });

        Ok(Self {
            sites: sites(),
            locations: locations(tables)?,
            skus: skus(tables),
            stock: stock(tables, sku)?,
            transfers: transfers(tables, sku)?,
        })
    }
}

impl Demand {
    /// Adds up what the transfers ask for, and gives it out SKU by SKU from the logistics centre's
    /// stock, in the order in which the lines come, a part where not all is left.
    #[must_use]
    pub fn of(tables: &Tables) -> Self {
        let mut stock: BTreeMap<u32, u64> = BTreeMap::new();
        for row in tables.inventory.iter().filter(|row| Bin::of(row).site() == LOGISTICS) {
            *stock.entry(row.product).or_default() += row.quantity;
        }
        let mut demand = Self { requested: 0, met: 0 };
        for line in &tables.order_lines {
            let requested = requested(line.quantity);
            let left = stock.entry(line.product).or_default();
            let met = requested.min(*left);
            *left -= met;
            demand.requested += requested;
            demand.met += met;
        }
        demand
    }
}

fn requested(ordered: u64) -> u64 {
    ordered.div_ceil(ORDER_DIVISOR)
}

fn sites() -> String {
    table(
        &["site", "name", "time_zone"],
        [
            [LOGISTICS, "Incheon logistics centre", "Asia/Seoul"],
            [PICKING, "Gimpo picking and packing centre", "Asia/Seoul"],
        ],
    )
}

fn locations(tables: &Tables) -> Result<String, Error> {
    let zones: BTreeMap<u32, &str> =
        tables.places.iter().map(|place| (place.id, place.name.as_str())).collect();
    let bins: BTreeSet<Bin> = tables.inventory.iter().map(Bin::of).collect();

    let mut rows: Vec<[String; 5]> = Vec::new();
    for site in [LOGISTICS, PICKING] {
        for (code, kind) in SPECIAL {
            rows.push([site, code, kind, "0", kind].map(str::to_owned));
        }
        let mut pick_order = 0;
        for bin in bins.iter().filter(|bin| bin.site() == site) {
            let id = bin.place;
            let zone = zones.get(&id).ok_or(Error::Unknown { noun: "place", id })?;
            pick_order += PICK_ORDER_STEP;
            let row = [site, &bin.code(), zone, &pick_order.to_string(), "storage"];
            rows.push(row.map(str::to_owned));
        }
    }
    Ok(table(&["site", "location", "zone", "pick_order", "kind"], rows))
}

/// All products, also those that nobody stocks or orders: they are what a catalogue has. Only what the
/// logistics centre stocks has a safety stock there; elsewhere it would warn from the first day on.
fn skus(tables: &Tables) -> String {
    let stocked: BTreeSet<u32> = tables
        .inventory
        .iter()
        .filter(|row| Bin::of(row).site() == LOGISTICS)
        .map(|row| row.product)
        .collect();
    let rows = tables.products.iter().map(|product| {
        let safety_stock =
            if stocked.contains(&product.id) { product.safety_stock.to_string() } else { String::new() };
        [product.number.clone(), product.name.clone(), "none".to_owned(), safety_stock]
    });
    table(&["sku", "name", "tracking", &format!("safety_stock.{LOGISTICS}")], rows)
}

/// Both sites' stock in the order of the walk. An empty bin is no position.
fn stock<'a>(tables: &Tables, sku: impl Fn(u32) -> Result<&'a str, Error>) -> Result<String, Error> {
    let mut positions: BTreeMap<(Bin, &str), u64> = BTreeMap::new();
    for row in &tables.inventory {
        *positions.entry((Bin::of(row), sku(row.product)?)).or_default() += row.quantity;
    }
    let rows = positions.iter().filter(|(_, quantity)| **quantity > 0).map(|((bin, sku), quantity)| {
        [bin.site().to_owned(), bin.code(), (*sku).to_owned(), String::new(), quantity.to_string()]
    });
    Ok(table(&["site", "location", "sku", "lot", "quantity"], rows))
}

/// A transfer for each purchase order, and one for all that are due late. A line keeps the number that
/// its order's line has, so that each can be found again in the source.
fn transfers<'a>(tables: &Tables, sku: impl Fn(u32) -> Result<&'a str, Error>) -> Result<String, Error> {
    let mut transfers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in &tables.order_lines {
        let id = if line.due_on.as_str() < BULK_DUE_FROM {
            format!("PO-{:04}", line.order)
        } else {
            BULK_ID.to_owned()
        };
        // Numbers and product numbers have no character that JSON would want escaped.
        transfers.entry(id).or_default().push(format!(
            r#"{{"line":"{}","sku":"{}","quantity":{}}}"#,
            line.line,
            sku(line.product)?,
            requested(line.quantity)
        ));
    }
    let mut text = String::new();
    for (id, lines) in transfers {
        let lines = lines.join(",");
        writeln!(text, r#"{{"id":"{id}","from":"{LOGISTICS}","to":"{PICKING}","lines":[{lines}]}}"#)
            .expect("a string takes whatever is written to it");
    }
    Ok(text)
}

fn table<const N: usize, S: AsRef<[u8]>>(
    header: &[&str; N],
    rows: impl IntoIterator<Item = [S; N]>,
) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let wrote = "memory takes whatever is written to it";
    writer.write_record(header).expect(wrote);
    for row in rows {
        writer.write_record(row).expect(wrote);
    }
    String::from_utf8(writer.into_inner().expect(wrote)).expect("only text was written")
}
