//! The embedded store: the threads of the writer, the journal, the history and the checkpoints, and what they hand to
//! each other.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use jaego_domain::{Counts, Query, Refusal, Sequence, Tables, Timestamp, View};
use jaego_store::{
    Answer, Answers, BalanceFilter, BalancePage, Batch, EventPage, Failure, MovementFilter, MovementPage,
    PastStock, Reply, ReplyTo, StatementFilter, StatementPage, Status, StockAsOf, Store, reply,
};
use tokio::sync::watch;

use crate::{
    Clock, Steady,
    archive::{Archive, Rested, Shelf},
    core::{Core, Flight, Job, Limits, Submission},
    disk::Disk,
    history::{ASKS_MAX, Ask, Ledger, Owed, Past, Recent, Repeats, conclude},
    inbox::{Inbox, State},
    index::Indexes,
    journal::{self, FRAME_HEADER_LEN, IDLE_BEFORE_WATERMARK, Journal, Reader, SECTOR_LEN},
    recovery::{Recovered, Written, write_checkpoint},
};

/// How the store is kept.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// How the journal is kept.
    pub journal: journal::Config,
    /// How much one turn does.
    pub limits: Limits,
    /// Requests that may wait for the writer; more are refused with `busy`.
    pub waiting_max: usize,
    /// Requests of one batch.
    pub batch_len_max: usize,
    /// Lines of one batch.
    pub batch_lines_max: usize,
    /// Sealed segments after which a checkpoint is written: so many at least, and twice as many where the last
    /// checkpoint was that long, because each one loads and writes all rows again.
    pub checkpoint_segments: usize,
    /// How long the writer sleeps at the most, so that what lapses is told about.
    pub sweep_every: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            journal: journal::Config::default(),
            limits: Limits::default(),
            waiting_max: 65_536,
            batch_len_max: 10_000,
            batch_lines_max: 65_536,
            checkpoint_segments: 4,
            sweep_every: Duration::from_millis(250),
        }
    }
}

/// How long a full journal waits before it looks for room again.
const ROOM_AGAIN_AFTER: Duration = Duration::from_millis(250);
/// How long the checkpoint thread sleeps between two looks.
const CHECKPOINT_LOOK: Duration = Duration::from_millis(500);
/// How long it waits after a checkpoint that could not be written.
const CHECKPOINT_AGAIN_AFTER: Duration = Duration::from_secs(10);
/// How soon a sleeping thread notices that the store closes.
const NAP: Duration = Duration::from_millis(20);
/// The names of the history's threads.
const REPEATS: &str = "jaego-repeats";
/// The name of the thread that fetches from the archive.
const FETCH: &str = "jaego-fetch";
const LEDGER: &str = "jaego-ledger";

/// The payload that the journal is asked to have room for before anything is decided: the frame in flight and the
/// one being decided, each with its header and padding, and a watermark that an idle moment puts between them.
fn room(limits: &Limits) -> usize {
    2 * (limits.payload_len_max() + FRAME_HEADER_LEN + SECTOR_LEN) + SECTOR_LEN
}

