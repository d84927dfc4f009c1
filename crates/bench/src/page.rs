//! `docs/BENCHMARKS.md` and its charts, from a report and from nothing else.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::Error;
use crate::chart;
use crate::report::{Entry, Group, Metric, Report, System, digits};

/// The page's name in the folder of the documentation.
pub(crate) const FILE: &str = "BENCHMARKS.md";
const CHARTS: &str = "benchmarks";

/// Writes the page, its charts and the numbers as JSON.
pub(crate) fn write(report: &Report, docs: &Path, command: &str) -> Result<(), Error> {
    let charts = docs.join(CHARTS);
    fs::create_dir_all(&charts).map_err(Error::file("create", &charts))?;
    let put = |path: &Path, text: &str| fs::write(path, text).map_err(Error::file("write", path));
    for group in &report.groups {
        put(&charts.join(format!("{}.svg", group.key)), &chart::svg(group))?;
    }
    put(&charts.join("report.json"), &(report.to_json() + "\n"))?;
    put(&docs.join(FILE), &markdown(report, command))
}

fn markdown(report: &Report, command: &str) -> String {
    let mut text = String::new();
    page(&mut text, report, command).expect("writing to a string cannot fail");
    text
}

fn page(text: &mut String, report: &Report, command: &str) -> std::fmt::Result {
    let machine = &report.machine;
    writeln!(text, "# Benchmarks\n")?;
    writeln!(
        text,
        "This page is written by `{command}`; nothing on it is edited by hand. All servers ran on the same machine, in \
         one run, in turns, each durable at every answer unless its name says otherwise. Read the ratios first: they \
         travel better to your machine than the absolute numbers do.\n"
    )?;
    if !report.is_valid() {
        writeln!(
            text,
            "**Some answers were not as they should be. The rows marked NO are not to be trusted.**\n"
        )?;
    }

    writeln!(text, "## In short\n")?;
    writeln!(text, "How many times better Jaego's median is; below 1 it is the other way round.\n")?;
    for group in &report.groups {
        let times: Vec<String> = group
            .entries
            .iter()
            .filter(|entry| entry.system != System::Jaego)
            .filter_map(|entry| Some(format!("{} × {}", digits(group.jaego_times(entry)?), entry.name)))
            .collect();
        if !times.is_empty() {
            writeln!(text, "- **{}**: {}", group.title, times.join("; "))?;
        }
    }

    writeln!(text, "\n## Where\n")?;
    writeln!(text, "| | |\n|---|---|")?;
    writeln!(text, "| processor | {}, {} cores |", machine.cpu, machine.cores)?;
    writeln!(text, "| memory | {} GiB |", machine.memory_gib)?;
    writeln!(text, "| system | {}, {} |", machine.system, machine.kernel)?;
    writeln!(text, "| data folders | {} |", machine.file_system)?;
    writeln!(
        text,
        "| `fdatasync` after 4 KiB | {} µs (median), {} µs (99 %) |",
        digits(machine.sync_us_p50),
        digits(machine.sync_us_p99)
    )?;
    for (name, version) in &report.versions {
        writeln!(text, "| {name} | {version} |")?;
    }
    for (name, settings) in &report.servers {
        writeln!(text, "| settings of {name} | `{settings}` |")?;
    }
    for (name, value) in &report.settings {
        writeln!(text, "| {name} | {value} |")?;
    }
    writeln!(text)?;
    if machine.is_virtual {
        writeln!(
            text,
            "This is a virtual machine. Virtual disks often answer `fdatasync` from a cache, so syncs are cheaper here than \
             on a disk of your own; that helps all the servers, and those most that sync most often.\n"
        )?;
    }
    writeln!(
        text,
        "The client is the same closed loop for all protocols, on the same machine as the servers: each connection sends, \
         waits for the whole answer, and sends again. While one server is measured the others are stopped (SIGSTOP), and \
         every other repetition goes through them in the opposite order. Redis runs Lua scripts (`EVALSHA`), PostgreSQL \
         prepared statements, with as few round trips as the work allows. Jaego's holds are documents with an id that is \
         remembered for ever; `Redis …, Lua decrement` and `PostgreSQL, conditional update` keep nothing but the counter. \
         Orders and checkouts on PostgreSQL go out as one transaction in one flight, with constraints that nothing falls below \
         zero. Afterwards everybody's books are compared with the answers.\n"
    )?;
    for group in &report.groups {
        section(text, group)?;
    }
    writeln!(text, "The numbers of every repetition are in [`{CHARTS}/report.json`]({CHARTS}/report.json).")
}

