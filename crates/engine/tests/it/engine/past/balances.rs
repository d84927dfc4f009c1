//! Stock as it was, and how it came to be what it is.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use jaego_domain::{Asked, Query, Refusal, Timestamp, View};
use jaego_store::{BalanceFilter, StockAsOf, Store};

use super::{
    super::world::{code, found, one, request},
    spoil,
    twin::{BEGIN, SITES, SKUS, Twin, stock_at},
};
use crate::seeds::each_seed;

fn all_of(sku: &str, site: Option<&str>) -> BalanceFilter {
    let (sku, site) = (code(sku), site.map(code));
    BalanceFilter { sku, site, since: None, until: None, after: None, limit: 1_000 }
}

/// What there is of a SKU now, at a site or at all of them.
fn present(twin: &Twin, sku: &str, site: Option<&str>) -> u64 {
    let answer = twin.engine.query(Query::SkuStock(code(sku))).wait().unwrap();
    let Ok(View::SkuStock(sites)) = answer.value else { panic!("{:?}", answer.value) };
    let here = sites.iter().filter(|one| site.is_none_or(|site| one.site.as_str() == site));
    here.map(|one| one.on_hand.get()).sum()
}

fn compare(twin: &mut Twin, rounds: usize) -> usize {
    let mut found = twin.same_stock(&stock_at(twin.now()));
    for _ in 0..rounds {
        let filter = twin.stock_filter();
        found += twin.same_stock(&filter);
        let filter = twin.balance_filter();
        found += twin.same_balance(&filter).map_or(0, |points| points.len());
    }
    for sku in SKUS {
        for site in [None, Some(SITES[0])] {
            let points = twin.same_balance(&all_of(sku, site)).unwrap();
            let last = points.last().map_or(0, |point| point.on_hand);
            assert_eq!(last, present(twin, sku, site), "the last point of {sku} at {site:?}");
        }
    }
    found
}

#[test]
fn stock_as_of_a_time_and_balances_are_those_of_a_naive_replay() {
    each_seed("stock_as_of_a_time_and_balances_are_those_of_a_naive_replay", 3, |seed| {
        let mut twin = Twin::new(1_000 + seed);
        let mut found = 0;
        for life in 0..4 {
            for step in 0..120 {
                twin.step();
                if step % 40 == 7 {
                    found += compare(&mut twin, 4);
                }
            }
            twin.wait_for_indexes();
            found += compare(&mut twin, 25);
            twin.restart(|disk| spoil(disk, seed + life));
            found += compare(&mut twin, 25);
        }
        assert!(found > 5_000, "only {found} positions and points were compared");
        twin.engine.close().unwrap();
    });
}

#[test]
fn the_present_is_the_stock_as_of_now() {
    let mut twin = Twin::new(5);
    for _ in 0..100 {
        twin.step();
    }
    let page = jaego_domain::query::Page { after: None, limit: 1_000 };
    let query = Query::Stock { sku: None, site: None, location: None, lot: None, page };
    let Ok(View::Stock(listed)) = twin.engine.query(query).wait().unwrap().value else {
        panic!("another view")
    };
    let mut now: Vec<_> =
        listed.items.into_iter().map(|one| (one.site, one.location, one.sku, one.lot, one.on_hand)).collect();
    let filter = StockAsOf { limit: 1_000, ..stock_at(twin.now()) };
    let page = twin.engine.stock_as_of(filter).wait().unwrap().value.unwrap();
    assert_eq!(page.next, None);
    let as_of = page.positions.into_iter();
    let mut as_of: Vec<_> =
        as_of.map(|one| (one.site, one.location, one.sku, one.lot, one.on_hand)).collect();
    now.sort_unstable();
    as_of.sort_unstable();
    assert_eq!(as_of, now);
}

