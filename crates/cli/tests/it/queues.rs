//! The flags and settings of the queues: what is missing or wrong is told, with what to say instead.

use std::{fs, net::TcpListener, process::Command};

const REDIS: &str = "redis://ops:secret@127.0.0.1:1";

#[test]
fn what_is_missing_or_wrong_is_told() {
    // INTAKE stands for an intake that nothing is wrong with.
    let rows = [
        ("--outbox REDIS --outbox-max 9223372036854775808", "are more than the 9223372036854775807"),
        ("INTAKE --claim-idle-s 604801", "after 604800 seconds at the most, and not after 604801"),
        ("INTAKE --replies-max 18446744073709551615", "18446744073709551615 replies are more than"),
        ("--intake REDIS", "Say --stream"),
        ("--intake REDIS --stream orders", "Say --intake-token"),
        ("--stream orders", "Say --intake redis://"),
        ("--replies r", "--replies: commands from which server? Say --intake redis://"),
        ("--dead-letters r", "--dead-letters: commands"),
        ("--group g", "--group: commands"),
        ("--consumer c", "--consumer: commands"),
        ("--replies-max 7", "--replies-max: commands"),
        ("--dead-letters-max 7", "--dead-letters-max: commands"),
        ("--claim-idle-s 7", "--claim-idle-s: commands"),
        ("--keep-messages", "--keep-messages: commands"),
        ("--outbox REDIS --group g", "--group: commands"),
        ("--outbox-kind held", "--outbox-kind: events to which server? Say --outbox redis://"),
        ("--outbox-after 7", "--outbox-after: events"),
        ("--outbox-max 7", "--outbox-max: events"),
        ("--intake REDIS --stream orders --intake-token nobody", "there is no token \"nobody\""),
        (
            "--intake rediss://h --ca /nowhere/ca.pem --stream orders --intake-token admin",
            "--intake: cannot tell whose certificates to trust: cannot read /nowhere/ca.pem",
        ),
        (
            "--intake rediss://ops:secret@h/#insecure --stream orders --intake-token admin",
            "certificates are always looked at",
        ),
        ("--tls-cert cert.pem", "Say --tls-key"),
        ("--tls-key key.pem", "Say --tls-cert"),
        ("--intake REDIS --stream EMPTY --intake-token admin", "--stream: \"\" is no name"),
        ("INTAKE --replies o", "cannot be one: o"),
        ("INTAKE --dead-letters o", "cannot be one: o"),
        ("INTAKE --replies x --dead-letters x", "cannot be one: x"),
        ("INTAKE --outbox REDIS --outbox-stream o", "the stream o is the intake's"),
        ("INTAKE --outbox REDIS --outbox-stream o:dead", "the stream o:dead is the intake's"),
        ("--outbox REDIS --outbox-kind held,hold", "\"hold\" is no kind of event; the kinds are adjusted,"),
        ("--outbox 127.0.0.1", "--outbox: not the address"),
        ("--outbox-stream events", "Say --outbox redis://"),
    ];
    for (flags, expected) in rows {
        refused(flags, "", expected);
    }
}

#[test]
fn what_a_file_of_settings_lacks_or_has_wrong_is_told() {
    let rows = [
        (
            "--outbox REDIS --outbox-stream o:replies",
            "[intake]\nurl = \"redis://127.0.0.1:1\"\nstream = \"o\"\ntoken = \"admin\"\n",
            "the stream o:replies is the intake's",
        ),
        ("--outbox REDIS", "[outbox]\nkinds = [\"Held\"]\n", "\"Held\" is no kind of event"),
        ("", "[intake]\nurl = \"redis://h\"\nstream = \"orders\"\n", "Say --intake-token"),
        ("", "[outbox]\nuri = \"redis://h\"\n", "unknown field `uri`"),
    ];
    for (flags, file, expected) in rows {
        refused(flags, file, expected);
    }
}

/// The service does not start with these flags and settings, says why, and leaves nothing behind.
fn refused(flags: &str, file: &str, expected: &str) {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("settings.toml");
    fs::write(&settings, file).unwrap();
    let intake = "--intake REDIS --stream o --intake-token admin";
    let words = flags.replace("INTAKE", intake);
    let words = words.split_whitespace().map(|word| match word {
        "REDIS" => REDIS,
        "EMPTY" => "",
        _ => word,
    });
    let mut command = Command::new(env!("CARGO_BIN_EXE_jaego"));
    command.arg("serve").arg("--data").arg(folder.path().join("data")).args(["--listen", "127.0.0.1:0"]);
    let ran = command.arg("--config").arg(&settings).args(words).env_clear().output().unwrap();
    let told = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(2), "{flags}: {told}");
    assert!(told.contains(expected), "{flags}: {told}");
    assert!(!told.contains("secret"), "{told}");
    // A token that nobody will see again would be printed here, and a store made for nothing.
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "", "{flags}");
    assert!(!folder.path().join("data").exists(), "{flags}");
}

#[test]
fn nothing_is_made_for_an_address_that_cannot_be_had() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_jaego"));
    command.arg("serve").arg("--data").arg(&data).args(["--listen", &address]).env_clear();
    let ran = command.output().unwrap();
    let told = String::from_utf8_lossy(&ran.stderr);
    assert_eq!((ran.status.code(), &*ran.stdout), (Some(1), &b""[..]), "{told}");
    assert!(told.contains(&format!("cannot listen on {address}")), "{told}");
    assert!(!data.exists());
}

#[test]
fn an_empty_variable_says_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_jaego"));
    command.arg("serve").arg("--data").arg(&data).args(["--listen", &address]).env_clear();
    for name in [
        "INTAKE",
        "STREAM",
        "INTAKE_TOKEN",
        "REPLIES",
        "DEAD_LETTERS",
        "GROUP",
        "CONSUMER",
        "REPLIES_MAX",
        "DEAD_LETTERS_MAX",
        "CLAIM_IDLE_S",
        "OUTBOX",
        "OUTBOX_STREAM",
        "OUTBOX_MAX",
        "OUTBOX_KIND",
        "OUTBOX_AFTER",
        "CONFIG",
        "CA",
        "TLS_CERT",
        "TLS_KEY",
        "REQUESTS_PER_PEER",
        "LOG",
        "LOG_FORMAT",
    ] {
        command.env(format!("JAEGO_{name}"), "");
    }
    let ran = command.output().unwrap();
    let told = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(1), "{told}");
    assert!(told.contains(&format!("cannot listen on {address}")), "{told}");
}
