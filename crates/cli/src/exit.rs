//! How a run ends: the exit codes, and what the person at the terminal reads when it ended badly.

use std::fmt;

use jaego_tls::HandshakeError;

use crate::{refusal, typed::Given};

/// Everything was done.
pub(crate) const DONE: u8 = 0;
/// Something failed: a file, a disk, a proof, a row of a file.
pub(crate) const FAILURE: u8 = 1;
/// The command line or the settings cannot be understood.
pub(crate) const USAGE: u8 = 2;
/// The service said no.
pub(crate) const REFUSED: u8 = 3;
/// The service is busy, stopped or not to be reached: the same again may be answered otherwise.
pub(crate) const UNREACHABLE: u8 = 4;

/// What `jaego help exit-codes` says.
pub(crate) const CODES: &str = "\
What the exit codes mean:

  0  Everything was done.
  1  Something failed: a file, a disk, a proof, a row of an imported file.
  2  The command line or a setting cannot be understood.
  3  The service refused it (a problem of status 4xx).
  4  The service is busy, stopped or not to be reached.

What was refused changed nothing. After 4 the same again may be answered
otherwise: whether a command that got no answer took effect is told by giving
it again with the same id or --key.

Data goes to standard output, everything else to standard error. With --json
a refusal is data as well: its problem document (RFC 9457) is printed.";

/// A command line or setting that cannot be understood.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// An end with this code of which everything was said already.
#[derive(Debug)]
pub(crate) struct Told(pub(crate) u8);

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit code {}", self.0)
    }
}

impl std::error::Error for Told {}

/// The code of a client's error.
pub(crate) fn code(error: &jaego_client::Error) -> u8 {
    use jaego_client::Error;
    match error {
        // A piece of the journal is damaged: the same again is answered the same.
        Error::Refused { problem, .. } if problem.code == "history_unreadable" => FAILURE,
        Error::Refused { problem, .. } if matches!(problem.status, 429 | 500..) => UNREACHABLE,
        Error::Refused { .. } => REFUSED,
        Error::Connection { .. } | Error::Timeout { .. } => UNREACHABLE,
        Error::Answer { status: 502..=504, .. } => UNREACHABLE,
        // A certificate does not get better by asking again.
        Error::Answer { .. } | Error::Insecure { .. } => FAILURE,
        Error::Request { .. } | Error::Trust { .. } => USAGE,
    }
}

/// Says on standard error what was being done when the service said no.
pub(crate) fn tell_contexts(error: &anyhow::Error) {
    let is_context = |cause: &&(dyn std::error::Error + 'static)| !cause.is::<jaego_client::Error>();
    for context in error.chain().take_while(is_context) {
        eprintln!("jaego: {context}");
    }
}

/// Says on standard error why a run of a command ended badly, and gives its exit code.
pub(crate) fn tell(error: &anyhow::Error, given: &Given<'_>) -> u8 {
    if let Some(Told(code)) = error.downcast_ref() {
        return *code;
    }
    if let Some(problem) = error.downcast_ref::<jaego_client::Error>().and_then(|error| error.problem()) {
        tell_contexts(error);
        eprint!("{}", refusal::text(problem, given));
    } else {
        eprintln!("jaego: {error:#}");
    }
    if error.downcast_ref::<Usage>().is_some() {
        return USAGE;
    }
    match error.chain().find_map(|cause| cause.downcast_ref::<jaego_client::Error>()) {
        Some(error) => {
            if matches!(error, jaego_client::Error::Connection { .. }) {
                eprintln!("try: `jaego serve` on that machine, or another --url (or JAEGO_URL)");
            }
            if let jaego_client::Error::Insecure { source, .. } = error
                && matches!(**source, HandshakeError::UnknownIssuer { .. })
            {
                eprintln!("try: --ca FILE (or JAEGO_CA) with the certificate of your own CA");
            }
            code(error)
        }
        None => FAILURE,
    }
}
