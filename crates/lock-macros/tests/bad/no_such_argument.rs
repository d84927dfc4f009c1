use jaego_lock::{Error, Locks, distributed_lock};

#[distributed_lock(key = "product:{produt_id}")]
async fn buy(locks: &Locks, product_id: u64) -> Result<(), Error> {
    Ok(())
}

struct Order;

#[distributed_lock(key = "order:{order.customer}")]
async fn pay(locks: &Locks, order: Order) -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "order:{order}")]
async fn cancel(locks: &Locks, order: Order) -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "site:{self.site}")]
async fn close(locks: &Locks) -> Result<(), Error> {
    Ok(())
}

fn main() {}
