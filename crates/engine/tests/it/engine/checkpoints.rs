//! Row E9: the machine stops at any step of writing, renaming and pruning checkpoints.

use std::collections::VecDeque;

use jaego_domain::{Memory, Sequence, Timestamp};
use jaego_engine::{
    Core, Error, Job, Limits, Submission,
    journal::{self, Preparation},
    open,
    sim_disk::{Faults, SimDisk},
    state_hash, verify, write_checkpoint,
};
use jaego_store::Batch;

use super::world::{hold, opening, release, request};

pub(crate) const JOURNAL: journal::Config =
    journal::Config { segment_len: 4_096, preparation: Preparation::Inline };
/// When all of it happens.
pub(crate) const BEGIN: Timestamp = Timestamp(1_772_323_200_000);
/// Crashes that are tried at each stop.
const CRASHES: u64 = 20;

/// Some segments, and a checkpoint after each of four, so that old ones are pruned. Gives the hash of the rows
/// after each acknowledged event.
pub(crate) fn scripted(disk: &SimDisk, acknowledged: &mut Vec<(Sequence, u128)>) -> Result<(), Error> {
    let recovered = open(disk.clone(), JOURNAL, |_| {})?;
    let mut journal = recovered.journal;
    let reader = journal.reader();
    let mut core = Core::new(recovered.memory, Limits::default());
    let mut requests = opening(&["mug"], 1_000);
    for n in 0..40 {
        requests.push(request(hold(&format!("H{n}"), "mug", 1 + n % 5)));
        if n % 2 == 1 {
            // What ended goes into the archive.
            requests.push(request(release(&format!("H{n}"))));
        }
    }
    let mut last = Sequence(0);
    let mut archive = recovered.archive;
    for (step, requests) in requests.chunks(4).enumerate() {
        let batch = Batch { requests: requests.to_vec(), atomic: false };
        let job = Job::Submit(Submission::new(batch, Box::new(|_| ())));
        core.turn(&mut VecDeque::from([job]), BEGIN, Ok(()));
        let flight = core.take_flight();
        journal.append(flight.first.0, flight.count, &flight.payload)?;
        journal.sync()?;
        acknowledged.push((Sequence(journal.next_sequence() - 1), state_hash(core.memory())));
        if step % 3 == 2 {
            journal.rotate()?;
            let upto = Sequence(reader.sealed_segments().last().map_or(0, |one| one.next_sequence - 1));
            let written = write_checkpoint(&*recovered.disk, &reader, &archive, upto)?;
            assert!(written.sequence > last, "{} after {last}", written.sequence);
            last = written.sequence;
            archive = written.archive;
        }
    }
    Ok(journal.close()?)
}

#[test]
fn stopping_at_every_step_of_a_checkpoint_loses_nothing() {
    let whole = SimDisk::new(0);
    let mut all = Vec::new();
    scripted(&whole, &mut all).expect("a well disk");
    let operations = whole.operations();
    assert!(operations > 100, "the script is shorter than it looks: {operations} operations");
    let empty = state_hash(&Memory::new());
    let mut from_checkpoints = 0;
    for stop_at in 1..=operations {
        let disk = SimDisk::new(stop_at);
        disk.set_faults(Faults { stop_at: Some(stop_at), ..Faults::default() });
        let mut acknowledged = Vec::new();
        assert!(scripted(&disk, &mut acknowledged).is_err(), "it was to stop at {stop_at}");
        for seed in 0..CRASHES {
            let found = if seed == 0 { disk.kill(seed) } else { disk.crash(seed) };
            // The second crash hits the repair of the first one, and whatever it pruned.
            found.set_faults(Faults { stop_at: Some(1 + seed), ..Faults::default() });
            let _ended = open(found.clone(), JOURNAL, |_| {});
            let found = found.crash(seed);
            let recovered = open(found.clone(), JOURNAL, |_| {})
                .unwrap_or_else(|error| panic!("stop at {stop_at}, crash {seed}: {error}"));
            from_checkpoints += u64::from(recovered.checkpoint.is_some());
            let (sequence, hash) =
                (Sequence(recovered.report.next_sequence - 1), recovered.state_hash().expect("a well disk"));
            let told = acknowledged.len();
            // All that was acknowledged, and perhaps the one frame that was in flight.
            let expected = match told {
                0 => (Sequence(0), empty),
                told => all[told - 1],
            };
            let in_flight = all.get(told).copied();
            assert!(
                (sequence, hash) == expected || Some((sequence, hash)) == in_flight,
                "stop at {stop_at}, crash {seed}: {sequence} is there, {} was told",
                expected.0
            );
            if seed % 5 == 0 {
                recovered.journal.close().expect("a well disk");
                verify(found, JOURNAL, |_| {}).unwrap_or_else(|error| panic!("stop at {stop_at}: {error}"));
            }
        }
    }
    assert!(from_checkpoints > 1_000, "only {from_checkpoints} openings began with a checkpoint");
}
