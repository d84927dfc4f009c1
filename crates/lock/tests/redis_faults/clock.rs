//! A relay before Redis that shifts its clock, as the client sees it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jaego_lock::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use crate::{Observer, PATIENCE, ms, process, server};

/// Numbers of so many digits, which keep their length when they are shifted. `before` is what stands in front of one.
fn shift(bytes: &mut [u8], before: &[u8], digits: usize, by: i64) {
    let len = before.len() + digits;
    for at in 0..(bytes.len() + 1).saturating_sub(len) {
        let (head, number) = bytes[at..at + len].split_at_mut(before.len());
        if head == before && number.iter().all(u8::is_ascii_digit) {
            let time: i64 = std::str::from_utf8(number).unwrap().parse().unwrap();
            number.copy_from_slice(format!("{:0digits$}", time + by).as_bytes());
        }
    }
}

/// Passes bytes on, shifted.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, before: &[u8], by_us: impl Fn() -> i64) {
    let mut chunk = vec![0; 64 * 1024];
    while let Ok(len @ 1..) = from.read(&mut chunk).await {
        // Times (and fences, which are times) in microseconds are the only numbers of 16 digits; TIME says whole seconds.
        shift(&mut chunk[..len], before, 16, by_us());
        shift(&mut chunk[..len], b"*2\r\n$10\r\n", 10, by_us() / 1_000_000);
        if to.write_all(&chunk[..len]).await.is_err() {
            return;
        }
    }
}

async fn relay(upstream: SocketAddr, by_us: Arc<AtomicI64>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(upstream).await.unwrap();
            let ((from_client, to_client), (from_server, to_server)) =
                (client.into_split(), server.into_split());
            let (there, back) = (Arc::clone(&by_us), Arc::clone(&by_us));
            tokio::spawn(pass(from_client, to_server, b"$16\r\n", move || -there.load(Ordering::Relaxed)));
            tokio::spawn(pass(from_server, to_client, b":", move || back.load(Ordering::Relaxed)));
        }
    });
    addr
}

/// What is guarded: it keeps the greatest fence that it has seen.
async fn write(observer: &mut Observer, fence: u64) -> bool {
    let seen: Option<u64> = observer.command("GET resource").await;
    if seen > Some(fence) {
        return false;
    }
    let () = observer.command(&format!("SET resource {fence}")).await;
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_is_told_and_starts_a_quarantine() {
    const QUARANTINE: Duration = Duration::from_millis(2_200);
    let server = server();
    let by_us = Arc::new(AtomicI64::new(0));
    let shifted = relay(server.addr(), Arc::clone(&by_us)).await;
    let (here, there) = (process(shifted, QUARANTINE), process(server.addr(), QUARANTINE));
    drop(here.lock("a").lease(ms(500)).wait(QUARANTINE * 2).acquire().await.unwrap());
    for by in [40_000_000, -3_600_000_000] {
        let guard = here.lock("a").lease(ms(1_000)).acquire().await.unwrap();
        by_us.store(by, Ordering::Relaxed);
        let error = here.lock("b").lease(ms(500)).try_acquire().await.unwrap_err();
        assert!(matches!(error, Error::Quarantined { .. }), "{error}");
        assert!(guard.is_valid(), "our own clock goes on");
        // The others are told by the server.
        let error = there.lock("c").lease(ms(500)).try_acquire().await.unwrap_err();
        assert!(matches!(error, Error::Quarantined { .. }), "{error}");
        drop(guard);
        sleep(QUARANTINE).await;
        for locks in [&here, &there] {
            drop(locks.lock("b").lease(ms(500)).wait(PATIENCE).acquire().await.unwrap());
        }
    }
    assert_eq!(here.stats().clock_jumps, 2);
    assert_eq!(there.stats().clock_jumps, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn fences_grow_though_the_clock_is_behind_them() {
    let server = server();
    let here = process(server.addr(), Duration::ZERO);
    drop(here.lock("a").acquire().await.unwrap());
    let mut observer = Observer::of(&server).await;
    let counters: Vec<String> = observer.command("KEYS jaego:*:fence").await;
    let mut last = 5_000_000_000_000_000_u64;
    for counter in counters {
        let () = observer.command(&format!("SET {counter} {last}")).await;
    }
    for round in 0..4 {
        let guard = here.lock("a").acquire().await.unwrap();
        assert!(guard.fence() > last, "{} after {last}", guard.fence());
        // What is guarded takes the next holder for the later one, and the one before for the earlier.
        assert!(write(&mut observer, guard.fence()).await && !write(&mut observer, last).await);
        last = guard.fence();
        // Waiters and readers take the longer way through the script.
        let request = here.lock("a").fair();
        let waiter = tokio::spawn(async move { request.acquire().await.unwrap().fence() });
        sleep(ms(20)).await;
        drop(guard);
        let fence = waiter.await.unwrap();
        assert!(fence > last, "{fence} after {last} in round {round}");
        assert!(write(&mut observer, fence).await && !write(&mut observer, last).await);
        last = fence;
        let readers = [here.shared("a").acquire().await.unwrap(), here.shared("a").acquire().await.unwrap()];
        for reader in &readers {
            assert!(reader.fence() > last, "{} after {last}", reader.fence());
            last = reader.fence();
        }
    }
}
