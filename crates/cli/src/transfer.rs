//! `jaego transfer`: goods from one site to another.

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use jaego_api::{
    limits::PAGE_MAX,
    list::List,
    movement::{Account, Movement},
    outcome::Outcome,
    transfer::{ExplainedLine, Transfer, TransferSummary},
};
use serde_json::{Map, Value, json};

use crate::{
    claim::{Lease, Worker, claimed},
    exit::Usage,
    lines::{Line, TypedLines, counted, parts},
    master::said,
    outcome,
    page::{Page, Period},
    remote::{Remote, Service, print},
    rows::{Column, Kind, needed, optional},
    stock::candidates,
    table::{Table, right},
};

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    remote: Remote,
    #[command(subcommand)]
    command: Command,
}

/// What most actions on a transfer have in common.
#[derive(Args)]
struct Action {
    transfer: String,
    /// All, or these lines.
    #[arg(value_name = "LINE[=QUANTITY]")]
    lines: Vec<Line>,
    #[command(flatten)]
    key: Key,
}

#[derive(Args)]
struct Key {
    /// A request key, so that giving it again does it once.
    #[arg(long)]
    key: Option<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Request a transfer: jaego transfer request T1 --from ICN --to GMP mug=8
    Request {
        /// The transfer's id: it is requested once, however often it is given.
        id: String,
        /// The site that gives.
        #[arg(long)]
        from: String,
        /// The site that gets.
        #[arg(long)]
        to: String,
        /// Higher is sooner [default: 0]
        #[arg(long, value_name = "NUMBER")]
        priority: Option<u32>,
        #[command(flatten)]
        lines: TypedLines,
    },
    /// List transfers.
    List {
        /// requested, partially_allocated, allocated, picking, shipped, received, closed or cancelled
        #[arg(long)]
        status: Option<String>,
        #[arg(long)]
        from: Option<String>,
        #[arg(long)]
        to: Option<String>,
        /// Of which this worker has claimed picks.
        #[arg(long)]
        worker: Option<String>,
        #[command(flatten)]
        requested: Period,
        #[command(flatten)]
        page: Page,
    },
    /// Show a transfer with its lines.
    Show { transfer: String },
    /// Allocate what it lacks, all or these lines: 1, 1=3, 1@A-01=3
    Allocate {
        #[command(flatten)]
        action: Action,
        /// How positions are chosen: fefo, fifo, pick_order, fewest_locations, smallest_first or explicit [default: the site's own way]
        #[arg(long)]
        strategy: Option<String>,
        /// Whether a part is better than nothing: allow or forbid [default: allow]
        #[arg(long)]
        partial: Option<String>,
        /// Only say what would be allocated.
        #[arg(long)]
        dry_run: bool,
    },
    /// Release what is allocated and not picked.
    Release(Action),
    /// Cancel a transfer that holds nothing.
    Cancel {
        transfer: String,
        /// Release what it holds, in the same decision.
        #[arg(long)]
        release: bool,
        #[command(flatten)]
        key: Key,
    },
    /// Pick allocated goods into staging: all, or 1=3, 1@A-01=3, 1=3,not_found=1, 1=3,damaged=1
    Pick {
        #[command(flatten)]
        action: Action,
        /// Where they are put [default: the site's first staging location]
        #[arg(long, value_name = "LOCATION")]
        staging: Option<String>,
        /// Under whose claim: without lines, all in its zones.
        #[arg(long, requires = "fence")]
        worker: Option<String>,
        /// The fence that came with the claim.
        #[arg(long, requires = "worker")]
        fence: Option<u64>,
    },
    /// Claim for a worker what a transfer has to pick.
    Claim {
        transfer: String,
        #[command(flatten)]
        worker: Worker,
        /// In which zone; '' is the zone of locations in none [default: all that nobody has claimed]
        #[arg(long)]
        zone: Option<String>,
        #[command(flatten)]
        lease: Lease,
    },
    /// Give claims on the picks of a transfer a new life, counted from now.
    Extend {
        transfer: String,
        #[command(flatten)]
        worker: Worker,
        /// The fence that came with the claims.
        #[arg(long)]
        fence: u64,
        /// In which zone [default: all that were claimed under this fence]
        #[arg(long)]
        zone: Option<String>,
        #[command(flatten)]
        lease: Lease,
    },
    /// Give claims on the picks of a transfer up: the work waits for others.
    Unclaim {
        transfer: String,
        #[command(flatten)]
        worker: Worker,
        /// The fence that came with the claims.
        #[arg(long)]
        fence: u64,
        /// In which zone [default: all that were claimed under this fence]
        #[arg(long)]
        zone: Option<String>,
    },
    /// Take staged goods back to their bins.
    Unpick {
        #[command(flatten)]
        action: Action,
        /// To which bin [default: where it came from]
        #[arg(long, value_name = "LOCATION")]
        to: Option<String>,
    },
    /// Ship staged goods.
    Ship {
        transfer: String,
        /// The shipment's id: it is shipped once, however often it is given.
        shipment: String,
        #[arg(value_name = "LINE[=QUANTITY]")]
        lines: Vec<Line>,
    },
    /// Receive what is on the way: all in good order, or 1=3, 1=3,damaged=1
    Receive {
        #[command(flatten)]
        action: Action,
        /// Where good goods are put [default: the site's first receiving location]
        #[arg(long, value_name = "LOCATION")]
        location: Option<String>,
        /// Where damaged goods are put [default: the site's first quarantine location]
        #[arg(long, value_name = "LOCATION")]
        quarantine: Option<String>,
    },
    /// End it: give up what was not shipped, write off what did not arrive.
    Close {
        transfer: String,
        #[command(flatten)]
        key: Key,
    },
    /// Say why lines are not allocated: where their goods are, and who holds them.
    Explain {
        transfer: String,
        /// Only this line.
        #[arg(long)]
        line: Option<String>,
    },
}

