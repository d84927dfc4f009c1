//! Rows E3, E4 and E5: bytes that are not what was written.

use jaego_engine::journal::{Error, FRAME_HEADER_LEN, Recovery, SECTOR_LEN, StoreId, frame_len};
use jaego_engine::sim_disk::{Dice, Faults, SimDisk};

use super::run::{Batch, CONFIG, Ledger, closed, create, read_all, recover, segment_files};
use crate::seeds::each_seed;

/// Opening either refuses by naming a place, or shows all that was acknowledged.
fn refused_or_whole(
    opened: Result<(Recovery<SimDisk>, Vec<Batch>), Error>,
    ledger: &Ledger,
    what: &str,
) -> bool {
    match opened {
        Ok((_, batches)) => {
            assert_eq!(batches.len(), ledger.acknowledged, "{what}: acknowledged batches vanished");
            assert!(batches == ledger.batches, "{what}: batches changed");
            false
        }
        Err(Error::Damaged { .. } | Error::Missing { .. } | Error::Version { .. }) => true,
        Err(error) => panic!("{what}: not an answer about damage: {error}"),
    }
}

/// One segment with frames of several sizes, and where each of them lies. Nothing was written after the last
/// one, as after a crash right behind its sync.
fn last_frames() -> (SimDisk, Ledger, String, Vec<(usize, usize)>) {
    let disk = SimDisk::new(3);
    let mut dice = Dice::new(3);
    let mut ledger = Ledger::default();
    let mut journal = create(&disk).expect("a well disk");
    for _ in 0..6 {
        ledger.append(&mut journal, &mut dice, 1100).expect("a well disk");
    }
    let mut places = Vec::new();
    let mut offset = SECTOR_LEN;
    for batch in &ledger.batches {
        places.push((offset, offset + FRAME_HEADER_LEN + batch.payload.len()));
        offset += usize::try_from(frame_len(batch.payload.len())).expect("it is small");
    }
    let name = segment_files(&disk).pop().expect("one segment");
    (disk, ledger, name, places)
}

#[test]
fn writing_that_stopped_at_any_byte_leaves_the_frames_before() {
    let (disk, ledger, name, places) = last_frames();
    let whole = disk.contents(&name).expect("it is there");
    for stopped_at in places[3].0..=places[5].1 {
        let mut bytes = whole.clone();
        bytes[stopped_at..].fill(0);
        let disk = disk.kill(1);
        disk.replace(&name, &bytes);
        let left = places.iter().filter(|(_, end)| *end <= stopped_at).count();
        let (journal, report, batches) = recover(&disk).expect("a torn tail is cut");
        assert_eq!(batches, ledger.batches[..left], "stopped at {stopped_at}");
        let torn = places.iter().find(|(start, end)| *start < stopped_at && stopped_at < *end);
        let cut = report.cut.map(|cut| usize::try_from(cut.offset).expect("it is small"));
        assert_eq!(cut, torn.map(|(start, _)| *start), "stopped at {stopped_at}");
        // The cut is clean: what comes next is found, and the cut is not found again.
        let mut ledger = Ledger { batches, acknowledged: left };
        let mut journal = journal;
        ledger.append(&mut journal, &mut Dice::new(1), 300).expect("it can be written");
        drop(journal);
        let (_, report, batches) = recover(&disk.crash(1)).expect("it opens");
        assert_eq!((report.cut, batches), (None, ledger.batches));
    }
}

#[test]
fn a_file_that_lost_its_end_is_refused_at_every_byte() {
    let (disk, _, name, places) = last_frames();
    let whole = disk.contents(&name).expect("it is there");
    for len in (0..600).chain(places[3].0..whole.len()) {
        disk.replace(&name, &whole[..len]);
        match read_all(&disk) {
            Err(Error::Damaged { file, offset, .. }) => {
                assert_eq!((file, offset), (name.clone(), len as u64));
            }
            other => panic!("{len} bytes: {:?}", other.map(drop)),
        }
    }
}

#[test]
fn a_hole_with_a_frame_behind_it_is_refused_at_every_byte() {
    let (disk, _, name, places) = last_frames();
    let whole = disk.contents(&name).expect("it is there");
    for (start, end) in &places[2..5] {
        for hole in *start..*end {
            let mut bytes = whole.clone();
            bytes[hole..*end].fill(0);
            disk.replace(&name, &bytes);
            match read_all(&disk) {
                Err(Error::Damaged { file, offset, what }) => {
                    assert_eq!((&file, offset), (&name, *start as u64), "{what}");
                }
                other => panic!("hole at {hole}: {:?}", other.map(drop)),
            }
        }
    }
}

/// What flipping bits came to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Flips {
    flips: usize,
    refused: usize,
    /// Flips after which the store was opened for writing as well, and those of them that were refused.
    opened: usize,
    opened_refused: usize,
}

