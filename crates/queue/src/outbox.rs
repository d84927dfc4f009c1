//! Events into a stream, in order, each once.

use std::sync::Arc;

use jaego_domain::Sequence;
use jaego_server::{Metrics, service::event_json};
use jaego_store::{EventView, Failure, Store};
use redis::cmd;
use tokio::{
    sync::watch,
    time::{self, Instant},
};

use crate::{
    limits,
    link::{Error, Link},
    message::{self, Message, MessageId},
    meters::OutboxMeters,
    options::OutboxOptions,
    pause::{Pause, rest, stopped},
};

/// The field of an entry that holds its event. The field `kind` beside it spares readers to open it.
const EVENT: &str = "event";

/// Stands in a note for the kinds where all of them are published.
const ALL_KINDS: &str = "*";

/// Adds events behind the last id that the outbox knows of, and only there: whatever else came into the stream, or went
/// out of it with the whole stream, is looked at before anything follows it. It notes the position first, so that who may
/// not note it publishes nothing either.
const SCRIPT: &str = r"
local last = '0-0'
if redis.call('EXISTS', KEYS[1]) == 1 then
  local facts = redis.call('XINFO', 'STREAM', KEYS[1])
  for at = 1, #facts, 2 do
    if facts[at] == 'last-generated-id' then
      last = facts[at + 1]
    end
  end
end
if last ~= ARGV[1] then
  return {'moved', last}
end
if KEYS[2] then
  local left = #ARGV > 3 and ARGV[#ARGV - 2] or last
  redis.call('SET', KEYS[2], left .. ' ' .. ARGV[3])
end
for at = 4, #ARGV, 3 do
  if ARGV[2] == '' then
    last = redis.call('XADD', KEYS[1], ARGV[at], 'kind', ARGV[at + 1], 'event', ARGV[at + 2])
  else
    last = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], ARGV[at], 'kind', ARGV[at + 1], 'event', ARGV[at + 2])
  end
end
return {'added', last}
";

/// What publishes events to a stream.
///
/// An entry's id is the event's sequence, `<sequence>-0`. The server takes only ids that grow, so that no event is
/// published twice or out of order, whoever tries; and the last id of the stream says where to go on. Events are added
/// only behind the entry that was added last, so that nothing gets in between them unseen. A key beside the stream notes
/// which event was looked at last: so another history is told from this one though readers have deleted all entries, and
/// where kinds are chosen those that nobody wants are not read again.
pub struct Outbox {
    options: OutboxOptions,
    store: Arc<dyn Store>,
    meters: OutboxMeters,
    stopping: watch::Receiver<bool>,
    /// The end of the stream as this process left it; that of no entry where it published none.
    end: MessageId,
    /// Whether it was said that the noted position is another store's.
    is_stale_said: bool,
    /// Whether the position is noted: who publishes all events may go on without the right to.
    notes: bool,
}

/// What an outbox has noted beside a stream that it left.
struct Note {
    /// The stream's last id then.
    end: MessageId,
    /// The last event that was looked at.
    done: Sequence,
    /// The kinds that were looked for.
    kinds: String,
    /// All that [`position_mark`] says of that event.
    mark: String,
}

impl Note {
    fn parse(text: &str) -> Option<Self> {
        let (end, mark) = text.split_once(' ')?;
        let mut parts = mark.split(' ');
        let done = Sequence(parts.next()?.parse().ok()?);
        let kinds = parts.next()?.to_owned();
        Some(Self { end: MessageId::parse(end.as_bytes())?, done, kinds, mark: mark.to_owned() })
    }
}

/// Why an outbox refuses to publish, rather than leave events out or mix two histories.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Halt {
    /// The stream has an event that the store has not.
    #[error(
        "the stream ends with event {stream}, and the store with {store}: the store was restored from a backup, or the \
         stream is another store's; publish to a new stream"
    )]
    Ahead {
        /// The stream's last event.
        stream: u64,
        /// The store's.
        store: u64,
    },
    /// An event of the stream is not the store's of the same number.
    #[error(
        "event {sequence} of the stream is not the store's event {sequence}: the store was restored from a backup and \
         went on, or the stream is another store's; publish to a new stream"
    )]
    OtherHistory {
        /// The event.
        sequence: u64,
    },
    /// The stream has entries that no outbox made.
    #[error("the stream ends with the id {id}, which is no event's: publish to a stream of its own")]
    Foreign {
        /// The id.
        id: String,
    },
    /// Entries behind the last one were deleted, whosever they were: the events of their numbers would be left out.
    #[error(
        "the stream ends with the entry {entry}, and gave the id {end} since: what was behind was deleted, and events of \
         those numbers would be left out; set its last id back with XSETID if the server lets you, or publish to a new stream"
    )]
    EndDeleted {
        /// The last entry.
        entry: String,
        /// The last id.
        end: String,
    },
    /// The journal does not go back to where the stream ends.
    #[error(
        "the next event of the stream is {next}, and the journal begins with {first}: older ones were archived; bring \
         them back, or begin a new stream after event {}", .first - 1
    )]
    Archived {
        /// The event to be published next.
        next: u64,
        /// The first that can be read.
        first: u64,
    },
    /// The past of the store cannot be read.
    #[error("{detail}")]
    Unreadable {
        /// What cannot be read.
        detail: String,
    },
}

