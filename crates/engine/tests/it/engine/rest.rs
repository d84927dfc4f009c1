//! Finished documents leave memory, and whoever names one again is answered as if they had not.

use std::{sync::Arc, thread, time::Duration};

use jaego_domain::{
    Amount, Command, Currency, MovementId, Name, Query, Refusal, Request, Sequence, View,
    command::{
        CancelTransfer, Checkout, ClaimOrder, Claimant, CompleteOrder, ExtendHold, OrderLine, Payment,
        PlaceOrder, RefundOrder, RequestTransfer, Reverse, SetCart, SetCartItem, SetSite, SetSku,
        TransferLine, UnclaimOrder,
    },
    query::{Page, Period},
    row::{HoldStatus, Tracking},
};
use jaego_engine::{Engine, disk::Disk, sim_disk::SimDisk, verify};
use jaego_store::{Batch, Failure, Results, Store};

use super::world::{
    code, config, found, hold, one, quantity, release, request, start, stock, submit, totals,
};

/// Enough to fill some segments of a megabyte.
const HOLDS: usize = 30_000;
const BATCH: usize = 500;
const WAIT: Duration = Duration::from_secs(30);

fn transfer(id: &str) -> Command {
    Command::RequestTransfer(RequestTransfer {
        id: code(id),
        from: code("ICN"),
        to: code("PUS"),
        priority: 0,
        lines: vec![TransferLine { line: code("first"), sku: code("mug"), quantity: quantity(2), lot: None }],
    })
}

fn cancel(id: &str) -> Command {
    Command::CancelTransfer(CancelTransfer { id: code(id), release: false })
}

/// A store in which documents came to rest and left memory.
fn rested(disk: &SimDisk) -> Arc<Engine> {
    rested_with(disk, |_| {})
}

/// The same, with what else is done before.
fn rested_with(disk: &SimDisk, before: impl FnOnce(&Engine)) -> Arc<Engine> {
    let engine = start(disk.clone());
    stock(&engine, &["mug"], 1_000_000);
    before(&engine);
    let Command::SetSite(icn) = super::world::opening(&["mug"], 1)[0].command().clone() else {
        panic!("a site")
    };
    one(&engine, request(Command::SetSite(SetSite { site: code("PUS"), ..icn }))).unwrap();
    for id in ["T1", "T2", "T3"] {
        one(&engine, request(transfer(id))).unwrap();
    }
    one(&engine, request(cancel("T1"))).unwrap();
    one(&engine, request(cancel("T3"))).unwrap();
    one(&engine, request(found("A1", "mug", 1))).unwrap();
    for first in (0..HOLDS).step_by(BATCH) {
        let ids: Vec<_> = (first..first + BATCH).map(|number| format!("H{number}")).collect();
        let placed = submit(&engine, ids.iter().map(|id| request(hold(id, "mug", 1))).collect());
        assert!(placed.iter().all(Result::is_ok));
        let released = submit(&engine, ids.iter().map(|id| request(release(id))).collect());
        assert!(released.iter().all(Result::is_ok));
    }
    let began = std::time::Instant::now();
    while engine.status().archived < HOLDS as u64 / 2 {
        assert!(began.elapsed() < WAIT, "only {} documents were archived", engine.status().archived);
        // One more segment, so that the one before is sealed.
        let ids = (0..BATCH).map(|number| request(hold(&format!("H{number}"), "mug", 1)));
        assert!(
            submit(&engine, ids.collect()).iter().all(|placed| placed.as_ref().is_ok_and(|one| one.repeat))
        );
        thread::sleep(Duration::from_millis(20));
    }
    engine
}

fn status_of(engine: &Engine, id: &str) -> HoldStatus {
    match engine.query(Query::Hold(code(id))).wait().unwrap().value {
        Ok(View::Hold(hold)) => hold.status,
        other => panic!("{id}: {other:?}"),
    }
}

fn transfers(engine: &Engine, limit: usize) -> Vec<String> {
    let (mut ids, mut after) = (Vec::new(), None);
    loop {
        let page = Page { after, limit };
        let query = Query::Transfers {
            status: None,
            from: None,
            to: None,
            worker: None,
            requested: Period::default(),
            page,
        };
        let Ok(View::Transfers(list)) = engine.query(query).wait().unwrap().value else { panic!("a list") };
        ids.extend(list.items.into_iter().map(|transfer| transfer.id.to_string()));
        after = list.next;
        if after.is_none() {
            return ids;
        }
    }
}

