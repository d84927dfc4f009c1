use std::collections::BTreeMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use crate::acquisition;
use crate::backend;
use crate::clock::BootTime;
use crate::guard::Outcome;
use crate::inner::Inner;
use crate::request::Terms;
use crate::rt::timeout;
use crate::{Error, Guard, IntoKey, LockKey, Lost, Mode, limits};

/// The wish for several locks at once. Made by [`Locks::multi`](crate::Locks::multi).
#[derive(Debug)]
#[must_use = "a request does nothing until it is acquired"]
pub struct MultiRequest {
    inner: Arc<Inner>,
    keys: Result<Vec<LockKey>, Error>,
    terms: Terms,
}

impl MultiRequest {
    pub(crate) fn new(inner: &Arc<Inner>, keys: impl IntoIterator<Item = impl IntoKey>) -> Self {
        let keys = keys.into_iter().map(|key| Ok(key.into_key()?)).collect();
        Self { inner: Arc::clone(inner), keys, terms: Terms::of(inner) }
    }

    /// As [`Request::wait`](crate::Request::wait), for all of them together.
    pub fn wait(mut self, wait: Duration) -> Self {
        self.terms.wait = wait;
        self
    }

    /// As [`Request::lease`](crate::Request::lease).
    pub fn lease(mut self, lease: Duration) -> Self {
        self.terms.lease = Some(lease);
        self
    }

    /// As [`Request::max_hold`](crate::Request::max_hold), from the moment when all of them are held.
    pub fn max_hold(mut self, max_hold: Duration) -> Self {
        self.terms.max_hold = Some(max_hold);
        self
    }

    /// As [`Request::min_fence`](crate::Request::min_fence), for each of them.
    pub fn min_fence(mut self, fence: u64) -> Self {
        self.terms.fence_min = fence;
        self
    }

    /// Takes all of them or none, exclusively. Keys that the backend keeps together are taken in one step;
    /// the steps go in one order, the same for everybody, so that no two requests wait for each other in a
    /// circle. Dropping the future leaves nothing behind.
    ///
    /// Those of several keys stand in no queue and keep nobody out who comes after them: where one of the keys is never
    /// free for long (a stream of holders side by side, a fair queue that is never empty), they may not get in before
    /// their wait is over. What must get in there takes its keys one by one, always in the same order.
    ///
    /// # Errors
    /// As [`Request::acquire`](crate::Request::acquire), of the first key that was in the way; and
    /// [`Lost`](Error::Lost), at once, when one that was already taken is lost while the others are waited for.
    pub async fn acquire(self) -> Result<MultiGuard, Error> {
        let Self { inner, keys, terms } = self;
        let keys = keys?;
        if keys.is_empty() || keys.len() > limits::MULTI_KEYS_MAX {
            return Err(Error::out_of_range("the number of keys", keys.len(), 1, limits::MULTI_KEYS_MAX));
        }
        let mut groups: BTreeMap<u32, Vec<LockKey>> = BTreeMap::new();
        for key in keys {
            groups.entry(inner.backend.group(&key)).or_default().push(key);
        }
        let several = groups.len() > 1;
        let mut waiting = several.then(|| Waiting { inner: Arc::clone(&inner), answered: false });
        let answer = take(&inner, groups, terms).await;
        if let Some(waiting) = &mut waiting {
            waiting.answered = true;
        }
        answer
    }

    /// Takes all of them if all are free.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire), with [`Busy`](Error::Busy) where it has to wait.
    pub async fn try_acquire(self) -> Result<MultiGuard, Error> {
        self.wait(Duration::ZERO).acquire().await
    }
}

/// A request for locks of several groups, which is one request to who asks.
struct Waiting {
    inner: Arc<Inner>,
    answered: bool,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.answered {
            self.inner.counters.cancelled();
        }
    }
}

