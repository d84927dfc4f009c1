//! Why there is no answer.

use jaego_api::Problem;

/// What went wrong with a request.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The service said no. The problem says why. Nothing was changed, unless its code is `request_timeout`,
    /// `store_failed` or `internal`, or for a batch `history_unreadable`: then whether the request took effect is not known,
    /// and sending it again with the same id or key tells.
    #[error("{what} was refused: {problem}")]
    Refused {
        /// The request.
        what: String,
        /// Why.
        problem: Box<Problem>,
    },
    /// The service could not be reached, or the connection broke. Whether the request took effect is not known;
    /// sending it again with the same id or key tells.
    #[error("cannot send {what} to {url}")]
    Connection {
        /// The request.
        what: String,
        /// Where to.
        url: String,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The connection would not be secure: the service shows a certificate that does not fit, or none. Nothing was sent.
    #[error("cannot send {what} to {url}")]
    Insecure {
        /// The request.
        what: String,
        /// Where to.
        url: String,
        /// What does not fit.
        #[source]
        source: Box<jaego_tls::HandshakeError>,
    },
    /// Those whose certificates are trusted are not known.
    #[error("cannot tell whose certificates to trust")]
    Trust {
        /// Why not.
        #[source]
        source: Box<jaego_tls::Error>,
    },
    /// There was no answer in time. Whether the request took effect is not known.
    #[error("no answer to {what} within {seconds} s")]
    Timeout {
        /// The request.
        what: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// The answer is none that this client understands.
    #[error("cannot read the answer to {what}: status {status}")]
    Answer {
        /// The request.
        what: String,
        /// The HTTP status.
        status: u16,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The request cannot be made: an address, a token, an operation or a field that is none.
    #[error("cannot make the request: {detail}")]
    Request {
        /// What is wrong with it.
        detail: String,
    },
}

impl Error {
    /// The problem document, if the service sent one.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused { problem, .. } => Some(problem),
            _ => None,
        }
    }

    /// The problem's code, if the service sent one: `insufficient_stock`, …
    pub fn code(&self) -> Option<&str> {
        self.problem().map(|problem| &*problem.code)
    }
}
