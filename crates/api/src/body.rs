//! Reading commands from JSON: alone on their routes, and in batches.
//!
//! A body is read once, straight into the fields of its command; nothing is kept in between. Where that fails it
//! is read a second time by a reader that remembers where it is, only to say in which field the trouble lies.

use std::{borrow::Cow, fmt};

use jaego_domain::{Code, Command, Refusal, Request, command::Fenced};
use serde::{
    Deserialize, Deserializer,
    de::{
        DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
        value::{BorrowedStrDeserializer, CowStrDeserializer},
    },
};
use serde_json::value::RawValue;

use crate::{
    limits::{BATCH_COMMANDS_MAX, BATCH_LINES_MAX},
    plain,
    problem::Problem,
    table::{self, CommandRow, Repeat, Role, read_fields},
    value::{Text, Word, identifier},
};

/// The header that carries a request key.
pub const KEY_HEADER: &str = "idempotency-key";
/// The header that carries the fence of a lock, as `RESOURCE=FENCE`.
pub const FENCED_HEADER: &str = "jaego-fenced";
/// The header of every answer that says which event it rests on.
pub const SEQUENCE_HEADER: &str = "jaego-sequence";
/// The media type of one command or answer a line.
pub const NDJSON_TYPE: &str = "application/x-ndjson";

/// What comes with a request beside its body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks<'a> {
    /// The request key, from [`KEY_HEADER`].
    pub key: Option<&'a str>,
    /// The fence of a lock, from [`FENCED_HEADER`].
    pub fenced: Option<&'a str>,
}

/// Reads a request from the body of a command's own route.
///
/// `path` has the names and values of the path's parameters, `by` is the name of the caller. An empty body is an empty
/// object.
///
/// # Errors
/// `malformed` (400), or what the values are refused for (413, 422).
pub fn read_request(
    row: &'static CommandRow,
    path: &[(&str, &str)],
    marks: Marks<'_>,
    by: &Code,
    body: &[u8],
) -> Result<Request, Box<Problem>> {
    let body = utf8(body)?;
    let body = if body.trim_ascii().is_empty() { "{}" } else { body };
    let key = marks.key.map(|key| identifier("idempotency-key", key)).transpose()?;
    let fenced = marks.fenced.map(fence).transpose()?;
    let command = read(body, |reader| {
        reader.deserialize_map(OneCommand {
            row: Some(row),
            path,
            in_batch: false,
            found: &mut Found::default(),
        })
    });
    let command = command.map_err(|error| {
        let field = place(body, |reader| {
            let found = &mut Found::default();
            reader.deserialize_map(OneCommand { row: Some(row), path, in_batch: false, found }).map(drop)
        });
        malformed(&error, &field)
    })?;
    let request = Request::new(command?, key, by.clone())?;
    Ok(match fenced {
        Some(fenced) => request.fenced(fenced),
        None => request,
    })
}

/// Reads `RESOURCE=FENCE`, of a resource that a path can name.
fn fence(text: &str) -> Result<Fenced, Refusal> {
    let fenced = Fenced::parse(text)?;
    identifier("fenced", fenced.resource().as_str())?;
    Ok(fenced)
}

/// Bytes that a short command takes in a batch.
const COMMAND_BYTES: usize = 96;

/// A batch, read and checked.
#[derive(Debug, Default)]
pub struct BatchRequest {
    /// All or nothing.
    pub atomic: bool,
    /// The requests whose values are as they should be, in order.
    pub requests: Vec<Request>,
    /// The commands that were refused for their values, by their index from 0 in the batch, in order.
    pub refused: Vec<(usize, Refusal)>,
    /// For every command of the batch the id of what it is about.
    pub ids: Subjects,
    /// The greatest role that a command of the batch asks for, and that command's name; `None` if it is empty.
    pub role: Option<(Role, &'static str)>,
}

/// What the commands of a batch are about: a text for each, empty where its values could not be read. They stand in
/// one text, so that a batch of thousands takes no allocation for each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subjects {
    texts: String,
    /// Where each of them ends.
    ends: Vec<usize>,
}

