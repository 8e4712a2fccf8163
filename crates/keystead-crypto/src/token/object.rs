//! Keys in the token: made, found, described, destroyed.
//!
//! A key is made in the token, stays in it, and is never told (CKA_SENSITIVE, not CKA_EXTRACTABLE);
//! it may do what it is made for and nothing else: a key that both wraps and decrypts would give
//! away others. Its name is its CKA_ID, 16 random bytes; the public half of a pair has the same.
//! Nothing about a key is kept anywhere else, so that any program on the token finds it.

use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, ObjectHandle};
use keystead_core::kms::{KeySpec, KeyUsage, MacAlgorithm};

use super::connection::Kind;
use super::error::{Failure, TokenError, TokenFailure};
use super::job::Access;
use crate::der::{Reader, Writer, tag};
use crate::seal::KeyId;

/// 65537, as FIPS 186-5 appendix A.1.1 allows and everybody uses.
const EXPONENT: &[u8] = b"\x01\x00\x01";
/// Bytes of an AES-256 key.
const AES_KEY: u64 = 32;

/// What a key is for, as far as its attributes tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// Signatures, codes, and message keys.
    Sign,
    Decrypt,
    Derive,
}

impl Access<'_> {
    /// Makes a key under this id. Answers the SubjectPublicKeyInfo of a pair.
    pub(super) fn generate(
        &self,
        spec: KeySpec,
        usage: KeyUsage,
        id: KeyId,
        label: &str,
    ) -> Result<Option<Vec<u8>>, Failure> {
        let purpose = self.check_kind(spec, usage)?;
        let (mechanism, template) = match Shape::of(spec)? {
            Shape::Secret { length, .. } => {
                let mechanism = match spec {
                    KeySpec::SymmetricDefault => Mechanism::AesKeyGen,
                    _ => Mechanism::GenericSecretKeyGen,
                };
                let length = Attribute::ValueLen(length.into());
                (mechanism, vec![length])
            }
            Shape::Rsa { bits } => (
                Mechanism::RsaPkcsKeyPairGen,
                vec![
                    Attribute::ModulusBits(bits.into()),
                    Attribute::PublicExponent(EXPONENT.to_vec()),
                ],
            ),
            Shape::Ec(curve) => (
                Mechanism::EccKeyPairGen,
                vec![Attribute::EcParams(curve.parameters.to_vec())],
            ),
        };
        if !spec.is_asymmetric() {
            let template = [template, protected(spec, (id, label), purpose)].concat();
            let key = self.session.generate_key(&mechanism, &template)?;
            self.accept(id, Kind::Secret, key)?;
            return Ok(None);
        }
        let public = [template, public((id, label), purpose)].concat();
        let private = protected(spec, (id, label), purpose);
        let pair = self
            .session
            .generate_key_pair(&mechanism, &public, &private)?;
        self.accept(id, Kind::Private, pair.1)?;
        self.remember(id, Kind::Public, pair.0);
        self.public_key(id, spec).map(Some)
    }

    /// Whether the token makes keys of this kind and does with them what they are for.
    fn check_kind(&self, spec: KeySpec, usage: KeyUsage) -> Result<Purpose, Failure> {
        use MechanismType as M;
        if !spec.usages().contains(&usage) {
            return Err(unsupported(spec, usage));
        }
        let makes = match Shape::of(spec)? {
            Shape::Secret { .. } if spec == KeySpec::SymmetricDefault => M::AES_KEY_GEN,
            Shape::Secret { .. } => M::GENERIC_SECRET_KEY_GEN,
            Shape::Rsa { .. } => M::RSA_PKCS_KEY_PAIR_GEN,
            Shape::Ec(_) => M::ECC_KEY_PAIR_GEN,
        };
        let (purpose, uses) = match (Shape::of(spec)?, usage) {
            (Shape::Secret { mac, .. }, _) => match mac {
                None => (Purpose::Sign, M::AES_CMAC),
                Some(mac) => (Purpose::Sign, hmac(mac).mechanism_type()),
            },
            (Shape::Rsa { .. }, KeyUsage::EncryptDecrypt) => (Purpose::Decrypt, M::RSA_PKCS_OAEP),
            (Shape::Rsa { .. }, _) => (Purpose::Sign, M::RSA_PKCS),
            (Shape::Ec(_), KeyUsage::KeyAgreement) => (Purpose::Derive, M::ECDH1_DERIVE),
            (Shape::Ec(_), _) => (Purpose::Sign, M::ECDSA),
        };
        let pair = spec.is_asymmetric();
        self.connection.check(makes, |info| match pair {
            true => info.generate_key_pair(),
            false => info.generate(),
        })?;
        self.connection.check(uses, |info| match purpose {
            Purpose::Sign => info.sign(),
            Purpose::Decrypt => info.decrypt(),
            Purpose::Derive => info.derive(),
        })?;
        Ok(purpose)
    }

    /// Keeps a new key only if the token has made it as it was told to.
    fn accept(&self, id: KeyId, kind: Kind, key: ObjectHandle) -> Result<(), Failure> {
        let asked = [
            AttributeType::Token,
            AttributeType::Sensitive,
            AttributeType::Extractable,
        ];
        let is = self.session.get_attributes(key, &asked)?;
        let has = |wanted: Attribute| is.contains(&wanted);
        if has(Attribute::Token(true))
            && has(Attribute::Sensitive(true))
            && has(Attribute::Extractable(false))
        {
            self.remember(id, kind, key);
            return Ok(());
        }
        self.session.destroy_object(key)?;
        Err(self.said(
            TokenFailure::Unsupported,
            "made a key that can be taken out of it, which was destroyed again",
        ))
    }

    /// The SubjectPublicKeyInfo of a pair.
    pub(super) fn public_key(&self, id: KeyId, spec: KeySpec) -> Result<Vec<u8>, Failure> {
        let key = self.find(id, Kind::Public)?;
        let shape = Shape::of(spec)?;
        let asked: &[AttributeType] = match shape {
            Shape::Rsa { .. } => &[AttributeType::Modulus, AttributeType::PublicExponent],
            Shape::Ec(_) => &[AttributeType::EcPoint],
            Shape::Secret { .. } => return Err(unsupported(spec, KeyUsage::SignVerify)),
        };
        let attributes = self.session.get_attributes(key, asked)?;
        let spki = match (shape, attributes.as_slice()) {
            (Shape::Rsa { bits }, [Attribute::Modulus(n), Attribute::PublicExponent(e)]) => {
                rsa_spki(bits, n, e)
            }
            (Shape::Ec(curve), [Attribute::EcPoint(point)]) => ec_spki(curve, point),
            _ => None,
        };
        spki.ok_or_else(|| {
            self.said(
                TokenFailure::Refused,
                &format!("has no public key of spec {} under {id}", spec.name()),
            )
        })
    }

    /// Destroys whatever has this id; that nothing has it is as good.
    pub(super) fn destroy(&self, id: KeyId) -> Result<(), Failure> {
        let mut found = false;
        for kind in [Kind::Public, Kind::Private, Kind::Secret] {
            for key in self.look_up(id, kind)? {
                found = true;
                self.connection.objects.lock().pop(&(id, kind));
                self.session.destroy_object(key)?;
            }
        }
        if !found {
            // A token that is gone has no keys either.
            self.connection.is_alive()?;
        }
        Ok(())
    }

    /// The object of this id.
    pub(super) fn find(&self, id: KeyId, kind: Kind) -> Result<ObjectHandle, Failure> {
        if let Some(known) = self.connection.objects.lock().get(&(id, kind)) {
            return Ok(*known);
        }
        match self.look_up(id, kind)?.as_slice() {
            [key] => {
                self.remember(id, kind, *key);
                Ok(*key)
            }
            [] => Err(self.said(
                TokenFailure::KeyMissing,
                &format!(
                    "has no key with the id {id}: it was deleted there, or is in another token"
                ),
            )),
            _ => Err(self.said(
                TokenFailure::Refused,
                &format!("has several keys with the id {id}"),
            )),
        }
    }

    fn look_up(&self, id: KeyId, kind: Kind) -> Result<Vec<ObjectHandle>, Failure> {
        Ok(self.session.find_objects(&[
            Attribute::Class(kind.class()),
            Attribute::Token(true),
            Attribute::Id(id.as_bytes().to_vec()),
        ])?)
    }

    fn remember(&self, id: KeyId, kind: Kind, key: ObjectHandle) {
        self.connection.objects.lock().put((id, kind), key);
    }

    /// A refusal that begins with the token's name.
    pub(super) fn said(&self, failure: TokenFailure, what: &str) -> Failure {
        TokenError::new(failure, format!("the token {} {what}", self.token)).into()
    }
}

