//! The plain batch: holds and nothing else, in the shape that nearly every program writes. It is read several times
//! faster than by the reader that knows all shapes, and to the same requests.
//!
//! Whatever is not plain (another command, an escape, a key, a field that is wrong in any way) ends this reader
//! without a word, and [`super::body`] reads the batch from its beginning: there is one place that says what is
//! wrong with a body, and in which words.

use std::sync::LazyLock;

use jaego_domain::{
    Code, Command, Quantity, Request,
    command::{HoldLine, Lines, PlaceHold},
};

use crate::{
    body::BatchRequest,
    limits::{BATCH_COMMANDS_MAX, BATCH_LINES_MAX, CODE_BYTES_MAX, LINES_MAX, QUANTITY_MAX},
    table::{self, CommandRow},
    value::identifier,
};

/// The command that plain batches are of.
static HOLD: LazyLock<&CommandRow> =
    LazyLock::new(|| table::command("hold").expect("holds are in the table of commands"));

/// Bytes that a short command takes in a batch: those of its names and signs, and of short codes.
const COMMAND_BYTES: usize = 64;
/// Digits that a number surely fits with.
const DIGITS_MAX: usize = 15;

/// Reads a batch if it is plain.
pub(crate) fn read(body: &str, by: &Code) -> Option<BatchRequest> {
    let mut reader = Reader { body, at: 0 };
    let mut batch = BatchRequest::default();
    let (mut atomic, mut has_commands) = (None, false);
    reader.token(b'{')?;
    loop {
        match reader.name()? {
            "atomic" if atomic.is_none() => atomic = Some(reader.flag()?),
            "commands" if !has_commands => {
                has_commands = true;
                commands(&mut reader, &mut batch, by)?;
            }
            _ => return None,
        }
        if !reader.goes_on(b'}')? {
            break;
        }
    }
    reader.blank();
    if reader.at < body.len() || !has_commands {
        return None;
    }
    batch.atomic = atomic.unwrap_or_default();
    Some(batch)
}

fn commands(reader: &mut Reader<'_>, batch: &mut BatchRequest, by: &Code) -> Option<()> {
    // About as many as there can be: growing would copy every request twice.
    batch.requests.reserve((reader.body.len() / COMMAND_BYTES).min(BATCH_COMMANDS_MAX));
    batch.ids.reserve(reader.body.len() / COMMAND_BYTES, reader.body.len() / 4);
    let mut lines = 0;
    reader.token(b'[')?;
    loop {
        let hold = hold(reader)?;
        lines += hold.lines.len();
        if batch.requests.len() == BATCH_COMMANDS_MAX || lines > BATCH_LINES_MAX {
            return None;
        }
        batch.ids.push(hold.id.as_str());
        batch.requests.push(Request::new(Command::PlaceHold(hold), None, by.clone()).ok()?);
        if !reader.goes_on(b']')? {
            break;
        }
    }
    batch.role = Some((HOLD.role, HOLD.op));
    Some(())
}

fn hold(reader: &mut Reader<'_>) -> Option<PlaceHold> {
    reader.token(b'{')?;
    if reader.name()? != "op" || reader.text()? != HOLD.op {
        return None;
    }
    let (mut id, mut owner, mut lines, mut expires_in_ms) = (None, None, None, None);
    while reader.goes_on(b'}')? {
        match reader.name()? {
            "id" if id.is_none() => id = Some(reader.code("id")?),
            "owner" if owner.is_none() => owner = Some(reader.code("owner")?),
            "lines" if lines.is_none() => lines = Some(hold_lines(reader)?),
            "expires_in_s" if expires_in_ms.is_none() => {
                expires_in_ms = Some(reader.number()?.checked_mul(1_000)?);
            }
            _ => return None,
        }
    }
    Some(PlaceHold { id: id?, owner, lines: lines?, expires_in_ms, partial: false, strategy: None })
}

fn hold_lines(reader: &mut Reader<'_>) -> Option<Lines> {
    let mut lines = Lines::new();
    reader.token(b'[')?;
    loop {
        if lines.len() == LINES_MAX {
            return None;
        }
        lines.push(hold_line(reader)?);
        if !reader.goes_on(b']')? {
            return Some(lines);
        }
    }
}

fn hold_line(reader: &mut Reader<'_>) -> Option<HoldLine> {
    let (mut site, mut sku, mut quantity, mut location, mut lot) = (None, None, None, None, None);
    reader.token(b'{')?;
    loop {
        match reader.name()? {
            "site" if site.is_none() => site = Some(reader.code("site")?),
            "sku" if sku.is_none() => sku = Some(reader.code("sku")?),
            "quantity" if quantity.is_none() => {
                quantity = Some(Quantity::new("quantity", reader.number()?).ok()?);
            }
            "location" if location.is_none() => location = Some(reader.code("location")?),
            "lot" if lot.is_none() => lot = Some(reader.code("lot")?),
            _ => return None,
        }
        if !reader.goes_on(b'}')? {
            break;
        }
    }
    Some(HoldLine { site: site?, sku: sku?, quantity: quantity?, location, lot })
}

