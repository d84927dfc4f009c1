//! What an answer promises: when it may leave, and what it says when there is none.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use jaego_domain::{
    Command, Query, Request, Strategy, Timestamp,
    command::{AllocateTransfer, Fenced, RaiseFence, RequestTransfer, SetSite, TransferLine},
};
use jaego_engine::{
    Config, Engine, checkpoint,
    journal::{SECTOR_LEN, StoreId},
    open,
    sim_disk::{Faults, SimDisk},
};
use jaego_store::{Batch, Done, Failure, Reply, Results, Store};

use super::gate::GatedDisk;
use super::past::twin::stock_at;
use super::world::{
    code, config, hold, hold_for, keyed, one, opening, quantity, release, request, start, stock, submit,
    totals,
};
use crate::seeds::each_seed;

/// 2026-03-01T00:00:00Z, in milliseconds.
const START: u64 = 1_772_323_200_000;

const SOON: Duration = Duration::from_secs(20);

/// What a whole batch that is asked for again takes at most on a machine that has time for it.
const REPEATED_SOON: Duration = Duration::from_secs(1);
/// How often it is asked for again before it is called slow.
const TRIES: usize = 5;

fn at_once(store: &Engine, requests: Vec<Request>) -> Reply<jaego_store::Answers> {
    store.submit(Batch { requests, atomic: false })
}

fn is_ready<T>(reply: &mut Reply<T>) -> bool {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    Pin::new(reply).poll(&mut context).is_ready()
}

fn each(answers: Result<jaego_store::Answers, Failure>) -> Vec<Result<Done, jaego_domain::Refusal>> {
    match answers.unwrap().results {
        Results::Each(results) => results,
        Results::Refused(refused) => panic!("{refused:?}"),
    }
}

