//! A stream that knows when its last byte came or went, so that a slow answer can be told from none, and that breaks off
//! an answer that is too long.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

/// Any number of bytes.
const ANY: u64 = u64::MAX;

/// When bytes have come or gone last, and how many more may come.
#[derive(Clone, Debug)]
pub(crate) struct Pulse {
    begun: Instant,
    /// Nanoseconds since then.
    last: Arc<AtomicU64>,
    /// Bytes that may still come.
    allowed: Arc<AtomicU64>,
}

impl Pulse {
    /// The pulse of a stream that begins now.
    pub(crate) fn new() -> Self {
        let allowed = Arc::new(AtomicU64::new(ANY));
        Self { begun: Instant::now(), last: Arc::default(), allowed }
    }

    /// From now on so many bytes may come, or any number of them.
    pub(crate) fn allow(&self, bytes: Option<usize>) {
        let bytes = bytes.map_or(ANY, |bytes| u64::try_from(bytes).unwrap_or(ANY));
        self.allowed.store(bytes, Ordering::Relaxed);
    }

    /// Whether more came than may.
    pub(crate) fn is_over(&self) -> bool {
        self.allowed.load(Ordering::Relaxed) == 0
    }

    /// Counts bytes that came.
    fn take(&self, bytes: usize) -> io::Result<()> {
        let allowed = self.allowed.load(Ordering::Relaxed);
        if allowed == ANY {
            return Ok(());
        }
        let left = allowed.saturating_sub(u64::try_from(bytes).unwrap_or(u64::MAX));
        self.allowed.store(left, Ordering::Relaxed);
        if left > 0 { Ok(()) } else { Err(io::Error::other("the answer is longer than it may be")) }
    }

    /// When the last byte came or went; the beginning where there was none.
    pub(crate) fn last(&self) -> Instant {
        self.begun + Duration::from_nanos(self.last.load(Ordering::Relaxed))
    }

    fn beat(&self, bytes: usize) {
        if bytes > 0 {
            let since = u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
            // Whoever writes may be behind whoever reads.
            self.last.fetch_max(since, Ordering::Relaxed);
        }
    }
}

/// A stream with a pulse.
pub(crate) struct Felt<S> {
    stream: S,
    pulse: Pulse,
}

impl<S> Felt<S> {
    pub(crate) fn new(stream: S, pulse: Pulse) -> Self {
        Self { stream, pulse }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Felt<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let bytes = buffer.filled().len() - before;
        self.pulse.beat(bytes);
        self.pulse.take(bytes)?;
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Felt<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        if let Poll::Ready(Ok(count)) = &written {
            self.pulse.beat(*count);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
