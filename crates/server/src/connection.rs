//! One connection: its socket, its pulse, and the checks that end it.

use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt::Executor;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tracing::debug;

use crate::answers::Answers;
use crate::body::Uptake;
use crate::handshake;
use crate::limits::Limits;
use crate::pace::Pace;
use crate::shell::{ConnectionService, Shared};

/// What the parts of one connection share.
pub(crate) struct Link {
    pub(crate) shared: Arc<Shared>,
    pub(crate) peer: SocketAddr,
    /// Places among the requests in flight that all connections of the peer have taken.
    pub(crate) peers_requests: Arc<AtomicUsize>,
    /// Answers to the peer that wait to be read, on all its connections.
    pub(crate) peers_answers: Arc<Answers>,
    pub(crate) pulse: Pulse,
}

/// What a connection has been doing. Written on the hot path without a clock or a lock, and read by the
/// [`Checks`] every now and then.
pub(crate) struct Pulse {
    opened_at: Instant,
    /// Requests whose answer is not finished.
    open: AtomicU32,
    /// Requests so far.
    requests: AtomicU64,
    /// Bytes came since the last request ended: the next one has begun.
    head_begun: AtomicBool,
    /// A valid token was seen.
    authenticated: AtomicBool,
    /// HTTP/2.
    multiplexed: AtomicBool,
    /// When patience with a peer that does not read ends, in milliseconds since `opened_at`; zero if it reads.
    write_patience_ends_ms: AtomicU64,
    uptakes: Mutex<Vec<WatchedUptake>>,
}

struct WatchedUptake {
    uptake: Weak<Uptake>,
    pieces: u64,
    stalled_since: Option<Instant>,
}

impl Pulse {
    fn new() -> Pulse {
        Pulse {
            opened_at: Instant::now(),
            open: AtomicU32::new(0),
            requests: AtomicU64::new(0),
            head_begun: AtomicBool::new(false),
            authenticated: AtomicBool::new(false),
            multiplexed: AtomicBool::new(false),
            write_patience_ends_ms: AtomicU64::new(0),
            uptakes: Mutex::default(),
        }
    }

