//! `jaego order`: what customers ordered.

use anyhow::Result;
use clap::{Args, Subcommand};
use jaego_api::{
    list::List,
    order::{Order, OrderSummary},
    outcome::Outcome,
    transfer::ExplainedLine,
};
use serde_json::{Map, Value, json};

use crate::{
    exit::Usage,
    lines::TypedLines,
    master::said,
    outcome,
    page::{Page, Period},
    remote::{Remote, Service},
    rows::{Column, Kind, needed, optional},
    table::{Table, right},
    transfer::explained,
};

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    remote: Remote,
    #[command(subcommand)]
    command: Command,
}

#[derive(Args)]
struct Action {
    order: String,
    /// A request key, so that giving it again does it once.
    #[arg(long)]
    key: Option<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Place an order: jaego order place O1 --site ICN mug=4 cup=2
    Place {
        /// The order's id: it is placed once, however often it is given.
        id: String,
        /// The site that fulfils it.
        #[arg(long)]
        site: String,
        /// Who ordered.
        #[arg(long)]
        customer: Option<String>,
        /// Higher is sooner [default: 0]
        #[arg(long, value_name = "NUMBER")]
        priority: Option<u32>,
        /// Wait for what there is too little of, instead of being refused.
        #[arg(long)]
        backorder: bool,
        #[command(flatten)]
        lines: TypedLines,
    },
    /// List orders, the oldest first.
    List {
        #[arg(long)]
        site: Option<String>,
        /// waiting, processing, completed or cancelled
        #[arg(long)]
        status: Option<String>,
        #[arg(long)]
        customer: Option<String>,
        /// Claimed or completed by this worker.
        #[arg(long)]
        worker: Option<String>,
        /// Whether all that was ordered is held: true or false
        #[arg(long)]
        allocated: Option<bool>,
        #[command(flatten)]
        placed: Period,
        #[command(flatten)]
        page: Page,
    },
    /// Show an order with its lines.
    Show { order: String },
    /// Allocate what an order lacks; goods of a blocked or an expired lot are given back, and others taken.
    Allocate(Action),
    /// Cancel an order: what it holds is released, a claim on it is void, and what was paid for it is refunded.
    Cancel(Action),
    /// Refund what was paid for an order, or a part of it; the order stays as it is.
    Refund {
        #[command(flatten)]
        action: Action,
        /// How much, in the currency's minor unit; all that was not refunded yet if not said.
        #[arg(long)]
        amount: Option<u64>,
        /// Why.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Complete an order: its goods go to the customer.
    Complete {
        #[command(flatten)]
        action: Action,
        /// Who claimed it, if somebody did.
        #[arg(long, requires = "fence")]
        worker: Option<String>,
        /// The fence that came with the claim.
        #[arg(long, requires = "worker")]
        fence: Option<u64>,
    },
    /// Say why lines are not allocated: where their goods are, and who holds them.
    Explain {
        order: String,
        /// Only the line of this number.
        #[arg(long)]
        line: Option<String>,
    },
    /// Say when the orders of a site are allocated: on_arrival, on_demand or at_completion
    Allocation { site: String, allocation: String },
}

const COLUMNS: &[Column] =
    &[needed("sku", Kind::Text), needed("quantity", Kind::Whole), optional("lot", Kind::Text)];

pub(crate) fn run(options: &Options) -> Result<()> {
    options.remote.run(async |service: Service| match &options.command {
        Command::Place { id, site, customer, priority, backorder, lines } => {
            let lines = lines.read(COLUMNS, "quantity")?;
            without_locations(&lines)?;
            let fields = json!({
                "id": id, "site": site, "customer": customer, "priority": priority, "backorder": backorder,
                "lines": lines,
            });
            let what = format!("order {id} is placed");
            service.submit("place_order", &said(fields), |done| outcome::text(&what, done)).await
        }
        Command::List { site, status, customer, worker, allocated, placed, page } => {
            let allocated = allocated.map(|allocated| allocated.to_string());
            let filter = [
                ("site", site.as_deref()),
                ("status", status.as_deref()),
                ("customer", customer.as_deref()),
                ("worker", worker.as_deref()),
                ("allocated", allocated.as_deref()),
                ("since", placed.since.as_deref()),
                ("until", placed.until.as_deref()),
            ];
            page.show(&service, "orders", &filter, summaries).await
        }
        Command::Show { order } => service.show("order", &[("order", order)], text).await,
        Command::Allocate(action) => {
            let done = |outcome: &Outcome| match (outcome.shortages.is_empty(), outcome.repeat) {
                (true, _) => "is allocated",
                (false, false) => "is partially allocated",
                // Stock may have come since, and gone to it without being asked.
                (false, true) => {
                    "got this when it was last allocated; `jaego order show` has what it holds now"
                }
            };
            act_by(&service, "allocate_order", action, json!({}), done).await
        }
        Command::Cancel(action) => act(&service, "cancel_order", action, json!({}), "is cancelled").await,
        Command::Refund { action, amount, reason } => {
            let rest = json!({ "amount": amount, "reason": reason });
            act(&service, "refund_order", action, rest, "is refunded").await
        }
        Command::Complete { action, worker, fence } => {
            let claim = json!({ "worker": worker, "fence": fence });
            act(&service, "complete_order", action, claim, "is completed").await
        }
        Command::Explain { order, line } => {
            let mut parameters = vec![("order", &**order)];
            parameters.extend(line.as_deref().map(|line| ("line", line)));
            let text = |list: &List<ExplainedLine>| explained(&list.items);
            service.show("explain_order", &parameters, text).await
        }
        Command::Allocation { site, allocation } => {
            let fields = json!({ "site": site, "allocation": allocation });
            let what = format!("orders of {site} are allocated {}", allocation.replace('_', " "));
            service.submit("set_order_allocation", &fields, |done| outcome::text(&what, done)).await
        }
    })
}

async fn act(service: &Service, op: &str, action: &Action, rest: Value, done: &'static str) -> Result<()> {
    act_by(service, op, action, rest, |_| done).await
}

/// What was done follows from what came of it. Where money came back, the wallet's balance is told.
async fn act_by(
    service: &Service,
    op: &str,
    action: &Action,
    rest: Value,
    done: impl FnOnce(&Outcome) -> &'static str,
) -> Result<()> {
    let mut fields = json!({ "order": action.order, "key": action.key });
    if let (Value::Object(fields), Value::Object(rest)) = (&mut fields, rest) {
        fields.extend(rest);
    }
    let told = |outcome: &Outcome| {
        let mut text = outcome::text(&format!("order {} {}", action.order, done(outcome)), outcome);
        if let Some(balance) = outcome.balance.filter(|_| !outcome.repeat) {
            text += &format!("the wallet has {balance} now\n");
        }
        text
    };
    service.submit(op, &said(fields), told).await
}

fn without_locations(lines: &[Map<String, Value>]) -> Result<()> {
    match lines.iter().find_map(|line| line.get("location")) {
        Some(location) => Err(Usage(format!("a line of an order has no location: {location}")).into()),
        None => Ok(()),
    }
}

fn summaries(orders: &[OrderSummary]) -> Table {
    let mut table = Table::new(&[
        "ORDER",
        "SITE",
        "STATUS",
        "CUSTOMER",
        right!("PRIORITY"),
        right!("LINES"),
        "ALLOCATED",
        "WORKER",
        "PLACED",
    ]);
    for order in orders {
        let worker = order.claim.as_ref().map(|claim| &claim.worker).or(order.completed_by.as_ref());
        table.row([
            &order.id,
            &order.site,
            order.status.as_str(),
            order.customer.as_deref().unwrap_or_default(),
            &order.priority.to_string(),
            &order.line_count.to_string(),
            if order.allocated { "yes" } else { "" },
            worker.map_or("", |worker| worker),
            &order.placed_at.to_string(),
        ]);
    }
    table
}

fn text(order: &Order) -> String {
    let summary = &order.summary;
    let mut text = format!(
        "order     {}\nsite      {}\nstatus    {}\npriority  {}\nplaced    {}\n",
        summary.id,
        summary.site,
        summary.status.as_str(),
        summary.priority,
        summary.placed_at,
    );
    if let Some(customer) = &summary.customer {
        text += &format!("customer  {customer}\n");
    }
    if let Some(sale) = &order.sale {
        text += &format!("sold      {} {}, paid {}\n", sale.total, sale.currency, sale.paid);
    }
    if let Some(claim) = &summary.claim {
        text += &format!("worker    {}, fence {}, until {}\n", claim.worker, claim.fence, claim.expires_at);
    }
    if let Some(worker) = &summary.completed_by {
        text += &format!("worker    {worker}\n");
    }
    let mut table = Table::new(&[
        "LINE",
        "SKU",
        "WANTED LOT",
        right!("QUANTITY"),
        right!("PRICE"),
        right!("ALLOCATED"),
        "LOCATION",
        "LOT",
        right!("PICK"),
    ]);
    for line in &order.lines {
        let (number, quantity) = (line.line.to_string(), line.quantity.to_string());
        let price = line.price.map(|price| price.to_string()).unwrap_or_default();
        let (lot, allocated) = (line.lot.as_deref().unwrap_or_default(), line.allocated.to_string());
        if line.picks.is_empty() {
            table.row([&number, &line.sku, lot, &quantity, &price, &allocated, "", "", ""]);
        }
        for pick in &line.picks {
            table.row([
                &number,
                &line.sku,
                lot,
                &quantity,
                &price,
                &allocated,
                &pick.location,
                pick.lot.as_deref().unwrap_or_default(),
                &pick.quantity.to_string(),
            ]);
        }
    }
    text + &table.text()
}
