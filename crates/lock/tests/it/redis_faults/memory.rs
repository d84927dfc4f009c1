//! A server whose memory is full, and that evicts nothing.

use std::time::Duration;

use jaego_lock::conformance::connected;
use jaego_lock::{Error, Locks, Mode, Settings};
use jaego_testkit::FaultProxy;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::failover::{until_in_step, with_settings};
use crate::redis_faults::{Observer, PATIENCE, backend, ms, process, server, settings};

pub(super) async fn fill(observer: &mut Observer) {
    let () = observer.command("CONFIG SET maxmemory-policy noeviction").await;
    let () = observer.command("CONFIG SET maxmemory 1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_is_kept_and_let_go_of_though_the_memory_is_full() {
    let server = server();
    let mut observer = Observer::of(&server).await;
    let here = process(server.addr(), Duration::ZERO).await;
    let kept = here.lock("kept").acquire().await.unwrap();
    let [one, other] = [here.shared("beside").lease(ms(10_000)), here.shared("beside").lease(ms(10_000))];
    let (one, other) = (one.acquire().await.unwrap(), other.acquire().await.unwrap());
    let writer = here.lock("downgraded").lease(ms(10_000)).acquire().await.unwrap();
    let broken = here.lock("broken").lease(ms(10_000)).acquire().await.unwrap();
    fill(&mut observer).await;

    let error = here.lock("new").wait(ms(300)).acquire().await.unwrap_err();
    let Error::Unavailable { source, .. } = &error else { panic!("{error:?}") };
    let told = std::error::Error::source(source).expect("what the server said").to_string();
    assert!(told.contains("OOM"), "{told}");

    // Three leases of its keeper.
    sleep(here.settings().keeper_lease * 3).await;
    assert!(kept.is_valid());
    one.extend(ms(15_000)).await.expect("renewed");
    assert!(one.release().await.was_held());
    assert_eq!(here.look("beside").await.unwrap().holders.len(), 1);
    writer.downgrade(Mode::shared()).await.expect("others are let in");
    let owner = here.look("broken").await.unwrap().holders[0].owner;
    assert_eq!(here.break_holds("broken", &[owner]).await.unwrap().ended.len(), 1);
    drop(broken);
    for guard in [other, kept, writer] {
        let outcome = guard.release().await;
        assert!(outcome.was_held(), "{outcome:?}");
    }
    let () = observer.command("CONFIG SET maxmemory 0").await;
    let guard = here.lock("new").acquire().await.expect("there is room again");
    assert!(guard.release().await.was_held());
}

/// A connection that is made anew says what the process is called, which may have no room.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_connects_anew_keeps_its_locks_though_the_memory_is_full() {
    let server = server();
    let mut observer = Observer::of(&server).await;
    let here = process(server.addr(), Duration::ZERO).await;
    let guard = here.lock("a").acquire().await.unwrap();
    fill(&mut observer).await;
    let () = observer.command("CLIENT KILL TYPE normal SKIPME yes").await;
    let lost = timeout(here.settings().keeper_lease + PATIENCE, guard.lost()).await;
    assert!(lost.is_err(), "{lost:?}");
    assert!(guard.release().await.was_held());
}

