use std::{fs, os::unix::fs::PermissionsExt as _};

use super::{file::Writer, *};

fn entry(kind: Kind, what: &str) -> Entry {
    Entry { at_ms: 1_772_323_200_000, ..Entry::now(kind, what) }
}

fn log(folder: &Path) -> PathBuf {
    folder.join("audit-0000000001.log")
}

#[test]
fn lines_come_back_in_order_and_go_on_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("audit");
    Writer::new(&folder).append(&[entry(Kind::Denied, "GET /v1/status"), entry(Kind::Read, "재고")]).unwrap();
    append(&folder, entry(Kind::TokenRevoked, "0123456789abcdef")).unwrap();
    let read: Vec<_> = lines(&folder).unwrap().map(|line| line.unwrap().0).collect();
    let told: Vec<_> = read.iter().map(|line| (line.n, line.entry.kind, line.entry.what.as_str())).collect();
    assert_eq!(
        told,
        [
            (1, Kind::Opened, ""),
            (2, Kind::Denied, "GET /v1/status"),
            (3, Kind::Read, "재고"),
            (4, Kind::TokenRevoked, "0123456789abcdef"),
        ]
    );
    assert_eq!(fs::metadata(log(&folder)).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn every_changed_byte_and_every_missing_line_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let entries: Vec<_> =
        (0..4).map(|number| entry(Kind::Refused, &format!("POST /v1/holds/{number}"))).collect();
    Writer::new(folder.path()).append(&entries).unwrap();
    let whole = fs::read(log(folder.path())).unwrap();
    let verified = verify(folder.path(), None).unwrap();
    assert_eq!((verified.first, verified.last, verified.files), (1, 5, 1));
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        fs::write(log(folder.path()), &changed).unwrap();
        assert!(verify(folder.path(), None).is_err(), "byte {at} was changed, and nobody noticed");
    }
    let text = String::from_utf8(whole.clone()).unwrap();
    let kept: Vec<&str> = text.lines().collect();
    for gone in 0..kept.len() - 1 {
        let rest: String = kept
            .iter()
            .enumerate()
            .filter(|(at, _)| *at != gone)
            .map(|(_, line)| format!("{line}\n"))
            .collect();
        fs::write(log(folder.path()), rest).unwrap();
        assert!(verify(folder.path(), None).is_err(), "line {gone} is missing, and nobody noticed");
    }
    // What is taken off the end shows against a hash that was seen before.
    fs::write(log(folder.path()), format!("{}\n", kept[..4].join("\n"))).unwrap();
    assert!(!verify(folder.path(), Some(&verified.hash)).unwrap().has_seen);
    fs::write(log(folder.path()), &whole).unwrap();
    assert!(verify(folder.path(), Some(&verified.hash)).unwrap().has_seen);
}

#[test]
fn a_torn_line_is_cut_off_and_told() {
    let folder = tempfile::tempdir().unwrap();
    append(folder.path(), entry(Kind::Denied, "first")).unwrap();
    let whole = fs::read(log(folder.path())).unwrap();
    append(folder.path(), entry(Kind::Denied, "second")).unwrap();
    let longer = fs::read(log(folder.path())).unwrap();
    for len in whole.len() + 1..longer.len() {
        fs::write(log(folder.path()), &longer[..len]).unwrap();
        append(folder.path(), entry(Kind::Denied, "third")).unwrap();
        let read: Vec<_> = lines(folder.path()).unwrap().map(|line| line.unwrap().0.entry).collect();
        let told: Vec<_> = read.iter().map(|entry| (entry.kind, entry.what.as_str(), entry.count)).collect();
        let torn = (len - whole.len()) as u64;
        let third = (Kind::Denied, "third", 0);
        assert_eq!(
            told,
            [(Kind::Opened, "", 0), (Kind::Denied, "first", 0), (Kind::Cut, "", torn), third],
            "cut to {len}"
        );
    }
}

