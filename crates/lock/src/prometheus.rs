//! The counters in the text format of Prometheus.

use std::fmt::{Display, Write as _};

use crate::{Pattern, Stats};

/// What is told of a pattern: its name after the prefix, what it is, its kind, and its number.
type OfPattern = (&'static str, &'static str, &'static str, fn(&Pattern) -> f64);

const OF_PATTERNS: [OfPattern; 11] = [
    ("granted_total", "Locks that were got, by key with * for ids.", COUNTER, |p| p.granted as f64),
    ("contended_total", "Requests that found the lock taken.", COUNTER, |p| p.contended as f64),
    ("waits_total", "Locks that were got after a wait.", COUNTER, |p| p.granted_after_wait as f64),
    ("wait_seconds_total", "How long all of those waited.", COUNTER, |p| p.wait.as_secs_f64()),
    ("busy_total", "Requests refused because the lock was taken.", COUNTER, |p| p.busy as f64),
    ("timeouts_total", "Requests whose time to wait was over.", COUNTER, |p| p.timeouts as f64),
    ("timeout_wait_seconds_total", "How long all of those waited.", COUNTER, |p| {
        p.timeout_wait.as_secs_f64()
    }),
    ("held", "Locks that are held now.", GAUGE, |p| p.held as f64),
    ("hold_seconds_total", "How long all that have ended were held.", COUNTER, |p| p.hold.as_secs_f64()),
    ("renewals_total", "Renewals that were answered.", COUNTER, |p| p.renewals as f64),
    ("losses_total", "Locks that were lost before they were let go.", COUNTER, |p| p.losses as f64),
];

const COUNTER: &str = "counter";
const GAUGE: &str = "gauge";

impl Stats {
    /// These numbers as a text to be scraped, in the
    /// [format of Prometheus](https://prometheus.io/docs/instrumenting/exposition_formats/), version 0.0.4: families
    /// that begin with `jaego_lock_`, and those of the [patterns](Self::patterns) with `jaego_lock_pattern_`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), jaego_lock::Error> {
    /// # let locks = jaego_lock::Locks::new(jaego_lock::Memory::new());
    /// let guard = locks.lock("product:17").acquire().await?;
    /// let text = locks.stats().prometheus();
    /// assert!(text.contains("\njaego_lock_held 1\n"));
    /// assert!(text.contains("\njaego_lock_pattern_granted_total{pattern=\"product:*\"} 1\n"));
    /// # drop(guard);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn prometheus(&self) -> String {
        let mut text = Text(String::new());
        text.one("granted_total", "Locks that were got.", COUNTER, self.granted);
        text.one("granted_shared_total", "Those of them in a shared mode.", COUNTER, self.granted_shared);
        text.one("waits_total", "Locks that were got after a wait.", COUNTER, self.granted_after_wait);
        text.one("wait_seconds_total", "How long all of those waited.", COUNTER, self.wait.as_secs_f64());
        text.family("not_granted_total", "Requests that did not get their lock, by reason.", COUNTER);
        for (reason, count) in [
            ("busy", self.busy),
            ("cancelled", self.cancelled),
            ("part_lost", self.part_lost),
            ("quarantined", self.quarantined),
            ("timeout", self.timeouts),
            ("too_many_waiters", self.too_many_waiters),
            ("unavailable", self.unavailable),
        ] {
            text.line("not_granted_total", "reason", reason, count);
        }
        let in_vain = self.timeout_wait.as_secs_f64();
        let help = "How long all waited whose time to wait was over.";
        text.one("timeout_wait_seconds_total", help, COUNTER, in_vain);
        text.one("waiting", "Requests that wait now.", GAUGE, self.waiting);
        text.one("held", "Locks that are held now.", GAUGE, self.held);
        let hold = self.hold.as_secs_f64();
        text.one("hold_seconds_total", "How long all locks that have ended were held.", COUNTER, hold);
        text.one("renewals_total", "Renewals that were answered.", COUNTER, self.renewals);
        let failed = self.renewals_failed;
        text.one("renewals_failed_total", "Renewals that were not answered.", COUNTER, failed);
        text.one("losses_total", "Locks that were lost before they were let go.", COUNTER, self.losses);
        text.one("notice_gaps_total", "How often notices may have been missed.", COUNTER, self.gaps);
        text.one("clock_jumps_total", "How often the server's clock was set.", COUNTER, self.clock_jumps);
        for (name, help, kind, number) in OF_PATTERNS {
            let name = format!("pattern_{name}");
            text.family(&name, help, kind);
            for (pattern, counts) in &self.patterns {
                text.line(&name, "pattern", pattern, number(counts));
            }
        }
        text.0
    }
}

