//! The feed as Server-Sent Events: every event once, in order, wherever the connection was cut.

use std::{
    sync::Arc,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use jaego_server::{Limits, Opening, Role};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::support::{Caller, Service, hold, reference};
use crate::shell::support::PATIENCE;

/// A reader of the feed, who remembers what came whole.
struct Listener {
    stream: TcpStream,
    /// With room for many events: one read of a few bytes after the other would be cut before a whole event came.
    raw: Vec<u8>,
    has_head: bool,
    text: String,
}

impl Listener {
    async fn open(caller: &Caller<'_>, query: &str, last: Option<u64>) -> Self {
        let mut stream = TcpStream::connect(caller.service.address).await.unwrap();
        let last = last.map(|last| format!("Last-Event-ID: {last}\r\n")).unwrap_or_default();
        let head = format!(
            "GET /v1/events{query} HTTP/1.1\r\nHost: test\r\nAccept: text/event-stream\r\nAuthorization: {}\r\n{last}\r\n",
            caller.token
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        Self { stream, raw: Vec::with_capacity(1 << 20), has_head: false, text: String::new() }
    }

    /// Reads a little more. `false` at the end.
    async fn more(&mut self) -> bool {
        let read = tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.raw)).await;
        if read.expect("the feed says something").unwrap_or(0) == 0 {
            return false;
        }
        if !self.has_head {
            let Some(end) = self.raw.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return true };
            let head = String::from_utf8(self.raw.drain(..end + 4).collect()).unwrap().to_ascii_lowercase();
            assert!(head.starts_with("http/1.1 200"), "{head}");
            assert!(head.contains("content-type: text/event-stream"), "{head}");
            self.has_head = true;
        }
        // Whole chunks become text, the rest stays raw.
        while let Some(end) = self.raw.windows(2).position(|bytes| bytes == b"\r\n") {
            let len = usize::from_str_radix(std::str::from_utf8(&self.raw[..end]).unwrap(), 16).unwrap();
            if self.raw.len() < end + 2 + len + 2 {
                break;
            }
            self.text.push_str(std::str::from_utf8(&self.raw[end + 2..end + 2 + len]).unwrap());
            self.raw.drain(..end + 2 + len + 2);
        }
        true
    }

    /// Takes the events that came whole.
    fn events(&mut self) -> Vec<Value> {
        let Some(end) = self.text.rfind("\n\n") else { return Vec::new() };
        let whole: String = self.text.drain(..end + 2).collect();
        let events = whole.split("\n\n").filter(|message| !message.is_empty() && !message.starts_with(':'));
        events
            .map(|message| {
                let field = |name: &str| message.lines().find_map(|line| line.strip_prefix(name)).unwrap();
                let event: Value = serde_json::from_str(field("data: ")).unwrap();
                assert_eq!(field("id: "), event["sequence"].to_string());
                assert_eq!(field("event: "), event["kind"].as_str().unwrap());
                event
            })
            .collect()
    }
}

