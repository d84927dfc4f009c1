//! The client against a service that answers from a script, one connection an answer.

use std::time::{Duration, Instant};

use jaego_api::hold::{ExtendHold, HoldLine, PlaceHold};
use jaego_client::{
    Client, Error,
    limits::{PAUSE_MAX, TRIES_MAX},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};

/// Answers one request after the other with these, and gives back the requests. An empty answer hangs up.
async fn serve(answers: Vec<String>) -> (Client, JoinHandle<Vec<String>>) {
    let (client, served) = serve_timed(answers).await;
    (client, tokio::spawn(async { served.await.unwrap().into_iter().map(|(request, _)| request).collect() }))
}

/// The same, with when each request was there.
async fn serve_timed(answers: Vec<String>) -> (Client, JoinHandle<Vec<(String, Instant)>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let served = tokio::spawn(async move {
        let mut requests = Vec::new();
        for answer in answers {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut request = String::new();
            let mut piece = [0; 4096];
            while !is_whole(&request) {
                let read = connection.read(&mut piece).await.unwrap();
                assert!(read > 0, "the client hung up in the middle of {request:?}");
                request.push_str(std::str::from_utf8(&piece[..read]).unwrap());
            }
            requests.push((request, Instant::now()));
            connection.write_all(answer.as_bytes()).await.unwrap();
        }
        requests
    });
    (Client::new(&url, "jaego_a_b").unwrap(), served)
}

fn is_whole(request: &str) -> bool {
    let Some((head, body)) = request.split_once("\r\n\r\n") else { return false };
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    body.len() >= length.unwrap_or(0)
}

fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

fn done() -> String {
    answer("200 OK", r#"{"id":"H1","sequence":7,"at":"2026-03-01T14:59:59.999Z","repeat":false,"picks":[]}"#)
}

fn busy() -> String {
    answer(
        "503 Busy",
        r#"{"type":"/problems/busy","title":"t","status":503,"code":"busy","detail":"d","queue_len":9}"#,
    )
}

/// Refused for so many seconds.
fn rate_limited(retry_after_s: u64) -> String {
    let problem = r#"{"type":"/problems/rate_limited","title":"t","status":429,"code":"rate_limited","detail":"d","cost":1,"per_s":2,"burst":3}"#;
    let refused = answer("429 Too Many Requests", problem);
    refused.replacen("connection:", &format!("retry-after: {retry_after_s}\r\nconnection:"), 1)
}

fn hold() -> PlaceHold<'static> {
    let line =
        HoldLine { site: "ICN".into(), sku: "mug".into(), quantity: 4.into(), location: None, lot: None };
    PlaceHold {
        id: "H1".into(),
        owner: None,
        lines: [line].into(),
        expires_in_s: None,
        partial: None,
        strategy: None,
    }
}

fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    request.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[tokio::test]
async fn a_creation_is_sent_again_until_the_service_has_time() {
    let (client, served) = serve(vec![busy(), String::new(), done()]).await;
    let outcome = client.hold(&hold()).await.unwrap();
    assert_eq!((outcome.sequence, outcome.id.as_deref()), (7, Some("H1")));
    let requests = served.await.unwrap();
    assert!(requests.iter().all(|request| request == &requests[0]), "{requests:?}");
    assert!(requests[0].starts_with("POST /v1/holds HTTP/1.1\r\n"), "{}", requests[0]);
    assert_eq!(header(&requests[0], "authorization"), Some("Bearer jaego_a_b"));
    assert!(
        requests[0].ends_with(r#"{"id":"H1","lines":[{"quantity":4,"site":"ICN","sku":"mug"}]}"#),
        "{}",
        requests[0]
    );
}

#[tokio::test]
async fn an_action_keeps_its_key_from_try_to_try() {
    let (client, served) = serve(vec![busy(), done(), done()]).await;
    let extend = ExtendHold { hold: "H1".into(), expires_in_s: 60.into() };
    client.extend_hold(&extend).await.unwrap();
    client.extend_hold(&extend).await.unwrap();
    let requests = served.await.unwrap();
    let keys: Vec<_> = requests.iter().map(|request| header(request, "idempotency-key").unwrap()).collect();
    assert_eq!(keys[0], keys[1]);
    assert_ne!(keys[1], keys[2]);
}

#[tokio::test]
async fn a_refusal_is_given_at_once_with_its_numbers() {
    let problem = r#"{"type":"/problems/insufficient_stock","title":"t","status":409,"code":"insufficient_stock",
        "detail":"d","shortages":[{"line":"1","sku":"mug","site":"ICN","requested":7,"available":6}]}"#;
    let (client, served) = serve(vec![answer("409 Conflict", problem)]).await;
    let error = client.hold(&hold()).await.unwrap_err();
    assert_eq!(error.code(), Some("insufficient_stock"));
    assert_eq!(error.problem().unwrap().shortages[0].available, 6);
    assert_eq!(served.await.unwrap().len(), 1);
}