    pub(crate) fn request_opened(&self) {
        self.open.fetch_add(1, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn request_closed(&self) {
        // What was read meanwhile was this request's body.
        self.head_begun.store(false, Ordering::Relaxed);
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn authenticated(&self) {
        self.authenticated.store(true, Ordering::Relaxed);
    }

    pub(crate) fn multiplexed(&self) {
        self.multiplexed.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_multiplexed(&self) -> bool {
        self.multiplexed.load(Ordering::Relaxed)
    }

    pub(crate) fn watch_uptake(&self) -> Arc<Uptake> {
        let uptake = Arc::new(Uptake { pieces: AtomicU64::new(0), waits_for_peer: AtomicBool::new(true) });
        let watched = WatchedUptake { uptake: Arc::downgrade(&uptake), pieces: 0, stalled_since: None };
        self.uptakes.lock().expect("nobody panics while holding the uptakes").push(watched);
        uptake
    }

    /// True if an HTTP/2 answer was not taken for longer than `grace`.
    fn uptake_stalls(&self, now: Instant, grace: Duration) -> bool {
        let mut stalls = false;
        let mut uptakes = self.uptakes.lock().expect("nobody panics while holding the uptakes");
        uptakes.retain_mut(|watched| {
            let Some(uptake) = watched.uptake.upgrade() else { return false };
            let pieces = uptake.pieces.load(Ordering::Relaxed);
            if pieces != watched.pieces || !uptake.waits_for_peer.load(Ordering::Relaxed) {
                watched.pieces = pieces;
                watched.stalled_since = None;
            }
            let since = *watched.stalled_since.get_or_insert(now);
            stalls |= now - since > grace;
            true
        });
        stalls
    }
}

/// Why a connection was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Peer or protocol ended it in order.
    Done,
    /// The socket failed or the peer broke the protocol.
    Failed,
    /// A request's headers did not come in time.
    SlowHead,
    /// Nothing was asked for too long.
    Idle,
    /// The peer did not read our answers.
    SlowRead,
    /// The TLS handshake was not over in time, or made room for newer ones.
    SlowHandshake,
    /// The TLS handshake failed, or the peer spoke no TLS.
    BadHandshake,
}

impl Ending {
    pub(crate) const ALL: [Ending; 7] = [
        Ending::Done,
        Ending::Failed,
        Ending::SlowHead,
        Ending::Idle,
        Ending::SlowRead,
        Ending::SlowHandshake,
        Ending::BadHandshake,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Ending::Done => "done",
            Ending::Failed => "failed",
            Ending::SlowHead => "slow_head",
            Ending::Idle => "idle",
            Ending::SlowRead => "slow_read",
            Ending::SlowHandshake => "slow_handshake",
            Ending::BadHandshake => "bad_handshake",
        }
    }
}

/// Serves one socket until it ends or must end.
pub(crate) async fn run(
    socket: TcpStream,
    peer: SocketAddr,
    peers_requests: Arc<AtomicUsize>,
    peers_answers: Arc<Answers>,
    shared: Arc<Shared>,
) -> Ending {
    let link = Arc::new(Link { shared, peer, peers_requests, peers_answers, pulse: Pulse::new() });
    let Some(certificates) = &link.shared.certificates else {
        let socket = WatchedSocket::new(socket, &link);
        return serve(socket, link).await;
    };
    match handshake::accept(socket, &link, certificates).await {
        Ok(stream) => serve(stream, link).await,
        Err(ending) => ending,
    }
}

/// Serves what came out of the socket, in the clear or behind TLS.
async fn serve<S>(stream: S, link: Arc<Link>) -> Ending
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let limits = link.shared.limits.clone();
    let peer = link.peer;
    // The streams are dropped after the connection, and with them whatever they still run.
    let streams = Streams::default();
    let builder = builder(streams.clone(), &limits);
    let service = ConnectionService::new(Arc::clone(&link));
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut timer = pin!(tokio::time::sleep(limits.check_interval));
    let mut checks = Checks::new(Instant::now());
    std::future::poll_fn(|cx| {
        loop {
            if let Poll::Ready(end) = connection.as_mut().poll(cx) {
                return Poll::Ready(checks.ending(end.err().as_deref(), peer));
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            timer.as_mut().reset(tokio::time::Instant::now() + limits.check_interval);
            match checks.check(&link.pulse, &limits, link.shared.is_stopping(), Instant::now()) {
                Verdict::GoOn => {}
                Verdict::Wind => connection.as_mut().graceful_shutdown(),
                Verdict::End(ending) => return Poll::Ready(ending),
            }
        }
    })
    .await
}

fn builder(streams: Streams, limits: &Limits) -> auto::Builder<Streams> {
    let mut builder = auto::Builder::new(streams);
    builder
        .http1()
        // The library's own timeout counts an idle connection as a slow head and costs a timer per request; ours
        // tells the two apart and costs nothing.
        .header_read_timeout(None)
        .max_headers(limits.head_fields_max)
        .max_buf_size(limits.read_buffer_bytes_max.max(8192));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.h2_streams_max)
        .max_header_list_size(u32::try_from(limits.head_bytes_max).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(limits.h2_pending_resets_max)
        .max_local_error_reset_streams(limits.h2_local_resets_max)
        .initial_stream_window_size(limits.h2_stream_window_bytes)
        .initial_connection_window_size(limits.h2_connection_window_bytes)
        .max_send_buf_size(limits.h2_send_buffer_bytes_max)
        .keep_alive_interval(limits.h2_ping_interval)
        .keep_alive_timeout(limits.h2_ping_timeout);
    builder
}

/// What a check says.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    GoOn,
    /// Finish what is open, take nothing new.
    Wind,
    End(Ending),
}

/// The memory of a connection's checks: since when it has been quiet, as far as the checks could see.
struct Checks {
    requests: u64,
    quiet_since: Option<Instant>,
    head_since: Option<Instant>,
    /// Set when the connection was told to wind down.
    winding_since: Option<(Instant, Ending)>,
}

impl Checks {
    fn new(opened: Instant) -> Checks {
        // Until its first request is whole, a connection counts as sending its first head.
        let opened = Some(opened);
        Checks { requests: 0, quiet_since: opened, head_since: opened, winding_since: None }
    }

