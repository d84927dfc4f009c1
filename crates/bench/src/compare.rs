//! Jaego beside Redis and PostgreSQL, in one run, on servers of our own.

use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use jaego_testkit::{
    Durability, Postgres, PostgresOptions, Ready, Redis, RedisOptions, Server, ServerOptions, free_port,
    raise_open_files,
};
use tempfile::TempDir;

use crate::Error;
use crate::basket::Baskets;
use crate::draw::Skew;
use crate::http::Target;
use crate::jaego::claims::{Policy, Reach};
use crate::load::Bound;
use crate::machine::Machine;
use crate::options::{CompareOptions, Sizes};
use crate::page;
use crate::peers::postgres::{PostgresSubject, PostgresWork};
use crate::peers::postgres_claims::PostgresClaims;
use crate::peers::postgres_sales::{PostgresSales, Sale};
use crate::peers::redis::{RedisSubject, RedisWork};
use crate::peers::redis_claims::RedisClaims;
use crate::pgwire;
use crate::progress::Progress;
use crate::report::{Report, System, count};
use crate::resp::{self, Reply};
use crate::run::{Job, Stage, Turn, jobs, measure};
use crate::subject::Size;

/// What Redis gets beyond its own defaults: no rewrite of its log in the middle of a measurement.
const REDIS_SETTINGS: [(&str, &str); 2] = [("auto-aof-rewrite-percentage", "0"), ("databases", "64")];

/// What PostgreSQL gets beyond its own defaults: room, and no checkpoint in the middle of a measurement. How durable
/// it is stays as it is.
const POSTGRES_SETTINGS: [(&str, &str); 4] = [
    ("max_connections", "300"),
    ("shared_buffers", "1GB"),
    ("max_wal_size", "16GB"),
    ("checkpoint_timeout", "1h"),
];

/// Starts Redis twice (synced at every answer, synced every second), PostgreSQL and `jaego serve`, gives them the
/// same work in turns, and writes the report.
///
/// While one is measured the others are stopped, so that nobody's background work is in another's numbers.
///
/// # Errors
/// If a server cannot be started, an option is out of range, somebody's books are wrong, or the report cannot be
/// written.
pub fn compare(options: &CompareOptions) -> Result<Report, Error> {
    let sizes = &options.sizes;
    sizes.check()?;
    raise_open_files()?;
    let mut progress = Progress::new(sizes.quiet);
    let folder = std::env::temp_dir();
    let machine = Machine::look(&folder)?;

    progress.say("starting Redis and PostgreSQL");
    let mut house = House::start()?;
    let versions = house.versions(&options.program)?;
    let servers = house.settings()?;

    let mut groups = Vec::new();
    for job in jobs(sizes) {
        progress.say(&format!("— {}", job.key()));
        let jaego = Jaego::start(&options.program)?;
        let mut turns =
            vec![Turn { system: System::Jaego, subject: job.jaego(&jaego.target, sizes, &mut progress)? }];
        let mut hosts = vec![Host::Jaego];
        for (host, turn) in house.turns(job, sizes)? {
            hosts.push(host);
            turns.push(turn);
        }
        let mut stage = Freezing { house: &mut house, jaego, hosts };
        stage.freeze_all()?;
        let entries = measure(&mut turns, sizes.repetitions, &mut progress, &mut stage)?;
        stage.thaw_all()?;
        groups.push(job.group(sizes, entries));
    }

    let report = Report { machine, versions, settings: sizes.settings(), servers, groups };
    if let Some(docs) = &options.docs {
        page::write(&report, docs, &options.command)?;
        progress.say(&format!("wrote {}", docs.join(page::FILE).display()));
    }
    Ok(report)
}

/// Which server a turn needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Host {
    Jaego,
    RedisAlways,
    RedisEverySecond,
    Postgres,
}

/// The peers.
struct House {
    always: Redis,
    every_second: Redis,
    postgres: Postgres,
    /// How many subjects were made: each has a database or tables of its own.
    made: usize,
}

