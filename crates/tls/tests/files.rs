//! Files of certificates and keys: what can be used, and what is told of what cannot.

use std::{error::Error as _, fs, path::Path};

use jaego_testkit::{Ca, Validity};
use jaego_tls::{Certificates, Error, Trust, limits::PEM_BYTES_MAX};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

/// An error with its causes.
fn told(error: &Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

#[test]
fn what_is_wrong_with_a_file_is_told() {
    let (ca, other) = (Ca::new().unwrap(), Ca::new().unwrap());
    let files = ca.issue("server", &["localhost"], Validity::Now).unwrap();
    let foreign = other.issue("server", &["localhost"], Validity::Now).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let empty = file("empty.pem", b"");
    let broken = file("broken.pem", b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n");
    let nonsense =
        file("nonsense.pem", b"-----BEGIN CERTIFICATE-----\nbm9uZQ==\n-----END CERTIFICATE-----\n");
    let large = file("large.pem", &vec![b'\n'; usize::try_from(PEM_BYTES_MAX).unwrap() + 1]);
    let missing = folder.path().join("missing.pem");
    let (certificate, key) = (&*files.certificate, &*files.key);
    let rows: [(&Path, &Path, &str); 9] = [
        (certificate, key, ""),
        (certificate, &foreign.key, "cannot use the certificate"),
        (&missing, key, "cannot read"),
        (certificate, &missing, "cannot read"),
        (&empty, key, "has no certificate"),
        (key, key, "has no certificate"),
        (&broken, key, "is no PEM file of certificates"),
        (certificate, certificate, "is no PEM file of a private key"),
        (&large, key, "has more than"),
    ];
    for (certificate, key, expected) in rows {
        let opened = Certificates::open(certificate, key, &[]).map_err(|error| told(&error));
        match opened {
            Ok(_) => assert_eq!(expected, "", "{}", certificate.display()),
            Err(text) => assert!(!expected.is_empty() && text.contains(expected), "{expected}: {text}"),
        }
    }
    for (file, expected) in [
        (&*ca.path(), ""),
        (&missing, "cannot read"),
        (&empty, "has no certificate"),
        (&nonsense, "has a certificate that cannot be used"),
    ] {
        match Trust::with_ca(file).connector().map_err(|error| told(&error)) {
            Ok(_) => assert_eq!(expected, "", "{}", file.display()),
            Err(text) => assert!(!expected.is_empty() && text.contains(expected), "{expected}: {text}"),
        }
    }
}

#[tokio::test]
async fn names_and_addresses_are_looked_at() {
    let ca = Ca::new().unwrap();
    let files = ca.issue("server", &["shop.example", "127.0.0.1", "::1"], Validity::Now).unwrap();
    let certificates = Certificates::open(&files.certificate, &files.key, &[]).unwrap();
    let connector = Trust::with_ca(&ca.path()).connector().unwrap();
    for (host, expected) in [
        ("shop.example", ""),
        ("127.0.0.1", ""),
        ("[::1]", ""),
        ("::1", ""),
        ("SHOP.example", ""),
        ("127.0.0.2", "is not for that name"),
        ("example", "is not for that name"),
        ("a.shop.example", "is not for that name"),
        ("", "is no name or address"),
        ("a b", "is no name or address"),
    ] {
        let (near, far) = duplex(64 * 1024);
        let serve = async {
            let mut stream = certificates.accept(far).await.ok()?;
            stream.write_all(b"hello").await.ok()?;
            stream.shutdown().await.ok()
        };
        let ask = async {
            let mut stream = connector.connect(host, near).await.map_err(|error| error.to_string())?;
            let mut text = String::new();
            stream.read_to_string(&mut text).await.map_err(|error| error.to_string())?;
            Ok::<_, String>(text)
        };
        match tokio::join!(serve, ask).1 {
            Ok(text) => assert_eq!((text.as_str(), expected), ("hello", ""), "{host}"),
            Err(text) => assert!(!expected.is_empty() && text.contains(expected), "{host}: {text}"),
        }
    }
}
