use jaego_lock::{Error, Locks, distributed_lock};

#[distributed_lock(key = "product:{id")]
async fn open(locks: &Locks, id: u64) -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "product:{id:05}")]
async fn format(locks: &Locks, id: u64) -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = unordered("a:{id}"))]
async fn alone(locks: &Locks, id: u64) -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "")]
async fn empty(locks: &Locks) -> Result<(), Error> {
    Ok(())
}

fn main() {}