/// Flips every `of`-th bit of a segment, `from` the first on, and every bit that is left alone is somebody else's.
fn flip_bits(
    disk: &SimDisk,
    ledger: &Ledger,
    name: &str,
    is_last: bool,
    (from, of): (usize, usize),
) -> Flips {
    let disk = disk.kill(1);
    let whole = disk.contents(name).expect("it is there");
    // In the last segment the watermark that closing wrote is all that may be lost.
    let end = whole.iter().rposition(|byte| *byte != 0).expect("it is used");
    let watermark = if is_last { end / SECTOR_LEN * SECTOR_LEN } else { whole.len() };
    let mut sum = Flips::default();
    for bit in (from..whole.len() * 8).step_by(of) {
        disk.flip_bit(name, bit);
        sum.flips += 1;
        let what = format!("bit {bit} of {name}");
        let was_refused = refused_or_whole(read_all(&disk), ledger, &what);
        sum.refused += usize::from(was_refused);
        assert_eq!(was_refused, bit / 8 < watermark, "{what}");
        if bit % OPENED_EACH == 0 {
            sum.opened += 1;
            match recover(&disk.kill(1)) {
                Ok((_, report, batches)) => {
                    assert!(!was_refused, "{what}: it was refused to readers");
                    assert!(report.cut.is_some(), "{what} was not reported");
                    assert_eq!(batches, ledger.batches, "{what}");
                }
                Err(Error::Damaged { .. } | Error::Missing { .. } | Error::Version { .. }) => {
                    assert!(was_refused, "{what}: it was shown to readers");
                    sum.opened_refused += 1;
                }
                Err(error) => panic!("{what}: not an answer about damage: {error}"),
            }
        }
        disk.flip_bit(name, bit);
    }
    sum
}

/// One bit in so many is followed by an opening for writing.
const OPENED_EACH: usize = 509;

#[test]
fn every_flipped_bit_is_detected_or_harmless() {
    // Five million bits in a long run: those of eight journals.
    for seed in 11..11 + jaego_testkit::size(1, 8) {
        flip_all(seed);
    }
}

fn flip_all(seed: u64) {
    println!("the journal of seed {seed}");
    let (disk, ledger) = closed(seed, 60, 1400);
    let names = segment_files(&disk);
    let len: usize = names.iter().map(|name| disk.contents(name).expect("it is there").len()).sum();
    assert!(len >= 64 << 10, "the journal has {len} bytes only");
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let mut sum = Flips::default();
    for name in &names {
        let is_last = name == names.last().expect("there is one");
        let parts: Vec<_> = std::thread::scope(|scope| {
            let part = |from| {
                let (disk, ledger) = (&disk, &ledger);
                scope.spawn(move || flip_bits(disk, ledger, name, is_last, (from, workers)))
            };
            let parts: Vec<_> = (0..workers).map(part).collect();
            parts.into_iter().map(|part| part.join().expect("it tells itself what is wrong")).collect()
        });
        for part in parts {
            sum.flips += part.flips;
            sum.refused += part.refused;
            sum.opened += part.opened;
            sum.opened_refused += part.opened_refused;
        }
    }
    println!("{len} bytes in {} segments: {sum:?}", names.len());
    assert_eq!(sum.flips, len * 8);
    assert!(sum.opened >= 1_000, "only {} openings", sum.opened);
    assert!(sum.opened_refused >= 900 && sum.opened_refused < sum.opened, "{sum:?}");
}

#[test]
fn moved_copied_zeroed_and_stale_sectors_are_refused_or_harmless() {
    each_seed("moved_copied_zeroed_and_stale_sectors_are_refused_or_harmless", 10_000, |seed| {
        let mut dice = Dice::new(seed);
        // The same few journals again and again; the damage is new each time.
        let (disk, ledger) = closed(seed % 16, 14, 1400);
        let names = segment_files(&disk);
        let name = &names[dice.below(names.len())];
        let other = &names[dice.below(names.len())];
        let mut bytes = disk.contents(name).expect("it is there");
        let mut others = disk.contents(other).expect("it is there");
        let sectors = bytes.len() / SECTOR_LEN;
        let to = dice.below(sectors) * SECTOR_LEN;
        let from = dice.below(sectors) * SECTOR_LEN;
        let what = match dice.below(6) {
            0 => {
                bytes[to..to + SECTOR_LEN].fill(0);
                "a zeroed sector"
            }
            1 => {
                dice.fill(&mut bytes[to..to + SECTOR_LEN]);
                "a spoiled sector"
            }
            2 => {
                bytes.copy_within(from..from + SECTOR_LEN, to);
                "a copied sector"
            }
            3 => {
                bytes[to..to + SECTOR_LEN].copy_from_slice(&others[from..from + SECTOR_LEN]);
                "a sector of another segment"
            }
            4 => {
                let sector = bytes[to..to + SECTOR_LEN].to_vec();
                bytes.copy_within(from..from + SECTOR_LEN, to);
                bytes[from..from + SECTOR_LEN].copy_from_slice(&sector);
                "two swapped sectors"
            }
            _ if name == other => return,
            _ => {
                std::mem::swap(&mut bytes, &mut others);
                disk.replace(other, &others);
                "two swapped segments"
            }
        };
        disk.replace(name, &bytes);
        refused_or_whole(read_all(&disk), &ledger, &format!("{what} at {to} of {name}, from {from}"));
    });
}