const COLUMNS: &[Column] = &[
    optional("line", Kind::Text),
    needed("sku", Kind::Text),
    needed("quantity", Kind::Whole),
    optional("lot", Kind::Text),
];

pub(crate) fn run(options: &Options) -> Result<()> {
    options.remote.run(async |service: Service| match &options.command {
        Command::Request { id, from, to, priority, lines } => {
            let mut lines = lines.read(COLUMNS, "quantity")?;
            name_lines(&mut lines)?;
            let count = lines.len();
            let fields = json!({ "id": id, "from": from, "to": to, "priority": priority, "lines": lines });
            let what = format!("transfer {id} with {} is requested", counted(count as u64, "line"));
            service.submit("request_transfer", &said(fields), |done| outcome::text(&what, done)).await
        }
        Command::List { status, from, to, worker, requested, page } => {
            let filter = [
                ("status", status.as_deref()),
                ("from", from.as_deref()),
                ("to", to.as_deref()),
                ("worker", worker.as_deref()),
                ("since", requested.since.as_deref()),
                ("until", requested.until.as_deref()),
            ];
            page.show(&service, "transfers", &filter, summaries).await
        }
        Command::Show { transfer } => service.show("transfer", &[("transfer", transfer)], text).await,
        Command::Explain { transfer, line } => {
            let mut parameters = vec![("transfer", &**transfer)];
            parameters.extend(line.as_deref().map(|line| ("line", line)));
            service.show("explain", &parameters, |list: &List<ExplainedLine>| explained(&list.items)).await
        }
        Command::Allocate { action, strategy, partial, dry_run } => {
            let rest = json!({ "strategy": strategy, "partial": partial, "dry_run": dry_run });
            let lines = parts(&action.lines, "quantity")?;
            let named = lines.is_some();
            let transfer = &action.transfer;
            let say = |outcome: &Outcome| {
                if *dry_run {
                    let what = format!("transfer {transfer} would get this; nothing was changed");
                    return outcome::dry_text(&what, outcome);
                }
                let done = match (named, outcome.shortages.is_empty()) {
                    (true, true) => "has these lines allocated",
                    (false, true) => "is allocated",
                    (_, false) => "is partially allocated",
                };
                outcome::text(&format!("transfer {transfer} {done}"), outcome)
            };
            act_by(&service, "allocate_transfer", action, lines, rest, say).await
        }
        Command::Release(action) => {
            let lines = parts(&action.lines, "quantity")?;
            act(&service, "release_transfer", action, lines, json!({}), "is released").await
        }
        Command::Pick { action, staging, worker, fence } => {
            let lines = picked(&action.lines)?;
            let rest = json!({ "staging": staging, "worker": worker, "fence": fence });
            act(&service, "pick_transfer", action, lines, rest, "is picked").await
        }
        Command::Claim { transfer, worker: Worker { worker, key }, zone, lease } => {
            let fields = json!({
                "transfer": transfer, "worker": worker, "zone": zone, "lease_s": lease.lease, "key": key,
            });
            service.submit("claim_transfer", &said(fields), |done| claimed(worker, done)).await
        }
        Command::Extend { transfer, worker: Worker { worker, key }, fence, zone, lease } => {
            let fields = json!({
                "transfer": transfer, "worker": worker, "fence": fence, "zone": zone,
                "lease_s": lease.lease, "key": key,
            });
            service.submit("extend_transfer_claim", &said(fields), |done| claimed(worker, done)).await
        }
        Command::Unclaim { transfer, worker: Worker { worker, key }, fence, zone } => {
            let fields = json!({
                "transfer": transfer, "worker": worker, "fence": fence, "zone": zone, "key": key,
            });
            let what = format!("what transfer {transfer} has to pick waits for others");
            service.submit("unclaim_transfer", &said(fields), |done| outcome::text(&what, done)).await
        }
        Command::Unpick { action, to } => {
            let lines = parts(&action.lines, "quantity")?;
            act(&service, "unpick_transfer", action, lines, json!({ "to": to }), "is unpicked").await
        }
        Command::Receive { action, location, quarantine } => {
            let rest = json!({ "location": location, "quarantine": quarantine });
            receive(&service, action, rest).await
        }
        Command::Ship { transfer, shipment, lines } => {
            let fields =
                json!({ "transfer": transfer, "shipment": shipment, "lines": parts(lines, "quantity")? });
            let what = format!("transfer {transfer} is shipped as {shipment}");
            service.submit("ship_transfer", &said(fields), |done| outcome::text(&what, done)).await
        }
        Command::Cancel { transfer, release, key } => {
            let fields = json!({ "transfer": transfer, "release": release, "key": key.key });
            let what = format!("transfer {transfer} is cancelled");
            service.submit("cancel_transfer", &said(fields), |done| outcome::text(&what, done)).await
        }
        Command::Close { transfer, key } => {
            let fields = json!({ "transfer": transfer, "key": key.key });
            let what = format!("transfer {transfer} is closed");
            service.submit("close_transfer", &said(fields), |done| outcome::text(&what, done)).await
        }
    })
}

