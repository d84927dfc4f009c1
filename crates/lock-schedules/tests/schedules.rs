//! The orders of every day, and the faults that must be found in them.

use std::env;
use std::process::Command;

use jaego_lock_schedules::planted::FAULTS;
use jaego_lock_schedules::{Mood, explore, soak};

/// Orders of one mood.
const ORDERS: usize = 4_000;
/// A fault must be found within so many times as many; most are within a fraction of them.
const FAULT_ORDERS: &str = "8";

/// Says which orders are tried, in the place of those of every day.
const SEED: &str = "JAEGO_SEED";
const MOODS: [Mood; 9] = [
    Mood::Calm,
    Mood::Unhurried,
    Mood::Failing,
    Mood::Quarantined,
    Mood::Closing,
    Mood::Crashed,
    Mood::Drowsy,
    Mood::Silence,
    Mood::Restless,
];

fn explore_all(mood: Mood, seed: u64) {
    let seed = env::var(SEED).map_or(seed, |seed| seed.parse().expect("a seed is a number"));
    let orders = ORDERS * soak();
    assert_eq!(explore(mood, seed, orders).orders, orders);
}

#[test]
fn calm() {
    explore_all(Mood::Calm, 1);
}

#[test]
fn unhurried() {
    explore_all(Mood::Unhurried, 6);
}

#[test]
fn failing() {
    explore_all(Mood::Failing, 8);
}

#[test]
fn quarantined() {
    explore_all(Mood::Quarantined, 9);
}

#[test]
fn closing() {
    explore_all(Mood::Closing, 7);
}

#[test]
fn crashed() {
    explore_all(Mood::Crashed, 2);
}

#[test]
fn silence() {
    explore_all(Mood::Silence, 3);
}

#[test]
fn restless() {
    explore_all(Mood::Restless, 4);
}

#[test]
fn drowsy() {
    explore_all(Mood::Drowsy, 5);
}

/// In a process of its own: whatever is in the middle of something when a fault is found is left there.
#[test]
fn every_planted_fault_is_found() {
    let mut missed = Vec::new();
    for fault in FAULTS {
        let mut explorer = Command::new(env::current_exe().expect("this test has a path"));
        explorer.args(["--exact", fault.found_by, "--nocapture"]);
        explorer.env("JAEGO_PLANTED", fault.name).env("JAEGO_SOAK", FAULT_ORDERS);
        let output = explorer.output().expect("this test runs once more");
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            missed.push(fault.name);
        } else {
            let as_expected = fault.says.iter().any(|says| said.contains(says));
            assert!(as_expected, "{} was found for another reason:\n{said}", fault.name);
        }
    }
    assert!(missed.is_empty(), "not found: {missed:#?}");
}

/// Tells this test to say what it has tried.
const TRACED: &str = "JAEGO_TRACED";
/// Orders of each mood that are tried twice.
const TRACED_ORDERS: usize = 300;

/// In processes of their own: whatever a machine decides for each process, such as where things lie in its memory and how
/// its hashes are seeded, is different in the two.
#[test]
fn a_seed_is_played_again_exactly() {
    if env::var_os(TRACED).is_some() {
        for mood in MOODS {
            println!("trace of {mood}: {:016x}", explore(mood, 17, TRACED_ORDERS).trace);
        }
        return;
    }
    let [first, second] = [(); 2].map(|()| {
        let mut explorer = Command::new(env::current_exe().expect("this test has a path"));
        explorer.args(["--exact", "a_seed_is_played_again_exactly", "--nocapture"]).env(TRACED, "1");
        let output = explorer.output().expect("this test runs once more");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said = String::from_utf8(output.stdout).expect("a text");
        said.lines().filter(|line| line.contains("trace of")).map(str::to_owned).collect::<Vec<_>>()
    });
    assert_eq!(first.len(), MOODS.len());
    assert_eq!(first, second);
}
