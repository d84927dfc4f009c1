//! The feed of events: pages, and Server-Sent Events that resume where a reader left off.

use std::{sync::Arc, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Response, header};
use jaego_api::{Problem, list::List, read::EventFilter, read::event_cursor};
use jaego_domain::Sequence;
use jaego_store::{EventPage, EventView, Failure, Store};
use tokio::{sync::watch, time};

use super::{feeds::OpenFeed, problem_of, refuse, show};

/// Events that one read of the store gives the feed at the most.
const EVENTS_A_READ: usize = 256;
/// Reads of the store that one page may take to find events of the kinds that were asked for.
const READS_A_PAGE: usize = 64;
/// How often a feed with nothing to say shows that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long one stream lasts. The reader comes again with its token, which may have been revoked meanwhile.
const STREAM_LIFE: Duration = Duration::from_secs(55);

/// The media type of Server-Sent Events.
const STREAM_TYPE: &str = "text/event-stream";

/// Whether the reader wants events for as long as it listens: whether some `Accept` names them, and not as what it does
/// not take (`q=0`, RFC 9110).
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    let accepts = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepts.flat_map(|accept| accept.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case(STREAM_TYPE)) && !parts.any(is_no_weight)
    })
}

/// Whether a parameter of a media range is the weight of what is not acceptable: `q=0`, `q=0.000`.
fn is_no_weight(parameter: &str) -> bool {
    let Some((name, weight)) = parameter.split_once('=') else { return false };
    name.trim().eq_ignore_ascii_case("q") && weight.trim().parse().is_ok_and(|weight: f32| weight == 0.0)
}

fn fits(filter: &EventFilter, event: &EventView) -> bool {
    filter.kinds.is_empty() || filter.kinds.iter().any(|kind| kind == event.kind)
}

/// Refuses with `cursor_ahead` to go on after an event that the store does not have: it gives no such cursor, so that a
/// reader who waited for the store to catch up would miss what comes until then.
fn known(after: Sequence, page: &EventPage) -> Result<(), Box<Problem>> {
    if after <= page.durable { Ok(()) } else { Err(Box::new(Problem::cursor_ahead(after, page.durable))) }
}

/// A page of events as JSON, and the last durable event.
pub(super) async fn page(
    store: &dyn Store,
    filter: &EventFilter,
) -> Result<(Vec<u8>, Sequence), Box<Problem>> {
    let mut after = filter.after;
    let mut items = Vec::new();
    let mut durable = after;
    let mut more = true;
    for _ in 0..READS_A_PAGE {
        let wanted = if filter.kinds.is_empty() { filter.limit - items.len() } else { EVENTS_A_READ };
        let read = store.events(after, wanted).await;
        let page = read.map_err(|failure| problem_of(&failure))?;
        known(after, &page)?;
        durable = page.durable;
        for event in &page.events {
            if items.len() == filter.limit {
                break;
            }
            after = event.outcome.sequence;
            if fits(filter, event) {
                items.push(show::event(event));
            }
        }
        more = after < durable && !page.events.is_empty();
        if !more || items.len() == filter.limit {
            break;
        }
    }
    let next = more.then(|| after.0.to_string());
    let text = serde_json::to_vec(&List { items, next }).expect("a list has text for keys");
    Ok((text, durable))
}

/// Where a feed stands.
struct Feed {
    store: Arc<dyn Store>,
    /// What was read of it before it began.
    first: Option<Result<EventPage, Failure>>,
    stopping: watch::Receiver<bool>,
    filter: EventFilter,
    after: Sequence,
    until: time::Instant,
    ended: bool,
    /// Counts it, for as long as it lives.
    _open: OpenFeed,
}

/// Events for as long as the reader listens, from `Last-Event-ID` or `after` on.
pub(super) async fn stream(
    store: Arc<dyn Store>,
    stopping: watch::Receiver<bool>,
    open: OpenFeed,
    filter: EventFilter,
    headers: &HeaderMap,
) -> Response<Body> {
    let mut after = filter.after;
    if let Some(last) = headers.get("last-event-id") {
        match last.to_str().map_err(|_| ()).and_then(|text| event_cursor(text).map_err(|_| ())) {
            Ok(sequence) => after = sequence,
            Err(()) => {
                let refusal =
                    jaego_domain::Refusal::invalid("last-event-id", "is not the sequence of an event");
                return refuse(&(&refusal).into());
            }
        }
    }
    let first = store.events(after, EVENTS_A_READ).await;
    if let Err(problem) = first.as_ref().map_or(Ok(()), |page| known(after, page)) {
        return refuse(&problem);
    }
    let (first, until) = (Some(first), time::Instant::now() + STREAM_LIFE);
    let feed = Feed { store, first, stopping, filter, after, until, ended: false, _open: open };
    let chunks = stream::unfold(feed, |mut feed| async move {
        let chunk = feed.next().await?;
        Some((Ok::<Bytes, std::convert::Infallible>(chunk), feed))
    });
    let mut response = Response::new(Body::from_stream(chunks));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(STREAM_TYPE));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl Feed {
    /// The next bytes; `None` when the service stops.
    async fn next(&mut self) -> Option<Bytes> {
        while !self.ended && !*self.stopping.borrow() {
            if time::Instant::now() >= self.until {
                self.ended = true;
                return Some(sign_of_life(self.after));
            }
            let read = match self.first.take() {
                Some(first) => first,
                None => self.store.events(self.after, EVENTS_A_READ).await,
            };
            let page = match read {
                Ok(page) => page,
                Err(failure) => {
                    // Said once, and then the reader comes again with its last event.
                    self.ended = true;
                    return Some(problem(&failure));
                }
            };
            let mut text = Vec::new();
            for event in &page.events {
                self.after = event.outcome.sequence;
                if fits(&self.filter, event) {
                    let head = format!("id: {}\nevent: {}\ndata: ", event.outcome.sequence, event.kind);
                    text.extend_from_slice(head.as_bytes());
                    serde_json::to_writer(&mut text, &show::event(event))
                        .expect("an event has text for keys");
                    text.extend_from_slice(b"\n\n");
                }
            }
            if !text.is_empty() {
                return Some(Bytes::from(text));
            }
            if self.after < page.durable && !page.events.is_empty() {
                continue;
            }
            let after = self.after;
            tokio::select! {
                () = self.store.wait_for_events(self.after) => {}
                () = time::sleep_until(self.until.min(time::Instant::now() + HEARTBEAT)) => {
                    return Some(sign_of_life(after));
                }
                _ = self.stopping.wait_for(|stopping| *stopping) => return None,
            }
        }
        None
    }
}

/// A problem document in place of an event. It is one line, as data of a message has to be.
fn problem(failure: &Failure) -> Bytes {
    let text = problem_of(failure).to_json();
    Bytes::from([b"event: problem\ndata: ", &*text, b"\n\n"].concat())
}

/// Says how far a feed has looked, with no event. A reader of rare kinds then goes on from there when it comes again; from
/// the last event that it saw, it might never get to the next one before its stream ends.
fn sign_of_life(after: Sequence) -> Bytes {
    Bytes::from(format!(": alive\nid: {after}\n\n"))
}
