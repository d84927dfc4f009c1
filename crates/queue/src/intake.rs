//! Commands from a stream: read by a consumer group, decided, answered.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use jaego_domain::Request;
use jaego_server::{
    Caller, Metrics, Tokens,
    service::{Commands, Undecided},
};
use jaego_store::Store;
use redis::{Cmd, Value, cmd};
use tokio::{sync::watch, time::Instant};

mod pending;

use crate::{
    key, limits,
    link::{Error, Link},
    message::{self, Message, MessageId},
    meters::IntakeMeters,
    options::IntakeOptions,
    pause::{Pause, rest, stopped},
    reply::{self, Answer, Fate},
};
use pending::Pending;

/// What takes commands from a stream.
///
/// A message is answered once, and its command takes effect once, however often it is delivered: its request key is the
/// caller's own or made from its id, and the reply is added in the same step of the server that acknowledges the
/// message. Messages are decided in the order of the stream, as far as they are delivered for the first time; what was
/// read and not answered before a crash or a broken connection comes before anything new, what is taken over from
/// another consumer comes when it is found.
pub struct Intake {
    options: IntakeOptions,
    commands: Commands,
    tokens: Arc<Tokens>,
    meters: IntakeMeters,
    stopping: watch::Receiver<bool>,
}

/// Why a session came to its end.
enum Ending {
    /// The process is to end, or the store has ended.
    Stop,
    /// The server is not there, or does not do what it is asked to.
    Broken(Error),
}

/// Whether the group has delivered a message before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Delivery {
    First,
    Again,
}

/// What came of a request, or the problem that it was refused with.
type Told = Result<jaego_store::Done, Box<jaego_api::Problem>>;

impl From<Error> for Ending {
    fn from(error: Error) -> Self {
        Self::Broken(error)
    }
}

/// What a session leaves to the next one.
struct Left {
    /// How many messages its first read asks for.
    first_read: usize,
    /// The last of those tried alone that this process has survived, though the answer could not be given.
    survivor: Option<MessageId>,
    /// The last message that was given to the store, by its id.
    handed: MessageId,
    /// Whether its read was broken off: what this consumer has pending behind `handed` never came here, and nobody has
    /// decided it.
    is_broken_off: bool,
}

/// What a session has beside its connection.
struct Session<'a> {
    intake: &'a Intake,
    link: Link,
    /// The hash of the script.
    script: String,
    /// How many messages the next read asks for.
    read_messages: usize,
    /// Where the search for entries of other consumers goes on.
    claim_from: String,
    claim_at: Instant,
    look_at: Instant,
    /// The message that is tried alone, because the service ended while it was tried in company.
    suspect: Option<Pending>,
    left: &'a mut Left,
    /// What was another consumer's until just now.
    taken_over: BTreeSet<MessageId>,
}

impl Intake {
    /// An intake of a store. It ends when `stopping` says so, and finishes what it has read before.
    pub fn new(
        options: IntakeOptions,
        store: Arc<dyn Store>,
        tokens: Arc<Tokens>,
        metrics: &Metrics,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        let meters = IntakeMeters::new(metrics);
        Self { options, commands: Commands::new(store, metrics), tokens, meters, stopping }
    }

    /// Takes commands until the process is to end or the store has ended. Connects again whenever it has to.
    pub async fn run(self) {
        let options = &self.options;
        tracing::info!(server = %options.server, stream = %options.stream, group = %options.group, "the intake begins");
        let mut pause = Pause::new(limits::CONNECT_PAUSE_MIN, limits::CONNECT_PAUSE_MAX);
        let mut said = String::new();
        let mut left = Left {
            first_read: limits::READ_MESSAGES_FIRST,
            survivor: None,
            handed: MessageId::default(),
            is_broken_off: false,
        };
        self.meters.authorised.set(i64::from(self.tokens.holder(options.token).is_some()));
        loop {
            let ending = self.session(&mut pause, &mut left).await;
            self.meters.connected.set(0);
            let Err(Ending::Broken(error)) = ending else { break };
            self.meters.reconnects.increment();
            let error = error.text();
            // A server that is away for an hour is not worth a thousand lines.
            if pause.is_first() || error != said {
                tracing::warn!(server = %options.server, stream = %options.stream, error, "the intake connects again");
                said = error;
            }
            if !pause.wait(&self.stopping).await {
                break;
            }
        }
        tracing::info!(stream = %options.stream, "the intake has ended");
    }

    fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// One connection's life, which begins with what was `left` to it.
    async fn session(&self, pause: &mut Pause, left: &mut Left) -> Result<(), Ending> {
        let mut link = tokio::select! {
            link = Link::open(&self.options.server) => link?,
            () = stopped(&self.stopping) => return Err(Ending::Stop),
        };
        let script = link.load("load the script that answers", reply::SCRIPT).await?;
        self.make_group(&mut link).await?;
        self.compare_clocks(&mut link).await?;
        self.meters.connected.set(1);
        let now = Instant::now();
        let mut session = Session {
            intake: self,
            link,
            script,
            read_messages: left.first_read.min(self.options.read_messages),
            claim_from: "0-0".to_owned(),
            claim_at: now,
            look_at: now,
            suspect: None,
            left,
            taken_over: BTreeSet::new(),
        };
        let ended = session.work(pause).await;
        let first_read = match session.link.is_over() {
            true => {
                let most = limits::READ_BYTES_MAX;
                tracing::warn!(stream = %self.options.stream, messages = session.read_messages,
                    "what was read together is more than {most} bytes: it is read again one by one");
                1
            }
            false => limits::READ_MESSAGES_FIRST,
        };
        left.first_read = first_read;
        ended
    }

    async fn make_group(&self, link: &mut Link) -> Result<(), Error> {
        let options = &self.options;
        // From the beginning: what was sent before the first start waits to be taken as well.
        let mut create = cmd("XGROUP");
        create
            .arg("CREATE")
            .arg(options.stream.as_str())
            .arg(options.group.as_str())
            .arg("0")
            .arg("MKSTREAM");
        match link.run("make the consumer group", &create).await {
            Ok(_) => {
                tracing::info!(stream = %options.stream, group = %options.group, "made the consumer group");
                Ok(())
            }
            Err(error) if error.code() == Some("BUSYGROUP") => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Says when the clocks stand apart: a key made from a message's id tells its age by Redis' clock.
    async fn compare_clocks(&self, link: &mut Link) -> Result<(), Error> {
        let doing = "ask for the server's time";
        let answer = message::list(link.run(doing, &cmd("TIME")).await?).ok_or(Error::Shape { doing })?;
        let seconds = answer.into_iter().next().and_then(message::bytes);
        let seconds = seconds.and_then(|text| String::from_utf8(text).ok()?.parse().ok());
        let there = Duration::from_secs(seconds.ok_or(Error::Shape { doing })?);
        let here = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let apart = there.abs_diff(here);
        if apart > limits::CLOCK_APART {
            tracing::warn!(server = %self.options.server, apart_s = apart.as_secs(),
                "Redis' clock and ours stand apart: messages will be taken for older or younger than they are");
        }
        Ok(())
    }

    /// Who gives the commands; waits while the token is gone.
    async fn caller(&self) -> Result<Caller, Ending> {
        let mut is_said = false;
        loop {
            if let Some(caller) = self.tokens.holder(self.options.token) {
                self.meters.authorised.set(1);
                return Ok(caller);
            }
            self.meters.authorised.set(0);
            if !std::mem::replace(&mut is_said, true) {
                tracing::error!(token = %self.options.token, stream = %self.options.stream,
                    "the intake's token was revoked: it takes no commands until it is started with another one");
            }
            if !rest(limits::TOKEN_PAUSE, &self.stopping).await {
                return Err(Ending::Stop);
            }
        }
    }

    fn count(&self, fate: Fate) {
        match fate {
            Fate::Done => self.meters.done.increment(),
            Fate::Repeat => self.meters.repeat.increment(),
            Fate::Refused => self.meters.refused.increment(),
            Fate::Dead => self.meters.dead.increment(),
            Fate::Vanished => self.meters.vanished.increment(),
        }
    }
}

impl Session<'_> {
    async fn work(&mut self, pause: &mut Pause) -> Result<(), Ending> {
        self.finish_own().await?;
        pause.reset();
        loop {
            if self.intake.is_stopping() {
                return Ok(());
            }
            if Instant::now() >= self.claim_at {
                self.claim().await?;
            }
            if Instant::now() >= self.look_at {
                self.look().await?;
            }
            self.intake.caller().await?;
            let read = self.read_command();
            // All that this consumer had is answered: what it has pending if the read is broken off is of that read.
            self.left.is_broken_off = true;
            // To its end, also where the process is to end: what was delivered is this consumer's to answer.
            let messages = read_entries(&mut self.link, &read).await?;
            self.left.is_broken_off = false;
            self.handle(messages, Delivery::First).await?;
        }
    }

    /// Takes over what other consumers have read and not answered for long.
    async fn claim(&mut self) -> Result<(), Ending> {
        let options = &self.intake.options;
        let doing = "take over the messages of other consumers";
        loop {
            let mut claim = cmd("XAUTOCLAIM");
            claim.arg(options.stream.as_str()).arg(options.group.as_str()).arg(options.consumer.as_str());
            let idle_ms = u64::try_from(options.claim_idle.as_millis()).unwrap_or(u64::MAX);
            claim.arg(idle_ms).arg(&self.claim_from).arg("COUNT").arg(self.read_messages);
            // Only in this consumer's name for now: how they are tried is decided as for all that it has there.
            claim.arg("JUSTID");
            let mut answer =
                message::list(self.link.run(doing, &claim).await?).ok_or(Error::Shape { doing })?.into_iter();
            let next = answer.next().and_then(message::bytes).and_then(|next| String::from_utf8(next).ok());
            let claimed = answer.next().and_then(message::list).ok_or(Error::Shape { doing })?;
            // Newer servers take what was deleted out of the group by themselves, and name it here.
            let vanished = answer.next().and_then(message::list).map_or(0, |ids| ids.len());
            self.intake.meters.vanished.add(vanished as u64);
            self.claim_from = next.ok_or(Error::Shape { doing })?;
            if !claimed.is_empty() {
                self.intake.meters.claimed.add(claimed.len() as u64);
                tracing::info!(stream = %options.stream, messages = claimed.len(),
                    "the intake takes over messages that nobody works on");
                let ids = claimed.into_iter().map(|id| MessageId::parse(&message::bytes(id)?));
                self.taken_over = ids.collect::<Option<_>>().ok_or(Error::Shape { doing })?;
                self.finish_own().await?;
            }
            if self.claim_from == "0-0" {
                self.claim_at = Instant::now() + limits::CLAIM_PAUSE;
                return Ok(());
            }
            if self.intake.is_stopping() {
                return Ok(());
            }
        }
    }

    /// Looks how much is pending and how much waits.
    async fn look(&mut self) -> Result<(), Ending> {
        self.look_at = Instant::now() + limits::LOOK_PAUSE;
        let options = &self.intake.options;
        self.link.is_still_master(&options.server)?;
        let doing = "look at the consumer group";
        let groups = cmd("XINFO").arg("GROUPS").arg(options.stream.as_str()).to_owned();
        let groups = message::list(self.link.run(doing, &groups).await?).ok_or(Error::Shape { doing })?;
        let length = cmd("XLEN").arg(options.stream.as_str()).to_owned();
        let Value::Int(length) = self.link.run(doing, &length).await? else {
            return Err(Error::Shape { doing }.into());
        };
        for group in groups {
            let facts = message::list(group).ok_or(Error::Shape { doing })?;
            let fact = |name: &str| {
                let mut pairs = facts.chunks_exact(2);
                let pair =
                    pairs.find(|pair| message::bytes(pair[0].clone()).as_deref() == Some(name.as_bytes()));
                pair.map(|pair| &pair[1])
            };
            if fact("name").cloned().and_then(message::bytes).as_deref()
                != Some(options.group.as_str().as_bytes())
            {
                continue;
            }
            let Some(Value::Int(pending)) = fact("pending") else {
                return Err(Error::Shape { doing }.into());
            };
            self.intake.meters.pending.set(*pending);
            // Where answered messages are deleted, all the rest waits. Otherwise newer servers count it, as far as they can.
            match fact("lag") {
                _ if !options.keep => self.intake.meters.lag.set((length - pending).max(0)),
                Some(Value::Int(lag)) => self.intake.meters.lag.set(*lag),
                _ => {}
            }
        }
        Ok(())
    }

    fn read_command(&self) -> Cmd {
        let options = &self.intake.options;
        let mut read = cmd("XREADGROUP");
        read.arg("GROUP").arg(options.group.as_str()).arg(options.consumer.as_str());
        read.arg("COUNT").arg(self.read_messages);
        read.arg("BLOCK").arg(u64::try_from(limits::READ_WAIT.as_millis()).unwrap_or(u64::MAX));
        read.arg("STREAMS").arg(options.stream.as_str()).arg(">");
        read
    }

    /// Has requests decided, however long the store has too much to do.
    async fn decide(&mut self, mut caller: Caller, requests: &[Request]) -> Result<Vec<Told>, Ending> {
        let intake = self.intake;
        let stream = &intake.options.stream;
        let mut pause = Pause::new(limits::BUSY_PAUSE_MIN, limits::BUSY_PAUSE_MAX);
        loop {
            match intake.commands.decide(&caller, requests).await {
                Ok(answers) => return Ok(answers),
                Err(Undecided::Later(problem)) => {
                    intake.meters.retries.increment();
                    if pause.is_first() {
                        tracing::warn!(%stream, problem = %problem.detail, "the intake waits for the store");
                    }
                    self.acquit().await?;
                    if !pause.wait(&intake.stopping).await {
                        return Err(Ending::Stop);
                    }
                    // The token may have been revoked meanwhile.
                    caller = intake.caller().await?;
                    self.suspect().await?;
                }
                Err(Undecided::Ended(problem)) => {
                    tracing::warn!(%stream, problem = %problem.detail, "the intake ends with its store");
                    // One that was closed is in order; one that failed may have failed over what it was to decide.
                    if problem.code == "closed" {
                        self.acquit().await?;
                    }
                    return Err(Ending::Stop);
                }
            }
        }
    }

    /// Decides messages and answers them.
    async fn handle(&mut self, messages: Vec<Message>, delivery: Delivery) -> Result<(), Ending> {
        let Some(last) = messages.last() else { return Ok(()) };
        // A replica that is promoted may have what was answered as pending still: behind this, it cannot.
        self.left.handed = self.left.handed.max(last.id);
        let intake = self.intake;
        intake.meters.read.add(messages.len() as u64);
        self.learn(&messages);
        let caller = intake.caller().await?;
        // For each message its answer, or its place among the requests.
        let mut requests = Vec::with_capacity(messages.len());
        let mut early = Vec::with_capacity(messages.len());
        for message in &messages {
            early.push(match intake.read(&caller, message, delivery) {
                Ok(request) => {
                    requests.push(request);
                    None
                }
                Err(answer) => Some(answer),
            });
        }
        let mut told = match requests.is_empty() {
            true => Vec::new(),
            false => self.decide(caller, &requests).await?,
        }
        .into_iter();
        let answers = messages.iter().zip(early).map(|(message, early)| {
            early.unwrap_or_else(|| match told.next().expect("each request has an answer") {
                Ok(done) => Answer::done(message, &done),
                Err(problem) => Answer::problem(message, &problem),
            })
        });
        let answers: Vec<Answer> = answers.collect();
        Ok(self.answer(&answers).await?)
    }

    async fn answer(&mut self, answers: &[Answer]) -> Result<(), Error> {
        let mut rest = answers;
        while !rest.is_empty() {
            let mut bytes = 0;
            let count = rest.iter().take_while(|answer| {
                bytes += answer.len();
                bytes <= limits::ANSWER_BYTES
            });
            // One that is larger than a step should be goes alone.
            let (now, later) = rest.split_at(count.count().max(1));
            self.link.run("answer", &reply::answer(&self.script, &self.intake.options, now)).await?;
            for answer in now {
                self.intake.count(answer.fate);
            }
            rest = later;
        }
        Ok(())
    }

    /// Learns how many messages a read should ask for.
    fn learn(&mut self, messages: &[Message]) {
        let bytes: usize = messages.iter().map(Message::len).sum();
        let each = (bytes / messages.len()).max(1);
        let most = self.intake.options.read_messages.min(self.read_messages * 2);
        self.read_messages = (limits::READ_BYTES / each).clamp(1, most);
    }
}

impl Intake {
    /// The request of a message, or what it is answered without one.
    fn read(&self, caller: &Caller, message: &Message, delivery: Delivery) -> Result<Request, Answer> {
        if message.fields.is_none() {
            return Err(Answer::vanished(message));
        }
        let key = key::of_message(self.options.stream.as_str(), message.id);
        let read = message.command().and_then(|command| self.commands.read(caller, command, &key));
        match read {
            // A backlog of more commands than there are keys kept is not taken for one that was decided and forgotten.
            // Where messages are kept, a group that is made anew gets what was decided once more.
            Ok(Ok(request))
                if delivery == Delivery::First && !self.options.keep && request.key() == Some(&key) =>
            {
                Ok(request.for_the_first_time())
            }
            Ok(Ok(request)) => Ok(request),
            Ok(Err(problem)) | Err(problem) => Err(Answer::problem(message, &problem)),
        }
    }
}

/// Runs a read of one stream. What is there is answered at once, and nothing after the time of the read.
async fn read_entries(link: &mut Link, read: &Cmd) -> Result<Vec<Message>, Error> {
    let doing = "read messages";
    let wait = limits::READ_WAIT + limits::ANSWER_WAIT;
    let answer = link.read(wait, doing, read).await?;
    let streams = message::list(answer).ok_or(Error::Shape { doing })?;
    let Some(stream) = streams.into_iter().next() else { return Ok(Vec::new()) };
    let stream = message::list(stream).ok_or(Error::Shape { doing })?;
    let entries = stream.into_iter().nth(1).ok_or(Error::Shape { doing })?;
    message::entries(entries).ok_or(Error::Shape { doing })
}
