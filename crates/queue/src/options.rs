//! How queues are set up.

use std::{fmt, time::Duration};

use jaego_domain::{EVENT_KINDS, Sequence};
use jaego_server::tokens::TokenId;

use crate::{Server, limits};

/// Why there cannot be such options.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// A name is empty, too long or has control characters.
    #[error("{name:?} is no name: it has 1 to {} bytes and no control characters", limits::NAME_BYTES_MAX)]
    Name {
        /// The name.
        name: String,
    },
    /// Two streams have the same name.
    #[error("the streams of commands, of replies and of dead letters cannot be one: {name}")]
    SameStream {
        /// Their name.
        name: StreamName,
    },
    /// Replies or dead letters that would be deleted as soon as they are written.
    #[error("at least one reply and one dead letter have to be kept")]
    KeepsNothing,
    /// More entries of a stream than Redis counts.
    #[error("{count} {what} are more than the {} that can be kept", limits::KEPT_MAX)]
    KeepsTooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        count: u64,
    },
    /// A time after which nothing could be taken over any more.
    #[error(
        "messages of other consumers can be taken over after {} seconds at the most, and not after {seconds}",
        limits::CLAIM_IDLE_MAX.as_secs()
    )]
    ClaimIdle {
        /// How long was asked for.
        seconds: u64,
    },
    /// There are no events of such a kind.
    #[error("{kind:?} is no kind of event; the kinds are {}", EVENT_KINDS.join(", "))]
    Kind {
        /// What was asked for.
        kind: String,
    },
    /// More messages at once than a batch may have, or none.
    #[error("1 to {} messages can be read at once", limits::READ_MESSAGES_MAX)]
    ReadMessages,
}

/// The name of a stream, a group or a consumer: 1 to [`limits::NAME_BYTES_MAX`] bytes without control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamName(String);

