//! Dead letters: messages that nobody can decide, kept for people to look at.

use jaego_api::Problem;

use crate::{
    limits::{DEAD_FIELDS_MAX, DEAD_VALUE_BYTES_MAX},
    message::Message,
};

/// What the names of a message's own fields get in front of them.
const ORIGINAL: &str = "original:";

/// Whether a problem says that the message cannot be decided, now or later.
pub(crate) fn is_dead(problem: &Problem) -> bool {
    // Whether a message with such an old key took effect is for people to find out.
    matches!(
        &*problem.code,
        "malformed" | "too_large" | "history_unreadable" | "request_key_expired" | "delivered_too_often"
    )
}

/// The fields of a dead letter, names and values in turn: the message's id, the problem, and the message's own fields as
/// they came, the longest of them cut; none of a message that was not read.
pub(crate) fn letter(message: &Message, problem: &Problem) -> Vec<Vec<u8>> {
    let fields = message.fields.as_deref().unwrap_or_default();
    let is_cut = message.fields.is_none()
        || fields.len() > DEAD_FIELDS_MAX
        || fields.iter().any(|(name, value)| name.len().max(value.len()) > DEAD_VALUE_BYTES_MAX);
    let mut letter = vec![
        b"message".to_vec(),
        message.id.to_string().into_bytes(),
        b"problem".to_vec(),
        problem.to_json(),
    ];
    if is_cut {
        letter.extend([b"cut".to_vec(), b"true".to_vec()]);
    }
    for (name, value) in fields.iter().take(DEAD_FIELDS_MAX) {
        letter.push([ORIGINAL.as_bytes(), start(name)].concat());
        letter.push(start(value).to_vec());
    }
    letter
}

fn start(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(DEAD_VALUE_BYTES_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::MessageId;

    fn letter_of(fields: Vec<(Vec<u8>, Vec<u8>)>) -> Vec<Vec<u8>> {
        let message = Message { id: MessageId { milliseconds: 7, sequence: 1 }, fields: Some(fields) };
        letter(&message, &Problem::new("malformed", "no command"))
    }

    #[test]
    fn a_letter_keeps_what_came_up_to_its_limits() {
        let letter = letter_of(vec![(b"command".to_vec(), vec![0xff, 0])]);
        assert_eq!(letter[..3], [b"message".to_vec(), b"7-1".to_vec(), b"problem".to_vec()]);
        assert_eq!(letter[4..], [b"original:command".to_vec(), vec![0xff, 0]]);

        let border = vec![b'x'; DEAD_VALUE_BYTES_MAX];
        assert_eq!(letter_of(vec![(b"command".to_vec(), border.clone())])[5], border);
        let longer = [&border[..], b"x"].concat();
        let letter = letter_of(vec![(b"command".to_vec(), longer)]);
        assert_eq!(letter[4..6], [b"cut".to_vec(), b"true".to_vec()]);
        assert_eq!(letter[7], border);

        let many = vec![(b"a".to_vec(), b"b".to_vec()); DEAD_FIELDS_MAX + 1];
        let letter = letter_of(many);
        assert_eq!(letter[4], b"cut");
        assert_eq!(letter.len(), 6 + 2 * DEAD_FIELDS_MAX);
    }
}
