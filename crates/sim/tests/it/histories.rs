//! Row E13: concurrent histories of the threaded engine, and of engines with a bug.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use jaego_domain::{
    Command, Name, Request, Strategy, TimeZone,
    command::{SetLocation, SetSite, SetSku},
    row::{LocationKind, Tracking},
};
use jaego_engine::{
    Config, Engine, Limits, SystemClock,
    disk::Disk,
    journal::{self, Preparation},
    open,
    sim_disk::{Dice, SimDisk},
};
use jaego_sim::{
    History, code,
    history::{Ask, Call, Floor, Instants, StoreSubject, Subject, Verdict, receive, sku_code},
    linearizable::{explain, samples, sku_of},
    mutant::{Bug, Mutant},
};
use jaego_store::{Batch, Results, Store};
use jaego_testkit::{seed, size};

use crate::{lying_disk::LyingDisk, seeds::each_seed};

const SKUS: usize = 3;
const ON_HAND: u64 = 40;
const CLIENTS: u64 = 8;
/// Calls of each client in one history.
const CALLS: u64 = 400;
/// Histories that are checked: a million calls, with what is read back after each.
const HISTORIES: u64 = 240;
const FLOOR: Floor =
    Floor { calls: 3_000, events: 500, refusals: 300, repeats: 40, reads: 300, overlaps: 1_000 };

fn start<D: Disk>(disk: D) -> Arc<Engine> {
    let journal = journal::Config { segment_len: 256 << 10, preparation: Preparation::Inline };
    let limits = Limits { frame_bytes: 16 << 10, atomic_bytes: 32 << 10, lines_before_yield: 64 };
    let config = Config { journal, limits, checkpoint_segments: 1, ..Config::default() };
    Engine::start(open(disk, journal, |_| {}).unwrap(), config, SystemClock)
}

/// A site with one bin, and stock in it. Gives the last event.
fn set_up(engine: &Engine) -> u64 {
    let mut commands = vec![
        Command::SetSite(SetSite {
            site: code("ICN"),
            name: Name::default(),
            time_zone: TimeZone::new("Asia/Seoul").unwrap(),
            strategy: Strategy::PickOrder,
        }),
        Command::SetLocation(SetLocation {
            site: code("ICN"),
            location: code("A-1"),
            zone: Name::default(),
            pick_order: 0,
            kind: LocationKind::Storage,
        }),
    ];
    for sku in 0..SKUS {
        let (sku_code, name) = (sku_code(sku), Name::default());
        let tracking = Tracking::None;
        commands.push(Command::SetSku(SetSku {
            sku: sku_code,
            name,
            tracking,
            safety_stock: Vec::new(),
            prices: Vec::new(),
        }));
        commands.push(receive(1_000_000 + sku as u64, sku, ON_HAND));
    }
    let requests = commands.into_iter().map(|command| Request::new(command, None, code("t")).unwrap());
    let answers = engine.submit(Batch { requests: requests.collect(), atomic: false }).wait().unwrap();
    let Results::Each(results) = answers.results else { panic!("not atomic") };
    results.into_iter().for_each(|result| drop(result.unwrap()));
    answers.sequence.0
}

/// What a client thinks of next. Ids and keys are shared, so that clients meet.
fn next(dice: &mut Dice, ids: &AtomicU64) -> Ask {
    let newest = ids.load(Ordering::Relaxed);
    let known = newest.saturating_sub(dice.throw() % 24);
    let sku = dice.below(SKUS);
    match dice.below(20) {
        0..=6 => {
            let id = ids.fetch_add(1, Ordering::Relaxed);
            Ask::Hold { id, sku, units: 1 + dice.throw() % 4 }
        }
        7 => Ask::Hold { id: known, sku, units: 1 + dice.throw() % 2 },
        8..=10 => Ask::Release { id: known, key: known * 2 },
        11..=13 => Ask::Confirm { id: known, key: known * 2 + u64::from(dice.one_in(8)) },
        14 | 15 => Ask::Receive { id: known, sku, units: 1 + dice.throw() % 6 },
        16 | 17 => Ask::ReadHold { id: known },
        _ => Ask::Read { sku },
    }
}

