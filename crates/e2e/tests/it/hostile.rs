//! Broken, oversized and bottomless requests: each is refused, none makes the service fail or grow.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    path::Path,
    thread,
    time::Duration,
};

use jaego_api::{COMMANDS, READS};
use serde_json::json;

use crate::{
    jaego::{Jaego, hold, ok, stock},
    seeds::seed,
};

/// Kilobytes that memory may grow by while nothing is kept.
const GROWTH_KB: u64 = 16 * 1024;
/// The same after bodies of megabytes. Less than one body of the largest kind: what is only announced takes nothing.
const KEPT_KB: u64 = 10 * 1024;
/// Rounds of such bodies before that is asked: the allocator keeps some of what the first ones took for the next, up to a
/// level that it does not leave.
const WARM_UP_ROUNDS: usize = 5;

/// Sends bytes and reads the statuses of what comes back until the service closes. What is not answered within
/// `patience` is told that nothing follows: a service that sees the end before it has answered need not answer.
fn send(jaego: &Jaego, bytes: &[u8], patience: Duration) -> Vec<u16> {
    let mut stream = TcpStream::connect(jaego.addr).unwrap();
    stream.set_read_timeout(Some(patience)).unwrap();
    // The service may have seen enough and closed before it has everything.
    let _ = stream.write_all(bytes);
    let mut answer = vec![0; 64 * 1024];
    let len = stream.read(&mut answer).unwrap_or(0);
    let _ = stream.shutdown(Shutdown::Write);
    answer.truncate(len);
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let _ = stream.read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer);
    text.split("HTTP/1.1 ").skip(1).filter_map(|head| head.get(..3)?.parse().ok()).collect()
}

fn request(jaego: &Jaego, method: &str, path: &str, headers: &str, body: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {}\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n{body}",
        jaego.token,
        body.len()
    )
}

/// One well-formed request for each route, more or less: what it is about may not be there.
fn seeds(jaego: &Jaego) -> Vec<String> {
    let path = |path: &str| {
        let parts = path.split('/').map(|part| if part.starts_with('{') { "H1" } else { part });
        parts.collect::<Vec<_>>().join("/")
    };
    let body = json!({"id": "H1", "from": "ICN", "to": "PUS", "site": "ICN", "kind": "storage", "strategy": "fefo",
        "lines": [{"line": "1", "site": "ICN", "location": "A-01", "sku": "mug", "quantity": 3, "change": 3, "counted": 1}]});
    let batch = json!({"atomic": true, "commands": [{"op": "hold", "id": "H1", "lines": body["lines"]}]});
    let commands = COMMANDS
        .iter()
        .map(|row| request(jaego, row.method.as_str(), &path(row.path), "", &body.to_string()));
    let reads = READS
        .iter()
        .filter(|row| row.name != "events")
        .map(|row| request(jaego, "GET", &format!("{}?limit=5&sku=mug&after=p1", path(row.path)), "", ""));
    let others = [
        request(jaego, "POST", "/v1/holds", "", &hold("H1", "mug", 1).to_string()),
        request(jaego, "POST", "/v1/batch", "", &batch.to_string()),
        request(
            jaego,
            "POST",
            "/v1/batch",
            "content-type: application/x-ndjson\r\n",
            &format!("{}\n", batch["commands"][0]),
        ),
        request(jaego, "GET", "/v1/events?after=0&limit=5", "last-event-id: 1\r\n", ""),
    ];
    commands.chain(reads).chain(others).collect()
}

