//! Processes under test: how they become ready, what they print, how they end, and that they never
//! outlive the test.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use jaego_testkit::{Durability, Error, Ready, Redis, RedisOptions, Server, ServerOptions, wait_until};

const PATIENCE: Duration = Duration::from_secs(20);

fn shell(script: &str, ready: Option<Ready>) -> ServerOptions {
    ServerOptions {
        program: PathBuf::from("/bin/sh"),
        args: vec!["-c".into(), script.into()],
        env: vec![("GREETING".into(), "hello".into())],
        ready,
    }
}

fn line(prefix: &str) -> Option<Ready> {
    Some(Ready::Line(prefix.to_owned()))
}

#[test]
fn it_is_ready_when_its_line_is_there() {
    let script = "echo $GREETING >&2; sleep 0.1; echo 'admin token: jaego_1'; exec sleep 600";
    let server = Server::start(shell(script, line("admin token: "))).unwrap();
    assert_eq!(server.wait_line("admin token: ", PATIENCE).unwrap(), "jaego_1");
    assert_eq!(server.stderr(), "hello\n");
}

#[test]
fn it_is_ready_when_it_says_that_it_is_healthy() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let asked = thread::spawn(move || {
        let statuses = ["503 Service Unavailable", "200 OK"];
        statuses.map(|status| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 512];
            let len = stream.read(&mut request).unwrap();
            write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").unwrap();
            String::from_utf8_lossy(&request[..len]).into_owned()
        })
    });
    let server = Server::start(shell("exec sleep 600", Some(Ready::Health(addr)))).unwrap();
    let requests = asked.join().unwrap();
    assert!(requests.iter().all(|request| request.starts_with("GET /healthz HTTP/1.1\r\n")), "{requests:?}");
    drop(server);
}

#[test]
fn one_that_ends_before_it_is_ready_shows_its_log() {
    let script = "echo 'cannot open the store' >&2; exit 3";
    let error = Server::start(shell(script, line("listening"))).unwrap_err();
    let Error::Ended { status, log, .. } = &error else { panic!("{error}") };
    assert_eq!(status.code(), Some(3));
    assert_eq!(log, "cannot open the store");
}

#[test]
fn it_ends_as_it_was_told_and_starts_again() {
    let script = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done";
    let mut server = Server::start(shell(script, line("ready"))).unwrap();
    assert_eq!(server.exit_status().unwrap(), None);
    assert_eq!(server.terminate().unwrap().code(), Some(7));
    assert!(matches!(server.kill_9(), Err(Error::NotRunning { .. })));

    server.restart().unwrap();
    assert_eq!(server.stdout(), "ready\n");
    server.kill_9().unwrap();
    assert_eq!(server.exit_status().unwrap().unwrap().code(), None, "a signal has no code");
}

#[test]
fn a_stopped_process_does_nothing_until_it_goes_on() {
    let script = "echo ready; while :; do echo tick; sleep 0.01; done";
    let mut server = Server::start(shell(script, line("tick"))).unwrap();
    server.stop().unwrap();
    let before = server.stdout().len();
    thread::sleep(Duration::from_millis(100));
    assert_eq!(server.stdout().len(), before);
    server.cont().unwrap();
    wait_until("another tick", PATIENCE, || (server.stdout().len() > before).then_some(())).unwrap();
}

#[test]
fn it_ends_when_dropped_with_the_processes_that_it_started() {
    let script = "sleep 600 & echo child $!; wait";
    let server = Server::start(shell(script, line("child"))).unwrap();
    let child = server.wait_line("child ", PATIENCE).unwrap();
    let parent = server.id().to_string();
    assert!(runs(&child));
    drop(server);
    assert!(!runs(&child));
    assert!(!runs(&parent));
}

/// The test starts itself a second time, and that second process is killed while it owns a server.
#[test]
fn a_server_ends_when_the_test_is_killed() {
    const OWNER: &str = "JAEGO_TESTKIT_OWNER";
    if std::env::var_os(OWNER).is_some() {
        let redis =
            Redis::start(&RedisOptions { durability: Durability::None, ..RedisOptions::default() }).unwrap();
        fs::write(std::env::temp_dir().join("addr"), redis.addr().to_string()).unwrap();
        thread::sleep(Duration::from_secs(600));
        unreachable!("the owner is killed long before");
    }

    let folder = tempfile::tempdir().unwrap();
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "server::a_server_ends_when_the_test_is_killed"])
        .env(OWNER, "1")
        .env("TMPDIR", folder.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let addr = wait_until("the owner's server", PATIENCE, || {
        fs::read_to_string(folder.path().join("addr")).ok()?.parse::<std::net::SocketAddr>().ok()
    })
    .unwrap();
    assert!(std::net::TcpStream::connect(addr).is_ok());

    owner.kill().unwrap();
    owner.wait().unwrap();
    let killed = Instant::now();
    wait_until("the server's end", PATIENCE, || std::net::TcpStream::connect(addr).err()).unwrap();
    assert!(killed.elapsed() < PATIENCE);
}

/// Whether a process is there and not merely waiting to be reaped.
fn runs(id: &str) -> bool {
    fs::read_to_string(format!("/proc/{id}/stat"))
        .is_ok_and(|stat| !stat.rsplit_once(')').unwrap().1.trim_start().starts_with('Z'))
}