impl Subjects {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let mut start = 0;
        self.ends.iter().map(move |end| &self.texts[std::mem::replace(&mut start, *end)..*end])
    }

    /// The one of this index.
    pub(crate) fn get(&self, index: usize) -> &str {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.texts[start..self.ends[index]]
    }

    pub(crate) fn push(&mut self, subject: &str) {
        self.texts.push_str(subject);
        self.ends.push(self.texts.len());
    }

    pub(crate) fn reserve(&mut self, count: usize, bytes: usize) {
        self.ends.reserve(count.min(BATCH_COMMANDS_MAX));
        self.texts.reserve(bytes.min(BATCH_COMMANDS_MAX * COMMAND_BYTES));
    }

    /// Fills up with empty texts.
    fn resize(&mut self, count: usize) {
        self.ends.resize(count, self.texts.len());
    }
}

impl<const N: usize> PartialEq<[&str; N]> for Subjects {
    fn eq(&self, other: &[&str; N]) -> bool {
        self.iter().eq(other.iter().copied())
    }
}

/// How a batch comes and how it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchFormat {
    /// One object: `{"atomic": …, "commands": […]}`.
    Json,
    /// One command a line.
    Ndjson,
}

/// Reads a batch: one object with `commands` and perhaps `atomic`.
///
/// A command names its operation as `op`, its request key as `key`, its fence as `fenced`, and the parameters of its path among its
/// other fields. Commands are read fastest where `op` comes first.
///
/// # Errors
/// `malformed` (400) if any part cannot be read, `too_large` (413) past a limit. A command refused for its values
/// is no error: it is in [`BatchRequest::refused`].
pub fn read_batch(body: &[u8], by: &Code) -> Result<BatchRequest, Box<Problem>> {
    let body = utf8(body)?;
    match plain::read(body, by) {
        Some(batch) => Ok(batch),
        None => read_any(body, by),
    }
}

/// Reads a batch of any shape.
pub(crate) fn read_any(body: &str, by: &Code) -> Result<BatchRequest, Box<Problem>> {
    let mut taken = Taken::new(by);
    // About as many as there can be: growing would copy every request twice.
    taken.batch.requests.reserve((body.len() / COMMAND_BYTES).min(BATCH_COMMANDS_MAX));
    let mut outcome = read(body, |reader| reader.deserialize_map(Whole { taken: &mut taken, body }));
    if outcome.is_err() && taken.found.op_came_late {
        taken = Taken::new(by);
        taken.raw = true;
        outcome = read(body, |reader| reader.deserialize_map(Whole { taken: &mut taken, body }));
    }
    match outcome {
        Ok(()) => taken.finish(),
        Err(error) => {
            if let Some(problem) = taken.problem {
                return Err(problem);
            }
            let field = place(body, |reader| {
                let mut scratch = Taken::new(by);
                scratch.raw = taken.raw;
                reader.deserialize_map(Whole { taken: &mut scratch, body })
            });
            Err(malformed(&error, &field))
        }
    }
}

/// Reads a batch of one command a line. Empty lines count for nothing.
///
/// # Errors
/// Those of [`read_batch`].
pub fn read_ndjson(body: &[u8], atomic: bool, by: &Code) -> Result<BatchRequest, Box<Problem>> {
    let body = utf8(body)?;
    let mut taken = Taken::new(by);
    taken.batch.atomic = atomic;
    for (index, line) in body.split('\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        if taken.batch.ids.len() == BATCH_COMMANDS_MAX {
            taken.count += 1;
            continue;
        }
        taken.take_text(line, || (index + 1, 0))?;
    }
    taken.finish()
}

/// Reads one command that comes by itself, in the form that it has in a batch: with `op`, and perhaps with `key`.
///
/// Without a `key` of its own it gets `key`, unless it makes a document: its id is its key, for ever, where request
/// keys are forgotten.
///
/// # Errors
/// Those of [`read_batch`]. A command refused for its values is in [`BatchRequest::refused`].
pub fn read_command(body: &[u8], key: &Code, by: &Code) -> Result<BatchRequest, Box<Problem>> {
    let body = utf8(body)?;
    let mut taken = Taken::new(by);
    taken.key = Some(key);
    match taken.read_text(body) {
        Ok(command) => taken.take(command),
        Err((error, field)) => return Err(malformed(&error, &field)),
    }
    taken.finish()
}

