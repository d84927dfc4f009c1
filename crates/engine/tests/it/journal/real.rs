//! The same journal on a real folder.

use std::os::unix::fs::PermissionsExt;

use jaego_engine::disk::RealDisk;
use jaego_engine::journal::{Config, Error, Journal, PAYLOAD_LEN_MAX, StoreId};

const STORE: StoreId = StoreId(42);

#[test]
fn a_journal_in_a_folder_is_read_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = Config { segment_len: 1 << 20, ..Config::default() };
    let open = || RealDisk::open(folder.path().join("store")).expect("the folder opens");
    let mut journal = Journal::create(open(), config, STORE, 1).expect("it is created");
    let reader = journal.reader();
    // A reader on another thread follows while frames are written.
    let follower = std::thread::spawn(move || {
        let mut frames = reader.frames_from(1).expect("it begins with 1");
        let mut next_sequence = 1;
        while next_sequence <= 300 {
            match frames.next().expect("durable frames are whole") {
                Some(frame) => {
                    assert_eq!(frame.first_sequence, next_sequence);
                    assert!(frame.payload.iter().all(|byte| u64::from(*byte) == next_sequence % 251));
                    next_sequence += u64::from(frame.count);
                }
                None => std::thread::yield_now(),
            }
        }
    });
    let mut sequence = 1;
    while sequence <= 300 {
        let byte = u8::try_from(sequence % 251).expect("it is small");
        journal.append(sequence, 3, &vec![byte; 40_000]).expect("it is written");
        journal.sync().expect("it is synced");
        sequence += 3;
    }
    follower.join().expect("the follower saw all frames");
    assert!(journal.reader().sealed_segments().len() > 1);
    for segment in journal.reader().segments() {
        let metadata =
            std::fs::metadata(folder.path().join("store").join(segment.name())).expect("it is there");
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
        assert_eq!(metadata.len(), config.segment_len);
    }
    let taken = RealDisk::open(folder.path().join("store")).expect_err("the folder is taken");
    assert_eq!(taken.kind(), std::io::ErrorKind::WouldBlock);
    journal.close().expect("it is closed");

    let mut recovery = Journal::open(open(), config, 151).expect("it opens");
    let mut sequence = 151;
    while let Some(frame) = recovery.next().expect("it is whole") {
        assert_eq!((frame.first_sequence, frame.payload.len()), (sequence, 40_000));
        sequence += 3;
    }
    let (mut journal, report) = recovery.finish().expect("it opens");
    assert_eq!((report.next_sequence, report.cut), (301, None));
    let removed = journal.raise_floor(200).expect("old segments can go");
    assert!(!removed.is_empty());
    let refused = journal.reader().frames_from(1).expect_err("it is gone");
    assert!(matches!(refused, Error::BelowFloor { sequence: 1, .. }), "{refused}");
    drop(journal);
    let exists = Journal::create(open(), config, STORE, 1).expect_err("there is one");
    assert!(matches!(exists, Error::Exists { .. }), "{exists}");
    let odd = Config { segment_len: 5000, ..config };
    let refused = Journal::open(open(), odd, 300).expect_err("no multiple of a sector");
    assert!(matches!(refused, Error::SegmentLen { len: 5000, .. }), "{refused}");
    let missing = Journal::open(open(), config, 1).expect_err("the start is gone");
    assert!(matches!(missing, Error::Missing { .. }), "{missing}");
}

#[test]
fn the_longest_payload_fits_and_one_byte_more_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk = RealDisk::open(folder.path()).expect("the folder opens");
    let mut journal = Journal::create(disk, Config::default(), STORE, 1).expect("it is created");
    let payload = vec![7; PAYLOAD_LEN_MAX + 1];
    let refused = journal.append(1, 1, &payload).expect_err("it is too long");
    assert!(matches!(refused, Error::TooLarge { .. }), "{refused}");
    journal.append(1, 1, &payload[1..]).expect("it fits");
    journal.sync().expect("it is synced");
    let mut frames = journal.reader().frames_from(1).expect("it begins with 1");
    assert_eq!(frames.next().expect("whole").expect("one frame").payload.len(), PAYLOAD_LEN_MAX);
}
