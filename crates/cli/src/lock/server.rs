//! Which lock server is spoken to, and how.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, FromArgMatches};
use jaego_lock::{Locks, Postgres, PostgresOptions, Redis, RedisOptions, RedisOptionsError, Settings, Tls};

use crate::exit::Usage;

/// A terminal is in less of a hurry than a program that holds a lock.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);
/// The address of a server that the sentinels name. Only user, password and database of such an address count.
const NAMED_BY_SENTINELS: &str = "redis://127.0.0.1/";

/// The server that was chosen: a flag beats the environment, wherever it stands.
pub(super) struct Chosen {
    pub(super) server: Server,
}

/// Where the locks are.
#[derive(Args)]
pub(super) struct Server {
    /// The Redis or Valkey server: redis://[user:password@]host[:port][/db], or rediss:// for TLS
    #[arg(long, global = true, env = "JAEGO_LOCK_REDIS", value_name = "URL", hide_env_values = true)]
    #[arg(help_heading = "Settings")]
    redis: Option<String>,
    /// Sentinels that know the Redis server: HOST:PORT, or a URL with a password or rediss://; several with commas
    /// between. Host and port of --redis do not count then, and without --redis the server wants no password.
    #[arg(long, global = true, env = "JAEGO_LOCK_SENTINEL", value_name = "ADDRESS", hide_env_values = true)]
    #[arg(value_delimiter = ',', help_heading = "Settings")]
    sentinel: Vec<String>,
    /// What the sentinels call the Redis server.
    #[arg(long, global = true, env = "JAEGO_LOCK_MASTER", value_name = "NAME", help_heading = "Settings")]
    master: Option<String>,
    /// The PostgreSQL database: postgres://user[:password]@host[:port]/database, by TLS with ?sslmode=require
    #[arg(long, global = true, env = "JAEGO_LOCK_POSTGRES", value_name = "URL", hide_env_values = true)]
    #[arg(help_heading = "Settings")]
    postgres: Option<String>,
    /// Speak TLS, and trust the authorities in this PEM file and nobody else. Without it those of the machine are
    /// trusted, where an address asks for TLS: that of the server, or of a sentinel.
    #[arg(long, global = true, env = "JAEGO_LOCK_CA", value_name = "FILE", help_heading = "Settings")]
    ca: Option<PathBuf>,
    /// Show the server the certificate in this PEM file, and those behind it.
    #[arg(long, global = true, env = "JAEGO_LOCK_TLS_CERT", value_name = "FILE")]
    #[arg(help_heading = "Settings")]
    tls_cert: Option<PathBuf>,
    /// The PEM file with its private key.
    #[arg(long, global = true, env = "JAEGO_LOCK_TLS_KEY", value_name = "FILE")]
    #[arg(help_heading = "Settings")]
    tls_key: Option<PathBuf>,
    /// What the names of the keys on Redis begin with.
    #[arg(long, global = true, value_name = "PREFIX", default_value = "jaego", help_heading = "Settings")]
    pub(super) prefix: String,
    /// The schema on PostgreSQL.
    #[arg(
        long,
        global = true,
        value_name = "SCHEMA",
        default_value = "jaego_lock",
        help_heading = "Settings"
    )]
    schema: String,
}

impl Args for Chosen {
    fn augment_args(command: Command) -> Command {
        Server::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Server::augment_args_for_update(command)
    }
}

