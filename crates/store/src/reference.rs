//! The obvious store: the decisions over tables in memory, and every event in a list.
//!
//! It keeps nothing beyond its own life, so every event is durable the moment it is decided. What it answers is
//! what every other store has to answer; tests hand in a clock of their own.

use std::{
    future::Future,
    pin::Pin,
    sync::{Mutex, MutexGuard},
};

use jaego_domain::{
    Event, Memory, MovementId, Query, Refusal, Request, Sequence, Tables, Timestamp, View, outcome,
    turn::{self, Accepted},
};
use tokio::sync::watch;

use crate::{
    Answer, Answers, BalanceFilter, BalancePage, Batch, Done, EventPage, MovementFilter, MovementPage,
    PastStock, Reply, Results, StatementFilter, StatementPage, Status, StockAsOf, Store, past, render,
};

/// A store in memory.
pub struct Reference {
    clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
    books: Mutex<Books>,
    decided: watch::Sender<Sequence>,
}

#[derive(Default)]
struct Books {
    tables: Memory,
    events: Vec<Event>,
}

impl Reference {
    /// An empty store that asks `clock` what time it is, once for each batch and each query.
    pub fn new(clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self { clock: Box::new(clock), books: Mutex::default(), decided: watch::Sender::new(Sequence(0)) }
    }

    /// Looks at the rows and the events, oldest first, as they are now.
    pub fn inspect<T>(&self, look: impl FnOnce(&Memory, &[Event]) -> T) -> T {
        let books = self.books();
        look(&books.tables, &books.events)
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().expect("no decision panicked while it held the books")
    }

    /// Begins a turn: what has lapsed by now lapses first.
    fn turn<T>(&self, work: impl FnOnce(&mut Books, Timestamp) -> T) -> T {
        let mut books = self.books();
        let books = &mut *books;
        let now = books.sweep((self.clock)());
        let done = work(books, now);
        let head = books.tables.head().sequence;
        self.decided.send_if_modified(|decided| std::mem::replace(decided, head) != head);
        done
    }
}

impl Books {
    /// Lapses what is due with all that follows from it, and says what time it is.
    fn sweep(&mut self, clock: Timestamp) -> Timestamp {
        turn::sweep(&mut self.tables, clock, &mut self.events).1
    }

    /// The movement of this name, and the kind of its document.
    fn movement(&self, id: MovementId) -> Option<(jaego_domain::Movement, &'static str)> {
        let event = self.event(id.sequence)?;
        let mut movements = Vec::new();
        event.fact.movements(|movement| movements.push(movement));
        let movement = movements.into_iter().nth(usize::try_from(id.index).ok()?)?;
        Some((movement, event.fact.document().map_or("reversal", |(kind, _)| kind)))
    }

    fn event(&self, sequence: Sequence) -> Option<&Event> {
        self.events.get(usize::try_from(sequence.0.checked_sub(1)?).ok()?)
    }

    fn lend(&self, request: &mut Request) {
        if let Some((movement, document)) = request.wanted_movement().and_then(|id| self.movement(id)) {
            request.lend_movement(movement, document);
        }
    }

    fn done(&self, accepted: &Accepted) -> Done {
        let known = |sequence| self.event(sequence).expect("an answer's event is in the list");
        let event = match accepted {
            Accepted::New(sequence) => known(*sequence),
            Accepted::Repeat(repeat) => {
                let outcome = repeat.outcome(&self.tables, known(repeat.of));
                return Done { outcome, repeat: true };
            }
            Accepted::DryRun(event) => event,
        };
        Done { outcome: outcome(&self.tables, event), repeat: false }
    }