    fn check(&mut self, pulse: &Pulse, limits: &Limits, stopping: bool, now: Instant) -> Verdict {
        let patience_ends = pulse.write_patience_ends_ms.load(Ordering::Relaxed);
        if patience_ends != 0 && now >= pulse.opened_at + Duration::from_millis(patience_ends) {
            return Verdict::End(Ending::SlowRead);
        }
        if pulse.is_multiplexed() && pulse.uptake_stalls(now, limits.write_grace) {
            return Verdict::End(Ending::SlowRead);
        }
        if stopping && self.winding_since.is_none() {
            self.winding_since = Some((now, Ending::Done));
            return Verdict::Wind;
        }

        let requests = pulse.requests.load(Ordering::Relaxed);
        let is_open = pulse.open.load(Ordering::Relaxed) > 0;
        if is_open || requests != self.requests {
            self.requests = requests;
            self.quiet_since = None;
            self.head_since = None;
        }
        if is_open || patience_ends != 0 {
            return Verdict::GoOn;
        }
        let quiet_since = *self.quiet_since.get_or_insert(now);
        // On HTTP/2 bytes need not be the start of a request: pings and window updates come at any time. A head that
        // stops half-way shuts its whole connection up, so that it becomes idle.
        if !pulse.is_multiplexed() && pulse.head_begun.load(Ordering::Relaxed) {
            self.head_since.get_or_insert(now);
        }
        if self.head_since.is_some_and(|since| now - since > limits.head_timeout) {
            return Verdict::End(Ending::SlowHead);
        }
        let known = pulse.authenticated.load(Ordering::Relaxed);
        let idle_timeout = if known { limits.idle_timeout } else { limits.head_timeout };
        if now - quiet_since <= idle_timeout {
            return Verdict::GoOn;
        }
        match self.winding_since {
            None => {
                self.winding_since = Some((now, Ending::Idle));
                Verdict::Wind
            }
            // It was asked to close and had the time of a head for it.
            Some((since, ending)) if now - since > limits.head_timeout => Verdict::End(ending),
            Some(_) => Verdict::GoOn,
        }
    }

    fn ending(
        &self,
        error: Option<&(dyn std::error::Error + Send + Sync + 'static)>,
        peer: SocketAddr,
    ) -> Ending {
        if let Some((_, ending)) = self.winding_since {
            return ending;
        }
        let Some(error) = error else { return Ending::Done };
        debug!(%peer, %error, "connection failed");
        Ending::Failed
    }
}

/// The socket, telling the pulse what passes. It is below TLS: what TLS keeps for the peer counts as not taken yet.
pub(crate) struct WatchedSocket {
    socket: TcpStream,
    pace: Pace,
    link: Arc<Link>,
}

impl WatchedSocket {
    pub(crate) fn new(socket: TcpStream, link: &Arc<Link>) -> WatchedSocket {
        let limits = &link.shared.limits;
        let pace = Pace::new(limits.write_grace, limits.write_rate_min);
        WatchedSocket { socket, pace, link: Arc::clone(link) }
    }

    fn watch_write(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        let pulse = &self.link.pulse;
        match &written {
            Poll::Pending => {
                let ends = self.pace.wait(Instant::now()) - pulse.opened_at;
                let ends = u64::try_from(ends.as_millis()).unwrap_or(u64::MAX);
                pulse.write_patience_ends_ms.store(ends.max(1), Ordering::Relaxed);
            }
            Poll::Ready(Ok(bytes)) => {
                if self.pace.is_waiting() {
                    pulse.write_patience_ends_ms.store(0, Ordering::Relaxed);
                }
                self.pace.progress(*bytes, Instant::now);
            }
            Poll::Ready(Err(_)) => {}
        }
        written
    }
}

impl AsyncRead for WatchedSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.socket).poll_read(cx, buf);
        if read.is_ready() {
            self.link.pulse.head_begun.store(true, Ordering::Relaxed);
        }
        read
    }
}

impl AsyncWrite for WatchedSocket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.watch_write(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, slices);
        self.watch_write(written)
    }
}

/// Runs the streams of one HTTP/2 connection, and ends them with it.
#[derive(Clone, Default)]
struct Streams(Arc<Mutex<JoinSet<()>>>);

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let mut streams = self.0.lock().expect("nobody panics while holding the streams");
        while streams.try_join_next().is_some() {}
        streams.spawn(stream);
    }
}
