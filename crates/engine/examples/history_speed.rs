//! How fast the past is read: `history_speed [events] [skus]`, a million adjustments over ten thousand SKUs unless said.
//!
//! Prints how long the indexes of all sealed segments take to make and what they weigh, and how long it takes, after a
//! restart, to read a SKU's movements, its balance over time, and stock as of the middle of the history.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use jaego_domain::{
    Code, Command, Name, Outside, Quantity, Request, Strategy, TimeZone, Timestamp,
    command::{Adjust, AdjustLine, Change, SetLocation, SetSite, SetSku},
    row::{LocationKind, Tracking},
};
use jaego_engine::{Config, Engine, disk::RealDisk, open};
use jaego_store::{BalanceFilter, Batch, MovementFilter, Results, StockAsOf, Store};

const BATCH: usize = 1_000;
const BINS: usize = 200;
const BEGIN: u64 = 1_772_323_200_000;
/// SKUs that are read one after the other; the time of the middle one is told.
const READS: usize = 21;

fn code(text: &str) -> Code {
    Code::new("code", text).expect("a code")
}

fn request(command: Command) -> Request {
    Request::new(command, None, code("bench")).expect("a sound request")
}

fn start(folder: &Path, clock: &Arc<AtomicU64>) -> Arc<Engine> {
    let disk = RealDisk::open(folder).expect("a folder");
    let recovered = open(disk, Config::default().journal, |_| {}).expect("a store");
    let hand = Arc::clone(clock);
    Engine::start(recovered, Config::default(), move || Timestamp(hand.load(Ordering::SeqCst)))
}

fn submit(engine: &Engine, requests: Vec<Request>) {
    let answers = engine.submit(Batch { requests, atomic: false }).wait().expect("an answer");
    let Results::Each(each) = answers.results else { unreachable!("not an atomic batch") };
    each.into_iter().for_each(|result| drop(result.expect("nothing is refused here")));
}

fn furnish(engine: &Engine, skus: usize) {
    let mut facts = vec![request(Command::SetSite(SetSite {
        site: code("ICN"),
        name: Name::default(),
        time_zone: TimeZone::new("Asia/Seoul").expect("a zone"),
        strategy: Strategy::PickOrder,
    }))];
    facts.extend((0..BINS).map(|bin| {
        request(Command::SetLocation(SetLocation {
            site: code("ICN"),
            location: code(&format!("B-{bin}")),
            zone: Name::default(),
            pick_order: 1,
            kind: LocationKind::Storage,
        }))
    }));
    facts.extend((0..skus).map(|sku| {
        request(Command::SetSku(SetSku {
            sku: code(&format!("sku-{sku}")),
            name: Name::default(),
            tracking: Tracking::None,
            safety_stock: Vec::new(),
            prices: Vec::new(),
        }))
    }));
    for facts in facts.chunks(BATCH) {
        submit(engine, facts.to_vec());
    }
}

fn adjustment(number: usize, skus: usize) -> Request {
    let line = AdjustLine {
        site: code("ICN"),
        // Every SKU lies in five bins.
        location: code(&format!("B-{}", (number % skus * 7 + number / skus % 5) % BINS)),
        sku: code(&format!("sku-{}", number * 7_919 % skus)),
        lot: None,
        change: Change::Add(Quantity::new("quantity", 1).expect("one"), Outside::Supplier),
    };
    let id = code(&format!("A-{number:08}"));
    request(Command::Adjust(Adjust { id, reason: Name::default(), lines: vec![line], release: None }))
}

/// The files of a kind, and their bytes.
fn files(folder: &Path, kind: &str) -> (usize, u64) {
    let entries = fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry"));
    let found = entries.filter(|entry| entry.file_name().to_string_lossy().ends_with(kind));
    found.fold((0, 0), |(count, bytes), entry| (count + 1, bytes + entry.metadata().expect("a file").len()))
}

