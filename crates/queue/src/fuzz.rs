//! What Redis answers, as bytes that nobody wrote. For tests only.

use crate::message::{MessageId, entries};

/// Reads a list of entries as the intake does, and takes the command out of each: its text, or what is wrong with the
/// message. `None` if the bytes are no such list.
///
/// # Panics
/// If an id does not read back as it is written.
pub fn commands(answer: &[u8]) -> Option<Vec<Result<Vec<u8>, String>>> {
    let value = redis::parse_redis_value(answer).ok()?;
    let commands = entries(value)?.into_iter().map(|message| {
        assert_eq!(MessageId::parse(message.id.to_string().as_bytes()), Some(message.id));
        assert!(message.len() <= answer.len(), "a message has no more bytes than the answer");
        message.command().map(<[u8]>::to_vec).map_err(|problem| problem.detail.to_string())
    });
    Some(commands.collect())
}
