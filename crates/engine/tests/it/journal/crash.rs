//! Rows E2 and E9: the power goes, or the process, at any operation.

use std::sync::atomic::{AtomicU64, Ordering};

use jaego_engine::journal::Error;
use jaego_engine::sim_disk::{Dice, Faults, SimDisk};

use super::run::{Ledger, create, recover};
use crate::seeds::each_seed;

/// Torn tails that were found, so that the tests can show that they met some.
static CUTS: AtomicU64 = AtomicU64::new(0);

/// Opens the journal, or creates it again if the first creation did not get that far.
fn reopen(disk: &SimDisk, ledger: &mut Ledger) -> Result<jaego_engine::journal::Journal<SimDisk>, Error> {
    match recover(disk) {
        Ok((journal, report, batches)) => {
            ledger.settle(&batches);
            CUTS.fetch_add(u64::from(report.cut.is_some()), Ordering::Relaxed);
            Ok(journal)
        }
        Err(Error::NotFound) => {
            assert_eq!(ledger.acknowledged, 0, "the journal is gone");
            ledger.batches.clear();
            create(disk)
        }
        Err(error) => Err(error),
    }
}

fn restart(disk: &SimDisk, dice: &mut Dice) -> SimDisk {
    let seed = dice.throw();
    match dice.below(4) {
        0 => disk.kill(seed),
        1 => disk.kill(seed).crash(seed),
        _ => disk.crash(seed),
    }
}

#[test]
fn nothing_acknowledged_is_lost_in_any_crash() {
    each_seed("nothing_acknowledged_is_lost_in_any_crash", 4000, |seed| {
        let mut dice = Dice::new(seed);
        let mut disk = SimDisk::new(seed);
        let mut ledger = Ledger::default();
        for _life in 0..6 {
            // Somewhere in this life, opening included, the machine stops.
            let stop_at = Some(1 + dice.throw() % 60);
            disk.set_faults(Faults {
                stop_at,
                short: dice.one_in(4),
                interrupt: dice.one_in(4),
                ..Faults::default()
            });
            // Both endings are fine; what counts is what the next life finds.
            let _ended = reopen(&disk, &mut ledger).and_then(|mut journal| {
                ledger.steps(&mut journal, &mut dice, 30)?;
                journal.close()
            });
            assert_eq!(disk.violations(), Vec::<String>::new());
            disk = restart(&disk, &mut dice);
        }
        let mut journal = reopen(&disk, &mut ledger).expect("a well disk opens after any number of crashes");
        ledger.steps(&mut journal, &mut dice, 5).expect("and can be written");
        ledger.check_reader(&journal, &mut dice);
    });
    println!("{} torn tails were cut", CUTS.load(Ordering::Relaxed));
    if std::env::var_os("JAEGO_SEED").is_none() {
        assert!(CUTS.load(Ordering::Relaxed) > 1000, "the crashes tore too little to show anything");
    }
}

/// Frames, a watermark, two rotations: each operation of it is a place to stop.
fn scripted(disk: &SimDisk, ledger: &mut Ledger) -> Result<(), Error> {
    let mut dice = Dice::new(9);
    let mut journal = create(disk)?;
    ledger.append(&mut journal, &mut dice, 900)?;
    ledger.append(&mut journal, &mut dice, 900)?;
    journal.write_watermark()?;
    ledger.append(&mut journal, &mut dice, 900)?;
    journal.rotate()?;
    for _ in 0..12 {
        ledger.append(&mut journal, &mut dice, 5000)?;
    }
    journal.raise_floor(2)?;
    journal.close()
}

#[test]
fn stopping_at_every_operation_loses_nothing() {
    let whole = SimDisk::new(0);
    scripted(&whole, &mut Ledger::default()).expect("a well disk");
    let operations = whole.operations();
    assert!(operations > 60, "the script is shorter than it looks: {operations} operations");
    for stop_at in 1..=operations {
        let disk = SimDisk::new(stop_at);
        let mut ledger = Ledger::default();
        disk.set_faults(Faults { stop_at: Some(stop_at), ..Faults::default() });
        let stopped = scripted(&disk, &mut ledger);
        assert!(stopped.is_err(), "it was to stop at {stop_at}");
        for seed in 0..20 {
            let found = if seed == 0 { disk.kill(seed) } else { disk.crash(seed) };
            let mut ledger = ledger.clone();
            let mut dice = Dice::new(seed);
            // The second crash hits the repair of the first one.
            found.set_faults(Faults { stop_at: Some(1 + seed % 12), ..Faults::default() });
            let _ended = reopen(&found, &mut ledger);
            let found = found.crash(seed);
            let mut journal = reopen(&found, &mut ledger)
                .unwrap_or_else(|error| panic!("stop at {stop_at}, crash {seed}: {error}"));
            ledger.append(&mut journal, &mut dice, 900).expect("a well disk");
            journal.close().expect("a well disk");
            reopen(&found, &mut ledger).expect("a well disk");
        }
    }
}
