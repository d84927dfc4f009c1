//! What lies between the locks and the table that decides.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shuttle::rand::Rng as _;
use tokio::sync::{broadcast, oneshot};

use crate::backend::{
    Acquire, Acquired, Backend, Break, Ended, Error, Notice, Owner, Release, Renew, Renewed, Step,
};
use crate::{BootTime, Broken, LockKey, LockList, LockState, Memory, limits};

/// The other side: the table that decides, and its quarantines.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) memory: Memory,
    /// Each from its beginning to its end; it is over when the next one begins.
    quarantines: Arc<Mutex<Vec<[BootTime; 2]>>>,
}

impl Server {
    pub(crate) fn new() -> Self {
        Self { memory: Memory::new(), quarantines: Arc::default() }
    }

    /// Begins a quarantine of so long. Perhaps nothing is known any more of what was held until now.
    pub(crate) fn quarantine(&self, lasts: Duration, forgets: bool) {
        self.memory.start_anew(forgets, || {
            let now = BootTime::now();
            self.lock().push([now, now + lasts]);
        });
    }

    pub(crate) fn quarantines(&self) -> Vec<[BootTime; 2]> {
        self.lock().clone()
    }

    fn acquire(&self, request: &Acquire) -> Acquired {
        let remaining = || self.lock().last().map_or(Duration::ZERO, |[_, until]| until.remaining());
        self.memory.acquire_unless(remaining, request)
    }

    /// Never held across a point where another task may go on.
    fn lock(&self) -> MutexGuard<'_, Vec<[BootTime; 2]>> {
        self.quarantines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What goes wrong on a wire.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Faults {
    /// Of so many requests, and of so many answers, one is lost; 0 is none.
    pub(crate) loses_one_of: u32,
    /// Everything is lost between these two.
    pub(crate) dead: [BootTime; 2],
    pub(crate) failing: Failing,
    /// Whether notices are missed now and then.
    pub(crate) deaf: bool,
}

impl Faults {
    pub(crate) fn none() -> Self {
        let never = [BootTime::now(); 2];
        let failing = Failing { during: never, one_of: 1, only_acquires: true };
        Self { loses_one_of: 0, dead: never, failing, deaf: false }
    }
}

/// Steps that are not done, which is told at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failing {
    /// Between these two …
    pub(crate) during: [BootTime; 2],
    /// … one of so many.
    pub(crate) one_of: u32,
    /// As where the memory is full; else nobody can connect.
    pub(crate) only_acquires: bool,
}

impl Failing {
    /// Whether each acquire has failed from then until then.
    pub(crate) fn covers(&self, from: BootTime, until: BootTime) -> bool {
        self.one_of == 1 && self.during[0] <= from && until < self.during[1]
    }

    fn strikes(&self) -> bool {
        let now = BootTime::now();
        let [from, until] = self.during;
        from <= now && now < until && shuttle::rand::thread_rng().gen_range(0..self.one_of) == 0
    }
}

/// Carries each step in a task of its own: it goes on when whoever sent it has given up, and others overtake it.
#[derive(Clone, Debug)]
pub(crate) struct Wire {
    number: usize,
    server: Server,
    shared: Arc<Mutex<Shared>>,
}

/// Of so many notices, one is missed, and all that come until the gap is noticed.
const MISSES_ONE_OF: u32 = 8;
/// Yields until then.
const GAP_YIELDS_MAX: u32 = 12;

#[derive(Debug)]
struct Shared {
    faults: Faults,
    owners: u64,
    /// Whose release was sent.
    released: BTreeSet<Owner>,
    /// Who knows that it has to wait.
    told_to_wait: BTreeMap<Owner, Acquire>,
    /// Who knows that it was failed.
    failed: BTreeSet<Owner>,
    /// When a step failed last.
    failed_at: Option<BootTime>,
}

impl Wire {
    pub(crate) fn new(number: usize, server: &Server, faults: Faults) -> Self {
        let shared = Shared {
            faults,
            owners: 0,
            released: BTreeSet::new(),
            told_to_wait: BTreeMap::new(),
            failed: BTreeSet::new(),
            failed_at: None,
        };
        Self { number, server: server.clone(), shared: Arc::new(Mutex::new(shared)) }
    }

    /// What those have asked for who know that they have to wait, some of whom may have given up.
    pub(crate) fn told_to_wait(&self) -> Vec<Acquire> {
        self.shared(|shared| shared.told_to_wait.values().cloned().collect())
    }

    /// Who was failed and knows it, some of whom may have given up.
    pub(crate) fn failed(&self) -> BTreeSet<Owner> {
        self.shared(|shared| shared.failed.clone())
    }

    /// When a step failed last, if one did.
    pub(crate) fn failed_at(&self) -> Option<BootTime> {
        self.shared(|shared| shared.failed_at)
    }

    /// Whether it is the name of somebody on this wire.
    pub(crate) fn made(&self, owner: &Owner) -> bool {
        owner.as_bytes()[..8] == self.prefix()
    }

    fn prefix(&self) -> [u8; 8] {
        (self.number as u64).to_be_bytes()
    }

    /// From now on nothing is lost.
    pub(crate) fn heal(&self) {
        self.shared(|shared| shared.faults = Faults { deaf: shared.faults.deaf, ..Faults::none() });
    }

