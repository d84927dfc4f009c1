//! Sentinels: who they are, and asking them where the master is.

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, cmd};

use crate::{
    limits,
    link::{AddressError, Error, Link, Server},
    message,
};

/// The sentinels that watch a master.
#[derive(Clone)]
pub(crate) struct Sentinels {
    /// They are asked in this order.
    servers: Vec<ConnectionInfo>,
    master: String,
}

impl Sentinels {
    /// Reads what stands behind `redis+sentinel://`: `[user:password@]host[:port][,host[:port]…]/master[/db]`, and perhaps
    /// `?sentinel_user=…&sentinel_password=…`. Returns as well the address of a server with this login and database,
    /// whose place is still to be found.
    pub(crate) fn parse(rest: &str) -> Result<(Self, ConnectionInfo), AddressError> {
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').ok_or(AddressError::Sentinels)?;
        let (login, hosts) = authority.rsplit_once('@').map_or(("", authority), |(login, hosts)| {
            // With the sign that ends it.
            (&authority[..=login.len()], hosts)
        });
        let (master, database) = path.split_once('/').unwrap_or((path, ""));
        let is_name = |char: char| char.is_ascii_alphanumeric() || ".-_".contains(char);
        if master.is_empty() || master.len() > limits::NAME_BYTES_MAX || !master.chars().all(is_name) {
            return Err(AddressError::Sentinels);
        }
        let (mut user, mut password) = ("", "");
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            match parameter.split_once('=') {
                Some(("sentinel_user", value)) => user = value,
                Some(("sentinel_password", value)) => password = value,
                _ => return Err(AddressError::Sentinels),
            }
        }
        let sentinel_login = match (user, password) {
            ("", "") => String::new(),
            (user, password) => format!("{user}:{password}@"),
        };
        let read = |url: String| url.into_connection_info().map_err(AddressError::Malformed);
        let mut servers = Vec::new();
        for host in hosts.split(',') {
            if host.is_empty() || servers.len() == limits::SENTINELS_MAX {
                return Err(AddressError::Sentinels);
            }
            // The colons of an address in brackets are none before a port.
            let has_port = host.rsplit_once(']').map_or(host, |(_, port)| port).contains(':');
            let port = if has_port { String::new() } else { format!(":{}", limits::SENTINEL_PORT) };
            servers.push(read(format!("redis://{sentinel_login}{host}{port}/"))?);
        }
        // Any host does: it is told by the sentinels.
        let server = read(format!("redis://{login}127.0.0.1/{database}"))?;
        Ok((Self { servers, master: master.to_owned() }, server))
    }

    /// What they call the master.
    pub(crate) fn master(&self) -> &str {
        &self.master
    }

    /// The sentinels as they are shown.
    pub(crate) fn hosts(&self) -> String {
        let host = |server: &ConnectionInfo| match server.addr() {
            ConnectionAddr::Tcp(host, port) if host.contains(':') => format!("[{host}]:{port}"),
            addr => addr.to_string(),
        };
        self.servers.iter().map(host).collect::<Vec<_>>().join(",")
    }

    /// Asks one after the other where the master is, and believes the first that knows.
    pub(crate) async fn find(&self, asked_by: &Server) -> Result<(String, u16), Error> {
        let mut failed = Error::NoMaster { master: self.master.clone() };
        for sentinel in &self.servers {
            match self.ask(asked_by, sentinel).await {
                Ok(Some(place)) => return Ok(place),
                Ok(None) => {}
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    async fn ask(
        &self,
        asked_by: &Server,
        sentinel: &ConnectionInfo,
    ) -> Result<Option<(String, u16)>, Error> {
        let doing = "ask a sentinel for the master";
        let mut link = Link::dial(asked_by, sentinel, limits::SENTINEL_WAIT).await?;
        let question = cmd("SENTINEL").arg("get-master-addr-by-name").arg(&self.master).to_owned();
        let answer = link.run_within(limits::SENTINEL_WAIT, doing, &question).await?;
        if answer == redis::Value::Nil {
            return Ok(None);
        }
        let place = message::list(answer).ok_or(Error::Shape { doing })?;
        let mut place = place.into_iter().map(|part| String::from_utf8(message::bytes(part)?).ok());
        match (place.next().flatten(), place.next().flatten().and_then(|port| port.parse().ok())) {
            (Some(host), Some(port)) => Ok(Some((host, port))),
            _ => Err(Error::Shape { doing }),
        }
    }
}