/// Receives, and tells what was more than was on the way.
async fn receive(service: &Service, action: &Action, rest: Value) -> Result<()> {
    let fields = fields(action, arrived(&action.lines)?, rest);
    let outcome = service.client.submit("receive_transfer", &fields).await?;
    let mut text = outcome::text(&format!("transfer {} is received", action.transfer), &outcome);
    if !service.json {
        // It is received, whether or not the rest can be told.
        match surplus(service, &action.transfer, &outcome).await {
            Ok(0) => {}
            Ok(surplus) => text += &format!("{surplus} more than were on the way, booked as found\n"),
            Err(error) => {
                eprintln!("jaego: whether more came than was on the way is not known: {error:#}");
            }
        }
        return print(&text);
    }
    print(&format!("{}\n", serde_json::to_string(&outcome).context("cannot write the answer")?))
}

/// How many units a receipt booked as found.
async fn surplus(service: &Service, transfer: &str, outcome: &Outcome) -> Result<u64> {
    let (since, limit) = (outcome.at.to_string(), PAGE_MAX.to_string());
    let mut after: Option<String> = None;
    let mut surplus = 0;
    loop {
        let mut filter = vec![("document", transfer), ("since", &*since), ("limit", &*limit)];
        filter.extend(after.as_deref().map(|after| ("after", after)));
        let page: List<Movement> = service.client.read("movements", &filter).await?;
        let event = format!("{}.", outcome.sequence);
        let is_found = |movement: &&Movement| {
            movement.id.starts_with(&event)
                && matches!(&movement.from, Account::Outside { outside } if &**outside == "found")
        };
        surplus += page.items.iter().filter(is_found).map(|movement| movement.quantity).sum::<u64>();
        after = page.next;
        if after.is_none() {
            return Ok(surplus);
        }
    }
}

