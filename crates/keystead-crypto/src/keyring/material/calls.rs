//! What the ring does with key material.

use std::sync::Arc;

use aws_lc_rs::hmac;
use keystead_core::kms::{
    EncryptionAlgorithm, KeySpec, MacAlgorithm, MessageType, SigningAlgorithm, WrappingAlgorithm,
};
use keystead_core::x509;
use zeroize::Zeroizing;

use super::ready::Ready;
use super::{DataPair, NewMaterial, StoredMaterial, certificate_spec, encrypt, sign, verify};
use crate::keyring::KeyRing;
use crate::keyring::pool::Lane;
use crate::keyring::soft::SoftKey;
use crate::keyring::tokens;
use crate::{CryptoError, digest, random};

impl KeyRing {
    /// New key material. `owner` is who it belongs to, for [`NewMaterial::material_id`].
    ///
    /// # Errors
    /// [`CryptoError::Busy`] when too much is waiting already.
    pub async fn generate_material(
        &self,
        spec: KeySpec,
        owner: &[u8],
    ) -> Result<NewMaterial, CryptoError> {
        let (vault, owner) = (Arc::clone(&self.vault), owner.to_vec());
        self.make(spec, move |made| vault.adopt_material(spec, &owner, made))
            .await
    }

    /// A key pair to give away; nothing of it is kept.
    ///
    /// # Errors
    /// [`CryptoError::Unsupported`] for a spec that is none of a key pair, and ML-DSA, of which
    /// AWS gives none away; [`CryptoError::Busy`].
    pub async fn generate_pair(&self, spec: KeySpec) -> Result<DataPair, CryptoError> {
        let ml_dsa = matches!(spec, KeySpec::MlDsa44 | KeySpec::MlDsa65 | KeySpec::MlDsa87);
        if !spec.is_asymmetric() || ml_dsa {
            return Err(CryptoError::Unsupported(format!(
                "there are no data key pairs of spec {}",
                spec.name()
            )));
        }
        self.make(spec, |(ready, private_key)| {
            let public_key = ready.public_key()?;
            Ok(DataPair {
                private_key,
                public_key: public_key.ok_or_else(|| CryptoError::library("find a public key"))?,
            })
        })
        .await
    }

    /// A key pair under which material is wrapped on its way in; its public half is what
    /// `GetParametersForImport` answers.
    ///
    /// # Errors
    /// [`CryptoError::Unsupported`] for any spec but RSA's; [`CryptoError::Busy`].
    pub async fn wrapping_key(&self, spec: KeySpec) -> Result<NewMaterial, CryptoError> {
        match spec {
            KeySpec::Rsa2048 | KeySpec::Rsa3072 | KeySpec::Rsa4096 => {
                self.generate_material(spec, b"").await
            }
            other => Err(CryptoError::Unsupported(format!(
                "there are no wrapping keys of spec {}",
                other.name()
            ))),
        }
    }

    /// Takes in material that was wrapped under a wrapping key's public half. Developer guide,
    /// "Importing key material": 32 bytes for SYMMETRIC_DEFAULT, for HMAC keys as many as the
    /// spec says up to 128, PKCS #8 for key pairs.
    ///
    /// # Errors
    /// [`CryptoError::NotUnwrapped`] when it does not unwrap, [`CryptoError::WrongMaterial`] when
    /// what is inside is not such material; [`CryptoError::Busy`]; otherwise as
    /// [`KeyRing::decrypt`].
    pub async fn unwrap_material(
        &self,
        wrapping: &StoredMaterial,
        algorithm: WrappingAlgorithm,
        wrapped: &[u8],
        spec: KeySpec,
        owner: &[u8],
    ) -> Result<NewMaterial, CryptoError> {
        let (vault, wrapped, owner) = (Arc::clone(&self.vault), wrapped.to_vec(), owner.to_vec());
        self.with_material(wrapping, move |wrapping| {
            let clear = wrapping.unwrap_material(algorithm, &wrapped)?;
            vault.adopt_material(spec, &owner, Ready::import(spec, &clear)?)
        })
        .await
    }

    /// Encrypts. SYMMETRIC_DEFAULT answers nonce (24 bytes), ciphertext and tag (16) of
    /// XAES-256-GCM, which binds `aad`; RSAES_OAEP takes no `aad`, and its two hashes are the
    /// same, its label empty (RFC 8017 section 7.1).
    ///
    /// # Errors
    /// [`CryptoError::Mismatch`] when such a key does not encrypt by this algorithm, or there is
    /// an `aad` that it cannot bind; [`CryptoError::Malformed`] when the plaintext is too long
    /// for it; otherwise as [`KeyRing::decrypt`].
    pub async fn encrypt(
        &self,
        material: &StoredMaterial,
        algorithm: EncryptionAlgorithm,
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        encrypt::check(material.spec, algorithm, aad)?;
        if let Some(held) = self.in_token(material.id, &material.provider)? {
            return held.encrypt(material.spec, algorithm, aad, plaintext).await;
        }
        if is_inline(material.spec) {
            return self
                .vault
                .material(material)?
                .encrypt(algorithm, aad, plaintext);
        }
        let plaintext = Zeroizing::new(plaintext.to_vec());
        self.with_material(material, move |key| key.encrypt(algorithm, &[], &plaintext))
            .await
    }

