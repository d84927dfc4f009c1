//! Backups that are taken while eight clients are at work, held against the store that they were taken of.

use std::{
    fs,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use jaego_domain::{Event, Memory, Row, Sequence, Tables, apply_for_good};
use jaego_engine::{Config, disk::RealDisk, journal::Journal, open, state_hash};
use jaego_store::codec;
use jaego_testkit::{Ready, Server, ServerOptions, free_port, wait_until};
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_jaego");
const WAIT: Duration = Duration::from_secs(60);
const CLIENTS: u64 = 8;
const BACKUPS: u64 = 4;
/// Answers between two backups.
const ANSWERS_BETWEEN: u64 = 400;

/// Says that it is over when it goes.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// One connection that asks and waits.
struct Connection {
    stream: TcpStream,
    token: String,
}

impl Connection {
    fn open(addr: SocketAddr, token: &str) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(WAIT)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, token: token.to_owned() }
    }

    fn post(&mut self, path: &str, body: &Value) -> u16 {
        let (body, token) = (body.to_string(), &self.token);
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: jaego\r\nauthorization: Bearer {token}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.stream.write_all(request.as_bytes()).unwrap();
        self.answer().unwrap()
    }

    /// The status of an answer that came whole.
    fn answer(&mut self) -> io::Result<u16> {
        let (mut read, mut piece) = (Vec::new(), [0; 4_096]);
        loop {
            let text = String::from_utf8_lossy(&read).to_ascii_lowercase();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let len = head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
                if body.len() >= len.unwrap().parse::<usize>().unwrap() {
                    return Ok(head[9..12].parse().unwrap());
                }
            }
            match self.stream.read(&mut piece)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                len => read.extend_from_slice(&piece[..len]),
            }
        }
    }
}

fn hold(id: &str, sku: u64) -> Value {
    json!({"op": "hold", "id": id, "lines": [{"site": "ICN", "sku": format!("sku-{sku}"), "quantity": 1 + sku}]})
}

/// What a client does next: places, releases, confirms, finds, and now and then a batch.
fn work(connection: &mut Connection, client: u64, n: u64) {
    let id = format!("H{client}-{n}");
    let sku = n % 5;
    let single = |mut command: Value| {
        command.as_object_mut().unwrap().remove("op");
        command
    };
    let mut done = |path: &str, body: &Value| assert_eq!(connection.post(path, body), 200, "{path} {body}");
    match n % 6 {
        0..=2 => done("/v1/holds", &single(hold(&id, sku))),
        3 => done(&format!("/v1/holds/H{client}-{}/release", n - 1), &json!({})),
        4 => done(&format!("/v1/holds/H{client}-{}/confirm", n - 3), &json!({})),
        _ => {
            let commands: Vec<_> = (0..20).map(|part| hold(&format!("{id}-{part}"), part % 5)).collect();
            done("/v1/batch", &json!({"commands": commands}));
        }
    }
}

fn run(arguments: &[&str]) {
    let output = Command::new(PROGRAM).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The events of a data folder in order, read from its journal.
fn events(data: &Path) -> Vec<Event> {
    let disk = RealDisk::open(data.join("store")).unwrap();
    let mut recovery = Journal::open(disk, Config::default().journal, 1).unwrap();
    let mut events = Vec::new();
    while let Some(frame) = recovery.next().unwrap() {
        let decoded = codec::decode(frame.payload, Sequence(frame.first_sequence)).unwrap();
        events.extend(decoded.map(Result::unwrap));
    }
    events
}

/// What lies where, in the words of the store.
fn positions(memory: &Memory) -> Vec<String> {
    let mut positions: Vec<_> = memory
        .rows()
        .filter_map(|row| match row {
            Row::Position(place, position) => Some(format!("{place:?} {position:?}")),
            _ => None,
        })
        .collect();
    positions.sort();
    positions
}

#[test]
fn a_backup_under_load_is_the_store_as_it_was_at_its_last_event() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let addr = SocketAddr::from(([127, 0, 0, 1], free_port().unwrap()));
    let text = |path: &Path| path.display().to_string();
    let mut server = Server::start(ServerOptions {
        program: PROGRAM.into(),
        args: ["serve", "--data", &text(&data), "--listen", &addr.to_string(), "--log", "warn"]
            .map(Into::into)
            .into(),
        env: Vec::new(),
        ready: Some(Ready::Line("listening on ".into())),
    })
    .unwrap();
    let token = server.wait_line("admin token: ", WAIT).unwrap();
    let mut commands = vec![
        json!({"op": "set_site", "site": "ICN"}),
        json!({"op": "set_location", "site": "ICN", "location": "A-1", "kind": "storage"}),
    ];
    commands.extend((0..5).map(|sku| json!({"op": "set_sku", "sku": format!("sku-{sku}")})));
    let lines: Vec<_> = (0..5)
        .map(|sku| {
            let sku = format!("sku-{sku}");
            json!({"site": "ICN", "location": "A-1", "sku": sku, "change": 1_000_000, "account": "opening"})
        })
        .collect();
    commands.push(json!({"op": "adjust", "id": "opening", "lines": lines}));
    assert_eq!(Connection::open(addr, &token).post("/v1/batch", &json!({"commands": commands})), 200);

    let (answers, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        // However this ends, the clients end with it.
        let _over = Over(&is_over);
        for client in 0..CLIENTS {
            let (answers, is_over, token) = (&answers, &is_over, &token);
            scope.spawn(move || {
                let mut connection = Connection::open(addr, token);
                for n in 0.. {
                    if is_over.load(Ordering::SeqCst) {
                        return;
                    }
                    work(&mut connection, client, n);
                    answers.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        for backup in 0..BACKUPS {
            let before = answers.load(Ordering::SeqCst);
            wait_until("some answers", WAIT, || {
                (answers.load(Ordering::SeqCst) >= before + ANSWERS_BETWEEN).then_some(())
            })
            .unwrap();
            let to = folder.path().join(format!("backup-{backup}"));
            run(&["backup", "--data", &text(&data), "--to", &text(&to)]);
        }
    });
    assert!(server.terminate().unwrap().success());

    let all = events(&data);
    let mut last = 0;
    for backup in 0..BACKUPS {
        let from = folder.path().join(format!("backup-{backup}"));
        let manifest: Value = serde_json::from_slice(&fs::read(from.join("backup.json")).unwrap()).unwrap();
        let upto = manifest["sequence"].as_u64().unwrap();
        assert!(upto > last && upto < all.len() as u64, "{upto} of {} events, after {last}", all.len());
        last = upto;
        // The original, replayed up to the backup's last event.
        let mut memory = Memory::new();
        let known = &all[..usize::try_from(upto).unwrap()];
        known.iter().for_each(|event| drop(apply_for_good(&mut memory, event)));
        assert_eq!(memory.head().sequence, Sequence(upto));

        let to = folder.path().join(format!("restored-{backup}"));
        run(&["restore", "--from", &text(&from), "--data", &text(&to)]);
        assert!(events(&to) == known, "backup {backup}: other events");
        let disk = RealDisk::open(to.join("store")).unwrap();
        let restored = open(disk, Config::default().journal, |_| {}).unwrap();
        assert_eq!(positions(&restored.memory), positions(&memory), "backup {backup}");
        assert_eq!(restored.state_hash().unwrap(), state_hash(&memory), "backup {backup}");
        assert_eq!(manifest["state"], format!("{:032x}", state_hash(&memory)), "backup {backup}");
        println!("backup {backup}: {upto} of {} events", all.len());
    }
}
