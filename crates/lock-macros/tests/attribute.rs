//! Functions with the attribute, on locks in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use jaego_lock::{Error, Locks, Lost, Memory, Settings, distributed_lock};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn locks() -> Locks {
    let settings = Settings {
        response_timeout: ms(25),
        keeper_lease: ms(400),
        waiter_ttl: ms(500),
        ..Settings::default()
    };
    Locks::with_settings(Memory::new(), settings).unwrap()
}

#[derive(Debug, thiserror::Error)]
enum ShopError {
    #[error("the shop is busy")]
    Busy(#[from] Error),
    #[error("sold out")]
    SoldOut,
}

struct Customer {
    id: u64,
}

struct Order {
    customer: Customer,
    card: (u64, &'static str),
}

/// A stock that is only right if nobody else is in between.
struct Shop {
    locks: Locks,
    site: &'static str,
    stock: AtomicU32,
    most_inside: AtomicU32,
    inside: AtomicU32,
}

impl Shop {
    fn new(stock: u32) -> Self {
        let [stock, most_inside, inside] = [stock, 0, 0].map(AtomicU32::new);
        Self { locks: locks(), site: "seoul", stock, most_inside, inside }
    }

    async fn enter(&self) {
        let inside = self.inside.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_inside.fetch_max(inside, Ordering::SeqCst);
        sleep(ms(1)).await;
        self.inside.fetch_sub(1, Ordering::SeqCst);
    }

    #[distributed_lock(key = "product:{product}@{self.site}", wait = "20s", lease = "10s", guard = lock)]
    async fn buy(&self, product: u64, mut quantity: u32) -> Result<u64, ShopError> {
        assert_eq!(lock.key().as_str(), format!("product:{product}@seoul"));
        self.enter().await;
        let stock = self.stock.load(Ordering::SeqCst);
        if stock < quantity {
            return Err(ShopError::SoldOut);
        }
        tokio::task::yield_now().await;
        quantity = stock - quantity;
        self.stock.store(quantity, Ordering::SeqCst);
        Ok(lock.fence())
    }

    #[distributed_lock(key = "transfer:{transfer}", mode = "allocate", wait = "20s")]
    async fn allocate(&self, transfer: &str) -> Result<(), Error> {
        self.enter().await;
        Ok(())
    }

