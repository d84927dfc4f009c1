//! The same work on Redis and on PostgreSQL, with their own best means and the same durability.

pub(crate) mod postgres;
pub(crate) mod postgres_claims;
pub(crate) mod postgres_flight;
pub(crate) mod postgres_sales;
pub(crate) mod redis;
pub(crate) mod redis_claims;

/// Stock of every SKU at the start: more than any load takes.
pub(crate) const STOCK: u64 = 1_000_000_000;
/// Digits of a SKU's number.
pub(crate) const SKU_DIGITS: usize = 8;
/// Digits of a hold's, order's or transfer's number.
pub(crate) const ID_DIGITS: usize = 16;
/// Hold numbers of one connection begin at its index times this.
pub(crate) const IDS_PER_CONNECTION: u64 = 1_000_000_000_000;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jaego_testkit::{Durability, Postgres, PostgresOptions, Redis, RedisOptions};

    use super::postgres::{PostgresSubject, PostgresWork};
    use super::postgres_claims::PostgresClaims;
    use super::postgres_sales::{PostgresSales, Sale};
    use super::redis::{RedisSubject, RedisWork};
    use super::redis_claims::RedisClaims;
    use crate::basket::Baskets;
    use crate::draw::Skew;
    use crate::jaego::claims::{Policy, Reach};
    use crate::load::Bound;
    use crate::subject::{Size, Subject};

    fn size(connections: usize, bound: Bound) -> Size {
        Size { connections, threads: 2, bound }
    }

    fn briefly() -> Bound {
        Bound::Time { warm_up: Duration::from_millis(20), measured: Duration::from_millis(150) }
    }

    /// Two rounds and the check, which compares the answers with the books.
    fn run(mut subject: impl Subject) {
        for _ in 0..2 {
            let round = subject.round().unwrap();
            assert!(round.is_valid(), "{}: {:?}", subject.name(), round.unexpected);
            assert!(round.units > 0 && round.units_in_all >= round.units, "{}: {round:?}", subject.name());
        }
        subject.check().unwrap();
    }

    #[test]
    fn redis_keeps_its_books() {
        let options = RedisOptions { durability: Durability::Always, settings: Vec::new() };
        let redis = Redis::start(&options).unwrap();
        let works = [
            (RedisWork::Decrement, 1, 8),
            (RedisWork::Hold, 100, 8),
            (RedisWork::Pipeline(50), 100, 2),
            (RedisWork::Transfer(20), 100, 1),
        ];
        for (database, (work, skus, connections)) in works.into_iter().enumerate() {
            let name = format!("{work:?}");
            let size = size(connections, briefly());
            run(RedisSubject::new(name, redis.addr(), database, work, skus, size, 0, (Skew::Uniform, 1))
                .unwrap());
        }
    }

    #[test]
    fn redis_gives_every_order_out_once() {
        let options = RedisOptions { durability: Durability::Always, settings: Vec::new() };
        let redis = Redis::start(&options).unwrap();
        let reaches = [Reach::ONE, Reach { commands: 5, count: 10 }];
        for (database, reach) in reaches.into_iter().enumerate() {
            let (name, how) = (format!("{reach:?}"), (Policy::Priority, reach));
            let size = size(4, Bound::Count);
            run(RedisClaims::new(name, redis.addr(), database, how, 2_000, size).unwrap());
        }
    }

    #[test]
    fn postgres_gives_every_order_out_once() {
        let postgres = Postgres::start(&PostgresOptions::default()).unwrap();
        for (policy, claims) in [(Policy::Oldest, 1), (Policy::Priority, 50)] {
            let (name, table) = (format!("{policy} {claims}"), format!("{policy}_{claims}"));
            let (addr, size) = (postgres.addr(), size(4, Bound::Count));
            let mut subject = PostgresClaims::new(name, addr, &table, (policy, claims), 2_000, size).unwrap();
            subject.round().unwrap();
            // A claim that was answered and is lost must be found out.
            let lose = format!(
                "UPDATE {table}_order SET worker = NULL WHERE id = (SELECT min(id) FROM {table}_order WHERE worker IS NOT NULL)"
            );
            postgres.execute("postgres", &lose).unwrap();
            let error = subject.check().unwrap_err().to_string();
            assert!(error.contains("the books are wrong"), "{error}");

            let (name, table) = (subject.name(), format!("{table}_again"));
            run(PostgresClaims::new(name, addr, &table, (policy, claims), 2_000, size).unwrap());
        }
    }

    #[test]
    fn postgres_sells_what_it_answers() {
        let postgres = Postgres::start(&PostgresOptions::default()).unwrap();
        let orders = |batch| Sale::Orders { batch, baskets: Baskets::new(100, 1), skus: 100 };
        let sales = [
            (orders(1), 8),
            (orders(30), 4),
            (Sale::Checkouts { batch: 1, carts: 500 }, 8),
            (Sale::Checkouts { batch: 50, carts: 520 }, 4),
        ];
        for (index, (sale, connections)) in sales.into_iter().enumerate() {
            let (name, table) = (format!("sale {index}"), format!("t{index}"));
            run(PostgresSales::new(name, postgres.addr(), &table, sale, size(connections, briefly()))
                .unwrap());
        }
    }

    #[test]
    fn redis_that_lost_something_is_found_out() {
        let redis = Redis::start(&RedisOptions::default()).unwrap();
        let size = size(2, briefly());
        let mut subject = RedisSubject::new(
            "lossy".into(),
            redis.addr(),
            0,
            RedisWork::Hold,
            10,
            size,
            0,
            (Skew::Uniform, 1),
        )
        .unwrap();
        subject.round().unwrap();
        crate::resp::Client::connect(redis.addr()).unwrap().call(&["INCR", "sku:00000003"]).unwrap();
        let error = subject.check().unwrap_err().to_string();
        assert!(error.starts_with("lossy: the books are wrong"), "{error}");
    }

    #[test]
    fn postgres_keeps_its_books() {
        let postgres = Postgres::start(&PostgresOptions::default()).unwrap();
        let works = [
            (PostgresWork::Update, 1, 8, briefly(), 0),
            (PostgresWork::Update, 100, 8, briefly(), 0),
            (PostgresWork::UpdateInsert, 100, 8, briefly(), 0),
            (PostgresWork::SelectForUpdate, 1, 8, briefly(), 0),
            (PostgresWork::Batch(50), 100, 4, briefly(), 0),
            (PostgresWork::TransferByLine(20), 100, 1, briefly(), 0),
            (PostgresWork::TransferAtOnce(50), 60, 8, Bound::Count, 40),
        ];
        for (index, (work, skus, connections, bound, transfers)) in works.into_iter().enumerate() {
            let (name, table) = (format!("{work:?}"), format!("t{index}"));
            let (size, draw) = (size(connections, bound), (Skew::Uniform, 1));
            let addr = postgres.addr();
            run(PostgresSubject::new(name, addr, &table, work, skus, size, transfers, draw).unwrap());
        }
    }

    #[test]
    fn postgres_that_lost_something_is_found_out() {
        let postgres = Postgres::start(&PostgresOptions::default()).unwrap();
        let (size, draw) = (size(2, briefly()), (Skew::Uniform, 1));
        let addr = postgres.addr();
        let work = PostgresWork::UpdateInsert;
        let mut subject = PostgresSubject::new("lossy".into(), addr, "t", work, 10, size, 0, draw).unwrap();
        subject.round().unwrap();
        postgres.execute("postgres", "UPDATE t_stock SET quantity = quantity + 1 WHERE id = 3").unwrap();
        let error = subject.check().unwrap_err().to_string();
        assert!(error.starts_with("lossy: the books are wrong"), "{error}");
    }
}
