//! A key with its certificates in one file, in PKCS #12 (RFC 7292), for Java and others that read nothing else.
//!
//! The key is encrypted under the password (PBES2: PBKDF2 with HMAC-SHA-256, AES-256); the certificates are
//! not, since they are public. The same key, certificates and password always give the same bytes, so that whoever keeps
//! the file up to date sees whether it is: salts and the initialisation vector are made of the key, which nobody can guess.

use zeroize::Zeroizing;

use crate::CryptoError;
use crate::der::{Writer, tag};
use crate::digest::{hmac_sha256, sha256};
use crate::keyring::export::{self, ITERATIONS};
use crate::pkcs12::{self, Checksum, FRIENDLY_NAME};
use crate::x509::pem;

/// What goes into the file.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The name under which it is found, the alias. Java looks names up in lower case.
    pub alias: &'a str,
    /// DER of the key's certificate.
    pub certificate: &'a [u8],
    /// DER of what is between it and its root, in this order.
    pub chain: &'a [&'a [u8]],
}

/// The file of this key (PKCS #8 in PEM) and its certificates under `password`. Takes a third of a second: not for an
/// async executor.
///
/// # Errors
/// [`CryptoError::Malformed`] where the text has no such key.
pub fn pkcs12(key: &str, entry: Entry<'_>, password: &str) -> Result<Vec<u8>, CryptoError> {
    let blocks = pem::blocks(key)?;
    let key = blocks.iter().find(|block| block.label == "PRIVATE KEY");
    let key = key.ok_or_else(|| CryptoError::Malformed("the text has no private key".into()))?;
    let derived = |what: &[u8]| Zeroizing::new(hmac_sha256(&key.der, what));
    let (salt, iv) = (derived(b"pkcs12 salt"), derived(b"pkcs12 iv"));
    let encrypted =
        export::encrypt_with(&key.der, password.as_bytes(), first(&*salt)?, first(&*iv)?)?;
    let (alias, id) = (pkcs12::bmp(entry.alias), sha256(entry.certificate));
    let named = [
        (FRIENDLY_NAME, tag::BMP_STRING, alias.as_slice()),
        (LOCAL_KEY_ID, tag::OCTET_STRING, id.as_slice()),
    ];
    let bags = |writer: &mut Writer| {
        let value = |writer: &mut Writer| {
            writer.raw(&encrypted);
            Ok(())
        };
        pkcs12::bag(writer, SHROUDED_KEY_BAG, value, &named)?;
        pkcs12::certificate(writer, entry.certificate, &named)?;
        for der in entry.chain {
            pkcs12::certificate(writer, der, &[])?;
        }
        Ok(())
    };
    let salt: [u8; pkcs12::SALT] = first(&*derived(b"pkcs12 checksum"))?;
    // The checksum is another way to try passwords, so it takes as long.
    let checksum = Checksum {
        password,
        salt: &salt,
        iterations: ITERATIONS.get(),
    };
    pkcs12::file(bags, &checksum)
}

/// The first bytes.
fn first<const N: usize>(bytes: &[u8]) -> Result<[u8; N], CryptoError> {
    let found = bytes.first_chunk().copied();
    found.ok_or_else(|| CryptoError::library("make a salt"))
}

/// pkcs8ShroudedKeyBag (PKCS #12), localKeyID (PKCS #9).
const SHROUDED_KEY_BAG: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01\x02";
const LOCAL_KEY_ID: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x15";

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n";
    const ENTRY: Entry<'static> = Entry {
        alias: "shop",
        certificate: &[0x30, 0],
        chain: &[],
    };

    #[test]
    fn the_same_gives_the_same_and_every_difference_shows() {
        let made = pkcs12(KEY, ENTRY, "one").unwrap();
        assert_eq!(made, pkcs12(KEY, ENTRY, "one").unwrap());
        assert_ne!(made, pkcs12(KEY, ENTRY, "two").unwrap());
        let other = KEY.replace("MAA=", "MAECAQA=");
        assert_ne!(made, pkcs12(&other, ENTRY, "one").unwrap());
        let other = Entry {
            alias: "else",
            ..ENTRY
        };
        assert_ne!(made, pkcs12(KEY, other, "one").unwrap());
    }

    #[test]
    fn a_text_without_a_key_is_refused() {
        assert!(pkcs12("", ENTRY, "one").is_err());
    }
}
