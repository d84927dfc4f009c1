//! Locks whose steps arrive late, and whose answers are lost: each of these on every backend.

mod counted;
mod crowd;
mod kept;
mod late;
mod lost;
mod traced;
mod wire;

use std::time::Duration;

use jaego_lock::backend::Backend;
use jaego_lock::{Locks, Postgres, PostgresOptions, Redis, RedisOptions, Settings, conformance};
use jaego_testkit as testkit;

use self::wire::{Faults, Wire};

use crate::ms;

/// How late an expectation may come true on a busy machine.
const PATIENCE: Duration = Duration::from_secs(2);

/// A process with a wire that obeys, and the faults that it is told.
fn process(backend: impl Backend) -> (Locks, Faults) {
    let (wire, faults) = Wire::to(backend);
    (Locks::with_settings(wire, conformance::settings()).unwrap(), faults)
}

fn redis_server() -> testkit::Redis {
    testkit::Redis::start(&testkit::RedisOptions::default()).unwrap()
}

async fn on_redis(server: &testkit::Redis) -> Redis {
    let options = RedisOptions::new(&server.url()).unwrap().quarantine(Duration::ZERO);
    conformance::connected(Redis::start(options)).await
}

fn postgres_server() -> testkit::Postgres {
    let settings = [("fsync", "off"), ("full_page_writes", "off"), ("autovacuum", "off")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    testkit::Postgres::start(&testkit::PostgresOptions { settings }).unwrap()
}

async fn on_postgres(server: &testkit::Postgres) -> Postgres {
    let options = PostgresOptions::new(&server.url("postgres")).unwrap().connections(2).unwrap();
    options.migrate().await.unwrap();
    conformance::connected(Postgres::start(options)).await
}

/// Makes a test of it on each backend.
macro_rules! on_each_backend {
    ($($scenario:ident),* $(,)?) => {$(
        mod $scenario {
            #[tokio::test]
            async fn in_memory() {
                let memory = jaego_lock::Memory::new();
                super::$scenario(memory.clone(), memory).await;
            }

            #[tokio::test]
            async fn on_redis() {
                let server = crate::unreliable::redis_server();
                let here = crate::unreliable::on_redis(&server).await;
                super::$scenario(here, crate::unreliable::on_redis(&server).await).await;
            }

            #[tokio::test]
            async fn on_postgres() {
                let server = crate::unreliable::postgres_server();
                let here = crate::unreliable::on_postgres(&server).await;
                super::$scenario(here, crate::unreliable::on_postgres(&server).await).await;
            }
        }
    )*};
}
pub(crate) use on_each_backend;

/// Another process that waits long enough for an answer to what is not asked twice.
fn patient(backend: impl Backend) -> Locks {
    let settings = Settings { response_timeout: ms(2_000), waiter_ttl: ms(8_000), ..conformance::settings() };
    Locks::with_settings(backend, Settings { keeper_lease: ms(8_000), ..settings }).unwrap()
}

/// Another process, on a wire that is always there.
fn there(backend: impl Backend) -> Locks {
    Locks::with_settings(backend, conformance::settings()).unwrap()
}
