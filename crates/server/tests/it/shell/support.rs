//! A running server and a plain client, for the tests beside this file.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::routing::{get, post};
use bytes::Bytes;
use http::Method;
use jaego_api::problem::ProblemKind;
use jaego_server::shell::PROTOCOLS;
use jaego_server::tokens::TokenGrant;
use jaego_server::{Access, Caller, Content, Drained, Limits, Metrics, Role, RouteRoles, Shell, Tokens};
use jaego_testkit::CertificateFiles;
use jaego_tls::Certificates;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Longest that any single step of a test may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// Size of what `/big` answers: far more than socket buffers hold.
pub(crate) const BIG_BYTES: usize = 32 << 20;

/// A server on a free port of 127.0.0.1.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) metrics: Metrics,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<Drained>,
    _folder: TempDir,
}

pub(crate) fn table() -> RouteRoles {
    RouteRoles::new()
        .row(Method::GET, "/open", Access::Public)
        .row(Method::GET, "/read", Access::AtLeast(Role::Reader))
        .row(Method::POST, "/work", Access::AtLeast(Role::Worker))
        .row(Method::POST, "/operate", Access::AtLeast(Role::Operator))
        .row(Method::PUT, "/settings/{name}", Access::AtLeast(Role::Admin))
        .row(Method::POST, "/echo", Access::Public)
        .row_with_body(Method::POST, "/echo-long", Access::Public, 1 << 20)
        .row(Method::GET, "/sleep/{millis}", Access::Public)
        .row(Method::GET, "/big", Access::Public)
        .row(Method::GET, "/page", Access::AtLeast(Role::Reader))
        .row(Method::GET, "/panic", Access::Public)
        .row(Method::GET, "/items/{id}", Access::AtLeast(Role::Reader))
}

fn router() -> axum::Router {
    let big = Bytes::from(vec![b'x'; BIG_BYTES]);
    let page = big.clone();
    axum::Router::new()
        .route("/open", get(|| async { "open" }))
        .route("/read", get(whoami))
        .route("/work", post(whoami))
        .route("/operate", post(whoami))
        .route("/settings/{name}", axum::routing::put(whoami))
        .route("/echo", post(|Content(body): Content| async move { body }))
        .route("/echo-long", post(|Content(body): Content| async move { body }))
        .route("/sleep/{millis}", get(sleep))
        .route("/page", get(move || async move { page.clone() }))
        .route("/big", get(move || async move { big.clone() }))
        .route("/panic", get(panics))
        .route("/items/{id}", get(|| async { "item" }))
        // Neither of these has a row of its own; the second hides behind the row for /items/{id}.
        .route("/forgotten", get(|| async { "forgotten" }))
        .route("/items/all", get(|| async { "all items" }))
}

async fn whoami(request: Request) -> String {
    assert!(!request.headers().contains_key("authorization"), "a handler must not see the token");
    let caller = request.extensions().get::<Caller>().expect("a route with a role has a caller");
    format!("{} {}", caller.name(), caller.role().as_str())
}

async fn sleep(axum::extract::Path(millis): axum::extract::Path<u64>) -> &'static str {
    tokio::time::sleep(Duration::from_millis(millis)).await;
    "slept"
}

async fn panics() -> &'static str {
    panic!("on purpose")
}

/// Short waits, so that the tests are short too.
pub(crate) fn quick() -> Limits {
    Limits {
        check_interval: Duration::from_millis(100),
        head_timeout: Duration::from_secs(1),
        idle_timeout: Duration::from_secs(4),
        body_grace: Duration::from_secs(1),
        write_grace: Duration::from_secs(1),
        token_reload_interval: Duration::from_millis(100),
        certificate_reload_interval: Duration::from_millis(100),
        ..Limits::default()
    }
}

impl Server {
    pub(crate) async fn start(limits: Limits) -> Server {
        Server::launch(limits, |shell| shell).await
    }

    /// One that speaks TLS with these files.
    pub(crate) async fn start_tls(limits: Limits, files: &CertificateFiles) -> Server {
        let certificates = Certificates::open(&files.certificate, &files.key, &PROTOCOLS).unwrap();
        Server::launch(limits, |shell| shell.tls(certificates)).await
    }

