//! A way to a server on which one request is late: it arrives when everybody has long given it up, and it and its release are
//! forgotten.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use jaego_lock::{Settings, limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::ms;
use crate::struck::Ground;

const PATIENCE: Duration = Duration::from_secs(20);
/// How much later than it may a server has forgotten a release.
const FORGETS_LATE: Duration = Duration::from_secs(2);

/// A process has not seen the server's clock before its first connection, and its first request says all the same until when
/// it may be granted.
pub(crate) async fn the_first_request_of_a_process_takes_nothing<G: Ground>(ground: &G) {
    let settings = Settings {
        response_timeout: ms(200),
        keeper_lease: ms(1_000),
        ..jaego_lock::conformance::settings()
    };
    let way = LateWay::start(ground.addr(), b"exclusive").await;
    let here = G::locks(way.addr(), settings, Duration::ZERO).await;
    let request = here.lock("a").lease(ms(10_000));
    let asking = tokio::spawn(async move { request.acquire().await });
    way.until_held().await;
    asking.abort();
    // It is given up, and after this the server does not know of that any more.
    let remembered = settings.response_timeout * (limits::RELEASE_MEMORY_RESPONSE_TIMEOUTS + 4);
    sleep(remembered + FORGETS_LATE).await;
    assert_eq!(ground.releases_remembered().await, 0, "forgotten");
    way.deliver().await;
    // Taken for nobody, it would last for its lease.
    ground.until_clean(Duration::ZERO).await;
}

/// Passes everything on, but for the first request with a mark in it and what comes behind that on its connection.
pub(crate) struct LateWay {
    addr: SocketAddr,
    late: Arc<Late>,
}

#[derive(Default)]
struct Late {
    is_held: AtomicBool,
    held: Notify,
    deliver: Notify,
    answered: Notify,
}

impl LateWay {
    pub(crate) async fn start(upstream: SocketAddr, mark: &'static [u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (addr, late) = (listener.local_addr().unwrap(), Arc::new(Late::default()));
        let way = Arc::clone(&late);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(upstream).await else { continue };
                let ((from_client, to_client), (from_server, to_server)) =
                    (client.into_split(), server.into_split());
                let answers = Arc::new(AtomicU64::new(0));
                tokio::spawn(pass_back(from_server, to_client, Arc::clone(&answers)));
                let late = Arc::clone(&way);
                tokio::spawn(async move { pass(from_client, to_server, mark, &late, &answers).await });
            }
        });
        Self { addr, late }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Waits until the request was sent. It is on its way from now on.
    pub(crate) async fn until_held(&self) {
        timeout(PATIENCE, self.late.held.notified()).await.expect("it was sent");
    }

    /// Has it arrive, and waits until the server has answered it.
    pub(crate) async fn deliver(&self) {
        self.late.deliver.notify_one();
        timeout(PATIENCE, self.late.answered.notified()).await.expect("the server answers");
    }
}

async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mark: &[u8],
    late: &Late,
    answers: &AtomicU64,
) {
    let mut chunk = vec![0; 64 * 1024];
    while let Ok(len @ 1..) = from.read(&mut chunk).await {
        let marked = chunk[..len].windows(mark.len()).any(|bytes| bytes == mark);
        let held = marked && !late.is_held.swap(true, Ordering::SeqCst);
        let answered = answers.load(Ordering::SeqCst);
        if held {
            late.held.notify_one();
            late.deliver.notified().await;
        }
        if to.write_all(&chunk[..len]).await.is_err() {
            return;
        }
        if held {
            while answers.load(Ordering::SeqCst) == answered {
                sleep(Duration::from_millis(2)).await;
            }
            late.answered.notify_one();
        }
    }
}

/// Counts the answers, and hears them though the client may have gone.
async fn pass_back(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, answers: Arc<AtomicU64>) {
    let mut chunk = vec![0; 64 * 1024];
    while let Ok(len @ 1..) = from.read(&mut chunk).await {
        let _ = to.write_all(&chunk[..len]).await;
        answers.fetch_add(1, Ordering::SeqCst);
    }
}
