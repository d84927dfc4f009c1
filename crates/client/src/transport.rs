//! Connections, tries and pauses.

use std::{fmt, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioTimer},
};
use jaego_api::Problem;
use jaego_tls::Trust;
use serde::de::DeserializeOwned;
use tokio::time;

use crate::{
    Error,
    connector::{self, Connector},
    limits::{ANSWER_BYTES_MAX, IDLE_TIMEOUT, PAUSE_MAX, PAUSE_MIN, REQUEST_TIMEOUT, TRIES_MAX},
};

/// The code of a refusal for a used-up rate.
pub(crate) const RATE_LIMITED: &str = "rate_limited";

/// A client of one service. Clones share their connections.
#[derive(Clone)]
pub struct Client {
    url: String,
    authorization: HeaderValue,
    http: legacy::Client<Connector, Full<Bytes>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The token stays out of logs.
        f.debug_struct("Client").field("url", &self.url).finish_non_exhaustive()
    }
}

/// One request. It may be sent more than once: a read and a setting change nothing by it, a creation has its id,
/// and an action its key.
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) content_type: Option<&'static str>,
    pub(crate) accept: Option<&'static str>,
    pub(crate) key: Option<String>,
    pub(crate) fenced: Option<String>,
    pub(crate) body: Bytes,
}

impl Call {
    pub(crate) fn get(path: String) -> Self {
        Self {
            method: Method::GET,
            path,
            content_type: None,
            accept: None,
            key: None,
            fenced: None,
            body: Bytes::new(),
        }
    }

    pub(crate) fn what(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

impl Client {
    /// A client of the service at `url` (`http://host:port` or `https://host:port`), as the holder of `token`. Behind
    /// `https://` it has to show a certificate that the machine trusts.
    ///
    /// # Errors
    /// [`Error::Request`] if either cannot be sent, [`Error::Trust`] if the machine trusts nobody.
    pub fn new(url: &str, token: &str) -> Result<Self, Error> {
        Self::trusting(url, token, &Trust::system())
    }

    /// As [`Client::new`], with a say in whose certificates are believed.
    ///
    /// # Errors
    /// As [`Client::new`], and [`Error::Trust`] if the CA's file cannot be used. It is read where the address is
    /// `https://`.
    pub fn trusting(url: &str, token: &str, trust: &Trust) -> Result<Self, Error> {
        let url = url.trim_end_matches('/');
        let parsed: Uri =
            url.parse().map_err(|error| Error::Request { detail: format!("the URL {url}: {error}") })?;
        let tls = match parsed.scheme_str() {
            _ if parsed.authority().is_none() => None,
            Some("http") => Some(None),
            Some("https") => Some(Some(trust.connector().map_err(trust_error)?)),
            _ => None,
        };
        let Some(tls) = tls else {
            let detail = format!("the URL {url} is neither http://host:port nor https://host:port");
            return Err(Error::Request { detail });
        };
        let mut authorization = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|_| Error::Request { detail: "the token has characters that no token has".into() })?;
        authorization.set_sensitive(true);
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_timer(TokioTimer::new())
            .build(Connector::new(tls));
        Ok(Self { url: url.to_owned(), authorization, http })
    }

    /// Sends a call and reads its answer.
    pub(crate) async fn call<T: DeserializeOwned>(&self, call: &Call) -> Result<T, Error> {
        let (status, body) = self.bytes(call).await?;
        serde_json::from_slice(&body).map_err(|error| Error::Answer {
            what: call.what(),
            status,
            source: error.into(),
        })
    }

    /// Sends a call until it is answered, or has been sent often enough.
    async fn bytes(&self, call: &Call) -> Result<(u16, Bytes), Error> {
        let mut tries = Tries::default();
        loop {
            let (error, told) = match self.once(call).await {
                Ok(answer) => return Ok(answer),
                Err(tried) => tried,
            };
            match tries.pause(told).filter(|_| may_pass(&error)) {
                Some(pause) => time::sleep(pause).await,
                None => return Err(error),
            }
        }
    }

    async fn once(&self, call: &Call) -> Result<(u16, Bytes), (Error, Option<Duration>)> {
        let seconds = REQUEST_TIMEOUT.as_secs();
        let timeout = || (Error::Timeout { what: call.what(), seconds }, None);
        time::timeout(REQUEST_TIMEOUT, self.answer(call)).await.unwrap_or_else(|_| Err(timeout()))
    }

    async fn answer(&self, call: &Call) -> Result<(u16, Bytes), (Error, Option<Duration>)> {
        let response = self.open(call).await.map_err(|error| (error, None))?;
        let (status, wait) = (response.status(), told_wait(&response));
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|source| (self.connection(call, source), None))?.to_bytes();
        if status.is_success() {
            return Ok((status.as_u16(), body));
        }
        let error = match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => Error::Refused { what: call.what(), problem: Box::new(problem) },
            Err(error) => Error::Answer { what: call.what(), status: status.as_u16(), source: error.into() },
        };
        Err((error, wait))
    }

    /// Sends a call once and gives its answer before the body was read.
    pub(crate) async fn open(&self, call: &Call) -> Result<Response<Incoming>, Error> {
        let mut request = Request::builder()
            .method(&call.method)
            .uri(format!("{}{}", self.url, call.path))
            .header(header::AUTHORIZATION, &self.authorization);
        if let Some(content_type) = call.content_type {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        if let Some(accept) = call.accept {
            request = request.header(header::ACCEPT, accept);
        }
        if let Some(key) = &call.key {
            request = request.header(jaego_api::body::KEY_HEADER, key);
        }
        if let Some(fenced) = &call.fenced {
            request = request.header(jaego_api::body::FENCED_HEADER, fenced);
        }
        let request = request
            .body(Full::new(call.body.clone()))
            .map_err(|error| Error::Request { detail: format!("{}: {error}", call.what()) })?;
        self.http.request(request).await.map_err(|error| self.connection(call, error.into()))
    }

    pub(crate) fn connection(&self, call: &Call, source: Box<dyn std::error::Error + Send + Sync>) -> Error {
        let (what, url) = (call.what(), self.url.clone());
        match connector::handshake_error(&*source).filter(|error| !error.may_pass()) {
            Some(source) => Error::Insecure { what, url, source: Box::new(source) },
            None => Error::Connection { what, url, source },
        }
    }
}

