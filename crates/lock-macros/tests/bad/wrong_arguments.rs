use jaego_lock::{Error, Locks, distributed_lock};

#[distributed_lock()]
async fn nothing(locks: &Locks) -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "a", wait = "5")]
async fn unit(locks: &Locks) -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "a", wait = 5)]
async fn number(locks: &Locks) -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "a", lease = "0s")]
async fn zero(locks: &Locks) -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "a", leese = "3s")]
async fn typo(locks: &Locks) -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "a", fair, fair)]
async fn twice(locks: &Locks) -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "a", multi = ["b"])]
async fn both(locks: &Locks) -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(multi = ["a", "b"], fair)]
async fn fair_multi(locks: &Locks) -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "a", mode = "exclusive")]
async fn exclusive(locks: &Locks) -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "a", shared, mode = "allocate")]
async fn two_modes(locks: &Locks) -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "a", lease = "50ms")]
async fn too_short(locks: &Locks) -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "a", lease = "25h")]
async fn too_long(locks: &Locks) -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "a", wait = "25h")]
async fn too_patient(locks: &Locks) -> Result<(), Error> {
    Ok(())
}

fn main() {}
