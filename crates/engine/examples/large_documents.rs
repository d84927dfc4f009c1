//! What a batch costs that names a large document again and again: `large_documents [lines] [times]`.
//!
//! Prints how long the batch takes, and how long others wait meanwhile who place a hold of one line.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use jaego_domain::{
    Code, Command, Name, Outside, Quantity, Request, Strategy, TimeZone,
    command::{
        Adjust, AdjustLine, AllocateTransfer, Change, ExtendHold, HoldLine, PlaceHold, RequestTransfer,
        SetLocation, SetSite, SetSku, TransferLine,
    },
    row::{LocationKind, Tracking},
};
use jaego_engine::{Config, Engine, SystemClock, disk::RealDisk, open};
use jaego_store::{Batch, Results, Store};

fn code(text: &str) -> Code {
    Code::new("code", text).expect("a code")
}

fn quantity(units: u64) -> Quantity {
    Quantity::new("quantity", units).expect("a quantity")
}

fn request(command: Command) -> Request {
    Request::new(command, None, code("example")).expect("a sound request")
}

fn batch(engine: &Engine, commands: Vec<Command>) -> (usize, usize) {
    let requests = commands.into_iter().map(request).collect();
    let answers = engine.submit(Batch { requests, atomic: false }).wait().expect("an answer");
    match answers.results {
        Results::Each(each) => (each.iter().filter(|one| one.is_ok()).count(), each.len()),
        Results::Refused(_) => panic!("not an atomic batch"),
    }
}

fn hold_line(sku: &str, units: u64) -> HoldLine {
    HoldLine { site: code("ICN"), sku: code(sku), quantity: quantity(units), location: None, lot: None }
}

fn hold(id: &str, lines: Vec<HoldLine>) -> Command {
    Command::PlaceHold(PlaceHold {
        id: code(id),
        owner: None,
        lines: lines.into_iter().collect(),
        expires_in_ms: None,
        partial: false,
        strategy: None,
    })
}

fn setup(engine: &Engine, skus: usize) {
    let site = |site: &str| {
        Command::SetSite(SetSite {
            site: code(site),
            name: Name::default(),
            time_zone: TimeZone::new("Asia/Seoul").expect("a zone"),
            strategy: Strategy::PickOrder,
        })
    };
    let mut commands = vec![
        site("ICN"),
        site("PUS"),
        Command::SetLocation(SetLocation {
            site: code("ICN"),
            location: code("A-1"),
            zone: Name::default(),
            pick_order: 0,
            kind: LocationKind::Storage,
        }),
    ];
    let sku = |number: usize| {
        Command::SetSku(SetSku {
            sku: code(&format!("S{number}")),
            name: Name::default(),
            tracking: Tracking::None,
            safety_stock: Vec::new(),
            prices: Vec::new(),
        })
    };
    commands.extend((0..skus).map(sku));
    let line = |number: usize| AdjustLine {
        site: code("ICN"),
        location: code("A-1"),
        sku: code(&format!("S{number}")),
        lot: None,
        change: Change::Add(quantity(1_000_000_000), Outside::Opening),
    };
    commands.push(Command::Adjust(Adjust {
        id: code("opening"),
        reason: Name::default(),
        lines: (0..skus).map(line).collect(),
        release: None,
    }));
    let all = commands.len();
    assert_eq!(batch(engine, commands), (all, all));
}

/// Submits a batch, and tells what it and single holds beside it took.
fn measure(engine: &Engine, what: &str, commands: Vec<Command>) {
    let done = AtomicBool::new(false);
    let mut waits = Vec::new();
    let (wall, (accepted, all)) = thread::scope(|scope| {
        let large = scope.spawn(|| {
            let start = Instant::now();
            let answered = batch(engine, commands);
            done.store(true, Ordering::Relaxed);
            (start.elapsed(), answered)
        });
        let mut number = 0;
        while !done.load(Ordering::Relaxed) {
            let start = Instant::now();
            batch(
                engine,
                vec![hold(
                    &format!("{}-{number}", what.split([' ', ',']).collect::<String>()),
                    vec![hold_line("S0", 1)],
                )],
            );
            waits.push(start.elapsed());
            number += 1;
            thread::sleep(Duration::from_millis(1));
        }
        large.join().expect("it was answered")
    });
    waits.sort_unstable();
    let at = |part: usize| waits.get(waits.len() * part / 100).or(waits.last()).copied().unwrap_or_default();
    println!(
        "{what:28} {accepted:6} of {all} accepted in {wall:.2?}; {} holds beside it: p50 {:.2?}, p99 {:.2?}, max {:.2?}",
        waits.len(),
        at(50),
        at(99),
        at(100)
    );
}

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<usize>().expect("a number"));
    let lines = arguments.next().unwrap_or(50_000);
    let times = arguments.next().unwrap_or(10_000);
    let folder = tempfile::tempdir().expect("a folder");
    let config = Config::default();
    let disk = RealDisk::open(folder.path()).expect("a disk");
    let recovered = open(disk, config.journal, |_| {}).expect("a new store");
    let engine = Engine::start(recovered, config, SystemClock);
    let skus = 1_000;
    setup(&engine, skus);

    let hold_lines = (0..lines).map(|number| hold_line(&format!("S{}", number % skus), 1)).collect();
    measure(&engine, "place once", vec![hold("LARGE", hold_lines)]);
    let extend = || Command::ExtendHold(ExtendHold { id: code("LARGE"), expires_in_ms: 3_600_000 });
    measure(&engine, "extend", (0..times).map(|_| extend()).collect());
    measure(
        &engine,
        "place again, other body",
        (0..times).map(|_| hold("LARGE", vec![hold_line("S0", 1)])).collect(),
    );

    let line = |number: usize| TransferLine {
        line: code(&number.to_string()),
        sku: code(&format!("S{}", number % skus)),
        quantity: quantity(1_000_000_000_000),
        lot: None,
    };
    let transfer = RequestTransfer {
        id: code("T"),
        from: code("ICN"),
        to: code("PUS"),
        priority: 0,
        lines: (0..lines.min(9_000)).map(line).collect(),
    };
    measure(&engine, "request", vec![Command::RequestTransfer(transfer)]);
    let allocate = || {
        Command::AllocateTransfer(AllocateTransfer {
            id: code("T"),
            strategy: None,
            partial: false,
            lines: None,
            dry_run: false,
        })
    };
    measure(&engine, "allocate, all of it short", (0..times.min(1_000)).map(|_| allocate()).collect());
    engine.close().expect("it ends well");
}
