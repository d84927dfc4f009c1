//! `jaego cart`: what customers are about to order.

use anyhow::Result;
use clap::{Args, Subcommand};
use jaego_api::cart::{Cart, CartSummary};
use serde_json::{Value, json};

use crate::{
    lines::seconds,
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
    /// Open a cart: jaego cart set C1 --site ICN --owner kim --hold 10m
    Set {
        /// The cart's id: its site and its owner are fixed, for how long it holds is not.
        cart: String,
        /// The site that its items come from.
        #[arg(long)]
        site: String,
        /// Whose it is, and whose wallet pays.
        #[arg(long)]
        owner: String,
        /// For how long each change holds all items: 90s, 10m, 2h; without it nothing is held.
        #[arg(long, value_name = "TIME", value_parser = seconds)]
        hold: Option<u64>,
    },
    /// Set how much of a SKU is in a cart: jaego cart item C1 mug 2. Nothing takes it out: jaego cart item C1 mug 0
    Item {
        cart: String,
        sku: String,
        quantity: u64,
        /// A request key, so that giving it again does it once.
        #[arg(long)]
        key: Option<String>,
    },
    /// Show a cart with its items, and what it would cost now.
    Show { cart: String },
    /// List open carts, the oldest first.
    List {
        #[arg(long)]
        site: Option<String>,
        #[arg(long)]
        owner: Option<String>,
        #[command(flatten)]
        page: Page,
    },
    /// Make an order of a cart: price it, allocate it and pay for it from the owner's wallet, all or nothing.
    Checkout {
        cart: String,
        /// In which currency, as KRW.
        currency: String,
        /// What you believe that it costs: nothing happens if it costs something else.
        #[arg(long, value_name = "AMOUNT")]
        expected_total: Option<u64>,
        /// The order's id [default: the cart's]
        #[arg(long)]
        order: Option<String>,
        /// A request key, so that giving it again does it once.
        #[arg(long)]
        key: Option<String>,
    },
    /// Give a cart up: what it holds is released.
    Discard {
        cart: String,
        /// A request key, so that giving it again does it once.
        #[arg(long)]
        key: Option<String>,
    },
}

pub(crate) fn run(options: &Options) -> Result<()> {
    options.remote.run(async |service: Service| match &options.command {
        Command::Set { cart, site, owner, hold } => {
            let fields = json!({ "cart": cart, "site": site, "owner": owner, "hold_s": hold });
            give(&service, "set_cart", fields, &format!("cart {cart} is set")).await
        }
        Command::Item { cart, sku, quantity, key } => {
            let fields = json!({ "cart": cart, "sku": sku, "quantity": quantity, "key": key });
            give(&service, "set_cart_item", fields, &format!("cart {cart} has {quantity} of {sku}")).await
        }
        Command::Show { cart } => service.show("cart", &[("cart", cart)], text).await,
        Command::List { site, owner, page } => {
            let filter = [("site", site.as_deref()), ("owner", owner.as_deref())];
            page.show(&service, "carts", &filter, summaries).await
        }
        Command::Checkout { cart, currency, expected_total, order, key } => {
            let fields = json!({
                "cart": cart, "currency": currency, "expected_total": expected_total, "order": order, "key": key,
            });
            let what = format!("cart {cart} is order {}, paid for", order.as_ref().unwrap_or(cart));
            give(&service, "checkout", fields, &what).await
        }
        Command::Discard { cart, key } => {
            let fields = json!({ "cart": cart, "key": key });
            give(&service, "discard_cart", fields, &format!("cart {cart} is discarded")).await
        }
    })
}

async fn give(service: &Service, op: &str, fields: Value, what: &str) -> Result<()> {
    let told = |done: &jaego_api::outcome::Outcome| {
        let mut text = outcome::text(what, done);
        if let Some(at) = &done.expires_at {
            text += &format!("held until {at}\n");
        }
        if let Some(balance) = done.balance {
            text += &format!("the wallet has {balance} left\n");
        }
        text
    };
    service.submit(op, &said(fields), told).await
}

fn summaries(carts: &[CartSummary]) -> Table {
    let mut table = Table::new(&["CART", "SITE", "OWNER", right!("ITEMS"), "HELD UNTIL", "OPENED"]);
    for cart in carts {
        table.row([
            &cart.id,
            &cart.site,
            &cart.owner,
            &cart.item_count.to_string(),
            &cart.expires_at.as_ref().map(ToString::to_string).unwrap_or_default(),
            &cart.opened_at.to_string(),
        ]);
    }
    table
}

fn text(cart: &Cart) -> String {
    let summary = &cart.summary;
    let mut text = format!(
        "cart    {}\nsite    {}\nowner   {}\nstatus  {}\nopened  {}\n",
        summary.id,
        summary.site,
        summary.owner,
        summary.status.as_str(),
        summary.opened_at,
    );
    if let Some(order) = &summary.order {
        text += &format!("order   {order}\n");
    }
    match (summary.hold_s, &summary.expires_at) {
        (Some(_), Some(at)) => text += &format!("held    until {at}\n"),
        (Some(seconds), None) if summary.status.as_str() == "open" => {
            text += &format!("held    not now: each change holds its items for {seconds} s\n");
        }
        _ => {}
    }
    for (currency, total) in &cart.totals {
        text += &format!("total   {total} {currency}\n");
    }
    let mut table =
        Table::new(&["SKU", right!("QUANTITY"), right!("HELD"), "PRICES", "LOCATION", "LOT", right!("PICK")]);
    for item in &cart.items {
        let (quantity, held) = (item.quantity.to_string(), item.held.to_string());
        let prices: Vec<_> =
            item.prices.iter().map(|(currency, price)| format!("{currency}={price}")).collect();
        let prices = prices.join(" ");
        if item.picks.is_empty() {
            table.row([&item.sku, &quantity, &held, &prices, "", "", ""]);
        }
        for pick in &item.picks {
            let lot = pick.lot.as_deref().unwrap_or_default();
            table.row([
                &item.sku,
                &quantity,
                &held,
                &prices,
                &pick.location,
                lot,
                &pick.quantity.to_string(),
            ]);
        }
    }
    text + &table.text()
}