/// All that can be asked of what left memory.
fn is_answered_as_ever(engine: &Engine) {
    assert_eq!(status_of(engine, "H7"), HoldStatus::Released);
    let again = one(engine, request(hold("H7", "mug", 1))).unwrap();
    assert!(again.repeat && again.outcome.picks.len() == 1, "{again:?}");
    let other = one(engine, request(hold("H7", "mug", 2))).unwrap_err();
    assert_eq!(other, Refusal::IdTaken { id: code("H7") });
    let ended = Command::ExtendHold(ExtendHold { id: code("H7"), expires_in_ms: 1_000 });
    let ended = one(engine, request(ended)).unwrap_err();
    assert_eq!(ended.code(), "hold_ended");
    assert!(one(engine, request(found("A1", "mug", 1))).unwrap().repeat);
    assert!(one(engine, request(transfer("T1"))).unwrap().repeat);
    assert!(one(engine, request(cancel("T1"))).unwrap().repeat);
    for limit in [1, 2, 10] {
        assert_eq!(transfers(engine, limit), ["T1", "T2", "T3"], "pages of {limit}");
    }
    // New and old ids mixed, one by one and all at once, in the order in which they are named.
    let mixed = || {
        let ids = ["H1", "new", "H2", "new", "H29999"];
        ids.map(|id| request(hold(id, "mug", 1))).to_vec()
    };
    let atomic = Batch { requests: mixed(), atomic: true };
    let Results::Each(each) = engine.submit(atomic).wait().unwrap().results else { panic!("all stand") };
    let repeats: Vec<_> = each.iter().map(|done| done.as_ref().unwrap().repeat).collect();
    assert_eq!(repeats[3..], [true, true]);
    assert!(submit(engine, mixed()).iter().all(|done| done.as_ref().unwrap().repeat));
    let page = engine.events(Sequence(0), 20).wait().unwrap();
    assert!(page.events.iter().any(|event| event.kind == "transfer_cancelled"), "{page:?}");
}

fn won(amount: u64) -> Amount {
    Amount::new("amount", amount).unwrap()
}

/// Two orders of one mug for 100 each, paid for and completed.
fn sell(engine: &Engine) {
    let (name, krw) = (Name::default(), Currency::new("currency", "KRW").unwrap());
    let prices = vec![(krw, won(100))];
    let tracking = Tracking::None;
    let priced = SetSku { sku: code("mug"), name: name.clone(), tracking, safety_stock: Vec::new(), prices };
    let (owner, amount, reference) = (code("kim"), won(200), None);
    let charge = Payment { owner: owner.clone(), currency: krw, amount, reason: name, reference };
    for command in [Command::SetSku(priced), Command::Charge(charge)] {
        one(engine, request(command)).unwrap();
    }
    for id in ["S1", "S2"].map(code) {
        let (site, owner, sku) = (code("ICN"), owner.clone(), code("mug"));
        for command in [
            Command::SetCart(SetCart { id: id.clone(), site, owner, hold_s: None }),
            Command::SetCartItem(SetCartItem { id: id.clone(), sku, quantity: quantity(1) }),
            Command::Checkout(Checkout { id: id.clone(), currency: krw, expected_total: None, order: None }),
            Command::CompleteOrder(CompleteOrder { id: id.clone(), claimant: None }),
        ] {
            one(engine, request(command)).unwrap();
        }
    }
}

fn refund(engine: &Engine, amount: u64) -> Result<i64, Refusal> {
    let (id, amount, reason) = (code("S1"), Some(won(amount)), Name::default());
    let done = one(engine, request(Command::RefundOrder(RefundOrder { id, amount, reason })))?;
    Ok(done.outcome.balance.expect("a refund tells the balance"))
}

