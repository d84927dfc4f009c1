//! What a store tells beyond its answers: the feed of events, the ledger, and how it is doing.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use jaego_domain::{
    Code, Command, MovementId, Quantity, Query, Request, Sequence, Timestamp, View,
    command::{HoldLine, PlaceHold},
    limits::SWEEP_PICKS_MAX,
};
use jaego_store::{
    AccountView, Batch, MovementFilter, Reference, Store,
    conformance::{self, START, StoreSubject},
};

/// A store on which these rows were played, and the hand on its clock.
fn played(rows: &str) -> (Arc<Reference>, Arc<AtomicU64>) {
    let clock = Arc::new(AtomicU64::new(START.0));
    let hand = Arc::clone(&clock);
    let store = Arc::new(Reference::new(move || Timestamp(hand.load(Ordering::SeqCst))));
    let mut stage = Some(Arc::clone(&store));
    let facts = "set_site ICN\nset_site PUS\nset_location ICN A-01 storage\nset_location ICN S-01 staging\nset_sku mug\n";
    let text = format!("scenario facts\n{facts}{rows}");
    conformance::run_text("facts.rows", &text, || {
        let hand = Arc::clone(&clock);
        // The echo is played on a store of its own, which is then forgotten.
        let store = stage.take().unwrap_or_else(|| {
            let clock = Arc::clone(&hand);
            Arc::new(Reference::new(move || Timestamp(clock.load(Ordering::SeqCst))))
        });
        Box::new(StoreSubject::new(store, move |now| hand.store(now.0, Ordering::SeqCst)))
    })
    .unwrap();
    (store, clock)
}

fn code(text: &str) -> Code {
    Code::new("code", text).unwrap()
}

const ROWS: &str = "
    adjust J1 ICN A-01 mug add 10 supplier reason=delivery
    hold H1 ICN mug 4 until=60s
    request_transfer T1 ICN PUS 1 mug 5
    allocate_transfer T1
    pick_transfer T1
    ship_transfer T1 SH1
    adjust J2 ICN A-01 mug add 3 supplier, ICN A-01 mug remove 1 loss";

#[test]
fn events_are_read_in_order_and_in_pages() {
    let (store, _) = played(ROWS);
    let all = store.events(Sequence(0), 100).wait().unwrap();
    let kinds: Vec<_> = all.events.iter().map(|event| event.kind).collect();
    assert_eq!(
        kinds[5..],
        [
            "adjusted",
            "held",
            "transfer_requested",
            "transfer_allocated",
            "transfer_picked",
            "transfer_shipped",
            "adjusted"
        ]
    );
    assert_eq!(all.durable, Sequence(12));
    let page = store.events(Sequence(6), 2).wait().unwrap();
    assert_eq!(page.events, all.events[6..8]);
    assert!(store.events(Sequence(12), 5).wait().unwrap().events.is_empty());
    assert!(store.events(Sequence(u64::MAX), 5).wait().unwrap().events.is_empty());
}

#[test]
fn the_ledger_is_read_by_what_it_is_about() {
    let (store, _) = played(ROWS);
    let read =
        |filter: MovementFilter| store.movements(MovementFilter { limit: 100, ..filter }).wait().unwrap();
    let told = |page: jaego_store::MovementPage| -> Vec<_> {
        let name = |account: &AccountView| match account {
            AccountView::Position { location, .. } => location.to_string(),
            AccountView::Outside(name) => (*name).to_owned(),
            AccountView::InTransit { transfer, line } => format!("{transfer}/{line}"),
        };
        let movements = page.movements.iter();
        movements
            .map(|one| format!("{} {} {} {}", one.id, one.quantity, name(&one.from), name(&one.to)))
            .collect()
    };
    let all = read(MovementFilter::default());
    assert_eq!(all.next, None);
    assert_eq!(
        told(all),
        [
            "6.0 10 supplier A-01",
            "10.0 5 A-01 S-01",
            "11.0 5 S-01 T1/1",
            "12.0 3 supplier A-01",
            "12.1 1 A-01 loss"
        ]
    );
    let of_transfer = MovementFilter { document: Some(code("T1")), ..MovementFilter::default() };
    assert_eq!(told(read(of_transfer)).len(), 2);
    let nowhere = MovementFilter { site: Some(code("PUS")), ..MovementFilter::default() };
    assert!(told(read(nowhere)).is_empty());

    // Page by page it is the same ledger; a page that ends in the middle of an event goes on there.
    let mut after = None;
    let mut pages = Vec::new();
    loop {
        let page = store.movements(MovementFilter { after, limit: 2, ..MovementFilter::default() });
        let page = page.wait().unwrap();
        let next = page.next;
        pages.push(told(page).len());
        let Some(next) = next else { break };
        after = Some(next);
    }
    assert_eq!(pages, [2, 2, 1]);
    assert_eq!(after, Some(MovementId { sequence: Sequence(12), index: 0 }));
}

