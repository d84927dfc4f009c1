//! A start with a long journal: who asks meanwhile is told how far it is, and a start that cannot be says why.

use std::{
    fs,
    io::ErrorKind,
    process::{Command, Output},
    thread,
    time::{Duration, Instant},
};

use jaego_testkit::{Server, ServerOptions, free_port};
use serde_json::json;

use crate::{
    http::Connection,
    jaego::{Jaego, hold, ok, program, stock},
};

/// Holds in the journal: a second or so of replay, which is looked at every few milliseconds.
const BATCHES: usize = 300;
const BATCH_LEN: usize = 1_000;
/// How often it is asked to end while it starts.
const TRIES: usize = 5;
/// How long it may take to end.
const ENDED_WITHIN: Duration = Duration::from_secs(20);
/// Longest that a start may take here.
const START_MAX: Duration = Duration::from_secs(60);

/// What a look at a service that is starting showed.
struct Look {
    reason: String,
    replayed: f64,
}

fn number(metrics: &str, name: &str) -> f64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name}")).parse().unwrap()
}

/// The hold that the given look of a start asks for.
fn early(look: usize) -> String {
    format!("early-{look}")
}

/// Asks all there is to ask, a hold of that name among it; nothing when it was ready before the last of the
/// answers: its hold may have been placed then.
fn look(connection: &mut Connection, early: &str) -> std::io::Result<Option<Look>> {
    let ask = |connection: &mut Connection, path| connection.send("GET", path, None, "");
    let stock = ask(connection, "/v1/stock?sku=mug")?;
    let placed = connection.send("POST", "/v1/holds", None, &hold(early, "mug", 1).to_string())?;
    let metrics = String::from_utf8(ask(connection, "/metrics")?.body).unwrap();
    assert_eq!(ask(connection, "/healthz")?.status, 200);
    let ready = ask(connection, "/readyz")?;
    if ready.status == 200 {
        return Ok(None);
    }
    // It was not ready yet when the others came.
    for refused in [stock, placed] {
        assert!(refused.head.contains("retry-after: 1"), "{}", refused.head);
        let (status, problem) = refused.json();
        assert_eq!((status, &problem["code"]), (503, &json!("starting")), "{problem}");
    }
    assert_eq!(number(&metrics, "jaego_starting"), 1.0);
    assert!(number(&metrics, "jaego_recovery_seconds") > 0.0);
    let replayed = number(&metrics, "jaego_recovery_events");
    let (status, problem) = ready.json();
    assert_eq!((status, &problem["code"]), (503, &json!("not_ready")));
    Ok(Some(Look { reason: problem["detail"].as_str().unwrap().to_owned(), replayed }))
}

