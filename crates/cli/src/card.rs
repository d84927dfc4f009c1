//! `jaego card`: what somebody owns and may swap, and where the tiers of prices begin.

use anyhow::Result;
use clap::{Args, Subcommand};
use jaego_api::{
    outcome::Outcome,
    trade::{Card, PriceTiers},
};
use serde_json::json;

use crate::{
    master::said,
    outcome,
    page::Page,
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

#[derive(Subcommand)]
enum Command {
    /// List cards as they were made, the oldest first.
    List {
        /// Of this owner.
        #[arg(long)]
        owner: Option<String>,
        #[command(flatten)]
        page: Page,
    },
    /// Show a card.
    Show { card: String },
    /// Make a card, or give it another price or owner, which closes its open proposals: jaego card set sword kim 9000
    Set {
        card: String,
        owner: String,
        /// A whole number in the trade's own unit.
        price: u64,
        /// Whose it is now, to give it to another owner.
        #[arg(long, value_name = "OWNER")]
        from: Option<String>,
        /// A request key, so that giving it again does it once.
        #[arg(long)]
        key: Option<String>,
    },
    /// Show where the tiers of prices begin, or say it: jaego card tiers 0 10000 50000
    Tiers {
        /// Ascending, the first of them 0.
        from: Vec<u64>,
    },
}

pub(crate) fn run(options: &Options) -> Result<()> {
    options.remote.run(async |service: Service| match &options.command {
        Command::List { owner, page } => {
            page.show(&service, "cards", &[("owner", owner.as_deref())], cards).await
        }
        Command::Show { card } => service.show("card", &[("card", card)], text).await,
        Command::Set { card, owner, price, from, key } => {
            let fields =
                said(json!({ "card": card, "owner": owner, "price": price, "from_owner": from, "key": key }));
            let what = format!("card {card} is {owner}'s at {price}");
            service.submit("set_card", &fields, |done| told(&what, done)).await
        }
        Command::Tiers { from } if from.is_empty() => service.show("price_tiers", &[], tiers).await,
        Command::Tiers { from } => {
            let what = match from.len() {
                1 => "1 tier of prices is set".to_owned(),
                count => format!("{count} tiers of prices are set"),
            };
            let fields = json!({ "from": from });
            service.submit("set_price_tiers", &fields, |done| outcome::text(&what, done)).await
        }
    })
}

/// What happened, and the proposals that ended by it.
pub(crate) fn told(what: &str, outcome: &Outcome) -> String {
    let mut text = outcome::text(what, outcome);
    let mut table = Table::new(&["CLOSED", "REASON"]);
    for closed in &outcome.closed {
        table.row([&closed.proposal, closed.reason.as_str()]);
    }
    if !outcome.closed.is_empty() {
        text += &table.text();
    }
    text
}

fn cards(cards: &[Card]) -> Table {
    let mut table = Table::new(&["CARD", "OWNER", right!("PRICE"), right!("OPEN PROPOSALS")]);
    for card in cards {
        table.row([&card.card, &card.owner, &card.price.to_string(), &card.open_proposals.to_string()]);
    }
    table
}

fn text(card: &Card) -> String {
    let Card { card, owner, price, open_proposals } = card;
    format!(
        "card            {card}\nowner           {owner}\nprice           {price}\nopen proposals  {open_proposals}\n"
    )
}

fn tiers(tiers: &PriceTiers) -> String {
    let mut table = Table::new(&[right!("TIER"), right!("FROM")]);
    for (from, number) in tiers.from.iter().zip(1..) {
        let number: u32 = number;
        table.row([&number.to_string(), &from.to_string()]);
    }
    table.text()
}
