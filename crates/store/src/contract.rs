//! The trait, and the types that it speaks in.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use jaego_domain::{
    Code, Counts, Currency, MoneyOutside, Movement, MovementId, Name, Outcome, PickWorkId, Place, Quantity,
    Query, Refusal, Request, Sequence, Timestamp, View, turn::Refusals,
};
use tokio::sync::oneshot;

/// A keeper of stock. Every call returns at once; the answer comes through the [`Reply`].
///
/// Dropping a reply does not take the request back: what was submitted is decided all the same.
pub trait Store: Send + Sync + 'static {
    /// Decides requests one after the other.
    fn submit(&self, batch: Batch) -> Reply<Answers>;

    /// Reads the present.
    fn query(&self, query: Query) -> Reply<Answer<Result<View, Refusal>>>;

    /// Reads durable events after a sequence, oldest first, at most `limit` of them.
    fn events(&self, after: Sequence, limit: usize) -> Reply<EventPage>;

    /// Reads the ledger, oldest first.
    fn movements(&self, filter: MovementFilter) -> Reply<MovementPage>;

    /// Reads what lay where at a time, in the order in which positions are numbered.
    ///
    /// Refuses as [`Query::Stock`] does; with `invalid_value` for a time that is not over yet; with `history_archived`
    /// for one before the first event that is kept.
    fn stock_as_of(&self, filter: StockAsOf) -> Reply<Answer<Result<PastStock, Refusal>>>;

    /// Reads how the balance of a SKU came to be what it is, oldest first.
    ///
    /// Refuses with `sku_not_found`, `site_not_found`, and with `history_archived` where `since` or the event behind
    /// `after` is before the first one that is kept.
    fn balances(&self, filter: BalanceFilter) -> Reply<Answer<Result<BalancePage, Refusal>>>;

    /// Reads what money went into a wallet and out of it, oldest first.
    ///
    /// Refuses with `wallet_not_found`, and with `history_archived` where `since` or the event behind `after` is before
    /// the first one that is kept.
    fn statement(&self, filter: StatementFilter) -> Reply<Answer<Result<StatementPage, Refusal>>>;

    /// How the store is doing; never waits.
    fn status(&self) -> Status;

    /// Waits until there are durable events after `after`, or until the store has ended.
    fn wait_for_events(&self, after: Sequence) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// Requests that are decided in a row.
#[derive(Debug)]
pub struct Batch {
    /// The requests.
    pub requests: Vec<Request>,
    /// All or nothing: the first refusal takes everything back.
    pub atomic: bool,
}

/// What a batch came to.
#[derive(Debug)]
pub struct Answers {
    /// The last event that was decided when the answers were made. It is durable.
    pub sequence: Sequence,
    /// The answers.
    pub results: Results,
}

/// The answers of a batch.
#[derive(Debug)]
pub enum Results {
    /// One for each request, in order.
    Each(Vec<Result<Done, Refusal>>),
    /// An atomic batch that changed nothing: each request that was refused, one at least.
    /// Those behind the first are decided as if the refused ones before them were not there.
    Refused(Refusals),
}

/// An accepted request.
#[derive(Clone, Debug, PartialEq)]
pub struct Done {
    /// What came of it.
    pub outcome: Outcome,
    /// Whether it had come of an earlier request already.
    pub repeat: bool,
}

/// Something read, and what it rests on.
#[derive(Debug)]
pub struct Answer<T> {
    /// The last event that the reader saw. It is durable.
    pub sequence: Sequence,
    /// Logical time of the reading.
    pub at: Timestamp,
    /// What was read.
    pub value: T,
}

/// A part of the feed of events.
#[derive(Debug)]
pub struct EventPage {
    /// The events, oldest first.
    pub events: Vec<EventView>,
    /// The last durable event: there is more if the page ends before it.
    pub durable: Sequence,
}

/// An event in the caller's words.
#[derive(Clone, Debug, PartialEq)]
pub struct EventView {
    /// The kind of its fact.
    pub kind: &'static str,
    /// Who asked for it.
    pub by: Code,
    /// The document that it is about: its kind and its id.
    pub document: Option<(&'static str, Code)>,
    /// Its sequence, its time and what came of it.
    pub outcome: Outcome,
    /// What went where.
    pub movements: Vec<MovementView>,
    /// What crossed its safety level: site, SKU, available, level, and whether it is low.
    pub watched: Vec<(Code, Code, Quantity, Quantity, bool)>,
    /// The holds that lapsed, or the orders whose claims did.
    pub lapsed: Vec<Code>,
    /// What money went into a wallet or out of it.
    pub money: Option<MoneyView>,
    /// The orders that got stock that they had waited for.
    pub filled: Vec<Code>,
    /// The pick work that waits again: claims on it lapsed, or were given up.
    pub returned: Vec<PickWorkId>,
}

/// Money that moved, in the caller's words.
#[derive(Clone, Debug, PartialEq)]
pub struct MoneyView {
    /// Whose wallet.
    pub owner: Code,
    /// In which currency.
    pub currency: Currency,
    /// By how much the wallet's balance changed: never zero.
    pub change: i64,
    /// The wallet's balance from then on.
    pub balance: i64,
    /// The account on the other side.
    pub outside: MoneyOutside,
}

/// Which movements to read. Every condition that is named must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MovementFilter {
    /// Of this SKU.
    pub sku: Option<Code>,
    /// Of this lot.
    pub lot: Option<Code>,
    /// From or to a position of this site.
    pub site: Option<Code>,
    /// Of the document of this id, whatever its kind.
    pub document: Option<Code>,
    /// At this time or later.
    pub since: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
    /// After this one.
    pub after: Option<MovementId>,
    /// How many at the most.
    pub limit: usize,
}

