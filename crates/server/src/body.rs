//! Bodies under guard: what comes in has a size and a pace, what goes out is seen to be taken.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use jaego_api::problem::ProblemKind;
use tokio::time::Sleep;

use crate::answers::Held;
use crate::connection::Link;
use crate::gather::Gathered;
use crate::limits::Limits;
use crate::pace::Pace;
use crate::problem::Problem;

/// How many bytes of long bodies are here, of all requests.
pub(crate) type LongBodies = AtomicUsize;

/// What one request takes of them, from the first byte that it is long by until it was answered.
pub(crate) struct Room {
    all: Arc<LongBodies>,
    taken: AtomicUsize,
}

impl Room {
    pub(crate) fn none_of(all: &Arc<LongBodies>) -> Room {
        Room { all: Arc::clone(all), taken: AtomicUsize::new(0) }
    }

    /// Takes more, if all of them together then stay within a limit.
    fn takes(&self, bytes: usize, bytes_max: usize) -> bool {
        let fits = self.all.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) <= bytes_max;
        // What did not fit is given back with the rest, a moment later.
        self.taken.fetch_add(bytes, Ordering::Relaxed);
        fits
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.all.fetch_sub(*self.taken.get_mut(), Ordering::Relaxed);
    }
}

/// Why a body could not be read to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// It is longer than its route allows.
    #[error("the body is longer than {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// There are too many long ones at once.
    #[error("the long bodies are {bytes_max} bytes together")]
    NoRoom {
        /// The limit.
        bytes_max: usize,
        /// When to come again.
        retry_after: Duration,
    },
    /// It came too slowly.
    #[error("the body came too slowly")]
    TooSlow,
    /// The connection broke or the encoding is wrong.
    #[error("cannot read the body")]
    Broken(#[source] hyper::Error),
    /// Its stream was reset before it ended.
    #[error("the body was cut off")]
    Cut,
}

impl BodyError {
    /// What to tell the caller.
    pub fn problem(&self) -> Problem {
        match self {
            BodyError::TooLarge { bytes_max } => Problem::new(
                const { ProblemKind::of("body_too_large") },
                format!("This route takes {bytes_max} bytes at most. Send less at a time."),
            ),
            BodyError::NoRoom { retry_after, .. } => Problem::busy(*retry_after),
            BodyError::TooSlow => Problem::new(
                const { ProblemKind::of("body_too_slow") },
                "The rest of the body was waited for too long. Nothing was changed.",
            ),
            BodyError::Broken(_) | BodyError::Cut => Problem::new(
                const { ProblemKind::of("body_broken") },
                "The body ended early or is wrongly encoded. Nothing was changed.",
            ),
        }
    }
}

/// A whole request body, for handlers. It refuses with the right problem, where axum's own `Bytes` would say
/// 400 to everything.
#[derive(Clone, Debug)]
pub struct Content(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for Content {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Content, Problem> {
        read(request.into_body()).await.map(Content)
    }
}

/// Reads a request body to its end.
///
/// # Errors
/// 413, 408 or 400, as [`BodyError::problem`] has them.
pub async fn read(mut body: Body) -> Result<Bytes, Problem> {
    let Some(first) = next_data(&mut body).await? else { return Ok(Bytes::new()) };
    if body.is_end_stream() {
        // Most bodies came whole with their headers, and need no copy.
        return Ok(first);
    }
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let mut whole = Gathered::begin(&first, announced);
    // Before the next piece comes, so that this one does not lie here twice.
    drop(first);
    while let Some(data) = next_data(&mut body).await? {
        let rest = body.size_hint().upper().and_then(|rest| usize::try_from(rest).ok());
        whole.take(&data, rest);
    }
    Ok(whole.end())
}

async fn next_data(body: &mut Body) -> Result<Option<Bytes>, Problem> {
    loop {
        match std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await {
            None => return Ok(None),
            Some(Err(error)) => {
                let inner = error.into_inner();
                return Err(inner.downcast_ref::<BodyError>().map_or_else(unreadable, BodyError::problem));
            }
            Some(Ok(frame)) => {
                // Trailers say nothing to us.
                let Ok(data) = frame.into_data() else { continue };
                return Ok(Some(data));
            }
        }
    }
}

fn unreadable() -> Problem {
    Problem::new(const { ProblemKind::of("body_broken") }, "The body could not be read.")
}

/// A request's body, held to its size and pace. No timer runs and no clock is read while its bytes are there already.
pub(crate) struct RequestBody {
    inner: Incoming,
    /// Whether it comes in a stream of HTTP/2.
    is_stream: bool,
    bytes_max: usize,
    bytes_left: usize,
    /// Where it may be long: what it takes of the room for long bodies, and how much is not counted.
    room: Option<Arc<Room>>,
    limits: Arc<Limits>,
    pace: Pace,
    timer: Option<Pin<Box<Sleep>>>,
    failed: bool,
}

impl RequestBody {
    pub(crate) fn new(
        inner: Incoming,
        is_stream: bool,
        bytes_max: usize,
        room: Option<Arc<Room>>,
        limits: &Arc<Limits>,
    ) -> RequestBody {
        RequestBody {
            inner,
            is_stream,
            bytes_max,
            bytes_left: bytes_max,
            room,
            limits: Arc::clone(limits),
            pace: Pace::new(limits.body_grace, limits.body_rate_min),
            timer: None,
            failed: false,
        }
    }

    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let begins = !self.pace.is_waiting();
        let end = tokio::time::Instant::from_std(self.pace.wait(Instant::now()));
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(end)));
        if begins {
            timer.as_mut().reset(end);
        }
        if timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.failed = true;
        Poll::Ready(Some(Err(BodyError::TooSlow)))
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if this.failed {
            return Poll::Ready(None);
        }
        let frame = match Pin::new(&mut this.inner).poll_frame(cx) {
            Poll::Pending => return this.poll_patience(cx),
            // A peer that resets its stream with NO_ERROR ends the body for hyper as if all of it had come.
            Poll::Ready(None) if this.is_stream && !this.inner.is_end_stream() => {
                this.failed = true;
                return Poll::Ready(Some(Err(BodyError::Cut)));
            }
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Ready(Some(Err(error))) => {
                this.failed = true;
                return Poll::Ready(Some(Err(BodyError::Broken(error))));
            }
            Poll::Ready(Some(Ok(frame))) => frame,
        };
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        this.pace.progress(bytes, Instant::now);
        let Some(left) = this.bytes_left.checked_sub(bytes) else {
            this.failed = true;
            return Poll::Ready(Some(Err(BodyError::TooLarge { bytes_max: this.bytes_max })));
        };
        this.bytes_left = left;
        if let Some(room) = &this.room {
            let counted = (this.bytes_max - left).saturating_sub(this.limits.body_bytes_max).min(bytes);
            let bytes_max = this.limits.long_body_bytes_max;
            if counted > 0 && !room.takes(counted, bytes_max) {
                this.failed = true;
                let retry_after = this.limits.busy_retry_after;
                return Poll::Ready(Some(Err(BodyError::NoRoom { bytes_max, retry_after })));
            }
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.failed || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.inner.size_hint();
        if hint.upper().is_none() {
            // One that comes in pieces is no longer than its route allows.
            hint.set_upper((self.bytes_left as u64).max(hint.lower()));
        }
        hint
    }
}

