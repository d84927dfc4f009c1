//! Documents whose story is over leave memory, and are there all the same for whoever names them.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use jaego_domain::{
    Command, Name, Outside, Query, Refusal, Request, Sequence, Strategy, Tables, TimeZone, View,
    command::{
        Adjust, AdjustLine, AllocateTransfer, CancelTransfer, Change, PickTransfer, ReceiveLine,
        ReceiveTransfer, RequestTransfer, SetLocation, SetSite, ShipTransfer, TransferLine,
    },
    query::{Page, Period, TransferView},
    row::{LocationKind, TransferStatus},
};
use jaego_engine::{Engine, disk::Disk, open, sim_disk::SimDisk, verify};
use jaego_store::{Batch, Failure, MovementFilter, Results, Store};

use super::world::{code, config, hold, one, quantity, release, request, start, stock, submit};

/// How long a checkpoint may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(30);
/// The length of a run's trailer, and where in it stands the place of the directory.
const TRAILER_LEN: usize = 60;
const DIRECTORY_AT: usize = 28;

/// The opening's site, with a place to stage, and one that receives.
fn two_sites(engine: &Engine) {
    stock(engine, &["mug"], 1_000);
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
    for command in [
        Command::SetSite(second),
        location("ICN", "OUT", LocationKind::Staging),
        location("PUS", "IN", LocationKind::Receiving),
    ] {
        one(engine, request(command)).unwrap();
    }
}

fn transfer(id: &str, units: u64) -> Command {
    let line = TransferLine { line: code("L1"), sku: code("mug"), quantity: quantity(units), lot: None };
    Command::RequestTransfer(RequestTransfer {
        id: code(id),
        from: code("ICN"),
        to: code("PUS"),
        priority: 0,
        lines: vec![line],
    })
}

fn cancel(id: &str) -> Command {
    Command::CancelTransfer(CancelTransfer { id: code(id), release: true })
}

fn receive(id: &str, units: Option<u64>) -> Command {
    let lines = units.map(|units| {
        vec![ReceiveLine { line: code("L1"), lot: None, quantity: quantity(units), damaged: quantity(0) }]
    });
    Command::ReceiveTransfer(ReceiveTransfer { id: code(id), lines, location: None, quarantine: None })
}

/// A transfer from its request to its arrival.
fn whole_transfer(id: &str, units: u64) -> [Command; 5] {
    [
        transfer(id, units),
        Command::AllocateTransfer(AllocateTransfer {
            id: code(id),
            strategy: None,
            partial: false,
            lines: None,
            dry_run: false,
        }),
        Command::PickTransfer(PickTransfer { id: code(id), lines: None, claimant: None, staging: None }),
        Command::ShipTransfer(ShipTransfer { id: code(id), shipment: code("S1"), lines: None }),
        receive(id, None),
    ]
}

fn all(engine: &Engine, commands: impl IntoIterator<Item = Command>) {
    for result in submit(engine, commands.into_iter().map(request).collect()) {
        result.unwrap();
    }
}

/// Fills a segment with adjustments, and waits for the checkpoint that has all that was before them.
fn turn_over(engine: &Engine, name: &str) {
    let before = engine.status().sequence;
    for batch in 0..4 {
        let adjusted = (0..1_000).map(|n| {
            let line = AdjustLine {
                site: code("ICN"),
                location: code("A-1"),
                sku: code("mug"),
                lot: None,
                change: Change::Add(quantity(1), Outside::Found),
            };
            Command::Adjust(Adjust {
                id: code(&format!("{name}-{batch}-{n}")),
                reason: Name::new("reason", &"x".repeat(256)).unwrap(),
                lines: vec![line],
                release: None,
            })
        });
        all(engine, adjusted);
    }
    let deadline = Instant::now() + PATIENCE;
    while engine.checkpoint() < before {
        assert!(Instant::now() < deadline, "no checkpoint of event {before}");
        thread::sleep(Duration::from_millis(10));
    }
}

fn shown(engine: &Engine, id: &str) -> TransferView {
    match engine.query(Query::Transfer(code(id))).wait().unwrap().value.unwrap() {
        View::Transfer(view) => *view,
        other => panic!("{other:?}"),
    }
}

