//! Processes that write to MariaDB under a lock on Redis, and are stopped for longer than their lease, in the middle of a
//! transaction as well.

use std::time::Duration;

use jaego_lock::conformance::Size;
use jaego_lock::fence::{MYSQL_RAISE, MYSQL_REGISTER, MYSQL_TABLE};
use jaego_lock::{Locks, Redis, RedisOptions, Settings};
use jaego_testkit as testkit;
use jaego_testkit::{MariaDb, Twin, tell};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, TxOpts};
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

/// Tells this test that it is the process to be stopped, and where the database and the locks are, and the key.
const CHILD: &str = "JAEGO_LOCK_STOPPED_CHILD";
const TEST: &str = "mariadb::stopped::a_transaction_of_a_stopped_process_is_not_committed_late";
/// A bound on what only a bug makes late.
const PATIENCE: Duration = Duration::from_secs(60);
const LEASE: Duration = Duration::from_millis(900);
/// A lease lasts for four of them at least.
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(200);
/// Keys, each with a process of its own.
const KEYS: u64 = 8;
/// How often each process is stopped.
const STOPS: Size = Size { everyday: 3, soak: 125 };

/// Numbered in the order in which they were written. Whoever has raised the fence of a key keeps the next one out until its
/// end, so the rows of a key are numbered in the order of its commits.
const ACCEPTED: &str = "CREATE TABLE accepted \
    (id BIGINT AUTO_INCREMENT PRIMARY KEY, name VARBINARY(256) NOT NULL, fence BIGINT NOT NULL) ENGINE=InnoDB";
const NOTE: &str = "INSERT INTO accepted (name, fence) VALUES (?, ?)";
pub(crate) async fn connect(url: &str) -> Conn {
    Conn::new(Opts::from_url(url).unwrap()).await.unwrap()
}

fn locks(url: &str) -> Locks {
    let options = RedisOptions::new(url).unwrap().quarantine(Duration::ZERO);
    let settings = Settings { response_timeout: RESPONSE_TIMEOUT, ..Settings::default() };
    Locks::with_settings(Redis::start(options.response_timeout(RESPONSE_TIMEOUT)), settings).unwrap()
}

/// Writes under the fence, and takes its time in the middle. Never asks whether it still may. Returns whether the fence was
/// good.
async fn write_raised(database: &mut Conn, key: &str, fence: u64) -> bool {
    let mut transaction = database.start_transaction(TxOpts::default()).await.unwrap();
    transaction.exec_drop(MYSQL_RAISE, (fence, key, fence)).await.unwrap();
    if transaction.affected_rows() == 0 {
        transaction.rollback().await.unwrap();
        return false;
    }
    transaction.exec_drop(NOTE, (key, fence)).await.unwrap();
    sleep(Duration::from_millis(2)).await;
    transaction.commit().await.unwrap();
    true
}

/// Whether a session waits for a row that another one has changed. (`information_schema.innodb_trx` would say so as well, and
/// is made anew only if nobody has read it for a tenth of a second.)
async fn waits(database: &mut Conn, session: u32) -> bool {
    let status: (String, String, String) =
        database.query_first("SHOW ENGINE INNODB STATUS").await.unwrap().unwrap();
    let of_session = format!("thread id {session},");
    let mut transactions = status.2.split("---TRANSACTION");
    transactions.any(|transaction| transaction.contains(&of_session) && transaction.contains("LOCK WAIT"))
}

/// Takes the lock again and again, and writes until it is refused.
async fn write_on(what: &str) {
    let [database, server, key] = what.split(' ').collect::<Vec<_>>()[..] else { panic!("{what}") };
    let (mut database, locks) = (connect(database).await, locks(server));
    loop {
        let guard = locks.lock(key).lease(LEASE).wait(PATIENCE).acquire().await.unwrap();
        tell("holding");
        while write_raised(&mut database, key, guard.fence()).await {}
        assert!(!guard.is_valid(), "{guard:?} was refused while it was valid");
        tell("refused");
    }
}

/// Returns how many of the stops stood in a transaction that had raised its fence.
async fn stop_again_and_again(database: String, server: String, key: String) -> u64 {
    let locks = locks(&server);
    let (mut writing, mut looking) = (connect(&database).await, connect(&database).await);
    let mut child = Twin::start(TEST, &[(CHILD, format!("{database} {server} {key}"))]).unwrap();
    let mut stopped_inside = 0;
    for _ in 0..STOPS.now() {
        child.hear_of("holding", PATIENCE).unwrap();
        // At any point of what it does then.
        sleep(Duration::from_micros(fastrand::u64(..60_000))).await;
        child.stop().unwrap();
        let guard = locks.lock(&key).lease(Duration::from_secs(20)).wait(PATIENCE).acquire().await.unwrap();
        // If it stands in a transaction that has raised its fence, we come after that.
        let (fence, session) = (guard.fence(), writing.id());
        let write = tokio::spawn({
            let key = key.clone();
            async move {
                assert!(write_raised(&mut writing, &key, fence).await, "the new holder may write");
                writing
            }
        });
        while !write.is_finished() {
            if waits(&mut looking, session).await {
                stopped_inside += 1;
                break;
            }
            sleep(Duration::from_millis(20)).await;
        }
        child.cont().unwrap();
        writing = timeout(PATIENCE, write).await.expect("it ends").unwrap();
        child.hear_of("refused", PATIENCE).unwrap();
        let released = guard.release().await;
        assert!(released.was_held(), "{released:?}");
    }
    child.kill_9().unwrap();
    stopped_inside
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_of_a_stopped_process_is_not_committed_late() {
    if let Ok(what) = std::env::var(CHILD) {
        return write_on(&what).await;
    }
    let database = MariaDb::start().unwrap();
    let server = testkit::Redis::start(&testkit::RedisOptions::default()).unwrap();
    let url = format!("mysql://root@{}/test", database.addr());
    let mut client = connect(&url).await;
    client.query_drop(MYSQL_TABLE).await.unwrap();
    client.query_drop(ACCEPTED).await.unwrap();
    let keys = (0..KEYS).map(|key| format!("product:{key}"));
    for key in keys.clone() {
        client.exec_drop(MYSQL_REGISTER, (key,)).await.unwrap();
    }
    let stopped_inside = std::thread::scope(|scope| {
        let lane = |key| {
            let (runtime, url, server) = (Handle::current(), url.clone(), server.url());
            scope.spawn(move || runtime.block_on(stop_again_and_again(url, server, key)))
        };
        let lanes: Vec<_> = keys.map(lane).collect();
        lanes.into_iter().map(|lane| lane.join().unwrap()).sum::<u64>()
    });
    let stops = STOPS.now() * KEYS;
    println!("{stopped_inside} of {stops} stops stood inside of a transaction");
    assert!(stopped_inside > 0, "none of {stops} stops stood inside of a transaction");
    let late = "SELECT COUNT(*), CAST(COALESCE(SUM(fence < earlier), 0) AS UNSIGNED) FROM \
        (SELECT fence, LAG(fence) OVER (PARTITION BY name ORDER BY id) AS earlier FROM accepted) AS accepted";
    let (writes, stale): (u64, u64) = client.query_first(late).await.unwrap().unwrap();
    println!("{writes} writes");
    assert_eq!(stale, 0, "of {writes} writes");
    // After each stop the new holder has written once, so the others are those of the processes that were stopped.
    assert!(writes > stops, "{writes} writes around {stops} stops");
}
