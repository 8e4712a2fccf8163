//! The agent's key: made here, used here.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keystead_core::x509::{Extension, KeySpec, Name, NameAttribute, Oid};
use keystead_crypto::seal::RootKey;
use keystead_crypto::{CryptoError, KeyRing, KeyRingOptions, NewKey, PrivateKeyPem, x509};

use crate::Failure;

/// A key with its PEM, for the file in which it is kept.
pub(crate) struct Key {
    ring: Arc<KeyRing>,
    key: NewKey,
    pem: PrivateKeyPem,
}

/// What uses keys. Nothing that it seals outlives the process.
pub(super) fn ring() -> Result<Arc<KeyRing>, Failure> {
    let options = KeyRingOptions {
        threads: 2,
        reserve: false,
    };
    let ring = RootKey::generate().and_then(|root| KeyRing::open(&root, options));
    ring.map_err(failed)
}

impl Key {
    pub(super) async fn generate(ring: &Arc<KeyRing>) -> Result<Self, Failure> {
        let key = ring.generate(KeySpec::EcP256).await.map_err(failed)?;
        Self::of(ring, key).await
    }

    pub(super) async fn read(ring: &Arc<KeyRing>, pem: &[u8]) -> Result<Self, Failure> {
        let key = ring.import(pem).await;
        let key =
            key.map_err(|error| Failure::Here(format!("the agent's key is damaged: {error}")))?;
        Self::of(ring, key).await
    }

    async fn of(ring: &Arc<KeyRing>, key: NewKey) -> Result<Self, Failure> {
        let pem = ring.reveal(&key.key).await.map_err(failed)?;
        Ok(Self {
            ring: Arc::clone(ring),
            key,
            pem,
        })
    }

    pub(crate) fn pem(&self) -> &str {
        self.pem.as_pem()
    }

    pub(super) fn spki_der(&self) -> &[u8] {
        &self.key.spki_der
    }

    /// A signature by SHA-256.
    pub(super) async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Failure> {
        let algorithm = self.key.key.spec().default_signature();
        let signed = self.ring.sign(&self.key.key, algorithm, message).await;
        signed.map_err(failed)
    }

    /// A request for a certificate, as the API takes it. The server says whose it will be; the name is for who reads along.
    pub(crate) async fn csr_base64(
        &self,
        name: &str,
        extensions: &[Extension],
    ) -> Result<String, Failure> {
        let name = name.rsplit('/').next().unwrap_or(name);
        let subject = Name {
            attributes: vec![NameAttribute {
                oid: Oid::new("2.5.4.3"),
                value: name.chars().take(61).collect(),
            }],
        };
        let subject = x509::encode_name(&subject).map_err(failed)?;
        let info =
            x509::encode_csr_info(&subject, &self.key.spki_der, extensions).map_err(failed)?;
        let signature = self.sign(&info).await?;
        let algorithm = self.key.key.spec().default_signature();
        let csr = x509::assemble(&info, algorithm, &signature).map_err(failed)?;
        Ok(STANDARD.encode(csr))
    }
}

fn failed(error: CryptoError) -> Failure {
    Failure::Here(format!("a key could not be used: {error}"))
}
