//! `jaego site`, `location`, `sku` and `lot`: what stock is told apart by.

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use jaego_api::{
    location::Location,
    lot::{Lot, LotHolder, Trace},
    movement::Account,
    site::Site,
    sku::Sku,
};
use serde_json::{Map, Value, json};

use crate::{
    exit::Usage,
    outcome,
    page::Page,
    remote::{Remote, Service},
    stock::{balance, candidates},
    table::{Table, right},
};

/// Fields without those that nobody named.
pub(crate) fn said(fields: Value) -> Value {
    match fields {
        Value::Object(fields) => {
            Value::Object(fields.into_iter().filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>())
        }
        other => other,
    }
}

/// Fields that one which is new begins without.
fn unsaid<const N: usize>(names: [&str; N]) -> [(&str, Value); N] {
    names.map(|name| (name, Value::Null))
}

/// Sets something: the fields that were said, and the `others` as they are where it is there already, or as one begins
/// that is new. `at` names it.
async fn set(
    service: &Service,
    read: &str,
    at: &[(&str, &str)],
    fields: Value,
    others: &[(&str, Value)],
) -> Result<()> {
    let mut present: Map<String, Value> = match service.client.read(read, at).await {
        Ok(present) => present,
        // It may be new. What it belongs to, if that is not there, is told by the command.
        Err(error) if error.problem().is_some_and(|problem| problem.status == 404) => Map::new(),
        Err(error) => return Err(error.into()),
    };
    // A site may have been set to `explicit` when that was possible; it is not kept.
    if present.get("strategy").is_some_and(|strategy| strategy == "explicit") {
        present.remove("strategy");
    }
    let mut all = Map::new();
    for (name, begins) in others {
        let value = present.remove(*name).filter(|value| !value.is_null() && *value != "");
        all.insert((*name).to_owned(), value.unwrap_or_else(|| begins.clone()));
    }
    all.retain(|_, value| !value.is_null());
    if let Value::Object(fields) = said(fields) {
        all.extend(fields);
    }
    all.extend(at.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))));
    let of = if let [.., (_, of), (_, name)] = at { format!("{name} of {of}") } else { at[0].1.to_owned() };
    let noun = if read == "sku" { "SKU" } else { read };
    let what = format!("{noun} {of} is set");
    service.submit(&format!("set_{read}"), &Value::Object(all), |set| outcome::text(&what, set)).await
}

#[derive(Args)]
pub(crate) struct SiteOptions {
    #[command(flatten)]
    remote: Remote,
    #[command(subcommand)]
    command: SiteCommand,
}

#[derive(Subcommand)]
enum SiteCommand {
    /// List the sites.
    List(Page),
    /// Show a site.
    Show { site: String },
    /// Make a site, or change its name, time zone and strategy. What is not named stays as it is.
    Set {
        site: String,
        #[arg(long)]
        name: Option<String>,
        /// Whose midnight ends a lot's last day, such as Asia/Seoul [default: UTC]
        #[arg(long, value_name = "ZONE")]
        time_zone: Option<String>,
        /// How positions are chosen when a request does not say: fefo, fifo, pick_order, fewest_locations, smallest_first or explicit [default: fefo]
        #[arg(long)]
        strategy: Option<String>,
    },
}

pub(crate) fn site(options: &SiteOptions) -> Result<()> {
    options.remote.run(async |service: Service| match &options.command {
        SiteCommand::List(page) => page.show(&service, "sites", &[], sites).await,
        SiteCommand::Show { site } => {
            service
                .show("site", &[("site", site)], |site: &Site| sites(std::slice::from_ref(site)).text())
                .await
        }
        SiteCommand::Set { site, name, time_zone, strategy } => {
            let fields = json!({ "name": name, "time_zone": time_zone, "strategy": strategy });
            set(&service, "site", &[("site", site)], fields, &unsaid(["name", "time_zone", "strategy"])).await
        }
    })
}

fn sites(sites: &[Site]) -> Table {
    let mut table = Table::new(&["SITE", "NAME", "TIME ZONE", "STRATEGY", "ORDER ALLOCATION"]);
    for site in sites {
        let allocation = site.order_allocation.as_str();
        table.row([&site.site, &site.name, &site.time_zone, site.strategy.as_str(), allocation]);
    }
    table
}

