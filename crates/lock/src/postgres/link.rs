//! The connections: made, looked after, and made again.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, broadcast, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::error::SqlState;
use tokio_postgres::{AsyncMessage, Client, Statement};

use super::clock::ServerClock;
use super::limits;
use super::options::PostgresOptions;
use super::reply::{self, Malformed};
use crate::SettingsError;
use crate::acquisition::jitter;
use crate::backend::{self, Notice};
use crate::clock::BootTime;
use crate::process::Process;

/// One connection, shared by steps and the task that keeps it.
#[derive(Debug)]
pub(super) struct Link {
    options: Arc<PostgresOptions>,
    purpose: Purpose,
    state: watch::Sender<State>,
    /// Somebody did not get an answer.
    suspect: Notify,
}

/// What a connection is for.
#[derive(Debug)]
pub(super) enum Purpose {
    /// Steps, whose answers tell what the server's clock shows.
    Steps(Arc<ServerClock>),
    Notices(Hearing),
}

/// What the connection that hears what falls free does beside it.
#[derive(Debug)]
pub(super) struct Hearing {
    pub(super) notices: broadcast::Sender<Notice>,
    pub(super) process: Process,
    pub(super) clock: Arc<ServerClock>,
}

#[derive(Clone, Debug)]
enum State {
    Connecting,
    Live(Arc<Live>),
    Failed(Arc<Failure>),
    Closed,
}

/// A session on the server.
pub(super) struct Live {
    pub(super) client: Client,
    pub(super) acquire: Statement,
    pub(super) renew: Statement,
    pub(super) release: Statement,
    /// Says that the server's clock was set forward.
    pub(super) clock_jumped: Statement,
    sweep: Statement,
}

impl fmt::Debug for Live {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Live").finish_non_exhaustive()
    }
}

impl Live {
    /// Sweeps up, and looks at the server's clock. If it was set and nobody here asks for locks, this tells the others.
    /// Returns whether there may be more to sweep up.
    async fn sweep(&self, hearing: &Hearing) -> Result<bool, Failure> {
        let process = &hearing.process;
        let sent = BootTime::now();
        let row = self.client.query_one(&self.sweep, &[&process.id.as_slice(), &process.name]).await?;
        hearing.clock.observe(sent, reply::time(&row)?);
        let more = reply::more(&row)?;
        if let Some(telling) = hearing.clock.tell() {
            let row = self.client.query_one(&self.clock_jumped, &[]).await?;
            telling.told(reply::quarantine(&row)?);
        }
        Ok(more)
    }
}

/// Why there is no connection, or a step failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Postgres(#[from] tokio_postgres::Error),
    #[error("the schema {schema} is not there, or not complete: run PostgresOptions::migrate")]
    Schema { schema: String, source: tokio_postgres::Error },
    #[error("the server does not answer")]
    NoAnswer,
    #[error("the server's answer is not to be understood: {0}")]
    Answer(#[from] Malformed),
    #[error(transparent)]
    Setting(#[from] SettingsError),
    #[error("the request reached the server too late")]
    Late,
    #[error("the connection was closed on our side")]
    Closed,
}

impl Failure {
    /// Whether it would be the same next time.
    fn is_final(&self) -> bool {
        match self {
            Self::Schema { .. } | Self::Answer(_) | Self::Setting(_) | Self::Closed => true,
            Self::NoAnswer | Self::Late => false,
            // Without a code the server did not say it. With one of these it says that it, or this session, is
            // not fit just now: connection, rollback, resources, operator, system, or a standby.
            Self::Postgres(error) => error.code().is_some_and(|code| {
                let passing = ["08", "40", "53", "55", "57", "58"];
                !passing.iter().any(|class| code.code().starts_with(class))
                    && *code != SqlState::READ_ONLY_SQL_TRANSACTION
            }),
        }
    }

    pub(super) fn into_error(self: Arc<Self>, doing: &'static str) -> backend::Error {
        if self.is_final() {
            backend::Error::Refused { doing, source: self.into() }
        } else {
            backend::Error::Unavailable { doing, source: self.into() }
        }
    }
}

/// Has the link looked at when a step is given up before its answer came.
pub(super) struct Unanswered<'a>(&'a Link);

impl Unanswered<'_> {
    pub(super) fn answered(self) {
        std::mem::forget(self);
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        self.0.suspect.notify_one();
    }
}

/// Moves what is sent and received, until it is dropped; the connection ends with it.
#[derive(Debug)]
pub(super) struct Driver(pub(super) JoinHandle<Result<(), tokio_postgres::Error>>);

