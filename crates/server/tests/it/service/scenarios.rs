//! The scenarios that are the law of every store, played through HTTP: on the store in memory, and on the embedded
//! store over a disk that is proven afterwards.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use jaego_domain::{Query, Timestamp, command::Fenced};
use jaego_engine::{
    Config, Engine,
    journal::{self, Preparation},
    open,
    sim_disk::SimDisk,
    verify,
};
use jaego_server::Role;
use jaego_store::{
    Store,
    conformance::{self, Call, FILES, LookBack, START, Subject, Told},
};
use serde_json::{Map, Value};
use tokio::runtime::Runtime;

use super::{
    support::{Service, of, reference},
    wire,
};
use crate::shell::support::{Answer, Client};

/// Scenarios that the wire cannot tell, and why.
const NOT_ON_THE_WIRE: [(&str, &str); 1] =
    [("a hold stands to the last millisecond and not beyond", "the wire counts lives in whole seconds")];

#[test]
fn the_law_holds_through_http() {
    let runtime = Arc::new(Runtime::new().unwrap());
    play(|| {
        let (store, hand) = reference();
        Box::new(HttpSubject::new(&runtime, store, hand, Box::new(|| {})))
    });
}

#[test]
fn the_law_holds_through_http_on_the_embedded_store() {
    let runtime = Arc::new(Runtime::new().unwrap());
    let journal = journal::Config { segment_len: 1 << 20, preparation: Preparation::Inline };
    let limits =
        jaego_engine::Limits { frame_bytes: 64 << 10, atomic_bytes: 128 << 10, ..Default::default() };
    let config = Config { journal, limits, ..Config::default() };
    let mut seed = 0;
    play(|| {
        seed += 1;
        let disk = SimDisk::new(seed);
        let clock = Arc::new(AtomicU64::new(START.0));
        let hand = Arc::clone(&clock);
        let recovered = open(disk.clone(), journal, |_| {}).unwrap();
        let engine = Engine::start(recovered, config, move || Timestamp(clock.load(Ordering::SeqCst)));
        let end = Arc::clone(&engine);
        let end = move || {
            end.close().unwrap();
            verify(disk.kill(seed), journal, |_| {}).unwrap();
        };
        Box::new(HttpSubject::new(&runtime, engine, hand, Box::new(end)))
    });
}

/// Plays every scenario that the wire can tell.
fn play(mut make_subject: impl FnMut() -> Box<dyn Subject>) {
    let (mut left_out, mut failed) = (0, Vec::new());
    let mut tally = conformance::Tally::default();
    for (file, text) in FILES {
        let text = told_on_the_wire(text, &mut left_out);
        match conformance::run_text(file, &text, &mut make_subject) {
            Ok(played) => {
                tally.scenarios += played.scenarios;
                tally.rows += played.rows;
            }
            Err(failures) => failed.extend(failures.0),
        }
    }
    assert!(failed.is_empty(), "{}", conformance::Failures(failed));
    println!("{} scenarios, {} rows", tally.scenarios, tally.rows);
    assert_eq!(left_out, NOT_ON_THE_WIRE.len(), "a scenario that was to be left out is not there");
    assert!(tally.scenarios > 100, "{tally:?}");
}

/// The same text, the left-out scenarios as empty lines, so that failures name the right ones.
fn told_on_the_wire(text: &str, left_out: &mut usize) -> String {
    let mut skips = false;
    let mut told = String::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("scenario ") {
            skips = NOT_ON_THE_WIRE.iter().any(|(left_out, _)| *left_out == title.trim());
            *left_out += usize::from(skips);
        }
        told.push_str(if skips { "" } else { line });
        told.push('\n');
    }
    told
}

/// A service, asked over one connection.
struct HttpSubject {
    runtime: Arc<Runtime>,
    service: Service,
    client: Client,
    /// By name.
    tokens: BTreeMap<String, String>,
    hand: Arc<AtomicU64>,
    end: Option<Box<dyn FnOnce()>>,
}

impl HttpSubject {
    fn new(
        runtime: &Arc<Runtime>,
        store: Arc<dyn Store>,
        hand: Arc<AtomicU64>,
        end: Box<dyn FnOnce()>,
    ) -> Self {
        let service = runtime.block_on(Service::over(store));
        let client = runtime.block_on(service.connect());
        let runtime = Arc::clone(runtime);
        Self { runtime, service, client, tokens: BTreeMap::new(), hand, end: Some(end) }
    }

    fn send(&mut self, method: &str, path: &str, by: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let Self { runtime, service, client, tokens, .. } = self;
        runtime.block_on(async {
            if !tokens.contains_key(by) {
                tokens.insert(by.to_owned(), service.token(by, Role::Admin, None));
            }
            let mut all = vec![("Authorization", tokens[by].as_str())];
            all.extend_from_slice(headers);
            client.request(method, path, &all, body).await
        })
    }