    pub(crate) async fn launch(limits: Limits, with: impl FnOnce(Shell) -> Shell) -> Server {
        let folder = tempfile::tempdir().unwrap();
        let tokens = Arc::new(Tokens::open(folder.path().join("tokens.json")).unwrap());
        let metrics = Metrics::new();
        let shell = with(Shell::new(limits, Arc::clone(&tokens), metrics.clone()).router(table(), router()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(shell.serve(listener, async {
            let _ = stopped.await;
        }));
        Server { address, tokens, metrics, stop: Some(stop), running, _folder: folder }
    }

    pub(crate) fn token(&self, role: Role) -> String {
        let grant = TokenGrant { name: format!("the-{}", role.as_str()), role, sites: None, rate: None };
        self.tokens.create(grant).unwrap().1.reveal().to_owned()
    }

    pub(crate) async fn connect(&self) -> Client {
        Client { stream: TcpStream::connect(self.address).await.unwrap(), unread: Vec::new() }
    }

    /// One request on a connection of its own.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.connect().await.request("GET", path, &[], b"").await
    }

    /// The value of one series, by its whole name as printed. The server's own are there once it has answered.
    pub(crate) fn metric(&self, series: &str) -> f64 {
        self.find_metric(series).unwrap_or_else(|| panic!("no series {series} in\n{}", self.metrics.render()))
    }

    fn find_metric(&self, series: &str) -> Option<f64> {
        let text = self.metrics.render();
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
        Some(value.parse().unwrap())
    }

    /// Waits until a series is there and has this value.
    pub(crate) async fn metric_becomes(&self, series: &str, value: f64) {
        let reached = async {
            while self.find_metric(series) != Some(value) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, reached).await;
        assert!(waited.is_ok(), "{series} is {:?} and not {value}", self.find_metric(series));
    }

    /// Begins the shutdown.
    pub(crate) fn begin_stop(&mut self) {
        self.stop.take().expect("a server is stopped once").send(()).unwrap();
    }

    /// Waits for the end of a shutdown.
    pub(crate) async fn stopped(self) -> Drained {
        tokio::time::timeout(PATIENCE, self.running).await.expect("the shutdown ends").unwrap()
    }
}

/// A connection that says exactly what a test wants.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    unread: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (own, value) = line.split_once(':')?;
            own.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The `code` of a problem document that is whole and agrees with the status, and with the kinds that are documented.
    pub(crate) fn code(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(problem["status"], self.status);
        for field in ["type", "title", "detail"] {
            assert!(problem[field].as_str().is_some_and(|text| !text.is_empty()), "{field} in {problem}");
        }
        assert!(self.header("x-request-id").is_some(), "{self:?}");
        let code = problem["code"].as_str().unwrap();
        let is_it = |kind: &&ProblemKind| (kind.code, kind.status) == (code, self.status);
        let kind = ProblemKind::all().find(is_it).unwrap_or_else(|| panic!("{problem} is of no kind"));
        assert_eq!(problem["title"], kind.title);
        code.to_owned()
    }
}

impl Client {
    pub(crate) fn over(stream: TcpStream) -> Client {
        Client { stream, unread: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    pub(crate) async fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: test\r\n");
        if !body.is_empty() {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        let mut message = head.into_bytes();
        message.extend_from_slice(body);
        self.send(message).await;
        self.answer().await
    }

    /// Reads one answer that has a Content-Length.
    pub(crate) async fn answer(&mut self) -> Answer {
        tokio::time::timeout(PATIENCE, self.answer_in_time()).await.expect("an answer comes")
    }

    async fn answer_in_time(&mut self) -> Answer {
        let end = loop {
            if let Some(end) = self.unread.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end + 4;
            }
            self.more().await;
        };
        let head = String::from_utf8(self.unread.drain(..end).collect()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer { status, head, body: Vec::new() };
        let bytes: usize = answer.header("content-length").map_or(0, |text| text.parse().unwrap());
        while self.unread.len() < bytes {
            self.more().await;
        }
        answer.body = self.unread.drain(..bytes).collect();
        answer
    }

    async fn more(&mut self) {
        let read = self.stream.read_buf(&mut self.unread).await.unwrap();
        assert_ne!(
            read,
            0,
            "the connection ended within an answer: {:?}",
            String::from_utf8_lossy(&self.unread)
        );
    }

    /// Reads until the server closes, and returns the bytes that still came.
    pub(crate) async fn rest_until_closed(&mut self) -> Vec<u8> {
        let reading = async {
            let mut rest = std::mem::take(&mut self.unread);
            // A reset is as good an end as any.
            while self.stream.read_buf(&mut rest).await.is_ok_and(|read| read > 0) {}
            rest
        };
        tokio::time::timeout(PATIENCE, reading).await.expect("the server closes the connection")
    }
}
