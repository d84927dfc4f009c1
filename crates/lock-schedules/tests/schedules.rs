//! The orders of every day, and the faults that must be found in them.

use std::process::Command;

use jaego_lock_schedules::planted::FAULTS;
use jaego_lock_schedules::{Mood, explore, soak};

/// Orders of one mood.
const ORDERS: usize = 4_000;
/// A fault must be found within so many times as many; most are within a fraction of them.
const FAULT_ORDERS: &str = "8";

fn explore_all(mood: Mood, seed: u64) {
    let orders = ORDERS * soak();
    assert_eq!(explore(mood, seed, orders), orders);
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
        let mut explorer = Command::new(std::env::current_exe().expect("this test has a path"));
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
