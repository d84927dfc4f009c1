//! `jaego claim`: who works on which order, and who picks what of which transfer.

use anyhow::Result;
use clap::{Args, Subcommand};
use jaego_api::{outcome::Outcome, picking::Claimed};
use serde_json::json;

use crate::{
    lines::seconds,
    master::said,
    outcome,
    remote::{Remote, Service},
    table::{Table, right},
};

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    remote: Remote,
    #[command(subcommand)]
    command: Command,
}

#[derive(Args)]
pub(crate) struct Worker {
    /// For whom.
    #[arg(long)]
    pub(crate) worker: String,
    /// A request key, so that giving it again does it once.
    #[arg(long)]
    pub(crate) key: Option<String>,
}

#[derive(Args)]
pub(crate) struct Lease {
    /// How long the claim stands if nobody extends it: 90s, 10m, 2h [default: 15m]
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    pub(crate) lease: Option<u64>,
}

#[derive(Subcommand)]
enum Command {
    /// Claim the next orders or picks of a site: jaego claim next ICN --worker ann --work picks --zone A
    Next {
        site: String,
        #[command(flatten)]
        worker: Worker,
        /// orders, or picks: what transfers have to pick, each zone for itself [default: orders]
        #[arg(long)]
        work: Option<String>,
        /// Picks of this zone only; '' is the zone of locations in none.
        #[arg(long)]
        zone: Option<String>,
        /// Which ones: oldest, priority or random [default: oldest]
        #[arg(long)]
        policy: Option<String>,
        /// How many at the most [default: 1]
        #[arg(long, value_name = "NUMBER")]
        count: Option<u32>,
        #[command(flatten)]
        lease: Lease,
    },
    /// Claim this order.
    Order {
        order: String,
        #[command(flatten)]
        worker: Worker,
        #[command(flatten)]
        lease: Lease,
    },
    /// Give a claim a new life, counted from now.
    Extend {
        order: String,
        #[command(flatten)]
        worker: Worker,
        /// The fence that came with the claim.
        #[arg(long)]
        fence: u64,
        #[command(flatten)]
        lease: Lease,
    },
    /// Give a claim up: the order waits for others.
    Unclaim {
        order: String,
        #[command(flatten)]
        worker: Worker,
        /// The fence that came with the claim.
        #[arg(long)]
        fence: u64,
    },
}

pub(crate) fn run(options: &Options) -> Result<()> {
    options.remote.run(async |service: Service| match &options.command {
        Command::Next { site, worker: Worker { worker, key }, work, zone, policy, count, lease } => {
            let fields = json!({
                "site": site, "worker": worker, "work": work, "zone": zone, "policy": policy, "count": count, "lease_s": lease.lease,
                "key": key,
            });
            service.submit("claim_orders", &said(fields), |done| claimed(worker, done)).await
        }
        Command::Order { order, worker: Worker { worker, key }, lease } => {
            let fields = json!({ "order": order, "worker": worker, "lease_s": lease.lease, "key": key });
            service.submit("claim_order", &said(fields), |done| claimed(worker, done)).await
        }
        Command::Extend { order, worker: Worker { worker, key }, fence, lease } => {
            let fields = json!({
                "order": order, "worker": worker, "fence": fence, "lease_s": lease.lease, "key": key,
            });
            service.submit("extend_claim", &said(fields), |done| claimed(worker, done)).await
        }
        Command::Unclaim { order, worker: Worker { worker, key }, fence } => {
            let fields = json!({ "order": order, "worker": worker, "fence": fence, "key": key });
            let what = format!("order {order} waits for others");
            service.submit("unclaim_order", &said(fields), |done| outcome::text(&what, done)).await
        }
    })
}

/// What a worker has now, and by which fences.
pub(crate) fn claimed(worker: &str, outcome: &Outcome) -> String {
    let count = outcome.claims.len();
    let is_of_orders = outcome.claims.iter().all(|claim| claim.order().is_some());
    let (one, many) = if is_of_orders { ("order", "orders") } else { ("zone to pick", "zones to pick") };
    let text =
        outcome::text(&format!("{worker} has {count} {}", if count == 1 { one } else { many }), outcome);
    let mut table = match is_of_orders {
        true => Table::new(&["ORDER", right!("FENCE"), "UNTIL"]),
        false => Table::new(&["TRANSFER", "ZONE", right!("FENCE"), "UNTIL"]),
    };
    for claim in &outcome.claims {
        let (fence, until) = (claim.fence().to_string(), claim.expires_at().to_string());
        match claim {
            Claimed::Order(claim) => table.row([&*claim.order, &fence, &until]),
            Claimed::Picks(claim) => table.row([&*claim.transfer, &claim.zone, &fence, &until]),
        };
    }
    text + &table.text()
}
