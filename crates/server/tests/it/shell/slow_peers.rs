//! Peers that send or read too slowly, or not at all.

use std::time::{Duration, Instant};

use jaego_server::{Limits, Role};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::shell::http2;
use crate::shell::sizes::connect_from;
use crate::shell::support::{BIG_BYTES, Client, Server, quick};

const SECOND: Duration = Duration::from_secs(1);

/// Sends a byte every now and then until the server closes; returns how long that took.
async fn dribble(mut client: Client, pause: Duration) -> (Duration, Vec<u8>) {
    let start = Instant::now();
    let (mut read, mut write) = client.stream.split();
    let mut answer = Vec::new();
    tokio::select! {
        () = async { while read.read_buf(&mut answer).await.is_ok_and(|bytes| bytes > 0) {} } => {}
        () = async { loop {
            tokio::time::sleep(pause).await;
            if write.write_all(b"x").await.is_err() {
                std::future::pending::<()>().await;
            }
        } } => {}
    }
    (start.elapsed(), answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_does_not_come_is_not_waited_for() {
    let server = Server::start(quick()).await;
    for start in ["", "G", "GET /open HTTP/1.1\r\nHost: te", "PRI * HT", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut client = server.connect().await;
        let began = Instant::now();
        client.send(start).await;
        client.rest_until_closed().await;
        let took = began.elapsed();
        assert!(took >= SECOND && took < 3 * SECOND, "{start:?} took {took:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dribbled_head_is_not_waited_for() {
    let server = Server::start(quick()).await;
    let mut first = server.connect().await;
    first.send("GET /open HTTP/1.1\r\nX-Slow: ").await;
    // The second request of a connection that may idle for long.
    let token = format!("Bearer {}", server.token(Role::Reader));
    let mut second = server.connect().await;
    assert_eq!(second.request("GET", "/read", &[("Authorization", &token)], b"").await.status, 200);
    second.send("GET /open HTTP/1.1\r\nX-Slow: ").await;
    let pause = Duration::from_millis(100);
    let ((first, _), (second, _)) = tokio::join!(dribble(first, pause), dribble(second, pause));
    for took in [first, second] {
        assert!(took >= SECOND - Duration::from_millis(100) && took < 3 * SECOND, "{took:?}");
    }
    server.metric_becomes("jaego_http_connections_closed_total{reason=\"slow_head\"}", 2.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_caller_may_idle_longer_than_a_stranger() {
    let server = Server::start(quick()).await;
    let mut stranger = server.connect().await;
    assert_eq!(stranger.request("GET", "/open", &[], b"").await.status, 200);
    let token = format!("Bearer {}", server.token(Role::Reader));
    let mut known = server.connect().await;
    assert_eq!(known.request("GET", "/read", &[("Authorization", &token)], b"").await.status, 200);

    let began = Instant::now();
    stranger.rest_until_closed().await;
    assert!(began.elapsed() < 3 * SECOND, "{:?}", began.elapsed());
    assert_eq!(known.request("GET", "/open", &[], b"").await.status, 200);
    let began = Instant::now();
    known.rest_until_closed().await;
    assert!(began.elapsed() >= 4 * SECOND && began.elapsed() < 6 * SECOND, "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dribbled_or_stalled_body_is_given_up() {
    let server = Server::start(quick()).await;
    for pause in [Duration::from_millis(100), Duration::from_secs(60)] {
        let mut client = server.connect().await;
        client.send("POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 1000\r\n\r\n{").await;
        let (took, answer) = dribble(client, pause).await;
        assert!(took >= SECOND - Duration::from_millis(100) && took < 3 * SECOND, "{took:?}");
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert!(answer.contains("\"body_too_slow\""), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_steady_body_may_take_its_time() {
    let server = Server::start(Limits { body_rate_min: 1000, ..quick() }).await;
    let mut client = server.connect().await;
    client.send("POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 10000\r\n\r\n").await;
    // 4,000 bytes a second for two and a half seconds.
    for _ in 0..25 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        client.send([b'x'; 400]).await;
    }
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.body.len()), (200, 10_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_nobody_reads_is_given_up() {
    let server = Server::start(Limits { write_rate_min: 1 << 20, ..quick() }).await;
    let closed = "jaego_http_connections_closed_total{reason=\"slow_read\"}";
    let request = "GET /big HTTP/1.1\r\nHost: t\r\n\r\n";

    let mut unread = server.connect().await;
    unread.send(request).await;
    let began = Instant::now();
    server.metric_becomes(closed, 1.0).await;
    assert!(began.elapsed() >= SECOND && began.elapsed() < 3 * SECOND, "{:?}", began.elapsed());
    assert!(unread.rest_until_closed().await.len() < BIG_BYTES);

    let mut dribbled = server.connect().await;
    dribbled.send(request).await;
    let began = Instant::now();
    let mut piece = vec![0; 16 << 10];
    while server.metric(closed) < 2.0 {
        assert!(began.elapsed() < 10 * SECOND, "a peer that reads too little is never given up");
        let _ = dribbled.stream.read(&mut piece).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    let mut good = server.connect().await;
    assert_eq!(good.request("GET", "/big", &[], b"").await.body.len(), BIG_BYTES);
}

/// Peers who ask for much and read nothing, over HTTP/1.1 and HTTP/2.
#[tokio::test(flavor = "multi_thread")]
async fn answers_that_nobody_reads_hold_back_reads_and_no_commands() {
    const SHOWN: &str = "jaego_http_answer_bytes";
    // The fourth of these answers goes past it.
    let limits = Limits {
        answer_bytes_max: 3 * BIG_BYTES + 1,
        answer_bytes_per_peer_max: usize::MAX,
        write_grace: Duration::from_secs(60),
        ..quick()
    };
    let server = Server::start(limits).await;
    let secret = server.token(Role::Reader);
    let token = format!("Bearer {secret}");
    let page = format!("GET /page HTTP/1.1\r\nHost: t\r\nAuthorization: {token}\r\n\r\n");
    let read =
        async |path| server.connect().await.request("GET", path, &[("Authorization", &token)], b"").await;
    let mut unread = Vec::new();
    for number in 1..=4 {
        let mut client = server.connect().await;
        client.send(page.as_bytes()).await;
        server.metric_becomes(SHOWN, (number * BIG_BYTES) as f64).await;
        unread.push(client);
    }
    let answer = read("/page").await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "busy"));
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert!(answer.text().contains("134217728 bytes wait to be read"), "{}", answer.text());
    assert_eq!(read("/read").await.status, 503, "it would come on top, however short");
    // Commands are answered, and whoever looks after the service sees what is wrong.
    for _ in 0..20 {
        let answer = server.connect().await.request("POST", "/echo", &[], b"decided").await;
        assert_eq!((answer.status, answer.text()), (200, "decided"));
    }
    assert_eq!(server.get("/healthz").await.status, 200);
    // What is public is the same bytes for everybody.
    assert_eq!(server.get("/big").await.body.len(), BIG_BYTES);
    assert_eq!(server.metric("jaego_http_reads_held_back_total"), 2.0);
    // One of them reads, the others go.
    let mut reader = unread.pop().unwrap();
    assert_eq!(reader.answer().await.body.len(), BIG_BYTES);
    server.metric_becomes(SHOWN, (3 * BIG_BYTES) as f64).await;
    assert_eq!(read("/read").await.status, 200);
    drop(unread);
    server.metric_becomes(SHOWN, 0.0).await;

    let mut unread = Vec::new();
    for number in 1..=4 {
        unread.push(http2::ask_and_take(&server, "/page", &secret, 40_000).await);
        server.metric_becomes(SHOWN, (number * BIG_BYTES) as f64).await;
    }
    assert_eq!(read("/read").await.status, 503);
    drop(unread);
    server.metric_becomes(SHOWN, 0.0).await;
    assert_eq!(read("/page").await.body.len(), BIG_BYTES);
    server.metric_becomes(SHOWN, 0.0).await;
}

/// One who reads nothing takes its share, and what it has of public answers takes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn answers_that_one_peer_does_not_read_hold_back_no_other() {
    const SHOWN: &str = "jaego_http_answer_bytes";
    let limits = Limits {
        answer_bytes_max: 4 * BIG_BYTES,
        answer_bytes_per_peer_max: 2 * BIG_BYTES,
        write_grace: Duration::from_secs(60),
        ..quick()
    };
    let server = Server::start(limits).await;
    let token = format!("Bearer {}", server.token(Role::Reader));
    let headers = [("Authorization", token.as_str())];
    let mut unread = Vec::new();
    for _ in 0..5 {
        let mut client = server.connect().await;
        client.send("GET /big HTTP/1.1\r\nHost: t\r\n\r\n").await;
        unread.push(client);
    }
    let page = format!("GET /page HTTP/1.1\r\nHost: t\r\nAuthorization: {token}\r\n\r\n");
    for number in 1..=2 {
        let mut client = server.connect().await;
        client.send(&page).await;
        server.metric_becomes(SHOWN, (number * BIG_BYTES) as f64).await;
        unread.push(client);
    }
    let answer = server.connect().await.request("GET", "/read", &headers, b"").await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "busy"));
    assert!(answer.text().contains("67108864 bytes to this address wait"), "{}", answer.text());
    // All of 127.0.0.0/8 is this machine, each address another peer.
    let mut other = connect_from("127.0.0.2:0", server.address).await;
    assert_eq!(other.request("GET", "/page", &headers, b"").await.body.len(), BIG_BYTES);
    drop(unread);
    server.metric_becomes(SHOWN, 0.0).await;
    assert_eq!(server.connect().await.request("GET", "/read", &headers, b"").await.status, 200);
}

/// The 99th percentile of the times that a good client's requests take.
async fn p99(client: &mut Client, token: &str, requests: usize) -> Duration {
    let mut times = Vec::with_capacity(requests);
    for _ in 0..requests {
        let began = Instant::now();
        let answer = client.request("GET", "/read", &[("Authorization", token)], b"").await;
        assert_eq!(answer.status, 200);
        times.push(began.elapsed());
    }
    times.sort_unstable();
    times[requests * 99 / 100]
}

/// The best of some rounds, so that other work on the machine counts less. Who is starved is starved in each. A round
/// counts if as many connections were there to its end.
async fn best_p99(server: &Server, client: &mut Client, token: &str, connections: f64) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let round = p99(client, token, 300).await;
        if server.metric("jaego_http_connections") < connections {
            break;
        }
        best = best.min(round);
    }
    assert!(
        best < Duration::MAX,
        "no round was over before the first of {connections} connections was closed"
    );
    best
}

/// Below this an answer is quick, whatever it took before.
const QUICK: Duration = Duration::from_millis(1);
/// How long a slow peer waits between two bytes that it sends, or two pieces that it reads.
const PAUSE: Duration = Duration::from_millis(300);

/// One of the ways to keep a connection and give nothing for it, until the service closes it.
async fn be_slow(mut client: Client, number: usize) {
    let starts = ["", "GET /open HT", "GET /open HTTP/1.1\r\nX: ", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"];
    match number % 4 {
        0 => {
            client.send(starts[number / 4 % starts.len()]).await;
            dribble(client, Duration::from_secs(3600)).await;
        }
        1 => {
            client.send("GET /open HTTP/1.1\r\nX-Slow: ").await;
            dribble(client, PAUSE).await;
        }
        2 => {
            client.send("POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 1000\r\n\r\n{").await;
            dribble(client, PAUSE).await;
        }
        _ => {
            client.send("GET /big HTTP/1.1\r\nHost: t\r\n\r\n").await;
            let mut piece = vec![0; 512];
            while client.stream.read(&mut piece).await.is_ok_and(|bytes| bytes > 0) {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_slow_peers_starve_nobody() {
    // Both ends of each connection are in this process.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();

    // The usual limits, but for the ones that keep a single peer from doing this at all.
    let limits = Limits {
        connections_per_peer_max: 4000,
        answer_bytes_max: usize::MAX,
        answer_bytes_per_peer_max: usize::MAX,
        ..Limits::default()
    };
    let server = Server::start(limits).await;
    let token = format!("Bearer {}", server.token(Role::Reader));
    let mut good = server.connect().await;
    p99(&mut good, &token, 200).await;
    let before = best_p99(&server, &mut good, &token, 1.0).await;

    let began = Instant::now();
    let mut slow = tokio::task::JoinSet::new();
    for number in 0..2_000 {
        slow.spawn(be_slow(server.connect().await, number));
    }
    server.metric_becomes("jaego_http_connections", 2001.0).await;
    let during = best_p99(&server, &mut good, &token, 2001.0).await;
    assert!(during <= 2 * before.max(QUICK), "p99 went from {before:?} to {during:?}");

    server.metric_becomes("jaego_http_connections", 1.0).await;
    let took = began.elapsed();
    assert!(took < 10 * SECOND, "all were closed after {took:?}");
    assert_eq!(server.metric("jaego_http_connections_closed_total{reason=\"slow_read\"}"), 500.0);
    slow.shutdown().await;
    assert_eq!(good.request("GET", "/read", &[("Authorization", &token)], b"").await.status, 200);
    println!(
        "p99 of a good client: {before:?} alone, {during:?} beside 2,000 slow peers, closed after {took:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_takes_too_long_is_answered_for() {
    let server = Server::start(Limits { request_timeout: Duration::from_millis(300), ..quick() }).await;
    let began = Instant::now();
    let answer = server.get("/sleep/5000").await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "request_timeout"));
    assert!(began.elapsed() < 2 * SECOND);
    server.metric_becomes("jaego_http_requests_in_flight", 0.0).await;
}
