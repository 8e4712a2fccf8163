//! Keys that are in a token: the ring knows their ids, and asks the token.
//!
//! A key's id in the ring is its CKA_ID in the token, so that a record says nothing that could
//! contradict the token, and another server with the same store and token uses the same keys.

use std::sync::Arc;

use aws_lc_rs::digest::Digest;
use keystead_core::kms::{
    ECDH, EncryptionAlgorithm, KeySpec, KeyUsage, MacAlgorithm, MessageType, SigningAlgorithm,
};
use keystead_core::x509::{self, SignatureAlgorithm};
use zeroize::Zeroizing;

use super::material::{
    NewMaterial, StoredMaterial, certificate_spec, encrypt_oaep, hashed, oaep, open_with,
    seal_with, unfit,
};
use super::{KeyRing, NewKey, Provider, StoredKey, soft};
use crate::seal::{KeyId, xaes};
use crate::token::{Hash, Signing, Token, TokenError, TokenFailure, TokenStatus};
use crate::x509::PublicKey;
use crate::{CryptoError, digest, random};

impl KeyRing {
    /// Lets keys live in this token, under its name; in place of another of that name.
    pub fn attach_token(&self, token: Arc<Token>) {
        let replaced = self.tokens.write().insert(token.name().to_owned(), token);
        drop(replaced);
    }

    /// The token of this name.
    ///
    /// # Errors
    /// [`CryptoError::Token`] when there is none.
    pub fn token(&self, name: &str) -> Result<Arc<Token>, CryptoError> {
        let found = self.tokens.read().get(name).cloned();
        found.ok_or_else(|| {
            CryptoError::Token(TokenError::new(
                TokenFailure::Unknown,
                format!("the server's configuration has no token of the name {name}"),
            ))
        })
    }

    /// The token that custom key stores name by this id. One that was never seen, and whose id is
    /// not in the configuration, has none yet.
    pub fn token_of_cluster(&self, cluster_id: &str) -> Option<Arc<Token>> {
        let tokens = self.tokens.read();
        let is_it = |token: &&Arc<Token>| token.cluster_id().as_deref() == Some(cluster_id);
        tokens.values().find(is_it).cloned()
    }

    /// All tokens, by their names.
    pub fn token_states(&self) -> Vec<TokenStatus> {
        self.tokens.read().values().map(|it| it.status()).collect()
    }

    /// Disconnects all tokens: before the process ends, so that nothing of it is in a module then.
    pub async fn disconnect_tokens(&self) {
        let tokens: Vec<_> = self.tokens.read().values().cloned().collect();
        let disconnect = move || tokens.iter().for_each(|token| token.disconnect());
        if tokio::task::spawn_blocking(disconnect).await.is_err() {
            tracing::warn!("the tokens could not be disconnected");
        }
    }

    /// A new key for signatures of certificates, made in a token.
    ///
    /// # Errors
    /// [`CryptoError::Token`] when the token does not make it; [`CryptoError::Unsupported`] when it
    /// makes no such keys.
    pub async fn generate_in(
        &self,
        token: &str,
        spec: x509::KeySpec,
    ) -> Result<NewKey, CryptoError> {
        let id = KeyId::random()?;
        let made = self
            .token(token)?
            .generate(
                kms_spec(spec),
                KeyUsage::SignVerify,
                id,
                &label(kms_spec(spec)),
            )
            .await?;
        let spki_der = made.ok_or_else(|| no_public_key(token))?;
        Ok(NewKey {
            key: StoredKey {
                id,
                spec,
                provider: Provider::Token {
                    token: token.to_owned(),
                },
            },
            spki_der,
        })
    }

    /// New key material for this use alone, made in a token. `owner` is who it belongs to, for
    /// [`NewMaterial::material_id`].
    ///
    /// # Errors
    /// As [`KeyRing::generate_in`].
    pub async fn generate_material_in(
        &self,
        token: &str,
        spec: KeySpec,
        usage: KeyUsage,
        owner: &[u8],
    ) -> Result<NewMaterial, CryptoError> {
        let id = KeyId::random()?;
        let home = self.token(token)?;
        let public_key = home.generate(spec, usage, id, &label(spec)).await?;
        // A secret that nobody has seen is told from others by its id.
        let identity = public_key.as_deref().unwrap_or(id.as_bytes());
        let material_id = self.vault.materials.fingerprint(owner, spec, identity);
        Ok(NewMaterial {
            material: StoredMaterial::in_token(id, spec, token.to_owned()),
            public_key,
            material_id,
        })
    }

