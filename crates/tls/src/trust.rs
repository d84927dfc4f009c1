//! Whom a client believes: the machine's own list, and a CA of one's own beside it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{Error, HandshakeError, pem, provider};

/// A connection that was made secure.
pub type Connected<S> = TlsStream<S>;

/// Whose certificates are believed.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    ca: Option<PathBuf>,
}

/// What makes connections secure.
#[derive(Clone)]
pub struct Connector(TlsConnector);

impl Trust {
    /// Those whom the machine trusts.
    pub fn system() -> Self {
        Self::default()
    }

    /// Those whom the machine trusts, and the certificates in this PEM file as well.
    pub fn with_ca(ca: &Path) -> Self {
        Self { ca: Some(ca.to_owned()) }
    }

    /// Reads the certificates that are trusted.
    ///
    /// # Errors
    /// If the CA's file cannot be used, or if nobody would be trusted.
    pub fn connector(&self) -> Result<Connector, Error> {
        let mut roots = RootCertStore::empty();
        // A list may well have entries that are broken or that rustls does not know: they are trusted by nobody.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(path) = &self.ca {
            for certificate in pem::certificates(path)? {
                roots.add(certificate).map_err(|source| Error::Ca { path: path.clone(), source })?;
            }
        }
        if roots.is_empty() {
            return Err(Error::NoRoots);
        }
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("ring can do what TLS 1.2 and 1.3 need")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Connector(TlsConnector::from(Arc::new(config))))
    }
}

impl Connector {
    /// Makes a connection to `host`, a name or an IP address, secure. How long that may take is the caller's to say.
    ///
    /// # Errors
    /// If its certificate is not for that host and of somebody who is trusted, or the connection breaks.
    pub async fn connect<S>(&self, host: &str, stream: S) -> Result<Connected<S>, HandshakeError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        // A URL has an IPv6 address in brackets.
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let name = ServerName::try_from(bare.to_owned())
            .map_err(|_| HandshakeError::Name { host: host.to_owned() })?;
        self.0.connect(name, stream).await.map_err(|error| HandshakeError::new(host, error))
    }
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connector")
    }
}
