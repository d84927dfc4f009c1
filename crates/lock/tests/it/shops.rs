//! The example programs, two of each, of which one is stopped in the middle of a sale and goes on when the other one has
//! sold, or in the middle of its sale.
//!
//! `JAEGO_SOAK=n` runs n times as many rounds.

#[path = "../../examples/stock_mysql.rs"]
mod stock_mysql;
#[path = "../../examples/stock_postgres.rs"]
mod stock_postgres;

use std::thread;
use std::time::Duration;

use jaego_testkit::{MariaDb, Postgres, PostgresOptions, Twin};

/// A bound on what only a bug makes late.
const PATIENCE: Duration = Duration::from_secs(60);

/// Tells a test that it is one of its own shops.
const SHOP: &str = "JAEGO_LOCK_SHOP";

/// Rounds of each product that do not count, because the first shop had sold before it was stopped: the machine was busy.
const TOO_LATE_MAX: u64 = 20;

const PRODUCTS: [&str; 3] = ["mug", "tee", "cap"];

/// So many rounds, or more of them in a soak.
fn rounds() -> u64 {
    2 * jaego_testkit::soak()
}

/// What each round takes, and a round that does not count takes two.
fn stock_wanted() -> u64 {
    rounds() + 2 * TOO_LATE_MAX
}

fn open(test: &str, settings: &[(&str, String)]) -> Twin {
    let mut shop = Twin::start(test, settings).unwrap();
    shop.hear_of("open", PATIENCE).unwrap();
    shop
}

/// Sells one of a product in each of two shops, of which the first one is stopped while it packs, and goes on when the
/// second one has sold, or in every other round while that one packs. In the end there is as much left as was not sold.
/// A round in which it was stopped too late is played again.
fn sell_in_two(test: &str, settings: &[(&str, String)], stock: impl Fn(&str) -> i64 + Sync) {
    thread::scope(|scope| {
        for product in PRODUCTS {
            let stock = &stock;
            scope.spawn(move || {
                let [mut first, mut second] = [(); 2].map(|()| open(test, settings));
                let order = format!("{product} 1");
                let (mut stopped, mut too_late) = (0, 0);
                while stopped < rounds() {
                    let before = stock(product);
                    first.say(&order).unwrap();
                    first.hear_of("packing", PATIENCE).unwrap();
                    first.stop().unwrap();
                    second.say(&order).unwrap();
                    let (outcome, left);
                    if stopped % 2 == 0 {
                        left = second.hear_of("sold, ", PATIENCE).unwrap();
                        first.cont().unwrap();
                        outcome = first.hear(PATIENCE).unwrap();
                    } else {
                        second.hear_of("packing", PATIENCE).unwrap();
                        first.cont().unwrap();
                        outcome = first.hear(PATIENCE).unwrap();
                        left = second.hear_of("sold, ", PATIENCE).unwrap();
                    }
                    if outcome.starts_with("sold, ") {
                        // Then the second one has sold after it.
                        assert_eq!((left, stock(product)), (format!("{} left", before - 2), before - 2));
                        too_late += 1;
                        assert!(too_late <= TOO_LATE_MAX, "{product}: it cannot be stopped in time");
                        continue;
                    }
                    assert_eq!(left, format!("{} left", before - 1));
                    assert!(outcome.starts_with("not sold: too late"), "{outcome}");
                    assert_eq!(stock(product), before - 1, "{product}: the stale sale was written");
                    stopped += 1;
                }
            });
        }
    });
}

#[test]
fn a_shop_on_postgres_that_was_stopped_does_not_sell() {
    if std::env::var_os(SHOP).is_some() {
        println!();
        return stock_postgres::main().unwrap();
    }
    let server = Postgres::start(&PostgresOptions::default()).unwrap();
    let settings = [(SHOP, String::new()), ("STOCK_DATABASE", server.url("postgres"))];
    // The first one makes the tables; two at once would be in each other's way.
    drop(open("shops::a_shop_on_postgres_that_was_stopped_does_not_sell", &settings));
    server.execute("postgres", &format!("UPDATE product SET stock = {}", stock_wanted())).unwrap();
    sell_in_two("shops::a_shop_on_postgres_that_was_stopped_does_not_sell", &settings, |product| {
        let stock = format!("SELECT stock FROM product WHERE name = '{product}'");
        server.execute("postgres", &stock).unwrap().parse().unwrap()
    });
}

#[test]
fn a_shop_on_mariadb_that_was_stopped_does_not_sell() {
    if std::env::var_os(SHOP).is_some() {
        println!();
        return stock_mysql::main().unwrap();
    }
    let (server, redis) =
        (MariaDb::start().unwrap(), jaego_testkit::Redis::start(&Default::default()).unwrap());
    // Nothing restarts here, and a lease is 10 s at the most.
    let quarantine = ("STOCK_QUARANTINE", "0".to_owned());
    let database = format!("mysql://root@{}/test", server.addr());
    let settings =
        [(SHOP, String::new()), ("STOCK_DATABASE", database), ("STOCK_LOCKS", redis.url()), quarantine];
    drop(open("shops::a_shop_on_mariadb_that_was_stopped_does_not_sell", &settings));
    server.execute(&format!("UPDATE product SET stock = {}", stock_wanted())).unwrap();
    sell_in_two("shops::a_shop_on_mariadb_that_was_stopped_does_not_sell", &settings, |product| {
        let stock = format!("SELECT stock FROM product WHERE name = '{product}'");
        server.execute(&stock).unwrap().parse().unwrap()
    });
}
