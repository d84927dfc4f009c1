//! The service behind TLS: who is spoken with, who is not, and who dawdles.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jaego_server::{Limits, Role};
use jaego_testkit::{Ca, Validity};
use jaego_tls::Trust;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion, version};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::shell::support::{BIG_BYTES, Client, PATIENCE, Server, quick};

const LOCAL: &[&str] = &["127.0.0.1", "localhost"];
const FAILED: &str = "jaego_http_connections_closed_total{reason=\"bad_handshake\"}";
const SLOW: &str = "jaego_http_connections_closed_total{reason=\"slow_handshake\"}";

/// A client that trusts this authority and has these versions and protocols.
fn client_config(
    ca: &Path,
    versions: &[&'static SupportedProtocolVersion],
    protocols: &[&str],
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    Arc::new(config)
}

fn server_name() -> ServerName<'static> {
    ServerName::try_from("localhost").unwrap()
}

/// A connection with these versions and protocols, and what was agreed on.
async fn connect(
    server: &Server,
    ca: &Path,
    versions: &[&'static SupportedProtocolVersion],
    protocols: &[&str],
) -> TlsStream<TcpStream> {
    let config = client_config(ca, versions, protocols);
    let socket = TcpStream::connect(server.address).await.unwrap();
    TlsConnector::from(config).connect(server_name(), socket).await.unwrap()
}

/// Sends it all. What is only written may stay in the buffer of TLS: a socket that takes nothing just now, as any seems to
/// when the task has used up its cooperative budget of tokio, leaves it there, and reading does not send it.
async fn send(stream: &mut TlsStream<TcpStream>, bytes: &[u8]) {
    stream.write_all(bytes).await.unwrap();
    stream.flush().await.unwrap();
}

/// One request on a connection of its own, as any client of HTTP/1.1 makes it; the whole answer.
async fn get(stream: &mut TlsStream<TcpStream>, path: &str) -> Vec<u8> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
    send(stream, request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an answer comes");
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn both_versions_and_both_protocols_are_spoken() {
    let ca = Ca::new().unwrap();
    let server = Server::start_tls(quick(), &ca.issue("server", LOCAL, Validity::Now).unwrap()).await;
    for version in [&version::TLS12, &version::TLS13] {
        let mut stream = connect(&server, &ca.path(), &[version], &[]).await;
        let answer = String::from_utf8(get(&mut stream, "/open").await).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("open"), "{answer}");
        // A large one, in many pieces.
        let mut stream = connect(&server, &ca.path(), &[version], &["http/1.1"]).await;
        let answer = get(&mut stream, "/big").await;
        assert!(answer.len() > BIG_BYTES);
        assert_eq!(stream.get_ref().1.protocol_version(), Some(version.version));
    }
    for (offered, agreed) in [
        (&["h2", "http/1.1"][..], Some("h2")),
        (&["http/1.1", "h2"], Some("h2")),
        (&["http/1.1"], Some("http/1.1")),
        (&[], None),
    ] {
        let stream = connect(&server, &ca.path(), &[&version::TLS13], offered).await;
        let found = stream.get_ref().1.alpn_protocol();
        assert_eq!(found, agreed.map(str::as_bytes), "{offered:?}");
    }
    // HTTP/2 is really there: its preface is answered with settings.
    let mut stream = connect(&server, &ca.path(), &[&version::TLS13], &["h2"]).await;
    send(&mut stream, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(head[3], 4, "the first frame is one of settings");
    assert_eq!(server.metric(FAILED), 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_comes_with_the_end_of_the_handshake_is_answered() {
    const ROUNDS: usize = 20;
    let ca = Ca::new().unwrap();
    let server = Server::start_tls(quick(), &ca.issue("server", LOCAL, Validity::Now).unwrap()).await;
    let config = client_config(&ca.path(), &[&version::TLS13], &[]);
    for round in 0..ROUNDS {
        let mut socket = TcpStream::connect(server.address).await.unwrap();
        let mut session = ClientConnection::new(Arc::clone(&config), server_name()).unwrap();
        socket.write_all(&to_be_sent(&mut session)).await.unwrap();
        while session.is_handshaking() {
            assert_ne!(receive(&mut socket, &mut session).await, 0, "the handshake ended early");
        }
        // The client's last word of the handshake is not sent yet: it goes in one write with the request.
        session.writer().write_all(b"GET /open HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").unwrap();
        socket.write_all(&to_be_sent(&mut session)).await.unwrap();
        let mut answer = Vec::new();
        while receive(&mut socket, &mut session).await > 0 {
            // Nothing to read yet is an error here, and so is an end without a goodbye.
            let _ = session.reader().read_to_end(&mut answer);
        }
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("open"), "{round}: {answer}");
    }
}

fn to_be_sent(session: &mut ClientConnection) -> Vec<u8> {
    let mut bytes = Vec::new();
    while session.wants_write() {
        session.write_tls(&mut bytes).unwrap();
    }
    bytes
}

/// Takes in what comes next; its number of bytes, zero at the end of the connection.
async fn receive(socket: &mut TcpStream, session: &mut ClientConnection) -> usize {
    let mut bytes = [0; 4096];
    let reading = tokio::time::timeout(PATIENCE, socket.read(&mut bytes));
    let read = reading.await.expect("something comes").unwrap();
    let mut rest = &bytes[..read];
    while !rest.is_empty() {
        session.read_tls(&mut rest).unwrap();
        session.process_new_packets().unwrap();
    }
    read
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_believe_the_certificate_says_no_word() {
    let (ca, other) = (Ca::new().unwrap(), Ca::new().unwrap());
    for (trusted, names, validity, expected) in [
        (&ca, LOCAL, Validity::Now, "fine"),
        (
            &other,
            LOCAL,
            Validity::Now,
            "the certificate of localhost is signed by nobody who is trusted here",
        ),
        (
            &ca,
            &["shop.example"][..],
            Validity::Now,
            "the certificate of localhost is not for that name but for",
        ),
        (&ca, LOCAL, Validity::Expired, "the certificate of localhost has expired"),
        (&ca, LOCAL, Validity::NotYet, "the certificate of localhost is not valid yet"),
    ] {
        let server = Server::start_tls(quick(), &ca.issue("server", names, validity).unwrap()).await;
        let connector = Trust::with_ca(&trusted.path()).connector().unwrap();
        let socket = TcpStream::connect(server.address).await.unwrap();
        let said = match connector.connect("localhost", socket).await {
            Ok(_) => "fine".to_owned(),
            Err(error) => error.to_string(),
        };
        assert!(said.starts_with(expected), "{said}");
        if expected != "fine" {
            server.metric_becomes(FAILED, 1.0).await;
        }
    }
    // Nor does a client take a server without TLS for one that has it.
    let plain = Server::start(quick()).await;
    let connector = Trust::with_ca(&ca.path()).connector().unwrap();
    let socket = TcpStream::connect(plain.address).await.unwrap();
    let error = connector.connect("localhost", socket).await.unwrap_err();
    assert!(error.to_string().starts_with("localhost speaks no TLS there"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_tls_is_told_so_and_closed() {
    let ca = Ca::new().unwrap();
    let server = Server::start_tls(quick(), &ca.issue("server", LOCAL, Validity::Now).unwrap()).await;
    for body in ["".to_owned(), "x".repeat(20_000)] {
        let mut client = server.connect().await;
        client.send(format!("POST /open HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}", body.len())).await;
        let answer = client.answer().await;
        assert_eq!(answer.status, 400);
        assert!(answer.text().contains("\"tls_required\""), "{}", answer.text());
        assert!(client.rest_until_closed().await.is_empty());
    }
    server.metric_becomes(FAILED, 2.0).await;
    // What begins as TLS does and is none is closed as well.
    let mut client = server.connect().await;
    client.send([22, 3, 1, 0, 5, b'h', b'e', b'l', b'l', b'o']).await;
    client.rest_until_closed().await;
    server.metric_becomes(FAILED, 3.0).await;
    // Who only looks whether somebody is there is no failure.
    drop(server.connect().await);
    server.metric_becomes("jaego_http_connections_closed_total{reason=\"done\"}", 1.0).await;
    server.metric_becomes("jaego_tls_handshakes", 0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_handshakes_end_and_hold_up_nobody() {
    const SLOW_ONES: usize = 200;
    let limits = Limits {
        tls_handshake_timeout: Duration::from_secs(1),
        tls_handshakes_max: 50,
        connections_per_peer_max: 100,
        ..quick()
    };
    let ca = Ca::new().unwrap();
    let server = Server::start_tls(limits, &ca.issue("server", LOCAL, Validity::Now).unwrap()).await;
    let get_one = async || {
        let began = Instant::now();
        let mut stream = connect(&server, &ca.path(), &[&version::TLS13], &[]).await;
        let answer = get(&mut stream, "/open").await;
        assert!(answer.starts_with(b"HTTP/1.1 200 "));
        began.elapsed()
    };
    let alone = get_one().await;
    // More than there may be handshakes, and more than one peer may have connections, were they all kept. Some say nothing,
    // some begin and stop.
    let mut dawdlers = Vec::new();
    for number in 0..SLOW_ONES {
        let mut client = server.connect().await;
        if number % 2 == 0 {
            client.send([22, 3, 1, 2]).await;
        }
        dawdlers.push(client);
        if number % 20 == 0 {
            let took = get_one().await;
            assert!(
                took < Duration::from_millis(900),
                "a good client took {took:?} beside {number} slow ones"
            );
        }
    }
    let beside = get_one().await;
    println!("{alone:?} alone, {beside:?} beside {SLOW_ONES} slow ones");
    let began = Instant::now();
    for mut client in dawdlers {
        client.rest_until_closed().await;
    }
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    server.metric_becomes(SLOW, SLOW_ONES as f64).await;
    server.metric_becomes("jaego_tls_handshakes", 0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_timeouts_and_caps_hold_behind_tls_too() {
    let limits = Limits { connections_per_peer_max: 3, ..quick() };
    let ca = Ca::new().unwrap();
    let server = Server::start_tls(limits, &ca.issue("server", LOCAL, Validity::Now).unwrap()).await;
    // A head that does not come.
    let mut silent = connect(&server, &ca.path(), &[&version::TLS13], &[]).await;
    send(&mut silent, b"GET /open HT").await;
    // An answer that is not read.
    let mut deaf = connect(&server, &ca.path(), &[&version::TLS13], &[]).await;
    send(&mut deaf, b"GET /big HTTP/1.1\r\nHost: t\r\n\r\n").await;
    // Nothing at all.
    let _third = connect(&server, &ca.path(), &[&version::TLS13], &[]).await;
    // One connection too many is closed without a word: what could be said would be no TLS.
    let mut fourth = server.connect().await;
    assert!(fourth.rest_until_closed().await.is_empty());
    server.metric_becomes("jaego_http_connections_refused_total{limit=\"per_peer\"}", 1.0).await;
    server.metric_becomes("jaego_http_connections_closed_total{reason=\"slow_head\"}", 2.0).await;
    server.metric_becomes("jaego_http_connections_closed_total{reason=\"slow_read\"}", 1.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_replaced_while_the_service_runs() {
    let (first, second) = (Ca::new().unwrap(), Ca::new().unwrap());
    let files = first.issue("server", LOCAL, Validity::Now).unwrap();
    let server = Server::start_tls(quick(), &files).await;
    let token = server.token(Role::Reader);
    let mut before = connect(&server, &first.path(), &[&version::TLS13], &[]).await;
    // A key that is not the certificate's, a file that is none, a file that is gone: the old ones stay.
    let other = second.issue("server", LOCAL, Validity::Now).unwrap();
    let good = fs::read(&files.certificate).unwrap();
    let certificate = fs::read(&other.certificate).unwrap();
    for wrong in [Some(certificate.clone()), Some(b"none".to_vec()), None] {
        match wrong {
            Some(text) => fs::write(&files.certificate, text).unwrap(),
            None => fs::remove_file(&files.certificate).unwrap(),
        }
        server.metric_becomes("jaego_tls_certificate_stale", 1.0).await;
        connect(&server, &first.path(), &[&version::TLS13], &[]).await;
        fs::write(&files.certificate, &good).unwrap();
        server.metric_becomes("jaego_tls_certificate_stale", 0.0).await;
    }
    // A new pair, one file after the other.
    fs::write(&files.certificate, certificate).unwrap();
    fs::copy(&other.key, &files.key).unwrap();
    let trust = Trust::with_ca(&second.path()).connector().unwrap();
    let began = Instant::now();
    loop {
        let socket = TcpStream::connect(server.address).await.unwrap();
        if trust.connect("localhost", socket).await.is_ok() {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "the new certificate is not shown");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Who was there before goes on.
    let request = format!(
        "GET /read HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    );
    send(&mut before, request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = before.read_to_end(&mut answer).await;
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_does_not_wait_for_handshakes() {
    let ca = Ca::new().unwrap();
    let limits = Limits { tls_handshake_timeout: Duration::from_secs(600), ..quick() };
    let mut server = Server::start_tls(limits, &ca.issue("server", LOCAL, Validity::Now).unwrap()).await;
    let _slow: Vec<Client> = vec![server.connect().await, server.connect().await];
    server.metric_becomes("jaego_tls_handshakes", 2.0).await;
    let began = Instant::now();
    server.begin_stop();
    assert_eq!(server.stopped().await.cut, 0);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}
