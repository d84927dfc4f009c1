//! What clients of a running store saw, and whether one order explains all of it.
//!
//! Every answer names the sequence that it rests on, so the store itself says in which order things happened. The
//! check believes nothing but that this order must do: each answer has to be what a plain model answers there, and
//! nobody may be told of a state older than one that somebody was told of before he asked.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use jaego_domain::{
    Code, Command, Name, Outside, Query, Refusal, Request, View,
    command::{Adjust, AdjustLine, Change, ConfirmHold, HoldLine, PlaceHold, ReleaseHold},
    row::HoldStatus,
};
use jaego_store::{Batch, Results, Store};

use crate::{
    client::{code, quantity},
    model::Model,
};

/// What a client asks. SKUs and documents are numbers; each SKU lies in one bin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are what they are called")]
pub enum Ask {
    Hold { id: u64, sku: usize, units: u64 },
    Release { id: u64, key: u64 },
    Confirm { id: u64, key: u64 },
    Receive { id: u64, sku: usize, units: u64 },
    Read { sku: usize },
    ReadHold { id: u64 },
}

/// How a hold stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants are what they are called")]
pub enum HoldState {
    Open,
    Released,
    Confirmed,
}

/// What a client was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are what they are called")]
pub enum Told {
    Done { event: u64, repeat: bool, units: u64 },
    Refused { code: &'static str, available: Option<u64> },
    Stock { on_hand: u64, held: u64, available: u64 },
    Hold(Option<HoldState>),
}

/// An answer, and the last event that it rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "said above")]
pub struct Seen {
    pub head: u64,
    pub told: Told,
}

/// One call, with its instants on a clock that all clients share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "said above")]
pub struct Call {
    pub asked: Ask,
    pub invoked: u64,
    pub responded: u64,
    pub seen: Seen,
}

impl Call {
    /// Whether something new came of it, by the store's word.
    pub fn is_new(&self) -> bool {
        matches!(self.seen.told, Told::Done { repeat: false, .. })
    }
}

/// Somebody who answers: a store, or one with a bug.
pub trait Subject: Send + Sync {
    /// Asks, and waits for the answer.
    fn call(&self, asked: &Ask) -> Seen;
}

/// A store that is asked in the words of a history.
pub struct StoreSubject(pub Arc<dyn Store>);

impl Subject for StoreSubject {
    fn call(&self, asked: &Ask) -> Seen {
        let command = match *asked {
            Ask::Read { sku } => return self.read(Query::SkuStock(sku_code(sku))),
            Ask::ReadHold { id } => return self.read(Query::Hold(hold_code(id))),
            Ask::Hold { id, sku, units } => (place_hold(id, sku, units), None),
            Ask::Release { id, key } => {
                (Command::ReleaseHold(ReleaseHold { id: hold_code(id), lines: None }), Some(key))
            }
            Ask::Confirm { id, key } => {
                let confirm = ConfirmHold { id: hold_code(id), lines: None, to: None, release_rest: false };
                (Command::ConfirmHold(confirm), Some(key))
            }
            Ask::Receive { id, sku, units } => (receive(id, sku, units), None),
        };
        let key = command.1.map(|key| code(&format!("K{key}")));
        let request = Request::new(command.0, key, code("history")).expect("it is well formed");
        let answers = self.0.submit(Batch { requests: vec![request], atomic: false }).wait();
        let answers = answers.expect("a well store answers");
        let Results::Each(mut results) = answers.results else { panic!("not an atomic batch") };
        let told = match results.pop().expect("one answer for each request") {
            Ok(done) => Told::Done {
                event: done.outcome.sequence.0,
                repeat: done.repeat,
                units: done.outcome.picks.iter().map(|pick| pick.quantity.get()).sum(),
            },
            Err(refusal) => Told::Refused {
                code: refusal.code(),
                available: match &refusal {
                    Refusal::InsufficientStock { shortages } => Some(shortages[0].available.get()),
                    _ => None,
                },
            },
        };
        Seen { head: answers.sequence.0, told }
    }
}

impl StoreSubject {
    fn read(&self, query: Query) -> Seen {
        let answer = self.0.query(query).wait().expect("a well store answers");
        let told = match answer.value {
            Ok(View::SkuStock(sites)) => Told::Stock {
                on_hand: sites[0].on_hand.get(),
                held: sites[0].held.get(),
                available: sites[0].available.get(),
            },
            Ok(View::Hold(hold)) => Told::Hold(Some(match hold.status {
                HoldStatus::Held => HoldState::Open,
                HoldStatus::Confirmed => HoldState::Confirmed,
                _ => HoldState::Released,
            })),
            Ok(other) => panic!("another view: {other:?}"),
            Err(Refusal::HoldNotFound { .. }) => Told::Hold(None),
            Err(refusal) => panic!("{refusal}"),
        };
        Seen { head: answer.sequence.0, told }
    }
}

/// The code of a SKU.
pub fn sku_code(sku: usize) -> Code {
    code(&format!("SKU-{sku}"))
}

fn hold_code(id: u64) -> Code {
    code(&format!("H{id}"))
}

fn place_hold(id: u64, sku: usize, units: u64) -> Command {
    let line = HoldLine {
        site: code("ICN"),
        sku: sku_code(sku),
        quantity: quantity(units),
        location: None,
        lot: None,
    };
    Command::PlaceHold(PlaceHold {
        id: hold_code(id),
        owner: None,
        lines: [line].into_iter().collect(),
        expires_in_ms: None,
        partial: false,
        strategy: None,
    })
}

/// Units of a SKU that come into its bin.
pub fn receive(id: u64, sku: usize, units: u64) -> Command {
    Command::Adjust(Adjust {
        id: code(&format!("A{id}")),
        reason: Name::default(),
        lines: vec![AdjustLine {
            site: code("ICN"),
            location: code("A-1"),
            sku: sku_code(sku),
            lot: None,
            change: Change::Add(quantity(units), Outside::Supplier),
        }],
        release: None,
    })
}

/// A clock that all clients share: every look at it is later than the one before.
#[derive(Debug, Default)]
pub struct Instants(AtomicU64);

impl Instants {
    /// An instant that nobody had yet.
    pub fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

/// Calls of all clients.
#[derive(Debug, Clone)]
pub struct History {
    /// SKUs at the start.
    pub skus: usize,
    /// What each of them had.
    pub on_hand: u64,
    /// The last event before the first call.
    pub begins_after: u64,
    /// The calls, in any order.
    pub calls: Vec<Call>,
}

/// How much a check has to look at before its verdict counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "said above")]
pub struct Floor {
    pub calls: usize,
    pub events: usize,
    pub refusals: usize,
    pub repeats: usize,
    pub reads: usize,
    /// Calls that began before an earlier one had ended.
    pub overlaps: usize,
}

/// Why a history is no good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Too little happened: the run says nothing.
    TooLittle(String),
    /// No one order explains these.
    Anomalies(Vec<String>),
}

impl History {
    /// Checks that the order of the sequences explains every answer, and that it never contradicts real time.
    ///
    /// # Errors
    /// If too little happened to tell, or the first anomalies.
    pub fn check(&self, floor: &Floor) -> Result<(), Verdict> {
        self.check_load(floor)?;
        let mut anomalies = self.check_order();
        anomalies.extend(self.check_real_time());
        anomalies.truncate(20);
        if anomalies.is_empty() { Ok(()) } else { Err(Verdict::Anomalies(anomalies)) }
    }

