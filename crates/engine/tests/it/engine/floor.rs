//! Old segments are moved elsewhere: only what may go goes, wherever it is cut off nothing is lost, and it can be put back.

use jaego_domain::{Sequence, Timestamp};
use jaego_engine::{
    floor::{self, Before, Error, Raised},
    open,
    sim_disk::{Faults, SimDisk},
    verify,
};

use super::checkpoints::{BEGIN, JOURNAL, scripted};

/// Crashes that are tried at each stop.
const CRASHES: u64 = 20;

/// A store of some segments and two checkpoints.
fn store() -> SimDisk {
    let disk = SimDisk::new(1);
    scripted(&disk, &mut Vec::new()).expect("a well disk");
    disk.kill(1)
}

fn raise(disk: &SimDisk, to: &SimDisk, before: Before) -> Result<Raised, Error> {
    let recovered = open(disk.clone(), JOURNAL, |_| {})?;
    floor::raise(recovered, to, before, |_| {})
}

/// The hash of all rows, and the first event that is kept.
fn standing(disk: &SimDisk) -> (u128, u64) {
    let recovered = open(disk.clone(), JOURNAL, |_| {}).expect("it opens");
    let standing =
        (recovered.state_hash().expect("a well disk"), recovered.journal.reader().first_sequence());
    recovered.journal.close().expect("a well disk");
    standing
}

fn segments(disk: &SimDisk) -> Vec<String> {
    let mut names = jaego_engine::disk::Disk::list(disk).expect("a well disk");
    names.retain(|name| name.ends_with(".journal"));
    names.sort();
    names
}

#[test]
fn what_no_checkpoint_needs_may_go_and_nothing_else() {
    let (hash, _) = standing(&store());
    let everything = Before::Sequence(Sequence(u64::MAX));
    let whole = raise(&store(), &SimDisk::new(2), everything).unwrap();
    let oldest = whole.checkpoint.unwrap();
    let edge = whole.segments[1].next_sequence;
    assert!(whole.segments.len() > 3, "{whole:?}");
    for (what, before, count) in [
        ("all that may", everything, whole.segments.len()),
        ("nothing", Before::Sequence(Sequence(0)), 0),
        ("before the first", Before::Sequence(Sequence(1)), 0),
        ("up to an edge", Before::Sequence(Sequence(edge)), 2),
        ("just short of it", Before::Sequence(Sequence(edge - 1)), 1),
        ("just past it", Before::Sequence(Sequence(edge + 1)), 2),
        ("before it began", Before::Time(BEGIN), 0),
        ("after all of it", Before::Time(Timestamp(BEGIN.0 + 1)), whole.segments.len()),
    ] {
        let (disk, to) = (store(), SimDisk::new(2));
        let before_it = segments(&disk);
        let raised = raise(&disk, &to, before).unwrap();
        assert_eq!((raised.segments.len(), raised.were_there), (count, 0), "{what}");
        assert_eq!(segments(&to), before_it[..count], "{what}");
        assert_eq!(segments(&disk), before_it[count..], "{what}");
        assert!(raised.first <= oldest.next(), "{what}: the oldest checkpoint goes on at {oldest}");
        assert_eq!(standing(&disk), (hash, raised.first.0), "{what}");
        verify(disk, JOURNAL, |_| {}).unwrap();
    }
}

#[test]
fn a_second_time_goes_on_and_what_went_can_be_put_back() {
    let (disk, to) = (store(), SimDisk::new(2));
    let (hash, _) = standing(&disk);
    let all = verify(disk.clone(), JOURNAL, |_| {}).unwrap().events;
    let first = raise(&disk, &to, Before::Sequence(Sequence(13))).unwrap();
    let second = raise(&disk, &to, Before::Sequence(Sequence(u64::MAX))).unwrap();
    assert!(!first.segments.is_empty() && !second.segments.is_empty());
    let third = raise(&disk, &to, Before::Sequence(Sequence(u64::MAX))).unwrap();
    assert_eq!((third.segments.len(), third.first), (0, second.first));
    for name in segments(&to) {
        disk.replace(&name, &to.contents(&name).unwrap());
    }
    assert_eq!(standing(&disk), (hash, 1));
    let verified = verify(disk, JOURNAL, |_| {}).unwrap();
    assert_eq!(verified.events, all, "all of it was replayed");
}

