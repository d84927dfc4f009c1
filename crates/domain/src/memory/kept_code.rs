//! Identifiers as the largest tables keep them: in 16 bytes where they have up to 15, which most have.

use std::{
    cmp::Ordering,
    hash::{Hash, Hasher},
};

use crate::Code;

/// A code in as little room as it needs. What is longer than 15 bytes has an allocation of one of three sizes.
///
/// The hash and the order are those of the code. Bytes that are not used are zero, which no code has.
#[derive(Clone)]
pub(super) enum KeptCode {
    Short([u8; 15]),
    Medium(Box<[u8; 24]>),
    /// As long as a UUID.
    Uuid(Box<[u8; 36]>),
    Long(Box<[u8; 64]>),
}

fn padded<const LEN: usize>(text: &str) -> [u8; LEN] {
    let mut bytes = [0; LEN];
    bytes[..text.len()].copy_from_slice(text.as_bytes());
    bytes
}

impl From<&Code> for KeptCode {
    fn from(code: &Code) -> Self {
        let text = code.as_str();
        match text.len() {
            ..=15 => Self::Short(padded(text)),
            16..=24 => Self::Medium(Box::new(padded(text))),
            25..=36 => Self::Uuid(Box::new(padded(text))),
            _ => Self::Long(Box::new(padded(text))),
        }
    }
}

impl KeptCode {
    fn padded(&self) -> &[u8] {
        match self {
            Self::Short(bytes) => bytes,
            Self::Medium(bytes) => &bytes[..],
            Self::Uuid(bytes) => &bytes[..],
            Self::Long(bytes) => &bytes[..],
        }
    }

    fn bytes(&self) -> &[u8] {
        let padded = self.padded();
        let len = padded.iter().position(|byte| *byte == 0).unwrap_or(padded.len());
        &padded[..len]
    }

    /// The text.
    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(self.bytes()).expect("a code is ASCII")
    }

    /// The code again.
    pub(super) fn code(&self) -> Code {
        Code::kept(self.as_str())
    }
}

impl PartialEq<Code> for KeptCode {
    fn eq(&self, code: &Code) -> bool {
        let (padded, text) = (self.padded(), code.as_str().as_bytes());
        padded.starts_with(text) && padded.get(text.len()).is_none_or(|byte| *byte == 0)
    }
}

impl PartialEq for KeptCode {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for KeptCode {}

impl PartialOrd for KeptCode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for KeptCode {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes().cmp(other.bytes())
    }
}

impl Hash for KeptCode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, RandomState};

    use super::*;

    #[test]
    fn a_kept_code_is_small_and_in_all_else_the_code() {
        assert_eq!((size_of::<KeptCode>(), size_of::<Option<KeptCode>>()), (16, 16));
        let lens = [1, 2, 14, 15, 16, 17, 23, 24, 25, 35, 36, 37, 63, 64];
        let texts = lens.iter().flat_map(|len| {
            let last = |end: &str| format!("{}{end}", "b".repeat(len - 1));
            [last("a"), last("b"), last("c"), last("-")]
        });
        let codes: Vec<Code> = texts.map(|text| Code::new("id", &text).expect("it is a code")).collect();
        let hasher = RandomState::new();
        for one in &codes {
            let kept = KeptCode::from(one);
            assert_eq!((kept.code(), kept.as_str()), (one.clone(), one.as_str()));
            assert_eq!(hasher.hash_one(&kept), hasher.hash_one(one));
            for other in &codes {
                assert_eq!(kept == *other, one == other, "{one} and {other}");
                let other_kept = KeptCode::from(other);
                assert_eq!(kept.cmp(&other_kept), one.cmp(other), "{one} and {other}");
                assert_eq!(kept == other_kept, one == other, "{one} and {other}");
            }
        }
    }
}
