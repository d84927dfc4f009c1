//! What plays the scenarios: the bare decisions, any store, or a service over a wire.

use std::sync::Arc;

use jaego_domain::{
    Code, Command, Event, Memory, Query, Refusal, Request, Sequence, Timestamp, check,
    command::Fenced,
    outcome,
    turn::{self, Accepted},
};

use super::{START, Told};
use crate::{BalanceFilter, Batch, Done, Reply, Results, StatementFilter, StockAsOf, Store, past, render};

/// A request as a caller would send it.
#[derive(Clone, Debug)]
pub struct Call {
    /// What is asked.
    pub command: Command,
    /// The request key.
    pub key: Option<Code>,
    /// Who asks.
    pub by: Code,
    /// The fence that it comes with.
    pub fenced: Option<Fenced>,
}

/// A question about the past.
#[derive(Clone, Debug, PartialEq)]
pub enum LookBack {
    /// What lay where.
    Stock(StockAsOf),
    /// How a balance came to be.
    Balance(BalanceFilter),
    /// What money went into a wallet and out of it.
    Statement(StatementFilter),
    /// Each crossing of a SKU's safety levels that the stock watch told, oldest first.
    Watched(Code),
}

/// Something that answers like a store, empty at first, its clock in the hand of the scenario.
pub trait Subject {
    /// Sets the clock. It is [`START`] before the first row.
    fn set_time(&mut self, now: Timestamp);

    /// Sends requests in one batch. An atomic batch may be refused as a whole.
    ///
    /// # Errors
    /// The requests that refused an atomic batch, by their indexes, and their refusals.
    fn submit(&mut self, calls: &[Call], atomic: bool) -> Result<Vec<Told>, Vec<(usize, Told)>>;

    /// Looks at something.
    fn look(&mut self, query: &Query) -> Told;

    /// Looks at something as it was.
    fn look_back(&mut self, past: &LookBack) -> Told;
}

/// Makes requests of the calls. A call that cannot become a request is answered without the store, and refuses
/// an atomic batch, with its like, before anything is decided.
fn requests(calls: &[Call]) -> Vec<Result<Request, Told>> {
    let make = |call: &Call| {
        let request = Request::new(call.command.clone(), call.key.clone(), call.by.clone())
            .map_err(|refusal| Told::refusal(&refusal))?;
        Ok(match &call.fenced {
            Some(fenced) => request.fenced(fenced.clone()),
            None => request,
        })
    };
    calls.iter().map(make).collect()
}

/// The requests of an atomic batch, or the calls that cannot become one.
fn all_made(requests: Vec<Result<Request, Told>>) -> Result<Vec<Request>, Vec<(usize, Told)>> {
    let (mut made, mut refused) = (Vec::with_capacity(requests.len()), Vec::new());
    for (index, request) in requests.into_iter().enumerate() {
        match request {
            Ok(request) => made.push(request),
            Err(told) => refused.push((index, told)),
        }
    }
    if refused.is_empty() { Ok(made) } else { Err(refused) }
}

fn told_refusals(refused: &[(usize, Refusal)]) -> Vec<(usize, Told)> {
    refused.iter().map(|(index, refusal)| (*index, Told::refusal(refusal))).collect()
}

/// The decisions alone, their books proven after every row.
pub struct BareSubject {
    tables: Memory,
    events: Vec<Event>,
    now: Timestamp,
}

impl Default for BareSubject {
    fn default() -> Self {
        Self { tables: Memory::new(), events: Vec::new(), now: START }
    }
}

impl BareSubject {
    fn sweep(&mut self) -> Timestamp {
        turn::sweep(&mut self.tables, self.now, &mut self.events).1
    }

    fn event(&self, sequence: Sequence) -> &Event {
        &self.events[usize::try_from(sequence.0 - 1).expect("the events are in memory")]
    }

    fn lend(&self, request: &mut Request) {
        let Some(id) = request.wanted_movement() else { return };
        if id.sequence.0 == 0 || id.sequence.0 > self.events.len() as u64 {
            return;
        }
        let event = self.event(id.sequence);
        let kind = event.fact.document().map_or("reversal", |(kind, _)| kind);
        let mut index = 0;
        event.fact.movements(|movement| {
            if index == id.index {
                request.lend_movement(movement, kind);
            }
            index += 1;
        });
    }

    fn told(&self, accepted: &Accepted) -> Told {
        let event = match accepted {
            Accepted::New(sequence) => self.event(*sequence),
            Accepted::Repeat(repeat) => {
                let outcome = repeat.outcome(&self.tables, self.event(repeat.of));
                return Told::done(&Done { outcome, repeat: true });
            }
            Accepted::DryRun(event) => event,
        };
        Told::done(&Done { outcome: outcome(&self.tables, event), repeat: false })
    }

    fn prove(&self) {
        if let Err(wrong) = check::check(&self.tables) {
            panic!("the books do not balance: {wrong:#?}");
        }
    }
}

impl Subject for BareSubject {
    fn set_time(&mut self, now: Timestamp) {
        self.now = now;
    }

