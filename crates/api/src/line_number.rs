//! The number of a line.

use std::{borrow::Cow, fmt};

use jaego_domain::Refusal;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, Visitor},
};

use crate::value::Whole;

/// Digits of the largest number of a line.
const DIGITS_MAX: usize = 10;

/// The number of a line of a hold in a request, from 1: as a number, or as the text that an outcome or a shortage
/// names the line by, since lines of other documents have names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineNumber(Option<Whole>);

impl LineNumber {
    /// The number. Refuses with `invalid_value`, naming `field`; whether there is such a line is for the command to see.
    pub fn get(self, field: &'static str) -> Result<u32, Refusal> {
        self.0.ok_or_else(|| Refusal::invalid(field, "is not a line's number"))?.small(field)
    }
}

impl From<u32> for LineNumber {
    fn from(number: u32) -> Self {
        Self(Some(number.into()))
    }
}

impl From<&str> for LineNumber {
    fn from(text: &str) -> Self {
        let is_number = text.len() <= DIGITS_MAX
            && !text.starts_with('0')
            && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse::<u64>().ok().filter(|_| is_number);
        Self(number.map(Whole::from))
    }
}

impl<'de> Deserialize<'de> for LineNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrText;

        impl Visitor<'_> for NumberOrText {
            type Value = LineNumber;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number, or a text of one")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<LineNumber, E> {
                Ok(LineNumber(Some(number.into())))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<LineNumber, E> {
                Ok(LineNumber(Some(number.into())))
            }

            fn visit_f64<E: Error>(self, _: f64) -> Result<LineNumber, E> {
                Ok(LineNumber(None))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<LineNumber, E> {
                Ok(text.into())
            }
        }

        deserializer.deserialize_any(NumberOrText)
    }
}

impl Serialize for LineNumber {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(number) => number.serialize(serializer),
            None => Err(serde::ser::Error::custom("a line has a number")),
        }
    }
}

impl JsonSchema for LineNumber {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "LineNumber".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "oneOf": [
            { "type": "integer", "minimum": 1, "maximum": u32::MAX },
            { "type": "string", "pattern": "^[1-9][0-9]{0,9}$" },
        ] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_named_by_its_number_in_either_form() {
        let read = |json: &str| {
            let read: Result<LineNumber, _> = serde_json::from_str(json);
            read.ok().map(|number| number.get("line").ok())
        };
        for (json, number) in [
            ("1", Some(Some(1))),
            ("\"1\"", Some(Some(1))),
            ("\"50000\"", Some(Some(50_000))),
            ("4294967295", Some(Some(u32::MAX))),
            ("\"4294967295\"", Some(Some(u32::MAX))),
            ("4294967296", Some(None)),
            ("\"4294967296\"", Some(None)),
            ("\"99999999999\"", Some(None)),
            ("-1", Some(None)),
            ("1.0", Some(None)),
            ("\"\"", Some(None)),
            ("\"0\"", Some(None)),
            ("\"01\"", Some(None)),
            ("\"+1\"", Some(None)),
            ("\" 1\"", Some(None)),
            ("\"one\"", Some(None)),
            ("true", None),
            ("null", None),
            ("[1]", None),
        ] {
            assert_eq!(read(json), number, "{json}");
        }
    }
}
