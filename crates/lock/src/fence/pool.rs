use std::error::Error;
use std::future::Future;

use tokio_postgres::Client;

/// Gives a client for the time of one transaction: what [`with_transaction`](super::with_transaction) runs on.
///
/// A client of your own is one (`&mut client`), and with the feature `deadpool` a pool (`&pool`) and what was got from it
/// (`&mut object`). For another pool, this is the whole of it:
///
/// ```
/// use jaego_lock::fence::{Lent, Pool};
/// use tokio_postgres::Client;
///
/// # struct MyPool;
/// # #[derive(Debug, thiserror::Error)]
/// # #[error("the pool is closed")]
/// # struct MyPoolError;
/// # impl MyPool {
/// #     async fn checkout(&self) -> Result<Client, MyPoolError> { Err(MyPoolError) }
/// #     fn checkin(&self, client: Client) {}
/// # }
/// struct Borrowed<'a> {
///     pool: &'a MyPool,
///     client: Client,
/// }
///
/// impl<'a> Pool for &'a MyPool {
///     type Client = Borrowed<'a>;
///     type Error = MyPoolError;
///
///     async fn lend(self) -> Result<Borrowed<'a>, MyPoolError> {
///         Ok(Borrowed { pool: self, client: self.checkout().await? })
///     }
/// }
///
/// impl Lent for Borrowed<'_> {
///     fn client(&mut self) -> &mut Client {
///         &mut self.client
///     }
///
///     fn give_back(self) {
///         self.pool.checkin(self.client);
///     }
/// }
/// ```
pub trait Pool: Send {
    /// A client, for as long as this lives.
    type Client: Lent;
    /// Why there is none.
    type Error: Error + Send + Sync + 'static;

    /// Waits for a client. May be dropped at any point.
    fn lend(self) -> impl Future<Output = Result<Self::Client, Self::Error>> + Send;
}

/// A client that a [`Pool`] has lent.
///
/// To drop it says that nobody saw its transaction end. What it is connected to may still be inside of the transaction,
/// or occupied by a statement that waits for somebody else's row, so the pool must not lend it again; it is closed.
pub trait Lent: Send {
    /// The client itself.
    fn client(&mut self) -> &mut Client;

    /// Others may have it: the server has answered all that it was asked, and is in no transaction.
    fn give_back(self);
}

/// A program that keeps its connection to itself. Whatever is asked on it next comes after the rollback.
impl Pool for &mut Client {
    type Client = Self;
    type Error = std::convert::Infallible;

    async fn lend(self) -> Result<Self, Self::Error> {
        Ok(self)
    }
}

impl Lent for &mut Client {
    fn client(&mut self) -> &mut Client {
        self
    }

    fn give_back(self) {}
}

#[cfg(feature = "deadpool")]
mod deadpool {
    use deadpool_postgres as deadpool;
    use tokio_postgres::Client;

    use super::{Lent, Pool};

    /// Waits as long as the pool's own timeouts say, and no longer than the lock is held.
    impl Pool for &deadpool::Pool {
        type Client = Pooled;
        type Error = deadpool::PoolError;

        async fn lend(self) -> Result<Pooled, deadpool::PoolError> {
            Ok(Pooled(Some(self.get().await?)))
        }
    }

    /// A client of a [`deadpool_postgres::Pool`], which knows no transactions: it would lend what is dropped again at
    /// once. Here it goes back by [`give_back`](Lent::give_back) only. Dropped, it is taken out of the pool and closed, and
    /// the pool makes another one when it needs it.
    #[derive(Debug)]
    pub struct Pooled(Option<deadpool::Client>);

    impl Lent for Pooled {
        fn client(&mut self) -> &mut Client {
            self.0.as_mut().expect("there until it is given back")
        }

        fn give_back(mut self) {
            drop(self.0.take());
        }
    }

    impl Drop for Pooled {
        fn drop(&mut self) {
            if let Some(client) = self.0.take() {
                drop(deadpool::Client::take(client));
            }
        }
    }

    /// Of a pool, and in the hands of a program that gives it back itself. Whatever is asked on it next comes after the
    /// rollback, but may have to wait for it: better is to hand over the pool.
    impl Pool for &mut deadpool::Client {
        type Client = Self;
        type Error = std::convert::Infallible;

        async fn lend(self) -> Result<Self, Self::Error> {
            Ok(self)
        }
    }

    impl Lent for &mut deadpool::Client {
        fn client(&mut self) -> &mut Client {
            self
        }

        fn give_back(self) {}
    }
}

#[cfg(feature = "deadpool")]
pub use deadpool::Pooled;
