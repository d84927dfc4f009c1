//! A small HTTP server around the reference store: the real wire and the real decisions, nothing durable.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;

use jaego_api::read::{READS, Read, read_query};
use jaego_api::{BatchFormat, COMMANDS, Marks, Problem, list, outcome, read_batch, read_request};
use jaego_domain::{Code, Refusal, Request, Timestamp};
use jaego_store::{Batch, Done, Reference, Results, Store};

pub(crate) const TOKEN: &str = "jaego_test_secret";

/// What the server does wrong, so that the load must find it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Every hundredth hold is answered with a problem.
    Refuses,
    /// Every hundredth hold is answered as if it had been placed.
    Lies,
    /// There is no room for stock.
    Full,
}

struct SmallServer {
    store: Reference,
    fault: Fault,
    holds: AtomicU64,
    by: Code,
}

/// Starts it, for as long as the test lives.
pub(crate) fn start(fault: Fault) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let server = Arc::new(SmallServer {
        store: Reference::new(|| Timestamp(1_700_000_000_000)),
        fault,
        holds: AtomicU64::new(0),
        by: Code::new("by", "tester").unwrap(),
    });
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (server, stream) = (Arc::clone(&server), stream.unwrap());
            thread::spawn(move || server.serve(&stream));
        }
    });
    addr
}

/// What is ready at once.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the reference store answers at once"),
    }
}

impl SmallServer {
    fn serve(&self, stream: &TcpStream) {
        stream.set_nodelay(true).unwrap();
        let mut reader = BufReader::new(stream);
        while let Some((method, target, token, body)) = request(&mut reader) {
            assert_eq!(token, format!("Bearer {TOKEN}"));
            let (status, answer) = match self.answer(&method, &target, &body) {
                Ok(answer) => (200, answer),
                Err(problem) => (problem.status, problem.to_json()),
            };
            let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", answer.len());
            let mut whole = head.into_bytes();
            whole.extend_from_slice(&answer);
            if (&mut &*stream).write_all(&whole).is_err() {
                return;
            }
        }
    }

    fn answer(&self, method: &str, target: &str, body: &[u8]) -> Result<Vec<u8>, Box<Problem>> {
        let (path, query) =
            target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        if method == "POST" && path == "/v1/holds" {
            match (self.fault, self.holds.fetch_add(1, Ordering::Relaxed) % 100) {
                (Fault::Refuses, 99) => return Err(Problem::new("busy", "try again").into()),
                (Fault::Lies, 99) => return Ok(b"{}".to_vec()),
                _ => {}
            }
        }
        if self.fault == Fault::Full && path == "/v1/adjustments" {
            return Err(Problem::new("store_full", "no room").into());
        }
        if path == "/v1/batch" {
            let batch = read_batch(body, &self.by)?;
            let results = self.submit(batch.requests.clone());
            let said = results.iter().map(|one| one.as_ref().map(|done| (&done.outcome, done.repeat)));
            return Ok(batch.answer(BatchFormat::Json, said));
        }
        if method == "GET" {
            let (row, values) =
                READS.iter().find_map(|row| Some((row, matched(row.path, path)?))).expect("a route");
            let values: Vec<(&str, &str)> =
                values.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let Read::Query(query) = read_query(row, &values, query)? else {
                panic!("{target} is not read here")
            };
            let view =
                now(self.store.query(query)).unwrap().value.map_err(|refusal| Problem::from(&refusal))?;
            return Ok(list::to_json(&view));
        }
        let (row, values) = COMMANDS
            .iter()
            .filter(|row| row.method.as_str() == method)
            .find_map(|row| Some((row, matched(row.path, path)?)))
            .expect("a route");
        let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let request = read_request(row, &values, Marks::default(), &self.by, body)?;
        let done = self.submit(vec![request]).remove(0).map_err(|refusal| Problem::from(&refusal))?;
        Ok(serde_json::to_vec(&outcome::Outcome::new(&done.outcome, done.repeat)).unwrap())
    }

    fn submit(&self, requests: Vec<Request>) -> Vec<Result<Done, Refusal>> {
        match now(self.store.submit(Batch { requests, atomic: false })).unwrap().results {
            Results::Each(each) => each,
            Results::Refused(refused) => panic!("no batch is atomic here: {refused:?}"),
        }
    }
}

/// The values of a path's parameters, if the path is of this pattern.
fn matched(pattern: &'static str, path: &str) -> Option<Vec<(&'static str, String)>> {
    let (patterns, parts): (Vec<_>, Vec<_>) = (pattern.split('/').collect(), path.split('/').collect());
    let mut values = Vec::new();
    for (pattern, part) in patterns.iter().zip(&parts) {
        match pattern.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) => values.push((name, (*part).to_owned())),
            None if pattern == part => {}
            None => return None,
        }
    }
    (patterns.len() == parts.len()).then_some(values)
}

/// Method, target, credentials and body of the next request; nothing at the end of the connection.
fn request(reader: &mut impl BufRead) -> Option<(String, String, String, Vec<u8>)> {
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    let (mut token, mut len) = (String::new(), 0);
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        match line.trim_end().split_once(": ") {
            None => break,
            Some(("authorization", value)) => token = value.to_owned(),
            Some(("content-length", value)) => len = value.parse().unwrap(),
            Some(_) => {}
        }
    }
    let mut body = vec![0; len];
    reader.read_exact(&mut body).ok()?;
    Some((method, target, token, body))
}