/// The ids of a list of transfers, page by page.
fn listed(engine: &Engine, status: Option<TransferStatus>, limit: usize) -> Vec<String> {
    let (mut ids, mut after) = (Vec::new(), None);
    loop {
        let (from, page) = (Some(code("ICN")), Page { after, limit });
        let query =
            Query::Transfers { status, from, to: None, worker: None, requested: Period::default(), page };
        let View::Transfers(page) = engine.query(query).wait().unwrap().value.unwrap() else {
            panic!("another view")
        };
        assert!(page.items.len() <= limit, "{} of {limit}", page.items.len());
        ids.extend(page.items.iter().map(|transfer| transfer.id.to_string()));
        match page.next {
            None => return ids,
            next => after = next,
        }
    }
}

/// Damages the first block that has a document of this id, among the documents by their keys, in every run.
fn damage(disk: &SimDisk, id: &str) {
    let mut damaged = 0;
    for name in runs(disk) {
        let bytes = disk.contents(&name).unwrap();
        if let Some(at) = bytes.windows(id.len()).position(|window| window == id.as_bytes()) {
            disk.flip_bit(&name, at * 8);
            damaged += 1;
        }
    }
    assert!(damaged > 0, "{id} is in no run");
}

/// A store in which a transfer was archived and then changed, and no checkpoint came since: replay needs it.
fn changed_after_its_checkpoint(seed: u64) -> (SimDisk, Arc<Engine>) {
    let disk = SimDisk::new(seed);
    let engine = start(disk.clone());
    two_sites(&engine);
    all(&engine, whole_transfer("EARLIER", 2));
    turn_over(&engine, "first");
    all(&engine, whole_transfer("CHANGED", 3));
    turn_over(&engine, "second");
    one(&engine, request(receive("CHANGED", Some(1)))).unwrap();
    (disk, engine)
}

fn runs(disk: &SimDisk) -> Vec<String> {
    let names = disk.list().unwrap();
    names.into_iter().filter(|name| name.starts_with("archive-")).collect()
}

#[test]
fn a_transfer_leaves_comes_back_changes_and_leaves_again() {
    let disk = SimDisk::new(1);
    let engine = start(disk.clone());
    two_sites(&engine);
    all(&engine, whole_transfer("T1", 3));
    all(&engine, [hold("H1", "mug", 2), release("H1")]);
    turn_over(&engine, "first");
    assert!(!runs(&disk).is_empty());

    assert_eq!(shown(&engine, "T1").summary.totals.received, quantity(3));
    assert!(one(&engine, request(hold("H1", "mug", 2))).unwrap().repeat);
    assert_eq!(one(&engine, request(hold("H1", "mug", 3))).unwrap_err(), Refusal::IdTaken { id: code("H1") });
    assert!(one(&engine, request(transfer("T1", 3))).unwrap().repeat);
    // A surplus is found, and found again after the transfer went to rest once more.
    one(&engine, request(receive("T1", Some(1)))).unwrap();
    assert_eq!(shown(&engine, "T1").summary.totals.received, quantity(4));
    turn_over(&engine, "second");
    assert_eq!(shown(&engine, "T1").summary.totals.received, quantity(4));
    assert_eq!(shown(&engine, "T1").lines[0].totals.received, quantity(4));
    let twice = vec![request(receive("T1", Some(1))), request(receive("T1", Some(1)))];
    let answers = engine.submit(Batch { requests: twice, atomic: true }).wait().unwrap();
    assert!(matches!(answers.results, Results::Each(each) if each.iter().all(Result::is_ok)));
    assert_eq!(shown(&engine, "T1").summary.totals.received, quantity(6));

    // Its events and movements name it by its lines.
    let filter = MovementFilter { document: Some(code("T1")), limit: 100, ..MovementFilter::default() };
    let movements = engine.movements(filter).wait().unwrap().movements;
    assert!(movements.len() >= 6, "{movements:?}");
    let events = engine.events(Sequence(0), 100).wait().unwrap().events;
    assert!(events.iter().any(|event| event.kind.contains("received")), "{events:?}");
    engine.close().unwrap();
    drop(engine);

    let opened = open(disk.kill(1), config().journal, |_| {}).unwrap();
    let (newest, hash) = (opened.checkpoint.unwrap(), opened.state_hash().unwrap());
    drop(opened);
    // The older of the two checkpoints gives the same books, with its own runs.
    let damaged = disk.kill(2);
    damaged.flip_bit(&format!("checkpoint-{:020}.done", newest.0), 77);
    let opened = open(damaged.clone(), config().journal, |_| {}).unwrap();
    assert!(opened.checkpoint.is_some_and(|older| older < newest), "{:?}", opened.checkpoint);
    assert_eq!(opened.state_hash().unwrap(), hash);
    drop(opened);
    let engine = start(damaged.clone());
    assert_eq!(shown(&engine, "T1").summary.totals.received, quantity(6));
    turn_over(&engine, "third");
    assert_eq!(shown(&engine, "T1").summary.totals.received, quantity(6));
    engine.close().unwrap();
    drop(engine);
    verify(damaged, config().journal, |_| {}).unwrap();
}

