use std::time::{Duration, Instant};

use jaego_lock::fence::{self, Error, POSTGRES_TABLE};
use jaego_lock::{Locks, Lost, Memory};
use tokio::time::timeout;

use super::{PATIENCE, connect, ms, server, settings};

const LEASE: Duration = Duration::from_millis(1_000);

fn is_lost<T: std::fmt::Debug>(result: Result<T, Error>) -> bool {
    matches!(result, Err(Error::Lock(jaego_lock::Error::Lost { how: Lost::Expired, .. })))
}

/// Another session holds the row for as long as it likes. Whoever waits for it knows in time that the lock is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_is_blocked_ends_with_its_lock() {
    let server = server();
    let (mut client, mut other) = (connect(&server).await, connect(&server).await);
    client.batch_execute(POSTGRES_TABLE).await.unwrap();
    let products = "CREATE TABLE products (id bigint PRIMARY KEY, stock bigint NOT NULL);
                    INSERT INTO products VALUES (17, 10)";
    client.batch_execute(products).await.unwrap();
    let locks = Locks::with_settings(Memory::new(), settings()).unwrap();
    const SELL: &str = "UPDATE products SET stock = stock - 1 WHERE id = 17";

    let blocking = other.transaction().await.unwrap();
    assert_eq!(blocking.execute(SELL, &[]).await.unwrap(), 1);
    let guard = locks.lock("product:17").lease(LEASE).acquire().await.unwrap();
    let started = Instant::now();
    let work = fence::with_transaction(guard, &mut client, async |transaction| {
        transaction.execute(SELL, &[]).await.map_err(|source| Error::Database { doing: "sell", source })
    });
    let result = timeout(LEASE + PATIENCE, work).await.expect("told when the lock is lost");
    assert!(is_lost(result));
    assert!(started.elapsed() >= LEASE / 2, "{:?}", started.elapsed());

    // The connection is still behind the other session, and so is whatever it is asked next: the transaction does not begin.
    let guard = locks.lock("product:17").lease(LEASE).acquire().await.expect("let go");
    let work = fence::with_transaction(guard, &mut client, async |_| -> Result<(), Error> {
        panic!("the lock was lost before the transaction began")
    });
    assert!(is_lost(timeout(LEASE + PATIENCE, work).await.expect("told when the lock is lost")));

    blocking.commit().await.unwrap();
    let stock: i64 = client.query_one("SELECT stock FROM products WHERE id = 17", &[]).await.unwrap().get(0);
    assert_eq!(stock, 9, "rolled back");
    let guard = locks.lock("product:17").lease(LEASE).wait(ms(100)).acquire().await.expect("let go");
    let sold = fence::with_transaction(guard, &mut client, async |transaction| {
        transaction.execute(SELL, &[]).await.map_err(|source| Error::Database { doing: "sell", source })
    });
    assert_eq!(sold.await.unwrap(), 1, "the connection is clean");
}

/// Whoever gives up by itself waits for its rollback no longer than it has the lock.
#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_behind_a_blocked_statement_is_not_waited_for_after_the_loss() {
    let server = server();
    let (mut client, mut other) = (connect(&server).await, connect(&server).await);
    client.batch_execute(POSTGRES_TABLE).await.unwrap();
    client.batch_execute("CREATE TABLE a (id bigint); INSERT INTO a VALUES (1)").await.unwrap();
    let locks = Locks::with_settings(Memory::new(), settings()).unwrap();
    let blocking = other.transaction().await.unwrap();
    blocking.batch_execute("LOCK TABLE a").await.unwrap();
    let guard = locks.lock("a").lease(LEASE).acquire().await.unwrap();
    let work = fence::with_transaction(guard, &mut client, async |transaction| {
        let blocked = timeout(ms(100), transaction.execute("DELETE FROM a", &[])).await;
        assert!(blocked.is_err(), "another session has it");
        Err::<(), _>(Error::Stale { name: "its own reason".to_owned(), fence: 1, seen: 2 })
    });
    let result = timeout(LEASE + PATIENCE, work).await.expect("not longer than the lock");
    assert!(matches!(result, Err(Error::Stale { .. })), "its own reason is what is told: {result:?}");
    drop(blocking);
    let left: i64 = client.query_one("SELECT count(*) FROM a", &[]).await.unwrap().get(0);
    assert_eq!(left, 1);
}
