//! The shell around the handlers: from a parsed head to an answer.
//!
//! Each request climbs one ladder: a request id, the size of its head, its row in the table of routes, its token and
//! the token's rate, its role, whether the service has started, for reads how much waits to be read, a place among the requests in flight, the announced size of its body, and only then the router.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::Body;
use axum::extract::MatchedPath;
use axum::response::IntoResponse as _;
use axum::routing::future::RouteFuture;
use http::{HeaderValue, Method, Request, Response, StatusCode, Version, header};
use http_body::Body as _;
use hyper::body::Incoming;
use jaego_api::problem::ProblemKind;
use jaego_api::table::{HEALTHZ_PATH, METRICS_PATH, READYZ_PATH};
use jaego_tls::Certificates;
use pin_project_lite::pin_project;
use tokio::time::Sleep;
use tower_layer::Layer;
use tower_service::Service;
use tracing::{debug, error, info};

use crate::answers::Answers;
use crate::audit::{self, Audit, Entry, Kind};
use crate::auth::{self, FailureLimiter};
use crate::body::{LongBodies, OpenRequest, RequestBody, ResponseBody, Room};
use crate::connection::Link;
use crate::handshake::Handshakes;
use crate::limits::Limits;
use crate::logs;
use crate::metrics::{self, Counter, Histogram, Metrics};
use crate::problem::{self, Problem, ProblemCode, RefusedCommands};
use crate::rates::{RATE_LIMITED, Rates};
use crate::request_id::{self, RequestId, RequestIds};
use crate::routes::{Access, Match, RouteRoles};
use crate::tokens::{Caller, Role, Tokens};

/// What a readiness hook says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Send requests.
    Ready,
    /// Send none yet, for this reason. Anybody may read the reason.
    NotReady(String),
}

type ReadinessHook = Box<dyn Fn() -> Readiness + Send + Sync>;
type StartingHook = Box<dyn Fn() -> Option<String> + Send + Sync>;

/// The HTTP service without its routes. Give it those with [`Shell::router`], then [`Shell::serve`].
pub struct Shell {
    pub(crate) limits: Limits,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) metrics: Metrics,
    pub(crate) rates: Arc<Rates>,
    routes: RouteRoles,
    router: axum::Router,
    ready: ReadinessHook,
    starting: StartingHook,
    certificates: Option<Arc<Certificates>>,
    audit: Option<Audit>,
}

impl Shell {
    /// A shell that serves `/healthz`, `/readyz` and `/metrics` and refuses the rest.
    ///
    /// `/healthz` and `/readyz` are public, `/metrics` is for readers.
    pub fn new(limits: Limits, tokens: Arc<Tokens>, metrics: Metrics) -> Shell {
        let routes = RouteRoles::new();
        Shell {
            limits,
            tokens,
            rates: Arc::new(Rates::new(&metrics)),
            metrics,
            routes,
            router: axum::Router::new(),
            ready: Box::new(|| Readiness::Ready),
            starting: Box::new(|| None),
            certificates: None,
            audit: None,
        }
        .with_routes(RouteRoles::new())
    }

    /// Mounts a router and the table of its routes. What the router serves and the table does not name is refused.
    ///
    /// # Panics
    /// If the table names `/healthz`, `/readyz` or `/metrics`.
    pub fn router(mut self, routes: RouteRoles, router: axum::Router) -> Shell {
        self = self.with_routes(routes);
        let paths: Arc<[String]> = self.routes.rows().iter().map(|row| row.path.clone()).collect();
        self.router = if router.has_routes() { router.route_layer(RowGuardLayer { paths }) } else { router };
        self
    }

    /// Asked at each `GET /readyz`; must answer at once. While the server shuts down it is not ready in any case.
    pub fn ready_when(mut self, hook: impl Fn() -> Readiness + Send + Sync + 'static) -> Shell {
        self.ready = Box::new(hook);
        self
    }

    /// Asked at each request; must answer at once. While it gives a reason the router gets nothing: who has a token is
    /// refused with `starting` and the reason, and `/readyz` says it too. `/healthz` and `/metrics` are served.
    pub fn starting_while(mut self, hook: impl Fn() -> Option<String> + Send + Sync + 'static) -> Shell {
        self.starting = Box::new(hook);
        self
    }

