//! What the service refused, by the rows that it is about.

use std::mem;

use jaego_api::{Problem, batch::BatchItem, stock::Shortage};
use serde_json::Value;

use super::command::Command;
use crate::rows::Errors;

/// A row or a document that the service refused.
pub(crate) struct Refused {
    /// The line where its commands begin.
    pub(super) begin: u64,
    /// Why, by the lines that it is about. There is at least one.
    reasons: Vec<Reason>,
    /// Whether each of its lines is a row of the file, so that a row needs no name.
    is_rows: bool,
}

/// Why a line was refused.
struct Reason {
    /// Which line of its document it is, from 0, if the problem is about one.
    index: Option<usize>,
    /// Where that stands in the file.
    line: u64,
    problem: Problem,
}

impl Refused {
    pub(super) fn new(command: &Command, problem: Problem) -> Self {
        let is_rows = !command.line_rows.is_empty();
        Self { begin: command.line, reasons: reasons(command, problem), is_rows }
    }

    /// The first line that was refused, and why.
    pub(crate) fn first(&self) -> (u64, &Problem) {
        (self.reasons[0].line, &self.reasons[0].problem)
    }

    /// Why its first line was refused.
    pub(super) fn into_first(mut self) -> Problem {
        self.reasons.swap_remove(0).problem
    }

    /// Whether one line was refused for what it says: behind it there may be others.
    pub(super) fn is_for_a_line(&self) -> bool {
        matches!(&*self.reasons, [one] if one.index.is_some() && one.problem.shortages.is_empty())
    }

    /// Notes why lines of the document are refused as the only line of one, by their index. No line is there twice.
    pub(super) fn add(&mut self, document: &Command, alone: Vec<(usize, Problem)>) {
        let known = self.reasons[0].index;
        for (index, problem) in alone.into_iter().filter(|(index, _)| known != Some(*index)) {
            let of_it = reasons(document, of_line(problem, index)).into_iter();
            self.reasons.extend(of_it.filter(|reason| reason.index == Some(index)));
        }
        self.reasons.sort_by_key(|reason| reason.index);
    }

    /// Adds what was refused to what is wrong with the file.
    pub(super) fn tell(&self, errors: &mut Errors) {
        for Reason { line, problem, .. } in &self.reasons {
            let detail = if self.is_rows { of_row(in_row(problem)) } else { &problem.detail };
            errors.add(*line, format!("{detail} ({})", problem.code));
        }
    }

    /// Each line, and why.
    pub(super) fn lines(&self) -> impl Iterator<Item = (u64, &Problem)> {
        self.reasons.iter().map(|reason| (reason.line, &reason.problem))
    }
}

/// Why a command was refused, by the lines that it is about: each line that is short has a problem of its own.
fn reasons(command: &Command, mut problem: Problem) -> Vec<Reason> {
    let reason = |index: Option<usize>, problem| {
        let line = index.and_then(|index| command.line_rows.get(index)).copied().unwrap_or(command.line);
        Reason { index, line, problem }
    };
    if problem.code == "id_taken"
        && let Some(position) = opened(command)
    {
        // Nobody chose the id of an opening.
        problem.detail = format!(
            "{position} was loaded before with another quantity: correct it with `jaego stock count`, or name another load with --load"
        );
    }
    let shortages = mem::take(&mut problem.shortages);
    if shortages.is_empty() {
        return vec![reason(line_index(&problem), problem)];
    }
    let of_one = |short: Shortage| {
        let number: Option<usize> = short.line.parse().ok();
        let detail = format!(
            "line {} asks for {} of {} at {}, and {} are available",
            &*short.line, short.requested, &*short.sku, &*short.site, short.available
        );
        let shortages = vec![short];
        reason(
            number.and_then(|number| number.checked_sub(1)),
            Problem { detail, shortages, ..problem.clone() },
        )
    };
    shortages.into_iter().map(of_one).collect()
}

/// The position that a command opens, if it is a row of stock.
fn opened(command: &Command) -> Option<String> {
    let command: Value = serde_json::from_str(&command.json).ok()?;
    let line = command["lines"].get(0).filter(|_| command["op"] == "adjust")?;
    let codes = ["site", "location", "sku", "lot"].iter().filter_map(|name| line[name].as_str());
    Some(codes.collect::<Vec<_>>().join(" "))
}

/// Which line of a document a problem names, from 0: that of the field `lines[3].sku`.
pub(super) fn line_index(problem: &Problem) -> Option<usize> {
    let (index, _) = field(problem)?.strip_prefix("lines[")?.split_once(']')?;
    index.parse().ok()
}

fn field(problem: &Problem) -> Option<&str> {
    problem.facts.get("field").and_then(Value::as_str)
}

/// What is wrong, without the field that the row shows by itself. Of a value that is malformed, the detail names what
/// it is called in the row.
pub(super) fn in_row(problem: &Problem) -> &str {
    let detail = &*problem.detail;
    let named = field(problem).filter(|_| problem.code != "malformed");
    named.and_then(|field| detail.strip_prefix(field)?.strip_prefix(": ")).unwrap_or(detail)
}

/// What is wrong with a line of a document, by the names of the row that it is.
pub(super) fn of_row(what: &str) -> &str {
    let field = what.strip_prefix("lines[").and_then(|rest| rest.split_once("]."));
    field.map_or(what, |(_, field)| field)
}

/// The problem of a document of one line, as that of the line at `index` of another.
fn of_line(mut problem: Problem, index: usize) -> Problem {
    let there = |text: &str| Some(format!("lines[{index}]{}", text.strip_prefix("lines[0]")?));
    if let Some(field) = field(&problem).and_then(there) {
        problem.facts.insert("field".into(), field.into());
    }
    if let Some(detail) = there(&problem.detail) {
        problem.detail = detail;
    }
    for short in &mut problem.shortages {
        short.line = (index + 1).to_string().into();
    }
    problem
}

/// Which commands an atomic batch was refused for, in order, and why: none where it failed for another reason.
pub(super) fn refusals(error: &jaego_client::Error) -> Vec<(usize, Problem)> {
    let Some(problem) = error.problem() else { return Vec::new() };
    let index = problem.facts.get("index").and_then(Value::as_u64);
    let Some(index) = index.and_then(|index| usize::try_from(index).ok()) else { return Vec::new() };
    let mut first = problem.clone();
    let others = first.facts.remove("also_refused").map(serde_json::from_value::<Vec<BatchItem>>);
    let others = others.and_then(Result::ok).unwrap_or_default();
    let others = others.into_iter().filter_map(|item| Some((item.index, item.problem?)));
    std::iter::once((index, first)).chain(others).collect()
}

/// Refused commands, those of one row once.
pub(super) fn lines_refused(chunk: &[&Command], refusals: Vec<(usize, Problem)>) -> Vec<Refused> {
    let mut lines: Vec<Refused> = Vec::with_capacity(refusals.len());
    for (index, problem) in refusals {
        // The last is the rehearsal's own.
        let Some(command) = chunk.get(index) else { continue };
        if lines.last().is_none_or(|last| last.begin != command.line) {
            lines.push(Refused::new(command, problem));
        }
    }
    lines
}