#[test]
fn a_list_goes_on_across_what_is_in_memory_and_what_left_it() {
    let engine = start(SimDisk::new(2));
    two_sites(&engine);
    let id = |n: usize| format!("T{n:03}");
    all(&engine, (0..40).map(|n| transfer(&id(n), 1)));
    all(&engine, (0..40).filter(|n| n % 3 == 0).map(|n| cancel(&id(n))));
    turn_over(&engine, "first");
    // More of them end, and stay in memory until the next checkpoint; the last ones are newer than all that left.
    all(&engine, (0..40).filter(|n| n % 3 == 1).map(|n| cancel(&id(n))));
    all(&engine, (40..45).map(|n| transfer(&id(n), 1)));
    for pass in ["some in memory", "all in the archive"] {
        let all_ids: Vec<_> = (0..45).map(id).collect();
        let cancelled: Vec<_> = (0..40).filter(|n| n % 3 != 2).map(id).collect();
        let requested: Vec<_> = (0..45).filter(|n| *n >= 40 || n % 3 == 2).map(id).collect();
        for limit in [1, 2, 7, 44, 45, 46, 1_000] {
            assert_eq!(listed(&engine, None, limit), all_ids, "{pass}, {limit}");
            assert_eq!(listed(&engine, Some(TransferStatus::Cancelled), limit), cancelled, "{pass}, {limit}");
            assert_eq!(listed(&engine, Some(TransferStatus::Requested), limit), requested, "{pass}, {limit}");
            assert!(listed(&engine, Some(TransferStatus::Received), limit).is_empty());
        }
        turn_over(&engine, &format!("next-{}", pass.len()));
    }
    engine.close().unwrap();
}

#[test]
fn an_archive_that_cannot_be_read_fails_those_who_want_it_and_nobody_else() {
    let disk = SimDisk::new(3);
    let engine = start(disk.clone());
    two_sites(&engine);
    all(&engine, [hold("H1", "mug", 2), release("H1"), transfer("T1", 1), cancel("T1"), transfer("T2", 1)]);
    turn_over(&engine, "first");
    for name in runs(&disk) {
        // Holds come first in a run.
        disk.flip_bit(&name, 100);
    }
    let try_one = |request: Request| engine.submit(Batch { requests: vec![request], atomic: false }).wait();
    let unreadable = |failure: Failure| match failure {
        Failure::HistoryUnreadable { detail } => assert!(detail.contains("archive-"), "{detail}"),
        other => panic!("{other}"),
    };
    // What came to rest leaves memory a moment after the checkpoint.
    let deadline = Instant::now() + PATIENCE;
    while engine.query(Query::Hold(code("H1"))).wait().is_ok() {
        assert!(Instant::now() < deadline, "the hold never left memory");
    }
    unreadable(engine.query(Query::Hold(code("H1"))).wait().unwrap_err());
    unreadable(try_one(request(hold("H1", "mug", 2))).unwrap_err());
    unreadable(try_one(request(release("H1"))).unwrap_err());
    let requests = || vec![request(hold("H2", "mug", 1)), request(release("H1"))];
    unreadable(engine.submit(Batch { requests: requests(), atomic: true }).wait().unwrap_err());
    assert!(engine.query(Query::Hold(code("H2"))).wait().unwrap().value.is_err(), "none of it was decided");
    unreadable(engine.submit(Batch { requests: requests(), atomic: false }).wait().unwrap_err());
    assert!(one(&engine, request(hold("H2", "mug", 1))).unwrap().repeat, "a part of it was decided");

    // The store goes on, and owes nobody anything.
    one(&engine, request(hold("H3", "mug", 1))).unwrap();
    assert_eq!(shown(&engine, "T2").summary.status, TransferStatus::Requested);
    let status = engine.status();
    assert!(status.ready && status.failed.is_none());
    // Who was answered leaves the line a moment later.
    let deadline = Instant::now() + PATIENCE;
    while engine.status().queue_len > 0 {
        assert!(Instant::now() < deadline, "somebody was never answered: {:?}", engine.status());
    }
    for name in runs(&disk) {
        disk.flip_bit(&name, 100);
    }
    assert!(one(&engine, request(hold("H1", "mug", 2))).unwrap().repeat);
    engine.close().unwrap();
}

