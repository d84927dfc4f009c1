//! Batches that name a large document again and again: they come to an end, and others do not wait for it.

use std::{sync::Arc, thread, time::Duration};

use jaego_domain::{
    Command, Query, Refusal, Request,
    command::{ExtendHold, HoldLine, PlaceHold},
    limits::LINES_MAX,
};
use jaego_engine::{Engine, LINES_TOUCHED_MAX, SystemClock, open, sim_disk::SimDisk};
use jaego_store::{Batch, Failure, Results, Store};

use super::world::{code, hold, one, quantity, request, roomy_config, stock, submit};

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