#[derive(Args)]
pub(crate) struct LocationOptions {
    #[command(flatten)]
    remote: Remote,
    #[command(subcommand)]
    command: LocationCommand,
}

#[derive(Subcommand)]
enum LocationCommand {
    /// List the locations of a site.
    List {
        site: String,
        #[command(flatten)]
        page: Page,
    },
    /// Show a location.
    Show { site: String, location: String },
    /// Make a location, or change its zone, pick order and kind. What is not named stays as it is.
    Set {
        site: String,
        location: String,
        /// What it is for: storage, receiving, staging or quarantine [default: storage]
        #[arg(long)]
        kind: Option<String>,
        /// The part of the site that it is in.
        #[arg(long)]
        zone: Option<String>,
        /// Its place on the walk through the site [default: 0]
        #[arg(long, value_name = "NUMBER")]
        pick_order: Option<u32>,
    },
}

pub(crate) fn location(options: &LocationOptions) -> Result<()> {
    options.remote.run(async |service: Service| match &options.command {
        LocationCommand::List { site, page } => {
            page.show(&service, "locations", &[("site", Some(site))], locations).await
        }
        LocationCommand::Show { site, location } => {
            let place = [("site", &**site), ("location", location)];
            service
                .show("location", &place, |location: &Location| {
                    locations(std::slice::from_ref(location)).text()
                })
                .await
        }
        LocationCommand::Set { site, location, kind, zone, pick_order } => {
            let fields = json!({ "kind": kind, "zone": zone, "pick_order": pick_order });
            let at = [("site", &**site), ("location", location)];
            let others = [("kind", "storage".into()), ("zone", Value::Null), ("pick_order", Value::Null)];
            set(&service, "location", &at, fields, &others).await
        }
    })
}

fn locations(locations: &[Location]) -> Table {
    let mut table = Table::new(&["SITE", "LOCATION", "KIND", "ZONE", right!("PICK ORDER")]);
    for location in locations {
        let order = location.pick_order.to_string();
        table.row([&location.site, &location.location, location.kind.as_str(), &location.zone, &order]);
    }
    table
}

#[derive(Args)]
pub(crate) struct SkuOptions {
    #[command(flatten)]
    remote: Remote,
    #[command(subcommand)]
    command: SkuCommand,
}

#[derive(Subcommand)]
enum SkuCommand {
    /// List the SKUs.
    List(Page),
    /// Show a SKU.
    Show { sku: String },
    /// Show how the balance of a SKU came to be what it is, oldest first.
    History {
        sku: String,
        /// At this site; without it, at all sites together.
        #[arg(long)]
        site: Option<String>,
        /// At this time or later, as 2026-11-22T09:00:00Z.
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
        /// Before this time.
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
        #[command(flatten)]
        page: Page,
    },
    /// Make a SKU, or change its name, tracking, safety levels and prices. What is not named is sent again as it was a
    /// moment ago. To take something away, PUT the SKU without it.
    Set {
        sku: String,
        #[arg(long)]
        name: Option<String>,
        /// How its stock is told apart: none, lot or serial [default: none]
        #[arg(long)]
        tracking: Option<String>,
        /// The level below which available stock is low at a site; once for each site. Replaces those of all sites.
        #[arg(long = "safety-stock", value_name = "SITE=QUANTITY", value_parser = level)]
        safety_stock: Vec<(String, u64)>,
        /// What one unit costs, in the currency's minor unit; once for each currency. Replaces those in all currencies.
        #[arg(long = "price", value_name = "CURRENCY=AMOUNT", value_parser = price)]
        prices: Vec<(String, u64)>,
    },
}

fn level(text: &str) -> Result<(String, u64), String> {
    pair(text, "ICN=20")
}

fn price(text: &str) -> Result<(String, u64), String> {
    pair(text, "KRW=5000")
}

fn pair(text: &str, example: &str) -> Result<(String, u64), String> {
    let bad = || format!("{text:?} is not like {example}");
    let (name, number) = text.split_once('=').ok_or_else(bad)?;
    Ok((name.to_owned(), number.parse().map_err(|_| bad())?))
}

/// An object of what was said once for each name; none if nothing was. Refuses a name that was said twice.
fn object(flag: &str, pairs: &[(String, u64)]) -> Result<Option<Map<String, Value>>> {
    let mut object = Map::new();
    for (name, number) in pairs {
        if let Some(other) = object.insert(name.clone(), (*number).into()) {
            return Err(Usage(format!("{flag} {name} is said twice, {other} and {number}")).into());
        }
    }
    Ok((!object.is_empty()).then_some(object))
}

