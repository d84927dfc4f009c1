//! Row E17: stores that version 1 left behind open, come to the same rows, and tell of documents what they told.
//!
//! The folders are never written again: what does not open any more is a broken promise. `JAEGO_WRITE_FIXTURES=1`
//! writes one where it is missing, and leaves it where it is there.

use std::{
    collections::{BTreeSet, VecDeque},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use jaego_domain::{
    Amount, Code, Command, Currency, Name, Outside, Query, Request, Sequence, Tables, Timestamp, View,
    command::{
        Adjust, AdjustLine, CancelOrder, Change, Checkout, CompleteOrder, Payment, RefundOrder, SetCart,
        SetCartItem,
    },
};
use jaego_engine::{
    Config, Core, Engine, Job, Limits, Submission,
    disk::{Disk, RealDisk},
    journal::{self, Preparation},
    open,
    sim_disk::{Dice, SimDisk},
    state_hash, verify, write_checkpoint,
};
use jaego_sim::{Client, SimClock, code, quantity, setup};
use jaego_store::{Batch, MovementFilter, Results, Store};
use tempfile::TempDir;

const JOURNAL: journal::Config = journal::Config { segment_len: 8_192, preparation: Preparation::Inline };
const REQUESTS: usize = 900;
/// Requests of one frame.
const FRAME: usize = 8;
/// Frames after which a checkpoint is written: the events behind it are replayed.
const CHECKPOINT_AFTER: usize = 60;
/// The file that tells what the rows have to come to; it is no part of the store.
const HASH: &str = "hash";
/// The file that tells what is answered of documents; it is no part of the store.
const ANSWERS: &str = "answers";
/// Requests of the store whose documents leave memory, and those that come after its last checkpoint.
const LONG_REQUESTS: usize = 3_000;
const LATE_REQUESTS: usize = 100;
/// Orders of the store whose paid orders leave memory, and those that come after its last checkpoint.
const PAID_ORDERS: usize = 300;
const LATE_ORDERS: usize = 10;
/// The file that tells what a wallet has paid for orders that are not given back; it is no part of the store.
const SOLD: &str = "sold";
/// How long a checkpoint may take before a fixture is given up.
const PATIENCE: Duration = Duration::from_secs(30);

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A copy of a fixture to work on, without what is no part of the store.
fn copy_of(name: &str, write: fn(&Path)) -> (PathBuf, TempDir) {
    let fixture = fixture(name);
    if !fixture.exists() && std::env::var_os("JAEGO_WRITE_FIXTURES").is_some() {
        write(&fixture);
    }
    let folder = tempfile::tempdir().expect("a folder");
    for entry in fs::read_dir(&fixture).expect("the fixture is there") {
        let entry = entry.expect("the fixture can be read");
        let name = entry.file_name();
        if name != HASH && name != ANSWERS && name != SOLD {
            fs::copy(entry.path(), folder.path().join(name)).expect("it can be copied");
        }
    }
    (fixture, folder)
}

fn count(folder: &TempDir, is_meant: impl Fn(&str) -> bool) -> usize {
    let names = fs::read_dir(folder.path()).expect("it was copied");
    names
        .filter(|entry| is_meant(&entry.as_ref().expect("it was copied").file_name().to_string_lossy()))
        .count()
}

/// Writes the files of a closed store into a folder.
fn keep(disk: &SimDisk, folder: &Path) {
    fs::create_dir_all(folder).expect("the folder of fixtures can be written to");
    for name in disk.list().expect("a well disk") {
        // The next segment's blank file is made anew by whoever opens the store.
        if name != "spare" {
            let bytes = disk.contents(&name).expect("it is listed");
            fs::write(folder.join(name), bytes).expect("the folder of fixtures can be written to");
        }
    }
}

/// Makes a store with a bit of everything, and writes its files down.
fn write(folder: &Path) {
    let disk = SimDisk::new(1);
    let recovered = open(disk.clone(), JOURNAL, |_| {}).expect("a well disk");
    let mut journal = recovered.journal;
    let limits = Limits { frame_bytes: 4_096, atomic_bytes: 4_096, lines_before_yield: usize::MAX };
    let mut core = Core::new(recovered.memory, limits);
    let (mut dice, mut client) = (Dice::new(17), Client::default());
    let mut requests = setup();
    while requests.len() < REQUESTS {
        let request = client.request(&mut dice);
        requests.extend(request.wanted_movement().is_none().then_some(request));
    }
    for (frame, requests) in requests.chunks(FRAME).enumerate() {
        let now = Timestamp(1_772_323_200_000 + frame as u64 * 1_500);
        let batch = Batch { requests: requests.to_vec(), atomic: false };
        let job = Job::Submit(Submission::new(batch, Box::new(|_| ())));
        let mut jobs = VecDeque::from([job]);
        while !jobs.is_empty() {
            core.turn(&mut jobs, now, Ok(()));
            let flight = core.take_flight();
            if flight.count > 0 {
                journal.append(flight.first.0, flight.count, &flight.payload).expect("a well disk");
                journal.sync().expect("a well disk");
            }
        }
        if frame == CHECKPOINT_AFTER {
            journal.rotate().expect("a well disk");
            let upto = Sequence(journal.next_sequence() - 1);
            write_checkpoint(&*recovered.disk, &journal.reader(), &recovered.archive, upto)
                .expect("a well disk");
        }
    }
    journal.close().expect("a well disk");
    keep(&disk, folder);
    let hash = format!("{} {:032x}\n", core.memory().head().sequence, state_hash(core.memory()));
    fs::write(folder.join(HASH), hash).expect("the folder of fixtures can be written to");
}

#[test]
fn a_store_of_version_1_opens_and_comes_to_the_same_rows() {
    let (fixture, folder) = copy_of("v1", write);
    let segments = count(&folder, |name| name.ends_with(".journal"));
    assert!(segments > 2, "{segments} segments");
    let told = fs::read_to_string(fixture.join(HASH)).expect("the fixture has a hash");
    let opened = || RealDisk::open(folder.path()).expect("a folder");
    let recovered = open(opened(), JOURNAL, |_| {}).expect("a store of version 1 opens");
    let checkpoint = recovered.checkpoint.expect("it begins with its checkpoint");
    let head = recovered.memory.head().sequence;
    assert!(checkpoint > Sequence(50) && checkpoint < head, "{checkpoint} of {head}");
    drop(recovered);
    let verified = verify(opened(), JOURNAL, |_| {}).expect("its books are right");
    assert_eq!(told, format!("{} {:032x}\n", verified.sequence, verified.hash));
    assert_eq!(verified.checkpoint, Some(checkpoint), "the whole journal was held against the checkpoint");
    assert_eq!(verified.events, verified.sequence.0);
}

/// Segments that are sealed often, and a checkpoint for each of them.
fn long_config() -> Config {
    let limits = Limits { frame_bytes: 4_096, atomic_bytes: 4_096, lines_before_yield: usize::MAX };
    let journal = journal::Config { segment_len: 32_768, preparation: Preparation::Inline };
    Config { journal, limits, checkpoint_segments: 1, ..Config::default() }
}

/// By a clock that stands, so that nothing lapses that had not lapsed.
fn start<D: Disk>(disk: D, clock: &SimClock) -> Arc<Engine> {
    let recovered = open(disk, long_config().journal, |_| {}).expect("a store of version 1 opens");
    Engine::start(recovered, long_config(), clock.clone())
}

/// Makes a store so long that documents have left its memory and segments have their indexes, and writes its files and
/// what it tells of its documents down.
fn write_long(folder: &Path) {
    let disk = SimDisk::new(2);
    let clock = SimClock::default();
    let engine = start(disk.clone(), &clock);
    let (mut dice, mut client) = (Dice::new(18), Client::default());
    let mut ids = BTreeSet::new();
    let mut submit = |requests: Vec<Request>| {
        for request in &requests {
            match request.command() {
                Command::PlaceHold(hold) => ids.insert(format!("hold {}", hold.id)),
                Command::RequestTransfer(transfer) => ids.insert(format!("transfer {}", transfer.id)),
                Command::PlaceOrder(order) => ids.insert(format!("order {}", order.id)),
                _ => false,
            };
        }
        let asked = engine.submit(Batch { requests, atomic: false });
        asked.wait().expect("a well disk");
        engine.status().sequence
    };
    submit(setup());
    for _ in 0..LONG_REQUESTS / FRAME {
        let requests = (0..FRAME).map(|_| client.request(&mut dice)).collect();
        client.saw(submit(requests));
        clock.move_on(&mut dice);
    }
    let deadline = Instant::now() + PATIENCE;
    let has = |end: &str| disk.list().expect("a well disk").iter().any(|name| name.ends_with(end));
    while !has(".run") || !has(".index") {
        assert!(Instant::now() < deadline, "no archive or no index");
        thread::sleep(Duration::from_millis(10));
    }
    submit((0..LATE_REQUESTS).map(|_| client.request(&mut dice)).collect());
    engine.close().expect("a well disk");
    drop(engine);
    keep(&disk, folder);
    let ids: Vec<_> = ids.into_iter().collect();
    fs::write(folder.join(ANSWERS), answers(&start(disk.clone(), &SimClock::default()), &ids))
        .expect("the folder can be written to");
    let verified = verify(disk, long_config().journal, |_| {}).expect("its books are right");
    let hash = format!("{} {:032x}\n", verified.sequence, verified.hash);
    fs::write(folder.join(HASH), hash).expect("the folder can be written to");
}

/// What a store tells of these documents, in words that later versions can tell as well: a line for each.
fn answers(engine: &Engine, ids: &[String]) -> String {
    let mut told = String::new();
    for named in ids {
        let (kind, id) = named.split_once(' ').expect("a kind and an id");
        let id = Code::new("id", id).expect("it was one");
        let query = match kind {
            "hold" => Query::Hold(id.clone()),
            "transfer" => Query::Transfer(id.clone()),
            "wallet" => Query::Wallet(id.clone()),
            _ => Query::Order(id.clone()),
        };
        let words = match engine.query(query).wait().expect("a well disk").value {
            Ok(View::Hold(hold)) => format!("{:?} of {} lines", hold.status, hold.lines.len()),
            Ok(View::Transfer(transfer)) => {
                let totals = transfer.summary.totals;
                let (requested, shipped, received) = (totals.requested, totals.shipped, totals.received);
                format!(
                    "{:?} {requested} requested {shipped} shipped {received} received",
                    transfer.summary.status
                )
            }
            Ok(View::Order(order)) => format!("{:?} of {} lines", order.summary.status, order.lines.len()),
            Ok(View::Wallet(wallet)) => {
                let balances = wallet.balances.iter();
                let told = balances.map(|one| format!("{} {} paid {}", one.currency, one.balance, one.paid));
                told.collect::<Vec<_>>().join(", ")
            }
            Ok(other) => panic!("{named} is told as {other:?}"),
            Err(refusal) => refusal.code().to_owned(),
        };
        let filter = MovementFilter { document: Some(id), limit: 1_000, ..MovementFilter::default() };
        let movements = engine.movements(filter).wait().expect("a well disk").movements;
        writeln!(told, "{named}: {words}, {} movements", movements.len()).expect("a string grows");
    }
    told
}

#[test]
fn a_long_store_of_version_1_tells_of_documents_that_have_left_its_memory() {
    let (fixture, folder) = copy_of("v1-long", write_long);
    let runs = count(&folder, |name| name.ends_with(".run"));
    let indexes = count(&folder, |name| name.ends_with(".index"));
    assert!(runs > 0 && indexes > 2, "{runs} runs of an archive, {indexes} indexes");
    let told = fs::read_to_string(fixture.join(ANSWERS)).expect("the fixture has answers");
    let ids: Vec<_> = told.lines().map(|line| line.split(':').next().expect("a line").to_owned()).collect();
    let opened = || RealDisk::open(folder.path()).expect("a folder");
    let opening = open(opened(), long_config().journal, |_| {});
    let archived = opening.expect("it opens").archive.document_count();
    assert!(archived > 100, "{archived} documents have left memory");
    let engine = start(opened(), &SimClock::default());
    assert_eq!(answers(&engine, &ids), told);
    engine.close().expect("a well disk");
    drop(engine);
    let verified = verify(opened(), long_config().journal, |_| {}).expect("its books are right");
    let hash = fs::read_to_string(fixture.join(HASH)).expect("the fixture has a hash");
    assert_eq!(hash, format!("{} {:032x}\n", verified.sequence, verified.hash_without_sold));
    assert_eq!(verified.events, verified.sequence.0);
}

fn won(units: u64) -> Amount {
    Amount::new("amount", units).expect("it is small")
}

fn currency() -> Currency {
    Currency::new("currency", "KRW").expect("it is a currency")
}

fn payment(units: u64) -> Payment {
    let (owner, reason) = (code("kim"), Name::default());
    Payment { owner, currency: currency(), amount: won(units), reason, reference: None }
}

fn done(engine: &Engine, command: Command) -> bool {
    let request = Request::new(command, None, code("sim")).expect("it is well formed");
    let asked = engine.submit(Batch { requests: vec![request], atomic: false });
    match asked.wait().expect("a well disk").results {
        Results::Each(each) => each[0].is_ok(),
        Results::Refused(_) => false,
    }
}

/// Sells kim so many mugs at 2 won each, and completes the order, cancels it, gives 1 won of it back, or leaves it. Tells what kim
/// has paid for it that is not given back.
fn sell(engine: &Engine, number: usize) -> u64 {
    let id = code(&format!("P{number}"));
    let mugs = 1 + number as u64 % 3;
    let (site, owner) = (code("ICN"), code("kim"));
    let (expected_total, order) = (Some(won(2 * mugs)), None);
    let mut commands = vec![
        Command::SetCart(SetCart { id: id.clone(), site, owner, hold_s: None }),
        Command::SetCartItem(SetCartItem { id: id.clone(), sku: code("mug"), quantity: quantity(mugs) }),
        Command::Checkout(Checkout { id: id.clone(), currency: currency(), expected_total, order }),
    ];
    let refund = RefundOrder { id: id.clone(), amount: Some(won(1)), reason: Name::default() };
    let complete = CompleteOrder { id: id.clone(), claimant: None };
    let left = match number % 4 {
        0 => {
            commands.extend([Command::CompleteOrder(complete), Command::RefundOrder(refund)]);
            2 * mugs - 1
        }
        1 => {
            commands.push(Command::CompleteOrder(complete));
            2 * mugs
        }
        2 => {
            commands.push(Command::CancelOrder(CancelOrder { id }));
            0
        }
        _ => 2 * mugs,
    };
    assert!(commands.into_iter().all(|command| done(engine, command)), "P{number}");
    left
}

/// Makes a store of which most paid orders have left memory, and writes its files, what it tells of them and what was paid for
/// them down.
fn write_paid(folder: &Path) {
    let disk = SimDisk::new(3);
    let engine = start(disk.clone(), &SimClock::default());
    let asked = engine.submit(Batch { requests: setup(), atomic: false });
    asked.wait().expect("a well disk");
    let line = AdjustLine {
        site: code("ICN"),
        location: code("A-1"),
        sku: code("mug"),
        lot: None,
        change: Change::Add(quantity(1_000), Outside::Supplier),
    };
    let (id, reason) = (code("MUGS"), Name::default());
    assert!(done(&engine, Command::Adjust(Adjust { id, reason, lines: vec![line], release: None })));
    assert!(done(&engine, Command::Charge(payment(10_000))));
    assert!(done(&engine, Command::Pay(payment(30))));
    let mut sold: u64 = (0..PAID_ORDERS).map(|number| sell(&engine, number)).sum();
    let deadline = Instant::now() + PATIENCE;
    let has = |end: &str| disk.list().expect("a well disk").iter().any(|name| name.ends_with(end));
    while !has(".run") || !has(".index") {
        assert!(Instant::now() < deadline, "no archive or no index");
        thread::sleep(Duration::from_millis(10));
    }
    sold += (PAID_ORDERS..PAID_ORDERS + LATE_ORDERS).map(|number| sell(&engine, number)).sum::<u64>();
    // One of an order that has left memory, behind the last checkpoint.
    let refund = RefundOrder { id: code("P1"), amount: Some(won(3)), reason: Name::default() };
    assert!(done(&engine, Command::RefundOrder(refund)));
    sold -= 3;
    engine.close().expect("a well disk");
    drop(engine);
    keep(&disk, folder);
    let orders = (0..PAID_ORDERS + LATE_ORDERS).step_by(7).map(|number| format!("order P{number}"));
    let ids: Vec<_> = orders.chain(["wallet kim".to_owned()]).collect();
    fs::write(folder.join(ANSWERS), answers(&start(disk.clone(), &SimClock::default()), &ids))
        .expect("the folder can be written to");
    fs::write(folder.join(SOLD), format!("{sold}\n")).expect("the folder can be written to");
    let verified = verify(disk, long_config().journal, |_| {}).expect("its books are right");
    let hash = format!("{} {:032x}\n", verified.sequence, verified.hash);
    fs::write(folder.join(HASH), hash).expect("the folder can be written to");
}

/// Wallets did not say what was paid for orders when this store was written: it is counted as it opens, of orders that have left
/// memory as of the others.
#[test]
fn paid_orders_that_have_left_the_memory_of_an_older_store_are_given_back_through_them_alone() {
    let (fixture, folder) = copy_of("v1-paid", write_paid);
    let read = |name| fs::read_to_string(fixture.join(name)).expect("it is in the fixture");
    let (told, hash) = (read(ANSWERS), read(HASH));
    let sold: u64 = read(SOLD).trim().parse().expect("a number");
    let opened = || RealDisk::open(folder.path()).expect("a folder");
    let recovered = open(opened(), long_config().journal, |_| {}).expect("it opens");
    let archived = recovered.archive.document_count();
    assert!(archived > 100, "{archived} documents have left memory");
    let first_replayed = recovered.checkpoint.expect("it begins with a checkpoint");
    assert!(first_replayed < recovered.memory.head().sequence, "nothing is behind it");
    drop(recovered);
    let verified = verify(opened(), long_config().journal, |_| {}).expect("its books are right");
    assert_eq!(hash, format!("{} {:032x}\n", verified.sequence, verified.hash_without_sold));

    let engine = start(opened(), &SimClock::default());
    let ids: Vec<_> = told.lines().map(|line| line.split(':').next().expect("a line").to_owned()).collect();
    assert_eq!(answers(&engine, &ids), told);
    let balance = || match engine.query(Query::Wallet(code("kim"))).wait().expect("a well disk").value {
        Ok(View::Wallet(wallet)) => wallet.balances[0],
        other => panic!("{other:?}"),
    };
    assert_eq!((balance().sold, balance().paid), (sold, won(sold + 30)));
    // A refund to the wallet leaves alone what was paid for orders, each of which gives back what is left of it.
    assert!(!done(&engine, Command::Refund(payment(31))));
    assert!(done(&engine, Command::Refund(payment(30))));
    let refund = |id: &str, units| {
        let (id, amount) = (code(id), Some(won(units)));
        done(&engine, Command::RefundOrder(RefundOrder { id, amount, reason: Name::default() }))
    };
    // It was completed, and 1 of 4 won was left.
    assert!(!refund("P1", 2) && refund("P1", 1) && !refund("P1", 1));
    // It was completed, and 1 of 2 won was given back.
    assert!(!refund("P0", 2) && refund("P0", 1));
    assert!(!refund("P2", 1), "it was cancelled");
    assert_eq!((balance().sold, balance().paid), (sold - 2, won(sold - 2)));
    engine.close().expect("a well disk");
    drop(engine);
    verify(opened(), long_config().journal, |_| {}).expect("its books are right");
}