/// The embedded store, running.
pub struct Engine {
    inbox: Arc<Inbox>,
    fetches: mpsc::Sender<Fetch>,
    owed: mpsc::Sender<Owed>,
    asks: mpsc::Sender<Ask>,
    cells: Arc<Cells>,
    durable: watch::Receiver<Sequence>,
    ended: watch::Receiver<Option<Result<(), String>>>,
    config: Config,
    now: Box<dyn Fn() -> Timestamp + Send + Sync>,
    /// How far the store's clock is ahead of the wall clock, in microseconds.
    clock_offset_us: Box<dyn Fn() -> i64 + Send + Sync>,
    /// In the order in which they end.
    threads: Mutex<Vec<(&'static str, JoinHandle<()>)>>,
}

/// In the place of a time that there is not.
const NEVER: u64 = u64::MAX;

/// What the writer tells about itself after each turn. Times are told as such and no ages: those grow while it sleeps.
#[derive(Default)]
struct Cells {
    sequence: AtomicU64,
    counts: Mutex<Counts>,
    /// When the next thing lapses, and when the oldest kept request key was answered, in milliseconds since 1970;
    /// [`NEVER`] where nothing does and none was.
    next_due: AtomicU64,
    oldest_key: AtomicU64,
    keys: AtomicU64,
    checkpoint: AtomicU64,
    archived: AtomicU64,
    /// Documents that were handed to the writer to leave memory, and how many of them did.
    rested: AtomicU64,
    left: AtomicU64,
    /// Who is told about each sync, if anybody.
    observer: OnceLock<SyncObserver>,
}

/// Told how long each sync took and how many events it made durable.
type SyncObserver = Box<dyn Fn(Duration, u32) + Send + Sync>;

/// Ends the process when a thread of the store panics: its tables may be half changed, and nothing that was not
/// durable was answered.
struct AbortOnPanic(&'static str);

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("jaego: the {} met a bug and cannot go on; nothing unsynced was answered", self.0);
            std::process::abort();
        }
    }
}

