//! Who may do how much: an allowance that is spent and grows back, for each of many, in bounded memory.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How much may be spent at once, and how fast it grows back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// What may be spent at once, by who has spent nothing of late. Zero refuses everything.
    pub burst: u32,
    /// The time in which one grows back.
    pub one_in: Duration,
}

/// What each key has spent of its allowance (the generic cell rate algorithm, ITU-T I.371).
///
/// Nothing runs in the background: of each key it is known when all that it spent will have grown back. Give the time
/// yourself; it may not go back.
#[derive(Debug)]
pub struct Limiter<K> {
    keys_max: usize,
    /// For each key, when all has grown back.
    whole_at: Mutex<HashMap<K, Instant>>,
}

impl<K: Copy + Eq + Hash> Limiter<K> {
    /// One that remembers so many keys. Beyond it who has all again is forgotten; if that is nobody, who is nearest to it.
    pub fn new(keys_max: usize) -> Limiter<K> {
        Limiter { keys_max: keys_max.max(1), whole_at: Mutex::default() }
    }

    /// Spends `cost`, or nothing. `Err` says after what time it can be spent, if nobody else spends of it.
    ///
    /// What costs more than the burst can be spent when the whole burst is there, and grows back before anything else can.
    ///
    /// # Errors
    /// The time to wait.
    pub fn spend(&self, key: K, allowance: Allowance, cost: u32, now: Instant) -> Result<(), Duration> {
        self.spend_rest(key, allowance, 0, cost, now)
    }

    /// Spends the rest of a cost of which `paid` was spent a moment ago, or nothing. `Err` says after what time both
    /// together can be spent: what was paid is gone.
    ///
    /// # Errors
    /// The time to wait.
    pub fn spend_rest(
        &self,
        key: K,
        allowance: Allowance,
        paid: u32,
        rest: u32,
        now: Instant,
    ) -> Result<(), Duration> {
        let Allowance { burst, one_in } = allowance;
        if burst == 0 {
            return Err(one_in);
        }
        let mut keys = self.whole_at.lock().expect("nobody panics while holding what was spent");
        if keys.len() >= self.keys_max && !keys.contains_key(&key) {
            make_room(&mut keys, now);
        }
        let whole_at = keys.entry(key).or_insert(now);
        let spent = whole_at.saturating_duration_since(now);
        let there = one_in * burst;
        let wanted = one_in * paid.saturating_add(rest).min(burst);
        if spent + wanted.saturating_sub(one_in * paid) > there {
            return Err(spent + wanted - there);
        }
        *whole_at = now + spent + one_in * rest;
        Ok(())
    }

    /// Keys remembered now.
    pub fn keys(&self) -> usize {
        self.whole_at.lock().expect("nobody panics while holding what was spent").len()
    }
}

fn make_room<K: Copy + Eq + Hash>(keys: &mut HashMap<K, Instant>, now: Instant) {
    let count = keys.len();
    keys.retain(|_, whole_at| *whole_at > now);
    if keys.len() < count {
        return;
    }
    let nearest = keys.iter().min_by_key(|(_, whole_at)| **whole_at).map(|(key, _)| *key);
    if let Some(nearest) = nearest {
        keys.remove(&nearest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN_A_SECOND: Allowance = Allowance { burst: 5, one_in: Duration::from_millis(100) };

    /// Rows of: at which millisecond, who, what was paid and what is to be spent, the wait in milliseconds if refused.
    fn tell(rows: &[(u64, char, u32, u32, Option<u64>)]) {
        let (limiter, start) = (Limiter::new(8), Instant::now());
        for (row, &(at, key, paid, rest, wait)) in rows.iter().enumerate() {
            let now = start + Duration::from_millis(at);
            let told = limiter.spend_rest(key, TEN_A_SECOND, paid, rest, now);
            assert_eq!(told.err(), wait.map(Duration::from_millis), "row {row}: {:?}", rows[row]);
        }
    }

    #[test]
    fn what_was_spent_grows_back_one_by_one() {
        tell(&[
            (0, 'a', 0, 1, None),
            (0, 'a', 0, 4, None),
            (0, 'a', 0, 1, Some(100)),
            (0, 'b', 0, 5, None),
            (99, 'a', 0, 1, Some(1)),
            (100, 'a', 0, 1, None),
            (100, 'a', 0, 1, Some(100)),
            // What was refused cost nothing.
            (300, 'a', 0, 2, None),
            (300, 'a', 0, 2, Some(200)),
            // No more than the burst is ever there.
            (60_000, 'a', 0, 5, None),
            (60_000, 'a', 0, 1, Some(100)),
        ]);
    }

    #[test]
    fn what_costs_more_than_the_burst_is_paid_for_afterwards() {
        tell(&[
            (0, 'a', 0, 1, None),
            (0, 'a', 0, 20, Some(100)),
            (100, 'a', 0, 20, None),
            // 20 of which 5 were there: one more is there when 16 have grown back.
            (100, 'a', 0, 1, Some(1_600)),
            (1_699, 'a', 0, 1, Some(1)),
            (1_700, 'a', 0, 1, None),
        ]);
    }

    #[test]
    fn a_rest_is_spent_behind_what_was_paid() {
        tell(&[
            (0, 'a', 0, 1, None),
            (0, 'a', 1, 4, None),
            (100, 'a', 0, 1, None),
            (100, 'a', 1, 2, Some(300)),
            (399, 'a', 0, 1, None),
            (399, 'a', 1, 2, Some(101)),
            (500, 'a', 0, 1, None),
            (500, 'a', 1, 2, None),
            (500, 'a', 0, 1, Some(100)),
            // More than the burst, once all of it is there.
            (5_000, 'b', 0, 1, None),
            (5_000, 'b', 1, 99, None),
            (5_000, 'b', 0, 1, Some(9_600)),
        ]);
    }
}
