//! A connection to Redis, and what can go wrong with it.

use std::{fmt, time::Duration};

use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion,
    RedisError, Value, aio::MultiplexedConnection, cmd,
};
use tokio::time;

use crate::{
    limits::ANSWER_WAIT,
    message::{self, MessageId},
};

/// Where a Redis or Valkey server is, and how to log in there. Shown without user and password.
#[derive(Clone)]
pub struct Server(ConnectionInfo);

/// Why a text is no address of a server. The text itself is not shown: it may have a password in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// It asks for TLS.
    #[error("this build speaks no TLS: use redis:// through a private network or a local TLS proxy")]
    Tls,
    /// It is no address.
    #[error("not the address of a Redis server, such as redis://user:password@host:6379/0")]
    Malformed(#[source] RedisError),
}

impl Server {
    /// Reads `redis://[user:password@]host[:port][/db]` or `unix:///path`.
    ///
    /// # Errors
    /// If it is none, or begins with `rediss://`.
    pub fn parse(url: &str) -> Result<Self, AddressError> {
        if url.starts_with("rediss:") || url.starts_with("valkeys:") {
            return Err(AddressError::Tls);
        }
        let info = url.into_connection_info().map_err(AddressError::Malformed)?;
        // The shapes of answers are those of the older protocol, which every server speaks.
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP2);
        Ok(Self(info.set_redis_settings(settings)))
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.addr() {
            ConnectionAddr::Tcp(host, port) => {
                write!(f, "redis://{host}:{port}/{}", self.0.redis_settings().db())
            }
            other => write!(f, "{other}"),
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({self})")
    }
}

/// Why Redis did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot {doing}")]
    Redis {
        doing: &'static str,
        #[source]
        source: RedisError,
    },
    #[error("cannot {doing}: no answer came in time")]
    NoAnswer { doing: &'static str },
    #[error("cannot {doing}: the answer has another shape than that of a stream")]
    Shape { doing: &'static str },
    #[error("cannot {doing}: the stream ends with {found}, and not with {expected} as it was left")]
    Moved { doing: &'static str, expected: MessageId, found: MessageId },
}

impl Error {
    /// The code that the server's error begins with.
    pub(crate) fn code(&self) -> Option<&str> {
        match self {
            Self::Redis { source, .. } => source.code(),
            _ => None,
        }
    }

    /// With its causes, for logs.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Redis { doing, source } => format!("cannot {doing}: {source}"),
            other => other.to_string(),
        }
    }
}

/// One connection.
pub(crate) struct Link(MultiplexedConnection);

impl Link {
    pub(crate) async fn open(server: &Server) -> Result<Self, Error> {
        let doing = "connect";
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(ANSWER_WAIT)).set_response_timeout(None);
        let client = Client::open(server.0.clone()).map_err(|source| Error::Redis { doing, source })?;
        let connect = client.get_multiplexed_async_connection_with_config(&config);
        // Greeting and login are answered within the time as well.
        let connected = time::timeout(ANSWER_WAIT * 2, connect).await;
        let connection = connected.map_err(|_| Error::NoAnswer { doing })?;
        Ok(Self(connection.map_err(|source| Error::Redis { doing, source })?))
    }

    /// Runs a command. `doing` says what it is for.
    pub(crate) async fn run(&mut self, doing: &'static str, command: &Cmd) -> Result<Value, Error> {
        self.run_within(ANSWER_WAIT, doing, command).await
    }

    /// Runs a command that the server answers within this time if it is well.
    pub(crate) async fn run_within(
        &mut self,
        wait: Duration,
        doing: &'static str,
        command: &Cmd,
    ) -> Result<Value, Error> {
        let answer = time::timeout(wait, command.query_async::<Value>(&mut self.0)).await;
        answer.map_err(|_| Error::NoAnswer { doing })?.map_err(|source| Error::Redis { doing, source })
    }

    /// Gives the server a script, and returns the hash that it is run by.
    pub(crate) async fn load(&mut self, doing: &'static str, script: &str) -> Result<String, Error> {
        let load = cmd("SCRIPT").arg("LOAD").arg(script).to_owned();
        let hash = message::bytes(self.run(doing, &load).await?).ok_or(Error::Shape { doing })?;
        String::from_utf8(hash).map_err(|_| Error::Shape { doing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let server = Server::parse("redis://ops:secret@10.0.0.7:6380/2").unwrap();
        assert_eq!(server.to_string(), "redis://10.0.0.7:6380/2");
        assert_eq!(format!("{server:?}"), "Server(redis://10.0.0.7:6380/2)");
        for (url, said) in [
            ("rediss://ops:secret@host", "no TLS"),
            ("http://ops:secret@host", "not the address"),
            ("redis://ops:secret@host:port", "not the address"),
            ("secret", "not the address"),
        ] {
            let error = Server::parse(url).unwrap_err();
            let text = format!("{error} {error:?}");
            assert!(text.contains(said), "{text}");
            assert!(!text.contains("secret"), "{text}");
        }
    }
}
