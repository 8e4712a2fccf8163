//! Private keys on their way out, encrypted under a passphrase: EncryptedPrivateKeyInfo (RFC 5958
//! section 3) with PBES2 (RFC 8018 section 6.2).

use std::num::NonZeroU32;

use aws_lc_rs::cipher::{AES_256, DecryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey};
use aws_lc_rs::pbkdf2;
use zeroize::Zeroizing;

use crate::der::{Writer, tag};
use crate::{CryptoError, random};

/// Rounds of PBKDF2-HMAC-SHA-256: what OWASP's Password Storage Cheat Sheet asks for (2023).
/// OpenSSL, Python's cryptography, GnuTLS and Java all read any count.
const ITERATIONS: NonZeroU32 = match NonZeroU32::new(600_000) {
    Some(count) => count,
    None => NonZeroU32::MIN,
};
/// Bytes of salt: 128 bits, as NIST SP 800-132 section 5.1 asks.
const SALT: usize = 16;
/// A block of AES, by which padding lengthens at most.
const BLOCK: usize = 16;

/// id-PBES2, id-PBKDF2, id-hmacWithSHA256 (RFC 8018 appendices A.4, A.2, B.1.2), aes256-CBC-PAD
/// (RFC 8018 appendix B.2.5): the identifiers' contents.
const PBES2: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0d";
const PBKDF2: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0c";
const HMAC_SHA256: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x02\x09";
const AES_256_CBC: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x01\x2a";

/// The DER of an EncryptedPrivateKeyInfo that holds this PKCS #8 key.
pub(super) fn encrypt(pkcs8: &[u8], passphrase: &[u8]) -> Result<Vec<u8>, CryptoError> {
    let fail = |_| CryptoError::library("encrypt a key");
    let salt = random::bytes::<SALT>()?;
    let mut key = Zeroizing::new([0; 32]);
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        ITERATIONS,
        &salt,
        passphrase,
        key.as_mut_slice(),
    );
    let key = UnboundCipherKey::new(&AES_256, key.as_slice()).map_err(fail)?;
    let cipher = PaddedBlockEncryptingKey::cbc_pkcs7(key).map_err(fail)?;
    // With room for the padding, so that the clear key is not copied into a larger buffer.
    let mut body = Zeroizing::new(Vec::with_capacity(pkcs8.len() + BLOCK));
    body.extend_from_slice(pkcs8);
    let context = cipher.encrypt(&mut *body).map_err(fail)?;
    let DecryptionContext::Iv128(iv) = context else {
        return Err(CryptoError::library("encrypt a key"));
    };
    encode(&salt, iv.as_ref(), &body)
}

fn encode(salt: &[u8], iv: &[u8], body: &[u8]) -> Result<Vec<u8>, CryptoError> {
    let mut writer = Writer::new();
    writer.sequence(|writer| {
        writer.sequence(|writer| {
            writer.tlv(tag::OID, PBES2);
            writer.sequence(|writer| {
                writer.sequence(|writer| {
                    writer.tlv(tag::OID, PBKDF2);
                    writer.sequence(|writer| {
                        writer.octet_string(salt);
                        writer.small_integer(ITERATIONS.get());
                        writer.sequence(|writer| {
                            writer.tlv(tag::OID, HMAC_SHA256);
                            writer.null();
                            Ok(())
                        })
                    })
                })?;
                writer.sequence(|writer| {
                    writer.tlv(tag::OID, AES_256_CBC);
                    writer.octet_string(iv);
                    Ok(())
                })
            })
        })?;
        writer.octet_string(body);
        Ok(())
    })?;
    Ok(writer.finish())
}
