//! Locks on a PostgreSQL server (14 or later).
//!
//! Each step is one call of a function on the server, one round trip and one transaction; the functions and
//! their tables are in `schema.sql`. Steps are spread by key over a few connections; another one hears what
//! falls free (`LISTEN`). The server's clock alone decides.
//!
//! When that clock is set forward by half a second or more, the first process that sees it in an answer has the schema
//! grant nothing for the longest lease that anybody was ever given: so long may those go on whose leases were cut short.
//!
//! A grant is on the server's disk before it is told, so a restart forgets nothing. A standby that is promoted
//! without having received everything may, unless it is synchronous: then only fences protect. They go on
//! growing there, as the clock is in them, if the clocks of the two agree to less than the failover takes.

mod clock;
mod connector;
mod limits;
mod link;
mod options;
mod reply;
mod session;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};

use self::clock::{ServerClock, Trust};
use self::link::{Failure, Hearing, Link, Live, Purpose};
pub use self::options::{PostgresOptions, PostgresOptionsError};
pub use self::session::SessionLock;
use crate::backend::{
    Acquire, Acquired, Backend, Break, Ended, Notice, Owner, Release, Renew, Renewed, Step,
};
use crate::clock::BootTime;
use crate::limits::{LEASE_EXTRA, NOTICES_MAX};
use crate::look::{Broken, LockList, LockState};
use crate::process::Process;
use crate::{LockKey, Mode};

/// Locks on a PostgreSQL server. The database must have been [prepared](PostgresOptions::migrate).
#[derive(Debug)]
pub struct Postgres {
    /// For the steps.
    links: Vec<Arc<Link>>,
    listener: Arc<Link>,
    notices: broadcast::Sender<Notice>,
    clock: Arc<ServerClock>,
    tasks: Vec<JoinHandle<()>>,
    schema: String,
    /// Takes no locks.
    tool: bool,
    /// Stands in the owners of this process.
    process: [u8; 8],
}

impl Postgres {
    /// Begins to connect, in the background; the first step waits for it.
    ///
    /// # Panics
    /// When it is not called on a Tokio runtime with its timer and its sockets enabled.
    #[must_use]
    pub fn start(options: PostgresOptions) -> Self {
        let options = Arc::new(options);
        let notices = broadcast::Sender::new(NOTICES_MAX);
        let clock = Arc::new(ServerClock::new(notices.clone()));
        let steps = || Purpose::Steps(Arc::clone(&clock));
        let links: Vec<_> = (0..options.connections).map(|_| Link::new(&options, steps())).collect();
        let process = Process::new(&options.process_name);
        let id = process.id;
        let hearing = Hearing { notices: notices.clone(), process, clock: Arc::clone(&clock) };
        let listener = Link::new(&options, Purpose::Notices(hearing));
        let tasks =
            links.iter().chain([&listener]).map(|link| tokio::spawn(Arc::clone(link).keep())).collect();
        let (schema, tool) = (options.schema.clone(), options.tool);
        Self { links, listener, notices, clock, tasks, schema, tool, process: id }
    }