#[tokio::test]
async fn tries_are_counted() {
    let (client, served) = serve(vec![busy(); TRIES_MAX as usize]).await;
    assert_eq!(client.hold(&hold()).await.unwrap_err().code(), Some("busy"));
    assert_eq!(served.await.unwrap().len(), TRIES_MAX as usize);
}

#[tokio::test]
async fn a_used_up_rate_is_waited_for_as_long_as_is_told() {
    let (client, served) = serve_timed(vec![rate_limited(2), rate_limited(1), done()]).await;
    assert_eq!(client.hold(&hold()).await.unwrap().sequence, 7);
    let at: Vec<_> = served.await.unwrap().into_iter().map(|(_, at)| at).collect();
    assert!(at[1] - at[0] >= Duration::from_secs(2), "{:?}", at[1] - at[0]);
    assert!(at[2] - at[1] >= Duration::from_secs(1), "{:?}", at[2] - at[1]);
}

#[tokio::test]
async fn a_rate_that_stays_used_up_is_given_up_with_its_numbers() {
    let (client, served) = serve_timed(vec![rate_limited(1); TRIES_MAX as usize]).await;
    let error = client.hold(&hold()).await.unwrap_err();
    let problem = error.problem().unwrap();
    assert_eq!(
        (&*problem.code, &problem.facts["per_s"], &problem.facts["burst"]),
        ("rate_limited", &2.into(), &3.into())
    );
    let requests = served.await.unwrap();
    assert!(requests.windows(2).all(|two| two[1].1 - two[0].1 >= Duration::from_secs(1)), "{requests:?}");
}

#[tokio::test]
async fn a_rate_that_comes_back_later_than_anybody_waits_is_told_at_once() {
    let (client, served) = serve(vec![rate_limited(PAUSE_MAX.as_secs() + 1), rate_limited(3_600)]).await;
    let start = Instant::now();
    for _ in 0..2 {
        assert_eq!(client.hold(&hold()).await.unwrap_err().code(), Some("rate_limited"));
    }
    assert!(start.elapsed() < PAUSE_MAX, "{:?}", start.elapsed());
    assert_eq!(served.await.unwrap().len(), 2, "one try each");
}

#[tokio::test]
async fn a_feed_waits_for_a_used_up_rate_too() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    let event = "id: 5\ndata: {\"sequence\":5,\"at\":\"2026-03-01T14:59:59.999Z\",\"kind\":\"held\",\"by\":\"cart\",\
                 \"document\":null}\n\n";
    let (client, served) =
        serve_timed(vec![rate_limited(1), format!("{head}{event}"), rate_limited(3_600)]).await;
    let mut events = client.events(4, &[]);
    assert_eq!(events.next().await.unwrap().sequence, 5);
    assert_eq!(events.next().await.unwrap_err().code(), Some("rate_limited"));
    let at: Vec<_> = served.await.unwrap().into_iter().map(|(_, at)| at).collect();
    assert!(at[1] - at[0] >= Duration::from_secs(1), "{:?}", at[1] - at[0]);
}

#[tokio::test]
async fn an_answer_that_is_none_is_an_error_with_its_status() {
    let (client, served) = serve(vec![answer("200 OK", "<html>"), answer("404 Not Found", "nothing")]).await;
    assert!(matches!(client.status().await, Err(Error::Answer { status: 200, .. })));
    assert!(matches!(client.status().await, Err(Error::Answer { status: 404, .. })));
    served.await.unwrap();
    assert!(matches!(Client::new("ftp://host", "t"), Err(Error::Request { .. })));
    assert!(matches!(Client::new("http://host", "a\nb"), Err(Error::Request { .. })));
}

#[tokio::test]
async fn a_wait_that_was_told_to_a_try_that_was_left_is_forgotten() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Client::new(&format!("http://{}/", listener.local_addr().unwrap()), "jaego_a_b").unwrap();
    let served = tokio::spawn(async move {
        let mut connections = Vec::new();
        // A refusal whose body does not come, one who hangs up, and the event.
        let refused = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 3600\r\ncontent-length: 99\r\n\r\n";
        let event = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\nid: 5\n\
                     data: {\"sequence\":5,\"at\":\"2026-03-01T14:59:59.999Z\",\"kind\":\"held\",\
                     \"by\":\"cart\",\"document\":null}\n\n";
        for answer in [refused, "", event] {
            let (mut connection, _) = listener.accept().await.unwrap();
            let (mut request, mut piece) = (String::new(), [0; 4_096]);
            while !is_whole(&request) {
                let read = connection.read(&mut piece).await.unwrap();
                request.push_str(std::str::from_utf8(&piece[..read]).unwrap());
            }
            connection.write_all(answer.as_bytes()).await.unwrap();
            if answer == refused {
                connections.push(connection);
            }
        }
    });
    let mut events = client.events(4, &[]);
    let left = tokio::time::timeout(Duration::from_millis(500), events.next()).await;
    assert!(left.is_err(), "the refusal came whole: {left:?}");
    assert_eq!(events.next().await.unwrap().sequence, 5);
    served.await.unwrap();
}