#[test]
fn the_chain_goes_on_over_files_and_the_oldest_leave() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer::new(folder.path());
    writer.append(&[entry(Kind::Denied, "first")]).unwrap();
    let log_of = |number: usize| folder.path().join(format!("audit-{number:010}.log"));
    // Each file is made to look full, by the room that it takes: a hole of zeros would be no line, so the writer is told
    // by the length of what a real file has.
    let long = "x".repeat(2_000);
    let lines_a_file = usize::try_from(FILE_BYTES_MAX).unwrap() / 2_100 + 1;
    let many: Vec<_> = (0..lines_a_file * 2).map(|_| entry(Kind::Refused, &long)).collect();
    writer.append(&many).unwrap();
    assert!(log_of(2).exists());
    let verified = verify(folder.path(), None).unwrap();
    assert_eq!(verified.first, 1);
    assert_eq!(verified.last, many.len() as u64 + 1 + verified.files as u64);
    // The first one leaves: what is kept is whole, and begins later.
    fs::remove_file(log_of(1)).unwrap();
    let later = verify(folder.path(), None).unwrap();
    assert!(later.first > 1 && later.hash == verified.hash, "{later:?}");
    // One from the middle may not.
    writer.append(&many).unwrap();
    assert!(log_of(4).exists());
    fs::remove_file(log_of(3)).unwrap();
    assert!(matches!(verify(folder.path(), None), Err(Error::Broken { .. })));
}

#[test]
fn a_flood_is_counted_and_hides_neither_callers_nor_the_rare() {
    let folder = tempfile::tempdir().unwrap();
    let audit = Audit::open(folder.path(), &Metrics::new()).unwrap();
    let flood = 2 * LINES_A_SECOND_MAX;
    let by_caller =
        |number| Entry { by: Some("kim".to_owned()), ..entry(Kind::Denied, &format!("POST /{number}")) };
    for number in 0..flood {
        audit.record(entry(Kind::Denied, "GET /v1/sites"));
        audit.record(by_caller(number));
    }
    audit.close();
    let read: Vec<_> = lines(folder.path()).unwrap().map(|line| line.unwrap().0.entry).collect();
    let denied = |is_caller| {
        read.iter().filter(|entry| entry.kind == Kind::Denied && entry.by.is_some() == is_caller).count()
            as u64
    };
    let counted = read.iter().filter(|entry| entry.kind == Kind::Suppressed && entry.what == "denied");
    let (callers, anonymous) = (denied(true), denied(false));
    assert_eq!(callers + anonymous + counted.map(|entry| entry.count).sum::<u64>(), 2 * flood);
    // The flood may reach over the turn of a second or two.
    assert!((1..=ANONYMOUS_LINES_A_SECOND_MAX * 4).contains(&anonymous), "{anonymous} lines of nobody");
    assert!((LINES_A_SECOND_MAX..=LINES_A_SECOND_MAX * 2).contains(&callers), "{callers} lines of callers");
    assert_eq!(read.last().map(|entry| entry.kind), Some(Kind::Stopped));
}

#[test]
fn texts_of_others_are_shortened_at_a_letter() {
    assert_eq!(shortened("a\nb\u{0}c"), "abc");
    let long = "재".repeat(200);
    assert_eq!(shortened(&long).len(), TEXT_BYTES_MAX / 3 * 3);
}

fn told(folder: &Path) -> Vec<(u64, Kind, String, u64)> {
    let read = lines(folder).unwrap().map(|line| line.unwrap().0);
    read.map(|line| (line.n, line.entry.kind, line.entry.what, line.entry.count)).collect()
}

/// A log of two files, the second one with nothing but its first line.
fn two_files(folder: &Path) -> PathBuf {
    let lines_a_file = usize::try_from(FILE_BYTES_MAX).unwrap() / 2_100 + 1;
    let long = entry(Kind::Refused, &"x".repeat(2_000));
    let mut writer = Writer::new(folder);
    let second = folder.join("audit-0000000002.log");
    writer.append(&vec![long.clone(); lines_a_file]).unwrap();
    while !second.exists() {
        writer.append(std::slice::from_ref(&long)).unwrap();
    }
    let text = fs::read_to_string(&second).unwrap();
    fs::write(&second, text.split_inclusive('\n').next().unwrap()).unwrap();
    second
}