fn section(text: &mut String, group: &Group) -> std::fmt::Result {
    writeln!(text, "## {}\n\n{}\n", group.title, group.about)?;
    writeln!(text, "![{}]({CHARTS}/{}.svg)\n", group.title, group.key)?;
    let header = group.header();
    writeln!(text, "| {} |", header.join(" | "))?;
    writeln!(text, "|---|{}", "---:|".repeat(header.len() - 1))?;
    for row in group.rows() {
        writeln!(text, "| {} |", row.join(" | "))?;
    }
    writeln!(text)?;
    for entry in &group.entries {
        parts(text, group, entry)?;
    }
    for entry in &group.entries {
        if let Some(orders) = entry.orders_per_s() {
            writeln!(text, "- {}: {} orders/s (median).", entry.name, digits(orders))?;
        }
        writeln!(text, "- {}: {}.", entry.name, entry.checked)?;
    }
    writeln!(text)
}

/// The requests that one piece of work takes, where there are several.
fn parts(text: &mut String, group: &Group, entry: &Entry) -> std::fmt::Result {
    let Some(first) = entry.rounds.first().filter(|round| !round.parts.is_empty()) else {
        return Ok(());
    };
    writeln!(text, "{}, in parts (medians of the repetitions):\n", entry.name)?;
    writeln!(text, "| request | all of them, s | p50 ms | p99 ms | max ms |\n|---|---:|---:|---:|---:|")?;
    for (index, part) in first.parts.iter().enumerate() {
        let median = |of: &dyn Fn(&crate::report::PartReport) -> f64| {
            let mut values: Vec<f64> =
                entry.rounds.iter().filter_map(|round| round.parts.get(index)).map(of).collect();
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
        };
        let elapsed = median(&|part| part.elapsed_s.unwrap_or(f64::NAN));
        let elapsed = if group.metric == Metric::Seconds { digits(elapsed) } else { "–".to_owned() };
        writeln!(
            text,
            "| {} | {elapsed} | {} | {} | {} |",
            part.name,
            digits(median(&|part| part.latency.p50_ms)),
            digits(median(&|part| part.latency.p99_ms)),
            digits(median(&|part| part.latency.max_ms)),
        )?;
    }
    writeln!(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;
    use crate::report::tests::group;

    #[test]
    fn the_page_shows_ratios_before_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let mut report = Report {
            machine: Machine::look(folder.path()).unwrap(),
            versions: vec![("Redis".to_owned(), "7.0".to_owned())],
            settings: vec![("seed".to_owned(), "1".to_owned())],
            servers: vec![("Redis, always".to_owned(), "appendfsync=always".to_owned())],
            groups: vec![group(Metric::PerSecond)],
        };
        write(&report, folder.path(), "make bench").unwrap();
        let page = fs::read_to_string(folder.path().join(FILE)).unwrap();
        let ratio = page.find("- **Holds**: 2.00 × redis").unwrap();
        let row = page.find("| redis | 2.00 × | 25,000 | 20,000 – 30,000 |").unwrap();
        assert!(ratio < row, "{page}");
        assert!(page.contains("`make bench`") && page.contains("benchmarks/holds.svg"), "{page}");
        assert!(!page.contains("not to be trusted"), "{page}");
        assert!(folder.path().join("benchmarks/holds.svg").exists());
        let json: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(folder.path().join("benchmarks/report.json")).unwrap())
                .unwrap();
        assert_eq!(json["groups"][0]["entries"][1]["system"], "redis");

        report.groups[0].entries[0].rounds[0].valid = false;
        assert!(markdown(&report, "make bench").contains("not to be trusted"));
    }
}
