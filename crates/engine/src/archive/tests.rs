use jaego_domain::{
    Amount, Code, Currency, DocumentKey, Memory, Quantity, Row, Sequence, SiteId, SkuId, Tables, Timestamp,
    query::Period,
    row::{
        Cart, CartLine, CartStatus, Filed, Filing, Line, Order, OrderStatus, Proposal, ProposalEnd,
        ProposalKind, Sale, Totals, Transfer,
    },
};

use super::{Archive, MERGED, Rested, prune, run};
use crate::{disk::Disk, sim_disk::SimDisk};

fn code(text: &str) -> Code {
    Code::new("code", text).unwrap()
}

fn key(id: &str) -> DocumentKey {
    DocumentKey::Transfer(code(id))
}

/// Puts a transfer of which all arrived, and perhaps more than was asked for.
fn put(memory: &mut Memory, id: &str, requested: u64, received: u64) {
    let units = |units| Quantity::new("quantity", units).unwrap();
    let totals =
        Totals { requested: units(10), shipped: units(10), received: units(received), ..Totals::default() };
    let transfer = Transfer {
        from: SiteId(0),
        to: SiteId(1),
        priority: 0,
        body: requested * 31,
        requested: Sequence(requested),
        requested_at: Timestamp(requested),
        allocated: Sequence(requested + 1),
        end: None,
        lines: 1,
        totals,
    };
    let line = Line {
        name: code("L1"),
        sku: SkuId(0),
        lot: None,
        totals,
        picks: Vec::new(),
        staged: Vec::new(),
        transit: Vec::new(),
    };
    memory.put(Row::Transfer(code(id), Some(Box::new(transfer))));
    memory.put(Row::Lines(code(id), Some(vec![line])));
}

fn file(memory: &mut Memory, id: &str, sequence: u64) {
    let filed = Filed { body: sequence, sequence: Sequence(sequence) };
    memory.put(Row::Filed(Filing::Adjustment(code(id)), Some(filed)));
}

/// All that is in an archive, in both orders.
fn contents(archive: &Archive<SimDisk>) -> Result<String, super::Error> {
    let documents = archive.documents().collect::<Result<Vec<_>, _>>()?;
    let transfers = archive.transfers(None, Period::default(), usize::MAX - 1)?.transfers;
    let orders = archive.orders(None, Period::default(), usize::MAX - 1)?.orders;
    let proposals = archive.proposals(None, usize::MAX - 1)?.proposals;
    Ok(format!("{documents:?} {transfers:?} {orders:?} {proposals:?}"))
}

fn received(archive: &Archive<SimDisk>, id: &str) -> u64 {
    match archive.get(&key(id)).unwrap().first() {
        Some(Row::Transfer(_, Some(transfer))) => transfer.totals.received.get(),
        other => panic!("{id}: {other:?}"),
    }
}

#[test]
fn a_run_notices_every_flipped_bit() {
    let disk = SimDisk::new(1);
    let mut memory = Memory::new();
    for n in 0..4 {
        put(&mut memory, &format!("T{n}"), 100 - n, 10);
        file(&mut memory, &format!("A{n}"), n);
        put_order(&mut memory, &format!("O{n}"), 200 - n);
        put_proposal(&mut memory, &format!("P{n}"), 300 - n);
    }
    let (archive, rested) = Archive::default().take_in(&disk, &mut memory).unwrap();
    assert_eq!(rested.len(), 16);
    let whole = contents(&archive).unwrap();
    archive.check().unwrap();
    let numbers = archive.numbers();
    let name = run::name(numbers[0]);
    let bits = disk.contents(&name).unwrap().len() * 8;
    for bit in 0..bits {
        disk.flip_bit(&name, bit);
        let opened = Archive::open(&disk, &numbers, &Archive::default());
        let read = opened.and_then(|archive| archive.check().and_then(|()| contents(&archive)));
        assert!(read.is_err(), "bit {bit} of {bits}: {read:?}");
        disk.flip_bit(&name, bit);
    }
    let bytes = disk.contents(&name).unwrap();
    for len in 0..bytes.len() {
        disk.replace(&name, &bytes[..len]);
        let opened = Archive::open(&disk, &numbers, &Archive::default());
        assert!(opened.and_then(|archive| contents(&archive)).is_err(), "cut to {len}");
    }
    disk.replace(&name, &bytes);
    let again = Archive::open(&disk, &numbers, &Archive::default()).unwrap();
    assert_eq!(contents(&again).unwrap(), whole);
}

