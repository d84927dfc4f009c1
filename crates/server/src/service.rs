//! The routes of stock, made from the tables of the wire: one handler for all commands, one for all reads, the batch
//! and the feed. It knows the contract of a store, and no store.

mod commands;
mod feed;
mod feeds;
mod scope;
mod show;

pub use commands::{Commands, Undecided};
pub use show::event_json;

use std::{collections::HashMap, sync::Arc};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Extension, RawPathParams, RawQuery, rejection::RawPathParamsRejection},
    routing::{MethodFilter, on},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, header};
use jaego_api::{
    BatchFormat, COMMANDS, CommandRow, Marks, Problem, READS, Read, ReadRow, body,
    openapi::{DOCS_HTML, openapi_json},
    read_batch, read_ndjson, read_query, read_request,
    table::{self, BATCH_PATH, BATCH_ROLE},
};
use jaego_domain::{Code, Refusal, Request, Sequence};
use jaego_store::{Batch, Done, Failure, Results, Store};
use tokio::sync::watch;

use crate::{
    Access, Caller, Content, Metrics, Readiness, Role, RouteRoles, Shell,
    metrics::{Counter, Histogram},
    problem::{RefusedCommands, SEQUENCE, refuse},
    rates::Rates,
};

use feeds::Feeds;

/// How long a caller should wait after `busy`, in seconds.
const BUSY_RETRY_AFTER_S: u32 = 1;
/// The part of the store's line, one in so many, that is left to single commands: batches are `busy` before.
const QUEUE_RESERVE: usize = 16;
/// Upper bounds of the histogram of batch sizes, in requests.
const BATCH_SIZES: &[u64] = &[1, 10, 100, 1_000, 2_000, 4_000, 8_000, 10_000];
/// Where the document of the API is.
const OPENAPI_PATH: &str = "/openapi.json";
/// Where it is read and tried.
const DOCS_PATH: &str = "/docs";
/// A token is typed into the page of the API: it asks this service alone, and stands in nobody's frame.
const DOCS_HEADERS: [(HeaderName, &str); 3] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
];

/// The parameters of a path, unless what is encoded in them is no text.
type PathParams = Result<RawPathParams, RawPathParamsRejection>;

/// What the handlers share.
struct Service {
    store: Arc<dyn Store>,
    counters: HashMap<&'static str, CommandCounters>,
    batch_sizes: Histogram,
    feeds: Arc<Feeds>,
    rates: Arc<Rates>,
    stopping: watch::Receiver<bool>,
}

/// Commands by what came of them.
struct CommandCounters {
    done: Counter,
    repeat: Counter,
    refused: Counter,
}

