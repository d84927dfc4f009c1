//! What positions and open holds take, in bytes that were asked of the allocator, and which structure takes them.
//!
//! ```text
//! cargo run --release -p jaego-store --example memory_use -- 1000000
//! ```
//!
//! Ids have 15 characters where nothing else is said. An index by hash doubles at certain sizes, so that what it takes of
//! each entry depends on their number: every further argument measures all of it again for another number.

use std::{alloc::System, collections::BTreeMap, env};

use jaego_domain::{
    Code, Command, Memory, Name, Outside, Quantity, Request, Strategy, TimeZone, Timestamp,
    command::{Adjust, AdjustLine, Change, HoldLine, PlaceHold, SetLocation, SetLot, SetSite, SetSku},
    row::{LocationKind, Tracking},
    turn,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Lines of one adjustment.
const LINES: usize = 10_000;
/// Bins of the site.
const LOCATIONS: usize = 20_000;

fn code(text: &str) -> Code {
    Code::new("code", text).expect("it is a code")
}

/// How many bytes are in use.
fn in_use() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// What the holds have that are measured.
#[derive(Clone, Copy)]
struct Holds {
    id_len: usize,
    expires_in_ms: Option<u64>,
    has_owner: bool,
}

const PLAIN: Holds = Holds { id_len: 15, expires_in_ms: None, has_owner: false };

struct Books {
    tables: Memory,
    now: Timestamp,
}

impl Books {
    fn open() -> Self {
        let mut books = Self { tables: Memory::new(), now: Timestamp(1_772_323_200_000) };
        let (name, time_zone) = (Name::default(), TimeZone::new("UTC").expect("it is a zone"));
        let strategy = Strategy::Fefo;
        books.give(Command::SetSite(SetSite { site: code("ICN"), name, time_zone, strategy }));
        for bin in 0..LOCATIONS {
            let pick_order = u32::try_from(bin).expect("there are few");
            let (site, location, zone) = (code("ICN"), location(bin), Name::default());
            let kind = LocationKind::Storage;
            books.give(Command::SetLocation(SetLocation { site, location, zone, pick_order, kind }));
        }
        books
    }

    fn give(&mut self, command: Command) {
        let request = Request::new(command, None, code("bench")).expect("it is well formed");
        let mut events = Vec::with_capacity(2);
        turn::submit_for_good(&mut self.tables, &request, self.now, &mut events).expect("it is accepted");
    }

    fn set_skus(&mut self, count: usize, tracking: Tracking) {
        for number in 0..count {
            let (name, safety_stock, prices) = (Name::default(), Vec::new(), Vec::new());
            let sku = sku(number);
            self.give(Command::SetSku(SetSku { sku, name, tracking, safety_stock, prices }));
        }
    }

    fn set_lots(&mut self, skus: usize, lots: usize) {
        for line in 0..skus * lots {
            let (sku, lot) = (sku(line / lots), lot(line / lots, line % lots));
            self.give(Command::SetLot(SetLot {
                sku,
                lot,
                received_on: None,
                expires_on: None,
                blocked: false,
            }));
        }
    }

    /// As many places for each SKU as are said, of one lot each where it has lots.
    fn stock(&mut self, skus: usize, places: usize, has_lots: bool) {
        for from in (0..skus * places).step_by(LINES) {
            let lines = (from..(from + LINES).min(skus * places)).map(|line| {
                let (number, at) = (line / places, line % places);
                AdjustLine {
                    site: code("ICN"),
                    location: location((number * 7_919 + at * 104_729) % LOCATIONS),
                    sku: sku(number),
                    lot: has_lots.then(|| lot(number, at)),
                    change: Change::Add(quantity(1_000_000), Outside::Opening),
                }
            });
            let (id, lines) = (code(&format!("open-{from}")), lines.collect());
            self.give(Command::Adjust(Adjust { id, reason: Name::default(), lines, release: None }));
        }
    }

    fn place_holds(&mut self, count: usize, skus: usize, holds: Holds) {
        for number in 0..count {
            // A millisecond for each batch of a thousand, as under load.
            self.now = Timestamp(self.now.0 + u64::from(number % 1_000 == 0));
            // A multiplier that visits all SKUs in no order that a cache could love.
            let (site, sku) = (code("ICN"), sku(number.wrapping_mul(7_919_317) % skus));
            let line = HoldLine { site, sku, quantity: Quantity::ONE, location: None, lot: None };
            self.give(Command::PlaceHold(PlaceHold {
                id: code(&format!("H{number:0width$}", width = holds.id_len - 1)),
                owner: holds.has_owner.then(|| code(&format!("C{number:014}"))),
                lines: [line].into_iter().collect(),
                expires_in_ms: holds.expires_in_ms,
                partial: false,
                strategy: None,
            }));
        }
    }
}

fn sku(number: usize) -> Code {
    code(&format!("SKU-{number:08}"))
}

fn location(number: usize) -> Code {
    code(&format!("A-{number:05}"))
}

fn lot(sku: usize, number: usize) -> Code {
    code(&format!("L{sku:08}-{number:02}"))
}

fn quantity(units: u64) -> Quantity {
    Quantity::new("quantity", units).expect("it is a quantity")
}

/// Prints what `grow` adds for each of `count`.
fn measure(books: &mut Books, what: &str, count: usize, grow: impl FnOnce(&mut Books)) {
    let (before, parts_before) = (in_use(), books.tables.footprint());
    grow(books);
    let total = in_use() - before;
    let parts_before: BTreeMap<_, _> = parts_before.into_iter().collect();
    let parts = books.tables.footprint().into_iter().map(|(name, bytes)| (name, bytes - parts_before[name]));
    let each = |bytes: usize| bytes as f64 / count as f64;
    println!("{count} {what}: {:.1} bytes each", each(total));
    let mut rest = total;
    for (name, bytes) in parts.filter(|(_, bytes)| *bytes > 0) {
        println!("    {name:<26}{:>7.1}", each(bytes));
        rest = rest.saturating_sub(bytes);
    }
    println!("    {:<26}{:>7.1}", "everything else", each(rest));
}

fn main() {
    let numbers: Vec<usize> = env::args().skip(1).map(|text| text.parse().expect("it is a number")).collect();
    for count in if numbers.is_empty() { vec![1_000_000] } else { numbers } {
        let mut books = Books::open();
        measure(&mut books, "SKUs", count, |books| books.set_skus(count, Tracking::None));
        let what = "positions, one of each SKU";
        measure(&mut books, what, count, |books| books.stock(count, 1, false));
        let kinds = [
            ("holds of one line", PLAIN),
            ("holds that expire", Holds { expires_in_ms: Some(600_000), ..PLAIN }),
            ("holds with an owner", Holds { has_owner: true, ..PLAIN }),
            ("holds with an id of 24", Holds { id_len: 24, ..PLAIN }),
            ("holds with an id of 36", Holds { id_len: 36, ..PLAIN }),
        ];
        for (what, holds) in kinds {
            let mut books = Books::open();
            books.set_skus(count, Tracking::None);
            books.stock(count, 1, false);
            measure(&mut books, what, count, |books| books.place_holds(count, count, holds));
        }
        let skus = count / 10;
        let mut books = Books::open();
        books.set_skus(skus, Tracking::None);
        measure(&mut books, "positions, ten of each SKU", skus * 10, |books| books.stock(skus, 10, false));
        let mut books = Books::open();
        books.set_skus(skus, Tracking::Lot);
        measure(&mut books, "lots, ten of each SKU", skus * 10, |books| books.set_lots(skus, 10));
        measure(&mut books, "positions, one of each lot", skus * 10, |books| books.stock(skus, 10, true));
    }
}
