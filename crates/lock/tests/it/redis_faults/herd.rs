use std::time::{Duration, Instant};

use jaego_lock::{Locks, Redis, RedisOptions, Settings};
use tokio::time::sleep;

use crate::redis_faults::{Observer, ms, rounds, server};

const PROCESSES: u64 = 10;
/// How long what one release sets off is counted: less than the five seconds after which anybody asks by itself.
const FIRST_RELEASE: Duration = Duration::from_millis(500);

fn processes(server: &jaego_testkit::Redis) -> Vec<Locks> {
    quarantined(server, Duration::ZERO, Settings::default().recheck)
}

/// Processes with the times of everyday, so that a busy machine does not make them ask twice, and who need not say that
/// they are alive while others are counted.
fn quarantined(server: &jaego_testkit::Redis, quarantine: Duration, recheck: Duration) -> Vec<Locks> {
    let settings = Settings { waiter_ttl: Duration::from_secs(120), recheck, ..Settings::default() };
    let options = RedisOptions::new(&server.url()).unwrap().quarantine(quarantine).replica_lag(ms(0));
    (0..PROCESSES).map(|_| Locks::with_settings(Redis::start(options.clone()), settings).unwrap()).collect()
}

async fn until_waiting(processes: &[Locks], count: u64) {
    let waiting = || -> u64 {
        let patterns = processes.iter().flat_map(|locks| locks.stats().patterns);
        patterns.map(|(_, pattern)| pattern.contended).sum()
    };
    while waiting() < count {
        sleep(ms(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_wakes_one_of_each_process() {
    let waiters = rounds(1_000).min(2_000);
    let server = server();
    let processes = processes(&server);
    let mut observer = Observer::of(&server).await;
    for (key, fair) in [("plain", false), ("fair", true)] {
        let already: u64 = if fair { waiters } else { 0 };
        let holder =
            processes[0].lock(key).lease(ms(30_000)).wait(Duration::from_secs(300)).acquire().await.unwrap();
        let mut tasks = Vec::new();
        let (go, _) = tokio::sync::watch::channel(false);
        for turn in 0..waiters {
            let mut counted = go.subscribe();
            let locks = &processes[usize::try_from(turn % PROCESSES).unwrap()];
            let request = locks.lock(key).lease(ms(30_000)).wait(Duration::from_secs(300));
            let request = if fair { request.fair() } else { request };
            tasks.push(tokio::spawn(async move {
                let guard = request.acquire().await.unwrap();
                // Whoever is served first holds it until the first release was counted.
                counted.wait_for(|counted| *counted).await.unwrap();
                guard.release().await
            }));
        }
        until_waiting(&processes, already + waiters).await;

        // While it is held, nothing is asked, but for one look of each process that has just begun to
        // listen. The fair say every five seconds that they are alive.
        let before = observer.scripts().await;
        sleep(ms(250)).await;
        let idle = observer.scripts().await - before;
        assert!(idle <= PROCESSES, "{idle} scripts while nothing happened, fair: {fair}");

        let before = observer.scripts().await;
        let started = Instant::now();
        assert!(holder.release().await.was_held());
        sleep(FIRST_RELEASE).await;
        let first = observer.scripts().await - before - 1;
        println!("{first} acquires for the first release, fair: {fair}");
        assert!((1..=PROCESSES + 1).contains(&first), "{first} acquires for one release, fair: {fair}");
        go.send_replace(true);
        for task in tasks {
            assert!(task.await.unwrap().was_held());
        }
        let took = started.elapsed();
        let releases = waiters + 1;
        let acquires = observer.scripts().await - before - releases;
        println!(
            "{acquires} acquires for {releases} releases among {PROCESSES} processes in {took:?}, fair: {fair}"
        );
        // The fair are called by name.
        let each = if fair { 1 } else { PROCESSES };
        assert!(acquires <= releases * (each + 1), "{acquires} acquires, fair: {fair}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_quarantine_one_of_each_process_asks() {
    const QUARANTINE: Duration = Duration::from_secs(6);
    let waiters = rounds(1_000).min(2_000);
    let server = server();
    let started = Instant::now();
    // Nobody looks before the end of it.
    let processes = quarantined(&server, QUARANTINE, QUARANTINE * 3);
    let mut observer = Observer::of(&server).await;
    for locks in &processes {
        drop(locks.look("b").await.unwrap());
    }
    let connected = observer.scripts().await;
    let (go, _) = tokio::sync::watch::channel(false);
    let (got, mut first) = tokio::sync::mpsc::channel(1);
    let mut tasks = Vec::new();
    for turn in 0..waiters {
        let locks = &processes[usize::try_from(turn % PROCESSES).unwrap()];
        let request = locks.lock("a").lease(ms(4_500)).wait(Duration::from_secs(120));
        let (mut counted, got) = (go.subscribe(), got.clone());
        tasks.push(tokio::spawn(async move {
            let guard = request.acquire().await.unwrap();
            // Somebody may have been told already.
            let _ = got.try_send(());
            counted.wait_for(|counted| *counted).await.unwrap();
            guard.release().await
        }));
    }
    while observer.scripts().await - connected < waiters {
        sleep(ms(20)).await;
    }
    let before = observer.scripts().await;
    assert!(started.elapsed() < QUARANTINE, "too late to see what they do at the end of it");
    first.recv().await.expect("one of them gets it");
    sleep(FIRST_RELEASE).await;
    let asked = observer.scripts().await - before;
    println!("{asked} of {waiters} asked at the end of a quarantine");
    // One may be early, and asks again.
    assert!((1..=3 * PROCESSES).contains(&asked), "{asked} of {waiters} asked");
    go.send_replace(true);
    for task in tasks {
        assert!(task.await.unwrap().was_held());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_of_several_keys_wakes_one_of_each_process_too() {
    let waiters = rounds(200);
    let server = server();
    let processes = processes(&server);
    let mut observer = Observer::of(&server).await;
    let keys = ["a", "b", "c"];
    let holder =
        processes[0].multi(keys).lease(ms(30_000)).wait(Duration::from_secs(300)).acquire().await.unwrap();
    let mut tasks = Vec::new();
    for turn in 0..waiters {
        let request = processes[usize::try_from(turn % PROCESSES).unwrap()]
            .multi(keys)
            .lease(ms(30_000))
            .wait(Duration::from_secs(300));
        tasks.push(tokio::spawn(async move { request.acquire().await.unwrap().release().await }));
    }
    until_waiting(&processes, waiters).await;
    let before = observer.scripts().await;
    assert!(holder.release().await.was_held());
    for task in tasks {
        assert!(task.await.unwrap().was_held());
    }
    let releases = waiters + 1;
    let acquires = observer.scripts().await - before - releases;
    println!("{acquires} acquires for {releases} releases of {} keys", keys.len());
    // Each key that is let go of is told for itself.
    let told = PROCESSES * keys.len() as u64;
    assert!(acquires <= releases * (told + 1), "{acquires} acquires");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_readers_come_in_together() {
    let server = server();
    let processes = processes(&server);
    let mut observer = Observer::of(&server).await;
    let writer =
        processes[0].lock("a").lease(ms(30_000)).wait(Duration::from_secs(300)).acquire().await.unwrap();
    let waiters = 100;
    let mut tasks = Vec::new();
    for turn in 0..waiters {
        let locks = &processes[usize::try_from(turn % PROCESSES).unwrap()];
        let request = locks.shared("a").lease(ms(30_000)).wait(Duration::from_secs(300));
        tasks.push(tokio::spawn(async move { request.acquire().await.unwrap() }));
    }
    until_waiting(&processes, waiters).await;
    let before = observer.scripts().await;
    assert!(writer.release().await.was_held());
    let mut readers = Vec::new();
    for task in tasks {
        readers.push(task.await.unwrap());
    }
    assert!(readers.iter().all(jaego_lock::Guard::is_valid));
    let acquires = observer.scripts().await - before - 1;
    assert!(acquires <= waiters + waiters / 2, "{acquires} acquires for {waiters} readers");
}
