use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use super::*;

fn grant(name: &str, role: Role) -> TokenGrant {
    TokenGrant { name: name.to_owned(), role, sites: None, rate: None }
}

#[test]
fn a_new_token_opens_the_door_and_a_revoked_one_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.json");
    let tokens = Tokens::open(&path).unwrap();
    let mut bound = grant("foreman-kim", Role::Worker);
    bound.sites = Some(vec!["ICN".to_owned()]);
    let (id, token) = tokens.create(bound).unwrap();
    let (_, other) = tokens.create(grant("other", Role::Admin)).unwrap();

    let caller = tokens.verify(token.reveal()).unwrap();
    assert_eq!((caller.name(), caller.role()), ("foreman-kim", Role::Worker));
    assert!(caller.may_enter("ICN") && !caller.may_enter("PUS"));
    assert!(tokens.verify(other.reveal()).unwrap().may_enter("PUS"));
    assert_eq!(tokens.list().len(), 2);

    tokens.revoke(id).unwrap();
    assert!(tokens.verify(token.reveal()).is_none());
    assert!(tokens.verify(other.reveal()).is_some());
    assert!(matches!(tokens.revoke(id), Err(Error::NotFound(gone)) if gone == id));

    let again = Tokens::open(&path).unwrap();
    assert_eq!(again.list(), tokens.list());
    assert!(again.verify(other.reveal()).is_some());
}

#[test]
fn only_the_whole_token_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = Tokens::open(folder.path().join("tokens.json")).unwrap();
    let (id, token) = tokens.create(grant("a", Role::Reader)).unwrap();
    let (_, other) = tokens.create(grant("b", Role::Reader)).unwrap();
    let text = token.reveal();
    let secret = text.rsplit_once('_').unwrap().1;
    let other_secret = other.reveal().rsplit_once('_').unwrap().1;
    for wrong in [
        String::new(),
        "jaego_".to_owned(),
        secret.to_owned(),
        text.to_uppercase(),
        text[..text.len() - 1].to_owned(),
        format!("{text}0"),
        format!(" {text}"),
        format!("jaego_{id}_{other_secret}"),
        format!("jaego_0123456789abcdef_{secret}"),
        // The digest in place of the secret, as a thief of the file would try.
        format!("jaego_{id}_{}", hex(&Sha256::digest(b""))),
        format!("jaego_0123456789abcdef_{}", "0".repeat(64)),
    ] {
        assert!(tokens.verify(&wrong).is_none(), "{wrong}");
    }
    assert!(tokens.verify(text).is_some());
}

#[test]
fn another_process_is_seen_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.json");
    let server = Tokens::open(&path).unwrap();
    let tool = Tokens::open(&path).unwrap();
    let (id, token) = tool.create(grant("a", Role::Reader)).unwrap();
    assert!(server.verify(token.reveal()).is_none());
    assert!(server.reload_if_changed().unwrap());
    assert!(!server.reload_if_changed().unwrap());
    assert!(server.verify(token.reveal()).is_some());
    tool.revoke(id).unwrap();
    assert!(server.reload_if_changed().unwrap());
    assert!(server.verify(token.reveal()).is_none());
}

/// Who administers a machine revokes tokens as root; the service runs as somebody else.
#[test]
fn whose_the_file_was_has_it_after_another_one_wrote_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.json");
    let tokens = Tokens::open(&path).unwrap();
    let (id, _) = tokens.create(grant("a", Role::Reader)).unwrap();
    const SERVICE: u32 = 4_711;
    if std::os::unix::fs::chown(&path, Some(SERVICE), Some(SERVICE)).is_err() {
        // Only root gives files away.
        return;
    }
    tokens.revoke(id).unwrap();
    let meta = fs::metadata(&path).unwrap();
    assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o777), (SERVICE, SERVICE, 0o600));
}

#[test]
fn two_writers_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.json");
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let path = &path;
            scope.spawn(move || {
                let tokens = Tokens::open(path).unwrap();
                for count in 0..5 {
                    tokens.create(grant(&format!("{writer}-{count}"), Role::Reader)).unwrap();
                }
            });
        }
    });
    assert_eq!(Tokens::open(&path).unwrap().list().len(), 20);
}

