//! Stock as it was and balances over time, page by page, and a past that cannot be read.

use std::sync::atomic::Ordering;

use jaego_domain::Timestamp;
use jaego_engine::{
    Clock, Config, Engine, SystemClock,
    disk::Disk,
    journal::{self, Preparation},
    open,
    sim_disk::SimDisk,
};
use jaego_server::Role;
use jaego_store::conformance::START;
use serde_json::{Value, json};

use super::support::{Caller, Service, reference};

/// The items of all pages, one item a page.
async fn pages(caller: &Caller<'_>, url: &str) -> Vec<Value> {
    let mut items = Vec::new();
    let mut after = String::new();
    for _ in 0..100 {
        let (status, page) = caller.get(&format!("{url}&limit=1{after}")).await;
        assert_eq!(status, 200, "{url}{after}: {page}");
        items.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return items,
        }
    }
    panic!("{url} has no end");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_past_is_read_page_by_page() {
    let (store, clock) = reference();
    let service = Service::over(store).await;
    let caller = service.caller(Role::Admin);
    caller.stock(10).await;
    caller.world().await;
    for number in 1..=4 {
        clock.fetch_add(1_000, Ordering::SeqCst);
        let line = |location| json!({"site": "ICN", "location": location, "sku": "mug", "change": number});
        let body =
            json!({"id": format!("J{number}"), "reason": "delivery", "lines": [line("A-01"), line("A-02")]});
        let (status, answer) = caller.post("/v1/adjustments", &body).await;
        assert_eq!(status, 200, "{answer}");
    }
    let at = |s: u64| jaego_api::Time(START.0 + s * 1_000).to_string();
    let stock = pages(&caller, &format!("/v1/stock?sku=mug&as_of={}", at(2))).await;
    let lot = Value::Null;
    assert_eq!(
        stock,
        [
            json!({"site": "ICN", "location": "A-01", "sku": "mug", "lot": lot, "on_hand": 13}),
            json!({"site": "ICN", "location": "A-02", "sku": "mug", "lot": lot, "on_hand": 3}),
        ]
    );
    let points = pages(&caller, &format!("/v1/skus/mug/history?site=ICN&since={}", at(1))).await;
    let told: Vec<_> =
        points.iter().map(|point| (point["change"].clone(), point["on_hand"].clone())).collect();
    assert_eq!(
        told,
        [(2, 12), (4, 16), (6, 22), (8, 30)].map(|(change, on_hand)| (json!(change), json!(on_hand)))
    );
    assert_eq!(
        points[0],
        json!({"at": at(1), "sequence": points[0]["sequence"], "change": 2, "on_hand": 12, "by": caller_name(&points[0]),
            "reason": "delivery", "document": {"kind": "adjustment", "id": "J1"}})
    );
}

/// The name of the token that wrote a point: whoever it is, it is not empty.
fn caller_name(point: &Value) -> &str {
    point["by"].as_str().filter(|by| !by.is_empty()).expect("somebody asked for it")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_past_that_cannot_be_read_is_told_and_the_service_goes_on() {
    let disk = SimDisk::new(1);
    let journal = journal::Config { segment_len: 1 << 20, preparation: Preparation::Inline };
    let limits =
        jaego_engine::Limits { frame_bytes: 64 << 10, atomic_bytes: 128 << 10, ..Default::default() };
    let config = Config { journal, limits, ..Config::default() };
    let start = || Engine::start(open(disk.clone(), journal, |_| {}).unwrap(), config, SystemClock);
    let engine = start();
    let service = Service::over(engine.clone()).await;
    service.caller(Role::Admin).stock(10).await;
    service.stop().await;
    engine.close().unwrap();
    drop(engine);

    let engine = start();
    let service = Service::over(engine.clone()).await;
    let caller = service.caller(Role::Admin);
    let name = disk.list().unwrap().into_iter().find(|name| name.ends_with(".journal")).unwrap();
    let mut bytes = disk.contents(&name).unwrap();
    // In the first frame's payload, behind the headers of the segment and of the frame.
    bytes[512 + 64 + 20] ^= 1;
    disk.replace(&name, &bytes);
    let now = jaego_api::Time::from(Timestamp(SystemClock.read().wall_us / 1_000)).to_string();
    for url in [
        "/v1/movements".to_owned(),
        "/v1/events".to_owned(),
        format!("/v1/stock?sku=mug&as_of={now}"),
        "/v1/skus/mug/history".to_owned(),
    ] {
        let (status, answer) = caller.get(&url).await;
        assert_eq!((status, answer["code"].as_str()), (500, Some("history_unreadable")), "{url}: {answer}");
        assert!(answer["detail"].as_str().unwrap().contains(&name), "{answer}");
    }
    let (status, stock) = caller.get("/v1/stock?sku=mug").await;
    assert_eq!((status, &stock["items"][0]["on_hand"]), (200, &json!(10)));
    let (status, held) = caller.post("/v1/holds", &super::support::hold("H1", 2)).await;
    assert_eq!(status, 200, "{held}");
    assert_eq!(caller.get("/readyz").await.0, 200);
    service.stop().await;
    engine.close().unwrap();
}
