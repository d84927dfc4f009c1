//! What lies between the locks and the table that decides.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use shuttle::rand::Rng as _;
use tokio::sync::{broadcast, oneshot};

use crate::backend::{
    Acquire, Acquired, Backend, Break, Ended, Error, Notice, Owner, Release, Renew, Renewed, Step,
};
use crate::{BootTime, Broken, LockKey, LockList, LockState, Memory, limits};

/// Carries each step in a task of its own: it goes on when whoever sent it has given up, and others overtake it.
#[derive(Clone, Debug)]
pub(crate) struct Wire {
    number: usize,
    memory: Memory,
    shared: Arc<Mutex<Shared>>,
    /// Whether notices are missed now and then.
    deaf: bool,
}

/// Of so many notices, one is missed, and all that come until the gap is noticed.
const MISSES_ONE_OF: u32 = 8;
/// Yields until then.
const GAP_YIELDS_MAX: u32 = 12;

#[derive(Debug)]
struct Shared {
    /// Of so many requests, and of so many answers, one is lost; 0 is none.
    loses_one_of: u32,
    /// Everything is lost between these two.
    dead: [BootTime; 2],
    owners: u64,
    /// Whose release was sent.
    released: BTreeSet<Owner>,
    /// Who knows that it has to wait.
    told_to_wait: BTreeMap<Owner, Acquire>,
}

impl Wire {
    pub(crate) fn new(
        number: usize,
        memory: &Memory,
        loses_one_of: u32,
        dead: [BootTime; 2],
        deaf: bool,
    ) -> Self {
        let (released, told_to_wait) = (BTreeSet::new(), BTreeMap::new());
        let shared = Shared { loses_one_of, dead, owners: 0, released, told_to_wait };
        Self { number, memory: memory.clone(), shared: Arc::new(Mutex::new(shared)), deaf }
    }

    /// What those have asked for who know that they have to wait, some of whom may have given up.
    pub(crate) fn told_to_wait(&self) -> Vec<Acquire> {
        self.shared(|shared| shared.told_to_wait.values().cloned().collect())
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
        self.shared(|shared| (shared.loses_one_of, shared.dead) = (0, [BootTime::now(); 2]));
    }

    /// Never held across a point where another task may go on.
    fn shared<T>(&self, with: impl FnOnce(&mut Shared) -> T) -> T {
        with(&mut self.shared.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn loses(&self) -> bool {
        let now = BootTime::now();
        let (one_of, dead) = self.shared(|shared| (shared.loses_one_of, shared.dead));
        (dead[0] <= now && now < dead[1])
            || (one_of > 0 && shuttle::rand::thread_rng().gen_range(0..one_of) == 0)
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

impl Backend for Wire {
    fn name(&self) -> &'static str {
        "wire"
    }

    fn group(&self, key: &LockKey) -> u32 {
        self.memory.group(key)
    }

    fn acquire<'a>(&'a self, request: &'a Acquire) -> Step<'a, Acquired> {
        let (memory, sent) = (self.memory.clone(), request.clone());
        Box::pin(async move {
            self.shared(|shared| shared.told_to_wait.remove(&request.owner));
            let answer = self.carry(async move { memory.acquire(&sent).await }).await;
            if let Ok(Acquired::Conflict(_)) = answer {
                self.shared(|shared| shared.told_to_wait.insert(request.owner, request.clone()));
            }
            answer
        })
    }

    fn renew<'a>(&'a self, request: &'a Renew) -> Step<'a, Renewed> {
        let (memory, request) = (self.memory.clone(), request.clone());
        Box::pin(async move {
            let released = self.shared(|shared| shared.released.contains(&request.owner));
            assert!(!released, "{} was renewed after its release", request.owner);
            self.carry(async move { memory.renew(&request).await }).await
        })
    }

    fn release<'a>(&'a self, request: &'a Release) -> Step<'a, Ended> {
        let (memory, request) = (self.memory.clone(), request.clone());
        Box::pin(async move {
            self.shared(|shared| shared.released.insert(request.owner));
            self.carry(async move { memory.release(&request).await }).await
        })
    }

    fn look<'a>(&'a self, key: &'a LockKey) -> Step<'a, LockState> {
        self.memory.look(key)
    }

    fn list<'a>(&'a self, prefix: &'a str, max: usize) -> Step<'a, LockList> {
        self.memory.list(prefix, max)
    }

    fn break_holds<'a>(&'a self, request: &'a Break) -> Step<'a, Broken> {
        self.memory.break_holds(request)
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
        let mut notices = self.memory.notices();
        if !self.deaf {
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
