//! What can be wrong with certificates, and with greetings.

use std::{io, path::PathBuf, sync::Arc};

use rustls::{CertificateError, InvalidMessage};

use crate::limits::{NAMES_TOLD_MAX, PEM_BYTES_MAX};

/// Why certificates or a key cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A file is larger than any of its kind.
    #[error("{} has more than {PEM_BYTES_MAX} bytes", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// A file is no PEM.
    #[error("{} is no PEM file of {what}", .path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What it should have.
        what: &'static str,
        /// What is wrong with it.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// A file has no certificate.
    #[error("{} has no certificate (-----BEGIN CERTIFICATE-----)", .path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// A certificate cannot be trusted, because it cannot be understood.
    #[error("{} has a certificate that cannot be used", .path.display())]
    Ca {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: rustls::Error,
    },
    /// A certificate and a key do not go together, or one of them cannot be used.
    #[error("cannot use the certificate {} with the key {}", .certificate.display(), .key.display())]
    Pair {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// Why not.
        #[source]
        source: rustls::Error,
    },
    /// The machine trusts nobody.
    #[error(
        "this machine has no certificates that it trusts: install them (ca-certificates), or name your own CA's file"
    )]
    NoRoots,
}

/// Why a connection was not made secure. Except for [`HandshakeError::Broken`], trying again gives the same.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The certificate was signed by nobody whom this end trusts.
    #[error(
        "the certificate of {host} is signed by nobody who is trusted here: name the file of its CA, if it is yours"
    )]
    UnknownIssuer {
        /// Who showed it.
        host: String,
    },
    /// The certificate is for other names.
    #[error("the certificate of {host} is not for that name{}", told(.names))]
    OtherName {
        /// Who showed it.
        host: String,
        /// The names that it is for, some of them; none where they cannot be told.
        names: Vec<String>,
    },
    /// The time of the certificate is over.
    #[error("the certificate of {host} has expired")]
    Expired {
        /// Who showed it.
        host: String,
    },
    /// The time of the certificate has not come.
    #[error("the certificate of {host} is not valid yet: look at the clocks of both machines")]
    NotYetValid {
        /// Who showed it.
        host: String,
    },
    /// There is something else about the certificate.
    #[error("the certificate of {host} cannot be accepted: {reason}")]
    Certificate {
        /// Who showed it.
        host: String,
        /// What it is.
        reason: String,
    },
    /// The other end speaks something else.
    #[error("{host} speaks no TLS there: try the address without it, or the port that has it")]
    NoTls {
        /// Who was asked.
        host: String,
    },
    /// The address is of nobody who can have a certificate.
    #[error("{host} is no name or address that a certificate could be for")]
    Name {
        /// What it is.
        host: String,
    },
    /// The two ends did not come together.
    #[error("cannot agree with {host} on a secure connection: {source}")]
    Broken {
        /// Who was asked.
        host: String,
        /// Why not; not given as the cause as well, because its text is here already.
        source: Arc<io::Error>,
    },
}

impl HandshakeError {
    /// Whether another try may end otherwise.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Broken { .. })
    }

    pub(crate) fn new(host: &str, error: io::Error) -> Self {
        let host = host.to_owned();
        let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
        match cause {
            Some(rustls::Error::InvalidCertificate(what)) => Self::of_certificate(host, what),
            Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) => Self::NoTls { host },
            _ => Self::Broken { host, source: Arc::new(error) },
        }
    }

    fn of_certificate(host: String, what: &CertificateError) -> Self {
        use CertificateError::{
            BadSignature, Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet,
            NotValidYetContext, UnknownIssuer,
        };
        match what {
            // A CA that was made anew under its old name is another one.
            UnknownIssuer | BadSignature => Self::UnknownIssuer { host },
            Expired | ExpiredContext { .. } => Self::Expired { host },
            NotValidYet | NotValidYetContext { .. } => Self::NotYetValid { host },
            NotValidForName => Self::OtherName { host, names: Vec::new() },
            NotValidForNameContext { presented, .. } => {
                Self::OtherName { host, names: presented.iter().take(NAMES_TOLD_MAX).cloned().collect() }
            }
            other => Self::Certificate { host, reason: other.to_string() },
        }
    }
}

fn told(names: &[String]) -> String {
    match names {
        [] => String::new(),
        names => format!(" but for {}", names.join(", ")),
    }
}