#[test]
fn another_stores_folder_and_what_cannot_be_read_are_refused_and_nothing_goes() {
    let everything = Before::Sequence(Sequence(u64::MAX));
    let is_whole = |disk: &SimDisk| assert_eq!(standing(disk).1, 1);

    let to = SimDisk::new(2);
    raise(&store(), &to, everything).unwrap();
    let stranger = {
        let disk = SimDisk::new(9);
        scripted(&disk, &mut Vec::new()).unwrap();
        disk
    };
    let error = raise(&stranger, &to, everything).unwrap_err();
    assert!(matches!(error, Error::Taken { .. }), "{error}");
    is_whole(&stranger);

    // A copy of an earlier try that is not what it should be.
    let (disk, to) = (store(), SimDisk::new(2));
    to.replace(&segments(&disk)[0], &[0; 4_096]);
    let error = raise(&disk, &to, everything).unwrap_err();
    assert!(matches!(error, Error::Taken { .. }), "{error}");
    is_whole(&disk);

    // History that is damaged is found before anything is moved.
    let (disk, to) = (store(), SimDisk::new(2));
    disk.flip_bit(&segments(&disk)[0], 8 * 700);
    let error = raise(&disk, &to, everything).unwrap_err();
    assert!(matches!(error, Error::Store(_)), "{error}");
    assert!(segments(&to).is_empty());

    // A checkpoint that stays and cannot be read may need all of the journal, be it the newest or the older one.
    for newest in [true, false] {
        let disk = store();
        let mut done: Vec<_> = jaego_engine::disk::Disk::list(&disk).unwrap();
        done.retain(|name| name.ends_with(".done"));
        done.sort();
        assert_eq!(done.len(), 2);
        disk.flip_bit(&done[usize::from(newest)], 100);
        assert!(raise(&disk, &SimDisk::new(2), everything).is_err());
        is_whole(&disk);
    }

    // What was written and did not arrive, whichever write it was.
    let mut noticed = 0;
    for nth in 1.. {
        let (disk, to) = (store(), SimDisk::new(2));
        let original = disk.kill(1);
        to.set_faults(Faults { lose_write: Some(nth), ..Faults::default() });
        let raised = raise(&disk, &to, everything);
        if to.writes() < nth {
            break;
        }
        match raised {
            Err(Error::Differs { .. }) => {
                noticed += 1;
                is_whole(&disk);
            }
            Err(error) => panic!("write {nth}: {error}"),
            Ok(raised) => {
                for name in segments(&original).into_iter().take(raised.segments.len()) {
                    assert!(to.contents(&name) == original.contents(&name), "write {nth}: {name}");
                }
            }
        }
    }
    assert!(noticed >= 5, "the marker and four segments: {noticed}");
}

/// Row E9 for moving segments: the machine stops at any step on either disk.
#[test]
fn stopping_at_every_step_leaves_each_segment_whole_somewhere() {
    let base = store();
    let (hash, _) = standing(&base);
    let original = segments(&base);
    let everything = Before::Sequence(Sequence(u64::MAX));
    let (disk, to) = (base.kill(0), SimDisk::new(0));
    let raised = raise(&disk, &to, everything).unwrap();
    let operations = [disk.operations(), to.operations()];
    assert!(operations.iter().all(|count| *count > 10), "{operations:?}");
    let mut were_there = 0;
    for (side, operations) in operations.into_iter().enumerate() {
        for stop_at in 1..=operations {
            for seed in 0..CRASHES {
                let what = format!("side {side}, stop at {stop_at}, crash {seed}");
                let (disk, to) = (base.kill(seed), SimDisk::new(seed));
                let stops = Faults { stop_at: Some(stop_at), ..Faults::default() };
                [&disk, &to][side].set_faults(stops);
                assert!(raise(&disk, &to, everything).is_err(), "{what}");
                let (disk, to) = (disk.crash(seed), to.crash(seed + 100));
                for name in &original {
                    let there = to.contents(name);
                    let is_there = there.is_some() && there == base.contents(name);
                    assert!(is_there || disk.contents(name).is_some(), "{what}: {name} is gone");
                }
                assert_eq!(standing(&disk).0, hash, "{what}");
                let again = raise(&disk, &to, everything).unwrap_or_else(|error| panic!("{what}: {error}"));
                were_there += again.were_there;
                assert_eq!(again.first, raised.first, "{what}");
                assert_eq!(standing(&disk), (hash, raised.first.0), "{what}");
                for name in &original[..raised.segments.len()] {
                    assert!(to.contents(name) == base.contents(name), "{what}: {name}");
                }
            }
        }
    }
    assert!(were_there > 100, "only {were_there} copies of a first try were met again");
}