#[test]
fn what_was_archived_is_refused_with_the_time_from_which_on_it_is_known() {
    let mut twin = Twin::new(7);
    for _ in 0..400 {
        twin.step();
    }
    let first = twin.archive();
    assert!(first > 50, "nothing was archived: {first}");
    let since = twin.plain.inspect(|_, events| events[usize::try_from(first).unwrap() - 1].at);
    let archived = |asked: u64| Refusal::HistoryArchived {
        asked: Asked::At(Timestamp(asked)),
        since,
        first: jaego_domain::Sequence(first),
    };
    for asked in [BEGIN - 1, BEGIN, since.0 - 1] {
        let stock = twin.engine.stock_as_of(stock_at(asked)).wait().unwrap().value;
        assert_eq!(stock.unwrap_err(), archived(asked));
        let filter = BalanceFilter { since: Some(Timestamp(asked)), ..all_of("mug", None) };
        let balance = twin.engine.balances(filter).wait().unwrap().value;
        assert_eq!(balance.unwrap_err(), archived(asked));
    }
    // A page that would go on in what is archived is none: its points would not follow on those of the one before.
    for (after, is_kept) in [(0, false), (1, false), (first - 2, false), (first - 1, true), (first, true)] {
        let after = jaego_domain::Sequence(after);
        let filter = BalanceFilter { after: Some(after), ..all_of("mug", None) };
        let balance = twin.engine.balances(filter.clone()).wait().unwrap().value;
        let first = jaego_domain::Sequence(first);
        let refusal = Refusal::HistoryArchived { asked: Asked::After(after), since, first };
        assert_eq!(balance.err(), (!is_kept).then_some(refusal), "after {after}");
        // What it asks for is kept, whatever page it goes on from.
        let later = Some(Timestamp(since.0 + 1));
        twin.engine.balances(BalanceFilter { since: later, ..filter }).wait().unwrap().value.unwrap();
    }
    for round in 0..60 {
        let mut filter = twin.stock_filter();
        filter.as_of = filter.as_of.max(since);
        twin.same_stock(&filter);
        let mut filter = twin.balance_filter();
        filter.since = Some(filter.since.unwrap_or(since).max(since).max(Timestamp(since.0 + round % 3)));
        if filter.since > Some(since) {
            let _compared = twin.same_balance(&filter);
        }
    }
    // Without a beginning it begins with what is kept, and every balance is the true one.
    let kept = twin.engine.balances(all_of("mug", None)).wait().unwrap().value.unwrap().points;
    let whole = twin.plain.balances(all_of("mug", None)).wait().unwrap().value.unwrap().points;
    assert!(!kept.is_empty() && whole.ends_with(&kept) && whole.len() > kept.len());
    twin.engine.close().unwrap();
}

#[test]
fn the_past_stands_still_while_the_present_moves() {
    let mut twin = Twin::new(9);
    for _ in 0..150 {
        twin.step();
    }
    let then = twin.now();
    let everything = StockAsOf { limit: 1_000, ..stock_at(then) };
    let expected = twin.plain.stock_as_of(everything.clone()).wait().unwrap().value.unwrap().positions;
    let until = BalanceFilter { until: Some(Timestamp(then + 1)), ..all_of("mug", None) };
    let balance = twin.plain.balances(until.clone()).wait().unwrap().value.unwrap().points;
    assert!(expected.len() > 10 && balance.len() > 10);
    twin.wait(1_000);
    let ends = AtomicBool::new(false);
    let (mut reads, mut segments) = (0, 0);
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..4_000 {
                one(&twin.engine, request(found(&format!("now-{number}"), "mug", 1))).unwrap();
            }
            ends.store(true, Ordering::SeqCst);
        });
        // Segments are sealed and indexes made between any two steps of a question.
        while !ends.load(Ordering::SeqCst) {
            let stock = twin.engine.stock_as_of(everything.clone()).wait().unwrap().value.unwrap();
            assert_eq!(stock.positions, expected, "read {reads}");
            let of_mug = StockAsOf { sku: Some(code("mug")), ..everything.clone() };
            let mugs = twin.engine.stock_as_of(of_mug).wait().unwrap().value.unwrap().positions;
            let expected = expected.iter().filter(|one| one.sku.as_str() == "mug");
            assert!(mugs.iter().eq(expected), "read {reads}");
            let points = twin.engine.balances(until.clone()).wait().unwrap().value.unwrap().points;
            assert_eq!(points, balance, "read {reads}");
            reads += 1;
            segments = twin.indexes().len();
        }
    });
    println!("{reads} reads over {segments} sealed segments");
    assert!(reads > 5 && segments > 5, "{reads} reads over {segments} sealed segments");
    twin.engine.close().unwrap();
}
