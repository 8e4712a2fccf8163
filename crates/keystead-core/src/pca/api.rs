//! What a caller may pass through into a certificate (ACM-PCA `ApiPassthrough`).

use super::subject::Subject;
use crate::x509::{Extension, GeneralName, KeyUsageBit, Oid};

/// Information for the certificate, beside the request's.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ApiPassthrough {
    /// Takes the place of the request's subject.
    pub subject: Option<Subject>,
    /// keyUsage: the bits.
    pub key_usage: Option<Vec<KeyUsageBit>>,
    /// extKeyUsage: the purposes.
    pub purposes: Option<Vec<Oid>>,
    /// subjectAltName.
    pub alternative_names: Option<Vec<GeneralName>>,
    /// certificatePolicies: policy and CPS addresses.
    pub policies: Option<Vec<(Oid, Vec<String>)>>,
    /// Further extensions, taken over as they are.
    pub custom: Vec<Extension>,
}

/// Purposes of keys: id-kp and friends.
pub mod purpose {
    use crate::x509::Oid;

    /// TLS server authentication (RFC 5280 section 4.2.1.12).
    pub const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
    /// TLS client authentication (RFC 5280 section 4.2.1.12).
    pub const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";
    /// Code signing (RFC 5280 section 4.2.1.12).
    pub const CODE_SIGNING: &str = "1.3.6.1.5.5.7.3.3";
    /// OCSP signing (RFC 5280 section 4.2.1.12).
    pub const OCSP_SIGNING: &str = "1.3.6.1.5.5.7.3.9";

    /// The purpose of an ACM-PCA `ExtendedKeyUsageType`.
    pub fn of_type(name: &str) -> Option<Oid> {
        let dotted = match name {
            "SERVER_AUTH" => SERVER_AUTH,
            "CLIENT_AUTH" => CLIENT_AUTH,
            "CODE_SIGNING" => CODE_SIGNING,
            "OCSP_SIGNING" => OCSP_SIGNING,
            // RFC 5280 section 4.2.1.12.
            "EMAIL_PROTECTION" => "1.3.6.1.5.5.7.3.4",
            "TIME_STAMPING" => "1.3.6.1.5.5.7.3.8",
            // Microsoft: smart card logon, document signing.
            "SMART_CARD_LOGIN" => "1.3.6.1.4.1.311.20.2.2",
            "DOCUMENT_SIGNING" => "1.3.6.1.4.1.311.10.3.12",
            // RFC 6962 section 3.1.
            "CERTIFICATE_TRANSPARENCY" => "1.3.6.1.4.1.11129.2.4.4",
            _ => return None,
        };
        Some(Oid::new(dotted))
    }
}
