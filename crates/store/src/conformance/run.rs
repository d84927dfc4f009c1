//! Plays a scenario and compares what is answered with what was told.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
};

use jaego_domain::{Command, Sequence, Timestamp};

use super::{
    Call, Row, START, Scenario, Subject, Told,
    words::{self, Deed, Unread},
};

/// Whether accepted requests are sent a second time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Echo {
    Off,
    On,
}

/// Plays a scenario on an empty subject.
pub(super) fn play(scenario: &Scenario, echo: Echo, subject: &mut dyn Subject) -> Result<(), String> {
    let mut stage = Stage { echo, now: START, subject, done: BTreeMap::new(), gathered: None };
    for row in &scenario.rows {
        // A panic is a wrong answer as well, and the reader wants to know to which row.
        let played = catch_unwind(AssertUnwindSafe(|| stage.play(row)));
        let played = played.unwrap_or_else(|_| Err("    got       a panic, told above".into()));
        played.map_err(|wrong| {
            let Scenario { file, title, .. } = scenario;
            let again = if echo == Echo::On { " (with an echo)" } else { "" };
            format!("{file}:{}: {title}{again}\n    row       {}\n{wrong}", row.line, row.text)
        })?;
    }
    match stage.gathered {
        Some(_) => Err(format!("{}:{}: a batch has no end", scenario.file, scenario.line)),
        None => Ok(()),
    }
}

struct Stage<'a> {
    echo: Echo,
    now: Timestamp,
    subject: &'a mut dyn Subject,
    /// The event that last was about a document.
    done: BTreeMap<String, Sequence>,
    gathered: Option<Gathered>,
}

/// A batch that was begun and not yet sent.
struct Gathered {
    atomic: bool,
    calls: Vec<Call>,
    rows: Vec<Row>,
}

impl Stage<'_> {
    fn play(&mut self, row: &Row) -> Result<(), String> {
        let deed = match words::read(row, &self.done) {
            Ok(deed) => deed,
            Err(Unread::Syntax(wrong)) => return Err(format!("    cannot be read: {wrong}")),
            Err(Unread::Refused(refusal)) => return compare(row, &Told::refusal(&refusal)),
        };
        if let Some(gathered) = &mut self.gathered {
            return match deed {
                Deed::Call(call) => {
                    gathered.calls.push(call);
                    gathered.rows.push(row.clone());
                    Ok(())
                }
                Deed::End => self.send(row),
                _ => Err("    only requests can be in a batch".into()),
            };
        }
        match deed {
            Deed::Begin { atomic } => {
                self.gathered = Some(Gathered { atomic, calls: Vec::new(), rows: Vec::new() });
                Ok(())
            }
            Deed::End => Err("    there is no batch to end".into()),
            Deed::Time { ms } => {
                self.now = self.now.after_ms(ms);
                self.subject.set_time(self.now);
                Ok(())
            }
            Deed::Look(query) => compare(row, &self.subject.look(&query)),
            Deed::LookBack(past) => compare(row, &self.subject.look_back(&past)),
            Deed::Call(call) => {
                let told = match self.subject.submit(std::slice::from_ref(&call), false) {
                    Ok(each) => each.into_iter().next().ok_or("    there was no answer")?,
                    Err(_) => return Err("    refused as a batch".into()),
                };
                self.remember(&told);
                compare(row, &told)?;
                self.echo(&call, &told)
            }
        }
    }

    fn send(&mut self, end: &Row) -> Result<(), String> {
        let Gathered { atomic, calls, rows } = self.gathered.take().expect("a batch was begun");
        match self.subject.submit(&calls, atomic) {
            Ok(each) => {
                if each.len() != rows.len() {
                    return Err(format!("    {} answers to {} requests", each.len(), rows.len()));
                }
                for (row, told) in rows.iter().zip(&each) {
                    self.remember(told);
                    compare(row, told).map_err(|wrong| format!("    at        {}\n{wrong}", row.text))?;
                }
                compare(end, &Told::new("accepted"))
            }
            Err(refused) => {
                let mut refused = refused.into_iter();
                let (index, told) = refused.next().ok_or("    refused by no request")?;
                let told = Told { word: "refused".into(), ..told.clone().with("code", &told.word) };
                let others: Vec<_> = refused.map(|(index, told)| format!("{index}:{}", told.word)).collect();
                let others = if others.is_empty() { "none".to_owned() } else { others.join(",") };
                compare(end, &told.with("index", index).with("also", others))
            }
        }
    }

    fn remember(&mut self, told: &Told) {
        for fence in told.facts.get("fences").iter().flat_map(|fences| fences.split(',')) {
            if let Some((order, fence)) = fence.rsplit_once(':')
                && let Ok(fence) = fence.parse()
            {
                self.done.insert(format!("{order}.claim"), Sequence(fence));
            }
        }
        let (Some(id), Some(sequence)) = (told.facts.get("id"), told.facts.get("sequence")) else { return };
        if let Ok(sequence) = sequence.parse() {
            self.done.insert(id.clone(), Sequence(sequence));
        }
    }

    /// Sends an accepted request again: what has a key of any kind must be a repeat with the same outcome.
    fn echo(&mut self, call: &Call, first: &Told) -> Result<(), String> {
        if self.echo == Echo::Off || first.word != "accepted" || !is_keyed(call) {
            return Ok(());
        }
        let again = match self.subject.submit(std::slice::from_ref(call), false) {
            Ok(each) => each.into_iter().next().ok_or("    there was no answer to the echo")?,
            Err(_) => return Err("    refused as a batch".into()),
        };
        let expected = Told { word: "repeat".into(), ..first.clone() };
        if again == expected {
            return Ok(());
        }
        Err(format!("    echoed    {expected}\n    got       {again}"))
    }
}

