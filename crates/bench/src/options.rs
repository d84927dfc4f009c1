//! What may be set, and what is usual.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::draw::Skew;
use crate::http::Target;
use crate::jaego::claims::Reach;
use crate::limits::{
    BATCH_CLAIMS_MAX, BATCH_HOLDS_MAX, BATCH_ORDERS_MAX, CARTS_MAX, CLAIMS_MAX, CONNECTIONS_MAX,
    ORDER_LINES_MAX, SKUS_MAX, THREADS_MAX, TRANSFER_LINES_MAX, WAITING_MAX,
};
use crate::load::{Bound, within};
use crate::{Error, subject::Size};

/// A kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// Holds in batches, a few connections.
    BatchHolds,
    /// Holds one by one, many connections, spread over SKUs.
    Holds,
    /// The same with every request on one SKU.
    Hot,
    /// One transfer after the other, each requested and allocated.
    Transfer,
    /// Many transfers over the same products: all requested, then all allocated at once.
    Transfers,
    /// Orders of 1 to 20 lines one by one, one SKU in half of all.
    Orders,
    /// The same orders in batches, a few connections.
    BatchOrders,
    /// Claims one by one, by each policy, while many orders wait.
    Claims,
    /// Claims of many orders at once: many commands in a batch, and one command with the largest count.
    BatchClaims,
    /// Checkouts of carts with the same item, one by one.
    Checkouts,
    /// The same checkouts in batches, a few connections.
    BatchCheckouts,
}

impl Workload {
    /// All of them, in the order of the reports.
    pub const ALL: [Self; 11] = [
        Self::BatchHolds,
        Self::Holds,
        Self::Hot,
        Self::Transfer,
        Self::Transfers,
        Self::Orders,
        Self::BatchOrders,
        Self::Claims,
        Self::BatchClaims,
        Self::Checkouts,
        Self::BatchCheckouts,
    ];

    /// The name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BatchHolds => "batch-holds",
            Self::Holds => "holds",
            Self::Hot => "hot",
            Self::Transfer => "transfer",
            Self::Transfers => "transfers",
            Self::Orders => "orders",
            Self::BatchOrders => "batch-orders",
            Self::Claims => "claims",
            Self::BatchClaims => "batch-claims",
            Self::Checkouts => "checkouts",
            Self::BatchCheckouts => "batch-checkouts",
        }
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Workload {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|workload| workload.name() == text).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|workload| workload.name()).collect();
            format!("{text:?} is no workload; there are {}", names.join(", "))
        })
    }
}

/// How large the loads are.
#[derive(Clone, Debug)]
pub struct Sizes {
    /// What is run.
    pub workloads: Vec<Workload>,
    /// Connections of `holds`, `hot`, `transfers`, `orders`, `claims` and `checkouts`.
    pub connections: usize,
    /// SKUs of `holds` and of all orders.
    pub skus: u32,
    /// Holds in one request of `batch-holds`, checkouts in one of `batch-checkouts`.
    pub batch: usize,
    /// Connections of `batch-holds`, `batch-orders`, `batch-claims` and `batch-checkouts`.
    pub batch_connections: usize,
    /// SKUs of `batch-holds`.
    pub batch_skus: u32,
    /// Lines of the transfers of `transfer`, each size a workload of its own, and how many transfers a repetition has.
    pub transfer: Vec<(u32, u64)>,
    /// Transfers of `transfers`.
    pub transfers: u64,
    /// Lines of each.
    pub transfers_lines: u32,
    /// Products that they go over.
    pub transfers_products: u32,
    /// Orders in one request of `batch-orders`.
    pub order_batch: usize,
    /// Orders that wait when a repetition of `claims` or `batch-claims` begins.
    pub waiting: u64,
    /// Commands in one request of `batch-claims`.
    pub claim_commands: usize,
    /// Orders that each of these commands claims.
    pub claim_count: usize,
    /// Carts that are filled before a repetition of `checkouts` or `batch-checkouts`, and checked out in it.
    pub carts: u64,
    /// How requests of `holds` and `batch-holds` are spread over the SKUs.
    pub skew: Skew,
    /// What the numbers are drawn from.
    pub seed: u64,
    /// Threads of the client.
    pub threads: usize,
    /// How long a timed load runs before it counts.
    pub warm_up: Duration,
    /// How long it counts.
    pub measured: Duration,
    /// How often everything is measured.
    pub repetitions: usize,
    /// Whether standard error stays silent.
    pub quiet: bool,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            workloads: Workload::ALL.to_vec(),
            connections: 64,
            skus: 10_000,
            batch: 1_000,
            batch_connections: 4,
            batch_skus: 1_000_000,
            transfer: vec![(1_000, 20), (30_000, 5)],
            transfers: 1_000,
            transfers_lines: 1_000,
            transfers_products: 5_000,
            order_batch: 100,
            waiting: 1_000_000,
            claim_commands: 10,
            claim_count: 100,
            carts: 100_000,
            skew: Skew::Uniform,
            seed: 1,
            threads: 1,
            warm_up: Duration::from_secs(1),
            measured: Duration::from_secs(4),
            repetitions: 3,
            quiet: false,
        }
    }
}

/// A load on a server that is already there.
#[derive(Clone, Debug)]
pub struct Options {
    /// The server.
    pub target: Target,
    /// The folder whose file system and disk the report names: that of the server's data, where it is known.
    pub data: PathBuf,
    /// The loads.
    pub sizes: Sizes,
}

