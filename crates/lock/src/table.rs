//! The rule of the locks, pure: a table of locks, a step, a time, an answer.
//!
//! It owns no clock. The backend in memory is this table behind a mutex, the model check walks through it,
//! and the other backends are held against it step by step.
//!
//! ```text
//! holders of one mode ──┐
//!                       ├─ a request joins if it has their mode, there is room,
//! queue by arrival ─────┘  and nobody waits before it who is fair or of another mode
//! ```
//!
//! Holders of one mode may have asked for different numbers of holders at the most. The smallest of them counts, and
//! that of the request, so each has company of no more than it asked for, for as long as it holds.
//!
//! A queue is both the order of a fair lock and the turnstile of a mode lock: a holder of another mode that
//! has to wait shuts out all who come after it, so a stream of one mode cannot starve it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::backend::{Acquire, Acquired, Break, Conflict, Ended, Next, Owner, Release, Renew, Renewed};
use crate::limits::{LEASE_EXTRA, LOOK_WAITERS_MAX, QUEUE_MAX};
use crate::look::{Broken, HolderState, LockList, LockState, WaiterState};
use crate::{LockKey, Mode};

/// A point in time, in microseconds of the backend's clock.
pub type Micros = u64;

/// A lock that fell free, with the first of its queue.
pub type Freed = (LockKey, Option<Next>);

