//! Certificates for the TLS tests, made by Keystead's own means.

use std::sync::Arc;

use keystead_app::{Env as _, SystemEnv};
use keystead_core::x509::{
    Extension, ExtensionValue, GeneralName, KeySpec, Name, NameAttribute, Oid, TbsCertificate,
};
use keystead_crypto::seal::RootKey;
use keystead_crypto::{KeyRing, KeyRingOptions, NewKey, x509};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// An authority of a test.
pub struct Authority {
    keys: Arc<KeyRing>,
    key: NewKey,
    subject_der: Vec<u8>,
    pub certificate: CertificateDer<'static>,
}

pub struct Issued {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
}

impl Authority {
    pub async fn new(name: &str) -> Self {
        let options = KeyRingOptions {
            threads: 1,
            reserve: false,
        };
        let keys = KeyRing::open(&RootKey::generate().unwrap(), options).unwrap();
        let key = keys.generate(KeySpec::EcP256).await.unwrap();
        let subject_der = named(name);
        let mut authority = Self {
            keys,
            key,
            subject_der,
            certificate: Vec::new().into(),
        };
        let is_ca = ExtensionValue::BasicConstraints {
            ca: true,
            path_len: Some(0),
        };
        let subject = authority.subject_der.clone();
        let spki = authority.key.spki_der.clone();
        authority.certificate = authority
            .sign(subject, spki, vec![("2.5.29.19", true, is_ca)])
            .await;
        authority
    }

    /// A leaf for a server and a client at once.
    pub async fn issue(&self, name: GeneralName) -> Issued {
        let key = self.keys.generate(KeySpec::EcP256).await.unwrap();
        let purposes = ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"]
            .map(Oid::new)
            .to_vec();
        let extensions = vec![
            (
                "2.5.29.37",
                false,
                ExtensionValue::ExtendedKeyUsage(purposes),
            ),
            (
                "2.5.29.17",
                false,
                ExtensionValue::SubjectAltName(vec![name]),
            ),
        ];
        let leaf = self
            .sign(named("leaf"), key.spki_der.clone(), extensions)
            .await;
        let pem = self.keys.reveal(&key.key).await.unwrap();
        Issued {
            chain: vec![leaf],
            key: PrivateKeyDer::from_pem_slice(pem.as_pem().as_bytes()).unwrap(),
        }
    }

    async fn sign(
        &self,
        subject_der: Vec<u8>,
        spki_der: Vec<u8>,
        extensions: Vec<(&str, bool, ExtensionValue)>,
    ) -> CertificateDer<'static> {
        let now = SystemEnv::default().now().as_second();
        let algorithm = KeySpec::EcP256.default_signature();
        let tbs = x509::encode_tbs(&TbsCertificate {
            serial: now.to_be_bytes().to_vec(),
            signature: algorithm,
            issuer_der: self.subject_der.clone(),
            not_before: now - 60,
            not_after: now + 3600,
            subject_der,
            spki_der,
            extensions: extensions
                .into_iter()
                .map(|(oid, critical, value)| Extension {
                    oid: Oid::new(oid),
                    critical,
                    value,
                })
                .collect(),
        });
        let tbs = tbs.unwrap();
        let signature = self
            .keys
            .sign(&self.key.key, algorithm, &tbs)
            .await
            .unwrap();
        x509::assemble(&tbs, algorithm, &signature).unwrap().into()
    }
}

fn named(name: &str) -> Vec<u8> {
    let attribute = NameAttribute {
        oid: Oid::new("2.5.4.3"),
        value: name.into(),
    };
    x509::encode_name(&Name {
        attributes: vec![attribute],
    })
    .unwrap()
}
