//! Identifiers and names: text that was checked once.

use std::fmt;

use compact_str::CompactString;

use crate::{
    limits::{CODE_BYTES_MAX, NAME_BYTES_MAX},
    refusal::Refusal,
};

/// An identifier: 1 to 64 bytes of ASCII letters, digits and `-_.:`.
///
/// Up to 24 bytes are kept in place, without an allocation. The order is that of the bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(CompactString);

impl Code {
    /// Checks `text`. Refuses with `invalid_value`, naming `field`.
    pub fn new(field: &'static str, text: &str) -> Result<Self, Refusal> {
        if text.is_empty() {
            return Err(Refusal::invalid(field, "is empty"));
        }
        if text.len() > CODE_BYTES_MAX {
            return Err(Refusal::invalid(field, "is longer than 64 bytes"));
        }
        if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':'))
        {
            let reason = format!("is {text:?}, which has a character other than letters, digits and -_.:");
            return Err(Refusal::invalid(field, reason));
        }
        Ok(Self(CompactString::new(text)))
    }

    /// A number as an identifier: its decimal digits.
    pub(crate) fn number(number: usize) -> Self {
        let mut digits = [b'0'; 20];
        let (mut start, mut rest) = (digits.len(), number);
        while rest > 0 || start == digits.len() {
            start -= 1;
            digits[start] = b'0' + u8::try_from(rest % 10).expect("a digit fits a byte");
            rest /= 10;
        }
        Self(CompactString::new(std::str::from_utf8(&digits[start..]).expect("digits are ASCII")))
    }

    /// A code that was checked before.
    pub(crate) fn kept(text: &str) -> Self {
        Self(CompactString::new(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name or a reason for people to read: 0 to 256 bytes of any script, without control characters.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(CompactString);

impl Name {
    /// Checks `text`. Refuses with `invalid_value`, naming `field`.
    pub fn new(field: &'static str, text: &str) -> Result<Self, Refusal> {
        if text.len() > NAME_BYTES_MAX {
            return Err(Refusal::invalid(field, "is longer than 256 bytes"));
        }
        if text.chars().any(char::is_control) {
            return Err(Refusal::invalid(field, "has a control character"));
        }
        Ok(Self(CompactString::new(text)))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_1_to_64_bytes_of_its_alphabet() {
        for good in ["a", "A-1_b.c:9", &"x".repeat(64)] {
            assert_eq!(Code::new("id", good).map(|code| code.to_string()).as_deref(), Ok(good));
        }
        for bad in ["", " ", "a b", "a/b", "재고", "a\n", "a\0", &"x".repeat(65)] {
            assert!(matches!(Code::new("id", bad), Err(Refusal::InvalidValue { .. })), "{bad:?}");
        }
    }

    #[test]
    fn a_value_with_a_wrong_character_is_told_on_one_line() {
        let told = |text| Code::new("sku", text).unwrap_err().to_string();
        let what = "which has a character other than letters, digits and -_.:";
        assert_eq!(told("mug 4"), format!("sku is \"mug 4\", {what}"));
        assert_eq!(
            told("\n\"\u{1b}[2J\u{202e}컵"),
            format!(r#"sku is "\n\"\u{{1b}}[2J\u{{202e}}컵", {what}"#)
        );
        assert_eq!(told(&"가".repeat(22)), "sku is longer than 64 bytes");
    }

    #[test]
    fn a_number_is_its_digits() {
        for number in [0, 1, 9, 10, 4_294_967_296, usize::MAX] {
            assert_eq!(Code::number(number).as_str(), number.to_string());
        }
    }

    #[test]
    fn a_name_may_use_any_script_but_no_control_character() {
        assert!(Name::new("name", "인천 센터 №1").is_ok());
        for bad in ["a\u{7}", "a\u{85}", &"가".repeat(86)] {
            assert!(Name::new("name", bad).is_err(), "{bad:?}");
        }
    }
}
