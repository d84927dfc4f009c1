//! `jaego proposal`: two cards that somebody would like to swap.

use anyhow::Result;
use clap::{Args, Subcommand};
use jaego_api::{outcome::Outcome, trade::Proposal};
use serde_json::json;

use crate::{
    card::told,
    master::said,
    outcome,
    page::Page,
    remote::{Remote, Service},
    table::Table,
};

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    remote: Remote,
    #[command(subcommand)]
    command: Command,
}

#[derive(Args)]
struct Answer {
    proposal: String,
    /// Who answers.
    owner: String,
    /// A request key, so that giving it again does it once.
    #[arg(long)]
    key: Option<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Propose to swap two cards: jaego proposal make P1 kim sword shield
    Make {
        /// The proposal's id: it is made once, however often it is given.
        id: String,
        /// Who proposes, and owns the first card.
        owner: String,
        /// The card that is given.
        from_card: String,
        /// The card that is wanted.
        to_card: String,
    },
    /// List proposals as they were made, the oldest first.
    List {
        /// That give or want this card.
        #[arg(long)]
        card: Option<String>,
        /// By or to this owner.
        #[arg(long)]
        owner: Option<String>,
        /// open, accepted, rejected, withdrawn or closed
        #[arg(long)]
        status: Option<String>,
        #[command(flatten)]
        page: Page,
    },
    /// Show a proposal.
    Show { proposal: String },
    /// Accept a proposal, as the owner of the wanted card: both cards change hands.
    Accept(Answer),
    /// Reject a proposal, as the owner of the wanted card.
    Reject(Answer),
    /// Take a proposal back, as the owner of the given card.
    Withdraw(Answer),
}

pub(crate) fn run(options: &Options) -> Result<()> {
    options.remote.run(async |service: Service| match &options.command {
        Command::Make { id, owner, from_card, to_card } => {
            let fields = json!({ "id": id, "owner": owner, "from_card": from_card, "to_card": to_card });
            service.submit("propose", &fields, |done| made(id, from_card, to_card, done)).await
        }
        Command::List { card, owner, status, page } => {
            let filter =
                [("card", card.as_deref()), ("owner", owner.as_deref()), ("status", status.as_deref())];
            page.show(&service, "proposals", &filter, proposals).await
        }
        Command::Show { proposal } => service.show("proposal", &[("proposal", proposal)], text).await,
        Command::Accept(answer) => act(&service, "accept_proposal", answer, "is accepted").await,
        Command::Reject(answer) => act(&service, "reject_proposal", answer, "is rejected").await,
        Command::Withdraw(answer) => act(&service, "withdraw_proposal", answer, "is withdrawn").await,
    })
}

fn made(id: &str, from_card: &str, to_card: &str, outcome: &Outcome) -> String {
    let kind = outcome.proposal_kind.as_ref().map_or("proposal", |kind| kind.as_str());
    outcome::text(&format!("{kind} {id}: {from_card} for {to_card}"), outcome)
}

async fn act(service: &Service, op: &str, answer: &Answer, done: &str) -> Result<()> {
    let Answer { proposal, owner, key } = answer;
    let fields = said(json!({ "proposal": proposal, "owner": owner, "key": key }));
    let what = format!("proposal {proposal} {done}");
    service.submit(op, &fields, |outcome| told(&what, outcome)).await
}

fn proposals(proposals: &[Proposal]) -> Table {
    let mut table =
        Table::new(&["PROPOSAL", "STATUS", "KIND", "GIVES", "OF", "WANTS", "OF", "REASON", "PROPOSED"]);
    for one in proposals {
        table.row([
            &one.id,
            one.status.as_str(),
            one.kind.as_str(),
            &one.from_card,
            &one.from_owner,
            &one.to_card,
            &one.to_owner,
            one.reason.as_ref().map_or("", |reason| reason.as_str()),
            &one.proposed_at.to_string(),
        ]);
    }
    table
}

fn text(one: &Proposal) -> String {
    let mut text = format!(
        "proposal  {}\nstatus    {}\nkind      {}\ngives     {} of {}, at {}\nwants     {} of {}, at {}\nproposed  {}\n",
        one.id,
        one.status.as_str(),
        one.kind.as_str(),
        one.from_card,
        one.from_owner,
        one.from_price,
        one.to_card,
        one.to_owner,
        one.to_price,
        one.proposed_at,
    );
    if let Some(reason) = &one.reason {
        text += &format!("reason    {}\n", reason.as_str());
    }
    text
}
