//! The connection for scripts: made, looked after, and made again.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionInfo, ParsingError, Pipeline, RedisError, Value, cmd,
    from_redis_value, pipe,
};
use tokio::sync::{Notify, broadcast, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::options::RedisOptions;
use super::reply::{self, Malformed};
use super::script::{Script, Scripts};
use super::sentinel;
use super::{advice, limits};
use crate::SettingsError;
use crate::acquisition::jitter;
use crate::backend::{self, Notice};
use crate::clock::BootTime;
use crate::drift::Drift;
use crate::process::{self, Process};

/// The link to the server, shared by the steps, the task that keeps it, and the subscriber.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) options: RedisOptions,
    pub(super) scripts: Scripts,
    pub(super) notices: broadcast::Sender<Notice>,
    state: watch::Sender<State>,
    /// Somebody did not get an answer.
    suspect: Notify,
    clock: Mutex<Clock>,
    pub(super) process: Process,
    /// Whether it was said what is wrong with the settings of a server.
    advised: AtomicBool,
}

#[derive(Debug, Default)]
struct Clock {
    /// Whose clock it is.
    run_id: String,
    drift: Drift,
    /// Since the server's clock jumped: nothing is granted until then.
    distrusted_until: Option<BootTime>,
    /// Servers that were the master before another one was, or that refused to write as a replica; the last ones.
    left: VecDeque<String>,
}

impl Clock {
    /// Another server may grant from now on what this one does not know of.
    fn leave(&mut self, run_id: &str) {
        if self.run_id == run_id {
            self.run_id.clear();
        }
        if run_id.is_empty() || self.left.iter().any(|left| left == run_id) {
            return;
        }
        if self.left.len() == limits::SERVERS_LEFT_MAX {
            self.left.pop_front();
        }
        self.left.push_back(run_id.to_owned());
    }

    fn comes_back(&self, run_id: &str) -> bool {
        self.run_id != run_id && self.left.iter().any(|left| left == run_id)
    }
}

#[derive(Clone, Debug)]
pub(super) enum State {
    Connecting,
    Live(Arc<Live>),
    Failed(Arc<Failure>),
    Closed,
}

/// One connection to one server.
pub(super) struct Live {
    connection: MultiplexedConnection,
    pub(super) server: ConnectionInfo,
    /// Which process answers; another one after every restart and failover.
    pub(super) run_id: String,
    /// How the boot record of a shard begins when nobody waits for the end of a quarantine.
    pub(super) calm: String,
    hashes: Vec<String>,
    broken: AtomicBool,
    /// It has lost its replicas and refuses to write: perhaps another one is the master by now.
    deserted: AtomicBool,
}

impl fmt::Debug for Live {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Live").field("server", self.server.addr()).field("run_id", &self.run_id).finish()
    }
}

/// Why there is no connection, or a command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Redis(#[from] RedisError),
    #[error("the server does not answer")]
    NoAnswer,
    #[error("no sentinel knows a master of this name")]
    NoMaster,
    #[error("the sentinels name another master")]
    Displaced,
    #[error("the server does not say its run id")]
    NoRunId,
    #[error(
        "the server is Redis {version}; the locks need 7.0 or later, because older ones let scripts write \
         whatever min-replicas-to-write says"
    )]
    Version { version: String },
    #[error("the server's answer is not to be understood: {0}")]
    Answer(#[from] Malformed),
    #[error("the server's answer is not to be understood: {0}")]
    Parsing(#[from] ParsingError),
    #[error("the locks under this prefix are laid out as {theirs}, not {ours}")]
    Layout { theirs: String, ours: String },
    #[error(transparent)]
    Setting(#[from] SettingsError),
    #[error("the request reached the server too late")]
    Late,
    #[error("the connection was closed on our side")]
    Closed,
}

impl Failure {
    /// Whether it would be the same next time.
    pub(super) fn is_final(&self) -> bool {
        let Self::Redis(error) = self else {
            return matches!(
                self,
                Self::Answer(_)
                    | Self::Parsing(_)
                    | Self::Setting(_)
                    | Self::Version { .. }
                    | Self::Layout { .. }
                    | Self::Closed
            );
        };
        match error.code() {
            Some("ERR") if error.detail().is_some_and(|said| said.contains(limits::FULL)) => false,
            Some(
                "LOADING" | "BUSY" | "READONLY" | "MASTERDOWN" | "NOREPLICAS" | "TRYAGAIN" | "CLUSTERDOWN"
                | "NOSCRIPT" | "OOM" | "UNKILLABLE" | "MISCONF",
            ) => false,
            Some(_) => true,
            None => !(error.is_io_error() || error.is_timeout() || error.is_unrecoverable_error()),
        }
    }

    pub(super) fn into_error(self: Arc<Self>, doing: &'static str) -> backend::Error {
        if self.is_final() {
            backend::Error::Refused { doing, source: self.into() }
        } else {
            backend::Error::Unavailable { doing, source: self.into() }
        }
    }
}

/// Has the link looked at when a step is given up before its answer came.
struct Unanswered<'a>(&'a Link);

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        self.0.suspect.notify_one();
    }
}

