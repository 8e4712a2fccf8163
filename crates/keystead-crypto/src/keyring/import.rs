//! Private keys from outside, in every form in which tools write them.

use keystead_core::x509::KeySpec;
use zeroize::Zeroizing;

use aws_lc_rs::signature::{EcdsaKeyPair, RsaKeyPair};

use super::soft::{Curve, SoftKey, invalid};
use crate::CryptoError;
use crate::der::{self, Reader, tag};
use crate::x509::pem::{self, Block, Stripped};
use crate::x509::{KeyKind, bit_length, named_curve, rsa_spec};

/// Longest input that is read: ACM's `PrivateKeyBlob` allows 5120 bytes; an RSA-4096 key in PEM has
/// 3300, an expanded ML-DSA-87 key 6700, and base64 of it a third more.
const MAX_LEN: usize = 16 * 1024;

/// A key and its spec from PKCS #8 (RFC 5958), PKCS #1 (RFC 8017) or SEC 1 (RFC 5915), in DER, PEM
/// or base64 of either.
///
/// # Errors
/// [`CryptoError::Malformed`] when it is none of these or not a valid key;
/// [`CryptoError::Unsupported`] when it is encrypted, too weak, or of a kind that is not served.
pub(super) fn read(input: &[u8]) -> Result<(KeySpec, SoftKey), CryptoError> {
    if input.len() > MAX_LEN {
        return Err(CryptoError::Malformed(format!(
            "the private key is {} bytes long; at most {MAX_LEN} are read",
            input.len()
        )));
    }
    let der = match pem::strip(input)? {
        Stripped::Der(der) => der,
        Stripped::Text(text) => the_key(pem::blocks(&text)?)?,
    };
    from_der(&der)
}

/// The one private key among the blocks.
fn the_key(blocks: Vec<Block>) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    // `openssl ecparam -genkey` writes the curve's name before the key, which names it too.
    let mut blocks = blocks
        .into_iter()
        .filter(|block| block.label != "EC PARAMETERS");
    let (block, None) = (blocks.next(), blocks.next()) else {
        return Err(CryptoError::Malformed(
            "one private key was expected, but there are several PEM blocks".into(),
        ));
    };
    let block = block.ok_or_else(|| {
        CryptoError::Malformed("there is no PEM block with a private key in the input".into())
    })?;
    match block.label.as_str() {
        "ENCRYPTED PRIVATE KEY" => Err(encrypted()),
        _ if block.encrypted => Err(encrypted()),
        "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY" => Ok(block.der),
        "OPENSSH PRIVATE KEY" => Err(CryptoError::Unsupported(
            "the private key is in OpenSSH's own format; convert it with \
             ssh-keygen -p -m PKCS8 -f FILE"
                .into(),
        )),
        label => Err(CryptoError::Malformed(format!(
            "a private key was expected, but the PEM block is labelled {label:?}"
        ))),
    }
}

fn from_der(der: &[u8]) -> Result<(KeySpec, SoftKey), CryptoError> {
    let mut outer = Reader::new(der);
    let mut reader = outer.enter(tag::SEQUENCE)?;
    outer.finish()?;
    // EncryptedPrivateKeyInfo begins with an algorithm, the others with a version.
    if reader.peek() == Some(tag::SEQUENCE) {
        return Err(encrypted());
    }
    let version = der::small_integer(reader.expect(tag::INTEGER)?.content)?;
    match (version, reader.peek()) {
        (0 | 1, Some(tag::SEQUENCE)) => {
            let kind = KeyKind::parse(&reader.element()?)?;
            pkcs8(der, kind, reader.expect(tag::OCTET_STRING)?.content)
        }
        (0, Some(tag::INTEGER)) => {
            let spec = served(bit_length(reader.element()?.content)?)?;
            let key = RsaKeyPair::from_der(der).map_err(|_| invalid())?;
            Ok((spec, SoftKey::Rsa(key)))
        }
        (1, Some(tag::OCTET_STRING)) => {
            reader.element()?;
            sec1(der, reader)
        }
        _ => Err(CryptoError::Malformed(
            "the private key is none of PKCS #8, PKCS #1 (RSA) and SEC 1 (EC)".into(),
        )),
    }
}

fn pkcs8(der: &[u8], kind: KeyKind, inner: &[u8]) -> Result<(KeySpec, SoftKey), CryptoError> {
    let spec = match kind {
        KeyKind::Fixed(spec) => spec,
        KeyKind::Rsa { pss_only: false } => {
            let mut fields = Reader::new(inner).enter(tag::SEQUENCE)?;
            fields.expect(tag::INTEGER)?;
            served(bit_length(fields.expect(tag::INTEGER)?.content)?)?
        }
        KeyKind::Rsa { pss_only: true } => {
            return Err(CryptoError::Unsupported(
                "the RSA key may only be used with PSS; certificates here are signed with \
                 PKCS #1 v1.5"
                    .into(),
            ));
        }
        KeyKind::Ed25519 => {
            return Err(CryptoError::Unsupported(
                "Ed25519 keys are not served: use RSA, an elliptic curve (P-256, P-384, P-521) \
                 or ML-DSA"
                    .into(),
            ));
        }
    };
    Ok((spec, SoftKey::from_pkcs8(spec, der)?))
}

/// The rest of an ECPrivateKey behind the private value.
fn sec1(der: &[u8], mut reader: Reader<'_>) -> Result<(KeySpec, SoftKey), CryptoError> {
    let parameters = reader.optional(tag::context_constructed(0))?;
    let curve = parameters
        .and_then(|parameters| parameters.reader().expect(tag::OID).ok())
        .and_then(|oid| named_curve(oid.content));
    let spec = curve.ok_or_else(|| {
        CryptoError::Unsupported(
            "the EC private key does not name its curve, or not one of P-256, P-384 and P-521; \
             convert it to PKCS #8 (openssl pkcs8 -topk8 -nocrypt)"
                .into(),
        )
    })?;
    let curve = Curve::of(spec)?;
    let key = EcdsaKeyPair::from_private_key_der(curve.signing(), der).map_err(|_| invalid())?;
    Ok((spec, SoftKey::Ec(key, curve)))
}

fn served(bits: usize) -> Result<KeySpec, CryptoError> {
    rsa_spec(bits).ok().flatten().ok_or_else(|| {
        CryptoError::Unsupported(format!(
            "the RSA key has {bits} bits; 2048, 3072 and 4096 are served"
        ))
    })
}

fn encrypted() -> CryptoError {
    CryptoError::Unsupported(
        "the private key is encrypted; decrypt it first (openssl pkey -in FILE)".into(),
    )
}