/// How keys of a spec look to a token.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    Secret {
        length: u64,
        mac: Option<MacAlgorithm>,
    },
    Rsa {
        bits: u64,
    },
    Ec(&'static Curve),
}

/// A curve.
pub(super) struct Curve {
    /// DER of its identifier (RFC 5480 section 2.1.1.1, SEC 2 for secp256k1).
    parameters: &'static [u8],
    /// Bytes of a coordinate, and of a number modulo its order.
    pub(super) length: usize,
}

impl Shape {
    /// # Errors
    /// [`TokenFailure::Unsupported`] for what PKCS #11 modules do not have yet.
    pub(super) fn of(spec: KeySpec) -> Result<Self, Failure> {
        Ok(match spec {
            KeySpec::SymmetricDefault => Self::Secret {
                length: AES_KEY,
                mac: None,
            },
            KeySpec::Rsa2048 => Self::Rsa { bits: 2048 },
            KeySpec::Rsa3072 => Self::Rsa { bits: 3072 },
            KeySpec::Rsa4096 => Self::Rsa { bits: 4096 },
            KeySpec::EccNistP256 => Self::Ec(&P256),
            KeySpec::EccNistP384 => Self::Ec(&P384),
            KeySpec::EccNistP521 => Self::Ec(&P521),
            KeySpec::EccSecgP256k1 => Self::Ec(&SECP256K1),
            KeySpec::Hmac224 | KeySpec::Hmac256 | KeySpec::Hmac384 | KeySpec::Hmac512 => {
                let length = match spec {
                    KeySpec::Hmac224 => 28,
                    KeySpec::Hmac256 => 32,
                    KeySpec::Hmac384 => 48,
                    _ => 64,
                };
                Self::Secret {
                    length,
                    mac: spec.mac_algorithm(),
                }
            }
            _ => {
                return Err(TokenError::new(
                    TokenFailure::Unsupported,
                    format!("keys of spec {} cannot be in a token", spec.name()),
                )
                .into());
            }
        })
    }
}

