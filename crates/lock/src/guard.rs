use std::{fmt, future::Future, sync::Arc, time::Duration};

use crate::backend::{self, Renewed};
use crate::clock::BootTime;
#[cfg(any(feature = "macros", feature = "postgres"))]
use crate::rt::atomic::Ordering;
use crate::rt::sleep;
use crate::tenure::{self, Tenure, Tries};
use crate::{Error, LockKey, Lost, Mode};

/// A lock that is held. Dropping it lets the lock go, in the background; [`release`](Self::release) also
/// tells how that went.
///
/// Holding a guard is not proof. Whatever is guarded must check the [fence](Self::fence), or else ask
/// [`is_valid`](Self::is_valid) before each change and live with the gap between asking and changing.
#[must_use = "the lock is let go when its guard is dropped"]
pub struct Guard {
    tenure: Arc<Tenure>,
    counted: bool,
}

/// How a release went.
#[derive(Debug)]
#[must_use]
pub enum Outcome {
    /// The lock was ours until now, and is free.
    Released,
    /// So many other guards of the same hold still keep it. Not said of a hold that is lost: then each of its guards is
    /// told how.
    StillHeld(u32),
    /// It was not ours any more, nor anybody else's: the lease had run out. Of several that were taken together: one of them.
    Expired,
    /// It was not ours any more, or of several that were taken together one was not: somebody else holds it.
    Stolen {
        /// The other one's fence.
        fence: u64,
    },
    /// It was not ours any more: somebody had [broken](crate::Locks::break_holds) the hold.
    Broken,
    /// No answer came while the release was tried, or the server refused it, and the lock was not known to be lost when it was let
    /// go. It ends with its lease at the latest.
    Unknown(backend::Error),
}

impl Outcome {
    /// The same again, for one who asks later.
    pub(crate) fn known(&self) -> Option<Known> {
        match *self {
            Self::Released => Some(Known::Released),
            Self::Expired => Some(Known::Expired),
            Self::Broken => Some(Known::Broken),
            Self::Stolen { fence } => Some(Known::Stolen { fence }),
            Self::StillHeld(_) | Self::Unknown(_) => None,
        }
    }

    /// The loss that it tells of.
    pub(crate) fn loss(&self) -> Option<Lost> {
        match *self {
            Self::Expired => Some(Lost::Expired),
            Self::Broken => Some(Lost::Broken),
            Self::Stolen { fence } => Some(Lost::Stolen { fence }),
            Self::Released | Self::StillHeld(_) | Self::Unknown(_) => None,
        }
    }

    /// Whether the lock was ours from its grant until now, without a gap.
    #[must_use]
    pub fn was_held(&self) -> bool {
        matches!(self, Self::Released | Self::StillHeld(_))
    }
}

/// An [`Outcome`] that can be told twice.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Known {
    Released,
    Expired,
    Broken,
    Stolen { fence: u64 },
}

impl From<Known> for Outcome {
    fn from(known: Known) -> Self {
        match known {
            Known::Released => Self::Released,
            Known::Expired => Self::Expired,
            Known::Broken => Self::Broken,
            Known::Stolen { fence } => Self::Stolen { fence },
        }
    }
}

impl Guard {
    pub(crate) fn new(tenure: Arc<Tenure>) -> Self {
        Self { tenure, counted: true }
    }

    /// Its key; of several that were taken together, the first.
    #[must_use]
    pub fn key(&self) -> &LockKey {
        self.tenure.key()
    }

    pub(crate) fn keys(&self) -> &[LockKey] {
        &self.tenure.keys
    }

    /// The fence: greater than that of every earlier holder of this key, and the same for as long as this
    /// hold lasts. What is guarded keeps the greatest that it has seen, and refuses smaller ones.
    ///
    /// Where others hold the same lock side by side ([`mode`](crate::Locks::mode), [`shared`](crate::Locks::shared),
    /// [`semaphore`](crate::Locks::semaphore)) that would refuse a companion who came earlier and writes later: there what
    /// is guarded checks the [turn](Self::turn).
    #[must_use]
    pub fn fence(&self) -> u64 {
        self.tenure.fence
    }

