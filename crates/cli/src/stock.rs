//! `jaego stock`: what lies where, and how it got there.

use anyhow::Result;
use clap::{Args, Subcommand};
use jaego_api::{
    Choice,
    list::List,
    movement::{Account, Document, Movement},
    stock::{BalancePoint, Candidate, Holding, PastPosition, Position, SiteStock},
};
use jaego_domain::row::HolderKind;
use serde_json::{Map, Value, json};

use crate::{
    exit::Usage,
    lines::TypedLines,
    master::said,
    outcome,
    page::Page,
    remote::{Remote, Service},
    rows::{Column, Kind, needed, optional},
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
    /// List what lies where.
    List {
        #[arg(long)]
        sku: Option<String>,
        #[arg(long)]
        site: Option<String>,
        #[arg(long)]
        location: Option<String>,
        #[arg(long)]
        lot: Option<String>,
        /// As it was at this time, as 2026-11-22T09:00:00Z: what lay there, not what was held of it.
        #[arg(long, value_name = "TIME")]
        as_of: Option<String>,
        #[command(flatten)]
        page: Page,
    },
    /// Show what every site has of a SKU.
    Totals { sku: String },
    /// Add or remove stock: mug@A-01=+5, mug/L7@A-01=-2
    Adjust {
        /// The adjustment's id: it happens once, however often it is given.
        id: String,
        /// The site of the lines.
        #[arg(long)]
        site: Option<String>,
        /// The other side: opening, supplier, customer, found or loss [default: found for more, loss for less]
        #[arg(long)]
        account: Option<String>,
        #[command(flatten)]
        entry: Entry,
        #[command(flatten)]
        lines: TypedLines,
    },
    /// Say what was counted, whatever the books say: mug@A-01=7
    Count {
        /// The count's id: it happens once, however often it is given.
        id: String,
        /// The site of the lines.
        #[arg(long)]
        site: Option<String>,
        #[command(flatten)]
        entry: Entry,
        #[command(flatten)]
        lines: TypedLines,
    },
    /// Move stock between two bins of a site.
    Move {
        /// The move's id: it happens once, however often it is given.
        id: String,
        #[arg(long)]
        site: String,
        /// The bin that it leaves; a line may name its own, as in mug@A-01=4
        #[arg(long)]
        from: Option<String>,
        /// The bin that it goes to; lines of a file may name their own.
        #[arg(long)]
        to: Option<String>,
        #[arg(long)]
        reason: Option<String>,
        /// Held stock may move too, and its holds follow.
        #[arg(long)]
        with_holds: bool,
        #[command(flatten)]
        lines: TypedLines,
    },
    /// List the movements of the ledger, oldest first.
    #[command(visible_alias = "history")]
    Movements {
        #[arg(long)]
        sku: Option<String>,
        #[arg(long)]
        lot: Option<String>,
        #[arg(long)]
        site: Option<String>,
        /// Of the hold, transfer, order or adjustment of this id.
        #[arg(long, value_name = "ID")]
        document: Option<String>,
        /// At this time or later, as 2026-11-22T09:00:00Z.
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
        /// Before this time.
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
        #[command(flatten)]
        page: Page,
    },
    /// Take a movement back by one that goes the other way.
    Reverse {
        /// Its id, as `movements` shows it.
        movement: String,
        /// A request key, so that giving it again does it once.
        #[arg(long)]
        key: Option<String>,
    },
}

#[derive(Args)]
struct Entry {
    #[arg(long)]
    reason: Option<String>,
    /// Cut holds where too little would be left for them.
    #[arg(long)]
    release_holds: bool,
    /// Cut the holds of these there, and nobody else's: hold:H1,order:O2
    #[arg(
        long,
        value_name = "KIND:ID",
        value_delimiter = ',',
        value_parser = holder,
        conflicts_with = "release_holds"
    )]
    release: Option<Vec<Value>>,
}

/// Reads `order:O2`, a document that holds stock. An id may have a colon itself.
fn holder(text: &str) -> Result<Value, String> {
    let Some((kind, id)) = text.split_once(':') else {
        return Err("it is not KIND:ID, such as hold:H1 or order:O2".to_owned());
    };
    match Choice::<HolderKind>::parse(kind).get("kind") {
        Ok(kind) => Ok(json!({ "kind": Choice::from(kind), "id": id })),
        Err(refusal) => Err(refusal.to_string()),
    }
}