#[test]
fn writes_that_were_lost_or_landed_elsewhere_are_refused_or_harmless() {
    each_seed("writes_that_were_lost_or_landed_elsewhere_are_refused_or_harmless", 4000, |seed| {
        let mut dice = Dice::new(seed);
        let disk = SimDisk::new(seed);
        let mut ledger = Ledger::default();
        let mut journal = create(&disk).expect("a well disk");
        let nth = Some(disk.writes() + 1 + seed % 24);
        let (lose_write, misdirect_write) = if dice.one_in(2) { (nth, None) } else { (None, nth) };
        disk.set_faults(Faults { lose_write, misdirect_write, ..Faults::default() });
        for _ in 0..14 {
            // A spare that lost its zeros may be noticed while writing.
            if ledger.append(&mut journal, &mut dice, 1400).is_err() {
                break;
            }
        }
        // A crash right after the last answer would hide a lost last write; the watermark does not.
        let closed = journal.close().is_ok();
        if closed {
            refused_or_whole(read_all(&disk), &ledger, "a lost or misdirected write");
        }
    });
}

#[test]
fn segments_that_are_gone_doubled_or_foreign_are_refused() {
    let (disk, ledger) = closed(11, 30, 1400);
    let names = segment_files(&disk);
    assert!(names.len() > 3, "several segments");
    for (index, name) in names.iter().enumerate() {
        let without = disk.kill(1);
        without.lose(name);
        assert!(refused_or_whole(read_all(&without), &ledger, "a lost segment"), "{name} was not missed");
        let bytes = disk.contents(name).expect("it is there");
        let doubled = disk.kill(1);
        doubled.replace(&format!("{:020}-{:010}.journal", 900, names.len() + 1), &bytes);
        assert!(refused_or_whole(read_all(&doubled), &ledger, "a doubled segment"), "{index} twice");
        let renamed = disk.kill(1);
        renamed.replace("copy-of-a-segment.journal", &bytes);
        assert!(refused_or_whole(read_all(&renamed), &ledger, "an odd name"));
    }
    let foreign = SimDisk::new(1);
    let journal = jaego_engine::journal::Journal::create(foreign.clone(), CONFIG, StoreId(99), 1);
    journal.expect("a well disk").close().expect("a well disk");
    let mixed = disk.kill(1);
    mixed.replace(&names[0], &foreign.contents(&names[0]).expect("it has the same name"));
    assert!(refused_or_whole(read_all(&mixed), &ledger, "a foreign segment"));
}

#[test]
fn a_journal_that_ends_before_its_checkpoint_is_refused() {
    let (disk, ledger) = closed(11, 5, 1400);
    let last = ledger.batches.last().expect("five");
    let next = last.first_sequence + u64::from(last.count);
    let finish = |from| {
        let recovery = jaego_engine::journal::Journal::open(disk.kill(1), CONFIG, from)?;
        recovery.finish().map(|(_, report)| report.frames)
    };
    assert_eq!(finish(next).expect("nothing is missing"), 0);
    assert_eq!(finish(next - 1).expect("nothing is missing"), 1);
    let refused = finish(next + 1).expect_err("one is missing");
    assert!(matches!(refused, Error::Missing { sequence, .. } if sequence == next), "{refused}");
}

#[test]
fn any_bytes_at_all_are_answered_without_a_panic() {
    each_seed("any_bytes_at_all_are_answered_without_a_panic", 3000, |seed| {
        let mut dice = Dice::new(seed);
        let (disk, _) = closed(seed % 8, 10, 1400);
        let names = segment_files(&disk);
        let name = &names[dice.below(names.len())];
        let mut bytes = disk.contents(name).expect("it is there");
        // Damage with good checksums: only the numbers themselves are wrong.
        let offset = dice.below(bytes.len() / SECTOR_LEN) * SECTOR_LEN;
        let seed_of_store = crc32c::crc32c(&super::run::STORE.0.to_le_bytes());
        let field = if offset == 0 { 8 + 4 * dice.below(14) } else { 4 + 4 * dice.below(14) };
        let value = [0, 1, u32::MAX, 0x7fff_ffff, 512][dice.below(5)];
        bytes[offset + field..offset + field + 4].copy_from_slice(&u32::to_le_bytes(value));
        let (crc, at) = if offset == 0 {
            (crc32c::crc32c(&bytes[..508]), 508)
        } else {
            (crc32c::crc32c_append(seed_of_store, &bytes[offset..offset + 60]), offset + 60)
        };
        bytes[at..at + 4].copy_from_slice(&crc.to_le_bytes());
        if dice.one_in(3) {
            let len = dice.below(bytes.len());
            bytes.truncate(len);
        }
        disk.replace(name, &bytes);
        let _answered = recover(&disk);
    });
}