fn utf8(body: &[u8]) -> Result<&str, Box<Problem>> {
    std::str::from_utf8(body).map_err(|error| {
        let at = error.valid_up_to();
        Box::new(Problem::new("malformed", format!("the body is not UTF-8 at byte {at}")).with("byte", at))
    })
}

/// Runs a reader over all of a text.
fn read<'de, T>(
    text: &'de str,
    reading: impl FnOnce(&mut serde_json::Deserializer<serde_json::de::StrRead<'de>>) -> serde_json::Result<T>,
) -> serde_json::Result<T> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = reading(&mut reader)?;
    reader.end()?;
    Ok(read)
}

type JsonReader<'r, 'de> = &'r mut serde_json::Deserializer<serde_json::de::StrRead<'de>>;

/// Where a reader stops, such as `lines[2].quantity`; empty if that is no field.
fn place<'de>(
    text: &'de str,
    reading: impl FnOnce(serde_path_to_error::Deserializer<'_, '_, JsonReader<'_, 'de>>) -> serde_json::Result<()>,
) -> String {
    let mut reader = serde_json::Deserializer::from_str(text);
    let mut track = serde_path_to_error::Track::new();
    let read = reading(serde_path_to_error::Deserializer::new(&mut reader, &mut track));
    if read.is_ok() {
        return String::new();
    }
    match track.path().to_string() {
        root if root == "." => String::new(),
        // The tail is unknown where the text ends inside of a name.
        field => field.trim_end_matches('?').trim_end_matches('.').to_owned(),
    }
}

/// The problem of a body that cannot be read.
fn malformed(error: &serde_json::Error, field: &str) -> Box<Problem> {
    malformed_at(error, field, (error.line(), error.column()))
}

fn malformed_at(error: &serde_json::Error, field: &str, (line, column): (usize, usize)) -> Box<Problem> {
    let said = error.to_string();
    let reason = said.rsplit_once(" at line ").map_or(said.as_str(), |(reason, _)| reason);
    // Where the reader is not inside of the field, the message alone names it.
    let starts = ["missing field `", "duplicate field `", "unknown field `"];
    let named = starts.iter().find_map(|start| reason.strip_prefix(start)?.split('`').next());
    let field = match named {
        Some(name) if field.is_empty() => Cow::Borrowed(name),
        Some(name) if field != name && !field.ends_with(&format!(".{name}")) => {
            Cow::Owned(format!("{field}.{name}"))
        }
        _ => Cow::Borrowed(field),
    };
    let place = format!("line {line} column {column}");
    let detail = match &*field {
        "" => format!("{reason}, at {place}"),
        field => format!("{field}: {reason}, at {place}"),
    };
    let mut problem = Problem::new("malformed", detail).with("line", line).with("column", column);
    if !field.is_empty() {
        problem = problem.with("field", &*field);
    }
    Box::new(problem)
}

/// What is learned of a command beside its own fields.
#[derive(Default)]
struct Found<'de> {
    key: Option<Text<'de>>,
    fenced: Option<Text<'de>>,
    row: Option<&'static CommandRow>,
    /// Whether `op` was not the first field: then the command must be read a second time.
    op_came_late: bool,
}

/// Reads one command.
struct OneCommand<'s, 'de> {
    /// Which one; if it is not known, `op` must come first and tell.
    row: Option<&'static CommandRow>,
    /// Fields that came with the path.
    path: &'s [(&'de str, &'de str)],
    /// Whether `op`, `key` and `fenced` may be among the fields.
    in_batch: bool,
    found: &'s mut Found<'de>,
}

impl<'de> Visitor<'de> for OneCommand<'_, 'de> {
    type Value = Result<Command, Refusal>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let row = match self.row {
            Some(row) => row,
            None => match map.next_key::<Text<'de>>()? {
                Some(first) if first.as_str() == "op" => {
                    let op: Text<'de> = map.next_value()?;
                    table::command(op.as_str()).ok_or_else(|| no_operation(op.as_str()))?
                }
                Some(_) => {
                    self.found.op_came_late = true;
                    return Err(A::Error::custom("op is not the first field"));
                }
                None => return Err(A::Error::missing_field("op")),
            },
        };
        self.found.row = Some(row);
        self.found.key = None;
        self.found.fenced = None;
        read_fields(
            row.op,
            Fields {
                path: self.path.iter(),
                value: None,
                in_batch: self.in_batch,
                op_is_left: self.in_batch && self.row.is_some(),
                key: &mut self.found.key,
                fenced: &mut self.found.fenced,
                map,
            },
        )
    }
}

