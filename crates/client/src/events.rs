//! The feed of events, for as long as one likes.

use std::time::Duration;

use bytes::{Buf, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use jaego_api::{Problem, event::Event};
use tokio::time;

use crate::{
    Client, Error,
    limits::{EVENT_BYTES_MAX, EVENT_TIMEOUT, PAUSE_MIN},
    reads,
    transport::{Call, RATE_LIMITED, Tries, told_wait},
};

/// The feed, from a cursor on. Where the connection breaks it goes on after the last event that was given, or further on,
/// where the service has looked and found nothing that fits.
#[derive(Debug)]
pub struct Events {
    client: Client,
    kinds: String,
    after: u64,
    stream: Option<Incoming>,
    read: BytesMut,
    /// How much of it was searched for the end of a message.
    searched: usize,
    /// For how long the service told to stay away, when it refused the feed.
    told: Option<Duration>,
    /// Whether the stream said something whole since it was opened: then its end is no failed try.
    is_alive: bool,
}

impl Client {
    /// Events after the one with the sequence `after`, only of these kinds unless there are none.
    pub fn events(&self, after: u64, kinds: &[&str]) -> Events {
        Events {
            client: self.clone(),
            kinds: kinds.join(","),
            after,
            stream: None,
            read: BytesMut::new(),
            searched: 0,
            told: None,
            is_alive: false,
        }
    }
}

impl Events {
    /// The cursor: no event that fits is between the last one that was given and this sequence.
    pub fn after(&self) -> u64 {
        self.after
    }

    /// Waits for the next event. Dropping the wait loses nothing.
    ///
    /// # Errors
    /// What is left wrong after as many tries as a request has, one after the other: every event and every sign of life
    /// begins the count anew, and a stream that ends after one is no failed try. Calling again goes on with new tries.
    /// Where the feed itself failed, its problem is an [`Error::Refused`].
    pub async fn next(&mut self) -> Result<Event, Error> {
        let mut tries = Tries::default();
        loop {
            let ended = match self.wait().await {
                Ok(Some(event)) => return Ok(event),
                Ok(None) => None,
                Err(error) => Some(error),
            };
            let is_refused = ended.as_ref().is_some_and(|error| error.problem().is_some());
            if self.hang_up() && !is_refused {
                tries = Tries::default();
            }
            let Some(error) = ended else {
                time::sleep(PAUSE_MIN).await;
                continue;
            };
            match tries.pause(self.told.take()).filter(|_| may_pass(&error)) {
                Some(pause) => time::sleep(pause).await,
                None => return Err(error),
            }
        }
    }

    /// Leaves the stream with what of it was not whole. Whether it had said something.
    fn hang_up(&mut self) -> bool {
        self.stream = None;
        self.read.clear();
        self.searched = 0;
        std::mem::take(&mut self.is_alive)
    }

    /// The next event of the stream; `None` where it came to its end, as the service ends each of them after a while.
    async fn wait(&mut self) -> Result<Option<Event>, Error> {
        let call = self.call()?;
        loop {
            while let Some(message) = self.message() {
                let Some(data) = data(&message) else {
                    // A sign of life says how far the service has looked, where nothing fits.
                    self.after = seen(&message).unwrap_or(self.after).max(self.after);
                    self.is_alive = true;
                    continue;
                };
                let unreadable = |error: serde_json::Error| Error::Answer {
                    what: call.what(),
                    status: 200,
                    source: error.into(),
                };
                if field(&message, "event:") == Some("problem") {
                    let problem = serde_json::from_str(&data).map_err(unreadable)?;
                    return Err(Error::Refused { what: call.what(), problem: Box::new(problem) });
                }
                let event: Event = serde_json::from_str(&data).map_err(unreadable)?;
                self.after = event.sequence;
                self.is_alive = true;
                return Ok(Some(event));
            }
            if self.read.len() > EVENT_BYTES_MAX {
                let source = format!("an event is longer than {EVENT_BYTES_MAX} bytes").into();
                return Err(Error::Answer { what: call.what(), status: 200, source });
            }
            if self.stream.is_none() {
                self.stream = Some(self.open(&call).await?);
            }
            let Some(stream) = &mut self.stream else { continue };
            let Ok(frame) = time::timeout(EVENT_TIMEOUT, stream.frame()).await else {
                return Err(Error::Timeout { what: call.what(), seconds: EVENT_TIMEOUT.as_secs() });
            };
            match frame {
                Some(Ok(frame)) => self.read.extend_from_slice(&frame.into_data().unwrap_or_default()),
                Some(Err(error)) => return Err(self.client.connection(&call, error.into())),
                None if self.is_alive && self.read.is_empty() => return Ok(None),
                None => return Err(self.client.connection(&call, "the feed ended".into())),
            }
        }
    }

    fn call(&self) -> Result<Call, Error> {
        let after = self.after.to_string();
        let mut parameters = vec![("after", after.as_str())];
        if !self.kinds.is_empty() {
            parameters.push(("kind", &self.kinds));
        }
        let mut call = reads::call("events", &parameters)?;
        call.accept = Some("text/event-stream");
        Ok(call)
    }

    async fn open(&mut self, call: &Call) -> Result<Incoming, Error> {
        // What is left of a try that nobody waited for to its end.
        self.told = None;
        let Ok(response) = time::timeout(EVENT_TIMEOUT, self.client.open(call)).await else {
            return Err(Error::Timeout { what: call.what(), seconds: EVENT_TIMEOUT.as_secs() });
        };
        let response = response?;
        let status = response.status();
        if status.is_success() {
            return Ok(response.into_body());
        }
        self.told = told_wait(&response);
        let body = response
            .into_body()
            .collect()
            .await
            .map_err(|error| self.client.connection(call, error.into()))?;
        Err(match serde_json::from_slice::<Problem>(&body.to_bytes()) {
            Ok(problem) => Error::Refused { what: call.what(), problem: Box::new(problem) },
            Err(error) => Error::Answer { what: call.what(), status: status.as_u16(), source: error.into() },
        })
    }

    /// Takes the next whole message off what was read: everything up to an empty line.
    fn message(&mut self) -> Option<String> {
        let Some(end) = self.read[self.searched..].windows(2).position(|pair| pair == b"\n\n") else {
            // The last byte may be the first half of the end.
            self.searched = self.read.len().saturating_sub(1);
            return None;
        };
        let end = self.searched + end;
        let message = String::from_utf8_lossy(&self.read[..end]).into_owned();
        self.read.advance(end + 2);
        self.searched = 0;
        Some(message)
    }
}

/// Whether a feed that failed so may go on in a moment.
fn may_pass(error: &Error) -> bool {
    match error {
        Error::Refused { problem, .. } => problem.status >= 500 || problem.code == RATE_LIMITED,
        Error::Insecure { .. } => false,
        _ => true,
    }
}

/// The sequence of a message that has one.
fn seen(message: &str) -> Option<u64> {
    field(message, "id:")?.parse().ok()
}

/// What a message says in a field of one line.
fn field<'m>(message: &'m str, name: &str) -> Option<&'m str> {
    message.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

/// The data of a message; comments, which are signs of life, have none.
fn data(message: &str) -> Option<String> {
    let lines = message.lines().filter_map(|line| line.strip_prefix("data:"));
    let lines: Vec<_> = lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}
