//! What a server shows: a certificate with its chain, and the key that it is for. They can be replaced while it runs.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::SystemTime,
};

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{Error, pem, provider};

/// A connection that a client has made secure.
pub type Accepted<S> = TlsStream<S>;

/// A certificate with its chain and its key, from two PEM files.
#[derive(Debug)]
pub struct Certificates {
    files: Files,
    state: Mutex<State>,
}

#[derive(Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
    protocols: Vec<Vec<u8>>,
}

#[derive(Debug)]
struct State {
    config: Arc<ServerConfig>,
    /// How the files looked that it was made of.
    stamps: [Stamp; 2],
}

/// How a file looks from outside: it was replaced or written to where this has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    len: u64,
    modified: SystemTime,
}

impl Certificates {
    /// Reads a certificate with its chain, the server's own first, and its private key. `protocols` are offered by ALPN, the
    /// best first; none of them leaves the choice to the client.
    ///
    /// # Errors
    /// If one of the files cannot be read, or they do not go together. Expiry is not looked at: clients do that.
    pub fn open(certificate: &Path, key: &Path, protocols: &[&str]) -> Result<Self, Error> {
        let protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let files = Files { certificate: certificate.to_owned(), key: key.to_owned(), protocols };
        let state = files.load()?;
        Ok(Self { files, state: Mutex::new(state) })
    }

    /// The file of the certificate.
    pub fn path(&self) -> &Path {
        &self.files.certificate
    }

    /// Looks at the files, and uses what they have now where they changed: `true` if they did. Connections that are there
    /// already are left alone.
    ///
    /// # Errors
    /// If they cannot be used. Those from before stay.
    pub fn reload_if_changed(&self) -> Result<bool, Error> {
        let stamps = self.files.stamps()?;
        if self.state().stamps == stamps {
            return Ok(false);
        }
        let state = self.files.load()?;
        *self.state() = state;
        Ok(true)
    }

    /// Greets a client. How long that may take is the caller's to say.
    ///
    /// # Errors
    /// If the two do not come together. The client was told, as far as it can be told.
    pub async fn accept<S>(&self, stream: S) -> io::Result<Accepted<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let config = Arc::clone(&self.state().config);
        TlsAcceptor::from(config).accept(stream).await
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while holding the certificates")
    }
}

impl Files {
    fn load(&self) -> Result<State, Error> {
        // Looked at before they are read: what changes in between is seen the next time.
        let stamps = self.stamps()?;
        let chain = pem::certificates(&self.certificate)?;
        let key = pem::key(&self.key)?;
        let wrong =
            |source| Error::Pair { certificate: self.certificate.clone(), key: self.key.clone(), source };
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(wrong)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(wrong)?;
        config.alpn_protocols.clone_from(&self.protocols);
        Ok(State { config: Arc::new(config), stamps })
    }

    fn stamps(&self) -> Result<[Stamp; 2], Error> {
        Ok([stamp(&self.certificate)?, stamp(&self.key)?])
    }
}

fn stamp(path: &Path) -> Result<Stamp, Error> {
    let stamp = || {
        let facts = fs::metadata(path)?;
        Ok(Stamp { inode: facts.ino(), len: facts.len(), modified: facts.modified()? })
    };
    stamp().map_err(|source| Error::Read { path: path.to_owned(), source })
}
