//! Accepting connections, and letting go of them in order.
//!
//! The loop is our own because `axum::serve` sets no timer, no cap and no limit: one client that opens sockets and
//! says nothing would hold them all for ever.

use std::collections::HashMap;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use jaego_tls::Certificates;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{Id, JoinError, JoinSet};
use tracing::{debug, error, info, warn};

use crate::answers::Answers;
use crate::auth::PeerKey;
use crate::connection::{self, Ending};
use crate::metrics::{Counter, Gauge, Metrics};
use crate::problem::whole_seconds;
use crate::shell::{Shared, Shell};
use crate::tokens::Tokens;

/// What a shutdown found and did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections that ended by themselves within the drain time.
    pub finished: usize,
    /// Connections that were cut when it was over.
    pub cut: usize,
}

impl Shell {
    /// Serves until `shutdown` resolves, then stops accepting, lets running requests finish within
    /// [`Limits::drain_timeout`](crate::Limits), cuts what is left, and returns when no connection remains.
    pub async fn serve(self, listener: TcpListener, shutdown: impl Future<Output = ()>) -> Drained {
        let tokens = Arc::clone(&self.tokens);
        let metrics = self.metrics.clone();
        let mut connections = Connections::new(&self.metrics);
        let shared = Arc::new(Shared::new(self));
        let mut reloads = JoinSet::new();
        reloads.spawn(reload_tokens(tokens, shared.limits.token_reload_interval));
        if let Some(certificates) = &shared.certificates {
            let interval = shared.limits.certificate_reload_interval;
            reloads.spawn(reload_certificates(Arc::clone(certificates), interval, metrics));
        }

        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(ended) = connections.tasks.join_next_with_id() => connections.ended(ended),
                accepted = listener.accept() => match accepted {
                    Ok((socket, peer)) => connections.take(socket, peer, &shared),
                    Err(error) if is_of_one_connection(&error) => debug!(%error, "a connection broke before its start"),
                    Err(error) => {
                        warn!(%error, "cannot accept connections");
                        tokio::time::sleep(shared.limits.accept_pause).await;
                    }
                },
            }
        }

        drop(listener);
        shared.stop();
        let drained = connections.drain(shared.limits.drain_timeout).await;
        info!(finished = drained.finished, cut = drained.cut, "all connections are closed");
        reloads.abort_all();
        while let Some(ended) = reloads.join_next().await {
            if let Err(error) = ended
                && error.is_panic()
            {
                error!(%error, "the reloading of tokens or certificates had stopped");
            }
        }
        drained
    }
}

/// The connections of one server, with their counts.
struct Connections {
    tasks: JoinSet<Ending>,
    peers: HashMap<Id, PeerKey>,
    per_peer: HashMap<PeerKey, Peer>,
    open: Gauge,
    refused_total: Counter,
    refused_per_peer: Counter,
    closed: [(Ending, Counter); 7],
}

/// What is counted of a peer that has connections.
struct Peer {
    connections: usize,
    requests_in_flight: Arc<AtomicUsize>,
    answers: Arc<Answers>,
}

impl Peer {
    fn new(shared: &Shared) -> Peer {
        let answers = Arc::new(Answers::of_peer(&shared.answers));
        Peer { connections: 0, requests_in_flight: Arc::default(), answers }
    }
}

impl Connections {
    fn new(metrics: &Metrics) -> Connections {
        let refused = |reason| {
            let help = "Connections refused at the door, by the limit that they were over.";
            metrics.counter("jaego_http_connections_refused_total", help, &[("limit", reason)])
        };
        let closed = |ending: Ending| {
            let help = "Connections closed, by reason.";
            let labels = [("reason", ending.as_str())];
            (ending, metrics.counter("jaego_http_connections_closed_total", help, &labels))
        };
        Connections {
            tasks: JoinSet::new(),
            peers: HashMap::new(),
            per_peer: HashMap::new(),
            open: metrics.gauge("jaego_http_connections", "Open connections.", &[]),
            refused_total: refused("total"),
            refused_per_peer: refused("per_peer"),
            closed: Ending::ALL.map(closed),
        }
    }

