//! Private keys on their way out, encrypted under a passphrase, and back: EncryptedPrivateKeyInfo (RFC 5958
//! section 3) with PBES2 (RFC 8018 section 6.2).

use std::num::NonZeroU32;

use aws_lc_rs::cipher::{
    AES_256, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey,
    PaddedBlockEncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::pbkdf2;
use zeroize::Zeroizing;

use crate::der::{Reader, Writer, small_integer, tag};
use crate::{CryptoError, random};

/// Rounds of PBKDF2-HMAC-SHA-256: what OWASP's Password Storage Cheat Sheet asks for (2023).
/// OpenSSL, Python's cryptography, GnuTLS and Java all read any count.
pub(crate) const ITERATIONS: NonZeroU32 = match NonZeroU32::new(600_000) {
    Some(count) => count,
    None => NonZeroU32::MIN,
};
/// More would only keep the machine busy.
const MOST_ITERATIONS: NonZeroU32 = match NonZeroU32::new(10_000_000) {
    Some(count) => count,
    None => NonZeroU32::MAX,
};
/// Bytes of salt: 128 bits, as NIST SP 800-132 section 5.1 asks.
pub(crate) const SALT: usize = 16;
/// A block of AES, by which padding lengthens at most.
pub(crate) const BLOCK: usize = 16;

/// id-PBES2, id-PBKDF2, id-hmacWithSHA256 (RFC 8018 appendices A.4, A.2, B.1.2), aes256-CBC-PAD
/// (RFC 8018 appendix B.2.5): the identifiers' contents.
const PBES2: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0d";
const PBKDF2: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0c";
const HMAC_SHA256: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x02\x09";
const AES_256_CBC: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x01\x2a";

/// The DER of an EncryptedPrivateKeyInfo that holds this PKCS #8 key.
pub(super) fn encrypt(pkcs8: &[u8], passphrase: &[u8]) -> Result<Vec<u8>, CryptoError> {
    encrypt_with(pkcs8, passphrase, random::bytes()?, random::bytes()?)
}

/// As [`encrypt`], with this salt and initialisation vector, which nobody can foresee.
pub(crate) fn encrypt_with(
    pkcs8: &[u8],
    passphrase: &[u8],
    salt: [u8; SALT],
    iv: [u8; BLOCK],
) -> Result<Vec<u8>, CryptoError> {
    let fail = |_| CryptoError::library("encrypt a key");
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
    let context = EncryptionContext::Iv128(FixedLength::from(iv));
    cipher
        .less_safe_encrypt(&mut *body, context)
        .map_err(fail)?;
    encode(&salt, &iv, &body)
}

/// The PKCS #8 key in such a DER, of this form alone: PBKDF2 with HMAC-SHA-256 and AES-256.
pub(super) fn decrypt(der: &[u8], passphrase: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    let fail = |_| CryptoError::Malformed("the passphrase does not open the private key".into());
    let Sealed {
        salt,
        iterations,
        iv,
        body,
    } = decode(der)?;
    let mut key = Zeroizing::new([0; 32]);
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        iterations,
        salt,
        passphrase,
        key.as_mut_slice(),
    );
    let key = UnboundCipherKey::new(&AES_256, key.as_slice()).map_err(fail)?;
    let cipher = PaddedBlockDecryptingKey::cbc_pkcs7(key).map_err(fail)?;
    let mut body = Zeroizing::new(body.to_vec());
    let iv: [u8; BLOCK] = iv.try_into().map_err(|_| unknown())?;
    let context = DecryptionContext::Iv128(FixedLength::from(iv));
    let clear = cipher.decrypt(&mut body, context).map_err(fail)?.len();
    body.truncate(clear);
    Ok(body)
}

struct Sealed<'a> {
    salt: &'a [u8],
    iterations: NonZeroU32,
    iv: &'a [u8],
    body: &'a [u8],
}

fn decode(der: &[u8]) -> Result<Sealed<'_>, CryptoError> {
    let is = |found: &[u8], expected: &[u8]| match found == expected {
        true => Ok(()),
        false => Err(unknown()),
    };
    let mut outer = Reader::new(der).enter(tag::SEQUENCE)?;
    let mut scheme = outer.enter(tag::SEQUENCE)?;
    is(scheme.expect(tag::OID)?.content, PBES2)?;
    let mut parts = scheme.enter(tag::SEQUENCE)?;
    let mut derivation = parts.enter(tag::SEQUENCE)?;
    is(derivation.expect(tag::OID)?.content, PBKDF2)?;
    let mut derivation = derivation.enter(tag::SEQUENCE)?;
    let salt = derivation.expect(tag::OCTET_STRING)?.content;
    let iterations = small_integer(derivation.expect(tag::INTEGER)?.content)?;
    let iterations = NonZeroU32::new(iterations).filter(|count| *count <= MOST_ITERATIONS);
    // The length of the key may be said; it can only be one.
    derivation.optional(tag::INTEGER)?;
    is(
        derivation.enter(tag::SEQUENCE)?.expect(tag::OID)?.content,
        HMAC_SHA256,
    )?;
    let mut cipher = parts.enter(tag::SEQUENCE)?;
    is(cipher.expect(tag::OID)?.content, AES_256_CBC)?;
    Ok(Sealed {
        salt,
        iterations: iterations.ok_or_else(unknown)?,
        iv: cipher.expect(tag::OCTET_STRING)?.content,
        body: outer.expect(tag::OCTET_STRING)?.content,
    })
}

fn unknown() -> CryptoError {
    CryptoError::Malformed(
        "the private key is not encrypted by PBES2 with PBKDF2, HMAC-SHA-256 and AES-256-CBC"
            .into(),
    )
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