#[test]
fn a_first_line_that_was_torn_is_begun_again() {
    let folder = tempfile::tempdir().unwrap();
    append(folder.path(), entry(Kind::Denied, "first")).unwrap();
    let whole = fs::read(log(folder.path())).unwrap();
    let first = whole.iter().position(|byte| *byte == b'\n').unwrap();
    for len in 0..=first {
        fs::write(log(folder.path()), &whole[..len]).unwrap();
        append(folder.path(), entry(Kind::Denied, "again")).unwrap();
        let mut expected = vec![(1, Kind::Opened, String::new(), 0)];
        if len > 0 {
            expected.push((2, Kind::Cut, String::new(), len as u64));
        }
        expected.push((expected.len() as u64 + 1, Kind::Denied, "again".to_owned(), 0));
        assert_eq!(told(folder.path()), expected, "torn after {len} bytes");
    }
}

#[test]
fn a_torn_second_file_is_begun_again_behind_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let second = two_files(folder.path());
    let before = verify(folder.path(), None).unwrap();
    let opened = fs::read(&second).unwrap();
    for torn in [&b""[..], &opened[..1], &opened[..opened.len() - 1], &[0; 20_000]] {
        fs::write(&second, torn).unwrap();
        append(folder.path(), entry(Kind::Denied, "again")).unwrap();
        let after = verify(folder.path(), None).unwrap();
        let cut = u64::from(!torn.is_empty());
        assert_eq!((after.files, after.last), (2, before.last + 1 + cut), "torn after {} bytes", torn.len());
        // As it was before, for the next one.
        let text = fs::read_to_string(log(folder.path())).unwrap();
        let kept = text.split_inclusive('\n').filter(|line| !line.contains(r#""kind":"cut""#));
        fs::write(log(folder.path()), kept.collect::<String>()).unwrap();
    }
}

#[test]
fn zeros_behind_the_last_line_are_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    for zeros in [1, 5_000, 8_191, 8_192, 100_000, 3_000_000] {
        let before = verify(folder.path(), None).map_or(0, |verified| verified.last);
        append(folder.path(), entry(Kind::Denied, "first")).unwrap();
        let mut bytes = fs::read(log(folder.path())).unwrap();
        bytes.resize(bytes.len() + zeros, 0);
        fs::write(log(folder.path()), bytes).unwrap();
        append(folder.path(), entry(Kind::Denied, "second")).unwrap();
        let told = told(folder.path());
        assert_eq!(told[told.len() - 2].1, Kind::Cut);
        assert_eq!(told[told.len() - 2].3, zeros as u64);
        assert!(told.len() as u64 >= before + 3);
    }
    // Nothing but zeros is no file.
    fs::write(log(folder.path()), vec![0; 50_000]).unwrap();
    append(folder.path(), entry(Kind::Denied, "third")).unwrap();
    let kinds: Vec<_> = told(folder.path()).into_iter().map(|(_, kind, ..)| kind).collect();
    assert_eq!(kinds, [Kind::Opened, Kind::Cut, Kind::Denied]);
}

#[test]
fn a_new_chain_begins_behind_a_broken_file_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    append(folder.path(), entry(Kind::Denied, "first")).unwrap();
    let mut bytes = fs::read(log(folder.path())).unwrap();
    bytes.extend_from_slice(b"what is this?\n");
    fs::write(log(folder.path()), &bytes).unwrap();
    for _ in 0..2 {
        append(folder.path(), entry(Kind::Denied, "second")).unwrap();
    }
    assert_eq!(fs::read(log(folder.path())).unwrap(), bytes, "the broken file stays as it was");
    let read: Vec<_> = lines(folder.path()).unwrap().collect();
    assert!(matches!(read[2], Err(Error::Broken { line: 3, .. })), "{read:?}");
    let behind: Vec<_> = read[3..].iter().map(|line| &line.as_ref().unwrap().0).collect();
    assert_eq!(behind.iter().map(|line| line.n).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(behind[0].entry.what, "audit-0000000001.log is broken: it is too short");
    assert!(matches!(verify(folder.path(), None), Err(Error::Broken { line: 3, .. })));
    // It is told as well where the broken file was mended by taking the line out.
    bytes.truncate(bytes.len() - 14);
    fs::write(log(folder.path()), &bytes).unwrap();
    assert!(matches!(verify(folder.path(), None), Err(Error::Broken { line: 1, .. })));
}

