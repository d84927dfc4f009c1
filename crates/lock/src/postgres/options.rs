use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::Config;

use super::connector::{self, Connector};

use super::limits;
use crate::settings::check_response_timeout;
use crate::{SettingsError, backend, process};

const SCHEMA_SQL: &str = include_str!("schema.sql");
/// Which one it is. Every change of it raises this.
const SCHEMA_VERSION: u32 = 1;
/// What the SQL fails with where a later one was there before.
const LATER_SCHEMA: &str = "JL001";

/// Where the locks are, and how they are laid out. All processes that share locks must use the same database
/// and [`schema`](Self::schema).
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    pub(super) server: Config,
    pub(super) connector: Connector,
    pub(super) schema: String,
    pub(super) connections: usize,
    pub(super) response_timeout: Duration,
    pub(super) process_name: String,
    pub(super) tool: bool,
    /// The first of the settings that cannot be. It was left as it was.
    pub(super) wrong: Option<SettingsError>,
}

/// Why there cannot be such [`PostgresOptions`], or why the database could not be prepared for them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresOptionsError {
    /// The text is no address of a PostgreSQL server. It is not repeated here, as there may be a password in it.
    #[error("cannot use this as the address of a PostgreSQL server")]
    Url {
        /// What is wrong with it.
        source: tokio_postgres::Error,
    },
    /// The schema's name needs quotes, or is too long.
    #[error(
        "a schema's name has 1 to {} small letters, digits and underscores, and no digit first",
        limits::SCHEMA_BYTES_MAX
    )]
    Schema,
    /// A duration is outside its limits.
    #[error(transparent)]
    Setting(#[from] SettingsError),
    /// There are none, or too many.
    #[error("there can be 1 to {} connections", limits::CONNECTIONS_MAX)]
    Connections,
    /// TLS is asked for (`sslmode=require`), and the feature `tls` is not compiled in.
    #[error("cannot connect by TLS: the feature `tls` of jaego-lock is not compiled in")]
    NoTls,
    /// Whom to trust, or who we are, cannot be used.
    #[cfg(feature = "tls")]
    #[error("cannot use these certificates for a PostgreSQL server")]
    Tls {
        /// Why not.
        source: crate::TlsError,
    },
    /// The database was not prepared in time. It may have been prepared all the same.
    #[error("cannot make the schema {schema} for the locks: it was not done within {timeout:?}")]
    MigrateTimeout {
        /// The schema.
        schema: String,
        /// How long it was waited for.
        timeout: Duration,
    },
    /// The database could not be prepared.
    #[error("cannot make the schema {schema} for the locks")]
    Migrate {
        /// The schema.
        schema: String,
        /// Why not.
        source: tokio_postgres::Error,
    },
}

impl PostgresOptions {
    /// A database: `postgres://user:password@host:port/database`, or `host=… dbname=…`.
    ///
    /// With the feature `tls` and `sslmode=require` in it the connections are encrypted, and the server's certificate is
    /// held against its host name and the system's authorities, unless [`tls`](Self::tls) names others. Without, they
    /// are plain: for servers on the same machine or network, or behind a tunnel.
    ///
    /// The connections keep a session: a pooler in between must pool sessions, not transactions, and pass
    /// notifications on.
    pub fn new(url: &str) -> Result<Self, PostgresOptionsError> {
        let mut server: Config = url.parse().map_err(|source| PostgresOptionsError::Url { source })?;
        let connector = connector::connector(&mut server)?;
        Ok(Self {
            server,
            connector,
            schema: limits::SCHEMA.to_owned(),
            connections: limits::CONNECTIONS,
            response_timeout: crate::limits::RESPONSE_TIMEOUT,
            process_name: process::default_name(),
            tool: false,
            wrong: None,
        })
    }

