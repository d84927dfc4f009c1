use jaego_lock::{Error, Locks, distributed_lock};

use std::sync::Arc;
use std::time::Duration;

struct Service {
    locks: Arc<Locks>,
    site: String,
    wait: Duration,
}

trait Named {
    fn name(&self) -> String;
}

impl Service {
    /// Attributes and visibility stay.
    #[must_use]
    #[distributed_lock(key = "site:{self.site}", wait = self.wait, lease = "500ms", max_hold = "1m", fair)]
    pub async fn close(&self) -> Result<(), Error> {
        Ok(())
    }

    #[distributed_lock(key = "site:{self.site}", guard = lock)]
    pub(crate) async fn rename(&mut self, site: String) -> Result<u64, Box<dyn std::error::Error + Send + Sync>> {
        if site.is_empty() {
            return Err("a site has a name".into());
        }
        let count: usize = site.parse()?;
        self.site = format!("{site}{count}");
        Ok(lock.fence())
    }

    #[distributed_lock(key = thing.name(), mode = "allocate")]
    async fn generic<T, const N: usize>(&self, thing: T, _more: [u8; N]) -> Result<[T; 1], Error>
    where
        T: Named + Send,
    {
        Ok([thing])
    }
}

impl std::ops::Deref for Service {
    type Target = Locks;

    fn deref(&self) -> &Locks {
        &self.locks
    }
}

#[distributed_lock(multi = ["a:{x}", unordered("{x}", "{y}"), jaego_lock::LockKey::new("z")], wait = "0s")]
async fn several(locks: Arc<Locks>, x: u64, y: &str) -> Result<(), Error> {
    let _ = y;
    Ok(())
}

#[distributed_lock(key = "a", locks = service.locks.clone())]
async fn elsewhere(service: &Service) -> Result<(), Error> {
    Ok(())
}

struct Parcel {
    r#type: u8,
}

#[distributed_lock(key = "a:{r#type}:{parcel.r#type}:{r#id}", guard = r#fn)]
async fn raw(locks: &Locks, r#type: u8, parcel: &Parcel, id: u8) -> Result<u64, Error> {
    let _ = (r#type, parcel, id);
    Ok(r#fn.fence())
}

fn is_send<T: Send>(_: T) {}

pub async fn all(service: &mut Service) {
    is_send(service.close());
    is_send(elsewhere(service));
    is_send(raw(&service.locks, 1, &Parcel { r#type: 2 }, 3));
    is_send(several(Arc::clone(&service.locks), 1, "y"));
    is_send(service.rename(String::new()));
}

fn main() {}
