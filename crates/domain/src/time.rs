//! When: instants are handed in, days belong to a site.

use std::fmt;

use jiff::{ToSpan, civil};

use crate::refusal::Refusal;

/// An instant: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// This instant and `ms` milliseconds, at most the end of time.
    pub fn after_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC, to the millisecond.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match i64::try_from(self.0).map(jiff::Timestamp::from_millisecond) {
            Ok(Ok(instant)) => write!(f, "{instant:.3}"),
            _ => write!(f, "{} ms", self.0),
        }
    }
}

/// A day of the calendar, as days since 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(i32);

impl Date {
    /// Reads `YYYY-MM-DD`. Refuses with `invalid_value`, naming `field`.
    pub fn parse(field: &'static str, text: &str) -> Result<Self, Refusal> {
        if text.len() != 10 {
            return Err(Refusal::invalid(field, "is not a day written as YYYY-MM-DD"));
        }
        let day: civil::Date =
            text.parse().map_err(|_| Refusal::invalid(field, "is not a day written as YYYY-MM-DD"))?;
        Ok(Self::of(day))
    }

    /// A day that was checked before it was stored.
    pub fn stored(days: i32) -> Self {
        Self(days)
    }

    /// Days since 1970-01-01.
    pub fn days(self) -> i32 {
        self.0
    }

    fn of(day: civil::Date) -> Self {
        let span = civil::date(1970, 1, 1).until(day).expect("both days are in the calendar");
        Self(span.get_days())
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match civil::date(1970, 1, 1).checked_add(self.0.days()) {
            Ok(day) => write!(f, "{day}"),
            Err(_) => write!(f, "day {}", self.0),
        }
    }
}

/// A time zone of the IANA database that this build carries: the same answer on every machine.
#[derive(Clone, PartialEq, Eq)]
pub struct TimeZone(jiff::tz::TimeZone);

impl TimeZone {
    /// Finds the zone by its name, such as `Asia/Seoul`. Refuses with `invalid_value`.
    pub fn new(name: &str) -> Result<Self, Refusal> {
        if name.len() > 64 {
            return Err(Refusal::invalid("time_zone", "is longer than 64 bytes"));
        }
        jiff::tz::db()
            .get(name)
            .map(Self)
            .map_err(|_| Refusal::invalid("time_zone", "is not a time zone of the IANA database"))
    }

    /// The zone's name.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The day that the calendar on the wall shows at `now`.
    pub fn day(&self, now: Timestamp) -> Date {
        let ms = i64::try_from(now.0).unwrap_or(i64::MAX);
        let instant = jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::MAX);
        Date::of(self.0.to_datetime(instant).date())
    }
}

impl fmt::Debug for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_ends_at_midnight_of_its_zone() {
        let seoul = TimeZone::new("Asia/Seoul").unwrap();
        // 2026-03-01T14:59:59.999Z is one millisecond before midnight in Seoul.
        let last = Timestamp(1_772_377_199_999);
        assert_eq!(seoul.day(last).to_string(), "2026-03-01");
        assert_eq!(seoul.day(last.after_ms(1)).to_string(), "2026-03-02");
        assert_eq!(last.to_string(), "2026-03-01T14:59:59.999Z");
    }

    #[test]
    fn days_are_read_and_written() {
        for day in ["1970-01-01", "2024-02-29", "1969-12-31"] {
            assert_eq!(Date::parse("day", day).unwrap().to_string(), day);
        }
        for bad in ["", "2023-02-29", "20240101", "2024-1-1", "2024-01-01T00:00"] {
            assert!(Date::parse("day", bad).is_err(), "{bad}");
        }
        assert!(TimeZone::new("Mars/Olympus").is_err());
    }
}