    /// Speaks TLS, and nothing else, with these certificates. They are read again when their files change.
    ///
    /// Open them with [`PROTOCOLS`], so that clients can choose.
    pub fn tls(mut self, certificates: Certificates) -> Shell {
        self.certificates = Some(Arc::new(certificates));
        self
    }

    /// Writes down what is denied and refused, and reads of money and of the feed.
    pub fn audit(mut self, audit: Audit) -> Shell {
        self.audit = Some(audit);
        self
    }

    /// The table of routes, the shell's own included.
    pub fn routes(&self) -> &RouteRoles {
        &self.routes
    }

    fn with_routes(mut self, routes: RouteRoles) -> Shell {
        self.routes = routes
            .row(Method::GET, HEALTHZ_PATH, Access::Public)
            .row(Method::GET, READYZ_PATH, Access::Public)
            .row(Method::GET, METRICS_PATH, Access::AtLeast(Role::Reader));
        self
    }
}

/// What is spoken over TLS, as ALPN names it: HTTP/2 and HTTP/1.1.
pub const PROTOCOLS: [&str; 2] = ["h2", "http/1.1"];

/// The code of what is shed, wherever that was decided.
const BUSY: &str = "busy";

/// Reads that the audit log has: money, what moved, and everything that happened.
pub const AUDITED_READS: [&str; 8] = [
    "/v1/events",
    "/v1/movements",
    "/v1/wallets",
    "/v1/wallets/{owner}",
    "/v1/wallets/{owner}/statement",
    "/v1/wallets/{owner}/authorizations",
    "/v1/authorizations/{authorization}",
    "/v1/accounts",
];

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) limits: Arc<Limits>,
    pub(crate) tokens: Arc<Tokens>,
    /// Where TLS is spoken.
    pub(crate) certificates: Option<Arc<Certificates>>,
    pub(crate) handshakes: Handshakes,
    metrics: Metrics,
    failures: FailureLimiter,
    rates: Arc<Rates>,
    request_ids: RequestIds,
    router: axum::Router,
    ready: ReadinessHook,
    starting: StartingHook,
    routes: RouteRoles,
    /// For each row of `routes`.
    rows: Vec<Row>,
    /// For what has no row.
    unmatched: RouteMetrics,
    in_flight: Arc<AtomicUsize>,
    long_bodies: Arc<LongBodies>,
    pub(crate) answers: Arc<Answers>,
    stopping: AtomicBool,
    shed: Counter,
    over_share: Counter,
    held_back: Counter,
    abandoned: Counter,
    panics: Counter,
    auth_failures: Counter,
    audit: Option<Audit>,
}

struct Row {
    endpoint: Endpoint,
    access: Access,
    body_bytes_max: usize,
    metrics: RouteMetrics,
    is_read: bool,
    /// Whether the audit log has each reading of it.
    is_audited: bool,
}