impl StreamName {
    /// Checks a name.
    ///
    /// # Errors
    /// [`OptionsError::Name`].
    pub fn new(name: &str) -> Result<Self, OptionsError> {
        if name.is_empty() || name.len() > limits::NAME_BYTES_MAX || name.contains(char::is_control) {
            return Err(OptionsError::Name { name: name.chars().take(64).collect() });
        }
        Ok(Self(name.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of a stream that belongs to this one.
    fn beside(&self, what: &str) -> Result<Self, OptionsError> {
        Self::new(&format!("{self}:{what}"))
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where commands come from, and where their answers go.
#[derive(Clone, Debug)]
pub struct IntakeOptions {
    /// The server.
    pub server: Server,
    /// The stream of commands.
    pub stream: StreamName,
    /// The stream of replies. Default `STREAM:replies`.
    pub replies: StreamName,
    /// The stream of dead letters. Default `STREAM:dead`.
    pub dead_letters: StreamName,
    /// The consumer group; made if it is not there, at the beginning of the stream. Default `jaego`.
    pub group: StreamName,
    /// The name within the group. What it left unfinished under this name it goes on with. Default `jaego`.
    pub consumer: StreamName,
    /// The token that the commands are given with.
    pub token: TokenId,
    /// Replies that are kept, about.
    pub replies_max: u64,
    /// Dead letters that are kept, about.
    pub dead_letters_max: u64,
    /// Messages that are read, decided and answered together at the most.
    pub read_messages: usize,
    /// How long a message of another consumer has to be idle before it is taken over.
    pub claim_idle: Duration,
    /// Whether messages stay in their stream once they are answered. Otherwise they are deleted with the answer.
    pub keep: bool,
}

impl IntakeOptions {
    /// The commands of a stream, given with a token, and the defaults for everything else.
    ///
    /// # Errors
    /// [`OptionsError::Name`] where the names of the other two streams would be too long.
    pub fn new(server: Server, stream: StreamName, token: TokenId) -> Result<Self, OptionsError> {
        Ok(Self {
            server,
            replies: stream.beside("replies")?,
            dead_letters: stream.beside("dead")?,
            stream,
            group: StreamName("jaego".to_owned()),
            consumer: StreamName("jaego".to_owned()),
            token,
            replies_max: limits::REPLIES,
            dead_letters_max: limits::DEAD_LETTERS,
            read_messages: limits::READ_MESSAGES,
            claim_idle: limits::CLAIM_IDLE,
            keep: false,
        })
    }

    /// Looks whether the options go together.
    ///
    /// # Errors
    /// [`OptionsError::SameStream`], [`OptionsError::KeepsNothing`], [`OptionsError::KeepsTooMany`],
    /// [`OptionsError::ClaimIdle`], [`OptionsError::ReadMessages`].
    pub fn check(&self) -> Result<(), OptionsError> {
        let streams = [&self.stream, &self.replies, &self.dead_letters];
        for (index, name) in streams.iter().enumerate() {
            if streams[..index].contains(name) {
                return Err(OptionsError::SameStream { name: (*name).clone() });
            }
        }
        if self.replies_max == 0 || self.dead_letters_max == 0 {
            return Err(OptionsError::KeepsNothing);
        }
        can_be_kept("replies", self.replies_max)?;
        can_be_kept("dead letters", self.dead_letters_max)?;
        if self.claim_idle > limits::CLAIM_IDLE_MAX {
            return Err(OptionsError::ClaimIdle { seconds: self.claim_idle.as_secs() });
        }
        if !(1..=limits::READ_MESSAGES_MAX).contains(&self.read_messages) {
            return Err(OptionsError::ReadMessages);
        }
        Ok(())
    }
}

/// Where events go.
#[derive(Clone, Debug)]
pub struct OutboxOptions {
    /// The server.
    pub server: Server,
    /// The stream of events.
    pub stream: StreamName,
    /// Events that are kept, about; all of them if not said.
    pub events_max: Option<u64>,
    /// Only events of these kinds; all if empty.
    pub kinds: Vec<String>,
    /// A stream that has had no events gets those after this one.
    pub after: Sequence,
}

impl OutboxOptions {
    /// All events into this stream, with the default number kept.
    pub fn new(server: Server, stream: StreamName) -> Self {
        Self { server, stream, events_max: Some(limits::EVENTS), kinds: Vec::new(), after: Sequence(0) }
    }

    /// Looks whether there are such events, which would never come of a kind that does not exist, and whether so many can be
    /// kept.
    ///
    /// # Errors
    /// [`OptionsError::Kind`], [`OptionsError::KeepsTooMany`].
    pub fn check(&self) -> Result<(), OptionsError> {
        can_be_kept("events", self.events_max.unwrap_or(0))?;
        match self.kinds.iter().find(|kind| !EVENT_KINDS.contains(&kind.as_str())) {
            Some(kind) => Err(OptionsError::Kind { kind: kind.chars().take(64).collect() }),
            None => Ok(()),
        }
    }
}

fn can_be_kept(what: &'static str, count: u64) -> Result<(), OptionsError> {
    if count <= limits::KEPT_MAX { Ok(()) } else { Err(OptionsError::KeepsTooMany { what, count }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_streams_are_checked() {
        let name = |text: &str| StreamName::new(text);
        assert!(name(&"x".repeat(limits::NAME_BYTES_MAX)).is_ok());
        assert!(name("주문:commands").is_ok());
        for wrong in ["", "a\nb", &"x".repeat(limits::NAME_BYTES_MAX + 1)] {
            assert!(name(wrong).is_err(), "{wrong:?}");
        }
        let server = Server::parse("redis://localhost").unwrap();
        let token = TokenId::parse("0123456789abcdef").unwrap();
        let options = IntakeOptions::new(server, name("orders").unwrap(), token).unwrap();
        assert_eq!(
            (options.replies.as_str(), options.dead_letters.as_str()),
            ("orders:replies", "orders:dead")
        );
        options.check().unwrap();
        let same = IntakeOptions { dead_letters: options.replies.clone(), ..options.clone() };
        assert!(matches!(same.check(), Err(OptionsError::SameStream { .. })));
        for (replies_max, dead_letters_max) in [(0, 1), (1, 0)] {
            let none = IntakeOptions { replies_max, dead_letters_max, ..options.clone() };
            assert!(matches!(none.check(), Err(OptionsError::KeepsNothing)));
        }
        let outbox = OutboxOptions::new(options.server.clone(), name("events").unwrap());
        for (count, is_taken) in [(limits::KEPT_MAX, true), (limits::KEPT_MAX + 1, false), (u64::MAX, false)]
        {
            let replies = IntakeOptions { replies_max: count, ..options.clone() };
            let letters = IntakeOptions { dead_letters_max: count, ..options.clone() };
            let events = OutboxOptions { events_max: Some(count), ..outbox.clone() };
            for checked in [replies.check(), letters.check(), events.check()] {
                assert_eq!(checked.is_ok(), is_taken, "{count}: {checked:?}");
                let is_told =
                    matches!(checked, Err(OptionsError::KeepsTooMany { count: told, .. }) if told == count);
                assert_eq!(is_told, !is_taken, "{count}: {checked:?}");
            }
        }
        let longer = limits::CLAIM_IDLE_MAX + Duration::from_millis(1);
        for (claim_idle, is_taken) in
            [(limits::CLAIM_IDLE_MAX, true), (longer, false), (Duration::from_secs(u64::MAX), false)]
        {
            let checked = IntakeOptions { claim_idle, ..options.clone() }.check();
            assert_eq!(checked.is_ok(), is_taken, "{claim_idle:?}: {checked:?}");
        }
        for (kind, is_known) in [("held", true), ("Held", false), ("", false), ("hold", false)] {
            let kinds = vec!["sku_set".to_owned(), kind.to_owned()];
            let checked = OutboxOptions { kinds, ..outbox.clone() }.check();
            assert_eq!(checked.is_ok(), is_known, "{kind:?}: {checked:?}");
        }
        for read_messages in [0, limits::READ_MESSAGES_MAX + 1] {
            let many = IntakeOptions { read_messages, ..options.clone() };
            assert!(matches!(many.check(), Err(OptionsError::ReadMessages)));
        }
    }
}
