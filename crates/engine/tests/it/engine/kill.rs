//! Row E1: a process that acknowledges over a pipe is killed at a random instant, again and again, while it
//! syncs, takes checkpoints and files ended holds and cancelled transfers in the archive.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{ChildStdout, Command as Process, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use jaego_domain::{
    Command, DocumentKey, Name, Query, Row, Strategy, Tables, TimeZone, View,
    command::{AllocateTransfer, CancelTransfer, RequestTransfer, SetSite, TransferLine},
    row::{End, Hold, HoldStatus, Line, Transfer},
};
use jaego_engine::{
    Config, Engine, Limits, Recovered, SystemClock, disk::RealDisk, journal, open, sim_disk::Dice, verify,
};
use jaego_store::Store;
use jaego_testkit::{number, seed, size};

use super::world::{self, code, hold, one, opening, quantity, release, request, submit};

/// Names the folder to the child.
const FOLDER: &str = "JAEGO_KILL_FOLDER";
/// Names the life to the child, so that its ids are new.
const LIFE: &str = "JAEGO_KILL_LIFE";
/// Clients that place holds, and release every second one.
const CLIENTS: u64 = 4;
/// Those after them, who request transfers, allocate them, and cancel every second one.
const TRANSFERRERS: u64 = 2;
const SKUS: [&str; 2] = ["mug", "cup"];
/// Kills after which a new store is begun, so that the last audit takes no longer than the first.
const KILLS_PER_STORE: u64 = 25;
/// One life of so many goes on until so much was acknowledged, however slow the machine is: segments are filled by then.
const LONG_LIFE_EVERY: u64 = 100;
const LONG_LIFE_LINES: usize = 4_000;

/// Segments so short that a life of some milliseconds fills several, each with its checkpoint and archive.
fn config() -> Config {
    let config = world::config();
    let journal = journal::Config { segment_len: 256 << 10, ..config.journal };
    let limits = Limits { frame_bytes: 16 << 10, atomic_bytes: 32 << 10, ..config.limits };
    Config { journal, limits, ..config }
}

fn start(folder: &Path) -> Arc<Engine> {
    let recovered = open(RealDisk::open(folder).unwrap(), config().journal, |_| {}).unwrap();
    Engine::start(recovered, config(), SystemClock)
}

/// The id that a client uses for its n-th hold.
fn id(life: u64, client: u64, n: u64) -> String {
    format!("L{life}-{client}-{n}")
}

/// What the n-th hold of a client holds.
fn held_by(n: u64) -> (&'static str, u64) {
    (SKUS[usize::from(n % 4 > 1)], 1 + n % 3)
}

