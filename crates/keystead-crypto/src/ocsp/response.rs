//! Responses (RFC 6960 section 4.2).

use keystead_core::x509::SignatureAlgorithm;

use crate::CryptoError;
use crate::der::{Writer, tag};
use crate::x509::signature_identifier;

/// Everything that is signed of an answer.
#[derive(Clone, Debug)]
pub struct OcspData<'a> {
    /// SHA-1 of the signer's public key.
    pub key_hash: &'a [u8],
    /// When it is made (Unix time).
    pub produced_at: i64,
    /// One for each certificate that was asked about.
    pub answers: &'a [OcspAnswer<'a>],
    /// The request's nonce.
    pub nonce: Option<&'a [u8]>,
}

/// What is answered about one certificate.
#[derive(Clone, Debug)]
pub struct OcspAnswer<'a> {
    /// DER of the CertID, as it was asked.
    pub id: &'a [u8],
    /// How it stands.
    pub status: OcspStatus,
    /// When that was known (Unix time).
    pub this_update: i64,
    /// When more is known at the latest (Unix time).
    pub next_update: i64,
}

/// How a certificate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OcspStatus {
    /// It was issued, and not revoked.
    Good,
    /// It was revoked: when (Unix time), and the CRLReason, of which zero is left out.
    Revoked {
        /// When.
        at: i64,
        /// Why.
        reason: u8,
    },
    /// It was never issued.
    Unknown,
}

/// Why there is no answer (RFC 6960 section 4.2.1, `OCSPResponseStatus`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OcspRefusal {
    /// The request is none.
    MalformedRequest = 1,
    /// The fault is ours.
    InternalError = 2,
    /// Not now.
    TryLater = 3,
    /// Nobody here can answer for that issuer (RFC 5019 section 2.2.3).
    Unauthorized = 6,
}

/// The response that there is none.
pub fn refusal(refusal: OcspRefusal) -> Vec<u8> {
    vec![tag::SEQUENCE, 3, tag::ENUMERATED, 1, refusal as u8]
}

/// The DER that an answer's signature covers.
///
/// # Errors
/// [`CryptoError::Malformed`] when a time is outside the years 1 to 9999.
pub fn encode_response_data(data: &OcspData<'_>) -> Result<Vec<u8>, CryptoError> {
    let mut writer = Writer::new();
    writer.sequence(|writer| {
        // byKey [2]
        writer.nest(tag::context_constructed(2), |writer| {
            writer.octet_string(data.key_hash);
            Ok(())
        })?;
        writer.generalized_time(data.produced_at)?;
        writer.sequence(|writer| {
            data.answers
                .iter()
                .try_for_each(|answer| write_answer(writer, answer))
        })?;
        let Some(nonce) = data.nonce else {
            return Ok(());
        };
        writer.nest(tag::context_constructed(1), |writer| {
            writer.sequence(|writer| {
                writer.sequence(|writer| {
                    writer.tlv(tag::OID, NONCE);
                    writer.nest(tag::OCTET_STRING, |writer| {
                        writer.octet_string(nonce);
                        Ok(())
                    })
                })
            })
        })
    })?;
    Ok(writer.finish())
}

fn write_answer(writer: &mut Writer, answer: &OcspAnswer<'_>) -> Result<(), CryptoError> {
    writer.sequence(|writer| {
        writer.raw(answer.id);
        match answer.status {
            OcspStatus::Good => writer.tlv(tag::context(0), &[]),
            OcspStatus::Unknown => writer.tlv(tag::context(2), &[]),
            OcspStatus::Revoked { at, reason } => {
                writer.nest(tag::context_constructed(1), |writer| {
                    writer.generalized_time(at)?;
                    if reason == 0 {
                        return Ok(());
                    }
                    writer.nest(tag::context_constructed(0), |writer| {
                        writer.tlv(tag::ENUMERATED, &[reason]);
                        Ok(())
                    })
                })?;
            }
        }
        writer.generalized_time(answer.this_update)?;
        writer.nest(tag::context_constructed(0), |writer| {
            writer.generalized_time(answer.next_update)
        })
    })
}

/// The response: its data, how it is signed, the signature, and the certificate of who signed it.
///
/// # Errors
/// None that these parts could cause.
pub fn encode_response(
    data_der: &[u8],
    algorithm: SignatureAlgorithm,
    signature: &[u8],
    signer_der: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    let mut writer = Writer::new();
    writer.sequence(|writer| {
        // successful
        writer.tlv(tag::ENUMERATED, &[0]);
        writer.nest(tag::context_constructed(0), |writer| {
            writer.sequence(|writer| {
                writer.tlv(tag::OID, BASIC);
                writer.nest(tag::OCTET_STRING, |writer| {
                    writer.sequence(|writer| {
                        writer.raw(data_der);
                        writer.raw(signature_identifier(algorithm));
                        writer.bit_string(signature);
                        writer.nest(tag::context_constructed(0), |writer| {
                            writer.sequence(|writer| {
                                writer.raw(signer_der);
                                Ok(())
                            })
                        })
                    })
                })
            })
        })
    })?;
    Ok(writer.finish())
}

/// id-pkix-ocsp-basic, 1.3.6.1.5.5.7.48.1.1.
const BASIC: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 48, 1, 1];

/// id-pkix-ocsp-nonce, 1.3.6.1.5.5.7.48.1.2.
pub(super) const NONCE: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 48, 1, 2];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::hex;

    #[test]
    fn a_refusal_is_five_octets() {
        assert_eq!(refusal(OcspRefusal::TryLater), hex("30030a0103"));
        assert_eq!(refusal(OcspRefusal::Unauthorized), hex("30030a0106"));
    }

    #[test]
    fn data_is_encoded_as_the_rfc_has_it() {
        let answer = |status| OcspAnswer {
            id: &[0x30, 0],
            status,
            this_update: 1_767_225_600,
            next_update: 1_767_229_200,
        };
        let answers = [
            answer(OcspStatus::Good),
            answer(OcspStatus::Revoked {
                at: 1_767_225_600,
                reason: 1,
            }),
            answer(OcspStatus::Unknown),
        ];
        let data = OcspData {
            key_hash: &[7; 2],
            produced_at: 1_767_225_600,
            answers: &answers,
            nonce: Some(&[9]),
        };
        let now = "180f32303236303130313030303030305a";
        let then = "180f32303236303130313031303030305a";
        let single = |status: &str| {
            let body = format!("3000{status}{now}a011{then}");
            format!("30{:02x}{body}", body.len() / 2)
        };
        let revoked = format!("a116{now}a0030a0101");
        let list = [single("8000"), single(&revoked), single("8200")].concat();
        let nonce = "a1143012301006092b06010505073001020403040109";
        let body = format!("a20404020707{now}3081{:02x}{list}{nonce}", list.len() / 2);
        let expected = format!("3081{:02x}{body}", body.len() / 2);
        let got = encode_response_data(&data).unwrap();
        assert_eq!(got, hex(&expected));
    }
}
