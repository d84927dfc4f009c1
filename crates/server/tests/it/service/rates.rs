//! Tokens that are good for so many commands a second. The exact counts are in the limiter's own tests, whose clock stands
//! still; here a second passes when it likes.

use std::time::Instant;

use jaego_server::{
    Audit, Metrics, Role,
    audit::{Kind, lines},
};
use serde_json::{Value, json};

use super::support::{Caller, Service, hold, of, reference};

fn batch(first: usize, commands: usize) -> Value {
    let holds = (first..first + commands).map(|number| {
        let mut command = hold(&format!("H{number}"), 1);
        command["op"] = "hold".into();
        command
    });
    json!({"commands": holds.collect::<Vec<_>>()})
}

/// The refusal's numbers, and what `Retry-After` says.
async fn refused(caller: &Caller<'_>, method: &str, path: &str, body: &str) -> (Value, u64) {
    let answer = caller.send(method, path, &[], body).await;
    let (status, problem) = of(&answer);
    assert_eq!((status, answer.code().as_str()), (429, "rate_limited"), "{problem}");
    let wait = answer.header("retry-after").unwrap().parse().unwrap();
    (json!([problem["cost"], problem["per_s"], problem["burst"]]), wait)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_does_as_much_as_it_is_good_for() {
    let folder = tempfile::tempdir().unwrap();
    let audit = Audit::open(folder.path(), &Metrics::new()).unwrap();
    let service = Service::over_with(reference().0, |shell| shell.audit(audit.clone())).await;
    let admin = service.caller(Role::Admin);
    admin.stock(10_000).await;

    // Reads one by one. What time passed gave some of them back.
    let one_by_one = service.limited_caller(1, 5);
    let began = Instant::now();
    let mut done = 0;
    while of(&one_by_one.send("GET", "/v1/status", &[], "").await).0 == 200 {
        done += 1;
    }
    let most = 5 + began.elapsed().as_secs() + 1;
    assert!((5..=most).contains(&done), "{done} in {:?}", began.elapsed());
    // Before the body is parsed, the role or the route is looked at. No stall pays so large a debt.
    let in_debt = service.limited_caller(1, 5);
    assert_eq!(in_debt.post("/v1/batch", &batch(2_000, 100)).await.0, 200);
    for (method, path, body) in
        [("POST", "/v1/holds", "nonsense"), ("PUT", "/v1/sites/X", "{}"), ("GET", "/nowhere", "")]
    {
        let (facts, wait) = refused(&in_debt, method, path, body).await;
        assert_eq!(facts, json!([1, 1, 5]), "{method} {path}");
        assert!((60..=96).contains(&wait), "{method} {path}: {wait}");
    }

    // A batch costs its commands, refused ones too, and nothing of it is done when they are too many.
    let batches = service.limited_caller(1, 1_000);
    assert_eq!(batches.post("/v1/batch", &batch(0, 600)).await.0, 200);
    let before = service.sequence(&admin).await;
    let (facts, wait) = refused(&batches, "POST", "/v1/batch", &batch(600, 500).to_string()).await;
    assert_eq!(facts, json!([500, 1, 1_000]));
    assert!((60..=102).contains(&wait), "{wait}");
    assert_eq!(service.sequence(&admin).await, before);
    assert_eq!(batches.post("/v1/batch", &batch(600, 300)).await.0, 200);

    // One of more commands than that is done when nothing else was, and paid for afterwards.
    let large = service.limited_caller(1, 10);
    assert_eq!(large.post("/v1/batch", &batch(1_000, 100)).await.0, 200);
    let (_, wait) = refused(&large, "GET", "/v1/status", "").await;
    assert!((60..=91).contains(&wait), "{wait}");

    // Others go on.
    for _ in 0..50 {
        assert_eq!(admin.get("/v1/status").await.0, 200);
    }
    assert!(service.metrics.render().lines().any(|line| line == "jaego_rate_limited_total 6"));
    service.stop().await;
    audit.close();
    let mut written = lines(folder.path()).unwrap().map(|line| line.unwrap().0.entry.kind);
    assert!(written.all(|kind| kind != Kind::Denied), "what is over a rate is counted, and no line");
}
