//! What callers send: requests, batches, whole stories of them, and messages of a queue.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use jaego_api::{
    BatchFormat, BatchRequest, COMMANDS, Marks, Problem, READS, Read, read_batch, read_command, read_ndjson,
    read_query, read_request,
};
use jaego_domain::{Code, Timestamp, check::check};
use jaego_store::{Batch, Reference, Results, Store};
use tokio::runtime;

/// What JSON bodies are made of.
pub(crate) const WORDS: &[&str] = &[
    "{}",
    "[]",
    "null",
    "true",
    "false",
    "0",
    "1",
    "-1",
    "0.5",
    "1e9",
    "9007199254740991",
    "9007199254740992",
    "18446744073709551615",
    "\"\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\"재고\"",
    "\\",
    ",",
    ":",
    "\n",
    "\r\n",
    "\"id\":",
    "\"op\":",
    "\"key\":",
    "\"fenced\":",
    "\"lines\":",
    "\"quantity\":",
    "\"lot\":",
    "\"location\":",
    "\"expires_in_s\":",
    "\"atomic\":true",
    "\"commands\":",
    "\"dry_run\":true",
    "\"partial\":\"allow\"",
    "\"strategy\":\"fefo\"",
    "POST ",
    "PUT ",
    "GET ",
    "DELETE ",
    "?after=",
    "?limit=1000",
    "%00",
    "%2F",
    "%ff",
    "@86400000",
    "idempotency-key: ",
    "jaego-fenced: ",
];

/// When stories begin.
const START: u64 = 1_772_323_200_000;

fn by() -> Code {
    Code::new("by", "fuzz").expect("it is a code")
}

/// A problem is the caller's, says what it is, and can be written down.
fn look_at(problem: &Problem) {
    assert!((400..500).contains(&problem.status), "{problem:?}");
    assert!(!problem.detail.is_empty(), "{problem:?}");
    serde_json::to_vec(problem).expect("a problem has text for keys");
}

/// One request: a line `METHOD /path?query`, lines `header: value`, an empty line, the body.
pub(crate) fn request(bytes: &[u8]) {
    let end = bytes.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = end.map_or((bytes, &b""[..]), |end| (&bytes[..end], &bytes[end + 2..]));
    let Ok(head) = std::str::from_utf8(head) else { return };
    let mut lines = head.lines();
    let Some((method, url)) = lines.next().and_then(|line| line.split_once(' ')) else { return };
    let Ok(uri) = url.parse::<http::Uri>() else { return };
    let mut marks = Marks::default();
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        match name {
            "idempotency-key" => marks.key = Some(value),
            "jaego-fenced" => marks.fenced = Some(value),
            _ => {}
        }
    }
    for row in COMMANDS.iter().filter(|row| row.method.as_str() == method) {
        let Some(parameters) = matched(row.path, uri.path()) else { continue };
        let parameters: Vec<_> = parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
        match read_request(row, &parameters, marks, &by(), body) {
            Ok(request) => assert_eq!(request.command().name(), row.op),
            Err(problem) => look_at(&problem),
        }
    }
    for row in READS.iter().filter(|_| method == "GET") {
        let Some(parameters) = matched(row.path, uri.path()) else { continue };
        let parameters: Vec<_> = parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
        if let Err(problem) = read_query(row, &parameters, uri.query()) {
            look_at(&problem);
        }
    }
}

/// The parameters of a path that fits a route, decoded; none where one is no text.
fn matched(route: &'static str, path: &str) -> Option<Vec<(&'static str, String)>> {
    let (mut pieces, mut parameters) = (path.split('/'), Vec::new());
    for wanted in route.split('/') {
        let piece = pieces.next()?;
        match wanted.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) if !piece.is_empty() => parameters.push((name, decoded(piece)?)),
            None if piece == wanted => {}
            _ => return None,
        }
    }
    pieces.next().is_none().then_some(parameters)
}

/// A piece of a path without its escapes, as routers hand it out; none if it is no text then.
fn decoded(piece: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(piece.len());
    let mut rest = piece.as_bytes();
    while let [first, behind @ ..] = rest {
        let digits = (*first == b'%').then(|| behind.get(..2)).flatten();
        let escaped = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &behind[2..] } else { behind };
    }
    String::from_utf8(bytes).ok()
}

