//! A shop that keeps its stock in its own MariaDB or MySQL, and takes its locks on Redis.
//!
//! ```text
//! STOCK_DATABASE=mysql://root@127.0.0.1/shop STOCK_LOCKS=redis://127.0.0.1/ \
//!     cargo run -p jaego-lock --example stock_mysql
//! ```
//!
//! A line of input is an order: `mug 3`. Between the look at the stock and the change of it lies work that no
//! transaction should be open for; a lock keeps others out of it meanwhile. Should the process be stopped in the middle
//! for longer than the lock lasts, the fence keeps its change out: it is raised before the look, so that whoever looked before
//! cannot write after. Try it with two of them: order from the one, stop it
//! with Ctrl-Z when it packs, order the same from the other one, and let the first go on with `fg`.
//!
//! A Redis that never had locks on it grants the first after its quarantine: 41 s, or what STOCK_QUARANTINE says.

use std::env;
use std::error::Error;
use std::time::Duration;

use jaego_lock::{Locks, Redis, RedisOptions};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::sleep;

type Trouble = Box<dyn Error + Send + Sync>;

/// A crashed process shuts the others out for so long.
const LEASE: Duration = Duration::from_secs(2);
/// What lies between reading and writing.
const PACKING: Duration = Duration::from_millis(300);

/// The fence of the last writer stands beside what it guards.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS product \
    (name VARCHAR(64) PRIMARY KEY, stock BIGINT NOT NULL, fence BIGINT NOT NULL) ENGINE=InnoDB";
const PRODUCTS: &str = "INSERT IGNORE INTO product VALUES ('mug', 10, 0), ('tee', 10, 0), ('cap', 10, 0)";

/// From now on nobody who got the lock earlier can change the stock. No row if somebody who got it later was there before;
/// each fence is a new one, and MySQL counts rows that change.
const ENTER: &str = "UPDATE product SET fence = ? WHERE name = ? AND fence <= ?";

/// Changes nothing if somebody who got the lock later has entered meanwhile. A sale always changes the stock.
const SELL: &str = "UPDATE product SET stock = ?, fence = ? WHERE name = ? AND fence <= ?";

#[tokio::main]
pub(crate) async fn main() -> Result<(), Trouble> {
    let url = env::var("STOCK_DATABASE").map_err(|_| "say STOCK_DATABASE=mysql://…")?;
    let mut database = Conn::new(Opts::from_url(&url)?).await?;
    database.query_drop(TABLE).await?;
    database.query_drop(PRODUCTS).await?;
    let url = env::var("STOCK_LOCKS").map_err(|_| "say STOCK_LOCKS=redis://…")?;
    let mut options = RedisOptions::new(&url)?;
    if let Ok(seconds) = env::var("STOCK_QUARANTINE") {
        options = options.quarantine(Duration::from_secs(seconds.parse()?));
    }
    let locks = Locks::new(Redis::start(options));

    println!("open");
    let mut orders = BufReader::new(tokio::io::stdin()).lines();
    while let Some(order) = orders.next_line().await? {
        let order = order.split_once(' ').map(|(product, quantity)| (product, quantity.trim().parse()));
        let Some((product, Ok(quantity))) = order else {
            println!("an order is a product and a quantity: mug 3");
            continue;
        };
        match sell(&locks, &mut database, product, quantity).await {
            Ok(left) => println!("sold, {left} left"),
            Err(error) => println!("not sold: {error}"),
        }
    }
    locks.shutdown().await;
    Ok(database.disconnect().await?)
}

/// Returns what is left.
async fn sell(locks: &Locks, database: &mut Conn, product: &str, quantity: i64) -> Result<i64, Trouble> {
    let request = locks.lock(format!("product:{product}")).lease(LEASE);
    let guard = request.wait(Duration::from_secs(60)).acquire().await?;
    let fence = guard.fence();
    database.exec_drop(ENTER, (fence, product, fence)).await?;
    if database.affected_rows() == 0 {
        return Err("there is no such product, or somebody else came first".into());
    }
    let stock = database.exec_first("SELECT stock FROM product WHERE name = ?", (product,)).await?;
    let stock: i64 = stock.ok_or("there is no such product")?;
    if !(1..=stock).contains(&quantity) {
        return Err(format!("there are {stock}").into());
    }
    println!("packing {quantity} {product}");
    sleep(PACKING).await;
    let left = stock - quantity;
    database.exec_drop(SELL, (left, fence, product, fence)).await?;
    let sold = database.affected_rows();
    drop(guard.release().await);
    if sold == 0 { Err("too late, somebody else has it now".into()) } else { Ok(left) }
}
