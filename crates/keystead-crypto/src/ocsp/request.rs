//! Requests (RFC 6960 section 4.1).

use crate::der::{self, Element, Reader, tag};
use crate::x509::key_bits;
use crate::{CryptoError, digest};

/// Most certificates that one request may ask about. Clients ask about one (RFC 5019 section 2.1.1 allows no more); a
/// gateway may ask about the certificates of a chain, and nobody's chain is so long.
pub const MOST_ASKED: usize = 16;

/// The longest nonce: RFC 9654 section 2.1 (RFC 8954, before it, allowed 32 octets).
const LONGEST_NONCE: usize = 128;

/// The longest serial number (RFC 5280 section 4.1.2.2).
const LONGEST_SERIAL: usize = 20;

/// What somebody wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OcspRequest {
    /// About which certificates; at least one.
    pub asked: Vec<CertId>,
    /// What the answer has to repeat.
    pub nonce: Option<Vec<u8>>,
}

/// A certificate, by its issuer and serial number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertId {
    /// Its DER, which the answer repeats.
    pub der: Vec<u8>,
    /// How the issuer is hashed.
    pub hash: HashAlgorithm,
    /// Hash of the issuer's name.
    pub name_hash: Vec<u8>,
    /// Hash of the issuer's key.
    pub key_hash: Vec<u8>,
    /// Big-endian, without leading zeros.
    pub serial: Vec<u8>,
}

/// A hash by which an issuer is named. RFC 5019 knows SHA-1 alone; nothing rests on it, for who asks about another
/// certificate than he means has only himself to deceive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HashAlgorithm {
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

impl HashAlgorithm {
    /// Those that are served.
    pub const ALL: [Self; 2] = [Self::Sha1, Self::Sha256];

    /// The hash of these bytes.
    pub fn hash(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => digest::sha1(bytes).to_vec(),
            Self::Sha256 => digest::sha256(bytes).to_vec(),
        }
    }

    /// The hash of an issuer's key, whose SubjectPublicKeyInfo this is: of the key's bits alone.
    ///
    /// # Errors
    /// [`CryptoError::Malformed`] when it is no SubjectPublicKeyInfo.
    pub fn hash_key(self, spki_der: &[u8]) -> Result<Vec<u8>, CryptoError> {
        Ok(self.hash(key_bits(spki_der)?))
    }

    fn parse(oid: &[u8]) -> Option<Self> {
        match oid {
            b"\x2b\x0e\x03\x02\x1a" => Some(Self::Sha1),
            b"\x60\x86\x48\x01\x65\x03\x04\x02\x01" => Some(Self::Sha256),
            _ => None,
        }
    }

    fn octets(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }
}

impl OcspRequest {
    /// Reads the DER of a request. Who signed it, if anybody did, does not matter: answers are public.
    ///
    /// # Errors
    /// [`CryptoError::Malformed`] when it is none, asks about nothing or about more than [`MOST_ASKED`], or has a nonce
    /// that is empty or longer than 128 octets; [`CryptoError::Unsupported`] when it names an issuer by another hash or
    /// has a critical extension that is not known here (RFC 6960 section 4.1.2).
    pub fn parse(der: &[u8]) -> Result<Self, CryptoError> {
        let mut outer = Reader::new(der);
        let mut parts = outer.enter(tag::SEQUENCE)?;
        outer.finish()?;
        let mut tbs = parts.enter(tag::SEQUENCE)?;
        parts.optional(tag::context_constructed(0))?;
        parts.finish()?;
        if let Some(version) = tbs.optional(tag::context_constructed(0))? {
            let mut inside = version.reader();
            if der::small_integer(inside.expect(tag::INTEGER)?.content)? != 0 {
                return Err(CryptoError::Unsupported("the version is not 1".into()));
            }
            inside.finish()?;
        }
        // Who asks.
        tbs.optional(tag::context_constructed(1))?;
        let asked = asked(tbs.enter(tag::SEQUENCE)?)?;
        let nonce = match tbs.optional(tag::context_constructed(2))? {
            Some(wrapped) => {
                let mut inside = wrapped.reader();
                let nonce = extensions(inside.enter(tag::SEQUENCE)?)?;
                inside.finish()?;
                nonce
            }
            None => None,
        };
        tbs.finish()?;
        Ok(Self { asked, nonce })
    }
}

