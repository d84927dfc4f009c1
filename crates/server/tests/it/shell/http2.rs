//! HTTP/2 with frames made by hand, good ones and hostile ones.

use std::time::{Duration, Instant};

use jaego_server::{Limits, Role};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::shell::sizes::connect_from;
use crate::shell::support::{PATIENCE, Server, quick};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const SETTINGS_INITIAL_WINDOW_SIZE: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

fn text(bytes: &mut Vec<u8>, text: &str) {
    // An HPACK length of 127 and more goes on in a second byte, and is short enough here for one.
    match u8::try_from(text.len()).unwrap().checked_sub(127) {
        None => bytes.push(u8::try_from(text.len()).unwrap()),
        Some(rest) => bytes.extend_from_slice(&[127, rest]),
    }
    bytes.extend_from_slice(text.as_bytes());
}

/// HPACK's indexed methods.
const GET: u8 = 0x82;
const POST: u8 = 0x83;

/// A header block by RFC 7541: an indexed method and http, and literals that are not to be indexed.
fn head(method: u8, path: &str, header: Option<(&str, &str)>) -> Vec<u8> {
    let mut block = vec![method, 0x86, 0x01];
    text(&mut block, "test");
    block.push(0x04);
    text(&mut block, path);
    if let Some((name, value)) = header {
        block.push(0x00);
        text(&mut block, name);
        text(&mut block, value);
    }
    block
}

fn get(path: &str, token: Option<&str>) -> Vec<u8> {
    let bearer = token.map(|token| format!("Bearer {token}"));
    head(GET, path, bearer.as_deref().map(|bearer| ("authorization", bearer)))
}

/// A POST that says how long its body is, where it does.
fn post(path: &str, length: Option<&str>) -> Vec<u8> {
    head(POST, path, length.map(|length| ("content-length", length)))
}

/// Opens a connection. A window of 0 lets the server send no body.
async fn open(server: &Server, window: u32) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let mut setting = vec![0, SETTINGS_INITIAL_WINDOW_SIZE];
    setting.extend_from_slice(&window.to_be_bytes());
    let hello = [PREFACE, &frame(SETTINGS, 0, 0, &setting), &frame(SETTINGS, 1, 0, &[])].concat();
    stream.write_all(&hello).await.unwrap();
    stream
}

/// Asks for something, and takes no more of it than a window lets through.
pub(crate) async fn ask_and_take(server: &Server, path: &str, token: &str, window: u32) -> TcpStream {
    let mut stream = open(server, window).await;
    stream.write_all(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &get(path, Some(token)))).await.unwrap();
    stream
}