impl Link {
    pub(super) fn new(options: RedisOptions) -> Self {
        let scripts = Scripts::new();
        let notices = broadcast::Sender::new(crate::limits::NOTICES_MAX);
        let state = watch::Sender::new(State::Connecting);
        let process = Process::new(&options.process_name);
        let (suspect, clock, advised) = (Notify::new(), Mutex::default(), AtomicBool::new(false));
        Self { process, options, scripts, notices, state, suspect, clock, advised }
    }

    /// Runs a script by its hash, and by its text if the server has forgotten it. `command` is the rest of
    /// the command after the script. Returns the answer, the server's time that was in it, and who gave it.
    pub(super) async fn run(
        &self,
        script: Script,
        arguments: impl Fn(&mut Cmd, &Live),
    ) -> Result<(Vec<Value>, u64, Arc<Live>), Arc<Failure>> {
        let live = self.live().await?;
        let unanswered = Unanswered(self);
        let sent = BootTime::now();
        let mut by_hash = cmd("EVALSHA");
        by_hash.arg(&live.hashes[script as usize]);
        arguments(&mut by_hash, &live);
        let mut connection = live.connection.clone();
        let mut answer = connection.send_packed_command(&by_hash).await.and_then(Value::extract_error);
        if matches!(&answer, Err(error) if error.code() == Some("NOSCRIPT")) {
            let mut by_text = cmd("EVAL");
            by_text.arg(self.scripts.text(script));
            arguments(&mut by_text, &live);
            answer = connection.send_packed_command(&by_text).await.and_then(Value::extract_error);
        }
        std::mem::forget(unanswered);
        let answer = answer.map_err(|error| {
            if error.is_io_error() || error.is_unrecoverable_error() || error.code() == Some("READONLY") {
                self.broken(&live);
            }
            if error.code() == Some("READONLY") {
                self.clock().leave(&live.run_id);
            }
            if error.code() == Some("NOREPLICAS") && self.options.sentinel.is_some() {
                live.deserted.store(true, Ordering::Release);
                self.suspect.notify_one();
            }
            Failure::Redis(error)
        })?;
        let mut list = reply::list(answer).map_err(Failure::from)?;
        let server_us = reply::take_time(&mut list).map_err(Failure::from)?;
        if let Some(by_ms) = self.observe(&live.run_id, sent, server_us) {
            self.distrust(&live, by_ms).await;
        }
        Ok((list, server_us, live))
    }

    /// Until when nothing can be granted because the server's clock has jumped.
    pub(super) fn distrusted(&self) -> Option<Duration> {
        let until = self.clock().distrusted_until?;
        Some(until.remaining()).filter(|remaining| !remaining.is_zero())
    }

    /// The latest that the clock of this server can show at `time`; nothing of one that was left.
    pub(super) fn server_us(&self, live: &Live, time: BootTime) -> Option<u64> {
        let clock = self.clock();
        if clock.run_id == live.run_id { clock.drift.server_us(time) } else { None }
    }

