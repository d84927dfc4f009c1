//! A server that is away for a while, and what is let go of or prolonged meanwhile.

use std::time::{Duration, Instant};

use jaego_lock::{Error, Locks, Mode, Postgres, PostgresOptions};
use jaego_testkit as testkit;
use jaego_testkit::FaultProxy;
use tokio::time::sleep;

use crate::postgres_faults::{PATIENCE, ms, options, server, until_clean};

/// How long it stays away when it is known to be. Connecting is tried again within half a second.
const AWAY: Duration = Duration::from_millis(150);

/// With a way that can be closed.
async fn process(server: &testkit::Postgres) -> (FaultProxy, Locks) {
    options(server).migrate().await.unwrap();
    let way = FaultProxy::start(server.addr()).unwrap();
    let url = server.url_through(way.addr(), "postgres");
    let options = PostgresOptions::new(&url).unwrap().connections(1).unwrap();
    (way, Locks::new(Postgres::start(options)))
}

/// Closes the way, and waits until steps fail at once because nobody can connect.
async fn close(way: &FaultProxy, locks: &Locks) {
    way.set_accepting(false);
    way.close_connections();
    let started = Instant::now();
    loop {
        let asked = Instant::now();
        let answer = locks.look("b").await;
        if matches!(answer, Err(Error::Unavailable { .. })) && asked.elapsed() < ms(20) {
            return;
        }
        assert!(started.elapsed() < PATIENCE * 10, "{answer:?}");
        sleep(ms(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_that_is_dropped_while_the_server_is_away_is_released_when_it_is_back() {
    let server = server();
    let (way, locks) = process(&server).await;
    let dropped = locks.lock("a").lease(ms(20_000)).acquire().await.unwrap();
    close(&way, &locks).await;
    drop(dropped);
    sleep(AWAY).await;
    way.set_accepting(true);
    until_clean(&server, PATIENCE * 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_and_an_extension_wait_for_a_server_that_is_away() {
    let server = server();
    let (way, locks) = process(&server).await;
    let [released, extended, downgraded] = ["a", "b", "c"].map(|key| locks.lock(key).lease(ms(5_000)));
    let released = released.acquire().await.unwrap();
    let (extended, downgraded) = (extended.acquire().await.unwrap(), downgraded.acquire().await.unwrap());
    close(&way, &locks).await;
    let back = async {
        sleep(AWAY).await;
        way.set_accepting(true);
    };
    let (outcome, valid_until, read, ()) = tokio::join!(
        released.release(),
        extended.extend(ms(20_000)),
        downgraded.downgrade(Mode::shared()),
        back
    );
    assert!(outcome.was_held(), "{outcome:?}");
    assert!(valid_until.expect("asked again").remaining() > ms(15_000));
    read.expect("asked again");
}