#[test]
fn a_service_starts_without_its_log_and_writes_it_when_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("audit");
    // Nobody can make a folder here, root as little as others.
    fs::write(&folder, "in the way").unwrap();
    let metrics = Metrics::new();
    let audit = Audit::open(&folder, &metrics).unwrap();
    assert!(metrics.render().contains("\njaego_audit_failing 1\n"), "{}", metrics.render());
    audit.record(entry(Kind::Denied, "GET /v1/sites"));
    while !metrics.render().contains("\njaego_audit_lines_suppressed 1\n") {
        thread::sleep(Duration::from_millis(20));
    }
    fs::remove_file(&folder).unwrap();
    while metrics.render().contains("\njaego_audit_failing 1\n") {
        thread::sleep(Duration::from_millis(20));
    }
    audit.close();
    let told: Vec<_> = told(&folder).into_iter().map(|(_, kind, what, count)| (kind, what, count)).collect();
    let line = |kind, what: &str, count| (kind, what.to_owned(), count);
    assert_eq!(
        told,
        [
            line(Kind::Opened, "", 0),
            line(Kind::Started, "", 0),
            line(Kind::Suppressed, "denied", 1),
            line(Kind::Stopped, "", 0),
        ]
    );
}

#[test]
fn what_was_written_before_a_failure_is_not_counted_as_lost() {
    let (lines, queue) = sync_channel(QUEUE_LEN);
    let shared = Shared {
        lines,
        callers: Budget::new(LINES_A_SECOND_MAX),
        anonymous: Budget::new(ANONYMOUS_LINES_A_SECOND_MAX),
        suppressed: Default::default(),
        suppressed_total: AtomicU64::new(0),
        begun: Instant::now(),
        thread: Mutex::default(),
    };
    let kinds = [Kind::Denied, Kind::Read, Kind::Read, Kind::TokenCreated];
    kinds.iter().for_each(|kind| shared.lines.send(entry(*kind, "")).unwrap());
    let (mut turn, mut seen) = (0, Vec::new());
    write(&queue, &shared, Vec::new(), |entries| {
        turn += 1;
        if turn == 1 {
            shared.lines.send(entry(Kind::Stopped, "")).unwrap();
            return 2;
        }
        seen = entries.iter().map(|entry| (entry.kind, entry.what.clone(), entry.count)).collect();
        entries.len()
    });
    let line = |kind, what: &str, count| (kind, what.to_owned(), count);
    assert_eq!(
        seen,
        [line(Kind::TokenCreated, "", 0), line(Kind::Suppressed, "read", 1), line(Kind::Stopped, "", 0),]
    );
    assert_eq!(shared.suppressed_total.into_inner(), 1);
}

#[test]
fn a_reader_waits_for_the_line_that_is_being_written() {
    let folder = tempfile::tempdir().unwrap();
    append(folder.path(), entry(Kind::Denied, "first")).unwrap();
    let longer = {
        let copy = tempfile::tempdir().unwrap();
        fs::copy(log(folder.path()), log(copy.path())).unwrap();
        append(copy.path(), entry(Kind::Denied, "second")).unwrap();
        fs::read(log(copy.path())).unwrap()
    };
    let lock = fs::OpenOptions::new().write(true).open(folder.path().join("lock")).unwrap();
    lock.lock().unwrap();
    fs::write(log(folder.path()), &longer[..longer.len() - 30]).unwrap();
    let verified = thread::scope(|scope| {
        let reader = scope.spawn(|| verify(folder.path(), None));
        thread::sleep(Duration::from_millis(100));
        fs::write(log(folder.path()), &longer).unwrap();
        lock.unlock().unwrap();
        reader.join().unwrap()
    });
    assert_eq!(verified.unwrap().last, 3);
}

#[test]
fn the_oldest_file_may_leave_while_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    two_files(folder.path());
    let mut read = lines(folder.path()).unwrap();
    fs::remove_file(log(folder.path())).unwrap();
    assert_eq!(read.next().unwrap().unwrap().0.entry.kind, Kind::Opened);
    assert!(read.next().is_none());
}
