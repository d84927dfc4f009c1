//! The request key of a message that names none.

use jaego_domain::Code;
use sha2::{Digest as _, Sha256};

use crate::message::MessageId;

/// A key that is the same whenever this message of this stream is delivered, and that of no other message.
///
/// It is a UUID of version 7 (RFC 9562): its time is that of the message's id, its other 74 bits are made from the
/// stream's name and the id. Stores keep the keys of some days, and refuse a key of this form that is older than
/// those (`request_key_expired`): nobody can say any more whether such a message took effect, so that it must not be
/// decided as if it were new.
pub(crate) fn of_message(stream: &str, id: MessageId) -> Code {
    let mut digest = Sha256::new();
    digest.update(u64::try_from(stream.len()).expect("a length fits 64 bits").to_be_bytes());
    digest.update(stream.as_bytes());
    digest.update(id.milliseconds.to_be_bytes());
    digest.update(id.sequence.to_be_bytes());
    let digest: [u8; 32] = digest.finalize().into();
    let mut uuid = [0; 16];
    // A time past the 48 bits is one of the year 10,889 and later.
    uuid[..6].copy_from_slice(&id.milliseconds.min((1 << 48) - 1).to_be_bytes()[2..]);
    uuid[6..].copy_from_slice(&digest[..10]);
    uuid[6] = 0x70 | uuid[6] & 0x0f;
    uuid[8] = 0x80 | uuid[8] & 0x3f;
    let mut text = String::with_capacity(36);
    for (index, byte) in uuid.iter().enumerate() {
        if [4, 6, 8, 10].contains(&index) {
            text.push('-');
        }
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
        }
    }
    Code::new("key", &text).expect("a UUID is a code")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn key(stream: &str, id: &str) -> String {
        of_message(stream, MessageId::parse(id.as_bytes()).unwrap()).to_string()
    }

    #[test]
    fn a_key_tells_the_time_of_its_message_and_is_always_the_same() {
        let first = key("jaego:commands", "1763805121000-0");
        assert_eq!(first, key("jaego:commands", "1763805121000-0"));
        assert!(first.starts_with("019aaafa-49e8-7"), "{first}");
        assert!(matches!(first.as_bytes()[19], b'8'..=b'9' | b'a'..=b'b'), "{first}");
        assert!(
            key("jaego:commands", "18446744073709551615-18446744073709551615").starts_with("ffffffff-ffff-7")
        );
    }

    #[test]
    fn no_two_messages_have_the_same_key() {
        let ids = ["1-0", "1-1", "0-1", "1763805121000-0", "1763805121000-1", "1763805121001-0"];
        let streams = ["a", "b", "aa", "", "a-long-name-".repeat(20).leak()];
        let keys: BTreeSet<_> =
            streams.iter().flat_map(|stream| ids.iter().map(|id| key(stream, id))).collect();
        assert_eq!(keys.len(), ids.len() * streams.len());
    }
}