#[test]
fn the_state_of_the_store_is_told() {
    let (store, clock) = played(ROWS);
    clock.store(START.0, Ordering::SeqCst);
    let status = store.status();
    assert!(status.ready && !status.full && status.failed.is_none());
    assert_eq!((status.sequence, status.durable), (Sequence(12), Sequence(12)));
    assert_eq!((status.counts.open_holds, status.counts.positions, status.expiry_lag_ms), (1, 1, 0));
    clock.store(START.0 + 61_000, Ordering::SeqCst);
    assert_eq!(store.status().expiry_lag_ms, 1_000);
    // A reader's turn lapses what is due as well.
    let hold = store.query(Query::Hold(code("H1"))).wait().unwrap();
    assert_eq!((hold.sequence, hold.at), (Sequence(13), Timestamp(START.0 + 61_000)));
    assert!(matches!(hold.value, Ok(View::Hold(view)) if view.status.name() == "expired"));
    assert_eq!((store.status().counts.open_holds, store.status().expiry_lag_ms), (0, 0));
}

#[test]
fn whoever_waits_for_events_wakes_when_there_are_some() {
    let (store, clock) = played("hold H9 ICN mug 1 -> not_stocked_here");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    // There are some already.
    runtime.block_on(store.wait_for_events(Sequence(4)));
    let waiting = store.wait_for_events(Sequence(5));
    let waker = std::thread::spawn({
        let store = Arc::clone(&store);
        move || {
            clock.store(START.0 + 1, Ordering::SeqCst);
            let site = jaego_domain::command::SetSite {
                site: code("LAX"),
                name: jaego_domain::Name::default(),
                time_zone: jaego_domain::TimeZone::new("UTC").unwrap(),
                strategy: jaego_domain::Strategy::Fefo,
            };
            let command = Command::SetSite(site);
            let request = Request::new(command, None, code("tester")).unwrap();
            store.submit(Batch { requests: vec![request], atomic: false }).wait().unwrap().sequence
        }
    });
    runtime.block_on(waiting);
    assert_eq!(waker.join().unwrap(), Sequence(6));
    assert_eq!(
        store.inspect(|tables, events| (jaego_domain::Tables::head(tables).sequence, events.len())),
        (Sequence(6), 6)
    );
    // And when the store is gone, nobody waits for ever.
    let waiting = store.wait_for_events(Sequence(6));
    drop(store);
    runtime.block_on(waiting);
}

/// A hold of so many lines of one unit, that lapses after a second.
fn large_hold(id: &str, lines: usize) -> Request {
    let line =
        HoldLine { site: code("ICN"), sku: code("mug"), quantity: Quantity::ONE, location: None, lot: None };
    let hold = PlaceHold {
        id: code(id),
        owner: None,
        lines: vec![line; lines].into(),
        expires_in_ms: Some(1_000),
        partial: false,
        strategy: None,
    };
    Request::new(Command::PlaceHold(hold), None, code("tester")).unwrap()
}

#[test]
fn a_sweep_ends_after_so_many_picks_and_the_next_one_takes_the_rest() {
    let (store, clock) = played("adjust J1 ICN A-01 mug add 1000000 supplier");
    let lines = SWEEP_PICKS_MAX / 2 - 1;
    let requests = ["H1", "H2", "H3", "H4"].map(|id| large_hold(id, lines)).to_vec();
    store.submit(Batch { requests, atomic: false }).wait().unwrap();
    let before = store.status().sequence;
    clock.fetch_add(1_500, Ordering::SeqCst);
    let mut open = Vec::new();
    for _ in 0..2 {
        store.query(Query::Hold(code("H1"))).wait().unwrap();
        open.push(store.status().counts.open_holds);
    }
    assert_eq!(open, [1, 0], "two holds are two picks short of the limit, so that a third one still goes");
    let page = store.events(before, 10).wait().unwrap();
    let lapsed: Vec<_> = page.events.iter().map(|event| event.lapsed.len()).collect();
    assert_eq!(lapsed, [3, 1]);
}
