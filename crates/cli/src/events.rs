//! `jaego events` and `jaego status`: what happens, and how the store is doing.

use anyhow::{Context, Result};
use clap::Args;
use jaego_api::{event::Event, list::List, status::Status};

use crate::remote::{Remote, Service, print};

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    remote: Remote,
    /// After this event; with --follow and without this, from now on.
    #[arg(long, value_name = "SEQUENCE")]
    after: Option<u64>,
    /// Only of these kinds, with commas between them: held,transfer_allocated
    #[arg(long, value_name = "KINDS", value_delimiter = ',')]
    kind: Vec<String>,
    /// Events at the most, from 1 to 1000.
    #[arg(long, value_name = "EVENTS", default_value = "100", conflicts_with = "follow")]
    limit: String,
    /// Wait for more, until Ctrl-C.
    #[arg(long)]
    follow: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    options.remote.run(async |service: Service| {
        if options.follow { follow(&service, options).await } else { page(&service, options).await }
    })
}

async fn page(service: &Service, options: &Options) -> Result<()> {
    let after = options.after.unwrap_or(0).to_string();
    let kinds = options.kind.join(",");
    let mut parameters = vec![("after", &*after), ("limit", &*options.limit)];
    parameters.extend((!kinds.is_empty()).then_some(("kind", &*kinds)));
    service
        .show("events", &parameters, |list: &List<Event>| {
            if let Some(next) = &list.next {
                eprintln!("there may be more: --after {next}");
            }
            list.items.iter().map(line).collect()
        })
        .await
}

async fn follow(service: &Service, options: &Options) -> Result<()> {
    let after = match options.after {
        Some(after) => after,
        None => service.client.status().await?.durable,
    };
    let kinds: Vec<&str> = options.kind.iter().map(String::as_str).collect();
    let mut events = service.client.events(after, &kinds);
    loop {
        let event = events.next().await?;
        if service.json {
            print(&format!("{}\n", serde_json::to_string(&event).context("cannot write an event")?))?;
        } else {
            print(&line(&event))?;
        }
    }
}

fn line(event: &Event) -> String {
    let mut line = format!("{:>8}  {}  {:<20}  {:<12}", event.sequence, event.at, event.kind, event.by);
    if let Some(document) = &event.document {
        line += &format!("  {} {}", document.kind, document.id);
    }
    for pick in &event.picks {
        line += &format!("  {} {} @{}", pick.quantity, pick.sku, pick.location);
    }
    for short in &event.shortages {
        line += &format!("  short {} {}", short.requested.saturating_sub(short.available), short.sku);
    }
    let lapsed = match &*event.kind {
        "claims_lapsed" => "order",
        "carts_lapsed" => "cart",
        _ => "hold",
    };
    for id in &event.lapsed {
        line += &format!("  {lapsed} {id}");
    }
    for claim in &event.claims {
        line += &format!("  {} until {}", claim.work(), claim.expires_at());
    }
    if let Some(kind) = &event.proposal_kind {
        line += &format!("  {}", kind.as_str());
    }
    for closed in &event.closed {
        line += &format!("  closed {} ({})", closed.proposal, closed.reason.as_str());
    }
    for order in &event.filled {
        line += &format!("  order {order}");
    }
    for work in &event.returned {
        line += &format!("  {}/{}", work.transfer, work.zone);
    }
    for watched in &event.watched {
        let what = if watched.low { "low" } else { "recovered" };
        line += &format!("  {} at {} is {what}: {}", watched.sku, watched.site, watched.available);
    }
    line.truncate(line.trim_end().len());
    line.push('\n');
    line
}

#[derive(Args)]
pub(crate) struct StatusOptions {
    #[command(flatten)]
    remote: Remote,
}

pub(crate) fn status(options: &StatusOptions) -> Result<()> {
    options.remote.run(async |service: Service| service.show("status", &[], status_text).await)
}

fn status_text(status: &Status) -> String {
    let state = match (&status.failed, status.full, status.ready) {
        (Some(detail), ..) => format!("failed: {detail}"),
        (None, true, _) => "full: it reads, and refuses writes".to_owned(),
        (None, false, true) => "ready".to_owned(),
        (None, false, false) => "not ready yet".to_owned(),
    };
    format!(
        "state       {state}\nversion     {}\nevents      {} decided, {} durable\nqueue       {} of {}\n\
         positions   {}\nopen holds  {}\norders      {} waiting, {} claimed\nbackorders  {} lines\npicks       {} waiting, {} claimed\n\
         wallets     {}\nauthorized  {} open\ncards       {}\nproposals   {} open\ncarts       {} open\narchived    {}, {} still in memory\nexpiry lag  {} ms\nkeys        {}\n",
        status.version,
        status.sequence,
        status.durable,
        status.queue_len,
        status.queue_len_max,
        status.positions,
        status.open_holds,
        status.waiting_orders,
        status.claimed_orders,
        status.waiting_lines,
        status.waiting_picks,
        status.claimed_picks,
        status.wallets,
        status.open_authorizations,
        status.cards,
        status.open_proposals,
        status.open_carts,
        status.archived,
        status.leaving,
        status.expiry_lag_ms,
        status.keys,
    )
}