    /// The states to come.
    pub(super) fn states(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    pub(super) fn close(&self) {
        self.state.send_replace(State::Closed);
    }

    /// Tells that a connection is of no more use.
    fn broken(&self, live: &Live) {
        live.broken.store(true, Ordering::Release);
        self.suspect.notify_one();
    }

    /// The connection; waits for the first one, and for none after that.
    async fn live(&self) -> Result<Arc<Live>, Arc<Failure>> {
        if let State::Live(live) = &*self.state.borrow() {
            return Ok(Arc::clone(live));
        }
        let mut states = self.states();
        let state = states.wait_for(|state| !matches!(state, State::Connecting)).await;
        match state.as_deref() {
            Ok(State::Live(live)) => Ok(Arc::clone(live)),
            Ok(State::Failed(failure)) => Err(Arc::clone(failure)),
            _ => Err(Arc::new(Failure::Closed)),
        }
    }

    fn clock(&self) -> MutexGuard<'_, Clock> {
        self.clock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes into account what the clock of the server with this run id shows. Another one may stand differently: answers that
    /// are still on their way when a server is left say nothing of the next one's.
    fn observe(&self, run_id: &str, sent: BootTime, server_us: u64) -> Option<i64> {
        let mut clock = self.clock();
        if clock.run_id != run_id {
            return None;
        }
        let by_ms = clock.drift.observe(sent, BootTime::now(), server_us)?;
        // Before anybody else looks at its own answer, which may have been given since the jump.
        clock.distrusted_until = Some(BootTime::now() + self.options.quarantine);
        Some(by_ms)
    }

    /// Has all clients wait until every lease that was granted before the jump is over.
    async fn distrust(&self, live: &Live, by_ms: i64) {
        let _ = self.notices.send(Notice::ClockJumped { by_ms });
        if self.options.quarantine.is_zero() {
            return;
        }
        let mut connection = live.connection.clone();
        let greeting = self.greet(&mut connection, &live.hashes, &live.run_id, true);
        let told = timeout(self.options.response_timeout, greeting).await.unwrap_or(Err(Failure::NoAnswer));
        if let Err(error) = told {
            tracing::warn!(%error, "cannot tell the other clients that the lock server's clock has jumped");
        }
    }

    /// Connects, looks after the connection, and connects again, until closed.
    pub(super) async fn keep(self: Arc<Self>) {
        if let Some(wrong) = self.options.wrong.clone() {
            self.enter(State::Failed(Arc::new(wrong.into())));
            return;
        }
        let mut pause = limits::CONNECT_PAUSE_MIN;
        loop {
            match self.connect().await {
                Ok(live) => {
                    pause = limits::CONNECT_PAUSE_MIN;
                    let live = Arc::new(live);
                    if !self.enter(State::Live(Arc::clone(&live))) {
                        return;
                    }
                    let failure = self.look_after(&live).await;
                    tracing::debug!(server = %live.server.addr(), error = %failure, "lost the lock server");
                    if !self.enter(State::Connecting) {
                        return;
                    }
                }
                Err(failure) => {
                    tracing::debug!(error = %failure, "cannot connect to the lock server");
                    if !self.enter(State::Failed(Arc::new(failure))) {
                        return;
                    }
                    sleep(pause - jitter(pause / 2)).await;
                    pause = limits::CONNECT_PAUSE_MAX.min(pause * 2);
                }
            }
        }
    }

    /// Says how it stands, unless it was closed.
    fn enter(&self, state: State) -> bool {
        self.state.send_if_modified(|current| {
            let open = !matches!(current, State::Closed);
            if open {
                *current = state;
            }
            open
        })
    }

    /// Looks at the connection now and then, and when somebody did not get an answer. Returns why it is of
    /// no more use.
    async fn look_after(&self, live: &Live) -> Failure {
        let mut states = self.states();
        let mut named_at = BootTime::now();
        let mut sentinels_asked_at = None;
        // The sentinels are asked beside the looks: one that is silent must not hold them up.
        let mut asked: JoinSet<Result<ConnectionInfo, Failure>> = JoinSet::new();
        loop {
            tokio::select! {
                () = self.suspect.notified() => {}
                () = sleep(limits::LOOK_PAUSE) => {}
                Some(named) = asked.join_next() => {
                    if named.is_ok_and(|named| named.is_ok_and(|server| server.addr() != live.server.addr())) {
                        return Failure::Displaced;
                    }
                    continue;
                }
                _ = states.wait_for(|state| matches!(state, State::Closed)) => return Failure::Closed,
            }
            if live.broken.load(Ordering::Acquire) {
                return Failure::NoAnswer;
            }
            let sent = BootTime::now();
            // Every step that it refuses asks for this. The connection is kept meanwhile: it may well find its replicas again.
            let ask = sentinels_asked_at.is_none_or(|at| sent.since(at) >= limits::SENTINELS_PAUSE);
            if ask && asked.is_empty() && live.deserted.swap(false, Ordering::AcqRel) {
                sentinels_asked_at = Some(sent);
                let options = self.options.clone();
                asked.spawn(async move { sentinel::find_master(&options).await });
            }
            let mut connection = live.connection.clone();
            let time = cmd("TIME");
            let look = time.query_async::<(u64, u64)>(&mut connection);
            match timeout(self.options.response_timeout, look).await {
                Err(_) => return Failure::NoAnswer,
                Ok(Err(error)) => return error.into(),
                Ok(Ok((seconds, microseconds))) => {
                    if let Some(by_ms) = self.observe(&live.run_id, sent, seconds * 1_000_000 + microseconds)
                    {
                        self.distrust(live, by_ms).await;
                    }
                }
            }
            if BootTime::now().since(named_at) >= limits::NAME_PAUSE {
                named_at = BootTime::now();
                let name = self.tell_name(&mut connection);
                if timeout(self.options.response_timeout, name).await.is_err() {
                    return Failure::NoAnswer;
                }
            }
        }
    }

    /// Asks for the master, and connects to it, each in a bounded time.
    async fn connect(&self) -> Result<Live, Failure> {
        let server = sentinel::find_master(&self.options).await?;
        let limit = self.options.response_timeout * limits::CONNECT_RESPONSE_TIMEOUTS;
        timeout(limit, self.connect_to(server)).await.unwrap_or(Err(Failure::NoAnswer))
    }

    async fn connect_to(&self, server: ConnectionInfo) -> Result<Live, Failure> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.options.response_timeout))
            .set_response_timeout(None);
        let client = Client::open(server.clone())?;
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        let info: String = cmd("INFO").arg("server").query_async(&mut connection).await?;
        let run_id = info.lines().find_map(|line| line.strip_prefix("run_id:")).ok_or(Failure::NoRunId)?;
        let run_id = run_id.trim().to_owned();
        check_version(&info)?;
        let hashes = self.load(&mut connection).await?;
        // The same process and the same record as before: nothing on it tells that another one granted meanwhile.
        let anew = self.clock().comes_back(&run_id);
        let sent = BootTime::now();
        let greeted = self.greet(&mut connection, &hashes, &run_id, anew).await;
        if matches!(&greeted, Err(Failure::Redis(error)) if error.code() == Some("READONLY")) {
            self.clock().leave(&run_id);
        }
        let server_us = greeted?;
        {
            // Another server's clock may well stand differently: only jumps of the same one count.
            let mut clock = self.clock();
            if clock.run_id != run_id {
                let before = std::mem::take(&mut clock.run_id);
                clock.leave(&before);
                clock.run_id.clone_from(&run_id);
                clock.drift = Drift::default();
            }
        }
        match self.tell_name(&mut connection).await {
            // There is no room for what is for people only.
            Err(error) if error.code() == Some(limits::OUT_OF_MEMORY) => {}
            told => told?,
        }
        self.advise(&mut connection, &server).await?;
        let live = Live {
            connection,
            server,
            calm: format!("calm:{run_id}:{}:", super::micros(self.options.quarantine)),
            run_id,
            hashes,
            broken: AtomicBool::new(false),
            deserted: AtomicBool::new(false),
        };
        if let Some(by_ms) = self.observe(&live.run_id, sent, server_us) {
            self.distrust(&live, by_ms).await;
        }
        Ok(live)
    }

    /// Says once what in the settings of the server breaks what the locks promise.
    async fn advise(
        &self,
        connection: &mut MultiplexedConnection,
        server: &ConnectionInfo,
    ) -> Result<(), Failure> {
        if self.advised.load(Ordering::Acquire) {
            return Ok(());
        }
        let info: String = cmd("INFO").arg("replication").arg("memory").query_async(connection).await?;
        for advice in advice::of(&info) {
            tracing::warn!(server = %server.addr(), "{advice}");
        }
        self.advised.store(true, Ordering::Release);
        Ok(())
    }

    /// The first words on a connection: has the server know the scripts, and holds the layout against ours. Returns the
    /// scripts' hashes.
    async fn load(&self, connection: &mut MultiplexedConnection) -> Result<Vec<String>, Failure> {
        let ours = format!("{}{}", limits::LAYOUT, self.options.shards);
        let mut words = pipe();
        for script in Script::ALL {
            words.cmd("SCRIPT").arg("LOAD").arg(self.scripts.text(script));
        }
        words.get(self.layout_key());
        let (hashes, mut theirs): (Vec<String>, Option<String>) = {
            let mut answers = send_all(connection, &words).await?;
            let layout = answers.pop().unwrap_or(Value::Nil);
            (from_redis_value(Value::Array(answers))?, from_redis_value(layout)?)
        };
        if theirs.is_none() {
            // Two may come first at once: one of them is told what the other has written.
            let mut lay_out = cmd("SET");
            lay_out.arg(self.layout_key()).arg(&ours).arg("NX").arg("GET");
            theirs = lay_out.query_async(connection).await?;
        }
        match theirs {
            Some(theirs) if theirs != ours => Err(Failure::Layout { theirs, ours }),
            _ => Ok(hashes),
        }
    }

    /// Tells each shard whose server this is. Fails on a replica, because it has something to write there. Where the memory is
    /// full it is told once more: what it writes is one short record for each shard, and without it nobody could renew or
    /// release what the server does know. Returns the server's time.
    async fn greet(
        &self,
        connection: &mut MultiplexedConnection,
        hashes: &[String],
        run_id: &str,
        anew: bool,
    ) -> Result<u64, Failure> {
        match self.greet_by(Script::Greet, connection, hashes, run_id, anew).await {
            Err(Failure::Redis(error)) if error.code() == Some(limits::OUT_OF_MEMORY) => {
                self.greet_by(Script::GreetFull, connection, hashes, run_id, anew).await
            }
            greeted => greeted,
        }
    }

    /// By a script for each shard, all in one round trip.
    async fn greet_by(
        &self,
        script: Script,
        connection: &mut MultiplexedConnection,
        hashes: &[String],
        run_id: &str,
        anew: bool,
    ) -> Result<u64, Failure> {
        let mut greetings = pipe();
        // The server may have forgotten it since the connection was made.
        greetings.cmd("SCRIPT").arg("LOAD").arg(self.scripts.text(script));
        for shard in 0..self.options.shards {
            let boot = format!("{}:{{{shard}}}:boot", self.options.prefix);
            let hash = &hashes[script as usize];
            greetings.cmd("EVALSHA").arg(hash).arg(1).arg(boot).arg(run_id).arg(u8::from(anew));
            greetings.arg(super::micros(self.options.quarantine));
        }
        let last = send_all(connection, &greetings).await?.pop().unwrap_or(Value::Nil);
        Ok(from_redis_value(last)?)
    }

    fn layout_key(&self) -> String {
        format!("{}:layout", self.options.prefix)
    }

    /// How the locks on the server are laid out, if there ever were any.
    pub(super) async fn layout(&self) -> Result<Option<String>, Failure> {
        let client = Client::open(sentinel::find_master(&self.options).await?)?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        Ok(cmd("GET").arg(self.layout_key()).query_async(&mut connection).await?)
    }

    fn name_key(&self, process: &str) -> String {
        format!("{}:process:{process}", self.options.prefix)
    }

    /// Writes down what this process is called.
    async fn tell_name(&self, connection: &mut MultiplexedConnection) -> Result<(), RedisError> {
        if self.process.name.is_empty() {
            return Ok(());
        }
        let key = self.name_key(&self.process.id_text());
        let mut set = cmd("SET");
        set.arg(key).arg(&self.process.name).arg("EX").arg(limits::NAME_TTL.as_secs());
        set.query_async(connection).await
    }

    /// What the processes of these owners are called, as far as it is known.
    pub(super) async fn names(
        &self,
        processes: &BTreeSet<[u8; 8]>,
    ) -> Result<Vec<Option<String>>, Arc<Failure>> {
        if processes.is_empty() {
            return Ok(Vec::new());
        }
        // Not by one MGET: in a cluster they need not be together.
        let mut gets = pipe();
        for id in processes {
            gets.get(self.name_key(&process::id_text(*id)));
        }
        let live = self.live().await?;
        let names = gets.query_async(&mut live.connection.clone()).await;
        names.map_err(|error| Arc::new(error.into()))
    }

    /// One step through all keys. Returns where the next one begins, 0 after the last.
    pub(super) async fn scan(&self, cursor: u64, pattern: &str) -> Result<(u64, Vec<String>), Arc<Failure>> {
        let live = self.live().await?;
        let mut scan = cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(limits::SCAN_COUNT);
        let keys = scan.query_async(&mut live.connection.clone()).await;
        keys.map_err(|error| Arc::new(error.into()))
    }
}

