//! The backend on PostgreSQL, under the law of all backends.

use std::time::Duration;

use jaego_lock::conformance::Stage;
use jaego_lock::{Postgres, PostgresOptions};
use jaego_testkit as testkit;

struct OnPostgres(testkit::Postgres);

impl Stage for OnPostgres {
    type Backend = Postgres;

    async fn backend(&self) -> Postgres {
        let options = PostgresOptions::new(&self.0.url("postgres")).unwrap().connections(2).unwrap();
        options.migrate().await.unwrap();
        // Each step has the time of the scenarios; the connections have more on a busy machine.
        Postgres::start(options.response_timeout(Duration::from_secs(2)))
    }
}

/// Without syncs: the scenarios count time, and the disk of the machine is not what they are about.
fn server() -> testkit::Postgres {
    let settings = [("fsync", "off"), ("full_page_writes", "off"), ("autovacuum", "off")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    testkit::Postgres::start(&testkit::PostgresOptions { settings }).unwrap()
}

jaego_lock::conformance!(OnPostgres(server()));
