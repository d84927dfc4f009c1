//! Instants on the wire: RFC 3339 in UTC, to the millisecond.

use std::{borrow::Cow, fmt};

use jaego_domain::{Refusal, Timestamp};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, Visitor},
};

const DAY_MS: u64 = 86_400_000;
/// The last instant that every calendar library agrees to write: 9999-12-30T21:59:59.999Z.
const LAST_MS: u64 = 253_402_207_199_999;

/// An instant: milliseconds since 1970-01-01T00:00:00Z, written `2026-03-01T14:59:59.999Z`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Time {
    /// Reads an instant with any offset. Refuses with `invalid_value`, naming `field`.
    pub fn parse(field: &'static str, text: &str) -> Result<Self, Refusal> {
        let instant: Option<jiff::Timestamp> = text.parse().ok();
        let ms = instant.and_then(|instant| u64::try_from(instant.as_millisecond()).ok());
        ms.filter(|ms| *ms <= LAST_MS).map(Self).ok_or_else(|| {
            Refusal::invalid(field, "is not an instant since 1970 written like 2026-03-01T14:59:59.999Z")
        })
    }

    /// The 24 bytes of its text. Answers carry one for each command, so this is done without a calendar.
    pub(crate) fn text(self) -> [u8; 24] {
        let ms = self.0.min(LAST_MS);
        let (year, month, day) = civil(ms / DAY_MS);
        let rest = ms % DAY_MS;
        let mut text = *b"0000-00-00T00:00:00.000Z";
        let mut put = |at: usize, digits: usize, mut number: u64| {
            for place in (at..at + digits).rev() {
                text[place] = b'0' + u8::try_from(number % 10).expect("a digit fits a byte");
                number /= 10;
            }
        };
        put(0, 4, year);
        put(5, 2, month);
        put(8, 2, day);
        put(11, 2, rest / 3_600_000);
        put(14, 2, rest / 60_000 % 60);
        put(17, 2, rest / 1_000 % 60);
        put(20, 3, rest % 1_000);
        text
    }
}

/// Year, month and day of a day counted from 1970-01-01, after Howard Hinnant's "chrono-Compatible Low-Level
/// Date Algorithms" (`civil_from_days`), for days that are not before 1970.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months are counted from March, so that the leap day comes last.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

impl From<Timestamp> for Time {
    fn from(timestamp: Timestamp) -> Self {
        Self(timestamp.0)
    }
}

impl From<Time> for Timestamp {
    fn from(time: Time) -> Self {
        Self(time.0)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.text()).expect("digits and signs are ASCII"))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(std::str::from_utf8(&self.text()).expect("digits and signs are ASCII"))
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TimeVisitor;

        impl Visitor<'_> for TimeVisitor {
            type Value = Time;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an instant as RFC 3339 has it")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Time, E> {
                Time::parse("the instant", text).map_err(E::custom)
            }
        }

        deserializer.deserialize_str(TimeVisitor)
    }
}

impl JsonSchema for Time {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_written_as_the_calendar_has_them() {
        // Every 7 hours, 13 minutes and 17.011 seconds over 400 years, and the borders.
        let steps = (0..490_000_u64).map(|step| step * 25_997_011 + step % 1_000);
        for ms in steps.chain([0, 1, 951_782_399_999, 951_782_400_000, LAST_MS]) {
            let expected = Timestamp(ms).to_string();
            assert_eq!(Time(ms).to_string(), expected, "{ms}");
        }
    }

    #[test]
    fn instants_are_read_back() {
        for (text, ms) in [
            ("1970-01-01T00:00:00.000Z", Some(0)),
            ("2026-03-01T14:59:59.999Z", Some(1_772_377_199_999)),
            ("2026-03-01T23:59:59.999+09:00", Some(1_772_377_199_999)),
            ("1969-12-31T23:59:59.999Z", None),
            ("2026-03-01", None),
            ("now", None),
            ("", None),
        ] {
            assert_eq!(Time::parse("since", text).ok().map(|time| time.0), ms, "{text}");
        }
    }
}
