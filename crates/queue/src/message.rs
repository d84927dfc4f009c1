//! What is read from the stream of commands.

use std::fmt;

use jaego_api::Problem;
use redis::Value;

use crate::limits::COMMAND_BYTES_MAX;

/// The field of a message that holds its command.
pub(crate) const COMMAND: &str = "command";

/// The id of an entry in a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MessageId {
    pub(crate) milliseconds: u64,
    pub(crate) sequence: u64,
}

impl MessageId {
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let (milliseconds, sequence) = std::str::from_utf8(text).ok()?.split_once('-')?;
        Some(Self { milliseconds: milliseconds.parse().ok()?, sequence: sequence.parse().ok()? })
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.milliseconds, self.sequence)
    }
}

/// An entry of a stream.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Message {
    pub(crate) id: MessageId,
    /// Names and values, as they came; `None` of an entry that was deleted while it was pending.
    pub(crate) fields: Option<Vec<(Vec<u8>, Vec<u8>)>>,
}

impl Message {
    /// Bytes that it brought.
    pub(crate) fn len(&self) -> usize {
        self.fields.iter().flatten().map(|(name, value)| name.len() + value.len()).sum()
    }

    /// The text of its command.
    pub(crate) fn command(&self) -> Result<&[u8], Box<Problem>> {
        let fields = self.fields.as_deref().unwrap_or_default();
        let mut command = None;
        for (name, value) in fields {
            let what = match name.as_slice() {
                name if name != COMMAND.as_bytes() => "is not a field of a message",
                _ if command.is_some() => "is there twice",
                _ => {
                    command = Some(value.as_slice());
                    continue;
                }
            };
            let name: String = String::from_utf8_lossy(name).chars().take(64).collect();
            let detail = format!("the field {name:?} {what}; it has one field, {COMMAND:?}");
            return Err(Box::new(Problem::new("malformed", detail).with("field", name)));
        }
        match command {
            None => {
                let detail = format!("the message has no field {COMMAND:?}");
                Err(Box::new(Problem::new("malformed", detail).with("field", COMMAND)))
            }
            Some(command) if command.len() > COMMAND_BYTES_MAX => {
                Err(Box::new(Problem::too_large("bytes", command.len(), COMMAND_BYTES_MAX)))
            }
            Some(command) => Ok(command),
        }
    }
}

/// Reads a list of entries: each an id and a flat list of names and values, or nothing for one that was deleted.
pub(crate) fn entries(value: Value) -> Option<Vec<Message>> {
    list(value)?.into_iter().filter(|entry| *entry != Value::Nil).map(entry).collect()
}

fn entry(value: Value) -> Option<Message> {
    let mut parts = list(value)?.into_iter();
    let id = MessageId::parse(&bytes(parts.next()?)?)?;
    let fields = match parts.next()? {
        Value::Nil => None,
        fields => Some(pairs(fields)?),
    };
    Some(Message { id, fields })
}

/// Reads a flat list of names and values.
pub(crate) fn pairs(value: Value) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut flat = list(value)?.into_iter();
    let mut pairs = Vec::with_capacity(flat.len() / 2);
    while let Some(name) = flat.next() {
        pairs.push((bytes(name)?, bytes(flat.next()?)?));
    }
    Some(pairs)
}

/// The items of a list; none of nothing.
pub(crate) fn list(value: Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(items) => Some(items),
        Value::Nil => Some(Vec::new()),
        _ => None,
    }
}

pub(crate) fn bytes(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.into_bytes()),
        Value::Int(number) => Some(number.to_string().into_bytes()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn message(fields: &[(&str, &str)]) -> Message {
        let fields = fields.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
        Message { id: MessageId::default(), fields: Some(fields.collect()) }
    }

    #[test]
    fn entries_are_read_and_nothing_else() {
        let entry = Value::Array(vec![text("5-1"), Value::Array(vec![text("command"), text("{}")])]);
        let gone = Value::Array(vec![text("4-0"), Value::Nil]);
        let read = entries(Value::Array(vec![entry.clone(), gone])).unwrap();
        assert_eq!(read[0].id.to_string(), "5-1");
        assert_eq!(read[0].command().unwrap(), b"{}");
        assert_eq!(read[1].fields, None);
        assert_eq!(entries(Value::Nil), Some(Vec::new()));
        for wrong in [
            entry,
            text("5-1"),
            Value::Array(vec![Value::Array(vec![text("5-1")])]),
            Value::Array(vec![Value::Array(vec![text("5"), Value::Nil])]),
            Value::Array(vec![Value::Array(vec![text("5-1"), Value::Array(vec![text("command")])])]),
        ] {
            assert_eq!(entries(wrong.clone()), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_message_has_a_command_and_nothing_else() {
        for (fields, field) in [
            (&[][..], "command"),
            (&[("Command", "{}")], "Command"),
            (&[("command", "{}"), ("command", "{}")], "command"),
            (&[("command", "{}"), ("trace", "1")], "trace"),
        ] {
            let problem = message(fields).command().unwrap_err();
            assert_eq!((&*problem.code, &problem.facts["field"]), ("malformed", &field.into()), "{fields:?}");
        }
        let border = "x".repeat(COMMAND_BYTES_MAX);
        assert!(message(&[("command", &border)]).command().is_ok());
        let problem = message(&[("command", &format!("{border}x"))]).command().unwrap_err();
        assert_eq!(problem.code, "too_large");
    }
}
