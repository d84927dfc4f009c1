//! What people write: token files, settings, imported files, and what is typed at a terminal.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
    str::FromStr as _,
    sync::OnceLock,
};

use jaego_queue::{AddressError, IntakeOptions, Server, StreamName};
use jaego_server::{Tokens, tokens::TokenId};
use tempfile::TempDir;

use crate::{
    lines::{self, Line},
    rows::{self, Column, Errors, Format, Kind, needed, optional},
    settings::Settings,
};

/// What such texts are made of.
pub(crate) const WORDS: &[&str] = &[
    ",",
    "\"",
    "\"\"",
    "\n",
    "\r\n",
    "\u{feff}",
    "=",
    "@",
    "/",
    ".",
    "-",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775809",
    "true",
    "yes",
    "재고",
    "\\u0000",
    "[intake]",
    "[outbox]",
    "url = ",
    "redis://",
    "rediss://",
    "unix:///",
    "tokens",
    "version",
    "sha256",
    "created_at_s",
    "\"role\":\"admin\"",
    "sites",
    "sku",
    "quantity",
    "safety_stock.",
    "prices.",
    "damaged=",
    "s",
    "m",
    "h",
    "d",
];

/// A token file. What is taken for one can be listed, and its tokens are not those of a caller who has none.
pub(crate) fn tokens(bytes: &[u8]) {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| tempfile::tempdir().expect("there is room for a file"));
    // Threads and processes have each their own.
    let name = format!("{}-{:?}", std::process::id(), std::thread::current().id());
    let path: PathBuf = folder.path().join(name);
    let _ = fs::remove_file(&path);
    let file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path);
    file.and_then(|mut file| file.write_all(bytes)).expect("there is room for a file");
    let Ok(tokens) = Tokens::open(&path) else { return };
    for info in tokens.list() {
        assert_eq!(TokenId::parse(&info.id.to_string()), Some(info.id));
        let guessed = format!("jaego_{}_{}", info.id, "0".repeat(64));
        assert!(tokens.verify(&guessed).is_none(), "a secret of zeros has been guessed");
        assert!(tokens.holder(info.id).is_some());
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = tokens.verify(text);
    }
}

/// An address of Redis, read as one without TLS: whom the machine trusts is no part of what is read.
fn address(text: &str) -> Result<Server, AddressError> {
    Server::parse(&text.replacen("rediss://", "redis://", 1).replacen("valkeys://", "valkey://", 1))
}

/// A file of settings.
pub(crate) fn settings(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(settings) = toml::from_str::<Settings>(text) else { return };
    let intake = settings.intake;
    let Some((Ok(server), Ok(stream))) =
        intake.url.map(|url| (address(&url), StreamName::new(&intake.stream.unwrap_or_default())))
    else {
        return;
    };
    let Some(token) = TokenId::parse(&intake.token.unwrap_or_default()) else { return };
    let Ok(mut options) = IntakeOptions::new(server, stream, token) else { return };
    options.replies_max = intake.replies_max.unwrap_or(options.replies_max);
    options.dead_letters_max = intake.dead_letters_max.unwrap_or(options.dead_letters_max);
    let _ = options.check();
}

/// Columns of every kind, and both kinds of levels.
const COLUMNS: &[Column] = &[
    needed("sku", Kind::Text),
    needed("quantity", Kind::Whole),
    optional("blocked", Kind::Flag),
    optional("name", Kind::Name),
    optional("safety_stock.", Kind::Whole),
    optional("prices.", Kind::Whole),
];

/// A file of rows, as CSV and as JSON lines. Rows and errors are of lines that there are.
pub(crate) fn import(bytes: &[u8]) {
    let ends =
        |(at, byte): (usize, &u8)| *byte == b'\n' || (*byte == b'\r' && bytes.get(at + 1) != Some(&b'\n'));
    let lines = bytes.iter().enumerate().filter(|end| ends(*end)).count() as u64 + 1;
    for format in [Format::Csv, Format::Jsonl] {
        let mut errors = Errors::default();
        let rows = rows::read(bytes, format, COLUMNS, &mut errors);
        let mut last = 0;
        for row in &rows {
            assert!((last + 1..=lines).contains(&row.line), "a row is of line {} of {lines}", row.line);
            last = row.line;
            if format == Format::Csv {
                assert!(row.fields.contains_key("sku") && row.fields.contains_key("quantity"));
            }
        }
        let told = errors.text("file");
        assert_eq!(told.is_empty(), errors.is_empty());
    }
}

/// A line, a time, an address, a name and a number of a token, as they are typed.
pub(crate) fn typed(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(line) = Line::from_str(text) {
        assert!(!line.name.is_empty());
        let _ = line.fields("sku", "quantity");
    }
    if let Ok(seconds) = lines::seconds(text) {
        assert!(text.ends_with(['s', 'm', 'h', 'd']), "{text:?} is {seconds} s");
    }
    if let Ok(name) = StreamName::new(text) {
        assert_eq!(name.as_str(), text);
    }
    // Neither a log nor an error shows a password.
    if let Ok(server) = address(text) {
        let _ = format!("{server} {server:?}");
    }
    if let Some(id) = TokenId::parse(text) {
        assert_eq!(id.to_string(), text);
    }
    let _ = jaego_domain::Code::new("id", text);
    let _ = jaego_domain::command::Fenced::parse(text);
    let _ = jaego_api::Time::parse("at", text);
}