    /// Never held across a point where another task may go on.
    fn shared<T>(&self, with: impl FnOnce(&mut Shared) -> T) -> T {
        with(&mut self.shared.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn loses(&self) -> bool {
        let now = BootTime::now();
        let (one_of, dead) = self.shared(|shared| (shared.faults.loses_one_of, shared.faults.dead));
        (dead[0] <= now && now < dead[1])
            || (one_of > 0 && shuttle::rand::thread_rng().gen_range(0..one_of) == 0)
    }

    /// Nobody can connect.
    fn refuses(&self, doing: &'static str) -> Result<(), Error> {
        let failing = self.shared(|shared| shared.faults.failing);
        if failing.only_acquires || !failing.strikes() {
            return Ok(());
        }
        self.shared(|shared| shared.failed_at = Some(BootTime::now()));
        Err(failed(doing))
    }

    /// The memory is full.
    fn is_full(&self) -> bool {
        let failing = self.shared(|shared| shared.faults.failing);
        failing.only_acquires && failing.strikes()
    }

    async fn carry<T: Send + 'static>(
        &self,
        step: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let (tell, answer) = oneshot::channel();
        let wire = self.clone();
        drop(shuttle::future::spawn(async move {
            if wire.loses() {
                return;
            }
            let result = step.await;
            shuttle::future::yield_now().await;
            if !wire.loses() {
                // Whoever asked may have given up.
                drop(tell.send(result));
            }
        }));
        match answer.await {
            Ok(result) => result,
            Err(_) => std::future::pending().await,
        }
    }
}

fn failed(doing: &'static str) -> Error {
    Error::Unavailable { doing, source: "it fails for a while".into() }
}

impl Backend for Wire {
    fn name(&self) -> &'static str {
        "wire"
    }

    fn group(&self, key: &LockKey) -> u32 {
        self.server.memory.group(key)
    }

    fn acquire<'a>(&'a self, request: &'a Acquire) -> Step<'a, Acquired> {
        const DOING: &str = "acquire a lock";
        let (wire, sent) = (self.clone(), request.clone());
        Box::pin(async move {
            self.shared(|shared| {
                shared.told_to_wait.remove(&request.owner);
                shared.failed.remove(&request.owner);
            });
            let step = async move {
                if wire.is_full() { Err(failed(DOING)) } else { Ok(wire.server.acquire(&sent)) }
            };
            let answer = match self.refuses(DOING) {
                Ok(()) => self.carry(step).await,
                Err(error) => Err(error),
            };
            self.shared(|shared| match answer {
                Ok(Acquired::Conflict(_) | Acquired::Quarantined { .. }) => {
                    shared.told_to_wait.insert(request.owner, request.clone());
                }
                Err(_) => {
                    shared.failed.insert(request.owner);
                    shared.failed_at = Some(BootTime::now());
                }
                Ok(_) => {}
            });
            answer
        })
    }

    fn renew<'a>(&'a self, request: &'a Renew) -> Step<'a, Renewed> {
        let (memory, request) = (self.server.memory.clone(), request.clone());
        Box::pin(async move {
            let released = self.shared(|shared| shared.released.contains(&request.owner));
            assert!(!released, "{} was renewed after its release", request.owner);
            self.refuses("renew a lock")?;
            self.carry(async move { memory.renew(&request).await }).await
        })
    }

    fn release<'a>(&'a self, request: &'a Release) -> Step<'a, Ended> {
        let (memory, request) = (self.server.memory.clone(), request.clone());
        Box::pin(async move {
            self.shared(|shared| shared.released.insert(request.owner));
            self.refuses("release a lock")?;
            self.carry(async move { memory.release(&request).await }).await
        })
    }

    fn look<'a>(&'a self, key: &'a LockKey) -> Step<'a, LockState> {
        self.server.memory.look(key)
    }

    fn list<'a>(&'a self, prefix: &'a str, max: usize) -> Step<'a, LockList> {
        self.server.memory.list(prefix, max)
    }

    fn break_holds<'a>(&'a self, request: &'a Break) -> Step<'a, Broken> {
        self.server.memory.break_holds(request)
    }

    /// Counted, so that a schedule can be had again.
    fn new_owner(&self) -> Owner {
        let number = self.shared(|shared| {
            shared.owners += 1;
            shared.owners
        });
        let mut bytes = [0; 16];
        // Which wire made it, and the how manieth.
        bytes[..8].copy_from_slice(&self.prefix());
        bytes[8..].copy_from_slice(&number.to_be_bytes());
        Owner::from_bytes(bytes)
    }

    fn notices(&self) -> broadcast::Receiver<Notice> {
        let mut notices = self.server.memory.notices();
        if !self.shared(|shared| shared.faults.deaf) {
            return notices;
        }
        let (tell, told) = broadcast::channel(limits::NOTICES_MAX);
        drop(shuttle::future::spawn(async move {
            while let Ok(mut notice) = notices.recv().await {
                if shuttle::rand::thread_rng().gen_range(0..MISSES_ONE_OF) == 0 {
                    for _ in 0..shuttle::rand::thread_rng().gen_range(0..=GAP_YIELDS_MAX) {
                        shuttle::future::yield_now().await;
                    }
                    while notices.try_recv().is_ok() {}
                    notice = Notice::Gap;
                }
                // The locks may be closed.
                let _ = tell.send(notice);
            }
        }));
        told
    }
}