/// The same, of documents whose number tells the SKU, so that a history can be taken apart.
fn next_apart(dice: &mut Dice, ids: &AtomicU64) -> Ask {
    match next(dice, ids) {
        Ask::Hold { id, units, .. } => Ask::Hold { id, sku: sku_of(id, SKUS), units },
        Ask::Receive { id, units, .. } => Ask::Receive { id, sku: sku_of(id, SKUS), units },
        other => other,
    }
}

/// Lets clients loose on a subject.
fn drive(subject: &dyn Subject, begins_after: u64, seed: u64) -> (History, Instants) {
    drive_by(next, CALLS, subject, begins_after, seed)
}

fn drive_by(
    next: fn(&mut Dice, &AtomicU64) -> Ask,
    calls_each: u64,
    subject: &dyn Subject,
    begins_after: u64,
    seed: u64,
) -> (History, Instants) {
    let (ids, instants) = (AtomicU64::new(0), Instants::default());
    let calls = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (ids, instants) = (&ids, &instants);
                scope.spawn(move || {
                    let mut dice = Dice::new(seed * 1_000 + client);
                    let mut repeated = None;
                    let mut calls = Vec::new();
                    for _ in 0..calls_each {
                        // The same once more, as after a lost connection.
                        let again = repeated.take().filter(|_| dice.one_in(6));
                        let asked = again.unwrap_or_else(|| next(&mut dice, ids));
                        repeated = Some(asked);
                        let invoked = instants.next();
                        let seen = subject.call(&asked);
                        calls.push(Call { asked, invoked, responded: instants.next(), seen });
                    }
                    calls
                })
            })
            .collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    (History { skus: SKUS, on_hand: ON_HAND, begins_after, calls }, instants)
}

/// Everything that was ever held is read again, after a restart.
fn read_back(subject: &dyn Subject, history: &mut History, instants: &Instants) {
    let mut asks: Vec<_> = (0..SKUS).map(|sku| Ask::Read { sku }).collect();
    asks.extend(history.calls.iter().filter_map(|call| match call.asked {
        Ask::Hold { id, .. } => Some(Ask::ReadHold { id }),
        _ => None,
    }));
    for asked in asks {
        let invoked = instants.next();
        let seen = subject.call(&asked);
        history.calls.push(Call { asked, invoked, responded: instants.next(), seen });
    }
}

#[test]
fn one_order_explains_what_all_clients_saw() {
    let mut checked = 0;
    let runs = size(HISTORIES, HISTORIES * 47);
    for seed in seed().map_or(0..runs, |seed| seed..seed + 1) {
        let disk = SimDisk::new(seed);
        let engine = start(disk.clone());
        let begins_after = set_up(&engine);
        let (mut history, instants) = drive(&StoreSubject(engine.clone()), begins_after, seed);
        // The power goes while it runs: what was told stays.
        let found = disk.crash(seed);
        engine.close().unwrap();
        let engine = start(found);
        read_back(&StoreSubject(engine.clone()), &mut history, &instants);
        let verdict = history.check(&FLOOR);
        assert_eq!(verdict, Ok(()), "seed {seed}; again: JAEGO_SEED={seed}");
        checked += history.calls.len();
        engine.close().unwrap();
    }
    println!("{checked} calls checked");
}

/// Calls of each client in a history that is taken apart: 160 for each SKU, and more than 100 of them at once.
const CALLS_APART: u64 = 60;
/// Histories that are taken apart: 501 samples.
const HISTORIES_APART: u64 = 167;
/// Long ones: 1,600 calls for each SKU.
const CALLS_APART_LONG: u64 = 600;

#[test]
fn an_order_is_found_for_every_sample_without_the_store_s_word_for_it() {
    let runs = size(HISTORIES_APART, 6_700);
    let (mut sampled, mut calls, mut changed, mut overlaps) = (0, 0, 0, 0);
    for seed in seed().map_or(0..runs, |seed| seed..seed + 1) {
        let engine = start(SimDisk::new(seed));
        let begins_after = set_up(&engine);
        let each = if seed % 40 == 0 { CALLS_APART_LONG } else { CALLS_APART };
        let (history, _) = drive_by(next_apart, each, &StoreSubject(engine.clone()), begins_after, seed);
        for (sku, sample) in samples(&history).iter().enumerate() {
            assert_eq!(explain(sample, SKUS, ON_HAND), Ok(()), "SKU {sku} of JAEGO_SEED={seed}");
            sampled += 1;
            calls += sample.len();
            changed += sample.iter().filter(|call| call.is_new()).count();
            overlaps += sample
                .iter()
                .filter(|call| {
                    sample.iter().any(|other| other.invoked < call.invoked && call.invoked < other.responded)
                })
                .count();
        }
        engine.close().unwrap();
    }
    println!(
        "{sampled} samples of {calls} calls, {changed} of which changed something, {overlaps} overlapped"
    );
    if runs >= HISTORIES_APART && seed().is_none() {
        assert!(sampled >= 500 && changed > calls / 4 && overlaps > calls / 4, "too little happened at once");
    }
}

