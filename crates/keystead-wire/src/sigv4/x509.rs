//! Signatures with the key of a certificate instead of an access key (Roles Anywhere user guide, "The authentication
//! signing process"): the same canonical request, signed with the private key; the certificate comes along in a header,
//! and its serial number stands where the access key id would.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use keystead_crypto::digest;
use keystead_crypto::x509::{Certificate, Signing};

use super::claim::single;
use super::{AuthError, Authorization, Claim, RequestView, Rules, canonical};

const CERTIFICATE: &str = "x-amz-x509";
const CHAIN: &str = "x-amz-x509-chain";

/// The algorithms by their names.
const ALGORITHMS: [(&str, Signing); 3] = [
    ("AWS4-X509-RSA-SHA256", Signing::RsaSha256),
    ("AWS4-X509-ECDSA-SHA256", Signing::EcdsaSha256),
    ("AWS4-X509-MLDSA", Signing::MlDsa),
];

/// The most certificates in the chain (user guide: "the maximum depth of 5 certificates").
const MOST_IN_CHAIN: usize = 5;

/// Whoever has the key of a certificate; who trusts the certificate is not said.
#[derive(Clone, Debug)]
pub struct Holder {
    /// The certificate.
    pub certificate: Certificate,
    /// What the holder sent along to lead to its issuer, in whatever order.
    pub chain: Vec<Certificate>,
    /// The region of the signature's scope.
    pub region: String,
}

/// Verifies that the request is signed, now and for `service`, with the key of the certificate that it brings along.
/// `payload` is the SHA-256 of the body as it arrived.
///
/// # Errors
/// [`AuthError::Incomplete`], [`AuthError::Invalid`], [`AuthError::Mismatch`].
pub fn verify_holder(
    claim: Claim<'_>,
    view: &RequestView<'_>,
    now: Timestamp,
    service: &str,
    payload: &[u8; 32],
) -> Result<Holder, AuthError> {
    if claim.presigned {
        return Err(AuthError::Invalid(
            "A signature with a certificate belongs into the header 'Authorization'.".into(),
        ));
    }
    let signature = unhex(&claim.signature);
    let algorithm = claim.algorithm.clone();
    let names = ALGORITHMS.map(|(name, _)| name);
    let authorization = claim.check_for(view, now, service, Rules::STANDARD, &names)?;
    let signing = ALGORITHMS.iter().find(|(name, _)| *name == algorithm);
    let (Some((_, signing)), Some(signature)) = (signing, signature) else {
        return Err(AuthError::Mismatch);
    };
    let certificate = header(view, &authorization, CERTIFICATE)?.ok_or_else(|| {
        AuthError::Incomplete(
            "Authorization with a certificate requires the header 'X-Amz-X509'.".into(),
        )
    })?;
    let certificate = parse(certificate)?;
    let chain = chain(header(view, &authorization, CHAIN)?)?;
    if octets(authorization.access_key_id()).as_deref() != Some(&certificate.serial) {
        return Err(AuthError::Invalid(
            "Credential should begin with the serial number of the certificate, in decimal.".into(),
        ));
    }
    let payload = authorization.payload_line(view, payload)?;
    let canonical = canonical::request(view, &authorization.coverage(), &payload);
    let to_sign = canonical::string_to_sign(
        &algorithm,
        authorization.amz_date(),
        authorization.scope(),
        &digest::sha256(&canonical),
    );
    certificate
        .verify_message(*signing, &to_sign, &signature)
        .map_err(|_| AuthError::Mismatch)?;
    Ok(Holder {
        certificate,
        chain,
        region: authorization.region().to_owned(),
    })
}

/// A header that must be signed when it is there.
fn header<'v>(
    view: &RequestView<'v>,
    authorization: &Authorization<'_>,
    name: &'static str,
) -> Result<Option<&'v str>, AuthError> {
    let value = single(view.headers, name)?;
    if value.is_some() && !authorization.signed_headers().any(|signed| signed == name) {
        return Err(AuthError::Invalid(format!(
            "'{name}' must be a 'SignedHeader' in the AWS Authorization."
        )));
    }
    Ok(value)
}

fn chain(header: Option<&str>) -> Result<Vec<Certificate>, AuthError> {
    let parts: Vec<&str> = header
        .map(|text| text.split(',').collect())
        .unwrap_or_default();
    if parts.len() > MOST_IN_CHAIN {
        return Err(AuthError::Invalid(format!(
            "The chain has {} certificates: expected at most {MOST_IN_CHAIN}.",
            parts.len()
        )));
    }
    parts.into_iter().map(str::trim).map(parse).collect()
}

fn parse(text: &str) -> Result<Certificate, AuthError> {
    let der = STANDARD.decode(text).ok();
    der.and_then(|der| Certificate::from_der(&der).ok())
        .ok_or_else(|| {
            AuthError::Invalid("A certificate in the headers is not base64 of DER.".into())
        })
}

/// A number in decimal as big-endian octets without leading zeros; none for what is no number, or longer than any
/// serial number that is read.
fn octets(decimal: &str) -> Option<Vec<u8>> {
    const MOST_DIGITS: usize = 160;
    if decimal.is_empty() || decimal.len() > MOST_DIGITS {
        return None;
    }
    // Least significant first.
    let mut octets: Vec<u8> = vec![0];
    for digit in decimal.bytes() {
        let mut carry = u32::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?);
        for octet in &mut octets {
            carry += u32::from(*octet) * 10;
            *octet = (carry & 0xff) as u8;
            carry >>= 8;
        }
        if carry > 0 {
            octets.push(carry as u8);
        }
    }
    octets.reverse();
    Some(octets)
}

/// Any length of hexadecimal digits.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some((digit(*high)? * 16 + digit(*low)?) as u8),
        _ => None,
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_length() {
        assert_eq!(octets("0"), Some(vec![0]));
        assert_eq!(octets("291"), Some(vec![1, 0x23]));
        assert_eq!(
            octets("340282366920938463463374607431768211456"),
            Some([&[1][..], &[0; 16]].concat())
        );
        for no in ["", "-1", "1f", &"9".repeat(161)] {
            assert_eq!(octets(no), None, "{no}");
        }
        assert_eq!(unhex("00fF"), Some(vec![0, 255]));
        assert_eq!((unhex("0"), unhex("0g")), (None, None));
    }
}