/// Where a session begins.
struct Start {
    /// The last event that the stream has or is not to get.
    done: Sequence,
    /// The last id that the stream gave; that of no entry where there is no stream.
    end: MessageId,
}

/// Why a session came to its end.
enum Ending {
    Stop,
    Halted(Halt),
    Broken(Error),
}

impl From<Error> for Ending {
    fn from(error: Error) -> Self {
        Self::Broken(error)
    }
}

impl From<Halt> for Ending {
    fn from(halt: Halt) -> Self {
        Self::Halted(halt)
    }
}

impl Outbox {
    /// An outbox of a store. It ends when `stopping` says so.
    pub fn new(
        options: OutboxOptions,
        store: Arc<dyn Store>,
        metrics: &Metrics,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        Self {
            options,
            store,
            meters: OutboxMeters::new(metrics),
            stopping,
            end: MessageId::default(),
            is_stale_said: false,
            notes: true,
        }
    }

    /// Publishes until the process is to end or the store has ended. Connects again whenever it has to, and looks again
    /// from time to time whether a reason to halt is still there.
    pub async fn run(mut self) {
        tracing::info!(server = %self.options.server, stream = %self.options.stream, "the outbox begins");
        let mut pause = Pause::new(limits::CONNECT_PAUSE_MIN, limits::CONNECT_PAUSE_MAX);
        let mut said = String::new();
        loop {
            let ending = self.session(&mut pause).await;
            self.meters.connected.set(0);
            let (server, stream) = (&self.options.server, &self.options.stream);
            let goes_on = match ending {
                Err(Ending::Broken(error)) => {
                    self.meters.reconnects.increment();
                    // Who publishes all events, and may not write beside the stream, did not have to so far.
                    if self.notes && self.options.kinds.is_empty() && error.is_forbidden() {
                        self.notes = false;
                        tracing::warn!(%server, %stream, error = error.text(), key = self.position_key(),
                            "the outbox goes on without noting its position: once all entries are trimmed, another \
                             store's history cannot be told from this one's");
                        continue;
                    }
                    let error = error.text();
                    if pause.is_first() || error != said {
                        tracing::warn!(%server, %stream, error, "the outbox connects again");
                        said = error;
                    }
                    pause.wait(&self.stopping).await
                }
                Err(Ending::Halted(halt)) => {
                    self.meters.halted.set(1);
                    let reason = halt.to_string();
                    if reason != said {
                        tracing::error!(%server, %stream, reason, "the outbox publishes nothing");
                        said = reason;
                    }
                    rest(limits::HALT_PAUSE, &self.stopping).await
                }
                Ok(()) | Err(Ending::Stop) => false,
            };
            if !goes_on {
                break;
            }
        }
        tracing::info!(stream = %self.options.stream, "the outbox has ended");
    }

    /// One connection's life.
    async fn session(&mut self, pause: &mut Pause) -> Result<(), Ending> {
        let mut link = tokio::select! {
            link = Link::open(&self.options.server) => link?,
            () = stopped(&self.stopping) => return Err(Ending::Stop),
        };
        let script = link.load("load the script that publishes", SCRIPT).await?;
        let Start { mut done, mut end } = self.resume(&mut link).await?;
        self.meters.connected.set(1);
        self.meters.halted.set(0);
        let mut look_at = Instant::now() + limits::LOOK_PAUSE;
        let mut noted_at = Instant::now();
        // The last event that was looked at, where nothing in the stream or beside it says so.
        let mut unnoted: Option<EventView> = None;
        tracing::info!(stream = %self.options.stream, after = done.0, "the outbox goes on");
        loop {
            self.end = end;
            let durable = self.store.status().durable;
            self.meters.sequence.set(gauge(done.0));
            self.meters.lag.set(gauge(durable.0.saturating_sub(done.0)));
            let is_stopping = *self.stopping.borrow();
            if let Some(last) =
                unnoted.take_if(|_| is_stopping || noted_at.elapsed() >= limits::POSITION_PAUSE)
            {
                end = self.publish(&mut link, &script, &[], end, &last).await?;
                noted_at = Instant::now();
            }
            if is_stopping {
                return Ok(());
            }
            if Instant::now() >= look_at {
                look_at = Instant::now() + limits::LOOK_PAUSE;
                link.is_still_master(&self.options.server)?;
            }
            let mut events = self.read(done, limits::PUBLISH_EVENTS).await?;
            let Some(last) = events.last() else {
                pause.reset();
                let note_at = unnoted.is_some().then_some(noted_at + limits::POSITION_PAUSE);
                self.wait(&mut link, done, end, note_at).await?;
                continue;
            };
            done = last.outcome.sequence;
            let wanted = self.wanted(&events);
            if wanted.is_empty() {
                unnoted = events.pop();
            } else {
                end = self.publish(&mut link, &script, &wanted, end, last).await?;
                (noted_at, unnoted) = (Instant::now(), None);
            }
            pause.reset();
        }
    }

