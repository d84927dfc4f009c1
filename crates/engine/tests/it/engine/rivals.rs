//! Row E12, and the first article: many at once over the same stock.

use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use jaego_domain::{
    Code, Command, Memory, Query, Refusal, Request, Sequence, Strategy, Tables, View, apply,
    check::check,
    command::{AllocateTransfer, CancelTransfer, RequestTransfer, SetSite, TransferLine},
    row::TransferStatus,
};
use jaego_engine::{
    Engine, open,
    sim_disk::{Dice, SimDisk},
};
use jaego_store::{Done, Store, codec};
use jaego_testkit::{seed, size};

use super::world::{code, config, hold, one, quantity, release, request, start, stock, submit, totals};

const THREADS: u64 = 64;
const CALLS: u64 = 400;
/// Holds and releases of one call.
const BATCH: u64 = 8;

#[test]
fn sixty_four_clients_of_one_sku_never_get_more_than_there_is() {
    let first = seed().unwrap_or(7);
    let mut operations = 0;
    // A hundred million operations in a long run, a million at a time: what was held is remembered for ever.
    let rounds = first..first + size(1, 98);
    for (seed, units) in rounds.flat_map(|seed| [1, 3, 50, 1_000, 5_000].map(|units| (seed, units))) {
        println!("again: JAEGO_SEED={seed}");
        let disk = SimDisk::new(seed);
        let engine = start(disk.clone());
        // The same in two bins.
        stock(&engine, &["mug"], units);
        let ids = AtomicU64::new(0);
        let accepted: u64 = thread::scope(|scope| {
            let clients: Vec<_> = (0..THREADS)
                .map(|client| {
                    let (engine, ids) = (&engine, &ids);
                    scope.spawn(move || {
                        let mut dice = Dice::new(seed ^ (client << 32) ^ units);
                        let (mut accepted, mut mine) = (0, Vec::new());
                        for _ in 0..CALLS {
                            let batch = (0..BATCH).map(|_| rival(&mut dice, ids, &mut mine, units));
                            let requests: Vec<Request> = batch.collect();
                            let first = submit(engine, requests.clone());
                            keep(&first, &mut accepted, &mut mine);
                            // A client that lost its answer asks again.
                            if dice.one_in(8) {
                                let again = submit(engine, requests);
                                for (first, again) in first.iter().zip(&again) {
                                    if let (Ok(first), Ok(again)) = (first, again) {
                                        let placed = !first.outcome.picks.is_empty();
                                        assert!(!placed || again.repeat, "applied twice: {again:?}");
                                    }
                                }
                                keep(&again, &mut accepted, &mut mine);
                            }
                        }
                        accepted
                    })
                })
                .collect();
            clients.into_iter().map(|client| client.join().unwrap()).sum()
        });
        operations += THREADS * CALLS * BATCH;
        assert!(accepted >= 100, "only {accepted} were accepted of {units} units");
        engine.close().unwrap();
        drop(engine);
        replay_slowly(&disk, 2 * units);
    }
    println!("{operations} operations");
}

/// Notes what was newly accepted, and the holds among it.
fn keep(results: &[Result<Done, Refusal>], accepted: &mut u64, mine: &mut Vec<Code>) {
    for done in results.iter().flatten().filter(|done| !done.repeat) {
        *accepted += 1;
        if !done.outcome.picks.is_empty() {
            mine.push(done.outcome.id.clone().expect("a hold has an id"));
        }
    }
}

/// A hold of a new id or of one that others use too, or a release of one's own or of another's.
fn rival(dice: &mut Dice, ids: &AtomicU64, mine: &mut Vec<Code>, units: u64) -> Request {
    let known = ids.load(Ordering::Relaxed).saturating_sub(dice.throw() % 64);
    match dice.below(8) {
        0..=4 => {
            let id = ids.fetch_add(1, Ordering::Relaxed);
            request(hold(&format!("H{id}"), "mug", 1 + dice.throw() % (units / 8).clamp(1, 40)))
        }
        5 => request(hold(&format!("H{known}"), "mug", 1 + dice.throw() % 2)),
        6 if !mine.is_empty() => {
            let id = mine.swap_remove(dice.below(mine.len()));
            request(release(id.as_str()))
        }
        _ => request(release(&format!("H{known}"))),
    }
}