#[test]
fn the_newest_run_has_a_document_as_it_is_before_and_after_a_merge() {
    let disk = SimDisk::new(2);
    let mut archive = Archive::default();
    for round in 1..=MERGED as u64 {
        let mut memory = Memory::new();
        put(&mut memory, "T", 5, 10 + round);
        put(&mut memory, &format!("T{round}"), 10 - round, 10);
        file(&mut memory, &format!("A{round}"), round);
        let (next, rested) = archive.take_in(&disk, &mut memory).unwrap();
        assert_eq!((rested.len(), memory.at_rest().count()), (3, 0));
        archive = next;
        assert_eq!(received(&archive, "T"), 10 + round, "round {round}");
        assert_eq!(archive.documents().count() as u64, 1 + 2 * round);
        let requested = archive.transfers(None, Period::default(), 100).unwrap().transfers;
        assert!(requested.is_sorted_by(|(_, a), (_, b)| a.requested < b.requested), "round {round}");
        assert_eq!(requested.len() as u64, 1 + round);
    }
    assert_eq!(archive.numbers().len(), 1, "{MERGED} small runs are one");
    prune(&disk, &archive.numbers()).unwrap();
    assert_eq!(disk.list().unwrap(), [run::name(archive.numbers()[0])]);
    let opened = Archive::open(&disk, &archive.numbers(), &Archive::default()).unwrap();
    assert_eq!(contents(&opened).unwrap(), contents(&archive).unwrap());
    opened.check().unwrap();
}

#[test]
fn a_run_that_cannot_be_merged_keeps_no_other_document_in_memory() {
    let disk = SimDisk::new(3);
    let mut archive = Archive::default();
    for round in 1..=MERGED as u64 + 1 {
        let mut memory = Memory::new();
        put(&mut memory, &format!("T{round}"), round, 10);
        archive = archive.take_in(&disk, &mut memory).unwrap().0;
        if round == 1 {
            disk.flip_bit(&run::name(archive.numbers()[0]), 100);
        }
        let listed = archive.numbers().len() as u64;
        assert_eq!(listed, round, "what is damaged is not merged");
        assert_eq!(disk.list().unwrap().len() as u64, round, "what was merged in vain is gone");
        if round > 1 {
            assert_eq!(received(&archive, &format!("T{round}")), 10);
        }
    }
    assert!(archive.get(&key("T1")).is_err());
    assert!(archive.check().is_err());
}

#[test]
fn a_page_of_transfers_ends_where_there_are_more() {
    let disk = SimDisk::new(4);
    let mut archive = Archive::default();
    for requested in [[30, 10], [20, 40]] {
        let mut memory = Memory::new();
        requested.iter().for_each(|at| put(&mut memory, &format!("T{at}"), *at, 10));
        archive = archive.take_in(&disk, &mut memory).unwrap().0;
    }
    for (after, limit, expected, upto) in [
        (None, 1, &[10][..], Some(10)),
        (None, 3, &[10, 20, 30], Some(30)),
        (None, 4, &[10, 20, 30, 40], None),
        (Some(10), 2, &[20, 30], Some(30)),
        (Some(25), 2, &[30, 40], None),
        (Some(40), 2, &[], None),
        (Some(u64::MAX), 2, &[], None),
    ] {
        let page = archive.transfers(after, Period::default(), limit).unwrap();
        let found: Vec<_> = page.transfers.iter().map(|(_, transfer)| transfer.requested.0).collect();
        assert_eq!((&found[..], page.upto), (expected, upto.map(Sequence)), "after {after:?}, {limit}");
    }
}

#[test]
fn what_changed_since_it_was_archived_stays() {
    let mut memory = Memory::new();
    put(&mut memory, "T", 1, 10);
    let rested = Rested::now(key("T"), &memory);
    put(&mut memory, "T", 1, 11);
    rested.leave(&mut memory);
    assert!(memory.has(&key("T")), "it was archived as it was before");
    Rested::now(key("T"), &memory).leave(&mut memory);
    assert!(!memory.has(&key("T")));
}