    /// One round trip. All steps of the same keys go the same way, one behind the other.
    async fn ask(
        &self,
        keys: &[LockKey],
        statement: impl Fn(&Live) -> &Statement,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Row, Arc<Failure>> {
        let link = self.link(&keys[0]);
        let live = link.live().await?;
        let unanswered = link.unanswered();
        let sent = BootTime::now();
        let answer = live.client.query_one(statement(&live), parameters).await;
        unanswered.answered();
        let row = answer.map_err(Failure::from)?;
        let server_us = reply::time(&row).map_err(Failure::from)?;
        self.clock.observe(sent, server_us);
        Ok(row)
    }

    fn link(&self, key: &LockKey) -> &Arc<Link> {
        let bytes = key.as_str().bytes();
        let hash = bytes.fold(0_usize, |hash, byte| hash.wrapping_mul(31).wrapping_add(usize::from(byte)));
        &self.links[hash % self.links.len()]
    }

    /// Calls a function that few call, and that need not be quick.
    async fn call(
        &self,
        link: &Link,
        function: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Arc<Failure>> {
        let live = link.live().await?;
        let call = format!("SELECT * FROM {}.{function}", self.schema);
        live.client.query(&call, parameters).await.map_err(|error| Arc::new(error.into()))
    }

    /// When the server should refuse a request that is late at this time of ours, by its own clock.
    fn not_after(&self, late_at: BootTime) -> i64 {
        self.clock.server_us(late_at).map_or(i64::MAX, bigint)
    }

    /// For how long nothing can be granted because the server's clock was set forward. Tells the others first, if they do
    /// not know and nobody else here does; until they do, nobody here is granted anything either.
    async fn distrusted(&self, key: &LockKey) -> Result<Option<Duration>, Arc<Failure>> {
        if let Some(telling) = self.clock.tell() {
            let row = self.ask(std::slice::from_ref(key), |live| &live.clock_jumped, &[]).await?;
            telling.told(reply::quarantine(&row).map_err(Failure::from)?);
        }
        Ok(match self.clock.trust() {
            Trust::Calm => None,
            Trust::Untold | Trust::Telling(_) => Some(limits::TELLING_PAUSE),
            Trust::Quarantined(until) => Some(until.remaining()),
        })
    }

    fn close_links(&self) {
        self.links.iter().chain([&self.listener]).for_each(|link| link.close());
    }
}

fn bigint(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn holders_max(mode: &Mode) -> i32 {
    i32::try_from(mode.holders_max()).unwrap_or(i32::MAX)
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// Durations that are added to the server's time. Longer ones than a century end with it.
fn lasting(duration: Duration) -> i64 {
    const CENTURY_US: i64 = 100 * 366 * 24 * 60 * 60 * 1_000_000;
    micros(duration).min(CENTURY_US)
}

fn texts(keys: &[LockKey]) -> Vec<&str> {
    keys.iter().map(LockKey::as_str).collect()
}

impl Backend for Postgres {
    fn name(&self) -> &'static str {
        "postgres"
    }

    fn group(&self, _: &LockKey) -> u32 {
        0
    }

    fn acquire<'a>(&'a self, request: &'a Acquire) -> Step<'a, Acquired> {
        const DOING: &str = "acquire a lock";
        Box::pin(async move {
            if self.tool {
                return Err(options::refused_to_a_tool(DOING));
            }
            let distrusted = async || {
                let remaining = self.distrusted(&request.keys[0]).await;
                remaining.map_err(|failure| failure.into_error(DOING))
            };
            if let Some(remaining) = distrusted().await? {
                return Ok(Acquired::Quarantined { remaining });
            }
            let late_at = BootTime::now() + request.timeout * limits::LATE_TIMEOUTS;
            // Only when it is connected is it known what the server's clock shows.
            let connected = self.link(&request.keys[0]).live().await;
            connected.map_err(|failure| failure.into_error(DOING))?;
            let waiting = request.waiting;
            let row = self
                .ask(
                    &request.keys,
                    |live| &live.acquire,
                    &[
                        &texts(&request.keys),
                        &request.owner.as_bytes().as_slice(),
                        &request.mode.name(),
                        &holders_max(&request.mode),
                        &lasting(request.lease + LEASE_EXTRA),
                        &bigint(request.fence_min),
                        &request.fair,
                        &waiting.map_or(0, |waiting| lasting(waiting.ttl)),
                        &waiting.is_some_and(|waiting| waiting.queue),
                        &waiting.map_or(0, |waiting| bigint(waiting.place)),
                        &self.not_after(late_at),
                        &lasting(request.claim),
                    ],
                )
                .await
                .map_err(|failure| failure.into_error(DOING))?;
            if let Some(remaining) = distrusted().await? {
                // If it was granted, then by a clock that was set. Whoever asks again after the quarantine
                // still has it, and whoever does not gives it back.
                return Ok(Acquired::Quarantined { remaining });
            }
            let acquired = match reply::acquired(&row) {
                Ok(Some(acquired)) => return Ok(acquired),
                Ok(None) => Failure::Late,
                Err(malformed) => malformed.into(),
            };
            Err(Arc::new(acquired).into_error(DOING))
        })
    }

    fn renew<'a>(&'a self, request: &'a Renew) -> Step<'a, Renewed> {
        const DOING: &str = "renew a lock";
        Box::pin(async move {
            let row = self
                .ask(
                    &request.keys,
                    |live| &live.renew,
                    &[
                        &texts(&request.keys),
                        &request.owner.as_bytes().as_slice(),
                        &lasting(request.lease + LEASE_EXTRA),
                        &request.mode.as_ref().map(|mode| mode.name()),
                        &lasting(request.claim),
                        &request.mode.as_ref().map(holders_max),
                    ],
                )
                .await
                .map_err(|failure| failure.into_error(DOING))?;
            reply::renewed(&row).map_err(|malformed| Arc::new(Failure::from(malformed)).into_error(DOING))
        })
    }

    fn release<'a>(&'a self, request: &'a Release) -> Step<'a, Ended> {
        const DOING: &str = "release a lock";
        Box::pin(async move {
            let row = self
                .ask(
                    &request.keys,
                    |live| &live.release,
                    &[
                        &texts(&request.keys),
                        &request.owner.as_bytes().as_slice(),
                        &lasting(request.remember),
                        &lasting(request.claim),
                        &request.wanted,
                    ],
                )
                .await
                .map_err(|failure| failure.into_error(DOING))?;
            reply::ended(&row).map_err(|malformed| Arc::new(Failure::from(malformed)).into_error(DOING))
        })
    }

    fn look<'a>(&'a self, key: &'a LockKey) -> Step<'a, LockState> {
        const DOING: &str = "look at a lock";
        Box::pin(async move {
            let rows = self.call(self.link(key), "look($1)", &[&[key.as_str()].as_slice()]).await;
            let rows = rows.map_err(|failure| failure.into_error(DOING))?;
            let states = reply::states(&rows);
            let mut states =
                states.map_err(|malformed| Arc::new(Failure::from(malformed)).into_error(DOING))?;
            Ok(states.pop().unwrap_or_else(|| LockState::free(key.clone())))
        })
    }

    fn list<'a>(&'a self, prefix: &'a str, max: usize) -> Step<'a, LockList> {
        const DOING: &str = "list the locks";
        Box::pin(async move {
            let max_and_one = i64::try_from(max).unwrap_or(i64::MAX).saturating_add(1);
            let rows = self.call(&self.links[0], "list($1, $2)", &[&prefix, &max_and_one]).await;
            let rows = rows.map_err(|failure| failure.into_error(DOING))?;
            let locks = reply::states(&rows);
            let mut locks =
                locks.map_err(|malformed| Arc::new(Failure::from(malformed)).into_error(DOING))?;
            let complete = locks.len() <= max;
            locks.truncate(max);
            Ok(LockList { locks, complete })
        })
    }

    fn break_holds<'a>(&'a self, request: &'a Break) -> Step<'a, Broken> {
        const DOING: &str = "break a lock";
        Box::pin(async move {
            let owners: Vec<&[u8]> = request.owners.iter().map(|owner| owner.as_bytes().as_slice()).collect();
            let (key, claim) = (request.key.as_str(), lasting(request.claim));
            let link = self.link(&request.key);
            let rows = self.call(link, "break_holds($1, $2, $3)", &[&key, &owners, &claim]).await;
            let rows = rows.map_err(|failure| failure.into_error(DOING))?;
            reply::broken(&rows).map_err(|malformed| Arc::new(Failure::from(malformed)).into_error(DOING))
        })
    }

    fn new_owner(&self) -> Owner {
        Owner::of_process(self.process)
    }

    fn notices(&self) -> broadcast::Receiver<Notice> {
        self.notices.subscribe()
    }

    fn close(&self) -> Step<'_, ()> {
        self.close_links();
        Box::pin(async { Ok(()) })
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.close_links();
        for task in &self.tasks {
            task.abort();
        }
    }
}
