//! What lapses keeps its time, whatever the wall clock is set to (row E11).

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use jaego_domain::{Query, Timestamp, View};
use jaego_engine::{Clock, Engine, Reading, SLEW_PPM, open, sim_disk::SimDisk};
use jaego_store::Store;

use super::world::{code, config, hold_for, one, release, request, stock};

/// 2026-03-01T00:00:00Z, in microseconds.
const BEGIN_US: u64 = 1_772_323_200_000_000;
const HOUR_US: u64 = 3_600_000_000;
const YEAR_US: u64 = 366 * 24 * HOUR_US;

/// A machine's two clocks, both set by the test.
#[derive(Clone)]
struct Hands {
    wall_us: Arc<AtomicU64>,
    boot_us: Arc<AtomicU64>,
}

impl Clock for Hands {
    fn read(&self) -> Reading {
        let shown = |hand: &AtomicU64| hand.load(Ordering::SeqCst);
        Reading { wall_us: shown(&self.wall_us), boot_us: shown(&self.boot_us) }
    }
}

impl Hands {
    fn at(wall_us: u64) -> Self {
        let hand = |us| Arc::new(AtomicU64::new(us));
        Self { wall_us: hand(wall_us), boot_us: hand(1_000_000) }
    }

    /// Sets the wall clock; no time passes.
    fn set(&self, wall_us: u64) {
        self.wall_us.store(wall_us, Ordering::SeqCst);
    }

    /// Lets time pass. The wall clock goes along unless it is `stopped`.
    fn pass_ms(&self, ms: u64, stopped: bool) {
        self.boot_us.fetch_add(ms * 1_000, Ordering::SeqCst);
        if !stopped {
            self.wall_us.fetch_add(ms * 1_000, Ordering::SeqCst);
        }
    }
}

/// Holds whose time has not passed, as a reader counts them, and the time at which they were counted.
fn held_of_mug(engine: &Engine) -> (u64, Timestamp) {
    let answer = engine.query(Query::SkuStock(code("mug"))).wait().unwrap();
    match answer.value {
        Ok(View::SkuStock(sites)) => (sites[0].held.get(), answer.at),
        other => panic!("{other:?}"),
    }
}

/// What a hold of a minute does while the wall clock is set to other times: it stands for a minute, neither a tick
/// less than slewing takes nor one more.
#[test]
fn a_hold_keeps_its_time_whatever_the_wall_clock_shows() {
    const MINUTE_MS: u64 = 60_000;
    const SLEWED_MS: u64 = MINUTE_MS * SLEW_PPM / 1_000_000 + 1;
    let rows: [(&str, &[u64], bool); 7] = [
        ("it goes on as it did", &[], false),
        ("back an hour", &[BEGIN_US - HOUR_US], false),
        ("forward a year", &[BEGIN_US + YEAR_US], false),
        ("forward a year and back", &[BEGIN_US + YEAR_US, BEGIN_US], false),
        ("back an hour and forward a day", &[BEGIN_US - HOUR_US, BEGIN_US + 24 * HOUR_US], false),
        ("it stops", &[], true),
        ("it stops a year ahead", &[BEGIN_US + YEAR_US], true),
    ];
    for (what, walls, stopped) in rows {
        let hands = Hands::at(BEGIN_US);
        let recovered = open(SimDisk::new(7), config().journal, |_| {}).unwrap();
        let engine = Engine::start(recovered, config(), hands.clone());
        stock(&engine, &["mug"], 10);
        one(&engine, request(hold_for("H1", "mug", 4, MINUTE_MS))).unwrap();
        let mut last = held_of_mug(&engine).1;
        let mut passed = 0;
        for wall in walls {
            hands.set(*wall);
            let (held, at) = held_of_mug(&engine);
            assert_eq!(held, 4, "{what}: no time has passed");
            assert!(at >= last, "{what}: time ran back to {at}");
            last = at;
            hands.pass_ms(10_000, stopped);
            passed += 10_000;
        }
        hands.pass_ms(MINUTE_MS - SLEWED_MS - passed, stopped);
        let (held, at) = held_of_mug(&engine);
        assert_eq!(held, 4, "{what}: too early, at {at}");
        assert!(at > last, "{what}: time stands still at {at}");
        hands.pass_ms(2 * SLEWED_MS, stopped);
        let (held, at) = held_of_mug(&engine);
        assert_eq!(held, 0, "{what}: not even at {at}");
        assert_eq!(one(&engine, request(release("H1"))).unwrap_err().code(), "hold_ended");
        engine.close().unwrap();
    }
}

#[test]
fn a_hold_ends_on_the_millisecond_and_no_answer_goes_back_behind_it() {
    let hands = Hands::at(BEGIN_US);
    let recovered = open(SimDisk::new(7), config().journal, |_| {}).unwrap();
    let engine = Engine::start(recovered, config(), hands.clone());
    stock(&engine, &["mug"], 10);
    one(&engine, request(hold_for("H1", "mug", 4, 60_000))).unwrap();
    hands.pass_ms(59_999, false);
    let begin = Timestamp(BEGIN_US / 1_000);
    assert_eq!(held_of_mug(&engine), (4, begin.after_ms(59_999)), "not a millisecond early");
    hands.pass_ms(1, false);
    assert_eq!(held_of_mug(&engine), (0, begin.after_ms(60_000)), "not a millisecond late");
    for wall in [BEGIN_US - HOUR_US, BEGIN_US, 0] {
        hands.set(wall);
        assert_eq!(held_of_mug(&engine), (0, begin.after_ms(60_000)), "the wall shows {wall}");
    }
    engine.close().unwrap();
}

/// After a start at a date that was wrong, events of that date are in the journal: time goes on from them.
#[test]
fn after_a_year_that_was_wrong_a_restart_goes_on_and_does_not_stand_still() {
    let disk = SimDisk::new(9);
    let wrong = Hands::at(BEGIN_US + YEAR_US);
    let recovered = open(disk.clone(), config().journal, |_| {}).unwrap();
    let engine = Engine::start(recovered, config(), wrong);
    stock(&engine, &["mug"], 10);
    engine.close().unwrap();
    drop(engine);

    let right = Hands::at(BEGIN_US);
    let recovered = open(disk, config().journal, |_| {}).unwrap();
    let engine = Engine::start(recovered, config(), right.clone());
    assert_eq!(engine.clock_offset_s(), (YEAR_US / 1_000_000) as f64);
    one(&engine, request(hold_for("H1", "mug", 4, 60_000))).unwrap();
    right.pass_ms(59_000, false);
    assert_eq!(held_of_mug(&engine).0, 4);
    right.pass_ms(2_000, false);
    assert_eq!(held_of_mug(&engine).0, 0, "a minute is a minute");
    assert!(engine.clock_offset_s() < (YEAR_US / 1_000_000) as f64, "and the difference gets smaller");
    engine.close().unwrap();
}
