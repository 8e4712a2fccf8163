//! Certificate revocation lists, read and verified (RFC 5280 section 5).

use keystead_core::x509::Name;

use super::algorithm::Scheme;
use super::name::parse_name;
use super::pem;
use super::public_key::PublicKey;
use super::signed::Signed;
use crate::CryptoError;
use crate::der::{self, Reader, tag};

/// The labels under which lists come (RFC 7468 section 6).
const LABELS: [&str; 2] = ["X509 CRL", "CRL"];

/// A list that was read.
#[derive(Clone, Debug)]
pub struct Crl {
    tbs: Vec<u8>,
    scheme: Option<Scheme>,
    signature: Vec<u8>,
    /// DER of the issuer's name.
    pub issuer_der: Vec<u8>,
    /// The issuer's name.
    pub issuer: Name,
    /// When it was made (Unix time).
    pub this_update: i64,
    /// When the next one is made at the latest (Unix time).
    pub next_update: Option<i64>,
    /// The serial numbers of what is revoked: big-endian, without leading zeros.
    pub revoked: Vec<Vec<u8>>,
}

impl Crl {
    /// Reads one list: PEM, DER, or base64 of either.
    ///
    /// # Errors
    /// [`CryptoError::Malformed`] when it is none of these; [`CryptoError::Unsupported`] when it has a critical
    /// extension, without which it means something else (an indirect or partial list).
    pub fn parse(input: &[u8]) -> Result<Self, CryptoError> {
        let der = pem::unarmor(input, &LABELS, "certificate revocation list")?;
        let Signed {
            tbs,
            identifier,
            signature,
        } = Signed::read(&der)?;
        let mut fields = tbs.reader();
        fields.optional(tag::INTEGER)?;
        if fields.expect(tag::SEQUENCE)?.whole != identifier.whole {
            return Err(CryptoError::Malformed(
                "the list names two different signature algorithms (RFC 5280 section 5.1.1.2)"
                    .into(),
            ));
        }
        let issuer_der = fields.expect(tag::SEQUENCE)?.whole;
        let this_update = der::time(&fields.element()?)?;
        let next_update = match fields.peek() {
            Some(tag::UTC_TIME | tag::GENERALIZED_TIME) => Some(der::time(&fields.element()?)?),
            _ => None,
        };
        let mut revoked = Vec::new();
        if let Some(entries) = fields.optional(tag::SEQUENCE)? {
            let mut entries = entries.reader();
            while !entries.is_empty() {
                let mut entry = entries.enter(tag::SEQUENCE)?;
                let serial = der::unsigned_integer(entry.expect(tag::INTEGER)?.content)?;
                der::time(&entry.element()?)?;
                if let Some(extensions) = entry.optional(tag::SEQUENCE)? {
                    refuse_critical(extensions.reader())?;
                }
                entry.finish()?;
                revoked.push(serial.to_vec());
            }
        }
        if let Some(extensions) = fields.optional(tag::context_constructed(0))? {
            let mut extensions = extensions.reader();
            refuse_critical(extensions.enter(tag::SEQUENCE)?)?;
            extensions.finish()?;
        }
        fields.finish()?;
        Ok(Self {
            tbs: tbs.whole.into(),
            scheme: Scheme::parse(&identifier).ok(),
            signature: signature.into(),
            issuer: parse_name(issuer_der)?,
            issuer_der: issuer_der.into(),
            this_update,
            next_update,
            revoked,
        })
    }

    /// Whether the certificate with this serial number is revoked.
    pub fn revokes(&self, serial: &[u8]) -> bool {
        self.revoked.iter().any(|revoked| revoked == serial)
    }

    /// Verifies the list's signature under its issuer's key.
    ///
    /// # Errors
    /// [`CryptoError::BadSignature`] or [`CryptoError::Mismatch`] when another key signed it;
    /// [`CryptoError::Unsupported`] when it is signed in a way that is not served.
    pub fn verify_issued_by(&self, issuer_spki_der: &[u8]) -> Result<(), CryptoError> {
        let scheme = self.scheme.ok_or_else(Scheme::unsupported)?;
        PublicKey::parse(issuer_spki_der)?.verify(scheme, &self.tbs, &self.signature)
    }
}