impl Driver {
    pub(super) async fn end(&mut self) -> Failure {
        match (&mut self.0).await {
            Ok(Err(error)) => error.into(),
            Ok(Ok(())) | Err(_) => Failure::NoAnswer,
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Link {
    pub(super) fn new(options: &Arc<PostgresOptions>, purpose: Purpose) -> Arc<Self> {
        let (state, suspect) = (watch::Sender::new(State::Connecting), Notify::new());
        Arc::new(Self { options: Arc::clone(options), purpose, state, suspect })
    }

    /// The session; waits for the first one, and for none after that.
    pub(super) async fn live(&self) -> Result<Arc<Live>, Arc<Failure>> {
        if let State::Live(live) = &*self.state.borrow() {
            return Ok(Arc::clone(live));
        }
        let mut states = self.state.subscribe();
        let state = states.wait_for(|state| !matches!(state, State::Connecting)).await;
        match state.as_deref() {
            Ok(State::Live(live)) => Ok(Arc::clone(live)),
            Ok(State::Failed(failure)) => Err(Arc::clone(failure)),
            _ => Err(Arc::new(Failure::Closed)),
        }
    }

    pub(super) fn unanswered(&self) -> Unanswered<'_> {
        Unanswered(self)
    }

    pub(super) fn close(&self) {
        self.state.send_replace(State::Closed);
    }

    /// Connects, looks after the connection, and connects again, until closed.
    pub(super) async fn keep(self: Arc<Self>) {
        if let Some(wrong) = self.options.wrong.clone() {
            self.enter(State::Failed(Arc::new(wrong.into())));
            return;
        }
        let mut pause = limits::CONNECT_PAUSE_MIN;
        let limit = self.options.response_timeout * limits::CONNECT_RESPONSE_TIMEOUTS;
        let mut warned = false;
        loop {
            let started = Instant::now();
            let connected = timeout(limit, self.connect()).await.unwrap_or(Err(Failure::NoAnswer));
            let (failure, next) = match connected {
                Ok((live, driver)) => {
                    warned = false;
                    let live = Arc::new(live);
                    if !self.enter(State::Live(Arc::clone(&live))) {
                        return;
                    }
                    // Whatever fell free before is not told again.
                    self.gap();
                    let failure = Arc::new(self.look_after(&live, driver).await);
                    self.gap();
                    // Steps wait for the next one; only if that fails, they fail.
                    (failure, State::Connecting)
                }
                Err(failure) => {
                    let failure = Arc::new(failure);
                    (Arc::clone(&failure), State::Failed(failure))
                }
            };
            // Once of all connections of a process. Steps tell their callers, but one that has none is silent for ever.
            let warns = matches!((&*failure, &self.purpose), (Failure::Schema { .. }, Purpose::Notices(_)));
            if warns && !warned {
                warned = true;
                tracing::warn!(error = %failure, "no connection to the lock server");
            } else {
                tracing::debug!(error = %failure, "no connection to the lock server");
            }
            if !self.enter(next) {
                return;
            }
            if started.elapsed() > pause * limits::CONNECT_PAUSE_FORGIVEN {
                pause = limits::CONNECT_PAUSE_MIN;
            }
            sleep(pause - jitter(pause / 2)).await;
            pause = limits::CONNECT_PAUSE_MAX.min(pause * 2);
        }
    }

    /// With what this connection sweeps up, if it does.
    fn sweeper(&self) -> Option<&Hearing> {
        match &self.purpose {
            Purpose::Notices(hearing) if !self.options.tool => Some(hearing),
            _ => None,
        }
    }

    fn gap(&self) {
        if let Purpose::Notices(hearing) = &self.purpose {
            let _ = hearing.notices.send(Notice::Gap);
        }
    }

    /// Says how it stands, unless it was closed.
    fn enter(&self, state: State) -> bool {
        self.state.send_if_modified(|current| {
            let open = !matches!(current, State::Closed);
            if open {
                *current = state;
            }
            open
        })
    }

    /// Looks at the connection now and then, and when somebody did not get an answer. Returns why it is of
    /// no more use.
    async fn look_after(&self, live: &Live, mut driver: Driver) -> Failure {
        let mut states = self.state.subscribe();
        let mut pause = match &self.purpose {
            Purpose::Steps(_) => limits::LOOK_PAUSE,
            // It hears what falls free before it sweeps up for the first time, which may take long.
            Purpose::Notices(_) => Duration::ZERO,
        };
        loop {
            tokio::select! {
                failure = driver.end() => return failure,
                () = self.suspect.notified() => {}
                () = sleep(pause) => {}
                _ = states.wait_for(|state| matches!(state, State::Closed)) => return Failure::Closed,
            }
            let looked = tokio::select! {
                looked = self.look(live) => looked,
                _ = states.wait_for(|state| matches!(state, State::Closed)) => return Failure::Closed,
            };
            pause = match looked {
                // Else more ends in a pause than one sweep takes, and it never ends.
                Ok(true) => Duration::ZERO,
                Ok(false) => limits::LOOK_PAUSE,
                // An error in an answer is an answer; one of the connection ends the driver, too.
                Err(Failure::Postgres(error)) if error.code().is_some() => {
                    tracing::debug!(%error, "a look at the lock server failed");
                    limits::LOOK_PAUSE
                }
                Err(failure) => return failure,
            };
        }
    }

    /// Whether the server answers; and whether there is more to sweep up, for the connection that does.
    async fn look(&self, live: &Live) -> Result<bool, Failure> {
        let response_timeout = self.options.response_timeout;
        let ping = timeout(response_timeout, live.client.simple_query("")).await;
        ping.map_err(|_| Failure::NoAnswer)??;
        let Some(hearing) = self.sweeper() else { return Ok(false) };
        let limit = response_timeout * limits::SWEEP_RESPONSE_TIMEOUTS;
        timeout(limit, live.sweep(hearing)).await.unwrap_or(Err(Failure::NoAnswer))
    }

    async fn connect(&self) -> Result<(Live, Driver), Failure> {
        let (client, mut connection) =
            self.options.server.connect(Clone::clone(&self.options.connector)).await?;
        let notices = match &self.purpose {
            Purpose::Steps(_) => None,
            Purpose::Notices(hearing) => Some(hearing.notices.clone()),
        };
        let driver = Driver(tokio::spawn(async move {
            while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
                let AsyncMessage::Notification(notification) = message? else { continue };
                let Some(notices) = &notices else { continue };
                match reply::notice(notification.payload()) {
                    Some(notice) => drop(notices.send(notice)),
                    None => {
                        tracing::debug!(channel = notification.channel(), "a notice that is none of ours");
                    }
                }
            }
            Ok(())
        }));
        let schema = &self.options.schema;
        let timeouts = match &self.purpose {
            Purpose::Steps(_) => limits::LATE_TIMEOUTS,
            Purpose::Notices(_) => limits::SWEEP_RESPONSE_TIMEOUTS,
        };
        let limit_ms = (self.options.response_timeout * timeouts).as_millis();
        // Each hold leaves a dead row behind until the next vacuum, and all of a hot key lie side by side in the
        // index. A plain index scan marks the dead entries that it meets, and the next one passes over them; a
        // bitmap scan, which the planner prefers for a few rows, visits every one of them each time. What cannot be
        // scanned by an index then looks so dear that the server would compile it, for longer than a step may take.
        let session = format!(
            "SET application_name = '{schema}'; SET default_transaction_isolation = 'read committed';
             SET default_transaction_read_only = off; SET statement_timeout = {limit_ms};
             SET enable_bitmapscan = off; SET enable_seqscan = off; SET jit = off"
        );
        client.batch_execute(&session).await?;
        let incomplete = |source: tokio_postgres::Error| match source.code() {
            Some(
                &(SqlState::UNDEFINED_FUNCTION | SqlState::INVALID_SCHEMA_NAME | SqlState::UNDEFINED_TABLE),
            ) => Failure::Schema { schema: schema.clone(), source },
            _ => source.into(),
        };
        let prepare = async |function: &str| {
            client.prepare(&format!("SELECT * FROM {schema}.{function}")).await.map_err(incomplete)
        };
        let acquire = prepare("acquire($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)").await?;
        let renew = prepare("renew($1, $2, $3, $4, $5, $6)").await?;
        let release = prepare("release($1, $2, $3, $4, $5)").await?;
        let clock_jumped = prepare("clock_jumped()").await?;
        let sweep =
            format!("SELECT {schema}.now_us() AS o_now, o_more FROM {schema}.sweep_some($1, $2) AS o_more");
        let sweep = client.prepare(&sweep).await.map_err(incomplete)?;
        let live = Live { client, acquire, renew, release, clock_jumped, sweep };
        match &self.purpose {
            // The first step says until when it may be granted, by the server's clock.
            Purpose::Steps(clock) => {
                let sent = BootTime::now();
                let row = live.client.query_one(&format!("SELECT {schema}.now_us() AS o_now"), &[]).await?;
                clock.observe(sent, reply::time(&row)?);
            }
            Purpose::Notices(_) => live.client.batch_execute(&format!("LISTEN {schema}")).await?,
        }
        Ok((live, driver))
    }
}
