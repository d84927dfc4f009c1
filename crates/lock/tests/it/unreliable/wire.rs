use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jaego_lock::backend::{
    Acquire, Acquired, Backend, Break, Ended, Error, Notice, Owner, Release, Renew, Renewed, Step,
};
use jaego_lock::{Broken, LockKey, LockList, LockState};
use tokio::sync::{Notify, broadcast};

/// What lies between the locks and their backend: it holds acquires back until they are delivered or has their
/// answers wait, and loses the answers of renewals or has them wait, as it is told.
pub(crate) struct Wire {
    shared: Arc<Shared>,
}

struct Shared {
    backend: Box<dyn Backend>,
    /// So many of the next acquires do not arrive before they are delivered.
    hold_back: AtomicU32,
    held_back: Mutex<Vec<Acquire>>,
    /// So many of the next acquires are done, and answered when they are let through.
    delay_acquires: AtomicU32,
    /// So many of the next acquires are answered as if their owner had been released before.
    end_acquires: AtomicU32,
    /// So many of the next renewals are done, and not answered.
    lose_renewals: AtomicU32,
    /// So many of the next renewals are done, and answered when they are let through.
    delay_renewals: AtomicU32,
    let_through: Notify,
    /// So many of the next releases do not arrive.
    lose_releases: AtomicU32,
    /// So many of the next releases fail at once, as where nobody can connect.
    fail_releases: AtomicU32,
    /// How many acquires and renewals were sent.
    acquires: AtomicU32,
    renewals: AtomicU32,
    /// How many acquires were answered, renewals done, and releases answered.
    acquired: AtomicU32,
    renewed: AtomicU32,
    released: AtomicU32,
}

/// Whoever tells the wire what to do.
#[derive(Clone)]
pub(crate) struct Faults(Arc<Shared>);

impl Wire {
    pub(crate) fn to(backend: impl Backend) -> (Self, Faults) {
        let shared = Arc::new(Shared {
            backend: Box::new(backend),
            hold_back: AtomicU32::new(0),
            held_back: Mutex::default(),
            delay_acquires: AtomicU32::new(0),
            end_acquires: AtomicU32::new(0),
            lose_renewals: AtomicU32::new(0),
            delay_renewals: AtomicU32::new(0),
            let_through: Notify::new(),
            lose_releases: AtomicU32::new(0),
            fail_releases: AtomicU32::new(0),
            acquires: AtomicU32::new(0),
            renewals: AtomicU32::new(0),
            acquired: AtomicU32::new(0),
            renewed: AtomicU32::new(0),
            released: AtomicU32::new(0),
        });
        (Self { shared: Arc::clone(&shared) }, Faults(shared))
    }
}

impl Faults {
    pub(crate) fn hold_back_acquires(&self, count: u32) {
        self.0.hold_back.store(count, Ordering::SeqCst);
    }

    /// What was held back arrives now, and its answers go nowhere.
    pub(crate) async fn deliver(&self) -> Vec<Acquired> {
        let late = std::mem::take(&mut *self.0.held_back.lock().unwrap());
        let mut answers = Vec::new();
        for request in late {
            answers.push(self.0.backend.acquire(&request).await.unwrap());
        }
        answers
    }

    pub(crate) fn delay_acquires(&self, count: u32) {
        self.0.delay_acquires.store(count, Ordering::SeqCst);
    }

    pub(crate) fn end_acquires(&self, count: u32) {
        self.0.end_acquires.store(count, Ordering::SeqCst);
    }

    pub(crate) fn lose_renewals(&self, count: u32) {
        self.0.lose_renewals.store(count, Ordering::SeqCst);
    }

    pub(crate) fn delay_renewals(&self, count: u32) {
        self.0.delay_renewals.store(count, Ordering::SeqCst);
    }

    /// One acquire or renewal that was delayed is answered.
    pub(crate) fn let_through(&self) {
        self.0.let_through.notify_one();
    }

    pub(crate) fn lose_releases(&self, count: u32) {
        self.0.lose_releases.store(count, Ordering::SeqCst);
    }

    pub(crate) fn fail_releases(&self, count: u32) {
        self.0.fail_releases.store(count, Ordering::SeqCst);
    }