/// Every event as pages of JSON have them.
async fn all(caller: &Caller<'_>) -> Vec<Value> {
    let mut events = Vec::new();
    let mut after = "0".to_owned();
    loop {
        let (status, page) = caller.get(&format!("/v1/events?limit=37&after={after}")).await;
        assert_eq!(status, 200, "{page}");
        events.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next"].as_str() {
            Some(next) => after = next.to_owned(),
            None => return events,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_is_cut_again_and_again_misses_nothing_and_tells_nothing_twice() {
    const HOLDS: usize = 400;
    let (store, _) = reference();
    let service = Service::over(store).await;
    let caller = service.caller(Role::Admin);
    caller.stock(1_000_000).await;
    let write = async {
        for number in 0..HOLDS {
            assert_eq!(caller.post("/v1/holds", &hold(&format!("H{number}"), 1)).await.0, 200);
            if number % 3 == 0 {
                let release = format!("/v1/holds/H{number}/release");
                assert_eq!(caller.post(&release, &json!({})).await.0, 200);
            }
        }
        service.sequence(&caller).await
    };
    let last = AtomicU64::new(u64::MAX);
    let at = |seen: &[Value]| seen.last().map(|event| event["sequence"].as_u64().unwrap());
    let listen = async |query: &str| {
        let mut seen: Vec<Value> = Vec::new();
        let mut cuts = 0;
        loop {
            let mut listener = Listener::open(&caller, query, at(&seen)).await;
            // Some connections end in the middle of an event, some after several.
            for _ in 0..1 + cuts % 7 {
                if !listener.more().await {
                    break;
                }
                seen.extend(listener.events());
                if at(&seen) >= Some(last.load(Ordering::SeqCst)) {
                    return (seen, cuts);
                }
            }
            cuts += 1;
        }
    };
    // The last event is a hold, so that the filtered feed has an end to wait for as well.
    let write = async {
        write.await;
        let (status, answer) = caller.post("/v1/holds", &hold("last", 1)).await;
        assert_eq!(status, 200);
        last.store(answer["sequence"].as_u64().unwrap(), Ordering::SeqCst);
        // Readers that have everything already see the end with this one.
        assert_eq!(caller.post("/v1/holds", &hold("after-the-last", 1)).await.0, 200);
    };
    let ((), (seen, cuts), (held, _)) =
        tokio::join!(write, listen(""), listen("?kind=held,transfer_requested"));
    let told = all(&caller).await;
    println!("{} events, {cuts} cuts", told.len());
    assert!(cuts > 10, "{cuts}");
    assert_eq!(
        told.iter().map(|event| event["sequence"].as_u64().unwrap()).collect::<Vec<_>>(),
        (1..=told.len() as u64).collect::<Vec<_>>()
    );
    assert_eq!(seen[..], told[..seen.len()]);
    assert!(seen.len() + 1 >= told.len());
    let holds: Vec<_> = told.iter().filter(|event| event["kind"] == "held").cloned().collect();
    assert_eq!(held[..], holds[..held.len()]);
    assert!(held.len() + 1 >= holds.len());
    let (_, page) = caller.get("/v1/events?kind=held&limit=1000").await;
    assert_eq!(page["items"], json!(holds));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_ends_at_once_when_the_service_stops() {
    let (store, _) = reference();
    let service = Service::over(store).await;
    let caller = service.caller(Role::Admin);
    caller.stock(10).await;
    let mut listener = Listener::open(&caller, "", None).await;
    while listener.events().is_empty() {
        assert!(listener.more().await);
    }
    let begun = Instant::now();
    let drained = service.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(drained.cut, 0, "{drained:?}");
    // The end is the end of an answer, not of a connection that broke.
    while listener.more().await {}
    assert!(listener.raw.is_empty() || listener.raw.starts_with(b"0\r\n"), "{:?}", listener.raw);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_fails_ends_with_a_problem_document() {
    // A store that is not open yet fails every read.
    let service = Service::over(Arc::new(Opening::default())).await;
    let caller = service.caller(Role::Admin);
    let page = caller.send("GET", "/v1/events", &[], b"").await;
    assert_eq!((page.status, page.code().as_str()), (503, "closed"));
    let mut listener = Listener::open(&caller, "", None).await;
    while !listener.text.ends_with("\n\n") {
        assert!(listener.more().await, "{:?}", listener.text);
    }
    assert_eq!(listener.text, format!("event: problem\ndata: {}\n\n", page.text()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_that_the_store_never_gave_is_refused() {
    let (store, _) = reference();
    let service = Service::over(store).await;
    let caller = service.caller(Role::Admin);
    caller.stock(10).await;
    let last = service.sequence(&caller).await;
    let stream = ("Accept", "text/event-stream");
    let (end, ahead) = (last.to_string(), (last + 1).to_string());
    for (after, headers) in
        [(&ahead, vec![]), (&ahead, vec![stream]), (&end, vec![stream, ("Last-Event-ID", &*ahead)])]
    {
        for kind in ["", "&kind=held"] {
            let answer = caller.send("GET", &format!("/v1/events?after={after}{kind}"), &headers, b"").await;
            assert_eq!((answer.status, answer.code().as_str()), (409, "cursor_ahead"), "{headers:?}");
            let told: Value = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!((&told["after"], &told["durable"]), (&json!(last + 1), &json!(last)), "{told}");
        }
    }
    // The last event of all is known, and what comes next is told after it.
    let (status, page) = caller.get(&format!("/v1/events?after={last}")).await;
    assert_eq!((status, page), (200, json!({"items": [], "next": null})));
    let mut listener = Listener::open(&caller, "?after=99999", Some(last)).await;
    assert_eq!(caller.post("/v1/holds", &hold("H1", 1)).await.0, 200);
    let told = loop {
        assert!(listener.more().await);
        if let Some(event) = listener.events().pop() {
            break event;
        }
    };
    assert_eq!(told["sequence"], json!(last + 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_given_to_those_whose_accept_names_it() {
    let (store, _) = reference();
    let service = Service::over(store).await;
    let caller = service.caller(Role::Admin);
    caller.stock(10).await;
    for (accepts, is_stream) in [
        (&["text/event-stream"][..], true),
        (&["Text/Event-Stream"], true),
        (&["application/json", "text/event-stream"], true),
        (&["application/json;q=0.5, TEXT/EVENT-STREAM ; q=0.9"], true),
        (&["text/event-stream;q=0.001"], true),
        (&["text/event-stream;q=0"], false),
        (&["text/event-stream; Q=0.000", "application/json"], false),
        (&["text/event-streams", "*/*"], false),
        (&[], false),
    ] {
        let mut stream = TcpStream::connect(service.address).await.unwrap();
        let accepts: String = accepts.iter().map(|accept| format!("Accept: {accept}\r\n")).collect();
        let head = format!(
            "GET /v1/events HTTP/1.1\r\nHost: test\r\nAuthorization: {}\r\n{accepts}\r\n",
            caller.token
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut raw = Vec::new();
        while !raw.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
            let read = tokio::time::timeout(PATIENCE, stream.read_buf(&mut raw)).await;
            assert!(read.unwrap().unwrap() > 0, "{accepts}");
        }
        let head = String::from_utf8_lossy(&raw).to_ascii_lowercase();
        let kind = if is_stream { "text/event-stream" } else { "application/json" };
        assert!(head.contains(&format!("content-type: {kind}\r\n")), "{accepts:?}: {head}");
    }
}

/// Waits until so many feeds are open, as the metrics have it.
async fn open_feeds_become(service: &Service, count: usize) {
    let line = format!("\njaego_open_feeds {count}\n");
    let reached = async {
        while !service.metrics.render().contains(&line) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, reached).await;
    assert!(waited.is_ok(), "not {count} feeds:\n{}", service.metrics.render());
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_feeds_are_open_in_all_and_of_one_token() {
    let (store, _) = reference();
    let limits = Limits { feeds_max: 3, feeds_per_token_max: 2, ..Limits::default() };
    let service = Service::limited(store, limits).await;
    let (kim, lee) = (service.caller(Role::Admin), service.caller(Role::Reader));
    kim.stock(10).await;
    let refused = async |caller: &Caller<'_>| {
        let answer = caller.send("GET", "/v1/events", &[("Accept", "text/event-stream")], b"").await;
        let told: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(answer.header("retry-after"), Some("5"));
        (answer.status, answer.code(), told["open"].clone(), told["max"].clone())
    };
    let mut first = Listener::open(&kim, "", None).await;
    while first.events().is_empty() {
        assert!(first.more().await);
    }
    let _second = Listener::open(&kim, "", None).await;
    open_feeds_become(&service, 2).await;
    let too_many = (429, "too_many_feeds".to_owned(), json!(2), json!(2));
    assert_eq!(refused(&kim).await, too_many);
    // Another token is not to blame, until all places are taken.
    let third = Listener::open(&lee, "", None).await;
    open_feeds_become(&service, 3).await;
    assert_eq!(refused(&lee).await, (503, "busy".to_owned(), json!(3), json!(3)));
    assert_eq!(refused(&kim).await, too_many);
    // Pages are no feeds.
    assert_eq!(kim.get("/v1/events").await.0, 200);
    // Whoever goes away leaves a place, even while there is nothing to say.
    drop(third);
    open_feeds_become(&service, 2).await;
    drop(first);
    open_feeds_become(&service, 1).await;
    let _again = Listener::open(&kim, "", None).await;
    open_feeds_become(&service, 2).await;
    let text = service.metrics.render();
    assert!(text.contains("jaego_feeds_refused_total{limit=\"per_token\"} 2\n"), "{text}");
    assert!(text.contains("jaego_feeds_refused_total{limit=\"total\"} 1\n"), "{text}");
}
