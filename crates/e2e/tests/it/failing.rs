//! A disk that fails under the real process (row E6): the system's calls give back EIO. Nothing is answered after it that
//! rests on what failed, no sync is tried again, the process ends, and a restart has all that was answered.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Mutex,
    thread,
    time::Duration,
};

use jaego_testkit::wait_until;
use serde_json::{Value, json};

use crate::{
    http::Connection,
    jaego::{Jaego, hold, ok, stock},
    seeds::skipped,
};

const CALLERS: usize = 8;
const PATIENCE: Duration = Duration::from_secs(20);

/// Begins to have the `nth` of these calls on a file fail in a running process; an error where that cannot be done here.
fn inject(pid: u32, file: &Path, call: &str, nth: usize, trace: &Path) -> Result<Child, String> {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-e", "trace=fdatasync,fsync,pwrite64,pwritev,pwritev2", "-e", "signal=none"]);
    command.arg("-e").arg(format!("inject={call}:error=EIO:when={nth}"));
    command.arg("-P").arg(file).arg("-o").arg(trace).args(["-p", &pid.to_string()]);
    let mut tracer = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().map_err(|error| {
        let error = error.to_string();
        format!("strace: {error}; install the package strace")
    })?;
    let is_traced = || {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        tasks.into_iter().all(|task| {
            let status = fs::read_to_string(task.unwrap().path().join("status")).unwrap_or_default();
            !status.contains("TracerPid:\t0\n")
        })
    };
    let traced = wait_until("the tracer", PATIENCE, || {
        if is_traced() {
            return Some(Ok(()));
        }
        tracer.try_wait().unwrap().map(Err)
    });
    match traced.unwrap() {
        Ok(()) => Ok(tracer),
        Err(_) => {
            let output = tracer.wait_with_output().unwrap();
            Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
        }
    }
}

/// What a caller was told.
#[derive(Default)]
struct Told {
    /// The outcomes of holds, by id.
    answered: BTreeMap<String, Value>,
    /// Holds that were asked for.
    asked: Vec<String>,
    /// Answers `store_failed`.
    failed: usize,
}

/// Places holds until the connection is closed.
fn work(mut connection: Connection, caller: usize, told: &Mutex<Told>) {
    let mut has_failed = false;
    for number in 0.. {
        let id = format!("H{caller}-{number}");
        told.lock().unwrap().asked.push(id.clone());
        let Ok((status, answer)) = connection.post("/v1/holds", &hold(&id, "mug", 1)) else { return };
        let mut told = told.lock().unwrap();
        match status {
            200 => {
                assert!(!has_failed, "{id} was answered after the store had failed");
                told.answered.insert(id, answer);
            }
            503 if answer["code"] == "store_failed" => {
                has_failed = true;
                told.failed += 1;
            }
            // It drains; what comes now is refused whole.
            503 if answer["code"] == "closed" => has_failed = true,
            _ => panic!("{status} {answer}"),
        }
    }
}

#[test]
fn a_call_that_fails_ends_the_service_and_nothing_that_was_answered_is_lost() {
    for (call, nth) in [
        ("fdatasync", 1),
        ("fdatasync", 2),
        ("fdatasync", 17),
        ("fdatasync", 60),
        ("pwrite64", 1),
        ("pwrite64", 2),
        ("pwrite64", 33),
    ] {
        let what = format!("{call} {nth}");
        let mut jaego = Jaego::start();
        let mut connection = jaego.connect();
        stock(&mut connection, &["mug".into()], 1_000_000);
        ok(connection.post("/v1/holds", &hold("before", "mug", 1)).unwrap());
        let files = fs::read_dir(jaego.data.join("store")).unwrap().map(|entry| entry.unwrap().path());
        let journal =
            files.into_iter().find(|path| path.extension().is_some_and(|end| end == "journal")).unwrap();
        let trace = jaego.data.join("trace");
        let mut tracer = match inject(jaego.server.id(), &journal, call, nth, &trace) {
            Ok(tracer) => tracer,
            Err(why) => {
                skipped(&format!("system calls cannot be made to fail here ({why})"));
                return;
            }
        };
        let told = Mutex::new(Told::default());
        thread::scope(|scope| {
            for caller in 0..CALLERS {
                let connection = jaego.connect();
                let told = &told;
                scope.spawn(move || work(connection, caller, told));
            }
        });
        let status = jaego.server.wait_exit(PATIENCE).unwrap();
        tracer.wait().unwrap();
        assert_eq!(status.code(), Some(1), "{what}: {}", jaego.server.stderr());
        assert!(jaego.server.stderr().contains("the store has failed"), "{what}: {}", jaego.server.stderr());

        let calls = fs::read_to_string(&trace).unwrap();
        let injected = calls.lines().position(|line| line.contains("INJECTED")).unwrap_or_else(|| {
            panic!("{what}: no call failed:\n{calls}");
        });
        // Writes and syncs of the journal are one thread's, one after the other.
        let later: Vec<_> =
            calls.lines().skip(injected + 1).filter(|line| line.contains("fdatasync(")).collect();
        assert!(later.is_empty(), "{what}: after a failure it went on: {later:?}");

        let told = told.into_inner().unwrap();
        assert!(told.failed > 0, "{what}: whoever waited is told that the store has failed");
        jaego.server.restart().unwrap();
        let mut connection = jaego.connect();
        let mut held = 1;
        for id in &told.asked {
            let (status, _) = connection.get(&format!("/v1/holds/{id}")).unwrap();
            held += u64::from(status == 200);
            let Some(before) = told.answered.get(id) else { continue };
            let mut again = ok(connection.post("/v1/holds", &hold(id, "mug", 1)).unwrap());
            again["repeat"] = json!(false);
            assert_eq!(&again, before, "{what}: {id}");
        }
        assert_eq!(
            ok(connection.get("/v1/skus/mug/stock").unwrap())["items"][0]["held"],
            json!(held),
            "{what}"
        );
        println!("{what}: {} answered, {} told that it failed", told.answered.len(), told.failed);
        jaego.end();
    }
}
