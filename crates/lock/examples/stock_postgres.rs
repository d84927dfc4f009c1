//! A shop that keeps its stock, and its locks, in its own PostgreSQL.
//!
//! ```text
//! STOCK_DATABASE=postgres://postgres@127.0.0.1/shop cargo run -p jaego-lock --example stock_postgres
//! ```
//!
//! A line of input is an order: `mug 3`. Between the look at the stock and the change of it lies work that no
//! transaction should be open for; a lock keeps others out of it meanwhile. Should the process be stopped in the middle
//! for longer than the lock lasts, the fence keeps its change out: it is raised with the look, so that whoever looked before
//! cannot write after. Try it with two of them: order from the one, stop it
//! with Ctrl-Z when it packs, order the same from the other one, and let the first go on with `fg`.

use std::env;
use std::error::Error;
use std::time::Duration;

use jaego_lock::{Locks, Postgres, PostgresOptions};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::sleep;
use tokio_postgres::{Client, NoTls};

type Trouble = Box<dyn Error + Send + Sync>;

/// A crashed process shuts the others out for so long.
const LEASE: Duration = Duration::from_secs(2);
/// What lies between reading and writing.
const PACKING: Duration = Duration::from_millis(300);

/// The fence of the last writer stands beside what it guards.
const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS product (name text PRIMARY KEY, stock bigint NOT NULL, fence bigint NOT NULL);
    INSERT INTO product VALUES ('mug', 10, 0), ('tee', 10, 0), ('cap', 10, 0) ON CONFLICT DO NOTHING";

/// Looks at the stock, and from then on nobody who got the lock earlier can change it. No row if somebody who got it later
/// was there before.
const LOOK: &str = "UPDATE product SET fence = $1 WHERE name = $2 AND fence <= $1 RETURNING stock";

/// Changes nothing if somebody who got the lock later has looked meanwhile.
const SELL: &str = "UPDATE product SET stock = $1, fence = $2 WHERE name = $3 AND fence <= $2";

#[tokio::main]
pub(crate) async fn main() -> Result<(), Trouble> {
    let url = env::var("STOCK_DATABASE").map_err(|_| "say STOCK_DATABASE=postgres://…")?;
    let (database, connection) = tokio_postgres::connect(&url, NoTls).await?;
    let connection = tokio::spawn(connection);
    database.batch_execute(TABLE).await?;
    let options = PostgresOptions::new(&url)?;
    options.migrate().await?;
    let locks = Locks::new(Postgres::start(options));

    println!("open");
    let mut orders = BufReader::new(tokio::io::stdin()).lines();
    while let Some(order) = orders.next_line().await? {
        let order = order.split_once(' ').map(|(product, quantity)| (product, quantity.trim().parse()));
        let Some((product, Ok(quantity))) = order else {
            println!("an order is a product and a quantity: mug 3");
            continue;
        };
        match sell(&locks, &database, product, quantity).await {
            Ok(left) => println!("sold, {left} left"),
            Err(error) => println!("not sold: {error}"),
        }
    }
    locks.shutdown().await;
    drop(database);
    Ok(connection.await??)
}

/// Returns what is left.
async fn sell(locks: &Locks, database: &Client, product: &str, quantity: i64) -> Result<i64, Trouble> {
    let request = locks.lock(format!("product:{product}")).lease(LEASE);
    let guard = request.wait(Duration::from_secs(60)).acquire().await?;
    let fence = i64::try_from(guard.fence())?;
    let row = database.query_opt(LOOK, &[&fence, &product]).await?;
    let stock: i64 = row.ok_or("there is no such product, or somebody else came first")?.get(0);
    if !(1..=stock).contains(&quantity) {
        return Err(format!("there are {stock}").into());
    }
    println!("packing {quantity} {product}");
    sleep(PACKING).await;
    let left = stock - quantity;
    let sold = database.execute(SELL, &[&left, &fence, &product]).await?;
    drop(guard.release().await);
    if sold == 0 { Err("too late, somebody else has it now".into()) } else { Ok(left) }
}
