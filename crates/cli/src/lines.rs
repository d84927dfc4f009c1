//! Lines as an operator types them: `mug=4`, `mug/L7@01-A-01=4`, `1=3,damaged=1`.
//!
//! Codes have no `/`, `@`, `=` or `,`, so nothing has to be quoted.

use std::{fmt, path::PathBuf, str::FromStr};

use anyhow::Result;
use clap::Args;
use serde_json::{Map, Value};

use crate::{
    exit::Usage,
    rows::{self, Column, Format},
};

/// `NAME[/LOT][@LOCATION][=QUANTITY[,WORD=QUANTITY]]`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line {
    /// A SKU, or the name of a document's line.
    pub(crate) name: String,
    pub(crate) lot: Option<String>,
    pub(crate) location: Option<String>,
    pub(crate) quantity: Option<i64>,
    /// Such as `damaged=1`.
    pub(crate) extra: Option<(String, i64)>,
}

impl FromStr for Line {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let whole = |number: &str| {
            number.parse().map_err(|_| format!("{number:?} is not a whole number, as in mug=4"))
        };
        let (place, amount) = match text.split_once('=') {
            Some((place, amount)) => (place, Some(amount)),
            None => (text, None),
        };
        let (quantity, extra) = match amount.map(|amount| amount.split_once(',').unwrap_or((amount, ""))) {
            None => (None, None),
            Some((quantity, "")) => (Some(whole(quantity)?), None),
            Some((quantity, extra)) => {
                let (word, number) =
                    extra.split_once('=').ok_or_else(|| format!("{extra:?} is not like damaged=1"))?;
                (Some(whole(quantity)?), Some((word.to_owned(), whole(number)?)))
            }
        };
        let (place, location) = match place.split_once('@') {
            Some((place, location)) => (place, Some(location.to_owned())),
            None => (place, None),
        };
        let (name, lot) = match place.split_once('/') {
            Some((name, lot)) => (name, Some(lot.to_owned())),
            None => (place, None),
        };
        if name.is_empty() {
            return Err("it begins with a name, as in mug=4".to_owned());
        }
        Ok(Self { name: name.to_owned(), lot, location, quantity, extra })
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.lot.iter().try_for_each(|lot| write!(f, "/{lot}"))?;
        self.location.iter().try_for_each(|location| write!(f, "@{location}"))?;
        self.quantity.iter().try_for_each(|quantity| write!(f, "={quantity}"))
    }
}

impl Line {
    /// The fields of a line, the name as `name`, the quantity as `quantity`.
    pub(crate) fn fields(&self, name: &str, quantity: &str) -> Result<Map<String, Value>> {
        if let Some((word, _)) = &self.extra {
            return Err(Usage(format!("{word} has no meaning here, in {}", self.name)).into());
        }
        let mut fields = Map::new();
        fields.insert(name.to_owned(), self.name.as_str().into());
        let rest = [
            ("lot", self.lot.as_deref().map(Value::from)),
            ("location", self.location.as_deref().map(Value::from)),
            (quantity, self.quantity.map(Value::from)),
        ];
        fields.extend(rest.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        Ok(fields)
    }

    /// The fields of a line of stock, with what its columns need. The site may be said elsewhere.
    fn filled(&self, columns: &[Column], quantity: &str) -> Result<Map<String, Value>> {
        let fields = self.fields("sku", quantity)?;
        let is_missing = |wanted: &str| {
            let is_needed = columns.iter().any(|column| column.is_needed && column.name == wanted);
            is_needed && !fields.contains_key(wanted)
        };
        let question = match (is_missing(quantity), is_missing("location")) {
            (false, false) => return Ok(fields),
            (true, _) => "how much of",
            (false, true) => "where is",
        };
        let mut whole = self.name.clone();
        whole.extend(self.lot.iter().flat_map(|lot| ["/", lot]));
        let place = self.location.as_deref().or(is_missing("location").then_some("LOCATION"));
        whole.extend(place.iter().flat_map(|place| ["@", place]));
        let amount = self.quantity.map_or_else(|| "QUANTITY".to_owned(), |amount| amount.to_string());
        Err(Usage(format!("{question} {}? Say {whole}={amount}", self.name)).into())
    }
}

/// Lines that are typed, or stand in a file.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub(crate) struct TypedLines {
    /// SKU=QUANTITY, with /LOT and @LOCATION behind the SKU where they matter: mug=4, mug/L7@01-A-01=4
    #[arg(value_name = "SKU=QUANTITY")]
    lines: Vec<Line>,
    /// A file with the lines, CSV or JSON lines, by the names of their fields.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

impl TypedLines {
    /// Refuses a count that is negative, as it was typed.
    pub(crate) fn none_below_zero(&self) -> Result<()> {
        let is_below = |line: &&Line| line.quantity.is_some_and(|quantity| quantity < 0);
        match self.lines.iter().find(is_below) {
            Some(line) => Err(Usage(format!("{line}: a count is not negative")).into()),
            None => Ok(()),
        }
    }

