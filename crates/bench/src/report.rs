//! What came out: groups of the same work by different hands, as a table and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::load::{Round, per_second};
use crate::machine::Machine;

/// The outcome of a whole run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What it was measured on.
    pub machine: Machine,
    /// Names and versions of all that took part.
    pub versions: Vec<(String, String)>,
    /// How the load was set, by option.
    pub settings: Vec<(String, String)>,
    /// How the servers were set.
    pub servers: Vec<(String, String)>,
    /// The results.
    pub groups: Vec<Group>,
}

impl Report {
    /// Whether every answer of every round was as it should be.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.groups.iter().flat_map(|group| &group.entries).all(Entry::is_valid)
    }

    /// As JSON, for machines.
    ///
    /// # Panics
    /// Never: every value in it can be written as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a report has text for keys")
    }

    /// As tables, for a terminal.
    #[must_use]
    pub fn to_table(&self) -> String {
        let mut text = String::new();
        for group in &self.groups {
            text.push_str(&group.title);
            text.push('\n');
            let rows: Vec<Vec<String>> = std::iter::once(group.header()).chain(group.rows()).collect();
            let widths: Vec<usize> = (0..rows[0].len())
                .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default())
                .collect();
            for row in rows {
                for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                    let written = if column == 0 {
                        write!(text, "  {cell:<width$}")
                    } else {
                        write!(text, "  {cell:>width$}")
                    };
                    written.expect("writing to a string cannot fail");
                }
                text.push('\n');
            }
            for entry in &group.entries {
                if let Some(orders) = entry.orders_per_s() {
                    writeln!(text, "  {}: {} orders/s", entry.name, digits(orders))
                        .expect("writing to a string cannot fail");
                }
            }
            text.push('\n');
        }
        text
    }
}

/// The same work, done by different servers.
#[derive(Clone, Debug, Serialize)]
pub struct Group {
    /// A short name, fit for a file.
    pub key: String,
    /// What was done.
    pub title: String,
    /// More about it, in sentences.
    pub about: String,
    /// What is compared.
    pub metric: Metric,
    /// Who did it.
    pub entries: Vec<Entry>,
}

/// What of a round is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Units of work in a second: more is better.
    PerSecond,
    /// The median time of one piece of work in milliseconds: less is better.
    Milliseconds,
    /// The time for all of it in seconds: less is better.
    Seconds,
}

impl Metric {
    /// The unit, as a table shows it.
    #[must_use]
    pub fn unit(self) -> &'static str {
        match self {
            Self::PerSecond => "units/s",
            Self::Milliseconds => "ms",
            Self::Seconds => "s",
        }
    }

    fn of(self, round: &RoundReport) -> f64 {
        match self {
            Self::PerSecond => round.units_per_s,
            Self::Milliseconds => round.latency.p50_ms,
            Self::Seconds => round.elapsed_s,
        }
    }
}

impl Group {
    /// How many times better Jaego's median is than this entry's. Nothing if it did not take part.
    #[must_use]
    pub fn jaego_times(&self, entry: &Entry) -> Option<f64> {
        let jaego = self.entries.iter().find(|entry| entry.system == System::Jaego)?;
        let (ours, theirs) = (self.spread(jaego).median, self.spread(entry).median);
        let times = if self.metric == Metric::PerSecond { ours / theirs } else { theirs / ours };
        times.is_finite().then_some(times)
    }

    /// The compared values of an entry's rounds.
    #[must_use]
    pub fn spread(&self, entry: &Entry) -> Spread {
        let mut values: Vec<f64> = entry.rounds.iter().map(|round| self.metric.of(round)).collect();
        values.sort_by(f64::total_cmp);
        match values.as_slice() {
            [] => Spread { least: f64::NAN, median: f64::NAN, most: f64::NAN },
            values => {
                let half = values.len() / 2;
                let median = if values.len() % 2 == 1 {
                    values[half]
                } else {
                    f64::midpoint(values[half - 1], values[half])
                };
                Spread { least: values[0], median, most: values[values.len() - 1] }
            }
        }
    }