async fn act(
    service: &Service,
    op: &str,
    action: &Action,
    lines: Option<Vec<Value>>,
    rest: Value,
    done: &str,
) -> Result<()> {
    let what = format!("transfer {} {done}", action.transfer);
    act_by(service, op, action, lines, rest, |outcome| outcome::text(&what, outcome)).await
}

/// Acts, and says by the outcome what was done.
async fn act_by(
    service: &Service,
    op: &str,
    action: &Action,
    lines: Option<Vec<Value>>,
    rest: Value,
    say: impl Fn(&Outcome) -> String,
) -> Result<()> {
    service.submit(op, &fields(action, lines, rest), say).await
}

fn fields(action: &Action, lines: Option<Vec<Value>>, rest: Value) -> Value {
    let mut fields = json!({ "transfer": action.transfer, "lines": lines, "key": action.key.key });
    if let (Value::Object(fields), Value::Object(rest)) = (&mut fields, rest) {
        fields.extend(rest);
    }
    said(fields)
}

/// Lines without a name get their number.
fn name_lines(lines: &mut [Map<String, Value>]) -> Result<()> {
    for (index, line) in lines.iter_mut().enumerate() {
        if let Some(location) = line.get("location") {
            let what = format!("a transfer's line has no location when it is requested: {location}");
            return Err(Usage(what).into());
        }
        line.entry("line").or_insert_with(|| (index + 1).to_string().into());
    }
    Ok(())
}

/// Such as `damaged=1`.
type Extra = Option<(String, i64)>;

fn with_quantity(line: &Line) -> Result<(Map<String, Value>, Extra)> {
    if line.quantity.is_none() {
        return Err(Usage(format!(
            "how much of line {}? Say {}=QUANTITY, or no lines for all",
            line.name, line.name
        ))
        .into());
    }
    let mut plain = line.clone();
    let extra = plain.extra.take();
    Ok((plain.fields("line", "quantity")?, extra))
}

fn picked(lines: &[Line]) -> Result<Option<Vec<Value>>> {
    let lines: Result<Vec<_>> = lines
        .iter()
        .map(|line| {
            let (mut fields, short) = with_quantity(line)?;
            if let Some((reason, quantity)) = short {
                fields.insert("short".to_owned(), json!({ "quantity": quantity, "reason": reason }));
            }
            Ok(Value::Object(fields))
        })
        .collect();
    Ok(Some(lines?).filter(|lines| !lines.is_empty()))
}

fn arrived(lines: &[Line]) -> Result<Option<Vec<Value>>> {
    let lines: Result<Vec<_>> = lines
        .iter()
        .map(|line| {
            let (mut fields, extra) = with_quantity(line)?;
            match extra {
                None => {}
                Some((word, quantity)) if word == "damaged" => {
                    fields.insert(word, quantity.into());
                }
                Some((word, _)) => {
                    return Err(Usage(format!("{word} has no meaning here, only damaged")).into());
                }
            }
            Ok(Value::Object(fields))
        })
        .collect();
    Ok(Some(lines?).filter(|lines| !lines.is_empty()))
}