    /// Decrypts what [`KeyRing::encrypt`] made with the same key, algorithm and `aad`; `None` for
    /// anything else, whatever is wrong with it.
    ///
    /// # Errors
    /// [`CryptoError::Mismatch`] when such a key does not decrypt by this algorithm;
    /// [`CryptoError::Sealed`] when the stored material was altered; [`CryptoError::RootKey`]
    /// when it belongs to another root key; [`CryptoError::Busy`].
    pub async fn decrypt(
        &self,
        material: &StoredMaterial,
        algorithm: EncryptionAlgorithm,
        aad: &[u8],
        ciphertext: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, CryptoError> {
        encrypt::check(material.spec, algorithm, aad)?;
        if let Some(held) = self.in_token(material.id, &material.provider)? {
            return held.decrypt(algorithm, aad, ciphertext).await;
        }
        if is_inline(material.spec) {
            return self
                .vault
                .material(material)?
                .decrypt(algorithm, aad, ciphertext);
        }
        let ciphertext = ciphertext.to_vec();
        self.with_material(material, move |key| {
            key.decrypt(algorithm, &[], &ciphertext)
        })
        .await
    }

    /// Signs. The signature is PKCS #1 v1.5 or PSS (salt as long as the digest) for RSA, DER for
    /// ECDSA, 64 bytes for Ed25519, pure with an empty context for ML-DSA; Ed25519ph has an empty
    /// context too.
    ///
    /// # Errors
    /// [`CryptoError::Mismatch`] when such a key does not sign by this algorithm;
    /// [`CryptoError::Malformed`] when the algorithm does not take such a message, or it does not
    /// have the length that its type says; otherwise as [`KeyRing::decrypt`].
    pub async fn sign_message(
        &self,
        material: &StoredMaterial,
        algorithm: SigningAlgorithm,
        message_type: MessageType,
        message: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        sign::check(material.spec, algorithm, message_type, message)?;
        if let Some(held) = self.in_token(material.id, &material.provider)? {
            let (signing, digest) = tokens::signing(algorithm, message_type, message)?;
            return held.sign(material.spec, signing, digest.as_ref()).await;
        }
        if is_inline(material.spec) {
            return self
                .vault
                .material(material)?
                .sign(algorithm, message_type, message);
        }
        let message = message.to_vec();
        self.with_material(material, move |key| {
            key.sign(algorithm, message_type, &message)
        })
        .await
    }

    /// Whether it is a signature of this key over this message. Takes the public half, as DER of
    /// its SubjectPublicKeyInfo, so that nothing has to be opened for it.
    ///
    /// # Errors
    /// As [`KeyRing::sign_message`]; [`CryptoError::Malformed`] when the public key is none of
    /// this spec.
    pub async fn verify_message(
        &self,
        spec: KeySpec,
        public_key: &[u8],
        algorithm: SigningAlgorithm,
        message_type: MessageType,
        message: &[u8],
        signature: &[u8],
    ) -> Result<bool, CryptoError> {
        sign::check(spec, algorithm, message_type, message)?;
        if is_inline(spec) {
            return verify::verify(
                spec,
                public_key,
                algorithm,
                message_type,
                message,
                signature,
            );
        }
        let (public_key, message, signature) =
            (public_key.to_vec(), message.to_vec(), signature.to_vec());
        self.pool
            .run(Lane::Quick, move || {
                verify::verify(
                    spec,
                    &public_key,
                    algorithm,
                    message_type,
                    &message,
                    &signature,
                )
            })
            .await
    }

    /// A message authentication code, as long as the algorithm's hash.
    ///
    /// # Errors
    /// [`CryptoError::Mismatch`] when such a key does not make such codes; otherwise as
    /// [`KeyRing::decrypt`].
    pub async fn mac(
        &self,
        material: &StoredMaterial,
        algorithm: MacAlgorithm,
        message: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        if let Some(held) = self.in_token(material.id, &material.provider)? {
            return held.mac(material.spec, algorithm, message).await;
        }
        let ready = self.vault.material(material)?;
        Ok(hmac::sign(ready.mac_key(algorithm)?, message)
            .as_ref()
            .to_vec())
    }

    /// Whether it is the code of this key over this message; takes the same time whatever differs.
    ///
    /// # Errors
    /// As [`KeyRing::mac`].
    pub async fn verify_mac(
        &self,
        material: &StoredMaterial,
        algorithm: MacAlgorithm,
        message: &[u8],
        mac: &[u8],
    ) -> Result<bool, CryptoError> {
        if let Some(held) = self.in_token(material.id, &material.provider)? {
            let expected = held.mac(material.spec, algorithm, message).await?;
            return Ok(digest::constant_time_eq(&expected, mac));
        }
        let ready = self.vault.material(material)?;
        Ok(hmac::verify(ready.mac_key(algorithm)?, message, mac).is_ok())
    }

    /// The raw secret that this key and a peer's public key (a SubjectPublicKeyInfo) agree on: the
    /// x coordinate, by ECC CDH (SP 800-56A section 5.7.1.2).
    ///
    /// # Errors
    /// [`CryptoError::Mismatch`] when this key is not on a NIST curve; [`CryptoError::Malformed`]
    /// when the peer's is not a point of the same curve; otherwise as [`KeyRing::decrypt`].
    pub async fn agree(
        &self,
        material: &StoredMaterial,
        peer: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        if let Some(held) = self.in_token(material.id, &material.provider)? {
            return held.agree(material.spec, peer).await;
        }
        if is_inline(material.spec) {
            return self.vault.material(material)?.agree(peer);
        }
        let peer = peer.to_vec();
        self.with_material(material, move |key| key.agree(&peer))
            .await
    }

    /// A fresh secret of 32 bytes, and the ciphertext from which [`KeyRing::decapsulate`] has it
    /// again (FIPS 203 algorithm 20). The ciphertext comes first.
    ///
    /// # Errors
    /// [`CryptoError::Mismatch`] when it is no ML-KEM key; otherwise as [`KeyRing::decrypt`].
    pub async fn encapsulate(
        &self,
        material: &StoredMaterial,
    ) -> Result<(Vec<u8>, Zeroizing<Vec<u8>>), CryptoError> {
        self.with_material(material, |key| key.ml_kem()?.encapsulate())
            .await
    }

    /// The secret of a ciphertext (FIPS 203 algorithm 21). An altered one yields another secret,
    /// not a refusal.
    ///
    /// # Errors
    /// As [`KeyRing::encapsulate`]; [`CryptoError::Malformed`] when the ciphertext does not have
    /// the length of this spec's.
    pub async fn decapsulate(
        &self,
        material: &StoredMaterial,
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let ciphertext = ciphertext.to_vec();
        self.with_material(material, move |key| key.ml_kem()?.decapsulate(&ciphertext))
            .await
    }

    /// Unpredictable bytes, overwritten when dropped.
    ///
    /// # Errors
    /// [`CryptoError::Internal`] when the operating system gives no randomness.
    pub fn random(&self, count: usize) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let mut bytes = Zeroizing::new(vec![0; count]);
        random::fill(&mut bytes)?;
        Ok(bytes)
    }

