//! Who waits for what in this process, and who is woken.
//!
//! Of all that wait for one key here, only the *front* watches the clock; the others sleep until they are
//! woken or the front has gone. A notice wakes as many as there is room for. Whoever was woken and leaves
//! without having tried passes the wake on.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::backend::{Next, Owner};
use crate::clock::BootTime;
use crate::rt::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use crate::rt::{Mutex, MutexGuard};
use crate::{LockKey, Mode, limits};

/// The lines of a process, by key.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    tickets: AtomicU64,
    /// How many are in line, each counted once.
    waiters: AtomicUsize,
    lines: Mutex<HashMap<LockKey, Line>>,
}

#[derive(Debug)]
struct Line {
    /// By arrival; never empty.
    waiters: BTreeMap<u64, Arc<Waiter>>,
    /// When somebody here looked at the lock last.
    looked_at: BootTime,
    /// When it may fall free without a notice, as far as that look told.
    free_at: Option<BootTime>,
}

#[derive(Debug)]
struct Waiter {
    owner: Owner,
    mode: Mode,
    woken: AtomicU8,
    notify: Notify,
}

/// Why a waiter should try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// A notice said so. It counted how many can be served.
    Told,
    /// Nobody counted: perhaps there is room for one more of its mode than is known of.
    Chained,
}

const ASLEEP: u8 = 0;
const TOLD: u8 = 1;
const CHAINED: u8 = 2;

/// One who waits in the lines of its keys. Leaves them when dropped.
#[derive(Debug)]
pub(crate) struct InLine {
    lines: Arc<Lines>,
    keys: Arc<[LockKey]>,
    ticket: u64,
    waiter: Arc<Waiter>,
}

