use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::BootTime;
use crate::limits::PATTERNS_MAX;
use crate::{Error, LockKey, Mode};

/// Under which all patterns are counted that are too many to be named.
const OTHER: &str = "(other)";

/// What has happened since the start.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    granted: AtomicU64,
    granted_shared: AtomicU64,
    granted_after_wait: AtomicU64,
    wait_us: AtomicU64,
    busy: AtomicU64,
    timeouts: AtomicU64,
    timeout_wait_us: AtomicU64,
    unavailable: AtomicU64,
    quarantined: AtomicU64,
    too_many_waiters: AtomicU64,
    part_lost: AtomicU64,
    cancelled: AtomicU64,
    renewals: AtomicU64,
    renewals_failed: AtomicU64,
    losses: AtomicU64,
    ended: AtomicU64,
    hold_us: AtomicU64,
    gaps: AtomicU64,
    clock_jumps: AtomicU64,
    patterns: Mutex<BTreeMap<String, Arc<PatternCounters>>>,
}

/// What has happened to the keys of one pattern. A hold counts on it without looking it up again.
#[derive(Debug, Default)]
pub(crate) struct PatternCounters {
    contended: AtomicU64,
    granted: AtomicU64,
    granted_after_wait: AtomicU64,
    wait_us: AtomicU64,
    busy: AtomicU64,
    timeouts: AtomicU64,
    timeout_wait_us: AtomicU64,
    renewals: AtomicU64,
    losses: AtomicU64,
    ended: AtomicU64,
    hold_us: AtomicU64,
}

/// A look at the counters of [`Locks`](crate::Locks). All but `held` and `waiting` only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Grants. Several locks that are taken in one step are one grant, and so in all that follows.
    pub granted: u64,
    /// Of those, in a mode that several can share.
    pub granted_shared: u64,
    /// Locks that were got after a wait.
    pub granted_after_wait: u64,
    /// How long all of those waited, together.
    pub wait: Duration,
    /// Refused because they were held and the request was not to wait.
    pub busy: u64,
    /// Given up because the time to wait was over.
    pub timeouts: u64,
    /// How long all of those waited in vain, together.
    pub timeout_wait: Duration,
    /// Given up because the backend did not answer, or refused.
    pub unavailable: u64,
    /// Refused by a quarantine.
    pub quarantined: u64,
    /// Refused because too many requests waited already, of this process or in the lock's queue.
    pub too_many_waiters: u64,
    /// Given up because one of several locks was lost before all of them were got.
    pub part_lost: u64,
    /// Requests of this process that wait now, those included that are about to ask for the first time.
    pub waiting: u64,
    /// Given up because the caller had gone.
    pub cancelled: u64,
    /// Renewals that were answered.
    pub renewals: u64,
    /// Renewals that were not.
    pub renewals_failed: u64,
    /// Locks that were lost before they were let go.
    pub losses: u64,
    /// Locks that are held now. One that is lost is not, though its guard may still be there.
    pub held: u64,
    /// How long all locks that have ended were held, together: until they were let go, or lost.
    pub hold: Duration,
    /// How often notices may have been missed.
    pub gaps: u64,
    /// How often the backend's clock was set.
    pub clock_jumps: u64,
    /// By key, with `*` for every run of digits, every UUID, and every 16 letters and digits or more in one piece that are
    /// not all letters; or as [the request](crate::Request::pattern) or [the key](LockKey::with_pattern) says: where the
    /// waits, the holds and the losses are. Beyond [`PATTERNS_MAX`] of them, all others are `(other)`.
    pub patterns: BTreeMap<String, Pattern>,
}

/// What happened to the keys of one pattern. Of several locks that are taken in one step, a wait that ends with the
/// lock counts under the key that was in the way first, one that ends without it under the key that was in the way last, and
/// all else under the first of the keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pattern {
    /// Requests that found the lock taken.
    pub contended: u64,
    /// Grants.
    pub granted: u64,
    /// Grants after a wait for a key of this pattern.
    pub granted_after_wait: u64,
    /// How long all of those waited, together.
    pub wait: Duration,
    /// Refused because a key of this pattern was held and the request was not to wait.
    pub busy: u64,
    /// Given up because the time to wait for a key of this pattern was over.
    pub timeouts: u64,
    /// How long all of those waited in vain, together.
    pub timeout_wait: Duration,
    /// Locks that are held now. One that is lost is not, though its guard may still be there.
    pub held: u64,
    /// How long all locks that have ended were held, together: until they were let go, or lost.
    pub hold: Duration,
    /// Renewals that were answered.
    pub renewals: u64,
    /// Locks that were lost.
    pub losses: u64,
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn micros_since(time: BootTime) -> u64 {
    micros(BootTime::now().since(time))
}

