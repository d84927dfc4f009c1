//! Batches that name a large document again and again: they come to an end, and others do not wait for it.

use std::{collections::VecDeque, sync::Arc, thread, time::Duration};

use jaego_domain::{
    Command, Memory, Name, Outside, Query, Refusal, Request,
    command::{
        Adjust, AdjustLine, Change, ClaimOrder, ClaimOrders, ClaimPolicy, ExtendHold, HoldLine, OrderLine,
        PlaceHold, PlaceOrder, SetLot, SetSku,
    },
    limits::{LINES_MAX, SEEN_MAX},
    row::Tracking,
};
use jaego_engine::{
    Core, Engine, Job, LINES_TOUCHED_MAX, Limits, Submission, SystemClock, open, sim_disk::SimDisk,
};
use jaego_store::{Batch, Failure, Results, Store};

use super::{
    checkpoints::BEGIN,
    world::{code, hold, one, opening, quantity, request, roomy_config, stock, submit},
};

fn large_hold(id: &str) -> Command {
    let line =
        || HoldLine { site: code("ICN"), sku: code("mug"), quantity: quantity(1), location: None, lot: None };
    Command::PlaceHold(PlaceHold {
        id: code(id),
        owner: None,
        lines: (0..LINES_MAX).map(|_| line()).collect(),
        expires_in_ms: None,
        partial: false,
        strategy: None,
    })
}

fn extend(id: &str) -> Request {
    request(Command::ExtendHold(ExtendHold { id: code(id), expires_in_ms: 3_600_000 }))
}

fn with_a_large_hold(seed: u64) -> Arc<Engine> {
    let recovered = open(SimDisk::new(seed), roomy_config().journal, |_| {}).unwrap();
    let engine = Engine::start(recovered, roomy_config(), SystemClock);
    stock(&engine, &["mug"], 1_000_000);
    one(&engine, request(large_hold("LARGE"))).unwrap();
    engine
}

#[test]
fn a_batch_that_was_alone_lets_those_in_who_come_meanwhile() {
    let engine = with_a_large_hold(1);
    let first = engine.status().sequence;
    let times = LINES_TOUCHED_MAX / LINES_MAX;
    let batch =
        engine.submit(Batch { requests: (0..times).map(|_| extend("LARGE")).collect(), atomic: false });
    // By now it is begun, and was alone in line; where it was not, it is no different.
    thread::sleep(Duration::from_millis(10));
    let seen = engine.query(Query::Hold(code("LARGE"))).wait().unwrap().sequence;
    let last = batch.wait().unwrap().sequence;
    assert_eq!(last.0, first.0 + times as u64);
    assert!(seen < last, "the question saw {seen}, and the batch ended with {last}");
    engine.close().unwrap();
}

#[test]
fn a_batch_touches_a_bounded_number_of_lines() {
    let engine = with_a_large_hold(2);
    let times = LINES_TOUCHED_MAX / LINES_MAX;
    let beyond = Refusal::TooManyLinesTouched { lines: (times + 1) * LINES_MAX, max: LINES_TOUCHED_MAX };
    let many = |times: usize| (0..times).map(|_| extend("LARGE")).collect::<Vec<_>>();
    for attempt in 0..2 {
        let mut requests = many(times + 2);
        requests.push(request(hold(&format!("small-{attempt}"), "mug", 1)));
        let answers = submit(&engine, requests);
        assert!(answers[..times].iter().all(Result::is_ok));
        assert_eq!(answers[times].as_ref().unwrap_err(), &beyond);
        assert_eq!(answers[times + 1].as_ref().unwrap_err(), &beyond);
        // What is small enough goes on.
        assert!(answers[times + 2].is_ok(), "{:?}", answers[times + 2]);
    }
    // Who names a taken id makes the store look at all of what has it.
    let same_id = |_| request(hold("LARGE", "mug", 1));
    let answers = submit(&engine, (0..times + 1).map(same_id).chain([extend("LARGE")]).collect());
    assert_eq!(answers[times].as_ref().unwrap_err().code(), "id_taken");
    assert_eq!(answers[times + 1].as_ref().unwrap_err().code(), "too_many_lines_touched");

    let atomic = |requests| engine.submit(Batch { requests, atomic: true }).wait();
    let refused = |failure: Failure| match failure {
        Failure::TooLarge { count, max, .. } => assert!(count > max && max == LINES_TOUCHED_MAX, "{count}"),
        other => panic!("{other}"),
    };
    let sequence = engine.status().sequence;
    refused(atomic(many(times + 1)).unwrap_err());
    // A hold that the batch itself makes counts as well.
    let made = [request(large_hold("MADE"))].into_iter().chain((0..times).map(|_| extend("MADE")));
    refused(atomic(made.collect()).unwrap_err());
    assert_eq!(engine.status().sequence, sequence, "nothing of it was decided");
    match atomic(many(times)).unwrap().results {
        Results::Each(each) => assert!(each.iter().all(Result::is_ok)),
        Results::Refused(refused) => panic!("{refused:?}"),
    }
    engine.close().unwrap();
}