impl Engine {
    /// Starts the threads over an opened store.
    pub fn start<D: Disk>(recovered: Recovered<D>, config: Config, clock: impl Clock) -> Arc<Self> {
        let Recovered { mut journal, disk, memory, archive, checkpoint, .. } = recovered;
        let room = room(&config.limits);
        assert!(
            room <= config.journal.payload_len_max(),
            "the journal's segments have room for the frame in flight and the one being decided"
        );
        let inbox = Arc::new(Inbox::default());
        let clock = Arc::new(Steady::new(clock, memory.head().at));
        let cells = Arc::new(Cells::default());
        let recent = Arc::new(Recent::default());
        let head = memory.head();
        let (durable_to, durable) = watch::channel(head.sequence);
        let (ended_to, ended) = watch::channel(None);
        let (owed, owing) = mpsc::channel();
        let (asks, asked) = mpsc::channel();
        cells.checkpoint.store(checkpoint.map_or(0, |sequence| sequence.0), Ordering::Relaxed);

        let reader = journal.reader();
        let reserved = journal.reserve(room);
        admit(&mut inbox.lock(), reserved);
        let past = Past::new(reader.clone(), recent.clone(), inbox.clone(), &memory);
        let indexes = Arc::new(Indexes::new(disk.clone(), past.clone()));
        let mut core = Core::new(memory, config.limits);
        core.forget(archive.clone(), Vec::new());
        let line = inbox.clone();
        core.ask_for_others(move || !line.lock().jobs.is_empty());
        cells.archived.store(archive.document_count(), Ordering::Relaxed);
        let shelf = Arc::new(Shelf::new(archive));
        let (fetches, fetching) = mpsc::channel();
        let (read, shown) = (clock.clone(), clock.clone());
        let now = Box::new(move || read.now());
        let clock_offset_us = Box::new(move || shown.offset_us());
        let mut threads = Vec::new();
        let mut spawn = |name: &'static str, run: Box<dyn FnOnce() + Send>| {
            let body = move || {
                let _guard = AbortOnPanic(name);
                run();
            };
            let thread = thread::Builder::new().name(name.to_owned()).spawn(body);
            threads.push((name, thread.expect("the system starts a thread when the store starts")));
        };
        {
            let (inbox, cells, clock, fetches) =
                (inbox.clone(), cells.clone(), clock.clone(), fetches.clone());
            cells.tell(&core);
            spawn(
                "jaego-writer",
                Box::new(move || write(&inbox, &mut core, &cells, config, &*clock, &fetches)),
            );
        }
        {
            let (inbox, cells) = (inbox.clone(), cells.clone());
            let body = move || {
                let end = keep(&inbox, journal, &recent, &cells, config, &durable_to);
                let _ = ended_to.send(Some(end));
            };
            spawn("jaego-journal", Box::new(body));
        }
        {
            // A time is over when nothing can happen at it any more: expiry that lags holds logical time back.
            let due = cells.clone();
            let now = Box::new(move || due.logical_time(clock.now()));
            let repeats = Repeats::new(past.clone(), indexes.clone());
            let mut ledger = Ledger::new(past, indexes.clone(), now);
            let (inbox, finish) = (inbox.clone(), owed.clone());
            let body = move || {
                repeats.run(&owing, |batch, reply| submit(&inbox, &finish, batch, reply, config.waiting_max));
            };
            spawn(REPEATS, Box::new(body));
            spawn(LEDGER, Box::new(move || ledger.run(&asked)));
            spawn("jaego-index", Box::new(move || indexes.keep()));
        }
        {
            let (inbox, shelf) = (inbox.clone(), shelf.clone());
            spawn(FETCH, Box::new(move || fetch(&inbox, &shelf, &fetching)));
        }
        {
            let (inbox, cells) = (inbox.clone(), cells.clone());
            spawn(
                "jaego-checkpoint",
                Box::new(move || keep_checkpoints(&inbox, &*disk, &reader, &shelf, &cells, config)),
            );
        }
        let threads = Mutex::new(threads);
        Arc::new(Self {
            inbox,
            fetches,
            owed,
            asks,
            cells,
            durable,
            ended,
            config,
            now,
            clock_offset_us,
            threads,
        })
    }

    /// Takes nothing more, finishes what was taken, writes the watermark and ends the threads.
    ///
    /// # Errors
    /// What the journal failed with, now or before.
    pub fn close(&self) -> Result<(), String> {
        self.inbox.lock().closing = true;
        self.inbox.wake_writer();
        self.inbox.wake_journal();
        // Held while joining: a second caller is told the end as well, not that it has begun.
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, thread) in threads.drain(..) {
            // The writer and the journal have ended by now, and with them whoever wants a batch finished. The
            // repeats' lane has a sender of its own, so nobody's going tells it that nobody asks any more.
            match name {
                FETCH => drop(self.fetches.send(Fetch::Stop)),
                REPEATS => drop(self.owed.send(Owed::Stop)),
                LEDGER => drop(self.asks.send(Ask::Stop)),
                _ => {}
            }
            thread.join().map_err(|_| "a thread of the store panicked".to_owned())?;
        }
        self.ended.borrow().clone().unwrap_or(Ok(()))
    }

    /// Waits until the store has stopped by itself, and says why.
    pub async fn failed(&self) -> String {
        let mut ended = self.ended.clone();
        loop {
            if let Some(Err(detail)) = &*ended.borrow_and_update() {
                return detail.clone();
            }
            if ended.changed().await.is_err() {
                // It ended well: there is nothing to wait for.
                return std::future::pending().await;
            }
        }
    }

    /// Has `observer` told how long each sync took and how many events it made durable. The first one stays.
    pub fn observe_syncs(&self, observer: impl Fn(Duration, u32) + Send + Sync + 'static) {
        let _ = self.cells.observer.set(Box::new(observer));
    }

    /// The last event of the newest checkpoint; 0 without one.
    pub fn checkpoint(&self) -> Sequence {
        Sequence(self.cells.checkpoint.load(Ordering::Relaxed))
    }

    /// How far the store's clock is ahead of the machine's wall clock, in seconds; negative where it is behind. It makes
    /// up for a difference by [`SLEW_PPM`](crate::SLEW_PPM) only, so that what lapses keeps its time.
    pub fn clock_offset_s(&self) -> f64 {
        (self.clock_offset_us)() as f64 / 1e6
    }

    /// Puts a question into the ledger's line, and the place where it is answered.
    fn ask<T>(&self, ask: impl FnOnce(ReplyTo<T>) -> Ask) -> Reply<T> {
        if let Err(failure) = self.take_place(|state| &mut state.asking) {
            return Reply::ready(Err(failure));
        }
        let (to, answer) = reply();
        // Where nobody reads any more, the question is dropped, which says that the store is closed.
        let _ = self.asks.send(ask(to));
        answer
    }

    /// Takes a place in one of the history's lines, if there is one left.
    fn take_place(&self, line: impl FnOnce(&mut State) -> &mut usize) -> Result<(), Failure> {
        let mut state = self.inbox.lock();
        if let Some(failure) = state.refusal() {
            return Err(failure);
        }
        let waiting = line(&mut state);
        if *waiting >= ASKS_MAX {
            return Err(Failure::Busy { queue_len: *waiting });
        }
        *waiting += 1;
        Ok(())
    }
}

