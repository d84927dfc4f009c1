//! Sentinels: who they are, and asking them where the master is.

use redis::{Cmd, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, Value, cmd};
use tokio::{
    task::JoinSet,
    time::{self, Instant},
};

use crate::{
    limits,
    link::{AddressError, Error, Link, Server},
    message,
};

/// The sentinels that watch a master.
#[derive(Clone)]
pub(crate) struct Sentinels {
    /// In their order; what comes first counts where two know equally much.
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

    /// Asks all of them side by side where the master is, and waits only for a moment more once one has said it.
    ///
    /// A sentinel that was cut off names the master that it knew. Every failover has a greater config epoch, so the greatest
    /// says who has heard of the last one.
    pub(crate) async fn find(&self, asked_by: &Server) -> Result<(String, u16), Error> {
        let mut asked = JoinSet::new();
        for (place, sentinel) in self.servers.iter().enumerate() {
            let (server, sentinel, master) = (asked_by.clone(), sentinel.clone(), self.master.clone());
            asked.spawn(async move { (place, ask(&server, &sentinel, &master).await) });
        }
        let mut failed = Error::NoMaster { master: self.master.clone() };
        let mut words = vec![None; self.servers.len()];
        let mut until = None;
        loop {
            let next = asked.join_next();
            let answered = match until {
                Some(until) => time::timeout_at(until, next).await.unwrap_or(None),
                None => next.await,
            };
            let Some(answered) = answered else { break };
            match answered {
                Ok((place, Ok(Some(word)))) => {
                    words[place] = Some(word);
                    until.get_or_insert_with(|| Instant::now() + limits::SENTINELS_LATE_MAX);
                }
                Ok((_, Ok(None))) | Err(_) => {}
                Ok((_, Err(error))) => failed = error,
            }
        }
        let words: Vec<Word> = words.into_iter().flatten().collect();
        believed(&words).map(|word| (word.host.clone(), word.port)).ok_or(failed)
    }
}

/// What one sentinel says of the master.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Word {
    /// The number of the failover that made it the master. Nothing if the sentinel does not tell it to us.
    epoch: Option<u64>,
    host: String,
    port: u16,
}

/// The first of those with the greatest epoch.
fn believed(words: &[Word]) -> Option<&Word> {
    let greatest = words.iter().map(|word| word.epoch).max()?;
    words.iter().find(|word| word.epoch == greatest)
}

/// Asks one sentinel. Nothing if it knows no master of this name.
async fn ask(asked_by: &Server, sentinel: &ConnectionInfo, master: &str) -> Result<Option<Word>, Error> {
    let doing = "ask a sentinel for the master";
    let mut link = Link::dial(asked_by, sentinel, limits::SENTINEL_WAIT).await?;
    let question = |about: &str| -> Cmd { cmd("SENTINEL").arg(about).arg(master).to_owned() };
    let answers = time::timeout(limits::SENTINEL_WAIT, async {
        // The epoch comes first: in a failover it is raised together with the address that the second command tells. Asked
        // in this order, no old address gets a new epoch.
        let epoch = match link.run(doing, &question("master")).await {
            Ok(facts) => epoch(facts),
            // It knows no such master, as the second answer says, or may not tell us so much.
            Err(Error::Redis { source, .. }) if source.code().is_some() => None,
            Err(error) => return Err(error),
        };
        Ok((epoch, link.run(doing, &question("get-master-addr-by-name")).await?))
    });
    let (epoch, answer) = answers.await.map_err(|_| Error::NoAnswer { doing })??;
    if answer == Value::Nil {
        return Ok(None);
    }
    let place = message::list(answer).ok_or(Error::Shape { doing })?;
    let mut place = place.into_iter().map(text);
    match (place.next().flatten(), place.next().flatten().and_then(|port| port.parse().ok())) {
        (Some(host), Some(port)) => Ok(Some(Word { epoch, host, port })),
        _ => Err(Error::Shape { doing }),
    }
}

/// The config epoch among the names and values that a sentinel tells of a master.
fn epoch(facts: Value) -> Option<u64> {
    let facts: Vec<_> = message::list(facts)?.into_iter().map(text).collect();
    let mut pairs = facts.chunks_exact(2);
    pairs.find(|pair| pair[0].as_deref() == Some("config-epoch"))?[1].as_ref()?.parse().ok()
}

fn text(value: Value) -> Option<String> {
    String::from_utf8(message::bytes(value)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_epoch_is_believed_and_among_equals_the_first() {
        let word = |epoch, port| Word { epoch, host: "h".to_owned(), port };
        for (words, port) in [
            (vec![word(Some(0), 1)], 1),
            (vec![word(Some(0), 1), word(Some(1), 2)], 2),
            (vec![word(Some(2), 1), word(Some(1), 2), word(None, 3)], 1),
            (vec![word(None, 1), word(Some(0), 2)], 2),
            (vec![word(Some(9), 1), word(Some(10), 2), word(Some(10), 3)], 2),
            (vec![word(None, 1), word(None, 2)], 1),
        ] {
            assert_eq!(believed(&words).map(|word| word.port), Some(port), "{words:?}");
        }
        assert_eq!(believed(&[]), None);
    }
}
