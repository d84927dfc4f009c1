//! The flags and settings of the queues: what is missing or wrong is told, with what to say instead.

use std::{fs, process::Command};

#[test]
fn what_is_missing_or_wrong_is_told() {
    const REDIS: &str = "redis://ops:secret@127.0.0.1:1";
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("settings.toml");
    let rows: [(&[&str], &str, &str); 21] = [
        (&["--intake", REDIS], "", "Say --stream"),
        (&["--intake", REDIS, "--stream", "orders"], "", "Say --intake-token"),
        (&["--stream", "orders"], "", "Say --intake redis://"),
        (
            &["--intake", REDIS, "--stream", "orders", "--intake-token", "nobody"],
            "",
            "there is no token \"nobody\"",
        ),
        (
            &[
                "--intake",
                "rediss://h",
                "--ca",
                "/nowhere/ca.pem",
                "--stream",
                "orders",
                "--intake-token",
                "admin",
            ],
            "",
            "--intake: cannot tell whose certificates to trust: cannot read /nowhere/ca.pem",
        ),
        (
            &["--intake", "rediss://ops:secret@h/#insecure", "--stream", "orders", "--intake-token", "admin"],
            "",
            "certificates are always looked at",
        ),
        (&["--tls-cert", "cert.pem"], "", "Say --tls-key"),
        (&["--tls-key", "key.pem"], "", "Say --tls-cert"),
        (&["--intake", REDIS, "--stream", "", "--intake-token", "admin"], "", "--stream: \"\" is no name"),
        (
            &["--intake", REDIS, "--stream", "orders", "--intake-token", "admin", "--replies", "orders"],
            "",
            "cannot be one: orders",
        ),
        (
            &["--intake", REDIS, "--stream", "orders", "--intake-token", "admin", "--dead-letters", "orders"],
            "",
            "cannot be one: orders",
        ),
        (
            &[
                "--intake",
                REDIS,
                "--stream",
                "o",
                "--intake-token",
                "admin",
                "--replies",
                "x",
                "--dead-letters",
                "x",
            ],
            "",
            "cannot be one: x",
        ),
        (
            &[
                "--intake",
                REDIS,
                "--stream",
                "o",
                "--intake-token",
                "admin",
                "--outbox",
                REDIS,
                "--outbox-stream",
                "o",
            ],
            "",
            "the stream o is the intake's",
        ),
        (
            &["--outbox", REDIS, "--outbox-stream", "o:replies"],
            "[intake]\nurl = \"redis://127.0.0.1:1\"\nstream = \"o\"\ntoken = \"admin\"\n",
            "the stream o:replies is the intake's",
        ),
        (
            &[
                "--intake",
                REDIS,
                "--stream",
                "o",
                "--intake-token",
                "admin",
                "--outbox",
                REDIS,
                "--outbox-stream",
                "o:dead",
            ],
            "",
            "the stream o:dead is the intake's",
        ),
        (
            &["--outbox", REDIS, "--outbox-kind", "held,hold"],
            "",
            "\"hold\" is no kind of event; the kinds are adjusted,",
        ),
        (&["--outbox", REDIS], "[outbox]\nkinds = [\"Held\"]\n", "\"Held\" is no kind of event"),
        (&["--outbox", "127.0.0.1"], "", "--outbox: not the address"),
        (&["--outbox-stream", "events"], "", "Say --outbox redis://"),
        (&[], "[intake]\nurl = \"redis://h\"\nstream = \"orders\"\n", "Say --intake-token"),
        (&[], "[outbox]\nuri = \"redis://h\"\n", "unknown field `uri`"),
    ];
    for (flags, file, expected) in rows {
        fs::write(&settings, file).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_jaego"));
        command.arg("serve").arg("--data").arg(folder.path().join("data")).args(["--listen", "127.0.0.1:0"]);
        let ran = command.arg("--config").arg(&settings).args(flags).env_clear().output().unwrap();
        let told = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(2), "{flags:?}: {told}");
        assert!(told.contains(expected), "{flags:?}: {told}");
        assert!(!told.contains("secret"), "{told}");
    }
}
