//! What can go wrong where stock is sold under a lock.

use jaego_lock::fence;

#[derive(Debug, thiserror::Error)]
pub(crate) enum ShopError {
    #[error(transparent)]
    Lock(#[from] jaego_lock::Error),
    #[error(transparent)]
    Fence(#[from] fence::Error),
    #[error(transparent)]
    Database(#[from] tokio_postgres::Error),
    #[error("sold out")]
    SoldOut,
}
