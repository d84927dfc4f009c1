//! Rows E6 and E7: calls that fail, and disks that fill.

use jaego_engine::journal::Error;
use jaego_engine::sim_disk::{Dice, Faults, SimDisk};

use super::run::{Ledger, create, recover};
use crate::seeds::each_seed;

/// Long enough for the writes and the syncs that are made to fail, one at a time.
const STEPS: usize = 420;
const FAILED_MIN: usize = 500;

fn scripted(disk: &SimDisk, ledger: &mut Ledger) -> Result<(), Error> {
    let mut dice = Dice::new(5);
    let mut journal = create(disk)?;
    let worked = ledger.steps(&mut journal, &mut dice, STEPS);
    if let Err(error) = worked {
        let (writes, syncs) = (disk.writes(), disk.syncs());
        let acknowledged = ledger.acknowledged;
        // Dead is dead: the same error for ever, and the disk is left alone.
        let again = [
            journal.append(journal.next_sequence(), 1, b"more").map(drop),
            journal.sync(),
            journal.write_watermark(),
            journal.rotate(),
            journal.reserve(1),
            journal.raise_floor(9).map(drop),
        ];
        for result in again {
            assert_eq!(result.expect_err("a poisoned journal").to_string(), error.to_string());
        }
        journal.close().expect_err("a poisoned journal");
        assert_eq!((writes, syncs), (disk.writes(), disk.syncs()));
        assert_eq!(acknowledged, ledger.acknowledged);
        return Err(error);
    }
    journal.close()
}

fn fail_every_call(what: &str, faults: impl Fn(u64) -> Faults) {
    let mut failed = 0;
    for nth in 1.. {
        let disk = SimDisk::new(nth);
        let mut ledger = Ledger::default();
        disk.set_faults(faults(nth));
        let ended = scripted(&disk, &mut ledger);
        assert_eq!(disk.violations(), Vec::<String>::new(), "{what} {nth}");
        match ended {
            Ok(()) => break,
            Err(error) => assert!(matches!(error, Error::Io { .. }), "{what} {nth}: {error}"),
        }
        failed += 1;
        for seed in 0..4 {
            let mut ledger = ledger.clone();
            let found = if seed < 2 { disk.kill(seed) } else { disk.crash(seed) };
            match recover(&found) {
                Ok((_, _, batches)) => ledger.settle(&batches),
                Err(Error::NotFound) => assert_eq!(ledger.acknowledged, 0),
                Err(error) => panic!("{what} {nth}, restart {seed}: {error}"),
            }
            // What recovery showed stays, even if the power goes right after.
            match recover(&found.crash(seed)) {
                Ok((_, _, batches)) => ledger.settle(&batches),
                Err(Error::NotFound) => assert_eq!(ledger.acknowledged, 0),
                Err(error) => panic!("{what} {nth}, second restart {seed}: {error}"),
            }
        }
    }
    assert!(failed >= FAILED_MIN, "only {failed} calls were made to fail");
}

#[test]
fn a_failed_write_is_final_and_loses_nothing() {
    fail_every_call("write", |nth| Faults { fail_write: Some(nth), ..Faults::default() });
}

#[test]
fn a_failed_sync_is_final_and_loses_nothing() {
    fail_every_call("sync", |nth| Faults { fail_sync: Some(nth), ..Faults::default() });
}

#[test]
fn a_failed_read_is_an_error_of_the_opening() {
    let (disk, ledger) = super::run::closed(1, 20, 900);
    for nth in 1.. {
        let disk = disk.kill(nth);
        disk.set_faults(Faults { fail_read: Some(nth), ..Faults::default() });
        match recover(&disk) {
            Ok((_, _, batches)) => {
                assert_eq!(batches, ledger.batches);
                assert!(nth > 5, "only {nth} reads");
                break;
            }
            Err(error) => assert!(matches!(error, Error::Io { .. }), "read {nth}: {error}"),
        }
    }
}

#[test]
fn a_full_disk_refuses_and_resumes() {
    each_seed("a_full_disk_refuses_and_resumes", 2000, |seed| {
        let mut dice = Dice::new(seed);
        let disk = SimDisk::new(seed);
        // Every budget from nothing to five segments, in steps of 21 bytes.
        let mut space = seed % 2000 * 21;
        let faults = |space| Faults {
            space: Some(space),
            short: seed % 2 == 0,
            interrupt: seed % 3 == 0,
            ..Faults::default()
        };
        disk.set_faults(faults(space));
        let mut ledger = Ledger::default();
        let mut journal = loop {
            match create(&disk) {
                Ok(journal) => break journal,
                Err(error) => assert!(matches!(error, Error::Full { .. }), "{error}"),
            }
            space += 4096;
            disk.set_faults(faults(space));
        };
        let mut refused = 0;
        while refused < 3 {
            let len_max = 2000;
            let reserved = journal.reserve(len_max);
            let appended = ledger.append(&mut journal, &mut dice, len_max);
            match (reserved, appended) {
                (_, Ok(())) => {}
                (Err(_), Err(Error::Full { .. })) => {
                    refused += 1;
                    ledger.check_reader(&journal, &mut dice);
                    journal.write_watermark().expect("there is always room for a watermark");
                    space += 5000;
                    disk.set_faults(faults(space));
                }
                (reserved, Err(error)) => panic!("reserved {reserved:?}, then {error}"),
            }
        }
        let found = disk.crash(seed);
        let (journal, report, batches) = recover(&found).expect("a full disk leaves a whole journal");
        assert_eq!(report.cut, None);
        assert_eq!(batches, ledger.batches);
        journal.close().expect("a well disk");
    });
}

#[test]
fn a_place_that_is_full_although_allocated_refuses_and_resumes() {
    for nth in 3..40 {
        let disk = SimDisk::new(nth);
        let mut dice = Dice::new(nth);
        let mut ledger = Ledger::default();
        let mut journal = create(&disk).expect("a well disk");
        disk.set_faults(Faults { full_write: Some(nth), ..Faults::default() });
        for _ in 0..40 {
            match ledger.append(&mut journal, &mut dice, 1000) {
                Ok(()) | Err(Error::Full { .. }) => {}
                // Between two segments there is no way back.
                Err(error) => {
                    assert!(matches!(error, Error::Io { .. }), "{error}");
                    break;
                }
            }
        }
        drop(journal);
        let (_, _, batches) = recover(&disk.crash(nth)).expect("whole");
        ledger.settle(&batches);
    }
}
