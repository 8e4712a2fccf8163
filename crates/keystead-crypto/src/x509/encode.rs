//! Certificates and requests, written.

use keystead_core::x509::{Extension, SignatureAlgorithm, TbsCertificate};

use super::algorithm::signature_identifier;
use super::extension::write_extensions;
use crate::CryptoError;
use crate::der::{Reader, Writer, tag};

/// Longest serial number (RFC 5280 section 4.1.2.2).
const MAX_SERIAL: usize = 20;

/// The DER that a certificate's signature covers (RFC 5280 section 4.1.2), version 3.
///
/// # Errors
/// [`CryptoError::Malformed`] when a part cannot be encoded: a serial number that is zero, empty or
/// longer than 20 bytes, a date outside 1950 to 9999, a name or extension with a value that its
/// type cannot hold.
pub fn encode_tbs(tbs: &TbsCertificate) -> Result<Vec<u8>, CryptoError> {
    let serial_fits = tbs.serial.iter().any(|octet| *octet != 0)
        && match tbs.serial.first() {
            // The sign bit would cost a 21st byte.
            Some(0x80..) => tbs.serial.len() < MAX_SERIAL,
            _ => tbs.serial.len() <= MAX_SERIAL,
        };
    if !serial_fits {
        return Err(CryptoError::Malformed(format!(
            "a serial number has to be positive and at most {MAX_SERIAL} bytes long"
        )));
    }
    for part in [&tbs.issuer_der, &tbs.subject_der, &tbs.spki_der] {
        one_sequence(part)?;
    }
    let mut writer = Writer::new();
    writer.sequence(|writer| {
        writer.nest(tag::context_constructed(0), |writer| {
            // v3
            writer.small_integer(2);
            Ok(())
        })?;
        writer.unsigned_integer(&tbs.serial);
        writer.raw(signature_identifier(tbs.signature));
        writer.raw(&tbs.issuer_der);
        writer.sequence(|writer| {
            writer.time(tbs.not_before)?;
            writer.time(tbs.not_after)
        })?;
        writer.raw(&tbs.subject_der);
        writer.raw(&tbs.spki_der);
        if tbs.extensions.is_empty() {
            return Ok(());
        }
        writer.nest(tag::context_constructed(3), |writer| {
            write_extensions(writer, &tbs.extensions, &tbs.spki_der)
        })
    })?;
    Ok(writer.finish())
}

/// The signed whole: a certificate of its to-be-signed part (or a request of its information), the
/// algorithm and the signature.
///
/// # Errors
/// [`CryptoError::Malformed`] when the first part is not one DER sequence.
pub fn assemble(
    tbs_der: &[u8],
    algorithm: SignatureAlgorithm,
    signature: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    one_sequence(tbs_der)?;
    let mut writer = Writer::new();
    writer.sequence(|writer| {
        writer.raw(tbs_der);
        writer.raw(signature_identifier(algorithm));
        writer.bit_string(signature);
        Ok(())
    })?;
    Ok(writer.finish())
}

/// The DER that a request's signature covers (RFC 2986 section 4.1). [`assemble`] makes the request
/// of it. Extensions, if there are any, are requested by one extensionRequest attribute (RFC 2985
/// section 5.4.2).
///
/// # Errors
/// [`CryptoError::Malformed`] when the subject or the key is not DER or an extension cannot be
/// encoded.
pub fn encode_csr_info(
    subject_der: &[u8],
    spki_der: &[u8],
    extensions: &[Extension],
) -> Result<Vec<u8>, CryptoError> {
    one_sequence(subject_der)?;
    one_sequence(spki_der)?;
    let mut writer = Writer::new();
    writer.sequence(|writer| {
        writer.small_integer(0);
        writer.raw(subject_der);
        writer.raw(spki_der);
        writer.nest(tag::context_constructed(0), |writer| {
            if extensions.is_empty() {
                return Ok(());
            }
            writer.sequence(|writer| {
                writer.tlv(tag::OID, super::csr::EXTENSION_REQUEST);
                writer.nest(tag::SET, |writer| {
                    write_extensions(writer, extensions, spki_der)
                })
            })
        })
    })?;
    Ok(writer.finish())
}

/// Refuses what would break the encoding around it.
pub(super) fn one_sequence(der: &[u8]) -> Result<(), CryptoError> {
    let mut reader = Reader::new(der);
    reader.expect(tag::SEQUENCE)?;
    reader.finish()
}
