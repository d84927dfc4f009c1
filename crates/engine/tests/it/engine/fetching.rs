//! What one job brings from the archive has an end, and everybody is answered all the same.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use jaego_domain::{
    Command, Name, Request, Sequence, Strategy, TimeZone,
    command::{
        AllocateLine, AllocateTransfer, CancelTransfer, CloseTransfer, PickTransfer, ReceiveTransfer,
        RequestTransfer, SetLocation, SetSite, ShipTransfer, TransferLine,
    },
    row::LocationKind,
};
use jaego_engine::{Engine, LINES_FETCHED_MAX, SystemClock, open, sim_disk::SimDisk};
use jaego_store::{Batch, EventView, Failure, MovementFilter, MovementView, Results, Store};

use super::world::{code, found, one, quantity, request, roomy_config, stock, submit};

/// Two of these fit into one look at the archive, with what is left over of the second; a third does not.
const LINES: usize = 40_000;
const TRANSFERS: [&str; 5] = ["T1", "T2", "T3", "T4", "T5"];
const PATIENCE: Duration = Duration::from_secs(60);

fn large_transfer(id: &str) -> Command {
    let line = |number: usize| TransferLine {
        line: code(&number.to_string()),
        sku: code("mug"),
        quantity: quantity(1),
        lot: None,
    };
    let lines = (1..=LINES).map(line).collect();
    Command::RequestTransfer(RequestTransfer {
        id: code(id),
        from: code("ICN"),
        to: code("PUS"),
        priority: 0,
        lines,
    })
}

/// From its request to its end: one unit of its first line arrives.
fn life_of(id: &str) -> Vec<Command> {
    let id = code(id);
    let first = AllocateLine { line: code("1"), quantity: None, location: None, lot: None };
    let allocate = AllocateTransfer {
        id: id.clone(),
        strategy: None,
        partial: false,
        lines: Some(vec![first]),
        dry_run: false,
    };
    vec![
        large_transfer(id.as_str()),
        Command::AllocateTransfer(allocate),
        Command::PickTransfer(PickTransfer { id: id.clone(), lines: None, claimant: None, staging: None }),
        Command::ShipTransfer(ShipTransfer { id: id.clone(), shipment: code("S1"), lines: None }),
        Command::ReceiveTransfer(ReceiveTransfer {
            id: id.clone(),
            lines: None,
            location: None,
            quarantine: None,
        }),
        Command::CloseTransfer(CloseTransfer { id }),
    ]
}

/// A store whose large transfers have ended and left memory.
fn store_of_large_transfers(seed: u64) -> Arc<Engine> {
    let recovered = open(SimDisk::new(seed), roomy_config().journal, |_| {}).unwrap();
    let engine = Engine::start(recovered, roomy_config(), SystemClock);
    stock(&engine, &["mug"], 1_000_000);
    let location = |site: &str, location: &str, kind| {
        Command::SetLocation(SetLocation {
            site: code(site),
            location: code(location),
            zone: Name::default(),
            pick_order: 9,
            kind,
        })
    };
    let second = SetSite {
        site: code("PUS"),
        name: Name::default(),
        time_zone: TimeZone::new("Asia/Seoul").unwrap(),
        strategy: Strategy::PickOrder,
    };
    let places = [
        Command::SetSite(second),
        location("ICN", "OUT", LocationKind::Staging),
        location("PUS", "IN", LocationKind::Receiving),
    ];
    for command in places.into_iter().chain(TRANSFERS.iter().flat_map(|id| life_of(id))) {
        one(&engine, request(command)).unwrap();
    }
    let last = engine.status().sequence;
    let deadline = Instant::now() + PATIENCE;
    let mut number = 0;
    while engine.checkpoint() < last {
        assert!(Instant::now() < deadline, "no checkpoint of event {last}");
        let filling = (0..1_000).map(|n| {
            let Command::Adjust(mut adjust) = found(&format!("fill-{number}-{n}"), "mug", 1) else {
                panic!("found")
            };
            adjust.reason = Name::new("reason", &"x".repeat(256)).unwrap();
            request(Command::Adjust(adjust))
        });
        assert!(submit(&engine, filling.collect()).iter().all(Result::is_ok));
        number += 1;
        thread::sleep(Duration::from_millis(20));
    }
    // What was archived leaves the tables bit by bit, as the writer has time.
    while engine.status().leaving > 0 {
        assert!(Instant::now() < deadline, "{:?}", engine.status());
        thread::sleep(Duration::from_millis(5));
    }
    engine
}