impl Drop for Engine {
    /// Closes the store; an error was told to whoever asked for [`Engine::failed`] or closed it before.
    fn drop(&mut self) {
        let _ = self.close();
    }
}

/// Puts a batch into the writer's line.
fn submit(
    inbox: &Arc<Inbox>,
    owed: &mpsc::Sender<Owed>,
    batch: Batch,
    to: ReplyTo<Answers>,
    waiting_max: usize,
) {
    let requests = batch.requests.len();
    let (finishing, owed) = (inbox.clone(), owed.clone());
    let finish = Box::new(move |decided| conclude(decided, to, &finishing, &owed));
    let job = Job::Submit(Submission::new(batch, finish));
    if let Err(refused) = inbox.push(job, requests, waiting_max) {
        let (job, failure) = *refused;
        job.refuse(failure);
    }
}

impl Store for Engine {
    fn submit(&self, batch: Batch) -> Reply<Answers> {
        let (to, answer) = reply();
        let lines: usize = batch.requests.iter().map(|request| request.command().line_count()).sum();
        let limits = [
            ("requests of a batch", batch.requests.len(), self.config.batch_len_max),
            ("lines of a batch", lines, self.config.batch_lines_max),
        ];
        for (what, count, max) in limits {
            if count > max {
                to.send(Err(Failure::TooLarge { what, count, max }));
                return answer;
            }
        }
        // A reversal wants the movement's content, which only the journal may have: never the writer's to read.
        if batch.requests.iter().any(|request| request.wanted_movement().is_some()) {
            match self.take_place(|state| &mut state.lending) {
                Ok(()) => drop(self.owed.send(Owed::Lend { batch, reply: to })),
                Err(failure) => to.send(Err(failure)),
            }
            return answer;
        }
        submit(&self.inbox, &self.owed, batch, to, self.config.waiting_max);
        answer
    }

    fn query(&self, query: Query) -> Reply<Answer<Result<View, Refusal>>> {
        let (to, answer) = reply();
        let job = Job::query(query, to);
        if let Err(refused) = self.inbox.push(job, 1, self.config.waiting_max) {
            let (job, failure) = *refused;
            job.refuse(failure);
        }
        answer
    }

    fn events(&self, after: Sequence, limit: usize) -> Reply<EventPage> {
        self.ask(|reply| Ask::Events { after, limit, reply })
    }

    fn movements(&self, filter: MovementFilter) -> Reply<MovementPage> {
        self.ask(|reply| Ask::Movements { filter, reply })
    }

    fn stock_as_of(&self, filter: StockAsOf) -> Reply<Answer<Result<PastStock, Refusal>>> {
        self.ask(|reply| Ask::StockAsOf { filter, reply })
    }

    fn balances(&self, filter: BalanceFilter) -> Reply<Answer<Result<BalancePage, Refusal>>> {
        self.ask(|reply| Ask::Balances { filter, reply })
    }

    fn statement(&self, filter: StatementFilter) -> Reply<Answer<Result<StatementPage, Refusal>>> {
        self.ask(|reply| Ask::Statement { filter, reply })
    }

