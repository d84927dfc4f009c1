use std::future::Future;

use crate::{BootTime, Guard, LockKey, Lost, MultiGuard, Outcome};

/// What is held: a [`Guard`] or a [`MultiGuard`]. For functions that take either; nobody else can implement it.
pub trait Held: sealed::Sealed + Send + Sync {
    /// The keys in ascending order, each with its fence. There is at least one.
    fn fences(&self) -> Vec<(&LockKey, u64)>;

    /// The same with [turns](Guard::turn): what is guarded checks these if others may hold the lock side by side. Of locks
    /// for one holder they are the fences.
    fn turns(&self) -> Vec<(&LockKey, u64)>;

    /// As [`Guard::check`].
    fn check(&self) -> Result<(), Lost>;

    /// As [`Guard::valid_until`], of all of them.
    fn valid_until(&self) -> BootTime;

    /// As [`Guard::lost`].
    fn lost(&self) -> impl Future<Output = Lost> + Send;

    /// As [`Guard::release`].
    fn release(self) -> impl Future<Output = Outcome> + Send;
}

mod sealed {
    use crate::{Guard, MultiGuard};

    pub trait Sealed {
        /// A transaction under it was committed, and its server has confirmed that.
        #[cfg(feature = "postgres")]
        fn note_commit(&self);

        /// Whether [`note_commit`](Self::note_commit) was called, by any guard of the hold.
        #[cfg(feature = "macros")]
        fn has_committed(&self) -> bool;
    }

    impl Sealed for Guard {
        #[cfg(feature = "postgres")]
        fn note_commit(&self) {
            Self::note_commit(self);
        }

        #[cfg(feature = "macros")]
        fn has_committed(&self) -> bool {
            Self::has_committed(self)
        }
    }

    impl Sealed for MultiGuard {
        #[cfg(feature = "postgres")]
        fn note_commit(&self) {
            self.guards().iter().for_each(Guard::note_commit);
        }

        #[cfg(feature = "macros")]
        fn has_committed(&self) -> bool {
            self.guards().iter().all(Guard::has_committed)
        }
    }
}

impl Held for Guard {
    fn fences(&self) -> Vec<(&LockKey, u64)> {
        self.keys().iter().map(|key| (key, self.fence())).collect()
    }

    fn turns(&self) -> Vec<(&LockKey, u64)> {
        self.keys().iter().map(|key| (key, self.turn())).collect()
    }

    fn check(&self) -> Result<(), Lost> {
        self.check()
    }

    fn valid_until(&self) -> BootTime {
        self.valid_until()
    }

    async fn lost(&self) -> Lost {
        self.lost().await
    }

    async fn release(self) -> Outcome {
        self.release().await
    }
}

impl Held for MultiGuard {
    fn fences(&self) -> Vec<(&LockKey, u64)> {
        let fence = |key| self.fence(key).expect("it holds its keys");
        let mut fences: Vec<_> = self.keys().map(|key| (key, fence(key))).collect();
        fences.sort_unstable();
        fences
    }

    fn turns(&self) -> Vec<(&LockKey, u64)> {
        // All of them are exclusive.
        self.fences()
    }

    fn check(&self) -> Result<(), Lost> {
        self.check()
    }

    fn valid_until(&self) -> BootTime {
        self.valid_until()
    }

    async fn lost(&self) -> Lost {
        self.lost().await
    }

    async fn release(self) -> Outcome {
        self.release().await
    }
}