#[tokio::test]
async fn the_feed_goes_on_where_it_broke() {
    let event = |sequence: u64| {
        format!(
            "id: {sequence}\ndata: {{\"sequence\":{sequence},\"at\":\"2026-03-01T14:59:59.999Z\",\"kind\":\"held\",\
             \"by\":\"cart\",\"document\":{{\"kind\":\"hold\",\"id\":\"H{sequence}\"}}}}\n\n"
        )
    };
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    let torn = event(7);
    let (client, served) = serve(vec![
        format!("{head}: alive\n\n{}{}{}", event(5), event(6), &torn[..torn.len() / 2]),
        busy(),
        format!("{head}{}: alive\nid: 90\n\n", event(7)),
        format!("{head}{}", event(95)),
    ])
    .await;
    let mut events = client.events(4, &["held"]);
    for sequence in [5, 6, 7, 95] {
        let event = events.next().await.unwrap();
        assert_eq!((event.sequence, events.after()), (sequence, sequence));
        assert_eq!(event.document.unwrap().id, *format!("H{sequence}"));
    }
    let requests = served.await.unwrap();
    let asked: Vec<_> = requests.iter().map(|request| request.split(' ').nth(1).unwrap()).collect();
    assert_eq!(
        asked,
        [
            "/v1/events?after=4&kind=held",
            "/v1/events?after=6&kind=held",
            "/v1/events?after=6&kind=held",
            "/v1/events?after=90&kind=held"
        ]
    );
    assert_eq!(header(&requests[0], "accept"), Some("text/event-stream"));
}

#[tokio::test]
async fn a_feed_that_fails_says_why() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    let event = "id: 5\nevent: held\ndata: {\"sequence\":5,\"at\":\"2026-03-01T14:59:59.999Z\",\"kind\":\"held\",\"by\":\"cart\",\
                 \"document\":null}\n\n";
    let problem = r#"{"type":"/problems/history_unreadable","title":"t","status":500,"code":"history_unreadable","detail":"d"}"#;
    let failed = format!("{head}event: problem\ndata: {problem}\n\n");
    let mut answers = vec![failed.clone(), format!("{head}{event}")];
    // That the stream ends which had the first event is no failed try of the second.
    answers.extend(vec![failed; TRIES_MAX as usize]);
    let (client, served) = serve(answers).await;
    let mut events = client.events(4, &[]);
    assert_eq!(events.next().await.unwrap().sequence, 5, "it may pass");
    assert_eq!(events.next().await.unwrap_err().code(), Some("history_unreadable"));
    assert_eq!(served.await.unwrap().len(), 2 + TRIES_MAX as usize);
}

#[tokio::test]
async fn a_quiet_feed_is_listened_to_for_ever() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    let event = "id: 9\ndata: {\"sequence\":9,\"at\":\"2026-03-01T14:59:59.999Z\",\"kind\":\"held\",\"by\":\"cart\",\
                 \"document\":null}\n\n";
    let quiet = |seen: u64| format!("{head}: alive\nid: {seen}\n\n: alive\nid: {seen}\n\n");
    let mut answers: Vec<_> = (1..=TRIES_MAX).map(|stream| quiet(4 + u64::from(stream) % 2)).collect();
    // What breaks after a sign of life is a failed try, and the next sign of life begins the count anew.
    answers.extend(vec![format!("{}id: ", quiet(5)); 2 * TRIES_MAX as usize]);
    answers.extend([quiet(8), format!("{head}{event}")]);
    let streams = answers.len();
    let (client, served) = serve(answers).await;
    let mut events = client.events(4, &[]);
    assert_eq!(events.next().await.unwrap().sequence, 9);
    let requests = served.await.unwrap();
    assert_eq!(requests.len(), streams);
    let last = requests.last().unwrap();
    assert!(
        last.starts_with("GET /v1/events?after=8 HTTP/1.1\r\n"),
        "it goes on from what was looked at: {last}"
    );
}

#[tokio::test]
async fn a_feed_that_ends_without_a_word_is_a_failed_try() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    let (client, served) = serve(vec![head.to_owned(); TRIES_MAX as usize]).await;
    let error = client.events(4, &[]).next().await.unwrap_err();
    assert!(matches!(error, Error::Connection { .. }), "{error}");
    assert_eq!(served.await.unwrap().len(), TRIES_MAX as usize);
}

#[tokio::test]
async fn a_cursor_ahead_of_the_store_is_told_at_once() {
    let problem = r#"{"type":"/problems/cursor_ahead","title":"t","status":409,"code":"cursor_ahead","detail":"d",
        "after":99999,"durable":52}"#;
    let (client, served) = serve(vec![answer("409 Conflict", problem)]).await;
    let error = client.events(99_999, &[]).next().await.unwrap_err();
    assert_eq!(error.code(), Some("cursor_ahead"));
    assert_eq!(error.problem().unwrap().facts["durable"], 52);
    assert_eq!(served.await.unwrap().len(), 1, "it is not asked again");
}
