//! Locks on a Redis or Valkey server (6.2 or later).
//!
//! Each step is one script, one round trip, on one connection that all steps share. A second connection hears
//! what falls free. The server's clock alone decides.
//!
//! ```text
//! PREFIX:layout               version and number of shards; a client with another layout is refused
//! PREFIX:{17}:boot            run id of the server; in a quarantine, since when it is known
//! PREFIX:{17}:fence           the last one
//! PREFIX:{17}:lock:KEY        mode, holders with their ends and fences
//! PREFIX:{17}:places:KEY      queue: owners by place …
//! PREFIX:{17}:lives:KEY       … by the end of their time to live …
//! PREFIX:{17}:wishes:KEY      … and what they want
//! PREFIX:{17}:ended:OWNER     a release, remembered for a while
//! PREFIX:{17}:freed           channel
//! ```
//!
//! A server that is not the one that wrote the shard's record, because it was restarted or promoted, may have
//! lost locks. It grants nothing new until their leases are over: see [`RedisOptions::quarantine`].

mod drift;
mod limits;
mod link;
mod options;
mod reply;
mod script;
mod subscriber;

use std::sync::Arc;
use std::time::Duration;

use ::redis::Cmd;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;

use self::link::{Failure, Link};
pub use self::options::{RedisOptions, RedisOptionsError};
use self::script::Script;
use crate::LockKey;
use crate::backend::{Acquire, Acquired, Backend, Ended, Error, Notice, Release, Renew, Renewed, Step};
use crate::limits::LEASE_EXTRA;

/// Locks on a Redis or Valkey server.
#[derive(Debug)]
pub struct Redis {
    link: Arc<Link>,
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
        Self { link, tasks }
    }

    fn shard(&self, key: &LockKey) -> u32 {
        // FNV-1a. Part of the layout: all clients must agree on it.
        let hash = key.as_str().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        u32::try_from(hash % u64::from(self.link.options.shards)).expect("less than the number of shards")
    }

    /// What the keys of a step have in common: `PREFIX:{17}:`.
    fn base(&self, keys: &[LockKey]) -> String {
        format!("{}:{{{}}}:", self.link.options.prefix, self.shard(&keys[0]))
    }
}

/// The keys of the locks.
fn lock_keys(command: &mut Cmd, base: &str, keys: &[LockKey]) {
    for key in keys {
        command.arg([base, "lock:", key.as_str()].concat());
    }
}

fn tombstone(base: &str, owner: &str) -> String {
    [base, "ended:", owner].concat()
}

/// What only matters when the lock is not simply free, as one word.
fn rest(request: &Acquire) -> String {
    let (fair, holders_max) = (u8::from(request.fair), request.mode.holders_max());
    let (ttl, queue, place) = request
        .waiting
        .map_or((0, 0, 0), |waiting| (micros(waiting.ttl), u8::from(waiting.queue), waiting.place));
    format!("{fair}:{holders_max}:{ttl}:{queue}:{place}")
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
            if !options.quarantine.is_zero() && request.lease > options.quarantine {
                let source = format!(
                    "a lease of {:?} is longer than the quarantine of {:?}",
                    request.lease, options.quarantine
                );
                return Err(Error::Refused { doing: DOING, source: source.into() });
            }
            if let Some(remaining) = self.link.distrusted() {
                return Ok(Acquired::Quarantined { remaining });
            }
            let base = self.base(&request.keys);
            let owner = request.owner.to_string();
            let late_us = micros(request.timeout * limits::LATE_TIMEOUTS);
            let not_after = self.link.server_us().map_or(u64::MAX, |now| now.saturating_add(late_us));
            let rest = rest(request);
            let (answer, _) = self
                .link
                .run(Script::Acquire, |command, live| {
                    command.arg(3 + request.keys.len());
                    command.arg([base.as_str(), "boot"].concat()).arg([base.as_str(), "fence"].concat());
                    command.arg(tombstone(&base, &owner));
                    lock_keys(command, &base, &request.keys);
                    command.arg(&owner).arg(micros(request.lease + LEASE_EXTRA));
                    command.arg(millis(request.lease + limits::SWEEP_PAUSE)).arg(request.mode.name());
                    command.arg(request.fence_min).arg(not_after);
                    command.arg(&live.run_id).arg(micros(options.quarantine)).arg(&base).arg(&rest);
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
            let base = self.base(&request.keys);
            let owner = request.owner.to_string();
            let (answer, _) = self
                .link
                .run(Script::Renew, |command, _| {
                    command.arg(request.keys.len());
                    lock_keys(command, &base, &request.keys);
                    command.arg(&owner).arg(micros(request.lease + LEASE_EXTRA));
                    command.arg(request.mode.as_ref().map_or("", |mode| mode.name()));
                    command.arg(micros(request.claim)).arg(&base);
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
            let (answer, _) = self
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
