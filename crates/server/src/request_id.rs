//! A name for each request, so that a caller's log and ours can be laid side by side.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderName, HeaderValue};

use crate::limits::REQUEST_ID_BYTES_MAX;

/// The header that carries it, both ways.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// A request's name: the caller's if it sent a valid one, else one of ours. Handlers find it in the extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// Takes the caller's value if it is 1–128 letters, digits and `-_.:`.
    pub fn parse(value: &HeaderValue) -> Option<RequestId> {
        let bytes = value.as_bytes();
        let sound = (1..=REQUEST_ID_BYTES_MAX).contains(&bytes.len())
            && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(b));
        sound.then(|| RequestId(value.clone()))
    }

    /// The value as it stands in the header.
    pub fn header(&self) -> &HeaderValue {
        &self.0
    }

    /// The value as text.
    pub fn as_str(&self) -> &str {
        self.0.to_str().expect("a request id is made of ASCII letters and digits")
    }
}

/// Makes request ids: a random start for the process, then a count. Unique, not secret.
#[derive(Debug)]
pub(crate) struct RequestIds {
    prefix: u64,
    next: AtomicU64,
}

impl RequestIds {
    pub(crate) fn new() -> RequestIds {
        // The standard library's hash keys are random enough for a name that is no secret.
        let prefix = RandomState::new().build_hasher().finish();
        RequestIds { prefix, next: AtomicU64::new(0) }
    }

    pub(crate) fn make(&self) -> RequestId {
        let count = self.next.fetch_add(1, Ordering::Relaxed);
        let mut text = [0_u8; 25];
        write_hex(&mut text[..12], self.prefix);
        text[12] = b'-';
        write_hex(&mut text[13..], count);
        RequestId(HeaderValue::from_bytes(&text).expect("hexadecimal digits are valid in a header"))
    }
}

/// The low digits of a number, as many as there is room for.
fn write_hex(to: &mut [u8], mut number: u64) {
    for place in to.iter_mut().rev() {
        *place = b"0123456789abcdef"[(number & 15) as usize];
        number >>= 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_callers_id_is_taken_when_it_is_plain() {
        let long = "x".repeat(128);
        let too_long = "x".repeat(129);
        for (text, taken) in [
            ("order-7:try.2_a", true),
            (long.as_str(), true),
            (too_long.as_str(), false),
            ("", false),
            ("two words", false),
            ("a\"b", false),
        ] {
            let value = HeaderValue::from_str(text).unwrap();
            assert_eq!(RequestId::parse(&value).is_some(), taken, "{text}");
        }
    }

    #[test]
    fn made_ids_differ_and_are_valid() {
        let ids = RequestIds::new();
        let (first, second) = (ids.make(), ids.make());
        assert_ne!(first, second);
        assert_eq!(RequestId::parse(first.header()), Some(first));
    }
}
