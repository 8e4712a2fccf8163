//! Certificates that exist: read, looked into, and checked against their issuer's key.

use std::fmt;

use keystead_core::x509::{
    Extension, ExtensionValue, GeneralName, KeySpec, KeyUsageBit, Name, Oid, SignatureAlgorithm,
};

use super::algorithm::Scheme;
use super::extension::{SUBJECT_KEY_ID, authority_key_id, parse_extensions};
use super::name::parse_name;
use super::pem;
use super::public_key::{PublicKey, verify_signature};
use super::signed::Signed;
use crate::der::{self, Reader, tag};
use crate::{CryptoError, digest};

/// Longest certificate that is read: ACM's `CertificateBodyBlob` allows 32768 bytes, and base64 of
/// it a third more.
const MAX_LEN: usize = 48 * 1024;
/// Longest serial number that is read. RFC 5280 section 4.1.2.2 allows 20 bytes; certificates with
/// a few more are about, and refusing to read them helps nobody.
const MAX_SERIAL: usize = 64;

/// How messages are signed with the key of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signing {
    /// RSA, PKCS #1 version 1.5, with SHA-256.
    RsaSha256,
    /// ECDSA with SHA-256, on whatever curve the key has.
    EcdsaSha256,
    /// ML-DSA, of whatever strength the key has.
    MlDsa,
}

/// A certificate that was read. Equal when the bytes are.
#[derive(Clone)]
pub struct Certificate {
    der: Vec<u8>,
    tbs: Vec<u8>,
    /// `None` for a kind of signature that is not served.
    scheme: Option<Scheme>,
    signature: Vec<u8>,
    /// Big-endian, without a leading zero.
    pub serial: Vec<u8>,
    /// DER of the issuer's name.
    pub issuer_der: Vec<u8>,
    /// The issuer's name.
    pub issuer: Name,
    /// First second of validity (Unix time).
    pub not_before: i64,
    /// Last second of validity (Unix time).
    pub not_after: i64,
    /// DER of the subject's name.
    pub subject_der: Vec<u8>,
    /// The subject's name.
    pub subject: Name,
    /// DER of the SubjectPublicKeyInfo.
    pub spki_der: Vec<u8>,
    /// The key's spec; `None` for a kind of key that Keystead does not make.
    pub key_spec: Option<KeySpec>,
    /// In their order. basicConstraints, keyUsage, extKeyUsage, subjectAltName and
    /// authorityKeyIdentifier are taken apart, others are DER.
    pub extensions: Vec<Extension>,
}

impl Certificate {
    /// Reads one certificate: DER, PEM in the forms that [`super::Csr::parse`] takes, or base64 of
    /// either.
    ///
    /// # Errors
    /// [`CryptoError::Malformed`] when it is none of these, or more than one certificate. Kinds of
    /// keys and signatures that are not served are only refused where they are to be used.
    pub fn parse(input: &[u8]) -> Result<Self, CryptoError> {
        too_long(input.len())?;
        let der = pem::unarmor(input, &pem::CERTIFICATE_LABELS, "certificate")?;
        Self::from_der(&der)
    }

