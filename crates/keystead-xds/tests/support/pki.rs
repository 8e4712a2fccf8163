//! Certificates for tests, made by OpenSSL so that no code of ours checks itself.

use std::path::{Path, PathBuf};
use std::process::Command;

use keystead_xds::SecretKind;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

/// An authority with its files in a folder of the test.
pub(crate) struct Ca {
    dir: PathBuf,
    name: String,
    pub(crate) pem: String,
}

/// A certificate with its key.
#[derive(Clone)]
pub(crate) struct Leaf {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Ca {
    pub(crate) fn new(dir: &Path, name: &str) -> Self {
        let subject = format!("/CN={name}");
        let extensions = ["keyUsage=critical,keyCertSign,cRLSign"];
        let leaf = openssl(dir, name, &subject, &extensions, &[]);
        Self {
            dir: dir.to_owned(),
            name: name.to_owned(),
            pem: leaf.certificate,
        }
    }

    /// Issues a certificate for these names, written as in `subjectAltName`.
    pub(crate) fn issue(&self, alt_names: &str) -> Leaf {
        let file = |ending: &str| format!("{}/{}.{ending}", self.dir.display(), self.name);
        let names = format!("subjectAltName={alt_names}");
        let extensions = [
            "basicConstraints=critical,CA:FALSE",
            "extendedKeyUsage=serverAuth,clientAuth",
            &names,
        ];
        let issuer = ["-CA", &file("pem"), "-CAkey", &file("key")];
        let leaf = format!("{}-leaf", self.name);
        openssl(&self.dir, &leaf, "/CN=leaf", &extensions, &issuer)
    }

    pub(crate) fn trust(&self) -> SecretKind {
        SecretKind::Validation {
            trust_pem: self.pem.clone(),
        }
    }

    pub(crate) fn roots(&self) -> rustls::RootCertStore {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(der(&self.pem)).unwrap();
        roots
    }
}

impl Leaf {
    pub(crate) fn secret(&self) -> SecretKind {
        SecretKind::TlsCertificate {
            chain_pem: self.certificate.clone(),
            private_key_pem: Zeroizing::new(self.key.clone()),
        }
    }

    pub(crate) fn der(&self) -> CertificateDer<'static> {
        der(&self.certificate)
    }

    pub(crate) fn key_der(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap()
    }
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

fn openssl(dir: &Path, name: &str, subject: &str, extensions: &[&str], issuer: &[&str]) -> Leaf {
    let file = |ending: &str| dir.join(format!("{name}.{ending}"));
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-nodes", "-days", "2", "-subj", subject]);
    command.args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    command.arg("-keyout").arg(file("key"));
    command.arg("-out").arg(file("pem"));
    command.args(issuer);
    for extension in extensions {
        command.args(["-addext", extension]);
    }
    let output = command.output().expect("openssl is installed");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl req: {said}");
    Leaf {
        certificate: std::fs::read_to_string(file("pem")).unwrap(),
        key: std::fs::read_to_string(file("key")).unwrap(),
    }
}
