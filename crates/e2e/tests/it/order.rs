//! No answer leaves before what it rests on is durable: the system calls of the process are written down and read.
//!
//! An answer is a write to a socket. It says in a header up to which event it saw, refusals and reads too. The event is
//! the write to a file that holds the hold's id, and it is durable when a sync of that file, begun after that write,
//! has come back. A tracer sees the calls of all threads in an order that they cannot have otherwise: a thread goes on
//! only after its call's end is written down, and so does whoever waits for it.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::Path,
    process::{Command, Stdio},
    thread,
};

use serde_json::json;

use crate::{
    jaego::{Jaego, hold, program, stock},
    seeds::{size, skipped},
};

const CALLERS: usize = 8;
/// Rounds of each caller on an ordinary day.
const ROUNDS: usize = 42;
/// Answers of one caller in one round: a hold, its repeat, a refusal, a read and a batch.
const ANSWERS_A_ROUND: usize = 5;

fn can_trace() -> Result<(), String> {
    let tried = Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).stdout(Stdio::null()).output();
    match tried {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Err(format!("strace: {error}; install the package strace")),
    }
}

#[test]
fn every_answer_leaves_after_the_sync_that_covers_it() {
    if let Err(why) = can_trace() {
        skipped(&format!("system calls cannot be traced here ({why})"));
        return;
    }
    let rounds = size(ROUNDS, 2_500);
    let folder = tempfile::Builder::new().prefix("jaego-e2e-").tempdir().unwrap();
    let (data, trace) = (folder.path().join("data"), folder.path().join("trace"));
    let calls = "trace=pwrite64,pwritev,pwritev2,write,writev,sendto,sendmsg,fdatasync,fsync";
    let mut before: Vec<String> =
        ["-f", "-qq", "-s", "1000000", "-e", calls, "-e", "signal=none", "-o"].map(Into::into).into();
    before.extend([trace.to_str().unwrap().to_owned(), program().to_str().unwrap().to_owned()]);
    let mut jaego = Jaego::start_as(folder, data, Path::new("strace"), before);
    stock(&mut jaego.connect(), &["mug".into()], 1_000_000);
    thread::scope(|scope| {
        for caller in 0..CALLERS {
            let mut connection = jaego.connect();
            scope.spawn(move || {
                for round in 0..rounds {
                    let id = format!("e8-{caller:02}-{round:04}");
                    for _ in 0..2 {
                        assert_eq!(connection.post("/v1/holds", &hold(&id, "mug", 1)).unwrap().0, 200);
                    }
                    assert_eq!(
                        connection.post("/v1/holds", &hold("greedy", "mug", 2_000_000)).unwrap().0,
                        409
                    );
                    assert_eq!(connection.get("/v1/stock?sku=mug").unwrap().0, 200);
                    let mut part = hold(&format!("{id}-b"), "mug", 1);
                    part["op"] = "hold".into();
                    assert_eq!(connection.post("/v1/batch", &json!({"commands": [part]})).unwrap().0, 200);
                }
            });
        }
    });
    // What waits for its end is the service; the tracer ends with it.
    let tracer = jaego.server.id();
    let children = fs::read_to_string(format!("/proc/{tracer}/task/{tracer}/children")).unwrap();
    let service = children.split_whitespace().next().expect("the tracer has a child").to_owned();
    assert!(Command::new("kill").args(["-TERM", &service]).status().unwrap().success());
    jaego.server.wait_exit(std::time::Duration::from_secs(20)).unwrap();
    let proof = Proof::of(&fs::read_to_string(&trace).unwrap());
    println!("{} answers over {} events, {} syncs", proof.answers, proof.durable.len(), proof.syncs);
    assert!(proof.early.is_empty(), "{} answers left early:\n{}", proof.early.len(), proof.early.join("\n"));
    assert!(proof.answers >= CALLERS * rounds * ANSWERS_A_ROUND, "{}", proof.answers);
    assert_eq!(
        proof.durable.len(),
        CALLERS * rounds * 2,
        "each hold is an event whose write and sync were seen"
    );
    jaego.verify();
}

/// What the calls say.
#[derive(Default)]
struct Proof {
    answers: usize,
    syncs: usize,
    /// For each event that holds were answered with, the line on which it was durable.
    durable: BTreeMap<u64, usize>,
    /// Answers that left before.
    early: Vec<String>,
}