#[test]
fn a_run_damaged_in_either_order_is_found_by_verify() {
    let disk = SimDisk::new(4);
    let engine = start(disk.clone());
    two_sites(&engine);
    all(&engine, (0..50).flat_map(|n| [transfer(&format!("T{n}"), 1), cancel(&format!("T{n}"))]));
    turn_over(&engine, "first");
    engine.close().unwrap();
    drop(engine);
    verify(disk.clone(), config().journal, |_| {}).unwrap();
    let opened = open(disk.clone(), config().journal, |_| {}).unwrap();
    assert!(opened.archive.document_count() > 50);
    drop(opened);
    for name in runs(&disk) {
        let bytes = disk.contents(&name).unwrap();
        let len = bytes.len();
        // The trailer says where the directory begins; the transfers in the order of their requests end there.
        let directory = u64::from_le_bytes(*bytes[len - TRAILER_LEN + DIRECTORY_AT..].first_chunk().unwrap());
        let last_request = usize::try_from(directory).unwrap() - 20;
        for byte in (0..len).step_by(len / 40).chain([last_request]) {
            let damaged = disk.kill(5);
            damaged.flip_bit(&name, byte * 8);
            // What does not open is passed over for an older checkpoint, or for the journal alone.
            let found = match verify(damaged.clone(), config().journal, |_| {}) {
                Err(error) => error.to_string().contains(&name),
                Ok(_) => !open(damaged, config().journal, |_| {}).unwrap().passed_over.is_empty(),
            };
            assert!(found, "byte {byte} of {len} in {name}");
        }
    }
}

#[test]
fn closing_answers_all_who_wait_for_the_archive() {
    let disk = SimDisk::new(6);
    let engine = start(disk.clone());
    two_sites(&engine);
    let id = |n: usize| format!("H{n}");
    all(&engine, (0..100).flat_map(|n| [hold(&id(n), "mug", 1), release(&id(n))]));
    turn_over(&engine, "first");
    let asked: Vec<_> = (0..200)
        .map(|n| {
            let new = request(hold(&format!("N{n}"), "mug", 1));
            let requests = vec![new, request(hold(&id(n % 100), "mug", 1))];
            engine.submit(Batch { requests, atomic: n % 2 == 0 })
        })
        .collect();
    let queries: Vec<_> = (0..100).map(|n| engine.query(Query::Hold(code(&id(n))))).collect();
    let pages: Vec<_> = (0..20).map(|_| engine.events(Sequence(0), 200)).collect();
    let closing = Arc::clone(&engine);
    let closer = thread::spawn(move || closing.close());
    let mut repeats = 0;
    for reply in asked {
        match reply.wait().unwrap().results {
            Results::Each(each) => {
                let done: Vec<_> = each.into_iter().map(Result::unwrap).collect();
                assert!(!done[0].repeat && done[1].repeat, "{done:?}");
                repeats += 1;
            }
            Results::Refused(refused) => panic!("{refused:?}"),
        }
    }
    assert_eq!(repeats, 200);
    for reply in queries {
        assert!(matches!(reply.wait().unwrap().value.unwrap(), View::Hold(_)));
    }
    for reply in pages {
        // The ledger's line may be told that it is over, but nobody is left without an answer.
        match reply.wait() {
            Ok(page) => assert!(!page.events.is_empty()),
            Err(failure) => assert!(matches!(failure, Failure::Closed), "{failure}"),
        }
    }
    closer.join().unwrap().unwrap();
    assert_eq!(engine.status().queue_len, 0);
    drop(engine);
    verify(disk, config().journal, |_| {}).unwrap();
}