impl Row {
    /// Whether its answers are the same bytes for everybody, so that one more that waits to be read takes no memory.
    fn is_shared(&self) -> bool {
        self.is_read && self.access == Access::Public
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Endpoint {
    Health,
    Readiness,
    Metrics,
    Router,
}

struct RouteMetrics {
    /// For 1xx to 5xx.
    by_status: [Counter; 5],
    duration: Histogram,
}

impl RouteMetrics {
    fn new(metrics: &Metrics, method: &str, route: &str) -> RouteMetrics {
        let count = |status| {
            let labels = [("method", method), ("route", route), ("status", status)];
            metrics.counter(
                "jaego_http_requests_total",
                "Requests answered, by route and class of status.",
                &labels,
            )
        };
        RouteMetrics {
            by_status: ["1xx", "2xx", "3xx", "4xx", "5xx"].map(count),
            duration: metrics.histogram(
                "jaego_http_request_duration_seconds",
                "Time from the end of a request's headers to the start of its answer.",
                &[("method", method), ("route", route)],
                metrics::REQUEST_MICROS,
            ),
        }
    }

    fn count(&self, status: StatusCode, micros: u64) {
        let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        self.by_status[class].increment();
        self.duration.observe_micros(micros);
    }
}

impl Shared {
    pub(crate) fn new(shell: Shell) -> Shared {
        let Shell { limits, tokens, metrics, rates, routes, router, ready, starting, certificates, audit } =
            shell;
        let in_flight = Arc::new(AtomicUsize::new(0));
        let long_bodies = Arc::new(LongBodies::new(0));
        let reading = Arc::clone(&in_flight);
        metrics.gauge_reading(
            "jaego_http_requests_in_flight",
            "Requests with a handler at work.",
            &[],
            move || reading.load(Ordering::Relaxed) as f64,
        );
        let answers = Arc::new(Answers::default());
        let unread = Arc::clone(&answers);
        let help = "Bytes of answers that wait to be read.";
        metrics.gauge_reading("jaego_http_answer_bytes", help, &[], move || unread.bytes() as f64);
        let rows = routes
            .rows()
            .iter()
            .map(|row| Row {
                endpoint: match (row.method.as_str(), row.path.as_str()) {
                    ("GET", HEALTHZ_PATH) => Endpoint::Health,
                    ("GET", READYZ_PATH) => Endpoint::Readiness,
                    ("GET", METRICS_PATH) => Endpoint::Metrics,
                    _ => Endpoint::Router,
                },
                access: row.access,
                body_bytes_max: row.body_bytes_max.unwrap_or(limits.body_bytes_max),
                metrics: RouteMetrics::new(&metrics, row.method.as_str(), &row.path),
                is_read: row.method == Method::GET,
                is_audited: row.method == Method::GET && AUDITED_READS.contains(&row.path.as_str()),
            })
            .collect();
        Shared {
            handshakes: Handshakes::new(limits.tls_handshakes_max, &metrics),
            certificates,
            failures: FailureLimiter::new(&limits),
            rates,
            request_ids: RequestIds::new(),
            unmatched: RouteMetrics::new(&metrics, "any", "unmatched"),
            shed: metrics.counter("jaego_http_requests_shed_total", "Requests answered `busy`.", &[]),
            over_share: metrics.counter(
                "jaego_http_requests_over_share_total",
                "Requests answered `busy` because their peer had its share of the places.",
                &[],
            ),
            held_back: metrics.counter(
                "jaego_http_reads_held_back_total",
                "Reads answered `busy` because of all the answers that wait to be read.",
                &[],
            ),
            abandoned: metrics.counter(
                "jaego_http_requests_abandoned_total",
                "Requests whose peer went away before the answer.",
                &[],
            ),
            panics: metrics.counter("jaego_http_handler_panics_total", "Handlers that panicked.", &[]),
            auth_failures: metrics.counter(
                "jaego_auth_failures_total",
                "Requests without a valid token.",
                &[],
            ),
            audit,
            limits: Arc::new(limits),
            stopping: AtomicBool::new(false),
            tokens,
            metrics,
            router,
            ready,
            starting,
            routes,
            rows,
            in_flight,
            long_bodies,
            answers,
        }
    }

    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    fn readiness(&self) -> Response<Body> {
        let reason = if self.is_stopping() {
            "the server is shutting down".to_owned()
        } else if let Some(reason) = (self.starting)() {
            reason
        } else {
            match (self.ready)() {
                Readiness::Ready => return "ready\n".into_response(),
                Readiness::NotReady(reason) => reason,
            }
        };
        Problem::new(const { ProblemKind::of("not_ready") }, reason)
            .retry_after(self.limits.busy_retry_after)
            .into_response()
    }

    /// Takes a place among the requests in flight, if there is one and the peer has not had its share.
    fn admit(&self, link: &Link) -> Result<(), Problem> {
        let (max, share) = (self.limits.requests_in_flight_max, self.limits.requests_per_peer_max);
        let retry_after = self.limits.busy_retry_after;
        if !takes_place(&link.peers_requests, share) {
            self.over_share.increment();
            let detail = format!(
                "{share} requests from this address are in hand, and it may have no more of the {max} places. \
                 Nothing was changed; wait for their answers."
            );
            return Err(Problem { detail: detail.into(), ..Problem::busy(retry_after) });
        }
        if !takes_place(&self.in_flight, max) {
            link.peers_requests.fetch_sub(1, Ordering::Relaxed);
            return Err(Problem::busy(retry_after));
        }
        Ok(())
    }

    /// Whether a read may begin: only while not too much of what was read before waits for its readers.
    fn may_read(&self, link: &Link) -> Result<(), Problem> {
        let (bytes, max) = (self.answers.bytes(), self.limits.answer_bytes_max);
        let (own, share) = (link.peers_answers.bytes(), self.limits.answer_bytes_per_peer_max);
        let detail = if own >= share {
            format!(
                "Answers of {own} bytes to this address wait to be read, and it begins no reads from {share} on. Read them."
            )
        } else if bytes >= max {
            format!(
                "Answers of {bytes} bytes wait to be read, and no reads begin from {max} on. Try again shortly."
            )
        } else {
            return Ok(());
        };
        self.held_back.increment();
        Err(Problem { detail: detail.into(), ..Problem::busy(self.limits.busy_retry_after) })
    }

    fn dismiss(&self, link: &Link) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        link.peers_requests.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counts one more, if that stays within a limit.
fn takes_place(taken: &AtomicUsize, max: usize) -> bool {
    if taken.fetch_add(1, Ordering::Relaxed) < max {
        return true;
    }
    taken.fetch_sub(1, Ordering::Relaxed);
    false
}

/// The service of one connection.
pub(crate) struct ConnectionService {
    link: Arc<Link>,
}

impl ConnectionService {
    pub(crate) fn new(link: Arc<Link>) -> ConnectionService {
        ConnectionService { link }
    }
}

impl hyper::service::Service<Request<Incoming>> for ConnectionService {
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Answer;

    fn call(&self, request: Request<Incoming>) -> Answer {
        let shared = &self.link.shared;
        if request.version() == Version::HTTP_2 {
            self.link.pulse.multiplexed();
        }
        let sent_id = request.headers().get(request_id::HEADER).and_then(RequestId::parse);
        let mut ticket = Ticket {
            started: Instant::now(),
            row: None,
            method: request.method().clone(),
            request_id: sent_id.unwrap_or_else(|| shared.request_ids.make()),
            caller: None,
            asked: shared.audit.is_some().then(|| Asked::of(&request)),
            admitted: false,
            room: None,
            answered: false,
            open: Some(OpenRequest::new(Arc::clone(&self.link))),
        };
        let work = match start(&self.link, request, &mut ticket) {
            Ok(work) => work,
            Err(problem) => Work::Ready { response: Some(problem.into_response()) },
        };
        Answer { work, ticket }
    }
}

/// The ladder. Returns the work that makes the answer, or the problem that is the answer.
fn start(link: &Link, mut request: Request<Incoming>, ticket: &mut Ticket) -> Result<Work, Problem> {
    let shared = &*link.shared;
    let bytes_max = shared.limits.head_bytes_max;
    if head_bytes(&request) > bytes_max {
        return Err(Problem::new(
            const { ProblemKind::of("head_too_large") },
            format!("Request line and headers may have {bytes_max} bytes together."),
        ));
    }

    let found = shared.routes.find(request.method(), request.uri().path());
    let row = match found {
        Match::Row(number) => Some(number),
        Match::MethodNotAllowed(_) | Match::NotFound => None,
    };
    ticket.row = row;
    let access = row.map_or(Access::AtLeast(Role::Reader), |number| shared.rows[number].access);
    if let Access::AtLeast(role) = access {
        let caller = auth::authenticate(&shared.tokens, &shared.failures, request.headers(), link.peer.ip())
            .inspect_err(|_| shared.auth_failures.increment())?;
        link.pulse.authenticated();
        let own = caller.role();
        let in_rate = shared.rates.request(&caller);
        ticket.caller = Some(caller);
        if let Err(problem) = in_rate {
            return Ok(Work::ready(problem::refuse(&problem)));
        }
        // Only whoever may come in learns what there is.
        if row.is_some() && own < role {
            return Err(Problem::new(
                const { ProblemKind::of("forbidden") },
                format!("This needs the role {}, and the token's role is {}.", role.as_str(), own.as_str()),
            ));
        }
    }
    let number = match found {
        Match::Row(number) => number,
        Match::MethodNotAllowed(allow) => return Ok(Work::ready(method_not_allowed(allow.clone()))),
        Match::NotFound => {
            return Err(Problem::new(
                const { ProblemKind::of("route_not_found") },
                "Nothing is served under this path. The API is described in /openapi.json.",
            ));
        }
    };

    let row = &shared.rows[number];
    match row.endpoint {
        Endpoint::Health => return Ok(Work::ready("ok\n".into_response())),
        Endpoint::Readiness => return Ok(Work::ready(shared.readiness())),
        Endpoint::Metrics => {
            let mut response = shared.metrics.render().into_response();
            response
                .headers_mut()
                .insert(header::CONTENT_TYPE, HeaderValue::from_static(metrics::CONTENT_TYPE));
            return Ok(Work::ready(response));
        }
        Endpoint::Router => {}
    }

    if let Some(reason) = (shared.starting)() {
        let detail =
            format!("The service is not ready yet: {reason}. Nothing was changed; try again shortly.");
        return Err(Problem::new(const { ProblemKind::of("starting") }, detail)
            .retry_after(shared.limits.busy_retry_after));
    }
    if row.is_read && !row.is_shared() {
        shared.may_read(link)?;
    }
    shared.admit(link)?;
    ticket.admitted = true;
    if request.body().size_hint().lower() > row.body_bytes_max as u64 {
        return Err(crate::body::BodyError::TooLarge { bytes_max: row.body_bytes_max }.problem());
    }
    if let Some(encoding) = request
        .headers()
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .find(|it| !it.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        return Err(encoded(encoding));
    }

    // What a handler cannot see it cannot log.
    request.headers_mut().remove(header::AUTHORIZATION);
    let extensions = request.extensions_mut();
    extensions.insert(RowNumber(number));
    extensions.insert(ticket.request_id.clone());
    if let Some(caller) = &ticket.caller {
        extensions.insert(Caller::clone(caller));
    }
    if row.body_bytes_max > shared.limits.body_bytes_max {
        ticket.room = Some(Arc::new(Room::none_of(&shared.long_bodies)));
    }
    let (room, limits) = (ticket.room.clone(), &shared.limits);
    let is_stream = request.version() == Version::HTTP_2;
    let request = request.map(|body| RequestBody::new(body, is_stream, row.body_bytes_max, room, limits));
    let route = Service::call(&mut shared.router.clone(), request);
    Ok(Work::Routed { route, timer: None })
}

fn method_not_allowed(allow: HeaderValue) -> Response<Body> {
    let mut response = Problem::new(
        const { ProblemKind::of("method_not_allowed") },
        "The path is served, but not for this method. The header Allow names the methods.",
    )
    .into_response();
    response.headers_mut().insert(header::ALLOW, allow);
    response
}

/// A packed body may come to any size when it is unpacked.
fn encoded(encoding: &HeaderValue) -> Problem {
    let detail = format!("The body is encoded as {encoding:?}. Send it as it is, without Content-Encoding.");
    Problem::new(const { ProblemKind::of("encoding_unsupported") }, detail)
}

/// The size of a head as it would stand in HTTP/1, in bytes.
fn head_bytes<B>(request: &Request<B>) -> usize {
    let uri = request.uri();
    let line = uri.path().len() + uri.query().map_or(0, str::len);
    request.headers().iter().fold(line, |bytes, (name, value)| bytes + name.as_str().len() + value.len() + 4)
}

/// What is to be remembered of a request until it is answered.
struct Ticket {
    started: Instant,
    row: Option<usize>,
    method: Method,
    request_id: RequestId,
    caller: Option<Caller>,
    /// What the audit log wants to know, if there is one.
    asked: Option<Asked>,
    /// Holds a place among the requests in flight.
    admitted: bool,
    /// What its body takes of the room for long ones, where it may be long.
    room: Option<Arc<Room>>,
    answered: bool,
    /// Present until the answer's body takes it over.
    open: Option<OpenRequest>,
}

/// What was asked for, as the audit log has it. Its parts share the memory of the request's head.
struct Asked {
    uri: http::Uri,
    key: Option<HeaderValue>,
    fenced: Option<HeaderValue>,
}

impl Asked {
    fn of<B>(request: &Request<B>) -> Asked {
        let header = |name: &str| request.headers().get(name).cloned();
        Asked {
            uri: request.uri().clone(),
            key: header(jaego_api::body::KEY_HEADER),
            fenced: header(jaego_api::body::FENCED_HEADER),
        }
    }
}

impl Ticket {
    /// Writes down what was denied, refused, or is worth knowing that it was read.
    fn audit(&self, response: &Response<Body>) {
        let shared = &*self.link().shared;
        let (Some(audit), Some(asked)) = (&shared.audit, &self.asked) else { return };
        let status = response.status();
        let code = response.extensions().get::<ProblemCode>().map(|code| &code.0);
        let refused = response.extensions().get::<RefusedCommands>().map_or(0, |refused| refused.0);
        let kind = match status {
            // Load refuses nobody, and the counters of what was shed have it.
            StatusCode::SERVICE_UNAVAILABLE => return,
            _ if code.is_some_and(|code| code == RATE_LIMITED) => return,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS => Kind::Denied,
            _ if refused > 0 => Kind::Refused,
            _ if status.as_u16() >= 400 && self.method != Method::GET => Kind::Refused,
            _ if status.is_success() && self.row.is_some_and(|row| shared.rows[row].is_audited) => Kind::Read,
            _ => return,
        };
        // Whoever has no token may send anything for a path, and what has no row may be anything.
        let path = match (self.row, &self.caller) {
            (Some(_), Some(_)) => asked.uri.path().to_owned(),
            (Some(row), None) => shared.routes.rows()[row].path.clone(),
            (None, _) => "unmatched".to_owned(),
        };
        let text = |value: &Option<HeaderValue>| value.as_ref()?.to_str().ok().map(audit::shortened);
        // A method may be anything as well, and of any length.
        let what = audit::shortened(&format!("{} {path}", self.method));
        let mut entry = Entry::now(kind, what);
        entry.by = self.caller.as_ref().map(|caller| caller.name().to_owned());
        entry.peer = Some(self.link().peer.ip());
        entry.request_id = Some(self.request_id.as_str().to_owned());
        if self.caller.is_some() {
            (entry.key, entry.fenced) = (text(&asked.key), text(&asked.fenced));
        }
        entry.status = Some(status.as_u16());
        entry.code = code.map(|code| code.clone().into_owned());
        entry.count = refused;
        audit.record(entry);
    }

    fn link(&self) -> &Link {
        self.open.as_ref().expect("a request is open until it is answered").link()
    }

    fn answer(&mut self, mut response: Response<Body>) -> Response<ResponseBody> {
        response.headers_mut().insert(request_id::HEADER, self.request_id.header().clone());
        let micros = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        let status = response.status();
        let shared = &*self.link().shared;
        let metrics = self.row.map_or(&shared.unmatched, |number| &shared.rows[number].metrics);
        metrics.count(status, micros);
        self.log(status, micros);
        if response.extensions().get::<ProblemCode>().is_some_and(|code| code.0 == BUSY) {
            shared.shed.increment();
        }
        self.audit(&response);
        let is_shared = self.row.is_some_and(|row| shared.rows[row].is_shared());
        self.leave();
        self.answered = true;
        let open = self.open.take().expect("a request is answered once");
        match is_shared {
            true => response.map(|body| ResponseBody::uncounted(body, open)),
            false => response.map(|body| ResponseBody::new(body, open)),
        }
    }

    fn log(&self, status: StatusCode, micros: u64) {
        // The route as the table has it, never the path as it was sent: that may hold anything.
        macro_rules! line {
            ($level:ident) => {
                $level!(
                    target: logs::ACCESS,
                    method = self.method.as_str(),
                    route = self.row.map_or("unmatched", |number| self.link().shared.routes.rows()[number].path.as_str()),
                    status = status.as_u16(),
                    micros,
                    request_id = self.request_id.as_str(),
                    caller = self.caller.as_ref().map(Caller::name),
                    peer = %self.link().peer,
                    "request"
                )
            };
        }
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            line!(info);
        } else {
            line!(debug);
        }
    }

    fn leave(&mut self) {
        if self.admitted {
            self.link().shared.dismiss(self.link());
            self.admitted = false;
            self.room = None;
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        self.leave();
        self.link().shared.abandoned.increment();
        debug!(target: logs::ACCESS, request_id = self.request_id.as_str(), "request abandoned by its peer");
    }
}

pin_project! {
    #[project = WorkProjection]
    enum Work {
        Ready { response: Option<Response<Body>> },
        Routed { #[pin] route: RouteFuture<Infallible>, timer: Option<Pin<Box<Sleep>>> },
    }
}

impl Work {
    fn ready(response: Response<Body>) -> Work {
        Work::Ready { response: Some(response) }
    }
}

pin_project! {
    /// The answer to one request, in the making.
    pub(crate) struct Answer {
        #[pin]
        work: Work,
        ticket: Ticket,
    }
}

impl Future for Answer {
    type Output = Result<Response<ResponseBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let ticket = this.ticket;
        let response = match this.work.project() {
            WorkProjection::Ready { response } => {
                response.take().expect("an answer is polled to its end once")
            }
            WorkProjection::Routed { route, timer } => {
                // A panic is a bug in one handler. It must not take the other requests of the connection with it.
                match catch_unwind(AssertUnwindSafe(|| route.poll(cx))) {
                    Ok(Poll::Ready(Ok(response))) => response,
                    Ok(Poll::Ready(Err(never))) => match never {},
                    Ok(Poll::Pending) => {
                        let end = ticket.started + ticket.link().shared.limits.request_timeout;
                        let timer =
                            timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(end.into())));
                        if timer.as_mut().poll(cx).is_pending() {
                            return Poll::Pending;
                        }
                        timed_out().into_response()
                    }
                    Err(_) => {
                        ticket.link().shared.panics.increment();
                        error!(request_id = ticket.request_id.as_str(), "a handler panicked");
                        internal().into_response()
                    }
                }
            }
        };
        Poll::Ready(Ok(ticket.answer(response)))
    }
}

fn timed_out() -> Problem {
    Problem::new(
        const { ProblemKind::of("request_timeout") },
        "The answer was not ready in time. A command may still take effect: send it again with the same id or key.",
    )
    .retry_after(std::time::Duration::from_secs(1))
}

fn internal() -> Problem {
    Problem::new(
        const { ProblemKind::of("internal") },
        "The server failed on this request. Its log says more under the request id. Whether a command took effect is told \
         by sending it again with the same id or key.",
    )
}

/// The row that let a request through.
#[derive(Clone, Copy)]
struct RowNumber(usize);

/// Holds the route that axum chose against the row that let the request through. The two match paths in the same way
/// but over different sets: a router with `/v1/holds/all` and a table with only `/v1/holds/{id}` would otherwise let
/// the one in under the other's role.
#[derive(Clone)]
struct RowGuardLayer {
    /// For each row, its path.
    paths: Arc<[String]>,
}

#[derive(Clone)]
struct RowGuard<S> {
    paths: Arc<[String]>,
    inner: S,
}

impl<S> Layer<S> for RowGuardLayer {
    type Service = RowGuard<S>;

    fn layer(&self, inner: S) -> RowGuard<S> {
        RowGuard { paths: Arc::clone(&self.paths), inner }
    }
}

impl<S> Service<axum::extract::Request> for RowGuard<S>
where
    S: Service<axum::extract::Request, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Guarded<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: axum::extract::Request) -> Guarded<S::Future> {
        let extensions = request.extensions();
        let row = extensions.get::<RowNumber>().and_then(|row| self.paths.get(row.0));
        let route = extensions.get::<MatchedPath>().map(MatchedPath::as_str);
        if row.is_some() && row.map(String::as_str) == route {
            return Guarded::Inner { future: self.inner.call(request) };
        }
        Guarded::Refused
    }
}

pin_project! {
    #[project = GuardedProjection]
    enum Guarded<F> {
        Refused,
        Inner { #[pin] future: F },
    }
}

impl<F, E> Future for Guarded<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        match self.project() {
            GuardedProjection::Inner { future } => future.poll(cx),
            GuardedProjection::Refused => {
                let detail = "No row of the table of roles names this route, so nobody may use it.";
                let problem = Problem::new(const { ProblemKind::of("route_without_role") }, detail);
                Poll::Ready(Ok(problem.into_response()))
            }
        }
    }
}