/// All was there before the memory was full: a replica holds whatever its master does. To the locks it is a new server.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_promoted_replica_knows_is_kept_and_let_go_of_though_its_memory_is_full() {
    // Longer than it takes to find the new master on a busy machine.
    const LEASE: Duration = Duration::from_secs(4);
    let mut master = with_settings(&[]);
    let replica = with_settings(&[("replicaof", &format!("127.0.0.1 {}", master.addr().port()))]);
    let way = FaultProxy::start(master.addr()).unwrap();
    let settings = Settings { keeper_lease: LEASE, ..settings() };
    let here = Locks::with_settings(connected(backend(way.addr(), Duration::ZERO)).await, settings).unwrap();
    let [kept, broken] = ["kept", "broken"].map(|key| here.lock(key).acquire());
    let (kept, broken) = (kept.await.unwrap(), broken.await.unwrap());
    until_in_step(&replica).await;
    let mut observer = Observer::of(&replica).await;
    let known = async {
        while observer.leftovers().await.len() < 2 {
            sleep(ms(5)).await;
        }
    };
    timeout(PATIENCE, known).await.expect("the replica knows both");
    fill(&mut observer).await;
    master.kill_9().unwrap();
    let () = observer.command("REPLICAOF NO ONE").await;
    way.set_upstream(replica.addr());

    // Nobody has been on this server before.
    let tool = process(replica.addr(), Duration::ZERO).await;
    let owner = tool.look("broken").await.unwrap().holders[0].owner;
    assert_eq!(tool.break_holds("broken", &[owner]).await.unwrap().ended.len(), 1);
    let error = tool.lock("new").wait(ms(300)).acquire().await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    sleep(LEASE * 2).await;
    assert!(kept.is_valid(), "renewals go on: {:?}", here.stats());
    drop(broken);
    assert!(kept.release().await.was_held());
    observer.until_clean(PATIENCE).await;
}

/// Whoever waits writes something, so a full server fails those too who wait for a lock that is held.
#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_that_waits_costs_a_full_server_next_to_nothing() {
    const WAITERS: u64 = 300;
    const WINDOW: Duration = Duration::from_secs(4);
    /// In so long, with the longest pause from the start, and those before it.
    const TURNS: u64 = 2 * WINDOW.as_secs() + 5;
    let server = server();
    let mut observer = Observer::of(&server).await;
    let here = Locks::new(connected(backend(server.addr(), Duration::ZERO)).await);
    let holder = here.lock("held").lease(ms(30_000)).acquire().await.unwrap();
    fill(&mut observer).await;
    let before = observer.scripts().await;
    let mut waiters = JoinSet::new();
    for key in ["held", "free"] {
        for _ in 0..WAITERS {
            let request = here.lock(key).lease(ms(20_000)).wait(Duration::from_secs(60)).fair();
            waiters.spawn(async move { request.acquire().await.unwrap().release().await.was_held() });
        }
    }
    sleep(WINDOW).await;
    let scripts = observer.scripts().await - before;
    println!("{scripts} scripts of {} waiters in {WINDOW:?}", 2 * WAITERS);
    assert!((2 * WAITERS..=2 * (WAITERS + TURNS)).contains(&scripts), "{scripts}");

    // All are served soon once there is room, and each asks a few times more.
    let () = observer.command("CONFIG SET maxmemory 0").await;
    assert!(holder.release().await.was_held());
    let served = timeout(PATIENCE * 10, waiters.join_all()).await.expect("they are served");
    assert!(served.into_iter().all(|was_held| was_held));
    let scripts = observer.scripts().await - before - scripts;
    println!("{scripts} scripts until all were served and gone");
    assert!(scripts <= 2 * WAITERS * 4, "{scripts}");
}

/// Each of them asks once and gives its place up; all others are asks of those whose turn it was.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_gives_up_has_nobody_else_ask_a_full_server() {
    const WAITERS: u64 = 100;
    const WAIT: Duration = Duration::from_secs(2);
    const TURNS: u64 = 2 * WAIT.as_secs() + 10;
    let server = server();
    let mut observer = Observer::of(&server).await;
    let here = Locks::new(connected(backend(server.addr(), Duration::ZERO)).await);
    fill(&mut observer).await;
    let before = observer.scripts().await;
    let mut waiters = JoinSet::new();
    for waiter in 0..WAITERS {
        // One after the other, in the second half of the time.
        let wait = WAIT / 2 + WAIT / 2 * u32::try_from(waiter).unwrap() / u32::try_from(WAITERS).unwrap();
        waiters.spawn(here.lock("a").wait(wait).acquire());
    }
    while let Some(answer) = waiters.join_next().await {
        let error = answer.unwrap().unwrap_err();
        assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    }
    here.shutdown().await;
    let scripts = observer.scripts().await - before;
    println!("{scripts} scripts of {WAITERS} waiters who gave up");
    assert!((2 * WAITERS..=2 * WAITERS + TURNS).contains(&scripts), "{scripts}");
}
