//! What may be asked of a key's material: which algorithm, how long a text, with which context.

use super::ciphertext::EncryptionContext;
use super::{EncryptionAlgorithm, Fault, Key, KeySpec, KeyUsage, MacAlgorithm, MessageType};
use super::{SigningAlgorithm, spec};
use crate::error::{Error, ErrorKind, Result};

/// Most characters of an encryption context, names and values together (developer guide, "Quotas").
const MAX_CONTEXT: usize = 8192;

impl Key {
    /// The algorithm that encrypts or decrypts, where it and the context fit the key.
    ///
    /// # Errors
    /// [`Fault::InvalidKeyUsage`], [`ErrorKind::Validation`].
    pub fn encryption(
        &self,
        asked: Option<EncryptionAlgorithm>,
        context: Option<&EncryptionContext>,
    ) -> Result<EncryptionAlgorithm> {
        self.check_usage(KeyUsage::EncryptDecrypt)?;
        let algorithm = asked.unwrap_or(EncryptionAlgorithm::SymmetricDefault);
        if !self.spec.encryption_algorithms().contains(&algorithm) {
            return Err(incompatible(algorithm.name(), self.spec));
        }
        let context = context.filter(|context| !context.is_empty());
        if let Some(context) = context {
            if algorithm != EncryptionAlgorithm::SymmetricDefault {
                return Err(invalid(
                    "An encryption context is valid with symmetric encryption KMS keys only: an RSA ciphertext cannot carry one.",
                ));
            }
            let size: usize = context
                .iter()
                .map(|(name, value)| name.len() + value.len())
                .sum();
            if size > MAX_CONTEXT {
                return Err(invalid(format!(
                    "The encryption context has {size} bytes; at most {MAX_CONTEXT} are allowed."
                )));
            }
        }
        Ok(algorithm)
    }

    /// That the key makes data keys: only a symmetric encryption key does.
    ///
    /// # Errors
    /// [`Fault::InvalidKeyUsage`], [`ErrorKind::Validation`].
    pub fn data_keys(&self, context: Option<&EncryptionContext>) -> Result<()> {
        if self.spec != KeySpec::SymmetricDefault {
            return Err(Fault::InvalidKeyUsage.error(format!(
                "{} key spec is {} which is not valid for generating data keys: a symmetric encryption key is needed.",
                self.arn(),
                self.spec.name()
            )));
        }
        self.encryption(None, context).map(drop)
    }

    /// Whether the key signs so: the algorithm, and the length and type of the message.
    ///
    /// # Errors
    /// [`Fault::InvalidKeyUsage`], [`ErrorKind::Validation`].
    pub fn signing(
        &self,
        algorithm: SigningAlgorithm,
        message_type: MessageType,
        message: &[u8],
    ) -> Result<()> {
        self.check_usage(KeyUsage::SignVerify)?;
        if !self.spec.signing_algorithms().contains(&algorithm) {
            return Err(incompatible(algorithm.name(), self.spec));
        }
        if !algorithm.takes(message_type) {
            return Err(invalid(format!(
                "MessageType {} is not valid with algorithm {}.",
                message_type.name(),
                algorithm.name()
            )));
        }
        let expected = match message_type {
            MessageType::Raw => return Ok(()),
            MessageType::Digest => algorithm.digest_len(),
            MessageType::ExternalMu => Some(MU),
        };
        if expected != Some(message.len()) {
            return Err(invalid(format!(
                "Digest is invalid length for algorithm {}.",
                algorithm.name()
            )));
        }
        Ok(())
    }

    /// Whether the key makes such codes.
    ///
    /// # Errors
    /// [`Fault::InvalidKeyUsage`].
    pub fn mac(&self, algorithm: MacAlgorithm) -> Result<()> {
        self.check_usage(KeyUsage::GenerateVerifyMac)?;
        if self.spec.mac_algorithm() != Some(algorithm) {
            return Err(incompatible(algorithm.name(), self.spec));
        }
        Ok(())
    }
}

/// The longest text that RSA encrypts: RFC 8017 section 7.1.1, k - 2 hLen - 2.
///
/// # Errors
/// [`ErrorKind::Validation`], in AWS's words.
pub fn check_plaintext(spec: KeySpec, algorithm: EncryptionAlgorithm, length: usize) -> Result<()> {
    let modulus = match spec {
        KeySpec::Rsa2048 => 256,
        KeySpec::Rsa3072 => 384,
        KeySpec::Rsa4096 => 512,
        _ => return Ok(()),
    };
    let hash = match algorithm {
        EncryptionAlgorithm::RsaesOaepSha1 => 20,
        EncryptionAlgorithm::RsaesOaepSha256 => 32,
        EncryptionAlgorithm::SymmetricDefault => return Ok(()),
    };
    let most = modulus - 2 * hash - 2;
    if length > most {
        return Err(invalid(format!(
            "Algorithm {} and key spec {} cannot encrypt data larger than {most} bytes.",
            algorithm.name(),
            spec.name()
        )));
    }
    Ok(())
}

/// That this is the one key agreement or encapsulation that there is, for a key that is for it.
///
/// # Errors
/// [`Fault::InvalidKeyUsage`].
pub fn check_shared(key: &Key, usage: KeyUsage, algorithm: &str) -> Result<()> {
    key.check_usage(usage)?;
    let expected = match usage {
        KeyUsage::KeyAgreement => spec::ECDH,
        _ => spec::ML_KEM,
    };
    if algorithm != expected {
        return Err(incompatible(algorithm, key.spec));
    }
    Ok(())
}

/// Bytes of an ML-DSA message representative (FIPS 204 algorithm 7, line 6).
const MU: usize = 64;

fn incompatible(algorithm: &str, spec: KeySpec) -> Error {
    Fault::InvalidKeyUsage.error(format!(
        "Algorithm {algorithm} and key spec {} are incompatible.",
        spec.name()
    ))
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Validation, message)
}