    fn status(&self) -> Status {
        let state = self.inbox.lock();
        let cell = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        let age_ms = |time: &AtomicU64| (self.now)().0.saturating_sub(cell(time));
        Status {
            ready: state.refusal().is_none() && state.admitted,
            full: !state.admitted,
            failed: state.failed.clone(),
            sequence: Sequence(cell(&self.cells.sequence)),
            durable: *self.durable.borrow(),
            queue_len: state.waiting,
            queue_len_max: self.config.waiting_max,
            counts: *self.cells.counts.lock().unwrap_or_else(PoisonError::into_inner),
            archived: cell(&self.cells.archived),
            leaving: cell(&self.cells.rested).saturating_sub(cell(&self.cells.left)),
            expiry_lag_ms: age_ms(&self.cells.next_due),
            keys: cell(&self.cells.keys),
            key_window_ms: age_ms(&self.cells.oldest_key),
        }
    }

    fn wait_for_events(&self, after: Sequence) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let mut durable = self.durable.clone();
        Box::pin(async move {
            // An error says that the store has ended: there is nothing more to wait for either.
            let _ = durable.wait_for(|sequence| *sequence > after).await;
        })
    }
}

impl Cells {
    fn tell(&self, core: &Core) {
        let memory = core.memory();
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner) = memory.counts();
        for (cell, value) in [
            (&self.sequence, memory.head().sequence.0),
            (&self.next_due, memory.next_due().map_or(NEVER, |due| due.0)),
            (&self.oldest_key, memory.oldest_answered().map_or(NEVER, |(_, answered)| answered.at.0)),
            (&self.left, core.left()),
            (&self.keys, memory.answered_count() as u64),
        ] {
            cell.store(value, Ordering::Relaxed);
        }
    }

    /// The time that no event can be of any more: before what is due and has not lapsed yet.
    fn logical_time(&self, clock: Timestamp) -> Timestamp {
        clock.min(Timestamp(self.next_due.load(Ordering::Relaxed) - 1))
    }
}

/// What the thread that fetches from the archive is asked.
enum Fetch {
    /// Fetch what a job names, and put it back in line.
    For(Job),
    /// Nobody will ask any more.
    Stop,
}

/// The fetching thread: the writer never reads disk.
fn fetch<D: Disk>(inbox: &Inbox, shelf: &Shelf<D>, fetching: &mpsc::Receiver<Fetch>) {
    while let Ok(Fetch::For(mut job)) = fetching.recv() {
        match job.fetch(&shelf.get()) {
            Ok(()) => inbox.end_fetch(job),
            Err(failure) => {
                let requests = job.waiting();
                job.refuse(failure);
                inbox.end_finish(requests);
            }
        }
    }
}

/// The writer's thread: turns, and a flight whenever the journal is free.
fn write(
    inbox: &Inbox,
    core: &mut Core,
    cells: &Cells,
    config: Config,
    clock: &Steady<impl Clock>,
    fetches: &mpsc::Sender<Fetch>,
) {
    let mut jobs = VecDeque::new();
    loop {
        let mut state = inbox.lock();
        let admitted = loop {
            if state.failed.is_some() {
                let failure = state.refusal().expect("it has failed");
                jobs.append(&mut state.jobs);
                state.writer_done = true;
                drop(state);
                inbox.wake_journal();
                jobs.into_iter().for_each(|job| job.refuse(failure.clone()));
                // What was decided and never written was never answered either.
                deliver(core.take_flight(), &Err(failure));
                return;
            }
            if core.has_flight() && !state.journal_busy {
                state.flight = Some(core.take_flight());
                state.journal_busy = true;
                inbox.wake_journal();
            }
            jobs.append(&mut state.jobs);
            if let Some(archived) = state.archived.take() {
                archived(core);
            }
            if state.closing && !state.admitted {
                // There is no room, and nobody will wait for some: what was begun cannot be finished.
                let (begun, others): (VecDeque<_>, _) = jobs.into_iter().partition(Job::is_begun);
                jobs = others;
                let detail = "it closed while it was full, and a part of the batch was decided".to_owned();
                begun.into_iter().for_each(|job| job.refuse(Failure::Failed { detail: detail.clone() }));
            }
            // Without room, batches that were begun wait for some.
            let can_work = state.admitted || jobs.iter().any(|job| !job.is_begun());
            if !jobs.is_empty() && can_work && !core.is_full() {
                break state.admitted;
            }
            if state.closing && jobs.is_empty() && !core.has_flight() && !state.owes() {
                state.writer_done = true;
                inbox.wake_journal();
                return;
            }
            if core.has_rested() && !core.is_full() {
                break state.admitted;
            }
            let due = core.memory().next_due().is_some_and(|due| due <= clock.now());
            let unfilled = core.memory().owes_stock();
            if (due || unfilled) && state.admitted && !core.is_full() && !state.journal_busy {
                break true;
            }
            state = inbox.wait_as_writer(state, config.sweep_every);
        };
        let full = if admitted { String::new() } else { state.full.clone() };
        drop(state);
        let before: usize = jobs.iter().map(Job::waiting).sum();
        let now = clock.now();
        let begun = Instant::now();
        core.turn(&mut jobs, now, if admitted { Ok(()) } else { Err(&full) });
        let away = core.take_away();
        cells.tell(core);
        let decided = before - jobs.iter().map(Job::waiting).sum::<usize>();
        inbox.end_turn(decided, begun.elapsed());
        for job in away {
            inbox.begin_fetch(job.waiting());
            let sent = fetches.send(Fetch::For(job));
            assert!(sent.is_ok(), "the fetching thread ends after the writer");
        }
    }
}

