//! Pauses that grow from try to try, and do not beat in step with those of others.

use std::time::Duration;

use tokio::{sync::watch, time};

/// A pause that doubles.
pub(crate) struct Pause {
    next: Duration,
    min: Duration,
    max: Duration,
}

impl Pause {
    pub(crate) fn new(min: Duration, max: Duration) -> Self {
        Self { next: min, min, max }
    }

    /// Begins with the shortest pause again.
    pub(crate) fn reset(&mut self) {
        self.next = self.min;
    }

    /// Whether no pause was made since the last reset.
    pub(crate) fn is_first(&self) -> bool {
        self.next == self.min
    }

    /// Pauses; `false` if the process is to end.
    pub(crate) async fn wait(&mut self, stopping: &watch::Receiver<bool>) -> bool {
        let whole = self.next;
        self.next = self.max.min(whole * 2);
        rest(whole - whole.mul_f64(fastrand::f64() / 2.0), stopping).await
    }
}

/// Waits so long; `false` if the process is to end.
pub(crate) async fn rest(pause: Duration, stopping: &watch::Receiver<bool>) -> bool {
    tokio::select! {
        () = time::sleep(pause) => true,
        () = stopped(stopping) => false,
    }
}

/// Waits until the process is to end.
pub(crate) async fn stopped(stopping: &watch::Receiver<bool>) {
    // An error says that whoever would say so is gone.
    let _ = stopping.clone().wait_for(|stopping| *stopping).await;
}
