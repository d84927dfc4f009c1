//! Rows E2, E6, E7, E9, E10 and E11 for the whole store, on one thread.

use std::sync::Mutex;

use jaego_sim::{Report, Simulation};

use crate::seeds::each_seed;

const STEPS: u32 = 1_500;

#[test]
fn nothing_acknowledged_is_lost_and_nothing_else_is_there() {
    let sum = Mutex::new(Report::default());
    each_seed("nothing_acknowledged_is_lost_and_nothing_else_is_there", 400, |seed| {
        let report = Simulation::new(seed).run(STEPS);
        let mut sum = sum.lock().unwrap();
        sum.lives += report.lives;
        sum.cuts += report.cuts;
        sum.checkpoints += report.checkpoints;
        sum.from_checkpoint += report.from_checkpoint;
        sum.passed_over += report.passed_over;
        sum.archived += report.archived;
        sum.fetched += report.fetched;
        sum.stopped_while_opening += report.stopped_while_opening;
        sum.full += report.full;
        sum.failed += report.failed;
        sum.audited.events += report.audited.events;
        sum.audited.system += report.audited.system;
        sum.audited.refused += report.audited.refused;
        sum.audited.repeats += report.audited.repeats;
        sum.audited.reads += report.audited.reads;
        sum.audited.lost += report.audited.lost;
        sum.audited.kept_unacknowledged += report.audited.kept_unacknowledged;
    });
    let sum = sum.into_inner().unwrap();
    println!("{sum:#?}");
    if jaego_testkit::seed().is_some() {
        return;
    }
    // A run that met too little proves nothing.
    for (what, count, floor) in [
        ("lives", sum.lives, 800),
        ("torn tails", sum.cuts, 50),
        ("checkpoints", sum.checkpoints, 100),
        ("recoveries from a checkpoint", sum.from_checkpoint, 50),
        ("archived documents", sum.archived, 1_000),
        ("jobs that wanted one", sum.fetched, 200),
        ("crashed openings", sum.stopped_while_opening, 50),
        ("full stores", sum.full, 50),
        ("failed writes", sum.failed, 50),
        ("events", sum.audited.events, 20_000),
        ("lapses", sum.audited.system, 500),
        ("refusals", sum.audited.refused, 5_000),
        ("repeats", sum.audited.repeats, 500),
        ("reads", sum.audited.reads, 5_000),
        ("unacknowledged events kept", sum.audited.kept_unacknowledged, 50),
    ] {
        assert!(count >= floor, "only {count} {what}, not {floor}");
    }
}

#[test]
fn stopping_at_every_operation_loses_nothing() {
    let (steps, seeds) = (260, 4);
    each_seed("stopping_at_every_operation_loses_nothing", seeds, |seed| {
        for operation in 1..=160 {
            Simulation::stopping_at(seed, operation).run(steps);
        }
    });
}

#[test]
fn the_same_seed_does_the_same_again() {
    each_seed("the_same_seed_does_the_same_again", 20, |seed| {
        let first = Simulation::new(seed).run(STEPS);
        let second = Simulation::new(seed).run(STEPS);
        assert_eq!(first, second);
        assert_ne!(first.trace, Simulation::new(seed + 1_000_000).run(STEPS).trace);
    });
}