/// Serial numbers of a SKU of which each hold looks at all.
const SERIALS: usize = 8_000;

fn with_serials(seed: u64) -> Arc<Engine> {
    let engine = with_a_large_hold(seed);
    assert!(submit(&engine, serials()).iter().all(Result::is_ok));
    engine
}

fn serials() -> Vec<Request> {
    let (sku, name, safety_stock, prices) = (code("phone"), Name::default(), Vec::new(), Vec::new());
    let set = SetSku { sku, name: name.clone(), tracking: Tracking::Serial, safety_stock, prices };
    let mut requests = vec![request(Command::SetSku(set))];
    let lots: Vec<_> = (0..SERIALS).map(|number| code(&format!("N{number}"))).collect();
    requests.extend(lots.iter().map(|lot| {
        let (sku, lot) = (code("phone"), lot.clone());
        request(Command::SetLot(SetLot { sku, lot, received_on: None, expires_on: None, blocked: false }))
    }));
    let line = |lot| AdjustLine {
        site: code("ICN"),
        location: code("A-1"),
        sku: code("phone"),
        lot: Some(lot),
        change: Change::Add(quantity(1), Outside::Supplier),
    };
    let (id, lines) = (code("PHONES"), lots.into_iter().map(line).collect());
    requests.push(request(Command::Adjust(Adjust { id, reason: name, lines, release: None })));
    requests
}

#[test]
fn a_batch_of_small_holds_lets_others_in_where_each_looks_at_many_positions() {
    const HOLDS: usize = 500;
    let engine = with_serials(4);
    let first = engine.status().sequence;
    let requests = (0..HOLDS).map(|number| request(hold(&format!("H{number}"), "phone", 1))).collect();
    let batch = engine.submit(Batch { requests, atomic: false });
    let seen = engine.query(Query::Hold(code("LARGE"))).wait().unwrap().sequence;
    let last = batch.wait().unwrap().sequence;
    assert_eq!(last.0, first.0 + HOLDS as u64);
    // They count as 126 lines each, and others have their turn after 8,192.
    assert!(seen < last, "the question saw {} of {HOLDS} holds", seen.0 - first.0);
    // An atomic batch has no turns to give: it touches as many lines in all as any other.
    let requests =
        |count: usize| (0..count).map(|number| request(hold(&format!("A{number}"), "phone", 1))).collect();
    let times = LINES_TOUCHED_MAX / (SERIALS / 64 + 1);
    match engine.submit(Batch { requests: requests(times + 1), atomic: true }).wait().unwrap_err() {
        Failure::TooLarge { count, max, .. } => assert!(count > max && max == LINES_TOUCHED_MAX, "{count}"),
        other => panic!("{other}"),
    }
    engine.close().unwrap();
}

fn with_a_stuck_order(seed: u64) -> Arc<Engine> {
    let engine = with_serials(seed);
    assert!(submit(&engine, stuck_order()).iter().all(Result::is_ok));
    engine
}

/// An order of all serial numbers, of which the last one is recalled.
fn stuck_order() -> Vec<Request> {
    let (id, site, sku) = (code("STUCK"), code("ICN"), code("phone"));
    let lines = vec![OrderLine { sku: sku.clone(), quantity: quantity(SERIALS as u64), lot: None }];
    let (customer, priority, backorder) = (None, 0, false);
    let place = PlaceOrder { id, site, lines, customer, priority, backorder };
    let lot = code(&format!("N{}", SERIALS - 1));
    let recall = SetLot { sku, lot, received_on: None, expires_on: None, blocked: true };
    [Command::PlaceOrder(place), Command::SetLot(recall)].map(request).into()
}