/// Whether a request is answered the same when it is sent again.
fn is_keyed(call: &Call) -> bool {
    match &call.command {
        Command::AllocateTransfer(allocate) if allocate.dry_run => false,
        Command::SetSite(_)
        | Command::SetLocation(_)
        | Command::SetSku(_)
        | Command::SetLot(_)
        | Command::Adjust(_)
        | Command::Move(_)
        | Command::PlaceHold(_)
        | Command::RequestTransfer(_)
        | Command::CancelTransfer(_)
        | Command::ShipTransfer(_)
        | Command::CloseTransfer(_)
        | Command::Authorize(_) => true,
        Command::SetOrderAllocation(_)
        | Command::PlaceOrder(_)
        | Command::CancelOrder(_)
        | Command::ClaimOrder(_)
        | Command::CompleteOrder(_)
        | Command::RaiseFence(_) => true,
        Command::SetPriceTiers(_)
        | Command::SetCard(_)
        | Command::Propose(_)
        | Command::AcceptProposal(_)
        | Command::RejectProposal(_)
        | Command::WithdrawProposal(_)
        | Command::ClaimTransfer(_) => true,
        Command::SetCart(_) | Command::DiscardCart(_) => true,
        // A cart that holds renews its time each time.
        Command::SetCartItem(_) => false,
        // All of them by name: whoever adds a command says here what its echo is, and then writes its rows.
        Command::Reverse(_)
        | Command::ConfirmHold(_)
        | Command::ReleaseHold(_)
        | Command::ExtendHold(_)
        | Command::ChangeHold(_)
        | Command::AllocateTransfer(_)
        | Command::ReleaseTransfer(_)
        | Command::PickTransfer(_)
        | Command::UnpickTransfer(_)
        | Command::ReceiveTransfer(_)
        | Command::Charge(_)
        | Command::Pay(_)
        | Command::Refund(_)
        | Command::SetWalletLimit(_)
        | Command::Capture(_)
        | Command::Void(_)
        | Command::AllocateOrder(_)
        | Command::RefundOrder(_)
        | Command::ClaimOrders(_)
        | Command::ExtendClaim(_)
        | Command::UnclaimOrder(_)
        | Command::ClaimPicks(_)
        | Command::ExtendTransferClaim(_)
        | Command::UnclaimTransfer(_)
        | Command::Checkout(_) => call.key.is_some(),
    }
}

