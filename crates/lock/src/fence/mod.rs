//! How a database checks the fence, which makes a lock safe.
//!
//! Two ways, both inside the transaction that changes what the lock guards.
//!
//! # A column beside what is guarded
//!
//! If the lock guards one row, that row keeps the fence of its last writer. One statement checks and changes,
//! in any SQL:
//!
//! ```sql
//! UPDATE products SET stock = stock - $1, fence = $2 WHERE id = $3 AND fence <= $2
//! ```
//!
//! No row changed: somebody with a greater fence was there before (or there is no such row). The column is
//! `fence bigint NOT NULL DEFAULT 0`: where it is null, nobody's fence is good.
//!
//! Whoever writes what follows from what was read raises the fence before the reading, or with it. Otherwise one that was
//! stopped after its reading can write while a later holder has read and not written yet, and that one writes over it:
//!
//! ```sql
//! UPDATE products SET fence = $1 WHERE id = $2 AND fence <= $1 RETURNING stock;
//! -- the work, and then:
//! UPDATE products SET stock = $3 WHERE id = $2 AND fence <= $1
//! ```
//!
//! # A table of fences
//!
//! If the lock guards more than a row, a table `fences(name, fence)` keeps the greatest fence by the name of the
//! lock. One statement checks and raises it; it comes first in the transaction, before anything is read. Its row
//! then is locked until the transaction ends, so a later holder of the lock waits at the same statement, even if
//! the lease of the first one ran out meanwhile.
//!
//! PostgreSQL, in the form of [`POSTGRES_RAISE`]; one row if the fence is good, none if it is stale:
//!
//! ```sql
//! BEGIN;
//! INSERT INTO fences (name, fence) VALUES ($1, $2)
//!     ON CONFLICT (name) DO UPDATE SET fence = excluded.fence WHERE fences.fence <= excluded.fence;
//! -- no row: ROLLBACK. One row: go on.
//! UPDATE …;
//! COMMIT;
//! ```
//!
//! MySQL and MariaDB, in the form of [`MYSQL_RAISE`], which changes one row if the fence is good and none if it
//! is stale, or if there is no row for the lock yet. [`MYSQL_REGISTER`] makes one, once for each name and outside of
//! a transaction: within one it would wait for others who found no row either, and they for it.
//!
//! ```sql
//! START TRANSACTION;
//! UPDATE fences SET fence = ?, writes = writes + 1 WHERE name = ? AND fence <= ?;
//! -- no row: ROLLBACK; INSERT IGNORE INTO fences (name, fence) VALUES (?, 0); and begin again. Still none: stale.
//! UPDATE …;
//! COMMIT;
//! ```
//!
//! The counter of writes is there because MySQL counts rows that change: a second transaction of the same holder
//! has the same fence, and would change nothing.
//!
//! # Holders side by side
//!
//! Readers, holders of one mode and of permits may write in any order, and the fence would refuse who came earlier and
//! writes later. What is guarded checks the [turn](crate::Guard::turn) instead, in all that stands above: the fence of
//! the one who began the period, which all share who hold the lock beside it. Of a lock for one holder the turn is the
//! fence, so whoever always takes the turn is right.
//!
//! With the feature `postgres`, `raise` does this on a `tokio-postgres` client or transaction, and
//! `with_transaction` around a whole transaction, on a client or on a pool of them.

#[cfg(feature = "postgres")]
mod pool;
#[cfg(feature = "postgres")]
mod postgres;

#[cfg(feature = "deadpool")]
pub use pool::Pooled;
#[cfg(feature = "postgres")]
pub use pool::{Lent, Pool};
#[cfg(feature = "postgres")]
pub use postgres::{COMMIT_GRACE, Error, raise, with_transaction};

/// Makes the table of fences in PostgreSQL.
pub const POSTGRES_TABLE: &str =
    "CREATE TABLE IF NOT EXISTS fences (name text COLLATE \"C\" PRIMARY KEY, fence bigint NOT NULL)";

/// Checks and raises a fence in PostgreSQL. Parameters: name, fence. Rows: 1 if it is good, 0 if it is stale.
pub const POSTGRES_RAISE: &str = "INSERT INTO fences (name, fence) VALUES ($1, $2) \
     ON CONFLICT (name) DO UPDATE SET fence = excluded.fence WHERE fences.fence <= excluded.fence";

/// Makes the table of fences in MySQL or MariaDB. A name has up to [`KEY_BYTES_MAX`](crate::limits::KEY_BYTES_MAX)
/// bytes, and is compared byte by byte.
pub const MYSQL_TABLE: &str = "CREATE TABLE IF NOT EXISTS fences (name VARBINARY(256) PRIMARY KEY, \
     fence BIGINT NOT NULL, writes BIGINT NOT NULL DEFAULT 0) ENGINE=InnoDB";

/// Checks and raises a fence in MySQL or MariaDB. Parameters: fence, name, fence. Rows: 1 if it is good, 0 if
/// it is stale or the name is not [registered](MYSQL_REGISTER).
pub const MYSQL_RAISE: &str =
    "UPDATE fences SET fence = ?, writes = writes + 1 WHERE name = ? AND fence <= ?";

/// Makes a row for a name in MySQL or MariaDB, if there is none. Parameter: name. Not within a transaction, where it may
/// end in a deadlock.
pub const MYSQL_REGISTER: &str = "INSERT IGNORE INTO fences (name, fence) VALUES (?, 0)";