    pub(crate) fn header(&self) -> Vec<String> {
        let mut header = vec!["who".to_owned()];
        if self.entries.len() > 1 {
            header.push("Jaego is".to_owned());
        }
        header.push(format!("{} (median)", self.metric.unit()));
        header.extend(
            ["least – most", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "max ms", "valid"].map(str::to_owned),
        );
        header
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = Vec<String>> {
        self.entries.iter().map(|entry| {
            let (spread, latency) = (self.spread(entry), entry.latency());
            let mut row = vec![entry.name.clone()];
            if self.entries.len() > 1 {
                row.push(match self.jaego_times(entry) {
                    Some(_) if entry.system == System::Jaego => "1 ×".to_owned(),
                    Some(times) => format!("{} ×", digits(times)),
                    None => "–".to_owned(),
                });
            }
            row.push(digits(spread.median));
            row.push(format!("{} – {}", digits(spread.least), digits(spread.most)));
            row.extend(latency.all().map(digits));
            row.push(if entry.is_valid() { "yes".to_owned() } else { "NO".to_owned() });
            row
        })
    }
}

/// Which system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names say it")]
pub enum System {
    Jaego,
    Redis,
    Postgresql,
}

/// One server at one kind of work, over all repetitions.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// Who did it, and how.
    pub name: String,
    /// Of which system.
    pub system: System,
    /// The repetitions, in the order in which they ran.
    pub rounds: Vec<RoundReport>,
    /// What was found to hold afterwards.
    pub checked: String,
}

impl Entry {
    /// Whether every answer was as it should be.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        !self.rounds.is_empty() && self.rounds.iter().all(|round| round.valid)
    }

    /// The median of the rounds' orders in a second, where the units are lines of orders.
    #[must_use]
    pub fn orders_per_s(&self) -> Option<f64> {
        let mut values: Vec<f64> = self.rounds.iter().filter_map(|round| round.orders_per_s).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    }

    /// The medians of the rounds' percentiles, and the greatest of their greatest.
    #[must_use]
    pub fn latency(&self) -> Latency {
        let median = |of: fn(&Latency) -> f64| {
            let mut values: Vec<f64> = self.rounds.iter().map(|round| of(&round.latency)).collect();
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
        };
        Latency {
            p50_ms: median(|latency| latency.p50_ms),
            p90_ms: median(|latency| latency.p90_ms),
            p99_ms: median(|latency| latency.p99_ms),
            p999_ms: median(|latency| latency.p999_ms),
            max_ms: self.rounds.iter().map(|round| round.latency.max_ms).fold(f64::NAN, f64::max),
        }
    }
}

/// The least, the middle and the greatest of some values.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Spread {
    pub least: f64,
    pub median: f64,
    pub most: f64,
}

/// One repetition.
#[derive(Clone, Debug, Serialize)]
pub struct RoundReport {
    /// Whether every answer was as it should be.
    pub valid: bool,
    /// The time that counts, in seconds.
    pub elapsed_s: f64,
    /// Answers in that time.
    pub answers: u64,
    /// Units of work in that time.
    pub units: u64,
    /// Units in a second.
    pub units_per_s: f64,
    /// From just before a request was written until its answer was whole.
    pub latency: Latency,
    /// Unexpected answers, by kind.
    pub unexpected: BTreeMap<String, u64>,
    /// The requests that one piece of work takes, each by itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<PartReport>,
    /// Orders in a second, where the units are their lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub orders_per_s: Option<f64>,
}

/// One of the requests that a piece of work takes.
#[derive(Clone, Debug, Serialize)]
pub struct PartReport {
    /// Which one.
    pub name: String,
    /// From the first of its kind to the last answer, in seconds, where they all come in a row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elapsed_s: Option<f64>,
    /// How long each took.
    pub latency: Latency,
}

/// Percentiles, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Latency {
    pub p50_ms: f64,
    pub p90_ms: f64,
    pub p99_ms: f64,
    pub p999_ms: f64,
    pub max_ms: f64,
}

impl Latency {
    pub(crate) fn all(self) -> [f64; 5] {
        [self.p50_ms, self.p90_ms, self.p99_ms, self.p999_ms, self.max_ms]
    }
}

impl From<&Histogram<u64>> for Latency {
    fn from(histogram: &Histogram<u64>) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "three digits are kept of a latency")]
        let ms = |ns: u64| ns as f64 / 1e6;
        let at = |quantile| ms(histogram.value_at_quantile(quantile));
        let max_ms = ms(histogram.max());
        // The histogram rounds up within its precision; nothing took longer than the longest.
        let at = |quantile| f64::min(at(quantile), max_ms);
        Self { p50_ms: at(0.5), p90_ms: at(0.9), p99_ms: at(0.99), p999_ms: at(0.999), max_ms }
    }
}

