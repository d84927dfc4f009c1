//! `jaego hold`: claims on stock.

use anyhow::Result;
use clap::{Args, Subcommand};
use jaego_api::{
    hold::{Hold, HoldSummary},
    outcome::Outcome,
};
use serde_json::{Map, Value, json};

use crate::{
    exit::Usage,
    lines::{Line, TypedLines, parts, seconds},
    master::said,
    outcome,
    page::Page,
    remote::{Remote, Service},
    rows::{Column, Kind, needed, optional},
    stock::fill,
    table::{Table, right},
};

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    remote: Remote,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Place a hold: jaego hold place H1 --site ICN mug=4 cup=2 --expires 10m
    Place {
        /// The hold's id: it is placed once, however often it is given.
        id: String,
        /// The site of the lines.
        #[arg(long)]
        site: Option<String>,
        /// How long it stands: 90s, 10m, 2h, 1d [default: until somebody ends it]
        #[arg(long, value_name = "TIME", value_parser = seconds)]
        expires: Option<u64>,
        /// Whom it is for.
        #[arg(long)]
        owner: Option<String>,
        #[command(flatten)]
        choice: StockChoice,
        #[command(flatten)]
        lines: TypedLines,
    },
    /// List open holds by what they hold, oldest first.
    List {
        #[arg(long)]
        sku: Option<String>,
        #[arg(long, requires = "sku")]
        lot: Option<String>,
        #[arg(long)]
        site: Option<String>,
        /// Whom they are for.
        #[arg(long)]
        owner: Option<String>,
        #[command(flatten)]
        page: Page,
    },
    /// Show a hold.
    Show { hold: String },
    /// Take the goods out, all or these lines: 1=2
    Confirm {
        hold: String,
        #[arg(value_name = "LINE[=QUANTITY]")]
        lines: Vec<Line>,
        /// Where they go, a location of the same site [default: to the customer]
        #[arg(long, value_name = "LOCATION")]
        to: Option<String>,
        /// Release what is not confirmed.
        #[arg(long)]
        release_rest: bool,
        /// A request key, so that giving it again does it once.
        #[arg(long)]
        key: Option<String>,
    },
    /// Give goods free again, all or these lines: 1=2
    Release {
        hold: String,
        #[arg(value_name = "LINE[=QUANTITY]")]
        lines: Vec<Line>,
        /// A request key, so that giving it again does it once.
        #[arg(long)]
        key: Option<String>,
    },
    /// Give a hold a new life, counted from now: 10m
    Extend {
        hold: String,
        #[arg(value_name = "TIME", value_parser = seconds)]
        expires: u64,
        /// A request key, so that giving it again does it once.
        #[arg(long)]
        key: Option<String>,
    },
    /// Change a hold to these lines; what it held does not count against it.
    Change {
        hold: String,
        /// The site of the lines.
        #[arg(long)]
        site: Option<String>,
        /// A request key, so that giving it again does it once.
        #[arg(long)]
        key: Option<String>,
        #[command(flatten)]
        choice: StockChoice,
        #[command(flatten)]
        lines: TypedLines,
    },
}

#[derive(Args)]
struct StockChoice {
    /// Whether a part is better than nothing: allow or forbid [default: forbid]
    #[arg(long)]
    partial: Option<String>,
    /// How positions are chosen: fefo, fifo, pick_order, fewest_locations, smallest_first or explicit [default: the site's own way]
    #[arg(long)]
    strategy: Option<String>,
}

const COLUMNS: &[Column] = &[
    optional("site", Kind::Text),
    needed("sku", Kind::Text),
    needed("quantity", Kind::Whole),
    optional("location", Kind::Text),
    optional("lot", Kind::Text),
];

