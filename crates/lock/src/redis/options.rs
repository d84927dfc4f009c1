use std::time::Duration;

#[cfg(feature = "tls")]
use ::redis::Client;
use ::redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisError};
use tokio::time::timeout;

use super::limits;
use super::link::{Failure, Link};
use crate::settings::{check_response_timeout, within};
use crate::{SettingsError, process};

/// Where the locks are, and how they are laid out. All processes that share locks must use the same
/// [`prefix`](Self::prefix), [`shards`](Self::shards) and [`quarantine`](Self::quarantine).
#[derive(Clone, Debug)]
pub struct RedisOptions {
    pub(super) server: ConnectionInfo,
    pub(super) sentinel: Option<Sentinel>,
    pub(super) prefix: String,
    pub(super) shards: u16,
    pub(super) quarantine: Duration,
    pub(super) replica_lag: Duration,
    pub(super) response_timeout: Duration,
    pub(super) process_name: String,
    /// The first of the settings that cannot be. It was left as it was.
    pub(super) wrong: Option<SettingsError>,
}

#[derive(Clone, Debug)]
pub(super) struct Sentinel {
    pub(super) servers: Vec<ConnectionInfo>,
    pub(super) master: String,
}

/// Why there cannot be such [`RedisOptions`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RedisOptionsError {
    /// A URL that is none.
    #[error("cannot use {url} as the address of a Redis server")]
    Url {
        /// The URL, without its password.
        url: String,
        /// What is wrong with it.
        source: RedisError,
    },
    /// Sentinels are asked by TCP, and there must be one.
    #[error("a list of sentinels needs at least one, and a server by TCP")]
    Sentinels,
    /// The prefix is empty, too long, or has braces or control characters in it.
    #[error("a prefix has 1 to {} bytes, without braces and control characters", limits::PREFIX_BYTES_MAX)]
    Prefix,
    /// The server did not say how the locks on it are laid out.
    #[error("cannot look for locks on the Redis server")]
    Layout {
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The locks on the server are those of another version.
    #[error("the locks on the Redis server are laid out as {layout}, by another version")]
    Version {
        /// How.
        layout: String,
    },
    /// A duration is outside its limits.
    #[error(transparent)]
    Setting(#[from] SettingsError),
    /// There are none, or too many.
    #[error("there can be 1 to {} shards", limits::SHARDS_MAX)]
    Shards,
    /// The address asks for TLS without looking at the server's certificate.
    #[error("cannot use a TLS connection whose server may be anybody (#insecure)")]
    Unchecked,
    /// TLS was set up for a server that is not spoken to by TLS.
    #[error("the addresses of servers and sentinels that are spoken to by TLS begin with rediss://")]
    NoTls,
    /// The certificates or the key cannot be used.
    #[error("cannot use these certificates for a Redis server")]
    Tls {
        /// Why not.
        source: RedisError,
    },
}

impl RedisOptions {
    /// One server: `redis://[user:password@]host[:port][/db]`, or `unix:///path`. With the feature `tls` also
    /// `rediss://…`, whose certificate is held against the system's authorities unless [`tls`](Self::tls) names others.
    pub fn new(url: &str) -> Result<Self, RedisOptionsError> {
        Ok(Self {
            server: parse(url)?,
            sentinel: None,
            prefix: limits::PREFIX.to_owned(),
            shards: limits::SHARDS,
            quarantine: limits::QUARANTINE,
            replica_lag: limits::REPLICA_LAG,
            response_timeout: crate::limits::RESPONSE_TIMEOUT,
            process_name: process::default_name(),
            wrong: None,
        })
    }

    /// The master that sentinels know under a name. User, password and database are those of `url`; its host
    /// and port are not used. All sentinels are asked at once, for a response timeout at the most, and for half a second
    /// when another one has answered; where they name different masters, the one with the greatest config epoch is
    /// believed, which is that of the last failover.
    pub fn sentinel(sentinels: &[&str], master: &str, url: &str) -> Result<Self, RedisOptionsError> {
        let options = Self::new(url)?;
        let by_tcp = matches!(options.server.addr(), ConnectionAddr::Tcp(..) | ConnectionAddr::TcpTls { .. });
        if sentinels.is_empty() || !by_tcp {
            return Err(RedisOptionsError::Sentinels);
        }
        let servers = sentinels.iter().map(|url| parse(url)).collect::<Result<_, _>>()?;
        Ok(Self { sentinel: Some(Sentinel { servers, master: master.to_owned() }), ..options })
    }

    /// Whom to trust when connecting by TLS (`rediss://`), and who we are. For the server and the sentinels whose
    /// addresses begin so, one of them at least. With sentinels the server's certificate must bear the name under which they announce it,
    /// which is its IP address unless they are set to announce host names.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: &crate::Tls) -> Result<Self, RedisOptionsError> {
        let sentinels = self.sentinel.iter_mut().flat_map(|sentinel| &mut sentinel.servers);
        let mut by_tls: Vec<_> =
            std::iter::once(&mut self.server).chain(sentinels).filter(|server| is_tls(server)).collect();
        if by_tls.is_empty() {
            return Err(RedisOptionsError::NoTls);
        }
        for server in &mut by_tls {
            let client = Client::build_with_tls(server.clone(), tls.for_redis());
            let client = client.map_err(|source| RedisOptionsError::Tls { source })?;
            **server = client.get_connection_info().clone();
        }
        Ok(self)
    }

    /// What the names of all keys begin with. Default `jaego`.
    pub fn prefix(mut self, prefix: &str) -> Result<Self, RedisOptionsError> {
        let odd = |char: char| char.is_control() || char == '{' || char == '}';
        if prefix.is_empty() || prefix.len() > limits::PREFIX_BYTES_MAX || prefix.contains(odd) {
            return Err(RedisOptionsError::Prefix);
        }
        prefix.clone_into(&mut self.prefix);
        Ok(self)
    }

    /// Into how many shards the keys are laid. All keys of a shard share a hash tag, so a
    /// [`multi`](crate::Locks::multi) lock takes one step for each shard that it touches. Default 64.
    pub fn shards(mut self, shards: u16) -> Result<Self, RedisOptionsError> {
        if shards == 0 || shards > limits::SHARDS_MAX {
            return Err(RedisOptionsError::Shards);
        }
        self.shards = shards;
        Ok(self)
    }

    /// How long a server that is new to us grants nothing: it may have lost locks whose holders still rely
    /// on them. Leases and extensions that do not fit into it, with the [lag](Self::replica_lag) and a second to spare,
    /// are refused. Zero switches it off, and with it the protection in a failover and a restart.
    ///
    /// Where clients ask for different ones the longest counts, for all of them, and the server keeps it: one that is
    /// shorter must not end it for those whose leases are longer. To go back to a shorter one, set it everywhere, and
    /// delete the keys `PREFIX:{…}:boot`, which begins a quarantine.
    ///
    /// Default 41 s: a lease of 30 s, a lag of 10 s and a second to spare. Three days at the most; with a longer one nothing is
    /// connected to, and everything is refused with a [`SettingsError`].
    #[must_use]
    pub fn quarantine(mut self, quarantine: Duration) -> Self {
        match within("quarantine", quarantine, Duration::ZERO, limits::QUARANTINE_MAX) {
            Ok(()) => self.quarantine = quarantine,
            Err(wrong) => self.wrong = self.wrong.or(Some(wrong)),
        }
        self
    }

    /// How long a master that was cut off from its replicas may go on granting: its `min-replicas-max-lag`, with
    /// `min-replicas-to-write 1`. A lease may be as long as the [quarantine](Self::quarantine) without this and without a
    /// second to spare. Default 10 s; zero is right for a server that never has a replica.
    #[must_use]
    pub fn replica_lag(mut self, replica_lag: Duration) -> Self {
        self.replica_lag = replica_lag;
        self
    }

    /// The longest lease that the quarantine outlasts, whoever granted it; nothing without a quarantine.
    pub(super) fn lease_max(&self) -> Option<Duration> {
        let rest = self.quarantine.saturating_sub(self.replica_lag);
        (!self.quarantine.is_zero()).then(|| rest.saturating_sub(limits::QUARANTINE_MARGIN))
    }

    /// What this process is called where people look at its locks. Default `HOST:PID`. Control characters are left
    /// out, what is longer than [`PROCESS_NAME_BYTES_MAX`](crate::limits::PROCESS_NAME_BYTES_MAX) is cut, and
    /// nothing is written down of a process without a name.
    #[must_use]
    pub fn process_name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.process_name);
        self
    }

    /// Sets the number of [shards](Self::shards) to what the programs use that keep their locks there: for tools
    /// that look at locks which are not their own. Nothing if there never were any.
    pub async fn found(self) -> Result<Option<Self>, RedisOptionsError> {
        if let Some(wrong) = self.wrong {
            return Err(wrong.into());
        }
        let link = Link::new(self.clone());
        let limit = self.response_timeout * limits::CONNECT_RESPONSE_TIMEOUTS * 2;
        let layout = match timeout(limit, link.layout()).await {
            Ok(Ok(layout)) => layout,
            Ok(Err(failure)) => return Err(RedisOptionsError::Layout { source: failure.into() }),
            Err(_) => return Err(RedisOptionsError::Layout { source: Failure::NoAnswer.into() }),
        };
        let Some(layout) = layout else { return Ok(None) };
        let shards = layout.strip_prefix(limits::LAYOUT).and_then(|shards| shards.parse().ok());
        let Some(shards) = shards else {
            return Err(RedisOptionsError::Version { layout });
        };
        self.shards(shards).map(Some)
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
}