    fn take(&mut self, socket: TcpStream, peer: std::net::SocketAddr, shared: &Arc<Shared>) {
        let limits = &shared.limits;
        let key = PeerKey::from(peer.ip());
        if self.tasks.len() >= limits.connections_max {
            self.refused_total.increment();
            refuse(socket, shared);
            return;
        }
        let open = self.per_peer.get(&key).map_or(0, |peer| peer.connections);
        if open >= limits.connections_per_peer_max {
            self.refused_per_peer.increment();
            refuse(socket, shared);
            return;
        }
        // Answers are written whole; waiting for more to send with them would only delay them.
        if let Err(error) = socket.set_nodelay(true) {
            debug!(%peer, %error, "cannot set TCP_NODELAY");
        }
        let counted = self.per_peer.entry(key).or_insert_with(|| Peer::new(shared));
        counted.connections += 1;
        let peers_requests = Arc::clone(&counted.requests_in_flight);
        let peers_answers = Arc::clone(&counted.answers);
        let run = connection::run(socket, peer, peers_requests, peers_answers, Arc::clone(shared));
        let task = self.tasks.spawn(run);
        self.peers.insert(task.id(), key);
        self.open.add(1);
    }

    fn ended(&mut self, ended: Result<(Id, Ending), JoinError>) {
        let id = match ended {
            Ok((id, ending)) => {
                if let Some((_, counter)) = self.closed.iter().find(|(known, _)| *known == ending) {
                    counter.increment();
                }
                id
            }
            Err(error) => {
                if error.is_panic() {
                    error!(%error, "a connection panicked");
                }
                error.id()
            }
        };
        self.open.add(-1);
        let key = self.peers.remove(&id).expect("each connection was entered when it was taken");
        let peer = self.per_peer.get_mut(&key).expect("each peer with a connection is counted");
        peer.connections -= 1;
        if peer.connections == 0 {
            self.per_peer.remove(&key);
        }
    }

    async fn drain(&mut self, timeout: Duration) -> Drained {
        let all = self.tasks.len();
        let in_order = async {
            while let Some(ended) = self.tasks.join_next_with_id().await {
                self.ended(ended);
            }
        };
        if tokio::time::timeout(timeout, in_order).await.is_ok() {
            return Drained { finished: all, cut: 0 };
        }
        let cut = self.tasks.len();
        self.tasks.abort_all();
        while let Some(ended) = self.tasks.join_next_with_id().await {
            self.ended(ended);
        }
        Drained { finished: all - cut, cut }
    }
}

/// Tells a peer over the cap to come again, if it can be told without waiting.
fn refuse(socket: TcpStream, shared: &Shared) {
    // Behind TLS it could be told only after a handshake, which is what a full house has no room for.
    if shared.certificates.is_some() {
        return;
    }
    let retry_after = shared.limits.busy_retry_after;
    let Ok(mut socket) = socket.into_std() else { return };
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: {}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        whole_seconds(retry_after)
    );
    // A peer that cannot even take this gets nothing; the connection is refused all the same.
    let _ = socket.write(answer.as_bytes());
}

/// True for errors of the connection that was being accepted, false for those of the listener or the system.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Looks at the token file again and again. An error is logged when it appears, and when it is over.
async fn reload_tokens(tokens: Arc<Tokens>, interval: Duration) {
    let mut last_error = None;
    loop {
        tokio::time::sleep(interval).await;
        let looker = Arc::clone(&tokens);
        let looked = match tokio::task::spawn_blocking(move || looker.reload_if_changed()).await {
            Ok(looked) => looked,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => return,
        };
        match looked {
            Ok(changed) => {
                if changed || last_error.is_some() {
                    info!(path = %tokens.path().display(), "tokens read again");
                }
                last_error = None;
            }
            Err(error) => {
                let text = error.to_string();
                if last_error.as_ref() != Some(&text) {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    error!(%error, cause, "tokens stay as they were");
                }
                last_error = Some(text);
            }
        }
    }
}

/// Looks at the files of certificate and key again and again. An error is logged when it appears, and when it is over.
async fn reload_certificates(certificates: Arc<Certificates>, interval: Duration, metrics: Metrics) {
    let help = "1 while the files of the TLS certificate cannot be used, and an older one is.";
    let stale = metrics.gauge("jaego_tls_certificate_stale", help, &[]);
    let mut last_error = None;
    loop {
        tokio::time::sleep(interval).await;
        let looker = Arc::clone(&certificates);
        let looked = match tokio::task::spawn_blocking(move || looker.reload_if_changed()).await {
            Ok(looked) => looked,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => return,
        };
        stale.set(i64::from(looked.is_err()));
        match looked {
            Ok(changed) => {
                if changed || last_error.is_some() {
                    info!(path = %certificates.path().display(), "certificate read again");
                }
                last_error = None;
            }
            Err(error) => {
                let text = error.to_string();
                if last_error.as_ref() != Some(&text) {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    error!(%error, cause, "the certificate stays as it was");
                }
                last_error = Some(text);
            }
        }
    }
}
