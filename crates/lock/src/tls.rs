//! TLS to the lock servers: whom to trust, and who we are.

use std::fmt;

#[cfg(feature = "redis")]
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
#[cfg(feature = "postgres")]
use rustls::{ClientConfig, RootCertStore};

/// How the server of a connection proves who it is, and this program to the server. TLS 1.2 or 1.3; the server's
/// certificate must be signed by an authority that is trusted, be valid now, and bear the host's name (or address) as
/// it stands in the URL. None of that can be switched off.
#[derive(Clone, Default)]
pub struct Tls {
    /// PEM. Without them the system's are used.
    roots: Option<Vec<u8>>,
    /// PEM: chain and key.
    identity: Option<[Vec<u8>; 2]>,
}

/// Why there can be no such [`Tls`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The text has no certificate in it, or one that is none.
    #[error("cannot read certificates from the PEM text of {of}")]
    Certificates {
        /// Whose: the authorities' or our own.
        of: &'static str,
        /// What is wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The text has no private key in it, or one that is none.
    #[error("cannot read a private key from the PEM text")]
    Key {
        /// What is wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The key cannot be used with the certificate.
    #[error("cannot use our certificate with our private key")]
    Identity {
        /// Why not.
        source: rustls::Error,
    },
    /// The machine knows no certificate authority.
    #[error("cannot find certificate authorities on this machine{}", .0.as_ref().map(|why| format!(": {why}")).unwrap_or_default())]
    NoSystemRoots(Option<String>),
}

impl Tls {
    /// Trusts the authorities that the operating system trusts. (`SSL_CERT_FILE` and `SSL_CERT_DIR` name others.)
    #[must_use]
    pub fn system() -> Self {
        Self::default()
    }

    /// Trusts the authorities in this text and nobody else. PEM: one certificate or more.
    pub fn trusting(roots_pem: &[u8]) -> Result<Self, TlsError> {
        certificates("the authorities", roots_pem)?;
        Ok(Self { roots: Some(roots_pem.to_vec()), identity: None })
    }

    /// Shows the server a certificate of our own, for servers that ask for one (Redis does unless `tls-auth-clients`
    /// says otherwise). PEM: the chain with our certificate first, and its private key.
    pub fn identity(self, chain_pem: &[u8], key_pem: &[u8]) -> Result<Self, TlsError> {
        let chain = certificates("our own", chain_pem)?;
        let key = private_key(key_pem)?;
        let fits = ring::default_provider().key_provider.load_private_key(key.clone_key());
        let fits = fits.and_then(|key| rustls::sign::CertifiedKey::new(chain, key).keys_match());
        fits.map_err(|source| TlsError::Identity { source })?;
        Ok(Self { identity: Some([chain_pem.to_vec(), key_pem.to_vec()]), ..self })
    }

    /// As the `redis` crate wants it.
    #[cfg(feature = "redis")]
    pub(crate) fn for_redis(&self) -> redis::TlsCertificates {
        let client_tls = self
            .identity
            .clone()
            .map(|[client_cert, client_key]| redis::ClientTlsConfig { client_cert, client_key });
        redis::TlsCertificates { client_tls, root_cert: self.roots.clone() }
    }

    /// As `rustls` wants it.
    #[cfg(feature = "postgres")]
    pub(crate) fn config(&self) -> Result<ClientConfig, TlsError> {
        let mut roots = RootCertStore::empty();
        if let Some(pem) = &self.roots {
            for root in certificates("the authorities", pem)? {
                roots.add(root).map_err(|source| TlsError::Certificates {
                    of: "the authorities",
                    source: source.into(),
                })?;
            }
        } else {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
            if roots.is_empty() {
                return Err(TlsError::NoSystemRoots(found.errors.first().map(ToString::to_string)));
            }
        }
        let builder = ClientConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .expect("the provider knows the versions that are compiled in")
            .with_root_certificates(roots);
        let Some([chain, key]) = &self.identity else { return Ok(builder.with_no_client_auth()) };
        let (chain, key) = (certificates("our own", chain)?, private_key(key)?);
        builder.with_client_auth_cert(chain, key).map_err(|source| TlsError::Identity { source })
    }
}

/// The `redis` crate takes the process' default provider. A program that has chosen one keeps it.
#[cfg(feature = "redis")]
pub(crate) fn provide() {
    if CryptoProvider::get_default().is_none() {
        // Another thread may have been faster.
        let _ = ring::default_provider().install_default();
    }
}

fn certificates(of: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |source| TlsError::Certificates { of, source };
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(|source| failed(source.into()))?;
    if found.is_empty() {
        return Err(failed("there is none in it".into()));
    }
    Ok(found)
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|source| TlsError::Key { source: source.into() })
}

impl fmt::Debug for Tls {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the key.
        let roots = if self.roots.is_some() { "given" } else { "the system's" };
        out.debug_struct("Tls").field("roots", &roots).field("identity", &self.identity.is_some()).finish()
    }
}