/// Whether an HTTP/2 peer takes an answer. HTTP/1 needs none of this: there a peer that does not read blocks the
/// socket, and the socket is watched.
#[derive(Debug)]
pub(crate) struct Uptake {
    /// Pieces handed to the connection so far.
    pub(crate) pieces: AtomicU64,
    /// True while the next step is the peer's: it must open its window for what it was given.
    pub(crate) waits_for_peer: AtomicBool,
}

/// An answer's body. It keeps its request counted as open until the last byte was handed to the connection.
pub(crate) struct ResponseBody {
    inner: Body,
    /// What is counted of it, until it is handed over in pieces that count themselves.
    held: Option<Held>,
    /// Of a long piece, what is still to be handed over (HTTP/2 only).
    rest: Bytes,
    uptake: Option<Arc<Uptake>>,
    _open: OpenRequest,
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").finish_non_exhaustive()
    }
}

impl ResponseBody {
    /// The body of an answer that counts until it is read.
    pub(crate) fn new(inner: Body, open: OpenRequest) -> ResponseBody {
        // What is made piece by piece counts when a piece is there.
        let bytes = inner.size_hint().exact().and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(0);
        let held = Held::new(&open.0.peers_answers, bytes);
        ResponseBody { held: Some(held), ..ResponseBody::uncounted(inner, open) }
    }

    /// The body of an answer whose bytes are shared by all who get it, so that one that waits takes no memory.
    pub(crate) fn uncounted(inner: Body, open: OpenRequest) -> ResponseBody {
        let needs_watching = open.0.pulse.is_multiplexed() && !inner.is_end_stream();
        let uptake = needs_watching.then(|| open.0.pulse.watch_uptake());
        ResponseBody { inner, held: None, rest: Bytes::new(), uptake, _open: open }
    }

    /// The next piece as it was made, counted until the last of it is gone.
    fn poll_inner(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.inner).poll_frame(cx);
        let Some(held) = &mut self.held else { return frame };
        frame.map_ok(|frame| frame.map_data(|data| held.part(data)))
    }
}

impl HttpBody for ResponseBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let Some(uptake) = this.uptake.clone() else { return this.poll_inner(cx) };
        if this.rest.is_empty() {
            let frame = match this.poll_inner(cx) {
                Poll::Ready(Some(Ok(frame))) => frame,
                Poll::Pending => {
                    uptake.waits_for_peer.store(false, Ordering::Relaxed);
                    return Poll::Pending;
                }
                end => return end,
            };
            match frame.into_data() {
                Ok(data) => this.rest = data,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            }
        }
        // A long piece goes out in short ones. The HTTP/2 library would take it whole however small the peer's window
        // is, and then nobody could see that it is not taken.
        let bytes = this.rest.len().min(UPTAKE_PIECE_BYTES);
        let piece = this.rest.split_to(bytes);
        uptake.pieces.fetch_add(1, Ordering::Relaxed);
        uptake.waits_for_peer.store(true, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let inner = self.inner.size_hint();
        let rest = self.rest.len() as u64;
        let mut hint = SizeHint::new();
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(inner.lower() + rest);
        hint
    }
}

/// Size of one piece of a long HTTP/2 answer, in bytes: the size of a frame.
const UPTAKE_PIECE_BYTES: usize = 16 * 1024;

/// Counts a request as open on its connection, from its headers to the last byte of its answer.
pub(crate) struct OpenRequest(Arc<Link>);

impl OpenRequest {
    pub(crate) fn new(link: Arc<Link>) -> OpenRequest {
        link.pulse.request_opened();
        OpenRequest(link)
    }

    pub(crate) fn link(&self) -> &Link {
        &self.0
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.0.pulse.request_closed();
    }
}
