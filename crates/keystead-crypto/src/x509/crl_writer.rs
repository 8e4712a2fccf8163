//! Certificate revocation lists, written (RFC 5280 section 5).

use keystead_core::x509::SignatureAlgorithm;

use super::algorithm::signature_identifier;
use super::general_name::write_uri;
use crate::CryptoError;
use crate::der::{Writer, tag};

/// What a list says, apart from its entries.
#[derive(Clone, Debug)]
pub struct TbsCrl {
    /// How it will be signed.
    pub signature: SignatureAlgorithm,
    /// DER of the issuer's name, byte for byte the issuer's subject.
    pub issuer_der: Vec<u8>,
    /// When it is made (Unix time).
    pub this_update: i64,
    /// When the next one is made at the latest (Unix time).
    pub next_update: i64,
    /// The issuer's subject key identifier.
    pub authority_key_id: Vec<u8>,
    /// Its number (RFC 5280 section 5.2.3).
    pub number: u64,
    /// Where it is fetched, for a list of only those certificates that name this address (section 5.2.5). A list without
    /// is of everything that its issuer revoked.
    pub distribution_point: Option<String>,
}

/// The entries of a list, one behind the other, as they are encoded.
#[derive(Clone, Debug, Default)]
pub struct CrlEntries {
    der: Vec<u8>,
}

impl CrlEntries {
    /// Adds one: the serial number (big-endian), when it was revoked (Unix time), and the CRLReason. A reason of zero,
    /// unspecified, is left out (section 5.3.1).
    ///
    /// # Errors
    /// [`CryptoError::Malformed`] for a time before 1950 or after 9999.
    pub fn add(&mut self, serial: &[u8], at: i64, reason: u8) -> Result<(), CryptoError> {
        let mut writer = Writer::new();
        writer.sequence(|writer| {
            writer.unsigned_integer(serial);
            writer.time(at)?;
            if reason == 0 {
                return Ok(());
            }
            writer.sequence(|writer| {
                write_extension(writer, REASON_CODE, false, |writer| {
                    writer.tlv(tag::ENUMERATED, &[reason]);
                    Ok(())
                })
            })
        })?;
        self.der.extend_from_slice(&writer.finish());
        Ok(())
    }
}

/// The DER that a list's signature covers, version 2. [`super::assemble`] makes the list of it.
///
/// # Errors
/// [`CryptoError::Malformed`] when a part cannot be encoded: an address that is not ASCII, a date outside 1950 to 9999.
pub fn encode_crl_tbs(tbs: &TbsCrl, entries: &CrlEntries) -> Result<Vec<u8>, CryptoError> {
    super::encode::one_sequence(&tbs.issuer_der)?;
    let mut writer = Writer::new();
    writer.sequence(|writer| {
        // v2
        writer.small_integer(1);
        writer.raw(signature_identifier(tbs.signature));
        writer.raw(&tbs.issuer_der);
        writer.time(tbs.this_update)?;
        writer.time(tbs.next_update)?;
        // Section 5.1.2.6: absent where nothing is revoked.
        if !entries.der.is_empty() {
            writer.tlv(tag::SEQUENCE, &entries.der);
        }
        writer.nest(tag::context_constructed(0), |writer| {
            writer.sequence(|writer| write_extensions(writer, tbs))
        })
    })?;
    Ok(writer.finish())
}

fn write_extensions(writer: &mut Writer, tbs: &TbsCrl) -> Result<(), CryptoError> {
    write_extension(writer, AUTHORITY_KEY_ID, false, |writer| {
        writer.sequence(|writer| {
            writer.tlv(tag::context(0), &tbs.authority_key_id);
            Ok(())
        })
    })?;
    write_extension(writer, CRL_NUMBER, false, |writer| {
        writer.unsigned_integer(&tbs.number.to_be_bytes());
        Ok(())
    })?;
    let Some(url) = &tbs.distribution_point else {
        return Ok(());
    };
    write_extension(writer, ISSUING_DISTRIBUTION_POINT, true, |writer| {
        writer.sequence(|writer| {
            // distributionPoint [0], fullName [0].
            writer.nest(tag::context_constructed(0), |writer| {
                writer.nest(tag::context_constructed(0), |writer| write_uri(writer, url))
            })
        })
    })
}

fn write_extension(
    writer: &mut Writer,
    oid: &[u8],
    critical: bool,
    value: impl FnOnce(&mut Writer) -> Result<(), CryptoError>,
) -> Result<(), CryptoError> {
    writer.sequence(|writer| {
        writer.tlv(tag::OID, oid);
        if critical {
            writer.boolean(true);
        }
        writer.nest(tag::OCTET_STRING, value)
    })
}

// id-ce, 2.5.29 (RFC 5280 sections 5.2 and 5.3).
const REASON_CODE: &[u8] = &[0x55, 0x1d, 21];
const CRL_NUMBER: &[u8] = &[0x55, 0x1d, 20];
const ISSUING_DISTRIBUTION_POINT: &[u8] = &[0x55, 0x1d, 28];
const AUTHORITY_KEY_ID: &[u8] = &[0x55, 0x1d, 35];

#[cfg(test)]
mod tests {
    use super::super::{Crl, assemble, encode_name};
    use super::*;
    use crate::testing::name;

    fn tbs(distribution_point: Option<&str>) -> TbsCrl {
        TbsCrl {
            signature: SignatureAlgorithm::Sha256WithEcdsa,
            issuer_der: encode_name(&name(&[("2.5.4.3", "A CA")])).unwrap(),
            this_update: 1_767_225_600,
            next_update: 1_767_312_000,
            authority_key_id: vec![7; 20],
            number: 300,
            distribution_point: distribution_point.map(Into::into),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let mut entries = CrlEntries::default();
        entries.add(&[0xff, 0], 1_767_225_600, 1).unwrap();
        entries.add(&[1, 0x23], 1_767_225_599, 0).unwrap();
        let tbs = encode_crl_tbs(&tbs(None), &entries).unwrap();
        let list = assemble(&tbs, SignatureAlgorithm::Sha256WithEcdsa, &[0; 8]).unwrap();
        let list = Crl::parse(&list).unwrap();
        assert!(list.revokes(&[0xff, 0]) && list.revokes(&[1, 0x23]));
        assert_eq!(list.issuer.attributes[0].value, "A CA");
        assert_eq!(list.this_update, 1_767_225_600);
        assert_eq!(list.next_update, Some(1_767_312_000));
    }

    #[test]
    fn a_partition_says_so_critically() {
        let empty = CrlEntries::default();
        let tbs = encode_crl_tbs(&tbs(Some("http://a.test/b.crl")), &empty).unwrap();
        let list = assemble(&tbs, SignatureAlgorithm::Sha256WithEcdsa, &[0; 8]).unwrap();
        let refused = Crl::parse(&list).unwrap_err();
        assert!(refused.to_string().contains("2.5.29.28"), "{refused}");
    }
}
