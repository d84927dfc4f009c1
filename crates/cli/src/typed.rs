//! The command that was given, as it was typed: whoever typed flags and lines never saw the fields of a request.

use clap::{Arg, ArgMatches, Command, CommandFactory};
use jaego_api::Problem;
use serde_json::Value;

/// Characters of a typed line that are shown; escapes count for what they are.
const TYPED_SHOWN_MAX: usize = 80;

/// A command with its flags, without those that it is one of, and what was said to it.
pub(crate) struct Given<'a> {
    command: Command,
    matches: &'a ArgMatches,
}

impl<'a> Given<'a> {
    pub(crate) fn new(matches: &'a ArgMatches) -> Self {
        let mut command = crate::Cli::command();
        command.build();
        let mut matches = matches;
        while let Some((name, inner)) = matches.subcommand() {
            let found = command.find_subcommand(name).cloned();
            (command, matches) = (found.expect("what was given is a command"), inner);
        }
        Self { command, matches }
    }

    pub(crate) fn command(&self) -> &Command {
        &self.command
    }

    /// What a problem tells, with what was typed in the place of the field that it names: `line 2, mug=0: quantity is zero`
    /// instead of `lines[1].quantity is zero`, and `--from` instead of `from`.
    pub(crate) fn detail(&self, problem: &Problem) -> String {
        self.in_words(problem).unwrap_or_else(|| problem.detail.clone())
    }

    fn in_words(&self, problem: &Problem) -> Option<String> {
        let field = problem.facts.get("field").and_then(Value::as_str)?;
        let rest = problem.detail.strip_prefix(field).filter(|rest| rest.starts_with([' ', ':']))?;
        let Some((index, name)) = line_field(field) else {
            return Some(format!("{}{rest}", self.word(field)?));
        };
        let line = self.line(index)?;
        // The sentence says by itself what is wrong with the line; only a bad value is one of a name.
        match rest.strip_prefix(": ") {
            Some(sentence) if problem.code != "malformed" => Some(format!("{line}: {sentence}")),
            _ => Some(format!("{line}: {name}{rest}")),
        }
    }

    /// The line at an index, from 0, as it was typed, or which row of a file it is.
    fn line(&self, index: usize) -> Option<String> {
        let raw = |id| self.matches.try_get_raw(id).ok().flatten();
        if let Some(typed) = raw("lines").and_then(|mut lines| lines.nth(index)) {
            let typed = shown(&typed.to_string_lossy());
            // Where lines of a document are named, a number would be taken for that of one.
            return Some(match self.names_lines() {
                true => typed,
                false => format!("line {}, {typed}", index + 1),
            });
        }
        let file = raw("file")?.next()?;
        Some(format!("row {} of {}", index + 1, file.to_string_lossy()))
    }

    /// Whether what is typed begins with the name of a document's line, and not with a SKU.
    fn names_lines(&self) -> bool {
        let lines = self.command.get_arguments().find(|argument| argument.get_id() == "lines");
        let names = lines.and_then(Arg::get_value_names);
        names.is_some_and(|names| names.iter().any(|name| name.starts_with("LINE")))
    }

    /// The flag, or the place on the command line, that says a field.
    fn word(&self, field: &str) -> Option<String> {
        let without_unit = field.strip_suffix("_in_s").or_else(|| field.strip_suffix("_s")).unwrap_or(field);
        let flag = without_unit.replace('_', "-");
        let mut arguments = self.command.get_arguments();
        if arguments.any(|argument| argument.get_long() == Some(&flag)) {
            return Some(format!("--{flag}"));
        }
        let mut places = self.command.get_positionals();
        let place = places.find(|place| place.get_id() == field)?;
        place.get_value_names()?.first().map(ToString::to_string)
    }
}

/// The index and the rest of a field such as `lines[1].quantity`.
fn line_field(field: &str) -> Option<(usize, &str)> {
    let (index, name) = field.strip_prefix("lines[")?.split_once("].")?;
    Some((index.parse().ok()?, name))
}

/// Something that was typed, on one line and no longer than people read.
fn shown(typed: &str) -> String {
    let mut escaped = typed.chars().flat_map(char::escape_debug);
    let mut text: String = escaped.by_ref().take(TYPED_SHOWN_MAX).collect();
    if escaped.next().is_some() {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(typed: &[&str], code: &str, field: &str, detail: &str) -> String {
        let words = ["jaego"].iter().chain(typed);
        let matches = crate::Cli::command().try_get_matches_from(words).unwrap();
        let problem = serde_json::json!({
            "type": "about:blank", "title": "", "status": 400, "code": code, "detail": detail, "field": field,
        });
        Given::new(&matches).detail(&serde_json::from_value(problem).unwrap())
    }

    #[test]
    fn a_refusal_names_what_was_typed() {
        let hold: &[_] =
            &["hold", "place", "H1", "--site", "ICN", "mug=4", "pot/L7@A-01=0", "--expires", "9d"];
        let request: &[_] =
            &["transfer", "request", "a b", "--from", "I CN", "--to", "GMP", "--file", "l.csv"];
        let ship: &[_] = &["transfer", "ship", "T1", "S1", "2=1", "7=5"];
        let long = format!("{}=0", "m\u{1b}".repeat(40));
        let odd: &[_] = &["hold", "place", "H1", &long];
        let cases = [
            (
                hold,
                "invalid_value",
                "lines[1].quantity",
                " is zero",
                "line 2, pot/L7@A-01=0: quantity is zero",
            ),
            (
                hold,
                "sku_not_found",
                "lines[0].sku",
                ": there is no SKU mug",
                "line 1, mug=4: there is no SKU mug",
            ),
            (
                hold,
                "malformed",
                "lines[1].quantity",
                ": is a text",
                "line 2, pot/L7@A-01=0: quantity: is a text",
            ),
            (hold, "invalid_value", "lines[2].quantity", " is zero", "lines[2].quantity is zero"),
            (hold, "invalid_value", "expires_in_s", " is zero", "--expires is zero"),
            (hold, "invalid_value", "body", " is odd", "body is odd"),
            (
                request,
                "sku_not_found",
                "lines[3].sku",
                ": there is no SKU pot",
                "row 4 of l.csv: there is no SKU pot",
            ),
            (request, "invalid_value", "from", " is \"I CN\"", "--from is \"I CN\""),
            (request, "invalid_value", "id", " is \"a b\"", "ID is \"a b\""),
            (ship, "line_not_found", "lines[1].line", ": T1 has no line 7", "7=5: T1 has no line 7"),
        ];
        for (typed, code, field, rest, expected) in cases {
            assert_eq!(told(typed, code, field, &format!("{field}{rest}")), expected);
        }
        let cut = format!("line 1, {}m\\u…: sku is odd", "m\\u{1b}".repeat(11));
        assert_eq!(told(odd, "invalid_value", "lines[0].sku", "lines[0].sku is odd"), cut);
    }

    #[test]
    fn another_thing_that_is_refused_is_told_as_it_is() {
        assert_eq!(told(&["status"], "invalid_value", "lines[0].sku", "no"), "no");
        assert_eq!(told(&["hold", "show", "H1"], "invalid_value", "hold", "holds end"), "holds end");
    }
}
