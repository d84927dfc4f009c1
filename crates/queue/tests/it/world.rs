//! A private Redis, a store in memory, and queues between them.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use jaego_domain::{
    Code, Command, Name, Query, Refusal, Request, Sequence, Strategy, TimeZone, Timestamp, View,
    command::SetSite,
};
use jaego_queue::{Intake, IntakeOptions, Outbox, OutboxOptions, Server, StreamName};
use jaego_server::{
    Metrics, Role, Tokens,
    tokens::{TokenGrant, TokenId},
};
use jaego_store::{
    Answer, Answers, BalanceFilter, BalancePage, Batch, EventPage, Failure, MovementFilter, MovementPage,
    PastStock, Reference, Reply, Results, StatementFilter, StatementPage, Status, StockAsOf, Store,
};
use jaego_testkit::{Durability, Redis, RedisOptions, wait_until};
use redis::{Connection, FromRedisValue, RedisResult, cmd, pipe};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{runtime::Runtime, sync::watch, task::JoinHandle};

/// Longest that anything is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// The stream of commands.
pub(crate) const STREAM: &str = "orders";
/// The stream of events.
pub(crate) const EVENTS: &str = "events";

/// Names and values of an entry, with its id.
pub(crate) type Entry = (String, Vec<(String, String)>);

/// All that a test needs.
pub(crate) struct World {
    pub(crate) redis: Redis,
    pub(crate) store: Arc<Shop>,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) admin: TokenId,
    pub(crate) metrics: Metrics,
    pub(crate) runtime: Runtime,
    _folder: TempDir,
}

/// A queue that runs.
pub(crate) struct Running {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// A reply to a message.
#[derive(Debug)]
pub(crate) struct Replied {
    pub(crate) status: u16,
    /// The outcome, or the problem.
    pub(crate) said: Value,
    pub(crate) is_done: bool,
}

impl World {
    pub(crate) fn new(durability: Durability) -> Self {
        let redis = Redis::start(&RedisOptions { durability, ..RedisOptions::default() }).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let tokens = Arc::new(Tokens::open(folder.path().join("tokens.json")).unwrap());
        let grant = TokenGrant { name: "shop".to_owned(), role: Role::Admin, sites: None, rate: None };
        let (admin, _) = tokens.create(grant).unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        Self {
            redis,
            store: Arc::new(Shop::new()),
            tokens,
            admin,
            metrics: Metrics::new(),
            runtime,
            _folder: folder,
        }
    }

    pub(crate) fn server(&self) -> Server {
        Server::parse(&self.redis.url()).unwrap()
    }

    pub(crate) fn options(&self) -> IntakeOptions {
        IntakeOptions::new(self.server(), StreamName::new(STREAM).unwrap(), self.admin).unwrap()
    }

    pub(crate) fn intake(&self) -> Running {
        self.intake_with(self.options())
    }

    pub(crate) fn intake_with(&self, options: IntakeOptions) -> Running {
        let (stop, stopping) = watch::channel(false);
        let tokens = Arc::clone(&self.tokens);
        let intake = Intake::new(options, self.store.clone(), tokens, &self.metrics, stopping);
        Running { stop, task: self.runtime.spawn(intake.run()) }
    }

    pub(crate) fn outbox_options(&self) -> OutboxOptions {
        OutboxOptions::new(self.server(), StreamName::new(EVENTS).unwrap())
    }

    pub(crate) fn outbox_with(&self, options: OutboxOptions) -> Running {
        let (stop, stopping) = watch::channel(false);
        let outbox = Outbox::new(options, self.store.clone(), &self.metrics, stopping);
        Running { stop, task: self.runtime.spawn(outbox.run()) }
    }

    /// A commit that no queue asked for: another site.
    pub(crate) fn commit(&self) {
        let code = |text: &str| Code::new("code", text).unwrap();
        let site = code(&format!("S{}", self.store.status().durable));
        let time_zone = TimeZone::new("UTC").unwrap();
        let command =
            Command::SetSite(SetSite { site, name: Name::default(), time_zone, strategy: Strategy::Fifo });
        let requests = vec![Request::new(command, None, code("tester")).unwrap()];
        let answers = self.store.submit(Batch { requests, atomic: false }).wait().unwrap();
        assert!(matches!(&answers.results, Results::Each(each) if each[0].is_ok()), "{:?}", answers.results);
    }