    #[distributed_lock(key = "transfer:{transfer}", shared, wait = "20s", fair)]
    async fn look(&self, transfer: String) -> Result<String, Error> {
        self.enter().await;
        Ok(transfer)
    }
}

async fn both<T, E>(
    one: impl Future<Output = Result<T, E>>,
    two: impl Future<Output = Result<T, E>>,
) -> [T; 2]
where
    E: std::fmt::Debug,
{
    let (one, two) = tokio::join!(one, two);
    [one.unwrap(), two.unwrap()]
}

#[tokio::test(flavor = "multi_thread")]
async fn one_at_a_time_sells_what_is_there() {
    let shop = Arc::new(Shop::new(5));
    // Sent to tasks: the futures are `Send`.
    let buyers: Vec<_> = (0..8)
        .map(|_| {
            let shop = Arc::clone(&shop);
            tokio::spawn(async move { shop.buy(17, 1).await })
        })
        .collect();
    let (mut sold, mut sold_out) = (Vec::new(), 0);
    for buyer in buyers {
        match buyer.await.unwrap() {
            Ok(fence) => sold.push(fence),
            Err(ShopError::SoldOut) => sold_out += 1,
            Err(error) => panic!("{error}"),
        }
    }
    sold.sort_unstable();
    sold.dedup();
    assert_eq!((sold.len(), sold_out), (5, 3), "each with a fence of its own");
    assert_eq!(shop.most_inside.load(Ordering::SeqCst), 1);
    assert_eq!(shop.locks.stats().held, 0);
}

#[tokio::test]
async fn each_is_counted_under_its_template() {
    #[distributed_lock(key = "order:{id}/v2")]
    async fn one(locks: &Locks, id: &str) -> Result<(), Error> {
        Ok(())
    }
    #[distributed_lock(key = unordered("shelf:{one}", "box:{other}"))]
    async fn pair(locks: &Locks, one: &str, other: &str) -> Result<(), Error> {
        Ok(())
    }
    #[distributed_lock(multi = ["van:{id}", "site:{id}"])]
    async fn several(locks: &Locks, id: &str) -> Result<(), Error> {
        Ok(())
    }
    let locks = locks();
    for id in ["blue-whale", "red-fox"] {
        one(&locks, id).await.unwrap();
        pair(&locks, id, "grey-owl").await.unwrap();
        several(&locks, id).await.unwrap();
    }
    let patterns = locks.stats().patterns;
    let counted: Vec<_> = patterns.iter().map(|(name, pattern)| (name.as_str(), pattern.granted)).collect();
    assert_eq!(counted, [("box:*|shelf:*", 2), ("order:*/v2", 2), ("site:*", 2)]);
}

#[tokio::test]
async fn a_lock_that_was_not_got_is_an_error_and_the_body_does_not_run() {
    #[distributed_lock(key = "product:{product}", wait = "20ms")]
    async fn buy(locks: &Locks, product: u64, ran: &AtomicU32) -> Result<(), ShopError> {
        ran.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
    #[distributed_lock(key = "product:{product}", wait = "0s")]
    async fn try_buy(locks: &Locks, product: u64) -> Result<(), Error> {
        Ok(())
    }
    let (locks, ran) = (locks(), AtomicU32::new(0));
    let guard = locks.lock("product:17").acquire().await.unwrap();
    let error = buy(&locks, 17, &ran).await.unwrap_err();
    assert!(matches!(error, ShopError::Busy(Error::Timeout { .. })), "{error}");
    assert!(matches!(try_buy(&locks, 17).await, Err(Error::Busy { .. })));
    assert_eq!(ran.load(Ordering::SeqCst), 0);
    buy(&locks, 18, &ran).await.unwrap();
    assert!(guard.release().await.was_held());
    buy(&locks, 17, &ran).await.unwrap();
    assert_eq!(ran.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn modes_stand_side_by_side() {
    let shop = Shop::new(0);
    both(shop.allocate("T-1"), shop.allocate("T-1")).await;
    assert_eq!(shop.most_inside.swap(0, Ordering::SeqCst), 2);
    both(shop.look("T-1".to_owned()), shop.look("T-1".to_owned())).await;
    assert_eq!(shop.most_inside.swap(0, Ordering::SeqCst), 2);
    let (look, allocate) = tokio::join!(shop.look("T-1".to_owned()), shop.allocate("T-1"));
    assert!(look.is_ok() && allocate.is_ok());
    assert_eq!(shop.most_inside.swap(0, Ordering::SeqCst), 1);
}

#[tokio::test]
async fn keys_are_made_of_arguments_and_their_fields() {
    #[distributed_lock(key = "order:{order.customer.id}:{order.card.1}/{{x}}", guard = lock)]
    async fn pay(locks: &Locks, order: &Order) -> Result<String, Error> {
        Ok(lock.key().to_string())
    }
    #[distributed_lock(key = unordered("card:{from}", "card:{to}"), guard = lock)]
    async fn propose(locks: &Locks, from: u64, to: u64) -> Result<String, Error> {
        Ok(lock.key().to_string())
    }
    #[distributed_lock(key = name.to_uppercase(), guard = lock)]
    async fn named(locks: &Locks, name: &str) -> Result<String, Error> {
        Ok(lock.key().to_string())
    }
    // A pattern, as web frameworks have them.
    #[distributed_lock(key = "pair:{left}-{right}", locks = shop.locks, guard = lock)]
    async fn of_pattern<T: std::fmt::Display>(
        shop: &Shop,
        (left, [_, right]): (u64, [T; 2]),
    ) -> Result<String, Error> {
        drop(right);
        Ok(lock.key().to_string())
    }
    let locks = locks();
    let order = Order { customer: Customer { id: 7 }, card: (1, "visa") };
    assert_eq!(pay(&locks, &order).await.unwrap(), "order:7:visa/{x}");
    assert_eq!(propose(&locks, 9, 3).await.unwrap(), "card:3|card:9");
    assert_eq!(propose(&locks, 3, 9).await.unwrap(), "card:3|card:9");
    assert_eq!(of_pattern(&Shop::new(0), (1, ["a", "b"])).await.unwrap(), "pair:1-b");
    assert_eq!(named(&locks, "nightly").await.unwrap(), "NIGHTLY");
    assert!(matches!(named(&locks, "").await, Err(Error::Key(_))), "a wrong key is the lock's error");
}

#[tokio::test]
async fn several_locks_are_taken_together() {
    #[distributed_lock(multi = ["stock:{from}", unordered("{to}", "{from}")], lease = "1s", guard = lock)]
    async fn transfer(locks: &Locks, from: &str, to: &str) -> Result<Vec<String>, Error> {
        assert!(locks.lock("stock:a").try_acquire().await.is_err());
        Ok(lock.keys().map(ToString::to_string).collect())
    }
    let locks = locks();
    let mut keys = transfer(&locks, "a", "b").await.unwrap();
    keys.sort();
    assert_eq!(keys, ["a|b", "stock:a"]);
    assert!(locks.lock("stock:a").try_acquire().await.unwrap().release().await.was_held());
}

#[distributed_lock(key = "a", lease = lease, wait = "5s")]
async fn slow(locks: &Locks, lease: Duration, work: Duration) -> Result<u32, ShopError> {
    sleep(work).await;
    if work.is_zero() { Err(ShopError::SoldOut) } else { Ok(7) }
}

#[tokio::test]
async fn a_result_that_came_after_the_loss_is_not_passed_on() {
    let locks = locks();
    assert_eq!(slow(&locks, ms(2_000), ms(1)).await.unwrap(), 7);
    // Nobody else came, but somebody could have.
    let error = slow(&locks, ms(100), ms(150)).await.unwrap_err();
    assert!(matches!(error, ShopError::Busy(Error::Lost { how: Lost::Expired, .. })), "{error:?}");
    // Somebody did, and still holds it.
    let (error, thief) = tokio::join!(slow(&locks, ms(100), ms(300)), async {
        sleep(ms(20)).await;
        locks.lock("a").wait(ms(2_000)).acquire().await.unwrap()
    });
    let error = error.unwrap_err();
    assert!(
        matches!(error, ShopError::Busy(Error::Lost { how: Lost::Stolen { fence }, .. }) if fence == thief.fence()),
        "{error:?}"
    );
    assert!(thief.release().await.was_held());
    // The body's own error says more.
    assert!(matches!(slow(&locks, ms(100), Duration::ZERO).await, Err(ShopError::SoldOut)));
}

#[tokio::test]
async fn a_lock_that_was_let_go_behind_the_body_is_lost() {
    let locks = locks();
    let (result, ()) = tokio::join!(slow(&locks, ms(2_000), ms(100)), async {
        sleep(ms(20)).await;
        locks.shutdown().await;
    });
    let error = result.unwrap_err();
    assert!(matches!(error, ShopError::Busy(Error::Lost { how: Lost::Released, .. })), "{error:?}");
}

#[tokio::test]
async fn a_dropped_call_lets_go() {
    #[distributed_lock(key = "a")]
    async fn forever(locks: &Locks, inside: &Notify) -> Result<(), Error> {
        inside.notify_one();
        std::future::pending().await
    }
    let (locks, inside) = (locks(), Notify::new());
    tokio::select! {
        _ = forever(&locks, &inside) => unreachable!("it never ends"),
        () = inside.notified() => {}
    }
    let next = timeout(ms(1_000), locks.lock("a").acquire()).await.expect("at once").unwrap();
    assert!(next.release().await.was_held());
}

#[tokio::test]
async fn names_of_the_body_are_its_own() {
    // What the expansion calls `guard` and `result` itself is not what these are.
    #[distributed_lock(key = "{guard}:{result}")]
    async fn odd(locks: &Locks, guard: u8, result: u8) -> Result<u8, Error> {
        let sum = guard + result;
        let guard = sum;
        Ok(guard)
    }
    assert_eq!(odd(&locks(), 3, 4).await.unwrap(), 7);
}

#[tokio::test]
async fn references_go_in_and_out() {
    struct Names {
        locks: Locks,
        names: Vec<String>,
    }
    impl Names {
        #[distributed_lock(key = "names")]
        async fn first(&self) -> Result<&str, Error> {
            let first = self.names.first().map_or("", String::as_str);
            Ok(first)
        }

        #[distributed_lock(key = "names")]
        async fn add(&mut self, name: impl Into<String>) -> Result<&mut Self, Error> {
            self.names.push(name.into());
            Ok(self)
        }
    }
    let mut names = Names { locks: locks(), names: Vec::new() };
    names.add("mug").await.unwrap().add("cup").await.unwrap();
    assert_eq!(names.first().await.unwrap(), "mug");
}
