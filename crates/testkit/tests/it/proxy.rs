//! The proxy in front of a real Redis and in front of a plain listener, fault by fault.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::support::Client;
use jaego_testkit::{
    Direction::{ToClient, ToServer},
    Fault, FaultProxy, Redis, RedisOptions, wait_until,
};

const PATIENCE: Duration = Duration::from_secs(20);
const MOMENT: Duration = Duration::from_millis(150);

fn redis() -> (Redis, FaultProxy) {
    let redis = Redis::start(&RedisOptions::default()).unwrap();
    let proxy = FaultProxy::start(redis.addr()).unwrap();
    (redis, proxy)
}

/// A client through a proxy and the server's end of its connection.
fn pair() -> (FaultProxy, TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = FaultProxy::start(listener.local_addr().unwrap()).unwrap();
    let client = TcpStream::connect(proxy.addr()).unwrap();
    let (server, _) = listener.accept().unwrap();
    for stream in [&client, &server] {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
    }
    (proxy, client, server)
}

fn read(stream: &mut TcpStream, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

/// That nothing comes for a moment, although the connection is open.
fn assert_silent(stream: &mut TcpStream) {
    stream.set_read_timeout(Some(MOMENT)).unwrap();
    let error = stream.read(&mut [0]).unwrap_err();
    assert!(matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut), "{error}");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
}

