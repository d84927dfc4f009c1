//! A commit whose answer does not come, or does not come in time.

use std::time::Duration;

use jaego_lock::fence::{self, COMMIT_GRACE, Error, POSTGRES_TABLE};
use jaego_lock::{BootTime, Locks, Memory};
use jaego_testkit::{Direction, Fault, FaultProxy};
use tokio::time::{sleep, timeout};
use tokio_postgres::{Client, NoTls};

use super::{PATIENCE, connect, ms, server, settings};

const LEASE: Duration = Duration::from_millis(1_000);
/// Of a commit whose end is told at once, and while the lock is held.
const LONG_LEASE: Duration = Duration::from_secs(5);

/// A commit waits for the advisory lock 17.
const PRODUCTS: &str = "
    CREATE TABLE products (id bigint PRIMARY KEY, stock bigint NOT NULL);
    INSERT INTO products VALUES (17, 10);
    CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_advisory_xact_lock(17); RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER linger AFTER UPDATE ON products DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION linger()";

/// What happens while the commit is on the server.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Strike {
    /// Its answer is swallowed.
    Swallowed,
    /// The connection breaks with its answer.
    Cut,
    /// It goes on for too long, and fails after that.
    Stuck,
    /// The server says that it ends the session, and why.
    Ended,
}

const END: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'COMMIT'";

/// Waits until the commit has begun.
async fn until_committing(looker: &Client) {
    let committing =
        "SELECT count(*) FROM pg_stat_activity WHERE query = 'COMMIT' AND wait_event_type = 'Lock'";
    while looker.query_one(committing, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        sleep(ms(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_without_an_answer_ends_soon_after_its_lock_and_is_told_as_unknown() {
    let server = server();
    let looker = connect(&server).await;
    for sql in [POSTGRES_TABLE, PRODUCTS] {
        looker.batch_execute(sql).await.unwrap();
    }
    let locks = Locks::with_settings(Memory::new(), settings()).unwrap();
    for (strike, left) in [(Strike::Swallowed, 9), (Strike::Cut, 8), (Strike::Stuck, 8), (Strike::Ended, 8)] {
        let proxy = FaultProxy::start(server.addr()).unwrap();
        let url = server.url_through(proxy.addr(), "postgres");
        let (mut client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        tokio::spawn(connection);
        looker.batch_execute("SELECT pg_advisory_lock(17)").await.unwrap();
        let at_once = matches!(strike, Strike::Cut | Strike::Ended);
        let lease = if at_once { LONG_LEASE } else { LEASE };
        let guard = locks.lock("product:17").lease(lease).acquire().await.unwrap();
        let valid_until = guard.valid_until();
        let work = fence::with_transaction(guard, &mut client, async |transaction| {
            let sell = "UPDATE products SET stock = stock - 1 WHERE id = 17";
            transaction.execute(sell, &[]).await.map_err(|source| Error::Database { doing: "sell", source })
        });
        let strike_it = async {
            until_committing(&looker).await;
            match strike {
                Strike::Swallowed => proxy.set(Direction::ToClient, Fault::Swallow),
                Strike::Cut => proxy.set(Direction::ToClient, Fault::CutAfter(0)),
                Strike::Stuck => return,
                Strike::Ended => looker.batch_execute(END).await.unwrap(),
            }
            looker.batch_execute("SELECT pg_advisory_unlock(17)").await.unwrap();
        };
        let both = async { tokio::join!(work, strike_it).0 };
        let result = timeout(lease + COMMIT_GRACE + PATIENCE, both).await.expect("it has an end");
        let Err(Error::CommitUnknown { source }) = result else { panic!("{strike:?}: {result:?}") };
        let lost = source.downcast_ref::<jaego_lock::Error>();
        if at_once {
            assert!(lost.is_none() && !valid_until.remaining().is_zero(), "at once: {source}");
        } else {
            assert!(matches!(lost, Some(jaego_lock::Error::Lost { .. })), "{strike:?}: {source}");
            let late = BootTime::now().since(valid_until);
            assert!(late < COMMIT_GRACE + PATIENCE / 4, "{strike:?}: {late:?} after the loss");
        }
        if strike == Strike::Stuck {
            looker.batch_execute(END).await.unwrap();
            looker.batch_execute("SELECT pg_advisory_unlock(17)").await.unwrap();
        }
        // Nobody knows it but the database, and the next one waits for the row of the fence there.
        let guard = locks.lock("product:17").wait(PATIENCE).acquire().await.expect("let go");
        let mut other = connect(&server).await;
        let look = fence::with_transaction(guard, &mut other, async |transaction| {
            let stock = transaction.query_one("SELECT stock FROM products WHERE id = 17", &[]).await;
            stock.map_err(|source| Error::Database { doing: "look", source })
        });
        assert_eq!(look.await.unwrap().get::<_, i64>(0), left, "{strike:?}");
    }
}
