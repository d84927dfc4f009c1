//! Which server is the master: the one that was named, or what the sentinels say.

use std::collections::HashMap;
use std::time::Duration;

use ::redis::{AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, RedisError, cmd};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use super::limits;
use super::link::Failure;
use super::options::RedisOptions;

/// What one sentinel says of the master.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Word {
    /// The number of the failover that made it the master. Nothing if the sentinel does not tell it to us.
    epoch: Option<u64>,
    host: String,
    port: u16,
}

/// The server to connect to. All sentinels are asked side by side, each for a response timeout at the most, and not for long
/// when another one has answered.
///
/// A sentinel that was cut off names the master that it knew. Every failover has a greater config epoch, so the greatest
/// says who has heard of the last one; among equals the first of the list is believed.
pub(super) async fn find_master(options: &RedisOptions) -> Result<ConnectionInfo, Failure> {
    let Some(sentinel) = &options.sentinel else { return Ok(options.server.clone()) };
    let mut asked = JoinSet::new();
    for (place, server) in sentinel.servers.iter().enumerate() {
        let (server, master, limit) = (server.clone(), sentinel.master.clone(), options.response_timeout);
        asked.spawn(async move { (place, ask(&server, &master, limit).await) });
    }
    let mut failure = Failure::NoMaster;
    let mut words = Vec::new();
    let mut until = None;
    loop {
        let next = asked.join_next();
        let answered = match until {
            Some(until) => timeout_at(until, next).await.unwrap_or(None),
            None => next.await,
        };
        let Some(answered) = answered else { break };
        match answered {
            Ok((place, Ok(Some(word)))) => {
                words.push((place, word));
                until.get_or_insert_with(|| Instant::now() + limits::SENTINELS_LATE_MAX);
            }
            Ok((_, Ok(None))) | Err(_) => {}
            Ok((_, Err(error))) => failure = error,
        }
    }
    words.sort_unstable_by_key(|(place, _)| *place);
    let words: Vec<Word> = words.into_iter().map(|(_, word)| word).collect();
    let Some(Word { host, port, .. }) = believed(&words).cloned() else { return Err(failure) };
    if words.iter().any(|word| (&word.host, word.port) != (&host, port)) {
        tracing::debug!(?words, %host, port, "the sentinels disagree about the master");
    }
    // By TLS, if that is how the server is spoken to, and with the same certificates.
    let addr = match options.server.addr().clone() {
        ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
            ConnectionAddr::TcpTls { host, port, insecure, tls_params }
        }
        _ => ConnectionAddr::Tcp(host, port),
    };
    Ok(options.server.clone().set_addr(addr))
}

/// The first of those with the greatest epoch.
fn believed(words: &[Word]) -> Option<&Word> {
    let greatest = words.iter().map(|word| word.epoch).max()?;
    words.iter().find(|word| word.epoch == greatest)
}

/// Asks one sentinel. Nothing if it knows no master of this name.
async fn ask(sentinel: &ConnectionInfo, master: &str, limit: Duration) -> Result<Option<Word>, Failure> {
    let asked = timeout(limit, async {
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(limit)).set_response_timeout(None);
        let client = Client::open(sentinel.clone())?;
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        // The epoch comes first: in a failover it is raised together with the address that the second command tells, while
        // the address in this answer still is the old one. Asked in this order, no old address gets a new epoch.
        let facts = cmd("SENTINEL").arg("master").arg(master).to_owned();
        let facts: Result<HashMap<String, String>, RedisError> = facts.query_async(&mut connection).await;
        let epoch = facts.ok().and_then(|facts| facts.get("config-epoch")?.parse().ok());
        let addr: Option<(String, u16)> =
            cmd("SENTINEL").arg("get-master-addr-by-name").arg(master).query_async(&mut connection).await?;
        Ok::<_, RedisError>(addr.map(|(host, port)| Word { epoch, host, port }))
    });
    Ok(asked.await.map_err(|_| Failure::NoAnswer)??)
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
