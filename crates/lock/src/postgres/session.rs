use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::limits;
use super::link::{Driver, Failure};
use super::options::{self, PostgresOptions};
use crate::backend;
use crate::clock::BootTime;
use crate::limits::WAIT_MAX;
use crate::{Error, IntoKey, LockKey, Lost, Outcome};

const DOING: &str = "take a lock for a session";

/// A lock that lives as long as a session on the PostgreSQL server: an advisory lock on a connection of its own.
///
/// For what one process does as long as it lives, such as being the one that runs a job; there is no lease and
/// nothing to renew. For everything else take [`Locks`](crate::Locks). Its limits:
///
/// - It costs a connection and a server process for as long as it is held, and for as long as it is waited for.
/// - The server frees it when it sees the session end; the holder sees that at about the same time or later, within
///   five seconds and a response timeout. There is no time up to which it is safe, as there is with a lease. So check
///   the [fence](Self::fence).
/// - When the network is cut, the server holds on until its kernel gives the connection up, after eleven seconds.
/// - A failover ends all sessions, and the next server knows nothing of them.
/// - A pooler in between must pool sessions.
/// - Keys are hashed to 64 bits. Two that hash alike wait for each other, needlessly.
/// - It is exclusive, is not seen by `jaego lock` (but in `pg_locks`), and shuts out nobody who takes the same key
///   through [`Locks`](crate::Locks).
///
/// Dropping it ends the session, and so the hold.
#[must_use = "the lock is let go when this is dropped"]
pub struct SessionLock {
    key: LockKey,
    fence: u64,
    hash_sql: String,
    response_timeout: Duration,
    client: Arc<Client>,
    lost: watch::Receiver<bool>,
    watcher: JoinHandle<()>,
}

impl PostgresOptions {
    /// Takes a lock for as long as the session that it opens lasts, and waits for it for up to `wait`; zero does
    /// not wait. The database must have been [prepared](Self::migrate). Dropping the future gives it up. However slowly
    /// the server answers, this takes no longer than `wait` and four [response timeouts](Self::response_timeout).
    ///
    /// # Errors
    /// [`Busy`](Error::Busy) without a wait and [`Timeout`](Error::Timeout) with one when another session has it,
    /// [`Unavailable`](Error::Unavailable) and [`Refused`](Error::Refused) when the server does not answer, or not this.
    pub async fn session_lock(&self, key: impl IntoKey, wait: Duration) -> Result<SessionLock, Error> {
        let key = key.into_key()?;
        if wait > WAIT_MAX {
            return Err(Error::out_of_range("wait", wait, Duration::ZERO, WAIT_MAX));
        }
        let limit = self.response_timeout * limits::CONNECT_RESPONSE_TIMEOUTS;
        let failed = |failure: Failure| Error::of_step(key.clone(), Arc::new(failure).into_error(DOING));
        if let Some(wrong) = self.wrong.clone() {
            return Err(failed(wrong.into()));
        }
        if self.tool {
            return Err(Error::of_step(key, options::refused_to_a_tool(DOING)));
        }
        let deadline = Instant::now() + wait + limit;
        let opened = timeout(limit, self.open_session(wait)).await.unwrap_or(Err(Failure::NoAnswer));
        let (client, driver) = opened.map_err(failed)?;

        // The third of the schema's spaces of advisory locks: the first are the steps' and the migration's.
        let hash_sql = format!("hashtextextended('{}.session.' || $1, 3)", self.schema);
        let started = BootTime::now();
        let take = if wait.is_zero() { "pg_try_advisory_lock" } else { "pg_advisory_lock" };
        let taking = async {
            let row = client.query_one(&format!("SELECT {take}({hash_sql})"), &[&key.as_str()]).await?;
            // Only the one that does not wait says anything.
            Ok::<_, tokio_postgres::Error>(!wait.is_zero() || row.get(0))
        };
        match timeout_at(deadline, taking).await {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => return Err(Error::Busy { key, holder_remaining: Duration::ZERO }),
            Ok(Err(error)) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
                let waited = BootTime::now().since(started);
                return Err(Error::Timeout { key, waited, holder_remaining: Duration::ZERO });
            }
            Ok(Err(error)) => return Err(failed(error.into())),
            Err(_) => return Err(failed(Failure::NoAnswer)),
        }
        // Drawn while the lock is held, so the next holder's is greater. It may wait for others who draw one, and the wait for
        // the lock is over.
        let next = format!("SELECT {0}.next_number({0}.now_us(), 0)", self.schema);
        let drawing = async {
            tokio::try_join!(client.batch_execute("SET lock_timeout = 0"), client.query_one(&next, &[]))
        };
        let fence: i64 = match timeout_at(deadline, drawing).await {
            Ok(Ok(((), row))) => row.get(0),
            Ok(Err(error)) => return Err(failed(error.into())),
            Err(_) => return Err(failed(Failure::NoAnswer)),
        };
        let fence = u64::try_from(fence).unwrap_or_default();

