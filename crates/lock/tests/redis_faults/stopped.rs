//! A holder whose process is stopped for longer than its lease, and who writes as soon as it goes on.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use jaego_lock::Guard;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, cmd};
use tokio::time::sleep;

use crate::{PATIENCE, ms, process, rounds, server};

/// Tells this test that it is the process to be stopped, and where the server is.
const CHILD: &str = "JAEGO_LOCK_STOPPED_CHILD";

/// What is guarded: it keeps the greatest fence that it has seen, and notes what it accepts.
const WRITE: &str = "
    if tonumber(redis.call('GET', KEYS[1]) or '0') > tonumber(ARGV[1]) then
        return redis.call('INCR', KEYS[2]) * 0
    end
    redis.call('SET', KEYS[1], ARGV[1])
    redis.call('RPUSH', KEYS[3], ARGV[1])
    return 1";

async fn write(connection: &mut MultiplexedConnection, guard: &Guard) -> bool {
    let mut write = cmd("EVAL");
    write.arg(WRITE).arg(3).arg("fence").arg("refused").arg("accepted").arg(guard.fence());
    write.query_async(connection).await.unwrap()
}

struct Running(Child);

impl Running {
    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").arg(signal).arg(self.0.id().to_string()).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Writes all the time, and does not ask whether it still may.
async fn careless(addr: std::net::SocketAddr) {
    let locks = process(addr, Duration::ZERO);
    let client = Client::open(format!("redis://{addr}/")).unwrap();
    // However long it is stopped for, it wants the answer.
    let patient = AsyncConnectionConfig::new().set_response_timeout(None);
    let mut connection = client.get_multiplexed_async_connection_with_config(&patient).await.unwrap();
    loop {
        let guard = locks.lock("a").lease(ms(500)).acquire().await.unwrap();
        while write(&mut connection, &guard).await {
            sleep(ms(1)).await;
        }
        // Somebody else has written meanwhile. By now the guard must know, or learn it at once.
        assert!(!guard.is_valid(), "{guard:?} was refused while it was valid");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_was_stopped_writes_nothing() {
    if let Ok(addr) = std::env::var(CHILD) {
        return careless(addr.parse().unwrap()).await;
    }
    let server = server();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "stopped::a_holder_that_was_stopped_writes_nothing", "--nocapture"])
        .env(CHILD, server.addr().to_string())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut child = Running(child);
    let locks = process(server.addr(), Duration::ZERO);
    let client = Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    for _ in 0..rounds(4) {
        // The child writes.
        let accepted = async |connection: &mut MultiplexedConnection| -> u64 {
            cmd("LLEN").arg("accepted").query_async(connection).await.unwrap()
        };
        let before = accepted(&mut connection).await;
        let started = Instant::now();
        while accepted(&mut connection).await == before {
            let ended = child.0.try_wait().unwrap();
            assert!(started.elapsed() < PATIENCE * 10, "the child does not write; ended: {ended:?}");
            sleep(ms(2)).await;
        }
        child.signal("-STOP");
        let guard = locks.lock("a").lease(ms(2_000)).acquire().await.unwrap();
        assert!(write(&mut connection, &guard).await, "the new holder may write");
        let refused: Option<u64> = cmd("GET").arg("refused").query_async(&mut connection).await.unwrap();
        child.signal("-CONT");
        let started = Instant::now();
        loop {
            let now: Option<u64> = cmd("GET").arg("refused").query_async(&mut connection).await.unwrap();
            if now > refused {
                break;
            }
            assert!(started.elapsed() < PATIENCE * 10, "the child was not refused");
            sleep(ms(2)).await;
        }
        assert!(write(&mut connection, &guard).await, "the new holder still may");
        assert!(guard.release().await.was_held());
    }
    assert!(child.0.try_wait().unwrap().is_none(), "the child has found something wrong");
    let accepted: Vec<u64> =
        cmd("LRANGE").arg("accepted").arg(0).arg(-1).query_async(&mut connection).await.unwrap();
    assert!(accepted.is_sorted(), "a stale write was accepted");
    assert!(accepted.len() > 10, "{accepted:?}");
}
