//! What bad input gets beside the body: paths, queries and headers, and every parameter in the path of every command.

use jaego_api::COMMANDS;
use jaego_server::Role;

use super::{
    bad_input::{Before, TOO_LONG, told, world},
    support::{route, sample},
};

/// What an empty part of a path gets: with the last one the route is another.
pub(super) fn empty_part<'a>(
    path: &str,
    place: usize,
    name: &'a str,
) -> (u16, &'static str, Option<&'a str>) {
    match place + 1 == path.split('/').count() {
        true => (404, "route_not_found", None),
        false => (422, "invalid_value", Some(name)),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_queries_and_headers_are_read_as_strictly_as_bodies() {
    let (store, service) = world().await;
    let caller = service.caller(Role::Admin);
    let before = Before::of(&store);
    let long = "x".repeat(65);
    let far = format!("/v1/stock?sku={}", "x".repeat(5_000));
    for (method, path, headers, status, code, field) in [
        ("GET", "/v1/holds/a%20b".to_owned(), vec![], 422, "invalid_value", Some("hold")),
        ("GET", "/v1/holds/a%2Fb".to_owned(), vec![], 422, "invalid_value", Some("hold")),
        ("GET", "/v1/holds/a%00".to_owned(), vec![], 422, "invalid_value", Some("hold")),
        ("GET", "/v1/holds/%EC%9E%AC".to_owned(), vec![], 422, "invalid_value", Some("hold")),
        ("GET", "/v1/holds/%FF".to_owned(), vec![], 400, "malformed", None),
        ("GET", format!("/v1/holds/{long}"), vec![], 422, "invalid_value", Some("hold")),
        ("POST", format!("/v1/holds/{long}/release"), vec![], 422, "invalid_value", Some("hold")),
        ("POST", "/v1/holds/%FF/release".to_owned(), vec![], 400, "malformed", None),
        ("POST", "/v1/movements/1/reverse".to_owned(), vec![], 422, "invalid_value", Some("movement")),
        ("GET", "/v1/holds//".to_owned(), vec![], 404, "route_not_found", None),
        ("GET", "/v1/stock?sku=a%20b".to_owned(), vec![], 422, "invalid_value", Some("sku")),
        ("GET", "/v1/stock?limit=0".to_owned(), vec![], 422, "invalid_value", Some("limit")),
        ("GET", "/v1/stock?limit=-1".to_owned(), vec![], 422, "invalid_value", Some("limit")),
        ("GET", "/v1/stock?limit=1e3".to_owned(), vec![], 422, "invalid_value", Some("limit")),
        (
            "GET",
            "/v1/stock?limit=99999999999999999999".to_owned(),
            vec![],
            422,
            "invalid_value",
            Some("limit"),
        ),
        ("GET", "/v1/stock?after=nonsense".to_owned(), vec![], 422, "invalid_value", Some("after")),
        ("GET", "/v1/stock?nobody=1".to_owned(), vec![], 400, "malformed", Some("nobody")),
        ("GET", "/v1/stock?sku=a&sku=b".to_owned(), vec![], 400, "malformed", Some("sku")),
        ("GET", far, vec![], 413, "too_large", None),
        ("GET", "/v1/movements?since=yesterday".to_owned(), vec![], 422, "invalid_value", Some("since")),
        ("GET", "/v1/movements?lot=L1".to_owned(), vec![], 422, "invalid_value", Some("lot")),
        ("GET", "/v1/stock?as_of=yesterday".to_owned(), vec![], 422, "invalid_value", Some("as_of")),
        (
            "GET",
            "/v1/stock?as_of=2999-01-01T00:00:00Z".to_owned(),
            vec![],
            422,
            "invalid_value",
            Some("as_of"),
        ),
        (
            "GET",
            "/v1/stock?as_of=2026-03-01T00:00:00Z&after=p1".to_owned(),
            vec![],
            422,
            "invalid_value",
            Some("after"),
        ),
        (
            "GET",
            "/v1/stock?as_of=2026-03-01T00:00:00Z&location=A-01".to_owned(),
            vec![],
            422,
            "invalid_value",
            Some("location"),
        ),
        ("GET", "/v1/skus/ghost/history".to_owned(), vec![], 404, "sku_not_found", None),
        ("GET", "/v1/skus/mug/history?since=then".to_owned(), vec![], 422, "invalid_value", Some("since")),
        ("GET", "/v1/skus/mug/history?after=1.0".to_owned(), vec![], 422, "invalid_value", Some("after")),
        ("GET", "/v1/skus/mug/history?limit=0".to_owned(), vec![], 422, "invalid_value", Some("limit")),
        ("GET", "/v1/movements?after=7".to_owned(), vec![], 422, "invalid_value", Some("after")),
        ("GET", "/v1/transfers?status=lost".to_owned(), vec![], 422, "invalid_value", Some("status")),
        ("GET", "/v1/transfers?until=then".to_owned(), vec![], 422, "invalid_value", Some("until")),
        ("GET", "/v1/orders?since=then".to_owned(), vec![], 422, "invalid_value", Some("since")),
        ("GET", "/v1/events?after=p1".to_owned(), vec![], 422, "invalid_value", Some("after")),
        (
            "GET",
            "/v1/events".to_owned(),
            vec![("accept", "text/event-stream"), ("last-event-id", "x")],
            422,
            "invalid_value",
            Some("last-event-id"),
        ),
        (
            "POST",
            "/v1/holds/H1/release".to_owned(),
            vec![("idempotency-key", "")],
            422,
            "invalid_value",
            Some("idempotency-key"),
        ),
        (
            "POST",
            "/v1/holds/H1/release".to_owned(),
            vec![("idempotency-key", long.as_str())],
            422,
            "invalid_value",
            Some("idempotency-key"),
        ),
        (
            "POST",
            "/v1/holds/H1/release".to_owned(),
            vec![("idempotency-key", "a b")],
            422,
            "invalid_value",
            Some("idempotency-key"),
        ),
        (
            "POST",
            "/v1/holds/H1/release".to_owned(),
            vec![("idempotency-key", "재")],
            422,
            "invalid_value",
            Some("idempotency-key"),
        ),
        (
            "POST",
            "/v1/holds/H1/release".to_owned(),
            vec![("jaego-fenced", "product:42")],
            422,
            "invalid_value",
            Some("fenced"),
        ),
        (
            "POST",
            "/v1/holds/H1/release".to_owned(),
            vec![("jaego-fenced", "product:42=0")],
            422,
            "invalid_value",
            Some("fence"),
        ),
        (
            "POST",
            "/v1/holds/H1/release".to_owned(),
            vec![("jaego-fenced", "재=1")],
            422,
            "invalid_value",
            Some("jaego-fenced"),
        ),
        (
            "POST",
            "/v1/holds/H1/release".to_owned(),
            vec![("jaego-fenced", "product:42=7"), ("jaego-fenced", "product:17=7")],
            422,
            "invalid_value",
            Some("jaego-fenced"),
        ),
        // Nobody believes that it was looked at who sent it where it is not.
        (
            "POST",
            "/v1/batch".to_owned(),
            vec![("jaego-fenced", "product:42=7")],
            422,
            "invalid_value",
            Some("jaego-fenced"),
        ),
        (
            "POST",
            "/v1/batch".to_owned(),
            vec![("idempotency-key", "retry-1")],
            422,
            "invalid_value",
            Some("idempotency-key"),
        ),
        (
            "POST",
            "/v1/batch".to_owned(),
            vec![("content-type", "application/x-ndjson"), ("idempotency-key", "a b")],
            422,
            "invalid_value",
            Some("idempotency-key"),
        ),
        ("POST", "/v1/batch?atomic=true".to_owned(), vec![], 400, "malformed", None),
        (
            "POST",
            "/v1/batch?atomic=maybe".to_owned(),
            vec![("content-type", "application/x-ndjson")],
            400,
            "malformed",
            None,
        ),
    ] {
        let answer = caller.send(method, &path, &headers, "").await;
        let shown = &path[..path.len().min(100)];
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json"),
            "{method} {shown}: {answer:?}"
        );
        let (got, problem, at) = told(&answer);
        assert_eq!(
            (got, problem.as_str(), at.as_deref()),
            (status, code, field),
            "{method} {shown} {headers:?}: {}",
            answer.text()
        );
    }
    before.is_unchanged(&store);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_parameter_in_the_path_of_any_command_may_be_anything() {
    let (store, service) = world().await;
    let caller = service.caller(Role::Admin);
    let before = Before::of(&store);
    let mut rows = 0;
    for row in COMMANDS {
        let (method, path, body) = route(row.op, &sample(row.op));
        for (place, part) in row.path.split('/').enumerate() {
            let Some(name) = part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) else { continue };
            for (wrong, expected) in [
                ("a%20b", (422, "invalid_value", Some(name))),
                ("a%2Fb", (422, "invalid_value", Some(name))),
                ("a%00", (422, "invalid_value", Some(name))),
                (".", (422, "invalid_value", Some(name))),
                ("%2E%2E", (422, "invalid_value", Some(name))),
                ("%EC%9E%AC", (422, "invalid_value", Some(name))),
                ("%FF", (400, "malformed", None)),
                (TOO_LONG, (422, "invalid_value", Some(name))),
                ("", empty_part(&path, place, name)),
            ] {
                let mut parts: Vec<_> = path.split('/').collect();
                parts[place] = wrong;
                let path = parts.join("/");
                let answer = caller.send(method, &path, &[], &body.to_string()).await;
                let (status, code, field) = told(&answer);
                let got = (status, code.as_str(), field.as_deref());
                assert_eq!(got, expected, "{method} {path}: {}", answer.text());
                rows += 1;
            }
        }
    }
    assert!(rows > 200, "{rows}");
    before.is_unchanged(&store);
}