impl FromArgMatches for Chosen {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let flag = |id| matches.value_source(id) == Some(ValueSource::CommandLine);
        let (sentinels, postgres) = (flag("sentinel") || flag("master"), flag("postgres"));
        let redis = sentinels || flag("redis");
        let mut server = Server::from_arg_matches(matches)?;
        // Two flags that do not go together are left as they are, and so is the environment without a flag.
        if postgres && !redis {
            (server.redis, server.master) = (None, None);
            server.sentinel.clear();
        }
        if redis && !postgres {
            server.postgres = None;
        }
        // With sentinels, the host of a Redis does not count: who names one wants no sentinels.
        if flag("redis") && !sentinels {
            server.master = None;
            server.sentinel.clear();
        }
        Ok(Self { server })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Server {
    /// Nothing if there never were any locks.
    pub(super) async fn connect(&self) -> Result<Option<Locks>> {
        let settings = Settings {
            response_timeout: RESPONSE_TIMEOUT,
            lease_max: Duration::from_secs(60),
            ..Settings::default()
        };
        if self.redis.is_some() && self.postgres.is_some() {
            let detail = "the locks are on one server: say either --redis or --postgres, or set either \
                          JAEGO_LOCK_REDIS or JAEGO_LOCK_POSTGRES";
            return Err(Usage(detail.to_owned()).into());
        }
        if let Some(options) = self.redis_options()? {
            // It grants nothing, and must not have the others wait for a quarantine of its own.
            let options =
                options.response_timeout(RESPONSE_TIMEOUT).process_name("").quarantine(Duration::ZERO);
            let Some(options) = options.found().await? else { return Ok(None) };
            return Ok(Some(Locks::with_settings(Redis::start(options), settings)?));
        }
        let Some(url) = &self.postgres else {
            let where_to = "where are the locks? Say --redis URL or --postgres URL, or set JAEGO_LOCK_REDIS or \
                            JAEGO_LOCK_POSTGRES";
            return Err(Usage(where_to.to_owned()).into());
        };
        let tls = self.tls()?;
        let options = PostgresOptions::new(url)
            .and_then(|options| options.schema(&self.schema)?.connections(1))
            .and_then(|options| match &tls {
                Some(tls) => options.tls(tls),
                None => Ok(options),
            })
            .map_err(|error| Usage(described(&error)))?;
        let options = options.response_timeout(RESPONSE_TIMEOUT).process_name("").tool();
        Ok(Some(Locks::with_settings(Postgres::start(options), settings)?))
    }

    /// Nothing if the locks are not on Redis.
    fn redis_options(&self) -> Result<Option<RedisOptions>> {
        let url = self.redis.as_deref();
        let usage = |error: RedisOptionsError| Usage(described(&error));
        let options = match (&self.master, &*self.sentinel) {
            (None, []) => {
                let Some(url) = url else { return Ok(None) };
                RedisOptions::new(url).map_err(usage)?
            }
            _ if self.postgres.is_some() => {
                let detail = "sentinels know Redis servers: say either --sentinel or --postgres, or set either \
                              JAEGO_LOCK_SENTINEL or JAEGO_LOCK_POSTGRES";
                return Err(Usage(detail.to_owned()).into());
            }
            (None, [_, ..]) => {
                let detail =
                    "which server do the sentinels look after? Say --master NAME, or set JAEGO_LOCK_MASTER";
                return Err(Usage(detail.to_owned()).into());
            }
            (Some(master), []) => {
                let detail = format!(
                    "who knows the master {master}? Say --sentinel HOST:PORT, or set JAEGO_LOCK_SENTINEL"
                );
                return Err(Usage(detail).into());
            }
            (Some(master), sentinels) => {
                let with_scheme = |address: &String| {
                    if address.contains("://") { address.clone() } else { format!("redis://{address}") }
                };
                let sentinels: Vec<String> = sentinels.iter().map(with_scheme).collect();
                let sentinels: Vec<&str> = sentinels.iter().map(String::as_str).collect();
                RedisOptions::sentinel(&sentinels, master, url.unwrap_or(NAMED_BY_SENTINELS))
                    .map_err(usage)?
            }
        };
        let options = options.prefix(&self.prefix).map_err(usage)?;
        Ok(Some(match self.tls()? {
            Some(tls) => options.tls(&tls).map_err(usage)?,
            None => options,
        }))
    }

    /// Whom to trust and who we are; nothing if neither was said.
    fn tls(&self) -> Result<Option<Tls>> {
        let mut tls = Tls::system();
        if let Some(file) = &self.ca {
            tls = Tls::trusting(&read(file)?).map_err(|error| unusable(file, &error))?;
        }
        match (&self.tls_cert, &self.tls_key) {
            (None, None) => Ok(self.ca.is_some().then_some(tls)),
            (Some(_), None) => {
                Err(Usage("which key is the certificate for? Say --tls-key FILE".to_owned()).into())
            }
            (None, Some(_)) => {
                Err(Usage("which certificate is the key for? Say --tls-cert FILE".to_owned()).into())
            }
            (Some(cert), Some(key)) => {
                let tls = tls.identity(&read(cert)?, &read(key)?).map_err(|error| unusable(cert, &error))?;
                Ok(Some(tls))
            }
        }
    }
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

fn unusable(file: &Path, error: &dyn std::error::Error) -> Usage {
    Usage(format!("cannot use {}: {}", file.display(), described(error)))
}

/// An error with its causes. Some say what caused them themselves.
pub(super) fn described(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.ends_with(&said) {
            text += &format!(": {said}");
        }
        cause = error.source();
    }
    text
}
