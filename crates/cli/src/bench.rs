//! `jaego bench`: loads, measured; beside Redis and PostgreSQL on servers of their own, or on a server that runs.

use std::{
    env,
    net::{SocketAddr, ToSocketAddrs},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, Result};
use clap::Args;
use jaego_bench::{CompareOptions, Sizes, Skew, Target, Workload, compare};

use crate::{
    exit::{FAILURE, Told, Usage},
    remote::{Remote, print},
};

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    remote: Remote,
    /// Load the server at --url instead of private ones. It gets SKUs and sites named bench-…, and keeps them.
    #[arg(long)]
    here: bool,
    /// Write BENCHMARKS.md and its charts into this folder.
    #[arg(long, value_name = "FOLDER", conflicts_with = "here")]
    docs: Option<PathBuf>,
    /// What is run: batch-holds, holds, hot, transfer, transfers, orders,
    /// batch-orders, claims, batch-claims, checkouts, batch-checkouts [default: all]
    #[arg(long = "workload", value_name = "WORKLOAD", value_delimiter = ',')]
    workloads: Vec<Workload>,
    /// Connections of holds, hot, transfers, orders, claims and checkouts [default: 64]
    #[arg(long)]
    connections: Option<usize>,
    /// SKUs of holds and of orders [default: 10000]
    #[arg(long)]
    skus: Option<u32>,
    /// Holds in one request of batch-holds, checkouts in one of batch-checkouts [default: 1000]
    #[arg(long)]
    batch: Option<usize>,
    /// SKUs of batch-holds [default: 1000000]
    #[arg(long)]
    batch_skus: Option<u32>,
    /// Orders in one request of batch-orders [default: 100]
    #[arg(long)]
    order_batch: Option<usize>,
    /// Orders that wait before claims and batch-claims [default: 1000000]
    #[arg(long)]
    waiting: Option<u64>,
    /// Commands in one request of batch-claims [default: 10]
    #[arg(long)]
    claim_commands: Option<usize>,
    /// Orders that each of these commands claims [default: 100]
    #[arg(long)]
    claim_count: Option<usize>,
    /// Carts that each repetition of checkouts and batch-checkouts checks out [default: 100000]
    #[arg(long)]
    carts: Option<u64>,
    /// How requests spread over the SKUs: uniform, zipf or zipf:EXPONENT [default: uniform]
    #[arg(long)]
    skew: Option<Skew>,
    /// What the numbers are drawn from [default: 1]
    #[arg(long)]
    seed: Option<u64>,
    /// How long a timed load counts, in seconds [default: 4]
    #[arg(long, value_name = "SECONDS")]
    measured: Option<u64>,
    /// How often everything is measured [default: 3]
    #[arg(long)]
    repetitions: Option<usize>,
}

impl Options {
    fn sizes(&self) -> Sizes {
        let usual = Sizes::default();
        Sizes {
            workloads: if self.workloads.is_empty() { usual.workloads } else { self.workloads.clone() },
            connections: self.connections.unwrap_or(usual.connections),
            skus: self.skus.unwrap_or(usual.skus),
            batch: self.batch.unwrap_or(usual.batch),
            batch_skus: self.batch_skus.unwrap_or(usual.batch_skus),
            order_batch: self.order_batch.unwrap_or(usual.order_batch),
            waiting: self.waiting.unwrap_or(usual.waiting),
            claim_commands: self.claim_commands.unwrap_or(usual.claim_commands),
            claim_count: self.claim_count.unwrap_or(usual.claim_count),
            carts: self.carts.unwrap_or(usual.carts),
            skew: self.skew.unwrap_or(usual.skew),
            seed: self.seed.unwrap_or(usual.seed),
            measured: self.measured.map_or(usual.measured, Duration::from_secs),
            repetitions: self.repetitions.unwrap_or(usual.repetitions),
            ..usual
        }
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let sizes = options.sizes();
    let report = if options.here {
        let (url, token, _) = options.remote.address()?;
        let target = Target { addr: address(&url)?, token };
        jaego_bench::run(&jaego_bench::Options { target, data: ".".into(), sizes })
    } else {
        let program = env::current_exe().context("cannot find this program's own file")?;
        let command: Vec<_> =
            env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
        let command = format!("jaego {}", command.join(" "));
        compare(&CompareOptions { program, docs: options.docs.clone(), command, sizes })
    };
    let report = report.context("cannot measure")?;
    let text = if options.remote.is_json() { report.to_json() + "\n" } else { report.to_table() };
    print(&text)?;
    match report.is_valid() {
        true => Ok(()),
        false => Err(Told(FAILURE).into()),
    }
}

fn address(url: &str) -> Result<SocketAddr> {
    let bad = || Usage(format!("the URL {url} is not http://host:port, which is what is measured"));
    let host = url.strip_prefix("http://").ok_or_else(bad)?.trim_end_matches('/');
    let found = host.to_socket_addrs().with_context(|| format!("cannot find {host}"))?.next();
    found.ok_or_else(|| bad().into())
}
