//! PostgreSQL, as those see it who stop, kill and restart servers and holders.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jaego_lock::fence::POSTGRES_TABLE;
use jaego_lock::{Guard, Locks, Postgres, PostgresOptions, Settings};
use jaego_testkit as testkit;
use tokio_postgres::{Client, NoTls};

use crate::struck::{End, Ground, Guarded};

const TABLES: &str = "
    CREATE TABLE accepted (id bigserial PRIMARY KEY, key text NOT NULL, fence bigint NOT NULL);
    CREATE TABLE refused (key text NOT NULL)";

/// Checks a fence, and writes if it is good, in one statement. The rows are numbered behind the lock of the fence's row.
const WRITE: &str = "
    WITH raised AS (
        INSERT INTO fences (name, fence) VALUES ($1, $2)
        ON CONFLICT (name) DO UPDATE SET fence = excluded.fence WHERE fences.fence <= excluded.fence
        RETURNING name, fence
    )
    INSERT INTO accepted (key, fence) SELECT name, fence FROM raised";

/// Everybody's connections: each holder has three.
const CONNECTIONS_MAX: u32 = 500;

/// Without syncs: what dies is the server, and not the machine.
pub(crate) struct OnPostgres(testkit::Postgres);

impl OnPostgres {
    pub(crate) fn start() -> Self {
        let connections_max = CONNECTIONS_MAX.to_string();
        let settings = [
            ("fsync", "off"),
            ("full_page_writes", "off"),
            ("max_connections", &connections_max),
            // A server that is asked to end waits for whoever has connected and said nothing yet, and a line may be cut.
            ("authentication_timeout", "1"),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let server = testkit::Postgres::start(&testkit::PostgresOptions { settings }).unwrap();
        let options = PostgresOptions::new(&server.url("postgres")).unwrap();
        let migration = options.migration();
        for sql in [migration.as_str(), POSTGRES_TABLE, TABLES] {
            server.execute("postgres", sql).unwrap();
        }
        Self(server)
    }
}

fn url(addr: SocketAddr) -> String {
    format!("postgres://postgres@{addr}/postgres")
}

impl Ground for OnPostgres {
    type Guarded = Tables;

    fn addr(&self) -> SocketAddr {
        self.0.addr()
    }

    /// The quarantine is nothing that PostgreSQL needs: it forgets nothing.
    async fn locks(addr: SocketAddr, settings: Settings, _: Duration) -> Locks {
        let options = PostgresOptions::new(&url(addr)).unwrap().connections(1).unwrap();
        let options = options.response_timeout(settings.response_timeout);
        Locks::with_settings(Postgres::start(options), settings).unwrap()
    }

    /// Fences run ahead of the server's clock, which is that of this machine.
    fn granted_us(_: &Guard) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        u64::try_from(now.as_micros()).unwrap()
    }

    fn stop(&mut self) {
        self.0.stop().unwrap();
    }

    fn cont(&mut self) {
        self.0.cont().unwrap();
    }

    fn end(&mut self, how: End) {
        match how {
            End::Killed => self.0.kill_9().unwrap(),
            End::Asked => self.0.shut_down().unwrap(),
            End::Emptied => unreachable!("PostgreSQL does not forget"),
        }
    }

    fn restart(&mut self, _: End) {
        self.0.restart().unwrap();
    }

    async fn releases_remembered(&self) -> u64 {
        let ends = "SELECT count(*) FROM jaego_lock.ends WHERE until_us > jaego_lock.now_us()";
        self.0.execute("postgres", ends).unwrap().trim().parse().unwrap()
    }

    async fn until_clean(&self, patience: Duration) {
        super::until_clean(&self.0, patience).await;
    }
}

pub(crate) struct Tables(Client);

impl Guarded for Tables {
    async fn connect(server: SocketAddr) -> Self {
        let (client, connection) = tokio_postgres::connect(&url(server), NoTls).await.unwrap();
        tokio::spawn(connection);
        Self(client)
    }

    async fn write(&mut self, key: &str, fence: u64) -> bool {
        let fence = i64::try_from(fence).unwrap();
        let accepted = self.0.execute(WRITE, &[&key, &fence]).await.unwrap() > 0;
        if !accepted {
            self.0.execute("INSERT INTO refused (key) VALUES ($1)", &[&key]).await.unwrap();
        }
        accepted
    }

    async fn accepted(&mut self, key: &str) -> Vec<u64> {
        let rows = self.0.query("SELECT fence FROM accepted WHERE key = $1 ORDER BY id", &[&key]).await;
        rows.unwrap().iter().map(|row| u64::try_from(row.get::<_, i64>(0)).unwrap()).collect()
    }

    async fn refused(&mut self, key: &str) -> u64 {
        let row = self.0.query_one("SELECT count(*) FROM refused WHERE key = $1", &[&key]).await;
        u64::try_from(row.unwrap().get::<_, i64>(0)).unwrap()
    }
}