const ADJUST_COLUMNS: &[Column] = &[
    optional("site", Kind::Text),
    needed("location", Kind::Text),
    needed("sku", Kind::Text),
    optional("lot", Kind::Text),
    needed("change", Kind::Whole),
    optional("account", Kind::Text),
];
const COUNT_COLUMNS: &[Column] = &[
    optional("site", Kind::Text),
    needed("location", Kind::Text),
    needed("sku", Kind::Text),
    optional("lot", Kind::Text),
    needed("counted", Kind::Whole),
];
const MOVE_COLUMNS: &[Column] = &[
    needed("sku", Kind::Text),
    optional("lot", Kind::Text),
    needed("quantity", Kind::Whole),
    optional("from", Kind::Text),
    optional("to", Kind::Text),
];

pub(crate) fn run(options: &Options) -> Result<()> {
    options.remote.run(async |service: Service| match &options.command {
        Command::List { sku, site, location, lot, as_of, page } => {
            let filter = [
                ("sku", sku.as_deref()),
                ("site", site.as_deref()),
                ("location", location.as_deref()),
                ("lot", lot.as_deref()),
                ("as_of", as_of.as_deref()),
            ];
            if as_of.is_some() {
                return page.show(&service, "stock", &filter, past_positions).await;
            }
            page.show(&service, "stock", &filter, positions).await
        }
        Command::Totals { sku } => {
            service
                .show("sku_stock", &[("sku", sku)], |list: &List<SiteStock>| totals(&list.items).text())
                .await
        }
        Command::Adjust { id, site, account, entry, lines } => {
            let mut lines = lines.read(ADJUST_COLUMNS, "change")?;
            fill(&mut lines, "site", site.as_deref());
            fill(&mut lines, "account", account.as_deref());
            adjust(&service, id, entry, lines, "adjusted").await
        }
        Command::Count { id, site, entry, lines } => {
            lines.none_below_zero()?;
            let mut lines = lines.read(COUNT_COLUMNS, "counted")?;
            fill(&mut lines, "site", site.as_deref());
            adjust(&service, id, entry, lines, "counted").await
        }
        Command::Move { id, site, from, to, reason, with_holds, lines } => {
            let mut lines = lines.read(MOVE_COLUMNS, "quantity")?;
            for line in &mut lines {
                if let Some(location) = line.remove("location") {
                    line.insert("from".to_owned(), location);
                }
            }
            fill(&mut lines, "from", from.as_deref());
            fill(&mut lines, "to", to.as_deref());
            for name in ["from", "to"] {
                if lines.iter().any(|line| !line.contains_key(name)) {
                    return Err(Usage(format!("a line does not say which bin: --{name} LOCATION")).into());
                }
            }
            let fields = json!({
                "id": id, "site": site, "reason": reason, "with_holds": with_holds, "lines": lines,
            });
            let what = format!("stock is moved by {id}");
            service.submit("move", &said(fields), |moved| outcome::text(&what, moved)).await
        }
        Command::Movements { sku, lot, site, document, since, until, page } => {
            let filter = [
                ("sku", sku.as_deref()),
                ("lot", lot.as_deref()),
                ("site", site.as_deref()),
                ("document", document.as_deref()),
                ("since", since.as_deref()),
                ("until", until.as_deref()),
            ];
            page.show(&service, "movements", &filter, movements).await
        }
        Command::Reverse { movement, key } => {
            let fields = said(json!({ "movement": movement, "key": key }));
            let what = format!("movement {movement} is reversed");
            service.submit("reverse", &fields, |reversed| outcome::text(&what, reversed)).await
        }
    })
}

async fn adjust(
    service: &Service,
    id: &str,
    entry: &Entry,
    lines: Vec<Map<String, Value>>,
    done: &str,
) -> Result<()> {
    if lines.iter().any(|line| !line.contains_key("site")) {
        return Err(Usage("a line does not say which site: --site SITE".to_owned()).into());
    }
    let fields = json!({
        "id": id, "reason": entry.reason, "release_holds": entry.release_holds, "release": entry.release,
        "lines": lines,
    });
    let what = format!("stock is {done} by {id}");
    service.submit("adjust", &said(fields), |adjusted| outcome::text(&what, adjusted)).await
}

/// Gives the lines that do not name this field the value that was said once for all.
pub(crate) fn fill(lines: &mut [Map<String, Value>], name: &str, value: Option<&str>) {
    let Some(value) = value else { return };
    for line in lines {
        line.entry(name).or_insert_with(|| value.into());
    }
}

