use std::{borrow::Borrow, fmt, sync::Arc};

use crate::limits::KEY_BYTES_MAX;

/// Between the parts of an [unordered](LockKey::unordered) key.
const SEPARATOR: char = '|';
const ESCAPE: char = '\\';

/// The name of a lock: 1 to [`KEY_BYTES_MAX`] bytes of UTF-8 without control characters.
///
/// Name what is guarded, the kind first: `product:17`, `transfer:T-2026-001`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LockKey(Arc<str>);

/// Why a text cannot be a [`LockKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// There is nothing in it.
    #[error("a lock's key cannot be empty")]
    Empty,
    /// It is longer than [`KEY_BYTES_MAX`].
    #[error("a lock's key has at most {KEY_BYTES_MAX} bytes, this one has {len}")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// It has a control character, such as a line feed.
    #[error("a lock's key has no control characters, this one has one at byte {at}")]
    ControlCharacter {
        /// Where.
        at: usize,
    },
}

impl LockKey {
    /// Checks a name.
    pub fn new(key: impl AsRef<str>) -> Result<Self, KeyError> {
        let key = key.as_ref();
        if key.is_empty() {
            return Err(KeyError::Empty);
        }
        if key.len() > KEY_BYTES_MAX {
            return Err(KeyError::TooLong { len: key.len() });
        }
        if let Some(at) = key.find(char::is_control) {
            return Err(KeyError::ControlCharacter { at });
        }
        Ok(Self(key.into()))
    }

    /// One key for a set of things, in whatever order they are named: the trade proposals A→B and B→A
    /// are guarded by the same lock.
    ///
    /// ```
    /// # use jaego_lock::LockKey;
    /// assert_eq!(LockKey::unordered(["card:7", "card:3"])?, LockKey::unordered(["card:3", "card:7"])?);
    /// # Ok::<(), jaego_lock::KeyError>(())
    /// ```
    pub fn unordered<const N: usize>(parts: [impl AsRef<str>; N]) -> Result<Self, KeyError> {
        let mut parts: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
        parts.sort_unstable();
        let mut key = String::new();
        for (index, part) in parts.into_iter().enumerate() {
            if index > 0 {
                key.push(SEPARATOR);
            }
            // Escaped, so that ["a|b", "c"] and ["a", "b|c"] are two keys.
            for char in part.chars() {
                if char == SEPARATOR || char == ESCAPE {
                    key.push(ESCAPE);
                }
                key.push(char);
            }
        }
        Self::new(key)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name with every run of digits as `*`, under which contention is counted: `product:*`.
    pub(crate) fn pattern(&self) -> String {
        let mut pattern = String::with_capacity(self.0.len());
        for char in self.0.chars() {
            if !char.is_ascii_digit() {
                pattern.push(char);
            } else if !pattern.ends_with('*') {
                pattern.push('*');
            }
        }
        pattern
    }
}

impl fmt::Display for LockKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl fmt::Debug for LockKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, out)
    }
}

impl Borrow<str> for LockKey {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// What can name a lock: a [`LockKey`], or a text that becomes one. A wrong text is told by the call that
/// takes the lock.
pub trait IntoKey {
    /// The key, or what is wrong with the text.
    fn into_key(self) -> Result<LockKey, KeyError>;
}

impl IntoKey for LockKey {
    fn into_key(self) -> Result<LockKey, KeyError> {
        Ok(self)
    }
}

impl IntoKey for &LockKey {
    fn into_key(self) -> Result<LockKey, KeyError> {
        Ok(self.clone())
    }
}

impl IntoKey for Result<LockKey, KeyError> {
    fn into_key(self) -> Self {
        self
    }
}

impl IntoKey for &str {
    fn into_key(self) -> Result<LockKey, KeyError> {
        LockKey::new(self)
    }
}

impl IntoKey for String {
    fn into_key(self) -> Result<LockKey, KeyError> {
        LockKey::new(self)
    }
}

impl IntoKey for &String {
    fn into_key(self) -> Result<LockKey, KeyError> {
        LockKey::new(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_at_the_border() {
        assert_eq!(LockKey::new(""), Err(KeyError::Empty));
        assert!(LockKey::new("a".repeat(KEY_BYTES_MAX)).is_ok());
        let len = KEY_BYTES_MAX + 1;
        assert_eq!(LockKey::new("a".repeat(len)), Err(KeyError::TooLong { len }));
        assert_eq!(LockKey::new("ab\n"), Err(KeyError::ControlCharacter { at: 2 }));
        assert_eq!(LockKey::new("상품:17").unwrap().as_str(), "상품:17");
    }

    #[test]
    fn parts_of_an_unordered_key_cannot_be_mistaken() {
        let key = |parts| LockKey::unordered(parts).unwrap();
        assert_eq!(key(["b", "a"]).as_str(), "a|b");
        assert_ne!(key(["a|b", "c"]), key(["a", "b|c"]));
        assert_ne!(key(["a\\", "b"]), key(["a", "\\b"]));
        assert_eq!(LockKey::unordered(["c", "a", "b"]), LockKey::unordered(["b", "c", "a"]));
        assert_eq!(LockKey::unordered([""; 0]), Err(KeyError::Empty));
    }

    #[test]
    fn patterns_forget_the_numbers() {
        let pattern = |key| LockKey::new(key).unwrap().pattern();
        assert_eq!(pattern("product:17"), "product:*");
        assert_eq!(pattern("site:3/bin:0042"), "site:*/bin:*");
        assert_eq!(pattern("nightly"), "nightly");
    }
}
