//! Transactions that check fences, on connections of a pool.
//!
//! `JAEGO_SOAK=n` runs n times as many rounds.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use deadpool_postgres::{Manager, Pool};
use jaego_lock::conformance::{Size, connected};
use jaego_lock::fence::{self, POSTGRES_TABLE};
use jaego_lock::{
    Locks, Lost, Memory, Postgres, PostgresOptions, Redis, RedisOptions, Settings, distributed_lock,
};
use jaego_testkit as testkit;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use crate::ms;
use crate::shop::ShopError;

/// How late an expectation may come true on a busy machine.
const PATIENCE: Duration = Duration::from_secs(5);

const SELL: &str = "UPDATE products SET stock = stock - 1 WHERE id = 17";

/// A shop with a thousand mugs, and somebody who looks.
struct Shop {
    server: testkit::Postgres,
    memory: Memory,
    locks: Locks,
    looker: Client,
}

impl Shop {
    async fn open() -> Self {
        let server = testkit::Postgres::start(&testkit::PostgresOptions::default()).unwrap();
        // How long a commit takes is not what this is about.
        server.execute("postgres", "ALTER SYSTEM SET synchronous_commit = off").unwrap();
        server.execute("postgres", "SELECT pg_reload_conf()").unwrap();
        let looker = connect(&server).await;
        looker.batch_execute(POSTGRES_TABLE).await.unwrap();
        let products = "CREATE TABLE products (id bigint PRIMARY KEY, stock bigint NOT NULL);
                        INSERT INTO products VALUES (17, 1000)";
        looker.batch_execute(products).await.unwrap();
        let memory = Memory::new();
        let settings = Settings { keeper_lease: ms(2_000), ..jaego_lock::conformance::settings() };
        let locks = Locks::with_settings(memory.clone(), settings).unwrap();
        Self { server, memory, locks, looker }
    }

    /// So many connections, which call themselves `pool`.
    fn pool(&self, connections: usize) -> Pool {
        let mut config: tokio_postgres::Config = self.server.url("postgres").parse().unwrap();
        config.application_name("pool");
        Pool::builder(Manager::new(config, NoTls)).max_size(connections).build().unwrap()
    }

    async fn stock(&self) -> i64 {
        self.looker.query_one("SELECT stock FROM products WHERE id = 17", &[]).await.unwrap().get(0)
    }

    /// How many connections of the pool are in a transaction at this moment, as the server sees it.
    async fn transactions(&self) -> i64 {
        let open = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pool' AND xact_start IS NOT NULL";
        self.looker.query_one(open, &[]).await.unwrap().get(0)
    }

    async fn until_no_transactions(&self) {
        let started = Instant::now();
        while self.transactions().await > 0 {
            assert!(started.elapsed() < PATIENCE, "a transaction was left behind");
            sleep(ms(1)).await;
        }
    }

    async fn until_no_locks(&self) {
        let started = Instant::now();
        while !self.memory.is_idle() {
            assert!(started.elapsed() < PATIENCE, "a lock was left behind: {:?}", self.locks.stats());
            sleep(ms(1)).await;
        }
    }
}

