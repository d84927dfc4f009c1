use jaego_lock::{Error, Locks, distributed_lock};

#[distributed_lock(key = "a")]
fn not_async(locks: &Locks) -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "a")]
async fn no_result(locks: &Locks) {}

async fn other() -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "a")]
async fn no_locks(id: u64) -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "a")]
async fn false_instead_of_an_error(locks: &Locks) -> bool {
    true
}

struct NoRoom;

#[distributed_lock(key = "a")]
async fn no_room_for_the_error(locks: &Locks) -> Result<(), NoRoom> {
    Ok(())
}

fn main() {}