/// RFC 5280 section 5.2: who does not know a critical extension must not use the list.
fn refuse_critical(mut extensions: Reader<'_>) -> Result<(), CryptoError> {
    while !extensions.is_empty() {
        let mut extension = extensions.enter(tag::SEQUENCE)?;
        let oid = der::oid(extension.expect(tag::OID)?.content)?;
        if let Some(critical) = extension.optional(tag::BOOLEAN)?
            && der::boolean(critical.content)?
        {
            return Err(CryptoError::Unsupported(format!(
                "the list has the critical extension {}, which is not served",
                oid.0
            )));
        }
        extension.expect(tag::OCTET_STRING)?;
        extension.finish()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::hex;

    /// Made by Python's cryptography 46: serial numbers 0x123 and 0xff00, with reasons and a number, signed by [`KEY`].
    const PLAIN: &str = "-----BEGIN X509 CRL-----
MIHwMIGXAgEBMAoGCCqGSM49BAMCMA8xDTALBgNVBAMMBEEgQ0EXDTI2MDEwMTAw
MDAwMFoXDTI2MDEwMjAwMDAwMFowRzAhAgIBIxcNMjYwMTAxMDAwMDAwWjAMMAoG
A1UdFQQDCgEBMCICAwD/ABcNMjYwMTAxMDAwMDAwWjAMMAoGA1UdFQQDCgEBoA4w
DDAKBgNVHRQEAwIBATAKBggqhkjOPQQDAgNIADBFAiBCinTOPSCMlkPI82oH8nOu
JVSihWohw7usSyKYWxThGwIhAPClwS18X4Fr6lFePki+eB/eeLskU74+oYJ0sQUY
pe/a
-----END X509 CRL-----
";

    /// The same with the critical extension 1.2.3.4.
    const CRITICAL: &str = "-----BEGIN X509 CRL-----
MIH/MIGlAgEBMAoGCCqGSM49BAMCMA8xDTALBgNVBAMMBEEgQ0EXDTI2MDEwMTAw
MDAwMFoXDTI2MDEwMjAwMDAwMFowRzAhAgIBIxcNMjYwMTAxMDAwMDAwWjAMMAoG
A1UdFQQDCgEBMCICAwD/ABcNMjYwMTAxMDAwMDAwWjAMMAoGA1UdFQQDCgEBoBww
GjAKBgNVHRQEAwIBATAMBgMqAwQBAf8EAgUAMAoGCCqGSM49BAMCA0kAMEYCIQCR
2KBXzo9JMcs4z+Dlw3MBIfkD33S6UnfO9gAdcuZ49gIhAMUIvsHAZtXXf5bBpmzz
a4KsmvenA0VRDUAn8DToNGVU
-----END X509 CRL-----
";

    const KEY: &str = "3059301306072a8648ce3d020106082a8648ce3d030107034200043ed7a28ec648edce5d5b7e252f6b2aafbb44835114a24b3caa8f710f64993bc25711a34cdc9229080b639f09977feb7ca91ecce1649bfea8ad85c72b206ade7e";

    #[test]
    fn what_it_says_and_who_signed_it() {
        let list = Crl::parse(PLAIN.as_bytes()).unwrap();
        assert_eq!(list.issuer.attributes[0].value, "A CA");
        assert_eq!(
            (list.this_update, list.next_update),
            (1_767_225_600, Some(1_767_312_000))
        );
        assert!(list.revokes(&[1, 0x23]) && list.revokes(&[0xff, 0]));
        assert!(!list.revokes(&[0, 1, 0x23]) && !list.revokes(&[1]));
        let key = hex(KEY);
        assert!(list.verify_issued_by(&key).is_ok());
        let mut altered = list.clone();
        altered.tbs[40] ^= 1;
        assert!(altered.verify_issued_by(&key).is_err());
    }

    #[test]
    fn what_it_must_not_say() {
        let refused = Crl::parse(CRITICAL.as_bytes()).unwrap_err();
        assert!(matches!(refused, CryptoError::Unsupported(_)), "{refused}");
        let der = pem::blocks(PLAIN).unwrap().remove(0).der;
        for cut in 0..der.len() {
            assert!(Crl::parse(&der[..cut]).is_err(), "{cut}");
        }
        let certificate = PLAIN.replace("X509 CRL", "CERTIFICATE");
        assert!(Crl::parse(certificate.as_bytes()).is_err());
    }
}