/// The journal's thread: one frame, one write, one sync, and then the answers.
fn keep<D: Disk>(
    inbox: &Inbox,
    mut journal: Journal<D>,
    recent: &Recent,
    cells: &Cells,
    config: Config,
    durable: &watch::Sender<Sequence>,
) -> Result<(), String> {
    let room = room(&config.limits);
    loop {
        let mut state = inbox.lock();
        let flight = loop {
            if let Some(flight) = state.flight.take() {
                break Some(flight);
            }
            if state.writer_done {
                break None;
            }
            if !state.admitted {
                // Reads go on, so a flight ends the waiting.
                let slept = Instant::now();
                state = inbox.wait_as_journal(state, ROOM_AGAIN_AFTER);
                if state.flight.is_none() && slept.elapsed() >= ROOM_AGAIN_AFTER {
                    drop(state);
                    let again = journal.reserve(room);
                    state = inbox.lock();
                    admit(&mut state, again);
                    inbox.wake_writer();
                }
                continue;
            }
            let idle = journal.needs_watermark();
            let at_most = if idle { IDLE_BEFORE_WATERMARK } else { Duration::from_secs(1) };
            let slept = Instant::now();
            state = inbox.wait_as_journal(state, at_most);
            if idle && state.flight.is_none() && slept.elapsed() >= at_most {
                drop(state);
                let written = journal.write_watermark();
                state = inbox.lock();
                if let Err(error) = written {
                    state.failed = Some(stopped_by(&error));
                    inbox.wake_writer();
                }
            }
        };
        let failed = state.failed.clone();
        drop(state);
        if let Some(detail) = failed {
            if let Some(flight) = flight {
                deliver(flight, &Err(Failure::Failed { detail: detail.clone() }));
            }
            return Err(detail);
        }
        let Some(flight) = flight else {
            return journal.close().map_err(|error| stopped_by(&error));
        };
        let last = Sequence(flight.first.0 + u64::from(flight.count) - 1);
        if let Err(error) = put(&mut journal, &flight, cells) {
            // Nothing is retried: what the device holds now is for the next start to find out.
            let detail = stopped_by(&error);
            inbox.lock().failed = Some(detail.clone());
            inbox.wake_writer();
            deliver(flight, &Err(Failure::Failed { detail: detail.clone() }));
            return Err(detail);
        }
        if flight.count > 0 {
            recent.push(flight.first, flight.count, flight.payload.clone());
            durable.send_replace(last);
        }
        let again = journal.reserve(room);
        {
            let mut state = inbox.lock();
            state.journal_busy = false;
            state.delivering = true;
            admit(&mut state, again);
        }
        inbox.wake_writer();
        deliver(flight, &Ok(()));
        let mut state = inbox.lock();
        state.delivering = false;
        if state.closing {
            inbox.wake_writer();
        }
    }
}

