//! A relay before Redis that shifts its clock, as the client sees it; and a server whose clock is set.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jaego_lock::Error;
use jaego_lock::conformance::{answered, granted, refused};
use jaego_testkit::{Twin, tell};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

use crate::redis_faults::ground::Connection;
use crate::redis_faults::{Observer, PATIENCE, ms, process, server};
use crate::struck::Guarded;

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
    let (here, there) = (process(shifted, QUARANTINE).await, process(server.addr(), QUARANTINE).await);
    drop(here.lock("a").lease(ms(500)).wait(QUARANTINE * 2).acquire().await.unwrap());
    for by in [40_000_000, -3_600_000_000] {
        let guard = here.lock("a").lease(ms(1_000)).acquire().await.unwrap();
        by_us.store(by, Ordering::Relaxed);
        let error = refused(|| here.lock("b").lease(ms(500)).try_acquire()).await;
        assert!(matches!(error, Error::Quarantined { .. }), "{error}");
        assert!(guard.is_valid(), "our own clock goes on");
        // The others are told by the server.
        let error = refused(|| there.lock("c").lease(ms(500)).try_acquire()).await;
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
async fn a_clock_that_jumps_starts_a_quarantine_though_the_memory_is_full() {
    const QUARANTINE: Duration = Duration::from_secs(6);
    let server = server();
    let by_us = Arc::new(AtomicI64::new(0));
    let shifted = relay(server.addr(), Arc::clone(&by_us)).await;
    let (here, there) = (process(shifted, QUARANTINE).await, process(server.addr(), QUARANTINE).await);
    drop(here.lock("a").lease(ms(500)).wait(QUARANTINE * 2).acquire().await.unwrap());
    drop(there.lock("c").lease(ms(500)).wait(PATIENCE).acquire().await.expect("it is calm"));
    let mut observer = Observer::of(&server).await;
    super::memory::fill(&mut observer).await;
    by_us.store(40_000_000, Ordering::Relaxed);
    answered(|| here.look("a")).await.unwrap();
    assert_eq!(here.stats().clock_jumps, 1);
    let () = observer.command("CONFIG SET maxmemory 0").await;
    let error = refused(|| there.lock("c").lease(ms(500)).try_acquire()).await;
    assert!(matches!(error, Error::Quarantined { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn fences_grow_though_the_clock_is_behind_them() {
    let server = server();
    let here = process(server.addr(), Duration::ZERO).await;
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

/// Names the program that a server is started as.
const PROGRAM: &str = "JAEGO_REDIS";
/// Tells the twin that it is one, and where the file is that shifts the clock. What is preloaded into a server stands in the
/// environment, so it plays in a process of its own.
const CLOCK: &str = "JAEGO_CLOCK";

/// Writes under a fence until that is refused, and never asks whether it still may. Returns how often it was accepted.
async fn write_until_refused(mut guarded: Connection, fence: u64) -> u64 {
    let mut accepted = 0;
    while guarded.write("a", fence).await {
        accepted += 1;
        sleep(ms(5)).await;
    }
    accepted
}

/// A server that starts with the clock that the file tells of.
fn program(folder: &Path, clock: &Path) -> String {
    let (source, shared) =
        (concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/redis_faults/clock.c"), folder.join("clock.so"));
    let made = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&shared).arg(source).status().unwrap();
    assert!(made.success());
    let server = std::env::var(PROGRAM).unwrap_or_else(|_| "redis-server".to_owned());
    let (script, shared, clock) = (folder.join("server"), shared.display(), clock.display());
    fs::write(&script, format!("#!/bin/sh\nLD_PRELOAD={shared} {CLOCK}={clock} exec {server} \"$@\"\n"))
        .unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
    script.to_str().unwrap().to_owned()
}

/// At once: the server reads it all the time.
fn set_clock(clock: &Path, shift_s: i64) {
    let next = clock.with_extension("next");
    fs::write(&next, shift_s.to_string()).unwrap();
    fs::rename(next, clock).unwrap();
}

async fn jump(clock: &str) {
    const QUARANTINE: Duration = Duration::from_millis(1_700);
    const LEASE: Duration = Duration::from_millis(600);
    let server = server();
    let here = process(server.addr(), QUARANTINE).await;
    drop(here.lock("a").lease(LEASE).wait(QUARANTINE * 2).acquire().await.unwrap());
    let (mut guarded, mut jumps) = (Connection::connect(server.addr()).await, 0);
    for shift_s in [40, 40 - 3_600] {
        let before = here.lock("a").lease(LEASE).wait(PATIENCE).acquire().await.unwrap();
        let (stale, valid_until) = (before.fence(), before.valid_until());
        let writer = tokio::spawn(write_until_refused(Connection::connect(server.addr()).await, stale));
        set_clock(Path::new(clock), shift_s);
        // It lets go when it is told, and its writes are on their way still.
        tokio::spawn(async move { drop((before.lost().await, before)) });
        // Has never seen the clock: where that was set forward, it gets the lock at once, beside the other one.
        let fresh = process(server.addr(), QUARANTINE).await;
        let after = fresh.lock("a").lease(LEASE).wait(QUARANTINE * 4).acquire().await.unwrap();
        assert!(after.fence() > stale, "{} after {stale}", after.fence());
        assert!(shift_s > 0 || valid_until.remaining().is_zero(), "two held it");
        // The one before writes on until the one after has written.
        assert!(!writer.is_finished());
        assert!(guarded.write("a", after.fence()).await);
        let accepted = timeout(PATIENCE, writer).await.expect("it is refused").unwrap();
        assert!(accepted > 0 && guarded.write("a", after.fence()).await, "{accepted}");
        assert!(!guarded.write("a", stale).await, "it stays refused");
        println!("{shift_s} s: {accepted} writes before the first of the later holder");
        jumps += 1;
        // It has seen the jump when it let go, or sees it now.
        let asked = answered(|| here.lock("b").lease(LEASE).try_acquire()).await;
        let told = matches!(asked, Err(Error::Quarantined { .. }));
        assert!(told || shift_s < 0, "{asked:?}");
        assert_eq!(here.stats().clock_jumps, jumps);
        drop(after);
        sleep(QUARANTINE).await;
    }
    assert!(guarded.accepted("a").await.is_sorted());
    assert_eq!(guarded.refused("a").await, 2 * jumps);
}

/// Has a test play once more, in a twin of this process that starts its servers with a clock that can be set.
async fn with_a_clock(test: &str, play: impl AsyncFnOnce(&str)) {
    if let Ok(clock) = std::env::var(CLOCK) {
        play(&clock).await;
        tell("done");
        // Until it is ended: the other one may not have heard it yet.
        return std::future::pending().await;
    }
    // Declared before the twin, so removed after it has ended: its server reads the clock until then.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let clock = folder.path().join("shift_s");
    set_clock(&clock, 0);
    let variables = [(PROGRAM, program(folder.path(), &clock)), (CLOCK, clock.display().to_string())];
    let mut twin = Twin::start(test, &variables).unwrap();
    twin.hear_of("done", PATIENCE * 60).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_guarded_takes_nothing_stale_when_the_clock_jumps() {
    let test = "redis_faults::clock::what_is_guarded_takes_nothing_stale_when_the_clock_jumps";
    with_a_clock(test, jump).await;
}

/// Nobody gets it early, and whoever knows that its holder is gone need not wait for the clock.
async fn crash_and_set_back(clock: &str) {
    const QUARANTINE: Duration = Duration::from_millis(1_700);
    const LEASE: Duration = Duration::from_millis(600);
    let server = server();
    let (here, gone) = (process(server.addr(), QUARANTINE).await, process(server.addr(), QUARANTINE).await);
    let guard = gone.lock("a").lease(LEASE).wait(QUARANTINE * 2).acquire().await.unwrap();
    let (valid_until, fence) = (guard.valid_until(), guard.fence());
    // As a crash: nothing is released.
    std::mem::forget(guard);
    set_clock(Path::new(clock), -3_600);
    drop(here.lock("b").lease(LEASE).wait(QUARANTINE * 4).acquire().await.expect("the others go on"));
    assert!(valid_until.remaining().is_zero(), "long over");
    let error = refused(|| here.lock("a").lease(LEASE).try_acquire()).await;
    let Error::Busy { holder_remaining, .. } = error else { panic!("{error}") };
    assert!(holder_remaining > Duration::from_secs(3_500), "{holder_remaining:?}");
    let holders = answered(|| here.look("a")).await.unwrap().holders;
    let owners = [holders[0].owner];
    answered(|| here.break_holds("a", &owners)).await.unwrap();
    let after = granted(|| here.lock("a").lease(LEASE).try_acquire()).await;
    assert!(after.fence() > fence, "{} after {fence}", after.fence());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_left_before_the_clock_was_set_back_stays_until_it_is_broken() {
    let test =
        "redis_faults::clock::what_a_crash_left_before_the_clock_was_set_back_stays_until_it_is_broken";
    with_a_clock(test, crash_and_set_back).await;
}