impl Counters {
    /// Where the keys of this one's pattern are counted.
    pub(crate) fn pattern(&self, key: &LockKey) -> Arc<PatternCounters> {
        let name = key.pattern();
        let mut patterns = self.patterns.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pattern) = patterns.get(&*name) {
            return Arc::clone(pattern);
        }
        let name = if patterns.len() < PATTERNS_MAX { &*name } else { OTHER };
        Arc::clone(patterns.entry(name.to_owned()).or_default())
    }

    pub(crate) fn granted(&self, pattern: &PatternCounters, mode: &Mode) {
        add(&self.granted, 1);
        add(&self.granted_shared, u64::from(mode.is_shared()));
        add(&pattern.granted, 1);
    }

    pub(crate) fn waited(&self, pattern: &PatternCounters, since: BootTime) {
        let us = micros_since(since);
        for (count, wait_us) in
            [(&self.granted_after_wait, &self.wait_us), (&pattern.granted_after_wait, &pattern.wait_us)]
        {
            add(count, 1);
            add(wait_us, us);
        }
    }

    pub(crate) fn contended(&self, key: &LockKey) {
        add(&self.pattern(key).contended, 1);
    }

    pub(crate) fn lost(&self, pattern: &PatternCounters) {
        add(&self.losses, 1);
        add(&pattern.losses, 1);
    }

    pub(crate) fn refused(&self, error: &Error) {
        match error {
            Error::Busy { key, .. } => {
                add(&self.busy, 1);
                add(&self.pattern(key).busy, 1);
            }
            Error::Timeout { key, waited, .. } => {
                let (pattern, us) = (self.pattern(key), micros(*waited));
                for (count, wait_us) in
                    [(&self.timeouts, &self.timeout_wait_us), (&pattern.timeouts, &pattern.timeout_wait_us)]
                {
                    add(count, 1);
                    add(wait_us, us);
                }
            }
            Error::Quarantined { .. } => add(&self.quarantined, 1),
            Error::TooManyWaiters { .. } => add(&self.too_many_waiters, 1),
            Error::Lost { .. } => add(&self.part_lost, 1),
            Error::Unavailable { .. } | Error::Refused { .. } => add(&self.unavailable, 1),
            _ => {}
        }
    }

    pub(crate) fn cancelled(&self) {
        add(&self.cancelled, 1);
    }

    pub(crate) fn renewed(&self, pattern: &PatternCounters, answered: bool) {
        if !answered {
            add(&self.renewals_failed, 1);
            return;
        }
        add(&self.renewals, 1);
        add(&pattern.renewals, 1);
    }

    pub(crate) fn ended(&self, pattern: &PatternCounters, acquired_at: BootTime) {
        let us = micros_since(acquired_at);
        for (count, hold_us) in [(&self.ended, &self.hold_us), (&pattern.ended, &pattern.hold_us)] {
            add(count, 1);
            add(hold_us, us);
        }
    }

    pub(crate) fn gap(&self) {
        add(&self.gaps, 1);
    }

    pub(crate) fn clock_jump(&self) {
        add(&self.clock_jumps, 1);
    }

    pub(crate) fn stats(&self) -> Stats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        // Ends first, so that nothing is seen to have ended that was not granted.
        let ended = get(&self.ended);
        Stats {
            granted: get(&self.granted),
            granted_shared: get(&self.granted_shared),
            granted_after_wait: get(&self.granted_after_wait),
            wait: Duration::from_micros(get(&self.wait_us)),
            busy: get(&self.busy),
            timeouts: get(&self.timeouts),
            timeout_wait: Duration::from_micros(get(&self.timeout_wait_us)),
            unavailable: get(&self.unavailable),
            quarantined: get(&self.quarantined),
            too_many_waiters: get(&self.too_many_waiters),
            part_lost: get(&self.part_lost),
            waiting: 0,
            cancelled: get(&self.cancelled),
            renewals: get(&self.renewals),
            renewals_failed: get(&self.renewals_failed),
            losses: get(&self.losses),
            held: get(&self.granted).saturating_sub(ended),
            hold: Duration::from_micros(get(&self.hold_us)),
            gaps: get(&self.gaps),
            clock_jumps: get(&self.clock_jumps),
            patterns: self.patterns(),
        }
    }

    fn patterns(&self) -> BTreeMap<String, Pattern> {
        let patterns = self.patterns.lock().unwrap_or_else(PoisonError::into_inner);
        patterns.iter().map(|(name, counters)| (name.clone(), counters.read())).collect()
    }
}

impl PatternCounters {
    fn read(&self) -> Pattern {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let ended = get(&self.ended);
        let granted = get(&self.granted);
        Pattern {
            contended: get(&self.contended),
            granted,
            granted_after_wait: get(&self.granted_after_wait),
            wait: Duration::from_micros(get(&self.wait_us)),
            busy: get(&self.busy),
            timeouts: get(&self.timeouts),
            timeout_wait: Duration::from_micros(get(&self.timeout_wait_us)),
            held: granted.saturating_sub(ended),
            hold: Duration::from_micros(get(&self.hold_us)),
            renewals: get(&self.renewals),
            losses: get(&self.losses),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_counted_by_name_up_to_a_limit() {
        let counters = Counters::default();
        let letters =
            |number: usize| number.to_string().bytes().map(|digit| char::from(digit + 49)).collect();
        for number in 0..PATTERNS_MAX + 100 {
            let letters: String = letters(number);
            counters.contended(&LockKey::new(format!("{letters}:{number}")).unwrap());
            counters.contended(&LockKey::new("product:17").unwrap());
        }
        let patterns = counters.stats().patterns;
        // The limit, and the one for all others.
        assert_eq!(patterns.len(), PATTERNS_MAX + 1);
        assert_eq!(patterns["product:*"].contended, (PATTERNS_MAX + 100) as u64);
        assert_eq!(patterns["b:*"].contended, 1);
        assert_eq!(patterns[OTHER].contended, 101);
    }
}
