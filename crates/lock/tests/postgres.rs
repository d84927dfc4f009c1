//! The backend on PostgreSQL, under the law of all backends.

use jaego_lock::conformance::{Stage, settings};
use jaego_lock::{Postgres, PostgresOptions};
use jaego_testkit as testkit;

struct OnPostgres(testkit::Postgres);

impl Stage for OnPostgres {
    type Backend = Postgres;

    async fn backend(&self) -> Postgres {
        let options = PostgresOptions::new(&self.0.url("postgres")).unwrap().connections(2).unwrap();
        options.migrate().await.unwrap();
        Postgres::start(options.response_timeout(settings().response_timeout))
    }
}

/// Without syncs: the scenarios count time, and the disk of the machine is not what they are about.
fn server() -> testkit::Postgres {
    let settings = [("fsync", "off"), ("full_page_writes", "off"), ("autovacuum", "off")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    testkit::Postgres::start(&testkit::PostgresOptions { settings }).unwrap()
}

jaego_lock::conformance!(OnPostgres(server()));
