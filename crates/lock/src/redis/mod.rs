//! Locks on a Redis or Valkey server (7.0 or later).
//!
//! Each step is one script, one round trip, on one connection that all steps share. A second connection hears
//! what falls free. The server's clock alone decides.
//!
//! ```text
//! PREFIX:layout               version and number of shards; a client with another layout is refused
//! PREFIX:{17}:boot            run id of the server, since when it is known, and the longest quarantine of anybody
//! PREFIX:{17}:fence           the last one
//! PREFIX:{17}:lock:KEY        mode, holders with their ends, fences, and how many they let in; the turn
//! PREFIX:{17}:places:KEY      queue: owners by place …
//! PREFIX:{17}:lives:KEY       … by the end of their time to live …
//! PREFIX:{17}:wishes:KEY      … and what they want
//! PREFIX:{17}:ended:TIME      releases, remembered for a while: whether it held, by the rest of the owner
//! PREFIX:{17}:freed           channel
//! PREFIX:process:ID           what a process is called; its owners begin with ID
//! ```
//!
//! A server that is not the one that wrote the shard's record, because it was restarted or promoted, may have
//! lost locks. It grants nothing new until their leases are over: see [`RedisOptions::quarantine`].

mod advice;
mod limits;
mod link;
mod options;
mod owners;
mod reply;
mod script;
mod sentinel;
mod subscriber;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ::redis::Cmd;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use self::link::{Failure, Link};
pub use self::options::{RedisOptions, RedisOptionsError};
use self::owners::Owners;
use self::script::Script;
use crate::backend::{
    Acquire, Acquired, Backend, Break, Ended, Error, Notice, Owner, Release, Renew, Renewed, Step,
};
use crate::clock::BootTime;
use crate::limits::{LEASE_EXTRA, LIST_TIMEOUT, LOOK_WAITERS_MAX, QUEUE_MAX};
use crate::look::{Broken, LockList, LockState};
use crate::{LockKey, Mode};

/// Locks on a Redis or Valkey server.
#[derive(Debug)]
pub struct Redis {
    link: Arc<Link>,
    owners: Owners,
    tasks: [JoinHandle<()>; 2],
}

impl Redis {
    /// Begins to connect, in the background; the first step waits for it.
    ///
    /// # Panics
    /// When it is not called on a Tokio runtime with its timer and its sockets enabled.
    #[must_use]
    pub fn start(options: RedisOptions) -> Self {
        let link = Arc::new(Link::new(options));
        let tasks =
            [tokio::spawn(Arc::clone(&link).keep()), tokio::spawn(subscriber::listen(Arc::clone(&link)))];
        let owners = Owners::of_process(link.process.id);
        Self { link, owners, tasks }
    }

    fn shard(&self, key: &LockKey) -> u32 {
        // FNV-1a. Part of the layout: all clients must agree on it.
        let hash = key.as_str().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        u32::try_from(hash % u64::from(self.link.options.shards)).expect("less than the number of shards")
    }

    /// A server that has lost everything grants nothing for the quarantine, and no hold may outlive that.
    fn check_lease(&self, doing: &'static str, lease: Duration) -> Result<(), Error> {
        let options = &self.link.options;
        let Some(lease_max) = options.lease_max().filter(|lease_max| lease > *lease_max) else {
            return Ok(());
        };
        let source = format!(
            "a lease of {lease:?} is longer than {lease_max:?}, which is the quarantine of {:?} without the replicas' lag of \
             {:?} and {:?} to spare",
            options.quarantine,
            options.replica_lag,
            limits::QUARANTINE_MARGIN
        );
        Err(Error::Refused { doing, source: source.into() })
    }

    /// The lock that a key of the server belongs to.
    fn key_of(&self, name: &str) -> Option<LockKey> {
        let (shard, key) =
            name.strip_prefix(&self.link.options.prefix)?.strip_prefix(":{")?.split_once("}:lock:")?;
        let key = LockKey::new(key).ok()?;
        (shard.parse() == Ok(self.shard(&key))).then_some(key)
    }

    /// What the keys of a step have in common: `PREFIX:{17}:`.
    fn base(&self, keys: &[LockKey]) -> String {
        format!("{}:{{{}}}:", self.link.options.prefix, self.shard(&keys[0]))
    }
}

/// How one lock stands, without the names of processes.
async fn look(redis: &Redis, key: &LockKey) -> Result<LockState, Arc<Failure>> {
    let base = redis.base(std::slice::from_ref(key));
    let run = redis.link.run(Script::Look, |command, _| {
        command.arg(1);
        lock_keys(command, &base, std::slice::from_ref(key));
        command.arg(&base).arg(LOOK_WAITERS_MAX);
    });
    let (answer, now, _) = run.await?;
    reply::state(key, now, &answer).map_err(|error| Arc::new(error.into()))
}