/// Takes one group after the other.
async fn take(
    inner: &Arc<Inner>,
    groups: BTreeMap<u32, Vec<LockKey>>,
    terms: Terms,
) -> Result<MultiGuard, Error> {
    let several = groups.len() > 1;
    // How long all the answers may take that come after a first one.
    let answers = inner.settings.response_timeout * u32::try_from(groups.len()).unwrap_or(u32::MAX);
    let started = BootTime::now();
    let deadline = started + terms.wait;
    let mut held = MultiGuard { guards: Vec::with_capacity(groups.len()) };
    let mut max_hold = Duration::ZERO;
    for mut keys in groups.into_values() {
        keys.sort_unstable();
        keys.dedup();
        let mut plan = terms.plan(inner, keys.into(), Mode::exclusive())?;
        let now = BootTime::now();
        if now >= deadline
            && let Some(late) = held.guards.iter().find(|guard| guard.waited())
        {
            // The first attempt for what is left would each take its own time on top.
            let (key, waited) = (late.key().clone(), now.since(started));
            let error = Error::Timeout { key, waited, holder_remaining: Duration::ZERO };
            inner.counters.refused(&error);
            return Err(error);
        }
        if !plan.wait.is_zero() {
            plan.wait = deadline.remaining().max(Duration::from_micros(1));
        }
        plan.part = several;
        max_hold = plan.max_hold;
        if several {
            // Those that are already taken are kept while the others are waited for, however long that takes.
            plan.keeper = true;
            plan.max_hold += plan.wait + answers;
        }
        let mut acquired = pin!(acquisition::acquire(inner, plan));
        let guard = tokio::select! {
            biased;
            (key, how) = held.first_lost() => {
                if inner.closing() {
                    // What waits is told so as well, and gives back what it may have got.
                    return Err(acquired.await.err().unwrap_or(Error::ShutDown));
                }
                // Then there is nothing more to wait for.
                return Err(not_all(inner, Error::Lost { key: key.clone(), how }));
            }
            guard = &mut acquired => guard?,
        };
        held.guards.push(guard);
    }
    if several {
        let limit = if terms.wait.is_zero() {
            inner.settings.response_timeout
        } else {
            deadline.remaining().max(limits::SETTLE_MIN)
        };
        held.settle(terms.lease, max_hold, limit).await.map_err(|error| not_all(inner, error))?;
        // One that was got early may have been lost while the others settled.
        for guard in &held.guards {
            let lost = |how| not_all(inner, Error::Lost { key: guard.key().clone(), how });
            guard.check().map_err(lost)?;
        }
        if inner.closing() {
            return Err(Error::ShutDown);
        }
    }
    Ok(held)
}

/// Why some of them were got in vain. Whoever shuts down lets go of those, and that is no loss.
fn not_all(inner: &Inner, error: Error) -> Error {
    if inner.closing() {
        return Error::ShutDown;
    }
    inner.counters.refused(&error);
    error
}

/// Several locks that are held together. Dropping it lets all of them go.
#[derive(Debug)]
#[must_use = "the locks are let go when their guard is dropped"]
pub struct MultiGuard {
    /// One for each group of keys, in the order in which they were taken.
    guards: Vec<Guard>,
}

impl MultiGuard {
    /// The keys, each once.
    pub fn keys(&self) -> impl Iterator<Item = &LockKey> {
        self.guards.iter().flat_map(Guard::keys)
    }

    /// The fence of one of the keys. What a key guards must be checked with its own fence: fences of
    /// different keys need not grow together.
    #[must_use]
    pub fn fence(&self, key: &LockKey) -> Option<u64> {
        self.guards.iter().find(|guard| guard.keys().contains(key)).map(Guard::fence)
    }

    /// Until when nobody else can hold any of them.
    #[must_use]
    pub fn valid_until(&self) -> BootTime {
        self.guards.iter().map(Guard::valid_until).min().expect("at least one lock")
    }

