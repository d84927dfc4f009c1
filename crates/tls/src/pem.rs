//! Certificates and keys in their files.

use std::{fs::File, io::Read, path::Path};

use rustls::pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{Error as PemError, PemObject},
};

use crate::{Error, limits::PEM_BYTES_MAX};

/// The certificates of a file, in its order; at least one.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let text = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(pem(path, "certificates"))?;
    if found.is_empty() {
        return Err(Error::NoCertificate { path: path.to_owned() });
    }
    Ok(found)
}

/// The first private key of a file.
pub(crate) fn key(path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(pem(path, "a private key"))
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    let mut text = Vec::new();
    File::open(path).and_then(|file| file.take(PEM_BYTES_MAX + 1).read_to_end(&mut text)).map_err(failed)?;
    if text.len() as u64 > PEM_BYTES_MAX {
        return Err(Error::TooLarge { path: path.to_owned() });
    }
    Ok(text)
}

fn pem(path: &Path, what: &'static str) -> impl FnOnce(PemError) -> Error {
    move |source| Error::Pem { path: path.to_owned(), what, source }
}