/// A batch as one document, as one command a line, and as the command of a message.
pub(crate) fn batch(bytes: &[u8]) {
    let key = Code::new("key", "K1").expect("it is a code");
    let read = [
        read_batch(bytes, &by()),
        read_ndjson(bytes, false, &by()),
        read_ndjson(bytes, true, &by()),
        read_command(bytes, &key, &by()),
    ];
    for read in read {
        match read {
            Ok(batch) => look_at_batch(&batch),
            Err(problem) => look_at(&problem),
        }
    }
}

fn look_at_batch(batch: &BatchRequest) {
    if let Some(problem) = batch.refused_by_value() {
        look_at(&problem);
    }
    assert_eq!(batch.ids.iter().count(), batch.ids.len());
    assert_eq!(
        batch.ids.len(),
        batch.requests.len() + batch.refused.len(),
        "every command is one or the other"
    );
}

/// A list of a queue's messages as Redis answers it, and the command in each.
pub(crate) fn queue(bytes: &[u8]) {
    let key = Code::new("key", "K1").expect("it is a code");
    for command in jaego_queue::fuzz::commands(bytes).into_iter().flatten() {
        match command.map(|text| read_command(&text, &key, &by())) {
            Ok(Ok(batch)) => look_at_batch(&batch),
            Ok(Err(problem)) => look_at(&problem),
            Err(detail) => assert!(!detail.is_empty()),
        }
    }
}

/// Lines that are played on a store in memory: `@1500` lets so many milliseconds pass, `GET /path?query` reads, `!`
/// before commands separated by tabs makes them an atomic batch, and anything else is a command. Whatever is
/// asked, the books balance afterwards.
pub(crate) fn story(bytes: &[u8]) {
    let clock = Arc::new(AtomicU64::new(START));
    let hand = Arc::clone(&clock);
    let store = Reference::new(move || Timestamp(hand.load(Ordering::Relaxed)));
    let runtime = runtime::Builder::new_current_thread().build().expect("a runtime without anything");
    for line in bytes.split(|byte| *byte == b'\n') {
        match line {
            [] => {}
            [b'@', milliseconds @ ..] => {
                let milliseconds = std::str::from_utf8(milliseconds).ok().and_then(|text| text.parse().ok());
                // A clock beyond the year 9999 is none of a machine.
                let now = clock.load(Ordering::Relaxed).saturating_add(milliseconds.unwrap_or(0));
                clock.store(now.min(START << 4), Ordering::Relaxed);
            }
            [b'G', b'E', b'T', b' ', url @ ..] => runtime.block_on(read(&store, url)),
            [b'!', commands @ ..] => {
                let lines: Vec<u8> =
                    commands.iter().map(|byte| if *byte == b'\t' { b'\n' } else { *byte }).collect();
                runtime.block_on(give(&store, read_ndjson(&lines, true, &by())));
            }
            command => runtime.block_on(give(&store, read_ndjson(command, false, &by()))),
        }
    }
    store.inspect(|memory, _| {
        if let Err(wrong) = check(memory) {
            panic!("the books are wrong: {wrong:?}");
        }
    });
}

async fn give(store: &Reference, batch: Result<BatchRequest, Box<Problem>>) {
    let Ok(mut batch) = batch else { return };
    if batch.atomic && batch.refused_by_value().is_some() {
        return;
    }
    let requests = std::mem::take(&mut batch.requests);
    let answers = store.submit(Batch { requests, atomic: batch.atomic }).await.expect("it never fails");
    match answers.results {
        Results::Refused(refused) => look_at(&batch.refused_by_store(&refused)),
        Results::Each(results) => {
            let said = results.iter().map(|result| match result {
                Ok(done) => Ok((&done.outcome, done.repeat)),
                Err(refusal) => Err(refusal),
            });
            let text = batch.answer(BatchFormat::Json, said);
            serde_json::from_slice::<jaego_api::batch::Batch>(&text).expect("an answer can be read");
        }
    }
}

async fn read(store: &Reference, url: &[u8]) {
    let Some(uri) = std::str::from_utf8(url).ok().and_then(|url| url.parse::<http::Uri>().ok()) else {
        return;
    };
    for row in READS {
        let Some(parameters) = matched(row.path, uri.path()) else { continue };
        let parameters: Vec<_> = parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let Ok(read) = read_query(row, &parameters, uri.query()) else { continue };
        match read {
            Read::Query(query) => {
                let answer = store.query(query).await.expect("it never fails");
                match answer.value {
                    Ok(view) => drop(jaego_api::list::to_json(&view)),
                    Err(refusal) => look_at(&Problem::from(&refusal)),
                }
            }
            Read::Events(filter) => drop(store.events(filter.after, filter.limit).await),
            _ => drop(store.status()),
        }
    }
}