const P256: Curve = Curve {
    parameters: b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07",
    length: 32,
};
const P384: Curve = Curve {
    parameters: b"\x06\x05\x2b\x81\x04\x00\x22",
    length: 48,
};
const P521: Curve = Curve {
    parameters: b"\x06\x05\x2b\x81\x04\x00\x23",
    length: 66,
};
const SECP256K1: Curve = Curve {
    parameters: b"\x06\x05\x2b\x81\x04\x00\x0a",
    length: 32,
};

/// The mechanism of such codes.
pub(super) fn hmac(algorithm: MacAlgorithm) -> Mechanism<'static> {
    match algorithm {
        MacAlgorithm::HmacSha224 => Mechanism::Sha224Hmac,
        MacAlgorithm::HmacSha256 => Mechanism::Sha256Hmac,
        MacAlgorithm::HmacSha384 => Mechanism::Sha384Hmac,
        MacAlgorithm::HmacSha512 => Mechanism::Sha512Hmac,
    }
}

fn unsupported(spec: KeySpec, usage: KeyUsage) -> Failure {
    TokenError::new(
        TokenFailure::Unsupported,
        format!("a key of spec {} is not for {}", spec.name(), usage.name()),
    )
    .into()
}

/// What a private or secret key has.
fn protected(spec: KeySpec, (id, label): (KeyId, &str), purpose: Purpose) -> Vec<Attribute> {
    vec![
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Id(id.as_bytes().to_vec()),
        Attribute::Label(label.as_bytes().to_vec()),
        Attribute::Sign(purpose == Purpose::Sign),
        Attribute::Decrypt(purpose == Purpose::Decrypt),
        Attribute::Derive(purpose == Purpose::Derive),
        Attribute::Unwrap(false),
    ]
    .into_iter()
    .chain(match spec.is_asymmetric() {
        true => vec![],
        false => vec![Attribute::Encrypt(false), Attribute::Wrap(false)],
    })
    .collect()
}

fn public((id, label): (KeyId, &str), purpose: Purpose) -> Vec<Attribute> {
    vec![
        Attribute::Token(true),
        Attribute::Private(false),
        Attribute::Id(id.as_bytes().to_vec()),
        Attribute::Label(label.as_bytes().to_vec()),
        Attribute::Verify(purpose == Purpose::Sign),
        Attribute::Encrypt(purpose == Purpose::Decrypt),
        Attribute::Wrap(false),
    ]
}

/// RFC 3279 section 2.3.1; `None` unless the modulus is as long as it should be.
fn rsa_spki(bits: u64, modulus: &[u8], exponent: &[u8]) -> Option<Vec<u8>> {
    let modulus = modulus.get(modulus.iter().position(|byte| *byte != 0)?..)?;
    let is_full = modulus.len() as u64 * 8 == bits && modulus.first()? & 0x80 != 0;
    let mut key = Writer::new();
    key.sequence(|key| {
        key.unsigned_integer(modulus);
        key.unsigned_integer(exponent);
        Ok(())
    })
    .ok()?;
    spki(RSA_KEY, &key.finish()).filter(|_| is_full)
}

/// RFC 5480 section 2; `None` unless it is a point of the curve's length, not compressed.
fn ec_spki(curve: &Curve, point: &[u8]) -> Option<Vec<u8>> {
    let length = 1 + 2 * curve.length;
    // PKCS #11 version 3.1 section 6.3.3 wants an OCTET STRING around it, some have none.
    let point = match point.len() == length {
        true => point,
        false => Reader::new(point).expect(tag::OCTET_STRING).ok()?.content,
    };
    let is_whole = point.len() == length && point.first() == Some(&4);
    let algorithm = [EC_KEY, curve.parameters].concat();
    spki(&algorithm, point).filter(|_| is_whole)
}

fn spki(algorithm: &[u8], bits: &[u8]) -> Option<Vec<u8>> {
    let mut out = Writer::new();
    out.sequence(|spki| {
        spki.sequence(|identifier| {
            identifier.raw(algorithm);
            Ok(())
        })?;
        spki.bit_string(bits);
        Ok(())
    })
    .ok()?;
    Some(out.finish())
}

/// rsaEncryption with its NULL, and id-ecPublicKey: contents of the AlgorithmIdentifier.
const RSA_KEY: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
const EC_KEY: &[u8] = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01";