async fn connect(server: &testkit::Postgres) -> Client {
    let (client, connection) = tokio_postgres::connect(&server.url("postgres"), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn process_of(pool: &Pool) -> i32 {
    let client = pool.get().await.unwrap();
    client.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0)
}

/// Drops what it drives when that has been polled so often: at the await where it stands then.
struct Polls<F> {
    future: Pin<Box<F>>,
    left: u32,
}

impl<F: Future> Future for Polls<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        let left = self.left;
        match self.future.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_goes_back_when_the_server_has_ended_its_transaction() {
    let shop = Shop::open().await;
    let pool = shop.pool(1);
    let process = process_of(&pool).await;
    let lock = async || shop.locks.lock("product:17").wait(PATIENCE).acquire().await.unwrap();
    for sold in 1..=5 {
        fence::with_transaction(lock().await, &pool, async |transaction| {
            transaction.execute(SELL, &[]).await?;
            Ok::<(), ShopError>(())
        })
        .await
        .unwrap();
        assert_eq!(shop.stock().await, 1_000 - sold);
    }
    let failed = fence::with_transaction(lock().await, &pool, async |transaction| {
        transaction.execute(SELL, &[]).await?;
        Err::<(), _>(ShopError::SoldOut)
    });
    assert!(matches!(failed.await, Err(ShopError::SoldOut)));
    // A commit that the server refuses: it has ended the transaction, and said so.
    let deferred = "CREATE TABLE orders (id bigint PRIMARY KEY,
                        product bigint NOT NULL REFERENCES products DEFERRABLE INITIALLY DEFERRED)";
    shop.looker.batch_execute(deferred).await.unwrap();
    let refused = fence::with_transaction(lock().await, &pool, async |transaction| {
        transaction.execute("INSERT INTO orders VALUES (1, 404)", &[]).await?;
        Ok::<(), ShopError>(())
    });
    assert!(matches!(refused.await, Err(ShopError::Fence(fence::Error::Commit { .. }))));
    assert_eq!((shop.stock().await, shop.transactions().await), (995, 0));
    assert_eq!(process_of(&pool).await, process, "the same connection all the time");

    // What a program has got from the pool itself, it keeps.
    let mut object = pool.get().await.unwrap();
    fence::with_transaction(lock().await, &mut object, async |transaction| {
        transaction.execute(SELL, &[]).await?;
        Ok::<(), ShopError>(())
    })
    .await
    .unwrap();
    drop(object);
    assert_eq!((shop.stock().await, process_of(&pool).await), (994, process));
}

/// Requests, each of them dropped or done.
const REQUESTS: Size = Size { everyday: 5_000, soak: 200_000 };
/// So many pools of one connection share them, each with a lock and a product of its own.
const POOLS: usize = 8;

#[derive(Debug, Default)]
struct Tally {
    sold: u64,
    dropped: u64,
}

/// Takes a lock and sells, dropped at the first await, then at the second, and so on until it is done; and once more. With one
/// connection in the pool, whatever is left of a transaction meets the next request, and so does a lock that is left.
async fn drop_at_each_await(pool: Pool, locks: Locks, product: i64, requests: u64) -> Tally {
    let key = format!("product:{product}");
    let mut tally = Tally::default();
    while tally.sold + tally.dropped < requests {
        for polls in 0.. {
            let sell = async {
                // Nobody else wants it, and what is given up is free again long before its lease is over.
                let guard = locks.lock(&key).lease(4 * PATIENCE).wait(PATIENCE).acquire().await?;
                fence::with_transaction(guard, &pool, async |transaction| {
                    let sell = "UPDATE products SET stock = stock - 1 WHERE id = $1";
                    transaction.execute(sell, &[&product]).await?;
                    tokio::task::yield_now().await;
                    transaction.query("SELECT stock FROM products", &[]).await?;
                    Ok::<(), ShopError>(())
                })
                .await
            };
            let done = Polls { future: Box::pin(sell), left: polls }.await;
            let client = timeout(PATIENCE, pool.get()).await.expect("the pool has room").unwrap();
            // Outside a transaction, the transaction's time is that of the statement.
            let clean = "SELECT now() = statement_timestamp() AND pg_current_xact_id_if_assigned() IS NULL";
            let answers = client.simple_query(clean).await.unwrap();
            let is_clean = answers.iter().find_map(|answer| match answer {
                SimpleQueryMessage::Row(row) => row.get(0),
                _ => None,
            });
            assert_eq!(is_clean, Some("t"), "in a transaction still");
            drop(client);
            match done {
                None => tally.dropped += 1,
                Some(done) => {
                    done.unwrap();
                    tally.sold += 1;
                    break;
                }
            }
        }
    }
    tally
}

async fn until_nothing_is_locked(locks: &Locks) {
    let started = Instant::now();
    loop {
        let left = locks.list("", 10).await.unwrap().locks;
        if left.is_empty() {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "left behind: {left:?}");
        sleep(ms(1)).await;
    }
}