fn no_operation<E: Error>(op: &str) -> E {
    E::custom(format_args!("there is no operation called {op:?}"))
}

impl<'de> DeserializeSeed<'de> for OneCommand<'_, 'de> {
    type Value = Result<Command, Refusal>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

/// The fields of a command: first those of the path, then those of the body. In a batch, `op`, `key` and
/// `fenced` are taken out on the way. A field that comes twice, from the path and from the body too, is refused by its reader.
struct Fields<'s, 'de, A> {
    path: std::slice::Iter<'s, (&'de str, &'de str)>,
    value: Option<&'de str>,
    in_batch: bool,
    op_is_left: bool,
    key: &'s mut Option<Text<'de>>,
    fenced: &'s mut Option<Text<'de>>,
    map: A,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Fields<'_, 'de, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        if let Some((name, value)) = self.path.next() {
            self.value = Some(value);
            return seed.deserialize(BorrowedStrDeserializer::new(name)).map(Some);
        }
        if !self.in_batch {
            return self.map.next_key_seed(seed);
        }
        loop {
            let Some(name) = self.map.next_key::<Text<'de>>()? else { return Ok(None) };
            match name.into_cow() {
                Cow::Borrowed("key") if self.key.is_none() => *self.key = self.map.next_value()?,
                Cow::Borrowed("key") => return Err(A::Error::duplicate_field("key")),
                Cow::Borrowed("fenced") if self.fenced.is_none() => *self.fenced = self.map.next_value()?,
                Cow::Borrowed("fenced") => return Err(A::Error::duplicate_field("fenced")),
                Cow::Borrowed("op") if self.op_is_left => {
                    self.op_is_left = false;
                    self.map.next_value::<IgnoredAny>()?;
                }
                Cow::Borrowed("op") => return Err(A::Error::duplicate_field("op")),
                Cow::Borrowed(name) => return seed.deserialize(BorrowedStrDeserializer::new(name)).map(Some),
                Cow::Owned(name) => return seed.deserialize(CowStrDeserializer::new(name.into())).map(Some),
            }
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        match self.value.take() {
            Some(value) => seed.deserialize(BorrowedStrDeserializer::new(value)),
            None => self.map.next_value_seed(seed),
        }
    }
}

/// The commands of a batch as they come in.
struct Taken<'b, 'de> {
    by: &'b Code,
    /// The key of a command that names none.
    key: Option<&'b Code>,
    batch: BatchRequest,
    found: Found<'de>,
    /// How many commands there were, those past the limit included.
    count: usize,
    lines: usize,
    /// Whether each command is read a second time, because its `op` may be anywhere.
    raw: bool,
    /// What a command read by itself was refused for.
    problem: Option<Box<Problem>>,
}

impl<'b, 'de> Taken<'b, 'de> {
    fn new(by: &'b Code) -> Self {
        Self {
            by,
            key: None,
            batch: BatchRequest::default(),
            found: Found::default(),
            count: 0,
            lines: 0,
            raw: false,
            problem: None,
        }
    }

    fn take(&mut self, command: Result<Command, Refusal>) {
        let index = self.count;
        self.count += 1;
        let row = self.found.row.expect("a command that was read has a row");
        if self.batch.role.is_none_or(|(role, _)| role < row.role) {
            self.batch.role = Some((row.role, row.op));
        }
        let lent = || self.key.filter(|_| row.repeat != Repeat::Creation).cloned();
        let key = match self.found.key.take() {
            Some(key) => key.code("key").map(Some),
            None => Ok(lent()),
        };
        let fenced = self.found.fenced.take().map(|fenced| fence(fenced.as_str())).transpose();
        let request = command.and_then(|command| {
            self.lines += command.line_count();
            self.batch.ids.push(&subject(&command));
            let request = Request::new(command, key?, self.by.clone())?;
            Ok(match fenced? {
                Some(fenced) => request.fenced(fenced),
                None => request,
            })
        });
        // A command whose values are wrong may have no id that could be shown.
        self.batch.ids.resize(self.count);
        match request {
            Ok(request) => self.batch.requests.push(request),
            Err(refusal) => self.batch.refused.push((index, refusal)),
        }
    }