    /// Whether all of them are held at this moment.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.guards.iter().all(Guard::is_valid)
    }

    /// Like [`is_valid`](Self::is_valid), with the reason if not.
    pub fn check(&self) -> Result<(), Lost> {
        self.guards.iter().try_for_each(Guard::check)
    }

    /// Comes back when one of them is lost.
    pub async fn lost(&self) -> Lost {
        self.first_lost().await.1
    }

    /// All of them begin to count. None is asked for only when another one has answered, so that the first is not used up
    /// when the last is there.
    async fn settle(
        &self,
        lease: Option<Duration>,
        max_hold: Duration,
        limit: Duration,
    ) -> Result<(), Error> {
        let settle = |guard| (guard, Box::pin(Guard::settle(guard, lease, max_hold)));
        let mut open: Vec<_> = self.guards.iter().map(settle).collect();
        let answers = std::future::poll_fn(|context| {
            let mut failed = None;
            open.retain_mut(|(_, settled)| match settled.as_mut().poll(context) {
                Poll::Pending => true,
                Poll::Ready(answer) => {
                    failed = failed.take().or(answer.err());
                    false
                }
            });
            match failed {
                Some(error) => Poll::Ready(Err(error)),
                None if open.is_empty() => Poll::Ready(Ok(())),
                None => Poll::Pending,
            }
        });
        if let Ok(settled) = timeout(limit, answers).await {
            return settled;
        }
        let (key, doing) = (open[0].0.key().clone(), "begin the lease of a lock");
        Err(Error::Unavailable { key, source: backend::Error::NoAnswer { doing, timeout: limit } })
    }

    /// The first that is lost, and how; never comes back where there are none.
    async fn first_lost(&self) -> (&LockKey, Lost) {
        type Loss<'a> = Pin<Box<dyn Future<Output = (&'a LockKey, Lost)> + Send + 'a>>;
        let lost = |guard| Box::pin(async move { (Guard::key(guard), guard.lost().await) }) as Loss<'_>;
        let mut losses: Vec<Loss<'_>> = self.guards.iter().map(lost).collect();
        std::future::poll_fn(|context| {
            let lost = losses.iter_mut().map(|lost| lost.as_mut().poll(context)).find(|lost| lost.is_ready());
            lost.unwrap_or(Poll::Pending)
        })
        .await
    }

    /// As [`Guard::while_held`].
    pub async fn while_held<T>(&self, work: impl Future<Output = T>) -> Result<T, Lost> {
        tokio::select! {
            biased;
            how = self.lost() => Err(how),
            done = work => Ok(done),
        }
    }

    /// As [`Guard::extend`], for all of them. Returns until when all are valid.
    ///
    /// # Errors
    /// Those of the first that could not be made longer; those before it are.
    pub async fn extend(&self, lease: Duration) -> Result<BootTime, Error> {
        for guard in &self.guards {
            guard.extend(lease).await?;
        }
        Ok(self.valid_until())
    }

    /// As [`Guard::reenter`], of all of them or of none: the locks go with the last of their guards.
    pub fn reenter(&self) -> Result<Self, Error> {
        // Those that were entered before one that is lost are left again.
        let guards = self.guards.iter().map(Guard::reenter).collect::<Result<_, _>>()?;
        Ok(Self { guards })
    }

    #[cfg(any(feature = "macros", feature = "postgres"))]
    pub(crate) fn guards(&self) -> &[Guard] {
        &self.guards
    }

    /// Lets all of them go, the last one first, without waiting for one answer before the next is asked for: together they
    /// take no longer than one release. Tells the worst outcome: first whatever says
    /// that not all were held to the end, then what is not known. Dropping the future does not stop it.
    pub async fn release(mut self) -> Outcome {
        let mut releases: Vec<_> =
            self.guards.drain(..).rev().map(|guard| Box::pin(guard.release())).collect();
        let mut worst = Outcome::Released;
        std::future::poll_fn(|context| {
            releases.retain_mut(|release| {
                let Poll::Ready(outcome) = release.as_mut().poll(context) else { return true };
                if badness(&outcome) > badness(&worst) {
                    worst = outcome;
                }
                false
            });
            if releases.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        worst
    }
}

/// By how much the work under the lock may have suffered: somebody else held it; somebody ended it; it was over early; the
/// lock was held for as long as anybody knows; it is held on purpose.
fn badness(outcome: &Outcome) -> u8 {
    match outcome {
        Outcome::Released => 0,
        Outcome::StillHeld(_) => 1,
        Outcome::Unknown(_) => 2,
        Outcome::Expired => 3,
        Outcome::Broken => 4,
        Outcome::Stolen { .. } => 5,
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::broadcast;
    use tokio::task::JoinHandle;
    use tokio::time::sleep;

    use super::*;
    use crate::backend::{Acquire, Acquired, Backend, Break, Ended, Notice, Release, Renew, Renewed, Step};
    use crate::{Broken, LockList, LockState, Locks, Memory};

    /// Locks each of which is a group of its own, and that take a while to be got and to be renewed.
    struct Apart {
        memory: Memory,
        renewal_takes: Duration,
    }

    impl Apart {
        fn locks(renewal_takes: Duration) -> Locks {
            Locks::new(Self { memory: Memory::new(), renewal_takes })
        }
    }

    /// Less than the first attempt may take, however short the wait.
    const EACH_TAKES: Duration = limits::ATTEMPT_MIN.checked_div(4).unwrap();

    impl Backend for Apart {
        fn name(&self) -> &'static str {
            self.memory.name()
        }

        fn group(&self, key: &LockKey) -> u32 {
            key.as_str().parse().unwrap()
        }

        fn acquire<'a>(&'a self, request: &'a Acquire) -> Step<'a, Acquired> {
            Box::pin(async move {
                sleep(EACH_TAKES).await;
                self.memory.acquire(request).await
            })
        }

        fn renew<'a>(&'a self, request: &'a Renew) -> Step<'a, Renewed> {
            Box::pin(async move {
                sleep(self.renewal_takes).await;
                self.memory.renew(request).await
            })
        }

        fn release<'a>(&'a self, request: &'a Release) -> Step<'a, Ended> {
            self.memory.release(request)
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

        fn notices(&self) -> broadcast::Receiver<Notice> {
            self.memory.notices()
        }
    }

    #[tokio::test]
    async fn a_wait_for_several_locks_ends_in_time_though_the_rest_is_free() {
        // Together they take longer than the wait.
        const KEYS: u32 = 100;
        let wait = EACH_TAKES * (KEYS / 2);
        let locks = Apart::locks(Duration::ZERO);
        let keys = || (0..KEYS).map(|key| key.to_string());
        let all = locks.multi(keys()).wait(wait).acquire().await.expect("none was waited for");
        assert!(all.release().await.was_held());

        let first = locks.lock("0").acquire().await.unwrap();
        let waiter = tokio::spawn(locks.multi(keys()).wait(wait).acquire());
        sleep(EACH_TAKES * 4).await;
        assert!(first.release().await.was_held());
        let error = waiter.await.unwrap().expect_err("its time is over");
        let Error::Timeout { key, waited, .. } = error else { panic!("{error}") };
        assert!(waited >= wait && key.as_str() == "0", "{key} after {waited:?}");
        assert_eq!(locks.stats().timeouts, 1);
        let all = locks.multi(keys()).acquire().await.expect("what was taken was given back");
        assert!(all.release().await.was_held());
    }

    #[tokio::test]
    async fn the_leases_of_several_locks_begin_beside_each_other() {
        const KEYS: u32 = 20;
        let renewal_takes = Duration::from_millis(200);
        let locks = Apart::locks(renewal_takes);
        let keys = || (0..KEYS).map(|key| key.to_string());
        let started = BootTime::now();
        // Shorter than one answer after the other.
        let lease = locks.settings().lease_min();
        assert!(renewal_takes * KEYS > lease);
        let all = locks.multi(keys()).lease(lease).acquire().await.expect("nobody else wants them");
        let took = BootTime::now().since(started);
        assert!(took < renewal_takes * KEYS / 2, "{took:?}");
        assert!(all.release().await.was_held());
    }

    #[tokio::test]
    async fn leases_that_do_not_begin_are_not_waited_for_longer_than_was_asked_for() {
        let locks = Apart::locks(Duration::from_secs(3_600));
        let response_timeout = locks.settings().response_timeout;
        let asked = Duration::from_millis(150);
        for (wait, limit) in [(asked, asked), (Duration::ZERO, response_timeout)] {
            let started = BootTime::now();
            let several = locks.multi(["1", "2", "3"]).wait(wait).lease(locks.settings().lease_min());
            let error = several.acquire().await.expect_err("no lease has begun");
            let took = BootTime::now().since(started);
            assert!(matches!(error, Error::Unavailable { .. }), "{error}");
            assert!(took >= asked && took < limit + 2 * response_timeout, "{took:?} of {limit:?}");
        }
        assert_eq!(locks.stats().unavailable, 2);
        for key in ["1", "2", "3"] {
            let again = locks.lock(key).acquire().await.expect("nothing is kept");
            assert!(again.release().await.was_held());
        }
    }

    /// Two processes, of which the second has one of the two locks that the first waits for, and the other is got.
    async fn one_of_two_got() -> ([Locks; 2], Guard, JoinHandle<Result<MultiGuard, Error>>) {
        let memory = Memory::new();
        let [here, there] =
            [(); 2].map(|()| Locks::new(Apart { memory: memory.clone(), renewal_takes: Duration::ZERO }));
        let second = there.lock("2").acquire().await.unwrap();
        let waiter = tokio::spawn(here.multi(["1", "2"]).acquire());
        while !here.stats().patterns.values().any(|pattern| pattern.contended > 0) {
            sleep(Duration::from_millis(1)).await;
        }
        ([here, there], second, waiter)
    }

    #[tokio::test]
    async fn a_wait_for_the_rest_of_several_locks_ends_with_the_shutdown() {
        for _ in 0..20 {
            let ([here, there], second, waiter) = one_of_two_got().await;
            here.shutdown().await;
            let error = waiter.await.unwrap().expect_err("they are shut down");
            assert!(matches!(error, Error::ShutDown), "{error}");
            let stats = here.stats();
            assert_eq!((stats.cancelled, stats.part_lost, stats.losses), (0, 0, 0));
            let first = there.lock("1").try_acquire().await.expect("it was given back");
            assert!(first.release().await.was_held() && second.release().await.was_held());
        }
    }

    #[tokio::test]
    async fn leases_of_several_locks_that_are_about_to_begin_end_with_the_shutdown() {
        let locks = Apart::locks(Duration::from_secs(3_600));
        let several = locks.multi(["1", "2"]).lease(locks.settings().lease_min());
        let several = tokio::spawn(several.acquire());
        while locks.stats().granted < 2 {
            sleep(Duration::from_millis(1)).await;
        }
        locks.shutdown().await;
        let error = several.await.unwrap().expect_err("they are shut down");
        assert!(matches!(error, Error::ShutDown), "{error}");
        assert_eq!((locks.stats().part_lost, locks.stats().unavailable), (0, 0));
    }

    #[tokio::test]
    async fn several_locks_that_are_not_got_are_counted_once_by_why() {
        let ([here, there], second, waiter) = one_of_two_got().await;
        let owner = there.look("1").await.unwrap().holders[0].owner;
        assert_eq!(there.break_holds("1", &[owner]).await.unwrap().ended.len(), 1);
        let error = waiter.await.unwrap().expect_err("one is lost");
        assert!(matches!(error, Error::Lost { how: Lost::Broken, .. }), "{error}");
        let counted = async || {
            while here.stats().waiting > 0 {
                sleep(Duration::from_millis(1)).await;
            }
            (here.stats().part_lost, here.stats().cancelled)
        };
        assert_eq!(counted().await, (1, 0));
        let several = here.multi(["1", "2"]).acquire();
        timeout(EACH_TAKES * 10, several).await.expect_err("the second is held");
        assert_eq!(counted().await, (1, 1));
        assert!(second.release().await.was_held());
    }

    #[test]
    fn a_loss_is_worse_than_what_is_not_known_whichever_is_answered_first() {
        let unknown = backend::Error::NoAnswer { doing: "release a lock", timeout: Duration::ZERO };
        let by_badness = [
            Outcome::Released,
            Outcome::StillHeld(1),
            Outcome::Unknown(unknown),
            Outcome::Expired,
            Outcome::Broken,
            Outcome::Stolen { fence: 7 },
        ];
        assert!(by_badness.is_sorted_by(|one, other| badness(one) < badness(other)));
        let held = |outcome: &&Outcome| outcome.was_held();
        assert_eq!(by_badness.iter().take_while(held).count(), by_badness.iter().filter(held).count());
    }
}
