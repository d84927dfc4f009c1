//! A process that writes to PostgreSQL under a lock, and is stopped for longer than its lease, in the middle of a
//! transaction as well.

use std::time::Duration;

use jaego_lock::conformance::Size;
use jaego_lock::fence;
use jaego_testkit::{Twin, tell};
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};
use tokio_postgres::{Client, NoTls};

use super::{connect, ms, process, server, settings};
use crate::shop::ShopError;

/// Tells this test that it is the process to be stopped, and where the database is, the key, and how it writes.
const CHILD: &str = "JAEGO_LOCK_STOPPED_CHILD";
const TEST: &str = "postgres_faults::stopped::a_transaction_of_a_stopped_process_is_not_committed_late";
/// A bound on what only a bug makes late.
const PATIENCE: Duration = Duration::from_secs(60);
const LEASE: Duration = Duration::from_millis(900);
/// Keys, each with a process of its own, for each way to write.
const KEYS: u64 = 4;
/// How often each process is stopped.
const STOPS: Size = Size { everyday: 7, soak: 125 };
const WAYS: [&str; 2] = ["raise", "transaction"];

const NOTE: &str = "INSERT INTO accepted (key, fence) VALUES ($1, $2)";

/// Writes under the fence, and takes its time in the middle. Never asks whether it still may.
async fn write_raised(client: &mut Client, key: &str, fence: u64) -> Result<(), ShopError> {
    let transaction = client.transaction().await?;
    fence::raise(&transaction, &jaego_lock::LockKey::new(key).unwrap(), fence).await?;
    transaction.execute(NOTE, &[&key, &i64::try_from(fence).unwrap()]).await?;
    sleep(ms(2)).await;
    transaction.commit().await?;
    Ok(())
}

/// Takes the lock again and again, and writes until it is refused.
async fn write_on(what: &str) {
    let [url, key, way] = what.split(' ').collect::<Vec<_>>()[..] else { panic!("{what}") };
    let options = jaego_lock::PostgresOptions::new(url).unwrap().connections(2).unwrap();
    let options = options.response_timeout(settings().response_timeout);
    let locks = jaego_lock::Locks::with_settings(jaego_lock::Postgres::start(options), settings()).unwrap();
    let (mut client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    loop {
        let guard = locks.lock(key).lease(LEASE).wait(PATIENCE).acquire().await.unwrap();
        tell("holding");
        if way == "raise" {
            let fence = guard.fence();
            while let Ok(()) = write_raised(&mut client, key, fence).await {}
            assert!(!guard.is_valid(), "{guard:?} was refused while it was valid");
            tell("refused");
            continue;
        }
        let fence = i64::try_from(guard.fence()).unwrap();
        let done = fence::with_transaction(guard, &mut client, async |transaction| {
            transaction.execute(NOTE, &[&key, &fence]).await?;
            sleep(ms(50)).await;
            Ok::<(), ShopError>(())
        });
        match done.await {
            Ok(()) => tell("written"),
            Err(ShopError::Fence(fence::Error::Lock(_) | fence::Error::Stale { .. })) => tell("refused"),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Returns how many of the stops stood in a transaction that had raised its fence.
async fn stop_again_and_again(server: &jaego_testkit::Postgres, key: String, way: &str) -> u64 {
    let locks = process(server).await;
    let mut client = connect(server).await;
    let what = format!("{} {key} {way}", server.url("postgres"));
    let mut child = Twin::start(TEST, &[(CHILD, what)]).unwrap();
    let writer: i32 = client.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    let mut stopped_inside = 0;
    for _ in 0..STOPS.now() {
        child.hear_of("holding", PATIENCE).unwrap();
        // At any point of what it does then.
        sleep(Duration::from_micros(fastrand::u64(..60_000))).await;
        child.stop().unwrap();
        let guard = locks.lock(&key).lease(ms(20_000)).wait(PATIENCE).acquire().await.unwrap();
        // If it stands in a transaction that has raised its fence, we come after that.
        let fence = guard.fence();
        let write = tokio::spawn({
            let key = key.clone();
            async move { write_raised(&mut client, &key, fence).await.map(|()| client) }
        });
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND wait_event_type = 'Lock'";
        let looking = connect(server).await;
        while !write.is_finished() {
            let row = looking.query_one(waiting, &[&writer]).await.unwrap();
            if row.get::<_, i64>(0) > 0 {
                stopped_inside += 1;
                break;
            }
        }
        child.cont().unwrap();
        client = timeout(PATIENCE, write).await.expect("it ends").unwrap().expect("the new holder may write");
        if way == "raise" {
            child.hear_of("refused", PATIENCE).unwrap();
        }
        let released = guard.release().await;
        assert!(released.was_held(), "{released:?}");
    }
    stopped_inside
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_of_a_stopped_process_is_not_committed_late() {
    if let Ok(what) = std::env::var(CHILD) {
        return write_on(&what).await;
    }
    let server = server();
    let client = connect(&server).await;
    client.batch_execute(fence::POSTGRES_TABLE).await.unwrap();
    let accepted =
        "CREATE TABLE accepted (id bigserial PRIMARY KEY, key text NOT NULL, fence bigint NOT NULL)";
    client.batch_execute(accepted).await.unwrap();
    drop(process(&server).await);
    let stopped_inside = std::thread::scope(|scope| {
        let runtime = Handle::current();
        let mut lanes = Vec::new();
        for key in 0..KEYS {
            for way in WAYS {
                let (runtime, server) = (runtime.clone(), &server);
                let lane =
                    move || runtime.block_on(stop_again_and_again(server, format!("{way}:{key}"), way));
                lanes.push(scope.spawn(lane));
            }
        }
        lanes.into_iter().map(|lane| lane.join().unwrap()).sum::<u64>()
    });
    let stops = STOPS.now() * KEYS * WAYS.len() as u64;
    println!("{stopped_inside} of {stops} stops stood inside of a transaction");
    assert!(stopped_inside > 0, "none of {stops} stops stood inside of a transaction");
    // Whoever has raised a fence keeps the next one out until its end, so rows were numbered in the order of commits.
    let late = "SELECT count(*), count(*) FILTER (WHERE fence < before) FROM \
                (SELECT fence, lag(fence) OVER (PARTITION BY key ORDER BY id) AS before FROM accepted) AS accepted";
    let row = client.query_one(late, &[]).await.unwrap();
    let (writes, stale): (i64, i64) = (row.get(0), row.get(1));
    assert_eq!(stale, 0, "of {writes} writes");
    // After each stop the new holder has written once, so the others are those of the processes that were stopped.
    assert!(writes > stops.cast_signed(), "{writes} writes around {stops} stops");
}
