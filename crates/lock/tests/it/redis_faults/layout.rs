//! What the names of keys must look like for a cluster.

use std::collections::BTreeSet;

use jaego_lock::{Locks, Mode, Redis, RedisOptions};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::redis_faults::{PATIENCE, ms, server};

/// As many as there are where nothing else is said.
const SHARDS: usize = 64;

/// A cluster keeps together what has the same text between braces, and runs a script only where all its keys are. So each
/// script stays within one, its notices included: the steps, and the first words on a connection, to each shard its own.
#[tokio::test]
async fn all_keys_of_a_script_share_one_hash_tag() {
    let server = server();
    let mut monitor = BufReader::new(TcpStream::connect(server.addr()).await.unwrap());
    monitor.write_all(b"MONITOR\r\n").await.unwrap();
    let options = RedisOptions::new(&server.url()).unwrap().quarantine(ms(0));
    let locks = Locks::new(Redis::start(options));
    let guard = locks.lock("a").acquire().await.unwrap();
    let waiters = [locks.lock("a"), locks.lock("a").fair(), locks.shared("a")]
        .map(|request| tokio::spawn(async { request.acquire().await.unwrap().release().await }));
    let queued = async {
        while locks.look("a").await.unwrap().waiters_count < 2 {
            tokio::time::sleep(ms(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, queued).await.expect("they queue");
    guard.extend(ms(20_000)).await.unwrap();
    guard.downgrade(Mode::shared()).await.unwrap();
    let owner = locks.look("a").await.unwrap().holders[0].owner;
    locks.break_holds("a", &[owner]).await.unwrap();
    for waiter in waiters {
        let outcome = tokio::time::timeout(PATIENCE * 10, waiter).await.expect("it is served").unwrap();
        assert!(outcome.was_held(), "{outcome:?}");
    }
    let many = locks.multi((0..40).map(|number| format!("product:{number}"))).acquire().await.unwrap();
    assert!(many.release().await.was_held());
    let mut last =
        redis::Client::open(server.url()).unwrap().get_multiplexed_async_connection().await.unwrap();
    let () = redis::cmd("ECHO").arg("the end of it").query_async(&mut last).await.unwrap();

    // A line for each command, and behind a script's one for each command that it has called.
    let (mut scripts, mut shards) = (0, BTreeSet::new());
    let mut tags: Option<BTreeSet<String>> = None;
    let mut line = String::new();
    while !line.contains("the end of it") {
        line.clear();
        tokio::time::timeout(PATIENCE, monitor.read_line(&mut line)).await.expect("it goes on").unwrap();
        if !line.contains(" lua] ") {
            if let Some(tags) = tags.take() {
                assert_eq!(tags.len(), 1, "of one script: {tags:?}");
                scripts += 1;
                shards.extend(tags);
            }
            tags = line.contains("] \"EVAL").then(BTreeSet::new);
        }
        if let Some(tags) = &mut tags {
            tags.extend(line.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0.to_owned())));
        }
    }
    assert!(scripts > SHARDS + 20, "{scripts} scripts");
    assert_eq!(shards.len(), SHARDS, "each has its greeting: {shards:?}");
    locks.shutdown().await;
}
