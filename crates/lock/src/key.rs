use std::borrow::{Borrow, Cow};
use std::hash::{Hash, Hasher};
use std::{cmp, fmt, sync::Arc};

use crate::limits::KEY_BYTES_MAX;

/// Between the parts of an [unordered](LockKey::unordered) key.
const SEPARATOR: char = '|';
const ESCAPE: char = '\\';
/// In a pattern, what differs from key to key.
const STAR: char = '*';
/// Letters and digits in one piece that are an id if there are so many, at least one digit among them: a ULID has 26, a
/// MongoDB `ObjectId` 24, 64 bits in hexadecimal 16.
const ID_LEN_MIN: usize = 16;
/// The groups of hexadecimal digits of a UUID, as RFC 9562 writes it.
const UUID_GROUPS: [usize; 5] = [8, 4, 4, 4, 12];
const UUID_LEN: usize = 36;

/// The name of a lock: 1 to [`KEY_BYTES_MAX`] bytes of UTF-8 without control characters.
///
/// Name what is guarded, the kind first: `product:17`, `transfer:T-2026-001`.
#[derive(Clone)]
pub struct LockKey {
    name: Arc<str>,
    /// Under which it is counted, if it was said. It makes no difference to which lock is meant.
    pattern: Option<Arc<str>>,
}

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
    /// The [pattern](LockKey::with_pattern) is empty, too long, or has a control character.
    #[error(
        "the pattern of a lock's key has 1 to {KEY_BYTES_MAX} bytes and no control characters, unlike this one of {len} bytes"
    )]
    Pattern {
        /// Its length in bytes.
        len: usize,
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
        Ok(Self { name: key.into(), pattern: None })
    }

    /// The same lock, counted under a pattern of your own instead of the one that is made of its name: see
    /// [`Stats::patterns`](crate::Stats::patterns). 1 to [`KEY_BYTES_MAX`] bytes without control characters, and few
    /// different ones: [`PATTERNS_MAX`](crate::limits::PATTERNS_MAX).
    ///
    /// ```
    /// # use jaego_lock::LockKey;
    /// let key = LockKey::new("order:blue-whale")?.with_pattern("order:*")?;
    /// assert_eq!(key, LockKey::new("order:blue-whale")?);
    /// # Ok::<(), jaego_lock::KeyError>(())
    /// ```
    pub fn with_pattern(mut self, pattern: impl AsRef<str>) -> Result<Self, KeyError> {
        // What cannot be a name cannot be a pattern either.
        let pattern = pattern.as_ref();
        let checked = Self::new(pattern).map_err(|_| KeyError::Pattern { len: pattern.len() })?;
        self.pattern = Some(checked.name);
        Ok(self)
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
        &self.name
    }

    /// Under which its contention is counted: what was said, or else the name with a star for every id and every run of
    /// digits: `product:*`.
    pub(crate) fn pattern(&self) -> Cow<'_, str> {
        self.pattern.as_deref().map_or_else(|| Cow::Owned(pattern(&self.name)), Cow::Borrowed)
    }
}

fn pattern(name: &str) -> String {
    let mut pattern = String::with_capacity(name.len());
    let star = |pattern: &mut String| {
        if !pattern.ends_with(STAR) {
            pattern.push(STAR);
        }
    };
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let word = word(rest);
        if word.is_empty() {
            pattern.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        if let Some(after) = after_uuid(rest) {
            star(&mut pattern);
            rest = after;
            continue;
        }
        let is_id = word.len() >= ID_LEN_MIN && word.contains(|char: char| char.is_ascii_digit());
        for char in word.chars() {
            if is_id || char.is_ascii_digit() {
                star(&mut pattern);
            } else {
                pattern.push(char);
            }
        }
        rest = &rest[word.len()..];
    }
    pattern
}

/// The letters and digits that a text begins with.
fn word(text: &str) -> &str {
    let end = text.find(|char: char| !char.is_ascii_alphanumeric());
    &text[..end.unwrap_or(text.len())]
}

/// What comes after the UUID that a text begins with.
fn after_uuid(text: &str) -> Option<&str> {
    let (uuid, after) = text.split_at_checked(UUID_LEN)?;
    let hexadecimal = uuid.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
    let grouped = uuid.split('-').map(str::len).eq(UUID_GROUPS);
    (hexadecimal && grouped && word(after).is_empty()).then_some(after)
}

impl PartialEq for LockKey {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for LockKey {}

impl PartialOrd for LockKey {
    fn partial_cmp(&self, other: &Self) -> Option<cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for LockKey {
    fn cmp(&self, other: &Self) -> cmp::Ordering {
        self.name.cmp(&other.name)
    }
}

impl Hash for LockKey {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.name.hash(hasher);
    }
}

impl fmt::Display for LockKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.name)
    }
}

impl fmt::Debug for LockKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.name, out)
    }
}

impl Borrow<str> for LockKey {
    fn borrow(&self) -> &str {
        &self.name
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
    fn patterns_forget_numbers_and_ids() {
        for (key, pattern) in [
            ("product:17", "product:*"),
            ("site:3/bin:0042", "site:*/bin:*"),
            ("nightly", "nightly"),
            ("상품:17", "상품:*"),
            ("order:9f1c2d3e-ab12-4bcd-8def-0123456789ab", "order:*"),
            ("order:abcdefab-abcd-ABCD-abcd-abcdefabcdef", "order:*"),
            ("order:9f1c2d3e-ab12-4bcd-8def-0123456789ab/line:4", "order:*/line:*"),
            // No UUIDs: too long, of other letters, in other groups.
            ("order:abcdefab-abcd-abcd-abcd-abcdefabcdefa", "order:abcdefab-abcd-abcd-abcd-abcdefabcdefa"),
            ("order:abcdefab-abcd-abcd-abcd-abcdefabcdeg", "order:abcdefab-abcd-abcd-abcd-abcdefabcdeg"),
            ("order:abcdefabc-abc-abcd-abcd-abcdefabcdef", "order:abcdefabc-abc-abcd-abcd-abcdefabcdef"),
            ("cart_01ARZ3NDEKTSV4RRFFQ69G5FAV", "cart_*"),
            ("order:9f1c2d3eab124bcd8def0123456789ab", "order:*"),
            ("user:507f1f77bcf86cd799439011", "user:*"),
            ("trace:abcdefabcdefab01", "trace:*"),
            // One short of an id, and letters alone.
            ("trace:abcdefabcdefa01", "trace:abcdefabcdefa*"),
            ("internationalisation", "internationalisation"),
        ] {
            assert_eq!(LockKey::new(key).unwrap().pattern(), pattern, "{key}");
        }
    }

    #[test]
    fn a_pattern_that_is_named_is_checked_and_makes_no_other_lock() {
        let plain = LockKey::new("order:blue-whale").unwrap();
        let named = plain.clone().with_pattern("order:*").unwrap();
        assert_eq!((named.pattern().as_ref(), plain.pattern().as_ref()), ("order:*", "order:blue-whale"));
        assert_eq!(named, plain);
        assert_eq!(std::collections::HashSet::from([named, plain.clone()]).len(), 1);
        for wrong in ["", "order:\n", &"a".repeat(KEY_BYTES_MAX + 1)] {
            let len = wrong.len();
            let refused = plain.clone().with_pattern(wrong).unwrap_err();
            assert_eq!(refused, KeyError::Pattern { len });
        }
        assert!(plain.with_pattern("a".repeat(KEY_BYTES_MAX)).is_ok());
    }
}