    /// Connects by TLS and in no other way. Says whom to trust, and who we are.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: &crate::Tls) -> Result<Self, PostgresOptionsError> {
        self.connector = Connector::with(tls)?;
        self.server.ssl_mode(tokio_postgres::config::SslMode::Require);
        Ok(self)
    }

    /// The schema that the tables and functions are in, which is also the channel of the notices. Default
    /// `jaego_lock`.
    pub fn schema(mut self, schema: &str) -> Result<Self, PostgresOptionsError> {
        let plain = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '_';
        let digit_first = schema.starts_with(|char: char| char.is_ascii_digit());
        if schema.is_empty()
            || schema.len() > limits::SCHEMA_BYTES_MAX
            || digit_first
            || !schema.chars().all(plain)
        {
            return Err(PostgresOptionsError::Schema);
        }
        schema.clone_into(&mut self.schema);
        Ok(self)
    }

    /// How many connections the steps are spread over, by key; one more hears the notices. On one connection
    /// steps are done one after the other, and each grant waits for a write to the server's disk. Default 4.
    pub fn connections(mut self, connections: usize) -> Result<Self, PostgresOptionsError> {
        if connections == 0 || connections > limits::CONNECTIONS_MAX {
            return Err(PostgresOptionsError::Connections);
        }
        self.connections = connections;
        Ok(self)
    }

    /// What this process is called where people look at its locks. Default `HOST:PID`. Control characters are left
    /// out, what is longer than [`PROCESS_NAME_BYTES_MAX`](crate::limits::PROCESS_NAME_BYTES_MAX) is cut, and
    /// nothing is written down of a process without a name.
    #[must_use]
    pub fn process_name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.process_name);
        self
    }

    /// For a tool that looks at locks and breaks holds, and takes no locks: they are refused to it, those
    /// [of a session](Self::session_lock) as well. It does not sweep up what has ended, and does not tell the others that the
    /// server's clock was set forward: a machine that was paused while the tool ran takes its own pause for that, and nobody
    /// would be granted anything for the longest lease ever given.
    #[must_use]
    pub fn tool(mut self) -> Self {
        self.tool = true;
        self
    }

    /// How long the server may take to answer before its connection is looked at: 1 ms to 60 s. Default 500 ms; best the
    /// same as in [`Settings`](crate::Settings). With one that cannot be, nothing is connected to, and everything is
    /// refused with a [`SettingsError`].
    #[must_use]
    pub fn response_timeout(mut self, response_timeout: Duration) -> Self {
        match check_response_timeout(response_timeout) {
            Ok(()) => self.response_timeout = response_timeout,
            Err(wrong) => self.wrong = self.wrong.or(Some(wrong)),
        }
        self
    }

    /// The SQL that makes the schema, its tables, its sequence and its functions, for those who have their own
    /// way of migrating. It may run again, and does not touch locks that are held. Where a later version of this library has
    /// made the schema, it fails with the code `JL001`, and changes nothing if it runs in one transaction.
    #[must_use]
    pub fn migration(&self) -> String {
        SCHEMA_SQL
            .replace("{schema}", &self.schema)
            .replace("{version}", &SCHEMA_VERSION.to_string())
            .replace("{later_schema}", LATER_SCHEMA)
            .replace("{queue_max}", &crate::limits::QUEUE_MAX.to_string())
    }

    /// Makes what the locks need in the database, in one transaction. A schema that a later version of this library has made
    /// serves this one as well, and is left as it is. Needs the right to create a schema, which
    /// the locks themselves do not: they use it, its tables (`SELECT, INSERT, UPDATE, DELETE`) and its sequence.
    ///
    /// Takes no longer than 80 [response timeouts](Self::response_timeout) (40 s), and waits for no lock of the database for
    /// longer than half of that.
    pub async fn migrate(&self) -> Result<(), PostgresOptionsError> {
        if let Some(wrong) = self.wrong.clone() {
            return Err(wrong.into());
        }
        let limit = self.response_timeout * limits::MIGRATE_RESPONSE_TIMEOUTS;
        timeout(limit, self.connect_and_migrate()).await.unwrap_or_else(|_| {
            Err(PostgresOptionsError::MigrateTimeout { schema: self.schema.clone(), timeout: limit })
        })
    }

    async fn connect_and_migrate(&self) -> Result<(), PostgresOptionsError> {
        let failed = |source| PostgresOptionsError::Migrate { schema: self.schema.clone(), source };
        let (client, connection) =
            self.server.connect(Clone::clone(&self.connector)).await.map_err(failed)?;
        let work = async {
            // One after the other, if several processes start together.
            let lock = format!("SELECT pg_advisory_xact_lock(hashtextextended('{}', 2))", self.schema);
            // The server must not go on for one who has gone.
            let statement_ms = (self.response_timeout * limits::MIGRATE_RESPONSE_TIMEOUTS).as_millis().max(1);
            let lock_ms = (self.response_timeout * limits::MIGRATE_LOCK_RESPONSE_TIMEOUTS).as_millis().max(1);
            let sql = format!(
                "BEGIN; SET LOCAL client_min_messages = warning; SET LOCAL statement_timeout = {statement_ms};
                 SET LOCAL lock_timeout = {lock_ms}; {lock}; {}; COMMIT",
                self.migration()
            );
            let made = client.batch_execute(&sql).await;
            let later = |error: &tokio_postgres::Error| {
                error.as_db_error().filter(|told| told.code().code() == LATER_SCHEMA).cloned()
            };
            if let Some(told) = made.as_ref().err().and_then(later) {
                tracing::debug!(message = told.message(), "not migrated");
                return Ok(());
            }
            made
        };
        tokio::pin!(work, connection);
        tokio::select! {
            done = &mut work => done.map_err(failed),
            ended = &mut connection => match ended {
                Err(source) => Err(failed(source)),
                // It has told the client, which says the same in its own words.
                Ok(()) => work.await.map_err(failed),
            },
        }
    }
}

pub(super) fn refused_to_a_tool(doing: &'static str) -> backend::Error {
    let source = "the PostgresOptions are those of a tool, which takes no locks".into();
    backend::Error::Refused { doing, source }
}