fn summaries(transfers: &[TransferSummary]) -> Table {
    let mut table = Table::new(&[
        "TRANSFER",
        "FROM",
        "TO",
        "STATUS",
        right!("LINES"),
        right!("REQUESTED"),
        right!("ALLOCATED"),
        right!("PICKED"),
        right!("SHIPPED"),
        right!("RECEIVED"),
    ]);
    for transfer in transfers {
        let totals = &transfer.totals;
        table.row([
            &transfer.id,
            &transfer.from,
            &transfer.to,
            transfer.status.as_str(),
            &transfer.line_count.to_string(),
            &totals.requested.to_string(),
            &totals.allocated.to_string(),
            &totals.picked.to_string(),
            &totals.shipped.to_string(),
            &totals.received.to_string(),
        ]);
    }
    table
}

fn text(transfer: &Transfer) -> String {
    let summary = &transfer.summary;
    let mut text = format!(
        "transfer   {}\nfrom       {}\nto         {}\nstatus     {}\npriority   {}\nrequested  {}\n",
        summary.id,
        summary.from,
        summary.to,
        summary.status.as_str(),
        summary.priority,
        summary.requested_at
    );
    // Columns that no line fills stay empty, and the table leaves them out.
    let number = |quantity: u64| if quantity == 0 { String::new() } else { quantity.to_string() };
    let mut lines = Table::new(&[
        "LINE",
        "SKU",
        "LOT",
        right!("REQUESTED"),
        right!("ALLOCATED"),
        right!("PICKED"),
        right!("SHIPPED"),
        right!("IN TRANSIT"),
        right!("RECEIVED"),
        right!("DAMAGED"),
        right!("LOST"),
        right!("GIVEN UP"),
    ]);
    let mut held = Table::new(&["LINE", "SITE", "LOCATION", "LOT", right!("QUANTITY"), ""]);
    for line in &transfer.lines {
        let totals = &line.totals;
        lines.row([
            &line.line,
            &line.sku,
            line.lot.as_deref().unwrap_or_default(),
            &line.quantity.to_string(),
            &number(totals.allocated),
            &number(totals.picked),
            &number(totals.shipped),
            &number(totals.in_transit),
            &number(totals.received),
            &number(totals.damaged),
            &number(totals.lost),
            &number(totals.closed_short),
        ]);
        let kinds = [(&line.picks, "allocated"), (&line.staged, "picked")];
        for (pick, kind) in kinds.iter().flat_map(|(picks, kind)| picks.iter().map(move |pick| (pick, kind)))
        {
            let lot = pick.lot.as_deref().unwrap_or_default();
            held.row([&line.line, &pick.site, &pick.location, lot, &pick.quantity.to_string(), kind]);
        }
    }
    let mut picking = Table::new(&["ZONE", right!("LINES"), "WORKER", right!("FENCE"), "UNTIL"]);
    for work in &transfer.picking {
        let (worker, fence, until) = match &work.claim {
            Some(claim) => (&*claim.worker, claim.fence.to_string(), claim.expires_at.to_string()),
            None => Default::default(),
        };
        picking.row([&work.zone, &work.line_count.to_string(), worker, &fence, &until]);
    }
    text += &lines.text();
    text += &held.text_if_any("holds:");
    text + &picking.text_if_any("to pick:")
}

pub(crate) fn explained(lines: &[ExplainedLine]) -> String {
    let mut text = String::new();
    for line in lines {
        text += &format!(
            "line {}: {} of {} asked for, {} still open, {} available\n",
            line.line, line.requested, line.sku, line.open, line.available
        );
        text += &candidates(&line.candidates);
        let left_out = line.candidate_count.saturating_sub(line.candidates.len());
        if left_out > 0 {
            text += &format!("and {left_out} more positions\n");
        }
    }
    if text.is_empty() { "every line is allocated\n".to_owned() } else { text }
}