/// What fuzzing keeps of requests, batches and whole stories, as requests to the service.
fn corpus(jaego: &Jaego) -> Vec<String> {
    const NDJSON: &str = "content-type: application/x-ndjson\r\n";
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let texts = |target: &str| {
        let listed = fs::read_dir(folder.join(target)).unwrap();
        let mut files: Vec<_> = listed.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files.into_iter().map(|file| String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned())
    };
    let requests = texts("request").filter_map(|text| {
        let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
        let (line, headers) = head.split_once('\n').unwrap_or((head, ""));
        let (method, url) = line.split_once(' ')?;
        let headers: String = headers.lines().map(|header| format!("{header}\r\n")).collect();
        Some(request(jaego, method, url, &headers, body))
    });
    let batches = texts("batch").flat_map(|text| {
        [request(jaego, "POST", "/v1/batch", "", &text), request(jaego, "POST", "/v1/batch", NDJSON, &text)]
    });
    let stories = texts("story").map(|text| {
        let commands = text.lines().filter(|line| !line.starts_with(['@', 'G']));
        let lines = commands.map(|line| line.trim_start_matches('!').replace('\t', "\n"));
        request(jaego, "POST", "/v1/batch", NDJSON, &lines.collect::<Vec<_>>().join("\n"))
    });
    let all: Vec<_> = requests.chain(batches).chain(stories).collect();
    assert!(all.len() > 400, "{} inputs", all.len());
    all
}

/// Breaks a request in one to four places: in its body mostly, and now and then anywhere.
fn broken(dice: &mut fastrand::Rng, seed: &str) -> Vec<u8> {
    let mut bytes = seed.as_bytes().to_vec();
    let body = seed.find("\r\n\r\n").map_or(0, |end| end + 4);
    let from = if dice.u8(..4) > 0 && body < bytes.len() { body } else { 0 };
    for _ in 0..dice.usize(1..5) {
        if from >= bytes.len() {
            break;
        }
        let at = dice.usize(from..bytes.len());
        match dice.u8(..7) {
            0 => bytes[at] ^= 1 << dice.u8(..8),
            1 => bytes[at] = dice.u8(..),
            2 => bytes.insert(at, dice.u8(..)),
            3 => drop(bytes.remove(at)),
            4 => bytes[at] = *dice.choice(b"{}[]\",:-0e.\\\r\n\0%").expect("there are some"),
            5 => {
                let piece: Vec<u8> = bytes[at..(at + 12).min(bytes.len())].to_vec();
                bytes.splice(at..at, piece.repeat(dice.usize(1..20)));
            }
            _ => bytes.truncate(at + 1),
        }
    }
    // A body that keeps its length is read to its end.
    if from == body && dice.bool() {
        let len = format!("content-length: {}\r\n\r\n", bytes.len() - body);
        let head = seed[..body].rfind("content-length").unwrap_or_default();
        bytes.splice(head..body, len.into_bytes());
    }
    bytes
}

#[test]
fn ten_thousand_broken_requests_make_no_failure_and_no_growth() {
    const THREADS: usize = 16;
    const REQUESTS: usize = 10_000;
    let seed = seed();
    let mut jaego = Jaego::start();
    stock(&mut jaego.connect(), &["mug".into()], 1_000);
    let mut seeds = seeds(&jaego);
    for input in corpus(&jaego) {
        let answers = send(&jaego, input.as_bytes(), Duration::from_millis(30));
        assert!(answers.iter().all(|status| *status < 500), "{answers:?} to {input:?}");
        seeds.push(input);
    }
    let storm = |round: u64, requests: usize| {
        let statuses: Vec<u16> = thread::scope(|scope| {
            let storms: Vec<_> = (0..THREADS as u64)
                .map(|storm| {
                    let (jaego, seeds) = (&jaego, &seeds);
                    scope.spawn(move || {
                        let mut dice = fastrand::Rng::with_seed(seed ^ (round << 32) ^ storm);
                        let mut statuses = Vec::new();
                        for _ in 0..requests / THREADS {
                            let seed = dice.choice(seeds).expect("there are some");
                            let bytes = broken(&mut dice, seed);
                            let answers = send(jaego, &bytes, Duration::from_millis(30));
                            let bad = answers.iter().find(|status| **status >= 500);
                            assert!(bad.is_none(), "{answers:?} to {:?}", String::from_utf8_lossy(&bytes));
                            statuses.extend(answers);
                        }
                        statuses
                    })
                })
                .collect();
            storms.into_iter().flat_map(|storm| storm.join().unwrap()).collect()
        });
        statuses
    };
    storm(0, REQUESTS / 5);
    let before = jaego.memory_kb();
    let statuses = storm(1, REQUESTS);
    let after = jaego.memory_kb();
    let refused = statuses.iter().filter(|status| **status >= 400).count();
    let mut by_status = BTreeMap::new();
    statuses.iter().for_each(|status| *by_status.entry(status).or_insert(0) += 1);
    println!("answers by status {by_status:?}; memory {before} kB, then {after} kB");
    assert!(refused > REQUESTS / 2, "most of them are broken");
    assert!(after < before + GROWTH_KB, "memory grew from {before} to {after} kB");
    let metrics = jaego.connect().send("GET", "/metrics", None, "").unwrap();
    let metrics = String::from_utf8(metrics.body).unwrap();
    assert!(metrics.contains("\njaego_http_handler_panics_total 0\n"), "{metrics}");
    assert!(jaego.server.exit_status().unwrap().is_none());
    jaego.end();
}