    /// Overwrites what is held of this material in memory, as soon as nobody is using it, and holds
    /// it no more. Whoever has deleted material from its record calls this.
    pub fn forget(&self, material: &StoredMaterial) {
        self.vault.materials.forget(material);
    }

    /// Makes a key on the right thread and does something with it there.
    async fn make<T: Send + 'static>(
        &self,
        spec: KeySpec,
        then: impl FnOnce((Ready, Zeroizing<Vec<u8>>)) -> Result<T, CryptoError> + Send + 'static,
    ) -> Result<T, CryptoError> {
        if is_inline(spec) {
            return then(Ready::generate(spec)?);
        }
        let rsa = match certificate_spec(spec) {
            Some(
                rsa @ (x509::KeySpec::Rsa2048 | x509::KeySpec::Rsa3072 | x509::KeySpec::Rsa4096),
            ) => rsa,
            _ => {
                return self
                    .pool
                    .run(Lane::Quick, move || then(Ready::generate(spec)?))
                    .await;
            }
        };
        let ready = self.reserve.as_ref().and_then(|shelves| shelves.take(rsa));
        let lane = if ready.is_some() {
            Lane::Quick
        } else {
            Lane::Slow
        };
        self.pool
            .run(lane, move || {
                let key = match ready {
                    Some(key) => key,
                    None => SoftKey::generate(rsa)?,
                };
                then(Ready::with_soft(key)?)
            })
            .await
    }

    /// Does something with ready material on one of the ring's threads.
    async fn with_material<T: Send + 'static>(
        &self,
        material: &StoredMaterial,
        work: impl FnOnce(&Ready) -> Result<T, CryptoError> + Send + 'static,
    ) -> Result<T, CryptoError> {
        let (vault, material) = (Arc::clone(&self.vault), material.clone());
        self.pool
            .run(Lane::Quick, move || work(&vault.material(&material)?.key))
            .await
    }
}

/// Whether operations with such a key are shorter than a hand-over to another thread is worth.
fn is_inline(spec: KeySpec) -> bool {
    !spec.is_asymmetric() || matches!(spec, KeySpec::EccNistP256 | KeySpec::EccNistEdwards25519)
}