    /// Reads one certificate from its DER.
    ///
    /// # Errors
    /// As [`Certificate::parse`].
    pub fn from_der(der: &[u8]) -> Result<Self, CryptoError> {
        too_long(der.len())?;
        let Signed {
            tbs,
            identifier,
            signature,
        } = Signed::read(der)?;
        let mut fields = tbs.reader();
        let version = match fields.optional(tag::context_constructed(0))? {
            Some(version) => version_number(version.reader())?,
            None => 0,
        };
        let serial = der::unsigned_integer(fields.expect(tag::INTEGER)?.content)?;
        if serial.len() > MAX_SERIAL {
            return Err(CryptoError::Malformed(format!(
                "the certificate's serial number is longer than {MAX_SERIAL} bytes"
            )));
        }
        if fields.expect(tag::SEQUENCE)?.whole != identifier.whole {
            return Err(CryptoError::Malformed(
                "the certificate names two different signature algorithms (RFC 5280 section \
                 4.1.1.2)"
                    .into(),
            ));
        }
        let issuer_der = fields.expect(tag::SEQUENCE)?.whole;
        let mut validity = fields.enter(tag::SEQUENCE)?;
        let not_before = der::time(&validity.element()?)?;
        let not_after = der::time(&validity.element()?)?;
        validity.finish()?;
        let subject_der = fields.expect(tag::SEQUENCE)?.whole;
        let spki_der = fields.expect(tag::SEQUENCE)?.whole;
        // issuerUniqueID and subjectUniqueID: allowed from version 2 on, never used.
        fields.optional(tag::context(1))?;
        fields.optional(tag::context(2))?;
        let extensions = extensions_of(&mut fields, version)?;
        fields.finish()?;
        Ok(Self {
            scheme: Scheme::parse(&identifier).ok(),
            signature: signature.into(),
            serial: serial.into(),
            issuer: parse_name(issuer_der)?,
            issuer_der: issuer_der.into(),
            not_before,
            not_after,
            subject: parse_name(subject_der)?,
            subject_der: subject_der.into(),
            key_spec: match PublicKey::parse(spki_der) {
                Ok(key) => key.spec(),
                Err(CryptoError::Unsupported(_)) => None,
                Err(error) => return Err(error),
            },
            spki_der: spki_der.into(),
            extensions,
            tbs: tbs.whole.into(),
            der: der.into(),
        })
    }

    /// The certificate in DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The part that is signed, in DER.
    pub fn tbs_der(&self) -> &[u8] {
        &self.tbs
    }

    /// The certificate in PEM.
    pub fn to_pem(&self) -> String {
        pem::encode("CERTIFICATE", &self.der)
    }

    /// SHA-256 of the DER.
    pub fn fingerprint(&self) -> [u8; 32] {
        digest::sha256(&self.der)
    }

    /// How it is signed; `None` for a kind of signature that Keystead does not make.
    pub fn signature_algorithm(&self) -> Option<SignatureAlgorithm> {
        self.scheme.and_then(Scheme::made)
    }

    /// Whether it is signed in a way that can be verified here: SHA-1 and what came before it can't.
    pub fn has_known_signature(&self) -> bool {
        self.scheme.is_some()
    }

    /// Whether issuer and subject have the same name.
    pub fn is_self_issued(&self) -> bool {
        self.issuer_der == self.subject_der
    }

    /// The extension of this type.
    pub fn extension(&self, oid: &str) -> Option<&Extension> {
        self.extensions.iter().find(|entry| entry.oid.0 == oid)
    }

    /// basicConstraints: whether the subject is an authority, and its path length limit.
    pub fn basic_constraints(&self) -> Option<(bool, Option<u8>)> {
        self.extensions.iter().find_map(|entry| match entry.value {
            ExtensionValue::BasicConstraints { ca, path_len } => Some((ca, path_len)),
            _ => None,
        })
    }

    /// Whether the subject is an authority.
    pub fn is_ca(&self) -> bool {
        matches!(self.basic_constraints(), Some((true, _)))
    }

    /// keyUsage, if it is limited.
    pub fn key_usage(&self) -> Option<&[KeyUsageBit]> {
        self.extensions.iter().find_map(|entry| match &entry.value {
            ExtensionValue::KeyUsage(bits) => Some(bits.as_slice()),
            _ => None,
        })
    }

    /// extKeyUsage, if it is limited.
    pub fn extended_key_usage(&self) -> Option<&[Oid]> {
        self.extensions.iter().find_map(|entry| match &entry.value {
            ExtensionValue::ExtendedKeyUsage(purposes) => Some(purposes.as_slice()),
            _ => None,
        })
    }

    /// The names of subjectAltName.
    pub fn alt_names(&self) -> &[GeneralName] {
        self.extensions
            .iter()
            .find_map(|entry| match &entry.value {
                ExtensionValue::SubjectAltName(names) => Some(names.as_slice()),
                _ => None,
            })
            .unwrap_or_default()
    }