/// Facts that a row has to tell when the answer has them: they would be a surprise to whoever reads it.
const NEVER_LEFT_OUT: [&str; 3] = ["short", "holders", "closed"];

fn compare(row: &Row, told: &Told) -> Result<(), String> {
    let wrong = |why: String| {
        let expected = match &row.expected {
            Some(expected) => expected.words.join(" "),
            None => "accepted".to_owned(),
        };
        Err(format!("    expected  {expected}\n    got       {told}\n    because   {why}"))
    };
    let mut words = match &row.expected {
        None => return if told.word == "accepted" { surprise(told, &[], wrong) } else { wrong(other(told)) },
        Some(expected) => expected.words.iter().map(String::as_str),
    };
    if !told.word.is_empty() {
        let word = words.next();
        if word != Some(&told.word) && !(told.word == "accepted" && word == past(&row.verb)) {
            return wrong(other(told));
        }
    }
    let mut named = Vec::new();
    while let Some(word) = words.next() {
        let (name, value) = match word.split_once('=') {
            Some(pair) => pair,
            None => match words.next() {
                Some(value) => (word, value),
                None => return wrong(format!("{word} has no value")),
            },
        };
        named.push(name);
        if told.facts.get(name).map(String::as_str) != Some(value) {
            let is = told.facts.get(name).map_or("not told", String::as_str);
            return wrong(format!("{name} is {is}"));
        }
    }
    if told.word == "accepted" || told.word == "repeat" { surprise(told, &named, wrong) } else { Ok(()) }
}

fn other(told: &Told) -> String {
    format!("the answer is {}", if told.word.is_empty() { "without a word" } else { &told.word })
}

fn surprise(told: &Told, named: &[&str], wrong: impl Fn(String) -> Result<(), String>) -> Result<(), String> {
    let untold = NEVER_LEFT_OUT.iter().find(|name| told.facts.contains_key(**name) && !named.contains(name));
    match untold {
        Some(name) => wrong(format!("the row does not tell {name}")),
        None => Ok(()),
    }
}

/// The word for a command that was accepted.
fn past(verb: &str) -> Option<&'static str> {
    Some(match verb {
        "set_site" | "set_location" | "set_sku" | "set_lot" => "set",
        "adjust" | "stock" => "adjusted",
        "move" => "moved",
        "reverse" => "reversed",
        "hold" => "held",
        "change_hold" => "changed",
        "confirm_hold" => "confirmed",
        "release_hold" | "release_transfer" => "released",
        "extend_hold" => "extended",
        "request_transfer" => "requested",
        "allocate_transfer" => "allocated",
        "cancel_transfer" => "cancelled",
        "pick_transfer" => "picked",
        "unpick_transfer" => "unpicked",
        "ship_transfer" => "shipped",
        "receive_transfer" => "received",
        "close_transfer" => "closed",
        "charge" => "charged",
        "pay" => "paid",
        "refund" => "refunded",
        "set_wallet_limit" => "set",
        "authorize" => "authorized",
        "capture" => "captured",
        "void" => "voided",
        "set_order_allocation" => "set",
        "place_order" => "placed",
        "allocate_order" => "allocated",
        "cancel_order" => "cancelled",
        "claim_order" | "claim_orders" => "claimed",
        "extend_claim" => "extended",
        "unclaim_order" => "unclaimed",
        "complete_order" => "completed",
        "raise_fence" => "raised",
        "set_price_tiers" | "set_card" => "set",
        "propose" => "proposed",
        "accept_proposal" => "accepted",
        "reject_proposal" => "rejected",
        "withdraw_proposal" => "withdrawn",
        "claim_transfer" | "claim_picks" => "claimed",
        "extend_transfer_claim" => "extended",
        "unclaim_transfer" => "unclaimed",
        "set_cart" | "set_cart_item" => "set",
        "discard_cart" => "discarded",
        "checkout" => "ordered",
        "refund_order" => "refunded",
        _ => return None,
    })
}
