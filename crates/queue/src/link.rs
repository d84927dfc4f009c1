//! A connection to Redis, and what can go wrong with it.

use std::{fmt, io, pin::pin, time::Duration};

use jaego_tls::{Connector, HandshakeError, Trust};
use redis::{
    AsyncConnectionConfig, Cmd, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion,
    RedisConnectionInfo, RedisError, Value, aio::MultiplexedConnection, cmd,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    task::JoinSet,
    time::{self, Instant},
};

use crate::{
    limits::{ANSWER_WAIT, ANSWER_WAIT_MAX, READ_BYTES_MAX},
    message::{self, MessageId},
    pulse::{Felt, Pulse},
    sentinel::Sentinels,
};

/// Where a Redis or Valkey server is, or who knows it, how to log in there, and whom to believe that it is there. Shown
/// without user and password.
#[derive(Clone)]
pub struct Server {
    /// With sentinels, its place is not used.
    info: ConnectionInfo,
    /// Those who know where the server is that is the master now.
    sentinels: Option<Sentinels>,
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
    /// It is no address of sentinels.
    #[error(
        "not the address of sentinels and their master, such as \
         redis+sentinel://user:password@host:26379,host:26379/mymaster/0"
    )]
    Sentinels,
    /// It is no address.
    #[error("not the address of a Redis server, such as redis://user:password@host:6379/0")]
    Malformed(#[source] RedisError),
}

