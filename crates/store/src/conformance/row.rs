//! Reads scenario files into rows.
//!
//! ```text
//! # A comment. Rows before the first scenario are facts of every scenario in the file.
//! set_site      ICN
//! set_location  ICN A-01 storage
//! set_sku       mug
//!
//! scenario the last item is held once
//! stock    ICN A-01 mug 10
//! hold     H1 ICN mug 4 until=60s  -> held picks=A-01:4
//! hold     H2 ICN mug 7            -> insufficient_stock requested=7 available=6
//! time     +60s
//! position ICN A-01 mug            -> on_hand 10 held 0 available 10
//! atomic
//! hold     H3 ICN mug 4
//! hold     H4 ICN mug 7
//! end                              -> refused index=1 code=insufficient_stock
//! ```
//!
//! `repeat 64` before a row makes 64 rows of it, in which `{n}` is 1, 2, 3 and so on and `{abc}` AAA, AAB, AAC.
//!
//! A row is a verb, its words, and after `->` the answer that is expected: its first word, and any of its
//! facts, as `name=value` or `name value`. A row without an answer expects to be accepted, and not as a repeat.

/// Rows that one line may be repeated as.
const REPEATS_MAX: usize = 10_000;

/// Rows that begin with an empty subject.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The file's name.
    pub file: String,
    /// The line of its first row.
    pub line: usize,
    /// What it tells.
    pub title: String,
    /// The file's facts, and its own rows.
    pub rows: Vec<Row>,
}

/// One row.
#[derive(Clone, Debug)]
pub struct Row {
    /// The line in its file, from 1.
    pub line: usize,
    /// The text, for failures.
    pub text: String,
    /// What is done: a command's name, `stock`, `time`, or what is looked at.
    pub verb: String,
    /// The other words; a comma is a word.
    pub words: Vec<String>,
    /// The answer, if the row tells one.
    pub expected: Option<Expected>,
}

/// An expected answer.
#[derive(Clone, Debug)]
pub struct Expected {
    /// All its words.
    pub words: Vec<String>,
}

/// Reads a file. The error names the line.
///
/// # Errors
/// A line that is no row, with its number.
pub fn parse(file: &str, text: &str) -> Result<Vec<Scenario>, String> {
    let mut facts: Vec<Row> = Vec::new();
    let mut scenarios: Vec<Scenario> = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(title) = line.strip_prefix("scenario") {
            let title = title.trim();
            if title.is_empty() {
                return Err(format!("{file}:{number}: a scenario needs a title"));
            }
            scenarios.push(Scenario {
                file: file.to_owned(),
                line: number,
                title: title.to_owned(),
                rows: facts.clone(),
            });
            continue;
        }
        let rows = parse_rows(line, number).map_err(|wrong| format!("{file}:{number}: {wrong}: {line}"))?;
        match scenarios.last_mut() {
            Some(scenario) => scenario.rows.extend(rows),
            None => facts.extend(rows),
        }
    }
    if scenarios.is_empty() {
        return Err(format!("{file}: there is no scenario"));
    }
    Ok(scenarios)
}

fn parse_rows(line: &str, number: usize) -> Result<Vec<Row>, String> {
    let Some(repeated) = line.strip_prefix("repeat ") else { return Ok(vec![parse_row(line, number)?]) };
    let count = repeated.trim().split_once(' ').and_then(|(count, row)| Some((count.parse().ok()?, row)));
    let Some((count @ 1..=REPEATS_MAX, row)) = count else {
        return Err(format!("repeat goes with a number up to {REPEATS_MAX} and a row"));
    };
    let row = |n: usize| {
        let row = row.trim().replace("{n}", &n.to_string()).replace("{abc}", &letters(n - 1));
        parse_row(&row, number)
    };
    (1..=count).map(row).collect()
}

/// A number as three capital letters: AAA for 0.
fn letters(number: usize) -> String {
    let letter = |place: usize| char::from(b'A' + u8::try_from(number / place % 26).expect("below 26"));
    [26 * 26, 26, 1].map(letter).iter().collect()
}

fn parse_row(line: &str, number: usize) -> Result<Row, String> {
    let (said, expected) = match line.split_once("->") {
        None => (line, None),
        Some((_, answer)) if answer.trim().is_empty() => return Err("an answer is missing after ->".into()),
        Some((said, answer)) => {
            (said, Some(Expected { words: answer.split_whitespace().map(str::to_owned).collect() }))
        }
    };
    let said = said.replace(',', " , ");
    let mut words = said.split_whitespace().map(str::to_owned);
    let Some(verb) = words.next() else { return Err("a verb is missing".into()) };
    Ok(Row { line: number, text: line.to_owned(), verb, words: words.collect(), expected })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_come_before_every_scenario_and_lines_keep_their_numbers() {
        let text = "# facts\nset_site ICN\n\nscenario one\ntime +1s\nscenario two\nhold H1 ICN a 1, ICN b 2 -> held picks=A:1,B:2";
        let scenarios = parse("x.rows", text).unwrap();
        let lines: Vec<Vec<_>> =
            scenarios.iter().map(|one| one.rows.iter().map(|row| row.line).collect()).collect();
        assert_eq!(lines, [vec![2, 5], vec![2, 7]]);
        let row = &scenarios[1].rows[1];
        assert_eq!(row.words, ["H1", "ICN", "a", "1", ",", "ICN", "b", "2"]);
        assert_eq!(row.expected.as_ref().unwrap().words, ["held", "picks=A:1,B:2"]);
    }

    #[test]
    fn a_repeated_row_counts_in_its_words_and_in_its_answer() {
        let scenarios =
            parse("x.rows", "scenario one\nrepeat 28 charge kim{n} {abc} 1 -> charged id=kim{n}").unwrap();
        let rows = &scenarios[0].rows;
        assert_eq!((rows.len(), rows[27].line), (28, 2));
        assert_eq!(rows[0].text, "charge kim1 AAA 1 -> charged id=kim1");
        assert_eq!(rows[27].text, "charge kim28 ABB 1 -> charged id=kim28");
    }

    #[test]
    fn a_line_that_is_no_row_is_named() {
        for (text, wrong) in [
            ("scenario one\ntime +1s ->", "x.rows:2: an answer is missing after ->"),
            ("scenario one\n-> held", "x.rows:2: a verb is missing"),
            ("scenario one\nrepeat many time +1s", "x.rows:2: repeat goes with a number"),
            ("scenario one\nrepeat 10001 time +1s", "x.rows:2: repeat goes with a number"),
            ("\nscenario", "x.rows:2: a scenario needs a title"),
            ("time +1s", "x.rows: there is no scenario"),
        ] {
            let error = parse("x.rows", text).unwrap_err();
            assert!(error.starts_with(wrong), "{error}");
        }
    }
}