fn refunded(engine: &Engine) -> u64 {
    match engine.query(Query::Order(code("S1"))).wait().unwrap().value {
        Ok(View::Order(order)) => order.sale.expect("it was sold").refunded.get(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_order_that_left_memory_is_refunded_no_more_than_once() {
    let disk = SimDisk::new(43);
    let engine = rested_with(&disk, sell);
    assert_eq!((refund(&engine, 60), refunded(&engine)), (Ok(60), 60));
    assert_eq!(refund(&engine, 41).unwrap_err().code(), "refund_exceeds_order");
    engine.close().unwrap();
    drop(engine);

    // Replay brings the order back, and so does whoever names it.
    let engine = start(disk.clone());
    assert_eq!(refunded(&engine), 60);
    assert_eq!(refund(&engine, 41).unwrap_err().code(), "refund_exceeds_order");
    assert_eq!((refund(&engine, 40), refunded(&engine)), (Ok(100), 100));
    assert_eq!(refund(&engine, 1).unwrap_err().code(), "refund_exceeds_order");
    engine.close().unwrap();
    drop(engine);
    verify(disk, config().journal, |_| {}).expect("the books are right");
}

#[test]
fn an_order_that_left_memory_is_completed_again_by_its_own_claim_only() {
    let line = || OrderLine { sku: code("mug"), quantity: quantity(1), lot: None };
    let worked = |engine: &Engine| {
        let place = PlaceOrder {
            id: code("O1"),
            site: code("ICN"),
            customer: None,
            priority: 0,
            backorder: false,
            lines: vec![line()],
        };
        one(engine, request(Command::PlaceOrder(place))).unwrap();
        let claim = ClaimOrder { id: code("O1"), worker: code("ann"), lease_ms: None };
        let first = one(engine, request(Command::ClaimOrder(claim.clone()))).unwrap().outcome.sequence;
        let claimant = Claimant { worker: code("ann"), fence: first };
        let unclaim = UnclaimOrder { id: code("O1"), claimant };
        one(engine, request(Command::UnclaimOrder(unclaim))).unwrap();
        let second = one(engine, request(Command::ClaimOrder(claim))).unwrap().outcome.sequence;
        assert_eq!(complete(engine, first).unwrap_err().code(), "claim_lost");
        assert_eq!(complete(engine, second), Ok(false));
        [first, second]
    };
    let (disk, mut fences) = (SimDisk::new(45), [Sequence(0); 2]);
    let engine = rested_with(&disk, |engine| fences = worked(engine));
    let answers = |engine: &Engine| {
        let lost = complete(engine, fences[0]).unwrap_err();
        let Refusal::ClaimLost { fence, current_fence, .. } = &lost else { panic!("{lost}") };
        assert_eq!((*fence, *current_fence), (fences[0], Some(fences[1])));
        assert_eq!(complete(engine, fences[1]), Ok(true), "its own claim is a repeat");
    };
    answers(&engine);
    engine.close().unwrap();
    drop(engine);
    answers(&start(disk));
}

/// Whether it was a repeat.
fn complete(engine: &Engine, fence: Sequence) -> Result<bool, Refusal> {
    let claimant = Some(Claimant { worker: code("ann"), fence });
    let complete = CompleteOrder { id: code("O1"), claimant };
    one(engine, request(Command::CompleteOrder(complete))).map(|done| done.repeat)
}

#[test]
fn what_left_memory_is_answered_as_ever() {
    let disk = SimDisk::new(41);
    let engine = rested(&disk);
    is_answered_as_ever(&engine);
    let before = totals(&engine, "mug");
    engine.close().unwrap();
    drop(engine);

    let engine = start(disk.clone());
    assert!(engine.status().archived >= HOLDS as u64 / 2);
    assert_eq!(totals(&engine, "mug"), before);
    is_answered_as_ever(&engine);
    engine.close().unwrap();
    drop(engine);
    let verified = verify(disk, config().journal, |_| {}).expect("the books are right");
    assert!(verified.checkpoint.is_some(), "the archive was held against the whole journal");
}

#[test]
fn a_damaged_archive_fails_those_who_name_what_was_in_it_and_nobody_else() {
    let disk = SimDisk::new(42);
    let engine = rested(&disk);
    let names = disk.list().unwrap();
    for name in names.iter().filter(|name| name.ends_with(".run")) {
        // The first block, which holds come first in.
        disk.flip_bit(name, 1_000);
    }
    let damaged = (0..HOLDS).map(|number| request(hold(&format!("H{number}"), "mug", 1)));
    let mut unreadable = 0;
    for request in damaged.step_by(97) {
        match engine.submit(Batch { requests: vec![request], atomic: false }).wait() {
            Ok(_) => {}
            Err(Failure::HistoryUnreadable { detail }) => {
                assert!(detail.contains("archive file"), "{detail}");
                unreadable += 1;
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!(unreadable > 0, "the damage was never met");
    one(&engine, request(hold("another", "mug", 1))).unwrap();
    assert_eq!(status_of(&engine, "another"), HoldStatus::Held);
    engine.close().unwrap();
}

#[test]
fn closing_answers_those_who_wait_for_the_archive() {
    let disk = SimDisk::new(43);
    let engine = rested(&disk);
    let ask = |number: usize| {
        let requests: Vec<Request> =
            (0..50).map(|n| request(hold(&format!("H{}", number * 50 + n), "mug", 1))).collect();
        engine.submit(Batch { requests, atomic: number.is_multiple_of(2) })
    };
    let replies: Vec<_> = (0..40).map(ask).collect();
    engine.close().unwrap();
    for reply in replies {
        let Results::Each(each) = reply.wait().expect("it was taken before the end").results else {
            panic!("repeats are no refusals")
        };
        assert!(each.iter().all(|done| done.as_ref().unwrap().repeat));
    }
}

#[test]
fn a_movement_of_long_ago_is_still_reversed_once() {
    let engine = rested(&SimDisk::new(44));
    let page = engine.events(Sequence(0), 20).wait().unwrap();
    let found =
        page.events.iter().find(|event| event.document.as_ref().is_some_and(|(_, id)| *id == code("A1")));
    let sequence = found.expect("the adjustment").outcome.sequence;
    let reverse =
        || request(Command::Reverse(Reverse { movement: MovementId { sequence, index: 0 }, original: None }));
    one(&engine, reverse()).unwrap();
    assert_eq!(one(&engine, reverse()).unwrap_err().code(), "already_reversed");
}