/// The tries of one request, which are counted.
pub(crate) struct Tries {
    left: u32,
    pause: Duration,
}

impl Default for Tries {
    fn default() -> Self {
        Self { left: TRIES_MAX, pause: PAUSE_MIN }
    }
}

impl Tries {
    /// How long to rest after a try that failed, where the service may have told for how long; `None` if it was the last.
    pub(crate) fn pause(&mut self, told: Option<Duration>) -> Option<Duration> {
        self.left -= 1;
        // Who is told to stay away for longer than we wait would be refused again.
        if self.left == 0 || told.is_some_and(|told| told > PAUSE_MAX) {
            return None;
        }
        // A random half keeps callers that were refused together from coming back together.
        let half = self.pause / 2;
        let random = Duration::from_micros(fastrand::u64(0..=u64::try_from(half.as_micros()).unwrap_or(0)));
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        Some((half + random).max(told.unwrap_or_default()))
    }
}

/// For how long the service tells to stay away.
pub(crate) fn told_wait(response: &Response<Incoming>) -> Option<Duration> {
    let seconds = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn trust_error(source: jaego_tls::Error) -> Error {
    Error::Trust { source: Box::new(source) }
}

/// Whether the same request may be answered otherwise in a moment.
fn may_pass(error: &Error) -> bool {
    match error {
        Error::Connection { .. } | Error::Timeout { .. } => true,
        Error::Refused { problem, .. } => {
            matches!(&*problem.code, "busy" | "closed" | "starting" | "request_timeout" | RATE_LIMITED)
        }
        Error::Answer { status, .. } => matches!(status, 502..=504),
        Error::Request { .. } | Error::Trust { .. } | Error::Insecure { .. } => false,
    }
}