/// Bugs of the numbers that answers carry: without a look at them nobody can tell.
const ONLY_IN_THE_NUMBERS: [Bug; 2] = [Bug::RepeatOfAnother, Bug::ReadOfAnEarlierHead];

#[test]
fn every_seeded_bug_that_shows_in_the_answers_leaves_a_sample_without_an_order() {
    let mut wrong = Vec::new();
    for (number, bug) in (0..).zip(Bug::ALL) {
        let engine = start(SimDisk::new(number));
        let begins_after = set_up(&engine);
        let mutant = Mutant::new(StoreSubject(engine.clone()), bug, number);
        let (history, _) = drive_by(next_apart, CALLS_APART_LONG / 2, &mutant, begins_after, number);
        assert!(mutant.shown() > 0, "{bug:?} never showed");
        let unexplained = samples(&history).iter().find_map(|sample| explain(sample, SKUS, ON_HAND).err());
        println!("{bug:?}, shown {} times: {unexplained:?}", mutant.shown());
        let only_in_the_numbers = ONLY_IN_THE_NUMBERS.contains(&bug);
        wrong.extend((unexplained.is_none() != only_in_the_numbers).then_some(bug));
        engine.close().unwrap();
    }
    assert_eq!(wrong, [], "caught where it cannot be, or not where it should be");
}

#[test]
fn every_seeded_bug_is_caught() {
    for (number, bug) in (0..).zip(Bug::ALL) {
        let engine = start(SimDisk::new(number));
        let begins_after = set_up(&engine);
        let mutant = Mutant::new(StoreSubject(engine.clone()), bug, number);
        let (history, _) = drive(&mutant, begins_after, number);
        assert!(mutant.shown() > 0, "{bug:?} never showed");
        match history.check(&FLOOR) {
            Err(Verdict::Anomalies(anomalies)) => {
                println!("{bug:?}, shown {} times: {}", mutant.shown(), anomalies[0]);
            }
            other => panic!("{bug:?}, shown {} times, was not caught: {other:?}", mutant.shown()),
        }
        engine.close().unwrap();
    }
}

#[test]
fn an_answer_before_the_disk_has_it_is_caught() {
    let disk = LyingDisk::new(5);
    let engine = start(disk.clone());
    let begins_after = set_up(&engine);
    disk.lie();
    let (mut history, instants) = drive(&StoreSubject(engine.clone()), begins_after, 5);
    let caught = (0..8).any(|seed| {
        let found = disk.disk.crash(seed);
        // The journal may notice by itself that something is missing.
        let journal = journal::Config { segment_len: 256 << 10, preparation: Preparation::Inline };
        if open(found.clone(), journal, |_| {}).is_err() {
            return true;
        }
        let engine = start(found);
        let calls = history.calls.len();
        read_back(&StoreSubject(engine.clone()), &mut history, &instants);
        let verdict = history.check(&FLOOR);
        history.calls.truncate(calls);
        engine.close().unwrap();
        matches!(verdict, Err(Verdict::Anomalies(_)))
    });
    assert!(caught, "what was never on the disk was not missed");
    engine.close().unwrap();
}

#[test]
fn a_run_in_which_too_little_happened_says_nothing() {
    each_seed("a_run_in_which_too_little_happened_says_nothing", 1, |seed| {
        let engine = start(SimDisk::new(seed));
        let begins_after = set_up(&engine);
        let (mut history, _) = drive(&StoreSubject(engine.clone()), begins_after, seed);
        assert_eq!(history.check(&FLOOR), Ok(()));
        let half = history.calls.len() / 2;
        history.calls.truncate(half);
        assert!(matches!(history.check(&FLOOR), Err(Verdict::TooLittle(_))));
        engine.close().unwrap();
    });
}