/// Sends commands in one write. Returns their answers, or the first error among them.
async fn send_all(
    connection: &mut MultiplexedConnection,
    commands: &Pipeline,
) -> Result<Vec<Value>, RedisError> {
    let answers = connection.send_packed_commands(commands, 0, commands.len()).await?;
    answers.into_iter().map(Value::extract_error).collect()
}

/// Holds the server's answer to `INFO server` against the oldest version that holds scripts to
/// `min-replicas-to-write`. Valkey calls itself by the version of Redis that it took over from.
fn check_version(info: &str) -> Result<(), Failure> {
    let version =
        info.lines().find_map(|line| line.strip_prefix("redis_version:")).unwrap_or("of no version");
    let version = version.trim();
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_none_or(|major| major < limits::VERSION_MIN) {
        return Err(Failure::Version { version: version.to_owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use jaego_testkit as testkit;
    use jaego_testkit::{Direction, Fault, FaultProxy};

    use super::super::subscriber::listen;
    use super::*;

    /// The one sentinel is stopped, and the connection breaks while it is asked.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_silent_sentinel_does_not_hold_up_the_look_at_the_connection() {
        const PATIENCE: Duration = Duration::from_secs(20);
        let server = testkit::Redis::start(&testkit::RedisOptions::default()).unwrap();
        let mut silent = testkit::RedisSentinel::start(server.addr(), "stock").unwrap();
        silent.stop().unwrap();
        let sentinel = format!("redis://{}/", silent.addr());
        let options = RedisOptions::sentinel(&[&sentinel], "stock", &server.url()).unwrap();
        let link = Arc::new(Link::new(options.response_timeout(PATIENCE * 3)));
        let addr = RedisOptions::new(&server.url()).unwrap().server;
        let live = Arc::new(link.connect_to(addr).await.unwrap());
        live.deserted.store(true, Ordering::Release);
        link.suspect.notify_one();
        let looking = tokio::spawn({
            let (link, live) = (Arc::clone(&link), Arc::clone(&live));
            async move { link.look_after(&live).await }
        });
        let asked = || (!live.deserted.load(Ordering::Acquire)).then_some(());
        testkit::wait_until("the sentinel is asked", PATIENCE, asked).unwrap();
        link.broken(&live);
        let failure = timeout(PATIENCE, looking).await.expect("the broken connection is noticed").unwrap();
        assert!(matches!(failure, Failure::NoAnswer), "{failure}");
    }

    /// A step is on its way to the old master, whose clock stands differently, when the link goes over to the new one.
    #[tokio::test(flavor = "multi_thread")]
    async fn an_answer_of_the_old_master_is_not_held_against_the_clock_of_the_new_one() {
        const AHEAD_US: u64 = 40_000_000;
        let [old, new] = [(); 2].map(|()| testkit::Redis::start(&testkit::RedisOptions::default()).unwrap());
        let [before, after] = [&old, &new].map(|server| RedisOptions::new(&server.url()).unwrap());
        let link = Arc::new(Link::new(before.clone()));
        let first = link.connect_to(before.server).await.unwrap();
        let second = link.connect_to(after.server).await.unwrap();
        {
            let mut clock = link.clock();
            let now = BootTime::now();
            let ahead = clock.drift.server_us(now).unwrap() + AHEAD_US;
            clock.drift = Drift::default();
            clock.drift.observe(now, now, ahead);
        }
        let look = async |live: Live| {
            link.enter(State::Live(Arc::new(live)));
            let look = link.run(Script::Look, |command, _| {
                command.arg(1).arg("jaego:{0}:lock:a").arg("jaego:{0}:").arg(1);
            });
            look.await.unwrap();
            link.distrusted()
        };
        assert_eq!(look(first).await, None, "the old one's clock says nothing of the new one's");
        assert!(look(second).await.is_some(), "its own does");
    }

    /// The old master has not confirmed the subscription yet when the link goes over to the new one.
    #[tokio::test(flavor = "multi_thread")]
    async fn the_subscriber_follows_a_master_that_changes_while_it_subscribes() {
        const PATIENCE: Duration = Duration::from_secs(20);
        let [old, new] = [(); 2].map(|()| testkit::Redis::start(&testkit::RedisOptions::default()).unwrap());
        let way = FaultProxy::start(old.addr()).unwrap();
        let server = |addr| {
            let options = RedisOptions::new(&format!("redis://{addr}/")).unwrap();
            options.response_timeout(PATIENCE)
        };
        let link = Arc::new(Link::new(server(old.addr())));
        let mut first = link.connect_to(server(old.addr()).server).await.unwrap();
        first.server = server(way.addr()).server;
        let second = link.connect_to(server(new.addr()).server).await.unwrap();

        way.set(Direction::ToClient, Fault::Blackhole);
        link.enter(State::Live(Arc::new(first)));
        let listening = tokio::spawn(listen(Arc::clone(&link)));
        testkit::wait_until("the subscriber connects", PATIENCE, || (way.connections() > 0).then_some(()))
            .unwrap();
        link.enter(State::Live(Arc::new(second)));
        way.heal();

        let mut observer = Client::open(new.url()).unwrap().get_multiplexed_async_connection().await.unwrap();
        let heard = timeout(PATIENCE, async {
            let mut ask = cmd("PUBSUB");
            ask.arg("NUMSUB").arg("jaego:{0}:freed");
            while ask.query_async::<(String, u64)>(&mut observer).await.unwrap().1 == 0 {
                sleep(Duration::from_millis(5)).await;
            }
        });
        heard.await.expect("the new master is subscribed to");
        link.close();
        listening.await.unwrap();
    }

    #[test]
    fn a_server_that_is_too_old_is_refused() {
        let info = |version| format!("# Server\r\nredis_version:{version}\r\nrun_id:17\r\n");
        for version in ["7.0.0", "7.0.15", "7.2.4", "8.0.1", "10.1.0"] {
            check_version(&info(version)).expect(version);
        }
        for version in ["5.0.14", "6.2.14", "6.9.99", "of no version"] {
            let error = check_version(&info(version)).expect_err(version);
            assert!(error.to_string().starts_with(&format!("the server is Redis {version}; ")), "{error}");
            let error = Arc::new(error).into_error("acquire a lock");
            assert!(matches!(error, backend::Error::Refused { .. }), "it is the same next time: {error}");
        }
        check_version("run_id:17\r\n").expect_err("nothing is said of a version");
    }
}
