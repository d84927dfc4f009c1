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
    /// How often the clock was set forward.
    jumps: u64,
}

/// Whether a grant can be believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Trust {
    #[default]
    Calm,
    /// The clock was set forward, and the others do not know yet.
    Untold,
    /// One of us is about to tell them, of so many jumps.
    Telling(u64),
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
                state.jumped();
            }
            jumped
        };
        if let Some(by_ms) = jumped {
            let _ = self.notices.send(Notice::ClockJumped { by_ms });
        }
    }

    /// Has the caller tell the others, if they do not know and nobody is telling them.
    pub(super) fn tell(&self) -> Option<Telling<'_>> {
        let mut state = self.state();
        if state.trust != Trust::Untold {
            return None;
        }
        let jumps = state.jumps;
        state.trust = Trust::Telling(jumps);
        Some(Telling { clock: self, jumps })
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

impl State {
    fn jumped(&mut self) {
        self.jumps += 1;
        self.trust = Trust::Untold;
    }
}

/// The one who tells the others. Dropped before it has, it leaves that to the next one.
#[derive(Debug)]
pub(super) struct Telling<'a> {
    clock: &'a ServerClock,
    jumps: u64,
}

impl Telling<'_> {
    /// The others know, and nothing is granted for so long from now on. A jump that was seen meanwhile is told to nobody yet.
    pub(super) fn told(self, remaining: Duration) {
        self.leave(Trust::Quarantined(BootTime::now() + remaining));
    }

    fn leave(&self, trust: Trust) {
        let mut state = self.clock.state();
        if state.trust == Trust::Telling(self.jumps) {
            state.trust = trust;
        }
    }
}

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        self.leave(Trust::Untold);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUARANTINE: Duration = Duration::from_secs(60);

    #[test]
    fn one_tells_of_each_jump() {
        let clock = ServerClock::new(broadcast::Sender::new(1));
        assert!(clock.tell().is_none(), "nothing to tell");
        clock.state().jumped();
        let telling = clock.tell().expect("untold");
        assert!(clock.tell().is_none(), "one of us does");
        assert_eq!(clock.trust(), Trust::Telling(1));
        drop(telling);
        assert_eq!(clock.trust(), Trust::Untold, "its answer was not waited for");
        clock.tell().expect("untold").told(QUARANTINE);
        assert!(clock.tell().is_none(), "told");
        assert!(matches!(clock.trust(), Trust::Quarantined(_)));
    }

    #[test]
    fn a_jump_that_is_seen_while_another_is_told_is_told_too() {
        let clock = ServerClock::new(broadcast::Sender::new(1));
        clock.state().jumped();
        let first = clock.tell().expect("untold");
        clock.state().jumped();
        let second = clock.tell().expect("the first may have come too early");
        first.told(Duration::ZERO);
        assert_eq!(clock.trust(), Trust::Telling(2));
        second.told(QUARANTINE);
        assert!(matches!(clock.trust(), Trust::Quarantined(_)));
        clock.state().jumped();
        let third = clock.tell().expect("untold");
        clock.state().jumped();
        drop(third);
        assert_eq!(clock.trust(), Trust::Untold);
    }
}
