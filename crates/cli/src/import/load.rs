//! Commands into the service, in batches.

use std::{collections::HashSet, time::Instant};

use anyhow::{Context, Result};
use indicatif::ProgressBar;
use jaego_api::{
    Problem,
    batch::BatchItem,
    limits::{BATCH_COMMANDS_MAX, BATCH_LINES_MAX, DOCUMENT_BYTES_MAX},
};
use jaego_client::Client;
use serde_json::{Value, json};

use super::{
    command::Command,
    noun::Noun,
    refused::{Refused, lines_refused, refusals},
    rehearsal::rehearse_all,
};
use crate::rows::Errors;

/// Commands of a batch: one place is left for that of the rehearsal.
const CHUNK_COMMANDS_MAX: usize = BATCH_COMMANDS_MAX - 1;
/// Bytes of a batch's commands: well below what a request may have.
const BATCH_BYTES_MAX: usize = DOCUMENT_BYTES_MAX / 2;

/// What came of a load.
#[derive(Default)]
pub(crate) struct Loaded {
    /// Rows that are in effect, those that were before included.
    pub(crate) done: usize,
    /// How many of them were in effect before, with all they say.
    pub(crate) repeats: usize,
    /// The last line that was answered, and whether it was in effect before: another command of it may follow.
    last: Option<(u64, bool)>,
    /// What the service refused.
    pub(crate) refused: Vec<Refused>,
    /// Whether one refusal keeps all the others from being loaded.
    all_or_none: bool,
    /// The first line that was not loaded, where that broke off in the middle.
    pub(super) broken_off: Option<u64>,
}

impl Loaded {
    /// Nothing so far.
    pub(crate) fn new(skip_bad: bool) -> Self {
        Self { all_or_none: !skip_bad, ..Self::default() }
    }

    /// Whether no line was answered.
    pub(super) fn is_nothing(&self) -> bool {
        self.done == 0 && self.refused.is_empty()
    }

    pub(super) fn count(&mut self, chunk: &[&Command], items: Vec<BatchItem>) {
        for (command, item) in chunk.iter().zip(items) {
            let line = command.line;
            let repeat = item.outcome.is_some_and(|outcome| outcome.repeat);
            match (item.problem, self.last) {
                (Some(problem), _) => {
                    self.refused.push(Refused::new(command, problem));
                    self.last = Some((line, false));
                }
                (None, Some((last, before))) if last == line => {
                    self.repeats -= if before && !repeat { command.rows } else { 0 };
                    self.last = Some((line, before && repeat));
                }
                (None, _) => {
                    self.done += command.rows;
                    self.repeats += if repeat { command.rows } else { 0 };
                    self.last = Some((line, repeat));
                }
            }
        }
    }

    /// The commands but those of refused lines.
    pub(super) fn accepted<'a>(&self, commands: &'a [Command]) -> Vec<&'a Command> {
        let refused: HashSet<u64> = self.refused.iter().map(|refused| refused.begin).collect();
        commands.iter().filter(|command| !refused.contains(&command.line)).collect()
    }

    /// Tells on standard error what the service refused, by the lines of the file.
    pub(super) fn tell_refused(&self, file: &str) {
        let mut errors = Errors::default();
        self.refused.iter().for_each(|refused| refused.tell(&mut errors));
        errors.tell(file);
    }

    /// As JSON, with the problem that it broke off for, if it was none of a row.
    pub(super) fn json(&self, commands: usize, bad: &Errors, problem: Option<&Problem>) -> Value {
        let lines = self.refused.iter().flat_map(Refused::lines);
        let refused: Vec<_> =
            lines.map(|(line, problem)| json!({ "line": line, "problem": problem })).collect();
        let mut answer = json!({
            "commands": commands, "loaded": self.done - self.repeats, "repeated": self.repeats,
            "bad_lines": bad.len(), "bad": bad.json(), "refused": refused,
        });
        if let Some(line) = self.broken_off {
            answer["broken_off"] = line.into();
        }
        if let Some(problem) = problem {
            answer["problem"] = json!(problem);
        }
        answer
    }

    pub(crate) fn text(&self, noun: Noun) -> String {
        let mut text = format!("{}: {} loaded", noun.name(), self.done - self.repeats);
        if self.repeats > 0 {
            text += &format!(", {} were there before", self.repeats);
        }
        if !self.refused.is_empty() {
            text += &format!(", {} refused", self.refused.len());
            if let Some(line) = self.broken_off.filter(|_| self.all_or_none) {
                text += &format!("; {}", goes_on(&format!("line {line}"), true));
            } else if self.all_or_none {
                text += "; nothing was changed";
                // All tiers are one setting.
                if noun != Noun::Tiers {
                    text += ", and with --skip-bad the other lines are loaded";
                }
            }
        }
        text + "\n"
    }
}

