use std::time::Duration;

use jaego_lock::conformance::Size;
use jaego_lock::fence::{self, POSTGRES_TABLE};
use jaego_lock::limits::FENCE_MAX;
use jaego_lock::{BootTime, Locks, Lost, Memory, Redis, RedisOptions, Settings};
use jaego_testkit::{self as testkit, Direction, Fault, FaultProxy};
use tokio::time::{sleep, timeout};
use tokio_postgres::{Client, SimpleQueryMessage};

use super::{PATIENCE, connect, ms, server, settings};
use crate::shop::ShopError;

/// A shop with ten mugs.
async fn shop() -> (testkit::Postgres, Locks, Client) {
    let server = server();
    let client = connect(&server).await;
    client.batch_execute(POSTGRES_TABLE).await.unwrap();
    let products =
        "CREATE TABLE products (id bigint PRIMARY KEY, stock bigint NOT NULL, fence bigint NOT NULL);
                    INSERT INTO products VALUES (17, 10, 0)";
    client.batch_execute(products).await.unwrap();
    let locks = Locks::with_settings(Memory::new(), settings()).unwrap();
    (server, locks, client)
}

async fn stock(client: &Client) -> i64 {
    client.query_one("SELECT stock FROM products WHERE id = 17", &[]).await.unwrap().get(0)
}