    /// Bytes of a token's own randomness.
    ///
    /// # Errors
    /// [`CryptoError::Token`] when it gives none.
    pub async fn random_in(
        &self,
        token: &str,
        count: usize,
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        Ok(self.token(token)?.random(count).await?)
    }

    /// Destroys material where it is: in its token, if it is in one. What is sealed in a record ends
    /// with the record; see [`KeyRing::forget`].
    ///
    /// # Errors
    /// [`CryptoError::Token`] when the token does not do it now; it may be asked again.
    pub async fn destroy_material(&self, material: &StoredMaterial) -> Result<(), CryptoError> {
        match self.in_token(material.id(), material.provider())? {
            Some(held) => Ok(held.token.destroy(held.id).await?),
            None => Ok(()),
        }
    }

    /// Destroys a key where it is: in its token, if it is in one.
    ///
    /// # Errors
    /// As [`KeyRing::destroy_material`].
    pub async fn destroy(&self, key: &StoredKey) -> Result<(), CryptoError> {
        match self.in_token(key.id, &key.provider)? {
            Some(held) => Ok(held.token.destroy(held.id).await?),
            None => Ok(()),
        }
    }

    /// The key in its token; `None` for one of the ring's own.
    pub(super) fn in_token(
        &self,
        id: KeyId,
        provider: &Provider,
    ) -> Result<Option<Held>, CryptoError> {
        match provider {
            Provider::Software { .. } => Ok(None),
            Provider::Token { token } => self.token(token).map(|token| Some(Held { token, id })),
        }
    }
}

/// A key in a token.
pub(crate) struct Held {
    token: Arc<Token>,
    id: KeyId,
}

impl Held {
    pub(crate) fn new(token: &Arc<Token>, id: KeyId) -> Self {
        let token = Arc::clone(token);
        Self { token, id }
    }

    /// See [`KeyRing::sign`]; the spec fits the algorithm.
    pub(super) async fn sign_certificate(
        &self,
        spec: x509::KeySpec,
        algorithm: SignatureAlgorithm,
        message: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        use SignatureAlgorithm as S;
        let (hash, digest) = match algorithm {
            S::Sha256WithRsa | S::Sha256WithRsaPss | S::Sha256WithEcdsa => {
                (Hash::Sha256, digest::sha256(message).to_vec())
            }
            S::Sha384WithRsa | S::Sha384WithRsaPss | S::Sha384WithEcdsa => {
                (Hash::Sha384, digest::sha384(message).to_vec())
            }
            S::Sha512WithRsa | S::Sha512WithRsaPss | S::Sha512WithEcdsa => {
                (Hash::Sha512, digest::sha512(message).to_vec())
            }
            S::MlDsa44 | S::MlDsa65 | S::MlDsa87 => return Err(soft::unfit()),
        };
        let signing = match algorithm {
            S::Sha256WithRsa | S::Sha384WithRsa | S::Sha512WithRsa => Signing::Pkcs1(hash),
            S::Sha256WithRsaPss | S::Sha384WithRsaPss | S::Sha512WithRsaPss => Signing::Pss(hash),
            _ => Signing::Ecdsa,
        };
        self.sign(kms_spec(spec), signing, &digest).await
    }

    pub(super) async fn sign(
        &self,
        spec: KeySpec,
        signing: Signing,
        digest: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        Ok(self.token.sign(self.id, spec, signing, digest).await?)
    }

    pub(super) async fn public_key(&self, spec: x509::KeySpec) -> Result<Vec<u8>, CryptoError> {
        Ok(self.token.public_key(self.id, kms_spec(spec)).await?)
    }

    pub(crate) async fn encrypt(
        &self,
        spec: KeySpec,
        algorithm: EncryptionAlgorithm,
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        if let Some(oaep) = oaep(algorithm) {
            let public_key = self.token.public_key(self.id, spec).await?;
            return encrypt_oaep(&public_key, oaep, algorithm, plaintext);
        }
        let nonce = random::bytes::<{ xaes::NONCE }>()?;
        let key = self.message_key(&nonce).await?;
        seal_with(key, &nonce, aad, plaintext)
    }