#[test]
fn without_a_fault_everything_passes() {
    let (_redis, proxy) = redis();
    let clients: Vec<JoinHandle<()>> = (0..8)
        .map(|number| {
            let addr = proxy.addr();
            thread::spawn(move || {
                let mut client = Client::connect(addr).unwrap();
                for turn in 1..=100 {
                    assert_eq!(client.call(&format!("INCR own{number}")).unwrap(), turn.to_string());
                    client.call("INCR shared").unwrap();
                }
            })
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().unwrap());
    let mut client = Client::connect(proxy.addr()).unwrap();
    assert_eq!(client.call("GET shared").unwrap(), "800");
}

#[test]
fn megabytes_pass_both_ways_unchanged_and_half_closed() {
    let (proxy, mut client, server) = pair();
    let sent: Vec<u8> =
        (0..4_000_000_u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let echo = thread::spawn(move || {
        let mut bytes = Vec::new();
        (&server).read_to_end(&mut bytes).unwrap();
        (&server).write_all(&bytes).unwrap();
    });
    client.write_all(&sent).unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let mut received = Vec::new();
    client.read_to_end(&mut received).unwrap();
    echo.join().unwrap();
    assert!(received == sent, "4 MB came back changed");
    assert_eq!(proxy.passed(ToServer), 4_000_000);
    wait_until("the end of the connection", PATIENCE, || (proxy.connections() == 0).then_some(())).unwrap();
}

#[test]
fn a_swallowed_reply_leaves_the_server_changed() {
    let (redis, proxy) = redis();
    let mut client = Client::connect(proxy.addr()).unwrap();
    client.set_patience(MOMENT);
    proxy.set(ToClient, Fault::Swallow);
    assert!(client.call("INCR stock").is_err());
    assert_eq!(Client::connect(redis.addr()).unwrap().call("GET stock").unwrap(), "1");

    // Healed, the lost reply stays lost and the next one arrives.
    proxy.heal();
    client.set_patience(PATIENCE);
    assert_eq!(client.call("INCR stock").unwrap(), "2");
}

#[test]
fn a_swallowed_request_leaves_it_unchanged() {
    let (redis, proxy) = redis();
    let mut client = Client::connect(proxy.addr()).unwrap();
    client.set_patience(MOMENT);
    proxy.set(ToServer, Fault::Swallow);
    assert!(client.call("INCR stock").is_err());
    assert_eq!(Client::connect(redis.addr()).unwrap().call("GET stock").unwrap(), "nil");
}

#[test]
fn a_reply_that_is_cut_off_leaves_the_server_changed_and_the_next_try_gets_through() {
    let (_redis, proxy) = redis();
    let mut client = Client::connect(proxy.addr()).unwrap();
    assert_eq!(client.call("INCR stock").unwrap(), "1");
    proxy.set(ToClient, Fault::CutAfter(0));
    assert!(client.call("INCR stock").is_err());
    assert_eq!(proxy.fault(ToClient), Fault::Pass);
    let mut client = Client::connect(proxy.addr()).unwrap();
    assert_eq!(client.call("GET stock").unwrap(), "2");
}

#[test]
fn a_cut_passes_exactly_the_bytes_before_it() {
    for (count, sent) in [(0, 1), (1, 2), (4, 10), (9, 10)] {
        let (proxy, mut client, mut server) = pair();
        proxy.set(ToClient, Fault::CutAfter(count));
        server.write_all(&b"0123456789"[..sent]).unwrap();
        let mut received = Vec::new();
        client.read_to_end(&mut received).unwrap();
        assert_eq!(received, &b"0123456789"[..usize::try_from(count).unwrap()], "cut after {count}");
        assert_eq!(server.read(&mut [0]).unwrap(), 0, "the server's side is closed too");
    }
    // All that was counted has passed, and nothing more came: the connection stands.
    let (proxy, mut client, mut server) = pair();
    proxy.set(ToClient, Fault::CutAfter(10));
    server.write_all(b"0123456789").unwrap();
    assert_eq!(read(&mut client, 10), b"0123456789");
    assert_silent(&mut client);
    assert_eq!(proxy.fault(ToClient), Fault::CutAfter(0));
}

#[test]
fn dropped_bytes_are_missing_from_the_stream() {
    let (proxy, mut client, mut server) = pair();
    proxy.set(ToServer, Fault::Drop(3));
    client.write_all(b"0123456789").unwrap();
    assert_eq!(read(&mut server, 7), b"3456789");
    assert_eq!(proxy.fault(ToServer), Fault::Pass);
}

#[test]
fn a_black_hole_holds_everything_and_gives_it_back() {
    let (proxy, mut client, mut server) = pair();
    proxy.set_both(Fault::Blackhole);
    client.write_all(b"request").unwrap();
    server.write_all(b"reply").unwrap();
    assert_silent(&mut client);
    assert_silent(&mut server);
    proxy.heal();
    assert_eq!(read(&mut server, 7), b"request");
    assert_eq!(read(&mut client, 5), b"reply");
}

#[test]
fn a_side_that_closes_a_dead_line_is_not_heard() {
    for fault in [Fault::Blackhole, Fault::Swallow] {
        let (proxy, client, mut server) = pair();
        proxy.set_both(fault);
        drop(client);
        assert_silent(&mut server);
        proxy.heal();
        assert_eq!(server.read(&mut [0]).unwrap(), 0, "{fault:?}");
    }
}

#[test]
fn a_delay_takes_its_time_and_loses_nothing() {
    let (_redis, proxy) = redis();
    let mut client = Client::connect(proxy.addr()).unwrap();
    proxy.set_both(Fault::Delay(MOMENT));
    let asked = Instant::now();
    assert_eq!(client.call("PING").unwrap(), "PONG");
    assert!(asked.elapsed() >= 2 * MOMENT, "both ways: {:?}", asked.elapsed());
}

#[test]
fn a_throttle_holds_its_rate() {
    let (proxy, mut client, mut server) = pair();
    proxy.set(ToServer, Fault::Throttle(10_000));
    let sent = Instant::now();
    client.write_all(&[7; 3_000]).unwrap();
    assert_eq!(read(&mut server, 3_000), [7; 3_000]);
    assert!(sent.elapsed() >= Duration::from_millis(300), "{:?}", sent.elapsed());
    // Slow as a snail, then lifted: what waits is soon through.
    proxy.set(ToServer, Fault::Throttle(10));
    client.write_all(&[8; 3_000]).unwrap();
    read(&mut server, 1);
    proxy.heal();
    assert_eq!(read(&mut server, 2_999), [8; 2_999]);
    assert!(sent.elapsed() < PATIENCE);
}

#[test]
fn a_reset_is_a_reset_and_a_close_is_a_close() {
    let (proxy, mut client, mut server) = pair();
    proxy.reset_connections();
    for stream in [&mut client, &mut server] {
        assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }
    let (proxy, mut client, mut server) = pair();
    proxy.close_connections();
    for stream in [&mut client, &mut server] {
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    }
}

#[test]
fn connections_end_whatever_their_pumps_wait_for() {
    // One pump is in a black hole, one in a long delay, one in a write that nobody reads.
    for fault in [Fault::Blackhole, Fault::Delay(Duration::from_secs(600)), Fault::Pass] {
        let (proxy, mut client, mut server) = pair();
        proxy.set(ToServer, fault);
        client.set_write_timeout(Some(MOMENT)).unwrap();
        // Until the buffers on the way are full.
        while client.write(&[1; 65_536]).is_ok() {}
        let asked = Instant::now();
        proxy.reset_connections();
        assert!(asked.elapsed() < PATIENCE, "{fault:?}");
        let ended = server.read_to_end(&mut Vec::new());
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::ConnectionReset, "{fault:?}");
    }
}

#[test]
fn refused_connections_are_reset_and_open_ones_stay() {
    let (_redis, proxy) = redis();
    let mut open = Client::connect(proxy.addr()).unwrap();
    assert_eq!(open.call("PING").unwrap(), "PONG");
    proxy.set_accepting(false);
    assert!(Client::connect(proxy.addr()).and_then(|mut client| client.call("PING")).is_err());
    assert_eq!(open.call("PING").unwrap(), "PONG");
    proxy.heal();
    assert_eq!(Client::connect(proxy.addr()).unwrap().call("PING").unwrap(), "PONG");
}

#[test]
fn new_connections_follow_the_upstream() {
    let (_first, proxy) = redis();
    let second = Redis::start(&RedisOptions::default()).unwrap();
    let mut old = Client::connect(proxy.addr()).unwrap();
    assert_eq!(old.call("SET who first").unwrap(), "OK");
    proxy.set_upstream(second.addr());
    assert_eq!(Client::connect(proxy.addr()).unwrap().call("GET who").unwrap(), "nil");
    assert_eq!(old.call("GET who").unwrap(), "first");
}

#[test]
fn one_connection_too_many_is_turned_away() {
    // Four sockets a connection, all of them here: the client's, the server's and the proxy's two.
    let files = jaego_testkit::raise_open_files().unwrap();
    assert!(files.is_none_or(|files| files > 5_000), "this test needs 5,000 open files, not {files:?}");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = FaultProxy::start(listener.local_addr().unwrap()).unwrap();
    let mut held = Vec::new();
    for _ in 0..jaego_testkit::limits::PROXY_CONNECTIONS_MAX {
        held.push((TcpStream::connect(proxy.addr()).unwrap(), listener.accept().unwrap()));
    }
    // The last one is counted a little after the server has seen it.
    let full = jaego_testkit::limits::PROXY_CONNECTIONS_MAX;
    wait_until("the last connection", PATIENCE, || (proxy.connections() == full).then_some(())).unwrap();
    let mut more = TcpStream::connect(proxy.addr()).unwrap();
    more.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(more.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::ConnectionReset);

    // One goes, and there is room for one.
    held.pop();
    wait_until("room", PATIENCE, || (proxy.connections() < full).then_some(())).unwrap();
    let mut next = TcpStream::connect(proxy.addr()).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    next.write_all(b"hello").unwrap();
    assert_eq!(read(&mut server, 5), b"hello");
}

#[test]
fn dropping_it_closes_everything() {
    let (proxy, mut client, mut server) = pair();
    let addr = proxy.addr();
    proxy.set_both(Fault::Blackhole);
    client.write_all(b"request").unwrap();
    drop(proxy);
    assert_eq!(client.read(&mut [0]).unwrap_or(0), 0);
    assert_eq!(server.read(&mut [0]).unwrap_or(0), 0);
    assert!(TcpStream::connect(addr).is_err());
}