impl Server {
    /// Reads `redis://[user:password@]host[:port][/db]`, the same with `rediss://` for TLS, or `unix:///path`. Behind
    /// `rediss://` the server has to show a certificate for that host, of somebody whom the machine trusts.
    ///
    /// `redis+sentinel://[user:password@]host[:port][,host[:port]…]/master[/db]` is the master that these sentinels, 16 at
    /// the most, know under that name, whichever server it is. User, password and database are the server's;
    /// `?sentinel_user=…&sentinel_password=…` are the sentinels'. With `rediss+sentinel://` all of them are spoken to by
    /// TLS, and the master has to show a certificate for the name that the sentinels announce, which is its IP address
    /// unless they are set to announce host names.
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
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let (scheme, by_sentinels) =
            scheme.strip_suffix("+sentinel").map_or((scheme, false), |it| (it, true));
        let is_tls = matches!(scheme, "rediss" | "valkeys");
        if is_tls && url.ends_with("#insecure") {
            return Err(AddressError::Insecure);
        }
        let (sentinels, info) = if by_sentinels && matches!(scheme, "redis" | "rediss" | "valkey" | "valkeys")
        {
            let (sentinels, info) = Sentinels::parse(rest)?;
            (Some(sentinels), info)
        } else {
            let plain = if is_tls { format!("redis://{rest}") } else { url.to_owned() };
            (None, plain.as_str().into_connection_info().map_err(AddressError::Malformed)?)
        };
        let tls = is_tls.then(|| trust.connector()).transpose().map_err(AddressError::Trust)?;
        Ok(Self { info, sentinels, tls })
    }

    /// Where it is now.
    async fn find(&self) -> Result<ConnectionInfo, Error> {
        let Some(sentinels) = &self.sentinels else { return Ok(self.info.clone()) };
        let (host, port) = sentinels.find(self).await?;
        Ok(self.info.clone().set_addr(ConnectionAddr::Tcp(host, port)))
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls.is_some() { "rediss" } else { "redis" };
        let db = self.info.redis_settings().db();
        match (&self.sentinels, self.info.addr()) {
            (Some(sentinels), _) => {
                write!(f, "{scheme}+sentinel://{}/{}/{db}", sentinels.hosts(), sentinels.master())
            }
            (None, ConnectionAddr::Tcp(host, port)) => write!(f, "{scheme}://{host}:{port}/{db}"),
            (None, other) => write!(f, "{other}"),
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
    #[error("no sentinel knows a master called {master}")]
    NoMaster { master: String },
    #[error("the server is no master: the sentinels have not noticed yet, or it has not")]
    NotMaster,
    #[error("the sentinels name another master")]
    Displaced,
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

    /// Whether the user may not do what was asked for. Of a step of a script there is no code for that, and Redis and Valkey
    /// have each a text.
    pub(crate) fn is_forbidden(&self) -> bool {
        let is_told =
            |text: &str| ["can't run this command", "ACL failure"].iter().any(|it| text.contains(it));
        self.code() == Some("NOPERM")
            || matches!(self, Self::Redis { source, .. } if is_told(&source.to_string()))
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
    /// When bytes came or went.
    pulse: Pulse,
    /// Where it leads.
    addr: ConnectionAddr,
    /// What carries it; it ends with the connection.
    _driver: JoinSet<()>,
    /// The sentinels are being asked where the master is; at most once at a time.
    search: JoinSet<Result<ConnectionInfo, Error>>,
}

impl Link {
    /// Connects to where the server is now.
    pub(crate) async fn open(server: &Server) -> Result<Self, Error> {
        let mut link = Self::dial(server, &server.find().await?, ANSWER_WAIT * 2).await?;
        if server.sentinels.is_some() {
            let doing = "ask the server whether it is the master";
            let role = message::list(link.run(doing, &cmd("ROLE")).await?).ok_or(Error::Shape { doing })?;
            match role.into_iter().next().and_then(message::bytes).as_deref() {
                Some(b"master") => {}
                Some(_) => return Err(Error::NotMaster),
                None => return Err(Error::Shape { doing }),
            }
        }
        Ok(link)
    }

    /// Fails where the sentinels named another server when they were asked last, and has them asked again. Nobody waits for
    /// that: a sentinel that is away must not hold up what goes over a connection that is well. Sentinels that cannot be
    /// asked name none, and the connection is as good as it was.
    pub(crate) fn is_still_master(&mut self, server: &Server) -> Result<(), Error> {
        if server.sentinels.is_none() {
            return Ok(());
        }
        if let Some(Ok(Ok(found))) = self.search.try_join_next()
            && *found.addr() != self.addr
        {
            return Err(Error::Displaced);
        }
        if self.search.is_empty() {
            let server = server.clone();
            self.search.spawn(async move { server.find().await });
        }
        Ok(())
    }

    /// Connects to this server, or to a sentinel that is spoken to as this server is. Greeting and login are answered
    /// within the time as well.
    pub(crate) async fn dial(server: &Server, info: &ConnectionInfo, wait: Duration) -> Result<Self, Error> {
        let doing = "connect";
        time::timeout(wait, Self::connect(server, info)).await.map_err(|_| Error::NoAnswer { doing })?
    }

    async fn connect(server: &Server, info: &ConnectionInfo) -> Result<Self, Error> {
        let doing = "connect";
        let unreached = |source| Error::Unreached { doing, source };
        // The shapes of answers are those of the older protocol, which every server speaks. Telling a server or a sentinel
        // the name of the client library is a command more that its user would have to be allowed.
        let settings =
            info.redis_settings().clone().set_protocol(ProtocolVersion::RESP2).set_skip_set_lib_name();
        let pulse = Pulse::new();
        let mut driver = JoinSet::new();
        let connection = match info.addr() {
            ConnectionAddr::Tcp(host, port) => {
                let socket = TcpStream::connect((host.as_str(), *port)).await.map_err(unreached)?;
                socket.set_nodelay(true).map_err(unreached)?;
                let socket = Felt::new(socket, pulse.clone());
                match &server.tls {
                    Some(tls) => {
                        let secure = tls.connect(host, socket).await;
                        let secure = secure.map_err(|source| Error::Insecure { doing, source })?;
                        greet(&settings, secure, &mut driver).await?
                    }
                    None => greet(&settings, socket, &mut driver).await?,
                }
            }
            ConnectionAddr::Unix(path) => {
                let socket = UnixStream::connect(path).await.map_err(unreached)?;
                greet(&settings, Felt::new(socket, pulse.clone()), &mut driver).await?
            }
            other => {
                let source = io::Error::other(format!("{other} is no address that is spoken to"));
                return Err(Error::Unreached { doing, source });
            }
        };
        Ok(Self { connection, pulse, addr: info.addr().clone(), _driver: driver, search: JoinSet::new() })
    }

    /// Runs a command. `doing` says what it is for.
    pub(crate) async fn run(&mut self, doing: &'static str, command: &Cmd) -> Result<Value, Error> {
        self.run_within(ANSWER_WAIT, doing, command).await
    }

    /// Runs a command that the server begins to answer within this time if it is well. It is given up so long after the
    /// last byte came or went, and after [`ANSWER_WAIT_MAX`] in any case: a large message takes its time over a slow link.
    pub(crate) async fn run_within(
        &mut self,
        wait: Duration,
        doing: &'static str,
        command: &Cmd,
    ) -> Result<Value, Error> {
        let begun = Instant::now();
        let pulse = self.pulse.clone();
        let mut answer = pin!(command.query_async::<Value>(&mut self.connection));
        loop {
            let until = (pulse.last().max(begun) + wait).min(begun + ANSWER_WAIT_MAX);
            if let Ok(answer) = time::timeout_at(until, &mut answer).await {
                return answer.map_err(|source| Error::Redis { doing, source });
            }
            // A byte since then is a reason to wait on.
            if pulse.last() + wait <= until || until == begun + ANSWER_WAIT_MAX {
                return Err(Error::NoAnswer { doing });
            }
        }
    }

    /// Runs a read of messages. They may not be longer than [`READ_BYTES_MAX`] together: then the connection breaks, and
    /// [`Link::is_over`] says so.
    pub(crate) async fn read(
        &mut self,
        wait: Duration,
        doing: &'static str,
        command: &Cmd,
    ) -> Result<Value, Error> {
        self.pulse.allow(Some(READ_BYTES_MAX));
        let answer = self.run_within(wait, doing, command).await;
        if answer.is_ok() {
            self.pulse.allow(None);
        }
        answer
    }

    /// Whether the connection broke because what was read was too long.
    pub(crate) fn is_over(&self) -> bool {
        self.pulse.is_over()
    }

    /// Gives the server a script, and returns the hash that it is run by.
    pub(crate) async fn load(&mut self, doing: &'static str, script: &str) -> Result<String, Error> {
        let load = cmd("SCRIPT").arg("LOAD").arg(script).to_owned();
        let hash = message::bytes(self.run(doing, &load).await?).ok_or(Error::Shape { doing })?;
        String::from_utf8(hash).map_err(|_| Error::Shape { doing })
    }
}

/// Says who we are over a new connection, and has it carried.
async fn greet(
    settings: &RedisConnectionInfo,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    driver: &mut JoinSet<()>,
) -> Result<MultiplexedConnection, Error> {
    let config =
        AsyncConnectionConfig::new().set_connection_timeout(Some(ANSWER_WAIT)).set_response_timeout(None);
    let greeted = MultiplexedConnection::new_with_config(settings, stream, config).await;
    let (connection, carry) = greeted.map_err(|source| Error::Redis { doing: "connect", source })?;
    driver.spawn(carry);
    Ok(connection)
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