/// Puts an order that was completed.
fn put_order(memory: &mut Memory, id: &str, placed: u64) {
    let order = Order {
        site: SiteId(0),
        customer: None,
        priority: 0,
        body: placed * 37,
        placed: Sequence(placed),
        placed_at: Timestamp(placed),
        answer: Sequence(placed + 1),
        backorder: false,
        awaits_stock: false,
        status: OrderStatus::Completed,
        claim: None,
        lines: Default::default(),
    };
    memory.put(Row::Order(code(id), Some(Box::new(order))));
}

#[test]
fn orders_and_transfers_are_listed_each_by_themselves() {
    let disk = SimDisk::new(5);
    let mut archive = Archive::default();
    // Of either there is a run without any, and enough orders for several blocks.
    for (transfers, orders) in [([30, 10], 5_000..5_000), ([20, 40], 1_000..2_000), ([50, 60], 0..1_000)] {
        let mut memory = Memory::new();
        transfers.iter().for_each(|at| put(&mut memory, &format!("T{at}"), *at, 10));
        orders.for_each(|at| put_order(&mut memory, &format!("O{at}"), at));
        archive = archive.take_in(&disk, &mut memory).unwrap().0;
        archive.check().unwrap();
    }
    let opened = Archive::open(&disk, &archive.numbers(), &Archive::default()).unwrap();
    for archive in [archive, opened] {
        let transfers = archive.transfers(None, Period::default(), 100).unwrap();
        assert_eq!((transfers.transfers.len(), transfers.orders.len(), transfers.upto), (6, 0, None));
        for (after, limit, first, count, upto) in [
            (None, 10, 0, 10, Some(9)),
            (None, 5_000, 0, 2_000, None),
            (Some(994), 10, 995, 10, Some(1_004)),
            (Some(1_989), 10, 1_990, 10, None),
            (Some(1_999), 10, 0, 0, None),
            (Some(u64::MAX), 10, 0, 0, None),
        ] {
            let page = archive.orders(after, Period::default(), limit).unwrap();
            let found: Vec<_> = page.orders.iter().map(|(_, order)| order.placed.0).collect();
            let expected: Vec<_> = (first..first + count).collect();
            assert_eq!((found, page.upto), (expected, upto.map(Sequence)), "after {after:?}, {limit}");
            assert!(page.transfers.is_empty());
        }
        // They were placed at the millisecond of their number.
        for (after, since, until, first, count) in [
            (None, Some(995), None, 995, 1_005),
            (None, Some(1_500), Some(1_503), 1_500, 3),
            (Some(1_501), Some(1_500), Some(1_503), 1_502, 1),
            (Some(20), None, Some(30), 21, 9),
            (None, Some(2_000), None, 0, 0),
            (None, None, Some(0), 0, 0),
            (None, Some(5), Some(5), 0, 0),
        ] {
            let period = Period { since: since.map(Timestamp), until: until.map(Timestamp) };
            let page = archive.orders(after, period, 5_000).unwrap();
            let found: Vec<_> = page.orders.iter().map(|(_, order)| order.placed.0).collect();
            let expected: Vec<_> = (first..first + count).collect();
            assert_eq!((found, page.upto), (expected, None), "after {after:?}, {period:?}");
        }
        let since = Period { since: Some(Timestamp(40)), until: Some(Timestamp(60)) };
        let found = archive.transfers(None, since, 100).unwrap().transfers;
        let found: Vec<_> = found.iter().map(|(_, transfer)| transfer.requested.0).collect();
        assert_eq!(found, [40, 50]);
        let found = archive.get(&DocumentKey::Order(code("O1500"))).unwrap();
        assert!(matches!(&found[..], [Row::Order(_, Some(order))] if order.placed == Sequence(1_500)));
    }
}

/// Puts a proposal that was rejected.
fn put_proposal(memory: &mut Memory, id: &str, proposed: u64) {
    let proposal = Proposal {
        from_card: code("sword"),
        to_card: code("shield"),
        from_owner: code("kim"),
        to_owner: code("lee"),
        from_price: Amount::ZERO,
        to_price: Amount::ZERO,
        kind: ProposalKind::Offer,
        body: proposed * 41,
        proposed: Sequence(proposed),
        proposed_at: Timestamp(proposed),
        end: Some((ProposalEnd::Rejected, Sequence(proposed + 1))),
    };
    memory.put(Row::Proposal(code(id), Some(Box::new(proposal))));
}