#[test]
fn the_file_is_for_its_owner_and_holds_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.json");
    let tokens = Tokens::open(&path).unwrap();
    let (_, token) = tokens.create(grant("a", Role::Reader)).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    let secret = token.reveal().rsplit_once('_').unwrap().1;
    assert!(!fs::read_to_string(&path).unwrap().contains(secret));
    assert!(!format!("{tokens:?} {token:?} {:?}", tokens.list()).contains(secret));

    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(Tokens::open(&path), Err(Error::OpenToOthers { mode: 0o640, .. })));
}

#[test]
fn a_damaged_file_is_refused_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.json");
    let tokens = Tokens::open(&path).unwrap();
    let (_, token) = tokens.create(grant("a", Role::Reader)).unwrap();
    let sound = fs::read_to_string(&path).unwrap();
    for damaged in [
        sound[..sound.len() / 2].to_owned(),
        sound.replace("\"version\": 1", "\"version\": 2"),
        sound.replace("reader", "emperor"),
        sound.replace("\"sha256\": \"", "\"sha256\": \"x"),
        sound.replace("\"name\": \"a\"", "\"name\": \"\""),
        sound.replace("\"name\"", "\"nickname\": \"x\", \"name\""),
    ] {
        fs::write(&path, &damaged).unwrap();
        assert!(tokens.reload_if_changed().is_err(), "{damaged}");
        assert!(tokens.reload_if_changed().is_err(), "the second look must not call it unchanged: {damaged}");
        assert!(tokens.verify(token.reveal()).is_some());
    }
    fs::remove_file(&path).unwrap();
    assert!(tokens.reload_if_changed().unwrap());
    assert!(tokens.verify(token.reveal()).is_none());
}

#[test]
fn names_and_sites_have_their_limits() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = Tokens::open(folder.path().join("tokens.json")).unwrap();
    let with_sites = |sites: &[&str]| TokenGrant {
        name: "n".to_owned(),
        role: Role::Reader,
        sites: Some(sites.iter().map(|site| (*site).to_owned()).collect()),
        rate: None,
    };
    let long = "s".repeat(65);
    for (grant, allowed) in [
        (grant("", Role::Reader), false),
        (grant(&"n".repeat(64), Role::Reader), true),
        (grant(&"n".repeat(65), Role::Reader), false),
        (grant("김철수", Role::Reader), false),
        (grant("line\nbreak", Role::Reader), false),
        (with_sites(&["ICN", "a-b_c.d:e"]), true),
        (with_sites(&["ICN", "has space"]), false),
        (with_sites(&[&long]), false),
        (with_sites(&[&long[..64]]), true),
    ] {
        assert_eq!(tokens.create(grant.clone()).is_ok(), allowed, "{grant:?}");
    }
}

#[test]
fn a_rate_is_kept_and_has_its_limits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.json");
    let tokens = Tokens::open(&path).unwrap();
    let with_rate =
        |per_s, burst| TokenGrant { rate: Some(Rate { per_s, burst }), ..grant("n", Role::Operator) };
    for (per_s, burst, allowed) in [
        (1, 1, true),
        (1_000_000, 1_000_000, true),
        (0, 1, false),
        (1, 0, false),
        (1_000_001, 1, false),
        (1, 1_000_001, false),
    ] {
        assert_eq!(tokens.create(with_rate(per_s, burst)).is_ok(), allowed, "{per_s} {burst}");
    }
    let (_, token) = tokens.create(with_rate(7, 9)).unwrap();
    let again = Tokens::open(&path).unwrap();
    assert_eq!(again.verify(token.reveal()).unwrap().rate(), Some(Rate { per_s: 7, burst: 9 }));
}

/// What versions without rates wrote, and what they can read back.
#[test]
fn a_token_without_a_rate_stands_in_the_file_as_it_always_did() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.json");
    let tokens = Tokens::open(&path).unwrap();
    let (_, token) = tokens.create(grant("a", Role::Reader)).unwrap();
    assert!(!fs::read_to_string(&path).unwrap().contains("rate"));
    assert_eq!(tokens.verify(token.reveal()).unwrap().rate(), None);
}