/// Puts in what the processes of the owners are called.
async fn name_processes(redis: &Redis, locks: &mut [LockState]) -> Result<(), Arc<Failure>> {
    let mut shown: Vec<(&Owner, &mut Option<String>)> = Vec::new();
    for lock in locks {
        shown.extend(lock.holders.iter_mut().map(|holder| (&holder.owner, &mut holder.process)));
        shown.extend(lock.waiters.iter_mut().map(|waiter| (&waiter.owner, &mut waiter.process)));
    }
    let processes: BTreeSet<[u8; 8]> = shown.iter().map(|(owner, _)| owner.process()).collect();
    let names = redis.link.names(&processes).await?;
    let names: BTreeMap<_, _> = processes.into_iter().zip(names).collect();
    for (owner, process) in shown {
        process.clone_from(names.get(&owner.process()).unwrap_or(&None));
    }
    Ok(())
}

/// A text that stands for itself in a pattern of the server.
fn literal(text: &str) -> String {
    let mut literal = String::with_capacity(text.len());
    for char in text.chars() {
        if matches!(char, '*' | '?' | '[' | ']' | '\\') {
            literal.push('\\');
        }
        literal.push(char);
    }
    literal
}

/// Walks through the locks whose keys begin with `prefix`.
async fn list(redis: &Redis, prefix: &str, max: usize) -> Result<LockList, Arc<Failure>> {
    let end_at = Instant::now() + LIST_TIMEOUT / limits::SCAN_TIMEOUT_DIVISOR;
    let pattern = format!("{}:{{*}}:lock:{}*", literal(&redis.link.options.prefix), literal(prefix));
    let mut list = LockList { locks: Vec::new(), complete: true };
    let mut seen = BTreeSet::new();
    let mut cursor = 0;
    'walk: loop {
        let (next, names) = redis.link.scan(cursor, &pattern).await?;
        for name in names {
            let Some(key) = redis.key_of(&name).filter(|key| !seen.contains(key)) else { continue };
            if Instant::now() > end_at {
                list.complete = false;
                break 'walk;
            }
            seen.insert(key.clone());
            let state = look(redis, &key).await?;
            if state.holders.is_empty() && state.waiters_count == 0 {
                continue;
            }
            if list.locks.len() == max {
                list.complete = false;
                break 'walk;
            }
            list.locks.push(state);
        }
        cursor = next;
        if cursor == 0 {
            break;
        }
        if Instant::now() > end_at {
            list.complete = false;
            break;
        }
    }
    list.locks.sort_unstable_by(|one, other| one.key.cmp(&other.key));
    name_processes(redis, &mut list.locks).await?;
    Ok(list)
}

/// The keys of the locks.
fn lock_keys(command: &mut Cmd, base: &str, keys: &[LockKey]) {
    for key in keys {
        command.arg([base, "lock:", key.as_str()].concat());
    }
}

/// Where the end of an owner is remembered, with all others of its process and its time.
fn tombstone(base: &str, owner: &str) -> String {
    [base, "ended:", &owner[..limits::TIME_DIGITS]].concat()
}

/// What only matters when the lock is not simply free, as one word.
fn rest(request: &Acquire) -> String {
    let (fair, holders_max) = (u8::from(request.fair), request.mode.holders_max());
    let (ttl, queue, place) = request
        .waiting
        .map_or((0, 0, 0), |waiting| (micros(waiting.ttl), u8::from(waiting.queue), waiting.place));
    let claim = micros(request.claim);
    format!("{fair}:{holders_max}:{ttl}:{queue}:{place}:{claim}:{QUEUE_MAX}")
}

/// What is written down beside a holder of how many it lets in; nothing where that goes without saying.
fn limit(mode: &Mode) -> String {
    mode.limit().map(|limit| limit.to_string()).unwrap_or_default()
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).max(1)
}