    /// A command on its own route.
    fn command(&mut self, call: &Call) -> Told {
        let row = jaego_api::table::command(call.command.name()).expect("every command has a row");
        let mut fields = wire::fields(&call.command);
        let path = row.path_parameters().fold(row.path.to_owned(), |path, name| {
            let Some(Value::String(value)) = fields.remove(name) else { panic!("{name} is in {fields:?}") };
            path.replace(&format!("{{{name}}}"), &value)
        });
        let fenced = call.fenced.as_ref().map(header);
        let key = call.key.iter().map(|key| ("idempotency-key", key.as_str()));
        let marks: Vec<_> = key.chain(fenced.iter().map(|text| ("jaego-fenced", text.as_str()))).collect();
        let body = wire::text(fields);
        let answer = self.send(row.method.as_str(), &path, call.by.as_str(), &marks, body.as_bytes());
        let (status, json) = of(&answer);
        if status != 200 {
            return problem(&answer);
        }
        let sequence: u64 = answer.header("jaego-sequence").expect("it rests on an event").parse().unwrap();
        if call.command.name() != "allocate_transfer" {
            // A dry run tells the number that it would have had.
            assert!(json["sequence"].as_u64().unwrap() <= sequence, "{json} at {sequence}");
        }
        wire::done(&json)
    }

    /// Commands in a batch: as one document where it is atomic, one a line where it is not.
    fn batch(&mut self, calls: &[Call], atomic: bool) -> Result<Vec<Told>, Vec<(usize, Told)>> {
        let by = calls[0].by.as_str();
        let commands = calls.iter().map(|call| {
            let mut command = Map::from_iter([("op".to_owned(), call.command.name().into())]);
            command.extend(wire::fields(&call.command));
            if let Some(key) = &call.key {
                command.insert("key".to_owned(), key.as_str().into());
            }
            if let Some(fenced) = &call.fenced {
                command.insert("fenced".to_owned(), header(fenced).into());
            }
            wire::text(command)
        });
        let commands: Vec<String> = commands.collect();
        let answer = if atomic {
            let body = format!(r#"{{"atomic":true,"commands":[{}]}}"#, commands.join(","));
            self.send("POST", "/v1/batch", by, &[], body.as_bytes())
        } else {
            let kind = [("content-type", "application/x-ndjson")];
            self.send("POST", "/v1/batch", by, &kind, commands.join("\n").as_bytes())
        };
        if answer.status != 200 {
            assert!(atomic, "{}", answer.text());
            let (_, json) = of(&answer);
            let others = json["also_refused"].as_array().map(Vec::as_slice).unwrap_or_default();
            let others = others.iter().map(|item| (index_of(item), wire::refusal(&item["problem"])));
            return Err(std::iter::once((index_of(&json), problem(&answer))).chain(others).collect());
        }
        let items: Vec<Value> = if atomic {
            of(&answer).1["items"].as_array().unwrap().clone()
        } else {
            answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        };
        let told = items.iter().enumerate().map(|(index, item)| {
            assert_eq!(item["index"], index, "{item}");
            match item["status"].as_str() {
                Some("done") => wire::done(&item["outcome"]),
                Some("refused") => wire::refusal(&item["problem"]),
                _ => panic!("{item} is neither done nor refused"),
            }
        });
        Ok(told.collect())
    }
}

fn header(fenced: &Fenced) -> String {
    format!("{}={}", fenced.resource(), fenced.fence())
}

fn index_of(json: &Value) -> usize {
    let index = json["index"].as_u64().unwrap_or_else(|| panic!("{json} names no request"));
    usize::try_from(index).unwrap()
}

/// A problem document that is whole.
fn problem(answer: &Answer) -> Told {
    answer.code();
    wire::refusal(&of(answer).1)
}

impl Subject for HttpSubject {
    fn set_time(&mut self, now: Timestamp) {
        self.hand.store(now.0, Ordering::SeqCst);
    }

    fn submit(&mut self, calls: &[Call], atomic: bool) -> Result<Vec<Told>, Vec<(usize, Told)>> {
        match calls {
            [call] if !atomic => Ok(vec![self.command(call)]),
            calls => self.batch(calls, atomic),
        }
    }

    fn look(&mut self, query: &Query) -> Told {
        let answer = self.send("GET", &wire::url(query), "tester", &[], b"");
        if answer.status != 200 {
            return problem(&answer);
        }
        assert!(answer.header("jaego-sequence").is_some(), "{answer:?}");
        wire::view(query, &of(&answer).1)
    }

    fn look_back(&mut self, past: &LookBack) -> Told {
        let answer = self.send("GET", &wire::past_url(past), "tester", &[], b"");
        if answer.status != 200 {
            return problem(&answer);
        }
        assert!(answer.header("jaego-sequence").is_some(), "{answer:?}");
        wire::past_view(past, &of(&answer).1)
    }
}

impl Drop for HttpSubject {
    fn drop(&mut self) {
        if let Some(end) = self.end.take().filter(|_| !std::thread::panicking()) {
            end();
        }
    }
}
