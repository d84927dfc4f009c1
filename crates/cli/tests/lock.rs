//! `jaego lock`, as people use it: the binary beside a program that holds locks on a real Redis and PostgreSQL.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use jaego_lock::{Guard, Locks, Lost, Outcome, Postgres, PostgresOptions, Redis, RedisOptions};
use jaego_testkit as testkit;
use tokio::time::timeout;

const PROGRAM: &str = env!("CARGO_BIN_EXE_jaego");
const PATIENCE: Duration = Duration::from_secs(5);

/// What a command printed, and its exit code.
struct Ran {
    out: String,
    err: String,
    code: i32,
}

/// Runs `jaego lock …` with an answer on its standard input.
async fn lock(server: &[&str], arguments: &str, answer: &str) -> Ran {
    let mut command = Command::new(PROGRAM);
    command.arg("lock").args(server).args(arguments.split_whitespace()).env_clear();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let answer = answer.to_owned();
    let ran = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().unwrap();
        // One that does not ask has ended before it could read the answer.
        let _ = child.stdin.take().unwrap().write_all(answer.as_bytes());
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ran { out: text(output.stdout), err: text(output.stderr), code: output.status.code().unwrap() }
    });
    ran.await.unwrap()
}

/// The words of a table's row.
fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// The same on each server.
async fn locks_are_listed_shown_and_broken(server: &[&str], locks: &Locks) {
    let held = locks.lock("product:17").acquire().await.unwrap();
    let many: [Guard; 2] = [
        locks.mode("transfer:T-1", "allocate").acquire().await.unwrap(),
        locks.mode("transfer:T-1", "allocate").acquire().await.unwrap(),
    ];
    let cancel = tokio::spawn(locks.lock("transfer:T-1").wait(Duration::from_secs(60)).acquire());
    let queued = async {
        while locks.look("transfer:T-1").await.unwrap().waiters_count == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, queued).await.unwrap();

    let list = lock(server, "list", "").await;
    assert_eq!((list.code, list.err.as_str()), (0, ""));
    let lines: Vec<_> = list.out.lines().map(words).collect();
    assert_eq!(lines[0], ["LOCK", "MODE", "HELD", "BY", "FENCE", "ENDS", "IN", "WAITING"]);
    let fence = held.fence().to_string();
    assert_eq!(lines[1][..4], ["product:17", "exclusive", "till-3", &fence]);
    assert_eq!(lines[2][..4], ["transfer:T-1", "allocate", "2", "holders"]);
    assert_eq!(lines[2].last(), Some(&"1"));
    assert_eq!(lines.len(), 3);
    assert_eq!(lock(server, "list transfer:", "").await.out.lines().count(), 2);
    let some = lock(server, "list --limit 1", "").await;
    assert_eq!((some.code, some.out.lines().count()), (0, 2));
    assert!(some.err.contains("there are more"), "{}", some.err);

    let shown = lock(server, "show transfer:T-1", "").await;
    assert_eq!(shown.code, 0, "{}", shown.err);
    assert!(shown.out.starts_with("transfer:T-1 is held (allocate)\n"), "{}", shown.out);
    assert_eq!(shown.out.matches("till-3").count(), 3, "two holders and a waiter: {}", shown.out);
    let json: serde_json::Value =
        serde_json::from_str(&lock(server, "show transfer:T-1 --json", "").await.out).unwrap();
    assert_eq!(json["holders"][1]["fence"], many[1].fence());
    assert_eq!(json["waiters"][0]["mode"], "exclusive");
    assert!(json["holders"][0]["remaining_ms"].as_u64().is_some_and(|left| left <= 10_001), "{json}");

    // Asked, and not answered with yes.
    for answer in ["n\n", ""] {
        let kept = lock(server, "break product:17", answer).await;
        assert_eq!((kept.code, kept.out.as_str()), (3, ""), "{}", kept.err);
        let told = format!("product:17 is held by till-3 with the fence {fence} for another ");
        assert!(kept.err.starts_with(&told) && kept.err.contains("break it? [y/N]"), "{}", kept.err);
    }
    assert!(held.is_valid());
    let broken = lock(server, "break product:17", "y\n").await;
    assert_eq!(broken.code, 0, "{}", broken.err);
    let told = format!("product:17 is broken: till-3 held it with the fence {fence}\n");
    assert!(broken.out.starts_with(&told), "{}", broken.out);
    assert_eq!(timeout(PATIENCE, held.lost()).await.unwrap(), Lost::Broken);
    let next = locks.lock("product:17").acquire().await.unwrap();
    let greatest: u64 = words(&broken.out).last().unwrap().parse().unwrap();
    assert!(held.fence() < greatest && greatest < next.fence(), "{}", broken.out);
    assert!(matches!(held.release().await, Outcome::Broken));

    // One of two who share a lock, by its fence; and in a script.
    let arguments = format!("break transfer:T-1 --fence {} --yes --json", many[0].fence());
    let broken: serde_json::Value = serde_json::from_str(&lock(server, &arguments, "").await.out).unwrap();
    assert_eq!(broken["ended"][0]["fence"], many[0].fence());
    assert_eq!(broken["ended"].as_array().map(Vec::len), Some(1));
    assert_eq!(timeout(PATIENCE, many[0].lost()).await.unwrap(), Lost::Broken);
    assert!(many[1].is_valid());
    let gone = lock(server, &arguments, "").await;
    assert_eq!(gone.code, 3);
    assert!(gone.out.contains("\"code\":\"not_held\""), "{}", gone.out);
    drop(many);
    drop(timeout(PATIENCE, cancel).await.unwrap().unwrap().unwrap());
    assert!(next.release().await.was_held());

    let free = lock(server, "show product:17", "").await;
    assert_eq!((free.code, free.out.as_str()), (0, "nobody holds product:17\n"));
    let refused = lock(server, "break product:17 --yes", "").await;
    assert_eq!((refused.code, refused.out.as_str()), (3, ""));
    assert!(
        refused.err.starts_with("jaego: refused: nobody holds product:17 (not_held)\n"),
        "{}",
        refused.err
    );
    assert_eq!(lock(server, "show a\tb", "").await.code, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn locks_on_redis_are_listed_shown_and_broken() {
    let redis = testkit::Redis::start(&testkit::RedisOptions::default()).unwrap();
    let url = redis.url();
    let server = ["--redis", url.as_str()];

    // Before anybody has kept locks there. Looking does not decide how they will be laid out.
    let nothing = lock(&server, "list", "").await;
    assert_eq!(nothing.code, 0, "{}", nothing.err);
    assert_eq!(nothing.err, "no program has kept locks there under the prefix jaego\n");
    assert_eq!(lock(&server, "break product:17 --yes", "").await.code, 3);

    let options = RedisOptions::new(&url).unwrap().shards(7).unwrap();
    let options = options.quarantine(Duration::ZERO).process_name("till-3");
    locks_are_listed_shown_and_broken(&server, &Locks::new(Redis::start(options))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn locks_on_postgres_are_listed_shown_and_broken() {
    let postgres = testkit::Postgres::start(&testkit::PostgresOptions::default()).unwrap();
    let url = postgres.url("postgres");
    let server = ["--postgres", url.as_str()];

    let missing = lock(&server, "list", "").await;
    assert_eq!((missing.code, missing.out.as_str()), (1, ""));
    assert!(missing.err.contains("the schema jaego_lock is not there"), "{}", missing.err);

    let options = PostgresOptions::new(&url).unwrap().process_name("till-3");
    options.migrate().await.unwrap();
    locks_are_listed_shown_and_broken(&server, &Locks::new(Postgres::start(options))).await;
}

#[tokio::test]
async fn a_server_must_be_named_and_there() {
    let nowhere = lock(&[], "list", "").await;
    assert_eq!(nowhere.code, 2);
    assert!(nowhere.err.contains("Say --redis URL or --postgres URL"), "{}", nowhere.err);
    assert_eq!(lock(&["--redis", "http://x"], "list", "").await.code, 2);
    let port = testkit::free_port().unwrap();
    for server in [["--redis", "redis"], ["--postgres", "postgres"]] {
        let [flag, scheme] = server;
        let url = format!("{scheme}://user:secret@127.0.0.1:{port}/");
        let silent = lock(&[flag, &url], "list", "").await;
        assert_eq!((silent.code, silent.out.as_str()), (4, ""), "{}", silent.err);
        assert!(silent.err.contains("try: look whether the server runs"), "{}", silent.err);
        assert!(!silent.err.contains("secret"), "{}", silent.err);
    }
}
