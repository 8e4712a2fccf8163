//! Signing with the key of a certificate: for our own agents. Verifying is in [`super::x509`].

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use keystead_core::pca::decimal;
use keystead_crypto::digest;
use keystead_crypto::x509::Certificate;

use super::canonical::{self, Coverage, PayloadLine, hex};
use super::sign::header_names;
use super::{AuthError, RequestView, Rules, TERMINATOR, X_AMZ_DATE, time};

/// A request as the holder of a certificate signs it: who has the private key signs [`ToSign::text`], by SHA-256 and
/// ECDSA or RSA (PKCS #1).
#[derive(Debug)]
pub struct ToSign {
    text: Vec<u8>,
    authorization: String,
    added: HeaderMap,
}

impl ToSign {
    /// Begins the signature of a request to `service` in `region` at `at`. The view needs a `host` header or an authority.
    ///
    /// # Errors
    /// [`AuthError::Incomplete`] when the certificate has another kind of key than elliptic curve or RSA.
    pub fn new(
        certificate: &Certificate,
        view: &RequestView<'_>,
        payload: &[u8; 32],
        (service, region): (&str, &str),
        at: Timestamp,
    ) -> Result<Self, AuthError> {
        let algorithm = match certificate.key_spec.map(|spec| spec.pca_name()) {
            Some(name) if name.starts_with("EC") => "AWS4-X509-ECDSA-SHA256",
            Some(name) if name.starts_with("RSA") => "AWS4-X509-RSA-SHA256",
            _ => {
                return Err(AuthError::Incomplete(
                    "only keys on elliptic curves and RSA keys sign requests".into(),
                ));
            }
        };
        let amz_date = time::format(at);
        let mut added = HeaderMap::new();
        added.insert(X_AMZ_DATE, value(&amz_date)?);
        added.insert("x-amz-x509", value(&STANDARD.encode(certificate.der()))?);
        let mut headers = view.headers.clone();
        headers.extend(added.clone());
        let view = RequestView {
            headers: &headers,
            ..*view
        };
        let signed_headers = header_names(&view);
        let coverage = Coverage {
            rules: Rules::STANDARD,
            signed_headers: &signed_headers,
            left_out: &[],
        };
        let canonical = canonical::request(&view, &coverage, &PayloadLine::Hash(hex(payload)));
        let day = amz_date.get(..8).unwrap_or_default();
        let scope = format!("{day}/{region}/{service}/{TERMINATOR}");
        let digest = digest::sha256(&canonical);
        let text = canonical::string_to_sign(algorithm, &amz_date, &scope, &digest);
        let serial = decimal(&certificate.serial);
        Ok(Self {
            text,
            authorization: format!(
                "{algorithm} Credential={serial}/{scope}, SignedHeaders={signed_headers}, Signature="
            ),
            added,
        })
    }

    /// What is to be signed.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// The headers to add to the request, with this signature.
    ///
    /// # Errors
    /// None in practice: everything in them is ASCII.
    pub fn signed(mut self, signature: &[u8]) -> Result<HeaderMap, AuthError> {
        self.authorization.push_str(&keystead_core::hex(signature));
        self.added
            .insert("authorization", value(&self.authorization)?);
        Ok(self.added)
    }
}

fn value(text: &str) -> Result<HeaderValue, AuthError> {
    HeaderValue::from_str(text)
        .map_err(|_| AuthError::Incomplete("a header of the signature has no form".into()))
}