/// Gives the commands in batches, and says in `loaded` what came of them, also where it fails in the middle. Unless bad
/// lines are skipped, all of them or none: where the service would refuse one, it is told which, and nothing was loaded.
pub(crate) async fn load(
    client: &Client,
    commands: &[Command],
    bar: &ProgressBar,
    loaded: &mut Loaded,
) -> Result<()> {
    let chunks = chunks(commands);
    let skip_bad = !loaded.all_or_none;
    // A file of one batch needs no rehearsal: the batch itself is all or nothing.
    if !skip_bad && chunks.len() > 1 {
        let (start, what) = (Instant::now(), bar.message());
        bar.set_message("checking");
        rehearse_all(client, &chunks, bar, &mut loaded.refused).await?;
        if !loaded.refused.is_empty() {
            return Ok(());
        }
        bar.println(format!("checked in {:.1} s", start.elapsed().as_secs_f64()));
        bar.set_message(what);
        bar.reset();
    }
    for (index, chunk) in chunks.iter().enumerate() {
        let sent = if skip_bad && has_rows_of_two(chunk) {
            row_by_row(client, chunk, loaded).await
        } else {
            let sent = client.batch_of_json(body(chunk, !skip_bad, None)).await;
            sent.map(|batch| loaded.count(chunk, batch.items))
                .map_err(|error| Broken { line: first_line(&chunks[index..]), error })
        };
        match sent {
            Ok(()) => {}
            // Where nothing is loaded yet, it is as if it had been rehearsed.
            Err(Broken { line, error }) if !refusals(&error).is_empty() => {
                loaded.refused.extend(lines_refused(chunk, refusals(&error)));
                loaded.broken_off = Some(line).filter(|_| index > 0);
                return Ok(());
            }
            Err(Broken { error, .. }) if loaded.is_nothing() => return Err(error.into()),
            Err(Broken { line, error }) => {
                loaded.broken_off = Some(line);
                return Err(error)
                    .context(format!("cannot load from line {line} on; {}", goes_on("it", !skip_bad)));
            }
        }
        bar.inc(chunk.len() as u64);
    }
    Ok(())
}

/// A load that broke off.
struct Broken {
    /// The first line that was not answered.
    line: u64,
    error: jaego_client::Error,
}

/// The first line of batches; the rows of a lot stand before those that are between them.
fn first_line(chunks: &[Vec<&Command>]) -> u64 {
    chunks.iter().flatten().map(|command| command.line).min().unwrap_or_default()
}

/// What is loaded where a load broke off.
fn goes_on(line: &str, all_or_none: bool) -> String {
    let loaded = if all_or_none { "what is" } else { "what is right" };
    format!("{loaded} before {line} is loaded, and loading the file again goes on there")
}

fn has_rows_of_two(chunk: &[&Command]) -> bool {
    chunk.windows(2).any(|two| two[0].line == two[1].line)
}

/// Loads the rows that are accepted, each of them with all of its commands or not at all.
///
/// Batches are atomic. One that is refused is sent again without the rows at fault.
async fn row_by_row(client: &Client, chunk: &[&Command], loaded: &mut Loaded) -> Result<(), Broken> {
    let mut left = chunk.to_vec();
    while let Some(first) = left.first() {
        let error = match client.batch_of_json(body(&left, true, None)).await {
            Ok(answer) => {
                loaded.count(&left, answer.items);
                return Ok(());
            }
            Err(error) => error,
        };
        let refused = lines_refused(&left, refusals(&error));
        if refused.is_empty() {
            return Err(Broken { line: first.line, error });
        }
        let lines: HashSet<u64> = refused.iter().map(|refused| refused.begin).collect();
        left.retain(|command| !lines.contains(&command.line));
        loaded.refused.extend(refused);
    }
    Ok(())
}

/// The batches in which commands are given. What a row says is in one, and so is all that a file of stock has of a lot,
/// unless that alone is more than a batch.
pub(super) fn chunks(commands: &[Command]) -> Vec<Vec<&Command>> {
    let mut chunks: Vec<Vec<&Command>> = Vec::new();
    let mut size = Size::default();
    let is_row = |one: &Command, next: &Command| one.line == next.line;
    let is_lot = |one: &Command, next: &Command| one.lot.is_some() && one.lot == next.lot;
    for lot in commands.chunk_by(|one, next| is_row(one, next) || is_lot(one, next)) {
        let mut is_full = !size.has_room(&Size::of(lot));
        for row in lot.chunk_by(is_row) {
            let of_row = Size::of(row);
            if is_full || chunks.is_empty() || !size.has_room(&of_row) {
                chunks.push(Vec::new());
                size = Size::default();
                is_full = false;
            }
            size.add(&of_row);
            if let Some(chunk) = chunks.last_mut() {
                chunk.extend(row);
            }
        }
    }
    chunks
}

/// How large a batch is.
#[derive(Default)]
struct Size {
    commands: usize,
    lines: usize,
    bytes: usize,
}

impl Size {
    fn of(commands: &[Command]) -> Self {
        Self {
            commands: commands.len(),
            lines: commands.iter().map(|command| command.lines).sum(),
            bytes: commands.iter().map(|command| command.json.len()).sum(),
        }
    }

    fn add(&mut self, other: &Self) {
        self.commands += other.commands;
        self.lines += other.lines;
        self.bytes += other.bytes;
    }

    /// Whether so much more goes in. An empty batch takes what is too large for any: the service says so.
    fn has_room(&self, more: &Self) -> bool {
        self.commands == 0
            || (self.commands + more.commands <= CHUNK_COMMANDS_MAX
                && self.lines + more.lines <= BATCH_LINES_MAX
                && self.bytes + more.bytes <= BATCH_BYTES_MAX)
    }
}

pub(super) fn body(chunk: &[&Command], atomic: bool, last: Option<&str>) -> Vec<u8> {
    let mut body = format!("{{\"atomic\":{atomic},\"commands\":[");
    let commands = chunk.iter().map(|command| &*command.json).chain(last);
    for (index, command) in commands.enumerate() {
        if index > 0 {
            body.push(',');
        }
        body.push_str(command);
    }
    body.push_str("]}");
    body.into_bytes()
}