pub(crate) fn sku(options: &SkuOptions) -> Result<()> {
    options.remote.run(async |service: Service| match &options.command {
        SkuCommand::List(page) => page.show(&service, "skus", &[], skus).await,
        SkuCommand::Show { sku } => {
            service.show("sku", &[("sku", sku)], |sku: &Sku| skus(std::slice::from_ref(sku)).text()).await
        }
        SkuCommand::History { sku, site, since, until, page } => {
            let filter = [
                ("sku", Some(&**sku)),
                ("site", site.as_deref()),
                ("since", since.as_deref()),
                ("until", until.as_deref()),
            ];
            page.show(&service, "sku_history", &filter, balance).await
        }
        SkuCommand::Set { sku, name, tracking, safety_stock, prices } => {
            let fields = json!({
                "name": name, "tracking": tracking,
                "safety_stock": object("--safety-stock", safety_stock)?, "prices": object("--price", prices)?,
            });
            let others = unsaid(["name", "tracking", "safety_stock", "prices"]);
            set(&service, "sku", &[("sku", sku)], fields, &others).await
        }
    })
}

fn skus(skus: &[Sku]) -> Table {
    let mut table = Table::new(&["SKU", "NAME", "TRACKING", "SAFETY STOCK", "PRICES"]);
    for sku in skus {
        let levels: Vec<_> = sku.safety_stock.iter().map(|(site, level)| format!("{site}={level}")).collect();
        let prices: Vec<_> =
            sku.prices.iter().map(|(currency, price)| format!("{currency}={price}")).collect();
        table.row([&sku.sku, &sku.name, sku.tracking.as_str(), &levels.join(" "), &prices.join(" ")]);
    }
    table
}

#[derive(Args)]
pub(crate) struct LotOptions {
    #[command(flatten)]
    remote: Remote,
    #[command(subcommand)]
    command: LotCommand,
}

#[derive(Subcommand)]
enum LotCommand {
    /// List the lots of a SKU.
    List {
        sku: String,
        #[command(flatten)]
        page: Page,
    },
    /// Show a lot.
    Show { sku: String, lot: String },
    /// Show where a lot lies and who holds it.
    Trace { sku: String, lot: String },
    /// List all holds, carts, transfers and orders that hold something of a lot, oldest first.
    Holders {
        sku: String,
        lot: String,
        /// What they hold at this site.
        #[arg(long)]
        site: Option<String>,
        #[command(flatten)]
        page: Page,
    },
    /// Make a lot or serial number, or change its days. What is not named is sent again as it was a moment ago: who changes
    /// a lot beside somebody else names all of it. To take a day away, PUT the lot without it.
    Set {
        sku: String,
        lot: String,
        /// When it was received, as 2026-11-22.
        #[arg(long, value_name = "DAY")]
        received_on: Option<String>,
        /// Its last day.
        #[arg(long, value_name = "DAY")]
        expires_on: Option<String>,
        /// It is recalled: unavailable at once.
        #[arg(long)]
        blocked: bool,
    },
    /// Recall a lot: what there is of it is unavailable at once, and goods of it that are held do not leave.
    Block { sku: String, lot: String },
    /// End the recall of a lot.
    Unblock { sku: String, lot: String },
}

const LOT_FIELDS: [&str; 3] = ["received_on", "expires_on", "blocked"];

pub(crate) fn lot(options: &LotOptions) -> Result<()> {
    options.remote.run(async |service: Service| match &options.command {
        LotCommand::List { sku, page } => page.show(&service, "lots", &[("sku", Some(sku))], lots).await,
        LotCommand::Show { sku, lot } => {
            service
                .show("lot", &[("sku", sku), ("lot", lot)], |lot: &Lot| {
                    lots(std::slice::from_ref(lot)).text()
                })
                .await
        }
        LotCommand::Trace { sku, lot } => {
            // Only whoever reads the text is told what the trace itself does not know.
            let sold = if service.json { None } else { Some(sold(&service, sku, lot).await?) };
            service
                .show("trace", &[("sku", sku), ("lot", lot)], |trace: &Trace| {
                    lots(std::slice::from_ref(&trace.lot)).text()
                        + &candidates(&trace.positions)
                        + &on_the_way(trace)
                        + &sold.map(|sold| sold.text(sku, lot)).unwrap_or_default()
                })
                .await
        }
        LotCommand::Holders { sku, lot, site, page } => {
            let filters = [("sku", Some(&**sku)), ("lot", Some(lot)), ("site", site.as_deref())];
            page.show(&service, "lot_holders", &filters, holders).await
        }
        LotCommand::Set { sku, lot, received_on, expires_on, blocked } => {
            let blocked = blocked.then_some(true);
            let fields = json!({ "received_on": received_on, "expires_on": expires_on, "blocked": blocked });
            set(&service, "lot", &[("sku", sku), ("lot", lot)], fields, &unsaid(LOT_FIELDS)).await
        }
        LotCommand::Block { sku, lot } => block(&service, sku, lot, true).await,
        LotCommand::Unblock { sku, lot } => block(&service, sku, lot, false).await,
    })
}

