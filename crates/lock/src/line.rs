//! Who waits for what in this process, and who is woken.
//!
//! Of all that one key keeps out here, only the first watches the clock; the others sleep until they are woken or
//! that one has gone. One who waits for several keys watches none but the one that is in its way. A notice wakes as
//! many as there is room for. Whoever was woken and leaves without having tried passes the wake on, and so does who shares
//! a lock and was woken when it had it already. Those whom the backend has failed ask one at a time, until one is answered;
//! what one of them was woken for and leaves behind, the others come for in their turn.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::acquisition::jitter;
use crate::backend::{Next, Owner};
use crate::clock::BootTime;
use crate::rt::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use crate::rt::{Mutex, MutexGuard};
use crate::{LockKey, Mode, limits};

/// The lines of a process, by key.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    tickets: AtomicU64,
    /// How many are in line, each counted once.
    waiters: AtomicUsize,
    /// In an order, so that a schedule can be played again.
    lines: Mutex<BTreeMap<LockKey, Line>>,
}

#[derive(Debug)]
struct Line {
    /// By arrival; never empty.
    waiters: BTreeMap<u64, Arc<Waiter>>,
    /// Those of them whom this key kept out when they looked last; each is stopped by one of its keys. The first of
    /// them is the watcher.
    stopped: BTreeSet<u64>,
    /// When somebody here looked at the lock last.
    looked_at: BootTime,
    /// When it may fall free without a notice, as far as that look told.
    free_at: Option<BootTime>,
    /// The end of the quarantine that the look told of, if it did.
    quarantined_until: Option<BootTime>,
    failed: Failed,
}

/// Those of a line whom the backend has not answered, or could not serve just then. Each asks in its turn: a backend in
/// trouble is spared the others, and one whom it fails for its own sake keeps back nobody.
#[derive(Debug)]
struct Failed {
    tickets: BTreeSet<u64>,
    /// Whose turn it is, if there is one …
    turn: Option<u64>,
    /// … and when.
    ask_at: BootTime,
    /// How long the last pause was; zero once one was answered.
    pause: Duration,
}

#[derive(Debug)]
struct Waiter {
    owner: Owner,
    mode: Mode,
    /// Whether it acts on a wake-up call whatever its caller does. The first attempt goes on only while somebody polls it.
    acts: AtomicBool,
    /// Whether the backend has failed it, and it asks in its turn.
    failed: AtomicBool,
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
    /// As `Chained`, by one who left because the backend had failed it. Whom it has failed as well comes in its turn.
    Left,
}