    /// The fields of each line; those of a file may have these columns.
    pub(crate) fn read(&self, columns: &[Column], quantity: &str) -> Result<Vec<Map<String, Value>>> {
        let Some(file) = &self.file else {
            return self.lines.iter().map(|line| line.filled(columns, quantity)).collect();
        };
        let mut errors = rows::Errors::default();
        let bytes = rows::read_file(file)?;
        let rows = rows::read(&bytes, Format::of(file, None)?, columns, &mut errors);
        errors.into_result(file)?;
        Ok(rows.into_iter().map(|row| row.fields).collect())
    }
}

/// `LINE` or `LINE=QUANTITY` of a document.
pub(crate) fn parts(lines: &[Line], quantity: &str) -> Result<Option<Vec<Value>>> {
    let parts: Result<Vec<_>> =
        lines.iter().map(|line| Ok(Value::Object(line.fields("line", quantity)?))).collect();
    Ok(Some(parts?).filter(|parts| !parts.is_empty()))
}

/// So many of something: `1 line`, `2 lines`.
pub(crate) fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Seconds of a time like `90s`, `10m`, `2h` or `1d`.
pub(crate) fn seconds(text: &str) -> Result<u64, String> {
    let bad = || format!("{text:?} is not like 90s, 10m, 2h or 1d");
    let unit = text.chars().last().ok_or_else(bad)?;
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return Err(bad()),
    };
    let count: u64 = text[..text.len() - unit.len_utf8()].parse().map_err(|_| bad())?;
    count.checked_mul(factor).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        match text.parse::<Line>() {
            Ok(line) => format!(
                "{} {} {} {} {}",
                line.name,
                line.lot.as_deref().unwrap_or("-"),
                line.location.as_deref().unwrap_or("-"),
                line.quantity.map_or("-".to_owned(), |quantity| quantity.to_string()),
                line.extra.map_or("-".to_owned(), |(word, quantity)| format!("{word}:{quantity}")),
            ),
            Err(_) => "refused".to_owned(),
        }
    }

    #[test]
    fn lines_are_read_as_they_are_typed() {
        let cases = [
            ("mug=4", "mug - - 4 -"),
            ("mug", "mug - - - -"),
            ("mug/L7@01-A-01=4", "mug L7 01-A-01 4 -"),
            ("mug@A=-2", "mug - A -2 -"),
            ("mug@A=+2", "mug - A 2 -"),
            ("1=3,damaged=1", "1 - - 3 damaged:1"),
            ("=4", "refused"),
            ("mug=", "refused"),
            ("mug=four", "refused"),
            ("1=3,damaged", "refused"),
        ];
        for (text, expected) in cases {
            assert_eq!(told(text), expected, "{text}");
        }
    }

    #[test]
    fn a_line_that_says_too_little_is_told_what_is_wanted() {
        use crate::rows::{Kind, needed, optional};
        let hold =
            [needed("sku", Kind::Text), needed("quantity", Kind::Whole), optional("location", Kind::Text)];
        let adjust =
            [needed("site", Kind::Text), needed("location", Kind::Text), needed("change", Kind::Whole)];
        for (text, columns, quantity, expected) in [
            ("mug", &hold[..], "quantity", "how much of mug? Say mug=QUANTITY"),
            ("mug@A-01", &hold, "quantity", "how much of mug? Say mug@A-01=QUANTITY"),
            ("mug=4", &hold, "quantity", ""),
            ("mug=+5", &adjust, "change", "where is mug? Say mug@LOCATION=5"),
            ("mug", &adjust, "change", "how much of mug? Say mug@LOCATION=QUANTITY"),
            ("mug/L7=+5", &adjust, "change", "where is mug? Say mug/L7@LOCATION=5"),
            ("mug/L7@A-01", &adjust, "change", "how much of mug? Say mug/L7@A-01=QUANTITY"),
            ("mug@A-01=-5", &adjust, "change", ""),
        ] {
            let told = text.parse::<Line>().unwrap().filled(columns, quantity);
            assert_eq!(told.map_or_else(|error| error.to_string(), |_| String::new()), expected, "{text}");
        }
    }

    #[test]
    fn times_have_a_unit() {
        assert_eq!((seconds("90s"), seconds("10m"), seconds("1d")), (Ok(90), Ok(600), Ok(86_400)));
        for bad in ["", "10", "m", "-1m", "1.5h", "1w", "99999999999999999999s"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
