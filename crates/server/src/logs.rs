//! Structured logs on standard error, for people or for programs.

use std::io;
use std::str::FromStr;

use tracing::{Level, Subscriber};
use tracing_subscriber::filter::{EnvFilter, ParseError, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{Layer as _, fmt, registry};

/// The target of the access log: one line per request, at `debug`; at `info` if the server is to blame (500).
pub const ACCESS: &str = "jaego::access";

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Text for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Neither `text` nor `json`.
#[derive(Debug, thiserror::Error)]
#[error("the log format is text or json, not {0:?}")]
pub struct UnknownFormat(String);

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Format, UnknownFormat> {
        match text {
            "text" => Ok(Format::Text),
            "json" => Ok(Format::Json),
            _ => Err(UnknownFormat(text.to_owned())),
        }
    }
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter is not in the syntax of `tracing_subscriber`.
    #[error("cannot understand the log filter {filter:?}")]
    Filter {
        /// The filter.
        filter: String,
        /// What is wrong with it.
        #[source]
        source: ParseError,
    },
    /// Another subscriber was set before.
    #[error("cannot set up logging twice in one process")]
    AlreadySet(#[source] tracing::subscriber::SetGlobalDefaultError),
}

/// Sends the logs of this process to standard error. `filter` is a level (`info`) or a list
/// (`info,jaego::access=debug`).
///
/// # Errors
/// If the filter cannot be understood or logging was set up before.
pub fn init(format: Format, filter: &str) -> Result<(), Error> {
    let subscriber = subscriber(format, filter, io::stderr)?;
    tracing::subscriber::set_global_default(subscriber).map_err(Error::AlreadySet)
}

/// The same for any writer.
///
/// The HTTP/2 library speaks of the frames that it sees, and frames carry tokens: it is kept to warnings whatever
/// the filter says.
///
/// # Errors
/// If the filter cannot be understood.
pub fn subscriber<W>(format: Format, filter: &str, writer: W) -> Result<impl Subscriber + Send + Sync, Error>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let levels =
        EnvFilter::try_new(filter).map_err(|source| Error::Filter { filter: filter.to_owned(), source })?;
    let secrecy = filter_fn(|meta| {
        let library = ["h2", "hyper", "hyper_util"].iter().any(|name| {
            meta.target().strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        });
        !library || *meta.level() <= Level::WARN
    });
    let lines = match format {
        Format::Text => fmt::layer().with_writer(writer).boxed(),
        Format::Json => fmt::layer().with_writer(writer).json().flatten_event(true).boxed(),
    };
    Ok(registry().with(levels).with(lines.with_filter(secrecy)))
}
