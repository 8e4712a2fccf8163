//! Trust stores for Java and others: certificates under names, without keys, in PKCS #12 (RFC 7292) and in
//! Java's older format, JKS.
//!
//! Nothing in them is a secret. The password only feeds a checksum, which the programs that read them
//! insist on, so that the certificates are not encrypted: a password of a public file protects nothing.

use crate::der::{Writer, tag};
use crate::digest::{hmac_sha256, sha1, sha256};
use crate::{CryptoError, random};

/// A certificate and the name under which it is found.
#[derive(Clone, Debug)]
pub struct Trusted {
    /// Its alias; unique in the store. Java looks names up in lower case.
    pub alias: String,
    /// Its DER.
    pub der: Vec<u8>,
}

/// A PKCS #12 trust store with a checksum under `password`.
///
/// Java takes a certificate without a key for trusted only where an attribute of its own says so
/// (`2.16.840.1.113894.746875.1.1`); OpenSSL, GnuTLS and Python read past it.
///
/// # Errors
/// [`CryptoError`] when randomness fails or something is too long for DER.
pub fn pkcs12(trusted: &[Trusted], password: &str) -> Result<Vec<u8>, CryptoError> {
    let safe = authenticated_safe(trusted)?;
    let salt = random::bytes::<SALT>()?;
    let key = mac_key(password, &salt);
    let mac = hmac_sha256(&key, &safe);
    let mut writer = Writer::new();
    // PFX (section 4).
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
            writer.octet_string(&salt);
            writer.small_integer(ITERATIONS);
            Ok(())
        })
    })?;
    Ok(writer.finish())
}

/// AuthenticatedSafe with one SafeContents of certBags (sections 4.1, 4.2.3).
fn authenticated_safe(trusted: &[Trusted]) -> Result<Vec<u8>, CryptoError> {
    let mut bags = Writer::new();
    bags.sequence(|writer| {
        for one in trusted {
            writer.sequence(|writer| {
                writer.tlv(tag::OID, CERT_BAG);
                writer.nest(tag::context_constructed(0), |writer| {
                    writer.sequence(|writer| {
                        writer.tlv(tag::OID, X509_CERTIFICATE);
                        writer.nest(tag::context_constructed(0), |writer| {
                            writer.octet_string(&one.der);
                            Ok(())
                        })
                    })
                })?;
                attributes(writer, &one.alias)
            })?;
        }
        Ok(())
    })?;
    let mut safe = Writer::new();
    safe.sequence(|writer| data(writer, &bags.finish()))?;
    Ok(safe.finish())
}