/// What the n-th transfer of a client asks for, line by line.
fn asked_by(n: u64) -> [(&'static str, u64); 2] {
    [(SKUS[0], 1 + n % 4), (SKUS[1], 2 + n % 5)]
}

/// The world of a new store, in one batch.
fn set_up(engine: &Engine) {
    let mut requests = opening(&SKUS, 1_000_000_000);
    requests.push(request(Command::SetSite(SetSite {
        site: code("PUS"),
        name: Name::default(),
        time_zone: TimeZone::new("Asia/Seoul").unwrap(),
        strategy: Strategy::PickOrder,
    })));
    for result in submit(engine, requests) {
        result.unwrap();
    }
}

/// One write for one line, so that none is torn or held back.
fn say(what: &str, client: u64, n: u64) {
    std::io::stdout().write_all(format!("{what} {client} {n}\n").as_bytes()).unwrap();
}

fn place_holds(engine: &Engine, life: u64, client: u64) {
    for n in 0.. {
        let id = id(life, client, n);
        let (sku, units) = held_by(n);
        one(engine, request(hold(&id, sku, units))).unwrap();
        say("held", client, n);
        if n % 2 == 1 {
            one(engine, request(release(&id))).unwrap();
            say("released", client, n);
        }
    }
}

fn request_transfers(engine: &Engine, life: u64, client: u64) {
    for n in 0.. {
        let id = code(&id(life, client, n));
        let lines = asked_by(n).into_iter().zip(["1", "2"]).map(|((sku, units), line)| TransferLine {
            line: code(line),
            sku: code(sku),
            quantity: quantity(units),
            lot: None,
        });
        let (from, to) = (code("ICN"), code("PUS"));
        let asked = RequestTransfer { id: id.clone(), from, to, priority: 0, lines: lines.collect() };
        one(engine, request(Command::RequestTransfer(asked))).unwrap();
        say("requested", client, n);
        let allocate =
            AllocateTransfer { id: id.clone(), strategy: None, partial: false, lines: None, dry_run: false };
        one(engine, request(Command::AllocateTransfer(allocate))).unwrap();
        say("allocated", client, n);
        if n % 2 == 1 {
            one(engine, request(Command::CancelTransfer(CancelTransfer { id, release: true }))).unwrap();
            say("cancelled", client, n);
        }
    }
}

#[test]
#[ignore = "it is the child of the test below, which kills it"]
fn acknowledges_until_it_is_killed() {
    let (Some(folder), Some(life)) = (std::env::var_os(FOLDER), number(LIFE)) else { return };
    let engine = start(Path::new(&folder));
    if engine.status().sequence.0 == 0 {
        set_up(&engine);
    }
    thread::scope(|scope| {
        for client in 0..CLIENTS + TRANSFERRERS {
            let engine = &engine;
            let work = if client < CLIENTS { place_holds } else { request_transfers };
            scope.spawn(move || work(engine, life, client));
        }
    });
}

/// What the child said before it died: of each client the last that it was told of each kind.
#[derive(Default)]
struct Said {
    last: BTreeMap<(String, u64), u64>,
    lines: u64,
}

impl Said {
    /// How many of these a client was told, of those that each number has.
    fn count(&self, what: &str, client: u64) -> u64 {
        self.last.get(&(what.to_owned(), client)).map_or(0, |last| last + 1)
    }

    /// Whether it was told this of number `n`.
    fn of(&self, what: &str, client: u64, n: u64) -> bool {
        n < self.count(what, client)
    }
}

fn is_long(life: u64) -> bool {
    life % LONG_LIFE_EVERY == LONG_LIFE_EVERY / 2
}

/// Starts a child, lets it work for so long after its first word, and kills it.
fn live_and_die(folder: &Path, life: u64, dice: &mut Dice) -> Said {
    let mut child = Process::new(std::env::current_exe().unwrap())
        .args(["--exact", "engine::kill::acknowledges_until_it_is_killed", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .env(LIFE, life.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    let read_line = |lines: &mut BufReader<ChildStdout>, text: &mut String| {
        assert!(lines.read_line(text).unwrap() > 0, "the child ended by itself");
    };
    if is_long(life) {
        (0..LONG_LIFE_LINES).for_each(|_| read_line(&mut lines, &mut text));
    } else if dice.one_in(4) {
        // A quarter of them die while they open the store.
        thread::sleep(Duration::from_micros(dice.throw() % 30_000));
    } else {
        while !text.contains("held") && !text.contains("requested") {
            read_line(&mut lines, &mut text);
        }
    }
    let reading = AtomicBool::new(true);
    let rest = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut rest = String::new();
            lines.read_to_string(&mut rest).unwrap();
            reading.store(false, Ordering::SeqCst);
            rest
        });
        thread::sleep(Duration::from_micros(dice.throw() % 40_000));
        assert!(reading.load(Ordering::SeqCst), "the child ended by itself");
        child.kill().unwrap();
        child.wait().unwrap();
        reader.join().unwrap()
    });
    text.push_str(&rest);
    let mut said = Said::default();
    for line in text.lines() {
        let words: Vec<_> = line.split(' ').collect();
        let [what, client, n] = words[..] else { continue };
        let (Ok(client), Ok(n)) = (client.parse(), n.parse()) else { continue };
        said.last.insert((what.to_owned(), client), n);
        said.lines += 1;
    }
    said
}

/// A hold of the recovered store, in memory or in the archive.
fn hold_of(recovered: &Recovered<RealDisk>, id: &str) -> Option<Hold> {
    let code = code(id);
    recovered.memory.hold(&code).or_else(|| {
        let rows = recovered.archive.get(&DocumentKey::Hold(code)).unwrap();
        rows.into_iter().find_map(|row| match row {
            Row::Hold(_, hold) => hold,
            _ => None,
        })
    })
}

/// A transfer of the recovered store with its lines, in memory or in the archive.
fn transfer_of(recovered: &Recovered<RealDisk>, id: &str) -> Option<(Transfer, Vec<Line>)> {
    let code = code(id);
    if let Some(transfer) = recovered.memory.transfer(&code) {
        let lines = (0..transfer.lines).map(|line| recovered.memory.line(&code, line)).collect();
        return Some((transfer, lines));
    }
    let (mut transfer, mut lines) = (None, Vec::new());
    for row in recovered.archive.get(&DocumentKey::Transfer(code)).unwrap() {
        match row {
            Row::Transfer(_, row) => transfer = row.map(|row| *row),
            Row::Lines(_, rows) => lines.extend(rows.into_iter().flatten()),
            _ => {}
        }
    }
    transfer.map(|transfer| (transfer, lines))
}

/// A hold holds what was asked for, or nothing any more, as it was told.
fn audit_hold(recovered: &Recovered<RealDisk>, hold: &Hold, client: u64, n: u64, said: &Said) {
    let may_be_released = n % 2 == 1;
    let [line] = &hold.lines[..] else { panic!("one line was asked for: {hold:?}") };
    let (sku, units) = held_by(n);
    assert_eq!((&recovered.memory.sku(line.sku).code, line.quantity), (&code(sku), quantity(units)));
    let held: u64 = line.picks.iter().map(|pick| pick.quantity.get()).sum();
    match hold.status {
        HoldStatus::Held => {
            assert!(!may_be_released || !said.of("released", client, n), "{n} of {client} was released");
            assert_eq!(held, units, "{n} of {client}");
        }
        HoldStatus::Released => {
            assert!(may_be_released, "nobody released {n} of {client}");
            assert_eq!(held, 0, "{n} of {client}");
        }
        other => panic!("nobody asked for {other:?}"),
    }
}