    /// Whether it was waited for.
    pub(crate) fn waited(&self) -> bool {
        self.tenure.waited
    }

    /// What to check where holders stand side by side: the fence of the one who began this period of the mode, the same
    /// for all who join it. So companions write in any order, and whoever is left over from an earlier period is refused
    /// once somebody of a later one has written. Of a lock for one holder it is its [fence](Self::fence).
    ///
    /// It tells periods apart, not companions: one whose lease ran out while others went on, or whose permit another one
    /// has, is refused only when the period has ended. Those who come to a period after one of its holds was
    /// [broken](crate::Locks::break_holds), or with a [`min_fence`](crate::Request::min_fence) that is not below its turn,
    /// have a greater turn than those who came before.
    #[must_use]
    pub fn turn(&self) -> u64 {
        self.tenure.turn
    }

    /// In which mode it is held.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.tenure.mode()
    }

    /// Until when nobody else can hold it, if the clocks of the machines run at the same speed to 1 %.
    #[must_use]
    pub fn valid_until(&self) -> BootTime {
        self.tenure.valid_until()
    }

    /// Whether it is held at this moment.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.tenure.how_lost().is_none()
    }

    /// Like [`is_valid`](Self::is_valid), with the reason if not.
    pub fn check(&self) -> Result<(), Lost> {
        self.tenure.how_lost().map_or(Ok(()), Err)
    }

    /// Comes back when the lock is lost: when the backend says so, and at the latest
    /// [two milliseconds](crate::limits::LOSS_MARGIN) before [`valid_until`](Self::valid_until), whether or not the network
    /// can tell. That is when it counts as lost; a machine that is busy or asleep may tell it later.
    pub async fn lost(&self) -> Lost {
        self.tenure.until_lost().await
    }

    /// Runs `work` while the lock is held, and drops it where it stands when the lock is lost.
    ///
    /// What `work` has already sent to others is not called back; the [fence](Self::fence) is for that.
    pub async fn while_held<T>(&self, work: impl Future<Output = T>) -> Result<T, Lost> {
        tokio::select! {
            biased;
            how = self.lost() => Err(how),
            done = work => Ok(done),
        }
    }

    /// Makes the lock last for at least `lease` from now; never shorter than it already does. Returns until
    /// when it is valid. Takes one answer of the backend; where that is lost it is asked again, for a few
    /// [response timeouts](crate::limits::TRIES_RESPONSE_TIMEOUTS) and no longer than the lock is held.
    ///
    /// # Errors
    /// [`OutOfRange`](Error::OutOfRange) for a lease that cannot be asked for,
    /// [`Refused`](Error::Refused) for one that is longer than the backend's quarantine; the hold then is as it was.
    /// [`Lost`](Error::Lost) when it is held no more, [`Unavailable`](Error::Unavailable) when the backend does not
    /// answer: whether it was made longer is not known then, and [`valid_until`](Self::valid_until) does not count on it.
    pub async fn extend(&self, lease: Duration) -> Result<BootTime, Error> {
        self.tenure.inner.check_lease(lease)?;
        self.renew(lease, None).await
    }

    /// Lets others of `mode` join, without ever letting the lock go: from writing to reading, say. That counts for all guards
    /// of the hold, so whoever was lent one by [`reenter`](Self::reenter) leaves it to who lent it.
    ///
    /// Only from a mode for one holder to a mode for several, of another name. The other way round two holders could wait
    /// for each other for ever, so it is refused with [`Error::Upgrade`], and so is another number of holders for the mode
    /// that it is held in. A lock that is lost stays what it was:
    /// [`Error::Lost`].
    ///
    /// From the call on, the guard is one of the new [`mode`](Self::mode). After [`Error::Unavailable`] it stays so: the
    /// backend may have let others in, or may not have heard of it. To let them in for sure, ask for the same again.
    pub async fn downgrade(&self, mode: Mode) -> Result<(), Error> {
        self.tenure.enter_mode(&mode)?;
        self.renew(Duration::ZERO, Some(mode)).await.map(drop)
    }

    async fn renew(&self, lease: Duration, mode: Option<Mode>) -> Result<BootTime, Error> {
        let key = || self.key().clone();
        let check = || self.check().map_err(|how| Error::Lost { key: key(), how });
        let response_timeout = self.tenure.inner.settings.response_timeout;
        let mut tries = Tries::begin(response_timeout);
        loop {
            check()?;
            // An answer that comes when the lock is lost is of no use.
            let limit = response_timeout.min(self.valid_until().remaining());
            let pause = match self.tenure.renew(lease, mode.clone(), limit).await {
                Ok(Renewed::Held) => {
                    // It may have been broken, or let go, while the answer was on its way.
                    check()?;
                    return Ok(self.valid_until());
                }
                Ok(Renewed::NotHeld { .. }) => {
                    let how = self.tenure.how_lost().unwrap_or(Lost::Expired);
                    return Err(Error::Lost { key: key(), how });
                }
                Err(source) => {
                    let refused = matches!(source, backend::Error::Refused { .. });
                    let Some(pause) = tries.next_pause().filter(|_| !refused) else {
                        return Err(Error::of_step(key(), source));
                    };
                    tracing::debug!(key = %self.key(), error = %source, "not answered, asking again");
                    pause.min(self.valid_until().remaining())
                }
            };
            sleep(pause).await;
        }
    }

    /// The hold begins to count now, after a while in which it was kept for others of a multi-lock to be got: for its
    /// lease, or with its keeper for `max_hold`.
    pub(crate) async fn settle(&self, lease: Option<Duration>, max_hold: Duration) -> Result<(), Error> {
        let Some(lease) = lease else {
            self.tenure.keep_for(max_hold);
            return Ok(());
        };
        self.tenure.dismiss_keeper();
        self.renew(lease, None).await.map(drop)
    }

    /// Another guard of the same hold, for code further in that wants the lock as well. The lock goes with
    /// the last of them. The backend is not asked, and no time is added: where little may be left of a
    /// [lease](crate::Request::lease), [`extend`](Self::extend) it first; a keeper renews for all of them. Re-entry is always said, never guessed from a thread or a task. The guards have one mode: whoever
    /// [downgrades](Self::downgrade) one lets others in beside all of them.
    ///
    /// # Errors
    /// [`Lost`](Error::Lost).
    pub fn reenter(&self) -> Result<Self, Error> {
        self.tenure.add_guard()?;
        Ok(Self::new(Arc::clone(&self.tenure)))
    }

    #[cfg(feature = "postgres")]
    pub(crate) fn note_commit(&self) {
        self.tenure.committed.store(true, Ordering::Release);
    }

    #[cfg(feature = "macros")]
    pub(crate) fn has_committed(&self) -> bool {
        self.tenure.committed.load(Ordering::Acquire)
    }

    /// Lets the lock go and tells how that went. Dropping the future does not stop the release. Where the server does not
    /// answer, it is tried for four [response timeouts](crate::Settings::response_timeout) (2 s unless set, 2.6 s with the
    /// last try), and no longer than the lease may last.
    pub async fn release(mut self) -> Outcome {
        self.counted = false;
        match self.tenure.remove_guard() {
            // What is lost is kept by nobody, however many guards there are of it.
            left if left > 0 && self.is_valid() => Outcome::StillHeld(left),
            _ => tenure::end(Arc::clone(&self.tenure)).await,
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.counted && self.tenure.remove_guard() == 0 {
            let tenure = Arc::clone(&self.tenure);
            self.tenure.inner.spawn(async move { drop(tenure::end(tenure).await) });
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Guard")
            .field("key", self.key())
            .field("mode", &self.mode())
            .field("fence", &self.fence())
            .field("remaining", &self.valid_until().remaining())
            .finish()
    }
}
