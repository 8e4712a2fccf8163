//! Files in PKCS #12 (RFC 7292): bags of certificates and keys, and a checksum under a password.

use crate::CryptoError;
use crate::der::{Writer, tag};
use crate::digest::{hmac_sha256, sha256};

/// Bytes of salt, as Java and OpenSSL have.
pub(crate) const SALT: usize = 20;
/// A block of SHA-256, which appendix B.2 calls v.
const BLOCK: usize = 64;

/// The contents of identifiers. PKCS #7: data. PKCS #12: certBag. PKCS #9: x509Certificate.
const DATA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";
const CERT_BAG: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01\x03";
const X509_CERTIFICATE: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x16\x01";
/// NIST: id-sha256.
const SHA256: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x02\x01";

/// What the checksum of a file is made with.
pub(crate) struct Checksum<'a> {
    pub(crate) password: &'a str,
    pub(crate) salt: &'a [u8],
    pub(crate) iterations: u32,
}

/// An attribute of a bag: its identifier, and the tag and contents of its one value.
pub(crate) type Attribute<'a> = (&'a [u8], u8, &'a [u8]);

/// PFX (section 4) of SafeContents whose bags the closure writes.
pub(crate) fn file(
    bags: impl FnOnce(&mut Writer) -> Result<(), CryptoError>,
    checksum: &Checksum<'_>,
) -> Result<Vec<u8>, CryptoError> {
    let mut contents = Writer::new();
    contents.sequence(bags)?;
    let mut safe = Writer::new();
    safe.sequence(|writer| data(writer, &contents.finish()))?;
    let safe = safe.finish();
    let mac = hmac_sha256(&checksum.key(), &safe);
    let mut writer = Writer::new();
    writer.sequence(|writer| {
        writer.small_integer(3);
        data(writer, &safe)?;
        writer.sequence(|writer| {
            writer.sequence(|writer| {
                writer.sequence(|writer| {
                    writer.tlv(tag::OID, SHA256);
                    writer.null();
                    Ok(())
                })?;
                writer.octet_string(&mac);
                Ok(())
            })?;
            writer.octet_string(checksum.salt);
            writer.small_integer(checksum.iterations);
            Ok(())
        })
    })?;
    Ok(writer.finish())
}

/// A bag of this kind (section 4.2): its value, which the closure writes, and its attributes.
pub(crate) fn bag(
    writer: &mut Writer,
    kind: &[u8],
    value: impl FnOnce(&mut Writer) -> Result<(), CryptoError>,
    attributes: &[Attribute<'_>],
) -> Result<(), CryptoError> {
    writer.sequence(|writer| {
        writer.tlv(tag::OID, kind);
        writer.nest(tag::context_constructed(0), value)?;
        if attributes.is_empty() {
            return Ok(());
        }
        writer.nest(tag::SET, |writer| {
            for (oid, tag, value) in attributes {
                writer.sequence(|writer| {
                    writer.tlv(tag::OID, oid);
                    writer.nest(tag::SET, |writer| {
                        writer.tlv(*tag, value);
                        Ok(())
                    })
                })?;
            }
            Ok(())
        })
    })
}

/// A certBag (section 4.2.3).
pub(crate) fn certificate(
    writer: &mut Writer,
    der: &[u8],
    attributes: &[Attribute<'_>],
) -> Result<(), CryptoError> {
    let value = |writer: &mut Writer| {
        writer.sequence(|writer| {
            writer.tlv(tag::OID, X509_CERTIFICATE);
            writer.nest(tag::context_constructed(0), |writer| {
                writer.octet_string(der);
                Ok(())
            })
        })
    };
    bag(writer, CERT_BAG, value, attributes)
}

/// friendlyName (PKCS #9).
pub(crate) const FRIENDLY_NAME: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x14";

/// A text as BMPString holds it.
pub(crate) fn bmp(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

/// ContentInfo of the type data (RFC 5652 section 4).
fn data(writer: &mut Writer, content: &[u8]) -> Result<(), CryptoError> {
    writer.sequence(|writer| {
        writer.tlv(tag::OID, DATA);
        writer.nest(tag::context_constructed(0), |writer| {
            writer.octet_string(content);
            Ok(())
        })
    })
}

impl Checksum<'_> {
    /// Its key (RFC 7292 appendix B.2, with SHA-256 and the id 3). One block of output is all that is needed, so the
    /// steps that lengthen it are left out.
    fn key(&self) -> [u8; 32] {
        // Appendix B.1: with two zero bytes at the end.
        let mut secret = zeroize::Zeroizing::new(bmp(self.password));
        secret.extend_from_slice(&[0, 0]);
        let mut input = zeroize::Zeroizing::new(vec![3; BLOCK]);
        input.extend(filled(self.salt));
        input.extend(filled(&secret));
        let mut digest = sha256(&input);
        for _ in 1..self.iterations {
            digest = sha256(&digest);
        }
        digest
    }
}

/// Repeated to a multiple of the hash's block.
fn filled(text: &[u8]) -> impl Iterator<Item = u8> {
    let length = text.len().div_ceil(BLOCK).saturating_mul(BLOCK);
    text.iter().copied().cycle().take(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_repeats_fills_whole_blocks() {
        assert_eq!(filled(&[]).count(), 0);
        assert_eq!(filled(&[1, 2]).count(), BLOCK);
        assert_eq!(filled(&[7; BLOCK]).count(), BLOCK);
        assert_eq!(filled(&[7; BLOCK + 1]).count(), 2 * BLOCK);
        assert!(filled(&[1, 2]).take(4).eq([1, 2, 1, 2]));
    }
}