impl Backend for Redis {
    fn name(&self) -> &'static str {
        "redis"
    }

    fn group(&self, key: &LockKey) -> u32 {
        self.shard(key)
    }

    fn acquire<'a>(&'a self, request: &'a Acquire) -> Step<'a, Acquired> {
        const DOING: &str = "acquire a lock";
        Box::pin(async move {
            let options = &self.link.options;
            self.check_lease(DOING, request.lease)?;
            if let Some(remaining) = self.link.distrusted() {
                return Ok(Acquired::Quarantined { remaining });
            }
            let base = self.base(&request.keys);
            let owner = request.owner.to_string();
            let late_at = BootTime::now() + request.timeout * limits::LATE_TIMEOUTS;
            let (rest, limit) = (rest(request), limit(&request.mode));
            let (answer, ..) = self
                .link
                .run(Script::Acquire, |command, live| {
                    // Only when it is connected is it known what the server's clock shows.
                    let not_after = self.link.server_us(live, late_at).unwrap_or(u64::MAX);
                    command.arg(3 + request.keys.len());
                    command.arg([base.as_str(), "boot"].concat()).arg([base.as_str(), "fence"].concat());
                    command.arg(tombstone(&base, &owner));
                    lock_keys(command, &base, &request.keys);
                    command.arg(&owner).arg(micros(request.lease + LEASE_EXTRA));
                    command.arg(millis(request.lease + limits::SWEEP_PAUSE)).arg(request.mode.name());
                    command.arg(request.fence_min).arg(not_after);
                    command.arg(&live.calm).arg(micros(options.quarantine)).arg(&base).arg(&rest).arg(&limit);
                })
                .await
                .map_err(|failure| failure.into_error(DOING))?;
            let acquired = reply::acquired(&answer).map_err(Failure::from).map_err(Arc::new);
            let acquired = acquired.map_err(|failure| failure.into_error(DOING))?;
            if let Some(remaining) = self.link.distrusted() {
                // If it was granted, then by a clock that has jumped. Whoever asks again after the
                // quarantine still has it, and whoever does not gives it back.
                return Ok(Acquired::Quarantined { remaining });
            }
            acquired.ok_or_else(|| Arc::new(Failure::Late).into_error(DOING))
        })
    }

    fn renew<'a>(&'a self, request: &'a Renew) -> Step<'a, Renewed> {
        const DOING: &str = "renew a lock";
        Box::pin(async move {
            self.check_lease(DOING, request.lease)?;
            let base = self.base(&request.keys);
            let owner = request.owner.to_string();
            let (answer, ..) = self
                .link
                .run(Script::Renew, |command, _| {
                    command.arg(request.keys.len());
                    lock_keys(command, &base, &request.keys);
                    command.arg(&owner).arg(micros(request.lease + LEASE_EXTRA));
                    command.arg(request.mode.as_ref().map_or("", |mode| mode.name()));
                    command.arg(micros(request.claim)).arg(&base);
                    command.arg(request.mode.as_ref().map(limit).unwrap_or_default());
                })
                .await
                .map_err(|failure| failure.into_error(DOING))?;
            reply::renewed(&answer).map_err(|error| Arc::new(Failure::from(error)).into_error(DOING))
        })
    }

    fn release<'a>(&'a self, request: &'a Release) -> Step<'a, Ended> {
        const DOING: &str = "release a lock";
        Box::pin(async move {
            let base = self.base(&request.keys);
            let owner = request.owner.to_string();
            let (answer, ..) = self
                .link
                .run(Script::Release, |command, _| {
                    command.arg(1 + request.keys.len()).arg(tombstone(&base, &owner));
                    lock_keys(command, &base, &request.keys);
                    command.arg(&owner).arg(millis(request.remember));
                    command.arg(micros(request.claim)).arg(u8::from(request.wanted)).arg(&base);
                })
                .await
                .map_err(|failure| failure.into_error(DOING))?;
            reply::ended(&answer).map_err(|error| Arc::new(Failure::from(error)).into_error(DOING))
        })
    }

    fn look<'a>(&'a self, key: &'a LockKey) -> Step<'a, LockState> {
        Box::pin(async move {
            let named = async {
                let mut state = [look(self, key).await?];
                name_processes(self, &mut state).await?;
                let [state] = state;
                Ok(state)
            };
            named.await.map_err(|failure: Arc<Failure>| failure.into_error("look at a lock"))
        })
    }

    fn list<'a>(&'a self, prefix: &'a str, max: usize) -> Step<'a, LockList> {
        Box::pin(async move {
            list(self, prefix, max).await.map_err(|failure| failure.into_error("list the locks"))
        })
    }

    fn break_holds<'a>(&'a self, request: &'a Break) -> Step<'a, Broken> {
        const DOING: &str = "break a lock";
        Box::pin(async move {
            let keys = std::slice::from_ref(&request.key);
            let base = self.base(keys);
            let run = self.link.run(Script::Break, |command, _| {
                command.arg(2).arg([base.as_str(), "fence"].concat());
                lock_keys(command, &base, keys);
                command.arg(&base).arg(micros(request.claim));
                for owner in &request.owners {
                    command.arg(owner.to_string());
                }
            });
            let (answer, ..) = run.await.map_err(|failure| failure.into_error(DOING))?;
            reply::broken(&answer).map_err(|error| Arc::new(Failure::from(error)).into_error(DOING))
        })
    }

    fn new_owner(&self) -> Owner {
        self.owners.next()
    }

    fn notices(&self) -> broadcast::Receiver<Notice> {
        self.link.notices.subscribe()
    }

    fn close(&self) -> Step<'_, ()> {
        self.link.close();
        Box::pin(async { Ok(()) })
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.link.close();
        for task in &self.tasks {
            task.abort();
        }
    }
}
