//! A real Redis: what it keeps through crashes and restarts, and that it goes when it should.

use std::io;
use std::net::TcpStream;
use std::time::Duration;

use crate::support::Client;
use jaego_testkit::{Durability, Error, Redis, RedisOptions};

fn start(durability: Durability) -> Redis {
    Redis::start(&RedisOptions { durability, settings: Vec::new() }).unwrap()
}

#[test]
fn what_was_synced_survives_a_crash_and_what_was_not_kept_does_not() {
    for (durability, remembered) in
        [(Durability::Always, "1"), (Durability::EverySecond, "1"), (Durability::None, "nil")]
    {
        let mut redis = start(durability);
        let mut client = Client::connect(redis.addr()).unwrap();
        assert_eq!(client.call("SET stock 1").unwrap(), "OK");

        redis.kill_9().unwrap();
        assert!(client.call("PING").is_err());
        redis.restart().unwrap();

        let mut client = Client::connect(redis.addr()).unwrap();
        // The crash of a process leaves what it wrote with the kernel, hence also "every second".
        assert_eq!(client.call("GET stock").unwrap(), remembered, "{durability:?}");
    }
}

#[test]
fn a_lost_disk_comes_back_empty() {
    let mut redis = start(Durability::Always);
    assert_eq!(Client::connect(redis.addr()).unwrap().call("SET stock 1").unwrap(), "OK");
    redis.restart_empty().unwrap();
    assert_eq!(Client::connect(redis.addr()).unwrap().call("GET stock").unwrap(), "nil");
}

#[test]
fn a_stopped_server_is_silent_and_goes_on_later() {
    let mut redis = start(Durability::None);
    let mut client = Client::connect(redis.addr()).unwrap();
    redis.stop().unwrap();
    client.set_patience(Duration::from_millis(100));
    let error = client.call("PING").unwrap_err();
    assert!(matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut), "{error}");

    redis.cont().unwrap();
    client.set_patience(Duration::from_secs(20));
    assert_eq!(client.answer().unwrap(), "PONG");
}

#[test]
fn settings_reach_the_server() {
    let settings = vec![("maxmemory".to_owned(), "7mb".to_owned())];
    let redis = Redis::start(&RedisOptions { durability: Durability::None, settings }).unwrap();
    let mut client = Client::connect(redis.addr()).unwrap();
    client.send("CONFIG GET maxmemory").unwrap();
    // An array of two: the name and the value in bytes.
    assert!(client.answer().is_err());
    assert_eq!(client.answer().unwrap(), "maxmemory");
    assert_eq!(client.answer().unwrap(), "7340032");
}

#[test]
fn a_wrong_setting_is_shown_with_the_log() {
    let settings = vec![("no-such-setting".to_owned(), "1".to_owned())];
    let error = Redis::start(&RedisOptions { durability: Durability::None, settings }).unwrap_err();
    let Error::Ended { log, .. } = &error else { panic!("{error}") };
    assert!(log.contains("no-such-setting"), "{log}");
}

#[test]
fn nothing_is_left_when_it_is_dropped() {
    let redis = start(Durability::Always);
    let (addr, folder) = (redis.addr(), redis.folder().to_owned());
    drop(redis);
    assert!(!folder.exists());
    assert!(TcpStream::connect(addr).is_err());
}

#[test]
fn it_outlives_the_thread_that_started_it() {
    let redis = std::thread::spawn(|| start(Durability::None)).join().unwrap();
    assert_eq!(Client::connect(redis.addr()).unwrap().call("PING").unwrap(), "PONG");
}

#[test]
fn what_is_not_running_says_so() {
    let mut redis = start(Durability::None);
    redis.shut_down().unwrap();
    assert!(matches!(redis.kill_9(), Err(Error::NotRunning { .. })));
    assert!(matches!(redis.stop(), Err(Error::NotRunning { .. })));
    redis.restart().unwrap();
    assert_eq!(Client::connect(redis.addr()).unwrap().call("PING").unwrap(), "PONG");
}
