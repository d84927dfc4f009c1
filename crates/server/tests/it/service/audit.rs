//! What the audit log has of what was asked through HTTP.

use http::Method;
use jaego_server::{
    Audit, Metrics, Role,
    audit::{Entry, Kind, TEXT_BYTES_MAX, lines},
    shell::AUDITED_READS,
};
use serde_json::json;

use super::support::{Service, hold, reference};

#[tokio::test(flavor = "multi_thread")]
async fn every_audited_read_is_a_route() {
    let service = Service::over(reference().0).await;
    for path in AUDITED_READS {
        let is_row = service.rows.iter().any(|row| row.method == Method::GET && row.path == path);
        assert!(is_row, "{path} is no route");
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_denied_refused_and_read_is_written_down() {
    let folder = tempfile::tempdir().unwrap();
    let audit = Audit::open(folder.path(), &Metrics::new()).unwrap();
    let service = Service::over_with(reference().0, |shell| shell.audit(audit.clone())).await;
    let admin = service.caller(Role::Admin);
    admin.stock(10).await;
    let reader = service.caller(Role::Reader);
    let secret = [("Idempotency-Key", "K-0"), ("X-Secret", "swordfish")];

    // Nobody: the route, and nothing that they sent.
    assert_eq!(service.ask("GET", "/v1/wallets/swordfish?swordfish", &secret, b"").await.status, 401);
    assert_eq!(service.ask("GET", "/v1/swordfish", &secret, b"").await.status, 401);
    let method = "M".repeat(6_000);
    assert_eq!(service.ask(&method, "/v1/sites", &[], b"").await.status, 401);
    // Somebody: the path, and never the query.
    assert_eq!(reader.send("PUT", "/v1/sites/ICN?swordfish", &[], "{}").await.status, 403);
    let key = [("Idempotency-Key", "K-17")];
    let unknown = json!({"id": "H9", "lines": [{"site": "ICN", "sku": "swordless", "quantity": 1}]});
    let refused = admin.send("POST", "/v1/holds", &key, unknown.to_string()).await;
    assert_eq!(refused.status / 100, 4, "{refused:?}");
    let mut commands = [hold("H1", 4), hold("H2", 70), hold("H3", 80)];
    commands.iter_mut().for_each(|command| command["op"] = "hold".into());
    assert_eq!(admin.post("/v1/batch", &json!({"commands": commands})).await.0, 200);
    assert_eq!(reader.get("/v1/wallets?swordfish=1").await.0, 400);
    assert_eq!(reader.get("/v1/wallets").await.0, 200);
    // These are no news.
    assert_eq!(reader.get("/v1/sites").await.0, 200);
    assert_eq!(reader.get("/v1/holds/swordless").await.0, 404);
    service.stop().await;
    audit.close();

    let entries: Vec<Entry> = lines(folder.path()).unwrap().map(|line| line.unwrap().0.entry).collect();
    let told: Vec<_> = entries
        .iter()
        .map(|entry| (entry.kind, entry.by.as_deref(), entry.what.as_str(), entry.status, entry.count))
        .filter(|told| !matches!(told.0, Kind::Opened | Kind::Started | Kind::Stopped))
        .collect();
    assert_eq!(
        told,
        [
            (Kind::Denied, None, "GET /v1/wallets/{owner}", Some(401), 0),
            (Kind::Denied, None, "GET unmatched", Some(401), 0),
            (Kind::Denied, None, &method[..TEXT_BYTES_MAX], Some(401), 0),
            (Kind::Denied, Some("reader"), "PUT /v1/sites/ICN", Some(403), 0),
            (Kind::Refused, Some("admin"), "POST /v1/holds", Some(refused.status), 0),
            (Kind::Refused, Some("admin"), "POST /v1/batch", Some(200), 2),
            (Kind::Read, Some("reader"), "GET /v1/wallets", Some(200), 0),
        ]
    );
    let of_hold = entries.iter().find(|entry| entry.what == "POST /v1/holds").unwrap();
    assert_eq!(of_hold.key.as_deref(), Some("K-17"));
    assert_eq!(of_hold.code.as_deref(), Some(refused.code().as_str()));
    assert_eq!(of_hold.request_id.as_deref(), refused.header("x-request-id"));
    assert!(entries.iter().filter(|entry| entry.by.is_none()).all(|entry| entry.key.is_none()));
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("swordfish"), "a secret stands in the log");
    }
}