const SELL: &str = "UPDATE products SET stock = stock - 1 WHERE id = 17";

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_fence_changes_nothing() {
    let (_server, locks, client) = shop().await;
    let first = locks.lock("product:17").lease(ms(1_000)).acquire().await.unwrap();
    let second = locks.lock("product:17").wait(ms(5_000)).acquire().await.unwrap();
    let (old, new) = (first.fence(), second.fence());

    // Beside what is guarded. The first one has slept, and comes after the second one.
    let guarded = "UPDATE products SET stock = stock - $1, fence = $2 WHERE id = $3 AND fence <= $2";
    for (fence, changed) in [(new, 1), (new, 1), (old, 0)] {
        let fence = i64::try_from(fence).unwrap();
        assert_eq!(client.execute(guarded, &[&1_i64, &fence, &17_i64]).await.unwrap(), changed);
    }
    assert_eq!(stock(&client).await, 8);

    // In a table of its own.
    fence::raise(&client, second.key(), new).await.unwrap();
    fence::raise(&client, second.key(), new).await.unwrap();
    let error = fence::raise(&client, first.key(), old).await.unwrap_err();
    let fence::Error::Stale { name, fence, seen } = &error else { panic!("{error}") };
    assert_eq!((name.as_str(), *fence, *seen), ("product:17", old, new));
    drop(second.release().await);

    // A holder of a lock server that has forgotten everything asks for a greater one.
    let third = locks.lock("product:17").min_fence(*seen).acquire().await.unwrap();
    fence::raise(&client, third.key(), third.fence()).await.unwrap();

    // One that no guard has would shut all of them out for ever.
    for fence in [FENCE_MAX + 1, u64::MAX] {
        let error = fence::raise(&client, third.key(), fence).await.unwrap_err();
        let fence::Error::Lock(jaego_lock::Error::OutOfRange { .. }) = error else { panic!("{error}") };
    }
    fence::raise(&client, third.key(), third.fence()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_is_committed_before_the_lock_is_let_go() {
    let (server, locks, _client) = shop().await;
    let buyers: Vec<_> = (0..4)
        .map(|_| {
            let (locks, url) = (locks.clone(), server.url("postgres"));
            // In a task: the future is `Send`.
            tokio::spawn(async move {
                let (mut client, connection) =
                    tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
                tokio::spawn(connection);
                let mut sold = 0;
                for _ in 0..5 {
                    let guard = locks.lock("product:17").wait(ms(20_000)).acquire().await.unwrap();
                    let done = fence::with_transaction(guard, &mut client, async |transaction| {
                        // Read, think, write: only right if nobody is in between.
                        let row =
                            transaction.query_one("SELECT stock FROM products WHERE id = 17", &[]).await?;
                        let stock: i64 = row.get(0);
                        if stock == 0 {
                            return Err(ShopError::SoldOut);
                        }
                        sleep(ms(1)).await;
                        let set = "UPDATE products SET stock = $1 WHERE id = 17";
                        transaction.execute(set, &[&(stock - 1)]).await?;
                        Ok(())
                    });
                    match done.await {
                        Ok(()) => sold += 1,
                        Err(ShopError::SoldOut) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
                sold
            })
        })
        .collect();
    let mut sold = 0;
    for buyer in buyers {
        sold += buyer.await.unwrap();
    }
    assert_eq!(sold, 10);
    assert_eq!(stock(&connect(&server).await).await, 0);
    assert_eq!(locks.stats().held, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_lost_its_lock_is_not_committed() {
    let (server, locks, mut client) = shop().await;
    let guard = locks.lock("product:17").lease(ms(1_000)).acquire().await.unwrap();
    let lost = fence::with_transaction(guard, &mut client, async |transaction| {
        transaction.execute(SELL, &[]).await?;
        sleep(ms(60_000)).await;
        Ok::<(), ShopError>(())
    });
    let error = timeout(ms(1_000) + PATIENCE, lost).await.expect("stopped when it is lost").unwrap_err();
    let ShopError::Fence(fence::Error::Lock(jaego_lock::Error::Lost { how, .. })) = &error else {
        panic!("{error:?}")
    };
    assert_eq!(*how, Lost::Expired);
    assert_eq!(stock(&connect(&server).await).await, 10, "rolled back");

    // One that is blocked so that it does not notice, until somebody else was there.
    let guard = locks.lock("product:17").lease(ms(1_000)).acquire().await.unwrap();
    let fence = guard.fence();
    guard.lost().await;
    fence::raise(&client, guard.key(), fence + 1).await.unwrap();
    let done = fence::with_transaction(guard, &mut client, async |_| Ok::<(), ShopError>(())).await;
    assert!(matches!(done, Err(ShopError::Fence(fence::Error::Lock(_)))), "{done:?}");
}

/// Nothing waits for the lock any more then, so nothing waits for its server.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_lost_its_lock_does_not_wait_for_a_lock_server_that_is_away() {
    let (server, _locks, mut client) = shop().await;
    let redis = testkit::Redis::start(&testkit::RedisOptions::default()).unwrap();
    let proxy = FaultProxy::start(redis.addr()).unwrap();
    let (locks, lease) = locks_behind(&proxy, PATIENCE / 2);
    let guard = locks.lock("product:17").lease(lease).acquire().await.unwrap();
    let valid_until = guard.valid_until();
    let done = fence::with_transaction(guard, &mut client, async |transaction| {
        transaction.execute(SELL, &[]).await?;
        proxy.set(Direction::ToClient, Fault::Swallow);
        sleep(ms(60_000)).await;
        Ok::<(), ShopError>(())
    });
    let error = done.await.unwrap_err();
    let late = BootTime::now().since(valid_until);
    assert!(matches!(error, ShopError::Fence(fence::Error::Lock(_))), "{error}");
    // A release would have asked for longer than that.
    assert!(late < PATIENCE, "{late:?} after the loss");
    assert_eq!(stock(&connect(&server).await).await, 10, "rolled back");
}

/// What was committed at the end of the lease is told then, though nobody answers the release.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_committed_is_told_in_time_though_the_lock_server_is_away() {
    let (server, _locks, mut client) = shop().await;
    let redis = testkit::Redis::start(&testkit::RedisOptions::default()).unwrap();
    let proxy = FaultProxy::start(redis.addr()).unwrap();
    let (locks, lease) = locks_behind(&proxy, ms(2_000));
    let guard = locks.lock("product:17").lease(lease).acquire().await.unwrap();
    let valid_until = guard.valid_until();
    let done = fence::with_transaction(guard, &mut client, async |transaction| {
        transaction.execute(SELL, &[]).await?;
        sleep(valid_until.remaining() - ms(1_500)).await;
        proxy.set(Direction::ToClient, Fault::Swallow);
        Ok::<(), ShopError>(())
    });
    done.await.unwrap();
    let late = BootTime::now().since(valid_until);
    // The release is sent four times, and waits for an answer each time: eight seconds.
    assert!(late < fence::COMMIT_GRACE + PATIENCE / 2, "{late:?} after the end");
    assert_eq!(stock(&connect(&server).await).await, 9, "sold");
}

/// Locks on a Redis behind the proxy, and the shortest lease that they give.
fn locks_behind(proxy: &FaultProxy, response_timeout: Duration) -> (Locks, Duration) {
    let lease = response_timeout * jaego_lock::limits::LEASE_RESPONSE_TIMEOUTS_MIN;
    let settings = Settings { response_timeout, keeper_lease: lease, waiter_ttl: lease, ..settings() };
    let options = RedisOptions::new(&format!("redis://{}/", proxy.addr())).unwrap();
    let options = options.quarantine(Duration::ZERO).response_timeout(response_timeout);
    (Locks::with_settings(Redis::start(options), settings).unwrap(), lease)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_or_failed_transaction_is_rolled_back() {
    let (server, locks, mut client) = shop().await;
    let looker = connect(&server).await;
    let lock = async || locks.lock("product:17").wait(PATIENCE).acquire().await.unwrap();
    // Its error is passed on.
    let failed = fence::with_transaction(lock().await, &mut client, async |transaction| {
        transaction.execute(SELL, &[]).await?;
        Err::<(), _>(ShopError::SoldOut)
    });
    assert!(matches!(failed.await, Err(ShopError::SoldOut)));
    assert_eq!(stock(&looker).await, 10);
    // An error that was swallowed is no success: PostgreSQL would commit nothing.
    let swallowed = fence::with_transaction(lock().await, &mut client, async |transaction| {
        transaction.execute(SELL, &[]).await?;
        drop(transaction.execute("SELECT 1 / 0", &[]).await);
        Ok::<(), ShopError>(())
    });
    assert!(matches!(swallowed.await, Err(ShopError::Fence(fence::Error::Database { .. }))));
    assert_eq!(stock(&looker).await, 10);
    // Somebody later was there.
    let guard = lock().await;
    fence::raise(&looker, guard.key(), guard.fence() + 1).await.unwrap();
    let stale = fence::with_transaction(guard, &mut client, async |transaction| {
        transaction.execute(SELL, &[]).await?;
        Ok::<(), ShopError>(())
    });
    assert!(matches!(stale.await, Err(ShopError::Fence(fence::Error::Stale { .. }))));
    assert_eq!(stock(&looker).await, 10);
    // Several locks, several fences.
    let guards = locks.multi(["a", "b"]).acquire().await.unwrap();
    fence::with_transaction(guards, &mut client, async |transaction| {
        transaction.execute(SELL, &[]).await?;
        Ok::<(), ShopError>(())
    })
    .await
    .unwrap();
    assert_eq!(stock(&looker).await, 9);
    let names: i64 = looker.query_one("SELECT count(*) FROM fences", &[]).await.unwrap().get(0);
    assert_eq!(names, 3);
}

/// Drops transactions at every point of them, one after the other on one connection.
async fn drop_transactions(server: &testkit::Postgres, turns: u64) {
    let memory = Memory::new();
    let locks = Locks::with_settings(memory.clone(), settings()).unwrap();
    let (mut client, looker) = (connect(server).await, connect(server).await);
    let product = fastrand::i64(1_000..);
    looker.execute("INSERT INTO products VALUES ($1, 0, 0)", &[&product]).await.unwrap();
    let key = format!("product:{product}");
    let (mut sold, mut dropped) = (0, 0);
    // From before the first word to after the last: as long as one takes, which depends on the machine.
    let mut longest = Duration::from_millis(2);
    for _ in 0..turns {
        // Nobody else wants it, so whatever is in the way was left behind by the one before, and would be for the whole
        // lease.
        let guard = locks.lock(&key).lease(ms(20_000)).try_acquire().await;
        let guard = guard.unwrap_or_else(|error| panic!("a lock was left behind: {error}"));
        let work = fence::with_transaction(guard, &mut client, async |transaction| {
            let sell = "UPDATE products SET stock = stock + 1 WHERE id = $1";
            transaction.execute(sell, &[&product]).await?;
            Ok::<(), ShopError>(())
        });
        match timeout(longest.mul_f64(fastrand::f64()), work).await {
            Ok(done) => {
                done.unwrap();
                sold += 1;
                longest = longest.mul_f64(0.98);
            }
            Err(_) => {
                dropped += 1;
                longest = longest.mul_f64(1.02);
            }
        }
        // Outside a transaction, the transaction's time is that of the statement.
        let clean = "SELECT now() = statement_timestamp() AND pg_current_xact_id_if_assigned() IS NULL";
        let answers = client.simple_query(clean).await.unwrap();
        let is_clean = answers.iter().find_map(|answer| match answer {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        assert_eq!(is_clean, Some("t"), "in a transaction still");
        // A release that nobody waits for is a task of its own.
        let released = timeout(PATIENCE * 5, async {
            while !memory.is_idle() {
                tokio::task::yield_now().await;
            }
        });
        assert!(released.await.is_ok(), "a lock was left behind: {:?}", locks.stats());
    }
    assert!(dropped > turns / 10 && sold > turns / 10, "{dropped} dropped, {sold} not");
    // What was told as done was done; a commit that was on its way may have been as well.
    let row = looker.query_one("SELECT stock FROM products WHERE id = $1", &[&product]).await.unwrap();
    let stock = u64::try_from(row.get::<_, i64>(0)).unwrap();
    assert!((sold..=sold + dropped).contains(&stock), "{sold} sold, {dropped} dropped, {stock} in the table");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_transaction_leaves_the_connection_clean_and_no_lock() {
    const CONNECTIONS: u64 = 8;
    const TRANSACTIONS: Size = Size { everyday: 5_000, soak: 200_000 };
    let (server, _locks, _client) = shop().await;
    // How long a commit takes is not what this is about.
    server.execute("postgres", "ALTER SYSTEM SET synchronous_commit = off").unwrap();
    server.execute("postgres", "SELECT pg_reload_conf()").unwrap();
    let all = (0..CONNECTIONS).map(|_| drop_transactions(&server, TRANSACTIONS.now() / CONNECTIONS));
    futures_util::future::join_all(all).await;
}
