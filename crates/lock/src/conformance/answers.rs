//! Asking until there is an answer: a machine with too much to do may keep a server from connecting or answering within the
//! time of one step, and that is not what a scenario is about.

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::settings;
use crate::backend::{self, Acquire, Acquired, Backend, Ended, Release, Renew, Renewed, Step};
use crate::limits::{TRIES_MIN, TRY_PAUSE_MAX};
use crate::{Error, LockKey};

/// How long a server may not be there on a machine that has other things to do.
pub const ANSWERED_WITHIN: Duration = Duration::from_secs(20);
/// The pause before the same question is asked again.
const PAUSE: Duration = Duration::from_millis(5);
/// Keys enough to go through each connection of a backend that chooses among some of them by key.
const CONNECTED_KEYS: [&str; 4] = ["a", "b", "c", "d"];

/// The backend once it has connected: its first step takes no longer than the later ones. It is not asked for more than a
/// look, which nobody counts. One that refuses has connected as well.
///
/// # Panics
/// When it has not after [`ANSWERED_WITHIN`].
pub async fn connected<B: Backend>(backend: B) -> B {
    let connecting = async {
        for key in CONNECTED_KEYS {
            let key = LockKey::new(key).expect("it is a key");
            while matches!(backend.look(&key).await, Err(backend::Error::Unavailable { .. })) {
                sleep(PAUSE).await;
            }
        }
    };
    timeout(ANSWERED_WITHIN, connecting).await.expect("the backend connects");
    backend
}

/// What it comes to, asked again until the backend answers. What is asked must be the same when it is done twice.
///
/// # Errors
/// As what is asked; [`Unavailable`](Error::Unavailable) after [`ANSWERED_WITHIN`] only.
pub async fn answered<T, Asked>(ask: impl Fn() -> Asked) -> Result<T, Error>
where
    Asked: Future<Output = Result<T, Error>>,
{
    asked_until_answered(ask, PAUSE).await
}

/// Why it is not granted.
///
/// # Panics
/// When it is granted.
pub async fn refused<T: Debug, Asked>(ask: impl Fn() -> Asked) -> Error
where
    Asked: Future<Output = Result<T, Error>>,
{
    answered(ask).await.expect_err("it is refused")
}

/// Somebody else holds it, or comes first.
///
/// # Panics
/// When it is granted, or is refused for another reason.
pub async fn busy<T: Debug, Asked>(ask: impl Fn() -> Asked)
where
    Asked: Future<Output = Result<T, Error>>,
{
    let error = refused(ask).await;
    assert!(matches!(error, Error::Busy { .. }), "{error}");
}

/// What is granted without a wait.
///
/// # Panics
/// When it is refused.
pub async fn granted<T, Asked>(ask: impl Fn() -> Asked) -> T
where
    Asked: Future<Output = Result<T, Error>>,
{
    // Whoever was not answered may have got it. By then it is given back.
    let given_back_within = TRIES_MIN * (settings().response_timeout + TRY_PAUSE_MAX);
    asked_until_answered(ask, given_back_within).await.unwrap_or_else(|error| panic!("{error}"))
}

async fn asked_until_answered<T, Asked>(ask: impl Fn() -> Asked, pause: Duration) -> Result<T, Error>
where
    Asked: Future<Output = Result<T, Error>>,
{
    let asking = async {
        loop {
            match ask().await {
                Err(Error::Unavailable { .. }) => sleep(pause).await,
                answer => return answer,
            }
        }
    };
    match timeout(ANSWERED_WITHIN, asking).await {
        Ok(answer) => answer,
        Err(_) => ask().await,
    }
}

/// What a step comes to, sent again until it is answered: these may be.
async fn until_answered<'a, T>(step: impl Fn() -> Step<'a, T>) -> T {
    let sending = async {
        loop {
            match step().await {
                Ok(answer) => return answer,
                Err(backend::Error::Unavailable { .. }) => sleep(settings().response_timeout).await,
                Err(error) => panic!("{error}"),
            }
        }
    };
    timeout(ANSWERED_WITHIN, sending).await.expect("it is answered")
}

pub(super) async fn acquire(backend: &impl Backend, request: &Acquire) -> Acquired {
    until_answered(|| backend.acquire(request)).await
}

pub(super) async fn renew(backend: &impl Backend, request: &Renew) -> Renewed {
    until_answered(|| backend.renew(request)).await
}

pub(super) async fn release(backend: &impl Backend, request: &Release) -> Ended {
    until_answered(|| backend.release(request)).await
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::{Locks, Memory};

    fn unavailable() -> Error {
        let source =
            backend::Error::NoAnswer { doing: "acquire a lock", timeout: settings().response_timeout };
        Error::Unavailable { key: LockKey::new("a").unwrap(), source }
    }

    /// The first two are not answered.
    async fn after_two<T>(
        asked: &AtomicU32,
        answer: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        if asked.fetch_add(1, Ordering::Relaxed) < 2 { Err(unavailable()) } else { answer.await }
    }

    #[tokio::test]
    async fn only_what_is_not_answered_is_asked_again() {
        let locks = Locks::with_settings(connected(Memory::new()).await, settings()).unwrap();
        let asked = AtomicU32::new(0);
        let guard = granted(|| after_two(&asked, locks.lock("a").try_acquire())).await;
        assert_eq!(asked.swap(0, Ordering::Relaxed), 3);
        busy(|| after_two(&asked, locks.lock("a").try_acquire())).await;
        assert_eq!(asked.swap(0, Ordering::Relaxed), 3);
        let seen = answered(|| after_two(&asked, locks.look("a"))).await.unwrap();
        assert_eq!(seen.holders[0].fence, guard.fence());
    }

    #[tokio::test]
    #[should_panic = "a is held by somebody else"]
    async fn what_is_busy_is_not_granted_by_asking_for_longer() {
        let locks = Locks::with_settings(Memory::new(), settings()).unwrap();
        let _guard = locks.lock("a").acquire().await.unwrap();
        drop(granted(|| locks.lock("a").try_acquire()).await);
    }
}
