//! A store that is being opened: who asks meanwhile is told how far it is.

use std::{
    future::{self, Future},
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use jaego_domain::{Query, Refusal, Sequence, View};
use jaego_store::{
    Answer, Answers, BalanceFilter, BalancePage, Batch, EventPage, Failure, MovementFilter, MovementPage,
    PastStock, Reply, StatementFilter, StatementPage, Status, StockAsOf, Store,
};

use crate::Metrics;

/// Stands for a store until it is open, and hands everything on to it from then on.
///
/// Before, requests are [`Failure::Closed`]; a shell that is [`starting_while`](crate::Shell::starting_while) this says
/// something lets none of them come so far.
pub struct Opening {
    store: OnceLock<Arc<dyn Store>>,
    began: Instant,
    replayed: AtomicU64,
    /// How long it took, in milliseconds, once it is open.
    took_ms: AtomicU64,
}

impl Default for Opening {
    fn default() -> Self {
        Self {
            store: OnceLock::new(),
            began: Instant::now(),
            replayed: AtomicU64::new(0),
            took_ms: AtomicU64::new(0),
        }
    }
}

impl Opening {
    /// Notes that so many events were replayed so far.
    pub fn replayed(&self, events: u64) {
        self.replayed.store(events, Ordering::Relaxed);
    }

    /// The store is open.
    ///
    /// # Panics
    /// If it was already.
    pub fn open(&self, store: Arc<dyn Store>) {
        let took = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.took_ms.store(took, Ordering::Relaxed);
        assert!(self.store.set(store).is_ok(), "a store is opened once");
    }

    /// What it waits for; nothing when it is open.
    pub fn starting(&self) -> Option<String> {
        if self.store.get().is_some() {
            return None;
        }
        Some(match self.replayed.load(Ordering::Relaxed) {
            0 => "opening the store".to_owned(),
            events => format!("replaying: {events} events so far"),
        })
    }

    /// Shows in the metrics how far it is, and afterwards how long it took.
    pub fn show(self: &Arc<Self>, metrics: &Metrics) {
        type Reading = fn(&Opening) -> f64;
        let read = |read: Reading| {
            let opening = Arc::clone(self);
            move || read(&opening)
        };
        let rows: [(&'static str, &'static str, Reading); 3] = [
            ("jaego_starting", "1 while the store is being opened.", |opening| {
                f64::from(u8::from(opening.store.get().is_none()))
            }),
            (
                "jaego_recovery_events",
                "Events that the start has replayed from the journal so far.",
                |opening| opening.replayed.load(Ordering::Relaxed) as f64,
            ),
            (
                "jaego_recovery_seconds",
                "How long the store has been opening, or how long it took.",
                |opening| match opening.store.get() {
                    None => opening.began.elapsed().as_secs_f64(),
                    Some(_) => opening.took_ms.load(Ordering::Relaxed) as f64 / 1e3,
                },
            ),
        ];
        for (name, help, row) in rows {
            metrics.gauge_reading(name, help, &[], read(row));
        }
    }

    fn hand_on<T>(&self, ask: impl FnOnce(&dyn Store) -> Reply<T>) -> Reply<T> {
        match self.store.get() {
            Some(store) => ask(&**store),
            None => Reply::ready(Err(Failure::Closed)),
        }
    }
}

impl Store for Opening {
    fn submit(&self, batch: Batch) -> Reply<Answers> {
        self.hand_on(|store| store.submit(batch))
    }

    fn query(&self, query: Query) -> Reply<Answer<Result<View, Refusal>>> {
        self.hand_on(|store| store.query(query))
    }

    fn events(&self, after: Sequence, limit: usize) -> Reply<EventPage> {
        self.hand_on(|store| store.events(after, limit))
    }

    fn movements(&self, filter: MovementFilter) -> Reply<MovementPage> {
        self.hand_on(|store| store.movements(filter))
    }

    fn stock_as_of(&self, filter: StockAsOf) -> Reply<Answer<Result<PastStock, Refusal>>> {
        self.hand_on(|store| store.stock_as_of(filter))
    }

    fn balances(&self, filter: BalanceFilter) -> Reply<Answer<Result<BalancePage, Refusal>>> {
        self.hand_on(|store| store.balances(filter))
    }

    fn statement(&self, filter: StatementFilter) -> Reply<Answer<Result<StatementPage, Refusal>>> {
        self.hand_on(|store| store.statement(filter))
    }

    fn status(&self) -> Status {
        self.store.get().map(|store| store.status()).unwrap_or_default()
    }

    fn wait_for_events(&self, after: Sequence) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        match self.store.get() {
            Some(store) => store.wait_for_events(after),
            None => Box::pin(future::ready(())),
        }
    }
}