#[test]
fn what_is_too_large_or_too_deep_is_refused_and_takes_no_memory() {
    let jaego = Jaego::start();
    stock(&mut jaego.connect(), &["mug".into()], 1_000);
    let sequence = || ok(jaego.connect().get("/v1/status").unwrap())["sequence"].clone();
    let deep = |open: &str, depth: usize| format!("{{\"id\":{}", open.repeat(depth));
    let announced = |len: u64| {
        let request = request(&jaego, "POST", "/v1/holds", "", "");
        request.replace("content-length: 0", &format!("content-length: {len}"))
    };
    let small = |body: &str| request(&jaego, "PUT", "/v1/sites/ICN", "", body);
    let long_header =
        |bytes: usize| request(&jaego, "GET", "/v1/sites", &format!("x-long: {}\r\n", "x".repeat(bytes)), "");
    let many_headers: String = (0..500).map(|number| format!("x-{number}: 1\r\n")).collect();
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 16, "x".repeat(1 << 16));
    let chunked = request(&jaego, "PUT", "/v1/sites/ICN", "transfer-encoding: chunked\r\n", "")
        .replace("content-length: 0\r\n", "");
    // It would be long when it is unpacked; what it says is not looked at.
    let packed = "\u{1f}\u{8b}\u{8}".repeat(100_000);
    let rows: Vec<(&str, String, &[u16])> = vec![
        ("arrays in arrays", request(&jaego, "POST", "/v1/holds", "", &deep("[", 1_000_000)), &[400]),
        ("objects in objects", request(&jaego, "POST", "/v1/holds", "", &deep("{\"a\":", 500_000)), &[400]),
        (
            "depth in a batch",
            request(&jaego, "POST", "/v1/batch", "", &format!("{{\"commands\":{}", "[".repeat(1_000_000))),
            &[400],
        ),
        (
            "depth in a line",
            request(
                &jaego,
                "POST",
                "/v1/batch",
                "content-type: application/x-ndjson\r\n",
                &"[".repeat(1_000_000),
            ),
            &[400],
        ),
        ("a body announced past the limit", announced(32 * 1024 * 1024 + 1), &[413]),
        ("a body announced past everything", announced(u64::MAX), &[400, 413, 431]),
        (
            "a body past the limit of settings",
            small(&format!("{{\"name\":\"{}\"}}", "x".repeat(70_000))),
            &[413],
        ),
        ("a body in pieces without an end", format!("{chunked}{}", chunk.repeat(4)), &[413]),
        ("a long header", long_header(20_000), &[431]),
        ("a very long header", long_header(1_000_000), &[431]),
        (
            "a long path",
            request(&jaego, "GET", &format!("/v1/sites/{}", "x".repeat(20_000)), "", ""),
            &[414, 431],
        ),
        ("many headers", request(&jaego, "GET", "/v1/sites", &many_headers, ""), &[431]),
        (
            "a packed body",
            request(&jaego, "POST", "/v1/batch", "content-encoding: gzip\r\n", &packed),
            &[415],
        ),
    ];
    let before_sequence = sequence();
    for (what, bytes, expected) in &rows {
        let answers = send(&jaego, bytes.as_bytes(), Duration::from_secs(5));
        assert!(
            answers.len() == 1 && expected.contains(&answers[0]),
            "{what}: {answers:?}, and not one of {expected:?}"
        );
    }
    let round = || {
        for (what, bytes, expected) in &rows {
            let answers = send(&jaego, bytes.as_bytes(), Duration::from_secs(5));
            assert!(answers.iter().all(|status| expected.contains(status)), "{what}: {answers:?}");
        }
    };
    // The first one was the look at the answers.
    (1..WARM_UP_ROUNDS).for_each(|_| round());
    let before = jaego.memory_kb();
    (0..5).for_each(|_| round());
    let after = jaego.memory_kb();
    println!("memory {before} kB, then {after} kB");
    assert!(after < before + KEPT_KB, "memory grew from {before} to {after} kB");
    assert_eq!(sequence(), before_sequence, "nothing of it was done");
    jaego.end();
}