    fn check_load(&self, floor: &Floor) -> Result<(), Verdict> {
        let count = |is: fn(&Told) -> bool| self.calls.iter().filter(|call| is(&call.seen.told)).count();
        let mut by_time: Vec<_> = self.calls.iter().map(|call| (call.invoked, call.responded)).collect();
        by_time.sort_unstable();
        let mut latest = 0;
        let mut overlaps = 0;
        for (invoked, responded) in by_time {
            overlaps += usize::from(invoked < latest);
            latest = latest.max(responded);
        }
        for (what, count, floor) in [
            ("calls", self.calls.len(), floor.calls),
            ("events", count(|told| matches!(told, Told::Done { repeat: false, .. })), floor.events),
            ("refusals", count(|told| matches!(told, Told::Refused { .. })), floor.refusals),
            ("repeats", count(|told| matches!(told, Told::Done { repeat: true, .. })), floor.repeats),
            ("reads", count(|told| matches!(told, Told::Stock { .. } | Told::Hold(_))), floor.reads),
            ("overlaps", overlaps, floor.overlaps),
        ] {
            if count < floor {
                return Err(Verdict::TooLittle(format!("{count} {what} are fewer than {floor}")));
            }
        }
        Ok(())
    }

    /// Replays all answers in the order of their sequences.
    fn check_order(&self) -> Vec<String> {
        let mut calls: Vec<_> = self.calls.iter().collect();
        // What happened at a sequence comes before what was seen there.
        calls.sort_by_key(|call| match call.seen.told {
            Told::Done { event, repeat: false, .. } => (event, false, call.invoked),
            _ => (call.seen.head, true, call.invoked),
        });
        let mut model = Model::new(self.skus, self.on_hand);
        let mut last = self.begins_after;
        let mut anomalies = Vec::new();
        for call in calls {
            if call.is_new() {
                let Told::Done { event, .. } = call.seen.told else { continue };
                if event != last + 1 {
                    anomalies.push(format!("event {event} comes after {last}: {call:?}"));
                }
                if call.seen.head != event {
                    anomalies.push(format!("it rests on another event than its own: {call:?}"));
                }
                let expected = model.expects(&call.asked, event);
                if expected == call.seen.told {
                    model.apply(&call.asked, event);
                } else {
                    anomalies.push(format!("{expected:?} was to be told: {call:?}"));
                }
                last = last.max(event);
                continue;
            }
            if call.seen.head != last {
                anomalies.push(format!("nobody was told of event {}: {call:?}", call.seen.head));
                last = last.max(call.seen.head);
            }
            let expected = model.expects(&call.asked, 0);
            if expected != call.seen.told {
                anomalies.push(format!("{expected:?} was to be told: {call:?}"));
            }
        }
        anomalies
    }

    /// Whoever asks after an answer is told of that state or a later one; and what is new then comes later.
    fn check_real_time(&self) -> Vec<String> {
        let mut instants: Vec<(u64, bool, &Call)> = Vec::with_capacity(2 * self.calls.len());
        for call in &self.calls {
            instants.push((call.invoked, false, call));
            instants.push((call.responded, true, call));
        }
        instants.sort_by_key(|(instant, ..)| *instant);
        let mut anomalies = Vec::new();
        let mut told_of = self.begins_after;
        for (_, responds, call) in instants {
            if responds {
                told_of = told_of.max(call.seen.head);
                continue;
            }
            let too_old = match call.seen.told {
                Told::Done { event, repeat: false, .. } => event <= told_of,
                _ => call.seen.head < told_of,
            };
            if too_old {
                anomalies.push(format!("event {told_of} was told of before: {call:?}"));
            }
        }
        anomalies
    }
}
