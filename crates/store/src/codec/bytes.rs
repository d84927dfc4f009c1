//! Numbers and texts as bytes. Nothing here knows an event.
//!
//! Whatever is read back was written the one way in which it can be: equal values have equal bytes.

use super::error::{Error, Problem, Result};

/// Bytes of the longest varint: ten groups of seven bits hold a `u64`.
const VARINT_LEN_MAX: usize = 10;

/// Where bytes are put.
#[derive(Debug, Default)]
pub(super) struct Writer {
    pub(super) bytes: Vec<u8>,
}

impl Writer {
    pub(super) fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// An unsigned LEB128: seven bits a byte, low ones first, the top bit set while more follow.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "the low bits are what is wanted")]
    pub(super) fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }

    /// A signed number, folded so that small ones of either sign stay short: 0, -1, 1, -2 …
    #[inline]
    pub(super) fn zigzag(&mut self, number: i64) {
        self.varint(((number << 1) ^ (number >> 63)).cast_unsigned());
    }

    pub(super) fn text(&mut self, text: &str) {
        self.varint(text.len() as u64);
        self.raw(text.as_bytes());
    }

    /// Puts what `body` puts, and its length in front of it.
    #[inline]
    pub(super) fn sized(&mut self, body: impl FnOnce(&mut Self)) {
        // Nearly every body is shorter than 128 bytes: one byte for its length. The rest move over.
        let start = self.bytes.len();
        self.bytes.push(0);
        body(self);
        let len = self.bytes.len() - start - 1;
        match u8::try_from(len) {
            Ok(len @ ..0x80) => self.bytes[start] = len,
            _ => {
                let mut header = Self::default();
                header.varint(len as u64);
                self.bytes.splice(start..=start, header.bytes);
            }
        }
    }
}

/// Where bytes are taken from. A copy of it looks ahead.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The byte that is read next, counted from the start of the payload.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// How many bytes are left.
    pub(super) fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// The next byte, which stays the next.
    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    pub(super) fn byte(&mut self, what: &'static str) -> Result<u8> {
        let byte = *self.bytes.get(self.at).ok_or_else(|| Error::new(what, self.at, Problem::Truncated))?;
        self.at += 1;
        Ok(byte)
    }

    #[inline]
    pub(super) fn raw(&mut self, what: &'static str, len: usize) -> Result<&'a [u8]> {
        let Some(bytes) = self.bytes[self.at..].get(..len) else {
            return Err(Error::new(what, self.at, Problem::Truncated));
        };
        self.at += len;
        Ok(bytes)
    }

    #[inline]
    pub(super) fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N]> {
        let Some(array) = self.bytes[self.at..].first_chunk() else {
            return Err(Error::new(what, self.at, Problem::Truncated));
        };
        self.at += N;
        Ok(*array)
    }

    #[inline]
    pub(super) fn varint(&mut self, what: &'static str) -> Result<u64> {
        match self.bytes.get(self.at) {
            Some(byte @ ..0x80) => {
                self.at += 1;
                Ok(u64::from(*byte))
            }
            _ => self.long_varint(what),
        }
    }

    fn long_varint(&mut self, what: &'static str) -> Result<u64> {
        let mut number = 0;
        for (group, byte) in self.bytes[self.at..].iter().copied().enumerate().take(VARINT_LEN_MAX) {
            // The tenth group has room for one bit, and nothing follows it.
            if group + 1 == VARINT_LEN_MAX && byte > 1 {
                return Err(Error::new(what, self.at, Problem::TooLarge));
            }
            number |= u64::from(byte & 0x7f) << (7 * group);
            if byte < 0x80 {
                if byte == 0 && group > 0 {
                    return Err(Error::new(what, self.at, Problem::NotShortest));
                }
                self.at += group + 1;
                return Ok(number);
            }
        }
        Err(Error::new(what, self.at, Problem::Truncated))
    }

    #[inline]
    pub(super) fn varint_u32(&mut self, what: &'static str) -> Result<u32> {
        let at = self.at;
        u32::try_from(self.varint(what)?).map_err(|_| Error::new(what, at, Problem::TooLarge))
    }

    #[inline]
    pub(super) fn zigzag(&mut self, what: &'static str) -> Result<i64> {
        let folded = self.varint(what)?;
        Ok((folded >> 1).cast_signed() ^ -(folded & 1).cast_signed())
    }

    /// A number of things of which each takes `len_min` bytes at least, so that no number makes us reserve
    /// more than the payload could fill.
    #[inline]
    pub(super) fn count(&mut self, what: &'static str, len_min: usize) -> Result<usize> {
        let at = self.at;
        let (count, room) = (self.varint(what)?, self.remaining());
        usize::try_from(count)
            .ok()
            .filter(|count| *count <= room / len_min)
            .ok_or_else(|| Error::new(what, at, Problem::Count { count, room }))
    }

    pub(super) fn text(&mut self, what: &'static str) -> Result<&'a str> {
        let at = self.at;
        let len = self.count(what, 1)?;
        let bytes = self.raw(what, len)?;
        std::str::from_utf8(bytes).map_err(|_| Error::new(what, at, Problem::NotText))
    }

    /// What stands behind its length. The reader itself goes on after it, whatever of it is read.
    #[inline]
    pub(super) fn sized(&mut self, what: &'static str) -> Result<Reader<'a>> {
        let len = self.count(what, 1)?;
        let body = Reader { bytes: &self.bytes[..self.at + len], at: self.at };
        self.at += len;
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(bytes: &[u8]) -> std::result::Result<u64, Problem> {
        Reader::new(bytes).varint("number").map_err(|error| error.problem().clone())
    }

    #[test]
    fn a_number_has_one_way_to_be_written() {
        for value in [0, 1, 0x7f, 0x80, 0x3fff, 0x4000, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut w = Writer::default();
            w.varint(value);
            assert_eq!(number(&w.bytes), Ok(value));
            for len in 0..w.bytes.len() {
                assert_eq!(number(&w.bytes[..len]), Err(Problem::Truncated), "{value} cut to {len}");
            }
            let last = w.bytes.len() - 1;
            w.bytes[last] |= 0x80;
            w.bytes.push(0);
            let expected = if last + 1 == VARINT_LEN_MAX { Problem::TooLarge } else { Problem::NotShortest };
            assert_eq!(number(&w.bytes), Err(expected), "{value} with a zero more");
        }
        assert_eq!(number(&[0xff; 10]), Err(Problem::TooLarge));
        assert_eq!(
            number(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]),
            Err(Problem::TooLarge)
        );
    }

    #[test]
    fn signed_numbers_of_either_sign_are_short() {
        for (value, len) in [(0, 1), (-1, 1), (63, 1), (-64, 1), (64, 2), (i64::MAX, 10), (i64::MIN, 10)] {
            let mut w = Writer::default();
            w.zigzag(value);
            assert_eq!((Reader::new(&w.bytes).zigzag("number").unwrap(), w.bytes.len()), (value, len));
        }
    }

    #[test]
    fn a_body_of_any_length_stands_behind_it() {
        for len in [0, 1, 127, 128, 20_000] {
            let mut w = Writer::default();
            w.sized(|w| w.raw(&vec![7; len]));
            w.byte(9);
            let mut r = Reader::new(&w.bytes);
            assert_eq!(r.sized("body").unwrap().remaining(), len);
            assert_eq!((r.byte("next").unwrap(), r.remaining()), (9, 0));
        }
    }
}
