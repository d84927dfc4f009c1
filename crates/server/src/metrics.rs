//! Numbers for Prometheus: counters, gauges and histograms, printed in its text format 0.0.4.
//!
//! The registry is our own: a series is registered once, at start, and its handle is a shared atomic, so that counting
//! takes no lock, no lookup and no allocation. The `prometheus-client` crate gives the same only to those who keep
//! the handles anyway, and would be one more dependency for some two hundred lines.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The content type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Upper bounds for the time that a request takes, in microseconds: 50 µs to 10 s.
pub const REQUEST_MICROS: &[u64] = &[
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 10_000_000,
];

/// A number that only grows.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// One more.
    pub fn increment(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// The count so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicI64>);

impl Gauge {
    /// Sets it.
    pub fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Adds to it; a negative number takes away.
    pub fn add(&self, change: i64) {
        self.0.fetch_add(change, Ordering::Relaxed);
    }

    /// The value now.
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How often a duration, or a count, fell into each of a few fixed buckets. Durations are printed in seconds.
#[derive(Clone, Debug)]
pub struct Histogram(Arc<Buckets>);

#[derive(Debug)]
struct Buckets {
    bounds: &'static [u64],
    /// By what a number is divided when it is printed: microseconds are printed as seconds.
    unit: f64,
    /// One for each bound, and one for what is above them all.
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

const MICROS_A_SECOND: f64 = 1e6;

impl Histogram {
    fn new(bounds: &'static [u64], unit: f64) -> Histogram {
        assert!(bounds.is_sorted(), "the bounds of a histogram rise");
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Histogram(Arc::new(Buckets { bounds, unit, counts, sum: AtomicU64::new(0) }))
    }

    /// Counts one duration.
    pub fn observe(&self, duration: Duration) {
        self.observe_micros(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    }

    /// Counts one duration given in microseconds. A bucket includes its upper bound.
    pub fn observe_micros(&self, micros: u64) {
        self.observe_count(micros);
    }

    /// Counts one number, in the unit of the bounds. A bucket includes its upper bound.
    pub fn observe_count(&self, number: u64) {
        let buckets = &*self.0;
        let place = buckets.bounds.iter().position(|bound| number <= *bound);
        let place = place.unwrap_or(buckets.bounds.len());
        buckets.counts[place].fetch_add(1, Ordering::Relaxed);
        buckets.sum.fetch_add(number, Ordering::Relaxed);
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.0.counts.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }
}

/// A number that is asked for when it is printed.
type Reading = Box<dyn Fn() -> f64 + Send + Sync>;

enum Series {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
    Reading(Reading),
}

struct Family {
    help: &'static str,
    kind: &'static str,
    /// By labels as printed, without braces.
    series: BTreeMap<String, Series>,
}

/// The registry. Clones share it.
///
/// ```
/// let metrics = jaego_server::Metrics::new();
/// let holds = metrics.counter("jaego_holds_total", "Holds placed.", &[("site", "ICN")]);
/// holds.add(3);
/// assert!(metrics.render().contains("jaego_holds_total{site=\"ICN\"} 3"));
/// ```
#[derive(Clone, Default)]
pub struct Metrics {
    families: Arc<Mutex<BTreeMap<&'static str, Family>>>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// An empty registry.
    pub fn new() -> Metrics {
        Metrics::default()
    }

    /// The counter of this name and these labels; made at the first call, the same one ever after.
    ///
    /// # Panics
    /// If the name or a label's name is not valid in Prometheus, or the name stands for another kind of metric.
    pub fn counter(&self, name: &'static str, help: &'static str, labels: &[(&str, &str)]) -> Counter {
        let make = || Series::Counter(Counter::default());
        self.register(name, help, "counter", labels, make, |series| match series {
            Series::Counter(counter) => Some(counter.clone()),
            _ => None,
        })
    }

    /// The gauge of this name and these labels. Panics like [`Metrics::counter`].
    pub fn gauge(&self, name: &'static str, help: &'static str, labels: &[(&str, &str)]) -> Gauge {
        let make = || Series::Gauge(Gauge::default());
        self.register(name, help, "gauge", labels, make, |series| match series {
            Series::Gauge(gauge) => Some(gauge.clone()),
            _ => None,
        })
    }

    /// A gauge whose value is asked for at each printing. `read` must not call this registry. A second reading of the
    /// same name and labels replaces the first. Panics like [`Metrics::counter`].
    pub fn gauge_reading(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[(&str, &str)],
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        let labels = printed_labels(name, labels);
        let mut families = self.families.lock().expect("nobody panics while holding the registry");
        let family = family(&mut families, name, help, "gauge");
        family.series.insert(labels, Series::Reading(Box::new(read)));
    }

    /// The histogram of this name and these labels, with upper bounds in microseconds, rising. The name should end in
    /// `_seconds`, for seconds are what is printed. Panics like [`Metrics::counter`].
    pub fn histogram(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[(&str, &str)],
        bounds_micros: &'static [u64],
    ) -> Histogram {
        let make = || Series::Histogram(Histogram::new(bounds_micros, MICROS_A_SECOND));
        self.register(name, help, "histogram", labels, make, |series| match series {
            Series::Histogram(histogram) => Some(histogram.clone()),
            _ => None,
        })
    }

    /// A histogram of numbers that are no durations, with upper bounds, rising. Panics like [`Metrics::counter`].
    pub fn histogram_of_counts(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[(&str, &str)],
        bounds: &'static [u64],
    ) -> Histogram {
        let make = || Series::Histogram(Histogram::new(bounds, 1.0));
        self.register(name, help, "histogram", labels, make, |series| match series {
            Series::Histogram(histogram) => Some(histogram.clone()),
            _ => None,
        })
    }

    /// All numbers in Prometheus' text format, sorted by name and labels.
    pub fn render(&self) -> String {
        let families = self.families.lock().expect("nobody panics while holding the registry");
        let mut text = String::with_capacity(4096);
        for (name, family) in families.iter() {
            print_family(&mut text, name, family).expect("writing to a string cannot fail");
        }
        text
    }

    fn register<T>(
        &self,
        name: &'static str,
        help: &'static str,
        kind: &'static str,
        labels: &[(&str, &str)],
        make: impl FnOnce() -> Series,
        handle: impl FnOnce(&Series) -> Option<T>,
    ) -> T {
        let labels = printed_labels(name, labels);
        let mut families = self.families.lock().expect("nobody panics while holding the registry");
        let family = family(&mut families, name, help, kind);
        let found = handle(family.series.entry(labels).or_insert_with(make));
        // Let go first: a panic must not poison the registry for everybody else.
        drop(families);
        found.unwrap_or_else(|| panic!("the metric {name} is registered both as a reading and as a {kind}"))
    }
}

fn family<'a>(
    families: &'a mut BTreeMap<&'static str, Family>,
    name: &'static str,
    help: &'static str,
    kind: &'static str,
) -> &'a mut Family {
    let family = families.entry(name).or_insert_with(|| Family { help, kind, series: BTreeMap::new() });
    assert_eq!(family.kind, kind, "the metric {name} has two kinds");
    family
}

fn printed_labels(name: &str, labels: &[(&str, &str)]) -> String {
    assert!(is_name(name), "{name:?} is not a metric's name");
    let mut text = String::new();
    for (label, value) in labels {
        assert!(is_name(label) && !label.contains(':'), "{label:?} is not a label's name");
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let comma = if text.is_empty() { "" } else { "," };
        write!(text, "{comma}{label}=\"{value}\"").expect("writing to a string cannot fail");
    }
    text
}

fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_' || b == b':')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':')
}

fn print_family(text: &mut String, name: &str, family: &Family) -> fmt::Result {
    let help = family.help.replace('\\', "\\\\").replace('\n', "\\n");
    writeln!(text, "# HELP {name} {help}")?;
    writeln!(text, "# TYPE {name} {}", family.kind)?;
    for (labels, series) in &family.series {
        let braced = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        match series {
            Series::Counter(counter) => writeln!(text, "{name}{braced} {}", counter.get())?,
            Series::Gauge(gauge) => writeln!(text, "{name}{braced} {}", gauge.get())?,
            Series::Reading(read) => writeln!(text, "{name}{braced} {}", read())?,
            Series::Histogram(histogram) => print_histogram(text, name, labels, &braced, &histogram.0)?,
        }
    }
    Ok(())
}

fn print_histogram(
    text: &mut String,
    name: &str,
    labels: &str,
    braced: &str,
    buckets: &Buckets,
) -> fmt::Result {
    let comma = if labels.is_empty() { "" } else { "," };
    let mut total = 0;
    for (bound, count) in buckets.bounds.iter().zip(&buckets.counts) {
        total += count.load(Ordering::Relaxed);
        writeln!(text, "{name}_bucket{{{labels}{comma}le=\"{}\"}} {total}", *bound as f64 / buckets.unit)?;
    }
    total += buckets.counts[buckets.bounds.len()].load(Ordering::Relaxed);
    writeln!(text, "{name}_bucket{{{labels}{comma}le=\"+Inf\"}} {total}")?;
    writeln!(text, "{name}_sum{braced} {}", buckets.sum.load(Ordering::Relaxed) as f64 / buckets.unit)?;
    writeln!(text, "{name}_count{braced} {total}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_includes_its_upper_bound() {
        let metrics = Metrics::new();
        let histogram = metrics.histogram("wait_seconds", "Waits.", &[("kind", "hold")], &[100, 1_000]);
        for micros in [99, 100, 101, 1_000, 1_001] {
            histogram.observe_micros(micros);
        }
        let expected = "\
# HELP wait_seconds Waits.
# TYPE wait_seconds histogram
wait_seconds_bucket{kind=\"hold\",le=\"0.0001\"} 2
wait_seconds_bucket{kind=\"hold\",le=\"0.001\"} 4
wait_seconds_bucket{kind=\"hold\",le=\"+Inf\"} 5
wait_seconds_sum{kind=\"hold\"} 0.002301
wait_seconds_count{kind=\"hold\"} 5
";
        assert_eq!(metrics.render(), expected);
        assert_eq!(histogram.count(), 5);
    }

    #[test]
    fn the_same_name_and_labels_are_the_same_number() {
        let metrics = Metrics::new();
        metrics.counter("asked_total", "Asked.", &[("who", "a\"b\\c\nd")]).increment();
        metrics.counter("asked_total", "Asked.", &[("who", "a\"b\\c\nd")]).increment();
        metrics.gauge("depth", "Depth.", &[]).set(-3);
        metrics.gauge_reading("age_seconds", "Age.", &[], || 1.5);
        let text = metrics.render();
        assert!(text.contains("asked_total{who=\"a\\\"b\\\\c\\nd\"} 2\n"), "{text}");
        assert!(text.contains("\ndepth -3\n"), "{text}");
        assert!(text.contains("\nage_seconds 1.5\n"), "{text}");
    }

    #[test]
    #[should_panic(expected = "two kinds")]
    fn one_name_has_one_kind() {
        let metrics = Metrics::new();
        metrics.counter("depth", "Depth.", &[]);
        metrics.gauge("depth", "Depth.", &[]);
    }
}