fn positions(positions: &[Position]) -> Table {
    let mut table = Table::new(&[
        "SITE",
        "LOCATION",
        "SKU",
        "LOT",
        right!("ON HAND"),
        right!("HELD"),
        right!("UNAVAILABLE"),
        right!("AVAILABLE"),
    ]);
    for position in positions {
        table.row([
            &position.site,
            &position.location,
            &position.sku,
            position.lot.as_deref().unwrap_or_default(),
            &position.on_hand.to_string(),
            &position.held.to_string(),
            &position.unavailable.to_string(),
            &position.available.to_string(),
        ]);
    }
    table
}

fn past_positions(positions: &[PastPosition]) -> Table {
    let mut table = Table::new(&["SITE", "LOCATION", "SKU", "LOT", right!("ON HAND")]);
    for position in positions {
        table.row([
            &position.site,
            &position.location,
            &position.sku,
            position.lot.as_deref().unwrap_or_default(),
            &position.on_hand.to_string(),
        ]);
    }
    table
}

/// A balance over time.
pub(crate) fn balance(points: &[BalancePoint]) -> Table {
    let mut table =
        Table::new(&["AT", "EVENT", right!("CHANGE"), right!("ON HAND"), "DOCUMENT", "BY", "REASON"]);
    for point in points {
        table.row([
            &point.at.to_string(),
            &point.sequence.to_string(),
            &format!("{:+}", point.change),
            &point.on_hand.to_string(),
            &document(point.document.as_ref()),
            &point.by,
            &point.reason,
        ]);
    }
    table
}

pub(crate) fn document(document: Option<&Document>) -> String {
    document.map_or(String::new(), |document| format!("{} {}", document.kind, document.id))
}

fn totals(sites: &[SiteStock]) -> Table {
    let mut table = Table::new(&[
        "SITE",
        right!("ON HAND"),
        right!("HELD"),
        right!("UNAVAILABLE"),
        right!("AVAILABLE"),
        right!("SAFETY"),
        "",
    ]);
    for site in sites {
        table.row([
            &site.site,
            &site.on_hand.to_string(),
            &site.held.to_string(),
            &site.unavailable.to_string(),
            &site.available.to_string(),
            &site.safety_level.to_string(),
            if site.low { "low" } else { "" },
        ]);
    }
    table
}

fn movements(movements: &[Movement]) -> Table {
    let mut table = Table::new(&[
        "MOVEMENT",
        "AT",
        "SKU",
        "LOT",
        right!("QUANTITY"),
        "FROM",
        "TO",
        "DOCUMENT",
        "BY",
        "REASON",
    ]);
    for movement in movements {
        table.row([
            &movement.id,
            &movement.at.to_string(),
            &movement.sku,
            movement.lot.as_deref().unwrap_or_default(),
            &movement.quantity.to_string(),
            &account(&movement.from),
            &account(&movement.to),
            &document(movement.document.as_ref()),
            &movement.by,
            &movement.reason,
        ]);
    }
    table
}

fn account(account: &Account) -> String {
    match account {
        Account::Position { site, location } => format!("{site} {location}"),
        Account::InTransit { transfer, line } => format!("in transit ({transfer} line {line})"),
        Account::Outside { outside } => outside.to_string(),
    }
}

/// Positions and what stands in the way of taking from them; empty if there are none.
pub(crate) fn candidates(candidates: &[Candidate]) -> String {
    let mut table = Table::new(&[
        "SITE",
        "LOCATION",
        "LOT",
        right!("ON HAND"),
        right!("HELD"),
        right!("AVAILABLE"),
        "VERDICT",
        "HOLDERS",
    ]);
    for candidate in candidates {
        let position = &candidate.position;
        // Lines of one document stand together: what a person looks for is the document.
        let same = |a: &Holding, b: &Holding| (a.kind.as_str(), &*a.id) == (b.kind.as_str(), &*b.id);
        let mut holders: Vec<_> = candidate
            .holders
            .chunk_by(same)
            .map(|lines| {
                let sum: u64 = lines.iter().map(|line| line.quantity).sum();
                format!("{} {}: {sum}", lines[0].kind.as_str(), lines[0].id)
            })
            .collect();
        if candidate.holder_count > candidate.holders.len() {
            holders.push(format!("and {} lines more", candidate.holder_count - candidate.holders.len()));
        }
        table.row([
            &position.site,
            &position.location,
            position.lot.as_deref().unwrap_or_default(),
            &position.on_hand.to_string(),
            &position.held.to_string(),
            &position.available.to_string(),
            candidate.verdict.as_str(),
            &holders.join(", "),
        ]);
    }
    if candidates.is_empty() { String::new() } else { table.text() }
}
