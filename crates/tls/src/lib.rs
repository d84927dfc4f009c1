//! TLS for both ends of Jaego: [`Certificates`] are what a server shows, [`Trust`] is what a client believes.
//!
//! Both ends are rustls with the cryptography of *ring*, TLS 1.2 and 1.3, and nothing that could be switched off: a client
//! always looks whether the certificate is for the name that it asked for.

mod certificates;
mod error;
pub mod limits;
mod pem;
mod trust;

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};

pub use certificates::{Accepted, Certificates};
pub use error::{Error, HandshakeError};
pub use trust::{Connected, Connector, Trust};

/// The cryptography, named where it is used: no part of a process depends on what another one has installed.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