    fn submit(&mut self, mut batch: Batch, now: Timestamp) -> Results {
        if !batch.atomic {
            let each = batch.requests.iter_mut().map(|request| {
                self.lend(request);
                turn::fill_up(&mut self.tables, now, &mut self.events);
                let (accepted, _) = turn::submit(&mut self.tables, request, now, &mut self.events)?;
                Ok(self.done(&accepted))
            });
            return Results::Each(each.collect());
        }
        for request in &mut batch.requests {
            self.lend(request);
        }
        turn::fill_up(&mut self.tables, now, &mut self.events);
        match turn::submit_atomic(&mut self.tables, &batch.requests, now, &mut self.events) {
            Ok((accepted, _)) => Results::Each(accepted.iter().map(|one| Ok(self.done(one))).collect()),
            Err(refused) => Results::Refused(refused),
        }
    }
}

impl Store for Reference {
    fn submit(&self, batch: Batch) -> Reply<Answers> {
        Reply::ready(Ok(self.turn(|books, now| {
            let results = books.submit(batch, now);
            Answers { sequence: books.tables.head().sequence, results }
        })))
    }

    fn query(&self, query: Query) -> Reply<Answer<Result<View, Refusal>>> {
        Reply::ready(Ok(self.turn(|books, now| Answer {
            sequence: books.tables.head().sequence,
            at: now,
            value: books.tables.query(&query, now),
        })))
    }

    fn events(&self, after: Sequence, limit: usize) -> Reply<EventPage> {
        let books = self.books();
        let start = usize::try_from(after.0).unwrap_or(usize::MAX).min(books.events.len());
        let events = books.events[start..].iter().take(limit);
        Reply::ready(Ok(EventPage {
            events: events.map(|event| render::event_view(&books.tables, event)).collect(),
            durable: books.tables.head().sequence,
        }))
    }

    fn movements(&self, filter: MovementFilter) -> Reply<MovementPage> {
        let books = self.books();
        let mut fitting =
            books.events.iter().flat_map(|event| render::movement_views(&books.tables, event, &filter));
        let movements: Vec<_> = fitting.by_ref().take(filter.limit).collect();
        let next = movements.last().map(|last| last.id).filter(|_| fitting.next().is_some());
        drop(fitting);
        Reply::ready(Ok(MovementPage { movements, next, durable: books.tables.head().sequence }))
    }

    fn stock_as_of(&self, filter: StockAsOf) -> Reply<Answer<Result<PastStock, Refusal>>> {
        Reply::ready(Ok(self.turn(|books, now| Answer {
            sequence: books.tables.head().sequence,
            at: now,
            value: past::stock_as_of(&books.tables, &books.events, &filter, now),
        })))
    }

    fn balances(&self, filter: BalanceFilter) -> Reply<Answer<Result<BalancePage, Refusal>>> {
        Reply::ready(Ok(self.turn(|books, now| Answer {
            sequence: books.tables.head().sequence,
            at: now,
            value: past::balances(&books.tables, &books.events, &filter),
        })))
    }

    fn statement(&self, filter: StatementFilter) -> Reply<Answer<Result<StatementPage, Refusal>>> {
        Reply::ready(Ok(self.turn(|books, now| Answer {
            sequence: books.tables.head().sequence,
            at: now,
            value: past::statement(&books.tables, &books.events, &filter),
        })))
    }

    fn status(&self) -> Status {
        let books = self.books();
        let head = books.tables.head();
        let now = (self.clock)().max(head.at);
        let lag = books.tables.next_due().map_or(0, |due| now.0.saturating_sub(due.0));
        let oldest = books.tables.oldest_answered().map_or(now, |(_, answered)| answered.at);
        Status {
            ready: true,
            full: false,
            failed: None,
            sequence: head.sequence,
            durable: head.sequence,
            queue_len: 0,
            queue_len_max: 1,
            counts: books.tables.counts(),
            archived: 0,
            leaving: 0,
            expiry_lag_ms: lag,
            keys: books.tables.answered_count() as u64,
            key_window_ms: now.0.saturating_sub(oldest.0),
        }
    }

    fn wait_for_events(&self, after: Sequence) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let mut decided = self.decided.subscribe();
        Box::pin(async move {
            // An error means that the store is gone, which ends the waiting as well.
            let _ = decided.wait_for(|decided| *decided > after).await;
        })
    }
}