/// Claims that look at all of the stuck order, and give nobody anything.
fn claims() -> [Command; 2] {
    let (worker, lease_ms) = (code("ann"), None);
    let by_id = ClaimOrder { id: code("STUCK"), worker: worker.clone(), lease_ms };
    let (site, policy, count) = (code("ICN"), ClaimPolicy::Oldest, 1);
    let next = ClaimOrders { site, worker, policy, count, lease_ms };
    [Command::ClaimOrder(by_id), Command::ClaimOrders(next)]
}

#[test]
fn a_batch_of_claims_lets_others_in_where_each_looks_at_many_picks() {
    const CLAIMS: usize = 500;
    let engine = with_a_stuck_order(5);
    for (number, claim) in claims().into_iter().enumerate() {
        let mut requests: Vec<_> = (0..CLAIMS).map(|_| request(claim.clone())).collect();
        requests.push(request(hold(&format!("LAST-{number}"), "mug", 1)));
        let before = engine.status().sequence;
        let batch = engine.submit(Batch { requests, atomic: false });
        let seen = engine.query(Query::Hold(code("LARGE"))).wait().unwrap().sequence;
        let answers = batch.wait().unwrap();
        assert_eq!(answers.sequence.0, before.0 + 1);
        // They count as 125 lines each, and others have their turn after 8,192.
        assert_eq!(seen, before, "the question saw what came behind {CLAIMS} claims");
    }
    engine.close().unwrap();
}

#[test]
fn a_turn_ends_where_single_claims_have_looked_at_many_picks() {
    const CLAIMS: usize = 200;
    /// They look at nearly all picks, which count as 121 lines, and a turn ends after 8,192.
    const DECIDED_MAX: usize = 70;
    let job = |requests| Job::Submit(Submission::new(Batch { requests, atomic: false }, Box::new(|_| ())));
    let mut core = Core::new(Memory::new(), Limits::default());
    let requests = opening(&["mug"], 1).into_iter().chain(serials()).chain(stuck_order());
    let mut jobs = VecDeque::from([job(requests.collect())]);
    while !jobs.is_empty() {
        core.turn(&mut jobs, BEGIN, Ok(()));
        core.take_flight();
    }
    for claim in claims() {
        let mut jobs: VecDeque<_> = (0..CLAIMS).map(|_| job(vec![request(claim.clone())])).collect();
        let mut left = vec![CLAIMS];
        while !jobs.is_empty() {
            core.turn(&mut jobs, BEGIN, Ok(()));
            core.take_flight();
            left.push(jobs.len());
        }
        let decided: Vec<_> = left.windows(2).map(|turn| turn[0] - turn[1]).collect();
        assert!(decided.iter().all(|decided| (1..=DECIDED_MAX).contains(decided)), "{decided:?}");
    }
}

#[test]
fn the_looks_of_an_atomic_batch_come_to_an_end() {
    /// The most that a batch may have.
    const REQUESTS: usize = 10_000;
    let engine = with_a_stuck_order(6);
    let least = SEEN_MAX / SERIALS;
    for claim in claims() {
        let refused_behind = |count: usize| {
            let requests = (0..count).map(|_| request(claim.clone())).collect();
            match engine.submit(Batch { requests, atomic: true }).wait().unwrap().results {
                Results::Refused(refused) => refused,
                Results::Each(each) => panic!("{each:?}"),
            }
        };
        let few = refused_behind(100);
        assert_eq!(few.len(), 100);
        assert!(few.iter().all(|(_, refusal)| refusal.code() != "too_many_lines_touched"), "{few:?}");
        let refused = refused_behind(REQUESTS);
        let (last, refusal) = refused.last().unwrap();
        assert!((least..REQUESTS - 1).contains(last), "{last}, and at least {least}");
        assert!(matches!(refusal, Refusal::TooManyLinesTouched { lines, max } if lines > max), "{refusal}");
    }
    engine.close().unwrap();
}

#[test]
fn a_command_does_not_wait_for_all_who_read_large_documents_before_it() {
    let engine = with_a_large_hold(3);
    let readers: Vec<_> = (0..40).map(|_| engine.query(Query::Hold(code("LARGE")))).collect();
    let placed = engine.submit(Batch { requests: vec![request(hold("H1", "mug", 1))], atomic: false });
    let placed = placed.wait().unwrap().sequence;
    let seen: Vec<_> = readers.into_iter().map(|reader| reader.wait().unwrap()).collect();
    assert!(seen.iter().all(|answer| answer.value.is_ok()));
    let later = seen.iter().filter(|answer| answer.sequence >= placed).count();
    assert!(later > 20, "{later} of 40 readers who came before were answered after it");
    engine.close().unwrap();
}
