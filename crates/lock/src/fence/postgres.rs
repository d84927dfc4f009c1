use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_postgres::error::{DbError, Severity, SqlState};
use tokio_postgres::{Client, GenericClient, Transaction};

use super::{Lent, POSTGRES_RAISE, Pool};
use crate::{Held, LockKey, limits};

/// For so long after the loss of the lock is the answer to a commit that was sent before waited for.
pub const COMMIT_GRACE: Duration = Duration::from_secs(2);

/// Why something was not done under the protection of a fence. Nothing was changed, except perhaps after
/// [`CommitUnknown`](Self::CommitUnknown).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Somebody of a later turn was there before: who got the lock later, or, where holders stand side by side, held it in
    /// a later period.
    #[error("the fence {fence} of {name} is stale: {seen} was seen")]
    Stale {
        /// The name of the lock.
        name: String,
        /// The fence that was refused.
        fence: u64,
        /// The greatest that was accepted. If the lock is held all the same, its server has lost its counter, or others
        /// check [fences](crate::Guard::fence) where they should check [turns](crate::Guard::turn), or a companion was
        /// [broken](crate::Locks::break_holds): acquire it anew with [`min_fence`](crate::Request::min_fence) of this.
        seen: u64,
    },
    /// The lock was lost before the end; or a fence was [out of range](crate::Error::OutOfRange), which is above
    /// [`FENCE_MAX`](limits::FENCE_MAX).
    #[error(transparent)]
    Lock(#[from] crate::Error),
    /// The pool gave no connection.
    #[error("cannot get a connection from the pool")]
    Pool {
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The database did not do it.
    #[error("cannot {doing}")]
    Database {
        /// What was tried.
        doing: &'static str,
        /// Why it failed.
        source: tokio_postgres::Error,
    },
    /// The database refused the commit, and has rolled the transaction back.
    #[error("cannot commit the transaction")]
    Commit {
        /// Why.
        source: tokio_postgres::Error,
    },
    /// The commit was sent and not answered: the connection broke, or [`COMMIT_GRACE`] has passed since the lock was lost. Or
    /// the answer was that the session or the server ends (`FATAL`, `PANIC`).
    /// Perhaps it was done, perhaps not, perhaps it will be yet. Look in the database before it is done again; the fence's
    /// row is locked there until it is decided.
    #[error("cannot tell whether the transaction was committed")]
    CommitUnknown {
        /// What became of the answer: a `tokio_postgres::Error`, or [`Lost`](crate::Error::Lost).
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    fn database(doing: &'static str) -> impl FnOnce(tokio_postgres::Error) -> Self {
        move |source| Self::Database { doing, source }
    }
}

/// Checks and raises the fence of a lock in the table [`fences`](super::POSTGRES_TABLE), with
/// [`POSTGRES_RAISE`]. Where holders stand side by side, with their [turn](crate::Guard::turn) for a fence; of a lock for
/// one holder the two are the same. Call it first in the transaction that changes what the lock guards; after an error, roll
/// that back.
///
/// # Errors
/// [`Stale`](Error::Stale); [`Database`](Error::Database) when it cannot be asked; and for a fence above
/// [`FENCE_MAX`](limits::FENCE_MAX), which no guard has, [`OutOfRange`](crate::Error::OutOfRange).
///
/// ```no_run
/// # async fn sell(guard: &jaego_lock::Guard, client: &mut tokio_postgres::Client)
/// #     -> Result<(), Box<dyn std::error::Error>> {
/// let transaction = client.transaction().await?;
/// jaego_lock::fence::raise(&transaction, guard.key(), guard.turn()).await?;
/// transaction.execute("UPDATE products SET stock = stock - 1 WHERE id = 17", &[]).await?;
/// transaction.commit().await?;
/// # Ok(())
/// # }
/// ```
pub async fn raise(client: &impl GenericClient, name: &LockKey, fence: u64) -> Result<(), Error> {
    let fence_max = limits::FENCE_MAX;
    if fence > fence_max {
        // Whatever is kept there refuses all smaller ones for ever.
        return Err(Error::Lock(crate::Error::out_of_range("the fence", fence, 0, fence_max)));
    }
    let bigint = fence.cast_signed();
    let raised = client.execute(POSTGRES_RAISE, &[&name.as_str(), &bigint]).await;
    if raised.map_err(Error::database("check the fence"))? > 0 {
        return Ok(());
    }
    let seen = client.query_one("SELECT fence FROM fences WHERE name = $1", &[&name.as_str()]).await;
    let seen: i64 = seen.and_then(|row| row.try_get(0)).map_err(Error::database("read the fence"))?;
    Err(Error::Stale { name: name.to_string(), fence, seen: u64::try_from(seen).unwrap_or_default() })
}

/// Runs `work` in a new transaction that begins after the lock is held and ends before it is let go.
///
/// The transaction [raises](raise) the fence of each key first, where holders stand side by side their
/// [turn](crate::Guard::turn), so it needs the table [`fences`](super::POSTGRES_TABLE). It is committed if `work` is `Ok` and the lock is still held then. If `work`
/// fails, or has swallowed an error after which PostgreSQL commits nothing, it is rolled back.
///
/// The client comes from a [`Pool`]: one of your own (`&mut client`), or with the feature `deadpool` a
/// `deadpool_postgres::Pool` (`&pool`). It is asked for when the lock is held already, and waited for no longer than that:
/// a [`lease`](crate::Request::lease) goes on while it is waited for. A connection is given back to the pool when the
/// server has answered the commit or the rollback, and closed in all other cases, so that nobody gets one that still
/// is in a transaction.
///
/// When the lock is lost before the commit, this comes back at once: `work` is dropped where it stands, and the rollback
/// is sent; the lock server is told in the background. It takes effect when the statement that the server is at has
/// ended; one that waits for somebody else's row goes on waiting, and with it whatever a client of your own is used for
/// next, or the server process of a connection that was closed. A `lock_timeout` or `statement_timeout` of about the
/// lease bounds that, if it is one of the connection (`options='-c lock_timeout=3s'`): the first statement that may have to wait
/// is the one that raises the fence, before `work` begins. Or the client's own `cancel_token`.
///
/// What was committed was committed alone, even if the lease ran out in the very last moment: whoever has the
/// lock next waits for the row of the fence until this transaction has ended. So how the release went makes no
/// difference any more, and a commit is told as what it is; a function with the attribute `#[distributed_lock]` tells it
/// on. An answer to the commit that has not come [`COMMIT_GRACE`] after the loss is not waited for any longer:
/// [`CommitUnknown`](Error::CommitUnknown). So this ends when the lock does, and that long after it at the latest; with a
/// keeper the lock ends after [`max_hold`](crate::Request::max_hold).
///
/// Dropping the future, at whatever point, rolls back and lets the lock go; whatever a client of your own is used for
/// next comes after the rollback. Only a commit that is already on its way takes its course.
///
/// ```no_run
/// # async fn sell(locks: &jaego_lock::Locks, client: &mut tokio_postgres::Client)
/// #     -> Result<(), Box<dyn std::error::Error>> {
/// use jaego_lock::fence;
///
/// let guard = locks.lock("product:17").acquire().await?;
/// let stock = fence::with_transaction(guard, client, async |transaction| {
///     let sell = "UPDATE products SET stock = stock - 1 WHERE id = 17 AND stock > 0 RETURNING stock";
///     let row = transaction.query_one(sell, &[]).await?;
///     Ok::<i32, Box<dyn std::error::Error>>(row.get(0))
/// });
/// println!("{} left", stock.await?);
/// # Ok(())
/// # }
/// ```
#[cfg_attr(
    all(feature = "deadpool", feature = "macros"),
    doc = r##"
On a pool, inside of a function that holds the lock:

```no_run
use jaego_lock::{Locks, distributed_lock, fence};

struct Shop {
    locks: Locks,
    pool: deadpool_postgres::Pool,
}

#[derive(Debug, thiserror::Error)]
enum StockError {
    #[error(transparent)]
    Lock(#[from] jaego_lock::Error),
    #[error(transparent)]
    Fence(#[from] fence::Error),
    #[error(transparent)]
    Database(#[from] tokio_postgres::Error),
    #[error("not enough in stock")]
    Insufficient,
}

impl Shop {
    #[distributed_lock(key = "product:{product_id}", wait = "5s", lease = "3s", guard = lock)]
    async fn reduce_stock(&self, product_id: i64, quantity: i64) -> Result<(), StockError> {
        fence::with_transaction(lock.reenter()?, &self.pool, async |transaction| {
            let reduce = "UPDATE product SET stock = stock - $1 WHERE id = $2 AND stock >= $1";
            let changed = transaction.execute(reduce, &[&quantity, &product_id]).await?;
            if changed == 1 { Ok(()) } else { Err(StockError::Insufficient) }
        })
        .await
    }
}
```"##
)]
pub async fn with_transaction<T, E: From<Error>>(
    guard: impl Held,
    pool: impl Pool,
    work: impl AsyncFnOnce(&Transaction<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let done = borrow(&guard, pool, work).await;
    if guard.check().is_ok() {
        // Released, or lost and counted as such: see above. Its server may be away: then it goes on in the background.
        drop(timeout(guard.valid_until().remaining() + COMMIT_GRACE, guard.release()).await);
    } else {
        // Nothing waits for the lock any more: told in the background.
        drop(guard);
    }
    done
}

/// Whether the server was heard to end the transaction.
#[derive(Clone, Copy, PartialEq)]
enum Ended {
    Heard,
    Unheard,
}

async fn borrow<T, E: From<Error>>(
    guard: &impl Held,
    pool: impl Pool,
    work: impl AsyncFnOnce(&Transaction<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let lost = |how| Error::Lock(crate::Error::Lost { key: guard.fences()[0].0.clone(), how });
    guard.check().map_err(lost)?;
    let mut lent = tokio::select! {
        biased;
        how = guard.lost() => return Err(lost(how).into()),
        lent = pool.lend() => lent.map_err(|source| Error::Pool { source: Box::new(source) })?,
    };
    // Dropped in here, at whatever point, it is not given back.
    let (ended, done) = commit(guard, lent.client(), work).await;
    if ended == Ended::Heard {
        lent.give_back();
    }
    done
}

async fn commit<T, E: From<Error>>(
    guard: &impl Held,
    client: &mut Client,
    work: impl AsyncFnOnce(&Transaction<'_>) -> Result<T, E>,
) -> (Ended, Result<T, E>) {
    let turns = guard.turns();
    let lost_lock = |how| crate::Error::Lost { key: turns[0].0.clone(), how };
    let lost = |how| Error::Lock(lost_lock(how));
    // Behind whatever the connection still has to do.
    let begun = tokio::select! {
        biased;
        how = guard.lost() => Err(lost(how)),
        begun = client.transaction() => begun.map_err(Error::database("begin a transaction")),
    };
    let transaction = match begun {
        Ok(transaction) => transaction,
        Err(error) => return (Ended::Unheard, Err(error.into())),
    };
    let work = async {
        for (name, turn) in &turns {
            raise(&transaction, name, *turn).await?;
        }
        let done = work(&transaction).await?;
        // PostgreSQL answers a COMMIT after an error with a rollback that looks like success. This does not.
        transaction
            .batch_execute("SELECT")
            .await
            .map_err(Error::database("go on after an error in the transaction"))?;
        Ok::<T, E>(done)
    };
    let result = tokio::select! {
        biased;
        how = guard.lost() => Err(lost(how).into()),
        result = work => result,
    };
    let result = match result {
        Ok(done) => guard.check().map(|()| done).map_err(|how| lost(how).into()),
        error => error,
    };
    match result {
        Ok(done) => {
            let answer = tokio::select! {
                biased;
                answer = transaction.commit() => answer.map_err(refused_or_unknown),
                how = lost_for(guard, COMMIT_GRACE) => Err(Error::CommitUnknown { source: lost_lock(how).into() }),
            };
            if answer.is_ok() {
                guard.note_commit();
            }
            let ended = if matches!(answer, Err(Error::CommitUnknown { .. })) {
                Ended::Unheard
            } else {
                Ended::Heard
            };
            (ended, answer.map(|()| done).map_err(E::from))
        }
        Err(error) => {
            // Sent either way: by the transaction itself where it is dropped. Its answer may be behind a statement that
            // waits for somebody else's row, and is waited for no longer than the lock is held.
            let ended = tokio::select! {
                biased;
                _ = guard.lost() => Ended::Unheard,
                answer = transaction.rollback() => match answer {
                    Ok(()) => Ended::Heard,
                    // The connection is gone, and the transaction with it.
                    Err(error) => {
                        tracing::debug!(%error, "the rollback was not answered");
                        Ended::Unheard
                    }
                },
            };
            (ended, Err(error))
        }
    }
}

/// An error of a commit: either the server has said why, or the connection is gone. Of class 08 are the words of a pooler
/// whose own connection to the server is. A server that cannot write its log says so and dies: what it has written may
/// be a commit when it comes back.
fn refused_or_unknown(source: tokio_postgres::Error) -> Error {
    let broken = |code: &SqlState| {
        code.code().starts_with("08") || *code == SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN
    };
    let severity = source.as_db_error().and_then(DbError::parsed_severity);
    let ended = matches!(severity, Some(Severity::Panic | Severity::Fatal));
    if ended || source.code().is_none_or(broken) {
        Error::CommitUnknown { source: source.into() }
    } else {
        Error::Commit { source }
    }
}

/// Comes back when the lock has been lost for so long.
async fn lost_for(guard: &impl Held, grace: Duration) -> crate::Lost {
    let how = guard.lost().await;
    sleep(grace).await;
    how
}