    /// subjectKeyIdentifier, if there is one.
    pub fn subject_key_id(&self) -> Option<Vec<u8>> {
        let ExtensionValue::Der(der) = &self.extension(SUBJECT_KEY_ID)?.value else {
            return None;
        };
        let id = Reader::new(der).expect(tag::OCTET_STRING).ok()?;
        Some(id.content.into())
    }

    /// The key identifier of authorityKeyIdentifier, if there is one.
    pub fn authority_key_id(&self) -> Option<Vec<u8>> {
        authority_key_id(&self.extension("2.5.29.35")?.value)
    }

    /// Verifies the certificate's signature under its issuer's key.
    ///
    /// # Errors
    /// [`CryptoError::BadSignature`] or [`CryptoError::Mismatch`] when another key signed it;
    /// [`CryptoError::Unsupported`] when it is signed in a way that is not served.
    pub fn verify_issued_by(&self, issuer_spki_der: &[u8]) -> Result<(), CryptoError> {
        let scheme = self.scheme.ok_or_else(Scheme::unsupported)?;
        PublicKey::parse(issuer_spki_der)?.verify(scheme, &self.tbs, &self.signature)
    }

    /// Verifies a message that was signed with the key that is certified.
    ///
    /// # Errors
    /// [`CryptoError::BadSignature`] when it was signed with another, or is another message;
    /// [`CryptoError::Mismatch`] when the key is of another kind.
    pub fn verify_message(
        &self,
        signing: Signing,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        use SignatureAlgorithm as S;
        let algorithm = match (signing, self.key_spec) {
            (Signing::RsaSha256, _) => S::Sha256WithRsa,
            (Signing::EcdsaSha256, _) => S::Sha256WithEcdsa,
            (Signing::MlDsa, Some(KeySpec::MlDsa65)) => S::MlDsa65,
            (Signing::MlDsa, Some(KeySpec::MlDsa87)) => S::MlDsa87,
            (Signing::MlDsa, _) => S::MlDsa44,
        };
        verify_signature(&self.spki_der, algorithm, message, signature)
    }

    /// Whether its signature is of a kind that can be verified here.
    pub(super) fn is_verifiable(&self) -> bool {
        self.scheme.is_some()
    }

    /// Checks that this certificate certifies this public key (a private key's, from
    /// [`crate::NewKey`]).
    ///
    /// # Errors
    /// [`CryptoError::Mismatch`] when it certifies another.
    pub fn certifies(&self, spki_der: &[u8]) -> Result<(), CryptoError> {
        let wanted = PublicKey::parse(spki_der)?;
        // A key of a kind that is not served is another key.
        if PublicKey::parse(&self.spki_der).is_ok_and(|found| found.is_same(&wanted)) {
            return Ok(());
        }
        Err(CryptoError::Mismatch(
            "the certificate does not match the private key".into(),
        ))
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("serial", &self.serial)
            .field("issuer", &self.issuer)
            .field("subject", &self.subject)
            .field("not_before", &self.not_before)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

/// The extensions of a certificate of this version, if it has any (RFC 5280 section 4.1.2.9).
fn extensions_of(fields: &mut Reader<'_>, version: u32) -> Result<Vec<Extension>, CryptoError> {
    match fields.optional(tag::context_constructed(3))? {
        Some(_) if version != 2 => Err(CryptoError::Malformed(
            "the certificate has extensions but is not of version 3".into(),
        )),
        Some(extensions) => {
            let mut reader = extensions.reader();
            let extensions = parse_extensions(reader.enter(tag::SEQUENCE)?)?;
            reader.finish()?;
            Ok(extensions)
        }
        None => Ok(Vec::new()),
    }
}

fn version_number(mut reader: Reader<'_>) -> Result<u32, CryptoError> {
    let version = der::small_integer(reader.expect(tag::INTEGER)?.content)?;
    reader.finish()?;
    match version {
        1 | 2 => Ok(version),
        _ => Err(CryptoError::Malformed(
            "the certificate is of an unknown version".into(),
        )),
    }
}

fn too_long(length: usize) -> Result<(), CryptoError> {
    if length > MAX_LEN {
        return Err(CryptoError::Malformed(format!(
            "the certificate is {length} bytes long; at most {MAX_LEN} are read"
        )));
    }
    Ok(())
}