/// With locks in memory, on Redis and on PostgreSQL.
#[tokio::test(flavor = "multi_thread")]
async fn dropped_at_any_await_nobody_gets_a_connection_in_a_transaction() {
    let shop = Shop::open().await;
    let redis_server = testkit::Redis::start(&testkit::RedisOptions::default()).unwrap();
    // As patient as a machine with much to do needs it.
    let response_timeout = ms(2_000);
    let settings = Settings {
        response_timeout,
        keeper_lease: 4 * response_timeout,
        waiter_ttl: 4 * response_timeout,
        ..jaego_lock::conformance::settings()
    };
    let redis = RedisOptions::new(&redis_server.url()).unwrap().quarantine(Duration::ZERO);
    let redis = connected(Redis::start(redis.response_timeout(response_timeout))).await;
    let postgres = PostgresOptions::new(&shop.server.url("postgres")).unwrap();
    postgres.migrate().await.unwrap();
    let postgres = connected(Postgres::start(postgres.response_timeout(response_timeout))).await;
    let on_redis = Locks::with_settings(redis, settings).unwrap();
    let on_postgres = Locks::with_settings(postgres, settings).unwrap();

    let mut pools = JoinSet::new();
    let kinds = [&shop.locks, &on_redis, &shop.locks, &on_postgres];
    for (product, locks) in (100_i64..).zip(kinds.repeat(POOLS / kinds.len())) {
        shop.looker.execute("INSERT INTO products VALUES ($1, 0)", &[&product]).await.unwrap();
        let (locks, pool) = (locks.clone(), shop.pool(1));
        let requests = REQUESTS.now().div_ceil(POOLS as u64);
        pools.spawn(async move { (product, drop_at_each_await(pool, locks, product, requests).await) });
    }
    let pools = pools.join_all().await;
    shop.until_no_transactions().await;
    shop.until_no_locks().await;
    for locks in [&on_redis, &on_postgres] {
        until_nothing_is_locked(locks).await;
    }
    for (product, Tally { sold, dropped }) in pools {
        println!("product {product}: {sold} sold, {dropped} dropped");
        assert!(sold > 0 && dropped > sold, "{dropped} were dropped, {sold} sold");
        // What was told as done was done; a commit that was on its way may have been as well.
        let stock = "SELECT -stock FROM products WHERE id = $1";
        let taken: i64 = shop.looker.query_one(stock, &[&product]).await.unwrap().get(0);
        let taken = u64::try_from(taken).unwrap();
        assert!((sold..=sold + dropped).contains(&taken), "{sold} sold, {dropped} dropped, {taken} taken");
    }
}