/// The whole feed, page by page, and the numbers of the pages that ended early.
fn feed(engine: &Engine) -> (Vec<EventView>, usize) {
    let (mut events, mut after, mut early) = (Vec::<EventView>::new(), Sequence(0), 0);
    loop {
        let page = engine.events(after, 200).wait().unwrap();
        let Some(last) = page.events.last() else { return (events, early) };
        after = last.outcome.sequence;
        early += usize::from(page.events.len() < 200 && after < page.durable);
        events.extend(page.events);
    }
}

fn ledger(engine: &Engine) -> (Vec<MovementView>, usize) {
    let (mut movements, mut after, mut early) = (Vec::new(), None, 0);
    loop {
        let filter =
            MovementFilter { sku: Some(code("mug")), after, limit: 200, ..MovementFilter::default() };
        let page = engine.movements(filter).wait().unwrap();
        early += usize::from(page.movements.len() < 200 && page.next.is_some());
        movements.extend(page.movements);
        after = page.next;
        if after.is_none() {
            return (movements, early);
        }
    }
}

#[test]
fn pages_end_early_where_the_archive_would_have_to_bring_too_much() {
    let engine = store_of_large_transfers(1);
    let last = engine.status().durable;
    let (events, early) = feed(&engine);
    assert!(early >= 2, "{early} pages of the feed ended early");
    let numbers: Vec<_> = events.iter().map(|event| event.outcome.sequence.0).collect();
    assert_eq!(numbers, (1..=last.0).collect::<Vec<_>>());
    let of_transfers = |kind: &str| {
        events
            .iter()
            .filter(|event| event.kind == kind)
            .map(|event| event.document.clone().unwrap().1)
            .collect::<Vec<_>>()
    };
    assert_eq!(of_transfers("transfer_closed"), TRANSFERS.map(code));

    let (movements, early) = ledger(&engine);
    assert!(early >= 2, "{early} pages of the ledger ended early");
    assert!(movements.windows(2).all(|pair| pair[0].id < pair[1].id), "each once, in order");
    // Each transfer: picked, shipped, received.
    let filter = MovementFilter { document: Some(code("T5")), limit: 200, ..MovementFilter::default() };
    assert_eq!(engine.movements(filter).wait().unwrap().movements.len(), 3);
    let all = movements
        .iter()
        .filter(|movement| movement.document.as_ref().is_some_and(|(kind, _)| *kind == "transfer"));
    assert_eq!(all.count(), 3 * TRANSFERS.len());
    engine.close().unwrap();
}

#[test]
fn an_atomic_batch_is_refused_and_others_are_answered_bit_by_bit() {
    let engine = store_of_large_transfers(2);
    let requests = |ids: &[&str]| -> Vec<Request> {
        ids.iter().map(|id| request(Command::CloseTransfer(CloseTransfer { id: code(id) }))).collect()
    };
    let atomic = |ids: &[&str]| engine.submit(Batch { requests: requests(ids), atomic: true }).wait();
    match atomic(&TRANSFERS).unwrap_err() {
        Failure::TooLarge { what, count, max } => {
            assert!(what.contains("archived"), "{what}");
            assert!(count > max && count <= max + LINES + 1, "{count}");
            assert_eq!(max, LINES_FETCHED_MAX);
        }
        other => panic!("{other}"),
    }
    match atomic(&["T4"]).unwrap().results {
        Results::Each(each) => assert!(each.iter().all(|done| done.as_ref().unwrap().repeat)),
        Results::Refused(refused) => panic!("{refused:?}"),
    }
    let done = submit(&engine, requests(&TRANSFERS));
    let ids: Vec<_> = done
        .into_iter()
        .map(Result::unwrap)
        .filter(|done| done.repeat)
        .map(|done| done.outcome.sequence)
        .collect();
    assert_eq!(ids.len(), TRANSFERS.len());
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "each has the outcome of its own event: {ids:?}");
    let cancel = request(Command::CancelTransfer(CancelTransfer { id: code("T3"), release: false }));
    assert_eq!(one(&engine, cancel).unwrap_err().code(), "transfer_closed");
    let status = engine.status();
    assert!(status.ready && status.queue_len == 0, "{status:?}");
    engine.close().unwrap();
}