/// Mounts the routes of a store into a shell. `stopping` ends the feeds, which would otherwise hold up a shutdown.
pub fn mount(
    shell: Shell,
    store: Arc<dyn Store>,
    metrics: &Metrics,
    stopping: watch::Receiver<bool>,
) -> Shell {
    let counters = COMMANDS.iter().map(|row| (row.op, CommandCounters::new(metrics, row.op))).collect();
    let batch_sizes =
        metrics.histogram_of_counts("jaego_batch_requests", "Requests in a batch.", &[], BATCH_SIZES);
    readings(metrics, &store);
    let ready = Arc::clone(&store);
    let feeds = Arc::new(Feeds::new(&shell.limits, metrics));
    let rates = Arc::clone(&shell.rates);
    let service = Arc::new(Service { store, counters, batch_sizes, feeds, rates, stopping });

    let mut routes = RouteRoles::new();
    let mut router = Router::new();
    for row in COMMANDS {
        let (method, filter) = match row.method {
            table::Method::Get => (Method::GET, MethodFilter::GET),
            table::Method::Post => (Method::POST, MethodFilter::POST),
            table::Method::Put => (Method::PUT, MethodFilter::PUT),
            table::Method::Delete => (Method::DELETE, MethodFilter::DELETE),
        };
        routes = routes.row_with_body(method, row.path, access(row.role), row.body_bytes_max);
        let service = Arc::clone(&service);
        router = router.route(
            row.path,
            on(
                filter,
                move |caller: Extension<Caller>, path: PathParams, headers: HeaderMap, content: Content| {
                    let service = Arc::clone(&service);
                    async move { service.command(row, &caller, &path, &headers, &content.0).await }
                },
            ),
        );
    }
    for row in READS {
        routes = routes.row(Method::GET, row.path, access(row.role));
        let service = Arc::clone(&service);
        router = router.route(
            row.path,
            on(
                MethodFilter::GET,
                move |caller: Extension<Caller>, path: PathParams, query: RawQuery, headers: HeaderMap| {
                    let service = Arc::clone(&service);
                    async move { service.read(row, &caller, &path, query.0.as_deref(), &headers).await }
                },
            ),
        );
    }
    routes = routes
        .row_with_body(Method::POST, BATCH_PATH, access(BATCH_ROLE), jaego_api::limits::DOCUMENT_BYTES_MAX)
        .row(Method::GET, OPENAPI_PATH, Access::Public)
        .row(Method::GET, DOCS_PATH, Access::Public);
    router = router
        .route(
            BATCH_PATH,
            on(
                MethodFilter::POST,
                move |caller: Extension<Caller>, query: RawQuery, headers: HeaderMap, content: Content| {
                    let service = Arc::clone(&service);
                    async move { service.batch(&caller, query.0.as_deref(), &headers, &content.0).await }
                },
            ),
        )
        .route(
            OPENAPI_PATH,
            on(MethodFilter::GET, || async { json(Bytes::from_static(openapi_json().as_bytes()), None) }),
        )
        .route(
            DOCS_PATH,
            on(MethodFilter::GET, || async { (DOCS_HEADERS, axum::response::Html(DOCS_HTML)) }),
        );
    shell.router(routes, router).ready_when(move || {
        let status = ready.status();
        match (status.ready, status.failed) {
            (true, _) => Readiness::Ready,
            (false, Some(detail)) => Readiness::NotReady(format!("the store has failed: {detail}")),
            (false, None) if status.full => {
                Readiness::NotReady("the store is full, and waits for room for more events".to_owned())
            }
            (false, None) => Readiness::NotReady("the store is being closed".to_owned()),
        }
    })
}

fn access(role: table::Role) -> Access {
    Access::AtLeast(match role {
        table::Role::Reader => Role::Reader,
        table::Role::Worker => Role::Worker,
        table::Role::Operator => Role::Operator,
        table::Role::Admin => Role::Admin,
    })
}

fn readings(metrics: &Metrics, store: &Arc<dyn Store>) {
    type Reading = fn(&jaego_store::Status) -> u64;
    let rows: [(&'static str, &'static str, Reading); 20] = [
        ("jaego_queue_depth", "Requests that wait to be decided.", |status| status.queue_len as u64),
        ("jaego_open_holds", "Holds that are open.", |status| status.counts.open_holds),
        ("jaego_waiting_orders", "Orders that wait for a worker.", |status| status.counts.waiting_orders),
        ("jaego_claimed_orders", "Orders that a worker has claimed.", |status| status.counts.claimed_orders),
        ("jaego_waiting_lines", "Lines of orders that wait for stock.", |status| status.counts.waiting_lines),
        ("jaego_waiting_picks", "Zones of transfers whose picks wait for a worker.", |status| {
            status.counts.waiting_picks
        }),
        ("jaego_claimed_picks", "Zones of transfers whose picks a worker has claimed.", |status| {
            status.counts.claimed_picks
        }),
        ("jaego_open_carts", "Carts that are open.", |status| status.counts.open_carts),
        ("jaego_archived_documents", "Finished documents that are in the archive.", |status| status.archived),
        ("jaego_leaving_documents", "Archived documents that have yet to leave memory.", |status| {
            status.leaving
        }),
        ("jaego_positions", "Positions with stock.", |status| status.counts.positions),
        ("jaego_wallets", "Wallets.", |status| status.counts.wallets),
        ("jaego_open_authorizations", "Authorizations that hold money.", |status| {
            status.counts.open_authorizations
        }),
        ("jaego_cards", "Cards.", |status| status.counts.cards),
        ("jaego_open_proposals", "Proposals to swap two cards that are open.", |status| {
            status.counts.open_proposals
        }),
        ("jaego_expiry_lag_milliseconds", "How far expiry lags behind the clock.", |status| {
            status.expiry_lag_ms
        }),
        ("jaego_request_keys", "Request keys whose answers are kept.", |status| status.keys),
        ("jaego_request_key_window_milliseconds", "Age of the oldest kept request key.", |status| {
            status.key_window_ms
        }),
        ("jaego_sequence", "The last event that was decided.", |status| status.sequence.0),
        ("jaego_durable_sequence", "The last event that is durable.", |status| status.durable.0),
    ];
    for (name, help, read) in rows {
        let store = Arc::clone(store);
        metrics.gauge_reading(name, help, &[], move || read(&store.status()) as f64);
    }
    let full = Arc::clone(store);
    metrics.gauge_reading(
        "jaego_store_full",
        "1 while the store refuses writes for want of room.",
        &[],
        move || f64::from(u8::from(full.status().full)),
    );
}