/// Waits for a state, and says what it waited for when it does not come.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + SOON;
    while !is_so() {
        assert!(Instant::now() < end, "{what} within {SOON:?}");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn no_answer_leaves_before_what_it_rests_on_is_durable() {
    let disk = GatedDisk::new(1);
    let engine = start(disk.clone());
    stock(&engine, &["mug"], 10);
    one(&engine, request(hold("old", "mug", 1))).unwrap();
    disk.gate.close();
    let mut new = at_once(&engine, vec![request(hold("H1", "mug", 15))]);
    disk.gate.wait_for_a_call();
    // All of these saw H1, or came after it.
    let mut refused = at_once(&engine, vec![request(hold("H2", "mug", 15))]);
    let mut repeat = at_once(&engine, vec![request(hold("H1", "mug", 15))]);
    let mut old_repeat = at_once(&engine, vec![request(hold("old", "mug", 1))]);
    let mut read = engine.query(Query::SkuStock(code("mug")));
    let mut atomic = engine.submit(Batch { requests: vec![request(hold("H3", "mug", 15))], atomic: true });
    until("everything is decided", || engine.status().queue_len == 0);
    thread::sleep(Duration::from_millis(30));
    assert!(!is_ready(&mut new), "the hold");
    assert!(!is_ready(&mut refused), "a refusal that rests on the hold");
    assert!(!is_ready(&mut repeat), "a repeat of the hold");
    assert!(!is_ready(&mut old_repeat), "a repeat of an old hold, decided after the new one");
    assert!(!is_ready(&mut read), "a read that saw the hold");
    assert!(!is_ready(&mut atomic), "the refusal of a batch");
    let durable = engine.status().durable;
    disk.gate.open();
    let new = new.wait().unwrap();
    assert!(new.sequence > durable);
    assert_eq!(each(refused.wait())[0].as_ref().unwrap_err().code(), "insufficient_stock");
    assert!(each(repeat.wait())[0].as_ref().unwrap().repeat);
    assert!(each(old_repeat.wait())[0].as_ref().unwrap().repeat);
    let read = read.wait().unwrap();
    assert!(read.sequence >= new.sequence);
    assert!(matches!(&atomic.wait().unwrap().results, Results::Refused(refused) if refused[0].0 == 0));
    engine.close().unwrap();
}

#[test]
fn closing_finishes_what_was_taken() {
    let disk = GatedDisk::new(2);
    let engine = start(disk.clone());
    stock(&engine, &["mug"], 10);
    one(&engine, request(hold("old", "mug", 1))).unwrap();
    disk.gate.close();
    let first = at_once(&engine, vec![request(hold("H1", "mug", 1))]);
    disk.gate.wait_for_a_call();
    let second = at_once(&engine, vec![request(hold("H2", "mug", 1)), request(hold("old", "mug", 1))]);
    let read = engine.query(Query::SkuStock(code("mug")));
    let closing = {
        let engine = Arc::clone(&engine);
        thread::spawn(move || engine.close())
    };
    until("it closes", || !engine.status().ready);
    let late = at_once(&engine, vec![request(hold("late", "mug", 1))]);
    assert_eq!(late.wait().unwrap_err(), Failure::Closed);
    disk.gate.open();
    assert!(each(first.wait())[0].is_ok());
    let second = each(second.wait());
    assert!(!second[0].as_ref().unwrap().repeat, "{second:?}");
    assert!(second[1].as_ref().unwrap().repeat, "{second:?}");
    assert!(read.wait().is_ok());
    closing.join().unwrap().unwrap();
    assert_eq!(engine.close(), Ok(()), "closing twice is fine");
    drop(engine);
    let engine = start(disk);
    assert_eq!(totals(&engine, "mug"), (20, 3, 17));
}

#[test]
fn a_line_that_is_full_says_busy_and_takes_nothing() {
    let config = Config { waiting_max: 8, ..config() };
    let recovered = open(SimDisk::new(3), config.journal, |_| {}).unwrap();
    // A clock that stops the writer in the middle of a turn.
    let turnstile = Arc::new(super::gate::Gate::default());
    let held = turnstile.clone();
    let engine = Engine::start(recovered, config, move || {
        held.pass();
        Timestamp(1_772_323_200_000)
    });
    stock(&engine, &["mug"], 10);
    turnstile.close();
    let first = engine.query(Query::SkuStock(code("mug")));
    turnstile.wait_for_a_call();
    let taken: Vec<_> =
        (0..7).map(|number| at_once(&engine, vec![request(hold(&format!("H{number}"), "mug", 1))])).collect();
    let over = at_once(&engine, vec![request(hold("over", "mug", 1))]);
    assert_eq!(over.wait().unwrap_err(), Failure::Busy { queue_len: 8 });
    assert!(matches!(engine.query(Query::Hold(code("over"))).wait(), Err(Failure::Busy { .. })));
    turnstile.open();
    assert!(first.wait().is_ok());
    for reply in taken {
        assert!(each(reply.wait())[0].is_ok());
    }
    let missing = engine.query(Query::Hold(code("over"))).wait().unwrap().value.unwrap_err();
    assert_eq!(missing.code(), "hold_not_found");
    until("the line is empty", || engine.status().queue_len == 0);
    engine.close().unwrap();
}

#[test]
fn what_was_decided_is_never_answered_with_busy() {
    let engine = start(SimDisk::new(4));
    stock(&engine, &["mug"], 100_000);
    one(&engine, request(hold("old", "mug", 1))).unwrap();
    let replies: Vec<_> = (0..6_000)
        .map(|number| {
            let requests =
                vec![request(hold(&format!("H{number}"), "mug", 1)), request(hold("old", "mug", 1))];
            at_once(&engine, requests)
        })
        .collect();
    for reply in replies {
        let results = each(reply.wait());
        assert!(!results[0].as_ref().unwrap().repeat && results[1].as_ref().unwrap().repeat);
    }
}

#[test]
fn a_whole_batch_asked_for_again_is_answered_soon() {
    let engine = start(SimDisk::new(5));
    stock(&engine, &["mug"], 100_000);
    let batch = || (0..10_000).map(|number| request(hold(&format!("H{number}"), "mug", 1))).collect();
    let (holds, start) = (batch(), Instant::now());
    let first = submit(&engine, holds);
    let first_took = start.elapsed();
    // On a busy machine a try may have to wait: the quickest of a few tells what the work is. Repeats that were looked up
    // one by one in the journal would each read the frame of all 10,000.
    let mut quickest = Duration::MAX;
    for _ in 0..TRIES {
        let (batch, start_again) = (batch(), Instant::now());
        let again = submit(&engine, batch);
        quickest = quickest.min(start_again.elapsed());
        for (first, again) in first.iter().zip(&again) {
            let (first, again) = (first.as_ref().unwrap(), again.as_ref().unwrap());
            assert!(again.repeat);
            assert_eq!(first.outcome, again.outcome);
        }
        if quickest < REPEATED_SOON {
            break;
        }
    }
    println!("10,000 holds took {first_took:?}, repeats {quickest:?}");
    let limit = REPEATED_SOON.max(first_took * 2);
    assert!(quickest < limit, "10,000 repeats took {quickest:?} at best, and the holds {first_took:?}");
}

/// A transfer of one line between two sites.
fn transfer(engine: &Engine) -> (Request, Request) {
    one(
        engine,
        request(Command::SetSite(SetSite {
            site: code("PUS"),
            name: Default::default(),
            time_zone: jaego_domain::TimeZone::new("Asia/Seoul").unwrap(),
            strategy: Strategy::PickOrder,
        })),
    )
    .unwrap();
    let transfer = request(Command::RequestTransfer(RequestTransfer {
        id: code("T1"),
        from: code("ICN"),
        to: code("PUS"),
        priority: 0,
        lines: vec![TransferLine { line: code("1"), sku: code("mug"), quantity: quantity(3), lot: None }],
    }));
    let dry_run = request(Command::AllocateTransfer(AllocateTransfer {
        id: code("T1"),
        strategy: None,
        partial: false,
        lines: None,
        dry_run: true,
    }));
    (transfer, dry_run)
}

#[test]
fn a_dry_run_in_an_atomic_batch_is_answered_like_any_other() {
    let engine = start(SimDisk::new(6));
    stock(&engine, &["mug"], 10);
    let (transfer, dry_run) = transfer(&engine);
    one(&engine, transfer).unwrap();
    let requests =
        vec![dry_run.clone(), request(hold("H1", "mug", 1)), dry_run, request(hold("H2", "mug", 2))];
    let results = each(engine.submit(Batch { requests, atomic: true }).wait());
    assert_eq!(results[0].as_ref().unwrap().outcome.picks[0].quantity, quantity(3));
    assert_eq!(results[1].as_ref().unwrap().outcome.id, Some(code("H1")));
    assert_eq!(results[3].as_ref().unwrap().outcome.id, Some(code("H2")));
    assert_eq!(totals(&engine, "mug"), (20, 3, 17), "the dry runs took nothing");
}

/// Room for one segment and its spare, and nothing more.
fn fill(disk: &SimDisk) {
    disk.set_faults(Faults { space: Some(disk.used()), ..Faults::default() });
}

/// Places holds of one mug in batches of 500 until one is refused: how many batches went in, and why the next did not.
fn place_until_full(engine: &Engine) -> (u64, String) {
    for placed in 0..1_000 {
        let requests =
            (0..500).map(|number| request(hold(&format!("H{placed}-{number}"), "mug", 1))).collect();
        match at_once(engine, requests).wait() {
            Ok(answers) => assert!(each(Ok(answers)).iter().all(Result::is_ok)),
            Err(Failure::Full { detail }) => return (placed, detail),
            Err(other) => panic!("{other}"),
        }
    }
    panic!("it never fills");
}

#[test]
fn a_full_store_refuses_writes_reads_on_and_resumes() {
    let disk = SimDisk::new(8);
    let engine = start(disk.clone());
    stock(&engine, &["mug"], 1_000_000);
    fill(&disk);
    let (placed, detail) = place_until_full(&engine);
    assert!(detail.contains("full"), "{detail}");
    assert!(placed > 5, "{placed} batches went in");
    let status = engine.status();
    assert!(status.full && !status.ready && status.failed.is_none(), "{status:?}");
    let began = Instant::now();
    for _ in 0..50 {
        assert_eq!(totals(&engine, "mug").1, placed * 500);
    }
    let took = began.elapsed();
    assert!(took < Duration::from_secs(5), "50 reads of a full store took {took:?}");
    assert!(matches!(
        at_once(&engine, vec![request(hold("more", "mug", 1))]).wait(),
        Err(Failure::Full { .. })
    ));
    disk.set_faults(Faults::default());
    until("it resumes", || !engine.status().full);
    one(&engine, request(hold("more", "mug", 1))).unwrap();
    engine.close().unwrap();
    drop(engine);
    let engine = start(disk.crash(1));
    assert_eq!(totals(&engine, "mug").1, placed * 500 + 1);
}

/// No turn is made meanwhile, as nobody asks and nothing can lapse.
#[test]
fn a_full_store_tells_how_late_it_is_and_holds_its_time_back() {
    const DUE: u64 = START + 60_000;
    let (disk, clock) = (SimDisk::new(11), Arc::new(AtomicU64::new(START)));
    let hand = Arc::clone(&clock);
    let recovered = open(disk.clone(), config().journal, |_| {}).unwrap();
    let engine = Engine::start(recovered, config(), move || Timestamp(hand.load(Ordering::SeqCst)));
    stock(&engine, &["mug"], 1_000_000);
    one(&engine, request(hold_for("late", "mug", 4, DUE - START))).unwrap();
    fill(&disk);
    place_until_full(&engine);
    assert_eq!(engine.status().expiry_lag_ms, 0);
    clock.store(DUE + 30_000, Ordering::SeqCst);
    assert_eq!(engine.status().expiry_lag_ms, 30_000);
    let told = engine.stock_as_of(stock_at(DUE)).wait().unwrap();
    assert_eq!(told.at, Timestamp(DUE - 1), "nothing has lapsed, so that its time is not over");
    disk.set_faults(Faults::default());
    until("it lapses", || engine.status().expiry_lag_ms == 0);
    let told = engine.stock_as_of(stock_at(DUE)).wait().unwrap();
    assert_eq!(told.at, Timestamp(DUE + 30_000));
    engine.close().unwrap();
}

#[test]
fn how_long_keys_are_kept_is_told_though_nobody_asks_for_anything() {
    const DAY_MS: u64 = 24 * 3_600_000;
    let (disk, clock) = (SimDisk::new(12), Arc::new(AtomicU64::new(START)));
    for life in 1..=2 {
        let hand = Arc::clone(&clock);
        let recovered = open(disk.clone(), config().journal, |_| {}).unwrap();
        let engine = Engine::start(recovered, config(), move || Timestamp(hand.load(Ordering::SeqCst)));
        if life == 1 {
            stock(&engine, &["mug"], 10);
            one(&engine, keyed(hold("H1", "mug", 1), "K1")).unwrap();
        }
        clock.fetch_add(DAY_MS, Ordering::SeqCst);
        let status = engine.status();
        assert_eq!((status.keys, status.key_window_ms), (1, life * DAY_MS));
        engine.close().unwrap();
    }
}

/// The last frame is durable and answered; what fails is the note that it is.
#[test]
fn a_disk_that_fails_while_nobody_asks_says_why() {
    let disk = SimDisk::new(13);
    let engine = start(disk.clone());
    disk.set_faults(Faults { fail_sync: Some(disk.syncs() + 2), ..Faults::default() });
    let fenced = Fenced::new(code("press"), 1).unwrap();
    one(&engine, request(Command::RaiseFence(RaiseFence { fenced }))).unwrap();
    until("it has failed", || engine.status().failed.is_some());
    let detail = engine.close().unwrap_err();
    assert!(detail.contains("Input/output error"), "{detail}");
}

#[test]
fn a_batch_that_was_begun_is_finished_when_there_is_room_again() {
    let disk = SimDisk::new(9);
    let engine = start(disk.clone());
    stock(&engine, &["mug"], 1_000_000);
    fill(&disk);
    // More than what is left, in one batch: a part of it is decided before the disk is full.
    let requests = |count| (0..count).map(|n| request(hold(&format!("L{n:058}"), "mug", 1))).collect();
    let mut long = at_once(&engine, requests(10_000));
    let mut longer = Vec::new();
    for round in 0..3 {
        let requests = (0..10_000).map(|n| request(hold(&format!("{round}-{n:058}"), "mug", 1))).collect();
        longer.push(at_once(&engine, requests));
    }
    until("it is full", || engine.status().full);
    thread::sleep(Duration::from_millis(300));
    disk.set_faults(Faults::default());
    until("it resumes", || !engine.status().full);
    longer.push(long);
    let mut refused = 0;
    let mut begun = 0;
    for (number, reply) in longer.into_iter().enumerate() {
        match reply.wait() {
            Ok(answers) => {
                begun += 1;
                assert!(each(Ok(answers)).iter().all(Result::is_ok), "batch {number}");
            }
            // "Nothing was decided."
            Err(Failure::Full { .. }) => {
                refused += 1;
                let first = if number == 3 { format!("L{:058}", 0) } else { format!("{number}-{:058}", 0) };
                let found = engine.query(Query::Hold(code(&first))).wait().unwrap().value;
                assert_eq!(found.unwrap_err().code(), "hold_not_found", "batch {number}");
            }
            Err(other) => panic!("batch {number}: {other}"),
        }
    }
    assert!(begun > 0, "none of the batches was finished, {refused} were refused");
    long = at_once(&engine, requests(10_000));
    assert!(each(long.wait()).iter().all(Result::is_ok));
    engine.close().unwrap();
}

#[test]
fn a_full_store_that_closes_says_what_became_of_a_batch() {
    let disk = SimDisk::new(10);
    let engine = start(disk.clone());
    stock(&engine, &["mug"], 1_000_000);
    fill(&disk);
    let replies: Vec<_> = (0..4)
        .map(|round| {
            let requests =
                (0..10_000).map(|n| request(hold(&format!("{round}-{n:058}"), "mug", 1))).collect();
            at_once(&engine, requests)
        })
        .collect();
    until("it is full", || engine.status().full);
    engine.close().unwrap();
    for reply in replies {
        let answer = reply.wait().map(|answers| each(Ok(answers)).len());
        assert!(
            matches!(answer, Ok(10_000) | Err(Failure::Full { .. } | Failure::Failed { .. })),
            "{answer:?}"
        );
    }
}

#[test]
fn a_checkpoint_that_found_no_room_leaves_none_taken() {
    let disk = SimDisk::new(11);
    let recovered = open(disk.clone(), config().journal, |_| {}).unwrap();
    let engine = Engine::start(recovered, Config { checkpoint_segments: usize::MAX, ..config() }, || {
        Timestamp(1_772_323_200_000)
    });
    stock(&engine, &["mug"], 1_000_000);
    let requests = (0..2_000).map(|n| request(hold(&format!("H{n}"), "mug", 1))).collect();
    assert!(submit(&engine, requests).iter().all(Result::is_ok));
    engine.close().unwrap();
    drop(engine);
    let recovered = open(disk.clone(), config().journal, |_| {}).unwrap();
    let used = disk.used();
    for room in (0..200_000_u64).step_by(7 * SECTOR_LEN) {
        disk.set_faults(Faults { space: Some(used + room), ..Faults::default() });
        let written = checkpoint::write(&*recovered.disk, StoreId(1), &recovered.memory, &[]);
        if written.is_ok() {
            assert!(room > 10_000, "{room} bytes were enough");
            return;
        }
        assert_eq!(disk.used(), used, "with {room} bytes of room");
    }
    panic!("200,000 bytes were not enough");
}

#[test]
fn after_a_failure_every_answer_says_so_for_good() {
    // Every write and every sync of the run, and one more than there are.
    for (what, fails) in [
        ("write", (|nth| Faults { fail_write: Some(nth), ..Faults::default() }) as fn(u64) -> Faults),
        ("sync", |nth| Faults { fail_sync: Some(nth), ..Faults::default() }),
    ] {
        for nth in 1.. {
            let disk = SimDisk::new(nth);
            let engine = start(disk.clone());
            stock(&engine, &["mug"], 1_000);
            let calls = if what == "write" { disk.writes() } else { disk.syncs() };
            disk.set_faults(fails(calls + nth));
            let mut acknowledged = Vec::new();
            let mut unknown = Vec::new();
            for number in 0..24 {
                let id = format!("H{number}");
                let mut requests = vec![request(hold(&id, "mug", 1))];
                // A repeat takes the long way round, by the history.
                requests.extend((number % 3 == 0 && number > 0).then(|| request(hold("H0", "mug", 1))));
                match at_once(&engine, requests).wait() {
                    Ok(_) => {
                        assert!(unknown.is_empty(), "{what} {nth}: an answer after a failure");
                        acknowledged.push(id);
                    }
                    Err(Failure::Failed { .. }) => unknown.push(id),
                    Err(other) => panic!("{what} {nth}: {other}"),
                }
            }
            if unknown.is_empty() {
                assert!(nth > 20, "fewer than {nth} {what}s were made to fail");
                break;
            }
            assert!(engine.status().failed.is_some() && !engine.status().ready);
            let again = keyed(release("H0"), "key");
            assert!(matches!(at_once(&engine, vec![again]).wait(), Err(Failure::Failed { .. })));
            let read = engine.query(Query::SkuStock(code("mug"))).wait();
            assert!(matches!(read, Err(Failure::Failed { .. })), "{what} {nth}: {:?}", read.map(drop));
            assert!(matches!(
                engine.events(jaego_domain::Sequence(0), 10).wait(),
                Err(Failure::Failed { .. })
            ));
            let (writes, syncs) = (disk.writes(), disk.syncs());
            engine.close().unwrap_err();
            assert_eq!(disk.violations(), Vec::<String>::new(), "{what} {nth}");
            assert_eq!((writes, syncs), (disk.writes(), disk.syncs()), "the disk is left alone");
            drop(engine);
            for found in [disk.kill(nth), disk.crash(nth), disk.crash(nth + 1_000)] {
                let engine = start(found);
                for id in &acknowledged {
                    let again = one(&engine, request(hold(id, "mug", 1))).unwrap();
                    assert!(again.repeat, "{what} {nth}: {id} was acknowledged and is gone");
                }
                let held = totals(&engine, "mug").1;
                let range = acknowledged.len() as u64..=(acknowledged.len() + unknown.len()) as u64;
                assert!(range.contains(&held), "{what} {nth}: {held} held, {range:?}");
                for id in &unknown {
                    one(&engine, request(hold(id, "mug", 1))).unwrap();
                }
                assert_eq!(totals(&engine, "mug").1, 24, "retried, each takes effect once");
                engine.close().unwrap();
            }
        }
    }
}

#[test]
fn every_budget_of_room_refuses_cleanly_and_resumes() {
    each_seed("every_budget_of_room_refuses_cleanly_and_resumes", 120, |seed| {
        let disk = SimDisk::new(seed);
        // From nothing at all to some segments, in steps that meet no border twice.
        let budget = seed * 43_013;
        let faults = Faults {
            space: Some(budget),
            short: seed % 2 == 0,
            interrupt: seed % 3 == 0,
            ..Faults::default()
        };
        disk.set_faults(faults);
        let recovered = match open(disk.clone(), config().journal, |_| {}) {
            Ok(recovered) => recovered,
            Err(error) => {
                // Not even an empty store has room. It is no worse for having been tried.
                assert!(budget < 3 << 20, "{budget} bytes: {error}");
                disk.set_faults(Faults::default());
                open(disk.clone(), config().journal, |_| {})
                    .unwrap_or_else(|error| panic!("{budget}: {error}"))
            }
        };
        let engine = Engine::start(recovered, config(), || Timestamp(1_772_323_200_000));
        let mut told = Vec::new();
        let mut full = 0;
        for number in 0..60 {
            let id = format!("H{number}");
            let mut requests = if number == 0 { opening(&["mug"], 100_000) } else { Vec::new() };
            requests.push(request(hold(&id, "mug", 1)));
            requests.extend((0..150).map(|n| request(hold(&format!("{id}-{n:0>50}"), "mug", 1))));
            match at_once(&engine, requests).wait() {
                Ok(answers) => {
                    let all = each(Ok(answers));
                    told.extend(all.iter().all(Result::is_ok).then_some(id));
                }
                Err(Failure::Full { .. }) => full += 1,
                Err(other) => panic!("{budget} bytes: {other}"),
            }
            assert!(engine.status().failed.is_none(), "{budget} bytes");
            if full == 3 {
                let known = engine.query(Query::Hold(code("H1"))).wait().unwrap().value.is_ok();
                assert_eq!(known, told.iter().any(|id| id == "H1"), "{budget} bytes");
                disk.set_faults(Faults::default());
                until("it resumes", || !engine.status().full);
                full += 1;
                if told.is_empty() {
                    stock(&engine, &["mug"], 100_000);
                }
            }
        }
        engine.close().unwrap();
        drop(engine);
        assert_eq!(disk.violations(), Vec::<String>::new());
        let engine = start(disk.crash(seed));
        for id in &told {
            assert!(one(&engine, request(hold(id, "mug", 1))).unwrap().repeat, "{budget} bytes: {id}");
        }
        engine.close().unwrap();
    });
}