/// After every single event no more is held than there is.
fn replay_slowly(disk: &SimDisk, units: u64) {
    let recovered = open(disk.clone(), config().journal, |_| {}).unwrap();
    let mut frames = recovered.journal.reader().frames_from(1).unwrap();
    let mut memory = Memory::new();
    let mut most = 0;
    while let Some(frame) = frames.next().unwrap() {
        for event in codec::decode(frame.payload, Sequence(frame.first_sequence)).unwrap() {
            apply(&mut memory, &event.unwrap());
            let Some(sku) = memory.sku_id(&code("mug")) else { continue };
            let site = memory.site_id(&code("ICN")).expect("it came before the SKU");
            let rows: Vec<_> = memory.positions(site, sku).map(|(_, row)| row).collect();
            assert!(rows.iter().all(|row| row.held <= row.on_hand), "{rows:?}");
            let held = rows.iter().map(|row| row.held.get()).sum();
            assert!(held <= units, "{held} of {units} are held");
            most = most.max(held);
        }
    }
    assert!(most * 10 >= units * 9, "only {most} of {units} were ever held at once");
    check(&memory).unwrap();
}

fn request_transfer(id: &str) -> Request {
    request(Command::RequestTransfer(RequestTransfer {
        id: code(id),
        from: code("ICN"),
        to: code("PUS"),
        priority: 0,
        lines: vec![TransferLine { line: code("1"), sku: code("mug"), quantity: quantity(3), lot: None }],
    }))
}

fn allocate(id: &str) -> Request {
    request(Command::AllocateTransfer(AllocateTransfer {
        id: code(id),
        strategy: None,
        partial: false,
        lines: None,
        dry_run: false,
    }))
}

fn cancel(id: &str, release: bool) -> Request {
    request(Command::CancelTransfer(CancelTransfer { id: code(id), release }))
}

fn status(engine: &Engine, id: &str) -> TransferStatus {
    match engine.query(Query::Transfer(code(id))).wait().unwrap().value.unwrap() {
        View::Transfer(transfer) => transfer.summary.status,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_transfer_is_never_cancelled_while_it_holds_stock() {
    let engine = start(SimDisk::new(3));
    stock(&engine, &["mug"], 10);
    let site = SetSite {
        site: code("PUS"),
        name: Default::default(),
        time_zone: jaego_domain::TimeZone::new("Asia/Seoul").unwrap(),
        strategy: Strategy::PickOrder,
    };
    one(&engine, request(Command::SetSite(site))).unwrap();
    let barrier = Arc::new(Barrier::new(2));
    // One person allocates each transfer, another cancels it, both at once.
    let rounds = 1_000;
    let allocates = {
        let (engine, barrier) = (engine.clone(), barrier.clone());
        thread::spawn(move || {
            let mut results = Vec::new();
            for round in 0..rounds {
                one(&engine, request_transfer(&format!("T{round}"))).unwrap();
                barrier.wait();
                results.push(one(&engine, allocate(&format!("T{round}"))));
                barrier.wait();
                barrier.wait();
            }
            results
        })
    };
    let mut cancelled_first = 0;
    let mut cancels = Vec::new();
    for round in 0..rounds {
        let id = format!("T{round}");
        let release = round % 2 == 1;
        barrier.wait();
        cancels.push(one(&engine, cancel(&id, release)));
        barrier.wait();
        let (_, held, _) = totals(&engine, "mug");
        match status(&engine, &id) {
            TransferStatus::Cancelled => assert_eq!(held, 0, "{id} is cancelled and holds stock"),
            TransferStatus::Allocated => {
                assert_eq!((held, release), (3, false), "{id}");
                one(&engine, cancel(&id, true)).unwrap();
            }
            other => panic!("{id} is {other:?}"),
        }
        barrier.wait();
    }
    for (round, (allocated, cancelled)) in allocates.join().unwrap().into_iter().zip(cancels).enumerate() {
        match (allocated, cancelled) {
            (Err(refused), Ok(_)) => {
                assert_eq!(refused.code(), "transfer_cancelled", "round {round}");
                cancelled_first += 1;
            }
            (Ok(_), Err(refused)) => assert_eq!(refused.code(), "transfer_allocated", "round {round}"),
            (Ok(_), Ok(_)) => assert_eq!(round % 2, 1, "only a cancel with release may follow"),
            (Err(allocated), Err(cancelled)) => panic!("round {round}: {allocated}, {cancelled}"),
        }
    }
    println!("{cancelled_first} of {rounds} were cancelled first");
    assert!(cancelled_first > 0 && cancelled_first < rounds, "it was no race: one side always came first");
    engine.close().unwrap();
}