impl CommandCounters {
    fn new(metrics: &Metrics, op: &'static str) -> Self {
        let counter = |outcome| {
            let labels = [("command", op), ("outcome", outcome)];
            metrics.counter("jaego_commands_total", "Commands decided, by kind and outcome.", &labels)
        };
        Self { done: counter("done"), repeat: counter("repeat"), refused: counter("refused") }
    }

    fn count<'a>(&self, results: impl Iterator<Item = &'a Result<Done, Refusal>>) {
        let (mut done, mut repeat, mut refused) = (0, 0, 0);
        for result in results {
            match result {
                Ok(Done { repeat: false, .. }) => done += 1,
                Ok(Done { repeat: true, .. }) => repeat += 1,
                Err(_) => refused += 1,
            }
        }
        // The counters are shared with all other connections: each is touched once, and only where it changes.
        for (counter, count) in [(&self.done, done), (&self.repeat, repeat), (&self.refused, refused)] {
            if count > 0 {
                counter.add(count);
            }
        }
    }
}

impl Service {
    async fn command(
        &self,
        row: &'static CommandRow,
        caller: &Caller,
        path: &PathParams,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Response<Body> {
        let path = match parameters(path) {
            Ok(path) => path,
            Err(problem) => return refuse(&problem),
        };
        let request = by(caller)
            .and_then(|by| read_request(row, &path, marks(headers)?, &by, body))
            .map_err(|problem| *problem);
        let request = match request {
            Ok(request) => request,
            Err(problem) => return refuse(&problem),
        };
        if let Err(problem) = scope::commands(caller, &self.store, std::slice::from_ref(&request), true).await
        {
            return refuse(&problem);
        }
        let answers = match self.store.submit(Batch { requests: vec![request], atomic: false }).await {
            Ok(answers) => answers,
            Err(failure) => return refuse(&problem_of(&failure)),
        };
        let Results::Each(mut results) = answers.results else { unreachable!("the batch is not atomic") };
        let result = results.pop().expect("one request has one answer");
        self.counters[row.op].count(std::iter::once(&result));
        match result {
            Ok(done) => {
                let outcome = jaego_api::outcome::Outcome::new(&done.outcome, done.repeat);
                let text = serde_json::to_vec(&outcome).expect("an outcome has text for keys");
                json(text, Some(answers.sequence))
            }
            Err(refusal) => refuse(&Problem::from(&refusal).at_sequence(answers.sequence)),
        }
    }

    /// What a batch is told that comes while the store's line is as good as full. Its commands are not read: what the
    /// store would refuse takes no processor time from those who are served.
    fn is_full(&self) -> Option<Problem> {
        let status = self.store.status();
        let full = status.queue_len_max - status.queue_len_max / QUEUE_RESERVE;
        (status.queue_len >= full).then(|| Problem::busy(status.queue_len, BUSY_RETRY_AFTER_S))
    }

    async fn batch(
        &self,
        caller: &Caller,
        query: Option<&str>,
        headers: &HeaderMap,
        content: &[u8],
    ) -> Response<Body> {
        let is_ndjson =
            headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|value| {
                value
                    .split(';')
                    .next()
                    .is_some_and(|kind| kind.trim().eq_ignore_ascii_case(body::NDJSON_TYPE))
            });
        // Left unread, they would be believed to have been heeded: a retry of the batch would charge twice.
        for (name, reason) in [
            (body::KEY_HEADER, "is for one command: those of a batch carry each its own key"),
            (body::FENCED_HEADER, "is for one command: those of a batch carry each its own fenced"),
        ] {
            if headers.contains_key(name) {
                return refuse(&Problem::from(&Refusal::invalid(name, reason)));
            }
        }
        if let Some(problem) = self.is_full() {
            return refuse(&problem);
        }
        let format = if is_ndjson { BatchFormat::Ndjson } else { BatchFormat::Json };
        let read = by(caller).and_then(|by| match (is_ndjson, query) {
            (false, None | Some("")) => read_batch(content, &by),
            (true, None | Some("" | "atomic=false")) => read_ndjson(content, false, &by),
            (true, Some("atomic=true")) => read_ndjson(content, true, &by),
            _ => Err(Box::new(Problem::new(
                "malformed",
                "the URL's query may be atomic=true, for NDJSON only",
            ))),
        });
        let mut batch = match read {
            Ok(batch) => batch,
            Err(problem) => return refuse(&problem),
        };
        if let Err(problem) = self.rates.rest_of_batch(caller, batch.ids.len()) {
            return refuse(&problem);
        }
        if let Err(problem) = may_give(caller, batch.role) {
            return refuse(&problem);
        }
        if let Err(problem) = scope::commands(caller, &self.store, &batch.requests, batch.atomic).await {
            return refuse(&problem);
        }
        self.batch_sizes.observe_count(batch.ids.len() as u64);
        if batch.atomic
            && let Some(problem) = batch.refused_by_value()
        {
            return refuse(&problem);
        }
        let requests: Vec<Request> = std::mem::take(&mut batch.requests);
        let ops: Vec<&'static str> = requests.iter().map(|request| request.command().name()).collect();
        let answers = match self.store.submit(Batch { requests, atomic: batch.atomic }).await {
            Ok(answers) => answers,
            Err(failure) => return refuse(&problem_of(&failure)),
        };
        let results = match answers.results {
            Results::Refused(refused) => {
                for (index, _) in &refused {
                    self.counters[ops[*index]].refused.increment();
                }
                return refuse(&batch.refused_by_store(&refused).at_sequence(answers.sequence));
            }
            Results::Each(results) => results,
        };
        let mut uncounted = results.iter();
        for same in ops.chunk_by(|a, b| a == b) {
            self.counters[same[0]].count(uncounted.by_ref().take(same.len()));
        }
        let said = results.iter().map(|result| match result {
            Ok(done) => Ok((&done.outcome, done.repeat)),
            Err(refusal) => Err(refusal),
        });
        let refused = batch.refused.len() + results.iter().filter(|result| result.is_err()).count();
        let text = batch.answer(format, said);
        let mut response = json(text, Some(answers.sequence));
        if refused > 0 {
            response.extensions_mut().insert(RefusedCommands(refused as u64));
        }
        if is_ndjson {
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(body::NDJSON_TYPE));
        }
        response
    }

    async fn read(
        &self,
        row: &'static ReadRow,
        caller: &Caller,
        path: &PathParams,
        query: Option<&str>,
        headers: &HeaderMap,
    ) -> Response<Body> {
        let path = match parameters(path) {
            Ok(path) => path,
            Err(problem) => return refuse(&problem),
        };
        let read = match read_query(row, &path, query) {
            Ok(read) => read,
            Err(problem) => return refuse(&problem),
        };
        if let Err(problem) = scope::read(caller, &self.store, &read).await {
            return refuse(&problem);
        }
        match read {
            Read::Query(query) => match self.store.query(query).await {
                Err(failure) => refuse(&problem_of(&failure)),
                Ok(answer) => match answer.value {
                    Err(refusal) => refuse(&Problem::from(&refusal).at_sequence(answer.sequence)),
                    Ok(view) => match scope::show(caller, view) {
                        Err(problem) => refuse(&problem),
                        Ok(text) => json(text, Some(answer.sequence)),
                    },
                },
            },
            Read::Movements(filter) => match self.store.movements(show::movement_filter(filter)).await {
                Err(failure) => refuse(&problem_of(&failure)),
                Ok(page) => json(show::movements(&page), Some(page.durable)),
            },
            Read::StockAsOf(filter) => match self.store.stock_as_of(show::stock_as_of(filter)).await {
                Err(failure) => refuse(&problem_of(&failure)),
                Ok(answer) => match answer.value {
                    Err(refusal) => refuse(&Problem::from(&refusal).at_sequence(answer.sequence)),
                    Ok(page) => json(show::past_stock(&page), Some(answer.sequence)),
                },
            },
            Read::Balances(filter) => match self.store.balances(show::balance_filter(filter)).await {
                Err(failure) => refuse(&problem_of(&failure)),
                Ok(answer) => match answer.value {
                    Err(refusal) => refuse(&Problem::from(&refusal).at_sequence(answer.sequence)),
                    Ok(page) => json(show::balances(&page), Some(answer.sequence)),
                },
            },
            Read::Statement(filter) => match self.store.statement(show::statement_filter(filter)).await {
                Err(failure) => refuse(&problem_of(&failure)),
                Ok(answer) => match answer.value {
                    Err(refusal) => refuse(&Problem::from(&refusal).at_sequence(answer.sequence)),
                    Ok(page) => json(show::statement(&page), Some(answer.sequence)),
                },
            },
            Read::Events(filter) if feed::is_wanted(headers) => match self.feeds.open(caller.token()) {
                Err(problem) => refuse(&problem),
                Ok(open) => {
                    let store = Arc::clone(&self.store);
                    feed::stream(store, self.stopping.clone(), open, filter, headers).await
                }
            },
            Read::Events(filter) => match feed::page(&*self.store, &filter).await {
                Err(problem) => refuse(&problem),
                Ok((text, durable)) => json(text, Some(durable)),
            },
            Read::Status => json(show::status(&self.store.status()), None),
        }
    }
}