/// Locks, their fence counter, and the owners that were released lately.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Table {
    counter: u64,
    locks: BTreeMap<LockKey, Lock>,
    ended: BTreeMap<Owner, End>,
    /// The order in which `ended` is forgotten, roughly; whoever is forgotten late does no harm.
    forgetting: VecDeque<(Micros, Owner)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct End {
    released: bool,
    until: Micros,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Lock {
    mode: Mode,
    /// What the fence is to one holder, this is to all of a period; 0 while nobody holds it.
    turn: u64,
    holders: Vec<Holder>,
    /// Somebody who is not in the queue waits for room.
    wanted: bool,
    /// By place.
    queue: Vec<Waiter>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Holder {
    owner: Owner,
    fence: u64,
    until: Micros,
    /// How many it lets hold the lock, itself included.
    holders_max: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Waiter {
    place: u64,
    owner: Owner,
    mode: Mode,
    fair: bool,
    until: Micros,
}

/// What stands in the way of a request.
struct Obstacle {
    holder_remaining: Duration,
    retry_after: Duration,
    by: By,
}

/// Who stands in the way of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// Holders of another mode.
    Mode,
    /// Only holders of its own mode: there is no room for one more.
    Limit,
    /// Those before it in the queue, and no holder.
    Queue,
}

/// Why nobody of a queue can get in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stopped {
    /// The next has to wait, and all others for it.
    ByOrder,
    /// Each of them lets in too few, and keeps nobody back who lets in more.
    ForRoom,
}

impl Table {
    /// Takes locks or a place in a queue. `now` never goes back.
    pub fn acquire(&mut self, now: Micros, request: &Acquire) -> Acquired {
        self.acquire_and_tell(now, request).0
    }

    /// The same. The second answer is the next of the queue, if it was kept back by the order alone: whoever was woken
    /// together with the one before it may have asked first, in vain. Where it need not be fair, so may all there is room for.
    /// Or if there is room for it, and none for those before it, who may have been told that it is their turn: they let in too
    /// few now.
    pub fn acquire_and_tell(&mut self, now: Micros, request: &Acquire) -> (Acquired, Option<Freed>) {
        self.forget(now);
        if self.ended.get(&request.owner).is_some_and(|end| end.until > now) {
            return (Acquired::Ended, None);
        }
        let until = add(now, request.lease + LEASE_EXTRA);
        for key in &*request.keys {
            self.prune(now, key);
        }

        let held: Vec<u64> = request.keys.iter().filter_map(|key| self.fence(key, request.owner)).collect();
        if let (Some(&fence), true) = (held.first(), held.len() == request.keys.len()) {
            self.prolong(&request.keys, request.owner, until);
            let turn = self.locks.get(&request.keys[0]).map_or(fence, |lock| lock.turn);
            return (Acquired::Granted { fence, turn }, None);
        }

        for (index, key) in request.keys.iter().enumerate() {
            let Some(obstacle) = self.obstacle(now, key, request) else { continue };
            let Some(place) = self.wait(now, key, request, &obstacle) else {
                return (Acquired::TooManyWaiters, None);
            };
            let lock = self.locks.get(key).filter(|_| obstacle.by == By::Queue);
            let head = lock.and_then(|lock| lock.turn().ok().map(|next| lock.queue[next].owner));
            let conflict = Conflict {
                key: index,
                holder_remaining: obstacle.holder_remaining,
                retry_after: obstacle.retry_after,
                place,
                head,
            };
            return (Acquired::Conflict(conflict), None);
        }

        let fence = self.next_number(now, request.fence_min);
        let mut turn = fence;
        for key in &*request.keys {
            let lock = self.locks.entry(key.clone()).or_insert_with(|| Lock::new(&request.mode));
            if lock.holders.is_empty() {
                (lock.mode, lock.turn) = (request.mode.clone(), fence);
            } else if request.fence_min >= lock.turn {
                lock.turn = fence;
            }
            turn = lock.turn;
            let holders_max = request.mode.holders_max();
            lock.holders.push(Holder { owner: request.owner, fence, until, holders_max });
            lock.queue.retain(|waiter| waiter.owner != request.owner);
        }
        (Acquired::Granted { fence, turn }, self.kept_back(now, request))
    }

    /// Prolongs a hold, and perhaps gives it another mode. The second answer names the locks that may have
    /// room for more by that.
    pub fn renew(&mut self, now: Micros, request: &Renew) -> (Renewed, Vec<Freed>) {
        for key in &*request.keys {
            self.prune(now, key);
        }
        if !request.keys.iter().all(|key| self.fence(key, request.owner).is_some()) {
            return (Renewed::NotHeld { holder: self.rival(&request.keys, request.owner) }, Vec::new());
        }
        self.prolong(&request.keys, request.owner, add(now, request.lease + LEASE_EXTRA));
        let mut freed = Vec::new();
        if let Some(mode) = &request.mode {
            for key in &*request.keys {
                let Some(lock) = self.locks.get_mut(key) else { continue };
                if lock.holders.len() == 1 && lock.mode.name() != mode.name() {
                    lock.mode = mode.clone();
                    lock.holders[0].holders_max = mode.holders_max();
                    freed.extend(lock.freed(now, request.claim, true).map(|next| (key.clone(), next)));
                }
            }
        }
        (Renewed::Held, freed)
    }

    /// Ends a hold and gives up a place. A hold of several locks of which one was lost is told as lost. The second answer
    /// names the locks that others should be told of.
    pub fn release(&mut self, now: Micros, request: &Release) -> (Ended, Vec<Freed>) {
        self.forget(now);
        for key in &*request.keys {
            self.prune(now, key);
        }
        if let Some(end) = self.ended.get(&request.owner).filter(|end| end.until > now) {
            let holder = self.rival(&request.keys, request.owner);
            return (if end.released { Ended::Released } else { Ended::NotHeld { holder } }, Vec::new());
        }
        let mut held = 0;
        let mut freed = Vec::new();
        for key in &*request.keys {
            let Some(lock) = self.locks.get_mut(key) else { continue };
            let (holders, waiters) = (lock.holders.len(), lock.queue.len());
            lock.holders.retain(|holder| holder.owner != request.owner);
            lock.queue.retain(|waiter| waiter.owner != request.owner);
            held += usize::from(lock.holders.len() < holders);
            if lock.holders.len() < holders || lock.queue.len() < waiters {
                freed.extend(lock.freed(now, request.claim, request.wanted).map(|next| (key.clone(), next)));
            }
            if lock.holders.is_empty() && lock.queue.is_empty() {
                self.locks.remove(key);
            }
        }
        let released = held == request.keys.len();
        let until = add(now, request.remember);
        self.ended.insert(request.owner, End { released, until });
        self.forgetting.push_back((until, request.owner));
        if released {
            return (Ended::Released, freed);
        }
        (Ended::NotHeld { holder: self.rival(&request.keys, request.owner) }, freed)
    }

    /// Who holds a lock, and who waits for it. What has ended by now is not told, and stays until the next step.
    #[must_use]
    pub fn look(&self, now: Micros, key: &LockKey) -> LockState {
        let (holders, queue) =
            self.locks.get(key).map_or((&[][..], &[][..]), |lock| (&lock.holders, &lock.queue));
        let mut holders: Vec<_> = holders.iter().filter(|holder| holder.until > now).collect();
        holders.sort_unstable_by_key(|holder| holder.fence);
        let holders = holders.into_iter().map(|holder| HolderState {
            owner: holder.owner,
            process: None,
            fence: holder.fence,
            until_us: holder.until,
            remaining: left(now, holder.until),
        });
        let holders: Vec<_> = holders.collect();
        let queue: Vec<_> = queue.iter().filter(|waiter| waiter.until > now).collect();
        let waiters = queue.iter().take(LOOK_WAITERS_MAX).map(|waiter| WaiterState {
            owner: waiter.owner,
            process: None,
            mode: waiter.mode.name().to_owned(),
            fair: waiter.fair,
            place: waiter.place,
            remaining: left(now, waiter.until),
        });
        let alive = !holders.is_empty() || !queue.is_empty();
        LockState {
            key: key.clone(),
            mode: self.locks.get(key).filter(|_| !holders.is_empty()).map(|lock| lock.mode.name().to_owned()),
            holders,
            waiters: waiters.collect(),
            waiters_count: queue.len() as u64,
            wanted: alive && self.locks.get(key).is_some_and(|lock| lock.wanted),
        }
    }

    /// The locks that are held or waited for, whose keys begin with `prefix`.
    #[must_use]
    pub fn list(&self, now: Micros, prefix: &str, max: usize) -> LockList {
        let named = self.locks.keys().filter(|key| key.as_str().starts_with(prefix));
        let states = named.map(|key| self.look(now, key));
        let mut locks: Vec<_> = states
            .filter(|state| !state.holders.is_empty() || state.waiters_count > 0)
            .take(max.saturating_add(1))
            .collect();
        let complete = locks.len() <= max;
        locks.truncate(max);
        LockList { locks, complete }
    }

    /// Ends holds for others. The second answer names the lock if others should be told of it.
    pub fn break_holds(&mut self, now: Micros, request: &Break) -> (Broken, Option<Freed>) {
        self.prune(now, &request.key);
        let fence = self.next_number(now, 0);
        let Some(lock) = self.locks.get_mut(&request.key) else {
            return (Broken { ended: Vec::new(), fence }, None);
        };
        let broken = |holder: &Holder| request.owners.contains(&holder.owner);
        let mut ended: Vec<_> = lock.holders.iter().filter(|holder| broken(holder)).copied().collect();
        ended.sort_unstable_by_key(|holder| holder.fence);
        lock.holders.retain(|holder| !broken(holder));
        let mut freed = None;
        if !ended.is_empty() {
            // Whoever joins those that are left comes after those that are not.
            lock.turn = fence;
            // Whoever breaks it knows of nobody in the other processes.
            freed = lock.freed(now, request.claim, true).map(|next| (request.key.clone(), next));
        }
        if lock.holders.is_empty() && lock.queue.is_empty() {
            self.locks.remove(&request.key);
        }
        let ended = ended.into_iter().map(|holder| (holder.owner, holder.fence)).collect();
        (Broken { ended, fence }, freed)
    }

    /// Whether nothing is kept but the counter.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.locks.is_empty()
    }

    /// The owners that hold a lock at a time, with their fences.
    #[must_use]
    pub fn holders(&self, now: Micros, key: &LockKey) -> Vec<(Owner, u64)> {
        let holders = self.locks.get(key).map(|lock| lock.holders.as_slice()).unwrap_or_default();
        holders
            .iter()
            .filter(|holder| holder.until > now)
            .map(|holder| (holder.owner, holder.fence))
            .collect()
    }

    /// A number greater than all before it. The clock in it keeps it growing when the counter is lost.
    fn next_number(&mut self, now: Micros, min: u64) -> u64 {
        self.counter = now.max(self.counter + 1).max(min + 1);
        self.counter
    }

    fn kept_back(&mut self, now: Micros, granted: &Acquire) -> Option<Freed> {
        let [key] = &*granted.keys else { return None };
        let lock = self.locks.get_mut(key).filter(|lock| lock.mode.is_shared())?;
        let next = lock.turn().ok()?;
        // Then its own grant tells nobody.
        let is_last_told = next == 0 && !lock.queue[next].fair;
        if is_last_told && !granted.fair {
            return None;
        }
        let told = lock.tell(now, next, granted.claim);
        let room = if is_last_told { told.room } else { 1 };
        Some((key.clone(), Some(Next { room, ..told })))
    }

    fn fence(&self, key: &LockKey, owner: Owner) -> Option<u64> {
        let holders = &self.locks.get(key)?.holders;
        holders.iter().find(|holder| holder.owner == owner).map(|holder| holder.fence)
    }

    fn rival(&self, keys: &[LockKey], owner: Owner) -> Option<u64> {
        let holders = keys.iter().filter_map(|key| self.locks.get(key)).flat_map(|lock| &lock.holders);
        holders.filter(|holder| holder.owner != owner).map(|holder| holder.fence).max()
    }

    fn prolong(&mut self, keys: &[LockKey], owner: Owner, until: Micros) {
        for key in keys {
            let holders = self.locks.get_mut(key).map(|lock| lock.holders.as_mut_slice()).unwrap_or_default();
            for holder in holders.iter_mut().filter(|holder| holder.owner == owner) {
                holder.until = holder.until.max(until);
            }
        }
    }

    fn obstacle(&self, now: Micros, key: &LockKey, request: &Acquire) -> Option<Obstacle> {
        let lock = self.locks.get(key)?;
        let last = lock.holders.iter().map(|holder| holder.until).max();
        let holder_remaining = last.map_or(Duration::ZERO, |last| left(now, last));
        if let Some(last) = last.filter(|_| lock.mode.name() != request.mode.name()) {
            return Some(Obstacle { holder_remaining, retry_after: left(now, last), by: By::Mode });
        }
        if lock.room(&request.mode) == 0 {
            let first = lock.holders.iter().map(|holder| holder.until).min().unwrap_or(now);
            return Some(Obstacle { holder_remaining, retry_after: left(now, first), by: By::Limit });
        }
        // Whoever was dropped from the queue while it was late has nobody before it who came later.
        let old = request.waiting.map(|waiting| waiting.place).filter(|place| *place > 0);
        let is_behind = |waiter: &Waiter| old.is_some_and(|old| waiter.place > old);
        let before =
            lock.queue.iter().take_while(|waiter| waiter.owner != request.owner && !is_behind(waiter));
        let mut rivals =
            before.filter(|waiter| request.fair || waiter.fair || waiter.mode.name() != request.mode.name());
        let rival = rivals.next()?;
        Some(Obstacle { holder_remaining, retry_after: left(now, rival.until), by: By::Queue })
    }

    /// Notes that a request waits: in the queue if it must, or else with a mark. Returns its place, or nothing if there is
    /// no room for it in the queue.
    fn wait(&mut self, now: Micros, key: &LockKey, request: &Acquire, obstacle: &Obstacle) -> Option<u64> {
        let Some(waiting) = request.waiting else { return Some(0) };
        let lock = self.locks.get(key).expect("an obstacle is a lock");
        let old = lock.queue.iter().find(|waiter| waiter.owner == request.owner).map(|waiter| waiter.place);
        let queue =
            waiting.queue && (old.is_some() || waiting.place > 0 || request.fair || obstacle.by != By::Limit);
        // Whoever was promised a place has it back.
        if queue && old.is_none() && waiting.place == 0 && lock.queue.len() >= QUEUE_MAX {
            return None;
        }
        let place = match old {
            _ if !queue => 0,
            Some(place) => place,
            // Dropped from the queue while it was late: it gets its place back.
            None if waiting.place > 0 => waiting.place,
            None => self.next_number(now, 0),
        };
        let lock = self.locks.get_mut(key).expect("an obstacle is a lock");
        if !queue {
            lock.wanted = true;
            return Some(0);
        }
        lock.queue.retain(|waiter| waiter.owner != request.owner);
        let waiter = Waiter {
            place,
            owner: request.owner,
            mode: request.mode.clone(),
            fair: request.fair,
            until: add(now, waiting.ttl),
        };
        let at = lock.queue.partition_point(|other| other.place < place);
        lock.queue.insert(at, waiter);
        Some(place)
    }

    fn prune(&mut self, now: Micros, key: &LockKey) {
        let Some(lock) = self.locks.get_mut(key) else { return };
        lock.holders.retain(|holder| holder.until > now);
        lock.queue.retain(|waiter| waiter.until > now);
        if lock.holders.is_empty() && lock.queue.is_empty() {
            self.locks.remove(key);
        }
    }

    fn forget(&mut self, now: Micros) {
        while let Some((until, owner)) = self.forgetting.front().copied().filter(|(until, _)| *until <= now) {
            self.forgetting.pop_front();
            if self.ended.get(&owner).is_some_and(|end| end.until <= until) {
                self.ended.remove(&owner);
            }
        }
    }
}