/// A part of the ledger.
#[derive(Debug)]
pub struct MovementPage {
    /// The movements, oldest first.
    pub movements: Vec<MovementView>,
    /// Where to go on, if there may be more.
    pub next: Option<MovementId>,
    /// The last durable event.
    pub durable: Sequence,
}

/// A movement in the caller's words.
#[derive(Clone, Debug, PartialEq)]
pub struct MovementView {
    /// Its name.
    pub id: MovementId,
    /// When.
    pub at: Timestamp,
    /// Who asked for it.
    pub by: Code,
    /// Why: in the caller's words, or what was done to the document. Never empty.
    pub reason: Name,
    /// For which document: its kind and its id.
    pub document: Option<(&'static str, Code)>,
    /// What.
    pub sku: Code,
    /// Of which lot, where it is tracked.
    pub lot: Option<Code>,
    /// How much.
    pub quantity: Quantity,
    /// Where it was.
    pub from: AccountView,
    /// Where it is now.
    pub to: AccountView,
    /// The movement in numbers.
    pub raw: Movement,
}

/// Which positions to read as they were. Every condition that is named must hold.
#[derive(Clone, Debug, PartialEq)]
pub struct StockAsOf {
    /// Of this SKU.
    pub sku: Option<Code>,
    /// At this site.
    pub site: Option<Code>,
    /// At this location; needs a site.
    pub location: Option<Code>,
    /// Of this lot; needs a SKU.
    pub lot: Option<Code>,
    /// When: after all events of this time. The answer for the present millisecond may still change.
    pub as_of: Timestamp,
    /// After this one.
    pub after: Option<Place>,
    /// How many at the most.
    pub limit: usize,
}

/// A part of the stock as it was.
#[derive(Clone, Debug, PartialEq)]
pub struct PastStock {
    /// Where something lay. What was held of it is not known any more.
    pub positions: Vec<PastPosition>,
    /// Where to go on, if there may be more. The page may be short all the same, or empty.
    pub next: Option<Place>,
}

/// What lay at a place, in the caller's words.
#[derive(Clone, Debug, PartialEq)]
pub struct PastPosition {
    /// The site.
    pub site: Code,
    /// The bin.
    pub location: Code,
    /// What lay there.
    pub sku: Code,
    /// Of which lot, where it is tracked.
    pub lot: Option<Code>,
    /// How much: never zero.
    pub on_hand: Quantity,
}

/// Which balance to read.
#[derive(Clone, Debug, PartialEq)]
pub struct BalanceFilter {
    /// Of this SKU.
    pub sku: Code,
    /// At this site; without one, at all sites together. What is between two sites counts at neither.
    pub site: Option<Code>,
    /// At this time or later; without it, from the first event that is kept.
    pub since: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
    /// After this event.
    pub after: Option<Sequence>,
    /// How many points at the most.
    pub limit: usize,
}

/// A part of a balance over time.
#[derive(Clone, Debug, PartialEq)]
pub struct BalancePage {
    /// The changes, oldest first.
    pub points: Vec<BalancePoint>,
    /// Where to go on, if there may be more. The page may be short all the same, or empty.
    pub next: Option<Sequence>,
}

/// An event that changed a balance. Goods that stay at the site, or within the sites, change none.
#[derive(Clone, Debug, PartialEq)]
pub struct BalancePoint {
    /// When.
    pub at: Timestamp,
    /// The event.
    pub sequence: Sequence,
    /// By how much: never zero.
    pub change: i64,
    /// The balance from then on.
    pub on_hand: u64,
    /// Who asked for it.
    pub by: Code,
    /// Why: in the caller's words, or what was done to the document. Never empty.
    pub reason: Name,
    /// For which document: its kind and its id.
    pub document: Option<(&'static str, Code)>,
}

/// Which part of a wallet's statement to read. Every condition that is named must hold.
#[derive(Clone, Debug, PartialEq)]
pub struct StatementFilter {
    /// Whose wallet.
    pub owner: Code,
    /// Only in this currency.
    pub currency: Option<Currency>,
    /// At this time or later.
    pub since: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
    /// After this event.
    pub after: Option<Sequence>,
    /// How many lines at the most.
    pub limit: usize,
}

/// A part of a wallet's statement.
#[derive(Clone, Debug, PartialEq)]
pub struct StatementPage {
    /// The lines, oldest first.
    pub lines: Vec<StatementLine>,
    /// Where to go on, if there may be more. The page may be short all the same, or empty.
    pub next: Option<Sequence>,
}

/// Money that went into a wallet or out of it.
#[derive(Clone, Debug, PartialEq)]
pub struct StatementLine {
    /// When.
    pub at: Timestamp,
    /// The event.
    pub sequence: Sequence,
    /// The kind of its fact.
    pub kind: &'static str,
    /// In which currency.
    pub currency: Currency,
    /// By how much the balance changed: never zero.
    pub change: i64,
    /// The balance from then on.
    pub balance: i64,
    /// The account on the other side.
    pub outside: MoneyOutside,
    /// Who asked for it.
    pub by: Code,
    /// Why: in the caller's words, or what was done. Never empty.
    pub reason: Name,
    /// For which document of ours, other than the wallet itself: its kind and its id.
    pub document: Option<(&'static str, Code)>,
    /// The caller's own document.
    pub reference: Option<Code>,
}

/// One side of a movement, in the caller's words.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants are those of Account")]
pub enum AccountView {
    Position { site: Code, location: Code },
    Outside(&'static str),
    InTransit { transfer: Code, line: Code },
}

/// How a store is doing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// Whether it takes requests.
    pub ready: bool,
    /// Whether it refuses writes for want of room.
    pub full: bool,
    /// Why it stopped, if it did.
    pub failed: Option<String>,
    /// The last event that was decided.
    pub sequence: Sequence,
    /// The last event that is durable.
    pub durable: Sequence,
    /// Requests that wait to be decided.
    pub queue_len: usize,
    /// How many may.
    pub queue_len_max: usize,
    /// How much there is.
    pub counts: Counts,
    /// Finished documents that are in the archive, and no longer in memory but for those that are leaving it.
    pub archived: u64,
    /// Documents that were archived and have yet to leave memory: the writer lets a few go with each turn.
    pub leaving: u64,
    /// How far expiry lags behind the clock, in milliseconds.
    pub expiry_lag_ms: u64,
    /// Request keys that are kept.
    pub keys: u64,
    /// The age of the oldest of them, in milliseconds.
    pub key_window_ms: u64,
}

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Failure {
    /// The queue is full: try again in a moment. Nothing was decided.
    #[error("busy: {queue_len} requests are waiting, and no more may")]
    Busy {
        /// How many wait.
        queue_len: usize,
    },
    /// There is no room for more events. Nothing was decided; reads go on.
    #[error("the store is full: {detail}")]
    Full {
        /// What would not fit where.
        detail: String,
    },
    /// A write or a sync failed, and the store has stopped. Whether the request took effect is not known.
    #[error("the store has failed: {detail}")]
    Failed {
        /// What it was doing.
        detail: String,
    },
    /// What was cannot be read: the events or the finished documents that the answer wants are damaged, gone or on a
    /// disk that fails. The store goes on deciding whatever needs none of them. A batch with requests that were sent
    /// again was decided: those did happen, once. One with a reversal was not. Of a batch that names a finished
    /// document, requests before it may have been decided, unless it is atomic: sent again, they are repeats.
    #[error("the history cannot be read: {detail}")]
    HistoryUnreadable {
        /// What cannot be read, and why.
        detail: String,
    },
    /// The store is shutting down. Nothing was decided.
    #[error("the store is shutting down")]
    Closed,
    /// More requests or lines than one batch may have. Nothing was decided.
    #[error("{what}: {count} are more than {max}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        max: usize,
    },
}

/// An answer that will come.
#[derive(Debug)]
pub struct Reply<T>(oneshot::Receiver<Result<T, Failure>>);

/// Where an answer is to go.
#[derive(Debug)]
pub struct ReplyTo<T>(oneshot::Sender<Result<T, Failure>>);

/// The two ends of an answer.
pub fn reply<T>() -> (ReplyTo<T>, Reply<T>) {
    let (to, from) = oneshot::channel();
    (ReplyTo(to), Reply(from))
}

impl<T> ReplyTo<T> {
    /// Sends the answer. Nobody may be waiting any more; that is fine.
    pub fn send(self, answer: Result<T, Failure>) {
        let _ = self.0.send(answer);
    }
}

impl<T> Reply<T> {
    /// An answer that is there already.
    pub fn ready(answer: Result<T, Failure>) -> Self {
        let (to, reply) = reply();
        to.send(answer);
        reply
    }

    /// Waits for the answer on this thread, which must not be one that drives async tasks.
    pub fn wait(self) -> Result<T, Failure> {
        self.0.blocking_recv().unwrap_or(Err(Failure::Closed))
    }
}

impl<T> Future for Reply<T> {
    type Output = Result<T, Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|answer| answer.unwrap_or(Err(Failure::Closed)))
    }
}