/// Looks again and again until it is ready or `enough` of it was seen.
fn watch(addr: std::net::SocketAddr, token: &str, enough: impl Fn(&Look) -> bool) -> Vec<Look> {
    let end = Instant::now() + START_MAX;
    let mut looks = Vec::new();
    while Instant::now() < end {
        let mut connection = match Connection::open(addr, token) {
            Ok(connection) => connection,
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                thread::sleep(Duration::from_millis(1));
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        while let Some(seen) = look(&mut connection, &early(looks.len())).unwrap() {
            looks.push(seen);
            if looks.last().is_some_and(&enough) {
                return looks;
            }
            thread::sleep(Duration::from_millis(2));
        }
        return looks;
    }
    panic!("it was not ready within {START_MAX:?}");
}

#[test]
fn while_a_long_journal_is_replayed_it_says_how_far_it_is() {
    let mut jaego = Jaego::start();
    let mut connection = jaego.connect();
    stock(&mut connection, &["mug".into()], 10_000_000);
    for batch in 0..BATCHES {
        let commands: Vec<_> = (0..BATCH_LEN)
            .map(|number| {
                let mut command = hold(&format!("H{batch}-{number}"), "mug", 1);
                command["op"] = "hold".into();
                command
            })
            .collect();
        ok(connection.post("/v1/batch", &json!({"commands": commands})).unwrap());
    }
    jaego.server.kill_9().unwrap();
    let (addr, token, data) = (jaego.addr, jaego.token.clone(), jaego.data.clone());

    // Asked to end in the middle of it, it ends. A machine may be so quick that it is ready first: then once more.
    let ended_early = (0..TRIES).any(|_| {
        let mut early = Server::start(ServerOptions {
            program: program().to_owned(),
            args: vec![
                "serve".into(),
                "--listen".into(),
                addr.to_string().into(),
                "--data".into(),
                data.clone().into(),
            ],
            env: Vec::new(),
            ready: None,
        })
        .unwrap();
        watch(addr, &token, |_| true);
        let begun = Instant::now();
        assert!(early.terminate().unwrap().success(), "{}", early.stderr());
        assert!(begun.elapsed() < ENDED_WITHIN, "it took {:?} to end", begun.elapsed());
        !early.stdout().contains("listening on")
    });
    assert!(ended_early, "it was ready {TRIES} times before it could be asked to end");

    let looking = thread::spawn(move || watch(addr, &token, |_| false));
    jaego.server.restart().unwrap();
    let looks = looking.join().unwrap();
    let replaying: Vec<_> = looks.iter().filter(|look| look.replayed > 0.0).collect();
    println!("looked at {} times, {} of them while events were replayed", looks.len(), replaying.len());
    assert!(!replaying.is_empty(), "it was ready before it could be looked at");
    assert!(looks.is_sorted_by_key(|look| look.replayed), "it only gets more");
    let told = &replaying.last().unwrap().reason;
    assert!(told.starts_with("replaying: ") && told.ends_with(" events so far"), "{told}");

    let mut connection = jaego.connect();
    let metrics = String::from_utf8(connection.send("GET", "/metrics", None, "").unwrap().body).unwrap();
    assert_eq!(number(&metrics, "jaego_starting"), 0.0);
    assert!(number(&metrics, "jaego_recovery_events") >= (BATCHES * BATCH_LEN) as f64);
    assert!(number(&metrics, "jaego_recovery_seconds") > 0.0);
    assert!(number(&metrics, "jaego_clock_offset_seconds").abs() < 60.0);
    for refused in (0..looks.len()).map(early) {
        let status = connection.get(&format!("/v1/holds/{refused}")).unwrap().0;
        assert_eq!(status, 404, "what was refused changed nothing");
    }
    assert_eq!(ok(connection.get("/v1/holds/H0-0").unwrap())["status"], "held");
    jaego.end();
}

/// Has a service try to start, and waits for its end.
fn try_to_serve(data: &std::path::Path, listen: &str) -> Output {
    let begun = Instant::now();
    let mut command = Command::new("timeout");
    command.args(["--signal=KILL", "60"]).arg(program());
    let output = command.args(["serve", "--listen", listen, "--data"]).arg(data).output().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(20), "it took {:?} to say no", begun.elapsed());
    output
}

#[test]
fn a_crash_leaves_no_image_of_the_memory() {
    let jaego = Jaego::start();
    let limits = fs::read_to_string(format!("/proc/{}/limits", jaego.server.id())).unwrap();
    let core = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().take(2).collect::<Vec<_>>(), ["0", "0"], "{limits}");
    jaego.end();
}

#[test]
fn a_start_that_cannot_be_says_why_and_ends() {
    let mut jaego = Jaego::start();
    let mut connection = jaego.connect();
    stock(&mut connection, &["mug".into()], 10);
    ok(connection.post("/v1/holds", &hold("H1", "mug", 1)).unwrap());
    let elsewhere = format!("127.0.0.1:{}", free_port().unwrap());
    // The folder is told first, also where the address is taken as well.
    for listen in [elsewhere.clone(), jaego.addr.to_string()] {
        let refused = try_to_serve(&jaego.data, &listen);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert!(said.contains("is another jaego running on it?"), "{said}");
    }
    let other = tempfile::tempdir().unwrap();
    let taken = try_to_serve(&other.path().join("data"), &jaego.addr.to_string());
    let said = String::from_utf8_lossy(&taken.stderr);
    assert_eq!(taken.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot listen on"), "{said}");
    jaego.terminate();

    let files = fs::read_dir(jaego.data.join("store")).unwrap().map(|entry| entry.unwrap().path());
    let journal =
        files.into_iter().find(|path| path.extension().is_some_and(|end| end == "journal")).unwrap();
    let whole = fs::read(&journal).unwrap();
    let mut damaged = whole.clone();
    damaged[600] ^= 1;
    fs::write(&journal, damaged).unwrap();
    let refused = try_to_serve(&jaego.data, &elsewhere);
    let (said, out) = (String::from_utf8_lossy(&refused.stderr), String::from_utf8_lossy(&refused.stdout));
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot open the store in"), "{said}");
    assert!(!out.contains("listening on"), "{out}");

    fs::write(&journal, whole).unwrap();
    jaego.server.restart().unwrap();
    assert_eq!(ok(jaego.connect().get("/v1/holds/H1").unwrap())["status"], "held");
    jaego.end();
}