#[cfg(feature = "tls")]
fn is_tls(server: &ConnectionInfo) -> bool {
    matches!(server.addr(), ConnectionAddr::TcpTls { .. })
}

fn parse(url: &str) -> Result<ConnectionInfo, RedisOptionsError> {
    let server = parse_any(url)?;
    let ConnectionAddr::TcpTls { insecure, .. } = server.addr() else { return Ok(server) };
    if *insecure {
        return Err(RedisOptionsError::Unchecked);
    }
    #[cfg(feature = "tls")]
    crate::tls::provide();
    Ok(server)
}

fn parse_any(url: &str) -> Result<ConnectionInfo, RedisOptionsError> {
    let server = url.into_connection_info().map_err(|source| {
        let url = match url.rsplit_once('@') {
            Some((_, place)) => format!("…@{place}"),
            None => url.to_owned(),
        };
        RedisOptionsError::Url { url, source }
    })?;
    // Telling the server the name of the client library is a command more that its user would have to be allowed.
    let settings = server.redis_settings().clone().set_skip_set_lib_name();
    Ok(server.set_redis_settings(settings))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarantine_outlasts_a_lease_the_lag_and_a_second() {
        let secs = Duration::from_secs;
        let options = RedisOptions::new("redis://127.0.0.1/").unwrap();
        assert_eq!(options.lease_max(), Some(crate::limits::LEASE_MAX), "the defaults fit together");
        let lease_max =
            |quarantine, lag| options.clone().quarantine(secs(quarantine)).replica_lag(secs(lag)).lease_max();
        assert_eq!(lease_max(120, 10), Some(secs(109)));
        assert_eq!(lease_max(41, 0), Some(secs(40)));
        assert_eq!(lease_max(10, 10), Some(Duration::ZERO));
        assert_eq!(lease_max(0, 10), None, "without a quarantine any lease will do");
    }
}
