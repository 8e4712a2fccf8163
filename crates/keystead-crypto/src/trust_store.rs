//! Trust stores for Java and others: certificates under names, without keys, in PKCS #12 (RFC 7292) and in
//! Java's older format, JKS.
//!
//! Nothing in them is a secret. The password only feeds a checksum, which the programs that read them
//! insist on, so that the certificates are not encrypted: a password of a public file protects nothing.

use crate::der::{Writer, tag};
use crate::digest::sha1;
use crate::pkcs12::{self, Checksum, FRIENDLY_NAME};
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
    let bags = |writer: &mut Writer| {
        for one in trusted {
            let alias = pkcs12::bmp(&one.alias);
            let attributes = [
                (FRIENDLY_NAME, tag::BMP_STRING, alias.as_slice()),
                // Its value names what it is trusted for.
                (TRUSTED_KEY_USAGE, tag::OID, ANY_EXTENDED_KEY_USAGE),
            ];
            pkcs12::certificate(writer, &one.der, &attributes)?;
        }
        Ok(())
    };
    let salt = random::bytes::<{ pkcs12::SALT }>()?;
    let checksum = Checksum {
        password,
        salt: &salt,
        iterations: ITERATIONS,
    };
    pkcs12::file(bags, &checksum)
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
/// Oracle: 2.16.840.1.113894.746875.1.1.
const TRUSTED_KEY_USAGE: &[u8] = b"\x60\x86\x48\x01\x86\xf9\x66\xad\xca\x7b\x01\x01";
/// RFC 5280 section 4.2.1.12: 2.5.29.37.0.
const ANY_EXTENDED_KEY_USAGE: &[u8] = b"\x55\x1d\x25\x00";

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