fn owned(settings: &[(&str, &str)]) -> Vec<(String, String)> {
    settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

impl House {
    fn start() -> Result<Self, Error> {
        let redis = |durability| Redis::start(&RedisOptions { durability, settings: owned(&REDIS_SETTINGS) });
        Ok(Self {
            always: redis(Durability::Always)?,
            every_second: redis(Durability::EverySecond)?,
            postgres: Postgres::start(&PostgresOptions { settings: owned(&POSTGRES_SETTINGS) })?,
            made: 0,
        })
    }

    fn versions(&self, program: &Path) -> Result<Vec<(String, String)>, Error> {
        let output = Command::new(program).arg("--version").output().map_err(Error::file("run", program))?;
        let jaego = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let info = match resp::Client::connect(self.always.addr())?.call(&["INFO", "server"])? {
            Reply::Text(text) => String::from_utf8_lossy(&text).into_owned(),
            other => format!("{other:?}"),
        };
        let redis = info.lines().find_map(|line| line.strip_prefix("redis_version:")).unwrap_or("unknown");
        let postgres = pgwire::Client::connect(self.postgres.addr())?.call("SHOW server_version")?;
        let named = |name: &str, version: &str| (name.to_owned(), version.trim().to_owned());
        Ok(vec![named("Jaego", &jaego), named("Redis", redis), named("PostgreSQL", &postgres)])
    }

    /// What the servers themselves say of their settings.
    fn settings(&self) -> Result<Vec<(String, String)>, Error> {
        let mut all = Vec::new();
        for (name, redis) in [("Redis, always", &self.always), ("Redis, everysec", &self.every_second)] {
            let mut client = resp::Client::connect(redis.addr())?;
            let mut said = Vec::new();
            for setting in ["appendonly", "appendfsync", "auto-aof-rewrite-percentage", "save"] {
                if let Reply::Array(pair) = client.call(&["CONFIG", "GET", setting])?
                    && let Some(Reply::Text(value)) = pair.get(1)
                {
                    said.push(format!("{setting}={:?}", String::from_utf8_lossy(value)));
                }
            }
            all.push((
                name.to_owned(),
                said.join(" ").replace('"', "'").replace("=''", "=off").replace('\'', ""),
            ));
        }
        let mut client = pgwire::Client::connect(self.postgres.addr())?;
        let mut said = Vec::new();
        let durable = ["fsync", "synchronous_commit", "full_page_writes", "wal_sync_method"];
        for setting in durable.into_iter().chain(POSTGRES_SETTINGS.iter().map(|(name, _)| *name)) {
            said.push(format!("{setting}={}", client.call(&format!("SHOW {setting}"))?));
        }
        all.push(("PostgreSQL".to_owned(), said.join(" ")));
        Ok(all)
    }

    /// Who else does this work, and how.
    fn turns(&mut self, job: Job, sizes: &Sizes) -> Result<Vec<(Host, Turn)>, Error> {
        use Host::{RedisAlways, RedisEverySecond};
        let timed = sizes.timed();
        let many = sizes.size(sizes.connections, timed);
        let draw = (sizes.skew, sizes.seed);
        let mut turns = Vec::new();
        match job {
            Job::Holds | Job::Hot => {
                let skus = if job == Job::Hot { 1 } else { sizes.skus };
                for (host, work) in [
                    (RedisAlways, RedisWork::Decrement),
                    (RedisAlways, RedisWork::Hold),
                    (RedisEverySecond, RedisWork::Decrement),
                    (RedisEverySecond, RedisWork::Hold),
                ] {
                    turns.push(self.redis(host, work, skus, many, 0, draw)?);
                }
                let works = [PostgresWork::Update, PostgresWork::UpdateInsert, PostgresWork::SelectForUpdate];
                for work in works {
                    turns.push(self.postgres(work, skus, many, 0, draw)?);
                }
            }
            Job::BatchHolds => {
                let size = sizes.size(sizes.batch_connections, timed);
                for host in [RedisAlways, RedisEverySecond] {
                    let work = RedisWork::Pipeline(sizes.batch);
                    turns.push(self.redis(host, work, sizes.batch_skus, size, 0, draw)?);
                }
                turns.push(self.postgres(
                    PostgresWork::Batch(sizes.batch),
                    sizes.batch_skus,
                    size,
                    0,
                    draw,
                )?);
            }
            Job::Transfer { lines, transfers } => {
                let size = sizes.size(1, Bound::Count);
                let (len, draw) = (lines as usize, (Skew::Uniform, sizes.seed));
                turns.push(self.redis(
                    RedisAlways,
                    RedisWork::Transfer(len),
                    lines,
                    size,
                    transfers,
                    draw,
                )?);
                for work in [PostgresWork::TransferAtOnce(len), PostgresWork::TransferByLine(len)] {
                    turns.push(self.postgres(work, lines, size, transfers, draw)?);
                }
            }
            Job::Transfers => {
                let size = sizes.size(sizes.connections, Bound::Count);
                let (len, draw) = (sizes.transfers_lines as usize, (Skew::Uniform, sizes.seed));
                let (skus, count) = (sizes.transfers_products, sizes.transfers);
                turns.push(self.redis(RedisAlways, RedisWork::Transfer(len), skus, size, count, draw)?);
                turns.push(self.postgres(PostgresWork::TransferAtOnce(len), skus, size, count, draw)?);
            }
            Job::Claims { policy, reach } => {
                let size = sizes.size(sizes.claim_connections(reach), Bound::Count);
                for host in [RedisAlways, RedisEverySecond] {
                    turns.push(self.redis_claims(host, (policy, reach), sizes.waiting, size)?);
                }
                turns.push(self.postgres_claims((policy, reach.claims()), sizes.waiting, size)?);
            }
            Job::Orders => turns.push(self.postgres_sales(orders(sizes, 1), many)?),
            Job::BatchOrders => {
                let size = sizes.size(sizes.batch_connections, timed);
                turns.push(self.postgres_sales(orders(sizes, sizes.order_batch), size)?);
            }
            Job::Checkouts => {
                // Each is a commit of its own that waits for the one hot row: a tenth of the carts takes long enough.
                let sale = Sale::Checkouts { batch: 1, carts: (sizes.carts / 10).max(1) };
                turns.push(self.postgres_sales(sale, many)?);
            }
            Job::BatchCheckouts => {
                let sale = Sale::Checkouts { batch: sizes.batch, carts: sizes.carts };
                turns.push(self.postgres_sales(sale, sizes.size(sizes.batch_connections, timed))?);
            }
        }
        Ok(turns)
    }

    /// Where a Redis listens, and when it syncs.
    fn redis_at(&self, host: Host) -> (SocketAddr, &'static str) {
        match host {
            Host::RedisEverySecond => (self.every_second.addr(), "everysec"),
            _ => (self.always.addr(), "always"),
        }
    }

    fn redis_claims(
        &mut self,
        host: Host,
        how: (Policy, Reach),
        waiting: u64,
        size: Size,
    ) -> Result<(Host, Turn), Error> {
        let (addr, sync) = self.redis_at(host);
        self.made += 1;
        let name = format!("Redis {sync}, Lua ZPOPMIN + claim");
        let subject = RedisClaims::new(name, addr, self.made, how, waiting, size)?;
        Ok((host, Turn { system: System::Redis, subject: Box::new(subject) }))
    }

    fn postgres_claims(
        &mut self,
        how: (Policy, usize),
        waiting: u64,
        size: Size,
    ) -> Result<(Host, Turn), Error> {
        self.made += 1;
        let (name, table) = ("PostgreSQL, FOR UPDATE SKIP LOCKED".to_owned(), format!("bench_{}", self.made));
        let subject = PostgresClaims::new(name, self.postgres.addr(), &table, how, waiting, size)?;
        Ok((Host::Postgres, Turn { system: System::Postgresql, subject: Box::new(subject) }))
    }

    fn postgres_sales(&mut self, sale: Sale, size: Size) -> Result<(Host, Turn), Error> {
        self.made += 1;
        let (name, table) =
            ("PostgreSQL, one transaction in one flight".to_owned(), format!("bench_{}", self.made));
        let subject = PostgresSales::new(name, self.postgres.addr(), &table, sale, size)?;
        Ok((Host::Postgres, Turn { system: System::Postgresql, subject: Box::new(subject) }))
    }

    fn redis(
        &mut self,
        host: Host,
        work: RedisWork,
        skus: u32,
        size: Size,
        pieces: u64,
        draw: (Skew, u64),
    ) -> Result<(Host, Turn), Error> {
        let (addr, sync) = self.redis_at(host);
        let what = match work {
            RedisWork::Decrement => "Lua decrement".to_owned(),
            RedisWork::Hold => "Lua decrement + hold".to_owned(),
            RedisWork::Pipeline(holds) => format!("pipelines of {}", count(holds as u64)),
            RedisWork::Transfer(_) => "one Lua script".to_owned(),
        };
        self.made += 1;
        let name = format!("Redis {sync}, {what}");
        let subject = RedisSubject::new(name, addr, self.made, work, skus, size, pieces, draw)?;
        Ok((host, Turn { system: System::Redis, subject: Box::new(subject) }))
    }

    fn postgres(
        &mut self,
        work: PostgresWork,
        skus: u32,
        size: Size,
        pieces: u64,
        draw: (Skew, u64),
    ) -> Result<(Host, Turn), Error> {
        let what = match work {
            PostgresWork::Update => "conditional update",
            PostgresWork::UpdateInsert => "update + order insert",
            PostgresWork::SelectForUpdate => "SELECT … FOR UPDATE",
            PostgresWork::Batch(_) => "set-based statements",
            PostgresWork::TransferByLine(_) => "an update for each line",
            PostgresWork::TransferAtOnce(_) => "set-based statements",
        };
        self.made += 1;
        let (name, table) = (format!("PostgreSQL, {what}"), format!("bench_{}", self.made));
        let addr = self.postgres.addr();
        let subject = PostgresSubject::new(name, addr, &table, work, skus, size, pieces, draw)?;
        Ok((Host::Postgres, Turn { system: System::Postgresql, subject: Box::new(subject) }))
    }
}

/// Orders with the same baskets as Jaego's, so many in a transaction.
fn orders(sizes: &Sizes, batch: usize) -> Sale {
    Sale::Orders { batch, baskets: Baskets::new(sizes.skus, sizes.seed), skus: sizes.skus }
}

/// A `jaego serve` on a fresh folder.
struct Jaego {
    server: Server,
    target: Target,
    _data: TempDir,
}

/// The line that a fresh store says once.
const TOKEN_LINE: &str = "admin token: ";

impl Jaego {
    fn start(program: &Path) -> Result<Self, Error> {
        let parent = std::env::temp_dir();
        let data = tempfile::Builder::new()
            .prefix("jaego-bench-")
            .tempdir()
            .map_err(Error::file("make a folder in", &parent))?;
        let addr = (std::net::Ipv4Addr::LOCALHOST, free_port()?).into();
        let store = data.path().join("store");
        fs::create_dir(&store).map_err(Error::file("create", &store))?;
        let args: Vec<OsString> =
            vec!["serve".into(), "--data".into(), store.into(), "--listen".into(), format!("{addr}").into()];
        let server = Server::start(ServerOptions {
            program: program.to_owned(),
            args,
            env: Vec::new(),
            ready: Some(Ready::Line("listening on ".into())),
        })?;
        let token = server.wait_line(TOKEN_LINE, crate::limits::CONNECT_WAIT_MAX)?;
        Ok(Self { server, target: Target { addr, token: token.trim().to_owned() }, _data: data })
    }
}

/// Lets only the server whose turn it is run.
struct Freezing<'h> {
    house: &'h mut House,
    jaego: Jaego,
    /// The server of each turn.
    hosts: Vec<Host>,
}