/// A transfer is what was asked for, allocated whole or not at all, and cancelled only where that was asked.
fn audit_transfer(
    recovered: &Recovered<RealDisk>,
    (transfer, lines): (Transfer, Vec<Line>),
    (client, n): (u64, u64),
    said: &Said,
) {
    let what = format!("transfer {n} of {client}: {transfer:?}");
    assert_eq!(lines.len(), 2, "{what}");
    let is_cancelled = transfer.end.is_some();
    let is_allocated = transfer.totals.allocated.get() > 0;
    for (line, (sku, units)) in lines.iter().zip(asked_by(n)) {
        assert_eq!(
            (&recovered.memory.sku(line.sku).code, line.totals.requested),
            (&code(sku), quantity(units))
        );
        let picked: u64 = line.picks.iter().map(|pick| pick.quantity.get()).sum();
        assert_eq!(picked, if is_allocated { units } else { 0 }, "{what}: {line:?}");
        assert_eq!(line.totals.allocated.get(), picked, "{what}: {line:?}");
    }
    match transfer.end {
        None => {
            assert!(is_allocated || !said.of("allocated", client, n), "{what}");
            assert!(n % 2 == 0 || !said.of("cancelled", client, n), "{what}");
        }
        Some((End::Cancelled, _)) => assert!(n % 2 == 1 && !is_allocated, "{what}"),
        other => panic!("{what}: nobody asked for {other:?}"),
    }
    let is_next_asked = said.of("requested", client, n + 1);
    assert!(!is_next_asked || is_cancelled == (n % 2 == 1), "{what}");
}

/// What an audit found.
struct Found {
    /// Holds and transfers of this life.
    documents: u64,
    /// Documents in the archive, those of the lives before included.
    archived: u64,
}

/// Everything that was said is there, and nothing is that nobody asked for.
fn audit(folder: &Path, life: u64, said: &Said) -> Found {
    let verified = verify(RealDisk::open(folder).unwrap(), config().journal, |_| {}).unwrap();
    let recovered = open(RealDisk::open(folder).unwrap(), config().journal, |_| {}).unwrap();
    let mut documents = 0;
    for client in 0..CLIENTS + TRANSFERRERS {
        // Of each client one call at the most was on its way.
        let told = said.count(if client < CLIENTS { "held" } else { "requested" }, client);
        let mut found = 0;
        loop {
            let id = id(life, client, found);
            if client < CLIENTS {
                let Some(hold) = hold_of(&recovered, &id) else { break };
                audit_hold(&recovered, &hold, client, found, said);
            } else {
                let Some(transfer) = transfer_of(&recovered, &id) else { break };
                audit_transfer(&recovered, transfer, (client, found), said);
            }
            found += 1;
        }
        assert!(found >= told, "client {client} was told of {told} documents, and {found} are there");
        assert!(found <= told + 1, "client {client} asked for {}, and {found} are there", told + 1);
        documents += found;
    }
    assert_eq!(recovered.state_hash().unwrap(), verified.hash);
    assert!(verified.events >= documents);
    Found { documents, archived: recovered.archive.document_count() }
}

#[test]
fn a_killed_process_has_kept_all_that_it_acknowledged() {
    let seed = seed().unwrap_or(1);
    let kills = size(300, 10_000);
    println!("again: JAEGO_SEED={seed}");
    let mut dice = Dice::new(seed);
    let (mut lines, mut documents, mut archived) = (0, 0, 0);
    let mut folder = tempfile::tempdir().unwrap();
    for life in 0..kills {
        if life % KILLS_PER_STORE == 0 {
            folder = tempfile::tempdir().unwrap();
        }
        let said = live_and_die(folder.path(), life, &mut dice);
        if !is_long(life) {
            lines += said.lines;
        }
        let found = audit(folder.path(), life, &said);
        documents += found.documents;
        archived = archived.max(found.archived);
    }
    println!(
        "{kills} kills, {lines} acknowledged, {documents} holds and transfers found, at most {archived} documents archived"
    );
    assert!(archived > 0, "no life was long enough for the archive");
    assert!(lines > 2 * kills, "only {lines} were acknowledged in {kills} lives, without the long ones");
    // After all of that it is a store like any other.
    let engine = start(folder.path());
    one(&engine, request(hold("last", "mug", 1))).unwrap();
    let view = engine.query(Query::Hold(code("last"))).wait().unwrap().value.unwrap();
    assert!(matches!(view, View::Hold(_)));
    engine.close().unwrap();
}