struct Text(String);

impl Text {
    fn family(&mut self, name: &str, help: &str, kind: &str) {
        let _ = writeln!(self.0, "# HELP jaego_lock_{name} {help}\n# TYPE jaego_lock_{name} {kind}");
    }

    fn one(&mut self, name: &str, help: &str, kind: &str, number: impl Display) {
        self.family(name, help, kind);
        let _ = writeln!(self.0, "jaego_lock_{name} {number}");
    }

    fn line(&mut self, name: &str, label: &str, value: &str, number: impl Display) {
        let _ = write!(self.0, "jaego_lock_{name}{{{label}=\"");
        for char in value.chars() {
            match char {
                '\\' | '"' => self.0.extend(['\\', char]),
                '\n' => self.0.push_str("\\n"),
                _ => self.0.push(char),
            }
        }
        let _ = writeln!(self.0, "\"}} {number}");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_number_is_told_once() {
        let mut stats = Stats { granted: 7, busy: 2, part_lost: 8, held: 3, waiting: 4, ..Stats::default() };
        stats.hold = Duration::from_millis(1_500);
        stats.timeout_wait = Duration::from_millis(750);
        let pattern = Pattern { granted: 5, wait: Duration::from_millis(250), held: 1, ..Pattern::default() };
        stats.patterns.insert("a\\\"*".to_owned(), pattern);
        stats.patterns.insert("b:*".to_owned(), Pattern { losses: 9, busy: 6, ..Pattern::default() });
        let text = stats.prometheus();
        for line in [
            "# HELP jaego_lock_granted_total Locks that were got.",
            "# TYPE jaego_lock_granted_total counter",
            "jaego_lock_granted_total 7",
            "jaego_lock_not_granted_total{reason=\"busy\"} 2",
            "jaego_lock_not_granted_total{reason=\"timeout\"} 0",
            "jaego_lock_not_granted_total{reason=\"part_lost\"} 8",
            "# TYPE jaego_lock_waiting gauge",
            "jaego_lock_waiting 4",
            "jaego_lock_hold_seconds_total 1.5",
            "jaego_lock_timeout_wait_seconds_total 0.75",
            "jaego_lock_pattern_busy_total{pattern=\"b:*\"} 6",
            "jaego_lock_pattern_timeouts_total{pattern=\"b:*\"} 0",
            "jaego_lock_pattern_granted_total{pattern=\"a\\\\\\\"*\"} 5",
            "jaego_lock_pattern_wait_seconds_total{pattern=\"a\\\\\\\"*\"} 0.25",
            "jaego_lock_pattern_held{pattern=\"a\\\\\\\"*\"} 1",
            "jaego_lock_pattern_losses_total{pattern=\"b:*\"} 9",
        ] {
            assert_eq!(text.lines().filter(|told| *told == line).count(), 1, "{line} in {text}");
        }
        // Each line is a comment or a name, perhaps a label, and a number; each family is announced once and before its lines.
        let mut announced = std::collections::BTreeSet::new();
        for line in text.lines() {
            if let Some(announcement) = line.strip_prefix("# TYPE ") {
                let (name, kind) = announcement.split_once(' ').unwrap();
                assert!(announced.insert(name) && (kind == COUNTER) == name.ends_with("_total"), "{line}");
            } else if !line.starts_with('#') {
                let (name, number) = line.rsplit_once(' ').unwrap();
                assert!(announced.contains(name.split('{').next().unwrap()), "{line}");
                assert!(number.parse::<f64>().is_ok(), "{line}");
            }
        }
    }
}