    fn submit(&mut self, calls: &[Call], atomic: bool) -> Result<Vec<Told>, Vec<(usize, Told)>> {
        let now = self.sweep();
        let mut requests = requests(calls);
        if atomic {
            let mut made = all_made(requests)?;
            for request in &mut made {
                self.lend(request);
            }
            turn::fill_up(&mut self.tables, now, &mut self.events);
            let decided = turn::submit_atomic(&mut self.tables, &made, now, &mut self.events);
            self.prove();
            return match decided {
                Ok((accepted, _)) => Ok(accepted.iter().map(|one| self.told(one)).collect()),
                Err(refused) => Err(told_refusals(&refused)),
            };
        }
        let mut each = Vec::with_capacity(requests.len());
        for request in &mut requests {
            let request = match request {
                Ok(request) => request,
                Err(told) => {
                    each.push(told.clone());
                    continue;
                }
            };
            self.lend(request);
            turn::fill_up(&mut self.tables, now, &mut self.events);
            let decided = turn::submit(&mut self.tables, request, now, &mut self.events);
            self.prove();
            each.push(match decided {
                Ok((accepted, _)) => self.told(&accepted),
                Err(refusal) => Told::refusal(&refusal),
            });
        }
        Ok(each)
    }

    fn look(&mut self, query: &Query) -> Told {
        let now = self.sweep();
        self.prove();
        match self.tables.query(query, now) {
            Ok(view) => Told::view(&view),
            Err(refusal) => Told::refusal(&refusal),
        }
    }

    fn look_back(&mut self, past: &LookBack) -> Told {
        let now = self.sweep();
        match past {
            LookBack::Stock(filter) => {
                Told::past_stock(past::stock_as_of(&self.tables, &self.events, filter, now))
            }
            LookBack::Balance(filter) => Told::balance(past::balances(&self.tables, &self.events, filter)),
            LookBack::Statement(filter) => {
                Told::statement(past::statement(&self.tables, &self.events, filter))
            }
            LookBack::Watched(sku) => {
                let views = self.events.iter().map(|event| render::event_view(&self.tables, event));
                Told::watched(sku, views)
            }
        }
    }
}

/// Any store, asked from this thread.
pub struct StoreSubject {
    store: Arc<dyn Store>,
    set_time: Box<dyn FnMut(Timestamp)>,
}

impl StoreSubject {
    /// A store, and the hand on its clock. The clock is set to [`START`] at once.
    pub fn new(store: Arc<dyn Store>, mut set_time: impl FnMut(Timestamp) + 'static) -> Self {
        set_time(START);
        Self { store, set_time: Box::new(set_time) }
    }
}

impl Subject for StoreSubject {
    fn set_time(&mut self, now: Timestamp) {
        (self.set_time)(now);
    }

    fn submit(&mut self, calls: &[Call], atomic: bool) -> Result<Vec<Told>, Vec<(usize, Told)>> {
        let mut told = Vec::with_capacity(calls.len());
        let mut sent = Vec::with_capacity(calls.len());
        if atomic {
            sent = all_made(requests(calls))?;
            told.resize(sent.len(), None);
        } else {
            for request in requests(calls) {
                match request {
                    Ok(request) => {
                        sent.push(request);
                        told.push(None);
                    }
                    Err(refusal) => told.push(Some(refusal)),
                }
            }
        }
        let answers = match self.store.submit(Batch { requests: sent, atomic }).wait() {
            Ok(answers) => answers,
            Err(failure) => panic!("the store gave no answer: {failure}"),
        };
        let mut each = match answers.results {
            Results::Refused(refused) => return Err(told_refusals(&refused)),
            Results::Each(each) => each.into_iter(),
        };
        let answer = |answer: Option<Result<Done, _>>| match answer.expect("one answer for each request") {
            Ok(done) => Told::done(&done),
            Err(refusal) => Told::refusal(&refusal),
        };
        let told = told.into_iter().map(|told| told.unwrap_or_else(|| answer(each.next()))).collect();
        assert!(each.next().is_none(), "one answer for each request");
        Ok(told)
    }

    fn look(&mut self, query: &Query) -> Told {
        match self.store.query(query.clone()).wait() {
            Ok(answer) => match answer.value {
                Ok(view) => Told::view(&view),
                Err(refusal) => Told::refusal(&refusal),
            },
            Err(failure) => panic!("the store gave no answer: {failure}"),
        }
    }

    fn look_back(&mut self, past: &LookBack) -> Told {
        match past {
            LookBack::Stock(filter) => Told::past_stock(wait(self.store.stock_as_of(filter.clone())).value),
            LookBack::Balance(filter) => Told::balance(wait(self.store.balances(filter.clone())).value),
            LookBack::Statement(filter) => Told::statement(wait(self.store.statement(filter.clone())).value),
            LookBack::Watched(sku) => {
                // What the clock brings about is told with the next turn.
                wait(self.store.query(Query::Sku(sku.clone()))).value.expect("the SKU is there");
                Told::watched(sku, wait(self.store.events(Sequence(0), EVENTS_MAX)).events)
            }
        }
    }
}

/// Events of one scenario, at the most.
const EVENTS_MAX: usize = 100_000;

/// The answer that there has to be.
fn wait<T>(reply: Reply<T>) -> T {
    reply.wait().unwrap_or_else(|failure| panic!("the store gave no answer: {failure}"))
}