#[test]
fn damage_to_a_document_that_replay_needs_costs_a_checkpoint_and_nothing_else() {
    let (disk, engine) = changed_after_its_checkpoint(8);
    engine.close().unwrap();
    drop(engine);
    let opened = open(disk.kill(1), config().journal, |_| {}).unwrap();
    let (newest, hash) = (opened.checkpoint.unwrap(), opened.state_hash().unwrap());
    assert!(opened.passed_over.is_empty());
    drop(opened);

    let damaged = disk.kill(2);
    damage(&damaged, "CHANGED");
    let before = damaged.list().unwrap();
    let opened = open(damaged.clone(), config().journal, |_| {}).unwrap();
    assert!(opened.checkpoint.is_none_or(|older| older < newest), "{:?}", opened.checkpoint);
    let told: Vec<_> = opened.passed_over.iter().map(ToString::to_string).collect();
    assert!(!told.is_empty() && told[0].contains(&newest.to_string()), "{told:?}");
    assert_eq!(opened.state_hash().unwrap(), hash);
    drop(opened);
    let after = damaged.list().unwrap();
    let lost: Vec<_> = before.iter().filter(|name| !after.contains(name)).collect();
    assert!(lost.is_empty(), "{lost:?} were removed");
    // Proving finds the same: what the store stands on is sound, and something was passed over.
    let verified = verify(damaged.clone(), config().journal, |_| {}).unwrap();
    assert_eq!((verified.hash, verified.passed_over.is_empty()), (hash, false));

    // Where no checkpoint is left, the journal alone says it all.
    let bare = damaged.kill(3);
    let manifests =
        before.iter().filter(|name| name.ends_with(".done") && !name.contains(&newest.to_string()));
    manifests.for_each(|name| bare.flip_bit(name, 77));
    let opened = open(bare, config().journal, |_| {}).unwrap();
    assert_eq!((opened.checkpoint, opened.state_hash().unwrap()), (None, hash));
    drop(opened);

    // The next checkpoint is a good one again.
    let engine = start(damaged.clone());
    assert_eq!(shown(&engine, "CHANGED").summary.totals.received, quantity(4));
    turn_over(&engine, "third");
    assert_eq!(shown(&engine, "CHANGED").summary.totals.received, quantity(4));
    engine.close().unwrap();
    drop(engine);
    let verified = verify(damaged, config().journal, |_| {}).unwrap();
    assert!(verified.passed_over.is_empty(), "{:?}", verified.passed_over);
}

#[test]
fn checkpoints_go_on_although_one_of_them_cannot_be_built_upon() {
    let (disk, engine) = changed_after_its_checkpoint(9);
    damage(&disk, "CHANGED");
    turn_over(&engine, "third");
    assert_eq!(shown(&engine, "CHANGED").summary.totals.received, quantity(4));
    turn_over(&engine, "fourth");
    assert_eq!(shown(&engine, "EARLIER").summary.totals.received, quantity(2));
    assert!(one(&engine, request(transfer("CHANGED", 3))).unwrap().repeat);
    engine.close().unwrap();
    drop(engine);
    let verified = verify(disk, config().journal, |_| {}).unwrap();
    assert!(verified.passed_over.is_empty(), "{:?}", verified.passed_over);
}

#[test]
fn verify_tells_how_many_events_it_replayed_where_the_journal_begins_later() {
    let disk = SimDisk::new(10);
    let engine = start(disk.clone());
    two_sites(&engine);
    turn_over(&engine, "first");
    turn_over(&engine, "second");
    // Several events in one frame: frames are not what is counted.
    all(&engine, (0..20).map(|n| hold(&format!("H{n}"), "mug", 1)));
    engine.close().unwrap();
    drop(engine);
    let mut opened = open(disk.clone(), config().journal, |_| {}).unwrap();
    let (checkpoint, last) = (opened.checkpoint.unwrap(), opened.memory.head().sequence);
    assert_eq!(opened.replayed, last.0 - checkpoint.0);
    opened.journal.raise_floor(checkpoint.0).unwrap();
    assert!(opened.journal.reader().first_sequence() > 1);
    opened.journal.close().unwrap();
    let verified = verify(disk, config().journal, |_| {}).unwrap();
    assert_eq!((verified.sequence, verified.events), (last, last.0 - checkpoint.0));
    assert!(verified.events >= 20);
}
