//! A fingerprint of what was asked, so that a repeat can be told from another request with the same name.

use smallvec::SmallVec;
use xxhash_rust::xxh3::xxh3_64;

/// Gathers fields in a fixed order and hashes them with XXH3-64. The bytes are a promise: fingerprints are
/// stored, and a later version must come to the same ones.
#[derive(Default)]
pub struct Digest {
    bytes: SmallVec<[u8; 256]>,
}

impl Digest {
    /// Adds a whole number.
    pub fn number(&mut self, number: u64) -> &mut Self {
        self.bytes.extend_from_slice(&number.to_le_bytes());
        self
    }

    /// Adds a text with its length, so that neighbours cannot run into each other.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.number(text.len() as u64);
        self.bytes.extend_from_slice(text.as_bytes());
        self
    }

    /// Adds a number that may be missing.
    pub fn maybe_number(&mut self, number: Option<u64>) -> &mut Self {
        self.bytes.push(u8::from(number.is_some()));
        self.number(number.unwrap_or_default())
    }

    /// Adds a text that may be missing.
    pub fn maybe_text(&mut self, text: Option<&str>) -> &mut Self {
        self.bytes.push(u8::from(text.is_some()));
        self.text(text.unwrap_or_default())
    }

    /// Adds a yes or no.
    pub fn flag(&mut self, flag: bool) -> &mut Self {
        self.byte(u8::from(flag))
    }

    /// Adds one of a few, by its number.
    pub fn byte(&mut self, number: u8) -> &mut Self {
        self.bytes.push(number);
        self
    }

    /// The fingerprint.
    pub fn finish(&self) -> u64 {
        xxh3_64(&self.bytes)
    }
}
