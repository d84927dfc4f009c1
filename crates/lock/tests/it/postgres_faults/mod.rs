//! Locks on a PostgreSQL that stops, dies and cuts connections, and transactions that check fences.
//!
//! `JAEGO_SOAK=n` runs n times as many rounds.

mod away;
mod blocked;
mod clock;
mod commit;
mod fences;
mod full;
mod ground;
mod holders;
mod late;
mod migrated;
mod options;
mod outage;
mod queued;
mod session;
mod stopped;
mod strikes;
mod swept;

use std::time::Duration;

use jaego_lock::{Locks, Postgres, PostgresOptions, Settings};
use jaego_testkit as testkit;
use tokio_postgres::{Client, NoTls};

use crate::{ms, rounds};

/// How late an expectation may come true on a busy machine.
const PATIENCE: Duration = Duration::from_secs(2);

/// With the durability of a server as it is installed.
fn server() -> testkit::Postgres {
    testkit::Postgres::start(&testkit::PostgresOptions::default()).unwrap()
}

fn options(server: &testkit::Postgres) -> PostgresOptions {
    PostgresOptions::new(&server.url("postgres")).unwrap().connections(2).unwrap()
}

fn settings() -> Settings {
    Settings { response_timeout: ms(200), keeper_lease: ms(1_000), ..jaego_lock::conformance::settings() }
}

async fn process(server: &testkit::Postgres) -> Locks {
    let options = options(server).response_timeout(settings().response_timeout);
    options.migrate().await.unwrap();
    Locks::with_settings(Postgres::start(options), settings()).unwrap()
}

/// A connection of a program that uses the database.
async fn connect(server: &testkit::Postgres) -> Client {
    let (client, connection) = tokio_postgres::connect(&server.url("postgres"), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Waits until nobody holds or waits for anything.
async fn until_clean(server: &testkit::Postgres, patience: Duration) {
    let started = std::time::Instant::now();
    loop {
        let left = "SELECT key, until_us - jaego_lock.now_us() FROM jaego_lock.entries \
                    WHERE until_us > jaego_lock.now_us()";
        let left = server.execute("postgres", left).unwrap();
        if left.is_empty() {
            return;
        }
        assert!(started.elapsed() < patience, "left behind: {left}");
        tokio::time::sleep(ms(20)).await;
    }
}
