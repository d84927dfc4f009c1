//! What the server's clock shows, by the answers on all connections of a process, and what follows when it was set.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast;

use crate::backend::Notice;
use crate::clock::BootTime;
use crate::drift::Drift;

/// The server's clock. Leases are rows and outlive the server, so another server's clock that stands differently, after a
/// failover, is one that was set.
#[derive(Debug)]
pub(super) struct ServerClock {
    notices: broadcast::Sender<Notice>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    drift: Drift,
    trust: Trust,
}

/// Whether a grant can be believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Trust {
    #[default]
    Calm,
    /// The clock was set forward, and the others do not know yet.
    Untold,
    /// They know, and nothing is granted until then.
    Quarantined(BootTime),
}

impl ServerClock {
    pub(super) fn new(notices: broadcast::Sender<Notice>) -> Self {
        Self { notices, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an answer into account that has just come.
    pub(super) fn observe(&self, sent: BootTime, server_us: u64) {
        let jumped = {
            let mut state = self.state();
            let jumped = state.drift.observe(sent, BootTime::now(), server_us);
            if jumped.is_some_and(|by_ms| by_ms > 0) {
                // Before anybody else looks at its own answer, which may have been given since then.
                state.trust = Trust::Untold;
            }
            jumped
        };
        if let Some(by_ms) = jumped {
            let _ = self.notices.send(Notice::ClockJumped { by_ms });
        }
    }

    /// The others were told, and nothing is granted for so long from now on.
    pub(super) fn told(&self, remaining: Duration) {
        self.state().trust = Trust::Quarantined(BootTime::now() + remaining);
    }

    /// Whether what is granted now can be believed.
    pub(super) fn trust(&self) -> Trust {
        let mut state = self.state();
        if matches!(state.trust, Trust::Quarantined(until) if until.remaining().is_zero()) {
            state.trust = Trust::Calm;
        }
        state.trust
    }

    /// The latest that the server's clock can show at a time; nothing before the first answer.
    pub(super) fn server_us(&self, time: BootTime) -> Option<u64> {
        self.state().drift.server_us(time)
    }
}