    pub(crate) async fn decrypt(
        &self,
        algorithm: EncryptionAlgorithm,
        aad: &[u8],
        ciphertext: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, CryptoError> {
        if oaep(algorithm).is_some() {
            return Ok(self.token.decrypt(self.id, algorithm, ciphertext).await?);
        }
        let Some((nonce, body)) = ciphertext.split_first_chunk::<{ xaes::NONCE }>() else {
            return Ok(None);
        };
        let key = self.message_key(nonce).await?;
        Ok(open_with(key, aad, body))
    }

    async fn message_key(
        &self,
        nonce: &[u8; xaes::NONCE],
    ) -> Result<xaes::MessageKey, CryptoError> {
        let derived = self.token.message_key(self.id, *nonce).await?;
        xaes::MessageKey::new(&derived, nonce)
    }

    pub(super) async fn mac(
        &self,
        spec: KeySpec,
        algorithm: MacAlgorithm,
        message: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        if spec.mac_algorithm() != Some(algorithm) {
            return Err(unfit(algorithm.name()));
        }
        Ok(self.token.mac(self.id, algorithm, message).await?)
    }

    pub(super) async fn agree(
        &self,
        spec: KeySpec,
        peer: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let curve = match certificate_spec(spec) {
            Some(
                curve @ (x509::KeySpec::EcP256 | x509::KeySpec::EcP384 | x509::KeySpec::EcP521),
            ) => curve,
            _ => return Err(unfit(ECDH)),
        };
        // A token that believes any point would tell about its key (SP 800-56A section 5.6.2.3.3).
        let point = PublicKey::parse(peer).ok();
        let point = point.and_then(|key| key.point(curve)).ok_or_else(|| {
            CryptoError::Malformed(
                "the public key is not an uncompressed point on the curve of the key, in the DER \
                 of a SubjectPublicKeyInfo"
                    .into(),
            )
        })?;
        Ok(self.token.agree(self.id, spec, point).await?)
    }
}

/// How a message is signed, and the digest that is.
pub(super) fn signing(
    algorithm: SigningAlgorithm,
    message_type: MessageType,
    message: &[u8],
) -> Result<(Signing, Digest), CryptoError> {
    use SigningAlgorithm as S;
    let signing = match algorithm {
        S::RsassaPkcs1V15Sha256 => Signing::Pkcs1(Hash::Sha256),
        S::RsassaPkcs1V15Sha384 => Signing::Pkcs1(Hash::Sha384),
        S::RsassaPkcs1V15Sha512 => Signing::Pkcs1(Hash::Sha512),
        S::RsassaPssSha256 => Signing::Pss(Hash::Sha256),
        S::RsassaPssSha384 => Signing::Pss(Hash::Sha384),
        S::RsassaPssSha512 => Signing::Pss(Hash::Sha512),
        S::EcdsaSha256 | S::EcdsaSha384 | S::EcdsaSha512 => Signing::Ecdsa,
        S::MlDsaShake256 | S::Ed25519Sha512 | S::Ed25519PhSha512 => {
            return Err(unfit(algorithm.name()));
        }
    };
    Ok((signing, hashed(algorithm, message_type, message)?))
}

/// The spec of a KMS key of the same kind.
fn kms_spec(spec: x509::KeySpec) -> KeySpec {
    match spec {
        x509::KeySpec::Rsa2048 => KeySpec::Rsa2048,
        x509::KeySpec::Rsa3072 => KeySpec::Rsa3072,
        x509::KeySpec::Rsa4096 => KeySpec::Rsa4096,
        x509::KeySpec::EcP256 => KeySpec::EccNistP256,
        x509::KeySpec::EcP384 => KeySpec::EccNistP384,
        x509::KeySpec::EcP521 => KeySpec::EccNistP521,
        x509::KeySpec::MlDsa44 => KeySpec::MlDsa44,
        x509::KeySpec::MlDsa65 => KeySpec::MlDsa65,
        x509::KeySpec::MlDsa87 => KeySpec::MlDsa87,
    }
}

/// What a key is called, for people who look into the token.
fn label(spec: KeySpec) -> String {
    format!("keystead {}", spec.name())
}

fn no_public_key(token: &str) -> CryptoError {
    CryptoError::Internal(format!("the token {token} made no public key"))
}