    /// Takes a command from its own text, which begins at `origin` of the body: line from 1, column from 0.
    fn take_text(
        &mut self,
        text: &'de str,
        origin: impl FnOnce() -> (usize, usize),
    ) -> Result<(), Box<Problem>> {
        let index = self.count;
        match self.read_text(text) {
            Ok(command) => {
                self.take(command);
                Ok(())
            }
            Err((error, field)) => {
                let dot = if field.is_empty() { "" } else { "." };
                let field = format!("commands[{index}]{dot}{field}");
                let (line, column) = origin();
                let column = error.column() + if error.line() == 1 { column } else { 0 };
                Err(malformed_at(&error, &field, (line + error.line().max(1) - 1, column)))
            }
        }
    }

    /// Reads a command from its own text. An error comes with the field that it lies in.
    fn read_text(&mut self, text: &'de str) -> Result<Result<Command, Refusal>, (serde_json::Error, String)> {
        let found = &mut self.found;
        found.op_came_late = false;
        let mut row = None;
        let mut command =
            read(text, |reader| reader.deserialize_map(OneCommand { row, path: &[], in_batch: true, found }));
        if command.is_err() && self.found.op_came_late {
            let found = &mut self.found;
            command = serde_json::from_str(text).and_then(|Operation { op }| {
                row = Some(
                    table::command(op.as_str())
                        .ok_or_else(|| no_operation::<serde_json::Error>(op.as_str()))?,
                );
                read(text, |reader| {
                    reader.deserialize_map(OneCommand { row, path: &[], in_batch: true, found })
                })
            });
        }
        command.map_err(|error| {
            let nameless = self.found.op_came_late && row.is_none();
            let field = place(text, |reader| {
                if nameless {
                    return Ok(());
                }
                let found = &mut Found::default();
                reader.deserialize_map(OneCommand { row, path: &[], in_batch: true, found }).map(drop)
            });
            (error, field)
        })
    }

    fn finish(self) -> Result<BatchRequest, Box<Problem>> {
        if self.count > BATCH_COMMANDS_MAX {
            return Err(Problem::too_large("commands", self.count, BATCH_COMMANDS_MAX).into());
        }
        if self.lines > BATCH_LINES_MAX {
            return Err(Problem::too_large("lines", self.lines, BATCH_LINES_MAX).into());
        }
        Ok(self.batch)
    }
}

/// Only what a command is called, wherever it says so.
#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct Operation<'a> {
    op: Text<'a>,
}

/// Reads a whole batch.
struct Whole<'s, 'b, 'de> {
    taken: &'s mut Taken<'b, 'de>,
    body: &'de str,
}

impl<'de> Visitor<'de> for Whole<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with commands")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (mut atomic, mut commands) = (None, None);
        while let Some(name) = map.next_key::<Text<'de>>()? {
            match name.as_str() {
                "atomic" if atomic.is_none() => atomic = Some(map.next_value::<bool>()?),
                "atomic" => return Err(A::Error::duplicate_field("atomic")),
                "commands" if commands.is_none() => {
                    commands = Some(map.next_value_seed(Commands { taken: self.taken, body: self.body })?);
                }
                "commands" => return Err(A::Error::duplicate_field("commands")),
                other => return Err(A::Error::unknown_field(other, &["atomic", "commands"])),
            }
        }
        if commands.is_none() {
            return Err(A::Error::missing_field("commands"));
        }
        self.taken.batch.atomic = atomic.unwrap_or_default();
        Ok(())
    }
}

/// Reads the commands of a batch.
struct Commands<'s, 'b, 'de> {
    taken: &'s mut Taken<'b, 'de>,
    body: &'de str,
}