        let client = Arc::new(client);
        let (told, lost) = watch::channel(false);
        let (watched, response_timeout) = (Arc::clone(&client), self.response_timeout);
        let watcher = tokio::spawn(async move {
            watch_over(&watched, driver, response_timeout).await;
            let _ = told.send(true);
        });
        tracing::debug!(%key, fence, "took a lock for a session");
        Ok(SessionLock { key, fence, hash_sql, response_timeout, client, lost, watcher })
    }

    async fn open_session(&self, wait: Duration) -> Result<(Client, Driver), Failure> {
        let mut server = self.server.clone();
        server.keepalives(true).keepalives_idle(limits::SESSION_IDLE);
        server.keepalives_interval(limits::SESSION_PROBE_PAUSE).keepalives_retries(limits::SESSION_PROBES);
        let (client, connection) = server.connect(Clone::clone(&self.connector)).await?;
        let driver = Driver(tokio::spawn(connection));
        // A timeout of zero would be none.
        let settings = format!(
            "SET application_name = '{} session'; SET statement_timeout = 0; SET idle_session_timeout = 0;
             SET lock_timeout = {}; SET client_connection_check_interval = {}; SET tcp_keepalives_idle = {};
             SET tcp_keepalives_interval = {}; SET tcp_keepalives_count = {}",
            self.schema,
            wait.as_millis().max(1),
            limits::SESSION_CHECK_PAUSE.as_millis(),
            limits::SESSION_IDLE.as_secs(),
            limits::SESSION_PROBE_PAUSE.as_secs(),
            limits::SESSION_PROBES,
        );
        client.batch_execute(&settings).await?;
        Ok((client, driver))
    }
}

/// Comes back when the session is of no more use.
async fn watch_over(client: &Client, mut driver: Driver, response_timeout: Duration) {
    loop {
        tokio::select! {
            _ = driver.end() => return,
            () = sleep(limits::LOOK_PAUSE) => {}
        }
        if !matches!(timeout(response_timeout, client.simple_query("")).await, Ok(Ok(_))) {
            return;
        }
    }
}

impl SessionLock {
    /// Its key.
    #[must_use]
    pub fn key(&self) -> &LockKey {
        &self.key
    }

    /// The fence: greater than that of every earlier holder of this key. As [`Guard::fence`](crate::Guard::fence).
    #[must_use]
    pub fn fence(&self) -> u64 {
        self.fence
    }

    /// Whether the session is alive, as far as is known here.
    pub fn check(&self) -> Result<(), Lost> {
        if *self.lost.borrow() || self.client.is_closed() { Err(Lost::SessionEnded) } else { Ok(()) }
    }

    /// Comes back when the session is found to have ended, or not to answer. Another one may hold the lock by then.
    pub async fn lost(&self) -> Lost {
        // An error means that whoever watches has gone, which only dropping this lock does.
        let _ = self.lost.clone().wait_for(|lost| *lost).await;
        Lost::SessionEnded
    }

    /// Lets the lock go, ends the session, and tells whether the lock was held until now.
    pub async fn release(self) -> Outcome {
        let unlock = format!("SELECT pg_advisory_unlock({})", self.hash_sql);
        let answer =
            timeout(self.response_timeout, self.client.query_one(&unlock, &[&self.key.as_str()])).await;
        match answer {
            Ok(Ok(row)) if row.get(0) => Outcome::Released,
            Ok(Ok(_)) => Outcome::Expired,
            Ok(Err(_)) if self.client.is_closed() => Outcome::Expired,
            Ok(Err(error)) => {
                Outcome::Unknown(Arc::new(Failure::from(error)).into_error("release a lock of a session"))
            }
            Err(_) => {
                let timeout = self.response_timeout;
                Outcome::Unknown(backend::Error::NoAnswer { doing: "release a lock of a session", timeout })
            }
        }
    }
}

impl Drop for SessionLock {
    fn drop(&mut self) {
        // The driver ends with its watcher, and the connection with its driver.
        self.watcher.abort();
    }
}

impl fmt::Debug for SessionLock {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("SessionLock")
            .field("key", &self.key)
            .field("fence", &self.fence)
            .finish_non_exhaustive()
    }
}
