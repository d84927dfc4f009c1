//! What a refused caller reads: a problem document (RFC 9457).

use std::borrow::Cow;
use std::time::Duration;

use axum::body::Body;
use axum::response::IntoResponse;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use jaego_api::problem::ProblemKind;
use serde::Serialize;

/// One problem, answered as `application/problem+json`.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Its code, title and status. There are no others than those that the wire's crate has and its documents tell.
    pub kind: &'static ProblemKind,
    /// What happened this time, and what to try.
    pub detail: Cow<'static, str>,
    /// When to come again, sent as `Retry-After` in whole seconds, rounded up.
    pub retry_after: Option<Duration>,
}

/// The code of the problem that an answer is, for the audit log.
#[derive(Clone, Debug)]
pub(crate) struct ProblemCode(pub(crate) Cow<'static, str>);

/// How many commands of an answered batch were refused, for the audit log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RefusedCommands(pub(crate) u64);

#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    code: &'a str,
    detail: &'a str,
}

impl Problem {
    /// A problem without `Retry-After`.
    pub fn new(kind: &'static ProblemKind, detail: impl Into<Cow<'static, str>>) -> Problem {
        Problem { kind, detail: detail.into(), retry_after: None }
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.kind.status).expect("each kind of problem has a status")
    }

    /// The same, asking the caller to come again after `wait`.
    pub fn retry_after(mut self, wait: Duration) -> Problem {
        self.retry_after = Some(wait);
        self
    }

    /// 503 `busy`: the server has as much to do as it allows itself.
    pub fn busy(retry_after: Duration) -> Problem {
        Problem::new(
            const { ProblemKind::of("busy") },
            "The server has as many requests in hand as it takes on. Nothing was changed; try again shortly.",
        )
        .retry_after(retry_after)
    }
}

impl Problem {
    /// The document.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        let document = Document {
            r#type: format!("/problems/{}", self.kind.code),
            title: self.kind.title,
            status: self.kind.status,
            code: self.kind.code,
            detail: &self.detail,
        };
        serde_json::to_vec(&document).expect("a document of strings and a number is always JSON")
    }
}

/// The header with the sequence that an answer saw.
pub(crate) const SEQUENCE: HeaderName = HeaderName::from_static(jaego_api::body::SEQUENCE_HEADER);

/// A problem of the wire's crate as an answer.
pub(crate) fn refuse(problem: &jaego_api::Problem) -> Response<Body> {
    let sequence = problem.facts.get("sequence").and_then(|sequence| sequence.as_u64());
    let mut response = problem.to_json().into_response();
    *response.status_mut() =
        StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.extensions_mut().insert(ProblemCode(problem.code.to_string().into()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(jaego_api::problem::PROBLEM_TYPE));
    if let Some(sequence) = sequence {
        headers.insert(SEQUENCE, HeaderValue::from(sequence));
    }
    if let Some(seconds) = problem.retry_after_s {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Whole seconds for `Retry-After`, rounded up, so that nobody comes back too early.
pub(crate) fn whole_seconds(wait: Duration) -> u64 {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    seconds.max(1)
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.to_json()));
        *response.status_mut() = self.status();
        response.extensions_mut().insert(ProblemCode(Cow::Borrowed(self.kind.code)));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(wait) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
        }
        if self.status() == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"jaego\""));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_rounded_up_to_whole_seconds() {
        for (millis, seconds) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (2500, 3)] {
            assert_eq!(whole_seconds(Duration::from_millis(millis)), seconds, "{millis} ms");
        }
    }
}