pub(crate) fn run(options: &Options) -> Result<()> {
    options.remote.run(async |service: Service| match &options.command {
        Command::Place { id, site, expires, owner, choice, lines } => {
            let lines = read(lines, site.as_deref())?;
            let fields = json!({
                "id": id, "owner": owner, "lines": lines, "expires_in_s": expires,
                "partial": choice.partial, "strategy": choice.strategy,
            });
            let until = |held: &Outcome| {
                held.expires_at
                    .map_or_else(|| "until somebody ends it".to_owned(), |at| format!("until {at}"))
            };
            service
                .submit("hold", &said(fields), |held| {
                    outcome::text(&format!("hold {id} stands {}", until(held)), held)
                })
                .await
        }
        Command::List { sku, lot, site, owner, page } => {
            let filter = [
                ("sku", sku.as_deref()),
                ("lot", lot.as_deref()),
                ("site", site.as_deref()),
                ("owner", owner.as_deref()),
            ];
            page.show(&service, "holds", &filter, summaries).await
        }
        Command::Show { hold } => service.show("hold", &[("hold", hold)], text).await,
        Command::Confirm { hold, lines, to, release_rest, key } => {
            let to = to.as_ref().map(|location| json!({ "location": location }));
            let fields = json!({
                "hold": hold, "lines": parts(lines, "quantity")?.map(numbered).transpose()?, "to": to,
                "release_rest": release_rest, "key": key,
            });
            let what = format!("hold {hold} is confirmed");
            service.submit("confirm_hold", &said(fields), |done| outcome::text(&what, done)).await
        }
        Command::Release { hold, lines, key } => {
            let lines = parts(lines, "quantity")?.map(numbered).transpose()?;
            let fields = json!({ "hold": hold, "lines": lines, "key": key });
            let what = format!("hold {hold} is released");
            service.submit("release_hold", &said(fields), |done| outcome::text(&what, done)).await
        }
        Command::Extend { hold, expires, key } => {
            let fields = said(json!({ "hold": hold, "expires_in_s": expires, "key": key }));
            service
                .submit("extend_hold", &fields, |done| {
                    let until = done.expires_at.map_or_else(String::new, |at| at.to_string());
                    outcome::text(&format!("hold {hold} stands until {until}"), done)
                })
                .await
        }
        Command::Change { hold, site, key, choice, lines } => {
            let lines = read(lines, site.as_deref())?;
            let fields = json!({
                "hold": hold, "lines": lines, "key": key,
                "partial": choice.partial, "strategy": choice.strategy,
            });
            let what = format!("hold {hold} is changed");
            service.submit("change_hold", &said(fields), |done| outcome::text(&what, done)).await
        }
    })
}

fn read(lines: &TypedLines, site: Option<&str>) -> Result<Vec<Map<String, Value>>> {
    let mut lines = lines.read(COLUMNS, "quantity")?;
    fill(&mut lines, "site", site);
    if lines.iter().any(|line| !line.contains_key("site")) {
        return Err(Usage("a line does not say which site: --site SITE".to_owned()).into());
    }
    Ok(lines)
}

/// Lines of a hold have numbers.
fn numbered(mut parts: Vec<Value>) -> Result<Vec<Value>> {
    for part in &mut parts {
        let name = part["line"].as_str().unwrap_or_default().to_owned();
        let number: u32 =
            name.parse().map_err(|_| Usage(format!("lines of a hold have numbers, unlike {name:?}")))?;
        part["line"] = number.into();
    }
    Ok(parts)
}

fn summaries(holds: &[HoldSummary]) -> Table {
    let mut table = Table::new(&["HOLD", "OWNER", right!("LINES"), right!("HELD"), "UNTIL"]);
    for hold in holds {
        table.row([
            &hold.id,
            hold.owner.as_deref().unwrap_or_default(),
            &hold.line_count.to_string(),
            &hold.held.map(|held| held.to_string()).unwrap_or_default(),
            &hold.expires_at.as_ref().map(ToString::to_string).unwrap_or_default(),
        ]);
    }
    table
}

fn text(hold: &Hold) -> String {
    let mut text = format!("hold    {}\nstatus  {}\n", hold.id, hold.status.as_str());
    if let Some(owner) = &hold.owner {
        text += &format!("owner   {owner}\n");
    }
    if let Some(at) = hold.expires_at {
        text += &format!("until   {at}\n");
    }
    let mut table =
        Table::new(&["LINE", "SITE", "SKU", right!("QUANTITY"), right!("HELD"), "LOCATION", "LOT"]);
    for line in &hold.lines {
        let quantity = line.quantity.to_string();
        if line.picks.is_empty() {
            table.row([&line.line.to_string(), &line.site, &line.sku, &quantity, "0", "", ""]);
        }
        for pick in &line.picks {
            table.row([
                &line.line.to_string(),
                &line.site,
                &line.sku,
                &quantity,
                &pick.quantity.to_string(),
                &pick.location,
                pick.lot.as_deref().unwrap_or_default(),
            ]);
        }
    }
    text + &table.text()
}
