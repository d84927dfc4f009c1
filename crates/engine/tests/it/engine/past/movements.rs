//! The ledger, by all of its filters.

use jaego_engine::{disk::Disk, sim_disk::SimDisk};
use jaego_store::{MovementFilter, Store};

use super::{
    super::world::{code, found, one, request},
    spoil,
    twin::{SKUS, Twin},
};
use crate::seeds::each_seed;

/// Some filters, and all movements of everything.
fn compare(twin: &mut Twin, filters: usize) -> usize {
    let mut found = twin.same_movements(&MovementFilter::default());
    for _ in 0..filters {
        let filter = twin.filter();
        found += twin.same_movements(&filter);
    }
    found
}

#[test]
fn the_ledger_is_what_a_scan_of_all_events_finds() {
    each_seed("the_ledger_is_what_a_scan_of_all_events_finds", 3, |seed| {
        let mut twin = Twin::new(seed);
        let mut found = 0;
        for life in 0..4 {
            for step in 0..120 {
                twin.step();
                if step % 40 == 7 {
                    found += compare(&mut twin, 6);
                }
            }
            twin.wait_for_indexes();
            found += compare(&mut twin, 20);
            twin.restart(|disk| spoil(disk, seed + life));
            found += compare(&mut twin, 20);
        }
        twin.wait_for_indexes();
        assert!(twin.indexes().len() > 5, "{} segments were sealed", twin.indexes().len());
        assert!(found > 20_000, "only {found} movements were compared");
        twin.engine.close().unwrap();
        assert_eq!(twin.disk.violations(), Vec::<String>::new());
    });
}

#[test]
fn damage_that_comes_while_the_store_is_open_is_mended() {
    let mut twin = Twin::new(99);
    while twin.indexes().len() < 6 {
        twin.step();
    }
    twin.wait_for_indexes();
    // After a restart no frame is in memory.
    twin.restart(|_| {});
    for round in 0..8 {
        for name in twin.indexes() {
            let bytes = twin.disk.contents(&name).unwrap();
            twin.disk.flip_bit(&name, (round * 104_729 + 4_096 * 8) % (bytes.len() * 8));
        }
        for sku in SKUS {
            let filter = MovementFilter { sku: Some(code(sku)), ..MovementFilter::default() };
            assert!(twin.same_movements(&filter) > 0);
        }
    }
    assert!(twin.engine.status().failed.is_none());
}

#[test]
fn a_crash_leaves_no_index_that_lies() {
    each_seed("a_crash_leaves_no_index_that_lies", 3, |seed| {
        let mut twin = Twin::new(500 + seed);
        let mut with_some = 0;
        for crash in 0..60 {
            for _ in 0..4 {
                twin.step();
            }
            // Whoever asks makes the index that is missing, and the power goes meanwhile.
            let filter = MovementFilter { sku: Some(code("mug")), limit: 1, ..MovementFilter::default() };
            let asked = twin.engine.movements(filter);
            let found = twin.disk.crash(seed * 1_000 + crash);
            asked.wait().unwrap();
            let names = found.list().unwrap();
            with_some += usize::from(names.iter().any(|name| name.contains(".index")));

            let engine = twin.start_beside(found.clone());
            let read = |filter: MovementFilter| {
                let page = engine.movements(MovementFilter { limit: 1_000, ..filter }).wait().unwrap();
                assert_eq!(page.next, None, "the history is short");
                page.movements
            };
            let all = read(MovementFilter::default());
            for sku in SKUS {
                let by_scan: Vec<_> = all.iter().filter(|one| one.sku.as_str() == sku).cloned().collect();
                let by_index = read(MovementFilter { sku: Some(code(sku)), ..MovementFilter::default() });
                assert_eq!(by_index, by_scan, "crash {crash}, {sku}");
            }
            engine.close().unwrap();
            let names = found.list().unwrap();
            assert!(!names.iter().any(|name| name.ends_with(".index.tmp")), "{names:?}");
        }
        assert!(with_some > 20, "only {with_some} crashes found an index");
    });
}

#[test]
fn an_index_of_another_history_is_none_of_this_one() {
    let mut twin = Twin::new(77);
    while twin.indexes().len() < 2 {
        twin.step();
    }
    twin.wait_for_indexes();
    let known = twin.indexes();
    let new = |disk: &SimDisk| {
        let names = disk.list().unwrap().into_iter();
        names.filter(|name| name.ends_with(".index")).find(|name| !known.contains(name))
    };
    // The same store goes on in two ways, as after a restore.
    let other = twin.disk.kill(1);
    let engine = twin.start_beside(other.clone());
    for number in 0.. {
        one(&engine, request(found(&format!("other-{number}"), "cup", 1))).unwrap();
        if number > 100 && new(&other).is_some() {
            break;
        }
    }
    engine.close().unwrap();
    let name = new(&other).unwrap();
    while new(&twin.disk).is_none() {
        twin.step();
    }
    twin.wait_for_indexes();
    assert!(twin.indexes().contains(&name), "both sealed a segment of this name");
    twin.restart(|disk| disk.replace(&name, &other.contents(&name).unwrap()));
    for sku in SKUS {
        let filter = MovementFilter { sku: Some(code(sku)), ..MovementFilter::default() };
        assert!(twin.same_movements(&filter) > 0);
    }
}