const ASLEEP: u8 = 0;
const LEFT: u8 = 1;
const TOLD: u8 = 2;
const CHAINED: u8 = 3;

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
        let (acts, failed) = (AtomicBool::new(false), AtomicBool::new(false));
        let (woken, notify) = (AtomicU8::new(ASLEEP), Notify::new());
        let waiter = Arc::new(Waiter { owner, mode: mode.clone(), acts, failed, woken, notify });
        let ticket = self.tickets.fetch_add(1, Ordering::Relaxed);
        let mut lines = self.lock();
        for key in &**keys {
            let line = lines.entry(key.clone()).or_insert_with(|| Line {
                waiters: BTreeMap::new(),
                stopped: BTreeSet::new(),
                looked_at: BootTime::now(),
                free_at: None,
                quarantined_until: None,
                failed: Failed::nobody(),
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
            line.wake_one(Wake::Chained, 0, |_| true);
            return;
        };
        let mut room = next.room;
        if let Some(first) = line.waiters.values().find(|waiter| waiter.owner == next.owner) {
            first.wake(Wake::Told);
            room = room.saturating_sub(1);
            if !first.acts() {
                // Should it let its time go by, somebody must know until when.
                line.wake_one(Wake::Chained, 0, |(_, waiter)| waiter.owner != next.owner);
            }
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
        for waiter in companions {
            if room == 0 {
                return;
            }
            waiter.wake(Wake::Told);
            room -= u32::from(waiter.acts());
        }
    }

    /// After notices may have been missed: the first of each mode in every line looks for itself, and no one else. What keeps
    /// it out keeps out the others of its mode. Whatever fell free meanwhile reaches them through it: the answer names the
    /// first of the queue, who is woken if it is here; whoever gets in to a shared mode wakes the next of its mode, and so on
    /// until there is no more room; and one who waits for several keys passes on what is free of them. Waking all would send
    /// every waiter to a server that has just come back.
    pub(crate) fn missed(&self) {
        for line in self.lock().values() {
            let mut modes: Vec<&Mode> = Vec::new();
            for waiter in line.waiters.values() {
                if modes.contains(&&waiter.mode) {
                    continue;
                }
                waiter.wake(Wake::Chained);
                if waiter.acts() {
                    modes.push(&waiter.mode);
                }
            }
        }
    }

    /// Tells the one that it is its turn, if it is in this process. Nobody counted whether those behind it get in as well.
    pub(crate) fn turn(&self, key: &LockKey, owner: Owner) {
        let lines = self.lock();
        let Some(line) = lines.get(key) else { return };
        if let Some(waiter) = line.waiters.values().find(|waiter| waiter.owner == owner) {
            waiter.wake(Wake::Chained);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<LockKey, Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// Wakes the first of them that sleeps, from this ticket on. One that makes its first attempt does not count: it may get in by that, or nobody
    /// may poll it for a while. It is woken, to try again if it fails, and so is the next one.
    fn wake_one(&self, wake: Wake, from: u64, fits: impl Fn((&u64, &Waiter)) -> bool) {
        for (ticket, waiter) in self.waiters.range(from..) {
            if waiter.is_asleep() && fits((ticket, waiter)) {
                waiter.wake(wake);
                if waiter.acts() {
                    return;
                }
            }
        }
    }

    /// Who watches the clock.
    fn watcher(&self) -> Option<u64> {
        self.stopped.first().copied()
    }

    /// Not a wake-up call: the watcher only has to look at the clock.
    fn rouse(&self) {
        self.rouse_one(self.watcher());
    }

    fn rouse_one(&self, ticket: Option<u64>) {
        if let Some(waiter) = ticket.and_then(|ticket| self.waiters.get(&ticket)) {
            waiter.notify.notify_one();
        }
    }

    /// Rouses the watcher if it is another one than before.
    fn hand_over(&self, before: Option<u64>) {
        if self.watcher() != before {
            self.rouse();
        }
    }

    /// Notes what a look has told. Whatever another one here was told and is yet to come stands: what is in its way may be
    /// over sooner than what is in ours, and only the watcher looks at the clock for both.
    fn note(&mut self, now: BootTime, free_at: BootTime) {
        let told = self.free_at.filter(|told| *told > now);
        self.renew(now, told.map_or(free_at, |told| told.min(free_at)));
    }

    /// Notes what a look has told, after which nothing stands that was told before.
    fn renew(&mut self, now: BootTime, free_at: BootTime) {
        let sooner = self.free_at.is_none_or(|told| free_at < told);
        self.quarantined_until = None;
        self.looked_at = now;
        self.free_at = Some(free_at);
        if sooner {
            self.rouse();
        }
    }
}

impl Failed {
    fn nobody() -> Self {
        let (tickets, turn) = (BTreeSet::new(), None);
        Self { tickets, turn, ask_at: BootTime::now(), pause: Duration::ZERO }
    }

    /// One more. After whoever had its turn, the pause is longer.
    fn add(&mut self, ticket: u64) {
        if self.tickets.is_empty() {
            self.pause = Duration::ZERO;
        }
        self.tickets.insert(ticket);
        if self.turn.is_none_or(|turn| turn == ticket) {
            self.pause_for(limits::ATTEMPT_PAUSE.max(self.pause * 2).min(limits::ATTEMPT_PAUSE_MAX));
            self.turn = self.next(ticket);
        }
    }

    /// One less, whatever came of it.
    fn remove(&mut self, ticket: u64) {
        if self.tickets.remove(&ticket) && self.turn == Some(ticket) {
            self.turn = self.next(ticket);
        }
    }

    /// One was answered. Returns some who may be as well.
    fn answered(&mut self, ticket: u64) -> impl Iterator<Item = u64> {
        self.remove(ticket);
        let some = [self.tickets.pop_first(), self.tickets.pop_first()];
        self.pause_for(limits::ATTEMPT_PAUSE);
        self.pause = Duration::ZERO;
        self.turn = self.tickets.first().copied();
        some.into_iter().flatten()
    }

    fn pause_for(&mut self, pause: Duration) {
        self.pause = pause;
        self.ask_at = BootTime::now() + pause - jitter(pause / 2);
    }

    /// Who comes behind this one.
    fn next(&self, ticket: u64) -> Option<u64> {
        self.tickets.range(ticket + 1..).next().or_else(|| self.tickets.first()).copied()
    }
}

impl Waiter {
    fn acts(&self) -> bool {
        self.acts.load(Ordering::Acquire)
    }

    fn failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Whether another call has it try sooner.
    fn is_asleep(&self) -> bool {
        self.woken.load(Ordering::Acquire) <= LEFT
    }

    fn wake(&self, wake: Wake) {
        let woken = match wake {
            Wake::Left if self.failed() => LEFT,
            Wake::Told => TOLD,
            Wake::Left | Wake::Chained => CHAINED,
        };
        // What nobody counted stays so when another call comes.
        self.woken.fetch_max(woken, Ordering::AcqRel);
        if woken != LEFT {
            self.notify.notify_one();
        }
    }

    fn take_wake(&self) -> Option<Wake> {
        match self.woken.swap(ASLEEP, Ordering::AcqRel) {
            LEFT => Some(Wake::Left),
            TOLD => Some(Wake::Told),
            CHAINED => Some(Wake::Chained),
            _ => None,
        }
    }
}

impl InLine {
    /// From now on it acts on wake-up calls by itself.
    pub(crate) fn act(&self) {
        self.waiter.acts.store(true, Ordering::Release);
    }

    pub(crate) fn acts(&self) -> bool {
        self.waiter.acts()
    }

    /// Takes the wake-up call, if there is one that does not wait for our turn: the waiter is about to try.
    pub(crate) fn take_wake(&self) -> Option<Wake> {
        if self.waiter.failed() && self.waiter.woken.load(Ordering::Acquire) == LEFT {
            return None;
        }
        self.waiter.take_wake().map(|wake| if wake == Wake::Left { Wake::Chained } else { wake })
    }

    /// It is time to try. Whatever it was woken for, it comes for that now.
    pub(crate) fn take_time(&self) -> Wake {
        let _ = self.waiter.take_wake();
        Wake::Chained
    }

    /// Gives a wake-up call back that led to nothing, so that it is passed on when we leave.
    pub(crate) fn put_wake_back(&self) {
        let woken = if self.waiter.failed() { LEFT } else { CHAINED };
        self.waiter.woken.fetch_max(woken, Ordering::AcqRel);
    }

    /// Passes a wake-up call on to those behind us who do not wait for the key that is in our way. Never to those before
    /// us: two who want the same keys would wake each other for ever. Nobody counted for how many there is room.
    pub(crate) fn pass_on(&self, in_the_way: usize) {
        let lines = self.lines.lock();
        let stopped = lines.get(&self.keys[in_the_way]);
        let waits_too = |ticket: &u64| stopped.is_some_and(|line| line.waiters.contains_key(ticket));
        for (_, key) in self.keys.iter().enumerate().filter(|(index, _)| *index != in_the_way) {
            let Some(line) = lines.get(key) else { continue };
            line.wake_one(Wake::Chained, self.ticket + 1, |(ticket, _)| !waits_too(ticket));
        }
    }

    /// Passes a wake-up call on to the first behind us who lets in more than we do: what is full for us has perhaps room for
    /// it. So has what is held for whoever shares it, if we want several keys; with one we have a place in the queue then,
    /// and nobody behind us gets in before. Each call goes further back, so it ends.
    pub(crate) fn pass_on_to_more(&self, in_the_way: usize) {
        let lines = self.lines.lock();
        let Some(line) = lines.get(&self.keys[in_the_way]) else { return };
        let mode = &self.waiter.mode;
        let lets_in_more = |waiter: &Waiter| {
            let same = waiter.mode.name() == mode.name() || self.keys.len() > 1;
            same && waiter.mode.holders_max() > mode.holders_max()
        };
        line.wake_one(Wake::Chained, self.ticket + 1, |(_, waiter)| lets_in_more(waiter));
    }

    /// The backend has not answered it, or could not serve it just then. It asks again in its turn.
    pub(crate) fn failed(&self) {
        if let Some(line) = self.lines.lock().get_mut(&self.keys[0]) {
            self.waiter.failed.store(true, Ordering::Release);
            line.failed.add(self.ticket);
            line.rouse_one(line.failed.turn);
        }
    }

    /// When to ask again whom the backend has failed. Only who has its turn does.
    pub(crate) fn next_try(&self) -> Option<BootTime> {
        let lines = self.lines.lock();
        let failed = &lines.get(&self.keys[0])?.failed;
        (failed.turn == Some(self.ticket)).then_some(failed.ask_at)
    }

    /// The backend has answered. It may answer those as well whom it has failed: two of them ask, and whoever is answered has
    /// two more ask, so that they do not come all at once and are soon through.
    pub(crate) fn answered(&self) {
        let mut lines = self.lines.lock();
        let Some(line) = lines.get_mut(&self.keys[0]).filter(|line| !line.failed.tickets.is_empty()) else {
            return;
        };
        self.waiter.failed.store(false, Ordering::Release);
        for ticket in line.failed.answered(self.ticket) {
            line.waiters[&ticket].failed.store(false, Ordering::Release);
            // Nobody counted whether there is room for them.
            line.waiters[&ticket].wake(Wake::Chained);
        }
        line.rouse_one(line.failed.turn);
    }

    /// Something has changed: a wake-up call, or there is a clock to look at.
    pub(crate) async fn changed(&self) {
        self.waiter.notify.notified().await;
    }

    /// Notes what a look has told of the key that is in our way now.
    pub(crate) fn looked(&self, key: usize, free_at: BootTime) {
        let mut lines = self.lines.lock();
        let in_the_way = &self.keys[key];
        let mut stopped = BTreeSet::from([self.ticket]);
        if let Some(before) = self.stopped_by(&lines).filter(|before| *before != in_the_way) {
            // Whoever was stopped beside us and wants this key as well is stopped by it, too: several keys are always taken
            // exclusively. Otherwise one after the other would look, only to be told the same.
            let wants_it =
                |ticket: &u64| lines.get(in_the_way).is_some_and(|line| line.waiters.contains_key(ticket));
            let with_us =
                lines.get(before).map(|line| line.stopped.iter().copied().filter(wants_it).collect());
            stopped = with_us.unwrap_or(stopped);
            if let Some(line) = lines.get_mut(before) {
                let watcher = line.watcher();
                line.stopped.retain(|ticket| !stopped.contains(ticket));
                line.hand_over(watcher);
            }
        }
        if let Some(line) = lines.get_mut(in_the_way) {
            let watcher = line.watcher();
            line.note(BootTime::now(), free_at);
            line.stopped.append(&mut stopped);
            line.hand_over(watcher);
        }
    }

    /// Notes that a look has told of a quarantine, which is in the way of all keys until then.
    pub(crate) fn quarantined(&self, until: BootTime) {
        let mut lines = self.lines.lock();
        for key in &*self.keys {
            if let Some(line) = lines.get_mut(key) {
                line.quarantined_until = Some(until);
            }
        }
    }

    /// The end of the quarantine that somebody here was told of last, if that was the last that was told.
    pub(crate) fn quarantined_until(&self) -> Option<BootTime> {
        self.lines.lock().get(&self.keys[0])?.quarantined_until
    }

    /// Whether it is the one who looks at the clock, for itself and for all who wait behind it.
    pub(crate) fn watches(&self) -> bool {
        let lines = self.lines.lock();
        let stopped_by = self.stopped_by(&lines).and_then(|key| lines.get(key));
        stopped_by.is_some_and(|line| line.watcher() == Some(self.ticket))
    }

    /// When to look again without having been woken. Only a watcher does.
    pub(crate) fn next_look(&self, recheck: Duration) -> Option<BootTime> {
        let lines = self.lines.lock();
        let line = lines.get(self.stopped_by(&lines)?).filter(|line| line.watcher() == Some(self.ticket))?;
        let recheck_at = line.looked_at + recheck;
        Some(line.free_at.map_or(recheck_at, |free_at| free_at.min(recheck_at)))
    }

    /// The key that is in our way, as far as is known: others may have been told for us.
    fn stopped_by(&self, lines: &BTreeMap<LockKey, Line>) -> Option<&LockKey> {
        let stops = |key: &LockKey| lines.get(key).is_some_and(|line| line.stopped.contains(&self.ticket));
        self.keys.iter().find(|key| stops(key))
    }

    /// Leaves with the lock, which nobody else can have before its lease is over unless its mode is shared.
    pub(crate) fn served(self, over_at: BootTime, chain: bool) {
        let shared = self.waiter.mode.is_shared();
        let mut lines = self.lines.lock();
        // A call that came when the grant was on its way told of room for one more.
        let wake = if chain { Some(Wake::Chained) } else { self.take_wake() };
        let _ = self.take_wake();
        for key in &*self.keys {
            let Some(line) = lines.get_mut(key) else { continue };
            if shared {
                line.note(BootTime::now(), over_at);
            } else {
                // What was in the way is over for everybody.
                line.renew(BootTime::now(), over_at);
            }
        }
        let Some(wake) = wake.filter(|_| shared) else { return };
        for line in self.keys.iter().filter_map(|key| lines.get(key)) {
            line.wake_one(wake, 0, |(_, waiter)| {
                waiter.owner != self.waiter.owner && waiter.mode.name() == self.waiter.mode.name()
            });
        }
    }
}

impl Drop for InLine {
    fn drop(&mut self) {
        let mut lines = self.lines.lock();
        // Wakes are given under this lock too, so none comes between this look and our leaving.
        let woken = self.waiter.take_wake();
        for key in &*self.keys {
            let Some(line) = lines.get_mut(key) else { continue };
            let watcher = line.watcher();
            line.waiters.remove(&self.ticket);
            line.stopped.remove(&self.ticket);
            if line.waiters.is_empty() {
                lines.remove(key);
                continue;
            }
            line.failed.remove(self.ticket);
            line.rouse_one(line.failed.turn);
            if let Some(wake) = woken {
                line.wake_one(wake, 0, |_| true);
            }
            line.hand_over(watcher);
        }
        drop(lines);
        self.lines.waiters.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use super::*;

    fn lines() -> (Arc<Lines>, Arc<[LockKey]>) {
        (Arc::default(), [LockKey::new("a").unwrap()].into())
    }

    /// One whose first attempt is over.
    fn resting(lines: &Arc<Lines>, keys: &Arc<[LockKey]>, mode: &Mode) -> InLine {
        let waiter = lines.join(keys, Owner::random(), mode).unwrap();
        waiter.act();
        waiter
    }

    #[test]
    fn a_notice_wakes_one_and_whoever_leaves_passes_it_on() {
        let (lines, keys) = lines();
        let [first, second, third] = [(); 3].map(|()| resting(&lines, &keys, &Mode::exclusive()));
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
        waiters.iter().for_each(InLine::act);
        let cancel = resting(&lines, &keys, &Mode::exclusive());
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
            resting(&lines, &keys, &mode)
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
        let join = || resting(&lines, &keys, &Mode::shared());
        let (first, second) = (join(), join());
        lines.freed(&keys[0], None);
        let wake = first.take_wake().expect("it is told");
        first.served(BootTime::now() + Duration::from_secs(1), wake == Wake::Chained);
        assert_eq!(second.take_wake(), Some(Wake::Chained));
    }

    #[tokio::test]
    async fn only_the_front_watches_the_clock_and_the_next_one_is_told_when_it_has_gone() {
        let (lines, keys) = lines();
        let [front, next] = [(); 2].map(|()| resting(&lines, &keys, &Mode::exclusive()));
        let recheck = Duration::from_secs(5);
        assert_eq!(front.next_look(recheck), None, "it is about to look");
        front.looked(0, BootTime::now() + Duration::from_millis(300));
        next.looked(0, BootTime::now() + Duration::from_secs(1));
        let look_at = front.next_look(recheck).unwrap();
        assert!(look_at.remaining() <= Duration::from_millis(300));
        assert_eq!(next.next_look(recheck), None);
        drop(front);
        tokio::time::timeout(Duration::from_secs(5), next.changed()).await.expect("it is told");
        assert_eq!(next.take_wake(), None, "but not to try");
        assert_eq!(next.next_look(recheck), Some(look_at));
    }

    /// Whether somebody who rests would look at the clock now.
    fn is_roused(waiter: &InLine) -> bool {
        let mut changed = std::pin::pin!(waiter.changed());
        changed.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn each_key_is_watched_by_the_first_whom_it_keeps_out() {
        let lines: Arc<Lines> = Arc::default();
        let join = |keys: &[&str]| {
            let keys: Vec<_> = keys.iter().map(|key| LockKey::new(key).unwrap()).collect();
            resting(&lines, &keys.into(), &Mode::exclusive())
        };
        let (soon, late, recheck) =
            (Duration::from_secs(60), Duration::from_secs(900), Duration::from_secs(9_000));
        let at = |time| BootTime::now() + time;
        let watches = |waiter: &InLine| waiter.next_look(recheck).is_some();
        let for_b = join(&["b"]);
        for_b.looked(0, at(late));
        let [both, both_too] = [(); 2].map(|()| join(&["a", "b"]));
        both.looked(1, at(late));
        let (for_a, a_and_c) = (join(&["a"]), join(&["a", "c"]));
        for_a.looked(0, at(soon));
        both_too.looked(0, at(late));
        assert!(watches(&for_b) && !watches(&both), "the first that waits for b watches it");
        assert!(!watches(&for_a) && watches(&both_too), "the one before it came to wait for a, too");
        assert!(is_roused(&both_too) && both_too.next_look(recheck).unwrap().remaining() <= soon);

        // Both keys are free for one and then the other is taken: it waits for that, and the next one watches.
        let _ = is_roused(&for_a);
        both_too.looked(1, at(late));
        assert!(is_roused(&for_a) && watches(&for_a) && !watches(&both_too));
        a_and_c.looked(0, at(late));
        drop(for_b);
        assert!(is_roused(&both) && watches(&both) && !watches(&both_too));
        // What is in the way of one is in the way of all who were stopped beside it and want both.
        both.looked(0, at(late));
        assert!(watches(&both) && !watches(&for_a) && !watches(&both_too));
        drop(both);
        assert!(watches(&both_too), "the next of those who want a, though it has not looked itself");
        drop(both_too);
        assert!(watches(&for_a) && !watches(&a_and_c));
        for_a.served(at(soon), false);
        assert!(is_roused(&a_and_c) && watches(&a_and_c));
    }

    #[test]
    fn the_watcher_hears_of_what_ends_sooner_than_it_was_told() {
        let (lines, keys) = lines();
        let join = || resting(&lines, &keys, &Mode::exclusive());
        let (watcher, behind, quick) = (join(), join(), join());
        let (soon, late) = (Duration::from_secs(60), Duration::from_secs(900));
        watcher.looked(0, BootTime::now() + late * 2);
        let _ = is_roused(&watcher);
        behind.looked(0, BootTime::now() + late);
        assert!(is_roused(&watcher) && !is_roused(&behind));
        behind.looked(0, BootTime::now() + late * 2);
        assert!(!is_roused(&watcher), "nothing has changed for it");
        quick.served(BootTime::now() + soon, false);
        assert!(is_roused(&watcher));
        assert!(watcher.next_look(late * 2).unwrap().remaining() <= soon);
    }

    #[test]
    fn what_one_was_told_stands_until_it_is_past_though_another_was_told_something_later() {
        let (lines, keys) = lines();
        let mode = Mode::new("allocate").unwrap();
        let join = |mode| resting(&lines, &keys, mode);
        let (front, behind, one_more) = (join(&mode), join(&Mode::shared()), join(&Mode::exclusive()));
        let (soon, late) = (Duration::from_secs(60), Duration::from_secs(900));
        let look_in = || front.next_look(late * 2).unwrap().remaining();
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
    fn those_whom_the_backend_fails_ask_in_turn_and_ever_more_rarely() {
        let (lines, keys) = lines();
        let waiters = [(); 3].map(|()| resting(&lines, &keys, &Mode::exclusive()));
        waiters.iter().for_each(InLine::failed);
        let who = || -> Vec<usize> { (0..3).filter(|who| waiters[*who].next_try().is_some()).collect() };
        let mut pause = limits::ATTEMPT_PAUSE;
        // The first was alone when it failed.
        for turn in [0, 1, 2, 0, 1, 2, 0] {
            assert_eq!(who(), [turn]);
            assert_eq!(lines.lock()[&keys[0]].failed.pause, pause);
            assert!(waiters[turn].next_try().unwrap().remaining() <= pause);
            assert!(turn == 0 || is_roused(&waiters[turn]), "it looks at the clock");
            waiters[turn].failed();
            pause = (pause * 2).min(limits::ATTEMPT_PAUSE_MAX);
        }
        let [first, second, third] = waiters;
        let _ = is_roused(&third);
        drop(second);
        assert!(first.next_try().is_none() && third.next_try().is_some() && is_roused(&third));
        drop(third);
        assert!(first.next_try().is_some() && first.take_wake().is_none());
    }

    #[test]
    fn an_answer_has_two_ask_whom_the_backend_has_failed_and_each_of_them_two_more() {
        let (lines, keys) = lines();
        let waiters: Vec<InLine> = (0..9).map(|_| resting(&lines, &keys, &Mode::exclusive())).collect();
        waiters.iter().for_each(InLine::failed);
        let woken = || -> Vec<usize> { (0..9).filter(|who| waiters[*who].take_wake().is_some()).collect() };
        // Of somebody whom it has not failed, too.
        let late = resting(&lines, &keys, &Mode::shared());
        late.answered();
        assert_eq!(woken(), [0, 1]);
        waiters[0].answered();
        assert_eq!(woken(), [2, 3]);
        waiters[1].failed();
        waiters[2].answered();
        assert_eq!(woken(), [1, 4]);
        let rest = waiters[5].next_try().expect("should none of them be answered").remaining();
        assert!(rest <= limits::ATTEMPT_PAUSE, "the pauses begin anew: {rest:?}");
        for answered in [1, 3, 4, 5, 6, 7, 8] {
            waiters[answered].answered();
            let _ = woken();
        }
        late.answered();
        assert!(woken().is_empty() && waiters.iter().all(|waiter| waiter.next_try().is_none()));
    }

    #[test]
    fn what_one_whom_the_backend_fails_leaves_behind_is_come_for_in_turn() {
        let (lines, keys) = lines();
        let both: Arc<[LockKey]> = [keys[0].clone(), LockKey::new("b").unwrap()].into();
        for keys in [&keys, &both] {
            let [first, second, third, told] = [(); 4].map(|()| resting(&lines, keys, &Mode::exclusive()));
            [&first, &second, &third].into_iter().for_each(InLine::failed);
            let _ = [&second, &third].map(is_roused);
            first.put_wake_back();
            drop(first);
            assert!(is_roused(&second) && second.next_try().is_some(), "it looks at the clock");
            assert_eq!([&second, &third, &told].map(InLine::take_wake), [None; 3]);
            // It is on its way when it is left the call, which it may have come too early for.
            second.answered();
            assert_eq!(second.take_wake(), Some(Wake::Chained));
            assert_eq!(third.take_wake(), Some(Wake::Chained), "the backend answers");

            [&second, &third].into_iter().for_each(InLine::failed);
            second.put_wake_back();
            drop(second);
            assert_eq!((third.take_wake(), third.take_time()), (None, Wake::Chained));
            third.put_wake_back();
            drop(third);
            assert_eq!(told.take_wake(), Some(Wake::Chained), "the backend has not failed it");
        }
    }

    #[test]
    fn a_notice_is_heard_though_a_call_waits_for_the_turn() {
        let (lines, keys) = lines();
        let [first, second] = [(); 2].map(|()| resting(&lines, &keys, &Mode::exclusive()));
        [&first, &second].into_iter().for_each(InLine::failed);
        first.put_wake_back();
        drop(first);
        lines.freed(&keys[0], None);
        assert_eq!(second.take_wake(), Some(Wake::Chained));
    }

    #[test]
    fn after_a_gap_the_first_of_each_mode_looks() {
        let (lines, keys) = lines();
        let [shared, exclusive] = [Mode::shared(), Mode::exclusive()];
        let [front, next, writer, last_writer] =
            [&shared, &shared, &exclusive, &exclusive].map(|mode| resting(&lines, &keys, mode));
        lines.missed();
        assert_eq!([&front, &writer].map(InLine::take_wake), [Some(Wake::Chained); 2]);
        assert_eq!([&next, &last_writer].map(InLine::take_wake), [None; 2]);
        // It got in, so perhaps others can.
        front.served(BootTime::now() + Duration::from_secs(1), true);
        assert_eq!(next.take_wake(), Some(Wake::Chained));
        // Nobody may poll the first of them now.
        let [before, behind] = [false, true].map(|acts| {
            let waiter = lines.join(&keys, Owner::random(), &Mode::new("allocate").unwrap()).unwrap();
            if acts {
                waiter.act();
            }
            waiter
        });
        lines.missed();
        assert_eq!([before, behind].map(|waiter| waiter.take_wake()), [Some(Wake::Chained); 2]);
    }

    #[test]
    fn a_call_that_comes_with_the_grant_is_passed_on_to_who_can_share_the_lock() {
        for (mode, passed_on) in [(Mode::shared(), Some(Wake::Chained)), (Mode::exclusive(), None)] {
            let (lines, keys) = lines();
            let [first, next] = [(); 2].map(|()| resting(&lines, &keys, &mode));
            let told = Next { owner: first.waiter.owner, mode: mode.clone(), room: 1 };
            lines.freed(&keys[0], Some(&told));
            let wake = first.take_wake().expect("it is told, and tries");
            // Another one lets go before it hears that it got in.
            lines.freed(&keys[0], None);
            assert_eq!(next.take_wake(), None);
            first.served(BootTime::now() + Duration::from_secs(1), wake == Wake::Chained);
            assert_eq!(next.take_wake(), passed_on, "{mode}");
        }
    }

    #[test]
    fn one_who_makes_its_first_attempt_keeps_no_call_from_others() {
        let (lines, keys) = lines();
        let mode = Mode::new("allocate").unwrap();
        let first = lines.join(&keys, Owner::random(), &mode).unwrap();
        let [second, third] = [(); 2].map(|()| resting(&lines, &keys, &mode));
        let woken = || [&first, &second, &third].map(|waiter| waiter.take_wake().is_some());
        lines.freed(&keys[0], None);
        assert_eq!(woken(), [true, true, false]);
        // Its turn goes by if nobody polls it, and the others must hear when.
        let turn = |mode: &Mode| Next { owner: first.waiter.owner, mode: mode.clone(), room: 1 };
        lines.freed(&keys[0], Some(&turn(&mode)));
        assert_eq!(woken(), [true, true, false]);
        // It may not use the room that was counted for a companion.
        let another = Next { owner: Owner::random(), room: 2, ..turn(&mode) };
        lines.freed(&keys[0], Some(&another));
        assert_eq!(woken(), [true, true, false]);
        first.act();
        lines.freed(&keys[0], None);
        assert_eq!(woken(), [true, false, false]);
    }

    #[test]
    fn a_call_that_was_counted_does_not_hide_one_that_was_not() {
        let (lines, keys) = lines();
        let waiter = resting(&lines, &keys, &Mode::shared());
        lines.freed(&keys[0], None);
        let turn = Next { owner: waiter.waiter.owner, mode: Mode::shared(), room: 1 };
        lines.freed(&keys[0], Some(&turn));
        assert_eq!(waiter.take_wake(), Some(Wake::Chained));
    }

    #[test]
    fn whose_turn_a_look_tells_of_has_the_next_one_look_once_it_is_in() {
        let (lines, keys) = lines();
        let [first, next] = [(); 2].map(|()| resting(&lines, &keys, &Mode::shared()));
        lines.turn(&keys[0], first.waiter.owner);
        let wake = first.take_wake().expect("it is told");
        first.served(BootTime::now() + Duration::from_secs(1), wake == Wake::Chained);
        assert_eq!(next.take_wake(), Some(Wake::Chained));
    }

    #[test]
    fn one_who_wants_several_keys_passes_a_notice_on_to_all_who_share_the_one_that_is_free() {
        let (lines, keys) = lines();
        let both: Arc<[LockKey]> = [keys[0].clone(), LockKey::new("b").unwrap()].into();
        let several = resting(&lines, &both, &Mode::exclusive());
        let [reader, next] = [(); 2].map(|()| resting(&lines, &keys, &Mode::shared()));
        lines.freed(&keys[0], None);
        assert!(several.take_wake().is_some());
        several.pass_on(1);
        let wake = reader.take_wake().expect("it is passed on");
        reader.served(BootTime::now() + Duration::from_secs(1), wake == Wake::Chained);
        assert_eq!(next.take_wake(), Some(Wake::Chained));
    }

    #[test]
    fn one_who_wants_several_keys_passes_a_notice_on_to_who_may_share_the_one_in_its_way() {
        let (lines, keys) = lines();
        let both: Arc<[LockKey]> = [keys[0].clone(), LockKey::new("b").unwrap()].into();
        let several = resting(&lines, &both, &Mode::exclusive());
        let [writer, reader] = [Mode::exclusive(), Mode::shared()].map(|mode| resting(&lines, &keys, &mode));
        lines.freed(&keys[0], None);
        assert!(several.take_wake().is_some());
        several.pass_on_to_more(0);
        assert_eq!([writer, reader].map(|waiter| waiter.take_wake()), [None, Some(Wake::Chained)]);
    }
}