/// Where the reading is. Every step is `None` where the text is not plain.
struct Reader<'a> {
    body: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.body.as_bytes().get(self.at).copied()
    }

    /// Passes what may stand between two signs.
    fn blank(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// The next sign.
    fn sign(&mut self) -> Option<u8> {
        let mut byte = self.peek()?;
        if byte <= b' ' {
            self.blank();
            byte = self.peek()?;
        }
        self.at += 1;
        Some(byte)
    }

    fn token(&mut self, token: u8) -> Option<()> {
        (self.sign()? == token).then_some(())
    }

    /// Whether a comma follows, or the end of what is listed.
    fn goes_on(&mut self, end: u8) -> Option<bool> {
        match self.sign()? {
            b',' => Some(true),
            byte if byte == end => Some(false),
            _ => None,
        }
    }

    /// A text without escapes, short enough to be a code.
    fn text(&mut self) -> Option<&'a str> {
        self.token(b'"')?;
        let rest = &self.body.as_bytes()[self.at..];
        let len = rest.iter().take(CODE_BYTES_MAX + 1).position(|byte| matches!(byte, b'"' | b'\\'))?;
        if rest[len] == b'\\' {
            return None;
        }
        let text = &self.body[self.at..self.at + len];
        self.at += len + 1;
        Some(text)
    }

    fn name(&mut self) -> Option<&'a str> {
        let name = self.text()?;
        self.token(b':')?;
        Some(name)
    }

    fn code(&mut self, field: &'static str) -> Option<Code> {
        identifier(field, self.text()?).ok()
    }

    /// A whole number as a machine writes it.
    fn number(&mut self) -> Option<u64> {
        let first = self.sign()?;
        if !first.is_ascii_digit() {
            return None;
        }
        let mut number = u64::from(first - b'0');
        for _ in 0..DIGITS_MAX {
            match self.peek()? {
                digit @ b'0'..=b'9' if number > 0 => number = number * 10 + u64::from(digit - b'0'),
                b'0'..=b'9' | b'.' | b'e' | b'E' => return None,
                _ => return (number <= QUANTITY_MAX).then_some(number),
            }
            self.at += 1;
        }
        None
    }

    fn flag(&mut self) -> Option<bool> {
        self.blank();
        let rest = &self.body.as_bytes()[self.at..];
        let (word, flag): (&[u8], bool) =
            if rest.starts_with(b"true") { (b"true", true) } else { (b"false", false) };
        rest.starts_with(word).then(|| {
            self.at += word.len();
            flag
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::read_any;

    fn by() -> Code {
        Code::new("by", "tester").expect("a code")
    }

    /// What this reader takes, the other one must take as well, and come to the same. Says whether it took it.
    fn is_plain(body: &str) -> bool {
        let Some(plain) = read(body, &by()) else { return false };
        let any = read_any(body, &by()).unwrap_or_else(|problem| panic!("{body}: {problem:?}"));
        assert_eq!(
            (plain.atomic, &plain.requests, &plain.ids, plain.role),
            (any.atomic, &any.requests, &any.ids, any.role),
            "{body}"
        );
        assert!(plain.refused.is_empty() && any.refused.is_empty(), "{body}");
        true
    }

    const BATCH: &str = r#"{"atomic":true,"commands":[
        {"op":"hold","id":"H-1","owner":"cart.7","lines":[{"site":"ICN","sku":"mug","quantity":10}]},
        {"op" : "hold", "expires_in_s": 600, "lines": [
            {"quantity": 9007199254740, "lot": "L1", "sku": "a", "location": "A-01", "site": "PUS"},
            {"site":"ICN","sku":"mug","quantity":1}], "id": "H:2"}]}"#;

    #[test]
    fn holds_are_read_like_any_other_command() {
        let long = "x".repeat(64);
        for (body, expected) in [
            (BATCH, true),
            (&BATCH.replace('\n', "\r\n\t"), true),
            (&BATCH.replace("\"atomic\":true,", ""), true),
            (&BATCH.replace("true", "false"), true),
            (&BATCH.replace("H-1", &long), true),
            // What is not plain is left to the other reader.
            (&BATCH.replace("H-1", &format!("{long}x")), false),
            (&BATCH.replace("H-1", "H 1"), false),
            (&BATCH.replace("H-1", "H\\u0031"), false),
            (&BATCH.replace("H-1", "재고"), false),
            (&BATCH.replace("600", "0"), false),
            (&BATCH.replace("600", "null"), false),
            (&BATCH.replace(":10", ":10.0"), false),
            (&BATCH.replace(":10", ":1e1"), false),
            (&BATCH.replace(":10", ":010"), false),
            (&BATCH.replace(":10", ":0"), false),
            (&BATCH.replace(":10", ":-1"), false),
            (&BATCH.replace("\"hold\"", "\"release_hold\""), false),
            (&BATCH.replace("\"owner\"", "\"key\""), false),
            (&BATCH.replace("\"owner\"", "\"id\""), false),
            (r#"{"commands":[]}"#, false),
            (r#"{"atomic":true}"#, false),
            ("", false),
        ] {
            assert_eq!(is_plain(body), expected, "{body}");
        }
    }

    #[test]
    fn no_damage_is_read_as_something_else() {
        let mut plain = 0;
        for at in 0..BATCH.len() {
            let (before, after) = (&BATCH[..at], &BATCH[at + 1..]);
            plain += u32::from(is_plain(before)) + u32::from(is_plain(&format!("{before}{after}")));
            for byte in r#"{}[]",:\\ 019ax.-eE+"#.chars() {
                plain += u32::from(is_plain(&format!("{before}{byte}{after}")));
                plain += u32::from(is_plain(&format!("{before}{byte}{}", &BATCH[at..])));
            }
        }
        assert!(plain > 1_000, "some damage leaves a batch plain: {plain}");
    }

    #[test]
    fn too_many_are_left_to_who_counts_them() {
        let hold = r#"{"op":"hold","id":"H","lines":[{"site":"ICN","sku":"mug","quantity":1}]}"#;
        let of = |count: usize| format!(r#"{{"commands":[{}]}}"#, vec![hold; count].join(","));
        assert!(is_plain(&of(BATCH_COMMANDS_MAX)));
        assert!(!is_plain(&of(BATCH_COMMANDS_MAX + 1)));
    }
}
