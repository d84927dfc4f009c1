use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use tempfile::TempDir;

use crate::Error;

/// When a certificate is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// Now, and for as long as any test runs.
    Now,
    /// It was, and is no more.
    Expired,
    /// It will be, and is not yet.
    NotYet,
}

/// A private certificate authority, in a temporary folder of its own.
#[derive(Debug)]
pub struct Ca {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

/// The files of a certificate, both PEM.
#[derive(Clone, Debug)]
pub struct CertificateFiles {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl Ca {
    /// Makes one that nobody trusts yet.
    pub fn new() -> Result<Self, Error> {
        let folder = tempfile::Builder::new()
            .prefix("jaego-ca-")
            .tempdir()
            .map_err(Error::io("make a folder in", std::env::temp_dir()))?;
        let mut params = CertificateParams::new(Vec::new()).expect("a CA needs no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(rcgen::DnType::CommonName, "A CA of a test");
        let key = KeyPair::generate().expect("there is randomness for a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a new key can sign");
        let ca = Self { issuer, folder };
        write(&ca.path(), &ca.issuer.pem())?;
        Ok(ca)
    }

    /// The file of its own certificate, which clients have to trust.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Issues a certificate for names and IP addresses, into files that begin with `file`. Those that are there already are
    /// replaced, each in one step.
    pub fn issue(&self, file: &str, names: &[&str], validity: Validity) -> Result<CertificateFiles, Error> {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("the names are names");
        (params.not_before, params.not_after) = match validity {
            Validity::Now => (rcgen::date_time_ymd(2020, 1, 1), rcgen::date_time_ymd(2120, 1, 1)),
            Validity::Expired => (rcgen::date_time_ymd(2020, 1, 1), rcgen::date_time_ymd(2021, 1, 1)),
            Validity::NotYet => (rcgen::date_time_ymd(2119, 1, 1), rcgen::date_time_ymd(2120, 1, 1)),
        };
        let key = KeyPair::generate().expect("there is randomness for a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("the CA can sign");
        let files = CertificateFiles {
            certificate: self.folder.path().join(format!("{file}.pem")),
            key: self.folder.path().join(format!("{file}.key")),
        };
        write(&files.certificate, &certificate.pem())?;
        write(&files.key, &key.serialize_pem())?;
        Ok(files)
    }
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    let new = path.with_extension("new");
    fs::write(&new, text).map_err(Error::io("write", &new))?;
    fs::rename(&new, path).map_err(Error::io("replace", path))
}