#[test]
fn what_comes_after_the_last_number_of_all_is_nothing() {
    let jaego = Jaego::start();
    stock(&mut jaego.connect(), &["mug".into()], 10);
    let charge = json!({"currency": "KRW", "amount": 5});
    ok(jaego.connect().post("/v1/wallets/kim/charge", &charge).unwrap());
    let last = u64::MAX;
    for kind in ["", "kind=adjusted&"] {
        let (status, answer) = jaego.connect().get(&format!("/v1/events?{kind}after={last}")).unwrap();
        assert_eq!((status, &answer["code"]), (409, &json!("cursor_ahead")));
    }
    for path in [
        format!("/v1/skus/mug/history?after={last}"),
        format!("/v1/skus/mug/history?site=ICN&after={last}"),
        format!("/v1/wallets/kim/statement?after={last}"),
        "/v1/movements?after=pffffffffffffffff".to_owned(),
        "/v1/transfers?after=pffffffffffffffff".to_owned(),
        "/v1/orders?after=pffffffffffffffff".to_owned(),
        "/v1/cards?after=pffffffffffffffff".to_owned(),
        "/v1/proposals?after=pffffffffffffffff".to_owned(),
        "/v1/carts?after=pffffffffffffffff".to_owned(),
        "/v1/wallets?after=pffffffffffffffff".to_owned(),
        "/v1/sites?after=pffffffffffffffff".to_owned(),
        "/v1/skus?after=pffffffffffffffff".to_owned(),
        "/v1/stock?after=ffffffff-0-0".to_owned(),
        "/v1/stock?after=ffffffff-ffffffff-ffffffff".to_owned(),
        "/v1/stock?site=ICN&after=ffffffff-0-0".to_owned(),
        "/v1/stock?site=ICN&location=A-01&after=ffffffff-0-0".to_owned(),
        "/v1/stock?sku=mug&after=ffffffff-0-0".to_owned(),
        "/v1/stock?as_of=2100-01-01T00:00:00Z&after=ffffffff-0-0".to_owned(),
    ] {
        let (status, answer) = jaego.connect().get(&path).unwrap();
        assert!(matches!(status, 200 | 404 | 422), "{path}: {status} {answer}");
        if status == 200 {
            assert_eq!(answer["items"], json!([]), "{path}");
        }
    }
    ok(jaego.connect().get("/v1/status").unwrap());
    jaego.end();
}