fn asked(mut list: Reader<'_>) -> Result<Vec<CertId>, CryptoError> {
    let mut all = Vec::new();
    while !list.is_empty() {
        if all.len() == MOST_ASKED {
            return Err(CryptoError::Malformed(format!(
                "the request asks about more than {MOST_ASKED} certificates"
            )));
        }
        let mut one = list.enter(tag::SEQUENCE)?;
        all.push(cert_id(&one.expect(tag::SEQUENCE)?)?);
        if let Some(wrapped) = one.optional(tag::context_constructed(0))? {
            let mut inside = wrapped.reader();
            // A nonce would stand with the whole request.
            extensions(inside.enter(tag::SEQUENCE)?)?;
            inside.finish()?;
        }
        one.finish()?;
    }
    match all.is_empty() {
        true => Err(CryptoError::Malformed(
            "the request asks about nothing".into(),
        )),
        false => Ok(all),
    }
}

fn cert_id(element: &Element<'_>) -> Result<CertId, CryptoError> {
    let mut fields = element.reader();
    let mut algorithm = fields.enter(tag::SEQUENCE)?;
    let hash = HashAlgorithm::parse(algorithm.expect(tag::OID)?.content);
    // Parameters are NULL or absent (RFC 5754 section 2).
    if let Some(null) = algorithm.optional(tag::NULL)?
        && !null.content.is_empty()
    {
        return Err(CryptoError::Malformed("a NULL has content".into()));
    }
    algorithm.finish()?;
    let hash = hash.ok_or_else(|| {
        CryptoError::Unsupported("an issuer is named by another hash than SHA-1 or SHA-256".into())
    })?;
    let name_hash = fields.expect(tag::OCTET_STRING)?.content;
    let key_hash = fields.expect(tag::OCTET_STRING)?.content;
    let serial = der::unsigned_integer(fields.expect(tag::INTEGER)?.content)?;
    fields.finish()?;
    let octets = hash.octets();
    if name_hash.len() != octets || key_hash.len() != octets || serial.len() > LONGEST_SERIAL {
        return Err(CryptoError::Malformed(
            "a hash has another length than its algorithm's, or a serial number more than 20 octets"
                .into(),
        ));
    }
    Ok(CertId {
        der: element.whole.into(),
        hash,
        name_hash: name_hash.into(),
        key_hash: key_hash.into(),
        serial: serial.into(),
    })
}

