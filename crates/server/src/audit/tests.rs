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
fn a_flood_is_counted_and_the_rare_come_through() {
    let folder = tempfile::tempdir().unwrap();
    let audit = Audit::open(folder.path(), &Metrics::new()).unwrap();
    let flood = 20 * LINES_A_SECOND_MAX;
    for number in 0..flood {
        audit.record(entry(Kind::Denied, &format!("GET /{number}")));
    }
    audit.close();
    let read: Vec<_> = lines(folder.path()).unwrap().map(|line| line.unwrap().0.entry).collect();
    let denied = read.iter().filter(|entry| entry.kind == Kind::Denied).count() as u64;
    let counted = read.iter().filter(|entry| entry.kind == Kind::Suppressed && entry.what == "denied");
    assert_eq!(denied + counted.map(|entry| entry.count).sum::<u64>(), flood);
    // The flood may reach over the turn of a second or two.
    assert!((1..=LINES_A_SECOND_MAX * 4).contains(&denied), "{denied} lines were written");
    assert_eq!(read.last().map(|entry| entry.kind), Some(Kind::Stopped));
}

#[test]
fn texts_of_others_are_shortened_at_a_letter() {
    assert_eq!(shortened("a\nb\u{0}c"), "abc");
    let long = "재".repeat(200);
    assert_eq!(shortened(&long).len(), TEXT_BYTES_MAX / 3 * 3);
}
