//! What is done with keys in the token.

use cryptoki::mechanism::elliptic_curve::{EcKdf, Ecdh1DeriveParams};
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsOaepParams, PkcsOaepSource, PkcsPssParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use keystead_core::kms::{EncryptionAlgorithm, KeySpec, MacAlgorithm};
use zeroize::Zeroizing;

use super::connection::Kind;
use super::error::{Failure, TokenFailure, may_be_undecipherable};
use super::job::Access;
use super::object::{Curve, Shape, hmac};
use crate::der::Writer;
use crate::keyring::low_s;
use crate::seal::KeyId;
use crate::seal::xaes;

/// A hash that signatures are over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

/// How a digest is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signing {
    Pkcs1(Hash),
    /// The salt is as long as the hash.
    Pss(Hash),
    Ecdsa,
}

impl Access<'_> {
    /// Bytes of the token's own randomness.
    pub(super) fn random(&self, count: usize) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let mut bytes = Zeroizing::new(vec![0; count]);
        self.session.generate_random_slice(&mut bytes)?;
        Ok(bytes)
    }

    /// A signature over a digest: PKCS #1 v1.5 or PSS for RSA, DER for ECDSA.
    pub(super) fn sign(
        &self,
        id: KeyId,
        spec: KeySpec,
        signing: Signing,
        digest: &[u8],
    ) -> Result<Vec<u8>, Failure> {
        let key = self.find(id, Kind::Private)?;
        match (Shape::of(spec)?, signing) {
            (Shape::Rsa { .. }, Signing::Pkcs1(hash)) => {
                let info = [hash.info(), digest].concat();
                Ok(self.session.sign(&Mechanism::RsaPkcs, key, &info)?)
            }
            (Shape::Rsa { .. }, Signing::Pss(hash)) => {
                let (hash_alg, mgf, length) = hash.pss();
                let mechanism = Mechanism::RsaPkcsPss(PkcsPssParams {
                    hash_alg,
                    mgf,
                    s_len: length.into(),
                });
                self.connection
                    .check(MechanismType::RSA_PKCS_PSS, |info| info.sign())?;
                Ok(self.session.sign(&mechanism, key, digest)?)
            }
            (Shape::Ec(curve), Signing::Ecdsa) => {
                // Of a longer digest, the leftmost bits count (FIPS 186-5 section 6.4.1); not every
                // token cuts it.
                let digest = digest.get(..curve.length).unwrap_or(digest);
                let signature = self.session.sign(&Mechanism::Ecdsa, key, digest)?;
                let bitcoin = spec == KeySpec::EccSecgP256k1;
                ecdsa_der(curve, &signature, bitcoin)
                    .ok_or_else(|| self.said(TokenFailure::Refused, "made a malformed signature"))
            }
            _ => Err(self.said(
                TokenFailure::Unsupported,
                "has a key of another kind than such signatures need",
            )),
        }
    }

    /// A message authentication code.
    pub(super) fn mac(
        &self,
        id: KeyId,
        algorithm: MacAlgorithm,
        message: &[u8],
    ) -> Result<Vec<u8>, Failure> {
        let key = self.find(id, Kind::Secret)?;
        Ok(self.session.sign(&hmac(algorithm), key, message)?)
    }

    /// The key of one message: see [`xaes`].
    pub(super) fn message_key(
        &self,
        id: KeyId,
        nonce: &[u8; xaes::NONCE],
    ) -> Result<Zeroizing<[u8; xaes::KEY]>, Failure> {
        let key = self.find(id, Kind::Secret)?;
        let mut derived = Zeroizing::new([0; xaes::KEY]);
        for (block, half) in xaes::blocks(nonce)
            .iter()
            .zip(derived.chunks_exact_mut(xaes::KEY / 2))
        {
            let code = Zeroizing::new(self.session.sign(&Mechanism::AesCMac, key, block)?);
            if code.len() != half.len() {
                return Err(self.said(TokenFailure::Refused, "made a code of another length"));
            }
            half.copy_from_slice(&code);
        }
        Ok(derived)
    }

    /// Decrypts; `None` whatever is wrong with the ciphertext.
    pub(super) fn decrypt(
        &self,
        id: KeyId,
        algorithm: EncryptionAlgorithm,
        ciphertext: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
        let (hash, mgf) = match algorithm {
            EncryptionAlgorithm::RsaesOaepSha1 => (MechanismType::SHA1, PkcsMgfType::MGF1_SHA1),
            EncryptionAlgorithm::RsaesOaepSha256 => {
                (MechanismType::SHA256, PkcsMgfType::MGF1_SHA256)
            }
            EncryptionAlgorithm::SymmetricDefault => {
                return Err(self.said(TokenFailure::Unsupported, "does not decrypt like this"));
            }
        };
        let key = self.find(id, Kind::Private)?;
        let oaep = PkcsOaepParams::new(hash, mgf, PkcsOaepSource::empty());
        let mechanism = Mechanism::RsaPkcsOaep(oaep);
        match self.session.decrypt(&mechanism, key, ciphertext) {
            Ok(plaintext) => Ok(Some(Zeroizing::new(plaintext))),
            Err(error) if may_be_undecipherable(&error) => {
                self.connection.is_alive()?;
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The x coordinate of what the key and a peer's point agree on (SP 800-56A section 5.7.1.2).
    /// The token gives it away as a key of the session that may be read.
    pub(super) fn agree(
        &self,
        id: KeyId,
        spec: KeySpec,
        point: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let Shape::Ec(curve) = Shape::of(spec)? else {
            return Err(self.said(TokenFailure::Unsupported, "has no key that agrees"));
        };
        let key = self.find(id, Kind::Private)?;
        let mechanism = Mechanism::Ecdh1Derive(Ecdh1DeriveParams::new(EcKdf::null(), point));
        let agreed = self.session.derive_key(
            &mechanism,
            key,
            &[
                Attribute::Class(ObjectClass::SECRET_KEY),
                Attribute::KeyType(KeyType::GENERIC_SECRET),
                Attribute::ValueLen((curve.length as u64).into()),
                Attribute::Token(false),
                Attribute::Sensitive(false),
                Attribute::Extractable(true),
            ],
        )?;
        let told = self.tell(agreed, curve.length);
        self.session.destroy_object(agreed)?;
        told
    }

    fn tell(&self, agreed: ObjectHandle, length: usize) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let mut told = self
            .session
            .get_attributes(agreed, &[AttributeType::Value])?;
        match told.pop() {
            Some(Attribute::Value(secret)) if secret.len() == length => Ok(Zeroizing::new(secret)),
            _ => Err(self.said(
                TokenFailure::Unsupported,
                "does not tell what two keys agree on",
            )),
        }
    }
}

impl Hash {
    /// What stands before a digest in a signature (RFC 8017 section 9.2, note 1).
    fn info(self) -> &'static [u8] {
        match self {
            Self::Sha256 => {
                b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"
            }
            Self::Sha384 => {
                b"\x30\x41\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\x04\x30"
            }
            Self::Sha512 => {
                b"\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40"
            }
        }
    }

    fn pss(self) -> (MechanismType, PkcsMgfType, u64) {
        match self {
            Self::Sha256 => (MechanismType::SHA256, PkcsMgfType::MGF1_SHA256, 32),
            Self::Sha384 => (MechanismType::SHA384, PkcsMgfType::MGF1_SHA384, 48),
            Self::Sha512 => (MechanismType::SHA512, PkcsMgfType::MGF1_SHA512, 64),
        }
    }
}

/// DER of r and s (RFC 3279 section 2.2.3), which tokens give side by side. On Bitcoin's curve s is
/// the smaller of the two that verify, as from the ring's own keys.
fn ecdsa_der(curve: &Curve, signature: &[u8], bitcoin: bool) -> Option<Vec<u8>> {
    if signature.len() != 2 * curve.length {
        return None;
    }
    let (r, s) = signature.split_at_checked(curve.length)?;
    let low;
    let s = match <&[u8; 32]>::try_from(s) {
        Ok(s) if bitcoin => {
            low = low_s(s);
            &low[..]
        }
        _ => s,
    };
    let mut writer = Writer::new();
    writer
        .sequence(|writer| {
            writer.unsigned_integer(r);
            writer.unsigned_integer(s);
            Ok(())
        })
        .ok()?;
    Some(writer.finish())
}