/// Refuses with `forbidden` a command that asks for a greater role than the caller's.
fn may_give(caller: &Caller, needed: Option<(table::Role, &'static str)>) -> Result<(), Box<Problem>> {
    match needed {
        Some((role, op)) if !allows(caller.role(), role) => {
            let own = caller.role().as_str();
            let detail = format!("{op} needs the role {}, and the token's role is {own}", role.as_str());
            Err(Box::new(Problem::forbidden(detail)))
        }
        _ => Ok(()),
    }
}

/// Whether one role may do what another asks for.
fn allows(own: Role, needed: table::Role) -> bool {
    let Access::AtLeast(needed) = access(needed) else { return true };
    own >= needed
}

/// The names and values of a path's parameters.
fn parameters(path: &PathParams) -> Result<Vec<(&str, &str)>, Box<Problem>> {
    match path {
        Ok(path) => Ok(path.iter().collect()),
        Err(rejection) => Err(Box::new(Problem::new("malformed", format!("the URL's path: {rejection}")))),
    }
}

/// The caller's name as the author of events.
fn by(caller: &Caller) -> Result<Code, Box<Problem>> {
    Ok(Code::new("by", caller.name())?)
}

fn marks(headers: &HeaderMap) -> Result<Marks<'_>, Box<Problem>> {
    let text = |name: &'static str| {
        let wrong = |reason: &str| Box::new(Problem::from(&Refusal::invalid(name, reason)));
        let mut values = headers.get_all(name).iter();
        let text =
            values.next().map(|value| value.to_str().map_err(|_| wrong("is not a code"))).transpose()?;
        // One of them would go unread, and be believed to have been read.
        if values.next().is_some() { Err(wrong("is there more than once")) } else { Ok(text) }
    };
    Ok(Marks { key: text(body::KEY_HEADER)?, fenced: text(body::FENCED_HEADER)? })
}

/// What a store's failure is on the wire.
fn problem_of(failure: &Failure) -> Problem {
    match failure {
        Failure::Busy { queue_len } => Problem::busy(*queue_len, BUSY_RETRY_AFTER_S),
        Failure::Full { detail } => Problem::store_full(detail),
        Failure::Failed { detail } => Problem::store_failed(detail),
        Failure::HistoryUnreadable { detail } => Problem::history_unreadable(detail),
        Failure::Closed => Problem::closed(BUSY_RETRY_AFTER_S),
        Failure::TooLarge { what, count, max } => Problem::too_large(what, *count, *max),
    }
}

fn json(text: impl Into<Bytes>, sequence: Option<Sequence>) -> Response<Body> {
    let mut response = Response::new(Body::from(text.into()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(sequence) = sequence {
        headers.insert(SEQUENCE, HeaderValue::from(sequence.0));
    }
    response
}
