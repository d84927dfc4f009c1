//! A place in the queue whose time to live is longer than the sweeps of the schema leave it.

use std::time::Duration;

use jaego_lock::{Locks, Postgres, Settings};
use tokio::time::sleep;

use crate::postgres_faults::{ms, options, server, settings};

/// What a sweep leaves of the life of a waiter.
const LEFT_US: u64 = 60_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_waiter_that_may_be_silent_for_long_is_heard_of_before_a_sweep_can_forget_it() {
    let server = server();
    options(&server).migrate().await.unwrap();
    let long = Duration::from_secs(600);
    let settings = Settings { lease_max: long, waiter_ttl: long, recheck: long, wait: long, ..settings() };
    let process = || Locks::with_settings(Postgres::start(options(&server)), settings).unwrap();
    let (here, there) = (process(), process());
    // It waits for the end of no lease either.
    let holder = here.lock("a").lease(long).acquire().await.unwrap();
    let request = there.lock("a").fair();
    let waiter = tokio::spawn(async move { request.acquire().await.unwrap() });
    let life = || {
        let life = "SELECT coalesce(max(until_us) - jaego_lock.now_us(), 0) FROM jaego_lock.entries WHERE place IS NOT NULL";
        server.execute("postgres", life).unwrap().trim().parse::<u64>().unwrap()
    };
    while life() == 0 {
        sleep(ms(10)).await;
    }
    // As a sweep does that comes just after a sign of life.
    let cut = format!(
        "UPDATE jaego_lock.entries SET until_us = jaego_lock.now_us() + {LEFT_US} WHERE place IS NOT NULL"
    );
    server.execute("postgres", &cut).unwrap();
    while life() <= LEFT_US {
        assert!(life() > LEFT_US / 2, "it is silent");
        sleep(ms(100)).await;
    }
    assert!(holder.release().await.was_held());
    assert!(waiter.await.unwrap().release().await.was_held());
}
