//! Row E1: a process that acknowledges over a pipe is killed at a random instant, again and again, while it
//! syncs, takes checkpoints and files ended holds in the archive.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Command as Process, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use jaego_domain::{
    DocumentKey, Query, Row, Tables, View,
    row::{Hold, HoldStatus},
};
use jaego_engine::{
    Config, Engine, Limits, Recovered, SystemClock, disk::RealDisk, journal, open, sim_disk::Dice, verify,
};
use jaego_store::Store;

use super::world::{self, code, hold, one, release, request, stock};
use crate::seeds::number;

/// Names the folder to the child.
const FOLDER: &str = "JAEGO_KILL_FOLDER";
/// Names the life to the child, so that its ids are new.
const LIFE: &str = "JAEGO_KILL_LIFE";
const CLIENTS: u64 = 4;
/// Kills after which a new store is begun, so that the last audit takes no longer than the first.
const KILLS_PER_STORE: u64 = 25;

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

#[test]
#[ignore = "it is the child of the test below, which kills it"]
fn acknowledges_until_it_is_killed() {
    let (Some(folder), Some(life)) = (std::env::var_os(FOLDER), number(LIFE)) else { return };
    let engine = start(Path::new(&folder));
    if engine.status().sequence.0 == 0 {
        stock(&engine, &["mug"], 1_000_000_000);
    }
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let engine = &engine;
            scope.spawn(move || {
                for n in 0.. {
                    let id = id(life, client, n);
                    one(engine, request(hold(&id, "mug", 1 + n % 3))).unwrap();
                    // One write for one line, so that none is torn or held back.
                    std::io::stdout().write_all(format!("held {client} {n}\n").as_bytes()).unwrap();
                    if n % 2 == 1 {
                        one(engine, request(release(&id))).unwrap();
                        std::io::stdout().write_all(format!("released {client} {n}\n").as_bytes()).unwrap();
                    }
                }
            });
        }
    });
}

/// What the child said before it died: the last hold and the last release of each client.
#[derive(Default)]
struct Said {
    held: BTreeMap<u64, u64>,
    released: BTreeMap<u64, u64>,
    lines: u64,
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
    // A quarter of them die while they open the store.
    if dice.one_in(4) {
        thread::sleep(Duration::from_micros(dice.throw() % 30_000));
    } else {
        while !text.contains("held") {
            assert!(lines.read_line(&mut text).unwrap() > 0, "the child ended by itself");
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
        let mut words = line.split(' ');
        let list = match words.next() {
            Some("held") => &mut said.held,
            Some("released") => &mut said.released,
            _ => continue,
        };
        let mut number = || words.next().unwrap().parse::<u64>().unwrap();
        list.insert(number(), number());
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

/// What an audit found.
struct Found {
    /// Holds of this life.
    holds: u64,
    /// Documents in the archive, those of the lives before included.
    archived: u64,
}

/// Everything that was said is there, and nothing is that nobody asked for.
fn audit(folder: &Path, life: u64, said: &Said) -> Found {
    let verified = verify(RealDisk::open(folder).unwrap(), config().journal, |_| {}).unwrap();
    let recovered = open(RealDisk::open(folder).unwrap(), config().journal, |_| {}).unwrap();
    let mut holds = 0;
    for client in 0..CLIENTS {
        // Of each client one call at the most was on its way.
        let told = said.held.get(&client).map_or(0, |last| last + 1);
        let mut found = 0;
        while let Some(hold) = hold_of(&recovered, &id(life, client, found)) {
            let may_be_released = found % 2 == 1;
            let was_told = said.released.get(&client).is_some_and(|last| found <= *last);
            match hold.status {
                HoldStatus::Held => {
                    assert!(!may_be_released || !was_told, "{found} of {client} was released");
                }
                HoldStatus::Released => assert!(may_be_released, "nobody released {found} of {client}"),
                other => panic!("nobody asked for {other:?}"),
            }
            found += 1;
        }
        assert!(found >= told, "client {client} was told of {told} holds, and {found} are there");
        assert!(found <= told + 1, "client {client} asked for {}, and {found} are there", told + 1);
        holds += found;
    }
    assert_eq!(recovered.state_hash().unwrap(), verified.hash);
    assert!(verified.events >= holds);
    Found { holds, archived: recovered.archive.document_count() }
}

#[test]
fn a_killed_process_has_kept_all_that_it_acknowledged() {
    let seed = number("JAEGO_SEED").unwrap_or(1);
    let kills = 300 * number("JAEGO_SOAK").unwrap_or(1);
    println!("again: JAEGO_SEED={seed}");
    let mut dice = Dice::new(seed);
    let (mut lines, mut holds, mut archived) = (0, 0, 0);
    let mut folder = tempfile::tempdir().unwrap();
    for life in 0..kills {
        if life % KILLS_PER_STORE == 0 {
            folder = tempfile::tempdir().unwrap();
        }
        let said = live_and_die(folder.path(), life, &mut dice);
        lines += said.lines;
        let found = audit(folder.path(), life, &said);
        holds += found.holds;
        archived = archived.max(found.archived);
    }
    println!(
        "{kills} kills, {lines} acknowledged, {holds} holds found, at most {archived} documents archived"
    );
    assert!(archived > 0, "no life was long enough for the archive");
    assert!(lines > 20 * kills, "only {lines} were acknowledged in {kills} lives");
    // After all of that it is a store like any other.
    let engine = start(folder.path());
    one(&engine, request(hold("last", "mug", 1))).unwrap();
    let view = engine.query(Query::Hold(code("last"))).wait().unwrap().value.unwrap();
    assert!(matches!(view, View::Hold(_)));
    engine.close().unwrap();
}
