//! The greeting of a TLS connection: bounded in time and in number, so that those who dawdle hold up nobody.
//!
//! A greeting of a good client takes milliseconds. So where there are too many at once, the oldest is given up and not
//! the newest refused: whoever opens connections and says nothing pushes out others of its kind.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use jaego_api::problem::ProblemKind;
use jaego_tls::{Accepted, Certificates};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tracing::debug;

use crate::connection::{Ending, Link, WatchedSocket};
use crate::metrics::{Gauge, Metrics};
use crate::problem::Problem;

/// The first byte of a TLS connection: a record of its handshake (RFC 8446, section 5.1).
const HANDSHAKE_RECORD: u8 = 22;
/// Bytes of a request without TLS that are read and thrown away, so that its sender sees the answer.
const PLAIN_BYTES_MAX: u64 = 64 * 1024;

/// The greetings in flight.
pub(crate) struct Handshakes {
    waiting: Mutex<VecDeque<(u64, Arc<Notify>)>>,
    number: AtomicU64,
    max: usize,
    open: Gauge,
}

/// A place among them; given back when dropped.
struct Place<'a> {
    handshakes: &'a Handshakes,
    number: u64,
    given_up: Arc<Notify>,
}

impl Handshakes {
    pub(crate) fn new(max: usize, metrics: &Metrics) -> Handshakes {
        Handshakes {
            waiting: Mutex::default(),
            number: AtomicU64::new(0),
            max: max.max(1),
            open: metrics.gauge("jaego_tls_handshakes", "TLS connections that are being made.", &[]),
        }
    }

    /// Takes a place, of the oldest if there is no other.
    fn enter(&self) -> Place<'_> {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let given_up = Arc::new(Notify::new());
        let mut waiting = self.waiting();
        if waiting.len() >= self.max
            && let Some((_, oldest)) = waiting.pop_front()
        {
            oldest.notify_one();
        }
        waiting.push_back((number, Arc::clone(&given_up)));
        self.open.set(i64::try_from(waiting.len()).unwrap_or(i64::MAX));
        Place { handshakes: self, number, given_up }
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, VecDeque<(u64, Arc<Notify>)>> {
        self.waiting.lock().expect("nobody panics while holding the handshakes")
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut waiting = self.handshakes.waiting();
        if let Some(at) = waiting.iter().position(|(number, _)| *number == self.number) {
            waiting.remove(at);
        }
        self.handshakes.open.set(i64::try_from(waiting.len()).unwrap_or(i64::MAX));
    }
}

/// Makes a connection secure, or says why it ends here.
pub(crate) async fn accept(
    socket: TcpStream,
    link: &Arc<Link>,
    certificates: &Certificates,
) -> Result<Accepted<WatchedSocket>, Ending> {
    let shared = &link.shared;
    let limits = &shared.limits;
    let place = shared.handshakes.enter();
    let begun = Instant::now();
    let mut greeting = std::pin::pin!(greet(socket, link, certificates));
    loop {
        tokio::select! {
            greeted = &mut greeting => return greeted,
            () = place.given_up.notified() => return Err(Ending::SlowHandshake),
            () = tokio::time::sleep(limits.check_interval.min(limits.tls_handshake_timeout)) => {}
        }
        if begun.elapsed() >= limits.tls_handshake_timeout {
            return Err(Ending::SlowHandshake);
        }
        if shared.is_stopping() {
            return Err(Ending::Done);
        }
    }
}

async fn greet(
    socket: TcpStream,
    link: &Arc<Link>,
    certificates: &Certificates,
) -> Result<Accepted<WatchedSocket>, Ending> {
    let failed = |error: io::Error| {
        debug!(peer = %link.peer, %error, "a TLS handshake failed");
        Ending::BadHandshake
    };
    let mut first = [0];
    match socket.peek(&mut first).await.map_err(failed)? {
        // Whoever only looks whether somebody is there, as load balancers do, leaves again without a word.
        0 => return Err(Ending::Done),
        _ if first[0] != HANDSHAKE_RECORD => {
            tell_plain(socket).await.map_err(failed)?;
            return Err(Ending::BadHandshake);
        }
        _ => {}
    }
    certificates.accept(WatchedSocket::new(socket, link)).await.map_err(failed)
}

/// Tells somebody who speaks HTTP without TLS what to speak here, and closes in order.
async fn tell_plain(mut socket: TcpStream) -> io::Result<()> {
    let problem = Problem::new(
        const { ProblemKind::of("tls_required") },
        "The request came without TLS, and this port speaks nothing else: ask for https:// instead of http://.",
    );
    let body = problem.to_json();
    let head = format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: application/problem+json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    socket.write_all(&[head.as_bytes(), &body].concat()).await?;
    socket.shutdown().await?;
    // What is closed with bytes unread is reset, and takes the answer with it.
    tokio::io::copy(&mut socket.take(PLAIN_BYTES_MAX), &mut tokio::io::sink()).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_makes_room() {
        let handshakes = Handshakes::new(2, &Metrics::new());
        let is_given_up = |place: &Place<'_>| {
            let mut given_up = std::pin::pin!(place.given_up.notified());
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            given_up.as_mut().poll(&mut cx).is_ready()
        };
        let first = handshakes.enter();
        let second = handshakes.enter();
        assert!(!is_given_up(&first));
        let third = handshakes.enter();
        assert!(is_given_up(&first));
        drop(first);
        assert!(!is_given_up(&second) && !is_given_up(&third));
        drop(second);
        let fourth = handshakes.enter();
        assert!(!is_given_up(&third), "a place that was given back is free");
        drop((third, fourth));
        assert!(handshakes.waiting().is_empty());
    }
}