impl Freezing<'_> {
    fn freeze(&mut self, host: Host) -> Result<(), Error> {
        Ok(match host {
            Host::Jaego => self.jaego.server.stop(),
            Host::RedisAlways => self.house.always.stop(),
            Host::RedisEverySecond => self.house.every_second.stop(),
            Host::Postgres => self.house.postgres.stop(),
        }?)
    }

    fn thaw(&mut self, host: Host) -> Result<(), Error> {
        Ok(match host {
            Host::Jaego => self.jaego.server.cont(),
            Host::RedisAlways => self.house.always.cont(),
            Host::RedisEverySecond => self.house.every_second.cont(),
            Host::Postgres => self.house.postgres.cont(),
        }?)
    }

    fn freeze_all(&mut self) -> Result<(), Error> {
        [Host::Jaego, Host::RedisAlways, Host::RedisEverySecond, Host::Postgres]
            .into_iter()
            .try_for_each(|host| self.freeze(host))
    }

    /// Jaego is about to end, and the others are needed for what comes next.
    fn thaw_all(&mut self) -> Result<(), Error> {
        [Host::Jaego, Host::RedisAlways, Host::RedisEverySecond, Host::Postgres]
            .into_iter()
            .try_for_each(|host| self.thaw(host))
    }
}

impl Stage for Freezing<'_> {
    fn enter(&mut self, index: usize) -> Result<(), Error> {
        self.thaw(self.hosts[index])
    }

    fn leave(&mut self, index: usize) -> Result<(), Error> {
        self.freeze(self.hosts[index])
    }
}