impl<'de> DeserializeSeed<'de> for Commands<'_, '_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Commands<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of commands")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let taken = self.taken;
        while taken.count < BATCH_COMMANDS_MAX {
            if taken.raw {
                let Some(raw) = seq.next_element::<&'de RawValue>()? else { return Ok(()) };
                if let Err(problem) = taken.take_text(raw.get(), || origin(self.body, raw.get())) {
                    taken.problem = Some(problem);
                    return Err(A::Error::custom("a command cannot be read"));
                }
                continue;
            }
            let found = &mut taken.found;
            let one = OneCommand { row: None, path: &[], in_batch: true, found };
            let Some(command) = seq.next_element_seed(one)? else { return Ok(()) };
            taken.take(command);
        }
        // More than there may be: the rest is only counted, so that the refusal can say how many there were.
        while seq.next_element::<IgnoredAny>()?.is_some() {
            taken.count += 1;
        }
        Ok(())
    }
}

/// Where a part of the body begins: its line from 1, and its column from 0.
fn origin(body: &str, part: &str) -> (usize, usize) {
    let offset = part.as_ptr().addr() - body.as_ptr().addr();
    let before = &body.as_bytes()[..offset];
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count();
    (line, column)
}

/// What a command is about: the id that its answer names.
fn subject(command: &Command) -> Word {
    let code = match command {
        Command::SetSite(site) => &site.site,
        Command::SetLocation(location) => &location.location,
        Command::SetSku(sku) => &sku.sku,
        Command::SetLot(lot) => &lot.lot,
        Command::Adjust(adjust) => &adjust.id,
        Command::Move(shift) => &shift.id,
        Command::Reverse(reverse) => return reverse.movement.to_string().into(),
        Command::PlaceHold(hold) => &hold.id,
        Command::ConfirmHold(hold) => &hold.id,
        Command::ReleaseHold(hold) => &hold.id,
        Command::ExtendHold(hold) => &hold.id,
        Command::ChangeHold(hold) => &hold.id,
        Command::RequestTransfer(transfer) => &transfer.id,
        Command::AllocateTransfer(transfer) => &transfer.id,
        Command::ReleaseTransfer(transfer) => &transfer.id,
        Command::CancelTransfer(transfer) => &transfer.id,
        Command::PickTransfer(transfer) => &transfer.id,
        Command::UnpickTransfer(transfer) => &transfer.id,
        Command::ShipTransfer(transfer) => &transfer.id,
        Command::ReceiveTransfer(transfer) => &transfer.id,
        Command::CloseTransfer(transfer) => &transfer.id,
        Command::Charge(payment) | Command::Pay(payment) | Command::Refund(payment) => &payment.owner,
        Command::SetWalletLimit(set) => &set.owner,
        Command::Authorize(authorize) => &authorize.id,
        Command::Capture(capture) => &capture.authorization,
        Command::Void(void) => &void.authorization,
        Command::SetOrderAllocation(setting) => &setting.site,
        Command::PlaceOrder(order) => &order.id,
        Command::AllocateOrder(order) => &order.id,
        Command::CancelOrder(order) => &order.id,
        Command::RefundOrder(order) => &order.id,
        Command::ClaimOrder(order) => &order.id,
        Command::ClaimOrders(orders) => &orders.site,
        Command::ExtendClaim(order) => &order.id,
        Command::UnclaimOrder(order) => &order.id,
        Command::CompleteOrder(order) => &order.id,
        Command::RaiseFence(raise) => raise.fenced.resource(),
        // There is one such setting, and it has no name.
        Command::SetPriceTiers(_) => return Word::default(),
        Command::SetCard(card) => &card.card,
        Command::Propose(propose) => &propose.id,
        Command::AcceptProposal(answer)
        | Command::RejectProposal(answer)
        | Command::WithdrawProposal(answer) => &answer.id,
        Command::ClaimTransfer(transfer) => &transfer.id,
        Command::ClaimPicks(picks) => &picks.site,
        Command::ExtendTransferClaim(transfer) => &transfer.id,
        Command::UnclaimTransfer(transfer) => &transfer.id,
        Command::SetCart(cart) => &cart.id,
        Command::SetCartItem(item) => &item.id,
        Command::DiscardCart(cart) => &cart.id,
        Command::Checkout(checkout) => &checkout.id,
    };
    code.into()
}