impl From<&Round> for RoundReport {
    fn from(round: &Round) -> Self {
        let parts = round.parts.iter().map(|part| PartReport {
            name: part.name.to_owned(),
            elapsed_s: part.elapsed.map(|elapsed| elapsed.as_secs_f64()),
            latency: (&part.latency).into(),
        });
        Self {
            valid: round.is_valid(),
            elapsed_s: round.elapsed.as_secs_f64(),
            answers: round.answers,
            units: round.units,
            units_per_s: round.rate(),
            latency: (&round.latency).into(),
            unexpected: round.unexpected.clone(),
            parts: parts.collect(),
            orders_per_s: round.orders.map(|orders| per_second(orders, round.elapsed)),
        }
    }
}

/// A whole number with a comma between the thousands.
pub(crate) fn count(number: impl Into<u64>) -> String {
    grouped(&number.into().to_string())
}

/// A number with three digits that count, and a comma between the thousands.
pub(crate) fn digits(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let decimals = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    // Beyond a thousand the last digits are noise, but a rounded number is no shorter.
    let text = format!("{value:.decimals$}");
    let (whole, fraction) =
        text.split_once('.').map_or((text.as_str(), None), |(whole, part)| (whole, Some(part)));
    let grouped = grouped(whole);
    match fraction {
        Some(fraction) => format!("{grouped}.{fraction}"),
        None => grouped,
    }
}

fn grouped(whole: &str) -> String {
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn entry(name: &str, system: System, rates: &[f64]) -> Entry {
        let latency = Latency { p50_ms: 0.5, p90_ms: 1.0, p99_ms: 2.0, p999_ms: 4.0, max_ms: 8.0 };
        let round = |rate: &f64| RoundReport {
            valid: true,
            elapsed_s: 1.0 / rate,
            answers: 10,
            units: 10,
            units_per_s: *rate,
            latency,
            unexpected: BTreeMap::new(),
            parts: Vec::new(),
            orders_per_s: None,
        };
        let rounds = rates.iter().map(round).collect();
        Entry { name: name.to_owned(), system, rounds, checked: "all there".to_owned() }
    }

    pub(crate) fn group(metric: Metric) -> Group {
        Group {
            key: "holds".to_owned(),
            title: "Holds".to_owned(),
            about: "One by one.".to_owned(),
            metric,
            entries: vec![
                entry("jaego", System::Jaego, &[60_000.0, 50_000.0, 40_000.0]),
                entry("redis", System::Redis, &[20_000.0, 30_000.0]),
            ],
        }
    }

    #[test]
    fn more_a_second_and_less_time_are_both_better() {
        for metric in [Metric::PerSecond, Metric::Seconds] {
            let group = group(metric);
            let times = group.jaego_times(&group.entries[1]).unwrap();
            assert!((1.9..2.1).contains(&times), "{metric:?}: {times}");
        }
    }

    #[test]
    fn the_spread_is_that_of_the_rounds() {
        let group = group(Metric::PerSecond);
        let spread = group.spread(&group.entries[0]);
        assert_eq!(spread, Spread { least: 40_000.0, median: 50_000.0, most: 60_000.0 });
        assert_eq!(group.spread(&group.entries[1]).median, 25_000.0);
    }

    #[test]
    fn one_unexpected_answer_makes_it_invalid() {
        let mut group = group(Metric::PerSecond);
        group.entries[0].rounds[1].valid = false;
        assert!(!group.entries[0].is_valid());
        assert!(group.rows().next().unwrap().contains(&"NO".to_owned()));
    }

    #[test]
    fn numbers_are_easy_to_read() {
        let cases = [
            (0.1234, "0.123"),
            (1.2345, "1.23"),
            (12.345, "12.3"),
            (123.45, "123"),
            (1_234_567.8, "1,234,568"),
            (100_000.0, "100,000"),
            (f64::NAN, "–"),
        ];
        for (number, text) in cases {
            assert_eq!(digits(number), text);
        }
        assert_eq!([count(64_u32), count(1_000_u32), count(12_345_678_u64)], ["64", "1,000", "12,345,678"]);
    }
}