/// The nonce among extensions.
fn extensions(mut list: Reader<'_>) -> Result<Option<Vec<u8>>, CryptoError> {
    let mut nonce = None;
    while !list.is_empty() {
        let mut extension = list.enter(tag::SEQUENCE)?;
        let oid = extension.expect(tag::OID)?.content;
        let critical = match extension.optional(tag::BOOLEAN)? {
            Some(critical) => der::boolean(critical.content)?,
            None => false,
        };
        let value = extension.expect(tag::OCTET_STRING)?.content;
        extension.finish()?;
        if oid == super::response::NONCE {
            let mut inside = Reader::new(value);
            let octets = inside.expect(tag::OCTET_STRING)?.content;
            inside.finish()?;
            if octets.is_empty() || octets.len() > LONGEST_NONCE || nonce.is_some() {
                return Err(CryptoError::Malformed(format!(
                    "a nonce has between 1 and {LONGEST_NONCE} octets, and there is one at most"
                )));
            }
            nonce = Some(octets.to_vec());
        } else if critical {
            let oid = der::oid(oid)?;
            return Err(CryptoError::Unsupported(format!(
                "the critical extension {} is not known",
                oid.0
            )));
        }
    }
    Ok(nonce)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::hex;

    fn cert_id(hash: &str, octets: usize, serial: &str) -> Vec<u8> {
        use crate::der::Writer;
        let mut writer = Writer::new();
        writer
            .sequence(|writer| {
                writer.sequence(|writer| {
                    writer.raw(&hex(hash));
                    writer.null();
                    Ok(())
                })?;
                writer.octet_string(&vec![1; octets]);
                writer.octet_string(&vec![2; octets]);
                writer.raw(&hex(serial));
                Ok(())
            })
            .unwrap();
        writer.finish()
    }

    const SHA1: &str = "06052b0e03021a";
    const SHA256: &str = "0609608648016503040201";

    /// A request about these, with these extensions.
    fn request(ids: &[Vec<u8>], extensions: &[&str]) -> Vec<u8> {
        use crate::der::Writer;
        let mut writer = Writer::new();
        writer
            .sequence(|writer| {
                writer.sequence(|writer| {
                    writer.sequence(|writer| {
                        ids.iter().try_for_each(|id| {
                            writer.sequence(|writer| {
                                writer.raw(id);
                                Ok(())
                            })
                        })
                    })?;
                    if extensions.is_empty() {
                        return Ok(());
                    }
                    writer.nest(tag::context_constructed(2), |writer| {
                        writer.sequence(|writer| {
                            for extension in extensions {
                                writer.raw(&hex(extension));
                            }
                            Ok(())
                        })
                    })
                })
            })
            .unwrap();
        writer.finish()
    }

    const NONCE: &str = "3013 06092b0601050507300102 0406 0404 01020304";

    fn spaceless(text: &str) -> String {
        text.replace(' ', "")
    }

    #[test]
    fn what_is_asked_is_read() {
        let ids = [
            cert_id(SHA1, 20, "02021234"),
            cert_id(SHA256, 32, "02020080"),
        ];
        let nonce = spaceless(NONCE);
        let read = OcspRequest::parse(&request(&ids, &[&nonce])).unwrap();
        assert_eq!(read.nonce, Some(vec![1, 2, 3, 4]));
        let [one, two] = read.asked.as_slice() else {
            panic!("two were asked about");
        };
        assert_eq!(
            (one.hash, one.serial.as_slice()),
            (HashAlgorithm::Sha1, &[0x12, 0x34][..])
        );
        assert_eq!(
            (two.hash, two.serial.as_slice()),
            (HashAlgorithm::Sha256, &[0x80][..])
        );
        assert_eq!(one.der, ids[0]);
        assert_eq!(
            (&one.name_hash, &one.key_hash),
            (&vec![1; 20], &vec![2; 20])
        );
    }

    #[test]
    fn what_is_no_request_is_refused() {
        let good = cert_id(SHA1, 20, "020101");
        let whole = request(std::slice::from_ref(&good), &[]);
        assert!(OcspRequest::parse(&whole).is_ok());
        for cut in 0..whole.len() {
            assert!(OcspRequest::parse(&whole[..cut]).is_err(), "{cut}");
        }
        let many: Vec<_> = (0..=MOST_ASKED).map(|_| good.clone()).collect();
        let empty_nonce = "300f06092b060105050730010204020400";
        let bare_nonce = "301106092b0601050507300102040401020304";
        let critical = "300b06032a030401 01ff04 01 00".replace(' ', "");
        let twice = spaceless(NONCE);
        for refused in [
            request(&[], &[]),
            request(&many, &[]),
            request(&[cert_id(SHA1, 32, "020101")], &[]),
            request(&[cert_id(SHA1, 20, "0201ff")], &[]),
            request(&[cert_id("06052b0e03021b", 20, "020101")], &[]),
            request(std::slice::from_ref(&good), &[empty_nonce]),
            request(std::slice::from_ref(&good), &[bare_nonce]),
            request(std::slice::from_ref(&good), &[&twice, &twice]),
            request(std::slice::from_ref(&good), &[&critical]),
            [whole.clone(), vec![0]].concat(),
        ] {
            assert!(OcspRequest::parse(&refused).is_err(), "{refused:02x?}");
        }
    }
}
