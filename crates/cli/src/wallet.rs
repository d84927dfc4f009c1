//! `jaego wallet`: money in and out, authorizations and statements.

use anyhow::Result;
use clap::{Args, Subcommand};
use jaego_api::{
    outcome::Outcome,
    wallet::{Account, Authorization, StatementLine, Wallet},
};
use serde_json::{Value, json};

use crate::{
    master::said,
    outcome,
    page::Page,
    remote::{Remote, Service},
    stock::document,
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
    /// List the wallets, in the order in which they were opened.
    List(#[command(flatten)] Page),
    /// Show what somebody has.
    Show { owner: String },
    /// Show what money went in and out, each line with the balance from then on.
    Statement {
        owner: String,
        /// Only in this currency.
        #[arg(long)]
        currency: Option<String>,
        /// At this time or later: 2026-03-01T09:00:00+09:00
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
        /// Before this time.
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
        #[command(flatten)]
        page: Page,
    },
    /// Charge a wallet: jaego wallet charge kim KRW 5000
    Charge(Payment),
    /// Pay from a wallet, at most what is available.
    Pay(Payment),
    /// Refund to a wallet, at most what was paid and not refunded yet, without what was paid for orders.
    Refund(Payment),
    /// Hold money for a later capture: jaego wallet authorize A1 kim KRW 5000
    Authorize {
        /// The authorization's id: it is made once, however often it is given.
        id: String,
        #[command(flatten)]
        payment: Payment,
    },
    /// Pay from an authorization, all of it or an amount.
    Capture {
        owner: String,
        authorization: String,
        amount: Option<i64>,
        /// Give what is not captured back to the wallet.
        #[arg(long)]
        release_rest: bool,
        /// A request key, so that giving it again does it once.
        #[arg(long)]
        key: Option<String>,
    },
    /// Give an authorization's held money back to the wallet.
    Void {
        owner: String,
        authorization: String,
        /// A request key, so that giving it again does it once.
        #[arg(long)]
        key: Option<String>,
    },
    /// Show an authorization.
    Authorization { authorization: String },
    /// List the open authorizations of a wallet, in the order of their ids.
    Authorizations {
        owner: String,
        #[command(flatten)]
        page: Page,
    },
    /// List what the outside accounts have, by currency: where charged money came from, and where paid money went.
    Accounts(#[command(flatten)] Page),
    /// Set what the balance less what is held never falls below: -50000 gives credit.
    Limit {
        owner: String,
        currency: String,
        #[arg(allow_negative_numbers = true)]
        limit: i64,
    },
}

#[derive(Args)]
struct Payment {
    owner: String,
    /// Three capital letters, such as KRW.
    currency: String,
    /// How much, in the currency's minor unit.
    amount: i64,
    /// Why.
    #[arg(long)]
    reason: Option<String>,
    /// Your own document.
    #[arg(long)]
    reference: Option<String>,
    /// A request key, so that giving it again does it once.
    #[arg(long)]
    key: Option<String>,
}

impl Payment {
    fn fields(&self) -> Value {
        said(json!({
            "owner": self.owner, "currency": self.currency, "amount": self.amount,
            "reason": self.reason, "reference": self.reference, "key": self.key,
        }))
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    options.remote.run(async |service: Service| match &options.command {
        Command::List(page) => page.show(&service, "wallets", &[], wallets).await,
        Command::Show { owner } => service.show("wallet", &[("owner", owner)], wallet).await,
        Command::Statement { owner, currency, since, until, page } => {
            let filter = [
                ("owner", Some(&**owner)),
                ("currency", currency.as_deref()),
                ("since", since.as_deref()),
                ("until", until.as_deref()),
            ];
            page.show(&service, "statement", &filter, statement).await
        }
        Command::Charge(payment) => pay(&service, "charge", "is charged", payment).await,
        Command::Pay(payment) => pay(&service, "pay", "paid", payment).await,
        Command::Refund(payment) => pay(&service, "refund", "is refunded", payment).await,
        Command::Authorize { id, payment } => {
            let mut fields = payment.fields();
            fields["id"] = id.as_str().into();
            let what =
                format!("{} {} of {} are held by {id}", payment.amount, payment.currency, payment.owner);
            service.submit("authorize", &fields, |done| outcome::text(&what, done)).await
        }
        Command::Capture { owner, authorization, amount, release_rest, key } => {
            let fields = said(json!({
                "owner": owner, "authorization": authorization, "amount": amount,
                "release_rest": release_rest, "key": key,
            }));
            let what = format!("authorization {authorization} is captured");
            service.submit("capture", &fields, |done| told(&what, done)).await
        }
        Command::Void { owner, authorization, key } => {
            let fields = said(json!({ "owner": owner, "authorization": authorization, "key": key }));
            let what = format!("authorization {authorization} is voided");
            service.submit("void", &fields, |done| outcome::text(&what, done)).await
        }
        Command::Authorization { authorization } => {
            service.show("authorization", &[("authorization", authorization)], shown).await
        }
        Command::Authorizations { owner, page } => {
            page.show(&service, "authorizations", &[("owner", Some(owner))], authorizations).await
        }
        Command::Accounts(page) => page.show(&service, "accounts", &[], accounts).await,
        Command::Limit { owner, currency, limit } => {
            let fields = json!({ "owner": owner, "currency": currency, "limit": limit });
            let what = format!("the {currency} of {owner} never fall below {limit}");
            service.submit("set_wallet_limit", &fields, |done| outcome::text(&what, done)).await
        }
    })
}

async fn pay(service: &Service, op: &str, done: &str, payment: &Payment) -> Result<()> {
    let what = format!("{} {done} {} {}", payment.owner, payment.amount, payment.currency);
    service.submit(op, &payment.fields(), |outcome| told(&what, outcome)).await
}

fn told(what: &str, outcome: &Outcome) -> String {
    match outcome.balance {
        Some(balance) => outcome::text(&format!("{what}, which leaves {balance}"), outcome),
        None => outcome::text(what, outcome),
    }
}

fn wallets(wallets: &[Wallet]) -> Table {
    let mut table = Table::new(&[
        "OWNER",
        "CURRENCY",
        right!("BALANCE"),
        right!("HELD"),
        right!("LIMIT"),
        right!("AVAILABLE"),
        right!("PAID"),
        right!("SOLD"),
    ]);
    for wallet in wallets {
        for balance in &wallet.balances {
            table.row([
                &wallet.owner,
                &balance.currency,
                &balance.balance.to_string(),
                &balance.held.to_string(),
                &balance.limit.to_string(),
                &balance.available.to_string(),
                &balance.paid.to_string(),
                &balance.sold.to_string(),
            ]);
        }
    }
    table
}

fn wallet(wallet: &Wallet) -> String {
    let mut text = wallets(std::slice::from_ref(wallet)).text();
    if !wallet.authorizations.is_empty() {
        let open: Vec<&str> = wallet.authorizations.iter().map(|id| &**id).collect();
        text += &format!("open authorizations: {}\n", open.join(", "));
    }
    text
}

fn authorizations(open: &[Authorization]) -> Table {
    let mut table = Table::new(&[
        "AUTHORIZATION",
        "CURRENCY",
        right!("AMOUNT"),
        right!("CAPTURED"),
        right!("HELD"),
        "REFERENCE",
        "REASON",
    ]);
    for one in open {
        table.row([
            &one.id,
            &one.currency,
            &one.amount.to_string(),
            &one.captured.to_string(),
            &one.held.to_string(),
            one.reference.as_deref().unwrap_or_default(),
            &one.reason,
        ]);
    }
    table
}

fn accounts(accounts: &[Account]) -> Table {
    let mut table = Table::new(&["CURRENCY", "ACCOUNT", right!("BALANCE")]);
    for one in accounts {
        table.row([&one.currency, &one.account, &one.balance.to_string()]);
    }
    table
}

fn shown(authorization: &Authorization) -> String {
    let Authorization { id, status, owner, currency, amount, captured, held, reason, reference } =
        authorization;
    let mut text = format!(
        "authorization  {id}\nstatus         {}\nowner          {owner}\n\
         amount         {amount} {currency}\ncaptured       {captured}\nheld           {held}\n",
        status.as_str()
    );
    if !reason.is_empty() {
        text += &format!("reason         {reason}\n");
    }
    if let Some(reference) = reference {
        text += &format!("reference      {reference}\n");
    }
    text
}

fn statement(lines: &[StatementLine]) -> Table {
    let mut table = Table::new(&[
        "AT",
        "EVENT",
        "KIND",
        "CURRENCY",
        right!("CHANGE"),
        right!("BALANCE"),
        "DOCUMENT",
        "REFERENCE",
        "BY",
        "REASON",
    ]);
    for line in lines {
        table.row([
            &line.at.to_string(),
            &line.sequence.to_string(),
            &line.kind,
            &line.currency,
            &format!("{:+}", line.change),
            &line.balance.to_string(),
            &document(line.document.as_ref()),
            line.reference.as_deref().unwrap_or_default(),
            &line.by,
            &line.reason,
        ]);
    }
    table
}