/// Without care the pool would hand the connection to the next one, who would wait for somebody else's row.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_whose_statement_waits_is_not_given_to_the_next_one() {
    let shop = Shop::open().await;
    let pool = shop.pool(1);
    let (before, locks) = (process_of(&pool).await, shop.locks.clone());
    let mut other = connect(&shop.server).await;
    let in_the_way = other.transaction().await.unwrap();
    in_the_way.execute(SELL, &[]).await.unwrap();

    // Given up by its caller.
    let guard = locks.lock("product:17").acquire().await.unwrap();
    let waits = fence::with_transaction(guard, &pool, async |transaction| {
        transaction.execute(SELL, &[]).await?;
        Ok::<(), ShopError>(())
    });
    timeout(ms(300), waits).await.unwrap_err();
    let after = timeout(PATIENCE, process_of(&pool)).await.expect("another connection");
    assert_ne!(before, after);
    shop.until_no_locks().await;

    // Lost.
    let guard = locks.lock("product:18").lease(ms(1_000)).acquire().await.unwrap();
    let waits = fence::with_transaction(guard, &pool, async |transaction| {
        transaction.execute(SELL, &[]).await?;
        Ok::<(), ShopError>(())
    });
    let error = timeout(ms(1_000) + PATIENCE, waits).await.expect("told of the loss").unwrap_err();
    let ShopError::Fence(fence::Error::Lock(jaego_lock::Error::Lost { how, .. })) = &error else {
        panic!("{error:?}")
    };
    assert_eq!(*how, Lost::Expired);
    let third = timeout(PATIENCE, process_of(&pool)).await.expect("another connection");
    assert_ne!(after, third);

    // Once the row is free, the server finds that both have gone, and changes nothing.
    in_the_way.rollback().await.unwrap();
    shop.until_no_transactions().await;
    assert_eq!(shop.stock().await, 1_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_that_has_none_left_is_waited_for_no_longer_than_the_lock_is_held() {
    let shop = Shop::open().await;
    let pool = shop.pool(1);
    let all = pool.get().await.unwrap();
    let guard = shop.locks.lock("product:17").lease(ms(1_000)).acquire().await.unwrap();
    let sell = fence::with_transaction(guard, &pool, async |transaction| {
        transaction.execute(SELL, &[]).await?;
        Ok::<(), ShopError>(())
    });
    let error = timeout(ms(1_000) + PATIENCE, sell).await.expect("told of the loss").unwrap_err();
    assert!(matches!(error, ShopError::Fence(fence::Error::Lock(_))), "{error:?}");
    // One that is closed says so, and the lock is free again.
    drop(all);
    pool.close();
    let guard = shop.locks.lock("product:17").wait(PATIENCE).acquire().await.unwrap();
    let error = fence::with_transaction(guard, &pool, async |_| Ok::<(), ShopError>(())).await.unwrap_err();
    assert!(matches!(error, ShopError::Fence(fence::Error::Pool { .. })), "{error:?}");
    assert_eq!(error.to_string(), "cannot get a connection from the pool");
    shop.until_no_locks().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_that_gives_up_half_of_the_time_leaves_the_pool_whole() {
    const BUYERS: usize = 16;
    let shop = Shop::open().await;
    let pool = shop.pool(4);
    let buyers = (0..BUYERS).map(|_| {
        let (locks, pool) = (shop.locks.clone(), pool.clone());
        // In a task: the future is `Send`.
        tokio::spawn(async move {
            let (mut sold, mut dropped) = (0, 0);
            for _ in 0..25 * testkit::soak() {
                let guard = locks.lock("product:17").wait(ms(60_000)).acquire().await.unwrap();
                let sell = fence::with_transaction(guard, &pool, async |transaction| {
                    // Read, think, write: only right if nobody is in between.
                    let read = "SELECT stock FROM products WHERE id = 17";
                    let stock: i64 = transaction.query_one(read, &[]).await?.get(0);
                    let write = "UPDATE products SET stock = $1 WHERE id = 17";
                    transaction.execute(write, &[&(stock - 1)]).await?;
                    Ok::<(), ShopError>(())
                });
                // The others have as long as a busy machine takes.
                let patience = if fastrand::bool() { ms(4).mul_f64(fastrand::f64()) } else { ms(60_000) };
                match timeout(patience, sell).await {
                    Ok(done) => {
                        done.unwrap();
                        sold += 1;
                    }
                    Err(_) => dropped += 1,
                }
            }
            (sold, dropped)
        })
    });
    let buyers: Vec<_> = buyers.collect();
    let (mut sold, mut dropped) = (0, 0);
    for buyer in buyers {
        let (one_sold, one_dropped): (i64, i64) = buyer.await.unwrap();
        (sold, dropped) = (sold + one_sold, dropped + one_dropped);
    }
    shop.until_no_transactions().await;
    shop.until_no_locks().await;
    assert!(sold > 0 && dropped > 0, "{sold} sold, {dropped} dropped");
    let stock = shop.stock().await;
    assert!(
        (1_000 - sold - dropped..=1_000 - sold).contains(&stock),
        "{sold} sold, {dropped} dropped, {stock} left"
    );
    let status = pool.status();
    assert!(status.size <= 4 && status.waiting == 0, "{status:?}");
    println!("{sold} sold, {dropped} dropped");
}

/// Sells in a function that holds the lock, and then goes on for a while.
#[distributed_lock(key = "product:17", lease = lease, locks = shop.locks, guard = lock)]
async fn sell(shop: &Shop, pool: &Pool, lease: Duration, then: Duration) -> Result<(), ShopError> {
    fence::with_transaction(lock.reenter()?, pool, async |transaction| {
        transaction.execute(SELL, &[]).await?;
        Ok::<(), ShopError>(())
    })
    .await?;
    sleep(then).await;
    Ok(())
}

/// The same with several locks, each with its fence.
#[distributed_lock(multi = ["product:17", "shelf:4"], lease = lease, locks = shop.locks, guard = lock)]
async fn sell_from_shelf(shop: &Shop, pool: &Pool, lease: Duration) -> Result<(), ShopError> {
    fence::with_transaction(lock.reenter()?, pool, async |transaction| {
        transaction.execute(SELL, &[]).await?;
        Ok::<(), ShopError>(())
    })
    .await
}

/// Whoever is told that the lock was lost sells again. So what the database has confirmed is told as done, though the lease
/// ran out during the commit or after it.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_committed_is_no_loss_to_the_function_that_held_the_lock() {
    /// Enough to begin and to write on a busy machine, and less than the slow commit takes.
    const LEASE: Duration = Duration::from_millis(1_500);
    let shop = Shop::open().await;
    let pool = shop.pool(2);
    sell(&shop, &pool, LEASE, LEASE + ms(500)).await.expect("it was sold before the lease ran out");
    assert_eq!((shop.stock().await, shop.locks.stats().losses), (999, 1));

    // The commit itself takes longer than the lease.
    let slow = "CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS
                    $$ BEGIN PERFORM pg_sleep(2.5); RETURN NULL; END $$;
                CREATE CONSTRAINT TRIGGER linger AFTER UPDATE ON products DEFERRABLE INITIALLY DEFERRED
                    FOR EACH ROW EXECUTE FUNCTION linger()";
    shop.looker.batch_execute(slow).await.unwrap();
    sell(&shop, &pool, LEASE, ms(0)).await.expect("it was sold");
    assert_eq!((shop.stock().await, shop.locks.stats().losses), (998, 2));
    sell_from_shelf(&shop, &pool, LEASE).await.expect("it was sold");
    assert_eq!(shop.stock().await, 997);
    let fences =
        shop.looker.query_one("SELECT count(*), count(DISTINCT fence) FROM fences", &[]).await.unwrap();
    assert_eq!((fences.get::<_, i64>(0), fences.get::<_, i64>(1)), (2, 1), "one for each key, of one grant");

    // What the database refuses was not sold, and a lease that ran out before it is a loss as ever.
    shop.looker.batch_execute("ALTER TABLE products ADD CHECK (stock >= 997)").await.unwrap();
    let refused = sell(&shop, &pool, LEASE, ms(0)).await.unwrap_err();
    assert!(matches!(refused, ShopError::Database(_)), "{refused:?}");
    let all = [pool.get().await.unwrap(), pool.get().await.unwrap()];
    let late = sell(&shop, &pool, LEASE, ms(0)).await.unwrap_err();
    let lost = |error: &ShopError| {
        matches!(error, ShopError::Fence(fence::Error::Lock(jaego_lock::Error::Lost { .. })))
    };
    assert!(lost(&late), "{late:?}");
    drop(all);
    assert_eq!(shop.stock().await, 997);
    shop.until_no_locks().await;
}

/// Allocations of one period commit in any order; one that is left over from it is refused after a cancellation.
#[tokio::test(flavor = "multi_thread")]
async fn companions_commit_in_any_order() {
    let shop = Shop::open().await;
    let pool = shop.pool(2);
    let acquire = async |mode| shop.locks.mode("T-1", mode).lease(ms(20_000)).acquire().await.unwrap();
    let sell_under = async |guard: jaego_lock::Guard| {
        fence::with_transaction(guard, &pool, async |transaction| {
            transaction.execute(SELL, &[]).await?;
            Ok::<(), ShopError>(())
        })
        .await
    };
    let (first, second, third) =
        (acquire("allocate").await, acquire("allocate").await, acquire("allocate").await);
    assert!(first.fence() < second.fence());
    let late = first.turn();
    sell_under(second).await.unwrap();
    sell_under(first).await.expect("it is held as well as the other one was");
    sell_under(third).await.unwrap();
    sell_under(acquire("cancel").await).await.unwrap();
    assert_eq!(shop.stock().await, 996);
    // It was stopped, and does not know that it is late.
    let refused =
        fence::raise(&shop.looker, &jaego_lock::LockKey::new("T-1").unwrap(), late).await.unwrap_err();
    assert!(matches!(refused, fence::Error::Stale { fence, seen, .. } if fence == late && seen > late));
    sell_under(acquire("allocate").await).await.unwrap();
    assert_eq!(shop.stock().await, 995);
}