#[test]
fn proposals_are_listed_by_themselves_behind_orders() {
    let disk = SimDisk::new(6);
    let mut archive = Archive::default();
    // There is a run without orders and one without proposals, and enough proposals for several blocks.
    for (orders, proposals) in [(5..5, 1_000..2_000), (10..500, 0..0), (500..501, 0..1_000)] {
        let mut memory = Memory::new();
        put(&mut memory, &format!("T{}", orders.end), orders.end, 10);
        orders.for_each(|at| put_order(&mut memory, &format!("O{at}"), at));
        proposals.for_each(|at| put_proposal(&mut memory, &format!("P{at}"), at));
        archive = archive.take_in(&disk, &mut memory).unwrap().0;
        archive.check().unwrap();
    }
    let opened = Archive::open(&disk, &archive.numbers(), &Archive::default()).unwrap();
    for archive in [archive, opened] {
        assert_eq!(archive.transfers(None, Period::default(), 1_000).unwrap().transfers.len(), 3);
        assert_eq!(archive.orders(None, Period::default(), 1_000).unwrap().orders.len(), 491);
        for (after, limit, first, count, upto) in [
            (None, 10, 0, 10, Some(9)),
            (None, 5_000, 0, 2_000, None),
            (Some(994), 10, 995, 10, Some(1_004)),
            (Some(1_989), 10, 1_990, 10, None),
            (Some(1_999), 10, 0, 0, None),
            (Some(u64::MAX), 10, 0, 0, None),
        ] {
            let page = archive.proposals(after, limit).unwrap();
            let found: Vec<_> = page.proposals.iter().map(|(_, proposal)| proposal.proposed.0).collect();
            let expected: Vec<_> = (first..first + count).collect();
            assert_eq!((found, page.upto), (expected, upto.map(Sequence)), "after {after:?}, {limit}");
        }
    }
}

#[test]
fn an_order_comes_back_with_what_it_was_sold_for_and_a_cart_with_its_items() {
    let disk = SimDisk::new(6);
    let mut memory = Memory::new();
    put_order(&mut memory, "C1", 7);
    let amount = |units| Amount::new("amount", units).unwrap();
    let sale = Sale {
        owner: code("kim"),
        currency: Currency::new("currency", "KRW").unwrap(),
        prices: vec![amount(5), amount(7)],
        total: amount(12),
        refunded: Amount::ZERO,
    };
    memory.put(Row::Sale(code("C1"), Some(Box::new(sale.clone()))));
    let cart = |id: &str, status, order| Cart {
        site: SiteId(0),
        owner: code("kim"),
        hold_s: Some(60),
        opened: Sequence(if id == "C1" { 3 } else { 4 }),
        opened_at: Timestamp(3),
        set: Sequence(3),
        changed: Sequence(7),
        expires_at: None,
        status,
        order,
        lines: [CartLine { sku: SkuId(4), quantity: Quantity::ONE, picks: Default::default() }]
            .into_iter()
            .collect(),
    };
    let ordered = cart("C1", CartStatus::Ordered, Some(code("C1")));
    memory.put(Row::Cart(code("C1"), Some(Box::new(ordered.clone()))));
    memory.put(Row::Cart(code("C2"), Some(Box::new(cart("C2", CartStatus::Open, None)))));
    let (archive, rested) = Archive::default().take_in(&disk, &mut memory).unwrap();
    archive.check().unwrap();
    assert_eq!(rested.len(), 2, "an open cart stays");
    assert!(memory.cart(&code("C2")).is_some() && memory.cart(&code("C1")).is_none());
    assert!(memory.order(&code("C1")).is_none() && memory.sale(&code("C1")).is_none());
    let opened = Archive::open(&disk, &archive.numbers(), &Archive::default()).unwrap();
    // The order and the cart have one id, and are two documents.
    match &opened.get(&DocumentKey::Order(code("C1"))).unwrap()[..] {
        [Row::Order(_, Some(_)), Row::Sale(_, Some(found))] => assert_eq!(**found, sale),
        other => panic!("{other:?}"),
    }
    match &opened.get(&DocumentKey::Cart(code("C1"))).unwrap()[..] {
        [Row::Cart(_, Some(found))] => assert_eq!(**found, ordered),
        other => panic!("{other:?}"),
    }
}