    /// Where the stream ends, once it is sure that what it has is of this store.
    async fn resume(&mut self, link: &mut Link) -> Result<Start, Ending> {
        let Some(end) = self.end_of_stream(link).await? else {
            if self.end != MessageId::default() {
                tracing::warn!(stream = %self.options.stream, published = self.end.milliseconds, after = self.options.after.0,
                    "the stream is gone: its events are published again");
            }
            let end = MessageId::default();
            let note = self.note(link, end).await?;
            let done = self.position(note.as_ref(), end).await?.unwrap_or_default().max(self.options.after);
            return Ok(Start { done, end });
        };
        if end.sequence != 0 {
            return Err(Halt::Foreign { id: end.to_string() }.into());
        }
        // Looked at after the end: another outbox of this store publishes what is durable.
        let store = self.store.status().durable.0;
        if end.milliseconds > store {
            return Err(Halt::Ahead { stream: end.milliseconds, store }.into());
        }
        let note = self.note(link, end).await?;
        self.compare_end(link, end, note.as_ref()).await?;
        if self.end > end {
            tracing::warn!(stream = %self.options.stream, published = self.end.milliseconds, after = end.milliseconds,
                "Redis has lost the stream's last events: they are published again");
        }
        let done = self.position(note.as_ref(), end).await?.unwrap_or(Sequence(end.milliseconds));
        Ok(Start { done, end })
    }

    /// Holds the end of the stream against the store: by its last entry, and by what was noted where readers have deleted
    /// the entry that was last.
    async fn compare_end(&self, link: &mut Link, end: MessageId, note: Option<&Note>) -> Result<(), Ending> {
        let entry = self.last_entry(link).await?;
        if let Some(entry) = &entry {
            self.compare(entry).await?;
        }
        match (entry, note) {
            // Another outbox of this store may have gone on since the end was looked at.
            (Some(entry), _) if entry.id >= end => Ok(()),
            (_, Some(note)) if !self.is_own(note).await? => {
                Err(Halt::OtherHistory { sequence: note.done.0 }.into())
            }
            // What an outbox has left is its own, or that of another one of this store.
            (Some(entry), None) if self.end != end => {
                Err(Halt::EndDeleted { entry: entry.id.to_string(), end: end.to_string() }.into())
            }
            _ => Ok(()),
        }
    }

    /// What is noted beside the stream, where it was left as it is.
    async fn note(&self, link: &mut Link, end: MessageId) -> Result<Option<Note>, Error> {
        if !self.notes {
            return Ok(None);
        }
        let read = cmd("GET").arg(self.position_key()).to_owned();
        let noted = message::bytes(link.run("read the position of the outbox", &read).await?);
        let note = noted.and_then(|noted| Note::parse(&String::from_utf8_lossy(&noted)));
        Ok(note.filter(|note| note.end == end))
    }

    /// How far an outbox of the same kinds has looked that left the stream as it is, where this store has that event.
    async fn position(&mut self, note: Option<&Note>, end: MessageId) -> Result<Option<Sequence>, Ending> {
        if self.options.kinds.is_empty() {
            return Ok(None);
        }
        let kinds = self.kinds();
        let Some(note) = note.filter(|note| note.kinds == kinds) else { return Ok(None) };
        if end.milliseconds <= note.done.0 && self.is_own(note).await? {
            return Ok(Some(note.done));
        }
        if !std::mem::replace(&mut self.is_stale_said, true) {
            tracing::warn!(stream = %self.options.stream, position = note.mark, after = end.milliseconds,
                "the noted position is no event of this store, which was restored from a backup or is another one: all \
                 events behind the last entry are looked at again");
        }
        Ok(None)
    }

