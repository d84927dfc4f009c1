//! PostgreSQL as a queue of orders: `FOR UPDATE SKIP LOCKED`, so that no worker waits for another.

use std::net::SocketAddr;

use crate::Error;
use crate::jaego::claims::{Crowd, PRIORITIES, Policy};
use crate::load::{Load, Round, drive};
use crate::peers::SKU_DIGITS;
use crate::peers::postgres_flight::{Flying, Shape};
use crate::pgwire::{Client, execute, sync};
use crate::report::count;
use crate::subject::{Size, Subject, share};
use crate::template::Template;

/// Claiming waiting orders, so many in one statement and one commit.
#[derive(Debug)]
pub(crate) struct PostgresClaims {
    name: String,
    addr: SocketAddr,
    table: String,
    policy: Policy,
    /// Claims in one statement.
    claims: usize,
    crowd: Crowd,
    size: Size,
    placed: u64,
    claimed: u64,
}

impl PostgresClaims {
    pub(crate) fn new(
        name: String,
        addr: SocketAddr,
        table: &str,
        (policy, claims): (Policy, usize),
        waiting: u64,
        size: Size,
    ) -> Result<Self, Error> {
        let mut client = Client::connect(addr)?;
        client.call(&format!(
            "CREATE TABLE {table}_order (id bigint PRIMARY KEY, priority int NOT NULL, worker int, expires_at timestamptz) \
             WITH (fillfactor = 70)"
        ))?;
        // Only what waits is in the index, so that it stays as small as the queue.
        let rank = rank(policy);
        client.call(&format!("CREATE INDEX ON {table}_order ({rank}) WHERE worker IS NULL"))?;
        let crowd = Crowd::new(waiting, claims);
        let table = table.to_owned();
        Ok(Self { name, addr, table, policy, claims, crowd, size, placed: 0, claimed: 0 })
    }

    /// Places orders until as many wait as should, and clears away what the round before left behind.
    fn fill(&mut self) -> Result<(), Error> {
        let (table, missing) = (&self.table, self.crowd.waiting - (self.placed - self.claimed));
        let mut client = Client::connect(self.addr)?;
        client.call(&format!(
            "INSERT INTO {table}_order SELECT id, id % {PRIORITIES} FROM generate_series({}::bigint, {}::bigint) id",
            self.placed,
            self.placed + missing - 1
        ))?;
        client.call(&format!("VACUUM ANALYZE {table}_order"))?;
        self.placed += missing;
        Ok(())
    }

    fn caller(&self, index: usize) -> Flying {
        let claim = format!(
            "UPDATE {0}_order SET worker = $1, expires_at = now() + interval '1 day' WHERE id = ANY (ARRAY(\
             SELECT id FROM {0}_order WHERE worker IS NULL ORDER BY {1} LIMIT {2} FOR UPDATE SKIP LOCKED)) RETURNING id",
            self.table,
            rank(self.policy),
            self.claims
        );
        let mut worker = Template::new().number(SKU_DIGITS);
        worker.set(0, index as u64);
        let claims = self.claims as u64;
        let shape =
            Shape { flight: execute("claim", &[worker]).then(&sync()), rows: vec![claims], units: claims };
        let left = share(self.crowd.requests, index, self.size.connections);
        Flying::new(vec![("claim", claim)], vec![shape], left, Box::new(|_| 0))
    }
}

/// What the next order is the first by. By chance: the order of a hash, in which all workers go on.
fn rank(policy: Policy) -> &'static str {
    match policy {
        Policy::Oldest => "id",
        Policy::Priority => "priority DESC, id",
        Policy::Random => "hashint8(id)",
    }
}

impl Subject for PostgresClaims {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn round(&mut self) -> Result<Round, Error> {
        self.fill()?;
        let callers = (0..self.size.connections).map(|index| self.caller(index)).collect();
        let load = Load { addr: self.addr, threads: self.size.threads, bound: self.size.bound };
        let (round, _) = drive(&load, callers)?;
        self.claimed += round.units_in_all;
        Ok(round)
    }

    fn check(&mut self) -> Result<String, Error> {
        let mut client = Client::connect(self.addr)?;
        let table = &self.table;
        let claimed = client.call(&format!("SELECT count(*) FROM {table}_order WHERE worker IS NOT NULL"))?;
        if claimed != self.claimed.to_string() {
            let detail = format!("{} claims were answered and {claimed} are there", self.claimed);
            return Err(Error::Books { subject: self.name.clone(), detail });
        }
        client.call(&format!("DROP TABLE {table}_order"))?;
        let claims = count(self.claimed);
        Ok(format!("{claims} claims answered, {claims} of {} orders claimed", count(self.placed)))
    }
}
