//! Certificate signing requests (RFC 2986), read in every form in which they arrive.

use keystead_core::x509::{Extension, KeySpec, Name};

use super::algorithm::Scheme;
use super::extension::parse_extensions;
use super::name::parse_name;
use super::pem;
use super::public_key::PublicKey;
use super::signed::Signed;
use crate::CryptoError;
use crate::der::{self, Reader, tag};

/// extensionRequest (RFC 2985 section 5.4.2), the identifier's contents.
pub(super) const EXTENSION_REQUEST: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e";

/// Longest request that is read, in any form: ACM-PCA's `CsrBlob` allows 32768 bytes, and a blob
/// that was encoded once more on its way is a third longer.
const MAX_LEN: usize = 48 * 1024;

/// A request that was read. Its signature is verified by [`Csr::verify`], not by reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Csr {
    der: Vec<u8>,
    info: Vec<u8>,
    scheme: Scheme,
    signature: Vec<u8>,
    /// Whose certificate it is to be, in DER.
    pub subject_der: Vec<u8>,
    /// Whose certificate it is to be.
    pub subject: Name,
    /// DER of the SubjectPublicKeyInfo.
    pub spki_der: Vec<u8>,
    /// The key's spec; `None` for a kind of key that Keystead certifies but does not make.
    pub key_spec: Option<KeySpec>,
    /// The extensions that are asked for: basicConstraints, keyUsage, extKeyUsage and
    /// subjectAltName taken apart, others as DER.
    pub extensions: Vec<Extension>,
}

impl Csr {
    /// Reads a request: DER; PEM, also with CRLF, without its last newline, or with blanks where an
    /// unquoted shell expansion ate the newlines; or the base64 of either.
    ///
    /// # Errors
    /// [`CryptoError::Malformed`] when it is none of these or the request inside is not well
    /// formed; [`CryptoError::Unsupported`] when its key or signature is of a kind not served.
    pub fn parse(input: &[u8]) -> Result<Self, CryptoError> {
        if input.len() > MAX_LEN {
            return Err(CryptoError::Malformed(format!(
                "the certificate signing request is {} bytes long; at most {MAX_LEN} are read",
                input.len()
            )));
        }
        let der = pem::unarmor(
            input,
            &["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"],
            "certificate signing request",
        )?;
        Self::from_der(&der)
    }

    fn from_der(der: &[u8]) -> Result<Self, CryptoError> {
        let Signed {
            tbs: info,
            identifier,
            signature,
        } = Signed::read(der)?;
        let scheme = Scheme::parse(&identifier)?;
        let mut fields = info.reader();
        if der::small_integer(fields.expect(tag::INTEGER)?.content)? != 0 {
            return Err(CryptoError::Malformed(
                "the certificate signing request's version is not 1 (RFC 2986 section 4.1)".into(),
            ));
        }
        let subject_der = fields.expect(tag::SEQUENCE)?.whole;
        let spki_der = fields.expect(tag::SEQUENCE)?.whole;
        // RFC 2986 requires the attributes, if only as an empty set; some writers leave them out.
        let attributes = fields.optional(tag::context_constructed(0))?;
        fields.finish()?;
        let extensions = match attributes {
            Some(attributes) => requested_extensions(attributes.reader())?,
            None => Vec::new(),
        };
        Ok(Self {
            subject: parse_name(subject_der)?,
            key_spec: PublicKey::parse(spki_der)?.spec(),
            subject_der: subject_der.into(),
            spki_der: spki_der.into(),
            extensions,
            info: info.whole.into(),
            scheme,
            signature: signature.into(),
            der: der.into(),
        })
    }

    /// Proves that who wrote the request has the private key: its signature verifies under its own
    /// public key.
    ///
    /// # Errors
    /// [`CryptoError::BadSignature`] or [`CryptoError::Mismatch`] when it does not.
    pub fn verify(&self) -> Result<(), CryptoError> {
        PublicKey::parse(&self.spki_der)?.verify(self.scheme, &self.info, &self.signature)
    }

    /// The request in DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The request in PEM.
    pub fn to_pem(&self) -> String {
        pem::encode("CERTIFICATE REQUEST", &self.der)
    }
}

fn requested_extensions(mut attributes: Reader<'_>) -> Result<Vec<Extension>, CryptoError> {
    let mut found = None;
    while !attributes.is_empty() {
        let mut attribute = attributes.enter(tag::SEQUENCE)?;
        let oid = attribute.expect(tag::OID)?.content;
        let mut values = attribute.enter(tag::SET)?;
        attribute.finish()?;
        if oid != EXTENSION_REQUEST {
            continue;
        }
        let extensions = parse_extensions(values.enter(tag::SEQUENCE)?)?;
        values.finish()?;
        if found.replace(extensions).is_some() {
            return Err(CryptoError::Malformed(
                "the certificate signing request asks for extensions twice".into(),
            ));
        }
    }
    Ok(found.unwrap_or_default())
}