    /// Whether what was noted is the store's event of this number.
    async fn is_own(&self, note: &Note) -> Result<bool, Ending> {
        let Some(before) = note.done.0.checked_sub(1) else { return Ok(false) };
        if note.done > self.store.status().durable {
            return Ok(false);
        }
        let own = match self.events(Sequence(before), 1).await {
            Ok(own) => own,
            // Whoever cannot read it any more cannot compare it, but may well go on after it.
            Err(Ending::Halted(_)) => return Ok(true),
            Err(ending) => return Err(ending),
        };
        let own = own.first().filter(|own| own.outcome.sequence == note.done);
        Ok(own.is_none_or(|own| note.mark == position_mark(own, &note.kinds)))
    }

    fn position_key(&self) -> String {
        format!("{}:position", self.options.stream)
    }

    /// The kinds in one word.
    fn kinds(&self) -> String {
        let mut kinds = self.options.kinds.clone();
        kinds.sort_unstable();
        kinds.dedup();
        if kinds.is_empty() { ALL_KINDS.to_owned() } else { kinds.join(",") }
    }

    /// The id that the stream gave last, entries that are gone included; nothing if it never gave one.
    async fn end_of_stream(&self, link: &mut Link) -> Result<Option<MessageId>, Error> {
        let doing = "look where the stream of events ends";
        let look = cmd("XINFO").arg("STREAM").arg(self.options.stream.as_str()).to_owned();
        let facts = match link.run(doing, &look).await {
            Ok(facts) => message::list(facts).ok_or(Error::Shape { doing })?,
            Err(Error::Redis { source, .. }) if is_no_key(&source) => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut pairs = facts.chunks_exact(2);
        let end = pairs.find(|pair| message::bytes(pair[0].clone()).as_deref() == Some(b"last-generated-id"));
        let end = end.and_then(|pair| MessageId::parse(&message::bytes(pair[1].clone())?));
        Ok(Some(end.ok_or(Error::Shape { doing })?).filter(|end| *end != MessageId::default()))
    }

    async fn last_entry(&self, link: &mut Link) -> Result<Option<Message>, Error> {
        let doing = "read the last event of the stream";
        let mut read = cmd("XREVRANGE");
        read.arg(self.options.stream.as_str()).arg("+").arg("-").arg("COUNT").arg(1);
        let entries = message::entries(link.run(doing, &read).await?).ok_or(Error::Shape { doing })?;
        Ok(entries.into_iter().next())
    }

    /// Holds an entry of the stream against the store's event of the same number.
    async fn compare(&self, entry: &Message) -> Result<(), Ending> {
        let sequence = entry.id.milliseconds;
        let fields = entry.fields.as_deref().unwrap_or_default();
        let event = fields.iter().find(|(name, _)| name == EVENT.as_bytes());
        let published =
            event.and_then(|(_, json)| serde_json::from_slice::<jaego_api::event::Event>(json).ok());
        let (Some(published), 0, Some(before)) = (published, entry.id.sequence, sequence.checked_sub(1))
        else {
            return Err(Halt::Foreign { id: entry.id.to_string() }.into());
        };
        let own = match self.events(Sequence(before), 1).await {
            Ok(own) => own,
            // Whoever cannot read it any more cannot compare it, but may well go on after it.
            Err(Ending::Halted(_)) => return Ok(()),
            Err(ending) => return Err(ending),
        };
        let Some(own) = own.first().filter(|own| own.outcome.sequence.0 == sequence) else { return Ok(()) };
        // What an event tells may grow from version to version. When it happened, and what it is, does not change.
        let own = serde_json::from_slice::<jaego_api::event::Event>(&event_json(own)).ok();
        let is_same = own.is_some_and(|own| {
            (own.at, own.kind, own.document) == (published.at, published.kind, published.document)
        });
        if is_same { Ok(()) } else { Err(Halt::OtherHistory { sequence }.into()) }
    }

    /// Reads the events that come next, none of them left out.
    async fn read(&self, done: Sequence, limit: usize) -> Result<Vec<EventView>, Ending> {
        let events = self.events(done, limit).await?;
        match events.first() {
            Some(first) if first.outcome.sequence != done.next() => {
                Err(Halt::Archived { next: done.next().0, first: first.outcome.sequence.0 }.into())
            }
            _ => Ok(events),
        }
    }

    async fn events(&self, after: Sequence, limit: usize) -> Result<Vec<EventView>, Ending> {
        let mut pause = Pause::new(limits::BUSY_PAUSE_MIN, limits::BUSY_PAUSE_MAX);
        loop {
            match self.store.events(after, limit).await {
                Ok(page) => return Ok(page.events),
                Err(Failure::Failed { .. } | Failure::Closed) => return Err(Ending::Stop),
                Err(Failure::Busy { .. } | Failure::Full { .. }) => {
                    if !pause.wait(&self.stopping).await {
                        return Err(Ending::Stop);
                    }
                }
                Err(failure @ (Failure::HistoryUnreadable { .. } | Failure::TooLarge { .. })) => {
                    return Err(Halt::Unreadable { detail: failure.to_string() }.into());
                }
            }
        }
    }

    /// The events of the kinds that are wanted.
    fn wanted<'a>(&self, events: &'a [EventView]) -> Vec<&'a EventView> {
        let kinds = &self.options.kinds;
        let is_wanted = |event: &&EventView| kinds.is_empty() || kinds.iter().any(|kind| kind == event.kind);
        events.iter().filter(is_wanted).collect()
    }

    /// Adds events, all in one step, where the stream still ends as it was left, and notes that all up to `last` were
    /// looked at. Returns its new end.
    async fn publish(
        &self,
        link: &mut Link,
        script: &str,
        wanted: &[&EventView],
        end: MessageId,
        last: &EventView,
    ) -> Result<MessageId, Error> {
        let mut publish = cmd("EVALSHA");
        let mark = self.notes.then(|| position_mark(last, &self.kinds()));
        publish.arg(script).arg(1 + usize::from(mark.is_some())).arg(self.options.stream.as_str());
        // A key that is named has to be allowed, whether it is written or not.
        if mark.is_some() {
            publish.arg(self.position_key());
        }
        publish.arg(end.to_string());
        publish.arg(self.options.events_max.map(|events_max| events_max.to_string()).unwrap_or_default());
        publish.arg(mark.unwrap_or_default());
        for event in wanted {
            publish.arg(entry_id(event.outcome.sequence).to_string()).arg(event.kind).arg(event_json(event));
        }
        let doing = "publish events";
        let answer = message::list(link.run(doing, &publish).await?).unwrap_or_default();
        let mut answer = answer.into_iter().filter_map(message::bytes);
        let (Some(what), Some(id)) = (answer.next(), answer.next()) else {
            return Err(Error::Shape { doing });
        };
        let found = MessageId::parse(&id).ok_or(Error::Shape { doing })?;
        // Otherwise the stream is looked at again: an answer was lost, the stream is gone, or somebody else writes to it.
        let expected = wanted.last().map_or(end, |last| entry_id(last.outcome.sequence));
        if what != b"added" || found != expected {
            return Err(Error::Moved { doing, expected: end, found });
        }
        self.meters.published.add(wanted.len() as u64);
        Ok(found)
    }

    /// Waits for events, for the end of the process, or until the position is to be noted, and looks meanwhile whether the
    /// stream still ends as it was left.
    async fn wait(
        &self,
        link: &mut Link,
        done: Sequence,
        end: MessageId,
        note_at: Option<Instant>,
    ) -> Result<(), Ending> {
        let mut events = self.store.wait_for_events(done);
        loop {
            tokio::select! {
                () = &mut events => {
                    // A store that has ended has no more events, and says so at once.
                    if self.store.status().durable <= done {
                        rest(limits::BUSY_PAUSE_MIN, &self.stopping).await;
                    }
                    return Ok(());
                }
                () = stopped(&self.stopping) => return Ok(()),
                () = time::sleep_until(note_at.unwrap_or_else(Instant::now)), if note_at.is_some() => return Ok(()),
                () = time::sleep(limits::TRY_PAUSE) => {
                    link.is_still_master(&self.options.server)?;
                    let found = self.end_of_stream(link).await?.unwrap_or_default();
                    if found != end {
                        let doing = "wait for events";
                        return Err(Error::Moved { doing, expected: end, found }.into());
                    }
                }
            }
        }
    }
}

/// The id of an event's entry.
fn entry_id(sequence: Sequence) -> MessageId {
    MessageId { milliseconds: sequence.0, sequence: 0 }
}

/// What is noted of the last event that was looked at: its number, the kinds that were looked for, and, to know it again,
/// when it happened (milliseconds) and what it is.
fn position_mark(last: &EventView, kinds: &str) -> String {
    format!("{} {kinds} {} {}", last.outcome.sequence, last.outcome.at.0, last.kind)
}

fn is_no_key(error: &redis::RedisError) -> bool {
    error.detail().is_some_and(|detail| detail.contains("no such key"))
}

fn gauge(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