/// What customers have of a lot.
struct Sold {
    /// What went to them, less what came back.
    quantity: i64,
    /// Whether there are more movements than were looked at.
    is_part: bool,
}

/// Pages of movements that are added up for one trace.
const SOLD_PAGES_MAX: usize = 100;

/// Adds up what went to customers and came back, as the ledger has it.
async fn sold(service: &Service, sku: &str, lot: &str) -> Result<Sold> {
    let (mut quantity, mut after) = (0, None::<String>);
    for _ in 0..SOLD_PAGES_MAX {
        let mut query = vec![("sku", sku), ("lot", lot), ("limit", "1000")];
        query.extend(after.as_deref().map(|after| ("after", after)));
        let page = service.client.movements(&query).await?;
        for movement in &page.items {
            let is_customer =
                |account: &Account| matches!(account, Account::Outside { outside } if outside == "customer");
            let moved = i64::try_from(movement.quantity).context("a quantity is no whole number")?;
            quantity += i64::from(is_customer(&movement.to)) * moved;
            quantity -= i64::from(is_customer(&movement.from)) * moved;
        }
        after = page.next;
        if after.is_none() {
            return Ok(Sold { quantity, is_part: false });
        }
    }
    Ok(Sold { quantity, is_part: true })
}

impl Sold {
    fn text(&self, sku: &str, lot: &str) -> String {
        let part = if self.is_part { " by its first 100,000 movements" } else { "" };
        let quantity = self.quantity;
        format!(
            "customers have {quantity} of it{part}: `jaego stock movements --sku {sku} --lot {lot}` names the documents\n"
        )
    }
}

fn on_the_way(trace: &Trace) -> String {
    let mut table = Table::new(&["TRANSFER", "LINE", right!("ON THE WAY"), "FROM", "TO"]);
    for one in &trace.in_transit {
        table.row([&one.transfer, &one.line, &one.quantity.to_string(), &one.from, &one.to]);
    }
    let shown: u64 = trace.in_transit.iter().map(|one| one.quantity).sum();
    let text = if trace.in_transit.is_empty() { String::new() } else { table.text() };
    match trace.in_transit_total.saturating_sub(shown) {
        0 => text,
        more => text + &format!("{more} more are on the way for other transfers\n"),
    }
}

/// Recalls a lot that is there, or ends its recall: a misspelt one would be made.
async fn block(service: &Service, sku: &str, lot: &str, blocked: bool) -> Result<()> {
    let at = [("sku", sku), ("lot", lot)];
    service.client.read::<Lot>("lot", &at).await?;
    set(service, "lot", &at, json!({ "blocked": blocked }), &unsaid(LOT_FIELDS)).await
}

fn holders(holders: &[LotHolder]) -> Table {
    let mut table = Table::new(&["KIND", "ID", right!("HELD")]);
    for holder in holders {
        table.row([holder.kind.as_str(), &holder.id, &holder.held.to_string()]);
    }
    table
}

fn lots(lots: &[Lot]) -> Table {
    let mut table = Table::new(&["SKU", "LOT", "RECEIVED", "EXPIRES", "BLOCKED", right!("INSIDE")]);
    for lot in lots {
        table.row([
            &lot.sku,
            &lot.lot,
            lot.received_on.as_deref().unwrap_or_default(),
            lot.expires_on.as_deref().unwrap_or_default(),
            if lot.blocked { "blocked" } else { "" },
            &lot.inside.map_or(String::new(), |inside| inside.to_string()),
        ]);
    }
    table
}