/// A comparison with servers of its own.
#[derive(Clone, Debug)]
pub struct CompareOptions {
    /// The `jaego` binary.
    pub program: PathBuf,
    /// The folder that gets `BENCHMARKS.md` and `benchmarks/*.svg`; nothing is written without one.
    pub docs: Option<PathBuf>,
    /// The command that the page names as its origin.
    pub command: String,
    /// The loads.
    pub sizes: Sizes,
}

impl Sizes {
    pub(crate) fn check(&self) -> Result<(), Error> {
        let skus_max = SKUS_MAX as usize;
        within("connections", self.connections, 1, CONNECTIONS_MAX)?;
        within("batch-connections", self.batch_connections, 1, CONNECTIONS_MAX)?;
        within("threads", self.threads, 1, THREADS_MAX)?;
        within("batch", self.batch, 2, BATCH_HOLDS_MAX)?;
        within("skus", self.skus as usize, 1, skus_max)?;
        within("batch-skus", self.batch_skus as usize, self.batch, skus_max)?;
        for (lines, count) in &self.transfer {
            within("lines of a transfer", *lines as usize, 1, TRANSFER_LINES_MAX as usize)?;
            within("transfers", usize::try_from(*count).unwrap_or(usize::MAX), 1, 100_000)?;
        }
        within("lines of the transfers", self.transfers_lines as usize, 1, TRANSFER_LINES_MAX as usize)?;
        within("products", self.transfers_products as usize, self.transfers_lines as usize, skus_max)?;
        within("transfers", usize::try_from(self.transfers).unwrap_or(usize::MAX), 1, 100_000)?;
        if self.has(&[Workload::Orders, Workload::BatchOrders]) {
            within("skus", self.skus as usize, ORDER_LINES_MAX + 1, skus_max)?;
        }
        within("order-batch", self.order_batch, 2, BATCH_ORDERS_MAX)?;
        within("claim-commands", self.claim_commands, 2, BATCH_CLAIMS_MAX)?;
        within("claim-count", self.claim_count, 1, CLAIMS_MAX)?;
        // No request asks for more than waits, the largest count of one command included.
        let claims = self.claim_commands.saturating_mul(self.claim_count);
        within("claims of a request", claims, 2, BATCH_CLAIMS_MAX)?;
        if self.has(&[Workload::Claims, Workload::BatchClaims]) {
            let waiting = usize::try_from(self.waiting).unwrap_or(usize::MAX);
            within("waiting", waiting, claims.max(CLAIMS_MAX), WAITING_MAX)?;
        }
        if self.has(&[Workload::Checkouts, Workload::BatchCheckouts]) {
            let carts = usize::try_from(self.carts).unwrap_or(usize::MAX);
            within("carts", carts, self.batch, CARTS_MAX)?;
        }
        within("repetitions", self.repetitions, 1, 100)?;
        within(
            "measured milliseconds",
            usize::try_from(self.measured.as_millis()).unwrap_or(usize::MAX),
            1,
            3_600_000,
        )
    }

    fn has(&self, workloads: &[Workload]) -> bool {
        self.workloads.iter().any(|workload| workloads.contains(workload))
    }

    /// One load of this many connections.
    pub(crate) fn size(&self, connections: usize, bound: Bound) -> Size {
        Size { connections, threads: self.threads, bound }
    }

    /// One by one many connections, many at once a few.
    pub(crate) fn claim_connections(&self, reach: Reach) -> usize {
        if reach == Reach::ONE { self.connections } else { self.batch_connections }
    }

    pub(crate) fn timed(&self) -> Bound {
        Bound::Time { warm_up: self.warm_up, measured: self.measured }
    }

    pub(crate) fn settings(&self) -> Vec<(String, String)> {
        let workloads: Vec<&str> = self.workloads.iter().map(|workload| workload.name()).collect();
        let setting = |name: &str, value: String| (name.to_owned(), value);
        vec![
            setting("workloads", workloads.join(", ")),
            setting("repetitions", self.repetitions.to_string()),
            setting("warm-up", format!("{} s", self.warm_up.as_secs_f64())),
            setting("measured", format!("{} s a repetition", self.measured.as_secs_f64())),
            setting("client threads", self.threads.to_string()),
            setting("skew", self.skew.to_string()),
            setting("seed", self.seed.to_string()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workloads_are_read_as_they_are_named() {
        for workload in Workload::ALL {
            assert_eq!(workload.to_string().parse(), Ok(workload));
        }
        let error = "trades".parse::<Workload>().unwrap_err();
        assert!(error.contains("batch-holds, holds, hot"), "{error}");
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        Sizes::default().check().unwrap();
        let sizes = Sizes { connections: 0, ..Sizes::default() };
        assert_eq!(sizes.check().unwrap_err().to_string(), "connections is 0, and must be from 1 to 4096");
        let sizes = Sizes { batch_skus: 10, ..Sizes::default() };
        assert!(sizes.check().unwrap_err().to_string().starts_with("batch-skus is 10"));
        let sizes = Sizes { skus: 20, ..Sizes::default() };
        assert_eq!(sizes.check().unwrap_err().to_string(), "skus is 20, and must be from 21 to 10000000");
        let sizes = Sizes { waiting: 999, ..Sizes::default() };
        assert!(sizes.check().unwrap_err().to_string().starts_with("waiting is 999"));
        let sizes = Sizes { carts: 999, ..Sizes::default() };
        assert!(sizes.check().unwrap_err().to_string().starts_with("carts is 999"));
        let sizes = Sizes { claim_commands: 1_000, claim_count: 1_000, ..Sizes::default() };
        assert!(sizes.check().unwrap_err().to_string().starts_with("claims of a request is 1000000"));
    }
}
