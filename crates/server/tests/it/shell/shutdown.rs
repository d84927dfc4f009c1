//! Stopping in order.

use std::time::{Duration, Instant};

use jaego_server::{Drained, Limits, Role};
use tokio::net::TcpStream;

use crate::shell::support::{Server, quick};

#[tokio::test(flavor = "multi_thread")]
async fn a_running_request_is_finished_and_no_new_one_taken() {
    let mut server = Server::start(quick()).await;
    let address = server.address;
    let mut client = server.connect().await;
    client.send("GET /sleep/800 HTTP/1.1\r\nHost: t\r\n\r\n").await;
    server.metric_becomes("jaego_http_requests_in_flight", 1.0).await;
    server.begin_stop();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(TcpStream::connect(address).await.is_err(), "a stopping server takes no connection");
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.text()), (200, "slept"));
    client.rest_until_closed().await;
    assert_eq!(server.stopped().await, Drained { finished: 1, cut: 0 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_does_not_end_is_cut_at_the_named_time() {
    let mut server = Server::start(Limits { drain_timeout: Duration::from_millis(500), ..quick() }).await;
    let mut client = server.connect().await;
    client.send("GET /sleep/20000 HTTP/1.1\r\nHost: t\r\n\r\n").await;
    server.metric_becomes("jaego_http_requests_in_flight", 1.0).await;
    let metrics = server.metrics.clone();
    let began = Instant::now();
    server.begin_stop();
    assert_eq!(server.stopped().await, Drained { finished: 0, cut: 1 });
    assert!(began.elapsed() >= Duration::from_millis(500) && began.elapsed() < Duration::from_secs(2));
    assert!(client.rest_until_closed().await.is_empty());
    assert!(metrics.render().contains("\njaego_http_requests_abandoned_total 1\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_and_half_open_connections_do_not_hold_up_a_stop() {
    let mut server = Server::start(quick()).await;
    let token = format!("Bearer {}", server.token(Role::Reader));
    let mut clients = Vec::new();
    for number in 0..20 {
        let mut client = server.connect().await;
        match number % 3 {
            0 => assert_eq!(
                client.request("GET", "/read", &[("Authorization", &token)], b"").await.status,
                200
            ),
            1 => client.send("GET /open HTTP/1.1\r\nX: ").await,
            _ => {}
        }
        clients.push(client);
    }
    server.metric_becomes("jaego_http_connections", 20.0).await;
    let began = Instant::now();
    server.begin_stop();
    assert_eq!(server.stopped().await, Drained { finished: 20, cut: 0 });
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}
