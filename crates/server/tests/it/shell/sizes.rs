//! Too much of something: headers, bodies, connections, requests, nonsense.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jaego_server::Limits;
use tokio::net::TcpSocket;

use crate::shell::support::{Client, Server, quick};

#[tokio::test(flavor = "multi_thread")]
async fn heads_have_a_size() {
    let server = Server::start(quick()).await;
    let field = |bytes: usize| format!("X-Long: {}\r\n", "x".repeat(bytes));
    let fields = |count: usize| (0..count).map(|number| format!("X-{number}: 1\r\n")).collect::<String>();
    for (what, path, extra, status) in [
        ("15 KiB in one field", "/open".to_owned(), field(15 << 10), 200),
        ("17 KiB in one field", "/open".to_owned(), field(17 << 10), 431),
        ("200 KiB in one field", "/open".to_owned(), field(200 << 10), 431),
        ("60 fields", "/open".to_owned(), fields(60), 200),
        ("70 fields", "/open".to_owned(), fields(70), 431),
        ("a path of 20 KiB", format!("/{}", "a".repeat(20 << 10)), String::new(), 431),
        ("a query of 20 KiB", format!("/open?{}", "a".repeat(20 << 10)), String::new(), 431),
    ] {
        let mut client = server.connect().await;
        client.send(format!("GET {path} HTTP/1.1\r\nHost: t\r\n{extra}\r\n")).await;
        assert_eq!(client.answer().await.status, status, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn packed_bodies_are_refused_unread() {
    let server = Server::start(quick()).await;
    for (encoding, status) in [("gzip", 415), ("br, gzip", 415), ("Identity", 200)] {
        let mut client = server.connect().await;
        let head = format!("POST /echo HTTP/1.1\r\nHost: t\r\nContent-Encoding: {encoding}\r\n");
        client.send(format!("{head}Content-Length: 4\r\n\r\nbody")).await;
        let answer = client.answer().await;
        assert_eq!(answer.status, status, "{encoding}");
        assert_eq!(
            status == 415,
            answer.status != 200 && answer.code() == "encoding_unsupported",
            "{encoding}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_have_a_size() {
    let server = Server::start(Limits { body_bytes_max: 10_000, ..quick() }).await;
    for (bytes, status) in [(0, 200), (1, 200), (9_999, 200), (10_000, 200), (10_001, 413), (1 << 20, 413)] {
        let chunked = format!("{bytes:x}\r\n{}\r\n", "x".repeat(bytes));
        let chunked = if bytes == 0 { String::new() } else { chunked };
        for message in [
            format!("Content-Length: {bytes}\r\n\r\n{}", "x".repeat(bytes)),
            format!("Transfer-Encoding: chunked\r\n\r\n{chunked}0\r\n\r\n"),
        ] {
            let mut client = server.connect().await;
            let head = "POST /echo HTTP/1.1\r\nHost: t\r\n";
            // A refused body need not be read to its end, so sending it may fail.
            let (mut read, mut write) = client.stream.split();
            use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
            let mut start = [0; 12];
            let sending = async { write.write_all(format!("{head}{message}").as_bytes()).await.ok() };
            let (_, got) = tokio::join!(sending, read.read_exact(&mut start));
            got.unwrap();
            assert_eq!(std::str::from_utf8(&start).unwrap(), format!("HTTP/1.1 {status}"), "{bytes} bytes");
        }
    }
    // An announced size is refused before the body is sent.
    let mut client = server.connect().await;
    client
        .send("POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 10001\r\nExpect: 100-continue\r\n\r\n")
        .await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.code().as_str()), (413, "body_too_large"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_is_refused_and_harms_nobody() {
    let server = Server::start(quick()).await;
    for nonsense in [
        "\r\n\r\nnonsense\r\n\r\n",
        "GET\r\n\r\n",
        "GET /open HTTP/9.9\r\n\r\n",
        "GET /open HTTP/1.1\r\nno colon here\r\n\r\n",
        "GET /open HTTP/1.1\r\nHost: t\r\nX: a\0b\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: -1\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\u{1}",
    ] {
        let mut client = server.connect().await;
        client.send(nonsense).await;
        let answer = client.rest_until_closed().await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 400 ") || answer.is_empty(), "{nonsense:?} got {answer}");
    }
    assert_eq!(server.get("/open").await.status, 200);
    assert_eq!(server.metric("jaego_http_handler_panics_total"), 0.0);
}

/// A small generator of numbers that repeat with their seed (Marsaglia's xorshift64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).unwrap()
    }

    /// A sound request with one to four bytes or stretches changed.
    fn broken_request(&mut self) -> Vec<u8> {
        let sound: [&[u8]; 4] = [
            b"GET /read HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer jaego_00_11\r\n\r\n",
            b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 11\r\n\r\n{\"id\":\"H1\"}",
            b"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x08\x01\x05\0\0\0\x01\x82\x86\x04\x05/open",
        ];
        let mut request = sound[self.roll(sound.len())].to_vec();
        for _ in 0..=self.roll(4) {
            let place = self.roll(request.len());
            match self.roll(4) {
                0 => request[place] = u8::try_from(self.roll(256)).unwrap(),
                1 => request[place] ^= 1 << self.roll(8),
                2 => drop(request.drain(place..(place + self.roll(8) + 1).min(request.len()))),
                _ => {
                    let copy = request[place..(place + self.roll(32)).min(request.len())].to_vec();
                    request.splice(place..place, copy);
                }
            }
            if request.is_empty() {
                return request;
            }
        }
        request
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_broken_requests_never_make_the_server_fail() {
    let server = std::sync::Arc::new(Server::start(Limits { auth_failures_max: 100_000, ..quick() }).await);
    let mut tasks = tokio::task::JoinSet::new();
    for seed in 1..=8_u64 {
        let server = std::sync::Arc::clone(&server);
        tasks.spawn(async move {
            let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let mut answered = 0;
            for number in 0..1250 {
                use tokio::io::AsyncWriteExt as _;
                let request = dice.broken_request();
                let mut client = server.connect().await;
                client.send(&request).await;
                // Nothing more comes, so nothing is waited for. The server may have hung up already.
                let _ = client.stream.shutdown().await;
                let answer = client.rest_until_closed().await;
                let answer = String::from_utf8_lossy(&answer);
                let fails = answer.contains("HTTP/1.1 5");
                assert!(
                    !fails,
                    "seed {seed}, request {number}: {:?} got {answer}",
                    String::from_utf8_lossy(&request)
                );
                answered += u32::from(answer.starts_with("HTTP/1.1 "));
            }
            answered
        });
    }
    let answered: u32 = tasks.join_all().await.into_iter().sum();
    assert!(answered > 2000, "only {answered} were answered at all");
    assert_eq!(server.metric("jaego_http_handler_panics_total"), 0.0);
    server.metric_becomes("jaego_http_connections", 0.0).await;
    assert_eq!(server.get("/open").await.status, 200);
}

pub(crate) async fn connect_from(from: &str, to: SocketAddr) -> Client {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(from.parse().unwrap()).unwrap();
    Client::over(socket.connect(to).await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_counted_in_all_and_by_peer() {
    let server = Server::start(Limits { connections_max: 3, connections_per_peer_max: 2, ..quick() }).await;
    let (one, two) = ("127.0.0.1:0", "127.0.0.2:0");
    let mut open = Vec::new();
    for from in [one, one, two] {
        let mut client = connect_from(from, server.address).await;
        assert_eq!(client.request("GET", "/open", &[], b"").await.status, 200);
        open.push(client);
    }
    for (from, limit) in [(one, "total"), (two, "total")] {
        let mut refused = connect_from(from, server.address).await;
        let answer = refused.answer().await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")), "{limit}");
    }
    drop(open.pop());
    server.metric_becomes("jaego_http_connections", 2.0).await;
    assert_eq!(connect_from(one, server.address).await.answer().await.status, 503);
    assert_eq!(server.metric("jaego_http_connections_refused_total{limit=\"per_peer\"}"), 1.0);
    assert_eq!(server.metric("jaego_http_connections_refused_total{limit=\"total\"}"), 2.0);
    let mut other = connect_from(two, server.address).await;
    assert_eq!(other.request("GET", "/open", &[], b"").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_requests_than_hands_are_told_to_come_again() {
    let server = Server::start(Limits { requests_in_flight_max: 2, ..quick() }).await;
    let mut busy = Vec::new();
    for _ in 0..2 {
        let mut client = server.connect().await;
        client.send("GET /sleep/1500 HTTP/1.1\r\nHost: t\r\n\r\n").await;
        busy.push(client);
    }
    server.metric_becomes("jaego_http_requests_in_flight", 2.0).await;
    // The body never comes: the answer does not wait for it.
    let mut client = server.connect().await;
    let began = Instant::now();
    client.send("POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 60000\r\n\r\n{").await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "busy"));
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert!(began.elapsed() < Duration::from_millis(900));
    assert_eq!(server.get("/healthz").await.status, 200);
    assert_eq!(server.get("/readyz").await.status, 200);
    for mut client in busy {
        assert_eq!(client.answer().await.status, 200);
    }
    assert_eq!(server.get("/open").await.status, 200);
    assert_eq!(server.metric("jaego_http_requests_shed_total"), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn long_bodies_have_so_much_room_together() {
    let limits = Limits { body_bytes_max: 1_000, long_body_bytes_max: 10_000, ..quick() };
    let server = Server::start(limits).await;
    let head =
        |bytes: usize| format!("POST /echo-long HTTP/1.1\r\nHost: t\r\nContent-Length: {bytes}\r\n\r\n");
    let whole = |bytes: usize| format!("{}{}", head(bytes), "x".repeat(bytes));
    for round in 0..2 {
        // It waits for its last bytes with 8,000 counted ones of 9,000.
        let mut long = server.connect().await;
        long.send(format!("{}{}", head(9_500), "x".repeat(9_000))).await;
        server.metric_becomes("jaego_http_requests_in_flight", 1.0).await;
        let mut told = Vec::new();
        while told.last() != Some(&(503, "busy".to_owned())) {
            // The one before may not have been read yet.
            assert!(told.len() < 100, "{told:?}");
            let mut other = server.connect().await;
            other.send(whole(4_000)).await;
            let answer = other.answer().await;
            if answer.status == 503 {
                assert_eq!(answer.header("retry-after"), Some("1"));
            }
            let code = if answer.status == 200 { String::new() } else { answer.code() };
            told.push((answer.status, code));
        }
        // Whoever sends little is not asked for room, and nobody who fits into what is left.
        for (bytes, status) in [(1_000, 200), (2_500, 200)] {
            let mut other = server.connect().await;
            other.send(whole(bytes)).await;
            assert_eq!(other.answer().await.status, status, "round {round}: {bytes} bytes");
        }
        long.send("x".repeat(500)).await;
        assert_eq!(long.answer().await.status, 200);
        let mut other = server.connect().await;
        other.send(whole(4_000)).await;
        assert_eq!(other.answer().await.status, 200, "the room is free again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_a_handler_costs_one_answer() {
    let server = Server::start(quick()).await;
    let mut client = server.connect().await;
    let answer = client.request("GET", "/panic", &[], b"").await;
    assert_eq!((answer.status, answer.code().as_str()), (500, "internal"));
    assert!(!answer.text().contains("on purpose"));
    assert_eq!(client.request("GET", "/open", &[], b"").await.status, 200);
    assert_eq!(server.metric("jaego_http_handler_panics_total"), 1.0);
    server.metric_becomes("jaego_http_requests_in_flight", 0.0).await;
}