/// The next frame, or `None` at the end of the connection.
async fn next(stream: &mut TcpStream) -> Option<(u8, u8, u32, Vec<u8>)> {
    let reading = async {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        stream.read_exact(&mut payload).await.ok()?;
        Some((head[3], head[4], u32::from_be_bytes([head[5], head[6], head[7], head[8]]), payload))
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("a frame or the end comes")
}

/// Reads one whole answer: its header block and its body.
async fn answer(stream: &mut TcpStream, id: u32) -> (Vec<u8>, Vec<u8>) {
    let (mut block, mut body) = (Vec::new(), Vec::new());
    loop {
        let (kind, flags, own, payload) = next(stream).await.expect("the answer is whole");
        if own != id {
            continue;
        }
        match kind {
            HEADERS => block = payload,
            DATA => body.extend_from_slice(&payload),
            _ => panic!("frame {kind} on the stream"),
        }
        if flags & END_STREAM != 0 {
            return (block, body);
        }
    }
}

/// `:status: 200` from HPACK's static table.
const STATUS_200: u8 = 0x88;

pub(crate) async fn authorized_request(server: &Server, token: &str) {
    let mut stream = open(server, 65_535).await;
    let request = frame(HEADERS, END_HEADERS | END_STREAM, 1, &get("/read", Some(token)));
    stream.write_all(&request).await.unwrap();
    let (block, body) = answer(&mut stream, 1).await;
    assert_eq!(block[0], STATUS_200);
    assert!(body.starts_with(b"the-"));
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_is_spoken_on_the_same_port() {
    let server = Server::start(quick()).await;
    let token = server.token(Role::Reader);
    authorized_request(&server, &token).await;
    // Many streams on one connection, answered each.
    let mut stream = open(&server, 65_535).await;
    for id in (1..200).step_by(2) {
        let request = frame(HEADERS, END_HEADERS | END_STREAM, id, &get("/read", Some(&token)));
        stream.write_all(&request).await.unwrap();
        let (block, body) = answer(&mut stream, id).await;
        assert!(!block.is_empty());
        assert_eq!(body, b"the-reader reader");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rapid_reset_ends_the_connection_and_nothing_else() {
    let server = Server::start(quick()).await;
    let mut stream = open(&server, 65_535).await;
    let mut flood = Vec::new();
    for id in (1..20_000).step_by(2) {
        flood.extend(frame(HEADERS, END_HEADERS | END_STREAM, id, &get("/sleep/3000", None)));
        flood.extend(frame(RST_STREAM, 0, id, &8_u32.to_be_bytes()));
    }
    let _ = stream.write_all(&flood).await;
    let mut went_away = false;
    while let Some((kind, ..)) = next(&mut stream).await {
        went_away |= kind == GOAWAY;
    }
    drop(stream);
    server.metric_becomes("jaego_http_connections", 0.0).await;
    server.metric_becomes("jaego_http_requests_in_flight", 0.0).await;
    assert!(went_away || server.metric("jaego_http_connections_closed_total{reason=\"failed\"}") == 1.0);
    assert_eq!(server.get("/open").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_cut_off_is_not_taken_for_a_whole_one() {
    const NO_ERROR: u32 = 0;
    const CANCEL: u32 = 8;
    // However many of them are reset before they are taken up, that is no attack here.
    let server = Server::start(Limits { h2_pending_resets_max: 1000, ..quick() }).await;
    let answered = |class| {
        server.metric(&format!(
            "jaego_http_requests_total{{method=\"POST\",route=\"/echo\",status=\"{class}\"}}"
        ))
    };
    for (length, sent, reason) in [
        (Some("12"), "whole l", NO_ERROR),
        (Some("12"), "", NO_ERROR),
        (None, "whole l", NO_ERROR),
        (None, "", NO_ERROR),
        (Some("12"), "whole l", CANCEL),
    ] {
        let mut stream = open(&server, 65_535).await;
        for id in (1..100).step_by(2) {
            let mut request = frame(HEADERS, END_HEADERS, id, &post("/echo", length));
            if !sent.is_empty() {
                request.extend(frame(DATA, 0, id, sent.as_bytes()));
            }
            stream.write_all(&request).await.unwrap();
            stream.write_all(&frame(RST_STREAM, 0, id, &reason.to_be_bytes())).await.unwrap();
        }
        let request = frame(HEADERS, END_HEADERS | END_STREAM, 101, &get("/open", None));
        stream.write_all(&request).await.unwrap();
        answer(&mut stream, 101).await;
        server.metric_becomes("jaego_http_requests_in_flight", 0.0).await;
        assert_eq!(answered("2xx"), 0.0, "{length:?} {sent:?} {reason}");
    }
    let mut stream = open(&server, 65_535).await;
    let mut request = frame(HEADERS, END_HEADERS, 1, &post("/echo", Some("5")));
    request.extend(frame(DATA, END_STREAM, 1, b"whole"));
    stream.write_all(&request).await.unwrap();
    assert_eq!(answer(&mut stream, 1).await.1, b"whole");
    assert_eq!(answered("2xx"), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_head_ends_the_connection_and_nothing_else() {
    let server = Server::start(quick()).await;
    let mut stream = open(&server, 65_535).await;
    stream.write_all(&frame(HEADERS, END_STREAM, 1, &get("/open", None))).await.unwrap();
    let mut field = vec![0x00];
    text(&mut field, "x-flood");
    text(&mut field, &"x".repeat(100));
    let piece = frame(CONTINUATION, 0, 1, &field.repeat(100));
    let mut sent = 0;
    let began = Instant::now();
    while stream.write_all(&piece).await.is_ok() {
        sent += piece.len();
        assert!(sent < 64 << 20, "the server takes a head of {sent} bytes");
        assert!(began.elapsed() < PATIENCE);
    }
    drop(stream);
    server.metric_becomes("jaego_http_connections", 0.0).await;
    assert_eq!(server.get("/open").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_beyond_the_limit_are_refused() {
    let server = Server::start(Limits { h2_streams_max: 4, ..quick() }).await;
    let mut stream = open(&server, 65_535).await;
    let requests: Vec<u8> = (1..=19)
        .step_by(2)
        .flat_map(|id| frame(HEADERS, END_HEADERS | END_STREAM, id, &get("/sleep/500", None)))
        .collect();
    stream.write_all(&requests).await.unwrap();
    let (mut refused, mut answered) = (0, 0);
    while refused + answered < 10 {
        let (kind, flags, id, payload) = next(&mut stream).await.expect("the connection stays");
        if kind == RST_STREAM {
            assert_eq!(
                payload,
                7_u32.to_be_bytes(),
                "stream {id} was reset for something else than REFUSED_STREAM"
            );
            refused += 1;
        } else if id != 0 && flags & END_STREAM != 0 {
            answered += 1;
        }
    }
    assert_eq!((answered, refused), (4, 6));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_not_taken_ends_the_connection() {
    let server = Server::start(quick()).await;
    for (path, window) in [("/open", 0), ("/big", 0), ("/big", 1), ("/big", 40_000)] {
        let mut stream = open(&server, window).await;
        stream.write_all(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &get(path, None))).await.unwrap();
        let began = Instant::now();
        while next(&mut stream).await.is_some() {}
        let took = began.elapsed();
        assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(4), "{path} took {took:?}");
    }
    // A connection is counted after its socket was closed.
    server.metric_becomes("jaego_http_connections_closed_total{reason=\"slow_read\"}", 4.0).await;
    assert_eq!(server.get("/open").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_stops_half_way_is_not_waited_for() {
    let server = Server::start(quick()).await;
    let mut stream = open(&server, 65_535).await;
    stream.write_all(&frame(HEADERS, END_STREAM, 1, &get("/open", None))).await.unwrap();
    let began = Instant::now();
    while next(&mut stream).await.is_some() {}
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_peer_with_many_connections_leaves_places_to_others() {
    let limits =
        Limits { requests_in_flight_max: 16, requests_per_peer_max: 8, h2_streams_max: 4, ..quick() };
    let server = Server::start(limits).await;
    let sleep = |id| frame(HEADERS, END_HEADERS | END_STREAM, id, &get("/sleep/1500", None));
    let requests: Vec<u8> = (1..=7).step_by(2).flat_map(sleep).collect();
    // Four connections with four streams ask for every place that there is.
    let mut greedy = Vec::new();
    for _ in 0..4 {
        let mut stream = open(&server, 65_535).await;
        stream.write_all(&requests).await.unwrap();
        greedy.push(stream);
    }
    server.metric_becomes("jaego_http_requests_over_share_total", 8.0).await;
    assert_eq!(server.metric("jaego_http_requests_in_flight"), 8.0);
    let answer = server.get("/open").await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "busy"));
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert!(answer.text().contains("8 requests from this address are in hand"), "{}", answer.text());
    assert_eq!(server.get("/healthz").await.status, 200);
    // All of 127.0.0.0/8 is this machine, each address another peer.
    let mut other = connect_from("127.0.0.2:0", server.address).await;
    assert_eq!(other.request("GET", "/open", &[], b"").await.status, 200);
    // A place comes back with its answer, and where a connection breaks.
    greedy.truncate(2);
    server.metric_becomes("jaego_http_requests_in_flight", 0.0).await;
    assert_eq!(server.get("/open").await.status, 200);
    for id in [9, 11, 13, 15] {
        for stream in &mut greedy {
            stream.write_all(&sleep(id)).await.unwrap();
        }
    }
    server.metric_becomes("jaego_http_requests_in_flight", 8.0).await;
    assert_eq!(server.get("/open").await.status, 503);
    drop(greedy);
    server.metric_becomes("jaego_http_requests_in_flight", 0.0).await;
    assert_eq!(server.get("/open").await.status, 200);
    assert_eq!(server.metric("jaego_http_requests_over_share_total"), 10.0);
    assert_eq!(server.metric("jaego_http_requests_shed_total"), 10.0);
}