impl Lines {
    /// Nothing if there are too many in line already.
    pub(crate) fn join(self: &Arc<Self>, keys: &Arc<[LockKey]>, owner: Owner, mode: &Mode) -> Option<InLine> {
        let one_more = |waiters: usize| (waiters < limits::WAITERS_MAX).then_some(waiters + 1);
        self.waiters.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more).ok()?;
        let waiter =
            Waiter { owner, mode: mode.clone(), woken: AtomicU8::new(ASLEEP), notify: Notify::new() };
        let waiter = Arc::new(waiter);
        let ticket = self.tickets.fetch_add(1, Ordering::Relaxed);
        let mut lines = self.lock();
        for key in &**keys {
            let line = lines.entry(key.clone()).or_insert_with(|| Line {
                waiters: BTreeMap::new(),
                looked_at: BootTime::now(),
                free_at: None,
            });
            line.waiters.insert(ticket, Arc::clone(&waiter));
        }
        drop(lines);
        Some(InLine { lines: Arc::clone(self), keys: Arc::clone(keys), ticket, waiter })
    }

    /// How many wait in this process.
    pub(crate) fn waiters(&self) -> usize {
        self.waiters.load(Ordering::Acquire)
    }

    /// Whether anybody here waits for one of these.
    pub(crate) fn wanted(&self, keys: &[LockKey]) -> bool {
        let lines = self.lock();
        keys.iter().any(|key| lines.contains_key(key))
    }

    /// Wakes those whose turn it may be.
    pub(crate) fn freed(&self, key: &LockKey, next: Option<&Next>) {
        let lines = self.lock();
        let Some(line) = lines.get(key) else { return };
        let Some(next) = next else {
            // It does not say for how many: where the smallest limit has gone there is room for many.
            line.first_asleep(|_| true).inspect(|waiter| waiter.wake(Wake::Chained));
            return;
        };
        let mut room = next.room;
        if let Some(first) = line.waiters.values().find(|waiter| waiter.owner == next.owner) {
            first.wake(Wake::Told);
            room = room.saturating_sub(1);
        } else if !next.mode.is_shared() {
            return;
        } else {
            // It is in another process, and needs room as well.
            room = room.saturating_sub(1);
        }
        let companions = line
            .waiters
            .values()
            .filter(|waiter| waiter.owner != next.owner && waiter.mode.name() == next.mode.name());
        for waiter in companions.take(room as usize) {
            waiter.wake(Wake::Told);
        }
    }

    /// After notices may have been missed: the front of every line looks for itself, and no one else. Whatever fell free
    /// meanwhile reaches the others through it: the answer names the first of the queue, who is woken if it is here; whoever
    /// gets in to a shared mode wakes the next of its mode, and so on until there is no more room; and one who waits for
    /// several keys passes on what is free of them. Waking all would send every waiter to a server that has just come back.
    pub(crate) fn missed(&self) {
        for line in self.lock().values() {
            if let Some(front) = line.waiters.values().next() {
                front.wake(Wake::Chained);
            }
        }
    }

    /// Tells the one that it is its turn, if it is in this process.
    pub(crate) fn turn(&self, key: &LockKey, owner: Owner) {
        let lines = self.lock();
        let Some(line) = lines.get(key) else { return };
        if let Some(waiter) = line.waiters.values().find(|waiter| waiter.owner == owner) {
            waiter.wake(Wake::Told);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<LockKey, Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn first_asleep(&self, fits: impl Fn(&Waiter) -> bool) -> Option<&Arc<Waiter>> {
        self.waiters.values().find(|waiter| waiter.is_asleep() && fits(waiter))
    }
}

impl Waiter {
    fn is_asleep(&self) -> bool {
        self.woken.load(Ordering::Acquire) == ASLEEP
    }

    fn wake(&self, wake: Wake) {
        self.woken.store(if wake == Wake::Told { TOLD } else { CHAINED }, Ordering::Release);
        self.notify.notify_one();
    }
}

impl InLine {
    /// Takes the wake-up call, if there is one: the waiter is about to try.
    pub(crate) fn take_wake(&self) -> Option<Wake> {
        match self.waiter.woken.swap(ASLEEP, Ordering::AcqRel) {
            TOLD => Some(Wake::Told),
            CHAINED => Some(Wake::Chained),
            _ => None,
        }
    }

    /// Gives a wake-up call back that led to nothing, so that it is passed on when we leave.
    pub(crate) fn put_wake_back(&self) {
        self.waiter.woken.store(CHAINED, Ordering::Release);
    }

    /// Passes a wake-up call on to those behind us who do not wait for the key that is in our way. Never to those before
    /// us: two who want the same keys would wake each other for ever.
    pub(crate) fn pass_on(&self, in_the_way: usize) {
        let lines = self.lines.lock();
        let stopped = lines.get(&self.keys[in_the_way]);
        let waits_too = |ticket: &u64| stopped.is_some_and(|line| line.waiters.contains_key(ticket));
        for (_, key) in self.keys.iter().enumerate().filter(|(index, _)| *index != in_the_way) {
            let Some(line) = lines.get(key) else { continue };
            let mut behind = line.waiters.range(self.ticket + 1..);
            let next = behind.find(|(ticket, waiter)| waiter.is_asleep() && !waits_too(ticket));
            next.inspect(|(_, waiter)| waiter.wake(Wake::Told));
        }
    }

    /// Passes a wake-up call on to the first behind us who lets in more than we do: what is full for us has perhaps room for
    /// it. Each call goes further back, so it ends.
    pub(crate) fn pass_on_to_more(&self, in_the_way: usize) {
        let lines = self.lines.lock();
        let Some(line) = lines.get(&self.keys[in_the_way]) else { return };
        let mode = &self.waiter.mode;
        let lets_in_more = |waiter: &Waiter| {
            waiter.mode.name() == mode.name() && waiter.mode.holders_max() > mode.holders_max()
        };
        let mut behind = line.waiters.range(self.ticket + 1..);
        let next = behind.find(|(_, waiter)| waiter.is_asleep() && lets_in_more(waiter));
        next.inspect(|(_, waiter)| waiter.wake(Wake::Chained));
    }

    /// Something has changed: a wake-up call, or this is now the front.
    pub(crate) async fn changed(&self) {
        self.waiter.notify.notified().await;
    }

    /// Notes what a look at one of the keys has told. Whatever another one here was told and is yet to come stands: what is
    /// in its way may be over sooner than what is in ours, and only the front watches the clock for both.
    pub(crate) fn looked(&self, key: usize, free_at: BootTime) {
        let now = BootTime::now();
        if let Some(line) = self.lines.lock().get_mut(&self.keys[key]) {
            let earlier = line.free_at.filter(|told| *told > now);
            line.looked_at = now;
            line.free_at = earlier.into_iter().chain([free_at]).min();
        }
    }

    /// When to look at a key again without having been woken. Only its front does.
    pub(crate) fn next_look(&self, key: usize, recheck: Duration) -> Option<BootTime> {
        let lines = self.lines.lock();
        let line = lines.get(&self.keys[key])?;
        if line.waiters.keys().next() != Some(&self.ticket) {
            return None;
        }
        let recheck_at = line.looked_at + recheck;
        Some(line.free_at.map_or(recheck_at, |free_at| free_at.min(recheck_at)))
    }

    /// Leaves with the lock, which nobody else can have before its lease is over unless its mode is shared.
    pub(crate) fn served(self, over_at: BootTime, chain: bool) {
        let _ = self.take_wake();
        let shared = self.waiter.mode.is_shared();
        for key in 0..self.keys.len() {
            if !shared && let Some(line) = self.lines.lock().get_mut(&self.keys[key]) {
                // What was in the way is over for everybody.
                line.free_at = None;
            }
            self.looked(key, over_at);
        }
        if !chain || !shared {
            return;
        }
        let lines = self.lines.lock();
        for line in self.keys.iter().filter_map(|key| lines.get(key)) {
            let companion = line.first_asleep(|waiter| {
                waiter.owner != self.waiter.owner && waiter.mode.name() == self.waiter.mode.name()
            });
            companion.inspect(|waiter| waiter.wake(Wake::Chained));
        }
    }
}

impl Drop for InLine {
    fn drop(&mut self) {
        let mut lines = self.lines.lock();
        // Wakes are given under this lock too, so none comes between this look and our leaving.
        let woken = self.take_wake();
        for key in &*self.keys {
            let Some(line) = lines.get_mut(key) else { continue };
            let was_front = line.waiters.keys().next() == Some(&self.ticket);
            line.waiters.remove(&self.ticket);
            if line.waiters.is_empty() {
                lines.remove(key);
                continue;
            }
            if let (Some(wake), Some(next)) = (woken, line.first_asleep(|_| true)) {
                next.wake(wake);
            }
            if let (true, Some((_, front))) = (was_front, line.waiters.first_key_value()) {
                // Not a wake-up call: the new front only has to look at the clock.
                front.notify.notify_one();
            }
        }
        drop(lines);
        self.lines.waiters.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> (Arc<Lines>, Arc<[LockKey]>) {
        (Arc::default(), [LockKey::new("a").unwrap()].into())
    }

    #[test]
    fn a_notice_wakes_one_and_whoever_leaves_passes_it_on() {
        let (lines, keys) = lines();
        let [first, second, third] =
            [(); 3].map(|()| lines.join(&keys, Owner::random(), &Mode::exclusive()).unwrap());
        lines.freed(&keys[0], None);
        drop(first);
        assert_eq!(second.take_wake(), Some(Wake::Chained), "it was not used, so it is passed on");
        assert_eq!(third.take_wake(), None);
        drop(second);
        assert_eq!(third.take_wake(), None, "it was used");
        assert!(lines.wanted(&keys));
        third.served(BootTime::now() + Duration::from_secs(1), false);
        assert!(!lines.wanted(&keys), "nothing is kept of an empty line");
    }

    #[test]
    fn the_one_whose_turn_it_is_is_woken_and_its_companions_as_far_as_there_is_room() {
        let (lines, keys) = lines();
        let mode = Mode::new("allocate").unwrap();
        let owners = [(); 4].map(|()| Owner::random());
        let waiters = owners.map(|owner| lines.join(&keys, owner, &mode).unwrap());
        let cancel = lines.join(&keys, Owner::random(), &Mode::exclusive()).unwrap();
        let woken = |owner, mode: &Mode, room| {
            lines.freed(&keys[0], Some(&Next { owner, mode: mode.clone(), room }));
            let woken: Vec<bool> = waiters.iter().map(|waiter| waiter.take_wake().is_some()).collect();
            (woken, cancel.take_wake().is_some())
        };
        assert_eq!(woken(owners[2], &mode, 1), (vec![false, false, true, false], false));
        assert_eq!(woken(owners[2], &mode, 2), (vec![true, false, true, false], false));
        assert_eq!(woken(owners[2], &mode, 9), (vec![true; 4], false));
        // Somebody else's, who needs room for itself.
        assert_eq!(woken(Owner::random(), &mode, 3), (vec![true, true, false, false], false));
        assert_eq!(woken(Owner::random(), &Mode::exclusive(), 1), (vec![false; 4], false));
    }

    #[test]
    fn who_lets_in_too_few_passes_a_notice_on_to_who_lets_in_more() {
        let (lines, keys) = lines();
        let join = |mode: &str, holders_max| {
            let mode = Mode::new(mode).unwrap().max_holders(holders_max).unwrap();
            lines.join(&keys, Owner::random(), &mode).unwrap()
        };
        let [few, as_few, other, more, most] =
            [("allocate", 2), ("allocate", 2), ("cancel", 9), ("allocate", 3), ("allocate", 9)]
                .map(|(mode, holders_max)| join(mode, holders_max));
        lines.freed(&keys[0], None);
        assert_eq!(few.take_wake(), Some(Wake::Chained));
        few.pass_on_to_more(0);
        assert_eq!([&as_few, &other, &most].map(InLine::take_wake), [None; 3]);
        assert_eq!(more.take_wake(), Some(Wake::Chained));
        more.pass_on_to_more(0);
        assert_eq!(most.take_wake(), Some(Wake::Chained));
        most.pass_on_to_more(0);
        let all = [&few, &as_few, &other, &more, &most];
        assert_eq!(all.map(InLine::take_wake), [None; 5], "nobody is woken twice by one notice");
    }

    #[test]
    fn a_notice_that_does_not_count_lets_in_one_after_the_other() {
        let (lines, keys) = lines();
        let join = || lines.join(&keys, Owner::random(), &Mode::shared()).unwrap();
        let (first, second) = (join(), join());
        lines.freed(&keys[0], None);
        let wake = first.take_wake().expect("it is told");
        first.served(BootTime::now() + Duration::from_secs(1), wake == Wake::Chained);
        assert_eq!(second.take_wake(), Some(Wake::Chained));
    }

    #[tokio::test]
    async fn only_the_front_watches_the_clock_and_the_next_one_is_told_when_it_has_gone() {
        let (lines, keys) = lines();
        let [front, next] = [(); 2].map(|()| lines.join(&keys, Owner::random(), &Mode::exclusive()).unwrap());
        front.looked(0, BootTime::now() + Duration::from_millis(300));
        let recheck = Duration::from_secs(5);
        let look_at = front.next_look(0, recheck).unwrap();
        assert!(look_at.remaining() <= Duration::from_millis(300));
        assert_eq!(next.next_look(0, recheck), None);
        drop(front);
        tokio::time::timeout(Duration::from_secs(5), next.changed()).await.expect("it is told");
        assert_eq!(next.take_wake(), None, "but not to try");
        assert_eq!(next.next_look(0, recheck), Some(look_at));
    }

    #[test]
    fn what_one_was_told_stands_until_it_is_past_though_another_was_told_something_later() {
        let (lines, keys) = lines();
        let mode = Mode::new("allocate").unwrap();
        let join = |mode| lines.join(&keys, Owner::random(), mode).unwrap();
        let (front, behind, one_more) = (join(&mode), join(&Mode::shared()), join(&Mode::exclusive()));
        let (soon, late) = (Duration::from_secs(60), Duration::from_secs(900));
        let look_in = || front.next_look(0, late * 2).unwrap().remaining();
        let at = |time| BootTime::now() + time;
        front.looked(0, at(soon));
        // It waits for the front to leave the queue, and not for the holder.
        behind.looked(0, at(late));
        assert!(look_in() <= soon, "{:?}", look_in());
        // Another permit is taken, and the first one ends when it did.
        behind.served(at(late), false);
        assert!(look_in() <= soon, "{:?}", look_in());
        // But after this one nobody can get in earlier.
        one_more.served(at(late), false);
        assert!(look_in() > soon, "{:?}", look_in());
        front.looked(0, BootTime::now());
        front.looked(0, at(late));
        assert!(look_in() > soon, "what is past is forgotten: {:?}", look_in());
    }

    #[test]
    fn there_is_an_end_to_the_line() {
        let (lines, keys) = lines();
        let both: Arc<[LockKey]> = [keys[0].clone(), LockKey::new("b").unwrap()].into();
        let join = |keys| lines.join(keys, Owner::random(), &Mode::exclusive());
        // One who waits for two keys is one.
        let mut waiters: Vec<InLine> = (1..limits::WAITERS_MAX).map(|_| join(&keys).unwrap()).collect();
        waiters.push(join(&both).expect("the last one that there is room for"));
        assert_eq!(lines.waiters(), limits::WAITERS_MAX);
        assert!(join(&keys).is_none() && join(&both).is_none());
        waiters.pop();
        let last = join(&keys).expect("one has left");
        assert!(join(&keys).is_none());
        last.served(BootTime::now() + Duration::from_secs(1), false);
        assert!(join(&keys).is_some(), "one was served");
        drop(waiters);
        assert_eq!(lines.waiters(), 0);
        assert!(!lines.wanted(&both), "and those who were turned away are in no line");
    }

    #[test]
    fn after_a_gap_the_front_of_each_line_looks() {
        let (lines, keys) = lines();
        let [front, next] = [(); 2].map(|()| lines.join(&keys, Owner::random(), &Mode::shared()).unwrap());
        lines.missed();
        assert_eq!((front.take_wake(), next.take_wake()), (Some(Wake::Chained), None));
        // It got in, so perhaps others can.
        front.served(BootTime::now() + Duration::from_secs(1), true);
        assert_eq!(next.take_wake(), Some(Wake::Chained));
    }
}