fn put<D: Disk>(journal: &mut Journal<D>, flight: &Flight, cells: &Cells) -> Result<(), journal::Error> {
    if flight.count == 0 {
        return Ok(());
    }
    // A segment that begins here has syncs of its own, for which these events wait as well.
    let start = Instant::now();
    journal.append(flight.first.0, flight.count, &flight.payload)?;
    journal.sync()?;
    if let Some(observer) = cells.observer.get() {
        observer(start.elapsed(), flight.count);
    }
    Ok(())
}

fn admit(state: &mut State, reserved: Result<(), journal::Error>) {
    match reserved {
        Ok(()) => state.admitted = true,
        Err(error @ journal::Error::Full { .. }) => {
            state.admitted = false;
            state.full = error.to_string();
        }
        Err(error) => state.failed = Some(stopped_by(&error)),
    }
}

fn deliver(flight: Flight, durable: &Result<(), Failure>) {
    for answer in flight.answers {
        answer(durable.clone());
    }
}

/// Tells the log what the journal failed with, and gives it in one line.
fn stopped_by(error: &journal::Error) -> String {
    let detail = error_chain(error);
    tracing::error!(%detail, "the store has failed and stops");
    detail
}

/// An error with its causes, in one line.
pub(crate) fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// The checkpoint's thread: recovers from the last one through the sealed segments since, and writes the next.
fn keep_checkpoints<D: Disk>(
    inbox: &Inbox,
    disk: &D,
    reader: &Reader<Arc<D>>,
    shelf: &Shelf<D>,
    cells: &Cells,
    config: Config,
) {
    let least = config.checkpoint_segments;
    let mut segments_wanted = least;
    loop {
        {
            let state = inbox.lock();
            if state.closing || state.failed.is_some() {
                return;
            }
        }
        let last = cells.checkpoint.load(Ordering::Relaxed);
        let sealed = reader.sealed_segments();
        let since = sealed.iter().filter(|segment| segment.first_sequence > last);
        if since.count() < segments_wanted {
            nap(inbox, CHECKPOINT_LOOK);
            continue;
        }
        let upto = sealed.last().map_or(0, |segment| segment.next_sequence - 1);
        match write_checkpoint(disk, reader, &shelf.get(), Sequence(upto)) {
            Ok(Written { sequence, rows_len, archive, rested }) => {
                // Whoever misses a document from now on finds it here.
                shelf.set(archive.clone());
                let documents = rested.len();
                cells.archived.store(archive.document_count(), Ordering::Relaxed);
                cells.rested.fetch_add(documents as u64, Ordering::Relaxed);
                hand_over(inbox, archive, rested);
                cells.checkpoint.store(sequence.0, Ordering::Relaxed);
                let as_long = usize::try_from(rows_len / config.journal.segment_len).unwrap_or(usize::MAX);
                segments_wanted = as_long.clamp(least, least.saturating_mul(2));
                tracing::info!(sequence = sequence.0, documents, "checkpoint written");
            }
            Err(error) => {
                let detail = error_chain(&error);
                // The journal has everything: a checkpoint only shortens the next start.
                tracing::warn!(%detail, "no checkpoint could be written; trying again later");
                nap(inbox, CHECKPOINT_AGAIN_AFTER);
            }
        }
    }
}

/// Hands an archive to the writer, after the one before if that is still waiting.
fn hand_over<D: Disk>(inbox: &Inbox, archive: Arc<Archive<D>>, rested: Vec<Rested>) {
    let mut state = inbox.lock();
    let before = state.archived.take();
    state.archived = Some(Box::new(move |core| {
        if let Some(before) = before {
            before(core);
        }
        core.forget(archive, rested);
    }));
    drop(state);
    inbox.wake_writer();
}

/// Sleeps, and wakes early when the store closes.
fn nap(inbox: &Inbox, time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end && !inbox.lock().closing {
        thread::sleep(NAP);
    }
}