impl Lock {
    fn new(mode: &Mode) -> Self {
        Self { mode: mode.clone(), turn: 0, holders: Vec::new(), wanted: false, queue: Vec::new() }
    }

    /// How many more there is room for beside the holders, who are of this mode: as many as all of them let in, and this
    /// one.
    fn room(&self, mode: &Mode) -> u32 {
        let asked = self.holders.iter().map(|holder| holder.holders_max);
        let holders_max = asked.fold(mode.holders_max(), u32::min);
        holders_max.saturating_sub(u32::try_from(self.holders.len()).unwrap_or(u32::MAX))
    }

    /// Who of the queue can get in next, by its index. One who lets in too few keeps nobody back unless it is fair.
    fn turn(&self) -> Result<usize, Stopped> {
        for (index, waiter) in self.queue.iter().enumerate() {
            let joins = self.holders.is_empty() || waiter.mode.name() == self.mode.name();
            if !joins || (waiter.fair && index > 0) {
                return Err(Stopped::ByOrder);
            }
            if self.holders.is_empty() || self.room(&waiter.mode) > 0 {
                return Ok(index);
            }
            if waiter.fair {
                return Err(Stopped::ByOrder);
            }
        }
        Err(Stopped::ForRoom)
    }

    /// Whose turn it is has a while to take it.
    fn tell(&mut self, now: Micros, index: usize, claim: Duration) -> Next {
        let waiter = &mut self.queue[index];
        waiter.until = waiter.until.min(add(now, claim));
        let (owner, mode) = (waiter.owner, waiter.mode.clone());
        let room = self.room(&mode);
        Next { owner, mode, room }
    }

    /// After room was made: whether others should be told, and whose turn it is.
    fn freed(&mut self, now: Micros, claim: Duration, wanted: bool) -> Option<Option<Next>> {
        if !self.queue.is_empty() {
            // Whoever is not in the queue stands behind it, and is told when the queue has gone.
            self.wanted |= wanted;
            match self.turn() {
                Ok(next) => return Some(Some(self.tell(now, next, claim))),
                Err(Stopped::ByOrder) => return None,
                // Or when there is no room but for those who let in more, who may be outside of it.
                Err(Stopped::ForRoom) => {}
            }
        }
        (std::mem::take(&mut self.wanted) || wanted).then_some(None)
    }
}

fn add(time: Micros, duration: Duration) -> Micros {
    time.saturating_add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
}

fn left(now: Micros, until: Micros) -> Duration {
    Duration::from_micros(until.saturating_sub(now))
}