    /// The server forgets who holds it, and nobody is told.
    pub(crate) async fn take_away(&self, key: &LockKey) {
        let holders = self.0.backend.look(key).await.unwrap().holders;
        assert!(!holders.is_empty(), "nobody holds {key}");
        for holder in holders {
            let keys = Arc::new([key.clone()]);
            let (remember, claim) = (Duration::from_secs(1), Duration::from_secs(1));
            let release = Release { keys, owner: holder.owner, remember, claim, wanted: false };
            assert_eq!(self.0.backend.release(&release).await.unwrap(), Ended::Released);
        }
    }

    pub(crate) fn acquires(&self) -> u32 {
        self.0.acquires.load(Ordering::SeqCst)
    }

    pub(crate) fn renewals(&self) -> u32 {
        self.0.renewals.load(Ordering::SeqCst)
    }

    pub(crate) fn acquired(&self) -> u32 {
        self.0.acquired.load(Ordering::SeqCst)
    }

    pub(crate) fn renewed(&self) -> u32 {
        self.0.renewed.load(Ordering::SeqCst)
    }

    pub(crate) fn released(&self) -> u32 {
        self.0.released.load(Ordering::SeqCst)
    }
}

/// Takes one of so many, if there is one left.
fn take_one(count: &AtomicU32) -> bool {
    count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| count.checked_sub(1)).is_ok()
}

impl Backend for Wire {
    fn name(&self) -> &'static str {
        self.shared.backend.name()
    }

    fn group(&self, key: &LockKey) -> u32 {
        self.shared.backend.group(key)
    }

    fn acquire<'a>(&'a self, request: &'a Acquire) -> Step<'a, Acquired> {
        self.shared.acquires.fetch_add(1, Ordering::SeqCst);
        if take_one(&self.shared.hold_back) {
            self.shared.held_back.lock().unwrap().push(request.clone());
            return Box::pin(std::future::pending());
        }
        if take_one(&self.shared.end_acquires) {
            return Box::pin(std::future::ready(Ok(Acquired::Ended)));
        }
        let delayed = take_one(&self.shared.delay_acquires);
        Box::pin(async move {
            let answer = self.shared.backend.acquire(request).await;
            self.shared.acquired.fetch_add(u32::from(answer.is_ok()), Ordering::SeqCst);
            if delayed {
                self.shared.let_through.notified().await;
            }
            answer
        })
    }

    fn renew<'a>(&'a self, request: &'a Renew) -> Step<'a, Renewed> {
        self.shared.renewals.fetch_add(1, Ordering::SeqCst);
        if take_one(&self.shared.lose_renewals) {
            return Box::pin(async move {
                self.shared.backend.renew(request).await?;
                std::future::pending().await
            });
        }
        let delayed = take_one(&self.shared.delay_renewals);
        Box::pin(async move {
            let answer = self.shared.backend.renew(request).await;
            self.shared.renewed.fetch_add(1, Ordering::SeqCst);
            if delayed {
                self.shared.let_through.notified().await;
            }
            answer
        })
    }

    fn release<'a>(&'a self, request: &'a Release) -> Step<'a, Ended> {
        if take_one(&self.shared.lose_releases) {
            return Box::pin(std::future::pending());
        }
        if take_one(&self.shared.fail_releases) {
            let (doing, source) = ("release a lock", "nobody is connected".into());
            return Box::pin(std::future::ready(Err(Error::Unavailable { doing, source })));
        }
        Box::pin(async move {
            let answer = self.shared.backend.release(request).await;
            self.shared.released.fetch_add(u32::from(answer.is_ok()), Ordering::SeqCst);
            answer
        })
    }

    fn look<'a>(&'a self, key: &'a LockKey) -> Step<'a, LockState> {
        self.shared.backend.look(key)
    }

    fn list<'a>(&'a self, prefix: &'a str, max: usize) -> Step<'a, LockList> {
        self.shared.backend.list(prefix, max)
    }

    fn break_holds<'a>(&'a self, request: &'a Break) -> Step<'a, Broken> {
        self.shared.backend.break_holds(request)
    }

    fn new_owner(&self) -> Owner {
        self.shared.backend.new_owner()
    }

    fn notices(&self) -> broadcast::Receiver<Notice> {
        self.shared.backend.notices()
    }

    fn close(&self) -> Step<'_, ()> {
        self.shared.backend.close()
    }
}