impl Proof {
    fn of(trace: &str) -> Self {
        let mut proof = Self::default();
        // Ids by the file that they were written to and not yet synced, and those that a sync under way covers.
        let mut written: HashMap<String, Vec<String>> = HashMap::new();
        let mut syncing: HashMap<&str, Vec<String>> = HashMap::new();
        let mut durable: HashMap<String, usize> = HashMap::new();
        let mut answers: Vec<(usize, u64)> = Vec::new();
        let mut sequences: BTreeMap<u64, String> = BTreeMap::new();
        for (line, text) in trace.lines().enumerate() {
            let Some((thread, call)) = text.split_once(' ') else { continue };
            let call = call.trim_start();
            let end_of_sync = |call: &str| call.ends_with("= 0");
            let mut finish = |ids: Vec<String>, proof: &mut Proof| {
                proof.syncs += 1;
                ids.into_iter().for_each(|id| {
                    durable.entry(id).or_insert(line);
                });
            };
            if let Some(arguments) = call.strip_prefix("pwrite") {
                let file = arguments
                    .split_once('(')
                    .and_then(|(_, rest)| rest.split([',', ')']).next())
                    .unwrap_or_default();
                // The thread that writes the journal syncs it too, so that a write has ended when its sync begins.
                written.entry(file.to_owned()).or_default().extend(ids(arguments));
            } else if call.starts_with("fdatasync(") || call.starts_with("fsync(") {
                let file = call.split(['(', ')', ' ']).nth(1).unwrap_or_default();
                let covered = written.remove(file).unwrap_or_default();
                if call.contains("unfinished") {
                    syncing.insert(thread, covered);
                } else {
                    assert!(end_of_sync(call), "{call}");
                    finish(covered, &mut proof);
                }
            } else if call.starts_with("<... fdatasync resumed") || call.starts_with("<... fsync resumed") {
                assert!(end_of_sync(call), "{call}");
                let covered = syncing.remove(thread).unwrap_or_default();
                finish(covered, &mut proof);
            } else if call.contains("HTTP/1.1 ") {
                let said = call.replace("\\\"", "\"");
                let Some(sequence) =
                    number(&said, "jaego-sequence: ").or_else(|| number(&said, "\"sequence\":"))
                else {
                    continue;
                };
                proof.answers += 1;
                answers.push((line, sequence));
                for outcome in said.split("\"id\":\"").skip(1) {
                    let Some((id, rest)) = outcome.split_once('"') else { continue };
                    if let (true, Some(sequence)) =
                        (id.starts_with("e8-"), rest.strip_prefix(",\"sequence\":").and_then(digits))
                    {
                        sequences.insert(sequence, id.to_owned());
                    }
                }
            }
        }
        for (sequence, id) in sequences {
            let line = durable.get(&id).unwrap_or_else(|| panic!("{id} was answered and never synced"));
            proof.durable.insert(sequence, *line);
        }
        // An answer rests on every event up to its sequence.
        for (line, sequence) in answers {
            let late = proof.durable.range(..=sequence).find(|(_, durable)| **durable > line);
            if let Some((event, durable)) = late {
                proof
                    .early
                    .push(format!("line {line} rests on event {event}, which was durable on line {durable}"));
            }
        }
        proof
    }
}

/// The ids of holds in what was written to a file.
fn ids(bytes: &str) -> impl Iterator<Item = String> + '_ {
    bytes.match_indices("e8-").map(|(at, _)| {
        let id: String = bytes[at..].chars().take("e8-00-0000".len()).collect();
        if bytes[at + id.len()..].starts_with("-b") { format!("{id}-b") } else { id }
    })
}

fn number(text: &str, before: &str) -> Option<u64> {
    digits(text.split_once(before)?.1)
}

fn digits(text: &str) -> Option<u64> {
    text.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[test]
fn an_answer_that_left_early_is_seen() {
    let written = r#"7 pwrite64(5, "\0e8-00-0001\1", 512, 0) = 512"#;
    let answer = r#"8 sendto(9, "HTTP/1.1 200 OK\r\njaego-sequence: 4\r\n\r\n{\"id\":\"e8-00-0001\",\"sequence\":4}", 99, 0) = 99"#;
    let read = r#"8 sendto(9, "HTTP/1.1 200 OK\r\njaego-sequence: 4\r\n\r\n{}", 60, 0) = 60"#;
    let (begun, ended) = ("7 fdatasync(5 <unfinished ...>", "7 <... fdatasync resumed>) = 0");
    for (calls, early) in [
        (vec![written, "7 fdatasync(5) = 0", answer, read], 0),
        (vec![written, begun, ended, answer], 0),
        (vec![written, begun, answer, ended], 1),
        (vec![written, begun, read, ended, answer], 1),
        (vec![written, "7 fdatasync(6) = 0", answer, "7 fdatasync(5) = 0"], 1),
        (vec!["7 fdatasync(5) = 0", written, answer, "7 fdatasync(5) = 0"], 1),
    ] {
        assert_eq!(Proof::of(&calls.join("\n")).early.len(), early, "{calls:?}");
    }
}
