use std::future::Future;

use crate::{Guard, LockKey, Lost, MultiGuard, Outcome};

/// What is held: a [`Guard`] or a [`MultiGuard`]. For functions that take either; nobody else can implement it.
pub trait Held: sealed::Sealed + Send + Sync {
    /// The keys in ascending order, each with its fence. There is at least one.
    fn fences(&self) -> Vec<(&LockKey, u64)>;

    /// As [`Guard::check`].
    fn check(&self) -> Result<(), Lost>;

    /// As [`Guard::lost`].
    fn lost(&self) -> impl Future<Output = Lost> + Send;

    /// As [`Guard::release`].
    fn release(self) -> impl Future<Output = Outcome> + Send;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Guard {}
    impl Sealed for super::MultiGuard {}
}

impl Held for Guard {
    fn fences(&self) -> Vec<(&LockKey, u64)> {
        self.keys().iter().map(|key| (key, self.fence())).collect()
    }

    fn check(&self) -> Result<(), Lost> {
        self.check()
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

    fn check(&self) -> Result<(), Lost> {
        self.check()
    }

    async fn lost(&self) -> Lost {
        self.lost().await
    }

    async fn release(self) -> Outcome {
        self.release().await
    }
}