    /// Ends a queue and waits for its end.
    pub(crate) fn end(&self, running: Running) {
        running.stop.send_replace(true);
        let ended = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, running.task).await });
        ended.expect("the queue ends").unwrap();
    }

    pub(crate) fn client(&self) -> Client {
        Client(redis::Client::open(self.redis.url()).unwrap().get_connection().unwrap())
    }

    /// A number of `/metrics`.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let text = self.metrics.render();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
    }

    /// Messages whose replies the intake knows to be there.
    pub(crate) fn answered(&self) -> u64 {
        let of = |outcome| self.metric(&format!("jaego_intake_replies_total{{outcome=\"{outcome}\"}}"));
        of("done") + of("repeat")
    }

    /// Waits until a number of `/metrics` is so large.
    pub(crate) fn wait_for(&self, name: &str, at_least: u64) {
        wait_until(name.to_owned(), PATIENCE, || (self.metric(name) >= at_least).then_some(())).unwrap();
    }

    /// A site, a bin, SKUs and `units` of each of them, sent as messages.
    pub(crate) fn stock(&self, client: &mut Client, skus: &[&str], units: u64) {
        let mut commands = vec![
            r#"{"op":"set_site","site":"ICN"}"#.to_owned(),
            r#"{"op":"set_site","site":"PUS"}"#.to_owned(),
            r#"{"op":"set_location","site":"ICN","location":"A-01","kind":"storage"}"#.to_owned(),
        ];
        commands.extend(skus.iter().map(|sku| format!(r#"{{"op":"set_sku","sku":"{sku}"}}"#)));
        commands.extend(skus.iter().map(|sku| {
            format!(
                r#"{{"op":"adjust","id":"opening-{sku}","lines":[{{"site":"ICN","location":"A-01","sku":"{sku}","change":{units},"account":"opening"}}]}}"#
            )
        }));
        let ids: Vec<_> = commands.iter().map(|command| client.send(command)).collect();
        for id in ids {
            assert_eq!(client.reply(&id).status, 200);
        }
    }
}

/// A hold of one unit or more.
pub(crate) fn hold(id: &str, sku: &str, quantity: u64) -> String {
    format!(r#"{{"op":"hold","id":"{id}","lines":[{{"site":"ICN","sku":"{sku}","quantity":{quantity}}}]}}"#)
}

/// Somebody who sends commands and reads replies.
pub(crate) struct Client(pub(crate) Connection);

impl Client {
    pub(crate) fn run<T: FromRedisValue>(&mut self, words: &[&str]) -> T {
        self.try_run(words).unwrap()
    }

    pub(crate) fn try_run<T: FromRedisValue>(&mut self, words: &[&str]) -> RedisResult<T> {
        let mut command = cmd(words[0]);
        for word in &words[1..] {
            command.arg(word);
        }
        command.query(&mut self.0)
    }

    /// Sends a command, and returns the id of its message.
    pub(crate) fn send(&mut self, command: &str) -> String {
        self.run(&["XADD", STREAM, "*", "command", command])
    }

    /// Sends commands as fast as can be, and returns the ids of their messages.
    pub(crate) fn send_all(&mut self, commands: impl IntoIterator<Item = String>) -> Vec<String> {
        let mut add = pipe();
        for command in commands {
            add.cmd("XADD").arg(STREAM).arg("*").arg("command").arg(command);
        }
        add.query(&mut self.0).unwrap()
    }

    pub(crate) fn entries(&mut self, stream: &str) -> Vec<Entry> {
        self.run(&["XRANGE", stream, "-", "+"])
    }

    /// The replies so far: by message, each of them.
    pub(crate) fn replies(&mut self) -> BTreeMap<String, Vec<Replied>> {
        let mut replies: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (_, fields) in self.entries("orders:replies") {
            let [(first, message), (second, status), (what, json)] = &fields[..] else {
                panic!("a reply has three fields: {fields:?}")
            };
            assert_eq!((first.as_str(), second.as_str()), ("message", "status"));
            assert!(["outcome", "problem"].contains(&what.as_str()), "{what}");
            replies.entry(message.clone()).or_default().push(Replied {
                status: status.parse().unwrap(),
                said: serde_json::from_str(json).unwrap(),
                is_done: what == "outcome",
            });
        }
        replies
    }

    /// Waits for the reply to a message.
    pub(crate) fn reply(&mut self, message: &str) -> Replied {
        let reply = || {
            let mut replies = self.replies().remove(message)?;
            assert_eq!(replies.len(), 1, "{message} was answered more than once: {replies:?}");
            replies.pop()
        };
        wait_until(format!("a reply to {message}"), PATIENCE, reply).unwrap()
    }

    /// What a command was told: `done`, `repeat`, or the problem's status and code.
    pub(crate) fn told(&mut self, message: &str) -> String {
        let reply = self.reply(message);
        match (reply.is_done, &reply.said["repeat"]) {
            (true, Value::Bool(false)) => "done".to_owned(),
            (true, Value::Bool(true)) => "repeat".to_owned(),
            _ => format!("{} {}", reply.status, reply.said["code"].as_str().unwrap()),
        }
    }

    /// Messages that were delivered and not acknowledged.
    pub(crate) fn pending(&mut self) -> u64 {
        let (count, ..): (u64, Option<String>, Option<String>, redis::Value) =
            self.run(&["XPENDING", STREAM, "jaego"]);
        count
    }
}

/// A store in memory, which can be made busy, or to have archived its first events.
pub(crate) struct Shop {
    inner: Reference,
    /// How often it will still say that it is busy.
    pub(crate) busy: AtomicUsize,
    /// How many of its first events cannot be read any more.
    pub(crate) archived: AtomicUsize,
    /// What was asked of it, where somebody wants to know.
    pub(crate) noted: Option<Mutex<Vec<String>>>,
    /// The text of a command that ends the whole process whenever it is to be decided.
    deadly: Option<String>,
}

impl Shop {
    pub(crate) fn new() -> Self {
        let clock = || {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            Timestamp(u64::try_from(now.as_millis()).unwrap())
        };
        Self {
            inner: Reference::new(clock),
            busy: AtomicUsize::new(0),
            archived: AtomicUsize::new(0),
            noted: None,
            deadly: None,
        }
    }

    /// One that ends the process over a command with this text in it.
    pub(crate) fn deadly(text: &str) -> Self {
        Self { deadly: Some(text.to_owned()), ..Self::new() }
    }

    /// The number of holds.
    pub(crate) fn open_holds(&self) -> u64 {
        self.inner.status().counts.open_holds
    }

    /// Ids of the documents of the events of a kind, in order.
    pub(crate) fn documents(&self, kind: &str) -> Vec<String> {
        let events = self.inner.inspect(|_, events| events.len());
        let mut documents = Vec::new();
        let mut after = Sequence(0);
        while after.0 < events as u64 {
            let page = self.inner.events(after, 1_000).wait().unwrap();
            after = page.events.last().unwrap().outcome.sequence;
            let of_kind = page.events.iter().filter(|event| event.kind == kind);
            documents.extend(of_kind.map(|event| event.document.as_ref().unwrap().1.to_string()));
        }
        documents
    }
}

impl Store for Shop {
    fn submit(&self, batch: Batch) -> Reply<Answers> {
        let is_deadly = |text: &String| batch.requests.iter().any(|one| format!("{one:?}").contains(text));
        if self.deadly.as_ref().is_some_and(is_deadly) {
            std::process::abort();
        }
        if let Some(noted) = &self.noted {
            noted.lock().unwrap().extend(batch.requests.iter().map(|one| format!("{one:?}")));
        }
        let is_busy = self.busy.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |busy| busy.checked_sub(1));
        match is_busy {
            Ok(_) => Reply::ready(Err(Failure::Busy { queue_len: 65_536 })),
            Err(_) => self.inner.submit(batch),
        }
    }

    fn query(&self, query: Query) -> Reply<Answer<Result<View, Refusal>>> {
        self.inner.query(query)
    }

    fn events(&self, after: Sequence, limit: usize) -> Reply<EventPage> {
        let archived = Sequence(self.archived.load(Ordering::SeqCst) as u64);
        self.inner.events(after.max(archived), limit)
    }

    fn movements(&self, filter: MovementFilter) -> Reply<MovementPage> {
        self.inner.movements(filter)
    }

    fn stock_as_of(&self, filter: StockAsOf) -> Reply<Answer<Result<PastStock, Refusal>>> {
        self.inner.stock_as_of(filter)
    }

    fn balances(&self, filter: BalanceFilter) -> Reply<Answer<Result<BalancePage, Refusal>>> {
        self.inner.balances(filter)
    }

    fn statement(&self, filter: StatementFilter) -> Reply<Answer<Result<StatementPage, Refusal>>> {
        self.inner.statement(filter)
    }

    fn status(&self) -> Status {
        self.inner.status()
    }

    fn wait_for_events(&self, after: Sequence) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        self.inner.wait_for_events(after)
    }
}