fn wait_for_indexes(folder: &Path) {
    while files(folder, ".index").0 + 1 < files(folder, ".journal").0 {
        thread::sleep(Duration::from_millis(1));
    }
}

/// The first time, and the middle of the others.
fn time(what: &str, mut read: impl FnMut(usize) -> usize) {
    let mut times: Vec<Duration> = Vec::new();
    let mut rows = 0;
    for number in 0..READS {
        let start = Instant::now();
        rows = read(number);
        times.push(start.elapsed());
    }
    let first = times.remove(0);
    times.sort_unstable();
    println!("{what:<44} first {first:>10.2?}  then {:>10.2?} ({rows} rows)", times[times.len() / 2]);
}

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<usize>().expect("a number"));
    let events = arguments.next().unwrap_or(1_000_000);
    let skus = arguments.next().unwrap_or(10_000);
    let folder = tempfile::tempdir().expect("a folder");
    let clock = Arc::new(AtomicU64::new(BEGIN));
    let engine = start(folder.path(), &clock);
    furnish(&engine, skus);
    for first in (0..events).step_by(BATCH) {
        submit(
            &engine,
            (first..(first + BATCH).min(events)).map(|number| adjustment(number, skus)).collect(),
        );
        clock.fetch_add(1_000, Ordering::SeqCst);
    }
    wait_for_indexes(folder.path());
    engine.close().expect("a well disk");
    drop(engine);
    for entry in fs::read_dir(folder.path()).expect("the folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|kind| kind == "index") {
            fs::remove_file(path).expect("a file of ours");
        }
    }
    let engine = start(folder.path(), &clock);
    let making = Instant::now();
    wait_for_indexes(folder.path());
    let took = making.elapsed();
    let (segments, journal) = files(folder.path(), ".journal");
    let (indexes, bytes) = files(folder.path(), ".index");
    println!("{events} adjustments of {skus} SKUs: {segments} segments, {journal} bytes");
    println!("{indexes} indexes made in {took:.2?}, {bytes} bytes");

    let sku = |number: usize| code(&format!("sku-{}", number * 13 % skus));
    time("movements of a SKU, all pages", |number| {
        let (mut rows, mut after) = (0, None);
        loop {
            let filter =
                MovementFilter { sku: Some(sku(number)), after, limit: 1_000, ..MovementFilter::default() };
            let page = engine.movements(filter).wait().expect("a page");
            rows += page.movements.len();
            after = page.next;
            if after.is_none() {
                return rows;
            }
        }
    });
    time("movements of a document", |number| {
        let document = Some(code(&format!("A-{:08}", number * events / READS)));
        let filter = MovementFilter { document, limit: 100, ..MovementFilter::default() };
        engine.movements(filter).wait().expect("a page").movements.len()
    });
    time("balance of a SKU over time", |number| {
        let filter = BalanceFilter {
            sku: sku(number),
            site: None,
            since: None,
            until: None,
            after: None,
            limit: 1_000,
        };
        let page = engine.balances(filter).wait().expect("a page").value.expect("a known SKU");
        page.points.len()
    });
    let middle = Timestamp(BEGIN + (clock.load(Ordering::SeqCst) - BEGIN) / 2);
    let as_of = StockAsOf {
        sku: None,
        site: None,
        location: None,
        lot: None,
        as_of: middle,
        after: None,
        limit: 100,
    };
    let stock = |filter: StockAsOf| {
        let page = engine.stock_as_of(filter).wait().expect("a page").value.expect("a time that was");
        page.positions.len()
    };
    time("stock of a SKU as of the middle", |number| {
        stock(StockAsOf { sku: Some(sku(number)), ..as_of.clone() })
    });
    time("stock of a site as of the middle, 100 rows", |_| {
        stock(StockAsOf { site: Some(code("ICN")), ..as_of.clone() })
    });
    time("stock as of the middle, 1,000 rows", |_| stock(StockAsOf { limit: 1_000, ..as_of.clone() }));
    engine.close().expect("a well disk");
}
