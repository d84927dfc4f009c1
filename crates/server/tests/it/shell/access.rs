//! Who may do what, what is logged of it, and what is counted.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jaego_server::tokens::{TokenGrant, TokenId};
use jaego_server::{Access, Limits, Metrics, Role, Shell, Tokens, logs};

use crate::shell::support::{Server, quick, table};

#[tokio::test(flavor = "multi_thread")]
async fn every_route_asks_every_role() {
    // Every refusal below comes from one address.
    let server = Server::start(Limits { auth_failures_max: 1000, ..quick() }).await;
    let folder = tempfile::tempdir().unwrap();
    let tokens = Arc::new(Tokens::open(folder.path().join("tokens.json")).unwrap());
    let shell = Shell::new(quick(), tokens, Metrics::new()).router(table(), axum::Router::new());
    assert_eq!(
        shell.routes().rows().len(),
        table().rows().len() + 3,
        "the shell adds three routes of its own"
    );

    let unknown = format!("jaego_{}_{}", "0".repeat(16), "0".repeat(64));
    let mut callers = vec![(None, None), (None, Some("nonsense".to_owned())), (None, Some(unknown))];
    callers.extend(Role::ALL.map(|role| (Some(role), Some(server.token(role)))));
    for row in shell.routes().rows() {
        let path = row.path.replace("{millis}", "1").replace("{name}", "n").replace("{id}", "i");
        for (role, token) in &callers {
            let expected = match (row.access, role) {
                (Access::Public, _) => None,
                (Access::AtLeast(_), None) => Some(401),
                (Access::AtLeast(least), Some(role)) if *role < least => Some(403),
                (Access::AtLeast(_), Some(_)) => None,
            };
            let value = token.as_ref().map(|token| format!("Bearer {token}"));
            let headers: Vec<(&str, &str)> =
                value.iter().map(|value| ("Authorization", value.as_str())).collect();
            let answer = server.connect().await.request(row.method.as_str(), &path, &headers, b"").await;
            let refused = matches!(answer.status, 401 | 403).then_some(answer.status);
            assert_eq!(refused, expected, "{} {} as {role:?}", row.method, row.path);
            match answer.status {
                401 => {
                    assert_eq!(answer.code(), "unauthorized");
                    assert!(
                        answer.header("www-authenticate").is_some_and(|value| value.starts_with("Bearer"))
                    );
                }
                403 => assert_eq!(answer.code(), "forbidden"),
                _ => assert!(row.path == "/panic" || answer.status == 200, "{} {answer:?}", row.path),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_it_starts_whoever_may_come_in_is_told_so_and_nobody_else() {
    let is_open = Arc::new(AtomicBool::new(false));
    let open = Arc::clone(&is_open);
    let starting = move || (!open.load(Ordering::SeqCst)).then(|| "replaying: 7 events so far".to_owned());
    let server = Server::launch(quick(), |shell| shell.starting_while(starting)).await;
    let token = format!("Bearer {}", server.token(Role::Worker));
    let worker = [("Authorization", token.as_str())];
    let nobody: [(&str, &str); 0] = [];
    // The route, with a token or without, and what is answered before and afterwards.
    for (method, path, headers, before, after) in [
        ("GET", "/healthz", &nobody[..], (200, None), 200),
        ("GET", "/readyz", &nobody[..], (503, Some("not_ready")), 200),
        ("GET", "/metrics", &worker[..], (200, None), 200),
        ("GET", "/metrics", &nobody[..], (401, Some("unauthorized")), 401),
        ("GET", "/open", &nobody[..], (503, Some("starting")), 200),
        ("GET", "/read", &worker[..], (503, Some("starting")), 200),
        ("GET", "/read", &nobody[..], (401, Some("unauthorized")), 401),
        ("POST", "/operate", &worker[..], (403, Some("forbidden")), 403),
        ("GET", "/nowhere", &worker[..], (404, Some("route_not_found")), 404),
    ] {
        for is_started in [false, true] {
            is_open.store(is_started, Ordering::SeqCst);
            let answer = server.connect().await.request(method, path, headers, b"").await;
            let (status, code) = if is_started { (after, None) } else { before };
            assert_eq!(answer.status, status, "{method} {path}, started: {is_started}");
            let Some(code) = code else { continue };
            assert_eq!(answer.code(), code, "{method} {path}");
            if status == 503 {
                assert_eq!(answer.header("retry-after"), Some("1"), "{method} {path}");
                assert!(answer.text().contains("replaying: 7 events so far"), "{}", answer.text());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_without_a_row_is_closed_even_to_the_admin() {
    let server = Server::start(quick()).await;
    let token = format!("Bearer {}", server.token(Role::Admin));
    let admin = [("Authorization", token.as_str())];
    for (method, path, status, code) in [
        ("GET", "/forgotten", 404, "route_not_found"),
        ("GET", "/items/all", 403, "route_without_role"),
        ("GET", "/nowhere", 404, "route_not_found"),
        ("DELETE", "/open", 405, "method_not_allowed"),
        ("POST", "/metrics", 405, "method_not_allowed"),
    ] {
        let answer = server.connect().await.request(method, path, &admin, b"").await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{method} {path}");
        if status == 405 {
            assert_eq!(answer.header("allow"), Some("GET, HEAD"));
        }
        let stranger = server.connect().await.request(method, path, &[], b"").await;
        if path != "/open" {
            assert_eq!(stranger.status, 401, "a stranger learns nothing of {path}");
        }
    }
    let answer = server.connect().await.request("GET", "/items/i1", &admin, b"").await;
    assert_eq!((answer.status, answer.text()), (200, "item"));
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_come_and_go_without_a_restart() {
    let server = Server::start(quick()).await;
    let tool = Tokens::open(server.tokens.path()).unwrap();
    let grant = TokenGrant { name: "new".to_owned(), role: Role::Reader, sites: None, rate: None };
    let (id, token) = tool.create(grant).unwrap();
    let value = format!("Bearer {}", token.reveal());
    let status_becomes = async |status| {
        for _ in 0..100 {
            let answer =
                server.connect().await.request("GET", "/read", &[("Authorization", &value)], b"").await;
            if answer.status == status {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the status never becomes {status}");
    };
    status_becomes(200).await;
    tool.revoke(id).unwrap();
    status_becomes(401).await;
    assert!(tool.revoke(TokenId::parse("0123456789abcdef").unwrap()).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_failures_are_held_back_but_not_the_neighbours() {
    let server = Server::start(Limits { auth_failures_max: 5, ..quick() }).await;
    let token = format!("Bearer {}", server.token(Role::Reader));
    let mut client = server.connect().await;
    let mut statuses = Vec::new();
    for _ in 0..7 {
        statuses.push(client.request("GET", "/read", &[("Authorization", "Bearer wrong")], b"").await);
    }
    let codes: Vec<u16> = statuses.iter().map(|answer| answer.status).collect();
    assert_eq!(codes, [401, 401, 401, 401, 401, 429, 429]);
    assert_eq!(statuses[5].code(), "too_many_failures");
    let wait: u64 = statuses[5].header("retry-after").unwrap().parse().unwrap();
    assert!((1..=2).contains(&wait), "{wait}");
    assert_eq!(client.request("GET", "/read", &[("Authorization", &token)], b"").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_answer_carries_a_request_id() {
    let server = Server::start(quick()).await;
    let mut client = server.connect().await;
    let own = client.request("GET", "/open", &[("X-Request-Id", "order-7:1")], b"").await;
    assert_eq!(own.header("x-request-id"), Some("order-7:1"));
    let bad = client.request("GET", "/open", &[("X-Request-Id", "two words")], b"").await;
    let none = client.request("GET", "/nowhere", &[], b"").await;
    let (bad, none) = (bad.header("x-request-id").unwrap(), none.header("x-request-id").unwrap());
    assert_ne!(bad, "two words");
    assert_ne!(bad, none);
}

/// A place for log lines.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_tell_of_each_request_and_keep_its_secrets() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = logs::subscriber(logs::Format::Json, "trace", move || writer.clone()).unwrap();
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let server = Server::start(quick()).await;
    let token = server.token(Role::Worker);
    let secret = token.rsplit_once('_').unwrap().1.to_owned();
    let wrong = format!("jaego_0123456789abcdef_{}", "5ec7e75ec7e75ec7".repeat(4));
    let planted = "planted-in-query-and-body";
    let mut client = server.connect().await;
    for value in [format!("Bearer {token}"), format!("Bearer {wrong}"), format!("bearer  {token}")] {
        let path = format!("/work?token={planted}");
        let headers = [("Authorization", value.as_str()), ("X-Request-Id", "tell-me"), ("Cookie", planted)];
        client.request("POST", &path, &headers, planted.as_bytes()).await;
        client.request("POST", &format!("/nowhere/{planted}"), &headers, b"").await;
    }
    crate::shell::http2::authorized_request(&server, &token).await;
    client.request("GET", "/panic", &[], b"").await;
    drop(client);
    server.metric_becomes("jaego_http_connections", 0.0).await;

    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    for hidden in [secret.as_str(), wrong.rsplit_once('_').unwrap().1, planted] {
        assert!(!text.contains(hidden), "the log holds {hidden}");
    }
    let parsed: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let found = parsed.iter().any(|line| {
        line["target"] == logs::ACCESS
            && line["method"] == "POST"
            && line["route"] == "/work"
            && line["status"] == 200
            && line["caller"] == "the-worker"
            && line["request_id"] == "tell-me"
            && line["micros"].is_u64()
    });
    assert!(found, "{text}");
    assert!(parsed.iter().any(|line| line["route"] == "/panic" && line["level"] == "INFO"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_can_be_read_by_prometheus() {
    let server = Server::start(quick()).await;
    for _ in 0..3 {
        assert_eq!(server.get("/open").await.status, 200);
    }
    let token = format!("Bearer {}", server.token(Role::Reader));
    let answer = server.connect().await.request("GET", "/metrics", &[("Authorization", &token)], b"").await;
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let mut types = std::collections::HashMap::new();
    let mut samples = 0;
    for line in answer.text().lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(types.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} is declared twice");
            continue;
        }
        if line.starts_with("# HELP ") {
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        value.parse::<f64>().unwrap();
        let name = series.split('{').next().unwrap();
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        let known = types.contains_key(name)
            || family.is_some_and(|family| types.get(family).is_some_and(|kind| kind == "histogram"));
        assert!(known, "{line} belongs to no declared family");
        samples += 1;
    }
    assert!(samples > 50, "{samples}");
    let series = "jaego_http_requests_total{method=\"GET\",route=\"/open\",status=\"2xx\"}";
    assert_eq!(server.metric(series), 3.0);
    let series = "jaego_http_request_duration_seconds_count{method=\"GET\",route=\"/open\"}";
    assert_eq!(server.metric(series), 3.0);
}
