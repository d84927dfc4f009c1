//! A connection to Redis, and what can go wrong with it.

use std::{fmt, io, time::Duration};

use jaego_tls::{Connector, HandshakeError, Trust};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion,
    RedisError, Value, aio::MultiplexedConnection, cmd,
};
use tokio::{net::TcpStream, task::JoinSet, time};

use crate::{
    limits::ANSWER_WAIT,
    message::{self, MessageId},
};

/// Where a Redis or Valkey server is, how to log in there, and whom to believe that it is there. Shown without user and
/// password.
#[derive(Clone)]
pub struct Server {
    info: ConnectionInfo,
    /// What makes connections secure, where the address asks for that.
    tls: Option<Connector>,
}

/// Why a text is no address of a server. The text itself is not shown: it may have a password in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// It asks for TLS with anybody.
    #[error("certificates are always looked at: leave #insecure away, and name the file of your own CA")]
    Insecure,
    /// It asks for TLS, and those whose certificates are trusted are not known.
    #[error("cannot tell whose certificates to trust")]
    Trust(#[source] jaego_tls::Error),
    /// It is no address.
    #[error("not the address of a Redis server, such as redis://user:password@host:6379/0")]
    Malformed(#[source] RedisError),
}

impl Server {
    /// Reads `redis://[user:password@]host[:port][/db]`, the same with `rediss://` for TLS, or `unix:///path`. Behind
    /// `rediss://` the server has to show a certificate for that host, of somebody whom the machine trusts.
    ///
    /// # Errors
    /// If it is none, or if the machine trusts nobody.
    pub fn parse(url: &str) -> Result<Self, AddressError> {
        Self::trusting(url, &Trust::system())
    }

    /// As [`Server::parse`], with a say in whose certificates are believed.
    ///
    /// # Errors
    /// As [`Server::parse`], and if the CA's file cannot be used. It is read where the address is `rediss://`.
    pub fn trusting(url: &str, trust: &Trust) -> Result<Self, AddressError> {
        let (plain, is_tls) = match url.split_once("s://") {
            Some(("redis" | "valkey", _)) if url.ends_with("#insecure") => {
                return Err(AddressError::Insecure);
            }
            Some((scheme @ ("redis" | "valkey"), rest)) => (format!("{scheme}://{rest}"), true),
            _ => (url.to_owned(), false),
        };
        let info = plain.as_str().into_connection_info().map_err(AddressError::Malformed)?;
        let tls = is_tls.then(|| trust.connector()).transpose().map_err(AddressError::Trust)?;
        // The shapes of answers are those of the older protocol, which every server speaks. Telling the server the name of
        // the client library is a command more that its user would have to be allowed.
        let settings =
            info.redis_settings().clone().set_protocol(ProtocolVersion::RESP2).set_skip_set_lib_name();
        Ok(Self { info: info.set_redis_settings(settings), tls })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.info.addr() {
            ConnectionAddr::Tcp(host, port) => {
                let scheme = if self.tls.is_some() { "rediss" } else { "redis" };
                write!(f, "{scheme}://{host}:{port}/{}", self.info.redis_settings().db())
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
    #[error("cannot {doing}: {source}")]
    Unreached { doing: &'static str, source: io::Error },
    #[error("cannot {doing}: {source}")]
    Insecure { doing: &'static str, source: HandshakeError },
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
pub(crate) struct Link {
    connection: MultiplexedConnection,
    /// What carries a secure connection; it ends with the connection.
    _driver: JoinSet<()>,
}

impl Link {
    pub(crate) async fn open(server: &Server) -> Result<Self, Error> {
        let doing = "connect";
        // Greeting and login are answered within the time as well.
        let connected = time::timeout(ANSWER_WAIT * 2, Self::connect(server)).await;
        connected.map_err(|_| Error::NoAnswer { doing })?
    }

    async fn connect(server: &Server) -> Result<Self, Error> {
        let doing = "connect";
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(ANSWER_WAIT)).set_response_timeout(None);
        let failed = |source| Error::Redis { doing, source };
        let mut driver = JoinSet::new();
        let connection = match (&server.tls, server.info.addr()) {
            (Some(tls), ConnectionAddr::Tcp(host, port)) => {
                let unreached = |source| Error::Unreached { doing, source };
                let socket = TcpStream::connect((host.as_str(), *port)).await.map_err(unreached)?;
                socket.set_nodelay(true).map_err(unreached)?;
                let stream =
                    tls.connect(host, socket).await.map_err(|source| Error::Insecure { doing, source })?;
                let settings = server.info.redis_settings();
                let (connection, carry) =
                    MultiplexedConnection::new_with_config(settings, stream, config).await.map_err(failed)?;
                driver.spawn(carry);
                connection
            }
            _ => {
                let client = Client::open(server.info.clone()).map_err(failed)?;
                client.get_multiplexed_async_connection_with_config(&config).await.map_err(failed)?
            }
        };
        Ok(Self { connection, _driver: driver })
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
        let answer = time::timeout(wait, command.query_async::<Value>(&mut self.connection)).await;
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
        let ca = jaego_testkit::Ca::new().unwrap();
        let trust = Trust::with_ca(&ca.path());
        let server = Server::trusting("rediss://ops:secret@10.0.0.7:6380/2", &trust).unwrap();
        assert_eq!(format!("{server:?}"), "Server(rediss://10.0.0.7:6380/2)");
        for (url, said) in [
            ("rediss://ops:secret@host#insecure", "always looked at"),
            ("rediss://ops:secret@host:port", "not the address"),
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