/// friendlyName (PKCS #9), and Java's mark of a trusted certificate, whose value names what it is trusted
/// for: anyExtendedKeyUsage.
fn attributes(writer: &mut Writer, alias: &str) -> Result<(), CryptoError> {
    let name: Vec<u8> = alias.encode_utf16().flat_map(u16::to_be_bytes).collect();
    writer.nest(tag::SET, |writer| {
        for (oid, tag, value) in [
            (FRIENDLY_NAME, tag::BMP_STRING, name.as_slice()),
            (TRUSTED_KEY_USAGE, tag::OID, ANY_EXTENDED_KEY_USAGE),
        ] {
            writer.sequence(|writer| {
                writer.tlv(tag::OID, oid);
                writer.nest(tag::SET, |writer| {
                    writer.tlv(tag, value);
                    Ok(())
                })
            })?;
        }
        Ok(())
    })
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

/// The key of the checksum (RFC 7292 appendix B.2, with SHA-256 and the id 3). One block of output is all
/// that is needed, so the steps that lengthen it are left out.
fn mac_key(password: &str, salt: &[u8]) -> [u8; 32] {
    // Appendix B.1: big-endian UTF-16 with two zero bytes at the end.
    let mut secret: Vec<u8> = password.encode_utf16().flat_map(u16::to_be_bytes).collect();
    secret.extend_from_slice(&[0, 0]);
    let mut input = vec![3; BLOCK];
    input.extend(filled(salt));
    input.extend(filled(&secret));
    let mut digest = sha256(&input);
    for _ in 1..ITERATIONS {
        digest = sha256(&digest);
    }
    digest
}

/// Repeated to a multiple of the hash's block.
fn filled(text: &[u8]) -> impl Iterator<Item = u8> {
    let length = text.len().div_ceil(BLOCK).saturating_mul(BLOCK);
    text.iter().copied().cycle().take(length)
}

/// A JKS trust store of this instant (milliseconds since 1970), with a checksum under `password`.
///
/// The format is `sun.security.provider.JavaKeyStore`'s, version 2; OpenJDK's source is its only
/// description. Use [`pkcs12`] where a Java of this decade reads it.
///
/// # Errors
/// [`CryptoError`] when an alias or a certificate is too long for the format.
pub fn jks(trusted: &[Trusted], password: &str, now_ms: i64) -> Result<Vec<u8>, CryptoError> {
    let long = |_| CryptoError::library("write a trust store");
    let mut out = Vec::new();
    out.extend_from_slice(&0xfeed_feed_u32.to_be_bytes());
    out.extend_from_slice(&2_u32.to_be_bytes());
    out.extend_from_slice(&u32::try_from(trusted.len()).map_err(long)?.to_be_bytes());
    for one in trusted {
        // A trusted certificate; private keys have the tag 1.
        out.extend_from_slice(&2_u32.to_be_bytes());
        utf(&mut out, &one.alias)?;
        out.extend_from_slice(&now_ms.to_be_bytes());
        utf(&mut out, "X.509")?;
        out.extend_from_slice(&u32::try_from(one.der.len()).map_err(long)?.to_be_bytes());
        out.extend_from_slice(&one.der);
    }
    let mut checked: Vec<u8> = password.encode_utf16().flat_map(u16::to_be_bytes).collect();
    checked.extend_from_slice(b"Mighty Aphrodite");
    checked.extend_from_slice(&out);
    out.extend_from_slice(&sha1(&checked));
    Ok(out)
}

/// As Java's DataOutput writes text: for all but the zero byte and what lies beyond the BMP, its length
/// and UTF-8. Neither stands in an alias of ours.
fn utf(out: &mut Vec<u8>, text: &str) -> Result<(), CryptoError> {
    let length = u16::try_from(text.len())
        .map_err(|_| CryptoError::library("write a name that is so long"))?;
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

/// As Java writes its own (`keystore.pkcs12.macIterationCount`). More would protect nothing.
const ITERATIONS: u32 = 10_000;
/// Bytes of salt, as Java and OpenSSL have.
const SALT: usize = 20;
/// A block of SHA-256, which appendix B.2 calls v.
const BLOCK: usize = 64;

/// The contents of identifiers. PKCS #7: data. PKCS #12: certBag. PKCS #9: x509Certificate, friendlyName.
const DATA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";
const CERT_BAG: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01\x03";
const X509_CERTIFICATE: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x16\x01";
const FRIENDLY_NAME: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x14";
/// Oracle: 2.16.840.1.113894.746875.1.1.
const TRUSTED_KEY_USAGE: &[u8] = b"\x60\x86\x48\x01\x86\xf9\x66\xad\xca\x7b\x01\x01";
/// RFC 5280 section 4.2.1.12: 2.5.29.37.0.
const ANY_EXTENDED_KEY_USAGE: &[u8] = b"\x55\x1d\x25\x00";
/// NIST: id-sha256.
const SHA256: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x02\x01";

#[cfg(test)]
mod tests {
    use super::*;

    fn trusted() -> Vec<Trusted> {
        vec![Trusted {
            alias: "a root".into(),
            der: vec![0x30, 0x00],
        }]
    }

    #[test]
    fn what_repeats_fills_whole_blocks() {
        assert_eq!(filled(&[]).count(), 0);
        assert_eq!(filled(&[1, 2]).count(), BLOCK);
        assert_eq!(filled(&[7; BLOCK]).count(), BLOCK);
        assert_eq!(filled(&[7; BLOCK + 1]).count(), 2 * BLOCK);
        assert!(filled(&[1, 2]).take(4).eq([1, 2, 1, 2]));
    }

    #[test]
    fn a_store_without_certificates_is_a_store() {
        assert!(pkcs12(&[], "changeit").is_ok());
        // Magic, version and count, and the checksum.
        assert_eq!(jks(&[], "changeit", 0).unwrap().len(), 12 + 20);
    }

    #[test]
    fn a_jks_ends_with_a_checksum_under_the_password() {
        let (one, other) = (
            jks(&trusted(), "changeit", 5).unwrap(),
            jks(&trusted(), "another", 5).unwrap(),
        );
        let body = one.len() - 20;
        assert_eq!(one[..body], other[..body]);
        assert_ne!(one[body..], other[body..]);
        assert_eq!(&one[..8], b"\xfe\xed\xfe\xed\0\0\0\x02");
    }

    #[test]
    fn a_pkcs12_holds_the_certificate_and_its_name() {
        let store = pkcs12(&trusted(), "changeit").unwrap();
        let name: Vec<u8> = "a root".encode_utf16().flat_map(u16::to_be_bytes).collect();
        let holds = |part: &[u8]| store.windows(part.len()).any(|window| window == part);
        assert!(holds(&name) && holds(&[0x04, 0x02, 0x30, 0x00]));
        assert!(holds(TRUSTED_KEY_USAGE));
    }

    #[test]
    fn a_name_that_is_too_long_is_refused() {
        let long = Trusted {
            alias: "x".repeat(70_000),
            der: vec![],
        };
        assert!(jks(&[long], "", 0).is_err());
    }
}
