use async_trait::async_trait;
use jaego_lock::{Error, Locks, distributed_lock};

#[async_trait]
trait Sells {
    async fn sell(&self, product_id: u64) -> Result<(), Error>;
}

struct Shop {
    locks: Locks,
}

impl Shop {
    #[distributed_lock(key = "product:{product_id}")]
    async fn sell_locked(&self, product_id: u64) -> Result<(), Error> {
        Ok(())
    }
}

#[async_trait]
impl Sells for Shop {
    async fn sell(&self, product_id: u64) -> Result<(), Error> {
        self.sell_locked(product_id).await
    }
}

fn main() {}
